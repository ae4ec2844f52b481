/* SPDX-License-Identifier: Apache-2.0 */
/* Launching kernels that were compiled for the emulator, from C. */
#ifndef EMULATOR_H
#define EMULATOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Device memory that kernels may read and write from now on, and no more. */
void emulator_allocated(void *at, size_t n);
void emulator_freed(void *at);

void *emulator_kernel(const char *name); /* NULL: there is none */
size_t emulator_argument_bytes(const void *kernel);
void emulator_launch(void *kernel, const unsigned *grid, const unsigned *block, size_t shared,
                     const void *args, uint64_t seed);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The 8-bit cache's part of the kernel checks (cases.c, truth.c). */
#ifndef CASES_KV8_H
#define CASES_KV8_H

#include "cases.h"

const char *case_kv8(const rmr_kernels *set);
const char *case_kv8_ends(const rmr_kernels *set);
const char *truth_kv8(const rmr_kernels *set);

/* The digest goes on over fixed runs of them. */
uint64_t kv8_digest(const rmr_kernels *set, uint64_t (*fnv)(uint64_t, const void *, size_t),
                    uint64_t h);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Times of a CUDA backend's operations (bench_gpu.c). */
#ifndef BENCH_GPU_H
#define BENCH_GPU_H

#include "backend.h"

/* `image`: the kernels of bench.cu. `what`: chains, latent, profile (a few kernels once), or with
 * the name of an element type: linear-, experts-, experts8-, experts64-, row-, lite-,
 * pieces-. */
void bench_gpu(rmr_backend *be, const void *image, const char *what);

#endif

/* Times of a CUDA backend's operations (bench_gpu.c). */
#ifndef BENCH_GPU_H
#define BENCH_GPU_H

#include "backend.h"

/* `image`: the kernels of bench.cu. what 0: all; 1: a few kernels, for a profiler. */
void bench_gpu(rmr_backend *be, const void *image, int what);

#endif

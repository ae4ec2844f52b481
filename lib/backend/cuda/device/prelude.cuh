/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning of every kernel's source. Compiled by nvcc this is CUDA; compiled by a C++ compiler
 * (RMR_EMULATED, test/cuda) a kernel is a function that fibres run, and what has no counterpart in
 * C++ has a twin. No contraction: nvcc gets -fmad=false, a fused multiply-add is where fmaf stands.
 */
#ifndef RMR_CUDA_PRELUDE_CUH
#define RMR_CUDA_PRELUDE_CUH

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "word.cuh"

#ifdef __CUDACC__
#define DEV static __device__ __forceinline__
/* A kernel of one argument, blocks of `threads`, at least `blocks` of them on a multiprocessor. */
#define KERNEL(name, type, threads, blocks)                                                        \
    KERNEL_FIRST(name, type, threads, blocks, wait_for_last())
/* A kernel that calls wait_for_last itself, in every block: before that it reads nothing that
 * kernels write. */
#define KERNEL_WAITS(name, type, threads, blocks) KERNEL_FIRST(name, type, threads, blocks, (void)0)
#define KERNEL_FIRST(name, type, threads, blocks, first)                                           \
    DEV void name##_body(const type &a);                                                           \
    extern "C" __global__ void __launch_bounds__(threads, blocks)                                  \
        rmr_##name(const __grid_constant__ type a)                                                 \
    {                                                                                              \
        first;                                                                                     \
        name##_body(a);                                                                            \
    }                                                                                              \
    DEV void name##_body(const type &a)

/* The next kernel may start now; what the last one wrote is read behind this, and what it reads is
 * written behind this. */
DEV void wait_for_last()
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;\ngriddepcontrol.wait;" ::: "memory");
#endif
}

/* So that the next kernel starts when what the last one wrote is there for it, too. */
DEV void wait_before_next()
{
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;\ngriddepcontrol.launch_dependents;" ::: "memory");
#endif
}
#ifndef __FP_FAST_FMAF
#define __FP_FAST_FMAF 1
#endif
#define inline __host__ __device__ inline
#else
#include "emulate.h"
#define DEV static inline
#endif

typedef uint_least64_t atomic_uint_least64_t; /* of a header that only hosts use */
#include "args.h"
#include "dexp.h"
#include "float_math.h"
#include "group_score.h"
#include "half.h"
#include "kv8.h"
#include "sincos_poly.h"

#ifdef __CUDACC__
#undef inline
#endif

#include "machine.cuh"

DEV uint32_t thread_of()
{
    return threadIdx.x;
}

DEV uint32_t warp_of()
{
    return threadIdx.x / 32;
}

DEV uint32_t lane_of()
{
    return threadIdx.x % 32;
}

DEV uint32_t rows_of(const rmr_gpu_inputs &in, const rmr_gpu_rows &rows)
{
    return rows.out ? rows.n : in.n_rows;
}

DEV const rmr_run *run_of(const rmr_gpu_inputs &in, uint32_t row)
{
    return in.run + in.run_of[row];
}

/* Is the row one that an operation for this form of attention (-1: any) has? */
DEV bool row_is(const rmr_gpu_inputs &in, uint32_t row, int form)
{
    return form < 0 || (int)run_of(in, row)->form == form;
}

/* The stream's part of the page that holds a position of a run; NULL where the run has no page. */
DEV uint8_t *cache_part(const rmr_gpu_inputs &in, const rmr_run *run, const rmr_gpu_stream &stream,
                        uint32_t pos)
{
    const uint32_t page = run->page0 + pos / RMR_PAGE_TOKENS;
    if (page >= in.counts->n_pages) return NULL;
    const uint64_t at = in.page[page];
    if (at == 0) return NULL;
    return (uint8_t *)(uintptr_t)at + stream.at[run->kv];
}

#endif

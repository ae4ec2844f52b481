/* SPDX-License-Identifier: Apache-2.0 */
/* The words that make the compiler inline and unroll templates. Block sizes are constants after
 * inlining, so arrays of accumulators become registers. */
#ifndef RMR_UNROLL_H
#define RMR_UNROLL_H

#define FORCE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

#endif

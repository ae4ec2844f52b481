/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel checks without a test framework, so that they also run where only a C library is at
 * hand (under an emulator for another processor). A check returns NULL or a description of the
 * first difference. */
#ifndef CASES_H
#define CASES_H

#include "kernels.h"

typedef const char *case_fn(const rmr_kernels *set);

typedef struct kernel_case {
    const char *name;
    case_fn *run;
} kernel_case;

/* `set` against the reference, bit for bit; ends with a NULL name. */
extern const kernel_case cases_against_ref[];

/* The reference against arithmetic in double precision; ends with a NULL name. */
extern const kernel_case cases_truth[];

/* Of the quantised types (truth_quant.c). */
const char *truth_quantize(const rmr_kernels *set);
const char *truth_qmatmul(const rmr_kernels *set);

/* FNV-1a over the outputs of one fixed run of every kernel, the same on every processor, against
 * the numbers in the file. Kernels that come later get a line of their own there, so that the older
 * lines never change. */
const char *cases_digest(const rmr_kernels *set, const char *file);

#endif

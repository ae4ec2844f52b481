/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products of operations: their rows of activations, as floats or quantised, and the product
 * of some tiles with some rows (op_linear.c, quantized.c, op_sums.c). */
#ifndef RMR_CPU_PRODUCT_H
#define RMR_CPU_PRODUCT_H

#include "cpu.h"

/* Rows of activations as matrix products take them: floats, and the quantised form where the
 * weights are of an integer type. */
typedef struct rmr_operand {
    const float *x;
    size_t ldx;
    unsigned char *q; /* rows ldq bytes apart; NULL: no weight needs it */
    size_t ldq;
} rmr_operand;

static inline int rmr_is_integer(const rmr_weight *w)
{
    return rmr_elem_table[w->desc.elem].integer;
}

/* Bytes from one quantised row of k values to the next: an odd multiple of the lines that a product
 * takes of each row at a time, so that rows spread over the sets of a cache. And room for n of
 * them: none where w takes floats. */
static inline size_t rmr_q_stride(uint32_t k)
{
    const uint64_t eight = 8 * sizeof(rmr_qline);
    return (size_t)(rmr_round_up(rmr_qrow_bytes(k), eight) | eight);
}

static inline uint64_t rmr_q_room(const rmr_weight *w, uint64_t n)
{
    return w != NULL && rmr_is_integer(w) ? n * rmr_q_stride(w->desc.cols) : 0;
}

/* y = tiles [t0, t0 + n) of matrix `index` of w times rows [r0, r0 + m) of x (op_linear.c). `next`:
 * the weights that the caller reads after them, which are fetched, or NULL. */
void rmr_cpu_product(const rmr_cpu *c, const rmr_weight *w, uint32_t index, uint32_t t0, uint32_t n,
                     const rmr_operand *x, uint32_t r0, uint32_t m, float *y, size_t ldy,
                     const void *next);

/* Quantised rows [0, n) of k values of a view, rmr_q_stride(k) apart: made by the first operation
 * that asks, in a region, and valid until one writes the slot. The step has room for what scratch
 * functions say. */
remora_status rmr_cpu_quantized(rmr_step *s, rmr_view view, uint32_t n, uint32_t k,
                                unsigned char **out);
void rmr_cpu_quantized_after(rmr_step *s, const rmr_op *op); /* op has run */
void rmr_cpu_quantized_forget(rmr_step *s, uint32_t slot);   /* it is written */

/* Fill x->q from x->x, rows [r0, end) of k values. */
void rmr_cpu_quantize_rows(const rmr_cpu *c, const rmr_operand *x, uint32_t r0, uint32_t end,
                           uint32_t k);

/* Add rows of an input, those that `row` lists or (NULL) the first n_rows, to the sums of matrix
 * `index`, in a region; nothing where there are none (op_sums.c). */
remora_status rmr_cpu_sums_add(rmr_step *s, const rmr_sums *to, uint32_t index, const float *x,
                               size_t ldx, const uint32_t *row, uint32_t n_rows);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that touch each row by itself: embedding lookup, rope table, RMSNorm, picking output
 * rows. */
#include "cpu.h"

#include <string.h>

#include "sincos.h"

typedef struct row_job {
    rmr_step *s;
    const rmr_op *op;
    rmr_cpu_row_fn *row;
    uint32_t n_rows;
} row_job;

enum { ROW_BLOCK = 4 };

static void row_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    const row_job *j = arg;
    for (uint32_t r = chunk * ROW_BLOCK; r < (chunk + 1) * ROW_BLOCK && r < j->n_rows; r++)
        j->row(j->s, j->op, r, worker);
}

remora_status rmr_cpu_for_rows(rmr_step *s, const rmr_op *op, rmr_cpu_row_fn *row)
{
    row_job j = {s, op, row, rmr_op_rows(s, op)};
    return rmr_cpu_chunks(s, (j.n_rows + ROW_BLOCK - 1) / ROW_BLOCK, row_chunk, &j, 0);
}

static void embed_row(rmr_step *s, const rmr_op *op, uint32_t row, uint32_t worker)
{
    (void)worker;
    const rmr_weight *w = op->w;
    const rmr_kernels *k = s->cpu->k;
    const uint32_t n = w->desc.cols;
    RMR_ASSERT(w->desc.use == RMR_USE_TABLE && s->in.token[row] >= 0 &&
               (uint32_t)s->in.token[row] < w->desc.rows);
    const void *src =
        rmr_weight_at(w, 0) + (size_t)s->in.token[row] * rmr_row_bytes(w->desc.elem, n);
    float *dst = rmr_row(s, op->out, row);
    if (w->desc.elem == RMR_ELEM_BF16)
        k->elementwise->from_bf16(dst, src, n);
    else if (w->desc.elem == RMR_ELEM_F16)
        k->elementwise->from_f16(dst, src, n);
    else
        rmr_row_decode(w->desc.elem, dst, src, n);
}

remora_status rmr_cpu_embed(rmr_step *s, const rmr_op *op)
{
    for (uint32_t i = 0; i < rmr_op_rows(s, op); i++)
        if ((uint32_t)s->in.token[i] >= op->w->desc.rows)
            RMR_FAIL(s->err, REMORA_E_INTERNAL, "token %d is not a row of the table, which has %u",
                     s->in.token[i], op->w->desc.rows);
    return rmr_cpu_for_rows(s, op, embed_row);
}

/* Angles are products in float32, as the reference implementations compute them: a product in
 * double would be another angle at long positions. */
static void rope_table_row(rmr_step *s, const rmr_op *op, uint32_t row, uint32_t worker)
{
    (void)worker;
    const float *inv_freq = rmr_vector(op->w);
    RMR_ASSERT(op->out.col + 2 * op->w->desc.cols <= rmr_width(s, op->out));
    float *cs = rmr_row(s, op->out, row);
    for (uint32_t i = 0; i < op->w->desc.cols; i++) {
        const float angle = (float)s->in.pos[row] * inv_freq[i];
        rmr_sincos((double)angle, &cs[2 * i], &cs[2 * i + 1]);
        cs[2 * i] *= op->amp;
        cs[2 * i + 1] *= op->amp;
    }
}

remora_status rmr_cpu_rope_table(rmr_step *s, const rmr_op *op)
{
    return rmr_cpu_for_rows(s, op, rope_table_row);
}

static void norm_row(rmr_step *s, const rmr_op *op, uint32_t row, uint32_t worker)
{
    (void)worker;
    const float *x = rmr_row(s, op->in, row);
    float *y = rmr_row(s, op->out, row);
    uint32_t i = 0;
    do {
        s->cpu->k->elementwise->norm(y + (size_t)i * op->n, x + (size_t)i * op->n,
                                     rmr_vector(op->w), op->n, op->eps);
    } while (++i < op->parts);
}

remora_status rmr_cpu_norm(rmr_step *s, const rmr_op *op)
{
    return rmr_cpu_for_rows(s, op, norm_row);
}

static void pick_row(rmr_step *s, const rmr_op *op, uint32_t row, uint32_t worker)
{
    (void)worker;
    RMR_ASSERT(row < s->n_want && s->want[row] < s->in.n_rows);
    memcpy(rmr_row(s, op->out, row), rmr_row(s, op->in, s->want[row]), (size_t)op->n * 4);
}

remora_status rmr_cpu_pick_rows(rmr_step *s, const rmr_op *op)
{
    return rmr_cpu_for_rows(s, op, pick_row);
}

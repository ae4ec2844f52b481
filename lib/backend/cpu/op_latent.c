/* SPDX-License-Identifier: Apache-2.0 */
/* Into and out of latent space: products with W_UK and W_UV, one head a chunk (docs/models.md,
 * "Latent attention"). */
#include "cpu.h"

#include <string.h>

#include "product.h"
#include "split.h"

/* y[row] = w[head] x[row] for rows [row0, row0 + m). */
static void head_rows(rmr_step *s, const rmr_op *op, uint32_t head, const rmr_operand *x,
                      uint32_t row0, uint32_t m, size_t out_col)
{
    const rmr_weight *w = op->w;
    const uint32_t n_tiles = rmr_tiles(w->desc.rows);
    float tmp[RMR_LIN_TMP];
    const uint32_t most = rmr_lin_tiles(m);
    for (uint32_t t = 0; t < n_tiles; t += most) {
        const uint32_t n = n_tiles - t < most ? n_tiles - t : most;
        const uint32_t left = w->desc.rows - t * RMR_TILE;
        const uint32_t cols = left < n * RMR_TILE ? left : n * RMR_TILE;
        RMR_ASSERT(out_col + t * RMR_TILE + cols <= rmr_width(s, op->out));
        float *const y = rmr_row(s, op->out, row0) + out_col + (size_t)t * RMR_TILE;
        const int whole = cols == n * RMR_TILE; /* else the last tile goes beyond the row */
        const size_t ldy = whole ? rmr_width(s, op->out) : (size_t)n * RMR_TILE;
        rmr_cpu_product(s->cpu, w, head, t, n, x, 0, m, whole ? y : tmp, ldy,
                        n < n_tiles - t            ? rmr_tile_at(w, head, t + n)
                        : head + 1 < w->desc.count ? rmr_weight_at(w, head + 1)
                                                   : NULL);
        for (uint32_t r = 0; !whole && r < m; r++)
            memcpy(y + r * rmr_width(s, op->out), tmp + r * ldy, (size_t)cols * 4);
    }
}

static void head_product(rmr_step *s, const rmr_op *op, uint32_t head, size_t in_col,
                         size_t out_col, uint32_t worker)
{
    for (uint32_t i = 0; i < s->n_spans; i++) {
        const rmr_row_span sp = s->span[i];
        for (uint32_t r0 = 0; r0 < sp.n_rows; r0 += RMR_LIN_ROWS) {
            const uint32_t m = sp.n_rows - r0 < RMR_LIN_ROWS ? sp.n_rows - r0 : RMR_LIN_ROWS;
            const rmr_operand x = {rmr_row(s, op->in, sp.row0 + r0) + in_col, rmr_width(s, op->in),
                                   s->worker + worker * s->worker_bytes,
                                   rmr_q_stride(op->w->desc.cols)};
            if (rmr_is_integer(op->w)) rmr_cpu_quantize_rows(s->cpu, &x, 0, m, op->w->desc.cols);
            head_rows(s, op, head, &x, sp.row0 + r0, m, out_col);
        }
    }
}

/* Worker scratch: a block of quantised rows. */
rmr_cpu_scratch rmr_cpu_head_scratch(const rmr_op *op, const rmr_step_desc *d)
{
    const uint64_t n = d->max_rows < RMR_LIN_ROWS ? d->max_rows : RMR_LIN_ROWS;
    return (rmr_cpu_scratch){.worker = rmr_q_room(op->w, n)};
}

typedef struct head_job {
    rmr_step *s;
    const rmr_op *op;
} head_job;

static remora_status run_heads(head_job *j, rmr_range_fn *heads)
{
    RMR_ASSERT(j->op->w->desc.count == j->op->mla->heads);
    if (j->s->n_spans == 0) return REMORA_OK;
    const rmr_next_region next = rmr_cpu_next_op(j->s, j->op);
    const rmr_weight_desc *w = &j->op->w->desc;
    return rmr_cpu_region(
        j->s,
        &(rmr_region){
            .n = j->op->mla->heads, .most = RMR_LIN_RANGE, .fn = heads, .arg = j, .next = &next},
        (uint64_t)w->rows * w->cols * j->s->in.n_rows);
}

static void absorb_head(const head_job *j, uint32_t head, uint32_t worker)
{
    const rmr_mla *a = j->op->mla;
    const size_t in_col = (size_t)head * (a->nope + a->rope),
                 out_col = (size_t)head * (a->rank + a->rope);
    head_product(j->s, j->op, head, in_col, out_col, worker);
    for (uint32_t i = 0; i < j->s->n_spans; i++)
        for (uint32_t r = 0; r < j->s->span[i].n_rows; r++) {
            const uint32_t row = j->s->span[i].row0 + r;
            memcpy(rmr_row(j->s, j->op->out, row) + out_col + a->rank,
                   rmr_row(j->s, j->op->in, row) + in_col + a->nope, (size_t)a->rope * 4);
        }
}

static void absorb_heads(void *arg, uint32_t first, uint32_t n, uint32_t worker)
{
    for (uint32_t i = first; i < first + n; i++) absorb_head(arg, i, worker);
}

remora_status rmr_cpu_absorb(rmr_step *s, const rmr_op *op)
{
    head_job j = {s, op};
    return run_heads(&j, absorb_heads);
}

static void unabsorb_heads(void *arg, uint32_t first, uint32_t n, uint32_t worker)
{
    const head_job *j = arg;
    const rmr_mla *a = j->op->mla;
    for (uint32_t i = first; i < first + n; i++)
        head_product(j->s, j->op, i, (size_t)i * a->rank, (size_t)i * a->v, worker);
}

remora_status rmr_cpu_unabsorb(rmr_step *s, const rmr_op *op)
{
    head_job j = {s, op};
    return run_heads(&j, unabsorb_heads);
}

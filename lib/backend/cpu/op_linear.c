/* Matrix products over all rows. A chunk of the region is a group of weight tiles times every row,
 * so weights are read once and each output element is one chain over K, whatever the batch
 * (docs/numerics.md). */
#include "cpu.h"

#include <string.h>

uint32_t rmr_cpu_tile_group(const rmr_cpu *c, uint32_t n_tiles)
{
    const uint32_t per =
        n_tiles / (4 * rmr_pool_width(c->ctx->pool)); /* about four chunks for each worker */
    return per < 1 ? 1 : per > RMR_LIN_TILES ? RMR_LIN_TILES : per;
}

void rmr_cpu_product(const rmr_cpu *c, const rmr_weight *w, uint32_t index, uint32_t t0, uint32_t n,
                     const rmr_operand *x, uint32_t r0, uint32_t m, float *y, size_t ldy)
{
    const unsigned char *tiles = rmr_weight_at(w, index) + t0 * w->tile_stride;
    const uint32_t k = w->desc.cols;
    if (rmr_is_integer(w))
        c->k->qmatmul[w->desc.elem](y, ldy, x->q + r0 * x->ldq, x->ldq, m, tiles,
                                    (size_t)w->tile_stride, n, k);
    else
        c->k->matmul[w->desc.elem](y, ldy, x->x + r0 * x->ldx, x->ldx, m, tiles,
                                   (size_t)w->tile_stride, n, k, 0);
}

/* ---- y = W x ---- */

typedef struct linear_job {
    rmr_step *s;
    const rmr_op *op;
    rmr_operand x;
    uint32_t n_rows, n_tiles, group;
} linear_job;

static void linear_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    const linear_job *j = arg;
    const rmr_cpu *c = j->s->cpu;
    const rmr_weight *w = j->op->w, *w2 = j->op->kind == RMR_OP_SWIGLU ? j->op->w2 : NULL;
    const uint32_t t0 = chunk * j->group,
                   n = j->n_tiles - t0 < j->group ? j->n_tiles - t0 : j->group;
    const uint32_t col0 = t0 * RMR_TILE, left = w->desc.rows - col0;
    const uint32_t cols = left < n * RMR_TILE ? left : n * RMR_TILE;
    const size_t ld = (size_t)n * RMR_TILE;
    float tmp[RMR_LIN_TMP], tmp2[RMR_LIN_TMP];
    (void)worker;
    for (uint32_t r0 = 0; r0 < j->n_rows; r0 += RMR_LIN_ROWS) {
        const uint32_t m = j->n_rows - r0 < RMR_LIN_ROWS ? j->n_rows - r0 : RMR_LIN_ROWS;
        rmr_cpu_product(c, w, 0, t0, n, &j->x, r0, m, tmp, ld);
        if (w2 != NULL) rmr_cpu_product(c, w2, 0, t0, n, &j->x, r0, m, tmp2, ld);
        for (uint32_t r = 0; r < m; r++) {
            float *y = rmr_row(j->s, j->op->out, r0 + r) + col0;
            if (j->op->bias != NULL) c->k->add(tmp + r * ld, rmr_vector(j->op->bias) + col0, cols);
            if (w2 != NULL)
                c->k->silu_mul(y, tmp + r * ld, tmp2 + r * ld, cols);
            else if (j->op->add)
                c->k->add(y, tmp + r * ld, cols);
            else
                memcpy(y, tmp + r * ld, (size_t)cols * 4);
        }
    }
}

static uint64_t linear_room(const rmr_op *op, uint64_t n_rows)
{
    const uint64_t a = rmr_q_room(op->w, n_rows);
    const uint64_t b = op->kind == RMR_OP_SWIGLU ? rmr_q_room(op->w2, n_rows) : 0;
    return a > b ? a : b;
}

rmr_cpu_scratch rmr_cpu_linear_scratch(const rmr_op *op, const rmr_step_desc *d)
{
    return (rmr_cpu_scratch){
        .q_rows = linear_room(op, op->rows == RMR_ROWS_OUT ? d->max_out : d->max_rows)};
}

void rmr_cpu_linear(rmr_step *s, const rmr_op *op)
{
    const uint32_t k = op->w->desc.cols;
    linear_job j = {s,
                    op,
                    {rmr_row(s, op->in, 0), rmr_width(s, op->in), NULL, rmr_q_stride(k)},
                    rmr_op_rows(s, op),
                    rmr_tiles(op->w->desc.rows),
                    0};
    if (j.n_rows == 0) return;
    rmr_cpu_sums_add(s->cpu, &op->sums, 0, j.x.x, j.x.ldx, NULL, j.n_rows);
    if (linear_room(op, 1) > 0) j.x.q = rmr_cpu_quantized(s, op->in, j.n_rows, k);
    j.group = rmr_cpu_tile_group(s->cpu, j.n_tiles);
    rmr_pool_run(s->cpu->ctx->pool, (j.n_tiles + j.group - 1) / j.group, linear_chunk, &j);
}

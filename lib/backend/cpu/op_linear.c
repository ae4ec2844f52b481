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

typedef struct linear_job {
    rmr_step *s;
    const rmr_op *op;
    uint32_t n_rows, n_tiles, group;
} linear_job;

/* tmp = the tiles [t0, t0 + n) of w times the rows [r0, r0 + m) of in. */
static void product(const linear_job *j, const rmr_weight *w, float *tmp, uint32_t t0, uint32_t n,
                    uint32_t r0, uint32_t m)
{
    j->s->cpu->k->matmul[w->desc.elem](
        tmp, (size_t)n * RMR_TILE, rmr_row(j->s, j->op->in, r0), rmr_width(j->s, j->op->in), m,
        rmr_weight_at(w, 0) + t0 * w->tile_stride, (size_t)w->tile_stride, n, w->desc.cols, 0);
}

static void linear_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    const linear_job *j = arg;
    const rmr_kernels *k = j->s->cpu->k;
    const rmr_weight *w = j->op->w, *w2 = j->op->kind == RMR_OP_SWIGLU ? j->op->w2 : NULL;
    const uint32_t t0 = chunk * j->group,
                   n = j->n_tiles - t0 < j->group ? j->n_tiles - t0 : j->group;
    const uint32_t col0 = t0 * RMR_TILE, left = w->desc.rows - col0;
    const uint32_t cols = left < n * RMR_TILE ? left : n * RMR_TILE;
    float tmp[RMR_LIN_TMP], tmp2[RMR_LIN_TMP];
    (void)worker;
    for (uint32_t r0 = 0; r0 < j->n_rows; r0 += RMR_LIN_ROWS) {
        const uint32_t m = j->n_rows - r0 < RMR_LIN_ROWS ? j->n_rows - r0 : RMR_LIN_ROWS;
        product(j, w, tmp, t0, n, r0, m);
        if (w2 != NULL) product(j, w2, tmp2, t0, n, r0, m);
        for (uint32_t r = 0; r < m; r++) {
            float *y = rmr_row(j->s, j->op->out, r0 + r) + col0;
            const size_t at = (size_t)r * n * RMR_TILE;
            if (j->op->bias != NULL) k->add(tmp + at, rmr_vector(j->op->bias) + col0, cols);
            if (w2 != NULL)
                k->silu_mul(y, tmp + at, tmp2 + at, cols);
            else if (j->op->add)
                k->add(y, tmp + at, cols);
            else
                memcpy(y, tmp + at, (size_t)cols * 4);
        }
    }
}

void rmr_cpu_linear(rmr_step *s, const rmr_op *op)
{
    linear_job j = {s, op, rmr_op_rows(s, op), rmr_tiles(op->w->desc.rows), 0};
    j.group = rmr_cpu_tile_group(s->cpu, j.n_tiles);
    if (j.n_rows > 0)
        rmr_pool_run(s->cpu->ctx->pool, (j.n_tiles + j.group - 1) / j.group, linear_chunk, &j);
}

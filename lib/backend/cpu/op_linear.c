/* SPDX-License-Identifier: Apache-2.0 */
/* Matrix products over all rows. A chunk of the region is a group of weight tiles times every row,
 * so weights are read once and each output element is one chain over K, whatever the batch
 * (docs/numerics.md). */
#include "cpu.h"

#include <string.h>

#include "product.h"
#include "split.h"

uint32_t rmr_cpu_unit(const rmr_cpu *c, uint32_t n_tiles, uint64_t bytes, uint64_t work)
{
    const uint64_t by_bytes = RMR_LIN_CHUNK / (bytes > 0 ? bytes : 1);
    const uint64_t by_work = RMR_ITEM / (work > 0 ? work : 1);
    const uint32_t by_count = n_tiles / (4 * rmr_pool_width(c->ctx->pool));
    const uint64_t least = by_bytes < by_work ? by_bytes : by_work;
    const uint32_t n = least < by_count ? (uint32_t)least : by_count;
    RMR_ASSERT(n_tiles > 0);
    return n > 0 ? (n + 1) & ~1u : 2;
}

/* The work of a tile of the operation, all of whose rows are multiplied by its matrices. */
static uint64_t tile_work(const rmr_op *op, uint32_t n_rows)
{
    return rmr_cpu_tile_work(op->w, n_rows) * (op->kind == RMR_OP_SWIGLU ? 2 : 1);
}

rmr_next_region rmr_cpu_next(const rmr_weight *w, uint32_t index, uint32_t unit)
{
    return (rmr_next_region){rmr_weight_at(w, index), (size_t)w->tile_stride * unit,
                             rmr_units(rmr_tiles(w->desc.rows), unit), RMR_LIN_RANGE};
}

/* The weight that an operation reads first. The experts that will be chosen are not known, but the
 * shared ones are read first. */
static const rmr_weight *first_weight(const rmr_op *op)
{
    switch (op->kind) {
    case RMR_OP_LINEAR:
    case RMR_OP_SWIGLU:
    case RMR_OP_ABSORB:
    case RMR_OP_UNABSORB: return op->w;
    case RMR_OP_EXPERTS_SWIGLU: return op->s1;
    default: return NULL;
    }
}

/* The pool knows regions at one stride: where matrices lie in another way nothing is fetched. */
static rmr_next_region next_heads(const rmr_weight *w)
{
    const uint32_t last = w->desc.count - 1;
    if (rmr_weight_at(w, last) != rmr_weight_at(w, 0) + last * w->stride)
        return (rmr_next_region){0};
    return (rmr_next_region){rmr_weight_at(w, 0), (size_t)w->stride, last + 1, RMR_LIN_RANGE};
}

rmr_next_region rmr_cpu_next_op(const rmr_step *s, const rmr_op *op)
{
    const rmr_op *const end = s->desc.ops + s->desc.n_ops;
    const rmr_weight *w = NULL;
    while (w == NULL && ++op < end) w = first_weight(op);
    if (w == NULL) return (rmr_next_region){0};
    if (op->kind == RMR_OP_ABSORB || op->kind == RMR_OP_UNABSORB) /* a head is a chunk */
        return next_heads(w);
    const uint64_t work = rmr_cpu_tile_work(w, rmr_op_rows(s, op));
    return rmr_cpu_next(w, 0, rmr_cpu_unit(s->cpu, rmr_tiles(w->desc.rows), w->tile_stride, work));
}

void rmr_cpu_product(const rmr_cpu *c, const rmr_weight *w, uint32_t index, uint32_t t0, uint32_t n,
                     const rmr_operand *x, uint32_t r0, uint32_t m, float *y, size_t ldy,
                     const void *next)
{
    const unsigned char *tiles = rmr_tile_at(w, index, t0);
    const uint32_t k = w->desc.cols;
    RMR_ASSERT(n > 0 && m > 0 && t0 + n <= rmr_tiles(w->desc.rows) && ldy >= n * RMR_TILE);
    RMR_ASSERT(rmr_is_integer(w) ? x->q != NULL : x->x != NULL);
    if (rmr_is_integer(w))
        c->k->integer->matmul[w->desc.elem](y, ldy, x->q + r0 * x->ldq, x->ldq, m, tiles,
                                            (size_t)w->tile_stride, n, k, next);
    else
        c->k->product->matmul[w->desc.elem](y, ldy, x->x + r0 * x->ldx, x->ldx, m, tiles,
                                            (size_t)w->tile_stride, n, k, 0, next);
}

/* ---- y = W x ---- */

typedef struct linear_job {
    rmr_step *s;
    const rmr_op *op;
    rmr_operand x;
    uint32_t n_rows, n_tiles, unit;
    rmr_blocks blocks;
} linear_job;

/* Tiles [t0, t0 + n) of rows [r0, end) of the result; `next` are the weights after them. */
static void linear_tiles(const linear_job *j, uint32_t t0, uint32_t n, uint32_t r0, uint32_t end,
                         const void *next)
{
    const rmr_cpu *c = j->s->cpu;
    const rmr_weight *w = j->op->w, *w2 = j->op->kind == RMR_OP_SWIGLU ? j->op->w2 : NULL;
    const uint32_t col0 = t0 * RMR_TILE, left = w->desc.rows - col0;
    const uint32_t cols = left < n * RMR_TILE ? left : n * RMR_TILE;
    const size_t ld = (size_t)n * RMR_TILE;
    float tmp[RMR_LIN_TMP], tmp2[RMR_LIN_TMP];
    RMR_ASSERT(rmr_min_u32(end - r0, RMR_LIN_ROWS) * ld <= RMR_LIN_TMP && end <= j->n_rows);
    RMR_ASSERT(j->op->out.col + col0 + cols <= rmr_width(j->s, j->op->out));
    for (; r0 < end; r0 += RMR_LIN_ROWS) {
        const uint32_t m = rmr_min_u32(end - r0, RMR_LIN_ROWS);
        const void *const first = w2 != NULL ? rmr_tile_at(w2, 0, t0) : next;
        rmr_cpu_product(c, w, 0, t0, n, &j->x, r0, m, tmp, ld, first);
        if (w2 != NULL) rmr_cpu_product(c, w2, 0, t0, n, &j->x, r0, m, tmp2, ld, next);
        for (uint32_t r = 0; r < m; r++) {
            float *y = rmr_row(j->s, j->op->out, r0 + r) + col0;
            if (j->op->bias != NULL)
                c->k->elementwise->add(tmp + r * ld, rmr_vector(j->op->bias) + col0, cols);
            if (w2 != NULL)
                c->k->elementwise->silu_mul(y, tmp + r * ld, tmp2 + r * ld, cols);
            else if (j->op->add)
                c->k->elementwise->add(y, tmp + r * ld, cols);
            else
                memcpy(y, tmp + r * ld, (size_t)cols * 4);
        }
    }
}

static void linear_range(void *arg, uint32_t first, uint32_t n, uint32_t worker)
{
    const linear_job *j = arg;
    const uint32_t most = rmr_lin_tiles(j->n_rows);
    (void)worker;
    while (n > 0) {
        const rmr_part_of_range p = rmr_cpu_take_part(&first, &n, j->blocks.n);
        const uint32_t end = rmr_min_u32(p.unit_end * j->unit, j->n_tiles);
        const uint32_t r0 = p.block * j->blocks.rows,
                       r1 = rmr_min_u32(p.block_end * j->blocks.rows, j->n_rows);
        for (uint32_t t = p.unit * j->unit; t < end; t += most) {
            const uint32_t here = rmr_min_u32(end - t, most), after = t + here;
            linear_tiles(j, t, here, r0, r1,
                         after < j->n_tiles ? rmr_tile_at(j->op->w, 0, after) : NULL);
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

remora_status rmr_cpu_linear(rmr_step *s, const rmr_op *op)
{
    const uint32_t k = op->w->desc.cols;
    RMR_ASSERT(op->n == k && (op->bias == NULL || op->bias->desc.cols == op->w->desc.rows));
    RMR_ASSERT(op->kind != RMR_OP_SWIGLU || op->w2->desc.rows == op->w->desc.rows);
    linear_job j = {s,
                    op,
                    {rmr_row(s, op->in, 0), rmr_width(s, op->in), NULL, rmr_q_stride(k)},
                    rmr_op_rows(s, op),
                    rmr_tiles(op->w->desc.rows),
                    0,
                    {1, 0, 0}};
    if (j.n_rows == 0) return REMORA_OK;
    RMR_CPU_TRY(rmr_cpu_sums_add(s, &op->sums, 0, j.x.x, j.x.ldx, NULL, j.n_rows));
    if (linear_room(op, 1) > 0) RMR_CPU_TRY(rmr_cpu_quantized(s, op->in, j.n_rows, k, &j.x.q));
    const uint64_t work = tile_work(op, j.n_rows);
    j.unit = rmr_cpu_unit(s->cpu, j.n_tiles, op->w->tile_stride, work);
    const uint32_t units = rmr_units(j.n_tiles, j.unit);
    j.blocks = rmr_cpu_blocks(j.n_rows, j.unit * work,
                              rmr_units(4 * rmr_pool_width(s->cpu->ctx->pool), units));
    const rmr_next_region next = rmr_cpu_next_op(s, op);
    return rmr_cpu_region(s,
                          &(rmr_region){.n = units * j.blocks.n,
                                        .most = RMR_LIN_RANGE,
                                        .fn = linear_range,
                                        .arg = &j,
                                        .next = &next},
                          j.blocks.work);
}

remora_status rmr_cpu_swiglu(rmr_step *s, const rmr_op *op)
{
    return rmr_cpu_linear(s, op);
}

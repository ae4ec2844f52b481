/* DeepSeekMoE (facts section 4): out += sum of the chosen experts' SwiGLUs by weight, then the
 * shared experts.
 *
 * Rows are sorted by expert (the shared experts are one more expert that takes every row with
 * weight 1). Two regions: gate and up projections, a chunk being some tiles of one expert; then
 * down projections, a chunk being some output tiles of ALL experts in ascending order, which makes
 * the order of additions to an output element fixed. */
#include "cpu.h"

#include <string.h>

typedef struct experts {
    rmr_step *s;
    const rmr_op *op;
    uint32_t n_lists; /* experts with rows, in ascending order; the shared one last */
    uint32_t *first;  /* [n_lists + 1] index of the first entry of a list */
    uint32_t *expert; /* [n_lists] */
    uint32_t *row;    /* [entries] */
    float *weight;    /* [entries] */
    float *x;         /* [entries][n]: gathered inputs; unused for a single row */
    float *ff;        /* [entries][ff_width] */
    uint32_t ff_width;
    uint32_t routed_tiles, shared_tiles, out_tiles, group, out_group;
} experts;

static uint64_t max_entries(const rmr_moe *m, const rmr_step_desc *d)
{
    return (uint64_t)d->max_rows * (m->n_used + (m->shared_inner > 0));
}

static uint32_t ff_width(const rmr_moe *m)
{
    return m->inner > m->shared_inner ? m->inner : m->shared_inner;
}

/* Lay the lists out in the step's shared scratch; with base NULL only the size. */
static uint64_t carve(experts *e, unsigned char *base, const rmr_op *op, const rmr_step_desc *d)
{
    const uint64_t lists = (uint64_t)op->moe->n_experts + 1, entries = max_entries(op->moe, d);
    const uint64_t bytes[] = {(lists + 1) * 4,
                              lists * 4,
                              entries * 4,
                              entries * 4,
                              d->max_rows > 1 ? entries * op->n * 4 : 0,
                              entries * ff_width(op->moe) * 4};
    uint64_t at[7] = {0};
    for (int i = 0; i < 6; i++) at[i + 1] = at[i] + rmr_round_up(bytes[i], RMR_ALIGN);
    if (base != NULL) {
        e->first = (uint32_t *)(void *)(base + at[0]);
        e->expert = (uint32_t *)(void *)(base + at[1]);
        e->row = (uint32_t *)(void *)(base + at[2]);
        e->weight = (float *)(void *)(base + at[3]);
        e->x = (float *)(void *)(base + at[4]);
        e->ff = (float *)(void *)(base + at[5]);
    }
    return at[6];
}

rmr_cpu_scratch rmr_cpu_experts_scratch(const rmr_op *op, const rmr_step_desc *d)
{
    return (rmr_cpu_scratch){0, carve(NULL, NULL, op, d)};
}

/* Counting sort of (row, slot) by expert: within an expert by row. */
static void sort_rows(experts *e)
{
    const rmr_moe *m = e->op->moe;
    const uint32_t n_rows = e->s->in.n_rows;
    uint32_t *count = e->first, at = 0, n = 0;
    memset(count, 0, ((size_t)m->n_experts + 2) * 4);
    for (uint32_t r = 0; r < n_rows; r++) {
        const uint32_t *ids = (const uint32_t *)(const void *)rmr_row(e->s, e->op->in2, r);
        for (uint32_t i = 0; i < m->n_used; i++) count[ids[i]]++;
    }
    for (uint32_t x = 0; x < m->n_experts; x++) {
        const uint32_t c = count[x];
        count[x] = at;
        at += c;
    }
    for (uint32_t r = 0; r < n_rows; r++) {
        const uint32_t *ids = (const uint32_t *)(const void *)rmr_row(e->s, e->op->in2, r);
        const float *w = rmr_row(e->s, e->op->in3, r);
        for (uint32_t i = 0; i < m->n_used; i++) {
            const uint32_t to = count[ids[i]]++;
            e->row[to] = r;
            e->weight[to] = w[i];
        }
    }
    /* count[x] is now the end of expert x: keep the experts that have rows */
    for (uint32_t x = 0, start = 0; x < m->n_experts; x++) {
        const uint32_t end = count[x];
        if (end == start) continue;
        e->expert[n] = x;
        e->first[n++] = start; /* n <= x: never ahead of what is still to be read */
        start = end;
    }
    e->first[n] = at;
    if (e->op->s1 != NULL) {
        for (uint32_t r = 0; r < n_rows; r++) {
            e->row[at + r] = r;
            e->weight[at + r] = 1.0f;
        }
        e->expert[n++] = m->n_experts;
        e->first[n] = at + n_rows;
    }
    e->n_lists = n;
}

static int is_shared(const experts *e, uint32_t list)
{
    return e->expert[list] == e->op->moe->n_experts;
}

static void gather_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    enum { BLOCK = 16 };
    const experts *e = arg;
    const uint32_t n = e->first[e->n_lists];
    (void)worker;
    for (uint32_t i = chunk * BLOCK; i < (chunk + 1) * BLOCK && i < n; i++)
        memcpy(e->x + (size_t)i * e->op->n, rmr_row(e->s, e->op->in, e->row[i]),
               (size_t)e->op->n * 4);
}

/* Tiles [t0, t0 + n) of gate and up of one list, into ff. */
static void gate_up(const experts *e, uint32_t list, uint32_t t0, uint32_t n)
{
    const int shared = is_shared(e, list);
    const rmr_kernels *k = e->s->cpu->k;
    const rmr_weight *g = shared ? e->op->s1 : e->op->w, *u = shared ? e->op->s2 : e->op->w2;
    const uint32_t index = shared ? 0 : e->expert[list], left = g->desc.rows - t0 * RMR_TILE;
    const uint32_t cols = left < n * RMR_TILE ? left : n * RMR_TILE;
    const size_t ld = (size_t)n * RMR_TILE;
    const int single = e->s->in.n_rows == 1;
    float tmp[RMR_LIN_TMP], tmp2[RMR_LIN_TMP];
    for (uint32_t i = e->first[list]; i < e->first[list + 1]; i += RMR_LIN_ROWS) {
        const uint32_t m =
            e->first[list + 1] - i < RMR_LIN_ROWS ? e->first[list + 1] - i : RMR_LIN_ROWS;
        const float *x = single ? rmr_row(e->s, e->op->in, 0) : e->x + (size_t)i * e->op->n;
        k->matmul[g->desc.elem](tmp, ld, x, e->op->n, m,
                                rmr_weight_at(g, index) + t0 * g->tile_stride,
                                (size_t)g->tile_stride, n, g->desc.cols, 0);
        k->matmul[u->desc.elem](tmp2, ld, x, e->op->n, m,
                                rmr_weight_at(u, index) + t0 * u->tile_stride,
                                (size_t)u->tile_stride, n, u->desc.cols, 0);
        for (uint32_t r = 0; r < m; r++)
            k->silu_mul(e->ff + (size_t)(i + r) * e->ff_width + (size_t)t0 * RMR_TILE, tmp + r * ld,
                        tmp2 + r * ld, cols);
    }
}

/* Chunks are numbered list by list, tile group by tile group. */
static void gate_up_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    const experts *e = arg;
    (void)worker;
    for (uint32_t list = 0; list < e->n_lists; list++) {
        const uint32_t n_tiles = is_shared(e, list) ? e->shared_tiles : e->routed_tiles;
        const uint32_t chunks = (n_tiles + e->group - 1) / e->group, t0 = chunk * e->group;
        if (chunk < chunks) {
            gate_up(e, list, t0, n_tiles - t0 < e->group ? n_tiles - t0 : e->group);
            return;
        }
        chunk -= chunks;
    }
}

static void down_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    const experts *e = arg;
    const rmr_kernels *k = e->s->cpu->k;
    const uint32_t t0 = chunk * e->out_group;
    const uint32_t n = e->out_tiles - t0 < e->out_group ? e->out_tiles - t0 : e->out_group;
    const uint32_t left = e->op->w3->desc.rows - t0 * RMR_TILE;
    const uint32_t cols = left < n * RMR_TILE ? left : n * RMR_TILE;
    const size_t ld = (size_t)n * RMR_TILE;
    float tmp[RMR_LIN_TMP];
    (void)worker;
    for (uint32_t list = 0; list < e->n_lists; list++) {
        const rmr_weight *w = is_shared(e, list) ? e->op->s3 : e->op->w3;
        const unsigned char *at =
            rmr_weight_at(w, is_shared(e, list) ? 0 : e->expert[list]) + t0 * w->tile_stride;
        for (uint32_t i = e->first[list]; i < e->first[list + 1]; i += RMR_LIN_ROWS) {
            const uint32_t m =
                e->first[list + 1] - i < RMR_LIN_ROWS ? e->first[list + 1] - i : RMR_LIN_ROWS;
            k->matmul[w->desc.elem](tmp, ld, e->ff + (size_t)i * e->ff_width, e->ff_width, m, at,
                                    (size_t)w->tile_stride, n, w->desc.cols, 0);
            for (uint32_t r = 0; r < m; r++)
                k->madd(rmr_row(e->s, e->op->out, e->row[i + r]) + (size_t)t0 * RMR_TILE,
                        tmp + r * ld, cols, e->weight[i + r]);
        }
    }
}

void rmr_cpu_experts(rmr_step *s, const rmr_op *op)
{
    experts e = {.s = s, .op = op, .ff_width = ff_width(op->moe)};
    rmr_pool *pool = s->cpu->ctx->pool;
    uint32_t chunks = 0;
    carve(&e, s->shared, op, &s->desc);
    sort_rows(&e);
    if (s->in.n_rows > 1) rmr_pool_run(pool, (e.first[e.n_lists] + 15) / 16, gather_chunk, &e);
    e.routed_tiles = rmr_tiles(op->moe->inner);
    e.shared_tiles = rmr_tiles(op->moe->shared_inner);
    e.group = rmr_cpu_tile_group(s->cpu, e.routed_tiles * e.n_lists);
    for (uint32_t l = 0; l < e.n_lists; l++)
        chunks += ((is_shared(&e, l) ? e.shared_tiles : e.routed_tiles) + e.group - 1) / e.group;
    rmr_pool_run(pool, chunks, gate_up_chunk, &e);
    e.out_tiles = rmr_tiles(op->w3->desc.rows);
    e.out_group = rmr_cpu_tile_group(s->cpu, e.out_tiles);
    rmr_pool_run(pool, (e.out_tiles + e.out_group - 1) / e.out_group, down_chunk, &e);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Multi-head latent attention in the expanded form, for prompts: keys and values of a head are
 * rebuilt from the stored latent, rounding included, one segment of RMR_SEG_TOKENS positions at a
 * time, and used by every row of the run. W_UK is kept once, transposed for the absorbed form; a
 * head's turn begins with writing it as tiles of keys. Rebuilt keys lie 16 positions to a tile,
 * values 16 columns to a tile, so that both products are the matrix kernel: a score is one chain
 * over nope + rope, a value sum one chain over the positions in order.
 *
 * A head's segment is several chunks: parts of the rebuilding, then blocks of rows. What a worker
 * has rebuilt stays in its scratch for its next chunks, also behind a stop, and a worker that comes
 * to rows without it rebuilds first. So parts of the rebuilding change no result: they are there to
 * stop between.
 *
 * A row that sees only part of a segment takes exactly its own positions: no result depends on what
 * is beside it. */
#include "cpu.h"

#include <string.h>

#include "softmax.h"
#include "split.h"
#include "split_segments.h"

enum { ROWS = 48, SEG = RMR_SEG_TOKENS, SEG_TILES = SEG / RMR_TILE };

/* The contents of a worker's scratch. */
typedef struct rebuilt {
    const rmr_run *run; /* NULL: nothing */
    uint32_t head, p0, pages;
} rebuilt;
_Static_assert(sizeof(rebuilt) <= RMR_ALIGN, "room for it");

typedef struct expanded {
    rmr_step *s;
    const rmr_op *op;
    const rmr_run *run;
    uint32_t head;
    rmr_softmax_state *state; /* [n_rows of the run] of the head, in the operation's scratch */
    /* worker scratch */
    rebuilt *has;
    float *uk;            /* W_UK: [nope tiles][rank][16] */
    float *uv;            /* W_UV: [v tiles][rank][16], where the weight's type is not plain */
    float *rows;          /* 16 decoded rows of W_UK or W_UV */
    unsigned char *coded; /* the same rows as stored */
    float *keys;          /* [SEG_TILES][nope + rope][16] */
    float *vals;          /* [v tiles][SEG][16] */
    float *latent;        /* [PAGE][rank + rope] */
    float *nope;          /* [PAGE][nope rounded up to tiles] */
    float *scores;        /* [ROWS][SEG] */
    float *part;          /* [ROWS][v rounded up to tiles] */
} expanded;

static int is_plain(const rmr_weight *w)
{
    return w->desc.elem < RMR_ELEM_PLAIN;
}

/* Lay out a worker's scratch from `base` on; with NULL only its size. */
static uint64_t carve(expanded *e, unsigned char *base, const rmr_op *op)
{
    const rmr_mla *a = op->mla;
    const uint64_t nope = (uint64_t)rmr_tiles(a->nope) * RMR_TILE,
                   v = (uint64_t)rmr_tiles(a->v) * RMR_TILE,
                   uv = is_plain(op->w2) ? 0 : v * a->rank;
    const uint64_t uk_row = rmr_row_bytes(op->w->desc.elem, a->nope);
    const uint64_t uv_row = is_plain(op->w2) ? 0 : rmr_row_bytes(op->w2->desc.elem, a->rank);
    rmr_arena m = {.base = base, .size = UINT64_MAX, .dense = 1};
    e->has = rmr_arena_take(&m, RMR_ALIGN, 1);
    e->uk = rmr_arena_take(&m, nope * a->rank, sizeof(float));
    e->uv = rmr_arena_take(&m, uv, sizeof(float));
    e->rows = rmr_arena_take(&m, RMR_TILE * (uint64_t)(a->nope > a->rank ? a->nope : a->rank),
                             sizeof(float));
    e->coded = rmr_arena_take(&m, RMR_TILE, uk_row > uv_row ? uk_row : uv_row);
    e->keys = rmr_arena_take(&m, SEG * (uint64_t)(a->nope + a->rope), sizeof(float));
    e->vals = rmr_arena_take(&m, SEG * v, sizeof(float));
    e->latent = rmr_arena_take(&m, RMR_PAGE_TOKENS * (uint64_t)(a->rank + a->rope), sizeof(float));
    e->nope = rmr_arena_take(&m, RMR_PAGE_TOKENS * nope, sizeof(float));
    e->scores = rmr_arena_take(&m, (uint64_t)ROWS * SEG, sizeof(float));
    e->part = rmr_arena_take(&m, ROWS * v, sizeof(float));
    return m.used;
}

rmr_cpu_scratch rmr_cpu_expanded_scratch(const rmr_op *op, const rmr_step_desc *d)
{
    expanded e;
    return (rmr_cpu_scratch){.worker = carve(&e, NULL, op),
                             .shared = (uint64_t)op->mla->heads * d->max_rows * sizeof *e.state};
}

/* W_UK from the absorb weight [rank, nope]: a run of 16 values of a row is a line of a key tile. */
static void write_uk(const expanded *e)
{
    const rmr_mla *a = e->op->mla;
    const rmr_weight *w = e->op->w;
    for (uint32_t t = 0; t < rmr_tiles(a->rank); t++) {
        const uint32_t n = a->rank - t * RMR_TILE < RMR_TILE ? a->rank - t * RMR_TILE : RMR_TILE;
        rmr_tile_decode(w->desc.elem, e->rows, rmr_weight_at(w, e->head) + t * w->tile_stride, n,
                        a->nope, e->coded);
        for (uint32_t r = 0; r < n; r++)
            for (uint32_t c = 0; c < a->nope; c += RMR_TILE)
                memcpy(e->uk + ((size_t)c * a->rank + (t * RMR_TILE + r) * RMR_TILE),
                       e->rows + (size_t)r * a->nope + c,
                       (a->nope - c < RMR_TILE ? a->nope - c : RMR_TILE) * sizeof(float));
    }
}

/* W_UV decoded, where the matrix kernels for floats do not take its type. */
static void write_uv(const expanded *e)
{
    const rmr_mla *a = e->op->mla;
    const rmr_weight *w = e->op->w2;
    for (uint32_t t = 0; t < rmr_tiles(a->v); t++) {
        const uint32_t n = a->v - t * RMR_TILE < RMR_TILE ? a->v - t * RMR_TILE : RMR_TILE;
        float *tile = e->uv + (size_t)t * RMR_TILE * a->rank;
        rmr_tile_decode(w->desc.elem, e->rows, rmr_weight_at(w, e->head) + t * w->tile_stride, n,
                        a->rank, e->coded);
        rmr_tile_pack(RMR_ELEM_F32, tile, e->rows, n, a->rank);
    }
}

/* Keys and values of this head for the positions [p0, p0 + n) of one page, into the segment's
 * tiles. */
static void rebuild_page(const expanded *e, uint32_t p0, uint32_t n, uint32_t at)
{
    const rmr_mla *a = e->op->mla;
    const rmr_kernels *k = e->s->cpu->k;
    const rmr_weight *uv = e->op->w2;
    const unsigned char *uv_tiles =
        is_plain(uv) ? rmr_weight_at(uv, e->head) : (const unsigned char *)e->uv;
    const rmr_elem uv_elem = is_plain(uv) ? uv->desc.elem : RMR_ELEM_F32;
    const size_t uv_stride =
        is_plain(uv) ? (size_t)uv->tile_stride : (size_t)a->rank * RMR_TILE * sizeof(float);
    const uint32_t width = a->rank + a->rope, dim = a->nope + a->rope;
    const size_t ld = (size_t)rmr_tiles(a->nope) * RMR_TILE;
    RMR_ASSERT(p0 % RMR_PAGE_TOKENS == 0 && n <= RMR_PAGE_TOKENS && at + n <= SEG);
    const unsigned char *cache = rmr_cache_part(e->s, e->run, e->op, p0);
    if (e->run->kv == RMR_KV_INT8)
        k->kv8->get(e->latent, width, cache, n, a->rank, a->rope);
    else if (e->run->kv == RMR_KV_BF16)
        k->elementwise->from_bf16(e->latent, (const uint16_t *)(const void *)cache, n * width);
    else
        memcpy(e->latent, cache, (size_t)n * width * 4);
    k->product->matmul[RMR_ELEM_F32](e->nope, ld, e->latent, width, n, e->uk,
                                     (size_t)a->rank * RMR_TILE * sizeof(float), rmr_tiles(a->nope),
                                     a->rank, 0, NULL);
    for (uint32_t t = 0; t < rmr_tiles(a->v); t++)
        k->product->matmul[uv_elem](e->vals + ((size_t)t * SEG + at) * RMR_TILE, RMR_TILE,
                                    e->latent, width, n, uv_tiles + t * uv_stride, uv_stride, 1,
                                    a->rank, 0, NULL);
    for (uint32_t i = 0; i < n; i++) {
        float *tile =
            e->keys + (size_t)((at + i) / RMR_TILE) * dim * RMR_TILE + (at + i) % RMR_TILE;
        for (uint32_t d = 0; d < a->nope; d++) tile[(size_t)d * RMR_TILE] = e->nope[i * ld + d];
        for (uint32_t d = 0; d < a->rope; d++)
            tile[(size_t)(a->nope + d) * RMR_TILE] = e->latent[(size_t)i * width + a->rank + d];
    }
}

/* The number of positions that row r of the run sees, of the n positions of the segment at p0. */
static uint32_t seen_of(const expanded *e, uint32_t r, uint32_t p0, uint32_t n)
{
    RMR_ASSERT(e->run->pos0 + r >= p0);
    const uint32_t seen = e->run->pos0 + r + 1 - p0;
    return seen < n ? seen : n;
}

/* Compute the value sums of rows [r0, r0 + m). The positions that all of the rows see are summed
 * for the rows together; then each row goes on with its own chain over the rest of its positions.
 */
static void sum_values(const expanded *e, uint32_t r0, uint32_t m, uint32_t p0, uint32_t n)
{
    const rmr_kernels *k = e->s->cpu->k;
    const uint32_t v_tiles = rmr_tiles(e->op->mla->v), seen = seen_of(e, r0, p0, n);
    const uint32_t all = seen == seen_of(e, r0 + m - 1, p0, n) ? seen : seen & ~1u;
    const size_t ld = (size_t)v_tiles * RMR_TILE, stride = (size_t)SEG * RMR_TILE * sizeof(float);
    k->product->matmul[RMR_ELEM_F32](e->part, ld, e->scores, SEG, m, e->vals, stride, v_tiles, all,
                                     0, NULL);
    for (uint32_t i = 0; i < m; i++) {
        const uint32_t rest = seen_of(e, r0 + i, p0, n) - all;
        if (rest > 0)
            k->product->matmul[RMR_ELEM_F32](
                e->part + i * ld, ld, e->scores + (size_t)i * SEG + all, SEG, 1,
                e->vals + (size_t)all * RMR_TILE, stride, v_tiles, rest, 1, NULL);
    }
}

/* Rows [r0, r0 + m) of the run against the rebuilt segment at p0; `n` positions of it exist in the
 * cache. */
static void attend_rows(const expanded *e, uint32_t r0, uint32_t m, uint32_t p0, uint32_t n)
{
    const rmr_mla *a = e->op->mla;
    const rmr_kernels *k = e->s->cpu->k;
    const uint32_t dim = a->nope + a->rope, row0 = e->run->row0 + r0;
    const size_t ld = (size_t)rmr_tiles(a->v) * RMR_TILE;
    float max[ROWS], sum[ROWS];
    k->product->matmul[RMR_ELEM_F32](
        e->scores, SEG, rmr_row(e->s, e->op->in, row0) + (size_t)e->head * dim,
        rmr_width(e->s, e->op->in), m, e->keys, (size_t)dim * RMR_TILE * 4,
        rmr_tiles(seen_of(e, r0 + m - 1, p0, n)), dim, 0, NULL);
    for (uint32_t i = 0; i < m; i++) {
        const uint32_t seen = seen_of(e, r0 + i, p0, n);
        float *p = e->scores + (size_t)i * SEG;
        k->elementwise->scale(p, seen, a->scale);
        max[i] = k->elementwise->max(p, seen);
        sum[i] = k->elementwise->exp_sum(p, seen, max[i]);
    }
    sum_values(e, r0, m, p0, n);
    for (uint32_t i = 0; i < m; i++) {
        float *const y = rmr_row(e->s, e->op->out, row0 + i) + (size_t)e->head * a->v;
        rmr_softmax_state *const st = &e->state[r0 + i];
        rmr_softmax_merge(k, st, p0 == 0, y, e->part + i * ld, a->v, max[i], sum[i]);
        if (e->run->pos0 + r0 + i < p0 + SEG) k->elementwise->scale(y, a->v, 1.0f / st->sum);
    }
}

/* Begin the head's segment at p0, of which n positions exist. */
static void begin_segment(const expanded *e, uint32_t p0, uint32_t n)
{
    const uint32_t dim = e->op->mla->nope + e->op->mla->rope, last = n % RMR_TILE;
    const int same_head = e->has->run != NULL && e->has->head == e->head;
    if (!same_head) write_uk(e);
    if (!same_head && !is_plain(e->op->w2)) write_uv(e);
    if (last != 0) /* the unused lanes of the last key tile: defined, never looked at */
        memset(e->keys + (size_t)(n / RMR_TILE) * dim * RMR_TILE, 0, (size_t)dim * RMR_TILE * 4);
    *e->has = (rebuilt){e->run, e->head, p0, 0};
}

/* Rebuild what the scratch lacks of the first so many pages of that segment. */
static void rebuild(const expanded *e, uint32_t p0, uint32_t n, uint32_t pages)
{
    rebuilt *const has = e->has;
    if (has->run != e->run || has->head != e->head || has->p0 != p0) begin_segment(e, p0, n);
    for (; has->pages < pages && has->pages * RMR_PAGE_TOKENS < n; has->pages++) {
        const uint32_t at = has->pages * RMR_PAGE_TOKENS;
        rebuild_page(e, p0 + at, rmr_min_u32(n - at, RMR_PAGE_TOKENS), at);
    }
}

/* A region: the segments at positions in [from, to), several only where a head's are one chunk. */
typedef struct expanded_job {
    rmr_step *s;
    const rmr_op *op;
    uint32_t from, to;
    uint32_t parts, pages;  /* of the rebuilding, each of so many pages */
    uint32_t blocks, block; /* of rows, each of so many */
} expanded_job;

/* The first row of a run that sees the position p0. */
static uint32_t first_row(const rmr_run *run, uint32_t p0)
{
    return p0 > run->pos0 ? p0 - run->pos0 : 0;
}

static uint32_t end_of(const rmr_run *run)
{
    return run->pos0 + run->n_rows;
}

/* Chunk i of a head: a part of the rebuilding or a block of rows. */
static void attend_head(const expanded *e, const expanded_job *j, uint32_t i)
{
    const uint32_t end = rmr_min_u32(end_of(e->run), j->to);
    for (uint32_t p0 = j->from; p0 < end; p0 += SEG) {
        const uint32_t n = rmr_min_u32(end_of(e->run) - p0, SEG);
        if (i < j->parts) {
            rebuild(e, p0, n, (i + 1) * j->pages);
            continue;
        }
        uint32_t r = first_row(e->run, p0) + (i - j->parts) * j->block;
        const uint32_t to = i + 1 < j->parts + j->blocks ? r + j->block : e->run->n_rows;
        if (r >= e->run->n_rows) return;
        rebuild(e, p0, n, SEG / RMR_PAGE_TOKENS);
        for (const uint32_t r1 = rmr_min_u32(to, e->run->n_rows); r < r1; r += ROWS)
            attend_rows(e, r, rmr_min_u32(r1 - r, ROWS), p0, n);
    }
}

static const rmr_run *expanded_run(const rmr_step *s, uint32_t at)
{
    const rmr_run *run = s->in.run;
    for (;; run++) {
        RMR_ASSERT(run < s->in.run + s->in.n_runs);
        if (run->form == RMR_FORM_EXPANDED && at-- == 0) return run;
    }
}

static expanded scratch_of(rmr_step *s, const rmr_op *op, uint32_t worker)
{
    expanded e = {.s = s, .op = op};
    RMR_ASSERT(carve(&e, NULL, op) <= s->worker_bytes);
    carve(&e, s->worker + worker * s->worker_bytes, op);
    return e;
}

/* Chunks are numbered run by run, head by head. */
static void expanded_range(void *arg, uint32_t first, uint32_t n, uint32_t worker)
{
    const expanded_job *j = arg;
    const uint32_t heads = j->op->mla->heads, of_head = j->parts + j->blocks;
    expanded e = scratch_of(j->s, j->op, worker);
    for (uint32_t i = first; i < first + n; i++) {
        e.head = i / of_head % heads;
        e.run = expanded_run(j->s, i / of_head / heads);
        e.state = (rmr_softmax_state *)(void *)j->s->shared + (size_t)e.head * j->s->in.n_rows +
                  e.run->row0;
        attend_head(&e, j, i % of_head);
    }
}

static uint64_t rebuild_work(const rmr_mla *a)
{
    return (uint64_t)SEG * a->rank * (a->nope + a->v);
}

static uint64_t rows_work(const rmr_mla *a, uint32_t rows)
{
    return (uint64_t)SEG * rows * (a->nope + a->rope + a->v);
}

/* Choose the chunks of the region that begins at j->from: `rows` see it, at most, of a run. Returns
 * the multiplications of a chunk. */
static uint64_t cut_heads(expanded_job *j, uint32_t rows)
{
    enum { PAGES = SEG / RMR_PAGE_TOKENS };
    const rmr_mla *a = j->op->mla;
    const uint64_t all = rebuild_work(a) + rows_work(a, rows);
    if (all <= RMR_ITEM_FLOATS) {
        const uint64_t n = RMR_ITEM_FLOATS / all;
        j->parts = 0;
        j->blocks = 1;
        j->to = j->from + SEG * (uint32_t)(n < RMR_STRETCH ? n : RMR_STRETCH);
        return n * all;
    }
    const uint64_t parts = (rebuild_work(a) + RMR_ITEM_FLOATS - 1) / RMR_ITEM_FLOATS;
    const uint64_t passes = RMR_ITEM_FLOATS / rows_work(a, ROWS);
    j->pages = parts < PAGES ? rmr_units(PAGES, (uint32_t)parts) : 1;
    j->parts = rmr_units(PAGES, j->pages);
    j->block = ROWS * (passes > 0 ? (uint32_t)passes : 1);
    j->blocks = rmr_units(rows, j->block);
    j->to = j->from + SEG;
    return RMR_ITEM_FLOATS;
}

/* Nothing is in the scratch of any worker. */
static void clear_scratch(rmr_step *s, const rmr_op *op)
{
    const uint32_t width = rmr_pool_width(s->cpu->ctx->pool);
    for (uint32_t w = 0; w < width; w++) *scratch_of(s, op, w).has = (rebuilt){0};
}

remora_status rmr_cpu_attend_expanded(rmr_step *s, const rmr_op *op)
{
    expanded_job j = {.s = s, .op = op};
    uint32_t runs = 0, end = 0;
    for (uint32_t i = 0; i < s->in.n_runs; i++) {
        const rmr_run *r = &s->in.run[i];
        if (r->form != RMR_FORM_EXPANDED) continue;
        runs++;
        if (end_of(r) > end) end = end_of(r);
    }
    if (rmr_cpu_is_new(s)) clear_scratch(s, op);
    for (; j.from < end; j.from = j.to) {
        uint32_t rows = 0;
        for (uint32_t i = 0; i < runs; i++) {
            const rmr_run *r = expanded_run(s, i);
            const uint32_t first = first_row(r, j.from);
            if (first < r->n_rows && r->n_rows - first > rows) rows = r->n_rows - first;
        }
        const uint64_t work = cut_heads(&j, rows);
        RMR_CPU_TRY(rmr_cpu_region(s,
                                   &(rmr_region){.n = runs * op->mla->heads * (j.parts + j.blocks),
                                                 .most = RMR_LIN_RANGE,
                                                 .fn = expanded_range,
                                                 .arg = &j},
                                   RMR_FLOATS * work));
    }
    return REMORA_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Grouped-query attention (docs/models.md, "Grouped attention"): the query heads of a group share
 * one key head and one value head, which lie in the cache as [keys of all heads | values of all
 * heads].
 *
 * Segments, softmax and merging are those of op_attend.c; a score is dot16 over a head, a value sum
 * one chain over the positions in order. A result depends on its query and on the cache alone, so
 * prompts and single tokens take the same form and are only cut differently: a chunk is some rows
 * of a run times some heads of one group, as many as share a pass over the keys and values while
 * they lie in the nearest cache. */
#include "cpu.h"

#include <string.h>

#include "softmax.h"
#include "split.h"
#include "split_segments.h"

enum { QUERIES = 32 }; /* rows times heads of a chunk, at most */

/* The sizes of a region's chunks. */
typedef struct grouped_job {
    rmr_step *s;
    const rmr_op *op;
    uint32_t group;    /* query heads of a kv head */
    uint32_t nh, nr;   /* heads and rows of a chunk, at most */
    uint32_t blocks;   /* of heads, all groups together */
    uint32_t from, to; /* positions of the region under way, whole segments */
} grouped_job;

/* One chunk: rows [row0, row0 + nr) of a run, heads [h0, h0 + nh) of kv head `kv`, all counted from
 * the operation's first. */
typedef struct grouped {
    const grouped_job *j;
    const rmr_run *run;
    uint32_t row0, nr, h0, nh, kv;
    float *q;      /* [QUERIES][room of head_dim], rows side by side */
    float *scores; /* [QUERIES][SEG] */
    float *part;   /* [QUERIES][head_dim] */
    float max[QUERIES], sum[QUERIES];
} grouped;

rmr_cpu_scratch rmr_cpu_grouped_scratch(const rmr_op *op, const rmr_step_desc *d)
{
    const uint32_t dim = op->gqa->head_dim;
    return (rmr_cpu_scratch){
        .worker = (uint64_t)QUERIES * (RMR_SEG_TOKENS + dim + rmr_pairs_room(dim)) * 4,
        .shared = (uint64_t)d->max_rows * op->gqa->heads * sizeof(rmr_softmax_state)};
}

/* The number of positions that the i-th row of the chunk sees in the segment at p0. */
static uint32_t seen_of(const grouped *g, uint32_t i, uint32_t p0)
{
    const uint32_t end = g->j->s->in.pos[g->row0 + i] + 1; /* causal: itself and all before */
    if (end <= p0) return 0;
    return end - p0 < RMR_SEG_TOKENS ? end - p0 : RMR_SEG_TOKENS;
}

/* Scores, or with `values` value sums, of the rows [i, i + m) of the chunk over the positions
 * [p0 + at, p0 + at + n) of one segment, from the beginning of a page on. */
static void product(const grouped *g, uint32_t i, uint32_t m, uint32_t p0, uint32_t at, uint32_t n,
                    int values)
{
    const grouped_job *j = g->j;
    const rmr_gqa *a = j->op->gqa;
    const rmr_kernels *k = j->s->cpu->k;
    const int bf16 = g->run->kv == RMR_KV_BF16;
    const uint32_t width = rmr_cache_width(j->s, j->op), dim = a->head_dim, first = i * g->nh;
    const size_t ld_q = rmr_pairs_room(dim);
    const size_t col = ((size_t)(values ? a->kv_heads : 0) + j->op->kv_first + g->kv) * dim;
    const void *pages[RMR_SEG_TOKENS / RMR_PAGE_TOKENS + 1];
    float *p = g->scores + (size_t)first * RMR_SEG_TOKENS + at;
    uint32_t page = 0;
    for (; page * RMR_PAGE_TOKENS < n; page++)
        pages[page] = rmr_cache_row(j->s, g->run, j->op, p0 + at + page * RMR_PAGE_TOKENS) +
                      col * (bf16 ? 2 : 4);
    pages[page] = pages[0];
    if (values)
        (bf16 ? k->attention->wsum_bf16 : k->attention->wsum_f32)(
            g->part + (size_t)first * dim, dim, p, m * g->nh, pages, width, n, dim);
    else
        (bf16 ? k->attention->scores_bf16 : k->attention->scores_f32)(
            p, g->q + (size_t)first * ld_q, ld_q, m * g->nh, pages, width, n, dim, a->scale);
}

/* All rows: together over the pages that the first sees to their ends, for the others see more, and
 * then each over its own positions. */
static void products(const grouped *g, uint32_t p0, int values)
{
    const uint32_t all = seen_of(g, 0, p0) / RMR_PAGE_TOKENS * RMR_PAGE_TOKENS;
    if (all > 0) product(g, 0, g->nr, p0, 0, all, values);
    for (uint32_t i = 0; i < g->nr; i++) {
        const uint32_t seen = seen_of(g, i, p0);
        if (seen > all) product(g, i, 1, p0, all, seen - all, values);
    }
}

static void segment(grouped *g, uint32_t p0)
{
    const rmr_kernels *k = g->j->s->cpu->k;
    const uint32_t dim = g->j->op->gqa->head_dim;
    products(g, p0, 0);
    for (uint32_t i = 0; i < g->nr * g->nh; i++) {
        const uint32_t seen = seen_of(g, i / g->nh, p0);
        if (seen == 0) continue;
        g->max[i] = k->elementwise->max(g->scores + (size_t)i * RMR_SEG_TOKENS, seen);
        g->sum[i] =
            k->elementwise->exp_sum(g->scores + (size_t)i * RMR_SEG_TOKENS, seen, g->max[i]);
    }
    memset(g->part, 0, (size_t)g->nr * g->nh * dim * 4);
    products(g, p0, 1);
}

static float *out_of(const grouped *g, uint32_t i)
{
    const rmr_op *op = g->j->op;
    return rmr_row(g->j->s, op->out, g->row0 + i / g->nh) +
           (size_t)(g->h0 + i % g->nh) * op->gqa->head_dim;
}

/* [rows][heads] in the operation's scratch. */
static rmr_softmax_state *state_of(const grouped *g, uint32_t i)
{
    rmr_softmax_state *const all = (rmr_softmax_state *)(void *)g->j->s->shared;
    return all + (size_t)(g->row0 + i / g->nh) * g->j->op->gqa->heads + g->h0 + i % g->nh;
}

static void place_queries(grouped *g)
{
    const rmr_op *op = g->j->op;
    const uint32_t dim = op->gqa->head_dim;
    for (uint32_t i = 0; i < g->nr * g->nh; i++) {
        const float *const from =
            rmr_row(g->j->s, op->in, g->row0 + i / g->nh) + (size_t)(g->h0 + i % g->nh) * dim;
        rmr_cpu_place_query(g->j->s->cpu->k, g->run->kv, g->q + (size_t)i * rmr_pairs_room(dim),
                            from, dim);
    }
}

static void attend(grouped *g)
{
    const rmr_kernels *k = g->j->s->cpu->k;
    const uint32_t dim = g->j->op->gqa->head_dim, n_queries = g->nr * g->nh;
    const uint32_t end = g->j->s->in.pos[g->row0 + g->nr - 1] + 1;
    if (g->j->from >= end) return;
    place_queries(g);
    for (uint32_t p0 = g->j->from; p0 < end && p0 < g->j->to; p0 += RMR_SEG_TOKENS) {
        segment(g, p0);
        for (uint32_t i = 0; i < n_queries; i++)
            if (seen_of(g, i / g->nh, p0) > 0)
                rmr_softmax_merge(k, state_of(g, i), p0 == 0, out_of(g, i),
                                  g->part + (size_t)i * dim, dim, g->max[i], g->sum[i]);
    }
    for (uint32_t i = 0; i < n_queries && end <= g->j->to; i++)
        k->elementwise->scale(out_of(g, i), dim, 1.0f / state_of(g, i)->sum);
}

/* Chunks are numbered run by run, block of rows by block of rows, block of heads by block of heads.
 */
static void grouped_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    const grouped_job *j = arg;
    const uint32_t block = chunk % j->blocks, per_group = rmr_units(j->group, j->nh);
    const uint32_t first = block % per_group * j->nh;
    uint32_t at = chunk / j->blocks;
    grouped g = {.j = j, .run = j->s->in.run, .kv = block / per_group};
    g.h0 = g.kv * j->group + first;
    g.nh = j->group - first < j->nh ? j->group - first : j->nh;
    while (at >= rmr_units(g.run->n_rows, j->nr)) at -= rmr_units(g.run++->n_rows, j->nr);
    RMR_ASSERT(g.run < j->s->in.run + j->s->in.n_runs);
    g.row0 = g.run->row0 + at * j->nr;
    g.nr = g.run->n_rows - at * j->nr < j->nr ? g.run->n_rows - at * j->nr : j->nr;
    g.scores = (float *)(void *)(j->s->worker + worker * j->s->worker_bytes);
    g.part = g.scores + (size_t)QUERIES * RMR_SEG_TOKENS;
    g.q = g.part + (size_t)QUERIES * j->op->gqa->head_dim;
    RMR_ASSERT(g.nr > 0 && g.nh > 0 && g.nr * g.nh <= QUERIES && g.kv < j->op->gqa->kv_heads);
    attend(&g);
}

/* All heads of a group together, unless that leaves workers without a chunk. */
static uint32_t cut(grouped_job *j, uint32_t nh)
{
    uint32_t n = 0;
    j->nh = nh;
    j->nr = QUERIES / nh;
    j->blocks = rmr_op_kv_heads(j->op) * rmr_units(j->group, nh);
    for (uint32_t i = 0; i < j->s->in.n_runs; i++) n += rmr_units(j->s->in.run[i].n_rows, j->nr);
    return n * j->blocks;
}

remora_status rmr_cpu_attend_grouped(rmr_step *s, const rmr_op *op)
{
    grouped_job j = {.s = s, .op = op, .group = op->gqa->heads / op->gqa->kv_heads};
    uint32_t n = cut(&j, j.group < QUERIES ? j.group : QUERIES);
    while (n < rmr_pool_width(s->cpu->ctx->pool) && j.nh > 1) n = cut(&j, (j.nh + 1) / 2);
    uint32_t end = 0;
    for (uint32_t i = 0; i < s->in.n_rows; i++)
        if (s->in.pos[i] >= end) end = s->in.pos[i] + 1;
    const uint64_t work = (uint64_t)QUERIES * 2 * op->gqa->head_dim; /* of a chunk, a position */
    const uint32_t segs = (uint32_t)(RMR_ITEM_MOST / (work * RMR_SEG_TOKENS)),
                   stretch = (segs < 1 ? 1 : rmr_min_u32(segs, RMR_STRETCH)) * RMR_SEG_TOKENS;
    for (; j.from < end; j.from = j.to) {
        j.to = j.from + stretch;
        RMR_CPU_TRY(rmr_cpu_chunks(s, n, grouped_chunk, &j, work * rmr_min_u32(end, stretch)));
    }
    return REMORA_OK;
}

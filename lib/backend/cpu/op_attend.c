/* Multi-head latent attention in the absorbed form (facts section 2.5): every head is a query of
 * width rank + rope against one shared key [latent | rope key], and the value is the latent itself.
 *
 * Attention walks the cache in segments of RMR_SEG_TOKENS positions, in order: each segment has its
 * own maximum, sum and value sum, and is then merged into the running ones. The segment borders are
 * absolute positions, so the result depends on the cache and the query alone.
 *
 * A unit is one row and one group of heads that share a pass over the cache. Many units are the
 * chunks of one region. With few of them (decoding) segments are chunks of their own, as many at a
 * time as there is room for their results, which are then merged in order: the same operations. */
#include "cpu.h"

#include <string.h>

#include "softmax.h"

enum {
    GROUP = RMR_KV8_HEADS,
    CUT_UNITS = 32,   /* at most so many units are cut */
    CUT_SEGMENTS = 64 /* into so many segments at a time, all together */
};

typedef struct latent_job {
    rmr_step *s;
    const rmr_op *op;
    uint32_t groups, units;
    uint32_t seg0, n_segs; /* the segments under way of every unit, where units are cut */
    /* in the operation's scratch, where units are cut */
    unsigned char *query;     /* of each unit, 8-bit cache */
    float *result;            /* [units][n_segs] results of segments */
    rmr_softmax_state *state; /* [units][GROUP] */
} latent_job;

typedef struct unit {
    const rmr_run *run;
    uint32_t row, h0, nh;
    uint32_t n; /* positions it sees: causal, its own and all before */
} unit;

/* The result of a segment: value sums [GROUP][rank], maxima and sums [GROUP]. */
static size_t result_floats(const rmr_mla *a)
{
    return (size_t)GROUP * (a->rank + 2);
}

static size_t query_bytes(const rmr_mla *a)
{
    return (size_t)rmr_round_up(rmr_kv8_query_bytes(a->rank, a->rope), RMR_ALIGN);
}

/* Worker scratch: a result, a query of the 8-bit cache or scores [GROUP][SEG] of the others. */
rmr_cpu_scratch rmr_cpu_latent_scratch(const rmr_op *op, const rmr_step_desc *d)
{
    const uint64_t result = result_floats(op->mla) * 4, query = query_bytes(op->mla),
                   scores = (uint64_t)GROUP * RMR_SEG_TOKENS * 4;
    rmr_cpu_scratch need = {.worker = result + (query > scores ? query : scores)};
    if ((uint64_t)d->max_pages * RMR_PAGE_TOKENS > RMR_SEG_TOKENS)
        need.shared = CUT_SEGMENTS * result + CUT_UNITS * query +
                      CUT_UNITS * GROUP * sizeof(rmr_softmax_state);
    return need;
}

/* Units are numbered run by run, row by row, head group by head group. */
static unit unit_of(const latent_job *j, uint32_t i)
{
    const uint32_t heads = j->op->mla->heads, h0 = i % j->groups * GROUP;
    uint32_t at = i / j->groups;
    const rmr_run *run = j->s->in.run;
    for (;; run++) {
        if (run->form != RMR_FORM_ABSORBED) continue;
        if (at < run->n_rows) break;
        at -= run->n_rows;
    }
    const uint32_t row = run->row0 + at;
    return (unit){run, row, h0, heads - h0 < GROUP ? heads - h0 : GROUP, j->s->in.pos[row] + 1};
}

static float *query_of(const latent_job *j, const unit *u)
{
    const rmr_mla *a = j->op->mla;
    return rmr_row(j->s, j->op->in, u->row) + (size_t)u->h0 * (a->rank + a->rope);
}

static void quantize(const latent_job *j, const unit *u, void *to)
{
    const rmr_mla *a = j->op->mla;
    if (u->run->kv == RMR_KV_INT8)
        j->s->cpu->k->kv8_query(to, query_of(j, u), (size_t)a->rank + a->rope, u->nh, a->rank,
                                a->rope, a->scale);
}

/* The n positions of one segment, plain types; behind its pages comes one that will be read soon.
 */
static void segment_plain(const latent_job *j, const unit *u, const void *const *pages, uint32_t n,
                          float *scores, float *result)
{
    const rmr_mla *a = j->op->mla;
    const rmr_kernels *k = j->s->cpu->k;
    const uint32_t width = a->rank + a->rope;
    const int bf16 = u->run->kv == RMR_KV_BF16;
    rmr_scores_fn *const score = bf16 ? k->scores_bf16 : k->scores_f32;
    rmr_wsum_fn *const wsum = bf16 ? k->wsum_bf16 : k->wsum_f32;
    float *const max = result + (size_t)GROUP * a->rank, *const sum = max + GROUP;
    for (uint32_t i = 0; i < n; i += RMR_PAGE_TOKENS) {
        const uint32_t page = i / RMR_PAGE_TOKENS;
        score(scores + i, RMR_SEG_TOKENS, query_of(j, u), width, u->nh, pages[page], width,
              n - i < RMR_PAGE_TOKENS ? n - i : RMR_PAGE_TOKENS, width, a->scale, pages[page + 1]);
    }
    for (uint32_t h = 0; h < u->nh; h++) {
        max[h] = k->max(scores + (size_t)h * RMR_SEG_TOKENS, n);
        sum[h] = k->exp_sum(scores + (size_t)h * RMR_SEG_TOKENS, n, max[h]);
    }
    memset(result, 0, (size_t)u->nh * a->rank * 4);
    for (uint32_t i = 0; i < n; i += RMR_PAGE_TOKENS)
        wsum(result, a->rank, scores + i, RMR_SEG_TOKENS, u->nh, pages[i / RMR_PAGE_TOKENS], width,
             n - i < RMR_PAGE_TOKENS ? n - i : RMR_PAGE_TOKENS, a->rank);
}

static uint32_t positions_of(const unit *u, uint32_t seg)
{
    const uint32_t p0 = seg * RMR_SEG_TOKENS;
    return u->n - p0 < RMR_SEG_TOKENS ? u->n - p0 : RMR_SEG_TOKENS;
}

/* The pages of a segment, at most `most`; returns how many. */
static uint32_t pages_of(const latent_job *j, const unit *u, uint32_t seg, uint32_t most,
                         const void **pages)
{
    const uint32_t n = positions_of(u, seg);
    uint32_t i = 0;
    for (; i < most && i * RMR_PAGE_TOKENS < n; i++)
        pages[i] = rmr_cache_layer(j->s, u->run, j->op, seg * RMR_SEG_TOKENS + i * RMR_PAGE_TOKENS);
    return i;
}

/* One segment; `scratch` holds the query of the 8-bit cache, or takes scores. The worker will most
 * likely go on with segment `seg2` of unit u2, or (NULL) with something else. */
static void segment(const latent_job *j, const unit *u, uint32_t seg, unsigned char *scratch,
                    float *result, const unit *u2, uint32_t seg2)
{
    enum { PAGES = RMR_SEG_TOKENS / RMR_PAGE_TOKENS };
    const rmr_mla *a = j->op->mla;
    const void *pages[2 * PAGES];
    const uint32_t n = positions_of(u, seg), n_pages = pages_of(j, u, seg, PAGES, pages);
    memcpy(pages + n_pages, pages, n_pages * sizeof *pages);
    if (u2 != NULL) pages_of(j, u2, seg2, n_pages, pages + n_pages);
    if (u->run->kv != RMR_KV_INT8) {
        segment_plain(j, u, pages, n, (float *)(void *)scratch, result);
        return;
    }
    float *const max = result + (size_t)GROUP * a->rank;
    j->s->cpu->k->kv8_attend(result, a->rank, max, max + GROUP, scratch, u->nh, pages, n, a->rank,
                             a->rope);
}

/* Merge the result of a segment into head h of the unit. */
static void merge(const latent_job *j, const unit *u, uint32_t h, uint32_t seg, const float *result,
                  rmr_softmax_state *state)
{
    const rmr_mla *a = j->op->mla;
    const rmr_kernels *k = j->s->cpu->k;
    const float *const max = result + (size_t)GROUP * a->rank, *const sum = max + GROUP;
    float *z = rmr_row(j->s, j->op->out, u->row) + (size_t)(u->h0 + h) * a->rank;
    rmr_softmax_merge(k, state, seg == 0, z, result + (size_t)h * a->rank, a->rank, max[h], sum[h]);
    if ((seg + 1) * RMR_SEG_TOKENS >= u->n) k->scale(z, a->rank, 1.0f / state->sum);
}

static void whole_chunk(void *arg, uint32_t i, uint32_t worker)
{
    const latent_job *j = arg;
    const unit u = unit_of(j, i);
    float *const result = (float *)(void *)(j->s->worker + worker * j->s->worker_bytes);
    unsigned char *const scratch = (unsigned char *)(result + result_floats(j->op->mla));
    rmr_softmax_state state[GROUP];
    quantize(j, &u, scratch);
    for (uint32_t seg = 0; seg * RMR_SEG_TOKENS < u.n; seg++) {
        const int more = (seg + 1) * RMR_SEG_TOKENS < u.n;
        segment(j, &u, seg, scratch, result, more ? &u : NULL, seg + 1);
        for (uint32_t h = 0; h < u.nh; h++) merge(j, &u, h, seg, result, &state[h]);
    }
}

/* ---- units cut into segments ---- */

static void query_chunk(void *arg, uint32_t i, uint32_t worker)
{
    const latent_job *j = arg;
    const unit u = unit_of(j, i);
    (void)worker;
    quantize(j, &u, j->query + i * query_bytes(j->op->mla));
}

/* Whether a chunk is a segment that its unit has. */
static int segment_of(const latent_job *j, uint32_t chunk, unit *u, uint32_t *seg)
{
    if (chunk >= j->units * j->n_segs) return 0;
    *u = unit_of(j, chunk % j->units);
    *seg = j->seg0 + chunk / j->units;
    return *seg * RMR_SEG_TOKENS < u->n;
}

/* Workers take segments in turn, as a rule. */
static void segment_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    const latent_job *j = arg;
    const rmr_mla *a = j->op->mla;
    const uint32_t i = chunk % j->units;
    unit u, u2;
    uint32_t seg, seg2 = 0;
    if (!segment_of(j, chunk, &u, &seg)) return;
    const int more = segment_of(j, chunk + rmr_pool_width(j->s->cpu->ctx->pool), &u2, &seg2);
    segment(j, &u, seg,
            u.run->kv == RMR_KV_INT8
                ? j->query + i * query_bytes(a)
                : j->s->worker + worker * j->s->worker_bytes + result_floats(a) * 4,
            j->result + ((size_t)i * j->n_segs + seg - j->seg0) * result_floats(a),
            more ? &u2 : NULL, seg2);
}

/* One head of a unit. */
static void merge_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    const latent_job *j = arg;
    const uint32_t i = chunk / GROUP, h = chunk % GROUP;
    const unit u = unit_of(j, i);
    (void)worker;
    for (uint32_t seg = 0; h < u.nh && seg < j->n_segs; seg++)
        if ((j->seg0 + seg) * RMR_SEG_TOKENS < u.n)
            merge(j, &u, h, j->seg0 + seg,
                  j->result + ((size_t)i * j->n_segs + seg) * result_floats(j->op->mla),
                  &j->state[chunk]);
}

static void attend_cut(latent_job *j, uint32_t segs)
{
    rmr_pool *pool = j->s->cpu->ctx->pool;
    const rmr_mla *a = j->op->mla;
    j->query = j->s->shared;
    j->result = (float *)(void *)(j->query + CUT_UNITS * query_bytes(a));
    j->state = (rmr_softmax_state *)(void *)(j->result + CUT_SEGMENTS * result_floats(a));
    rmr_pool_run(pool, j->units, query_chunk, j);
    const uint32_t at_once = CUT_SEGMENTS / j->units;
    for (j->seg0 = 0; j->seg0 < segs; j->seg0 += at_once) {
        j->n_segs = segs - j->seg0 < at_once ? segs - j->seg0 : at_once;
        rmr_pool_run(pool, j->units * j->n_segs, segment_chunk, j);
        rmr_pool_run(pool, j->units * GROUP, merge_chunk, j);
    }
}

void rmr_cpu_attend_latent(rmr_step *s, const rmr_op *op)
{
    latent_job j = {.s = s, .op = op, .groups = (op->mla->heads + GROUP - 1) / GROUP};
    const uint32_t width = rmr_pool_width(s->cpu->ctx->pool);
    uint32_t rows = 0, most = 0; /* positions that a row sees */
    for (uint32_t i = 0; i < s->in.n_runs; i++) {
        const rmr_run *run = &s->in.run[i];
        if (run->form != RMR_FORM_ABSORBED) continue;
        rows += run->n_rows;
        if (run->pos0 + run->n_rows > most) most = run->pos0 + run->n_rows;
    }
    j.units = rows * j.groups;
    if (width > 1 && j.units <= CUT_UNITS && j.units < 4 * width && most > RMR_SEG_TOKENS)
        attend_cut(&j, (most + RMR_SEG_TOKENS - 1) / RMR_SEG_TOKENS);
    else
        rmr_pool_run(s->cpu->ctx->pool, j.units, whole_chunk, &j);
}

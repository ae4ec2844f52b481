/* Multi-head latent attention in the absorbed form (facts section 2.5): every head is a query of
 * width rank + rope against one shared key [latent | rope key], and the value is the latent itself.
 *
 * Attention walks the cache in segments of RMR_SEG_TOKENS positions: each has its own maximum, sum
 * and value sum. Those of a stretch of STRETCH segments are merged in order, and then the stretches
 * in order. The borders are absolute positions, so the result depends on the cache and the query
 * alone.
 *
 * A unit is one row and one group of heads that share a pass over the cache. Many units are the
 * chunks of one region; where a row sees a single segment, the groups are small enough for all
 * workers to have one. With few of them (decoding) stretches are chunks of their own, and the last
 * ones, which would not keep all workers busy, are cut into their segments: the same operations.
 * Whoever computes a stretch merges it in its own cache; between workers one result of it is
 * passed. */
#include "cpu.h"

#include <string.h>

#include "softmax.h"

enum {
    GROUP = RMR_KV8_HEADS, /* heads of a unit at most */
    LEAST_HEADS = 4,
    STRETCH = 4,
    CUT_UNITS = 32, /* at most so many units are cut */
    CUT_PIECES = 64 /* into so many pieces at a time, all together */
};

typedef struct latent_job {
    rmr_step *s;
    const rmr_op *op;
    uint32_t group, groups, units; /* heads of a group, groups of a row, units */
    /* Where units are cut: the pieces under way of every unit are `whole` stretches from `stretch`
     * on, and then `cut` segments of those after them. */
    uint32_t stretch, whole, cut;
    /* in the operation's scratch, where units are cut */
    unsigned char *query;     /* of each unit, 8-bit cache */
    float *result;            /* [units][whole + cut] results of pieces */
    rmr_softmax_state *state; /* [units][GROUP] */
} latent_job;

typedef struct unit {
    const rmr_run *run;
    uint32_t row, h0, nh;
    uint32_t n; /* positions it sees: causal, its own and all before */
} unit;

/* Segments [seg, end) of a unit, of one stretch. */
typedef struct piece {
    uint32_t seg, end;
} piece;

/* The result of a piece: value sums [GROUP][rank], maxima and sums [GROUP]. */
static size_t result_floats(const rmr_mla *a)
{
    return (size_t)GROUP * (a->rank + 2);
}

static size_t query_bytes(const rmr_mla *a)
{
    return (size_t)rmr_round_up(rmr_kv8_query_bytes(a->rank, a->rope), RMR_ALIGN);
}

/* Worker scratch: two results, a query of the 8-bit cache or scores [GROUP][SEG] of the others. */
rmr_cpu_scratch rmr_cpu_latent_scratch(const rmr_op *op, const rmr_step_desc *d)
{
    const uint64_t result = result_floats(op->mla) * 4, query = query_bytes(op->mla),
                   scores = (uint64_t)GROUP * RMR_SEG_TOKENS * 4;
    rmr_cpu_scratch need = {.worker = 2 * result + (query > scores ? query : scores)};
    if ((uint64_t)d->max_pages * RMR_PAGE_TOKENS > RMR_SEG_TOKENS)
        need.shared =
            CUT_PIECES * result + CUT_UNITS * query + CUT_UNITS * GROUP * sizeof(rmr_softmax_state);
    return need;
}

/* Units are numbered run by run, row by row, head group by head group. */
static unit unit_of(const latent_job *j, uint32_t i)
{
    const uint32_t heads = j->op->mla->heads, h0 = i % j->groups * j->group;
    uint32_t at = i / j->groups;
    const rmr_run *run = j->s->in.run;
    for (;; run++) {
        if (run->form != RMR_FORM_ABSORBED) continue;
        if (at < run->n_rows) break;
        at -= run->n_rows;
    }
    const uint32_t row = run->row0 + at;
    return (unit){run, row, h0, heads - h0 < j->group ? heads - h0 : j->group,
                  j->s->in.pos[row] + 1};
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
    score(scores, query_of(j, u), width, u->nh, pages, width, n, width, a->scale);
    for (uint32_t h = 0; h < u->nh; h++) {
        max[h] = k->max(scores + (size_t)h * RMR_SEG_TOKENS, n);
        sum[h] = k->exp_sum(scores + (size_t)h * RMR_SEG_TOKENS, n, max[h]);
    }
    memset(result, 0, (size_t)u->nh * a->rank * 4);
    wsum(result, a->rank, scores, u->nh, pages, width, n, a->rank);
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

static uint32_t segments_of(const unit *u)
{
    return rmr_units(u->n, RMR_SEG_TOKENS);
}

/* Head h of a result into that of another. */
static void fold(const latent_job *j, uint32_t h, float *into, const float *from)
{
    const uint32_t rank = j->op->mla->rank;
    float *const max = into + (size_t)GROUP * rank + h, *const sum = max + GROUP;
    const float *const from_max = from + (size_t)GROUP * rank + h;
    rmr_softmax_state st = {*max, *sum};
    rmr_softmax_merge(j->s->cpu->k, &st, 0, into + (size_t)h * rank, from + (size_t)h * rank, rank,
                      *from_max, from_max[GROUP]);
    *max = st.max;
    *sum = st.sum;
}

/* A piece; `spare` takes results of its segments, the rest is as for a segment. */
static void attend_piece(const latent_job *j, const unit *u, const piece *p, float *spare,
                         unsigned char *scratch, float *result, const unit *u2, uint32_t seg2)
{
    for (uint32_t seg = p->seg; seg < p->end; seg++) {
        const int first = seg == p->seg, last = seg + 1 == p->end;
        segment(j, u, seg, scratch, first ? result : spare, last ? u2 : u, last ? seg2 : seg + 1);
        for (uint32_t h = 0; !first && h < u->nh; h++) fold(j, h, result, spare);
    }
}

/* Merge the result of a stretch into head h of the unit. */
static void merge(const latent_job *j, const unit *u, uint32_t h, uint32_t stretch,
                  const float *result, rmr_softmax_state *state)
{
    const rmr_mla *a = j->op->mla;
    const rmr_kernels *k = j->s->cpu->k;
    const float *const max = result + (size_t)GROUP * a->rank, *const sum = max + GROUP;
    float *z = rmr_row(j->s, j->op->out, u->row) + (size_t)(u->h0 + h) * a->rank;
    rmr_softmax_merge(k, state, stretch == 0, z, result + (size_t)h * a->rank, a->rank, max[h],
                      sum[h]);
    if ((stretch + 1) * STRETCH >= segments_of(u)) k->scale(z, a->rank, 1.0f / state->sum);
}

static void whole_chunk(void *arg, uint32_t i, uint32_t worker)
{
    const latent_job *j = arg;
    const unit u = unit_of(j, i);
    float *const result = (float *)(void *)(j->s->worker + worker * j->s->worker_bytes),
                 *const spare = result + result_floats(j->op->mla);
    unsigned char *const scratch = (unsigned char *)(spare + result_floats(j->op->mla));
    const uint32_t segs = segments_of(&u);
    rmr_softmax_state state[GROUP];
    quantize(j, &u, scratch);
    for (piece p = {0, 0}; p.seg < segs; p.seg = p.end) {
        p.end = segs - p.seg < STRETCH ? segs : p.seg + STRETCH;
        attend_piece(j, &u, &p, spare, scratch, result, p.end < segs ? &u : NULL, p.end);
        for (uint32_t h = 0; h < u.nh; h++) merge(j, &u, h, p.seg / STRETCH, result, &state[h]);
    }
}

/* ---- units cut into pieces ---- */

static void query_chunk(void *arg, uint32_t i, uint32_t worker)
{
    const latent_job *j = arg;
    const unit u = unit_of(j, i);
    (void)worker;
    quantize(j, &u, j->query + i * query_bytes(j->op->mla));
}

static float *result_of(const latent_job *j, uint32_t i, uint32_t at)
{
    return j->result + ((size_t)i * (j->whole + j->cut) + at) * result_floats(j->op->mla);
}

/* Whether a chunk is a piece that its unit has. */
static int piece_of(const latent_job *j, uint32_t chunk, unit *u, piece *p)
{
    if (chunk >= j->units * (j->whole + j->cut)) return 0;
    const uint32_t at = chunk / j->units, seg0 = j->stretch * STRETCH;
    *u = unit_of(j, chunk % j->units);
    p->seg = at < j->whole ? seg0 + at * STRETCH : seg0 + j->whole * STRETCH + (at - j->whole);
    p->end = at < j->whole ? p->seg + STRETCH : p->seg + 1;
    if (p->end > segments_of(u)) p->end = segments_of(u);
    return p->seg < p->end;
}

/* Workers take pieces in turn, as a rule. */
static void piece_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    const latent_job *j = arg;
    const rmr_mla *a = j->op->mla;
    const uint32_t i = chunk % j->units;
    float *const spare = (float *)(void *)(j->s->worker + worker * j->s->worker_bytes);
    unit u, u2;
    piece p, p2 = {0, 0};
    if (!piece_of(j, chunk, &u, &p)) return;
    const int more = piece_of(j, chunk + rmr_pool_width(j->s->cpu->ctx->pool), &u2, &p2);
    attend_piece(j, &u, &p, spare,
                 u.run->kv == RMR_KV_INT8 ? j->query + i * query_bytes(a)
                                          : (unsigned char *)(spare + 2 * result_floats(a)),
                 result_of(j, i, chunk / j->units), more ? &u2 : NULL, p2.seg);
}

/* One head of a unit. */
static void merge_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    const latent_job *j = arg;
    const uint32_t i = chunk / GROUP, h = chunk % GROUP;
    const unit u = unit_of(j, i);
    const uint32_t stretches = rmr_units(segments_of(&u), STRETCH);
    (void)worker;
    if (h >= u.nh) return;
    for (uint32_t at = 0; at < j->whole && j->stretch + at < stretches; at++)
        merge(j, &u, h, j->stretch + at, result_of(j, i, at), &j->state[chunk]);
    for (uint32_t at = 0; at < j->cut; at += STRETCH) {
        const uint32_t stretch = j->stretch + j->whole + at / STRETCH;
        if (stretch >= stretches) return;
        const uint32_t left = segments_of(&u) - stretch * STRETCH;
        float *const first = result_of(j, i, j->whole + at);
        for (uint32_t k = 1; k < STRETCH && k < left; k++)
            fold(j, h, first, result_of(j, i, j->whole + at + k));
        merge(j, &u, h, stretch, first, &j->state[chunk]);
    }
}

/* How many of the first of so many stretches stay whole: all workers have as many of them. */
static uint32_t whole_of(const latent_job *j, uint32_t segs)
{
    const uint32_t width = rmr_pool_width(j->s->cpu->ctx->pool);
    uint32_t n = segs / STRETCH;
    while (n * j->units % width != 0) n--;
    return n;
}

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void attend_cut(latent_job *j, uint32_t segs)
{
    rmr_pool *pool = j->s->cpu->ctx->pool;
    const rmr_mla *a = j->op->mla;
    const uint32_t at_once = CUT_PIECES / j->units, whole = whole_of(j, segs);
    j->query = j->s->shared;
    j->result = (float *)(void *)(j->query + CUT_UNITS * query_bytes(a));
    j->state = (rmr_softmax_state *)(void *)(j->result + CUT_PIECES * result_floats(a));
    rmr_pool_run(pool, j->units, query_chunk, j);
    for (j->stretch = 0; j->stretch * STRETCH < segs;
         j->stretch += j->whole + rmr_units(j->cut, STRETCH)) {
        j->whole = min_u32(at_once, whole > j->stretch ? whole - j->stretch : 0);
        j->cut = min_u32((at_once - j->whole) / STRETCH * STRETCH,
                         segs - (j->stretch + j->whole) * STRETCH);
        if (j->whole + j->cut == 0) j->whole = 1; /* no room for its segments */
        rmr_pool_run(pool, j->units * (j->whole + j->cut), piece_chunk, j);
        rmr_pool_run(pool, j->units * GROUP, merge_chunk, j);
    }
}

static void set_group(latent_job *j, uint32_t group, uint32_t rows)
{
    j->group = group;
    j->groups = rmr_units(j->op->mla->heads, group);
    j->units = rows * j->groups;
}

void rmr_cpu_attend_latent(rmr_step *s, const rmr_op *op)
{
    latent_job j = {.s = s, .op = op};
    const uint32_t width = rmr_pool_width(s->cpu->ctx->pool);
    uint32_t rows = 0, most = 0; /* positions that a row sees */
    for (uint32_t i = 0; i < s->in.n_runs; i++) {
        const rmr_run *run = &s->in.run[i];
        if (run->form != RMR_FORM_ABSORBED) continue;
        rows += run->n_rows;
        if (run->pos0 + run->n_rows > most) most = run->pos0 + run->n_rows;
    }
    set_group(&j, GROUP, rows);
    if (width > 1 && j.units <= CUT_UNITS && j.units < 4 * width && most > RMR_SEG_TOKENS) {
        attend_cut(&j, rmr_units(most, RMR_SEG_TOKENS));
        return;
    }
    while (most <= RMR_SEG_TOKENS && j.units < width && j.group > LEAST_HEADS)
        set_group(&j, j.group / 2, rows);
    rmr_pool_run(s->cpu->ctx->pool, j.units, whole_chunk, &j);
}

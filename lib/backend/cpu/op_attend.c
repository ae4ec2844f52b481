/* SPDX-License-Identifier: Apache-2.0 */
/* Multi-head latent attention in the absorbed form (docs/models.md, "Latent attention"): every head
 * is a query of width rank + rope against one shared key [latent | rope key], and the value is the
 * latent itself.
 *
 * Attention walks the cache in segments of RMR_SEG_TOKENS positions. RMR_STRETCH segments are the
 * leaves of a binary tree, in which the right side is merged into the left one, and then stretches
 * are merged in order (docs/numerics.md, "Attention"). The borders are absolute positions, so the
 * result depends on the cache and the query alone.
 *
 * A unit is one row and one group of heads that share a pass over the cache. Many units are the
 * chunks of one region; where a row sees a single segment, the groups are small enough for all
 * workers to have one. With few of them (decoding) units are cut into pieces, drawn in
 * docs/kernels.md, "Attention: segments, pieces and their merging". */
#include "cpu.h"

#include <string.h>

#include "softmax.h"
#include "split.h"
#include "split_segments.h"

enum {
    GROUP = RMR_KV8_HEADS, /* heads of a unit at most */
    LEAST_HEADS = 4,
    LEVELS = 5 /* of the tree of a stretch, so at most as many results wait to be merged */
};
_Static_assert(RMR_STRETCH == 1 << (LEVELS - 1), "a tree's leaves");

typedef struct latent_job {
    rmr_step *s;
    const rmr_op *op;
    uint32_t group, rows, units; /* heads of a group, rows, units */
    rmr_softmax_state *state;    /* [units][GROUP], in the operation's scratch */
    uint32_t seg;                /* of whole units: the stretch under way begins with it */
    /* Only where units are cut into pieces: */
    rmr_split cut;    /* the pieces under way */
    uint32_t *covers; /* [RMR_SPLIT_PIECES] segments that a piece's result covers; 0: it was
                         merged into an earlier piece. In the operation's scratch, as all
                         that has to outlive a stop */
    float *result;    /* [RMR_SPLIT_PIECES] the result of each piece, there too */
} latent_job;

typedef struct unit {
    const rmr_run *run;
    uint32_t number, row, h0, nh;
    uint32_t n; /* positions it sees: causal, its own and all before */
} unit;

/* A worker's memory of its last pieces. */
typedef struct last_pieces {
    uint32_t unit; /* number + 1 of the unit whose query is in the scratch */
    uint32_t n;    /* its last pieces, which follow each other */
    uint32_t at[2 * LEVELS];
} last_pieces;
_Static_assert(sizeof(last_pieces) <= RMR_ALIGN, "room for them");

/* A worker's scratch. */
typedef struct worker_scratch {
    last_pieces *last_pieces;
    void *query;
    float *scores; /* [GROUP][SEG], plain types */
    float *spare;  /* results [LEVELS] */
} worker_scratch;

/* The result of a piece: value sums [GROUP][rank], maxima and sums [GROUP]. */
static size_t result_floats(const rmr_mla *a)
{
    return (size_t)GROUP * (a->rank + 2);
}

static size_t query_bytes(const rmr_mla *a)
{
    const size_t plain = (size_t)GROUP * rmr_pairs_room(a->rank + a->rope) * 4,
                 kv8 = rmr_kv8_query_bytes(a->rank, a->rope);
    return (size_t)rmr_round_up(plain > kv8 ? plain : kv8, RMR_ALIGN);
}

rmr_cpu_scratch rmr_cpu_latent_scratch(const rmr_op *op, const rmr_step_desc *d)
{
    const uint64_t result = result_floats(op->mla) * 4;
    rmr_cpu_scratch need = {.worker = RMR_ALIGN + query_bytes(op->mla) +
                                      (uint64_t)GROUP * RMR_SEG_TOKENS * 4 + LEVELS * result};
    const uint64_t units = (uint64_t)d->max_rows * rmr_units(op->mla->heads, GROUP);
    need.shared =
        GROUP * sizeof(rmr_softmax_state) * (units > RMR_SPLIT_UNITS ? units : RMR_SPLIT_UNITS);
    if ((uint64_t)d->max_pages * RMR_PAGE_TOKENS > RMR_SEG_TOKENS)
        need.shared += RMR_SPLIT_PIECES * (result + sizeof(uint32_t));
    return need;
}

static worker_scratch scratch_of(const latent_job *j, uint32_t worker)
{
    unsigned char *const at = j->s->worker + worker * j->s->worker_bytes;
    unsigned char *const scores = at + RMR_ALIGN + query_bytes(j->op->mla);
    worker_scratch d = {(last_pieces *)(void *)at, at + RMR_ALIGN, (float *)(void *)scores, NULL};
    d.spare = d.scores + (size_t)GROUP * RMR_SEG_TOKENS;
    return d;
}

static void clear_last_pieces(const latent_job *j)
{
    const uint32_t width = rmr_pool_width(j->s->cpu->ctx->pool);
    for (uint32_t w = 0; w < width; w++) *scratch_of(j, w).last_pieces = (last_pieces){0};
}

/* Units are numbered head group by head group, run by run, row by row: a thread that begins with
 * its share of them has the heads that it had in the products before and will have in those after.
 */
static unit unit_of(const latent_job *j, uint32_t i)
{
    const uint32_t heads = j->op->mla->heads, h0 = i / j->rows * j->group;
    uint32_t at = i % j->rows;
    const rmr_run *run = j->s->in.run;
    for (;; run++) {
        if (run->form != RMR_FORM_ABSORBED) continue;
        RMR_ASSERT(run < j->s->in.run + j->s->in.n_runs);
        if (at < run->n_rows) break;
        at -= run->n_rows;
    }
    RMR_ASSERT(h0 < heads);
    const uint32_t row = run->row0 + at;
    return (unit){run, i, row, h0, rmr_min_u32(heads - h0, j->group), j->s->in.pos[row] + 1};
}

/* Write the query of a unit in the form that its cache takes, unless the scratch holds it already.
 */
static void place_query(const latent_job *j, const unit *u, const worker_scratch *d)
{
    const rmr_mla *a = j->op->mla;
    const rmr_kernels *k = j->s->cpu->k;
    const uint32_t width = a->rank + a->rope;
    const float *const q = rmr_row(j->s, j->op->in, u->row) + (size_t)u->h0 * width;
    if (d->last_pieces->unit == u->number + 1) return;
    d->last_pieces->unit = u->number + 1;
    if (u->run->kv == RMR_KV_INT8) {
        k->kv8->query(d->query, q, width, u->nh, a->rank, a->rope, a->scale);
        return;
    }
    for (size_t h = 0; h < u->nh; h++)
        rmr_cpu_place_query(k, u->run->kv, (float *)d->query + h * rmr_pairs_room(width),
                            q + h * width, width);
}

/* The n positions of one segment, plain types; behind its pages comes one that will be read soon.
 */
static void segment_plain(const latent_job *j, const unit *u, const void *const *pages, uint32_t n,
                          const worker_scratch *d, float *result)
{
    const rmr_mla *a = j->op->mla;
    const rmr_kernels *k = j->s->cpu->k;
    const uint32_t width = a->rank + a->rope;
    const int bf16 = u->run->kv == RMR_KV_BF16;
    rmr_scores_fn *const score = bf16 ? k->attention->scores_bf16 : k->attention->scores_f32;
    rmr_wsum_fn *const wsum = bf16 ? k->attention->wsum_bf16 : k->attention->wsum_f32;
    float *const max = result + (size_t)GROUP * a->rank, *const sum = max + GROUP;
    score(d->scores, d->query, rmr_pairs_room(width), u->nh, pages, width, n, width, a->scale);
    for (uint32_t h = 0; h < u->nh; h++) {
        max[h] = k->elementwise->max(d->scores + (size_t)h * RMR_SEG_TOKENS, n);
        sum[h] = k->elementwise->exp_sum(d->scores + (size_t)h * RMR_SEG_TOKENS, n, max[h]);
    }
    memset(result, 0, (size_t)u->nh * a->rank * 4);
    wsum(result, a->rank, d->scores, u->nh, pages, width, n, a->rank);
}

static uint32_t positions_of(const unit *u, uint32_t seg)
{
    return rmr_min_u32(u->n - seg * RMR_SEG_TOKENS, RMR_SEG_TOKENS);
}

/* The pages of a segment, at most `most`; returns how many. */
static uint32_t pages_of(const latent_job *j, const unit *u, uint32_t seg, uint32_t most,
                         const void **pages)
{
    const uint32_t n = positions_of(u, seg);
    uint32_t i = 0;
    RMR_ASSERT(seg * RMR_SEG_TOKENS < u->n);
    for (; i < most && i * RMR_PAGE_TOKENS < n; i++)
        pages[i] = rmr_cache_part(j->s, u->run, j->op, seg * RMR_SEG_TOKENS + i * RMR_PAGE_TOKENS);
    return i;
}

/* One segment. The worker will most likely go on with segment `seg2` of unit u2, or (NULL) with
 * something else. */
static void segment(const latent_job *j, const unit *u, uint32_t seg, const worker_scratch *d,
                    float *result, const unit *u2, uint32_t seg2)
{
    enum { PAGES = RMR_SEG_TOKENS / RMR_PAGE_TOKENS };
    const rmr_mla *a = j->op->mla;
    const void *pages[2 * PAGES];
    const uint32_t n = positions_of(u, seg), n_pages = pages_of(j, u, seg, PAGES, pages);
    memcpy(pages + n_pages, pages, n_pages * sizeof *pages);
    if (u2 != NULL) pages_of(j, u2, seg2, n_pages, pages + n_pages);
    if (u->run->kv != RMR_KV_INT8) {
        segment_plain(j, u, pages, n, d, result);
        return;
    }
    float *const max = result + (size_t)GROUP * a->rank;
    j->s->cpu->k->kv8->attend(result, a->rank, max, max + GROUP, d->query, u->nh, pages, n, a->rank,
                              a->rope);
}

static uint32_t segments_of(const unit *u)
{
    return rmr_units(u->n, RMR_SEG_TOKENS);
}

/* Merge head h of one result into head h of another. */
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

/* Compute a piece. As soon as two subtrees of equal size are complete they are merged, as a binary
 * counter carries. */
static void attend_piece(const latent_job *j, const unit *u, const rmr_piece *p,
                         const worker_scratch *d, float *result, const unit *u2, uint32_t seg2)
{
    float *waiting[LEVELS] = {result};
    uint32_t top = 0;
    place_query(j, u, d);
    RMR_ASSERT(p->seg < p->end && p->end - p->seg <= RMR_STRETCH);
    for (int l = 1; l < LEVELS; l++) waiting[l] = d->spare + (size_t)l * result_floats(j->op->mla);
    for (uint32_t seg = p->seg; seg < p->end; seg++) {
        const int last = seg + 1 == p->end;
        RMR_ASSERT(top < LEVELS);
        segment(j, u, seg, d, waiting[top++], last ? u2 : u, last ? seg2 : seg + 1);
        for (uint32_t n = seg + 1 - p->seg; top > 1 && (n % 2 == 0 || last); n /= 2, top--)
            for (uint32_t h = 0; h < u->nh; h++) fold(j, h, waiting[top - 2], waiting[top - 1]);
    }
}

/* Merge the result of the stretch that begins with segment `seg` into head h of the unit. */
static void merge(const latent_job *j, const unit *u, uint32_t h, uint32_t seg, const float *result,
                  rmr_softmax_state *state)
{
    const rmr_mla *a = j->op->mla;
    const rmr_kernels *k = j->s->cpu->k;
    const float *const max = result + (size_t)GROUP * a->rank, *const sum = max + GROUP;
    float *z = rmr_row(j->s, j->op->out, u->row) + (size_t)(u->h0 + h) * a->rank;
    rmr_softmax_merge(k, state, seg == 0, z, result + (size_t)h * a->rank, a->rank, max[h], sum[h]);
    if (seg + RMR_STRETCH >= segments_of(u)) k->elementwise->scale(z, a->rank, 1.0f / state->sum);
}

/* One stretch of a unit, which is an item of work: a row may see many. */
static void whole_unit(const latent_job *j, uint32_t i, uint32_t worker)
{
    const unit u = unit_of(j, i);
    const worker_scratch d = scratch_of(j, worker);
    const uint32_t segs = segments_of(&u);
    const rmr_piece p = {j->seg, RMR_STRETCH, rmr_min_u32(segs, j->seg + RMR_STRETCH)};
    if (p.seg >= segs) return;
    attend_piece(j, &u, &p, &d, d.spare, NULL, 0);
    for (uint32_t h = 0; h < u.nh; h++)
        merge(j, &u, h, p.seg, d.spare, &j->state[(size_t)i * GROUP + h]);
}

static void whole_range(void *arg, uint32_t first, uint32_t n, uint32_t worker)
{
    for (uint32_t i = first; i < first + n; i++) whole_unit(arg, i, worker);
}

/* ---- units cut into pieces ---- */

static float *result_of(const latent_job *j, uint32_t at)
{
    RMR_ASSERT(at < RMR_SPLIT_PIECES);
    return j->result + (size_t)at * result_floats(j->op->mla);
}

/* 1 when pieces `left` and `right` are the two halves of a node of the tree, and cover as many
 * segments each. */
static int are_siblings(const latent_job *j, uint32_t left, uint32_t right)
{
    const uint32_t size = j->covers[left];
    return size == j->covers[right] && size < RMR_STRETCH &&
           j->cut.piece[left].seg % (2 * size) == 0;
}

static int follows(const latent_job *j, uint32_t at, uint32_t before)
{
    return at / j->cut.pieces == before / j->cut.pieces &&
           j->cut.piece[before].seg + j->covers[before] == j->cut.piece[at].seg;
}

/* Merge a new piece with the pieces that the worker did just before, as a binary counter carries.
 */
static void carry(latent_job *j, const unit *u, uint32_t at, last_pieces *mine)
{
    if (mine->n == 2 * LEVELS || mine->n == 0 || !follows(j, at, mine->at[mine->n - 1]))
        mine->n = 0;
    mine->at[mine->n++] = at;
    for (; mine->n > 1; mine->n--) {
        const uint32_t left = mine->at[mine->n - 2], right = mine->at[mine->n - 1];
        if (!are_siblings(j, left, right)) return;
        for (uint32_t h = 0; h < u->nh; h++) fold(j, h, result_of(j, left), result_of(j, right));
        j->covers[left] *= 2;
        j->covers[right] = 0;
    }
}

/* Pieces [first, first + n). A worker usually goes on with the next piece, so it is fetched. */
static void piece_range(void *arg, uint32_t first, uint32_t n, uint32_t worker)
{
    latent_job *j = arg;
    const worker_scratch d = scratch_of(j, worker);
    const rmr_piece *const piece = j->cut.piece;
    for (uint32_t at = first; at < first + n; at++) {
        const int more = at + 1 < j->units * j->cut.pieces && piece[at + 1].size > 0;
        const unit u = unit_of(j, at / j->cut.pieces), u2 = unit_of(j, (at + more) / j->cut.pieces);
        if (piece[at].size == 0) continue;
        attend_piece(j, &u, &piece[at], &d, result_of(j, at), more ? &u2 : NULL,
                     piece[at + more].seg);
        carry(j, &u, at, d.last_pieces);
    }
}

/* Merge one head of a unit over the pieces of all workers: the upper levels of its trees, again as
 * a binary counter carries. */
static void merge_head(const latent_job *j, const unit *u, uint32_t h)
{
    const uint32_t first = u->number * j->cut.pieces;
    float *waiting[LEVELS];
    uint32_t size[LEVELS], top = 0;
    for (uint32_t at = first; at < first + j->cut.pieces; at++) {
        const uint32_t seg = j->cut.piece[at].seg, end = seg + j->covers[at];
        if (end == seg) continue;
        const int last = end >= segments_of(u) || end % RMR_STRETCH == 0; /* of its stretch */
        RMR_ASSERT(top < LEVELS);
        waiting[top] = result_of(j, at);
        size[top++] = j->covers[at];
        for (; top > 1 && (size[top - 1] == size[top - 2] || last); top--) {
            fold(j, h, waiting[top - 2], waiting[top - 1]);
            size[top - 2] *= 2;
        }
        if (last)
            merge(j, u, h, seg / RMR_STRETCH * RMR_STRETCH, waiting[--top],
                  &j->state[u->number * GROUP + h]);
    }
}

static void merge_range(void *arg, uint32_t first, uint32_t n, uint32_t worker)
{
    const latent_job *j = arg;
    (void)worker;
    for (uint32_t i = first; i < first + n; i++) {
        const unit u = unit_of(j, i / GROUP);
        if (i % GROUP < u.nh) merge_head(j, &u, i % GROUP);
    }
}

static remora_status attend_cut(latent_job *j, uint32_t segs)
{
    const uint32_t width = rmr_pool_width(j->s->cpu->ctx->pool);
    const rmr_next_region next = rmr_cpu_next_op(j->s, j->op);
    uint32_t of_unit[RMR_SPLIT_UNITS];
    for (uint32_t i = 0; i < j->units; i++) {
        const unit u = unit_of(j, i);
        of_unit[i] = segments_of(&u);
    }
    j->result = (float *)(void *)(j->state + RMR_SPLIT_UNITS * GROUP);
    j->covers = (uint32_t *)(void *)(j->result + RMR_SPLIT_PIECES * result_floats(j->op->mla));
    for (uint32_t seg = 0; seg < segs;) {
        seg += rmr_split_units(&j->cut, of_unit, j->units, seg, width);
        for (uint32_t i = 0; i < RMR_SPLIT_PIECES && rmr_cpu_is_new(j->s); i++)
            j->covers[i] = j->cut.piece[i].size;
        clear_last_pieces(j);
        RMR_CPU_TRY(rmr_cpu_region(
            j->s,
            &(rmr_region){.n = j->units * j->cut.pieces, .most = 1, .fn = piece_range, .arg = j},
            0));
        RMR_CPU_TRY(rmr_cpu_region(
            j->s,
            &(rmr_region){
                .n = j->units * GROUP, .most = GROUP, .fn = merge_range, .arg = j, .next = &next},
            0));
    }
    return REMORA_OK;
}

static void set_group(latent_job *j, uint32_t group, uint32_t rows)
{
    j->group = group;
    j->rows = rows;
    j->units = rows * rmr_units(j->op->mla->heads, group);
}

/* The multiplications of a unit that sees so many positions. */
static uint64_t unit_work(const latent_job *j, uint32_t positions)
{
    const rmr_mla *a = j->op->mla;
    return (uint64_t)j->group * positions * (2 * a->rank + a->rope);
}

remora_status rmr_cpu_attend_latent(rmr_step *s, const rmr_op *op)
{
    latent_job j = {.s = s, .op = op, .state = (rmr_softmax_state *)(void *)s->shared};
    const uint32_t width = rmr_pool_width(s->cpu->ctx->pool);
    uint32_t rows = 0, most = 0; /* positions that a row sees */
    for (uint32_t i = 0; i < s->in.n_runs; i++) {
        const rmr_run *run = &s->in.run[i];
        if (run->form != RMR_FORM_ABSORBED) continue;
        rows += run->n_rows;
        if (run->pos0 + run->n_rows > most) most = run->pos0 + run->n_rows;
    }
    clear_last_pieces(&j);
    set_group(&j, GROUP, rows);
    if (width > 1 && j.units <= RMR_SPLIT_UNITS && j.units < 4 * width && most > RMR_SEG_TOKENS) {
        return attend_cut(&j, rmr_units(most, RMR_SEG_TOKENS));
    }
    while (most <= RMR_SEG_TOKENS && j.units < width && j.group > LEAST_HEADS)
        set_group(&j, j.group / 2, rows);
    const rmr_next_region next = rmr_cpu_next_op(s, op);
    for (; j.seg < rmr_units(most, RMR_SEG_TOKENS); j.seg += RMR_STRETCH)
        RMR_CPU_TRY(rmr_cpu_region(
            s, &(rmr_region){.n = j.units, .most = 1, .fn = whole_range, .arg = &j, .next = &next},
            unit_work(&j, rmr_min_u32(most, RMR_STRETCH * RMR_SEG_TOKENS))));
    return REMORA_OK;
}

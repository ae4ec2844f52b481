/* Multi-head latent attention in the absorbed form (facts section 2.5): every head is a query of
 * width rank + rope against one shared key [latent | rope key], and the value is the latent itself.
 *
 * Attention walks the cache in segments of RMR_SEG_TOKENS positions, in order: each segment has its
 * own maximum, sum and value sum, and is then merged into the running ones. The segment borders are
 * absolute positions, so the result depends on the cache and the query alone. */
#include "cpu.h"

#include <string.h>

#include "softmax.h"

enum { HEAD_GROUP = 8 }; /* heads that share one pass over the cache rows */

/* ---- products with W_UK and W_UV, one head a chunk ---- */

/* y[row] = w[head] x[row] for rows [row0, row0 + m). */
static void head_rows(rmr_step *s, const rmr_op *op, uint32_t head, const rmr_operand *x,
                      uint32_t row0, uint32_t m, size_t out_col)
{
    const rmr_weight *w = op->w;
    const uint32_t n_tiles = rmr_tiles(w->desc.rows);
    float tmp[RMR_LIN_TMP];
    for (uint32_t t = 0; t < n_tiles; t += RMR_LIN_TILES) {
        const uint32_t n = n_tiles - t < RMR_LIN_TILES ? n_tiles - t : RMR_LIN_TILES;
        const uint32_t left = w->desc.rows - t * RMR_TILE;
        const uint32_t cols = left < n * RMR_TILE ? left : n * RMR_TILE;
        rmr_cpu_product(s->cpu, w, head, t, n, x, 0, m, tmp, (size_t)n * RMR_TILE);
        for (uint32_t r = 0; r < m; r++)
            memcpy(rmr_row(s, op->out, row0 + r) + out_col + (size_t)t * RMR_TILE,
                   tmp + (size_t)r * n * RMR_TILE, (size_t)cols * 4);
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
    return (rmr_cpu_scratch){rmr_q_room(op->w, n), 0};
}

typedef struct head_job {
    rmr_step *s;
    const rmr_op *op;
} head_job;

static void absorb_chunk(void *arg, uint32_t head, uint32_t worker)
{
    const head_job *j = arg;
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

void rmr_cpu_absorb(rmr_step *s, const rmr_op *op)
{
    head_job j = {s, op};
    if (s->n_spans > 0) rmr_pool_run(s->cpu->ctx->pool, op->mla->heads, absorb_chunk, &j);
}

static void unabsorb_chunk(void *arg, uint32_t head, uint32_t worker)
{
    const head_job *j = arg;
    const rmr_mla *a = j->op->mla;
    head_product(j->s, j->op, head, (size_t)head * a->rank, (size_t)head * a->v, worker);
}

void rmr_cpu_unabsorb(rmr_step *s, const rmr_op *op)
{
    head_job j = {s, op};
    if (s->n_spans > 0) rmr_pool_run(s->cpu->ctx->pool, op->mla->heads, unabsorb_chunk, &j);
}

/* ---- attention ---- */

typedef struct latent_job {
    rmr_step *s;
    const rmr_op *op;
    uint32_t groups; /* head groups of one row */
} latent_job;

/* Worker scratch: scores [HEAD_GROUP][SEG], the segment's value sums [HEAD_GROUP][rank]. */
rmr_cpu_scratch rmr_cpu_latent_scratch(const rmr_op *op, const rmr_step_desc *d)
{
    (void)d;
    return (rmr_cpu_scratch){(uint64_t)HEAD_GROUP * (RMR_SEG_TOKENS + op->mla->rank) * 4, 0};
}

/* Scores and value sums of heads [h0, h0 + nh) over the positions [p0, p0 + n) of one segment; max
 * and sum out. */
static void segment(const latent_job *j, const rmr_run *run, uint32_t row, uint32_t h0, uint32_t nh,
                    uint32_t p0, uint32_t n, float *scores, float *part, float max[HEAD_GROUP],
                    float sum[HEAD_GROUP])
{
    const rmr_mla *a = j->op->mla;
    const rmr_kernels *k = j->s->cpu->k;
    const uint32_t width = a->rank + a->rope;
    const int bf16 = run->kv == RMR_ELEM_BF16;
    rmr_scores_fn *const score = bf16 ? k->scores_bf16 : k->scores_f32;
    rmr_wsum_fn *const wsum = bf16 ? k->wsum_bf16 : k->wsum_f32;
    const float *q = rmr_row(j->s, j->op->in, row) + (size_t)h0 * width;
    for (uint32_t i = 0; i < n; i += RMR_PAGE_TOKENS) {
        const uint32_t m = n - i < RMR_PAGE_TOKENS ? n - i : RMR_PAGE_TOKENS;
        score(scores + i, RMR_SEG_TOKENS, q, width, nh, rmr_cache_row(j->s, run, j->op, p0 + i),
              width, m, width, a->scale);
    }
    for (uint32_t h = 0; h < nh; h++) {
        max[h] = k->max(scores + (size_t)h * RMR_SEG_TOKENS, n);
        sum[h] = k->exp_sum(scores + (size_t)h * RMR_SEG_TOKENS, n, max[h]);
    }
    memset(part, 0, (size_t)nh * a->rank * 4);
    for (uint32_t i = 0; i < n; i += RMR_PAGE_TOKENS) {
        const uint32_t m = n - i < RMR_PAGE_TOKENS ? n - i : RMR_PAGE_TOKENS;
        wsum(part, a->rank, scores + i, RMR_SEG_TOKENS, nh, rmr_cache_row(j->s, run, j->op, p0 + i),
             width, m, a->rank);
    }
}

static void attend_row(const latent_job *j, const rmr_run *run, uint32_t row, uint32_t h0,
                       uint32_t nh, unsigned char *scratch)
{
    const rmr_mla *a = j->op->mla;
    const uint32_t n = j->s->in.pos[row] + 1; /* causal: this position and all before */
    float *scores = (float *)(void *)scratch, *part = scores + HEAD_GROUP * RMR_SEG_TOKENS;
    float *z = rmr_row(j->s, j->op->out, row) + (size_t)h0 * a->rank;
    rmr_softmax_state state[HEAD_GROUP];
    for (uint32_t p0 = 0; p0 < n; p0 += RMR_SEG_TOKENS) {
        float max[HEAD_GROUP], sum[HEAD_GROUP];
        segment(j, run, row, h0, nh, p0, n - p0 < RMR_SEG_TOKENS ? n - p0 : RMR_SEG_TOKENS, scores,
                part, max, sum);
        for (uint32_t h = 0; h < nh; h++)
            rmr_softmax_merge(j->s->cpu->k, &state[h], p0 == 0, z + (size_t)h * a->rank,
                              part + (size_t)h * a->rank, a->rank, max[h], sum[h]);
    }
    for (uint32_t h = 0; h < nh; h++)
        j->s->cpu->k->scale(z + (size_t)h * a->rank, a->rank, 1.0f / state[h].sum);
}

/* Chunks are numbered run by run, row by row, head group by head group. */
static void latent_chunk(void *arg, uint32_t chunk, uint32_t worker)
{
    const latent_job *j = arg;
    const uint32_t h0 = chunk % j->groups * HEAD_GROUP;
    const uint32_t nh = j->op->mla->heads - h0 < HEAD_GROUP ? j->op->mla->heads - h0 : HEAD_GROUP;
    uint32_t at = chunk / j->groups;
    for (uint32_t i = 0; i < j->s->in.n_runs; i++) {
        const rmr_run *run = &j->s->in.run[i];
        if (run->form != RMR_FORM_ABSORBED) continue;
        if (at < run->n_rows) {
            attend_row(j, run, run->row0 + at, h0, nh, j->s->worker + worker * j->s->worker_bytes);
            return;
        }
        at -= run->n_rows;
    }
}

void rmr_cpu_attend_latent(rmr_step *s, const rmr_op *op)
{
    latent_job j = {s, op, (op->mla->heads + HEAD_GROUP - 1) / HEAD_GROUP};
    uint32_t rows = 0;
    for (uint32_t i = 0; i < s->n_spans; i++) rows += s->span[i].n_rows;
    rmr_pool_run(s->cpu->ctx->pool, rows * j.groups, latent_chunk, &j);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Candidates: loading, ranking, and the softmax in double precision in one fixed order. */
#include "candidates.h"

#include <math.h>

#include "dexp.h"
#include "fpenv.h"

static float clean(float logit)
{
    return isnan(logit) ? -INFINITY : logit;
}

void rmr_candidates_load(rmr_candidates *l, const float *logits, size_t n)
{
    size_t m = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(logits[i] > -INFINITY)) continue;
        l->c[m].token = (remora_token)i;
        l->c[m].logit = logits[i];
        m++;
    }
    l->n = m;
    l->by_id = 1;
    l->holes = 0;
    l->rest = -INFINITY;
}

/* Shell's sort: they are some hundreds, in runs of descending logits. */
static void sort_by_id(remora_token_prob *c, size_t n)
{
    size_t gap = 1;
    while (gap < n / 3) gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3)
        for (size_t i = gap; i < n; i++) {
            const remora_token_prob x = c[i];
            size_t at = i;
            for (; at >= gap && c[at - gap].token > x.token; at -= gap) c[at] = c[at - gap];
            c[at] = x;
        }
}

void rmr_candidates_load_best(rmr_candidates *l, const rmr_best_logits *best)
{
    size_t m = 0;
    l->rest = best->rest;
    l->least = best->least;
    l->mass = best->mass;
    l->scale = best->scale;
    l->scaled = 1.0;
    for (size_t i = 0; i < best->n; i++) {
        if (!(best->logit[i] > best->rest)) {
            if (best->logit[i] > -INFINITY)
                l->mass += rmr_dexp((double)l->scale * ((double)best->logit[i] - (double)l->rest));
            continue;
        }
        l->c[m].token = best->token[i];
        l->c[m].logit = best->logit[i];
        m++;
    }
    sort_by_id(l->c, m);
    l->n = m;
    l->by_id = 1;
    l->holes = 0;
}

int rmr_candidates_lack(const rmr_candidates *l)
{
    return l->rest > -INFINITY;
}

void rmr_candidates_compact(rmr_candidates *l)
{
    size_t m = 0;
    if (!l->holes) return;
    for (size_t i = 0; i < l->n; i++)
        if (l->c[i].logit > -INFINITY) l->c[m++] = l->c[i];
    l->n = m;
    l->holes = 0;
}

float rmr_candidates_max(const rmr_candidates *l)
{
    float max = -INFINITY;
    for (size_t i = 0; i < l->n; i++)
        if (l->c[i].logit > max) max = l->c[i].logit;
    return max;
}

double rmr_candidates_weight(float logit, float max)
{
    return logit == max ? 1.0 : rmr_dexp((double)logit - (double)max);
}

double rmr_candidates_weigh(rmr_candidates *l, float max)
{
    double total = 0.0;
    for (size_t b = 0; b < l->n; b += RMR_SOFTMAX_BLOCK) {
        const size_t end = l->n - b < RMR_SOFTMAX_BLOCK ? l->n : b + RMR_SOFTMAX_BLOCK;
        double sum = 0.0;
        for (size_t i = b; i < end; i++) sum += rmr_candidates_weight(l->c[i].logit, max);
        l->blocks[b / RMR_SOFTMAX_BLOCK] = sum;
        total += sum;
    }
    return total;
}

static float log_prob(float logit, float max, double log_total)
{
    const double below = logit == max ? 0.0 : (double)logit - (double)max;
    return (float)(below - log_total);
}

void rmr_candidates_logprobs(rmr_candidates *l)
{
    const float max = rmr_candidates_max(l);
    RMR_ASSERT(l->n > 0 && !l->holes);
    const double log_total = rmr_dlog(rmr_candidates_weigh(l, max));
    for (size_t i = 0; i < l->n; i++) l->c[i].logprob = log_prob(l->c[i].logit, max, log_total);
}

remora_token rmr_candidates_draw(rmr_candidates *l, double u)
{
    const float max = rmr_candidates_max(l);
    double left = u * rmr_candidates_weigh(l, max), sum = 0.0;
    size_t b = 0, pick = 0;
    RMR_ASSERT(l->n > 0 && !l->holes && u >= 0.0 && u < 1.0);
    const size_t last = (l->n - 1) / RMR_SOFTMAX_BLOCK;
    while (b < last && left >= l->blocks[b]) left -= l->blocks[b++];
    /* Rounding may leave `left` at or above the sum of the last block: then its last possible
     * candidate. */
    for (; l->blocks[b] <= 0.0 && b > 0; b--) left = l->blocks[b - 1];
    for (size_t i = b * RMR_SOFTMAX_BLOCK; i < l->n && i < (b + 1) * RMR_SOFTMAX_BLOCK; i++) {
        const double w = rmr_candidates_weight(l->c[i].logit, max);
        if (w > 0.0) pick = i;
        sum += w;
        if (sum > left) break;
    }
    RMR_ASSERT(l->c[pick].logit > -INFINITY);
    return l->c[pick].token;
}

/* -- ranking: heaps with the worst on top, so that no input makes it quadratic -- */

static int better(const remora_token_prob *a, const remora_token_prob *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->token < b->token);
}

/* Put x into the hole at i of heap h[0 .. n), whose subtrees are heaps. */
static void sift(remora_token_prob *h, size_t n, size_t i, remora_token_prob x)
{
    RMR_ASSERT(i < n);
    for (;;) {
        size_t kid = 2 * i + 1;
        if (kid >= n) break;
        if (kid + 1 < n && better(&h[kid], &h[kid + 1])) kid++;
        if (!better(&x, &h[kid])) break;
        h[i] = h[kid];
        i = kid;
    }
    h[i] = x;
}

static void make_heap(remora_token_prob *h, size_t n)
{
    for (size_t i = n / 2; i-- > 0;) sift(h, n, i, h[i]);
}

static void sort_heap(remora_token_prob *h, size_t n) /* to best first */
{
    while (n > 1) {
        const remora_token_prob x = h[--n];
        h[n] = h[0];
        sift(h, n, 0, x);
    }
}

void rmr_candidates_rank(remora_token_prob *c, size_t n, size_t k)
{
    if (k > n) k = n;
    if (k == 0) return;
    make_heap(c, k);
    for (size_t i = k; i < n; i++) {
        const remora_token_prob x = c[i];
        if (!better(&x, &c[0])) continue;
        c[i] = c[0];
        sift(c, k, 0, x);
    }
    sort_heap(c, k);
}

/* -- plain rows -- */

static float row_max(const float *logits, size_t n)
{
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++)
        if (logits[i] > max) max = logits[i];
    return max;
}

/* log of the sum of weights, added in the order of rmr_candidates_weigh; needs max > -infinity. */
static double row_log_total(const float *logits, size_t n, float max)
{
    double total = 0.0;
    for (size_t b = 0; b < n; b += RMR_SOFTMAX_BLOCK) {
        const size_t end = n - b < RMR_SOFTMAX_BLOCK ? n : b + RMR_SOFTMAX_BLOCK;
        double sum = 0.0;
        for (size_t i = b; i < end; i++) sum += rmr_candidates_weight(clean(logits[i]), max);
        total += sum;
    }
    return rmr_dlog(total);
}

static void fill_top(const float *logits, size_t n, remora_token_prob *out, size_t k)
{
    for (size_t i = 0; i < k; i++)
        out[i] = (remora_token_prob){(remora_token)i, clean(logits[i]), 0};
    make_heap(out, k);
    for (size_t i = k; i < n; i++) {
        const remora_token_prob x = {(remora_token)i, clean(logits[i]), 0};
        if (better(&x, &out[0])) sift(out, k, 0, x);
    }
    sort_heap(out, k);
}

/* The log probabilities of k tokens of a row. */
static void fill_logprobs(const float *logits, size_t n, remora_token_prob *out, size_t k,
                          float max)
{
    const double log_total = max > -INFINITY ? row_log_total(logits, n, max) : 0.0;
    for (size_t i = 0; i < k; i++)
        out[i].logprob = max > -INFINITY ? log_prob(out[i].logit, max, log_total) : -INFINITY;
}

void rmr_top(const float *logits, size_t n, remora_token_prob *out, size_t cap, size_t *got)
{
    const size_t k = cap < n ? cap : n;
    *got = k;
    if (k == 0) return;
    const rmr_fpenv saved = rmr_fpenv_enter();
    fill_top(logits, n, out, k);
    fill_logprobs(logits, n, out, k, out[0].logit);
    rmr_fpenv_leave(saved);
}

void rmr_token_and_top(const float *logits, size_t n, remora_token t, remora_token_prob *out,
                       size_t k)
{
    RMR_ASSERT(t >= 0 && (size_t)t < n && k <= n);
    const rmr_fpenv saved = rmr_fpenv_enter();
    out[0] = (remora_token_prob){t, clean(logits[t]), 0};
    if (k > 0) fill_top(logits, n, out + 1, k);
    fill_logprobs(logits, n, out, k + 1, k > 0 ? out[1].logit : row_max(logits, n));
    rmr_fpenv_leave(saved);
}

float rmr_logprob(const float *logits, size_t n, remora_token t)
{
    if (t < 0 || (size_t)t >= n) return -INFINITY;
    const rmr_fpenv saved = rmr_fpenv_enter();
    RMR_ASSERT(n > 0);
    const float max = row_max(logits, n), logit = clean(logits[t]);
    const float out =
        max > -INFINITY ? log_prob(logit, max, row_log_total(logits, n, max)) : -INFINITY;
    rmr_fpenv_leave(saved);
    return out;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The stages' effects on the candidates. The definitions are the public header's. */
#include "candidates.h"

#include <float.h>
#include <math.h>

#include "dexp.h"
#include "float_math.h"

/* A logit computed in double, back as a float. Finite results stay finite: only BIAS with -infinity
 * bans. */
static float to_logit(double x)
{
    return isnan(x) ? -INFINITY : rmr_finite_float(x);
}

float rmr_stage_divided(float logit, double t)
{
    return to_logit((double)logit / t);
}

int rmr_stage_is_penalty(int32_t kind)
{
    return kind == REMORA_STAGE_REPEAT || kind == REMORA_STAGE_FREQUENCY ||
           kind == REMORA_STAGE_PRESENCE;
}

int rmr_stage_lowers(const remora_stage *s)
{
    switch (s->kind) {
    case REMORA_STAGE_REPEAT: return s->value >= 1.0;
    case REMORA_STAGE_FREQUENCY:
    case REMORA_STAGE_PRESENCE: return s->value >= 0.0;
    case REMORA_STAGE_BIAS: return s->value <= 0.0;
    default: return 0;
    }
}

size_t rmr_stage_window(const remora_stage *s)
{
    return s->count > 0 ? (size_t)s->count : (size_t)RMR_SAMPLER_HISTORY;
}

/* -- arguments -- */

static remora_status check_penalty(const remora_stage *s, remora_error *err)
{
    if (s->count < 0 || s->count > RMR_SAMPLER_HISTORY_MAX)
        RMR_FAIL(err, REMORA_E_ARG, "penalty stage: window %lld is not in 0 .. %d",
                 (long long)s->count, RMR_SAMPLER_HISTORY_MAX);
    if (s->kind == REMORA_STAGE_REPEAT && !(s->value > 0.0))
        RMR_FAIL(err, REMORA_E_ARG, "repeat stage: penalty %g is not above 0", s->value);
    if (!isfinite(s->value))
        RMR_FAIL(err, REMORA_E_ARG, "penalty stage: value %g is not finite", s->value);
    return REMORA_OK;
}

static remora_status check_bias(const remora_stage *s, uint32_t n_vocab, remora_error *err)
{
    if (s->count < 0 || s->count >= (int64_t)n_vocab)
        RMR_FAIL(err, REMORA_E_ARG, "bias stage: token %lld is not in 0 .. %u", (long long)s->count,
                 n_vocab - 1);
    if (!(s->value < INFINITY))
        RMR_FAIL(err, REMORA_E_ARG, "bias stage: value %g is neither finite nor -infinity",
                 s->value);
    return REMORA_OK;
}

/* The fields that a kind of stage uses; those of the other kinds are kept free for what comes. */
typedef struct kind_info {
    const char *name;
    int value, count, fn;
} kind_info;

static kind_info info_of(int32_t kind)
{
    switch (kind) {
    case REMORA_STAGE_TEMPERATURE: return (kind_info){"temperature", 1, 0, 0};
    case REMORA_STAGE_TOP_K: return (kind_info){"top-k", 0, 1, 0};
    case REMORA_STAGE_TOP_P: return (kind_info){"top-p", 1, 0, 0};
    case REMORA_STAGE_MIN_P: return (kind_info){"min-p", 1, 0, 0};
    case REMORA_STAGE_CALLBACK: return (kind_info){"callback", 0, 0, 1};
    default: return (kind_info){"penalty or bias", 1, 1, 0};
    }
}

static remora_status check_unused(const remora_stage *s, remora_error *err)
{
    const kind_info k = info_of(s->kind);
    if (!k.value && s->value != 0.0)
        RMR_FAIL(err, REMORA_E_ARG, "%s stage: value is %g, which it does not use: it must be 0",
                 k.name, s->value);
    if (!k.count && s->count != 0)
        RMR_FAIL(err, REMORA_E_ARG, "%s stage: count is %lld, which it does not use: it must be 0",
                 k.name, (long long)s->count);
    if (!k.fn && (s->fn != NULL || s->user != NULL || s->release != NULL))
        RMR_FAIL(err, REMORA_E_ARG,
                 "%s stage: fn, user and release are not used: they must be NULL", k.name);
    return REMORA_OK;
}

static remora_status check_used(const remora_stage *s, uint32_t n_vocab, remora_error *err)
{
    const double v = s->value;
    switch (s->kind) {
    case REMORA_STAGE_TEMPERATURE:
        if (!(v >= 0.0) || isinf(v))
            RMR_FAIL(err, REMORA_E_ARG, "temperature stage: %g is not a number from 0 up", v);
        return REMORA_OK;
    case REMORA_STAGE_TOP_K:
        if (s->count < 1)
            RMR_FAIL(err, REMORA_E_ARG, "top-k stage: count %lld is below 1", (long long)s->count);
        return REMORA_OK;
    case REMORA_STAGE_TOP_P:
        if (!(v > 0.0 && v <= 1.0))
            RMR_FAIL(err, REMORA_E_ARG, "top-p stage: %g is not above 0 and at most 1", v);
        return REMORA_OK;
    case REMORA_STAGE_MIN_P:
        if (!(v >= 0.0 && v <= 1.0))
            RMR_FAIL(err, REMORA_E_ARG, "min-p stage: %g is not in 0 .. 1", v);
        return REMORA_OK;
    case REMORA_STAGE_REPEAT:
    case REMORA_STAGE_FREQUENCY:
    case REMORA_STAGE_PRESENCE: return check_penalty(s, err);
    case REMORA_STAGE_BIAS: return check_bias(s, n_vocab, err);
    case REMORA_STAGE_CALLBACK:
        if (s->fn == NULL) RMR_FAIL(err, REMORA_E_ARG, "callback stage: fn is NULL");
        return REMORA_OK;
    default: RMR_FAIL(err, REMORA_E_UNSUPPORTED, "stage kind %d is unknown", s->kind);
    }
}

remora_status rmr_stage_check(const remora_stage *s, uint32_t n_vocab, remora_error *err)
{
    RMR_TRY(check_used(s, n_vocab, err));
    return check_unused(s, err);
}

/* -- stages that rank or cut: on a compact, non-empty list -- */

/* Keep the k best, k <= n. Candidates with equal logits count by id, so those that are not in the
 * list have to be below all that stay. */
static remora_status keep_best(rmr_candidates *l, size_t k)
{
    rmr_candidates_rank(l->c, l->n, k);
    if (!(l->c[k - 1].logit > l->rest)) return REMORA_MORE;
    l->n = k;
    l->rest = -INFINITY;
    return REMORA_OK;
}

/* A shift of all logits does not change softmax. When the best logit would leave the range of float
 * (tiny temperatures), all are first moved so that it is 0: the limit is then greedy instead of a
 * row of equal infinities. */
static remora_status temperature(rmr_candidates *l, double t)
{
    const float max = rmr_candidates_max(l);
    if (t == 0.0) return keep_best(l, 1);
    if (l->rest > max) return REMORA_MORE;
    if (isinf(max)) return REMORA_OK; /* infinite logits win at any temperature */
    const double shift = fabs((double)max / t) > (double)FLT_MAX ? (double)max : 0.0;
    for (size_t i = 0; i < l->n; i++) l->c[i].logit = to_logit(((double)l->c[i].logit - shift) / t);
    /* a higher logit never gets a lower result */
    if (!rmr_candidates_lack(l)) return REMORA_OK;
    l->rest = to_logit(((double)l->rest - shift) / t);
    l->least = to_logit(((double)l->least - shift) / t);
    l->scaled /= t;
    return REMORA_OK;
}

static remora_status top_k(rmr_candidates *l, int64_t k)
{
    if ((uint64_t)k >= l->n) return rmr_candidates_lack(l) ? REMORA_MORE : REMORA_OK;
    l->by_id = 0;
    return keep_best(l, (size_t)k);
}

/* Bucket of a logit: its distance below the best, in RMR_CANDIDATE_BUCKETS steps over `range`. A
 * lower logit never has a lower bucket. */
static size_t bucket_of(float logit, float max, double range)
{
    const double below = logit == max ? 0.0 : (double)max - (double)logit;
    if (!(below < range)) return range > 0.0 ? RMR_CANDIDATE_BUCKETS - 1 : 0;
    return (size_t)(below / range * (RMR_CANDIDATE_BUCKETS - 1));
}

/* Spread of the logits, but no more than 40: lower logits weigh nothing beside the best. */
static double spread(const rmr_candidates *l, float max)
{
    float min = rmr_candidates_lack(l) ? l->least : max;
    for (size_t i = 0; i < l->n; i++)
        if (l->c[i].logit < min) min = l->c[i].logit;
    const double range = min == max ? 0.0 : (double)max - (double)min;
    return range < 40.0 ? range : 40.0;
}

/* Put the candidates of buckets below `edge` first and those of `edge` behind them, and drop the
 * others. Returns the number of candidates below `edge`. */
static size_t split_at(rmr_candidates *l, size_t edge, float max, double range)
{
    size_t n = 0, m = 0;
    for (size_t i = 0; i < l->n; i++) {
        const remora_token_prob x = l->c[i];
        const size_t b = bucket_of(x.logit, max, range);
        if (b > edge) continue;
        l->c[n++] = x;
        if (b == edge) continue;
        l->c[n - 1] = l->c[m];
        l->c[m++] = x;
    }
    l->n = n;
    return m;
}

/* A sum of weights to be reached. Where some are not in the list it lies in a range: then whether a
 * sum within that reaches it is in doubt. */
typedef struct goal {
    double low, high;
    int doubt;
} goal;

static int falls_short(goal *g, double sum)
{
    g->doubt |= sum >= g->low && sum < g->high;
    return sum < g->low;
}

/* p of all weights, of which those in the list sum to `total`. What their mass may be off by: 1e-5
 * as it was given, as much for the float that its scale is, and roundings of logits, which grow
 * with them. */
static goal goal_of(const rmr_candidates *l, double p, double total, float max)
{
    if (!rmr_candidates_lack(l)) return (goal){p * total, p * total, 0};
    const double others = l->mass * rmr_candidates_weight(l->rest, max),
                 off = 4e-5 + 4e-7 * fabs((double)max), sums = 1e-9;
    return (goal){p * (total + others * (1 - off)) * (1 - sums),
                  p * (total + others * (1 + off)) * (1 + sums),
                  l->scale == 0 || l->scale != (float)l->scaled || !(off < 0.5) || !(others >= 0)};
}

/* Keep the best candidates whose weights sum to p, without a full sort: weights are summed by
 * bucket, and only the bucket in which the sum reaches p is ranked, a few candidates at first and
 * then four times as many each time. */
static remora_status top_p(rmr_candidates *l, double p)
{
    if (p >= 1.0) return REMORA_OK;
    RMR_ASSERT(l->n > 0 && !l->holes);
    const float max = rmr_candidates_max(l);
    if (l->rest > max) return REMORA_MORE;
    const double range = spread(l, max);
    double total = 0.0, sum = 0.0;
    size_t edge = 0;
    for (size_t b = 0; b < RMR_CANDIDATE_BUCKETS; b++) l->buckets[b] = 0.0;
    for (size_t i = 0; i < l->n; i++)
        l->buckets[bucket_of(l->c[i].logit, max, range)] +=
            rmr_candidates_weight(l->c[i].logit, max);
    for (size_t b = 0; b < RMR_CANDIDATE_BUCKETS; b++) total += l->buckets[b];
    goal g = goal_of(l, p, total, max);
    if (g.doubt) return REMORA_MORE;
    while (edge < RMR_CANDIDATE_BUCKETS - 1 && falls_short(&g, sum + l->buckets[edge]))
        sum += l->buckets[edge++];
    RMR_ASSERT(edge < RMR_CANDIDATE_BUCKETS);
    if (rmr_candidates_lack(l) && bucket_of(l->rest, max, range) <= edge) return REMORA_MORE;
    size_t kept = split_at(l, edge, max, range), ranked = kept;
    for (size_t step = 64; ranked < l->n && falls_short(&g, sum); step *= 4) {
        const size_t more = l->n - ranked < step ? l->n - ranked : step;
        rmr_candidates_rank(l->c + ranked, l->n - ranked, more);
        ranked += more;
        while (kept < ranked && falls_short(&g, sum))
            sum += rmr_candidates_weight(l->c[kept++].logit, max);
    }
    if (g.doubt) return REMORA_MORE;
    RMR_ASSERT(kept > 0 && kept <= l->n);
    l->n = kept;
    l->by_id = 0;
    l->rest = -INFINITY;
    return REMORA_OK;
}

/* Is a candidate with logit x likely enough beside the best one? */
static int passes(float x, float max, double least)
{
    return x == max || (double)x - (double)max >= least;
}

static remora_status min_p(rmr_candidates *l, double p)
{
    const float max = rmr_candidates_max(l);
    const double least = rmr_dlog(p);
    size_t m = 0;
    if (rmr_candidates_lack(l) && (l->rest > max || passes(l->rest, max, least)))
        return REMORA_MORE;
    for (size_t i = 0; i < l->n; i++)
        if (passes(l->c[i].logit, max, least)) l->c[m++] = l->c[i];
    l->n = m;
    l->rest = -INFINITY;
    return REMORA_OK;
}

/* -- stages that change single logits: holes are fine -- */

static float penalised(const remora_stage *s, float logit, uint32_t times)
{
    const double x = logit;
    switch (s->kind) {
    case REMORA_STAGE_REPEAT: return to_logit(x > 0.0 ? x / s->value : x * s->value);
    case REMORA_STAGE_FREQUENCY: return to_logit(x - s->value * (double)times);
    default: return to_logit(x - s->value);
    }
}

static void penalty(const remora_stage *s, rmr_candidates *l, const rmr_history *h,
                    uint32_t *counts)
{
    const size_t want = rmr_stage_window(s);
    const size_t window = want < h->n ? want : h->n;
    const size_t first = (h->next + h->cap - window) % h->cap;
    RMR_ASSERT(counts != NULL && want <= h->cap);
    if (window == 0) return;
    for (size_t i = 0; i < window; i++) counts[h->ring[(first + i) % h->cap]]++;
    for (size_t i = 0; i < l->n; i++) {
        remora_token_prob *const c = &l->c[i];
        if (counts[c->token] == 0 || isinf(c->logit)) continue;
        c->logit = penalised(s, c->logit, counts[c->token]);
    }
    for (size_t i = 0; i < window; i++) counts[h->ring[(first + i) % h->cap]] = 0;
}

static size_t find_sorted(const rmr_candidates *l, remora_token t)
{
    size_t lo = 0, hi = l->n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (l->c[mid].token < t)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void bias(rmr_candidates *l, remora_token t, double value)
{
    size_t i = l->by_id ? find_sorted(l, t) : 0;
    while (i < l->n && l->c[i].token != t) i = l->by_id ? l->n : i + 1;
    if (i == l->n) return;
    if (isinf(value)) {
        l->c[i].logit = -INFINITY;
        l->holes = 1;
    } else if (!isinf(l->c[i].logit)) {
        l->c[i].logit = to_logit((double)l->c[i].logit + value);
    }
}

/* A host's stage runs in the host's floating-point mode, and its results are checked. */
static remora_status callback(const remora_stage *s, rmr_candidates *l, uint32_t n_vocab)
{
    size_t n = l->n;
    if (rmr_candidates_lack(l)) return REMORA_MORE;
    rmr_candidates_logprobs(l);
    rmr_fpenv_leave(l->host);
    const remora_status st = s->fn(s->user, l->c, &n);
    rmr_fpenv_enter();
    if (st != REMORA_OK || n > l->n) return REMORA_E_CALLBACK;
    for (size_t i = 0; i < n; i++)
        if (l->c[i].token < 0 || (uint32_t)l->c[i].token >= n_vocab) return REMORA_E_CALLBACK;
    l->n = n;
    l->by_id = 0;
    l->holes = 1;
    return REMORA_OK;
}

static int changes_single_logits(int32_t kind)
{
    return rmr_stage_is_penalty(kind) || kind == REMORA_STAGE_BIAS;
}

remora_status rmr_stage_run(const remora_stage *s, rmr_candidates *l, const rmr_history *h,
                            uint32_t *counts, uint32_t n_vocab)
{
    if (!changes_single_logits(s->kind)) {
        rmr_candidates_compact(l);
        if (l->n == 0) return rmr_candidates_lack(l) ? REMORA_MORE : REMORA_E_NO_TOKEN;
    } else if (rmr_candidates_lack(l) && !rmr_stage_lowers(s)) {
        return REMORA_MORE;
    }
    switch (s->kind) {
    case REMORA_STAGE_TEMPERATURE: return temperature(l, s->value);
    case REMORA_STAGE_TOP_K: return top_k(l, s->count);
    case REMORA_STAGE_TOP_P: return top_p(l, s->value);
    case REMORA_STAGE_MIN_P: return min_p(l, s->value);
    case REMORA_STAGE_CALLBACK: return callback(s, l, n_vocab);
    case REMORA_STAGE_BIAS: bias(l, (remora_token)s->count, s->value); return REMORA_OK;
    default: penalty(s, l, h, counts); return REMORA_OK;
    }
}

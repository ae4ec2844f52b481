/* SPDX-License-Identifier: Apache-2.0 */
/* The sampler: stages, history, generator and the buffers of a pick. */
#include "sampler.h"

#include <string.h>

#include "candidates.h"
#include "fpenv.h"
#include "lock.h"
#include "release.h"
#include "spell.h"

/* The release hook of a stage, counted: clones share it. */
typedef struct loan {
    atomic_uint refs;
    rmr_release release;
} loan;

typedef struct owned_stage {
    remora_stage stage;
    loan *loan; /* NULL: the host does not ask */
} owned_stage;

typedef struct stage_list {
    size_t n, cap;
    owned_stage item[];
} stage_list;

/* A thread may be left behind by fork() in the middle of rmr_sampler_add(), and the child frees the
 * sampler. So a block is whole before it takes the place of another one, which goes after that. */
struct rmr_sampler {
    rmr_mem *mem;
    uint32_t n_vocab;
    rmr_rng rng;
    stage_list *stages; /* NULL: none yet */
    rmr_history *hist;  /* NULL: no penalty looks at it */
    rmr_spell *spell;   /* NULL: there never was one */
    rmr_limiter limiter;
    uint32_t *mask;   /* of the limiter; NULL: there never was one */
    uint32_t *counts; /* n_vocab zeros between picks, there from the first penalty on */
    rmr_candidates list;
};

static size_t n_stages(const rmr_sampler *c)
{
    return c->stages != NULL ? c->stages->n : 0;
}

/* Bytes of the sums: one a block of candidates, and the buckets behind them. */
static size_t sums_bytes(uint32_t n_vocab)
{
    const size_t n_blocks = ((size_t)n_vocab + RMR_SOFTMAX_BLOCK - 1) / RMR_SOFTMAX_BLOCK;
    return (n_blocks + RMR_CANDIDATE_BUCKETS) * sizeof(double);
}

static remora_status alloc_buffers(rmr_sampler *c, remora_error *err)
{
    const size_t n_list = (size_t)c->n_vocab * sizeof *c->list.c;
    const size_t n_sums = sums_bytes(c->n_vocab);
    if ((c->list.c = rmr_alloc(c->mem, n_list)) == NULL)
        return rmr_error_nomem(err, "sampler candidates", n_list);
    if ((c->list.blocks = rmr_alloc(c->mem, n_sums)) == NULL)
        return rmr_error_nomem(err, "sampler sums", n_sums);
    c->list.buckets = c->list.blocks + n_sums / sizeof(double) - RMR_CANDIDATE_BUCKETS;
    return REMORA_OK;
}

/* A sampler with its buffers and nothing in them; NULL when memory is out. */
static rmr_sampler *make(rmr_mem *mem, uint32_t n_vocab, remora_error *err)
{
    rmr_sampler *c = rmr_calloc(mem, 1, sizeof *c);
    if (c == NULL) {
        rmr_error_nomem(err, "sampler", sizeof *c);
        return NULL;
    }
    c->mem = mem;
    c->n_vocab = n_vocab;
    if (alloc_buffers(c, err) < 0) {
        rmr_sampler_free(c);
        return NULL;
    }
    return c;
}

remora_status rmr_sampler_create(rmr_mem *mem, uint32_t n_vocab, uint64_t seed, rmr_sampler **out,
                                 remora_error *err)
{
    *out = NULL;
    if (n_vocab == 0 || n_vocab > (uint32_t)INT32_MAX)
        RMR_FAIL(err, REMORA_E_ARG, "sampler: a vocabulary has %u tokens, not 1 to 2^31 - 1",
                 n_vocab);
    rmr_sampler *c = make(mem, n_vocab, err);
    if (c == NULL) return REMORA_E_NOMEM;
    rmr_rng_seed(&c->rng, seed);
    *out = c;
    return REMORA_OK;
}

static remora_status make_loan(rmr_sampler *c, const remora_stage *stage, loan **out,
                               remora_error *err)
{
    *out = NULL;
    if (stage->release == NULL) return REMORA_OK;
    if ((*out = rmr_alloc(c->mem, sizeof **out)) == NULL)
        return rmr_error_nomem(err, "sampler stage", sizeof **out);
    atomic_init(&(*out)->refs, 1);
    (*out)->release = (rmr_release){stage->release, stage->user};
    return REMORA_OK;
}

static void share_loan(loan *l)
{
    if (l != NULL) atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
}

static void end_loan(rmr_mem *mem, loan *l)
{
    if (l == NULL || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1) return;
    const rmr_release release = l->release;
    rmr_free(mem, l, sizeof *l);
    rmr_release_call(release);
}

static size_t stages_bytes(size_t cap)
{
    return sizeof(stage_list) + cap * sizeof(owned_stage);
}

static void free_stages(rmr_mem *mem, stage_list *l)
{
    if (l == NULL) return;
    for (size_t i = 0; i < l->n; i++) end_loan(mem, l->item[i].loan);
    rmr_free(mem, l, stages_bytes(l->cap));
}

static size_t history_bytes(size_t cap)
{
    return sizeof(rmr_history) + cap * sizeof(remora_token);
}

static void free_history(rmr_mem *mem, rmr_history *h)
{
    if (h != NULL) rmr_free(mem, h, history_bytes(h->cap));
}

static size_t mask_bytes(const rmr_sampler *c)
{
    return ((size_t)c->n_vocab + 31) / 32 * sizeof *c->mask;
}

static void end_limiter(rmr_sampler *c)
{
    const rmr_limiter old = c->limiter;
    c->limiter.ops = NULL;
    rmr_lock_order();
    if (old.ops != NULL) old.ops->free(old.guide);
}

void rmr_sampler_free(rmr_sampler *c)
{
    if (c == NULL) return;
    rmr_free(c->mem, c->list.c, (size_t)c->n_vocab * sizeof *c->list.c);
    rmr_free(c->mem, c->list.blocks, sums_bytes(c->n_vocab));
    free_history(c->mem, c->hist);
    rmr_free(c->mem, c->spell, sizeof *c->spell);
    end_limiter(c);
    rmr_free(c->mem, c->mask, mask_bytes(c));
    rmr_free(c->mem, c->counts, (size_t)c->n_vocab * sizeof *c->counts);
    free_stages(c->mem, c->stages);
    rmr_free(c->mem, c, sizeof *c);
}

/* Copy the remembered tokens, oldest first, to the start of a ring that has room. */
static void copy_history(rmr_history *to, const rmr_history *from)
{
    if (from->n == 0) return;
    const size_t first = (from->next + from->cap - from->n) % from->cap;
    RMR_ASSERT(from->n <= from->cap && from->n <= to->cap && from->next < from->cap);
    for (size_t i = 0; i < from->n; i++) to->ring[i] = from->ring[(first + i) % from->cap];
    to->n = from->n;
    to->next = from->n % to->cap;
    to->lost = from->lost;
}

static remora_status grow_history(rmr_sampler *c, size_t window, remora_error *err)
{
    rmr_history *const old = c->hist;
    if (old != NULL && window <= old->cap) return REMORA_OK;
    rmr_history *grown = rmr_alloc(c->mem, history_bytes(window));
    if (grown == NULL) return rmr_error_nomem(err, "sampler history", history_bytes(window));
    *grown = (rmr_history){.cap = window};
    if (old != NULL) copy_history(grown, old);
    rmr_lock_order();
    c->hist = grown;
    rmr_lock_order();
    free_history(c->mem, old);
    return REMORA_OK;
}

/* Make room for n stages in all. */
static remora_status grow_stages(rmr_sampler *c, size_t n, remora_error *err)
{
    stage_list *const old = c->stages;
    if (old != NULL && n <= old->cap) return REMORA_OK;
    const size_t cap = n + n / 2;
    stage_list *grown = rmr_alloc(c->mem, stages_bytes(cap));
    if (grown == NULL) return rmr_error_nomem(err, "sampler stages", stages_bytes(cap));
    *grown = (stage_list){.cap = cap};
    if (old != NULL) {
        grown->n = old->n;
        memcpy(grown->item, old->item, old->n * sizeof *old->item);
    }
    rmr_lock_order();
    c->stages = grown;
    rmr_lock_order();
    if (old != NULL) rmr_free(c->mem, old, stages_bytes(old->cap));
    return REMORA_OK;
}

static remora_status need_counts(rmr_sampler *c, remora_error *err)
{
    if (c->counts != NULL) return REMORA_OK;
    c->counts = rmr_calloc(c->mem, c->n_vocab, sizeof *c->counts);
    if (c->counts == NULL)
        return rmr_error_nomem(err, "sampler counts", (uint64_t)c->n_vocab * sizeof *c->counts);
    return REMORA_OK;
}

static remora_status need_spell(rmr_sampler *c, remora_error *err)
{
    if (c->spell != NULL) return REMORA_OK;
    c->spell = rmr_calloc(c->mem, 1, sizeof *c->spell);
    if (c->spell == NULL) return rmr_error_nomem(err, "text to spell", sizeof *c->spell);
    return REMORA_OK;
}

remora_status rmr_sampler_spell(rmr_sampler *c, rmr_spell_bytes bytes, const void *user,
                                const char *text, size_t n, remora_error *err)
{
    RMR_ASSERT(n <= REMORA_HEAL_MAX);
    if (n == 0 && c->spell == NULL) return REMORA_OK;
    RMR_TRY(need_spell(c, err));
    rmr_spell *s = c->spell;
    s->bytes = bytes;
    s->user = user;
    s->n = (uint32_t)n;
    s->at = s->n_began = 0;
    s->behind = 0;
    if (n > 0) memcpy(s->text, text, n);
    return REMORA_OK;
}

remora_status rmr_sampler_limit(rmr_sampler *c, rmr_limiter limiter, remora_error *err)
{
    if (limiter.ops != NULL && c->mask == NULL &&
        (c->mask = rmr_alloc(c->mem, mask_bytes(c))) == NULL) {
        limiter.ops->free(limiter.guide);
        return rmr_error_nomem(err, "the mask of a sampler", mask_bytes(c));
    }
    end_limiter(c);
    c->limiter = limiter;
    return REMORA_OK;
}

/* Keep the candidates that the mask has. */
static void keep_masked(rmr_candidates *l, const uint32_t *mask)
{
    size_t m = 0;
    for (size_t i = 0; i < l->n; i++) {
        const uint32_t t = (uint32_t)l->c[i].token;
        if (mask[t / 32] >> (t % 32) & 1) l->c[m++] = l->c[i];
    }
    l->n = m;
}

remora_status rmr_sampler_add(rmr_sampler *c, const remora_stage *stage, remora_error *err)
{
    loan *l;
    if (c == NULL || stage == NULL) RMR_FAIL(err, REMORA_E_ARG, "sampler or stage is NULL");
    const rmr_fpenv own = rmr_fpenv_enter(); /* values are compared */
    const remora_status st = rmr_stage_check(stage, c->n_vocab, err);
    rmr_fpenv_leave(own);
    RMR_TRY(st);
    if (rmr_stage_is_penalty(stage->kind)) {
        RMR_TRY(need_counts(c, err));
        RMR_TRY(grow_history(c, rmr_stage_window(stage) + RMR_SAMPLER_BACK, err));
    }
    RMR_TRY(grow_stages(c, n_stages(c) + 1, err));
    RMR_TRY(make_loan(c, stage, &l, err));
    c->stages->item[c->stages->n] = (owned_stage){*stage, l};
    rmr_lock_order();
    c->stages->n++;
    return REMORA_OK;
}

static remora_status copy_stages(rmr_sampler *to, const rmr_sampler *from, remora_error *err)
{
    const size_t n = n_stages(from);
    if (n > 0) {
        RMR_TRY(grow_stages(to, n, err));
        memcpy(to->stages->item, from->stages->item, n * sizeof *from->stages->item);
        for (size_t i = 0; i < n; i++) share_loan(to->stages->item[i].loan);
        to->stages->n = n;
    }
    if (from->counts != NULL) RMR_TRY(need_counts(to, err));
    if (from->spell != NULL) RMR_TRY(need_spell(to, err));
    return from->hist != NULL ? grow_history(to, from->hist->cap, err) : REMORA_OK;
}

remora_status rmr_sampler_clone(const rmr_sampler *c, rmr_sampler **out, remora_error *err)
{
    if (out == NULL) RMR_FAIL(err, REMORA_E_ARG, "out is NULL");
    *out = NULL;
    if (c == NULL) RMR_FAIL(err, REMORA_E_ARG, "sampler is NULL");
    rmr_sampler *copy = make(c->mem, c->n_vocab, err);
    if (copy == NULL) return REMORA_E_NOMEM;
    if (copy_stages(copy, c, err) < 0) {
        rmr_sampler_free(copy);
        return REMORA_E_NOMEM;
    }
    if (c->limiter.ops != NULL) {
        rmr_limiter l = {c->limiter.ops, NULL};
        remora_status st = l.ops->clone(c->limiter.guide, &l.guide, err);
        if (st >= 0) st = rmr_sampler_limit(copy, l, err);
        if (st < 0) {
            rmr_sampler_free(copy);
            return RMR_PASSED_ON(st);
        }
    }
    if (c->hist != NULL) copy_history(copy->hist, c->hist);
    if (c->spell != NULL) *copy->spell = *c->spell;
    copy->rng = c->rng;
    *out = copy;
    return REMORA_OK;
}

void rmr_sampler_reset(rmr_sampler *c, uint64_t seed)
{
    if (c == NULL) return;
    if (c->hist != NULL) *c->hist = (rmr_history){.cap = c->hist->cap};
    if (c->spell != NULL) rmr_sampler_spell(c, NULL, NULL, NULL, 0, NULL);
    if (c->limiter.ops != NULL) c->limiter.ops->restart(c->limiter.guide);
    rmr_rng_seed(&c->rng, seed);
}

rmr_rng rmr_sampler_numbers(const rmr_sampler *c)
{
    return c->rng;
}

void rmr_sampler_set_numbers(rmr_sampler *c, rmr_rng numbers)
{
    c->rng = numbers;
}

static void enter_token(rmr_history *h, remora_token t)
{
    RMR_ASSERT(h->next < h->cap && h->n <= h->cap);
    h->ring[h->next] = t;
    h->next = (h->next + 1) % h->cap;
    if (h->n < h->cap)
        h->n++;
    else
        h->lost = 1;
}

remora_status rmr_sampler_accept(rmr_sampler *c, remora_token t, remora_error *err)
{
    if (c == NULL) RMR_FAIL(err, REMORA_E_ARG, "sampler is NULL");
    if (t < 0 || (uint32_t)t >= c->n_vocab)
        RMR_FAIL(err, REMORA_E_ARG, "token %d is not in the vocabulary of %u", t, c->n_vocab);
    if (c->limiter.ops != NULL) RMR_TRY(c->limiter.ops->accept(c->limiter.guide, t, err));
    if (c->spell != NULL) rmr_spell_accept(c->spell, t);
    if (c->hist != NULL) enter_token(c->hist, t); /* else no stage looks at it */
    return REMORA_OK;
}

remora_status rmr_sampler_forced(rmr_sampler *c, remora_token *t, size_t *n, remora_error *err)
{
    *n = 0;
    if (c->limiter.ops == NULL || (c->spell != NULL && c->spell->at < c->spell->n))
        return REMORA_OK;
    return c->limiter.ops->forced(c->limiter.guide, t, n, err);
}

/* Where older tokens were overwritten, so many have to stay that all windows are full. */
static size_t most_back(const rmr_history *h)
{
    const size_t window = h->cap - RMR_SAMPLER_BACK;
    if (!h->lost) return h->n;
    return h->n > window ? h->n - window : 0;
}

remora_status rmr_sampler_rollback(rmr_sampler *c, size_t n, remora_error *err)
{
    if (c->hist != NULL && n > most_back(c->hist))
        RMR_FAIL(err, REMORA_E_ARG,
                 "the sampler cannot go back by %zu tokens: its penalties know %zu", n,
                 most_back(c->hist));
    if (c->limiter.ops != NULL) RMR_TRY(c->limiter.ops->rollback(c->limiter.guide, n, err));
    if (c->spell != NULL) rmr_spell_rollback(c->spell, n);
    if (c->hist != NULL && n > 0) {
        c->hist->n -= n;
        c->hist->next = (c->hist->next + c->hist->cap - n) % c->hist->cap;
    }
    return REMORA_OK;
}

static remora_status no_token(const rmr_sampler *c, remora_error *err)
{
    RMR_FAIL(err, REMORA_E_NO_TOKEN, "no token is left of the row of logits after %zu stages",
             n_stages(c));
}

/* What may come next, of a whole row. */
static remora_status limit(rmr_sampler *c, remora_error *err)
{
    if (c->limiter.ops != NULL) {
        RMR_TRY(c->limiter.ops->mask(c->limiter.guide, c->mask, err));
        keep_masked(&c->list, c->mask);
    }
    if (c->spell != NULL) rmr_spell_filter(c->spell, &c->list);
    return REMORA_OK;
}

/* Of the candidates in the list. MORE: it depends on others. */
static remora_status pick(rmr_sampler *c, remora_token *out, remora_error *err)
{
    for (size_t i = 0; i < n_stages(c); i++) {
        const remora_status st =
            rmr_stage_run(&c->stages->item[i].stage, &c->list, c->hist, c->counts, c->n_vocab);
        if (st == REMORA_E_CALLBACK)
            RMR_FAIL(err, st,
                     "stage %zu, a CALLBACK, failed: it returned another status than REMORA_OK, "
                     "raised *n, or put in a token outside the vocabulary",
                     i);
        if (st < 0) return no_token(c, err);
        if (st == REMORA_MORE) return st;
    }
    if (rmr_candidates_lack(&c->list)) return REMORA_MORE;
    /* A host's stage may have put others in. */
    if (c->limiter.ops != NULL) keep_masked(&c->list, c->mask);
    rmr_candidates_compact(&c->list);
    if (c->list.n == 0) return no_token(c, err);
    *out = rmr_candidates_draw(&c->list, rmr_rng_double(&c->rng));
    RMR_ASSERT(*out >= 0 && (uint32_t)*out < c->n_vocab);
    return REMORA_OK;
}

remora_status rmr_sampler_pick(rmr_sampler *c, const float *logits, size_t n, remora_token *out,
                               remora_error *err)
{
    if (c == NULL || logits == NULL || out == NULL)
        RMR_FAIL(err, REMORA_E_ARG, "sampler, logits or out is NULL");
    if (n == 0 || n > c->n_vocab)
        RMR_FAIL(err, REMORA_E_ARG, "there are %zu logits, the sampler takes 1 to %u", n,
                 c->n_vocab);
    c->list.host = rmr_fpenv_enter();
    rmr_candidates_load(&c->list, logits, n);
    remora_status st = limit(c, err);
    if (st >= 0) st = pick(c, out, err);
    rmr_fpenv_leave(c->list.host);
    return st;
}

enum {
    MOST_BEST = 512, /* where more are needed a whole row is as good */
    SPARE_BEST = 256 /* for candidates that others than the best become the best of */
};

/* For a top-p stage behind temperatures alone: weights are e^(scale * logit). Behind penalties
 * nobody would know those of tokens that are not among the best. */
static rmr_sampler_wish for_top_p(double scale)
{
    return scale > 1e-30 && scale < 1e30 ? (rmr_sampler_wish){SPARE_BEST, (float)scale}
                                         : (rmr_sampler_wish){0};
}

/* May only some tokens come next? */
static int is_limited(const rmr_sampler *c)
{
    return c->limiter.ops != NULL || (c->spell != NULL && c->spell->at < c->spell->n);
}

rmr_sampler_wish rmr_sampler_needs(const rmr_sampler *c)
{
    const rmr_sampler_wish whole = {0};
    uint32_t spare = 0;
    double scale = 1.0;
    if (is_limited(c)) return whole;
    for (size_t i = 0; i < n_stages(c); i++) {
        const remora_stage *s = &c->stages->item[i].stage;
        if (rmr_stage_lowers(s))
            spare = SPARE_BEST;
        else if (s->kind == REMORA_STAGE_TEMPERATURE && s->value == 0.0)
            return (rmr_sampler_wish){.n = 1 + spare};
        else if (s->kind == REMORA_STAGE_TEMPERATURE)
            scale /= s->value;
        else if (s->kind == REMORA_STAGE_TOP_K)
            return s->count < MOST_BEST - spare
                       ? (rmr_sampler_wish){.n = (uint32_t)s->count + 1 + spare}
                       : whole;
        else if (s->kind == REMORA_STAGE_MIN_P && s->value > 0.0)
            return (rmr_sampler_wish){.n = SPARE_BEST};
        else if (s->kind == REMORA_STAGE_TOP_P && s->value < 1.0)
            return spare > 0 ? whole : for_top_p(scale);
        else if (s->kind != REMORA_STAGE_TOP_P)
            return whole;
    }
    return whole;
}

double rmr_sampler_divisor(const rmr_sampler *c)
{
    double t = 0;
    if (is_limited(c)) return 0;
    for (size_t i = 0; i < n_stages(c); i++) {
        const remora_stage *s = &c->stages->item[i].stage;
        if (s->kind == REMORA_STAGE_TOP_P && s->value >= 1.0) continue;
        if (s->kind != REMORA_STAGE_TEMPERATURE || t != 0) return 0;
        t = s->value;
        if (t == 0) return 0;
    }
    return t != 0 ? t : 1.0;
}

remora_status rmr_sampler_pick_best(rmr_sampler *c, const rmr_best_logits *best, remora_token *out,
                                    remora_error *err)
{
    RMR_ASSERT(best->n <= c->n_vocab);
    if (rmr_sampler_needs(c).n == 0) return REMORA_MORE;
    c->list.host = rmr_fpenv_enter();
    rmr_candidates_load_best(&c->list, best);
    const remora_status st = pick(c, out, err);
    rmr_fpenv_leave(c->list.host);
    return st;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "predict.h"

#include "session.h"

/* The inputs of a step of one run, in the absorbed form. */
static void fill(rmr_inputs *in, const remora_session *s, const rmr_prediction *p)
{
    const rmr_page_table *cache = &s->predictor.cache;
    const uint64_t end = p->first + p->n;
    in->n_rows = p->n;
    in->n_runs = 1;
    in->n_pages = (uint32_t)rmr_pages_for(end);
    in->run[0] = (rmr_run){
        .n_rows = p->n, .pos0 = (uint32_t)p->first, .form = RMR_FORM_ABSORBED, .kv = cache->type};
    rmr_page_table_addresses(cache, end, in->page);
    for (uint32_t i = 0; i < p->n; i++) {
        in->token[i] = p->next[i];
        in->pos[i] = (uint32_t)p->first + i;
    }
}

/* 0: the largest number of a row may be another one as well. */
static int best_of(const rmr_best *b, remora_token *out)
{
    float top = b->rest;
    uint32_t at = b->n;
    for (uint32_t i = 0; i < b->n; i++)
        if (b->value[i] > top || (at < b->n && b->value[i] == top && b->col[i] < b->col[at])) {
            top = b->value[i];
            at = i;
        }
    if (at < b->n) *out = b->col[at];
    return at < b->n;
}

/* The most likely token of row 0 of a pass. */
static remora_status most_likely(remora_session *s, rmr_context *c, remora_token *out,
                                 remora_error *err)
{
    static const rmr_best_wish one = {.n = 1};
    const float *logits = s->predictor.logits;
    uint32_t best = 0;
    if (s->model->be->ops->step_best != NULL) {
        rmr_best b;
        RMR_TRY(rmr_context_best(s->model, c, 0, &one, &b, err));
        if (best_of(&b, out)) return REMORA_OK;
    }
    RMR_TRY(rmr_context_read(s->model, c, 0, 1, s->predictor.logits, NULL, err));
    for (uint32_t i = 1; i < s->model->shape.n_vocab; i++)
        if (logits[i] > logits[best]) best = i;
    *out = (remora_token)best;
    return REMORA_OK;
}

/* One pass of the head: n rows from the `at`-th of those asked for on. */
static remora_status head_pass(remora_session *s, rmr_context *c, const rmr_program_slice *slice,
                               const rmr_prediction *p, uint32_t at, uint32_t n, rmr_halt *halt,
                               remora_error *err)
{
    const rmr_shape *shape = &s->model->shape;
    uint32_t rows[RMR_HEAD_ROWS];
    for (uint32_t i = 0; i < n; i++) rows[i] = p->n - p->n_out + at + i;
    RMR_TRY(rmr_context_want(s->model, c, rows, n, err));
    const remora_status st = rmr_context_run(s->model, c, slice, halt, err);
    if (st != REMORA_OK) return RMR_PASSED_ON(st);
    if (p->best != NULL) RMR_TRY(most_likely(s, c, p->best, err));
    return rmr_context_read(s->model, c, 0, n,
                            p->logits != NULL ? p->logits + (size_t)at * shape->n_vocab : NULL,
                            p->own != NULL ? p->own + (size_t)at * shape->n_hidden : NULL, err);
}

static remora_status run(remora_session *s, rmr_context *c, const rmr_prediction *p, rmr_halt *halt,
                         remora_error *err)
{
    remora_model *m = s->model;
    const rmr_program *program = &m->programs.program[RMR_PROGRAM_PREDICT];
    remora_status st = REMORA_OK;
    RMR_TRY(rmr_context_begin(m, c, err));
    RMR_TRY(rmr_context_write(m, c, p->n, p->hidden, err));
    for (uint32_t i = 0; st == REMORA_OK && i < program->n_slices; i++) {
        const rmr_program_slice *slice = &program->slices[i];
        if (slice->kind == RMR_SLICE_LAYER) st = rmr_context_run(m, c, slice, halt, err);
        for (uint32_t at = 0; st == REMORA_OK && slice->kind == RMR_SLICE_HEAD && at < p->n_out;
             at += RMR_HEAD_ROWS)
            st =
                head_pass(s, c, slice, p, at,
                          p->n_out - at < RMR_HEAD_ROWS ? p->n_out - at : RMR_HEAD_ROWS, halt, err);
    }
    if (st < 0) return RMR_PASSED_ON(st);
    RMR_TRY(rmr_context_wait(m, c, err));
    return st;
}

remora_status rmr_predict(remora_session *s, const rmr_prediction *p, rmr_halt *halt,
                          remora_error *err)
{
    remora_model *m = s->model;
    rmr_context *c;
    if (!s->predictor.on)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "the session does not use a prediction layer");
    RMR_ASSERT(p->n > 0 && p->n <= s->chunk && p->n_out <= p->n);
    RMR_ASSERT(p->best == NULL || p->n_out <= 1);
    RMR_ASSERT(p->first + p->n <= s->capacity);
    RMR_TRY(rmr_page_table_reserve(&s->predictor.cache, p->first, p->first + p->n, err));
    RMR_TRY(rmr_context_take(m, rmr_session_context_size(s->chunk, s->cache.max), s, &c, err));
    fill(&c->in, s, p);
    const remora_status st = run(s, c, p, halt, err);
    rmr_context_give(m, c);
    return st;
}

/* ---- drafts ---- */

static uint64_t numbers(const remora_model *m)
{
    return (RMR_PREDICT_WAITING + 1) * (uint64_t)m->shape.n_hidden + m->shape.n_vocab;
}

uint64_t rmr_predictor_bytes(const remora_model *m, uint32_t capacity)
{
    return numbers(m) * sizeof(float) + rmr_page_table_own_bytes(capacity);
}

remora_status rmr_predictor_make(remora_session *s, uint32_t capacity, int as_needed,
                                 remora_error *err)
{
    remora_model *m = s->model;
    rmr_predictor *p = &s->predictor;
    const uint64_t bytes = numbers(m) * sizeof(float);
    p->on = 1;
    RMR_TRY(rmr_page_table_init(&p->cache, &m->predict_pages,
                                rmr_cache_apart_bytes(&m->cache, s->cache.type), s->cache.type,
                                capacity, as_needed, err));
    p->waiting = m->be->ops->host_alloc(m->be, s->mem, (size_t)bytes);
    if (p->waiting == NULL) return rmr_error_nomem(err, "prediction rows", bytes);
    p->own = p->waiting + (size_t)RMR_PREDICT_WAITING * m->shape.n_hidden;
    p->logits = p->own + m->shape.n_hidden;
    return REMORA_OK;
}

void rmr_predictor_free(remora_session *s)
{
    rmr_backend *be = s->model->be;
    if (!s->predictor.on) return;
    be->ops->host_free(be, s->mem, s->predictor.waiting,
                       (size_t)(numbers(s->model) * sizeof(float)));
    rmr_page_table_free(&s->predictor.cache);
    s->predictor.on = 0;
}

static void keep_waiting(rmr_predictor *p, uint64_t end)
{
    if (p->at + p->n_waiting > end) p->n_waiting = end > p->at ? (uint32_t)(end - p->at) : 0;
}

float *rmr_predictor_place(remora_session *s, uint64_t position, uint32_t n)
{
    rmr_predictor *p = &s->predictor;
    if (!p->on) return NULL;
    RMR_ASSERT(n <= RMR_PREDICT_WAITING);
    keep_waiting(p, position);
    if (p->at + p->n_waiting != position || p->n_waiting + n > RMR_PREDICT_WAITING) {
        p->at = position;
        p->n_waiting = 0;
    }
    float *place = p->waiting + (size_t)p->n_waiting * s->model->shape.n_hidden;
    p->n_waiting += n;
    return place;
}

int rmr_predictor_ready(remora_session *s)
{
    rmr_predictor *p = &s->predictor;
    if (!p->on || s->n_tokens != s->committed + 1) return 0;
    keep_waiting(p, s->committed);
    return p->n_waiting > 0 && p->at + p->n_waiting == s->committed;
}

void rmr_predictor_trim(remora_session *s, uint64_t keep)
{
    rmr_predictor *p = &s->predictor;
    if (!p->on) return;
    keep_waiting(p, keep);
    if (p->first + p->n >= keep) /* the last row knows the token behind it */
        p->n = keep > p->first ? keep - 1 - p->first : 0;
    rmr_page_table_trim(&p->cache, p->n);
}

/* Give the layer what waits for it; *first: what it guesses behind that. */
static remora_status catch_up(remora_session *s, rmr_halt *halt, remora_token *first)
{
    rmr_predictor *p = &s->predictor;
    const uint64_t at = p->at;
    const uint32_t n = p->n_waiting;
    if (p->first + p->n != at) {
        p->first = at;
        p->n = 0;
    }
    const uint64_t before = p->n;
    p->n_waiting = 0;
    p->n = 0; /* until it is complete */
    for (uint32_t i = 0, k; i < n; i += k) {
        k = n - i < s->chunk ? n - i : s->chunk;
        const rmr_prediction r = {.first = before + i,
                                  .n = k,
                                  .hidden = p->waiting + (size_t)i * s->model->shape.n_hidden,
                                  .next = s->tokens + at + i + 1,
                                  .n_out = i + k == n,
                                  .best = first,
                                  .own = p->own};
        const remora_status st = rmr_predict(s, &r, halt, NULL);
        if (st != REMORA_OK) return st;
    }
    p->n = before + n;
    return REMORA_OK;
}

uint32_t rmr_predictor_draft(remora_session *s, uint32_t n, rmr_halt *halt, remora_token *out)
{
    rmr_predictor *p = &s->predictor;
    uint32_t got = 0;
    if (n == 0 || catch_up(s, halt, out) != REMORA_OK) return 0;
    while (++got < n) {
        const rmr_prediction r = {.first = p->n + got - 1,
                                  .n = 1,
                                  .hidden = p->own,
                                  .next = &out[got - 1],
                                  .n_out = 1,
                                  .best = &out[got],
                                  .own = p->own};
        if (rmr_predict(s, &r, halt, NULL) != REMORA_OK) return got;
    }
    return got;
}

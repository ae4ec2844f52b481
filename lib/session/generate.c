/* SPDX-License-Identifier: Apache-2.0 */
/* Generation: evaluate, sample, append, until an end-of-sequence token, a stop string or the token
 * limit. The state that must survive a MORE (tokens so far, text that may be the start of a stop
 * string, once as it is and once with the names of control tokens in it) is in the session and ends
 * with the generation, or when the host changes the timeline itself. */
#include <string.h>

#include "clock.h"
#include "session.h"

enum { MAX_STOP = 1024, MAX_STOP_BYTES = 4096 };

void rmr_gen_end(remora_session *s)
{
    for (int i = 0; i < RMR_GEN_TAILS; i++)
        rmr_free(s->mem, s->gen.tails[i].text, s->gen.tails[i].cap);
    s->gen = (rmr_gen){0};
}

static remora_status check_stops(const remora_session *s, const remora_gen_opts *o, size_t *longest,
                                 remora_error *err)
{
    *longest = 0;
    if (o->n_stop == 0) return REMORA_OK;
    if (s->model->tok == NULL) RMR_FAIL(err, REMORA_E_UNSUPPORTED, "stop strings need a tokenizer");
    if (o->stop == NULL || o->n_stop > MAX_STOP)
        RMR_FAIL(err, REMORA_E_ARG, "there are more than %d stop strings", MAX_STOP);
    for (uint64_t i = 0; i < o->n_stop; i++) {
        const size_t n = o->stop[i] != NULL ? strlen(o->stop[i]) : 0;
        if (n == 0 || n > MAX_STOP_BYTES)
            RMR_FAIL(err, REMORA_E_ARG, "stop[%llu] is empty or longer than %d bytes",
                     (unsigned long long)i, MAX_STOP_BYTES);
        if (n > *longest) *longest = n;
    }
    return REMORA_OK;
}

static remora_status begin(remora_session *s, const remora_gen_opts *o, remora_error *err)
{
    size_t longest;
    RMR_TRY(check_stops(s, o, &longest, err));
    if (s->gen.active && s->gen.tails[RMR_GEN_TEXT].cap >= longest) return REMORA_OK;
    if (s->n_tokens == 0)
        RMR_FAIL(err, REMORA_E_ARG, "there is there is nothing to go on from: append tokens first");
    rmr_gen_end(s);
    for (int i = 0; longest > 0 && i < RMR_GEN_TAILS; i++) {
        rmr_gen_tail *tail = &s->gen.tails[i];
        tail->text = rmr_alloc(s->mem, longest);
        if (tail->text == NULL) return rmr_error_nomem(err, "stop strings", longest);
        tail->cap = longest;
    }
    s->gen.active = 1;
    return REMORA_OK;
}

/* Append `c` to the text; 1 when it now ends with a stop string. */
static int stop_at(rmr_gen_tail *t, const remora_gen_opts *o, char c)
{
    RMR_ASSERT(t->cap > 0 && t->n <= t->cap);
    if (t->n == t->cap) memmove(t->text, t->text + 1, --t->n);
    t->text[t->n++] = c;
    for (uint64_t i = 0; i < o->n_stop; i++) {
        const size_t n = strlen(o->stop[i]);
        if (n <= t->n && memcmp(t->text + t->n - n, o->stop[i], n) == 0) return 1;
    }
    return 0;
}

/* Append n bytes; 1 when they complete a stop string. */
static int stop_in(rmr_gen_tail *t, const remora_gen_opts *o, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (stop_at(t, o, s[i])) return 1;
    return 0;
}

/* A control token makes no text, but a stop string may have its name. */
static remora_status control_token(remora_session *s, const remora_gen_opts *o, remora_token t,
                                   int *hit)
{
    const char *name;
    size_t n;
    RMR_TRY(rmr_tokenizer_bytes(s->model->tok, t, &name, &n));
    *hit = stop_in(&s->gen.tails[RMR_GEN_NAMED], o, name, n);
    return REMORA_OK;
}

static remora_status hits_stop(remora_session *s, const remora_gen_opts *o, remora_token t,
                               int *hit, remora_error *err)
{
    char text[1024], *p = text;
    size_t n, room = 0;
    remora_detok next = s->gen.detok;
    *hit = 0;
    if (o->n_stop == 0) return REMORA_OK;
    if (rmr_tokenizer_flags(s->model->tok, t) & REMORA_TOKEN_CONTROL)
        return control_token(s, o, t, hit);
    remora_status st = rmr_detok_push(s->model->tok, &next, &t, 1, text, sizeof text, &n);
    if (st == REMORA_E_BUFFER) {
        room = n;
        p = rmr_alloc(s->mem, room);
        if (p == NULL) return rmr_error_nomem(err, "stop strings", room);
        st = rmr_detok_push(s->model->tok, &next, &t, 1, p, room,
                            &n); /* the first try left the state as it was */
    }
    if (st >= 0) s->gen.detok = next;
    for (int i = 0; st >= 0 && i < RMR_GEN_TAILS && !*hit; i++)
        *hit = stop_in(&s->gen.tails[i], o, p, n);
    if (p != text) rmr_free(s->mem, p, room);
    return st < 0 ? st : REMORA_OK;
}

/* Get the row to sample from: evaluate pending tokens. */
static remora_status last_row(remora_session *s, const remora_gen_opts *o, uint64_t start_us,
                              remora_error *err)
{
    RMR_TRY(rmr_session_want_last(s, 0, err));
    if (s->n_tokens == s->committed) return REMORA_OK;
    remora_eval_opts eo = {.struct_size = sizeof eo, .cancel = o->cancel};
    if (o->budget_us > 0) {
        const int64_t spent = (int64_t)(rmr_clock_us() - start_us);
        eo.budget_us = o->budget_us > spent ? o->budget_us - spent : 1;
    }
    return rmr_eval(&s, 1, &eo, err);
}

/* Sample one token and append it. Everything that can fail for lack of room fails before the draw.
 */
static remora_status next_token(remora_session *s, rmr_sampler *sampler, remora_token *out,
                                remora_error *err)
{
    const size_t n_vocab = s->model->shape.n_vocab;
    if (s->n_tokens == s->capacity)
        RMR_FAIL(err, REMORA_E_FULL, "the capacity of %u tokens is reached", s->capacity);
    RMR_TRY(rmr_page_table_reserve(&s->cache, s->n_tokens, s->n_tokens + 1, err));
    const uint64_t t0 = rmr_clock_us();
    RMR_ASSERT(s->rows.n_ready > 0 && s->rows.last == s->n_tokens - 1);
    const float *row = s->rows.logits + (size_t)(s->rows.n_ready - 1) * n_vocab;
    const remora_status st = rmr_sampler_pick(sampler, row, n_vocab, out);
    if (st < 0) return rmr_error_set(err, st, 0, "sampling has failed: %s", rmr_status_name(st));
    RMR_TRY(rmr_session_append(s, out, 1, REMORA_WANT_LAST, err));
    RMR_TRY(rmr_sampler_accept(sampler, *out));
    s->stats.sample_us += rmr_clock_us() - t0;
    return REMORA_OK;
}

/* *end = 1 when the generation ends with this token. */
static remora_status after_token(remora_session *s, const remora_gen_opts *o, remora_token t,
                                 int *end, remora_error *err)
{
    int hit;
    s->gen.n_tokens++;
    RMR_TRY(hits_stop(s, o, t, &hit, err));
    const int eos = s->model->tok != NULL &&
                    (rmr_tokenizer_flags(s->model->tok, t) & REMORA_TOKEN_END_OF_TURN) != 0;
    *end = hit || eos || (o->max_tokens > 0 && s->gen.n_tokens >= o->max_tokens);
    return REMORA_OK;
}

remora_status rmr_generate(remora_session *s, rmr_sampler *sampler, const remora_gen_opts *o,
                           remora_token *out, size_t cap, size_t *n, remora_error *err)
{
    const uint64_t start_us = rmr_clock_us();
    remora_status st = begin(s, o, err);
    int end = 0;
    *n = 0;
    while (st == REMORA_OK && !end) {
        if (*n == cap) return REMORA_MORE;
        if (*n > 0 && o->budget_us > 0 && rmr_clock_us() - start_us >= (uint64_t)o->budget_us)
            return REMORA_MORE;
        st = last_row(s, o, start_us, err);
        if (st == REMORA_OK) st = next_token(s, sampler, &out[*n], err);
        if (st == REMORA_OK) st = after_token(s, o, out[(*n)++], &end, err);
    }
    if (st == REMORA_MORE) return st;
    rmr_gen_end(s);
    return st < 0 ? st : REMORA_END;
}

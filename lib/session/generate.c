/* SPDX-License-Identifier: Apache-2.0 */
/* Generation: evaluate, sample, append, until an end-of-turn token, a stop string or the token
 * limit. What must survive a MORE is in the session: the options that hold for the whole
 * generation, how many tokens it has, and how far its text has been read for stop strings. It goes
 * on with the next call of the same options, and ends when the host changes the timeline itself.
 * Everything that can fail does so before a token is drawn, so an error ends nothing. */
#include "clock.h"
#include "session.h"

void rmr_gen_end(remora_session *s)
{
    rmr_stops_free(&s->gen.stops, s->mem);
    s->gen.active = 0;
}

/* Go on with the generation under way when it has the same options, or begin one. */
static remora_status begin(remora_session *s, const remora_gen_opts *o, remora_error *err)
{
    rmr_gen *g = &s->gen;
    rmr_stops stops;
    if (g->active && !(o->flags & REMORA_GEN_NEW) && g->max_tokens == o->max_tokens &&
        rmr_stops_same(&g->stops, o))
        return REMORA_OK;
    RMR_TRY(rmr_stops_check(o, err));
    if (o->n_stop > 0 && s->model->tok == NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "stop strings need a tokenizer, the model has none");
    if (s->n_tokens == 0)
        RMR_FAIL(err, REMORA_E_ARG, "there is nothing to go on from: append tokens first");
    RMR_TRY(rmr_stops_make(&stops, s->mem, o, err));
    rmr_gen_end(s);
    *g = (rmr_gen){.active = 1, .max_tokens = o->max_tokens, .stops = stops};
    return REMORA_OK;
}

/* Read some bytes for stop strings. */
static void read_bytes(rmr_gen *g, const char *p, size_t n, int is_name)
{
    for (size_t i = 0; i < n && g->reason == 0; i++) {
        rmr_stop_hit hit;
        if (!rmr_stops_read(&g->stops, p[i], is_name, &hit)) continue;
        g->reason = REMORA_REASON_STOP;
        g->stop = hit.string;
    }
}

static void read_text(void *gen, const char *p, size_t n)
{
    read_bytes(gen, p, n, 0);
}

/* A control token makes no text, but a stop string may have its name. */
static remora_status read_token(remora_session *s, remora_token t, remora_error *err)
{
    const rmr_tokenizer *tok = s->model->tok;
    const char *name;
    size_t n;
    if (s->gen.stops.n == 0) return REMORA_OK;
    if (!(rmr_tokenizer_flags(tok, t) & REMORA_TOKEN_CONTROL))
        return rmr_detok_each(tok, &s->gen.detok, t, read_text, &s->gen, err);
    RMR_TRY(rmr_tokenizer_bytes(tok, t, &name, &n, err));
    read_bytes(&s->gen, name, n, 1);
    return REMORA_OK;
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
static remora_status draw(remora_session *s, rmr_sampler *sampler, remora_token *out,
                          remora_error *err)
{
    const size_t n_vocab = s->model->shape.n_vocab;
    RMR_TRY(rmr_page_table_reserve(&s->cache, s->n_tokens, s->n_tokens + 1, err));
    const uint64_t t0 = rmr_clock_us();
    RMR_ASSERT(s->rows.n_ready > 0 && s->rows.last == s->n_tokens - 1);
    const float *row = s->rows.logits + (size_t)(s->rows.n_ready - 1) * n_vocab;
    RMR_TRY(rmr_sampler_pick(sampler, row, n_vocab, out, err));
    RMR_TRY(rmr_session_append(s, out, 1, REMORA_WANT_LAST, err));
    RMR_TRY(rmr_sampler_accept(sampler, *out, err));
    s->stats.sample_us += rmr_clock_us() - t0;
    return REMORA_OK;
}

static int ends_turn(const remora_session *s, remora_token t)
{
    const rmr_tokenizer *tok = s->model->tok;
    return tok != NULL && (rmr_tokenizer_flags(tok, t) & REMORA_TOKEN_END_OF_TURN) != 0;
}

/* The next token, and whether the generation ends with it; or no token, where there is no room for
 * one (*made = 0). */
static remora_status next_token(remora_session *s, rmr_sampler *sampler, const remora_gen_opts *o,
                                uint64_t start_us, remora_token *out, int *made, remora_error *err)
{
    rmr_gen *g = &s->gen;
    *made = 0;
    const remora_status st = last_row(s, o, start_us, err);
    if (st != REMORA_OK) return st;
    if (s->n_tokens == s->capacity) {
        g->reason = REMORA_REASON_CAPACITY;
        return REMORA_OK;
    }
    RMR_TRY(draw(s, sampler, out, err));
    *made = 1;
    g->n_tokens++;
    RMR_TRY(read_token(s, *out, err));
    if (g->reason != 0) return REMORA_OK;
    if (ends_turn(s, *out))
        g->reason = REMORA_REASON_END_OF_TURN;
    else if (g->max_tokens > 0 && g->n_tokens >= g->max_tokens)
        g->reason = REMORA_REASON_MAX_TOKENS;
    return REMORA_OK;
}

static remora_status end(remora_session *s, remora_error *err)
{
    rmr_gen_end(s);
    if (s->gen.reason == REMORA_REASON_CAPACITY)
        RMR_FAIL(err, REMORA_E_FULL, "the capacity of %u tokens is reached", s->capacity);
    return REMORA_END;
}

remora_status rmr_generate(remora_session *s, rmr_sampler *sampler, const remora_gen_opts *o,
                           remora_token *out, size_t cap, size_t *n, remora_error *err)
{
    const uint64_t start_us = rmr_clock_us();
    *n = 0;
    RMR_TRY(begin(s, o, err));
    while (s->gen.reason == 0) {
        int made;
        if (*n == cap) return REMORA_MORE;
        if (*n > 0 && o->budget_us > 0 && rmr_clock_us() - start_us >= (uint64_t)o->budget_us)
            return REMORA_MORE;
        const remora_status st = next_token(s, sampler, o, start_us, &out[*n], &made, err);
        *n += (size_t)made;
        if (st != REMORA_OK) return st;
    }
    return end(s, err);
}

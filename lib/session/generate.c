/* SPDX-License-Identifier: Apache-2.0 */
/* Generation: evaluate, sample or take what is forced, append, until an end-of-turn token, a stop
 * string or the token limit. What must survive a MORE is in the session: the options that hold for
 * the whole generation, how many tokens it has, and how far its text has been read and delivered.
 * It goes on with the next call of the same options, and ends when the host changes the timeline
 * itself. A token is drawn, entered into the sampler, appended and counted, or none of that, so an
 * error ends nothing. */
#include "clock.h"
#include "draft.h"
#include "session.h"

void rmr_gen_end(remora_session *s)
{
    rmr_stops_free(&s->gen.stops, s->mem);
    s->gen.active = 0;
}

static int goes_on(const rmr_gen *g, const rmr_gen_call *c)
{
    const remora_gen_opts *o = c->o;
    return g->active && g->is_text == (c->text != NULL) && g->flags == o->flags &&
           g->max_tokens == o->max_tokens && rmr_stops_same(&g->stops, o);
}

/* Go on with the generation under way when it has the same options, or begin one. */
static remora_status begin(remora_session *s, const rmr_gen_call *c, remora_error *err)
{
    const remora_gen_opts *o = c->o;
    const int needs_text = c->text != NULL || o->n_stop > 0;
    rmr_stops stops;
    if (goes_on(&s->gen, c)) return REMORA_OK; /* flags of a generation do not have NEW */
    RMR_TRY(rmr_stops_check(o, err));
    if (needs_text && s->model->tok == NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s need a tokenizer, the model has none",
                 c->text != NULL ? "generations of text" : "stop strings");
    if (s->n_tokens == 0)
        RMR_FAIL(err, REMORA_E_ARG, "there is nothing to go on from: append tokens first");
    RMR_TRY(rmr_stops_make(&stops, s->mem, o, err));
    rmr_gen_end(s);
    s->gen = (rmr_gen){.active = 1,
                       .is_text = c->text != NULL,
                       .flags = o->flags & ~(uint32_t)REMORA_GEN_NEW,
                       .max_tokens = o->max_tokens,
                       .stops = stops,
                       .first = s->n_tokens};
    return REMORA_OK;
}

static int over_budget(const rmr_gen_call *c)
{
    return c->o->budget_us > 0 && rmr_clock_us() - c->start_us >= (uint64_t)c->o->budget_us;
}

/* The last token of the generation needs no row, and no drafts are for what is behind it. */
static uint64_t wanted_drafts(const remora_session *s, const rmr_gen_call *c)
{
    const uint64_t most = rmr_draft_most(c->o->max_drafts);
    const uint64_t left = s->gen.max_tokens > 0 ? s->gen.max_tokens - s->gen.n_tokens - 1 : most;
    return left < most ? left : most;
}

/* The time that is left of a call's budget; 0: it has none. */
static int64_t time_left(const rmr_gen_call *c)
{
    if (c->o->budget_us == 0) return 0;
    const int64_t spent = (int64_t)(rmr_clock_us() - c->start_us);
    return c->o->budget_us > spent ? c->o->budget_us - spent : 1;
}

/* Can the sampler do with a part of the next row, and the backend find it? Nobody else can ask for
 * the row before its token is appended. */
static int may_leave(const remora_session *s, const rmr_gen_call *c)
{
    return s->model->be->ops->step_best != NULL && c->o->probs == NULL &&
           (rmr_sampler_needs(c->sampler).n > 0 || rmr_sampler_divisor(c->sampler) > 0);
}

/* Evaluate pending tokens. */
static remora_status evaluate(remora_session *s, const rmr_gen_call *c, remora_error *err)
{
    if (s->n_tokens == s->committed) return REMORA_OK;
    const remora_eval_opts eo = {.struct_size = sizeof eo,
                                 .budget_us = time_left(c),
                                 .cancel = c->o->cancel,
                                 .max_drafts = c->o->max_drafts};
    return rmr_eval_last(s, &eo, wanted_drafts(s, c), may_leave(s, c), err);
}

/* Get the row to sample from. */
static remora_status last_row(remora_session *s, const rmr_gen_call *c, remora_error *err)
{
    RMR_TRY(rmr_session_want_last(s, 0, err));
    return evaluate(s, c, err);
}

static const float *last_logits(const remora_session *s)
{
    RMR_ASSERT(s->rows.n_ready > 0 && s->rows.last == s->n_tokens - 1 && s->rows.left == NULL);
    return rmr_output_rows_last(s);
}

/* What the next token needs. One that is forced needs no row, but where its probabilities are asked
 * for; it waits for others, so that few evaluations take them all. */
static remora_status prepare(remora_session *s, const rmr_gen_call *c, int forced,
                             remora_error *err)
{
    if (!forced || c->o->probs != NULL) return last_row(s, c, err);
    if (s->n_tokens - s->committed < RMR_PROMPT_TOKENS - 1) return REMORA_OK;
    return evaluate(s, c, err);
}

/* The probabilities of the token that was drawn, where the host asks for them. */
static void show_probs(const remora_session *s, const rmr_gen_call *c, remora_token t)
{
    const remora_gen_opts *o = c->o;
    if (o->probs == NULL) return;
    remora_token_prob *out = o->probs + c->n_tokens * ((size_t)o->n_best + 1);
    rmr_token_and_top(last_logits(s), s->model->shape.n_vocab, t, out, o->n_best);
}

/* Append a token that alone wants a row. */
static remora_status append_last(remora_session *s, remora_token t, remora_error *err)
{
    rmr_session_unwant(s, s->n_tokens - 1);
    const remora_status st = rmr_session_append(s, &t, 1, REMORA_WANT_LAST, err);
    if (st >= 0) return REMORA_OK;
    (void)rmr_session_want_last(s, 0, NULL); /* it had a row, or room for one */
    return RMR_PASSED_ON(st);
}

/* Enter a token into the sampler and append it: both, or none. */
static remora_status take(remora_session *s, rmr_gen_call *c, remora_token t, remora_error *err)
{
    RMR_TRY(rmr_sampler_accept(c->sampler, t, err));
    const remora_status st = append_last(s, t, err);
    if (st < 0)
        (void)rmr_sampler_rollback(c->sampler, 1, NULL); /* it knows what it has just read */
    return st;
}

static remora_status pick_best(remora_session *s, const rmr_gen_call *c, rmr_sampler_wish w,
                               remora_token *t, remora_error *err)
{
    const rmr_best_wish wish = {w.n, w.scale};
    rmr_best b;
    RMR_TRY(rmr_context_best(s->model, s->rows.left, s->rows.left_row, &wish, &b, err));
    const rmr_best_logits best = {b.col, b.value, b.n, b.rest, w.scale, b.least, b.mass};
    return rmr_sampler_pick_best(c->sampler, &best, t, err);
}

/* A run of the last row, to where it belongs. */
static remora_status read_run(void *user, size_t first, size_t n, const float **out,
                              remora_error *err)
{
    const remora_session *s = user;
    float *to = rmr_output_rows_last(s) + first;
    *out = to;
    return rmr_context_read_run(s->model, s->rows.left, s->rows.left_row, (uint32_t)first,
                                (uint32_t)n, to, err);
}

static remora_status pick_by_mass(remora_session *s, const rmr_gen_call *c, double divisor,
                                  remora_token *t, remora_error *err)
{
    rmr_masses m;
    RMR_TRY(rmr_context_masses(s->model, s->rows.left, s->rows.left_row, divisor, &m, err));
    const rmr_row_masses of = {.top = m.top,
                               .mass = m.mass,
                               .n = m.n,
                               .run = m.run,
                               .n_logits = s->model->shape.n_vocab,
                               .read = read_run,
                               .user = s};
    return rmr_sampler_pick_by_mass(c->sampler, &of, t, err);
}

/* The sampler's choice: of some logits, where that is what it has to be of all. */
static remora_status pick(remora_session *s, const rmr_gen_call *c, remora_token *t,
                          remora_error *err)
{
    if (s->rows.left != NULL) {
        const rmr_sampler_wish w = rmr_sampler_needs(c->sampler);
        const remora_status st = w.n > 0
                                     ? pick_best(s, c, w, t, err)
                                     : pick_by_mass(s, c, rmr_sampler_divisor(c->sampler), t, err);
        if (st != REMORA_MORE) return st;
    }
    RMR_TRY(rmr_output_rows_settle(s, err));
    return rmr_sampler_pick(c->sampler, last_logits(s), s->model->shape.n_vocab, t, err);
}

/* Sample one token, unless it is forced, and take it. A constraint may lack memory or steps for the
 * token that was drawn: then the generator gets its number back, and the next call draws the same.
 */
static remora_status draw(remora_session *s, rmr_gen_call *c, int forced, remora_token *t,
                          remora_error *err)
{
    RMR_TRY(rmr_page_table_reserve(&s->cache, s->n_tokens, s->n_tokens + 1, err));
    const uint64_t t0 = rmr_clock_us();
    const rmr_rng before = rmr_sampler_numbers(c->sampler);
    if (!forced) RMR_TRY(pick(s, c, t, err));
    show_probs(s, c, *t);
    const remora_status st = take(s, c, *t, err);
    if (st < 0) {
        rmr_sampler_set_numbers(c->sampler, before);
        return RMR_PASSED_ON(st);
    }
    s->stats.sample_us += rmr_clock_us() - t0;
    return REMORA_OK;
}

static int ends_turn(const remora_session *s, remora_token t)
{
    const rmr_tokenizer *tok = s->model->tok;
    return tok != NULL && (rmr_tokenizer_flags(tok, t) & REMORA_TOKEN_END_OF_TURN) != 0;
}

/* The next token, and whether the generation ends with it; or none where there is no room for one,
 * which is an end too. */
static remora_status next_token(remora_session *s, rmr_gen_call *c, remora_error *err)
{
    rmr_gen *g = &s->gen;
    remora_token t;
    size_t forced;
    RMR_TRY(rmr_sampler_forced(c->sampler, &t, &forced, err));
    remora_status st = prepare(s, c, forced > 0, err);
    if (st != REMORA_OK) return st;
    const int full = s->n_tokens == s->capacity;
    if (!full) st = draw(s, c, forced > 0, &t, err);
    /* a row that no token was drawn from is there for the host */
    const remora_status settled = rmr_output_rows_settle(s, st < 0 ? NULL : err);
    RMR_TRY(st < 0 ? st : settled);
    if (full) return rmr_gen_ends(s, REMORA_REASON_CAPACITY, err);
    if (c->tokens != NULL) c->tokens[c->n_tokens] = t;
    c->n_tokens++;
    g->n_tokens++;
    RMR_TRY(rmr_gen_read(s, t, err));
    if (g->reason != 0) return REMORA_OK;
    if (ends_turn(s, t)) return rmr_gen_ends(s, REMORA_REASON_END_OF_TURN, err);
    if (g->max_tokens > 0 && g->n_tokens >= g->max_tokens)
        return rmr_gen_ends(s, REMORA_REASON_MAX_TOKENS, err);
    return REMORA_OK;
}

static remora_status end(remora_session *s, remora_error *err)
{
    rmr_gen_end(s);
    if (s->gen.reason == REMORA_REASON_CAPACITY)
        RMR_FAIL(err, REMORA_E_FULL, "the capacity of %u tokens is reached", s->capacity);
    return REMORA_END;
}

remora_status rmr_generate(remora_session *s, rmr_gen_call *c, remora_error *err)
{
    c->start_us = rmr_clock_us();
    RMR_TRY(begin(s, c, err));
    for (;;) {
        int left = 0;
        if (c->text != NULL) RMR_TRY(rmr_gen_deliver(s, c, &left, err));
        if (left) return REMORA_MORE;
        if (s->gen.reason != 0) return end(s, err);
        if (c->n_text > 0 || (c->tokens != NULL && c->n_tokens == c->cap_tokens) ||
            (c->n_tokens > 0 && over_budget(c)))
            return REMORA_MORE;
        const remora_status st = next_token(s, c, err);
        if (st != REMORA_OK) return st;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Generation. */
#include "checks.h"
#include "draft.h"
#include "sampler_handle.h"
#include "session.h"

static remora_status check_opts(const remora_gen_opts *o, int is_text, remora_error *err)
{
    const uint32_t known = REMORA_GEN_NEW | REMORA_GEN_KEEP_STOP;
    if (o->flags & ~known)
        RMR_FAIL(err, REMORA_E_STRUCT, "generate flags 0x%x are not known", o->flags & ~known);
    if (!is_text && (o->flags & REMORA_GEN_KEEP_STOP))
        RMR_FAIL(err, REMORA_E_ARG, "KEEP_STOP is set, which is for remora_generate_text");
    if (o->budget_us < 0) RMR_FAIL(err, REMORA_E_ARG, "budget_us is %lld", (long long)o->budget_us);
    return REMORA_OK;
}

static remora_status check_probs(const remora_gen_opts *o, const rmr_gen_call *c, uint32_t n_vocab,
                                 remora_error *err)
{
    RMR_TRY(rmr_draft_check(o->max_drafts, err));
    if (o->n_best > n_vocab)
        RMR_FAIL(err, REMORA_E_ARG, "n_best is %u, the vocabulary has %u tokens", o->n_best,
                 n_vocab);
    if (o->n_best > 0 && o->probs == NULL)
        RMR_FAIL(err, REMORA_E_ARG, "n_best is %u, and probs is NULL", o->n_best);
    if (o->probs != NULL && c->tokens == NULL)
        RMR_FAIL(err, REMORA_E_ARG, "probs is set, and tokens is NULL: there is no room for any");
    return REMORA_OK;
}

/* With everything but its sampler and options in the call. */
static remora_status generate(remora_session *s, remora_sampler *p, const remora_gen_opts *opts,
                              rmr_gen_call *c, remora_error *err)
{
    RMR_IN(remora_gen_opts, o, opts, err);
    RMR_TRY(check_opts(&o, c->text != NULL, err));
    RMR_TRY(check_probs(&o, c, s->model->shape.n_vocab, err));
    RMR_TRY(rmr_sampler_check_vocabulary(p, s->model, err));
    RMR_TRY(rmr_session_enter(s, err));
    c->sampler = p->sampler;
    c->o = &o;
    remora_status st = rmr_sampler_enter(p, err);
    if (st >= 0) {
        st = rmr_generate(s, c, err);
        rmr_use_end(&p->use);
    }
    rmr_session_leave(s);
    return st;
}

remora_status remora_generate(remora_session *s, remora_sampler *p, const remora_gen_opts *opts,
                              remora_token *out, size_t cap, size_t *n, remora_error *err)
{
    RMR_NEED(s != NULL && p != NULL && n != NULL, err, "session, sampler or n is NULL");
    *n = 0;
    RMR_NEED(out != NULL && cap > 0, err, "out has no room");
    rmr_gen_call c = {.tokens = out, .cap_tokens = cap};
    const remora_status st = generate(s, p, opts, &c, err);
    *n = c.n_tokens;
    return st;
}

enum { CHARACTER = 4 }; /* the most bytes that one takes */

remora_status remora_generate_text(remora_session *s, remora_sampler *p,
                                   const remora_gen_opts *opts, char *text, size_t cap, size_t *n,
                                   remora_token *tokens, size_t cap_tokens, size_t *n_tokens,
                                   remora_error *err)
{
    RMR_NEED(s != NULL && p != NULL && n != NULL, err, "session, sampler or n is NULL");
    *n = 0;
    if (n_tokens != NULL) *n_tokens = 0;
    RMR_NEED(text != NULL, err, "text is NULL");
    if (cap < CHARACTER)
        RMR_FAIL(err, REMORA_E_ARG, "text has room for %zu bytes, a character may take %d", cap,
                 CHARACTER);
    RMR_NEED((tokens == NULL) == (cap_tokens == 0), err, "tokens is NULL, or has no room");
    RMR_NEED(tokens == NULL || n_tokens != NULL, err, "n_tokens is NULL");
    rmr_gen_call c = {.tokens = tokens, .cap_tokens = cap_tokens, .text = text, .cap_text = cap};
    const remora_status st = generate(s, p, opts, &c, err);
    *n = c.n_text;
    if (n_tokens != NULL) *n_tokens = c.n_tokens;
    return st;
}

remora_status remora_session_get_generation(const remora_session *s, remora_generation_info *out,
                                            remora_error *err)
{
    RMR_NEED(s != NULL && out != NULL, err, "session or out is NULL");
    RMR_TRY(rmr_session_look(s, err));
    const rmr_gen *g = &s->gen;
    const remora_generation_info i = {.struct_size = sizeof i,
                                      .reason = g->active ? REMORA_REASON_NONE : g->reason,
                                      .stop = g->stop,
                                      .n_tokens = g->n_tokens,
                                      .text_bytes = g->delivered};
    return RMR_OUT(remora_generation_info, out, i, err);
}

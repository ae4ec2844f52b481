/* SPDX-License-Identifier: Apache-2.0 */
/* Samplers. */
#include "checks.h"
#include "sampler_handle.h"
#include "session.h"

/* Takes over `sampler`, whatever happens. */
static remora_status wrap(remora_model *m, rmr_sampler *sampler, remora_sampler **out,
                          remora_error *err)
{
    remora_sampler *p = rmr_alloc(&m->session_mem, sizeof *p);
    if (p == NULL) {
        rmr_sampler_free(sampler);
        return rmr_error_nomem(err, "sampler", sizeof *p);
    }
    *p = (remora_sampler){.model = m, .sampler = sampler};
    rmr_use_init(&p->use);
    rmr_model_ref(m);
    *out = p;
    return REMORA_OK;
}

remora_status remora_sampler_create(remora_model *m, uint64_t seed, remora_sampler **out,
                                    remora_error *err)
{
    rmr_sampler *sampler;
    RMR_NEED(out != NULL, err, "out is NULL");
    *out = NULL;
    RMR_NEED(m != NULL, err, "model is NULL");
    RMR_TRY(rmr_sampler_create(&m->session_mem, m->shape.n_vocab, seed, &sampler, err));
    return wrap(m, sampler, out, err);
}

remora_status rmr_sampler_enter(remora_sampler *p, remora_error *err)
{
    return rmr_use_begin(&p->use, "sampler", err);
}

static remora_status add(remora_sampler *p, const remora_stage *stage, remora_error *err)
{
    RMR_NEED(p != NULL, err, "sampler is NULL");
    RMR_TRY(rmr_sampler_enter(p, err));
    const remora_status st = rmr_sampler_add(p->sampler, stage, err);
    rmr_use_end(&p->use);
    return st;
}

remora_status remora_sampler_add(remora_sampler *p, const remora_stage *stage, remora_error *err)
{
    remora_stage s;
    RMR_NEED(stage != NULL, err, "stage is NULL");
    remora_status st = RMR_READ(remora_stage, s, stage, err);
    if (st >= 0) st = add(p, &s, err);
    if (st < 0) rmr_release_call((rmr_release){s.release, s.user});
    return st;
}

remora_status remora_sampler_clone(const remora_sampler *p, remora_sampler **out, remora_error *err)
{
    rmr_sampler *sampler;
    RMR_NEED(out != NULL, err, "out is NULL");
    *out = NULL;
    RMR_NEED(p != NULL, err, "sampler is NULL");
    RMR_TRY(rmr_use_look(&p->use, "sampler", err));
    RMR_TRY(rmr_sampler_clone(p->sampler, &sampler, err));
    return wrap(p->model, sampler, out, err);
}

void remora_sampler_reset(remora_sampler *p, uint64_t seed)
{
    if (p == NULL || rmr_sampler_enter(p, NULL) < 0) return;
    rmr_sampler_reset(p->sampler, seed);
    rmr_use_end(&p->use);
}

remora_status remora_sampler_accept(remora_sampler *p, remora_token t, remora_error *err)
{
    RMR_NEED(p != NULL, err, "sampler is NULL");
    RMR_TRY(rmr_sampler_enter(p, err));
    const remora_status st = rmr_sampler_accept(p->sampler, t, err);
    rmr_use_end(&p->use);
    return st;
}

/* The text of a token; none for one that text never becomes. */
static const char *text_of(const void *tok, remora_token t, size_t *n)
{
    const char *bytes = "";
    *n = 0;
    if (rmr_tokenizer_is_markup(tok, t) || rmr_tokenizer_bytes(tok, t, &bytes, n, NULL) < 0) *n = 0;
    return bytes;
}

remora_status remora_sampler_spell(remora_sampler *p, const char *text, size_t len,
                                   remora_error *err)
{
    RMR_NEED(p != NULL, err, "sampler is NULL");
    RMR_NEED(text != NULL || len == 0, err, "text is NULL");
    if (len > REMORA_HEAL_MAX)
        RMR_FAIL(err, REMORA_E_ARG, "the text to spell has %zu bytes; at most %d are supported",
                 len, REMORA_HEAL_MAX);
    if (p->model->tok == NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "text is spelled with the model's tokenizer; the model "
                 "has none that this build can use");
    RMR_TRY(rmr_sampler_enter(p, err));
    const remora_status st = rmr_sampler_spell(p->sampler, text_of, p->model->tok, text, len, err);
    rmr_use_end(&p->use);
    return st;
}

remora_status rmr_sampler_check_vocabulary(const remora_sampler *p, const remora_model *m,
                                           remora_error *err)
{
    if (p->model->shape.n_vocab != m->shape.n_vocab)
        RMR_FAIL(err, REMORA_E_MISMATCH,
                 "the sampler is for a vocabulary of %u tokens, the session has %u",
                 p->model->shape.n_vocab, m->shape.n_vocab);
    return REMORA_OK;
}

static remora_status pick(remora_sampler *p, const float *logits, size_t n, remora_token *out,
                          remora_error *err)
{
    RMR_TRY(rmr_sampler_enter(p, err));
    const remora_status st = rmr_sampler_pick(p->sampler, logits, n, out, err);
    rmr_use_end(&p->use);
    return st;
}

remora_status remora_sampler_pick(remora_sampler *p, const remora_session *s, uint32_t row,
                                  remora_token *out, remora_error *err)
{
    const float *logits = NULL;
    size_t n;
    RMR_NEED(p != NULL && s != NULL && out != NULL, err, "sampler, session or out is NULL");
    RMR_TRY(rmr_sampler_check_vocabulary(p, s->model, err));
    RMR_TRY(remora_session_logits(s, row, &logits, &n, err));
    return pick(p, logits, n, out, err);
}

remora_status remora_sampler_pick_from(remora_sampler *p, const float *logits, size_t n,
                                       remora_token *out, remora_error *err)
{
    RMR_NEED(p != NULL && logits != NULL && out != NULL, err, "sampler, logits or out is NULL");
    return pick(p, logits, n, out, err);
}

void remora_sampler_free(remora_sampler *p)
{
    if (p == NULL) return;
    remora_model *m = p->model;
    rmr_sampler_free(p->sampler);
    rmr_free(&m->session_mem, p, sizeof *p);
    rmr_model_unref(m);
}

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
    *p = (remora_sampler){m, sampler};
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

remora_status remora_sampler_add(remora_sampler *p, const remora_stage *stage, remora_error *err)
{
    RMR_NEED(p != NULL && stage != NULL, err, "sampler or stage is NULL");
    RMR_IN(remora_stage, st, stage, err);
    return rmr_sampler_add(p->sampler, &st, err);
}

remora_status remora_sampler_clone(const remora_sampler *p, remora_sampler **out)
{
    rmr_sampler *sampler;
    if (out == NULL) return REMORA_E_ARG;
    *out = NULL;
    if (p == NULL) return REMORA_E_ARG;
    RMR_TRY(rmr_sampler_clone(p->sampler, &sampler));
    return wrap(p->model, sampler, out, NULL);
}

void remora_sampler_reset(remora_sampler *p, uint64_t seed)
{
    if (p != NULL) rmr_sampler_reset(p->sampler, seed);
}

remora_status remora_sampler_accept(remora_sampler *p, remora_token t)
{
    return p != NULL ? rmr_sampler_accept(p->sampler, t) : REMORA_E_ARG;
}

remora_status remora_sampler_pick(remora_sampler *p, remora_session *s, uint32_t row,
                                  remora_token *out)
{
    if (p == NULL || s == NULL || out == NULL) return REMORA_E_ARG;
    if (p->model->shape.n_vocab != s->model->shape.n_vocab) return REMORA_E_MISMATCH;
    if (row >= s->rows.n_ready) return REMORA_E_NOT_FOUND;
    return rmr_sampler_pick(p->sampler, s->rows.logits + (size_t)row * s->model->shape.n_vocab,
                            s->model->shape.n_vocab, out);
}

remora_status remora_sampler_pick_from(remora_sampler *p, const float *logits, size_t n,
                                       remora_token *out)
{
    if (p == NULL || logits == NULL || out == NULL) return REMORA_E_ARG;
    return rmr_sampler_pick(p->sampler, logits, n, out);
}

void remora_sampler_free(remora_sampler *p)
{
    if (p == NULL) return;
    remora_model *m = p->model;
    rmr_sampler_free(p->sampler);
    rmr_free(&m->session_mem, p, sizeof *p);
    rmr_model_unref(m);
}

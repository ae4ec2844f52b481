/* SPDX-License-Identifier: Apache-2.0 */
/* Generation. */
#include "checks.h"
#include "sampler_handle.h"
#include "session.h"

static remora_status check_opts(const remora_gen_opts *o, remora_error *err)
{
    if (o->flags & ~(uint32_t)REMORA_GEN_NEW)
        RMR_FAIL(err, REMORA_E_STRUCT, "generate flags 0x%x are not known", o->flags);
    if (o->budget_us < 0) RMR_FAIL(err, REMORA_E_ARG, "budget_us is %lld", (long long)o->budget_us);
    return REMORA_OK;
}

remora_status remora_generate(remora_session *s, remora_sampler *p, const remora_gen_opts *opts,
                              remora_token *out, size_t cap, size_t *n, remora_error *err)
{
    RMR_NEED(s != NULL && p != NULL && n != NULL, err, "session, sampler or n is NULL");
    *n = 0;
    RMR_NEED(out != NULL && cap > 0, err, "out has no room");
    RMR_IN(remora_gen_opts, o, opts, err);
    RMR_TRY(check_opts(&o, err));
    RMR_TRY(rmr_sampler_check_vocabulary(p, s->model, err));
    RMR_TRY(rmr_session_enter(s, err));
    const remora_status done = rmr_generate(s, p->sampler, &o, out, cap, n, err);
    rmr_session_leave(s);
    return done;
}

remora_status remora_session_get_generation(const remora_session *s, remora_generation_info *out,
                                            remora_error *err)
{
    RMR_NEED(s != NULL && out != NULL, err, "session or out is NULL");
    const rmr_gen *g = &s->gen;
    const remora_generation_info i = {.struct_size = sizeof i,
                                      .reason = g->active ? REMORA_REASON_NONE : g->reason,
                                      .stop = g->stop,
                                      .n_tokens = g->n_tokens};
    return RMR_OUT(remora_generation_info, out, i, err);
}

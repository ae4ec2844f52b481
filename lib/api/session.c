/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and evaluation. */
#include <string.h>

#include "checks.h"
#include "draft.h"
#include "session.h"

remora_status remora_session_create(remora_model *m, const remora_session_opts *o,
                                    remora_session **out, remora_error *err)
{
    RMR_NEED(out != NULL, err, "out is NULL");
    *out = NULL;
    RMR_NEED(m != NULL, err, "model is NULL");
    RMR_IN(remora_session_opts, opts, o, err);
    return rmr_session_create(m, &opts, out, err);
}

remora_status remora_session_fork(remora_session *s, remora_session **out, remora_error *err)
{
    RMR_NEED(out != NULL, err, "out is NULL");
    *out = NULL;
    RMR_NEED(s != NULL, err, "session is NULL");
    RMR_TRY(rmr_session_enter(s, err));
    const remora_status st = rmr_session_fork(s, out, err);
    rmr_session_leave(s);
    return st;
}

void remora_session_free(remora_session *s)
{
    rmr_session_free(s);
}

remora_status remora_session_get_info(const remora_session *s, remora_session_info *out,
                                      remora_error *err)
{
    RMR_NEED(s != NULL && out != NULL, err, "session or out is NULL");
    RMR_TRY(rmr_session_look(s, err));
    remora_session_info i = {.struct_size = sizeof i,
                             .capacity = s->capacity,
                             .committed = s->committed,
                             .pending = s->n_tokens - s->committed,
                             .kv_bytes = rmr_page_table_bytes(&s->cache),
                             .kv_bytes_shared = rmr_page_table_shared_bytes(&s->cache),
                             .kv_bytes_kept = rmr_page_table_kept_bytes(&s->cache),
                             .n_rows = s->rows.n_ready,
                             .state = s->in_progress.ctx != NULL ? REMORA_MORE : REMORA_OK};
    return RMR_OUT(remora_session_info, out, i, err);
}

remora_status remora_session_get_options(const remora_session *s, remora_session_opts *out,
                                         remora_error *err)
{
    static const int32_t types[] = {[RMR_KV_BF16] = REMORA_KV_BF16,
                                    [RMR_KV_INT8] = REMORA_KV_INT8,
                                    [RMR_KV_F32] = REMORA_KV_F32};
    RMR_NEED(s != NULL && out != NULL, err, "session or out is NULL");
    RMR_TRY(rmr_session_look(s, err));
    const remora_session_opts o = {.struct_size = sizeof o,
                                   .flags =
                                       (s->cache.as_needed ? REMORA_SESSION_PAGES_AS_NEEDED : 0) |
                                       (s->predictor.on ? REMORA_SESSION_PREDICTION : 0),
                                   .capacity = s->capacity,
                                   .chunk = s->chunk,
                                   .kv_type = types[s->cache.type]};
    return RMR_OUT(remora_session_opts, out, o, err);
}

remora_model *remora_session_model(const remora_session *s)
{
    return s != NULL ? s->model : NULL;
}

remora_status remora_session_tokens(const remora_session *s, uint64_t from, remora_token *out,
                                    size_t cap, size_t *n, remora_error *err)
{
    RMR_NEED(s != NULL && n != NULL, err, "session or n is NULL");
    RMR_NEED(out != NULL || cap == 0, err, "out is NULL");
    RMR_TRY(rmr_session_look(s, err));
    if (from > s->n_tokens)
        RMR_FAIL(err, REMORA_E_ARG, "from is %llu, the timeline has %llu tokens",
                 (unsigned long long)from, (unsigned long long)s->n_tokens);
    *n = (size_t)(s->n_tokens - from);
    RMR_TRY(rmr_api_room("out", cap, *n, err));
    if (*n > 0) memcpy(out, s->tokens + from, *n * sizeof *out);
    return REMORA_OK;
}

remora_status remora_session_append(remora_session *s, const remora_token *t, size_t n,
                                    uint32_t want, remora_error *err)
{
    RMR_NEED(s != NULL, err, "session is NULL");
    RMR_NEED(t != NULL || n == 0, err, "t is NULL");
    RMR_TRY(rmr_session_enter(s, err));
    const remora_status st = rmr_session_append(s, t, n, want, err);
    if (st >= 0 && n > 0) rmr_gen_end(s);
    rmr_session_leave(s);
    return st;
}

remora_status remora_session_sync(remora_session *s, const remora_token *t, size_t n, uint32_t want,
                                  size_t *reused, remora_error *err)
{
    RMR_NEED(s != NULL, err, "session is NULL");
    RMR_NEED(t != NULL || n == 0, err, "t is NULL");
    RMR_TRY(rmr_session_enter(s, err));
    const uint64_t had = s->n_tokens;
    const remora_status st = rmr_session_sync(s, t, n, want, reused, err);
    if (s->n_tokens > had) rmr_gen_end(s);
    rmr_session_leave(s);
    return st;
}

remora_status remora_session_trim(remora_session *s, uint64_t keep, remora_error *err)
{
    RMR_NEED(s != NULL, err, "session is NULL");
    RMR_TRY(rmr_session_enter(s, err));
    const remora_status st = rmr_session_trim(s, keep, err);
    rmr_session_leave(s);
    return st;
}

static remora_status check_batch(remora_session *const *s, size_t n, remora_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] == NULL) RMR_FAIL(err, REMORA_E_ARG, "session %zu is NULL", i);
        if (s[i]->model != s[0]->model)
            RMR_FAIL(err, REMORA_E_MISMATCH, "session %zu is of another model", i);
    }
    return REMORA_OK;
}

/* Session `at` is busy: because another call uses it, or because it was entered earlier in this
 * list. */
static remora_status refuse_busy(remora_session *const *s, size_t at, remora_error *err)
{
    for (size_t i = 0; i < at; i++)
        if (s[i] == s[at]) RMR_FAIL(err, REMORA_E_ARG, "sessions %zu and %zu are the same", i, at);
    RMR_FAIL(err, REMORA_E_BUSY, "session %zu is in use", at);
}

remora_status remora_eval(remora_session *const *s, size_t n, const remora_eval_opts *opts,
                          remora_error *err)
{
    remora_status st = REMORA_OK;
    size_t entered = 0;
    RMR_NEED(s != NULL || n == 0, err, "sessions is NULL");
    RMR_IN(remora_eval_opts, o, opts, err);
    if ((o.flags & ~(uint32_t)REMORA_EVAL_AHEAD) != 0 || o.reserved != 0)
        RMR_FAIL(err, REMORA_E_STRUCT, "eval flags 0x%x or reserved %u are not known", o.flags,
                 o.reserved);
    RMR_NEED(o.budget_us >= 0, err, "budget_us is negative");
    RMR_TRY(rmr_draft_check(o.max_drafts, err));
    RMR_TRY(check_batch(s, n, err));
    if (n == 0) return REMORA_OK;
    while (entered < n && (st = rmr_session_enter(s[entered], NULL)) == REMORA_OK) entered++;
    if (st == REMORA_OK)
        st = rmr_eval(s, n, &o, err);
    else
        st = refuse_busy(s, entered, err);
    while (entered > 0) rmr_session_leave(s[--entered]);
    return st;
}

/* *out: the logits of an output row that is there. */
static remora_status find_row(const remora_session *s, uint32_t row, const float **out,
                              remora_error *err)
{
    RMR_NEED(s != NULL, err, "session is NULL");
    RMR_TRY(rmr_session_look(s, err));
    if (row >= s->rows.n_ready)
        RMR_FAIL(err, REMORA_E_NOT_FOUND,
                 "output row %u is not there: of %u rows that were asked for %u are ready", row,
                 s->rows.n_wanted, s->rows.n_ready);
    *out = s->rows.logits + (size_t)row * s->model->shape.n_vocab;
    return REMORA_OK;
}

remora_status remora_session_logits(const remora_session *s, uint32_t row, const float **out,
                                    size_t *n, remora_error *err)
{
    RMR_NEED(out != NULL, err, "out is NULL");
    RMR_TRY(find_row(s, row, out, err));
    if (n != NULL) *n = s->model->shape.n_vocab;
    return REMORA_OK;
}

remora_status remora_session_top(const remora_session *s, uint32_t row, remora_token_prob *out,
                                 size_t cap, size_t *n, remora_error *err)
{
    const float *logits = NULL;
    RMR_NEED(n != NULL, err, "n is NULL");
    RMR_NEED(out != NULL || cap == 0, err, "out is NULL");
    RMR_TRY(find_row(s, row, &logits, err));
    rmr_top(logits, s->model->shape.n_vocab, out, cap, n);
    return REMORA_OK;
}

remora_status remora_session_logprob(const remora_session *s, uint32_t row, remora_token t,
                                     float *out, remora_error *err)
{
    const float *logits = NULL;
    RMR_NEED(out != NULL, err, "out is NULL");
    RMR_TRY(find_row(s, row, &logits, err));
    const uint32_t n_vocab = s->model->shape.n_vocab;
    if (t < 0 || (uint32_t)t >= n_vocab)
        RMR_FAIL(err, REMORA_E_ARG, "token %d is not in the vocabulary of %u", t, n_vocab);
    *out = rmr_logprob(logits, n_vocab, t);
    return REMORA_OK;
}

remora_status remora_session_hidden(const remora_session *s, uint32_t row, float *out, size_t cap,
                                    size_t *n, remora_error *err)
{
    const float *logits = NULL;
    RMR_NEED(n != NULL, err, "n is NULL");
    RMR_NEED(out != NULL || cap == 0, err, "out is NULL");
    RMR_TRY(find_row(s, row, &logits, err));
    if (!s->rows.has_hidden[row])
        RMR_FAIL(err, REMORA_E_NOT_FOUND,
                 "row %u has no hidden state: its token was appended without REMORA_WANT_HIDDEN",
                 row);
    *n = s->model->shape.n_hidden;
    RMR_TRY(rmr_api_room("out", cap, *n, err));
    memcpy(out, s->rows.hidden + (size_t)row * *n, *n * sizeof *out);
    return REMORA_OK;
}

remora_status remora_session_get_stats(const remora_session *s, remora_stats *out,
                                       remora_error *err)
{
    RMR_NEED(s != NULL && out != NULL, err, "session or out is NULL");
    RMR_TRY(rmr_session_look(s, err));
    remora_stats st = s->stats;
    st.struct_size = sizeof st;
    return RMR_OUT(remora_stats, out, st, err);
}

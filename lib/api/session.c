/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and evaluation. */
#include <string.h>

#include "checks.h"
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
    if (rmr_session_enter(s) < 0) RMR_FAIL(err, REMORA_E_BUSY, "the session is in use");
    const remora_status st = rmr_session_fork(s, out, err);
    rmr_session_leave(s);
    return st;
}

void remora_session_free(remora_session *s)
{
    rmr_session_free(s);
}

remora_status remora_session_get_info(const remora_session *s, remora_session_info *out)
{
    if (s == NULL || out == NULL) return REMORA_E_ARG;
    remora_session_info i = {.struct_size = sizeof i,
                             .capacity = s->capacity,
                             .committed = s->committed,
                             .pending = s->n_tokens - s->committed,
                             .kv_bytes = rmr_page_table_bytes(&s->cache),
                             .kv_bytes_shared = rmr_page_table_shared_bytes(&s->cache),
                             .kv_bytes_kept = rmr_page_table_kept_bytes(&s->cache),
                             .n_rows = s->rows.n_ready,
                             .state = s->in_progress.ctx != NULL ? REMORA_MORE : REMORA_OK};
    return rmr_struct_out(out, &i, sizeof i, sizeof i);
}

remora_status remora_session_tokens(const remora_session *s, uint64_t from, remora_token *out,
                                    size_t cap, size_t *n)
{
    if (s == NULL || n == NULL || (out == NULL && cap > 0) || from > s->n_tokens)
        return REMORA_E_ARG;
    *n = (size_t)(s->n_tokens - from);
    if (cap < *n) return REMORA_E_BUFFER;
    if (*n > 0) memcpy(out, s->tokens + from, *n * sizeof *out);
    return REMORA_OK;
}

remora_status remora_session_append(remora_session *s, const remora_token *t, size_t n,
                                    uint32_t want)
{
    if (s == NULL || (t == NULL && n > 0)) return REMORA_E_ARG;
    RMR_TRY(rmr_session_enter(s));
    const remora_status st = rmr_session_append(s, t, n, want, NULL);
    if (st >= 0 && n > 0) rmr_gen_end(s);
    rmr_session_leave(s);
    return st;
}

remora_status remora_session_sync(remora_session *s, const remora_token *t, size_t n, uint32_t want,
                                  size_t *reused)
{
    if (s == NULL || (t == NULL && n > 0)) return REMORA_E_ARG;
    RMR_TRY(rmr_session_enter(s));
    const remora_status st = rmr_session_sync(s, t, n, want, reused, NULL);
    rmr_gen_end(s);
    rmr_session_leave(s);
    return st;
}

remora_status remora_session_trim(remora_session *s, uint64_t keep)
{
    if (s == NULL) return REMORA_E_ARG;
    RMR_TRY(rmr_session_enter(s));
    const int drops = keep < s->n_tokens;
    const remora_status st = rmr_session_trim(s, keep);
    if (drops) rmr_gen_end(s);
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
    if (o.flags != 0) RMR_FAIL(err, REMORA_E_STRUCT, "eval flags 0x%x are not known", o.flags);
    RMR_NEED(o.budget_us >= 0, err, "budget_us is negative");
    RMR_TRY(check_batch(s, n, err));
    if (n == 0) return REMORA_OK;
    while (entered < n && (st = rmr_session_enter(s[entered])) == REMORA_OK) entered++;
    if (st == REMORA_OK)
        st = rmr_eval(s, n, &o, err);
    else
        st = refuse_busy(s, entered, err);
    while (entered > 0) rmr_session_leave(s[--entered]);
    return st;
}

static remora_status check_row(const remora_session *s, uint32_t row)
{
    if (s == NULL) return REMORA_E_ARG;
    return row < s->rows.n_ready ? REMORA_OK : REMORA_E_NOT_FOUND;
}

static const float *row_logits(const remora_session *s, uint32_t row)
{
    return s->rows.logits + (size_t)row * s->model->shape.n_vocab;
}

remora_status remora_session_logits(remora_session *s, uint32_t row, const float **out, size_t *n)
{
    if (out == NULL) return REMORA_E_ARG;
    RMR_TRY(check_row(s, row));
    *out = row_logits(s, row);
    if (n != NULL) *n = s->model->shape.n_vocab;
    return REMORA_OK;
}

remora_status remora_session_top(remora_session *s, uint32_t row, remora_token_prob *out,
                                 size_t cap, size_t *n)
{
    if (n == NULL || (out == NULL && cap > 0)) return REMORA_E_ARG;
    RMR_TRY(check_row(s, row));
    rmr_top(row_logits(s, row), s->model->shape.n_vocab, out, cap, n);
    return REMORA_OK;
}

remora_status remora_session_logprob(remora_session *s, uint32_t row, remora_token t, float *out)
{
    if (out == NULL) return REMORA_E_ARG;
    RMR_TRY(check_row(s, row));
    if (t < 0 || (uint32_t)t >= s->model->shape.n_vocab) return REMORA_E_ARG;
    *out = rmr_logprob(row_logits(s, row), s->model->shape.n_vocab, t);
    return REMORA_OK;
}

remora_status remora_session_hidden(remora_session *s, uint32_t row, float *out, size_t cap,
                                    size_t *n)
{
    if (n == NULL || (out == NULL && cap > 0)) return REMORA_E_ARG;
    RMR_TRY(check_row(s, row));
    if (!s->rows.has_hidden[row]) return REMORA_E_NOT_FOUND;
    *n = s->model->shape.n_hidden;
    if (cap < *n) return REMORA_E_BUFFER;
    memcpy(out, s->rows.hidden + (size_t)row * *n, *n * sizeof *out);
    return REMORA_OK;
}

remora_status remora_session_get_stats(const remora_session *s, remora_stats *out)
{
    if (s == NULL || out == NULL) return REMORA_E_ARG;
    remora_stats st = s->stats;
    st.struct_size = sizeof st;
    return rmr_struct_out(out, &st, sizeof st, sizeof st);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "selftest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fpenv.h"
#include "pack.h"
#include "sha256.h"

enum { PROMPT = 40, SINGLE = 8, N_TOKENS = PROMPT + SINGLE };

/* Make ids that reach all over the vocabulary; the same ids for every vocabulary of one size. */
static void make_tokens(remora_token *ids, uint32_t n_vocab)
{
    uint64_t state = 1;
    for (int i = 0; i < N_TOKENS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        ids[i] = (remora_token)((state >> 33) % n_vocab);
    }
}

static float deviation(const float *logits, uint32_t n)
{
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < n; i++) sum += (double)logits[i];
    for (uint32_t i = 0; i < n; i++) {
        const double d = (double)logits[i] - sum / n;
        squares += d * d;
    }
    return (float)sqrt(squares / n);
}

static void checksum(const float *logits, uint32_t n, char *to)
{
    unsigned char digest[32];
    rmr_sha256 sha;
    rmr_sha256_init(&sha);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &logits[i], 4);
        const unsigned char b[4] = {(unsigned char)bits, (unsigned char)(bits >> 8),
                                    (unsigned char)(bits >> 16), (unsigned char)(bits >> 24)};
        rmr_sha256_add(&sha, b, sizeof b);
    }
    rmr_sha256_end(&sha, digest);
    rmr_pack_hex(digest, to);
}

/* The largest logit of an id that is not in `top`. */
static float largest_other(const float *logits, uint32_t n, const remora_token *top)
{
    float most = -INFINITY;
    for (uint32_t i = 0; i < n; i++) {
        int is_top = 0;
        for (int t = 0; t < RMR_SELFTEST_TOP; t++) is_top |= top[t] == (remora_token)i;
        if (!is_top && logits[i] > most) most = logits[i];
    }
    return most;
}

/* A value too large for f32, or NaN, that a step has made of finite weights. */
static remora_status check_finite(const float *logits, uint32_t n, remora_error *err)
{
    for (uint32_t i = 0; i < n; i++)
        if (!isfinite(logits[i]))
            RMR_FAIL(err, REMORA_E_FORMAT, "self-test: the logit of token %u is %g, not finite", i,
                     (double)logits[i]);
    return REMORA_OK;
}

static void read_answer(const float *logits, uint32_t n, const rmr_selftest *stored,
                        rmr_selftest *out)
{
    remora_token_prob top[RMR_SELFTEST_TOP];
    size_t n_top = 0;
    *out = (rmr_selftest){.numerics = RMR_NUMERICS, .deviation = deviation(logits, n)};
    checksum(logits, n, out->sha256);
    if (stored == NULL) rmr_top(logits, n, top, RMR_SELFTEST_TOP, &n_top);
    for (size_t t = 0; t < RMR_SELFTEST_TOP; t++) {
        out->top[t] = stored != NULL ? stored->top[t]
                      : t < n_top    ? top[t].token
                                     : REMORA_TOKEN_NONE;
        if (out->top[t] >= 0 && (uint32_t)out->top[t] < n) out->logit[t] = logits[out->top[t]];
    }
    out->other = largest_other(logits, n, out->top);
}

static remora_status feed(remora_session *s, const remora_token *ids, uint32_t n,
                          const int32_t *cancel, remora_error *err)
{
    const remora_eval_opts opts = {.struct_size = sizeof opts, .cancel = cancel};
    RMR_TRY(rmr_session_append(s, ids, n, REMORA_WANT_LAST, err));
    return rmr_eval(&s, 1, &opts, err);
}

remora_status rmr_selftest_run(remora_model *m, const rmr_selftest *stored, const int32_t *cancel,
                               rmr_selftest *out, remora_error *err)
{
    const uint32_t most = m->shape.max_context, n = most < N_TOKENS ? most : N_TOKENS;
    const uint32_t prompt = n > SINGLE ? n - SINGLE : 1;
    const remora_session_opts opts = {
        .struct_size = sizeof opts, .capacity = n, .kv_type = REMORA_KV_F32};
    remora_token ids[N_TOKENS];
    remora_session *s;
    make_tokens(ids, m->shape.n_vocab);
    RMR_TRY(rmr_session_create(m, &opts, &s, err));
    remora_status st = feed(s, ids, prompt, cancel, err);
    for (uint32_t i = prompt; i < n && st >= 0; i++) st = feed(s, ids + i, 1, cancel, err);
    const rmr_fpenv own = rmr_fpenv_enter();
    if (st >= 0) st = check_finite(s->rows.logits, m->shape.n_vocab, err);
    if (st >= 0) read_answer(s->rows.logits, m->shape.n_vocab, stored, out);
    rmr_fpenv_leave(own);
    rmr_session_free(s);
    return st;
}

static json_t *to_json(const rmr_selftest *t)
{
    json_t *top = json_array(), *root = NULL;
    int bad = top == NULL;
    for (int i = 0; i < RMR_SELFTEST_TOP && !bad; i++)
        bad = json_array_append_new(top, json_pack("{s:i, s:f}", "token", (int)t->top[i], "logit",
                                                   (double)t->logit[i])) != 0;
    if (!bad)
        root = json_pack("{s:i, s:s, s:O}", "numerics", (int)t->numerics, "logits_sha256",
                         t->sha256, "top", top);
    json_decref(top);
    return root;
}

json_t *rmr_selftest_json(const rmr_selftest *t)
{
    const rmr_fpenv own = rmr_fpenv_enter();
    json_t *root = to_json(t);
    rmr_fpenv_leave(own);
    return root;
}

static remora_status parse(const json_t *entry, rmr_selftest *out, remora_error *err)
{
    const json_t *const numerics = json_object_get(entry, "numerics"), *const top = json_object_get(
                                                                           entry, "top");
    const char *const sum = json_string_value(json_object_get(entry, "logits_sha256"));
    if (sum == NULL || strlen(sum) >= sizeof out->sha256 ||
        json_array_size(top) != RMR_SELFTEST_TOP)
        RMR_FAIL(err, REMORA_E_FORMAT, "self_test is not the answer of a self-test");
    *out =
        (rmr_selftest){.numerics = numerics == NULL ? 1 : (uint32_t)json_integer_value(numerics)};
    memcpy(out->sha256, sum, strlen(sum));
    for (size_t i = 0; i < RMR_SELFTEST_TOP; i++) {
        const json_t *const v = json_array_get(top, i);
        const json_int_t id = json_integer_value(json_object_get(v, "token"));
        out->top[i] = id >= 0 && id <= INT32_MAX ? (remora_token)id : REMORA_TOKEN_NONE;
        out->logit[i] = (float)json_number_value(json_object_get(v, "logit"));
    }
    return REMORA_OK;
}

remora_status rmr_selftest_parse(const json_t *entry, rmr_selftest *out, remora_error *err)
{
    const rmr_fpenv own = rmr_fpenv_enter();
    const remora_status st = parse(entry, out, err);
    rmr_fpenv_leave(own);
    return st;
}

static remora_status compare(const rmr_selftest *stored, const rmr_selftest *now, int *exact,
                             remora_error *err)
{
    const int same = stored->numerics == now->numerics;
    const float limit = same || now->deviation < 2e-3f ? 1e-3f : now->deviation / 2;
    const float least = stored->logit[RMR_SELFTEST_TOP - 1];
    *exact = strcmp(stored->sha256, now->sha256) == 0;
    for (size_t i = 0; i < RMR_SELFTEST_TOP && !*exact; i++)
        if (!(fabsf(stored->logit[i] - now->logit[i]) <= limit))
            RMR_FAIL(err, REMORA_E_MISMATCH,
                     "self-test: the logit of token %d is %.6g, the pack says %.6g, more than %.2g "
                     "apart",
                     now->top[i], (double)now->logit[i], (double)stored->logit[i], (double)limit);
    if (!*exact && now->other > least + limit)
        RMR_FAIL(err, REMORA_E_MISMATCH,
                 "self-test: a token that the pack does not name has a logit of %.6g, the least of "
                 "those it names has %.6g",
                 (double)now->other, (double)least);
    return REMORA_OK;
}

remora_status rmr_selftest_compare(const rmr_selftest *stored, const rmr_selftest *now, int *exact,
                                   remora_error *err)
{
    const rmr_fpenv own = rmr_fpenv_enter();
    const remora_status st = compare(stored, now, exact, err);
    rmr_fpenv_leave(own);
    return st;
}

#include "selftest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "pack.h"
#include "sha256.h"

enum { PROMPT = 40, SINGLE = 8, N_TOKENS = PROMPT + SINGLE };

static const double limit = 1e-3;

/* Ids that reach all over the vocabulary; the same for every vocabulary of one size. */
static void make_tokens(remora_token *ids, uint32_t n_vocab)
{
    uint64_t state = 1;
    for (int i = 0; i < N_TOKENS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        ids[i] = (remora_token)((state >> 33) % n_vocab);
    }
}

static void read_answer(const float *logits, uint32_t n, rmr_selftest *out)
{
    rmr_sha256 sha;
    rmr_sha256_init(&sha);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &logits[i], 4);
        const unsigned char b[4] = {(unsigned char)bits, (unsigned char)(bits >> 8),
                                    (unsigned char)(bits >> 16), (unsigned char)(bits >> 24)};
        rmr_sha256_add(&sha, b, sizeof b);
    }
    rmr_sha256_end(&sha, out->sha256);
    remora_token_prob top[RMR_SELFTEST_TOP];
    size_t n_top = 0;
    rmr_top(logits, n, top, RMR_SELFTEST_TOP, &n_top);
    for (size_t t = 0; t < RMR_SELFTEST_TOP; t++) {
        out->top[t] = t < n_top ? top[t].token : REMORA_TOKEN_NONE;
        out->logit[t] = t < n_top ? logits[top[t].token] : 0;
    }
}

static remora_status feed(remora_session *s, const remora_token *ids, uint32_t n,
                          const int32_t *cancel, remora_error *err)
{
    const remora_eval_opts opts = {.struct_size = sizeof opts, .cancel = cancel};
    RMR_TRY(rmr_session_append(s, ids, n, REMORA_WANT_LAST, err));
    return rmr_eval(&s, 1, &opts, err);
}

remora_status rmr_selftest_run(remora_model *m, const int32_t *cancel, rmr_selftest *out,
                               remora_error *err)
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
    if (st >= 0) read_answer(s->rows.logits, m->shape.n_vocab, out);
    rmr_session_free(s);
    return st;
}

json_t *rmr_selftest_json(const rmr_selftest *t)
{
    char sum[65];
    json_t *top = json_array(), *root = NULL;
    int bad = top == NULL;
    for (int i = 0; i < RMR_SELFTEST_TOP && !bad; i++) { /* JSON knows finite numbers only */
        json_t *logit = isfinite(t->logit[i]) ? json_real((double)t->logit[i]) : json_null();
        bad = json_array_append_new(
                  top, json_pack("{s:i, s:o}", "token", (int)t->top[i], "logit", logit)) != 0;
    }
    rmr_pack_hex(t->sha256, sum);
    if (!bad) root = json_pack("{s:s, s:O}", "logits_sha256", sum, "top", top);
    json_decref(top);
    return root;
}

remora_status rmr_selftest_compare(const json_t *stored, const rmr_selftest *now, int *exact,
                                   remora_error *err)
{
    char sum[65];
    const char *want = json_string_value(json_object_get(stored, "logits_sha256"));
    const json_t *top = json_object_get(stored, "top");
    if (want == NULL || json_array_size(top) != RMR_SELFTEST_TOP)
        RMR_FAIL(err, REMORA_E_FORMAT, "self_test: not the answer of a self-test");
    rmr_pack_hex(now->sha256, sum);
    *exact = strcmp(sum, want) == 0;
    for (size_t i = 0; i < RMR_SELFTEST_TOP && !*exact; i++) {
        const json_t *v = json_array_get(top, i);
        const json_int_t id = json_integer_value(json_object_get(v, "token"));
        const double logit = json_number_value(json_object_get(v, "logit"));
        if (id != now->top[i] || !(fabs(logit - (double)now->logit[i]) <= limit))
            RMR_FAIL(err, REMORA_E_MISMATCH,
                     "self-test: choice %zu is token %d with %.6g, the pack says %lld with %.6g",
                     i + 1, now->top[i], (double)now->logit[i], (long long)id, logit);
    }
    return REMORA_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Ids to text as they come. The state is up to three bytes that may become a character. Bytes that
 * cannot become one any more are U+FFFD, so that the pieces joined equal one lossy decoding of all
 * bytes. */
#include <string.h>

#include "tok.h"
#include "utf8.h"

typedef struct state { /* lies in remora_detok.opaque[0] */
    unsigned char pending[4];
    uint32_t n;
} state;

typedef struct sink { /* counts every byte, keeps the bytes that fit */
    char *buf;
    size_t cap, n;
} sink;

static void keep(void *user, const char *s, size_t n)
{
    sink *out = user;
    if (out->n <= out->cap && n <= out->cap - out->n) memcpy(out->buf + out->n, s, n);
    out->n += n;
}

/* Put out all of p[0..n) but an unfinished end; returns the length of that end. */
static size_t emit(rmr_detok_put put, void *user, const unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        const size_t len = rmr_utf8_step(p + i, n - i, &cp);
        if (cp == RMR_UTF8_SHORT) return len;
        if (cp == RMR_UTF8_BAD)
            put(user, "\xEF\xBF\xBD", 3);
        else
            put(user, (const char *)p + i, len);
        i += len;
    }
    return 0;
}

/* The pending bytes are completed one by one: they may turn out to be several pieces. */
static void push_bytes(state *st, rmr_detok_put put, void *user, const unsigned char *p, size_t n)
{
    while (st->n > 0 && n > 0) {
        RMR_ASSERT(st->n < sizeof st->pending);
        st->pending[st->n++] = *p++;
        n--;
        const size_t left = emit(put, user, st->pending, st->n);
        memmove(st->pending, st->pending + st->n - left, left);
        st->n = (uint32_t)left;
    }
    const size_t left = emit(put, user, p, n);
    RMR_ASSERT(left < sizeof st->pending && (left == 0 || st->n == 0));
    if (left == 0) return;
    memcpy(st->pending, p + n - left, left);
    st->n = (uint32_t)left;
}

static remora_status load(const remora_detok *d, state *st, remora_error *err)
{
    uint32_t cp;
    memcpy(st, d->opaque, sizeof *st);
    if (st->n == 0) return REMORA_OK;
    if (st->n > 3 || rmr_utf8_step(st->pending, st->n, &cp) != st->n || cp != RMR_UTF8_SHORT)
        RMR_FAIL(err, REMORA_E_ARG,
                 "the remora_detok is no state of a detokenizer; zero it to begin");
    return REMORA_OK;
}

static remora_status finish(remora_detok *d, const state *st, const sink *out, size_t *n,
                            remora_error *err)
{
    *n = out->n;
    if (out->n > out->cap)
        RMR_FAIL(err, REMORA_E_BUFFER, "buf has room for %zu bytes, %zu are needed", out->cap,
                 out->n);
    memcpy(d->opaque, st, sizeof *st);
    return REMORA_OK;
}

static remora_status push(const rmr_tokenizer *t, state *st, remora_token id, rmr_detok_put put,
                          void *user, remora_error *err)
{
    const char *bytes;
    size_t n;
    RMR_TRY(rmr_tokenizer_bytes(t, id, &bytes, &n, err));
    if (rmr_tokenizer_flags(t, id) & REMORA_TOKEN_CONTROL) return REMORA_OK;
    push_bytes(st, put, user, (const unsigned char *)bytes, n);
    return REMORA_OK;
}

remora_status rmr_detok_push(const rmr_tokenizer *t, remora_detok *d, const remora_token *ids,
                             size_t n_ids, char *buf, size_t cap, size_t *n, remora_error *err)
{
    state st;
    sink out = {.buf = buf, .cap = cap};
    *n = 0;
    RMR_TRY(load(d, &st, err));
    for (size_t i = 0; i < n_ids; i++) RMR_TRY(push(t, &st, ids[i], keep, &out, err));
    return finish(d, &st, &out, n, err);
}

remora_status rmr_detok_each(const rmr_tokenizer *t, remora_detok *d, remora_token id,
                             rmr_detok_put put, void *user, remora_error *err)
{
    state st;
    RMR_TRY(load(d, &st, err));
    RMR_TRY(push(t, &st, id, put, user, err));
    memcpy(d->opaque, &st, sizeof st);
    return REMORA_OK;
}

remora_status rmr_detok_bytes(remora_detok *d, const char *bytes, size_t n, rmr_detok_put put,
                              void *user, remora_error *err)
{
    state st;
    RMR_TRY(load(d, &st, err));
    push_bytes(&st, put, user, (const unsigned char *)bytes, n);
    memcpy(d->opaque, &st, sizeof st);
    return REMORA_OK;
}

remora_status rmr_detok_flush(const rmr_tokenizer *t, remora_detok *d, char *buf, size_t cap,
                              size_t *n, remora_error *err)
{
    state st;
    sink out = {.buf = buf, .cap = cap};
    (void)t;
    *n = 0;
    RMR_TRY(load(d, &st, err));
    if (st.n > 0) keep(&out, "\xEF\xBF\xBD", 3);
    memset(&st, 0, sizeof st);
    return finish(d, &st, &out, n, err);
}

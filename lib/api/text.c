/* SPDX-License-Identifier: Apache-2.0 */
/* Text: a thin face of lib/text. */
#include "checks.h"
#include "model.h"

static remora_status need_tokenizer(const remora_model *m, remora_error *err)
{
    if (m->tok == NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "the model has no tokenizer that this build can use; it takes token ids only");
    return REMORA_OK;
}

remora_status remora_tokenize(const remora_model *m, const char *text, size_t len, uint32_t flags,
                              remora_token *out, size_t cap, size_t *n, remora_error *err)
{
    RMR_NEED(m != NULL && n != NULL, err, "model or n is NULL");
    RMR_NEED(text != NULL || len == 0, err, "text is NULL");
    RMR_NEED(out != NULL || cap == 0, err, "out is NULL");
    if (flags & ~(uint32_t)(REMORA_TEXT_SPECIAL | REMORA_TEXT_BOS))
        RMR_FAIL(err, REMORA_E_ARG, "text flags 0x%x are not known; 0x%x are", flags,
                 REMORA_TEXT_SPECIAL | REMORA_TEXT_BOS);
    RMR_TRY(need_tokenizer(m, err));
    return rmr_tokenizer_encode(m->tok, text, len, flags, out, cap, n, err);
}

remora_status remora_token_bytes(const remora_model *m, remora_token t, char *buf, size_t cap,
                                 size_t *n, remora_error *err)
{
    const char *bytes;
    size_t len;
    RMR_NEED(m != NULL && n != NULL, err, "model or n is NULL");
    RMR_NEED(buf != NULL || cap == 0, err, "buf is NULL");
    RMR_TRY(need_tokenizer(m, err));
    RMR_TRY(rmr_tokenizer_bytes(m->tok, t, &bytes, &len, err));
    *n = len;
    RMR_TRY(rmr_api_room("buf", cap, len, err));
    for (size_t i = 0; i < len; i++) buf[i] = bytes[i];
    return REMORA_OK;
}

uint32_t remora_token_flags(const remora_model *m, remora_token t)
{
    return m != NULL && m->tok != NULL ? rmr_tokenizer_flags(m->tok, t) : 0;
}

remora_token remora_token_special(const remora_model *m, int32_t which)
{
    return m != NULL && m->tok != NULL ? rmr_tokenizer_special(m->tok, which) : REMORA_TOKEN_NONE;
}

remora_status remora_end_tokens(const remora_model *m, remora_token *out, size_t cap, size_t *n,
                                remora_error *err)
{
    size_t found = 0;
    RMR_NEED(m != NULL && n != NULL, err, "model or n is NULL");
    RMR_NEED(out != NULL || cap == 0, err, "out is NULL");
    RMR_TRY(need_tokenizer(m, err));
    for (remora_token t = 0; (uint32_t)t < m->shape.n_vocab; t++) {
        if (!(rmr_tokenizer_flags(m->tok, t) & REMORA_TOKEN_END_OF_TURN)) continue;
        if (found < cap) out[found] = t;
        found++;
    }
    *n = found;
    return rmr_api_room("out", cap, found, err);
}

remora_status remora_detok_push(const remora_model *m, remora_detok *st, const remora_token *t,
                                size_t nt, char *buf, size_t cap, size_t *n, remora_error *err)
{
    RMR_NEED(m != NULL && st != NULL && n != NULL, err, "model, state or n is NULL");
    RMR_NEED(t != NULL || nt == 0, err, "t is NULL");
    RMR_NEED(buf != NULL || cap == 0, err, "buf is NULL");
    RMR_TRY(need_tokenizer(m, err));
    return rmr_detok_push(m->tok, st, t, nt, buf, cap, n, err);
}

remora_status remora_detok_flush(const remora_model *m, remora_detok *st, char *buf, size_t cap,
                                 size_t *n, remora_error *err)
{
    RMR_NEED(m != NULL && st != NULL && n != NULL, err, "model, state or n is NULL");
    RMR_NEED(buf != NULL || cap == 0, err, "buf is NULL");
    RMR_TRY(need_tokenizer(m, err));
    return rmr_detok_flush(m->tok, st, buf, cap, n, err);
}

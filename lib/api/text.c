/* SPDX-License-Identifier: Apache-2.0 */
/* Text: a thin face of lib/text. */
#include "checks.h"
#include "model.h"

remora_status remora_tokenize(const remora_model *m, const char *text, size_t len, uint32_t flags,
                              remora_token *out, size_t cap, size_t *n)
{
    if (m == NULL || n == NULL || (text == NULL && len > 0) || (out == NULL && cap > 0))
        return REMORA_E_ARG;
    if (flags & ~(uint32_t)(REMORA_TEXT_SPECIAL | REMORA_TEXT_BOS)) return REMORA_E_ARG;
    if (m->tok == NULL) return REMORA_E_UNSUPPORTED;
    return rmr_tokenizer_encode(m->tok, text, len, flags, out, cap, n, NULL);
}

remora_status remora_token_bytes(const remora_model *m, remora_token t, char *buf, size_t cap,
                                 size_t *n)
{
    const char *bytes;
    size_t len;
    if (m == NULL || n == NULL || (buf == NULL && cap > 0)) return REMORA_E_ARG;
    if (m->tok == NULL) return REMORA_E_UNSUPPORTED;
    RMR_TRY(rmr_tokenizer_bytes(m->tok, t, &bytes, &len));
    *n = len;
    if (cap < len) return REMORA_E_BUFFER;
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

remora_status remora_detok_push(const remora_model *m, remora_detok *st, const remora_token *t,
                                size_t nt, char *buf, size_t cap, size_t *n)
{
    if (m == NULL || st == NULL || n == NULL || (t == NULL && nt > 0) || (buf == NULL && cap > 0))
        return REMORA_E_ARG;
    if (m->tok == NULL) return REMORA_E_UNSUPPORTED;
    return rmr_detok_push(m->tok, st, t, nt, buf, cap, n);
}

remora_status remora_detok_flush(const remora_model *m, remora_detok *st, char *buf, size_t cap,
                                 size_t *n)
{
    if (m == NULL || st == NULL || n == NULL || (buf == NULL && cap > 0)) return REMORA_E_ARG;
    if (m->tok == NULL) return REMORA_E_UNSUPPORTED;
    return rmr_detok_flush(m->tok, st, buf, cap, n);
}

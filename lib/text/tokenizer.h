/* Byte-level BPE as tokenizer.json defines it (facts section 8). Immutable after opening and safe from any thread. */
#ifndef RMR_TOKENIZER_H
#define RMR_TOKENIZER_H

#include "mem.h"
#include "source.h"

typedef struct rmr_tokenizer rmr_tokenizer;

/* Read tokenizer.json, tokenizer_config.json (BOS, EOS, PAD, add_bos_token) and generation_config.json / config.json
 * (further end-of-sequence ids) from the source. E_NOT_FOUND when there is no tokenizer.json; E_UNSUPPORTED names
 * the field that asks for something we do not do. Ids must be below n_vocab. */
remora_status rmr_tokenizer_open(rmr_mem *mem, rmr_source *src, uint32_t n_vocab, rmr_tokenizer **out,
                                 remora_error *err);
void rmr_tokenizer_free(rmr_tokenizer *t);

/* flags: REMORA_TEXT_*. Two-call convention: *n is always the count; with cap too small E_BUFFER and out untouched.
 * Any bytes are legal (invalid UTF-8 included) and come back byte for byte. */
remora_status rmr_tokenizer_encode(const rmr_tokenizer *t, const char *text, size_t len, uint32_t flags,
                                   remora_token *out, size_t cap, size_t *n, remora_error *err);

remora_status rmr_tokenizer_bytes(const rmr_tokenizer *t, remora_token id, const char **bytes, size_t *n);
uint32_t rmr_tokenizer_flags(const rmr_tokenizer *t, remora_token id);            /* REMORA_TOKEN_* */
remora_token rmr_tokenizer_special(const rmr_tokenizer *t, int32_t which);        /* REMORA_SPECIAL_* */

/* Streaming detokenizer (detok.c): whole UTF-8 only; the state is the caller's 32 bytes. */
remora_status rmr_detok_push(const rmr_tokenizer *t, remora_detok *st, const remora_token *ids, size_t n_ids,
                             char *buf, size_t cap, size_t *n);
remora_status rmr_detok_flush(const rmr_tokenizer *t, remora_detok *st, char *buf, size_t cap, size_t *n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and looking things up. */
#include "tokenizer.h"

#include "json_files.h"
#include "tok.h"

#define FILE_NAME "tokenizer.json"

enum { FILE_LIMIT = 64 << 20 };

/* jansson's tree is many times as large as its text when the text is mostly punctuation. A real
 * file has about 4 values per token; one with far more than that is not a tokenizer. */
static remora_status check_values(const char *data, uint64_t size, uint32_t n_vocab,
                                  remora_error *err)
{
    const uint64_t limit = 8 * (uint64_t)n_vocab + 65536;
    uint64_t values = 0;
    int quoted = 0;
    for (uint64_t i = 0; i < size; i++) {
        const char c = data[i];
        if (c == '"') quoted = !quoted;
        if (quoted && c == '\\') i++;
        if (!quoted && (c == ',' || c == '[' || c == '{')) values++;
    }
    if (values > limit)
        RMR_FAIL(err, REMORA_E_FORMAT,
                 FILE_NAME ": has %llu values, far too many for a vocabulary of %u",
                 (unsigned long long)values, n_vocab);
    return REMORA_OK;
}

static remora_status load_file(rmr_tok_parts *t, rmr_source *src, remora_error *err)
{
    char *data = NULL;
    uint64_t size = 0;
    json_t *root = NULL;
    RMR_TRY(rmr_file_load(src, FILE_NAME, FILE_LIMIT, &data, &size, err));
    remora_status st = check_values(data, size, t->n_vocab, err);
    if (st >= 0) st = rmr_json_parse(FILE_NAME, data, (size_t)size, &root, err);
    rmr_free(t->mem, data, (size_t)size + 1); /* before the tables are built: megabytes */
    if (st >= 0) st = rmr_tok_load_vocab(t, root, err);
    if (st >= 0) st = rmr_tok_load_pipeline(t, root, err);
    json_decref(root);
    return st;
}

static remora_status load(rmr_tok_parts *t, rmr_json_files *from, remora_error *err)
{
    remora_status st = load_file(t, from->src, err);
    if (st == REMORA_E_NOT_FOUND) st = rmr_tok_load_tiktoken(t, from, err);
    RMR_TRY(st);
    return rmr_tok_load_config(t, from, err);
}

remora_status rmr_tok_check_size(uint32_t n_vocab, remora_error *err)
{
    if (n_vocab > RMR_TOK_MAX_IDS)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "a vocabulary of %u tokens, the limit is %d", n_vocab,
                 RMR_TOK_MAX_IDS);
    return REMORA_OK;
}

remora_status rmr_tokenizer_open(rmr_json_files *from, uint32_t n_vocab, rmr_tokenizer **out,
                                 remora_error *err)
{
    rmr_tok_parts t;
    *out = NULL;
    RMR_TRY(rmr_tok_check_size(n_vocab, err));
    rmr_tok_begin(&t, from->mem, FILE_NAME, n_vocab);
    remora_status st = load(&t, from, err);
    if (st >= 0) st = rmr_tok_compile(&t, out, err);
    rmr_tok_drop(&t);
    return st;
}

remora_status rmr_tokenizer_bytes(const rmr_tokenizer *t, remora_token id, const char **bytes,
                                  size_t *n, remora_error *err)
{
    *bytes = "";
    *n = 0;
    if (id < 0 || (uint32_t)id >= t->n_vocab)
        RMR_FAIL(err, REMORA_E_ARG, "token %d is not in the vocabulary of %u", id, t->n_vocab);
    if ((uint32_t)id >= t->n_ids) return REMORA_OK;
    const uint32_t from = t->offset[id], to = t->offset[id + 1];
    if (from > to || to > t->arena_size) return REMORA_OK; /* damaged */
    *bytes = t->arena + from;
    *n = to - from;
    return REMORA_OK;
}

uint32_t rmr_tokenizer_flags(const rmr_tokenizer *t, remora_token id)
{
    if (id < 0 || (uint32_t)id >= t->n_ids) return 0;
    return t->flags[id] & RMR_TOK_PUBLIC;
}

int rmr_tokenizer_is_markup(const rmr_tokenizer *t, remora_token id)
{
    if (id < 0 || (uint32_t)id >= t->n_ids) return 0;
    const uint8_t f = t->flags[id];
    return (f & REMORA_TOKEN_CONTROL) || (f & (RMR_TOK_ADDED | RMR_TOK_PLAIN)) == RMR_TOK_ADDED;
}

uint32_t rmr_tokenizer_rowless(const rmr_tokenizer *t)
{
    return t->n_rowless;
}

uint32_t rmr_tokenizer_nameless(const rmr_tokenizer *t)
{
    return t->n_nameless;
}

remora_token rmr_tokenizer_special(const rmr_tokenizer *t, int32_t which)
{
    if (which < REMORA_SPECIAL_BOS || which >= RMR_TOK_N_SPECIAL) return REMORA_TOKEN_NONE;
    return t->special[which];
}

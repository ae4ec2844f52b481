/* SPDX-License-Identifier: Apache-2.0 */
/* A tokenizer from the keys of a GGUF file: its arrays become the fields of a tokenizer.json, so
 * that one loader checks both. The patterns of the pre-tokenizer are not in the file, only a name
 * for them: pre.c has the known ones. */
#include <string.h>

#include "json.h"
#include "tok.h"
#include "utf8.h"

/* token_type */
enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER = 4, UNUSED = 5 };

typedef struct builder {
    rmr_tok_parts *t;
    const rmr_gguf *g;
    const rmr_pre *pre;
    json_t *vocab, *merges, *added;
    char *key; /* a token, NUL-terminated */
    size_t key_cap;
    remora_error *err;
} builder;

static remora_status no_memory(const builder *b)
{
    return rmr_error_nomem(b->err, "tokenizer", 0);
}

/* ---- the vocabulary ---- */

static remora_status check_text(const builder *b, const char *what, uint64_t index, rmr_gguf_text s)
{
    if (s.size > 0 && memchr(s.text, 0, s.size) == NULL && rmr_utf8_until(s.text, s.size) == s.size)
        return REMORA_OK;
    RMR_FAIL(b->err, REMORA_E_FORMAT,
             "%s: tokenizer.ggml.%s[%llu] is empty, has a NUL or is no UTF-8", b->t->file, what,
             (unsigned long long)index);
}

static remora_status add_special(builder *b, rmr_gguf_text s, uint32_t id, int special)
{
    json_t *e = json_pack("{s:s%, s:i, s:b, s:b}", "content", s.text, s.size, "id", (int)id,
                          "special", special, "normalized", 0);
    if (e == NULL || json_array_append_new(b->added, e) != 0) return no_memory(b);
    return REMORA_OK;
}

/* 1 when s is one of the letters that stand in the byte alphabet for C0, C1 and F5 to FF. */
static int is_unused_byte(rmr_gguf_text s)
{
    const unsigned char *p = (const unsigned char *)s.text;
    return s.size == 2 && p[0] == 0xC3 && (p[1] == 0x80 || p[1] == 0x81 || p[1] >= 0xB5);
}

static remora_status add_token(builder *b, rmr_gguf_text s, uint32_t id, int64_t type)
{
    if (type == UNUSED) return REMORA_OK; /* rows that pad the table */
    RMR_TRY(check_text(b, "tokens", id, s));
    /* in DeepSeek-LLM and -Coder these letters are words, and the bytes have no token */
    if (type == USER && is_unused_byte(s)) return add_special(b, s, id, 0);
    RMR_TRY(rmr_grow(b->t->mem, &b->key, &b->key_cap, s.size + 1, 1, b->err));
    memcpy(b->key, s.text, s.size);
    b->key[s.size] = 0;
    if (json_object_get(b->vocab, b->key) != NULL)
        RMR_FAIL(b->err, REMORA_E_FORMAT, "%s: tokenizer.ggml.tokens[%u] %s occurs twice",
                 b->t->file, id, rmr_show(b->key).text);
    if (json_object_set_new(b->vocab, b->key, json_integer((json_int_t)id)) != 0)
        return no_memory(b);
    if (type == UNKNOWN || type == CONTROL || type == USER)
        return add_special(b, s, id, type != USER);
    return REMORA_OK;
}

/* A token whose id has no row in the model: left out when it is no word. */
static remora_status add_rowless(builder *b, uint64_t index, int64_t type)
{
    if (type == NORMAL)
        RMR_FAIL(b->err, REMORA_E_FORMAT,
                 "%s: tokenizer.ggml.tokens[%llu] is a word, the model has %u rows", b->t->file,
                 (unsigned long long)index, b->t->n_vocab);
    b->t->n_rowless += type != UNUSED;
    return REMORA_OK;
}

static remora_status read_tokens(builder *b)
{
    rmr_gguf_list tokens, types;
    RMR_TRY(rmr_gguf_array(b->g, "tokenizer.ggml.tokens", RMR_GGUF_STRING, &tokens, b->err));
    RMR_TRY(rmr_gguf_array(b->g, "tokenizer.ggml.token_type", RMR_GGUF_I32, &types, b->err));
    const int typed = rmr_gguf_has(b->g, "tokenizer.ggml.token_type");
    if (typed && types.left != tokens.left)
        RMR_FAIL(b->err, REMORA_E_FORMAT, "%s: has %llu tokenizer.ggml.tokens and %llu token_type",
                 b->t->file, (unsigned long long)tokens.left, (unsigned long long)types.left);
    for (uint64_t id = 0; tokens.left > 0; id++) {
        const rmr_gguf_text s = rmr_gguf_next_text(&tokens);
        const int64_t type = typed ? rmr_gguf_next_int(&types) : NORMAL;
        RMR_TRY(id < b->t->n_vocab ? add_token(b, s, (uint32_t)id, type)
                                   : add_rowless(b, id, type));
    }
    return REMORA_OK;
}

static remora_status read_merges(builder *b)
{
    rmr_gguf_list l;
    RMR_TRY(rmr_gguf_array(b->g, "tokenizer.ggml.merges", RMR_GGUF_STRING, &l, b->err));
    if (l.left > 8 * (uint64_t)b->t->n_vocab + 65536) /* before a tree is made of them */
        RMR_FAIL(b->err, REMORA_E_FORMAT,
                 "%s: %llu tokenizer.ggml.merges are far too many for %u tokens", b->t->file,
                 (unsigned long long)l.left, b->t->n_vocab);
    for (uint64_t i = 0; l.left > 0; i++) {
        const rmr_gguf_text s = rmr_gguf_next_text(&l);
        RMR_TRY(check_text(b, "merges", i, s));
        if (json_array_append_new(b->merges, json_stringn(s.text, s.size)) != 0)
            return no_memory(b);
    }
    return REMORA_OK;
}

static remora_status load_vocab(builder *b)
{
    json_t *root = json_pack("{s:{s:o, s:o, s:b}, s:o}", "model", "vocab", b->vocab, "merges",
                             b->merges, "ignore_merges", b->pre->whole, "added_tokens", b->added);
    b->vocab = b->merges = b->added = NULL; /* json_pack took them, failed or not */
    if (root == NULL) return no_memory(b);
    const remora_status st = rmr_tok_load_vocab(b->t, root, b->err);
    json_decref(root);
    return st;
}

/* ---- the rest ---- */

static remora_status find_pre(builder *b)
{
    rmr_gguf_text s;
    char name[48] = {0};
    RMR_TRY(rmr_gguf_string(b->g, "tokenizer.ggml.pre", &s, b->err));
    memcpy(name, s.text, s.size < sizeof name ? s.size : sizeof name - 1);
    b->pre = rmr_pre_find(s.text, s.size);
    if (b->pre == NULL)
        RMR_FAIL(b->err, REMORA_E_UNSUPPORTED,
                 "%s: tokenizer.ggml.pre \"%s\" is not supported (docs/formats.md has the list)",
                 b->t->file, rmr_show(name).text);
    b->t->nfc = b->pre->nfc;
    return REMORA_OK;
}

int rmr_tokenizer_gguf_guess(const rmr_gguf *g)
{
    rmr_gguf_text s;
    if (rmr_gguf_string(g, "tokenizer.ggml.pre", &s, NULL) < 0) return 0;
    const rmr_pre *pre = rmr_pre_find(s.text, s.size);
    return pre != NULL && rmr_pre_is_guess(pre);
}

/* An id that stands in the vocabulary, or NONE. */
static remora_status read_id(const builder *b, const char *key, remora_token *out)
{
    uint32_t id;
    *out = REMORA_TOKEN_NONE;
    if (!rmr_gguf_has(b->g, key)) return REMORA_OK;
    RMR_TRY(
        rmr_gguf_u32(b->g, key, 0, UINT32_MAX, 0, &id, b->err)); /* some say -1: no such token */
    if (id < b->t->n_ids) *out = (remora_token)id;
    return REMORA_OK;
}

static remora_status read_specials(builder *b)
{
    static const struct {
        const char *key;
        int which;
    } keys[] = {{"tokenizer.ggml.bos_token_id", REMORA_SPECIAL_BOS},
                {"tokenizer.ggml.eos_token_id", REMORA_SPECIAL_EOS},
                {"tokenizer.ggml.padding_token_id", REMORA_SPECIAL_PAD},
                {"tokenizer.ggml.fim_pre_token_id", REMORA_SPECIAL_FIM_BEGIN},
                {"tokenizer.ggml.fim_suf_token_id", REMORA_SPECIAL_FIM_HOLE},
                {"tokenizer.ggml.fim_mid_token_id", REMORA_SPECIAL_FIM_END}};
    static const char *const ends[] = {"tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    rmr_tok_parts *t = b->t;
    remora_token id;
    int bos, eos;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        RMR_TRY(read_id(b, keys[i].key, &t->special[keys[i].which]));
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        RMR_TRY(read_id(b, ends[i], &id));
        if (id != REMORA_TOKEN_NONE) t->flags[id] |= REMORA_TOKEN_END_OF_TURN;
    }
    RMR_TRY(rmr_gguf_bool(b->g, "tokenizer.ggml.add_bos_token", b->pre->bos, &bos, b->err));
    RMR_TRY(rmr_gguf_bool(b->g, "tokenizer.ggml.add_eos_token", 0, &eos, b->err));
    if (eos)
        RMR_FAIL(b->err, REMORA_E_UNSUPPORTED, "%s: tokenizer.ggml.add_eos_token is true", t->file);
    if (bos && t->special[REMORA_SPECIAL_BOS] == REMORA_TOKEN_NONE)
        RMR_FAIL(b->err, REMORA_E_FORMAT,
                 "%s: tokenizer.ggml.add_bos_token is true without bos_token_id", t->file);
    if (bos) t->prefix[t->n_prefix++] = t->special[REMORA_SPECIAL_BOS];
    rmr_tok_finish(t);
    return REMORA_OK;
}

static remora_status build(builder *b)
{
    RMR_TRY(find_pre(b));
    if (b->vocab == NULL || b->merges == NULL || b->added == NULL) return no_memory(b);
    RMR_TRY(read_tokens(b));
    RMR_TRY(read_merges(b));
    RMR_TRY(load_vocab(b));
    RMR_TRY(rmr_tok_add_pre(b->t, "tokenizer.ggml.pre", b->pre, b->err));
    return read_specials(b);
}

/* Check the kind of tokenizer: none (E_NOT_FOUND), byte-level BPE, or one that is not supported. */
static remora_status check_kind(const rmr_gguf *g, remora_error *err)
{
    rmr_gguf_text s;
    char model[32] = {0};
    RMR_TRY(rmr_gguf_string(g, "tokenizer.ggml.model", &s, err));
    memcpy(model, s.text, s.size < sizeof model ? s.size : sizeof model - 1);
    if (s.size == 0 || strcmp(model, "no_vocab") == 0 || strcmp(model, "none") == 0)
        return REMORA_E_NOT_FOUND;
    if (strcmp(model, "gpt2") != 0)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "%s: tokenizer.ggml.model \"%s\" is not supported (known: gpt2)", rmr_gguf_name(g),
                 rmr_show(model).text);
    return REMORA_OK;
}

remora_status rmr_tokenizer_open_gguf(rmr_mem *mem, const rmr_gguf *g, uint32_t n_vocab,
                                      rmr_tokenizer **out, remora_error *err)
{
    rmr_tok_parts t;
    *out = NULL;
    RMR_TRY(check_kind(g, err));
    RMR_TRY(rmr_tok_check_size(n_vocab, err));
    rmr_tok_begin(&t, mem, rmr_gguf_name(g), n_vocab);
    builder b = {.t = &t,
                 .g = g,
                 .vocab = json_object(),
                 .merges = json_array(),
                 .added = json_array(),
                 .err = err};
    remora_status st = build(&b);
    if (st >= 0) st = rmr_tok_compile(&t, out, err);
    json_decref(b.vocab);
    json_decref(b.merges);
    json_decref(b.added);
    rmr_free(mem, b.key, b.key_cap);
    rmr_tok_drop(&t);
    return st;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reading which tokens begin, end and pad a text: tokenizer_config.json, generation_config.json,
 * config.json. */
#include <string.h>

#include "json_files.h"
#include "textconfig.h"
#include "tok.h"

#define TOKENIZER "tokenizer_config.json"

enum { CONFIG_LIMIT = 4 << 20 /* bounds jansson's tree */ };

remora_status rmr_tok_config(rmr_json_files *from, json_t **root, remora_error *err)
{
    return rmr_json_files_get(from, TOKENIZER, CONFIG_LIMIT, root, err);
}

remora_token rmr_tok_find(const rmr_tok_parts *t, const char *text, size_t n)
{
    const rmr_added_set raw = rmr_tok_set(t, &t->raw), normalized = rmr_tok_set(t, &t->normalized);
    const rmr_added *a = rmr_added_get(&raw, text, n);
    if (a == NULL) a = rmr_added_get(&normalized, text, n);
    return a != NULL ? (remora_token)a->id : REMORA_TOKEN_NONE;
}

/* "bos_token": "text" or {"content": "text"}. Padding may be a token that there is not: training
 * scripts name one of their own, which no text and no answer has. */
static remora_status read_token(rmr_tok_parts *t, const json_t *root, const char *key, int which,
                                remora_error *err)
{
    const json_t *v = json_object_get(root, key);
    if (json_is_object(v)) v = json_object_get(v, "content");
    if (v == NULL || json_is_null(v)) return REMORA_OK;
    if (!json_is_string(v)) RMR_FAIL(err, REMORA_E_FORMAT, TOKENIZER ": %s is not a text", key);
    if (json_string_length(v) == 0) return REMORA_OK;
    const remora_token id = rmr_tok_find(t, json_string_value(v), json_string_length(v));
    if (id == REMORA_TOKEN_NONE && which != REMORA_SPECIAL_PAD)
        RMR_FAIL(err, REMORA_E_FORMAT,
                 TOKENIZER ": %s %s is not an added token with a row in the model", key,
                 rmr_show(json_string_value(v)).text);
    t->special[which] = id;
    return REMORA_OK;
}

/* add_bos_token true puts BOS in front, false takes it away, absent leaves the template's word
 * (docs/models.md T12). */
static remora_status apply_add_bos(rmr_tok_parts *t, const json_t *root, remora_error *err)
{
    const json_t *v = json_object_get(root, "add_bos_token");
    const remora_token bos = t->special[REMORA_SPECIAL_BOS];
    int on;
    if (v == NULL || json_is_null(v)) return REMORA_OK;
    RMR_TRY(rmr_json_bool(TOKENIZER, root, "add_bos_token", 0, &on, err));
    const int there = t->n_prefix > 0 && t->prefix[0] == bos;
    if (on == there || (!on && bos == REMORA_TOKEN_NONE)) return REMORA_OK;
    if (bos == REMORA_TOKEN_NONE)
        RMR_FAIL(err, REMORA_E_FORMAT, TOKENIZER ": add_bos_token is true without bos_token");
    if (!on) {
        t->n_prefix--;
        memmove(t->prefix, t->prefix + 1, t->n_prefix * sizeof t->prefix[0]);
        return REMORA_OK;
    }
    if (t->n_prefix == RMR_TOK_MAX_PREFIX)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 TOKENIZER ": there are more than %d tokens in front of the text",
                 RMR_TOK_MAX_PREFIX);
    memmove(t->prefix + 1, t->prefix, t->n_prefix * sizeof t->prefix[0]);
    t->prefix[0] = bos;
    t->n_prefix++;
    return REMORA_OK;
}

static remora_status read_tokenizer_config(rmr_tok_parts *t, const json_t *root, remora_error *err)
{
    RMR_TRY(read_token(t, root, "bos_token", REMORA_SPECIAL_BOS, err));
    RMR_TRY(read_token(t, root, "eos_token", REMORA_SPECIAL_EOS, err));
    RMR_TRY(read_token(t, root, "pad_token", REMORA_SPECIAL_PAD, err));
    return apply_add_bos(t, root, err);
}

static remora_status end_of_turn(rmr_tok_parts *t, const char *file, const json_t *v,
                                 remora_error *err)
{
    const json_int_t id = json_is_integer(v) ? json_integer_value(v) : -1;
    if (id < 0 || id >= (json_int_t)t->n_vocab)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: eos_token_id is not a token of the model", file);
    if (id >= (json_int_t)t->n_ids) return REMORA_OK; /* a row without a token */
    t->flags[id] |= REMORA_TOKEN_END_OF_TURN;
    if (t->special[REMORA_SPECIAL_EOS] == REMORA_TOKEN_NONE)
        t->special[REMORA_SPECIAL_EOS] = (remora_token)id;
    return REMORA_OK;
}

/* "eos_token_id": 1 or [1, 2]. */
static remora_status read_eos_ids(rmr_tok_parts *t, const char *file, const json_t *root,
                                  remora_error *err)
{
    const json_t *v = json_object_get(root, "eos_token_id");
    if (v == NULL || json_is_null(v)) return REMORA_OK;
    if (!json_is_array(v)) return end_of_turn(t, file, v, err);
    for (size_t i = 0; i < json_array_size(v); i++)
        RMR_TRY(end_of_turn(t, file, json_array_get(v, i), err));
    return REMORA_OK;
}

static void find_well_known(rmr_tok_parts *t)
{
    static const struct {
        int which;
        const char *text;
    } known[] = {
        {REMORA_SPECIAL_USER, "<｜User｜>"},
        {REMORA_SPECIAL_USER, "<|user|>"},
        {REMORA_SPECIAL_USER, "<|im_user|>"},
        {REMORA_SPECIAL_ASSISTANT, "<｜Assistant｜>"},
        {REMORA_SPECIAL_ASSISTANT, "<|assistant|>"},
        {REMORA_SPECIAL_ASSISTANT, "<|im_assistant|>"},
        {REMORA_SPECIAL_THINK_OPEN, "<think>"},
        {REMORA_SPECIAL_THINK_CLOSE, "</think>"},
        {REMORA_SPECIAL_FIM_BEGIN, "<｜fim▁begin｜>"},
        {REMORA_SPECIAL_FIM_BEGIN, "<|fim_prefix|>"},
        {REMORA_SPECIAL_FIM_HOLE, "<｜fim▁hole｜>"},
        {REMORA_SPECIAL_FIM_HOLE, "<|fim_suffix|>"},
        {REMORA_SPECIAL_FIM_END, "<｜fim▁end｜>"},
        {REMORA_SPECIAL_FIM_END, "<|fim_middle|>"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (t->special[known[i].which] == REMORA_TOKEN_NONE)
            t->special[known[i].which] = rmr_tok_find(t, known[i].text, strlen(known[i].text));
}

enum { AT_BEGIN, AT_END, ANYWHERE };

/* 1 when s has one of the texts at that place. */
static int has_one(const char *s, size_t n, int where, const char *const *texts)
{
    for (size_t k = 0; texts[k] != NULL; k++) {
        const size_t len = strlen(texts[k]);
        if (n < len) continue;
        const size_t from = where == AT_END ? n - len : 0, to = where == AT_BEGIN ? 0 : n - len;
        for (size_t i = from; i <= to; i++)
            if (memcmp(s + i, texts[k], len) == 0) return 1;
    }
    return 0;
}

/* 1 when the text of an added token is markup. Chat formats write their names with angles or in
 * brackets, braces or bars, ASCII or fullwidth: <think>, [INST], <|im_start|>, <｜User｜>,
 * ｜DSML｜. Such signs without a name ("[]", "->") are text, and so are all other words. */
static int is_markup(const char *s, size_t n)
{
    static const char *const less[] = {"<", "＜", NULL}, *const greater[] = {">", "＞", NULL};
    static const char *const open[] = {"[", "{", "|", "｜", "【", "［", NULL};
    static const char *const close[] = {"]", "}", "|", "｜", "】", "］", NULL};
    static const char *const bars[] = {"<|", "|>", "<｜", "｜>", NULL};
    int named = 0;
    while (n > 0 && strchr(" \t\r\n", s[0]) != NULL) s++, n--;
    while (n > 0 && strchr(" \t\r\n", s[n - 1]) != NULL) n--;
    for (size_t i = 0; i < n; i++)
        named |= (unsigned char)s[i] >= 0x80 || (s[i] >= '0' && s[i] <= '9') ||
                 ((s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'z');
    if (!named) return 0;
    return has_one(s, n, AT_BEGIN, less) || has_one(s, n, AT_END, greater) ||
           has_one(s, n, ANYWHERE, bars) ||
           (n > 2 && has_one(s, n, AT_BEGIN, open) && has_one(s, n, AT_END, close));
}

static void find_plain(rmr_tok_parts *t, const rmr_tok_added *set)
{
    for (uint32_t i = 0; i < set->n; i++) {
        const rmr_added *a = &set->items[i];
        if ((t->flags[a->id] & (REMORA_TOKEN_CONTROL | REMORA_TOKEN_END_OF_TURN)) == 0 &&
            !is_markup(t->arena + a->text, a->len))
            t->flags[a->id] |= RMR_TOK_PLAIN;
    }
}

void rmr_tok_finish(rmr_tok_parts *t)
{
    for (int which = REMORA_SPECIAL_BOS; which <= REMORA_SPECIAL_PAD; which++)
        if (t->special[which] != REMORA_TOKEN_NONE)
            t->flags[t->special[which]] |= REMORA_TOKEN_CONTROL;
    if (t->special[REMORA_SPECIAL_EOS] != REMORA_TOKEN_NONE)
        t->flags[t->special[REMORA_SPECIAL_EOS]] |= REMORA_TOKEN_END_OF_TURN;
    find_well_known(t);
    find_plain(t, &t->raw);
    find_plain(t, &t->normalized);
    for (int which = 0; which < RMR_TOK_N_SPECIAL; which++)
        if (t->special[which] != REMORA_TOKEN_NONE)
            t->flags[t->special[which]] &= (uint8_t)~RMR_TOK_PLAIN;
}

/* The same of a file whose text model may be an object inside. */
static remora_status read_eos_file(rmr_tok_parts *t, rmr_json_files *from, const char *file,
                                   remora_error *err)
{
    const char *key = NULL;
    json_t *root;
    RMR_TRY(rmr_json_files_get(from, file, CONFIG_LIMIT, &root, err));
    if (root == NULL) return REMORA_OK;
    json_incref(root);
    remora_status st = rmr_textconfig(file, &root, &key, err);
    if (st >= 0) st = read_eos_ids(t, file, root, err);
    json_decref(root);
    return st;
}

remora_status rmr_tok_load_config(rmr_tok_parts *t, rmr_json_files *from, remora_error *err)
{
    json_t *root;
    RMR_TRY(rmr_tok_config(from, &root, err));
    if (root != NULL) RMR_TRY(read_tokenizer_config(t, root, err));
    RMR_TRY(read_eos_file(t, from, "generation_config.json", err));
    RMR_TRY(read_eos_file(t, from, "config.json", err));
    if (t->special[REMORA_SPECIAL_BOS] == REMORA_TOKEN_NONE && t->n_prefix == 1)
        t->special[REMORA_SPECIAL_BOS] = t->prefix[0];
    rmr_tok_finish(t);
    return REMORA_OK;
}

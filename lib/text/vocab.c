/* SPDX-License-Identifier: Apache-2.0 */
/* The model and added_tokens parts of tokenizer.json.
 *
 * jansson's own hash table finds tokens by name while we load; what stays is ids only. Tokens are
 * measured first and then written into one arena in order of id. */
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "nfc.h"
#include "tok.h"
#include "utf8.h"

typedef struct loader {
    rmr_tok_parts *t;
    const json_t *model;
    json_t *vocab;
    rmr_tok_entry *added;
    size_t n_added, added_cap;
    char *key; /* NUL-terminated token names to look up */
    size_t key_cap;
    remora_error *err;
} loader;

/* The byte that a code point of the byte-level alphabet stands for, or -1. Printable Latin-1 is
 * itself; the other 68 bytes follow from U+0100 in order. */
static int alphabet_byte(uint32_t cp)
{
    if ((cp >= 33 && cp <= 126) || (cp >= 161 && cp <= 172) || (cp >= 174 && cp <= 255))
        return (int)cp;
    if (cp >= 0x100 && cp <= 0x120) return (int)(cp - 0x100);
    if (cp >= 0x121 && cp <= 0x142) return (int)(cp - 0x121 + 127);
    return cp == 0x143 ? 173 : -1;
}

/* Bytes of a vocabulary entry, into out unless NULL; SIZE_MAX when it is not in the alphabet. */
static size_t alphabet_bytes(const char *s, size_t n, char *out)
{
    size_t k = 0;
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        i += rmr_utf8_step((const unsigned char *)s + i, n - i, &cp);
        const int b = alphabet_byte(cp);
        if (b < 0) return SIZE_MAX;
        if (out != NULL) out[k] = (char)b;
        k++;
    }
    return k;
}

static remora_status need_absent(const loader *l, const char *key)
{
    const json_t *v = json_object_get(l->model, key);
    if (v == NULL || json_is_null(v) || json_is_false(v)) return REMORA_OK;
    if (json_is_string(v) && json_string_length(v) == 0) return REMORA_OK;
    if (json_is_number(v) && json_number_value(v) == 0) return REMORA_OK;
    RMR_FAIL(l->err, REMORA_E_UNSUPPORTED, "%s: model.%s is not supported", l->t->file, key);
}

static remora_status check_model(loader *l, const json_t *root)
{
    const char *type;
    l->model = json_object_get(root, "model");
    if (!json_is_object(l->model))
        RMR_FAIL(l->err, REMORA_E_FORMAT, "%s: model is missing or not an object", l->t->file);
    RMR_TRY(rmr_json_string(l->t->file, l->model, "type", &type, l->err));
    if (type != NULL && strcmp(type, "BPE") != 0)
        RMR_FAIL(l->err, REMORA_E_UNSUPPORTED, "%s: model.type %s is not supported", l->t->file,
                 rmr_show(type).text);
    RMR_TRY(need_absent(l, "dropout"));
    RMR_TRY(need_absent(l, "continuing_subword_prefix"));
    RMR_TRY(need_absent(l, "end_of_word_suffix"));
    RMR_TRY(need_absent(l, "byte_fallback"));
    l->vocab = json_object_get(l->model, "vocab");
    if (!json_is_object(l->vocab))
        RMR_FAIL(l->err, REMORA_E_FORMAT, "%s: model.vocab is missing or not an object",
                 l->t->file);
    return REMORA_OK;
}

/* An id in its JSON form. */
static remora_status read_id(const loader *l, const char *token, const json_t *v, uint32_t *id)
{
    if (!json_is_integer(v))
        RMR_FAIL(l->err, REMORA_E_FORMAT, "%s: the id of token %s is not an integer", l->t->file,
                 rmr_show(token).text);
    const json_int_t i = json_integer_value(v);
    if (i < 0 || i >= (json_int_t)l->t->n_vocab)
        RMR_FAIL(l->err, REMORA_E_FORMAT, "%s: token %s has id %lld, the model has %u rows",
                 l->t->file, rmr_show(token).text, (long long)i, l->t->n_vocab);
    *id = (uint32_t)i;
    return REMORA_OK;
}

remora_status rmr_tok_read_entry(const char *file, const char *where, const json_t *v,
                                 rmr_tok_entry *e, remora_error *err)
{
    static const char *const refused[] = {"lstrip", "rstrip", "single_word"};
    const json_t *content = json_object_get(v, "content");
    int on;
    if (!json_is_string(content) || json_string_length(content) == 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s.content is not a text", file, where);
    e->text = json_string_value(content);
    e->len = json_string_length(content);
    if (e->len > RMR_ADDED_MAX)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: %s.content has %zu bytes, the limit is %d", file,
                 where, e->len, RMR_ADDED_MAX);
    if (memchr(e->text, 0, e->len) != NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: %s.content has a NUL", file, where);
    for (size_t i = 0; i < 3; i++) {
        RMR_TRY(rmr_json_bool(file, v, refused[i], 0, &on, err));
        if (on)
            RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: %s.%s is not supported (%s)", file, where,
                     refused[i], rmr_show(e->text).text);
    }
    RMR_TRY(rmr_json_bool(file, v, "special", 0, &e->special, err));
    return rmr_json_bool(file, v, "normalized", !e->special, &e->normalized, err);
}

/* Fine-tunes add a token behind the last row and leave the embedding as it was. The model can
 * neither take such a token nor choose it. It may stand in the vocabulary, too: it is taken out. */
static int leave_out(loader *l, const json_t *entry)
{
    const json_t *id = json_object_get(entry, "id");
    const char *text = json_string_value(json_object_get(entry, "content"));
    if (!json_is_integer(id) || json_integer_value(id) < (json_int_t)l->t->n_vocab) return 0;
    if (text != NULL && json_equal(json_object_get(l->vocab, text), id))
        json_object_del(l->vocab, text);
    l->t->n_rowless++;
    return 1;
}

static remora_status read_added(loader *l, const json_t *root)
{
    const json_t *list = json_object_get(root, "added_tokens");
    char where[40];
    if (list == NULL || json_is_null(list)) return REMORA_OK;
    if (!json_is_array(list))
        RMR_FAIL(l->err, REMORA_E_FORMAT, "%s: added_tokens is not an array", l->t->file);
    l->added_cap = json_array_size(list);
    l->added = rmr_calloc(l->t->mem, l->added_cap, sizeof *l->added);
    if (l->added == NULL) return rmr_error_nomem(l->err, "added tokens", l->added_cap);
    for (size_t i = 0; i < l->added_cap; i++) {
        const json_t *v = json_array_get(list, i);
        rmr_tok_entry *e = &l->added[l->n_added];
        if (leave_out(l, v)) continue;
        snprintf(where, sizeof where, "added_tokens[%zu]", i);
        RMR_TRY(rmr_tok_read_entry(l->t->file, where, v, e, l->err));
        RMR_TRY(read_id(l, e->text, json_object_get(v, "id"), &e->id));
        l->n_added++;
    }
    return REMORA_OK;
}

static remora_status count_ids(loader *l)
{
    const char *token;
    json_t *v;
    uint32_t id, top = 0;
    json_object_foreach(l->vocab, token, v)
    {
        RMR_TRY(read_id(l, token, v, &id));
        if (id >= top) top = id + 1;
    }
    for (size_t i = 0; i < l->n_added; i++)
        if (l->added[i].id >= top) top = l->added[i].id + 1;
    rmr_tok_parts *t = l->t;
    t->n_ids = top;
    t->offset = rmr_calloc(t->mem, (size_t)top + 1, sizeof *t->offset);
    t->flags = rmr_calloc(t->mem, top, 1);
    if (t->offset == NULL || t->flags == NULL)
        return rmr_error_nomem(l->err, "vocabulary", (uint64_t)top * 5);
    return REMORA_OK;
}

/* Lengths into offset[id + 1], flags, and a check that no id means two things. */
static remora_status measure(loader *l)
{
    rmr_tok_parts *t = l->t;
    const char *token;
    json_t *v;
    for (size_t i = 0; i < l->n_added; i++) {
        const rmr_tok_entry *e = &l->added[i];
        const json_t *known = json_object_get(l->vocab, e->text);
        if (known != NULL && json_integer_value(known) != (json_int_t)e->id)
            RMR_FAIL(l->err, REMORA_E_FORMAT,
                     "%s: added_tokens: %s has id %u, the vocabulary says %lld", l->t->file,
                     rmr_show(e->text).text, e->id, (long long)json_integer_value(known));
        if (t->flags[e->id] & RMR_TOK_ADDED)
            RMR_FAIL(l->err, REMORA_E_FORMAT, "%s: added_tokens: id %u occurs twice (%s)",
                     l->t->file, e->id, rmr_show(e->text).text);
        t->flags[e->id] = (uint8_t)(RMR_TOK_ADDED | (e->special ? REMORA_TOKEN_CONTROL : 0) |
                                    (known == NULL ? RMR_TOK_USED : 0));
        t->offset[e->id + 1] = (uint32_t)e->len;
    }
    json_object_foreach(l->vocab, token, v)
    {
        const size_t len = strlen(token), id = (size_t)json_integer_value(v);
        const size_t bytes = alphabet_bytes(token, len, NULL);
        if (t->flags[id] & RMR_TOK_USED)
            RMR_FAIL(l->err, REMORA_E_FORMAT, "%s: model.vocab: id %zu of %s occurs twice",
                     l->t->file, id, rmr_show(token).text);
        t->flags[id] |= RMR_TOK_USED;
        if (bytes == SIZE_MAX) t->flags[id] |= RMR_TOK_LITERAL;
        if (!(t->flags[id] & RMR_TOK_ADDED))
            t->offset[id + 1] = (uint32_t)(bytes == SIZE_MAX ? len : bytes);
    }
    uint64_t total = 0;
    for (uint32_t i = 0; i < t->n_ids; i++) {
        total += t->offset[i + 1];
        if (total > UINT32_MAX)
            RMR_FAIL(l->err, REMORA_E_UNSUPPORTED, "%s: the tokens are above 4 GiB", l->t->file);
        t->offset[i + 1] = (uint32_t)total;
    }
    t->arena_size = (uint32_t)total;
    return REMORA_OK;
}

static int is_partial(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        i += rmr_utf8_step((const unsigned char *)s + i, n - i, &cp);
        if (cp >= RMR_UTF8_SHORT) return 1;
    }
    return 0;
}

void rmr_tok_mark_partial(rmr_tok_parts *t)
{
    for (uint32_t i = 0; i < t->n_ids; i++)
        if (is_partial(t->arena + t->offset[i], t->offset[i + 1] - t->offset[i]))
            t->flags[i] |= REMORA_TOKEN_PARTIAL;
}

static remora_status fill(loader *l)
{
    rmr_tok_parts *t = l->t;
    const char *token;
    json_t *v;
    t->arena = rmr_alloc(t->mem, t->arena_size);
    if (t->arena == NULL) return rmr_error_nomem(l->err, "token texts", t->arena_size);
    for (size_t i = 0; i < l->n_added; i++)
        memcpy(t->arena + t->offset[l->added[i].id], l->added[i].text, l->added[i].len);
    json_object_foreach(l->vocab, token, v)
    {
        const size_t id = (size_t)json_integer_value(v);
        char *to = t->arena + t->offset[id];
        if (t->flags[id] & RMR_TOK_ADDED) continue;
        if (t->flags[id] & RMR_TOK_LITERAL)
            memcpy(to, token, t->offset[id + 1] - t->offset[id]);
        else
            alphabet_bytes(token, strlen(token), to);
    }
    rmr_tok_mark_partial(t);
    return REMORA_OK;
}

/* The vocabulary's id of a followed by b; `index` is that merge's, for errors. */
static remora_status find_id(loader *l, size_t index, const char *a, size_t a_len, const char *b,
                             size_t b_len, uint32_t *id)
{
    RMR_TRY(rmr_grow(l->t->mem, &l->key, &l->key_cap, a_len + b_len + 1, 1, l->err));
    memcpy(l->key, a, a_len);
    memcpy(l->key + a_len, b, b_len);
    l->key[a_len + b_len] = 0;
    const json_t *v =
        memchr(l->key, 0, a_len + b_len) == NULL ? json_object_get(l->vocab, l->key) : NULL;
    if (v == NULL)
        RMR_FAIL(l->err, REMORA_E_FORMAT, "%s: model.merges[%zu]: %s is not in the vocabulary",
                 l->t->file, index, rmr_show(l->key).text);
    *id = (uint32_t)json_integer_value(v);
    return REMORA_OK;
}

static remora_status read_merge(loader *l, size_t index, const json_t *v, rmr_bpe_merge *out)
{
    const char *a = NULL, *b = NULL;
    size_t a_len = 0, b_len = 0;
    if (json_is_string(v)) { /* "a b" */
        a = json_string_value(v);
        const char *end = a + json_string_length(v), *gap = memchr(a, ' ', (size_t)(end - a));
        if (gap != NULL && memchr(gap + 1, ' ', (size_t)(end - gap - 1)) == NULL) {
            a_len = (size_t)(gap - a);
            b = gap + 1;
            b_len = (size_t)(end - b);
        }
    } else if (json_is_array(v) && json_array_size(v) == 2) {
        const json_t *x = json_array_get(v, 0), *y = json_array_get(v, 1);
        if (json_is_string(x) && json_is_string(y)) {
            a = json_string_value(x);
            a_len = json_string_length(x);
            b = json_string_value(y);
            b_len = json_string_length(y);
        }
    }
    if (a_len == 0 || b_len == 0)
        RMR_FAIL(l->err, REMORA_E_FORMAT, "%s: model.merges[%zu] is not a pair of tokens",
                 l->t->file, index);
    RMR_TRY(find_id(l, index, a, a_len, "", 0, &out->left));
    RMR_TRY(find_id(l, index, b, b_len, "", 0, &out->right));
    RMR_TRY(find_id(l, index, a, a_len, b, b_len, &out->merged));
    if (l->t->flags[out->merged] & REMORA_TOKEN_CONTROL)
        RMR_FAIL(l->err, REMORA_E_FORMAT,
                 "%s: model.merges[%zu] makes the special token %s of plain text", l->t->file,
                 index, rmr_show(l->key).text);
    return REMORA_OK;
}

static remora_status read_merges(loader *l)
{
    const json_t *list = json_object_get(l->model, "merges");
    rmr_mem *mem = l->t->mem;
    remora_status st = REMORA_OK;
    if (!json_is_array(list))
        RMR_FAIL(l->err, REMORA_E_FORMAT, "%s: model.merges is missing or not an array",
                 l->t->file);
    const size_t n = json_array_size(list);
    if (n >= UINT32_MAX / 2)
        RMR_FAIL(l->err, REMORA_E_UNSUPPORTED, "%s: model.merges has %zu entries", l->t->file, n);
    rmr_bpe_merge *merges = rmr_calloc(mem, n, sizeof *merges);
    if (merges == NULL) return rmr_error_nomem(l->err, "merges", n * sizeof *merges);
    for (size_t i = 0; i < n && st >= 0; i++)
        st = read_merge(l, i, json_array_get(list, i), &merges[i]);
    if (st >= 0) st = rmr_bpe_build(mem, merges, (uint32_t)n, l->t->n_ids, &l->t->bpe, l->err);
    rmr_free(mem, merges, n * sizeof *merges);
    return st;
}

/* Read the token of bytes that have none of their own: model.unk_token. Most models do not give
 * one, and such bytes are left out. */
static remora_status read_unknown(const loader *l, uint32_t *id)
{
    const char *name;
    int fuse;
    *id = RMR_BPE_NO_TOKEN;
    RMR_TRY(rmr_json_string(l->t->file, l->model, "unk_token", &name, l->err));
    if (name == NULL) return REMORA_OK;
    RMR_TRY(rmr_json_bool(l->t->file, l->model, "fuse_unk", 0, &fuse, l->err));
    if (fuse)
        RMR_FAIL(l->err, REMORA_E_UNSUPPORTED, "%s: model.fuse_unk with bytes that have no token",
                 l->t->file);
    const json_t *v = json_object_get(l->vocab, name);
    if (v == NULL)
        RMR_FAIL(l->err, REMORA_E_FORMAT, "%s: model.unk_token %s is not in the vocabulary",
                 l->t->file, rmr_show(name).text);
    *id = (uint32_t)json_integer_value(v);
    return REMORA_OK;
}

/* The token of each byte. Some have none: UTF-8 never uses C0, C1 and F5 to FF, and a vocabulary
 * that was trained on a text may lack bytes that did not occur there. */
static remora_status read_bytes(loader *l)
{
    uint32_t *byte_id = l->t->bpe.byte_id, unknown;
    size_t missing = 0;
    char name[5];
    for (uint32_t cp = 0; cp <= 0x143; cp++) {
        const int b = alphabet_byte(cp);
        if (b < 0) continue;
        name[rmr_utf8_put(cp, (unsigned char *)name)] = 0;
        const json_t *v = json_object_get(l->vocab, name);
        byte_id[b] = v != NULL ? (uint32_t)json_integer_value(v) : RMR_BPE_NO_TOKEN;
        missing += v == NULL;
    }
    if (missing == 0) return REMORA_OK;
    RMR_TRY(read_unknown(l, &unknown));
    for (int b = 0; b < 256; b++)
        if (byte_id[b] == RMR_BPE_NO_TOKEN) byte_id[b] = unknown;
    return REMORA_OK;
}

/* The added tokens with `normalized` as asked, as a set. */
static remora_status index_added(rmr_tok_parts *t, const rmr_tok_entry *added, size_t n_added,
                                 int normalized, rmr_tok_added *out, remora_error *err)
{
    uint32_t n = 0, k = 0;
    for (size_t i = 0; i < n_added; i++) n += added[i].normalized == normalized;
    if (n == 0) return REMORA_OK;
    rmr_added *items = rmr_calloc(t->mem, n, sizeof *items);
    if (items == NULL) return rmr_error_nomem(err, "added tokens", n * sizeof *items);
    out->items = items;
    out->n = n;
    for (size_t i = 0; i < n_added; i++) {
        const rmr_tok_entry *e = &added[i];
        if (e->normalized != normalized) continue;
        items[k++] = (rmr_added){t->offset[e->id], (uint32_t)e->len, e->id};
    }
    RMR_TRY(rmr_added_index(t->mem, t->arena, items, n, out->first, err));
    for (uint32_t i = 0; i + 1 < n; i++)
        if (items[i].len == items[i + 1].len &&
            memcmp(t->arena + items[i].text, t->arena + items[i + 1].text, items[i].len) == 0)
            RMR_FAIL(err, REMORA_E_FORMAT,
                     "%s: the added tokens with ids %u and %u have the same content", t->file,
                     items[i].id, items[i + 1].id);
    return REMORA_OK;
}

remora_status rmr_tok_index_added(rmr_tok_parts *t, const rmr_tok_entry *added, size_t n,
                                  remora_error *err)
{
    RMR_TRY(index_added(t, added, n, 0, &t->raw, err));
    return index_added(t, added, n, 1, &t->normalized, err);
}

static int is_word(const rmr_tok_parts *t, uint32_t id)
{
    return t->offset[id + 1] > t->offset[id] &&
           (t->flags[id] & (RMR_TOK_ADDED | RMR_TOK_LITERAL)) == 0;
}

remora_status rmr_tok_index_words(rmr_tok_parts *t, remora_error *err)
{
    uint32_t n = 0, k = 0;
    for (uint32_t i = 0; i < t->n_ids; i++) n += is_word(t, i);
    t->words.items = rmr_calloc(t->mem, n, sizeof *t->words.items);
    if (t->words.items == NULL)
        return rmr_error_nomem(err, "words", (uint64_t)n * sizeof *t->words.items);
    t->words.n = n;
    for (uint32_t i = 0; i < t->n_ids; i++)
        if (is_word(t, i))
            t->words.items[k++] = (rmr_added){t->offset[i], t->offset[i + 1] - t->offset[i], i};
    return rmr_added_index(t->mem, t->arena, t->words.items, n, t->words.first, err);
}

static remora_status read_words(loader *l)
{
    int on;
    RMR_TRY(rmr_json_bool(l->t->file, l->model, "ignore_merges", 0, &on, l->err));
    return on ? rmr_tok_index_words(l->t, l->err) : REMORA_OK;
}

static remora_status load(loader *l, const json_t *root)
{
    RMR_TRY(check_model(l, root));
    RMR_TRY(read_added(l, root));
    RMR_TRY(count_ids(l));
    RMR_TRY(measure(l));
    RMR_TRY(fill(l));
    RMR_TRY(read_bytes(l));
    RMR_TRY(read_merges(l));
    RMR_TRY(rmr_tok_index_added(l->t, l->added, l->n_added, l->err));
    return read_words(l);
}

remora_status rmr_tok_load_vocab(rmr_tok_parts *t, const json_t *root, remora_error *err)
{
    loader l = {.t = t, .err = err};
    const remora_status st = load(&l, root);
    rmr_free(t->mem, l.key, l.key_cap);
    rmr_free(t->mem, l.added, l.added_cap * sizeof *l.added);
    return st;
}

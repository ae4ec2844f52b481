/* SPDX-License-Identifier: Apache-2.0 */
/* tiktoken.model, the vocabulary of Moonlight, Kimi-K2 and their successors: a line for each token,
 * the base64 of its bytes and its rank, which is its id. Nothing else is in it. The pattern of the
 * pre-tokenizer and how special tokens are numbered are in the Python file beside it
 * (tokenization_kimi.py of moonshotai/Kimi-K2-Instruct, tokenization_moonshot.py of
 * moonshotai/Moonlight-16B-A3B; the class TikTokenTokenizer in both): the 256 ids behind the
 * vocabulary are special tokens, named by added_tokens_decoder of tokenizer_config.json or else
 * "<|reserved_token_ID|>". No token is put before or behind a text. */
#include <stdio.h>
#include <string.h>

#include "json_files.h"
#include "tok.h"

#define FILE_NAME "tiktoken.model"
#define CONFIG "tokenizer_config.json"
#define TABLE "added_tokens_decoder"

enum { FILE_LIMIT = 64 << 20, N_SPECIAL = 256, MAX_SPECIAL_NAME = 40 };

typedef struct word { /* by rank */
    uint32_t at, len; /* its bytes, in the text of the file */
    uint32_t line;    /* 0: the rank has not been seen */
} word;

typedef struct reader {
    rmr_tok_parts *t;
    rmr_json_files *from;
    char *text;
    size_t size;
    word *words;
    uint32_t n_words;
    json_t *config;                 /* borrowed */
    rmr_tok_entry added[N_SPECIAL]; /* text NULL: a reserved token */
    uint32_t n_added;
    remora_error *err;
} reader;

static void drop_text(reader *r)
{
    rmr_free(r->t->mem, r->text, r->size + 1);
    r->text = NULL;
}

/* ---- lines ---- */

/* The line that begins at *at, without its end; *at moves to the next one. */
static char *next_line(const reader *r, size_t *at, size_t *n)
{
    char *line = r->text + *at, *end = memchr(line, '\n', r->size - *at);
    *n = end != NULL ? (size_t)(end - line) : r->size - *at;
    *at += *n + (end != NULL);
    if (*n > 0 && line[*n - 1] == '\r') --*n;
    return line;
}

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Decode n characters of base64 where they stand; the number of bytes, 0 when it is none. */
static size_t unbase64(char *s, size_t n)
{
    size_t k = 0, chars = n;
    uint32_t bits = 0;
    if (n == 0 || n % 4 != 0) return 0;
    while (chars > n - 2 && s[chars - 1] == '=') chars--;
    for (size_t i = 0; i < chars; i++) {
        const int v = sextet(s[i]);
        if (v < 0) return 0;
        bits = bits << 6 | (uint32_t)v;
        if (i % 4 == 0) continue;
        const unsigned left = 6 - 2 * (i % 4); /* bits of the next byte that we have */
        s[k++] = (char)(bits >> left);
        bits &= (1u << left) - 1;
    }
    return bits == 0 ? k : 0; /* padding has no bits */
}

static int number(const char *s, size_t n, uint32_t *out)
{
    uint64_t v = 0;
    if (n == 0 || n > 10) return 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9') return 0;
        v = 10 * v + (uint64_t)(s[i] - '0');
    }
    *out = (uint32_t)v;
    return v <= UINT32_MAX;
}

static remora_status read_line(reader *r, uint32_t line, char *s, size_t n)
{
    const char *gap = memchr(s, ' ', n);
    uint32_t rank;
    if (gap == NULL || !number(gap + 1, n - (size_t)(gap + 1 - s), &rank))
        RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": line %u is not base64, a space and a rank",
                 line);
    const size_t len = unbase64(s, (size_t)(gap - s));
    if (len == 0)
        RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": line %u: the token is not base64", line);
    if (rank >= r->n_words)
        RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": line %u: rank %u, the file has %u tokens",
                 line, rank, r->n_words);
    word *w = &r->words[rank];
    if (w->line != 0)
        RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": line %u: rank %u is in line %u, too", line,
                 rank, w->line);
    *w = (word){(uint32_t)(s - r->text), (uint32_t)len, line};
    return REMORA_OK;
}

/* Read all lines. Their ranks differ and are below the number of lines, so there are no holes. */
static remora_status read_lines(reader *r)
{
    size_t n;
    for (size_t at = 0; at < r->size;) {
        (void)next_line(r, &at, &n);
        r->n_words += n > 0;
    }
    if (r->n_words == 0) RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": has no tokens");
    if (r->n_words > r->t->n_vocab)
        RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": %u tokens, the model has %u rows",
                 r->n_words, r->t->n_vocab);
    r->words = rmr_calloc(r->t->mem, r->n_words, sizeof *r->words);
    if (r->words == NULL)
        return rmr_error_nomem(r->err, FILE_NAME, (uint64_t)r->n_words * sizeof *r->words);
    uint32_t line = 1;
    for (size_t at = 0; at < r->size; line++) {
        char *s = next_line(r, &at, &n);
        if (n > 0) RMR_TRY(read_line(r, line, s, n));
    }
    return REMORA_OK;
}

/* ---- special tokens ---- */

/* Refuse another tokenizer class: it may split text by another pattern. */
static remora_status check_class(const reader *r)
{
    const char *name;
    RMR_TRY(rmr_json_string(CONFIG, r->config, "tokenizer_class", &name, r->err));
    if (name != NULL && strcmp(name, "TikTokenTokenizer") != 0)
        RMR_FAIL(r->err, REMORA_E_UNSUPPORTED,
                 CONFIG ": tokenizer_class \"%s\" is not supported for " FILE_NAME
                        " (known: TikTokenTokenizer)",
                 rmr_show(name).text);
    return REMORA_OK;
}

/* The table of names. A file that was not downloaded is no damage, and nor is a table that is not
 * in it: they leave the model its token ids. */
static remora_status find_table(const reader *r, json_t **table)
{
    if (r->config == NULL)
        RMR_FAIL(r->err, REMORA_E_UNSUPPORTED,
                 CONFIG " is missing: it names the special tokens of " FILE_NAME);
    *table = json_object_get(r->config, TABLE);
    if (*table == NULL || json_is_null(*table))
        RMR_FAIL(r->err, REMORA_E_UNSUPPORTED,
                 CONFIG ": " TABLE " is missing: it names the special tokens of " FILE_NAME);
    if (!json_is_object(*table))
        RMR_FAIL(r->err, REMORA_E_FORMAT, CONFIG ": " TABLE " is not an object");
    if (json_object_size(*table) == 0)
        RMR_FAIL(r->err, REMORA_E_UNSUPPORTED,
                 CONFIG ": " TABLE " is empty: it names the special tokens of " FILE_NAME);
    return REMORA_OK;
}

static remora_status read_special(reader *r, const char *key, const json_t *v)
{
    char where[80];
    uint32_t id;
    if (!number(key, strlen(key), &id) || id < r->n_words || id - r->n_words >= N_SPECIAL)
        RMR_FAIL(r->err, REMORA_E_FORMAT,
                 CONFIG ": " TABLE ": id %s; " FILE_NAME
                        " has %u tokens, so special ones have ids from there to below %u",
                 rmr_show(key).text, r->n_words, r->n_words + N_SPECIAL);
    if (id - r->n_words < r->t->n_nameless) r->t->n_nameless = id - r->n_words;
    if (id >= r->t->n_vocab) {
        r->t->n_rowless++;
        return REMORA_OK;
    }
    rmr_tok_entry *e = &r->added[id - r->n_words];
    snprintf(where, sizeof where, TABLE ".%u", id);
    if (e->text != NULL) RMR_FAIL(r->err, REMORA_E_FORMAT, CONFIG ": %s is there twice", where);
    RMR_TRY(rmr_tok_read_entry(CONFIG, where, v, e, r->err));
    e->normalized = 0; /* there is no normalizer: all are looked for in the text as given */
    return REMORA_OK;
}

static size_t reserved_name(uint32_t id, char name[MAX_SPECIAL_NAME])
{
    return (size_t)snprintf(name, MAX_SPECIAL_NAME, "<|reserved_token_%u|>", id);
}

static remora_status read_specials(reader *r)
{
    char name[MAX_SPECIAL_NAME];
    const char *key;
    json_t *v;
    RMR_TRY(rmr_tok_config(r->from, &r->config, r->err));
    RMR_TRY(check_class(r));
    json_t *table;
    RMR_TRY(find_table(r, &table));
    const uint32_t room = r->t->n_vocab - r->n_words;
    r->n_added = room < N_SPECIAL ? room : N_SPECIAL;
    r->t->n_nameless = N_SPECIAL;
    json_object_foreach(table, key, v) RMR_TRY(read_special(r, key, v));
    for (uint32_t i = 0; i < r->n_added; i++) {
        rmr_tok_entry *e = &r->added[i];
        e->id = r->n_words + i;
        if (e->text != NULL) continue;
        e->len = reserved_name(e->id, name);
        e->special = 1;
    }
    return REMORA_OK;
}

/* ---- tables ---- */

static remora_status make_offsets(reader *r)
{
    rmr_tok_parts *t = r->t;
    t->n_ids = r->n_words + r->n_added;
    t->offset = rmr_calloc(t->mem, (size_t)t->n_ids + 1, sizeof *t->offset);
    t->flags = rmr_calloc(t->mem, t->n_ids, 1);
    if (t->offset == NULL || t->flags == NULL)
        return rmr_error_nomem(r->err, "vocabulary", (uint64_t)t->n_ids * 5);
    for (uint32_t i = 0; i < t->n_ids; i++) { /* the sum is below FILE_LIMIT and special names */
        const size_t len = i < r->n_words ? r->words[i].len : r->added[i - r->n_words].len;
        t->offset[i + 1] = t->offset[i] + (uint32_t)len;
    }
    t->arena_size = t->offset[t->n_ids];
    return REMORA_OK;
}

static remora_status fill(reader *r)
{
    rmr_tok_parts *t = r->t;
    char name[MAX_SPECIAL_NAME];
    t->arena = rmr_alloc(t->mem, t->arena_size);
    if (t->arena == NULL) return rmr_error_nomem(r->err, "token texts", t->arena_size);
    for (uint32_t i = 0; i < r->n_words; i++) {
        memcpy(t->arena + t->offset[i], r->text + r->words[i].at, r->words[i].len);
        t->flags[i] = RMR_TOK_USED;
    }
    for (uint32_t i = 0; i < r->n_added; i++) {
        const rmr_tok_entry *e = &r->added[i];
        if (e->text == NULL) reserved_name(e->id, name);
        memcpy(t->arena + t->offset[e->id], e->text != NULL ? e->text : name, e->len);
        t->flags[e->id] =
            (uint8_t)(RMR_TOK_ADDED | RMR_TOK_USED | (e->special ? REMORA_TOKEN_CONTROL : 0));
    }
    rmr_tok_mark_partial(t);
    drop_text(r);
    return REMORA_OK;
}

/* Check that the words, which are sorted, are all different, and that each byte is one of them. */
static remora_status check_words(const reader *r)
{
    rmr_tok_parts *t = r->t;
    for (uint32_t i = 0; i + 1 < t->words.n; i++) {
        const rmr_added *a = &t->words.items[i], *b = a + 1;
        if (a->len == b->len && memcmp(t->arena + a->text, t->arena + b->text, a->len) == 0)
            RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": lines %u and %u are the same token",
                     r->words[a->id].line, r->words[b->id].line);
    }
    for (unsigned b = 0; b < 256; b++) {
        const rmr_added *a = &t->words.items[t->words.first[b]]; /* the shortest that begins so */
        if (t->words.first[b] == t->words.first[b + 1] || a->len != 1)
            RMR_FAIL(r->err, REMORA_E_FORMAT, FILE_NAME ": has no token for byte 0x%02X", b);
        t->bpe.byte_id[b] = a->id;
    }
    return REMORA_OK;
}

static remora_status load(reader *r)
{
    RMR_TRY(read_lines(r));
    RMR_TRY(read_specials(r));
    RMR_TRY(make_offsets(r));
    RMR_TRY(fill(r));
    RMR_TRY(rmr_tok_index_words(r->t, r->err));
    RMR_TRY(check_words(r));
    RMR_TRY(rmr_tok_merge_by_rank(r->t, r->err));
    RMR_TRY(rmr_tok_index_added(r->t, r->added, r->n_added, r->err));
    return rmr_tok_add_pre(r->t, "pattern", rmr_pre_find("kimi-k2", 7), r->err);
}

remora_status rmr_tok_load_tiktoken(rmr_tok_parts *t, rmr_json_files *from, remora_error *err)
{
    uint64_t size;
    reader r = {.t = t, .from = from, .err = err};
    t->file = FILE_NAME;
    RMR_TRY(rmr_file_load(from->src, FILE_NAME, FILE_LIMIT, &r.text, &size, err));
    r.size = (size_t)size;
    const remora_status st = load(&r);
    drop_text(&r);
    rmr_free(t->mem, r.words, r.n_words * sizeof *r.words);
    return st;
}

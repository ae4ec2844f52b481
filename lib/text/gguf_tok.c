/* A tokenizer from the keys of a GGUF file (facts sections 9.5 and 8.2): its arrays become what
 * tokenizer.json would say, so that one loader checks both. The patterns of the pre-tokenizer are
 * not in the file, only a name for them: the names we know are here, with the patterns of the
 * models' own tokenizer.json, which GGUF engines follow more or less. */
#include <string.h>

#include "json.h"
#include "tok.h"
#include "utf8.h"

enum { MAX_PATTERNS = 6 };

/* token_type */
enum { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER = 4, UNUSED = 5 };

#define BLANKS "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SUFFIXES "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define GPT4(digits)                                                                               \
    SUFFIXES "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" BLANKS
#define CJK "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"

/* Cased letters. */
#define CASED                                                                                      \
    "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}"                 \
    "\\x{1c4}-\\x{293}\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}"         \
    "\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}"                  \
    "\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}"                       \
    "\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}"                 \
    "\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}"                 \
    "\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}"                 \
    "\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}"         \
    "\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}"                           \
    "\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}"                 \
    "\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}\\x{2126}"          \
    "\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}"                  \
    "\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}"         \
    "\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}"                  \
    "\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}"                 \
    "\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}"                 \
    "\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}"         \
    "\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}"

/* Kimi (pat_str in tokenization_kimi.py of moonshotai/Kimi-K2-Instruct and tokenization_moonshot.py
 * of moonshotai/Moonlight-16B-A3B): [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]], then the same with
 * \p{Ll} for \p{Lu}\p{Lt}. PCRE2 has no intersections, so the classes are said by what they leave
 * out: all the other general categories, and Han. A class, where a look-ahead would serve as well,
 * because repeats of a class need no memory. */
#define UPPER "[^\\p{Ll}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}\\p{Han}]"
#define LOWER "[^\\p{Lu}\\p{Lt}\\p{N}\\p{P}\\p{S}\\p{Z}\\p{C}\\p{Han}]"
#define HEAD "[^\\r\\n\\p{L}\\p{N}]?"

static const char *const deepseek_llm[MAX_PATTERNS] = {
    "[\\r\\n]",
    "\\s?[" CASED "]+",
    "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+",
    "\\s+$",
    CJK,
    "\\p{N}"};
static const char *const deepseek_coder[MAX_PATTERNS] = {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+",
                                                         CJK, "\\p{N}"};
static const char *const deepseek_v3[MAX_PATTERNS] = {
    "\\p{N}{1,3}", "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?"
    "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" BLANKS};
static const char *const qwen2[MAX_PATTERNS] = {GPT4("\\p{N}")};
static const char *const llama3[MAX_PATTERNS] = {GPT4("\\p{N}{1,3}")};
static const char *const kimi[MAX_PATTERNS] = {
    "[\\p{Han}]+|" HEAD UPPER "*" LOWER "+" SUFFIXES "?|" HEAD UPPER "+" LOWER "*" SUFFIXES
    "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" BLANKS};

/* tokenizer.ggml.pre */
static const struct pre {
    const char *name;
    const char *const *patterns;
    int nfc;   /* the normalizer */
    int whole; /* ignore_merges */
    int bos;   /* goes in front when add_bos_token is silent */
} pres[] = {
    {"deepseek-llm", deepseek_llm, 0, 0, 0},
    {"deepseek-coder", deepseek_coder, 0, 0, 0},
    {"deepseek-v3", deepseek_v3, 0, 0, 0},
    {"joyai-llm", deepseek_v3, 0, 0, 0},
    {"kimi-k2", kimi, 0, 1, 0},
    {"glm4", llama3, 0, 0, 0},
    {"chatglm-bpe", llama3, 0, 0, 0},
    {"qwen2", qwen2, 1, 0, 0},
    {"deepseek-r1-qwen", qwen2, 1, 0, 0},
    {"llama-bpe", llama3, 0, 1, 1},
};

typedef struct builder {
    rmr_tok_parts *t;
    const rmr_gguf *g;
    const struct pre *pre;
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

static int is_utf8(rmr_gguf_text s)
{
    for (size_t i = 0; i < s.size;) {
        uint32_t cp;
        i += rmr_utf8_step((const unsigned char *)s.text + i, s.size - i, &cp);
        if (cp >= RMR_UTF8_SHORT) return 0;
    }
    return 1;
}

static remora_status check_text(const builder *b, const char *what, uint64_t index, rmr_gguf_text s)
{
    if (s.size > 0 && memchr(s.text, 0, s.size) == NULL && is_utf8(s)) return REMORA_OK;
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

static remora_status add_token(builder *b, rmr_gguf_text s, uint32_t id, int64_t type)
{
    if (type == UNUSED) return REMORA_OK; /* rows that pad the table */
    RMR_TRY(check_text(b, "tokens", id, s));
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

static remora_status read_tokens(builder *b)
{
    rmr_gguf_list tokens, types;
    RMR_TRY(rmr_gguf_array(b->g, "tokenizer.ggml.tokens", RMR_GGUF_STRING, &tokens, b->err));
    RMR_TRY(rmr_gguf_array(b->g, "tokenizer.ggml.token_type", RMR_GGUF_I32, &types, b->err));
    const int typed = rmr_gguf_has(b->g, "tokenizer.ggml.token_type");
    if (tokens.left > b->t->n_vocab || (typed && types.left != tokens.left))
        RMR_FAIL(b->err, REMORA_E_FORMAT,
                 "%s: %llu tokenizer.ggml.tokens, %llu token_type, the model has %u rows",
                 b->t->file, (unsigned long long)tokens.left, (unsigned long long)types.left,
                 b->t->n_vocab);
    for (uint32_t id = 0; tokens.left > 0; id++)
        RMR_TRY(add_token(b, rmr_gguf_next_text(&tokens), id,
                          typed ? rmr_gguf_next_int(&types) : NORMAL));
    return REMORA_OK;
}

static remora_status read_merges(builder *b)
{
    rmr_gguf_list l;
    RMR_TRY(rmr_gguf_array(b->g, "tokenizer.ggml.merges", RMR_GGUF_STRING, &l, b->err));
    if (l.left > 8 * (uint64_t)b->t->n_vocab + 65536) /* before a tree is made of them */
        RMR_FAIL(b->err, REMORA_E_FORMAT,
                 "%s: %llu tokenizer.ggml.merges, far too many for %u tokens", b->t->file,
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
    for (size_t i = 0; i < sizeof pres / sizeof pres[0]; i++)
        if (s.size == strlen(pres[i].name) && strcmp(name, pres[i].name) == 0) b->pre = &pres[i];
    if (b->pre == NULL)
        RMR_FAIL(b->err, REMORA_E_UNSUPPORTED, "%s: tokenizer.ggml.pre \"%s\"", b->t->file,
                 rmr_show(name).text);
    b->t->nfc = b->pre->nfc;
    return REMORA_OK;
}

static remora_status add_patterns(rmr_tok_parts *t, const char *field, const char *const *patterns,
                                  remora_error *err)
{
    for (int i = 0; i < MAX_PATTERNS && patterns[i] != NULL; i++)
        RMR_TRY(rmr_tok_add_step(t, field, patterns[i], strlen(patterns[i]), 0, err));
    return REMORA_OK;
}

remora_status rmr_tok_add_kimi(rmr_tok_parts *t, const char *field, remora_error *err)
{
    return add_patterns(t, field, kimi, err);
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
        RMR_FAIL(b->err, REMORA_E_FORMAT, "%s: tokenizer.ggml.add_bos_token without bos_token_id",
                 t->file);
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
    RMR_TRY(add_patterns(b->t, "tokenizer.ggml.pre", b->pre->patterns, b->err));
    return read_specials(b);
}

/* What there is: nothing (E_NOT_FOUND), byte-level BPE, or something we do not do. */
static remora_status check_kind(const rmr_gguf *g, remora_error *err)
{
    rmr_gguf_text s;
    char model[32] = {0};
    RMR_TRY(rmr_gguf_string(g, "tokenizer.ggml.model", &s, err));
    memcpy(model, s.text, s.size < sizeof model ? s.size : sizeof model - 1);
    if (s.size == 0 || strcmp(model, "no_vocab") == 0 || strcmp(model, "none") == 0)
        return REMORA_E_NOT_FOUND;
    if (strcmp(model, "gpt2") != 0)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: tokenizer.ggml.model \"%s\"", rmr_gguf_name(g),
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

/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers from GGUF keys: every pattern there is a name for, types of tokens, special ids, and
 * what is refused. Whole tokenizers are compared in golden/test_gguf_tokens.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ggufw.h"
#include "tmem.h"
#include "tokenizer.h"
#include "utf8.h"

enum { N_VOCAB = 300, AB = 256, CONTROL = 257, USER = 258, UNUSED = 259, N_TOKENS = 260 };

/* The zero value is a right one. Byte b is token b. */
typedef struct file {
    const char *pre, *model;
    const char *last;            /* the text of token 259 */
    const char *merge;           /* a second merge */
    int64_t bos, eot;            /* ids; 0: not said */
    int add_bos, add_eos, types; /* types: 1 for one too few */
    int missing;                 /* this byte has no token (its token is unused); 0: all have */
    int user;                    /* the type of token 259 is user-defined */
    uint32_t rows;               /* of the model; 0: N_VOCAB */
} file;

static int type_of(const file *f, int i)
{
    if (i == CONTROL) return 3;
    if (i == USER || (i == UNUSED && f->user)) return 4;
    return (i == UNUSED && f->last == NULL) || (i > 0 && i == f->missing) ? 5 : 1;
}

static void write_file(ggufw *w, const file *f)
{
    char name[5];
    ggufw_begin(w, 3);
    ggufw_string(w, "tokenizer.ggml.model", f->model != NULL ? f->model : "gpt2");
    ggufw_string(w, "tokenizer.ggml.pre", f->pre != NULL ? f->pre : "deepseek-v3");
    ggufw_array(w, "tokenizer.ggml.tokens", 8, N_TOKENS);
    for (unsigned b = 0; b < 256; b++) {
        const int same = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        const uint32_t cp = same ? b : 256 + (b <= 32 ? b : b <= 160 ? b - 127 + 33 : 67);
        name[rmr_utf8_put(cp, (unsigned char *)name)] = 0;
        ggufw_text(w, name);
    }
    ggufw_text(w, "ab");
    ggufw_text(w, "<s>");
    ggufw_text(w, "<u>");
    ggufw_text(w, f->last != NULL ? f->last : "[PAD]");
    ggufw_array(w, "tokenizer.ggml.token_type", 5, N_TOKENS - (uint64_t)f->types);
    for (int i = 0; i < N_TOKENS - f->types; i++) ggufw_int(w, type_of(f, i), 4);
    ggufw_array(w, "tokenizer.ggml.merges", 8, f->merge != NULL ? 2 : 1);
    ggufw_text(w, "a b");
    if (f->merge != NULL) ggufw_text(w, f->merge);
    if (f->bos != 0) ggufw_u32(w, "tokenizer.ggml.bos_token_id", (uint32_t)f->bos);
    if (f->eot != 0) ggufw_u32(w, "tokenizer.ggml.eot_token_id", (uint32_t)f->eot);
    if (f->add_bos != 0) ggufw_bool(w, "tokenizer.ggml.add_bos_token", f->add_bos > 0);
    if (f->add_eos != 0) ggufw_bool(w, "tokenizer.ggml.add_eos_token", 1);
}

static remora_status open_file(rmr_mem *mem, const file *f, rmr_tokenizer **out, remora_error *err)
{
    ggufw w;
    write_file(&w, f);
    const remora_blob blob = {"m.gguf", w.data, w.n};
    const remora_source desc = {
        .struct_size = sizeof desc, .kind = REMORA_SOURCE_MEMORY, .blobs = &blob, .n_blobs = 1};
    rmr_source *src;
    rmr_gguf *g = NULL;
    rmr_checkpoint *c = NULL;
    *out = NULL;
    remora_status st = rmr_source_open(mem, &desc, 0, &src, err);
    if (st >= 0) {
        st = rmr_gguf_open(mem, src, "m.gguf", NULL, &g, &c, err);
        if (st >= 0)
            st = rmr_tokenizer_open_gguf(mem, g, f->rows != 0 ? f->rows : N_VOCAB, out, err);
        rmr_gguf_free(g);
        rmr_checkpoint_free(c);
        rmr_source_free(src);
    }
    ggufw_free(&w);
    return st;
}

static rmr_tokenizer *must_open(rmr_mem *mem, const file *f)
{
    remora_error err = {.struct_size = sizeof err};
    rmr_tokenizer *t;
    rmr_mem_init(mem);
    if (open_file(mem, f, &t, &err) < 0) fail_msg("%s", err.message);
    return t;
}

static void close_(rmr_mem *mem, rmr_tokenizer *t)
{
    rmr_tokenizer_free(t);
    assert_int_equal(atomic_load(&mem->bytes), 0);
}

static void must_fail(const file *f, remora_status st, const char *word)
{
    rmr_mem mem = {0};
    remora_error err = {.struct_size = sizeof err};
    rmr_tokenizer *t;
    rmr_mem_init(&mem);
    const remora_status got = open_file(&mem, f, &t, &err);
    if (got != st || strstr(err.message, word) == NULL)
        fail_msg("status %d: %s (want %s)", got, err.message, word);
    close_(&mem, t);
}

/* Words come apart as the patterns say: "ab" merges within a word only. */
static void every_pattern(void **state)
{
    static const struct {
        const char *pre, *text;
        size_t n; /* tokens */
    } cases[] = {{"deepseek-llm", "ab ab12", 5},
                 {"deepseek-coder", "ab ab12", 5},
                 {"deepseek-v3", "ab ab12", 5},
                 {"joyai-llm", "ab ab12", 5},
                 {"kimi-k2", "ab ab12", 5},
                 {"glm4", "ab ab12", 5},
                 {"chatglm-bpe", "ab ab12", 5},
                 {"qwen2", "ab ab12", 5},
                 {"deepseek-r1-qwen", "ab ab12", 5},
                 {"llama-bpe", "ab ab12", 5},
                 {"smollm", "ab ab12", 5},
                 {"gpt-2", "ab ab12", 5},
                 {"default", "ab ab12", 5},
                 {"", "ab ab12", 5},
                 {"kimi-k2",
                  "aB\xE4\xB8\x80"
                  "ab",
                  6}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmr_mem mem = {0};
        remora_token ids[16];
        size_t n;
        rmr_tokenizer *t = must_open(&mem, &(file){.pre = cases[i].pre, .add_bos = -1});
        assert_int_equal(
            rmr_tokenizer_encode(t, cases[i].text, strlen(cases[i].text), 0, ids, 16, &n, NULL),
            REMORA_OK);
        if (n != cases[i].n) fail_msg("%s: %zu tokens", cases[i].pre, n);
        close_(&mem, t);
    }
}

/* Where patterns differ: a merge "1 2" happens only where digits stay together. */
static void digits(void **state)
{
    static const struct {
        const char *pre;
        size_t n;
    } cases[] = {{"deepseek-llm", 2},
                 {"deepseek-coder", 2},
                 {"deepseek-v3", 1},
                 {"qwen2", 2},
                 {"llama-bpe", 1},
                 {"glm4", 1},
                 {"kimi-k2", 1},
                 {"smollm", 2},
                 {"gpt-2", 1},
                 {"default", 1},
                 {"", 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmr_mem mem = {0};
        remora_token ids[16];
        size_t n;
        const file f = {.pre = cases[i].pre, .last = "12", .merge = "1 2", .add_bos = -1};
        rmr_tokenizer *t = must_open(&mem, &f);
        assert_int_equal(rmr_tokenizer_encode(t, "12", 2, 0, ids, 16, &n, NULL), REMORA_OK);
        if (n != cases[i].n) fail_msg("%s: %zu tokens", cases[i].pre, n);
        close_(&mem, t);
    }
}

/* Classes of letters need no memory for each letter: a run of 2 million is a word like any other.
 */
static void long_word_of_kimi(void **state)
{
    enum { LETTERS = 2 << 20 };
    rmr_mem mem = {0};
    size_t n;
    char *s = malloc(LETTERS);
    remora_token *ids = malloc(LETTERS * sizeof *ids);
    (void)state;
    assert_true(s != NULL && ids != NULL);
    memset(s, 'a', LETTERS);
    rmr_tokenizer *t = must_open(&mem, &(file){.pre = "kimi-k2", .add_bos = -1});
    assert_int_equal(rmr_tokenizer_encode(t, s, LETTERS, 0, ids, LETTERS, &n, NULL), REMORA_OK);
    assert_int_equal(n, LETTERS);
    close_(&mem, t);
    free(ids);
    free(s);
}

static void types_and_special_ids(void **state)
{
    rmr_mem mem = {0};
    remora_token ids[16];
    const char *bytes;
    size_t n;
    (void)state;
    rmr_tokenizer *t = must_open(&mem, &(file){.bos = CONTROL, .eot = USER, .add_bos = 1});
    assert_int_equal(rmr_tokenizer_special(t, REMORA_SPECIAL_BOS), CONTROL);
    assert_int_equal(rmr_tokenizer_flags(t, CONTROL), REMORA_TOKEN_CONTROL);
    assert_int_equal(rmr_tokenizer_flags(t, USER), REMORA_TOKEN_END_OF_TURN);
    assert_int_equal(rmr_tokenizer_bytes(t, UNUSED, &bytes, &n, NULL), REMORA_OK);
    assert_int_equal(n, 0);
    assert_int_equal(rmr_tokenizer_encode(t, "<u>ab", 5, 3, ids, 16, &n, NULL), REMORA_OK);
    assert_true(n == 3 && ids[0] == CONTROL && ids[1] == USER && ids[2] == AB);
    assert_int_equal(rmr_tokenizer_encode(t, "[PAD]", 5, 1, ids, 16, &n, NULL), REMORA_OK);
    assert_int_equal(n, 5);
    close_(&mem, t);
    t = must_open(&mem, &(file){.pre = "llama-bpe", .bos = CONTROL}); /* its template's BOS */
    assert_int_equal(rmr_tokenizer_encode(t, "ab", 2, 2, ids, 16, &n, NULL), REMORA_OK);
    assert_true(n == 2 && ids[0] == CONTROL && ids[1] == AB);
    close_(&mem, t);
    t = must_open(&mem, &(file){.bos = CONTROL});
    assert_int_equal(rmr_tokenizer_encode(t, "ab", 2, 2, ids, 16, &n, NULL), REMORA_OK);
    assert_int_equal(n, 1);
    close_(&mem, t);
}

/* Letters that stand for bytes which UTF-8 never uses: a user-defined one is the letter, in every
 * text, and its byte has no token; any other is the byte. */
static void letters_of_unused_bytes(void **state)
{
    static const char *const letters[] = {"\xC3\x80", "\xC3\x81", "\xC3\xB5", "\xC3\xBF",
                                          "\xC3\xA9"};
    static const int bytes[] = {0xC0, 0xC1, 0xF5, 0xFF, 0xE9};
    (void)state;
    for (int i = 0; i < 5; i++) {
        rmr_mem mem = {0};
        remora_token ids[4];
        size_t n;
        const char byte = (char)bytes[i];
        const file f = {.last = letters[i], .missing = bytes[i], .user = 1};
        rmr_tokenizer *t = must_open(&mem, &f);
        assert_int_equal(rmr_tokenizer_encode(t, letters[i], 2, 0, ids, 4, &n, NULL), REMORA_OK);
        assert_true(n == 1 && ids[0] == UNUSED);
        assert_int_equal(rmr_tokenizer_encode(t, &byte, 1, 0, ids, 4, &n, NULL), REMORA_OK);
        assert_int_equal(n, bytes[i] == 0xE9); /* which UTF-8 uses: the token is the byte too */
        close_(&mem, t);
    }
}

/* Tokens behind the last row: a word there is damage, any other token is left out. */
static void tokens_without_rows(void **state)
{
    rmr_mem mem = {0};
    remora_token ids[16];
    size_t n;
    (void)state;
    rmr_tokenizer *t = must_open(&mem, &(file){.rows = CONTROL, .bos = CONTROL});
    assert_int_equal(rmr_tokenizer_rowless(t), 2); /* the unused one is none */
    assert_int_equal(rmr_tokenizer_special(t, REMORA_SPECIAL_BOS), REMORA_TOKEN_NONE);
    assert_int_equal(rmr_tokenizer_encode(t, "<s>ab", 5, 1, ids, 16, &n, NULL), REMORA_OK);
    assert_true(n == 4 && ids[0] == '<' && ids[3] == AB);
    close_(&mem, t);
    must_fail(&(file){.rows = AB}, REMORA_E_FORMAT, "tokens[256] is a word");
}

static void refused(void **state)
{
    (void)state;
    must_fail(&(file){.pre = "gpt-2b"}, REMORA_E_UNSUPPORTED, "tokenizer.ggml.pre \"gpt-2b\"");
    must_fail(&(file){.pre = "gpt-"}, REMORA_E_UNSUPPORTED, "tokenizer.ggml.pre \"gpt-\"");
    must_fail(&(file){.model = "llama"}, REMORA_E_UNSUPPORTED,
              "\"llama\" is not supported (known: gpt2)");
    must_fail(&(file){.model = "no_vocab"}, REMORA_E_NOT_FOUND, "");
    must_fail(&(file){.last = "ab"}, REMORA_E_FORMAT, "occurs twice");
    must_fail(&(file){.last = "\xff"}, REMORA_E_FORMAT, "tokens[259]");
    must_fail(&(file){.last = ""}, REMORA_E_FORMAT, "tokens[259]");
    must_fail(&(file){.types = 1}, REMORA_E_FORMAT, "token_type");
    must_fail(&(file){.merge = "ab c"}, REMORA_E_FORMAT, "merges[1]");
    must_fail(&(file){.merge = "ab"}, REMORA_E_FORMAT, "merges[1]");
    must_fail(&(file){.add_bos = 1}, REMORA_E_FORMAT, "without bos_token_id");
    must_fail(&(file){.pre = "llama-bpe"}, REMORA_E_FORMAT, "without bos_token_id");
    must_fail(&(file){.add_eos = 1}, REMORA_E_UNSUPPORTED, "add_eos_token");
}

static int32_t open_once(void *arg, tmem *m)
{
    rmr_mem mem = {.user = m, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    remora_error err = {.struct_size = sizeof err};
    rmr_tokenizer *t;
    rmr_mem_init(&mem);
    const remora_status st = open_file(&mem, arg, &t, &err);
    rmr_tokenizer_free(t);
    return st;
}

static void no_memory(void **state)
{
    tmem m = {0};
    file f = {.pre = "llama-bpe", .bos = CONTROL, .last = "\xC3\xBF", .missing = 0xFF, .user = 1};
    (void)state;
    assert_true(tmem_sweep(&m, open_once, &f) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pattern),
        cmocka_unit_test(digits),
        cmocka_unit_test(long_word_of_kimi),
        cmocka_unit_test(types_and_special_ids),
        cmocka_unit_test(letters_of_unused_bytes),
        cmocka_unit_test(tokens_without_rows),
        cmocka_unit_test(refused),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

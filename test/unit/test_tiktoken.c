/* SPDX-License-Identifier: Apache-2.0 */
/* tiktoken.model: merges by rank against the slow way, special tokens, forms of the file that are
 * right, everything that is refused, and every allocation failing once. Whole vocabularies are
 * compared with the tiktoken library in golden/tiktoken_tokens.py. */
#include "tik_fixture.h"
#include "tok_world.h"

enum { N_VOCAB = 4096 };

#define CONFIG(more, table) "{" more "\"added_tokens_decoder\":{" table "}}"
#define ENTRY(id, text) "\"" #id "\":{\"content\":\"" text "\",\"special\":true}"

static tik file; /* of the test that runs */

static void begin_file(world *w)
{
    begin(w);
    memset(&file, 0, sizeof file);
}

static void end_file(world *w)
{
    free(file.text);
    end(w);
}

static void must_open(world *w, const char *config, uint32_t n_vocab)
{
    if (tik_open(&w->mem, &file, config, NULL, n_vocab, &w->tok, &w->err) < 0)
        fail_msg("%s", w->err.message);
}

static void must_fail(world *w, const char *config, uint32_t n_vocab, remora_status want,
                      const char *word)
{
    const remora_status st = tik_open(&w->mem, &file, config, NULL, n_vocab, &w->tok, &w->err);
    free(file.text);
    refused(w, st, want, word);
}

/* ---- merges ---- */

static void compare_word(world *w, const char *s, size_t n)
{
    remora_token want[64], got[64];
    size_t n_got;
    const size_t n_want = tik_encode(w->tok, file.rank, s, n, want);
    assert_int_equal(rmr_tokenizer_encode(w->tok, s, n, 0, got, 64, &n_got, NULL), REMORA_OK);
    if (n_got != n_want || memcmp(got, want, n_got * sizeof *got) != 0)
        fail_msg("%zu tokens, not %zu, for %.*s", n_got, n_want, (int)n, s);
}

/* Vocabularies of random words over two or three letters, in any order: most words can be cut in
 * several ways, and some are never reached by merging. */
static void merges_of_any_vocabulary(void **state)
{
    uint64_t seed = 7;
    char s[64] = {0};
    (void)state;
    for (int run = 0; run < 60; run++) {
        world w;
        begin_file(&w);
        tik_bytes(&file);
        const uint32_t letters = 2 + fix_random(&seed) % 2, words = 5 + fix_random(&seed) % 40;
        char seen[40 + 5][12] = {{0}};
        for (uint32_t i = 0; i < words; i++) {
            const uint32_t n = 2 + fix_random(&seed) % (run % 2 ? 3 : 9);
            int again = 0;
            for (uint32_t k = 0; k < n; k++) seen[i][k] = (char)('a' + fix_random(&seed) % letters);
            for (uint32_t k = 0; k < i; k++) again |= strcmp(seen[k], seen[i]) == 0;
            if (!again) tik_word(&file, seen[i]);
        }
        must_open(&w, CONFIG("", ENTRY(400, "<s>")), N_VOCAB);
        for (int text = 0; text < 100; text++) {
            const size_t n = 1 + fix_random(&seed) % 60; /* short and long words of bpe.c */
            for (size_t k = 0; k < n; k++) s[k] = (char)('a' + fix_random(&seed) % letters);
            compare_word(&w, s, n);
        }
        end_file(&w);
    }
}

/* ranks: "bc" before "ab" although "abc" could be made of either. */
static void lowest_rank_first(void **state)
{
    world w;
    (void)state;
    begin_file(&w);
    tik_bytes(&file);
    tik_word(&file, "bc");   /* 256 */
    tik_word(&file, "ab");   /* 257 */
    tik_word(&file, "abcd"); /* 258: whole words only */
    tik_word(&file, "aa");   /* 259 */
    must_open(&w, CONFIG("", ENTRY(260, "<s>")), N_VOCAB);
    CHECK(&w, "abc", 0, 'a', 256);
    CHECK(&w, "abd", 0, 257, 'd');
    CHECK(&w, "abcd", 0, 258);
    CHECK(&w, "abcdd", 0, 'a', 256, 'd', 'd');
    CHECK(&w, "aaab", 0, 259, 257); /* "ab" has the lower rank, then "aa" */
    CHECK(&w, "aaaaa", 0, 259, 259, 'a');
    end_file(&w);
}

/* ---- special tokens ---- */

static void special_tokens(void **state)
{
    static const char config[] = CONFIG(
        "\"bos_token\":\"[BOS]\",\"eos_token\":{\"content\":\"[EOS]\"},\"pad_token\":\"[PAD]\","
        "\"tokenizer_class\":\"TikTokenTokenizer\",",
        ENTRY(257, "[BOS]") "," ENTRY(258, "[EOS]") "," ENTRY(260, "<|im_user|>") "," ENTRY(
            261, "<|im_assistant|>") ",\"263\":{\"content\":\"<think>\"}," ENTRY(512, "[PAD]"));
    world w;
    const char *bytes;
    size_t n;
    (void)state;
    begin_file(&w);
    tik_bytes(&file);
    tik_word(&file, "ab");
    must_open(&w, config, 600);
    assert_int_equal(rmr_tokenizer_special(w.tok, REMORA_SPECIAL_BOS), 257);
    assert_int_equal(rmr_tokenizer_special(w.tok, REMORA_SPECIAL_EOS), 258);
    assert_int_equal(rmr_tokenizer_special(w.tok, REMORA_SPECIAL_PAD), 512);
    assert_int_equal(rmr_tokenizer_special(w.tok, REMORA_SPECIAL_USER), 260);
    assert_int_equal(rmr_tokenizer_special(w.tok, REMORA_SPECIAL_ASSISTANT), 261);
    assert_int_equal(rmr_tokenizer_special(w.tok, REMORA_SPECIAL_THINK_OPEN), 263);
    assert_int_equal(rmr_tokenizer_flags(w.tok, 256), 0);
    assert_int_equal(rmr_tokenizer_flags(w.tok, 0xE4), REMORA_TOKEN_PARTIAL);
    assert_int_equal(rmr_tokenizer_flags(w.tok, 257), REMORA_TOKEN_CONTROL);
    assert_int_equal(rmr_tokenizer_flags(w.tok, 258),
                     REMORA_TOKEN_CONTROL | REMORA_TOKEN_END_OF_TURN);
    assert_int_equal(rmr_tokenizer_flags(w.tok, 259), REMORA_TOKEN_CONTROL); /* reserved */
    assert_int_equal(rmr_tokenizer_flags(w.tok, 263), 0);
    assert_int_equal(rmr_tokenizer_bytes(w.tok, 259, &bytes, &n, NULL), REMORA_OK);
    assert_int_equal(n, strlen("<|reserved_token_259|>"));
    assert_memory_equal(bytes, "<|reserved_token_259|>", n);
    assert_int_equal(rmr_tokenizer_bytes(w.tok, 513, &bytes, &n, NULL), REMORA_OK);
    assert_int_equal(n, 0); /* a row without a token */
    /* nothing in front, as the model's own class does it; markup only when asked for */
    CHECK(&w, "<|im_user|>ab[EOS]", REMORA_TEXT_SPECIAL | REMORA_TEXT_BOS, 260, 256, 258);
    CHECK(&w, "<|reserved_token_259|><think>", REMORA_TEXT_SPECIAL, 259, 263);
    CHECK(&w, "[BOS]", 0, '[', 'B', 'O', 'S', ']');
    end_file(&w);
    begin_file(&w);
    tik_bytes(&file);
    must_open(&w, CONFIG("\"add_bos_token\":true,\"bos_token\":\"[BOS]\",", ENTRY(256, "[BOS]")),
              N_VOCAB);
    CHECK(&w, "a", REMORA_TEXT_BOS, 256, 'a');
    end_file(&w);
}

/* Fewer rows than 256 special tokens: those that the model has. */
static void as_many_as_rows(void **state)
{
    world w;
    const char *bytes;
    size_t n;
    (void)state;
    begin_file(&w);
    tik_bytes(&file);
    must_open(&w, CONFIG("", ENTRY(257, "<s>") "," ENTRY(258, "<t>")), 258);
    assert_int_equal(rmr_tokenizer_rowless(w.tok), 1);
    assert_int_equal(rmr_tokenizer_bytes(w.tok, 257, &bytes, &n, NULL), REMORA_OK);
    assert_int_equal(n, 3);
    CHECK(&w, "<|reserved_token_256|><s>", REMORA_TEXT_SPECIAL, 256, 257);
    CHECK(&w, "<t>", REMORA_TEXT_SPECIAL, '<', 't', '>');
    end_file(&w);
}

/* ---- the file ---- */

static void forms_of_the_file(void **state)
{
    world w;
    (void)state;
    begin_file(&w); /* CRLF, empty lines, any order, no newline at the end */
    file.rank = 1;
    for (int b = 1; b < 256; b++) tik_line(&file, &(char){(char)b}, 1, b % 2 ? "\r\n" : "\n\n");
    tik_line(&file, "ab", 2, "\r\n\r\n");
    file.rank = 0;
    tik_line(&file, "", 1, "");
    must_open(&w, CONFIG("", ENTRY(300, "<s>")), N_VOCAB);
    CHECK(&w, "ab<s>", REMORA_TEXT_SPECIAL, 256, 300);
    end_file(&w);
}

/* tokenizer.json beside it is the one that counts. */
static void tokenizer_json_wins(void **state)
{
    world w;
    char *json = fix_json(&(fix){.vocab = ",\"xy\":256", .merges = "\"x y\""});
    const fix_file more = {"tokenizer.json", json};
    (void)state;
    begin_file(&w);
    tik_bytes(&file);
    tik_word(&file, "ab");
    assert_int_equal(tik_open(&w.mem, &file, NULL, &more, N_VOCAB, &w.tok, &w.err), REMORA_OK);
    CHECK(&w, "xyab", 0, 256, 'a', 'b');
    free(json);
    end_file(&w);
}

static void eos_of_generation_config(void **state)
{
    world w;
    const fix_file more = {"generation_config.json", "{\"eos_token_id\":[257,258]}"};
    static const char config[] =
        CONFIG("\"eos_token\":\"[EOS]\",", ENTRY(257, "[EOS]") "," ENTRY(258, "<|im_end|>"));
    (void)state;
    begin_file(&w);
    tik_bytes(&file);
    assert_int_equal(tik_open(&w.mem, &file, config, &more, N_VOCAB, &w.tok, &w.err), REMORA_OK);
    assert_int_equal(rmr_tokenizer_special(w.tok, REMORA_SPECIAL_EOS), 257);
    assert_true(rmr_tokenizer_flags(w.tok, 258) & REMORA_TOKEN_END_OF_TURN);
    end_file(&w);
}

/* ---- what is refused ---- */

static void bad_lines(void **state)
{
    static const struct {
        const char *line, *word;
    } cases[] = {
        {"YWI", "line 257 is not base64, a space and a rank"},
        {"YWI=", "line 257 is not"},
        {"YWI= ", "line 257 is not"},
        {"YWI=\t256", "line 257 is not"},
        {"YWI= 256 1", "line 257 is not"},
        {"YWI= -1", "line 257 is not"},
        {"YWI= 256x", "line 257 is not"},
        {"YWI= 4294967296", "line 257 is not"},
        {"YWI= 99999999999999999999999", "line 257 is not"},
        {" 256", "line 257: the token is not base64"},
        {"YWI 256", "line 257: the token is not base64"},
        {"Y=I= 256", "line 257: the token is not base64"},
        {"Y=== 256", "line 257: the token is not base64"},
        {"YWJ= 256", "line 257: the token is not base64"}, /* bits behind the end */
        {"YW-_ 256", "line 257: the token is not base64"},
        {"\xef\xbb\xbfYWI= 256", "line 257: the token is not base64"},
        {"YWI= 257", "line 257: rank 257, the file has 257 tokens"},
        {"YWI= 65", "line 257: rank 65 is in line 66, too"},
        {"YQ== 256", "lines 98 and 257 are the same token"},
        {"\n\n!", "line 259 is not"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w;
        begin_file(&w);
        tik_bytes(&file);
        tik_raw(&file, cases[i].line, strlen(cases[i].line));
        must_fail(&w, CONFIG("", ENTRY(300, "<s>")), N_VOCAB, REMORA_E_FORMAT, cases[i].word);
    }
}

static void bad_files(void **state)
{
    static const char config[] = CONFIG("", ENTRY(300, "<s>"));
    static const char pointer[] =
        "version https://git-lfs.github.com/spec/v1\noid sha256:"
        "b6c497a7469b33ced9c38afb1ad6e47f03f5e5dc05f15930799210ec050c5103\n"
        "size 2795286\n";
    world w;
    (void)state;
    begin_file(&w);
    must_fail(&w, config, N_VOCAB, REMORA_E_FORMAT, "tiktoken.model: is empty");
    begin_file(&w);
    tik_raw(&file, pointer, sizeof pointer - 1);
    must_fail(&w, config, N_VOCAB, REMORA_E_FORMAT, "tiktoken.model: is a Git LFS pointer");
    begin_file(&w);
    tik_raw(&file, "\n\r\n", 3);
    must_fail(&w, config, N_VOCAB, REMORA_E_FORMAT, "has no tokens");
    begin_file(&w);
    tik_word(&file, "a");
    must_fail(&w, CONFIG("", ENTRY(1, "<s>")), N_VOCAB, REMORA_E_FORMAT, "no token for byte 0x00");
    begin_file(&w);
    for (int b = 0; b < 255; b++) tik_line(&file, &(char){(char)b}, 1, "\n");
    tik_line(&file, "\xff\xff", 2, "\n");
    must_fail(&w, config, N_VOCAB, REMORA_E_FORMAT, "no token for byte 0xFF");
    begin_file(&w);
    tik_bytes(&file);
    must_fail(&w, config, 255, REMORA_E_FORMAT, "256 tokens, the model has 255 rows");
    begin_file(&w);
    tik_bytes(&file);
    file.rank++; /* a hole */
    tik_word(&file, "ab");
    must_fail(&w, config, N_VOCAB, REMORA_E_FORMAT, "line 257: rank 257, the file has 257");
    begin_file(&w); /* cut off in the middle of a line */
    tik_bytes(&file);
    tik_word(&file, "abcdef");
    file.n -= 9;
    must_fail(&w, config, N_VOCAB, REMORA_E_FORMAT, "line 257");
    begin_file(&w); /* one line of 3 MB */
    tik_bytes(&file);
    for (int i = 0; i < 1 << 20; i++) tik_raw(&file, "YWE", 3);
    must_fail(&w, config, N_VOCAB, REMORA_E_FORMAT, "line 257");
}

/* A token of a megabyte is one like the others; tokens that are all made of each other are not. */
static void long_tokens(void **state)
{
    static const char config[] = CONFIG("", ENTRY(300, "<s>"));
    static char run[1 << 20];
    world w;
    size_t n;
    remora_token id;
    (void)state;
    memset(run, 'a', sizeof run);
    begin_file(&w);
    tik_bytes(&file);
    for (size_t k = 2; k < sizeof run; k *= 2) tik_line(&file, run, k, "\n");
    tik_line(&file, run, sizeof run, "\n");
    must_open(&w, config, N_VOCAB);
    assert_int_equal(rmr_tokenizer_encode(w.tok, run, sizeof run, 0, &id, 1, &n, NULL), REMORA_OK);
    assert_true(n == 1 && id == 275);
    end_file(&w);
    begin_file(&w);
    tik_bytes(&file);
    for (size_t k = 2; k < 420; k++) tik_line(&file, run, k, "\n");
    must_fail(&w, CONFIG("", ENTRY(700, "<s>")), N_VOCAB, REMORA_E_FORMAT, "far too many");
}

/* All words of 2 to `longest` letters, of the first `letters` ones. */
static void all_words(char letters, size_t longest)
{
    char s[16];
    for (size_t n = 2; n <= longest; n++) {
        size_t k = 0;
        memset(s, 'a', sizeof s);
        while (k < n) {
            tik_line(&file, s, n, "\n");
            for (k = 0; k < n && ++s[k] == 'a' + letters; k++) s[k] = 'a';
        }
    }
}

/* What P19 promises of any file: at most twice its size and 16 MB. The first file has 14 ways to
 * make a token of two others and is refused, the second has 5.8 and opens. */
static void memory_of_many_cuts(void **state)
{
    static const struct {
        char letters;
        size_t longest;
        uint32_t words;
        const char *config;
        remora_status want;
    } cases[] = {
        {2, 16, 131324, CONFIG("", ENTRY(131324, "<s>")), REMORA_E_FORMAT},
        {5, 7, 97906, CONFIG("", ENTRY(97906, "<s>")), REMORA_OK},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w;
        begin_file(&w);
        tik_bytes(&file);
        all_words(cases[i].letters, cases[i].longest);
        assert_int_equal(file.rank, cases[i].words);
        const remora_status st =
            tik_open(&w.mem, &file, cases[i].config, NULL, 1 << 18, &w.tok, &w.err);
        const long long peak = atomic_load(&w.t.peak), bound = 2 * (long long)file.n + (16 << 20);
        if (peak > bound) fail_msg("case %zu: %lld bytes, above %lld", i, peak, bound);
        assert_int_equal(st, cases[i].want);
        if (cases[i].want < 0)
            assert_non_null(strstr(w.err.message, "far too many"));
        else
            compare_word(&w, "abcdeabbecabdde", 15);
        end_file(&w);
    }
}

/* A file that lost its last lines. */
static void nameless_ids(void **state)
{
    world w;
    (void)state;
    begin_file(&w);
    tik_bytes(&file);
    must_open(&w, CONFIG("", ENTRY(300, "<s>") "," ENTRY(256, "<t>")), N_VOCAB);
    assert_int_equal(rmr_tokenizer_nameless(w.tok), 0);
    end_file(&w);
    begin_file(&w);
    tik_bytes(&file);
    must_open(&w, CONFIG("", ENTRY(300, "<s>") "," ENTRY(258, "<t>")), 257);
    assert_int_equal(rmr_tokenizer_nameless(w.tok), 2);
    end_file(&w);
}

static void bad_special_tokens(void **state)
{
    static const struct {
        const char *config;
        remora_status st;
        const char *word;
    } cases[] = {
        {NULL, REMORA_E_UNSUPPORTED, "tokenizer_config.json is missing"},
        {"{}", REMORA_E_UNSUPPORTED, "tokenizer_config.json: added_tokens_decoder is missing"},
        {"{\"added_tokens_decoder\":null}", REMORA_E_UNSUPPORTED, "is missing"},
        {CONFIG("", ""), REMORA_E_UNSUPPORTED, "added_tokens_decoder is empty"},
        {"{\"added_tokens_decoder\":[]}", REMORA_E_FORMAT, "is not an object"},
        {"{\"added_tokens_decoder\":{", REMORA_E_FORMAT, "tokenizer_config.json"},
        {"", REMORA_E_FORMAT, "tokenizer_config.json: is empty"},
        {CONFIG("", ENTRY(255, "x")), REMORA_E_FORMAT, "id 255; tiktoken.model has 256 tokens"},
        {CONFIG("", ENTRY(512, "x")), REMORA_E_FORMAT, "from there to below 512"},
        {CONFIG("", ENTRY(x, "x")), REMORA_E_FORMAT, "id x"},
        {CONFIG("", ENTRY(, "x")), REMORA_E_FORMAT, "id ;"},
        {CONFIG("", ENTRY(300, "x") "," ENTRY(0300, "y")), REMORA_E_FORMAT, "300 is there twice"},
        {CONFIG("", ENTRY(300, "x") "," ENTRY(301, "x")), REMORA_E_FORMAT, "same content"},
        {CONFIG("", ENTRY(300, "<|reserved_token_301|>")), REMORA_E_FORMAT, "same content"},
        {CONFIG("", ENTRY(300, "")), REMORA_E_FORMAT, "added_tokens_decoder.300.content"},
        {CONFIG("", "\"300\":5"), REMORA_E_FORMAT, "added_tokens_decoder.300.content"},
        {CONFIG("", "\"300\":{\"content\":\"x\",\"lstrip\":true}"), REMORA_E_UNSUPPORTED,
         "tokenizer_config.json: added_tokens_decoder.300.lstrip"},
        {CONFIG("\"tokenizer_class\":\"Other\",", ENTRY(300, "x")), REMORA_E_UNSUPPORTED,
         "tokenizer_class \"Other\" is not supported for tiktoken.model (known: "},
        {CONFIG("\"tokenizer_class\":1,", ENTRY(300, "x")), REMORA_E_FORMAT, "tokenizer_class"},
        {CONFIG("\"bos_token\":\"[BOS]\",", ENTRY(300, "x")), REMORA_E_FORMAT, "bos_token"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        world w;
        begin_file(&w);
        tik_bytes(&file);
        must_fail(&w, cases[i].config, N_VOCAB, cases[i].st, cases[i].word);
    }
}

static int32_t open_once(void *arg, tmem *m)
{
    rmr_mem mem = fix_mem(m);
    remora_error err = {.struct_size = sizeof err};
    rmr_tokenizer *t;
    remora_token ids[8];
    size_t n;
    static const char config[] = CONFIG("\"bos_token\":\"<s>\",", ENTRY(300, "<s>"));
    remora_status st = tik_open(&mem, arg, config, NULL, N_VOCAB, &t, &err);
    if (st >= 0) st = rmr_tokenizer_encode(t, "abc", 3, 0, ids, 8, &n, &err);
    rmr_tokenizer_free(t);
    return st;
}

static void no_memory(void **state)
{
    tmem m = {0};
    tik f = {0};
    (void)state;
    tik_bytes(&f);
    tik_word(&f, "ab");
    tik_word(&f, "bc");
    tik_word(&f, "abc");
    assert_true(tmem_sweep(&m, open_once, &f) > 20);
    free(f.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_of_any_vocabulary),
        cmocka_unit_test(lowest_rank_first),
        cmocka_unit_test(special_tokens),
        cmocka_unit_test(as_many_as_rows),
        cmocka_unit_test(forms_of_the_file),
        cmocka_unit_test(tokenizer_json_wins),
        cmocka_unit_test(eos_of_generation_config),
        cmocka_unit_test(bad_lines),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(long_tokens),
        cmocka_unit_test(memory_of_many_cuts),
        cmocka_unit_test(nameless_ids),
        cmocka_unit_test(bad_special_tokens),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

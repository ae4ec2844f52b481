/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming detokenizer: any cut of the tokens gives the text that one call gives (P21), in whole
 * characters, and a failed call changes nothing. */
#include <jansson.h>

#include "groups.h"
#include "tok_world.h"

enum { CONTROL = 300, LITERAL = 301 };

static const fix two = {.added = "{\"id\":300,\"content\":\"<end>\",\"special\":true},"
                                 "{\"id\":301,\"content\":\"<｜User｜>\"}"};

static int is_utf8(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        i += rmr_utf8_step((const unsigned char *)s + i, n - i, &cp);
        if (cp >= RMR_UTF8_SHORT) return 0;
    }
    return 1;
}

/* Push by the two-call convention, checking that the first call leaves the state alone. */
static size_t push(const rmr_tokenizer *t, remora_detok *st, const remora_token *ids, size_t n_ids,
                   char *out)
{
    const remora_detok before = *st;
    size_t need, n;
    const remora_status first = rmr_detok_push(t, st, ids, n_ids, NULL, 0, &need, NULL);
    assert_int_equal(first, need == 0 ? REMORA_OK : REMORA_E_BUFFER);
    if (first == REMORA_OK) return 0;
    assert_memory_equal(st, &before, sizeof before);
    if (need > 1) {
        assert_int_equal(rmr_detok_push(t, st, ids, n_ids, out, need - 1, &n, NULL),
                         REMORA_E_BUFFER);
        assert_int_equal(n, need);
        assert_memory_equal(st, &before, sizeof before);
    }
    assert_int_equal(rmr_detok_push(t, st, ids, n_ids, out, need, &n, NULL), REMORA_OK);
    assert_int_equal(n, need);
    assert_true(is_utf8(out, n));
    return n;
}

static size_t flush(const rmr_tokenizer *t, remora_detok *st, char *out)
{
    static const remora_detok zero;
    size_t n;
    assert_int_equal(rmr_detok_flush(t, st, out, ROOM, &n, NULL), REMORA_OK);
    assert_memory_equal(st, &zero, sizeof zero);
    return n;
}

static size_t bulk(const rmr_tokenizer *t, const remora_token *ids, size_t n_ids, char *out)
{
    remora_detok st = {{0}};
    const size_t n = push(t, &st, ids, n_ids, out);
    return n + flush(t, &st, out + n);
}

/* Every cut in two, and all tokens alone. */
static void all_splits(const rmr_tokenizer *t, const remora_token *ids, size_t n_ids)
{
    static char want[8 * ROOM], got[8 * ROOM];
    const size_t n_want = bulk(t, ids, n_ids, want);
    size_t n = 0;
    for (size_t cut = 0; cut <= n_ids; cut++) {
        remora_detok st = {{0}};
        n = push(t, &st, ids, cut, got);
        remora_detok copy = st; /* a fork goes on from the same place */
        n += push(t, &copy, ids + cut, n_ids - cut, got + n);
        n += flush(t, &copy, got + n);
        assert_int_equal(n, n_want);
        assert_memory_equal(got, want, n);
    }
    remora_detok st = {{0}};
    n = 0;
    for (size_t i = 0; i < n_ids; i++) n += push(t, &st, ids + i, 1, got + n);
    n += flush(t, &st, got + n);
    assert_int_equal(n, n_want);
    assert_memory_equal(got, want, n);
}

#define R "\xEF\xBF\xBD"

/* The standard's examples of ill-formed text, as Python and Rust decode it. */
static void ill_formed_text(void **state)
{
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"abc", "abc"},
        {"\xE2\x82\xAC", "\xE2\x82\xAC"},
        {"\xE2\x82", R},
        {"\xF0\x9F\x98", R},
        {"\xF0\x90\x80W", R "W"},
        {"\xC2"
         "A",
         R "A"},
        {"\xFF", R},
        {"\x80", R},
        {"\xE0\x80", R R},
        {"\xC0\xAF", R R},
        {"\xED\xA0\x80", R R R},
        {"\xF4\x90\x80\x80", R R R R},
        {"\xE2\x82\xE2\x82\xAC", R "\xE2\x82\xAC"},
        {"\xF1\x80\x80\xE1\x80\xC2\x62", R R R "b"},
        {"\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64", "a" R R R "b" R "c" R R "d"},
        {"\xF0\xF0\x9F\x98\x80", R "\xF0\x9F\x98\x80"},
        {"\xF0\x80\x80", R R R},
        {"\xF4\x8F\xBF\xBF\xF5", "\xF4\x8F\xBF\xBF" R},
    };
    world w;
    (void)state;
    begin_fix(&w, &two);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        remora_token ids[32];
        char text[200];
        const size_t n = strlen(cases[i].bytes);
        for (size_t k = 0; k < n; k++) ids[k] = (unsigned char)cases[i].bytes[k];
        const size_t len = bulk(w.tok, ids, n, text);
        assert_int_equal(len, strlen(cases[i].text));
        assert_memory_equal(text, cases[i].text, len);
        all_splits(w.tok, ids, n);
    }
    end(&w);
}

/* A control token makes no text and does not end a character; other added tokens are text. */
static void control_and_added_tokens(void **state)
{
    static const remora_token ids[] = {'a',     0xE2,    CONTROL, 0x82,    0xAC,
                                       CONTROL, LITERAL, 0xC3,    LITERAL, 4000};
    static const char want[] = "a\xE2\x82\xAC<｜User｜>" R "<｜User｜>";
    char text[200];
    world w;
    (void)state;
    begin_fix(&w, &two);
    const size_t n = bulk(w.tok, ids, sizeof ids / sizeof ids[0], text);
    assert_int_equal(n, sizeof want - 1);
    assert_memory_equal(text, want, n);
    all_splits(w.tok, ids, sizeof ids / sizeof ids[0]);
    end(&w);
}

static void random_tokens_p21(void **state)
{
    static const unsigned char lively[] = {0x80, 0xBF, 0xC2, 0xE0, 0xA0, 0xED,
                                           0x9F, 0xF0, 0x90, 0xF4, 0x8F, 'x'};
    uint64_t seed = 3;
    world w;
    (void)state;
    begin_fix(&w, &two);
    for (int round = 0; round < 20000; round++) {
        remora_token ids[12];
        const size_t n = fix_random(&seed) % 12;
        for (size_t i = 0; i < n; i++) {
            const uint32_t r = fix_random(&seed);
            ids[i] = r % 8 == 0 ? (remora_token)(r >> 8) % 302 : lively[(r >> 8) % sizeof lively];
        }
        all_splits(w.tok, ids, n);
    }
    end(&w);
}

static void bad_arguments(void **state)
{
    world w;
    remora_detok st = {{0}}, bad;
    const remora_token half = 0xE2, wrong[] = {'a', 4096}, negative[] = {'a', -1};
    char out[16];
    size_t n;
    (void)state;
    begin_fix(&w, &two);
    push(w.tok, &st, &half, 1, out);
    const remora_detok before = st;
    assert_int_equal(rmr_detok_push(w.tok, &st, wrong, 2, out, 16, &n, NULL), REMORA_E_ARG);
    assert_memory_equal(&st, &before, sizeof st);
    assert_int_equal(rmr_detok_push(w.tok, &st, negative, 2, out, 16, &n, NULL), REMORA_E_ARG);
    assert_memory_equal(&st, &before, sizeof st);
    assert_int_equal(rmr_detok_flush(w.tok, &st, out, 2, &n, NULL), REMORA_E_BUFFER);
    assert_int_equal(n, 3);
    assert_memory_equal(&st, &before, sizeof st);
    assert_int_equal(rmr_detok_flush(w.tok, &st, out, 3, &n, NULL), REMORA_OK);
    assert_int_equal(rmr_detok_flush(w.tok, &st, NULL, 0, &n, NULL), REMORA_OK);
    assert_int_equal(n, 0);
    assert_int_equal(rmr_detok_push(w.tok, &st, NULL, 0, NULL, 0, &n, NULL), REMORA_OK);
    /* A state that was never zeroed. */
    memset(&bad, 0xA5, sizeof bad);
    assert_int_equal(rmr_detok_push(w.tok, &bad, &half, 1, out, 16, &n, NULL), REMORA_E_ARG);
    assert_int_equal(rmr_detok_flush(w.tok, &bad, out, 16, &n, NULL), REMORA_E_ARG);
    memset(&bad, 0, sizeof bad);
    bad.opaque[0] = (uint64_t)1 << 32 | 'a'; /* one byte pending that is a character */
    assert_int_equal(rmr_detok_push(w.tok, &bad, &half, 1, out, 16, &n, NULL), REMORA_E_ARG);
    end(&w);
}

/* The text of a case without its control tokens. */
static void golden_case(const rmr_tokenizer *t, const json_t *c)
{
    static char got[8 * ROOM], want[8 * ROOM];
    remora_token ids[ROOM];
    const json_t *list = json_object_get(c, "ids");
    const size_t n_ids = json_array_size(list);
    size_t n_want = 0, n_all = 0;
    const char *decoded = json_string_value(json_object_get(c, "decoded"));
    for (size_t i = 0; i < n_ids; i++) {
        const char *bytes;
        size_t n;
        ids[i] = (remora_token)json_integer_value(json_array_get(list, i));
        assert_int_equal(rmr_tokenizer_bytes(t, ids[i], &bytes, &n, NULL), REMORA_OK);
        assert_memory_equal(bytes, decoded + n_all, n);
        n_all += n;
        if (rmr_tokenizer_flags(t, ids[i]) & REMORA_TOKEN_CONTROL) continue;
        memcpy(want + n_want, bytes, n);
        n_want += n;
    }
    const size_t n = bulk(t, ids, n_ids, got);
    assert_int_equal(n, n_want);
    assert_memory_equal(got, want, n);
    all_splits(t, ids, n_ids);
}

static void golden(const char *name, uint32_t n_vocab)
{
    world w;
    char path[1024], *line;
    begin(&w);
    assert_int_equal(fix_open_model(&w.mem, name, n_vocab, &w.tok, &w.err), REMORA_OK);
    snprintf(path, sizeof path, "%s/%s/tokens.jsonl", getenv("REMORA_MODELS"), name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    line = malloc(1 << 16);
    while (fgets(line, 1 << 16, f) != NULL) {
        json_t *c = json_loads(line, JSON_ALLOW_NUL, NULL);
        assert_non_null(c);
        golden_case(w.tok, c);
        json_decref(c);
    }
    free(line);
    fclose(f);
    end(&w);
}

static void golden_ds3_p21(void **state)
{
    (void)state;
    golden("ds3", 129280);
}

static void golden_krill_p21(void **state)
{
    (void)state;
    golden("krill", 8192);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ill_formed_text),
        cmocka_unit_test(control_and_added_tokens),
        cmocka_unit_test(random_tokens_p21),
        cmocka_unit_test(bad_arguments),
    };
    const struct CMUnitTest model_tests[] = {
        cmocka_unit_test(golden_ds3_p21),
        cmocka_unit_test(golden_krill_p21),
    };
    return RUN_GROUPS("detok", tests, model_tests);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* P21: streamed text is always whole UTF-8, however the stream is cut, and the pieces join to what
 * one call gives. Any bytes are legal text. (The module's own cases are in test/unit.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "host.h"
#include "tiny.h"

enum { MAX = 4096 };

/* Written out here, and not taken from the library: well-formed by table 3-7 of Unicode. */
static int is_utf8(const unsigned char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        const unsigned c = s[i];
        unsigned lo = 0x80, hi = 0xBF;
        const size_t more = c < 0x80 ? 0 : c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
        if (c >= 0x80 && (c < 0xC2 || c > 0xF4)) return 0;
        if (more > n - i - 1) return 0;
        if (c == 0xE0) lo = 0xA0;
        if (c == 0xED) hi = 0x9F;
        if (c == 0xF0) lo = 0x90;
        if (c == 0xF4) hi = 0x8F;
        for (size_t k = 1; k <= more; k++, lo = 0x80, hi = 0xBF)
            if (s[i + k] < lo || s[i + k] > hi) return 0;
        i += 1 + more;
    }
    return 1;
}

static size_t push(const remora_model *m, remora_detok *d, const remora_token *t, size_t n,
                   char *out, size_t room)
{
    size_t len = 0;
    assert_int_equal(remora_detok_push(m, d, t, n, out, room, &len, NULL), REMORA_OK);
    assert_true(is_utf8((const unsigned char *)out, len));
    return len;
}

/* The stream in pieces of `step` tokens (0: at random). */
static size_t streamed(const remora_model *m, const remora_token *t, size_t n, size_t step,
                       uint64_t seed, char *out)
{
    remora_detok d = {{0}};
    size_t len = 0, tail;
    for (size_t i = 0; i < n;) {
        size_t k = step > 0 ? step : host_random(&seed) % 4;
        if (k > n - i) k = n - i;
        len += push(m, &d, t + i, k, out + len, 8 * MAX - len);
        i += k;
    }
    assert_int_equal(remora_detok_flush(m, &d, out + len, 8 * MAX - len, &tail, NULL), REMORA_OK);
    assert_true(is_utf8((const unsigned char *)out + len, tail));
    return len + tail;
}

static void all_cuts(const remora_model *m, const remora_token *t, size_t n, const char *text,
                     size_t len)
{
    static char bulk[8 * MAX], got[8 * MAX];
    const size_t n_bulk = streamed(m, t, n, n > 0 ? n : 1, 0, bulk);
    if (text != NULL) {
        assert_int_equal(n_bulk, len);
        assert_memory_equal(bulk, text, len);
    }
    for (size_t step = 1; step < 6; step++) {
        assert_int_equal(streamed(m, t, n, step, 0, got), n_bulk);
        assert_memory_equal(got, bulk, n_bulk);
    }
    for (uint64_t seed = 1; seed < 6; seed++) {
        assert_int_equal(streamed(m, t, n, 0, seed, got), n_bulk);
        assert_memory_equal(got, bulk, n_bulk);
    }
}

static void texts(const remora_model *m)
{
    static const char *const list[] = {
        "",
        "plain words and the rest",
        "na\xc3\xafve caf\xc3\xa9, \xe2\x82\xac 12",
        "\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c",
        "\xf0\x9f\x98\x80\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7",
        "\xf0\x9f\x87\xa9\xf0\x9f\x87\xaa \xed\x95\x9c\xea\xb8\x80",
        "\xd8\xb9\xd8\xb1\xd8\xa8\xd9\x8a",
        "a\tb\n\n  c\r\n",
    };
    static remora_token ids[MAX];
    size_t n;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        const size_t len = strlen(list[i]);
        assert_int_equal(remora_tokenize(m, list[i], len, 0, ids, MAX, &n, NULL), REMORA_OK);
        all_cuts(m, ids, n, list[i], len);
    }
}

static void random_bytes(const remora_model *m)
{
    static remora_token ids[MAX];
    static char text[400], back[8 * MAX];
    uint64_t seed = 5;
    for (int run = 0; run < 300; run++) {
        const size_t len = host_random(&seed) % sizeof text;
        size_t n, at = 0, k;
        for (size_t i = 0; i < len; i++) text[i] = (char)host_random(&seed);
        assert_int_equal(remora_tokenize(m, text, len, 0, ids, MAX, &n, NULL), REMORA_OK);
        for (size_t i = 0; i < n; i++, at += k)
            assert_int_equal(remora_token_bytes(m, ids[i], back + at, sizeof back - at, &k, NULL),
                             REMORA_OK);
        assert_int_equal(at, len);
        assert_memory_equal(back, text, len);
        if (run % 10 == 0) all_cuts(m, ids, n, NULL, 0);
    }
}

static void random_tokens(const remora_model *m)
{
    static remora_token ids[MAX];
    const uint32_t n_vocab = host_vocab(m);
    for (uint64_t seed = 1; seed < 20; seed++) {
        host_ids(ids, 200, n_vocab, seed);
        all_cuts(m, ids, 200, NULL, 0);
    }
}

static void every_token(const remora_model *m)
{
    const uint32_t n_vocab = host_vocab(m);
    for (uint32_t t = 0; t < n_vocab; t++) {
        char bytes[1024];
        size_t n;
        const uint32_t flags = remora_token_flags(m, (remora_token)t);
        assert_int_equal(remora_token_bytes(m, (remora_token)t, bytes, sizeof bytes, &n, NULL),
                         REMORA_OK);
        if (flags & REMORA_TOKEN_CONTROL) continue;
        assert_int_equal((flags & REMORA_TOKEN_PARTIAL) == 0,
                         is_utf8((const unsigned char *)bytes, n));
    }
}

static void check(const remora_source *src)
{
    remora_error err = HOST_ERROR;
    const remora_model_opts o = {.struct_size = sizeof o, .flags = REMORA_MODEL_NO_WEIGHTS};
    remora_model *m = NULL;
    REQUIRE_OK(remora_model_open(NULL, src, &o, &m, &err), &err);
    texts(m);
    random_bytes(m);
    random_tokens(m);
    every_token(m);
    remora_model_free(m);
}

static void made_up(void **state)
{
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    check(&t.source);
    tiny_free(&t);
}

static void krill(void **state)
{
    char folder[1024];
    (void)state;
    assert_true(host_folder(folder, sizeof folder, "krill"));
    const remora_source src = {
        .struct_size = sizeof src, .kind = REMORA_SOURCE_PATH, .path = folder};
    check(&src);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(made_up)};
    const struct CMUnitTest model_tests[] = {cmocka_unit_test(krill)};
    return RUN_GROUPS("P21", tests, model_tests);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* P19: any byte string as model or tokenizer gives a status, in bounded time and memory. Here every
 * byte of a small model's files is changed and every length tried; random bytes are the business of
 * test/fuzz. What opens after all must work: sessions, evaluation, text.
 *
 * Memory: at most twice the files and 16 MB beside what the model needs when it is whole. That
 * holds the library to it that no number in a file is believed before it was checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "host.h"
#include "tiny.h"

typedef struct fixture {
    tiny t;
    tmem mem;
    remora_runtime *rt;
    long long bound;
    long opened, refused, begun; /* begun: documents that a constraint has held */
} fixture;

static fixture *make(int tiktoken)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    tiny_make(&f->t, &(tiny_opts){.layers = 2, .context = 96, .tiktoken = tiktoken});
    f->rt = host_runtime(&f->mem, 1, NULL);
    f->bound = 16 << 20;
    for (uint64_t i = 0; i < f->t.n; i++) f->bound += 2 * (long long)f->t.blobs[i].size;
    return f;
}

static int setup(void **state)
{
    *state = make(0);
    return 0;
}

static int setup_tiktoken(void **state)
{
    *state = make(1);
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    remora_runtime_free(f->rt);
    tiny_free(&f->t);
    free(f);
    return 0;
}

/* The beginning of a string, or of a number or a list of numbers. */
static int begins_document(const char *s, size_t n)
{
    for (size_t i = 1; i < n && s[0] == '"'; i++)
        if ((unsigned char)s[i] < ' ') return 0;
    for (size_t i = 0; i < n && s[0] != '"'; i++)
        if (s[i] == 0 || strchr("-0123456789[], \t\r\n", s[i]) == NULL) return 0;
    return 1;
}

/* The words of the tokenizer, whatever they are, are held to a schema that leaves a choice from the
 * first token on, so that none is forced. What comes out is a document, its beginning or a status;
 * and never a token that was picked and is then refused. */
static void use_constrained(fixture *f, remora_model *m, remora_session *s)
{
    static const char schema[] = "{\"anyOf\": [{\"type\": \"string\", \"maxLength\": 6}, "
                                 "{\"type\": \"integer\"}, {\"type\": "
                                 "\"array\", \"items\": {\"type\": \"integer\"}}]}";
    const remora_constraint_opts o = {.struct_size = sizeof o,
                                      .kind = REMORA_CONSTRAINT_JSON_SCHEMA,
                                      .source = host_text(schema)};
    const remora_gen_opts how = {.struct_size = sizeof how, .max_tokens = 4};
    remora_constraint *c = NULL;
    remora_sampler *p = NULL;
    remora_error err = HOST_ERROR;
    char out[256];
    size_t n = 0;
    if (remora_constraint_create(m, &o, &c, NULL) < 0) return;
    if (remora_sampler_create(m, 1, &p, NULL) == REMORA_OK &&
        remora_sampler_constrain(p, c, NULL) == REMORA_OK &&
        remora_generate_text(s, p, &how, out, sizeof out, &n, NULL, 0, NULL, &err) >= 0 && n > 0) {
        assert_true(begins_document(out, n));
        f->begun++;
    }
    assert_null(strstr(err.message, "does not allow token"));
    remora_sampler_free(p);
    remora_constraint_free(c);
}

/* A model that opened is used. Any status is legal, but the numbers must be real ones. */
static void use(fixture *f, remora_model *m)
{
    const remora_token ids[] = {1, 2, 3};
    remora_token text_ids[64];
    remora_session *s = NULL;
    remora_detok d = {{0}};
    char out[256];
    size_t n, n_vocab;
    const float *row;
    const remora_session_opts o = {.struct_size = sizeof o, .capacity = 8, .chunk = 8};
    if (remora_tokenize(m, "the 1 and\xff", 10, REMORA_TEXT_BOS, text_ids, 64, &n, NULL) ==
        REMORA_OK)
        (void)remora_detok_push(m, &d, text_ids, n, out, sizeof out, &n, NULL);
    if (remora_session_create(m, &o, &s, NULL) < 0) return;
    if (remora_session_append(s, ids, 3, REMORA_WANT_LAST, NULL) == REMORA_OK &&
        remora_eval(&s, 1, NULL, NULL) == REMORA_OK) {
        assert_int_equal(remora_session_logits(s, 0, &row, &n_vocab, NULL), REMORA_OK);
        use_constrained(f, m, s);
    }
    remora_session_free(s);
}

/* Open with blob `which` replaced. */
static remora_status try_open(fixture *f, size_t which, const void *data, size_t size)
{
    remora_blob blobs[4];
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    remora_source src = f->t.source;
    const long long before = atomic_load(&f->mem.bytes);
    memcpy(blobs, f->t.blobs, sizeof blobs);
    blobs[which].data = data;
    blobs[which].size = size;
    src.blobs = blobs;
    atomic_store(&f->mem.peak, before);
    const remora_status st = remora_model_open(f->rt, &src, NULL, &m, &err);
    assert_true(atomic_load(&f->mem.peak) - before <= f->bound);
    if (st < 0) {
        assert_null(m);
        assert_true(st == REMORA_E_FORMAT || st == REMORA_E_UNSUPPORTED ||
                    st == REMORA_E_NOT_FOUND);
        assert_int_equal(err.code, st);
        assert_true(strlen(err.message) > 3); /* it says what */
        f->refused++;
    } else {
        use(f, m);
        remora_model_free(m);
        f->opened++;
    }
    assert_int_equal(atomic_load(&f->mem.bytes), before);
    assert_int_equal(atomic_load(&f->mem.damage), 0);
    return st;
}

/* The first n bytes of a file, each changed in four ways. */
static void flip(fixture *f, size_t which, size_t n)
{
    static const unsigned char with[] = {0x01, 0x10, 0x80, 0xFF};
    const remora_blob *b = &f->t.blobs[which];
    unsigned char *copy = malloc(b->size);
    assert_non_null(copy);
    memcpy(copy, b->data, b->size);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < sizeof with; k++) {
            copy[i] ^= with[k];
            (void)try_open(f, which, copy, b->size);
            copy[i] ^= with[k];
        }
    free(copy);
}

/* Digits become other digits, and longer and shorter numbers: the values that are well formed and
 * wrong. */
static void renumber(fixture *f, size_t which, size_t n)
{
    static const char *const with[] = {
        "0",   "1",   "-1",   "3", "99", "2147483648", "18446744073709551616",
        "1e9", "0.5", "null", "[]"};
    const remora_blob *b = &f->t.blobs[which];
    const char *s = b->data;
    char *copy = malloc(b->size + 64);
    assert_non_null(copy);
    for (size_t i = 1; i < n; i++) {
        if (s[i] < '0' || s[i] > '9' || !strchr(":[,", s[i - 1])) continue;
        size_t end = i;
        while (end < b->size && strchr("0123456789.e+-", s[end]) != NULL) end++;
        for (size_t k = 0; k < sizeof with / sizeof with[0]; k++) {
            const size_t len = strlen(with[k]);
            memcpy(copy, s, i);
            memcpy(copy + i, with[k], len);
            memcpy(copy + i + len, s + end, b->size - end);
            (void)try_open(f, which, copy, b->size - (end - i) + len);
        }
    }
    free(copy);
}

/* Every length up to n, in memory of just that size, so that a byte too far is seen. */
static void truncate_all(fixture *f, size_t which, size_t n)
{
    const remora_blob *b = &f->t.blobs[which];
    for (size_t len = 0; len < n; len++) {
        void *copy = malloc(len > 0 ? len : 1);
        assert_non_null(copy);
        memcpy(copy, b->data, len);
        (void)try_open(f, which, copy, len);
        free(copy);
    }
}

static size_t index_of(const fixture *f, const char *name)
{
    return (size_t)(tiny_blob(&f->t, name) - f->t.blobs);
}

static void config(void **state)
{
    fixture *f = *state;
    const size_t k = index_of(f, "config.json");
    flip(f, k, f->t.blobs[k].size);
    renumber(f, k, f->t.blobs[k].size);
    assert_true(f->begun > 0);
    f->opened = 0;
    truncate_all(f, k, f->t.blobs[k].size);
    assert_int_equal(f->opened, 0);
}

static void header(void **state)
{
    fixture *f = *state;
    const size_t k = index_of(f, "model.safetensors");
    uint64_t n;
    memcpy(&n, f->t.blobs[k].data, 8);
    flip(f, k, 8 + (size_t)n);
    f->opened = 0;
    truncate_all(f, k, 8 + (size_t)n + 16);
    truncate_all(f, k, 8 + (size_t)n);
    assert_int_equal(f->opened, 0);
}

/* Numbers of the header that are wrong without being malformed. The length in front is kept right
 * by padding, which JSON allows at the end. */
static void header_numbers(void **state)
{
    static const char *const with[] = {
        "0", "1", "7", "8", "4096", "4294967296", "9223372036854775808", "-1", "1.5", "[]"};
    fixture *f = *state;
    const size_t k = index_of(f, "model.safetensors");
    const remora_blob *b = &f->t.blobs[k];
    const char *s = (const char *)b->data + 8;
    uint64_t n;
    memcpy(&n, b->data, 8);
    char *copy = malloc(b->size + 64);
    assert_non_null(copy);
    f->opened = 0;
    for (size_t i = 1; i < n; i++) {
        if (s[i] < '0' || s[i] > '9' || (s[i - 1] != '[' && s[i - 1] != ',')) continue;
        size_t end = i;
        while (s[end] >= '0' && s[end] <= '9') end++;
        for (size_t w = 0; w < sizeof with / sizeof with[0]; w++) {
            const size_t len = strlen(with[w]);
            if (len == end - i && memcmp(with[w], s + i, len) == 0) continue;
            const uint64_t head = n - (end - i) + len;
            memcpy(copy, &head, 8);
            memcpy(copy + 8, s, i);
            memcpy(copy + 8 + i, with[w], len);
            memcpy(copy + 8 + i + len, s + end, b->size - 8 - end);
            (void)try_open(f, k, copy, b->size - (end - i) + len);
        }
    }
    assert_int_equal(f->opened, 0); /* every number in it matters */
    free(copy);
}

/* Weights may be anything that is finite, whatever becomes of it; what is not is a status. */
static void weights(void **state)
{
    fixture *f = *state;
    const size_t k = index_of(f, "model.safetensors");
    const remora_blob *b = &f->t.blobs[k];
    uint64_t n, seed = 1;
    unsigned char *copy = malloc(b->size);
    assert_non_null(copy);
    memcpy(&n, b->data, 8);
    for (int run = 0; run < 20; run++) {
        const int finite = run % 2 == 0;
        memcpy(copy, b->data, b->size);
        for (size_t i = 8 + (size_t)n; i + 1 < b->size; i += 2) {
            unsigned char *bf16 = copy + i;
            for (int half = 0; half < 2; half++)
                bf16[half] = run > 3    ? (unsigned char)host_random(&seed)
                             : run == 0 ? 0
                             : run == 2 ? 0x7F
                                        : 0xFF;
            if (finite && (bf16[1] & 0x7F) == 0x7F) bf16[0] &= 0x7F;
        }
        assert_int_equal(try_open(f, k, copy, b->size), finite ? REMORA_OK : REMORA_E_FORMAT);
    }
    free(copy);
}

static void tokenizer(void **state)
{
    fixture *f = *state;
    const size_t k = index_of(f, "tokenizer.json");
    flip(f, k, f->t.blobs[k].size);
    renumber(f, k, f->t.blobs[k].size);
    assert_true(f->begun > 0);
    f->opened = 0;
    truncate_all(f, k, f->t.blobs[k].size);
    assert_int_equal(f->opened, 0);
}

/* Bytes, ranks and every length. A file that ends behind one of its last words, with the newline or
 * without, is one of fewer words: nothing in it says how many there are. */
static void tiktoken_model(void **state)
{
    static const char *const with[] = {"0", "263", "264", "4294967296", "-1", "", "1 1"};
    fixture *f = *state;
    const size_t k = index_of(f, "tiktoken.model");
    const remora_blob *b = &f->t.blobs[k];
    const char *s = b->data;
    char *copy = malloc(b->size + 64);
    assert_non_null(copy);
    flip(f, k, b->size);
    for (size_t i = 1; i < b->size; i++) {
        if (s[i - 1] != ' ') continue;
        const size_t end = i + strcspn(s + i, "\n");
        for (size_t w = 0; w < sizeof with / sizeof with[0]; w++) {
            const size_t len = strlen(with[w]);
            memcpy(copy, s, i);
            memcpy(copy + i, with[w], len);
            memcpy(copy + i + len, s + end, b->size - end);
            (void)try_open(f, k, copy, b->size - (end - i) + len);
        }
    }
    free(copy);
    f->opened = 0;
    truncate_all(f, k, b->size - 1); /* without its last newline it is whole */
    assert_int_equal(f->opened, 2 * 8);
}

static void tokenizer_config(void **state)
{
    fixture *f = *state;
    const size_t k = index_of(f, "tokenizer_config.json");
    flip(f, k, f->t.blobs[k].size);
    f->opened = 0;
    truncate_all(f, k, f->t.blobs[k].size);
    assert_int_equal(f->opened, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config),  cmocka_unit_test(header),    cmocka_unit_test(header_numbers),
        cmocka_unit_test(weights), cmocka_unit_test(tokenizer), cmocka_unit_test(tokenizer_config),
    };
    const struct CMUnitTest with_tiktoken[] = {cmocka_unit_test(tiktoken_model),
                                               cmocka_unit_test(tokenizer_config)};
    return RUN_GROUP("P19", tests, setup, teardown) +
           RUN_GROUP("P19", with_tiktoken, setup_tiktoken, teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Text through the public header: which tokenizers a model opens with and without, and what stop
 * strings see of control tokens. With the arguments MODEL FILE WORD: a GGUF file, whose warning has
 * the word; its last letter says whether the model has a tokenizer ('+') or not ('-'). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

typedef struct warning {
    uint32_t count;
    char text[512];
} warning;

static void REMORA_CALL on_log(void *user, int32_t level, const char *msg, size_t len)
{
    warning *w = user;
    if (level != REMORA_LOG_WARN || len >= sizeof w->text) return;
    memcpy(w->text, msg, len + 1);
    w->count++;
}

static remora_runtime *runtime(warning *w)
{
    const remora_runtime_opts o = {
        .struct_size = sizeof o, .n_threads = 1, .log = on_log, .log_user = w};
    remora_error err = HOST_ERROR;
    remora_runtime *rt = NULL;
    memset(w, 0, sizeof *w);
    REQUIRE_OK(remora_runtime_create(&o, &rt, &err), &err);
    return rt;
}

/* The blobs with tokenizer.json's first `from` as `to`; the caller frees the text. */
static char *changed(const tiny *t, const char *from, const char *to, remora_blob blobs[4])
{
    const remora_blob *old = tiny_blob(t, "tokenizer.json");
    char *text = malloc(old->size + strlen(to) + 1);
    memcpy(blobs, t->blobs, 4 * sizeof *blobs);
    memcpy(text, old->data, old->size);
    text[old->size] = 0;
    char *at = strstr(text, from);
    assert_non_null(at);
    const char *rest = at + strlen(from);
    memmove(at + strlen(to), rest, strlen(rest) + 1);
    memcpy(at, to, strlen(to));
    blobs[old - t->blobs] = (remora_blob){old->name, text, strlen(text)};
    return text;
}

static uint32_t has_tokenizer(const remora_model *m)
{
    remora_model_info info = {.struct_size = sizeof info};
    REQUIRE_OK(remora_model_get_info(m, &info, NULL), NULL);
    return info.has_tokenizer;
}

/* Ids go in and logits come out, text functions refuse. */
static void takes_ids_only(remora_model *m)
{
    remora_token ids[8];
    remora_detok d = {{0}};
    char out[64];
    size_t n;
    assert_int_equal(has_tokenizer(m), 0);
    host_ids(ids, 8, host_vocab(m), 1);
    free(host_logits(m, ids, 8));
    assert_int_equal(remora_tokenize(m, "ab", 2, 0, ids, 8, &n, NULL), REMORA_E_UNSUPPORTED);
    assert_int_equal(remora_token_bytes(m, 1, out, 64, &n, NULL), REMORA_E_UNSUPPORTED);
    assert_int_equal(remora_detok_push(m, &d, ids, 1, out, 64, &n, NULL), REMORA_E_UNSUPPORTED);
    assert_int_equal(remora_token_flags(m, 1), 0);
    assert_int_equal(remora_token_special(m, REMORA_SPECIAL_EOS), REMORA_TOKEN_NONE);
}

static void kinds_that_refuse_text(void **state)
{
    static const struct {
        const char *from, *to, *word;
    } cases[] = {
        {"\"BPE\"", "\"Unigram\"", "model.type Unigram"},
        {"\"BPE\"", "\"WordPiece\"", "model.type WordPiece"},
        {"\"model\":{", "\"model\":{\"byte_fallback\":true,", "model.byte_fallback"},
        {"\"normalizer\":null", "\"normalizer\":{\"type\":\"Lowercase\"}",
         "normalizer.type Lowercase"},
        {"\"special\":true", "\"special\":true,\"lstrip\":true", "lstrip"},
    };
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        warning w;
        remora_blob blobs[4];
        remora_source src = t.source;
        remora_runtime *rt = runtime(&w);
        char *text = changed(&t, cases[i].from, cases[i].to, blobs);
        src.blobs = blobs;
        remora_model *m = host_open(rt, &src);
        takes_ids_only(m);
        if (w.count != 1 || strstr(w.text, cases[i].word) == NULL)
            fail_msg("%u warnings: %s", w.count, w.text);
        remora_model_free(m);
        remora_runtime_free(rt);
        free(text);
    }
    tiny_free(&t);
}

/* The text of such a token is text. */
static void added_tokens_without_rows(void **state)
{
    tiny t;
    warning w;
    remora_blob blobs[4];
    remora_token ids[8];
    size_t n;
    (void)state;
    tiny_make(&t, NULL);
    remora_source src = t.source;
    remora_runtime *rt = runtime(&w);
    char *text = changed(&t, "\"added_tokens\":[",
                         "\"added_tokens\":[{\"id\":272,\"content\":\"<pad>\"},", blobs);
    src.blobs = blobs;
    remora_model *m = host_open(rt, &src);
    assert_int_equal(has_tokenizer(m), 1);
    assert_true(w.count == 1 && strstr(w.text, "1 added tokens with ids that the model has no"));
    assert_int_equal(remora_tokenize(m, "<pad>", 5, REMORA_TEXT_SPECIAL, ids, 8, &n, NULL),
                     REMORA_OK);
    for (size_t i = 0; i < n; i++) assert_true(ids[i] < TINY_TEXT_VOCAB);
    remora_model_free(m);
    remora_runtime_free(rt);
    free(text);
    tiny_free(&t);
}

/* tiktoken.model cut off behind a line, and without what tokenizer_config.json says of it: files
 * that are incomplete, but not damaged. */
static void incomplete_tiktoken(void **state)
{
    static const struct {
        const char *config; /* NULL: as it was; "": none */
        size_t cut;         /* bytes that tiktoken.model lost at its end */
        int has_tokenizer;
        const char *word; /* of the warning; NULL: none */
    } cases[] = {
        {NULL, 0, 1, NULL},
        {NULL, sizeof "b3U= 262\ncmU= 263\n" - 1, 1,
         "tiktoken.model ends 2 ids before the first special token"},
        {"", 0, 0, "tokenizer_config.json is missing"},
        {"{}", 0, 0, "tokenizer_config.json: added_tokens_decoder is missing"},
    };
    tiny t;
    (void)state;
    tiny_make(&t, &(tiny_opts){.tiktoken = 1});
    assert_string_equal(t.blobs[t.n - 2].name, "tiktoken.model");
    assert_string_equal(t.blobs[t.n - 1].name, "tokenizer_config.json");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        warning w;
        remora_blob blobs[4];
        remora_source src = t.source;
        remora_runtime *rt = runtime(&w);
        memcpy(blobs, t.blobs, sizeof blobs);
        src.blobs = blobs;
        blobs[t.n - 2].size -= cases[i].cut;
        if (cases[i].config != NULL) {
            blobs[t.n - 1].data = cases[i].config;
            blobs[t.n - 1].size = strlen(cases[i].config);
            src.n_blobs -= blobs[t.n - 1].size == 0;
        }
        remora_model *m = host_open(rt, &src);
        assert_int_equal(has_tokenizer(m), cases[i].has_tokenizer);
        if (!cases[i].has_tokenizer) takes_ids_only(m);
        if (w.count != (cases[i].word != NULL) ||
            (cases[i].word != NULL && strstr(w.text, cases[i].word) == NULL))
            fail_msg("case %zu: %u warnings: %s", i, w.count, w.text);
        remora_model_free(m);
        remora_runtime_free(rt);
    }
    tiny_free(&t);
}

static void damaged_ones_refuse_the_model(void **state)
{
    static const char *const damage[] = {"7", "\"BPE", "\"BPE\",\"ignore_merges\":7"};
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        warning w;
        remora_blob blobs[4];
        remora_source src = t.source;
        remora_error err = HOST_ERROR;
        remora_model *m = NULL;
        remora_runtime *rt = runtime(&w);
        char *text = changed(&t, "\"BPE\"", damage[i], blobs);
        src.blobs = blobs;
        assert_int_equal(remora_model_open(rt, &src, NULL, &m, &err), REMORA_E_FORMAT);
        assert_non_null(strstr(err.message, "tokenizer.json"));
        assert_null(m);
        remora_runtime_free(rt);
        free(text);
    }
    tiny_free(&t);
}

/* ---- stop strings ---- */

static const remora_token forced[] = {'a', 'b', TINY_CONTROL, 'd', 'e'};

typedef struct script {
    size_t step;
} script;

static remora_status REMORA_CALL force(void *user, remora_token_prob *c, size_t *n)
{
    script *s = user;
    const remora_token want = forced[s->step++ % (sizeof forced / sizeof *forced)];
    for (size_t i = 0; i < *n; i++)
        if (c[i].token == want) {
            c[0] = c[i];
            *n = 1;
            return REMORA_OK;
        }
    return REMORA_E_CALLBACK;
}

/* How many of the forced tokens come until the stop string; in calls of `cap` tokens. */
static size_t tokens_until(remora_model *m, const char *stop, size_t cap)
{
    script s = {0};
    const remora_stage stage = {
        .struct_size = sizeof stage, .kind = REMORA_STAGE_CALLBACK, .fn = force, .user = &s};
    const remora_text stops[] = {host_text("no such text"), host_text(stop)};
    const remora_gen_opts o = {
        .struct_size = sizeof o, .max_tokens = 5, .stop = stops, .n_stop = 2};
    remora_error err = HOST_ERROR;
    remora_token first = 'x', out[8];
    remora_sampler *p = NULL;
    remora_session *session = host_session(m, 64, 0);
    size_t n, all = 0;
    remora_status st;
    REQUIRE_OK(remora_sampler_create(m, 1, &p, &err), &err);
    REQUIRE_OK(remora_sampler_add(p, &stage, &err), &err);
    REQUIRE_OK(remora_session_append(session, &first, 1, REMORA_WANT_LAST, NULL), NULL);
    do {
        st = remora_generate(session, p, &o, out, cap, &n, &err);
        all += n;
    } while (st == REMORA_MORE);
    REQUIRE_OK(st, &err);
    remora_sampler_free(p);
    remora_session_free(session);
    return all;
}

/* A control token's name stops as it does where the same token is text. */
static void stop_at_a_control_token(void **state)
{
    static const struct {
        const char *stop;
        size_t control, text; /* tokens delivered; 5: all */
    } cases[] = {{"<c2>", 3, 3}, {"b<c2>", 3, 3}, {"ab<c2>", 3, 3}, {"<c2>d", 4, 4},
                 {"c2", 3, 3},   {"bd", 4, 5},    {"x<c2>", 5, 5},  {"<c2>e", 5, 5}};
    tiny t;
    remora_blob blobs[4];
    (void)state;
    tiny_make(&t, NULL);
    remora_source src = t.source;
    char *text = changed(&t, "\"<c2>\",\"special\":true", "\"<c2>\",\"special\":false", blobs);
    src.blobs = blobs;
    remora_runtime *rt = host_runtime(NULL, 1, NULL);
    remora_model *control = host_open(rt, &t.source), *plain = host_open(rt, &src);
    assert_int_equal(remora_token_flags(control, TINY_CONTROL), REMORA_TOKEN_CONTROL);
    assert_int_equal(remora_token_flags(plain, TINY_CONTROL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t cap = 1; cap < 6; cap += 4) {
            const size_t a = tokens_until(control, cases[i].stop, cap);
            const size_t b = tokens_until(plain, cases[i].stop, cap);
            if (a != cases[i].control || b != cases[i].text)
                fail_msg("%s: %zu and %zu tokens", cases[i].stop, a, b);
        }
    remora_model_free(control);
    remora_model_free(plain);
    remora_runtime_free(rt);
    free(text);
    tiny_free(&t);
}

/* ---- a GGUF file ---- */

static const char *gguf_path;
static char gguf_word[64];

static void gguf_file(void **state)
{
    warning w;
    const size_t n = strlen(gguf_word) - 1;
    const int text = gguf_word[n] == '+';
    (void)state;
    gguf_word[n] = 0;
    remora_runtime *rt = runtime(&w);
    const remora_source src = host_path_source(gguf_path);
    remora_model *m = host_open(rt, &src);
    if (text)
        assert_int_equal(has_tokenizer(m), 1);
    else
        takes_ids_only(m);
    if (w.count != 1 || strstr(w.text, gguf_word) == NULL)
        fail_msg("%u warnings: %s", w.count, w.text);
    remora_model_free(m);
    remora_runtime_free(rt);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_that_refuse_text),  cmocka_unit_test(added_tokens_without_rows),
        cmocka_unit_test(incomplete_tiktoken),     cmocka_unit_test(damaged_ones_refuse_the_model),
        cmocka_unit_test(stop_at_a_control_token),
    };
    const struct CMUnitTest file[] = {cmocka_unit_test(gguf_file)};
    if (argc != 4) return cmocka_run_group_tests(tests, NULL, NULL);
    gguf_path = argv[2];
    snprintf(gguf_word, sizeof gguf_word, "%s", argv[3]);
    return cmocka_run_group_tests(file, NULL, NULL);
}

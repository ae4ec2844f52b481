/* SPDX-License-Identifier: Apache-2.0 */
/* A GGUF file and the pack of it by the recipe "keep" hold the same numbers: every bit of the
 * logits is the same, as one prompt (attention in expanded form) and token by token (absorbed), and
 * the pack's answer to its self-test is exact. The weights must have kept their type: decoded ones
 * give other logits than their file's only where products differ.
 *
 * Arguments: the model the file was made of (for the skipping), the GGUF file, and what the pack
 * must say about its weights: "WEIGHT=TYPE,..." */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "host.h"

enum { N = 24, SINGLE = 3 /* of them token by token */ };

static const char *file, *types;
static char dir[HOST_DIR], path[HOST_DIR + 16];

/* Rows of N - SINGLE tokens at once, then of the others one by one. */
static float *logits(remora_model *m, const remora_token *ids)
{
    const uint32_t vocab = host_vocab(m);
    remora_error err = HOST_ERROR;
    float *all = calloc((size_t)N * vocab, sizeof *all);
    remora_session *s = host_session(m, N, REMORA_KV_F32);
    assert_non_null(all);
    for (uint32_t at = 0, n = N - SINGLE; at < N; at += n, n = 1) {
        REQUIRE_OK(remora_session_append(s, ids + at, n, REMORA_WANT_ALL, NULL), NULL);
        REQUIRE_OK(remora_eval(&s, 1, NULL, &err), &err);
        float *rows = host_rows(s, n);
        memcpy(all + (size_t)at * vocab, rows, (size_t)n * vocab * sizeof *rows);
        free(rows);
    }
    remora_session_free(s);
    return all;
}

static void has_types(remora_runtime *rt, const remora_source *pack)
{
    const remora_model_opts o = {.struct_size = sizeof o, .flags = REMORA_MODEL_NO_WEIGHTS};
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    REQUIRE_OK(remora_model_open(rt, pack, &o, &m, &err), &err);
    for (const char *at = types; *at != 0;) {
        char key[160], got[80];
        const size_t name = strcspn(at, "="), type = strcspn(at + name + 1, ",");
        snprintf(key, sizeof key, "tensor.%.*s", (int)name, at);
        assert_int_equal(remora_model_meta(m, key, got, sizeof got, NULL, NULL), REMORA_OK);
        if (strncmp(got, at + name + 1, type) != 0 || got[type] != ' ')
            fail_msg("%s is %s, expected %s", key, got, at + name + 1);
        at += name + 1 + type;
        at += *at == ',';
    }
    remora_model_free(m);
}

static void pack_is_the_same(void **state)
{
    const remora_source gguf = host_path_source(file), pack = host_path_source(path);
    remora_runtime *rt = host_runtime(NULL, 2, NULL);
    remora_verify_report r = {.struct_size = sizeof r};
    remora_error err = HOST_ERROR;
    remora_token ids[N];
    (void)state;
    host_convert(rt, &gguf, path, "keep", 0);
    has_types(rt, &pack);
    remora_model *a = host_open(rt, &gguf), *b = host_open(rt, &pack);
    const uint32_t vocab = host_vocab(a);
    host_ids(ids, N, vocab, 11);
    float *x = logits(a, ids), *y = logits(b, ids);
    for (size_t i = 0; i < N; i++)
        if (memcmp(x + i * vocab, y + i * vocab, vocab * sizeof *x) != 0)
            fail_msg("the logits of token %zu differ", i);
    free(x);
    free(y);
    remora_model_free(a);
    remora_model_free(b);
    REQUIRE_OK(remora_verify(rt, &pack, NULL, &r, &err), &err);
    assert_true(r.checksums == REMORA_OK && r.self_test == REMORA_OK && r.exact == 1);
    remora_runtime_free(rt);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pack_is_the_same)};
    if (argc != 4) return 2;
    file = argv[2];
    types = argv[3];
    host_dir_make(dir);
    snprintf(path, sizeof path, "%s/model.remora", dir);
    const int failed = cmocka_run_group_tests_name("packs of GGUF files", tests, NULL, NULL);
    unlink(path);
    return rmdir(dir) != 0 || failed;
}

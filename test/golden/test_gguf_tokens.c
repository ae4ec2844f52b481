/* SPDX-License-Identifier: Apache-2.0 */
/* The tokenizer of a GGUF file against that of the folder it was made from, on the texts of
 * tokens.jsonl and on every id. Arguments: the folder's name below REMORA_MODELS, the GGUF file and
 * the size of the vocabulary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <jansson.h>

#include "gguf.h"
#include "groups.h"
#include "tokenizer_of.h"

enum { MAX_IDS = 1 << 16 };

static const char *folder, *file;
static uint32_t n_vocab;
static rmr_mem mem;
static rmr_tokenizer *from_folder, *from_file;

static rmr_source *open_source(const char *path)
{
    const remora_source desc = {
        .struct_size = sizeof desc, .kind = REMORA_SOURCE_PATH, .path = path};
    remora_error err = {.struct_size = sizeof err};
    rmr_source *src;
    if (rmr_source_open(&mem, &desc, 1, &src, &err) < 0) fail_msg("%s", err.message);
    return src;
}

static int open_both(void **state)
{
    remora_error err = {.struct_size = sizeof err};
    char name[RMR_MAX_NAME + 1];
    rmr_gguf *g = NULL;
    rmr_checkpoint *c = NULL;
    (void)state;
    rmr_mem_init(&mem);
    rmr_source *src = open_source(folder);
    if (tokenizer_of(&mem, src, n_vocab, &from_folder, &err) < 0) fail_msg("%s", err.message);
    rmr_source_free(src);
    src = open_source(file);
    if (rmr_find_gguf_file(src, name, &err) < 0 ||
        rmr_gguf_open(&mem, src, name, NULL, &g, &c, &err) < 0 ||
        rmr_tokenizer_open_gguf(&mem, g, n_vocab, &from_file, &err) < 0)
        fail_msg("%s", err.message);
    rmr_gguf_free(g);
    rmr_checkpoint_free(c);
    rmr_source_free(src);
    return 0;
}

static int close_both(void **state)
{
    (void)state;
    rmr_tokenizer_free(from_folder);
    rmr_tokenizer_free(from_file);
    return atomic_load(&mem.bytes) != 0;
}

static void compare_text(const char *text, size_t len, remora_token *a, remora_token *b)
{
    for (uint32_t flags = 0; flags < 4; flags++) {
        size_t n = 0, k = 0;
        assert_int_equal(rmr_tokenizer_encode(from_folder, text, len, flags, a, MAX_IDS, &n, NULL),
                         REMORA_OK);
        assert_int_equal(rmr_tokenizer_encode(from_file, text, len, flags, b, MAX_IDS, &k, NULL),
                         REMORA_OK);
        if (n != k || memcmp(a, b, n * sizeof *a) != 0)
            fail_msg("flags %u: %zu and %zu ids for: %s", flags, n, k, text);
    }
}

static void same_ids(void **state)
{
    char path[1024], *line = malloc(1 << 16);
    remora_token *a = malloc(2 * MAX_IDS * sizeof *a);
    unsigned cases = 0;
    (void)state;
    snprintf(path, sizeof path, "%s/tokens.jsonl", folder);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    while (fgets(line, 1 << 16, f) != NULL) {
        json_t *c = json_loads(line, JSON_ALLOW_NUL, NULL);
        const json_t *text = json_object_get(c, "text");
        assert_true(json_is_string(text));
        compare_text(json_string_value(text), json_string_length(text), a, a + MAX_IDS);
        json_decref(c);
        cases++;
    }
    assert_true(cases > 200);
    fclose(f);
    free(line);
    free(a);
}

static void same_tokens(void **state)
{
    (void)state;
    for (uint32_t id = 0; id < n_vocab; id++) {
        const char *a, *b;
        size_t n, k;
        const remora_token t = (remora_token)id;
        assert_int_equal(rmr_tokenizer_bytes(from_folder, t, &a, &n, NULL), REMORA_OK);
        assert_int_equal(rmr_tokenizer_bytes(from_file, t, &b, &k, NULL), REMORA_OK);
        if (n != k || memcmp(a, b, n) != 0) fail_msg("token %u", id);
        if (rmr_tokenizer_flags(from_folder, t) != rmr_tokenizer_flags(from_file, t))
            fail_msg("token %u: flags 0x%x and 0x%x", id, rmr_tokenizer_flags(from_folder, t),
                     rmr_tokenizer_flags(from_file, t));
    }
    for (int32_t which = REMORA_SPECIAL_BOS; which <= REMORA_SPECIAL_FIM_END; which++)
        assert_int_equal(rmr_tokenizer_special(from_folder, which),
                         rmr_tokenizer_special(from_file, which));
}

int main(int argc, char **argv)
{
    char path[1024];
    const char *models = getenv("REMORA_MODELS");
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_ids), cmocka_unit_test(same_tokens)};
    if (argc != 4) return 2;
    snprintf(path, sizeof path, "%s/%s", models != NULL ? models : ".", argv[1]);
    folder = path;
    file = argv[2];
    n_vocab = (uint32_t)atoi(argv[3]);
    return RUN_GROUP("gguf tokens", tests, open_both, close_both);
}

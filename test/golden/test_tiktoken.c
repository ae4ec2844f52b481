/* A tokenizer from tiktoken.model against the ids that the tiktoken library gave (cases.jsonl), as
 * it is opened and from its compiled form. Arguments: the folder, and the size of the vocabulary.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <jansson.h>

#include "tokenizer.h"

enum { MAX_IDS = 1 << 16, MAX_LINE = 1 << 20 };

static const char *folder;
static uint32_t n_vocab;
static rmr_mem mem;
static rmr_tokenizer *opened, *compiled;

static int open_both(void **state)
{
    const remora_source desc = {
        .struct_size = sizeof desc, .kind = REMORA_SOURCE_PATH, .path = folder};
    remora_error err = {.struct_size = sizeof err};
    rmr_source *src;
    size_t n;
    (void)state;
    rmr_mem_init(&mem);
    if (rmr_source_open(&mem, &desc, 1, &src, &err) < 0 ||
        rmr_tokenizer_open(&mem, src, n_vocab, &opened, &err) < 0)
        fail_msg("%s", err.message);
    rmr_source_free(src);
    const void *blob = rmr_tokenizer_compiled(opened, &n);
    if (rmr_tokenizer_open_compiled(&mem, blob, n, 0, n_vocab, &compiled, &err) < 0)
        fail_msg("%s", err.message);
    return 0;
}

static int close_both(void **state)
{
    (void)state;
    rmr_tokenizer_free(compiled);
    rmr_tokenizer_free(opened);
    return atomic_load(&mem.bytes) != 0;
}

static void check_ids(const rmr_tokenizer *t, const json_t *text, uint32_t flags,
                      const json_t *want)
{
    static remora_token ids[MAX_IDS];
    const char *s = json_string_value(text);
    const size_t len = json_string_length(text);
    size_t n = 0, at = 0;
    assert_int_equal(rmr_tokenizer_encode(t, s, len, flags, ids, MAX_IDS, &n, NULL), REMORA_OK);
    for (size_t i = 0; i < n || i < json_array_size(want); i++) {
        const json_int_t id = json_integer_value(json_array_get(want, i));
        if (i >= n || i >= json_array_size(want) || ids[i] != id)
            fail_msg("flags %u: id %zu is %d, not %d, for: %s", flags, i, i < n ? ids[i] : -1,
                     (int)id, s);
    }
    for (size_t i = 0; i < n; i++) {
        const char *bytes;
        size_t k;
        assert_int_equal(rmr_tokenizer_bytes(t, ids[i], &bytes, &k), REMORA_OK);
        assert_true(k <= len - at);
        assert_memory_equal(bytes, s + at, k);
        at += k;
    }
    assert_int_equal(at, len);
}

static void same_ids(void **state)
{
    char path[1024], *line = malloc(MAX_LINE);
    unsigned cases = 0;
    (void)state;
    snprintf(path, sizeof path, "%s/cases.jsonl", folder);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    while (fgets(line, MAX_LINE, f) != NULL) {
        json_t *c = json_loads(line, JSON_ALLOW_NUL, NULL);
        const json_t *text = json_object_get(c, "text");
        assert_true(json_is_string(text));
        for (int i = 0; i < 2; i++) {
            const rmr_tokenizer *t = i == 0 ? opened : compiled;
            check_ids(t, text, 0, json_object_get(c, "ids"));
            check_ids(t, text, REMORA_TEXT_SPECIAL, json_object_get(c, "ids_special"));
        }
        json_decref(c);
        cases++;
    }
    assert_true(cases > 3000);
    fclose(f);
    free(line);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_ids)};
    if (argc != 3) return 2;
    folder = argv[1];
    n_vocab = (uint32_t)atoi(argv[2]);
    return cmocka_run_group_tests(tests, open_both, close_both);
}

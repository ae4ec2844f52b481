/* SPDX-License-Identifier: Apache-2.0 */
/* Prompts of holes, as the models' makers publish them (fim.jsonl of the chat data): the text to
 * the byte, and nothing but the markers is a special token. With DeepSeek-V3's own tokenizer, and
 * one of bytes that has Qwen's markers. Healing with DeepSeek-V3's vocabulary. */
#include <jansson.h>

#include "fim.h"
#include "tok_world.h"
#include "tokenizer_of.h"

static const char *data, *models;

static const fix qwen = {.added = "{\"id\":300,\"content\":\"<|fim_prefix|>\"},"
                                  "{\"id\":301,\"content\":\"<|fim_suffix|>\"},"
                                  "{\"id\":302,\"content\":\"<|fim_middle|>\"},"
                                  "{\"id\":303,\"content\":\"<|repo_name|>\"},"
                                  "{\"id\":304,\"content\":\"<|file_sep|>\"}"};

static void begin_deepseek(world *w)
{
    char path[4096];
    begin(w);
    snprintf(path, sizeof path, "%s/ds3", models);
    const remora_source desc = {
        .struct_size = sizeof desc, .kind = REMORA_SOURCE_PATH, .path = path};
    rmr_source *src = NULL;
    assert_int_equal(rmr_source_open(&w->mem, &desc, 0, &src, &w->err), REMORA_OK);
    const remora_status st = tokenizer_of(&w->mem, src, 1 << 18, &w->tok, &w->err);
    rmr_source_free(src);
    if (st < 0) fail_msg("%s", w->err.message);
}

static remora_text text_of(const json_t *v)
{
    return (remora_text){json_string_value(v), json_string_length(v)};
}

static int is_inert(const json_t *inert, size_t at)
{
    const json_t *range;
    size_t i;
    json_array_foreach(
        inert, i, range) if (at >= (size_t)json_integer_value(json_array_get(range, 0)) &&
                             at < (size_t)json_integer_value(json_array_get(range, 1))) return 1;
    return 0;
}

/* The tokens' text is the case's, and a special token lies in no inert range. */
static void check_text(world *w, const json_t *c, const rmr_fim_tokens *l)
{
    const remora_text want = text_of(json_object_get(c, "text"));
    size_t at = 0;
    for (size_t i = 0; i < l->n; i++) {
        const char *s;
        size_t n;
        assert_int_equal(rmr_tokenizer_bytes(w->tok, l->ids[i], &s, &n, NULL), REMORA_OK);
        assert_true(at + n <= want.len && memcmp(want.ptr + at, s, n) == 0);
        if (rmr_tokenizer_is_markup(w->tok, l->ids[i]))
            assert_false(is_inert(json_object_get(c, "inert"), at));
        at += n;
    }
    assert_int_equal(at, want.len);
}

static void check_case(world *w, const json_t *c)
{
    remora_file files[8];
    remora_fim_opts o = {.files = files};
    remora_fim_info info = {0};
    rmr_fim_tokens l = {0};
    const remora_text prefix = text_of(json_object_get(c, "prefix")),
                      suffix = text_of(json_object_get(c, "suffix"));
    const json_t *file, *list = json_object_get(c, "files");
    size_t i;
    json_array_foreach(list, i, file) files[o.n_files++] =
        (remora_file){text_of(json_array_get(file, 0)), text_of(json_array_get(file, 1))};
    if (list != NULL) {
        o.repo = text_of(json_object_get(c, "repo"));
        o.path = text_of(json_object_get(c, "path"));
    }
    const rmr_fim_ask ask = {prefix.ptr, suffix.ptr, (size_t)prefix.len, (size_t)suffix.len, &o};
    if (rmr_fim(w->tok, &w->mem, &ask, &l, &info, &w->err) < 0) fail_msg("%s", w->err.message);
    check_text(w, c, &l);
    rmr_fim_free(&w->mem, &l);
}

static void published_prompts(void **state)
{
    static char line[1 << 16];
    char path[4096];
    world d, q;
    size_t n = 0;
    (void)state;
    begin_deepseek(&d);
    begin_fix(&q, &qwen);
    snprintf(path, sizeof path, "%s/fim.jsonl", data);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (; fgets(line, sizeof line, f) != NULL; n++) {
        json_t *c = json_loads(line, 0, NULL);
        const int deepseek =
            strcmp(json_string_value(json_object_get(c, "family")), "deepseek") == 0;
        check_case(deepseek ? &d : &q, c);
        json_decref(c);
    }
    assert_true(n >= 15);
    fclose(f);
    end(&d);
    end(&q);
}

/* What is taken back of a text that ends in a word that is half typed. */
static void half_words_are_healed(void **state)
{
    static const char *const cases[][2] = {
        {"def f():\n    retu", " retu"},
        {"x = remora_ses", "_ses"},
        {"print(", "("},
        {"int main(voi", "(voi"},
        {"It has many perspectives", ""}, /* no token is longer than that */
        {"", ""},
    };
    world d;
    (void)state;
    begin_deepseek(&d);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const remora_fim_opts o = {.flags = REMORA_FIM_HEAL};
        const rmr_fim_ask ask = {cases[i][0], "", strlen(cases[i][0]), 0, &o};
        remora_fim_info info = {0};
        rmr_fim_tokens l = {0};
        assert_int_equal(rmr_fim(d.tok, &d.mem, &ask, &l, &info, &d.err), REMORA_OK);
        print_message("\"%s\": \"%.*s\"\n", cases[i][0], (int)info.n_heal, info.heal);
        assert_int_equal(info.n_heal, strlen(cases[i][1]));
        assert_memory_equal(info.heal, cases[i][1], info.n_heal);
        rmr_fim_free(&d.mem, &l);
    }
    end(&d);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(published_prompts),
                                       cmocka_unit_test(half_words_are_healed)};
    if (argc != 3) return 2;
    data = argv[1];
    models = argv[2];
    return cmocka_run_group_tests(tests, NULL, NULL);
}

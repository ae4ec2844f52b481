/* SPDX-License-Identifier: Apache-2.0 */
/* Prompts of every chat format against those of the families' own templates and encoders: each
 * case's text, and which of its bytes are special tokens; ids of DeepSeek-V3. Argument: the folder
 * of cases. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "groups.h"
#include "render.h"
#include "source.h"
#include "tokenizer_of.h"

static const char *folder;
static rmr_mem mem;
static size_t n_cases, n_quirks, n_refused, n_ids;

static const struct {
    const char *file, *chat_format;
} families[] = {
    {"deepseek-v2", "deepseek-v2"},
    {"deepseek-v2-0628", "deepseek-v2-0628"},
    {"deepseek-v2.5", "deepseek-v2.5"},
    {"deepseek-v3", "deepseek-v3"},
    {"deepseek-v3-0324", "deepseek-v3-0324"},
    {"deepseek-r1", "deepseek-r1"},
    {"deepseek-r1-0528", "deepseek-r1-0528"},
    {"deepseek-v3.1", "deepseek-v3.1"},
    {"deepseek-v3.2-exp", "deepseek-v3.2-exp"},
    {"deepseek-v3.2", "deepseek-v3.2"},
    {"deepseek-v4", "deepseek-v4"},
    {"deepseek-v4-recipe", "deepseek-v4-0731"},
    {"deepseek-v4.1", "deepseek-v4.1"},
    {"kimi-k2", "kimi-k2"},
    {"kimi-k2-thinking", "kimi-k2-thinking"},
    {"moonlight", "moonlight"},
    {"glm-4.7-flash", "glm-4.7-flash"},
    {"qwen2.5", "qwen2.5"},
    {"qwq", "qwq"},
    {"qwen3", "qwen3"},
    {"llama3", "llama-3"},
    {"llama3.1", "llama-3.1"},
};

/* The lines of a file of cases, each an object. */
static json_t *load_cases(const char *file)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.jsonl", folder, file);
    FILE *f = fopen(path, "r");
    if (f == NULL) fail_msg("%s does not open", path);
    json_t *all = json_array(), *one;
    while ((one = json_loadf(f, JSON_DISABLE_EOF_CHECK | JSON_ALLOW_NUL, NULL)) != NULL)
        json_array_append_new(all, one);
    fclose(f);
    return all;
}

/* A case as a request in OpenAI's form. */
static char *request_of(const json_t *one)
{
    const json_t *options = json_object_get(one, "options");
    const char *think = json_string_value(json_object_get(options, "think"));
    json_t *request = json_object();
    json_object_set(request, "messages", json_object_get(one, "messages"));
    json_object_set(request, "tools", json_object_get(one, "tools"));
    json_object_set(request, "add_generation_prompt",
                    json_object_get(options, "add_generation_prompt"));
    json_object_set(request, "continue_final_message",
                    json_object_get(options, "continue_final_message"));
    if (strcmp(think, "default") != 0)
        json_object_set_new(request, "chat_template_kwargs",
                            json_pack("{s:b}", "thinking", strcmp(think, "on") == 0));
    json_t *more = json_object_get(options, "request");
    if (more != NULL) json_object_update(request, more);
    char *text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    return text;
}

static remora_status render_as(const json_t *one, const char *name, int as_template,
                               rmr_chat_writer *w, remora_error *err)
{
    const rmr_chat_format *f = rmr_chat_format_named(name, strlen(name));
    char *request = request_of(one);
    rmr_conversation c;
    int begin = -1;
    *w = (rmr_chat_writer){.mem = &mem, .err = err};
    assert_non_null(f);
    rmr_conversation_init(&c, &mem);
    remora_status st = rmr_conversation_add_json(&c, request, strlen(request), err);
    if (st >= 0) {
        c.wish.as_template = (uint8_t)as_template;
        st = rmr_chat_render(&c, &c.wish, f, NULL, w, &begin);
    }
    rmr_conversation_clear(&c);
    free(request);
    return st;
}

static void show_difference(const char *label, const rmr_chat_writer *w, const char *want, size_t n)
{
    size_t at = 0;
    while (at < n && at < w->n && want[at] == w->text[at]) at++;
    const size_t from = at > 60 ? at - 60 : 0;
    print_message("%s differs from byte %zu on (%zu and %zu bytes)\n  want: %.*s\n  have: %.*s\n",
                  label, at, n, w->n, (int)(n - from < 300 ? n - from : 300), want + from,
                  (int)(w->n - from < 300 ? w->n - from : 300), w->text + from);
}

/* ---- special tokens ---- */

/* Spellings of special tokens that the file's ranges have. */
typedef struct spellings {
    char text[256][64];
    size_t n;
} spellings;

static void add_spelling(spellings *s, const char *p, size_t n)
{
    if (n == 0 || n >= sizeof s->text[0]) return;
    for (size_t i = 0; i < s->n; i++)
        if (strlen(s->text[i]) == n && memcmp(s->text[i], p, n) == 0) return;
    assert_true(s->n < 256);
    memcpy(s->text[s->n], p, n);
    s->text[s->n++][n] = 0;
}

static void add_spellings(spellings *s, const json_t *cases, const rmr_chat_format *f)
{
    size_t i, k;
    json_t *one, *range;
    json_array_foreach(cases, i, one)
    {
        const char *text = json_string_value(json_object_get(one, "text"));
        json_t *ranges = json_object_get(one, "inert");
        if (ranges == NULL) ranges = json_object_get(one, "special");
        json_array_foreach(ranges, k, range)
        {
            const size_t b = (size_t)json_integer_value(json_array_get(range, 0));
            add_spelling(s, text + b, (size_t)json_integer_value(json_array_get(range, 1)) - b);
        }
    }
    for (k = 0; k < RMR_CHAT_MAX_TOKENS; k++) {
        if (f->needs[k] != NULL) add_spelling(s, f->needs[k], strlen(f->needs[k]));
        if (f->stops[k] != NULL) add_spelling(s, f->stops[k], strlen(f->stops[k]));
    }
}

static int in_markup(const rmr_chat_writer *w, size_t b, size_t e)
{
    for (size_t i = 0; i < w->n_markup; i++)
        if (w->markup[i].begin <= b && e <= w->markup[i].end) return 1;
    return 0;
}

static int is_listed(const json_t *ranges, size_t b, size_t e)
{
    size_t i;
    json_t *range;
    json_array_foreach(
        ranges, i, range) if ((size_t)json_integer_value(json_array_get(range, 0)) == b &&
                              (size_t)json_integer_value(json_array_get(range, 1)) == e) return 1;
    return 0;
}

/* The longest spelling at a place; 0 when there is none. */
static size_t spelled_at(const spellings *s, const rmr_chat_writer *w, size_t at)
{
    size_t best = 0;
    for (size_t i = 0; i < s->n; i++) {
        const size_t n = strlen(s->text[i]);
        if (n > best && n <= w->n - at && memcmp(w->text + at, s->text[i], n) == 0) best = n;
    }
    return best;
}

/* Each spelling of a special token is markup where the case says so, and nowhere else. */
static int ranges_agree(const spellings *s, const json_t *one, const rmr_chat_writer *w)
{
    const json_t *special = json_object_get(one, "special"), *inert = json_object_get(one, "inert");
    /* Tags in the text of an answer are text; the lists of inert ranges leave them out, and those
     * of special ranges, from DeepSeek's own package, do not. */
    const int lists_all = special != NULL ||
                          strstr(json_string_value(json_object_get(one, "name")), "inline") == NULL;
    size_t found = 0;
    for (size_t at = 0; at < w->n;) {
        const size_t n = spelled_at(s, w, at);
        if (n == 0) {
            at++;
            continue;
        }
        const int listed = is_listed(special != NULL ? special : inert, at, at + n);
        if (lists_all && in_markup(w, at, at + n) != (special != NULL ? listed : !listed)) {
            print_message("  bytes %zu to %zu: %.*s\n", at, at + n, (int)n, w->text + at);
            return 0;
        }
        found += (size_t)listed;
        at += n;
    }
    return found == json_array_size(special != NULL ? special : inert);
}

/* ---- cases ---- */

/* 1 where a family's own template loses calls that V3-0324's renders. */
static int is_fenced(const char *chat_format)
{
    return strcmp(chat_format, "deepseek-v2.5") == 0 || strcmp(chat_format, "deepseek-v3") == 0 ||
           strcmp(chat_format, "deepseek-r1") == 0;
}

/* 1 where the text is broken: the case says so, or it has what other cases are called broken for: a
 * single call without the end of its block, calls that are lost because there is text, a second
 * round of calls without its opening marker. */
static int has_quirk(const json_t *one, const char *chat_format)
{
    const char *name = json_string_value(json_object_get(one, "name"));
    return json_object_get(one, "quirk") != NULL ||
           (is_fenced(chat_format) &&
            (strcmp(name, "two_rounds_of_calls") == 0 || strcmp(name, "call_rich_arguments") == 0 ||
             strcmp(name, "call_empty_string_content") == 0));
}

static int check_quirk(const json_t *one, const char *name)
{
    rmr_chat_writer w, want;
    remora_error err = {.struct_size = sizeof err};
    int good;
    n_quirks++;
    if (!is_fenced(name)) { /* a family without calls says so */
        good = render_as(one, name, 0, &w, &err) == REMORA_E_UNSUPPORTED &&
               strstr(err.message, "no ") != NULL;
        rmr_chat_writer_free(&w);
        return good;
    }
    assert_int_equal(render_as(one, "deepseek-v3-0324", 1, &want, &err), REMORA_OK);
    assert_int_equal(render_as(one, name, 1, &w, &err), REMORA_OK);
    good = w.n == want.n && memcmp(w.text, want.text, w.n) == 0;
    rmr_chat_writer_free(&w);
    rmr_chat_writer_free(&want);
    return good;
}

static int check_case(const json_t *one, const char *name, const spellings *s)
{
    const json_t *text = json_object_get(one, "text");
    char label[128];
    rmr_chat_writer w;
    remora_error err = {.struct_size = sizeof err};
    snprintf(label, sizeof label, "%s: %s", name, json_string_value(json_object_get(one, "name")));
    n_cases++;
    if (has_quirk(one, name)) {
        if (check_quirk(one, name)) return 1;
        print_message("%s: %s\n", label, err.message);
        return 0;
    }
    const remora_status st = render_as(one, name, 1, &w, &err);
    int good = 1;
    if (json_is_null(text)) {
        n_refused++;
        good = st == REMORA_E_UNSUPPORTED || st == REMORA_E_ARG;
        if (!good) print_message("%s was not refused\n", label);
    } else if (st < 0) {
        good = 0;
        print_message("%s: %s\n", label, err.message);
    } else if (w.n != json_string_length(text) ||
               memcmp(w.text, json_string_value(text), w.n) != 0) {
        good = 0;
        show_difference(label, &w, json_string_value(text), json_string_length(text));
    } else if (!ranges_agree(s, one, &w)) {
        good = 0;
        print_message("%s: special tokens are not where they should be\n", label);
    }
    rmr_chat_writer_free(&w);
    return good;
}

static void prompts_are_those_of_the_families(void **state)
{
    (void)state;
    size_t failed = 0;
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        const char *name = families[i].chat_format;
        json_t *cases = load_cases(families[i].file), *one;
        spellings s = {.n = 0};
        size_t k;
        assert_true(json_array_size(cases) > 30);
        add_spellings(&s, cases, rmr_chat_format_named(name, strlen(name)));
        json_array_foreach(cases, k, one) failed += !check_case(one, name, &s);
        json_decref(cases);
    }
    print_message("%zu cases, %zu of them with quirks, %zu refused\n", n_cases, n_quirks,
                  n_refused);
    assert_int_equal(failed, 0);
    assert_true(n_cases > 1000 && n_refused > 20);
    assert_int_equal(atomic_load(&mem.bytes), 0);
}

/* ---- ids ---- */

/* A case by its name: conversations of one name are the same in all files. Owned by the caller. */
static json_t *case_named(const char *name)
{
    json_t *hit = NULL;
    for (size_t i = 0; i < sizeof families / sizeof families[0] && hit == NULL; i++) {
        json_t *cases = load_cases(families[i].file), *one;
        size_t k;
        json_array_foreach(
            cases, k, one) if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0)
            hit = json_incref(one);
        json_decref(cases);
    }
    return hit;
}

static int ids_agree(const rmr_tokenizer *t, const json_t *one, const char *name, const json_t *ids)
{
    static remora_token have[1 << 16];
    rmr_chat_writer w;
    remora_error err = {.struct_size = sizeof err};
    size_t n = 0, i;
    json_t *id;
    assert_int_equal(render_as(one, name, 1, &w, &err), REMORA_OK);
    assert_int_equal(
        rmr_tokenizer_encode_ranges(t, w.text, w.n, w.markup, w.n_markup, have, 1 << 16, &n, &err),
        REMORA_OK);
    rmr_chat_writer_free(&w);
    if (n != json_array_size(ids)) return 0;
    json_array_foreach(ids, i, id) if (have[i] != (remora_token)json_integer_value(id)) return 0;
    return 1;
}

static rmr_tokenizer *deepseek_v3(rmr_source **src)
{
    char path[512];
    rmr_tokenizer *t = NULL;
    const remora_source where = {
        .struct_size = sizeof where, .kind = REMORA_SOURCE_PATH, .path = path};
    snprintf(path, sizeof path, "%s/ds3", getenv("REMORA_MODELS"));
    assert_int_equal(rmr_source_open(&mem, &where, 0, src, NULL), REMORA_OK);
    assert_int_equal(tokenizer_of(&mem, *src, 129280, &t, NULL), REMORA_OK);
    return t;
}

static void ids_are_those_of_deepseek_v3(void **state)
{
    (void)state;
    rmr_source *src = NULL;
    size_t i, failed = 0;
    json_t *line;
    rmr_tokenizer *t = deepseek_v3(&src);
    json_t *lines = load_cases("tokens-deepseek-v3");
    json_array_foreach(lines, i, line)
    {
        const char *name = json_string_value(json_object_get(line, "name"));
        const char *family = json_string_value(json_object_get(line, "family"));
        json_t *one = case_named(name);
        assert_non_null(one);
        if (!is_fenced(family) || !has_quirk(one, family)) {
            n_ids++;
            if (!ids_agree(t, one, family, json_object_get(line, "ids"))) {
                print_message("%s: %s: other ids\n", family, name);
                failed++;
            }
        }
        json_decref(one);
    }
    print_message("%zu prompts have the right ids\n", n_ids - failed);
    assert_int_equal(failed, 0);
    assert_true(n_ids > 50);
    json_decref(lines);
    rmr_tokenizer_free(t);
    rmr_source_free(src);
    assert_int_equal(atomic_load(&mem.bytes), 0);
}

/* ---- forging ---- */

/* The names of all its special tokens, with spaces between. */
static size_t all_names(const rmr_tokenizer *t, char *text, size_t cap)
{
    size_t n = 0, names = 0;
    for (remora_token id = 0; id < 129280; id++) {
        const char *name;
        size_t len;
        if (!rmr_tokenizer_is_markup(t, id)) continue;
        if (rmr_tokenizer_bytes(t, id, &name, &len, NULL) < 0) continue;
        assert_true(n + len + 2 < cap);
        memcpy(text + n, name, len);
        n += len;
        text[n++] = ' ';
        names++;
    }
    text[n] = 0;
    return names;
}

/* A request that has `text` wherever a user, a tool or a host writes, and its special tokens. */
static size_t specials_of(const rmr_tokenizer *t, const char *format, const char *text,
                          remora_token *out)
{
    static remora_token ids[1 << 20];
    rmr_chat_writer w;
    remora_error err = {.struct_size = sizeof err};
    size_t n, kept = 0;
    json_t *one = json_pack(
        "{s:[{s:s,s:s},{s:s,s:s,s:s},{s:s,s:s,s:s,s:[{s:s,s:s,s:{s:s,s:o}}]},{s:s,s:s,s:s}],s:[{s:"
        "s,s:{s:s,s:s}}],s:{s:b,s:s}}",
        "messages", "role", "system", "content", text, "role", "user", "name", "n", "content", text,
        "role", "assistant", "content", text, "reasoning_content", text, "tool_calls", "id", "i",
        "type", "function", "function", "name", "f", "arguments",
        json_sprintf("{\"k\": \"%s\", \"%s\": 1}", text, text), "role", "tool", "tool_call_id", "i",
        "content", text, "tools", "type", "function", "function", "name", "f", "description", text,
        "options", "add_generation_prompt", 1, "think", "default");
    assert_non_null(one);
    if (render_as(one, format, 1, &w, &err) < 0) fail_msg("%s: %s", format, err.message);
    assert_int_equal(
        rmr_tokenizer_encode_ranges(t, w.text, w.n, w.markup, w.n_markup, ids, 1 << 20, &n, &err),
        REMORA_OK);
    for (size_t i = 0; i < n; i++)
        if (rmr_tokenizer_is_markup(t, ids[i])) out[kept++] = ids[i];
    rmr_chat_writer_free(&w);
    json_decref(one);
    return kept;
}

/* Tokens of a real tokenizer: each special one of DeepSeek-V3's 818, in every text at once. */
static void no_special_token_comes_from_a_text(void **state)
{
    static char text[1 << 16]; /* without quotes and backslashes, so it is JSON as it is */
    static remora_token plain[1 << 16], forged[1 << 16];
    rmr_source *src = NULL;
    (void)state;
    rmr_tokenizer *t = deepseek_v3(&src);
    assert_int_equal(all_names(t, text, sizeof text), 818);
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        const char *name = families[i].chat_format;
        if (strncmp(name, "deepseek", 8) != 0 || strncmp(name, "deepseek-v2", 11) == 0) continue;
        const size_t n = specials_of(t, name, "x", plain);
        assert_true(n >= 4);
        assert_int_equal(specials_of(t, name, text, forged), n);
        assert_memory_equal(plain, forged, n * sizeof *plain);
    }
    rmr_tokenizer_free(t);
    rmr_source_free(src);
    assert_int_equal(atomic_load(&mem.bytes), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_are_those_of_the_families),
        cmocka_unit_test(ids_are_those_of_deepseek_v3),
        cmocka_unit_test(no_special_token_comes_from_a_text),
    };
    if (argc != 2) return 2;
    folder = argv[1];
    rmr_mem_init(&mem);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The inputs of a case, read from its JSON, and its results, written as JSON. */
#include "run_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const json_t *enum_named(const world *w, const char *name)
{
    size_t i;
    json_t *each;
    json_array_foreach(json_object_get(w->abi, "enums"), i, each)
    {
        if (!strcmp(string_of(each, "name"), name)) return each;
    }
    fprintf(stderr, "remora.abi.json has no enum %s\n", name);
    exit(1);
}

const char *name_of(const world *w, const char *enumeration, int64_t value)
{
    size_t i;
    json_t *each;
    json_array_foreach(json_object_get(enum_named(w, enumeration), "values"), i, each)
    {
        if (json_integer_value(json_object_get(each, "value")) == value)
            return string_of(each, "name");
    }
    return NULL;
}

int64_t value_of(const world *w, const char *name)
{
    size_t i, k;
    json_t *list, *each;
    json_array_foreach(json_object_get(w->abi, "enums"), i, list)
    {
        json_array_foreach(json_object_get(list, "values"), k, each)
        {
            if (!strcmp(string_of(each, "name"), name))
                return json_integer_value(json_object_get(each, "value"));
        }
    }
    fprintf(stderr, "remora.abi.json has no value %s\n", name);
    exit(1);
}

int64_t flags_of(const world *w, const json_t *in, const char *key)
{
    int64_t flags = 0;
    size_t i;
    json_t *each;
    json_array_foreach(json_object_get(in, key), i, each)
    {
        flags |= value_of(w, json_string_value(each));
    }
    return flags;
}

remora_text text_of(const json_t *in, const char *key)
{
    const json_t *text = json_object_get(in, key);
    return (remora_text){json_string_value(text), json_string_length(text)};
}

const char *string_of(const json_t *in, const char *key)
{
    return json_string_value(json_object_get(in, key));
}

void put_tokens(json_t *want, const char *key, const remora_token *t, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_integer(t[i]));
    json_object_set_new(want, key, list);
}

void put_text(json_t *want, const char *key, const char *text, size_t n)
{
    json_object_set_new(want, key, json_stringn(text, n));
}

void put_model_info(json_t *want, const remora_model_info *info)
{
    json_object_set_new(want, "n_layers", json_integer(info->n_layers));
    json_object_set_new(want, "n_vocab", json_integer(info->n_vocab));
    json_object_set_new(want, "n_hidden", json_integer(info->n_hidden));
    json_object_set_new(want, "max_context", json_integer(info->max_context));
    json_object_set_new(want, "has_tokenizer", json_integer(info->has_tokenizer));
    json_object_set_new(want, "family", json_string(info->family));
}

void put_top(json_t *want, const remora_token_prob *top, size_t n)
{
    json_t *tokens = json_array(), *logits = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(tokens, json_integer(top[i].token));
        json_array_append_new(logits, json_real((double)top[i].logit));
    }
    json_object_set_new(want, "tokens", tokens);
    json_object_set_new(want, "logits", logits);
}

json_t *load_json(const char *root, const char *name, char *path, size_t cap)
{
    json_error_t why;
    snprintf(path, cap, "%s/%s", root, name);
    json_t *j = json_load_file(path, JSON_ALLOW_NUL, &why);
    if (!j) {
        fprintf(stderr, "%s: %s\n", path, why.text);
        exit(1);
    }
    return j;
}

int run_all_cases(json_t *cases, run_case_fn *run, void *user)
{
    size_t i;
    json_t *each;
    int bad = 0;
    json_array_foreach(cases, i, each)
    {
        json_t *got = json_object();
        run(user, each, got);
        if (!json_equal(got, json_object_get(each, "want"))) {
            char *text = json_dumps(got, 0);
            fprintf(stderr, "%s: gives %s\n", string_of(each, "name"), text);
            free(text);
            bad++;
        }
        json_object_set_new(each, "want", got);
    }
    printf("%zu cases, %d differ\n", json_array_size(cases), bad);
    return bad;
}

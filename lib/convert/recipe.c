/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe.h"

#include <string.h>

#include "json.h"
#include "yamltree.h"

enum { MAX_RECIPE = 1 << 20, MAX_NODES = 1 << 14 };

typedef struct builtin {
    const char *name, *text;
} builtin;

#define EXPERTS(type) "  - {match: '*.mlp.experts.*', type: " type "}\n"
/* kv_b_proj is small, read by both forms of attention, and sensitive: fewer than 8 bits save little
 * and cost much. */
#define KV "  - {match: '*.kv_b_proj.*', type: q8}\n"
#define REST(type) "  - {match: '*', type: " type "}\n"
#define RECIPE(name, rules)                                                                        \
    {                                                                                              \
        name, "name: " name "\nrules:\n" rules                                                     \
    }

static const builtin builtins[] = {
    RECIPE("keep", REST("keep")),
    RECIPE("bf16", REST("bf16")),
    RECIPE("fp8", "  - {match: model.embed_tokens, type: bf16}\n"
                  "  - {match: lm_head, type: bf16}\n" REST("fp8")),
    RECIPE("q8", REST("q8")),
    RECIPE("q6", KV REST("q6")),
    RECIPE("q5", KV REST("q5")),
    RECIPE("q4", KV REST("q4")),
    RECIPE("q3", KV REST("q3")),
    RECIPE("q2", KV REST("q2")),
    RECIPE("mixed-q4", EXPERTS("IQ4_XS") "  - {match: model.embed_tokens, type: IQ4_XS}\n"
                                         "  - {match: lm_head, type: q5}\n" KV
                                         "  - {match: '*.self_attn.*', type: q5}\n" REST("q4")),
    RECIPE("experts-q4", EXPERTS("q4") REST("q8")),
    RECIPE("experts-q3", EXPERTS("q3") REST("q8")),
    RECIPE("experts-q2",
           "  - {match: '*.mlp.experts.down_proj', type: q3}\n" EXPERTS("q2") REST("q8")),
};

const char *rmr_recipe_builtin(uint32_t i, const char **text)
{
    if (i >= sizeof builtins / sizeof *builtins) return NULL;
    if (text != NULL) *text = builtins[i].text;
    return builtins[i].name;
}

/* ---- types ---- */

typedef struct type_name {
    const char *name;
    rmr_elem elem;
} type_name;

/* Short names; the names of quant.h count as well. */
static const type_name types[] = {
    {"bf16", RMR_ELEM_BF16}, {"f16", RMR_ELEM_F16}, {"f32", RMR_ELEM_F32}, {"fp8", RMR_ELEM_F8},
    {"q8", RMR_ELEM_Q8_0},   {"q6", RMR_ELEM_Q6_K}, {"q5", RMR_ELEM_Q5_K}, {"q4", RMR_ELEM_Q4_K},
    {"q3", RMR_ELEM_Q3_K},   {"q2", RMR_ELEM_Q2_K},
};

/* RMR_ELEM_COUNT: keep; -1: no type. */
static int find_type(const char *name)
{
    if (strcmp(name, "keep") == 0) return RMR_ELEM_COUNT;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0) return (int)types[i].elem;
    const rmr_elem e = rmr_elem_find(name);
    return e != RMR_ELEM_COUNT ? (int)e : -1;
}

/* The type in place of one whose blocks do not fit the width: never of fewer bits. */
static rmr_elem wider(rmr_elem e)
{
    switch (e) {
    case RMR_ELEM_Q2_K:
    case RMR_ELEM_Q3_K:
    case RMR_ELEM_Q4_K:
    case RMR_ELEM_IQ4_XS: return RMR_ELEM_IQ4_NL;
    case RMR_ELEM_Q5_K:
    case RMR_ELEM_Q6_K: return RMR_ELEM_Q8_0;
    default: return RMR_ELEM_BF16;
    }
}

/* ---- reading ---- */

static remora_status check_rules(const json_t *root, remora_error *err)
{
    const json_t *rules = json_object_get(root, "rules");
    size_t i;
    json_t *rule;
    if (!json_is_array(rules) || json_array_size(rules) == 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "recipe: rules is not a list of {match, type}");
    json_array_foreach(rules, i, rule)
    {
        const char *match = json_string_value(json_object_get(rule, "match"));
        const char *type = json_string_value(json_object_get(rule, "type"));
        if (match == NULL || type == NULL || json_object_size(rule) != 2)
            RMR_FAIL(err, REMORA_E_FORMAT, "recipe: rule %zu is not {match, type}", i + 1);
        if (find_type(type) < 0)
            RMR_FAIL(err, REMORA_E_FORMAT, "recipe: rule %zu: there is no type %s", i + 1,
                     rmr_show(type).text);
    }
    return REMORA_OK;
}

static remora_status no_such(const char *name, remora_error *err)
{
    char list[160] = "";
    size_t at = 0;
    for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++) {
        const size_t n = strlen(builtins[i].name);
        if (at + n + 2 >= sizeof list) break;
        if (i > 0) list[at++] = ' ';
        memcpy(list + at, builtins[i].name, n + 1);
        at += n;
    }
    RMR_FAIL(err, REMORA_E_NOT_FOUND, "no recipe %s; there are: %s", rmr_show(name).text, list);
}

remora_status rmr_recipe_open(const char *text, rmr_recipe *out, remora_error *err)
{
    out->root = NULL;
    if (strpbrk(text, ":\n") == NULL) {
        const char *name = text;
        text = NULL;
        for (size_t i = 0; i < sizeof builtins / sizeof *builtins; i++)
            if (strcmp(builtins[i].name, name) == 0) text = builtins[i].text;
        if (text == NULL) return no_such(name, err);
    }
    const size_t n = strlen(text);
    if (n > MAX_RECIPE) RMR_FAIL(err, REMORA_E_FORMAT, "recipe: %zu bytes are too many", n);
    RMR_TRY(rmr_yaml_parse("recipe", text, n, MAX_NODES, &out->root, err));
    const remora_status st = check_rules(out->root, err);
    if (st < 0) rmr_recipe_free(out);
    return st;
}

void rmr_recipe_free(rmr_recipe *r)
{
    json_decref(r->root);
    r->root = NULL;
}

/* ---- using ---- */

/* `*` is any text, `?` any one character. */
static int matches(const char *pattern, const char *name)
{
    const char *star = NULL, *back = NULL;
    while (*name != 0) {
        if (*pattern == '*') {
            star = ++pattern;
            back = name;
        } else if (*pattern == '?' || *pattern == *name) {
            pattern++;
            name++;
        } else if (star != NULL) {
            pattern = star;
            name = ++back;
        } else {
            return 0;
        }
    }
    while (*pattern == '*') pattern++;
    return *pattern == 0;
}

static int is_router(const char *name)
{
    const size_t n = strlen(name);
    return n >= 9 && strcmp(name + n - 9, ".mlp.gate") == 0;
}

rmr_elem rmr_recipe_elem(const rmr_recipe *r, const rmr_weight_plan_item *it)
{
    const rmr_weight_desc *d = &it->desc;
    size_t i;
    json_t *v;
    int e = RMR_ELEM_COUNT;
    json_array_foreach(json_object_get(r->root, "rules"), i, v)
    {
        if (!matches(json_string_value(json_object_get(v, "match")), it->name)) continue;
        e = find_type(json_string_value(json_object_get(v, "type")));
        break;
    }
    if (d->use == RMR_USE_VECTOR) return RMR_ELEM_F32;
    if (e == RMR_ELEM_COUNT || is_router(it->name)) return d->elem;
    while (!rmr_elem_fits((rmr_elem)e, d->cols)) e = (int)wider((rmr_elem)e);
    return (rmr_elem)e;
}

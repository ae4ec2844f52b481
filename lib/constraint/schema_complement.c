/* SPDX-License-Identifier: Apache-2.0 */
/* What a schema refuses, as a union: one way for each keyword that a value may break. */
#include "schema_parts.h"

static void add(schema *s, const schema_union **u, const schema_union *way)
{
    *u = rmr_schema_either(s, *u, way);
}

/* A number or string that a language of its type does not have. */
static void add_other(schema *s, schema_union *u, rmr_rx number, rmr_rx string)
{
    if (number != SCHEMA_ALL)
        u->number = rmr_rx_and2(s->rx, rmr_schema_number_plain(s), rmr_rx_not(s->rx, number));
    if (string != SCHEMA_ALL)
        u->string = rmr_rx_and2(s->rx, rmr_schema_any_string(s), rmr_rx_not(s->rx, string));
}

static const schema_union *break_enum(schema *s, const rmr_node *values)
{
    const schema_union *scalars = rmr_schema_enum(s, values), *r;
    schema_union *u = rmr_schema_new(s);
    if (u == NULL || scalars == NULL) return NULL;
    *u = *rmr_schema_all(s);
    u->words = WORD_ANY & ~scalars->words;
    if (scalars->number != RMR_RX_NONE) add_other(s, u, scalars->number, SCHEMA_ALL);
    if (scalars->string != RMR_RX_NONE) add_other(s, u, SCHEMA_ALL, scalars->string);
    r = u;
    for (const rmr_node *e = values->first; e != NULL && !rmr_schema_failed(s); e = e->next)
        if (e->kind >= RMR_JSON_ARRAY) r = rmr_schema_both(s, r, rmr_schema_constant(s, e, 1));
    return r;
}

/* ---- objects ---- */

static void wrong_key(schema *s, schema_union *u, const rmr_node *m)
{
    schema_object *o = rmr_schema_object_new(s, u);
    rmr_schema_add_rule(s, o, rmr_schema_one_key(s, m->key, m->key_n),
                        rmr_schema_not(rmr_schema_of(m)));
    rmr_schema_add_required(s, o, m->key, m->key_n);
}

static void absent(schema *s, schema_union *u, const rmr_node *has, const rmr_node *name)
{
    schema_object *o = rmr_schema_object_new(s, u);
    if (has != NULL) rmr_schema_add_required(s, o, has->key, has->key_n);
    rmr_schema_add_rule(s, o, rmr_schema_one_key(s, name->text, name->n), rmr_schema_of(&s->no));
}

static const rmr_node *first_of(const rmr_node *n, const char *key, rmr_json_kind kind)
{
    const rmr_node *v = rmr_node_get(n, key);
    return v != NULL && v->kind == kind ? v->first : NULL;
}

static void object_counts(schema *s, schema_union *u, const rmr_node *n)
{
    const uint32_t min = rmr_schema_bound(s, n, "minProperties", 0);
    const uint32_t max = rmr_schema_bound(s, n, "maxProperties", SCHEMA_MANY);
    schema_object *few = min > 0 ? rmr_schema_object_new(s, u) : NULL;
    schema_object *many = max < SCHEMA_MANY ? rmr_schema_object_new(s, u) : NULL;
    if (few != NULL) few->max = min - 1;
    if (many != NULL) many->min = max + 1;
}

static void break_object(schema *s, schema_union *u, const rmr_node *n)
{
    const rmr_node *rest = rmr_node_get(n, "additionalProperties");
    const rmr_node *names = s->draft > 4 ? rmr_node_get(n, "propertyNames") : NULL;
    const char *deps = s->draft > 7 ? "dependentRequired" : "dependencies";
    for (const rmr_node *m = first_of(n, "properties", RMR_JSON_OBJECT); m != NULL; m = m->next)
        wrong_key(s, u, m);
    for (const rmr_node *m = first_of(n, "patternProperties", RMR_JSON_OBJECT); m != NULL;
         m = m->next)
        rmr_schema_add_some(s, rmr_schema_object_new(s, u), rmr_schema_one_pattern(s, m),
                            rmr_schema_not(rmr_schema_of(m)));
    if (rest != NULL)
        rmr_schema_add_some(s, rmr_schema_object_new(s, u), rmr_schema_keys_of(s, n, 1),
                            rmr_schema_not(rmr_schema_of(rest)));
    if (names != NULL)
        rmr_schema_add_some(s, rmr_schema_object_new(s, u), rmr_schema_keys_not_of(s, names),
                            rmr_schema_of(&s->yes));
    for (const rmr_node *v = first_of(n, "required", RMR_JSON_ARRAY); v != NULL; v = v->next)
        absent(s, u, NULL, v);
    for (const rmr_node *m = first_of(n, deps, RMR_JSON_OBJECT); m != NULL; m = m->next)
        for (const rmr_node *v = m->kind == RMR_JSON_ARRAY ? m->first : NULL; v != NULL;
             v = v->next)
            absent(s, u, m, v);
    object_counts(s, u, n);
}

static const schema_union *break_dependents(schema *s, const rmr_node *n)
{
    const char *key = s->draft > 7 ? "dependentSchemas" : "dependencies";
    const schema_union *u = rmr_schema_none(s);
    for (const rmr_node *m = first_of(n, key, RMR_JSON_OBJECT); m != NULL; m = m->next) {
        schema_union *has = rmr_schema_new(s);
        if (m->kind == RMR_JSON_ARRAY || has == NULL) continue;
        rmr_schema_add_required(s, rmr_schema_object_new(s, has), m->key, m->key_n);
        add(s, &u,
            rmr_schema_both(s, has,
                            rmr_schema_expand_literal(s, rmr_schema_not(rmr_schema_of(m)))));
    }
    return u;
}

/* ---- arrays ---- */

static void array_counts(schema *s, schema_union *u, const rmr_node *n)
{
    const uint32_t min = rmr_schema_bound(s, n, "minItems", 0);
    const uint32_t max = rmr_schema_bound(s, n, "maxItems", SCHEMA_MANY);
    schema_array *few = min > 0 ? rmr_schema_array_new(s, u) : NULL;
    schema_array *many = max < SCHEMA_MANY ? rmr_schema_array_new(s, u) : NULL;
    if (few != NULL) few->max = min - 1;
    if (many != NULL) many->min = max + 1;
}

static void break_contains(schema *s, schema_union *u, const rmr_node *n)
{
    const rmr_node *has = s->draft > 4 ? rmr_node_get(n, "contains") : NULL;
    const int counted = s->draft > 7;
    if (has == NULL) return;
    const uint32_t min = counted ? rmr_schema_bound(s, n, "minContains", 1) : 1;
    const uint32_t max = counted ? rmr_schema_bound(s, n, "maxContains", SCHEMA_MANY) : SCHEMA_MANY;
    if (min > 0)
        rmr_schema_add_contains(s, rmr_schema_array_new(s, u),
                                (schema_contains){rmr_schema_of(has), 0, 0, min - 1});
    if (max < SCHEMA_MANY)
        rmr_schema_add_contains(s, rmr_schema_array_new(s, u),
                                (schema_contains){rmr_schema_of(has), 0, max + 1, SCHEMA_MANY});
}

static void break_array(schema *s, schema_union *u, const rmr_node *n)
{
    const schema_items items = rmr_schema_items_of(s, n);
    const rmr_node *unique = rmr_node_get(n, "uniqueItems");
    uint32_t i = 0;
    for (const rmr_node *v = items.list != NULL ? items.list->first : NULL; v != NULL;
         v = v->next, i++) {
        schema_array *a = rmr_schema_array_new(s, u);
        if (a == NULL) return;
        a->min = i + 1;
        rmr_schema_add_item(s, a, i, i + 1, rmr_schema_not(rmr_schema_of(v)));
    }
    if (items.rest != NULL)
        rmr_schema_add_contains(
            s, rmr_schema_array_new(s, u),
            (schema_contains){rmr_schema_not(rmr_schema_of(items.rest)), i, 1, SCHEMA_MANY});
    array_counts(s, u, n);
    break_contains(s, u, n);
    /* Left out, the complement refuses more than it has to. */
    if (unique != NULL && unique->kind == RMR_JSON_TRUE)
        (void)rmr_schema_skip(s, unique, "uniqueItems inside not");
}

/* ---- schemas of the same value ---- */

static const schema_union *break_one_of(schema *s, const rmr_node *list)
{
    const schema_union *none = rmr_schema_all(s), *u;
    for (const rmr_node *v = list->first; v != NULL && !rmr_schema_failed(s); v = v->next)
        none = rmr_schema_both(s, none,
                               rmr_schema_expand_literal(s, rmr_schema_not(rmr_schema_of(v))));
    u = none;
    for (const rmr_node *v = list->first; v != NULL; v = v->next)
        for (const rmr_node *w = v->next; w != NULL && !rmr_schema_failed(s); w = w->next)
            add(s, &u,
                rmr_schema_both(s, rmr_schema_expand_literal(s, rmr_schema_of(v)),
                                rmr_schema_expand_literal(s, rmr_schema_of(w))));
    return u;
}

static const schema_union *break_if(schema *s, const rmr_node *n)
{
    const rmr_node *cond = s->draft >= 7 ? rmr_node_get(n, "if") : NULL;
    const rmr_node *then = rmr_node_get(n, "then"), *other = rmr_node_get(n, "else");
    const schema_union *u = rmr_schema_none(s);
    if (cond != NULL && then != NULL)
        add(s, &u,
            rmr_schema_both(s, rmr_schema_expand_literal(s, rmr_schema_of(cond)),
                            rmr_schema_expand_literal(s, rmr_schema_not(rmr_schema_of(then)))));
    if (cond != NULL && other != NULL)
        add(s, &u,
            rmr_schema_both(s, rmr_schema_expand_literal(s, rmr_schema_not(rmr_schema_of(cond))),
                            rmr_schema_expand_literal(s, rmr_schema_not(rmr_schema_of(other)))));
    return u;
}

static const schema_union *break_schemas(schema *s, const rmr_node *n)
{
    static const char *const refs[] = {"$ref", "$dynamicRef", "$recursiveRef"};
    const schema_union *u = rmr_schema_none(s);
    for (int i = 0; i < 3; i++) {
        const rmr_node *ref = rmr_node_get(n, refs[i]);
        const rmr_node *to = ref != NULL ? rmr_schema_ref(s, n, ref) : NULL;
        if (to != NULL) add(s, &u, rmr_schema_expand_literal(s, rmr_schema_not(rmr_schema_of(to))));
        if (to != NULL && s->draft <= 7) return u;
    }
    for (const rmr_node *e = first_of(n, "allOf", RMR_JSON_ARRAY); e != NULL; e = e->next)
        add(s, &u, rmr_schema_expand_literal(s, rmr_schema_not(rmr_schema_of(e))));
    const rmr_node *any = first_of(n, "anyOf", RMR_JSON_ARRAY);
    const schema_union *none = rmr_schema_all(s);
    for (const rmr_node *e = any; e != NULL && !rmr_schema_failed(s); e = e->next)
        none = rmr_schema_both(s, none,
                               rmr_schema_expand_literal(s, rmr_schema_not(rmr_schema_of(e))));
    if (any != NULL) add(s, &u, none);
    const rmr_node *one = rmr_node_get(n, "oneOf"), *not = rmr_node_get(n, "not");
    if (one != NULL) add(s, &u, break_one_of(s, one));
    if (not != NULL) add(s, &u, rmr_schema_expand_literal(s, rmr_schema_of(not )));
    add(s, &u, break_if(s, n));
    add(s, &u, break_dependents(s, n));
    return u;
}

const schema_union *rmr_schema_complement(schema *s, const rmr_node *n)
{
    if (n->kind != RMR_JSON_OBJECT)
        return n->kind == RMR_JSON_TRUE ? rmr_schema_none(s) : rmr_schema_all(s);
    const rmr_node *v = s->draft <= 7 ? rmr_node_get(n, "$ref") : NULL;
    if (v != NULL && v->kind == RMR_JSON_STRING) return break_schemas(s, n);
    const schema_union *u = break_schemas(s, n);
    schema_union *own = rmr_schema_new(s);
    if (own == NULL) return NULL;
    if ((v = rmr_node_get(n, "type")) != NULL) add(s, &u, rmr_schema_type(s, v, 1));
    if ((v = rmr_node_get(n, "const")) != NULL && s->draft > 4)
        add(s, &u, rmr_schema_constant(s, v, 1));
    if ((v = rmr_node_get(n, "enum")) != NULL && v->kind == RMR_JSON_ARRAY) {
        const schema_union *other = break_enum(s, v);
        add(s, &u, other);
    }
    add_other(s, own, rmr_schema_number_of(s, n), rmr_schema_string_of(s, n));
    break_object(s, own, n);
    break_array(s, own, n);
    if (s->draft > 7 && (v = rmr_node_get(n, "unevaluatedProperties")) != NULL)
        (void)rmr_schema_skip(s, v, "unevaluatedProperties inside not");
    if (s->draft > 7 && (v = rmr_node_get(n, "unevaluatedItems")) != NULL)
        (void)rmr_schema_skip(s, v, "unevaluatedItems inside not");
    add(s, &u, own);
    return u;
}

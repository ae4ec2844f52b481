/* SPDX-License-Identifier: Apache-2.0 */
/* A schema as a union: what its keywords say of the value itself. */
#include <string.h>

#include "schema_parts.h"

enum { TOGETHER_MAX = 6 };

uint32_t rmr_schema_bound(schema *s, const rmr_node *n, const char *key, uint32_t none)
{
    const rmr_node *v = rmr_node_get(n, key);
    uint32_t x;
    if (v == NULL) return none;
    if (rmr_node_count(v, &x)) return x;
    rmr_schema_fail(s, REMORA_E_ARG, "schema: %s is no whole number of 0 or more", key);
    return none;
}

/* ---- keys ---- */

static const rmr_node *members(const rmr_node *n, const char *key)
{
    const rmr_node *o = rmr_node_get(n, key);
    return o != NULL && o->kind == RMR_JSON_OBJECT ? o : NULL;
}

const schema_keys *rmr_schema_keys_of(schema *s, const rmr_node *n, int others)
{
    const rmr_node *props = members(n, "properties"), *pats = members(n, "patternProperties");
    schema_keys *k = rmr_schema_take(s, 1, sizeof *k);
    if (k == NULL) return NULL;
    k->others = others;
    k->names = rmr_schema_take(s, props != NULL ? props->n : 0, sizeof *k->names);
    k->patterns = rmr_schema_take(s, pats != NULL ? pats->n : 0, sizeof *k->patterns);
    if (k->names == NULL || k->patterns == NULL) return NULL;
    for (const rmr_node *m = props != NULL ? props->first : NULL; m != NULL; m = m->next)
        k->names[k->n_names++] = (schema_name){m->key, m->key_n};
    for (const rmr_node *m = pats != NULL ? pats->first : NULL; m != NULL; m = m->next)
        k->patterns[k->n_patterns++] = m;
    return k;
}

const schema_keys *rmr_schema_one_key(schema *s, const char *key, size_t n)
{
    schema_keys *k = rmr_schema_take(s, 1, sizeof *k);
    if (k == NULL || (k->names = rmr_schema_take(s, 1, sizeof *k->names)) == NULL) return NULL;
    k->names[0] = (schema_name){key, n};
    k->n_names = 1;
    return k;
}

const schema_keys *rmr_schema_one_pattern(schema *s, const rmr_node *member)
{
    schema_keys *k = rmr_schema_take(s, 1, sizeof *k);
    if (k == NULL || (k->patterns = rmr_schema_take(s, 1, sizeof *k->patterns)) == NULL)
        return NULL;
    k->patterns[0] = member;
    k->n_patterns = 1;
    return k;
}

const schema_keys *rmr_schema_keys_not_of(schema *s, const rmr_node *names)
{
    schema_keys *k = rmr_schema_take(s, 1, sizeof *k);
    if (k == NULL || (k->patterns = rmr_schema_take(s, 1, sizeof *k->patterns)) == NULL)
        return NULL;
    k->patterns[0] = names;
    k->n_patterns = 1;
    k->of_names = 1;
    k->others = 1;
    return k;
}

rmr_rx rmr_schema_keys_pattern(schema *s, const schema_keys *k, uint32_t i)
{
    const rmr_node *node = k->patterns[i];
    for (const schema_cached *c = s->patterns; c != NULL; c = c->next)
        if (c->node == node) return c->rx;
    schema_cached *c = rmr_schema_take(s, 1, sizeof *c);
    if (c == NULL) return RMR_RX_NONE;
    if (k->of_names) {
        const schema_union *u = rmr_schema_expand_literal(s, rmr_schema_of(node));
        c->rx =
            u == NULL ? RMR_RX_NONE : rmr_schema_rx_both(s, u->string, rmr_schema_any_string(s));
    } else {
        c->rx = rmr_schema_quoted(s, rmr_schema_pattern(s, node, node->key, node->key_n));
    }
    if (rmr_schema_failed(s)) return RMR_RX_NONE;
    c->node = node;
    c->next = s->patterns;
    s->patterns = c;
    return c->rx;
}

int rmr_schema_keys_have(schema *s, const schema_keys *k, const char *name, size_t n)
{
    for (uint32_t i = 0; i < k->n_names; i++)
        if (k->names[i].n == n && memcmp(k->names[i].text, name, n) == 0) return !k->others;
    for (uint32_t i = 0; i < k->n_patterns; i++) {
        const rmr_rx p = rmr_schema_keys_pattern(s, k, i);
        if (rmr_schema_has_text(s, p, name, n)) return !k->others;
    }
    return k->others;
}

/* ---- objects ---- */

/* An array of strings as required keys. */
static void require(schema *s, schema_object *o, const rmr_node *names)
{
    if (names == NULL || names->kind != RMR_JSON_ARRAY) return; /* draft 3 had a word there */
    for (const rmr_node *v = names->first; v != NULL; v = v->next) {
        if (v->kind != RMR_JSON_STRING)
            rmr_schema_fail(s, REMORA_E_ARG, "schema: required has an element that is no string");
        rmr_schema_add_required(s, o, v->text, v->n);
    }
}

static void imply(schema *s, schema_object *o, const rmr_node *deps)
{
    if (o == NULL || deps == NULL || deps->kind != RMR_JSON_OBJECT) return;
    schema_implied *list = rmr_schema_take(s, deps->n, sizeof *list);
    if (list == NULL) return;
    o->implied = list;
    for (const rmr_node *m = deps->first; m != NULL; m = m->next)
        if (m->kind == RMR_JSON_ARRAY && m->n > 0)
            list[o->n_implied++] = (schema_implied){{m->key, m->key_n}, m};
}

static void see_keys(schema *s, schema_object *o, const rmr_node *n, int all)
{
    if (o == NULL || !s->unevaluated) return;
    o->seen = rmr_schema_take(s, 1, sizeof *o->seen);
    if (o->seen == NULL || (o->seen[0] = rmr_schema_keys_of(s, n, 0)) == NULL) return;
    o->n_seen = 1;
    o->seen_all = all;
}

static void object_of(schema *s, schema_object *o, const rmr_node *n)
{
    const rmr_node *props = members(n, "properties"), *pats = members(n, "patternProperties");
    const rmr_node *rest = rmr_node_get(n, "additionalProperties");
    const rmr_node *names = s->draft > 4 ? rmr_node_get(n, "propertyNames") : NULL;
    if (o == NULL) return;
    for (const rmr_node *m = props != NULL ? props->first : NULL; m != NULL; m = m->next)
        rmr_schema_add_rule(s, o, rmr_schema_one_key(s, m->key, m->key_n), rmr_schema_of(m));
    for (const rmr_node *m = pats != NULL ? pats->first : NULL; m != NULL; m = m->next)
        rmr_schema_add_rule(s, o, rmr_schema_one_pattern(s, m), rmr_schema_of(m));
    if (rest != NULL) rmr_schema_add_rule(s, o, rmr_schema_keys_of(s, n, 1), rmr_schema_of(rest));
    if (names != NULL && names->kind != RMR_JSON_TRUE)
        rmr_schema_add_rule(s, o, rmr_schema_keys_not_of(s, names), rmr_schema_of(&s->no));
    require(s, o, rmr_node_get(n, "required"));
    imply(s, o, rmr_node_get(n, s->draft > 7 ? "dependentRequired" : "dependencies"));
    o->min = rmr_schema_bound(s, n, "minProperties", 0);
    o->max = rmr_schema_bound(s, n, "maxProperties", SCHEMA_MANY);
    see_keys(s, o, n, rest != NULL);
}

/* ---- arrays ---- */

schema_items rmr_schema_items_of(schema *s, const rmr_node *n)
{
    const rmr_node *items = rmr_node_get(n, "items");
    schema_items r = {NULL, items};
    if (s->draft >= 2020) {
        r.list = rmr_node_get(n, "prefixItems");
    } else if (items != NULL && items->kind == RMR_JSON_ARRAY) {
        r.list = items;
        r.rest = rmr_node_get(n, "additionalItems");
    }
    if (r.list != NULL && r.list->kind != RMR_JSON_ARRAY) r.list = NULL;
    if (r.rest != NULL && r.rest->kind == RMR_JSON_ARRAY) {
        rmr_schema_fail(s, REMORA_E_ARG,
                        "schema: items is an array; since 2020-12 that is prefixItems");
        r.rest = NULL;
    }
    return r;
}

static void array_of(schema *s, schema_array *a, const rmr_node *n)
{
    const schema_items items = rmr_schema_items_of(s, n);
    const rmr_node *has = s->draft > 4 ? rmr_node_get(n, "contains") : NULL;
    const rmr_node *unique = rmr_node_get(n, "uniqueItems");
    uint32_t i = 0;
    if (a == NULL) return;
    for (const rmr_node *v = items.list != NULL ? items.list->first : NULL; v != NULL; v = v->next)
        rmr_schema_add_item(s, a, i, i + 1, rmr_schema_of(v)), i++;
    a->seen = items.rest != NULL ? SCHEMA_MANY : i;
    if (items.rest != NULL) rmr_schema_add_item(s, a, i, SCHEMA_MANY, rmr_schema_of(items.rest));
    a->min = rmr_schema_bound(s, n, "minItems", 0);
    a->max = rmr_schema_bound(s, n, "maxItems", SCHEMA_MANY);
    a->unique = unique != NULL && unique->kind == RMR_JSON_TRUE ? unique : NULL;
    if (has == NULL) return;
    const int counted = s->draft > 7;
    const uint32_t min = counted ? rmr_schema_bound(s, n, "minContains", 1) : 1;
    const uint32_t max = counted ? rmr_schema_bound(s, n, "maxContains", SCHEMA_MANY) : SCHEMA_MANY;
    a->seen_contained = s->draft >= 2020;
    if (min > 0 || max != SCHEMA_MANY || s->unevaluated)
        rmr_schema_add_contains(s, a, (schema_contains){rmr_schema_of(has), 0, min, max});
}

/* ---- one schema ---- */

/* What type, the keywords of scalars, arrays and objects say together. */
static const schema_union *base(schema *s, const rmr_node *n)
{
    const rmr_node *type = rmr_node_get(n, "type");
    const schema_union *t = type != NULL ? rmr_schema_type(s, type, 0) : rmr_schema_all(s);
    schema_union *u = rmr_schema_new(s);
    if (t == NULL || u == NULL) return NULL;
    u->words = t->words;
    u->number = t->number == RMR_RX_NONE
                    ? RMR_RX_NONE
                    : rmr_schema_rx_both(s, t->number, rmr_schema_number_of(s, n));
    u->string = t->string == RMR_RX_NONE ? RMR_RX_NONE : rmr_schema_string_of(s, n);
    if (t->n_arrays > 0) array_of(s, rmr_schema_array_new(s, u), n);
    if (t->n_objects > 0) object_of(s, rmr_schema_object_new(s, u), n);
    return u;
}

static const schema_union *any_of(schema *s, const rmr_node *list)
{
    const schema_union *u = rmr_schema_none(s);
    /* What several of them have evaluated counts together, so each choice of them is a way. Of many
     * schemas each one alone is: that refuses more, and takes nothing wrong. */
    const uint32_t ways = s->unevaluated && list->n <= TOGETHER_MAX ? 1u << list->n : 0;
    for (uint32_t w = 1; w < ways; w++) {
        const schema_union *both = rmr_schema_all(s);
        uint32_t i = 0;
        for (const rmr_node *v = list->first; v != NULL; v = v->next, i++)
            if (w >> i & 1)
                both = rmr_schema_both(s, both, rmr_schema_expand_literal(s, rmr_schema_of(v)));
        u = rmr_schema_either(s, u, both);
    }
    for (const rmr_node *v = ways == 0 ? list->first : NULL; v != NULL; v = v->next) {
        u = rmr_schema_either(s, u, rmr_schema_expand_literal(s, rmr_schema_of(v)));
        if (rmr_schema_failed(s)) return NULL;
    }
    return u;
}

/* Each of them without the others; those that cannot hold together need no complement. */
static const schema_union *one_of(schema *s, const rmr_node *list)
{
    const schema_union *u = rmr_schema_none(s);
    for (const rmr_node *v = list->first; v != NULL; v = v->next) {
        const schema_union *one = rmr_schema_expand_literal(s, rmr_schema_of(v));
        for (const rmr_node *w = list->first; w != NULL; w = w->next) {
            if (w == v || !rmr_grammar_fuel(s->g, 4)) continue;
            const schema_union *both =
                rmr_schema_both(s, one, rmr_schema_expand_literal(s, rmr_schema_of(w)));
            if (rmr_schema_failed(s)) return NULL;
            if (rmr_schema_union_empty(s, both)) continue;
            one = rmr_schema_both(s, one,
                                  rmr_schema_expand_literal(s, rmr_schema_not(rmr_schema_of(w))));
        }
        u = rmr_schema_either(s, u, one);
        if (rmr_schema_failed(s)) return NULL;
    }
    return u;
}

static const schema_union *if_then(schema *s, const rmr_node *n)
{
    const rmr_node *cond = rmr_node_get(n, "if");
    const rmr_node *then = rmr_node_get(n, "then"), *other = rmr_node_get(n, "else");
    if (cond == NULL || s->draft < 7 || (then == NULL && other == NULL && !s->unevaluated))
        return rmr_schema_all(s);
    const schema_union *a = rmr_schema_expand_literal(s, rmr_schema_of(cond));
    const schema_union *b = rmr_schema_expand_literal(s, rmr_schema_not(rmr_schema_of(cond)));
    if (then != NULL) a = rmr_schema_both(s, a, rmr_schema_expand_literal(s, rmr_schema_of(then)));
    if (other != NULL)
        b = rmr_schema_both(s, b, rmr_schema_expand_literal(s, rmr_schema_of(other)));
    return rmr_schema_either(s, a, b);
}

/* Where the key is, the schema holds too. */
static const schema_union *dependent(schema *s, const rmr_node *m)
{
    schema_union *has = rmr_schema_new(s), *not = rmr_schema_new(s);
    if (has == NULL || not == NULL) return NULL;
    *not = *rmr_schema_all(s);
    not ->n_objects = 0;
    not ->objects = NULL;
    rmr_schema_add_rule(s, rmr_schema_object_new(s, not ), rmr_schema_one_key(s, m->key, m->key_n),
                        rmr_schema_of(&s->no));
    rmr_schema_add_required(s, rmr_schema_object_new(s, has), m->key, m->key_n);
    return rmr_schema_either(
        s, not, rmr_schema_both(s, has, rmr_schema_expand_literal(s, rmr_schema_of(m))));
}

static const schema_union *dependents(schema *s, const schema_union *u, const rmr_node *n)
{
    const rmr_node *deps = rmr_node_get(n, s->draft > 7 ? "dependentSchemas" : "dependencies");
    if (deps == NULL || deps->kind != RMR_JSON_OBJECT) return u;
    for (const rmr_node *m = deps->first; m != NULL && !rmr_schema_failed(s); m = m->next)
        if (m->kind != RMR_JSON_ARRAY) u = rmr_schema_both(s, u, dependent(s, m));
    return u;
}

static const schema_union *references(schema *s, const schema_union *u, const rmr_node *n)
{
    static const char *const keys[] = {"$ref", "$dynamicRef", "$recursiveRef"};
    for (int i = 0; i < (s->draft > 7 ? 3 : 1); i++) {
        const rmr_node *ref = rmr_node_get(n, keys[i]);
        const rmr_node *to = ref != NULL ? rmr_schema_ref(s, n, ref) : NULL;
        if (to != NULL) u = rmr_schema_both(s, u, rmr_schema_expand_literal(s, rmr_schema_of(to)));
    }
    return u;
}

/* ---- unevaluated ---- */

/* Keys that nothing has evaluated obey the schema. */
static void unseen_keys(schema *s, schema_object *o, const rmr_node *rest)
{
    schema_keys *k = rmr_schema_take(s, 1, sizeof *k);
    uint32_t names = 0, pats = 0;
    for (uint32_t i = 0; i < o->n_seen; i++) {
        names += o->seen[i]->n_names;
        pats += o->seen[i]->n_patterns;
    }
    if (k == NULL || (k->names = rmr_schema_take(s, names, sizeof *k->names)) == NULL ||
        (k->patterns = rmr_schema_take(s, pats, sizeof *k->patterns)) == NULL)
        return;
    k->others = 1;
    for (uint32_t i = 0; i < o->n_seen; i++) {
        const schema_keys *e = o->seen[i];
        for (uint32_t j = 0; j < e->n_names; j++) k->names[k->n_names++] = e->names[j];
        for (uint32_t j = 0; j < e->n_patterns; j++) k->patterns[k->n_patterns++] = e->patterns[j];
    }
    if (!o->seen_all) rmr_schema_add_rule(s, o, k, rmr_schema_of(rest));
    o->seen_all = 1;
}

/* {"anyOf": [schemas of contains .., rest]} */
static const rmr_node *contained_or(schema *s, const schema_array *a, const rmr_node *rest)
{
    rmr_node *n = rmr_schema_take(s, 2 * (size_t)a->n_contains + 4, sizeof *n), *list = n + 1;
    if (n == NULL) return NULL;
    n->kind = RMR_JSON_OBJECT;
    n->first = n->last = list;
    n->n = 1;
    n->number = ++s->count;
    list->kind = RMR_JSON_ARRAY;
    list->key = "anyOf";
    list->key_n = 5;
    list->up = n;
    for (uint32_t i = 0; i <= a->n_contains; i++) {
        rmr_node *e = list + 1 + i;
        if (i < a->n_contains && a->contains[i].lit.not ) continue;
        *e = i < a->n_contains ? *a->contains[i].lit.node : *rest;
        e->next = NULL;
        if (list->last != NULL)
            list->last->next = e;
        else
            list->first = e;
        list->last = e;
        list->n++;
    }
    return n;
}

static void unseen_items(schema *s, schema_array *a, const rmr_node *rest)
{
    if (a->seen == SCHEMA_MANY) return;
    const rmr_node *l = a->seen_contained && a->n_contains > 0 ? contained_or(s, a, rest) : rest;
    if (l != NULL) rmr_schema_add_item(s, a, a->seen, SCHEMA_MANY, rmr_schema_of(l));
    a->seen = SCHEMA_MANY;
}

static const schema_union *unevaluated(schema *s, const schema_union *u, const rmr_node *n)
{
    const rmr_node *keys = rmr_node_get(n, "unevaluatedProperties");
    const rmr_node *items = rmr_node_get(n, "unevaluatedItems");
    schema_union *r = rmr_schema_new(s);
    if (s->draft <= 7 || u == NULL || r == NULL || (keys == NULL && items == NULL)) return u;
    *r = *u;
    r->n_arrays = r->n_objects = 0;
    r->arrays = NULL;
    r->objects = NULL;
    for (uint32_t i = 0; i < u->n_arrays; i++) {
        schema_array *a = rmr_schema_array_copy(s, r, u->arrays[i]);
        if (a == NULL) return NULL;
        if (items != NULL) unseen_items(s, a, items);
    }
    for (uint32_t i = 0; i < u->n_objects; i++) {
        schema_object *o = rmr_schema_object_copy(s, r, u->objects[i]);
        if (o == NULL) return NULL;
        if (keys != NULL) unseen_keys(s, o, keys);
    }
    return r;
}

const schema_union *rmr_schema_keywords(schema *s, const rmr_node *n)
{
    if (n->kind == RMR_JSON_TRUE) return rmr_schema_all(s);
    if (n->kind == RMR_JSON_FALSE) return rmr_schema_none(s);
    if (n->kind != RMR_JSON_OBJECT) {
        rmr_schema_fail(s, REMORA_E_ARG, "schema: a schema is neither an object nor true or false");
        return NULL;
    }
    const rmr_node *ref = s->draft <= 7 ? rmr_node_get(n, "$ref") : NULL;
    if (ref != NULL && ref->kind == RMR_JSON_STRING) return references(s, rmr_schema_all(s), n);
    const rmr_node *v = rmr_node_get(n, "enum");
    const schema_union *u = base(s, n);
    if (v != NULL) u = rmr_schema_both(s, u, rmr_schema_enum(s, v));
    v = s->draft > 4 ? rmr_node_get(n, "const") : NULL;
    if (v != NULL) u = rmr_schema_both(s, u, rmr_schema_constant(s, v, 0));
    u = references(s, u, n);
    v = rmr_node_get(n, "allOf");
    for (const rmr_node *e = v != NULL ? v->first : NULL; e != NULL && !rmr_schema_failed(s);
         e = e->next)
        u = rmr_schema_both(s, u, rmr_schema_expand_literal(s, rmr_schema_of(e)));
    v = rmr_node_get(n, "anyOf");
    if (v != NULL) u = rmr_schema_both(s, u, any_of(s, v));
    v = rmr_node_get(n, "oneOf");
    if (v != NULL) u = rmr_schema_both(s, u, one_of(s, v));
    v = rmr_node_get(n, "not");
    if (v != NULL)
        u = rmr_schema_both(s, u, rmr_schema_expand_literal(s, rmr_schema_not(rmr_schema_of(v))));
    u = rmr_schema_both(s, u, if_then(s, n));
    u = dependents(s, u, n);
    return unevaluated(s, u, n);
}

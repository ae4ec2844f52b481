/* SPDX-License-Identifier: Apache-2.0 */
/* Unions of simple forms: intersection and union, and what can be seen to be empty. */
#include <string.h>

#include "schema_parts.h"

enum { SHAPES_MAX = 2000, LOOK_AHEAD = 8, LIVE_STEPS = 1000000 };

schema_union *rmr_schema_new(schema *s)
{
    return rmr_schema_take(s, 1, sizeof(schema_union));
}

const schema_union *rmr_schema_none(schema *s)
{
    if (s->none == NULL) s->none = rmr_schema_new(s);
    return s->none;
}

/* One more element: the list is copied when its length is a power of two. */
static int more(schema *s, void *items, uint32_t n, size_t size)
{
    void **list = items;
    if ((n & (n - 1)) != 0) return 1;
    void *p = rmr_schema_take(s, n == 0 ? 1 : 2 * (size_t)n, size);
    if (p == NULL) return 0;
    if (n > 0) memcpy(p, *list, n * size);
    *list = p;
    return 1;
}

static void add_array(schema *s, schema_union *u, schema_array *a)
{
    if (u->n_arrays >= SHAPES_MAX)
        rmr_schema_fail(s, REMORA_E_LIMIT, "schema: a value has more than %d forms", SHAPES_MAX);
    else if (more(s, &u->arrays, u->n_arrays, sizeof(schema_array *)))
        u->arrays[u->n_arrays++] = a;
}

static void add_object(schema *s, schema_union *u, schema_object *o)
{
    if (u->n_objects >= SHAPES_MAX)
        rmr_schema_fail(s, REMORA_E_LIMIT, "schema: a value has more than %d forms", SHAPES_MAX);
    else if (more(s, &u->objects, u->n_objects, sizeof(schema_object *)))
        u->objects[u->n_objects++] = o;
}

schema_object *rmr_schema_object_new(schema *s, schema_union *u)
{
    schema_object *o = rmr_schema_take(s, 1, sizeof *o);
    if (o == NULL || u == NULL) return NULL;
    o->max = SCHEMA_MANY;
    add_object(s, u, o);
    return o;
}

schema_array *rmr_schema_array_new(schema *s, schema_union *u)
{
    schema_array *a = rmr_schema_take(s, 1, sizeof *a);
    if (a == NULL || u == NULL) return NULL;
    a->max = SCHEMA_MANY;
    add_array(s, u, a);
    return a;
}

const schema_union *rmr_schema_all(schema *s)
{
    if (s->all != NULL) return s->all;
    schema_union *u = rmr_schema_new(s);
    if (u == NULL) return NULL;
    u->words = WORD_ANY;
    u->number = u->string = SCHEMA_ALL;
    (void)rmr_schema_array_new(s, u);
    (void)rmr_schema_object_new(s, u);
    return s->all = u;
}

void rmr_schema_add_rule(schema *s, schema_object *o, const schema_keys *k, schema_literal l)
{
    if (o == NULL || k == NULL || rmr_schema_is_true(&l)) return;
    if (more(s, &o->rules, o->n_rules, sizeof *o->rules))
        o->rules[o->n_rules++] = (schema_key_rule){k, l};
}

void rmr_schema_add_some(schema *s, schema_object *o, const schema_keys *k, schema_literal l)
{
    if (o != NULL && k != NULL && more(s, &o->some, o->n_some, sizeof *o->some))
        o->some[o->n_some++] = (schema_some){k, l};
}

void rmr_schema_add_required(schema *s, schema_object *o, const char *text, size_t n)
{
    if (o == NULL) return;
    for (uint32_t i = 0; i < o->n_required; i++)
        if (o->required[i].n == n && memcmp(o->required[i].text, text, n) == 0) return;
    if (!rmr_grammar_fuel(s->g, o->n_required + 1)) return;
    if (more(s, &o->required, o->n_required, sizeof *o->required))
        o->required[o->n_required++] = (schema_name){text, n};
}

void rmr_schema_add_item(schema *s, schema_array *a, uint32_t from, uint32_t to, schema_literal l)
{
    if (a == NULL || rmr_schema_is_true(&l)) return;
    if (more(s, &a->items, a->n_items, sizeof *a->items))
        a->items[a->n_items++] = (schema_item_rule){from, to, l};
}

void rmr_schema_add_contains(schema *s, schema_array *a, schema_contains c)
{
    if (a != NULL && more(s, &a->contains, a->n_contains, sizeof *a->contains))
        a->contains[a->n_contains++] = c;
}

/* ---- languages ---- */

rmr_rx rmr_schema_rx_both(schema *s, rmr_rx a, rmr_rx b)
{
    if (a == SCHEMA_ALL) return b;
    return b == SCHEMA_ALL ? a : rmr_rx_and2(s->rx, a, b);
}

rmr_rx rmr_schema_rx_either(schema *s, rmr_rx a, rmr_rx b)
{
    return a == SCHEMA_ALL || b == SCHEMA_ALL ? SCHEMA_ALL : rmr_rx_or2(s->rx, a, b);
}

static int rx_empty(schema *s, rmr_rx a)
{
    uint64_t fuel = LIVE_STEPS;
    if (a == RMR_RX_NONE) return 1;
    if (a == SCHEMA_ALL) return 0;
    const int live = rmr_rx_live(s->rx, a, &fuel);
    (void)rmr_grammar_fuel(s->g, LIVE_STEPS - fuel);
    return !live;
}

int rmr_schema_union_empty(schema *s, const schema_union *u)
{
    return u != NULL && u->words == 0 && u->n_arrays == 0 && u->n_objects == 0 &&
           rx_empty(s, u->number) && rx_empty(s, u->string);
}

/* ---- arrays ---- */

/* The elements number i of a form are empty. */
static int item_empty(schema *s, const schema_array *a, uint32_t i)
{
    schema_literal *lits = rmr_schema_take(s, a->n_items, sizeof *lits);
    uint32_t n = 0;
    for (uint32_t k = 0; lits != NULL && k < a->n_items; k++)
        if (a->items[k].from <= i && i < a->items[k].to) lits[n++] = a->items[k].lit;
    return n > 0 && rmr_schema_term_empty(s, rmr_schema_term_of(s, lits, n));
}

/* 0: no array is of this form. */
static int array_settle(schema *s, schema_array *a)
{
    const uint32_t look = a->min < LOOK_AHEAD ? a->min : LOOK_AHEAD;
    for (uint32_t i = 0; i < a->n_items; i++)
        if (a->items[i].lit.node->kind == RMR_JSON_FALSE &&
            !a->items[i].lit.not &&a->items[i].from < a->max)
            a->max = a->items[i].from;
    for (uint32_t i = 0; i < a->n_contains; i++)
        if (a->contains[i].min > a->contains[i].max || a->contains[i].min > a->max) return 0;
    if (a->min > a->max) return 0;
    for (uint32_t i = 0; i < look; i++)
        if (item_empty(s, a, i)) return 0;
    return 1;
}

static void take_array(schema *s, schema_array *r, const schema_array *a)
{
    if (a->min > r->min) r->min = a->min;
    if (a->max < r->max) r->max = a->max;
    if (a->seen > r->seen) r->seen = a->seen;
    if (r->unique == NULL) r->unique = a->unique;
    r->seen_contained |= a->seen_contained;
    for (uint32_t i = 0; i < a->n_items; i++)
        rmr_schema_add_item(s, r, a->items[i].from, a->items[i].to, a->items[i].lit);
    for (uint32_t i = 0; i < a->n_contains; i++) rmr_schema_add_contains(s, r, a->contains[i]);
}

schema_array *rmr_schema_array_copy(schema *s, schema_union *u, const schema_array *a)
{
    schema_array *r = rmr_schema_array_new(s, u);
    if (r != NULL) take_array(s, r, a);
    return r;
}

static schema_array *arrays_both(schema *s, const schema_array *a, const schema_array *b)
{
    schema_array *r = rmr_schema_take(s, 1, sizeof *r);
    if (r == NULL) return NULL;
    r->max = SCHEMA_MANY;
    take_array(s, r, a);
    take_array(s, r, b);
    return array_settle(s, r) ? r : NULL;
}

/* ---- objects ---- */

/* Nothing can be the value of a key that has to be there. */
static int required_empty(schema *s, const schema_object *o, const schema_name *name)
{
    schema_literal *lits = rmr_schema_take(s, o->n_rules, sizeof *lits);
    uint32_t n = 0;
    if (lits == NULL || !rmr_grammar_fuel(s->g, o->n_rules + 1)) return 0;
    for (uint32_t i = 0; i < o->n_rules; i++)
        if (rmr_schema_keys_have(s, o->rules[i].keys, name->text, name->n))
            lits[n++] = o->rules[i].lit;
    return n > 0 && rmr_schema_term_empty(s, rmr_schema_term_of(s, lits, n));
}

static int object_settle(schema *s, schema_object *o)
{
    if (o->min > o->max || o->n_required > o->max) return 0;
    for (uint32_t i = 0; i < o->n_required && !rmr_schema_failed(s); i++)
        if (required_empty(s, o, &o->required[i])) return 0;
    return 1;
}

static void take_object(schema *s, schema_object *r, const schema_object *o)
{
    for (uint32_t i = 0; i < o->n_rules; i++)
        rmr_schema_add_rule(s, r, o->rules[i].keys, o->rules[i].lit);
    for (uint32_t i = 0; i < o->n_some; i++)
        rmr_schema_add_some(s, r, o->some[i].keys, o->some[i].lit);
    for (uint32_t i = 0; i < o->n_required; i++)
        rmr_schema_add_required(s, r, o->required[i].text, o->required[i].n);
    for (uint32_t i = 0; i < o->n_implied; i++)
        if (more(s, &r->implied, r->n_implied, sizeof *r->implied))
            r->implied[r->n_implied++] = o->implied[i];
    for (uint32_t i = 0; i < o->n_seen; i++)
        if (more(s, &r->seen, r->n_seen, sizeof *r->seen)) r->seen[r->n_seen++] = o->seen[i];
    if (o->min > r->min) r->min = o->min;
    if (o->max < r->max) r->max = o->max;
    r->seen_all |= o->seen_all;
}

schema_object *rmr_schema_object_copy(schema *s, schema_union *u, const schema_object *o)
{
    schema_object *r = rmr_schema_object_new(s, u);
    if (r != NULL) take_object(s, r, o);
    return r;
}

static schema_object *objects_both(schema *s, const schema_object *a, const schema_object *b)
{
    schema_object *r = rmr_schema_take(s, 1, sizeof *r);
    if (r == NULL) return NULL;
    r->max = SCHEMA_MANY;
    take_object(s, r, a);
    take_object(s, r, b);
    return object_settle(s, r) ? r : NULL;
}

/* ---- unions ---- */

const schema_union *rmr_schema_both(schema *s, const schema_union *a, const schema_union *b)
{
    if (a == NULL || b == NULL || a == s->none || b == s->all) return a;
    if (b == s->none || a == s->all) return b;
    schema_union *u = rmr_schema_new(s);
    if (u == NULL) return NULL;
    u->words = a->words & b->words;
    u->number = rmr_schema_rx_both(s, a->number, b->number);
    u->string = rmr_schema_rx_both(s, a->string, b->string);
    for (uint32_t i = 0; i < a->n_arrays; i++)
        for (uint32_t j = 0; j < b->n_arrays; j++) {
            if (!rmr_grammar_fuel(s->g, 4) || rmr_schema_failed(s)) return NULL;
            schema_array *r = arrays_both(s, a->arrays[i], b->arrays[j]);
            if (r != NULL) add_array(s, u, r);
        }
    for (uint32_t i = 0; i < a->n_objects; i++)
        for (uint32_t j = 0; j < b->n_objects; j++) {
            if (!rmr_grammar_fuel(s->g, 16) || rmr_schema_failed(s)) return NULL;
            schema_object *r = objects_both(s, a->objects[i], b->objects[j]);
            if (r != NULL) add_object(s, u, r);
        }
    return u;
}

const schema_union *rmr_schema_either(schema *s, const schema_union *a, const schema_union *b)
{
    /* Forms of one language differ in what they have evaluated. */
    const int all = !s->unevaluated;
    if (a == NULL || b == NULL || b == s->none || (all && a == s->all)) return a;
    if (a == s->none || (all && b == s->all)) return b;
    schema_union *u = rmr_schema_new(s);
    if (u == NULL) return NULL;
    u->words = a->words | b->words;
    u->number = rmr_schema_rx_either(s, a->number, b->number);
    u->string = rmr_schema_rx_either(s, a->string, b->string);
    for (uint32_t i = 0; i < a->n_arrays; i++) add_array(s, u, a->arrays[i]);
    for (uint32_t i = 0; i < b->n_arrays; i++) add_array(s, u, b->arrays[i]);
    for (uint32_t i = 0; i < a->n_objects; i++) add_object(s, u, a->objects[i]);
    for (uint32_t i = 0; i < b->n_objects; i++) add_object(s, u, b->objects[i]);
    return u;
}

const schema_union *rmr_schema_unseen(schema *s, const schema_union *u)
{
    schema_union *r = rmr_schema_new(s);
    if (u == NULL || r == NULL || !s->unevaluated || u == s->all || u == s->none) return u;
    *r = *u;
    r->n_arrays = r->n_objects = 0;
    r->arrays = NULL;
    r->objects = NULL;
    for (uint32_t i = 0; i < u->n_arrays; i++) {
        schema_array *a = rmr_schema_array_copy(s, r, u->arrays[i]);
        if (a != NULL) a->seen = a->seen_contained = 0;
    }
    for (uint32_t i = 0; i < u->n_objects; i++) {
        schema_object *o = rmr_schema_object_copy(s, r, u->objects[i]);
        if (o != NULL) o->n_seen = 0, o->seen = NULL, o->seen_all = 0;
    }
    return r;
}

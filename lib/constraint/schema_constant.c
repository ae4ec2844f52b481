/* SPDX-License-Identifier: Apache-2.0 */
/* Values to equal, and types. */
#include "schema_parts.h"

/* Every value but those of one kind; the caller fills that kind in. */
static schema_union *but(schema *s, int words, int number, int string, int array, int object)
{
    schema_union *u = rmr_schema_new(s);
    if (u == NULL) return NULL;
    u->words = (uint8_t)words;
    if (number) u->number = SCHEMA_ALL;
    if (string) u->string = SCHEMA_ALL;
    if (array) (void)rmr_schema_array_new(s, u);
    if (object) (void)rmr_schema_object_new(s, u);
    return u;
}

static schema_literal constant(const rmr_node *v, int not )
{
    return (schema_literal){v, (uint8_t) not, 1};
}

static void equal_array(schema *s, schema_union *u, const rmr_node *v)
{
    schema_array *a = rmr_schema_array_new(s, u);
    uint32_t i = 0;
    if (a == NULL) return;
    a->min = a->max = (uint32_t)v->n;
    for (const rmr_node *e = v->first; e != NULL; e = e->next, i++)
        rmr_schema_add_item(s, a, i, i + 1, constant(e, 0));
}

/* Arrays of another length, or with another element at some place. */
static void other_array(schema *s, schema_union *u, const rmr_node *v)
{
    uint32_t i = 0;
    schema_array *longer = rmr_schema_array_new(s, u);
    schema_array *shorter = v->n > 0 ? rmr_schema_array_new(s, u) : NULL;
    if (longer != NULL) longer->min = (uint32_t)v->n + 1;
    if (shorter != NULL) shorter->max = (uint32_t)v->n - 1;
    for (const rmr_node *e = v->first; e != NULL && !rmr_schema_failed(s); e = e->next, i++) {
        schema_array *a = rmr_schema_array_new(s, u);
        if (a == NULL) return;
        a->min = i + 1;
        rmr_schema_add_item(s, a, i, i + 1, constant(e, 1));
    }
}

static const schema_keys *other_keys(schema *s, const rmr_node *v)
{
    schema_keys *k = rmr_schema_take(s, 1, sizeof *k);
    if (k == NULL || (k->names = rmr_schema_take(s, v->n, sizeof *k->names)) == NULL) return NULL;
    for (const rmr_node *m = v->first; m != NULL; m = m->next)
        k->names[k->n_names++] = (schema_name){m->key, m->key_n};
    k->others = 1;
    return k;
}

static void equal_object(schema *s, schema_union *u, const rmr_node *v)
{
    schema_object *o = rmr_schema_object_new(s, u);
    for (const rmr_node *m = v->first; m != NULL; m = m->next) {
        rmr_schema_add_rule(s, o, rmr_schema_one_key(s, m->key, m->key_n), constant(m, 0));
        rmr_schema_add_required(s, o, m->key, m->key_n);
    }
    rmr_schema_add_rule(s, o, other_keys(s, v), rmr_schema_of(&s->no));
}

/* Objects that lack a key, have another value of it, or have one more. */
static void other_object(schema *s, schema_union *u, const rmr_node *v)
{
    rmr_schema_add_some(s, rmr_schema_object_new(s, u), other_keys(s, v), rmr_schema_of(&s->yes));
    for (const rmr_node *m = v->first; m != NULL && !rmr_schema_failed(s); m = m->next) {
        const schema_keys *k = rmr_schema_one_key(s, m->key, m->key_n);
        rmr_schema_add_rule(s, rmr_schema_object_new(s, u), k, rmr_schema_of(&s->no));
        schema_object *o = rmr_schema_object_new(s, u);
        rmr_schema_add_rule(s, o, k, constant(m, 1));
        rmr_schema_add_required(s, o, m->key, m->key_n);
    }
}

static rmr_rx number_of(schema *s, const rmr_node *v, int not )
{
    const rmr_rx r = rmr_schema_number_equal(s, &v->num);
    return not ? rmr_rx_and2(s->rx, rmr_schema_number_plain(s), rmr_rx_not(s->rx, r)) : r;
}

static rmr_rx string_of(schema *s, const rmr_node *v, int not )
{
    const rmr_rx r = rmr_schema_literal_text(s, v->text, v->n);
    return not ? rmr_rx_and2(s->rx, rmr_schema_any_string(s), rmr_rx_not(s->rx, r)) : r;
}

const schema_union *rmr_schema_constant(schema *s, const rmr_node *v, int not )
{
    const rmr_json_kind k = v->kind;
    schema_union *u = not ? but(s, WORD_ANY, k != RMR_JSON_NUMBER, k != RMR_JSON_STRING,
                                k != RMR_JSON_ARRAY, k != RMR_JSON_OBJECT)
                          : rmr_schema_new(s);
    if (u == NULL) return NULL;
    switch (k) {
    case RMR_JSON_NULL: u->words ^= WORD_NULL; break;
    case RMR_JSON_FALSE: u->words ^= WORD_FALSE; break;
    case RMR_JSON_TRUE: u->words ^= WORD_TRUE; break;
    case RMR_JSON_NUMBER: u->number = number_of(s, v, not ); break;
    case RMR_JSON_STRING: u->string = string_of(s, v, not ); break;
    case RMR_JSON_ARRAY:
        if (not )
            other_array(s, u, v);
        else
            equal_array(s, u, v);
        break;
    case RMR_JSON_OBJECT:
        if (not )
            other_object(s, u, v);
        else
            equal_object(s, u, v);
        break;
    }
    return u;
}

/* ---- enum ---- */

const schema_union *rmr_schema_enum(schema *s, const rmr_node *values)
{
    schema_union *u = rmr_schema_new(s);
    if (values->kind != RMR_JSON_ARRAY) {
        rmr_schema_fail(s, REMORA_E_ARG, "schema: enum is no array");
        return NULL;
    }
    rmr_rx *strings = rmr_schema_take(s, values->n, sizeof *strings);
    size_t n = 0;
    const schema_union *r = u;
    if (u == NULL || strings == NULL) return NULL;
    for (const rmr_node *v = values->first; v != NULL; v = v->next) {
        if (!rmr_grammar_fuel(s->g, 1) || rmr_schema_failed(s)) return NULL;
        if (v->kind == RMR_JSON_STRING)
            strings[n++] = rmr_schema_literal_text(s, v->text, v->n);
        else if (v->kind <= RMR_JSON_TRUE)
            u->words |= (uint8_t)(1u << v->kind);
        else if (v->kind == RMR_JSON_NUMBER)
            u->number = rmr_rx_or2(s->rx, u->number, rmr_schema_number_equal(s, &v->num));
    }
    u->string = rmr_rx_or(s->rx, strings, n);
    for (const rmr_node *v = values->first; v != NULL && !rmr_schema_failed(s); v = v->next)
        if (v->kind >= RMR_JSON_ARRAY) r = rmr_schema_either(s, r, rmr_schema_constant(s, v, 0));
    return r;
}

/* ---- type ---- */

enum { KIND_NUMBER = 1, KIND_INTEGER = 2, KIND_STRING = 4, KIND_ARRAY = 8, KIND_OBJECT = 16 };

static void add_type(schema *s, const rmr_node *t, int *words, int *kinds)
{
    static const struct {
        const char *name;
        int words, kinds;
    } table[] = {
        {"null", WORD_NULL, 0},     {"boolean", WORD_FALSE | WORD_TRUE, 0},
        {"number", 0, KIND_NUMBER}, {"integer", 0, KIND_INTEGER},
        {"string", 0, KIND_STRING}, {"array", 0, KIND_ARRAY},
        {"object", 0, KIND_OBJECT}, {"any", WORD_ANY, 29},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (!rmr_node_is(t, table[i].name)) continue;
        *words |= table[i].words;
        *kinds |= table[i].kinds;
        return;
    }
    rmr_schema_fail(
        s, REMORA_E_ARG,
        "schema: type is none of null, boolean, number, integer, string, array, object");
}

const schema_union *rmr_schema_type(schema *s, const rmr_node *type, int not )
{
    int words = 0, kinds = 0;
    if (type->kind == RMR_JSON_ARRAY)
        for (const rmr_node *t = type->first; t != NULL; t = t->next)
            add_type(s, t, &words, &kinds);
    else
        add_type(s, type, &words, &kinds);
    if (not ) {
        words ^= WORD_ANY;
        kinds ^= KIND_NUMBER | KIND_STRING | KIND_ARRAY | KIND_OBJECT;
    }
    schema_union *u = but(s, words, kinds & KIND_NUMBER, kinds & KIND_STRING, kinds & KIND_ARRAY,
                          kinds & KIND_OBJECT);
    if (u == NULL || !(kinds & KIND_INTEGER)) return u;
    if (!not &&u->number != SCHEMA_ALL) u->number = rmr_schema_integer(s);
    if (not &&u->number == SCHEMA_ALL)
        u->number = rmr_rx_and2(s->rx, rmr_schema_number_plain(s),
                                rmr_rx_not(s->rx, rmr_schema_integer(s)));
    return u;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Terms: sets of schemas and complements that hold together, each stored and expanded once. */
#include <string.h>

#include "schema_parts.h"

enum { HOPS = 64, EMPTY_DEPTH = 16 };

schema_literal rmr_schema_of(const rmr_node *n)
{
    return (schema_literal){n, 0, 0};
}

schema_literal rmr_schema_not(schema_literal l)
{
    l.not = !l.not ;
    return l;
}

static int is_all(const rmr_node *n)
{
    return n->kind == RMR_JSON_TRUE || (n->kind == RMR_JSON_OBJECT && n->n == 0);
}

int rmr_schema_is_true(const schema_literal *l)
{
    if (l->constant) return 0;
    return l->not ? l->node->kind == RMR_JSON_FALSE : is_all(l->node);
}

static int is_false(const schema_literal *l)
{
    if (l->constant) return 0;
    return l->not ? is_all(l->node) : l->node->kind == RMR_JSON_FALSE;
}

/* A schema that is a $ref alone stands for what it leads to. */
static schema_literal follow(schema *s, schema_literal l)
{
    for (int i = 0; i < HOPS && !l.constant && l.node->kind == RMR_JSON_OBJECT; i++) {
        const rmr_node *ref = rmr_node_get(l.node, "$ref");
        if (ref == NULL || (s->draft > 7 && l.node->n > 1)) break;
        const rmr_node *to = rmr_schema_ref(s, l.node, ref);
        if (to == NULL) break;
        l.node = to;
    }
    return l;
}

static uint64_t order(const schema_literal *l)
{
    return (uint64_t)l->node->number << 2 | (uint64_t)l->constant << 1 | l->not ;
}

/* Sort and leave out doubles; returns how many stay. */
static uint32_t sort(schema_literal *a, uint32_t n)
{
    uint32_t k = 0;
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t j = i; j > 0 && order(&a[j]) < order(&a[j - 1]); j--) {
            const schema_literal t = a[j];
            a[j] = a[j - 1];
            a[j - 1] = t;
        }
    for (uint32_t i = 0; i < n; i++)
        if (k == 0 || order(&a[k - 1]) != order(&a[i])) a[k++] = a[i];
    return k;
}

schema_term *rmr_schema_term_of(schema *s, const schema_literal *lits, uint32_t n)
{
    schema_literal *a = rmr_schema_take(s, n, sizeof *a);
    uint32_t k = 0, hash = 2166136261u;
    int contradicts = 0;
    if (a == NULL || !rmr_grammar_fuel(s->g, (uint64_t)n * n / 8 + n + 1)) return NULL;
    for (uint32_t i = 0; i < n; i++) {
        const schema_literal l = follow(s, lits[i]);
        if (rmr_schema_is_true(&l)) continue;
        contradicts |= is_false(&l);
        a[k++] = l;
    }
    k = sort(a, k);
    for (uint32_t i = 0; i < k; i++) {
        if (i > 0 && (order(&a[i]) ^ 1) == order(&a[i - 1])) contradicts = 1;
        hash = (hash ^ (uint32_t)order(&a[i])) * 16777619u;
    }
    schema_term **b = &s->terms[hash % TERM_BUCKETS];
    for (schema_term *t = *b; t != NULL; t = t->next) {
        uint32_t i = 0;
        if (t->hash != hash || t->n != k) continue;
        while (i < k && order(&t->lits[i]) == order(&a[i])) i++;
        if (i == k) return t;
    }
    schema_term *t = rmr_schema_take(s, 1, sizeof *t);
    if (t == NULL) return NULL;
    t->hash = hash;
    t->n = k;
    t->lits = a;
    t->contradicts = (uint8_t)contradicts;
    t->next = *b;
    return *b = t;
}

const schema_union *rmr_schema_expand_literal(schema *s, schema_literal l)
{
    schema_term *t = rmr_schema_term_of(s, &l, 1);
    return t != NULL ? rmr_schema_expand(s, t) : NULL;
}

static const schema_union *expand_one(schema *s, schema_literal l)
{
    if (l.constant) return rmr_schema_constant(s, l.node, l.not );
    return l.not ? rmr_schema_unseen(s, rmr_schema_complement(s, l.node))
                 : rmr_schema_keywords(s, l.node);
}

/* The term cannot be expanded. That ends all, or, where it was only asked whether a member can have
 * a value at all, that question: its answer is not known. */
static void stuck(schema *s, const schema_term *t)
{
    if (s->probes > 0 && t->busy != s->probes + 1)
        s->unknown = 1;
    else if (t->busy)
        rmr_schema_fail(s, REMORA_E_UNSUPPORTED,
                        "schema: a $ref leads back to itself without a member "
                        "between; such schemas are not supported");
    else
        rmr_schema_fail(s, REMORA_E_LIMIT, "schema: schemas of one value are nested deeper than %d",
                        NESTED_MAX);
}

const schema_union *rmr_schema_expand(schema *s, schema_term *t)
{
    if (t == NULL || rmr_schema_failed(s)) return NULL;
    if (t->is != NULL) return t->is;
    if (t->contradicts) return t->is = rmr_schema_none(s);
    if (t->busy || s->depth >= NESTED_MAX) {
        stuck(s, t);
        return NULL;
    }
    t->busy = (uint8_t)(s->probes + 1);
    s->depth++;
    const schema_union *u = rmr_schema_all(s);
    if (t->n == 1) u = expand_one(s, t->lits[0]);
    for (uint32_t i = 0; t->n > 1 && i < t->n; i++)
        u = rmr_schema_both(s, u, rmr_schema_expand_literal(s, t->lits[i]));
    s->depth--;
    t->busy = 0;
    return t->is = rmr_schema_failed(s) ? NULL : u;
}

int rmr_schema_term_empty(schema *s, schema_term *t)
{
    if (t == NULL) return 0;
    if (t->contradicts) return 1;
    if (t->n == 0 || t->busy || t->empty == 3 || t->empty == 1) return 0;
    if (t->empty == 2) return 1;
    if (s->depth >= EMPTY_DEPTH) return 0;
    t->empty = 3;
    s->probes++;
    const schema_union *u = rmr_schema_expand(s, t);
    s->probes--;
    t->empty = s->unknown ? 0 : 1;
    s->unknown = 0;
    if (u != NULL && rmr_schema_union_empty(s, u)) t->empty = 2;
    return t->empty == 2;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "grammar_parts.h"
#include "schema_parts.h"

int rmr_schema_fail(schema *s, remora_status st, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    if (s->st < 0) return 0;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->st = rmr_error_set(s->err, st, 0, "%s", text);
    return 0;
}

int rmr_schema_failed(schema *s)
{
    return s->st < 0 || s->unknown || rmr_grammar_failed(s->g);
}

void *rmr_schema_take(schema *s, size_t n, size_t size)
{
    void *p = s->st < 0 ? NULL : rmr_bump_take(&s->pool, n, size);
    if (p == NULL && s->st >= 0) { /* the budget, or the host's memory */
        s->st = rmr_bump_lack(&s->pool, (uint64_t)n * size, s->err);
    }
    return p;
}

/* The way from the root to a node, as a pointer. */
static void path_of(const rmr_node *n, char *out, size_t cap)
{
    const rmr_node *way[24];
    size_t k = 0, at = 0;
    for (; n != NULL && n->up != NULL && k < 24; n = n->up) way[k++] = n;
    out[0] = 0;
    while (k-- > 0 && at + 32 < cap) {
        const rmr_node *m = way[k];
        uint32_t i = 0;
        if (m->key != NULL) {
            const int len = (int)(m->key_n < 24 ? m->key_n : 24);
            at += (size_t)snprintf(out + at, cap - at, "/%.*s", len, m->key);
            continue;
        }
        for (const rmr_node *e = m->up->first; e != NULL && e != m; e = e->next) i++;
        at += (size_t)snprintf(out + at, cap - at, "/%u", i);
    }
}

/* 1: the place has been listed. A schema is read once for each value that it meets with others. */
static int listed(schema *s, const rmr_node *at)
{
    if (s->listed == NULL) {
        const size_t bytes = s->count / 8 + (size_t)1;
        s->listed = rmr_schema_take(s, bytes, 1);
        if (s->listed == NULL) return 1;
        memset(s->listed, 0, bytes);
        s->n_listed = s->count + 1;
    }
    if (at->number >= s->n_listed) return 0; /* it was made since */
    unsigned char *byte = s->listed + at->number / 8;
    const unsigned bit = 1U << at->number % 8, was = *byte & bit;
    *byte = (unsigned char)(*byte | bit);
    return was != 0;
}

int rmr_schema_skip(schema *s, const rmr_node *at, const char *what)
{
    char path[160], text[256];
    path_of(at, path, sizeof path);
    (void)snprintf(text, sizeof text, "%.90s%s%.120s", path, path[0] ? ": " : "", what);
    if (!s->o.lax) {
        rmr_schema_fail(s, REMORA_E_UNSUPPORTED, "schema: %s is not enforced", text);
        return 0;
    }
    if (s->o.left_out != NULL && !listed(s, at)) s->o.left_out(s->o.user, text);
    return 1;
}

/* unevaluatedProperties or unevaluatedItems is there. */
static int has_unevaluated(const schema *s)
{
    const rmr_node *n = s->root;
    while (n != NULL) {
        if (n->key_n >= 16 && memcmp(n->key, "unevaluated", 11) == 0) return s->draft > 7;
        if (n->first != NULL) {
            n = n->first;
            continue;
        }
        while (n != NULL && n->next == NULL) n = n->up;
        n = n != NULL ? n->next : NULL;
    }
    return 0;
}

static remora_status finish(schema *s, remora_error *err)
{
    const remora_status own = rmr_grammar_status(s->g, s->st < 0 ? NULL : err);
    if (s->raw != NULL) rmr_bump_free(&s->raw->pool);
    rmr_bump_free(&s->pool);
    return s->st < 0 ? s->st : own;
}

/* The rules of all terms that were asked for, which ask for more. */
static void write_all(schema *s)
{
    while (s->queue != NULL && !rmr_schema_failed(s)) {
        schema_term *t = s->queue;
        s->queue = t->later;
        if (s->queue == NULL) s->queue_end = &s->queue;
        const schema_union *u = t->is;
        const rmr_rule r = t->symbol.id;
        const rmr_rx scalars = rmr_schema_scalars(s, u, 0);
        const rmr_symbol one = rmr_lexeme(scalars);
        if (scalars != RMR_RX_NONE) rmr_rule_alt(s->g, r, &one, 1);
        for (uint32_t i = 0; i < u->n_arrays; i++) rmr_schema_write_array(s, r, u->arrays[i]);
        for (uint32_t i = 0; i < u->n_objects; i++)
            rmr_schema_write_object(s, r, u->objects[i], NULL);
    }
}

/* The rule of all values; of objects alone where that is asked for. */
static rmr_rule write_root(schema *s)
{
    const schema_literal lits[] = {rmr_schema_of(s->root), rmr_schema_of(s->of_object)};
    schema_term *t = rmr_schema_term_of(s, lits, s->o.object ? 2 : 1);
    const rmr_rule r = rmr_rule_new(s->g, "schema", 6);
    if (s->o.members == NULL) {
        const rmr_symbol value = rmr_schema_symbol(s, t);
        rmr_rule_alt(s->g, r, &value, 1);
        return r;
    }
    const schema_union *u = rmr_schema_expand(s, t);
    for (uint32_t i = 0; u != NULL && i < u->n_objects; i++)
        rmr_schema_write_object(s, r, u->objects[i], s->o.members);
    return r;
}

static remora_status read_type(schema *s, const char *name, rmr_node **out)
{
    char text[32];
    const int n = snprintf(text, sizeof text, "{\"type\": \"%s\"}", name);
    return rmr_node_read(&s->pool, text, (size_t)n, 2, &s->count, out, s->err);
}

remora_status rmr_schema(rmr_grammar *g, const char *text, size_t n, const rmr_schema_opts *o,
                         rmr_rule *out, remora_error *err)
{
    schema s = {.g = g, .rx = rmr_grammar_rx(g), .spelling = RMR_SPELL_JSON, .err = err};
    const rmr_limits *lim = rmr_grammar_limits(g);
    *out = 0;
    s.pool.mem = &g->mem;
    s.queue_end = &s.queue;
    if (o != NULL) s.o = *o;
    s.yes.kind = RMR_JSON_TRUE;
    s.no.kind = RMR_JSON_FALSE;
    s.st = rmr_node_read(&s.pool, text, n, lim->nesting, &s.count, &s.root, err);
    if (s.st >= 0) s.st = read_type(&s, "string", &s.of_string);
    if (s.st >= 0) s.st = read_type(&s, "object", &s.of_object);
    if (s.st < 0) return finish(&s, err);
    rmr_schema_find_draft(&s);
    s.unevaluated = has_unevaluated(&s);
    *out = write_root(&s);
    write_all(&s);
    return finish(&s, err);
}

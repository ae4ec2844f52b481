/* SPDX-License-Identifier: Apache-2.0 */
/* Terms as symbols of the grammar. */
#include <stdio.h>
#include <string.h>

#include "schema_parts.h"

enum { SPACES = 20, COUNT_STEPS = 2000, COUNT_DEPTH = 256, LIVE_STEPS = 1000000 };

/* ---- marks ---- */

static rmr_rx white(schema *s, int behind)
{
    const rmr_byte_set free = {
        {UINT64_C(1) << ' ' | UINT64_C(1) << '\n' | UINT64_C(1) << '\t', 0, 0, 0}};
    if (s->o.space == RMR_SPACE_FREE)
        return rmr_rx_repeat(s->rx, rmr_rx_bytes(s->rx, &free), 0, SPACES);
    if (s->o.space == RMR_SPACE_ONE && behind)
        return rmr_rx_repeat(s->rx, rmr_rx_byte(s->rx, ' '), 0, 1);
    return RMR_RX_EMPTY;
}

rmr_rx rmr_schema_mark(schema *s, char c)
{
    const int opens = c == '{' || c == '[', closes = c == '}' || c == ']';
    const rmr_rx before = opens ? RMR_RX_EMPTY : white(s, 0);
    const rmr_rx after = closes ? RMR_RX_EMPTY : white(s, !opens);
    const rmr_rx parts[] = {before, rmr_rx_byte(s->rx, (unsigned char)c), after};
    return rmr_rx_concat_n(s->rx, parts, 3);
}

/* ---- scalars ---- */

rmr_rx rmr_schema_scalars(schema *s, const schema_union *u, int once)
{
    rmr_rx parts[5], number = u->number, string = u->string;
    size_t n = 0;
    if (u->words & WORD_NULL) parts[n++] = rmr_rx_literal(s->rx, "null", 4);
    if (u->words & WORD_FALSE) parts[n++] = rmr_rx_literal(s->rx, "false", 5);
    if (u->words & WORD_TRUE) parts[n++] = rmr_rx_literal(s->rx, "true", 4);
    if (once && number != RMR_RX_NONE)
        number = rmr_schema_rx_both(s, number, rmr_schema_number_once(s));
    if (once && string == SCHEMA_ALL) string = rmr_schema_any_string(s);
    parts[n++] = rmr_schema_whole(s, number, 0);
    parts[n++] = rmr_schema_whole(s, string, 1);
    return rmr_rx_or(s->rx, parts, n);
}

/* ---- counting ---- */

typedef struct level {
    rmr_rx at;
    unsigned byte;
} level;

uint32_t rmr_schema_texts(schema *s, rmr_rx a, uint32_t most)
{
    level *way = rmr_schema_take(s, COUNT_DEPTH, sizeof *way);
    uint32_t found = 0, depth = 1, steps = 0;
    if (way == NULL) return SCHEMA_MANY;
    way[0] = (level){a, 0};
    found += (uint32_t)rmr_rx_nullable(s->rx, a);
    while (depth > 0 && found <= most) {
        level *l = &way[depth - 1];
        uint64_t fuel = LIVE_STEPS;
        if (l->byte > 255) {
            depth--;
            continue;
        }
        const rmr_rx next = rmr_rx_derive(s->rx, l->at, (unsigned char)l->byte++);
        if (next == RMR_RX_NONE) continue;
        if (++steps > COUNT_STEPS || !rmr_grammar_fuel(s->g, 8)) return SCHEMA_MANY;
        if (!rmr_rx_live(s->rx, next, &fuel)) continue;
        for (uint32_t i = 0; i < depth; i++)
            if (way[i].at == next) return SCHEMA_MANY; /* it comes again: there is no end */
        if (depth == COUNT_DEPTH || rmr_schema_failed(s)) return SCHEMA_MANY;
        found += (uint32_t)rmr_rx_nullable(s->rx, next);
        way[depth++] = (level){next, 0};
    }
    return found > most ? SCHEMA_MANY : found;
}

/* ---- symbols ---- */

rmr_rule rmr_schema_shared(schema *s, const char *name)
{
    const rmr_rule r = rmr_rule_new(s->g, name, strlen(name));
    rmr_rule_share(s->g, r);
    return r;
}

/* For messages: the key that the schema is the value of. */
static rmr_rule named_rule(schema *s, const schema_term *t)
{
    const rmr_node *n = t->n > 0 ? t->lits[0].node : NULL;
    while (n != NULL && n->key == NULL) n = n->up;
    return n != NULL ? rmr_rule_new(s->g, n->key, n->key_n < 40 ? n->key_n : 40)
                     : rmr_rule_new(s->g, "value", 5);
}

rmr_symbol rmr_schema_symbol(schema *s, schema_term *t)
{
    const schema_union *u = rmr_schema_expand(s, t);
    if (u == NULL || t == NULL) return rmr_lexeme(RMR_RX_NONE);
    if (t->settled) return t->symbol;
    t->settled = 1;
    if (u->n_arrays == 0 && u->n_objects == 0) {
        t->symbol = rmr_lexeme(rmr_schema_scalars(s, u, 0));
        return t->symbol;
    }
    t->symbol = rmr_call(named_rule(s, t));
    *s->queue_end = t;
    s->queue_end = &t->later;
    return t->symbol;
}

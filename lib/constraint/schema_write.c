/* SPDX-License-Identifier: Apache-2.0 */
/* Terms as symbols of the grammar. */
#include <stdio.h>
#include <string.h>

#include "grammar_parts.h"
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

/* A language on the way, the beginnings that lead to it, and its bytes: one for each part that it
 * does not tell apart, with how many those are. */
typedef struct level {
    rmr_rx at;
    unsigned next, n;
    uint64_t ways;
    uint8_t byte[256];
    uint16_t bytes[256];
} level;

static void enter_level(const schema *s, level *l, rmr_rx at, uint64_t ways)
{
    uint16_t where[256] = {0}; /* of a part, and 1 */
    rx_parts p;
    l->at = at;
    l->next = l->n = 0;
    l->ways = ways;
    rmr_rx_parts_begin(s->rx, &p);
    rmr_rx_parts_split(s->rx, &p, at);
    for (unsigned b = 0; b < 256; b++) {
        uint16_t *i = &where[p.part[s->rx->class_of[b]]];
        if (*i == 0) {
            *i = (uint16_t)(l->n + 1);
            l->byte[l->n] = (uint8_t)b;
            l->bytes[l->n++] = 0;
        }
        l->bytes[*i - 1]++;
    }
}

uint32_t rmr_schema_texts(schema *s, rmr_rx a, uint32_t most)
{
    level *way = rmr_schema_take(s, COUNT_DEPTH, sizeof *way);
    uint64_t found = (uint64_t)rmr_rx_nullable(s->rx, a);
    uint32_t depth = 1, steps = 0;
    if (way == NULL) return SCHEMA_MANY;
    enter_level(s, &way[0], a, 1);
    while (depth > 0 && found <= most) {
        level *l = &way[depth - 1];
        uint64_t fuel = LIVE_STEPS;
        if (l->next == l->n) {
            depth--;
            continue;
        }
        const unsigned i = l->next++;
        const rmr_rx next = rmr_rx_derive(s->rx, l->at, l->byte[i]);
        if (next == RMR_RX_NONE) continue;
        if (++steps > COUNT_STEPS || !rmr_grammar_fuel(s->g, 8)) return SCHEMA_MANY;
        if (!rmr_rx_live(s->rx, next, &fuel)) continue;
        for (uint32_t k = 0; k < depth; k++)
            if (way[k].at == next) return SCHEMA_MANY; /* it comes again: there is no end */
        if (depth == COUNT_DEPTH || rmr_schema_failed(s)) return SCHEMA_MANY;
        const uint64_t ways = l->ways * l->bytes[i];
        if (ways > most) return SCHEMA_MANY; /* each leads to a text */
        if (rmr_rx_nullable(s->rx, next)) found += ways;
        enter_level(s, &way[depth++], next, ways);
    }
    return found > most ? SCHEMA_MANY : (uint32_t)found;
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

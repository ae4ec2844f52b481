/* SPDX-License-Identifier: Apache-2.0 */
/* Finishing a grammar: which rules some text matches, which may be empty, and the places that the
 * parser goes over. All of it is linear in the grammar. */
#include <string.h>

#include "grammar_parts.h"

typedef enum property { POSSIBLE, NULLABLE } property;

/* Whether a symbol has the property, whatever its rule has. */
static int has_alone(rmr_grammar *g, const rmr_symbol *s, property p)
{
    if (s->min == 0) return 1;
    if (s->kind == RMR_SYMBOL_EMPTY) return p == POSSIBLE || s->check == 0;
    if (s->kind == RMR_SYMBOL_TOKENS) return p == POSSIBLE;
    if (s->kind != RMR_SYMBOL_LEXEME) return 0;
    return p == POSSIBLE ? rmr_rx_live(g->rx, s->id, &g->build) : rmr_rx_nullable(g->rx, s->id);
}

/* An alternative has the property once all of its symbols have, a rule once one alternative has. */
static void settle_rule(rmr_grammar *g, rmr_rule r, property p, uint32_t *queue, size_t *n)
{
    grammar_rule *rule = &g->rules[r];
    uint8_t *has = p == POSSIBLE ? &rule->possible : &rule->nullable;
    if (*has) return;
    *has = 1;
    queue[(*n)++] = r;
}

static void spread(rmr_grammar *g, property p, uint32_t *queue)
{
    size_t n = 0;
    for (uint32_t a = 1; a < g->n_alts; a++) {
        grammar_alt *alt = &g->alts[a];
        alt->waits = 0;
        for (uint32_t i = 0; i < alt->n; i++)
            alt->waits += !has_alone(g, &g->symbols[alt->symbols + i].s, p);
        if (alt->waits == 0) settle_rule(g, alt->rule, p, queue, &n);
    }
    for (size_t done = 0; done < n; done++)
        for (uint32_t u = g->rules[queue[done]].uses; u != 0; u = g->symbols[u].next_use) {
            grammar_alt *alt = &g->alts[g->symbols[u].alt];
            if (g->symbols[u].s.min > 0 && --alt->waits == 0)
                settle_rule(g, alt->rule, p, queue, &n);
        }
}

static void list_uses(rmr_grammar *g)
{
    for (uint32_t i = (uint32_t)g->n_symbols; i-- > 1;) {
        grammar_symbol *s = &g->symbols[i];
        if (s->s.kind != RMR_SYMBOL_RULE) continue;
        s->next_use = g->rules[s->s.id].uses;
        g->rules[s->s.id].uses = i;
    }
}

static int symbol_possible(rmr_grammar *g, const rmr_symbol *s)
{
    if (s->kind == RMR_SYMBOL_RULE) return g->rules[s->id].possible;
    return s->kind != RMR_SYMBOL_LEXEME || rmr_rx_live(g->rx, s->id, &g->build);
}

/* The rule that a rule is another name of: it has one alternative, which is that rule. */
static rmr_rule named(const rmr_grammar *g, rmr_rule r, const rmr_rule *alias)
{
    for (size_t i = 0; i < g->n_rules; i++) {
        if (alias[r] != 0) return alias[r];
        const grammar_rule *rule = &g->rules[r];
        if (rule->shares || rule->first == 0 || rule->first != rule->last) return r;
        const grammar_alt *a = &g->alts[rule->first];
        const rmr_symbol *s = &g->symbols[a->symbols].s;
        if (a->n != 1 || s->kind != RMR_SYMBOL_RULE || s->min != 1 || s->max != 1 ||
            s->check != 0 || g->rules[s->id].shares)
            return r;
        r = s->id;
    }
    return r;
}

static uint8_t passable(const rmr_grammar *g, const rmr_symbol *s)
{
    if (s->min == 0) return 1;
    if (s->kind == RMR_SYMBOL_LEXEME) return (uint8_t)rmr_rx_nullable(g->rx, s->id);
    return s->kind == RMR_SYMBOL_RULE ? g->rules[s->id].nullable : 0;
}

static void place_alt(rmr_grammar *g, const grammar_alt *a, rmr_rule *alias)
{
    for (uint32_t i = 0; i < a->n; i++) {
        rmr_symbol s = g->symbols[a->symbols + i].s;
        if (!symbol_possible(g, &s) || s.max == 0) {
            if (s.min == 0) continue; /* it is left out */
            return;
        }
    }
    if (!rmr_grammar_room(g, &g->starts, &g->cap_starts, g->n_starts + 1, sizeof *g->starts) ||
        !rmr_grammar_room(g, &g->places, &g->cap_places, g->n_places + a->n + 1, sizeof *g->places))
        return;
    g->starts[g->n_starts++] = (uint32_t)g->n_places;
    for (uint32_t i = 0; i < a->n; i++) {
        rmr_symbol s = g->symbols[a->symbols + i].s;
        if (!symbol_possible(g, &s) || s.max == 0) continue;
        if (s.kind == RMR_SYMBOL_RULE) s.id = alias[s.id];
        g->places[g->n_places++] = (rmr_place){.kind = (uint8_t)s.kind,
                                               .nullable = passable(g, &s),
                                               .rule = a->rule,
                                               .id = s.id,
                                               .min = s.min,
                                               .max = s.max,
                                               .check = s.check};
    }
    g->places[g->n_places++] = (rmr_place){.kind = SYMBOL_END, .rule = a->rule};
}

static void place_rules(rmr_grammar *g, rmr_rule *alias)
{
    for (rmr_rule r = 1; r < g->n_rules; r++) alias[r] = 0;
    for (rmr_rule r = 1; r < g->n_rules; r++) {
        if (alias[r] != 0) continue;
        const rmr_rule end = named(g, r, alias);
        for (rmr_rule x = r; alias[x] == 0 && x != end;
             x = g->symbols[g->alts[g->rules[x].first].symbols].s.id)
            alias[x] = end;
        alias[end] = end;
    }
    for (rmr_rule r = 1; r < g->n_rules && !rmr_grammar_failed(g); r++) {
        grammar_rule *rule = &g->rules[r];
        rule->starts = (uint32_t)g->n_starts;
        if (alias[r] == r)
            for (uint32_t a = rule->first; a != 0; a = g->alts[a].next)
                place_alt(g, &g->alts[a], alias);
        rule->n_starts = (uint32_t)g->n_starts - rule->starts;
    }
}

remora_status rmr_grammar_finish(rmr_grammar *g, rmr_rule start, remora_error *err)
{
    RMR_TRY(rmr_grammar_status(g, err));
    uint32_t *queue = rmr_alloc(&g->mem, g->n_rules * sizeof *queue);
    if (queue == NULL) {
        rmr_rx_no_memory(g->rx, g->n_rules * sizeof *queue);
        return rmr_grammar_status(g, err);
    }
    g->n_places = g->n_starts = 0;
    list_uses(g);
    spread(g, POSSIBLE, queue);
    spread(g, NULLABLE, queue);
    char name[64];
    remora_status st = rmr_grammar_status(g, err);
    if (st >= 0 && !g->rules[start].possible)
        st = rmr_error_set(err, REMORA_E_UNSUPPORTED, 0,
                           "the rule %s matches no text: it has no alternative that ends",
                           rmr_grammar_name(g, start, name));
    if (st >= 0) {
        place_rules(g, queue);
        g->start = queue[start];
        rmr_grammar_fuel(g, 0);
        st = rmr_grammar_status(g, err);
    }
    rmr_free(&g->mem, queue, g->n_rules * sizeof *queue);
    return st;
}

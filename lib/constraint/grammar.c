/* SPDX-License-Identifier: Apache-2.0 */
/* Building a grammar: rules, alternatives, checks, sets of tokens. */
#include <stdio.h>
#include <string.h>

#include "grammar_parts.h"

static void settle32(uint32_t *v, uint32_t dflt)
{
    if (*v == 0) *v = dflt;
}

void rmr_limits_settle(rmr_limits *l)
{
    settle32(&l->rules, 500000);
    settle32(&l->symbols, 1000000);
    settle32(&l->nodes, 2000000);
    settle32(&l->nesting, 1000);
    settle32(&l->row_items, 10000);
    if (l->bytes == 0) l->bytes = (uint64_t)64 << 20;
    if (l->build == 0) l->build = 20000000;
    if (l->step == 0) l->step = 5000000;
}

static rmr_rule add_rule(rmr_grammar *g, const char *name, size_t n)
{
    if (!rmr_grammar_room(g, &g->rules, &g->cap_rules, g->n_rules + 1, sizeof *g->rules) ||
        !rmr_grammar_room(g, &g->names, &g->cap_names, g->n_names + n, 1))
        return 0;
    g->rules[g->n_rules] = (grammar_rule){.name = (uint32_t)g->n_names, .name_n = (uint32_t)n};
    if (n > 0) memcpy(g->names + g->n_names, name, n);
    g->n_names += n;
    return (rmr_rule)g->n_rules++;
}

remora_status rmr_grammar_new(rmr_mem *mem, const rmr_limits *lim, rmr_grammar **out,
                              remora_error *err)
{
    rmr_grammar *g = rmr_calloc(mem, 1, sizeof *g);
    if (g == NULL) return rmr_error_nomem(err, "a constraint", sizeof *g);
    g->host = mem;
    if (lim != NULL) g->lim = *lim;
    rmr_limits_settle(&g->lim);
    g->build = g->lim.build;
    rmr_budget_init(&g->budget);
    atomic_store(&g->budget.limit, g->lim.bytes);
    rmr_mem_within(&g->mem, mem, &g->budget);
    remora_status st = rmr_rx_set_new(&g->mem, g->lim.nodes, &g->rx, err);
    if (st >= 0) {
        /* Number 0 is none. */
        add_rule(g, "", 0);
        g->n_alts = g->n_symbols = g->n_checks = 1;
        if (rmr_grammar_room(g, &g->alts, &g->cap_alts, 8, sizeof *g->alts) &&
            rmr_grammar_room(g, &g->symbols, &g->cap_symbols, 8, sizeof *g->symbols))
            rmr_grammar_room(g, &g->checks, &g->cap_checks, 2, sizeof *g->checks);
        st = rmr_grammar_status(g, err);
    }
    if (st < 0) {
        rmr_grammar_free(g);
        return RMR_PASSED_ON(st);
    }
    memset(&g->symbols[0], 0, sizeof *g->symbols);
    memset(&g->alts[0], 0, sizeof *g->alts);
    memset(&g->checks[0], 0, sizeof *g->checks);
    g->checks[0].hi = RMR_RX_MANY;
    *out = g;
    return REMORA_OK;
}

void rmr_grammar_free(rmr_grammar *g)
{
    if (g == NULL) return;
    rmr_mem *m = &g->mem;
    rmr_rx_set_free(g->rx);
    rmr_free(m, g->rules, g->cap_rules * sizeof *g->rules);
    rmr_free(m, g->alts, g->cap_alts * sizeof *g->alts);
    rmr_free(m, g->symbols, g->cap_symbols * sizeof *g->symbols);
    rmr_free(m, g->checks, g->cap_checks * sizeof *g->checks);
    rmr_free(m, g->token_sets, g->cap_token_sets * sizeof *g->token_sets);
    rmr_free(m, g->ranges, g->cap_ranges * sizeof *g->ranges);
    rmr_free(m, g->folds, g->cap_folds * sizeof *g->folds);
    rmr_free(m, g->names, g->cap_names);
    rmr_free(m, g->places, g->cap_places * sizeof *g->places);
    rmr_free(m, g->starts, g->cap_starts * sizeof *g->starts);
    rmr_free(g->host, g, sizeof *g);
}

rmr_rx_set *rmr_grammar_rx(rmr_grammar *g)
{
    return g->rx;
}

const rmr_limits *rmr_grammar_limits(const rmr_grammar *g)
{
    return &g->lim;
}

remora_status rmr_grammar_status(const rmr_grammar *g, remora_error *err)
{
    return rmr_rx_status(g->rx, err);
}

int rmr_grammar_failed(const rmr_grammar *g)
{
    return rmr_rx_failed(g->rx);
}

int rmr_grammar_fuel(rmr_grammar *g, uint64_t steps)
{
    const uint64_t used = steps + g->rx->steps;
    g->rx->steps = 0;
    if (used <= g->build) {
        g->build -= used;
        return !rmr_grammar_failed(g);
    }
    rmr_rx_fail(g->rx, REMORA_E_LIMIT,
                "building the constraint takes more steps than its limit \"build\" has");
    return 0;
}

int rmr_grammar_room(rmr_grammar *g, void *items, size_t *cap, size_t need, size_t size)
{
    if (rmr_grammar_failed(g)) return 0;
    if (need <= *cap || rmr_grow(&g->mem, items, cap, need, size, NULL) >= 0) return 1;
    rmr_rx_no_memory(g->rx, need * size);
    return 0;
}

const char *rmr_grammar_name(const rmr_grammar *g, rmr_rule r, char buf[64])
{
    const grammar_rule *rule = &g->rules[r];
    snprintf(buf, 64, "%.*s", rule->name_n > 60 ? 60 : (int)rule->name_n, g->names + rule->name);
    return buf;
}

rmr_rule rmr_rule_new(rmr_grammar *g, const char *name, size_t n)
{
    if (!rmr_grammar_fuel(g, 1)) return 0;
    if (g->n_rules > g->lim.rules) {
        rmr_rx_fail(g->rx, REMORA_E_LIMIT,
                    "the constraint has more rules than its limit \"rules\" allows");
        return 0;
    }
    return add_rule(g, name, n > 255 ? 255 : n);
}

static int symbol_ok(const rmr_grammar *g, const rmr_symbol *s)
{
    const size_t n[] = {g->rx->n_nodes, g->n_rules, g->n_token_sets, SIZE_MAX};
    return s->kind <= RMR_SYMBOL_EMPTY && s->id < n[s->kind] && s->min <= s->max &&
           s->min != RMR_RX_MANY && s->check < g->n_checks &&
           (s->kind != RMR_SYMBOL_RULE || s->id != 0);
}

void rmr_rule_alt(rmr_grammar *g, rmr_rule r, const rmr_symbol *symbols, size_t n)
{
    if (!rmr_grammar_fuel(g, 1 + n) || r == 0) return;
    if (n > g->lim.symbols - g->n_symbols) {
        rmr_rx_fail(g->rx, REMORA_E_LIMIT,
                    "the constraint has more symbols than its limit \"symbols\" allows");
        return;
    }
    if (!rmr_grammar_room(g, &g->alts, &g->cap_alts, g->n_alts + 1, sizeof *g->alts) ||
        !rmr_grammar_room(g, &g->symbols, &g->cap_symbols, g->n_symbols + n, sizeof *g->symbols))
        return;
    const uint32_t at = (uint32_t)g->n_alts, first = (uint32_t)g->n_symbols;
    for (size_t i = 0; i < n; i++) {
        RMR_ASSERT(symbol_ok(g, &symbols[i]));
        if (!symbol_ok(g, &symbols[i])) {
            rmr_rx_fail(g->rx, REMORA_E_INTERNAL, "a symbol of a rule is none of the grammar");
            return;
        }
        if (symbols[i].check != 0) g->has_checks = 1;
        g->symbols[g->n_symbols++] = (grammar_symbol){.s = symbols[i], .alt = at};
    }
    g->alts[g->n_alts++] = (grammar_alt){.rule = r, .symbols = first, .n = (uint32_t)n};
    grammar_rule *rule = &g->rules[r];
    if (rule->first == 0)
        rule->first = at;
    else
        g->alts[rule->last].next = at;
    rule->last = at;
}

void rmr_rule_share(rmr_grammar *g, rmr_rule r)
{
    if (r != 0) g->rules[r].shares = 1;
}

rmr_check rmr_grammar_check(rmr_grammar *g, const rmr_check_desc *d)
{
    if (!rmr_grammar_fuel(g, 1) ||
        !rmr_grammar_room(g, &g->checks, &g->cap_checks, g->n_checks + 1, sizeof *g->checks))
        return 0;
    if (d->unique) rmr_rx_all_classes(g->rx);
    g->checks[g->n_checks] = *d;
    return (rmr_check)g->n_checks++;
}

uint32_t rmr_grammar_tokens(rmr_grammar *g, const rmr_token_range *ranges, size_t n, int negated)
{
    if (!rmr_grammar_fuel(g, 1 + n) ||
        !rmr_grammar_room(g, &g->token_sets, &g->cap_token_sets, g->n_token_sets + 1,
                          sizeof *g->token_sets) ||
        !rmr_grammar_room(g, &g->ranges, &g->cap_ranges, g->n_ranges + n, sizeof *g->ranges))
        return 0;
    g->token_sets[g->n_token_sets] = (token_set){(uint32_t)g->n_ranges, (uint32_t)n, negated};
    if (n > 0) memcpy(g->ranges + g->n_ranges, ranges, n * sizeof *ranges);
    g->n_ranges += n;
    return (uint32_t)g->n_token_sets++;
}

int rmr_grammar_has_token(const rmr_grammar *g, uint32_t set, uint32_t token)
{
    const token_set *t = &g->token_sets[set];
    for (uint32_t i = 0; i < t->n; i++)
        if (token >= g->ranges[t->first + i].lo && token <= g->ranges[t->first + i].hi)
            return !t->negated;
    return t->negated;
}

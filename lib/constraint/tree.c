/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tree.h"

/* The size up to which a rule becomes a lexeme, and up to which neighbours are put together. Bigger
 * lexemes would have states of their own for each place that a string is in, and each such state
 * asks for the mask of all strings anew. */
enum { LEXEME_SIZE = 200, NEIGHBOUR_SIZE = 40 };

static int room(rmr_tree *t, void *items, size_t *cap, size_t need, size_t size)
{
    return rmr_grammar_room(t->g, items, cap, need, size);
}

void rmr_tree_free(rmr_tree *t)
{
    rmr_mem *m = &t->g->mem;
    rmr_free(m, t->nodes, t->cap_nodes * sizeof *t->nodes);
    rmr_free(m, t->kids, t->cap_kids * sizeof *t->kids);
    rmr_free(m, t->rules, t->cap_rules * sizeof *t->rules);
    rmr_free(m, t->text, t->cap_text);
    rmr_free(m, t->stack, t->cap_stack * sizeof *t->stack);
    rmr_free(m, t->uses, t->cap_uses * sizeof *t->uses);
    rmr_map_free(&t->names, m);
}

int rmr_tree_push(rmr_tree *t, uint32_t node)
{
    if (!room(t, &t->stack, &t->cap_stack, t->n_stack + 1, sizeof *t->stack)) return 0;
    t->stack[t->n_stack++] = node;
    return 1;
}

uint32_t rmr_tree_node(rmr_tree *t, tree_node n)
{
    if (!rmr_grammar_fuel(t->g, 1) || !room(t, &t->nodes, &t->cap_nodes, t->n_nodes + 1, sizeof n))
        return 0;
    t->nodes[t->n_nodes] = n;
    return (uint32_t)t->n_nodes++;
}

uint32_t rmr_tree_text(rmr_tree *t, const char *text, size_t n)
{
    if (!room(t, &t->text, &t->cap_text, t->n_text + n, 1)) return 0;
    if (n > 0) memcpy(t->text + t->n_text, text, n);
    t->n_text += n;
    return rmr_tree_node(
        t, (tree_node){.kind = TREE_TEXT, .a = (uint32_t)(t->n_text - n), .n = (uint32_t)n});
}

uint32_t rmr_tree_join(rmr_tree *t, tree_kind kind, size_t base)
{
    if (rmr_grammar_failed(t->g)) {
        t->n_stack = base;
        return 0;
    }
    const size_t n = t->n_stack - base;
    if (n == 1) return t->stack[--t->n_stack];
    if (!room(t, &t->kids, &t->cap_kids, t->n_kids + n, sizeof *t->kids)) return 0;
    for (size_t i = 0; i < n; i++) {
        t->kids[t->n_kids + i] = t->stack[base + i];
        if (kind == TREE_ALT) t->nodes[t->stack[base + i]].part_of_alt = 1;
    }
    t->n_kids += n;
    t->n_stack = base;
    return rmr_tree_node(
        t, (tree_node){.kind = (uint8_t)kind, .a = (uint32_t)(t->n_kids - n), .n = (uint32_t)n});
}

uint32_t rmr_tree_repeat(rmr_tree *t, uint32_t node, uint32_t min, uint32_t max)
{
    return rmr_tree_node(
        t, (tree_node){.kind = TREE_REPEAT, .a = node, .n = 1, .min = min, .max = max});
}

static uint64_t hash_name(const char *s, size_t n)
{
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * UINT64_C(0x100000001B3);
    return h | 1;
}

uint32_t rmr_tree_rule(rmr_tree *t, const char *name, size_t n)
{
    const uint64_t key = hash_name(name, n);
    uint32_t probe = 0;
    const uint32_t *known;
    for (; (known = rmr_map_find(&t->names, key, probe)) != NULL; probe++) {
        const tree_rule *r = &t->rules[*known];
        if (r->name_n == n && memcmp(t->text + r->name, name, n) == 0) return *known;
    }
    if (!rmr_grammar_fuel(t->g, 1) ||
        !room(t, &t->rules, &t->cap_rules, t->n_rules + 1, sizeof *t->rules) ||
        !room(t, &t->text, &t->cap_text, t->n_text + n, 1))
        return 0;
    if (!rmr_map_put(&t->names, &t->g->mem, key, probe, (uint32_t)t->n_rules)) {
        rmr_rx_no_memory(t->g->rx, t->names.cap * 2 * sizeof *t->names.slots);
        return 0;
    }
    t->rules[t->n_rules] = (tree_rule){.name = (uint32_t)t->n_text, .name_n = (uint32_t)n};
    memcpy(t->text + t->n_text, name, n);
    t->n_text += n;
    return (uint32_t)t->n_rules++;
}

/* -- Languages of nodes -- */

static uint32_t more_size(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* Many texts are a trie and not a list. */
static rmr_rx texts(rmr_tree *t, const tree_node *n)
{
    rmr_mem *m = &t->g->mem;
    const char **p = rmr_alloc(m, n->n * sizeof *p);
    size_t *len = rmr_alloc(m, n->n * sizeof *len);
    rmr_rx r = RMR_RX_NONE;
    if (p != NULL && len != NULL) {
        for (uint32_t i = 0; i < n->n; i++) {
            const tree_node *k = &t->nodes[t->kids[n->a + i]];
            p[i] = t->text + k->a;
            len[i] = k->n;
        }
        r = rmr_rx_strings(t->g->rx, p, len, n->n);
    } else {
        rmr_rx_no_memory(t->g->rx, n->n * sizeof *p);
    }
    rmr_free(m, p, n->n * sizeof *p);
    rmr_free(m, len, n->n * sizeof *len);
    return r;
}

static void join_language(rmr_tree *t, tree_node *n)
{
    uint32_t size = 1;
    int all = 1, only_texts = 1;
    for (uint32_t i = 0; i < n->n; i++) {
        const tree_node *k = &t->nodes[t->kids[n->a + i]];
        all &= k->regular;
        only_texts &= k->kind == TREE_TEXT;
        size = more_size(size, k->size);
    }
    n->size = only_texts && n->kind == TREE_ALT ? 1 : size;
    n->regular = (uint8_t)(all && n->size <= LEXEME_SIZE);
    if (!n->regular) return;
    rmr_rx_set *s = t->g->rx;
    if (n->kind == TREE_ALT && only_texts) {
        n->rx = texts(t, n);
        return;
    }
    const size_t base = s->scratch.n;
    for (uint32_t i = 0; i < n->n && rmr_rx_push(s, t->nodes[t->kids[n->a + i]].rx);) i++;
    if (n->kind == TREE_ALT) {
        n->rx = rmr_rx_join(s, RX_OR, base);
        return;
    }
    n->rx = RMR_RX_EMPTY;
    while (s->scratch.n > base) n->rx = rmr_rx_concat(s, s->scratch.p[--s->scratch.n], n->rx);
}

static void language(rmr_tree *t, tree_node *n)
{
    const tree_node *k;
    n->regular = 0;
    switch ((tree_kind)n->kind) {
    case TREE_RX:
        n->regular = 1;
        n->size = 1;
        n->rx = n->a;
        break;
    case TREE_TEXT:
        n->regular = 1;
        n->size = 1;
        n->rx = rmr_rx_literal(t->g->rx, t->text + n->a, n->n);
        break;
    case TREE_RULE: {
        const tree_rule *r = &t->rules[n->a];
        n->regular = r->lexeme;
        if (r->lexeme) {
            n->size = t->nodes[r->end - 1].size;
            n->rx = t->nodes[r->end - 1].rx;
        }
        break;
    }
    case TREE_TOKENS:
    case TREE_CALL: break;
    case TREE_SEQ:
    case TREE_ALT: join_language(t, n); break;
    case TREE_REPEAT:
        k = &t->nodes[n->a];
        n->regular = k->regular;
        n->size = more_size(k->size, 1);
        if (k->regular) n->rx = rmr_rx_repeat(t->g->rx, k->rx, n->min, n->max);
        break;
    }
    rmr_grammar_fuel(t->g, 1 + n->n / 4);
}

static void rule_language(rmr_tree *t, tree_rule *r)
{
    for (uint32_t i = r->first; i < r->end && !rmr_grammar_failed(t->g); i++)
        language(t, &t->nodes[i]);
    r->done = 1;
    r->lexeme = r->first < r->end && t->nodes[r->end - 1].regular;
}

/* Rules in an order in which those that they use come before them, as far as there is one. */
static void find_lexemes(rmr_tree *t)
{
    uint32_t *queue = rmr_alloc(&t->g->mem, t->n_rules * sizeof *queue);
    size_t n = 0;
    if (queue == NULL) {
        rmr_rx_no_memory(t->g->rx, t->n_rules * sizeof *queue);
        return;
    }
    t->n_uses = 2;
    for (uint32_t r = 0; r < t->n_rules; r++)
        for (uint32_t i = t->rules[r].first; i < t->rules[r].end; i++) {
            if (t->nodes[i].kind != TREE_RULE) continue;
            if (!room(t, &t->uses, &t->cap_uses, t->n_uses + 2, sizeof *t->uses)) break;
            tree_rule *used = &t->rules[t->nodes[i].a];
            t->uses[t->n_uses] = r;
            t->uses[t->n_uses + 1] = used->uses;
            used->uses = (uint32_t)t->n_uses;
            t->n_uses += 2;
            t->rules[r].waits++;
        }
    for (uint32_t r = 0; r < t->n_rules; r++)
        if (t->rules[r].waits == 0) queue[n++] = r;
    for (size_t done = 0; done < n && !rmr_grammar_failed(t->g); done++) {
        rule_language(t, &t->rules[queue[done]]);
        for (uint32_t u = t->rules[queue[done]].uses; u != 0; u = t->uses[u + 1])
            if (--t->rules[t->uses[u]].waits == 0) queue[n++] = t->uses[u];
    }
    for (uint32_t r = 0; r < t->n_rules; r++)
        if (!t->rules[r].done) rule_language(t, &t->rules[r]);
    rmr_free(&t->g->mem, queue, t->n_rules * sizeof *queue);
}

/* -- Rules of the grammar -- */

static void push_symbol(rmr_tree *t, rmr_symbol **list, size_t *n, size_t *cap, rmr_symbol s)
{
    if (room(t, list, cap, *n + 1, sizeof s)) (*list)[(*n)++] = s;
}

/* The symbols of a sequence, its small neighbours together, as an alternative of the rule. */
static void emit_sequence(rmr_tree *t, const tree_node *n, rmr_rule rule)
{
    rmr_symbol *list = NULL;
    size_t k = 0, cap = 0;
    uint32_t size = 0; /* of the lexeme that the last symbol is */
    const int seq = n->kind == TREE_SEQ && !n->regular;
    for (uint32_t i = 0; i < (seq ? n->n : 1); i++) {
        const tree_node *x = seq ? &t->nodes[t->kids[n->a + i]] : n;
        if (x->regular && size > 0 && k > 0 && more_size(size, x->size) <= NEIGHBOUR_SIZE) {
            list[k - 1].id = rmr_rx_concat(t->g->rx, list[k - 1].id, x->rx);
            size += x->size;
            continue;
        }
        push_symbol(t, &list, &k, &cap, x->regular ? rmr_lexeme(x->rx) : x->symbol);
        size = x->regular ? x->size : 0;
    }
    if (!rmr_grammar_failed(t->g)) rmr_rule_alt(t->g, rule, list, k);
    rmr_free(&t->g->mem, list, cap * sizeof *list);
}

/* Alternatives; those that are languages are one. */
static void emit_alternatives(rmr_tree *t, const tree_node *n, rmr_rule rule)
{
    rmr_rx_set *s = t->g->rx;
    if (n->kind != TREE_ALT || n->regular) {
        emit_sequence(t, n, rule);
        return;
    }
    const size_t base = s->scratch.n;
    for (uint32_t i = 0; i < n->n && !rmr_grammar_failed(t->g); i++) {
        const tree_node *x = &t->nodes[t->kids[n->a + i]];
        if (x->regular)
            rmr_rx_push(s, x->rx);
        else
            emit_sequence(t, x, rule);
    }
    if (s->scratch.n == base) return;
    const rmr_symbol all = rmr_lexeme(rmr_rx_join(s, RX_OR, base));
    if (!rmr_grammar_failed(t->g)) rmr_rule_alt(t->g, rule, &all, 1);
}

static rmr_symbol of_new_rule(rmr_tree *t, const tree_rule *r, const tree_node *n)
{
    const rmr_rule rule = rmr_rule_new(t->g, t->text + r->name, r->name_n);
    emit_alternatives(t, n, rule);
    return rmr_call(rule);
}

static void emit_node(rmr_tree *t, const tree_rule *r, tree_node *n, int root)
{
    if (n->regular) return;
    if (n->kind == TREE_RULE) {
        n->symbol = rmr_call(t->rules[n->a].rule);
    } else if (n->kind == TREE_TOKENS) {
        n->symbol = (rmr_symbol){RMR_SYMBOL_TOKENS, n->a, 1, 1, 0};
    } else if (n->kind == TREE_CALL) {
        n->symbol = rmr_call(n->a);
    } else if (n->kind == TREE_REPEAT) {
        const tree_node *k = &t->nodes[n->a];
        rmr_symbol s = k->regular ? rmr_lexeme(k->rx) : k->symbol;
        if (s.min != 1 || s.max != 1) s = of_new_rule(t, r, k);
        n->symbol = rmr_times(s, n->min, n->max);
    } else if (!root && !(n->kind == TREE_SEQ && n->part_of_alt)) {
        n->symbol = of_new_rule(t, r, n);
    }
}

static remora_status emit(rmr_tree *t, uint32_t start, remora_error *err)
{
    rmr_grammar *g = t->g;
    for (uint32_t i = 0; i < t->n_rules; i++) {
        tree_rule *r = &t->rules[i];
        if (!r->lexeme || i == start) r->rule = rmr_rule_new(g, t->text + r->name, r->name_n);
    }
    for (uint32_t i = 0; i < t->n_rules && !rmr_grammar_failed(g); i++) {
        const tree_rule *r = &t->rules[i];
        if (r->rule == 0) continue;
        for (uint32_t k = r->first; k < r->end; k++) emit_node(t, r, &t->nodes[k], k + 1 == r->end);
        emit_alternatives(t, &t->nodes[r->end - 1], r->rule);
    }
    return rmr_grammar_finish(g, t->rules[start].rule, err);
}

remora_status rmr_tree_finish(rmr_tree *t, const char *start, remora_error *err)
{
    RMR_TRY(rmr_grammar_status(t->g, err));
    uint32_t first = UINT32_MAX;
    for (uint32_t i = 0; i < t->n_rules; i++) {
        const tree_rule *r = &t->rules[i];
        if (!r->defined)
            RMR_FAIL(err, REMORA_E_ARG, "the grammar uses the rule %.*s, which it does not define",
                     r->name_n > 60 ? 60 : (int)r->name_n, t->text + r->name);
        if (r->name_n == strlen(start) && memcmp(t->text + r->name, start, r->name_n) == 0)
            first = i;
    }
    if (first == UINT32_MAX)
        RMR_FAIL(err, REMORA_E_ARG, "the grammar has no rule %s, with which it would begin", start);
    find_lexemes(t);
    RMR_TRY(rmr_grammar_status(t->g, err));
    return emit(t, first, err);
}

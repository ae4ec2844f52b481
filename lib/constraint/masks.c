/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "masks.h"

static void set_bit(uint32_t *mask, uint32_t i)
{
    mask[i / 32] |= UINT32_C(1) << (i % 32);
}

static void or_mask(uint32_t *to, const uint32_t *from, uint32_t words)
{
    for (uint32_t i = 0; i < words; i++) to[i] |= from[i];
}

/* -- Lexer masks -- */

/* A border is of no use when the lexeme goes on for all tokens below it. Those that are open
 * enclose the node that is looked at. */
typedef struct open_border {
    size_t border, end;
    uint64_t unsure; /* branches that were left out before it */
} open_border;

typedef struct lex_walk {
    rmr_masks *k;
    lex_mask *out;
    const vocab_part *p;
    unsigned part;
    open_border open[VOCAB_MAX_DEPTH + 1];
    size_t n_open;
    uint64_t unsure, nodes;
} lex_walk;

static void close_borders(lex_walk *w, size_t at)
{
    while (w->n_open > 0 && w->open[w->n_open - 1].end <= at) {
        const open_border *o = &w->open[--w->n_open];
        mask_border *b = &w->out->borders[o->border];
        if (o->unsure == w->unsure && !b->again) b->lex = LEX_DEAD; /* dropped at the end */
    }
}

static void add_border(lex_walk *w, uint32_t node, uint32_t q, int again)
{
    lex_mask *x = w->out;
    if (!rmr_machine_room(w->k->m, &x->borders, &x->cap, x->n + 1, sizeof *x->borders)) return;
    x->borders[x->n] = (mask_border){node, w->part, q, (uint32_t)again};
    w->open[w->n_open++] = (open_border){x->n++, node + w->p->nodes[node].skip, w->unsure};
}

/* The lexeme is alive behind the node. */
static void visit(lex_walk *w, uint32_t i, uint32_t q)
{
    const trie_node *n = &w->p->nodes[i];
    const lex_state *s = &w->k->m->lex[q];
    const int decide = s->ends && w->k->m->g->has_checks; /* the row behind it may be none */
    if (n->token != VOCAB_NO_TOKEN && !decide) set_bit(w->out->bits, n->token);
    if (s->accepts > 0 && (n->skip > 1 || decide)) add_border(w, i, q, decide);
}

static void walk_branch(lex_walk *w, uint32_t from, uint32_t q)
{
    rmr_machine *m = w->k->m;
    const trie_node *nodes = w->p->nodes;
    const uint32_t end = from + nodes[from].skip;
    const uint8_t *class_of = m->rx->class_of;
    uint32_t at[VOCAB_MAX_DEPTH + 1];
    at[0] = q;
    for (uint32_t i = from; i < end && !machine_failed(m);) {
        const trie_node n = nodes[i];
        const uint32_t next = rmr_lex_next(m, at[n.depth - 1], class_of[n.byte]);
        close_borders(w, i);
        w->nodes++;
        if (next == LEX_DEAD) {
            w->unsure++;
            i += n.skip;
        } else {
            at[n.depth] = next;
            visit(w, i, next);
            i++;
        }
    }
    close_borders(w, end);
}

static void walk_lexer(rmr_masks *k, lex_mask *out, unsigned part, uint32_t q)
{
    lex_walk w = {.k = k, .out = out, .p = &k->v->parts[part], .part = part};
    const size_t first = out->n;
    for (unsigned b = 0; b < 256; b++)
        if (w.p->first[b] < w.p->n && rmr_lex_next(k->m, q, k->m->rx->class_of[b]) != LEX_DEAD)
            walk_branch(&w, w.p->first[b], q);
    size_t n = first;
    for (size_t i = first; i < out->n; i++)
        if (out->borders[i].lex != LEX_DEAD) out->borders[n++] = out->borders[i];
    out->n = n;
    rmr_machine_step(k->m, w.nodes / 8, 0);
}

static void make_lex_mask(rmr_masks *k, lex_mask *x, uint32_t q)
{
    const rmr_vocabulary *v = k->v;
    memset(x->bits, 0, v->words * sizeof *x->bits);
    x->n = 0;
    const int all = rmr_strings_go_on(k, q, STRINGS_ANY),
              few = all || rmr_strings_go_on(k, q, VOCAB_SHORT_CHARS);
    if (few)
        or_mask(x->bits, v->parts[VOCAB_SHORT].mask, v->words);
    else
        walk_lexer(k, x, VOCAB_SHORT, q);
    if (all)
        or_mask(x->bits, v->parts[VOCAB_STRING].mask, v->words);
    else
        walk_lexer(k, x, VOCAB_STRING, q);
    walk_lexer(k, x, VOCAB_REST, q);
    x->lex = machine_failed(k->m) ? 0 : q;
}

/* Room for a mask, made when it is first needed. */
static int need_bits(rmr_masks *k, uint32_t **bits)
{
    const size_t size = k->v->words * sizeof **bits;
    if (*bits == NULL && (*bits = rmr_alloc(k->m->mem, size)) == NULL)
        rmr_rx_no_memory(k->m->rx, size);
    return *bits != NULL;
}

static lex_mask *lex_mask_of(rmr_masks *k, uint32_t q)
{
    lex_mask *set = k->lex + (q * 2654435761u >> 8) % (LEX_MASKS / MASK_WAYS) * MASK_WAYS,
             *old = set;
    for (unsigned i = 0; i < MASK_WAYS; i++) {
        if (set[i].lex == q) {
            set[i].used = ++k->clock;
            return &set[i];
        }
        if (set[i].used < old->used) old = &set[i];
    }
    old->lex = 0;
    if (!need_bits(k, &old->bits)) return NULL;
    old->used = ++k->clock;
    make_lex_mask(k, old, q);
    return machine_failed(k->m) ? NULL : old;
}

/* -- Masks of scans -- */

/* The text of a node: that of any token below it begins with it. */
static uint32_t text_at(rmr_masks *k, uint32_t text, const vocab_part *p, uint32_t node)
{
    size_t n;
    uint32_t i = node;
    while (p->nodes[i].token == VOCAB_NO_TOKEN) i++;
    const char *s = vocab_text(k->v, (remora_token)p->nodes[i].token, &n);
    for (unsigned d = 0; d < p->nodes[node].depth; d++)
        text = rmr_text_longer(k->m, text, (unsigned char)s[d]);
    return text;
}

/* The tokens below a node for a state of the parser. */
static void walk_states(rmr_masks *k, const vocab_part *p, uint32_t node, uint32_t state,
                        uint32_t *bits)
{
    rmr_machine *m = k->m;
    uint32_t *at = k->states;
    uint64_t visited = 0;
    const uint32_t end = node + p->nodes[node].skip;
    at[p->nodes[node].depth] = state;
    for (uint32_t i = node + 1; i < end && !machine_failed(m); visited++) {
        const trie_node n = p->nodes[i];
        const uint32_t next = rmr_state_next(m, at[n.depth - 1], n.byte);
        if (next == STATE_DEAD) {
            i += n.skip;
            continue;
        }
        at[n.depth] = next;
        if (n.token != VOCAB_NO_TOKEN) set_bit(bits, n.token);
        i++;
    }
    rmr_machine_step(m, visited, 0);
}

static void make_scan_mask(rmr_masks *k, const scan *of, uint32_t *bits)
{
    rmr_machine *m = k->m;
    const lex_mask *x = lex_mask_of(k, of->lex);
    if (x == NULL) return;
    memcpy(bits, x->bits, k->v->words * sizeof *bits);
    for (size_t i = 0; i < x->n && !machine_failed(m); i++) {
        const mask_border *b = &x->borders[i];
        const vocab_part *p = &k->v->parts[b->part];
        const uint32_t text = m->rows[of->row].texts ? text_at(k, of->text, p, b->node) : 0;
        const uint32_t row = rmr_row_after(m, of->row, b->lex, text);
        if (row == ROW_NONE) continue;
        if (b->again && p->nodes[b->node].token != VOCAB_NO_TOKEN)
            set_bit(bits, p->nodes[b->node].token);
        walk_states(k, p, b->node, rmr_state_of_row(m, row), bits);
    }
}

static const uint32_t *scan_mask_of(rmr_masks *k, scan of)
{
    const uint32_t h = of.row * 2654435761u ^ of.lex * 2246822519u ^ of.text * 3266489917u;
    scan_mask *set = k->scans + (h >> 8) % (SCAN_MASKS / MASK_WAYS) * MASK_WAYS, *old = set;
    for (unsigned i = 0; i < MASK_WAYS; i++) {
        if (set[i].of.row != 0 && memcmp(&set[i].of, &of, sizeof of) == 0) {
            set[i].used = ++k->clock;
            return set[i].bits;
        }
        if (set[i].used < old->used) old = &set[i];
    }
    old->of.row = 0;
    if (!need_bits(k, &old->bits)) return NULL;
    old->used = ++k->clock;
    make_scan_mask(k, &of, old->bits);
    if (machine_failed(k->m)) return NULL;
    old->of = of;
    return old->bits;
}

/* -- Masks of states -- */

/* Tokens that the grammar names, and those that are too long for the trie. */
static void add_single(rmr_masks *k, uint32_t state, uint32_t *mask)
{
    rmr_machine *m = k->m;
    const parse_state s = m->states[state];
    for (uint32_t i = 0; i < s.n; i++) {
        const scan x = m->scans[s.scans + i];
        const parse_row r = m->rows[x.row];
        for (uint32_t t = 0; x.text == TEXT_FRESH && t < r.n_tokens; t++)
            for (uint32_t id = 0; id < k->v->n_vocab; id++)
                if (rmr_grammar_has_token(m->g, m->g->places[m->items[r.tokens + t].place].id, id))
                    set_bit(mask, id);
    }
    for (size_t i = 0; i < k->v->n_far; i++) {
        size_t n;
        const char *text = vocab_text(k->v, k->v->far[i], &n);
        uint32_t at = state;
        for (size_t b = 0; b < n && at != STATE_DEAD; b++)
            at = rmr_state_next(m, at, (unsigned char)text[b]);
        if (at != STATE_DEAD) set_bit(mask, (uint32_t)k->v->far[i]);
    }
}

void rmr_masks_of(rmr_masks *k, uint32_t state, uint32_t *mask)
{
    rmr_machine *m = k->m;
    const parse_state s = m->states[state];
    const rmr_vocabulary *v = k->v;
    memset(mask, 0, v->words * sizeof *mask);
    for (uint32_t i = 0; i < s.n && !machine_failed(m); i++) {
        scan x = m->scans[s.scans + i];
        if (x.lex == LEX_DEAD) continue;
        x.lex = rmr_lex_near(m, x.lex);
        if (x.text == TEXT_FRESH) x.text = 0;
        const uint32_t *bits = scan_mask_of(k, x);
        if (bits != NULL) or_mask(mask, bits, v->words);
    }
    for (size_t i = 0; i < v->n_again; i++) {
        const uint32_t of = (uint32_t)v->again[2 * i + 1];
        if (mask[of / 32] >> (of % 32) & 1) set_bit(mask, (uint32_t)v->again[2 * i]);
    }
    if (!machine_failed(m)) add_single(k, state, mask);
    if (s.accept) or_mask(mask, v->ends, v->words);
}

/* The node with the text below which tokens go on, or p->n. */
static uint32_t find_node(const vocab_part *p, const char *text, size_t n)
{
    uint32_t i = p->first[(unsigned char)text[0]];
    if (i >= p->n) return p->n;
    for (size_t d = 1; d < n; d++) {
        const uint32_t end = i + p->nodes[i].skip;
        uint32_t kid = i + 1;
        while (kid < end && p->nodes[kid].byte != (unsigned char)text[d]) kid += p->nodes[kid].skip;
        if (kid >= end) return p->n;
        i = kid;
    }
    return i;
}

int rmr_masks_crossed(rmr_masks *k, const char *text, size_t n, uint32_t state)
{
    rmr_machine *m = k->m;
    for (unsigned part = 0; part < VOCAB_PARTS && n <= VOCAB_MAX_DEPTH; part++) {
        const vocab_part *p = &k->v->parts[part];
        const uint32_t node = find_node(p, text, n);
        if (node >= p->n) continue;
        const uint32_t end = node + p->nodes[node].skip;
        k->states[n] = state;
        for (uint32_t i = node + 1; i < end && !machine_failed(m);) {
            const trie_node x = p->nodes[i];
            const uint32_t next = rmr_state_next(m, k->states[x.depth - 1], x.byte);
            k->states[x.depth] = next;
            if (next != STATE_DEAD && x.token != VOCAB_NO_TOKEN) return 1;
            i += next == STATE_DEAD ? x.skip : 1u;
        }
    }
    return 0;
}

/* -- All of them -- */

remora_status rmr_masks_init(rmr_masks *k, rmr_machine *m, const rmr_vocabulary *v,
                             remora_error *err)
{
    memset(k, 0, sizeof *k);
    k->m = m;
    k->v = v;
    k->lex = rmr_calloc(m->mem, LEX_MASKS, sizeof *k->lex);
    k->scans = rmr_calloc(m->mem, SCAN_MASKS, sizeof *k->scans);
    k->states = rmr_calloc(m->mem, VOCAB_MAX_DEPTH + 1, sizeof *k->states);
    if (k->lex == NULL || k->scans == NULL || k->states == NULL) {
        rmr_masks_free(k);
        rmr_rx_no_memory(m->rx, LEX_MASKS * sizeof *k->lex);
        return rmr_rx_status(m->rx, err);
    }
    rmr_strings_init(k);
    return REMORA_OK;
}

void rmr_masks_forget(rmr_masks *k)
{
    rmr_mem *mem = k->m->mem;
    for (unsigned i = 0; i < LEX_MASKS && k->lex != NULL; i++) {
        rmr_free(mem, k->lex[i].bits, k->v->words * sizeof(uint32_t));
        rmr_free(mem, k->lex[i].borders, k->lex[i].cap * sizeof(mask_border));
        k->lex[i] = (lex_mask){.lex = 0};
    }
    for (unsigned i = 0; i < SCAN_MASKS && k->scans != NULL; i++) {
        rmr_free(mem, k->scans[i].bits, k->v->words * sizeof(uint32_t));
        k->scans[i] = (scan_mask){.of = {0, 0, 0}};
    }
}

void rmr_masks_free(rmr_masks *k)
{
    if (k->m == NULL) return;
    rmr_mem *mem = k->m->mem;
    rmr_masks_forget(k);
    rmr_free(mem, k->lex, LEX_MASKS * sizeof *k->lex);
    rmr_free(mem, k->scans, SCAN_MASKS * sizeof *k->scans);
    rmr_free(mem, k->states, (VOCAB_MAX_DEPTH + 1) * sizeof *k->states);
    rmr_free(mem, k->pairs, k->cap_pairs * sizeof *k->pairs);
    k->m = NULL;
}

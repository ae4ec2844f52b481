/* SPDX-License-Identifier: Apache-2.0 */
/* Whether all texts that may stand in a JSON string go on in a lexer state.
 *
 * It is a search of pairs: a lexer state, and how far a character has come. What it finds out is
 * kept with each lexer state between characters that it has passed, so a state is searched once,
 * whatever states lead to it. */
#include <string.h>

#include "masks.h"

enum {
    NO_CHAR = 8, /* states of UTF-8: 0 between characters, 1 to 3 bytes left, then E0 ED F0 F4 */
    PAIRS = 4096,
    FAR = 254, /* characters are counted up to here */
    TRIED = 2, /* lexemes that are looked at alone */
};

typedef struct string_search {
    rmr_masks *k;
    unsigned most; /* characters */
    size_t n;
    rmr_map seen;
} string_search;

static unsigned utf8_next(unsigned u, unsigned b)
{
    static const uint8_t lo[] = {0, 0x80, 0x80, 0x80, 0xA0, 0x80, 0x90, 0x80};
    static const uint8_t hi[] = {0, 0xBF, 0xBF, 0xBF, 0xBF, 0x9F, 0xBF, 0x8F};
    static const uint8_t to[] = {0, 0, 1, 2, 1, 1, 2, 2};
    if (u > 0) return b >= lo[u] && b <= hi[u] ? to[u] : NO_CHAR;
    if (b < 0x80) return b < 0x20 || b == '"' || b == '\\' ? NO_CHAR : 0;
    if (b < 0xC2 || b > 0xF4) return NO_CHAR;
    if (b < 0xE0) return 1;
    if (b < 0xF0) return b == 0xE0 ? 4 : b == 0xED ? 5 : 2;
    return b == 0xF0 ? 6 : b == 0xF4 ? 7 : 3;
}

/* One byte for each pair of a class and a next state. */
void rmr_strings_init(rmr_masks *k)
{
    for (unsigned u = 0; u < 8; u++) {
        uint8_t seen[256][8];
        memset(seen, 0, sizeof seen);
        k->n_reps[u] = 0;
        for (unsigned b = 0; b < 256; b++) {
            const unsigned to = utf8_next(u, b), c = k->m->rx->class_of[b];
            if (to == NO_CHAR || seen[c][to]) continue;
            seen[c][to] = 1;
            k->reps[u][k->n_reps[u]++] = (uint8_t)b;
        }
    }
}

/* 1 or 0 where it is known of the state, else -1. */
static int known(const lex_state *s, unsigned most)
{
    if (s->sure == STRINGS_ANY || s->sure >= most) return 1;
    return s->unsure > 0 && s->unsure <= most ? 0 : -1;
}

/* A text fails that goes through the pair and has so many characters. */
static void fails(string_search *s, uint32_t pair, unsigned chars)
{
    for (uint32_t i = pair;; i = s->k->pairs[i].from) {
        const string_pair *p = &s->k->pairs[i];
        if (p->u == 0) {
            lex_state *x = &s->k->m->lex[p->q];
            const unsigned n = chars - p->chars < FAR ? chars - p->chars : FAR;
            if (x->unsure == 0 || n < x->unsure) x->unsure = (uint8_t)n;
        }
        if (i == 0) break;
    }
}

/* 0: the search has an answer, which is no. */
static int follow(string_search *s, uint32_t at, unsigned byte)
{
    rmr_masks *k = s->k;
    rmr_machine *m = k->m;
    const string_pair p = k->pairs[at];
    const unsigned to = utf8_next(p.u, byte), chars = p.chars + (to == 0);
    const uint32_t next = rmr_lex_next(m, p.q, m->rx->class_of[byte]);
    if (machine_failed(m)) return 0;
    if (next == LEX_DEAD || (m->g->has_checks && m->lex[next].ends)) {
        /* It is dead, or the parser decides whether it is. */
        fails(s, at, p.chars + 1u);
        return 0;
    }
    if (to == 0) {
        const unsigned left = s->most == STRINGS_ANY ? STRINGS_ANY : s->most - chars;
        const int is = known(&m->lex[next], left);
        if (is == 0) fails(s, at, chars + m->lex[next].unsure);
        if (is >= 0) return is;
    }
    const unsigned count = s->most == STRINGS_ANY ? 0 : chars;
    const uint64_t key = (uint64_t)next << 32 | count << 3 | to;
    if (rmr_map_find(&s->seen, key, 0) != NULL) return 1;
    if (s->n == PAIRS) {
        fails(s, 0, k->pairs[0].chars + 1u); /* which costs a walk and no token */
        return 0;
    }
    if (!rmr_machine_put(m, &s->seen, key, 0, 0) ||
        !rmr_machine_room(m, &k->pairs, &k->cap_pairs, s->n + 1, sizeof *k->pairs))
        return 0;
    k->pairs[s->n++] = (string_pair){next, at, (uint16_t)to, (uint16_t)chars};
    return 1;
}

static void learn(const string_search *s)
{
    for (size_t i = 0; i < s->n; i++) {
        const string_pair *p = &s->k->pairs[i];
        if (p->u != 0) continue;
        lex_state *x = &s->k->m->lex[p->q];
        const unsigned left = s->most == STRINGS_ANY ? STRINGS_ANY : s->most - p->chars;
        if (left > x->sure) x->sure = (uint8_t)left;
    }
}

static int search(rmr_masks *k, uint32_t q, unsigned most)
{
    rmr_machine *m = k->m;
    string_search s = {.k = k, .most = most, .n = 1};
    if (!rmr_machine_room(m, &k->pairs, &k->cap_pairs, 1, sizeof *k->pairs)) return 0;
    k->pairs[0] = (string_pair){q, 0, 0, 0};
    int all = 1;
    for (uint32_t at = 0; at < s.n && all; at++) {
        const unsigned u = k->pairs[at].u;
        for (unsigned i = 0; i < k->n_reps[u] && all; i++) all = follow(&s, at, k->reps[u][i]);
    }
    rmr_machine_step(m, s.n, 0);
    rmr_map_free(&s.seen, m->mem);
    if (machine_failed(m)) return 0;
    if (all) learn(&s);
    return all;
}

/* 1: the language is one text or begins with one, so not all texts go on in it. */
static int begins_with_text(const rmr_rx_set *s, rmr_rx a)
{
    const rx_node *n = rx_at(s, a);
    return n->kind == RX_EMPTY || n->kind == RX_BYTES ||
           (n->kind == RX_CONCAT && rx_at(s, n->a)->kind == RX_BYTES);
}

/* Whether all texts go on in one lexeme alone, where the few texts that it leaves out do not count.
 * In the keys of an object that is the lexeme of all keys without a name. Its states are those of
 * any string; the keys of all forms together have a state for each beginning of a name, with each
 * form in it. */
static int one_goes_on(rmr_masks *k, uint32_t q)
{
    rmr_machine *m = k->m;
    const lex_state s = m->lex[q];
    unsigned tried = 0;
    for (uint32_t i = 0; i < s.n && tried < TRIED && !machine_failed(m); i++) {
        const rmr_rx rest = m->pairs[s.pairs + i].rest;
        if (begins_with_text(m->rx, rest)) continue;
        const rmr_rx more = rmr_rx_without_few(m->rx, rest);
        if (s.n == 1 && more == rest) return 0;
        const uint32_t one = rmr_lex_alone(m, more);
        const int is = known(&m->lex[one], STRINGS_ANY);
        tried++;
        if (is >= 0 ? is : search(k, one, STRINGS_ANY)) return 1;
    }
    return 0;
}

int rmr_strings_go_on(rmr_masks *k, uint32_t q, unsigned most)
{
    const int is = known(&k->m->lex[q], most);
    if (is >= 0) return is;
    if (!one_goes_on(k, q)) return search(k, q, most);
    k->m->lex[q].sure = STRINGS_ANY;
    return !machine_failed(k->m);
}

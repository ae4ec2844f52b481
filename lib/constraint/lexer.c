/* SPDX-License-Identifier: Apache-2.0 */
/* States of the lexer: sets of lexemes and what is left of each. */
#include <string.h>

#include "machine.h"

static int pair_before(const lex_pair *x, const lex_pair *y)
{
    return x->lexeme != y->lexeme ? x->lexeme < y->lexeme : x->rest < y->rest;
}

static uint64_t hash_pairs(const lex_pair *p, size_t n)
{
    uint64_t h = n + 1;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ ((uint64_t)p[i].lexeme << 32 | p[i].rest)) * UINT64_C(0x9E3779B97F4A7C15);
        h ^= h >> 29;
    }
    return h | 1;
}

static int nothing_follows(const rmr_machine *m, const lex_pair *p, size_t n)
{
    (void)m;
    for (size_t i = 0; i < n; i++)
        if (p[i].rest != RMR_RX_EMPTY) return 0;
    return 1;
}

/* Pairs whose rest may be empty come first, so that they are found without looking. */
static size_t accepting_first(rmr_machine *m, lex_pair *p, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++)
        if (rmr_rx_nullable(m->rx, p[i].rest)) {
            const lex_pair t = p[i];
            memmove(p + k + 1, p + k, (i - k) * sizeof *p);
            p[k++] = t;
        }
    return k;
}

/* The state with the pairs that were collected, which are in order. */
static uint32_t intern(rmr_machine *m)
{
    const size_t n = m->n_pair_work;
    if (n == 0 || machine_failed(m)) return LEX_DEAD;
    const size_t accepts = accepting_first(m, m->pair_work, n);
    const uint64_t key = hash_pairs(m->pair_work, n);
    for (uint32_t probe = 0;; probe++) {
        const uint32_t *known = rmr_map_find(&m->lex_by, key, probe);
        if (known == NULL) {
            if (!rmr_machine_put(m, &m->lex_by, key, probe, (uint32_t)m->n_lex)) return LEX_DEAD;
            break;
        }
        const lex_state *s = &m->lex[*known];
        if (s->n == n && memcmp(m->pairs + s->pairs, m->pair_work, n * sizeof *m->pairs) == 0)
            return *known;
    }
    if (!rmr_machine_room(m, &m->lex, &m->cap_lex, m->n_lex + 1, sizeof *m->lex) ||
        !rmr_machine_room(m, &m->pairs, &m->cap_pairs, m->n_pairs + n, sizeof *m->pairs) ||
        !rmr_machine_room(m, &m->lex_next, &m->cap_lex_next, (m->n_lex + 1) * m->n_classes,
                          sizeof *m->lex_next))
        return LEX_DEAD;
    memset(m->lex_next + m->n_lex * m->n_classes, 0, m->n_classes * sizeof *m->lex_next);
    memcpy(m->pairs + m->n_pairs, m->pair_work, n * sizeof *m->pairs);
    m->lex[m->n_lex] = (lex_state){.pairs = (uint32_t)m->n_pairs,
                                   .n = (uint32_t)n,
                                   .accepts = (uint32_t)accepts,
                                   .ends = (uint8_t)nothing_follows(m, m->pair_work, n)};
    m->n_pairs += n;
    return (uint32_t)m->n_lex++;
}

static void add_pair(rmr_machine *m, rmr_rx lexeme, rmr_rx rest)
{
    uint64_t fuel = m->g->lim.step;
    if (rest == RMR_RX_NONE || !rmr_rx_live(m->rx, rest, &fuel)) return;
    if (!rmr_machine_room(m, &m->pair_work, &m->cap_pair_work, m->n_pair_work + 1,
                          sizeof *m->pair_work))
        return;
    m->pair_work[m->n_pair_work++] = (lex_pair){lexeme, rest};
}

uint32_t rmr_lex_start(rmr_machine *m, const row_lexeme *lexemes, size_t n)
{
    m->n_pair_work = 0;
    for (size_t i = 0; i < n; i++)
        if (i == 0 || lexemes[i - 1].name != lexemes[i].name)
            add_pair(m, lexemes[i].name, lexemes[i].language);
    return intern(m);
}

/* Insertion: they are nearly in order, for they were so before. */
static void sort_pairs(lex_pair *p, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const lex_pair t = p[i];
        size_t k = i;
        for (; k > 0 && pair_before(&t, &p[k - 1]); k--) p[k] = p[k - 1];
        p[k] = t;
    }
}

/* Classes that the state does not tell apart. Usually several are asked for one after the other. */
static const rx_parts *parts_of(rmr_machine *m, uint32_t q)
{
    const lex_state s = m->lex[q];
    if (m->parts_of == q) return &m->parts;
    rmr_rx_parts_begin(m->rx, &m->parts);
    for (uint32_t i = 0; i < s.n; i++)
        rmr_rx_parts_split(m->rx, &m->parts, m->pairs[s.pairs + i].rest);
    m->parts_of = q;
    rmr_machine_step(m, (RX_PARTS_NODES - m->parts.left) / 16, 0);
    return &m->parts;
}

uint32_t rmr_lex_derive(rmr_machine *m, uint32_t q, unsigned c)
{
    const unsigned byte = m->rx->class_byte[c];
    const lex_state s = m->lex[q];
    m->n_pair_work = 0;
    for (uint32_t i = 0; i < s.n && !machine_failed(m); i++) {
        const lex_pair p = m->pairs[s.pairs + i];
        add_pair(m, p.lexeme, rmr_rx_derive(m->rx, p.rest, (unsigned char)byte));
    }
    rmr_machine_step(m, 1 + s.n, 0);
    sort_pairs(m->pair_work, m->n_pair_work);
    const uint32_t next = intern(m);
    if (machine_failed(m)) return next;
    const rx_parts *p = parts_of(m, q);
    uint32_t *to = m->lex_next + (size_t)q * m->n_classes;
    for (unsigned i = 0; i < m->n_classes; i++)
        if (p->part[i] == p->part[c]) to[i] = next;
    return next;
}

uint32_t rmr_lex_near(rmr_machine *m, uint32_t q)
{
    const lex_state s = m->lex[q];
    if (s.near != 0) return s.near;
    m->n_pair_work = 0;
    for (uint32_t i = 0; i < s.n && !machine_failed(m); i++) {
        const lex_pair p = m->pairs[s.pairs + i];
        add_pair(m, p.lexeme, rmr_rx_saturate(m->rx, p.rest, m->longest));
    }
    sort_pairs(m->pair_work, m->n_pair_work);
    const uint32_t near = intern(m);
    if (!machine_failed(m)) m->lex[q].near = near;
    return near;
}

uint32_t rmr_lex_alone(rmr_machine *m, rmr_rx a)
{
    m->n_pair_work = 0;
    add_pair(m, RMR_RX_NONE, a); /* no lexeme has this name */
    return intern(m);
}

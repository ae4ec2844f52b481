/* SPDX-License-Identifier: Apache-2.0 */
/* States: sets of scans, and what a byte or a token makes of them. */
#include <string.h>

#include "machine.h"

static void add_scan(rmr_machine *m, scan s)
{
    for (size_t i = 0; i < m->n_scan_work; i++)
        if (memcmp(&m->scan_work[i], &s, sizeof s) == 0) return;
    if (m->n_scan_work >= m->g->lim.row_items) {
        rmr_rx_fail(
            m->rx, REMORA_E_LIMIT,
            "the constraint has more ways to read a text than its limit \"row_items\" allows");
        return;
    }
    if (!rmr_machine_step(m, 1, 0) ||
        !rmr_machine_room(m, &m->scan_work, &m->cap_scan_work, m->n_scan_work + 1, sizeof s))
        return;
    m->scan_work[m->n_scan_work++] = s;
}

static void sort_scans(scan *p, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const scan t = p[i];
        size_t k = i;
        for (; k > 0 && memcmp(&t, &p[k - 1], sizeof t) < 0; k--) p[k] = p[k - 1];
        p[k] = t;
    }
}

static uint64_t hash_scans(const scan *p, size_t n)
{
    uint64_t h = n;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ ((uint64_t)p[i].row << 32 | p[i].lex)) * UINT64_C(0x9E3779B97F4A7C15);
        h = (h ^ h >> 29 ^ p[i].text) * UINT64_C(0xD6E8FEB86659FD93);
        h ^= h >> 31;
    }
    return h | 1;
}

static uint32_t intern(rmr_machine *m)
{
    const size_t n = m->n_scan_work;
    if (n == 0 || machine_failed(m)) return STATE_DEAD;
    if (n > 1) sort_scans(m->scan_work, n);
    const uint64_t key = hash_scans(m->scan_work, n);
    for (uint32_t probe = 0;; probe++) {
        const uint32_t *known = rmr_map_find(&m->states_by, key, probe);
        if (known == NULL) {
            if (!rmr_machine_put(m, &m->states_by, key, probe, (uint32_t)m->n_states))
                return STATE_DEAD;
            break;
        }
        const parse_state *s = &m->states[*known];
        if (s->n == n && memcmp(m->scans + s->scans, m->scan_work, n * sizeof *m->scans) == 0)
            return *known;
    }
    if (!rmr_machine_room(m, &m->states, &m->cap_states, m->n_states + 1, sizeof *m->states) ||
        !rmr_machine_room(m, &m->scans, &m->cap_scans, m->n_scans + n, sizeof *m->scans))
        return STATE_DEAD;
    memcpy(m->scans + m->n_scans, m->scan_work, n * sizeof *m->scans);
    parse_state s = {.scans = (uint32_t)m->n_scans, .n = (uint32_t)n};
    for (size_t i = 0; i < n; i++)
        if (m->scan_work[i].text == TEXT_FRESH && m->rows[m->scan_work[i].row].accept) s.accept = 1;
    m->n_scans += n;
    m->states[m->n_states] = s;
    return (uint32_t)m->n_states++;
}

static void add_row(rmr_machine *m, uint32_t row)
{
    if (row != ROW_NONE) add_scan(m, (scan){row, m->rows[row].lex, TEXT_FRESH});
}

uint32_t rmr_state_of_row(rmr_machine *m, uint32_t row)
{
    m->n_scan_work = 0;
    add_row(m, row);
    return intern(m);
}

/* The row behind the lexemes that end with this byte: one, whatever scans they are of. */
static void add_new_row(rmr_machine *m)
{
    size_t whole = 0, last = 0;
    for (size_t i = 0; i < m->n_scan_work; i++)
        if (m->lex[m->scan_work[i].lex].accepts > 0) {
            whole++;
            last = i;
        }
    if (whole == 0) return;
    const scan s = m->scan_work[last];
    if (whole == 1) {
        add_row(m, rmr_row_after(m, s.row, s.lex, s.text));
        return;
    }
    const size_t n = m->n_scan_work;
    rmr_row_begin(m);
    for (size_t i = 0; i < n; i++)
        rmr_row_scan(m, m->scan_work[i].row, m->scan_work[i].lex, m->scan_work[i].text);
    add_row(m, rmr_row_end(m));
}

uint32_t rmr_state_derive(rmr_machine *m, uint32_t state, unsigned byte)
{
    const parse_state s = m->states[state];
    const unsigned c = m->rx->class_of[byte];
    m->n_scan_work = 0;
    for (uint32_t i = 0; i < s.n; i++) {
        const scan x = m->scans[s.scans + i];
        const uint32_t q = rmr_lex_next(m, x.lex, c);
        if (q == LEX_DEAD) continue;
        const uint32_t text = m->rows[x.row].texts ? rmr_text_longer(m, x.text, byte) : 0;
        add_scan(m, (scan){x.row, q, text});
    }
    add_new_row(m);
    /* A scan whose lexeme has ended and cannot go on is done with. */
    size_t k = 0;
    for (size_t i = 0; i < m->n_scan_work; i++) {
        const scan *x = &m->scan_work[i];
        if (x->text == TEXT_FRESH || !m->lex[x->lex].ends) m->scan_work[k++] = *x;
    }
    m->n_scan_work = k;
    const uint32_t next = intern(m);
    rmr_machine_put(m, &m->next_by, state, c, next);
    return next;
}

uint32_t rmr_state_token(rmr_machine *m, uint32_t state, uint32_t token)
{
    const parse_state s = m->states[state];
    rmr_row_begin(m);
    for (uint32_t i = 0; i < s.n; i++)
        if (m->scans[s.scans + i].text == TEXT_FRESH)
            rmr_row_token(m, m->scans[s.scans + i].row, token);
    return m->n_work == 0 ? (uint32_t)STATE_DEAD : rmr_state_of_row(m, rmr_row_end(m));
}

uint32_t rmr_state_union(rmr_machine *m, uint32_t a, uint32_t b)
{
    if (a == STATE_DEAD || a == b) return b;
    if (b == STATE_DEAD) return a;
    m->n_scan_work = 0;
    for (uint32_t i = 0; i < m->states[a].n; i++) add_scan(m, m->scans[m->states[a].scans + i]);
    for (uint32_t i = 0; i < m->states[b].n; i++) add_scan(m, m->scans[m->states[b].scans + i]);
    return intern(m);
}

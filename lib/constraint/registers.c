/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of rules, the texts that they remember, and checks of them. */
#include "machine.h"

static uint64_t field(const rmr_check_desc *d, uint64_t word)
{
    if (d->width == 0) return 0;
    return word >> d->shift & ((UINT64_C(1) << (d->width & 63)) - 1);
}

int rmr_reg_allows(const rmr_machine *m, rmr_check c, uint32_t reg)
{
    if (c == 0) return 1;
    const rmr_check_desc *d = &m->g->checks[c];
    const uint64_t word = m->regs[reg].word;
    if ((word & d->need) != d->need || (word & d->forbid) != 0) return 0;
    if (d->width == 0) return 1;
    const uint64_t v = field(d, word);
    return v >= d->lo && (d->hi == RMR_RX_MANY || v <= d->hi);
}

static uint32_t reg_id(rmr_machine *m, reg_value v)
{
    if (v.word == 0 && v.seen == 0) return 0;
    const uint32_t *known = rmr_map_find(&m->regs_by, (uint64_t)v.seen + 1, v.word);
    if (known != NULL) return *known;
    if (!rmr_machine_room(m, &m->regs, &m->cap_regs, m->n_regs + 1, sizeof v) ||
        !rmr_machine_put(m, &m->regs_by, (uint64_t)v.seen + 1, v.word, (uint32_t)m->n_regs))
        return 0;
    m->regs[m->n_regs] = v;
    return (uint32_t)m->n_regs++;
}

static uint32_t chain(rmr_machine *m, rmr_map *by, chained **items, size_t *n, size_t *cap,
                      uint32_t before, uint32_t what)
{
    const uint64_t key = (uint64_t)(before + 1) << 32 | what;
    const uint32_t *known = rmr_map_find(by, key, 0);
    if (known != NULL) return *known;
    if (!rmr_machine_room(m, items, cap, *n + 1, sizeof **items) ||
        !rmr_machine_put(m, by, key, 0, (uint32_t)*n))
        return 0;
    (*items)[*n] = (chained){before, what};
    return (uint32_t)(*n)++;
}

uint32_t rmr_text_longer(rmr_machine *m, uint32_t text, unsigned byte)
{
    if (text == TEXT_FRESH) text = 0;
    return chain(m, &m->texts_by, &m->texts, &m->n_texts, &m->cap_texts, text, byte);
}

uint32_t rmr_reg_after(rmr_machine *m, rmr_check c, uint32_t reg, uint32_t text)
{
    if (c == 0) return reg;
    const rmr_check_desc *d = &m->g->checks[c];
    reg_value v = m->regs[reg];
    v.word = (v.word & ~d->clear) | d->set;
    if (d->width > 0 && d->add > 0) {
        const uint64_t most = (UINT64_C(1) << (d->width & 63)) - 1;
        uint64_t x = field(d, v.word);
        x = most - x < d->add ? most : x + d->add;
        v.word = (v.word & ~(most << d->shift)) | x << d->shift;
    }
    if (d->unique) v.seen = chain(m, &m->seen_by, &m->seen, &m->n_seen, &m->cap_seen, v.seen, text);
    return reg_id(m, v);
}

/* Whether a text is in a lexeme. */
static int is_of(rmr_machine *m, rmr_rx lexeme, uint32_t text)
{
    size_t n = 0, at;
    for (uint32_t t = text; t != 0; t = m->texts[t].before) n++;
    if (!rmr_machine_room(m, &m->spelling, &m->cap_spelling, n, 1)) return 0;
    at = n;
    for (uint32_t t = text; t != 0; t = m->texts[t].before)
        m->spelling[--at] = (char)m->texts[t].what;
    return rmr_rx_matches(m->rx, lexeme, m->spelling, n);
}

static rmr_rx text_language(rmr_machine *m, uint32_t text)
{
    rmr_rx r = RMR_RX_EMPTY;
    for (; text != 0 && !machine_failed(m); text = m->texts[text].before)
        r = rmr_rx_concat(m->rx, rmr_rx_byte(m->rx, (unsigned char)m->texts[text].what), r);
    return r;
}

/* The texts of a set that are in a lexeme, as those before and perhaps one more. Others change
 * nothing, so most lexemes stay what they are. */
static rmr_rx seen_language(rmr_machine *m, rmr_rx lexeme, uint32_t seen)
{
    const uint64_t key = (uint64_t)lexeme << 32 | 1;
    rmr_rx r = RMR_RX_NONE;
    const uint32_t *known = rmr_map_find(&m->unique_by, key, seen);
    if (known != NULL) return *known;
    for (uint32_t at = seen; at != 0 && !machine_failed(m); at = m->seen[at].before) {
        known = rmr_map_find(&m->unique_by, key, at);
        if (known != NULL) {
            r = rmr_rx_or2(m->rx, r, *known);
            break;
        }
        if (is_of(m, lexeme, m->seen[at].what))
            r = rmr_rx_or2(m->rx, r, text_language(m, m->seen[at].what));
    }
    rmr_machine_put(m, &m->unique_by, key, seen, r);
    return r;
}

rmr_rx rmr_reg_lexeme(rmr_machine *m, rmr_rx lexeme, uint32_t reg)
{
    const uint32_t seen = m->regs[reg].seen;
    if (seen == 0) return lexeme;
    const uint64_t key = (uint64_t)lexeme << 32 | 2;
    const uint32_t *known = rmr_map_find(&m->unique_by, key, seen);
    if (known != NULL) return *known;
    const rmr_rx without = seen_language(m, lexeme, seen);
    const rmr_rx r =
        without == RMR_RX_NONE ? lexeme : rmr_rx_and2(m->rx, lexeme, rmr_rx_not(m->rx, without));
    rmr_machine_put(m, &m->unique_by, key, seen, r);
    return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the parser: what follows a lexeme, and what that expects. */
#include <stdio.h>
#include <string.h>

#include "rows.h"
#include "sort.h"

/* -- Collecting items, each once -- */

static uint64_t item_key(const row_item *i)
{
    return (uint64_t)i->place << 32 | i->cont | UINT64_C(1) << 63;
}

static void add(rmr_machine *m, row_item item)
{
    if (machine_failed(m)) return;
    const uint64_t more = (uint64_t)item.count << 32 | item.reg;
    if (rmr_map_find(&m->work_by, item_key(&item), more) != NULL) return;
    const rmr_rule rule = m->g->places[item.place].rule;
    if (m->n_work >= m->g->lim.row_items) {
        char name[64], text[200];
        snprintf(text, sizeof text,
                 "the constraint has more items in a row than its limit \"row_items\" allows, in "
                 "the rule %s",
                 rmr_grammar_name(m->g, rule, name));
        rmr_rx_fail(m->rx, REMORA_E_LIMIT, text);
        return;
    }
    if (!rmr_machine_step(m, 1, rule) ||
        !rmr_machine_room(m, &m->work, &m->cap_work, m->n_work + 1, sizeof item) ||
        !rmr_machine_put(m, &m->work_by, item_key(&item), more, 0))
        return;
    m->work[m->n_work++] = item;
}

static void forget_items(rmr_machine *m)
{
    if (m->work_by.n == 0) return;
    if (m->work_by.cap > 1024)
        rmr_map_free(&m->work_by, m->mem);
    else
        memset(m->work_by.slots, 0, m->work_by.cap * sizeof *m->work_by.slots);
    m->work_by.n = 0;
}

static int may_pass(const rmr_place *p, const row_item *i)
{
    return p->nullable || i->count >= p->min;
}

static row_item behind(row_item i)
{
    return (row_item){i.place + 1, i.cont, 0, i.reg};
}

/* The item after one more repetition of its symbol, whose text is that. */
static void advance(rmr_machine *m, row_item i, uint32_t text)
{
    const rmr_place *p = &m->g->places[i.place];
    i.reg = rmr_reg_after(m, p->check, i.reg, text);
    if (p->max == RMR_RX_MANY)
        i.count += i.count < p->min; /* beyond the least all counts are alike */
    else if (++i.count >= p->max)
        i = behind(i);
    add(m, i);
}

/* A rule has ended that returns there. */
static void give_back(rmr_machine *m, uint32_t cont, uint32_t reg)
{
    const row_cont c = m->conts[cont];
    for (uint32_t i = 0; i < c.n && !machine_failed(m); i++) {
        row_item item = m->items[c.items + i];
        if (c.shares) item.reg = reg;
        advance(m, item, 0);
    }
}

/* Items of a row's kernel: what ends returns, what may be passed over is. Each end is an item of
 * its own in the work, so no return is made twice. Returns 1 when the text may end. */
static int complete(rmr_machine *m)
{
    int accept = 0;
    for (size_t i = 0; i < m->n_work && !machine_failed(m); i++) {
        const row_item item = m->work[i];
        const rmr_place *p = &m->g->places[item.place];
        if (p->kind == SYMBOL_END) {
            if (item.cont == CONT_ROOT)
                accept = 1;
            else
                give_back(m, item.cont, item.reg);
        } else if (p->kind == RMR_SYMBOL_EMPTY) {
            if (rmr_reg_allows(m, p->check, item.reg)) advance(m, item, 0);
            if (p->min == 0) add(m, behind(item));
        } else if (may_pass(p, &item)) {
            add(m, behind(item));
        }
    }
    return accept;
}

/* -- Interning a kernel -- */

static int item_before(const row_item *x, const row_item *y)
{
    return memcmp(x, y, sizeof *x) < 0;
}

RMR_SORT_DEFINE(sort_items, row_item, item_before);

static void keep_kernel(rmr_machine *m)
{
    size_t k = 0;
    for (size_t i = 0; i < m->n_work; i++) {
        const unsigned kind = m->g->places[m->work[i].place].kind;
        if (kind != SYMBOL_END && kind != RMR_SYMBOL_EMPTY) m->work[k++] = m->work[i];
    }
    m->n_work = k;
    sort_items(m->work, k);
}

static uint64_t hash_items(const row_item *p, size_t n, int accept)
{
    uint64_t h = 2 * n + (unsigned)accept;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ ((uint64_t)p[i].place << 32 | p[i].cont)) * UINT64_C(0x9E3779B97F4A7C15);
        h = (h ^ h >> 29 ^ ((uint64_t)p[i].count << 32 | p[i].reg)) * UINT64_C(0xD6E8FEB86659FD93);
        h ^= h >> 31;
    }
    return h | 1;
}

/* Copies items to the end of those that rows keep; returns where. */
static uint32_t keep_items(rmr_machine *m, const row_item *p, size_t n)
{
    if (!rmr_machine_room(m, &m->items, &m->cap_items, m->n_items + n, sizeof *p)) return 0;
    if (n > 0) memcpy(m->items + m->n_items, p, n * sizeof *p);
    m->n_items += n;
    return (uint32_t)(m->n_items - n);
}

static uint32_t intern_kernel(rmr_machine *m, int accept)
{
    const size_t n = m->n_work;
    const uint64_t key = hash_items(m->work, n, accept);
    for (uint32_t probe = 0;; probe++) {
        const uint32_t *known = rmr_map_find(&m->rows_by, key, probe);
        if (known == NULL) {
            if (!rmr_machine_put(m, &m->rows_by, key, probe, (uint32_t)m->n_rows)) return ROW_NONE;
            break;
        }
        const parse_row *r = &m->rows[*known];
        if (r->n_items == n && r->accept == accept &&
            (n == 0 || memcmp(m->items + r->items, m->work, n * sizeof *m->work) == 0))
            return *known;
    }
    if (!rmr_machine_room(m, &m->rows, &m->cap_rows, m->n_rows + 1, sizeof *m->rows))
        return ROW_NONE;
    m->rows[m->n_rows] = (parse_row){.accept = (uint8_t)accept, .n_items = (uint32_t)n};
    m->rows[m->n_rows].items = keep_items(m, m->work, n);
    return (uint32_t)m->n_rows++;
}

/* -- Closing a row: what it expects -- */

static void return_empty(rmr_machine *m, row_item item, int shares, uint32_t reg)
{
    if (shares) item.reg = reg;
    advance(m, item, 0);
}

/* The return to a rule that the row wants; its first symbols are added with the first item that
 * wants it. */
static void want(rmr_machine *m, row_item item)
{
    const rmr_rule rule = m->g->places[item.place].id;
    const grammar_rule *r = &m->g->rules[rule];
    const uint32_t reg = r->shares ? item.reg : 0;
    const uint64_t key = (uint64_t)rule << 32 | reg;
    uint32_t *known = rmr_map_find(&m->work_by, key, UINT64_MAX);
    uint32_t w;
    if (known != NULL) {
        w = *known;
    } else {
        w = (uint32_t)m->n_wants;
        if (!rmr_machine_room(m, &m->wants, &m->cap_wants, w + 1, sizeof *m->wants) ||
            !rmr_machine_put(m, &m->work_by, key, UINT64_MAX, w))
            return;
        m->wants[m->n_wants++] = (row_want){.rule = rule, .reg = reg, .backs = UINT32_MAX};
        for (uint32_t i = 0; i < r->n_starts; i++)
            add(m, (row_item){m->g->starts[r->starts + i], CONT_LOCAL | w, 0, reg});
    }
    if (!rmr_machine_room(m, &m->backs, &m->cap_backs, m->n_backs + 1, sizeof *m->backs)) return;
    m->backs[m->n_backs] = (row_back){item, m->wants[w].backs};
    m->wants[w].backs = (uint32_t)m->n_backs++;
    m->wants[w].n++;
    for (size_t i = 0; i < m->n_ended; i++)
        if (m->ended[i].want == w) return_empty(m, item, r->shares, m->ended[i].reg);
}

/* A rule that the row wants ends without text. If it may be empty whatever its registers are,
 * whoever wants it has passed over it. */
static void end_empty(rmr_machine *m, row_item item)
{
    if (!(item.cont & CONT_LOCAL)) return;
    const uint32_t w = item.cont & ~CONT_LOCAL;
    const grammar_rule *r = &m->g->rules[m->wants[w].rule];
    if (r->nullable ||
        !rmr_machine_room(m, &m->ended, &m->cap_ended, m->n_ended + 1, sizeof *m->ended))
        return;
    m->ended[m->n_ended++] = (row_ended){w, item.reg};
    for (uint32_t b = m->wants[w].backs; b != UINT32_MAX; b = m->backs[b].next)
        return_empty(m, m->backs[b].item, r->shares, item.reg);
}

static void expect_lexeme(rmr_machine *m, const rmr_place *p, row_item item)
{
    const int unique = p->check != 0 && m->g->checks[p->check].unique;
    const rmr_rx language = unique ? rmr_reg_lexeme(m, p->id, item.reg) : p->id;
    uint64_t fuel = m->g->lim.step;
    if (!rmr_rx_live(m->rx, language, &fuel)) return;
    if (!rmr_machine_room(m, &m->lexemes, &m->cap_lexemes, m->n_lexemes + 1, sizeof *m->lexemes))
        return;
    m->lexemes[m->n_lexemes++] = (row_lexeme){p->id, language, item};
}

/* Returns whether the row has to know texts. Items of token sets move to the front of the work. */
static int predict(rmr_machine *m, size_t *n_tokens)
{
    int texts = 0;
    for (size_t i = 0; i < m->n_work && !machine_failed(m); i++) {
        const row_item item = m->work[i];
        const rmr_place *p = &m->g->places[item.place];
        if (p->kind == SYMBOL_END) {
            end_empty(m, item);
            continue;
        }
        if (may_pass(p, &item) && p->kind != RMR_SYMBOL_EMPTY) add(m, behind(item));
        if (!rmr_reg_allows(m, p->check, item.reg)) continue;
        if (p->kind == RMR_SYMBOL_LEXEME) {
            if (p->check != 0 && m->g->checks[p->check].unique) texts = 1;
            expect_lexeme(m, p, item);
        } else if (p->kind == RMR_SYMBOL_RULE) {
            want(m, item);
        } else if (p->kind == RMR_SYMBOL_EMPTY) {
            advance(m, item, 0);
        } else {
            m->work[i] = m->work[*n_tokens];
            m->work[(*n_tokens)++] = item;
        }
    }
    return texts;
}

/* Where a want returns when nothing but one rule that ends with it waits for it: where that one
 * returns. */
static uint32_t tail_of(const rmr_machine *m, const row_want *w, uint32_t self)
{
    if (w->n != 1) return self;
    const row_item *i = &m->backs[w->backs].item;
    const rmr_place *p = &m->g->places[i->place];
    if (p[1].kind != SYMBOL_END || p->check != 0 || p->max == RMR_RX_MANY || i->count + 1 < p->max)
        return self;
    if (m->g->rules[p->rule].shares && !m->g->rules[w->rule].shares) return self;
    return i->cont;
}

static void find_tails(rmr_machine *m)
{
    for (uint32_t w = 0; w < m->n_wants; w++)
        m->wants[w].is = tail_of(m, &m->wants[w], CONT_LOCAL | w);
    for (uint32_t w = 0; w < m->n_wants; w++) {
        uint32_t at = CONT_LOCAL | w;
        size_t hops = 0;
        while ((at & CONT_LOCAL) && m->wants[at & ~CONT_LOCAL].is != at && hops++ <= m->n_wants)
            at = m->wants[at & ~CONT_LOCAL].is;
        if (hops > m->n_wants) at = CONT_LOCAL | w; /* rules that only return to each other */
        for (uint32_t x = CONT_LOCAL | w;
             x != at && (x & CONT_LOCAL);) { /* the way is short from now on */
            const uint32_t next = m->wants[x & ~CONT_LOCAL].is;
            m->wants[x & ~CONT_LOCAL].is = at;
            x = next;
        }
        m->wants[w].is = at;
    }
}

/* The number of a return, once wants that are their own have one (in `reg`). */
static uint32_t final_cont(const rmr_machine *m, uint32_t cont)
{
    if (!(cont & CONT_LOCAL)) return cont;
    const uint32_t is = m->wants[cont & ~CONT_LOCAL].is;
    return is & CONT_LOCAL ? m->wants[is & ~CONT_LOCAL].reg : is;
}

/* Wants that are their own get a return; then all returns within the row have numbers. */
static void keep_conts(rmr_machine *m)
{
    find_tails(m);
    for (uint32_t w = 0; w < m->n_wants; w++) {
        row_want *x = &m->wants[w];
        if (x->is != (CONT_LOCAL | w)) continue;
        if (!rmr_machine_room(m, &m->conts, &m->cap_conts, m->n_conts + 1, sizeof *m->conts))
            return;
        m->conts[m->n_conts] = (row_cont){.n = x->n, .shares = m->g->rules[x->rule].shares};
        x->reg = (uint32_t)m->n_conts++; /* from now on its return */
    }
    for (uint32_t w = 0; w < m->n_wants && !machine_failed(m); w++) {
        const row_want *x = &m->wants[w];
        if (x->is != (CONT_LOCAL | w)) continue;
        row_cont *c = &m->conts[x->reg];
        c->items = (uint32_t)m->n_items;
        for (uint32_t b = x->backs; b != UINT32_MAX; b = m->backs[b].next) {
            row_item i = m->backs[b].item;
            i.cont = final_cont(m, i.cont);
            keep_items(m, &i, 1);
        }
    }
}

static int lexeme_before(const row_lexeme *x, const row_lexeme *y)
{
    return x->name < y->name;
}

RMR_SORT_DEFINE(sort_lexemes, row_lexeme, lexeme_before);

static void name_lexemes(row_lexeme *p, size_t n)
{
    int same = 1;
    sort_lexemes(p, n);
    for (size_t i = 1; i < n; i++)
        same &= p[i].name != p[i - 1].name || p[i].language == p[i - 1].language;
    if (same) return;
    for (size_t i = 0; i < n; i++) p[i].name = p[i].language;
    sort_lexemes(p, n);
}

/* Fill in what the row expects. The work is its kernel. */
static void close_row(rmr_machine *m, uint32_t row)
{
    const size_t first = m->n_lexemes;
    size_t n_tokens = 0;
    forget_items(m);
    for (size_t i = 0; i < m->n_work; i++) {
        const row_item *x = &m->work[i];
        rmr_machine_put(m, &m->work_by, item_key(x), (uint64_t)x->count << 32 | x->reg, 0);
    }
    m->n_wants = m->n_backs = m->n_ended = 0;
    const int texts = predict(m, &n_tokens);
    if (machine_failed(m)) return;
    keep_conts(m);
    for (size_t i = 0; i < n_tokens; i++) m->work[i].cont = final_cont(m, m->work[i].cont);
    for (size_t i = first; i < m->n_lexemes; i++)
        m->lexemes[i].item.cont = final_cont(m, m->lexemes[i].item.cont);
    const uint32_t tokens = keep_items(m, m->work, n_tokens);
    const size_t n_lexemes = m->n_lexemes - first;
    /* There is no array yet where rows have had special tokens alone. */
    row_lexeme *const lexemes = n_lexemes > 0 ? m->lexemes + first : NULL;
    name_lexemes(lexemes, n_lexemes);
    const uint32_t lex = rmr_lex_start(m, lexemes, n_lexemes);
    parse_row *r = &m->rows[row];
    r->lexemes = (uint32_t)first;
    r->n_lexemes = (uint32_t)n_lexemes;
    r->tokens = tokens;
    r->n_tokens = (uint32_t)n_tokens;
    r->texts = (uint8_t)texts;
    r->lex = lex;
    r->closed = 1;
}

/* -- Rows -- */

void rmr_row_begin(rmr_machine *m)
{
    m->n_work = 0;
    forget_items(m);
}

void rmr_row_scan(rmr_machine *m, uint32_t row, uint32_t q, uint32_t text)
{
    const parse_row r = m->rows[row];
    const lex_state s = m->lex[q];
    uint32_t done = UINT32_MAX; /* the lexeme before, for two rests of one */
    for (uint32_t a = 0; a < s.accepts; a++) {
        const rmr_rx lexeme = m->pairs[s.pairs + a].lexeme;
        if (lexeme == done) continue;
        done = lexeme;
        size_t lo = 0, hi = r.n_lexemes;
        while (lo < hi) {
            const size_t mid = (lo + hi) / 2;
            if (m->lexemes[r.lexemes + mid].name < lexeme)
                lo = mid + 1;
            else
                hi = mid;
        }
        for (; lo < r.n_lexemes && m->lexemes[r.lexemes + lo].name == lexeme; lo++)
            advance(m, m->lexemes[r.lexemes + lo].item, text);
    }
}

void rmr_row_token(rmr_machine *m, uint32_t row, uint32_t token)
{
    const parse_row r = m->rows[row];
    for (uint32_t i = 0; i < r.n_tokens; i++) {
        const row_item item = m->items[r.tokens + i];
        if (rmr_grammar_has_token(m->g, m->g->places[item.place].id, token)) advance(m, item, 0);
    }
}

uint32_t rmr_row_end(rmr_machine *m)
{
    const int accept = complete(m);
    if (machine_failed(m)) return ROW_NONE;
    keep_kernel(m);
    if (m->n_work == 0 && !accept) return ROW_NONE;
    const uint32_t row = intern_kernel(m, accept);
    if (machine_failed(m)) return ROW_NONE;
    if (!m->rows[row].closed) close_row(m, row);
    const parse_row *r = &m->rows[row];
    return machine_failed(m) || (r->lex == LEX_DEAD && r->n_tokens == 0 && !r->accept) ? ROW_NONE
                                                                                       : row;
}

uint32_t rmr_row_after(rmr_machine *m, uint32_t row, uint32_t q, uint32_t text)
{
    if (machine_failed(m)) return ROW_NONE;
    const uint64_t key = (uint64_t)row << 32 | q;
    const uint32_t t = m->rows[row].texts ? text : 0;
    const uint32_t *known = rmr_map_find(&m->row_after, key, t);
    if (known != NULL) return *known;
    rmr_row_begin(m);
    rmr_row_scan(m, row, q, t);
    const uint32_t r = rmr_row_end(m);
    rmr_machine_put(m, &m->row_after, key, t, r);
    return r;
}

uint32_t rmr_row_first(rmr_machine *m)
{
    const grammar_rule *r = &m->g->rules[m->g->start];
    rmr_row_begin(m);
    for (uint32_t i = 0; i < r->n_starts; i++)
        add(m, (row_item){m->g->starts[r->starts + i], CONT_ROOT, 0, 0});
    return rmr_row_end(m);
}

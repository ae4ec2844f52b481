/* SPDX-License-Identifier: Apache-2.0 */
/* An array as rules.
 *
 *     array -> [ ]  |  [ first
 *     first -> item (, first-after)  |  item ]
 *
 * for each place that has a schema of its own; then one item repeated, counted. Each `contains` has
 * a counter among the registers; items that differ are a lexeme whose text is new. */
#include "schema_parts.h"

enum { PLACES_MAX = 1000, CONTAINS_MAX = 4, UNIQUE_MAX = 4096 };

typedef struct counter {
    uint32_t shift, width;
    uint32_t others, others_width; /* a counter of elements that are not of it; width 0: none */
    uint32_t most_others;
} counter;

typedef struct writer {
    schema *s;
    const schema_array *a;
    uint32_t places; /* with schemas of their own, before the rest */
    uint32_t max;
    counter count[CONTAINS_MAX];
    rmr_symbol open, close, comma;
} writer;

static uint32_t width_of(uint32_t v)
{
    uint32_t w = 1;
    while (w < 16 && v >> w != 0) w++;
    return w;
}

/* The schemas of element i. */
static uint32_t literals(const writer *w, uint32_t i, schema_literal *out)
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < w->a->n_items; k++)
        if (w->a->items[k].from <= i && i < w->a->items[k].to) out[n++] = w->a->items[k].lit;
    return n;
}

static int empty_at(writer *w, uint32_t i)
{
    schema_literal *l = rmr_schema_take(w->s, w->a->n_items, sizeof *l);
    if (l == NULL) return 0;
    return rmr_schema_term_empty(w->s, rmr_schema_term_of(w->s, l, literals(w, i, l)));
}

static int lay_out(writer *w)
{
    const schema_array *a = w->a;
    w->max = a->max;
    for (uint32_t i = 0; i < a->n_items; i++) {
        const schema_item_rule *r = &a->items[i];
        if (r->from > w->places) w->places = r->from;
        if (r->to != SCHEMA_MANY && r->to > w->places) w->places = r->to;
    }
    for (uint32_t i = 0; i < a->n_contains; i++)
        if (a->contains[i].from > w->places) w->places = a->contains[i].from;
    if (w->places > PLACES_MAX)
        return rmr_schema_fail(w->s, REMORA_E_LIMIT,
                               "schema: an array has more than %d places with schemas of their own",
                               PLACES_MAX);
    for (uint32_t i = 0; i <= w->places && i < w->max; i++)
        if (empty_at(w, i)) w->max = i;
    if (w->places > w->max) w->places = w->max;
    return !rmr_schema_failed(w->s);
}

/* Counters, behind each other. */
static int place_counters(writer *w)
{
    uint32_t at = 0;
    if (w->a->n_contains > CONTAINS_MAX)
        return rmr_schema_fail(w->s, REMORA_E_LIMIT, "schema: an array has more than %d contains",
                               CONTAINS_MAX);
    for (uint32_t i = 0; i < w->a->n_contains; i++) {
        const schema_contains *c = &w->a->contains[i];
        counter *k = &w->count[i];
        const uint32_t top = c->max != SCHEMA_MANY ? c->max : c->min;
        if (top > 4000)
            return rmr_schema_fail(w->s, REMORA_E_LIMIT,
                                   "schema: contains is counted up to %u; supported is 4000", top);
        k->shift = at;
        k->width = width_of(top + 1);
        at += k->width;
        if (w->max > 1000 || w->a->n_contains > 1 || c->min == 0) continue;
        k->others = at;
        k->most_others = w->max - c->min;
        k->others_width = width_of(k->most_others + 1);
        at += k->others_width;
    }
    return at <= 64 || rmr_schema_fail(w->s, REMORA_E_LIMIT, "schema: contains counts too far");
}

static rmr_symbol counting(writer *w, uint32_t shift, uint32_t width, uint32_t most)
{
    const rmr_check_desc d = {.shift = shift, .width = width, .hi = most, .add = 1};
    const rmr_symbol e = {RMR_SYMBOL_EMPTY, 0, 1, 1, rmr_grammar_check(w->s->g, &d)};
    return e;
}

/* One way to be element i: of those `contains` whose bit is set, and of no other that has a
 * maximum. */
static void item_way(writer *w, rmr_rule r, uint32_t i, uint32_t of)
{
    schema *s = w->s;
    schema_literal *l = rmr_schema_take(s, w->a->n_items + (size_t)CONTAINS_MAX, sizeof *l);
    rmr_symbol line[2 * CONTAINS_MAX + 1];
    size_t n = 0;
    if (l == NULL) return;
    uint32_t k = literals(w, i, l);
    for (uint32_t c = 0; c < w->a->n_contains; c++) {
        const schema_contains *has = &w->a->contains[c];
        const counter *at = &w->count[c];
        if (of >> c & 1) {
            l[k++] = has->lit;
            line[n++] = counting(w, at->shift, at->width,
                                 has->max != SCHEMA_MANY ? has->max - 1 : RMR_RX_MANY);
            continue;
        }
        if (i < has->from) continue;
        if (has->max != SCHEMA_MANY) l[k++] = rmr_schema_not(has->lit);
        if (at->others_width > 0)
            line[n++] = counting(w, at->others, at->others_width, at->most_others - 1);
    }
    schema_term *t = rmr_schema_term_of(s, l, k);
    if (t == NULL || rmr_schema_term_empty(s, t)) return;
    line[n++] = rmr_schema_symbol(s, t);
    if (w->a->unique != NULL) {
        const rmr_check_desc d = {.hi = RMR_RX_MANY, .unique = 1};
        if (t->is == NULL) return;
        line[n - 1] =
            rmr_checked(rmr_lexeme(rmr_schema_scalars(s, t->is, 1)), rmr_grammar_check(s->g, &d));
    }
    rmr_rule_alt(s->g, r, line, n);
}

/* Which `contains` may take element i, at most so often. */
static int may_be_of(const writer *w, uint32_t i, uint32_t of)
{
    for (uint32_t c = 0; c < w->a->n_contains; c++)
        if ((of >> c & 1) && (i < w->a->contains[c].from || w->a->contains[c].max == 0)) return 0;
    return 1;
}

static rmr_symbol item(writer *w, uint32_t i)
{
    schema *s = w->s;
    if (w->a->n_contains == 0 && w->a->unique == NULL) {
        schema_literal *l = rmr_schema_take(s, w->a->n_items, sizeof *l);
        if (l == NULL) return rmr_lexeme(RMR_RX_NONE);
        return rmr_schema_symbol(s, rmr_schema_term_of(s, l, literals(w, i, l)));
    }
    const rmr_rule r = rmr_schema_shared(s, "item");
    for (uint32_t of = 0; of < 1u << w->a->n_contains; of++)
        if (may_be_of(w, i, of)) item_way(w, r, i, of);
    return rmr_call(r);
}

/* Elements that differ: only scalars have one text for each value. 0: failed, or none are left. */
static int settle_unique(writer *w)
{
    schema *s = w->s;
    uint32_t most = 0;
    if (w->a->unique == NULL || w->max <= 1) return 1;
    for (uint32_t i = 0; i <= w->places && i < w->max; i++) {
        schema_literal *l = rmr_schema_take(s, w->a->n_items, sizeof *l);
        schema_term *t = l != NULL ? rmr_schema_term_of(s, l, literals(w, i, l)) : NULL;
        const schema_union *u = rmr_schema_expand(s, t);
        if (u == NULL) return 0;
        if (u->n_arrays + u->n_objects > 0) {
            if (!rmr_schema_skip(s, w->a->unique, "uniqueItems of arrays or objects")) return 0;
            return -1;
        }
        if (i == w->places) most = rmr_schema_texts(s, rmr_schema_scalars(s, u, 1), UNIQUE_MAX);
    }
    if (w->places == 0 && most < w->max) w->max = most;
    return w->a->min <= w->max;
}

static rmr_symbol closing(writer *w)
{
    schema *s = w->s;
    rmr_check_desc d[CONTAINS_MAX];
    uint32_t n = 0;
    for (uint32_t c = 0; c < w->a->n_contains; c++) {
        const schema_contains *has = &w->a->contains[c];
        if (has->min == 0) continue;
        d[n++] = (rmr_check_desc){.shift = w->count[c].shift,
                                  .width = w->count[c].width,
                                  .lo = has->min,
                                  .hi = RMR_RX_MANY};
    }
    rmr_symbol line[CONTAINS_MAX + 1];
    if (n == 0) return w->close;
    if (n == 1) return rmr_checked(w->close, rmr_grammar_check(s->g, &d[0]));
    const rmr_rule r = rmr_schema_shared(s, "end of array");
    for (uint32_t i = 0; i < n; i++)
        line[i] = (rmr_symbol){RMR_SYMBOL_EMPTY, 0, 1, 1, rmr_grammar_check(s->g, &d[i])};
    line[n] = w->close;
    rmr_rule_alt(s->g, r, line, n + 1);
    return rmr_call(r);
}

/* Element i and all behind it, to the bracket. */
static rmr_symbol from_place(writer *w, uint32_t i, rmr_symbol close, rmr_symbol next)
{
    schema *s = w->s;
    const rmr_rule r = rmr_schema_shared(s, "items");
    const uint32_t least = w->a->min > i + 1 ? w->a->min - i - 1 : 0;
    const rmr_symbol one = item(w, i);
    if (i < w->places) {
        const rmr_symbol ends[] = {one, close}, goes_on[] = {one, w->comma, next};
        if (least == 0) rmr_rule_alt(s->g, r, ends, 2);
        if (i + 1 < w->max) rmr_rule_alt(s->g, r, goes_on, 3);
        return rmr_call(r);
    }
    const rmr_rule more = rmr_schema_shared(s, "next item");
    const rmr_symbol pair[] = {w->comma, one};
    const uint32_t most = w->max == SCHEMA_MANY ? RMR_RX_MANY : w->max - i - 1;
    rmr_rule_alt(s->g, more, pair, 2);
    const rmr_symbol line[] = {one, rmr_times(rmr_call(more), least, most), close};
    const rmr_symbol single[] = {one, close};
    if (most > 0)
        rmr_rule_alt(s->g, r, line, 3);
    else
        rmr_rule_alt(s->g, r, single, 2);
    return rmr_call(r);
}

void rmr_schema_write_array(schema *s, rmr_rule r, const schema_array *form)
{
    schema_array own = *form;
    writer w = {.s = s, .a = &own};
    int none_needed = own.min == 0;
    if (!lay_out(&w)) return;
    const int unique = settle_unique(&w);
    if (unique == 0 || w.max < own.min) return;
    if (unique < 0 || w.max <= 1) own.unique = NULL;
    if (!place_counters(&w)) return;
    w.open = rmr_lexeme(rmr_schema_mark(s, '['));
    w.close = rmr_lexeme(rmr_schema_mark(s, ']'));
    w.comma = rmr_lexeme(rmr_schema_mark(s, ','));
    for (uint32_t c = 0; c < own.n_contains; c++) {
        if (own.contains[c].min > w.max) return;
        none_needed &= own.contains[c].min == 0;
    }
    const rmr_symbol empty[] = {w.open, rmr_lexeme(rmr_rx_byte(s->rx, ']'))};
    if (none_needed) rmr_rule_alt(s->g, r, empty, 2);
    if (w.max == 0 || rmr_schema_failed(s)) return;
    const rmr_symbol close = closing(&w);
    rmr_symbol next = w.close;
    const uint32_t last = w.places < w.max ? w.places : w.max - 1;
    for (uint32_t i = last + 1; i-- > 0 && !rmr_schema_failed(s);)
        next = from_place(&w, i, close, next);
    const rmr_symbol line[] = {w.open, next};
    rmr_rule_alt(s->g, r, line, 2);
}

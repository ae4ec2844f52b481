/* SPDX-License-Identifier: Apache-2.0 */
/* An object as rules, with keys in any order.
 *
 *     object -> { }  |  { pair (, pair)* }
 *     pair   -> "name" : value  |  "another" : value  |  key of a class : value
 *
 * Each named key has a bit among the registers, which is set behind it and keeps it from coming
 * again; the closing bracket needs the bits of required keys. When there are many, keys are texts
 * that are new, and required ones are counted. A class of keys is what patterns and the names
 * leave. The comma is counted where keys can run out, so that no key is missing behind it. */
#include <string.h>

#include "schema_parts.h"

enum {
    BITS_NAMED = 36,
    SOME_MAX = 3,
    PATTERNS_MAX = 24,
    CLASSES_MAX = 256,
    WIDE = 12,
    LIVE_STEPS = 1000000
};

typedef struct key {
    schema_name name;
    schema_term *term;
    schema_literal *lits;
    uint32_t n_lits;
    uint32_t some;           /* bits: which `some` it may be of */
    uint8_t required, asked; /* it is in an implication */
    uint8_t bit;             /* 1 + its bit, 0: none */
    uint8_t gone;            /* no value: it cannot be there */
    rmr_symbol member;       /* the value, where members are written one by one */
} key;

typedef struct class
{
    rmr_rx keys;
    uint32_t of; /* bits of patterns */
    schema_literal *lits;
    uint32_t n_lits, some;
    schema_term *term;
    rmr_symbol member; /* as of a key */
} class;

typedef struct writer {
    schema *s, *keys; /* `keys`: in whose spelling keys are written */
    const rmr_schema_members *as;
    const schema_object *o;
    key *names;
    uint32_t n, n_left, n_required;
    uint32_t *slots, mask; /* names by hash: 1 + index */
    const schema_keys *pat_of[PATTERNS_MAX];
    uint32_t pat_at[PATTERNS_MAX], n_pats;
    class classes[CLASSES_MAX];
    uint32_t n_classes;
    uint32_t min, max;
    int wide;                           /* names have no bits */
    int limited;                        /* optional keys are counted */
    uint32_t total, optional, required; /* where the counters begin */
    uint32_t bits;                      /* used */
} writer;

/* ---- names ---- */

static uint32_t hash_of(const char *text, size_t n)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)text[i]) * 16777619u;
    return h;
}

static key *name_of(writer *w, const char *text, size_t n, int add)
{
    for (uint32_t i = hash_of(text, n) & w->mask;; i = (i + 1) & w->mask) {
        if (w->slots[i] == 0) {
            if (!add) return NULL;
            w->slots[i] = ++w->n;
            w->names[w->n - 1].name = (schema_name){text, n};
            return &w->names[w->n - 1];
        }
        key *k = &w->names[w->slots[i] - 1];
        if (k->name.n == n && memcmp(k->name.text, text, n) == 0) return k;
    }
}

/* Strings that a schema of names lists are names, too. */
static const rmr_node *listed(const schema_keys *k)
{
    const rmr_node *v = k->of_names ? rmr_node_get(k->patterns[0], "enum") : NULL;
    return v != NULL && v->kind == RMR_JSON_ARRAY ? v : NULL;
}

static size_t count_names(const schema_object *o)
{
    size_t n = o->n_required;
    for (uint32_t i = 0; i < o->n_rules; i++)
        n += o->rules[i].keys->n_names +
             (listed(o->rules[i].keys) != NULL ? listed(o->rules[i].keys)->n : 0);
    for (uint32_t i = 0; i < o->n_some; i++) n += o->some[i].keys->n_names;
    for (uint32_t i = 0; i < o->n_implied; i++) n += 1 + o->implied[i].wants->n;
    return n;
}

static void names_of_keys(writer *w, const schema_keys *k)
{
    const rmr_node *list = listed(k);
    for (uint32_t i = 0; i < k->n_names; i++) (void)name_of(w, k->names[i].text, k->names[i].n, 1);
    for (const rmr_node *v = list != NULL ? list->first : NULL; v != NULL; v = v->next)
        if (v->kind == RMR_JSON_STRING) (void)name_of(w, v->text, v->n, 1);
}

static int collect_names(writer *w)
{
    const schema_object *o = w->o;
    const size_t most = count_names(o);
    size_t slots = 8;
    while (slots < 2 * most) slots *= 2;
    w->names = rmr_schema_take(w->s, most, sizeof *w->names);
    w->slots = rmr_schema_take(w->s, slots, sizeof *w->slots);
    if (w->names == NULL || w->slots == NULL || !rmr_grammar_fuel(w->s->g, most)) return 0;
    w->mask = (uint32_t)slots - 1;
    for (uint32_t i = 0; i < o->n_rules; i++) names_of_keys(w, o->rules[i].keys);
    for (uint32_t i = 0; i < o->n_some; i++) names_of_keys(w, o->some[i].keys);
    for (uint32_t i = 0; i < o->n_required; i++)
        name_of(w, o->required[i].text, o->required[i].n, 1)->required = 1;
    for (uint32_t i = 0; i < o->n_implied; i++) {
        name_of(w, o->implied[i].has.text, o->implied[i].has.n, 1)->asked = 1;
        for (const rmr_node *v = o->implied[i].wants->first; v != NULL; v = v->next)
            if (v->kind == RMR_JSON_STRING) name_of(w, v->text, v->n, 1)->asked = 1;
    }
    return 1;
}

/* The rule's schema goes to all names that are of its keys. */
static void give_name(writer *w, key *k, schema_literal l)
{
    if (k->lits == NULL) k->lits = rmr_schema_take(w->s, w->o->n_rules, sizeof *k->lits);
    if (k->lits != NULL) k->lits[k->n_lits++] = l;
}

static void rules_of_names(writer *w)
{
    for (uint32_t i = 0; i < w->o->n_rules && !rmr_schema_failed(w->s); i++) {
        const schema_key_rule *r = &w->o->rules[i];
        if (!r->keys->others && r->keys->n_patterns == 0) {
            for (uint32_t j = 0; j < r->keys->n_names; j++)
                give_name(w, name_of(w, r->keys->names[j].text, r->keys->names[j].n, 1), r->lit);
            continue;
        }
        for (uint32_t j = 0; j < w->n; j++) {
            if (!rmr_grammar_fuel(w->s->g, 1 + r->keys->n_names / 4)) return;
            if (rmr_schema_keys_have(w->s, r->keys, w->names[j].name.text, w->names[j].name.n))
                give_name(w, &w->names[j], r->lit);
        }
    }
}

/* Whether there is a value that can be written; `name`: of the key, NULL: of a class. */
static int has_value(writer *w, const schema_name *name, schema_term *t, const schema_literal *lits,
                     uint32_t n, rmr_symbol *member)
{
    if (t == NULL || rmr_schema_term_empty(w->s, t)) return 0;
    return w->as == NULL || rmr_schema_member(w->s, w->as, name, lits, n, member);
}

static int settle_names(writer *w)
{
    for (uint32_t i = 0; i < w->n; i++) {
        key *k = &w->names[i];
        k->term = rmr_schema_term_of(w->s, k->lits, k->n_lits);
        k->gone = (uint8_t)!has_value(w, &k->name, k->term, k->lits, k->n_lits, &k->member);
        if (rmr_schema_failed(w->s) || (k->gone && k->required)) return 0;
        w->n_left += !k->gone;
        w->n_required += k->required;
        for (uint32_t j = 0; j < w->o->n_some && !k->gone; j++)
            if (rmr_schema_keys_have(w->s, w->o->some[j].keys, k->name.text, k->name.n))
                k->some |= 1u << j;
    }
    return 1;
}

/* ---- classes of other keys ---- */

static int same_pattern(const schema_keys *a, uint32_t i, const schema_keys *b, uint32_t j)
{
    const rmr_node *x = a->patterns[i], *y = b->patterns[j];
    if (x == y || a->of_names || b->of_names) return x == y;
    return x->key_n == y->key_n && memcmp(x->key, y->key, x->key_n) == 0;
}

static uint32_t pattern_number(const writer *w, const schema_keys *k, uint32_t i)
{
    for (uint32_t p = 0; p < w->n_pats; p++)
        if (same_pattern(w->pat_of[p], w->pat_at[p], k, i)) return p;
    return w->n_pats;
}

static int patterns_of(writer *w, const schema_keys *k)
{
    for (uint32_t i = 0; i < k->n_patterns; i++) {
        const uint32_t p = pattern_number(w, k, i);
        if (p < w->n_pats) continue;
        if (p == PATTERNS_MAX)
            return rmr_schema_fail(w->s, REMORA_E_LIMIT,
                                   "schema: an object has more than %d patterns of keys",
                                   PATTERNS_MAX);
        w->pat_of[p] = k;
        w->pat_at[p] = i;
        w->n_pats++;
    }
    return 1;
}

static int class_has(const writer *w, const class *c, const schema_keys *k)
{
    for (uint32_t i = 0; i < k->n_patterns; i++)
        if (c->of >> pattern_number(w, k, i) & 1) return !k->others;
    return k->others;
}

static int live(writer *w, rmr_rx a)
{
    uint64_t fuel = LIVE_STEPS;
    if (a == RMR_RX_NONE) return 0;
    const int r = rmr_rx_live(w->s->rx, a, &fuel);
    (void)rmr_grammar_fuel(w->s->g, LIVE_STEPS - fuel);
    return r;
}

/* Each class is parted by the pattern. */
static int part_classes(writer *w, uint32_t p)
{
    const rmr_rx in = rmr_schema_keys_pattern(w->keys, w->pat_of[p], w->pat_at[p]);
    const rmr_rx out = rmr_rx_not(w->s->rx, in);
    const uint32_t n = w->n_classes;
    uint32_t kept = 0;
    class *old = rmr_schema_take(w->s, n, sizeof *old);
    if (old == NULL) return 0;
    memcpy(old, w->classes, n * sizeof *old);
    for (uint32_t i = 0; i < 2 * n; i++) {
        class c = old[i / 2];
        c.keys = rmr_rx_and2(w->s->rx, c.keys, i & 1 ? out : in);
        if (!(i & 1)) c.of |= 1u << p;
        if (!live(w, c.keys)) continue;
        if (kept == CLASSES_MAX)
            return rmr_schema_fail(w->s, REMORA_E_LIMIT,
                                   "schema: patterns of keys overlap in more than %d ways",
                                   CLASSES_MAX);
        w->classes[kept++] = c;
    }
    w->n_classes = kept;
    return !rmr_schema_failed(w->s);
}

static rmr_rx unnamed(writer *w)
{
    schema *s = w->keys;
    rmr_rx *lits = rmr_schema_take(s, w->n, sizeof *lits);
    if (lits == NULL) return RMR_RX_NONE;
    for (uint32_t i = 0; i < w->n; i++)
        lits[i] = rmr_schema_literal_text(s, w->names[i].name.text, w->names[i].name.n);
    rmr_rx any = rmr_schema_any_string(s);
    if (w->as != NULL) any = rmr_rx_and2(s->rx, any, w->as->keys);
    if (w->n == 0) return any;
    return rmr_rx_and2(s->rx, any, rmr_rx_not(s->rx, rmr_rx_or(s->rx, lits, w->n)));
}

static void settle_class(writer *w, class *c)
{
    c->lits = rmr_schema_take(w->s, w->o->n_rules, sizeof *c->lits);
    if (c->lits == NULL) return;
    for (uint32_t i = 0; i < w->o->n_rules; i++)
        if (class_has(w, c, w->o->rules[i].keys)) c->lits[c->n_lits++] = w->o->rules[i].lit;
    for (uint32_t i = 0; i < w->o->n_some; i++)
        if (class_has(w, c, w->o->some[i].keys)) c->some |= 1u << i;
    c->term = rmr_schema_term_of(w->s, c->lits, c->n_lits);
}

/* The closed object, whose other keys are all refused, needs no language of other keys. */
static int is_closed(const writer *w)
{
    for (uint32_t i = 0; i < w->o->n_rules; i++) {
        const schema_key_rule *r = &w->o->rules[i];
        if (r->keys->others && r->keys->n_patterns == 0 && !r->lit.not &&!r->lit.constant &&
            r->lit.node->kind == RMR_JSON_FALSE)
            return 1;
    }
    return 0;
}

static int make_classes(writer *w)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < w->o->n_rules; i++)
        if (!patterns_of(w, w->o->rules[i].keys)) return 0;
    for (uint32_t i = 0; i < w->o->n_some; i++)
        if (!patterns_of(w, w->o->some[i].keys)) return 0;
    if (is_closed(w)) return 1;
    w->n_classes = 1;
    w->classes[0].keys = unnamed(w);
    for (uint32_t p = 0; p < w->n_pats; p++)
        if (!part_classes(w, p)) return 0;
    for (uint32_t i = 0; i < w->n_classes; i++) {
        class *c = &w->classes[i];
        settle_class(w, c);
        if (rmr_schema_failed(w->s)) return 0;
        if (has_value(w, NULL, c->term, c->lits, c->n_lits, &c->member)) w->classes[kept++] = *c;
    }
    w->n_classes = kept;
    return !rmr_schema_failed(w->s);
}

/* ---- registers ---- */

/* How many keys there can be at most; RMR_RX_MANY: no end. */
static int settle_counts(writer *w)
{
    uint64_t room = w->n_left;
    for (uint32_t i = 0; i < w->n_classes; i++) {
        const uint32_t k =
            w->n_pats > 0 ? rmr_schema_texts(w->s, w->classes[i].keys, 64) : SCHEMA_MANY;
        room = k == SCHEMA_MANY || room == SCHEMA_MANY ? SCHEMA_MANY : room + k;
    }
    w->min = w->o->min;
    w->max = w->o->max < room ? w->o->max : (uint32_t)room;
    if (w->min > w->max || w->n_required > w->max) return 0;
    w->limited = w->o->max != SCHEMA_MANY || w->min > w->n_required;
    if ((w->limited || room != SCHEMA_MANY) && (w->min >= 1u << WIDE || w->n >= 1u << WIDE)) {
        rmr_schema_fail(w->s, REMORA_E_LIMIT, "schema: an object counts more than %d keys",
                        (1 << WIDE) - 1);
        return 0;
    }
    if (w->max != SCHEMA_MANY && w->max >= 1u << WIDE) w->max = SCHEMA_MANY;
    return 1;
}

static int place_bits(writer *w)
{
    uint32_t bit = 0, named = 0;
    for (uint32_t i = 0; i < w->n; i++) named += !w->names[i].gone;
    w->wide = named > BITS_NAMED;
    w->total = bit;
    if (w->max != SCHEMA_MANY) bit += WIDE;
    w->optional = bit;
    if (w->limited) bit += WIDE;
    w->required = bit;
    if (w->wide) bit += WIDE;
    bit += w->o->n_some;
    w->bits = bit;
    for (uint32_t i = 0; i < w->n; i++) {
        key *k = &w->names[i];
        if (k->gone || (w->wide && !k->asked)) continue;
        if (bit >= 64)
            return rmr_schema_fail(w->s, REMORA_E_LIMIT,
                                   "schema: an object has too many keys that others depend on");
        k->bit = (uint8_t)(1 + bit++);
    }
    return 1;
}

static uint64_t bit_of(const key *k)
{
    return k->bit > 0 ? UINT64_C(1) << (k->bit - 1) : 0;
}

static uint64_t some_bits(const writer *w, uint32_t of)
{
    return (uint64_t)of << (w->bits - w->o->n_some);
}

static rmr_symbol note(writer *w, rmr_check_desc d)
{
    const rmr_symbol e = {RMR_SYMBOL_EMPTY, 0, 1, 1, rmr_grammar_check(w->s->g, &d)};
    return e;
}

/* ---- pairs ---- */

/* What is counted behind a key, as far as the object counts. */
static size_t counters(writer *w, rmr_symbol *line, int required, uint64_t some)
{
    size_t n = 0;
    rmr_check_desc d = {.hi = RMR_RX_MANY, .add = 1, .set = some};
    if (w->max != SCHEMA_MANY) {
        d.shift = w->total;
        d.width = WIDE;
        line[n++] = note(w, d);
        d.set = 0;
    }
    if (w->wide && required) {
        d.shift = w->required;
        d.width = WIDE;
        line[n++] = note(w, d);
        d.set = 0;
    }
    if (d.set != 0) {
        d.width = d.add = 0;
        line[n++] = note(w, d);
    }
    return n;
}

/* The check of a key: not again, and not more optional ones than leave room for the required. */
static rmr_check key_check(writer *w, uint64_t bit, int required, int unique)
{
    rmr_check_desc d = {.forbid = bit, .set = bit, .hi = RMR_RX_MANY, .unique = unique};
    if (w->limited && !required) {
        d.shift = w->optional;
        d.width = WIDE;
        d.add = 1;
        if (w->max != SCHEMA_MANY) {
            if (w->max == w->n_required) return UINT32_MAX;
            d.hi = w->max - w->n_required - 1;
        }
    }
    if (d.forbid == 0 && d.width == 0 && !d.unique) return 0;
    return rmr_grammar_check(w->s->g, &d);
}

/* What stands before the value, and its check; `apart`: the check is of the key alone. */
static size_t begin_pair(writer *w, rmr_symbol *line, rmr_rx text, rmr_check c, int apart)
{
    schema *s = w->s;
    if (w->as == NULL && !apart) {
        line[0] = rmr_checked(rmr_lexeme(rmr_rx_concat(s->rx, text, s->colon)), c);
        return 1;
    }
    const rmr_symbol own = rmr_checked(rmr_lexeme(text), c);
    line[0] = w->as == NULL ? own : rmr_call(w->as->begin);
    line[1] = w->as == NULL ? rmr_lexeme(s->colon) : own;
    return 2;
}

static void name_pair(writer *w, rmr_rule pair, const key *k, rmr_symbol value, uint32_t some)
{
    schema *s = w->s;
    const rmr_rx text = rmr_schema_literal_text(w->keys, k->name.text, k->name.n);
    const rmr_check c = key_check(w, bit_of(k), k->required, k->bit == 0);
    rmr_symbol line[8];
    if (c == UINT32_MAX) return;
    size_t n = begin_pair(w, line, text, c, k->bit == 0);
    n += counters(w, line + n, k->required, some_bits(w, some));
    line[n++] = value;
    rmr_rule_alt(s->g, pair, line, n);
}

static void class_pair(writer *w, rmr_rule pair, const class *c, rmr_symbol value, uint32_t some)
{
    schema *s = w->s;
    const int counted = w->limited || w->max != SCHEMA_MANY;
    const rmr_check check = key_check(w, 0, 0, counted);
    rmr_symbol line[8];
    if (check == UINT32_MAX) return;
    size_t n = begin_pair(w, line, c->keys, check, counted);
    n += counters(w, line + n, 0, some_bits(w, some));
    line[n++] = value;
    rmr_rule_alt(s->g, pair, line, n);
}

/* The value where the key is to be of these `some`; 0: there is none. */
static int value_of_some(writer *w, const schema_name *name, const schema_literal *lits, uint32_t n,
                         uint32_t of, rmr_symbol *out)
{
    schema *s = w->s;
    schema_literal *a = rmr_schema_take(s, n + (size_t)SOME_MAX, sizeof *a);
    if (a == NULL) return 0;
    if (n > 0) memcpy(a, lits, n * sizeof *a);
    for (uint32_t i = 0; i < w->o->n_some; i++)
        if (of >> i & 1) a[n++] = w->o->some[i].lit;
    if (w->as != NULL) return rmr_schema_member(s, w->as, name, a, n, out);
    schema_term *t = rmr_schema_term_of(s, a, n);
    if (t == NULL || rmr_schema_term_empty(s, t)) return 0;
    *out = rmr_schema_symbol(s, t);
    return 1;
}

static rmr_rule make_pair(writer *w)
{
    const rmr_rule pair = rmr_schema_shared(w->s, "pair");
    rmr_symbol v;
    for (uint32_t of = 0; of < 1u << w->o->n_some; of++) {
        const int has = of == 0 && w->as != NULL; /* has_value made them */
        for (uint32_t i = 0; i < w->n && !rmr_schema_failed(w->s); i++) {
            const key *k = &w->names[i];
            v = k->member;
            if (!k->gone && (of & ~k->some) == 0 &&
                (has || value_of_some(w, &k->name, k->lits, k->n_lits, of, &v)))
                name_pair(w, pair, k, v, of);
        }
        for (uint32_t i = 0; i < w->n_classes && !rmr_schema_failed(w->s); i++) {
            const class *c = &w->classes[i];
            v = c->member;
            if ((of & ~c->some) == 0 && (has || value_of_some(w, NULL, c->lits, c->n_lits, of, &v)))
                class_pair(w, pair, c, v, of);
        }
    }
    return pair;
}

/* ---- the end ---- */

/* } where nothing is missing. */
static rmr_symbol last_mark(writer *w, const rmr_check_desc *d)
{
    schema *s = w->s;
    const int checked = d->need != 0 || d->width != 0;
    const rmr_symbol end = w->as != NULL ? rmr_call(w->as->end) : rmr_lexeme(s->close_object);
    if (!checked) return end;
    if (w->as == NULL) return rmr_checked(end, rmr_grammar_check(s->g, d));
    const rmr_rule r = rmr_schema_shared(s, "end of arguments");
    const rmr_symbol line[] = {note(w, *d), end};
    rmr_rule_alt(s->g, r, line, 2);
    return rmr_call(r);
}

/* That; each implication is a choice of its own before it. */
static rmr_symbol closing(writer *w)
{
    schema *s = w->s;
    rmr_check_desc d = {.hi = RMR_RX_MANY};
    rmr_symbol line[4];
    size_t n = 0;
    for (uint32_t i = 0; i < w->n && !w->wide; i++)
        if (w->names[i].required) d.need |= bit_of(&w->names[i]);
    d.need |= some_bits(w, (1u << w->o->n_some) - 1);
    if (w->min > w->n_required) {
        d.shift = w->optional;
        d.width = WIDE;
        d.lo = w->min - w->n_required;
    }
    if (w->wide && w->n_required > 0)
        line[n++] = note(
            w, (rmr_check_desc){
                   .shift = w->required, .width = WIDE, .lo = w->n_required, .hi = RMR_RX_MANY});
    rmr_symbol end = last_mark(w, &d);
    for (uint32_t i = 0; i <= w->o->n_implied; i++) {
        const rmr_rule r = rmr_schema_shared(s, "end of object");
        if (i == 0) {
            line[n++] = end;
            rmr_rule_alt(s->g, r, line, n);
        } else {
            const schema_implied *m = &w->o->implied[i - 1];
            const key *has = name_of(w, m->has.text, m->has.n, 1);
            rmr_check_desc all = {.hi = RMR_RX_MANY};
            int can = 1;
            for (const rmr_node *v = m->wants->first; v != NULL; v = v->next) {
                const key *k = v->kind == RMR_JSON_STRING ? name_of(w, v->text, v->n, 1) : NULL;
                if (k == NULL) continue;
                all.need |= bit_of(k);
                can &= !k->gone;
            }
            const rmr_symbol not_there[] = {
                note(w, (rmr_check_desc){.forbid = bit_of(has), .hi = RMR_RX_MANY}), end};
            const rmr_symbol there[] = {note(w, all), end};
            rmr_rule_alt(s->g, r, not_there, 2);
            if (can) rmr_rule_alt(s->g, r, there, 2);
        }
        end = rmr_call(r);
        n = 0;
    }
    return end;
}

static void marks(schema *s)
{
    if (s->comma != RMR_RX_NONE) return;
    s->open_object = rmr_schema_mark(s, '{');
    s->close_object = rmr_schema_mark(s, '}');
    s->comma = rmr_schema_mark(s, ',');
    s->colon = rmr_schema_mark(s, ':');
}

/* A comma and another pair. */
static rmr_rule next_pair(writer *w, rmr_symbol pair)
{
    schema *s = w->s;
    const rmr_rule more = rmr_schema_shared(s, "next pair");
    const rmr_check_desc d = {.shift = w->total, .width = WIDE, .hi = w->max - 1};
    const int counted = w->max != SCHEMA_MANY;
    rmr_symbol line[3];
    size_t n = 0;
    if (w->as != NULL) {
        if (counted) line[n++] = note(w, d);
        line[n++] = rmr_call(w->as->between);
    } else {
        const rmr_symbol comma = rmr_lexeme(s->comma);
        line[n++] = counted ? rmr_checked(comma, rmr_grammar_check(s->g, &d)) : comma;
    }
    line[n++] = pair;
    rmr_rule_alt(s->g, more, line, n);
    return more;
}

static void write_empty(writer *w, rmr_rule r)
{
    schema *s = w->s;
    const rmr_symbol none = w->as != NULL ? rmr_call(w->as->none) : rmr_lexeme(s->open_object);
    const rmr_symbol line[] = {none, rmr_lexeme(rmr_rx_byte(s->rx, '}'))};
    rmr_rule_alt(s->g, r, line, w->as != NULL ? 1 : 2);
}

static void write(writer *w, rmr_rule r)
{
    schema *s = w->s;
    if (w->min == 0 && w->n_required == 0 && w->o->n_some == 0) write_empty(w, r);
    if (w->max == 0 || (w->n_left == 0 && w->n_classes == 0) || !place_bits(w)) return;
    const rmr_symbol pair = rmr_call(make_pair(w));
    const rmr_symbol more = rmr_times(rmr_call(next_pair(w, pair)), 0, RMR_RX_MANY);
    const rmr_symbol line[] = {rmr_lexeme(s->open_object), pair, more, closing(w)};
    const size_t from = w->as != NULL;
    rmr_rule_alt(s->g, r, line + from, 4 - from);
}

/* Names that the members' form cannot spell. */
static int can_spell(writer *w)
{
    for (uint32_t i = 0; w->as != NULL && i < w->n; i++) {
        const schema_name *k = &w->names[i].name;
        if (!rmr_rx_matches(w->s->rx, w->as->keys, k->text, k->n))
            return rmr_schema_fail(w->s, REMORA_E_UNSUPPORTED,
                                   "schema: the chat format cannot spell an argument named "
                                   "\"%.*s\"",
                                   k->n < 60 ? (int)k->n : 60, k->text);
    }
    return 1;
}

void rmr_schema_write_object(schema *s, rmr_rule r, const schema_object *o,
                             const rmr_schema_members *members)
{
    writer *w = rmr_schema_take(s, 1, sizeof *w);
    if (w == NULL) return;
    w->s = s;
    w->keys = members != NULL ? rmr_schema_raw(s) : s;
    w->as = members;
    w->o = o;
    if (w->keys == NULL) return;
    marks(s);
    if (o->n_some > SOME_MAX) {
        rmr_schema_fail(s, REMORA_E_LIMIT,
                        "schema: more than %d complements of keywords of keys meet in one object",
                        SOME_MAX);
        return;
    }
    if (!collect_names(w) || !can_spell(w)) return;
    rules_of_names(w);
    if (rmr_schema_failed(s) || !settle_names(w) || !make_classes(w) || !settle_counts(w)) return;
    write(w, r);
}

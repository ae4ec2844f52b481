/* SPDX-License-Identifier: Apache-2.0 */
/* Languages of given texts and of code points, which are built as tries: then a derivative looks at
 * one branch and not at all texts. */
#include <string.h>

#include "rx_set.h"
#include "sort.h"
#include "utf8.h"

rmr_rx rmr_rx_literal(rmr_rx_set *s, const char *text, size_t n)
{
    rmr_rx r = RMR_RX_EMPTY;
    while (n > 0) r = rmr_rx_concat(s, rmr_rx_byte(s, (unsigned char)text[--n]), r);
    return r;
}

/* -- Many texts -- */

typedef struct piece {
    const char *text;
    size_t n;
} piece;

static int compare(const void *a, const void *b)
{
    const piece *x = a, *y = b;
    const size_t n = x->n < y->n ? x->n : y->n;
    const int c = n == 0 ? 0 : memcmp(x->text, y->text, n);
    if (c != 0) return c;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return x->text < y->text ? -1 : x->text > y->text;
}

/* What may follow the common beginning of some texts: on the scratch stack, one language for each
 * branch that is done. Levels are the bytes of the text before. */
typedef struct level {
    size_t base; /* of its branches on the scratch stack */
} level;

typedef struct trie {
    rmr_rx_set *s;
    level *levels;
    size_t n, cap;
} trie;

/* Branches that go on alike are one, with a set of bytes in front. */
static rmr_rx close_level(trie *t)
{
    return rmr_rx_join(t->s, RX_OR, t->levels[--t->n].base);
}

static int open_level(trie *t)
{
    if (rmr_grow(t->s->mem, &t->levels, &t->cap, t->n + 1, sizeof *t->levels, NULL) < 0) {
        rmr_rx_no_memory(t->s, (t->n + 1) * sizeof *t->levels);
        return 0;
    }
    t->levels[t->n++].base = t->s->scratch.n;
    return 1;
}

/* Close the levels below depth: each becomes a branch of the one above. */
static void close_to(trie *t, const piece *before, size_t depth)
{
    while (t->n > depth + 1) {
        const rmr_rx rest = close_level(t);
        const unsigned char b = (unsigned char)before->text[t->n - 1];
        rmr_rx_push(t->s, rmr_rx_concat(t->s, rmr_rx_byte(t->s, b), rest));
    }
}

static rmr_rx build_trie(rmr_rx_set *s, const piece *const *items, size_t n)
{
    trie t = {.s = s};
    const piece *before = NULL;
    rmr_rx r = RMR_RX_NONE;
    int ok = open_level(&t);
    for (size_t i = 0; i < n && ok && !rmr_rx_failed(s); i++) {
        const piece *x = items[i];
        size_t same = 0;
        if (before != NULL) {
            while (same < x->n && same < before->n && x->text[same] == before->text[same]) same++;
            if (same == x->n && same == before->n) continue;
            close_to(&t, before, same);
        }
        for (size_t d = same; d < x->n && ok; d++) ok = open_level(&t);
        ok = ok && rmr_rx_push(s, RMR_RX_EMPTY);
        before = x;
    }
    if (ok && n > 0 && !rmr_rx_failed(s)) {
        close_to(&t, before, 0);
        r = close_level(&t);
    }
    rmr_free(s->mem, t.levels, t.cap * sizeof *t.levels);
    return rmr_rx_failed(s) ? RMR_RX_NONE : r;
}

rmr_rx rmr_rx_strings(rmr_rx_set *s, const char *const *texts, const size_t *lengths, size_t n)
{
    if (rmr_rx_failed(s) || n == 0) return RMR_RX_NONE;
    const size_t top = s->scratch.n;
    piece *pieces = rmr_alloc(s->mem, n * sizeof *pieces);
    const void **items = rmr_alloc(s->mem, n * sizeof *items);
    rmr_rx r = RMR_RX_NONE;
    if (pieces != NULL && items != NULL) {
        for (size_t i = 0; i < n; i++) {
            pieces[i] = (piece){texts[i], lengths[i]};
            items[i] = &pieces[i];
        }
        rmr_sort(items, n, compare);
        r = build_trie(s, (const piece *const *)items, n);
    } else {
        rmr_rx_no_memory(s, n * sizeof *pieces);
    }
    s->scratch.n = top;
    rmr_free(s->mem, pieces, n * sizeof *pieces);
    rmr_free(s->mem, items, n * sizeof *items);
    return r;
}

/* -- Code points -- */

/* A digit of a code point's spelling: `bits` of it, as bytes that count from `first`, behind a
 * fixed text. */
typedef enum digit_form { DIGIT_UTF8, DIGIT_HEX } digit_form;
typedef struct digit {
    const char *before;
    unsigned bits;
    digit_form form;
    unsigned char first; /* of UTF-8: its byte; of a hexadecimal digit: its value */
} digit;

/* Code points from `base` on, most significant digit first. */
typedef struct spelled {
    uint32_t base, end;
    unsigned n;
    digit digits[6];
} spelled;

static const spelled UTF8[] = {
    {0x0, 0x80, 1, {{"", 7, DIGIT_UTF8, 0}}},
    {0x0, 0x800, 2, {{"", 5, DIGIT_UTF8, 0xC0}, {"", 6, DIGIT_UTF8, 0x80}}},
    {0x0,
     0x10000,
     3,
     {{"", 4, DIGIT_UTF8, 0xE0}, {"", 6, DIGIT_UTF8, 0x80}, {"", 6, DIGIT_UTF8, 0x80}}},
    {0x0,
     0x110000,
     4,
     {{"", 3, DIGIT_UTF8, 0xF0},
      {"", 6, DIGIT_UTF8, 0x80},
      {"", 6, DIGIT_UTF8, 0x80},
      {"", 6, DIGIT_UTF8, 0x80}}},
};
static const spelled HEX[] = {
    {0x0,
     0x10000,
     4,
     {{"\\u", 4, DIGIT_HEX, 0},
      {"", 4, DIGIT_HEX, 0},
      {"", 4, DIGIT_HEX, 0},
      {"", 4, DIGIT_HEX, 0}}},
    {0x10000,
     0x110000,
     6,
     {{"\\uD", 2, DIGIT_HEX, 8},
      {"", 4, DIGIT_HEX, 0},
      {"", 4, DIGIT_HEX, 0},
      {"\\uD", 2, DIGIT_HEX, 12},
      {"", 4, DIGIT_HEX, 0},
      {"", 4, DIGIT_HEX, 0}}},
};

typedef struct ranges {
    const rmr_cp_range *r;
    size_t n;
} ranges;

static void add_byte(rmr_byte_set *set, unsigned b)
{
    set->bits[b / 64] |= UINT64_C(1) << (b % 64);
}

static void add_digit(rmr_byte_set *set, const digit *d, unsigned v)
{
    const unsigned x = d->first + v;
    if (d->form == DIGIT_UTF8) {
        add_byte(set, x);
    } else if (x < 10) {
        add_byte(set, '0' + x);
    } else {
        add_byte(set, 'a' + x - 10);
        add_byte(set, 'A' + x - 10);
    }
}

/* The text before a digit; hexadecimal letters of it in either case. */
static rmr_rx before_digit(rmr_rx_set *s, const digit *d, rmr_rx r)
{
    for (size_t i = strlen(d->before); i-- > 0;) {
        rmr_byte_set set = {{0, 0, 0, 0}};
        add_byte(&set, (unsigned char)d->before[i]);
        if (d->before[i] == 'D') add_byte(&set, 'd');
        r = rmr_rx_concat(s, rmr_rx_bytes(s, &set), r);
    }
    return r;
}

/* 2: all of lo .. hi is in the ranges, 1: some, 0: none. The ranges are sorted and apart. */
static int covered(const ranges *in, uint32_t lo, uint32_t hi)
{
    size_t a = 0, b = in->n;
    while (a < b) { /* the first one that ends at lo or later */
        const size_t mid = (a + b) / 2;
        if (in->r[mid].hi < lo)
            a = mid + 1;
        else
            b = mid;
    }
    if (a == in->n || in->r[a].lo > hi) return 0;
    return in->r[a].lo <= lo && in->r[a].hi >= hi ? 2 : 1;
}

/* Digits `at` and below for the code points of the ranges from lo on. `all`: every one. */
static rmr_rx digits(rmr_rx_set *s, const spelled *sp, unsigned at, uint32_t lo, const ranges *in,
                     int all)
{
    if (at == sp->n) return RMR_RX_EMPTY;
    const digit *d = &sp->digits[at];
    unsigned below = 0;
    for (unsigned i = at + 1; i < sp->n; i++) below += sp->digits[i].bits;
    const uint32_t size = UINT32_C(1) << below;
    const size_t base = s->scratch.n;
    rmr_byte_set set = {{0, 0, 0, 0}};
    rmr_rx last = RMR_RX_NONE,
           full = RMR_RX_NONE; /* what follows the bytes of the set; all digits */
    for (uint32_t v = 0; v <= UINT32_C(1) << d->bits && !rmr_rx_failed(s); v++) {
        const uint32_t from = lo + v * size, to = from + size - 1;
        rmr_rx rest = RMR_RX_NONE;
        if (v < UINT32_C(1) << d->bits && from < sp->end) {
            const int c = all ? 2 : covered(in, from, to);
            if (c == 2 && full == RMR_RX_NONE) full = digits(s, sp, at + 1, from, in, 1);
            if (c != 0) rest = c == 2 ? full : digits(s, sp, at + 1, from, in, 0);
        }
        if (rest != last) {
            if (last != RMR_RX_NONE) rmr_rx_push(s, rmr_rx_concat(s, rmr_rx_bytes(s, &set), last));
            memset(&set, 0, sizeof set);
            last = rest;
        }
        if (rest != RMR_RX_NONE) add_digit(&set, d, v);
    }
    const rmr_rx r = rmr_rx_join(s, RX_OR, base);
    return r == RMR_RX_NONE ? r : before_digit(s, d, r);
}

/* The part of the ranges that is lo .. hi. out has room for all of them. */
static ranges clip(const ranges *in, rmr_cp_range *out, uint32_t lo, uint32_t hi)
{
    size_t n = 0;
    for (size_t i = 0; i < in->n; i++) {
        const uint32_t a = in->r[i].lo > lo ? in->r[i].lo : lo,
                       b = in->r[i].hi < hi ? in->r[i].hi : hi;
        if (a <= b) out[n++] = (rmr_cp_range){a, b};
    }
    return (ranges){out, n};
}

/* Push UTF-8 for the ranges, which have no surrogates; `room` is for as many ranges. */
static void push_utf8(rmr_rx_set *s, const ranges *in, rmr_cp_range *room)
{
    uint32_t from = 0;
    for (size_t i = 0; i < sizeof UTF8 / sizeof *UTF8; i++) {
        const ranges part = clip(in, room, from, UTF8[i].end - 1);
        if (part.n > 0) rmr_rx_push(s, digits(s, &UTF8[i], 0, 0, &part, 0));
        from = UTF8[i].end;
    }
}

static int in_ranges(const ranges *in, uint32_t cp)
{
    return covered(in, cp, cp) != 0;
}

/* Push the escapes of JSON: the short ones, then those in hexadecimal that have no short one. */
static void push_escapes(rmr_rx_set *s, const ranges *in, rmr_cp_range *room)
{
    static const char codes[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    for (unsigned i = 0; codes[i] != 0; i++)
        if (in_ranges(in, (unsigned char)codes[i]))
            rmr_rx_push(s, rmr_rx_literal(s, (const char[]){'\\', letters[i]}, 2));
    for (unsigned c = 0; c < 0x20; c++) {
        if (c != 0 && strchr(codes, (int)c) != NULL) continue;
        room[0] = (rmr_cp_range){c, c};
        const ranges one = {room, 1};
        if (in_ranges(in, c)) rmr_rx_push(s, digits(s, &HEX[0], 0, 0, &one, 0));
    }
}

static void push_hex(rmr_rx_set *s, const ranges *in, rmr_cp_range *room)
{
    const ranges bmp = clip(in, room, 0, 0xFFFF);
    if (in_ranges(in, '/')) rmr_rx_push(s, rmr_rx_literal(s, "\\/", 2));
    if (bmp.n > 0) rmr_rx_push(s, digits(s, &HEX[0], 0, 0, &bmp, 0));
    const ranges high = clip(in, room, 0x10000, 0x10FFFF);
    if (high.n > 0) rmr_rx_push(s, digits(s, &HEX[1], 0, 0x10000, &high, 0));
}

static rmr_rx spell(rmr_rx_set *s, const ranges *in, rmr_spelling spelling, rmr_cp_range *room)
{
    const size_t base = s->scratch.n;
    if (spelling == RMR_SPELL_UTF8) {
        push_utf8(s, in, room);
        return rmr_rx_join(s, RX_OR, base);
    }
    rmr_cp_range *plain = room, *more = room + in->n + 3;
    size_t n = clip(in, plain, 0x20, '"' - 1).n;
    n += clip(in, plain + n, '"' + 1, '\\' - 1).n;
    n += clip(in, plain + n, '\\' + 1, 0x10FFFF).n;
    const ranges p = {plain, n};
    push_utf8(s, &p, more);
    push_escapes(s, in, more);
    if (spelling == RMR_SPELL_JSON_ALL) push_hex(s, in, more);
    return rmr_rx_join(s, RX_OR, base);
}

static int by_start(const void *a, const void *b)
{
    const rmr_cp_range *x = a, *y = b;
    if (x->lo != y->lo) return x->lo < y->lo ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void append(rmr_cp_range *out, size_t *n, uint32_t lo, uint32_t hi)
{
    if (lo <= hi) out[(*n)++] = (rmr_cp_range){lo, hi};
}

/* Sorted, apart, without surrogates; or what is outside of them. out has room for 2n + 3. */
static size_t normal(const rmr_cp_range *const *items, size_t n, int outside, rmr_cp_range *out)
{
    size_t k = 0;
    uint32_t next = 0; /* the first code point that was not looked at */
    for (size_t i = 0; i <= n; i++) {
        /* A range behind the last ends everything. */
        uint32_t lo = i < n ? items[i]->lo : 0x110000, hi = i < n ? items[i]->hi : 0x110000;
        if (hi > 0x10FFFF && i < n) hi = 0x10FFFF;
        if (lo > hi || hi < next) continue;
        if (outside && lo > next) {
            append(out, &k, next, lo - 1 < 0xD7FF ? lo - 1 : 0xD7FF);
            append(out, &k, next > 0xE000 ? next : 0xE000, lo - 1);
        }
        if (lo < next) lo = next;
        if (!outside && i < n) {
            append(out, &k, lo, hi < 0xD7FF ? hi : 0xD7FF);
            append(out, &k, lo > 0xE000 ? lo : 0xE000, hi);
        }
        next = hi + 1;
    }
    return k;
}

/* Neighbours become one range: `covered` rests on it. */
static size_t merge(rmr_cp_range *r, size_t n)
{
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        if (k > 0 && r[k - 1].hi + 1 == r[i].lo)
            r[k - 1].hi = r[i].hi;
        else
            r[k++] = r[i];
    }
    return k;
}

static rmr_rx chars(rmr_rx_set *s, const rmr_cp_range *r, size_t n, int outside,
                    rmr_spelling spelling)
{
    if (rmr_rx_failed(s)) return RMR_RX_NONE;
    const size_t sorted = (2 * n + 3), room = 2 * (sorted + 3);
    const void **items = rmr_alloc(s->mem, n * sizeof *items);
    rmr_cp_range *out = rmr_alloc(s->mem, (sorted + room) * sizeof *out);
    rmr_rx result = RMR_RX_NONE;
    if (items != NULL && out != NULL) {
        for (size_t i = 0; i < n; i++) items[i] = &r[i];
        rmr_sort(items, n, by_start);
        const size_t k = merge(out, normal((const rmr_cp_range *const *)items, n, outside, out));
        const ranges in = {out, k};
        s->steps += n;
        result = spell(s, &in, spelling, out + sorted);
    } else {
        rmr_rx_no_memory(s, (sorted + room) * sizeof *out);
    }
    rmr_free(s->mem, items, n * sizeof *items);
    rmr_free(s->mem, out, (sorted + room) * sizeof *out);
    return result;
}

rmr_rx rmr_rx_chars(rmr_rx_set *s, const rmr_cp_range *ranges_, size_t n, rmr_spelling spelling)
{
    return chars(s, ranges_, n, 0, spelling);
}

rmr_rx rmr_rx_chars_not(rmr_rx_set *s, const rmr_cp_range *ranges_, size_t n, rmr_spelling spelling)
{
    return chars(s, ranges_, n, 1, spelling);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <utf8proc.h>

#include "ecma.h"
#include "digits.h"
#include "grammar_parts.h"
#include "letter_case.h"
#include "utf8.h"

/* What an expression matches, by whether the text has to begin (1) and end (2) with the match. */
enum { AT_START = 1, AT_END = 2, ANCHORS = 4 };
typedef struct piece {
    rmr_rx v[ANCHORS];
} piece;

typedef struct group {
    size_t pieces, alts; /* where its own begin */
} group;

typedef struct reader {
    rmr_grammar *g;
    rmr_rx_set *rx;
    const unsigned char *s;
    size_t n, at;
    unsigned flags; /* rmr_ecma_flags */
    rmr_spelling spelling;
    piece *pieces; /* of the alternatives that are open, group by group */
    size_t n_pieces, cap_pieces;
    piece *alts;
    size_t n_alts, cap_alts;
    group *groups;
    size_t n_groups, cap_groups;
    rmr_cp_range *ranges;
    size_t n_ranges, cap_ranges;
    remora_error *err;
} reader;

#define WRONG(r, status, what)                                                                     \
    RMR_FAIL((r)->err, status, "the regular expression has %s at byte %zu", what, (r)->at)

static int more(const reader *r)
{
    return r->at < r->n;
}

static int looking_at(const reader *r, const char *text)
{
    const size_t n = strlen(text);
    return r->n - r->at >= n && memcmp(r->s + r->at, text, n) == 0;
}

/* -- Pieces -- */

static piece plain(rmr_rx a)
{
    return (piece){{a, RMR_RX_NONE, RMR_RX_NONE, RMR_RX_NONE}};
}

static int is_plain(const piece *p)
{
    return p->v[1] == RMR_RX_NONE && p->v[2] == RMR_RX_NONE && p->v[3] == RMR_RX_NONE;
}

/* What an anchor in the neighbour leaves of a language: the empty text, if it has that. */
static rmr_rx emptied(const reader *r, rmr_rx a, int anchored)
{
    if (!anchored) return a;
    return rmr_rx_nullable(r->rx, a) ? RMR_RX_EMPTY : RMR_RX_NONE;
}

static piece chained_pieces(reader *r, const piece *a, const piece *b)
{
    if (is_plain(a) && is_plain(b)) return plain(rmr_rx_concat(r->rx, a->v[0], b->v[0]));
    piece sum = plain(RMR_RX_NONE);
    for (unsigned i = 0; i < ANCHORS; i++)
        for (unsigned j = 0; j < ANCHORS; j++) {
            const rmr_rx left = emptied(r, a->v[i], (j & AT_START) != 0);
            const rmr_rx right = emptied(r, b->v[j], (i & AT_END) != 0);
            rmr_rx *to = &sum.v[i | j];
            *to = rmr_rx_or2(r->rx, *to, rmr_rx_concat(r->rx, left, right));
        }
    return sum;
}

static void push_piece(reader *r, piece p)
{
    if (rmr_grammar_room(r->g, &r->pieces, &r->cap_pieces, r->n_pieces + 1, sizeof p))
        r->pieces[r->n_pieces++] = p;
}

/* The open alternative ends. */
static void end_alt(reader *r, size_t base)
{
    piece all = plain(RMR_RX_EMPTY);
    while (r->n_pieces > base) all = chained_pieces(r, &r->pieces[--r->n_pieces], &all);
    if (rmr_grammar_room(r->g, &r->alts, &r->cap_alts, r->n_alts + 1, sizeof all))
        r->alts[r->n_alts++] = all;
}

static piece end_group(reader *r, const group *g)
{
    piece sum;
    end_alt(r, g->pieces);
    for (unsigned v = 0; v < ANCHORS; v++) {
        const size_t base = r->rx->scratch.n;
        for (size_t i = g->alts; i < r->n_alts && rmr_rx_push(r->rx, r->alts[i].v[v]);) i++;
        sum.v[v] = rmr_rx_join(r->rx, RX_OR, base);
    }
    r->n_alts = g->alts;
    return sum;
}

/* -- Characters -- */

static void push_range(reader *r, uint32_t lo, uint32_t hi)
{
    if (rmr_grammar_room(r->g, &r->ranges, &r->cap_ranges, r->n_ranges + 1, sizeof *r->ranges))
        r->ranges[r->n_ranges++] = (rmr_cp_range){lo, hi};
}

static void push_chars(reader *r, uint32_t lo, uint32_t hi)
{
    push_range(r, lo, hi);
    if ((r->flags & RMR_ECMA_ANY_CASE) && !rmr_grammar_failed(r->g))
        rmr_case_ranges(r->g, &r->ranges, &r->n_ranges, &r->cap_ranges);
}

static rmr_rx one_char(reader *r, uint32_t cp)
{
    if (r->flags & RMR_ECMA_ANY_CASE) return rmr_case_char(r->g, cp, r->spelling);
    const int simple = cp >= 0x20 && cp < 0x7F && cp != '"' && cp != '\\';
    if (simple && r->spelling != RMR_SPELL_JSON_ALL) return rmr_rx_byte(r->rx, (unsigned char)cp);
    const rmr_cp_range one = {cp, cp};
    return rmr_rx_chars(r->rx, &one, 1, r->spelling);
}

static remora_status read_char(reader *r, uint32_t *cp)
{
    const size_t len = rmr_utf8_step(r->s + r->at, r->n - r->at, cp);
    if (*cp >= RMR_UTF8_SHORT) WRONG(r, REMORA_E_ARG, "text that is not UTF-8");
    r->at += len;
    return REMORA_OK;
}

static remora_status read_hex(reader *r, size_t digits, uint32_t *v)
{
    *v = 0;
    for (size_t i = 0; i < digits; i++, r->at++) {
        const int d = more(r) ? rmr_hex_digit(r->s[r->at]) : -1;
        if (d < 0) WRONG(r, REMORA_E_ARG, "an escape whose hexadecimal digits are missing");
        *v = *v << 4 | (uint32_t)d;
    }
    return REMORA_OK;
}

/* Behind \u. */
static remora_status read_unicode(reader *r, uint32_t *cp)
{
    if (more(r) && r->s[r->at] == '{') {
        *cp = 0;
        for (r->at++; more(r) && r->s[r->at] != '}'; r->at++) {
            const int d = rmr_hex_digit(r->s[r->at]);
            if (d < 0 || *cp > 0x10FFFF)
                WRONG(r, REMORA_E_ARG, "an escape \\u{} that is no code point");
            *cp = *cp << 4 | (uint32_t)d;
        }
        if (!more(r) || *cp > 0x10FFFF)
            WRONG(r, REMORA_E_ARG, "an escape \\u{} that is no code point");
        r->at++;
        return REMORA_OK;
    }
    RMR_TRY(read_hex(r, 4, cp));
    if (*cp < 0xD800 || *cp > 0xDBFF || !looking_at(r, "\\u")) return REMORA_OK;
    const size_t back = r->at;
    uint32_t low;
    r->at += 2;
    if (read_hex(r, 4, &low) < 0 || !rmr_utf16_pair(*cp, low, cp)) r->at = back;
    return REMORA_OK;
}

/* Push the ranges of the code points with one of these categories, or without. */
static void push_categories(reader *r, const char *name, int without)
{
    uint32_t from = UINT32_MAX;
    for (uint32_t cp = 0; cp <= 0x110000; cp++) {
        int has = 0;
        if (cp < 0x110000) {
            const char *c = utf8proc_category_string((utf8proc_int32_t)cp);
            has = (c[0] == name[0] && (name[1] == 0 || c[1] == name[1])) != without;
        }
        if (has && from == UINT32_MAX) from = cp;
        if (!has && from != UINT32_MAX) {
            push_range(r, from, cp - 1);
            from = UINT32_MAX;
        }
    }
    rmr_grammar_fuel(r->g, 10000);
}

static remora_status read_property(reader *r, int without)
{
    char name[3] = {0};
    const size_t start = r->at + 1;
    size_t end = start;
    while (end < r->n && r->s[end] != '}') end++;
    const size_t n = end - start;
    if (r->at >= r->n || r->s[r->at] != '{' || end == r->n)
        WRONG(r, REMORA_E_ARG, "a \\p without its name in braces");
    if (r->flags & RMR_ECMA_ANY_CASE)
        WRONG(r, REMORA_E_UNSUPPORTED, "a property with the flag i, which is not supported,");
    if (n >= 1 && n <= 2) memcpy(name, r->s + start, n);
    if (name[0] == 0 || strchr("LMNPSZC", name[0]) == NULL ||
        (name[1] != 0 && strchr("ultmondcekfisp", name[1]) == NULL))
        WRONG(r, REMORA_E_UNSUPPORTED,
              "a property that is not a short general category such as \\p{L} or \\p{Lu}");
    r->at = end + 1;
    push_categories(r, name, without);
    return REMORA_OK;
}

/* \d \w \s and their opposites: push their ranges. 0: another letter. */
static int push_shorthand(reader *r, unsigned c)
{
    static const rmr_cp_range digit[] = {{'0', '9'}},
                              word[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}},
                              space[] = {{9, 13},          {0x20, 0x20},     {0xA0, 0xA0},
                                         {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029},
                                         {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000},
                                         {0xFEFF, 0xFEFF}};
    const rmr_cp_range *list = (c | 0x20) == 'd' ? digit : (c | 0x20) == 'w' ? word : space;
    const size_t n = list == digit ? 1 : list == word ? 4 : 10;
    if (strchr("dwsDWS", (int)c) == NULL) return 0;
    if (c & 0x20) {
        for (size_t i = 0; i < n; i++) push_range(r, list[i].lo, list[i].hi);
        return 1;
    }
    uint32_t next = 0;
    for (size_t i = 0; i < n; next = list[i].hi + 1, i++)
        if (list[i].lo > next) push_range(r, next, list[i].lo - 1);
    push_range(r, next, 0x10FFFF);
    return 1;
}

static int is_letter(unsigned c)
{
    return ((c | 0x20u) - 'a') < 26;
}

/* The letter or sign *cp behind a backslash: control characters, signs for themselves, and what is
 * refused. */
static remora_status other_escape(reader *r, int in_class, uint32_t *cp)
{
    const unsigned c = *cp, next = more(r) ? r->s[r->at] : 0;
    if (c == 'c' && is_letter(next)) {
        *cp = next & 0x1Fu;
        r->at++;
    } else if (c == '0' && !(next >= '0' && next <= '9')) {
        *cp = 0;
    } else if (c == 'b' && in_class) {
        *cp = 8;
    } else if ((c >= '0' && c <= '9') || c == 'k') {
        WRONG(r, REMORA_E_UNSUPPORTED, "a back-reference, which no regular language has,");
    } else if (c == 'b' || c == 'B') {
        WRONG(r, REMORA_E_UNSUPPORTED, "a word boundary (\\b), which is not supported,");
    } else if (is_letter(c)) {
        WRONG(r, REMORA_E_ARG, "an unknown escape");
    }
    return REMORA_OK;
}

/* Behind a backslash: one code point, or (*set) ranges that were pushed. */
static remora_status read_escape(reader *r, int in_class, uint32_t *cp, int *set)
{
    static const char names[] = "nrtvf", codes[] = "\n\r\t\v\f";
    *set = 0;
    if (!more(r)) WRONG(r, REMORA_E_ARG, "a backslash at its end");
    const unsigned c = r->s[r->at];
    const char *k = c == 0 ? NULL : strchr(names, (int)c);
    if (c >= 0x80) return read_char(r, cp);
    r->at++;
    *cp = c;
    if (k != NULL) {
        *cp = (unsigned char)codes[k - names];
    } else if (c == 'x') {
        return read_hex(r, 2, cp);
    } else if (c == 'u') {
        return read_unicode(r, cp);
    } else if (c == 'p' || c == 'P') {
        *set = 1;
        return read_property(r, c == 'P');
    } else if (c != 0 && push_shorthand(r, c)) {
        *set = 1;
    } else {
        return other_escape(r, in_class, cp);
    }
    return REMORA_OK;
}

/* One end of a range, or a set. */
static remora_status class_atom(reader *r, uint32_t *cp, int *set)
{
    *set = 0;
    if (r->s[r->at] != '\\') return read_char(r, cp);
    r->at++;
    return read_escape(r, 1, cp, set);
}

static remora_status read_class(reader *r, rmr_rx *out)
{
    const int not = more(r) && r->s[r->at] == '^';
    r->n_ranges = 0;
    r->at += (size_t) not ;
    for (;;) {
        uint32_t lo = 0, hi = 0;
        int set;
        if (!more(r)) WRONG(r, REMORA_E_ARG, "a class without its ]");
        if (r->s[r->at] == ']') break;
        RMR_TRY(class_atom(r, &lo, &set));
        hi = lo;
        if (!set && r->at + 1 < r->n && r->s[r->at] == '-' && r->s[r->at + 1] != ']') {
            r->at++;
            RMR_TRY(class_atom(r, &hi, &set));
            if (set) push_chars(r, lo, lo), push_range(r, '-', '-'); /* [a-\d] has all three */
            if (!set && hi < lo) WRONG(r, REMORA_E_ARG, "a range that ends before it begins");
        }
        if (!set) push_chars(r, lo, hi);
        if (!rmr_grammar_fuel(r->g, 1)) return rmr_grammar_status(r->g, r->err);
    }
    r->at++;
    *out = not ? rmr_rx_chars_not(r->rx, r->ranges, r->n_ranges, r->spelling)
               : rmr_rx_chars(r->rx, r->ranges, r->n_ranges, r->spelling);
    return REMORA_OK;
}

/* -- Structure -- */

static void skip_blanks(reader *r)
{
    int comment = 0;
    for (; more(r) && (r->flags & RMR_ECMA_VERBOSE); r->at++) {
        const unsigned c = r->s[r->at];
        comment = comment ? c != '\n' : c == '#';
        if (!comment && c != ' ' && !(c >= '\t' && c <= '\r')) return;
    }
}

static int read_number(reader *r, uint32_t *v)
{
    const size_t n = rmr_digits_read(r->s + r->at, r->n - r->at, RMR_RX_MANY - 1, v);
    r->at += n;
    return n > 0;
}

/* {m}, {m,} or {m,n}; what is none of them is text. */
static int read_braces(reader *r, uint32_t *min, uint32_t *max)
{
    const size_t back = r->at++;
    if (read_number(r, min)) {
        *max = *min;
        if (more(r) && r->s[r->at] == ',') {
            r->at++;
            if (!read_number(r, max)) *max = RMR_RX_MANY;
        }
        if (more(r) && r->s[r->at] == '}') {
            r->at++;
            return 1;
        }
    }
    r->at = back;
    return 0;
}

static remora_status quantify(reader *r)
{
    uint32_t min = 0, max = RMR_RX_MANY;
    skip_blanks(r);
    if (!more(r) || rmr_grammar_failed(r->g)) return REMORA_OK;
    const unsigned c = r->s[r->at];
    if (c == '{') {
        if (!read_braces(r, &min, &max)) return REMORA_OK;
    } else if (c == '*' || c == '+' || c == '?') {
        min = c == '+';
        if (c == '?') max = 1;
        r->at++;
    } else {
        return REMORA_OK;
    }
    if (max < min) WRONG(r, REMORA_E_ARG, "a repetition whose most is below its least");
    if (more(r) && r->s[r->at] == '?') r->at++; /* lazy: the same texts */
    piece *p = &r->pieces[r->n_pieces - 1];
    if (!is_plain(p))
        WRONG(r, REMORA_E_UNSUPPORTED, "an anchor that is repeated, which is not supported,");
    p->v[0] = rmr_rx_repeat(r->rx, p->v[0], min, max);
    return REMORA_OK;
}

static remora_status open_group(reader *r)
{
    if (looking_at(r, "?:")) {
        r->at += 2;
    } else if (looking_at(r, "?<") && !looking_at(r, "?<=") && !looking_at(r, "?<!")) {
        while (more(r) && r->s[r->at] != '>') r->at++;
        r->at += (size_t)more(r);
    } else if (looking_at(r, "?=") || looking_at(r, "?!") || looking_at(r, "?<")) {
        WRONG(r, REMORA_E_UNSUPPORTED,
              "lookahead or lookbehind, which no regular language has as it is,");
    } else if (looking_at(r, "?")) {
        WRONG(r, REMORA_E_UNSUPPORTED, "a group of an unknown kind");
    }
    if (r->n_groups > r->g->lim.nesting)
        RMR_FAIL(r->err, REMORA_E_LIMIT,
                 "the regular expression has groups nested deeper than the limit \"nesting\", %u, "
                 "allows",
                 r->g->lim.nesting);
    if (rmr_grammar_room(r->g, &r->groups, &r->cap_groups, r->n_groups + 1, sizeof *r->groups))
        r->groups[r->n_groups++] = (group){r->n_pieces, r->n_alts};
    return REMORA_OK;
}

static remora_status read_atom(reader *r)
{
    static const rmr_cp_range line_ends[] = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
    const unsigned c = r->s[r->at];
    uint32_t cp = 0;
    int set;
    rmr_rx a = RMR_RX_NONE;
    if (c == '.') {
        const size_t without = r->flags & RMR_ECMA_DOT_ALL ? 0 : 3;
        r->at++;
        a = rmr_rx_chars_not(r->rx, line_ends, without, r->spelling);
    } else if (c == '[') {
        r->at++;
        RMR_TRY(read_class(r, &a));
    } else if (c == '\\') {
        r->at++;
        r->n_ranges = 0;
        RMR_TRY(read_escape(r, 0, &cp, &set));
        a = set ? rmr_rx_chars(r->rx, r->ranges, r->n_ranges, r->spelling) : one_char(r, cp);
    } else if (c == '*' || c == '+' || c == '?') {
        WRONG(r, REMORA_E_ARG, "a repetition of nothing");
    } else {
        RMR_TRY(read_char(r, &cp));
        a = one_char(r, cp);
    }
    push_piece(r, plain(a));
    return quantify(r);
}

static remora_status read_next(reader *r)
{
    group *g = &r->groups[r->n_groups - 1];
    const unsigned c = r->s[r->at];
    if (c == '(') {
        r->at++;
        return open_group(r);
    }
    if (c == ')') {
        if (r->n_groups == 1) WRONG(r, REMORA_E_ARG, "a ) without its (");
        r->at++;
        r->n_groups--;
        push_piece(r, end_group(r, g));
        return quantify(r);
    }
    if (c == '|') {
        r->at++;
        end_alt(r, g->pieces);
        return REMORA_OK;
    }
    if (c == '^' || c == '$') {
        piece p = plain(RMR_RX_NONE);
        if (r->flags & RMR_ECMA_LINES)
            WRONG(r, REMORA_E_UNSUPPORTED, "a ^ or $ of lines (flag m), which is not supported,");
        p.v[c == '^' ? AT_START : AT_END] = RMR_RX_EMPTY;
        r->at++;
        push_piece(r, p);
        return REMORA_OK;
    }
    return read_atom(r);
}

static remora_status read_all(reader *r, piece *out)
{
    if (!rmr_grammar_room(r->g, &r->groups, &r->cap_groups, 1, sizeof *r->groups))
        return rmr_grammar_status(r->g, r->err);
    r->groups[r->n_groups++] = (group){0, 0};
    for (skip_blanks(r); more(r); skip_blanks(r)) {
        RMR_TRY(read_next(r));
        if (!rmr_grammar_fuel(r->g, 1)) return rmr_grammar_status(r->g, r->err);
    }
    if (r->n_groups > 1) WRONG(r, REMORA_E_ARG, "a ( without its )");
    *out = end_group(r, &r->groups[0]);
    return rmr_grammar_status(r->g, r->err);
}

/* Text before and behind a match that may be anywhere. */
static rmr_rx anywhere_in(reader *r, const piece *p)
{
    const rmr_rx any =
        rmr_rx_repeat(r->rx, rmr_rx_chars_not(r->rx, NULL, 0, r->spelling), 0, RMR_RX_MANY);
    rmr_rx parts[ANCHORS];
    for (unsigned v = 0; v < ANCHORS; v++) {
        parts[v] = p->v[v];
        if (!(v & AT_END)) parts[v] = rmr_rx_concat(r->rx, parts[v], any);
        if (!(v & AT_START)) parts[v] = rmr_rx_concat(r->rx, any, parts[v]);
    }
    return rmr_rx_or(r->rx, parts, ANCHORS);
}

remora_status rmr_ecma(rmr_grammar *g, const char *src, size_t n, unsigned flags,
                       rmr_spelling spelling, rmr_rx *out, remora_error *err)
{
    reader r = {.g = g,
                .rx = g->rx,
                .s = (const unsigned char *)src,
                .n = n,
                .flags = flags,
                .spelling = spelling,
                .err = err};
    piece p = plain(RMR_RX_NONE);
    remora_status st = read_all(&r, &p);
    *out = RMR_RX_NONE;
    if (st >= 0) {
        *out = flags & RMR_ECMA_ANYWHERE ? anywhere_in(&r, &p) : rmr_rx_or(r.rx, p.v, ANCHORS);
        st = rmr_grammar_status(g, err);
    }
    rmr_mem *m = &g->mem;
    rmr_free(m, r.pieces, r.cap_pieces * sizeof *r.pieces);
    rmr_free(m, r.alts, r.cap_alts * sizeof *r.alts);
    rmr_free(m, r.groups, r.cap_groups * sizeof *r.groups);
    rmr_free(m, r.ranges, r.cap_ranges * sizeof *r.ranges);
    return st;
}

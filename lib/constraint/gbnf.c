/* SPDX-License-Identifier: Apache-2.0 */
/* GBNF, the grammars of llama.cpp; and the front ends that need no parser of their own. */
#include <string.h>

#include "ecma.h"
#include "front_ends.h"
#include "tree.h"
#include "utf8.h"

typedef struct frame {
    size_t parts,
        alts; /* of the stack: where the open sequence and the alternatives before it begin */
} frame;

typedef struct reader {
    rmr_tree t;
    rmr_grammar *g;
    const unsigned char *s;
    size_t n, at;
    frame *frames;
    size_t n_frames, cap_frames;
    uint32_t *alts; /* alternatives that are whole, group by group */
    size_t n_alts, cap_alts;
    char *text; /* of a literal */
    size_t n_text, cap_text;
    rmr_cp_range *ranges;
    size_t n_ranges, cap_ranges;
    remora_error *err;
} reader;

static remora_status wrong(reader *r, const char *what)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < r->at && i < r->n; i++) {
        column = r->s[i] == '\n' ? 1 : column + 1;
        line += r->s[i] == '\n';
    }
    RMR_FAIL(r->err, REMORA_E_ARG, "the grammar has %s in line %zu, column %zu", what, line,
             column);
}

static unsigned peek(const reader *r)
{
    return r->at < r->n ? r->s[r->at] : 0;
}

/* White space and comments; `lines`: ends of lines too. */
static void skip(reader *r, int lines)
{
    for (; r->at < r->n; r->at++) {
        const unsigned c = r->s[r->at];
        if (c == '#') {
            while (r->at < r->n && r->s[r->at] != '\n' && r->s[r->at] != '\r') r->at++;
            if (r->at == r->n) return;
            if (!lines) return;
        } else if (c != ' ' && c != '\t' && (!lines || (c != '\n' && c != '\r'))) {
            return;
        }
    }
}

static int name_char(unsigned c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static size_t name_length(const reader *r)
{
    size_t n = 0;
    while (r->at + n < r->n && name_char(r->s[r->at + n])) n++;
    return n;
}

/* -- Characters -- */

static remora_status read_hex(reader *r, unsigned digits, uint32_t *cp)
{
    *cp = 0;
    for (unsigned i = 0; i < digits; i++, r->at++) {
        const unsigned c = peek(r), l = c | 0x20;
        if (c >= '0' && c <= '9')
            *cp = *cp << 4 | (c - '0');
        else if (l >= 'a' && l <= 'f')
            *cp = *cp << 4 | (l - 'a' + 10);
        else
            return wrong(r, "an escape whose hexadecimal digits are missing");
    }
    if (*cp > 0x10FFFF || (*cp >= 0xD800 && *cp < 0xE000))
        return wrong(r, "an escape that is no character");
    return REMORA_OK;
}

static remora_status read_char(reader *r, uint32_t *cp)
{
    static const char names[] = "nrt\\\"[]-^/'", codes[] = "\n\r\t\\\"[]-^/'";
    if (peek(r) != '\\') {
        const size_t len = rmr_utf8_step(r->s + r->at, r->n - r->at, cp);
        if (*cp >= RMR_UTF8_SHORT) return wrong(r, "text that is not UTF-8");
        if (*cp == 0) return wrong(r, "a NUL byte");
        r->at += len;
        return REMORA_OK;
    }
    r->at++;
    const unsigned c = peek(r);
    const char *k = c == 0 ? NULL : strchr(names, (int)c);
    if (k == NULL && c != 'x' && c != 'u' && c != 'U') return wrong(r, "an unknown escape");
    r->at++;
    if (k != NULL) {
        *cp = (unsigned char)codes[k - names];
        return REMORA_OK;
    }
    return read_hex(r, c == 'x' ? 2 : c == 'u' ? 4 : 8, cp);
}

static remora_status read_literal(reader *r, uint32_t *node)
{
    r->n_text = 0;
    r->at++;
    while (peek(r) != '"') {
        uint32_t cp;
        unsigned char utf8[4];
        if (r->at >= r->n || peek(r) == '\n') return wrong(r, "a text without its closing quote");
        RMR_TRY(read_char(r, &cp));
        const size_t len = rmr_utf8_put(cp, utf8);
        if (!rmr_grammar_room(r->g, &r->text, &r->cap_text, r->n_text + len, 1))
            return rmr_grammar_status(r->g, r->err);
        memcpy(r->text + r->n_text, utf8, len);
        r->n_text += len;
    }
    r->at++;
    *node = rmr_tree_text(&r->t, r->text, r->n_text);
    return REMORA_OK;
}

static remora_status read_class(reader *r, uint32_t *node)
{
    r->n_ranges = 0;
    r->at++;
    const int not = peek(r) == '^';
    r->at += (size_t) not ;
    while (peek(r) != ']') {
        uint32_t lo, hi;
        if (r->at >= r->n || peek(r) == '\n')
            return wrong(r, "a class of characters without its ]");
        RMR_TRY(read_char(r, &lo));
        hi = lo;
        if (peek(r) == '-' && r->at + 1 < r->n && r->s[r->at + 1] != ']') {
            r->at++;
            RMR_TRY(read_char(r, &hi));
            if (hi < lo) return wrong(r, "a range that ends before it begins");
        }
        if (!rmr_grammar_room(r->g, &r->ranges, &r->cap_ranges, r->n_ranges + 1, sizeof *r->ranges))
            return rmr_grammar_status(r->g, r->err);
        r->ranges[r->n_ranges++] = (rmr_cp_range){lo, hi};
    }
    r->at++;
    const rmr_rx a = not ? rmr_rx_chars_not(r->g->rx, r->ranges, r->n_ranges, RMR_SPELL_UTF8)
                         : rmr_rx_chars(r->g->rx, r->ranges, r->n_ranges, RMR_SPELL_UTF8);
    *node = rmr_tree_node(&r->t, (tree_node){.kind = TREE_RX, .a = a});
    return REMORA_OK;
}

static int read_number(reader *r, uint32_t *v)
{
    const size_t start = r->at;
    uint64_t x = 0;
    for (; peek(r) >= '0' && peek(r) <= '9'; r->at++)
        if (x < RMR_RX_MANY) x = x * 10 + (peek(r) - '0');
    *v = x >= RMR_RX_MANY ? RMR_RX_MANY - 1 : (uint32_t)x;
    return r->at > start;
}

/* <[ID]>, or !<[ID]>: one token. */
static remora_status read_token(reader *r, uint32_t *node)
{
    const int not = peek(r) == '!';
    rmr_token_range one = {0, 0};
    r->at += (size_t) not ;
    if (r->n - r->at < 4 || memcmp(r->s + r->at, "<[", 2) != 0)
        return wrong(r, "a token that is not given by its number, as <[1000]>,");
    r->at += 2;
    if (!read_number(r, &one.lo) || r->n - r->at < 2 || memcmp(r->s + r->at, "]>", 2) != 0)
        return wrong(r, "a token whose number is not closed by ]>");
    r->at += 2;
    one.hi = one.lo;
    const uint32_t set = rmr_grammar_tokens(r->g, &one, 1, not );
    *node = rmr_tree_node(&r->t, (tree_node){.kind = TREE_TOKENS, .a = set});
    return REMORA_OK;
}

/* -- Structure -- */

static remora_status open_frame(reader *r)
{
    if (r->n_frames > r->g->lim.nesting)
        RMR_FAIL(r->err, REMORA_E_LIMIT,
                 "the grammar has groups nested deeper than the limit \"nesting\", %u, allows",
                 r->g->lim.nesting);
    if (rmr_grammar_room(r->g, &r->frames, &r->cap_frames, r->n_frames + 1, sizeof *r->frames))
        r->frames[r->n_frames++] = (frame){r->t.n_stack, r->n_alts};
    return REMORA_OK;
}

static void end_alternative(reader *r)
{
    const uint32_t seq = rmr_tree_join(&r->t, TREE_SEQ, r->frames[r->n_frames - 1].parts);
    if (rmr_grammar_room(r->g, &r->alts, &r->cap_alts, r->n_alts + 1, sizeof *r->alts))
        r->alts[r->n_alts++] = seq;
}

/* The group of the last frame, which is closed. */
static uint32_t end_frame(reader *r)
{
    end_alternative(r);
    const frame f = r->frames[--r->n_frames];
    const size_t base = r->t.n_stack;
    for (size_t i = f.alts; i < r->n_alts && rmr_tree_push(&r->t, r->alts[i]);) i++;
    r->n_alts = f.alts;
    return rmr_tree_join(&r->t, TREE_ALT, base);
}

static remora_status read_braces(reader *r, uint32_t *min, uint32_t *max)
{
    r->at++;
    skip(r, 0);
    if (!read_number(r, min)) {
        if (peek(r) != ',') return wrong(r, "a repetition whose count is no number");
        *min = 0;
    }
    *max = *min;
    skip(r, 0);
    if (peek(r) == ',') {
        r->at++;
        skip(r, 0);
        if (!read_number(r, max)) *max = RMR_RX_MANY;
        skip(r, 0);
    }
    if (peek(r) != '}') return wrong(r, "a repetition without its }");
    r->at++;
    if (*max < *min) return wrong(r, "a repetition whose most is below its least");
    return REMORA_OK;
}

/* What repeats the part on top of the stack. */
static remora_status quantify(reader *r)
{
    for (;;) {
        uint32_t min = 0, max = RMR_RX_MANY;
        const unsigned c = peek(r);
        if (c != '*' && c != '+' && c != '?' && c != '{') return REMORA_OK;
        if (r->t.n_stack == r->frames[r->n_frames - 1].parts)
            return wrong(r, "a repetition of nothing");
        if (c == '{') {
            RMR_TRY(read_braces(r, &min, &max));
        } else {
            min = c == '+';
            if (c == '?') max = 1;
            r->at++;
        }
        if (rmr_grammar_failed(r->g)) return rmr_grammar_status(r->g, r->err);
        uint32_t *top = &r->t.stack[r->t.n_stack - 1];
        *top = rmr_tree_repeat(&r->t, *top, min, max);
    }
}

static remora_status read_part(reader *r)
{
    const unsigned c = peek(r);
    uint32_t node = 0;
    if (c == '"') {
        RMR_TRY(read_literal(r, &node));
    } else if (c == '[') {
        RMR_TRY(read_class(r, &node));
    } else if (c == '<' || c == '!') {
        RMR_TRY(read_token(r, &node));
    } else if (c == '.') {
        r->at++;
        const rmr_rx any = rmr_rx_chars_not(r->g->rx, NULL, 0, RMR_SPELL_UTF8);
        node = rmr_tree_node(&r->t, (tree_node){.kind = TREE_RX, .a = any});
    } else if (name_length(r) > 0) {
        const size_t n = name_length(r);
        const uint32_t rule = rmr_tree_rule(&r->t, (const char *)r->s + r->at, n);
        r->at += n;
        node = rmr_tree_node(&r->t, (tree_node){.kind = TREE_RULE, .a = rule});
    } else {
        return wrong(r, c == '*' || c == '+' || c == '?' || c == '{'
                            ? "a repetition of nothing"
                            : "something that is no part of a rule");
    }
    rmr_tree_push(&r->t, node);
    return quantify(r);
}

/* 1: a name and ::= come next, which begin a rule. */
static int at_rule(reader *r)
{
    const size_t back = r->at, n = name_length(r);
    r->at += n;
    skip(r, 0);
    const int is = n > 0 && r->n - r->at >= 3 && memcmp(r->s + r->at, "::=", 3) == 0;
    r->at = back;
    return is;
}

/* The parts of a rule, up to the end of its line outside of groups. */
static remora_status read_body(reader *r)
{
    RMR_TRY(open_frame(r));
    for (;;) {
        skip(r, r->n_frames > 1);
        const unsigned c = peek(r);
        if (!rmr_grammar_fuel(r->g, 1)) return rmr_grammar_status(r->g, r->err);
        if (r->at >= r->n || c == '\n' || c == '\r') {
            if (r->n_frames > 1) return wrong(r, "a ( without its )");
            skip(r, 1);
            if (r->at >= r->n || at_rule(r)) return REMORA_OK;
            if (peek(r) != '|') return wrong(r, "a line that begins no rule");
        } else if (c == '(') {
            r->at++;
            RMR_TRY(open_frame(r));
        } else if (c == ')') {
            if (r->n_frames == 1) return wrong(r, "a ) without its (");
            r->at++;
            const uint32_t node = end_frame(r);
            rmr_tree_push(&r->t, node);
            if (rmr_grammar_failed(r->g)) return rmr_grammar_status(r->g, r->err);
            RMR_TRY(quantify(r));
        } else if (c == '|') {
            r->at++;
            end_alternative(r);
            skip(r, 1);
        } else {
            RMR_TRY(read_part(r));
        }
    }
}

static remora_status read_rule(reader *r)
{
    if (!at_rule(r)) return wrong(r, "a line that begins no rule");
    const size_t n = name_length(r);
    const uint32_t rule = rmr_tree_rule(&r->t, (const char *)r->s + r->at, n);
    if (rmr_grammar_failed(r->g)) return rmr_grammar_status(r->g, r->err);
    if (r->t.rules[rule].defined) return wrong(r, "a rule that was defined before");
    r->at += n;
    skip(r, 0);
    r->at += 3;
    skip(r, 1);
    const size_t first = r->t.n_nodes;
    RMR_TRY(read_body(r));
    const uint32_t root = end_frame(r);
    if (rmr_grammar_failed(r->g)) return rmr_grammar_status(r->g, r->err);
    /* The root is the last of its nodes. */
    if (root + 1 != r->t.n_nodes) rmr_tree_repeat(&r->t, root, 1, 1);
    r->t.rules[rule].defined = 1;
    r->t.rules[rule].first = (uint32_t)first;
    r->t.rules[rule].end = (uint32_t)r->t.n_nodes;
    return rmr_grammar_status(r->g, r->err);
}

remora_status rmr_gbnf(rmr_grammar *g, const char *src, size_t n, remora_error *err)
{
    reader r = {.t = {.g = g}, .g = g, .s = (const unsigned char *)src, .n = n, .err = err};
    remora_status st = REMORA_OK;
    if (n > UINT32_MAX / 2)
        st = rmr_error_set(err, REMORA_E_LIMIT, 0, "the grammar has more than 2^31 bytes");
    skip(&r, 1);
    while (st >= 0 && r.at < r.n) {
        st = read_rule(&r);
        skip(&r, 1);
    }
    if (st >= 0) st = rmr_tree_finish(&r.t, "root", err);
    rmr_tree_free(&r.t);
    rmr_mem *m = &g->mem;
    rmr_free(m, r.frames, r.cap_frames * sizeof *r.frames);
    rmr_free(m, r.alts, r.cap_alts * sizeof *r.alts);
    rmr_free(m, r.text, r.cap_text);
    rmr_free(m, r.ranges, r.cap_ranges * sizeof *r.ranges);
    return st;
}

static remora_status one_lexeme(rmr_grammar *g, const char *name, rmr_rx a, remora_error *err)
{
    const rmr_rule r = rmr_rule_new(g, name, strlen(name));
    const rmr_symbol s = rmr_lexeme(a);
    rmr_rule_alt(g, r, &s, 1);
    return rmr_grammar_finish(g, r, err);
}

remora_status rmr_regex(rmr_grammar *g, const char *src, size_t n, remora_error *err)
{
    rmr_rx a;
    RMR_TRY(rmr_ecma(g, src, n, 0, RMR_SPELL_UTF8, &a, err));
    return one_lexeme(g, "regex", a, err);
}

remora_status rmr_choices(rmr_grammar *g, const char *const *texts, const size_t *lengths, size_t n,
                          remora_error *err)
{
    const rmr_rx a = rmr_rx_strings(g->rx, texts, lengths, n);
    return one_lexeme(g, "choice", a, err);
}

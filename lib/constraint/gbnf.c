/* SPDX-License-Identifier: Apache-2.0 */
/* GBNF, the grammars of llama.cpp; and the front ends that need no parser of their own. */
#include "ecma.h"
#include "front_ends.h"
#include "rules.h"

typedef struct class_ranges {
    rmr_cp_range *p;
    size_t n, cap;
} class_ranges;

static int name_char(unsigned c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static size_t name_length(const rule_reader *r)
{
    size_t n = 0;
    while (r->at + n < r->n && name_char(r->s[r->at + n])) n++;
    return n;
}

/* -- Parts -- */

static remora_status read_literal(rule_reader *r, uint32_t *node)
{
    uint32_t only;
    RMR_TRY(rmr_rules_string(r, &only));
    *node = rmr_tree_text(&r->t, r->text, r->n_text);
    return REMORA_OK;
}

static remora_status read_class(rule_reader *r, uint32_t *node)
{
    class_ranges *a = r->own;
    a->n = 0;
    r->at++;
    const int not = peek(r) == '^';
    r->at += (size_t) not ;
    while (peek(r) != ']') {
        uint32_t lo, hi;
        if (r->at >= r->n || peek(r) == '\n')
            return rmr_rules_wrong(r, "a class of characters without its ]");
        RMR_TRY(rmr_rules_char(r, &lo));
        hi = lo;
        if (peek(r) == '-' && r->at + 1 < r->n && r->s[r->at + 1] != ']') {
            r->at++;
            RMR_TRY(rmr_rules_char(r, &hi));
            if (hi < lo) return rmr_rules_wrong(r, "a range that ends before it begins");
        }
        if (!rmr_grammar_room(r->g, &a->p, &a->cap, a->n + 1, sizeof *a->p))
            return rmr_grammar_status(r->g, r->err);
        a->p[a->n++] = (rmr_cp_range){lo, hi};
    }
    r->at++;
    *node = rmr_rules_of_rx(r, not ? rmr_rx_chars_not(r->g->rx, a->p, a->n, RMR_SPELL_UTF8)
                                   : rmr_rx_chars(r->g->rx, a->p, a->n, RMR_SPELL_UTF8));
    return REMORA_OK;
}

/* <[ID]>, or !<[ID]>: one token. */
static remora_status read_token(rule_reader *r, uint32_t *node)
{
    const int not = peek(r) == '!';
    rmr_token_range one = {0, 0};
    r->at += (size_t) not ;
    if (r->n - r->at < 4 || !begins(r, "<["))
        return rmr_rules_wrong(r, "a token that is not given by its number, as <[1000]>,");
    r->at += 2;
    if (!rmr_rules_number(r, &one.lo) || !begins(r, "]>"))
        return rmr_rules_wrong(r, "a token whose number is not closed by ]>");
    r->at += 2;
    one.hi = one.lo;
    *node = rmr_rules_of_tokens(r, &one, 1, not );
    return REMORA_OK;
}

static remora_status read_part(rule_reader *r)
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
        node = rmr_rules_of_rx(r, rmr_rx_chars_not(r->g->rx, NULL, 0, RMR_SPELL_UTF8));
    } else if (name_length(r) > 0) {
        const size_t n = name_length(r);
        node = rmr_rules_of_name(r, (const char *)r->s + r->at, n);
        r->at += n;
    } else {
        return rmr_rules_wrong(r, c == '*' || c == '+' || c == '?' || c == '{'
                                      ? "a repetition of nothing"
                                      : "something that is no part of a rule");
    }
    rmr_tree_push(&r->t, node);
    return rmr_rules_quantify(r);
}

static const rule_dialect dialect = {
    .escapes = "nrt\\\"[]-^/'",
    .codes = "\n\r\t\\\"[]-^/'",
    .blanks = " \t",
    .ends = "\n\r",
    .comment = "",
    .repeats = "*+?{",
    .part = read_part,
};

/* -- Rules -- */

/* The bytes of a name and ::=, which begin a rule; 0: they do not come next. */
static size_t head_length(const rule_reader *r)
{
    const size_t n = name_length(r);
    rule_reader x = *r;
    x.at += n;
    rmr_rules_skip(&x, 0);
    return n > 0 && begins(&x, "::=") ? x.at + 3 - r->at : 0;
}

static remora_status read_rule(rule_reader *r)
{
    const size_t head = head_length(r);
    uint32_t rule;
    if (head == 0) return rmr_rules_wrong(r, "a line that begins no rule");
    RMR_TRY(rmr_rules_new(r, (const char *)r->s + r->at, name_length(r), &rule));
    r->at += head;
    rmr_rules_skip(r, 1);
    return rmr_rules_body(r, rule);
}

remora_status rmr_gbnf(rmr_grammar *g, const char *src, size_t n, remora_error *err)
{
    rule_reader r;
    class_ranges ranges = {NULL, 0, 0};
    remora_status st = rmr_rules_begin(&r, g, &dialect, src, n, err);
    r.own = &ranges;
    rmr_rules_skip(&r, 1);
    while (st >= 0 && r.at < r.n) {
        st = read_rule(&r);
        rmr_rules_skip(&r, 1);
    }
    if (st >= 0) st = rmr_tree_finish(&r.t, "root", err);
    rmr_rules_free(&r);
    rmr_free(&g->mem, ranges.p, ranges.cap * sizeof *ranges.p);
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

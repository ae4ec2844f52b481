/* SPDX-License-Identifier: Apache-2.0 */
/* Grammars as Lark has them, without what a tree or a lexer of its own would need: no templates, no
 * %declare, no priorities that change anything. */
#include "lark.h"

#include <stdio.h>
#include <string.h>

#include "ecma.h"
#include "letter_case.h"
#include "rules.h"
#include "schema.h"
#include "utf8.h"

typedef struct lark {
    const rmr_lark_tokens *tokens;
    int terminal;       /* what is defined is one: nothing is ignored inside */
    int ignores;        /* the grammar has %ignore */
    uint32_t n_ignored; /* of them that were read */
} lark;

#define IGNORED " ignored" /* no name that a source can have */
#define WHOLE " whole text"

static int letter(unsigned c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
}

static int name_char(unsigned c)
{
    return letter(c) || (c >= '0' && c <= '9');
}

static size_t name_length(const rule_reader *r)
{
    size_t n = 0;
    if (!letter(peek(r))) return 0;
    while (r->at + n < r->n && name_char(r->s[r->at + n])) n++;
    return n;
}

static int is_terminal(const unsigned char *s, size_t n)
{
    size_t i = 0;
    while (i < n && s[i] == '_') i++;
    return i < n && s[i] >= 'A' && s[i] <= 'Z';
}

/* ---- strings ---- */

/* The string in letters of either case. */
static uint32_t any_case(rule_reader *r)
{
    rmr_rx_set *s = r->g->rx;
    const size_t base = s->scratch.n;
    for (size_t at = 0; at < r->n_text && !rmr_grammar_failed(r->g);) {
        uint32_t cp;
        at += rmr_utf8_step((const unsigned char *)r->text + at, r->n_text - at, &cp);
        rmr_rx_push(s, rmr_case_char(r->g, cp, RMR_SPELL_UTF8));
    }
    return rmr_rules_of_rx(r, rmr_rx_chain(s, base, RMR_RX_EMPTY));
}

static remora_status read_text(rule_reader *r, uint32_t *node)
{
    uint32_t lo, hi;
    RMR_TRY(rmr_rules_string(r, &lo));
    if (begins(r, "i") && (r->at + 1 >= r->n || !name_char(r->s[r->at + 1]))) {
        r->at++;
        *node = any_case(r);
        return REMORA_OK;
    }
    const size_t back = r->at;
    rmr_rules_skip(r, 0);
    if (!begins(r, "..")) {
        r->at = back;
        *node = rmr_tree_text(&r->t, r->text, r->n_text);
        return REMORA_OK;
    }
    r->at += 2;
    rmr_rules_skip(r, 0);
    if (peek(r) != '"') return rmr_rules_wrong(r, "a range whose end is no text");
    RMR_TRY(rmr_rules_string(r, &hi));
    if (lo == UINT32_MAX || hi == UINT32_MAX)
        return rmr_rules_wrong(r, "a range that is not between two single characters");
    if (hi < lo) return rmr_rules_wrong(r, "a range that ends before it begins");
    *node = rmr_rules_of_rx(r, rmr_rx_chars(r->g->rx, &(rmr_cp_range){lo, hi}, 1, RMR_SPELL_UTF8));
    return REMORA_OK;
}

/* ---- regular expressions ---- */

static remora_status read_flags(rule_reader *r, unsigned *flags)
{
    static const char letters[] = "imsxu";
    static const unsigned meant[] = {RMR_ECMA_ANY_CASE, RMR_ECMA_LINES, RMR_ECMA_DOT_ALL,
                                     RMR_ECMA_VERBOSE, 0};
    for (; letter(peek(r)); r->at++) {
        const char *k = strchr(letters, (int)peek(r));
        if (peek(r) == 'l')
            return rmr_rules_fail(r, REMORA_E_UNSUPPORTED,
                                  "an expression with the flag l, by which letters depend on a "
                                  "locale,");
        if (k == NULL)
            return rmr_rules_fail(r, REMORA_E_UNSUPPORTED,
                                  "an expression with a flag that is none of i, m, s, u and x");
        *flags |= meant[k - letters];
    }
    return REMORA_OK;
}

/* Behind the expression that begins here, and the end of the expression itself. Its flag x lets it
 * go on in the next line. */
static remora_status find_end(rule_reader *r, size_t *end, unsigned *flags)
{
    const size_t from = r->at;
    int lines = 0;
    for (; peek(r) != '/' && r->at < r->n; r->at += peek(r) == '\\' ? 2 : 1)
        lines |= peek(r) == '\n';
    *end = r->at++;
    const size_t n = *end < r->n ? name_length(r) : 0;
    if (*end >= r->n || (lines && memchr(r->s + r->at, 'x', n) == NULL)) {
        r->at = from;
        return rmr_rules_wrong(r, "an expression without its closing /");
    }
    return read_flags(r, flags);
}

static remora_status read_regex(rule_reader *r, uint32_t *node)
{
    remora_error why = {.struct_size = sizeof why};
    char text[256];
    rmr_rx a = RMR_RX_NONE;
    const size_t from = ++r->at;
    size_t end;
    unsigned flags = 0;
    RMR_TRY(find_end(r, &end, &flags));
    const remora_status st =
        rmr_ecma(r->g, (const char *)r->s + from, end - from, flags, RMR_SPELL_UTF8, &a, &why);
    if (st < 0) {
        r->at = from;
        (void)snprintf(text, sizeof text, "an expression that is not read (%.180s)", why.message);
        return rmr_rules_fail(r, st, text);
    }
    *node = rmr_rules_of_rx(r, a);
    return REMORA_OK;
}

/* The terminals of Lark's own library. */
static const struct {
    const char *name, *is;
} common[] = {
    {"DIGIT", "[0-9]"},
    {"HEXDIGIT", "[a-fA-F0-9]"},
    {"INT", "[0-9]+"},
    {"SIGNED_INT", "[+\\-]?[0-9]+"},
    {"DECIMAL", "[0-9]+\\.[0-9]*|\\.[0-9]+"},
    {"FLOAT", "[0-9]+[eE][+\\-]?[0-9]+|(?:[0-9]+\\.[0-9]*|\\.[0-9]+)(?:[eE][+\\-]?[0-9]+)?"},
    {"SIGNED_FLOAT",
     "[+\\-]?(?:[0-9]+[eE][+\\-]?[0-9]+|(?:[0-9]+\\.[0-9]*|\\.[0-9]+)(?:[eE][+\\-]?[0-9]+)?)"},
    {"NUMBER", "(?:[0-9]+(?:\\.[0-9]*)?|\\.[0-9]+)(?:[eE][+\\-]?[0-9]+)?"},
    {"SIGNED_NUMBER", "[+\\-]?(?:[0-9]+(?:\\.[0-9]*)?|\\.[0-9]+)(?:[eE][+\\-]?[0-9]+)?"},
    {"ESCAPED_STRING", "\"(?:[^\"\\\\\\n]|\\\\[^\\n])*\""},
    {"LCASE_LETTER", "[a-z]"},
    {"UCASE_LETTER", "[A-Z]"},
    {"LETTER", "[a-zA-Z]"},
    {"WORD", "[a-zA-Z]+"},
    {"CNAME", "[_a-zA-Z][_a-zA-Z0-9]*"},
    {"WS_INLINE", "[ \\t]+"},
    {"WS", "[ \\t\\f\\r\\n]+"},
    {"CR", "\\r"},
    {"LF", "\\n"},
    {"NEWLINE", "(?:\\r?\\n)+"},
    {"SH_COMMENT", "#[^\\n]*"},
    {"CPP_COMMENT", "\\/\\/[^\\n]*"},
    {"C_COMMENT", "\\/\\*(?:[^*]|\\*+[^*\\/])*\\*+\\/"},
    {"SQL_COMMENT", "--[^\\n]*"},
};

/* ---- tokens and schemas ---- */

/* <[1,5-9]>, <[^1]> and <[*]>: tokens by their numbers. */
static remora_status read_numbers(rule_reader *r, uint32_t *node)
{
    enum { MOST = 64 };
    rmr_token_range ranges[MOST] = {{0, 0}};
    size_t n = 0;
    r->at += 2;
    if (begins(r, "*]>")) {
        r->at += 3;
        *node = rmr_rules_of_tokens(r, ranges, 0, 1);
        return REMORA_OK;
    }
    const int not = peek(r) == '^';
    r->at += (size_t) not ;
    do {
        if (n == MOST)
            return rmr_rules_fail(r, REMORA_E_LIMIT, "a set of more than 64 ranges of tokens");
        r->at += n > 0;
        if (!rmr_rules_number(r, &ranges[n].lo))
            return rmr_rules_wrong(r, "a token without a number");
        ranges[n].hi = ranges[n].lo;
        if (peek(r) == '-') {
            r->at++;
            if (!rmr_rules_number(r, &ranges[n].hi) || ranges[n].hi < ranges[n].lo)
                return rmr_rules_wrong(r, "a range of tokens without its end");
        }
        n++;
    } while (peek(r) == ',');
    if (!begins(r, "]>")) return rmr_rules_wrong(r, "a set of tokens without its ]>");
    r->at += 2;
    *node = rmr_rules_of_tokens(r, ranges, n, not );
    return REMORA_OK;
}

static remora_status read_token(rule_reader *r, uint32_t *node)
{
    const lark *l = r->own;
    rmr_token_range one = {0, 0};
    if (l->terminal) return rmr_rules_wrong(r, "a token in a terminal, which is text,");
    if (begins(r, "<[")) return read_numbers(r, node);
    const unsigned char *end = memchr(r->s + r->at, '>', r->n - r->at);
    const size_t n = end == NULL ? 0 : (size_t)(end - (r->s + r->at)) + 1;
    if (n == 0 || memchr(r->s + r->at, '\n', n) != NULL)
        return rmr_rules_wrong(r, "a token without its >");
    if (l->tokens == NULL ||
        !l->tokens->find(l->tokens->user, (const char *)r->s + r->at, n, &one.lo))
        return rmr_rules_wrong(r, "a token that the tokenizer does not have");
    r->at += n;
    one.hi = one.lo;
    *node = rmr_rules_of_tokens(r, &one, 1, 0);
    return REMORA_OK;
}

/* The end of the object of JSON that begins here; 0: it has none. */
static size_t end_of_json(const rule_reader *r)
{
    size_t depth = 0;
    int quoted = 0;
    for (size_t i = r->at; i < r->n; i++) {
        const unsigned c = r->s[i];
        if (quoted && c == '\\') {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && c == '{') {
            depth++;
        } else if (!quoted && c == '}' && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

static remora_status read_schema(rule_reader *r, uint32_t *node)
{
    remora_error why = {.struct_size = sizeof why};
    char text[256];
    rmr_rule rule;
    if (!begins(r, "%json"))
        return rmr_rules_fail(r, REMORA_E_UNSUPPORTED, "an inline part that is not %json");
    if (((const lark *)r->own)->terminal) return rmr_rules_wrong(r, "%json in a terminal");
    r->at += 5;
    rmr_rules_skip(r, 1);
    const size_t end = peek(r) == '{' ? end_of_json(r) : 0;
    if (end == 0) return rmr_rules_wrong(r, "%json without a whole { .. }");
    const remora_status st =
        rmr_schema(r->g, (const char *)r->s + r->at, end - r->at, NULL, &rule, &why);
    if (st < 0) {
        (void)snprintf(text, sizeof text, "%%json that is not taken (%.180s)", why.message);
        return rmr_rules_fail(r, st, text);
    }
    r->at = end;
    *node = rmr_tree_node(&r->t, (tree_node){.kind = TREE_CALL, .a = rule});
    return REMORA_OK;
}

/* ---- structure ---- */

/* 1: arguments come next, in braces, and no count. */
static int at_template(const rule_reader *r)
{
    rule_reader x = *r;
    if (peek(&x) != '{') return 0;
    x.at++;
    rmr_rules_skip(&x, 0);
    return peek(&x) != ',' && !(peek(&x) >= '0' && peek(&x) <= '9');
}

static remora_status read_name(rule_reader *r, uint32_t *node, int *terminal)
{
    const size_t n = name_length(r);
    *terminal = is_terminal(r->s + r->at, n);
    if (((const lark *)r->own)->terminal && !*terminal)
        return rmr_rules_wrong(r, "a rule in a terminal, which is made of terminals,");
    *node = rmr_rules_of_name(r, (const char *)r->s + r->at, n);
    r->at += n;
    if (at_template(r))
        return rmr_rules_fail(r, REMORA_E_UNSUPPORTED,
                              "a template, or a repetition without a number,");
    return REMORA_OK;
}

/* What is ignored may stand behind each terminal of a rule. */
static void push_part(rule_reader *r, uint32_t node, int terminal)
{
    const lark *l = r->own;
    rmr_tree_push(&r->t, node);
    if (!terminal || !l->ignores || l->terminal) return;
    rmr_tree_push(&r->t, rmr_rules_of_name(r, IGNORED, strlen(IGNORED)));
    if (rmr_grammar_failed(r->g)) return;
    rmr_tree_push(&r->t, rmr_tree_join(&r->t, TREE_SEQ, r->t.n_stack - 2));
}

static remora_status skip_alias(rule_reader *r)
{
    r->at += 2;
    rmr_rules_skip(r, 0);
    const size_t n = name_length(r);
    if (n == 0) return rmr_rules_wrong(r, "an alias without a name");
    r->at += n;
    return REMORA_OK;
}

static remora_status read_part(rule_reader *r)
{
    const unsigned c = peek(r);
    uint32_t node = 0;
    int terminal = 1;
    if (begins(r, "->")) return skip_alias(r);
    if (c == '"') {
        RMR_TRY(read_text(r, &node));
    } else if (c == '/') {
        RMR_TRY(read_regex(r, &node));
    } else if (c == '<') {
        RMR_TRY(read_token(r, &node));
    } else if (c == '%') {
        RMR_TRY(read_schema(r, &node));
    } else if (name_length(r) > 0) {
        RMR_TRY(read_name(r, &node, &terminal));
    } else {
        return rmr_rules_wrong(r, "something that is no part of a rule");
    }
    push_part(r, node, terminal);
    return rmr_rules_quantify(r);
}

static const rule_dialect dialect = {
    .escapes = "nrtfv\\\"'/",
    .codes = "\n\r\t\f\v\\\"'/",
    .blanks = " \t\r",
    .ends = "\n",
    .comment = "//",
    .repeats = "*+?~{",
    .brackets = 1,
    .part = read_part,
};

/* ---- statements ---- */

static remora_status read_rule(rule_reader *r)
{
    while (peek(r) == '?' || peek(r) == '!') r->at++;
    const size_t n = name_length(r);
    const char *name = (const char *)r->s + r->at;
    uint32_t rule;
    if (n == 0) return rmr_rules_wrong(r, "a line that begins no rule");
    (void)snprintf(r->name, sizeof r->name, "%.*s", n < 40 ? (int)n : 40, name);
    ((lark *)r->own)->terminal = is_terminal(r->s + r->at, n);
    r->at += n;
    if (peek(r) == '{') return rmr_rules_fail(r, REMORA_E_UNSUPPORTED, "a template");
    if (peek(r) == '[') return rmr_rules_fail(r, REMORA_E_UNSUPPORTED, "a rule with attributes");
    if (peek(r) == '.') { /* a priority, which decides between readings and not what is one */
        r->at++;
        r->at += peek(r) == '-';
        uint32_t priority;
        if (!rmr_rules_number(r, &priority))
            return rmr_rules_wrong(r, "a priority that is no number");
    }
    rmr_rules_skip(r, 0);
    if (peek(r) != ':') return rmr_rules_wrong(r, "a name without its colon");
    r->at++;
    rmr_rules_skip(r, 1);
    RMR_TRY(rmr_rules_new(r, name, n, &rule));
    return rmr_rules_body(r, rule);
}

static remora_status import(rule_reader *r, const char *from, size_t n, const char *as, size_t n_as)
{
    rmr_rx a;
    uint32_t rule;
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
        if (strlen(common[i].name) != n || memcmp(common[i].name, from, n) != 0) continue;
        RMR_TRY(rmr_ecma(r->g, common[i].is, strlen(common[i].is), 0, RMR_SPELL_UTF8, &a, r->err));
        RMR_TRY(rmr_rules_new(r, as, n_as, &rule));
        const size_t first = r->t.n_nodes;
        return rmr_rules_define(r, rule, first, rmr_rules_of_rx(r, a));
    }
    return rmr_rules_fail(r, REMORA_E_UNSUPPORTED,
                          "an import of a name that is not one of `common` here");
}

/* %import common.NAME [-> OTHER], or common (NAME, ..). */
static remora_status read_import(rule_reader *r)
{
    rmr_rules_skip(r, 0);
    if (!begins(r, "common"))
        return rmr_rules_fail(r, REMORA_E_UNSUPPORTED, "an import that is not of common");
    r->at += 6;
    rmr_rules_skip(r, 0);
    const int list = peek(r) == '(';
    if (!list && peek(r) != '.') return rmr_rules_wrong(r, "an import without a name");
    do {
        r->at++;
        rmr_rules_skip(r, list);
        const char *name = (const char *)r->s + r->at;
        const size_t n = name_length(r);
        const char *as = name;
        size_t n_as = n;
        r->at += n;
        rmr_rules_skip(r, list);
        if (!list && begins(r, "->")) {
            r->at += 2;
            rmr_rules_skip(r, 0);
            as = (const char *)r->s + r->at;
            n_as = name_length(r);
            r->at += n_as;
        }
        if (n == 0 || n_as == 0) return rmr_rules_wrong(r, "an import without a name");
        RMR_TRY(import(r, name, n, as, n_as));
        rmr_rules_skip(r, list);
    } while (list && peek(r) == ',');
    if (list && peek(r) != ')') return rmr_rules_wrong(r, "a list of imports without its )");
    r->at += (size_t)list;
    return REMORA_OK;
}

static remora_status read_ignore(rule_reader *r)
{
    lark *l = r->own;
    uint32_t rule;
    char name[32];
    const int n = snprintf(name, sizeof name, "%s %u", IGNORED, l->n_ignored++);
    l->terminal = 1;
    rmr_rules_skip(r, 0);
    RMR_TRY(rmr_rules_new(r, name, (size_t)n, &rule));
    return rmr_rules_body(r, rule);
}

static remora_status read_statement(rule_reader *r)
{
    r->name[0] = 0;
    if (peek(r) != '%') return read_rule(r);
    r->at++;
    const size_t n = name_length(r);
    const char *word = (const char *)r->s + r->at;
    char what[64];
    (void)snprintf(what, sizeof what, "%%%.*s", n < 40 ? (int)n : 40, word);
    r->at += n;
    if (strcmp(what, "%import") == 0) return read_import(r);
    if (strcmp(what, "%ignore") == 0) return read_ignore(r);
    return rmr_rules_fail(r, REMORA_E_UNSUPPORTED, what);
}

/* What is ignored, as often as one likes, and the text with that in front. */
static remora_status write_ignored(rule_reader *r)
{
    uint32_t rule;
    char name[32];
    RMR_TRY(rmr_rules_new(r, IGNORED, strlen(IGNORED), &rule));
    size_t first = r->t.n_nodes;
    const size_t base = r->t.n_stack;
    for (uint32_t i = 0; i < ((const lark *)r->own)->n_ignored; i++) {
        const int n = snprintf(name, sizeof name, "%s %u", IGNORED, i);
        rmr_tree_push(&r->t, rmr_rules_of_name(r, name, (size_t)n));
    }
    const uint32_t all = rmr_tree_join(&r->t, TREE_ALT, base);
    RMR_TRY(rmr_rules_define(r, rule, first, rmr_tree_repeat(&r->t, all, 0, RMR_RX_MANY)));
    RMR_TRY(rmr_rules_new(r, WHOLE, strlen(WHOLE), &rule));
    first = r->t.n_nodes;
    rmr_tree_push(&r->t, rmr_rules_of_name(r, IGNORED, strlen(IGNORED)));
    rmr_tree_push(&r->t, rmr_rules_of_name(r, "start", 5));
    return rmr_rules_define(r, rule, first, rmr_tree_join(&r->t, TREE_SEQ, base));
}

static int has_ignore(rule_reader r)
{
    while (r.at < r.n && !begins(&r, "%ignore")) r.at++;
    return r.at < r.n;
}

static remora_status read_all(rule_reader *r)
{
    lark *l = r->own;
    l->ignores = has_ignore(*r);
    rmr_rules_skip(r, 1);
    while (r->at < r->n) {
        RMR_TRY(read_statement(r));
        rmr_rules_skip(r, 1);
    }
    r->name[0] = 0;
    if (l->ignores) RMR_TRY(write_ignored(r));
    return rmr_tree_finish(&r->t, l->ignores ? WHOLE : "start", r->err);
}

remora_status rmr_lark(rmr_grammar *g, const char *src, size_t n, const rmr_lark_tokens *tokens,
                       remora_error *err)
{
    rule_reader r;
    lark l = {.tokens = tokens};
    remora_status st = rmr_rules_begin(&r, g, &dialect, src, n, err);
    r.own = &l;
    if (st >= 0) st = read_all(&r);
    rmr_rules_free(&r);
    return st;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Grammars as Lark has them, without what a tree or a lexer of its own would need: no templates, no
 * %declare, no priorities that change anything. */
#include "lark.h"

#include <stdio.h>
#include <string.h>

#include "ecma.h"
#include "schema.h"
#include "tree.h"
#include "utf8.h"

typedef struct frame {
    size_t parts, alts; /* where the open sequence and the alternatives before it begin */
    uint8_t square;     /* opened by [: it may be left out */
} frame;

typedef struct reader {
    rmr_tree t;
    rmr_grammar *g;
    const rmr_lark_tokens *tokens;
    const unsigned char *s;
    size_t n, at;
    frame *frames;
    size_t n_frames, cap_frames;
    uint32_t *alts; /* alternatives that are whole, group by group */
    size_t n_alts, cap_alts;
    char *text; /* of a string or an expression */
    size_t n_text, cap_text;
    char rule[48];      /* what is defined, for messages */
    int terminal;       /* ... is one: nothing is ignored inside */
    int ignores;        /* the grammar has %ignore */
    uint32_t n_ignored; /* of them that were read */
    remora_error *err;
} reader;

#define IGNORED " ignored" /* no name that a source can have */
#define WHOLE " whole text"

static remora_status fail(reader *r, remora_status st, const char *what)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < r->at && i < r->n; i++) {
        column = r->s[i] == '\n' ? 1 : column + 1;
        line += r->s[i] == '\n';
    }
    return rmr_error_set(r->err, st, 0, "the grammar has %s in line %zu, column %zu%s%s", what,
                         line, column, r->rule[0] != 0 ? ", of " : "", r->rule);
}

static remora_status wrong(reader *r, const char *what)
{
    return fail(r, REMORA_E_ARG, what);
}

static unsigned peek(const reader *r)
{
    return r->at < r->n ? r->s[r->at] : 0;
}

static int begins(const reader *r, const char *text)
{
    const size_t n = strlen(text);
    return r->n - r->at >= n && memcmp(r->s + r->at, text, n) == 0;
}

/* White space and comments; `lines`: ends of lines too. */
static void skip(reader *r, int lines)
{
    for (; r->at < r->n; r->at++) {
        const unsigned c = r->s[r->at];
        if (c == '#' || begins(r, "//")) {
            while (r->at < r->n && r->s[r->at] != '\n') r->at++;
            if (r->at == r->n || !lines) return;
        } else if (c != ' ' && c != '\t' && c != '\r' && (!lines || c != '\n')) {
            return;
        }
    }
}

static int letter(unsigned c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
}

static int name_char(unsigned c)
{
    return letter(c) || (c >= '0' && c <= '9');
}

static size_t name_length(const reader *r)
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

static int read_number(reader *r, uint32_t *v)
{
    const size_t start = r->at;
    uint64_t x = 0;
    for (; peek(r) >= '0' && peek(r) <= '9'; r->at++)
        if (x < RMR_RX_MANY) x = x * 10 + (peek(r) - '0');
    *v = x >= RMR_RX_MANY ? RMR_RX_MANY - 1 : (uint32_t)x;
    return r->at > start;
}

static int add_text(reader *r, const void *p, size_t n)
{
    if (!rmr_grammar_room(r->g, &r->text, &r->cap_text, r->n_text + n, 1)) return 0;
    memcpy(r->text + r->n_text, p, n);
    r->n_text += n;
    return 1;
}

static uint32_t of_rx(reader *r, rmr_rx a)
{
    return rmr_tree_node(&r->t, (tree_node){.kind = TREE_RX, .a = a});
}

static uint32_t of_rule(reader *r, const char *name, size_t n)
{
    const uint32_t rule = rmr_tree_rule(&r->t, name, n);
    return rmr_tree_node(&r->t, (tree_node){.kind = TREE_RULE, .a = rule});
}

/* ---- strings ---- */

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
    static const char names[] = "nrtfv\\\"'/", codes[] = "\n\r\t\f\v\\\"'/";
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

/* A string into `text`; *one: its only character, or UINT32_MAX. */
static remora_status read_string(reader *r, uint32_t *one)
{
    uint32_t count = 0;
    r->n_text = 0;
    *one = UINT32_MAX;
    r->at++;
    while (peek(r) != '"') {
        uint32_t cp = 0;
        unsigned char utf8[4];
        if (r->at >= r->n || peek(r) == '\n') return wrong(r, "a text without its closing quote");
        RMR_TRY(read_char(r, &cp));
        if (!add_text(r, utf8, rmr_utf8_put(cp, utf8))) return rmr_grammar_status(r->g, r->err);
        *one = count++ == 0 ? cp : UINT32_MAX;
    }
    r->at++;
    return REMORA_OK;
}

/* The string in letters of either case. */
static remora_status any_case(reader *r, uint32_t *node)
{
    rmr_rx a = RMR_RX_EMPTY;
    for (size_t i = r->n_text; i-- > 0;) {
        const unsigned char c = (unsigned char)r->text[i];
        rmr_byte_set set = {{0}};
        if (c >= 0x80) return fail(r, REMORA_E_UNSUPPORTED, "a text outside ASCII with the flag i");
        set.bits[c / 64] |= UINT64_C(1) << c % 64;
        if (c != '_' && letter(c)) set.bits[(c ^ 0x20) / 64] |= UINT64_C(1) << (c ^ 0x20) % 64;
        a = rmr_rx_concat(r->g->rx, rmr_rx_bytes(r->g->rx, &set), a);
    }
    *node = of_rx(r, a);
    return REMORA_OK;
}

static remora_status read_text(reader *r, uint32_t *node)
{
    uint32_t lo, hi;
    RMR_TRY(read_string(r, &lo));
    if (begins(r, "i") && (r->at + 1 >= r->n || !name_char(r->s[r->at + 1]))) {
        r->at++;
        return any_case(r, node);
    }
    const size_t back = r->at;
    skip(r, 0);
    if (!begins(r, "..")) {
        r->at = back;
        *node = rmr_tree_text(&r->t, r->text, r->n_text);
        return REMORA_OK;
    }
    r->at += 2;
    skip(r, 0);
    if (peek(r) != '"') return wrong(r, "a range whose end is no text");
    RMR_TRY(read_string(r, &hi));
    if (lo == UINT32_MAX || hi == UINT32_MAX)
        return wrong(r, "a range that is not between two single characters");
    if (hi < lo) return wrong(r, "a range that ends before it begins");
    *node = of_rx(r, rmr_rx_chars(r->g->rx, &(rmr_cp_range){lo, hi}, 1, RMR_SPELL_UTF8));
    return REMORA_OK;
}

/* ---- regular expressions ---- */

/* The expression of /../ into `text`, \/ as /, and what its flags change written out. */
static remora_status copy_regex(reader *r, size_t end, int dot_all)
{
    int class = 0;
    r->n_text = 0;
    for (; r->at < end; r->at++) {
        const char c = (char)r->s[r->at];
        if (c == '\\' && r->at + 1 < end) {
            r->at++;
            const char two[] = {c, (char)r->s[r->at]};
            if (!add_text(r, two + (two[1] == '/'), 2 - (two[1] == '/'))) break;
            continue;
        }
        if (c == '[') class = 1;
        if (c == ']') class = 0;
        if (c == '.' && dot_all && !class ? !add_text(r, "[\\s\\S]", 6) : !add_text(r, &c, 1))
            break;
    }
    return rmr_grammar_status(r->g, r->err);
}

static remora_status read_regex(reader *r, uint32_t *node)
{
    remora_error why = {.struct_size = sizeof why};
    char text[256];
    rmr_rx a = RMR_RX_NONE;
    const size_t from = ++r->at;
    size_t end = from;
    int dot_all = 0;
    while (end < r->n && r->s[end] != '/' && r->s[end] != '\n') end += r->s[end] == '\\' ? 2 : 1;
    if (end >= r->n || r->s[end] != '/') return wrong(r, "an expression without its closing /");
    for (r->at = end + 1; letter(peek(r)); r->at++) {
        if (peek(r) == 's')
            dot_all = 1;
        else if (peek(r) != 'u')
            return fail(r, REMORA_E_UNSUPPORTED,
                        "an expression with a flag that is neither s nor u");
    }
    const size_t behind = r->at;
    r->at = from;
    RMR_TRY(copy_regex(r, end, dot_all));
    r->at = from;
    const remora_status st =
        rmr_ecma(r->g, r->text != NULL ? r->text : "", r->n_text, 0, RMR_SPELL_UTF8, &a, &why);
    if (st < 0) {
        (void)snprintf(text, sizeof text, "an expression that is not read (%.180s)", why.message);
        return fail(r, st, text);
    }
    r->at = behind;
    *node = of_rx(r, a);
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

static remora_status add_tokens(reader *r, const rmr_token_range *ranges, size_t n, int not,
                                uint32_t *node)
{
    const uint32_t set = rmr_grammar_tokens(r->g, ranges, n, not );
    *node = rmr_tree_node(&r->t, (tree_node){.kind = TREE_TOKENS, .a = set});
    return REMORA_OK;
}

/* <[1,5-9]>, <[^1]> and <[*]>: tokens by their numbers. */
static remora_status read_numbers(reader *r, uint32_t *node)
{
    enum { MOST = 64 };
    rmr_token_range ranges[MOST] = {{0, 0}};
    size_t n = 0;
    r->at += 2;
    if (begins(r, "*]>")) {
        r->at += 3;
        return add_tokens(r, ranges, 0, 1, node);
    }
    const int not = peek(r) == '^';
    r->at += (size_t) not ;
    do {
        if (n == MOST) return fail(r, REMORA_E_LIMIT, "a set of more than 64 ranges of tokens");
        r->at += n > 0;
        if (!read_number(r, &ranges[n].lo)) return wrong(r, "a token without a number");
        ranges[n].hi = ranges[n].lo;
        if (peek(r) == '-') {
            r->at++;
            if (!read_number(r, &ranges[n].hi) || ranges[n].hi < ranges[n].lo)
                return wrong(r, "a range of tokens without its end");
        }
        n++;
    } while (peek(r) == ',');
    if (!begins(r, "]>")) return wrong(r, "a set of tokens without its ]>");
    r->at += 2;
    return add_tokens(r, ranges, n, not, node);
}

static remora_status read_token(reader *r, uint32_t *node)
{
    rmr_token_range one = {0, 0};
    if (r->terminal) return wrong(r, "a token in a terminal, which is text,");
    if (begins(r, "<[")) return read_numbers(r, node);
    const unsigned char *end = memchr(r->s + r->at, '>', r->n - r->at);
    const size_t n = end == NULL ? 0 : (size_t)(end - (r->s + r->at)) + 1;
    if (n == 0 || memchr(r->s + r->at, '\n', n) != NULL) return wrong(r, "a token without its >");
    if (r->tokens == NULL ||
        !r->tokens->find(r->tokens->user, (const char *)r->s + r->at, n, &one.lo))
        return wrong(r, "a token that the tokenizer does not have");
    r->at += n;
    one.hi = one.lo;
    return add_tokens(r, &one, 1, 0, node);
}

/* The end of the object of JSON that begins here; 0: it has none. */
static size_t end_of_json(const reader *r)
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

static remora_status read_schema(reader *r, uint32_t *node)
{
    remora_error why = {.struct_size = sizeof why};
    char text[256];
    rmr_rule rule;
    if (!begins(r, "%json"))
        return fail(r, REMORA_E_UNSUPPORTED, "an inline part that is not %json");
    if (r->terminal) return wrong(r, "%json in a terminal");
    r->at += 5;
    skip(r, 1);
    const size_t end = peek(r) == '{' ? end_of_json(r) : 0;
    if (end == 0) return wrong(r, "%json without a whole { .. }");
    const remora_status st =
        rmr_schema(r->g, (const char *)r->s + r->at, end - r->at, NULL, &rule, &why);
    if (st < 0) {
        (void)snprintf(text, sizeof text, "%%json that is not taken (%.180s)", why.message);
        return fail(r, st, text);
    }
    r->at = end;
    *node = rmr_tree_node(&r->t, (tree_node){.kind = TREE_CALL, .a = rule});
    return REMORA_OK;
}

/* ---- structure ---- */

static remora_status open_frame(reader *r, int square)
{
    if (r->n_frames > r->g->lim.nesting)
        return fail(r, REMORA_E_LIMIT, "groups nested deeper than the limit \"nesting\" allows");
    if (rmr_grammar_room(r->g, &r->frames, &r->cap_frames, r->n_frames + 1, sizeof *r->frames))
        r->frames[r->n_frames++] = (frame){r->t.n_stack, r->n_alts, (uint8_t)square};
    return rmr_grammar_status(r->g, r->err);
}

static void end_alternative(reader *r)
{
    const uint32_t seq = rmr_tree_join(&r->t, TREE_SEQ, r->frames[r->n_frames - 1].parts);
    if (rmr_grammar_room(r->g, &r->alts, &r->cap_alts, r->n_alts + 1, sizeof *r->alts))
        r->alts[r->n_alts++] = seq;
}

static uint32_t end_frame(reader *r)
{
    end_alternative(r);
    const frame f = r->frames[--r->n_frames];
    const size_t base = r->t.n_stack;
    for (size_t i = f.alts; i < r->n_alts && rmr_tree_push(&r->t, r->alts[i]);) i++;
    r->n_alts = f.alts;
    const uint32_t all = rmr_tree_join(&r->t, TREE_ALT, base);
    return f.square ? rmr_tree_repeat(&r->t, all, 0, 1) : all;
}

/* ~ n, ~ n..m, {n}, {n,m}, {n,} and {,m}. */
static remora_status read_counts(reader *r, uint32_t *min, uint32_t *max)
{
    const int braces = peek(r) == '{';
    const char *between = braces ? "," : "..";
    r->at++;
    skip(r, 0);
    if (!read_number(r, min)) {
        if (!braces || peek(r) != ',')
            return fail(r, REMORA_E_UNSUPPORTED, "a template, or a repetition without a number,");
        *min = 0;
    }
    *max = *min;
    const size_t back = r->at;
    skip(r, 0);
    if (begins(r, between)) {
        r->at += strlen(between);
        skip(r, 0);
        if (!read_number(r, max)) {
            if (!braces) return wrong(r, "a repetition without its most");
            *max = RMR_RX_MANY;
        }
        if (braces) skip(r, 0);
    } else if (!braces) {
        r->at = back;
    }
    if (braces && peek(r) != '}') return wrong(r, "a repetition without its }");
    r->at += (size_t)braces;
    if (*max < *min) return wrong(r, "a repetition whose most is below its least");
    return REMORA_OK;
}

/* What repeats the part on top of the stack. */
static remora_status quantify(reader *r)
{
    for (;;) {
        uint32_t min = 0, max = RMR_RX_MANY;
        const size_t back = r->at;
        skip(r, 0);
        const unsigned c = peek(r);
        if (c != '*' && c != '+' && c != '?' && c != '~' && c != '{') {
            r->at = back;
            return REMORA_OK;
        }
        if (c == '~' || c == '{') {
            RMR_TRY(read_counts(r, &min, &max));
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

static remora_status read_name(reader *r, uint32_t *node, int *terminal)
{
    const size_t n = name_length(r);
    *terminal = is_terminal(r->s + r->at, n);
    if (r->terminal && !*terminal)
        return wrong(r, "a rule in a terminal, which is made of terminals,");
    *node = of_rule(r, (const char *)r->s + r->at, n);
    r->at += n;
    return REMORA_OK;
}

/* What is ignored may stand behind each terminal of a rule. */
static void push_part(reader *r, uint32_t node, int terminal)
{
    rmr_tree_push(&r->t, node);
    if (!terminal || !r->ignores || r->terminal) return;
    rmr_tree_push(&r->t, of_rule(r, IGNORED, strlen(IGNORED)));
    if (rmr_grammar_failed(r->g)) return;
    rmr_tree_push(&r->t, rmr_tree_join(&r->t, TREE_SEQ, r->t.n_stack - 2));
}

static remora_status read_part(reader *r)
{
    const unsigned c = peek(r);
    uint32_t node = 0;
    int terminal = 1;
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
        return wrong(r, "something that is no part of a rule");
    }
    push_part(r, node, terminal);
    return quantify(r);
}

static remora_status close_group(reader *r, int square)
{
    if (r->n_frames == 1 || r->frames[r->n_frames - 1].square != square)
        return wrong(r, square ? "a ] without its [" : "a ) without its (");
    r->at++;
    rmr_tree_push(&r->t, end_frame(r));
    if (rmr_grammar_failed(r->g)) return rmr_grammar_status(r->g, r->err);
    return quantify(r);
}

/* Up to the end of the line outside of groups, unless the next one begins with |. */
static remora_status read_body(reader *r)
{
    RMR_TRY(open_frame(r, 0));
    for (;;) {
        skip(r, r->n_frames > 1);
        const unsigned c = peek(r);
        if (!rmr_grammar_fuel(r->g, 1)) return rmr_grammar_status(r->g, r->err);
        if (r->at >= r->n || c == '\n') {
            if (r->n_frames > 1) return wrong(r, "a group that is not closed");
            skip(r, 1);
            if (peek(r) != '|') return REMORA_OK;
        } else if (c == '(' || c == '[') {
            r->at++;
            RMR_TRY(open_frame(r, c == '['));
        } else if (c == ')' || c == ']') {
            RMR_TRY(close_group(r, c == ']'));
        } else if (c == '|') {
            r->at++;
            end_alternative(r);
            skip(r, 1);
        } else if (begins(r, "->")) {
            r->at += 2;
            skip(r, 0);
            const size_t n = name_length(r);
            if (n == 0) return wrong(r, "an alias without a name");
            r->at += n;
        } else {
            RMR_TRY(read_part(r));
        }
    }
}

/* Its nodes are those from `first` on, of which the root is the last. */
static remora_status define(reader *r, uint32_t rule, size_t first, uint32_t root)
{
    if (rmr_grammar_failed(r->g)) return rmr_grammar_status(r->g, r->err);
    if (root + 1 != r->t.n_nodes) rmr_tree_repeat(&r->t, root, 1, 1);
    r->t.rules[rule].defined = 1;
    r->t.rules[rule].first = (uint32_t)first;
    r->t.rules[rule].end = (uint32_t)r->t.n_nodes;
    return rmr_grammar_status(r->g, r->err);
}

static remora_status new_rule(reader *r, const char *name, size_t n, uint32_t *rule)
{
    *rule = rmr_tree_rule(&r->t, name, n);
    if (rmr_grammar_failed(r->g)) return rmr_grammar_status(r->g, r->err);
    if (r->t.rules[*rule].defined) return wrong(r, "a name that was defined before");
    return REMORA_OK;
}

static remora_status read_definition(reader *r, const char *name, size_t n)
{
    uint32_t rule;
    RMR_TRY(new_rule(r, name, n, &rule));
    const size_t first = r->t.n_nodes;
    RMR_TRY(read_body(r));
    return define(r, rule, first, end_frame(r));
}

/* ---- statements ---- */

static remora_status read_rule(reader *r)
{
    while (peek(r) == '?' || peek(r) == '!') r->at++;
    const size_t n = name_length(r);
    const char *name = (const char *)r->s + r->at;
    if (n == 0) return wrong(r, "a line that begins no rule");
    (void)snprintf(r->rule, sizeof r->rule, "%.*s", n < 40 ? (int)n : 40, name);
    r->terminal = is_terminal(r->s + r->at, n);
    r->at += n;
    if (peek(r) == '{') return fail(r, REMORA_E_UNSUPPORTED, "a template");
    if (peek(r) == '[') return fail(r, REMORA_E_UNSUPPORTED, "a rule with attributes");
    if (peek(r) == '.') { /* a priority, which decides between readings and not what is one */
        r->at++;
        r->at += peek(r) == '-';
        uint32_t priority;
        if (!read_number(r, &priority)) return wrong(r, "a priority that is no number");
    }
    skip(r, 0);
    if (peek(r) != ':') return wrong(r, "a name without its colon");
    r->at++;
    skip(r, 1);
    return read_definition(r, name, n);
}

static remora_status import(reader *r, const char *from, size_t n, const char *as, size_t n_as)
{
    rmr_rx a;
    uint32_t rule;
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++) {
        if (strlen(common[i].name) != n || memcmp(common[i].name, from, n) != 0) continue;
        RMR_TRY(rmr_ecma(r->g, common[i].is, strlen(common[i].is), 0, RMR_SPELL_UTF8, &a, r->err));
        RMR_TRY(new_rule(r, as, n_as, &rule));
        const size_t first = r->t.n_nodes;
        return define(r, rule, first, of_rx(r, a));
    }
    return fail(r, REMORA_E_UNSUPPORTED, "an import of a name that is not one of `common` here");
}

/* %import common.NAME [-> OTHER], or common (NAME, ..). */
static remora_status read_import(reader *r)
{
    skip(r, 0);
    if (!begins(r, "common"))
        return fail(r, REMORA_E_UNSUPPORTED, "an import that is not of common");
    r->at += 6;
    skip(r, 0);
    const int list = peek(r) == '(';
    if (!list && peek(r) != '.') return wrong(r, "an import without a name");
    do {
        r->at++;
        skip(r, list);
        const char *name = (const char *)r->s + r->at;
        const size_t n = name_length(r);
        const char *as = name;
        size_t n_as = n;
        r->at += n;
        skip(r, list);
        if (!list && begins(r, "->")) {
            r->at += 2;
            skip(r, 0);
            as = (const char *)r->s + r->at;
            n_as = name_length(r);
            r->at += n_as;
        }
        if (n == 0 || n_as == 0) return wrong(r, "an import without a name");
        RMR_TRY(import(r, name, n, as, n_as));
        skip(r, list);
    } while (list && peek(r) == ',');
    if (list && peek(r) != ')') return wrong(r, "a list of imports without its )");
    r->at += (size_t)list;
    return REMORA_OK;
}

static remora_status read_ignore(reader *r)
{
    char name[32];
    const int n = snprintf(name, sizeof name, "%s %u", IGNORED, r->n_ignored++);
    r->terminal = 1;
    skip(r, 0);
    return read_definition(r, name, (size_t)n);
}

static remora_status read_statement(reader *r)
{
    r->rule[0] = 0;
    if (peek(r) != '%') return read_rule(r);
    r->at++;
    const size_t n = name_length(r);
    const char *word = (const char *)r->s + r->at;
    char what[64];
    (void)snprintf(what, sizeof what, "%%%.*s", n < 40 ? (int)n : 40, word);
    r->at += n;
    if (strcmp(what, "%import") == 0) return read_import(r);
    if (strcmp(what, "%ignore") == 0) return read_ignore(r);
    return fail(r, REMORA_E_UNSUPPORTED, what);
}

/* What is ignored, as often as one likes, and the text with that in front. */
static remora_status write_ignored(reader *r)
{
    uint32_t rule;
    char name[32];
    RMR_TRY(new_rule(r, IGNORED, strlen(IGNORED), &rule));
    size_t first = r->t.n_nodes;
    const size_t base = r->t.n_stack;
    for (uint32_t i = 0; i < r->n_ignored; i++) {
        const int n = snprintf(name, sizeof name, "%s %u", IGNORED, i);
        rmr_tree_push(&r->t, of_rule(r, name, (size_t)n));
    }
    const uint32_t all = rmr_tree_join(&r->t, TREE_ALT, base);
    RMR_TRY(define(r, rule, first, rmr_tree_repeat(&r->t, all, 0, RMR_RX_MANY)));
    RMR_TRY(new_rule(r, WHOLE, strlen(WHOLE), &rule));
    first = r->t.n_nodes;
    rmr_tree_push(&r->t, of_rule(r, IGNORED, strlen(IGNORED)));
    rmr_tree_push(&r->t, of_rule(r, "start", 5));
    return define(r, rule, first, rmr_tree_join(&r->t, TREE_SEQ, base));
}

static int has_ignore(const reader *r)
{
    reader x = *r;
    for (; x.at < x.n; x.at++)
        if (x.s[x.at] == '%' && begins(&x, "%ignore")) return 1;
    return 0;
}

static remora_status read_all(reader *r)
{
    if (r->n > UINT32_MAX / 2) return fail(r, REMORA_E_LIMIT, "more than 2^31 bytes");
    r->ignores = has_ignore(r);
    skip(r, 1);
    while (r->at < r->n) {
        RMR_TRY(read_statement(r));
        skip(r, 1);
    }
    r->rule[0] = 0;
    if (r->ignores) RMR_TRY(write_ignored(r));
    return rmr_tree_finish(&r->t, r->ignores ? WHOLE : "start", r->err);
}

remora_status rmr_lark(rmr_grammar *g, const char *src, size_t n, const rmr_lark_tokens *tokens,
                       remora_error *err)
{
    reader r = {.t = {.g = g},
                .g = g,
                .tokens = tokens,
                .s = (const unsigned char *)src,
                .n = n,
                .err = err};
    const remora_status st = read_all(&r);
    rmr_tree_free(&r.t);
    rmr_mem *m = &g->mem;
    rmr_free(m, r.frames, r.cap_frames * sizeof *r.frames);
    rmr_free(m, r.alts, r.cap_alts * sizeof *r.alts);
    rmr_free(m, r.text, r.cap_text);
    return st;
}

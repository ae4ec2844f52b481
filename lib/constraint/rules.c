/* SPDX-License-Identifier: Apache-2.0 */
#include "rules.h"

#include <stdio.h>

#include "digits.h"
#include "utf8.h"

remora_status rmr_rules_begin(rule_reader *r, rmr_grammar *g, const rule_dialect *d,
                              const char *src, size_t n, remora_error *err)
{
    *r = (rule_reader){
        .t = {.g = g}, .g = g, .dialect = d, .s = (const unsigned char *)src, .n = n, .err = err};
    if (n > UINT32_MAX / 2) RMR_FAIL(err, REMORA_E_LIMIT, "the grammar has more than 2^31 bytes");
    return REMORA_OK;
}

void rmr_rules_free(rule_reader *r)
{
    rmr_mem *m = &r->g->mem;
    rmr_tree_free(&r->t);
    rmr_free(m, r->frames, r->cap_frames * sizeof *r->frames);
    rmr_free(m, r->alts, r->cap_alts * sizeof *r->alts);
    rmr_free(m, r->text, r->cap_text);
}

remora_status rmr_rules_fail(const rule_reader *r, remora_status st, const char *what)
{
    size_t line = 1, column = 1;
    for (size_t i = 0; i < r->at && i < r->n; i++) {
        column = r->s[i] == '\n' ? 1 : column + 1;
        line += r->s[i] == '\n';
    }
    return rmr_error_set(r->err, st, 0, "the grammar has %s in line %zu, column %zu%s%s", what,
                         line, column, r->name[0] != 0 ? ", of " : "", r->name);
}

remora_status rmr_rules_wrong(const rule_reader *r, const char *what)
{
    return rmr_rules_fail(r, REMORA_E_ARG, what);
}

/* -- Characters -- */

static int is_of(unsigned c, const char *set)
{
    return c != 0 && strchr(set, (int)c) != NULL;
}

void rmr_rules_skip(rule_reader *r, int lines)
{
    const rule_dialect *d = r->dialect;
    for (; r->at < r->n; r->at++) {
        if (peek(r) == '#' || (d->comment[0] != 0 && begins(r, d->comment))) {
            while (r->at < r->n && !is_of(peek(r), d->ends)) r->at++;
            if (r->at == r->n || !lines) return;
        } else if (!is_of(peek(r), d->blanks) && !(lines && is_of(peek(r), d->ends))) {
            return;
        }
    }
}

int rmr_rules_number(rule_reader *r, uint32_t *v)
{
    const size_t n = rmr_digits_read(r->s + r->at, r->n - r->at, RMR_RX_MANY - 1, v);
    r->at += n;
    return n > 0;
}

static remora_status read_hex(rule_reader *r, unsigned digits, uint32_t *cp)
{
    *cp = 0;
    for (unsigned i = 0; i < digits; i++, r->at++) {
        const int d = r->at < r->n ? rmr_hex_digit(r->s[r->at]) : -1;
        if (d < 0) return rmr_rules_wrong(r, "an escape whose hexadecimal digits are missing");
        *cp = *cp << 4 | (uint32_t)d;
    }
    if (*cp > 0x10FFFF || (*cp >= 0xD800 && *cp < 0xE000))
        return rmr_rules_wrong(r, "an escape that is no character");
    return REMORA_OK;
}

remora_status rmr_rules_char(rule_reader *r, uint32_t *cp)
{
    const rule_dialect *d = r->dialect;
    if (peek(r) != '\\') {
        const size_t len = rmr_utf8_step(r->s + r->at, r->n - r->at, cp);
        if (*cp >= RMR_UTF8_SHORT) return rmr_rules_wrong(r, "text that is not UTF-8");
        if (*cp == 0) return rmr_rules_wrong(r, "a NUL byte");
        r->at += len;
        return REMORA_OK;
    }
    r->at++;
    const unsigned c = peek(r);
    if (!is_of(c, d->escapes) && !is_of(c, "xuU")) return rmr_rules_wrong(r, "an unknown escape");
    r->at++;
    if (!is_of(c, d->escapes)) return read_hex(r, c == 'x' ? 2 : c == 'u' ? 4 : 8, cp);
    *cp = (unsigned char)d->codes[strchr(d->escapes, (int)c) - d->escapes];
    return REMORA_OK;
}

static int add_text(rule_reader *r, const void *p, size_t n)
{
    if (!rmr_grammar_room(r->g, &r->text, &r->cap_text, r->n_text + n, 1)) return 0;
    memcpy(r->text + r->n_text, p, n);
    r->n_text += n;
    return 1;
}

remora_status rmr_rules_string(rule_reader *r, uint32_t *only)
{
    uint32_t count = 0;
    r->n_text = 0;
    *only = UINT32_MAX;
    r->at++;
    while (peek(r) != '"') {
        uint32_t cp = 0;
        unsigned char utf8[4];
        if (r->at >= r->n || peek(r) == '\n')
            return rmr_rules_wrong(r, "a text without its closing quote");
        RMR_TRY(rmr_rules_char(r, &cp));
        if (!add_text(r, utf8, rmr_utf8_put(cp, utf8))) return rmr_grammar_status(r->g, r->err);
        *only = count++ == 0 ? cp : UINT32_MAX;
    }
    r->at++;
    return REMORA_OK;
}

/* -- Parts -- */

uint32_t rmr_rules_of_rx(rule_reader *r, rmr_rx a)
{
    return rmr_tree_node(&r->t, (tree_node){.kind = TREE_RX, .a = a});
}

uint32_t rmr_rules_of_name(rule_reader *r, const char *name, size_t n)
{
    const uint32_t rule = rmr_tree_rule(&r->t, name, n);
    return rmr_tree_node(&r->t, (tree_node){.kind = TREE_RULE, .a = rule});
}

uint32_t rmr_rules_of_tokens(rule_reader *r, const rmr_token_range *ranges, size_t n, int not )
{
    const uint32_t set = rmr_grammar_tokens(r->g, ranges, n, not );
    return rmr_tree_node(&r->t, (tree_node){.kind = TREE_TOKENS, .a = set});
}

/* ~ n, ~ n..m, {n}, {n,m}, {n,} and {,m}. */
static remora_status read_counts(rule_reader *r, uint32_t *min, uint32_t *max)
{
    const int braces = peek(r) == '{';
    const char *between = braces ? "," : "..";
    r->at++;
    rmr_rules_skip(r, 0);
    if (!rmr_rules_number(r, min)) {
        if (!braces || peek(r) != ',')
            return rmr_rules_wrong(r, "a repetition whose count is no number");
        *min = 0;
    }
    *max = *min;
    const size_t back = r->at;
    rmr_rules_skip(r, 0);
    if (begins(r, between)) {
        r->at += strlen(between);
        rmr_rules_skip(r, 0);
        if (!rmr_rules_number(r, max)) {
            if (!braces) return rmr_rules_wrong(r, "a repetition without its most");
            *max = RMR_RX_MANY;
        }
        if (braces) rmr_rules_skip(r, 0);
    } else if (!braces) {
        r->at = back;
    }
    if (braces && peek(r) != '}') return rmr_rules_wrong(r, "a repetition without its }");
    r->at += (size_t)braces;
    if (*max < *min) return rmr_rules_wrong(r, "a repetition whose most is below its least");
    return REMORA_OK;
}

remora_status rmr_rules_quantify(rule_reader *r)
{
    for (;;) {
        uint32_t min = 0, max = RMR_RX_MANY;
        const size_t back = r->at;
        rmr_rules_skip(r, 0);
        const unsigned c = peek(r);
        if (!is_of(c, r->dialect->repeats)) {
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

/* -- Bodies -- */

static remora_status open_frame(rule_reader *r, int optional)
{
    if (r->n_frames > r->g->lim.nesting) {
        char what[96];
        (void)snprintf(what, sizeof what,
                       "groups nested deeper than the limit \"nesting\", %u, allows",
                       r->g->lim.nesting);
        return rmr_rules_fail(r, REMORA_E_LIMIT, what);
    }
    if (rmr_grammar_room(r->g, &r->frames, &r->cap_frames, r->n_frames + 1, sizeof *r->frames))
        r->frames[r->n_frames++] = (rule_frame){r->t.n_stack, r->n_alts, optional};
    return rmr_grammar_status(r->g, r->err);
}

static void end_alternative(rule_reader *r)
{
    const uint32_t seq = rmr_tree_join(&r->t, TREE_SEQ, r->frames[r->n_frames - 1].parts);
    if (rmr_grammar_room(r->g, &r->alts, &r->cap_alts, r->n_alts + 1, sizeof *r->alts))
        r->alts[r->n_alts++] = seq;
}

/* The group of the last frame, which is closed. */
static uint32_t end_frame(rule_reader *r)
{
    end_alternative(r);
    const rule_frame f = r->frames[--r->n_frames];
    const size_t base = r->t.n_stack;
    for (size_t i = f.alts; i < r->n_alts && rmr_tree_push(&r->t, r->alts[i]);) i++;
    r->n_alts = f.alts;
    const uint32_t all = rmr_tree_join(&r->t, TREE_ALT, base);
    return f.optional ? rmr_tree_repeat(&r->t, all, 0, 1) : all;
}

static const char *open_group(const rule_reader *r)
{
    const int optional = r->frames[r->n_frames - 1].optional;
    return optional ? "a [ without its ]" : "a ( without its )";
}

static remora_status close_group(rule_reader *r, int optional)
{
    if (r->n_frames == 1 || r->frames[r->n_frames - 1].optional != optional)
        return rmr_rules_wrong(r, optional ? "a ] without its [" : "a ) without its (");
    r->at++;
    rmr_tree_push(&r->t, end_frame(r));
    if (rmr_grammar_failed(r->g)) return rmr_grammar_status(r->g, r->err);
    return rmr_rules_quantify(r);
}

static remora_status read_body(rule_reader *r)
{
    const rule_dialect *d = r->dialect;
    RMR_TRY(open_frame(r, 0));
    for (;;) {
        rmr_rules_skip(r, r->n_frames > 1);
        const unsigned c = peek(r);
        if (!rmr_grammar_fuel(r->g, 1)) return rmr_grammar_status(r->g, r->err);
        if (r->at >= r->n || is_of(c, d->ends)) {
            if (r->n_frames > 1) return rmr_rules_wrong(r, open_group(r));
            rmr_rules_skip(r, 1);
            if (peek(r) != '|') return REMORA_OK;
        } else if (c == '(' || (c == '[' && d->brackets)) {
            r->at++;
            RMR_TRY(open_frame(r, c == '['));
        } else if (c == ')' || (c == ']' && d->brackets)) {
            RMR_TRY(close_group(r, c == ']'));
        } else if (c == '|') {
            r->at++;
            end_alternative(r);
            rmr_rules_skip(r, 1);
        } else {
            RMR_TRY(d->part(r));
        }
    }
}

remora_status rmr_rules_new(rule_reader *r, const char *name, size_t n, uint32_t *rule)
{
    *rule = rmr_tree_rule(&r->t, name, n);
    if (rmr_grammar_failed(r->g)) return rmr_grammar_status(r->g, r->err);
    if (r->t.rules[*rule].defined) return rmr_rules_wrong(r, "a name that was defined before");
    return REMORA_OK;
}

remora_status rmr_rules_body(rule_reader *r, uint32_t rule)
{
    const size_t first = r->t.n_nodes;
    RMR_TRY(read_body(r));
    return rmr_rules_define(r, rule, first, end_frame(r));
}

/* The root of a rule is the last of its nodes. */
remora_status rmr_rules_define(rule_reader *r, uint32_t rule, size_t first, uint32_t root)
{
    if (rmr_grammar_failed(r->g)) return rmr_grammar_status(r->g, r->err);
    if (root + 1 != r->t.n_nodes) rmr_tree_repeat(&r->t, root, 1, 1);
    r->t.rules[rule].defined = 1;
    r->t.rules[rule].first = (uint32_t)first;
    r->t.rules[rule].end = (uint32_t)r->t.n_nodes;
    return rmr_grammar_status(r->g, r->err);
}

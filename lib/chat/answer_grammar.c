/* SPDX-License-Identifier: Apache-2.0 */
#include "answer_grammar.h"

#include <stdio.h>
#include <string.h>

#include "json_text.h"
#include "markers.h"
#include "parse.h"
#include "schema.h"

enum { MARKER_BYTES = 512, MARKER_TOKENS = 128, MARKER_SYMBOLS = 32 };

typedef struct builder {
    rmr_grammar *g;
    rmr_rx_set *rx;
    const rmr_answer_rules *in;
    const rmr_chat_calls *calls;
    rmr_markers markers;
    rmr_schema_members members;
    uint64_t tool; /* hash of the tool whose arguments are written */
    remora_error *err;
} builder;

/* ---- markers ---- */

static rmr_rule named(builder *b, const char *name)
{
    return rmr_rule_new(b->g, name, strlen(name));
}

static rmr_symbol one_token(builder *b, remora_token id)
{
    const rmr_token_range one = {(uint32_t)id, (uint32_t)id};
    return (rmr_symbol){RMR_SYMBOL_TOKENS, rmr_grammar_tokens(b->g, &one, 1, 0), 1, 1, 0};
}

/* These texts, one behind the other: tokens where the tokenizer has them, else any tokens that
 * spell them. NULL is nothing. */
static remora_status marker(builder *b, const char *const *parts, size_t n_parts, rmr_rule *out)
{
    char text[MARKER_BYTES];
    remora_token ids[MARKER_TOKENS];
    rmr_symbol line[MARKER_SYMBOLS];
    size_t n = 0, n_ids, k = 0, from = 0, at = 0;
    for (size_t i = 0; i < n_parts; i++) {
        const size_t len = parts[i] == NULL ? 0 : strlen(parts[i]);
        if (n + len > sizeof text)
            RMR_FAIL(b->err, REMORA_E_LIMIT, "a marker of the chat format is longer than %d bytes",
                     MARKER_BYTES);
        if (len > 0) memcpy(text + n, parts[i], len);
        n += len;
    }
    RMR_TRY(rmr_tokenizer_encode(b->in->tok, text, n, REMORA_TEXT_SPECIAL, ids, MARKER_TOKENS,
                                 &n_ids, b->err));
    for (size_t i = 0; i <= n_ids && k + 2 <= MARKER_SYMBOLS; i++) {
        const char *bytes = NULL;
        size_t len = 0;
        if (i < n_ids) RMR_TRY(rmr_tokenizer_bytes(b->in->tok, ids[i], &bytes, &len, b->err));
        if (at + len > n || (len > 0 && memcmp(text + at, bytes, len) != 0)) break;
        const int special = i < n_ids && rmr_tokenizer_is_markup(b->in->tok, ids[i]);
        if ((special || i == n_ids) && at > from)
            line[k++] = rmr_lexeme(rmr_rx_literal(b->rx, text + from, at - from));
        at += len;
        if (!special) continue;
        line[k++] = one_token(b, ids[i]);
        from = at;
    }
    if (at != n)
        RMR_FAIL(b->err, REMORA_E_UNSUPPORTED,
                 "the tokenizer does not spell the marker \"%.*s\" of the chat format",
                 n < 60 ? (int)n : 60, text);
    *out = named(b, "marker");
    rmr_rule_alt(b->g, *out, line, k);
    return REMORA_OK;
}

static remora_status marker2(builder *b, const char *one, const char *two, rmr_rule *out)
{
    return marker(b, (const char *const[]){one, two}, 2, out);
}

/* What closes a call has to be a token: in the text of an argument nothing else could tell it from
 * text. In a call that is JSON the brace does. */
static remora_status check_closing(builder *b)
{
    const int params = b->calls->args >= RMR_ARGS_PARAMS;
    const struct {
        int id, needed;
        const char *text;
    } rows[] = {{RMR_M_CALL_CLOSE, !b->markers.json_head, b->calls->call_close},
                {RMR_M_PARAM_CLOSE, params, b->calls->param_close}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].needed && b->markers.all[rows[i].id].special == 0)
            RMR_FAIL(b->err, REMORA_E_UNSUPPORTED,
                     "the tokenizer has no token of the marker \"%.60s\", with which calls of chat "
                     "format %s end",
                     rows[i].text == NULL ? "" : rows[i].text, b->in->format->name);
    return REMORA_OK;
}

/* ---- text ---- */

static rmr_rx spaces(builder *b)
{
    const rmr_byte_set white = {
        {UINT64_C(1) << ' ' | UINT64_C(1) << '\n' | UINT64_C(1) << '\t' | UINT64_C(1) << '\r', 0, 0,
         0}};
    return rmr_rx_repeat(b->rx, rmr_rx_bytes(b->rx, &white), 0, RMR_RX_MANY);
}

/* The marker as a text; white space inside does not matter where it is loose. */
static rmr_rx spelled(builder *b, const rmr_marker *m)
{
    rmr_rx all = RMR_RX_EMPTY;
    for (size_t i = m->n; i-- > 0;) {
        all = rmr_rx_concat(b->rx, rmr_rx_byte(b->rx, (unsigned char)m->text[i]), all);
        if (m->loose && i > 0) all = rmr_rx_concat(b->rx, spaces(b), all);
    }
    return all;
}

/* The head of a call that is JSON from the beginning of the answer: its name too. */
static rmr_rx bare_head(builder *b)
{
    static const rmr_cp_range out[] = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};
    const rmr_rx c = rmr_rx_chars_not(b->rx, out, 3, RMR_SPELL_UTF8);
    const rmr_rx parts[] = {spelled(b, &b->markers.all[RMR_M_CALL_OPEN]),
                            rmr_rx_repeat(b->rx, c, 0, RMR_RX_MANY),
                            spelled(b, &b->markers.all[RMR_M_NAME_CLOSE])};
    return rmr_rx_concat_n(b->rx, parts, 3);
}

/* Any text without a marker that is text and would be found in it. */
static rmr_rx free_text(builder *b)
{
    static const int looked_for[] = {RMR_M_THINK_OPEN, RMR_M_THINK_CLOSE, RMR_M_BLOCK_OPEN,
                                     RMR_M_BLOCK_MISSPELT, RMR_M_CALL_OPEN};
    rmr_rx all = RMR_RX_ANY;
    for (size_t i = 0; i < 5 + (size_t)RMR_CHAT_MAX_TOKENS; i++) {
        const int id = i < 5 ? looked_for[i] : RMR_M_STOP + (int)i - 5;
        const rmr_marker *m = &b->markers.all[id];
        const int of_calls =
            id == RMR_M_CALL_OPEN || id == RMR_M_BLOCK_OPEN || id == RMR_M_BLOCK_MISSPELT;
        if (m->n == 0 || m->special != 0 || (of_calls && !b->markers.tools)) continue;
        const rmr_rx one = id == RMR_M_CALL_OPEN && b->markers.bare ? bare_head(b) : spelled(b, m);
        const rmr_rx parts[] = {RMR_RX_ANY, one, RMR_RX_ANY};
        all = rmr_rx_and2(b->rx, all, rmr_rx_not(b->rx, rmr_rx_concat_n(b->rx, parts, 3)));
    }
    return all;
}

/* Texts that a reader could take for JSON. */
static rmr_rx like_json(builder *b)
{
    static const char *const words[] = {"true", "false", "null"};
    static const size_t lengths[] = {4, 5, 4};
    const rmr_byte_set digit = {{UINT64_C(0x3FF) << '0', 0, 0, 0}};
    rmr_byte_set more = digit, bracket = {{0}};
    for (const char *p = "-+.eE"; *p != 0; p++) more.bits[*p / 64] |= UINT64_C(1) << *p % 64;
    for (const char *p = "[{"; *p != 0; p++) bracket.bits[*p / 64] |= UINT64_C(1) << *p % 64;
    const rmr_rx number[] = {rmr_rx_repeat(b->rx, rmr_rx_byte(b->rx, '-'), 0, 1),
                             rmr_rx_bytes(b->rx, &digit),
                             rmr_rx_repeat(b->rx, rmr_rx_bytes(b->rx, &more), 0, RMR_RX_MANY)};
    const rmr_rx word = rmr_rx_or2(b->rx, rmr_rx_strings(b->rx, words, lengths, 3),
                                   rmr_rx_concat_n(b->rx, number, 3));
    const rmr_rx nested = rmr_rx_concat(b->rx, rmr_rx_bytes(b->rx, &bracket), RMR_RX_ANY);
    const rmr_rx kinds[] = {rmr_rx_concat(b->rx, word, spaces(b)), nested};
    return rmr_rx_concat(b->rx, spaces(b), rmr_rx_or(b->rx, kinds, 2));
}

/* ---- arguments ---- */

static int member_kind(void *user, const char *key, size_t n)
{
    const builder *b = user;
    switch (
        rmr_tool_types_find(b->in->types->items, b->in->types->n, rmr_chat_key(b->tool, key, n))) {
    case RMR_TYPE_TEXT: return RMR_MEMBER_TEXT;
    case RMR_TYPE_OTHER: return RMR_MEMBER_JSON;
    default: return RMR_MEMBER_EITHER;
    }
}

static remora_status make_members(builder *b)
{
    const rmr_chat_calls *k = b->calls;
    const int marked = k->args == RMR_ARGS_PARAMS;
    rmr_schema_members *m = &b->members;
    const char *const text[] = {k->param_kind, marked ? "true" : NULL, k->param_value};
    const char *const json[] = {k->param_kind, marked ? "false" : NULL, k->param_value};
    RMR_TRY(marker(b, &k->param_open, 1, &m->begin));
    RMR_TRY(marker(b, text, 3, &m->text));
    RMR_TRY(marker(b, json, 3, &m->json));
    RMR_TRY(marker(b, &k->param_close, 1, &m->close));
    RMR_TRY(marker(b, &k->param_between, 1, &m->between));
    RMR_TRY(marker2(b, k->params_end, k->call_close, &m->end));
    RMR_TRY(marker2(b, k->no_params, k->call_close, &m->none));
    m->keys = m->strings = m->vague = RMR_RX_ANY;
    const rmr_marker *kind = &b->markers.all[RMR_M_PARAM_KIND];
    if (!(kind->special & 1)) {
        const unsigned c = (unsigned char)kind->text[0];
        rmr_byte_set others = {{~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0), ~UINT64_C(0)}};
        others.bits[c / 64] &= ~(UINT64_C(1) << c % 64);
        m->keys = rmr_rx_repeat(b->rx, rmr_rx_bytes(b->rx, &others), 0, RMR_RX_MANY);
    }
    if (!marked) {
        m->vague = rmr_rx_not(b->rx, like_json(b));
        m->kind = member_kind;
        m->user = b;
    }
    return REMORA_OK;
}

/* The tool whose schema is being read, for the report of a keyword that is left out. */
typedef struct tool_report {
    const rmr_answer_rules *in;
    const char *name;
    int n;
} tool_report;

static void tell_of_tool(void *user, const char *what)
{
    const tool_report *r = user;
    char text[360];
    (void)snprintf(text, sizeof text, "the tool %.*s: %s", r->n, r->name, what);
    if (r->in->left_out != NULL) r->in->left_out(r->in->user, text);
}

/* A schema of a tool; what is wrong with it names the tool. */
static remora_status arguments(builder *b, const char *name, size_t n, rmr_json_span schema,
                               rmr_rule *out)
{
    static const char none[] = "{\"additionalProperties\": false}"; /* it takes no arguments */
    const int params = b->calls->args >= RMR_ARGS_PARAMS;
    tool_report report = {b->in, name, n < 60 ? (int)n : 60};
    const rmr_schema_opts o = {.object = 1,
                               .members = params ? &b->members : NULL,
                               .lax = b->in->lax,
                               .left_out = tell_of_tool,
                               .user = &report};
    remora_error why = {.struct_size = sizeof why};
    const int given = schema.size > 0;
    b->tool = rmr_chat_key(rmr_chat_key(RMR_CHAT_KEY_BEGIN, name, n), "", 1);
    const remora_status st = rmr_schema(b->g, given ? schema.text : none,
                                        given ? schema.size : sizeof none - 1, &o, out, &why);
    if (st < 0)
        return rmr_error_set(b->err, st, 0, "the tool %.*s cannot be called: %s",
                             n < 60 ? (int)n : 60, name, why.message);
    return REMORA_OK;
}

/* ---- calls ---- */

typedef struct tool {
    char name[RMR_CHAT_MAX_NAME + 32]; /* and a number behind it */
    size_t n;
    rmr_json_span schema; /* empty: none was given */
} tool;

/* The i-th tool. 0: its calls are not wanted. */
static int read_tool(const builder *b, size_t i, tool *t)
{
    const rmr_chat_str *s = &b->in->talk->tools[i];
    rmr_json_span f, v;
    *t = (tool){.n = 0};
    if (!rmr_json_text_get((rmr_json_span){s->p, s->n}, "function", &f) ||
        !rmr_json_text_get(f, "name", &v) || v.size > (size_t)RMR_CHAT_MAX_NAME + 2)
        return 0;
    t->n = rmr_json_text_decode(v, t->name);
    if (rmr_json_text_get(f, "parameters", &v) && rmr_json_text_kind(v) != 'n') t->schema = v;
    const rmr_chat_wish *w = b->in->wish;
    return w->choice != RMR_CHOICE_NAMED ||
           (w->tool.n == t->n && memcmp(w->tool.p, t->name, t->n) == 0);
}

/* Names that a reader of the answer would cut or take for markup. */
static remora_status check_name(builder *b, const tool *t)
{
    for (size_t i = 0; i < t->n; i++) {
        const unsigned char c = (unsigned char)t->name[i];
        if (c <= ' ' || strchr("\"\\<>", c) != NULL)
            RMR_FAIL(
                b->err, REMORA_E_UNSUPPORTED,
                "tool %.*s: names with spaces, quotes, backslashes or angle brackets cannot be "
                "told from markup",
                t->n < 60 ? (int)t->n : 60, t->name);
    }
    return REMORA_OK;
}

/* Calls of tools, one rule for each number that a call may have. */
typedef struct call_rules {
    rmr_rule open, name_close, close, between;
    rmr_rule tools[RMR_ANSWER_MOST_CALLS]; /* NAME name_close ARGUMENTS call_close */
    size_t n;
    size_t first; /* the number of the first */
} call_rules;

static remora_status add_tool(builder *b, const call_rules *k, tool *t)
{
    const int params = b->calls->args >= RMR_ARGS_PARAMS;
    rmr_rule args;
    const size_t n = t->n;
    RMR_TRY(check_name(b, t));
    RMR_TRY(arguments(b, t->name, n, t->schema, &args));
    for (size_t i = 0; i < k->n; i++) {
        size_t len = n;
        if (b->calls->numbered)
            len += (size_t)snprintf(t->name + n, sizeof t->name - n, ":%zu", k->first + i);
        const rmr_symbol line[] = {rmr_lexeme(rmr_rx_literal(b->rx, t->name, len)),
                                   rmr_call(k->name_close), rmr_call(args), rmr_call(k->close)};
        rmr_rule_alt(b->g, k->tools[i], line, params ? 3 : 4);
    }
    return rmr_grammar_status(b->g, b->err);
}

static size_t calls_before(const rmr_conversation *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n_turns; i++) n += c->turns[i].n_calls;
    return n;
}

static remora_status make_calls(builder *b, call_rules *k)
{
    const int one = b->in->one || b->calls->one;
    tool t;
    k->first = calls_before(b->in->talk);
    k->n = b->calls->numbered && !one ? RMR_ANSWER_MOST_CALLS : 1;
    for (size_t i = 0; i < k->n; i++) k->tools[i] = named(b, "call");
    RMR_TRY(marker(b, &b->calls->call_open, 1, &k->open));
    RMR_TRY(marker(b, &b->calls->name_close, 1, &k->name_close));
    RMR_TRY(marker(b, &b->calls->call_close, 1, &k->close));
    RMR_TRY(marker(b, &b->calls->between, 1, &k->between));
    if (b->calls->args >= RMR_ARGS_PARAMS) RMR_TRY(make_members(b));
    for (size_t i = 0; i < b->in->talk->n_tools; i++)
        if (read_tool(b, i, &t)) RMR_TRY(add_tool(b, k, &t));
    return REMORA_OK;
}

/* One call, or several where they are wanted. */
static rmr_rule several(builder *b, const call_rules *k)
{
    const int one = b->in->one || b->calls->one;
    rmr_rule rest = 0;
    for (size_t i = k->n; i-- > 0;) {
        const rmr_rule here = named(b, "calls"), more = named(b, "next call");
        const rmr_rule next = rest != 0 ? rest : here;
        const rmr_symbol behind[] = {rmr_call(k->between), rmr_call(next)};
        const rmr_symbol line[] = {rmr_call(k->open), rmr_call(k->tools[i]), rmr_call(more)};
        rmr_rule_alt(b->g, more, NULL, 0);
        if (!one && (rest != 0 || !b->calls->numbered)) rmr_rule_alt(b->g, more, behind, 2);
        rmr_rule_alt(b->g, here, line, 3);
        rest = here;
    }
    return rest;
}

/* The block of calls; `inside`: the prompt opened it. */
static remora_status block(builder *b, int inside, rmr_rule *out)
{
    call_rules k = {.n = 0};
    rmr_rule open, close;
    RMR_TRY(check_closing(b));
    RMR_TRY(make_calls(b, &k));
    const char *text = inside ? NULL : b->calls->block_open;
    RMR_TRY(marker(b, &text, 1, &open));
    RMR_TRY(marker(b, &b->calls->block_close, 1, &close));
    const rmr_symbol line[] = {rmr_call(open), rmr_call(several(b, &k)), rmr_call(close)};
    *out = named(b, "block of calls");
    rmr_rule_alt(b->g, *out, line, 3);
    return REMORA_OK;
}

/* ---- the answer ---- */

/* The answer's text: free, or the JSON that is asked for. */
static remora_status content(builder *b, rmr_symbol line[2], size_t *n)
{
    static const char object[] = "{\"type\": \"object\"}";
    const rmr_chat_wish *w = b->in->wish;
    const rmr_schema_opts o = {.lax = b->in->lax, .left_out = b->in->left_out, .user = b->in->user};
    rmr_rule value;
    *n = 0;
    if (w->reply == RMR_REPLY_TEXT) {
        line[(*n)++] = rmr_lexeme(free_text(b));
        return REMORA_OK;
    }
    if (w->go_on)
        RMR_FAIL(b->err, REMORA_E_UNSUPPORTED,
                 "an answer is continued, and it is to be JSON: what it has so far is not read");
    const int schema = w->reply == RMR_REPLY_SCHEMA;
    RMR_TRY(rmr_schema(b->g, schema ? w->schema.p : object,
                       schema ? w->schema.n : sizeof object - 1, &o, &value, b->err));
    /* Behind reasoning there are newlines. */
    line[(*n)++] = rmr_lexeme(rmr_rx_repeat(b->rx, rmr_rx_byte(b->rx, '\n'), 0, 2));
    line[(*n)++] = rmr_call(value);
    return REMORA_OK;
}

/* Text, calls, or text and then calls. */
static remora_status behind_reasoning(builder *b, rmr_rule *out)
{
    const int json = b->in->wish->reply != RMR_REPLY_TEXT;
    const int required = b->in->wish->choice >= RMR_CHOICE_REQUIRED;
    const int inside = b->in->place == RMR_PARSE_CALLS;
    rmr_symbol line[3];
    rmr_rule calls = 0;
    size_t n;
    *out = named(b, "text and calls");
    if (b->markers.tools) {
        RMR_TRY(block(b, inside, &calls));
        const rmr_symbol alone = rmr_call(calls);
        if (required || json || inside) rmr_rule_alt(b->g, *out, &alone, 1);
        if (required || inside) return REMORA_OK;
    }
    RMR_TRY(content(b, line, &n));
    rmr_rule_alt(b->g, *out, line, n);
    if (calls == 0 || json) return REMORA_OK;
    line[n++] = rmr_call(calls);
    rmr_rule_alt(b->g, *out, line, n);
    return REMORA_OK;
}

/* Reasoning, with its opening tag where the model writes it. */
static remora_status reasoning(builder *b, int opened, rmr_rule *out)
{
    const rmr_chat_think *k = &b->in->format->think;
    const char *text = opened ? NULL : k->open;
    rmr_rule open, close;
    RMR_TRY(marker(b, &text, 1, &open));
    RMR_TRY(marker(b, &k->close, 1, &close));
    const rmr_symbol line[] = {rmr_call(open), rmr_lexeme(free_text(b)), rmr_call(close)};
    *out = named(b, "reasoning");
    rmr_rule_alt(b->g, *out, line, 3);
    return REMORA_OK;
}

/* Tokens of the format that end an answer and are not among the model's own. */
static rmr_symbol stop(builder *b)
{
    rmr_token_range ids[RMR_CHAT_MAX_TOKENS];
    size_t n = 0;
    for (size_t i = 0; i < RMR_CHAT_MAX_TOKENS && b->in->format->stops[i] != NULL; i++) {
        const char *s = b->in->format->stops[i];
        const remora_token id = rmr_tokenizer_find(b->in->tok, s, strlen(s));
        if (id == REMORA_TOKEN_NONE ||
            rmr_tokenizer_flags(b->in->tok, id) & REMORA_TOKEN_END_OF_TURN)
            continue;
        ids[n++] = (rmr_token_range){(uint32_t)id, (uint32_t)id};
    }
    if (n == 0) return (rmr_symbol){RMR_SYMBOL_EMPTY, 0, 1, 1, 0};
    return (rmr_symbol){RMR_SYMBOL_TOKENS, rmr_grammar_tokens(b->g, ids, n, 0), 0, 1, 0};
}

static remora_status build(builder *b, rmr_rule *start)
{
    const int place = b->in->place;
    rmr_rule rest, think = 0;
    RMR_TRY(behind_reasoning(b, &rest));
    if (place == RMR_PARSE_REASONING || place == RMR_PARSE_START)
        RMR_TRY(reasoning(b, place == RMR_PARSE_REASONING, &think));
    const rmr_symbol line[] = {rmr_call(think), rmr_call(rest), stop(b)};
    *start = named(b, "answer");
    if (think != 0) rmr_rule_alt(b->g, *start, line, 3);
    if (place != RMR_PARSE_REASONING) rmr_rule_alt(b->g, *start, line + 1, 2);
    return rmr_grammar_status(b->g, b->err);
}

remora_status rmr_answer_grammar(rmr_grammar *g, const rmr_answer_rules *in, remora_error *err)
{
    builder b = {
        .g = g, .rx = rmr_grammar_rx(g), .in = in, .calls = &in->format->calls, .err = err};
    const int tools = in->talk->n_tools > 0 && in->wish->choice != RMR_CHOICE_NONE;
    rmr_rule start;
    RMR_TRY(rmr_markers_make(&b.markers, in->format, in->tok, tools, err));
    RMR_TRY(build(&b, &start));
    return rmr_grammar_finish(g, start, err);
}

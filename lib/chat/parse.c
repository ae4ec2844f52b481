/* SPDX-License-Identifier: Apache-2.0 */
#include "parse.h"

#include <string.h>

/* Whether a value of TAGS is a string is seen only at its end, where no tool says it. */
enum { RAW, TEXT, UNDECIDED };

typedef struct parser {
    rmr_chat_parse *p;
    const rmr_chat_out *out;
} parser;

/* -- what goes out -- */

static void say(const parser *a, int part, const char *text, size_t n)
{
    if (n > 0) a->out->put(a->out->user, part, text, n, NULL, 0);
}

static void say_byte(const parser *a, int part, uint8_t c)
{
    const char one = (char)c;
    a->p->bytes[part]++;
    say(a, part, &one, 1);
}

static void args(const parser *a, const char *json)
{
    say(a, REMORA_PART_ARGUMENTS, json, strlen(json));
}

static void say_escaped(const parser *a, const char *text, size_t n)
{
    char out[6];
    for (size_t i = 0; i < n; i++)
        say(a, REMORA_PART_ARGUMENTS, out, rmr_json_escape((uint8_t)text[i], out));
}

static void markup(const parser *a, size_t n)
{
    a->p->bytes[RMR_PART_MARKUP] += n;
}

static void give_newlines(const parser *a, int part)
{
    for (; a->p->newlines > 0; a->p->newlines--) say_byte(a, part, '\n');
}

static void drop_newlines(const parser *a)
{
    markup(a, a->p->newlines);
    a->p->newlines = 0;
}

static void lose(const parser *a)
{
    a->p->broken = 1;
    a->p->state = RMR_PARSE_LOST;
}

/* -- calls -- */

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The name in "functions.NAME:3", also without point or colon ("functionsexec5"). */
static void cut_id(const char **name, size_t *n)
{
    static const char prefix[] = "functions";
    const size_t n_prefix = sizeof prefix - 1;
    const char *s = *name;
    size_t len = *n, digits = 0;
    if (len <= n_prefix || memcmp(s, prefix, n_prefix) != 0) return;
    const int point = s[n_prefix] == '.';
    s += n_prefix + (size_t)point;
    len -= n_prefix + (size_t)point;
    while (digits < len && is_digit(s[len - 1 - digits])) digits++;
    const int colon = digits < len && s[len - 1 - digits] == ':';
    if (digits < len && (colon || !point)) len -= digits + (size_t)colon;
    *name = s;
    *n = len;
}

static void begin_call(const parser *a, const char *name, size_t n)
{
    rmr_chat_parse *p = a->p;
    const char *id = NULL;
    size_t n_id = 0;
    while (n > 0 && rmr_json_space((uint8_t)*name)) name++, n--;
    while (n > 0 && rmr_json_space((uint8_t)name[n - 1])) n--;
    if (p->m->numbered) {
        id = name;
        n_id = n;
        cut_id(&name, &n);
    }
    p->tool_key = rmr_chat_key(rmr_chat_key(RMR_CHAT_KEY_BEGIN, name, n), "", 1);
    p->n_calls++;
    p->open_call = 1;
    p->in_params = 0;
    p->walk = (rmr_json_nest){0};
    a->out->put(a->out->user, REMORA_PART_CALL, name, n, id, n_id);
}

static void end_call(const parser *a)
{
    rmr_chat_parse *p = a->p;
    const int params = p->m->args == RMR_ARGS_PARAMS || p->m->args == RMR_ARGS_TAGS;
    if (params && p->in_params)
        args(a, "}");
    else if (params || !p->walk.begun)
        args(a, "{}");
    p->open_call = 0;
    a->out->put(a->out->user, REMORA_PART_CALL_END, NULL, 0, NULL, 0);
    p->state = p->m->all[RMR_M_BLOCK_OPEN].n > 0 ? RMR_PARSE_CALLS : RMR_PARSE_AFTER;
}

static void name_byte(const parser *a, uint8_t c)
{
    rmr_chat_parse *p = a->p;
    if (p->n_name == RMR_NAME_MAX) {
        lose(a);
        p->bytes[REMORA_PART_CALL] -= p->n_name;
        for (size_t i = 0; i < p->n_name; i++) say_byte(a, REMORA_PART_REST, (uint8_t)p->name[i]);
        say_byte(a, REMORA_PART_REST, c);
        return;
    }
    p->name[p->n_name++] = (char)c;
    p->bytes[REMORA_PART_CALL]++;
}

static void tail_byte(const parser *a, uint8_t c)
{
    markup(a, 1);
    if (a->p->m->bare && c == '}') end_call(a);
}

static void argument_byte(const parser *a, uint8_t c)
{
    rmr_chat_parse *p = a->p;
    rmr_json_nest *w = &p->walk;
    if (!w->begun && rmr_json_space(c)) {
        markup(a, 1);
        return;
    }
    const int over = w->ended || (w->depth == 0 && !w->in_string && (c == '}' || c == ','));
    if (p->m->json_head && over) {
        p->state = RMR_PARSE_TAIL;
        tail_byte(a, c);
        return;
    }
    rmr_json_nest_push(w, c);
    say_byte(a, REMORA_PART_ARGUMENTS, c);
}

/* -- arguments that come one by one -- */

static void begin_param(const parser *a)
{
    rmr_chat_parse *p = a->p;
    args(a, p->in_params ? ", \"" : "{\"");
    p->in_params = 1;
    p->key = p->tool_key;
    p->state = RMR_PARSE_KEY;
}

static uint8_t type_of(const rmr_chat_parse *p)
{
    const int type = rmr_tool_types_find(p->m->types, p->m->n_types, p->key);
    return type == RMR_TYPE_UNKNOWN ? UNDECIDED : type == RMR_TYPE_TEXT ? TEXT : RAW;
}

static void begin_value(const parser *a, uint8_t is_text)
{
    rmr_chat_parse *p = a->p;
    p->is_text = is_text;
    p->n_name = 0;
    p->scan = (rmr_json_scan){0};
    p->state = RMR_PARSE_VALUE;
    if (is_text == TEXT) args(a, "\"");
}

/* Give out the value's bytes that waited. */
static void decide(const parser *a, uint8_t is_text)
{
    rmr_chat_parse *p = a->p;
    p->is_text = is_text;
    if (is_text == TEXT) {
        args(a, "\"");
        say_escaped(a, p->name, p->n_name);
    } else {
        say(a, REMORA_PART_ARGUMENTS, p->name, p->n_name);
    }
    p->n_name = 0;
}

/* A quoted text is one whose quotes are part of it: strings are written raw. */
static void undecided_byte(const parser *a, uint8_t c)
{
    rmr_chat_parse *p = a->p;
    p->name[p->n_name++] = (char)c;
    const int json = rmr_json_scan_push(&p->scan, c) != RMR_JSON_BAD;
    if (!json || p->name[0] == '"')
        decide(a, TEXT);
    else if (p->n_name == sizeof p->name)
        decide(a, RAW);
}

static void value_byte(const parser *a, uint8_t c)
{
    const char one = (char)c;
    a->p->bytes[REMORA_PART_ARGUMENTS]++;
    if (a->p->is_text == UNDECIDED)
        undecided_byte(a, c);
    else if (a->p->is_text == TEXT)
        say_escaped(a, &one, 1);
    else
        say(a, REMORA_PART_ARGUMENTS, &one, 1);
}

static int whole_json(const rmr_chat_parse *p)
{
    rmr_json_scan s = p->scan; /* a space ends a number and changes no other whole value */
    return rmr_json_scan_push(&s, ' ') == RMR_JSON_WHOLE;
}

static void end_value(const parser *a)
{
    rmr_chat_parse *p = a->p;
    if (p->is_text == UNDECIDED) decide(a, whole_json(p) ? RAW : TEXT);
    if (p->is_text == TEXT) args(a, "\"");
    p->state = RMR_PARSE_PARAMS;
}

static void key_byte(const parser *a, uint8_t c)
{
    const char one = (char)c;
    a->p->key = rmr_chat_key(a->p->key, &one, 1);
    a->p->bytes[REMORA_PART_ARGUMENTS]++;
    say_escaped(a, &one, 1);
}

static void kind_byte(const parser *a, uint8_t c)
{
    rmr_chat_parse *p = a->p;
    markup(a, 1);
    if (p->n_name < 8) p->name[p->n_name++] = (char)c;
}

/* -- text -- */

static void give_spaces(const parser *a)
{
    rmr_chat_parse *p = a->p;
    for (size_t i = 0; i < p->n_name; i++) say_byte(a, REMORA_PART_CONTENT, (uint8_t)p->name[i]);
    p->n_name = 0;
}

static void start_byte(const parser *a, uint8_t c)
{
    rmr_chat_parse *p = a->p;
    if (rmr_json_space(c) && p->n_name < RMR_PARSE_SPACES) {
        p->name[p->n_name++] = (char)c;
        return;
    }
    p->state = RMR_PARSE_CONTENT;
    give_spaces(a);
    say_byte(a, REMORA_PART_CONTENT, c);
}

static void reasoning_byte(const parser *a, uint8_t c)
{
    rmr_chat_parse *p = a->p;
    if (c == '\n' && !p->said) {
        markup(a, 1);
    } else if (c == '\n' && p->newlines < RMR_PARSE_SPACES) {
        p->newlines++;
    } else {
        give_newlines(a, REMORA_PART_REASONING);
        say_byte(a, REMORA_PART_REASONING, c);
        p->said = 1;
    }
}

static void content_byte(const parser *a, uint8_t c)
{
    rmr_chat_parse *p = a->p;
    if (p->skipped < p->m->n_skip && c == (uint8_t)p->m->skip[p->skipped]) {
        p->skipped++;
        markup(a, 1);
        return;
    }
    p->skipped = p->m->n_skip;
    if (c == '\n' && p->drop_newline) {
        markup(a, 1);
        return;
    }
    p->drop_newline = 0;
    if (c == '\n' && p->m->lead > 0) {
        if (p->newlines < p->m->lead)
            p->newlines++;
        else
            say_byte(a, REMORA_PART_CONTENT, c);
        return;
    }
    give_newlines(a, REMORA_PART_CONTENT);
    say_byte(a, REMORA_PART_CONTENT, c);
}

/* Between elements of markup only white space may stand. */
static void gap_byte(const parser *a, uint8_t c)
{
    if (rmr_json_space(c)) {
        markup(a, 1);
        return;
    }
    lose(a);
    say_byte(a, REMORA_PART_REST, c);
}

static void after_byte(const parser *a, uint8_t c)
{
    if (rmr_json_space(c) || (a->p->m->bare && c == ';'))
        markup(a, 1);
    else
        say_byte(a, REMORA_PART_REST, c);
}

/* A byte that is part of no marker. */
static void text_byte(const parser *a, uint8_t c)
{
    switch (a->p->state) {
    case RMR_PARSE_START: start_byte(a, c); break;
    case RMR_PARSE_REASONING: reasoning_byte(a, c); break;
    case RMR_PARSE_CONTENT: content_byte(a, c); break;
    case RMR_PARSE_CALLS:
    case RMR_PARSE_PARAMS: gap_byte(a, c); break;
    case RMR_PARSE_NAME: name_byte(a, c); break;
    case RMR_PARSE_ARGUMENTS: argument_byte(a, c); break;
    case RMR_PARSE_TAIL: tail_byte(a, c); break;
    case RMR_PARSE_KEY: key_byte(a, c); break;
    case RMR_PARSE_KIND: kind_byte(a, c); break;
    case RMR_PARSE_VALUE: value_byte(a, c); break;
    case RMR_PARSE_AFTER: after_byte(a, c); break;
    default: say_byte(a, REMORA_PART_REST, c);
    }
}

/* -- markers -- */

#define BIT(id) ((uint32_t)1 << (id))
#define STOPS (~(uint32_t)0 << RMR_M_STOP & (BIT(RMR_M_COUNT) - 1))
#define OPENS (BIT(RMR_M_BLOCK_OPEN) | BIT(RMR_M_BLOCK_MISSPELT) | BIT(RMR_M_CALL_OPEN))
#define CLOSES (BIT(RMR_M_CALL_CLOSE) | BIT(RMR_M_CALL_CLOSE_TAIL))

/* A brace closes the call's object only where none of the arguments' is open, and no marker is
 * looked for inside a string. */
static uint32_t looked_for_in_arguments(const rmr_chat_parse *p)
{
    const rmr_json_nest *w = &p->walk;
    if (p->m->bare) return 0;
    if (!p->m->json_head) return CLOSES | BIT(RMR_M_BLOCK_CLOSE);
    if (w->in_string) return 0;
    return w->depth == 0 ? CLOSES : BIT(RMR_M_CALL_CLOSE_TAIL);
}

/* The markers that mean something here, a bit for each. */
static uint32_t looked_for(const rmr_chat_parse *p)
{
    const rmr_markers *m = p->m;
    const uint32_t opens = m->tools ? OPENS : 0;
    switch (p->state) {
    case RMR_PARSE_START: return STOPS | opens | BIT(RMR_M_THINK_OPEN) | BIT(RMR_M_THINK_CLOSE);
    case RMR_PARSE_REASONING:
        return STOPS | opens | BIT(RMR_M_THINK_CLOSE) |
               (p->said || m->literal_open ? 0 : BIT(RMR_M_THINK_OPEN));
    case RMR_PARSE_CONTENT: return STOPS | opens | BIT(RMR_M_THINK_CLOSE);
    case RMR_PARSE_CALLS: return STOPS | BIT(RMR_M_CALL_OPEN) | BIT(RMR_M_BLOCK_CLOSE);
    case RMR_PARSE_NAME:
        return STOPS | CLOSES | BIT(RMR_M_NAME_CLOSE) |
               (m->args == RMR_ARGS_TAGS ? BIT(RMR_M_PARAM_OPEN) : 0);
    case RMR_PARSE_ARGUMENTS: return STOPS | looked_for_in_arguments(p);
    case RMR_PARSE_TAIL: return STOPS | (m->bare ? 0 : CLOSES);
    case RMR_PARSE_PARAMS: return STOPS | CLOSES | BIT(RMR_M_PARAM_OPEN);
    case RMR_PARSE_KEY: return STOPS | BIT(RMR_M_PARAM_KIND);
    case RMR_PARSE_KIND: return STOPS | BIT(RMR_M_PARAM_VALUE);
    case RMR_PARSE_VALUE: return STOPS | BIT(RMR_M_PARAM_CLOSE);
    case RMR_PARSE_AFTER: return STOPS | opens;
    case RMR_PARSE_LOST: return STOPS;
    default: return 0;
    }
}

static void enter_calls(const parser *a)
{
    rmr_chat_parse *p = a->p;
    if (p->state == RMR_PARSE_START) markup(a, p->n_name);
    drop_newlines(a);
    p->n_name = 0;
    p->state = RMR_PARSE_CALLS;
}

/* The name has been read up to a marker; json_end: that marker closes the call's object. */
static void name_ends(const parser *a, int json_end)
{
    rmr_chat_parse *p = a->p;
    size_t n = p->n_name;
    if (json_end && n > 0 && p->name[n - 1] == '"') n--;
    begin_call(a, p->name, n);
    p->n_name = 0;
    p->state = p->m->args == RMR_ARGS_PARAMS || p->m->args == RMR_ARGS_TAGS ? RMR_PARSE_PARAMS
                                                                            : RMR_PARSE_ARGUMENTS;
}

static void close_thinking(const parser *a)
{
    rmr_chat_parse *p = a->p;
    if (p->state != RMR_PARSE_REASONING) return;
    drop_newlines(a);
    p->drop_newline = 1;
    p->state = RMR_PARSE_CONTENT;
}

static void open_thinking(const parser *a)
{
    rmr_chat_parse *p = a->p;
    if (p->state != RMR_PARSE_START) return;
    markup(a, p->n_name);
    p->n_name = 0;
    p->state = RMR_PARSE_REASONING;
}

/* Give out what was held back for something that does not come any more. */
static void give_held_back(const parser *a)
{
    rmr_chat_parse *p = a->p;
    if (p->state == RMR_PARSE_START) give_spaces(a);
    give_newlines(a, p->state == RMR_PARSE_REASONING ? REMORA_PART_REASONING : REMORA_PART_CONTENT);
    if (p->state == RMR_PARSE_VALUE && p->is_text == UNDECIDED) decide(a, RAW);
}

static int inside_call(const rmr_chat_parse *p)
{
    return p->open_call || p->state == RMR_PARSE_NAME;
}

static void end_turn(const parser *a)
{
    give_held_back(a);
    if (inside_call(a->p)) a->p->broken = 1;
    a->p->state = RMR_PARSE_ENDED;
}

static void on_marker(const parser *a, int id)
{
    rmr_chat_parse *p = a->p;
    switch (id) {
    case RMR_M_THINK_OPEN: open_thinking(a); break;
    case RMR_M_THINK_CLOSE: close_thinking(a); break;
    case RMR_M_BLOCK_OPEN:
    case RMR_M_BLOCK_MISSPELT: enter_calls(a); break;
    case RMR_M_BLOCK_CLOSE:
        if (p->open_call) end_call(a);
        p->state = RMR_PARSE_AFTER;
        break;
    case RMR_M_CALL_OPEN:
        enter_calls(a);
        p->state = RMR_PARSE_NAME;
        break;
    case RMR_M_NAME_CLOSE: name_ends(a, 0); break;
    case RMR_M_CALL_CLOSE:
    case RMR_M_CALL_CLOSE_TAIL:
        if (p->state == RMR_PARSE_NAME) name_ends(a, p->m->json_head);
        end_call(a);
        break;
    case RMR_M_PARAM_OPEN:
        if (p->state == RMR_PARSE_NAME) name_ends(a, 0);
        begin_param(a);
        break;
    case RMR_M_PARAM_KIND:
        args(a, "\": ");
        p->n_name = 0;
        if (p->m->args == RMR_ARGS_PARAMS)
            p->state = RMR_PARSE_KIND;
        else
            begin_value(a, type_of(p));
        break;
    case RMR_M_PARAM_VALUE:
        begin_value(a, p->n_name == 4 && memcmp(p->name, "true", 4) == 0 ? TEXT : RAW);
        break;
    case RMR_M_PARAM_CLOSE: end_value(a); break;
    default: end_turn(a);
    }
}

/* The head of a call that is JSON without a marker, held as a whole. */
static void on_bare(const parser *a, size_t name, size_t n_name, size_t len)
{
    rmr_chat_parse *p = a->p;
    enter_calls(a);
    markup(a, len - n_name);
    p->bytes[REMORA_PART_CALL] += n_name;
    begin_call(a, (const char *)p->held + name, n_name);
    p->state = RMR_PARSE_ARGUMENTS;
}

static void shift(rmr_chat_parse *p, size_t n)
{
    p->n_held = (uint16_t)(p->n_held - n);
    memmove(p->held, p->held + n, p->n_held);
    memmove(p->marks, p->marks + n, p->n_held);
}

/* Act on the marker that the held bytes begin with: 1; or 0, and *prefix says whether they may
 * become one. */
static int take_marker(const parser *a, int *prefix)
{
    rmr_chat_parse *p = a->p;
    const uint32_t bits = looked_for(p);
    *prefix = 0;
    for (int id = 0; id < RMR_M_COUNT; id++) {
        size_t len = 0, name = 0, n_name = 0;
        if (!(bits >> id & 1)) continue;
        const int bare = id == RMR_M_CALL_OPEN && p->m->bare;
        const int found =
            bare ? rmr_markers_match_bare(p->m, p->held, p->marks, p->n_held, &len, &name, &n_name)
                 : rmr_marker_match(&p->m->all[id], p->held, p->marks, p->n_held, &len);
        if (found == RMR_MATCH_PREFIX) *prefix = 1;
        if (found != RMR_MATCH_WHOLE) continue;
        if (bare) {
            on_bare(a, name, n_name, len);
            shift(p, len);
        } else {
            markup(a, len);
            shift(p, len);
            on_marker(a, id);
        }
        return 1;
    }
    return 0;
}

/* Take markers and text from the held bytes until those left may become a marker; all: they will
 * not any more. */
static void settle(const parser *a, int all)
{
    rmr_chat_parse *p = a->p;
    int prefix;
    while (p->n_held > 0) {
        if (take_marker(a, &prefix)) continue;
        if (prefix && !all && p->n_held < RMR_HELD_MAX) return;
        const uint8_t c = p->held[0];
        shift(p, 1);
        text_byte(a, c);
    }
}

void rmr_chat_parse_begin(rmr_chat_parse *p, const rmr_markers *m, int state)
{
    memset(p, 0, sizeof *p);
    p->m = m;
    p->state = (uint8_t)state;
    p->drop_newline = m->strip;
}

void rmr_chat_parse_push(rmr_chat_parse *p, const char *text, size_t n, int mark,
                         const rmr_chat_out *out)
{
    const parser a = {p, out};
    for (size_t i = 0; i < n; i++) {
        RMR_ASSERT(p->n_held < RMR_HELD_MAX);
        p->held[p->n_held] = (uint8_t)text[i];
        p->marks[p->n_held++] = (uint8_t)mark;
        settle(&a, 0);
    }
}

void rmr_chat_parse_stop(rmr_chat_parse *p, const rmr_chat_out *out)
{
    const parser a = {p, out};
    settle(&a, 1);
    end_turn(&a);
}

size_t rmr_chat_parse_held(const rmr_chat_parse *p)
{
    return (size_t)p->n_held + p->newlines + (p->state == RMR_PARSE_START ? p->n_name : 0);
}

void rmr_chat_parse_finish(rmr_chat_parse *p, int cut, const rmr_chat_out *out)
{
    const parser a = {p, out};
    if (cut && p->n_held > 0) {
        if (p->state == RMR_PARSE_CONTENT) drop_newlines(&a);
        markup(&a, p->n_held);
        p->n_held = 0;
    }
    settle(&a, 1);
    give_held_back(&a);
    if (!cut && inside_call(p)) p->broken = 1;
}

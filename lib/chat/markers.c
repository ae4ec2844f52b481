/* SPDX-License-Identifier: Apache-2.0 */
#include "markers.h"

#include <string.h>

#include "json_scan.h"

/* -- which bytes are special -- */

enum { MOST_TOKENS = RMR_MARKER_MAX };

static void set_bits(rmr_marker *m, size_t from, size_t n)
{
    for (size_t i = from; i < from + n && i < m->n; i++) m->special |= (uint64_t)1 << i;
}

/* Ask the tokenizer which parts of the marker it has as added tokens. */
static remora_status find_special(rmr_marker *m, const rmr_tokenizer *tok, remora_error *err)
{
    remora_token ids[MOST_TOKENS];
    size_t n, at = 0;
    if (tok == NULL || m->n == 0) return REMORA_OK;
    RMR_TRY(
        rmr_tokenizer_encode(tok, m->text, m->n, REMORA_TEXT_SPECIAL, ids, MOST_TOKENS, &n, err));
    for (size_t i = 0; i < n && at < m->n; i++) {
        const char *bytes;
        size_t len;
        RMR_TRY(rmr_tokenizer_bytes(tok, ids[i], &bytes, &len, err));
        if (at + len > m->n || memcmp(m->text + at, bytes, len) != 0) break;
        if (rmr_tokenizer_is_markup(tok, ids[i])) set_bits(m, at, len);
        at += len;
    }
    return REMORA_OK;
}

/* -- making them -- */

static void drop_space(rmr_marker *m)
{
    uint64_t special = 0;
    uint8_t n = 0;
    for (uint8_t i = 0; i < m->n; i++) {
        if (rmr_json_space((uint8_t)m->text[i])) continue;
        special |= (m->special >> i & 1) << n;
        m->text[n++] = m->text[i];
    }
    m->n = n;
    m->special = special;
}

static int is_newline(char c)
{
    return c == '\n';
}

enum { TRIM_FRONT = 1, TRIM_BACK = 2, LOOSE = 4 };

static remora_status make(rmr_marker *m, const char *text, size_t n, int how,
                          const rmr_tokenizer *tok, remora_error *err)
{
    memset(m, 0, sizeof *m);
    while (how & TRIM_FRONT && n > 0 && is_newline(*text)) text++, n--;
    while (how & TRIM_BACK && n > 0 && is_newline(text[n - 1])) n--;
    if (n > RMR_MARKER_MAX)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "chat format: the marker \"%.40s..\" has %zu bytes; at most %d are supported",
                 text, n, RMR_MARKER_MAX);
    if (n > 0) memcpy(m->text, text, n);
    m->n = (uint8_t)n;
    RMR_TRY(find_special(m, tok, err));
    m->loose = (how & LOOSE) != 0;
    if (m->loose) drop_space(m);
    return REMORA_OK;
}

static size_t length(const char *s)
{
    return s == NULL ? 0 : strlen(s);
}

/* The markers of calls whose text is as the format has it. */
static remora_status make_calls(rmr_markers *m, const rmr_chat_calls *c, const rmr_tokenizer *tok,
                                remora_error *err)
{
    const int json = m->json_head ? LOOSE : 0, tags = c->args == RMR_ARGS_TAGS ? LOOSE : 0;
    const struct {
        uint8_t id;
        const char *text;
        int how;
    } rows[] = {
        {RMR_M_BLOCK_OPEN, c->block_open, TRIM_FRONT | TRIM_BACK},
        {RMR_M_BLOCK_MISSPELT, c->misspelt, TRIM_FRONT | TRIM_BACK},
        {RMR_M_BLOCK_CLOSE, c->block_close, TRIM_FRONT | TRIM_BACK},
        {RMR_M_CALL_OPEN, c->call_open, TRIM_FRONT | TRIM_BACK | json},
        {RMR_M_NAME_CLOSE, c->name_close, TRIM_BACK | json},
        {RMR_M_CALL_CLOSE, c->call_close, TRIM_BACK | json},
        {RMR_M_PARAM_OPEN, c->param_open, TRIM_FRONT},
        {RMR_M_PARAM_KIND, c->param_kind, tags},
        {RMR_M_PARAM_VALUE, c->param_value, 0},
        {RMR_M_PARAM_CLOSE, c->param_close, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        RMR_TRY(
            make(&m->all[rows[i].id], rows[i].text, length(rows[i].text), rows[i].how, tok, err));
    return REMORA_OK;
}

/* "<|tool_call_begin|>functions." is found by its token alone: models leave out the point. */
static remora_status make_numbered(rmr_markers *m, const char *open, const rmr_tokenizer *tok,
                                   remora_error *err)
{
    const char *last = open == NULL ? NULL : strrchr(open, '>');
    if (last == NULL) return REMORA_OK;
    return make(&m->all[RMR_M_CALL_OPEN], open, (size_t)(last - open) + 1, 0, tok, err);
}

static remora_status make_tail(rmr_markers *m, const char *close, const rmr_tokenizer *tok,
                               remora_error *err)
{
    const char *tail = close == NULL ? NULL : strchr(close, '<');
    if (tail == NULL || tail == close) return REMORA_OK;
    return make(&m->all[RMR_M_CALL_CLOSE_TAIL], tail, strlen(tail), TRIM_BACK, tok, err);
}

static uint8_t newlines_before(const rmr_chat_calls *c)
{
    const char *s = c->block_open != NULL ? c->block_open : c->after_text;
    uint8_t n = 0;
    while (s != NULL && is_newline(s[n])) n++;
    return n;
}

/* The end of the assistant's marker, where a prompt ends before it. */
static void find_skip(rmr_markers *m, const rmr_chat_format *f)
{
    const size_t n = length(f->generation), open = length(f->assistant.open);
    if (n == 0 || open <= n || open - n > sizeof m->skip) return;
    if (memcmp(f->generation, f->assistant.open, n) != 0) return;
    m->n_skip = (uint8_t)(open - n);
    memcpy(m->skip, f->assistant.open + n, m->n_skip);
}

remora_status rmr_markers_make(rmr_markers *m, const rmr_chat_format *f, const rmr_tokenizer *tok,
                               int tools, remora_error *err)
{
    const rmr_chat_calls *c = &f->calls;
    memset(m, 0, sizeof *m);
    m->tools = tools && c->args != RMR_ARGS_NONE;
    m->args = c->args;
    m->numbered = c->numbered;
    m->bare = c->bare;
    m->json_head = c->call_open != NULL && strchr(c->call_open, '{') != NULL;
    m->lead = m->tools ? newlines_before(c) : 0;
    m->literal_open = f->think.literal_open;
    m->strip = f->think.strip;
    find_skip(m, f);
    RMR_TRY(make(&m->all[RMR_M_THINK_OPEN], f->think.open, length(f->think.open), 0, tok, err));
    RMR_TRY(make(&m->all[RMR_M_THINK_CLOSE], f->think.close, length(f->think.close), 0, tok, err));
    for (size_t i = 0; i < RMR_CHAT_MAX_TOKENS; i++)
        RMR_TRY(make(&m->all[RMR_M_STOP + i], f->stops[i], length(f->stops[i]), 0, tok, err));
    RMR_TRY(make_calls(m, c, tok, err));
    if (m->tools && length(c->call_open) + length(c->call_close) < RMR_CALL_MIN)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "chat format: the markers of a call have %zu bytes; at least %d are supported",
                 length(c->call_open) + length(c->call_close), RMR_CALL_MIN);
    RMR_TRY(make_tail(m, c->call_close, tok, err));
    return m->numbered ? make_numbered(m, c->call_open, tok, err) : REMORA_OK;
}

/* -- finding them -- */

int rmr_marker_match(const rmr_marker *m, const uint8_t *held, const uint8_t *marks, size_t n,
                     size_t *len)
{
    size_t k = 0;
    if (m->n == 0) return RMR_MATCH_NO;
    for (size_t i = 0; i < n; i++) {
        if (m->loose && i > 0 && rmr_json_space(held[i])) continue;
        if (held[i] != (uint8_t)m->text[k]) return RMR_MATCH_NO;
        if ((m->special >> k & 1) && marks[i] == RMR_BYTE_TEXT) return RMR_MATCH_NO;
        if (++k < m->n) continue;
        *len = i + 1;
        return RMR_MATCH_WHOLE;
    }
    return RMR_MATCH_PREFIX;
}

int rmr_markers_match_bare(const rmr_markers *m, const uint8_t *held, const uint8_t *marks,
                           size_t n, size_t *len, size_t *name, size_t *n_name)
{
    size_t at, rest;
    int found = rmr_marker_match(&m->all[RMR_M_CALL_OPEN], held, marks, n, &at);
    if (found != RMR_MATCH_WHOLE) return found;
    *name = at;
    while (at < n && held[at] != '"' && held[at] != '\\' && held[at] >= 0x20) at++;
    *n_name = at - *name;
    if (*n_name > RMR_NAME_MAX) return RMR_MATCH_NO;
    if (at == n) return RMR_MATCH_PREFIX;
    found = rmr_marker_match(&m->all[RMR_M_NAME_CLOSE], held + at, marks + at, n - at, &rest);
    if (found == RMR_MATCH_WHOLE) *len = at + rest;
    return found;
}

int rmr_markers_have(const rmr_markers *m, const char *text, size_t n)
{
    for (size_t i = 0; i < RMR_M_COUNT; i++)
        for (size_t at = 0; n > 0 && at + n <= m->all[i].n; at++)
            if ((m->all[i].special >> at & 1) && memcmp(m->all[i].text + at, text, n) == 0)
                return 1;
    return 0;
}

int rmr_tool_types_find(const rmr_chat_type *types, size_t n, uint64_t key)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (types[mid].key < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == n || types[lo].key != key) return RMR_TYPE_UNKNOWN;
    return types[lo].is_text ? RMR_TYPE_TEXT : RMR_TYPE_OTHER;
}

uint64_t rmr_chat_key(uint64_t before, const void *text, size_t n)
{
    const uint8_t *p = text;
    for (size_t i = 0; i < n; i++) before = (before ^ p[i]) * 1099511628211u;
    return before;
}

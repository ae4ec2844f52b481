/* SPDX-License-Identifier: Apache-2.0 */
/* Output read back in a test: the events of one run as one text, to compare runs by. */
#ifndef PARSE_RIG_H
#define PARSE_RIG_H

#include <string.h>

#include "groups.h"
#include "parse.h"

enum { RIG_ROOM = 1 << 16 };

/* What a run gave: parts of the answer, joined. Calls are in `calls`, as lines "name (id)
 * arguments", with " !" behind one that has no end. */
typedef struct parsed {
    char reasoning[RIG_ROOM], content[RIG_ROOM], rest[RIG_ROOM], calls[RIG_ROOM];
    int broken, where;
    uint32_t n_calls;
} parsed;

static inline void rig_append(char *to, const char *text, size_t n)
{
    const size_t at = strlen(to);
    assert_true(at + n < RIG_ROOM);
    assert_null(n > 0 ? memchr(text, 0, n) : NULL);
    memcpy(to + at, text, n);
    to[at + n] = 0;
}

static inline void rig_put(void *user, int part, const char *text, size_t n, const char *id,
                           size_t n_id)
{
    parsed *r = user;
    switch (part) {
    case REMORA_PART_REASONING: rig_append(r->reasoning, text, n); break;
    case REMORA_PART_CONTENT: rig_append(r->content, text, n); break;
    case REMORA_PART_REST: rig_append(r->rest, text, n); break;
    case REMORA_PART_CALL:
        rig_append(r->calls, text, n);
        rig_append(r->calls, " (", 2);
        rig_append(r->calls, id == NULL ? "" : id, n_id);
        rig_append(r->calls, ") ", 2);
        break;
    case REMORA_PART_ARGUMENTS: rig_append(r->calls, text, n); break;
    case REMORA_PART_CALL_END: rig_append(r->calls, "\n", 1); break;
    default: fail();
    }
}

static inline void rig_end(const rmr_chat_parse *p, size_t fed, parsed *r)
{
    uint64_t sum = 0;
    for (int i = 0; i < RMR_PARTS; i++) sum += p->bytes[i];
    assert_int_equal(sum, fed);
    assert_int_equal(p->bytes[REMORA_PART_REASONING], strlen(r->reasoning));
    assert_int_equal(p->bytes[REMORA_PART_CONTENT], strlen(r->content));
    assert_int_equal(p->bytes[REMORA_PART_REST], strlen(r->rest));
    if (p->open_call) rig_append(r->calls, " !", 2);
    r->broken = p->broken;
    r->where = rmr_chat_parse_where(p);
    r->n_calls = p->n_calls;
}

/* Parse text in pieces that end at ends[0 .. n_ends - 1] and at its end. */
static inline void rig_run(const rmr_markers *m, int state, const char *text, size_t n,
                           const size_t *ends, size_t n_ends, int cut, parsed *r)
{
    const rmr_chat_out out = {rig_put, r};
    rmr_chat_parse p, copy;
    size_t at = 0;
    memset(r, 0, sizeof *r);
    rmr_chat_parse_begin(&p, m, state);
    for (size_t i = 0; i <= n_ends; i++) {
        const size_t end = i < n_ends ? ends[i] : n;
        copy = p; /* the state is the struct alone */
        memset(&p, 0x55, sizeof p);
        rmr_chat_parse_push(&copy, text + at, end - at, RMR_BYTE_UNKNOWN, &out);
        p = copy;
        at = end;
    }
    rmr_chat_parse_finish(&p, cut, &out);
    rig_end(&p, n, r);
}

static inline void rig_same(const parsed *a, const parsed *b)
{
    assert_string_equal(a->reasoning, b->reasoning);
    assert_string_equal(a->content, b->content);
    assert_string_equal(a->rest, b->rest);
    assert_string_equal(a->calls, b->calls);
    assert_int_equal(a->broken, b->broken);
    assert_int_equal(a->where, b->where);
}

/* Parse it whole into r, and see that every cut into two, single bytes, and random pieces give the
 * same. */
static inline void rig_every_cut(const rmr_markers *m, int state, const char *text, size_t n,
                                 int cut, parsed *r)
{
    static parsed other;
    static size_t ends[RIG_ROOM];
    uint32_t seed = 7;
    assert_true(n < RIG_ROOM);
    rig_run(m, state, text, n, NULL, 0, cut, r);
    for (size_t at = 0; at <= n; at++) {
        rig_run(m, state, text, n, &at, 1, cut, &other);
        rig_same(r, &other);
        ends[at] = at;
    }
    rig_run(m, state, text, n, ends, n, cut, &other);
    rig_same(r, &other);
    for (int turn = 0; turn < 20; turn++) {
        size_t k = 0;
        for (size_t at = 0; at < n; ends[k++] = at)
            at += 1 + ((seed = seed * 1664525u + 1013904223u) >> 24) % 9, at = at < n ? at : n;
        rig_run(m, state, text, n, ends, k, cut, &other);
        rig_same(r, &other);
    }
}

static inline void rig_markers(rmr_markers *m, const char *format, int tools)
{
    const rmr_chat_format *f = rmr_chat_format_named(format, strlen(format));
    assert_non_null(f);
    assert_int_equal(rmr_markers_make(m, f, NULL, tools, NULL), REMORA_OK);
}

#endif

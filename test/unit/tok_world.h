/* SPDX-License-Identifier: Apache-2.0 */
/* A tokenizer under test with the allocator that it lives in. */
#ifndef TOK_WORLD_H
#define TOK_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tok_fixture.h"

enum { ROOM = 4096 }; /* tokens that a check takes */

typedef struct world {
    tmem t;
    rmr_mem mem;
    rmr_tokenizer *tok;
    remora_error err;
} world;

static inline void begin(world *w)
{
    memset(w, 0, sizeof *w);
    w->mem = fix_mem(&w->t);
    w->err.struct_size = sizeof w->err;
}

static inline void end(world *w)
{
    rmr_tokenizer_free(w->tok);
    assert_int_equal(w->t.blocks, 0);
    assert_int_equal(w->t.damage, 0);
    assert_int_equal(w->mem.bytes, 0);
}

static inline void begin_fix(world *w, const fix *f)
{
    begin(w);
    if (fix_open(&w->mem, f, &w->tok, &w->err) < 0) fail_msg("%s", w->err.message);
}

/* Opening had this status and a message with this word; the end. */
static inline void refused(world *w, remora_status st, remora_status want, const char *word)
{
    if (st != want || (word != NULL && strstr(w->err.message, word) == NULL))
        fail_msg("status %d: %s (want %d: %s)", st, w->err.message, want,
                 word != NULL ? word : "any message");
    end(w);
}

/* Encode s and compare with the -1 terminated ids. */
static inline void check_n(world *w, const char *s, size_t len, uint32_t flags,
                           const remora_token *want)
{
    remora_token got[ROOM];
    size_t n = 0, n_want = 0;
    while (want[n_want] >= 0) n_want++;
    assert_int_equal(rmr_tokenizer_encode(w->tok, s, len, flags, got, ROOM, &n, &w->err),
                     REMORA_OK);
    assert_int_equal(n, n_want);
    assert_memory_equal(got, want, n * sizeof *want);
}

#define CHECK(w, s, flags, ...)                                                                    \
    check_n((w), (s), sizeof(s) - 1, (flags), (const remora_token[]){__VA_ARGS__, -1})

#endif

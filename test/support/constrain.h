/* SPDX-License-Identifier: Apache-2.0 */
/* Constraints in tests: a small vocabulary, and masks by trying every token. */
#ifndef TEST_CONSTRAIN_H
#define TEST_CONSTRAIN_H

#include <string.h>

#include "constraint.h"
#include "front_ends.h"
#include "lark.h"
#include "memo.h"
#include "schema.h"

/* Tokens 0 to 255 are bytes; then these, then two that end a turn, then two special ones. */
static const char *const constrain_words[] = {
    "ab",
    "abc",
    "aa",
    "aaa",
    "{\"",
    "\":",
    "\",",
    "\"}",
    "},",
    "\", \"",
    "tru",
    "true",
    "false",
    "null",
    " a",
    "\n\n",
    "  ",
    "123",
    "12",
    ".5",
    "-1",
    "e+",
    "\"a\"",
    "\"b\":",
    "[]",
    "[[",
    "]]",
    "()",
    "((",
    "))",
    "foo",
    "foob",
    "bar",
    "\xF0\x9F",
    "\x90\x8B",
    "\xE4\xB8\xAD",
    "\xE4\xB8",
    "yes",
    "no",
    "maybe",
    "a,b",
    ",b\n",
    "hello world, this is long",
    "1+",
    "+2",
    "*3)",
    "</",
    "think>",
    "<think>",
    "ab",
    "x <",
    "\\u00",
    "e9\\n",
};
enum {
    CONSTRAIN_WORDS = sizeof constrain_words / sizeof *constrain_words,
    CONSTRAIN_END = 256 + CONSTRAIN_WORDS,
    CONSTRAIN_SPECIAL = CONSTRAIN_END + 2,
    CONSTRAIN_VOCAB = CONSTRAIN_SPECIAL + 2,
    CONSTRAIN_MASK = (CONSTRAIN_VOCAB + 31) / 32,
};

static inline void constrain_text(void *user, remora_token id, const char **text, size_t *n,
                                  int *end)
{
    static char bytes[256];
    (void)user;
    *end = id == CONSTRAIN_END || id == CONSTRAIN_END + 1;
    *n = 0;
    if (id < 256) {
        bytes[id] = (char)id;
        *text = &bytes[id];
        *n = 1;
    } else if (id < CONSTRAIN_END) {
        *text = constrain_words[id - 256];
        *n = strlen(*text);
    }
}

static inline int constrain_bit(const uint32_t *mask, remora_token t)
{
    return (int)(mask[t / 32] >> (t % 32) & 1);
}

/* The last two tokens are <|one|> and <|two|>. */
static inline int constrain_find(void *user, const char *text, size_t n, uint32_t *id)
{
    (void)user;
    if (n != 7 || (memcmp(text, "<|one|>", 7) != 0 && memcmp(text, "<|two|>", 7) != 0)) return 0;
    *id = CONSTRAIN_SPECIAL + (text[2] == 't');
    return 1;
}

static inline remora_status constrain_read(rmr_grammar *g, const char *kind, const char *src,
                                           size_t n, remora_error *err)
{
    static const rmr_lark_tokens tokens = {constrain_find, NULL};
    rmr_rule start;
    if (strcmp(kind, "gbnf") == 0) return rmr_gbnf(g, src, n, err);
    if (strcmp(kind, "regex") == 0) return rmr_regex(g, src, n, err);
    if (strcmp(kind, "lark") == 0) return rmr_lark(g, src, n, &tokens, err);
    RMR_TRY(rmr_schema(g, src, n, NULL, &start, err));
    return rmr_grammar_finish(g, start, err);
}

/* Compile a grammar of a kind: "gbnf", "regex", "lark", "schema". */
static inline remora_status constrain_new(rmr_mem *mem, const rmr_vocabulary *v, const char *kind,
                                          const char *src, size_t n, const rmr_limits *lim,
                                          rmr_constraint **out, remora_error *err)
{
    rmr_grammar *g;
    RMR_TRY(rmr_grammar_new(mem, lim, &g, err));
    const remora_status st = constrain_read(g, kind, src, n, err);
    if (st < 0) {
        rmr_grammar_free(g);
        return st;
    }
    return rmr_constraint_new(mem, g, v, out, err);
}

#endif

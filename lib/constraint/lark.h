/* SPDX-License-Identifier: Apache-2.0 */
/* The grammars of Lark, with the additions of llguidance that people use: special tokens and
 * schemas inside. docs/constraints.md has what of it is read. */
#ifndef RMR_LARK_H
#define RMR_LARK_H

#include "grammar.h"

/* Finds the special token with this text: 1 and its number, or 0. */
typedef struct rmr_lark_tokens {
    int (*find)(void *user, const char *text, size_t n, uint32_t *id);
    void *user;
} rmr_lark_tokens;

/* A grammar with the rule `start`, finished. `tokens` may be NULL: there are none. Statuses as in
 * front_ends.h. */
remora_status rmr_lark(rmr_grammar *g, const char *src, size_t n, const rmr_lark_tokens *tokens,
                       remora_error *err);

#endif

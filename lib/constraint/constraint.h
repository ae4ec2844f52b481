/* SPDX-License-Identifier: Apache-2.0 */
/* What output may be, token by token.
 *
 * A constraint is a grammar over a vocabulary, with what has been found out about both so far; it
 * is shared by its guides. A guide has read some tokens. Token texts are joined, and the
 * grammar decides about bytes: a token may end inside a character or a lexeme. Tokens without a
 * text (special and added ones) match nothing but symbols that name them; those that end a turn are
 * allowed exactly where the text may end.
 *
 * A call that reaches a limit returns E_LIMIT, one without memory E_NOMEM; then its guide is as
 * before, and the same call may be made again. */
#ifndef RMR_CONSTRAINT_H
#define RMR_CONSTRAINT_H

#include "grammar.h"
#include "vocabulary.h"

typedef struct rmr_constraint rmr_constraint;
typedef struct rmr_guide rmr_guide;

/* Take over a finished grammar, also when the call fails. `v` and `mem` must outlive the constraint
 * and its guides. */
remora_status rmr_constraint_new(rmr_mem *mem, rmr_grammar *g, const rmr_vocabulary *v,
                                 rmr_constraint **out, remora_error *err);
/* Any thread. It lives as long as its guides do. */
void rmr_constraint_free(rmr_constraint *c);

/* A guide that has read nothing. One thread at a time; several of a constraint in any threads. */
remora_status rmr_guide_new(rmr_constraint *c, rmr_guide **out, remora_error *err);
/* A copy, which shares what was read in blocks of 64 tokens. */
remora_status rmr_guide_clone(const rmr_guide *m, rmr_guide **out, remora_error *err);
void rmr_guide_free(rmr_guide *m);

/* Which tokens may come next: bit i % 32 of word i / 32, for (n_vocab + 31) / 32 words. E_NO_TOKEN:
 * none may, because the vocabulary has no token for what the grammar wants, or the text has ended.
 */
remora_status rmr_guide_mask(rmr_guide *m, uint32_t *mask, remora_error *err);
/* Whether a token may come next: REMORA_OK or E_NO_TOKEN. Without a mask; for drafts. */
remora_status rmr_guide_allows(rmr_guide *m, remora_token t, remora_error *err);
/* Read a token. E_NO_TOKEN: it may not come here, and nothing was read. */
remora_status rmr_guide_accept(rmr_guide *m, remora_token t, remora_error *err);
/* Forget the last n tokens. E_ARG: so many were not read. */
remora_status rmr_guide_rollback(rmr_guide *m, size_t n, remora_error *err);
size_t rmr_guide_count(const rmr_guide *m); /* tokens read */
/* 1: the text may end here, and a token that ends a turn may come; 2: one has; 0: neither. */
remora_status rmr_guide_may_end(rmr_guide *m, int *end, remora_error *err);

/* The text that must come next, whatever is chosen, as the tokens that a tokenizer makes of it: up
 * to cap. The last ones are left out where another token of the vocabulary goes on beyond the
 * forced text, for the model might have taken that one. Nothing is read. */
typedef remora_status (*rmr_encode)(void *user, const char *text, size_t n, remora_token *out,
                                    size_t cap, size_t *n_out, remora_error *err);
remora_status rmr_guide_forced(rmr_guide *m, rmr_encode encode, void *user, remora_token *out,
                               size_t cap, size_t *n, remora_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of a vocabulary as a trie, built once and used by all constraints. Immutable, any
 * thread.
 *
 * Tokens are in three parts. The first two have what may stand in a JSON string as it is, whole
 * characters only: up to 10 of them, and more. Where a constraint allows all texts of that kind,
 * their tokens are allowed without a walk. */
#ifndef RMR_VOCABULARY_H
#define RMR_VOCABULARY_H

#include "tokenizer.h"

enum {
    VOCAB_SHORT,
    VOCAB_STRING,
    VOCAB_REST,
    VOCAB_PARTS,
    VOCAB_SHORT_CHARS = 10,
    VOCAB_MAX_DEPTH = 255
};
#define VOCAB_NO_TOKEN 0xFFFFFFu

/* A node, before its children: they follow it, and `skip` nodes further (or less: up to the end) is
 * what is not below it. */
typedef struct trie_node {
    uint32_t token : 24, byte : 8; /* the token that ends here, or none */
    uint32_t skip : 24, depth : 8; /* nodes of it and below; the first byte has depth 1 */
} trie_node;

typedef struct vocab_part {
    trie_node *nodes;
    uint32_t n;
    uint32_t first[257]; /* where the nodes of depth 1 with this byte begin */
    uint32_t *mask;      /* the tokens of the part, those with the same text included */
} vocab_part;

typedef struct rmr_vocabulary {
    rmr_mem *mem;
    uint32_t n_vocab, words; /* words: of 32 bits, of a mask */
    uint32_t longest;        /* bytes of the longest token that has text */
    char *bytes;
    size_t n_bytes;
    uint32_t *offsets; /* n_vocab + 1: the text of a token; empty for those that match no text */
    vocab_part parts[VOCAB_PARTS];
    remora_token *again; /* pairs: a token, and the one of the trie that has the same text */
    size_t n_again;
    remora_token *far; /* tokens too long for the trie */
    size_t n_far;
    uint32_t *ends; /* a mask: tokens that end a turn */
} rmr_vocabulary;

/* The text of a token: *n is 0 when it has none or must not match any. *end: it ends a turn. */
typedef void (*rmr_token_text)(void *user, remora_token id, const char **text, size_t *n, int *end);

/* `mem` must outlive it and be thread-safe. E_NOMEM; E_LIMIT: n_vocab or the texts are above 2^24.
 */
remora_status rmr_vocabulary_new(rmr_mem *mem, uint32_t n_vocab, rmr_token_text text, void *user,
                                 rmr_vocabulary **out, remora_error *err);
/* The vocabulary of a tokenizer: added tokens and control tokens match no text. */
remora_status rmr_vocabulary_of(rmr_mem *mem, const rmr_tokenizer *t, uint32_t n_vocab,
                                rmr_vocabulary **out, remora_error *err);
void rmr_vocabulary_free(rmr_vocabulary *v);
uint64_t rmr_vocabulary_bytes(const rmr_vocabulary *v);

static inline const char *vocab_text(const rmr_vocabulary *v, remora_token id, size_t *n)
{
    *n = v->offsets[id + 1] - v->offsets[id];
    return v->bytes + v->offsets[id];
}

#endif

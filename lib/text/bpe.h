/* SPDX-License-Identifier: Apache-2.0 */
/* Byte pair encoding of one word: the adjacent pair with the lowest rank is merged first, the
 * leftmost of equals, until no pair has a rule. */
#ifndef RMR_BPE_H
#define RMR_BPE_H

#include "mem.h"

#define RMR_BPE_NO_TOKEN UINT32_MAX /* in byte_id: no token is this byte */

typedef struct rmr_bpe_merge { /* in order of rank */
    uint32_t left, right, merged;
} rmr_bpe_merge;

typedef struct rmr_bpe_rule {
    uint32_t right, rank, merged;
} rmr_bpe_rule;

/* The rules with left token i are rules[first[i]] .. rules[first[i + 1] - 1], by right token: no
 * hashing, so no input can make a lookup slow. The arrays lie in a compiled tokenizer (compiled.c),
 * whose contents nobody has checked: every number is checked when it is used. */
typedef struct rmr_bpe {
    const uint32_t *byte_id; /* [256] */
    const uint32_t *first;   /* [n_ids + 1] */
    const rmr_bpe_rule *rules;
    uint32_t n_ids, n_rules;
} rmr_bpe;

/* The tables of rmr_bpe while they are built. */
typedef struct rmr_bpe_tables {
    uint32_t byte_id[256];
    uint32_t *first;
    rmr_bpe_rule *rules;
    uint32_t n_ids, n_rules;
} rmr_bpe_tables;

/* Memory of rmr_bpe_word, kept from word to word. */
typedef struct rmr_bpe_scratch {
    struct rmr_bpe_node *nodes;
    uint64_t *heap;
    size_t n_nodes, n_heap;
} rmr_bpe_scratch;

/* Build the tables from merges, whose ids are below n_ids. Of two merges of the same pair the later
 * one counts. byte_id is the caller's to fill. */
remora_status rmr_bpe_build(rmr_mem *mem, const rmr_bpe_merge *merges, uint32_t n, uint32_t n_ids,
                            rmr_bpe_tables *out, remora_error *err);
void rmr_bpe_free(rmr_mem *mem, rmr_bpe_tables *bpe);

/* Tokens of s[0..n) into out, which has room for n; *n_out of them, all below n_ids. Bytes without
 * a token are dropped first, so that what stood around them can merge. O(n log n). E_FORMAT: the
 * tables are damaged. */
remora_status rmr_bpe_word(rmr_mem *mem, const rmr_bpe *bpe, rmr_bpe_scratch *scratch,
                           const unsigned char *s, size_t n, int32_t *out, size_t *n_out,
                           remora_error *err);
void rmr_bpe_scratch_free(rmr_mem *mem, rmr_bpe_scratch *scratch);

#endif

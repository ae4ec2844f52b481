/* SPDX-License-Identifier: Apache-2.0 */
/* The tokenizer's inside, shared by the files that load it and the files that use it. */
#ifndef RMR_TOK_H
#define RMR_TOK_H

#include <jansson.h>

#include "added.h"
#include "bpe.h"
#include "pre.h"
#include "regex.h"
#include "tokenizer.h"

enum {
    RMR_TOK_MAX_STEPS = 32,
    RMR_TOK_MAX_PREFIX = 8,
    RMR_TOK_MAX_IDS = 1 << 24,
    RMR_TOK_MAX_FIELD = 64,
    RMR_TOK_N_SPECIAL = REMORA_SPECIAL_FIM_END + 1,
    /* Inner flags, beside REMORA_TOKEN_*: */
    RMR_TOK_PLAIN = 0x10,   /* an added token that is text: found in every text */
    RMR_TOK_ADDED = 0x20,   /* one of added_tokens: its bytes are its text */
    RMR_TOK_LITERAL = 0x40, /* in the vocabulary, but not in the byte alphabet: never encoded to */
    RMR_TOK_USED = 0x80,    /* the id has a token */
    RMR_TOK_PUBLIC = 0x07,
};

/* The ways of splitting text by a pattern. The numbers are those of compiled tokenizers. */
enum {
    RMR_STEP_LITERAL = 1, /* the pattern is a plain string */
    RMR_STEP_MATCHES = 2, /* only its matches are pieces: text between them is dropped */
    RMR_STEP_HOW = RMR_STEP_LITERAL | RMR_STEP_MATCHES,
};

/* A pattern that splits text. */
typedef struct rmr_tok_step {
    char field[RMR_TOK_MAX_FIELD]; /* the pattern's place in its file, for errors */
    char *pattern;
    size_t n;
    uint32_t how; /* RMR_STEP_* */
} rmr_tok_step;

/* Added tokens, their texts in the arena. */
typedef struct rmr_tok_added {
    rmr_added *items;
    uint32_t n;
    uint32_t first[RMR_ADDED_FIRST];
} rmr_tok_added;

/* An added token as a file has it. */
typedef struct rmr_tok_entry {
    const char *text; /* in the JSON tree it comes from */
    size_t len;
    uint32_t id;
    int special, normalized;
} rmr_tok_entry;

/* The contents of a tokenizer as its files give them, in tables of their own: rmr_tok_compile makes
 * one block of them. */
typedef struct rmr_tok_parts {
    rmr_mem *mem;
    const char *file;    /* name of the vocabulary's source in messages */
    uint32_t n_vocab;    /* ids are below this */
    uint32_t n_ids;      /* the highest id in use + 1 */
    uint32_t n_rowless;  /* added tokens that were left out: their ids are not below n_vocab */
    uint32_t n_nameless; /* tiktoken.model: ids between its words and the first that has a name */
    char *arena;         /* bytes of token i: arena[offset[i]] .. arena[offset[i + 1]] */
    uint32_t *offset;
    uint32_t arena_size;
    uint8_t *flags;
    rmr_bpe_tables bpe;
    rmr_tok_added raw;        /* added tokens looked for in the text as given */
    rmr_tok_added normalized; /* ... and in the normalizer's text of the rest */
    rmr_tok_added words;      /* ignore_merges: the vocabulary, else empty */
    int nfc;
    rmr_tok_step steps[RMR_TOK_MAX_STEPS]; /* each splits the pieces of the one before */
    size_t n_steps;
    remora_token prefix[RMR_TOK_MAX_PREFIX]; /* the tokens that REMORA_TEXT_BOS puts in front */
    size_t n_prefix;
    remora_token special[RMR_TOK_N_SPECIAL]; /* by REMORA_SPECIAL_* */
} rmr_tok_parts;

/* An open tokenizer, whose tables lie in the blob. */
struct rmr_tokenizer {
    rmr_mem *mem;
    const unsigned char *blob;
    size_t blob_size;
    int owned;
    uint32_t n_vocab, n_ids, arena_size;
    uint32_t n_rowless, n_nameless; /* 0 in one that was compiled before */
    const char *arena;
    const uint32_t *offset; /* [n_ids + 1] */
    const uint8_t *flags;   /* [n_ids] */
    rmr_bpe bpe;
    rmr_added_set raw, normalized, words;
    int any_plain; /* an added token is RMR_TOK_PLAIN */
    int nfc;
    rmr_regex *steps[RMR_TOK_MAX_STEPS];
    uint32_t matches_only; /* bit i: step i is RMR_STEP_MATCHES */
    size_t n_steps;
    remora_token prefix[RMR_TOK_MAX_PREFIX];
    size_t n_prefix;
    remora_token special[RMR_TOK_N_SPECIAL];
};

/* E_UNSUPPORTED for a vocabulary of too many. */
remora_status rmr_tok_check_size(uint32_t n_vocab, remora_error *err);

/* Begin with empty tables; special tokens are all NONE. */
void rmr_tok_begin(rmr_tok_parts *t, rmr_mem *mem, const char *file, uint32_t n_vocab);
void rmr_tok_drop(rmr_tok_parts *t);

/* A tokenizer of the parts, which stay the caller's. E_UNSUPPORTED: a pattern we do not do, or
 * tables above 4 GiB. */
remora_status rmr_tok_compile(const rmr_tok_parts *t, rmr_tokenizer **out, remora_error *err);

/* An added-token set over the parts' own tables. */
rmr_added_set rmr_tok_set(const rmr_tok_parts *t, const rmr_tok_added *a);

/* Add a pattern, which is copied. `field` names it in errors; `how`: RMR_STEP_*. */
remora_status rmr_tok_add_step(rmr_tok_parts *t, const char *field, const char *pattern, size_t n,
                               uint32_t how, remora_error *err);

/* Read model and added_tokens of tokenizer.json: everything but steps, prefix and special. */
remora_status rmr_tok_load_vocab(rmr_tok_parts *t, const json_t *root, remora_error *err);

/* Read tiktoken.model, and its special tokens from tokenizer_config.json: everything but prefix and
 * special. E_NOT_FOUND when there is no such file. */
remora_status rmr_tok_load_tiktoken(rmr_tok_parts *t, rmr_json_files *from, remora_error *err);

/* Read an object of added_tokens or added_tokens_decoder, but for its id; `where` names it in
 * errors. */
remora_status rmr_tok_read_entry(const char *file, const char *where, const json_t *v,
                                 rmr_tok_entry *e, remora_error *err);

/* Call once the arena, its offsets and the flags are filled. Makes the sets raw and normalized;
 * REMORA_TOKEN_PARTIAL; and, for ignore_merges, the set of words that are a token as they stand.
 * Added tokens are not words: text tokens among them are found before, and text must never become
 * markup. */
remora_status rmr_tok_index_added(rmr_tok_parts *t, const rmr_tok_entry *added, size_t n,
                                  remora_error *err);
void rmr_tok_mark_partial(rmr_tok_parts *t);
remora_status rmr_tok_index_words(rmr_tok_parts *t, remora_error *err);

/* Make merge rules for a vocabulary that has only ranks, which are its ids (ranks.c). The words are
 * indexed and all different. */
remora_status rmr_tok_merge_by_rank(rmr_tok_parts *t, remora_error *err);

/* Add the splits of a pre-tokenizer that has a name. */
remora_status rmr_tok_add_pre(rmr_tok_parts *t, const char *field, const rmr_pre *pre,
                              remora_error *err);

/* The tree of tokenizer_config.json, borrowed; NULL when there is no such file. */
remora_status rmr_tok_config(rmr_json_files *from, json_t **root, remora_error *err);

/* Read normalizer, pre_tokenizer, decoder and post_processor. */
remora_status rmr_tok_load_pipeline(rmr_tok_parts *t, const json_t *root, remora_error *err);

/* Read tokenizer_config.json, generation_config.json and config.json; then find the well-known
 * tokens. */
remora_status rmr_tok_load_config(rmr_tok_parts *t, rmr_json_files *from, remora_error *err);

/* Call once special and all flags are set: special tokens become control tokens, the well-known
 * ones are found, and plain text among the added tokens is told from markup. */
void rmr_tok_finish(rmr_tok_parts *t);

/* The id of a token by its text, or REMORA_TOKEN_NONE. Added tokens only. */
remora_token rmr_tok_find(const rmr_tok_parts *t, const char *text, size_t n);

#endif

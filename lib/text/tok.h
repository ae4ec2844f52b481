/* The tokenizer's inside, shared by the files that load it and the files that use it. */
#ifndef RMR_TOK_H
#define RMR_TOK_H

#include <jansson.h>

#include "added.h"
#include "bpe.h"
#include "regex.h"
#include "tokenizer.h"

enum {
    RMR_TOK_MAX_STEPS = 32,
    RMR_TOK_MAX_PREFIX = 8,
    RMR_TOK_MAX_IDS = 1 << 24,
    RMR_TOK_N_SPECIAL = REMORA_SPECIAL_FIM_END + 1,
    /* Inner flags, beside REMORA_TOKEN_*: */
    RMR_TOK_ADDED = 0x20,   /* one of added_tokens: its bytes are its text */
    RMR_TOK_LITERAL = 0x40, /* in the vocabulary, but not in the byte alphabet: never encoded to */
    RMR_TOK_USED = 0x80,    /* the id means something */
    RMR_TOK_PUBLIC = 0x07,
};

struct rmr_tokenizer {
    rmr_mem *mem;
    uint32_t n_vocab; /* ids are below this */
    uint32_t n_ids;   /* the highest id in use + 1 */
    char *arena;      /* bytes of token i: arena[offset[i]] .. arena[offset[i + 1]] */
    uint32_t *offset;
    uint32_t arena_size;
    uint8_t *flags;
    rmr_bpe bpe;
    rmr_added_set raw;        /* added tokens looked for in the text as given */
    rmr_added_set normalized; /* ... and in what the normalizer makes of the rest */
    rmr_added_set words;      /* ignore_merges: the vocabulary, else empty */
    int nfc;
    rmr_regex *steps[RMR_TOK_MAX_STEPS]; /* each splits the pieces of the one before */
    size_t n_steps;
    remora_token prefix[RMR_TOK_MAX_PREFIX]; /* what REMORA_TEXT_BOS puts in front */
    size_t n_prefix;
    remora_token special[RMR_TOK_N_SPECIAL]; /* by REMORA_SPECIAL_* */
};

/* model and added_tokens of tokenizer.json: everything but steps, prefix and special. */
remora_status rmr_tok_load_vocab(rmr_tokenizer *t, const json_t *root, remora_error *err);

/* normalizer, pre_tokenizer, decoder and post_processor. */
remora_status rmr_tok_load_pipeline(rmr_tokenizer *t, const json_t *root, remora_error *err);

/* tokenizer_config.json, generation_config.json and config.json; then the well-known tokens. */
remora_status rmr_tok_load_config(rmr_tokenizer *t, rmr_source *src, remora_error *err);

/* The id of a token by its text, or REMORA_TOKEN_NONE. Added tokens only. */
remora_token rmr_tok_find(const rmr_tokenizer *t, const char *text, size_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The patterns by which pre-tokenizers split text, under the names that GGUF files have for them.
 */
#ifndef RMR_PRE_H
#define RMR_PRE_H

#include <stddef.h>

/* GPT-2's pattern, which ByteLevel of tokenizer.json has too. */
#define RMR_PRE_GPT2                                                                               \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

typedef struct rmr_pre {
    const char *name;            /* tokenizer.ggml.pre */
    const char *const *patterns; /* each splits the pieces of the one before; then NULL */
    int nfc;                     /* the normalizer */
    int whole;                   /* ignore_merges */
    int bos;                     /* BOS goes in front when add_bos_token is absent */
} rmr_pre;

/* Find the patterns of a name. NULL: not known. An empty name is "default". */
const rmr_pre *rmr_pre_find(const char *name, size_t n);

/* 1 for the patterns of files that do not say how their model splits text. */
int rmr_pre_is_guess(const rmr_pre *pre);

#endif

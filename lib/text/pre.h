/* How pre-tokenizers split text, by the names that GGUF files have for them. */
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
    int bos;                     /* goes in front when add_bos_token is silent */
} rmr_pre;

/* NULL: not known. An empty name is "default". */
const rmr_pre *rmr_pre_find(const char *name, size_t n);

/* Is it the one for files that do not say how their model splits text? */
int rmr_pre_is_guess(const rmr_pre *pre);

#endif

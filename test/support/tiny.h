/* SPDX-License-Identifier: Apache-2.0 */
/* A whole model in memory, made up on the spot: random weights, every part of a DeepSeek model and
 * a byte-level tokenizer, about 100 kB. What must hold for any model is tested on it, quickly and
 * without files. */
#ifndef TINY_H
#define TINY_H

#include <remora/remora.h>
#include <stddef.h>

/* In which form the model is published. */
typedef enum tiny_form {
    TINY_PLAIN,
    TINY_BARE, /* names without "model." */
    TINY_SEES, /* the text part of a model with images, as Kimi-K2.5 */
    TINY_FUSED /* the experts of a layer in two tensors */
} tiny_form;

/* The zero value is a V3: query bottleneck, groups of experts by sigmoid with bias, YaRN. */
typedef struct tiny_opts {
    int v2;            /* V2-Lite instead: no query bottleneck, softmax greedy, plain rope */
    const char *dense; /* instead a dense model with grouped attention: "llama" (tied head, biases
                          everywhere, llama3 scaling), "qwen2" (biases of q, k, v) or "qwen3" (norms
                          over heads, YaRN) */
    int interleave;    /* of those: rope_interleave */
    const char *dtype; /* "BF16" (also NULL), "F16" or "F32" */
    uint32_t layers;   /* 0: 3, the first one dense */
    uint32_t context;  /* 0: 2048 */
    uint32_t vocab;    /* rows of embedding and head, at least TINY_TEXT_VOCAB; 0: that */
    uint32_t width;    /* hidden size, 0: 40 */
    uint32_t rank;     /* of the latent, 0: 24 */
    int no_tokenizer;
    int tiktoken; /* tiktoken.model in place of tokenizer.json: the same tokens, Kimi's pattern */
    int advice;   /* generation_config.json, and templates of conversations */
    tiny_form form;
} tiny_opts;

enum {
    TINY_TEXT_VOCAB = 272, /* byte b is token b; 256.. are merges, then these: */
    TINY_BOS = 264,
    TINY_EOS = 265,
    TINY_CONTROL = 266
};

typedef struct tiny {
    remora_blob blobs[5]; /* config.json, model.safetensors, the tokenizer, its config, advice */
    uint64_t n;
    remora_source source; /* of kind MEMORY, over the blobs */
} tiny;

/* o may be NULL. Same options, same bytes. */
void tiny_make(tiny *t, const tiny_opts *o);
void tiny_free(tiny *t);

/* The same files in a new folder under /tmp, whose path goes to `path`. */
void tiny_folder_make(const tiny *t, char *path, size_t cap);
void tiny_folder_free(const tiny *t, const char *path);

/* The blob of that name. */
const remora_blob *tiny_blob(const tiny *t, const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Layout of the 8-bit latent cache: one layer's part of a page, 32 tokens.
 *
 * Codes. Columns come in blocks, each with a scale per token: the latent in blocks of 256, then the
 * rope key twice, as 128 times its high part and as its low part, for it decides where attention
 * looks (docs/quality.md). Latent and rope key are each padded with zeros to a multiple of 16
 * columns. For each 16 columns and 4 tokens there are 64 bytes: for each 4 of the columns 16 bytes,
 * of each token the 4 codes next to each other. So 4 bytes are one token's part of a dot product
 * over columns, and 16 bytes with rows and columns exchanged are parts of sums over tokens. The
 * eight 64 bytes of 16 columns lie next to each other.
 *
 * Behind them, for each block: float scale[32]; then for each block: int32 sum[32], of the codes.
 */
#ifndef RMR_KV8_H
#define RMR_KV8_H

#include <stddef.h>
#include <stdint.h>

enum { RMR_KV8_TOKENS = 32, RMR_KV8_SEG = 256, RMR_KV8_BLOCK = 256, RMR_KV8_LOW = 128 };

typedef struct rmr_kv8 {
    uint32_t rank, rope;            /* columns of a row */
    uint32_t latent_cols;           /* rank, padded */
    uint32_t rope_cols;             /* rope, padded */
    uint32_t latent_blocks, blocks; /* blocks: two more, for the rope key */
} rmr_kv8;

static inline rmr_kv8 rmr_kv8_of(uint32_t rank, uint32_t rope)
{
    const uint32_t n = (rank + RMR_KV8_BLOCK - 1) / RMR_KV8_BLOCK;
    return (rmr_kv8){rank, rope, (rank + 15) / 16 * 16, (rope + 15) / 16 * 16, n, n + 2};
}

/* Columns of codes, and of a quantised query, which has the rope part once. */
static inline uint32_t rmr_kv8_cols(const rmr_kv8 *g)
{
    return g->latent_cols + 2 * g->rope_cols;
}

static inline uint32_t rmr_kv8_query_cols(const rmr_kv8 *g)
{
    return g->latent_cols + g->rope_cols;
}

/* The first code column of block i; of i = blocks the end. */
static inline uint32_t rmr_kv8_start(const rmr_kv8 *g, uint32_t i)
{
    if (i >= g->latent_blocks) return g->latent_cols + (i - g->latent_blocks) * g->rope_cols;
    return i * RMR_KV8_BLOCK;
}

/* Place in the codes of token t, column c; 4 columns from a multiple of 4 on are next to each
 * other. */
static inline size_t rmr_kv8_at(uint32_t t, uint32_t c)
{
    return (size_t)(c / 16) * (16 * RMR_KV8_TOKENS) + t / 4 * 64 + c % 16 / 4 * 16 + t % 4 * 4 +
           c % 4;
}

static inline size_t rmr_kv8_codes(const rmr_kv8 *g)
{
    return (size_t)rmr_kv8_cols(g) * RMR_KV8_TOKENS;
}

/* Bytes of one layer: a multiple of 64. */
static inline size_t rmr_kv8_bytes(const rmr_kv8 *g)
{
    return rmr_kv8_codes(g) + (size_t)g->blocks * RMR_KV8_TOKENS * 8;
}

static inline const float *rmr_kv8_scale(const rmr_kv8 *g, const uint8_t *layer, uint32_t block)
{
    return (const float *)(const void *)(layer + rmr_kv8_codes(g)) + (size_t)block * RMR_KV8_TOKENS;
}

static inline const int32_t *rmr_kv8_sum(const rmr_kv8 *g, const uint8_t *layer, uint32_t block)
{
    return (const int32_t *)(const void *)rmr_kv8_scale(g, layer, g->blocks + block);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers from tiktoken.model for tests and the fuzz target, and what tiktoken makes of a word,
 * written the slow way. */
#ifndef TIK_FIXTURE_H
#define TIK_FIXTURE_H

#include "tikw.h"
#include "tok_fixture.h"

/* `config`: tokenizer_config.json, or NULL for none. `more` is a further file. */
static inline remora_status tik_open(rmr_mem *mem, const tik *f, const char *config,
                                     const fix_file *more, uint32_t n_vocab, rmr_tokenizer **out,
                                     remora_error *err)
{
    remora_blob blobs[3] = {{"tiktoken.model", f->text, f->n}};
    uint64_t n = 1;
    rmr_source *src = NULL;
    if (config != NULL) blobs[n++] = (remora_blob){"tokenizer_config.json", config, strlen(config)};
    if (more != NULL) blobs[n++] = (remora_blob){more->name, more->text, strlen(more->text)};
    const remora_source desc = {
        .struct_size = sizeof desc, .kind = REMORA_SOURCE_MEMORY, .blobs = blobs, .n_blobs = n};
    *out = NULL;
    remora_status st = rmr_source_open(mem, &desc, 0, &src, err);
    if (st >= 0) st = tokenizer_of(mem, src, n_vocab, out, err);
    rmr_source_free(src);
    return st;
}

/* The token of these bytes among the first n_words, or n_words. */
static inline uint32_t tik_find(const rmr_tokenizer *t, uint32_t n_words, const char *s, size_t n)
{
    for (uint32_t id = 0; id < n_words; id++) {
        const char *bytes;
        size_t k;
        if (rmr_tokenizer_bytes(t, (remora_token)id, &bytes, &k, NULL) >= 0 && k == n &&
            memcmp(bytes, s, n) == 0)
            return id;
    }
    return n_words;
}

/* tiktoken's ids of one word of n >= 1 bytes, into out[n]; their number. The word itself where it
 * is a token; else, until no two neighbours together are one, those that make the lowest rank, the
 * leftmost of them, become one. */
static inline size_t tik_encode(const rmr_tokenizer *t, uint32_t n_words, const char *s, size_t n,
                                remora_token *out)
{
    size_t cuts[64], parts = n; /* part i: s[cuts[i]] .. s[cuts[i + 1]] */
    if (n > 63) abort();
    for (size_t i = 0; i <= n; i++) cuts[i] = i;
    if (tik_find(t, n_words, s, n) < n_words) parts = 1, cuts[1] = n;
    while (parts > 1) {
        uint32_t low = n_words;
        size_t at = 0;
        for (size_t i = 0; i + 1 < parts; i++) {
            const uint32_t id = tik_find(t, low, s + cuts[i], cuts[i + 2] - cuts[i]);
            if (id < low) low = id, at = i;
        }
        if (low == n_words) break;
        memmove(&cuts[at + 1], &cuts[at + 2], (parts - at - 1) * sizeof cuts[0]);
        parts--;
    }
    for (size_t i = 0; i < parts; i++)
        out[i] = (remora_token)tik_find(t, n_words, s + cuts[i], cuts[i + 1] - cuts[i]);
    return parts;
}

#endif

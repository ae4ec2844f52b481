/* SPDX-License-Identifier: Apache-2.0 */
/* Small tokenizers written as JSON, and ways to open them, for the tests and fuzz targets of the
 * text module. The ids of the fixture: byte b is token b, everything else from 256 on. */
#ifndef TOK_FIXTURE_H
#define TOK_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tmem.h"
#include "tokenizer_of.h"
#include "utf8.h"

/* JSON fragments; NULL takes the default. */
typedef struct fix {
    const char *vocab;  /* further entries, each `,"x":256` */
    const char *merges; /* list items */
    const char *added;  /* list items */
    const char *normalizer, *pre, *decoder, *post;
    const char *model; /* further fields, each `,"x":1` */
} fix;

#define FIX_BYTE_LEVEL "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
#define FIX_SPLIT(regex)                                                                           \
    "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":"        \
    "\"" regex "\"},\"behavior\":\"Isolated\",\"invert\":false}," FIX_BYTE_LEVEL "]}"

static inline const char *fix_or(const char *s, const char *fallback)
{
    return s != NULL ? s : fallback;
}

/* The code point of byte b in the byte-level alphabet. */
static inline uint32_t fix_alphabet(unsigned b)
{
    if ((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174) return b;
    return 256 + (b <= 32 ? b : b <= 160 ? b - 127 + 33 : 67);
}

/* The tokenizer.json; the caller frees it. */
static inline char *fix_json(const fix *f)
{
    const size_t cap = 16384 + (f->vocab ? strlen(f->vocab) : 0) +
                       (f->merges ? strlen(f->merges) : 0) + (f->added ? strlen(f->added) : 0) +
                       (f->pre ? strlen(f->pre) : 0);
    char *s = malloc(cap);
    size_t n = (size_t)snprintf(
        s, cap,
        "{\"added_tokens\":[%s],\"normalizer\":%s,\"pre_tokenizer\":%s,\"decoder\":%s,"
        "\"post_processor\":%s,\"model\":{\"type\":\"BPE\"%s,\"merges\":[%s],\"vocab\":{",
        fix_or(f->added, ""), fix_or(f->normalizer, "null"), fix_or(f->pre, FIX_BYTE_LEVEL),
        fix_or(f->decoder, "{\"type\":\"ByteLevel\"}"), fix_or(f->post, "null"),
        fix_or(f->model, ""), fix_or(f->merges, ""));
    for (unsigned b = 0; b < 256; b++) {
        char name[8] = {0};
        size_t len = rmr_utf8_put(fix_alphabet(b), (unsigned char *)name);
        if (b == '"' || b == '\\') {
            name[1] = name[0];
            name[0] = '\\';
            name[len + 1] = 0;
        }
        n += (size_t)snprintf(s + n, cap - n, "%s\"%s\":%u", b > 0 ? "," : "", name, b);
    }
    snprintf(s + n, cap - n, "%s}}}", fix_or(f->vocab, ""));
    return s;
}

static inline rmr_mem fix_mem(tmem *t)
{
    rmr_mem m = {.user = t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    rmr_mem_init(&m);
    return m;
}

typedef struct fix_file {
    const char *name, *text;
} fix_file;

/* Open a tokenizer from files in memory; entries without a text are left out. */
static inline remora_status fix_open_files(rmr_mem *mem, const fix_file *files, size_t n,
                                           uint32_t n_vocab, rmr_tokenizer **out, remora_error *err)
{
    remora_blob blobs[8];
    uint64_t k = 0;
    for (size_t i = 0; i < n && k < 8; i++)
        if (files[i].text != NULL)
            blobs[k++] = (remora_blob){files[i].name, files[i].text, strlen(files[i].text)};
    const remora_source desc = {
        .struct_size = sizeof desc, .kind = REMORA_SOURCE_MEMORY, .blobs = blobs, .n_blobs = k};
    rmr_source *src = NULL;
    *out = NULL;
    remora_status st = rmr_source_open(mem, &desc, 0, &src, err);
    if (st >= 0) st = tokenizer_of(mem, src, n_vocab, out, err);
    rmr_source_free(src);
    return st;
}

static inline remora_status fix_open(rmr_mem *mem, const fix *f, rmr_tokenizer **out,
                                     remora_error *err)
{
    char *json = fix_json(f);
    const fix_file file = {"tokenizer.json", json};
    const remora_status st = fix_open_files(mem, &file, 1, 4096, out, err);
    free(json);
    return st;
}

/* A folder of REMORA_MODELS. E_NOT_FOUND when the variable is not set or there is no such folder.
 */
static inline remora_status fix_open_model(rmr_mem *mem, const char *name, uint32_t n_vocab,
                                           rmr_tokenizer **out, remora_error *err)
{
    char path[1024];
    const char *root = getenv("REMORA_MODELS");
    *out = NULL;
    if (root == NULL) return REMORA_E_NOT_FOUND;
    snprintf(path, sizeof path, "%s/%s", root, name);
    const remora_source desc = {
        .struct_size = sizeof desc, .kind = REMORA_SOURCE_PATH, .path = path};
    rmr_source *src = NULL;
    remora_status st = rmr_source_open(mem, &desc, 1, &src, err);
    if (st >= 0) st = tokenizer_of(mem, src, n_vocab, out, err);
    rmr_source_free(src);
    return st;
}

/* The seeded generator of all random tests. */
static inline uint32_t fix_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

#endif

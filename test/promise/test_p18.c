/* SPDX-License-Identifier: Apache-2.0 */
/* P18: a model opens from a path, from memory, or through host callbacks, with identical logits;
 * likewise from shards, from any one of its files, and with mapping forbidden. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "host.h"
#include "tiny.h"

enum { N = 48 };

typedef struct expected {
    remora_token ids[N];
    float *logits;
    remora_model_info info;
    remora_token words[N]; /* of `sentence` */
    size_t n_words;
} expected;

static const char sentence[] = "the other <c2> ran 12 \xff";

static size_t words_of(const remora_model *m, remora_token *out)
{
    size_t n = 0;
    (void)remora_tokenize(m, sentence, sizeof sentence - 1, REMORA_TEXT_SPECIAL, out, N, &n, NULL);
    return n; /* 0: no tokenizer */
}

static remora_model *open_with(tmem *mem, const remora_source *src, uint32_t flags)
{
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    const remora_model_opts o = {.struct_size = sizeof o, .flags = flags};
    remora_runtime *rt = host_runtime(mem, 2, NULL);
    REQUIRE_OK(remora_model_open(rt, src, &o, &m, &err), &err);
    remora_runtime_free(rt);
    return m;
}

static void expect_from(expected *e, const remora_source *src)
{
    remora_model *m = open_with(NULL, src, 0);
    e->info = (remora_model_info){.struct_size = sizeof e->info};
    assert_int_equal(remora_model_get_info(m, &e->info, NULL), REMORA_OK);
    host_ids(e->ids, N, e->info.n_vocab, 12);
    e->logits = host_logits(m, e->ids, N);
    e->n_words = words_of(m, e->words);
    remora_model_free(m);
}

static void same(const expected *e, const remora_source *src, uint32_t flags)
{
    tmem mem = {0};
    remora_model *m = open_with(&mem, src, flags);
    remora_model_info i = {.struct_size = sizeof i};
    assert_int_equal(remora_model_get_info(m, &i, NULL), REMORA_OK);
    i.weight_bytes = e->info.weight_bytes; /* a table may have to be copied when unaligned */
    assert_memory_equal(&i, &e->info, sizeof i);
    float *got = host_logits(m, e->ids, N);
    assert_memory_equal(got, e->logits, (size_t)N * i.n_vocab * sizeof *got);
    free(got);
    remora_token words[N];
    assert_int_equal(words_of(m, words), e->n_words);
    assert_memory_equal(words, e->words, e->n_words * sizeof *words);
    remora_model_free(m);
    assert_int_equal(atomic_load(&mem.bytes), 0);
}

static remora_source path_source(const char *path)
{
    return (remora_source){
        .struct_size = sizeof(remora_source), .kind = REMORA_SOURCE_PATH, .path = path};
}

/* All ways to the same blobs. */
static void three_ways(const tiny *t)
{
    char folder[64], file[128];
    expected e;
    host_io io = {.blobs = t->blobs, .n = t->n};
    tiny_folder_make(t, folder, sizeof folder);
    const remora_source cb = host_io_source(&io), path = path_source(folder);
    expect_from(&e, &t->source);
    same(&e, &t->source, REMORA_MODEL_NO_MMAP);
    same(&e, &cb, 0);
    assert_true(atomic_load(&io.calls) > 10);
    same(&e, &cb, REMORA_MODEL_NO_MMAP);
    same(&e, &path, 0);
    same(&e, &path, REMORA_MODEL_NO_MMAP);
    for (uint64_t i = 0; i < t->n; i++) { /* the path of a file means its folder */
        snprintf(file, sizeof file, "%s/%s", folder, t->blobs[i].name);
        const remora_source one = path_source(file);
        same(&e, &one, 0);
    }
    free(e.logits);
    tiny_folder_free(t, folder);
}

static void made_up(void **state)
{
    static const char *const dtypes[] = {"BF16", "F16", "F32"};
    (void)state;
    for (int i = 0; i < 3; i++)
        for (int v2 = 0; v2 < 2; v2++) {
            tiny t;
            tiny_make(&t, &(tiny_opts){.dtype = dtypes[i], .v2 = v2});
            three_ways(&t);
            tiny_free(&t);
        }
}

static void tiktoken(void **state)
{
    tiny t;
    (void)state;
    tiny_make(&t, &(tiny_opts){.tiktoken = 1});
    three_ways(&t);
    tiny_free(&t);
}

/* Blobs that lie at any address, aligned or not, in any order. */
static void any_alignment(void **state)
{
    tiny t;
    expected e;
    (void)state;
    tiny_make(&t, NULL);
    expect_from(&e, &t.source);
    const remora_blob *w = tiny_blob(&t, "model.safetensors");
    unsigned char *room = malloc(w->size + 64);
    assert_non_null(room);
    for (size_t shift = 0; shift < 9; shift++) {
        remora_blob blobs[4];
        for (uint64_t i = 0; i < t.n; i++) blobs[t.n - 1 - i] = t.blobs[i];
        for (uint64_t i = 0; i < t.n; i++)
            if (strcmp(blobs[i].name, w->name) == 0) blobs[i].data = room + shift;
        memmove(room + shift, w->data, w->size);
        remora_source src = t.source;
        src.blobs = blobs;
        same(&e, &src, 0);
    }
    free(room);
    free(e.logits);
    tiny_free(&t);
}

/* The checkpoint cut into two shards with an index: tensors that begin before the middle, and the
 * others. The header of a made-up checkpoint is regular enough to be cut by hand. */
static void shards(void **state)
{
    tiny t;
    expected e;
    (void)state;
    tiny_make(&t, NULL);
    expect_from(&e, &t.source);
    const remora_blob *w = tiny_blob(&t, "model.safetensors");
    const unsigned char *file = w->data;
    uint64_t header;
    memcpy(&header, file, 8);
    char *text = malloc((size_t)header + 1), *index = malloc((size_t)header * 2 + 64);
    unsigned char *shard[2] = {malloc(w->size + 8), malloc(w->size + 8)};
    char *head[2] = {calloc(1, (size_t)header + 16), calloc(1, (size_t)header + 16)};
    assert_true(text && index && shard[0] && shard[1] && head[0] && head[1]);
    memcpy(text, file + 8, (size_t)header);
    text[header] = 0;
    unsigned long long cut = 0, from, to;
    size_t at = (size_t)sprintf(index, "{\"weight_map\":{");
    for (char *p = text + 1, *end; *p == '"' && (end = strchr(p, '}')) != NULL; p = end + 2) {
        char name[128], rest[64];
        assert_int_equal(sscanf(p, "\"%127[^\"]\":%63[^[][", name, rest), 2);
        const char *off = strstr(p, "\"data_offsets\":[");
        assert_int_equal(sscanf(off + 16, "%llu,%llu]", &from, &to), 2);
        const int k = from >= (w->size - 8 - header) / 2;
        if (k == 0) cut = to;
        const unsigned long long base = k ? cut : 0;
        sprintf(head[k] + strlen(head[k]), "%s%.*s[%llu,%llu]}", head[k][0] ? "," : "{",
                (int)(off + 15 - p), p, from - base, to - base);
        at += (size_t)sprintf(index + at, "%s\"%s\":\"part-%d.safetensors\"",
                              index[at - 1] == '{' ? "" : ",", name, k);
    }
    sprintf(index + at, "}}");
    remora_blob blobs[6];
    uint64_t n = 0;
    for (uint64_t i = 0; i < t.n; i++)
        if (&t.blobs[i] != w) blobs[n++] = t.blobs[i];
    for (int k = 0; k < 2; k++) {
        strcat(head[k], "}");
        while (strlen(head[k]) % 8 != 0) strcat(head[k], " ");
        const uint64_t len = strlen(head[k]), body = k ? w->size - 8 - header - cut : cut;
        memcpy(shard[k], &len, 8);
        memcpy(shard[k] + 8, head[k], (size_t)len);
        memcpy(shard[k] + 8 + len, file + 8 + header + (k ? cut : 0), (size_t)body);
        blobs[n++] = (remora_blob){k ? "part-1.safetensors" : "part-0.safetensors", shard[k],
                                   8 + len + body};
    }
    blobs[n++] = (remora_blob){"model.safetensors.index.json", index, strlen(index)};
    const remora_source src = {
        .struct_size = sizeof src, .kind = REMORA_SOURCE_MEMORY, .blobs = blobs, .n_blobs = n};
    same(&e, &src, 0);
    for (int k = 0; k < 2; k++) {
        free(shard[k]);
        free(head[k]);
    }
    free(index);
    free(text);
    free(e.logits);
    tiny_free(&t);
}

/* A real layout, and what a memory source costs: the weights once, in compute layout. */
static void fixture(void **state)
{
    char folder[1024], name[1200];
    expected e;
    remora_blob blobs[2];
    (void)state;
    assert_true(host_folder(folder, sizeof folder, "fixtures/v3"));
    static const char *const files[] = {"config.json", "model.safetensors"};
    for (int i = 0; i < 2; i++) {
        size_t size;
        snprintf(name, sizeof name, "%s/%s", folder, files[i]);
        unsigned char *data = host_file(name, &size);
        assert_non_null(data);
        blobs[i] = (remora_blob){files[i], data, size};
    }
    const remora_source path = path_source(folder), mem = {.struct_size = sizeof mem,
                                                           .kind = REMORA_SOURCE_MEMORY,
                                                           .blobs = blobs,
                                                           .n_blobs = 2};
    host_io io = {.blobs = blobs, .n = 2};
    const remora_source cb = host_io_source(&io);
    expect_from(&e, &path);
    same(&e, &path, REMORA_MODEL_NO_MMAP);
    same(&e, &mem, 0);
    same(&e, &cb, 0);
    free(e.logits);
    for (int i = 0; i < 2; i++) free((void *)(uintptr_t)blobs[i].data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_up),
        cmocka_unit_test(tiktoken),
        cmocka_unit_test(any_alignment),
        cmocka_unit_test(shards),
    };
    const struct CMUnitTest model_tests[] = {cmocka_unit_test(fixture)};
    return RUN_GROUPS("P18", tests, model_tests);
}

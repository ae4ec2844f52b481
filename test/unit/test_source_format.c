/* SPDX-License-Identifier: Apache-2.0 */
/* A format that is not the library's own: models whose tensors are arrays of numpy
 * (test/support/format_npy.c). Whatever the library does with a model it does with these, and the
 * results are those of the folder with the same tensors, to the bit. */
#define _POSIX_C_SOURCE 200809L /* strdup */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "format_npy.h"
#include "groups.h"
#include "host.h"
#include "runtime.h"
#include "tiny.h"

enum { MAX_FILES = 4096, N_IDS = 41 };

static const rmr_format *const with_npy[] = {&format_npy, &rmr_format_pack, &rmr_format_gguf,
                                             &rmr_format_hf, NULL};

static remora_runtime *runtime(tmem *t, int threads)
{
    remora_runtime *rt = host_runtime(t, threads, NULL);
    rt->formats = with_npy;
    return rt;
}

/* ---- a folder of safetensors as a folder of arrays ---- */

typedef struct arrays {
    remora_blob blobs[MAX_FILES];
    char *own[MAX_FILES][2]; /* of a blob: its name and its data */
    uint64_t n;
    remora_source source;
} arrays;

static void add_file(arrays *a, char *name, char *data, size_t size)
{
    assert_true(a->n < MAX_FILES);
    a->own[a->n][0] = name;
    a->own[a->n][1] = data;
    a->blobs[a->n++] = (remora_blob){name, data, size};
}

/* What numpy.save writes. */
static void add_array(arrays *a, const char *name, const json_t *t, const char *data)
{
    const char *dtype = json_string_value(json_object_get(t, "dtype"));
    const json_t *shape = json_object_get(t, "shape"), *at = json_object_get(t, "data_offsets");
    const json_int_t from = json_integer_value(json_array_get(at, 0)),
                     to = json_integer_value(json_array_get(at, 1));
    char header[256];
    int n = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (",
                     strcmp(dtype, "BF16") == 0  ? "<V2"
                     : strcmp(dtype, "F16") == 0 ? "<f2"
                                                 : "<f4");
    for (size_t i = 0; i < json_array_size(shape); i++)
        n += snprintf(header + n, sizeof header - (size_t)n, "%lld, ",
                      (long long)json_integer_value(json_array_get(shape, i)));
    n += snprintf(header + n, sizeof header - (size_t)n, "), }");
    while ((n + 10 + 1) % 64 != 0) header[n++] = ' ';
    header[n++] = '\n';
    const size_t size = 10 + (size_t)n + (size_t)(to - from);
    char *file = malloc(size), *full = malloc(strlen(name) + 5);
    memcpy(file, "\x93NUMPY\x01\0", 8);
    file[8] = (char)(n & 255);
    file[9] = (char)(n >> 8);
    memcpy(file + 10, header, (size_t)n);
    memcpy(file + 10 + n, data + from, (size_t)(to - from));
    sprintf(full, "%s.npy", name);
    add_file(a, full, file, size);
}

static arrays *arrays_make(const remora_blob *files, uint64_t n_files)
{
    arrays *a = calloc(1, sizeof *a);
    for (uint64_t i = 0; i < n_files; i++) {
        const remora_blob *b = &files[i];
        uint64_t n;
        const char *name;
        json_t *t;
        if (strcmp(b->name, "model.safetensors") != 0) {
            add_file(a, strdup(b->name), memcpy(malloc(b->size), b->data, b->size), b->size);
            continue;
        }
        memcpy(&n, b->data, 8);
        json_t *header = json_loadb((const char *)b->data + 8, (size_t)n, 0, NULL);
        assert_non_null(header);
        json_object_foreach(header, name, t) if (strcmp(name, "__metadata__") != 0)
            add_array(a, name, t, (const char *)b->data + 8 + n);
        json_decref(header);
    }
    a->source = (remora_source){.struct_size = sizeof a->source,
                                .kind = REMORA_SOURCE_MEMORY,
                                .blobs = a->blobs,
                                .n_blobs = a->n};
    return a;
}

static void arrays_free(arrays *a)
{
    for (uint64_t i = 0; i < a->n; i++) {
        free(a->own[i][0]);
        free(a->own[i][1]);
    }
    free(a);
}

static remora_blob *find_file(arrays *a, const char *name)
{
    for (uint64_t i = 0; i < a->n; i++)
        if (strcmp(a->blobs[i].name, name) == 0) return &a->blobs[i];
    fail_msg("there is no %s", name);
    return NULL;
}

/* ---- the same model ---- */

static void same(const char *what, const remora_source *folder, const remora_source *npy)
{
    remora_model_info info[2] = {{.struct_size = sizeof info[0]}, {.struct_size = sizeof info[0]}};
    const remora_source *sources[] = {folder, npy};
    remora_runtime *rt = runtime(NULL, 2);
    remora_token ids[N_IDS];
    float *logits[2];
    for (int i = 0; i < 2; i++) {
        remora_model *m = host_open(rt, sources[i]);
        assert_int_equal(remora_model_get_info(m, &info[i], NULL), REMORA_OK);
        host_ids(ids, N_IDS, info[i].n_vocab, 1);
        logits[i] = host_logits(m, ids, N_IDS);
        remora_model_free(m);
    }
    if (memcmp(logits[0], logits[1], N_IDS * (size_t)info[0].n_vocab * sizeof(float)) != 0)
        fail_msg("%s: other logits", what);
    assert_memory_equal(&info[0], &info[1], sizeof info[0]); /* with the fingerprint */
    free(logits[0]);
    free(logits[1]);
    remora_runtime_free(rt);
}

static const tiny_opts kinds[] = {{0},
                                  {.v2 = 1, .dtype = "F16"},
                                  {.dtype = "F32", .tiktoken = 1},
                                  {.dense = "llama"},
                                  {.dense = "qwen2", .dtype = "F16"},
                                  {.dense = "qwen3", .no_tokenizer = 1}};

static void logits_are_the_folders(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        tiny t;
        char what[16];
        tiny_make(&t, &kinds[i]);
        arrays *a = arrays_make(t.blobs, t.n);
        snprintf(what, sizeof what, "kind %zu", i);
        same(what, &t.source, &a->source);
        arrays_free(a);
        tiny_free(&t);
    }
}

/* Read, not mapped: the host's callbacks cannot list files, so this is a folder on disk. */
static void folders_on_disk(void **state)
{
    tiny t;
    char path[HOST_DIR];
    (void)state;
    tiny_make(&t, &kinds[0]);
    arrays *a = arrays_make(t.blobs, t.n);
    host_dir_make(path);
    for (uint64_t i = 0; i < a->n; i++) {
        char file[512];
        snprintf(file, sizeof file, "%s/%s", path, a->blobs[i].name);
        FILE *f = fopen(file, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(a->blobs[i].data, 1, a->blobs[i].size, f), a->blobs[i].size);
        fclose(f);
    }
    const remora_source src = host_path_source(path);
    same("on disk", &t.source, &src);
    for (uint64_t i = 0; i < a->n; i++) {
        char file[512];
        snprintf(file, sizeof file, "%s/%s", path, a->blobs[i].name);
        remove(file);
    }
    remove(path);
    arrays_free(a);
    tiny_free(&t);
}

/* The converter makes the same file of both. */
static void packs_are_the_folders(void **state)
{
    char dir[HOST_DIR], path[2][64];
    unsigned char *file[2];
    size_t size[2];
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    arrays *a = arrays_make(t.blobs, t.n);
    const remora_source *sources[] = {&t.source, &a->source};
    remora_runtime *rt = runtime(NULL, 2);
    host_dir_make(dir);
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%s/%d.remora", dir, i);
        host_convert(rt, sources[i], path[i], "q8", 0);
        file[i] = host_file(path[i], &size[i]);
        assert_non_null(file[i]);
        remove(path[i]);
    }
    remove(dir);
    assert_int_equal(size[0], size[1]);
    assert_memory_equal(file[0], file[1], size[0]);
    free(file[0]);
    free(file[1]);
    remora_runtime_free(rt);
    arrays_free(a);
    tiny_free(&t);
}

/* ---- what is wrong is named ---- */

static void expect(remora_runtime *rt, const arrays *a, remora_status status, const char *named)
{
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    const remora_source src = {.struct_size = sizeof src,
                               .kind = REMORA_SOURCE_MEMORY,
                               .blobs = a->blobs,
                               .n_blobs = a->n};
    const remora_status st = remora_model_open(rt, &src, NULL, &m, &err);
    if (st != status || strstr(err.message, named) == NULL)
        fail_msg("%s: status %d (%s)", named, st, err.message);
    remora_model_free(m);
}

static void errors_are_named(void **state)
{
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    arrays *a = arrays_make(t.blobs, t.n);
    remora_runtime *rt = runtime(NULL, 1), *plain = host_runtime(NULL, 1, NULL);
    remora_blob *b = find_file(a, "model.layers.1.mlp.experts.2.up_proj.weight.npy");
    const remora_blob was = *b;
    expect(rt, a, REMORA_OK, "");
    expect(plain, a, REMORA_E_NOT_FOUND, "model.safetensors");
    b->name = "model.layers.1.mlp.experts.2.up_proj.npz";
    expect(rt, a, REMORA_E_FORMAT, "model.layers.1.mlp.experts.2.up_proj is missing");
    b->name = "model.layers.1.mlp.experts.9.up_proj.weight.npy";
    expect(rt, a, REMORA_E_FORMAT, "model.layers.1.mlp.experts.2.up_proj is missing");
    *b = was;
    b->size--;
    expect(rt, a, REMORA_E_FORMAT, "up_proj.weight.npy: has another size");
    *b = was;
    *b = *find_file(a, "model.layers.1.mlp.experts.2.down_proj.weight.npy");
    b->name = was.name;
    expect(rt, a, REMORA_E_FORMAT, "up_proj.weight has shape [");
    *b = was;
    b = find_file(a, "tokenizer_config.json");
    b->name = "model.layers.0.extra.npy";
    b->data = was.data;
    b->size = was.size;
    expect(rt, a, REMORA_E_UNSUPPORTED, "model.layers.0.extra is not part of");
    remora_runtime_free(plain);
    remora_runtime_free(rt);
    arrays_free(a);
    tiny_free(&t);
}

static int32_t open_once(void *arg, tmem *mem)
{
    const remora_source *src = arg;
    remora_model *m = NULL;
    remora_runtime *rt = NULL;
    const remora_runtime_opts o = host_runtime_opts(mem, 1);
    remora_status st = remora_runtime_create(&o, &rt, NULL);
    if (st < 0) return st;
    rt->formats = with_npy;
    st = remora_model_open(rt, src, NULL, &m, NULL);
    remora_model_free(m);
    remora_runtime_free(rt);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    tiny t;
    tmem mem = {0};
    (void)state;
    tiny_make(&t, &(tiny_opts){.layers = 2, .no_tokenizer = 1});
    arrays *a = arrays_make(t.blobs, t.n);
    const long runs = tmem_sweep(&mem, open_once, &a->source);
    if (runs <= 0) fail_msg("run %ld", -runs);
    assert_int_equal(atomic_load(&mem.damage), 0);
    arrays_free(a);
    tiny_free(&t);
}

/* ---- with models ---- */

static void fixtures(void **state)
{
    static const char *const names[] = {"fixtures/v3", "fixtures/moonlight", "fixtures/qwen2",
                                        "fixtures/youtu"};
    static const char *const files[] = {"config.json", "model.safetensors"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[1024];
        remora_blob blobs[2];
        REQUIRE(host_folder(path, sizeof path, names[i]));
        for (int k = 0; k < 2; k++) {
            char file[1100];
            size_t size;
            snprintf(file, sizeof file, "%s/%s", path, files[k]);
            const void *data = host_file(file, &size);
            assert_non_null(data);
            blobs[k] = (remora_blob){files[k], data, size};
        }
        const remora_source folder = host_path_source(path);
        arrays *a = arrays_make(blobs, 2);
        same(names[i], &folder, &a->source);
        arrays_free(a);
        for (int k = 0; k < 2; k++) free((void *)(uintptr_t)blobs[k].data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_the_folders), cmocka_unit_test(folders_on_disk),
        cmocka_unit_test(packs_are_the_folders), cmocka_unit_test(errors_are_named),
        cmocka_unit_test(every_allocation_may_fail)};
    const struct CMUnitTest model_tests[] = {cmocka_unit_test(fixtures)};
    return RUN_GROUPS("source_format", tests, model_tests);
}

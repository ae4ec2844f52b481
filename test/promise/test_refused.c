/* SPDX-License-Identifier: Apache-2.0 */
/* A file or a folder that is refused says in one line what it is, what was found and what to do.
 * And what can be read of a model that cannot run is shown (REMORA_MODEL_ANYWAY), with all reasons.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

#define CONFIG "config.json"
#define TOKENIZER "tokenizer.json"
#define WEIGHTS "model.safetensors"
#define INDEX "model.safetensors.index.json"

enum { MAX_FILES = 8, MESSAGE = 239 /* what remora_error holds */ };

/* A source in memory: the tiny model's files, some of them replaced. */
typedef struct files {
    remora_blob blobs[MAX_FILES];
    uint64_t n;
} files;

static files whole(const tiny *t)
{
    files f = {.n = t->n};
    memcpy(f.blobs, t->blobs, t->n * sizeof *t->blobs);
    return f;
}

static void put(files *f, const char *name, const void *data, uint64_t size)
{
    uint64_t i = 0;
    while (i < f->n && strcmp(f->blobs[i].name, name) != 0) i++;
    assert_true(i < MAX_FILES);
    f->blobs[i] = (remora_blob){name, data, size};
    if (i == f->n) f->n++;
}

static void expect(const remora_source *src, remora_status want, const char *subject,
                   const char *found)
{
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    const remora_status st = remora_model_open(NULL, src, NULL, &m, &err);
    if (st != want || strstr(err.message, subject) == NULL || strstr(err.message, found) == NULL)
        fail_msg("%s \"%s\" does not say \"%s\" and \"%s\"", remora_status_name(st), err.message,
                 subject, found);
    assert_null(strchr(err.message, '\n'));
    assert_true(strlen(err.message) < MESSAGE); /* nothing was cut off */
    remora_model_free(m);
}

static void expect_files(const files *f, const char *subject, const char *found)
{
    const remora_source src = {.struct_size = sizeof src,
                               .kind = REMORA_SOURCE_MEMORY,
                               .blobs = f->blobs,
                               .n_blobs = f->n};
    expect(&src, REMORA_E_FORMAT, subject, found);
}

#define LFS                                                                                        \
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8" \
    "f32b1258daaa5e2ca24d17e2393\nsize 4976698672\n"
#define BYTES(s) s, sizeof(s) - 1

/* What comes under a file's name: any file of a model may be one of these. */
static const struct {
    const char *bytes;
    size_t n;
    const char *says;
} kinds[] = {
    {BYTES(""), "empty (0 bytes)"},
    {BYTES(LFS), "a Git LFS pointer, not the file of 4976698672 bytes"},
    {BYTES("version https://git-lfs.github.com/spec/v1\n"), "a Git LFS pointer"},
    {BYTES("<!DOCTYPE html>\n<html><head><title>Sign in</title>"), "an HTML page"},
    {BYTES("\xEF\xBB\xBF\r\n <HTML lang=\"en\">"), "an HTML page"},
    {BYTES("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>"), "an XML message"},
    {BYTES("<Error><Code>NoSuchKey</Code>"), "an XML message"},
    {BYTES("Entry not found"), "a server's answer in place of the file (Entry not found)"},
    {BYTES("Invalid username or password."), "a server's answer"},
    {BYTES("Access to model x/y is restricted."), "a server's answer"},
    {BYTES("{\"error\":\"Repository not found\"}"), "a server's answer"},
    {BYTES("{ \"Code\": 10010205001, \"Message\": \"no\"}"), "a server's answer"},
    {BYTES("/annex/objects/SHA256E-s12--ab.json\n"), "a git-annex pointer"},
    {BYTES("PK\3\4\x14\0\0\0\0\0\0\0\0\0archive/data.pkl"), "a zip archive"},
    {BYTES("\x80\2}q\0(X\5\0\0\0modelq\1"), "a Python pickle"},
    {BYTES("\x1f\x8b\x08\0\0\0\0\0\0\3"), "gzip-compressed"},
    {BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "zero bytes"},
};

static void what_stands_for_a_file(void **state)
{
    static const char *const names[] = {CONFIG, TOKENIZER, "tokenizer_config.json", INDEX, WEIGHTS};
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            files f = whole(&t);
            put(&f, names[i], kinds[k].bytes, kinds[k].n);
            expect_files(&f, names[i], kinds[k].says);
        }
        static const char *const alone[] = {"m.gguf", "m.remora"};
        for (size_t i = 0; i < sizeof alone / sizeof alone[0]; i++) {
            files f = {0};
            put(&f, alone[i], kinds[k].bytes, kinds[k].n);
            expect_files(&f, alone[i], kinds[k].says);
        }
    }
    tiny_free(&t);
}

/* One format's file under another's name. */
static void other_formats(void **state)
{
    static const char old[] = "tjgg\3\0\0\0\0\0\0\0\0\0\0\0",
                      gguf[] = "GGUF\3\0\0\0\0\0\0\0\0\0\0\0";
    static const char text[] = "the weights are on the other disk, ask Anna";
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    files f = whole(&t);
    put(&f, WEIGHTS, gguf, sizeof gguf);
    expect_files(&f, WEIGHTS, "a GGUF file");
    put(&f, WEIGHTS, "remora_pack: 1\n", 15);
    expect_files(&f, WEIGHTS, "a pack");
    put(&f, WEIGHTS, text, sizeof text - 1);
    expect_files(&f, WEIGHTS, "a text (the weights are on");
    files g = {0};
    const remora_blob *w = tiny_blob(&t, WEIGHTS);
    put(&g, "m.gguf", w->data, w->size);
    expect_files(&g, "m.gguf", "a safetensors file");
    put(&g, "m.gguf", old, sizeof old);
    expect_files(&g, "m.gguf", "a GGML file from before GGUF");
    tiny_free(&t);
}

static void half_written_files(void **state)
{
    static const char *const texts[] = {CONFIG, TOKENIZER, "tokenizer_config.json"};
    tiny t;
    char *zeros = calloc(1, 1 << 20), says[96];
    (void)state;
    tiny_make(&t, NULL);
    assert_non_null(zeros);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const remora_blob *b = tiny_blob(&t, texts[i]);
        files f = whole(&t);
        put(&f, texts[i], b->data, b->size / 2);
        expect_files(&f, texts[i], "half-written: ends at byte");
        assert_true(b->size + 10 < 1 << 20);
        memset(zeros, 0, 1 << 20);
        memcpy(zeros, b->data, b->size / 2);
        put(&f, texts[i], zeros, b->size);
        snprintf(says, sizeof says, "half-written: has %llu of %llu bytes, then zeros",
                 (unsigned long long)b->size / 2, (unsigned long long)b->size);
        expect_files(&f, texts[i], says);
    }
    files f = whole(&t);
    put(&f, INDEX, BYTES("{\"metadata\":{},\"weight_map\":{\"a\":\"x\",\"b"));
    expect_files(&f, INDEX, "half-written: ends at byte");
    const remora_blob *w = tiny_blob(&t, WEIGHTS);
    f = whole(&t);
    for (uint64_t less = 1; less < w->size - 8; less += 997) {
        put(&f, WEIGHTS, w->data, w->size - less);
        expect_files(&f, WEIGHTS, "half-written: ");
        snprintf(says, sizeof says, "%llu of %llu bytes, cut off in tensor lm_head.weight",
                 (unsigned long long)(w->size - less), (unsigned long long)w->size);
        if (less == 998) expect_files(&f, WEIGHTS, says);
    }
    free(zeros);
    tiny_free(&t);
}

/* ---- folders ---- */

typedef struct folder {
    char path[HOST_DIR], name[256];
} folder;

static const char *in(folder *d, const char *name)
{
    snprintf(d->name, sizeof d->name, "%s/%s", d->path, name);
    return d->name;
}

static void write_file(folder *d, const char *name, const void *data, size_t n)
{
    FILE *f = fopen(in(d, name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void expect_path(folder *d, const char *name, remora_status want, const char *subject,
                        const char *found)
{
    const remora_source src = host_path_source(name[0] != 0 ? in(d, name) : d->path);
    expect(&src, want, subject, found);
}

static void what_a_folder_is(void **state)
{
    static const struct {
        const char *files[3], *says;
    } rows[] = {
        {{NULL}, "an empty folder"},
        {{"adapter_config.json", "adapter_model.safetensors"}, "a LoRA adapter"},
        {{"model_index.json"}, "a diffusers pipeline"},
        {{"params.json", "consolidated.00.pth"}, "params.json is of Meta's or Mistral's own form"},
        {{"consolidated.safetensors"}, "Meta's or Mistral's own form"},
        {{"pytorch_model.bin", "tokenizer.json"}, "PyTorch pickles (pytorch_model.bin)"},
        {{"pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"},
         "PyTorch pickles (pytorch_model-00001-of-00002.bin)"},
        {{"model.onnx"}, "an ONNX model"},
        {{"weights.npz"}, "of MLX or NumPy"},
        {{"tf_model.h5"}, "of Keras"},
        {{"flax_model.msgpack"}, "of Flax"},
        {{WEIGHTS}, "model.safetensors alone is no model"},
        {{"model.safetensors.incomplete"}, "a download that did not finish"},
        {{"model.gguf.part"}, "a download that did not finish"},
        {{"model-00002-of-00002.safetensors.incomplete", "model-00001-of-00002.safetensors"},
         "model-00002-of-00002.safetensors.incomplete is a download that did not finish"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        folder d;
        host_dir_make(d.path);
        for (int k = 0; k < 3 && rows[i].files[k] != NULL; k++)
            write_file(&d, rows[i].files[k], "x", 1);
        expect_path(&d, "", REMORA_E_NOT_FOUND, "no config.json", rows[i].says);
        if (rows[i].files[0] != NULL)
            expect_path(&d, rows[i].files[0], REMORA_E_NOT_FOUND, "no config.json", rows[i].says);
        for (int k = 0; k < 3 && rows[i].files[k] != NULL; k++) unlink(in(&d, rows[i].files[k]));
        assert_int_equal(rmdir(d.path), 0);
    }
}

static void several_gguf_files(void **state)
{
    folder d;
    (void)state;
    host_dir_make(d.path);
    write_file(&d, "b.gguf", "x", 1);
    write_file(&d, "a.gguf", "x", 1);
    write_file(&d, "c.gguf", "x", 1);
    expect_path(&d, "", REMORA_E_FORMAT, "3 GGUF models", "the first is a.gguf");
    unlink(in(&d, "a.gguf"));
    unlink(in(&d, "b.gguf"));
    unlink(in(&d, "c.gguf"));
    assert_int_equal(rmdir(d.path), 0);
}

static void folders_of_folders(void **state)
{
    static const char *const made[] = {"blobs", "refs", "snapshots", "snapshots/8afb486c1db2"};
    folder d;
    (void)state;
    host_dir_make(d.path);
    for (size_t i = 0; i < 4; i++) assert_int_equal(mkdir(in(&d, made[i]), 0700), 0);
    expect_path(&d, "", REMORA_E_NOT_FOUND, "no config.json",
                "a cache of Hugging Face: open its folder snapshots/8afb486c1db2");
    expect_path(&d, "snapshots", REMORA_E_NOT_FOUND, "no config.json",
                "only folders (8afb486c1db2): open one of them");
    expect_path(&d, "snapshots/8afb486c1db2", REMORA_E_NOT_FOUND, "no config.json",
                "an empty folder");
    assert_int_equal(mkdir(in(&d, "snapshots/9"), 0700), 0);
    expect_path(&d, "", REMORA_E_NOT_FOUND, "no config.json",
                "open its folder snapshots/8afb486c1db2, or another one there");
    assert_int_equal(rmdir(in(&d, "snapshots/9")), 0);
    for (size_t i = 4; i-- > 0;) assert_int_equal(rmdir(in(&d, made[i])), 0);
    assert_int_equal(rmdir(d.path), 0);
}

/* The config is there, the weights are not, or are not whole. */
static void weights_that_are_not_there(void **state)
{
    static const struct {
        const char *file, *says;
    } rows[] = {{"pytorch_model.bin", "PyTorch pickles (pytorch_model.bin)"},
                {"pytorch_model.bin.index.json", "PyTorch pickles"},
                {"consolidated.safetensors", "Meta's or Mistral's own form"},
                {"model-Q4_K_M.gguf", "a GGUF file: open it by its name"},
                {"model-00001-of-00002.safetensors", "alone is no model"},
                {"other.txt", "neither model.safetensors.index.json nor model.safetensors"}};
    static const char map[] = "{\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\"}}";
    static const struct {
        const char *to, *says;
    } links[] = {{"../../blobs/4d7a2146", "a link to ../../blobs/4d7a2146, which is not there"},
                 {".git/annex/objects/x/y", "\"git annex get\" fetches it"}};
    tiny t;
    folder d;
    char path[64];
    (void)state;
    tiny_make(&t, NULL);
    tiny_folder_make(&t, path, sizeof path);
    memcpy(d.path, path, strlen(path) + 1 <= sizeof d.path ? strlen(path) + 1 : 0);
    write_file(&d, WEIGHTS ".aria2", "x", 1);
    expect_path(&d, "", REMORA_E_FORMAT, WEIGHTS, "model.safetensors.aria2 beside it");
    unlink(in(&d, WEIGHTS ".aria2"));
    unlink(in(&d, WEIGHTS));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_file(&d, rows[i].file, "x", 1);
        expect_path(&d, "", REMORA_E_NOT_FOUND, path, rows[i].says);
        unlink(in(&d, rows[i].file));
    }
    write_file(&d, INDEX, map, sizeof map - 1);
    expect_path(&d, "", REMORA_E_NOT_FOUND, "model-00001-of-00002.safetensors", "no such file");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(symlink(links[i].to, in(&d, "model-00001-of-00002.safetensors")), 0);
        expect_path(&d, "", REMORA_E_NOT_FOUND, "model-00001-of-00002.safetensors", links[i].says);
        unlink(in(&d, "model-00001-of-00002.safetensors"));
    }
    unlink(in(&d, INDEX));
    tiny_folder_free(&t, path);
    tiny_free(&t);
}

/* ---- opened anyway ---- */

enum { ANYWAY = REMORA_MODEL_NO_WEIGHTS | REMORA_MODEL_ANYWAY };

static remora_model *open_anyway(const files *f, remora_model_info *info)
{
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    const remora_source src = {.struct_size = sizeof src,
                               .kind = REMORA_SOURCE_MEMORY,
                               .blobs = f->blobs,
                               .n_blobs = f->n};
    const remora_model_opts o = {.struct_size = sizeof o, .flags = ANYWAY};
    REQUIRE_OK(remora_model_open(NULL, &src, &o, &m, &err), &err);
    assert_int_equal(err.code, 0); /* the reasons are no errors */
    *info = (remora_model_info){.struct_size = sizeof *info};
    assert_int_equal(remora_model_get_info(m, info, NULL), REMORA_OK);
    return m;
}

/* The i-th reason begins so and has these words; NULL: there is none. */
static void is_missing(const remora_model *m, int i, const char *begins, const char *says)
{
    char key[32], text[512] = "";
    snprintf(key, sizeof key, "missing.%d", i);
    const remora_status st = remora_model_meta(m, key, text, sizeof text, NULL, NULL);
    if (begins == NULL) {
        if (st != REMORA_E_NOT_FOUND) fail_msg("%s: %s", key, text);
        return;
    }
    if (st != REMORA_OK || strncmp(text, begins, strlen(begins)) != 0 || !strstr(text, says))
        fail_msg("%s: \"%s\" does not begin with \"%s\" and say \"%s\"", key, text, begins, says);
}

static int has(const remora_model *m, const char *key, const char *value)
{
    char text[512];
    return remora_model_meta(m, key, text, sizeof text, NULL, NULL) == REMORA_OK &&
           strcmp(text, value) == 0;
}

static uint32_t count_keys(const remora_model *m)
{
    char key[512];
    uint32_t n = 0;
    while (remora_model_meta_key(m, n, key, sizeof key, NULL, NULL) == REMORA_OK) n++;
    return n;
}

/* A copy of a blob in which every `from` is a `to` of the same length. */
static char *replaced(const remora_blob *b, const char *from, const char *to)
{
    char *copy = malloc(b->size);
    const size_t n = strlen(from);
    size_t found = 0;
    assert_non_null(copy);
    assert_int_equal(strlen(to), n);
    memcpy(copy, b->data, b->size);
    for (size_t i = 0; i + n <= b->size; i++) {
        if (memcmp(copy + i, from, n) != 0) continue;
        memcpy(copy + i, to, n);
        found++;
    }
    assert_true(found > 0);
    return copy;
}

/* Nothing changes for a model that runs, and what cannot run has no sessions. */
static void anyway_is_for_inspection(void **state)
{
    tiny t;
    remora_model_info plain = {.struct_size = sizeof plain}, info;
    remora_model *m = NULL;
    remora_session *s = NULL;
    remora_error err = HOST_ERROR;
    uint64_t counts[64];
    size_t n;
    (void)state;
    tiny_make(&t, NULL);
    remora_model_opts o = {.struct_size = sizeof o, .flags = REMORA_MODEL_ANYWAY};
    assert_int_equal(remora_model_open(NULL, &t.source, &o, &m, &err), REMORA_E_ARG);
    assert_non_null(strstr(err.message, "NO_WEIGHTS"));
    remora_memory mem = {.struct_size = sizeof mem};
    o.flags = ANYWAY;
    REQUIRE_OK(remora_model_estimate(NULL, &t.source, &o, NULL, 1, &mem, &err), &err);
    o.flags = REMORA_MODEL_NO_WEIGHTS;
    REQUIRE_OK(remora_model_open(NULL, &t.source, &o, &m, &err), &err);
    assert_int_equal(remora_model_get_info(m, &plain, NULL), REMORA_OK);
    const uint32_t keys = count_keys(m);
    remora_model_free(m);
    files f = whole(&t);
    m = open_anyway(&f, &info);
    assert_memory_equal(&info, &plain, sizeof info);
    assert_int_equal(count_keys(m), keys);
    is_missing(m, 0, NULL, NULL);
    remora_model_free(m);
    put(&f, CONFIG, BYTES("{\"model_type\":\"x\",\"num_hidden_layers\":2,\"n_routed_experts\":4}"));
    m = open_anyway(&f, &info);
    assert_int_equal(remora_session_create(m, NULL, &s, NULL), REMORA_E_ARG);
    assert_int_equal(remora_routing_read(m, 1, 0, counts, 64, &n, NULL), REMORA_E_NOT_FOUND);
    assert_int_equal(remora_model_get_memory(m, &mem, NULL), REMORA_OK);
    assert_true(mem.host_kv == 0 && mem.kv_bytes_per_token == 0);
    remora_model_free(m);
    const remora_source src = {
        .struct_size = sizeof src, .kind = REMORA_SOURCE_MEMORY, .blobs = f.blobs, .n_blobs = f.n};
    assert_int_equal(remora_model_estimate(NULL, &src, &o, NULL, 1, &mem, &err),
                     REMORA_E_UNSUPPORTED);
    tiny_free(&t);
}

static void reasons_of_the_configuration(void **state)
{
    static const char config[] =
        "{\"model_type\":\"qwen3\",\"num_hidden_layers\":2,\"hidden_size\":40,\"vocab_size\":272,"
        "\"intermediate_size\":64,\"max_position_embeddings\":512,\"num_attention_heads\":4,"
        "\"num_key_value_heads\":2,\"head_dim\":16,\"hidden_act\":\"gelu\",\"mlp_bias\":true,"
        "\"use_sliding_window\":true,\"rope_scaling\":{\"rope_type\":\"longrope\",\"factor\":2}}";
    tiny t;
    remora_model_info info;
    (void)state;
    tiny_make(&t, NULL);
    files f = whole(&t);
    put(&f, CONFIG, config, sizeof config - 1);
    remora_model *m = open_anyway(&f, &info);
    is_missing(m, 0, "E_UNSUPPORTED: config.json: ", "hidden_act");
    is_missing(m, 1, "E_UNSUPPORTED: config.json: ", "mlp_bias");
    is_missing(m, 2, "E_UNSUPPORTED: config.json: ", "use_sliding_window");
    is_missing(m, 3, "E_UNSUPPORTED: config.json: ", "longrope");
    is_missing(m, 4, NULL, NULL);
    assert_string_equal(info.family, "qwen3");
    assert_int_equal(info.n_layers, 2);
    assert_int_equal(info.n_hidden, 40);
    assert_int_equal(info.n_heads, 4);
    assert_int_equal(info.n_kv_heads, 2);
    assert_int_equal(info.head_dim, 16);
    assert_int_equal(info.n_params, 0);
    assert_int_equal(info.has_tokenizer, 1);
    assert_true(has(m, "config.hidden_act", "gelu"));
    assert_true(has(m, "tensor.model.norm.weight", "BF16 [40]"));
    remora_model_free(m);
    put(&f, CONFIG, BYTES("Entry not found")); /* nothing of it is known; the rest still is */
    m = open_anyway(&f, &info);
    is_missing(m, 0, "E_FORMAT: config.json: ", "a server's answer");
    is_missing(m, 1, NULL, NULL);
    assert_int_equal(info.n_layers + info.n_vocab + info.max_context, 0);
    assert_int_equal(info.has_tokenizer, 0); /* which has tokens from config.json */
    assert_true(has(m, "tensor.model.norm.weight", "BF16 [40]"));
    remora_model_free(m);
    tiny_free(&t);
}

static void reasons_of_all_files(void **state)
{
    tiny t;
    remora_model_info info;
    (void)state;
    tiny_make(&t, NULL);
    const remora_blob *w = tiny_blob(&t, WEIGHTS);
    files f = whole(&t);
    put(&f, CONFIG, BYTES("{\"model_type\":\"deepseek_v9\",\"vocab_size\":272}"));
    put(&f, TOKENIZER, BYTES(LFS));
    put(&f, WEIGHTS, w->data, w->size - 1);
    remora_model *m = open_anyway(&f, &info);
    is_missing(m, 0, "E_UNSUPPORTED: config.json: ", "deepseek_v9");
    is_missing(m, 1, "E_FORMAT: tokenizer.json: ", "a Git LFS pointer");
    is_missing(m, 2, "E_FORMAT: model.safetensors: ", "half-written");
    is_missing(m, 3, NULL, NULL);
    assert_string_equal(info.family, "deepseek_v9");
    assert_int_equal(info.n_vocab, 272);
    assert_int_equal(info.has_tokenizer, 0);
    assert_true(has(m, "config.model_type", "deepseek_v9"));
    assert_true(has(m, "tensor.model.norm.weight", "BF16 [40]"));
    remora_model_free(m);
    const files nothing = {0};
    m = open_anyway(&nothing, &info);
    is_missing(m, 0, "E_NOT_FOUND: ", "no config.json");
    is_missing(m, 1, "E_NOT_FOUND: ", "no model.safetensors");
    assert_true(has(m, "source", "memory"));
    remora_model_free(m);
    tiny_free(&t);
}

/* A tokenizer that we do not do refuses text, and not the model. */
static void a_tokenizer_of_another_kind(void **state)
{
    tiny t;
    remora_model_info info;
    char text[512] = "";
    (void)state;
    tiny_make(&t, NULL);
    const remora_blob *b = tiny_blob(&t, TOKENIZER);
    char *other = replaced(b, "\"type\":\"BPE\"", "\"type\":\"XYZ\"");
    files f = whole(&t);
    put(&f, TOKENIZER, other, b->size);
    remora_model *m = open_anyway(&f, &info);
    is_missing(m, 0, NULL, NULL);
    assert_int_equal(info.has_tokenizer, 0);
    assert_int_equal(remora_model_meta(m, "tokenizer", text, sizeof text, NULL, NULL), REMORA_OK);
    assert_non_null(strstr(text, "tokenizer.json: "));
    assert_non_null(strstr(text, "XYZ"));
    remora_model_free(m);
    free(other);
    tiny_free(&t);
}

/* Tensors that are missing or too many: one line for all layers. */
static void reasons_of_the_tensors(void **state)
{
    tiny t;
    remora_model_info info;
    (void)state;
    tiny_make(&t, NULL);
    const remora_blob *w = tiny_blob(&t, WEIGHTS);
    files f = whole(&t);
    char *renamed = replaced(w, "self_attn.o_proj", "self_attn.x_proj");
    put(&f, WEIGHTS, renamed, w->size);
    remora_model *m = open_anyway(&f, &info);
    is_missing(m, 0,
               "E_FORMAT: checkpoint: tensor model.layers.0.self_attn.o_proj.weight is missing",
               " (and 2 more like it)");
    is_missing(m, 1, "E_UNSUPPORTED: model.safetensors: tensor model.layers.0.self_attn.x_proj",
               " (and 2 more like it)");
    is_missing(m, 2, NULL, NULL);
    assert_int_equal(info.n_layers, 3);
    assert_string_equal(info.family, "deepseek_v3");
    remora_model_free(m);
    free(renamed);
    char *retyped = replaced(w, "\"BF16\"", "\"F9_9\"");
    put(&f, WEIGHTS, retyped, w->size);
    m = open_anyway(&f, &info);
    is_missing(m, 0, "E_UNSUPPORTED: model.safetensors: tensor ", "dtype F9_9 is not known");
    assert_true(has(m, "tensor.model.norm.weight", "? [40]"));
    remora_model_free(m);
    free(retyped);
    static const char map[] = "{\"weight_map\":{\"model.a.weight\":\"s-1\",\"model.b\":\"s-2\"}}";
    put(&f, INDEX, map, sizeof map - 1);
    m = open_anyway(&f, &info);
    is_missing(m, 0, "E_NOT_FOUND: s-1: ", "");
    is_missing(m, 1, "E_NOT_FOUND: s-2: ", "");
    is_missing(m, 2, NULL, NULL);
    assert_true(has(m, "tensor.model.a.weight", "? []"));
    remora_model_free(m);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(anyway_is_for_inspection),
                                       cmocka_unit_test(reasons_of_the_configuration),
                                       cmocka_unit_test(reasons_of_all_files),
                                       cmocka_unit_test(a_tokenizer_of_another_kind),
                                       cmocka_unit_test(reasons_of_the_tensors),
                                       cmocka_unit_test(what_stands_for_a_file),
                                       cmocka_unit_test(other_formats),
                                       cmocka_unit_test(half_written_files),
                                       cmocka_unit_test(what_a_folder_is),
                                       cmocka_unit_test(several_gguf_files),
                                       cmocka_unit_test(folders_of_folders),
                                       cmocka_unit_test(weights_that_are_not_there)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

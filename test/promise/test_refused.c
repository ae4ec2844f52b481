/* A file or a folder that is refused says in one line what it is, what was found and what to do. */
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
        snprintf(says, sizeof says, "half-written: %llu of %llu bytes, then zeros",
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stands_for_a_file),    cmocka_unit_test(other_formats),
        cmocka_unit_test(half_written_files),        cmocka_unit_test(what_a_folder_is),
        cmocka_unit_test(several_gguf_files),        cmocka_unit_test(folders_of_folders),
        cmocka_unit_test(weights_that_are_not_there)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

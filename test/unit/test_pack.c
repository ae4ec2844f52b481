/* SPDX-License-Identifier: Apache-2.0 */
/* Packs: what is written is read back the same from every kind of source; whatever is cut, flipped
 * or made up is a status; whatever fails while writing leaves nothing under the final name. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pack_writer.h"
#include "tmem.h"

static remora_error err = {.struct_size = sizeof(remora_error)};

/* ---- system calls that fail ---- */

static struct {
    const char *name; /* the call that fails, or NULL */
    long at;          /* the at-th of them, from 1, and all after it */
    int error;
    atomic_long seen;
} broken;

static int breaks(const char *name)
{
    if (broken.name == NULL || strcmp(broken.name, name) != 0) return 0;
    if (atomic_fetch_add(&broken.seen, 1) + 1 < broken.at) return 0;
    errno = broken.error;
    return 1;
}

ssize_t __real_pwrite64(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t n, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *p, size_t n, off_t at)
{
    if (breaks("pwrite")) return -1;
    if (n > 7 && broken.name != NULL && strcmp(broken.name, "short") == 0) n = 7;
    return __real_pwrite64(fd, p, n, at);
}

ssize_t __real_pread64(int fd, void *p, size_t n, off_t at);
ssize_t __wrap_pread64(int fd, void *p, size_t n, off_t at);
ssize_t __wrap_pread64(int fd, void *p, size_t n, off_t at)
{
    return breaks("pread") ? -1 : __real_pread64(fd, p, n, at);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    return breaks("fsync") ? -1 : __real_fsync(fd);
}

int __real_ftruncate64(int fd, off_t n);
int __wrap_ftruncate64(int fd, off_t n);
int __wrap_ftruncate64(int fd, off_t n)
{
    return breaks("ftruncate") ? -1 : __real_ftruncate64(fd, n);
}

int __real_renameat(int a, const char *from, int b, const char *to);
int __wrap_renameat(int a, const char *from, int b, const char *to);
int __wrap_renameat(int a, const char *from, int b, const char *to)
{
    return breaks("renameat") ? -1 : __real_renameat(a, from, b, to);
}

int __real_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...)
{
    return breaks("openat") ? -1 : __real_openat64(dir, name, flags, 0666);
}

/* ---- a pack to write ---- */

enum { TABLE, MATRIX, STACK, VECTOR, LARGE, N_TENSORS };

static const struct {
    const char *name;
    rmr_weight_use use;
    rmr_elem elem;
    uint32_t count, rows, cols;
} shapes[N_TENSORS] = {
    {"model.embed_tokens", RMR_USE_TABLE, RMR_ELEM_BF16, 1, 24, 40},
    {"model.embed_tokens", RMR_USE_MATRIX, RMR_ELEM_F16, 1, 24, 40},
    {"model.layers.1.mlp.experts.gate_proj", RMR_USE_MATRIX, RMR_ELEM_Q4_K, 3, 17, 256},
    {"model.norm", RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, 40},
    {"lm_head", RMR_USE_MATRIX, RMR_ELEM_F8, 1, 2100, 2050}, /* two chunks */
};

static const char tokenizer[] = "a blob that says it is a tokenizer";

typedef struct world {
    tmem t;
    rmr_mem mem;
    rmr_pool *pool;
    rmr_job_host host;
    char dir[64], path[96];
    int small; /* without the large one */
} world;

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    w->mem = (rmr_mem){
        .user = &w->t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    rmr_mem_init(&w->mem);
    assert_int_equal(rmr_pool_create(&w->mem, 2, NULL, NULL, &w->pool, &err), REMORA_OK);
    w->host.pool = w->pool;
    strcpy(w->dir, "/tmp/remora-pack-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof w->path, "%s/m.remora", w->dir);
    memset(&broken, 0, sizeof broken);
    *state = w;
    return 0;
}

/* How many files are in the folder. */
static int files_in(const char *dir)
{
    int n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    closedir(d);
    return n;
}

static int teardown(void **state)
{
    world *w = *state;
    remove(w->path);
    assert_int_equal(rmdir(w->dir), 0); /* nothing else is left */
    rmr_pool_free(w->pool);
    assert_int_equal(w->t.blocks, 0);
    assert_int_equal(w->t.damage, 0);
    free(w);
    return 0;
}

/* Byte i of tensor t: compresses well but for the stack. */
static unsigned char content(uint32_t t, uint64_t i)
{
    uint64_t x = (i + 1) * 0x9E3779B97F4A7C15u + t;
    x ^= x >> 29;
    return t == STACK ? (unsigned char)(x * 0xBF58476D1CE4E5B9u >> 56)
                      : (unsigned char)(i / 512 + t);
}

static remora_status write_tensor(rmr_pack_writer *w, uint32_t index)
{
    const uint64_t n = rmr_pack_writer_at(w, index)->bytes;
    unsigned char *all = malloc(n);
    for (uint64_t i = 0; i < n; i++) all[i] = content(index, i);
    const uint64_t cut = n / 3;
    remora_status st = rmr_pack_writer_write(w, index, cut, all + cut, n - cut, &err);
    if (st >= 0) st = rmr_pack_writer_write(w, index, 0, all, cut, &err);
    free(all);
    return st;
}

static remora_status write_all(rmr_pack_writer *w, uint32_t n, int level, const rmr_job_host *host)
{
    uint32_t index;
    RMR_TRY(rmr_pack_writer_section(w, "name", json_string("made up"), &err));
    RMR_TRY(rmr_pack_writer_section(w, "config",
                                    json_pack("{s:s,s:i,s:f}", "model_type", "deepseek_v3",
                                              "vocab_size", 24, "rms_norm_eps", 1e-6),
                                    &err));
    RMR_TRY(rmr_pack_writer_blob(w, "tokenizer", tokenizer, sizeof tokenizer, &err));
    for (uint32_t i = 0; i < n; i++) {
        RMR_TRY(rmr_pack_writer_add(w, shapes[i].name, shapes[i].use, shapes[i].elem,
                                    shapes[i].count, shapes[i].rows, shapes[i].cols, &index, &err));
        if (index != i) return REMORA_E_INTERNAL;
    }
    RMR_TRY(rmr_pack_writer_lay_out(w, 200, &err));
    for (uint32_t i = 0; i < n; i++) RMR_TRY(write_tensor(w, i));
    RMR_TRY(rmr_pack_writer_seal(w, level, host, &err));
    RMR_TRY(rmr_pack_writer_section(w, "self_test", json_pack("{s:[i,i]}", "ids", 1, 2), &err));
    RMR_TRY(rmr_pack_writer_seal(w, level, host, &err));
    return rmr_pack_writer_publish(w, &err);
}

static remora_status make(world *w, rmr_mem *mem, int level)
{
    rmr_pack_writer *out;
    RMR_TRY(rmr_pack_writer_begin(mem, w->path, &out, &err));
    const remora_status st = write_all(out, w->small ? LARGE : N_TENSORS, level, &w->host);
    rmr_pack_writer_free(out);
    return st;
}

static unsigned char *load(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    unsigned char *p = malloc(*n + 1);
    assert_int_equal(fread(p, 1, *n, f), *n);
    fclose(f);
    return p;
}

/* A pack of plain types, one value of which is none: bf16 in a table and a matrix, f32 in a vector.
 */
static remora_status make_bad(world *w, uint32_t bad)
{
    static const unsigned char nan[2][4] = {{0xc0, 0x7f, 0, 0}, {0, 0, 0x80, 0x7f}};
    rmr_pack_writer *out;
    uint32_t index;
    RMR_TRY(rmr_pack_writer_begin(&w->mem, w->path, &out, &err));
    remora_status st = REMORA_OK;
    for (uint32_t i = 0; i < 3 && st >= 0; i++)
        st = rmr_pack_writer_add(out, shapes[i].name, (rmr_weight_use)i,
                                 i < 2 ? RMR_ELEM_BF16 : RMR_ELEM_F32, 1, i < 2 ? 24 : 1, 40,
                                 &index, &err);
    if (st >= 0) st = rmr_pack_writer_lay_out(out, 200, &err);
    for (uint32_t i = 0; i < 3 && st >= 0; i++) {
        const uint64_t n = rmr_pack_writer_at(out, i)->bytes;
        unsigned char *all = calloc(1, n);
        if (i == bad) memcpy(all + 68, nan[rmr_pack_writer_at(out, i)->use == RMR_USE_VECTOR], 4);
        st = rmr_pack_writer_write(out, i, 0, all, n, &err);
        free(all);
    }
    if (st >= 0) st = rmr_pack_writer_seal(out, 0, &w->host, &err);
    if (st >= 0) st = rmr_pack_writer_publish(out, &err);
    rmr_pack_writer_free(out);
    return st;
}

/* ---- sources ---- */

typedef struct host_file {
    const unsigned char *p;
    uint64_t n;
} host_file;

static remora_status REMORA_CALL io_size(void *user, const char *name, uint64_t *size)
{
    if (strcmp(name, "m.remora") != 0) return REMORA_E_NOT_FOUND;
    *size = ((host_file *)user)->n;
    return REMORA_OK;
}

static remora_status REMORA_CALL io_read(void *user, const char *name, uint64_t off, void *buf,
                                         uint64_t n)
{
    (void)name;
    memcpy(buf, ((host_file *)user)->p + off, n);
    return REMORA_OK;
}

static remora_status open_desc(rmr_mem *mem, const remora_source *desc, int use_mmap,
                               rmr_pack **out)
{
    rmr_source *src;
    *out = NULL;
    RMR_TRY(rmr_source_open(mem, desc, use_mmap, &src, &err));
    const remora_status st = rmr_pack_open(mem, src, "m.remora", out, &err);
    rmr_source_free(src);
    return st;
}

static remora_status open_memory(rmr_mem *mem, const void *p, size_t n, rmr_pack **out)
{
    const remora_blob blob = {"m.remora", p, n};
    const remora_source desc = {
        .struct_size = sizeof desc, .kind = REMORA_SOURCE_MEMORY, .blobs = &blob, .n_blobs = 1};
    return open_desc(mem, &desc, 0, out);
}

/* ---- reading back ---- */

/* A few bytes from everywhere: also over the end of a chunk, and the last ones. */
static void check_parts(rmr_pack_reader *r, const rmr_pack_tensor *t, uint32_t i,
                        unsigned char *room)
{
    const uint64_t at[] = {0,
                           5,
                           RMR_PACK_CHUNK - 7,
                           RMR_PACK_CHUNK,
                           2 * RMR_PACK_CHUNK - 1,
                           t->bytes > 9 ? t->bytes - 9 : 0};
    for (size_t k = 0; k < sizeof at / sizeof at[0]; k++) {
        if (at[k] >= t->bytes) continue;
        const uint64_t left = t->bytes - at[k], n = left < 64 ? left : 64;
        memset(room, 0, 64);
        assert_int_equal(rmr_pack_read(r, t, at[k], n, room, &err), REMORA_OK);
        for (uint64_t b = 0; b < n; b++)
            if (room[b] != content(i, at[k] + b))
                fail_msg("tensor %u byte %llu", i, (unsigned long long)(at[k] + b));
    }
}

static void check_tensor(const rmr_pack *p, rmr_pack_reader *r, uint32_t i, int mapped, int level)
{
    const rmr_pack_tensor *t = rmr_pack_find(p, shapes[i].name, shapes[i].use);
    assert_non_null(t);
    assert_int_equal(t->elem, shapes[i].elem);
    assert_int_equal(t->count, shapes[i].count);
    assert_int_equal(t->rows, shapes[i].rows);
    assert_int_equal(t->cols, shapes[i].cols);
    assert_int_equal(t->offset % 4096, 0);
    assert_int_equal(t->zstd, level > 0 && i != STACK);
    if (t->zstd) assert_true(t->stored < t->bytes);
    unsigned char *chunk = malloc(RMR_PACK_CHUNK);
    for (uint64_t c = 0; c < rmr_pack_chunks(t); c++) {
        const uint32_t n = rmr_pack_chunk_bytes(t, c);
        assert_int_equal(rmr_pack_read_chunk(r, t, c, chunk, &err), REMORA_OK);
        for (uint32_t k = 0; k < n; k++)
            if (chunk[k] != content(i, c * RMR_PACK_CHUNK + k)) fail_msg("tensor %u byte %u", i, k);
    }
    check_parts(r, t, i, chunk);
    const unsigned char *data = rmr_pack_data(p, t);
    assert_int_equal(data != NULL, mapped && !t->zstd);
    if (data != NULL) {
        assert_int_equal(rmr_pack_check(p, &err), REMORA_OK);
        assert_int_equal(data[0], content(i, 0));
        assert_int_equal(data[t->bytes - 1], content(i, t->bytes - 1));
    }
    free(chunk);
}

static void check_pack(world *w, const rmr_pack *p, int mapped, int level)
{
    char blob[sizeof tokenizer];
    rmr_pack_reader *r;
    assert_int_equal(rmr_pack_count(p), N_TENSORS);
    assert_int_equal(rmr_pack_reader_create(p, &w->mem, &r, &err), REMORA_OK);
    for (uint32_t i = 0; i < N_TENSORS; i++) check_tensor(p, r, i, mapped, level);
    rmr_pack_reader_free(r);
    assert_null(rmr_pack_find(p, "model.norm", RMR_USE_MATRIX));
    assert_null(rmr_pack_find(p, "", RMR_USE_MATRIX));
    assert_null(rmr_pack_find_blob(p, "tokenize"));
    const rmr_pack_blob *b = rmr_pack_find_blob(p, "tokenizer");
    assert_int_equal(b->bytes, sizeof tokenizer);
    assert_int_equal(rmr_pack_read_blob(p, b, blob, &err), REMORA_OK);
    assert_memory_equal(blob, tokenizer, sizeof tokenizer);
    assert_int_equal(rmr_pack_blob_data(p, b) != NULL, mapped);
    const json_t *config = json_object_get(rmr_pack_manifest(p), "config");
    assert_int_equal(json_integer_value(json_object_get(config, "vocab_size")), 24);
    assert_true(json_real_value(json_object_get(config, "rms_norm_eps")) == 1e-6);
    assert_non_null(json_object_get(rmr_pack_manifest(p), "self_test"));
    assert_int_equal(rmr_pack_verify(p, &w->host, &err), REMORA_OK);
}

static void same_from_every_source(void **state)
{
    world *w = *state;
    for (int level = 0; level <= 3; level += 3) {
        size_t n;
        rmr_pack *p;
        assert_int_equal(make(w, &w->mem, level), REMORA_OK);
        assert_int_equal(files_in(w->dir), 1);
        unsigned char *all = load(w->path, &n);
        host_file file = {all, n};
        const remora_source path = {
            .struct_size = sizeof path, .kind = REMORA_SOURCE_PATH, .path = w->path};
        const remora_source io = {.struct_size = sizeof io,
                                  .kind = REMORA_SOURCE_IO,
                                  .io_user = &file,
                                  .io_size = io_size,
                                  .io_read = io_read};
        for (int use_mmap = 0; use_mmap < 2; use_mmap++) {
            assert_int_equal(open_desc(&w->mem, &path, use_mmap, &p), REMORA_OK);
            check_pack(w, p, use_mmap, level);
            rmr_pack_free(p);
        }
        assert_int_equal(open_memory(&w->mem, all, n, &p), REMORA_OK);
        check_pack(w, p, 1, level);
        rmr_pack_drop_manifest(p);
        assert_null(rmr_pack_manifest(p));
        rmr_pack_free(p);
        assert_int_equal(open_desc(&w->mem, &io, 0, &p), REMORA_OK);
        check_pack(w, p, 0, level);
        rmr_pack_free(p);
        free(all);
    }
}

/* What `head` shows: the format, then what the writer said, one line for each tensor. */
static void people_can_read_it(void **state)
{
    world *w = *state;
    size_t n;
    assert_int_equal(make(w, &w->mem, 0), REMORA_OK);
    unsigned char *all = load(w->path, &n);
    all[n] = 0;
    assert_memory_equal(all, "remora_pack: 1\nheader_sha256: \"", 31);
    assert_memory_equal(all + 97, "header_bytes:         4096\nmanifest_bytes:         ", 51);
    const char *text = (char *)all + RMR_PACK_FRONT;
    assert_non_null(
        strstr(text, "needs: []\nname: \"made up\"\nconfig:\n  model_type: deepseek_v3\n"));
    assert_non_null(strstr(text,
                           "\n- {name: model.norm, use: vector, type: F32, count: 1, rows: 1, "
                           "cols: 40, offset: "));
    assert_non_null(strstr(text, "\n...\n"));
    free(all);
}

static void cut_anywhere_is_a_status(void **state)
{
    world *w = *state;
    for (int level = 0; level <= 3; level += 3) {
        size_t n;
        rmr_pack *p;
        assert_int_equal(make(w, &w->mem, level), REMORA_OK);
        unsigned char *all = load(w->path, &n);
        for (size_t cut = 0; cut < n; cut += cut < 300 ? 1 : 4096 - cut % 4096) {
            assert_int_equal(open_memory(&w->mem, all, cut, &p), REMORA_E_FORMAT);
            assert_null(p);
        }
        assert_int_equal(open_memory(&w->mem, all, n - 1, &p), REMORA_E_FORMAT);
        assert_int_equal(open_memory(&w->mem, all, n + 1, &p), REMORA_E_FORMAT);
        free(all);
    }
}

static void every_header_flip_is_a_status(void **state)
{
    world *w = *state;
    size_t n;
    rmr_pack *p;
    assert_int_equal(make(w, &w->mem, 0), REMORA_OK);
    unsigned char *all = load(w->path, &n);
    for (size_t i = 0; i < 4096; i++) {
        for (int bit = 0; bit < 8; bit++) {
            all[i] ^= (unsigned char)(1u << bit);
            if (open_memory(&w->mem, all, n, &p) != REMORA_E_FORMAT)
                fail_msg("byte %zu bit %d", i, bit);
            all[i] ^= (unsigned char)(1u << bit);
        }
    }
    assert_int_equal(open_memory(&w->mem, all, n, &p), REMORA_OK);
    rmr_pack_free(p);
    free(all);
}

static void damage_is_found_by_name(void **state)
{
    world *w = *state;
    for (int level = 0; level <= 3; level += 3) {
        size_t n;
        rmr_pack *p;
        assert_int_equal(make(w, &w->mem, level), REMORA_OK);
        unsigned char *all = load(w->path, &n);
        assert_int_equal(open_memory(&w->mem, all, n, &p), REMORA_OK);
        for (uint32_t i = 0; i <= N_TENSORS; i++) {
            const rmr_pack_tensor *t =
                i < N_TENSORS ? rmr_pack_find(p, shapes[i].name, shapes[i].use) : NULL;
            const rmr_pack_blob *b = rmr_pack_find_blob(p, "tokenizer");
            const uint64_t at = t != NULL ? t->offset + t->stored - 1 : b->offset;
            all[at] ^= 4;
            assert_int_equal(rmr_pack_verify(p, &w->host, &err), REMORA_E_FORMAT);
            if (strstr(err.message, t != NULL ? t->name : "tokenizer") == NULL)
                fail_msg("%s", err.message);
            all[at] ^= 4;
        }
        assert_int_equal(rmr_pack_verify(p, &w->host, &err), REMORA_OK);
        rmr_pack_free(p);
        free(all);
    }
}

/* The table of chunks and the frames are input: every flip of the table, many of the rest. */
static void hostile_frames(void **state)
{
    world *w = *state;
    size_t n;
    rmr_pack *p;
    rmr_pack_reader *r;
    assert_int_equal(make(w, &w->mem, 3), REMORA_OK);
    unsigned char *all = load(w->path, &n), *dst = malloc(RMR_PACK_CHUNK);
    assert_int_equal(open_memory(&w->mem, all, n, &p), REMORA_OK);
    const rmr_pack_tensor *t = rmr_pack_find(p, "lm_head", RMR_USE_MATRIX);
    assert_int_equal(rmr_pack_reader_create(p, &w->mem, &r, &err), REMORA_OK);
    for (uint64_t i = 0; i < t->stored; i++) {
        if (i > 2000 && i % 37 != 0) continue;
        int failed = 0;
        all[t->offset + i] ^= (unsigned char)(1u << i % 8);
        for (uint64_t c = 0; c < rmr_pack_chunks(t); c++) {
            const remora_status st = rmr_pack_read_chunk(r, t, c, dst, &err);
            assert_true(st == REMORA_OK || st == REMORA_E_FORMAT);
            failed += st != REMORA_OK;
        }
        if (!failed) /* bits that mean nothing for these contents */
            assert_int_equal(rmr_pack_verify(p, &w->host, &err), REMORA_OK);
        all[t->offset + i] ^= (unsigned char)(1u << i % 8);
    }
    rmr_pack_reader_free(r);
    rmr_pack_free(p);
    free(all);
    free(dst);
}

/* ---- manifests made up ---- */

#define SHA "sha256: \"0000000000000000000000000000000000000000000000000000000000000000\""
#define VECTOR_AT(name, offset)                                                                    \
    "- {name: " name ", use: vector, type: F32, count: 1, rows: 1, cols: 4, offset: " offset       \
    ", bytes: 16, " SHA "}\n"

/* A pack of two pages with this manifest. */
static remora_status open_text(world *w, const char *text, size_t n, rmr_pack **out)
{
    static unsigned char file[3 * 4096];
    const rmr_pack_front front = {1, 4096, RMR_PACK_FRONT + n, sizeof file};
    assert_true(RMR_PACK_FRONT + n <= 4096);
    memset(file, 0, sizeof file);
    memcpy(file + RMR_PACK_FRONT, text, n);
    rmr_pack_seal(file, &front);
    return open_memory(&w->mem, file, sizeof file, out);
}

static void hostile_manifests(void **state)
{
    static const struct {
        const char *text;
        remora_status st;
        const char *part;
    } cases[] = {
        {"", REMORA_OK, ""},
        {"tensors:\n" VECTOR_AT("a", "4096") VECTOR_AT("b", "8192") "future: {x: [1]}\n", REMORA_OK,
         ""},
        {"[]", REMORA_E_FORMAT, ":7:1"},
        {"tensors: 1\n", REMORA_E_FORMAT, "tensors is not a list"},
        {"blobs: {}\n", REMORA_E_FORMAT, "blobs is not a list"},
        {"needs: [zstd]\n", REMORA_OK, ""},
        {"needs: [wings]\n", REMORA_E_UNSUPPORTED, "needs wings"},
        {"needs: [[1]]\n", REMORA_E_UNSUPPORTED, "needs something"},
        {"needs: zstd\n", REMORA_E_FORMAT, "needs is not a list"},
        {"file_bytes: 1\n", REMORA_E_FORMAT, "occurs twice"},
        {"a: &x [1]\nb: [*x, *x]\n", REMORA_E_FORMAT, "anchors"},
        {"tensors: [1]\n", REMORA_E_FORMAT, "tensors[0]: no name"},
        {"tensors: [{name: ''}]\n", REMORA_E_FORMAT, "tensors[0]: no name"},
        {"tensors: [{name: \"a\\nb\"}]\n", REMORA_E_FORMAT, "control character"},
        {"tensors: [{name: a}]\n", REMORA_E_FORMAT, "tensors[0] a: use or type is missing"},
        {"tensors: [{name: a, use: matrix, type: Q9_K}]\n", REMORA_E_UNSUPPORTED, "a type that"},
        {"tensors: [{name: a, use: hat, type: F32}]\n", REMORA_E_UNSUPPORTED, "a use that"},
        {"tensors:\n" VECTOR_AT("a", "4097"), REMORA_E_FORMAT, "not on a page"},
        {"tensors:\n" VECTOR_AT("a", "12288"), REMORA_E_FORMAT, "beyond the end"},
        {"tensors:\n" VECTOR_AT("a", "9223372036854771712"), REMORA_E_FORMAT, "offset"},
        {"tensors:\n" VECTOR_AT("a", "-4096"), REMORA_E_FORMAT, "offset"},
        {"tensors:\n" VECTOR_AT("a", "4096.0"), REMORA_E_FORMAT, "offset"},
        {"tensors:\n" VECTOR_AT("a", "0"), REMORA_E_FORMAT, "not on a page"},
        {"tensors:\n" VECTOR_AT("a", "4096") VECTOR_AT("b", "4096"), REMORA_E_FORMAT,
         "overlaps what lies"},
        {"tensors:\n" VECTOR_AT("a", "4096") VECTOR_AT("a", "8192"), REMORA_E_FORMAT,
         "tensor a occurs twice"},
        {"blobs: [{name: a, offset: 4096, bytes: 4097, " SHA
         "}]\ntensors:\n" VECTOR_AT("b", "8192"),
         REMORA_E_FORMAT, "overlaps what lies"},
        {"blobs: [{name: a, offset: 4096, bytes: 8193, " SHA "}]\n", REMORA_E_FORMAT,
         "blobs[0] a: "},
        {"blobs:\n- {name: a, offset: 4096, bytes: 1, " SHA
         "}\n- {name: a, offset: 8192, bytes: 1, " SHA "}\n",
         REMORA_E_FORMAT, "blobs[1] a: a blob of that name"},
        {"blobs: [{name: a, offset: 4096, bytes: 1, sha256: abc}]\n", REMORA_E_FORMAT, "sha256"},
        {"tensors: [{name: a, use: vector, type: BF16, count: 1, rows: 1, cols: 4}]\n",
         REMORA_E_FORMAT, "a vector is one row of F32"},
        {"tensors: [{name: a, use: vector, type: F32, count: 1, rows: 2, cols: 4}]\n",
         REMORA_E_FORMAT, "a vector is one row"},
        {"tensors: [{name: a, use: table, type: F32, count: 2, rows: 2, cols: 4}]\n",
         REMORA_E_FORMAT, "a stack of tables"},
        {"tensors: [{name: a, use: matrix, type: F32, count: 0, rows: 2, cols: 4}]\n",
         REMORA_E_FORMAT, "a dimension is 0"},
        {"tensors: [{name: a, use: matrix, type: F32, count: 1, rows: 4294967296, cols: 4}]\n",
         REMORA_E_FORMAT, "rows is missing or out of range"},
        {"tensors: [{name: a, use: matrix, type: Q4_K, count: 1, rows: 2, cols: 255}]\n",
         REMORA_E_FORMAT, "whole blocks"},
        {"tensors: [{name: a, use: matrix, type: F32, count: 1, rows: 1, cols: 4, bytes: 255, "
         "offset: 4096}]\n",
         REMORA_E_FORMAT, "bytes is not what"},
        {"tensors: [{name: a, use: matrix, type: F32, count: 4294967295, rows: 4294967295, cols: "
         "4294967295, bytes: 256, offset: 4096}]\n",
         REMORA_E_FORMAT, "bytes is not what"}, /* the product wraps */
        {"tensors: [{name: a, use: matrix, type: F32, count: 1, rows: 1, cols: 4, bytes: 256, "
         "codec: lzma, offset: 4096}]\n",
         REMORA_E_UNSUPPORTED, "a codec that"},
        {"tensors: [{name: a, use: matrix, type: F32, count: 1, rows: 1, cols: 4, bytes: 256, "
         "codec: zstd, stored: 7, offset: 4096}]\n",
         REMORA_E_FORMAT, "too few bytes"},
        {"tensors: [{name: a, use: matrix, type: F32, count: 1, rows: 1, cols: 4, bytes: 256, "
         "codec: zstd, stored: 257, offset: 4096}]\n",
         REMORA_E_FORMAT, "stored is missing or out of range"},
    };
    world *w = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmr_pack *p;
        err.message[0] = 0;
        const remora_status st = open_text(w, cases[i].text, strlen(cases[i].text), &p);
        if (st != cases[i].st || strstr(err.message, cases[i].part) == NULL)
            fail_msg("%s: %d: %s", cases[i].text, st, err.message);
        rmr_pack_free(p);
    }
}

/* Fronts that lie, with a checksum that fits. */
static void hostile_fronts(void **state)
{
    world *w = *state;
    static unsigned char file[2 * 4096];
    const struct {
        rmr_pack_front front;
        remora_status st;
        const char *part;
    } cases[] = {
        {{1, 4096, 190, 8192}, REMORA_OK, ""},
        {{2, 4096, 190, 8192}, REMORA_E_UNSUPPORTED, "pack version 2"},
        {{1, 4096, 190, 8191}, REMORA_E_FORMAT, "the pack says"},
        {{1, 4096, 185, 8192}, REMORA_E_FORMAT, "its header has"},
        {{1, 4096, 4097, 8192}, REMORA_E_FORMAT, "its header has"},
        {{1, 8192, 190, 8192}, REMORA_OK, ""},
        {{1, 5000, 190, 8192}, REMORA_E_FORMAT, "its header has"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rmr_pack *p;
        memset(file, 0, sizeof file);
        memcpy(file + RMR_PACK_FRONT, "x: \n", 4);
        rmr_pack_seal(file, &cases[i].front);
        const remora_status st = open_memory(&w->mem, file, sizeof file, &p);
        if (st != cases[i].st || (st < 0 && strstr(err.message, cases[i].part) == NULL))
            fail_msg("case %zu: %d: %s", i, st, err.message);
        rmr_pack_free(p);
    }
    memset(file, 0, sizeof file); /* what no reader would ever see */
    file[4000] = 'x';
    rmr_pack *p;
    rmr_pack_seal(file, &cases[0].front);
    file[RMR_PACK_FRONT] = '\n';
    rmr_pack_seal(file, &cases[0].front);
    assert_int_equal(open_memory(&w->mem, file, sizeof file, &p), REMORA_E_FORMAT);
}

/* ---- writing that fails ---- */

static void put_old(const world *w)
{
    FILE *f = fopen(w->path, "wb");
    assert_non_null(f);
    fputs("the old one", f);
    fclose(f);
}

/* Only the old file is there, untouched. */
static void only_old(const world *w)
{
    size_t n;
    unsigned char *p = load(w->path, &n);
    assert_int_equal(n, 11);
    assert_memory_equal(p, "the old one", 11);
    assert_int_equal(files_in(w->dir), 1);
    free(p);
}

static void every_system_call_fails(void **state)
{
    static const struct {
        const char *name;
        int error;
        const char *part;
    } calls[] = {{"pwrite", ENOSPC, "no space left"}, {"pwrite", EIO, "input/output"},
                 {"pread", EIO, "read back"},         {"fsync", EIO, "to disk"},
                 {"ftruncate", EFBIG, "too large"},   {"openat", EACCES, "permission denied"}};
    world *w = *state;
    w->small = 1;
    put_old(w);
    for (int level = 0; level <= 3; level += 3)
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
            const int last_sync = strcmp(calls[i].name, "fsync") == 0; /* after the rename */
            for (long at = 1;; at++) {
                broken.name = calls[i].name;
                broken.at = at;
                broken.error = calls[i].error;
                broken.seen = 0;
                const remora_status st = make(w, &w->mem, level);
                broken.name = NULL;
                if (broken.seen < at) {
                    assert_int_equal(st, REMORA_OK);
                    assert_true(at > 1);
                    break;
                }
                assert_int_equal(st, REMORA_E_IO);
                assert_int_equal(err.os_code, calls[i].error);
                if (strstr(err.message, calls[i].part) == NULL) fail_msg("%s", err.message);
                if (last_sync && at == 3) {
                    assert_int_equal(files_in(w->dir), 1);
                    put_old(w);
                } else {
                    only_old(w);
                }
            }
            put_old(w);
        }
    broken.name = "renameat";
    broken.at = 1;
    broken.error = EACCES;
    assert_int_equal(make(w, &w->mem, 0), REMORA_E_IO);
    broken.name = NULL;
    only_old(w);
}

static void short_writes_go_on(void **state)
{
    world *w = *state;
    size_t n, m;
    assert_int_equal(make(w, &w->mem, 0), REMORA_OK);
    unsigned char *a = load(w->path, &n);
    broken.name = "short";
    const remora_blob blob = {"m.remora", a, n};
    (void)blob;
    rmr_pack_writer *out;
    uint32_t index;
    unsigned char x[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    assert_int_equal(rmr_pack_writer_begin(&w->mem, w->path, &out, &err), REMORA_OK);
    assert_int_equal(
        rmr_pack_writer_add(out, "v", RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, 4, &index, &err),
        REMORA_OK);
    assert_int_equal(rmr_pack_writer_lay_out(out, 0, &err), REMORA_OK);
    assert_int_equal(rmr_pack_writer_write(out, index, 0, x, 16, &err), REMORA_OK);
    assert_int_equal(rmr_pack_writer_seal(out, 0, &w->host, &err), REMORA_OK);
    assert_int_equal(rmr_pack_writer_publish(out, &err), REMORA_OK);
    rmr_pack_writer_free(out);
    free(a);
    a = load(w->path, &m);
    assert_int_equal(m, 4096 + 16);
    assert_memory_equal(a + 4096, x, 16);
    free(a);
}

/* SIGXFSZ would end this test. */
static void file_size_limit(void **state)
{
    world *w = *state;
    struct rlimit old, low;
    put_old(w);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = old;
    low.rlim_cur = 1 << 20;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    assert_int_equal(make(w, &w->mem, 0), REMORA_E_IO);
    assert_int_equal(err.os_code, EFBIG);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    only_old(w);
}

typedef struct stopper {
    int calls, stop_at;
    uint64_t done, total;
} stopper;

static int32_t REMORA_CALL progress(void *user, uint64_t done, uint64_t total)
{
    stopper *s = user;
    if (done < s->done || done > total) s->stop_at = -1;
    s->done = done;
    s->total = total;
    return ++s->calls == s->stop_at;
}

static void cancelled_at_every_step(void **state)
{
    world *w = *state;
    int32_t cancel = 1;
    put_old(w);
    for (int level = 0; level <= 3; level += 3)
        for (int at = 1;; at++) {
            stopper s = {.stop_at = at};
            w->host.progress = progress;
            w->host.progress_user = &s;
            const remora_status st = make(w, &w->mem, level);
            assert_true(s.stop_at == at);
            if (s.calls < at) {
                assert_int_equal(st, REMORA_OK);
                assert_int_equal(s.done, s.total);
                assert_true(at > 1);
                put_old(w);
                break;
            }
            assert_int_equal(st, REMORA_E_CANCELLED);
            assert_non_null(strstr(err.message, "cancelled"));
            only_old(w);
        }
    w->host.progress = NULL;
    w->host.cancel = &cancel;
    assert_int_equal(make(w, &w->mem, 0), REMORA_E_CANCELLED);
    w->host.cancel = NULL;
    only_old(w);
}

/* Not before publish, and not at all without it. */
static void unfinished_packs_have_no_name(void **state)
{
    world *w = *state;
    rmr_pack_writer *out;
    struct stat st;
    uint32_t index;
    assert_int_equal(rmr_pack_writer_begin(&w->mem, w->path, &out, &err), REMORA_OK);
    assert_int_equal(files_in(w->dir), 1);
    assert_int_equal(stat(rmr_pack_writer_path(out), &st), 0);
    assert_non_null(strstr(rmr_pack_writer_path(out), ".remora-part"));
    assert_int_equal(
        rmr_pack_writer_add(out, "v", RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, 4, &index, &err),
        REMORA_OK);
    assert_int_equal(
        rmr_pack_writer_add(out, "v", RMR_USE_VECTOR, RMR_ELEM_F32, 1, 1, 4, &index, &err),
        REMORA_E_ARG);
    assert_int_equal(
        rmr_pack_writer_add(out, "w", RMR_USE_MATRIX, RMR_ELEM_Q4_K, 1, 1, 4, &index, &err),
        REMORA_E_ARG);
    assert_int_equal(rmr_pack_writer_section(out, "tensors", json_array(), &err), REMORA_E_ARG);
    assert_int_equal(rmr_pack_writer_lay_out(out, 0, &err), REMORA_OK);
    assert_int_equal(rmr_pack_writer_seal(out, 0, &w->host, &err), REMORA_E_INTERNAL);
    assert_non_null(strstr(err.message, "tensor v: 0 of 16 bytes"));
    assert_int_equal(rmr_pack_writer_publish(out, &err), REMORA_E_INTERNAL);
    assert_int_not_equal(stat(w->path, &st), 0);
    rmr_pack_writer_free(out);
    assert_int_equal(files_in(w->dir), 0);
}

static void names_that_cannot_be(void **state)
{
    world *w = *state;
    rmr_pack_writer *out;
    char path[256];
    snprintf(path, sizeof path, "%s/none/x.remora", w->dir);
    assert_int_equal(rmr_pack_writer_begin(&w->mem, path, &out, &err), REMORA_E_NOT_FOUND);
    assert_int_equal(rmr_pack_writer_begin(&w->mem, "/tmp", &out, &err), REMORA_E_ARG);
    assert_int_equal(rmr_pack_writer_begin(&w->mem, "/tmp/", &out, &err), REMORA_E_ARG);
    assert_int_equal(rmr_pack_writer_begin(&w->mem, "", &out, &err), REMORA_E_ARG);
    assert_null(out);
}

/* What `spare` did not leave room for is refused; the file stays unfinished. */
static void manifest_outgrows_its_room(void **state)
{
    world *w = *state;
    rmr_pack_writer *out;
    char *big = calloc(1, 9000);
    memset(big, 'x', 8999);
    assert_int_equal(rmr_pack_writer_begin(&w->mem, w->path, &out, &err), REMORA_OK);
    assert_int_equal(rmr_pack_writer_lay_out(out, 0, &err), REMORA_OK);
    assert_int_equal(rmr_pack_writer_section(out, "big", json_string(big), &err), REMORA_OK);
    assert_int_equal(rmr_pack_writer_seal(out, 0, &w->host, &err), REMORA_E_ARG);
    rmr_pack_writer_free(out);
    free(big);
}

/* ---- memory that fails ---- */

typedef struct sweep {
    world *w;
    unsigned char *file;
    size_t n;
    int level;
} sweep;

static int32_t sweep_open(void *arg, tmem *t)
{
    sweep *s = arg;
    rmr_mem mem = {.user = t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    rmr_pack *p;
    rmr_pack_reader *r = NULL;
    rmr_mem_init(&mem);
    remora_status st = open_memory(&mem, s->file, s->n, &p);
    if (st >= 0) st = rmr_pack_reader_create(p, &mem, &r, &err);
    static unsigned char dst[RMR_PACK_CHUNK];
    for (uint32_t i = 0; st >= 0 && i < rmr_pack_count(p); i++)
        st = rmr_pack_read_chunk(r, rmr_pack_at(p, i), 0, dst, &err);
    if (st < 0) assert_int_equal(st, REMORA_E_NOMEM);
    rmr_pack_reader_free(r);
    rmr_pack_free(p);
    return st;
}

static int32_t sweep_write(void *arg, tmem *t)
{
    const sweep *s = arg;
    rmr_mem mem = {.user = t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    rmr_mem_init(&mem);
    const remora_status st = make(s->w, &mem, s->level);
    if (st < 0) {
        assert_int_equal(st, REMORA_E_NOMEM);
        only_old(s->w);
    } else {
        put_old(s->w);
    }
    return st;
}

static void every_allocation_fails_once(void **state)
{
    sweep s = {.w = *state};
    tmem t = {0};
    s.w->small = 1;
    for (s.level = 0; s.level <= 1; s.level++) {
        assert_int_equal(make(s.w, &s.w->mem, s.level), REMORA_OK);
        s.file = load(s.w->path, &s.n);
        assert_true(tmem_sweep(&t, sweep_open, &s) > 10);
        free(s.file);
        put_old(s.w);
        assert_true(tmem_sweep(&t, sweep_write, &s) > 20);
    }
}

/* Checksums that are right, and a value that is not finite. */
static void verify_finds_what_is_not_finite(void **state)
{
    world *w = *state;
    for (uint32_t bad = 0; bad <= 3; bad++) {
        size_t n;
        rmr_pack *p;
        assert_int_equal(make_bad(w, bad), REMORA_OK);
        unsigned char *all = load(w->path, &n);
        assert_int_equal(open_memory(&w->mem, all, n, &p), REMORA_OK);
        assert_int_equal(rmr_pack_verify(p, &w->host, &err), bad < 3 ? REMORA_E_FORMAT : REMORA_OK);
        if (bad < 3) {
            assert_non_null(strstr(err.message, shapes[bad].name));
            assert_non_null(strstr(err.message, "not finite"));
        }
        rmr_pack_free(p);
        free(all);
        remove(w->path);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(same_from_every_source),
        TEST(people_can_read_it),
        TEST(cut_anywhere_is_a_status),
        TEST(every_header_flip_is_a_status),
        TEST(damage_is_found_by_name),
        TEST(verify_finds_what_is_not_finite),
        TEST(hostile_frames),
        TEST(hostile_manifests),
        TEST(hostile_fronts),
        TEST(every_system_call_fails),
        TEST(short_writes_go_on),
        TEST(file_size_limit),
        TEST(cancelled_at_every_step),
        TEST(unfinished_packs_have_no_name),
        TEST(names_that_cannot_be),
        TEST(manifest_outgrows_its_room),
        TEST(every_allocation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

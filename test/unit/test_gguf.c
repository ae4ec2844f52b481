/* SPDX-License-Identifier: Apache-2.0 */
/* GGUF containers: what a right one gives, one wrong one for each rule, split files, which file is
 * meant, and what happens when memory or reading fails at any point. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "ggufw.h"
#include "gguf.h"
#include "tmem.h"

#define NAME "m.gguf"
#define PAIR(a, b) ((const uint64_t[]){a, b})

enum { MAX_FILES = 4, F32 = 0, Q8_0 = 8, Q4_K = 12 };

typedef struct fixture {
    tmem t;
    rmr_mem mem;
    remora_error err;
    remora_blob files[MAX_FILES];
    uint64_t n_files;
    rmr_gguf *g;
    rmr_checkpoint *c;
} fixture;

static int setup(void **state)
{
    fixture *x = calloc(1, sizeof *x);
    if (x == NULL) return -1;
    x->mem = (rmr_mem){
        .user = &x->t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    rmr_mem_init(&x->mem);
    x->err.struct_size = sizeof x->err;
    *state = x;
    return 0;
}

static void drop(fixture *x)
{
    rmr_gguf_free(x->g);
    rmr_checkpoint_free(x->c);
    x->g = NULL;
    x->c = NULL;
    for (uint64_t i = 0; i < x->n_files; i++) {
        void *p;
        memcpy(&p, &x->files[i].data, sizeof p);
        free(p);
    }
    x->n_files = 0;
}

static int teardown(void **state)
{
    fixture *x = *state;
    drop(x);
    const int bad = atomic_load(&x->t.blocks) != 0 || atomic_load(&x->t.damage) != 0 ||
                    atomic_load(&x->mem.bytes) != 0;
    free(x);
    return bad ? -1 : 0;
}

/* The first n bytes of w as a file: an exact allocation, so that ASan sees a byte too far. */
static void put_cut(fixture *x, const char *name, const ggufw *w, size_t n)
{
    unsigned char *p = malloc(n > 0 ? n : 1);
    assert_non_null(p);
    memcpy(p, w->data, n);
    assert_true(x->n_files < MAX_FILES);
    x->files[x->n_files++] = (remora_blob){name, p, n};
}

/* The same, and w is done with. */
static void put(fixture *x, const char *name, ggufw *w)
{
    put_cut(x, name, w, w->n);
    ggufw_free(w);
}

static remora_source source_of(const fixture *x)
{
    return (remora_source){.struct_size = sizeof(remora_source),
                           .kind = REMORA_SOURCE_MEMORY,
                           .blobs = x->files,
                           .n_blobs = x->n_files};
}

static remora_status open_file(fixture *x, const char *name)
{
    const remora_source desc = source_of(x);
    rmr_source *src;
    remora_status st = rmr_source_open(&x->mem, &desc, 0, &src, &x->err);
    if (st < 0) return st;
    st = rmr_gguf_open(&x->mem, src, name, NULL, &x->g, &x->c, &x->err);
    rmr_source_free(src);
    assert_true((st == REMORA_OK) == (x->g != NULL) && (st == REMORA_OK) == (x->c != NULL));
    return st;
}

static void must_open(fixture *x, const char *name)
{
    if (open_file(x, name) < 0) fail_msg("%s", x->err.message);
}

/* Opening fails with this status and all of these words in the message. */
static void must_fail(fixture *x, remora_status st, const char *a, const char *b)
{
    const remora_status got = open_file(x, NAME);
    if (got != st || strstr(x->err.message, a) == NULL || strstr(x->err.message, b) == NULL)
        fail_msg("status %d (want %d), message \"%s\" (want %s, %s)", got, st, x->err.message, a,
                 b);
    assert_non_null(strstr(x->err.message, NAME));
    drop(x);
}

/* One of each kind of value, two tensors, one of them blocks in three dims. */
static void make_usual(ggufw *w, uint32_t version)
{
    ggufw_begin(w, version);
    ggufw_string(w, "general.architecture", "deepseek2");
    ggufw_u32(w, "u32", 4000000000u);
    ggufw_key(w, "i8", 1);
    ggufw_int(w, (uint64_t)-5, 1);
    ggufw_key(w, "i64", 11);
    ggufw_int(w, (uint64_t)-6, 8);
    ggufw_f32(w, "f32", 0.5f);
    ggufw_bool(w, "yes", 1);
    ggufw_array(w, "words", 8, 3);
    ggufw_text(w, "one");
    ggufw_text(w, "");
    ggufw_text(w, "three");
    ggufw_array(w, "numbers", 5, 2);
    ggufw_int(w, 7, 4);
    ggufw_int(w, (uint64_t)-8, 4);
    ggufw_tensor(w, "b", F32, 2, PAIR(3, 2), 0);
    ggufw_tensor(w, "a", Q8_0, 3, ((const uint64_t[]){64, 2, 5}), 32);
    ggufw_align(w, 32);
    for (int i = 0; i < 32 + 2 * 34 * 10; i++) ggufw_int(w, (uint64_t)i, 1);
}

static void values_and_tensors(void **state)
{
    fixture *x = *state;
    uint32_t u;
    double d;
    int on;
    rmr_gguf_text s;
    rmr_gguf_list l;
    for (uint32_t version = 2; version <= 3; version++) {
        ggufw w;
        make_usual(&w, version);
        put(x, NAME, &w);
        must_open(x, NAME);
        const rmr_gguf *g = x->g;
        assert_string_equal(rmr_gguf_name(g), NAME);
        assert_true(rmr_gguf_has(g, "u32") && !rmr_gguf_has(g, "u3") && !rmr_gguf_has(g, "u321"));
        assert_int_equal(rmr_gguf_u32(g, "u32", 0, UINT32_MAX, 1, &u, NULL), REMORA_OK);
        assert_int_equal(u, 4000000000u);
        assert_int_equal(rmr_gguf_u32(g, "none", 0, 9, 8, &u, NULL), REMORA_OK);
        assert_int_equal(u, 8);
        assert_int_equal(rmr_gguf_u32(g, "u32", 0, 3999999999u, 1, &u, &x->err), REMORA_E_FORMAT);
        assert_non_null(strstr(x->err.message, NAME ": u32 is 4000000000, not in"));
        assert_int_equal(rmr_gguf_u32(g, "i8", 0, UINT32_MAX, 1, &u, NULL), REMORA_E_FORMAT);
        assert_int_equal(rmr_gguf_u32(g, "f32", 0, UINT32_MAX, 1, &u, NULL), REMORA_E_FORMAT);
        assert_int_equal(rmr_gguf_number(g, "i64", 0, &d, NULL), REMORA_OK);
        assert_true(d == -6);
        assert_int_equal(rmr_gguf_number(g, "i8", 0, &d, NULL), REMORA_OK);
        assert_true(d == -5);
        assert_int_equal(rmr_gguf_number(g, "f32", 0, &d, NULL), REMORA_OK);
        assert_true(d == 0.5);
        assert_int_equal(rmr_gguf_number(g, "yes", 0, &d, NULL), REMORA_E_FORMAT);
        assert_int_equal(rmr_gguf_bool(g, "yes", 0, &on, NULL), REMORA_OK);
        assert_int_equal(on, 1);
        assert_int_equal(rmr_gguf_bool(g, "u32", 0, &on, NULL), REMORA_E_FORMAT);
        assert_int_equal(rmr_gguf_string(g, "general.architecture", &s, NULL), REMORA_OK);
        assert_true(s.size == 9 && memcmp(s.text, "deepseek2", 9) == 0);
        assert_int_equal(rmr_gguf_string(g, "u32", &s, NULL), REMORA_E_FORMAT);
        assert_int_equal(rmr_gguf_array(g, "words", RMR_GGUF_I32, &l, NULL), REMORA_E_FORMAT);
        assert_int_equal(rmr_gguf_array(g, "words", RMR_GGUF_STRING, &l, NULL), REMORA_OK);
        assert_int_equal(l.left, 3);
        assert_int_equal(rmr_gguf_next_text(&l).size, 3);
        assert_int_equal(rmr_gguf_next_text(&l).size, 0);
        s = rmr_gguf_next_text(&l);
        assert_true(s.size == 5 && memcmp(s.text, "three", 5) == 0 && l.left == 0);
        assert_int_equal(rmr_gguf_array(g, "numbers", RMR_GGUF_I32, &l, NULL), REMORA_OK);
        assert_int_equal(rmr_gguf_next_int(&l), 7);
        assert_int_equal(rmr_gguf_next_int(&l), -8);
        assert_int_equal(rmr_gguf_count(g), 8);
        assert_int_equal(rmr_checkpoint_count(x->c), 2);
        const rmr_tensor *a = rmr_checkpoint_find(x->c, "a"), *b = rmr_checkpoint_find(x->c, "b");
        assert_true(a->dtype == RMR_DTYPE_Q8_0 && b->dtype == RMR_DTYPE_F32);
        assert_true(a->n_dims == 3 && a->dims[0] == 5 && a->dims[1] == 2 && a->dims[2] == 64);
        assert_true(b->n_dims == 2 && b->dims[0] == 2 && b->dims[1] == 3);
        assert_int_equal(a->bytes, 2 * 34 * 10);
        assert_int_equal(rmr_tensor_values(a), 640);
        assert_int_equal(b->bytes, 24);
        unsigned char byte = 0;
        assert_int_equal(rmr_file_read(a->file, a->offset, &byte, 1, NULL), REMORA_OK);
        assert_int_equal(byte, 32);
        assert_int_equal(a->offset + a->bytes, rmr_file_size(a->file));
        drop(x);
    }
}

/* Every shorter file is refused, or holds all it promises: the last tensor ends at the end. */
static void every_cut(void **state)
{
    fixture *x = *state;
    ggufw w;
    make_usual(&w, 3);
    for (size_t n = 0; n < w.n; n++) {
        put_cut(x, NAME, &w, n);
        must_fail(x, REMORA_E_FORMAT, "", "");
    }
    ggufw_free(&w);
}

static void versions(void **state)
{
    fixture *x = *state;
    static const struct {
        uint32_t version;
        const char *word;
    } bad[] = {{0, "version 0"}, {1, "version 1"}, {4, "version 4"}, {3u << 24, "big-endian"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ggufw w;
        make_usual(&w, bad[i].version);
        put(x, NAME, &w);
        must_fail(x, REMORA_E_UNSUPPORTED, bad[i].word, "");
    }
    ggufw w;
    make_usual(&w, 3);
    w.data[0] = 'g';
    put(x, NAME, &w);
    must_fail(x, REMORA_E_FORMAT, "does not begin", "GGUF");
}

static void counts(void **state)
{
    fixture *x = *state;
    static const uint64_t many[] = {UINT64_MAX, (uint64_t)1 << 32, 1 << 21, 100};
    for (size_t i = 0; i < sizeof many / sizeof many[0]; i++)
        for (int which = 0; which < 2; which++) {
            ggufw w;
            make_usual(&w, 3);
            ggufw_poke(&w, which ? GGUFW_KEYS_AT : GGUFW_TENSORS_AT, many[i], 8);
            put(x, NAME, &w);
            atomic_store(&x->t.peak, 0);
            must_fail(x, REMORA_E_FORMAT, which ? "keys" : "tensors", "at most");
            assert_true(atomic_load(&x->t.peak) < 100000);
        }
}

/* ---- keys ---- */

static void begin(ggufw *w)
{
    ggufw_begin(w, 3);
}

/* Room for what a length promises. */
static void end(fixture *x, ggufw *w)
{
    for (int i = 0; i < 64; i++) ggufw_int(w, 0, 8);
    put(x, NAME, w);
}

static void wrong_keys(void **state)
{
    fixture *x = *state;
    ggufw w;
    begin(&w);
    ggufw_u32(&w, "twice", 1);
    ggufw_u32(&w, "other", 1);
    ggufw_u32(&w, "twice", 2);
    end(x, &w);
    must_fail(x, REMORA_E_FORMAT, "two entries", "twice");
    begin(&w);
    ggufw_u32(&w, "", 1);
    end(x, &w);
    must_fail(x, REMORA_E_FORMAT, "empty", "");
    begin(&w);
    ggufw_key(&w, "kind", 13);
    end(x, &w);
    must_fail(x, REMORA_E_FORMAT, "kind", "value type 13");
    begin(&w);
    ggufw_bool(&w, "maybe", 2);
    end(x, &w);
    must_fail(x, REMORA_E_FORMAT, "maybe", "no bool");
    begin(&w);
    ggufw_array(&w, "maybe", 7, 2);
    ggufw_int(&w, 0x0301, 2);
    end(x, &w);
    must_fail(x, REMORA_E_FORMAT, "maybe", "no bool");
    begin(&w);
    ggufw_array(&w, "deep", 9, 1);
    end(x, &w);
    must_fail(x, REMORA_E_UNSUPPORTED, "deep", "array of arrays");
    begin(&w);
    ggufw_array(&w, "kind", 99, 1);
    end(x, &w);
    must_fail(x, REMORA_E_FORMAT, "kind", "value type 99");
}

static void lengths(void **state)
{
    fixture *x = *state;
    static const uint64_t long_[] = {UINT64_MAX, UINT64_MAX / 4 + 2, (uint64_t)1 << 40, 4096};
    for (size_t i = 0; i < sizeof long_ / sizeof long_[0]; i++) {
        ggufw w;
        for (uint32_t type = 0; type <= 12; type++) {
            if (type == 9 || (long_[i] == 4096 && type == 8)) continue;
            begin(&w);
            ggufw_array(&w, "much", type, long_[i]);
            end(x, &w);
            must_fail(x, REMORA_E_FORMAT, "much", "");
        }
        begin(&w);
        ggufw_key(&w, "text", 8);
        ggufw_int(&w, long_[i], 8);
        end(x, &w);
        must_fail(x, REMORA_E_FORMAT, "text", "");
        begin(&w);
        ggufw_u32(&w, "key", 1);
        ggufw_poke(&w, 24, long_[i], 8);
        end(x, &w);
        must_fail(x, REMORA_E_FORMAT, "a key", "");
    }
}

/* ---- tensors ---- */

/* A file with one tensor of type, dims and offset, and `data` bytes. */
static void put_tensor(fixture *x, const char *name, uint32_t type, uint32_t n_dims,
                       const uint64_t *dims, uint64_t offset, size_t data)
{
    ggufw w;
    begin(&w);
    ggufw_tensor(&w, name, type, n_dims, dims, offset);
    ggufw_align(&w, 32);
    for (size_t i = 0; i < data; i++) ggufw_int(&w, 0, 1);
    put(x, NAME, &w);
}

static void wrong_tensors(void **state)
{
    fixture *x = *state;
    static const uint64_t five[5] = {1, 1, 1, 1, 1};
    put_tensor(x, "t", F32, 2, PAIR(4, 0), 0, 16);
    must_fail(x, REMORA_E_FORMAT, "tensor t", "dim of 0");
    put_tensor(x, "t", F32, 0, NULL, 0, 64);
    must_fail(x, REMORA_E_FORMAT, "tensor t", "0 dims");
    put_tensor(x, "t", F32, 5, five, 0, 64);
    must_fail(x, REMORA_E_FORMAT, "tensor t", "5 dims");
    put_tensor(x, "", F32, 2, PAIR(4, 1), 0, 16);
    must_fail(x, REMORA_E_FORMAT, "name", "");
    put_tensor(x, "t", Q8_0, 2, PAIR(33, 1), 0, 68);
    must_fail(x, REMORA_E_FORMAT, "tensor t", "whole blocks of Q8_0");
    put_tensor(x, "t", F32, 2, PAIR((uint64_t)1 << 32, (uint64_t)1 << 32), 0, 64);
    must_fail(x, REMORA_E_FORMAT, "tensor t", "overflow");
    /* the values overflow, the bytes (144 of 256) would not */
    put_tensor(x, "t", Q4_K, 2, PAIR((uint64_t)1 << 32, (uint64_t)1 << 32), 0, 64);
    must_fail(x, REMORA_E_FORMAT, "tensor t", "overflow");
    put_tensor(x, "t", F32, 2, PAIR(4, 1), 8, 64);
    must_fail(x, REMORA_E_FORMAT, "tensor t", "not aligned");
    put_tensor(x, "t", F32, 2, PAIR(4, 1), 64, 64);
    must_fail(x, REMORA_E_FORMAT, "tensor t", "half-written: has 160 of 176 bytes");
    put_tensor(x, "t", F32, 2, PAIR(4, 1), UINT64_MAX - 31, 64);
    must_fail(x, REMORA_E_FORMAT, "tensor t", "bytes");
    put_tensor(x, "t", 16, 2, PAIR(256, 1), 0, 96);
    must_fail(x, REMORA_E_UNSUPPORTED, "tensor t is IQ2_XXS",
              "take the model as Q2_K (known: F32, F16");
    put_tensor(x, "t", 31, 2, PAIR(32, 4), 0, 96);
    must_fail(x, REMORA_E_UNSUPPORTED, "tensor t is Q4_0_4_4", "as Q4_0 (");
    put_tensor(x, "t", 5, 2, PAIR(32, 1), 0, 64);
    must_fail(x, REMORA_E_UNSUPPORTED, "tensor t", "type 5 (known: ");
    put_tensor(x, "t", 137, 2, PAIR(32, 1), 0, 64);
    must_fail(x, REMORA_E_UNSUPPORTED, "tensor t", "type 137");
}

static void tensors_apart(void **state)
{
    fixture *x = *state;
    static const struct {
        const char *second;
        uint64_t offset;
        const char *word;
    } cases[] = {{"a", 64, "tensor a has two entries"}, {"b", 32, "overlaps"}, {"b", 64, NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ggufw w;
        begin(&w);
        ggufw_tensor(&w, cases[i].second, F32, 2, PAIR(8, 1), cases[i].offset);
        ggufw_tensor(&w, "a", F32, 2, PAIR(10, 1), 0);
        ggufw_align(&w, 32);
        for (int j = 0; j < 96; j++) ggufw_int(&w, 0, 1);
        put(x, NAME, &w);
        if (cases[i].word != NULL)
            must_fail(x, REMORA_E_FORMAT, cases[i].word, "");
        else
            must_open(x, NAME);
    }
}

static void alignment(void **state)
{
    fixture *x = *state;
    static const struct {
        uint32_t align;
        int fine;
    } cases[] = {{0, 0}, {1, 0}, {4, 0}, {24, 0}, {8, 1}, {64, 1}, {4096, 1}, {1u << 31, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ggufw w;
        begin(&w);
        ggufw_u32(&w, "general.alignment", cases[i].align);
        ggufw_tensor(&w, "t", F32, 1, PAIR(2, 0), 0);
        ggufw_align(&w, cases[i].fine ? cases[i].align : 32);
        const size_t at = w.n;
        ggufw_int(&w, 42, 8);
        put(x, NAME, &w);
        if (cases[i].fine) {
            must_open(x, NAME);
            assert_int_equal(rmr_checkpoint_at(x->c, 0)->offset, at);
            drop(x);
        } else {
            must_fail(x, REMORA_E_FORMAT, "general.alignment", "");
        }
    }
}

/* ---- split files ---- */

static void put_part(fixture *x, const char *file, uint32_t no, uint32_t count, uint32_t total,
                     const char *tensor)
{
    ggufw w;
    begin(&w);
    if (no == 0) ggufw_string(&w, "general.architecture", "llama");
    ggufw_key(&w, "split.no", 2);
    ggufw_int(&w, no, 2);
    ggufw_key(&w, "split.count", 2);
    ggufw_int(&w, count, 2);
    ggufw_key(&w, "split.tensors.count", 5);
    ggufw_int(&w, total, 4);
    ggufw_tensor(&w, tensor, F32, 1, PAIR(8, 0), 0);
    ggufw_align(&w, 32);
    for (int i = 0; i < 32; i++) ggufw_int(&w, no, 1);
    put(x, file, &w);
}

#define PART1 "m-00001-of-00002.gguf"
#define PART2 "m-00002-of-00002.gguf"

static void split_files(void **state)
{
    fixture *x = *state;
    static const char *const by[] = {PART1, PART2};
    for (int i = 0; i < 2; i++) {
        unsigned char byte = 9;
        put_part(x, PART1, 0, 2, 2, "b");
        put_part(x, PART2, 1, 2, 2, "a");
        must_open(x, by[i]);
        assert_true(rmr_gguf_has(x->g, "general.architecture"));
        assert_int_equal(rmr_checkpoint_count(x->c), 2);
        const rmr_tensor *a = rmr_checkpoint_find(x->c, "a");
        assert_string_equal(rmr_file_name(a->file), PART2);
        assert_int_equal(rmr_file_read(a->file, a->offset, &byte, 1, NULL), REMORA_OK);
        assert_int_equal(byte, 1);
        drop(x);
    }
}

static void must_fail_split(fixture *x, remora_status st, const char *word)
{
    assert_int_equal(open_file(x, PART2), st);
    if (strstr(x->err.message, word) == NULL) fail_msg("%s", x->err.message);
    drop(x);
}

static void wrong_splits(void **state)
{
    fixture *x = *state;
    put_part(x, PART2, 1, 2, 2, "a");
    must_fail_split(x, REMORA_E_NOT_FOUND, PART1);
    put_part(x, PART1, 0, 2, 2, "a");
    must_fail_split(x, REMORA_E_NOT_FOUND, PART2);
    put_part(x, PART1, 0, 2, 2, "b");
    put_part(x, PART2, 0, 2, 2, "a");
    must_fail_split(x, REMORA_E_FORMAT, "part 1 of 2 by its keys");
    put_part(x, PART1, 0, 3, 2, "b");
    put_part(x, PART2, 1, 2, 2, "a");
    must_fail_split(x, REMORA_E_FORMAT, "part 1 of 3 by its keys");
    put_part(x, PART1, 0, 2, 3, "b");
    put_part(x, PART2, 1, 2, 3, "a");
    must_fail_split(x, REMORA_E_FORMAT, "split.tensors.count");
    put_part(x, PART1, 0, 2, 2, "a");
    put_part(x, PART2, 1, 2, 2, "a");
    must_fail_split(x, REMORA_E_FORMAT, "two entries");
    put_part(x, NAME, 0, 2, 2, "a");
    must_fail(x, REMORA_E_FORMAT, "part 1 of 2 by its keys", "");
}

/* ---- listing what cannot be opened ---- */

/* Opens what it can; the reasons are in *r. */
static void open_keeping(fixture *x, const char *name, rmr_refusals *r)
{
    const remora_source desc = source_of(x);
    rmr_source *src;
    *r = (rmr_refusals){.mem = &x->mem};
    assert_int_equal(rmr_source_open(&x->mem, &desc, 0, &src, &x->err), REMORA_OK);
    const remora_status st = rmr_gguf_open(&x->mem, src, name, r, &x->g, &x->c, &x->err);
    rmr_source_free(src);
    if (st < 0) fail_msg("%s", x->err.message);
}

static void is_reason(const rmr_refusals *r, size_t i, remora_status st, const char *a,
                      const char *b)
{
    assert_true(i < r->n);
    const rmr_refusal *it = &r->items[i];
    if (it->status != st || strstr(it->text, a) == NULL || strstr(it->text, b) == NULL)
        fail_msg("reason %zu is \"%s\" (want %s, %s)", i, it->text, a, b);
}

/* Every type by its name and size, those that are not read once each among the reasons. */
static void types_are_listed(void **state)
{
    /* number, name, values and bytes of a block, as the gguf package 0.19 has them (but Q8_1, which
     * it pads) */
    static const struct {
        uint32_t type;
        const char *name;
        uint32_t values, bytes;
    } all[] = {{8, "Q8_0", 32, 34},      {9, "Q8_1", 32, 36},     {15, "Q8_K", 256, 292},
               {16, "IQ2_XXS", 256, 66}, {17, "IQ2_XS", 256, 74}, {18, "IQ3_XXS", 256, 98},
               {19, "IQ1_S", 256, 50},   {21, "IQ3_S", 256, 110}, {22, "IQ2_S", 256, 82},
               {29, "IQ1_M", 256, 56},   {34, "TQ1_0", 256, 54},  {35, "TQ2_0", 256, 66},
               {40, "NVFP4", 64, 36},    {41, "Q1_0", 128, 18},   {42, "?", 1, 0},
               {5, "?", 1, 0},           {137, "?", 1, 0},        {1000000, "?", 1, 0}};
    enum { N = sizeof all / sizeof all[0], PLACE = 1 << 12 };
    fixture *x = *state;
    char name[16];
    ggufw w;
    rmr_refusals r;
    begin(&w);
    for (size_t i = 0; i < 2 * N; i++) {
        snprintf(name, sizeof name, "t%zu", i);
        ggufw_tensor(&w, name, all[i / 2].type, 2, PAIR(1024, 2), i * PLACE);
    }
    ggufw_align(&w, 32);
    for (size_t i = 0; i < 2 * N * PLACE / 8; i++) ggufw_int(&w, 0, 8);
    put(x, NAME, &w);
    open_keeping(x, NAME, &r);
    assert_int_equal(rmr_checkpoint_count(x->c), 2 * N);
    for (size_t i = 0; i < 2 * N; i++) {
        snprintf(name, sizeof name, "t%zu", i);
        const rmr_tensor *t = rmr_checkpoint_find(x->c, name);
        assert_string_equal(rmr_dtype_name(t->dtype), all[i / 2].name);
        assert_int_equal(t->dims[1], 1024);
        assert_int_equal(t->bytes, 2048 / all[i / 2].values * all[i / 2].bytes);
    }
    assert_int_equal(r.n, N); /* Q8_0 has none, the last type one for each of its two tensors */
    is_reason(&r, 0, REMORA_E_UNSUPPORTED, "tensor t2 is Q8_1", "take the model as Q8_0");
    is_reason(&r, 3, REMORA_E_UNSUPPORTED, "tensor t8 is IQ2_XS", "take the model as Q2_K");
    is_reason(&r, 14, REMORA_E_UNSUPPORTED, "tensor t30", "unknown type 5");
    rmr_refusals_free(&r);
    drop(x);
}

static void parts_are_listed(void **state)
{
    fixture *x = *state;
    rmr_refusals r;
    put_part(x, PART1, 0, 2, 2, "b");
    open_keeping(x, PART1, &r);
    assert_int_equal(rmr_checkpoint_count(x->c), 1);
    assert_non_null(rmr_checkpoint_find(x->c, "b"));
    assert_int_equal(r.n, 1);
    is_reason(&r, 0, REMORA_E_NOT_FOUND, PART2, "no such");
    rmr_refusals_free(&r);
    drop(x);
    put_part(x, PART2, 1, 2, 2, "a"); /* keys are in the first part */
    open_keeping(x, PART2, &r);
    assert_non_null(rmr_checkpoint_find(x->c, "a"));
    assert_false(rmr_gguf_has(x->g, "general.architecture"));
    is_reason(&r, 0, REMORA_E_NOT_FOUND, PART1, "no such");
    rmr_refusals_free(&r);
    drop(x);
    put_part(x, PART1, 0, 2, 2, "a");
    put_part(x, PART2, 1, 2, 2, "a");
    open_keeping(x, PART1, &r);
    assert_int_equal(r.n, 1);
    is_reason(&r, 0, REMORA_E_FORMAT, "two entries", "a");
    rmr_refusals_free(&r);
    drop(x);
}

static void a_cut_file_is_listed(void **state)
{
    fixture *x = *state;
    rmr_refusals r;
    ggufw w;
    begin(&w);
    ggufw_string(&w, "general.architecture", "llama");
    ggufw_tensor(&w, "a", F32, 1, PAIR(8, 0), 0);
    ggufw_tensor(&w, "b", F32, 1, PAIR(8, 0), 32);
    ggufw_align(&w, 32);
    for (int i = 0; i < 8; i++) ggufw_int(&w, 0, 8);
    put_cut(x, NAME, &w, w.n - 20);
    ggufw_free(&w);
    open_keeping(x, NAME, &r);
    assert_int_equal(rmr_checkpoint_count(x->c), 2);
    assert_int_equal(r.n, 1);
    is_reason(&r, 0, REMORA_E_FORMAT, "half-written: ", "cut off in tensor b");
    rmr_refusals_free(&r);
    drop(x);
}

/* ---- which file is meant ---- */

static void put_text(fixture *x, const char *name, const char *text)
{
    const ggufw w = {.data = (unsigned char *)(uintptr_t)text};
    put_cut(x, name, &w, strlen(text));
}

/* The name that choose gives for a memory source with `path`; "!" and the message for a failure. */
static const char *chosen(fixture *x, const char *path, char name[RMR_MAX_NAME + 1])
{
    remora_source desc = source_of(x);
    rmr_source *src;
    desc.path = path;
    assert_int_equal(rmr_source_open(&x->mem, &desc, 0, &src, &x->err), REMORA_OK);
    const remora_status st = rmr_find_gguf_file(src, name, &x->err);
    rmr_source_free(src);
    return st < 0 ? x->err.message : name;
}

static void choosing(void **state)
{
    fixture *x = *state;
    char name[RMR_MAX_NAME + 1];
    put_text(x, "b.txt", "GGUF");
    assert_string_equal(chosen(x, NULL, name), "");
    assert_string_equal(chosen(x, "b.txt", name), "b.txt"); /* by how it begins */
    assert_string_equal(chosen(x, "none.gguf", name), "none.gguf");
    put_text(x, PART1, "");
    put_text(x, PART2, "");
    assert_string_equal(chosen(x, NULL, name), PART1);
    assert_string_equal(chosen(x, PART2, name), PART2);
    put_text(x, "x.gguf", "");
    assert_non_null(strstr(chosen(x, NULL, name), "2 GGUF models"));
    assert_string_equal(chosen(x, "x.gguf", name), "x.gguf");
    drop(x);
    put_text(x, "config.json", "{}");
    put_text(x, "x.gguf", "");
    assert_string_equal(chosen(x, NULL, name), "");
    assert_string_equal(chosen(x, "config.json", name), "");
    drop(x);
    put_text(x, "x.gguf", "");
    put_text(x, "m.remora", "%YAML");
    assert_string_equal(chosen(x, "m.remora", name), ""); /* another kind, not its neighbour */
    drop(x);
}

static void choosing_in_folders(void **state)
{
    fixture *x = *state;
    char folder[] = "/tmp/remora-gguf-XXXXXX", path[64], name[RMR_MAX_NAME + 1];
    const char *const paths[] = {folder, path};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.gguf", folder);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs("GGUF", f);
    fclose(f);
    for (int i = 0; i < 2; i++) {
        const remora_source desc = {
            .struct_size = sizeof desc, .kind = REMORA_SOURCE_PATH, .path = paths[i]};
        rmr_source *src;
        assert_int_equal(rmr_source_open(&x->mem, &desc, 0, &src, &x->err), REMORA_OK);
        assert_int_equal(rmr_find_gguf_file(src, name, &x->err), REMORA_OK);
        assert_string_equal(name, "m.gguf");
        rmr_source_free(src);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* ---- what fails ---- */

static int32_t open_once(void *arg, tmem *t)
{
    fixture *x = arg;
    const remora_source desc = source_of(x);
    rmr_mem mem = {.user = t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    rmr_source *src;
    rmr_gguf *g = NULL;
    rmr_checkpoint *c = NULL;
    rmr_mem_init(&mem);
    remora_status st = rmr_source_open(&mem, &desc, 0, &src, NULL);
    if (st < 0) return st;
    st = rmr_gguf_open(&mem, src, PART1, NULL, &g, &c, NULL);
    rmr_gguf_free(g);
    rmr_checkpoint_free(c);
    rmr_source_free(src);
    return st;
}

static void no_memory(void **state)
{
    fixture *x = *state;
    put_part(x, PART1, 0, 2, 2, "b");
    put_part(x, PART2, 1, 2, 2, "a");
    assert_true(tmem_sweep(&x->t, open_once, x) > 10);
    drop(x);
}

typedef struct reads {
    const remora_blob *blob;
    int left; /* before one fails */
} reads;

static remora_status REMORA_CALL io_size(void *user, const char *name, uint64_t *size)
{
    (void)name;
    *size = ((reads *)user)->blob->size;
    return REMORA_OK;
}

static remora_status REMORA_CALL io_read(void *user, const char *name, uint64_t off, void *buf,
                                         uint64_t n)
{
    reads *r = user;
    (void)name;
    if (r->left-- == 0) return REMORA_E_IO;
    memcpy(buf, (const char *)r->blob->data + off, (size_t)n);
    return REMORA_OK;
}

/* A header longer than one read. */
static void failing_reads(void **state)
{
    fixture *x = *state;
    ggufw w;
    begin(&w);
    ggufw_array(&w, "much", 10, 100000);
    for (int i = 0; i < 100000; i++) ggufw_int(&w, (uint64_t)i, 8);
    ggufw_u32(&w, "last", 77);
    put(x, NAME, &w);
    for (int k = 0;; k++) {
        reads r = {&x->files[0], k};
        const remora_source desc = {.struct_size = sizeof desc,
                                    .kind = REMORA_SOURCE_IO,
                                    .io_user = &r,
                                    .io_size = io_size,
                                    .io_read = io_read};
        rmr_source *src;
        uint32_t last = 0;
        assert_int_equal(rmr_source_open(&x->mem, &desc, 0, &src, &x->err), REMORA_OK);
        const remora_status st = rmr_gguf_open(&x->mem, src, NAME, NULL, &x->g, &x->c, &x->err);
        rmr_source_free(src);
        assert_int_equal(st, r.left < 0 ? REMORA_E_CALLBACK : REMORA_OK);
        if (st < 0) continue;
        assert_int_equal(rmr_gguf_u32(x->g, "last", 0, 99, 0, &last, NULL), REMORA_OK);
        assert_int_equal(last, 77);
        assert_true(k >= 2);
        break;
    }
    drop(x);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(values_and_tensors), TEST(every_cut),
        TEST(versions),           TEST(counts),
        TEST(wrong_keys),         TEST(lengths),
        TEST(wrong_tensors),      TEST(tensors_apart),
        TEST(alignment),          TEST(split_files),
        TEST(wrong_splits),       TEST(types_are_listed),
        TEST(parts_are_listed),   TEST(a_cut_file_is_listed),
        TEST(choosing),           TEST(choosing_in_folders),
        TEST(no_memory),          TEST(failing_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* safetensors checkpoints: the rules of the format, one hostile header for each, and what happens
 * when memory or reading fails at any point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "safetensors.h"
#include "tmem.h"

#define INDEX "model.safetensors.index.json"
#define MODEL "model.safetensors"
#define ONE "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}"

enum { MAX_FILES = 8, BIG = 1 << 20 };

/* A checkpoint in memory. */
typedef struct fixture {
    tmem t;
    rmr_mem mem;
    remora_error err;
    remora_blob files[MAX_FILES];
    uint64_t n_files;
    char *big; /* for headers made by loops */
} fixture;

static int setup(void **state)
{
    fixture *x = calloc(1, sizeof *x);
    if (x == NULL || (x->big = malloc(BIG)) == NULL) return -1;
    x->mem = (rmr_mem){
        .user = &x->t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    rmr_mem_init(&x->mem);
    x->err.struct_size = sizeof x->err;
    *state = x;
    return 0;
}

static void drop_files(fixture *x)
{
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
    const int bad = atomic_load(&x->t.blocks) != 0 || atomic_load(&x->t.damage) != 0 ||
                    atomic_load(&x->mem.bytes) != 0;
    drop_files(x);
    free(x->big);
    free(x);
    return bad ? -1 : 0;
}

/* ---- making files: exact allocations, so that ASan sees a byte too far ---- */

static void put_bytes(fixture *x, const char *name, const void *data, size_t n)
{
    char *p = malloc(n ? n : 1);
    assert_non_null(p);
    memcpy(p, data, n);
    assert_true(x->n_files < MAX_FILES);
    x->files[x->n_files++] = (remora_blob){name, p, n};
}

/* A safetensors file: the header length (unless told otherwise), the header and n_data bytes 0, 1,
 * 2, ... */
static void put_raw(fixture *x, const char *name, uint64_t length, const char *header, size_t n,
                    size_t n_data)
{
    unsigned char *p = malloc(8 + n + n_data);
    assert_non_null(p);
    for (int i = 0; i < 8; i++) p[i] = (unsigned char)(length >> (8 * i));
    memcpy(p + 8, header, n);
    for (size_t i = 0; i < n_data; i++) p[8 + n + i] = (unsigned char)i;
    put_bytes(x, name, p, 8 + n + n_data);
    free(p);
}

static void put(fixture *x, const char *name, const char *header, size_t n_data)
{
    put_raw(x, name, strlen(header), header, strlen(header), n_data);
}

static remora_source source_of(const fixture *x)
{
    return (remora_source){.struct_size = sizeof(remora_source),
                           .kind = REMORA_SOURCE_MEMORY,
                           .blobs = x->files,
                           .n_blobs = x->n_files};
}

static remora_status open_source(fixture *x, const remora_source *desc, rmr_checkpoint **out)
{
    rmr_source *src;
    *out = NULL;
    RMR_TRY(rmr_source_open(&x->mem, desc, 1, &src, &x->err));
    const remora_status st = rmr_safetensors_open(&x->mem, src, NULL, NULL, out, &x->err);
    rmr_source_free(src);
    return st;
}

static rmr_checkpoint *must_open(fixture *x)
{
    const remora_source desc = source_of(x);
    rmr_checkpoint *c;
    if (open_source(x, &desc, &c) < 0) fail_msg("%s", x->err.message);
    return c;
}

/* The files are refused, for the reason meant. */
static void refused(fixture *x, remora_status want, const char *part)
{
    const remora_source desc = source_of(x);
    rmr_checkpoint *c;
    x->err.message[0] = 0;
    const remora_status st = open_source(x, &desc, &c);
    drop_files(x);
    if (st != want || strstr(x->err.message, part) == NULL)
        fail_msg("status %d and \"%s\", not %d and \"%s\"", (int)st, x->err.message, (int)want,
                 part);
    assert_null(c);
    assert_int_equal(atomic_load(&x->t.blocks), 0);
}

typedef struct bad_header {
    const char *header;
    size_t n_data;
    const char *part; /* of the message */
} bad_header;

static void all_refused(fixture *x, const bad_header *all, size_t n, remora_status want)
{
    for (size_t i = 0; i < n; i++) {
        put(x, MODEL, all[i].header, all[i].n_data);
        refused(x, want, all[i].part);
    }
}

#define ALL_REFUSED(x, all, want) all_refused((x), (all), sizeof(all) / sizeof *(all), (want))

/* One tensor "a" with this dtype, shape and offsets. */
#define A(dtype, shape, offsets)                                                                   \
    "{\"a\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
#define T(name, bytes, begin, end)                                                                 \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" bytes "],\"data_offsets\":[" begin "," end "]}"

/* ---- what is valid ---- */

static void a_single_file_opens(void **state)
{
    fixture *x = *state;
    put(x, MODEL,
        "{ \"__metadata__\": {\"format\":\"pt\"},\n"
        "\"w\":{\"shape\":[2,3],\"data_offsets\":[4,16],\"dtype\":\"BF16\",\"extra\":[7]},"
        "\"b.bias\" : {\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]} }   ",
        16);
    rmr_checkpoint *c = must_open(x);
    assert_int_equal(rmr_checkpoint_count(c), 2);
    const rmr_tensor *b = rmr_checkpoint_at(c, 0), *w = rmr_checkpoint_find(c, "w");
    assert_string_equal(b->name, "b.bias");
    assert_int_equal(b->n_dims, 0);
    assert_int_equal(b->bytes, 4);
    assert_int_equal(b->dtype, RMR_DTYPE_F32);
    assert_ptr_equal(w, rmr_checkpoint_at(c, 1));
    assert_int_equal(w->n_dims, 2);
    assert_int_equal(w->dims[0], 2);
    assert_int_equal(w->dims[1], 3);
    assert_int_equal(w->bytes, 12);
    unsigned char bytes[12];
    assert_string_equal(rmr_file_name(w->file), MODEL);
    assert_int_equal(rmr_file_read(w->file, w->offset, bytes, 12, &x->err), REMORA_OK);
    for (int i = 0; i < 12; i++) assert_int_equal(bytes[i], 4 + i);
    assert_null(rmr_checkpoint_find(c, "v"));
    assert_null(rmr_checkpoint_find(c, ""));
    assert_null(rmr_checkpoint_find(c, "__metadata__"));
    rmr_checkpoint_free(c);
    rmr_checkpoint_free(NULL);
}

static void every_dtype_has_its_size(void **state)
{
    fixture *x = *state;
    const struct {
        const char *name;
        uint32_t size;
    } all[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},      {"I16", 2},     {"U16", 2},    {"F16", 2},
               {"BF16", 2}, {"I32", 4}, {"U32", 4},     {"F32", 4},     {"I64", 8},    {"U64", 8},
               {"F64", 8},  {"C64", 8}, {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1}};
    assert_int_equal(sizeof all / sizeof *all, RMR_DTYPE_BLOCKS);
    for (int i = 0; i < RMR_DTYPE_BLOCKS; i++) {
        snprintf(x->big, BIG, "{\"t\":{\"dtype\":\"%s\",\"shape\":[3],\"data_offsets\":[0,%u]}}",
                 all[i].name, 3 * all[i].size);
        put(x, MODEL, x->big, 3 * all[i].size);
        rmr_checkpoint *c = must_open(x);
        const rmr_dtype t = rmr_checkpoint_at(c, 0)->dtype;
        assert_int_equal(t, i);
        assert_string_equal(rmr_dtype_name(t), all[i].name);
        assert_int_equal(rmr_dtype_size(t), all[i].size);
        rmr_checkpoint_free(c);
        drop_files(x);
    }
    assert_int_equal(rmr_dtype_size(RMR_DTYPE_COUNT), 0);
}

static void empty_tensors_and_headers_are_valid(void **state)
{
    fixture *x = *state;
    const char *const good[] = {
        "{}",
        "{\"__metadata__\":{}}",
        A("U8", "[0]", "[0,0]"),
        A("F32", "[5,0,7]", "[0,0]"),
        "{" T("c", "0", "4", "4") "," T("b", "0", "0", "0") "," T("a", "4", "0", "4") "}",
        "{" T("a", "4", "0", "4") "," T("b", "0", "0", "0") "}",
        "{" T("b", "0", "0", "0") "," T("a", "4", "0", "4") "}",
        "{" T("a", "0", "0", "0") "," T("b", "4", "0", "4") "," T("c", "0", "0", "0") "}",
        A("U8", "[1,1,1,1,1,1,1,4]", "[0,4]"),
        A("U8", "[4]", "[ 0 , 4 ]"),
        "{" T("\\u0061\\u00e9\\ud83d\\ude00", "4", "0", "4") "}",
        "{" T("", "4", "0", "4") "}",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        put(x, MODEL, good[i], i < 4 ? 0 : 4);
        rmr_checkpoint *c = must_open(x);
        if (i == 10) assert_non_null(rmr_checkpoint_find(c, "a\xC3\xA9\xF0\x9F\x98\x80"));
        rmr_checkpoint_free(c);
        drop_files(x);
    }
}

static void any_alignment_is_valid(void **state)
{
    fixture *x = *state;
    put(x, MODEL,
        "{" T("a", "1", "0",
              "1") ",\"b\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[1,9]}}",
        9);
    rmr_checkpoint *c = must_open(x);
    const rmr_tensor *b = rmr_checkpoint_find(c, "b");
    unsigned char bytes[8];
    assert_int_equal(rmr_file_read(b->file, b->offset, bytes, 8, NULL), REMORA_OK);
    assert_int_equal(bytes[0], 1);
    rmr_checkpoint_free(c);
}

static void put_shards(fixture *x)
{
    const char *const index = "{\"metadata\":{\"total_size\":12},"
                              "\"weight_map\":{\"c\":\"s2\",\"a\":\"s1\",\"b\":\"s1\"}}";
    put_bytes(x, INDEX, index, strlen(index));
    put(x, "s1", "{" T("b", "4", "0", "4") "," T("a", "4", "4", "8") "}", 8);
    put(x, "s2", "{" T("c", "4", "0", "4") "}", 4);
}

static void an_index_opens_its_shards(void **state)
{
    fixture *x = *state;
    put_shards(x);
    put(x, MODEL, "{}", 0); /* the index goes first */
    rmr_checkpoint *c = must_open(x);
    const char *const names[] = {"a", "b", "c"}, *const files[] = {"s1", "s1", "s2"};
    assert_int_equal(rmr_checkpoint_count(c), 3);
    for (uint64_t i = 0; i < 3; i++) {
        assert_string_equal(rmr_checkpoint_at(c, i)->name, names[i]);
        assert_string_equal(rmr_file_name(rmr_checkpoint_at(c, i)->file), files[i]);
    }
    assert_ptr_equal(rmr_checkpoint_at(c, 0)->file, rmr_checkpoint_at(c, 1)->file);
    rmr_checkpoint_free(c);
}

static void without_files_it_is_not_found(void **state)
{
    fixture *x = *state;
    put_bytes(x, "config.json", "{}", 2);
    refused(x, REMORA_E_NOT_FOUND, "memory: has neither " INDEX " nor " MODEL);
}

/* ---- hostile classes, by number ---- */

static void class_1_header_length(void **state)
{
    fixture *x = *state;
    const uint64_t n = strlen(ONE);
    const struct {
        uint64_t length;
        const char *part;
    } bad[] = {{0, "does not begin"},
               {1, "is not closed"},
               {n - 1, "is not closed"},
               {n + 1, "after the end"},
               {n + 4, "after the end"},
               {n + 5, "its header has"},
               {100000000, "its header has"},
               {100000001, "at most 100000000"},
               {(uint64_t)1 << 63, "at most 100000000"},
               {UINT64_MAX, "at most 100000000"},
               {UINT64_MAX - 7, "at most 100000000"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_raw(x, MODEL, bad[i].length, ONE, n, 4);
        refused(x, REMORA_E_FORMAT, bad[i].part);
    }
    for (size_t size = 0; size < 8; size++) {
        put_bytes(x, MODEL, "\1\0\0\0\0\0\0", size);
        refused(x, REMORA_E_FORMAT, size > 0 ? "too short" : "empty (0 bytes)");
    }
}

static void class_1_truncated_at_every_byte(void **state)
{
    fixture *x = *state;
    put(x, MODEL, ONE, 4);
    const size_t whole = (size_t)x->files[0].size;
    memcpy(x->big, x->files[0].data, whole);
    drop_files(x);
    for (size_t n = 0; n < whole; n++) {
        put_bytes(x, MODEL, x->big, n);
        refused(x, REMORA_E_FORMAT, MODEL);
    }
    x->big[whole] = 0; /* and one byte too many */
    put_bytes(x, MODEL, x->big, whole + 1);
    refused(x, REMORA_E_FORMAT, "the tensors end at byte");
}

static void class_2_header_text(void **state)
{
    fixture *x = *state;
    const bad_header bad[] = {
        {" " ONE, 4, "does not begin with '{'"},
        {"\xEF\xBB\xBF" ONE, 4, "does not begin with '{'"},
        {"[]", 0, "does not begin with '{'"},
        {"{", 0, "is not closed"},
        {"{]", 0, "a key expected"},
        {"{,}", 0, "a key expected"},
        {"{a:1}", 0, "a key expected"},
        {"{\"a}", 0, "string not closed"},
        {"{\"a\\", 0, "string not closed"},
        {"{\"a\"}", 0, "':' expected"},
        {"{\"a\":}", 0, "a value expected"},
        {"{\"a\":", 0, "a value expected"},
        {"{\"a\":{}", 0, "is not closed"},
        {"{\"a\":{} \"b\":{}}", 0, "',' or '}' expected"},
        {"{\"a\":{},}", 0, "a key expected"},
        {"{}x", 0, "after the end"},
        {"{}{}", 0, "after the end"},
        {"{\"a\":{\"dtype\":}}", 0, "tensor a"},
        {"{\"a\":{]}}", 0, "after the end"},
        {"{\"a\":[]}", 0, "tensor a: is not a JSON object"},
        {"{\"a\":7}", 0, "tensor a: is not a JSON object"},
        {"{\"a\":null}", 0, "tensor a: is not a JSON object"},
        {"{" T("a\\u0000b", "0", "0", "0") "}", 0, MODEL},
        {"{" T("a\xFF", "0", "0", "0") "}", 0, "decode"},
        {"{" T("\xC0\x80", "0", "0", "0") "}", 0, "decode"},
        {"{" T("\\ud800", "0", "0", "0") "}", 0, MODEL},
        {"{" T("a\nb", "0", "0", "0") "}", 0, MODEL},
        {"{\"__metadata__\":{\"a\":1}}", 0, "not a string"},
        {"{\"__metadata__\":{\"a\":{}}}", 0, "not a string"},
        {"{\"__metadata__\":{\"a\":\"\xFF\"}}", 0, MODEL},
        {"{\"__metadata__\":[]}", 0, "an object expected"},
        {"{\"__metadata__\":\"pt\"}", 0, "an object expected"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "there are two __metadata__"},
        {"{\"__metadata__\":{},\"__metadat\\u0061__\":{}}", 0, "there are two __metadata__"},
        {"{" T("a", "4", "0", "4") "," T("a", "4", "0", "4") "}", 4, "tensor a has two entries"},
        {"{" T("a", "4", "0", "4") "," T("\\u0061", "4", "4", "8") "}", 8, "tensor a"},
        {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1,
         "duplicate"},
    };
    ALL_REFUSED(x, bad, REMORA_E_FORMAT);
}

static void class_2_depth_bomb(void **state)
{
    fixture *x = *state;
    const char *const opens[] = {"{\"a\":", "[", "{\"a\":["};
    for (size_t i = 0; i < 3; i++) {
        size_t n = (size_t)sprintf(x->big, "{\"a\":");
        while (n < 500000) n += (size_t)sprintf(x->big + n, "%s", opens[i]);
        put_raw(x, MODEL, n, x->big, n, 0);
        refused(x, REMORA_E_FORMAT, "nested too deep");
    }
    put(x, MODEL, "{\"a\":{\"dtype\":\"U8\",\"shape\":[[1]],\"data_offsets\":[0,1]}}", 1);
    refused(x, REMORA_E_FORMAT, "nested too deep");
}

/* Text that would become a tree of 80 times its size must not. The bound: the text, the table it
 * can describe (at most 112 bytes for 48 of text), and 8 KB. */
static void class_2_many_keys_take_bounded_memory(void **state)
{
    fixture *x = *state;
    const char *const formats[] = {"\"%x\":1", "\"%x\":{}",
                                   "\"%x\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,0]}"};
    for (size_t i = 0; i < 3; i++) {
        size_t n = 1;
        x->big[0] = '{';
        for (unsigned k = 0; n < BIG - 100; k++) {
            if (k > 0) x->big[n++] = ',';
            n += (size_t)sprintf(x->big + n, formats[i], k);
        }
        x->big[n++] = '}';
        atomic_store(&x->t.peak, 0);
        put_raw(x, MODEL, n, x->big, n, 0);
        refused(x, REMORA_E_FORMAT, i < 2 ? "cannot describe" : "its dtype and shape need 1");
        assert_in_range(atomic_load(&x->t.peak), 0, i < 2 ? n + 8192 : 4 * n + 8192);
    }
}

static void class_2_long_names_and_entries(void **state)
{
    fixture *x = *state;
    for (int extra = 0; extra < 2; extra++) {
        size_t n = (size_t)sprintf(x->big, "{\"");
        memset(x->big + n, 'n', 4096 + (size_t)extra);
        n += 4096 + (size_t)extra;
        sprintf(x->big + n, "\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}");
        put(x, MODEL, x->big, 0);
        if (extra == 0) {
            rmr_checkpoint_free(must_open(x));
            drop_files(x);
        } else
            refused(x, REMORA_E_FORMAT, "a tensor name has 4097 bytes");
    }
    size_t n = (size_t)sprintf(x->big, "{\"a\":{\"x\":[");
    for (int i = 0; i < 40000; i++) n += (size_t)sprintf(x->big + n, "1,");
    sprintf(x->big + n, "1]}}");
    put(x, MODEL, x->big, 0);
    refused(x, REMORA_E_FORMAT, "tensor a: its entry has");
}

static void class_3_offsets(void **state)
{
    fixture *x = *state;
    const bad_header bad[] = {
        {A("U8", "[4]", "[0,3]"), 4, "need 4"},
        {A("U8", "[4]", "[0,5]"), 5, "need 4"},
        {A("U16", "[4]", "[0,4]"), 4, "need 8"},
        {A("U8", "[4]", "[4,0]"), 4, "begins at 4 and ends at 0"},
        {A("U8", "[4]", "[0,4]"), 3, "half-written: has 64 of 65 bytes, cut off in tensor a"},
        {A("U8", "[4]", "[0,4]"), 5, "the tensors end at byte"},
        {A("U8", "[4]", "[1,5]"), 5, "a follows a hole"},
        {A("U8", "[4]", "[-4,0]"), 4, "data_offsets is negative"},
        {A("U8", "[4]", "[0,4.0]"), 4, "data_offsets is not an integer"},
        {A("U8", "[4]", "[0,4e0]"), 4, "data_offsets is not an integer"},
        {A("U8", "[4]", "[0,\"4\"]"), 4, "data_offsets is not an integer"},
        {A("U8", "[4]", "[0,null]"), 4, "data_offsets is not an integer"},
        {A("U8", "[4]", "[0,9223372036854775807]"), 4, "9223372036854775807 bytes, its dtype"},
        {A("U8", "[4]", "[9223372036854775803,9223372036854775807]"), 4, "follows a hole"},
        {A("U8", "[4]", "[0,9223372036854775808]"), 4, "tensor a"},
        {A("U8", "[4]", "[18446744073709551612,18446744073709551616]"), 4, "tensor a"},
        {A("U8", "[4]", "[0]"), 4, "not a pair"},
        {A("U8", "[4]", "[0,4,4]"), 4, "not a pair"},
        {A("U8", "[4]", "[]"), 4, "not a pair"},
        {A("U8", "[4]", "{}"), 4, "not a pair"},
        {A("U8", "[4]", "4"), 4, "not a pair"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4]}}", 4, "not a pair"},
        {"{" T("a", "4", "0", "4") "," T("b", "4", "3", "7") "}", 7, "b overlaps another"},
        {"{" T("a", "4", "0", "4") "," T("b", "4", "0", "4") "}", 4, "overlaps another"},
        {"{" T("a", "4", "5", "9") "," T("b", "4", "0", "4") "}", 9, "a follows a hole"},
        {"{" T("a", "4", "0", "4") "," T("b", "0", "2", "2") "}", 4, "b overlaps another"},
        {"{" T("a", "0", "1", "1") "}", 1, "a follows a hole"},
        {"{}", 1, "the tensors end at byte 10, the file at 11"},
    };
    ALL_REFUSED(x, bad, REMORA_E_FORMAT);
}

static void class_4_shapes(void **state)
{
    fixture *x = *state;
    const bad_header bad[] = {
        /* (2^42 + 1) * 2^22 * 2 wraps to 2^23; 2^32 * 2^32 to 0 */
        {A("U16", "[4398046511105,4194304]", "[0,8388608]"), 4, "overflows"},
        {A("U8", "[4294967296,4294967296]", "[0,0]"), 0, "overflows"},
        {A("F64", "[2305843009213693952]", "[0,0]"), 0, "overflows"},
        {A("U8", "[9223372036854775807,3]", "[0,0]"), 0, "overflows"},
        {A("U8", "[0,4294967296,4294967296]", "[0,0]"), 0, "overflows"},
        {A("U8", "[9223372036854775808]", "[0,0]"), 0, "tensor a"},
        {A("U8", "[1,1,1,1,1,1,1,1,4]", "[0,4]"), 4, "9 dims, at most 8"},
        {A("U8", "[-4]", "[0,4]"), 4, "shape is negative"},
        {A("U8", "[4.0]", "[0,4]"), 4, "shape is not an integer"},
        {A("U8", "[true]", "[0,4]"), 4, "shape is not an integer"},
        {A("U8", "4", "[0,4]"), 4, "shape is not an array"},
        {A("U8", "null", "[0,1]"), 1, "shape is not an array"},
        {A("U8", "[0]", "[0,4]"), 4, "need 0"},
        {A("U8", "[]", "[0,0]"), 0, "need 1"},
        {"{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, "shape is not an array"},
    };
    ALL_REFUSED(x, bad, REMORA_E_FORMAT);
}

static void class_5_alignment_is_never_assumed(void **state)
{
    fixture *x = *state;
    char header[160];
    for (int pad = 0; pad < 9; pad++) { /* the tensors begin at any byte */
        sprintf(header, "%s%*s", A("F64", "[1]", "[0,8]"), pad, "");
        put(x, MODEL, header, 8);
        rmr_checkpoint *c = must_open(x);
        assert_int_equal(rmr_checkpoint_at(c, 0)->offset, 8 + strlen(header));
        rmr_checkpoint_free(c);
        drop_files(x);
    }
}

static void class_6_dtypes(void **state)
{
    fixture *x = *state;
    const bad_header unknown[] = {
        {A("F4", "[2]", "[0,1]"), 1, MODEL ": tensor a: dtype F4 is not supported"},
        {A("F4", "[3]", "[0,2]"), 2, "dtype F4 is not supported"},
        {A("F6_E2M3", "[4]", "[0,3]"), 3, "dtype F6_E2M3 is not supported"},
        {A("F8_E4M3FNUZ", "[4]", "[0,4]"), 4, "dtype F8_E4M3FNUZ is not supported"},
        {A("", "[4]", "[0,4]"), 4, "is not known"},
        {A("f32", "[1]", "[0,4]"), 4, "dtype f32 is not known"},
        {A("F32 ", "[1]", "[0,4]"), 4, "is not known"},
    };
    const bad_header wrong[] = {
        {"{\"a\":{\"dtype\":7,\"shape\":[4],\"data_offsets\":[0,4]}}", 4,
         "dtype is an integer, not a string"},
        {"{\"a\":{\"dtype\":null,\"shape\":[4],\"data_offsets\":[0,4]}}", 4, "dtype is missing"},
        {"{\"a\":{\"shape\":[4],\"data_offsets\":[0,4]}}", 4, "dtype is missing"},
        {A("U8\\u0000", "[4]", "[0,4]"), 4, "dtype has a NUL inside"},
    };
    ALL_REFUSED(x, unknown, REMORA_E_UNSUPPORTED);
    ALL_REFUSED(x, wrong, REMORA_E_FORMAT);
}

static void class_11_index(void **state)
{
    fixture *x = *state;
#define MAP(entries) "{\"weight_map\":{" entries "}}"
    const struct {
        const char *index;
        remora_status want;
        const char *part;
    } bad[] = {
        {MAP("\"a\":\"gone\""), REMORA_E_NOT_FOUND, "gone"},
        {MAP("\"a\":\"../s\""), REMORA_E_FORMAT, "\"..\" at byte 0"},
        {MAP("\"a\":\"/s\""), REMORA_E_FORMAT, "path separator"},
        {MAP("\"a\":\"..\\\\s\""), REMORA_E_FORMAT, INDEX ": file name ..\\s has"},
        {MAP("\"a\":\"..\""), REMORA_E_FORMAT, "\"..\""},
        {MAP("\"a\":\".\""), REMORA_E_FORMAT, "\".\""},
        {MAP("\"a\":\"\""), REMORA_E_FORMAT, "a file name is empty"},
        {MAP("\"a\":\"s\\u0000\""), REMORA_E_FORMAT, INDEX},
        {MAP("\"a\":\"s\\n\""), REMORA_E_FORMAT, "control character"},
        {MAP("\"a\":1"), REMORA_E_FORMAT, "the file of tensor \"a\" is not a string"},
        {MAP("\"a\":[]"), REMORA_E_FORMAT, "is not a string"},
        {MAP("\"a\":\"s\",\"a\":\"s\""), REMORA_E_FORMAT, "tensor a has two entries"},
        {MAP("\"a\":\"s\",\"b\":\"s\""), REMORA_E_FORMAT, INDEX ": tensor b is not in s"},
        {MAP("\"b\":\"s\""), REMORA_E_FORMAT, "tensor b is not in s"},
        {MAP("\"a\":\"s2\",\"c\":\"s\""), REMORA_E_FORMAT, "tensor c is not in s"},
        {MAP("\"a\":\"s\",\"c\":\"s2\""), REMORA_E_FORMAT, "tensor c is not in s2"},
        {MAP("\"a\":\"s\",\"__metadata__\":\"s\""), REMORA_E_FORMAT, "__metadata__ is not in s"},
        {"{\"weight_map\":[]}", REMORA_E_FORMAT, "an object expected"},
        {"{\"weight_map\":\"s\"}", REMORA_E_FORMAT, "an object expected"},
        {"{\"weight_map\":{\"a\":\"s\"},\"weight_map\":{}}", REMORA_E_FORMAT, "two weight_map"},
        {"{}", REMORA_E_FORMAT, "weight_map is missing"},
        {"", REMORA_E_FORMAT, "empty (0 bytes)"},
        {"[]", REMORA_E_FORMAT, "an object expected"},
        {"{\"metadata\":{\"x\":tru},\"weight_map\":{\"a\":\"s\"}}", REMORA_E_FORMAT, INDEX},
        {"{\"metadata\":{\"x\":1,\"x\":1},\"weight_map\":{\"a\":\"s\"}}", REMORA_E_FORMAT, INDEX},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_bytes(x, INDEX, bad[i].index, strlen(bad[i].index));
        put(x, "s", ONE, 4);
        put(x, "s2", ONE, 4);
        refused(x, bad[i].want, bad[i].part);
    }
}

/* Files hold more than the index takes from them: tensors that it leaves out, and copies of tensors
 * that it takes from another file. All of them are checked, none is seen. */
static void the_index_decides(void **state)
{
    fixture *x = *state;
    static const char both[] = MAP("\"a\":\"s2\",\"b\":\"s\"");
    const bad_header wrong[] = {
        {"{" T("b", "4", "0", "4") "," T("more", "4", "5", "9") "}", 9,
         "tensor more follows a hole"},
        {"{" T("b", "4", "0", "4") "," T("more", "4", "0", "4") "}", 4, "overlaps another"},
        {"{" T("b", "4", "0", "4") "," T("a", "3", "4", "8") "}", 8, "s: tensor a: 4 bytes"},
        {"{" T("b", "4", "0", "4") "," T("more", "0", "4", "4") "," T("more", "0", "4", "4") "}", 4,
         "s: tensor more has two entries"},
        {"{" T("a", "4", "0", "4") "}", 4, INDEX ": tensor b is not in s"},
    };
    put_bytes(x, INDEX, both, strlen(both));
    put(x, "s",
        "{" T("a", "4", "0", "4") "," T("b", "4", "4", "8") "," T("more", "2", "8", "10") "}", 10);
    put(x, "s2", "{" T("b", "1", "0", "1") "," T("a", "7", "1", "8") "}", 8);
    rmr_checkpoint *c = must_open(x);
    assert_int_equal(rmr_checkpoint_count(c), 2);
    const rmr_tensor *a = rmr_checkpoint_find(c, "a"), *b = rmr_checkpoint_find(c, "b");
    assert_string_equal(rmr_file_name(a->file), "s2");
    assert_string_equal(rmr_file_name(b->file), "s");
    assert_true(a->bytes == 7 && a->offset + a->bytes == rmr_file_size(a->file));
    assert_true(b->bytes == 4 && b->offset + b->bytes + 2 == rmr_file_size(b->file));
    assert_null(rmr_checkpoint_find(c, "more"));
    rmr_checkpoint_free(c);
    drop_files(x);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        put_bytes(x, INDEX, both, strlen(both));
        put(x, "s", wrong[i].header, wrong[i].n_data);
        put(x, "s2", ONE, 4);
        refused(x, REMORA_E_FORMAT, wrong[i].part);
    }
}

static void class_11_long_shard_names_and_many_tensors(void **state)
{
    fixture *x = *state;
    size_t n = (size_t)sprintf(x->big, "{\"weight_map\":{\"a\":\"");
    memset(x->big + n, 's', 100000);
    sprintf(x->big + n + 100000, "\"}}");
    put_bytes(x, INDEX, x->big, strlen(x->big));
    refused(x, REMORA_E_FORMAT, "a string has 100000 bytes");
    n = (size_t)sprintf(x->big, "{\"weight_map\":{\"a\":\"s\"");
    for (unsigned k = 0; n < BIG - 100; k++) n += (size_t)sprintf(x->big + n, ",\"%x\":\"s\"", k);
    sprintf(x->big + n, "}}");
    put_bytes(x, INDEX, x->big, strlen(x->big));
    put(x, "s", ONE, 4);
    atomic_store(&x->t.peak, 0);
    refused(x, REMORA_E_FORMAT, "cannot describe");
    assert_in_range(atomic_load(&x->t.peak), 0, BIG + 8192);
}

/* ---- listing what cannot be opened ---- */

static rmr_checkpoint *open_keeping(fixture *x, rmr_refusals *r)
{
    const remora_source desc = source_of(x);
    rmr_source *src;
    rmr_checkpoint *c;
    *r = (rmr_refusals){.mem = &x->mem};
    assert_int_equal(rmr_source_open(&x->mem, &desc, 1, &src, &x->err), REMORA_OK);
    const remora_status st = rmr_safetensors_open(&x->mem, src, NULL, r, &c, &x->err);
    rmr_source_free(src);
    if (st < 0) fail_msg("%s", x->err.message);
    drop_files(x);
    return c;
}

static void is_reason(const rmr_refusals *r, size_t i, remora_status st, const char *text,
                      uint64_t alike)
{
    assert_true(i < r->n);
    assert_string_equal(r->items[i].text, text);
    assert_int_equal(r->items[i].status, st);
    assert_int_equal(r->items[i].alike, alike);
}

/* Bits of the dtypes that the format has and nothing here reads: safetensors 0.6. */
static void dtypes_are_listed(void **state)
{
    static const struct {
        const char *name;
        uint64_t bits;
    } all[] = {{"F4", 4}, {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}};
    fixture *x = *state;
    rmr_refusals r;
    rmr_checkpoint *c;
    char header[256], says[128];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const int bytes = (int)(8 * all[i].bits / 8);
        snprintf(header, sizeof header, A("%s", "[2,4]", "[0,%d]"), all[i].name, bytes);
        put(x, MODEL, header, (size_t)bytes);
        c = open_keeping(x, &r);
        const rmr_tensor *t = rmr_checkpoint_find(c, "a");
        assert_string_equal(rmr_dtype_name(t->dtype), all[i].name);
        assert_int_equal(t->bytes, bytes);
        snprintf(says, sizeof says, MODEL ": tensor a: dtype %s is not supported", all[i].name);
        assert_int_equal(r.n, 1);
        is_reason(&r, 0, REMORA_E_UNSUPPORTED, says, 0);
        rmr_refusals_free(&r);
        rmr_checkpoint_free(c);
    }
    put(x, MODEL, A("F4", "[3]", "[0,2]"), 2); /* no whole bytes */
    c = open_keeping(x, &r);
    assert_int_equal(r.n, 2);
    is_reason(&r, 1, REMORA_E_FORMAT, MODEL ": tensor a: shape is no whole bytes of F4", 0);
    rmr_refusals_free(&r);
    rmr_checkpoint_free(c);
#define F3(name, begin, end)                                                                       \
    "\"" name "\":{\"dtype\":\"F3\",\"shape\":[5],\"data_offsets\":[" begin "," end "]}"
    put(x, MODEL, "{" F3("l.1.q", "0", "3") "," F3("l.12.q", "3", "6") "}",
        6); /* not known at all */
    c = open_keeping(x, &r);
    const rmr_tensor *t = rmr_checkpoint_find(c, "l.12.q");
    assert_int_equal(t->dtype, RMR_DTYPE_COUNT);
    assert_int_equal(t->dims[0], 5);
    assert_int_equal(t->bytes, 3);
    assert_int_equal(r.n, 1);
    is_reason(&r, 0, REMORA_E_UNSUPPORTED, MODEL ": tensor l.1.q: dtype F3 is not known", 1);
    rmr_refusals_free(&r);
    rmr_checkpoint_free(c);
}

static void shards_are_listed(void **state)
{
    fixture *x = *state;
    rmr_refusals r;
    static const char map[] =
        MAP("\"a\":\"s-1\",\"b\":\"s-2\",\"c\":\"s-2\",\"d\":\"s-3\",\"e\":\"s-4\",\"f\":\"s-5\"");
    put_bytes(x, INDEX, map, sizeof map - 1);
    put(x, "s-1", ONE, 4);
    put_bytes(x, "s-3", "<!doctype html>", 15);
    put(x, "s-5", "{" T("f", "4", "0", "4") "}", 3);
    rmr_checkpoint *c = open_keeping(x, &r);
    assert_int_equal(rmr_checkpoint_count(c), 6);
    assert_int_equal(rmr_checkpoint_find(c, "a")->dtype, RMR_DTYPE_U8);
    assert_int_equal(rmr_checkpoint_find(c, "b")->dtype, RMR_DTYPE_COUNT);
    assert_int_equal(rmr_checkpoint_find(c, "d")->dtype, RMR_DTYPE_COUNT);
    assert_int_equal(rmr_checkpoint_find(c, "f")->dtype, RMR_DTYPE_U8);
    assert_int_equal(r.n, 4); /* each shard that is not there, by its name */
    is_reason(&r, 0, REMORA_E_NOT_FOUND, "s-2: there is no such blob", 0);
    is_reason(&r, 1, REMORA_E_NOT_FOUND, "s-4: there is no such blob", 0);
    assert_non_null(strstr(r.items[2].text, "s-3: an HTML page"));
    assert_non_null(strstr(r.items[3].text, "s-5: half-written: "));
    rmr_refusals_free(&r);
    rmr_checkpoint_free(c);
}

/* No single changed byte may do more than give a status: the sanitizers look at the rest. */
static void every_byte_changed_gives_a_status(void **state)
{
    fixture *x = *state;
    const unsigned char flips[] = {0x01, 0x20, 0x80, 0xFF};
    put_shards(x);
    for (uint64_t f = 0; f < 3; f++)
        for (uint64_t i = 0; i < x->files[f].size; i++)
            for (size_t k = 0; k < sizeof flips; k++) {
                const remora_source desc = source_of(x);
                unsigned char *p;
                rmr_checkpoint *c;
                memcpy(&p, &x->files[f].data, sizeof p);
                p[i] ^= flips[k];
                const remora_status st = open_source(x, &desc, &c);
                p[i] ^= flips[k];
                assert_true(st == REMORA_OK || st == REMORA_E_FORMAT || st == REMORA_E_NOT_FOUND ||
                            st == REMORA_E_UNSUPPORTED);
                rmr_checkpoint_free(c);
                assert_int_equal(atomic_load(&x->t.blocks), 0);
            }
}

/* ---- faults: hostile classes 29 and 30 ---- */

static int32_t open_once(void *arg, tmem *t)
{
    fixture *x = arg;
    const remora_source desc = source_of(x);
    rmr_checkpoint *c;
    (void)t;
    RMR_TRY(open_source(x, &desc, &c));
    rmr_checkpoint_free(c);
    return REMORA_OK;
}

static void every_allocation_may_fail(void **state)
{
    fixture *x = *state;
    put_shards(x);
    assert_in_range(tmem_sweep(&x->t, open_once, x), 20, 100);
    drop_files(x);
    put(x, MODEL, ONE, 4);
    assert_in_range(tmem_sweep(&x->t, open_once, x), 10, 100);
}

/* A host whose k-th read fails, or whose files are suddenly shorter than their size. */
typedef struct host {
    fixture *x;
    long calls, fail_at;
} host;

static const remora_blob *host_file(const host *h, const char *name)
{
    for (uint64_t i = 0; i < h->x->n_files; i++)
        if (strcmp(h->x->files[i].name, name) == 0) return &h->x->files[i];
    return NULL;
}

static remora_status REMORA_CALL host_size(void *user, const char *name, uint64_t *size)
{
    host *h = user;
    const remora_blob *b = host_file(h, name);
    if (++h->calls == h->fail_at) return REMORA_E_IO;
    if (b == NULL) return REMORA_E_NOT_FOUND;
    *size = b->size;
    return REMORA_OK;
}

static remora_status REMORA_CALL host_read(void *user, const char *name, uint64_t off, void *buf,
                                           uint64_t n)
{
    host *h = user;
    const remora_blob *b = host_file(h, name);
    if (++h->calls == h->fail_at || b == NULL || off + n > b->size) return REMORA_E_IO;
    memcpy(buf, (const char *)b->data + off, n);
    return REMORA_OK;
}

static void every_host_call_may_fail(void **state)
{
    fixture *x = *state;
    rmr_checkpoint *c;
    put_shards(x);
    for (long k = 1;; k++) {
        host h = {x, 0, k};
        const remora_source desc = {.struct_size = sizeof desc,
                                    .kind = REMORA_SOURCE_IO,
                                    .io_user = &h,
                                    .io_size = host_size,
                                    .io_read = host_read};
        const remora_status st = open_source(x, &desc, &c);
        rmr_checkpoint_free(c);
        assert_int_equal(atomic_load(&x->t.blocks), 0);
        if (h.calls < k) {
            assert_int_equal(st, REMORA_OK);
            assert_in_range(k, 9, 30);
            break;
        }
        assert_int_equal(st, REMORA_E_CALLBACK);
    }
}

/* ---- real files ---- */

static void real_models_open(void **state)
{
    fixture *x = *state;
    const char *models = getenv("REMORA_MODELS");
    const struct {
        const char *folder, *tensor, *file;
        uint64_t n, dims[2];
        rmr_dtype dtype;
    } all[] = {
        {"krill", "model.embed_tokens.weight", NULL, 391, {8192, 0}, RMR_DTYPE_BF16},
        {"fixtures/v3-fp8", "model.embed_tokens.weight", MODEL, 163, {320, 0}, RMR_DTYPE_BF16}};
    for (size_t i = 0; i < 2; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s/config.json", models, all[i].folder);
        const remora_source desc = {
            .struct_size = sizeof desc, .kind = REMORA_SOURCE_PATH, .path = path};
        rmr_checkpoint *c;
        if (open_source(x, &desc, &c) < 0) fail_msg("%s", x->err.message);
        assert_int_equal(rmr_checkpoint_count(c), all[i].n);
        const rmr_tensor *t = rmr_checkpoint_find(c, all[i].tensor);
        assert_non_null(t);
        assert_int_equal(t->dims[0], all[i].dims[0]);
        assert_int_equal(t->dtype, all[i].dtype);
        for (uint64_t k = 1; k < all[i].n; k++)
            assert_true(strcmp(rmr_checkpoint_at(c, k - 1)->name, rmr_checkpoint_at(c, k)->name) <
                        0);
        rmr_checkpoint_free(c);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_single_file_opens),
        TEST(every_dtype_has_its_size),
        TEST(empty_tensors_and_headers_are_valid),
        TEST(any_alignment_is_valid),
        TEST(an_index_opens_its_shards),
        TEST(without_files_it_is_not_found),
        TEST(class_1_header_length),
        TEST(class_1_truncated_at_every_byte),
        TEST(class_2_header_text),
        TEST(class_2_depth_bomb),
        TEST(class_2_many_keys_take_bounded_memory),
        TEST(class_2_long_names_and_entries),
        TEST(class_3_offsets),
        TEST(class_4_shapes),
        TEST(class_5_alignment_is_never_assumed),
        TEST(class_6_dtypes),
        TEST(class_11_index),
        TEST(the_index_decides),
        TEST(class_11_long_shard_names_and_many_tensors),
        TEST(dtypes_are_listed),
        TEST(shards_are_listed),
        TEST(every_byte_changed_gives_a_status),
        TEST(every_allocation_may_fail),
        TEST(every_host_call_may_fail),
    };
    const struct CMUnitTest model_tests[] = {TEST(real_models_open)};
    return RUN_GROUPS("safetensors", tests, model_tests);
}

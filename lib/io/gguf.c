/* SPDX-License-Identifier: Apache-2.0 */
/* Opening GGUF files. Headers are input nobody has checked, and their length is written nowhere:
 * each is read once from front to back into a growing block, every count and length compared with
 * the bytes that the file has left before anything is sized by it. After this pass the header is
 * known to be well-formed and is walked again without checks. */
#include "gguf.h"

#include <stdio.h>
#include <string.h>

#include "find_model_file.h"
#include "fpenv.h"
#include "instead.h"
#include "le.h"
#include "sort.h"
#include "checkpoint_build.h"

#define MAGIC "GGUF"
#define SUFFIX ".gguf"

enum {
    FIRST_READ = 64 << 10, /* bytes of a header to begin with */
    DEFAULT_ALIGNMENT = 32,
    MAX_ALIGNMENT = 1 << 30,
    MAX_KEYS = 65536, /* keys of a file; real ones have some 50 */
    MAX_DIMS = 4,     /* of the format */
    MIN_PAIR = 14,    /* bytes of the shortest key with its value */
    MIN_INFO = 33,    /* bytes of the shortest tensor's entry */
    SPLIT_DIGITS = 5, /* "-00001-of-00002" */
    SPLIT_TAIL = 2 * SPLIT_DIGITS + 5 + (sizeof SUFFIX - 1)
};

/* Bytes of a value of each type; 0: a type whose values differ in size. */
static const uint8_t value_size[RMR_GGUF_TYPE_COUNT] = {
    [RMR_GGUF_U8] = 1,  [RMR_GGUF_I8] = 1,  [RMR_GGUF_U16] = 2, [RMR_GGUF_I16] = 2,
    [RMR_GGUF_U32] = 4, [RMR_GGUF_I32] = 4, [RMR_GGUF_F32] = 4, [RMR_GGUF_BOOL] = 1,
    [RMR_GGUF_U64] = 8, [RMR_GGUF_I64] = 8, [RMR_GGUF_F64] = 8};

static const char *const type_names[RMR_GGUF_TYPE_COUNT] = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};

/* Tensor types by number. `instead`: for a type that is not read, the nearest type to have the same
 * model in. Of Q2_0 only the name is known. */
static const struct tensor_type {
    const char *name;
    rmr_dtype dtype;
    const char *instead;
} tensor_types[] = {
    [0] = {"F32", RMR_DTYPE_F32, NULL},
    [1] = {"F16", RMR_DTYPE_F16, NULL},
    [2] = {"Q4_0", RMR_DTYPE_Q4_0, NULL},
    [3] = {"Q4_1", RMR_DTYPE_Q4_1, NULL},
    [6] = {"Q5_0", RMR_DTYPE_Q5_0, NULL},
    [7] = {"Q5_1", RMR_DTYPE_Q5_1, NULL},
    [8] = {"Q8_0", RMR_DTYPE_Q8_0, NULL},
    [9] = {"Q8_1", RMR_DTYPE_Q8_1, "Q8_0"},
    [10] = {"Q2_K", RMR_DTYPE_Q2_K, NULL},
    [11] = {"Q3_K", RMR_DTYPE_Q3_K, NULL},
    [12] = {"Q4_K", RMR_DTYPE_Q4_K, NULL},
    [13] = {"Q5_K", RMR_DTYPE_Q5_K, NULL},
    [14] = {"Q6_K", RMR_DTYPE_Q6_K, NULL},
    [15] = {"Q8_K", RMR_DTYPE_Q8_K, "Q8_0"},
    [16] = {"IQ2_XXS", RMR_DTYPE_IQ2_XXS, "Q2_K"},
    [17] = {"IQ2_XS", RMR_DTYPE_IQ2_XS, "Q2_K"},
    [18] = {"IQ3_XXS", RMR_DTYPE_IQ3_XXS, "Q3_K"},
    [19] = {"IQ1_S", RMR_DTYPE_IQ1_S, "Q2_K"},
    [20] = {"IQ4_NL", RMR_DTYPE_IQ4_NL, NULL},
    [21] = {"IQ3_S", RMR_DTYPE_IQ3_S, "Q3_K"},
    [22] = {"IQ2_S", RMR_DTYPE_IQ2_S, "Q2_K"},
    [23] = {"IQ4_XS", RMR_DTYPE_IQ4_XS, NULL},
    [24] = {"I8", RMR_DTYPE_I8, NULL},
    [25] = {"I16", RMR_DTYPE_I16, NULL},
    [26] = {"I32", RMR_DTYPE_I32, NULL},
    [27] = {"I64", RMR_DTYPE_I64, NULL},
    [28] = {"F64", RMR_DTYPE_F64, NULL},
    [29] = {"IQ1_M", RMR_DTYPE_IQ1_M, "Q2_K"},
    [30] = {"BF16", RMR_DTYPE_BF16, NULL},
    [31] = {"Q4_0_4_4", RMR_DTYPE_Q4_0_4_4, "Q4_0"},
    [32] = {"Q4_0_4_8", RMR_DTYPE_Q4_0_4_8, "Q4_0"},
    [33] = {"Q4_0_8_8", RMR_DTYPE_Q4_0_8_8, "Q4_0"},
    [34] = {"TQ1_0", RMR_DTYPE_TQ1_0, "Q2_K"},
    [35] = {"TQ2_0", RMR_DTYPE_TQ2_0, "Q2_K"},
    [36] = {"IQ4_NL_4_4", RMR_DTYPE_IQ4_NL_4_4, "IQ4_NL"},
    [37] = {"IQ4_NL_4_8", RMR_DTYPE_IQ4_NL_4_8, "IQ4_NL"},
    [38] = {"IQ4_NL_8_8", RMR_DTYPE_IQ4_NL_8_8, "IQ4_NL"},
    [39] = {"MXFP4", RMR_DTYPE_MXFP4, NULL},
    [40] = {"NVFP4", RMR_DTYPE_NVFP4, "Q4_K"},
    [41] = {"Q1_0", RMR_DTYPE_Q1_0, "Q2_K"},
    [42] = {"Q2_0", RMR_DTYPE_COUNT, "Q2_K"},
};

enum { TENSOR_TYPES = sizeof tensor_types / sizeof tensor_types[0] };

typedef struct pair {
    rmr_gguf_text key;
    rmr_gguf_type type;
    const unsigned char *data; /* of the value */
    size_t key_at, data_at;    /* their offsets, for the time in which the header may move */
} pair;

struct rmr_gguf {
    rmr_mem *mem;
    const rmr_file *file; /* while it is read */
    rmr_shown shown;      /* its name */
    unsigned char *text;  /* the header */
    size_t have, cap, at; /* bytes there, room, read so far */
    pair *pairs;
    size_t n_pairs, cap_pairs;
    const pair **sorted; /* by key */
    uint64_t n_tensors, name_bytes;
    size_t infos;   /* offset at which the tensors' entries begin */
    uint64_t align; /* of tensors */
    uint64_t data;  /* offset at which the tensors' bytes begin */
};

static rmr_shown show_text(const unsigned char *p, size_t n)
{
    char s[sizeof(rmr_shown) + 1]; /* one byte more: rmr_show does the cutting */
    if (n > sizeof s - 1) n = sizeof s - 1;
    memcpy(s, p, n);
    s[n] = 0;
    return rmr_show(s);
}

/* ---- one header: reading ---- */

/* Make n bytes at g->at readable. */
static remora_status need(rmr_gguf *g, uint64_t n, const char *what, remora_error *err)
{
    const uint64_t size = rmr_file_size(g->file);
    if (n <= g->have - g->at) return REMORA_OK;
    if (n > size - g->at)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: half-written: ends at byte %llu, inside %s at byte %zu",
                 g->shown.text, (unsigned long long)size, what, g->at);
    if (n > RMR_MAX_HEADER - g->at)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: the header is above %d bytes (%s at byte %zu)",
                 g->shown.text, RMR_MAX_HEADER, what, g->at);
    uint64_t want = g->at + n, cap = 2 * (uint64_t)g->cap;
    if (cap < FIRST_READ) cap = FIRST_READ;
    if (cap < want) cap = want;
    if (cap > size) cap = size;
    if (cap > RMR_MAX_HEADER) cap = RMR_MAX_HEADER;
    unsigned char *text = rmr_resize(g->mem, g->text, g->cap, (size_t)cap);
    if (text == NULL) return rmr_error_nomem(err, g->shown.text, cap);
    g->text = text;
    g->cap = (size_t)cap;
    RMR_TRY(rmr_file_read(g->file, g->have, text + g->have, cap - g->have, err));
    g->have = (size_t)cap;
    return REMORA_OK;
}

static remora_status take(rmr_gguf *g, unsigned bytes, const char *what, uint64_t *out,
                          remora_error *err)
{
    RMR_TRY(need(g, bytes, what, err));
    *out = rmr_le(g->text + g->at, bytes);
    g->at += bytes;
    return REMORA_OK;
}

/* Step over n bytes. */
static remora_status skip(rmr_gguf *g, uint64_t n, const char *what, remora_error *err)
{
    RMR_TRY(need(g, n, what, err));
    g->at += (size_t)n;
    return REMORA_OK;
}

static remora_status skip_string(rmr_gguf *g, const char *what, uint64_t *n, remora_error *err)
{
    RMR_TRY(take(g, 8, what, n, err));
    return skip(g, *n, what, err);
}

static remora_status check_bools(rmr_gguf *g, uint64_t n, const char *what, remora_error *err)
{
    for (size_t i = g->at - (size_t)n; i < g->at; i++)
        if (g->text[i] > 1)
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s: %u is no bool", g->shown.text, what,
                     g->text[i]);
    return REMORA_OK;
}

static remora_status skip_values(rmr_gguf *g, uint64_t type, uint64_t n, const char *what,
                                 remora_error *err)
{
    uint64_t bytes;
    if (type == RMR_GGUF_STRING) {
        for (uint64_t i = 0; i < n; i++) RMR_TRY(skip_string(g, what, &bytes, err));
        return REMORA_OK;
    }
    if (!rmr_mul_ok(n, value_size[type], &bytes)) bytes = UINT64_MAX;
    RMR_TRY(skip(g, bytes, what, err));
    return type == RMR_GGUF_BOOL ? check_bools(g, n, what, err) : REMORA_OK;
}

static remora_status read_type(rmr_gguf *g, const char *what, uint64_t *type, remora_error *err)
{
    RMR_TRY(take(g, 4, what, type, err));
    if (*type >= RMR_GGUF_TYPE_COUNT)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s has value type %llu", g->shown.text, what,
                 (unsigned long long)*type);
    return REMORA_OK;
}

static remora_status read_pair(rmr_gguf *g, remora_error *err)
{
    uint64_t n, type, count = 1;
    pair p = {.key_at = g->at + 8};
    RMR_TRY(skip_string(g, "a key", &n, err));
    const rmr_shown key = show_text(g->text + p.key_at, (size_t)n);
    if (n == 0 || memchr(g->text + p.key_at, 0, (size_t)n) != NULL)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: a key at byte %zu is empty or has a NUL", g->shown.text,
                 p.key_at);
    p.key.size = (size_t)n;
    RMR_TRY(read_type(g, key.text, &type, err));
    p.type = (rmr_gguf_type)type;
    p.data_at = g->at;
    if (type == RMR_GGUF_ARRAY) {
        RMR_TRY(read_type(g, key.text, &type, err));
        if (type == RMR_GGUF_ARRAY)
            RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: %s is an array of arrays", g->shown.text,
                     key.text);
        RMR_TRY(take(g, 8, key.text, &count, err));
    }
    RMR_TRY(skip_values(g, type, count, key.text, err));
    RMR_TRY(rmr_grow(g->mem, &g->pairs, &g->cap_pairs, g->n_pairs + 1, sizeof p, err));
    g->pairs[g->n_pairs++] = p;
    return REMORA_OK;
}

static int key_cmp(rmr_gguf_text a, rmr_gguf_text b)
{
    const int c = memcmp(a.text, b.text, a.size < b.size ? a.size : b.size);
    return c != 0 ? c : a.size < b.size ? -1 : a.size > b.size;
}

static int pair_cmp(const void *a, const void *b)
{
    return key_cmp(((const pair *)a)->key, ((const pair *)b)->key);
}

static remora_status sort_pairs(rmr_gguf *g, remora_error *err)
{
    g->sorted = rmr_calloc(g->mem, g->n_pairs, sizeof *g->sorted);
    if (g->sorted == NULL) return rmr_error_nomem(err, "keys", g->n_pairs * sizeof *g->sorted);
    for (size_t i = 0; i < g->n_pairs; i++) {
        g->pairs[i].key.text = (const char *)g->text + g->pairs[i].key_at;
        g->pairs[i].data = g->text + g->pairs[i].data_at;
        g->sorted[i] = &g->pairs[i];
    }
    rmr_sort((const void **)g->sorted, g->n_pairs, pair_cmp);
    for (size_t i = 1; i < g->n_pairs; i++)
        if (pair_cmp(g->sorted[i - 1], g->sorted[i]) == 0)
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: key %s has two entries", g->shown.text,
                     show_text(g->text + g->sorted[i]->key_at, g->sorted[i]->key.size).text);
    return REMORA_OK;
}

/* Step over a tensor's entry; its contents are read later. */
static remora_status skip_info(rmr_gguf *g, remora_error *err)
{
    uint64_t n, dims;
    const size_t at = g->at + 8;
    RMR_TRY(skip_string(g, "a tensor's name", &n, err));
    const rmr_shown name = show_text(g->text + at, (size_t)n);
    if (n == 0 || n > RMR_MAX_TENSOR_NAME || memchr(g->text + at, 0, (size_t)n) != NULL)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: the tensor's name at byte %zu is empty, %s",
                 g->shown.text, at, "too long or has a NUL");
    g->name_bytes += n + 1;
    RMR_TRY(take(g, 4, name.text, &dims, err));
    if (dims < 1 || dims > MAX_DIMS)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s has %llu dims, not 1 to %d", g->shown.text,
                 name.text, (unsigned long long)dims, MAX_DIMS);
    return skip(g, 8 * dims + 12, name.text, err);
}

static remora_status read_version(rmr_gguf *g, remora_error *err)
{
    uint64_t v;
    if (rmr_file_size(g->file) < 24)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %llu bytes are too short for a GGUF file",
                 g->shown.text, (unsigned long long)rmr_file_size(g->file));
    RMR_TRY(need(g, 24, "the beginning", err));
    if (memcmp(g->text, MAGIC, 4) != 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: does not begin with " MAGIC, g->shown.text);
    g->at = 4;
    RMR_TRY(take(g, 4, "the version", &v, err));
    if (v != 0 && v % 65536 == 0)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "%s: is a big-endian GGUF file; supported is little-endian", g->shown.text);
    if (v != 2 && v != 3)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: is of GGUF version %llu; this build reads 2 and 3",
                 g->shown.text, (unsigned long long)v);
    return REMORA_OK;
}

static remora_status read_counts(rmr_gguf *g, uint64_t *n_keys, remora_error *err)
{
    RMR_TRY(take(g, 8, "the number of tensors", &g->n_tensors, err));
    RMR_TRY(take(g, 8, "the number of keys", n_keys, err));
    const uint64_t left = rmr_file_size(g->file) - g->at;
    if (g->n_tensors > RMR_MAX_TENSORS || g->n_tensors > left / MIN_INFO)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: has %llu tensors, at most %d in a file of this size",
                 g->shown.text, (unsigned long long)g->n_tensors,
                 (int)(left / MIN_INFO < RMR_MAX_TENSORS ? left / MIN_INFO : RMR_MAX_TENSORS));
    if (*n_keys > MAX_KEYS || *n_keys > left / MIN_PAIR)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: has %llu keys, at most %d in a file of this size",
                 g->shown.text, (unsigned long long)*n_keys,
                 (int)(left / MIN_PAIR < MAX_KEYS ? left / MIN_PAIR : MAX_KEYS));
    return REMORA_OK;
}

static remora_status find_data(rmr_gguf *g, remora_error *err)
{
    uint32_t align;
    RMR_TRY(rmr_gguf_u32(g, "general.alignment", 8, MAX_ALIGNMENT, DEFAULT_ALIGNMENT, &align, err));
    if ((align & (align - 1)) != 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: general.alignment %u is no power of two", g->shown.text,
                 align);
    g->align = align;
    g->data = rmr_round_up(g->at, align);
    if (g->n_tensors > 0 && g->data > rmr_file_size(g->file))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %llu bytes, its tensors begin at byte %llu",
                 g->shown.text, (unsigned long long)rmr_file_size(g->file),
                 (unsigned long long)g->data);
    return REMORA_OK;
}

/* Give back the bytes read past the header. */
static remora_status shrink(rmr_gguf *g, remora_error *err)
{
    unsigned char *text = rmr_resize(g->mem, g->text, g->cap, g->at);
    if (text == NULL) return rmr_error_nomem(err, g->shown.text, g->at);
    g->text = text;
    g->cap = g->have = g->at;
    return REMORA_OK;
}

static remora_status read_header(rmr_gguf *g, remora_error *err)
{
    uint64_t n_keys;
    RMR_TRY(read_version(g, err));
    RMR_TRY(read_counts(g, &n_keys, err));
    for (uint64_t i = 0; i < n_keys; i++) RMR_TRY(read_pair(g, err));
    g->infos = g->at;
    for (uint64_t i = 0; i < g->n_tensors; i++) RMR_TRY(skip_info(g, err));
    RMR_TRY(shrink(g, err));
    RMR_TRY(sort_pairs(g, err));
    return find_data(g, err);
}

void rmr_gguf_free(rmr_gguf *g)
{
    if (g == NULL) return;
    rmr_free(g->mem, g->text, g->cap);
    rmr_free(g->mem, g->pairs, g->cap_pairs * sizeof *g->pairs);
    if (g->sorted != NULL) rmr_free(g->mem, g->sorted, g->n_pairs * sizeof *g->sorted);
    rmr_free(g->mem, g, sizeof *g);
}

static remora_status header_open(rmr_mem *mem, const rmr_file *f, rmr_gguf **out, remora_error *err)
{
    rmr_gguf *g = rmr_calloc(mem, 1, sizeof *g);
    if (g == NULL) return rmr_error_nomem(err, rmr_show(rmr_file_name(f)).text, sizeof *g);
    g->mem = mem;
    g->file = f;
    g->shown = rmr_show(rmr_file_name(f));
    const remora_status st = read_header(g, err);
    if (st < 0) {
        rmr_gguf_free(g);
        return rmr_instead_file(f, RMR_EXPECTED_GGUF, st, err);
    }
    *out = g;
    return REMORA_OK;
}

/* ---- tensors ---- */

/* List the tensor types that weights can have, separated by commas. */
static void list_types(char *to, size_t room)
{
    size_t at = 0;
    to[0] = 0;
    for (uint32_t i = 0; i < TENSOR_TYPES && at < room; i++)
        if (tensor_types[i].name != NULL && rmr_dtype_elem(tensor_types[i].dtype) != RMR_ELEM_COUNT)
            at +=
                (size_t)snprintf(to + at, room - at, at > 0 ? ", %s" : "%s", tensor_types[i].name);
}

static remora_status set_type(const rmr_gguf *g, uint32_t type, rmr_tensor *t, remora_error *err)
{
    static const struct tensor_type none = {NULL, RMR_DTYPE_COUNT, NULL};
    const struct tensor_type *known =
        type < TENSOR_TYPES && tensor_types[type].name != NULL ? &tensor_types[type] : &none;
    char list[160];
    t->dtype = known->dtype;
    if (known->dtype < RMR_DTYPE_UNREAD) return REMORA_OK;
    list_types(list, sizeof list);
    if (known->name == NULL)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: tensor %s has the unknown type %u (known: %s)",
                 g->shown.text, rmr_show(t->name).text, type, list);
    RMR_FAIL(err, REMORA_E_UNSUPPORTED,
             "%s: tensor %s is %s, which is not supported; take the model as %s (known: %s)",
             g->shown.text, rmr_show(t->name).text, known->name, known->instead, list);
}

/* Dims (t->dims has them) and bytes of a tensor whose type is known. */
static remora_status measure(const rmr_gguf *g, rmr_tensor *t, remora_error *err)
{
    const uint64_t cols = t->dims[t->n_dims - 1], per = rmr_dtype_values(t->dtype);
    uint64_t values = 1, bytes = rmr_dtype_size(t->dtype);
    int fits = rmr_mul_ok(bytes, cols / per, &bytes);
    if (cols % per != 0)
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "%s: tensor %s has rows of %llu, which are not whole blocks of %s", g->shown.text,
                 rmr_show(t->name).text, (unsigned long long)cols, rmr_dtype_name(t->dtype));
    for (uint32_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] == 0)
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s has a dim of 0", g->shown.text,
                     rmr_show(t->name).text);
        fits = fits && rmr_mul_ok(values, t->dims[i], &values);
        if (i + 1 < t->n_dims) fits = fits && rmr_mul_ok(bytes, t->dims[i], &bytes);
    }
    if (!fits)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s: its dims overflow 64 bits", g->shown.text,
                 rmr_show(t->name).text);
    t->bytes = bytes;
    return REMORA_OK;
}

/* Set the tensor's place. The end of the file is checked later, once all tensors are known. */
static remora_status place(const rmr_gguf *g, uint64_t offset, rmr_tensor *t, remora_error *err)
{
    uint64_t end;
    if (offset % g->align != 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s begins at %llu, which is not aligned to %llu",
                 g->shown.text, rmr_show(t->name).text, (unsigned long long)offset,
                 (unsigned long long)g->align);
    if (!rmr_add_ok(g->data, offset, &t->offset) || !rmr_add_ok(t->offset, t->bytes, &end))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s has %llu bytes at %llu", g->shown.text,
                 rmr_show(t->name).text, (unsigned long long)t->bytes, (unsigned long long)offset);
    return REMORA_OK;
}

/* The list of reasons, in which each unknown type is kept once. */
typedef struct types {
    rmr_refusals *keep; /* or NULL */
    uint64_t seen[4];   /* types below 256 that are kept, as bits */
} types;

static remora_status keep_type(types *y, uint32_t type, remora_status st, remora_error *err)
{
    const uint64_t bit = (uint64_t)1 << type % 64;
    if (y->keep == NULL || st >= 0 || type >= 256) return rmr_refusals_keep(y->keep, st, err);
    if (y->seen[type / 64] & bit) return REMORA_OK;
    y->seen[type / 64] |= bit;
    return rmr_refusals_keep(y->keep, st, err);
}

/* The entry at p, whose form is known to be right; p moves behind it. */
static remora_status read_info(const rmr_gguf *g, rmr_checkpoint *c, const rmr_file *f,
                               const unsigned char **p, types *y, remora_error *err)
{
    const size_t n = (size_t)rmr_le64(*p);
    char *name = c->names + c->names_used;
    memcpy(name, *p + 8, n);
    name[n] = 0;
    *p += 8 + n;
    rmr_tensor *t = rmr_build_add(c, n, f);
    t->n_dims = rmr_le32(*p);
    *p += 4;
    for (uint32_t i = t->n_dims; i-- > 0; *p += 8) t->dims[i] = rmr_le64(*p);
    const uint32_t type = rmr_le32(*p);
    const uint64_t offset = rmr_le64(*p + 4);
    *p += 12;
    RMR_TRY(keep_type(y, type, set_type(g, type, t, err), err));
    if (t->dtype != RMR_DTYPE_COUNT) RMR_TRY(measure(g, t, err));
    return place(g, offset, t, err);
}

/* The tensors lie in the file, one behind the other. */
static remora_status check_places(const rmr_gguf *g, const rmr_file *f, const rmr_tensor **order,
                                  size_t n, remora_error *err)
{
    rmr_build_by_place(order, n);
    for (size_t i = 1; i < n; i++)
        if (order[i]->offset - order[i - 1]->offset < order[i - 1]->bytes)
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s overlaps tensor %s", g->shown.text,
                     rmr_show(order[i]->name).text, rmr_show(order[i - 1]->name).text);
    return rmr_build_whole(order, n, f, err);
}

static remora_status read_infos(const rmr_gguf *g, rmr_checkpoint *c, const rmr_file *f, types *y,
                                remora_error *err)
{
    const size_t first = c->n, n = (size_t)g->n_tensors;
    const unsigned char *p = g->text + g->infos;
    for (size_t i = 0; i < n; i++) RMR_TRY(read_info(g, c, f, &p, y, err));
    const rmr_tensor **order = rmr_calloc(c->mem, n, sizeof *order);
    if (order == NULL) return rmr_error_nomem(err, "tensors", n * sizeof *order);
    for (size_t i = 0; i < n; i++) order[i] = &c->tensors[first + i];
    const remora_status st = check_places(g, f, order, n, err);
    rmr_free(c->mem, order, n * sizeof *order);
    return st;
}

/* ---- one file or many ---- */

/* The parts of a name like "prefix-00002-of-00003.gguf". */
typedef struct split_name {
    size_t prefix; /* bytes; 0: no such name */
    uint32_t part, count;
} split_name;

static int digits(const char *s, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < SPLIT_DIGITS; i++) {
        if (s[i] < '0' || s[i] > '9') return 0;
        *out = *out * 10 + (uint32_t)(s[i] - '0');
    }
    return 1;
}

static split_name parse_split(const char *name)
{
    const size_t n = strlen(name);
    split_name s = {0};
    if (n <= SPLIT_TAIL) return s;
    const char *tail = name + n - SPLIT_TAIL;
    if (tail[0] != '-' || !digits(tail + 1, &s.part) ||
        memcmp(tail + 1 + SPLIT_DIGITS, "-of-", 4) != 0 ||
        !digits(tail + 5 + SPLIT_DIGITS, &s.count) ||
        strcmp(tail + 5 + 2 * SPLIT_DIGITS, SUFFIX) != 0 || s.part < 1 || s.part > s.count)
        return (split_name){0};
    s.prefix = n - SPLIT_TAIL;
    return s;
}

typedef struct opening {
    rmr_mem *mem;
    rmr_source *src;
    rmr_checkpoint *c;
    rmr_gguf **parts;
    size_t n_parts, cap_parts;
    int lost; /* a part could not be opened, which is kept */
    rmr_refusals *keep;
    remora_error *err;
} opening;

/* The part is number i of n by its own keys. */
static remora_status check_part(const rmr_gguf *g, uint32_t i, uint32_t n, remora_error *err)
{
    uint32_t no, count;
    RMR_TRY(rmr_gguf_u32(g, "split.no", 0, RMR_MAX_SHARDS, 0, &no, err));
    RMR_TRY(rmr_gguf_u32(g, "split.count", 0, RMR_MAX_SHARDS, 1, &count, err));
    if (count == 0) count = 1;
    if (no != i || count != n)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: is part %u of %u by its keys, %u of %u by its name",
                 g->shown.text, no + 1, count, i + 1, n);
    return REMORA_OK;
}

static remora_status open_part(opening *o, const char *name, uint32_t number, uint32_t count)
{
    const size_t i = o->n_parts;
    RMR_TRY(rmr_grow(o->mem, &o->parts, &o->cap_parts, i + 1, sizeof *o->parts, o->err));
    RMR_TRY(rmr_build_add_file(o->c, o->src, name, name, i, o->err));
    RMR_TRY(header_open(o->mem, o->c->files[i], &o->parts[i], o->err));
    o->n_parts++;
    return check_part(o->parts[i], number, count, o->err);
}

static remora_status open_parts(opening *o, const char *name)
{
    const split_name s = parse_split(name);
    const uint32_t n = s.prefix > 0 ? s.count : 1;
    for (uint32_t i = 0; i < n; i++) {
        char part[RMR_MAX_NAME + 1];
        snprintf(part, sizeof part, "%.*s-%05u-of-%05u" SUFFIX, (int)s.prefix, name, i + 1, n);
        const remora_status st = open_part(o, s.prefix > 0 ? part : name, i, n);
        if (st >= 0) continue;
        if (n == 1 && o->n_parts == 0) return st;
        RMR_TRY(rmr_refusals_keep(o->keep, st, o->err));
        o->lost = 1;
    }
    if (o->n_parts > 0) return REMORA_OK;
    RMR_FAIL(o->err, REMORA_E_NOT_FOUND, "%s: none of the %u parts can be read",
             rmr_show(name).text, n);
}

static remora_status fill_table(opening *o)
{
    rmr_gguf *first = o->parts[0];
    uint64_t n = 0, names = 0;
    uint32_t total;
    types y = {.keep = o->keep};
    for (size_t i = 0; i < o->n_parts; i++) {
        n += o->parts[i]->n_tensors;
        names += o->parts[i]->name_bytes;
    }
    if (n > RMR_MAX_TENSORS)
        RMR_FAIL(o->err, REMORA_E_FORMAT, "%s: has %llu tensors, at most %d", first->shown.text,
                 (unsigned long long)n, RMR_MAX_TENSORS);
    RMR_TRY(rmr_gguf_u32(first, "split.tensors.count", 0, UINT32_MAX, (uint32_t)n, &total, o->err));
    if (total != n && !o->lost)
        RMR_FAIL(o->err, REMORA_E_FORMAT, "%s: split.tensors.count is %u, the files have %llu",
                 first->shown.text, total, (unsigned long long)n);
    RMR_TRY(rmr_build_room(o->c, (size_t)n, (size_t)names, o->err));
    for (size_t i = 0; i < o->n_parts; i++) {
        const remora_status st = read_infos(o->parts[i], o->c, o->c->files[i], &y, o->err);
        RMR_TRY(rmr_refusals_keep(o->keep, st, o->err));
    }
    const remora_status st = rmr_build_sort(o->c, first->shown.text, o->err);
    return rmr_refusals_keep(o->keep, st, o->err);
}

remora_status rmr_gguf_open(rmr_mem *mem, rmr_source *src, const char *name, rmr_refusals *keep,
                            rmr_gguf **out, rmr_checkpoint **tensors, remora_error *err)
{
    opening o = {.mem = mem, .src = src, .c = rmr_build_create(mem), .keep = keep, .err = err};
    *out = NULL;
    *tensors = NULL;
    if (o.c == NULL) return rmr_error_nomem(err, "checkpoint", sizeof *o.c);
    remora_status st = open_parts(&o, name);
    if (st >= 0) st = fill_table(&o);
    if (st >= 0) {
        *out = o.parts[0];
        (*out)->file = NULL;
        *tensors = o.c;
    } else {
        rmr_checkpoint_free(o.c);
    }
    for (size_t i = st >= 0; i < o.n_parts; i++) rmr_gguf_free(o.parts[i]);
    rmr_free(mem, o.parts, o.cap_parts * sizeof *o.parts);
    return st;
}

/* ---- which file ---- */

/* Says which file names stand for a model: of a split one only the first part. */
static int is_model(const char *name)
{
    const split_name s = parse_split(name);
    return s.prefix == 0 || s.part == 1;
}

remora_status rmr_find_gguf_file(rmr_source *src, char name[RMR_MAX_NAME + 1], remora_error *err)
{
    static const rmr_file_kind kind = {"GGUF", SUFFIX, MAGIC, 4, is_model};
    return rmr_find_model_file(src, &kind, name, err);
}

/* ---- looking things up ---- */

const char *rmr_gguf_name(const rmr_gguf *g)
{
    return g->shown.text;
}

static const pair *find(const rmr_gguf *g, const char *key)
{
    const rmr_gguf_text k = {key, strlen(key)};
    size_t lo = 0, hi = g->n_pairs;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int c = key_cmp(g->sorted[mid]->key, k);
        if (c == 0) return g->sorted[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

int rmr_gguf_has(const rmr_gguf *g, const char *key)
{
    return find(g, key) != NULL;
}

static remora_status wrong_type(const rmr_gguf *g, const char *key, const pair *p, const char *want,
                                remora_error *err)
{
    RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is of type %s, not %s", g->shown.text, key,
             type_names[p->type], want);
}

static int is_integer(rmr_gguf_type t)
{
    return value_size[t] > 0 && t != RMR_GGUF_F32 && t != RMR_GGUF_F64 && t != RMR_GGUF_BOOL;
}

int rmr_gguf_is_signed(rmr_gguf_type t)
{
    return t == RMR_GGUF_I8 || t == RMR_GGUF_I16 || t == RMR_GGUF_I32 || t == RMR_GGUF_I64;
}

/* An integer's bits, sign extended. */
static uint64_t integer(rmr_gguf_type t, const unsigned char *p)
{
    const unsigned bytes = value_size[t];
    const uint64_t v = rmr_le(p, bytes), sign = (uint64_t)1 << (8 * bytes - 1);
    return rmr_gguf_is_signed(t) && (v & sign) ? v | ~(sign - 1) : v;
}

/* The value of a number of any type, as a double. */
static double as_double(rmr_gguf_type t, const unsigned char *p)
{
    if (t == RMR_GGUF_F32) {
        const uint32_t bits = rmr_le32(p);
        float f;
        memcpy(&f, &bits, 4);
        return f;
    }
    if (t == RMR_GGUF_F64) {
        const uint64_t bits = rmr_le64(p);
        double d;
        memcpy(&d, &bits, 8);
        return d;
    }
    const uint64_t v = integer(t, p);
    return rmr_gguf_is_signed(t) && v >> 63 ? -(double)(~v + 1) : (double)v;
}

static double number(rmr_gguf_type t, const unsigned char *p)
{
    const rmr_fpenv own = rmr_fpenv_enter();
    const double d = as_double(t, p);
    rmr_fpenv_leave(own);
    return d;
}

remora_status rmr_gguf_u32(const rmr_gguf *g, const char *key, uint32_t min, uint32_t max,
                           uint32_t fallback, uint32_t *out, remora_error *err)
{
    const pair *p = find(g, key);
    *out = fallback;
    if (p == NULL) return REMORA_OK;
    if (!is_integer(p->type)) return wrong_type(g, key, p, "an integer", err);
    const uint64_t v = integer(p->type, p->data);
    if ((rmr_gguf_is_signed(p->type) && v >> 63) || v < min || v > max)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is %.20g, not in %u..%u", g->shown.text, key,
                 number(p->type, p->data), min, max);
    *out = (uint32_t)v;
    return REMORA_OK;
}

remora_status rmr_gguf_number(const rmr_gguf *g, const char *key, double fallback, double *out,
                              remora_error *err)
{
    const pair *p = find(g, key);
    *out = fallback;
    if (p == NULL) return REMORA_OK;
    if (value_size[p->type] == 0 || p->type == RMR_GGUF_BOOL)
        return wrong_type(g, key, p, "a number", err);
    *out = number(p->type, p->data);
    return REMORA_OK;
}

remora_status rmr_gguf_bool(const rmr_gguf *g, const char *key, int fallback, int *out,
                            remora_error *err)
{
    const pair *p = find(g, key);
    *out = fallback;
    if (p == NULL) return REMORA_OK;
    if (p->type != RMR_GGUF_BOOL) return wrong_type(g, key, p, "bool", err);
    *out = p->data[0];
    return REMORA_OK;
}

static rmr_gguf_text text_at(const unsigned char *p)
{
    return (rmr_gguf_text){(const char *)p + 8, (size_t)rmr_le64(p)};
}

remora_status rmr_gguf_string(const rmr_gguf *g, const char *key, rmr_gguf_text *out,
                              remora_error *err)
{
    const pair *p = find(g, key);
    *out = (rmr_gguf_text){"", 0};
    if (p == NULL) return REMORA_OK;
    if (p->type != RMR_GGUF_STRING) return wrong_type(g, key, p, "string", err);
    *out = text_at(p->data);
    return REMORA_OK;
}

remora_status rmr_gguf_array(const rmr_gguf *g, const char *key, rmr_gguf_type type,
                             rmr_gguf_list *out, remora_error *err)
{
    const pair *p = find(g, key);
    *out = (rmr_gguf_list){.type = type};
    if (p == NULL) return REMORA_OK;
    if (p->type != RMR_GGUF_ARRAY) return wrong_type(g, key, p, "array", err);
    if (rmr_le32(p->data) != (uint32_t)type)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is an array of %s, not of %s", g->shown.text, key,
                 type_names[rmr_le32(p->data)], type_names[type]);
    out->left = rmr_le64(p->data + 4);
    out->next = p->data + 12;
    return REMORA_OK;
}

rmr_gguf_text rmr_gguf_next_text(rmr_gguf_list *l)
{
    const rmr_gguf_text t = text_at(l->next);
    l->next += 8 + t.size;
    l->left--;
    return t;
}

int64_t rmr_gguf_next_int(rmr_gguf_list *l)
{
    const uint64_t v = integer(l->type, l->next);
    l->next += value_size[l->type];
    l->left--;
    return (int64_t)v;
}

size_t rmr_gguf_count(const rmr_gguf *g)
{
    return g->n_pairs;
}

rmr_gguf_item rmr_gguf_at(const rmr_gguf *g, size_t i)
{
    const pair *p = g->sorted[i];
    rmr_gguf_item it = {.key = p->key, .type = p->type, .text = {"", 0}};
    if (p->type == RMR_GGUF_STRING)
        it.text = text_at(p->data);
    else if (p->type != RMR_GGUF_ARRAY)
        it.number = number(p->type, p->data);
    if (is_integer(p->type)) it.integer = integer(p->type, p->data);
    return it;
}

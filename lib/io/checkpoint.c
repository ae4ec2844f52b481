/* SPDX-License-Identifier: Apache-2.0 */
/* The table of tensors: made by a reader, then only looked at. */
#include "checkpoint.h"

#include <string.h>

#include "sort.h"
#include "checkpoint_build.h"

typedef struct dtype_info {
    const char *name;
    uint32_t size;
} dtype_info;

static const dtype_info plain[RMR_DTYPE_BLOCKS] = {
    [RMR_DTYPE_BOOL] = {"BOOL", 1},       [RMR_DTYPE_U8] = {"U8", 1},
    [RMR_DTYPE_I8] = {"I8", 1},           [RMR_DTYPE_I16] = {"I16", 2},
    [RMR_DTYPE_U16] = {"U16", 2},         [RMR_DTYPE_F16] = {"F16", 2},
    [RMR_DTYPE_BF16] = {"BF16", 2},       [RMR_DTYPE_I32] = {"I32", 4},
    [RMR_DTYPE_U32] = {"U32", 4},         [RMR_DTYPE_F32] = {"F32", 4},
    [RMR_DTYPE_I64] = {"I64", 8},         [RMR_DTYPE_U64] = {"U64", 8},
    [RMR_DTYPE_F64] = {"F64", 8},         [RMR_DTYPE_C64] = {"C64", 8},
    [RMR_DTYPE_F8_E4M3] = {"F8_E4M3", 1}, [RMR_DTYPE_F8_E5M2] = {"F8_E5M2", 1},
    [RMR_DTYPE_F8_E8M0] = {"F8_E8M0", 1},
};

static const rmr_elem blocks[RMR_DTYPE_UNREAD - RMR_DTYPE_BLOCKS] = {
    [RMR_DTYPE_Q8_0 - RMR_DTYPE_BLOCKS] = RMR_ELEM_Q8_0,
    [RMR_DTYPE_Q4_0 - RMR_DTYPE_BLOCKS] = RMR_ELEM_Q4_0,
    [RMR_DTYPE_IQ4_NL - RMR_DTYPE_BLOCKS] = RMR_ELEM_IQ4_NL,
    [RMR_DTYPE_MXFP4 - RMR_DTYPE_BLOCKS] = RMR_ELEM_MXFP4,
    [RMR_DTYPE_IQ4_XS - RMR_DTYPE_BLOCKS] = RMR_ELEM_IQ4_XS,
    [RMR_DTYPE_Q4_K - RMR_DTYPE_BLOCKS] = RMR_ELEM_Q4_K,
    [RMR_DTYPE_Q5_K - RMR_DTYPE_BLOCKS] = RMR_ELEM_Q5_K,
    [RMR_DTYPE_Q6_K - RMR_DTYPE_BLOCKS] = RMR_ELEM_Q6_K,
    [RMR_DTYPE_Q3_K - RMR_DTYPE_BLOCKS] = RMR_ELEM_Q3_K,
    [RMR_DTYPE_Q2_K - RMR_DTYPE_BLOCKS] = RMR_ELEM_Q2_K,
    [RMR_DTYPE_Q4_1 - RMR_DTYPE_BLOCKS] = RMR_ELEM_Q4_1,
    [RMR_DTYPE_Q5_0 - RMR_DTYPE_BLOCKS] = RMR_ELEM_Q5_0,
    [RMR_DTYPE_Q5_1 - RMR_DTYPE_BLOCKS] = RMR_ELEM_Q5_1,
};

/* Values and bytes of a block. */
static const struct unread {
    const char *name;
    uint32_t values, bytes;
} unread[RMR_DTYPE_COUNT - RMR_DTYPE_UNREAD] = {
    [RMR_DTYPE_F4 - RMR_DTYPE_UNREAD] = {"F4", 2, 1},
    [RMR_DTYPE_F6_E2M3 - RMR_DTYPE_UNREAD] = {"F6_E2M3", 4, 3},
    [RMR_DTYPE_F6_E3M2 - RMR_DTYPE_UNREAD] = {"F6_E3M2", 4, 3},
    [RMR_DTYPE_F8_E4M3FNUZ - RMR_DTYPE_UNREAD] = {"F8_E4M3FNUZ", 1, 1},
    [RMR_DTYPE_F8_E5M2FNUZ - RMR_DTYPE_UNREAD] = {"F8_E5M2FNUZ", 1, 1},
    [RMR_DTYPE_Q8_1 - RMR_DTYPE_UNREAD] = {"Q8_1", 32, 36},
    [RMR_DTYPE_Q8_K - RMR_DTYPE_UNREAD] = {"Q8_K", 256, 292},
    [RMR_DTYPE_IQ2_XXS - RMR_DTYPE_UNREAD] = {"IQ2_XXS", 256, 66},
    [RMR_DTYPE_IQ2_XS - RMR_DTYPE_UNREAD] = {"IQ2_XS", 256, 74},
    [RMR_DTYPE_IQ3_XXS - RMR_DTYPE_UNREAD] = {"IQ3_XXS", 256, 98},
    [RMR_DTYPE_IQ1_S - RMR_DTYPE_UNREAD] = {"IQ1_S", 256, 50},
    [RMR_DTYPE_IQ3_S - RMR_DTYPE_UNREAD] = {"IQ3_S", 256, 110},
    [RMR_DTYPE_IQ2_S - RMR_DTYPE_UNREAD] = {"IQ2_S", 256, 82},
    [RMR_DTYPE_IQ1_M - RMR_DTYPE_UNREAD] = {"IQ1_M", 256, 56},
    [RMR_DTYPE_Q4_0_4_4 - RMR_DTYPE_UNREAD] = {"Q4_0_4_4", 32, 18},
    [RMR_DTYPE_Q4_0_4_8 - RMR_DTYPE_UNREAD] = {"Q4_0_4_8", 32, 18},
    [RMR_DTYPE_Q4_0_8_8 - RMR_DTYPE_UNREAD] = {"Q4_0_8_8", 32, 18},
    [RMR_DTYPE_TQ1_0 - RMR_DTYPE_UNREAD] = {"TQ1_0", 256, 54},
    [RMR_DTYPE_TQ2_0 - RMR_DTYPE_UNREAD] = {"TQ2_0", 256, 66},
    [RMR_DTYPE_IQ4_NL_4_4 - RMR_DTYPE_UNREAD] = {"IQ4_NL_4_4", 32, 18},
    [RMR_DTYPE_IQ4_NL_4_8 - RMR_DTYPE_UNREAD] = {"IQ4_NL_4_8", 32, 18},
    [RMR_DTYPE_IQ4_NL_8_8 - RMR_DTYPE_UNREAD] = {"IQ4_NL_8_8", 32, 18},
    [RMR_DTYPE_NVFP4 - RMR_DTYPE_UNREAD] = {"NVFP4", 64, 36},
    [RMR_DTYPE_Q1_0 - RMR_DTYPE_UNREAD] = {"Q1_0", 128, 18},
};

rmr_elem rmr_dtype_elem(rmr_dtype t)
{
    switch (t) {
    case RMR_DTYPE_BF16: return RMR_ELEM_BF16;
    case RMR_DTYPE_F16: return RMR_ELEM_F16;
    case RMR_DTYPE_F32: return RMR_ELEM_F32;
    default:
        return t >= RMR_DTYPE_BLOCKS && t < RMR_DTYPE_UNREAD ? blocks[t - RMR_DTYPE_BLOCKS]
                                                             : RMR_ELEM_COUNT;
    }
}

const char *rmr_dtype_name(rmr_dtype t)
{
    if ((unsigned)t >= RMR_DTYPE_COUNT) return "?";
    if (t >= RMR_DTYPE_UNREAD) return unread[t - RMR_DTYPE_UNREAD].name;
    return t < RMR_DTYPE_BLOCKS ? plain[t].name : rmr_elem_table[rmr_dtype_elem(t)].name;
}

uint32_t rmr_dtype_size(rmr_dtype t)
{
    if ((unsigned)t >= RMR_DTYPE_COUNT) return 0;
    if (t >= RMR_DTYPE_UNREAD) return unread[t - RMR_DTYPE_UNREAD].bytes;
    return t < RMR_DTYPE_BLOCKS ? plain[t].size : rmr_elem_table[rmr_dtype_elem(t)].bytes;
}

uint32_t rmr_dtype_values(rmr_dtype t)
{
    if (t < RMR_DTYPE_BLOCKS || t >= RMR_DTYPE_COUNT) return 1;
    if (t >= RMR_DTYPE_UNREAD) return unread[t - RMR_DTYPE_UNREAD].values;
    return rmr_elem_table[rmr_dtype_elem(t)].values;
}

/* ---- filling ---- */

rmr_checkpoint *rmr_build_create(rmr_mem *mem)
{
    rmr_checkpoint *c = rmr_calloc(mem, 1, sizeof *c);
    if (c != NULL) c->mem = mem;
    return c;
}

remora_status rmr_build_add_file(rmr_checkpoint *c, rmr_source *src, const char *what,
                                 const char *name, size_t i, remora_error *err)
{
    rmr_file *f;
    if (c->n_files >= RMR_MAX_SHARDS)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: there are more than %d shards", what, RMR_MAX_SHARDS);
    RMR_TRY(rmr_file_open(src, name, &f, err));
    return rmr_build_put_file(c, f, i, err);
}

remora_status rmr_build_put_file(rmr_checkpoint *c, rmr_file *f, size_t i, remora_error *err)
{
    const remora_status st =
        rmr_grow(c->mem, &c->files, &c->files_cap, c->n_files + 1, sizeof *c->files, err);
    if (st < 0) {
        rmr_file_close(f);
        return st;
    }
    RMR_ASSERT(i <= c->n_files);
    memmove(c->files + i + 1, c->files + i, (c->n_files - i) * sizeof *c->files);
    c->files[i] = f;
    c->n_files++;
    return REMORA_OK;
}

remora_status rmr_build_room(rmr_checkpoint *c, size_t n, size_t name_bytes, remora_error *err)
{
    c->names = rmr_alloc(c->mem, name_bytes);
    if (c->names == NULL) return rmr_error_nomem(err, "tensor names", name_bytes);
    c->names_size = name_bytes;
    c->tensors = rmr_calloc(c->mem, n, sizeof *c->tensors);
    if (c->tensors == NULL) return rmr_error_nomem(err, "tensors", n * sizeof *c->tensors);
    c->cap = n;
    c->sorted = rmr_calloc(c->mem, n, sizeof *c->sorted);
    if (c->sorted == NULL) return rmr_error_nomem(err, "tensors", n * sizeof *c->sorted);
    return REMORA_OK;
}

rmr_tensor *rmr_build_add(rmr_checkpoint *c, size_t n, const rmr_file *f)
{
    rmr_tensor *t = &c->tensors[c->n];
    RMR_ASSERT(c->n < c->cap && n < c->names_size - c->names_used);
    t->name = c->names + c->names_used;
    t->dtype = RMR_DTYPE_COUNT;
    t->file = f;
    c->sorted[c->n++] = t;
    c->names_used += n + 1;
    return t;
}

static int name_cmp(const void *a, const void *b)
{
    return strcmp(((const rmr_tensor *)a)->name, ((const rmr_tensor *)b)->name);
}

remora_status rmr_build_sort(rmr_checkpoint *c, const char *file, remora_error *err)
{
    rmr_sort((const void **)c->sorted, c->n, name_cmp);
    for (size_t i = 1; i < c->n; i++)
        if (name_cmp(c->sorted[i - 1], c->sorted[i]) == 0)
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s has two entries", file,
                     rmr_show(c->sorted[i]->name).text);
    return REMORA_OK;
}

size_t rmr_build_find(const rmr_checkpoint *c, const char *name)
{
    size_t lo = 0, hi = c->n;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int cmp = strcmp(c->sorted[mid]->name, name);
        if (cmp == 0) return mid;
        if (cmp < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return SIZE_MAX;
}

static int place_cmp(const void *a, const void *b)
{
    const rmr_tensor *x = a, *y = b;
    if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
    return 0;
}

void rmr_build_by_place(const rmr_tensor **tensors, size_t n)
{
    rmr_sort((const void **)tensors, n, place_cmp);
}

remora_status rmr_build_whole(const rmr_tensor *const *tensors, size_t n, const rmr_file *f,
                              remora_error *err)
{
    const uint64_t size = rmr_file_size(f);
    size_t i = 0;
    RMR_ASSERT(n == 0 || tensors[0]->offset <= tensors[n - 1]->offset); /* by place */
    while (i < n && tensors[i]->offset + tensors[i]->bytes <= size) i++;
    if (i == n) return REMORA_OK;
    RMR_FAIL(err, REMORA_E_FORMAT, "%s: half-written: has %llu of %llu bytes, cut off in tensor %s",
             rmr_show(rmr_file_name(f)).text, (unsigned long long)size,
             (unsigned long long)(tensors[n - 1]->offset + tensors[n - 1]->bytes),
             rmr_show(tensors[i]->name).text);
}

/* ---- looking ---- */

void rmr_checkpoint_free(rmr_checkpoint *c)
{
    if (c == NULL) return;
    rmr_mem *mem = c->mem;
    for (size_t i = 0; i < c->n_files; i++) rmr_file_close(c->files[i]);
    rmr_free(mem, c->files, c->files_cap * sizeof *c->files);
    rmr_free(mem, c->names, c->names_size);
    rmr_free(mem, c->tensors, c->cap * sizeof *c->tensors);
    rmr_free(mem, c->sorted, c->cap * sizeof *c->sorted);
    rmr_free(mem, c, sizeof *c);
}

rmr_file *rmr_checkpoint_take(rmr_checkpoint *c, const rmr_file *f)
{
    for (size_t i = 0; i < c->n_files; i++) {
        rmr_file *found = c->files[i];
        if (found != f) continue;
        c->files[i] = NULL;
        return found;
    }
    return NULL;
}

uint64_t rmr_checkpoint_count(const rmr_checkpoint *c)
{
    return c->n;
}

const rmr_tensor *rmr_checkpoint_at(const rmr_checkpoint *c, uint64_t i)
{
    RMR_ASSERT(i < c->n);
    return c->sorted[i];
}

uint64_t rmr_checkpoint_index(const rmr_checkpoint *c, const rmr_tensor *t)
{
    RMR_ASSERT(t >= c->tensors && t < c->tensors + c->n);
    return (uint64_t)(t - c->tensors);
}

const rmr_tensor *rmr_checkpoint_find(const rmr_checkpoint *c, const char *name)
{
    const size_t i = rmr_build_find(c, name);
    return i == SIZE_MAX ? NULL : c->sorted[i];
}

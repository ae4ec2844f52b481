/* SPDX-License-Identifier: Apache-2.0 */
/* Opening safetensors checkpoints. Headers are input nobody has checked: everything is proved here
 * before a tensor is handed out. Memory stays near the header's own size: it is walked member by
 * member, never a tree as a whole.
 *
 * Each file's header is read into a table of its own. A single file's is the checkpoint. Where
 * there is an index, it decides: its names, sorted, are the table of tensors, and each is filled
 * from the file that the index names. A name left empty is an error; other tensors of the files
 * (left out of the index, or taken from another file) are passed over. */
#include "safetensors.h"

#include <string.h>

#include "instead.h"
#include "json.h"
#include "le.h"
#include "checkpoint_build.h"

#define INDEX_FILE "model.safetensors.index.json"
#define SINGLE_FILE "model.safetensors"
#define METADATA "__metadata__"

enum {
    MIN_ENTRY = 48,       /* bytes of the shortest tensor's entry in a header, and less */
    HEADER_DEPTH = 2,     /* nesting of values in a header: a tensor's object and its arrays */
    MAX_VALUE = 64 << 10, /* bytes of one value parsed as a tree */
    MAX_SHARD_TEXT = 6 * RMR_MAX_NAME + 2 /* a file name written all in \u0000 escapes */
};

/* A file's header in memory, being read. */
typedef struct header {
    rmr_mem *mem;
    char *text;
    size_t size;
    uint64_t data;      /* offset in the file at which the tensors' bytes begin */
    rmr_shown shown;    /* the file's name */
    rmr_json_walk walk; /* at its beginning */
} header;

/* ---- headers ---- */

static void header_close(header *h)
{
    if (h->text != NULL) rmr_free(h->mem, h->text, h->size);
    h->text = NULL;
}

static remora_status read_text(const rmr_file *f, header *h, remora_error *err)
{
    unsigned char head[8];
    const char *file = h->shown.text;
    const uint64_t size = rmr_file_size(f);
    if (size < sizeof head)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %llu bytes are too short for a safetensors file", file,
                 (unsigned long long)size);
    RMR_TRY(rmr_file_read(f, 0, head, sizeof head, err));
    const uint64_t n = rmr_le64(head);
    if (n > RMR_MAX_HEADER)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: its header has %llu bytes, at most %d", file,
                 (unsigned long long)n, RMR_MAX_HEADER);
    if (n > size - sizeof head)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: half-written: its header has %llu bytes, the file %llu",
                 file, (unsigned long long)n, (unsigned long long)size);
    h->size = (size_t)n;
    h->data = sizeof head + n;
    h->text = rmr_alloc(h->mem, h->size);
    if (h->text == NULL) return rmr_error_nomem(err, file, n);
    RMR_TRY(rmr_file_read(f, sizeof head, h->text, n, err));
    if (n == 0 || h->text[0] != '{')
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: the header does not begin with '{'", file);
    return REMORA_OK;
}

static remora_status header_open(rmr_mem *mem, const rmr_file *f, header *h, remora_error *err)
{
    *h = (header){.mem = mem, .shown = rmr_show(rmr_file_name(f))};
    const remora_status st = read_text(f, h, err);
    if (st < 0) {
        header_close(h);
        return rmr_instead_file(f, RMR_EXPECTED_SAFETENSORS, st, err);
    }
    rmr_json_walk_open(&h->walk, h->shown.text, h->text, h->size, HEADER_DEPTH);
    return REMORA_OK;
}

/* ---- the table of names ---- */

/* Count an object's members, and bytes enough for all their decoded keys. */
static remora_status count_members(rmr_json_walk w, size_t *n, size_t *bytes, remora_error *err)
{
    rmr_json_span key, value;
    remora_status st;
    *n = *bytes = 0;
    while ((st = rmr_json_walk_next(&w, &key, &value, err)) == REMORA_OK) {
        ++*n;
        *bytes += key.size; /* two quotes more than the decoded name, which needs one NUL */
    }
    return st < 0 ? st : REMORA_OK;
}

/* Room for the tensors that one object's members name. `text` is the size of the headers that
 * describes them: a table larger than it could fill is not made. */
static remora_status alloc_names(rmr_checkpoint *c, rmr_json_walk w, uint64_t text,
                                 remora_error *err)
{
    size_t n, bytes;
    RMR_TRY(count_members(w, &n, &bytes, err));
    if (n > RMR_MAX_TENSORS)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: has %zu tensors, at most %d", w.file, n,
                 RMR_MAX_TENSORS);
    if (n > text / MIN_ENTRY + 2)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %zu tensors, which %llu bytes cannot describe", w.file,
                 n, (unsigned long long)text);
    return rmr_build_room(c, n, bytes, err);
}

/* The decoded key, placed where the next name goes; rmr_build_add keeps it. */
static remora_status place_name(rmr_checkpoint *c, const char *file, rmr_json_span key, size_t *n,
                                remora_error *err)
{
    RMR_TRY(rmr_json_unquote(file, key, c->names + c->names_used, c->names_size - c->names_used, n,
                             err));
    if (*n > RMR_MAX_TENSOR_NAME)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: a tensor name has %zu bytes", file, *n);
    return REMORA_OK;
}

/* ---- one tensor ---- */

static remora_status read_dtype(const char *where, const json_t *info, rmr_tensor *t,
                                remora_error *err)
{
    const char *name;
    RMR_TRY(rmr_json_string(where, info, "dtype", &name, err));
    if (name == NULL) RMR_FAIL(err, REMORA_E_FORMAT, "%s: dtype is missing", where);
    for (int i = 0; i <= RMR_DTYPE_F8_E5M2FNUZ; i++) {
        if (i == RMR_DTYPE_BLOCKS) i = RMR_DTYPE_F4; /* the types between them are GGUF's */
        if (strcmp(rmr_dtype_name((rmr_dtype)i), name) == 0) t->dtype = (rmr_dtype)i;
    }
    if (t->dtype < RMR_DTYPE_UNREAD) return REMORA_OK;
    RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: dtype %s is not %s", where, rmr_show(name).text,
             t->dtype == RMR_DTYPE_COUNT ? "known" : "supported");
}

static remora_status read_u64(const char *where, const char *what, const json_t *v, uint64_t *out,
                              remora_error *err)
{
    if (!json_is_integer(v))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is not an integer", where, what);
    if (json_integer_value(v) < 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is negative", where, what);
    *out = (uint64_t)json_integer_value(v);
    return REMORA_OK;
}

/* Dims and bytes. A zero dim does not excuse the others: callers multiply parts of a shape. */
static remora_status read_shape(const char *where, const json_t *info, rmr_tensor *t,
                                remora_error *err)
{
    const json_t *shape = json_object_get(info, "shape");
    if (!json_is_array(shape)) RMR_FAIL(err, REMORA_E_FORMAT, "%s: shape is not an array", where);
    const size_t n = json_array_size(shape);
    const uint32_t per = rmr_dtype_values(t->dtype);
    uint64_t product = rmr_dtype_size(t->dtype);
    int empty = 0;
    if (n > RMR_MAX_DIMS)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: has %zu dims, at most %d", where, n, RMR_MAX_DIMS);
    for (size_t i = 0; i < n; i++) {
        uint64_t dim = 0;
        RMR_TRY(read_u64(where, "shape", json_array_get(shape, i), &dim, err));
        if (dim == 0)
            empty = 1;
        else if (!rmr_mul_ok(product, dim, &product))
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: shape overflows 64 bits", where);
        t->dims[i] = dim;
    }
    t->n_dims = (uint32_t)n;
    if (!empty && product % per != 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: shape is no whole bytes of %s", where,
                 rmr_dtype_name(t->dtype));
    t->bytes = empty ? 0 : product / per;
    return REMORA_OK;
}

/* Read the tensor's place. The end of the file is checked later, once all tensors are known. */
static remora_status read_offsets(const char *where, const json_t *info, uint64_t data,
                                  rmr_tensor *t, remora_error *err)
{
    const json_t *pair = json_object_get(info, "data_offsets");
    uint64_t begin = 0, end = 0;
    if (!json_is_array(pair) || json_array_size(pair) != 2)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: data_offsets is not a pair", where);
    RMR_TRY(read_u64(where, "data_offsets", json_array_get(pair, 0), &begin, err));
    RMR_TRY(read_u64(where, "data_offsets", json_array_get(pair, 1), &end, err));
    if (begin > end)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: begins at %llu and ends at %llu", where,
                 (unsigned long long)begin, (unsigned long long)end);
    if (t->dtype == RMR_DTYPE_COUNT) t->bytes = end - begin;
    if (end - begin != t->bytes)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %llu bytes, its dtype and shape need %llu", where,
                 (unsigned long long)(end - begin), (unsigned long long)t->bytes);
    t->offset = data + begin;
    return REMORA_OK;
}

/* Keep a refused dtype as one reason, however many layers have it. */
static remora_status keep_dtype(rmr_refusals *keep, remora_status st, remora_error *err)
{
    if (keep == NULL || st >= 0) return st;
    keep->by_layer = 1;
    st = rmr_refusals_keep(keep, st, err);
    keep->by_layer = 0;
    return st;
}

static remora_status read_tensor(const header *h, rmr_refusals *keep, rmr_json_span value,
                                 rmr_tensor *t, remora_error *err)
{
    char where[2 * sizeof(rmr_shown) + 16];
    json_t *info;
    const rmr_shown name = rmr_show(t->name);
    const size_t nf = strlen(h->shown.text), nt = strlen(name.text);
    memcpy(where, h->shown.text, nf);
    memcpy(where + nf, ": tensor ", 9);
    memcpy(where + nf + 9, name.text, nt + 1);
    if (value.size > MAX_VALUE)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: its entry has %zu bytes", where, value.size);
    RMR_TRY(rmr_json_parse(where, value.text, value.size, &info, err));
    remora_status st = keep_dtype(keep, read_dtype(where, info, t, err), err);
    if (st >= 0) st = read_shape(where, info, t, err);
    if (st >= 0) st = read_offsets(where, info, h->data, t, err);
    json_decref(info);
    return st;
}

/* ---- one file ---- */

/* "__metadata__" is not used, but has to have the form of the format: an object of strings. */
static remora_status check_metadata(const header *h, rmr_json_span value, remora_error *err)
{
    rmr_json_walk w;
    rmr_json_span k, v;
    remora_status st;
    rmr_json_walk_into(&w, &h->walk, value);
    while ((st = rmr_json_walk_next(&w, &k, &v, err)) == REMORA_OK) {
        if (v.text[0] != '"')
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: " METADATA ": a value is not a string", w.file);
        RMR_TRY(rmr_json_check(w.file, k, err));
        RMR_TRY(rmr_json_check(w.file, v, err));
    }
    return st < 0 ? st : REMORA_OK;
}

/* Fill the table of the file's names; order gets its tensors as they stand in the header. */
static remora_status read_members(rmr_checkpoint *c, const header *h, char *name,
                                  const rmr_tensor **order, remora_error *err)
{
    rmr_json_walk w = h->walk;
    rmr_json_span key, value;
    remora_status st;
    size_t len, n = 0;
    int seen_metadata = 0;
    while ((st = rmr_json_walk_next(&w, &key, &value, err)) == REMORA_OK) {
        RMR_TRY(rmr_json_unquote(w.file, key, name, RMR_MAX_TENSOR_NAME + 1, &len, err));
        if (strcmp(name, METADATA) == 0) {
            if (seen_metadata++)
                RMR_FAIL(err, REMORA_E_FORMAT, "%s: there are two " METADATA, w.file);
            RMR_TRY(check_metadata(h, value, err));
            continue;
        }
        rmr_tensor *t = &c->tensors[c->sorted[rmr_build_find(c, name)] - c->tensors];
        RMR_TRY(read_tensor(h, c->keep, value, t, err));
        order[n++] = t;
    }
    return st < 0 ? st : REMORA_OK;
}

/* E_FORMAT unless every byte behind the header belongs to exactly one tensor. */
static remora_status check_places(const rmr_file *f, const header *h, const rmr_tensor **order,
                                  size_t n, remora_error *err)
{
    uint64_t at = h->data;
    rmr_build_by_place(order, n);
    for (size_t i = 0; i < n; i++) {
        if (order[i]->offset != at)
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s %s at byte %llu, not %llu", h->shown.text,
                     rmr_show(order[i]->name).text,
                     order[i]->offset < at ? "overlaps another: begins" : "follows a hole: begins",
                     (unsigned long long)order[i]->offset, (unsigned long long)at);
        at += order[i]->bytes;
    }
    RMR_TRY(rmr_build_whole(order, n, f, err));
    if (at != rmr_file_size(f))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: the tensors end at byte %llu, the file at %llu",
                 h->shown.text, (unsigned long long)at, (unsigned long long)rmr_file_size(f));
    return REMORA_OK;
}

static remora_status names_from_header(rmr_checkpoint *c, const header *h, const rmr_file *f,
                                       remora_error *err)
{
    rmr_json_walk w = h->walk;
    rmr_json_span key, value;
    remora_status st;
    size_t n;
    RMR_TRY(alloc_names(c, w, h->size, err));
    while ((st = rmr_json_walk_next(&w, &key, &value, err)) == REMORA_OK) {
        RMR_TRY(place_name(c, w.file, key, &n, err));
        if (strcmp(c->names + c->names_used, METADATA) != 0) rmr_build_add(c, n, f);
    }
    RMR_TRY(st);
    return rmr_build_sort(c, w.file, err);
}

/* Read all tensors of file f into the empty table c. */
static remora_status read_header(rmr_checkpoint *c, const rmr_file *f, const header *h,
                                 remora_error *err)
{
    RMR_TRY(names_from_header(c, h, f, err));
    char *name = rmr_alloc(c->mem, RMR_MAX_TENSOR_NAME + 1);
    if (name == NULL) return rmr_error_nomem(err, "tensor name", RMR_MAX_TENSOR_NAME + 1);
    const rmr_tensor **order = rmr_calloc(c->mem, c->n, sizeof *order);
    remora_status st = order == NULL ? rmr_error_nomem(err, "tensors", c->n * sizeof *order)
                                     : read_members(c, h, name, order, err);
    if (st >= 0) st = check_places(f, h, order, c->n, err);
    rmr_free(c->mem, order, c->n * sizeof *order);
    rmr_free(c->mem, name, RMR_MAX_TENSOR_NAME + 1);
    return st;
}

/* ---- one file or many ---- */

/* The place of a file in the list, or the place at which it would be inserted. */
static size_t file_place(const rmr_checkpoint *c, const char *name, int *found)
{
    size_t lo = 0, hi = c->n_files;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int cmp = strcmp(rmr_file_name(c->files[mid]), name);
        if (cmp < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *found = lo < c->n_files && strcmp(rmr_file_name(c->files[lo]), name) == 0;
    return lo;
}

static remora_status shard_name(const char *file, rmr_json_span key, rmr_json_span value,
                                char name[MAX_SHARD_TEXT], remora_error *err)
{
    size_t n = 0;
    if (value.text[0] != '"') {
        char raw[sizeof(rmr_shown)] = {0};
        memcpy(raw, key.text, key.size < sizeof raw ? key.size : sizeof raw - 1);
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: the file of tensor %s is not a string", file,
                 rmr_show(raw).text);
    }
    RMR_TRY(rmr_json_unquote(file, value, name, MAX_SHARD_TEXT, &n, err));
    return rmr_name_check(file, name, n, err);
}

/* Put a file without bytes in place of a shard that is not there, so that the tensors which the
 * index has in it are listed. */
static remora_status add_absent(rmr_checkpoint *c, const char *name, size_t i, remora_error *err)
{
    rmr_file *f = rmr_file_absent(c->mem, name);
    if (f == NULL) return rmr_error_nomem(err, "file", strlen(name) + 1);
    return rmr_build_put_file(c, f, i, err);
}

/* Open every file that the map names; *bytes is their size together. */
static remora_status open_shards(rmr_checkpoint *c, rmr_source *src, rmr_json_walk w,
                                 uint64_t *bytes, remora_error *err)
{
    rmr_json_span key, value;
    remora_status st;
    char name[MAX_SHARD_TEXT];
    int found;
    *bytes = 0;
    while ((st = rmr_json_walk_next(&w, &key, &value, err)) == REMORA_OK) {
        RMR_TRY(shard_name(w.file, key, value, name, err));
        const size_t i = file_place(c, name, &found);
        if (found) continue;
        const remora_status opened = rmr_build_add_file(c, src, INDEX_FILE, name, i, err);
        if (opened < 0) {
            if (c->n_files >= RMR_MAX_SHARDS) return opened;
            RMR_TRY(rmr_refusals_keep(c->keep, opened, err));
            RMR_TRY(add_absent(c, name, i, err));
            *bytes = UINT64_MAX; /* nobody knows */
            continue;
        }
        if (!rmr_add_ok(*bytes, rmr_file_size(c->files[i]), bytes)) *bytes = UINT64_MAX;
    }
    return st < 0 ? st : REMORA_OK;
}

static remora_status names_from_map(rmr_checkpoint *c, rmr_json_walk w, uint64_t bytes,
                                    remora_error *err)
{
    rmr_json_span key, value;
    remora_status st;
    size_t n;
    char shard[MAX_SHARD_TEXT];
    int found;
    RMR_TRY(alloc_names(c, w, bytes, err));
    while ((st = rmr_json_walk_next(&w, &key, &value, err)) == REMORA_OK) {
        RMR_TRY(place_name(c, w.file, key, &n, err));
        RMR_TRY(shard_name(w.file, key, value, shard, err));
        const size_t i = file_place(c, shard, &found); /* opened from the same text */
        rmr_build_add(c, n, c->files[i]);
    }
    RMR_TRY(st);
    return rmr_build_sort(c, w.file, err);
}

/* Find "weight_map" in the index. The rest ("metadata" with a total_size that is wrong in some
 * uploads) only has to be JSON. */
static remora_status find_map(rmr_json_walk w, rmr_json_walk *map, remora_error *err)
{
    rmr_json_span key, value;
    remora_status st;
    int found = 0;
    while ((st = rmr_json_walk_next(&w, &key, &value, err)) == REMORA_OK) {
        if (key.size == 12 && memcmp(key.text, "\"weight_map\"", 12) == 0) {
            if (found++) RMR_FAIL(err, REMORA_E_FORMAT, "%s: there are two weight_map", w.file);
            rmr_json_walk_into(map, &w, value);
            continue;
        }
        if (value.size > MAX_VALUE)
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: an entry beside weight_map has %zu bytes", w.file,
                     value.size);
        RMR_TRY(rmr_json_check(w.file, key, err));
        RMR_TRY(rmr_json_check(w.file, value, err));
    }
    RMR_TRY(st);
    if (!found) RMR_FAIL(err, REMORA_E_FORMAT, "%s: weight_map is missing", w.file);
    return REMORA_OK;
}

static remora_status read_index(rmr_checkpoint *c, rmr_source *src, remora_error *err)
{
    char *text;
    uint64_t size, bytes;
    rmr_json_walk w, map;
    RMR_TRY(rmr_file_load(src, INDEX_FILE, RMR_MAX_HEADER, &text, &size, err));
    rmr_json_walk_open(&w, INDEX_FILE, text, (size_t)size, RMR_JSON_DEPTH);
    remora_status st = find_map(w, &map, err);
    if (st == REMORA_E_FORMAT) st = rmr_instead_json(INDEX_FILE, text, (size_t)size, st, err);
    if (st >= 0) st = open_shards(c, src, map, &bytes, err);
    if (st >= 0) st = names_from_map(c, map, bytes, err);
    rmr_free(c->mem, text, (size_t)size + 1);
    return st;
}

/* Fill in the tensors that the index has in this file. */
static void take_listed(rmr_checkpoint *c, const rmr_checkpoint *shard, const rmr_file *f)
{
    for (size_t i = 0; i < shard->n; i++) {
        const size_t at = rmr_build_find(c, shard->tensors[i].name);
        rmr_tensor *t = at == SIZE_MAX ? NULL : &c->tensors[c->sorted[at] - c->tensors];
        if (t == NULL || t->file != f) continue;
        const char *name = t->name;
        *t = shard->tensors[i];
        t->name = name;
    }
}

static remora_status read_shard(rmr_checkpoint *c, const rmr_file *f, remora_error *err)
{
    header h;
    rmr_checkpoint *shard = rmr_build_create(c->mem);
    if (shard == NULL) return rmr_error_nomem(err, "checkpoint", sizeof *shard);
    shard->keep = c->keep;
    remora_status st = header_open(c->mem, f, &h, err);
    if (st >= 0) st = read_header(shard, f, &h, err);
    if (st >= 0 || c->keep != NULL) take_listed(c, shard, f);
    header_close(&h);
    rmr_checkpoint_free(shard);
    return st;
}

static remora_status open_sharded(rmr_checkpoint *c, rmr_source *src, remora_error *err)
{
    const uint64_t before = c->keep != NULL ? c->keep->total : 0;
    RMR_TRY(read_index(c, src, err));
    for (size_t i = 0; i < c->n_files; i++) {
        if (rmr_file_is_absent(c->files[i])) continue;
        RMR_TRY(rmr_refusals_keep(c->keep, read_shard(c, c->files[i], err), err));
    }
    if (c->keep != NULL && c->keep->total != before) return REMORA_OK;
    for (size_t i = 0; i < c->n; i++)
        if (c->sorted[i]->dtype == RMR_DTYPE_COUNT)
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s is not in %s", INDEX_FILE,
                     rmr_show(c->sorted[i]->name).text,
                     rmr_show(rmr_file_name(c->sorted[i]->file)).text);
    return REMORA_OK;
}

static remora_status open_file(rmr_checkpoint *c, rmr_source *src, const char *name,
                               remora_error *err)
{
    header h;
    RMR_TRY(rmr_build_add_file(c, src, name, name, 0, err));
    RMR_TRY(header_open(c->mem, c->files[0], &h, err));
    const remora_status st = rmr_refusals_keep(c->keep, read_header(c, c->files[0], &h, err), err);
    header_close(&h);
    return st;
}

static remora_status open_single(rmr_checkpoint *c, rmr_source *src, remora_error *err)
{
    const remora_status st = open_file(c, src, SINGLE_FILE, err);
    if (st != REMORA_E_NOT_FOUND) return st;
    (void)rmr_error_set(err, st, 0, "%s: has neither " INDEX_FILE " nor " SINGLE_FILE,
                        rmr_show(rmr_source_where(src)).text);
    return rmr_instead_source(src, SINGLE_FILE, err);
}

static remora_status open_any(rmr_checkpoint *c, rmr_source *src, remora_error *err)
{
    rmr_file *index;
    remora_error why = {.struct_size =
                            sizeof why}; /* a missing index is no error: err stays clean */
    const remora_status st = rmr_file_open(src, INDEX_FILE, &index, &why);
    if (st == REMORA_E_NOT_FOUND) return open_single(c, src, err);
    if (st < 0) return rmr_error_set(err, st, why.os_code, "%s", why.message);
    rmr_file_close(index);
    return open_sharded(c, src, err);
}

remora_status rmr_safetensors_open(rmr_mem *mem, rmr_source *src, const char *name,
                                   rmr_refusals *keep, rmr_checkpoint **out, remora_error *err)
{
    *out = NULL;
    rmr_checkpoint *c = rmr_build_create(mem);
    if (c == NULL) return rmr_error_nomem(err, "checkpoint", sizeof *c);
    c->keep = keep;
    const remora_status st = name != NULL ? open_file(c, src, name, err) : open_any(c, src, err);
    if (st < 0) {
        rmr_checkpoint_free(c);
        return st;
    }
    if (keep != NULL) (void)rmr_build_sort(c, "", NULL); /* a header may have ended before that */
    c->keep = NULL;
    *out = c;
    return REMORA_OK;
}

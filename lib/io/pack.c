/* SPDX-License-Identifier: Apache-2.0 */
/* Header and manifest of a pack, checked whole before anything is made of them. */
#include "pack.h"

#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_customMem: the host's allocator */
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "digits.h"
#include "find_model_file.h"
#include "instead.h"
#include "json.h"
#include "sha256.h"
#include "sort.h"
#include "yamltree.h"

enum {
    SHA_AT = 31, /* place of the 64 digits in the header */
    MAX_NODES = 1 << 19,
};

struct rmr_pack {
    rmr_mem *mem;
    rmr_file *file;
    rmr_shown shown;
    json_t *manifest;
    rmr_pack_tensor *tensors;
    const rmr_pack_tensor **by_name;
    uint32_t n_tensors;
    rmr_pack_blob *blobs;
    uint32_t n_blobs;
};

/* ---- front and checksum ---- */

void rmr_pack_hex(const uint8_t sha256[32], char out[65])
{
    for (int i = 0; i < 32; i++) snprintf(out + 2 * i, 3, "%02x", sha256[i]);
}

/* SHA-256 of the header, in digits, with zeros in place of these digits themselves. */
static void header_digits(const unsigned char *header, uint64_t n, char out[65])
{
    char zeros[64];
    uint8_t digest[32];
    rmr_sha256 h;
    memset(zeros, '0', sizeof zeros);
    rmr_sha256_init(&h);
    rmr_sha256_add(&h, header, SHA_AT);
    rmr_sha256_add(&h, zeros, sizeof zeros);
    rmr_sha256_add(&h, header + SHA_AT + 64, (size_t)n - SHA_AT - 64);
    rmr_sha256_end(&h, digest);
    rmr_pack_hex(digest, out);
}

void rmr_pack_seal(unsigned char *header, const rmr_pack_front *f)
{
    char text[RMR_PACK_FRONT + 1], digits[65];
    memset(digits, '0', 64);
    digits[64] = 0;
    snprintf(text, sizeof text,
             RMR_PACK_MAGIC "%1llu\nheader_sha256: \"%s\"\nheader_bytes: %12llu\nmanifest_bytes: "
                            "%12llu\nfile_bytes: %20llu\n",
             (unsigned long long)f->version % 10, digits, (unsigned long long)f->header_bytes,
             (unsigned long long)f->manifest_bytes, (unsigned long long)f->file_bytes);
    memcpy(header, text, RMR_PACK_FRONT);
    header_digits(header, f->header_bytes, digits);
    memcpy(header + SHA_AT, digits, 64);
}

/* `label`, then a number right-aligned in `width`, then a line end; NULL when it is not that. */
static const char *read_line(const char *p, const char *label, size_t width, uint64_t *out)
{
    const size_t n = strlen(label);
    uint64_t v = 0;
    size_t i = 0;
    if (memcmp(p, label, n) != 0) return NULL;
    p += n;
    while (i + 1 < width && p[i] == ' ') i++;
    for (; i < width; i++) {
        if (p[i] < '0' || p[i] > '9' || !rmr_mul_ok(v, 10, &v) ||
            !rmr_add_ok(v, (uint64_t)(p[i] - '0'), &v))
            return NULL;
    }
    if (p[width] != '\n') return NULL;
    *out = v;
    return p + width + 1;
}

static int read_front(const char *p, rmr_pack_front *f)
{
    static const char sha[] = "header_sha256: \"";
    p = read_line(p, RMR_PACK_MAGIC, 1, &f->version);
    if (p == NULL || memcmp(p, sha, sizeof sha - 1) != 0) return 0;
    p += sizeof sha - 1 + 64;
    if (memcmp(p, "\"\n", 2) != 0) return 0;
    p = read_line(p + 2, "header_bytes: ", 12, &f->header_bytes);
    if (p != NULL) p = read_line(p, "manifest_bytes: ", 12, &f->manifest_bytes);
    if (p != NULL) p = read_line(p, "file_bytes: ", 20, &f->file_bytes);
    return p != NULL;
}

static remora_status check_front(const rmr_pack *p, const rmr_pack_front *f, remora_error *err)
{
    const uint64_t size = rmr_file_size(p->file);
    if (f->header_bytes % RMR_PACK_PAGE != 0 || f->header_bytes == 0 ||
        f->header_bytes > RMR_PACK_MAX_HEADER || f->manifest_bytes > f->header_bytes ||
        f->manifest_bytes < RMR_PACK_FRONT)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: its header has %llu bytes with a manifest of %llu",
                 p->shown.text, (unsigned long long)f->header_bytes,
                 (unsigned long long)f->manifest_bytes);
    if (f->header_bytes > size || f->file_bytes != size)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s%llu bytes, the pack says %llu", p->shown.text,
                 f->file_bytes > size ? "half-written: " : "", (unsigned long long)size,
                 (unsigned long long)f->file_bytes);
    return REMORA_OK;
}

static remora_status check_header(const rmr_pack *p, const unsigned char *h,
                                  const rmr_pack_front *f, remora_error *err)
{
    char digits[65];
    header_digits(h, f->header_bytes, digits);
    if (memcmp(digits, h + SHA_AT, 64) != 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: the header is damaged: its checksum differs",
                 p->shown.text);
    for (uint64_t i = f->manifest_bytes; i < f->header_bytes; i++)
        if (h[i] != 0)
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: byte %llu behind the manifest is not 0",
                     p->shown.text, (unsigned long long)i);
    if (f->version != RMR_PACK_VERSION)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: is of pack version %llu; this build reads %d",
                 p->shown.text, (unsigned long long)f->version, RMR_PACK_VERSION);
    return REMORA_OK;
}

static remora_status read_header(rmr_pack *p, remora_error *err)
{
    char front[RMR_PACK_FRONT];
    rmr_pack_front f;
    if (rmr_file_size(p->file) < sizeof front)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %llu bytes are no pack", p->shown.text,
                 (unsigned long long)rmr_file_size(p->file));
    RMR_TRY(rmr_file_read(p->file, 0, front, sizeof front, err));
    if (!read_front(front, &f))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: does not begin like a pack", p->shown.text);
    RMR_TRY(check_front(p, &f, err));
    unsigned char *h = rmr_alloc(p->mem, (size_t)f.header_bytes);
    if (h == NULL) return rmr_error_nomem(err, p->shown.text, f.header_bytes);
    remora_status st = rmr_file_read(p->file, 0, h, f.header_bytes, err);
    if (st >= 0) st = check_header(p, h, &f, err);
    if (st >= 0) {
        const uint64_t nodes = 4096 + f.manifest_bytes / 8;
        st = rmr_yaml_parse(p->shown.text, h, (size_t)f.manifest_bytes,
                            nodes < MAX_NODES ? (size_t)nodes : MAX_NODES, &p->manifest, err);
    }
    rmr_free(p->mem, h, (size_t)f.header_bytes);
    RMR_TRY(st);
    if (!json_is_object(p->manifest))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: the manifest is not a mapping", p->shown.text);
    return REMORA_OK;
}

/* ---- the tables ---- */

typedef struct entry { /* an entry of a table, with the names for messages about it */
    const rmr_pack *p;
    const json_t *v;
    const char *table;
    size_t index;
    const char *name; /* NULL: not known yet */
    remora_error *err;
} entry;

static remora_status bad(const entry *e, remora_status st, const char *what)
{
    return rmr_error_set(e->err, st, 0, "%s: %s[%zu]%s%s: %s", e->p->shown.text, e->table, e->index,
                         e->name != NULL ? " " : "", e->name != NULL ? rmr_show(e->name).text : "",
                         what);
}

static remora_status read_u64(const entry *e, const char *key, uint64_t max, uint64_t *out)
{
    char what[64];
    const json_t *v = json_object_get(e->v, key);
    const json_int_t i = json_is_integer(v) ? json_integer_value(v) : -1;
    if (i < 0 || (uint64_t)i > max) {
        snprintf(what, sizeof what, "%s is missing or out of range", key);
        return bad(e, REMORA_E_FORMAT, what);
    }
    *out = (uint64_t)i;
    return REMORA_OK;
}

static remora_status read_dim(const entry *e, const char *key, uint32_t *out)
{
    uint64_t v = 0;
    RMR_TRY(read_u64(e, key, UINT32_MAX, &v));
    if (v == 0) return bad(e, REMORA_E_FORMAT, "a dimension is 0");
    *out = (uint32_t)v;
    return REMORA_OK;
}

/* The text of a field, or NULL when it is none. */
static const char *text_of(const entry *e, const char *key)
{
    return rmr_json_text(json_object_get(e->v, key));
}

/* With small letters, as digests are written. */
static int digit(char c)
{
    return c >= 'A' && c <= 'F' ? -1 : rmr_hex_digit((unsigned char)c);
}

static remora_status read_sha(const entry *e, uint8_t out[32])
{
    const char *s = text_of(e, "sha256");
    for (int i = 0; s != NULL && i < 64; i++) {
        const int d = digit(s[i]);
        if (d < 0) return bad(e, REMORA_E_FORMAT, "sha256 is not 64 digits");
        out[i / 2] = (uint8_t)(i % 2 ? out[i / 2] | d : d << 4);
    }
    if (s == NULL || s[64] != 0) return bad(e, REMORA_E_FORMAT, "sha256 is not 64 digits");
    return REMORA_OK;
}

static remora_status read_name(entry *e, const char **copy)
{
    const char *s = json_is_object(e->v) ? text_of(e, "name") : NULL;
    if (s == NULL || s[0] == 0 || strlen(s) > RMR_PACK_MAX_NAME)
        return bad(e, REMORA_E_FORMAT, "no name, or too long a name");
    for (const char *c = s; *c != 0; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7F)
            return bad(e, REMORA_E_FORMAT, "a control character in the name");
    *copy = rmr_strdup(e->p->mem, s);
    if (*copy == NULL) return rmr_error_nomem(e->err, "pack", strlen(s) + 1);
    e->name = *copy;
    return REMORA_OK;
}

/* offset and n bytes lie on a page and in the file. */
static remora_status read_place(const entry *e, uint64_t n, uint64_t *offset)
{
    const uint64_t size = rmr_file_size(e->p->file);
    RMR_TRY(read_u64(e, "offset", size, offset));
    if (*offset % RMR_PACK_PAGE != 0 || *offset == 0 || n > size - *offset)
        return bad(e, REMORA_E_FORMAT, "not on a page, or beyond the end of the file");
    return REMORA_OK;
}

const char *rmr_pack_use_name(rmr_weight_use use)
{
    static const char *const names[] = {"matrix", "table", "vector"};
    return names[use];
}

static remora_status read_type(const entry *e, rmr_pack_tensor *t)
{
    const char *use = text_of(e, "use"), *type = text_of(e, "type");
    if (use == NULL || type == NULL) return bad(e, REMORA_E_FORMAT, "use or type is missing");
    t->elem = rmr_elem_find(type);
    if (t->elem == RMR_ELEM_COUNT)
        return bad(e, REMORA_E_UNSUPPORTED, "a type that this build does not know");
    t->use = RMR_USE_MATRIX;
    while (strcmp(use, rmr_pack_use_name(t->use)) != 0)
        if (t->use++ == RMR_USE_VECTOR)
            return bad(e, REMORA_E_UNSUPPORTED, "a use that this build does not know");
    return REMORA_OK;
}

static remora_status read_shape(const entry *e, rmr_pack_tensor *t)
{
    rmr_layout l;
    RMR_TRY(read_dim(e, "count", &t->count));
    RMR_TRY(read_dim(e, "rows", &t->rows));
    RMR_TRY(read_dim(e, "cols", &t->cols));
    if (!rmr_elem_fits(t->elem, t->cols))
        return bad(e, REMORA_E_FORMAT, "cols is not whole blocks of the type");
    if (t->use != RMR_USE_MATRIX && t->count != 1)
        return bad(e, REMORA_E_FORMAT, "a stack of tables or vectors");
    if (t->use == RMR_USE_VECTOR && (t->rows != 1 || t->elem != RMR_ELEM_F32))
        return bad(e, REMORA_E_FORMAT, "a vector is one row of F32");
    RMR_TRY(read_u64(e, "bytes", UINT64_MAX, &t->bytes));
    if (!rmr_lay_out(t->use, t->elem, t->count, t->rows, t->cols, &l) || l.bytes != t->bytes)
        return bad(e, REMORA_E_FORMAT, "bytes is not what type and dimensions take");
    return REMORA_OK;
}

/* Read the entry's stored bytes: how many they are, and whether they are compressed. */
static remora_status read_codec(const entry *e, rmr_pack_tensor *t)
{
    const char *codec = text_of(e, "codec");
    t->stored = t->bytes;
    if (json_object_get(e->v, "codec") == NULL) return REMORA_OK;
    if (codec == NULL || strcmp(codec, "zstd") != 0)
        return bad(e, REMORA_E_UNSUPPORTED, "a codec that this build does not know");
    t->zstd = 1;
    RMR_TRY(read_u64(e, "stored", t->bytes, &t->stored));
    if (t->stored / 8 < rmr_pack_chunks(t))
        return bad(e, REMORA_E_FORMAT, "stored is too few bytes for its chunks");
    return REMORA_OK;
}

static remora_status read_tensor(entry *e, rmr_pack_tensor *t)
{
    RMR_TRY(read_name(e, &t->name));
    RMR_TRY(read_type(e, t));
    RMR_TRY(read_shape(e, t));
    RMR_TRY(read_codec(e, t));
    RMR_TRY(read_place(e, t->stored, &t->offset));
    return read_sha(e, t->sha256);
}

static remora_status read_blob(entry *e, rmr_pack_blob *b)
{
    RMR_TRY(read_name(e, &b->name));
    RMR_TRY(read_u64(e, "bytes", UINT64_MAX, &b->bytes));
    RMR_TRY(read_place(e, b->bytes, &b->offset));
    return read_sha(e, b->sha256);
}

static remora_status table_of(const rmr_pack *p, const char *key, uint32_t *n, const json_t **out,
                              remora_error *err)
{
    *out = json_object_get(p->manifest, key);
    *n = 0;
    if (*out == NULL) return REMORA_OK;
    if (!json_is_array(*out))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is not a list", p->shown.text, key);
    *n = (uint32_t)json_array_size(*out); /* below MAX_NODES */
    return REMORA_OK;
}

static int compare_names(const void *pa, const void *pb)
{
    const rmr_pack_tensor *a = pa, *b = pb;
    const int c = strcmp(a->name, b->name);
    return c != 0 ? c : (int)a->use - (int)b->use;
}

static remora_status read_tensors(rmr_pack *p, remora_error *err)
{
    const json_t *list;
    uint32_t n;
    RMR_TRY(table_of(p, "tensors", &n, &list, err));
    p->tensors = rmr_calloc(p->mem, n, sizeof *p->tensors);
    p->by_name = rmr_calloc(p->mem, n, sizeof *p->by_name);
    p->n_tensors = n;
    if (p->tensors == NULL || p->by_name == NULL)
        return rmr_error_nomem(err, "pack", n * sizeof *p->tensors);
    for (uint32_t i = 0; i < n; i++) {
        entry e = {p, json_array_get(list, i), "tensors", i, NULL, err};
        RMR_TRY(read_tensor(&e, &p->tensors[i]));
        p->by_name[i] = &p->tensors[i];
    }
    rmr_sort((const void **)p->by_name, n, compare_names);
    for (uint32_t i = 1; i < n; i++)
        if (compare_names(p->by_name[i - 1], p->by_name[i]) == 0)
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s occurs twice", p->shown.text,
                     rmr_show(p->by_name[i]->name).text);
    return REMORA_OK;
}

static remora_status read_blobs(rmr_pack *p, remora_error *err)
{
    const json_t *list;
    uint32_t n;
    RMR_TRY(table_of(p, "blobs", &n, &list, err));
    if (n > 1024) RMR_FAIL(err, REMORA_E_FORMAT, "%s: has %u blobs", p->shown.text, n);
    p->blobs = rmr_calloc(p->mem, n, sizeof *p->blobs);
    p->n_blobs = n;
    if (p->blobs == NULL) return rmr_error_nomem(err, "pack", n * sizeof *p->blobs);
    for (uint32_t i = 0; i < n; i++) {
        entry e = {p, json_array_get(list, i), "blobs", i, NULL, err};
        RMR_TRY(read_blob(&e, &p->blobs[i]));
        for (uint32_t k = 0; k < i; k++)
            if (strcmp(p->blobs[k].name, p->blobs[i].name) == 0)
                return bad(&e, REMORA_E_FORMAT, "a blob of that name is there already");
    }
    return REMORA_OK;
}

typedef struct extent {
    const char *name;
    uint64_t begin, end;
} extent;

static int compare_extents(const void *pa, const void *pb)
{
    const extent *a = pa, *b = pb;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    return a->end < b->end ? -1 : a->end > b->end;
}

/* E_FORMAT when two tensors or blobs share a byte, or one lies in the header. */
static remora_status check_overlaps(rmr_pack *p, uint64_t header, remora_error *err)
{
    const size_t n = (size_t)p->n_tensors + p->n_blobs,
                 bytes = n * (sizeof(extent) + sizeof(void *));
    remora_status st = REMORA_OK;
    uint64_t end = header;
    extent *all = rmr_alloc(p->mem, bytes);
    if (all == NULL) return rmr_error_nomem(err, "pack", bytes);
    const void **order = (const void **)(all + n);
    for (size_t i = 0; i < n; i++) {
        if (i < p->n_tensors) {
            const rmr_pack_tensor *t = &p->tensors[i];
            all[i] = (extent){t->name, t->offset, t->offset + t->stored};
        } else {
            const rmr_pack_blob *b = &p->blobs[i - p->n_tensors];
            all[i] = (extent){b->name, b->offset, b->offset + b->bytes};
        }
        order[i] = &all[i];
    }
    rmr_sort(order, n, compare_extents);
    for (size_t i = 0; i < n && st >= 0; i++) {
        const extent *x = order[i];
        if (x->begin < end)
            st = rmr_error_set(err, REMORA_E_FORMAT, 0, "%s: %s overlaps what lies before it",
                               p->shown.text, rmr_show(x->name).text);
        end = x->end;
    }
    rmr_free(p->mem, all, bytes);
    return st;
}

/* Each entry of `needs` names a feature that a reader must know to make sense of the rest. */
static remora_status check_needs(const rmr_pack *p, remora_error *err)
{
    const json_t *needs = json_object_get(p->manifest, "needs");
    if (needs != NULL && !json_is_array(needs))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: needs is not a list", p->shown.text);
    for (size_t i = 0; i < json_array_size(needs); i++) {
        const char *what = json_string_value(json_array_get(needs, i));
        if (what == NULL || strcmp(what, "zstd") != 0)
            RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: needs %s, which this build does not know",
                     p->shown.text, what != NULL ? rmr_show(what).text : "something");
    }
    return REMORA_OK;
}

static remora_status open_pack(rmr_pack *p, remora_error *err)
{
    const remora_status st = read_header(p, err);
    if (st < 0) return rmr_instead_file(p->file, RMR_EXPECTED_PACK, st, err);
    RMR_TRY(check_needs(p, err));
    RMR_TRY(read_blobs(p, err));
    RMR_TRY(read_tensors(p, err));
    return check_overlaps(
        p, (uint64_t)json_integer_value(json_object_get(p->manifest, "header_bytes")), err);
}

remora_status rmr_pack_open(rmr_mem *mem, rmr_source *src, const char *name, rmr_pack **out,
                            remora_error *err)
{
    *out = NULL;
    rmr_pack *p = rmr_calloc(mem, 1, sizeof *p);
    if (p == NULL) return rmr_error_nomem(err, "pack", sizeof *p);
    p->mem = mem;
    p->shown = rmr_show(name);
    remora_status st = rmr_file_open(src, name, &p->file, err);
    if (st >= 0) st = open_pack(p, err);
    if (st >= 0)
        *out = p;
    else
        rmr_pack_free(p);
    return st;
}

void rmr_pack_free(rmr_pack *p)
{
    if (p == NULL) return;
    for (uint32_t i = 0; p->tensors != NULL && i < p->n_tensors; i++)
        rmr_strfree(p->mem, p->tensors[i].name);
    for (uint32_t i = 0; p->blobs != NULL && i < p->n_blobs; i++)
        rmr_strfree(p->mem, p->blobs[i].name);
    rmr_free(p->mem, p->tensors, p->n_tensors * sizeof *p->tensors);
    rmr_free(p->mem, p->by_name, p->n_tensors * sizeof *p->by_name);
    rmr_free(p->mem, p->blobs, p->n_blobs * sizeof *p->blobs);
    rmr_pack_drop_manifest(p);
    rmr_file_close(p->file);
    rmr_free(p->mem, p, sizeof *p);
}

remora_status rmr_find_pack_file(rmr_source *src, char name[RMR_MAX_NAME + 1], remora_error *err)
{
    static const rmr_file_kind kind = {"pack", ".remora", RMR_PACK_MAGIC, sizeof RMR_PACK_MAGIC - 1,
                                       NULL};
    return rmr_find_model_file(src, &kind, name, err);
}

remora_status rmr_pack_open_source(rmr_mem *mem, const remora_source *src, rmr_pack **out,
                                   remora_error *err)
{
    char name[RMR_MAX_NAME + 1] = "";
    rmr_source *files = NULL;
    *out = NULL;
    remora_status st = rmr_source_open(mem, src, 0, &files, err);
    if (st >= 0) st = rmr_find_pack_file(files, name, err);
    if (st >= 0 && name[0] == 0)
        st = rmr_error_set(err, REMORA_E_UNSUPPORTED, 0, "%s is no pack",
                           rmr_show(rmr_source_where(files)).text);
    if (st >= 0) st = rmr_pack_open(mem, files, name, out, err);
    rmr_source_free(files);
    return st;
}

/* ---- asking ---- */

const json_t *rmr_pack_manifest(const rmr_pack *p)
{
    return p->manifest;
}

void rmr_pack_drop_manifest(rmr_pack *p)
{
    json_decref(p->manifest);
    p->manifest = NULL;
}

const char *rmr_pack_file(const rmr_pack *p)
{
    return rmr_file_name(p->file);
}

uint64_t rmr_pack_size(const rmr_pack *p)
{
    return rmr_file_size(p->file);
}

uint32_t rmr_pack_count(const rmr_pack *p)
{
    return p->n_tensors;
}

const rmr_pack_tensor *rmr_pack_at(const rmr_pack *p, uint32_t i)
{
    RMR_ASSERT(i < p->n_tensors);
    return p->by_name[i];
}

uint32_t rmr_pack_index(const rmr_pack *p, const rmr_pack_tensor *t)
{
    RMR_ASSERT(t >= p->tensors && t < p->tensors + p->n_tensors);
    return (uint32_t)(t - p->tensors);
}

const rmr_pack_tensor *rmr_pack_find(const rmr_pack *p, const char *name, rmr_weight_use use)
{
    const rmr_pack_tensor want = {.name = name, .use = use};
    uint32_t lo = 0, hi = p->n_tensors;
    while (lo < hi) {
        const uint32_t mid = lo + (hi - lo) / 2;
        const int c = compare_names(p->by_name[mid], &want);
        if (c == 0) return p->by_name[mid];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

const rmr_pack_blob *rmr_pack_find_blob(const rmr_pack *p, const char *name)
{
    for (uint32_t i = 0; i < p->n_blobs; i++)
        if (strcmp(p->blobs[i].name, name) == 0) return &p->blobs[i];
    return NULL;
}

/* ---- reading ---- */

static const void *data_at(const rmr_pack *p, uint64_t offset)
{
    const unsigned char *data = rmr_file_data(p->file);
    RMR_ASSERT(offset <= rmr_file_size(p->file));
    return data != NULL ? data + offset : NULL;
}

const void *rmr_pack_data(const rmr_pack *p, const rmr_pack_tensor *t)
{
    return t->zstd ? NULL : data_at(p, t->offset);
}

const void *rmr_pack_blob_data(const rmr_pack *p, const rmr_pack_blob *b)
{
    return data_at(p, b->offset);
}

remora_status rmr_pack_check(const rmr_pack *p, remora_error *err)
{
    return rmr_file_check(p->file, err);
}

rmr_file_pages rmr_pack_mend_pages(const rmr_pack *p)
{
    return rmr_file_mend_pages(p->file);
}

remora_status rmr_pack_unchanged(const rmr_pack *p, remora_error *err)
{
    return rmr_file_unchanged(p->file, err);
}

remora_status rmr_pack_read_blob(const rmr_pack *p, const rmr_pack_blob *b, void *dst,
                                 remora_error *err)
{
    return rmr_file_read(p->file, b->offset, dst, b->bytes, err);
}

uint64_t rmr_pack_chunks(const rmr_pack_tensor *t)
{
    return (t->bytes + RMR_PACK_CHUNK - 1) / RMR_PACK_CHUNK;
}

uint32_t rmr_pack_chunk_bytes(const rmr_pack_tensor *t, uint64_t chunk)
{
    RMR_ASSERT(chunk < rmr_pack_chunks(t));
    const uint64_t left = t->bytes - chunk * RMR_PACK_CHUNK;
    return left < RMR_PACK_CHUNK ? (uint32_t)left : RMR_PACK_CHUNK;
}

struct rmr_pack_reader {
    const rmr_pack *p;
    rmr_mem *mem;
    ZSTD_DCtx *zstd;      /* made when first needed */
    unsigned char *frame; /* room for a compressed chunk */
    size_t frame_bytes;
    unsigned char
        *chunk; /* room for a chunk of which a part is asked for; made when first needed */
};

remora_status rmr_pack_reader_create(const rmr_pack *p, rmr_mem *mem, rmr_pack_reader **out,
                                     remora_error *err)
{
    rmr_pack_reader *r = rmr_calloc(mem, 1, sizeof *r);
    *out = r;
    if (r == NULL) return rmr_error_nomem(err, "pack reader", sizeof *r);
    r->p = p;
    r->mem = mem;
    return REMORA_OK;
}

void rmr_pack_reader_free(rmr_pack_reader *r)
{
    if (r == NULL) return;
    ZSTD_freeDCtx(r->zstd);
    rmr_free(r->mem, r->frame, r->frame_bytes);
    rmr_free(r->mem, r->chunk, RMR_PACK_CHUNK);
    rmr_free(r->mem, r, sizeof *r);
}

static remora_status damaged(const rmr_pack_reader *r, const rmr_pack_tensor *t, uint64_t chunk,
                             const char *what, remora_error *err)
{
    RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s: chunk %llu: %s", r->p->shown.text,
             rmr_show(t->name).text, (unsigned long long)chunk, what);
}

/* Find the frame of a chunk: the table at the start holds the end of each frame, counted from the
 * table's start. */
static remora_status find_frame(const rmr_pack_reader *r, const rmr_pack_tensor *t, uint64_t chunk,
                                uint64_t *begin, uint64_t *n, remora_error *err)
{
    unsigned char raw[16] = {0};
    uint64_t at[2] = {0, 0};
    const uint64_t table = rmr_pack_chunks(t) * 8;
    const int first = chunk == 0;
    RMR_TRY(rmr_file_read(r->p->file, t->offset + (chunk - !first) * 8, raw + (first ? 8 : 0),
                          first ? 8 : 16, err));
    for (int i = 0; i < 16; i++) at[i / 8] |= (uint64_t)raw[i] << (8 * (i % 8));
    if (first) at[0] = table;
    if (at[0] < table || at[1] < at[0] || at[1] > t->stored ||
        at[1] - at[0] > ZSTD_COMPRESSBOUND((uint64_t)RMR_PACK_CHUNK))
        return damaged(r, t, chunk, "its place is out of range", err);
    *begin = t->offset + at[0];
    *n = at[1] - at[0];
    return REMORA_OK;
}

static remora_status prepare(rmr_pack_reader *r, remora_error *err)
{
    if (r->frame == NULL) {
        r->frame_bytes = (size_t)ZSTD_COMPRESSBOUND((uint64_t)RMR_PACK_CHUNK);
        r->frame = rmr_alloc(r->mem, r->frame_bytes);
    }
    if (r->zstd == NULL)
        r->zstd =
            ZSTD_createDCtx_advanced((ZSTD_customMem){rmr_sized_alloc, rmr_sized_free, r->mem});
    if (r->frame == NULL || r->zstd == NULL)
        return rmr_error_nomem(err, "pack reader", RMR_PACK_CHUNK);
    return REMORA_OK;
}

remora_status rmr_pack_read_chunk(rmr_pack_reader *r, const rmr_pack_tensor *t, uint64_t chunk,
                                  void *dst, remora_error *err)
{
    uint64_t at = 0, n = 0;
    const uint32_t bytes = rmr_pack_chunk_bytes(t, chunk);
    if (!t->zstd)
        return rmr_file_read(r->p->file, t->offset + chunk * RMR_PACK_CHUNK, dst, bytes, err);
    RMR_TRY(prepare(r, err));
    RMR_TRY(find_frame(r, t, chunk, &at, &n, err));
    RMR_TRY(rmr_file_read(r->p->file, at, r->frame, n, err));
    const size_t got = ZSTD_decompressDCtx(r->zstd, dst, bytes, r->frame, (size_t)n);
    if (ZSTD_isError(got)) return damaged(r, t, chunk, ZSTD_getErrorName(got), err);
    if (got != bytes) return damaged(r, t, chunk, "not as long as it should be", err);
    return REMORA_OK;
}

remora_status rmr_pack_read(rmr_pack_reader *r, const rmr_pack_tensor *t, uint64_t at, uint64_t n,
                            void *dst, remora_error *err)
{
    unsigned char *to = dst;
    if (!t->zstd) return rmr_file_read(r->p->file, t->offset + at, dst, n, err);
    if (r->chunk == NULL) r->chunk = rmr_alloc(r->mem, RMR_PACK_CHUNK);
    if (r->chunk == NULL) return rmr_error_nomem(err, "pack reader", RMR_PACK_CHUNK);
    while (n > 0) {
        const uint64_t chunk = at / RMR_PACK_CHUNK, off = at % RMR_PACK_CHUNK;
        const uint64_t have = rmr_pack_chunk_bytes(t, chunk) - off, some = n < have ? n : have;
        RMR_TRY(rmr_pack_read_chunk(r, t, chunk, r->chunk, err));
        memcpy(to, r->chunk + off, (size_t)some);
        to += some;
        at += some;
        n -= some;
    }
    return REMORA_OK;
}

/* ---- verifying ---- */

typedef struct verifier {
    const rmr_pack *p;
    rmr_job job;
} verifier;

/* Packs that early releases made may hold values that are not finite. `plain` is the type of the
 * tensor's values; COUNT for types with scales, which were checked when the pack was made. */
static remora_status hash_tensor(verifier *v, rmr_pack_reader *r, const rmr_pack_tensor *t,
                                 rmr_elem plain, unsigned char *buf, uint8_t out[32],
                                 remora_error *err)
{
    rmr_sha256 h;
    rmr_sha256_init(&h);
    for (uint64_t c = 0; c < rmr_pack_chunks(t); c++) {
        const uint32_t n = rmr_pack_chunk_bytes(t, c);
        RMR_TRY(rmr_pack_read_chunk(r, t, c, buf, err));
        rmr_sha256_add(&h, buf, n);
        if (plain < RMR_ELEM_PLAIN &&
            rmr_plain_check(plain, buf, n / rmr_elem_size(plain)) != UINT64_MAX)
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s has a value that is not finite",
                     v->p->shown.text, rmr_show(t->name).text);
        RMR_TRY(rmr_job_step(&v->job, n));
    }
    rmr_sha256_end(&h, out);
    return REMORA_OK;
}

static remora_status verify_item(verifier *v, uint32_t i, rmr_pack_reader *r, unsigned char *buf,
                                 remora_error *err)
{
    const rmr_pack *p = v->p;
    const int is_blob = i >= p->n_tensors;
    const rmr_pack_blob *b = is_blob ? &p->blobs[i - p->n_tensors] : NULL;
    /* a blob is read as bytes that nobody compressed */
    const rmr_pack_tensor as_tensor = {.name = is_blob ? b->name : "",
                                       .offset = is_blob ? b->offset : 0,
                                       .bytes = is_blob ? b->bytes : 0};
    const rmr_pack_tensor *t = is_blob ? &as_tensor : &p->tensors[i];
    const rmr_elem plain = is_blob ? RMR_ELEM_COUNT : t->elem;
    uint8_t sha[32];
    RMR_TRY(hash_tensor(v, r, t, plain, buf, sha, err));
    if (memcmp(sha, is_blob ? b->sha256 : t->sha256, sizeof sha) != 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s %s is damaged: its checksum differs", p->shown.text,
                 is_blob ? "blob" : "tensor", rmr_show(t->name).text);
    return REMORA_OK;
}

static void verify_chunk(void *arg, uint32_t i, uint32_t worker)
{
    verifier *v = arg;
    remora_error e = {.struct_size = sizeof e};
    rmr_pack_reader *r = NULL;
    unsigned char *buf = NULL;
    (void)worker;
    remora_status st = rmr_job_step(&v->job, 0);
    if (st < 0) return;
    st = rmr_pack_reader_create(v->p, v->p->mem, &r, &e);
    if (st >= 0) {
        buf = rmr_alloc(v->p->mem, RMR_PACK_CHUNK);
        if (buf == NULL) st = rmr_error_nomem(&e, "verifying", RMR_PACK_CHUNK);
    }
    if (st >= 0) st = verify_item(v, i, r, buf, &e);
    if (st < 0) rmr_job_fail(&v->job, st, &e);
    rmr_free(v->p->mem, buf, RMR_PACK_CHUNK);
    rmr_pack_reader_free(r);
}

remora_status rmr_pack_verify(const rmr_pack *p, const rmr_job_host *host, remora_error *err)
{
    verifier v = {.p = p};
    uint64_t total = 0;
    for (uint32_t i = 0; i < p->n_tensors; i++) total += p->tensors[i].bytes;
    for (uint32_t i = 0; i < p->n_blobs; i++) total += p->blobs[i].bytes;
    rmr_job_begin(&v.job, host, "verifying", total, err);
    rmr_pool_run_hooks(host->pool, p->n_tensors + p->n_blobs, verify_chunk, &v);
    return rmr_job_end(&v.job);
}

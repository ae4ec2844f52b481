/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a pack: places first, then bytes from any thread, then checksums, compression, header. */
#include "pack_writer.h"

#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_customMem: the host's allocator */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zstd.h>

#include "clock.h"
#include "path.h"
#include "process.h"
#include "rng.h"
#include "sha256.h"
#include "write_file.h"
#include "yamltree.h"

enum {
    TRIES = 64,     /* names for a temporary file */
    PART_NAME = 40, /* bytes of one */
};

typedef struct blob {
    rmr_pack_blob b;
    const void *data;
} blob;

/* A temporary file in the folder of the final name. */
typedef struct part {
    rmr_handle fd; /* -1: none */
    char name[PART_NAME];
} part;

struct rmr_pack_writer {
    rmr_mem *mem;
    char *path;       /* the final name */
    const char *last; /* its last part */
    rmr_handle dir;
    part part;
    char *part_path; /* path of the part, for others to open */
    uint64_t file_limit;
    rmr_pack_tensor *tensors;
    _Atomic uint64_t *written; /* [n_tensors], from lay_out on */
    size_t n_tensors, cap_tensors;
    blob *blobs;
    size_t n_blobs, cap_blobs;
    json_t *sections;
    uint64_t spare, header_bytes, file_bytes;
    int laid_out, hashed, sealed, published;
    remora_error *err; /* of the call under way; only the calling thread may set it */
};

/* ---- files ---- */

static remora_status make_part(rmr_pack_writer *w, part *out, remora_error *err)
{
    uint64_t seed = rmr_clock_us() ^ ((uint64_t)rmr_process() << 40) ^ (uintptr_t)w;
    for (int i = 0; i < TRIES; i++) {
        snprintf(out->name, sizeof out->name, ".%016llx.remora-part",
                 (unsigned long long)rmr_rng_splitmix(&seed));
        out->fd = rmr_sys_make_in(w->dir, out->name);
        if (out->fd != -1) return REMORA_OK;
        if (errno != EEXIST) break;
    }
    return rmr_fail_errno(err, w->path, "cannot create a file beside it");
}

static void drop_part(const rmr_pack_writer *w, part *p)
{
    if (p->fd == -1) return;
    rmr_sys_close(p->fd);
    rmr_sys_remove_in(w->dir, p->name);
    p->fd = -1;
}

static rmr_write_file to_file(const rmr_pack_writer *w, rmr_handle fd)
{
    return (rmr_write_file){fd, w->path, w->file_limit};
}

static remora_status write_at(const rmr_pack_writer *w, rmr_handle fd, uint64_t off,
                              const void *data, uint64_t n, remora_error *err)
{
    RMR_ASSERT(fd != -1);
    const rmr_write_file f = to_file(w, fd);
    return rmr_write_file_at(&f, off, data, n, err);
}

static remora_status read_at(const rmr_pack_writer *w, rmr_handle fd, uint64_t off, void *data,
                             uint64_t n, remora_error *err)
{
    char *p = data;
    while (n > 0) {
        const int64_t got = rmr_sys_read(fd, off, p, n);
        if (got < 0) return rmr_fail_errno(err, w->path, "cannot read back");
        if (got == 0)
            RMR_FAIL(err, REMORA_E_IO, "%s: the unfinished pack was cut off by somebody",
                     rmr_show(w->path).text);
        p += got;
        off += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return REMORA_OK;
}

static remora_status sync_fd(const rmr_pack_writer *w, rmr_handle fd, remora_error *err)
{
    if (rmr_sys_sync(fd) == 0) return REMORA_OK;
    return rmr_fail_errno(err, w->path, "cannot be brought to disk");
}

/* ---- beginning and ending ---- */

static remora_status open_folder(rmr_pack_writer *w, remora_error *err)
{
    rmr_file_facts facts;
    w->dir = rmr_sys_open_parent(w->mem, w->path);
    if (w->dir == -1) return rmr_fail_errno(err, w->path, "cannot open its folder");
    if (rmr_sys_look_in(w->dir, w->last, &facts) == 0 && facts.kind != RMR_KIND_FILE)
        RMR_FAIL(err, REMORA_E_ARG, "%s: is there and not a file", rmr_show(w->path).text);
    w->file_limit = rmr_write_file_of(-1, w->path).limit;
    return REMORA_OK;
}

/* Set the path by which others can open the part. */
static remora_status name_part(rmr_pack_writer *w, remora_error *err)
{
    const size_t folder = (size_t)(w->last - w->path), n = folder + strlen(w->part.name);
    rmr_strfree(w->mem, w->part_path);
    w->part_path = rmr_alloc(w->mem, n + 1);
    if (w->part_path == NULL) return rmr_error_nomem(err, "pack", n);
    memcpy(w->part_path, w->path, folder);
    memcpy(w->part_path + folder, w->part.name, n - folder + 1);
    return REMORA_OK;
}

static remora_status begin(rmr_pack_writer *w, const char *path, remora_error *err)
{
    w->path = rmr_strdup(w->mem, path);
    w->sections = json_object();
    if (w->path == NULL || w->sections == NULL) return rmr_error_nomem(err, "pack", strlen(path));
    w->last = rmr_path_last(w->path);
    if (rmr_name_check("pack", w->last, strlen(w->last), NULL) < 0)
        RMR_FAIL(err, REMORA_E_ARG, "%s: is not a name for a file", rmr_show(path).text);
    RMR_TRY(open_folder(w, err));
    RMR_TRY(make_part(w, &w->part, err));
    return name_part(w, err);
}

remora_status rmr_pack_writer_begin(rmr_mem *mem, const char *path, rmr_pack_writer **out,
                                    remora_error *err)
{
    *out = NULL;
    rmr_pack_writer *w = rmr_calloc(mem, 1, sizeof *w);
    if (w == NULL) return rmr_error_nomem(err, "pack", sizeof *w);
    w->mem = mem;
    w->dir = -1;
    w->part.fd = -1;
    const remora_status st = begin(w, path, err);
    if (st >= 0)
        *out = w;
    else
        rmr_pack_writer_free(w);
    return st;
}

void rmr_pack_writer_free(rmr_pack_writer *w)
{
    if (w == NULL) return;
    rmr_mem *mem = w->mem;
    drop_part(w, &w->part);
    if (w->dir != -1) rmr_sys_close(w->dir);
    for (size_t i = 0; i < w->n_tensors; i++) rmr_strfree(mem, w->tensors[i].name);
    for (size_t i = 0; i < w->n_blobs; i++) rmr_strfree(mem, w->blobs[i].b.name);
    rmr_free(mem, w->tensors, w->cap_tensors * sizeof *w->tensors);
    if (w->laid_out) rmr_free(mem, w->written, w->n_tensors * sizeof *w->written);
    rmr_free(mem, w->blobs, w->cap_blobs * sizeof *w->blobs);
    json_decref(w->sections);
    rmr_strfree(mem, w->part_path);
    rmr_strfree(mem, w->path);
    rmr_free(mem, w, sizeof *w);
}

/* ---- contents ---- */

static remora_status check_name(const rmr_pack_writer *w, const char *name, remora_error *err)
{
    const size_t n = strlen(name);
    if (w->laid_out)
        RMR_FAIL(err, REMORA_E_INTERNAL, "pack: %s comes too late", rmr_show(name).text);
    if (n == 0 || n > RMR_PACK_MAX_NAME)
        RMR_FAIL(err, REMORA_E_ARG, "pack: a name has %zu bytes", n);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7F)
            RMR_FAIL(err, REMORA_E_ARG, "pack: %s has a control character", rmr_show(name).text);
    return REMORA_OK;
}

remora_status rmr_pack_writer_blob(rmr_pack_writer *w, const char *name, const void *data,
                                   uint64_t n, remora_error *err)
{
    RMR_TRY(check_name(w, name, err));
    for (size_t i = 0; i < w->n_blobs; i++)
        if (strcmp(w->blobs[i].b.name, name) == 0)
            RMR_FAIL(err, REMORA_E_ARG, "pack: blob %s is there already", rmr_show(name).text);
    RMR_TRY(rmr_grow(w->mem, &w->blobs, &w->cap_blobs, w->n_blobs + 1, sizeof *w->blobs, err));
    blob *b = &w->blobs[w->n_blobs];
    *b = (blob){{.name = rmr_strdup(w->mem, name), .bytes = n}, data};
    if (b->b.name == NULL) return rmr_error_nomem(err, "pack", strlen(name));
    w->n_blobs++;
    return REMORA_OK;
}

remora_status rmr_pack_writer_add(rmr_pack_writer *w, const char *name, rmr_weight_use use,
                                  rmr_elem elem, uint32_t count, uint32_t rows, uint32_t cols,
                                  uint32_t *index, remora_error *err)
{
    rmr_layout l;
    RMR_TRY(check_name(w, name, err));
    if (count == 0 || rows == 0 || cols == 0 || !rmr_elem_fits(elem, cols) ||
        (use != RMR_USE_MATRIX && count != 1) ||
        (use == RMR_USE_VECTOR && (rows != 1 || elem != RMR_ELEM_F32)) ||
        !rmr_lay_out(use, elem, count, rows, cols, &l))
        RMR_FAIL(err, REMORA_E_ARG, "pack: %s: a %s of %u [%u, %u] %s cannot be stored",
                 rmr_show(name).text, rmr_pack_use_name(use), count, rows, cols,
                 rmr_elem_table[elem].name);
    for (size_t i = 0; i < w->n_tensors; i++)
        if (w->tensors[i].use == use && strcmp(w->tensors[i].name, name) == 0)
            RMR_FAIL(err, REMORA_E_ARG, "pack: tensor %s is there already", rmr_show(name).text);
    RMR_TRY(
        rmr_grow(w->mem, &w->tensors, &w->cap_tensors, w->n_tensors + 1, sizeof *w->tensors, err));
    rmr_pack_tensor *t = &w->tensors[w->n_tensors];
    *t = (rmr_pack_tensor){.name = rmr_strdup(w->mem, name),
                           .use = use,
                           .elem = elem,
                           .count = count,
                           .rows = rows,
                           .cols = cols,
                           .bytes = l.bytes,
                           .stored = l.bytes};
    if (t->name == NULL) return rmr_error_nomem(err, "pack", strlen(name));
    *index = (uint32_t)w->n_tensors++;
    return REMORA_OK;
}

remora_status rmr_pack_writer_section(rmr_pack_writer *w, const char *key, json_t *value,
                                      remora_error *err)
{
    static const char *const own[] = {"remora_pack",    "header_sha256", "header_bytes",
                                      "manifest_bytes", "file_bytes",    "needs",
                                      "blobs",          "tensors"};
    if (value == NULL) return rmr_error_nomem(err, "pack", 0);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (strcmp(key, own[i]) != 0) continue;
        json_decref(value);
        RMR_FAIL(err, REMORA_E_ARG, "pack: %s is not a section", key);
    }
    w->sealed = 0;
    if (json_object_set_new(w->sections, key, value) != 0) return rmr_error_nomem(err, "pack", 0);
    return REMORA_OK;
}

/* ---- the manifest ---- */

/* `places`: with offsets and checksums, else with the widest there could be. */
static json_t *tensor_entry(const rmr_pack_tensor *t, int places)
{
    char sha[65];
    json_t *e = json_object();
    const json_int_t widest = INT64_MAX;
    memset(sha, '0', 64);
    sha[64] = 0;
    if (places) rmr_pack_hex(t->sha256, sha);
    int bad = json_object_set_new(e, "name", json_string(t->name));
    bad |= json_object_set_new(e, "use", json_string(rmr_pack_use_name(t->use)));
    bad |= json_object_set_new(e, "type", json_string(rmr_elem_table[t->elem].name));
    bad |= json_object_set_new(e, "count", json_integer(t->count));
    bad |= json_object_set_new(e, "rows", json_integer(t->rows));
    bad |= json_object_set_new(e, "cols", json_integer(t->cols));
    bad |= json_object_set_new(e, "offset", json_integer(places ? (json_int_t)t->offset : widest));
    bad |= json_object_set_new(e, "bytes", json_integer((json_int_t)t->bytes));
    if (t->zstd || !places) {
        bad |= json_object_set_new(e, "codec", json_string("zstd"));
        bad |=
            json_object_set_new(e, "stored", json_integer(places ? (json_int_t)t->stored : widest));
    }
    bad |= json_object_set_new(e, "sha256", json_string(sha));
    if (!bad) return e;
    json_decref(e);
    return NULL;
}

static json_t *blob_entry(const rmr_pack_blob *b, int places)
{
    char sha[65];
    const json_int_t widest = INT64_MAX;
    memset(sha, '0', 64);
    sha[64] = 0;
    if (places) rmr_pack_hex(b->sha256, sha);
    return json_pack("{s:s, s:I, s:I, s:s}", "name", b->name, "offset",
                     places ? (json_int_t)b->offset : widest, "bytes", (json_int_t)b->bytes,
                     "sha256", sha);
}

/* Everything behind the front, as a tree. */
static json_t *manifest_tree(const rmr_pack_writer *w, int places)
{
    json_t *root = json_object(), *needs = json_array(), *blobs = json_array(),
           *tensors = json_array();
    int zstd = 0;
    int bad = 0;
    for (size_t i = 0; i < w->n_blobs; i++)
        bad |= json_array_append_new(blobs, blob_entry(&w->blobs[i].b, places));
    for (size_t i = 0; i < w->n_tensors; i++) {
        bad |= json_array_append_new(tensors, tensor_entry(&w->tensors[i], places));
        zstd |= w->tensors[i].zstd || !places;
    }
    if (zstd) bad |= json_array_append_new(needs, json_string("zstd"));
    bad |= json_object_set_new(root, "needs", needs);
    bad |= json_object_update(root, w->sections);
    bad |= json_object_set_new(root, "blobs", blobs);
    bad |= json_object_set_new(root, "tensors", tensors);
    if (!bad) return root;
    json_decref(root);
    return NULL;
}

static remora_status manifest_text(const rmr_pack_writer *w, int places, char **text, size_t *n,
                                   remora_error *err)
{
    json_t *tree = manifest_tree(w, places);
    *text = NULL;
    if (tree == NULL) return rmr_error_nomem(err, "pack manifest", 0);
    const remora_status st = rmr_yaml_write(w->mem, tree, text, n, err);
    json_decref(tree);
    return st;
}

static uint64_t to_page(uint64_t n)
{
    return rmr_round_up(n, RMR_PACK_PAGE);
}

/* ---- places and bytes ---- */

/* Blobs first: they are small, and readers want them first. */
static void place(rmr_pack_writer *w)
{
    uint64_t at = w->header_bytes;
    RMR_ASSERT(at > 0 && at % RMR_PACK_PAGE == 0);
    w->file_bytes = at;
    for (size_t i = 0; i < w->n_blobs; i++) {
        w->blobs[i].b.offset = at;
        w->file_bytes = at + w->blobs[i].b.bytes;
        at = to_page(w->file_bytes);
    }
    for (size_t i = 0; i < w->n_tensors; i++) {
        w->tensors[i].offset = at;
        w->file_bytes = at + w->tensors[i].stored;
        at = to_page(w->file_bytes);
    }
}

static remora_status write_blobs(const rmr_pack_writer *w, rmr_handle fd, remora_error *err)
{
    for (size_t i = 0; i < w->n_blobs; i++)
        RMR_TRY(write_at(w, fd, w->blobs[i].b.offset, w->blobs[i].data, w->blobs[i].b.bytes, err));
    return REMORA_OK;
}

remora_status rmr_pack_writer_lay_out(rmr_pack_writer *w, uint64_t spare, remora_error *err)
{
    char *text;
    size_t n;
    uint64_t total = 0;
    if (w->laid_out) RMR_FAIL(err, REMORA_E_INTERNAL, "pack: it is laid out already");
    for (size_t i = 0; i < w->n_tensors; i++) total += w->tensors[i].bytes / RMR_PACK_PAGE + 1;
    if (total > INT64_MAX / RMR_PACK_PAGE / 2) RMR_FAIL(err, REMORA_E_ARG, "pack: it is too large");
    RMR_TRY(manifest_text(w, 0, &text, &n, err));
    rmr_free(w->mem, text, n + 1);
    if (n > RMR_PACK_MAX_HEADER || spare > RMR_PACK_MAX_HEADER ||
        to_page(RMR_PACK_FRONT + n + spare) > RMR_PACK_MAX_HEADER)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "%s: its manifest would have %zu bytes and %llu to spare", rmr_show(w->path).text,
                 n, (unsigned long long)spare);
    w->written = rmr_calloc(w->mem, w->n_tensors, sizeof *w->written);
    if (w->written == NULL) return rmr_error_nomem(err, "pack", w->n_tensors);
    w->laid_out = 1;
    w->spare = spare;
    w->header_bytes = to_page(RMR_PACK_FRONT + n + spare);
    place(w);
    const rmr_write_file out = to_file(w, w->part.fd);
    RMR_TRY(rmr_write_file_may(&out, w->file_bytes, err));
    if (rmr_sys_resize(w->part.fd, w->file_bytes) != 0)
        return rmr_fail_errno(err, w->path, "cannot write");
    return write_blobs(w, w->part.fd, err);
}

const rmr_pack_tensor *rmr_pack_writer_at(const rmr_pack_writer *w, uint32_t index)
{
    RMR_ASSERT(index < w->n_tensors);
    return &w->tensors[index];
}

remora_status rmr_pack_writer_write(rmr_pack_writer *w, uint32_t index, uint64_t offset,
                                    const void *data, uint64_t n, remora_error *err)
{
    if (!w->laid_out || w->hashed || index >= w->n_tensors)
        RMR_FAIL(err, REMORA_E_INTERNAL, "pack: tensor %u cannot be written at this time", index);
    const rmr_pack_tensor *t = &w->tensors[index];
    if (offset > t->bytes || n > t->bytes - offset)
        RMR_FAIL(err, REMORA_E_INTERNAL, "pack: tensor %s has %llu bytes", t->name,
                 (unsigned long long)t->bytes);
    RMR_TRY(write_at(w, w->part.fd, t->offset + offset, data, n, err));
    atomic_fetch_add_explicit(&w->written[index], n, memory_order_relaxed);
    return REMORA_OK;
}

/* ---- checksums ---- */

typedef struct sealer {
    rmr_pack_writer *w;
    rmr_job job;
    int level;
} sealer;

static remora_status hash_tensor(sealer *s, rmr_pack_tensor *t, unsigned char *buf,
                                 remora_error *err)
{
    rmr_sha256 h;
    rmr_sha256_init(&h);
    for (uint64_t c = 0; c < rmr_pack_chunks(t); c++) {
        const uint32_t n = rmr_pack_chunk_bytes(t, c);
        RMR_TRY(read_at(s->w, s->w->part.fd, t->offset + c * RMR_PACK_CHUNK, buf, n, err));
        rmr_sha256_add(&h, buf, n);
        RMR_TRY(rmr_job_step(&s->job, n));
    }
    rmr_sha256_end(&h, t->sha256);
    return REMORA_OK;
}

static void hash_chunk(void *arg, uint32_t i, uint32_t worker)
{
    sealer *s = arg;
    remora_error e = {.struct_size = sizeof e};
    (void)worker;
    if (rmr_job_step(&s->job, 0) < 0) return;
    unsigned char *buf = rmr_alloc(s->w->mem, RMR_PACK_CHUNK);
    const remora_status st = buf == NULL ? rmr_error_nomem(&e, "checksums", RMR_PACK_CHUNK)
                                         : hash_tensor(s, &s->w->tensors[i], buf, &e);
    if (st < 0) rmr_job_fail(&s->job, st, &e);
    rmr_free(s->w->mem, buf, RMR_PACK_CHUNK);
}

static remora_status check_whole(const rmr_pack_writer *w, remora_error *err)
{
    for (size_t i = 0; i < w->n_tensors; i++)
        if (atomic_load(&w->written[i]) != w->tensors[i].bytes)
            RMR_FAIL(err, REMORA_E_INTERNAL, "pack: tensor %s: %llu of %llu bytes were written",
                     w->tensors[i].name, (unsigned long long)atomic_load(&w->written[i]),
                     (unsigned long long)w->tensors[i].bytes);
    return REMORA_OK;
}

static void hash_blobs(rmr_pack_writer *w)
{
    for (size_t i = 0; i < w->n_blobs; i++) {
        rmr_sha256 h;
        rmr_sha256_init(&h);
        rmr_sha256_add(&h, w->blobs[i].data, (size_t)w->blobs[i].b.bytes);
        rmr_sha256_end(&h, w->blobs[i].b.sha256);
    }
}

/* ---- compression ---- */

/* A chunk that a worker compresses in the round under way. */
typedef struct slot {
    ZSTD_CCtx *zstd;
    unsigned char *plain, *frame;
    size_t n_frame;
} slot;

typedef struct round_of {
    sealer *s;
    const rmr_pack_tensor *t; /* in the first part */
    uint64_t first;           /* chunk of slot 0 */
    slot *slots;
    uint32_t n_slots;
    size_t frame_bytes;
} round_of;

static void compress_chunk(void *arg, uint32_t i, uint32_t worker)
{
    round_of *r = arg;
    const rmr_pack_writer *w = r->s->w;
    slot *s = &r->slots[i];
    const uint64_t c = r->first + i;
    remora_error e = {.struct_size = sizeof e};
    (void)worker;
    if (rmr_job_step(&r->s->job, 0) < 0) return;
    const uint32_t n = rmr_pack_chunk_bytes(r->t, c);
    remora_status st = read_at(w, w->part.fd, r->t->offset + c * RMR_PACK_CHUNK, s->plain, n, &e);
    if (st >= 0) {
        s->n_frame = ZSTD_compress2(s->zstd, s->frame, r->frame_bytes, s->plain, n);
        if (ZSTD_isError(s->n_frame))
            st = rmr_error_set(&e, REMORA_E_NOMEM, 0, "zstd: %s", ZSTD_getErrorName(s->n_frame));
    }
    if (st < 0)
        rmr_job_fail(&r->s->job, st, &e);
    else
        (void)rmr_job_step(&r->s->job, n);
}

static void put_u64(unsigned char *p, uint64_t v)
{
    for (int i = 0; i < 8; i++) p[i] = (unsigned char)(v >> (8 * i));
}

/* Copy the tensor uncompressed, in place of frames that were not smaller. */
static remora_status copy_plain(round_of *r, rmr_handle fd, const rmr_pack_tensor *from,
                                rmr_pack_tensor *to, remora_error *err)
{
    to->zstd = 0;
    to->stored = to->bytes;
    for (uint64_t c = 0; c < rmr_pack_chunks(from); c++) {
        const uint64_t at = c * RMR_PACK_CHUNK;
        const uint32_t n = rmr_pack_chunk_bytes(from, c);
        RMR_TRY(rmr_job_step(&r->s->job, 0));
        RMR_TRY(read_at(r->s->w, r->s->w->part.fd, from->offset + at, r->slots[0].plain, n, err));
        RMR_TRY(write_at(r->s->w, fd, to->offset + at, r->slots[0].plain, n, err));
    }
    return REMORA_OK;
}

/* `from` in the first part to `to`, whose offset is set, in fd: a table of the chunks' ends, then
 * one frame for each. As soon as it is not smaller than the plain bytes it is copied instead. */
static remora_status compress_tensor(round_of *r, rmr_handle fd, const rmr_pack_tensor *from,
                                     rmr_pack_tensor *to, remora_error *err)
{
    const rmr_pack_writer *w = r->s->w;
    const uint64_t n = rmr_pack_chunks(from);
    uint64_t end = n * 8;
    RMR_ASSERT(!from->zstd && from->stored == from->bytes);
    r->t = from;
    for (r->first = 0; r->first < n; r->first += r->n_slots) {
        const uint64_t left = n - r->first;
        const uint32_t k = left < r->n_slots ? (uint32_t)left : r->n_slots;
        rmr_pool_run_hooks(r->s->job.host->pool, k, compress_chunk, r);
        RMR_TRY(rmr_job_step(&r->s->job, 0));
        for (uint32_t i = 0; i < k; i++) {
            unsigned char raw[8];
            const slot *s = &r->slots[i];
            if (end + s->n_frame >= from->bytes) return copy_plain(r, fd, from, to, err);
            RMR_TRY(write_at(w, fd, to->offset + end, s->frame, s->n_frame, err));
            end += s->n_frame;
            put_u64(raw, end);
            RMR_TRY(write_at(w, fd, to->offset + (r->first + i) * 8, raw, 8, err));
        }
    }
    to->zstd = 1;
    to->stored = end;
    return REMORA_OK;
}

static remora_status make_slots(round_of *r, int level, remora_error *err)
{
    rmr_mem *mem = r->s->w->mem;
    r->frame_bytes = (size_t)ZSTD_COMPRESSBOUND((uint64_t)RMR_PACK_CHUNK);
    r->slots = rmr_calloc(mem, r->n_slots, sizeof *r->slots);
    if (r->slots == NULL) return rmr_error_nomem(err, "compression", r->n_slots);
    for (uint32_t i = 0; i < r->n_slots; i++) {
        slot *s = &r->slots[i];
        s->plain = rmr_alloc(mem, RMR_PACK_CHUNK);
        s->frame = rmr_alloc(mem, r->frame_bytes);
        s->zstd = ZSTD_createCCtx_advanced((ZSTD_customMem){rmr_sized_alloc, rmr_sized_free, mem});
        if (s->plain == NULL || s->frame == NULL || s->zstd == NULL)
            return rmr_error_nomem(err, "compression", RMR_PACK_CHUNK);
        if (ZSTD_isError(ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel, level)) ||
            ZSTD_isError(ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_checksumFlag, 1)))
            RMR_FAIL(err, REMORA_E_INTERNAL, "zstd takes no level %d", level);
    }
    return REMORA_OK;
}

static void free_slots(round_of *r)
{
    rmr_mem *mem = r->s->w->mem;
    for (uint32_t i = 0; r->slots != NULL && i < r->n_slots; i++) {
        rmr_free(mem, r->slots[i].plain, RMR_PACK_CHUNK);
        rmr_free(mem, r->slots[i].frame, r->frame_bytes);
        ZSTD_freeCCtx(r->slots[i].zstd);
    }
    rmr_free(mem, r->slots, r->n_slots * sizeof *r->slots);
}

/* Write all tensors, compressed, into a second part, which then takes the first one's place. */
static remora_status compress_all(sealer *s, remora_error *err)
{
    rmr_pack_writer *w = s->w;
    round_of r = {.s = s, .n_slots = rmr_pool_width(s->job.host->pool)};
    part next = {.fd = -1};
    uint64_t at = w->header_bytes;
    const size_t bytes = w->n_tensors * sizeof *w->tensors;
    rmr_pack_tensor *made = rmr_alloc(w->mem, bytes);
    remora_status st =
        made == NULL ? rmr_error_nomem(err, "pack", bytes) : make_part(w, &next, err);
    if (st >= 0) st = make_slots(&r, s->level, err);
    if (st >= 0) st = write_blobs(w, next.fd, err);
    for (size_t i = 0; i < w->n_blobs; i++) at = to_page(at + w->blobs[i].b.bytes);
    for (size_t i = 0; i < w->n_tensors && st >= 0; i++) {
        made[i] = w->tensors[i];
        made[i].offset = at;
        st = compress_tensor(&r, next.fd, &w->tensors[i], &made[i], err);
        at = to_page(at + made[i].stored);
    }
    if (st >= 0) {
        memcpy(w->tensors, made, bytes);
        place(w);
        RMR_ASSERT(w->n_tensors == 0 ||
                   w->tensors[w->n_tensors - 1].offset == made[w->n_tensors - 1].offset);
        /* frames that were given up may reach beyond the end of their plain bytes' file */
        if (rmr_sys_resize(next.fd, w->file_bytes) != 0)
            st = rmr_fail_errno(err, w->path, "cannot write");
    }
    if (st >= 0) {
        drop_part(w, &w->part);
        w->part = next;
        st = name_part(w, err);
    } else {
        drop_part(w, &next);
    }
    free_slots(&r);
    rmr_free(w->mem, made, bytes);
    return st;
}

/* ---- sealing ---- */

static remora_status checksums(rmr_pack_writer *w, int level, const rmr_job_host *host,
                               remora_error *err)
{
    sealer s = {.w = w, .level = level};
    uint64_t total = 0;
    for (size_t i = 0; i < w->n_tensors; i++) total += w->tensors[i].bytes;
    rmr_job_begin(&s.job, host, "writing the pack", level > 0 ? 2 * total : total, err);
    RMR_TRY(check_whole(w, err));
    hash_blobs(w);
    rmr_pool_run_hooks(host->pool, (uint32_t)w->n_tensors, hash_chunk, &s);
    RMR_TRY(rmr_job_end(&s.job));
    if (level > 0) {
        remora_error e = {.struct_size = sizeof e};
        const remora_status st = compress_all(&s, &e);
        if (st < 0) rmr_job_fail(&s.job, st, &e);
        RMR_TRY(rmr_job_end(&s.job));
    }
    w->hashed = 1;
    return REMORA_OK;
}

static remora_status write_header(rmr_pack_writer *w, remora_error *err)
{
    char *text;
    size_t n;
    RMR_TRY(manifest_text(w, 1, &text, &n, err));
    const rmr_pack_front front = {RMR_PACK_VERSION, w->header_bytes, RMR_PACK_FRONT + n,
                                  w->file_bytes};
    remora_status st = REMORA_OK;
    unsigned char *h = NULL;
    if (front.manifest_bytes > w->header_bytes)
        st = rmr_error_set(err, REMORA_E_ARG, 0,
                           "%s: a manifest of %llu bytes, room for %llu: lay_out was told too few",
                           rmr_show(w->path).text, (unsigned long long)front.manifest_bytes,
                           (unsigned long long)w->header_bytes);
    if (st >= 0) {
        h = rmr_calloc(w->mem, (size_t)w->header_bytes, 1);
        if (h == NULL) st = rmr_error_nomem(err, "pack manifest", w->header_bytes);
    }
    if (st >= 0) {
        memcpy(h + RMR_PACK_FRONT, text, n);
        rmr_pack_seal(h, &front);
        st = write_at(w, w->part.fd, 0, h, w->header_bytes, err);
    }
    rmr_free(w->mem, h, (size_t)w->header_bytes);
    rmr_free(w->mem, text, n + 1);
    return st;
}

remora_status rmr_pack_writer_seal(rmr_pack_writer *w, int level, const rmr_job_host *host,
                                   remora_error *err)
{
    if (!w->laid_out || w->published)
        RMR_FAIL(err, REMORA_E_INTERNAL, "pack: it cannot be sealed at this time");
    if (level < 0 || level > 22) RMR_FAIL(err, REMORA_E_ARG, "pack: zstd has no level %d", level);
    if (!w->hashed) RMR_TRY(checksums(w, level, host, err));
    RMR_TRY(write_header(w, err));
    RMR_TRY(sync_fd(w, w->part.fd, err));
    /* Bytes that were written in pieces lie in the system's cache in small pages. Dropped and read
     * again they lie in large pages, from which a mapped pack is computed faster
     * (docs/notebook/memory.md). */
    rmr_sys_forget(w->part.fd);
    w->sealed = 1;
    return REMORA_OK;
}

const char *rmr_pack_writer_path(const rmr_pack_writer *w)
{
    return w->part_path;
}

remora_status rmr_pack_writer_publish(rmr_pack_writer *w, remora_error *err)
{
    if (!w->sealed || w->published) RMR_FAIL(err, REMORA_E_INTERNAL, "pack: it is not sealed");
    if (rmr_sys_rename_in(w->dir, w->part.name, w->last) != 0)
        return rmr_fail_errno(err, w->path, "cannot be given its name");
    w->published = 1;
    rmr_sys_close(w->part.fd);
    w->part.fd = -1;
    return sync_fd(w, w->dir, err);
}

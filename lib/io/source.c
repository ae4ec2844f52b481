/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a model from a directory, memory blobs or host callbacks. */
#include "source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "instead.h"
#include "json.h"
#include "path.h"
#include "sort.h"
#include "system.h"
#include "system_file.h"

typedef struct blob {
    char *name;
    const void *data;
    uint64_t size;
} blob;

struct rmr_source {
    rmr_mem *mem;
    int32_t kind;
    int use_mmap;
    char *path;       /* as given, or NULL */
    const char *file; /* in path: the file that it names, or NULL */
    rmr_handle dir;   /* PATH: the directory, else -1 */
    blob *blobs;
    const blob **sorted; /* by name */
    size_t n_blobs;
    remora_source io;
};

struct rmr_file {
    rmr_mem *mem;
    char *name;
    rmr_shown shown; /* the name, for messages */
    uint64_t size;
    rmr_file_facts facts; /* PATH: when it was opened */
    rmr_handle fd;        /* PATH, else -1 */
    int absent;           /* there is no such file */
    int mapped;           /* data is a mapping of fd */
    const void *data;     /* mapping or blob */
    remora_source io;     /* IO */
};

rmr_shown rmr_show(const char *s)
{
    rmr_shown out;
    size_t n = strlen(s);
    if (n > sizeof out.text - 1) {
        n = sizeof out.text - 1;
        while (n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80) n--;
    }
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        out.text[i] = c < 0x20 || c == 0x7F ? '?' : s[i];
    }
    out.text[n] = 0;
    return out;
}

/* The text of an errno in English, because strerror answers in the host's locale: the ones that
 * files can give. */
static const char *errno_text(int e)
{
    switch (e) {
    case EACCES:
    case EPERM: return "permission denied";
#ifdef EDQUOT
    case EDQUOT: return "disk quota exceeded";
#endif
    case EFBIG: return "file too large";
    case EIO: return "input/output error";
    case EISDIR: return "a directory";
    case ELOOP: return "too many symbolic links";
    case EMFILE:
    case ENFILE: return "too many open files";
    case ENAMETOOLONG: return "name too long";
    case ENOENT: return "no such file";
    case ENOSPC: return "no space left on device";
    case ENOTDIR: return "not a directory";
    case EROFS: return "read-only file system";
#ifdef ESTALE
    case ESTALE: return "stale file handle";
#endif
    default: return "system error";
    }
}

remora_status rmr_fail_errno(remora_error *err, const char *name, const char *what)
{
    const int e = errno;
    const remora_status st = e == ENOENT || e == ENOTDIR ? REMORA_E_NOT_FOUND
                             : e == ENOMEM               ? REMORA_E_NOMEM
                                                         : REMORA_E_IO;
    return rmr_error_set(err, st, e, "%s: %s: %s (errno %d)", rmr_show(name).text, what,
                         errno_text(e), e);
}

remora_status rmr_name_check(const char *where, const char *name, size_t n, remora_error *err)
{
    if (n == 0) RMR_FAIL(err, REMORA_E_FORMAT, "%s: a file name is empty", where);
    if (n > RMR_MAX_NAME) RMR_FAIL(err, REMORA_E_FORMAT, "%s: a file name has %zu bytes", where, n);
    if (n == 1 && name[0] == '.') RMR_FAIL(err, REMORA_E_FORMAT, "%s: a file name is \".\"", where);
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)name[i];
        const char *bad = c < 0x20 || c == 0x7F                         ? "a control character"
                          : c == '/' || c == '\\'                       ? "a path separator"
                          : c == '.' && i + 1 < n && name[i + 1] == '.' ? "\"..\""
                                                                        : NULL;
        if (bad != NULL)
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: file name %s has %s at byte %zu", where,
                     rmr_show(name).text, bad, i);
    }
    return REMORA_OK;
}

/* ---- sources
 * ------------------------------------------------------------------------------------------------
 */

static remora_status copy_path(rmr_source *src, const remora_source *desc, remora_error *err)
{
    src->path = rmr_strdup(src->mem, desc->path);
    if (src->path == NULL) return rmr_error_nomem(err, "source path", strlen(desc->path) + 1);
    return REMORA_OK;
}

/* The file of a MEMORY or IO source. */
static remora_status open_name(rmr_source *src, const remora_source *desc, remora_error *err)
{
    if (desc->path == NULL) return REMORA_OK;
    if (rmr_name_check("source", desc->path, strlen(desc->path), err) < 0)
        RMR_FAIL(err, REMORA_E_ARG, "source: path %s is not a plain file name",
                 rmr_show(desc->path).text);
    RMR_TRY(copy_path(src, desc, err));
    src->file = src->path;
    return REMORA_OK;
}

static remora_status open_path(rmr_source *src, const remora_source *desc, remora_error *err)
{
    rmr_file_facts facts;
    if (desc->path == NULL || desc->path[0] == 0)
        RMR_FAIL(err, REMORA_E_ARG, "source: it has no path");
    RMR_TRY(copy_path(src, desc, err));
    if (rmr_sys_look(src->path, &facts) != 0) return rmr_fail_errno(err, src->path, "cannot open");
    if (facts.kind == RMR_KIND_FOLDER)
        src->dir = rmr_sys_open_folder(src->path);
    else if (facts.kind == RMR_KIND_FILE) {
        src->file = rmr_path_last(src->path);
        src->dir = rmr_sys_open_parent(src->mem, src->path);
    } else
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: is neither a directory nor a regular file",
                 rmr_show(src->path).text);
    if (src->dir == -1) return rmr_fail_errno(err, src->path, "cannot open the directory");
    return REMORA_OK;
}

static int blob_cmp(const void *a, const void *b)
{
    return strcmp(((const blob *)a)->name, ((const blob *)b)->name);
}

static remora_status copy_blobs(rmr_source *src, const remora_source *desc, remora_error *err)
{
    for (uint64_t i = 0; i < desc->n_blobs; i++) {
        const remora_blob *from = &desc->blobs[i];
        blob *b = &src->blobs[i];
        if (from->name == NULL)
            RMR_FAIL(err, REMORA_E_ARG, "source: blob %llu has no name", (unsigned long long)i);
        if (rmr_name_check("source", from->name, strlen(from->name), err) < 0)
            RMR_FAIL(err, REMORA_E_ARG, "source: blob %llu: %s is not a plain file name",
                     (unsigned long long)i, rmr_show(from->name).text);
        if (from->data == NULL && from->size > 0)
            RMR_FAIL(err, REMORA_E_ARG, "source: blob %s has a size but no data",
                     rmr_show(from->name).text);
        if (from->size > PTRDIFF_MAX)
            RMR_FAIL(err, REMORA_E_ARG, "source: blob %s has a size of %llu bytes",
                     rmr_show(from->name).text, (unsigned long long)from->size);
        b->name = rmr_strdup(src->mem, from->name);
        if (b->name == NULL) return rmr_error_nomem(err, "blob name", strlen(from->name) + 1);
        b->data = from->data;
        b->size = from->size;
        src->sorted[i] = b;
    }
    return REMORA_OK;
}

static remora_status open_memory(rmr_source *src, const remora_source *desc, remora_error *err)
{
    if (desc->n_blobs > RMR_MAX_BLOBS)
        RMR_FAIL(err, REMORA_E_ARG, "source: it has %llu blobs, at most %d",
                 (unsigned long long)desc->n_blobs, RMR_MAX_BLOBS);
    if (desc->n_blobs > 0 && desc->blobs == NULL)
        RMR_FAIL(err, REMORA_E_ARG, "source: it has n_blobs without blobs");
    const size_t n = (size_t)desc->n_blobs;
    src->blobs = rmr_calloc(src->mem, n, sizeof *src->blobs);
    if (src->blobs == NULL) return rmr_error_nomem(err, "blobs", n * sizeof *src->blobs);
    src->n_blobs = n;
    src->sorted = rmr_calloc(src->mem, n, sizeof *src->sorted);
    if (src->sorted == NULL) return rmr_error_nomem(err, "blobs", n * sizeof *src->sorted);
    RMR_TRY(copy_blobs(src, desc, err));
    rmr_sort((const void **)src->sorted, n, blob_cmp);
    for (size_t i = 1; i < n; i++)
        if (strcmp(src->sorted[i - 1]->name, src->sorted[i]->name) == 0)
            RMR_FAIL(err, REMORA_E_ARG, "source: two blobs are named %s",
                     rmr_show(src->sorted[i]->name).text);
    return REMORA_OK;
}

/* The fields that another kind of source uses are kept free for what comes. */
static remora_status check_unused(const remora_source *d, remora_error *err)
{
    if (d->kind != REMORA_SOURCE_MEMORY && (d->blobs != NULL || d->n_blobs != 0))
        RMR_FAIL(err, REMORA_E_ARG,
                 "source: blobs are given, which are used by REMORA_SOURCE_MEMORY alone: they must "
                 "be NULL and 0");
    if (d->kind != REMORA_SOURCE_IO &&
        (d->io_user != NULL || d->io_size != NULL || d->io_read != NULL))
        RMR_FAIL(err, REMORA_E_ARG,
                 "source: io_user, io_size or io_read is given, which are used by REMORA_SOURCE_IO "
                 "alone: they must be NULL");
    return REMORA_OK;
}

static remora_status open_kind(rmr_source *src, const remora_source *desc, remora_error *err)
{
    RMR_TRY(check_unused(desc, err));
    switch (desc->kind) {
    case REMORA_SOURCE_PATH: return open_path(src, desc, err);
    case REMORA_SOURCE_MEMORY:
        RMR_TRY(open_name(src, desc, err));
        return open_memory(src, desc, err);
    case REMORA_SOURCE_IO:
        if (desc->io_size == NULL || desc->io_read == NULL)
            RMR_FAIL(err, REMORA_E_ARG, "source: io_size and io_read are both needed");
        src->io = *desc;
        return open_name(src, desc, err);
    default: RMR_FAIL(err, REMORA_E_ARG, "source: kind %d is not known", (int)desc->kind);
    }
}

remora_status rmr_source_open(rmr_mem *mem, const remora_source *desc, int use_mmap,
                              rmr_source **out, remora_error *err)
{
    *out = NULL;
    rmr_json_seed();
    rmr_source *src = rmr_calloc(mem, 1, sizeof *src);
    if (src == NULL) return rmr_error_nomem(err, "source", sizeof *src);
    src->mem = mem;
    src->kind = desc->kind;
    src->use_mmap = use_mmap;
    src->dir = -1;
    const remora_status st = open_kind(src, desc, err);
    if (st < 0) {
        rmr_source_free(src);
        return st;
    }
    *out = src;
    return REMORA_OK;
}

void rmr_source_free(rmr_source *src)
{
    if (src == NULL) return;
    rmr_mem *mem = src->mem;
    for (size_t i = 0; i < src->n_blobs; i++) rmr_strfree(mem, src->blobs[i].name);
    rmr_free(mem, src->blobs, src->n_blobs * sizeof *src->blobs);
    rmr_free(mem, src->sorted, src->n_blobs * sizeof *src->sorted);
    rmr_strfree(mem, src->path);
    if (src->dir != -1) rmr_sys_close(src->dir);
    rmr_free(mem, src, sizeof *src);
}

const char *rmr_source_where(const rmr_source *src)
{
    return src->kind == REMORA_SOURCE_PATH     ? src->path
           : src->kind == REMORA_SOURCE_MEMORY ? "memory"
                                               : "host";
}

const char *rmr_source_file(const rmr_source *src)
{
    return src->file;
}

static remora_status list_dir(const rmr_source *src, const char *folder,
                              int (*fn)(void *user, const char *name), void *user,
                              remora_error *err)
{
    if (rmr_sys_list(src->dir, folder, fn, user) == 0) return REMORA_OK;
    return rmr_fail_errno(err, src->path, "cannot list the directory");
}

remora_status rmr_source_list(const rmr_source *src, int (*fn)(void *user, const char *name),
                              void *user, remora_error *err)
{
    if (src->kind == REMORA_SOURCE_PATH) return list_dir(src, ".", fn, user, err);
    for (size_t i = 0; i < src->n_blobs; i++)
        if (fn(user, src->sorted[i]->name)) break;
    return REMORA_OK;
}

remora_status rmr_source_list_in(const rmr_source *src, const char *folder,
                                 int (*fn)(void *user, const char *name), void *user,
                                 remora_error *err)
{
    return src->kind == REMORA_SOURCE_PATH ? list_dir(src, folder, fn, user, err) : REMORA_OK;
}

int rmr_source_can_list(const rmr_source *src)
{
    return src->kind != REMORA_SOURCE_IO;
}

int rmr_source_is_folder(const rmr_source *src, const char *name)
{
    rmr_file_facts facts;
    return src->kind == REMORA_SOURCE_PATH && rmr_sys_look_in(src->dir, name, &facts) == 0 &&
           facts.kind == RMR_KIND_FOLDER;
}

/* ---- opening files ---- */

static void map_file(rmr_file *f)
{
    if (f->size == 0 || f->size > PTRDIFF_MAX) return;
    void *p = rmr_sys_map(f->fd, f->size);
    if (p == NULL) return; /* reads work everywhere */
    rmr_wish_huge(p, (size_t)f->size);
    f->data = p;
    f->mapped = 1;
}

/* The message for a file that cannot be opened: a link that leads nowhere is a file of a cache, or
 * of git-annex, that was not fetched. */
static remora_status fail_open(const rmr_source *src, const rmr_file *f, remora_error *err)
{
    char to[256];
    const int e = errno;
    const int64_t n = e == ENOENT ? rmr_sys_link_in(src->dir, f->name, to, sizeof to - 1) : -1;
    errno = e;
    if (n < 0) return rmr_fail_errno(err, f->shown.text, "cannot open");
    to[n] = 0;
    return rmr_error_set(err, REMORA_E_NOT_FOUND, e, "%s: a link to %s, which is not there: %s",
                         f->shown.text, rmr_show(to).text,
                         strstr(to, ".git/annex/") != NULL ? "\"git annex get\" fetches it"
                                                           : "download it again");
}

/* aria2 makes a file in its full length before it has the bytes, and keeps NAME.aria2 beside it
 * until it has. */
static remora_status check_finished(const rmr_source *src, const rmr_file *f, remora_error *err)
{
    char beside[RMR_MAX_NAME + 8];
    rmr_file_facts facts;
    snprintf(beside, sizeof beside, "%s.aria2", f->name);
    if (rmr_sys_look_in(src->dir, beside, &facts) != 0) return REMORA_OK;
    RMR_FAIL(err, REMORA_E_FORMAT,
             "%s: half-written: %s.aria2 beside it says that the download did not finish",
             f->shown.text, f->shown.text);
}

static remora_status open_in_dir(const rmr_source *src, rmr_file *f, remora_error *err)
{
    f->fd = rmr_sys_open_in(src->dir, f->name);
    if (f->fd == -1) return fail_open(src, f, err);
    if (rmr_sys_look_at(f->fd, &f->facts) != 0)
        return rmr_fail_errno(err, f->shown.text, "cannot stat");
    if (f->facts.kind != RMR_KIND_FILE)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: is not a regular file", f->shown.text);
    f->size = f->facts.size;
    if (src->use_mmap) map_file(f);
    return check_finished(src, f, err);
}

static remora_status open_blob(const rmr_source *src, rmr_file *f, remora_error *err)
{
    size_t lo = 0, hi = src->n_blobs;
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int c = strcmp(src->sorted[mid]->name, f->name);
        if (c == 0) {
            f->data = src->sorted[mid]->size > 0 ? src->sorted[mid]->data : NULL;
            f->size = src->sorted[mid]->size;
            return REMORA_OK;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    RMR_FAIL(err, REMORA_E_NOT_FOUND, "%s: there is no such blob", f->shown.text);
}

static remora_status open_host(const rmr_source *src, rmr_file *f, remora_error *err)
{
    f->io = src->io;
    const remora_status st = f->io.io_size(f->io.io_user, f->name, &f->size);
    if (st == REMORA_E_NOT_FOUND) RMR_FAIL(err, st, "%s: the host has no such file", f->shown.text);
    if (st != REMORA_OK)
        RMR_FAIL(err, REMORA_E_CALLBACK, "%s: io_size returned %s", f->shown.text,
                 rmr_status_name(st));
    return REMORA_OK;
}

/* A file with a name, not opened yet. */
static rmr_file *file_new(rmr_mem *mem, const char *name)
{
    rmr_file *f = rmr_calloc(mem, 1, sizeof *f);
    if (f == NULL) return NULL;
    f->mem = mem;
    f->fd = -1;
    f->shown = rmr_show(name);
    f->name = rmr_strdup(mem, name);
    if (f->name != NULL) return f;
    rmr_free(mem, f, sizeof *f);
    return NULL;
}

rmr_file *rmr_file_absent(rmr_mem *mem, const char *name)
{
    rmr_file *f = file_new(mem, name);
    if (f != NULL) f->absent = 1;
    return f;
}

int rmr_file_is_absent(const rmr_file *f)
{
    return f->absent;
}

remora_status rmr_file_open(rmr_source *src, const char *name, rmr_file **out, remora_error *err)
{
    *out = NULL;
    RMR_TRY(rmr_name_check(rmr_show(rmr_source_where(src)).text, name, strlen(name), err));
    rmr_file *f = file_new(src->mem, name);
    if (f == NULL) return rmr_error_nomem(err, "file", sizeof *f + strlen(name) + 1);
    const remora_status st = src->kind == REMORA_SOURCE_PATH     ? open_in_dir(src, f, err)
                             : src->kind == REMORA_SOURCE_MEMORY ? open_blob(src, f, err)
                                                                 : open_host(src, f, err);
    if (st < 0) {
        rmr_file_close(f);
        return st;
    }
    *out = f;
    return REMORA_OK;
}

void rmr_file_close(rmr_file *f)
{
    if (f == NULL) return;
    if (f->mapped) {
        const void *data = f->data;
        void *p;
        memcpy(&p, &data, sizeof p); /* without const */
        rmr_sys_unmap(p, f->size);
    }
    if (f->fd != -1) rmr_sys_close(f->fd);
    rmr_strfree(f->mem, f->name);
    rmr_free(f->mem, f, sizeof *f);
}

const char *rmr_file_name(const rmr_file *f)
{
    return f->name;
}

uint64_t rmr_file_size(const rmr_file *f)
{
    return f->size;
}

const void *rmr_file_data(const rmr_file *f)
{
    return f->data;
}

/* ---- reading
 * ------------------------------------------------------------------------------------------------
 */

static remora_status fail_shrank(const rmr_file *f, uint64_t at, remora_error *err)
{
    RMR_FAIL(err, REMORA_E_FORMAT, "%s: ends at byte %llu, had %llu when opened", f->shown.text,
             (unsigned long long)at, (unsigned long long)f->size);
}

remora_status rmr_file_check(const rmr_file *f, remora_error *err)
{
    rmr_file_facts now;
    if (f->fd == -1) return REMORA_OK;
    if (rmr_sys_look_at(f->fd, &now) != 0) return rmr_fail_errno(err, f->shown.text, "cannot stat");
    if (now.size < f->size) return fail_shrank(f, now.size, err);
    return REMORA_OK;
}

rmr_file_pages rmr_file_mend_pages(const rmr_file *f)
{
    return f->mapped ? rmr_file_pages_mend(f->data, f->size, f->fd) : RMR_FILE_PAGES_UNKNOWN;
}

static int is_later(const rmr_file_facts *a, const rmr_file_facts *b)
{
    return a->written_s > b->written_s ||
           (a->written_s == b->written_s && a->written_ns > b->written_ns);
}

remora_status rmr_file_unchanged(const rmr_file *f, remora_error *err)
{
    rmr_file_facts now;
    if (!f->mapped) return REMORA_OK;
    if (rmr_sys_look_at(f->fd, &now) != 0) {
        const int e = errno;
        return rmr_error_set(err, REMORA_E_IO, e, "%s: cannot stat: %s (errno %d)", f->shown.text,
                             errno_text(e), e);
    }
    if (now.size < f->size)
        RMR_FAIL(err, REMORA_E_IO, "%s: has %llu bytes, had %llu when the model was opened",
                 f->shown.text, (unsigned long long)now.size, (unsigned long long)f->size);
    if (is_later(&now, &f->facts))
        RMR_FAIL(err, REMORA_E_IO,
                 "%s: was written to after the model was opened; replace files by rename",
                 f->shown.text);
    return REMORA_OK;
}

static remora_status read_fd(const rmr_file *f, uint64_t off, char *buf, uint64_t n,
                             remora_error *err)
{
    while (n > 0) {
        const int64_t got = rmr_sys_read(f->fd, off, buf, n);
        if (got < 0) {
            const int e = errno;
            return rmr_error_set(err, REMORA_E_IO, e,
                                 "%s: a read at byte %llu has failed: %s (errno %d)", f->shown.text,
                                 (unsigned long long)off, errno_text(e), e);
        }
        if (got == 0) return fail_shrank(f, off, err);
        buf += got;
        off += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return REMORA_OK;
}

remora_status rmr_file_read(const rmr_file *f, uint64_t off, void *buf, uint64_t n,
                            remora_error *err)
{
    if (off > f->size || n > f->size - off || n > PTRDIFF_MAX)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %llu bytes wanted at byte %llu, the file has %llu",
                 f->shown.text, (unsigned long long)n, (unsigned long long)off,
                 (unsigned long long)f->size);
    if (n == 0) return REMORA_OK;
    RMR_ASSERT(!f->absent);
    if (f->fd != -1) return read_fd(f, off, buf, n, err);
    if (f->data != NULL) {
        memcpy(buf, (const char *)f->data + off, (size_t)n);
        return REMORA_OK;
    }
    const remora_status st = f->io.io_read(f->io.io_user, f->name, off, buf, n);
    if (st != REMORA_OK)
        RMR_FAIL(err, REMORA_E_CALLBACK, "%s: io_read at byte %llu returned %s", f->shown.text,
                 (unsigned long long)off, rmr_status_name(st));
    return REMORA_OK;
}

static remora_status load(rmr_mem *mem, const rmr_file *f, uint64_t limit, char **data,
                          remora_error *err)
{
    if (f->size > limit || f->size >= PTRDIFF_MAX)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: has %llu bytes, at most %llu", f->shown.text,
                 (unsigned long long)f->size, (unsigned long long)limit);
    char *p = rmr_alloc(mem, (size_t)f->size + 1);
    if (p == NULL) return rmr_error_nomem(err, f->shown.text, f->size + 1);
    remora_status st = rmr_file_read(f, 0, p, f->size, err);
    if (st >= 0)
        st = rmr_instead_bytes(f->shown.text, p, (size_t)f->size, f->size, RMR_EXPECTED_TEXT, st,
                               err);
    if (st < 0) {
        rmr_free(mem, p, (size_t)f->size + 1);
        return st;
    }
    p[f->size] = 0;
    *data = p;
    return REMORA_OK;
}

remora_status rmr_file_load(rmr_source *src, const char *name, uint64_t limit, char **data,
                            uint64_t *size, remora_error *err)
{
    rmr_file *f;
    *data = NULL;
    *size = 0;
    RMR_TRY(rmr_file_open(src, name, &f, err));
    const remora_status st = load(src->mem, f, limit, data, err);
    if (st >= 0) *size = f->size;
    rmr_file_close(f);
    return st;
}

void rmr_file_done_with(const rmr_file *f, uint64_t off, uint64_t n)
{
    if (!f->mapped || off > f->size || n > f->size - off) return;
    RMR_ASSERT(f->data != NULL);
    rmr_sys_map_done(f->data, f->size, off, n);
}

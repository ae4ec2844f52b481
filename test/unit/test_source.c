/* SPDX-License-Identifier: Apache-2.0 */
/* Sources and files: directories, blobs and host callbacks, and everything they must refuse. */
#define _GNU_SOURCE
#undef _FILE_OFFSET_BITS /* it would make pread and pread64 below one name */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "sort.h"
#include "source.h"
#include "tmem.h"

/* ---- a pread of our own: the program's definition goes before the C library's ---- */

static struct {
    size_t most;    /* bytes per call; 0: no limit */
    int interrupts; /* every second call fails with EINTR */
    long fail_at;   /* this call fails with EIO */
    long calls;
} faults;

static ssize_t faulty_pread(int fd, void *buf, size_t n, off_t off)
{
    const long call = ++faults.calls;
    if (faults.interrupts && call % 2 == 1) {
        errno = EINTR;
        return -1;
    }
    if (faults.fail_at != 0 && call == faults.fail_at) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, buf, faults.most != 0 && n > faults.most ? faults.most : n,
                   off);
}

ssize_t pread(int fd, void *buf, size_t n, off_t off)
{
    return faulty_pread(fd, buf, n, off);
}

ssize_t pread64(int fd, void *buf, size_t n, off64_t off)
{
    return faulty_pread(fd, buf, n, off);
}

/* ---- a folder with a model's files, made anew for each test ---- */

typedef struct fixture {
    char dir[64];
    char path[128];
    tmem t;
    rmr_mem mem;
    remora_error err;
    long fds;
} fixture;

static const char text[] = "0123456789abcdefghijklmnopqrstuvwxyz";
enum { TEXT = sizeof text - 1 };

static long open_fds(void)
{
    long n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (d == NULL) return 0;
    while (readdir(d) != NULL) n++;
    closedir(d);
    return n;
}

static const char *in_dir(fixture *x, const char *name)
{
    snprintf(x->path, sizeof x->path, "%s/%s", x->dir, name);
    return x->path;
}

static void put(fixture *x, const char *name, const char *data, size_t n)
{
    FILE *f = fopen(in_dir(x, name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
    fixture *x = calloc(1, sizeof *x);
    if (x == NULL) return -1;
    strcpy(x->dir, "/tmp/remora-source-XXXXXX");
    if (mkdtemp(x->dir) == NULL) return -1;
    x->mem = (rmr_mem){
        .user = &x->t, .alloc = tmem_alloc, .resize = tmem_resize, .release = tmem_release};
    rmr_mem_init(&x->mem);
    x->err.struct_size = sizeof x->err;
    put(x, "config.json", text, TEXT);
    put(x, "empty", "", 0);
    memset(&faults, 0, sizeof faults);
    x->fds = open_fds();
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    fixture *x = *state;
    const char *const names[] = {"config.json", "empty", "fifo", "link", "loop", "socket"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) unlink(in_dir(x, names[i]));
    rmdir(in_dir(x, "sub"));
    const int gone = rmdir(x->dir);
    const int leaks = atomic_load(&x->t.blocks) != 0 || atomic_load(&x->t.damage) != 0 ||
                      atomic_load(&x->mem.bytes) != 0 || open_fds() != x->fds;
    free(x);
    return gone != 0 || leaks ? -1 : 0;
}

static remora_source path_source(const char *path)
{
    return (remora_source){
        .struct_size = sizeof(remora_source), .kind = REMORA_SOURCE_PATH, .path = path};
}

static rmr_source *must_open(fixture *x, remora_source desc, int use_mmap)
{
    rmr_source *src = NULL;
    const remora_status st = rmr_source_open(&x->mem, &desc, use_mmap, &src, &x->err);
    if (st < 0) fail_msg("source: %s", x->err.message);
    return src;
}

static rmr_file *must_open_file(fixture *x, rmr_source *src, const char *name)
{
    rmr_file *f = NULL;
    const remora_status st = rmr_file_open(src, name, &f, &x->err);
    if (st < 0) fail_msg("file: %s", x->err.message);
    return f;
}

static void says(const fixture *x, const char *part)
{
    if (strstr(x->err.message, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", x->err.message, part);
}

static void refused(fixture *x, remora_source desc, remora_status want, const char *part)
{
    rmr_source *src = NULL;
    x->err.message[0] = 0;
    assert_int_equal(rmr_source_open(&x->mem, &desc, 1, &src, &x->err), want);
    assert_null(src);
    assert_int_equal(x->err.code, want);
    says(x, part);
}

static void file_refused(fixture *x, rmr_source *src, const char *name, remora_status want,
                         const char *part)
{
    rmr_file *f = NULL;
    x->err.message[0] = 0;
    const remora_status st = rmr_file_open(src, name, &f, &x->err);
    if (st != want) fail_msg("%s: %d, not %d", name, (int)st, (int)want);
    assert_null(f);
    says(x, part);
}

/* ---- the host's side of callbacks ---- */

typedef struct host {
    remora_status size_status, read_status;
    uint64_t size;
    int reads;
} host;

static remora_status REMORA_CALL host_size(void *user, const char *name, uint64_t *size)
{
    const host *h = user;
    if (strcmp(name, "config.json") != 0) return REMORA_E_NOT_FOUND;
    *size = h->size;
    return h->size_status;
}

static remora_status REMORA_CALL host_read(void *user, const char *name, uint64_t off, void *buf,
                                           uint64_t n)
{
    host *h = user;
    h->reads++;
    if (h->read_status != REMORA_OK) return h->read_status;
    if (strcmp(name, "config.json") != 0 || off + n > TEXT) return REMORA_E_ARG;
    memcpy(buf, text + off, n);
    return REMORA_OK;
}

static remora_source host_source(host *h)
{
    return (remora_source){.struct_size = sizeof(remora_source),
                           .kind = REMORA_SOURCE_IO,
                           .io_user = h,
                           .io_size = host_size,
                           .io_read = host_read};
}

static remora_source blob_source(const remora_blob *blobs, uint64_t n)
{
    return (remora_source){.struct_size = sizeof(remora_source),
                           .kind = REMORA_SOURCE_MEMORY,
                           .blobs = blobs,
                           .n_blobs = n};
}

/* ---- tests ---- */

/* The same bytes whichever way they come. */
static void check_reads(fixture *x, const rmr_file *f)
{
    char buf[TEXT + 1] = {0};
    assert_string_equal(rmr_file_name(f), "config.json");
    assert_int_equal(rmr_file_size(f), TEXT);
    assert_int_equal(rmr_file_read(f, 0, buf, TEXT, &x->err), REMORA_OK);
    assert_string_equal(buf, text);
    assert_int_equal(rmr_file_read(f, 10, buf, 3, &x->err), REMORA_OK);
    assert_memory_equal(buf, "abc3", 4);
    assert_int_equal(rmr_file_read(f, TEXT, buf, 0, &x->err), REMORA_OK);
    const struct {
        uint64_t off, n;
    } bad[] = {{TEXT, 1}, {0, TEXT + 1}, {TEXT + 1, 0}, {1, UINT64_MAX}, {UINT64_MAX, 2}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(rmr_file_read(f, bad[i].off, buf, bad[i].n, &x->err), REMORA_E_FORMAT);
        says(x, "config.json");
    }
    if (rmr_file_data(f) != NULL) assert_memory_equal(rmr_file_data(f), text, TEXT);
    assert_int_equal(rmr_file_check(f, &x->err), REMORA_OK);
    rmr_file_done_with(f, 0, TEXT);
    rmr_file_done_with(f, 5, 10);
    rmr_file_done_with(f, 5, UINT64_MAX);
    assert_int_equal(rmr_file_read(f, 0, buf, TEXT, &x->err), REMORA_OK);
    if (rmr_file_data(f) != NULL) assert_memory_equal(rmr_file_data(f), text, TEXT);
}

static void every_kind_reads_the_same(void **state)
{
    fixture *x = *state;
    host h = {.size = TEXT};
    const remora_blob blobs[] = {{"b", "xyz", 3}, {"config.json", text, TEXT}, {"a", NULL, 0}};
    const remora_source all[] = {path_source(x->dir), path_source(x->dir), blob_source(blobs, 3),
                                 host_source(&h)};
    for (size_t i = 0; i < 4; i++) {
        rmr_source *src = must_open(x, all[i], i == 1);
        rmr_file *f = must_open_file(x, src, "config.json");
        rmr_source_free(src); /* the file stays valid */
        assert_int_equal(rmr_file_data(f) != NULL, i == 1 || i == 2);
        check_reads(x, f);
        rmr_file_close(f);
    }
}

static void a_path_may_name_a_file_of_the_folder(void **state)
{
    fixture *x = *state;
    char *path = strdup(in_dir(x, "empty"));
    rmr_source *src = must_open(x, path_source(path), 1);
    assert_string_equal(rmr_source_where(src), path);
    free(path);
    rmr_file_close(must_open_file(x, src, "config.json"));
    rmr_source_free(src);
}

static void a_relative_path_survives_chdir(void **state)
{
    fixture *x = *state;
    char was[512];
    assert_non_null(getcwd(was, sizeof was));
    assert_int_equal(chdir(x->dir), 0);
    rmr_source *dot = must_open(x, path_source("."), 0);
    rmr_source *file = must_open(x, path_source("config.json"), 0);
    assert_int_equal(chdir(was), 0);
    rmr_file_close(must_open_file(x, dot, "config.json"));
    rmr_file_close(must_open_file(x, file, "config.json"));
    rmr_source_free(dot);
    rmr_source_free(file);
}

static void an_empty_file_has_no_data(void **state)
{
    fixture *x = *state;
    rmr_source *src = must_open(x, path_source(x->dir), 1);
    rmr_file *f = must_open_file(x, src, "empty");
    char c;
    assert_int_equal(rmr_file_size(f), 0);
    assert_null(rmr_file_data(f));
    assert_int_equal(rmr_file_read(f, 0, &c, 0, &x->err), REMORA_OK);
    assert_int_equal(rmr_file_read(f, 0, &c, 1, &x->err), REMORA_E_FORMAT);
    rmr_file_close(f);
    rmr_source_free(src);
}

static void bad_names_are_refused(void **state)
{
    fixture *x = *state;
    rmr_source *src = must_open(x, path_source(x->dir), 1);
    char long_name[300];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[299] = 0;
    const char *const bad[] = {"",     ".",    "..",   "../config.json", "/etc/passwd", "a/b",
                               "a\\b", "a..b", "a\nb", "\x7f",           "\x1b[2J",     long_name};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        file_refused(x, src, bad[i], REMORA_E_FORMAT, "name");
    assert_null(strchr(x->err.message, '\x1b'));
    assert_int_equal(rmr_name_check("test", "a\0b", 3, &x->err), REMORA_E_FORMAT);
    assert_int_equal(rmr_name_check("test", "a.b-c_d.safetensors", 19, &x->err), REMORA_OK);
    long_name[255] = 0;
    assert_int_equal(rmr_name_check("test", long_name, 255, &x->err), REMORA_OK);
    file_refused(x, src, long_name, REMORA_E_NOT_FOUND, "aaa");
    rmr_source_free(src);
}

static void missing_paths_and_files_are_not_found(void **state)
{
    fixture *x = *state;
    refused(x, path_source(in_dir(x, "nope")), REMORA_E_NOT_FOUND, "nope");
    assert_int_equal(x->err.os_code, ENOENT);
    refused(x, path_source(in_dir(x, "config.json/x")), REMORA_E_NOT_FOUND, "config.json");
    rmr_source *src = must_open(x, path_source(x->dir), 1);
    file_refused(x, src, "model.safetensors", REMORA_E_NOT_FOUND, "model.safetensors");
    rmr_source_free(src);
}

static void only_regular_files_are_read_and_none_blocks(void **state)
{
    fixture *x = *state;
    assert_int_equal(mkfifo(in_dir(x, "fifo"), 0600), 0);
    assert_int_equal(mkdir(in_dir(x, "sub"), 0700), 0);
    assert_int_equal(symlink("loop", in_dir(x, "loop")), 0);
    refused(x, path_source(in_dir(x, "fifo")), REMORA_E_FORMAT, "neither a directory");
    refused(x, path_source("/dev/null"), REMORA_E_FORMAT, "neither a directory");
    rmr_source *src = must_open(x, path_source(x->dir), 1);
    file_refused(x, src, "fifo", REMORA_E_FORMAT, "fifo: is not a regular file");
    file_refused(x, src, "sub", REMORA_E_FORMAT, "sub: is not a regular file");
    file_refused(x, src, "loop", REMORA_E_IO, "symbolic links");
    assert_int_equal(x->err.os_code, ELOOP);
    rmr_source_free(src);
}

static void symlinks_are_followed(void **state)
{
    fixture *x = *state;
    assert_int_equal(symlink("config.json", in_dir(x, "link")), 0);
    rmr_source *src = must_open(x, path_source(in_dir(x, "link")), 1);
    rmr_file *f = must_open_file(x, src, "link");
    assert_int_equal(rmr_file_size(f), TEXT);
    rmr_file_close(f);
    rmr_source_free(src);
}

/* Hostile class 11: touching the mapping would be SIGBUS. */
static void a_file_truncated_after_mapping_is_a_status(void **state)
{
    fixture *x = *state;
    enum { BIG = 3 * 65536 };
    char *big = calloc(1, BIG);
    put(x, "config.json", big, BIG);
    for (int use_mmap = 0; use_mmap < 2; use_mmap++) {
        put(x, "config.json", big, BIG);
        rmr_source *src = must_open(x, path_source(x->dir), use_mmap);
        rmr_file *f = must_open_file(x, src, "config.json");
        assert_int_equal(truncate(in_dir(x, "config.json"), 100), 0);
        assert_int_equal(rmr_file_read(f, 0, big, BIG, &x->err), REMORA_E_FORMAT);
        says(x, "config.json: ends at byte 100");
        assert_int_equal(rmr_file_read(f, 70000, big, 1, &x->err), REMORA_E_FORMAT);
        assert_int_equal(rmr_file_read(f, 0, big, 100, &x->err), REMORA_OK);
        assert_int_equal(rmr_file_check(f, &x->err), REMORA_E_FORMAT);
        says(x, "config.json: ends at byte 100");
        rmr_file_close(f);
        rmr_source_free(src);
    }
    free(big);
}

/* Hostile class 30. */
static void short_and_interrupted_reads_go_on(void **state)
{
    fixture *x = *state;
    char buf[TEXT + 1] = {0};
    rmr_source *src = must_open(x, path_source(x->dir), 1);
    rmr_file *f = must_open_file(x, src, "config.json");
    faults.most = 5;
    faults.interrupts = 1;
    assert_int_equal(rmr_file_read(f, 0, buf, TEXT, &x->err), REMORA_OK);
    assert_string_equal(buf, text);
    assert_in_range(faults.calls, 2 * (TEXT / 5), 2 * (TEXT / 5) + 4);
    faults.interrupts = 0;
    faults.calls = 0;
    faults.fail_at = 3;
    assert_int_equal(rmr_file_read(f, 0, buf, TEXT, &x->err), REMORA_E_IO);
    assert_int_equal(x->err.os_code, EIO);
    says(x, "config.json: a read at byte 10");
    rmr_file_close(f);
    rmr_source_free(src);
}

static void blobs_are_checked(void **state)
{
    fixture *x = *state;
    const remora_blob twice[] = {{"b", "1", 1}, {"a", "2", 1}, {"b", "3", 1}};
    const remora_blob no_name[] = {{NULL, "1", 1}}, bad_name[] = {{"../a", "1", 1}};
    const remora_blob no_data[] = {{"a", NULL, 1}}, huge[] = {{"a", "1", UINT64_MAX}};
    refused(x, blob_source(twice, 3), REMORA_E_ARG, "two blobs are named b");
    refused(x, blob_source(no_name, 1), REMORA_E_ARG, "no name");
    refused(x, blob_source(bad_name, 1), REMORA_E_ARG, "../a");
    refused(x, blob_source(no_data, 1), REMORA_E_ARG, "no data");
    refused(x, blob_source(huge, 1), REMORA_E_ARG, "size");
    refused(x, blob_source(NULL, 1), REMORA_E_ARG, "without blobs");
    refused(x, blob_source(twice, (uint64_t)1 << 60), REMORA_E_ARG, "blobs, at most");
    rmr_source *src = must_open(x, blob_source(NULL, 0), 0);
    assert_string_equal(rmr_source_where(src), "memory");
    file_refused(x, src, "a", REMORA_E_NOT_FOUND, "a: there is no such blob");
    rmr_source_free(src);
}

static void many_blobs_are_found(void **state)
{
    fixture *x = *state;
    enum { N = 1000 };
    static char names[N][8];
    static remora_blob blobs[N];
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "f%d", (i * 617) % N);
        blobs[i] = (remora_blob){names[i], names[i], strlen(names[i])};
    }
    rmr_source *src = must_open(x, blob_source(blobs, N), 0);
    for (int i = 0; i < N; i++) {
        rmr_file *f = must_open_file(x, src, names[i]);
        assert_ptr_equal(rmr_file_data(f), names[i]);
        rmr_file_close(f);
    }
    rmr_source_free(src);
}

static void host_failures_are_callback_errors(void **state)
{
    fixture *x = *state;
    host h = {.size = TEXT};
    char buf[TEXT];
    remora_source half = host_source(&h);
    half.io_read = NULL;
    refused(x, half, REMORA_E_ARG, "io_read");
    half = host_source(&h);
    half.io_size = NULL;
    refused(x, half, REMORA_E_ARG, "io_size");
    rmr_source *src = must_open(x, host_source(&h), 1);
    assert_string_equal(rmr_source_where(src), "host");
    file_refused(x, src, "other", REMORA_E_NOT_FOUND, "other");
    h.size_status = REMORA_E_IO;
    file_refused(x, src, "config.json", REMORA_E_CALLBACK, "io_size returned E_IO");
    h.size_status = REMORA_MORE;
    file_refused(x, src, "config.json", REMORA_E_CALLBACK, "io_size returned MORE");
    h.size_status = REMORA_OK;
    rmr_file *f = must_open_file(x, src, "config.json");
    h.read_status = REMORA_E_NOT_FOUND;
    assert_int_equal(rmr_file_read(f, 7, buf, 5, &x->err), REMORA_E_CALLBACK);
    says(x, "config.json: io_read at byte 7 returned E_NOT_FOUND");
    h.reads = 0;
    assert_int_equal(rmr_file_read(f, TEXT, buf, 1, &x->err), REMORA_E_FORMAT);
    assert_int_equal(rmr_file_read(f, 0, buf, 0, &x->err), REMORA_OK);
    assert_int_equal(h.reads, 0); /* the host is never asked for what cannot be */
    rmr_file_close(f);
    rmr_source_free(src);
}

static void load_gives_the_whole_file_up_to_its_limit(void **state)
{
    fixture *x = *state;
    host h = {.size = TEXT};
    char *data;
    uint64_t n;
    rmr_source *src = must_open(x, path_source(x->dir), 1);
    assert_int_equal(rmr_file_load(src, "config.json", TEXT, &data, &n, &x->err), REMORA_OK);
    assert_int_equal(n, TEXT);
    assert_string_equal(data, text);
    rmr_free(&x->mem, data, (size_t)n + 1);
    assert_int_equal(rmr_file_load(src, "config.json", TEXT - 1, &data, &n, &x->err),
                     REMORA_E_FORMAT);
    says(x, "config.json: has 36 bytes, at most 35");
    assert_null(data);
    assert_int_equal(rmr_file_load(src, "empty", 0, &data, &n, &x->err), REMORA_E_FORMAT);
    says(x, "empty: is empty (0 bytes)");
    assert_null(data);
    assert_int_equal(rmr_file_load(src, "nope", 10, &data, &n, &x->err), REMORA_E_NOT_FOUND);
    rmr_source_free(src);
    src = must_open(x, host_source(&h), 1);
    h.size = UINT64_MAX; /* a lie must not become an allocation */
    assert_int_equal(rmr_file_load(src, "config.json", UINT64_MAX, &data, &n, &x->err),
                     REMORA_E_FORMAT);
    h.size = TEXT;
    h.read_status = REMORA_E_IO;
    assert_int_equal(rmr_file_load(src, "config.json", TEXT, &data, &n, &x->err),
                     REMORA_E_CALLBACK);
    rmr_source_free(src);
}

static void bad_descriptions_are_arguments(void **state)
{
    fixture *x = *state;
    refused(x, path_source(NULL), REMORA_E_ARG, "no path");
    refused(x, path_source(""), REMORA_E_ARG, "no path");
    refused(x, (remora_source){.struct_size = sizeof(remora_source), .kind = 77}, REMORA_E_ARG,
            "kind 77 is not known");
    rmr_source_free(NULL);
    rmr_file_close(NULL);
}

static void too_many_open_files_is_a_status(void **state)
{
    fixture *x = *state;
    struct rlimit was;
    rmr_source *src = must_open(x, path_source(x->dir), 1);
    rmr_file *f = NULL;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    const struct rlimit none = {0, was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    file_refused(x, src, "config.json", REMORA_E_IO, "config.json: cannot open: too many open");
    assert_int_equal(x->err.os_code, EMFILE);
    refused(x, path_source(x->dir), REMORA_E_IO, "too many open");
    refused(x, path_source(in_dir(x, "config.json")), REMORA_E_IO, "too many open");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_int_equal(rmr_file_open(src, "config.json", &f, &x->err), REMORA_OK);
    rmr_file_close(f);
    rmr_source_free(src);
}

typedef struct sweep {
    fixture *x;
    remora_source desc;
} sweep;

static int32_t open_and_load(void *arg, tmem *t)
{
    const sweep *s = arg;
    rmr_source *src;
    char *data;
    uint64_t n;
    (void)t;
    RMR_TRY(rmr_source_open(&s->x->mem, &s->desc, 1, &src, &s->x->err));
    const remora_status st = rmr_file_load(src, "config.json", 100, &data, &n, &s->x->err);
    if (st >= 0) rmr_free(&s->x->mem, data, (size_t)n + 1);
    rmr_source_free(src);
    return st;
}

static void every_allocation_may_fail(void **state)
{
    fixture *x = *state;
    host h = {.size = TEXT};
    const remora_blob blobs[] = {{"b", "xyz", 3}, {"config.json", text, TEXT}};
    char *file = strdup(in_dir(x, "config.json"));
    sweep all[] = {{x, path_source(file)}, {x, blob_source(blobs, 2)}, {x, host_source(&h)}};
    for (size_t i = 0; i < 3; i++) assert_in_range(tmem_sweep(&x->t, open_and_load, &all[i]), 4, 9);
    free(file);
}

static int cmp_ints(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return x < y ? -1 : x > y;
}

static void sort_sorts(void **state)
{
    enum { N = 257 };
    static int v[N];
    const void *p[N];
    (void)state;
    for (size_t n = 0; n <= N; n++) {
        for (size_t i = 0; i < n; i++) {
            v[i] = (int)(i * 7919 % 101);
            p[i] = &v[i];
        }
        rmr_sort(p, n, cmp_ints);
        for (size_t i = 1; i < n; i++) assert_true(*(const int *)p[i - 1] <= *(const int *)p[i]);
    }
}

static void show_makes_names_printable(void **state)
{
    char s[200];
    (void)state;
    assert_string_equal(rmr_show("a\nb\x1b").text, "a?b?");
    memset(s, 'a', sizeof s);
    memcpy(s + 94, "\xC3\xA9", 2); /* a letter of two bytes over the edge */
    s[199] = 0;
    assert_int_equal(strlen(rmr_show(s).text), 94);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_kind_reads_the_same),
        T(a_path_may_name_a_file_of_the_folder),
        T(a_relative_path_survives_chdir),
        T(an_empty_file_has_no_data),
        T(bad_names_are_refused),
        T(missing_paths_and_files_are_not_found),
        T(only_regular_files_are_read_and_none_blocks),
        T(symlinks_are_followed),
        T(a_file_truncated_after_mapping_is_a_status),
        T(short_and_interrupted_reads_go_on),
        T(blobs_are_checked),
        T(many_blobs_are_found),
        T(host_failures_are_callback_errors),
        T(load_gives_the_whole_file_up_to_its_limit),
        T(bad_descriptions_are_arguments),
        T(too_many_open_files_is_a_status),
        T(every_allocation_may_fail),
        cmocka_unit_test(sort_sorts),
        cmocka_unit_test(show_makes_names_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

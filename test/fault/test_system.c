/* SPDX-License-Identifier: Apache-2.0 */
/* The operating system fails: the k-th system call of a kind that opening a folder makes, for all k
 * and all kinds, and the k-th thread. The linker sends the library's calls through the functions
 * below (--wrap). A mapping that cannot be made is no failure: then the file is read. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "groups.h"
#include "sweep.h"

enum { N = 40 };
enum kind { READ, OPEN, STAT, MAP, THREAD, N_KINDS };
enum how { ERROR, INTERRUPT, SHORT, END_OF_FILE };

typedef struct plan {
    atomic_long calls[N_KINDS];
    enum kind kind;
    enum how how;
    long at; /* the k-th call of that kind; 0: none; negative: all from the -k-th on */
    int os_code;
    int tokenizer_configs; /* reads of that file */
    int for_metadata;      /* the last read that failed was one for metadata */
} plan;

static plan now;

/* Is this call to fail? */
static int strike(enum kind kind)
{
    const long call = atomic_fetch_add(&now.calls[kind], 1) + 1;
    if (kind != now.kind) return 0;
    return now.at > 0 ? call == now.at : now.at < 0 && call >= -now.at;
}

ssize_t __real_pread64(int fd, void *buf, size_t n, off_t off);
ssize_t __wrap_pread64(int fd, void *buf, size_t n, off_t off);
int __real_openat64(int dir, const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, ...);
int __real_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st);
int __real_stat64(const char *path, struct stat *st);
int __wrap_stat64(const char *path, struct stat *st);
void *__real_mmap64(void *at, size_t n, int prot, int flags, int fd, off_t off);
void *__wrap_mmap64(void *at, size_t n, int prot, int flags, int fd, off_t off);
int __real_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);
int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg);

static int is_file(int fd, const char *name)
{
    char link[32], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, path, sizeof path), tail = (ssize_t)strlen(name);
    return n >= tail && memcmp(path + n - tail, name, (size_t)tail) == 0;
}

/* Is the read one for metadata, which the model can do without? They are read before the tokenizer
 * is, which needs tokenizer_config.json. */
static int is_for_metadata(int fd)
{
    return is_file(fd, "/generation_config.json") ||
           (is_file(fd, "/tokenizer_config.json") && now.tokenizer_configs++ == 0);
}

ssize_t __wrap_pread64(int fd, void *buf, size_t n, off_t off)
{
    const int for_metadata = is_for_metadata(fd);
    if (!strike(READ)) return __real_pread64(fd, buf, n, off);
    now.for_metadata = for_metadata;
    switch (now.how) {
    case SHORT: return __real_pread64(fd, buf, n > 1 ? n / 2 : n, off);
    case END_OF_FILE: return 0;
    case INTERRUPT: errno = EINTR; return -1;
    default: errno = now.os_code; return -1;
    }
}

int __wrap_openat64(int dir, const char *path, int flags, ...)
{
    if (!strike(OPEN)) return __real_openat64(dir, path, flags);
    errno = now.how == INTERRUPT ? EINTR : now.os_code;
    return -1;
}

int __wrap_fstat64(int fd, struct stat *st)
{
    if (!strike(STAT)) return __real_fstat64(fd, st);
    errno = now.os_code;
    return -1;
}

int __wrap_stat64(const char *path, struct stat *st)
{
    if (!strike(STAT)) return __real_stat64(path, st);
    errno = now.os_code;
    return -1;
}

void *__wrap_mmap64(void *at, size_t n, int prot, int flags, int fd, off_t off)
{
    if (!strike(MAP)) return __real_mmap64(at, n, prot, flags, fd, off);
    errno = now.os_code;
    return MAP_FAILED;
}

int __wrap_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*fn)(void *), void *arg)
{
    return strike(THREAD) ? EAGAIN : __real_pthread_create(t, a, fn, arg);
}

static void arm(enum kind kind, enum how how, long at, int os_code)
{
    for (int i = 0; i < N_KINDS; i++) atomic_store(&now.calls[i], 0);
    now.kind = kind;
    now.how = how;
    now.at = at;
    now.os_code = os_code;
    now.for_metadata = now.tokenizer_configs = 0;
}

/* ---- reading a folder ---- */

typedef struct fixture {
    tiny t;
    char folder[64];
    tmem mem;
    remora_runtime *rt;
    remora_source src;
    remora_token ids[N];
    float *expect;
    int n_fds;
} fixture;

static int count_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++) n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    arm(READ, ERROR, 0, 0);
    tiny_make(&f->t, NULL);
    tiny_folder_make(&f->t, f->folder, sizeof f->folder);
    f->rt = host_runtime(&f->mem, 2, NULL);
    f->src = (remora_source){
        .struct_size = sizeof f->src, .kind = REMORA_SOURCE_PATH, .path = f->folder};
    remora_model *m = host_open(f->rt, &f->src);
    host_ids(f->ids, N, TINY_TEXT_VOCAB, 2);
    f->expect = host_logits(m, f->ids, N);
    remora_model_free(m);
    f->n_fds = count_fds();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    remora_runtime_free(f->rt);
    assert_int_equal(atomic_load(&f->mem.bytes), 0);
    tiny_folder_free(&f->t, f->folder);
    tiny_free(&f->t);
    free(f->expect);
    free(f);
    return 0;
}

/* A model that opened is the right one, whatever happened on the way. */
static void check_right(fixture *f, remora_model *m)
{
    float *got = host_logits(m, f->ids, N);
    assert_memory_equal(got, f->expect, N * TINY_TEXT_VOCAB * sizeof *got);
    free(got);
}

/* One run; returns 0 when the armed call was not reached. `expect` 0: it must open. */
static int run(fixture *f, uint32_t flags, enum kind kind, enum how how, long at, int os_code,
               remora_status expect)
{
    remora_error err = HOST_ERROR;
    remora_model *m = (void *)f;
    const remora_model_opts o = {.struct_size = sizeof o, .flags = flags};
    const long before = atomic_load(&f->mem.blocks);
    arm(kind, how, at, os_code);
    const remora_status st = remora_model_open(f->rt, &f->src, &o, &m, &err);
    const int hit = atomic_load(&now.calls[kind]) >= labs(at);
    now.at = 0;
    const int passed_over = how == END_OF_FILE && now.for_metadata; /* a file that is damaged */
    if (!hit || expect == REMORA_OK || passed_over) {
        assert_int_equal(st, REMORA_OK);
        if (!(flags & REMORA_MODEL_NO_WEIGHTS)) check_right(f, m);
    } else {
        assert_int_equal(st, expect);
        assert_null(m);
        assert_int_equal(err.code, expect);
        if (how == ERROR) assert_int_equal(err.os_code, os_code);
        assert_non_null(strchr(err.message, ':'));
    }
    remora_model_free(m);
    assert_int_equal(atomic_load(&f->mem.blocks), before);
    assert_int_equal(count_fds(), f->n_fds);
    return hit;
}

static long sweep(fixture *f, uint32_t flags, enum kind kind, enum how how, int os_code,
                  remora_status expect)
{
    long k = 1;
    while (run(f, flags, kind, how, k, os_code, expect)) k++;
    (void)run(f, flags, kind, how, -k / 2 - 1, os_code, expect);
    return k;
}

static void reads(void **state)
{
    for (uint32_t flags = 0; flags <= REMORA_MODEL_NO_MMAP; flags += REMORA_MODEL_NO_MMAP) {
        assert_true(sweep(*state, flags, READ, ERROR, EIO, REMORA_E_IO) > 20);
        assert_true(sweep(*state, flags, READ, ERROR, ESTALE, REMORA_E_IO) > 20);
        assert_true(sweep(*state, flags, READ, END_OF_FILE, 0, REMORA_E_FORMAT) > 20);
        /* no failures: the call is made again for the rest */
        for (long k = 1; run(*state, flags, READ, INTERRUPT, k, 0, REMORA_OK); k++) {
        }
        for (long k = 1; run(*state, flags, READ, SHORT, k, 0, REMORA_OK); k++) {
        }
        assert_true(run(*state, flags, READ, SHORT, -1, 0, REMORA_OK)); /* all of them */
    }
}

static void opens(void **state)
{
    for (uint32_t flags = 0; flags < 4; flags++) {
        assert_true(sweep(*state, flags, OPEN, ERROR, EMFILE, REMORA_E_IO) >= 4);
        assert_true(sweep(*state, flags, OPEN, ERROR, EACCES, REMORA_E_IO) >= 4);
        assert_true(sweep(*state, flags, OPEN, ERROR, ENOMEM, REMORA_E_NOMEM) >= 4);
        for (long k = 1; run(*state, flags, OPEN, INTERRUPT, k, 0, REMORA_OK); k++) {
        }
        assert_true(sweep(*state, flags, STAT, ERROR, EIO, REMORA_E_IO) >= 4);
    }
}

static void maps(void **state)
{
    for (long k = 1; run(*state, 0, MAP, ERROR, k, ENOMEM, REMORA_OK); k++) {
    }
    assert_true(run(*state, 0, MAP, ERROR, -1, ENODEV, REMORA_OK));
    assert_false(run(*state, REMORA_MODEL_NO_MMAP, MAP, ERROR, 1, ENODEV, REMORA_OK));
}

/* A file that is cut short or grows while it is being opened. */
static void shrinking(void **state)
{
    fixture *f = *state;
    char name[128];
    snprintf(name, sizeof name, "%s/model.safetensors", f->folder);
    const remora_blob *b = tiny_blob(&f->t, "model.safetensors");
    for (uint64_t cut = 0; cut < b->size; cut += b->size / 7) {
        assert_int_equal(truncate(name, (off_t)cut), 0);
        remora_model *m = NULL;
        const remora_status st = remora_model_open(f->rt, &f->src, NULL, &m, NULL);
        assert_int_equal(st, REMORA_E_FORMAT);
    }
    FILE *out = fopen(name, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(b->data, 1, b->size, out), b->size);
    assert_int_equal(fclose(out), 0);
    remora_model *m = host_open(f->rt, &f->src);
    check_right(f, m);
    remora_model_free(m);
}

/* ---- threads ---- */

/* Threads that ended may stay listed for a moment. */
static void wait_for_threads(int n)
{
    for (int i = 0; i < 2000 && host_thread_count() != n; i++) usleep(1000);
    assert_int_equal(host_thread_count(), n);
}

static void threads(void **state)
{
    (void)state;
    const int own = host_thread_count();
    for (long k = 1; k < 9; k++) {
        tmem mem = {0};
        remora_error err = HOST_ERROR;
        remora_runtime *rt = (void *)&mem;
        const remora_runtime_opts o = host_runtime_opts(&mem, 8);
        arm(THREAD, ERROR, k, 0);
        const remora_status st = remora_runtime_create(&o, &rt, &err);
        now.at = 0;
        remora_runtime_info info = {.struct_size = sizeof info};
        assert_int_equal(st, REMORA_OK);
        assert_int_equal(remora_runtime_get_info(rt, &info, NULL), REMORA_OK);
        assert_int_equal(info.n_threads, k); /* those before the one that did not start */
        assert_int_equal(atomic_load(&now.calls[THREAD]), k < 8 ? k : 7);
        remora_runtime_free(rt);
        wait_for_threads(own);
        assert_int_equal(atomic_load(&mem.bytes), 0);
    }
}

/* A model's private runtime, which computes without the threads that it cannot get. */
static void private_runtime(void **state)
{
    fixture *f = *state;
    remora_model *m = (void *)f;
    arm(THREAD, ERROR, -1, 0);
    const remora_status st = remora_model_open(NULL, &f->src, NULL, &m, NULL);
    now.at = 0;
    assert_int_equal(st, REMORA_OK);
    remora_model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),     cmocka_unit_test(opens),   cmocka_unit_test(maps),
        cmocka_unit_test(shrinking), cmocka_unit_test(threads), cmocka_unit_test(private_runtime),
    };
    return RUN_GROUP("failing system", tests, setup, teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Conversion and verification when something fails: memory, jansson's memory, the host's storage,
 * the limit on the size of files, a folder that takes no files. Always a status, nothing leaked, no
 * file left beside the pack, and what had the pack's name before still has it. (The writer's system
 * calls fail one by one in test/unit/test_pack.c.) */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "groups.h"
#include "sweep.h"

static const char before[] = "what was there before";
static char dir[HOST_DIR], path[HOST_DIR + 16];

typedef struct world {
    tiny t;
    tmem mem;
    remora_runtime *rt;
    long blocks;      /* of the runtime alone */
    const char *base; /* of conversions, or NULL */
} world;

static void put_old_file(void)
{
    FILE *f = fopen(path, "w");
    REQUIRE(f != NULL && fputs(before, f) >= 0);
    REQUIRE(fclose(f) == 0);
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof *w);
    if (w == NULL) return 1;
    strcpy(dir, "/dev/shm/remora-XXXXXX"); /* files are synced a thousand times: better in memory */
    if (mkdtemp(dir) == NULL) host_dir_make(dir);
    snprintf(path, sizeof path, "%s/model.remora", dir);
    put_old_file();
    tiny_make(&w->t, &(tiny_opts){.width = 64, .layers = 2, .advice = 1});
    w->rt = host_runtime(&w->mem, 2, NULL);
    w->blocks = atomic_load(&w->mem.blocks);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    remora_runtime_free(w->rt);
    const int leaked = atomic_load(&w->mem.bytes) != 0;
    tiny_free(&w->t);
    free(w);
    unlink(path);
    return leaked || rmdir(dir) != 0; /* fails when anything was left behind */
}

static remora_status convert(world *w, const remora_source *src, int zstd, remora_error *err)
{
    const remora_convert_opts o = {
        .struct_size = sizeof o, .recipe = "q8", .base = w->base, .zstd_level = zstd};
    *err = (remora_error)HOST_ERROR;
    return remora_convert(w->rt, src, path, &o, err);
}

/* After a failure: nothing but the old file. */
static void check_old_file(const world *w)
{
    size_t n;
    unsigned char *text = host_file(path, &n);
    REQUIRE(text != NULL && n == sizeof before - 1 && memcmp(text, before, n) == 0);
    free(text);
    REQUIRE(host_dir_count(dir) == 1);
    REQUIRE(atomic_load(&w->mem.blocks) == w->blocks);
}

/* After success: a whole pack, with or without an answer to its self-test; then the old file again.
 */
static void check_pack(const world *w, int must_have_answer)
{
    const remora_source src = host_path_source(path);
    remora_verify_report r = {.struct_size = sizeof r};
    remora_error err = HOST_ERROR;
    REQUIRE_OK(remora_verify(NULL, &src, NULL, &r, &err), &err);
    REQUIRE(r.checksums == REMORA_OK);
    REQUIRE(must_have_answer ? r.self_test == REMORA_OK && r.exact == 1
                             : r.self_test == REMORA_OK || r.self_test == REMORA_E_NOT_FOUND);
    REQUIRE(host_dir_count(dir) == 1);
    REQUIRE(atomic_load(&w->mem.blocks) == w->blocks);
    put_old_file();
}

/* ---- memory ---- */

/* One failing alone is tried everywhere; with all that follow, here and there. Reading compressed
 * packs asks for megabytes again and again, which the test's allocator fills: there in steps too.
 */
static long step(int how, int slow)
{
    return how == SWEEP_FROM ? 29 : slow ? 5 : 1;
}

static long sweep_convert(world *w, int zstd, int how)
{
    for (long k = 1, without = 0;; k += step(how, zstd)) {
        remora_error err;
        sweep_arm(&w->mem, k, how);
        const remora_status st = convert(w, &w->t.source, zstd, &err);
        const int hit = sweep_disarm(&w->mem);
        if (!hit) {
            REQUIRE_OK(st, &err);
            check_pack(w, 1);
            REQUIRE(how == SWEEP_FROM ||
                    without > 0); /* the self-test was hit as well: a warning, not a failure */
            return k;
        }
        REQUIRE(st == REMORA_E_NOMEM || st == REMORA_OK);
        without += st == REMORA_OK;
        if (st == REMORA_OK) {
            check_pack(w, 0);
            continue;
        }
        REQUIRE(err.code == st && err.message[0] != 0);
        check_old_file(w);
    }
}

static void memory(void **state)
{
    for (int zstd = 0; zstd <= 1; zstd++)
        for (int how = SWEEP_ONE; how <= SWEEP_FROM; how++)
            assert_true(sweep_convert(*state, zstd, how) > 200);
}

static void memory_with_a_base(void **state)
{
    world *w = *state;
    char folder[HOST_DIR], base[HOST_DIR + 16];
    host_dir_make(folder);
    snprintf(base, sizeof base, "%s/base.remora", folder);
    for (int zstd = 0; zstd <= 1; zstd++) {
        host_convert(w->rt, &w->t.source, base, "q8", zstd);
        w->base = base;
        assert_true(sweep_convert(w, 0, SWEEP_ONE) > 200);
        w->base = NULL;
    }
    unlink(base);
    assert_int_equal(rmdir(folder), 0);
}

static void memory_of_verify(void **state)
{
    world *w = *state;
    const remora_source src = host_path_source(path);
    for (int zstd = 0; zstd <= 1; zstd++) {
        remora_error err;
        long k = 1;
        REQUIRE_OK(convert(w, &w->t.source, zstd, &err), &err);
        for (int how = SWEEP_ONE; how <= SWEEP_FROM; how++)
            for (k = 1;; k += step(how, zstd)) {
                remora_verify_report r = {.struct_size = sizeof r};
                sweep_arm(&w->mem, k, how);
                const remora_status st = remora_verify(w->rt, &src, NULL, &r, &err);
                const int hit = sweep_disarm(&w->mem);
                REQUIRE(st == (hit ? REMORA_E_NOMEM : REMORA_OK));
                REQUIRE(hit || (r.checksums == REMORA_OK && r.exact == 1));
                REQUIRE(atomic_load(&w->mem.blocks) == w->blocks);
                if (!hit) break;
            }
        assert_true(k > 100);
    }
    put_old_file();
}

static void memory_of_opening(void **state)
{
    world *w = *state;
    const remora_source src = host_path_source(path);
    for (int i = 0; i < 4; i++) {
        const remora_model_opts o = {.struct_size = sizeof o,
                                     .flags = i & 1 ? REMORA_MODEL_NO_MMAP : 0};
        remora_error err;
        REQUIRE_OK(convert(w, &w->t.source, i >> 1, &err), &err);
        for (long k = 1, hit = 1; hit; k += step(SWEEP_ONE, i >> 1)) {
            remora_model *m = NULL;
            sweep_arm(&w->mem, k, SWEEP_ONE);
            const remora_status st = remora_model_open(w->rt, &src, &o, &m, &err);
            hit = sweep_disarm(&w->mem);
            REQUIRE(st == (hit ? REMORA_E_NOMEM : REMORA_OK));
            REQUIRE((m == NULL) == hit);
            remora_model_free(m);
            REQUIRE(atomic_load(&w->mem.blocks) == w->blocks);
        }
    }
    put_old_file();
}

/* jansson's allocator is the process's: the manifest and the recipe are made of its nodes. */
static long json_calls, json_fail_at, json_live;

static void *json_alloc(size_t n)
{
    if (++json_calls == json_fail_at) return NULL;
    json_live++;
    return malloc(n);
}

static void json_release(void *p)
{
    json_live -= p != NULL;
    free(p);
}

static void memory_of_json(void **state)
{
    world *w = *state;
    long k = 1, runs = 0, n_nomem = 0;
    json_set_alloc_funcs(json_alloc, json_release);
    for (;; k += k < 100 ? 1 : 23) { /* five thousand places, which are much alike */
        remora_error err;
        json_calls = 0;
        json_fail_at = k;
        const remora_status st = convert(w, &w->t.source, 0, &err);
        const int hit = json_calls >= k;
        json_fail_at = 0;
        REQUIRE(json_live == 0);
        runs++;
        n_nomem += st == REMORA_E_NOMEM;
        if (st >= 0)
            check_pack(w, !hit);
        else
            check_old_file(w);
        if (!hit) {
            REQUIRE_OK(st, &err);
            break;
        }
        /* its lexer reports some failures as syntax errors (test_alloc.c) */
        REQUIRE(st == REMORA_OK || st == REMORA_E_NOMEM || st == REMORA_E_FORMAT ||
                st == REMORA_E_UNSUPPORTED);
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(k > 500 && n_nomem * 2 > runs);
}

/* ---- reading ---- */

static void storage(void **state)
{
    static const remora_status failures[] = {REMORA_E_IO, REMORA_E_CANCELLED, -12345};
    world *w = *state;
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        for (long k = 1;; k++) {
            host_io io = {.blobs = w->t.blobs,
                          .n = w->t.n,
                          .fail_at = k,
                          .with = failures[i],
                          .only = k % 2 == 0};
            const remora_source src = host_io_source(&io);
            remora_error err;
            const remora_status st = convert(w, &src, 0, &err);
            if (atomic_load(&io.calls) < k) {
                REQUIRE_OK(st, &err);
                check_pack(w, 1);
                assert_true(k > 50);
                break;
            }
            REQUIRE(st == REMORA_E_CALLBACK && err.code == st);
            REQUIRE(strchr(err.message, ':') != NULL); /* names the file */
            /* and says what the host answered */
            REQUIRE(failures[i] != REMORA_E_IO || strstr(err.message, "E_IO") != NULL);
            check_old_file(w);
        }
}

/* ---- writing ---- */

/* Run in a child, whose limits and rights are its own; 0 when all was well. */
static void in_a_child(void (*body)(world *w, long arg), world *w, long arg)
{
    int how = 0;
    (void)w;
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        world own = {.rt = host_runtime(&own.mem, 1, NULL), .t = w->t};
        own.blocks = atomic_load(&own.mem.blocks);
        body(&own, arg);
        _exit(0);
    }
    REQUIRE(waitpid(child, &how, 0) == child);
    if (!WIFEXITED(how) || WEXITSTATUS(how) != 0) fail_msg("argument %ld: status 0x%x", arg, how);
}

static void limit_files(uint64_t bytes)
{
    struct rlimit l;
    REQUIRE(getrlimit(RLIMIT_FSIZE, &l) == 0);
    l.rlim_cur = bytes;
    REQUIRE(setrlimit(RLIMIT_FSIZE, &l) == 0);
}

/* The limit stands from the beginning. Beyond it a signal would come, which nobody expects here. */
static void within_limit(world *w, long bytes)
{
    for (int zstd = 0; zstd <= 1; zstd++) {
        remora_error err;
        limit_files((uint64_t)bytes);
        const remora_status st = convert(w, &w->t.source, zstd, &err);
        limit_files(1 << 30);
        REQUIRE(st == REMORA_E_IO && err.os_code == EFBIG);
        REQUIRE(strstr(err.message, path) != NULL);
        check_old_file(w);
    }
}

static uint64_t file_size(void)
{
    struct stat st;
    REQUIRE(stat(path, &st) == 0);
    return (uint64_t)st.st_size;
}

static void exactly(world *w, long bytes)
{
    remora_error err;
    limit_files((uint64_t)bytes);
    REQUIRE_OK(convert(w, &w->t.source, 0, &err), &err);
}

/* The limit comes while it is written: the system refuses, with SIGXFSZ ignored. */
typedef struct limiter {
    int32_t calls, at;
} limiter;

static int32_t REMORA_CALL lower(void *user, uint64_t done, uint64_t total)
{
    limiter *l = user;
    (void)done;
    (void)total;
    if (++l->calls == l->at) limit_files(8192);
    return 0;
}

static void limit_later(world *w, long zstd)
{
    int refused = 0;
    signal(SIGXFSZ, SIG_IGN);
    for (int32_t at = 1;; at++) {
        limiter l = {.at = at};
        remora_error err = HOST_ERROR;
        const remora_convert_opts o = {.struct_size = sizeof o,
                                       .recipe = "q8",
                                       .zstd_level = (int32_t)zstd,
                                       .progress_user = &l,
                                       .progress = lower};
        const remora_status st = remora_convert(w->rt, &w->t.source, path, &o, &err);
        limit_files(1 << 30);
        if (st >= 0) check_pack(w, 1);
        if (l.calls < at) break;
        REQUIRE(st == REMORA_OK || (st == REMORA_E_IO && err.os_code == EFBIG));
        refused += st < 0;
        if (st < 0) check_old_file(w);
    }
    REQUIRE(refused > 5);
}

static void limits(void **state)
{
    world *w = *state;
    remora_error err;
    REQUIRE_OK(convert(w, &w->t.source, 0, &err), &err);
    const long whole = (long)file_size();
    put_old_file();
    const long sizes[] = {0, 1, 4096, whole / 2, whole - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) in_a_child(within_limit, w, sizes[i]);
    in_a_child(exactly, w, whole);
    assert_int_equal(file_size(), whole);
    put_old_file();
    for (long zstd = 0; zstd <= 1; zstd++) in_a_child(limit_later, w, zstd);
}

static void no_rights(world *w, long unused)
{
    remora_error err;
    (void)unused;
    if (geteuid() == 0 && seteuid(65534) != 0) return; /* rights do not bind here */
    REQUIRE(convert(w, &w->t.source, 0, &err) == REMORA_E_IO);
    REQUIRE(err.os_code == EACCES && strstr(err.message, path) != NULL);
}

static void folder_that_takes_no_files(void **state)
{
    world *w = *state;
    assert_int_equal(chmod(dir, 0555), 0);
    in_a_child(no_rights, w, 0);
    assert_int_equal(chmod(dir, 0755), 0);
    check_old_file(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory),           cmocka_unit_test(memory_with_a_base),
        cmocka_unit_test(memory_of_verify), cmocka_unit_test(memory_of_opening),
        cmocka_unit_test(memory_of_json),   cmocka_unit_test(storage),
        cmocka_unit_test(limits),           cmocka_unit_test(folder_that_takes_no_files),
    };
    return RUN_GROUP("failing conversions", tests, setup, teardown);
}

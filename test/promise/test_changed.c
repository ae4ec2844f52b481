/* SPDX-License-Identifier: Apache-2.0 */
/* The file of an open model is changed by somebody else. What leaves its bytes alone (links,
 * renames, modes) does not matter; what does not is E_IO at the next eval, and for that model ever
 * after, and nothing is a bus error. */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

enum { N = 20, OPENED = 1000000000 /* time of the last change of all files */ };

typedef struct bed {
    tiny t;
    remora_runtime *rt;
    char dir[HOST_DIR], path[64], other[64];
    remora_source src;
    remora_model *m;
    remora_session *s[2];
    remora_token ids[N];
    float rows[N * TINY_TEXT_VOCAB];
} bed;

/* A change of the file at `path`. */
typedef struct change {
    const char *name;
    void (*make)(const bed *b);
    int seen;
} change;

static void set_time(const char *path, time_t t)
{
    const struct timespec both[2] = {{t, 0}, {t, 0}};
    REQUIRE(utimensat(AT_FDCWD, path, both, 0) == 0);
}

static void copy_file(const char *from, const char *to)
{
    size_t n;
    unsigned char *bytes = host_file(from, &n);
    FILE *f = fopen(to, "wb");
    REQUIRE(bytes != NULL && f != NULL && fwrite(bytes, 1, n, f) == n);
    REQUIRE(fclose(f) == 0);
    free(bytes);
}

static void change_mode(const bed *b)
{
    REQUIRE(chmod(b->path, 0400) == 0 && chmod(b->path, 0600) == 0);
}

static void link_it(const bed *b)
{
    REQUIRE(link(b->path, b->other) == 0);
}

static void rename_it(const bed *b)
{
    REQUIRE(rename(b->path, b->other) == 0);
}

static void remove_it(const bed *b)
{
    REQUIRE(unlink(b->path) == 0);
}

/* Another file, with other bytes, under its name. */
static void rename_over(const bed *b)
{
    FILE *f = fopen(b->other, "wb");
    REQUIRE(f != NULL && fputs("another model", f) >= 0 && fclose(f) == 0);
    REQUIRE(rename(b->other, b->path) == 0);
}

static void touch_back(const bed *b)
{
    set_time(b->path, OPENED - 1000);
}

static void touch(const bed *b)
{
    set_time(b->path, OPENED + 1);
}

static void cut(const bed *b)
{
    REQUIRE(truncate(b->path, 10) == 0);
    set_time(b->path, OPENED); /* the size alone shows it */
}

/* As `cp new old` does, with bytes of the same length. */
static void overwrite(const bed *b)
{
    struct stat st;
    const int fd = open(b->path, O_WRONLY);
    const char c = 0;
    REQUIRE(fd >= 0 && fstat(fd, &st) == 0 && pwrite(fd, &c, 1, st.st_size - 1) == 1);
    REQUIRE(close(fd) == 0);
}

static const change changes[] = {
    {"nothing", NULL, 0},
    {"chmod", change_mode, 0},
    {"a link", link_it, 0},
    {"a rename", rename_it, 0},
    {"unlink", remove_it, 0},
    {"a rename over it", rename_over, 0},
    {"an earlier time", touch_back, 0},
    {"a later time", touch, 1},
    {"a truncation", cut, 1},
    {"a byte overwritten", overwrite, 1},
};

static void bed_make(bed *b, int pack, uint32_t flags)
{
    remora_error err = HOST_ERROR;
    const remora_model_opts o = {.struct_size = sizeof o, .flags = flags};
    memset(b, 0, sizeof *b);
    tiny_make(&b->t, NULL);
    b->rt = host_runtime(NULL, 1, NULL);
    host_dir_make(b->dir);
    snprintf(b->other, sizeof b->other, "%s/other", b->dir);
    if (pack) {
        snprintf(b->path, sizeof b->path, "%s/model.remora", b->dir);
        host_convert(b->rt, &b->t.source, b->path, NULL, 0);
        b->src = host_path_source(b->path);
    } else {
        char folder[64], from[128];
        tiny_folder_make(&b->t, folder, sizeof folder);
        for (uint64_t i = 0; i < b->t.n; i++) {
            snprintf(from, sizeof from, "%s/%s", folder, b->t.blobs[i].name);
            snprintf(b->path, sizeof b->path, "%s/%.24s", b->dir, b->t.blobs[i].name);
            copy_file(from, b->path);
        }
        tiny_folder_free(&b->t, folder);
        snprintf(b->path, sizeof b->path, "%s/model.safetensors", b->dir);
        b->src = host_path_source(b->dir);
    }
    set_time(b->path, OPENED);
    REQUIRE_OK(remora_model_open(b->rt, &b->src, &o, &b->m, &err), &err);
    for (int i = 0; i < 2; i++) b->s[i] = host_session(b->m, 64, REMORA_KV_F32);
    host_ids(b->ids, N, host_vocab(b->m), 4);
    float *rows = host_logits(b->m, b->ids, N);
    memcpy(b->rows, rows, sizeof b->rows);
    free(rows);
}

static void bed_free(bed *b)
{
    char command[64];
    for (int i = 0; i < 2; i++) remora_session_free(b->s[i]);
    remora_model_free(b->m);
    remora_runtime_free(b->rt);
    tiny_free(&b->t);
    snprintf(command, sizeof command, "rm -r %s", b->dir);
    REQUIRE(system(command) == 0);
}

static remora_status eval(const bed *b, int which, remora_error *err)
{
    REQUIRE_OK(remora_session_trim(b->s[which], 0, NULL), NULL);
    REQUIRE_OK(remora_session_append(b->s[which], b->ids, N, REMORA_WANT_ALL, NULL), NULL);
    return remora_eval(&b->s[which], 1, NULL, err);
}

static void works(const bed *b)
{
    remora_error err = HOST_ERROR;
    REQUIRE_OK(eval(b, 0, &err), &err);
    float *rows = host_rows(b->s[0], N);
    assert_memory_equal(rows, b->rows, sizeof b->rows);
    free(rows);
}

static void is_refused(const bed *b, int which, const char *named)
{
    remora_error err = HOST_ERROR;
    remora_session_info i = {.struct_size = sizeof i};
    assert_int_equal(eval(b, which, &err), REMORA_E_IO);
    assert_int_equal(err.code, REMORA_E_IO);
    assert_int_equal(err.os_code, 0);
    assert_non_null(strstr(err.message, named));
    REQUIRE_OK(remora_session_get_info(b->s[which], &i, NULL), NULL);
    assert_int_equal(i.committed, 0);
    assert_int_equal(i.pending, N);
}

static void try_change(const change *c, int pack, uint32_t flags)
{
    bed b;
    bed_make(&b, pack, flags);
    works(&b);
    if (c->make != NULL) c->make(&b);
    if (!c->seen || flags == REMORA_MODEL_NO_MMAP) {
        works(&b);
    } else {
        is_refused(&b, 0, strrchr(b.path, '/') + 1);
        set_time(b.path, OPENED); /* too late */
        is_refused(&b, 0, b.dir);
        is_refused(&b, 1, b.dir);
    }
    bed_free(&b);
}

static void packs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++)
        for (uint32_t flags = 0; flags <= REMORA_MODEL_NO_MMAP; flags += REMORA_MODEL_NO_MMAP) {
            print_message("pack, %s, flags %u\n", changes[i].name, flags);
            try_change(&changes[i], 1, flags);
        }
}

static void folders(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        print_message("folder, %s\n", changes[i].name);
        try_change(&changes[i], 0, 0);
    }
}

/* Memory of the host is the host's to keep. */
static void memory_is_not_looked_at(void **state)
{
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    remora_runtime *rt = host_runtime(NULL, 1, NULL);
    remora_model *m = host_open(rt, &t.source);
    const remora_token ids[2] = {1, 2};
    free(host_logits(m, ids, 2));
    remora_model_free(m);
    remora_runtime_free(rt);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(packs), cmocka_unit_test(folders),
                                       cmocka_unit_test(memory_is_not_looked_at)};
    return cmocka_run_group_tests_name("files that change", tests, NULL, NULL);
}

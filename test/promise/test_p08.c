/* SPDX-License-Identifier: Apache-2.0 */
/* P8: nothing is ever written to descriptors 0-2; logs go to the host's hook. A child process whose
 * three descriptors are one pipe, and another that has none of them, go through the whole library,
 * its failures included. */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "host.h"
#include "tiny.h"

typedef struct log_count {
    atomic_long lines;
    atomic_long bad;
} log_count;

static void REMORA_CALL on_log(void *user, int32_t level, const char *msg, size_t len)
{
    log_count *c = user;
    atomic_fetch_add(&c->lines, 1);
    if (level < REMORA_LOG_ERROR || level > REMORA_LOG_DEBUG || msg[len] != 0 ||
        strlen(msg) != len || memchr(msg, '\n', len) != NULL)
        atomic_fetch_add(&c->bad, 1);
}

/* Every kind of call, and failures of every kind of file. Ends the process with 0 or a number. */
static void whole_flow(const tiny *t, const char *folder, const char *fixture)
{
    const remora_source sources[] = {
        t->source,
        {.struct_size = sizeof(remora_source), .kind = REMORA_SOURCE_PATH, .path = folder},
        {.struct_size = sizeof(remora_source), .kind = REMORA_SOURCE_PATH, .path = fixture},
        {.struct_size = sizeof(remora_source), .kind = REMORA_SOURCE_PATH, .path = "/nowhere"},
    };
    log_count log = {0};
    remora_error err = HOST_ERROR;
    const remora_runtime_opts o = {.struct_size = sizeof o,
                                   .n_threads = 2,
                                   .log = on_log,
                                   .log_user = &log,
                                   .log_level = REMORA_LOG_DEBUG};
    remora_runtime *rt = NULL;
    if (remora_runtime_create(&o, &rt, &err) < 0) _exit(10);
    for (size_t i = 0; i < 4; i++) {
        remora_model *m = NULL;
        if (sources[i].kind == REMORA_SOURCE_PATH && sources[i].path == NULL) continue;
        const remora_status st = remora_model_open(i % 2 ? rt : NULL, &sources[i], NULL, &m, &err);
        if ((st < 0) != (i == 3)) _exit(11);
        if (st < 0) continue;
        remora_token ids[40], out[4];
        size_t n;
        remora_sampler *p = NULL;
        const remora_gen_opts g = {.struct_size = sizeof g, .max_tokens = 4};
        remora_session *s = host_session(m, 64, 0);
        host_ids(ids, 40, host_vocab(m), 1);
        if (remora_sampler_create(m, 1, &p, &err) < 0) _exit(12);
        if (remora_session_append(s, ids, 40, REMORA_WANT_LAST, NULL) < 0) _exit(13);
        if (remora_generate(s, p, &g, out, 4, &n, &err) < 0) _exit(14);
        (void)remora_tokenize(m, "the end", 7, 0, ids, 40, &n, NULL);
        if (remora_session_append(s, out, 4, 0, NULL) < 0) _exit(18);
        host_ids(ids, 40, host_vocab(m), 1);
        if (remora_session_append(s, ids, 40, 0, NULL) != REMORA_E_FULL) _exit(15);
        remora_sampler_free(p);
        remora_session_free(s);
        remora_model_free(m);
    }
    for (uint64_t b = 0; b < t->n; b++) /* each file damaged */
        for (int how = 0; how < 3; how++) {
            remora_blob blobs[4];
            char junk[] = "{\"model_type\":\"deepseek_v3\",";
            memcpy(blobs, t->blobs, sizeof blobs);
            if (how == 0) blobs[b].size = blobs[b].size * 2 / 3;
            if (how == 1) blobs[b].size = 0;
            if (how == 2) blobs[b] = (remora_blob){blobs[b].name, junk, sizeof junk};
            remora_source src = t->source;
            remora_model *m = NULL;
            src.blobs = blobs;
            if (remora_model_open(rt, &src, NULL, &m, &err) >= 0) _exit(16);
        }
    remora_runtime_free(rt);
    if (atomic_load(&log.bad) != 0) _exit(17);
    _exit(0);
}

static uint64_t open_fds(void)
{
    uint64_t set = 0;
    for (int fd = 0; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) >= 0) set |= (uint64_t)1 << fd;
    return set;
}

static int wait_for(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void all_three_watched(void **state)
{
    tiny t;
    int pipe_fd[2];
    char folder[64], fixture[1024], got[256];
    (void)state;
    const int have = host_folder(fixture, sizeof fixture, "fixtures/v3");
    tiny_make(&t, NULL);
    tiny_folder_make(&t, folder, sizeof folder);
    assert_int_equal(pipe(pipe_fd), 0);
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (int fd = 0; fd < 3; fd++)
            if (dup2(pipe_fd[1], fd) < 0) _exit(9);
        whole_flow(&t, folder, have ? fixture : NULL);
    }
    close(pipe_fd[1]);
    const ssize_t n = read(pipe_fd[0], got, sizeof got - 1);
    assert_int_equal(wait_for(pid), 0);
    assert_int_equal(n, 0);
    close(pipe_fd[0]);
    tiny_folder_free(&t, folder);
    tiny_free(&t);
}

/* Without the three, files that the library opens get their numbers: nothing may be written there,
 * and they are closed afterwards. */
static void none_of_the_three(void **state)
{
    tiny t;
    char folder[64];
    (void)state;
    tiny_make(&t, NULL);
    tiny_folder_make(&t, folder, sizeof folder);
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (int fd = 0; fd < 3; fd++) close(fd);
        const pid_t inner = fork();
        int status = 0;
        if (inner == 0) whole_flow(&t, folder, NULL);
        if (inner < 0 || waitpid(inner, &status, 0) != inner || status != 0) _exit(8);
        remora_model *m = NULL;
        const uint64_t before = open_fds();
        const remora_source src = {
            .struct_size = sizeof src, .kind = REMORA_SOURCE_PATH, .path = folder};
        if (remora_model_open(NULL, &src, NULL, &m, NULL) < 0) _exit(7);
        remora_model_free(m);
        if (open_fds() != before) _exit(6);
        _exit(0);
    }
    assert_int_equal(wait_for(pid), 0);
    tiny_folder_free(&t, folder);

    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_three_watched),
        cmocka_unit_test(none_of_the_three),
    };
    return cmocka_run_group_tests_name("P8", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A quantised model stays as small in memory as it is stored: after opening, and after every weight
 * was used, the process has grown by at most 3 % more than the file holds (its tensors, and the
 * tokenizer) and 16 MB. Each case is a process of its own that looks at its resident set. What is
 * small is opened often enough to stand out beside the 16 MB.
 *
 * Arguments: none, or what test/golden/gguf.sh gives: a model, a GGUF file of it and anything. */
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "host.h"

/* What is not weights: activations and cache, whose huge pages of 2 MB come whole wherever a byte
 * is touched. Less than a second copy of the smallest file, which is what must not happen. */
enum { N = 64, MAX_MODELS = 16, SPARE = 24 << 20 };

static const char *gguf;

static uint64_t file_size(const char *path)
{
    struct stat st;
    REQUIRE(stat(path, &st) == 0);
    return (uint64_t)st.st_size;
}

static uint64_t resident(void)
{
    char line[256];
    unsigned long long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    REQUIRE(f != NULL);
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmRSS: %llu kB", &kb) == 1) break;
    fclose(f);
    REQUIRE(kb > 0);
    return kb << 10;
}

static void within(uint64_t was, uint64_t limit, const char *when, const char *what)
{
    const uint64_t now = resident(), grown = now > was ? now - was : 0;
    printf("%s, %s: %.1f MB, limit %.1f MB\n", what, when, (double)grown * 1e-6,
           (double)limit * 1e-6);
    if (grown <= limit) return;
    fflush(stdout);
    abort();
}

/* In the child: `count` models of the source, whose file has `bytes`. */
static void open_and_look(const char *path, uint64_t bytes, uint32_t flags, int count,
                          const char *what)
{
    const remora_source src = host_path_source(path);
    const remora_model_opts o = {.struct_size = sizeof o, .flags = flags};
    const uint64_t limit = (uint64_t)count * bytes * 103 / 100 + SPARE, was = resident();
    remora_runtime *rt = host_runtime(NULL, 2, NULL);
    remora_model *m[MAX_MODELS];
    remora_token ids[N];
    for (int i = 0; i < count; i++) {
        remora_error err = HOST_ERROR;
        REQUIRE_OK(remora_model_open(rt, &src, &o, &m[i], &err), &err);
    }
    within(was, limit, "opened", what);
    host_ids(ids, N, host_vocab(m[0]), 17);
    free(host_logits(m[0], ids, N)); /* one: activations are a model's own, and not the point */
    within(was, limit, "used", what);
}

static void look(const char *path, uint64_t bytes, uint32_t flags, int count, const char *what)
{
    int how = 0;
    fflush(stdout);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        open_and_look(path, bytes, flags, count, what);
        fflush(stdout);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    if (!WIFEXITED(how) || WEXITSTATUS(how) != 0) fail_msg("%s: status 0x%x", what, how);
}

/* A child's before has what the parent left behind: conversions have a child of their own. */
static void pack_it(const char *from, const char *to)
{
    int how = 0;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const remora_source src = host_path_source(from);
        remora_runtime *rt = host_runtime(NULL, 2, NULL);
        host_convert(rt, &src, to, "experts-q4", 0);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_int_equal(how, 0);
}

static void fp8(void **state)
{
    char folder[1024], file[1100];
    (void)state;
    assert_true(host_folder(folder, sizeof folder, "fixtures/v3-fp8"));
    snprintf(file, sizeof file, "%s/model.safetensors", folder);
    look(folder, file_size(file), 0, MAX_MODELS, "FP8 folder");
    look(folder, file_size(file), REMORA_MODEL_NO_MMAP, MAX_MODELS, "FP8 folder, read");
}

static void pack(void **state)
{
    char folder[1024], dir[HOST_DIR], path[HOST_DIR + 16];
    (void)state;
    assert_true(host_folder(folder, sizeof folder, "krill"));
    host_dir_make(dir);
    snprintf(path, sizeof path, "%s/model.remora", dir);
    pack_it(folder, path);
    look(path, file_size(path), 0, 1, "pack");
    look(path, file_size(path), REMORA_MODEL_NO_MMAP, 1, "pack, read");
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

static void gguf_file(void **state)
{
    (void)state;
    look(gguf, file_size(gguf), 0, 1, "GGUF file");
    look(gguf, file_size(gguf), REMORA_MODEL_NO_MMAP, 1, "GGUF file, read");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fp8), cmocka_unit_test(pack)};
    const struct CMUnitTest gguf_tests[] = {cmocka_unit_test(gguf_file)};
    gguf = argc > 2 ? argv[2] : NULL;
    return gguf != NULL
               ? cmocka_run_group_tests_name("resident memory, GGUF", gguf_tests, NULL, NULL)
               : cmocka_run_group_tests_name("resident memory", tests, NULL, NULL);
}

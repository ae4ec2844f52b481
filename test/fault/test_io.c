/* SPDX-License-Identifier: Apache-2.0 */
/* The host's storage fails: call k of io_size and io_read returns a failure, for all k, alone or
 * with all that follow. Always a status and no leak, and the same source opens when it works again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "sweep.h"

enum { N = 40 };

/* What a file that cannot be read may mean: E_NOT_FOUND from io_size says that there is no such
 * file, which is legal for some. */
static int is_expected(remora_status st, remora_status with)
{
    if (st == REMORA_E_CALLBACK) return 1;
    if (with != REMORA_E_NOT_FOUND) return 0;
    return st == REMORA_OK || st == REMORA_E_NOT_FOUND || st == REMORA_E_FORMAT;
}

static void check_works(remora_runtime *rt, const remora_source *src, const remora_token *ids,
                        const float *expect)
{
    remora_model *m = host_open(rt, src);
    float *got = host_logits(m, ids, N);
    assert_memory_equal(got, expect, (size_t)N * host_vocab(m) * sizeof *got);
    free(got);
    remora_model_free(m);
}

static long sweep(const remora_blob *blobs, uint64_t n, uint32_t flags, remora_status with, int how,
                  long step)
{
    tmem mem = {0};
    remora_token ids[N];
    host_io io = {.blobs = blobs, .n = n, .with = with, .only = how == SWEEP_ONE};
    const remora_source src = host_io_source(&io);
    const remora_model_opts o = {.struct_size = sizeof o, .flags = flags};
    remora_runtime *rt = host_runtime(&mem, 2, NULL);
    const long before = atomic_load(&mem.blocks);
    remora_model *m = host_open(rt, &src);
    host_ids(ids, N, host_vocab(m), 2);
    float *expect = host_logits(m, ids, N);
    remora_model_free(m);
    long k = 1;
    for (;; k += step) {
        remora_error err = HOST_ERROR;
        m = (void *)&mem;
        atomic_store(&io.calls, 0);
        io.fail_at = k;
        const remora_status st = remora_model_open(rt, &src, &o, &m, &err);
        const int hit = atomic_load(&io.calls) >= k;
        io.fail_at = 0;
        assert_true(hit ? is_expected(st, with) : st == REMORA_OK);
        if (st < 0) {
            assert_null(m);
            assert_int_equal(err.code, st);
            assert_non_null(strchr(err.message, ':')); /* names the file */
        }
        remora_model_free(m);
        assert_int_equal(atomic_load(&mem.blocks), before);
        if (!hit) break;
        if (k % 16 == 1) check_works(rt, &src, ids, expect);
    }
    free(expect);
    remora_runtime_free(rt);
    assert_int_equal(atomic_load(&mem.bytes), 0);
    return k;
}

static const remora_status failures[] = {
    REMORA_E_IO, REMORA_E_NOT_FOUND, REMORA_MORE, REMORA_E_CANCELLED, -12345, 77};

static void made_up(void **state)
{
    (void)state;
    static const tiny_opts kinds[] = {{0},
                                      {.v2 = 1},
                                      {.dense = "qwen2"},
                                      {.form = TINY_SEES},
                                      {.form = TINY_FUSED},
                                      {.tiktoken = 1}};
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++) {
        tiny t;
        tiny_make(&t, &kinds[kind]);
        for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
            for (int how = SWEEP_ONE; how <= SWEEP_FROM; how++) {
                assert_true(sweep(t.blobs, t.n, 0, failures[i], how, 1) > 50);
                (void)sweep(t.blobs, t.n, REMORA_MODEL_NO_WEIGHTS, failures[i], how, 1);
            }
        tiny_free(&t);
    }
}

static void fixture(void **state)
{
    static const char *const files[] = {"config.json", "model.safetensors"};
    char folder[1024], name[1200];
    remora_blob blobs[2];
    (void)state;
    assert_true(host_folder(folder, sizeof folder, "fixtures/v2-lite"));
    for (int i = 0; i < 2; i++) {
        size_t size;
        snprintf(name, sizeof name, "%s/%s", folder, files[i]);
        unsigned char *data = host_file(name, &size);
        assert_non_null(data);
        blobs[i] = (remora_blob){files[i], data, size};
    }
    (void)sweep(blobs, 2, 0, REMORA_E_IO, SWEEP_ONE, 1);
    for (int i = 0; i < 2; i++) free((void *)(uintptr_t)blobs[i].data);
}

/* The estimate reads the same way. */
static void estimate(void **state)
{
    tiny t;
    tmem mem = {0};
    (void)state;
    tiny_make(&t, NULL);
    remora_runtime *rt = host_runtime(&mem, 1, NULL);
    const long before = atomic_load(&mem.blocks);
    host_io io = {.blobs = t.blobs, .n = t.n, .with = REMORA_E_IO};
    const remora_source src = host_io_source(&io);
    for (long k = 1;; k++) {
        remora_memory out = {.struct_size = sizeof out};
        atomic_store(&io.calls, 0);
        io.fail_at = k;
        const remora_status st = remora_model_estimate(rt, &src, NULL, NULL, 1, &out, NULL);
        assert_int_equal(atomic_load(&mem.blocks), before);
        if (atomic_load(&io.calls) < k) {
            assert_int_equal(st, REMORA_OK);
            break;
        }
        assert_int_equal(st, REMORA_E_CALLBACK);
    }
    remora_runtime_free(rt);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_up),
        cmocka_unit_test(estimate),
    };
    const struct CMUnitTest model_tests[] = {cmocka_unit_test(fixture)};
    return RUN_GROUPS("failing storage", tests, model_tests);
}

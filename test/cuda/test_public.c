/* SPDX-License-Identifier: Apache-2.0 */
/* GPUs as a host sees them: the module beside this program, opened by the public header's
 * functions, with a libcuda.so.1 in which kernels run in the emulator. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include <math.h>

#include "emulated_driver.h"
#include "groups.h"
#include "host.h"
#include "tiny.h"

enum { N = 9, MORE = 3, CAP = 64, OF_NOBODY = 0 };

static emulated_state *gpu; /* of the driver that the module opens */
static int (*current)(void);
static void (*enter_foreign)(void), (*leave_foreign)(void);

static void *stub_symbol(const char *name)
{
    void *stub = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL), *at = NULL;
    REQUIRE(stub != NULL);
    at = dlsym(stub, name);
    REQUIRE(at != NULL);
    return at;
}

static int find_stub(void **state)
{
    emulated_state *(*get)(void);
    (void)state;
    *(void **)(void *)&get = stub_symbol("stub_state");
    *(void **)(void *)&current = stub_symbol("stub_current");
    *(void **)(void *)&enter_foreign = stub_symbol("stub_enter_foreign");
    *(void **)(void *)&leave_foreign = stub_symbol("stub_leave_foreign");
    gpu = get();
    return 0;
}

typedef struct world {
    tmem mem;
    char log[400];
    remora_runtime *rt;
    tiny t;
    remora_token ids[N + MORE];
} world;

static void REMORA_CALL keep_log(void *user, int32_t level, const char *msg, size_t len)
{
    world *w = user;
    (void)level, (void)len;
    snprintf(w->log, sizeof w->log, "%s", msg);
}

static void runtime_make(world *w, const char *module, const char *words)
{
    const remora_option extra = host_option("x-cuda", words != NULL ? words : "");
    remora_runtime_opts o = host_runtime_opts(&w->mem, 2);
    remora_error err = HOST_ERROR;
    o.log_user = w;
    o.log = keep_log;
    o.cuda_module = module;
    o.extra = &extra;
    o.n_extra = words != NULL;
    REQUIRE_OK(remora_runtime_create(&o, &w->rt, &err), &err);
}

static void world_make(world *w, const tiny_opts *kind, const char *words)
{
    *w = (world){0};
    runtime_make(w, NULL, words);
    tiny_make(&w->t, kind);
    host_ids(w->ids, N + MORE, TINY_TEXT_VOCAB, 1);
}

static int any_is_loaded(void)
{
    char line[1200];
    int found = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps) != NULL) found |= strstr(line, "/libremora-cuda") != NULL;
    fclose(maps);
    return found;
}

static void world_end(world *w)
{
    remora_runtime_free(w->rt);
    assert_int_equal(atomic_load(&w->mem.bytes), 0);
    assert_false(any_is_loaded());
    tiny_free(&w->t);
    assert_int_equal(gpu->blocks_in_use, 0);
    assert_int_equal(gpu->memory_in_use, 0);
    assert_int_equal(gpu->registered, 0);
    assert_int_equal(gpu->streams, 0);
    assert_int_equal(gpu->events, 0);
    assert_int_equal(gpu->graphs, 0);
}

static remora_status open_on(world *w, const char *device, remora_model **m, remora_error *err)
{
    const remora_model_opts o = {.struct_size = sizeof o, .device = device};
    return remora_model_open(w->rt, &w->t.source, &o, m, err);
}

/* Logits of the ids on a device, as host_logits(). */
static float *logits_on(world *w, const char *device)
{
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    REQUIRE_OK(open_on(w, device, &m, &err), &err);
    float *out = host_logits(m, w->ids, N);
    remora_model_free(m);
    return out;
}

/* ---- finding GPUs ---- */

static void gpus_are_listed(void **state)
{
    remora_device d = {.struct_size = sizeof d};
    world w;
    (void)state;
    gpu->gpus = 2;
    world_make(&w, NULL, NULL);
    assert_int_equal(remora_device_count(w.rt), 3);
    assert_int_equal(remora_device_get(w.rt, 0, &d, NULL), REMORA_OK);
    assert_int_equal(d.kind, REMORA_DEVICE_CPU);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(remora_device_get(w.rt, 1 + i, &d, NULL), REMORA_OK);
        assert_int_equal(d.kind, REMORA_DEVICE_CUDA);
        assert_string_equal(d.id, i == 0 ? "cuda:0" : "cuda:1");
        assert_string_equal(d.name, "emulated");
        assert_string_equal(d.paths, "sm_90");
        assert_int_equal(d.mem_total, gpu->memory);
        assert_int_equal(d.mem_free, gpu->memory);
        assert_int_equal(d.usable, REMORA_OK);
        assert_string_equal(d.reason, "");
    }
    assert_int_equal(remora_device_get(w.rt, 3, &d, NULL), REMORA_E_NOT_FOUND);
    world_end(&w);
    gpu->gpus = 1;
}

static void nothing_is_opened_before_it_is_asked_for(void **state)
{
    const long calls = gpu->calls;
    world w;
    (void)state;
    world_make(&w, NULL, NULL);
    free(logits_on(&w, NULL));
    free(logits_on(&w, "cpu"));
    assert_int_equal(gpu->calls, calls);
    assert_false(any_is_loaded());
    assert_int_equal(remora_device_count(w.rt), 2);
    assert_true(any_is_loaded());
    assert_int_equal(gpu->blocks_in_use, 0); /* listed, not opened */
    world_end(&w);
}

static void is_not_there(world *w, const char *says)
{
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    assert_int_equal(open_on(w, "cuda", &m, &err), REMORA_E_UNSUPPORTED);
    assert_null(m);
    if (strstr(err.message, says) == NULL) fail_msg("%s: no \"%s\"", err.message, says);
    if (strstr(w->log, says) == NULL) fail_msg("log: %s: no \"%s\"", w->log, says);
    assert_int_equal(remora_device_count(w->rt), 1);
    free(logits_on(w, NULL));
}

static void what_is_missing_is_said(void **state)
{
    static const struct {
        const char *module, *words, *says;
    } cases[] = {{"", NULL, "made without GPUs"},
                 {"/nowhere/gpus.so", NULL, "/nowhere/gpus.so cannot be opened"},
                 {"nowhere.so", NULL, "nowhere.so cannot be opened"},
                 {NULL, "exact quickly", "\"quickly\" is not known"}};
    world w;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        world_make(&w, NULL, NULL);
        remora_runtime_free(w.rt);
        runtime_make(&w, cases[i].module, cases[i].words);
        is_not_there(&w, cases[i].says);
        world_end(&w);
    }
    gpu->gpus = 0;
    world_make(&w, NULL, NULL);
    is_not_there(&w, "there is no GPU");
    gpu->gpus = 1;
    is_not_there(&w, "there is no GPU"); /* it is looked for once */
    world_end(&w);
}

/* ---- the same models ---- */

static double distance(const float *a, const float *b, size_t n)
{
    double d = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        d += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        all += (double)b[i] * b[i];
    }
    return sqrt(d / all);
}

static void agree(world *w, size_t n, double limit)
{
    float *const cpu = logits_on(w, NULL), *const cuda = logits_on(w, "cuda");
    const double d = distance(cuda, cpu, n);
    print_message("distance %.2g, of at most %g\n", d, limit);
    assert_true(d > 0 && d <= limit);
    free(cpu);
    free(cuda);
}

static void models_agree_with_the_cpu(void **state)
{
    static const tiny_opts kinds[] = {
        {0}, {.v2 = 1}, {.dense = "llama"}, {.dense = "qwen3"}, {.dtype = "F16"}, {.dtype = "F32"}};
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (int exact = 0; exact < 2; exact++) {
            world w;
            world_make(&w, &kinds[i], exact ? "exact" : NULL);
            agree(&w, (size_t)N * TINY_TEXT_VOCAB, exact ? 1e-4 : 5e-2);
            world_end(&w);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gpus_are_listed),
        cmocka_unit_test(nothing_is_opened_before_it_is_asked_for),
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(models_agree_with_the_cpu),
    };
    return cmocka_run_group_tests_name("public", tests, find_stub, NULL);
}

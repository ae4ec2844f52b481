/* SPDX-License-Identifier: Apache-2.0 */
/* Backends in modules: one is opened, lists its devices and has the bits of the library's own; what
 * is no module, or one of another version, is refused and leaves nothing behind. Arguments: the
 * folder of the modules (this program's), and a file that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "groups.h"
#include "host.h"
#include "runtime.h"
#include "tiny.h"

enum { N = 50 };

static const char *folder, *no_object;

typedef struct world {
    tmem mem;
    char log[256];
    remora_runtime *rt;
} world;

static void REMORA_CALL keep_log(void *user, int32_t level, const char *msg, size_t len)
{
    world *w = user;
    (void)level, (void)len;
    snprintf(w->log, sizeof w->log, "%s", msg);
}

static void world_make(world *w)
{
    *w = (world){0};
    remora_runtime_opts o = host_runtime_opts(&w->mem, 2);
    o.log_user = w;
    o.log = keep_log;
    REQUIRE_OK(remora_runtime_create(&o, &w->rt, NULL), NULL);
}

/* Is any of the modules mapped into this process? */
static int any_is_loaded(void)
{
    return host_maps("/module_");
}

static void world_end(world *w)
{
    remora_runtime_free(w->rt);
    assert_int_equal(atomic_load(&w->mem.bytes), 0);
    assert_false(any_is_loaded());
}

static const char *path_of(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* Logits of a source on a device. */
static float *logits_on(remora_runtime *rt, const remora_source *src, const char *device,
                        size_t *bytes)
{
    const remora_model_opts o = {.struct_size = sizeof o, .device = device};
    remora_error err = HOST_ERROR;
    remora_model *m = NULL;
    remora_token ids[N];
    REQUIRE_OK(remora_model_open(rt, src, &o, &m, &err), &err);
    host_ids(ids, N, host_vocab(m), 1);
    float *out = host_logits(m, ids, N);
    *bytes = N * host_vocab(m) * sizeof *out;
    remora_model_free(m);
    return out;
}

static void has_the_bits_of_the_cpu(world *w, const remora_source *src)
{
    static const char *const devices[] = {"cpu", "wrap", "wrap:1"};
    float *got[3];
    size_t bytes = 0;
    for (int i = 0; i < 3; i++) got[i] = logits_on(w->rt, src, devices[i], &bytes);
    for (int i = 1; i < 3; i++) assert_memory_equal(got[i], got[0], bytes);
    for (int i = 0; i < 3; i++) free(got[i]);
}

static void a_module_is_opened(void **state)
{
    static const tiny_opts kinds[] = {{0}, {.dense = "qwen3"}};
    remora_device d = {.struct_size = sizeof d};
    world w;
    (void)state;
    world_make(&w);
    REQUIRE_OK(rmr_runtime_add_module(w.rt, path_of("module_good.so"), NULL), NULL);
    assert_string_equal(w.log, "the module is open");
    assert_true(any_is_loaded());
    assert_int_equal(remora_device_count(w.rt), 3);
    assert_int_equal(remora_device_get(w.rt, 0, &d, NULL), REMORA_OK);
    assert_string_equal(d.id, "cpu");
    assert_int_equal(remora_device_get(w.rt, 2, &d, NULL), REMORA_OK);
    assert_string_equal(d.id, "wrap:1");
    for (size_t i = 0; i < 2; i++) {
        tiny t;
        tiny_make(&t, &kinds[i]);
        has_the_bits_of_the_cpu(&w, &t.source);
        tiny_free(&t);
    }
    world_end(&w);
    assert_string_equal(w.log, "the module is closed");
}

static void fixtures(void **state)
{
    static const char *const names[] = {"fixtures/v3", "fixtures/v3-fp8", "fixtures/qwen2"};
    world w;
    (void)state;
    world_make(&w);
    REQUIRE_OK(rmr_runtime_add_module(w.rt, path_of("module_good.so"), NULL), NULL);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[1024];
        REQUIRE(host_folder(path, sizeof path, names[i]));
        const remora_source src = host_path_source(path);
        has_the_bits_of_the_cpu(&w, &src);
    }
    world_end(&w);
}

/* A name alone is a file beside this program, which the library is part of. */
static void a_name_is_looked_for_beside_the_library(void **state)
{
    remora_error err = HOST_ERROR;
    world w;
    (void)state;
    world_make(&w);
    REQUIRE_OK(rmr_runtime_add_module(w.rt, "module_good.so", &err), &err);
    assert_int_equal(remora_device_count(w.rt), 3);
    assert_int_equal(rmr_runtime_add_module(w.rt, "module_none.so", &err), REMORA_E_NOT_FOUND);
    world_end(&w);
}

static void refused(world *w, const char *path, remora_status st, const char *says)
{
    remora_error err = HOST_ERROR;
    const long blocks = atomic_load(&w->mem.blocks);
    assert_int_equal(rmr_runtime_add_module(w->rt, path, &err), st);
    if (strstr(err.message, says) == NULL) fail_msg("%s: no \"%s\"", err.message, says);
    assert_int_equal(remora_device_count(w->rt), 1);
    assert_int_equal(w->rt->n_modules, 0);
    assert_false(any_is_loaded());
    assert_int_equal(atomic_load(&w->mem.blocks), blocks);
}

static void what_is_no_module_is_refused(void **state)
{
    world w;
    (void)state;
    world_make(&w);
    refused(&w, "/nowhere/module.so", REMORA_E_NOT_FOUND, "/nowhere/module.so cannot be opened");
    refused(&w, no_object, REMORA_E_FORMAT, "cannot be loaded");
    refused(&w, folder, REMORA_E_FORMAT, "cannot be loaded");
    refused(&w, path_of("module_no_door.so"), REMORA_E_FORMAT, "no function rmr_module_open");
    refused(&w, path_of("module_other_library.so"), REMORA_E_UNSUPPORTED, "of its own version");
    refused(&w, path_of("module_other_boundary.so"), REMORA_E_UNSUPPORTED, "of its own version");
    refused(&w, path_of("module_other_sizes.so"), REMORA_E_UNSUPPORTED, "of its own version");
    refused(&w, path_of("module_refuses.so"), REMORA_E_DEVICE, "there is no driver");
    refused(&w, path_of("module_second_fails.so"), REMORA_E_DEVICE, "the second device is broken");
    refused(&w, path_of("module_old_functions.so"), REMORA_E_UNSUPPORTED, "bytes of functions");
    REQUIRE_OK(rmr_runtime_add_module(w.rt, path_of("module_good.so"), NULL), NULL);
    world_end(&w);
}

static void limits(void **state)
{
    remora_error err = HOST_ERROR;
    world w;
    (void)state;
    world_make(&w);
    for (int i = 0; i < RMR_MAX_MODULES; i++)
        REQUIRE_OK(rmr_runtime_add_module(w.rt, path_of("module_good.so"), &err), &err);
    assert_int_equal(rmr_runtime_add_module(w.rt, path_of("module_good.so"), &err),
                     REMORA_E_UNSUPPORTED);
    assert_int_equal(remora_device_count(w.rt), 1 + 2 * RMR_MAX_MODULES);
    world_end(&w);
}

static void memory_runs_out(void **state)
{
    world w;
    (void)state;
    for (long k = 1, hit = 1; hit; k++) {
        world_make(&w);
        const long blocks = atomic_load(&w.mem.blocks);
        tmem_arm(&w.mem, k);
        const remora_status st = rmr_runtime_add_module(w.rt, path_of("module_good.so"), NULL);
        hit = atomic_load(&w.mem.calls) >= k;
        tmem_arm(&w.mem, 0);
        assert_int_equal(st, hit ? REMORA_E_NOMEM : REMORA_OK);
        if (hit) assert_int_equal(atomic_load(&w.mem.blocks), blocks);
        world_end(&w);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_module_is_opened),
        cmocka_unit_test(a_name_is_looked_for_beside_the_library),
        cmocka_unit_test(what_is_no_module_is_refused),
        cmocka_unit_test(limits),
        cmocka_unit_test(memory_runs_out),
    };
    const struct CMUnitTest with_models[] = {cmocka_unit_test(fixtures)};
    if (argc != 3) return 2;
    folder = argv[1];
    no_object = argv[2];
    return RUN_GROUPS("modules", tests, with_models);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The devices of a runtime: their list, how a model names one, and what is left when one of them
 * cannot be made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "host.h"
#include "runtime.h"
#include "tiny.h"
#include "tmem.h"

/* A device of which only its description is ever asked. */
typedef struct fake {
    rmr_backend base;
    rmr_ctx *ctx;
    const char *id; /* NULL: it cannot be made */
    remora_status usable;
} fake;

static void fake_free(rmr_backend *be)
{
    fake *f = (fake *)be;
    rmr_free(&f->ctx->mem, f, sizeof *f);
}

static void fake_describe(rmr_backend *be, remora_device *out)
{
    const fake *f = (const fake *)be;
    snprintf(out->id, sizeof out->id, "%s", f->id);
    snprintf(out->name, sizeof out->name, "a fake");
    out->usable = f->usable;
    out->kind = strcmp(f->id, "cpu") == 0 ? REMORA_DEVICE_CPU : REMORA_DEVICE_CPU + 1;
}

static const rmr_backend_ops fake_ops = {RMR_BACKEND_HEAD, .free = fake_free,
                                         .describe = fake_describe};

static remora_status make_fake(void *user, rmr_ctx *ctx, const char *isa, rmr_backend **out,
                               remora_error *err)
{
    const fake *like = user;
    (void)isa;
    if (like->id == NULL) RMR_FAIL(err, REMORA_E_DEVICE, "the fake is broken");
    fake *f = rmr_calloc(&ctx->mem, 1, sizeof *f);
    if (f == NULL) return rmr_error_nomem(err, "fake", sizeof *f);
    *f = (fake){{.ops = &fake_ops}, ctx, like->id, like->usable};
    *out = &f->base;
    return REMORA_OK;
}

static remora_status create(tmem *mem, fake *fakes, uint32_t n, remora_runtime **out,
                            remora_error *err)
{
    rmr_device_maker makers[RMR_MAX_DEVICES + 1];
    const remora_runtime_opts o = host_runtime_opts(mem, 1);
    for (uint32_t i = 0; i < n; i++) makers[i] = (rmr_device_maker){make_fake, &fakes[i]};
    return rmr_runtime_create_with(&o, makers, n, out, err);
}

static fake three[] = {{.id = "cpu"},
                       {.id = "gpu:0", .usable = REMORA_E_DEVICE},
                       {.id = "gpux:1"},
                       {.id = "tpu:0"},
                       {.id = "tpu:1"}};
enum { N = sizeof three / sizeof three[0] };

static void is_device(remora_runtime *rt, const char *id, uint32_t expect)
{
    rmr_backend *be = NULL;
    assert_int_equal(rmr_runtime_backend(rt, id, &be, NULL), REMORA_OK);
    assert_ptr_equal(be, rt->backends[expect]);
}

static void is_refused(remora_runtime *rt, const char *id, remora_status st, const char *says)
{
    remora_error err = HOST_ERROR;
    rmr_backend *be = (rmr_backend *)rt;
    assert_int_equal(rmr_runtime_backend(rt, id, &be, &err), st);
    assert_null(be);
    if (strstr(err.message, says) == NULL) fail_msg("%s: no %s", err.message, says);
}

static void devices_are_found_by_id(void **state)
{
    remora_runtime *rt = NULL;
    remora_device d = {.struct_size = sizeof d};
    tmem mem = {0};
    (void)state;
    assert_int_equal(create(&mem, three, N, &rt, NULL), REMORA_OK);
    assert_int_equal(remora_device_count(rt), N);
    assert_int_equal(remora_device_get(rt, 4, &d, NULL), REMORA_OK);
    assert_string_equal(d.id, "tpu:1");
    assert_int_equal(remora_device_get(rt, N, &d, NULL), REMORA_E_NOT_FOUND);
    is_device(rt, NULL, 0);
    is_device(rt, "cpu", 0);
    is_device(rt, "auto", 2); /* not the CPU, nor one that cannot be used */
    is_device(rt, "tpu", 3);
    is_device(rt, "tpu:1", 4);
    is_refused(rt, "gpu", REMORA_E_DEVICE, "\"gpu:0\" (a fake) cannot be used");
    is_refused(rt, "tp", REMORA_E_UNSUPPORTED, "\"tp\"");
    is_refused(rt, "tpu:", REMORA_E_UNSUPPORTED,
               "there are \"cpu\", \"gpu:0\", \"gpux:1\", \"tpu:0\", \"tpu:1\"");
    is_refused(rt, "", REMORA_E_UNSUPPORTED, "\"\"");
    remora_runtime_free(rt);
    assert_int_equal(atomic_load(&mem.bytes), 0);
}

/* The runtime is not made, and what was made of it is gone. */
static void a_device_that_fails(void **state)
{
    fake many[RMR_MAX_DEVICES + 1], broken[] = {three[0], three[3], {.id = NULL}};
    remora_error err = HOST_ERROR;
    remora_runtime *rt = NULL;
    tmem mem = {0};
    (void)state;
    for (int i = 0; i <= RMR_MAX_DEVICES; i++) many[i] = three[0];
    assert_int_equal(create(&mem, many, RMR_MAX_DEVICES + 1, &rt, &err), REMORA_E_UNSUPPORTED);
    assert_null(rt);
    assert_int_equal(create(&mem, broken, 3, &rt, &err), REMORA_E_DEVICE);
    assert_string_equal(err.message, "the fake is broken");
    assert_null(rt);
    assert_int_equal(atomic_load(&mem.bytes), 0);
    assert_int_equal(create(&mem, many, RMR_MAX_DEVICES, &rt, &err), REMORA_OK);
    remora_runtime_free(rt);
    assert_int_equal(atomic_load(&mem.bytes), 0);
}

/* A model opens on the device that its options name. */
static void a_model_names_its_device(void **state)
{
    remora_error err = HOST_ERROR;
    remora_model_opts o = {.struct_size = sizeof o, .device = "cpu:1"};
    remora_model_info info = {.struct_size = sizeof info};
    remora_model *m = NULL;
    tiny t;
    (void)state;
    tiny_make(&t, NULL);
    assert_int_equal(remora_model_open(NULL, &t.source, &o, &m, &err), REMORA_E_UNSUPPORTED);
    assert_string_equal(err.message, "device \"cpu:1\" is not there; there are \"cpu\"");
    assert_null(m);
    o.device = "auto"; /* there is none but the CPU */
    assert_int_equal(remora_model_open(NULL, &t.source, &o, &m, &err), REMORA_OK);
    assert_int_equal(remora_model_get_info(m, &info, NULL), REMORA_OK);
    assert_string_equal(info.device, "cpu");
    remora_model_free(m);
    tiny_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_found_by_id),
        cmocka_unit_test(a_device_that_fails),
        cmocka_unit_test(a_model_names_its_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A module for tests: the CPU backend twice, as the devices "wrap:0" and "wrap:1", built in several
 * ways that have to be refused. MODULE says which. */
#include <stdio.h>

#include "cpu.h"
#include "handshake.h"

enum { GOOD, OTHER_LIBRARY, OTHER_BOUNDARY, OTHER_SIZES, REFUSES, SECOND_FAILS, OLD_FUNCTIONS };
enum { DEVICES = 2 };

#ifndef MODULE_HAS_NO_DOOR

/* The CPU's functions with another description each. */
typedef struct wrap {
    rmr_ctx *ctx;
    rmr_backend_ops ops[DEVICES];
    void (*describe)(rmr_backend *be, remora_device *out);
} wrap;

/* The description of a device is that of the CPU, whose free memory nobody can know twice. */
static void describe(rmr_backend *be, remora_device *out, int device)
{
    const wrap *w =
        (const wrap *)(const void *)((const char *)(be->ops - device) - offsetof(wrap, ops));
    w->describe(be, out);
    snprintf(out->id, sizeof out->id, "wrap:%d", device);
}

static void describe_0(rmr_backend *be, remora_device *out)
{
    describe(be, out, 0);
}

static void describe_1(rmr_backend *be, remora_device *out)
{
    describe(be, out, 1);
}

static remora_status make(void *user, uint32_t device, rmr_backend **out, remora_error *err)
{
    wrap *w = user;
    if (MODULE == SECOND_FAILS && device == 1)
        RMR_FAIL(err, REMORA_E_DEVICE, "the second device is broken");
    RMR_TRY(rmr_cpu_create(w->ctx, NULL, NULL, out, err));
    w->ops[device] = *(*out)->ops;
    w->describe = w->ops[device].describe;
    w->ops[device].describe = device == 0 ? describe_0 : describe_1;
    if (MODULE == OLD_FUNCTIONS) w->ops[device].size -= (uint32_t)sizeof(void *);
    (*out)->ops = &w->ops[device];
    return REMORA_OK;
}

static void close_wrap(void *user)
{
    wrap *w = user;
    rmr_log_write(&w->ctx->log, REMORA_LOG_INFO, "the module is closed");
    rmr_free(&w->ctx->mem, w, sizeof *w);
}

static rmr_match match(void)
{
    rmr_match m = rmr_match_here();
    m.library += MODULE == OTHER_LIBRARY;
    m.boundary += MODULE == OTHER_BOUNDARY;
    m.sizes += MODULE == OTHER_SIZES;
    return m;
}

__attribute__((visibility("default"))) rmr_module_open_fn rmr_module_open;

remora_status rmr_module_open(const rmr_host *host, rmr_module *out, remora_error *err)
{
    out->match = match();
    if (!rmr_match_is(host->match, out->match))
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "the module is of another version");
    if (MODULE == REFUSES) RMR_FAIL(err, REMORA_E_DEVICE, "there is no driver");
    wrap *w = rmr_calloc(&host->ctx->mem, 1, sizeof *w);
    if (w == NULL) return rmr_error_nomem(err, "module", sizeof *w);
    w->ctx = host->ctx;
    out->n_devices = DEVICES;
    out->user = w;
    out->make = make;
    out->close = close_wrap;
    rmr_log_write(&w->ctx->log, REMORA_LOG_INFO, "the module is open");
    return REMORA_OK;
}

#endif

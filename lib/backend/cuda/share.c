/* SPDX-License-Identifier: Apache-2.0 */
/* Sharing a GPU with a host that uses it too: the backend's context, its multiprocessors, and the
 * priority of its streams. */
#include <string.h>

#include "cuda.h"

/* The numbers of multiprocessors into which the driver cuts a GPU. A driver older than these fields
 * says 0; then the guideline of NVIDIA's cuda.h holds. */
static void parts_of(const rmr_cuda *c, const rmr_cu_resource *all, unsigned *least, unsigned *step)
{
    *least = all->sm.least > 0 ? all->sm.least : c->major >= 9 ? 8 : 4;
    *step = all->sm.step > 0 ? all->sm.step : c->major >= 9 ? 8 : 2;
}

static int has_green_contexts(const rmr_cu_driver *d)
{
    int all = 1;
#define X(name, symbol, parameters) all &= d->name != NULL;
    RMR_CU_GREEN_FUNCTIONS(X)
#undef X
    return all;
}

remora_status rmr_cuda_limit(rmr_cuda *c, int sms, remora_error *err)
{
    const rmr_cu_driver *const d = &c->d;
    rmr_cu_resource all, part, rest;
    unsigned least, step, n = 1;
    if (sms == 0 || sms >= c->sms) return REMORA_OK;
    if (!has_green_contexts(d))
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "sms=%d: NVIDIA's driver has no green contexts; CUDA 12.5 and later have them",
                 sms);
    memset(&all, 0, sizeof all);
    memset(&part, 0, sizeof part);
    RMR_TRY(rmr_cuda_check(c, d->device_resource(c->device, &all, RMR_CU_RESOURCE_SMS),
                           "cuDeviceGetDevResource", err));
    parts_of(c, &all, &least, &step);
    const unsigned want = (unsigned)sms / step * step;
    if (want < least)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "sms=%d: the GPU is cut into %u multiprocessors at the least", sms, least);
    RMR_TRY(rmr_cuda_check(c, d->split_sms(&part, &n, &all, &rest, 0, want),
                           "cuDevSmResourceSplitByCount", err));
    if (n != 1 || part.sm.count == 0 || part.sm.count > (unsigned)sms)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "sms=%d: the least that the driver cuts off is %u", sms,
                 part.sm.count);
    c->part = part;
    c->sms = (int)part.sm.count;
    return REMORA_OK;
}

/* A new context is current to the thread that makes it. */
static remora_status make_context(rmr_cuda *c, remora_error *err)
{
    rmr_cu_context made;
    RMR_TRY(
        rmr_cuda_check(c, c->d.context_create(&c->context, 0, c->device), "making a context", err));
    return rmr_cuda_check(c, c->d.context_pop(&made), "making a context", err);
}

remora_status rmr_cuda_context_open(rmr_cuda *c, remora_error *err)
{
    if (c->own_context) return make_context(c, err);
    return rmr_cuda_check(c, c->d.context_retain(&c->context, c->device), "opening the context",
                          err);
}

void rmr_cuda_context_close(rmr_cuda *c)
{
    if (c->own_context)
        (void)c->d.context_destroy(c->context);
    else
        (void)c->d.context_release(c->device);
}

static remora_status choose_priority(rmr_cuda *c, remora_error *err)
{
    int least = 0, greatest = 0;
    if (c->priority == RMR_CUDA_PRIORITY_ANY) return REMORA_OK;
    RMR_TRY(
        rmr_cuda_check(c, c->d.priority_range(&least, &greatest), "asking for priorities", err));
    if (least == greatest)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s has no priorities of streams", c->id);
    c->stream_priority = c->priority == RMR_CUDA_PRIORITY_LOW ? least : greatest;
    return REMORA_OK;
}

remora_status rmr_cuda_share(rmr_cuda *c, remora_error *err)
{
    rmr_cu_resource_desc desc;
    RMR_TRY(choose_priority(c, err));
    if (c->part.sm.count == 0) return REMORA_OK;
    RMR_TRY(rmr_cuda_check(c, c->d.resource_desc(&desc, &c->part, 1), "describing multiprocessors",
                           err));
    return rmr_cuda_check(
        c, c->d.green_create(&c->green, desc, c->device, RMR_CU_GREEN_DEFAULT_STREAM),
        "making a green context", err);
}

void rmr_cuda_unshare(rmr_cuda *c)
{
    if (c->green != NULL) (void)c->d.green_destroy(c->green);
    c->green = NULL;
}

remora_status rmr_cuda_stream_new(rmr_cuda *c, rmr_cu_stream *out, remora_error *err)
{
    const rmr_cu_result r =
        c->green != NULL
            ? c->d.green_stream(out, c->green, RMR_CU_STREAM_NON_BLOCKING, c->stream_priority)
            : c->d.stream_create(out, RMR_CU_STREAM_NON_BLOCKING, c->stream_priority);
    return rmr_cuda_check(c, r, "making a stream", err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Library, runtime and devices. */
#include <stdio.h>
#include <string.h>

#include "checks.h"
#include "runtime.h"
#include "version.h"

uint32_t remora_version(void)
{
    return REMORA_VERSION_NUM;
}

const char *remora_version_string(void)
{
    return RMR_VERSION;
}

const char *remora_build_info(void)
{
    return "remora " RMR_VERSION
#if defined(__clang__)
           ", clang " __clang_version__
#elif defined(__GNUC__)
           ", gcc " __VERSION__
#endif
#if defined(__x86_64__)
           ", x86-64"
#elif defined(__aarch64__)
           ", aarch64"
#endif
#ifdef RMR_DEBUG
           ", asserts"
#endif
           ", backends: cpu (" RMR_KERNEL_SETS ")";
}

remora_status remora_abi_check(uint32_t header_version)
{
    const uint32_t major = header_version >> 24, minor = header_version >> 16 & 0xff;
    return major == REMORA_VERSION_MAJOR && minor <= REMORA_VERSION_MINOR ? REMORA_OK
                                                                          : REMORA_E_STRUCT;
}

const char *remora_status_name(remora_status s)
{
    return rmr_status_name(s);
}

remora_status rmr_api_room(const char *what, size_t cap, size_t n, remora_error *err)
{
    if (cap < n)
        RMR_FAIL(err, REMORA_E_BUFFER, "%s has room for %zu elements, %zu are needed", what, cap,
                 n);
    return REMORA_OK;
}

static remora_status create_runtime(const remora_runtime_opts *o, remora_runtime **out,
                                    remora_error *err)
{
    RMR_NEED(out != NULL, err, "out is NULL");
    if (o->flags != 0) RMR_FAIL(err, REMORA_E_STRUCT, "runtime flags 0x%x are not known", o->flags);
    const int hooks = (o->alloc != NULL) + (o->resize != NULL) + (o->dealloc != NULL);
    RMR_NEED(hooks == 0 || hooks == 3, err, "alloc, resize and dealloc: all three or none");
    RMR_NEED(o->n_threads >= 0, err, "n_threads is negative");
    RMR_NEED(o->log_level >= 0 && o->log_level <= REMORA_LOG_DEBUG, err,
             "log_level is out of range");
    return rmr_runtime_create(o, out, err);
}

remora_status remora_runtime_create(const remora_runtime_opts *opts, remora_runtime **out,
                                    remora_error *err)
{
    remora_runtime_opts o;
    if (out != NULL) *out = NULL;
    remora_status st = RMR_READ(remora_runtime_opts, o, opts, err);
    if (st >= 0) st = create_runtime(&o, out, err);
    if (st < 0) rmr_release_call((rmr_release){o.release, o.release_user});
    return st;
}

void remora_runtime_free(remora_runtime *rt)
{
    rmr_runtime_unref(rt);
}

static const char *why_threads(const remora_runtime *rt)
{
    switch (rmr_pool_because(rt->ctx.pool)) {
    case RMR_POOL_ASKED: return "as n_threads says";
    case RMR_POOL_CGROUP: return "the limit of the cgroup";
    case RMR_POOL_NO_THREADS: return "the system gives no more";
    default: return "the cores that the process may use";
    }
}

remora_status remora_runtime_get_info(const remora_runtime *rt, remora_runtime_info *out,
                                      remora_error *err)
{
    RMR_NEED(rt != NULL && out != NULL, err, "runtime or out is NULL");
    const remora_device cpu = rmr_runtime_device(rt, 0);
    remora_runtime_info i = {.struct_size = sizeof i, .n_threads = rmr_pool_width(rt->ctx.pool)};
    memcpy(i.kernels, cpu.paths, sizeof i.kernels - 1);
    snprintf(i.why, sizeof i.why, "threads: %s; kernels: %s", why_threads(rt),
             rt->isa_asked ? "as x-isa says" : "the best for this processor");
    return RMR_OUT(remora_runtime_info, out, i, err);
}

uint32_t remora_device_count(const remora_runtime *rt)
{
    if (rt == NULL) return 0;
    rmr_runtime_look(rt);
    return rt->n_devices;
}

remora_status remora_device_get(const remora_runtime *rt, uint32_t i, remora_device *out,
                                remora_error *err)
{
    RMR_NEED(rt != NULL && out != NULL, err, "runtime or out is NULL");
    if (i >= rt->n_devices)
        RMR_FAIL(err, REMORA_E_NOT_FOUND, "device %u is not one of the runtime's %u", i,
                 rt->n_devices);
    const remora_device d = rmr_runtime_device(rt, i);
    return RMR_OUT(remora_device, out, d, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake of the library and a backend module. A module is a backend in a shared object of
 * its own, which the library opens when it is told to. So the backend's driver and kernels are no
 * part of the library.
 *
 * A module exports one function, rmr_module_open. What it calls of lib/base, lib/quant and
 * lib/backend is linked into it: that code keeps no state of its own, so the copy works on the
 * library's objects, its memory, log and threads. Both have to be of the same source for that,
 * which each of them sees from the other's rmr_match. */
#ifndef RMR_HANDSHAKE_H
#define RMR_HANDSHAKE_H

#include "backend.h"

/* Numbers that have to be equal on both sides. */
typedef struct rmr_match {
    uint32_t library;  /* REMORA_VERSION_NUM */
    uint32_t boundary; /* RMR_BACKEND_VERSION */
    uint32_t sizes;    /* of the structs that both look into, as one number */
} rmr_match;

static inline rmr_match rmr_match_here(void)
{
    static const size_t sizes[] = {
        sizeof(rmr_ctx),         sizeof(remora_error),    sizeof(remora_device),
        sizeof(rmr_backend_ops), sizeof(rmr_weight_desc), sizeof(rmr_step_desc),
        sizeof(rmr_op),          sizeof(rmr_inputs),      sizeof(rmr_backend),
        RMR_OP_COUNT,            RMR_ELEM_COUNT};
    rmr_match m = {REMORA_VERSION_NUM, RMR_BACKEND_VERSION, 0};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        m.sizes = m.sizes * 31 + (uint32_t)sizes[i];
    return m;
}

static inline int rmr_match_is(rmr_match a, rmr_match b)
{
    return a.library == b.library && a.boundary == b.boundary && a.sizes == b.sizes;
}

/* The library's side. It lives as long as the module is open. */
typedef struct rmr_host {
    rmr_match match;
    rmr_ctx *ctx;        /* memory, log, threads */
    const char *options; /* words of the unstable option for its kind, "" */
} rmr_host;

/* The module's side: a number of devices, and a backend for each. Making a backend is cheap; the
 * device is first touched by its first weight, buffer or step. */
typedef struct rmr_module {
    rmr_match match;
    uint32_t n_devices;
    uint64_t bytes; /* of the host's memory, that it and its backends take before they are used */
    void *user;
    remora_status (*make)(void *user, uint32_t device, rmr_backend **out, remora_error *err);
    void (*close)(void *user); /* all backends are free */
} rmr_module;

/* Sets out->match first of all; when host->match is another it does nothing else, for the structs
 * may be others, and returns E_UNSUPPORTED. On failure nothing is left to close. */
typedef remora_status rmr_module_open_fn(const rmr_host *host, rmr_module *out, remora_error *err);
#define RMR_MODULE_OPEN "rmr_module_open"

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime object: memory, log, threads and the devices of one host. Counted: models keep it
 * alive. Of the modules of the library only this one names the backends there are. */
#ifndef RMR_RUNTIME_H
#define RMR_RUNTIME_H

#include "gpus.h"
#include "module.h"
#include "release.h"

enum { RMR_MAX_DEVICES = 16, RMR_MAX_MODULES = 4 };

/* Makes the backend of one device. `isa` is the value of the option "x-isa", or NULL. */
typedef struct rmr_device_maker {
    remora_status (*make)(void *user, rmr_ctx *ctx, const char *isa, rmr_backend **out,
                          remora_error *err);
    void *user;
} rmr_device_maker;

struct remora_runtime {
    rmr_ctx ctx;
    atomic_uint refs;
    uint32_t process;                /* that it was made in */
    int isa_asked;                   /* the kernel set is the one that the host named */
    atomic_uint_least64_t own_bytes; /* of the runtime, its threads and its backends, nothing of
                                        models */
    _Atomic uint32_t n_devices;      /* grows when the runtime looks for GPUs */
    uint32_t n_modules;
    rmr_release release; /* of the hooks; creating that fails leaves it to the caller */
    rmr_gpus gpus;
    rmr_open_module modules[RMR_MAX_MODULES]; /* whose devices some of these are: */
    rmr_backend *backends[RMR_MAX_DEVICES];   /* a model that names none gets the first */
    const struct rmr_format *const *formats;  /* of models (lib/format); NULL: the library's own.
                                                 Tests set others */
};

/* `opts` is a full struct of this version, whose release hook is called by the last unref. */
remora_status rmr_runtime_create(const remora_runtime_opts *opts, remora_runtime **out,
                                 remora_error *err);
/* As rmr_runtime_create, with other devices than those of this build: for tests. */
remora_status rmr_runtime_create_with(const remora_runtime_opts *opts,
                                      const rmr_device_maker *makers, uint32_t n,
                                      remora_runtime **out, remora_error *err);
/* Open a module and list its devices behind those there are: all of them, or none on failure.
 * Before the runtime is used from several threads. The path is as for rmr_open_module_load(). */
remora_status rmr_runtime_add_module(remora_runtime *rt, const char *path, remora_error *err);
void rmr_runtime_ref(remora_runtime *rt);
void rmr_runtime_unref(remora_runtime *rt);

/* Look for GPUs, once: all devices are listed then. rt->gpus.outcome says why there are none. */
void rmr_runtime_look(const remora_runtime *rt);

/* Device i < n_devices. */
remora_device rmr_runtime_device(const remora_runtime *rt, uint32_t i);

/* The backend of a device: NULL is the first one, the CPU; "auto" the first other one that can be
 * used, or the CPU; "cuda" without a number is the first device of that kind. Looks for GPUs unless
 * the CPU is meant. E_UNSUPPORTED names the devices there are, or says why there are no GPUs; a
 * device that cannot be used gives the status that says so. */
remora_status rmr_runtime_backend(const remora_runtime *rt, const char *id, rmr_backend **out,
                                  remora_error *err);

#endif

/* The runtime object: memory, log, threads and the backends of one host. Counted: models keep it
 * alive. */
#ifndef RMR_RUNTIME_H
#define RMR_RUNTIME_H

#include "backend.h"

struct remora_runtime {
    rmr_ctx ctx;
    atomic_uint refs;
    rmr_backend *cpu;
};

/* `opts` is a full struct of this version. */
remora_status rmr_runtime_create(const remora_runtime_opts *opts, remora_runtime **out,
                                 remora_error *err);
void rmr_runtime_ref(remora_runtime *rt);
void rmr_runtime_unref(remora_runtime *rt);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Looking for GPUs: their module is opened when the first one asks for devices. */
#ifndef RMR_GPUS_H
#define RMR_GPUS_H

#include "ctx.h"
#include "lock.h"

typedef struct rmr_gpus {
    rmr_lock lock; /* taken by those who look */
    atomic_int looked;
    char *path;           /* of the module; NULL: it lies beside the library */
    char options[128];    /* of "x-cuda" */
    remora_error outcome; /* of the search; its status is < 0 where there are no GPUs */
} rmr_gpus;

remora_status rmr_gpus_init(rmr_gpus *g, rmr_mem *mem, const char *path, const char *options,
                            remora_error *err);
void rmr_gpus_end(rmr_gpus *g, rmr_mem *mem);

#endif

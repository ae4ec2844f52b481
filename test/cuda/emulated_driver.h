/* SPDX-License-Identifier: Apache-2.0 */
/* A driver whose device is this process: kernels run in the emulator, at once. stub_libcuda.c is
 * the same as a libcuda.so.1. */
#ifndef EMULATED_DRIVER_H
#define EMULATED_DRIVER_H

#include "driver.h"

rmr_cu_driver emulated_driver(void);

typedef struct emulated_state {
    uint64_t seed;                    /* of the schedules to come */
    long fail_after;                  /* so many calls succeed from now on; -1: all */
    long memory_after;                /* so many allocations get memory; -1: all */
    int gpus;                         /* how many there are */
    int sms, cut;                     /* multiprocessors, and what they are cut into */
    int khz, memory_khz, memory_bits; /* how fast it says it is; 0: it does not say */
    int least, greatest;              /* priorities */
    int priority;                     /* of the last stream */
    long long memory, memory_in_use,  /* of the device, in bytes */
        most_memory,                  /* that were ever in use */
        context_bytes, module_bytes;  /* that a context and the kernels take */
    long calls, launches, graph_launches, blocks_in_use, registered;
    long streams, events, graphs; /* there are */
    long retained;                /* how often the primary context is */
    long greens, green_streams;   /* green contexts; streams in them */
    long owned;                   /* contexts that are not the primary one */
    long long to_host;            /* bytes that were copied there */
    const char *skips;            /* the kernel of this name does nothing; NULL: all work */
} emulated_state;

extern emulated_state emulated;

/* Whose context is current to this thread; 0: nobody's. */
enum { EMULATED_OURS = 1, EMULATED_FOREIGN };
int emulated_current(void);
/* A host with a context of its own. */
void emulated_enter_foreign(void);
void emulated_leave_foreign(void);

void emulated_reset(void); /* frees all blocks, as a driver does when its process ends */

#endif

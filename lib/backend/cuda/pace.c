/* SPDX-License-Identifier: Apache-2.0 */
/* The time of kernels, as an estimate. A call with a budget or a cancel word has no more of them
 * under way than can be waited for, and a host that renders gets short ones. */
#include "cuda.h"
#include "halt.h"

/* Of a call that may be ended: what may be under way, and after how much there is an event to wait
 * for. Microseconds. */
enum { AHEAD_US = 300, QUANTUM_US = 100 };

remora_status rmr_cuda_ask_speed(rmr_cuda *c, remora_error *err)
{
    enum {
        SLOWEST_KHZ = 1000000,
        SM_BYTES_US = 50000, /* that a multiprocessor can read in a microsecond */
        SHARE = 70           /* of the peak, in percent, that kernels reach */
    };
    int khz = 0, memory_khz = 0, bits = 0;
    const rmr_cuda_attribute list[] = {{&khz, RMR_CU_ATTR_CLOCK},
                                       {&memory_khz, RMR_CU_ATTR_MEMORY_CLOCK},
                                       {&bits, RMR_CU_ATTR_MEMORY_BITS}};
    RMR_TRY(rmr_cuda_ask_attributes(c, list, sizeof list / sizeof list[0], err));
    const uint64_t sms = (uint64_t)c->sms, most = sms * SM_BYTES_US,
                   /* two transfers a cycle */
        memory = (uint64_t)memory_khz * 2 * (uint64_t)bits / 8 / 1000 * SHARE / 100;
    c->cycles_us = (uint64_t)(khz > 0 ? khz : SLOWEST_KHZ) * sms / 1000;
    c->bytes_us = memory == 0 || memory > most ? most : memory;
    if (c->cycles_us == 0) c->cycles_us = 1;
    return REMORA_OK;
}

uint64_t rmr_cuda_us(const rmr_cuda *c, uint64_t bytes, uint64_t cycles)
{
    const uint64_t a = bytes / c->bytes_us, b = cycles / c->cycles_us;
    return a > b ? a : b;
}

uint32_t rmr_cuda_piece(const rmr_cuda *c, uint32_t n, uint64_t us)
{
    if (!c->short_pieces || us <= RMR_CUDA_PIECE_US) return n;
    const uint64_t pieces = (us + RMR_CUDA_PIECE_US - 1) / RMR_CUDA_PIECE_US;
    return (uint32_t)((n + pieces - 1) / pieces);
}

remora_status rmr_cuda_pace(rmr_step *s, rmr_halt *halt, remora_error *err)
{
    if (halt == NULL) return REMORA_OK;
    if (s->spent - s->spent_at[s->work % RMR_CUDA_EVENTS] >= QUANTUM_US)
        RMR_TRY(rmr_cuda_end_work(s, err));
    while (s->waited < s->work && (s->waited + RMR_CUDA_EVENTS <= s->work ||
                                   s->spent - s->spent_at[s->waited % RMR_CUDA_EVENTS] > AHEAD_US))
        RMR_TRY(rmr_cuda_wait_work(s, s->waited + 1, err));
    return rmr_halt_allows(halt, &(rmr_pace){0}, 0) ? REMORA_OK : REMORA_MORE;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The pack that an earlier conversion made of the same source: its weights are taken as they are.
 */
#ifndef RMR_BASE_PACK_H
#define RMR_BASE_PACK_H

#include "pack_writer.h"
#include "weight_plan.h"

/* A weight of the pack, and the writer's number of the same weight. */
typedef struct rmr_copy {
    const rmr_pack_tensor *from;
    uint32_t to;
} rmr_copy;

/* Is `t` of the base the weight that the item plans? E_MISMATCH: of another shape, or a vector,
 * which a pack has as its source has it, with other values. */
remora_status rmr_base_pack_check(const rmr_pack *base, const rmr_pack_tensor *t, rmr_reader *from,
                                  const rmr_weight_plan_item *it, remora_error *err);

/* Copy the weights to the writer, and compare each with its checksum: E_FORMAT names one that is
 * damaged. */
remora_status rmr_base_pack_copy(const rmr_pack *base, const rmr_copy *copies, uint32_t n,
                                 rmr_mem *mem, rmr_pack_writer *to, const rmr_job_host *host,
                                 remora_error *err);

#endif

/* Weights out of a pack: they are in compute layout already, so they are used where they lie or, if
 * they are compressed or not in memory, read into place. */
#ifndef RMR_LOAD_PACK_H
#define RMR_LOAD_PACK_H

#include "job.h"
#include "weight_plan.h"

/* Make and fill the weights of a plan over the pack. On failure the weights made so far stay in w,
 * to be freed with it. */
remora_status rmr_load_pack(rmr_weights *w, const rmr_pack *pack, const rmr_weight_plan *plan,
                            const rmr_job_host *host, remora_error *err);

#endif

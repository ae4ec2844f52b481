/* Weights out of a pack: they are in compute layout already, so they are used where they lie or, if
 * they are compressed or not in memory, read into place. */
#ifndef RMR_LOAD_PACK_H
#define RMR_LOAD_PACK_H

#include "weight_plan.h"

/* Make and fill the weights of a plan over m->pack. On failure the weights made so far stay in the
 * model, to be freed with it. */
remora_status rmr_load_pack(remora_model *m, const rmr_weight_plan *plan,
                            const remora_model_opts *opts, remora_error *err);

#endif

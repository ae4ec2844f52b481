/* What tells models apart: the numbers of the shape, the shape of every tensor, and samples of
 * tensor bytes, whatever the sharding. No proof against a forger. */
#ifndef RMR_FINGERPRINT_H
#define RMR_FINGERPRINT_H

#include "checkpoint.h"
#include "pack.h"
#include "shape.h"

/* Of a pack: the shape, and the checksums of all tensors. */
void rmr_fingerprint_pack(const rmr_shape *s, const rmr_pack *p, uint8_t out[32]);

remora_status rmr_fingerprint(const rmr_shape *s, const rmr_checkpoint *ck, uint8_t out[32],
                              remora_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Verifying a pack: its bytes are those that were written, and this build computes with it the
 * answer that it should. */
#ifndef RMR_VERIFY_H
#define RMR_VERIFY_H

#include "session.h"

/* Structs are full structs of this version. See remora_verify(). */
remora_status rmr_verify(remora_runtime *rt, const remora_source *src, const remora_verify_opts *o,
                         remora_verify_report *out, remora_error *err);

#endif

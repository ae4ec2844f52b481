/* SPDX-License-Identifier: Apache-2.0 */
/* quantization_config of config.json. */
#ifndef RMR_QUANTCONFIG_H
#define RMR_QUANTCONFIG_H

#include "json.h"

/* E_UNSUPPORTED names a way of quantising that this build does not read; E_FORMAT a field of the
 * wrong type. Which tensors are quantised, and how their scales lie, is seen from the tensors
 * (find_tensor.h). */
remora_status rmr_quantconfig_check(const char *file, const json_t *config, remora_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A model folder or GGUF file to a .remora pack. */
#ifndef RMR_CONVERT_H
#define RMR_CONVERT_H

#include "session.h"

/* `src` and `o` are full structs of this version. See remora_convert(). */
remora_status rmr_convert(remora_runtime *rt, const remora_source *src, const char *path,
                          const remora_convert_opts *o, remora_error *err);

#endif

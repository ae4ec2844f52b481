/* SPDX-License-Identifier: Apache-2.0 */
/* Backends in shared objects of their own (handshake.h). */
#ifndef RMR_MODULE_H
#define RMR_MODULE_H

#include "handshake.h"

typedef struct rmr_open_module {
    void *object; /* of rmr_object_open; NULL: none is open */
    rmr_host host;
    rmr_module module;
} rmr_open_module;

/* Open a shared object. A path without a slash names a file beside the library, or beside the
 * program that the library is part of; the system's search path is never taken. `options` are
 * borrowed until it is closed. E_NOT_FOUND (no
 * such file), E_FORMAT (it cannot be loaded, or is no module), E_UNSUPPORTED (of another version),
 * or the module's own refusal. */
remora_status rmr_open_module_load(rmr_open_module *m, rmr_ctx *ctx, const char *path,
                                   const char *options, remora_error *err);
void rmr_open_module_close(rmr_open_module *m); /* a zeroed struct is fine too */

#endif

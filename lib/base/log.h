/* SPDX-License-Identifier: Apache-2.0 */
/* Log lines go to the host's hook or nowhere (P8). */
#ifndef RMR_LOG_H
#define RMR_LOG_H

#include <remora/remora.h>

typedef struct rmr_log {
    void *user;
    void(REMORA_CALL *fn)(void *user, int32_t level, const char *msg, size_t len);
    int32_t level; /* lines above this level are dropped before formatting */
} rmr_log;

#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
void rmr_log_write(const rmr_log *log, int32_t level, const char *fmt, ...);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>

void rmr_log_write(const rmr_log *log, int32_t level, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    if (log->fn == NULL || level > log->level) return;
    va_start(ap, fmt);
    const int n = vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (n < 0) return;
    log->fn(log->user, level, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
}

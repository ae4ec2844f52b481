/* SPDX-License-Identifier: Apache-2.0 */
/* Error text: written into the caller's struct, never allocated, truncated on a UTF-8 boundary. */
#include "error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* The functions are defined here: their callers are the places of statuses. */
#undef rmr_error_set
#undef rmr_error_nomem

/* Cut a string that snprintf truncated so that no UTF-8 sequence is left half. */
static void trim_partial_utf8(char *s, size_t len)
{
    size_t i = len;
    while (i > 0 && ((unsigned char)s[i - 1] & 0xC0) == 0x80) i--;
    if (i == 0) return;
    const unsigned char lead = (unsigned char)s[i - 1];
    const size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    if (len - (i - 1) < want) s[i - 1] = 0;
}

remora_status rmr_error_set(remora_error *err, remora_status status, int os_code, const char *fmt,
                            ...)
{
    const size_t head = offsetof(remora_error, message);
    RMR_ASSERT(status < 0);
    if (err == NULL || err->struct_size < offsetof(remora_error, reserved)) return status;
    err->code = status;
    err->os_code = os_code;
    if (err->struct_size <= head) return status;
    size_t cap = err->struct_size - head;
    if (cap > sizeof err->message) cap = sizeof err->message;
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(err->message, cap, fmt, ap);
    va_end(ap);
    if (n < 0) err->message[0] = 0;
    if (n > 0 && (size_t)n >= cap) trim_partial_utf8(err->message, cap - 1);
    return status;
}

remora_status rmr_error_nomem(remora_error *err, const char *what, uint64_t bytes)
{
    RMR_FAIL(err, REMORA_E_NOMEM, "out of memory: %s needs %llu bytes", what,
             (unsigned long long)bytes);
}

remora_status rmr_error_device_mem(remora_error *err, const char *what, uint64_t bytes)
{
    RMR_FAIL(err, REMORA_E_DEVICE_MEM,
             "%s needs %llu bytes of the device's memory, more than device_budget leaves", what,
             (unsigned long long)bytes);
}

const char *rmr_status_name(remora_status s)
{
    switch (s) {
    case REMORA_OK: return "OK";
    case REMORA_MORE: return "MORE";
    case REMORA_END: return "END";
    case REMORA_E_ARG: return "E_ARG";
    case REMORA_E_STRUCT: return "E_STRUCT";
    case REMORA_E_NOMEM: return "E_NOMEM";
    case REMORA_E_DEVICE_MEM: return "E_DEVICE_MEM";
    case REMORA_E_IO: return "E_IO";
    case REMORA_E_FORMAT: return "E_FORMAT";
    case REMORA_E_UNSUPPORTED: return "E_UNSUPPORTED";
    case REMORA_E_CANCELLED: return "E_CANCELLED";
    case REMORA_E_BUFFER: return "E_BUFFER";
    case REMORA_E_FULL: return "E_FULL";
    case REMORA_E_BUSY: return "E_BUSY";
    case REMORA_E_MISMATCH: return "E_MISMATCH";
    case REMORA_E_NO_TOKEN: return "E_NO_TOKEN";
    case REMORA_E_DEVICE: return "E_DEVICE";
    case REMORA_E_CALLBACK: return "E_CALLBACK";
    case REMORA_E_INTERNAL: return "E_INTERNAL";
    case REMORA_E_NOT_FOUND: return "E_NOT_FOUND";
    case REMORA_E_LIMIT: return "E_LIMIT";
    default: return "unknown status";
    }
}

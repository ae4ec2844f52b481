/* SPDX-License-Identifier: Apache-2.0 */
/* Statuses and error text inside the library.
 *
 * Every internal function that can fail returns remora_status and, where there is something to say,
 * takes a `remora_error *err` (nullable) as its last argument. RMR_TRY and RMR_FAIL are the only
 * error macros. */
#ifndef RMR_ERROR_H
#define RMR_ERROR_H

#include "debug.h"

/* Return at once when `call` is an error (< 0). Conditions (> 0) pass through as success: compare
 * yourself. */
#define RMR_TRY(call)                                                                              \
    do {                                                                                           \
        const remora_status try_status_ = (call);                                                  \
        if (try_status_ < 0) return RMR_PASSED_ON(try_status_);                                    \
    } while (0)

/* Record the text in err (nullable) and return the status. */
#define RMR_FAIL(err, status, ...) return rmr_error_set((err), (status), 0, __VA_ARGS__)

#if defined(__GNUC__)
__attribute__((format(printf, 4, 5)))
#endif
remora_status
rmr_error_set(remora_error *err, remora_status status, int os_code, const char *fmt, ...);

/* The standard out-of-memory error; `what` names the thing that did not fit. */
remora_status rmr_error_nomem(remora_error *err, const char *what, uint64_t bytes);
/* E_DEVICE_MEM: device_budget has no so many bytes left. */
remora_status rmr_error_device_mem(remora_error *err, const char *what, uint64_t bytes);

const char *rmr_status_name(remora_status s);

/* The places of a status (debug.h). A name in parentheses is the function itself. */
#ifdef RMR_DEBUG
#define RMR_PASSED_ON(st) rmr_status_passed_on(__FILE__, __LINE__, __func__, (st))
#define rmr_error_set(err, ...)                                                                    \
    rmr_status_born(__FILE__, __LINE__, __func__, (rmr_error_set)((err), __VA_ARGS__), (err))
#define rmr_error_nomem(err, what, bytes)                                                          \
    rmr_status_born(__FILE__, __LINE__, __func__, (rmr_error_nomem)((err), (what), (bytes)), (err))
#else
#define RMR_PASSED_ON(st) (st)
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Builds with -Dasserts=on (RMR_DEBUG) check the library's own invariants and show the path of an
 * error status: where it was born, and each RMR_TRY that passed it on. Other builds have nothing of
 * either. The library prints nothing: a program defines rmr_on_assert or rmr_on_status in place of
 * the functions of debug.c, as tools/debug_hooks.c does. */
#ifndef RMR_DEBUG_H
#define RMR_DEBUG_H

#include <remora/remora.h>

/* An invariant of our own code, whatever files and callers say: what they can get wrong is a
 * status. */
#ifdef RMR_DEBUG
#define RMR_ASSERT(x) ((x) ? (void)0 : rmr_assert_failed(__FILE__, __LINE__, #x))
#else
#define RMR_ASSERT(x) ((void)(0 && (x)))
#endif

/* Calls rmr_on_assert, then ends the process with a trap. */
__attribute__((noreturn)) void rmr_assert_failed(const char *file, int line, const char *what);
void rmr_on_assert(const char *file, int line, const char *what);

typedef struct rmr_status_seen {
    const char *file;
    int line;
    const char *function;
    remora_status status;
    const char *name; /* of the status */
    const char *text; /* the message of a status that is born; NULL: it is passed on */
} rmr_status_seen;

/* Called on whatever thread the status is on. */
void rmr_on_status(const rmr_status_seen *seen);

/* Tell rmr_on_status of a status that was born, with the message that err (nullable) has by now, or
 * that is passed on. */
void rmr_show_born(const char *file, int line, const char *function, remora_status st,
                   const remora_error *err);
void rmr_show_passed_on(const char *file, int line, const char *function, remora_status st);

/* Both return the status; inline, so that compilers see that it is the same one. */
static inline remora_status rmr_status_born(const char *file, int line, const char *function,
                                            remora_status st, const remora_error *err)
{
    rmr_show_born(file, line, function, st, err);
    return st;
}

static inline remora_status rmr_status_passed_on(const char *file, int line, const char *function,
                                                 remora_status st)
{
    rmr_show_passed_on(file, line, function, st);
    return st;
}

#endif

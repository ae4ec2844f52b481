/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that builds with asserts call. Weak functions stand in for the hooks of a program
 * that has none. */
#include <stddef.h>

#include "error.h"

__attribute__((weak)) void rmr_on_assert(const char *file, int line, const char *what)
{
    (void)file, (void)line, (void)what;
}

__attribute__((weak)) void rmr_on_status(const rmr_status_seen *seen)
{
    (void)seen;
}

void rmr_assert_failed(const char *file, int line, const char *what)
{
    rmr_on_assert(file, line, what);
    __builtin_trap();
}

void rmr_show_born(const char *file, int line, const char *function, remora_status st,
                   const remora_error *err)
{
    const size_t head = offsetof(remora_error, message);
    const int has_text = err != NULL && err->struct_size > head && err->code == st;
    rmr_on_status(&(rmr_status_seen){file, line, function, st, rmr_status_name(st),
                                     has_text ? err->message : ""});
}

void rmr_show_passed_on(const char *file, int line, const char *function, remora_status st)
{
    rmr_on_status(&(rmr_status_seen){file, line, function, st, rmr_status_name(st), NULL});
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a program with a library of -Dasserts=on does with what that tells (lib/base/debug.h): an
 * assert that fails goes to stderr, and with REMORA_TRACE in the environment so does the path of
 * each error status:
 *
 *     lib/config/shape.c:47: shape_read: E_UNSUPPORTED: config.json: ...
 *     lib/engine/open_model.c:120: read_config: E_UNSUPPORTED passed on
 */
#include <stdio.h>
#include <stdlib.h>

#include "debug.h"

void rmr_on_assert(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: assert failed: %s\n", file, line, what);
    abort(); /* cmocka catches the trap that would follow, and counts none in a group's teardown */
}

void rmr_on_status(const rmr_status_seen *s)
{
    if (getenv("REMORA_TRACE") == NULL) return;
    fprintf(stderr, "%s:%d: %s: %s%s%s\n", s->file, s->line, s->function, s->name,
            s->text != NULL ? ": " : " passed on", s->text != NULL ? s->text : "");
}

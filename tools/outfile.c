/* SPDX-License-Identifier: Apache-2.0 */
/* See outfile.h. */
#include "outfile.h"
#include "tool_system.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int fail(const tool_outfile *o)
{
    fprintf(stderr, "remora: %s: %s\n", o->part, errno ? strerror(errno) : "cannot be written");
    return -1;
}

int tool_outfile_create(tool_outfile *o, const char *path)
{
    const size_t len = strlen(path);
    o->path = path;
    o->part = malloc(len + sizeof ".part");
    if (!o->part) {
        fputs("remora: out of memory\n", stderr);
        return -1;
    }
    memcpy(o->part, path, len);
    memcpy(o->part + len, ".part", sizeof ".part");
    errno = 0;
    o->f = tool_fopen(o->part, "wb");
    return o->f ? 0 : fail(o);
}

int tool_outfile_write(tool_outfile *o, const void *p, size_t n)
{
    errno = 0;
    return fwrite(p, 1, n, o->f) == n ? 0 : fail(o);
}

int tool_outfile_finish(tool_outfile *o)
{
    FILE *f = o->f;
    o->f = NULL;
    errno = 0;
    if (fclose(f) == 0 && tool_rename(o->part, o->path) == 0) return 0;
    fail(o);
    tool_unlink(o->part);
    return -1;
}

void tool_outfile_close(tool_outfile *o)
{
    if (o->f) {
        fclose(o->f);
        tool_unlink(o->part);
    }
    free(o->part);
    *o = (tool_outfile){0};
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "module.h"

#include <string.h>

#include "path.h"
#include "shared_object.h"

/* The path of a file: as given, or beside the library. */
static remora_status find(const char *path, char out[RMR_OBJECT_PATH], remora_error *err)
{
    char room[RMR_OBJECT_PATH];
    const size_t n = strlen(path);
    size_t folder = 0;
    if (rmr_path_last(path) == path) {
        const char *const here = rmr_object_here(room);
        folder = (size_t)(rmr_path_last(here) - here);
        if (folder == 0)
            RMR_FAIL(err, REMORA_E_NOT_FOUND,
                     "module %.80s: where the library lies is not known, so it needs a path", path);
        if (folder < RMR_OBJECT_PATH) memcpy(out, here, folder);
    }
    if (folder + n >= RMR_OBJECT_PATH)
        RMR_FAIL(err, REMORA_E_ARG, "module %.80s: its path has more than %d bytes", path,
                 RMR_OBJECT_PATH);
    memcpy(out + folder, path, n + 1);
    return REMORA_OK;
}

static remora_status other_version(const char *path, rmr_match theirs, remora_error *err)
{
    const rmr_match ours = rmr_match_here();
    RMR_FAIL(err, REMORA_E_UNSUPPORTED,
             "module %.80s is of version %x.%u.%x; the library takes modules of its own version "
             "alone, %x.%u.%x",
             path, theirs.library, theirs.boundary, theirs.sizes, ours.library, ours.boundary,
             ours.sizes);
}

static remora_status shake_hands(rmr_open_module *m, const char *path, remora_error *err)
{
    rmr_module_open_fn *open = NULL;
    void *const symbol = rmr_object_symbol(m->object, RMR_MODULE_OPEN);
    if (symbol == NULL)
        RMR_FAIL(err, REMORA_E_FORMAT, "module %.80s: it has no function " RMR_MODULE_OPEN, path);
    memcpy(&open, &symbol, sizeof open);
    const remora_status st = open(&m->host, &m->module, err);
    if (!rmr_match_is(m->module.match, m->host.match))
        return other_version(path, m->module.match, err);
    return st;
}

remora_status rmr_open_module_load(rmr_open_module *m, rmr_ctx *ctx, const char *path,
                                   const char *options, remora_error *err)
{
    char at[RMR_OBJECT_PATH];
    *m = (rmr_open_module){.host = {rmr_match_here(), ctx, options}};
    RMR_TRY(find(path, at, err));
    remora_status st = rmr_object_open(at, &m->object, err);
    if (st >= 0) st = shake_hands(m, at, err);
    if (st >= 0) return st;
    if (m->object != NULL) rmr_object_close(m->object);
    m->object = NULL;
    return st;
}

void rmr_open_module_close(rmr_open_module *m)
{
    if (m->object == NULL) return;
    m->module.close(m->module.user);
    rmr_object_close(m->object);
    m->object = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* dladdr */
#include "module.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_PATH = 4096 };

/* The path of a file: as given, or beside the object that this function is in. */
static remora_status find(const char *path, char out[MAX_PATH], remora_error *err)
{
    const size_t n = strlen(path);
    Dl_info here;
    size_t folder = 0;
    if (strchr(path, '/') == NULL) {
        if (dladdr((void *)(uintptr_t)find, &here) == 0 || strchr(here.dli_fname, '/') == NULL)
            RMR_FAIL(err, REMORA_E_NOT_FOUND,
                     "module %.80s: where the library lies is not known, so it needs a path", path);
        folder = (size_t)(strrchr(here.dli_fname, '/') - here.dli_fname) + 1;
    }
    if (folder + n >= MAX_PATH)
        RMR_FAIL(err, REMORA_E_ARG, "module %.80s: its path has more than %d bytes", path,
                 MAX_PATH);
    if (folder > 0) memcpy(out, here.dli_fname, folder);
    memcpy(out + folder, path, n + 1);
    return REMORA_OK;
}

static remora_status load(rmr_open_module *m, const char *path, remora_error *err)
{
    struct stat file;
    if (stat(path, &file) != 0)
        return rmr_error_set(err, errno == ENOENT ? REMORA_E_NOT_FOUND : REMORA_E_IO, errno,
                             "module %.160s cannot be opened (errno %d)", path, errno);
    m->object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (m->object != NULL) return REMORA_OK;
    const char *why = dlerror();
    RMR_FAIL(err, REMORA_E_FORMAT, "module cannot be loaded: %s", why != NULL ? why : path);
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
    void *const symbol = dlsym(m->object, RMR_MODULE_OPEN);
    if (symbol == NULL)
        RMR_FAIL(err, REMORA_E_FORMAT, "module %.80s: it has no function " RMR_MODULE_OPEN, path);
    memcpy(&open, &symbol, sizeof open);
    const remora_status st = open(&m->host, &m->module, err);
    if (!rmr_match_is(m->module.match, m->host.match))
        return other_version(path, m->module.match, err);
    return st;
}

remora_status rmr_open_module_load(rmr_open_module *m, rmr_ctx *ctx, const char *path,
                                   remora_error *err)
{
    char at[MAX_PATH];
    *m = (rmr_open_module){.host = {rmr_match_here(), ctx}};
    RMR_TRY(find(path, at, err));
    remora_status st = load(m, at, err);
    if (st >= 0) st = shake_hands(m, at, err);
    if (st >= 0) return st;
    if (m->object != NULL) dlclose(m->object);
    m->object = NULL;
    return st;
}

void rmr_open_module_close(rmr_open_module *m)
{
    if (m->object == NULL) return;
    m->module.close(m->module.user);
    dlclose(m->object);
    m->object = NULL;
}

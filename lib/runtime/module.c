/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* dladdr1 */
#include "module.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_PATH = 4096 };

/* The path of the object that this function is in. The loader knows the main program by the word
 * that it was called with, which may be no path; the system knows its path. */
static const char *path_of_library(char room[MAX_PATH])
{
    Dl_info here;
    void *object = NULL;
    if (dladdr1((void *)(uintptr_t)path_of_library, &here, &object, RTLD_DL_LINKMAP) == 0)
        return "";
    if (object != NULL && ((const struct link_map *)object)->l_name[0] != 0) return here.dli_fname;
    const ssize_t n = readlink("/proc/self/exe", room, MAX_PATH - 1);
    if (n <= 0) return here.dli_fname;
    room[n] = 0;
    return room;
}

/* The path of a file: as given, or beside the library. */
static remora_status find(const char *path, char out[MAX_PATH], remora_error *err)
{
    char room[MAX_PATH];
    const size_t n = strlen(path);
    size_t folder = 0;
    if (strchr(path, '/') == NULL) {
        const char *const here = path_of_library(room), *const slash = strrchr(here, '/');
        if (slash == NULL)
            RMR_FAIL(err, REMORA_E_NOT_FOUND,
                     "module %.80s: where the library lies is not known, so it needs a path", path);
        folder = (size_t)(slash - here) + 1;
        if (folder < MAX_PATH) memcpy(out, here, folder);
    }
    if (folder + n >= MAX_PATH)
        RMR_FAIL(err, REMORA_E_ARG, "module %.80s: its path has more than %d bytes", path,
                 MAX_PATH);
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
                                   const char *options, remora_error *err)
{
    char at[MAX_PATH];
    *m = (rmr_open_module){.host = {rmr_match_here(), ctx, options}};
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

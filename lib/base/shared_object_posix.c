/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* dladdr1 */
#include "shared_object.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

remora_status rmr_object_open(const char *path, void **out, remora_error *err)
{
    struct stat file;
    *out = NULL;
    if (stat(path, &file) != 0)
        return rmr_error_set(err, errno == ENOENT ? REMORA_E_NOT_FOUND : REMORA_E_IO, errno,
                             "module %.160s cannot be opened (errno %d)", path, errno);
    *out = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (*out != NULL) return REMORA_OK;
    const char *why = dlerror();
    RMR_FAIL(err, REMORA_E_FORMAT, "module cannot be loaded: %s", why != NULL ? why : path);
}

void *rmr_object_symbol(void *object, const char *name)
{
    return dlsym(object, name);
}

void rmr_object_close(void *object)
{
    dlclose(object);
}

/* The loader knows the main program by the word that it was called with, which may be no path; the
 * system knows its path. */
const char *rmr_object_here(char room[RMR_OBJECT_PATH])
{
    Dl_info here;
    void *object = NULL;
    if (dladdr1((void *)(uintptr_t)rmr_object_here, &here, &object, RTLD_DL_LINKMAP) == 0)
        return "";
    if (object != NULL && ((const struct link_map *)object)->l_name[0] != 0) return here.dli_fname;
    const ssize_t n = readlink("/proc/self/exe", room, RMR_OBJECT_PATH - 1);
    if (n <= 0) return here.dli_fname;
    room[n] = 0;
    return room;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "system_file.h"

#include <errno.h>

#include "path.h"

rmr_handle rmr_sys_open_parent(rmr_mem *mem, const char *path)
{
    const char *const last = rmr_path_last(path);
    if (last == path) return rmr_sys_open_folder(".");
    char *folder = rmr_strndup(mem, path, (size_t)(last - path));
    if (folder == NULL) {
        errno = ENOMEM;
        return -1;
    }
    const rmr_handle h = rmr_sys_open_folder(folder);
    const int e = errno;
    rmr_strfree(mem, folder);
    errno = e;
    return h;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "path.h"

#include <string.h>

const char *rmr_path_last(const char *path)
{
    const char *const slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

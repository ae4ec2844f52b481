/* SPDX-License-Identifier: Apache-2.0 */
/* For systems that do not tell in which pages a file lies. */
#include "file_pages.h"

rmr_file_pages rmr_file_pages_mend(const void *map, uint64_t size, intptr_t fd)
{
    (void)map, (void)size, (void)fd;
    return RMR_FILE_PAGES_UNKNOWN;
}

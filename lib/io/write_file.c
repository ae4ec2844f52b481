/* SPDX-License-Identifier: Apache-2.0 */
#include "write_file.h"

#include <errno.h>

#include "source.h"

rmr_write_file rmr_write_file_of(rmr_handle fd, const char *path)
{
    return (rmr_write_file){fd, path, rmr_sys_largest_file()};
}

remora_status rmr_write_file_may(const rmr_write_file *f, uint64_t bytes, remora_error *err)
{
    if (bytes <= f->limit) return REMORA_OK;
    errno = EFBIG;
    return rmr_fail_errno(err, f->path, "cannot write");
}

remora_status rmr_write_file_at(const rmr_write_file *f, uint64_t off, const void *data, uint64_t n,
                                remora_error *err)
{
    const char *p = data;
    RMR_TRY(rmr_write_file_may(f, off + n, err));
    while (n > 0) {
        const int64_t put = rmr_sys_write(f->fd, off, p, n);
        if (put <= 0) {
            if (put == 0) errno = ENOSPC;
            return rmr_fail_errno(err, f->path, "cannot write");
        }
        p += put;
        off += (uint64_t)put;
        n -= (uint64_t)put;
    }
    return REMORA_OK;
}

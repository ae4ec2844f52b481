/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include "write_file.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "source.h"

enum { LARGEST = 1 << 30 /* bytes of one system call */ };

rmr_write_file rmr_write_file_of(int fd, const char *path)
{
    struct rlimit limit;
    rmr_write_file f = {fd, path, INT64_MAX};
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        f.limit = limit.rlim_cur;
    return f;
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
        const ssize_t put = pwrite(f->fd, p, (size_t)(n < LARGEST ? n : LARGEST), (off_t)off);
        if (put < 0 && errno == EINTR) continue;
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

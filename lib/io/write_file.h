/* SPDX-License-Identifier: Apache-2.0 */
/* Writing into a file of the host's: all bytes or a status. Where the process may not make files so
 * large it is a status too, and not the signal that the kernel would send (SIGXFSZ ends a process
 * that does not expect it). */
#ifndef RMR_WRITE_FILE_H
#define RMR_WRITE_FILE_H

#include "system_file.h"

typedef struct rmr_write_file {
    rmr_handle fd;
    const char *path; /* for messages */
    uint64_t limit;   /* largest size that the process may give a file */
} rmr_write_file;

/* For a file that is open. */
rmr_write_file rmr_write_file_of(rmr_handle fd, const char *path);

/* E_IO when a file of so many bytes cannot be. */
remora_status rmr_write_file_may(const rmr_write_file *f, uint64_t bytes, remora_error *err);

remora_status rmr_write_file_at(const rmr_write_file *f, uint64_t off, const void *data, uint64_t n,
                                remora_error *err);

#endif

/* A model's files behind one interface: a directory or file, memory blobs, or the host's callbacks (P18).
 *
 * Names are plain file names ("config.json"). A name with '/', '\\', ".." or an empty name is refused, whoever it
 * comes from: shard names are read from an index file, which is input. */
#ifndef RMR_SOURCE_H
#define RMR_SOURCE_H

#include "mem.h"

typedef struct rmr_source rmr_source;
typedef struct rmr_file rmr_file;

/* Copies what it needs from `desc` (blob data stays borrowed). PATH: a directory, or one file of a model directory:
 * then the directory is what is opened, so a path to config.json works too. `use_mmap` 0: plain reads. */
remora_status rmr_source_open(rmr_mem *mem, const remora_source *desc, int use_mmap, rmr_source **out,
                              remora_error *err);
void rmr_source_free(rmr_source *src);

/* Where the files are, for messages: the path, "memory" or "host". */
const char *rmr_source_where(const rmr_source *src);

/* Open a file by name. E_NOT_FOUND when there is none. A file stays valid after rmr_source_free. */
remora_status rmr_file_open(rmr_source *src, const char *name, rmr_file **out, remora_error *err);
void rmr_file_close(rmr_file *f);
const char *rmr_file_name(const rmr_file *f);
uint64_t rmr_file_size(const rmr_file *f);

/* The bytes in memory when mapped or a blob, else NULL. Valid until rmr_file_close. */
const void *rmr_file_data(const rmr_file *f);

/* Read exactly n bytes at off into buf: thread-safe; handles short reads and EINTR; a file that ends early is
 * E_FORMAT naming file and offset, a failed read E_IO with errno, a failed callback E_CALLBACK. Mapped files are
 * copied from the mapping. */
remora_status rmr_file_read(const rmr_file *f, uint64_t off, void *buf, uint64_t n, remora_error *err);

/* Whole small file in memory: *data is NUL-terminated after *size bytes; free with rmr_free(mem, data, size + 1).
 * Files above `limit` bytes are E_FORMAT. */
remora_status rmr_file_load(rmr_source *src, const char *name, uint64_t limit, char **data, uint64_t *size,
                            remora_error *err);

/* Tell the system that [off, off+n) of a mapped file is not needed again (drops clean pages); no-op otherwise. */
void rmr_file_done_with(const rmr_file *f, uint64_t off, uint64_t n);

#endif

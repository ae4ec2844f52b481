/* SPDX-License-Identifier: Apache-2.0 */
/* A model's files behind one interface: a directory or file, memory blobs, or the host's callbacks
 * (P18).
 *
 * Names are plain file names ("config.json"), checked by rmr_name_check, whoever they come from:
 * shard names are read from an index file, which is input.
 *
 * Truncated files. Touching a mapped page that lies past the end of a file raises SIGBUS, which a
 * library cannot handle for its host. So rmr_file_read, which everything at load uses, reads
 * through the descriptor even when the file is mapped: a file that shrank is a status. Only
 * rmr_file_data gives mapped bytes; its users call rmr_file_check right before, which finds a file
 * truncated since it was opened, and rmr_file_unchanged before each use. A file truncated between
 * that look and the use still kills the process: hosts whose model files may change under them open
 * without mmap. */
#ifndef RMR_SOURCE_H
#define RMR_SOURCE_H

#include "file_pages.h"
#include "mem.h"

enum {
    RMR_MAX_NAME = 255,    /* bytes of a file name */
    RMR_MAX_BLOBS = 65536, /* of a memory source */
};

typedef struct rmr_source rmr_source;
typedef struct rmr_file rmr_file;

/* Copies what it needs from `desc` (a full struct of this version; blob data stays borrowed, and
 * io_user with its callbacks is used as long as a file is open). PATH: a directory, or one file of
 * a model directory: then the directory is what is opened, so a path to config.json works too. The
 * directory is held open: a later chdir of the host changes nothing. MEMORY and IO: path may name a
 * file. `use_mmap` 0: plain reads. */
remora_status rmr_source_open(rmr_mem *mem, const remora_source *desc, int use_mmap,
                              rmr_source **out, remora_error *err);
void rmr_source_free(rmr_source *src);

/* The place of the files, for messages: the path, "memory" or "host". */
const char *rmr_source_where(const rmr_source *src);

/* The name of the file that was meant when the source was opened, or NULL: the whole folder. */
const char *rmr_source_file(const rmr_source *src);

/* Calls fn with the name of every file there is, in no order, until it returns non-zero; hosts'
 * callbacks cannot tell what there is, and give none. The system's list of a directory takes memory
 * from malloc, for the time of the call. */
remora_status rmr_source_list(const rmr_source *src, int (*fn)(void *user, const char *name),
                              void *user, remora_error *err);

/* As rmr_source_list, for a folder inside the folder of a PATH source; other sources list nothing.
 */
remora_status rmr_source_list_in(const rmr_source *src, const char *folder,
                                 int (*fn)(void *user, const char *name), void *user,
                                 remora_error *err);

/* 1 when rmr_source_list gives all files there are; 0 for hosts' callbacks. */
int rmr_source_can_list(const rmr_source *src);

/* 1 when a name of a PATH source is a folder. */
int rmr_source_is_folder(const rmr_source *src, const char *name);

/* E_FORMAT unless the n bytes are a plain file name: 1..255 bytes, no '/', '\\', "..", NUL or other
 * control character, and not ".". `where` says in the message who asked; a NUL follows the n bytes.
 */
remora_status rmr_name_check(const char *where, const char *name, size_t n, remora_error *err);

/* Open a file by name. E_NOT_FOUND when there is none; E_FORMAT for a bad name or anything but a
 * regular file (symlinks are followed: Hugging Face caches are made of them); E_IO with errno when
 * the system refuses. A file stays valid after rmr_source_free and holds its descriptor until
 * closed. */
remora_status rmr_file_open(rmr_source *src, const char *name, rmr_file **out, remora_error *err);
void rmr_file_close(rmr_file *f);

/* A file that stands for one that is not there: it has a name and no bytes. NULL: no memory. */
rmr_file *rmr_file_absent(rmr_mem *mem, const char *name);
int rmr_file_is_absent(const rmr_file *f);

const char *rmr_file_name(const rmr_file *f);
uint64_t rmr_file_size(const rmr_file *f); /* when it was opened */

/* The bytes in memory when mapped or a blob, else NULL (also for an empty file). Valid until
 * rmr_file_close. */
const void *rmr_file_data(const rmr_file *f);

/* E_FORMAT when the file on disk is shorter than when it was opened. Blobs and host files always
 * pass. */
remora_status rmr_file_check(const rmr_file *f, remora_error *err);

/* rmr_file_pages_mend of a mapped file that rmr_file_check has just passed; UNKNOWN of others. */
rmr_file_pages rmr_file_mend_pages(const rmr_file *f);

/* E_IO when the file of mapped bytes is shorter, or was written to later, than when it was opened.
 * It is looked at through its descriptor: renaming or removing it, links to it and its mode do not
 * matter. Other files always pass. */
remora_status rmr_file_unchanged(const rmr_file *f, remora_error *err);

/* Read exactly n bytes at off into buf: thread-safe (as far as the host's io_read is); handles
 * short reads and EINTR; a range outside the file or a file that ends early is E_FORMAT naming file
 * and offset, a failed read E_IO with errno, a failed callback E_CALLBACK. Mapped files are read
 * through the descriptor (see above). */
remora_status rmr_file_read(const rmr_file *f, uint64_t off, void *buf, uint64_t n,
                            remora_error *err);

/* Read a whole small file into memory: *data is NUL-terminated after *size bytes; free with
 * rmr_free(mem, data, size + 1). E_FORMAT: a file above `limit` bytes, an empty one, a pointer to
 * the file or an error page in its place (instead.h). */
remora_status rmr_file_load(rmr_source *src, const char *name, uint64_t limit, char **data,
                            uint64_t *size, remora_error *err);

/* Tell the system that [off, off+n) of a mapped file is not needed again (drops clean pages); no-op
 * otherwise. */
void rmr_file_done_with(const rmr_file *f, uint64_t off, uint64_t n);

/* The status of errno (E_NOT_FOUND, E_NOMEM, else E_IO) with "name: what: why". */
remora_status rmr_fail_errno(remora_error *err, const char *name, const char *what);

/* A name from a file made fit for a message: control characters shown as '?', cut to 95 bytes on a
 * UTF-8 boundary. For use as rmr_show(name).text inside one call. */
typedef struct rmr_shown {
    char text[96];
} rmr_shown;
rmr_shown rmr_show(const char *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Files as the system has them, in a file for each system: all its calls on files are there. A call
 * that fails says why in errno, on every system. Paths are UTF-8 on Windows and bytes elsewhere; a
 * name is the plain name of something in a folder (rmr_name_check). */
#ifndef RMR_SYSTEM_FILE_H
#define RMR_SYSTEM_FILE_H

#include "mem.h"

typedef intptr_t rmr_handle; /* a descriptor, on Windows a HANDLE; -1: none */

typedef enum rmr_file_kind { RMR_KIND_FILE, RMR_KIND_FOLDER, RMR_KIND_OTHER } rmr_file_kind;

typedef struct rmr_file_facts {
    rmr_file_kind kind;
    uint64_t size;
    int64_t written_s, written_ns; /* the time of its last change */
} rmr_file_facts;

/* What there is; links are followed. -1: nothing, or it cannot be looked at. */
int rmr_sys_look(const char *path, rmr_file_facts *out);
int rmr_sys_look_in(rmr_handle folder, const char *name, rmr_file_facts *out);
int rmr_sys_look_at(rmr_handle h, rmr_file_facts *out);

/* Where a link leads: the bytes of `to`, or -1. */
int64_t rmr_sys_link_in(rmr_handle folder, const char *name, char *to, size_t cap);

/* A folder stays the same one whatever the process makes its own folder later. */
rmr_handle rmr_sys_open_folder(const char *path);
/* The folder that a path to a file lies in. The path's own links are not followed, because in a
 * Hugging Face cache they lead out of the model's folder. */
rmr_handle rmr_sys_open_parent(rmr_mem *mem, const char *path);
/* For reading, without ever waiting: a FIFO or a device in a model folder must not block the host.
 */
rmr_handle rmr_sys_open_in(rmr_handle folder, const char *name);
/* For reading and writing; there must be none of the name. */
rmr_handle rmr_sys_make_in(rmr_handle folder, const char *name);
rmr_handle rmr_sys_make(const char *path); /* for writing, empty */
void rmr_sys_close(rmr_handle h);

/* Call fn with every name in a folder of a folder ("." itself) until it returns non-zero. -1: it
 * cannot be listed. The system may take memory from malloc for the time of the call. */
int rmr_sys_list(rmr_handle folder, const char *name, int (*fn)(void *user, const char *name),
                 void *user);

int rmr_sys_remove_in(rmr_handle folder, const char *name);
int rmr_sys_rename_in(rmr_handle folder, const char *from, const char *to); /* over what is there */

/* Bytes at a place: as many as one call of the system does; reading gives 0 at the end. */
int64_t rmr_sys_read(rmr_handle h, uint64_t off, void *p, uint64_t n);
int64_t rmr_sys_write(rmr_handle h, uint64_t off, const void *p, uint64_t n);
int rmr_sys_resize(rmr_handle h, uint64_t size);
/* Bring a file or a folder to disk, where the file system can. */
int rmr_sys_sync(rmr_handle h);
/* The bytes need not stay in the system's cache. */
void rmr_sys_forget(rmr_handle h);
/* The largest size that the process may give a file. */
uint64_t rmr_sys_largest_file(void);

/* The bytes of a file as memory; NULL: some file systems cannot. */
void *rmr_sys_map(rmr_handle h, uint64_t size);
void rmr_sys_unmap(void *p, uint64_t size);
/* [off, off + n) of a mapping of `size` bytes is not needed again. */
void rmr_sys_map_done(const void *p, uint64_t size, uint64_t off, uint64_t n);

#endif

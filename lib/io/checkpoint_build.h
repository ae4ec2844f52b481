/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a checkpoint, for the readers that fill it: files are added, room is made once for
 * a counted number of tensors and names, tensors are added, and the names sorted. */
#ifndef RMR_CHECKPOINT_BUILD_H
#define RMR_CHECKPOINT_BUILD_H

#include "checkpoint.h"

struct rmr_checkpoint {
    rmr_mem *mem;
    rmr_refusals *keep; /* while the checkpoint is read: the list of reasons against it, or NULL */
    rmr_file **files; /* in the reader's order */
    size_t n_files, files_cap;
    char *names; /* all tensor names, each NUL-terminated */
    size_t names_size, names_used;
    rmr_tensor *tensors; /* as found */
    const rmr_tensor **sorted;
    size_t n, cap;
};

/* An empty checkpoint; NULL when there is no memory. */
rmr_checkpoint *rmr_build_create(rmr_mem *mem);

/* Open a file of the source and put it at place i of the list; `what` names the thing in the
 * message that has too many files. */
remora_status rmr_build_add_file(rmr_checkpoint *c, rmr_source *src, const char *what,
                                 const char *name, size_t i, remora_error *err);

/* Put a file at place i of the list; it is closed when there is no memory. */
remora_status rmr_build_put_file(rmr_checkpoint *c, rmr_file *f, size_t i, remora_error *err);

/* Room for n tensors whose names take so many bytes with their NULs; once. */
remora_status rmr_build_room(rmr_checkpoint *c, size_t n, size_t name_bytes, remora_error *err);

/* Add a tensor, named by the n bytes and the NUL that the caller wrote at names + names_used. Its
 * dtype is COUNT: nothing is known of it yet. There must be room. */
rmr_tensor *rmr_build_add(rmr_checkpoint *c, size_t n, const rmr_file *f);

/* Sort the names, once all are there; E_FORMAT for a name that occurs twice. */
remora_status rmr_build_sort(rmr_checkpoint *c, const char *file, remora_error *err);

/* The place of a tensor in the order of names, or SIZE_MAX. */
size_t rmr_build_find(const rmr_checkpoint *c, const char *name);

/* Put tensors of one file in the order of their places in it; an empty tensor comes before one with
 * bytes at the same place. */
void rmr_build_by_place(const rmr_tensor **tensors, size_t n);

/* E_FORMAT "half-written" when tensors of file f, in that order, go on behind its end. */
remora_status rmr_build_whole(const rmr_tensor *const *tensors, size_t n, const rmr_file *f,
                              remora_error *err);

#endif

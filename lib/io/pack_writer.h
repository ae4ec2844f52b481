/* SPDX-License-Identifier: Apache-2.0 */
/* The .remora pack, writing. The file is made beside its final name and takes that name only when
 * it is whole and on disk: whatever fails, there is never half a pack under the final name.
 *
 *     begin; blob, add, section (any number); lay_out; write (any thread); seal; publish; free
 *
 * `seal` makes the temporary file a valid pack, which can be opened by rmr_pack_writer_path, for a
 * self-test. After that sections may be set and it may be sealed again: only the header is written.
 * A process that is killed leaves a file ".<digits>.remora-part" behind. */
#ifndef RMR_PACK_WRITER_H
#define RMR_PACK_WRITER_H

#include "pack.h"

typedef struct rmr_pack_writer rmr_pack_writer;

/* `path`: the final name, in a folder that exists. A file of that name is replaced by publish. E_IO
 * with errno, E_NOT_FOUND (no such folder). */
remora_status rmr_pack_writer_begin(rmr_mem *mem, const char *path, rmr_pack_writer **out,
                                    remora_error *err);

/* Add a blob, whose bytes are borrowed until the end. Each name once; blobs are not compressed. */
remora_status rmr_pack_writer_blob(rmr_pack_writer *w, const char *name, const void *data,
                                   uint64_t n, remora_error *err);

/* Add a weight; *index names it from now on. E_ARG: dimensions that do not fit the type or the use
 * (rmr_pack_tensor), a name that is there already. */
remora_status rmr_pack_writer_add(rmr_pack_writer *w, const char *name, rmr_weight_use use,
                                  rmr_elem elem, uint32_t count, uint32_t rows, uint32_t cols,
                                  uint32_t *index, remora_error *err);

/* Set a top-level entry of the manifest; entries stand in the order of first setting. `value` is
 * taken over, also on failure. E_ARG: a key that is the format's own. */
remora_status rmr_pack_writer_section(rmr_pack_writer *w, const char *key, json_t *value,
                                      remora_error *err);

/* Fix every place. `spare`: bytes that sections set later may add to the manifest. E_IO when the
 * file would be larger than the system lets this process write. */
remora_status rmr_pack_writer_lay_out(rmr_pack_writer *w, uint64_t spare, remora_error *err);

/* Dimensions and bytes of an entry in compute layout; valid after lay_out. */
const rmr_pack_tensor *rmr_pack_writer_at(const rmr_pack_writer *w, uint32_t index);

/* Write n bytes at `offset` of an entry in compute layout; each byte once, from any thread. E_IO
 * with errno: no space, for example. */
remora_status rmr_pack_writer_write(rmr_pack_writer *w, uint32_t index, uint64_t offset,
                                    const void *data, uint64_t n, remora_error *err);

/* Checksums (by reading back), then the header, then everything to disk. level 1..22: compress by
 * zstd where that makes a tensor smaller, into a second temporary file; 0: do not. E_INTERNAL when
 * an entry was not written whole. E_CANCELLED by the host. */
remora_status rmr_pack_writer_seal(rmr_pack_writer *w, int level, const rmr_job_host *host,
                                   remora_error *err);

/* The temporary file; valid until publish or free. */
const char *rmr_pack_writer_path(const rmr_pack_writer *w);

/* Give the sealed file its name. */
remora_status rmr_pack_writer_publish(rmr_pack_writer *w, remora_error *err);

/* End the writing, always. A file that was not published is removed. w may be NULL. */
void rmr_pack_writer_free(rmr_pack_writer *w);

#endif

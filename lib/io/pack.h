/* SPDX-License-Identifier: Apache-2.0 */
/* The .remora pack, reading (docs/pack.md is its specification): one file with a YAML manifest,
 * blobs, and weights in compute layout at page-aligned offsets.
 *
 * Opening reads the header alone: its checksum, every field of the manifest, every size and place.
 * Nothing it does grows with the weights or the tokenizer. The contents of blobs and tensors are
 * checked by rmr_pack_verify, and on the way by the code that uses them. */
#ifndef RMR_PACK_H
#define RMR_PACK_H

#include <jansson.h>

#include "job.h"
#include "layout.h"
#include "source.h"

enum {
    RMR_PACK_VERSION = 1,
    RMR_PACK_PAGE = 4096,           /* alignment of the header's end, blobs and tensors */
    RMR_PACK_CHUNK = 4 << 20,       /* bytes of a tensor that are compressed as one */
    RMR_PACK_MAX_HEADER = 16 << 20, /* bytes */
    RMR_PACK_MAX_NAME = 255,        /* bytes of a tensor's or blob's name */
};

/* A weight. Names are those of Hugging Face without ".weight", stacks without the expert's number:
 * "model.layers.3.mlp.experts.gate_proj". A name may occur once for each use. */
typedef struct rmr_pack_tensor {
    const char *name;
    rmr_weight_use use;
    rmr_elem elem;
    uint32_t count, rows, cols; /* none is 0; they fit the type and the use */
    uint64_t bytes;             /* in compute layout */
    uint64_t offset, stored;    /* place and size in the file */
    int zstd;                   /* stored in chunks, else as it is: stored = bytes */
    uint8_t sha256[32];         /* of the bytes in compute layout */
} rmr_pack_tensor;

typedef struct rmr_pack_blob {
    const char *name;
    uint64_t offset, bytes;
    uint8_t sha256[32];
} rmr_pack_blob;

typedef struct rmr_pack rmr_pack;

/* The pack that the source means, into name, or "" when it means none (find_model_file.h): a file
 * that begins like one or is called .remora. */
remora_status rmr_find_pack_file(rmr_source *src, char name[RMR_MAX_NAME + 1], remora_error *err);

/* E_FORMAT: not a pack, cut off or damaged in the header; E_UNSUPPORTED: a newer version or an
 * element type that this build does not know. `src` may be freed afterwards. */
remora_status rmr_pack_open(rmr_mem *mem, rmr_source *src, const char *name, rmr_pack **out,
                            remora_error *err);
/* The pack that the description means, its file read and not mapped; E_UNSUPPORTED: it means none.
 */
remora_status rmr_pack_open_source(rmr_mem *mem, const remora_source *src, rmr_pack **out,
                                   remora_error *err);
void rmr_pack_free(rmr_pack *p);

/* The manifest: an object. NULL once it is dropped: jansson's memory is malloc's (json.h), so it
 * goes when opening is done. */
const json_t *rmr_pack_manifest(const rmr_pack *p);
void rmr_pack_drop_manifest(rmr_pack *p);

const char *rmr_pack_file(const rmr_pack *p); /* its name, for messages */
uint64_t rmr_pack_size(const rmr_pack *p);    /* of the file */

uint32_t rmr_pack_count(const rmr_pack *p);
const rmr_pack_tensor *rmr_pack_at(const rmr_pack *p, uint32_t i); /* sorted by name, then use */
/* A number below the count that is this tensor's alone (not its place by name). */
uint32_t rmr_pack_index(const rmr_pack *p, const rmr_pack_tensor *t);
const rmr_pack_tensor *rmr_pack_find(const rmr_pack *p, const char *name,
                                     rmr_weight_use use); /* NULL when absent */
const rmr_pack_blob *rmr_pack_find_blob(const rmr_pack *p, const char *name);

/* The tensor in memory, or NULL: not mapped, or compressed. As safe as rmr_file_data is: call
 * rmr_pack_check right before. */
const void *rmr_pack_data(const rmr_pack *p, const rmr_pack_tensor *t);
const void *rmr_pack_blob_data(const rmr_pack *p, const rmr_pack_blob *b);
remora_status rmr_pack_check(const rmr_pack *p, remora_error *err);
rmr_file_pages rmr_pack_mend_pages(const rmr_pack *p); /* rmr_file_mend_pages */
remora_status rmr_pack_unchanged(const rmr_pack *p, remora_error *err); /* rmr_file_unchanged */
remora_status rmr_pack_read_blob(const rmr_pack *p, const rmr_pack_blob *b, void *dst,
                                 remora_error *err);

/* Chunks of RMR_PACK_CHUNK bytes, the last one shorter, whether compressed or not. */
uint64_t rmr_pack_chunks(const rmr_pack_tensor *t);
uint32_t rmr_pack_chunk_bytes(const rmr_pack_tensor *t, uint64_t chunk);

/* Reading chunks takes memory that one thread uses at a time. */
typedef struct rmr_pack_reader rmr_pack_reader;
remora_status rmr_pack_reader_create(const rmr_pack *p, rmr_mem *mem, rmr_pack_reader **out,
                                     remora_error *err);
void rmr_pack_reader_free(rmr_pack_reader *r);
/* E_FORMAT names the tensor whose compressed bytes are damaged. */
remora_status rmr_pack_read_chunk(rmr_pack_reader *r, const rmr_pack_tensor *t, uint64_t chunk,
                                  void *dst, remora_error *err);
/* n bytes of the tensor from `at` on, which it has. Of a compressed tensor whole chunks are read.
 */
remora_status rmr_pack_read(rmr_pack_reader *r, const rmr_pack_tensor *t, uint64_t at, uint64_t n,
                            void *dst, remora_error *err);

/* Compare every tensor and blob with its checksum: E_FORMAT names one that differs. */
remora_status rmr_pack_verify(const rmr_pack *p, const rmr_job_host *host, remora_error *err);

/* ---- for the writer ---- */

/* The first lines of a header, of fixed width. */
typedef struct rmr_pack_front {
    uint64_t version, header_bytes, manifest_bytes, file_bytes;
} rmr_pack_front;

enum { RMR_PACK_FRONT = 186 /* bytes of those lines */ };
#define RMR_PACK_MAGIC "remora_pack: "

/* Write the lines at the start of a header of front->header_bytes, and its checksum. */
void rmr_pack_seal(unsigned char *header, const rmr_pack_front *front);

/* "matrix", "table", "vector". */
const char *rmr_pack_use_name(rmr_weight_use use);
void rmr_pack_hex(const uint8_t sha256[32], char out[65]);

#endif

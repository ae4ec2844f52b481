/* safetensors checkpoints: one file, or an index with shards. Opening reads and checks headers
 * only; tensor bytes are read by their user. The rules are listed in docs/formats.md. */
#ifndef RMR_SAFETENSORS_H
#define RMR_SAFETENSORS_H

#include "source.h"

typedef enum rmr_dtype {
    RMR_DTYPE_BOOL,
    RMR_DTYPE_U8,
    RMR_DTYPE_I8,
    RMR_DTYPE_I16,
    RMR_DTYPE_U16,
    RMR_DTYPE_F16,
    RMR_DTYPE_BF16,
    RMR_DTYPE_I32,
    RMR_DTYPE_U32,
    RMR_DTYPE_F32,
    RMR_DTYPE_I64,
    RMR_DTYPE_U64,
    RMR_DTYPE_F64,
    RMR_DTYPE_C64,
    RMR_DTYPE_F8_E4M3,
    RMR_DTYPE_F8_E5M2,
    RMR_DTYPE_F8_E8M0,
    RMR_DTYPE_COUNT
} rmr_dtype;

const char *rmr_dtype_name(rmr_dtype t); /* as in the file: "BF16" */
uint32_t rmr_dtype_size(rmr_dtype t);    /* bytes of one element */

enum {
    RMR_MAX_DIMS = 8,
    RMR_MAX_SHARDS = 10000,
    RMR_MAX_TENSORS = 1 << 20,  /* of a checkpoint; DeepSeek V3 has 91,991 */
    RMR_MAX_TENSOR_NAME = 4096, /* bytes */
    RMR_MAX_HEADER = 100000000, /* bytes of a header, and of an index */
};

/* One tensor. The product of its nonzero dims fits uint64_t, and bytes is that of all dims times
 * the element size. The offset may have any alignment: old writers do not align. */
typedef struct rmr_tensor {
    const char *name;
    rmr_dtype dtype;
    uint32_t n_dims; /* 0: a scalar */
    uint64_t dims[RMR_MAX_DIMS];
    uint64_t offset; /* of the first byte in its file; offset + bytes <= rmr_file_size */
    uint64_t bytes;
    const rmr_file *file;
} rmr_tensor;

typedef struct rmr_checkpoint rmr_checkpoint;

/* "model.safetensors.index.json" with its shards or, where there is no index, "model.safetensors";
 * E_NOT_FOUND when there is neither, or a shard is missing. Every rule of the format is checked,
 * and that the index and the shards name the same tensors. Keeps its files open (one descriptor
 * each); `src` may be freed. */
remora_status rmr_checkpoint_open(rmr_mem *mem, rmr_source *src, rmr_checkpoint **out,
                                  remora_error *err);
void rmr_checkpoint_free(rmr_checkpoint *c);

uint64_t rmr_checkpoint_count(const rmr_checkpoint *c);
const rmr_tensor *rmr_checkpoint_at(const rmr_checkpoint *c,
                                    uint64_t i); /* sorted by name (bytes) */
/* A number below the count that is this tensor's alone (not its place by name). */
uint64_t rmr_checkpoint_index(const rmr_checkpoint *c, const rmr_tensor *t);
const rmr_tensor *rmr_checkpoint_find(const rmr_checkpoint *c,
                                      const char *name); /* NULL when absent */

#endif

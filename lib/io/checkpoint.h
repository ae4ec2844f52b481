/* SPDX-License-Identifier: Apache-2.0 */
/* The tensors of a model: a table of names, element types, shapes and places in files. A reader of
 * one file format (safetensors.h, gguf.h) fills it; code that looks tensors up does not see which
 * format it was. Tensor bytes are read by their user. */
#ifndef RMR_CHECKPOINT_H
#define RMR_CHECKPOINT_H

#include "quant.h"
#include "refusals.h"
#include "source.h"

/* Element types as files name them. */
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
    RMR_DTYPE_BLOCKS, /* the first that takes more than one value to a block: GGUF's */
    RMR_DTYPE_Q8_0 = RMR_DTYPE_BLOCKS,
    RMR_DTYPE_Q4_0,
    RMR_DTYPE_IQ4_NL,
    RMR_DTYPE_MXFP4,
    RMR_DTYPE_IQ4_XS,
    RMR_DTYPE_Q4_K,
    RMR_DTYPE_Q5_K,
    RMR_DTYPE_Q6_K,
    RMR_DTYPE_Q3_K,
    RMR_DTYPE_Q2_K,
    RMR_DTYPE_Q4_1,
    RMR_DTYPE_Q5_0,
    RMR_DTYPE_Q5_1,
    RMR_DTYPE_UNREAD,                /* types known by name and size only, for listing */
    RMR_DTYPE_F4 = RMR_DTYPE_UNREAD, /* to F8_E5M2FNUZ: of safetensors */
    RMR_DTYPE_F6_E2M3,
    RMR_DTYPE_F6_E3M2,
    RMR_DTYPE_F8_E4M3FNUZ,
    RMR_DTYPE_F8_E5M2FNUZ,
    RMR_DTYPE_Q8_1, /* of GGUF */
    RMR_DTYPE_Q8_K,
    RMR_DTYPE_IQ2_XXS,
    RMR_DTYPE_IQ2_XS,
    RMR_DTYPE_IQ3_XXS,
    RMR_DTYPE_IQ1_S,
    RMR_DTYPE_IQ3_S,
    RMR_DTYPE_IQ2_S,
    RMR_DTYPE_IQ1_M,
    RMR_DTYPE_Q4_0_4_4,
    RMR_DTYPE_Q4_0_4_8,
    RMR_DTYPE_Q4_0_8_8,
    RMR_DTYPE_TQ1_0,
    RMR_DTYPE_TQ2_0,
    RMR_DTYPE_IQ4_NL_4_4,
    RMR_DTYPE_IQ4_NL_4_8,
    RMR_DTYPE_IQ4_NL_8_8,
    RMR_DTYPE_NVFP4,
    RMR_DTYPE_Q1_0,
    RMR_DTYPE_COUNT
} rmr_dtype;

const char *rmr_dtype_name(rmr_dtype t); /* "BF16" */
uint32_t rmr_dtype_size(rmr_dtype t);    /* bytes of a block, which is one value below BLOCKS */
uint32_t rmr_dtype_values(rmr_dtype t);  /* values of a block */

/* The compute type of weights of this dtype. RMR_ELEM_COUNT: there is none, or (F8) it takes a
 * second tensor with the scales. */
rmr_elem rmr_dtype_elem(rmr_dtype t);

enum {
    RMR_MAX_DIMS = 8,
    RMR_MAX_SHARDS = 10000,
    RMR_MAX_TENSORS = 1 << 20,  /* tensors of a checkpoint; DeepSeek V3 has 91,991 */
    RMR_MAX_TENSOR_NAME = 4096, /* bytes */
    RMR_MAX_HEADER = 100000000, /* bytes of a header, and of an index */
};

/* One tensor. The product of its nonzero dims fits uint64_t. bytes is the product of all dims times
 * the element size; the last dim is whole blocks. The offset may have any alignment: old writers do
 * not align. */
typedef struct rmr_tensor {
    const char *name;
    rmr_dtype dtype;
    uint32_t n_dims;             /* 0: a scalar */
    uint64_t dims[RMR_MAX_DIMS]; /* the last runs fastest */
    uint64_t offset; /* place of the first byte in its file; offset + bytes <= rmr_file_size */
    uint64_t bytes;
    const rmr_file *file;
} rmr_tensor;

/* Values of a tensor. */
static inline uint64_t rmr_tensor_values(const rmr_tensor *t)
{
    return t->bytes / rmr_dtype_size(t->dtype) * rmr_dtype_values(t->dtype);
}

typedef struct rmr_checkpoint rmr_checkpoint;

/* Free the checkpoint and close its files. */
void rmr_checkpoint_free(rmr_checkpoint *c);

/* Take one of its files out of the checkpoint: the caller closes it. */
rmr_file *rmr_checkpoint_take(rmr_checkpoint *c, const rmr_file *f);

uint64_t rmr_checkpoint_count(const rmr_checkpoint *c);
const rmr_tensor *rmr_checkpoint_at(const rmr_checkpoint *c,
                                    uint64_t i); /* sorted by name (bytes) */
/* A number below the count that is this tensor's alone (not its place by name). */
uint64_t rmr_checkpoint_index(const rmr_checkpoint *c, const rmr_tensor *t);
const rmr_tensor *rmr_checkpoint_find(const rmr_checkpoint *c,
                                      const char *name); /* NULL when absent */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The origin of a model. A format is a way in which models lie in files; an origin is the files
 * of one model, opened in their format. Code above this header never asks which format it is. A new
 * one is a file with one rmr_format (CONTRIBUTING.md, "A source format"). */
#ifndef RMR_FORMAT_H
#define RMR_FORMAT_H

#include "json_files.h"
#include "metadata.h"
#include "refusals.h"
#include "shape.h"
#include "tokenizer.h"

typedef struct rmr_format rmr_format;

/* The part that all origins have; a format's own begins with it. */
typedef struct rmr_origin {
    const rmr_format *format;
    rmr_mem *mem;
    rmr_source *src;     /* borrowed while the model is opened */
    rmr_json_files json; /* small files that several functions read; until the model is open */
    rmr_refusals *keep;  /* not NULL: takes refusals, and what can be read is given */
    char file[96];       /* for messages about the configuration: the file it is read from */
    const char *name;    /* that the model is given, or NULL; valid while the model is opened */
    const char *doubt;   /* the reason why ids may differ from those of training, or NULL */
    uint64_t n_params;   /* of the model that this one was made from; 0: as many as are planned */
} rmr_origin;

/* ---- weights ---- */

/* The form in which the rows of a matrix lie in a checkpoint. */
typedef enum rmr_coding {
    RMR_CODING_PLAIN,   /* canonical rows (quant.h), one after another */
    RMR_CODING_F8,      /* e4m3 codes; `scale` has one value for each 128 x 128 block */
    RMR_CODING_F8_ONE,  /* e4m3 codes; `scale` has one value */
    RMR_CODING_F8_ROWS, /* e4m3 codes; `scale` has one value for each row */
    RMR_CODING_I4,      /* compressed-tensors: 8 codes to an I32; `scale` [rows, cols / 32] */
    RMR_CODING_MXFP4    /* two E2M1 codes to a byte; `scale` [rows, cols / 32] of E8M0 */
} rmr_coding;

/* The place of one matrix in a checkpoint: rows of a tensor from row0 on. */
typedef struct rmr_matrix {
    const rmr_tensor *data;
    const rmr_tensor *scale; /* NULL for plain rows */
    uint64_t row0;
} rmr_matrix;

/* A weight: the form in which the backend will hold it, and the tensors in which the format found
 * it. */
typedef struct rmr_weight_plan_item {
    char name[96];       /* as Hugging Face names it in a text model, without ".weight" */
    rmr_weight **weight; /* the place of the loaded weight */
    rmr_weight_desc desc;
    int adopt;       /* it is used where it lies in the source's memory */
    rmr_elem stored; /* of the canonical rows; desc.elem is F32 where they are decoded */
    rmr_coding coding;
    int transpose;    /* the matrices lie there as [cols, rows] */
    rmr_matrix first; /* the next ones begin `step` rows further each */
    uint64_t step;
    rmr_matrix *each;  /* [desc.count], where each matrix is a tensor of its own; else NULL */
    const void *place; /* for formats without a checkpoint: their own word for where it lies */
} rmr_weight_plan_item;

static inline rmr_matrix rmr_matrix_of(const rmr_weight_plan_item *it, uint32_t index)
{
    rmr_matrix m = it->each != NULL ? it->each[index] : it->first;
    if (it->each == NULL) m.row0 += index * it->step;
    return m;
}

/* The use of a tensor to the model, known once all weights have been looked for. */
typedef enum rmr_tensor_role {
    RMR_TENSOR_USED,       /* of a weight, or known to hold nothing that is needed */
    RMR_TENSOR_OTHER_PART, /* of a part of the model that is not for text */
    RMR_TENSOR_PREDICTION, /* of a layer that predicts further tokens */
    RMR_TENSOR_EXTRA       /* of nothing that is known */
} rmr_tensor_role;

typedef struct rmr_listed_tensor {
    rmr_tensor_role role;
    const char *name, *file;
    uint64_t n_params;
} rmr_listed_tensor;

/* ---- reading ---- */

/* The state with which one thread reads. */
typedef struct rmr_reader {
    rmr_origin *from;
    unsigned char *room; /* of `size` bytes: for what is read and made of it */
    uint64_t size;
    void *own; /* the format's, made when first needed, or NULL */
    void (*free_own)(void *own);
} rmr_reader;

/* Room for n bytes; what was in it before is lost. */
remora_status rmr_reader_room(rmr_reader *r, uint64_t n, unsigned char **out, remora_error *err);
void rmr_reader_end(rmr_reader *r); /* a zeroed struct is fine too */

/* A weight is read in portions of a few megabytes. */
typedef struct rmr_span {
    uint64_t portions, bytes; /* bytes of all portions */
} rmr_span;

typedef struct rmr_portion {
    const void *data; /* in the reader's room */
    uint64_t bytes;
    uint64_t offset;         /* laid out: in the weight */
    uint32_t index, row0, n; /* else: rows [row0, row0 + n) of matrix `index`; row0 is a multiple of
                                128, n too but at the end of a matrix */
} rmr_portion;

/* ---- formats ---- */

/* Functions whose comment does not say otherwise are there in every format. */
struct rmr_format {
    const char *name; /* "GGUF file" */
    size_t bytes;     /* of its origins */
    int laid_out;     /* portions are in the layout of packs (layout.h); else they are rows */

    /* The name of the file that the source means in this format, or "" when it means none. */
    remora_status (*probe)(rmr_source *src, char name[RMR_MAX_NAME + 1], remora_error *err);

    /* Open the files as far as the configuration needs it; `file` is set, and `name`, `doubt` and
     * `n_params` where there are any. The origin is zero but for format, mem, src, json and keep;
     * after a failure it is freed. */
    remora_status (*open)(rmr_origin *o, const char *name, remora_error *err);
    void (*free)(rmr_origin *o); /* not the origin's own block */

    /* The model's configuration, with the fields of config.json (shape.h); released with
     * json_decref. On failure *out is NULL or what was read. */
    remora_status (*config)(rmr_origin *o, json_t **out, remora_error *err);
    /* The known part of a configuration that is refused. NULL: the fields that config gives. */
    remora_status (*known_config)(rmr_origin *o, json_t **out, remora_error *err);
    /* Metadata beside the configuration. NULL: none. */
    remora_status (*metadata)(rmr_origin *o, rmr_metadata *meta, remora_error *err);

    /* E_NOT_FOUND: there is none; E_UNSUPPORTED: one of a kind that is not done. */
    remora_status (*tokenizer)(rmr_origin *o, uint32_t n_vocab, rmr_tokenizer **out,
                               remora_error *err);

    /* Read and check the table of tensors; the functions from here on need it. */
    remora_status (*open_tensors)(rmr_origin *o, remora_error *err);
    /* Every tensor into the metadata; none where the table could not be read. */
    remora_status (*list_tensors)(rmr_origin *o, rmr_metadata *meta, remora_error *err);

    /* Is there a matrix of that name? */
    int (*has)(rmr_origin *o, const char *name);
    /* Are the two halves of a kv_b_proj (weight_table.h) weights of their own, and not rows of the
     * matrix `name`? NULL: never. */
    int (*has_halves)(rmr_origin *o, const char *name);
    /* Find the weight of it->name with the use, the rows and the columns of it->desc, whose count
     * is 1; fill in the types and where it lies. E_FORMAT: it is missing or of another shape;
     * E_UNSUPPORTED: it is of a type that is not read. */
    remora_status (*find)(rmr_origin *o, rmr_weight_plan_item *it, remora_error *err);
    /* As find, for it->desc.count matrices that lie together. E_NOT_FOUND: they do not lie
     * together; each is a weight of its own, with its number in front of the last part of the name.
     * NULL: they never lie together. */
    remora_status (*find_stack)(rmr_origin *o, rmr_weight_plan_item *it, remora_error *err);
    /* Tensor i of the table; 0: there are not so many. */
    int (*tensor)(rmr_origin *o, const rmr_shape *s, uint64_t i, rmr_listed_tensor *out);

    /* The bytes of a weight in memory, as the backend's weight_adopts wants them, or NULL: they
     * have to be read. */
    const void *(*data)(rmr_origin *o, const rmr_weight_plan_item *it);
    /* Such bytes are going to be used as long as the origin lives. E_FORMAT: the file that they lie
     * in has become shorter. */
    remora_status (*hold)(rmr_origin *o, remora_error *err);
    /* Asked after hold, where such bytes are going to be computed from: the pages in which the
     * system has them. NULL: it has none. */
    rmr_file_pages (*mend_pages)(const rmr_origin *o);
    /* Asked before each use of such bytes, by any thread. E_IO: the file that they lie in has
     * changed since it was opened (rmr_file_unchanged). */
    remora_status (*unchanged)(const rmr_origin *o, remora_error *err);

    /* The number of portions in which a weight is read, and the reading of one. An adopted weight
     * has portions if reading checks its bytes. */
    rmr_span (*span)(const rmr_weight_plan_item *it);
    remora_status (*read)(rmr_reader *r, const rmr_weight_plan_item *it, uint64_t portion,
                          rmr_portion *out, remora_error *err);
    /* *rows = rows [row0, row0 + n) of matrix `index` in canonical form (quant.h), in the reader's
     * room; row0 is a multiple of RMR_ROW_GRANULE. When the item is transposed, all of them. */
    remora_status (*read_rows)(rmr_reader *r, const rmr_weight_plan_item *it, uint32_t index,
                               uint32_t row0, uint32_t n, const void **rows, remora_error *err);

    /* The model is open: free what neither its weights nor its tokenizer lie in. */
    void (*settle)(rmr_origin *o);
};

extern const rmr_format rmr_format_pack, rmr_format_gguf, rmr_format_hf;

/* The library's formats, in the order in which they are asked, and NULL. */
extern const rmr_format *const rmr_formats[];

/* Open the source in the first format of the list that it means. src is borrowed until
 * rmr_origin_settle. With `keep` (else NULL) as much is opened as can be: for listing alone. */
remora_status rmr_origin_open(const rmr_format *const *formats, rmr_mem *mem, rmr_source *src,
                              rmr_refusals *keep, rmr_origin **out, remora_error *err);
void rmr_origin_settle(rmr_origin *o);
void rmr_origin_free(rmr_origin *o); /* NULL is fine */

#endif

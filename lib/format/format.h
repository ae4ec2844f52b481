/* Where a model comes from. A format is a way in which models lie in files; an origin is the files
 * of one model, opened in their format. Code above this header never asks which format it is. A new
 * one is a file with one rmr_format (CONTRIBUTING.md, "A source format"). */
#ifndef RMR_FORMAT_H
#define RMR_FORMAT_H

#include "metadata.h"
#include "refusals.h"
#include "tokenizer.h"

typedef struct rmr_format rmr_format;

/* The part that all origins have; a format's own begins with it. */
typedef struct rmr_origin {
    const rmr_format *format;
    rmr_mem *mem;
    rmr_source *src;    /* borrowed while the model is opened */
    rmr_refusals *keep; /* not NULL: refusals are kept there, and what is left is given */
    char file[96];      /* for messages about the configuration: the file it is read from */
    const char *name;   /* that the model is given, or NULL; valid while the model is opened */
    const char *doubt;  /* why ids may differ from those of training, or NULL */
    uint64_t n_params;  /* of the model that this one was made from; 0: as many as are planned */
    /* until the plan goes by the format: one of the two, once the tensors are open */
    rmr_checkpoint *ck;
    rmr_pack *pack;
} rmr_origin;

/* Functions whose comment does not say otherwise are there in every format. */
struct rmr_format {
    const char *name;
    size_t bytes; /* of its origins */

    /* The name of the file that the source means in this format, or "" when it means none. */
    remora_status (*probe)(rmr_source *src, char name[RMR_MAX_NAME + 1], remora_error *err);

    /* Open the files as far as the configuration needs it; `file` is set, and `name`, `doubt` and
     * `n_params` where there are any. The origin is zero but for format, mem, src and keep; after a
     * failure it is freed. */
    remora_status (*open)(rmr_origin *o, const char *name, remora_error *err);
    void (*free)(rmr_origin *o); /* not the origin's own block */

    /* The model's configuration, with the fields of config.json (shape.h); released with
     * json_decref. On failure *out is NULL or what was read. */
    remora_status (*config)(rmr_origin *o, json_t **out, remora_error *err);
    /* What is known of a configuration that is refused. NULL: nothing that config does not give. */
    remora_status (*known_config)(rmr_origin *o, json_t **out, remora_error *err);
    /* What there is to say beside the configuration. NULL: nothing. */
    remora_status (*metadata)(rmr_origin *o, rmr_metadata *meta, remora_error *err);

    /* E_NOT_FOUND: there is none; E_UNSUPPORTED: one of a kind that is not done. */
    remora_status (*tokenizer)(rmr_origin *o, uint32_t n_vocab, rmr_tokenizer **out,
                               remora_error *err);

    /* Read and check the table of tensors. */
    remora_status (*open_tensors)(rmr_origin *o, remora_error *err);
    /* Every tensor of the table, if there is one, into the metadata. */
    remora_status (*list_tensors)(rmr_origin *o, rmr_metadata *meta, remora_error *err);

    /* The model is open: free what neither its weights nor its tokenizer lie in. */
    void (*settle)(rmr_origin *o);
};

extern const rmr_format rmr_format_pack, rmr_format_gguf, rmr_format_hf;

/* Those of the library, in the order in which they are asked, and NULL. */
extern const rmr_format *const rmr_formats[];

/* Open the source in the first format of the list that it means. src is borrowed until
 * rmr_origin_settle. With `keep` (else NULL) as much is opened as can be: for listing alone. */
remora_status rmr_origin_open(const rmr_format *const *formats, rmr_mem *mem, rmr_source *src,
                              rmr_refusals *keep, rmr_origin **out, remora_error *err);
void rmr_origin_settle(rmr_origin *o);
void rmr_origin_free(rmr_origin *o); /* NULL is fine */

#endif

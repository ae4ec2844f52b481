/* GGUF (gguf.h): one file, or a file in parts, is configuration, tokenizer and checkpoint. */
#include <stdio.h>

#include "checkpoint_origin.h"
#include "gguf_config.h"

typedef struct gguf_origin {
    rmr_checkpoint_origin tensors;
    rmr_gguf *gguf;
} gguf_origin;

static rmr_gguf *gguf_of(const rmr_origin *o)
{
    return ((const gguf_origin *)o)->gguf;
}

static remora_status open_gguf(rmr_origin *o, const char *name, remora_error *err)
{
    gguf_origin *g = (gguf_origin *)o;
    RMR_TRY(rmr_gguf_open(o->mem, o->src, name, o->keep, &g->gguf, &g->tensors.ck, err));
    snprintf(o->file, sizeof o->file, "%s", rmr_gguf_name(g->gguf));
    if (rmr_tokenizer_gguf_guess(g->gguf))
        o->doubt = "tokenizer.ggml.pre does not say how the model splits text: ids may differ from "
                   "those it was trained with";
    o->ck = g->tensors.ck;
    return REMORA_OK;
}

static void free_gguf(rmr_origin *o)
{
    rmr_gguf_free(gguf_of(o));
    rmr_checkpoint_origin_free(o);
}

static remora_status config(rmr_origin *o, json_t **out, remora_error *err)
{
    return rmr_gguf_config(gguf_of(o), o->ck, out, err);
}

static remora_status known_config(rmr_origin *o, json_t **out, remora_error *err)
{
    return rmr_gguf_known(gguf_of(o), o->ck, out, err);
}

static remora_status metadata(rmr_origin *o, rmr_metadata *meta, remora_error *err)
{
    return rmr_metadata_add_gguf(o->mem, meta, gguf_of(o), err);
}

static remora_status tokenizer(rmr_origin *o, uint32_t n_vocab, rmr_tokenizer **out,
                               remora_error *err)
{
    return rmr_tokenizer_open_gguf(o->mem, gguf_of(o), n_vocab, out, err);
}

static remora_status open_tensors(rmr_origin *o, remora_error *err)
{
    (void)o, (void)err; /* the header, which is read already, has the table */
    return REMORA_OK;
}

static void settle(rmr_origin *o)
{
    rmr_gguf_free(gguf_of(o));
    ((gguf_origin *)o)->gguf = NULL;
    rmr_checkpoint_origin_settle(o);
}

const rmr_format rmr_format_gguf = {.name = "GGUF",
                                    .bytes = sizeof(gguf_origin),
                                    .probe = rmr_find_gguf_file,
                                    .open = open_gguf,
                                    .free = free_gguf,
                                    .config = config,
                                    .known_config = known_config,
                                    .metadata = metadata,
                                    .tokenizer = tokenizer,
                                    .open_tensors = open_tensors,
                                    .list_tensors = rmr_checkpoint_origin_list,
                                    .settle = settle};

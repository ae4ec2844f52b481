/* Our own format (pack.h): weights and tokenizer are used where they lie, so the pack stays open as
 * long as the model. */
#include <string.h>

#include "format.h"
#include "pack.h"

typedef struct pack_origin {
    rmr_origin origin;
    rmr_pack *pack;
} pack_origin;

static rmr_pack *pack_of(const rmr_origin *o)
{
    return ((const pack_origin *)o)->pack;
}

static remora_status open_pack(rmr_origin *o, const char *name, remora_error *err)
{
    pack_origin *p = (pack_origin *)o;
    RMR_TRY(rmr_pack_open(o->mem, o->src, name, &p->pack, err));
    const json_t *manifest = rmr_pack_manifest(p->pack);
    const json_t *made = json_object_get(manifest, "provenance");
    const json_int_t n = json_integer_value(json_object_get(made, "params"));
    const rmr_shown shown = rmr_show(rmr_pack_file(p->pack));
    memcpy(o->file, shown.text, sizeof o->file);
    o->name = json_string_value(json_object_get(manifest, "name"));
    o->n_params = n > 0 ? (uint64_t)n : 0;
    o->pack = p->pack;
    return REMORA_OK;
}

static void free_pack(rmr_origin *o)
{
    rmr_pack_free(pack_of(o));
}

static remora_status config(rmr_origin *o, json_t **out, remora_error *err)
{
    json_t *config = json_object_get(rmr_pack_manifest(pack_of(o)), "config");
    if (!json_is_object(config)) RMR_FAIL(err, REMORA_E_FORMAT, "%s: config is missing", o->file);
    *out = json_incref(config);
    return REMORA_OK;
}

/* The blob into memory of its own, which the tokenizer takes over. */
static remora_status copy_blob(const rmr_origin *o, const rmr_pack_blob *b, const void **out,
                               remora_error *err)
{
    void *copy = rmr_alloc(o->mem, (size_t)b->bytes);
    if (copy == NULL) return rmr_error_nomem(err, "tokenizer", b->bytes);
    const remora_status st = rmr_pack_read_blob(pack_of(o), b, copy, err);
    *out = copy;
    if (st < 0) rmr_free(o->mem, copy, (size_t)b->bytes);
    return st;
}

/* The compiled tokenizer, where it lies or read. */
static remora_status tokenizer(rmr_origin *o, uint32_t n_vocab, rmr_tokenizer **out,
                               remora_error *err)
{
    const rmr_pack *p = pack_of(o);
    const rmr_pack_blob *b = rmr_pack_find_blob(p, "tokenizer");
    if (b == NULL) return REMORA_E_NOT_FOUND;
    const void *data = rmr_pack_blob_data(p, b);
    const int owned = data == NULL;
    if (b->bytes > UINT32_MAX)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: its tokenizer has %llu bytes, above 4 GiB", o->file,
                 (unsigned long long)b->bytes);
    RMR_TRY(rmr_pack_check(p, err));
    if (owned) RMR_TRY(copy_blob(o, b, &data, err));
    return rmr_tokenizer_open_compiled(o->mem, data, (size_t)b->bytes, owned, n_vocab, out, err);
}

/* The header, which is read already, has the table. */
static remora_status open_tensors(rmr_origin *o, remora_error *err)
{
    (void)o, (void)err;
    return REMORA_OK;
}

static remora_status list_tensors(rmr_origin *o, rmr_metadata *meta, remora_error *err)
{
    return rmr_metadata_add_packed(o->mem, meta, pack_of(o), err);
}

static void settle(rmr_origin *o)
{
    rmr_pack_drop_manifest(pack_of(o));
}

const rmr_format rmr_format_pack = {.name = "pack",
                                    .bytes = sizeof(pack_origin),
                                    .probe = rmr_find_pack_file,
                                    .open = open_pack,
                                    .free = free_pack,
                                    .config = config,
                                    .tokenizer = tokenizer,
                                    .open_tensors = open_tensors,
                                    .list_tensors = list_tensors,
                                    .settle = settle};

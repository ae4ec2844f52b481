/* SPDX-License-Identifier: Apache-2.0 */
/* Our own format (pack.h): weights and tokenizer are used where they lie, so the pack stays open as
 * long as the model. */
#include <stdio.h>
#include <string.h>

#include "format.h"
#include "json.h"
#include "pack.h"

typedef struct pack_origin {
    rmr_origin origin;
    rmr_pack *pack;
    uint8_t *used; /* [n_used], by rmr_pack_index: tensors that are weights */
    size_t n_used;
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
    return REMORA_OK;
}

static void free_used(rmr_origin *o)
{
    pack_origin *p = (pack_origin *)o;
    rmr_free(o->mem, p->used, p->n_used);
    p->used = NULL;
    p->n_used = 0;
}

static void free_pack(rmr_origin *o)
{
    free_used(o);
    rmr_pack_free(pack_of(o));
}

static remora_status config(rmr_origin *o, json_t **out, remora_error *err)
{
    json_t *config = json_object_get(rmr_pack_manifest(pack_of(o)), "config");
    if (!json_is_object(config)) RMR_FAIL(err, REMORA_E_FORMAT, "%s: config is missing", o->file);
    *out = json_incref(config);
    return REMORA_OK;
}

static remora_status metadata(rmr_origin *o, rmr_metadata *meta, remora_error *err)
{
    const json_t *manifest = rmr_pack_manifest(pack_of(o));
    json_t *templates = json_object_get(json_object_get(manifest, "chat"), "templates"), *v;
    const char *name;
    RMR_TRY(rmr_metadata_add_json(o->mem, meta, "generation",
                                  json_object_get(manifest, "generation"), err));
    json_object_foreach(templates, name, v)
    {
        const char *text = rmr_json_text(v);
        if (text != NULL) RMR_TRY(rmr_metadata_add_template(o->mem, meta, name, text, err));
    }
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
    pack_origin *p = (pack_origin *)o;
    p->n_used = rmr_pack_count(p->pack);
    p->used = rmr_calloc(o->mem, p->n_used, 1);
    return p->used != NULL ? REMORA_OK : rmr_error_nomem(err, "tensors", p->n_used);
}

static remora_status list_tensors(rmr_origin *o, rmr_metadata *meta, remora_error *err)
{
    return rmr_metadata_add_packed(o->mem, meta, pack_of(o), err);
}

static int has(rmr_origin *o, const char *name)
{
    return rmr_pack_find(pack_of(o), name, RMR_USE_MATRIX) != NULL;
}

static int has_halves(rmr_origin *o, const char *name)
{
    (void)o, (void)name; /* the converter has cut it */
    return 1;
}

/* A weight is one tensor, alone or a stack. */
static remora_status find(rmr_origin *o, rmr_weight_plan_item *it, remora_error *err)
{
    const pack_origin *p = (const pack_origin *)o;
    rmr_weight_desc *d = &it->desc;
    const rmr_pack_tensor *t = rmr_pack_find(p->pack, it->name, d->use);
    if (t == NULL)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s %s is missing", o->file, rmr_pack_use_name(d->use),
                 it->name);
    if (t->count != d->count || t->rows != d->rows || t->cols != d->cols)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is %u of [%u,%u], its config needs %u of [%u,%u]",
                 o->file, it->name, t->count, t->rows, t->cols, d->count, d->rows, d->cols);
    p->used[rmr_pack_index(p->pack, t)] = 1;
    it->stored = d->elem = t->elem;
    it->place = t;
    return REMORA_OK;
}

static int tensor(rmr_origin *o, const rmr_shape *s, uint64_t i, rmr_listed_tensor *out)
{
    const pack_origin *p = (const pack_origin *)o;
    unsigned layer = 0;
    if (i >= rmr_pack_count(p->pack)) return 0;
    const rmr_pack_tensor *t = rmr_pack_at(p->pack, (uint32_t)i);
    const int in_layer = sscanf(t->name, "model.layers.%5u.", &layer) == 1;
    rmr_tensor_role role = RMR_TENSOR_EXTRA;
    if (p->used[rmr_pack_index(p->pack, t)])
        role = RMR_TENSOR_USED;
    else if (in_layer && layer >= s->n_layers && layer < s->n_layers + s->n_mtp)
        role = RMR_TENSOR_PREDICTION;
    *out = (rmr_listed_tensor){role, t->name, rmr_pack_file(p->pack),
                               (uint64_t)t->rows * t->cols * t->count};
    return 1;
}

static const void *data(rmr_origin *o, const rmr_weight_plan_item *it)
{
    return rmr_pack_data(pack_of(o), it->place);
}

/* Of the one file that everything lies in. */
static remora_status hold(rmr_origin *o, remora_error *err)
{
    return rmr_pack_check(pack_of(o), err);
}

static rmr_file_pages mend_pages(const rmr_origin *o)
{
    return rmr_pack_mend_pages(pack_of(o));
}

static remora_status unchanged(const rmr_origin *o, remora_error *err)
{
    return rmr_pack_unchanged(pack_of(o), err);
}

static void free_reader(void *own)
{
    rmr_pack_reader_free(own);
}

/* The reader's own. */
static remora_status reader_of(rmr_reader *r, rmr_pack_reader **out, remora_error *err)
{
    if (r->own == NULL) {
        RMR_TRY(rmr_pack_reader_create(pack_of(r->from), r->from->mem, out, err));
        r->own = *out;
        r->free_own = free_reader;
    }
    *out = r->own;
    return REMORA_OK;
}

/* Portions are chunks, which is how weights are compressed. */
static rmr_span span(const rmr_weight_plan_item *it)
{
    const rmr_pack_tensor *t = it->place;
    if (it->adopt) return (rmr_span){0, 0};
    return (rmr_span){rmr_pack_chunks(t), t->bytes};
}

static remora_status read_portion(rmr_reader *r, const rmr_weight_plan_item *it, uint64_t portion,
                                  rmr_portion *out, remora_error *err)
{
    rmr_pack_reader *own;
    unsigned char *room;
    RMR_TRY(reader_of(r, &own, err));
    RMR_TRY(rmr_reader_room(r, RMR_PACK_CHUNK, &room, err));
    out->data = room;
    out->offset = portion * RMR_PACK_CHUNK;
    out->bytes = rmr_pack_chunk_bytes(it->place, portion);
    return rmr_pack_read_chunk(own, it->place, portion, room, err);
}

/* Matrices lie in tiles of RMR_TILE rows, and vectors are F32. */
static remora_status read_rows(rmr_reader *r, const rmr_weight_plan_item *it, uint32_t index,
                               uint32_t row0, uint32_t n, const void **rows, remora_error *err)
{
    const rmr_weight_desc *d = &it->desc;
    const uint64_t row = rmr_row_bytes(d->elem, d->cols), made = rmr_round_up(n * row, RMR_ALIGN);
    rmr_pack_reader *own;
    unsigned char *room;
    rmr_layout l;
    RMR_ASSERT(n > 0 && row0 + n <= d->rows && row0 % RMR_TILE == 0);
    if (!rmr_lay_out(d->use, d->elem, d->count, d->rows, d->cols, &l)) return REMORA_E_INTERNAL;
    RMR_TRY(reader_of(r, &own, err));
    RMR_TRY(rmr_reader_room(r, made + l.tile, &room, err));
    *rows = room;
    if (d->use != RMR_USE_MATRIX)
        return rmr_pack_read(own, it->place, index * l.stride + row0 * row, n * row, room, err);
    for (uint32_t i = 0; i < n; i += RMR_TILE) {
        const uint64_t at = index * l.stride + (row0 + i) / RMR_TILE * l.tile;
        RMR_TRY(rmr_pack_read(own, it->place, at, l.tile, room + made, err));
        rmr_tile_unpack(d->elem, room + i * row, room + made, n - i < RMR_TILE ? n - i : RMR_TILE,
                        d->cols);
    }
    return REMORA_OK;
}

static void settle(rmr_origin *o)
{
    free_used(o);
    rmr_pack_drop_manifest(pack_of(o));
}

const rmr_format rmr_format_pack = {.name = "pack",
                                    .bytes = sizeof(pack_origin),
                                    .laid_out = 1,
                                    .probe = rmr_find_pack_file,
                                    .open = open_pack,
                                    .free = free_pack,
                                    .config = config,
                                    .metadata = metadata,
                                    .tokenizer = tokenizer,
                                    .open_tensors = open_tensors,
                                    .list_tensors = list_tensors,
                                    .has = has,
                                    .has_halves = has_halves,
                                    .find = find,
                                    .find_stack = find,
                                    .tensor = tensor,
                                    .data = data,
                                    .hold = hold,
                                    .mend_pages = mend_pages,
                                    .unchanged = unchanged,
                                    .span = span,
                                    .read = read_portion,
                                    .read_rows = read_rows,
                                    .settle = settle};

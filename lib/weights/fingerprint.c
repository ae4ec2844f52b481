#include "fingerprint.h"

#include <string.h>

#include "layout.h"
#include "sha256.h"
#include "read_rows.h"
#include "tile.h"

enum { SAMPLED = 64 }; /* weights of which rows are read */

static void add_u64(rmr_sha256 *h, uint64_t v)
{
    uint8_t b[8];
    for (int i = 0; i < 8; i++) b[i] = (uint8_t)(v >> (8 * i));
    rmr_sha256_add(h, b, 8);
}

static void add_f32(rmr_sha256 *h, float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    add_u64(h, u);
}

static void add_shape(rmr_sha256 *h, const rmr_shape *s)
{
    const rmr_mla *a = &s->mla;
    const rmr_moe *m = &s->moe;
    const uint64_t n[] = {s->n_layers, s->n_vocab,    s->n_hidden,  s->q_rank,
                          s->inner,    s->n_dense,    s->moe_freq,  s->n_shared,
                          a->heads,    a->nope,       a->rope,      a->v,
                          a->rank,     m->gate,       m->n_experts, m->n_used,
                          m->n_group,  m->topk_group, m->inner,     (uint64_t)m->norm_topk};
    add_u64(h, s->attention);
    for (size_t i = 0; i < sizeof n / sizeof n[0]; i++) add_u64(h, n[i]);
    add_f32(h, s->eps);
    add_f32(h, s->rope_amp);
    add_f32(h, a->scale);
    add_f32(h, m->scale);
    if (s->attention == RMR_ATTENTION_GQA) {
        const rmr_gqa *g = &s->gqa;
        const uint64_t more[] = {g->heads,    g->kv_heads, g->head_dim, s->rope_pairs,
                                 s->qkv_bias, s->out_bias, s->head_norm};
        for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) add_u64(h, more[i]);
        add_f32(h, g->scale);
    }
    for (uint32_t i = 0; i < rmr_shape_rope(s) / 2; i++) add_f32(h, s->inv_freq[i]);
}

/* The source of rows: one of the two is not NULL. */
typedef struct reading {
    rmr_sha256 h;
    rmr_mem *mem;
    const rmr_weight_plan *plan; /* of a checkpoint */
    const rmr_pack *pack;        /* or of a pack, compressed or not: */
    rmr_pack_reader *reader;     /* made when first needed */
    remora_error *err;
} reading;

/* n bytes of a pack's tensor from `at` on. */
static remora_status read_packed(reading *r, const rmr_pack_tensor *t, uint64_t at, uint64_t n,
                                 unsigned char *to)
{
    if (r->reader == NULL) RMR_TRY(rmr_pack_reader_create(r->pack, r->mem, &r->reader, r->err));
    return rmr_pack_read(r->reader, t, at, n, to, r->err);
}

/* Room for the bytes that are read for one row, and the place of the row in it. */
static uint64_t room_for(const reading *r, const rmr_weight_plan_item *it)
{
    const rmr_weight_desc *d = &it->desc;
    const uint64_t row = rmr_row_bytes(d->elem, d->cols) + RMR_ALIGN;
    if (r->pack == NULL) return rmr_read_rows_staging(it, it->transpose ? d->rows : 1);
    return row + (d->use == RMR_USE_MATRIX ? rmr_tile_bytes(d->elem, d->cols) : 4ull * d->cols);
}

/* A row of a pack, whose matrices lie in tiles and whose vectors are F32. */
static remora_status packed_row(reading *r, const rmr_weight_plan_item *it, uint32_t index,
                                uint32_t row, unsigned char *room, const void **out)
{
    const rmr_weight_desc *d = &it->desc;
    const uint64_t bytes = rmr_row_bytes(d->elem, d->cols);
    unsigned char *const made = room + rmr_round_up(bytes, RMR_ALIGN);
    rmr_layout l;
    if (!rmr_lay_out(d->use, d->elem, d->count, d->rows, d->cols, &l)) return REMORA_E_INTERNAL;
    *out = room;
    if (d->use == RMR_USE_VECTOR)
        return read_packed(r, it->place, index * l.stride, 4ull * d->cols, room);
    if (d->use == RMR_USE_TABLE)
        return read_packed(r, it->place, index * l.stride + row * bytes, bytes, room);
    RMR_TRY(read_packed(r, it->place, index * l.stride + row / RMR_TILE * l.tile, l.tile, made));
    rmr_tile_unpack(d->elem, room, made, 1, d->cols);
    return REMORA_OK;
}

static remora_status stored_row(reading *r, const rmr_weight_plan_item *it, uint32_t index,
                                uint32_t row, unsigned char *room, const void **out)
{
    const rmr_weight_desc *d = &it->desc;
    if (!it->transpose) return rmr_read_rows(it, index, row, 1, room, out, r->err);
    RMR_TRY(rmr_read_rows(it, index, 0, d->rows, room, out, r->err));
    *out = (const unsigned char *)*out + row * rmr_row_bytes(d->elem, d->cols);
    return REMORA_OK;
}

/* The values of a vector, which is F32 in packs whatever it was; else the row's bytes. */
static void add_row(reading *r, const rmr_weight_plan_item *it, const void *row)
{
    const rmr_weight_desc *d = &it->desc;
    const rmr_elem e = r->pack != NULL ? RMR_ELEM_F32 : d->elem;
    float value;
    if (d->use != RMR_USE_VECTOR) {
        rmr_sha256_add(&r->h, row, (size_t)rmr_row_bytes(d->elem, d->cols));
        return;
    }
    for (uint32_t i = 0; i < d->cols; i++) {
        rmr_row_decode(e, &value, (const unsigned char *)row + i * rmr_row_bytes(e, 1), 1);
        add_f32(&r->h, value);
    }
}

/* The first row of the first matrix and one near the end of the last; rows of F8 are read from
 * multiples of RMR_F8_RUN on. */
static remora_status add_samples(reading *r, const rmr_weight_plan_item *it)
{
    const rmr_weight_desc *d = &it->desc;
    const uint32_t index[2] = {0, d->count - 1},
                   row[2] = {0, (d->rows - 1) / RMR_F8_RUN * RMR_F8_RUN};
    const uint64_t bytes = room_for(r, it);
    unsigned char *room = rmr_alloc(r->mem, (size_t)bytes);
    remora_status st = REMORA_OK;
    if (room == NULL) return rmr_error_nomem(r->err, "fingerprint", bytes);
    for (int i = 0; i < 2 && st >= 0; i++) {
        const void *at = NULL;
        st = r->pack != NULL ? packed_row(r, it, index[i], row[i], room, &at)
                             : stored_row(r, it, index[i], row[i], room, &at);
        if (st >= 0) add_row(r, it, at);
    }
    rmr_free(r->mem, room, (size_t)bytes);
    return st;
}

static remora_status add_weights(reading *r)
{
    const size_t step = r->plan->n / SAMPLED + 1;
    for (size_t i = 0; i < r->plan->n; i++) {
        const rmr_weight_plan_item *it = &r->plan->items[i];
        const rmr_weight_desc *d = &it->desc;
        const char *type = d->use == RMR_USE_VECTOR ? "" : rmr_elem_table[d->elem].name;
        const uint64_t n[] = {d->use, d->count, d->rows, d->cols};
        rmr_sha256_add(&r->h, it->name, strlen(it->name) + 1);
        rmr_sha256_add(&r->h, type, strlen(type) + 1);
        for (size_t k = 0; k < sizeof n / sizeof n[0]; k++) add_u64(&r->h, n[k]);
        if (i % step == 0) RMR_TRY(add_samples(r, it));
    }
    return REMORA_OK;
}

remora_status rmr_fingerprint(rmr_mem *mem, const rmr_shape *s, const rmr_weight_plan *plan,
                              const rmr_pack *pack, uint8_t out[32], remora_error *err)
{
    reading r = {.mem = mem, .plan = plan, .pack = pack, .err = err};
    rmr_sha256_init(&r.h);
    add_shape(&r.h, s);
    const remora_status st = add_weights(&r);
    rmr_sha256_end(&r.h, out);
    rmr_pack_reader_free(r.reader);
    return st;
}

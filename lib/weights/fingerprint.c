/* SPDX-License-Identifier: Apache-2.0 */
#include "fingerprint.h"

#include <string.h>

#include "fpenv.h"
#include "sha256.h"

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

typedef struct hashing {
    rmr_sha256 h;
    const rmr_weight_plan *plan;
    rmr_reader reader;
    remora_error *err;
} hashing;

/* The values of a vector, whatever their type; else the row's bytes. */
static void add_row(hashing *f, const rmr_weight_desc *d, const unsigned char *row)
{
    float value;
    if (d->use != RMR_USE_VECTOR) {
        rmr_sha256_add(&f->h, row, (size_t)rmr_row_bytes(d->elem, d->cols));
        return;
    }
    for (uint32_t i = 0; i < d->cols; i++) {
        rmr_row_decode(d->elem, &value, row + i * rmr_row_bytes(d->elem, 1), 1);
        add_f32(&f->h, value);
    }
}

/* The first row of the first matrix and one near the end of the last; rows of F8 are read from
 * multiples of RMR_F8_RUN on. */
static remora_status add_samples(hashing *f, const rmr_weight_plan_item *it)
{
    const rmr_weight_desc *d = &it->desc;
    const uint32_t index[2] = {0, d->count - 1},
                   row[2] = {0, (d->rows - 1) / RMR_F8_RUN * RMR_F8_RUN};
    for (int i = 0; i < 2; i++) {
        const uint32_t first = it->transpose ? 0 : row[i], n = it->transpose ? d->rows : 1;
        const void *rows;
        RMR_TRY(
            f->reader.from->format->read_rows(&f->reader, it, index[i], first, n, &rows, f->err));
        const rmr_fpenv own = rmr_fpenv_enter();
        add_row(f, d,
                (const unsigned char *)rows + (row[i] - first) * rmr_row_bytes(d->elem, d->cols));
        rmr_fpenv_leave(own);
    }
    return REMORA_OK;
}

static remora_status add_weights(hashing *f)
{
    const size_t step = f->plan->n_main / SAMPLED + 1;
    for (size_t i = 0; i < f->plan->n_main; i++) {
        const rmr_weight_plan_item *it = &f->plan->items[i];
        const rmr_weight_desc *d = &it->desc;
        const char *type = d->use == RMR_USE_VECTOR ? "" : rmr_elem_table[d->elem].name;
        const uint64_t n[] = {d->use, d->count, d->rows, d->cols};
        rmr_sha256_add(&f->h, it->name, strlen(it->name) + 1);
        rmr_sha256_add(&f->h, type, strlen(type) + 1);
        for (size_t k = 0; k < sizeof n / sizeof n[0]; k++) add_u64(&f->h, n[k]);
        if (i % step == 0) RMR_TRY(add_samples(f, it));
    }
    return REMORA_OK;
}

remora_status rmr_fingerprint(rmr_origin *from, const rmr_shape *s, const rmr_weight_plan *plan,
                              uint8_t out[32], remora_error *err)
{
    hashing f = {.plan = plan, .reader = {.from = from}, .err = err};
    rmr_sha256_init(&f.h);
    add_shape(&f.h, s);
    const remora_status st = add_weights(&f);
    rmr_sha256_end(&f.h, out);
    rmr_reader_end(&f.reader);
    return st;
}

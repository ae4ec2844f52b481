#include "fingerprint.h"

#include <string.h>

#include "sha256.h"

enum { SAMPLED = 64, SAMPLE = 256 }; /* tensors, and bytes at the start, middle and end of each */

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
    rmr_sha256_add(h, s->family, strlen(s->family) + 1);
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

static remora_status add_samples(rmr_sha256 *h, const rmr_tensor *t, remora_error *err)
{
    uint8_t buf[SAMPLE];
    const uint64_t n = t->bytes < SAMPLE ? t->bytes : SAMPLE;
    const uint64_t at[] = {0, (t->bytes - n) / 2, t->bytes - n};
    for (int i = 0; i < 3; i++) {
        RMR_TRY(rmr_file_read(t->file, t->offset + at[i], buf, n, err));
        rmr_sha256_add(h, buf, (size_t)n);
    }
    return REMORA_OK;
}

remora_status rmr_fingerprint(const rmr_shape *s, const rmr_checkpoint *ck, uint8_t out[32],
                              remora_error *err)
{
    rmr_sha256 h;
    const uint64_t n = rmr_checkpoint_count(ck), step = n / SAMPLED + 1;
    rmr_sha256_init(&h);
    add_shape(&h, s);
    for (uint64_t i = 0; i < n; i++) {
        const rmr_tensor *t = rmr_checkpoint_at(ck, i);
        rmr_sha256_add(&h, t->name, strlen(t->name) + 1);
        rmr_sha256_add(&h, rmr_dtype_name(t->dtype), strlen(rmr_dtype_name(t->dtype)) + 1);
        for (uint32_t d = 0; d < t->n_dims; d++) add_u64(&h, t->dims[d]);
        if (i % step == 0) RMR_TRY(add_samples(&h, t, err));
    }
    rmr_sha256_end(&h, out);
    return REMORA_OK;
}

void rmr_fingerprint_pack(const rmr_shape *s, const rmr_pack *p, uint8_t out[32])
{
    rmr_sha256 h;
    rmr_sha256_init(&h);
    add_shape(&h, s);
    for (uint32_t i = 0; i < rmr_pack_count(p); i++) {
        const rmr_pack_tensor *t = rmr_pack_at(p, i);
        rmr_sha256_add(&h, t->name, strlen(t->name) + 1);
        add_u64(&h, t->use);
        rmr_sha256_add(&h, rmr_elem_table[t->elem].name, strlen(rmr_elem_table[t->elem].name) + 1);
        add_u64(&h, t->count);
        add_u64(&h, t->rows);
        add_u64(&h, t->cols);
        rmr_sha256_add(&h, t->sha256, sizeof t->sha256);
    }
    rmr_sha256_end(&h, out);
}

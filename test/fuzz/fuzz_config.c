/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as config.json: a status, or a shape that the rest may rely on. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "metadata.h"
#include "shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int ok)
{
    if (!ok) abort();
}

static int within(uint32_t x, uint32_t lo, uint32_t hi)
{
    return x >= lo && x <= hi;
}

static void check_shape(const rmr_shape *s)
{
    const rmr_mla *a = &s->mla;
    const rmr_moe *m = &s->moe;
    require(memchr(s->family, 0, sizeof s->family) != NULL);
    require(within(s->n_layers, 1, RMR_MAX_LAYERS) && within(s->n_hidden, 1, RMR_MAX_WIDTH));
    require(s->n_vocab >= 1 && s->n_vocab <= INT32_MAX && s->max_context >= 1);
    if (s->attention == RMR_ATTENTION_MLA) {
        require(a->heads >= 1 && a->rank >= 1 && a->nope >= 1 && a->v >= 1);
        require((uint64_t)a->heads * (a->rank + a->rope) <= UINT32_MAX && isfinite(a->scale));
        require(s->gqa.heads == 0 && s->q_rank <= RMR_MAX_WIDTH);
    } else {
        require(s->gqa.kv_heads >= 1 && s->gqa.heads >= 1 && isfinite(s->gqa.scale));
        require(s->gqa.heads % s->gqa.kv_heads == 0 && a->heads == 0 && m->n_experts == 0);
        require((uint64_t)s->gqa.heads * s->gqa.head_dim * 2 <= UINT32_MAX);
    }
    require(within(rmr_shape_rope(s), 2, RMR_MAX_ROPE) && rmr_shape_rope(s) % 2 == 0);
    require(within(s->inner, 1, RMR_MAX_WIDTH));
    require(s->eps >= 0 && s->eps < 1 && isfinite(s->rope_amp));
    for (uint32_t i = 0; i < rmr_shape_rope(s) / 2; i++) require(isfinite(s->inv_freq[i]));
    if (m->n_experts == 0) return;
    require(m->n_used >= 1 && m->n_used <= m->n_experts && within(m->inner, 1, RMR_MAX_WIDTH));
    require(m->n_group >= 1 && m->n_experts % m->n_group == 0);
    require(m->topk_group >= 1 && m->topk_group <= m->n_group);
    require((uint64_t)m->n_experts / m->n_group * m->topk_group >= m->n_used);
    require(s->moe_freq >= 1 && s->n_dense <= s->n_layers && m->shared_inner <= RMR_MAX_WIDTH);
    require((uint64_t)m->n_used * m->inner + m->shared_inner <= RMR_MAX_CHOSEN);
    require(isfinite(m->scale));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rmr_mem mem = {0};
    remora_error err = {.struct_size = sizeof err};
    json_t *root = NULL;
    static rmr_shape shape;
    rmr_metadata meta = {0};
    rmr_mem_init(&mem);
    remora_status st = rmr_json_parse("config.json", data, size, &root, &err);
    require(st == REMORA_OK || st == REMORA_E_FORMAT);
    require((st == REMORA_OK) == (root != NULL));
    if (st == REMORA_OK) {
        st = rmr_shape_read("config.json", root, &shape, &err);
        require(st == REMORA_OK || st == REMORA_E_FORMAT || st == REMORA_E_UNSUPPORTED);
        if (st == REMORA_OK) check_shape(&shape);
        require(rmr_metadata_add_json(&mem, &meta, "config", root, &err) == REMORA_OK);
        for (size_t i = 0; i < meta.n; i++)
            require(strncmp(meta.items[i].key, "config.", 7) == 0 && meta.items[i].value != NULL);
        rmr_metadata_free(&mem, &meta);
    }
    if (st < 0) require(err.code == st && memchr(err.message, 0, sizeof err.message) != NULL);
    json_decref(root);
    require(atomic_load(&mem.bytes) == 0);
    return 0;
}

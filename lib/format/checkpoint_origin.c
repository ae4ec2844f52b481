/* SPDX-License-Identifier: Apache-2.0 */
#include "checkpoint_origin.h"

#include <string.h>

static rmr_checkpoint_origin *of(rmr_origin *o)
{
    return (rmr_checkpoint_origin *)o;
}

remora_status rmr_checkpoint_origin_begin(rmr_checkpoint_origin *c, remora_error *err)
{
    c->n_used = (size_t)rmr_checkpoint_count(c->ck);
    c->used = rmr_calloc(c->origin.mem, c->n_used, 1);
    return c->used != NULL ? REMORA_OK : rmr_error_nomem(err, "tensors", c->n_used);
}

void rmr_checkpoint_origin_mark(rmr_checkpoint_origin *c, const rmr_tensor *t)
{
    c->used[rmr_checkpoint_index(c->ck, t)] = 1;
}

static int ends_in(const char *name, const char *tail)
{
    const size_t n = strlen(name), t = strlen(tail);
    return n >= t && strcmp(name + n - t, tail) == 0;
}

/* Tensors beside weights that nothing here needs: the rope tables that old checkpoints stored and
 * GGUF's divisors, which the shape has; the scales by which other engines round activations and
 * caches to 8 bits. */
static int is_no_weight(const char *name)
{
    static const char *const tails[] = {
        "rotary_emb.inv_freq", ".input_scale", ".output_scale", ".activation_scale",
        "_activation_scale",   ".k_scale",     ".v_scale",      ".q_scale",
        ".kv_scale",           ".prob_scale",
    };
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++)
        if (ends_in(name, tails[i])) return 1;
    return strcmp(name, "rope_freqs.weight") == 0;
}

int rmr_checkpoint_origin_tensor(rmr_origin *o, const rmr_shape *s, uint64_t i,
                                 rmr_listed_tensor *out)
{
    const rmr_checkpoint_origin *c = of(o);
    (void)s;
    if (i >= rmr_checkpoint_count(c->ck)) return 0;
    const rmr_tensor *t = rmr_checkpoint_at(c->ck, i);
    const int used = c->used[rmr_checkpoint_index(c->ck, t)] || is_no_weight(t->name);
    *out = (rmr_listed_tensor){used ? RMR_TENSOR_USED : RMR_TENSOR_EXTRA, t->name,
                               rmr_file_name(t->file), rmr_tensor_values(t)};
    return 1;
}

static void drop(rmr_origin *o)
{
    rmr_checkpoint_origin *c = of(o);
    rmr_checkpoint_free(c->ck);
    rmr_free(o->mem, c->used, c->n_used);
    c->ck = NULL;
    c->used = NULL;
    c->n_used = 0;
}

void rmr_checkpoint_origin_free(rmr_origin *o)
{
    drop(o);
    rmr_file_close(of(o)->held);
}

remora_status rmr_checkpoint_origin_list(rmr_origin *o, rmr_metadata *meta, remora_error *err)
{
    const rmr_checkpoint *ck = of(o)->ck;
    return ck != NULL ? rmr_metadata_add_tensors(o->mem, meta, ck, err) : REMORA_OK;
}

/* Rows of a table are looked up as they are stored; everything else is laid out anew. */
const void *rmr_checkpoint_origin_data(rmr_origin *o, const rmr_weight_plan_item *it)
{
    rmr_checkpoint_origin *c = of(o);
    const rmr_tensor *t = it->first.data;
    if (it->desc.use != RMR_USE_TABLE || it->coding != RMR_CODING_PLAIN) return NULL;
    const unsigned char *data = rmr_file_data(t->file);
    if (data == NULL || (c->table != NULL && c->table != t->file)) return NULL;
    c->table = t->file;
    return data + t->offset;
}

/* The other files are closed when the model is open. */
remora_status rmr_checkpoint_origin_hold(rmr_origin *o, remora_error *err)
{
    rmr_checkpoint_origin *c = of(o);
    RMR_TRY(rmr_file_check(c->table, err));
    if (c->held == NULL) c->held = rmr_checkpoint_take(c->ck, c->table);
    return REMORA_OK;
}

remora_status rmr_checkpoint_origin_unchanged(const rmr_origin *o, remora_error *err)
{
    const rmr_checkpoint_origin *c = (const rmr_checkpoint_origin *)o;
    return c->held != NULL ? rmr_file_unchanged(c->held, err) : REMORA_OK;
}

void rmr_checkpoint_origin_settle(rmr_origin *o)
{
    drop(o);
}

#include "packer.h"

#include <stdlib.h>
#include <string.h>

#include "blocks.h"
#include "opening.h"
#include "packw.h"

typedef struct packer {
    rmr_packw *out;
    const rmr_plan *plan;
    uint32_t *index; /* of the items in the pack */
} packer;

/* Rows of one matrix: to tiles, as they are, or to floats. */
static remora_status put_rows(void *user, const rmr_plan_item *it, uint32_t matrix, uint32_t row0,
                              uint32_t n, const void *rows, uint32_t worker, remora_error *err)
{
    const packer *p = user;
    const rmr_weight_desc *d = &it->desc;
    const uint32_t index = p->index[it - p->plan->items];
    const uint64_t row = rmr_row_bytes(d->elem, d->cols);
    rmr_layout l;
    (void)worker;
    if (!rmr_lay_out(d->use, d->elem, d->count, d->rows, d->cols, &l)) return REMORA_E_FORMAT;
    if (d->use == RMR_USE_TABLE)
        return rmr_packw_write(p->out, index, row0 * row, rows, n * row, err);
    if (d->use == RMR_USE_VECTOR) {
        float *x = malloc((size_t)d->cols * 4);
        rmr_row_decode(d->elem, x, rows, d->cols);
        const remora_status st = rmr_packw_write(p->out, index, 0, x, (uint64_t)d->cols * 4, err);
        free(x);
        return st;
    }
    const uint32_t tiles = (n + RMR_TILE - 1) / RMR_TILE;
    unsigned char *out = calloc(tiles, (size_t)l.tile);
    for (uint32_t t = 0; t < tiles; t++) {
        const uint32_t left = n - t * RMR_TILE;
        rmr_tile_pack(d->elem, out + t * l.tile, (const unsigned char *)rows + t * RMR_TILE * row,
                      left < RMR_TILE ? left : RMR_TILE, d->cols);
    }
    const remora_status st = rmr_packw_write(
        p->out, index, matrix * l.stride + row0 / RMR_TILE * l.tile, out, tiles * l.tile, err);
    free(out);
    return st;
}

static remora_status add_all(rmr_opening *o, packer *p, remora_error *err)
{
    size_t n;
    RMR_TRY(rmr_packw_section(p->out, "name", json_string(o->m->name), err));
    RMR_TRY(rmr_packw_section(p->out, "config", json_incref(o->config), err));
    if (o->m->tok != NULL) {
        const void *blob = rmr_tokenizer_compiled(o->m->tok, &n);
        RMR_TRY(rmr_packw_blob(p->out, "tokenizer", blob, n, err));
    }
    for (size_t i = 0; i < o->plan.n; i++) {
        rmr_plan_item *it = &o->plan.items[i];
        const rmr_weight_desc *d = &it->desc;
        it->adopt = 0; /* everything is read */
        RMR_TRY(rmr_packw_add(p->out, it->name, d->use,
                              d->use == RMR_USE_VECTOR ? RMR_ELEM_F32 : d->elem, d->count, d->rows,
                              d->cols, &p->index[i], err));
    }
    return rmr_packw_lay_out(p->out, 0, err);
}

static remora_status convert(rmr_opening *o, packer *p, int level, remora_error *err)
{
    const rmr_job_host host = {.pool = o->rt->ctx.pool};
    const rmr_walk w = {.mem = &o->m->mem,
                        .plan = &o->plan,
                        .block = put_rows,
                        .user = p,
                        .what = "packing",
                        .host = host};
    RMR_TRY(add_all(o, p, err));
    RMR_TRY(rmr_walk_rows(&w, err));
    RMR_TRY(rmr_packw_seal(p->out, level, &host, err));
    return rmr_packw_publish(p->out, err);
}

remora_status packer_make(remora_runtime *rt, const remora_source *src, const char *path, int level,
                          remora_error *err)
{
    const remora_model_opts opts = {.struct_size = sizeof opts, .flags = REMORA_MODEL_NO_WEIGHTS};
    rmr_opening o = {.rt = rt, .desc = src, .opts = &opts, .err = err};
    packer p = {.plan = &o.plan};
    remora_status st = rmr_opening_begin(&o);
    if (st >= 0) st = rmr_packw_begin(&o.m->mem, path, &p.out, err);
    if (st >= 0) {
        p.index = calloc(o.plan.n, sizeof *p.index);
        st = convert(&o, &p, level, err);
    }
    rmr_packw_free(p.out);
    free(p.index);
    rmr_opening_end(&o, 0);
    return st;
}

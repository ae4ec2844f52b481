/* SPDX-License-Identifier: Apache-2.0 */
/* Weights of a group: every member has its share, with all columns. */
#include <string.h>

#include "group.h"

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b != 0) {
        const uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Parts of the first m members. */
static uint64_t parts_before(const group *g, uint32_t m)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < m; i++) sum += g->opts.part[i];
    return sum;
}

static group_range range_of(const group *g, uint32_t total, uint32_t step, uint32_t m)
{
    const uint64_t units = (total + step - 1) / step, all = parts_before(g, g->n);
    const uint64_t from = units * parts_before(g, m) / all * step,
                   to = units * parts_before(g, m + 1) / all * step;
    const uint32_t first = from < total ? (uint32_t)from : total;
    return (group_range){first, (to < total ? (uint32_t)to : total) - first};
}

group_range group_rows_of(const group *g, uint32_t total, uint32_t unit, uint32_t member)
{
    const uint32_t granule = g->opts.granule > 0 ? g->opts.granule : RMR_ROW_GRANULE;
    if (g->opts.no_heads) unit = 1;
    return range_of(g, total, unit / gcd(unit, granule) * granule, member);
}

/* Rows of a matrix; a vector's values are the rows that its matrix has. */
static uint32_t rows_of(const rmr_weight_desc *d)
{
    return d->use == RMR_USE_VECTOR ? d->cols : d->rows;
}

static group_range share_of(const group *g, const rmr_weight_desc *d, uint32_t m)
{
    switch (d->share.kind) {
    case RMR_SHARE_ROWS: return group_rows_of(g, rows_of(d), d->share.unit, m);
    case RMR_SHARE_MATRICES: return range_of(g, d->count, 1, m);
    default: return (group_range){0, rows_of(d)};
    }
}

static rmr_weight_desc desc_of(const rmr_weight_desc *d, group_range r)
{
    rmr_weight_desc own = *d;
    if (d->share.kind == RMR_SHARE_MATRICES) own.count = r.n;
    if (d->share.kind == RMR_SHARE_ROWS) *(d->use == RMR_USE_VECTOR ? &own.cols : &own.rows) = r.n;
    return own;
}

/* The bytes of a share in a weight in the layout of packs: `n` pieces of so many bytes. Those of
 * the member's own weight lie next to each other. */
typedef struct pieces {
    uint64_t first, stride, bytes;
    uint32_t n;
} pieces;

static pieces pieces_of(const rmr_weight_desc *d, group_range r)
{
    rmr_layout l;
    pieces p = {0, 0, 0, 1};
    if (!rmr_lay_out(d->use, d->elem, d->count, d->rows, d->cols, &l)) return p;
    p.bytes = l.bytes;
    if (d->share.kind == RMR_SHARE_MATRICES) {
        p.first = r.first * l.stride;
        p.bytes = r.n * l.stride;
    } else if (d->share.kind == RMR_SHARE_ROWS && d->use == RMR_USE_VECTOR) {
        p.first = r.first * sizeof(float);
        p.bytes = r.n * sizeof(float);
    } else if (d->share.kind == RMR_SHARE_ROWS) {
        p = (pieces){r.first / RMR_TILE * l.tile, l.stride,
                     (r.n + RMR_TILE - 1) / RMR_TILE * l.tile, d->count};
    }
    return p;
}

static size_t own_bytes(const group *g)
{
    return sizeof(group_weight) + g->n * sizeof(group_part);
}

rmr_bytes group_weight_bytes(rmr_backend *be, const rmr_weight_desc *d, int adopted)
{
    const group *g = group_of(be);
    rmr_bytes bytes = rmr_bytes_host(own_bytes(g));
    for (uint32_t m = 0; m < g->n; m++) {
        const group_range r = share_of(g, d, m);
        const rmr_weight_desc own = desc_of(d, r);
        if (r.n > 0)
            group_add_bytes(&bytes, g->member[m]->ops->weight_bytes(g->member[m], &own, adopted));
    }
    return bytes;
}

remora_status group_weight_done(rmr_backend *be, rmr_weight *weight, remora_error *err)
{
    const group *g = group_of(be);
    const group_weight *w = group_weight_of(weight);
    for (uint32_t m = 0; m < g->n; m++)
        if (w->part[m].w != NULL)
            RMR_TRY(g->member[m]->ops->weight_done(g->member[m], w->part[m].w, err));
    return REMORA_OK;
}

void group_weight_free(rmr_backend *be, rmr_weight *weight)
{
    const group *g = group_of(be);
    group_weight *w = (group_weight *)(void *)weight;
    if (w == NULL) return;
    for (uint32_t m = 0; m < g->n; m++)
        if (w->part[m].w != NULL) g->member[m]->ops->weight_free(g->member[m], w->part[m].w);
    rmr_free(&g->ctx->mem, w, own_bytes(g));
}

/* Members create their shares, or adopt them at `data`. */
static remora_status make(rmr_backend *be, const rmr_weight_desc *d, int adopt,
                          const unsigned char *data, rmr_weight **out, remora_error *err)
{
    const group *g = group_of(be);
    remora_status st = REMORA_OK;
    *out = NULL;
    group_weight *w = rmr_calloc(&g->ctx->mem, 1, own_bytes(g));
    if (w == NULL) return rmr_error_nomem(err, "shares of a weight", own_bytes(g));
    w->desc = *d;
    for (uint32_t m = 0; m < g->n && st >= 0; m++) {
        group_part *p = &w->part[m];
        rmr_backend *member = g->member[m];
        p->range = share_of(g, d, m);
        if (p->range.n == 0) continue;
        const rmr_weight_desc own = desc_of(d, p->range);
        const void *at = data != NULL ? data + pieces_of(d, p->range).first : NULL;
        st = adopt ? member->ops->weight_adopt(member, &own, at, &p->w, err)
                   : member->ops->weight_create(member, &own, &p->w, err);
    }
    *out = (rmr_weight *)(void *)w;
    if (st >= 0) return REMORA_OK;
    group_weight_free(be, *out);
    *out = NULL;
    return st;
}

remora_status group_weight_create(rmr_backend *be, const rmr_weight_desc *d, rmr_weight **out,
                                  remora_error *err)
{
    return make(be, d, 0, NULL, out, err);
}

/* A share that is one piece lies where a weight of its own could lie. */
int group_weight_adopts(rmr_backend *be, const rmr_weight_desc *d, const void *data)
{
    const group *g = group_of(be);
    for (uint32_t m = 0; m < g->n; m++) {
        const group_range r = share_of(g, d, m);
        const rmr_weight_desc own = desc_of(d, r);
        const pieces p = pieces_of(d, r);
        if (r.n == 0) continue;
        if (p.n > 1) return 0;
        if (!g->member[m]->ops->weight_adopts(g->member[m], &own,
                                              (const unsigned char *)data + p.first))
            return 0;
    }
    return 1;
}

remora_status group_weight_adopt(rmr_backend *be, const rmr_weight_desc *d, const void *data,
                                 rmr_weight **out, remora_error *err)
{
    return make(be, d, 1, data, out, err);
}

/* Where the intersection of [a, a + n) and [b, b + m) begins; *len is 0 where there is none. */
static uint64_t intersection(uint64_t a, uint64_t n, uint64_t b, uint64_t m, uint64_t *len)
{
    const uint64_t from = a > b ? a : b, to = a + n < b + m ? a + n : b + m;
    *len = to > from ? to - from : 0;
    return from;
}

static remora_status upload(rmr_backend *member, const rmr_weight_desc *d, const group_part *p,
                            uint32_t index, uint32_t row0, uint32_t n, const unsigned char *rows,
                            remora_error *err)
{
    const uint64_t row = rmr_row_bytes(d->elem, d->cols);
    const group_range r = p->range;
    uint64_t len;
    if (d->share.kind == RMR_SHARE_NONE)
        return member->ops->weight_upload(member, p->w, index, row0, n, rows, err);
    if (d->share.kind == RMR_SHARE_MATRICES) {
        if (index < r.first || index - r.first >= r.n) return REMORA_OK;
        return member->ops->weight_upload(member, p->w, index - r.first, row0, n, rows, err);
    }
    if (d->use == RMR_USE_VECTOR)
        return member->ops->weight_upload(member, p->w, 0, 0, 1,
                                          rows + rmr_row_bytes(d->elem, r.first), err);
    const uint64_t from = intersection(row0, n, r.first, r.n, &len);
    if (len == 0) return REMORA_OK;
    return member->ops->weight_upload(member, p->w, index, (uint32_t)from - r.first, (uint32_t)len,
                                      rows + (from - row0) * row, err);
}

remora_status group_weight_upload(rmr_backend *be, rmr_weight *weight, uint32_t index,
                                  uint32_t row0, uint32_t n, const void *rows, remora_error *err)
{
    const group *g = group_of(be);
    const group_weight *w = group_weight_of(weight);
    for (uint32_t m = 0; m < g->n; m++)
        if (w->part[m].w != NULL)
            RMR_TRY(upload(g->member[m], &w->desc, &w->part[m], index, row0, n, rows, err));
    return REMORA_OK;
}

static remora_status fill(rmr_backend *member, const rmr_weight_desc *d, const group_part *part,
                          uint64_t offset, uint64_t n, const unsigned char *bytes,
                          remora_error *err)
{
    const pieces p = pieces_of(d, part->range);
    for (uint32_t i = 0; i < p.n; i++) {
        const uint64_t piece = p.first + i * p.stride;
        uint64_t len;
        const uint64_t from = intersection(offset, n, piece, p.bytes, &len);
        if (len == 0) continue;
        RMR_TRY(member->ops->weight_fill(member, part->w, i * p.bytes + (from - piece), len,
                                         bytes + (from - offset), err));
    }
    return REMORA_OK;
}

remora_status group_weight_fill(rmr_backend *be, rmr_weight *weight, uint64_t offset, uint64_t n,
                                const void *bytes, remora_error *err)
{
    const group *g = group_of(be);
    const group_weight *w = group_weight_of(weight);
    for (uint32_t m = 0; m < g->n; m++)
        if (w->part[m].w != NULL)
            RMR_TRY(fill(g->member[m], &w->desc, &w->part[m], offset, n, bytes, err));
    return REMORA_OK;
}

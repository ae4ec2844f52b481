/* SPDX-License-Identifier: Apache-2.0 */
#include "encode_blocks.h"

#include <math.h>
#include <string.h>

#include "fpenv.h"
#include "tile.h"

enum { ROWS = RMR_F8_RUN }; /* rows that are encoded at once */

struct rmr_encoder {
    rmr_mem *mem;
    const rmr_weight_plan *plan;
    const rmr_target *targets;
    rmr_put_fn *put;
    void *user;
    unsigned char *work;
    uint64_t values, coded, laid; /* bytes of the parts of one worker's memory */
    uint64_t worker_bytes, bytes;
};

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Bytes of n rows from a multiple of 16 on, as they lie in the pack. */
static uint64_t laid_bytes(const rmr_weight_desc *d, rmr_elem e, uint32_t n)
{
    rmr_layout l;
    rmr_lay_out(d->use, e, 1, n, d->cols, &l); /* the plan has sized it */
    return l.stride;
}

remora_status rmr_encoder_create(rmr_mem *mem, const rmr_weight_plan *plan,
                                 const rmr_target *targets, uint32_t n_workers, rmr_put_fn *put,
                                 void *user, rmr_encoder **out, remora_error *err)
{
    *out = NULL;
    rmr_encoder *e = rmr_calloc(mem, 1, sizeof *e);
    if (e == NULL) return rmr_error_nomem(err, "encoder", sizeof *e);
    *e = (rmr_encoder){.mem = mem, .plan = plan, .targets = targets, .put = put, .user = user};
    for (size_t i = 0; i < plan->n; i++) {
        const rmr_weight_desc *d = &plan->items[i].desc;
        /* the rows, and a row of importance */
        e->values = most(e->values, (ROWS + 1) * (uint64_t)d->cols * sizeof(float));
        e->coded = most(e->coded, ROWS * rmr_row_bytes(targets[i].elem, d->cols));
        e->laid = most(e->laid, laid_bytes(d, targets[i].elem, ROWS));
    }
    e->values = rmr_round_up(e->values, RMR_ALIGN);
    e->coded = rmr_round_up(e->coded, RMR_ALIGN);
    e->laid = rmr_round_up(e->laid, RMR_ALIGN);
    e->worker_bytes = e->values + e->coded + e->laid;
    e->bytes = e->worker_bytes * n_workers;
    e->work = rmr_alloc(mem, (size_t)e->bytes);
    if (e->work == NULL) {
        const uint64_t bytes = e->bytes;
        rmr_encoder_free(e);
        return rmr_error_nomem(err, "rows to encode", bytes);
    }
    *out = e;
    return REMORA_OK;
}

void rmr_encoder_free(rmr_encoder *e)
{
    if (e == NULL) return;
    rmr_free(e->mem, e->work, (size_t)e->bytes);
    rmr_free(e->mem, e, sizeof *e);
}

static remora_status read_row(const rmr_tensor *t, uint32_t index, uint32_t cols, float *to,
                              double *sum, remora_error *err)
{
    const uint64_t row = (uint64_t)cols * sizeof(float);
    RMR_TRY(rmr_file_read(t->file, t->offset + (t->n_dims > 1 ? index * row : 0), to, row, err));
    *sum = 0;
    for (uint32_t i = 0; i < cols; i++) {
        if (!(to[i] >= 0 && to[i] < INFINITY))
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s: value %u of matrix %u is %g",
                     rmr_show(rmr_file_name(t->file)).text, rmr_show(t->name).text, i, index,
                     (double)to[i]);
        *sum += (double)to[i];
    }
    return REMORA_OK;
}

/* The importance of the columns of one matrix into `to`; an expert that no token chose gets the
 * mean of the others, each by its tokens. `line` is room for a row. *use is 0 where nothing was
 * seen. */
static remora_status read_importance(const rmr_target *t, const rmr_weight_desc *d, uint32_t index,
                                     float *to, float *line, int *use, remora_error *err)
{
    double sum = 0;
    *use = 0;
    if (t->importance == NULL) return REMORA_OK;
    RMR_TRY(read_row(t->importance, index, d->cols, to, &sum, err));
    *use = sum > 0;
    if (sum > 0 || t->importance->n_dims < 2) return REMORA_OK;
    for (uint32_t e = 0; e < d->count; e++) {
        int64_t tokens = 1;
        if (t->tokens != NULL)
            RMR_TRY(rmr_file_read(t->tokens->file, t->tokens->offset + e * sizeof tokens, &tokens,
                                  sizeof tokens, err));
        RMR_TRY(read_row(t->importance, e, d->cols, line, &sum, err));
        if (!(sum > 0) || tokens <= 0) continue;
        for (uint32_t i = 0; i < d->cols; i++) {
            to[i] += line[i] * (float)tokens;
            if (!(to[i] < INFINITY))
                RMR_FAIL(err, REMORA_E_FORMAT, "%s: tensor %s: the mean of its matrices overflows",
                         rmr_show(rmr_file_name(t->importance->file)).text,
                         rmr_show(t->importance->name).text);
        }
        *use = 1;
    }
    return REMORA_OK;
}

/* Encode n (at most ROWS) canonical rows of the item's type as rows of the target's type; `work`
 * begins with the importance of the columns, when `weighted`. */
static remora_status recode(rmr_encoder *e, const rmr_weight_plan_item *it, const rmr_target *t,
                            uint32_t index, const unsigned char *rows, uint32_t n, int weighted,
                            unsigned char *work, remora_error *err)
{
    const rmr_weight_desc *d = &it->desc;
    const uint64_t from = rmr_row_bytes(d->elem, d->cols);
    const float *importance = (const float *)(void *)work;
    float *x = (float *)(void *)work + d->cols;
    for (uint32_t r = 0; r < n; r++) {
        rmr_row_decode(d->elem, x + (size_t)r * d->cols, rows + r * from, d->cols);
        for (uint32_t c = 0; c < d->cols; c++)
            if (!isfinite(x[(size_t)r * d->cols + c]))
                RMR_FAIL(err, REMORA_E_FORMAT, "%s: matrix %u has a value that is not finite",
                         it->name, index);
    }
    rmr_rows_encode(t->elem, work + e->values, x, n, d->cols, weighted ? importance : NULL);
    return REMORA_OK;
}

static void lay_out(const rmr_weight_desc *d, rmr_elem e, unsigned char *to,
                    const unsigned char *rows, uint32_t n)
{
    const uint64_t row = rmr_row_bytes(e, d->cols), tile = rmr_tile_bytes(e, d->cols);
    for (uint32_t r = 0; r < n; r += RMR_TILE, to += tile)
        rmr_tile_pack(e, to, rows + r * row, n - r < RMR_TILE ? n - r : RMR_TILE, d->cols);
}

remora_status rmr_encode_portion(void *encoder, const rmr_weight_plan_item *it,
                                 const rmr_portion *p, uint32_t worker, remora_error *err)
{
    rmr_encoder *e = encoder;
    const rmr_weight_desc *d = &it->desc;
    const rmr_target *t = &e->targets[it - e->plan->items];
    const uint64_t from = rmr_row_bytes(d->elem, d->cols);
    unsigned char *work = e->work + worker * e->worker_bytes, *laid = work + e->values + e->coded;
    float *importance = (float *)(void *)work;
    int weighted = 0;
    if (t->elem != d->elem) { /* the rows' place is free as yet */
        const rmr_fpenv own = rmr_fpenv_enter();
        const remora_status st =
            read_importance(t, d, p->index, importance, importance + d->cols, &weighted, err);
        rmr_fpenv_leave(own);
        RMR_TRY(st);
    }
    for (uint32_t r = 0; r < p->n; r += ROWS) {
        const uint32_t m = p->n - r < ROWS ? p->n - r : ROWS;
        const unsigned char *src = (const unsigned char *)p->data + r * from;
        const uint64_t off =
            p->index * laid_bytes(d, t->elem, d->rows) + laid_bytes(d, t->elem, p->row0 + r);
        if (t->elem != d->elem) {
            const rmr_fpenv own = rmr_fpenv_enter();
            const remora_status st = recode(e, it, t, p->index, src, m, weighted, work, err);
            rmr_fpenv_leave(own);
            RMR_TRY(st);
            src = work + e->values;
        }
        if (d->use == RMR_USE_MATRIX) {
            lay_out(d, t->elem, laid, src, m);
            src = laid;
        }
        RMR_TRY(e->put(e->user, t->tensor, off, src, (size_t)laid_bytes(d, t->elem, m), err));
    }
    return REMORA_OK;
}

/* The output rows of a session. */
#include <string.h>

#include "session.h"

void rmr_rows_clear(rmr_rows *r)
{
    r->n_wanted = 0;
    r->n_ready = 0;
}

/* Grow one array of `width` floats a row to `cap` rows. */
static remora_status grow(remora_session *s, float **rows, size_t old_cap, size_t cap, size_t width,
                          remora_error *err)
{
    uint64_t bytes;
    if (!rmr_mul_ok(cap, width * sizeof(float), &bytes))
        return rmr_error_nomem(err, "output rows", UINT64_MAX);
    float *p = rmr_resize(s->mem, *rows, old_cap * width * sizeof(float), (size_t)bytes);
    if (p == NULL) return rmr_error_nomem(err, "output rows", bytes);
    *rows = p;
    return REMORA_OK;
}

remora_status rmr_rows_make_room(remora_session *s, uint32_t n_more, int hidden, remora_error *err)
{
    rmr_rows *r = &s->rows;
    const size_t need = (size_t)r->n_wanted + n_more;
    if (need > r->cap) {
        uint8_t *h = rmr_resize(s->mem, r->has_hidden, r->cap, need);
        if (h == NULL) return rmr_error_nomem(err, "output rows", need);
        r->has_hidden = h;
        const remora_status st = grow(s, &r->logits, r->cap, need, s->model->shape.n_vocab, err);
        if (st < 0) { /* both arrays share one capacity: put the small one back */
            h = rmr_resize(s->mem, r->has_hidden, need, r->cap);
            if (h != NULL) r->has_hidden = h;
            return st;
        }
        r->cap = need;
    }
    /* once a row wanted its hidden state, every later row has room for one */
    if ((hidden || r->hidden != NULL) && need > r->hidden_cap) {
        RMR_TRY(grow(s, &r->hidden, r->hidden_cap, need, s->model->shape.n_hidden, err));
        r->hidden_cap = need;
    }
    return REMORA_OK;
}

void rmr_rows_free(remora_session *s)
{
    rmr_rows *r = &s->rows;
    rmr_free(s->mem, r->logits, r->cap * s->model->shape.n_vocab * sizeof(float));
    rmr_free(s->mem, r->has_hidden, r->cap);
    rmr_free(s->mem, r->hidden, r->hidden_cap * s->model->shape.n_hidden * sizeof(float));
    *r = (rmr_rows){0};
}

remora_status rmr_rows_copy(remora_session *dst, const remora_session *src, remora_error *err)
{
    const rmr_rows *r = &src->rows;
    if (r->n_wanted == 0) return REMORA_OK;
    RMR_TRY(rmr_rows_make_room(dst, r->n_wanted, r->hidden != NULL, err));
    memcpy(dst->rows.logits, r->logits,
           (size_t)r->n_ready * src->model->shape.n_vocab * sizeof(float));
    memcpy(dst->rows.has_hidden, r->has_hidden, r->n_ready);
    if (r->hidden != NULL) {
        const size_t n = r->n_ready < r->hidden_cap ? r->n_ready : r->hidden_cap;
        memcpy(dst->rows.hidden, r->hidden, n * src->model->shape.n_hidden * sizeof(float));
    }
    dst->rows.n_wanted = r->n_wanted;
    dst->rows.n_ready = r->n_ready;
    return REMORA_OK;
}

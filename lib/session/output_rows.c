/* SPDX-License-Identifier: Apache-2.0 */
/* The output rows of a session. */
#include <string.h>

#include "session.h"

void rmr_output_rows_clear(rmr_output_rows *r)
{
    r->n_wanted = 0;
    r->n_ready = 0;
}

/* Rows lie in the order of their tokens: the ready ones are those of the last tokens evaluated that
 * wanted one. */
void rmr_output_rows_trim(remora_session *s, uint64_t keep)
{
    rmr_output_rows *r = &s->rows;
    uint64_t i = s->n_tokens;
    for (; i-- > keep;) {
        const int ready = i < s->committed;
        if (!(s->flags[i] & RMR_TOKEN_WANT) || (ready && r->n_ready == 0)) continue;
        r->n_wanted--;
        r->n_ready -= (uint32_t)ready;
    }
    for (i = keep < s->committed ? keep : s->committed; r->n_ready > 0 && i-- > 0;)
        if (s->flags[i] & RMR_TOKEN_WANT) break;
    r->last = i;
}

float *rmr_output_rows_last(const remora_session *s)
{
    return s->rows.logits + (size_t)(s->rows.n_ready - 1) * s->model->shape.n_vocab;
}

remora_status rmr_output_rows_settle(remora_session *s, remora_error *err)
{
    rmr_output_rows *r = &s->rows;
    rmr_context *c = r->left;
    remora_status st = REMORA_OK;
    if (c == NULL) return REMORA_OK;
    r->left = NULL;
    if (r->n_ready > 0)
        st = rmr_context_read(s->model, c, r->left_row, 1, rmr_output_rows_last(s), NULL, err);
    rmr_context_give(s->model, c);
    if (st >= 0) return REMORA_OK;
    const uint64_t at = r->last;
    rmr_output_rows_trim(s, at);
    s->flags[at] &= RMR_TOKEN_EXPANDED;
    return RMR_PASSED_ON(st);
}

enum { MANY = 8 }; /* room for this many times the rows in use, or more, is given back */

/* Resize one array of `width` floats a row to n rows. The memory is what the device reads into. */
static remora_status resize(remora_session *s, float **rows, size_t *cap, size_t n, size_t width,
                            remora_error *err)
{
    uint64_t bytes;
    RMR_ASSERT(n >= s->rows.n_ready && width > 0);
    if (!rmr_mul_ok(n, width * sizeof(float), &bytes))
        return rmr_error_nomem(err, "output rows", UINT64_MAX);
    rmr_backend *be = s->model->be;
    float *p = be->ops->host_alloc(be, s->mem, (size_t)bytes);
    if (p == NULL) return rmr_error_nomem(err, "output rows", bytes);
    const size_t had = *cap * width * sizeof(float);
    if (*rows != NULL) memcpy(p, *rows, had < bytes ? had : (size_t)bytes);
    be->ops->host_free(be, s->mem, *rows, had);
    *rows = p;
    *cap = n;
    return REMORA_OK;
}

/* Grow by half, so that wanting rows one by one takes linear time. */
static remora_status grow(remora_session *s, float **rows, size_t *cap, size_t need, size_t width,
                          remora_error *err)
{
    const size_t n = *cap + *cap / 2;
    if (need <= *cap) return REMORA_OK;
    return resize(s, rows, cap, n > need ? n : need, width, err);
}

void rmr_output_rows_give_back(remora_session *s)
{
    rmr_output_rows *r = &s->rows;
    const size_t need = r->n_wanted > 0 ? r->n_wanted : 1;
    if (r->cap / need >= MANY) resize(s, &r->logits, &r->cap, need, s->model->shape.n_vocab, NULL);
    if (r->hidden_cap / need >= MANY)
        resize(s, &r->hidden, &r->hidden_cap, need, s->model->shape.n_hidden, NULL);
}

remora_status rmr_output_rows_make_room(remora_session *s, uint32_t n_more, int hidden,
                                        remora_error *err)
{
    rmr_output_rows *r = &s->rows;
    const size_t need = (size_t)r->n_wanted + n_more;
    RMR_TRY(rmr_grow(s->mem, &r->has_hidden, &r->flags_cap, need, 1, err));
    RMR_TRY(grow(s, &r->logits, &r->cap, need, s->model->shape.n_vocab, err));
    /* once a row wanted its hidden state, every later row has room for one */
    if (!hidden && r->hidden == NULL) return REMORA_OK;
    return grow(s, &r->hidden, &r->hidden_cap, need, s->model->shape.n_hidden, err);
}

uint64_t rmr_output_rows_bytes(const remora_model *m)
{
    return m->shape.n_vocab * sizeof(float) + 1;
}

void rmr_output_rows_free(remora_session *s)
{
    rmr_output_rows *r = &s->rows;
    rmr_backend *be = s->model->be;
    RMR_ASSERT(r->left == NULL);
    be->ops->host_free(be, s->mem, r->logits, r->cap * s->model->shape.n_vocab * sizeof(float));
    rmr_free(s->mem, r->has_hidden, r->flags_cap);
    be->ops->host_free(be, s->mem, r->hidden,
                       r->hidden_cap * s->model->shape.n_hidden * sizeof(float));
    *r = (rmr_output_rows){0};
}

remora_status rmr_output_rows_copy(remora_session *dst, const remora_session *src,
                                   remora_error *err)
{
    const rmr_output_rows *r = &src->rows;
    if (r->n_wanted == 0) return REMORA_OK;
    RMR_TRY(rmr_output_rows_make_room(dst, r->n_wanted, r->hidden != NULL, err));
    memcpy(dst->rows.logits, r->logits,
           (size_t)r->n_ready * src->model->shape.n_vocab * sizeof(float));
    memcpy(dst->rows.has_hidden, r->has_hidden, r->n_ready);
    if (r->hidden != NULL)
        memcpy(dst->rows.hidden, r->hidden,
               (size_t)r->n_ready * src->model->shape.n_hidden * sizeof(float));
    dst->rows.n_wanted = r->n_wanted;
    dst->rows.n_ready = r->n_ready;
    dst->rows.last = r->last;
    return REMORA_OK;
}

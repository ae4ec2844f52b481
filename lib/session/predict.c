/* SPDX-License-Identifier: Apache-2.0 */
#include "predict.h"

/* The inputs of a step of one run, in the absorbed form. */
static void fill(rmr_inputs *in, const remora_session *s, const rmr_prediction *p)
{
    const uint64_t end = p->first + p->n;
    in->n_rows = p->n;
    in->n_runs = 1;
    in->n_pages = (uint32_t)rmr_pages_for(end);
    in->run[0] = (rmr_run){
        .n_rows = p->n, .pos0 = (uint32_t)p->first, .form = RMR_FORM_ABSORBED, .kv = s->cache.type};
    rmr_page_table_addresses(&s->cache, end, in->page);
    for (uint32_t i = 0; i < p->n; i++) {
        in->token[i] = p->next[i];
        in->pos[i] = (uint32_t)p->first + i;
    }
}

/* One pass of the head over the rows [row0, row0 + n). */
static remora_status head_pass(remora_session *s, rmr_context *c, const rmr_program_slice *slice,
                               const rmr_prediction *p, uint32_t row0, uint32_t n,
                               remora_error *err)
{
    uint32_t rows[RMR_HEAD_ROWS];
    for (uint32_t i = 0; i < n; i++) rows[i] = row0 + i;
    RMR_TRY(rmr_context_want(s->model, c, rows, n, err));
    RMR_TRY(rmr_context_run(s->model, c, slice, NULL, err));
    return rmr_context_read(s->model, c, 0, n, p->logits + (size_t)row0 * s->model->shape.n_vocab,
                            NULL, err);
}

static remora_status run(remora_session *s, rmr_context *c, const rmr_prediction *p,
                         remora_error *err)
{
    remora_model *m = s->model;
    const rmr_program *program = &m->programs.program[RMR_PROGRAM_PREDICT];
    RMR_TRY(rmr_context_begin(m, c, err));
    RMR_TRY(rmr_context_write(m, c, p->n, p->hidden, err));
    for (uint32_t i = 0; i < program->n_slices; i++) {
        const rmr_program_slice *slice = &program->slices[i];
        if (slice->kind == RMR_SLICE_LAYER) RMR_TRY(rmr_context_run(m, c, slice, NULL, err));
        for (uint32_t r = 0; slice->kind == RMR_SLICE_HEAD && r < p->n; r += RMR_HEAD_ROWS)
            RMR_TRY(head_pass(s, c, slice, p, r,
                              p->n - r < RMR_HEAD_ROWS ? p->n - r : RMR_HEAD_ROWS, err));
    }
    return rmr_context_wait(m, c, err);
}

remora_status rmr_predict(remora_session *s, const rmr_prediction *p, remora_error *err)
{
    remora_model *m = s->model;
    rmr_context *c;
    RMR_ASSERT(p->n > 0 && p->n <= s->chunk && p->first + p->n <= s->n_tokens);
    if (m->shape.n_predict == 0)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "the model has no prediction layer");
    RMR_TRY(rmr_page_table_reserve(&s->cache, p->first, p->first + p->n, err));
    RMR_TRY(rmr_context_take(m, rmr_session_context_size(s->chunk, s->cache.max), s, &c, err));
    fill(&c->in, s, p);
    const remora_status st = run(s, c, p, err);
    rmr_context_give(m, c);
    return st;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A prepared step: one block of device memory with activations, inputs and scratch, one of pinned
 * memory through which inputs travel. Running it never allocates. */
#include "cuda.h"

#include <string.h>

#include "step_calls.h"

enum { PART_BYTES = 64 << 20 /* partial results of attention: rows beyond it take turns */ };

/* ---- what operations need ---- */

int rmr_cuda_is_router(const rmr_step_desc *d, const rmr_op *op)
{
    for (uint32_t i = 0; i < d->n_ops; i++)
        if (d->ops[i].kind == RMR_OP_GATE && d->ops[i].in.slot == op->out.slot)
            return op->kind == RMR_OP_LINEAR;
    return 0;
}

uint32_t rmr_cuda_parts(const rmr_cuda *c, rmr_gpu_form form, int router)
{
    const int all_bits = c->exact || router;
    if (form == RMR_GPU_BF16) return all_bits ? 3 : 1;
    return (form == RMR_GPU_HALF || form == RMR_GPU_QUADS) && all_bits ? 2 : 1;
}

static uint32_t padded(rmr_gpu_form form, uint32_t k)
{
    return (uint32_t)rmr_round_up(k, rmr_gpu_granule(form));
}

uint64_t rmr_cuda_row_bytes(rmr_gpu_form form, uint32_t k)
{
    return rmr_gpu_form_bytes(form, padded(form, k));
}

uint32_t rmr_cuda_row_scales(rmr_gpu_form form, uint32_t k)
{
    return rmr_gpu_form_scales(form, padded(form, k));
}

int rmr_cuda_has_many(const rmr_cuda *c)
{
    return c->major == 9 && c->minor == 0 && c->shared >= RMR_GPU_MANY_SHARED + 1024;
}

uint32_t rmr_cuda_groups(uint64_t rows, uint32_t per_row, uint64_t choices, uint32_t lists)
{
    enum { ROWS = RMR_GPU_MANY_GROUP };
    if (lists > 0) return (uint32_t)((choices + (uint64_t)lists * (ROWS - 1)) / ROWS + 1);
    return (uint32_t)((rows + ROWS - 1) / ROWS * per_row);
}

typedef struct needs {
    const rmr_cuda *c;
    const rmr_step_desc *d;
    rmr_cuda_layout *l;
} needs;

static void more(uint64_t *a, uint64_t b)
{
    if (b > *a) *a = b;
}

/* Rows that products take: of a step or a pass of the head, per_row parts of each, or where there
 * are experts the choices of them. */
typedef struct taken {
    uint64_t rows;
    uint32_t per_row;
    uint64_t choices;
    uint32_t lists;
} taken;

/* A product with w takes prepared rows, one after another or in blocks. */
static void need_rows(const needs *n, const rmr_weight *w, const taken *t, int router)
{
    if (w == NULL) return;
    const rmr_gpu_form form = rmr_gpu_form_of(w->desc.elem);
    const uint32_t k = w->desc.cols;
    uint64_t *const bytes = &n->l->prepared_bytes[form][router],
                    *const scales = &n->l->scale_bytes[form][router];
    more(bytes,
         t->rows * t->per_row * rmr_cuda_parts(n->c, form, router) * rmr_cuda_row_bytes(form, k));
    more(scales, t->rows * t->per_row * rmr_cuda_row_scales(form, k) * 4);
    if (router || form == RMR_GPU_FLOAT || form == RMR_GPU_HALF || !rmr_cuda_has_many(n->c)) return;
    const uint64_t places =
        (uint64_t)rmr_cuda_groups(t->rows, t->per_row, t->choices, t->lists) * RMR_GPU_MANY_GROUP;
    more(bytes, places * rmr_round_up(k, 128) / rmr_gpu_block_columns(form) * 128);
    more(scales, places * ((k + 127) / 128) * rmr_gpu_block_scales(form));
}

typedef struct scratch {
    uint64_t lists, queries, routed, shared, arrived;
} scratch;

static void need_experts(const needs *n, const rmr_op *op, scratch *s)
{
    const rmr_moe *m = op->moe;
    const uint64_t rows = n->d->max_rows, choices = rows * m->n_used;
    const int down = op->kind == RMR_OP_EXPERTS_DOWN;
    const taken routed = {rows, down ? m->n_used : 1, choices,
                          (uint32_t)(choices < m->n_experts ? choices : m->n_experts)},
                all = {rows, 1, 0, 0};
    need_rows(n, op->w, &routed, 0);
    need_rows(n, op->w2, &routed, 0);
    need_rows(n, op->s1, &all, 0);
    need_rows(n, op->s2, &all, 0);
    more(&s->lists, (2 + 3 * (uint64_t)m->n_experts + 3 * choices) * 4);
    if (down) more(&s->arrived, (op->w->desc.rows + RMR_GPU_UNIT - 1) / RMR_GPU_UNIT * 4ull);
    if (down) more(&s->routed, choices * op->w->desc.rows * 4);
    if (down && op->s1 != NULL) more(&s->shared, rows * op->s1->desc.rows * 4);
}

/* Partial results of one row. */
static uint64_t part_row(const rmr_op *op)
{
    const uint64_t heads = op->mla != NULL ? op->mla->heads : op->gqa->heads,
                   value = op->mla != NULL ? op->mla->rank : op->gqa->head_dim;
    return heads * RMR_GPU_UNITS * (value + 2) * 4;
}

static void need_parts(const needs *n, const rmr_op *op)
{
    const uint64_t row = part_row(op), all = row * n->d->max_rows;
    more(&n->l->part_bytes, all < PART_BYTES ? all : row < PART_BYTES ? PART_BYTES : row);
}

static void need_op(const needs *n, const rmr_op *op, scratch *s)
{
    const uint64_t rows = op->rows == RMR_ROWS_OUT ? n->d->max_out : n->d->max_rows;
    const taken all = {rows, 1, 0, 0}, heads = {rows, op->mla != NULL ? op->mla->heads : 1, 0, 0};
    switch (op->kind) {
    case RMR_OP_LINEAR: need_rows(n, op->w, &all, rmr_cuda_is_router(n->d, op)); break;
    case RMR_OP_SWIGLU:
        need_rows(n, op->w, &all, 0);
        need_rows(n, op->w2, &all, 0);
        break;
    case RMR_OP_ABSORB:
    case RMR_OP_UNABSORB: need_rows(n, op->w, &heads, 0); break;
    case RMR_OP_ATTEND_EXPANDED:
        need_rows(n, op->w, &heads, 0);
        need_rows(n, op->w2, &heads, 0);
        more(&s->queries, rows * op->mla->heads * (op->mla->rank + op->mla->rope) * 4);
        more(&s->routed, rows * op->mla->heads * op->mla->rank * 4);
        need_parts(n, op);
        break;
    case RMR_OP_ATTEND_LATENT:
    case RMR_OP_ATTEND_GROUPED: need_parts(n, op); break;
    case RMR_OP_EXPERTS_SWIGLU:
    case RMR_OP_EXPERTS_DOWN: need_experts(n, op, s); break;
    default: break;
    }
}

static uint64_t take(rmr_cuda_layout *l, uint64_t bytes)
{
    const uint64_t at = l->total;
    l->total += rmr_round_up(bytes, 256);
    return at;
}

static rmr_cuda_layout lay_out(const rmr_cuda *c, const rmr_step_desc *d)
{
    rmr_cuda_layout l;
    scratch s = {0};
    memset(&l, 0, sizeof l);
    const needs n = {c, d, &l};
    for (uint32_t i = 0; i < d->n_ops; i++) need_op(&n, &d->ops[i], &s);
    for (uint32_t i = 0; i < d->n_slots; i++)
        l.slot[i] = take(&l, (uint64_t)rmr_slot_rows(d, i) * d->slots[i].width * 4);
    l.inputs = take(&l, rmr_inputs_place(NULL, NULL, d->max_rows, d->max_pages));
    l.counts = take(&l, sizeof(rmr_gpu_counts));
    l.want = take(&l, (uint64_t)d->max_out * 4);
    l.run_of = take(&l, (uint64_t)d->max_rows * 4);
    for (int f = 0; f < RMR_CUDA_FORMS; f++)
        for (int r = 0; r < 2; r++) {
            l.prepared[f][r] = take(&l, l.prepared_bytes[f][r]);
            l.scales[f][r] = take(&l, l.scale_bytes[f][r]);
        }
    l.lists = take(&l, s.lists);
    l.queries = take(&l, s.queries);
    l.routed = take(&l, s.routed);
    l.shared = take(&l, s.shared);
    l.arrived = take(&l, s.arrived);
    l.arrived_bytes = s.arrived;
    l.parts = take(&l, l.part_bytes);
    l.best = take(&l, rmr_cuda_best_bytes(d));
    return l;
}

static uint64_t stream_bytes(const rmr_step_desc *d)
{
    return d->cache == NULL ? 0 : (uint64_t)d->cache->n_streams * RMR_KV_TYPES * sizeof(uint64_t);
}

/* In pinned memory: the inputs' block, counts, the run of each row; then the best of a row. */
static uint64_t pinned_inputs(const rmr_step_desc *d)
{
    return rmr_inputs_place(NULL, NULL, d->max_rows, d->max_pages) +
           rmr_round_up(sizeof(rmr_gpu_counts), RMR_ALIGN) +
           rmr_round_up((uint64_t)d->max_rows * 4, RMR_ALIGN);
}

static uint64_t pinned_size(const rmr_step_desc *d)
{
    return pinned_inputs(d) + rmr_cuda_best_bytes(d);
}

rmr_bytes rmr_cuda_step_bytes(rmr_backend *be, const rmr_step_desc *d)
{
    return (rmr_bytes){stream_bytes(d) + pinned_size(d) + sizeof(rmr_step),
                       lay_out((rmr_cuda *)be, d).total};
}

/* ---- the order of work ---- */

/* After a piece of work: it has an event of its own until RMR_CUDA_EVENTS more have come. */
remora_status rmr_cuda_end_work(rmr_step *s, remora_error *err)
{
    s->work++;
    s->spent_at[s->work % RMR_CUDA_EVENTS] = s->spent;
    return rmr_cuda_check(
        s->c, s->c->d.event_record(s->event[s->work % RMR_CUDA_EVENTS], s->stream), "event", err);
}

/* An event that was used again is a later one. */
remora_status rmr_cuda_wait_work(rmr_step *s, uint64_t work, remora_error *err)
{
    if (work + RMR_CUDA_EVENTS <= s->work) work = s->work - RMR_CUDA_EVENTS + 1;
    RMR_TRY(rmr_cuda_wait(s->c, s->event[work % RMR_CUDA_EVENTS], err));
    if (work > s->waited) s->waited = work;
    return REMORA_OK;
}

static remora_status wait_all(rmr_step *s, remora_error *err)
{
    RMR_TRY(rmr_cuda_enter(s->c, err));
    const remora_status st = s->work == 0 ? REMORA_OK : rmr_cuda_wait_work(s, s->work, err);
    rmr_cuda_leave(s->c);
    return st;
}

/* Work that is submitted from now on comes behind the work of buffer functions so far. */
static remora_status follow_changes(rmr_step *s, remora_error *err)
{
    rmr_cuda *const c = s->c;
    remora_status st = REMORA_OK;
    pthread_mutex_lock(&c->order);
    if (s->changes != c->changes)
        st = rmr_cuda_check(c, c->d.stream_wait(s->stream, c->changed, 0), "ordering", err);
    s->changes = c->changes;
    pthread_mutex_unlock(&c->order);
    return st;
}

/* ---- creation ---- */

static void place_gpu_inputs(rmr_step *s)
{
    rmr_inputs in = {0};
    unsigned char *const block = (unsigned char *)(uintptr_t)(s->memory + s->l.inputs);
    rmr_inputs_place(&in, block, s->desc.max_rows, s->desc.max_pages);
    s->gpu =
        (rmr_gpu_inputs){(const rmr_gpu_counts *)(const void *)(uintptr_t)(s->memory + s->l.counts),
                         in.token,
                         in.pos,
                         (const uint32_t *)(const void *)(uintptr_t)(s->memory + s->l.want),
                         in.run,
                         in.page,
                         (const uint32_t *)(const void *)(uintptr_t)(s->memory + s->l.run_of),
                         0};
}

static remora_status place_streams(rmr_cuda *c, rmr_step *s, remora_error *err)
{
    const rmr_cache_layout *const l = s->desc.cache;
    const uint64_t bytes = stream_bytes(&s->desc);
    if (bytes == 0) return REMORA_OK;
    s->stream_at = rmr_calloc(&c->ctx->mem, 1, (size_t)bytes);
    if (s->stream_at == NULL) return rmr_error_nomem(err, "streams", bytes);
    s->stream_bytes = bytes;
    for (int kv = 0; kv < RMR_KV_TYPES; kv++)
        if (rmr_cache_stores(l, (rmr_kv_type)kv))
            rmr_cache_offsets(l, (rmr_kv_type)kv, s->stream_at + (size_t)kv * l->n_streams);
    return REMORA_OK;
}

static remora_status create(rmr_cuda *c, rmr_step *s, remora_error *err)
{
    void *pinned = NULL;
    RMR_TRY(place_streams(c, s, err));
    RMR_TRY(rmr_cuda_check(c, c->d.memory_alloc(&s->memory, s->l.total), "activations and scratch",
                           err));
    RMR_TRY(rmr_cuda_check(c, c->d.host_alloc(&pinned, s->pinned_bytes, 0), "pinned memory", err));
    s->pinned = pinned;
    s->best = s->pinned + pinned_inputs(&s->desc);
    RMR_TRY(rmr_cuda_stream_new(c, &s->stream, err));
    /* scales of groups of rows are copied whole, also where a list ends within one */
    if (s->l.scale_bytes[RMR_GPU_QUADS][0] > 0)
        RMR_TRY(rmr_cuda_check(c,
                               c->d.set_bytes(s->memory + s->l.scales[RMR_GPU_QUADS][0], 0,
                                              s->l.scale_bytes[RMR_GPU_QUADS][0], s->stream),
                               "zeroing scales", err));
    if (s->l.arrived_bytes > 0)
        RMR_TRY(rmr_cuda_check(
            c, c->d.set_bytes(s->memory + s->l.arrived, 0, s->l.arrived_bytes, s->stream),
            "zeroing counters", err));
    for (int i = 0; i < RMR_CUDA_EVENTS; i++)
        RMR_TRY(rmr_cuda_check(c, c->d.event_create(&s->event[i], RMR_CU_EVENT_DISABLE_TIMING),
                               "making an event", err));
    return REMORA_OK;
}

remora_status rmr_cuda_step_create(rmr_backend *be, const rmr_step_desc *d, rmr_step **out,
                                   remora_error *err)
{
    rmr_cuda *c = (rmr_cuda *)be;
    *out = NULL;
    if (d->n_slots > 64) RMR_FAIL(err, REMORA_E_INTERNAL, "%u slots are more than 64", d->n_slots);
    rmr_step *s = rmr_calloc(&c->ctx->mem, 1, sizeof *s);
    if (s == NULL) return rmr_error_nomem(err, "step", sizeof *s);
    s->c = c;
    s->desc = *d;
    s->l = lay_out(c, d);
    s->pinned_bytes = pinned_size(d);
    remora_status st = rmr_cuda_enter(c, err);
    if (st >= 0) {
        st = create(c, s, err);
        rmr_cuda_leave(c);
    }
    if (st < 0) {
        rmr_cuda_step_free(be, s);
        return st;
    }
    rmr_inputs_place(&s->in, s->pinned, d->max_rows, d->max_pages);
    place_gpu_inputs(s);
    for (int f = 0; f < RMR_CUDA_FORMS; f++)
        for (int r = 0; r < 2; r++) {
            s->prepared[f][r].at = s->memory + s->l.prepared[f][r];
            s->prepared[f][r].scales = s->memory + s->l.scales[f][r];
        }
    pthread_mutex_lock(&c->order);
    s->next = c->steps;
    c->steps = s;
    pthread_mutex_unlock(&c->order);
    *out = s;
    return REMORA_OK;
}

static void forget_step(rmr_cuda *c, const rmr_step *s)
{
    pthread_mutex_lock(&c->order);
    for (rmr_step **at = &c->steps; *at != NULL; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            break;
        }
    pthread_mutex_unlock(&c->order);
}

void rmr_cuda_step_free(rmr_backend *be, rmr_step *s)
{
    rmr_cuda *c = (rmr_cuda *)be;
    if (s == NULL) return;
    if (rmr_cuda_is_ours(c)) forget_step(c, s);
    if (rmr_cuda_enter(c, NULL) >= 0) {
        if (s->work > 0) (void)rmr_cuda_wait_work(s, s->work, NULL);
        if (s->memory != 0) (void)c->d.memory_free(s->memory);
        if (s->pinned != NULL) (void)c->d.host_free(s->pinned);
        for (int i = 0; i < RMR_CUDA_EVENTS; i++)
            if (s->event[i] != NULL) (void)c->d.event_destroy(s->event[i]);
        for (int i = 0; i < RMR_CUDA_GRAPHS; i++)
            if (s->graph[i].graph != NULL) (void)c->d.graph_exec_destroy(s->graph[i].graph);
        if (s->stream != NULL) (void)c->d.stream_destroy(s->stream);
        rmr_cuda_leave(c);
    }
    rmr_free(&c->ctx->mem, s->stream_at, (size_t)s->stream_bytes);
    rmr_free(&c->ctx->mem, s, sizeof *s);
}

/* ---- inputs ---- */

/* Does the step read or write caches? Without them runs need no pages. */
static int has_cache(const rmr_step_desc *d)
{
    for (uint32_t i = 0; i < d->n_ops; i++)
        if (rmr_op_infos[d->ops[i].kind].cache != 0) return 1;
    return 0;
}

static remora_status check_inputs(const rmr_step_desc *d, const rmr_inputs *in, remora_error *err)
{
    const int cache = has_cache(d);
    uint32_t row = 0;
    RMR_TRY(rmr_check_inputs(d, in, err));
    for (uint32_t i = 0; i < in->n_runs; i++) {
        const rmr_run *r = &in->run[i];
        const uint64_t end = (uint64_t)r->pos0 + r->n_rows;
        const uint64_t pages = cache ? (end + RMR_PAGE_TOKENS - 1) / RMR_PAGE_TOKENS : 0;
        if (r->row0 != row || r->n_rows > in->n_rows - row || r->page0 + pages > in->n_pages ||
            (uint32_t)r->kv >= RMR_KV_TYPES)
            RMR_FAIL(err, REMORA_E_INTERNAL, "run %u of a step is out of its range", i);
        for (uint32_t k = 0; k < r->n_rows; k++)
            if (in->pos[row + k] != r->pos0 + k)
                RMR_FAIL(err, REMORA_E_INTERNAL, "a row of run %u has another position", i);
        row += r->n_rows;
    }
    if (row != in->n_rows) RMR_FAIL(err, REMORA_E_INTERNAL, "runs do not cover the rows");
    return REMORA_OK;
}

static void look_at_runs(rmr_step *s, uint32_t *run_of)
{
    uint32_t most = 1;
    s->forms = s->kinds = 0;
    for (uint32_t i = 0; i < s->in.n_runs; i++) {
        const rmr_run *r = &s->in.run[i];
        s->forms |= 1u << r->form;
        s->kinds |= 1u << r->kv;
        if (r->pos0 + r->n_rows > most) most = r->pos0 + r->n_rows;
        for (uint32_t k = 0; k < r->n_rows; k++) run_of[r->row0 + k] = i;
    }
    /* shorter rows may have more units, of the smallest size; rounded up, so that a graph serves
     * many positions */
    const uint32_t n = (most + RMR_GPU_LEAST - 1) / RMR_GPU_LEAST;
    s->unit = rmr_gpu_unit(most);
    for (s->most_units = 1; s->most_units < n && s->most_units < RMR_GPU_UNITS;) s->most_units *= 2;
}

/* Copy the parts of the inputs that are in use. */
static remora_status send_inputs(rmr_step *s, const rmr_gpu_counts *counts, const uint32_t *run_of,
                                 remora_error *err)
{
    rmr_cuda *c = s->c;
    const char *what = "copying inputs";
    RMR_TRY(rmr_cuda_check(
        c, c->d.copy_in(s->memory + s->l.inputs, s->in.block, rmr_inputs_used(&s->in), s->stream),
        what, err));
    RMR_TRY(rmr_cuda_check(
        c, c->d.copy_in(s->memory + s->l.counts, counts, sizeof *counts, s->stream), what, err));
    if (s->in.n_rows == 0) return REMORA_OK;
    return rmr_cuda_check(
        c, c->d.copy_in(s->memory + s->l.run_of, run_of, (uint64_t)s->in.n_rows * 4, s->stream),
        what, err);
}

remora_status rmr_cuda_step_inputs(rmr_backend *be, rmr_step *s, const rmr_inputs *in,
                                   remora_error *err)
{
    const rmr_step_desc *d = &s->desc;
    unsigned char *const behind =
        s->pinned + rmr_inputs_place(NULL, NULL, d->max_rows, d->max_pages);
    rmr_gpu_counts *const counts = (rmr_gpu_counts *)(void *)behind;
    uint32_t *const run_of = (uint32_t *)(void *)(behind + rmr_round_up(sizeof *counts, RMR_ALIGN));
    RMR_TRY(check_inputs(d, in, err));
    (void)be;
    RMR_TRY(wait_all(s, err)); /* pinned memory is free */
    rmr_inputs_copy(&s->in, in);
    s->failed = REMORA_OK;
    s->done = 0;
    s->n_want = 0;
    look_at_runs(s, run_of);
    *counts = (rmr_gpu_counts){in->n_pages, in->count_routing};
    s->gpu.n_rows = in->n_rows;
    for (int f = 0; f < RMR_CUDA_FORMS; f++) s->prepared[f][0].n = s->prepared[f][1].n = 0;
    s->sorted.n = 0;
    RMR_TRY(rmr_cuda_enter(s->c, err));
    remora_status st = follow_changes(s, err);
    if (st >= 0) st = send_inputs(s, counts, run_of, err);
    if (st >= 0) st = rmr_cuda_end_work(s, err); /* the next inputs wait for this copy */
    rmr_cuda_leave(s->c);
    return st;
}

/* ---- running ---- */

static remora_status run_ops(rmr_step *s, const rmr_slice *slice, rmr_halt *halt, remora_error *err)
{
    return rmr_cuda_run_ops(s, s->desc.ops + slice->first, slice->n, &s->done, halt, err);
}

static rmr_cuda_key key_of(const rmr_step *s, const rmr_slice *slice)
{
    rmr_cuda_key k;
    memset(&k, 0, sizeof k); /* compared byte by byte */
    k.slice = *slice;
    k.n_rows = s->in.n_rows;
    k.n_want = s->n_want;
    k.forms = s->forms;
    k.kinds = s->kinds;
    k.unit = s->unit;
    k.most_units = s->most_units;
    for (int f = 0; f < RMR_CUDA_FORMS; f++)
        for (int r = 0; r < 2; r++)
            if (s->prepared[f][r].n > 0)
                k.prepared[f][r] = (s->prepared[f][r].view.slot + 1) << 8 | s->prepared[f][r].form;
    k.sorted = s->sorted.n > 0 ? s->sorted.ids.slot + 1 : 0;
    return k;
}

/* The place of that key, or the one that was not used for the longest time, with the new key. */
static rmr_cuda_graph *find_graph(rmr_step *s, const rmr_cuda_key *key, int *known)
{
    rmr_cuda_graph *oldest = &s->graph[0];
    *known = 0;
    for (rmr_cuda_graph *g = s->graph; g < s->graph + RMR_CUDA_GRAPHS; g++) {
        if (g->used < oldest->used) oldest = g;
        if (g->used == 0 || memcmp(&g->key, key, sizeof *key) != 0) continue;
        *known = 1;
        oldest = g;
        break;
    }
    if (!*known) {
        if (oldest->graph != NULL) (void)s->c->d.graph_exec_destroy(oldest->graph);
        memset(oldest, 0, sizeof *oldest);
        oldest->key = *key;
    }
    oldest->used = ++s->graph_clock;
    return oldest;
}

static remora_status record(rmr_step *s, const rmr_slice *slice, rmr_cuda_graph *g,
                            remora_error *err)
{
    const rmr_cu_driver *const d = &s->c->d;
    rmr_cu_graph graph = NULL;
    RMR_TRY(rmr_cuda_check(s->c, d->capture_begin(s->stream, RMR_CU_CAPTURE_THREAD_LOCAL),
                           "recording a slice", err));
    remora_status st = run_ops(s, slice, NULL, err);
    const rmr_cu_result r = d->capture_end(s->stream, &graph);
    if (st >= 0) st = rmr_cuda_check(s->c, r, "recording a slice", err);
    if (st >= 0)
        st = rmr_cuda_check(s->c, d->graph_instantiate(&g->graph, graph, 0), "recording a slice",
                            err);
    if (graph != NULL) (void)d->graph_destroy(graph);
    memcpy(g->after, s->prepared, sizeof g->after);
    g->sorted_after = s->sorted;
    return st;
}

enum { GRAPH_ROWS = 64 }; /* with more rows kernels take longer than it takes to start them */

/* Recorded, unless it takes so long that the call may have to end within it. */
static remora_status run_slice(rmr_step *s, const rmr_slice *slice, rmr_halt *halt,
                               remora_error *err)
{
    int known;
    const uint64_t before = s->spent;
    if (s->in.n_rows > GRAPH_ROWS || !s->c->graphs || s->done > 0)
        return run_ops(s, slice, halt, err);
    const rmr_cuda_key key = key_of(s, slice);
    rmr_cuda_graph *const g = find_graph(s, &key, &known);
    if (!known || (halt != NULL && g->us > RMR_CUDA_PIECE_US)) {
        const remora_status st = run_ops(s, slice, halt, err);
        if (st == REMORA_OK)
            g->us = s->spent - before;
        else if (!known)
            g->used = 0; /* not all of its time is known */
        return st;
    }
    const remora_status st = rmr_cuda_pace(s, halt, err);
    if (st != REMORA_OK) return st;
    if (g->graph == NULL) RMR_TRY(record(s, slice, g, err));
    s->spent = before + g->us;
    memcpy(s->prepared, g->after, sizeof g->after);
    s->sorted = g->sorted_after;
    return rmr_cuda_check(s->c, s->c->d.graph_launch(g->graph, s->stream), "starting a slice", err);
}

/* The kernels of a slice that fails get an event, too, as far as they were started. Nothing of a
 * slice that is stopped is under way. */
static remora_status submit(rmr_step *s, const rmr_slice *slice, rmr_halt *halt, remora_error *err)
{
    RMR_TRY(rmr_cuda_enter(s->c, err));
    remora_status st = follow_changes(s, err);
    if (st >= 0) st = run_slice(s, slice, halt, err);
    remora_status ended = rmr_cuda_end_work(s, st < 0 ? NULL : err);
    if (st == REMORA_MORE && ended >= 0) ended = rmr_cuda_wait_work(s, s->work, err);
    rmr_cuda_leave(s->c);
    return st < 0 || ended >= 0 ? st : ended;
}

static remora_status failed_before(const rmr_step *s, remora_error *err)
{
    RMR_FAIL(err, s->failed, "a slice before it has failed");
}

remora_status rmr_cuda_step_submit(rmr_backend *be, rmr_step *s, const rmr_slice *slice,
                                   rmr_halt *halt, uint64_t *mark, remora_error *err)
{
    const rmr_step_desc *d = &s->desc;
    (void)be;
    RMR_TRY(rmr_check_slice(d, slice, err));
    *mark = ++s->mark;
    if (s->failed < 0) return failed_before(s, err);
    if (s->done > 0 && memcmp(slice, &s->stopped, sizeof *slice) != 0)
        RMR_FAIL(err, REMORA_E_INTERNAL, "another slice is submitted where one was stopped");
    s->stopped = *slice;
    const remora_status st = submit(s, slice, halt, err);
    if (st < 0) s->failed = st;
    s->work_of[s->mark % RMR_CUDA_EVENTS] = s->work;
    return st;
}

remora_status rmr_cuda_step_wait(rmr_backend *be, rmr_step *s, uint64_t mark, remora_error *err)
{
    (void)be;
    if (mark > s->mark) RMR_FAIL(err, REMORA_E_INTERNAL, "wait for a slice that was not submitted");
    if (s->failed < 0) return failed_before(s, err);
    if (mark + RMR_CUDA_EVENTS <= s->mark) mark = s->mark - RMR_CUDA_EVENTS + 1;
    RMR_TRY(rmr_cuda_enter(s->c, err));
    const remora_status st = rmr_cuda_wait_work(s, s->work_of[mark % RMR_CUDA_EVENTS], err);
    rmr_cuda_leave(s->c);
    return st;
}

/* ---- copies in the step's stream ---- */

/* From memory that is not pinned: the driver has taken the numbers when the call returns. */
remora_status rmr_cuda_step_want(rmr_backend *be, rmr_step *s, const uint32_t *rows, uint32_t n,
                                 remora_error *err)
{
    rmr_cuda *const c = (rmr_cuda *)be;
    RMR_TRY(rmr_check_want(&s->desc, s->in.n_rows, rows, n, err));
    s->n_want = n;
    if (n == 0) return REMORA_OK;
    RMR_TRY(rmr_cuda_enter(c, err));
    const remora_status st =
        rmr_cuda_check(c, c->d.copy_in(s->memory + s->l.want, rows, (uint64_t)n * 4, s->stream),
                       "wanted rows", err);
    rmr_cuda_leave(c);
    return st;
}

/* A copy of an area: row by row, unless its rows are whole ones. */
static remora_status copy_area(rmr_step *s, const rmr_area *a, void *to, const void *from,
                               remora_error *err)
{
    const rmr_cu_driver *const d = &s->c->d;
    const uint64_t width = s->desc.slots[a->slot].width;
    const int whole = a->n_cols == width;
    const uint64_t bytes = (uint64_t)a->n_cols * 4 * (whole ? a->n_rows : 1);
    rmr_cu_address at = s->memory + s->l.slot[a->slot] + (a->row0 * width + a->col) * 4;
    for (uint32_t i = 0; i < (whole ? 1 : a->n_rows); i++, at += width * 4) {
        const rmr_cu_result r =
            to != NULL ? d->copy_out((unsigned char *)to + i * bytes, at, bytes, s->stream)
                       : d->copy_in(at, (const unsigned char *)from + i * bytes, bytes, s->stream);
        RMR_TRY(rmr_cuda_check(s->c, r, "copying activations", err));
    }
    return rmr_cuda_end_work(s, err);
}

static remora_status move_area(rmr_step *s, const rmr_area *a, void *to, const void *from,
                               remora_error *err)
{
    if (!rmr_has_area(&s->desc, a))
        RMR_FAIL(err, REMORA_E_INTERNAL, "an area is out of the range of its slot");
    if (a->n_rows == 0 || a->n_cols == 0) return REMORA_OK;
    RMR_TRY(rmr_cuda_enter(s->c, err));
    const remora_status st = copy_area(s, a, to, from, err);
    rmr_cuda_leave(s->c);
    return st < 0 ? st : wait_all(s, err);
}

remora_status rmr_cuda_step_read(rmr_backend *be, rmr_step *s, const rmr_area *a, void *dst,
                                 remora_error *err)
{
    (void)be;
    return move_area(s, a, dst, NULL, err);
}

remora_status rmr_cuda_step_write(rmr_backend *be, rmr_step *s, const rmr_area *a, const void *src,
                                  remora_error *err)
{
    (void)be;
    if (a->slot < s->desc.n_slots) rmr_cuda_forget(s, a->slot);
    return move_area(s, a, NULL, src, err);
}

/* Only rows of the head have room for what is found of them. */
static remora_status check_row(const rmr_step *s, uint32_t slot, uint32_t row, int ok,
                               remora_error *err)
{
    const rmr_area a = {slot, 0, 1, row, 1};
    if (ok && rmr_has_area(&s->desc, &a) && s->desc.slots[slot].rows == RMR_ROWS_OUT)
        return REMORA_OK;
    RMR_FAIL(err, REMORA_E_INTERNAL, "nothing can be found of row %u of slot %u", row, slot);
}

/* After a question about a row: wait for its answer, unless asking has failed. */
static remora_status end_finding(rmr_step *s, remora_status st, remora_error *err)
{
    if (st >= 0) st = rmr_cuda_end_work(s, err);
    rmr_cuda_leave(s->c);
    return st < 0 ? st : wait_all(s, err);
}

remora_status rmr_cuda_step_best(rmr_backend *be, rmr_step *s, uint32_t slot, uint32_t row,
                                 const rmr_best_wish *wish, rmr_best *out, remora_error *err)
{
    (void)be;
    RMR_TRY(check_row(s, slot, row, wish->n > 0, err));
    RMR_TRY(rmr_cuda_enter(s->c, err));
    RMR_TRY(end_finding(s, rmr_cuda_find_best(s, slot, row, wish, err), err));
    rmr_cuda_read_best(s, slot, wish, out);
    return REMORA_OK;
}

remora_status rmr_cuda_step_masses(rmr_backend *be, rmr_step *s, uint32_t slot, uint32_t row,
                                   double divisor, rmr_masses *out, remora_error *err)
{
    (void)be;
    RMR_TRY(check_row(s, slot, row, divisor > 0, err));
    RMR_TRY(rmr_cuda_enter(s->c, err));
    RMR_TRY(end_finding(s, rmr_cuda_find_masses(s, slot, row, divisor, err), err));
    rmr_cuda_read_masses(s, slot, out);
    return REMORA_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Operations as kernels. */
#include "cuda.h"

#include <string.h>

#include "halt.h"

/* ---- views and shapes ---- */

static rmr_gpu_view view(const rmr_step *s, rmr_view v)
{
    return (rmr_gpu_view){(float *)(void *)(uintptr_t)(s->memory + s->l.slot[v.slot]) + v.col,
                          s->desc.slots[v.slot].width};
}

static rmr_gpu_view memory(uint64_t at, uint64_t ld)
{
    return (rmr_gpu_view){(float *)(void *)(uintptr_t)at, ld};
}

static rmr_gpu_rows rows(const rmr_step *s, const rmr_op *op)
{
    if (op->rows == RMR_ROWS_OUT) return (rmr_gpu_rows){1, s->n_want};
    return (rmr_gpu_rows){0, s->in.n_rows};
}

static rmr_gpu_weight weight(const rmr_weight *w)
{
    if (w == NULL) return (rmr_gpu_weight){0};
    const uint32_t tile = w->desc.use == RMR_USE_TABLE
                              ? (uint32_t)rmr_row_bytes(w->desc.elem, w->desc.cols)
                              : (uint32_t)w->layout.tile;
    return (rmr_gpu_weight){(const uint8_t *)(uintptr_t)w->at,
                            w->layout.stride,
                            tile,
                            w->desc.count,
                            w->desc.rows,
                            w->desc.cols};
}

static const float *vector(const rmr_weight *w)
{
    return w == NULL ? NULL : (const float *)(const void *)(uintptr_t)w->at;
}

static rmr_gpu_stream stream(const rmr_step *s, const rmr_op *op)
{
    const rmr_cache_stream *const of = &s->desc.cache->streams[op->stream];
    rmr_gpu_stream g = {{0}, of->width, of->rope};
    for (int kv = 0; kv < RMR_KV_TYPES; kv++)
        g.at[kv] = s->stream_at[(size_t)kv * s->desc.cache->n_streams + op->stream];
    return g;
}

static uint32_t units(uint64_t n, uint32_t unit)
{
    return (uint32_t)((n + unit - 1) / unit);
}

static uint32_t at_most(uint64_t n, uint32_t most)
{
    return n < most ? (uint32_t)n : most;
}

static remora_status run(rmr_step *s, rmr_cuda_kernel k, uint32_t x, uint32_t y, uint32_t z,
                         uint32_t threads, uint32_t shared, void *args, remora_error *err)
{
    const uint32_t grid[3] = {x, y, z};
    s->spent += 3 + s->in.n_rows / 64; /* beside what products and attention take */
    return rmr_cuda_launch(s->c, s->stream, k, grid, threads, shared, args, err);
}

/* ---- activations in the form of a product ---- */

/* The activations of a product: rows of a view, of each row per_row parts of k columns, `step`
 * apart. */
typedef struct operand {
    rmr_gpu_view x;
    rmr_view view; /* whose slot it is; slot UINT32_MAX: of none */
    rmr_gpu_rows rows;
    uint32_t per_row, step;
} operand;

static int is_there(const rmr_cuda_prepared *p, const operand *o, uint32_t k, rmr_gpu_form form,
                    int spread)
{
    return p->n == o->rows.n && p->k == k && p->form == form && p->spread == spread &&
           p->per_row == o->per_row && p->step == o->step && p->view.slot == o->view.slot &&
           p->view.col == o->view.col && o->view.slot != UINT32_MAX;
}

static remora_status prepare(rmr_step *s, const operand *o, const rmr_weight *w, rmr_gpu_form form,
                             int router, remora_error *err)
{
    rmr_cuda_prepared *const p = &s->prepared[form][router];
    const uint32_t k = w->desc.cols;
    if (is_there(p, o, k, form, 0)) return REMORA_OK;
    rmr_gpu_prepare a = {s->gpu,
                         o->rows,
                         o->x,
                         k,
                         o->per_row,
                         o->step,
                         form,
                         rmr_cuda_parts(s->c, form, router),
                         (uint8_t *)(uintptr_t)p->at,
                         rmr_cuda_row_bytes(form, k),
                         (float *)(void *)(uintptr_t)p->scales,
                         rmr_cuda_row_scales(form, k)};
    const uint64_t warps =
        (uint64_t)o->rows.n * o->per_row * units(rmr_round_up(k, rmr_gpu_granule(form)), 128);
    *p = (rmr_cuda_prepared){p->at, p->scales,  p->bytes, p->scale_bytes, o->view, o->rows.n,
                             k,     o->per_row, o->step,  form,           0};
    return run(s, RMR_K_prepare, at_most(units(warps, 4), 65535), 1, 1, 128, 0, &a, err);
}

void rmr_cuda_forget(rmr_step *s, uint32_t slot)
{
    for (int f = 0; f < RMR_CUDA_FORMS; f++)
        for (int r = 0; r < 2; r++)
            if (s->prepared[f][r].view.slot == slot) s->prepared[f][r].n = 0;
    if (s->sorted.ids.slot == slot) s->sorted.n = 0;
}

/* ---- products ---- */

/* Columns: `few` of one or two rows that blocks prepare for themselves, `wide`: more than
 * RMR_GPU_COLUMNS. */
static rmr_cuda_kernel product_kernel(rmr_elem e, int few, int wide)
{
    switch (e) {
#define X(name, elem)                                                                              \
    case RMR_ELEM_##elem:                                                                          \
        return few    ? RMR_K_product_##name##_few                                                 \
               : wide ? RMR_K_product_##name##_wide                                                \
                      : RMR_K_product_##name;
        RMR_CUDA_PRODUCTS(X)
#undef X
    default: return RMR_K_product_f32;
    }
}

/* A product in preparation: y = w x for the rows of o. */
typedef struct product {
    const rmr_weight *w, *w2;
    const operand *o;
    rmr_gpu_view y;
    uint32_t y_step;
    int add, only, router;
    const float *bias;
    const rmr_gpu_lists *lists;
    int by_choice;
    uint32_t most_lists; /* that there can be */
    uint32_t tail;       /* columns behind the operand's that are copied behind the results */
    const rmr_gpu_rope_write
        *turn; /* those are queries to be turned, and keys are written; or NULL */
    const rmr_gpu_combine *combine; /* of the one row, which the last blocks do; or NULL */
    int late, known;                /* as of rmr_gpu_products */
} product;

/* Bytes in which a warp prepares its slice of the rows itself; 0 where there are too many rows, or
 * so many blocks that it is better done once. To round to BF16 costs next to nothing. */
static uint32_t own_bytes(const rmr_step *s, const product *p, uint32_t parts, uint32_t blocks)
{
    const rmr_gpu_form form = rmr_gpu_form_of(p->w->desc.elem);
    const uint32_t granule = rmr_gpu_granule(form), n = p->o->rows.n;
    if (form == RMR_GPU_FLOAT || n > 2 || n * parts > RMR_GPU_OWN ||
        (form != RMR_GPU_BF16 && blocks > 8 * (uint32_t)s->c->sms))
        return 0;
    const uint32_t k = units(units(p->w->desc.cols, granule), RMR_GPU_WARPS) * granule;
    const uint32_t bytes =
        n * (parts * rmr_gpu_form_bytes(form, k) + 4 * rmr_gpu_form_scales(form, k));
    return bytes > 4096 ? 0 : (uint32_t)rmr_round_up(bytes, 16);
}

/* The index of an element type in tables of kernels' costs: 0 BF16, 1 F8, 2 codes. */
static uint32_t kind_of(rmr_elem e)
{
    return e == RMR_ELEM_BF16 ? 0 : e == RMR_ELEM_F8 ? 1 : 2;
}

/* A product as its kernel takes it, and how it is launched. */
typedef struct ready {
    rmr_gpu_product args;
    rmr_gpu_form form;
    rmr_cuda_kernel kernel;
    uint32_t jobs, columns; /* columns: of a job, with lists on average */
    uint32_t blocks, passes, shared;
    /* set by plan(): */
    uint32_t pass; /* rows of activations at a time in product_many.cuh; 0: another kernel */
    uint64_t us;   /* the time of the product, estimated */
    uint32_t most; /* rows of weights in one launch */
} ready;

static ready ready_of(const rmr_step *s, const product *p)
{
    const rmr_gpu_form form = rmr_gpu_form_of(p->w->desc.elem);
    const rmr_cuda_prepared *const x = &s->prepared[form][p->router];
    const uint32_t k = p->w->desc.cols, parts = rmr_cuda_parts(s->c, form, p->router);
    uint64_t columns = (uint64_t)p->o->rows.n * parts; /* of a job */
    uint32_t jobs = p->o->per_row;
    rmr_gpu_product a = {.in = s->gpu,
                         .rows = p->o->rows,
                         .floats = p->o->x,
                         .step = p->o->step,
                         .tail = p->tail,
                         .w = weight(p->w),
                         .w2 = weight(p->w2),
                         .x = (const uint8_t *)(uintptr_t)x->at,
                         .ldx = rmr_cuda_row_bytes(form, k),
                         .scales = (const float *)(const void *)(uintptr_t)x->scales,
                         .scale_ld = rmr_cuda_row_scales(form, k),
                         .parts = parts,
                         .per_row = p->o->per_row,
                         .y = p->y,
                         .y_step = p->y_step,
                         .add = p->add,
                         .only = p->only,
                         .bias = p->bias,
                         .by_choice = p->by_choice};
    if (p->lists != NULL) {
        a.lists = *p->lists;
        jobs = p->most_lists;
        columns = units(columns * p->lists->n_used, p->w->desc.count);
    }
    a.across = units(p->w->desc.rows, p->w2 != NULL ? 16 : RMR_GPU_UNIT);
    a.own = own_bytes(s, p, parts, a.across * jobs);
    const int wide = columns > RMR_GPU_COLUMNS && form != RMR_GPU_FLOAT;
    const uint32_t n = RMR_GPU_COLUMNS * (wide ? RMR_GPU_WIDE : 1);
    return (ready){
        .args = a,
        .form = form,
        .kernel = product_kernel(p->w->desc.elem, a.own > 0, wide),
        .jobs = jobs,
        .columns = (uint32_t)columns,
        .blocks = a.across * jobs,
        .passes = p->lists != NULL ? 1 : at_most(units(columns, n / parts * parts), 65535),
        .shared = RMR_GPU_WARPS * ((a.own > 0 ? 2 : 1) * n * (RMR_GPU_UNIT + 1) * 4 + a.own)};
}

/* The grid of a launch and its kernel: blocks of product_few.cuh stay where there are more tiles
 * than room, or where more goes along. */
static remora_status run_product(rmr_step *s, const ready *r, rmr_gpu_products *a, uint32_t passes,
                                 uint32_t shared, remora_error *err)
{
    const int few = r->args.own > 0;
    const uint32_t room = RMR_GPU_STAY * (uint32_t)s->c->sms,
                   grid = few ? at_most(a->all, room) : a->all;
    const int one = few && a->all <= room && a->turning == 0 && a->arrivals == 0 && !a->late;
    return run(s, one ? r->kernel + (RMR_K_product_bf16_one - RMR_K_product_bf16_few) : r->kernel,
               a->turning + grid, 1, passes, RMR_GPU_WARPS * 32, shared, a, err);
}

/* ---- many rows ---- */

static rmr_cuda_kernel many_kernel(rmr_elem e)
{
    switch (e) {
#define X(name, elem)                                                                              \
    case RMR_ELEM_##elem: return RMR_K_many_##name;
        RMR_CUDA_MANY(X)
#undef X
    default: return RMR_K_COUNT;
    }
}

/* The cheapest number of rows of activations that a block of product_many.cuh has at a time; 0: not
 * worth it. Costs are cycles of a block for 64 columns of K (BF16, F8, quantised), as measured;
 * those of no rows are of product.cuh's wide form. */
static uint32_t cheapest_pass(const rmr_step *s, const product *p, uint32_t columns)
{
    static const struct {
        uint32_t rows, of[3];
    } passes[] = {{0, {450, 505, 555}},
                  {192, {1150, 0, 0}},
                  {128, {0, 1180, 2700}},
                  {96, {1050, 0, 0}},
                  {64, {1040, 840, 1600}}};
    const rmr_weight *const w = p->w;
    const uint32_t pair = p->w2 != NULL, jobs = p->o->per_row, of = kind_of(w->desc.elem);
    uint64_t best = UINT64_MAX;
    uint32_t pass = 0;
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++) {
        const uint32_t rows = passes[i].rows, tiles = rows > 0
                                                          ? units(w->desc.rows, pair ? 64 : 128)
                                                          : units(w->desc.rows, pair ? 16 : 32);
        const uint64_t blocks = (uint64_t)tiles * jobs * units(columns, rows > 0 ? rows : 32),
                       cost = units(blocks, (uint32_t)s->c->sms) * (uint64_t)passes[i].of[of];
        if (cost == 0 || cost >= best) continue;
        best = cost;
        pass = rows;
    }
    return pass;
}

/* Rows of activations at a time in product_many.cuh, if that is right for it; else 0. */
static uint32_t many_pass(const rmr_step *s, const product *p, const ready *r)
{
    static const uint32_t whole_columns[] = {64, 128, 32};
    const rmr_weight *const w = p->w;
    const uint32_t whole = whole_columns[kind_of(w->desc.elem)];
    if (!rmr_cuda_has_many(s->c) || many_kernel(w->desc.elem) == RMR_K_COUNT || r->args.parts > 1 ||
        w->desc.cols % whole != 0 || p->most_lists >= RMR_GPU_MANY_LISTS)
        return 0;
    if (p->lists != NULL)
        return r->columns > (w->desc.elem <= RMR_ELEM_F8 ? 4 : 16) ? RMR_GPU_MANY_ROWS(w->desc.elem)
                                                                   : 0;
    return r->columns > RMR_GPU_COLUMNS ? cheapest_pass(s, p, r->columns) : 0;
}

/* ---- short pieces ---- */

enum { PART_ROWS = 128 /* of weights, of which parts of a product have a multiple */ };

/* The time of a product, from multiplications that a multiprocessor does in a cycle. */
static uint64_t product_us(const rmr_step *s, const product *p, const ready *r)
{
    static const uint32_t many[] = {1300, 850, 380}, few[] = {140, 130, 115};
    const uint32_t kind = kind_of(p->w->desc.elem), per_row = p->o->per_row,
                   rate = r->form == RMR_GPU_FLOAT ? 32
                          : r->pass > 0            ? many[kind]
                                                   : few[kind];
    const uint64_t columns = (uint64_t)p->o->rows.n * r->args.parts *
                             (p->lists != NULL ? p->lists->n_used : per_row),
                   matrices = p->lists != NULL ? p->most_lists
                              : per_row > 1    ? p->w->desc.count
                                               : 1,
                   of = p->w2 != NULL ? 2 : 1;
    return rmr_cuda_us(s->c, of * matrices * p->w->layout.stride,
                       of * columns * p->w->desc.rows * p->w->desc.cols / rate);
}

/* Rows of weights in one launch: all of them, unless pieces have to be short. What goes along with
 * a product is for one launch. */
static uint32_t rows_at_once(const rmr_step *s, const product *p, const ready *r)
{
    const uint32_t rows = p->w->desc.rows, n = rmr_cuda_piece(s->c, rows, r->us);
    if (n == rows || p->w->desc.use != RMR_USE_MATRIX || p->tail > 0 || p->turn != NULL ||
        p->combine != NULL || p->late || p->known)
        return rows;
    return at_most(rmr_round_up(n, PART_ROWS), rows);
}

/* How a product is launched, how long it takes, and in how many parts. */
static ready plan(const rmr_step *s, const product *p)
{
    ready r = ready_of(s, p);
    r.pass = many_pass(s, p, &r);
    r.us = product_us(s, p, &r);
    r.most = rows_at_once(s, p, &r);
    return r;
}

/* The part that has n rows of weights from row0 on, in tiles of 16; a block has `unit` rows. */
static ready part_of(const ready *r, uint32_t row0, uint32_t n, uint32_t unit)
{
    ready part = *r;
    rmr_gpu_product *const a = &part.args;
    a->w.at += (uint64_t)row0 / 16 * a->w.tile;
    if (a->w2.at != NULL) a->w2.at += (uint64_t)row0 / 16 * a->w2.tile;
    if (a->bias != NULL) a->bias += row0;
    a->y.at += row0;
    a->w.rows = n;
    if (a->w2.at != NULL) a->w2.rows = n;
    a->across = units(n, unit);
    part.blocks = a->across * r->jobs;
    return part;
}

/* ---- the forms of many rows ---- */

/* Rows in blocks. Those of lists are nobody else's. */
static remora_status spread(rmr_step *s, const product *p, const ready *r, uint32_t groups,
                            remora_error *err)
{
    const operand *const o = p->o;
    const uint32_t k = p->w->desc.cols;
    rmr_cuda_prepared *const to = &s->prepared[r->form][p->router];
    if (p->lists == NULL && is_there(to, o, k, r->form, 1)) return REMORA_OK;
    rmr_gpu_spread a = {.of = {.in = s->gpu,
                               .rows = o->rows,
                               .x = o->x,
                               .n = k,
                               .per_row = o->per_row,
                               .step = o->step,
                               .form = r->form,
                               .parts = 1,
                               .to = (uint8_t *)(uintptr_t)to->at,
                               .scales = (float *)(void *)(uintptr_t)to->scales},
                        .groups = groups,
                        .by_choice = p->by_choice};
    uint64_t rows_of = (uint64_t)o->rows.n * o->per_row;
    *to = (rmr_cuda_prepared){to->at, to->scales, to->bytes, to->scale_bytes, o->view, o->rows.n,
                              k,      o->per_row, o->step,   r->form,         1};
    if (p->lists != NULL) {
        a.lists = *p->lists;
        to->view.slot = UINT32_MAX;
        rows_of = (uint64_t)o->rows.n * p->lists->n_used;
    }
    const uint64_t warps = rows_of * units(rmr_round_up(k, rmr_gpu_granule(r->form)), 128);
    return run(s, RMR_K_spread, at_most(units(warps, 32), 65535), 1, 1, 256, 0, &a, err);
}

static remora_status multiply_many(rmr_step *s, const product *p, const ready *r, remora_error *err)
{
    const uint32_t choices = p->lists != NULL ? p->o->rows.n * p->lists->n_used : 0,
                   groups = rmr_cuda_groups(p->o->rows.n, p->o->per_row, choices, p->most_lists);
    const uint32_t all = p->w->desc.rows;
    rmr_gpu_many a = {r->args, r->jobs, groups, r->pass};
    RMR_TRY(spread(s, p, r, groups, err));
    if (p->tail > 0)
        RMR_TRY(run(s, RMR_K_tails, at_most(p->o->rows.n, 65535), 1, 1, 256, 0, &a.of, err));
    for (uint32_t row = 0; row < all; row += r->most) {
        a.of = part_of(r, row, at_most(all - row, r->most), p->w2 != NULL ? 64 : 128).args;
        RMR_TRY(run(s, many_kernel(p->w->desc.elem), (uint32_t)s->c->sms, 1, 1,
                    RMR_GPU_WARPS * 32 + 128, RMR_GPU_MANY_SHARED, &a, err));
    }
    return REMORA_OK;
}

static void combine_behind(rmr_gpu_products *a, const product *p, uint32_t jobs)
{
    if (p->combine == NULL) return;
    a->combine = *p->combine;
    a->arrivals = jobs;
}

/* In parts, of which each has some rows of weights. */
static remora_status multiply_parts(rmr_step *s, const product *p, const ready *r,
                                    remora_error *err)
{
    const uint32_t all = p->w->desc.rows, unit = p->w2 != NULL ? 16 : RMR_GPU_UNIT;
    for (uint32_t row = 0; row < all; row += r->most) {
        const ready part = part_of(r, row, at_most(all - row, r->most), unit);
        rmr_gpu_products a = {.of = {part.args}, .blocks = part.blocks, .all = part.blocks};
        RMR_TRY(run_product(s, &part, &a, r->passes, r->shared, err));
    }
    return REMORA_OK;
}

static remora_status multiply(rmr_step *s, const product *p, remora_error *err)
{
    const ready r = plan(s, p);
    rmr_gpu_products a = {
        .of = {r.args}, .blocks = r.blocks, .all = r.blocks, .late = p->late, .known = p->known};
    s->spent += r.us;
    if (r.pass > 0) return multiply_many(s, p, &r, err);
    if (r.args.own == 0) RMR_TRY(prepare(s, p->o, p->w, r.form, p->router, err));
    if (r.most < p->w->desc.rows) return multiply_parts(s, p, &r, err);
    if (p->turn != NULL) {
        a.turn = *p->turn;
        a.turning = s->in.n_rows;
    }
    combine_behind(&a, p, r.jobs);
    return run_product(s, &r, &a, r.passes, r.shared, err);
}

/* Blocks of the first product that get a multiprocessor's place for themselves: where they have so
 * many more columns that two of the second one take as long. */
static uint32_t alone(const product *p, const product *q, uint32_t blocks, uint32_t grid)
{
    return 2 * p->w->desc.cols >= 3 * q->w->desc.cols && 2 * blocks <= grid ? blocks : 0;
}

/* Two products of which neither reads what the other writes: in one launch where they have one
 * kernel, and one prepared form or none. */
static remora_status multiply_two(rmr_step *s, const product *p, const product *q,
                                  remora_error *err)
{
    const ready r = plan(s, p), t = plan(s, q);
    const int own = r.args.own > 0 && t.args.own > 0;
    if (r.kernel != t.kernel || r.pass > 0 || t.pass > 0 ||
        (!own && (p->o != q->o || p->router != q->router)) || r.most < p->w->desc.rows ||
        t.most < q->w->desc.rows) {
        RMR_TRY(multiply(s, p, err));
        return multiply(s, q, err);
    }
    s->spent += r.us + t.us;
    const uint32_t all = r.blocks + t.blocks, room = RMR_GPU_STAY * (uint32_t)s->c->sms;
    rmr_gpu_products a = {
        .of = {r.args, t.args}, .blocks = r.blocks, .all = all, .late = q->late, .known = q->known};
    if (own && room < all) a.alone = alone(p, q, r.blocks, room);
    combine_behind(&a, q, r.jobs + t.jobs);
    if (!own) RMR_TRY(prepare(s, p->o, p->w, r.form, p->router, err));
    return run_product(s, &r, &a, r.passes > t.passes ? r.passes : t.passes,
                       r.shared > t.shared ? r.shared : t.shared, err);
}

static operand all_of(const rmr_step *s, const rmr_op *op, rmr_view v)
{
    return (operand){view(s, v), v, rows(s, op), 1, 0};
}

/* With lists of rows, or of what the operand has per_row of. */
static remora_status square_sums(rmr_step *s, const rmr_op *op, const rmr_sums *to,
                                 const operand *o, const rmr_gpu_lists *lists, remora_error *err)
{
    if (to->buffer == NULL) return REMORA_OK;
    const uint64_t at = to->buffer->at + to->at;
    rmr_gpu_square_sums a = {
        s->gpu,
        rows(s, op),
        o->x,
        o->step,
        (double *)(void *)(uintptr_t)at,
        (uint64_t *)(void *)(uintptr_t)(at + (uint64_t)to->count * to->cols * 8),
        to->cols,
        {0}};
    if (lists != NULL) a.lists = *lists;
    return run(s, RMR_K_square_sums, units(to->cols, 256),
               lists != NULL ? at_most((uint64_t)s->in.n_rows * op->moe->n_used, op->moe->n_experts)
                             : 1,
               1, 256, 0, &a, err);
}

static product linear_of(const rmr_step *s, const rmr_op *op, const operand *o)
{
    return (product){.w = op->w,
                     .o = o,
                     .y = view(s, op->out),
                     .add = op->add,
                     .only = -1,
                     .router = rmr_cuda_is_router(&s->desc, op),
                     .bias = vector(op->bias)};
}

static remora_status linear(rmr_step *s, const rmr_op *op, remora_error *err)
{
    const operand o = all_of(s, op, op->in);
    const product p = linear_of(s, op, &o);
    RMR_TRY(square_sums(s, op, &op->sums, &o, NULL, err));
    return multiply(s, &p, err);
}

/* Two of the same rows, one after the other. */
static remora_status linear_two(rmr_step *s, const rmr_op *op, const rmr_op *next,
                                remora_error *err)
{
    const operand o = all_of(s, op, op->in);
    const product p = linear_of(s, op, &o), q = linear_of(s, next, &o);
    RMR_TRY(square_sums(s, op, &op->sums, &o, NULL, err));
    RMR_TRY(square_sums(s, next, &next->sums, &o, NULL, err));
    return multiply_two(s, &p, &q, err);
}

static remora_status check_pair(const product *p, remora_error *err)
{
    if (p->w2->desc.elem != p->w->desc.elem)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "gate and up projections of different types (%s, %s) are not supported on a GPU",
                 rmr_elem_table[p->w->desc.elem].name, rmr_elem_table[p->w2->desc.elem].name);
    return REMORA_OK;
}

static remora_status swiglu(rmr_step *s, const rmr_op *op, remora_error *err)
{
    const operand o = all_of(s, op, op->in);
    const product p = {.w = op->w, .w2 = op->w2, .o = &o, .y = view(s, op->out), .only = -1};
    RMR_TRY(check_pair(&p, err));
    RMR_TRY(square_sums(s, op, &op->sums, &o, NULL, err));
    return multiply(s, &p, err);
}

/* ---- experts ---- */

static rmr_gpu_lists lists_of(const rmr_step *s, const rmr_op *op)
{
    uint32_t *const at = (uint32_t *)(void *)(uintptr_t)(s->memory + s->l.lists);
    const uint32_t n = op->moe->n_experts;
    const size_t choices = (size_t)s->desc.max_rows * op->moe->n_used;
    uint32_t *const choice = at + 3 * n + 2;
    const float *const ids = view(s, op->in2).at;
    return (rmr_gpu_lists){s->in.n_rows == 1 ? (const uint32_t *)(const void *)ids : NULL,
                           at,
                           at + 1,
                           at + n + 2,
                           at + 2 * n + 2,
                           choice,
                           choice + choices,
                           choice + 2 * choices,
                           op->moe->n_used};
}

static rmr_gpu_sort sort_args(const rmr_step *s, const rmr_op *op)
{
    return (rmr_gpu_sort){s->gpu, view(s, op->in2), op->moe->n_experts, lists_of(s, op)};
}

/* The choices sorted by expert, unless they already are. */
static remora_status sort(rmr_step *s, const rmr_op *op, remora_error *err)
{
    rmr_cuda_sorted *const to = &s->sorted;
    rmr_gpu_sort a = sort_args(s, op);
    if (to->n == s->in.n_rows && to->ids.slot == op->in2.slot && to->ids.col == op->in2.col)
        return REMORA_OK;
    *to = (rmr_cuda_sorted){op->in2, s->in.n_rows};
    return run(s, RMR_K_sort_rows, 1 + at_most(units(s->in.n_rows, 64), 64), 1, 1, 256,
               (10 * op->moe->n_experts + RMR_GPU_IDS) * 4, &a, err);
}

/* A product over lists, with the fields that are the same for both operations of experts. */
static product over_lists(const rmr_step *s, const rmr_op *op, const operand *o,
                          const rmr_gpu_lists *lists)
{
    return (product){.w = op->w,
                     .o = o,
                     .only = -1,
                     .lists = lists,
                     .most_lists =
                         at_most((uint64_t)s->in.n_rows * op->moe->n_used, op->moe->n_experts)};
}

static product gate_up_of(const rmr_step *s, const rmr_op *op, const operand *in,
                          const rmr_gpu_lists *lists)
{
    product p = over_lists(s, op, in, lists);
    p.w2 = op->w2;
    p.y = view(s, op->out);
    p.y_step = op->moe->inner;
    p.late = s->in.n_rows == 1;
    return p;
}

static remora_status experts_swiglu(rmr_step *s, const rmr_op *op, remora_error *err)
{
    const rmr_gpu_lists lists = lists_of(s, op);
    const operand in = all_of(s, op, op->in);
    const product p = gate_up_of(s, op, &in, &lists);
    RMR_TRY(check_pair(&p, err));
    RMR_TRY(sort(s, op, err));
    RMR_TRY(square_sums(s, op, &op->sums, &in, &lists, err));
    if (op->s1 == NULL) return multiply(s, &p, err);
    const product q = {.w = op->s1, .w2 = op->s2, .o = &in, .y = view(s, op->out2), .only = -1};
    RMR_TRY(check_pair(&q, err));
    RMR_TRY(square_sums(s, op, &op->shared_sums, &in, NULL, err));
    return multiply_two(s, &q, &p, err);
}

/* Is the product one of product_few.cuh? */
static int is_few(const rmr_step *s, const product *p)
{
    return ready_of(s, p).args.own > 0;
}

/* Are a row's experts known before the products that come before this operation have begun? */
static int chosen_before(const rmr_step *s, const rmr_op *op)
{
    const rmr_op *const last = op - 1;
    if (s->in.n_rows > 1 || op == s->desc.ops || last->kind != RMR_OP_EXPERTS_SWIGLU ||
        last->in2.slot != op->in2.slot || last->in2.col != op->in2.col)
        return 0;
    const rmr_gpu_lists lists = lists_of(s, last);
    const operand in = all_of(s, last, last->in);
    const product p = gate_up_of(s, last, &in, &lists);
    return is_few(s, &p);
}

static remora_status products_down(rmr_step *s, const rmr_op *op, const product *p,
                                   remora_error *err)
{
    rmr_view v = op->in;
    if (op->s1 == NULL) return multiply(s, p, err);
    v.col += op->moe->n_used * op->moe->inner;
    const operand in = all_of(s, op, v);
    const product q = {
        .w = op->s1, .o = &in, .y = memory(s->memory + s->l.shared, op->s1->desc.rows), .only = -1};
    RMR_TRY(square_sums(s, op, &op->shared_sums, &in, NULL, err));
    return multiply_two(s, &q, p, err);
}

static remora_status experts_down(rmr_step *s, const rmr_op *op, remora_error *err)
{
    const uint32_t n = op->w->desc.rows, used = op->moe->n_used;
    const rmr_gpu_lists lists = lists_of(s, op);
    operand in = all_of(s, op, op->in);
    product p = over_lists(s, op, &in, &lists);
    in.per_row = used;
    in.step = op->moe->inner;
    RMR_TRY(sort(s, op, err));
    RMR_TRY(square_sums(s, op, &op->sums, &in, &lists, err));
    p.y = memory(s->memory + s->l.routed, (uint64_t)used * n);
    p.y_step = n;
    p.by_choice = 1;
    rmr_gpu_combine a = {
        s->gpu,
        view(s, op->out),
        view(s, op->in3),
        (const float *)(const void *)(uintptr_t)(s->memory + s->l.routed),
        op->s1 != NULL ? (const float *)(const void *)(uintptr_t)(s->memory + s->l.shared) : NULL,
        n,
        lists,
        (uint32_t *)(void *)(uintptr_t)(s->memory + s->l.arrived)};
    const int along = s->in.n_rows == 1 && is_few(s, &p);
    if (along) p.combine = &a;
    p.known = along && chosen_before(s, op);
    RMR_TRY(products_down(s, op, &p, err));
    if (along) return REMORA_OK;
    return run(s, RMR_K_combine, units(n, 1024), at_most(s->in.n_rows, 65535), 1, 256, 0, &a, err);
}

/* ---- attention ---- */

static operand heads_of(const rmr_step *s, const rmr_op *op)
{
    operand o = all_of(s, op, op->in);
    o.per_row = op->mla->heads;
    o.step = op->mla->nope + op->mla->rope;
    return o;
}

/* The rope part of queries goes along, behind their absorbed part. */
static product absorb_of(const rmr_op *op, const operand *o, rmr_gpu_view to, int form)
{
    const rmr_mla *m = op->mla;
    return (product){
        .w = op->w, .o = o, .y = to, .y_step = m->rank + m->rope, .only = form, .tail = m->rope};
}

static remora_status absorb(rmr_step *s, const rmr_op *op, rmr_gpu_view to, int form,
                            remora_error *err)
{
    const operand o = heads_of(s, op);
    const product p = absorb_of(op, &o, to, form);
    return multiply(s, &p, err);
}

static remora_status unabsorb(rmr_step *s, const rmr_op *op, const rmr_weight *w, operand o,
                              int form, remora_error *err)
{
    o.per_row = op->mla->heads;
    o.step = op->mla->rank;
    return multiply(
        s, &(product){.w = w, .o = &o, .y = view(s, op->out), .y_step = op->mla->v, .only = form},
        err);
}

/* Is it a kernel of its own that has this attention over that type of cache? */
static int fits_latent(const rmr_step *s, const rmr_gpu_attend *a, rmr_kv_type kv)
{
    const uint32_t shared = kv == RMR_KV_BF16   ? RMR_GPU_LATENT_SHARED
                            : kv == RMR_KV_INT8 ? RMR_GPU_LATENT8_SHARED
                                                : UINT32_MAX;
    return a->value == 512 && a->key == 576 && a->group == a->heads && !s->c->exact &&
           (uintptr_t)a->q.at % 16 == 0 && a->q.ld % 4 == 0 && (uintptr_t)a->out.at % 8 == 0 &&
           a->out.ld % 2 == 0 && s->c->shared - 1024 >= shared;
}

/* Has every row one unit, and do all types of cache have kernels that write its results? */
static int is_direct(const rmr_step *s, const rmr_gpu_attend *a)
{
    for (int kv = 0; kv < RMR_KV_TYPES; kv++)
        if (s->kinds >> kv & 1 && !fits_latent(s, a, (rmr_kv_type)kv)) return 0;
    return s->most_units == 1;
}

/* Rows [row0, row0 + n_rows) of one type of cache. */
static remora_status attend_rows(rmr_step *s, rmr_gpu_attend *a, remora_error *err)
{
    const uint32_t unit = s->unit, z = at_most(a->n_rows, 65535);
    const int of_8_bits = a->kv == RMR_KV_INT8;
    if (fits_latent(s, a, a->kv))
        return run(s, of_8_bits ? RMR_K_attend_latent_int8 : RMR_K_attend_latent_bf16,
                   a->most_units, units(a->heads, RMR_GPU_HEADS), z, 256,
                   of_8_bits ? RMR_GPU_LATENT8_SHARED : RMR_GPU_LATENT_SHARED, a, err);
    return run(s, RMR_K_attend_any, a->most_units, a->heads, z, 256, (8 + a->key + unit) * 4, a,
               err);
}

/* Positions that a row sees at most. Like all that decides about kernels it is the same for the
 * same key of a graph. */
static uint64_t positions(const rmr_step *s)
{
    return (uint64_t)s->unit * s->most_units;
}

/* Cycles of a block of attend_prompt.cuh, of which a multiprocessor has one at a time. */
static uint64_t prompt_cycles(const rmr_step *s)
{
    return units(positions(s), 64) * 5300ull;
}

/* 1 when four rows of a session share a pass over the cache (attend_prompt.cuh): units are of one
 * size, and the rows are so many that there is still work for all multiprocessors. */
static int is_prompt(const rmr_step *s, const rmr_gpu_attend *a)
{
    const uint32_t rows = s->in.n_rows, blocks = units(rows, 4) * units(a->heads, RMR_GPU_HEADS);
    return fits_latent(s, a, RMR_KV_BF16) && s->kinds == 1u << RMR_KV_BF16 &&
           s->unit == RMR_GPU_LEAST && s->c->major == 9 && s->c->minor == 0 &&
           s->c->shared >= RMR_GPU_PROMPT_SHARED + 1024 && rows >= 4 * s->in.n_runs &&
           2 * blocks >= (uint32_t)s->c->sms &&
           rmr_cuda_piece(s->c, 2, rmr_cuda_us(s->c, 0, prompt_cycles(s) * (uint64_t)s->c->sms)) ==
               2;
}

static remora_status attend_prompt(rmr_step *s, rmr_gpu_attend *a, remora_error *err)
{
    const uint32_t rows = s->in.n_rows, y = units(a->heads, RMR_GPU_HEADS),
                   waves = units((uint64_t)units(rows, 4) * y, (uint32_t)s->c->sms);
    const uint64_t us = rmr_cuda_us(s->c, 0, waves * prompt_cycles(s) * (uint64_t)s->c->sms);
    const uint32_t most = 4 * rmr_cuda_piece(s->c, units(rows, 4), us);
    s->spent += us;
    for (a->row0 = 0; a->row0 < rows; a->row0 += most) {
        a->n_rows = at_most(rows - a->row0, most);
        RMR_TRY(run(s, RMR_K_attend_prompt, units(a->n_rows, 4), y, 1, 384, RMR_GPU_PROMPT_SHARED,
                    a, err));
    }
    return REMORA_OK;
}

/* The time of all rows, each by itself: as measured of latent attention with 16 heads, and of a
 * head's position otherwise. */
static uint64_t attend_us(const rmr_step *s, const rmr_gpu_attend *a)
{
    uint64_t cycles = 0;
    for (int kv = 0; kv < RMR_KV_TYPES; kv++) {
        if (!(s->kinds >> kv & 1)) continue;
        const uint64_t position = fits_latent(s, a, (rmr_kv_type)kv)
                                      ? units(a->heads, RMR_GPU_HEADS) * 150ull
                                      : (uint64_t)a->heads * (a->key + a->value) * 4 / 5;
        if (position > cycles) cycles = position;
    }
    return rmr_cuda_us(s->c, 0, cycles * positions(s) * s->in.n_rows);
}

static remora_status attend(rmr_step *s, rmr_gpu_attend *a, remora_error *err)
{
    a->kv = RMR_KV_BF16;
    if (is_prompt(s, a)) return attend_prompt(s, a, err);
    a->most_units = s->most_units;
    a->direct = is_direct(s, a);
    const uint64_t row = (uint64_t)a->heads * a->most_units * (a->value + 2) * 4,
                   us = attend_us(s, a);
    const uint32_t most = at_most(s->l.part_bytes / row, rmr_cuda_piece(s->c, s->in.n_rows, us));
    s->spent += us;
    for (a->row0 = 0; a->row0 < s->in.n_rows; a->row0 += most) {
        a->n_rows = at_most(s->in.n_rows - a->row0, most);
        for (int kv = 0; kv < RMR_KV_TYPES; kv++) {
            a->kv = (rmr_kv_type)kv;
            if (s->kinds >> kv & 1) RMR_TRY(attend_rows(s, a, err));
        }
        if (a->direct) continue;
        RMR_TRY(run(s, RMR_K_attend_merge, units(a->value, RMR_GPU_UNITS), a->heads,
                    at_most(a->n_rows, 65535), RMR_GPU_UNITS, (4 + 2 * RMR_GPU_UNITS) * 4, a, err));
    }
    return REMORA_OK;
}

static remora_status attend_latent(rmr_step *s, const rmr_op *op, rmr_gpu_view q, rmr_gpu_view out,
                                   int form, remora_error *err)
{
    const rmr_mla *m = op->mla;
    rmr_gpu_attend a = {.in = s->gpu,
                        .q = q,
                        .out = out,
                        .stream = stream(s, op),
                        .heads = m->heads,
                        .group = m->heads,
                        .key = m->rank + m->rope,
                        .value = m->rank,
                        .scale = m->scale,
                        .only = form,
                        .part = (float *)(void *)(uintptr_t)(s->memory + s->l.parts)};
    return attend(s, &a, err);
}

static remora_status attend_grouped(rmr_step *s, const rmr_op *op, remora_error *err)
{
    const rmr_gqa *g = op->gqa;
    const uint32_t group = g->heads / g->kv_heads;
    rmr_gpu_attend a = {.in = s->gpu,
                        .q = view(s, op->in),
                        .out = view(s, op->out),
                        .stream = stream(s, op),
                        .heads = rmr_op_kv_heads(op) * group,
                        .group = group,
                        .key = g->head_dim,
                        .value = g->head_dim,
                        .key0 = op->kv_first * g->head_dim,
                        .key_step = g->head_dim,
                        .value0 = (g->kv_heads + op->kv_first) * g->head_dim,
                        .value_step = g->head_dim,
                        .scale = g->scale,
                        .only = -1,
                        .part = (float *)(void *)(uintptr_t)(s->memory + s->l.parts)};
    return attend(s, &a, err);
}

/* Rows of the expanded form, in the absorbed one: equal in exact arithmetic. */
static remora_status attend_expanded(rmr_step *s, const rmr_op *op, remora_error *err)
{
    const rmr_mla *m = op->mla;
    const rmr_gpu_view q = memory(s->memory + s->l.queries,
                                  (uint64_t)m->heads * (m->rank + m->rope)),
                       z = memory(s->memory + s->l.routed, (uint64_t)m->heads * m->rank);
    operand o = {z, {UINT32_MAX, 0}, rows(s, op), 1, 0};
    RMR_TRY(absorb(s, op, q, RMR_FORM_EXPANDED, err));
    RMR_TRY(attend_latent(s, op, q, z, RMR_FORM_EXPANDED, err));
    return unabsorb(s, op, op->w2, o, RMR_FORM_EXPANDED, err);
}

/* ---- rows ---- */

static remora_status embed(rmr_step *s, const rmr_op *op, remora_error *err)
{
    const rmr_elem e = op->w->desc.elem;
    rmr_gpu_embed a = {s->gpu,
                       rows(s, op),
                       weight(op->w),
                       e,
                       rmr_elem_table[e].values,
                       rmr_elem_table[e].bytes,
                       view(s, op->out)};
    return run(s, RMR_K_embed, units(op->w->desc.cols, 256), at_most(a.rows.n, 65535), 1, 256, 0,
               &a, err);
}

static remora_status rope_table(rmr_step *s, const rmr_op *op, remora_error *err)
{
    rmr_gpu_rope_table a = {s->gpu,           rows(s, op), vector(op->w),
                            op->w->desc.cols, op->amp,     view(s, op->out)};
    return run(s, RMR_K_rope_table, at_most(units((uint64_t)a.rows.n * a.n, 128), 65535), 1, 1, 128,
               0, &a, err);
}

static remora_status norm(rmr_step *s, const rmr_op *op, remora_error *err)
{
    rmr_gpu_norm a = {s->gpu,
                      rows(s, op),
                      view(s, op->in),
                      view(s, op->out),
                      vector(op->w),
                      op->n,
                      op->parts > 0 ? op->parts : 1,
                      op->eps};
    return run(s, RMR_K_norm, at_most((uint64_t)a.rows.n * a.parts, 65535), 1, 1, 256, 64, &a, err);
}

static rmr_gpu_rope rope_args(const rmr_step *s, const rmr_op *op)
{
    return (rmr_gpu_rope){s->gpu, view(s, op->in), view(s, op->in2), op->rotary};
}

static uint32_t rope_blocks(const rmr_step *s, const rmr_op *op)
{
    const rmr_rotary *o = &op->rotary;
    return at_most(units((uint64_t)s->in.n_rows * o->heads * (o->width / 2), 256), 65535);
}

static remora_status rope(rmr_step *s, const rmr_op *op, remora_error *err)
{
    rmr_gpu_rope a = rope_args(s, op);
    return run(s, RMR_K_rope, rope_blocks(s, op), 1, 1, 256, 0, &a, err);
}

static rmr_gpu_cache_write write_args(const rmr_step *s, const rmr_op *op)
{
    const int latent = op->mla != NULL;
    return (rmr_gpu_cache_write){
        s->gpu,  view(s, op->in), view(s, latent ? op->in2 : op->in), vector(op->w),
        op->eps, stream(s, op),   latent ? op->mla->rank : 0};
}

static remora_status cache_write(rmr_step *s, const rmr_op *op, remora_error *err)
{
    rmr_gpu_cache_write a = write_args(s, op);
    return run(s, RMR_K_cache_write, at_most(s->in.n_rows, 65535), 1, 1, 256, 64, &a, err);
}

static remora_status rope_write(rmr_step *s, const rmr_op *op, const rmr_op *next,
                                remora_error *err)
{
    const uint32_t blocks = at_most(s->in.n_rows, 65535);
    rmr_gpu_rope_write a = {rope_args(s, op), write_args(s, next), blocks};
    return run(s, RMR_K_rope_write, blocks + rope_blocks(s, op), 1, 1, 256, 64, &a, err);
}

/* May all three be one launch: of few rows, whose queries nobody else wants unturned or absorbs
 * otherwise? */
static int turn_with_absorb(const rmr_step *s, const rmr_op *op)
{
    const rmr_op *const to = op + 2;
    const rmr_rotary *const r = &op->rotary;
    if (op[0].kind != RMR_OP_ROPE || op[1].kind != RMR_OP_CACHE_WRITE ||
        to->kind != RMR_OP_ABSORB || op[1].mla == NULL || s->forms != 1u << RMR_FORM_ABSORBED)
        return 0;
    const rmr_mla *const m = to->mla;
    const operand o = heads_of(s, to);
    const product p = absorb_of(to, &o, view(s, to->out), RMR_FORM_ABSORBED);
    return is_few(s, &p) && op->in.slot == to->in.slot && op->in.col == to->in.col &&
           op[1].in.slot != to->in.slot && op[1].in.slot != to->out.slot && r->heads == m->heads &&
           r->width == m->rope && r->first == m->nope && r->stride == m->nope + m->rope;
}

static remora_status absorb_turning(rmr_step *s, const rmr_op *op, remora_error *err)
{
    const rmr_op *const to = op + 2;
    const rmr_gpu_rope_write turn = {rope_args(s, op), write_args(s, op + 1), s->in.n_rows};
    const operand o = heads_of(s, to);
    product p = absorb_of(to, &o, view(s, to->out), RMR_FORM_ABSORBED);
    p.turn = &turn;
    return multiply(s, &p, err);
}

enum { GATE_ROWS = 64 }; /* that one block gates and sorts */

/* The operation that takes the choices of this gate, if it is there. */
static const rmr_op *experts_of(const rmr_step *s, const rmr_op *gate)
{
    for (const rmr_op *op = gate + 1; op < s->desc.ops + s->desc.n_ops; op++)
        if (op->kind == RMR_OP_EXPERTS_SWIGLU)
            return op->in2.slot == gate->out.slot && op->in2.col == gate->out.col ? op : NULL;
    return NULL;
}

static int sorts_too(const rmr_step *s, const rmr_op *op)
{
    return op->kind == RMR_OP_GATE && s->in.n_rows <= GATE_ROWS && experts_of(s, op) != NULL;
}

static remora_status gate(rmr_step *s, const rmr_op *op, remora_error *err)
{
    const rmr_gpu_gate a = {s->gpu,
                            view(s, op->in),
                            view(s, op->out),
                            view(s, op->out2),
                            vector(op->w),
                            *op->moe,
                            (uint32_t *)(void *)view(s, op->counts).at};
    const uint32_t n = op->moe->n_experts,
                   warp = (2 * n + op->moe->n_group + 2 * op->moe->n_used) * 4;
    rmr_gpu_gate_sort both = {.gate = a};
    if (!sorts_too(s, op))
        return run(s, RMR_K_gate, at_most(units(s->in.n_rows, 4), 65535), 1, 1, 128, 4 * warp,
                   &both, err);
    both.sort = sort_args(s, experts_of(s, op));
    return run(s, RMR_K_gate_sort, 1, 1, 1, 256, 8 * warp + (10 * n + RMR_GPU_IDS) * 4, &both, err);
}

static remora_status pick_rows(rmr_step *s, const rmr_op *op, remora_error *err)
{
    rmr_gpu_pick a = {s->gpu, rows(s, op), view(s, op->in), view(s, op->out), op->n};
    return run(s, RMR_K_pick_rows, units(op->n, 256), at_most(a.rows.n, 65535), 1, 256, 0, &a, err);
}

static remora_status counters(rmr_step *s, const rmr_op *op, remora_error *err)
{
    const uint64_t total = op->kind == RMR_OP_COUNTS_ADD ? op->counters->at : 0;
    rmr_gpu_counters a = {s->gpu, (uint32_t *)(void *)view(s, op->counts).at,
                          (uint64_t *)(void *)(uintptr_t)total,
                          s->desc.slots[op->counts.slot].width};
    return run(s, RMR_K_counters, units(a.n, 256), 1, 1, 256, 0, &a, err);
}

/* ---- all of them ---- */

static remora_status run_attention(rmr_step *s, const rmr_op *op, remora_error *err)
{
    const int has = op->kind == RMR_OP_ATTEND_EXPANDED ? RMR_FORM_EXPANDED : RMR_FORM_ABSORBED;
    if (!(s->forms >> has & 1)) return REMORA_OK;
    switch (op->kind) {
    case RMR_OP_ABSORB: return absorb(s, op, view(s, op->out), has, err);
    case RMR_OP_ATTEND_LATENT:
        return attend_latent(s, op, view(s, op->in), view(s, op->out), has, err);
    case RMR_OP_UNABSORB: return unabsorb(s, op, op->w, all_of(s, op, op->in), has, err);
    default: return attend_expanded(s, op, err);
    }
}

static remora_status run_kind(rmr_step *s, const rmr_op *op, remora_error *err)
{
    switch (op->kind) {
    case RMR_OP_EMBED: return embed(s, op, err);
    case RMR_OP_ROPE_TABLE: return rope_table(s, op, err);
    case RMR_OP_NORM: return norm(s, op, err);
    case RMR_OP_LINEAR: return linear(s, op, err);
    case RMR_OP_SWIGLU: return swiglu(s, op, err);
    case RMR_OP_ROPE: return rope(s, op, err);
    case RMR_OP_CACHE_WRITE: return cache_write(s, op, err);
    case RMR_OP_ABSORB:
    case RMR_OP_ATTEND_LATENT:
    case RMR_OP_UNABSORB:
    case RMR_OP_ATTEND_EXPANDED: return run_attention(s, op, err);
    case RMR_OP_ATTEND_GROUPED: return attend_grouped(s, op, err);
    case RMR_OP_GATE: return gate(s, op, err);
    case RMR_OP_EXPERTS_SWIGLU: return experts_swiglu(s, op, err);
    case RMR_OP_EXPERTS_DOWN: return experts_down(s, op, err);
    case RMR_OP_PICK_ROWS: return pick_rows(s, op, err);
    case RMR_OP_COUNTS_CLEAR:
    case RMR_OP_COUNTS_ADD: return counters(s, op, err);
    default: RMR_FAIL(err, REMORA_E_INTERNAL, "operation %d is not known", (int)op->kind);
    }
}

static void note_writes(rmr_step *s, const rmr_op *op)
{
    for (uint32_t i = 0; i < s->desc.n_slots; i++)
        if (rmr_op_writes_slot(op, i)) rmr_cuda_forget(s, i);
    if (sorts_too(s, op)) s->sorted = (rmr_cuda_sorted){op->out, s->in.n_rows};
}

/* Do they multiply the same activations, and may they do so at once? */
static int multiply_together(const rmr_op *op, const rmr_op *next)
{
    return op->kind == RMR_OP_LINEAR && next->kind == RMR_OP_LINEAR && op->rows == next->rows &&
           op->in.slot == next->in.slot && op->in.col == next->in.col &&
           op->w->desc.cols == next->w->desc.cols && !rmr_op_writes_slot(op, op->in.slot) &&
           !rmr_op_writes_slot(next, op->in.slot) && op->out.slot != next->out.slot;
}

static int turn_together(const rmr_op *op, const rmr_op *next)
{
    return op->kind == RMR_OP_ROPE && next->kind == RMR_OP_CACHE_WRITE &&
           op->in.slot != next->in.slot;
}

/* The first of `left` operations and the next ones where they go at once; how many that were. */
static remora_status run_some(rmr_step *s, const rmr_op *op, uint32_t left, uint32_t *n,
                              remora_error *err)
{
    *n = 3;
    if (left > 2 && turn_with_absorb(s, op)) return absorb_turning(s, op, err);
    *n = 2;
    if (left > 1 && multiply_together(op, op + 1)) return linear_two(s, op, op + 1, err);
    if (left > 1 && turn_together(op, op + 1)) return rope_write(s, op, op + 1, err);
    *n = 1;
    return run_kind(s, op, err);
}

remora_status rmr_cuda_run_ops(rmr_step *s, const rmr_op *ops, uint32_t n, uint32_t *done,
                               rmr_halt *halt, remora_error *err)
{
    for (uint32_t i = *done, some = 1; i < n; i += some) {
        const remora_status st = rmr_cuda_pace(s, halt, err);
        if (st != REMORA_OK) return st;
        some = 1;
        if (rows(s, &ops[i]).n > 0 || ops[i].kind == RMR_OP_COUNTS_CLEAR)
            RMR_TRY(run_some(s, &ops[i], n - i, &some, err));
        for (uint32_t k = i; k < i + some; k++) note_writes(s, &ops[k]);
        *done = i + some;
        if (halt != NULL) rmr_halt_begun(halt);
    }
    *done = 0;
    return REMORA_OK;
}

/* DeepSeekMoE (docs/models.md, "Gate"): out += sum of the chosen experts' SwiGLUs by weight, then
 * the shared experts.
 *
 * Rows are sorted by expert (the shared experts are one more expert that takes every row with
 * weight 1). Two regions: gate and up projections, a chunk being some tiles of one expert, the
 * shared ones first, for they are known before the others are chosen; then down projections, a
 * chunk being some output tiles of ALL experts in ascending order, which makes the order of
 * additions to an output element fixed. */
#include "cpu.h"

#include <string.h>

typedef struct experts {
    rmr_step *s;
    const rmr_op *op;
    uint32_t n_lists;     /* experts with rows, in ascending order; the shared one last */
    uint32_t *first;      /* [n_lists + 1] index of the first entry of a list */
    uint32_t *expert;     /* [n_lists] */
    uint32_t *step;       /* [n_lists] from one row to the next, or GATHERED */
    uint32_t *row;        /* [entries] */
    float *weight;        /* [entries] */
    rmr_operand in;       /* the inputs by row, in the forms that the weights take */
    rmr_operand gathered; /* by entry, of lists whose rows are not evenly apart */
    rmr_operand ff; /* [entries] between gate and up and down; no floats where none are read */
    uint32_t routed_tiles, shared_tiles, unit;
    uint32_t out_tiles, out_unit;
} experts;

static uint64_t max_entries(const rmr_moe *m, const rmr_step_desc *d)
{
    return (uint64_t)d->max_rows * (m->n_used + (m->shared_inner > 0));
}

static uint32_t ff_width(const rmr_moe *m)
{
    return m->inner > m->shared_inner ? m->inner : m->shared_inner;
}

/* Whether a weight of a pair (routed, shared) takes floats, or quantised rows. */
static int takes(int integer, const rmr_weight *a, const rmr_weight *b)
{
    return rmr_is_integer(a) == integer || (b != NULL && rmr_is_integer(b) == integer);
}

/* Gate and up of one kind may differ in type as well. */
static int input_takes(int integer, const rmr_op *op)
{
    return takes(integer, op->w, op->s1) || takes(integer, op->w2, op->s2);
}

/* Whether what lies between is read as floats. */
static int ff_floats(const rmr_op *op)
{
    return takes(0, op->w3, op->s3) || op->sums.buffer != NULL;
}

/* Lay the lists out in the step's shared scratch; with base NULL only the size. A single row is
 * read where it lies. */
static uint64_t carve(experts *e, unsigned char *base, const rmr_op *op, const rmr_step_desc *d)
{
    const uint64_t lists = (uint64_t)op->moe->n_experts + 1, entries = max_entries(op->moe, d);
    const uint64_t gathered = d->max_rows > 1 ? (uint64_t)d->max_rows * op->moe->n_used : 0;
    const uint32_t width = ff_width(op->moe);
    const size_t ldq = rmr_q_stride(op->n), ldq_ff = rmr_q_stride(width);
    const uint64_t bytes[] = {(lists + 1) * 4,
                              lists * 4,
                              lists * 4,
                              entries * 4,
                              entries * 4,
                              input_takes(0, op) ? gathered * op->n * 4 : 0,
                              input_takes(1, op) ? gathered * ldq : 0,
                              ff_floats(op) ? entries * width * 4 : 0,
                              takes(1, op->w3, op->s3) ? entries * ldq_ff : 0};
    enum { PARTS = sizeof bytes / sizeof *bytes };
    unsigned char *part[PARTS];
    uint64_t at = 0;
    for (int i = 0; i < PARTS; i++) {
        part[i] = base != NULL && bytes[i] > 0 ? base + at : NULL;
        at += rmr_round_up(bytes[i], RMR_ALIGN);
    }
    if (base != NULL) {
        e->first = (uint32_t *)(void *)part[0];
        e->expert = (uint32_t *)(void *)part[1];
        e->step = (uint32_t *)(void *)part[2];
        e->row = (uint32_t *)(void *)part[3];
        e->weight = (float *)(void *)part[4];
        e->gathered = (rmr_operand){(float *)(void *)part[5], op->n, part[6], ldq};
        e->ff = (rmr_operand){(float *)(void *)part[7], width, part[8], ldq_ff};
    }
    return at;
}

rmr_cpu_scratch rmr_cpu_experts_scratch(const rmr_op *op, const rmr_step_desc *d)
{
    return (rmr_cpu_scratch){.shared = carve(NULL, NULL, op, d),
                             .q_rows = input_takes(1, op) ? d->max_rows * rmr_q_stride(op->n) : 0};
}

/* Counting sort of (row, slot) by expert: within an expert by row. */
static void sort_rows(experts *e)
{
    const rmr_moe *m = e->op->moe;
    const uint32_t n_rows = e->s->in.n_rows;
    uint32_t *count = e->first, at = 0, n = 0;
    memset(count, 0, ((size_t)m->n_experts + 2) * 4);
    for (uint32_t r = 0; r < n_rows; r++) {
        const uint32_t *ids = (const uint32_t *)(const void *)rmr_row(e->s, e->op->in2, r);
        for (uint32_t i = 0; i < m->n_used; i++) count[ids[i]]++;
    }
    for (uint32_t x = 0; x < m->n_experts; x++) {
        const uint32_t c = count[x];
        count[x] = at;
        at += c;
    }
    for (uint32_t r = 0; r < n_rows; r++) {
        const uint32_t *ids = (const uint32_t *)(const void *)rmr_row(e->s, e->op->in2, r);
        const float *w = rmr_row(e->s, e->op->in3, r);
        for (uint32_t i = 0; i < m->n_used; i++) {
            const uint32_t to = count[ids[i]]++;
            e->row[to] = r;
            e->weight[to] = w[i];
        }
    }
    /* count[x] is now the end of expert x: keep the experts that have rows */
    for (uint32_t x = 0, start = 0; x < m->n_experts; x++) {
        const uint32_t end = count[x];
        if (end == start) continue;
        e->expert[n] = x;
        e->first[n++] = start; /* n <= x: never ahead of what is still to be read */
        start = end;
    }
    e->first[n] = at;
    if (e->op->s1 != NULL) {
        for (uint32_t r = 0; r < n_rows; r++) {
            e->row[at + r] = r;
            e->weight[at + r] = 1.0f;
        }
        e->expert[n++] = m->n_experts;
        e->first[n] = at + n_rows;
    }
    e->n_lists = n;
}

static int is_shared(const experts *e, uint32_t list)
{
    return e->expert[list] == e->op->moe->n_experts;
}

static uint32_t rows_of(const experts *e, uint32_t list)
{
    return e->first[list + 1] - e->first[list];
}

/* ---- inputs ---- */

static const uint32_t GATHERED = UINT32_MAX;

/* From one row of a list to the next, if that is always the same: 0 where scores that are no
 * numbers made a row choose one expert several times. */
static uint32_t even_step(const experts *e, uint32_t list)
{
    const uint32_t *const row = e->row + e->first[list], n = rows_of(e, list);
    const uint32_t step = n > 1 ? row[1] - row[0] : 1;
    for (uint32_t i = 2; i < n; i++)
        if (row[i] - row[i - 1] != step) return GATHERED;
    return step;
}

/* How the rows of each list are read; whether any are gathered. */
static int place_rows(experts *e)
{
    int some = 0;
    for (uint32_t list = 0; list < e->n_lists; list++) {
        e->step[list] = even_step(e, list);
        some |= e->step[list] == GATHERED;
    }
    return some;
}

static void gather_range(void *arg, uint32_t list, uint32_t n, uint32_t worker)
{
    const experts *e = arg;
    const rmr_operand *const in = &e->in, *const to = &e->gathered;
    const uint32_t k = e->op->n;
    (void)worker;
    for (const uint32_t end = list + n; list < end; list++) {
        if (e->step[list] != GATHERED) continue;
        for (size_t i = e->first[list]; i < e->first[list + 1]; i++) {
            if (to->x != NULL)
                memcpy((float *)to->x + i * to->ldx, in->x + e->row[i] * in->ldx, (size_t)k * 4);
            if (to->q != NULL)
                memcpy(to->q + i * to->ldq, in->q + e->row[i] * in->ldq, rmr_qrow_bytes(k));
        }
    }
}

static void prepare_inputs(experts *e)
{
    const rmr_op *op = e->op;
    e->in =
        (rmr_operand){rmr_row(e->s, op->in, 0), rmr_width(e->s, op->in), NULL, rmr_q_stride(op->n)};
    if (input_takes(1, op)) e->in.q = rmr_cpu_quantized(e->s, op->in, e->s->in.n_rows, op->n);
    if (place_rows(e))
        rmr_pool_run_ranges(e->s->cpu->ctx->pool, e->n_lists, RMR_LIN_RANGE, gather_range, e, NULL);
}

/* The rows of a list from entry i on. */
static rmr_operand inputs_of(const experts *e, uint32_t list, uint32_t i)
{
    const int gathered = e->step[list] == GATHERED;
    const size_t step = gathered ? 1 : e->step[list], at = gathered ? i : e->row[i];
    rmr_operand x = gathered ? e->gathered : e->in;
    if (x.x != NULL) x.x += at * x.ldx;
    if (x.q != NULL) x.q += at * x.ldq;
    x.ldx *= step;
    x.ldq *= step;
    return x;
}

/* ---- regions ---- */

/* What entry i passes on to the down projection d, columns [col, col + n): whole runs. */
static void pass_on(const experts *e, const rmr_weight *d, uint32_t i, uint32_t col, uint32_t n,
                    const float *gate, const float *up)
{
    enum { BLOCK = 512 };
    const rmr_kernels *k = e->s->cpu->k;
    float block[BLOCK];
    for (uint32_t at = 0; at < n; at += BLOCK) {
        const uint32_t m = n - at < BLOCK ? n - at : BLOCK;
        float *const y = e->ff.x != NULL ? (float *)e->ff.x + i * e->ff.ldx + col + at : block;
        k->silu_mul(y, gate + at, up + at, m);
        if (rmr_is_integer(d))
            k->quantize(e->ff.q + i * e->ff.ldq + rmr_qrow_bytes(col + at), y, m);
    }
}

/* Tiles [t0, t0 + n) of gate and up of one list, into ff; `next` are the weights after them. */
static void gate_up(const experts *e, uint32_t list, uint32_t t0, uint32_t n, const void *next)
{
    const int shared = is_shared(e, list);
    const rmr_cpu *c = e->s->cpu;
    const rmr_weight *g = shared ? e->op->s1 : e->op->w, *u = shared ? e->op->s2 : e->op->w2,
                     *d = shared ? e->op->s3 : e->op->w3;
    const uint32_t index = shared ? 0 : e->expert[list], col0 = t0 * RMR_TILE;
    const uint32_t left = g->desc.rows - col0, cols = left < n * RMR_TILE ? left : n * RMR_TILE;
    const size_t ld = (size_t)n * RMR_TILE;
    float tmp[RMR_LIN_TMP], tmp2[RMR_LIN_TMP];
    for (uint32_t i = e->first[list]; i < e->first[list + 1]; i += RMR_LIN_ROWS) {
        const uint32_t m =
            e->first[list + 1] - i < RMR_LIN_ROWS ? e->first[list + 1] - i : RMR_LIN_ROWS;
        const rmr_operand x = inputs_of(e, list, i);
        rmr_cpu_product(c, g, index, t0, n, &x, 0, m, tmp, ld, rmr_tile_at(u, index, t0));
        rmr_cpu_product(c, u, index, t0, n, &x, 0, m, tmp2, ld, next);
        for (uint32_t r = 0; r < m; r++)
            pass_on(e, d, i + r, col0, cols, tmp + r * ld, tmp2 + r * ld);
    }
}

static uint32_t chunks_of(const experts *e, uint32_t list)
{
    return rmr_units(is_shared(e, list) ? e->shared_tiles : e->routed_tiles, e->unit);
}

/* From tile t on, the gate of a list. */
static const void *gate_at(const experts *e, uint32_t list, uint32_t t)
{
    return is_shared(e, list) ? rmr_tile_at(e->op->s1, 0, t)
                              : rmr_tile_at(e->op->w, e->expert[list], t);
}

/* Tiles [t, end) of one list; `next` are the weights after them. */
static void gate_up_list(const experts *e, uint32_t list, uint32_t t, uint32_t end,
                         const void *next)
{
    const uint32_t most = rmr_lin_tiles(rows_of(e, list));
    for (; end - t > most; t += most) gate_up(e, list, t, most, gate_at(e, list, t + most));
    gate_up(e, list, t, end - t, next);
}

/* Chunks are numbered list by list, tile by tile. */
static void gate_up_range(void *arg, uint32_t first, uint32_t n, uint32_t worker)
{
    const experts *e = arg;
    const uint32_t turn = e->op->s1 != NULL ? e->n_lists - 1 : 0; /* the shared ones are the last */
    (void)worker;
    for (uint32_t i = 0; i < e->n_lists && n > 0; i++) {
        const uint32_t list = (i + turn) % e->n_lists, chunks = chunks_of(e, list);
        if (first < chunks) {
            const uint32_t here = chunks - first < n ? chunks - first : n;
            const uint32_t tiles = is_shared(e, list) ? e->shared_tiles : e->routed_tiles;
            const uint32_t end = (first + here) * e->unit;
            n -= here;
            gate_up_list(e, list, first * e->unit, end < tiles ? end : tiles,
                         end < tiles ? gate_at(e, list, end)
                                     : gate_at(e, (list + 1) % e->n_lists, 0));
            first += here;
        }
        first -= chunks;
    }
}

/* From tile t on, the down projection of a list. */
static const void *down_at(const experts *e, uint32_t list, uint32_t t)
{
    return is_shared(e, list) ? rmr_tile_at(e->op->s3, 0, t)
                              : rmr_tile_at(e->op->w3, e->expert[list], t);
}

/* Tiles [t0, t0 + n) of the output from one list; `next` are the weights after them. */
static void down(const experts *e, uint32_t list, uint32_t t0, uint32_t n, const void *next)
{
    const rmr_cpu *c = e->s->cpu;
    const int shared = is_shared(e, list);
    const rmr_weight *w = shared ? e->op->s3 : e->op->w3;
    const uint32_t left = w->desc.rows - t0 * RMR_TILE;
    const uint32_t cols = left < n * RMR_TILE ? left : n * RMR_TILE;
    const size_t ld = (size_t)n * RMR_TILE;
    float tmp[RMR_LIN_TMP];
    for (uint32_t i = e->first[list]; i < e->first[list + 1]; i += RMR_LIN_ROWS) {
        const uint32_t m =
            e->first[list + 1] - i < RMR_LIN_ROWS ? e->first[list + 1] - i : RMR_LIN_ROWS;
        rmr_cpu_product(c, w, shared ? 0 : e->expert[list], t0, n, &e->ff, i, m, tmp, ld, next);
        for (uint32_t r = 0; r < m; r++)
            c->k->madd(rmr_row(e->s, e->op->out, e->row[i + r]) + (size_t)t0 * RMR_TILE,
                       tmp + r * ld, cols, e->weight[i + r]);
    }
}

static void down_range(void *arg, uint32_t first, uint32_t n, uint32_t worker)
{
    const experts *e = arg;
    const uint32_t t0 = first * e->out_unit, all = (first + n) * e->out_unit;
    const uint32_t end = all < e->out_tiles ? all : e->out_tiles;
    const void *const after = end < e->out_tiles ? down_at(e, 0, end) : NULL;
    (void)worker;
    for (uint32_t list = 0; list < e->n_lists; list++) {
        const uint32_t most = rmr_lin_tiles(rows_of(e, list));
        uint32_t t = t0;
        for (; end - t > most; t += most) down(e, list, t, most, down_at(e, list, t + most));
        down(e, list, t, end - t, list + 1 < e->n_lists ? down_at(e, list + 1, t0) : after);
    }
}

/* The inputs of all four products into their sums; what lies between is in ff by now. */
static void sum_inputs(const experts *e)
{
    const rmr_op *op = e->op;
    const rmr_cpu *c = e->s->cpu;
    for (uint32_t list = 0; list < e->n_lists; list++) {
        const int shared = is_shared(e, list);
        const uint32_t index = shared ? 0 : e->expert[list], i = e->first[list];
        const uint32_t n = e->first[list + 1] - i;
        rmr_cpu_sums_add(c, shared ? &op->shared_sums : &op->sums, index, rmr_row(e->s, op->in, 0),
                         rmr_width(e->s, op->in), e->row + i, n);
        rmr_cpu_sums_add(c, shared ? &op->shared_down_sums : &op->down_sums, index,
                         e->ff.x + (size_t)i * e->ff.ldx, e->ff.ldx, NULL, n);
    }
}

void rmr_cpu_experts(rmr_step *s, const rmr_op *op)
{
    experts e = {.s = s, .op = op};
    rmr_pool *pool = s->cpu->ctx->pool;
    uint32_t chunks = 0;
    carve(&e, s->shared, op, &s->desc);
    sort_rows(&e);
    prepare_inputs(&e);
    e.routed_tiles = rmr_tiles(op->moe->inner);
    e.shared_tiles = rmr_tiles(op->moe->shared_inner);
    e.out_tiles = rmr_tiles(op->w3->desc.rows);
    e.unit = rmr_cpu_unit(s->cpu, e.routed_tiles * e.n_lists, 2 * op->w->tile_stride);
    e.out_unit = rmr_cpu_unit(s->cpu, e.out_tiles, e.n_lists * op->w3->tile_stride);
    for (uint32_t l = 0; l < e.n_lists; l++) chunks += chunks_of(&e, l);
    const rmr_next_region first_down = is_shared(&e, 0)
                                           ? rmr_cpu_next(op->s3, 0, e.out_unit)
                                           : rmr_cpu_next(op->w3, e.expert[0], e.out_unit);
    rmr_pool_run_ranges(pool, chunks, RMR_LIN_RANGE, gate_up_range, &e, &first_down);
    if (op->sums.buffer != NULL) sum_inputs(&e);
    const rmr_next_region next = rmr_cpu_next_op(s, op);
    rmr_pool_run_ranges(pool, rmr_units(e.out_tiles, e.out_unit), RMR_LIN_RANGE, down_range, &e,
                        &next);
}

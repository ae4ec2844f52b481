/* SPDX-License-Identifier: Apache-2.0 */
/* DeepSeekMoE (docs/models.md, "Gate"): out += sum of the chosen experts' SwiGLUs by weight, then
 * the shared experts. Two operations, with the SwiGLUs of each row in a slot between them.
 *
 * Rows are sorted by expert (the shared experts are one more expert that takes every row with
 * weight 1). Gate and up projections are one region, a chunk being some tiles of one expert, the
 * shared ones first, for they are known before the others are chosen; so are down projections, a
 * chunk being some output tiles of ALL experts in ascending order, which makes the order of
 * additions to an output element fixed.
 *
 * Where EXPERTS_DOWN comes next in the slice it finds the lists, and the SwiGLUs in the order and
 * the form that it takes, in the scratch of both; the slot stays as it is then. */
#include "cpu.h"

#include <string.h>

#include "product.h"
#include "split.h"

typedef struct experts {
    rmr_step *s;
    const rmr_op *op;
    uint32_t n_lists;  /* experts with rows, in ascending order; the shared one last */
    uint32_t n_routed; /* entries of lists but the shared one */
    uint32_t *first;   /* [n_lists + 1] index of the first entry of a list */
    uint32_t *expert;  /* [n_lists] */
    uint32_t *row;     /* [entries] */
    uint32_t *choice;  /* [entries] which of its row's experts it is; n_used: the shared ones */
    float *weight;     /* [entries] */
    rmr_operand ff;    /* [entries] the input of down; no floats where none are read */
    /* of gate and up: */
    uint32_t *step;       /* [n_lists] from one row to the next, or GATHERED */
    rmr_operand in;       /* the inputs by row, in the forms that the weights take */
    rmr_operand gathered; /* by entry, of lists whose rows are not evenly apart */
    const rmr_op *down;   /* to which ff is passed on; NULL: the SwiGLUs go to the slot */
    uint32_t routed_tiles, shared_tiles, unit;
    uint32_t from, to; /* of down: the lists of the region under way */
} experts;

static const uint32_t GATHERED = UINT32_MAX;

/* 1 when a weight of the pair (routed, shared) takes quantised rows (`integer` 1) or floats
 * (`integer` 0). */
static int takes(int integer, const rmr_weight *a, const rmr_weight *b)
{
    return rmr_is_integer(a) == integer || (b != NULL && rmr_is_integer(b) == integer);
}

/* Gate and up of one kind may differ in type as well. */
static int input_takes(int integer, const rmr_op *op)
{
    return takes(integer, op->w, op->s1) ||
           (op->kind == RMR_OP_EXPERTS_SWIGLU && takes(integer, op->w2, op->s2));
}

/* 1 when the down projection, or the importance sums, read the SwiGLU output as floats. */
static int ff_floats(const rmr_op *down)
{
    return takes(0, down->w, down->s1) || down->sums.buffer != NULL ||
           down->shared_sums.buffer != NULL;
}

/* The EXPERTS_DOWN that reads the output of op: op itself, or the next operation; else NULL. */
static const rmr_op *down_of(const rmr_op *op, const rmr_op *end)
{
    const rmr_view out = op->out;
    if (op->kind == RMR_OP_EXPERTS_DOWN) return op;
    if (++op == end || op->kind != RMR_OP_EXPERTS_DOWN) return NULL;
    return op->in.slot == out.slot && op->in.col == out.col ? op : NULL;
}

/* Lay the lists out in the step's shared scratch, at the same places for both operations; with base
 * NULL only the size. A single row is read where it lies. */
static uint64_t carve(experts *e, unsigned char *base, const rmr_op *op, const rmr_step_desc *d)
{
    const rmr_moe *m = op->moe;
    const rmr_op *const down = down_of(op, d->ops + d->n_ops);
    const int up = op->kind == RMR_OP_EXPERTS_SWIGLU;
    const uint32_t width = m->inner > m->shared_inner ? m->inner : m->shared_inner;
    const uint64_t lists = (uint64_t)m->n_experts + 1,
                   entries = (uint64_t)d->max_rows * (m->n_used + (m->shared_inner > 0)),
                   gathered = up && d->max_rows > 1 ? (uint64_t)d->max_rows * m->n_used : 0;
    const size_t ldq = rmr_q_stride(op->n), ldq_ff = rmr_q_stride(width);
    const uint64_t bytes[] = {sizeof *e,
                              (lists + 1) * 4,
                              lists * 4,
                              entries * 4,
                              entries * 4,
                              entries * 4,
                              down != NULL && ff_floats(down) ? entries * width * 4 : 0,
                              down != NULL && takes(1, down->w, down->s1) ? entries * ldq_ff : 0,
                              up ? lists * 4 : 0,
                              input_takes(0, op) ? gathered * op->n * 4 : 0,
                              input_takes(1, op) ? gathered * ldq : 0};
    enum { PARTS = sizeof bytes / sizeof *bytes };
    unsigned char *part[PARTS];
    uint64_t at = 0;
    for (int i = 0; i < PARTS; i++) {
        part[i] = base != NULL && bytes[i] > 0 ? base + at : NULL;
        at += rmr_round_up(bytes[i], RMR_ALIGN);
    }
    if (base != NULL) {
        e->first = (uint32_t *)(void *)part[1];
        e->expert = (uint32_t *)(void *)part[2];
        e->row = (uint32_t *)(void *)part[3];
        e->choice = (uint32_t *)(void *)part[4];
        e->weight = (float *)(void *)part[5];
        e->ff = (rmr_operand){(float *)(void *)part[6], width, part[7], ldq_ff};
        e->step = (uint32_t *)(void *)part[8];
        e->gathered = (rmr_operand){(float *)(void *)part[9], op->n, part[10], ldq};
    }
    return at;
}

rmr_cpu_scratch rmr_cpu_experts_scratch(const rmr_op *op, const rmr_step_desc *d)
{
    const int by_row = op->kind == RMR_OP_EXPERTS_SWIGLU && input_takes(1, op);
    return (rmr_cpu_scratch){.shared = carve(NULL, NULL, op, d),
                             .q_rows = by_row ? d->max_rows * rmr_q_stride(op->n) : 0};
}

/* ---- rows by expert ---- */

static const uint32_t *ids_of(const experts *e, uint32_t row)
{
    return (const uint32_t *)(const void *)rmr_row(e->s, e->op->in2, row);
}

/* Add the list of the shared experts, which take every row. */
static void add_shared(experts *e)
{
    const uint32_t n = e->s->in.n_rows;
    RMR_ASSERT(e->op->moe->shared_inner > 0);
    for (uint32_t r = 0; r < n; r++) {
        e->row[e->n_routed + r] = r;
        e->choice[e->n_routed + r] = e->op->moe->n_used;
        e->weight[e->n_routed + r] = 1.0f;
    }
    e->expert[e->n_lists++] = e->op->moe->n_experts;
    e->first[e->n_lists] = e->n_routed + n;
}

/* Counting sort of (row, choice) by expert: within an expert by row. */
static void sort_rows(experts *e)
{
    const rmr_moe *m = e->op->moe;
    const uint32_t n_rows = e->s->in.n_rows;
    const rmr_op *const down = down_of(e->op, e->s->slice_end);
    uint32_t *count = e->first, at = 0, n = 0;
    memset(count, 0, ((size_t)m->n_experts + 2) * 4);
    for (uint32_t r = 0; r < n_rows; r++)
        for (uint32_t i = 0; i < m->n_used; i++) {
            RMR_ASSERT(ids_of(e, r)[i] < m->n_experts);
            count[ids_of(e, r)[i]]++;
        }
    for (uint32_t x = 0; x < m->n_experts; x++) {
        const uint32_t c = count[x];
        count[x] = at;
        at += c;
    }
    for (uint32_t r = 0; r < n_rows; r++) {
        const uint32_t *ids = ids_of(e, r);
        const float *w = down != NULL ? rmr_row(e->s, down->in3, r) : NULL;
        for (uint32_t i = 0; i < m->n_used; i++) {
            const uint32_t to = count[ids[i]]++;
            e->row[to] = r;
            e->choice[to] = i;
            if (w != NULL) e->weight[to] = w[i];
        }
    }
    /* count[x] is now the end of expert x: keep the experts that have rows */
    for (uint32_t x = 0, start = 0; x < m->n_experts; x++) {
        const uint32_t end = count[x];
        if (end == start) continue;
        e->expert[n] = x;
        e->first[n++] = start; /* n <= x, so the entry was read before */
        start = end;
    }
    RMR_ASSERT(at == n_rows * m->n_used);
    e->first[n] = at;
    e->n_lists = n;
    e->n_routed = at;
    if (e->op->s1 != NULL) add_shared(e);
}

static int is_shared(const experts *e, uint32_t list)
{
    return e->expert[list] == e->op->moe->n_experts;
}

static uint32_t rows_of(const experts *e, uint32_t list)
{
    return e->first[list + 1] - e->first[list];
}

/* The first weight (gate, down) of a list, and its matrix. */
static const rmr_weight *weight_of(const experts *e, uint32_t list)
{
    RMR_ASSERT(list < e->n_lists);
    return is_shared(e, list) ? e->op->s1 : e->op->w;
}

static uint32_t index_of(const experts *e, uint32_t list)
{
    return is_shared(e, list) ? 0 : e->expert[list];
}

/* From tile t of it on. */
static const void *tiles_at(const experts *e, uint32_t list, uint32_t t)
{
    return rmr_tile_at(weight_of(e, list), index_of(e, list), t);
}

static int has_sums(const rmr_op *op)
{
    return op->sums.buffer != NULL || op->shared_sums.buffer != NULL;
}

static uint32_t longest_list(const experts *e)
{
    uint32_t most = 1;
    for (uint32_t list = 0; list < e->n_lists; list++)
        if (rows_of(e, list) > most) most = rows_of(e, list);
    return most;
}

static void set_tiles(experts *e, const rmr_op *op)
{
    e->routed_tiles = rmr_tiles(op->w->desc.rows);
    e->shared_tiles = op->s1 != NULL ? rmr_tiles(op->s1->desc.rows) : 0;
}

static experts begin(rmr_step *s, const rmr_op *op)
{
    experts e = {.s = s, .op = op};
    carve(&e, s->shared, op, &s->desc);
    sort_rows(&e);
    e.in = (rmr_operand){rmr_row(s, op->in, 0), rmr_width(s, op->in), NULL, rmr_q_stride(op->n)};
    set_tiles(&e, op);
    return e;
}

/* ---- gate and up ---- */

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

/* Choose how the rows of each list are read. Returns 1 when the rows of some list are gathered. */
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

enum { COPY = 32 }; /* to copy a number takes about as long as so many multiplications */

static remora_status gather_rows(experts *e)
{
    const rmr_op *op = e->op;
    if (input_takes(1, op))
        RMR_CPU_TRY(rmr_cpu_quantized(e->s, op->in, e->s->in.n_rows, op->n, &e->in.q));
    if (!place_rows(e)) return REMORA_OK;
    return rmr_cpu_region(
        e->s, &(rmr_region){.n = e->n_lists, .most = RMR_LIN_RANGE, .fn = gather_range, .arg = e},
        (uint64_t)COPY * op->n * (e->n_routed / e->n_lists));
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

/* The SwiGLU of entry i, columns [col, col + n), into the slot. */
static void put(const experts *e, uint32_t i, uint32_t col, uint32_t n, const float *gate,
                const float *up)
{
    const rmr_op *op = e->op;
    const int shared = i >= e->n_routed;
    const size_t expert = shared ? 0 : (size_t)e->choice[i] * op->moe->inner;
    float *const y = rmr_row(e->s, shared ? op->out2 : op->out, e->row[i]);
    e->s->cpu->k->elementwise->silu_mul(y + expert + col, gate, up, n);
}

/* Hand the SwiGLU of entry i, columns [col, col + n), which are whole runs, to the down projection.
 */
static void pass_on(const experts *e, uint32_t i, uint32_t col, uint32_t n, const float *gate,
                    const float *up)
{
    enum { BLOCK = 512 };
    const rmr_kernels *k = e->s->cpu->k;
    const rmr_weight *d = i >= e->n_routed ? e->down->s1 : e->down->w;
    float block[BLOCK];
    RMR_ASSERT(i < e->first[e->n_lists] && col + n <= e->ff.ldx);
    for (uint32_t at = 0; at < n; at += BLOCK) {
        const uint32_t m = n - at < BLOCK ? n - at : BLOCK;
        float *const y = e->ff.x != NULL ? (float *)e->ff.x + i * e->ff.ldx + col + at : block;
        k->elementwise->silu_mul(y, gate + at, up + at, m);
        if (rmr_is_integer(d))
            k->integer->quantize(e->ff.q + i * e->ff.ldq + rmr_qrow_bytes(col + at), y, m);
    }
}

/* Tiles [t0, t0 + n) of gate and up of entries [i, end), which are of one list; `next` are the
 * weights after them. */
static void gate_up(const experts *e, uint32_t list, uint32_t t0, uint32_t n, uint32_t i,
                    uint32_t end, const void *next)
{
    const rmr_cpu *c = e->s->cpu;
    const rmr_weight *g = weight_of(e, list), *u = is_shared(e, list) ? e->op->s2 : e->op->w2;
    const uint32_t index = index_of(e, list), col0 = t0 * RMR_TILE;
    const uint32_t left = g->desc.rows - col0, cols = left < n * RMR_TILE ? left : n * RMR_TILE;
    const size_t ld = (size_t)n * RMR_TILE;
    float tmp[RMR_LIN_TMP], tmp2[RMR_LIN_TMP];
    for (; i < end; i += RMR_LIN_ROWS) {
        const uint32_t m = rmr_min_u32(end - i, RMR_LIN_ROWS);
        const rmr_operand x = inputs_of(e, list, i);
        rmr_cpu_product(c, g, index, t0, n, &x, 0, m, tmp, ld, rmr_tile_at(u, index, t0));
        rmr_cpu_product(c, u, index, t0, n, &x, 0, m, tmp2, ld, next);
        for (uint32_t r = 0; r < m; r++)
            (e->down != NULL ? pass_on : put)(e, i + r, col0, cols, tmp + r * ld, tmp2 + r * ld);
    }
}

static uint32_t tiles_of(const experts *e, uint32_t list)
{
    return is_shared(e, list) ? e->shared_tiles : e->routed_tiles;
}

/* The work of a tile of gate and one of up, by so many rows. */
static uint64_t gate_up_work(const experts *e, uint32_t n_rows)
{
    return 2 * rmr_cpu_tile_work(e->op->w, n_rows);
}

static rmr_blocks blocks_of(const experts *e, uint32_t list)
{
    const uint32_t n = rows_of(e, list);
    return rmr_cpu_blocks(n, e->unit * gate_up_work(e, n), 1);
}

static uint32_t chunks_of(const experts *e, uint32_t list)
{
    return rmr_units(tiles_of(e, list), e->unit) * blocks_of(e, list).n;
}

/* Chunks [first, first + n) of one list; `after` are the weights after its last tile. */
static void gate_up_list(const experts *e, uint32_t list, uint32_t first, uint32_t n,
                         const void *after)
{
    const rmr_blocks blocks = blocks_of(e, list);
    const uint32_t most = rmr_lin_tiles(rows_of(e, list)), tiles = tiles_of(e, list);
    while (n > 0) {
        const rmr_part_of_range p = rmr_cpu_take_part(&first, &n, blocks.n);
        const uint32_t end = rmr_min_u32(p.unit_end * e->unit, tiles);
        const uint32_t i = e->first[list] + p.block * blocks.rows,
                       i_end = rmr_min_u32(e->first[list] + p.block_end * blocks.rows,
                                           e->first[list + 1]);
        for (uint32_t t = p.unit * e->unit; t < end; t += most) {
            const uint32_t here = rmr_min_u32(end - t, most), next = t + here;
            gate_up(e, list, t, here, i, i_end, next < tiles ? tiles_at(e, list, next) : after);
        }
    }
}

/* Chunks are numbered list by list, tile by tile, block of rows by block of rows. */
static void gate_up_range(void *arg, uint32_t first, uint32_t n, uint32_t worker)
{
    const experts *e = arg;
    const uint32_t turn = e->op->s1 != NULL ? e->n_lists - 1 : 0; /* the shared ones are the last */
    (void)worker;
    for (uint32_t i = 0; i < e->n_lists && n > 0; i++) {
        const uint32_t list = (i + turn) % e->n_lists, chunks = chunks_of(e, list);
        if (first < chunks) {
            const uint32_t here = chunks - first < n ? chunks - first : n;
            n -= here;
            gate_up_list(e, list, first, here, tiles_at(e, (list + 1) % e->n_lists, 0));
            first += here;
        }
        first -= chunks;
    }
}

static remora_status sum_inputs(const experts *e)
{
    const rmr_op *op = e->op;
    for (uint32_t list = 0; list < e->n_lists; list++)
        RMR_CPU_TRY(rmr_cpu_sums_add(e->s, is_shared(e, list) ? &op->shared_sums : &op->sums,
                                     index_of(e, list), e->in.x, e->in.ldx, e->row + e->first[list],
                                     rows_of(e, list)));
    return REMORA_OK;
}

static uint32_t down_unit(const experts *e, const rmr_op *down)
{
    return rmr_cpu_unit(e->s->cpu, rmr_tiles(down->w->desc.rows), e->n_lists * down->w->tile_stride,
                        rmr_cpu_tile_work(down->w, longest_list(e)));
}

/* Leave the lists and the SwiGLU outputs to EXPERTS_DOWN, which comes next. */
static rmr_next_region next_down(const experts *e)
{
    const rmr_op *const down = e->down;
    if (down == NULL) return rmr_cpu_next_op(e->s, e->op);
    return rmr_cpu_next(is_shared(e, 0) ? down->s1 : down->w, index_of(e, 0), down_unit(e, down));
}

remora_status rmr_cpu_experts_swiglu(rmr_step *s, const rmr_op *op)
{
    experts e = begin(s, op);
    uint32_t chunks = 0;
    e.down = s->passed_on = down_of(op, s->slice_end);
    RMR_CPU_TRY(gather_rows(&e));
    if (has_sums(op)) RMR_CPU_TRY(sum_inputs(&e));
    const uint64_t work = gate_up_work(&e, longest_list(&e));
    e.unit = rmr_cpu_unit(s->cpu, e.routed_tiles * e.n_lists, 2 * op->w->tile_stride, work);
    for (uint32_t l = 0; l < e.n_lists; l++) chunks += chunks_of(&e, l);
    const rmr_next_region next = next_down(&e);
    RMR_CPU_TRY(rmr_cpu_region(
        s,
        &(rmr_region){
            .n = chunks, .most = RMR_LIN_RANGE, .fn = gate_up_range, .arg = &e, .next = &next},
        rmr_cpu_blocks(longest_list(&e), e.unit * work, 1).work));
    memcpy(s->shared, &e, sizeof e);
    return REMORA_OK;
}

/* ---- down ---- */

static void place_range(void *arg, uint32_t first, uint32_t n, uint32_t worker)
{
    const experts *e = arg;
    const rmr_operand *const ff = &e->ff;
    (void)worker;
    for (uint32_t i = first; i < first + n; i++) {
        const rmr_weight *w = i >= e->n_routed ? e->op->s1 : e->op->w;
        const float *const x =
            e->in.x + e->row[i] * e->in.ldx + (size_t)e->choice[i] * e->op->moe->inner;
        if (ff->x != NULL)
            memcpy((float *)ff->x + i * ff->ldx, x, (size_t)w->desc.cols * sizeof *x);
        if (rmr_is_integer(w))
            e->s->cpu->k->integer->quantize(ff->q + i * ff->ldq, x, w->desc.cols);
    }
}

/* Tiles [t0, t0 + n) of the output from one list; `next` are the weights after them. */
static void down(const experts *e, uint32_t list, uint32_t t0, uint32_t n, const void *next)
{
    const rmr_cpu *c = e->s->cpu;
    const rmr_weight *w = weight_of(e, list);
    const uint32_t left = w->desc.rows - t0 * RMR_TILE, end = e->first[list + 1];
    const uint32_t cols = left < n * RMR_TILE ? left : n * RMR_TILE;
    const size_t ld = (size_t)n * RMR_TILE;
    float tmp[RMR_LIN_TMP];
    for (uint32_t i = e->first[list]; i < end; i += RMR_LIN_ROWS) {
        const uint32_t m = rmr_min_u32(end - i, RMR_LIN_ROWS);
        rmr_cpu_product(c, w, index_of(e, list), t0, n, &e->ff, i, m, tmp, ld, next);
        for (uint32_t r = 0; r < m; r++)
            c->k->elementwise->madd(rmr_row(e->s, e->op->out, e->row[i + r]) +
                                        (size_t)t0 * RMR_TILE,
                                    tmp + r * ld, cols, e->weight[i + r]);
    }
}

static void down_range(void *arg, uint32_t first, uint32_t n, uint32_t worker)
{
    const experts *e = arg;
    const uint32_t t0 = first * e->unit, all = (first + n) * e->unit;
    const uint32_t end = all < e->routed_tiles ? all : e->routed_tiles;
    const void *const after = end < e->routed_tiles ? tiles_at(e, e->from, end) : NULL;
    (void)worker;
    for (uint32_t list = e->from; list < e->to; list++) {
        const uint32_t most = rmr_lin_tiles(rows_of(e, list));
        uint32_t t = t0;
        for (; end - t > most; t += most) down(e, list, t, most, tiles_at(e, list, t + most));
        down(e, list, t, end - t, list + 1 < e->to ? tiles_at(e, list + 1, t0) : after);
    }
}

/* The lists of the next region: some in order, so that additions to an output element keep theirs.
 * Returns the multiplications of a chunk. */
static uint64_t take_lists(experts *e)
{
    uint64_t sum = 0;
    for (e->to = e->from; e->to < e->n_lists; e->to++) {
        const uint64_t more = e->unit * rmr_cpu_tile_work(weight_of(e, e->to), rows_of(e, e->to));
        if (e->to > e->from && sum + more > RMR_ITEM_MOST) break;
        sum += more;
    }
    return sum;
}

static remora_status sum_down_inputs(const experts *e)
{
    const rmr_op *op = e->op;
    for (uint32_t list = 0; list < e->n_lists; list++)
        RMR_CPU_TRY(rmr_cpu_sums_add(
            e->s, is_shared(e, list) ? &op->shared_sums : &op->sums, index_of(e, list),
            e->ff.x + (size_t)e->first[list] * e->ff.ldx, e->ff.ldx, NULL, rows_of(e, list)));
    return REMORA_OK;
}

/* The inputs in the order of the lists: the rows that EXPERTS_SWIGLU passed on, or the slot's. */
static remora_status take_inputs(rmr_step *s, const rmr_op *op, experts *e)
{
    if (s->passed_on != op) {
        *e = begin(s, op);
        return rmr_cpu_region(
            s,
            &(rmr_region){
                .n = e->first[e->n_lists], .most = RMR_LIN_RANGE, .fn = place_range, .arg = e},
            (uint64_t)COPY * e->ff.ldx);
    }
    memcpy(e, s->shared, sizeof *e);
    e->op = op;
    set_tiles(e, op);
    return REMORA_OK;
}

remora_status rmr_cpu_experts_down(rmr_step *s, const rmr_op *op)
{
    experts e;
    RMR_CPU_TRY(take_inputs(s, op, &e));
    if (has_sums(op)) RMR_CPU_TRY(sum_down_inputs(&e));
    e.unit = down_unit(&e, op);
    const rmr_next_region next = rmr_cpu_next_op(s, op);
    for (e.from = 0; e.from < e.n_lists; e.from = e.to) {
        const uint64_t per_chunk = take_lists(&e);
        const int last = e.to == e.n_lists;
        RMR_CPU_TRY(rmr_cpu_region(s,
                                   &(rmr_region){.n = rmr_units(e.routed_tiles, e.unit),
                                                 .most = RMR_LIN_RANGE,
                                                 .fn = down_range,
                                                 .arg = &e,
                                                 .next = last ? &next : NULL},
                                   per_chunk));
    }
    s->passed_on = NULL;
    return REMORA_OK;
}

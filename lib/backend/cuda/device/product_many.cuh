/* SPDX-License-Identifier: Apache-2.0 */
/* Products of many rows on Hopper: a block multiplies 128 rows of weights with N rows of
 * activations. Two groups of four warps multiply, a third brings both to shared memory, so that a
 * group's waiting is the other's multiplying. A warp has 16 rows of weights as the first operand,
 * in registers; rows of activations are the instruction's columns. Blocks stay and take one part
 * of the work after the other.
 *
 * The bits are those of product.cuh: the instruction's chains are those of mma.sync, slices of K
 * begin and end at the same columns and are added in the same order. */
#ifndef RMR_CUDA_PRODUCT_MANY_CUH
#define RMR_CUDA_PRODUCT_MANY_CUH

#include "product.cuh"

enum {
    MANY_TILES = 8,                     /* of weights, in a stage */
    MANY_UNITS = RMR_GPU_MANY_K / 2,    /* of a tile in a stage */
    MANY_TILE = MANY_UNITS * 64,        /* bytes */
    MANY_MULTIPLY = RMR_GPU_WARPS * 32, /* threads that multiply */
    MANY_FETCH = 128                    /* threads that fetch */
};

#ifdef RMR_HAS_WARPGROUPS

/* Bytes of a stage: rows of activations, then tiles. */
template <int N> DEV constexpr uint32_t many_stage()
{
    return N * RMR_GPU_MANY_K * 2 + MANY_TILES * MANY_TILE;
}

/* Shared memory; stages begin at a multiple of 1024 bytes. */
template <int N> struct many_shared {
    uint8_t stage[RMR_GPU_MANY_STAGES(N)][many_stage<N>()];
    uint32_t first[RMR_GPU_MANY_LISTS + 1], expert[RMR_GPU_MANY_LISTS];
    uint32_t to[RMR_GPU_WARPS][N]; /* where rows go, for each warp */
    uint64_t full[RMR_GPU_MANY_STAGES(N)], empty[RMR_GPU_MANY_STAGES(N)];
};

/* ---- which part of the work ---- */

/* The list in which a block is, and the parts before it. */
typedef struct many_walk {
    uint32_t list, before;
} many_walk;

/* Part number `at`: its job, and its first row of activations. Numbers go up from call to call. */
template <int N>
DEV bool many_part(product_job *j, uint32_t *i0, many_walk *w, const rmr_gpu_many &a,
                   const many_shared<N> *s, uint32_t at)
{
    const rmr_gpu_product &p = a.of;
    const bool lists = p.lists.n != NULL;
    const uint32_t jobs = lists ? s->first[RMR_GPU_MANY_LISTS] : a.jobs,
                   all = rows_of(p.in, p.rows);
    for (; w->list < jobs; w->list++) {
        const uint32_t n = lists ? s->first[w->list + 1] - s->first[w->list] : all,
                       passes = (n + N - 1) / N, parts = passes * p.across;
        if (at - w->before < parts) {
            const uint32_t k = at - w->before;
            *j = product_job{w->list, k / passes, lists ? s->expert[w->list] : w->list,
                             lists ? s->first[w->list] : 0, n};
            if (!lists && p.per_row == 1) j->matrix = 0;
            *i0 = k % passes * N;
            return true;
        }
        w->before += parts;
    }
    return false;
}

/* The lists into shared memory; an expert that there is not is the first one. */
template <int N> DEV void many_lists(many_shared<N> *s, const rmr_gpu_product &p)
{
    if (p.lists.n == NULL) return;
    const uint32_t n = *p.lists.n < RMR_GPU_MANY_LISTS - 1 ? *p.lists.n : RMR_GPU_MANY_LISTS - 1;
    for (uint32_t i = thread_of(); i <= n; i += MANY_MULTIPLY + MANY_FETCH) {
        s->first[i] = p.lists.first[i];
        if (i < n) s->expert[i] = p.lists.expert[i] < p.w.count ? p.lists.expert[i] : 0;
    }
    if (thread_of() == 0) s->first[RMR_GPU_MANY_LISTS] = n;
}

/* ---- fetching ---- */

/* The places from which a thread fetches its share of a part of the work: 16 bytes of every 16th
 * row of activations, and of each tile. Offsets are times 16 bytes. Rows behind the last one are
 * the first one, and their sums are thrown away. */
template <int N> struct many_source {
    const uint8_t *w[2];
    uint32_t row[N / 16], tile[MANY_TILES];
};

DEV uint32_t many_source_row(const rmr_gpu_product &p, const product_job &j, uint32_t i)
{
    if (p.lists.n == NULL) return p.per_row == 1 ? i : i * p.per_row + j.number;
    const uint32_t choice = p.lists.choice[j.first + i];
    return p.by_choice ? choice : choice / p.lists.n_used;
}

template <int N>
DEV void many_sources(many_source<N> *s, const rmr_gpu_product &p, const product_job &j,
                      uint32_t i0)
{
    const uint32_t t = thread_of() - MANY_MULTIPLY, r = i0 + t / 8;
    const bool pair = p.w2.at != NULL;
    const uint32_t last = (p.w.rows + 15) / 16 - 1, of_row = (uint32_t)(p.ldx / 16);
#pragma unroll
    for (uint32_t i = 0; i < N / 16; i++)
        s->row[i] = many_source_row(p, j, r + i * 16 < j.n ? r + i * 16 : i0) * of_row + t % 8;
#pragma unroll
    for (uint32_t i = 0; i < MANY_TILES; i++) {
        const uint32_t tile =
            pair ? j.x * (MANY_TILES / 2) + i % (MANY_TILES / 2) : j.x * MANY_TILES + i;
        s->tile[i] = (tile < last ? tile : last) * (p.w.tile / 16) + t;
    }
    s->w[0] = p.w.at + (size_t)j.matrix * p.w.stride;
    s->w[1] = pair ? p.w2.at + (size_t)j.matrix * p.w2.stride : s->w[0];
}

/* Bytes from one 16 bytes of a unit to where they lie: units t and t + 2 fall on different banks.
 */
DEV uint32_t many_place(uint32_t unit, uint32_t q)
{
    return unit * 64 + (q ^ (unit / 2 % 2 * 2)) * 16;
}

/* Columns [k, k + 64). Rows of activations are 128 bytes, in the order that the instruction calls
 * swizzled. */
template <int N>
DEV void many_fetch(uint8_t *stage, const uint8_t *x, const many_source<N> &s, uint32_t k)
{
    const uint32_t t = thread_of() - MANY_MULTIPLY, c = t % 8, r = t / 8;
    uint8_t *const rows = stage + r * 128 + (c ^ (r % 8)) * 16, *const tiles =
                                                                    stage + N * 128 +
                                                                    many_place(t / 4, t % 4);
    const uint8_t *const at = x + k * 2, *const w[2] = {s.w[0] + (size_t)k * 32,
                                                        s.w[1] + (size_t)k * 32};
#pragma unroll
    for (uint32_t i = 0; i < N / 16; i++)
        copy_async(rows + i * 16 * 128, at + (uint64_t)s.row[i] * 16, 16);
#pragma unroll
    for (uint32_t i = 0; i < MANY_TILES; i++)
        copy_async(tiles + i * MANY_TILE, w[i / (MANY_TILES / 2)] + (uint64_t)s.tile[i] * 16, 16);
    copy_commit();
}

/* The stage number `count` has arrived: the other warps may read it. */
template <int N> DEV void many_full(many_shared<N> *s, uint32_t count)
{
    fence_copies();
    barrier_arrive(&s->full[count % RMR_GPU_MANY_STAGES(N)]);
}

template <int N> DEV void many_fetcher(const rmr_gpu_many &a, many_shared<N> *s)
{
    enum { STAGES = RMR_GPU_MANY_STAGES(N), LAG = STAGES - 2 };
    const rmr_gpu_product &p = a.of;
    many_walk walk = {0, 0};
    product_job j;
    uint32_t count = 0, i0;
    for (uint32_t at = blockIdx.x; many_part<N>(&j, &i0, &walk, a, s, at); at += gridDim.x) {
        many_source<N> source;
        many_sources<N>(&source, p, j, i0);
        for (uint32_t k = 0; k < p.w.cols; k += RMR_GPU_MANY_K, count++) {
            barrier_wait(&s->empty[count % STAGES], (count / STAGES + 1) % 2);
            many_fetch<N>(s->stage[count % STAGES], p.x, source, k);
            copy_wait<LAG>();
            if (count >= LAG) many_full<N>(s, count - LAG);
        }
    }
    copy_wait<0>();
    for (uint32_t i = count < LAG ? 0 : count - LAG; i < count; i++) many_full<N>(s, i);
}

/* ---- multiplying ---- */

/* A lane's rows of weights: in a pair one of each matrix, else g and g + 8 of a tile. */
DEV uint32_t many_row(bool pair, uint32_t second)
{
    const uint32_t g = lane_of() / 4, t = lane_of() % 4, w = warp_of();
    const uint32_t tile = pair ? w / 2 + second * (MANY_TILES / 2) : w,
                   row = pair ? w % 2 * 8 + g : second * 8 + g;
    return tile * MANY_TILE + many_place(t, row / 4) + row % 4 * 4;
}

/* One stage: four instructions of 16 columns. */
template <int N> DEV void many_step(float *acc, const uint8_t *stage, uint32_t row0, uint32_t row1)
{
    const uint8_t *const tiles = stage + N * 128;
    uint32_t v[4][4];
#pragma unroll
    for (uint32_t i = 0; i < 4; i++) {
        v[i][0] = load_word(tiles + row0 + i * 512);
        v[i][1] = load_word(tiles + row1 + i * 512);
        v[i][2] = load_word(tiles + row0 + i * 512 + 256);
        v[i][3] = load_word(tiles + row1 + i * 512 + 256);
    }
    warpgroup_begin();
#pragma unroll
    for (uint32_t i = 0; i < 4; i++) warpgroup_bf16<N>(acc, v[i], swizzled_rows(stage, i * 32));
    warpgroup_end();
}

/* Where the rows of activations go: rows of y, with lists choices; ~0: nowhere. */
template <int N>
DEV void many_targets(uint32_t *to, const rmr_gpu_product &p, const product_job &j, uint32_t i0)
{
    __syncwarp();
    for (uint32_t c = lane_of(); c < N; c += 32) {
        const uint32_t i = i0 + c;
        uint32_t v = ~0u;
        if (i < j.n && p.lists.n != NULL)
            v = p.lists.choice[j.first + i];
        else if (i < j.n && row_is(p.in, i, p.only))
            v = i;
        to[c] = v;
    }
    __syncwarp();
}

DEV float *many_target(const rmr_gpu_product &p, const product_job &j, uint32_t to)
{
    if (p.lists.n == NULL) return p.y.at + to * p.y.ld + (size_t)j.number * p.y_step;
    return p.y.at + to / p.lists.n_used * p.y.ld + (size_t)(to % p.lists.n_used) * p.y_step;
}

/* Eight values of a lane: columns of the instruction c .. c + 1 and c + 8 .. c + 9, of each two
 * rows of weights. What is added to is read before anything is written. */
DEV void many_store(const rmr_gpu_product &p, const product_job &j, const uint32_t *to,
                    const float *v, uint32_t row)
{
    const bool pair = p.w2.at != NULL;
    float *y[4];
    float old[4][2] = {};
#pragma unroll
    for (uint32_t k = 0; k < 4; k++) {
        const uint32_t c = to[k / 2 * 8 + k % 2];
        y[k] = c == ~0u ? NULL : many_target(p, j, c) + row;
        if (!p.add || y[k] == NULL) continue;
        if (row < p.w.rows) old[k][0] = y[k][0];
        if (!pair && row + 8 < p.w.rows) old[k][1] = y[k][8];
    }
#pragma unroll
    for (uint32_t k = 0; k < 4; k++) {
        float x = v[k / 2 * 4 + k % 2], second = v[k / 2 * 4 + 2 + k % 2];
        if (y[k] == NULL) continue;
        if (pair) x = (x / (1.0f + rmr_expf(-x))) * second;
        if (p.bias != NULL && row < p.w.rows) x += p.bias[row];
        if (p.bias != NULL && row + 8 < p.w.rows) second += p.bias[row + 8];
        if (p.add) x = old[k][0] + x;
        if (p.add) second = old[k][1] + second;
        if (row < p.w.rows) y[k][0] = x;
        if (!pair && row + 8 < p.w.rows) y[k][8] = second;
    }
}

template <int N> DEV void many_multiplier(const rmr_gpu_many &a, many_shared<N> *s)
{
    enum { STAGES = RMR_GPU_MANY_STAGES(N) };
    const rmr_gpu_product &p = a.of;
    const bool pair = p.w2.at != NULL;
    const uint32_t g = lane_of() / 4, t = lane_of() % 4, row0 = many_row(pair, 0),
                   row1 = many_row(pair, 1), granules = p.w.cols / RMR_GPU_MANY_K;
    uint32_t *const to = s->to[warp_of()];
    many_walk walk = {0, 0};
    product_job j;
    uint32_t count = 0, i0;
    for (uint32_t at = blockIdx.x; many_part<N>(&j, &i0, &walk, a, s, at); at += gridDim.x) {
        float total[N / 2] = {};
        many_targets<N>(to, p, j, i0);
        for (uint32_t w = 0; w < RMR_GPU_WARPS; w++) {
            float acc[N / 2] = {};
            for (uint32_t k = granules * w / RMR_GPU_WARPS; k < granules * (w + 1) / RMR_GPU_WARPS;
                 k++, count++) {
                barrier_wait(&s->full[count % STAGES], count / STAGES % 2);
                many_step<N>(acc, s->stage[count % STAGES], row0, row1);
                barrier_arrive(&s->empty[count % STAGES]);
            }
#pragma unroll
            for (int i = 0; i < N / 2; i++) total[i] += acc[i];
        }
        const uint32_t row = pair ? j.x * 64 + warp_of() * 8 + g : j.x * 128 + warp_of() * 16 + g;
#pragma unroll
        for (uint32_t i = 0; i < N / 16; i++)
            many_store(p, j, to + i * 16 + 2 * t, total + i * 8, row);
        if (p.tail > 0 && j.x == 0) copy_tail(p, j, i0, j.n - i0 < N ? j.n - i0 : N);
    }
}

template <int N> DEV void product_many(const rmr_gpu_many &a)
{
    uint8_t *const shared = shared_memory();
    many_shared<N> *const s =
        (many_shared<N> *)(void *)(shared + (1024 - (uintptr_t)shared % 1024) % 1024);
    static_assert(sizeof *s + 1024 <= RMR_GPU_MANY_SHARED(N), "shared memory of a block");
    if (thread_of() < RMR_GPU_MANY_STAGES(N)) {
        barrier_make(&s->full[thread_of()], MANY_FETCH);
        barrier_make(&s->empty[thread_of()], MANY_MULTIPLY);
    }
    wait_for_last();
    many_lists<N>(s, a.of);
    __syncthreads();
    if (warp_of() >= RMR_GPU_WARPS) {
        fewer_registers();
        many_fetcher<N>(a, s);
    } else {
        more_registers();
        many_multiplier<N>(a, s);
    }
}

#define MANY(n)                                                                                    \
    KERNEL_WAITS(many_bf16_##n, rmr_gpu_many, MANY_MULTIPLY + MANY_FETCH, 1)                       \
    {                                                                                              \
        product_many<n>(a);                                                                        \
    }
#else /* another kind of GPU, on which the host does not ask for it */
#define MANY(n)                                                                                    \
    KERNEL_WAITS(many_bf16_##n, rmr_gpu_many, MANY_MULTIPLY + MANY_FETCH, 1)                       \
    {                                                                                              \
        (void)a;                                                                                   \
    }
#endif

MANY(64)
MANY(192)

#endif

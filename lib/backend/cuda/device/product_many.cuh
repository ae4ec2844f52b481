/* SPDX-License-Identifier: Apache-2.0 */
/* Products of many rows on Hopper: a block multiplies 128 rows of weights with up to many_rows()
 * rows of activations. Two groups of four warps multiply. Of a third one warp brings both to shared
 * memory by bulk copies, another finds out where results go. A group's waiting is the other's
 * multiplying. Blocks stay and take one part
 * of the work after the other.
 *
 * The bits are those of product.cuh: the instruction's chains are those of mma.sync, slices of K
 * begin and end at the same columns and are added in the same order. */
#ifndef RMR_CUDA_PRODUCT_MANY_CUH
#define RMR_CUDA_PRODUCT_MANY_CUH

#include "many_steps.cuh"

enum {
    MANY_MULTIPLY = RMR_GPU_WARPS * 32, /* threads that multiply */
    MANY_FETCH = 128                    /* threads of the group that fetches */
};

#ifdef RMR_HAS_WARPGROUPS

/* Shared memory: this, then stages from the next multiple of 1024 bytes on. */
template <int E> struct many_shared {
    float *to[2][many_rows<E>()]; /* where rows go, of a part and of the next one */
    float made[RMR_GPU_WARPS][is_float<E>() ? 1 : 2 * 4 * 16 * 2];
    uint32_t first[RMR_GPU_MANY_LISTS + 1], expert[RMR_GPU_MANY_LISTS], place0[RMR_GPU_MANY_LISTS];
    uint64_t full[8], empty[8], named[2], stored[2];
};

template <int E> DEV constexpr uint32_t many_stages_at()
{
    return (uint32_t)(sizeof(many_shared<E>) + 1023) / 1024 * 1024;
}

/* Stages that there is room for. */
template <int E> DEV constexpr uint32_t many_stages()
{
    const uint32_t n = (RMR_GPU_MANY_SHARED - 1024 - many_stages_at<E>()) / many_stage<E>();
    return n < 8 ? n : 8;
}

/* Stage number `count` of all that a block has; barriers and stages are used in turn. */
template <int E> DEV uint8_t *many_stage_of(many_shared<E> *s, uint32_t count)
{
    return (uint8_t *)(void *)s + many_stages_at<E>() + count % many_stages<E>() * many_stage<E>();
}

/* ---- which part of the work ---- */

/* The list in which a block is, and the parts before it. */
typedef struct many_walk {
    uint32_t list, before;
} many_walk;

typedef struct many_part {
    product_job j;
    uint32_t i0,
        place; /* its first row of activations: of the job, and among all that are spread */
} many_part;

/* Part number `at`. Numbers go up from call to call. */
template <int E>
DEV bool many_take(many_part *to, many_walk *w, const rmr_gpu_many &a, const many_shared<E> &s,
                   uint32_t at)
{
    const rmr_gpu_product &p = a.of;
    const bool lists = p.lists.n != NULL;
    const uint32_t jobs = lists ? s.first[RMR_GPU_MANY_LISTS] : a.jobs, all = rows_of(p.in, p.rows);
    for (; w->list < jobs; w->list++) {
        const uint32_t n = lists ? s.first[w->list + 1] - s.first[w->list] : all,
                       passes = (n + a.pass - 1) / a.pass, parts = passes * p.across;
        if (at - w->before < parts) {
            const uint32_t k = at - w->before,
                           groups = (all + RMR_GPU_MANY_GROUP - 1) / RMR_GPU_MANY_GROUP;
            to->j = product_job{w->list, k / passes, lists ? s.expert[w->list] : w->list,
                                lists ? s.first[w->list] : 0, n};
            if (!lists && p.per_row == 1) to->j.matrix = 0;
            to->i0 = k % passes * a.pass;
            to->place =
                (lists ? s.place0[w->list] : w->list * groups * RMR_GPU_MANY_GROUP) + to->i0;
            return true;
        }
        w->before += parts;
    }
    return false;
}

/* The lists into shared memory; an expert that there is not is the first one. */
template <int E> DEV void many_lists(many_shared<E> *s, const rmr_gpu_product &p)
{
    if (p.lists.n == NULL) return;
    const uint32_t n = *p.lists.n < RMR_GPU_MANY_LISTS - 1 ? *p.lists.n : RMR_GPU_MANY_LISTS - 1;
    for (uint32_t i = thread_of(); i <= n; i += MANY_MULTIPLY + MANY_FETCH) {
        s->first[i] = p.lists.first[i];
        if (i == n) continue;
        s->expert[i] = p.lists.expert[i] < p.w.count ? p.lists.expert[i] : 0;
        s->place0[i] = p.lists.place0[i];
    }
    if (thread_of() == 0) s->first[RMR_GPU_MANY_LISTS] = n;
}

/* ---- fetching ---- */

/* Rows of activations of a part. */
DEV uint32_t many_part_rows(const rmr_gpu_many &a, const many_part &part)
{
    const uint32_t left = part.j.n - part.i0;
    return left < a.pass ? left : a.pass;
}

/* Tile i of a part's stages; behind the last one it is the last one, whose results are not kept. */
DEV const uint8_t *many_tile(const rmr_gpu_product &p, const product_job &j, uint32_t i)
{
    const bool pair = p.w2.at != NULL;
    const rmr_gpu_weight &w = pair && i >= MANY_TILES / 2 ? p.w2 : p.w;
    const uint32_t tile =
                       pair ? j.x * (MANY_TILES / 2) + i % (MANY_TILES / 2) : j.x * MANY_TILES + i,
                   last = (w.rows + 15) / 16 - 1;
    return w.at + (size_t)j.matrix * w.stride + (size_t)(tile < last ? tile : last) * w.tile;
}

/* The copy that a lane of the fetching warp makes for each stage; none where a stage has no bytes
 * of the lane's kind. Lanes: tiles, their scales, blocks of activations, their scales. */
typedef struct many_copy {
    const uint8_t *from;
    uint32_t to, step;       /* step: bytes from stage to stage */
    uint32_t bytes, granule; /* of all granules of a stage; of each of them, or 0 */
    uint32_t number;         /* of the granule that it is for, where it is for one */
    bool half_steps;         /* two stages take the same bytes */
} many_copy;

template <int E, int N>
DEV many_copy many_copy_of(const rmr_gpu_many &a, const many_part &part, uint32_t rows)
{
    const rmr_gpu_product &p = a.of;
    const uint32_t tiles = MANY_TILES, all = many_granules<E, N>(),
                   blocks = many_all_blocks<E, N>(), lane = lane_of(), codes = many_codes<E>(),
                   block = 128 * RMR_GPU_MANY_GROUP, runs = E == RMR_ELEM_F8 ? all : 1,
                   scales = E == RMR_ELEM_F8 ? 4 : 32;
    many_copy c = {};
    if (lane < tiles) {
        c.from = many_tile(p, part.j, lane);
        c.to = many_tiles_at<E, N>() + lane * all * codes;
        c.step = all * codes;
        c.granule = codes;
    } else if (lane < 2 * tiles && !is_float<E>()) {
        const uint32_t i = lane - tiles, n = many_tile_scales<E>();
        c.half_steps = rmr_elem_table[E].values == 256;
        c.from = many_tile(p, part.j, i) + (size_t)(p.w.cols / 32) * codes;
        c.to = many_tile_scales_at<E, N>() + i * n;
        c.step = c.bytes = n;
        c.granule = c.half_steps ? 0 : n / all;
    } else if (lane >= 2 * tiles && lane < 2 * tiles + blocks) {
        const uint32_t b = lane - 2 * tiles;
        c.from = p.x + ((size_t)b * a.groups + part.place / RMR_GPU_MANY_GROUP) * block;
        c.to = b * many_room<E, N>() * 128;
        c.step = blocks * a.groups * block;
        c.bytes = rows * 128;
        c.number = is_float<E>() ? b / many_blocks<E>() : 0;
    } else if (lane >= 2 * tiles + 4 && lane < 2 * tiles + 4 + runs && E != RMR_ELEM_BF16) {
        const uint32_t r = lane - 2 * tiles - 4, of_run = a.groups * RMR_GPU_MANY_GROUP * scales;
        c.from = (const uint8_t *)(const void *)p.scales + (size_t)r * of_run +
                 (size_t)part.place * scales;
        c.to = many_scales_at<E, N>() + r * many_room<E, N>() * scales;
        c.step = runs * of_run;
        c.bytes = rows * scales;
        c.number = r;
    }
    return c;
}

/* The scale of F8 of a lane's tile for a run: asked for a stage ahead, and written by the warp, for
 * it is too small for a bulk copy. */
template <int E> DEV float many_f8_scale(const many_copy &c, uint32_t cols, uint32_t run)
{
    if (E != RMR_ELEM_F8 || lane_of() >= MANY_TILES || run * 128 >= cols) return 0;
    return ((const float *)(const void *)(c.from + (size_t)16 * cols))[run];
}

/* The stages of a part. */
template <int E, int N>
DEV void many_fetch(const rmr_gpu_many &a, many_shared<E> *s, const many_part &part, uint32_t rows,
                    uint32_t *count)
{
    enum { ALL = many_granules<E, N>() };
    const uint32_t stages = many_stages<E>(), cols = a.of.w.cols,
                   granules = cols / rmr_gpu_granule(rmr_gpu_form_of((rmr_elem)E));
    const many_copy c = many_copy_of<E, N>(a, part, rows);
    float scale[ALL];
    for (uint32_t i = 0; i < ALL; i++) scale[i] = many_f8_scale<E>(c, cols, i);
#pragma unroll 1
    for (uint32_t k = 0; k * ALL < granules; k++, ++*count) {
        const uint32_t left = granules - k * ALL, n = left < ALL ? left : ALL,
                       bytes = c.granule > 0  ? n * c.granule
                               : c.number < n ? c.bytes
                                              : 0;
        uint64_t *const full = &s->full[*count % stages];
        uint8_t *const stage = many_stage_of<E>(s, *count);
        uint32_t all = bytes;
        for (int o = 16; o > 0; o /= 2) all += __shfl_xor_sync(~0u, all, o);
        barrier_wait(&s->empty[*count % stages], (*count / stages + 1) % 2);
        for (uint32_t i = 0; E == RMR_ELEM_F8 && i < ALL; i++) {
            float *const to = (float *)(void *)(stage + many_tile_scales_at<E, N>());
            if (lane_of() < MANY_TILES) to[i * MANY_TILES + lane_of()] = scale[i];
            scale[i] = many_f8_scale<E>(c, cols, (k + 1) * ALL + i);
        }
        __syncwarp();
        if (lane_of() == 0) barrier_expect(full, all);
        __syncwarp();
        if (bytes > 0)
            copy_bulk(stage + c.to, c.from + (size_t)(c.half_steps ? k / 2 : k) * c.step, bytes,
                      full);
    }
}

/* By one warp, which asks for stages. */
template <int E> DEV void many_fetcher(const rmr_gpu_many &a, many_shared<E> *s)
{
    many_walk walk = {0, 0};
    many_part part;
    uint32_t count = 0;
    fence_bulk();
    for (uint32_t at = blockIdx.x; many_take<E>(&part, &walk, a, *s, at); at += gridDim.x) {
        const uint32_t rows = (many_part_rows(a, part) + RMR_GPU_MANY_GROUP - 1) /
                              RMR_GPU_MANY_GROUP * RMR_GPU_MANY_GROUP;
        if (is_float<E>() && rows <= MANY_THIN)
            many_fetch<E, MANY_THIN>(a, s, part, rows, &count);
        else
            many_fetch<E, many_rows<E>()>(a, s, part, rows, &count);
    }
}

/* ---- where results go ---- */

/* Of one row of activations that the part has, its choice or its run's form. */
DEV uint32_t many_about(const rmr_gpu_product &p, const many_part &part, uint32_t i)
{
    if (p.lists.n != NULL) return p.lists.choice[part.j.first + i];
    return row_is(p.in, i, p.only);
}

/* Rows of y, with lists of a choice; NULL: nowhere. */
DEV float *many_target(const rmr_gpu_product &p, const many_part &part, uint32_t i, uint32_t about)
{
    if (p.lists.n != NULL)
        return p.y.at + about / p.lists.n_used * p.y.ld +
               (size_t)(about % p.lists.n_used) * p.y_step;
    return about ? p.y.at + i * p.y.ld + (size_t)part.j.number * p.y_step : NULL;
}

/* By one warp, a part ahead of those that multiply. */
template <int E> DEV void many_namer(const rmr_gpu_many &a, many_shared<E> *s)
{
    enum { EACH = many_rows<E>() / 32 };
    many_walk walk = {0, 0};
    many_part part;
    uint32_t count = 0;
    for (uint32_t at = blockIdx.x; many_take<E>(&part, &walk, a, *s, at);
         at += gridDim.x, count++) {
        const uint32_t n = many_part_rows(a, part), i0 = part.i0 + lane_of();
        uint32_t about[EACH];
        barrier_wait(&s->stored[count % 2], (count / 2 + 1) % 2);
#pragma unroll
        for (uint32_t k = 0; k < EACH; k++)
            about[k] = many_about(a.of, part, i0 + k * 32 < part.j.n ? i0 + k * 32 : part.i0);
#pragma unroll
        for (uint32_t k = 0; k < EACH; k++) {
            const uint32_t c = lane_of() + k * 32;
            s->to[count % 2][c] = c < n ? many_target(a.of, part, part.i0 + c, about[k]) : NULL;
        }
        barrier_arrive(&s->named[count % 2]);
    }
}

/* ---- multiplying ---- */

/* The rows of weights whose results a lane stores, and whether there are such rows. */
typedef struct many_rows_of {
    uint32_t row;
    bool first, second;
} many_rows_of;

/* Two columns of the instruction, c and c + 1, of each two rows of weights. */
DEV void many_store(float *const *to, const float *v, const many_rows_of &r)
{
#pragma unroll
    for (uint32_t k = 0; k < 2; k++) {
        if (to[k] == NULL) continue;
        if (r.first) to[k][r.row] = v[k];
        if (r.second) to[k][r.row + 8] = v[2 + k];
    }
}

/* Add the results that the output has already, of four times two columns at once: all of them are
 * read before any is written. */
DEV void many_add_old(float *const *to, float *v, const many_rows_of &r)
{
    float old[16];
#pragma unroll
    for (uint32_t k = 0; k < 16; k++) {
        const float *const y = to[k / 4 * 8 + k % 2];
        old[k] = y != NULL && (k / 2 % 2 ? r.second : r.first) ? y[r.row + k / 2 % 2 * 8] : 0;
    }
#pragma unroll
    for (uint32_t k = 0; k < 16; k++) v[k] = old[k] + v[k];
}

DEV void many_store_pair(float *const *to, const float *v, const many_rows_of &r)
{
#pragma unroll
    for (uint32_t k = 0; k < 2; k++)
        if (to[k] != NULL && r.first) to[k][r.row] = (v[k] / (1.0f + rmr_expf(-v[k]))) * v[2 + k];
}

template <int N>
DEV void many_store_all(const rmr_gpu_product &p, float *const *to, float *total, uint32_t x)
{
    const bool pair = p.w2.at != NULL;
    const uint32_t g = lane_of() / 4, row = x * (pair ? 64 : 128) + warp_of() * (pair ? 8 : 16) + g;
    const many_rows_of r = {row, row < p.w.rows, !pair && row + 8 < p.w.rows};
    to += 2 * (lane_of() % 4);
    if (p.bias != NULL) {
        const float of[2] = {r.first ? p.bias[row] : 0, r.second ? p.bias[row + 8] : 0};
#pragma unroll
        for (uint32_t i = 0; i < N / 2; i++) total[i] += of[i / 2 % 2];
    }
    if (pair) {
#pragma unroll
        for (uint32_t i = 0; i < N / 8; i++) many_store_pair(to + i * 8, total + i * 4, r);
        return;
    }
#pragma unroll
    for (uint32_t i = 0; i < N / 8; i++) {
        if (p.add && i % 4 == 0) many_add_old(to + i * 8, total + i * 4, r);
        many_store(to + i * 8, total + i * 4, r);
    }
}

/* The sums of a slice that has ended join the total; the granule at which the next one ends. */
template <int N>
DEV void many_end_slice(float *total, float *acc, uint32_t *slice, uint32_t *end, uint32_t granules)
{
    const uint32_t at = *end;
#pragma unroll
    for (int i = 0; i < N / 2; i++) {
        total[i] += acc[i];
        acc[i] = 0;
    }
    while (*slice < RMR_GPU_WARPS && *end == at) *end = granules * ++*slice / RMR_GPU_WARPS;
}

/* A part of which N rows of activations are enough. */
template <int E, int N>
DEV void many_multiply(const rmr_gpu_product &p, many_shared<E> *s, const many_part &part,
                       const many_lane &l, float *const *to, uint32_t *count)
{
    const uint32_t stages = many_stages<E>();
    const uint32_t granules = p.w.cols / rmr_gpu_granule(rmr_gpu_form_of((rmr_elem)E)),
                   of_stage = many_granules<E, N>();
    float total[N / 2] = {}, acc[N / 2] = {};
    uint32_t slice = 0, end = 0;
    many_end_slice<2>(total, acc, &slice, &end, granules);
    for (uint32_t g = 0; g < granules; ++*count) {
        const uint32_t left = granules - g, n = left < of_stage ? left : of_stage;
        const uint8_t *const stage = many_stage_of<E>(s, *count);
        barrier_wait(&s->full[*count % stages], *count / stages % 2);
        if constexpr (!is_float<E>()) many_make_scales<E>(stage, l, g, n);
#pragma unroll 1
        for (uint32_t i = 0; i < n;) {
            const uint32_t done =
                many_step<E, N>(acc, stage, l, i, n - i < end - g ? n - i : end - g);
            i += done;
            g += done;
            if (g == end) many_end_slice<N>(total, acc, &slice, &end, granules);
        }
        barrier_arrive(&s->empty[*count % stages]);
    }
    many_store_all<N>(p, to, total, part.j.x);
}

template <int E> DEV void many_multiplier(const rmr_gpu_many &a, many_shared<E> *s)
{
    enum { N = many_rows<E>() };
    const rmr_gpu_product &p = a.of;
    many_lane l = many_lane_of(p.w2.at != NULL);
    many_walk walk = {0, 0};
    many_part part;
    uint32_t count = 0, parts = 0;
    l.made = s->made[warp_of()];
    for (uint32_t at = blockIdx.x; many_take<E>(&part, &walk, a, *s, at);
         at += gridDim.x, parts++) {
        const uint32_t n = many_part_rows(a, part);
        float *const *const to = s->to[parts % 2];
        barrier_wait(&s->named[parts % 2], parts / 2 % 2);
        if (n > N / 2)
            many_multiply<E, N>(p, s, part, l, to, &count);
        else if (is_float<E>() && n <= MANY_THIN)
            many_multiply<E, is_float<E>() ? (int)MANY_THIN : (int)N>(p, s, part, l, to, &count);
        else if (N / 2 == 64 || n > 64)
            many_multiply<E, N / 2>(p, s, part, l, to, &count);
        else
            many_multiply<E, 64>(p, s, part, l, to, &count);
        barrier_arrive(&s->stored[parts % 2]);
    }
}

template <int E> DEV void product_many(const rmr_gpu_many &a)
{
    uint8_t *const shared = shared_memory();
    many_shared<E> *const s =
        (many_shared<E> *)(void *)(shared + (1024 - (uintptr_t)shared % 1024) % 1024);
    if (thread_of() < many_stages<E>()) {
        barrier_make(&s->full[thread_of()], 1);
        barrier_make(&s->empty[thread_of()], MANY_MULTIPLY);
    }
    if (thread_of() < 2) {
        barrier_make(&s->named[thread_of()], 32);
        barrier_make(&s->stored[thread_of()], MANY_MULTIPLY);
    }
    fence_copies();
    wait_for_last();
    many_lists<E>(s, a.of);
    __syncthreads();
    if (warp_of() >= RMR_GPU_WARPS) {
        fewer_registers();
        if (warp_of() == RMR_GPU_WARPS) many_fetcher<E>(a, s);
        if (warp_of() == RMR_GPU_WARPS + 1) many_namer<E>(a, s);
    } else {
        more_registers();
        many_multiplier<E>(a, s);
    }
}

#define MANY(name, elem)                                                                           \
    KERNEL_WAITS(many_##name, rmr_gpu_many, MANY_MULTIPLY + MANY_FETCH, 1)                         \
    {                                                                                              \
        product_many<elem>(a);                                                                     \
    }
#else /* another kind of GPU, on which the host does not ask for it */
#define MANY(name, elem)                                                                           \
    KERNEL_WAITS(many_##name, rmr_gpu_many, MANY_MULTIPLY + MANY_FETCH, 1)                         \
    {                                                                                              \
        (void)a;                                                                                   \
    }
#endif

/* Columns behind those of K of all jobs, which product_many does not copy. */
KERNEL(tails, rmr_gpu_product, 256, 1)
{
    const uint32_t n = a.per_row * a.tail;
    for (uint32_t r = blockIdx.x; r < rows_of(a.in, a.rows); r += gridDim.x) {
        if (!row_is(a.in, r, a.only)) continue;
#pragma unroll 4
        for (uint32_t i = thread_of(); i < n; i += 256) {
            const uint32_t job = i / a.tail, c = i % a.tail;
            a.y.at[r * a.y.ld + (size_t)job * a.y_step + a.w.rows + c] =
                a.floats.at[r * a.floats.ld + (size_t)job * a.step + a.w.cols + c];
        }
    }
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The emulator: fibres with stacks of their own, barriers, exchange between lanes, matrix
 * instructions by their fragment tables (PTX ISA, "Matrix Fragments"). */
#include "emulate.h"

#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include <deque>
#include <functional>
#include <map>
#include <vector>

#include "emulator.h"

emulated_index threadIdx, blockIdx, blockDim, gridDim;

static emulated_kernel *kernels;

emulated_kernel::emulated_kernel(const char *n, void (*r)(const void *), size_t b)
    : name(n), run(r), bytes(b)
{
    next = kernels;
    kernels = this;
}

/* ---- switching ---- */

#if defined(__x86_64__)
extern "C" void emulated_switch(void **save, void *to);
__asm__(".text\n.globl emulated_switch\nemulated_switch:\n"
        "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");
struct place {
    void *sp;
};
static void go(place *from, place *to)
{
    emulated_switch(&from->sp, to->sp);
}
static void begin(place *p, char *stack, size_t bytes, void (*f)())
{
    void **top = (void **)((uintptr_t)(stack + bytes) & ~(uintptr_t)15);
    *--top = NULL;      /* so that the stack is aligned as after a call */
    *--top = (void *)f; /* where it returns to */
    for (int i = 0; i < 6; i++) *--top = NULL;
    p->sp = top;
}
#else
struct place {
    ucontext_t c;
};
static void go(place *from, place *to)
{
    swapcontext(&from->c, &to->c);
}
static void begin(place *p, char *stack, size_t bytes, void (*f)())
{
    getcontext(&p->c);
    p->c.uc_stack.ss_sp = stack;
    p->c.uc_stack.ss_size = bytes;
    p->c.uc_link = NULL;
    makecontext(&p->c, f, 0);
}
#endif

enum { STACK = 65536, WORDS = 16 };

struct barrier {
    unsigned here = 0, generation = 0;
};

struct copy {
    void *to;
    char data[16];
};

struct fibre {
    place at;
    emulated_index thread;
    bool done;
    const barrier *waits; /* until its generation is another */
    unsigned generation;
    std::deque<std::vector<copy>> groups;                    /* committed ones, then the open one */
    std::deque<std::vector<std::function<void()>>> products; /* likewise, of those put off */
    uint32_t n_products;
};

struct warp {
    barrier all;
    uint32_t words[32][WORDS];
    unsigned lanes;
};

static place scheduler;
static fibre *current;
static std::vector<fibre> fibres;
static std::vector<warp> warps;
static barrier block;
static std::vector<char> stacks, shared_bytes;
static unsigned n_threads, n_done;
static void (*body)(const void *);
static const void *arguments;
static uint64_t random_state;

static uint32_t random_number()
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}

static void pause()
{
    go(&current->at, &scheduler);
}

static void wait_at(barrier *b, unsigned total)
{
    if (++b->here == total) {
        b->here = 0;
        b->generation++;
        if (random_number() % 2) pause();
        return;
    }
    current->waits = b;
    current->generation = b->generation;
    pause();
}

static void entry()
{
    body(arguments);
    current->done = true;
    n_done++;
    for (;;) pause();
}

uint8_t *emulated_shared()
{
    return (uint8_t *)(((uintptr_t)shared_bytes.data() + 127) & ~(uintptr_t)127);
}

void emulated_block_barrier()
{
    wait_at(&block, n_threads - n_done);
}

static warp *my_warp()
{
    return &warps[threadIdx.x / 32];
}

void emulated_warp_barrier()
{
    wait_at(&my_warp()->all, my_warp()->lanes);
}

void emulated_post(const void *words, size_t bytes)
{
    memcpy(my_warp()->words[threadIdx.x % 32], words, bytes);
    emulated_warp_barrier();
}

const uint32_t *emulated_words(unsigned lane)
{
    return my_warp()->words[lane];
}

void emulated_done()
{
    emulated_warp_barrier();
}

/* ---- asynchronous copies: the data is taken now, and arrives when it is waited for or sooner ----
 */

static std::vector<copy> &open_group()
{
    if (current->groups.empty()) current->groups.emplace_back();
    return current->groups.back();
}

static std::map<uintptr_t, size_t> allocated;
static const char *kernel_name;

void emulator_allocated(void *at, size_t n)
{
    allocated[(uintptr_t)at] = n;
}

void emulator_freed(void *at)
{
    allocated.erase((uintptr_t)at);
}

void emulated_check(const void *p, unsigned n)
{
    const uintptr_t at = (uintptr_t)p;
    const uint8_t *const shared = emulated_shared(), *const here = (const uint8_t *)p;
    if (at % n == 0 && here >= shared &&
        here + n <= (const uint8_t *)shared_bytes.data() + shared_bytes.size())
        return;
    auto of = allocated.upper_bound(at);
    if (at % n == 0 && of != allocated.begin() && (--of, at - of->first + n <= of->second)) return;
    fprintf(stderr,
            "emulator: %s, block (%u, %u, %u), thread %u: %u bytes at %p are not of device memory "
            "or not aligned\n",
            kernel_name, blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, n, p);
    abort();
}

void emulated_copy(void *to, const void *from, unsigned n)
{
    copy c = {to, {0}};
    emulated_check(from, 16); /* also of what is not read */
    if (n > 0) memcpy(c.data, from, n);
    memset(to, 0xff, 16); /* what is there until it arrives */
    open_group().push_back(c);
}

static void arrive(std::vector<copy> &group)
{
    for (copy &c : group) memcpy(c.to, c.data, 16);
}

void emulated_commit()
{
    open_group();
    current->groups.emplace_back();
}

void emulated_wait(unsigned left)
{
    while (current->groups.size() > left + 1) {
        arrive(current->groups.front());
        current->groups.pop_front();
    }
}

/* ---- products of groups of warps: each is made at once or when it is waited for, which all lanes
 * of a warp decide alike; those behind one that was put off are put off, too ---- */

static uint32_t products_random;

static void product(std::function<void()> make)
{
    const uint32_t n = (threadIdx.x / 32 << 16 | ++current->n_products) * 2654435761u;
    if (current->products.empty() && ((n ^ products_random) * 2246822519u) >> 31) {
        make();
        return;
    }
    if (current->products.empty()) current->products.emplace_back();
    current->products.back().push_back(std::move(make));
}

void emulated_products_commit()
{
    if (!current->products.empty()) current->products.emplace_back();
}

void emulated_products_wait(unsigned left)
{
    while (current->products.size() > left + 1) {
        const std::vector<std::function<void()>> group = std::move(current->products.front());
        current->products.pop_front();
        for (const std::function<void()> &make : group) make();
    }
    if (left == 0) current->products.clear();
}

/* ---- bulk copies: a barrier hears of each when it arrives, which is some time when a thread waits
 * ----
 */

struct bulk {
    void *to;
    std::vector<char> data;
    uint64_t *barrier;
};

static std::vector<bulk> bulks;

void emulated_come(uint64_t *b, unsigned arrivals, int bytes)
{
    emulated_barrier v;
    memcpy(&v, b, sizeof v);
    v.missing -= (uint16_t)arrivals;
    v.bytes += bytes;
    if (v.missing == 0 && v.bytes == 0) {
        v.missing = v.all;
        v.parity ^= 1;
    }
    memcpy((void *)b, &v, sizeof v);
}

void emulated_bulk(void *to, const void *from, unsigned n, uint64_t *b)
{
    if (n % 16 != 0 || (uintptr_t)to % 16 != 0) {
        fprintf(stderr, "emulator: %s: a bulk copy of %u bytes to %p\n", kernel_name, n, to);
        abort();
    }
    for (unsigned i = 0; i < n; i += 16) {
        emulated_check((const char *)from + i, 16);
        emulated_check((const char *)to + i, 16);
    }
    bulks.push_back({to, std::vector<char>((const char *)from, (const char *)from + n), b});
    memset(to, 0xff, n); /* what is there until it arrives */
}

void emulated_pause()
{
    for (size_t i = 0; i < bulks.size();)
        if (random_number() % 2) {
            memcpy(bulks[i].to, bulks[i].data.data(), bulks[i].data.size());
            emulated_come(bulks[i].barrier, 0, -(int)bulks[i].data.size());
            bulks.erase(bulks.begin() + (long)i);
        } else {
            i++;
        }
    pause();
}

/* ---- running ---- */

static void start_block(size_t shared)
{
    n_done = 0;
    block = barrier();
    products_random = random_number();
    fibres.assign(n_threads, fibre());
    warps.assign((n_threads + 31) / 32, warp());
    if (stacks.size() < (size_t)n_threads * STACK) stacks.resize((size_t)n_threads * STACK);
    shared_bytes.assign(shared + 128, (char)0xff); /* NaN: nothing may be read that nobody wrote */
    for (unsigned i = 0; i < n_threads; i++) {
        fibres[i].thread = {i, 0, 0};
        warps[i / 32].lanes++;
        begin(&fibres[i].at, stacks.data() + (size_t)i * STACK, STACK, entry);
    }
}

static void run_block()
{
    std::vector<unsigned> order(n_threads);
    for (unsigned i = 0; i < n_threads; i++) order[i] = i;
    for (unsigned idle = 0; n_done < n_threads; idle++) {
        for (unsigned i = n_threads - 1; i > 0; i--) {
            const unsigned k = random_number() % (i + 1), t = order[i];
            order[i] = order[k];
            order[k] = t;
        }
        for (unsigned i : order) {
            fibre *const f = &fibres[i];
            if (f->done || (f->waits != NULL && f->waits->generation == f->generation)) continue;
            f->waits = NULL;
            current = f;
            threadIdx = f->thread;
            go(&scheduler, &f->at);
            idle = 0;
        }
        if (idle > 2) {
            fprintf(stderr, "emulator: the threads of a block wait for each other\n");
            abort();
        }
    }
    bool put_off = !bulks.empty();
    for (const fibre &f : fibres) put_off |= !f.products.empty();
    if (put_off) {
        fprintf(stderr, "emulator: %s ends before its copies arrive or its products are made\n",
                kernel_name);
        abort();
    }
}

static emulated_kernel *kernel_of(const char *name)
{
    for (emulated_kernel *k = kernels; k != NULL; k = k->next)
        if (strcmp(k->name, name) == 0) return k;
    return NULL;
}

void *emulator_kernel(const char *name)
{
    return kernel_of(name);
}

size_t emulator_argument_bytes(const void *kernel)
{
    return ((const emulated_kernel *)kernel)->bytes;
}

void emulator_launch(void *kernel, const unsigned *grid, const unsigned *blocks, size_t shared,
                     const void *args, uint64_t seed)
{
    const emulated_kernel *const k = (const emulated_kernel *)kernel;
    const uint64_t n = (uint64_t)grid[0] * grid[1] * grid[2];
    random_state = seed;
    body = k->run;
    kernel_name = k->name;
    arguments = args;
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {blocks[0], blocks[1], blocks[2]};
    n_threads = blocks[0];
    const uint64_t shift = random_number(), step = n % 7 == 0 ? 1 : 7;
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t b = (i * step + shift) % n;
        blockIdx = {(unsigned)(b % grid[0]), (unsigned)(b / grid[0] % grid[1]),
                    (unsigned)(b / grid[0] / grid[1])};
        start_block(shared);
        run_block();
    }
}

/* ---- matrix instructions: lane 4 g + t ---- */

static float half_of(bool bf16, uint32_t w, int i)
{
    const uint16_t h = (uint16_t)(w >> 16 * i);
    return bf16 ? rmr_bf16_to_f32(h) : rmr_f16_to_f32(h);
}

/* Value (row, k) of A and (k, column) of B of m16n8k16, as posted: a[4], b[2]. */
static void mma16(bool bf16, float *c, const uint32_t *a, const uint32_t *b)
{
    const uint32_t mine[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    const unsigned g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    emulated_post(mine, sizeof mine);
    for (unsigned i = 0; i < 4; i++) {
        const unsigned row = g + i / 2 * 8, column = 2 * t + i % 2;
        double sum = 0;
        for (unsigned k = 0; k < 16; k++) {
            const uint32_t *const from_a = emulated_words(row % 8 * 4 + k % 8 / 2);
            const uint32_t *const from_b = emulated_words(column * 4 + k % 8 / 2);
            sum += (double)half_of(bf16, from_a[row / 8 + k / 8 * 2], k % 2) *
                   (double)half_of(bf16, from_b[4 + k / 8], k % 2);
        }
        c[i] = (float)((double)c[i] + sum);
    }
    emulated_done();
}

void mma_bf16(float *c, const uint32_t *a, const uint32_t *b)
{
    mma16(true, c, a, b);
}

void mma_f16(float *c, const uint32_t *a, const uint32_t *b)
{
    mma16(false, c, a, b);
}

/* Byte `at` of a row: the address says in which order the 16 bytes of a row lie. */
static const void *swizzled(uint64_t rows, unsigned row, unsigned byte)
{
    const uint64_t at = rows + row * 128 + byte;
    return (const void *)(uintptr_t)(at ^ (at >> 3 & 0x70));
}

static float swizzled_value(bool bf16, uint64_t rows, unsigned row, unsigned column)
{
    uint16_t h;
    memcpy(&h, swizzled(rows, row, column * 2), 2);
    return half_of(bf16, h, 0);
}

/* A lane's results of a group's instruction, which are those of this warp's rows: number i. */
static unsigned row_of(unsigned i)
{
    return threadIdx.x % 32 / 4 + i / 2 % 2 * 8;
}

static unsigned column_of(unsigned i)
{
    return i / 4 * 8 + 2 * (threadIdx.x % 4) + i % 2;
}

/* b's rows are columns of d, or of the sums. */
static void warpgroup16(bool bf16, float *d, const uint32_t *a, uint64_t rows, unsigned n,
                        bool transposed, bool more)
{
    const word4 v = {{a[0], a[1], a[2], a[3]}};
    product([=]() {
        emulated_post(v.w, 16);
        for (unsigned i = 0; i < n / 2; i++) {
            const unsigned row = row_of(i), column = column_of(i);
            double sum = 0;
            for (unsigned k = 0; k < 16; k++) {
                const uint32_t *const from = emulated_words(row % 8 * 4 + k % 8 / 2);
                sum += (double)half_of(bf16, from[row / 8 + k / 8 * 2], k % 2) *
                       (double)(transposed ? swizzled_value(bf16, rows, k, column)
                                           : swizzled_value(bf16, rows, column, k));
            }
            d[i] = (float)((more ? (double)d[i] : 0) + sum);
        }
        emulated_done();
    });
}

void emulated_rows(bool bf16, float *d, const uint32_t *a, uint64_t rows, unsigned n, bool more)
{
    warpgroup16(bf16, d, a, rows, n, false, more);
}

void emulated_columns_bf16(float *d, const uint32_t *a, uint64_t rows, bool more)
{
    warpgroup16(true, d, a, rows, 64, true, more);
}

void emulated_shared_bf16(float *d, uint64_t a, uint64_t rows, bool more)
{
    product([=]() {
        const unsigned row0 = threadIdx.x / 32 % 4 * 16;
        for (unsigned i = 0; i < 32; i++) {
            double sum = 0;
            for (unsigned k = 0; k < 16; k++)
                sum += (double)swizzled_value(true, a, row0 + row_of(i), k) *
                       (double)swizzled_value(true, rows, column_of(i), k);
            d[i] = (float)((more ? (double)d[i] : 0) + sum);
        }
    });
}

static int32_t byte_at(uint32_t w, unsigned i, bool is_signed)
{
    const uint8_t v = (uint8_t)(w >> 8 * i);
    return is_signed ? (int8_t)v : v;
}

void emulated_rows_s8(int32_t *d, const uint32_t *a, uint64_t rows, unsigned n, bool more)
{
    const word4 v = {{a[0], a[1], a[2], a[3]}};
    product([=]() {
        emulated_post(v.w, 16);
        for (unsigned i = 0; i < n / 2; i++) {
            const unsigned row = row_of(i), column = column_of(i);
            if (!more) d[i] = 0;
            for (unsigned k = 0; k < 32; k++) {
                const uint32_t *const from = emulated_words(row % 8 * 4 + k % 16 / 4);
                d[i] += byte_at(from[row / 8 + k / 16 * 2], k % 4, true) *
                        *(const int8_t *)swizzled(rows, column, k);
            }
        }
        emulated_done();
    });
}

/* m16n8k32, or with n = 16 m16n8k16, whose a has 2 registers and b one. */
static void mma8(int32_t *c, const uint32_t *a, const uint32_t *b, unsigned n, bool b_signed)
{
    uint32_t mine[6] = {a[0], a[1], 0, 0, b[0], 0};
    const unsigned g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    if (n == 32) {
        mine[2] = a[2];
        mine[3] = a[3];
        mine[5] = b[1];
    }
    emulated_post(mine, sizeof mine);
    for (unsigned i = 0; i < 4; i++) {
        const unsigned row = g + i / 2 * 8, column = 2 * t + i % 2;
        for (unsigned k = 0; k < n; k++) {
            const uint32_t *const from_a = emulated_words(row % 8 * 4 + k % 16 / 4);
            const uint32_t *const from_b = emulated_words(column * 4 + k % 16 / 4);
            c[i] += byte_at(from_a[row / 8 + k / 16 * 2], k % 4, true) *
                    byte_at(from_b[4 + k / 16], k % 4, b_signed);
        }
    }
    emulated_done();
}

void mma_s8(int32_t *c, const uint32_t *a, const uint32_t *b)
{
    mma8(c, a, b, 32, true);
}

void mma_s8_u8(int32_t *c, const uint32_t *a, const uint32_t *b)
{
    mma8(c, a, b, 32, false);
}

void mma_s8_half(int32_t *c, const uint32_t *a, uint32_t b)
{
    mma8(c, a, &b, 16, true);
}

/* Matrix m: register m of lane 4 g + t has words from row g on. */
word4 load_matrices(const void *row)
{
    const uint64_t at = (uint64_t)(uintptr_t)row;
    const unsigned g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    word4 v;
    emulated_post(&at, sizeof at);
    for (unsigned m = 0; m < 4; m++) {
        uint64_t from;
        memcpy(&from, emulated_words(8 * m + g), sizeof from);
        memcpy(&v.w[m], (const char *)(uintptr_t)from + 4 * t, 4);
    }
    emulated_done();
    return v;
}

word4 load_transposed(const void *row)
{
    const uint64_t at = (uint64_t)(uintptr_t)row;
    const unsigned g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    word4 v;
    emulated_post(&at, sizeof at);
    for (unsigned m = 0; m < 4; m++) {
        v.w[m] = 0;
        for (unsigned i = 0; i < 2; i++) {
            uint64_t from;
            uint16_t h;
            memcpy(&from, emulated_words(8 * m + 2 * t + i), sizeof from);
            memcpy(&h, (const char *)(uintptr_t)from + 2 * g, 2);
            v.w[m] |= (uint32_t)h << 16 * i;
        }
    }
    emulated_done();
    return v;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The thread pool. A region lies in one of the pool's slots while it runs. Joining it, taking a
 * number of chunks and leaving are one atomic operation each, on the word `state`; choosing which
 * chunks they are is one more, on the word of a share (`span`). No lock is held anywhere. Helpers
 * look for regions for a short bounded time after the last one, because decoding is hundreds of
 * short regions in a row, and then sleep: idle costs no CPU (P7). */
#include "pool.h"

#include <string.h>

#include "clock.h"
#include "cores.h"
#include "event.h"
#include "fpenv.h"
#include "halt.h"
#include "process.h"
#include "thread.h"

enum { SPIN_US = 40, SPIN_BATCH = 32, MAX_THREADS = 1024, SLOTS = 16, LINE = 64 };
enum { AHEAD_LINES = 8, AHEAD_MOST = 192 << 10 }; /* fetched at a time, and bytes in all */

/* The state of a region: docs/kernels.md, "A region and its state word", draws it and its changes.
 * Only a region with chunks left can be joined, and joining takes some: when none is left and
 * nobody is inside, nobody will touch the region again. A helper stays until none is left, so it
 * joins a region once and worker numbers stay below the width. */
#define CHUNK ((uint64_t)1 << 32)  /* that nobody has taken yet */
#define SLEEPS ((uint64_t)1 << 31) /* the caller does */
#define INSIDE ((uint64_t)1 << 16) /* helpers */
#define JOINED ((uint64_t)1)       /* workers, the caller too */

static uint32_t left(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

static uint32_t inside(uint64_t state)
{
    return (uint32_t)(state / INSIDE) & 0x7fff;
}

static uint32_t joined(uint64_t state)
{
    return (uint32_t)state & 0xffff;
}

/* The state, which every worker changes, has a cache line of its own; the fields behind it change
 * once a region. */
typedef struct region {
    _Alignas(LINE) _Atomic uint64_t state;
    _Alignas(LINE) rmr_range_fn *fn;
    void *arg;
    _Atomic uint32_t most; /* the length of a range, at most */
    rmr_next_region next;
    rmr_halt *halt;         /* NULL: nothing stops it */
    uint64_t chunk_ns;      /* the pace that workers begin with */
    int hooks;              /* chunks run in the modes of their threads */
    int in_order;           /* all chunks are one share, the first one, for everybody */
    _Atomic uint64_t *span; /* [width] the chunks that are left of each share */
    _Atomic uint32_t taken; /* a caller has this slot */
    rmr_event done;         /* the last helper has left a region whose caller sleeps */
} region;

/* A thread that the pool started; its share of a region is number `home`, the caller's is number 0.
 */
typedef struct helper {
    rmr_pool *pool;
    uint32_t home;
    rmr_fpenv mode; /* its own; it is in the library's mode but for regions with hooks */
    rmr_thread thread;
} helper;

struct rmr_pool {
    rmr_mem *mem;
    rmr_host_run_fn run;
    void *run_user;
    uint32_t width;
    uint32_t planned; /* the width that memory was set aside for */
    rmr_pool_why why; /* the width is what it is */
    void(REMORA_CALL *thread_start)(void *user, uint32_t index);
    void *thread_start_user;
    uint32_t process;        /* that has the threads */
    uint32_t n_threads;      /* threads started by us */
    helper *helpers;         /* [width - 1] */
    _Atomic uint64_t *spans; /* the spans of all regions */
    _Alignas(LINE) _Atomic uint32_t sleepers;
    _Atomic uint32_t stop;
    rmr_event work; /* there may be chunks for sleepers, or stop */
    region slot[SLOTS];
};

/* The spans of a region, in lines of their own. */
static size_t span_bytes(const rmr_pool *p)
{
    return ((size_t)p->planned * sizeof *p->spans + LINE - 1) / LINE * LINE;
}

static void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Returns 1 while the thread may go on spinning; *start is 0 before the first call. */
static int spin_on(uint64_t *start)
{
    const uint64_t now = rmr_clock_us();
    if (*start == 0) *start = now;
    return now - *start < SPIN_US;
}

/* ---- regions ---- */

/* The first chunk of a thread's share of n (pool.h). */
static uint32_t share_of(uint32_t n, uint32_t home, uint32_t width)
{
    RMR_ASSERT(home <= width);
    return (uint32_t)((uint64_t)n * home / width);
}

static uint64_t span_of(uint32_t at, uint32_t end)
{
    RMR_ASSERT(at <= end);
    return (uint64_t)end << 32 | at;
}

static uint32_t span_end(uint64_t span)
{
    return (uint32_t)(span >> 32);
}

static uint32_t span_left(uint64_t span)
{
    return span_end(span) - (uint32_t)span;
}

/* Up to *n chunks from the beginning or the end of a span; returns the first, and in *n how many
 * they are. */
static uint32_t take_from(_Atomic uint64_t *span, int end, uint32_t *n)
{
    uint64_t v = atomic_load_explicit(span, memory_order_relaxed);
    uint32_t k;
    do {
        k = span_left(v) < *n ? span_left(v) : *n;
    } while (k > 0 &&
             !atomic_compare_exchange_weak_explicit(span, &v, end ? v - span_of(0, k) : v + k,
                                                    memory_order_relaxed, memory_order_relaxed));
    *n = k;
    return end ? span_end(v) - k : (uint32_t)v;
}

static _Atomic uint64_t *longest_span(const rmr_pool *p, const region *r)
{
    uint32_t best = 0, most = 0;
    for (uint32_t w = 0; w < p->width; w++) {
        const uint32_t n = span_left(atomic_load_explicit(&r->span[w], memory_order_relaxed));
        if (n > most) {
            most = n;
            best = w;
        }
    }
    return &r->span[best];
}

/* Run n chunks that were taken off the state; at least n are left in all spans together. */
static void run_chunks(const rmr_pool *p, const region *r, uint32_t n, uint32_t home,
                       uint32_t worker)
{
    while (n > 0) {
        uint32_t k = n, at = take_from(&r->span[r->in_order ? 0 : home], 0, &k);
        if (k == 0) {
            k = n;
            at = take_from(longest_span(p, r), 1, &k);
        }
        if (k > 0) r->fn(r->arg, at, k, worker);
        n -= k;
    }
}

/* Length of the next range: half of a worker's share of the chunks that are left. */
static uint32_t range_of(uint32_t chunks, uint32_t most, uint32_t width)
{
    const uint32_t n = chunks / (2 * width);
    return n < 1 ? 1 : n < most ? n : most;
}

/* Take a range of the chunks that are left, and `add` to the state. `most` is read before the state
 * is known to belong to the same region, so it may be another region's: then the range is valid but
 * of another length than was meant. */
static int take_range(rmr_pool *p, region *r, uint64_t *v, uint64_t add, uint32_t *n)
{
    const uint32_t most = atomic_load_explicit(&r->most, memory_order_relaxed);
    *n = range_of(left(*v), most, p->width);
    RMR_ASSERT(*n > 0 && *n <= left(*v));
    return atomic_compare_exchange_weak_explicit(&r->state, v, *v - *n * CHUNK + add,
                                                 memory_order_acq_rel, memory_order_relaxed);
}

/* The next range of a thread that is in the region. When no chunk is left it subtracts `leave` from
 * the state and returns 0. *v is the state before that. */
static uint32_t next_range(rmr_pool *p, region *r, uint64_t leave, uint64_t *v)
{
    uint32_t n;
    *v = atomic_load_explicit(&r->state, memory_order_relaxed);
    while (left(*v) > 0)
        if (take_range(p, r, v, 0, &n)) return n;
    RMR_ASSERT(leave == 0 || inside(*v) > 0);
    while (!atomic_compare_exchange_weak_explicit(&r->state, v, *v - leave, memory_order_acq_rel,
                                                  memory_order_relaxed)) {
    }
    return 0;
}

/* Nobody takes a chunk any more. Those that were not run stay in the spans. */
static void abandon(region *r)
{
    uint64_t v = atomic_load_explicit(&r->state, memory_order_relaxed);
    while (left(v) > 0 &&
           !atomic_compare_exchange_weak_explicit(&r->state, &v, v - left(v) * CHUNK,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

/* Run n chunks that were taken off the state, unless it is time to stop. */
static void run_item(const rmr_pool *p, region *r, uint32_t n, uint32_t home, uint32_t worker,
                     rmr_pace *pace)
{
    if (r->halt == NULL) {
        run_chunks(p, r, n, home, worker);
    } else if (rmr_halt_allows(r->halt, pace, n)) {
        run_chunks(p, r, n, home, worker);
        rmr_halt_item_done(r->halt, pace, n);
    } else {
        abandon(r);
    }
}

/* ---- fetching the next region's data ---- */

/* The bytes that a waiting thread has still to fetch into its cache. */
typedef struct ahead {
    uintptr_t at, end;
} ahead;

/* Set *a to the beginning of a thread's share of the next region's data. */
static void look_ahead(const rmr_pool *p, ahead *a, const rmr_next_region *next, uint32_t home)
{
    const uint32_t at = share_of(next->n, home, p->width),
                   end = share_of(next->n, home + 1, p->width);
    const size_t size = (end - at) * next->bytes;
    a->at = (uintptr_t)next->first + at * next->bytes;
    a->end = a->at + (size < AHEAD_MOST ? size : AHEAD_MOST);
}

static void fetch_ahead(ahead *a)
{
    for (int i = 0; i < AHEAD_LINES && a->at < a->end; i++, a->at += LINE)
        __builtin_prefetch((const void *)a->at, 0, 3);
}

/* ---- helpers ---- */

/* The chunks of a region that a thread of the pool gets, the first `taken` of them taken; returns
 * the region's state when it has left. */
static uint64_t help_region(const helper *me, region *r, uint32_t taken, uint32_t worker)
{
    uint64_t v;
    rmr_pace pace = {0, r->chunk_ns};
    const int hooks = r->hooks;
    if (hooks) rmr_fpenv_leave(me->mode);
    do {
        run_item(me->pool, r, taken, me->home, worker, &pace);
        taken = next_range(me->pool, r, INSIDE, &v);
    } while (taken > 0);
    if (hooks) (void)rmr_fpenv_enter();
    return v;
}

/* Join any region and work on it to its end. The next search begins behind its slot, so that
 * regions of several callers are helped in turn. */
static int help(const helper *me, uint32_t *first, ahead *a)
{
    rmr_pool *const p = me->pool;
    for (uint32_t i = 0; i < SLOTS; i++) {
        region *r = &p->slot[(*first + i) % SLOTS];
        /* Acquire: the width may have been set after this thread began, but before any region. */
        uint64_t v = atomic_load_explicit(&r->state, memory_order_acquire);
        uint32_t taken = 0;
        while (left(v) > 0 && !take_range(p, r, &v, INSIDE + JOINED, &taken)) taken = 0;
        if (taken == 0) continue;
        *first += i + 1;
        const uint32_t worker = joined(v);
        RMR_ASSERT(worker < p->width);
        if (r->next.first != NULL) look_ahead(p, a, &r->next, me->home);
        v = help_region(me, r, taken, worker);
        if ((v & SLEEPS) && inside(v) == 1) rmr_event_signal(&r->done, 1);
        return 1;
    }
    return 0;
}

static int stopped(rmr_pool *p)
{
    return atomic_load_explicit(&p->stop, memory_order_relaxed) != 0;
}

/* Look for work until a region was helped or the time is over. */
static int spin(const helper *me, uint32_t *first, ahead *a)
{
    uint64_t start = 0;
    do {
        for (int i = 0; i < SPIN_BATCH; i++) {
            if (help(me, first, a)) return 1;
            fetch_ahead(a);
            cpu_relax();
        }
    } while (spin_on(&start) && !stopped(me->pool));
    return 0;
}

static int work_waits(rmr_pool *p)
{
    for (region *r = p->slot; r < p->slot + SLOTS; r++)
        if (left(atomic_load(&r->state)) > 0) return 1;
    return 0;
}

/* A caller opens a region and then looks at the number of sleepers; this thread adds itself to the
 * sleepers and then looks at the regions. So one of the two sees the other. */
static void doze(rmr_pool *p)
{
    atomic_fetch_add(&p->sleepers, 1);
    const uint32_t seen = atomic_load(&p->work.word);
    if (!work_waits(p) && atomic_load(&p->stop) == 0) rmr_event_wait(&p->work, seen);
    atomic_fetch_sub(&p->sleepers, 1);
}

static void thread_main(void *arg)
{
    helper *const me = arg;
    rmr_pool *const p = me->pool;
    uint32_t first = 0;
    ahead a = {0};
    if (p->thread_start != NULL) p->thread_start(p->thread_start_user, me->home);
    me->mode = rmr_fpenv_enter();
    while (!stopped(p))
        if (!spin(me, &first, &a)) doze(p);
}

/* ---- callers ---- */

static region *take_slot(rmr_pool *p)
{
    for (region *r = p->slot; r < p->slot + SLOTS; r++)
        if (atomic_load_explicit(&r->taken, memory_order_relaxed) == 0 &&
            atomic_exchange_explicit(&r->taken, 1, memory_order_acquire) == 0)
            return r;
    return NULL;
}

/* Wait for helpers still inside: they hold one range each, so spin shortly and then sleep. */
static void wait_helpers(rmr_pool *p, region *r)
{
    uint64_t start = 0;
    ahead a = {0};
    if (r->next.first != NULL) look_ahead(p, &a, &r->next, 0);
    do {
        for (int i = 0; i < SPIN_BATCH; i++) {
            if (inside(atomic_load_explicit(&r->state, memory_order_acquire)) == 0) return;
            fetch_ahead(&a);
            cpu_relax();
        }
    } while (spin_on(&start));
    atomic_fetch_or(&r->state, SLEEPS);
    for (;;) {
        const uint32_t seen = atomic_load(&r->done.word);
        if (inside(atomic_load(&r->state)) == 0) return;
        rmr_event_wait(&r->done, seen);
    }
}

/* Set the mode of a region's chunks, on a thread that is in its own mode; and its own again. */
static rmr_fpenv enter(const rmr_region *o)
{
    return o->hooks ? 0 : rmr_fpenv_enter();
}

static void leave(const rmr_region *o, rmr_fpenv own)
{
    if (!o->hooks) rmr_fpenv_leave(own);
}

/* The spans of a region that begins: those that were left of it, or all chunks. */
static void set_spans(const rmr_pool *p, region *r, const rmr_region *o)
{
    const int again = o->rest != NULL && o->rest->n > 0;
    for (uint32_t w = 0; w < p->width; w++) {
        const uint32_t at = share_of(o->n, w, p->width), end = share_of(o->n, w + 1, p->width);
        uint64_t span = !o->in_order ? span_of(at, end) : w == 0 ? span_of(0, o->n) : 0;
        if (again) span = o->rest->span[w];
        atomic_store_explicit(&r->span[w], span, memory_order_relaxed);
    }
}

/* Keep the chunks that were not run. Nobody is inside any more. Returns their number. */
static uint32_t keep_spans(const rmr_pool *p, const region *r, rmr_rest *rest)
{
    rest->n = 0;
    for (uint32_t w = 0; w < p->width; w++) {
        rest->span[w] = atomic_load_explicit(&r->span[w], memory_order_relaxed);
        rest->n += span_left(rest->span[w]);
    }
    return rest->n;
}

/* Every chunk of the region has run, unless it was stopped, and nobody is inside any more. */
static int is_over(const rmr_pool *p, const region *r)
{
    const uint64_t v = atomic_load(&r->state);
    for (uint32_t w = 0; w < p->width && r->halt == NULL; w++)
        if (span_left(atomic_load(&r->span[w])) > 0) return 0;
    return left(v) == 0 && inside(v) == 0 && joined(v) <= p->width;
}

/* In a child of fork() nobody sleeps, for there is nobody but the caller: it does all chunks of its
 * regions. A region that was under way in the parent keeps its slot for ever. */
static void wake(rmr_pool *p, uint32_t n)
{
    if (p->process == rmr_process())
        rmr_event_signal(&p->work, n);
    else
        atomic_store(&p->sleepers, 0);
}

/* n: the chunks that are left of it. */
static int run_region(rmr_pool *p, region *r, const rmr_region *o, uint32_t n)
{
    uint64_t v = n * CHUNK + JOINED;
    RMR_ASSERT(left(atomic_load(&r->state)) == 0 && inside(atomic_load(&r->state)) == 0);
    uint32_t taken = range_of(n, o->most, p->width);
    rmr_pace pace = {0, o->rest != NULL ? o->rest->chunk_ns : 0};
    r->fn = o->fn;
    r->arg = o->arg;
    r->in_order = o->in_order;
    r->hooks = o->hooks;
    r->halt = o->halt;
    r->chunk_ns = pace.chunk_ns;
    set_spans(p, r, o);
    r->next = o->next != NULL ? *o->next : (rmr_next_region){0};
    atomic_store_explicit(&r->most, o->most, memory_order_relaxed);
    atomic_store(&r->state, v - taken * CHUNK);
    const uint32_t sleepers = atomic_load(&p->sleepers);
    if (sleepers > 0) wake(p, n - 1 < sleepers ? n - 1 : sleepers);
    const rmr_fpenv own = enter(o);
    do {
        run_item(p, r, taken, 0, 0, &pace);
        taken = next_range(p, r, 0, &v);
    } while (taken > 0);
    leave(o, own);
    if (inside(v) > 0) wait_helpers(p, r);
    RMR_ASSERT(is_over(p, r));
    const int done = o->halt == NULL || keep_spans(p, r, o->rest) == 0;
    if (o->rest != NULL) o->rest->chunk_ns = pace.chunk_ns;
    if (o->rest != NULL && done) o->rest->n = 0;
    atomic_store_explicit(&r->taken, 0, memory_order_release);
    return done;
}

/* ---- one thread alone ---- */

/* The caller's items of what is left. */
static int run_alone(const rmr_pool *p, const rmr_region *o)
{
    rmr_rest *const rest = o->rest;
    if (rest->n == 0) {
        for (uint32_t w = 0; w < p->width; w++) rest->span[w] = w == 0 ? span_of(0, o->n) : 0;
        rest->n = o->n;
    }
    rmr_pace pace = {0, rest->chunk_ns};
    for (uint32_t w = 0; w < p->width; w++)
        for (uint32_t n; (n = span_left(rest->span[w])) > 0; rest->n -= n) {
            if (o->halt != NULL && n > o->most) n = o->most;
            if (o->halt != NULL && !rmr_halt_allows(o->halt, &pace, n)) return 0;
            o->fn(o->arg, (uint32_t)rest->span[w], n, 0);
            rest->span[w] += n;
            if (o->halt != NULL) rmr_halt_item_done(o->halt, &pace, n);
            rest->chunk_ns = pace.chunk_ns;
        }
    return 1;
}

/* ---- a host's job system ---- */

typedef struct host_region {
    const rmr_region *o;
    uint32_t end, range, width;
    _Atomic uint32_t take, joined;
    _Atomic uint64_t chunk_ns; /* of the last item */
} host_region;

/* Take the next range; 0: there is none. */
static uint32_t take_of_host(host_region *r, uint32_t *first)
{
    uint32_t k;
    *first = atomic_load_explicit(&r->take, memory_order_relaxed);
    do {
        k = r->end - *first < r->range ? r->end - *first : r->range;
    } while (k > 0 && !atomic_compare_exchange_weak_explicit(
                          &r->take, first, *first + k, memory_order_relaxed, memory_order_relaxed));
    return k;
}

static void host_items(host_region *r, uint32_t worker)
{
    rmr_halt *const halt = r->o->halt;
    rmr_pace pace = {0, atomic_load_explicit(&r->chunk_ns, memory_order_relaxed)};
    uint32_t i, k;
    while (atomic_load_explicit(&r->take, memory_order_relaxed) < r->end) {
        if (halt != NULL && !rmr_halt_allows(halt, &pace, r->range)) return;
        if ((k = take_of_host(r, &i)) == 0) return;
        r->o->fn(r->o->arg, i, k, worker);
        if (halt == NULL) continue;
        rmr_halt_item_done(halt, &pace, k);
        atomic_store_explicit(&r->chunk_ns, pace.chunk_ns, memory_order_relaxed);
    }
}

static void host_work(host_region *r, uint32_t worker)
{
    const rmr_fpenv own = enter(r->o);
    host_items(r, worker);
    leave(r->o, own);
}

static void REMORA_CALL host_part(void *arg, uint32_t i)
{
    host_region *r = arg;
    const uint32_t worker = atomic_fetch_add_explicit(&r->joined, 1, memory_order_relaxed);
    (void)i;
    if (worker >= r->width) return; /* the host ran a part twice: no scratch is left for it */
    host_work(r, worker);
}

/* Ranges of one size: an eighth of a worker's share. What is left is one span. */
static int run_by_host(rmr_pool *p, const rmr_region *o, uint32_t n)
{
    rmr_rest *const rest = o->rest;
    if (o->halt != NULL && !rmr_halt_allows(o->halt, &(rmr_pace){0}, 0)) return 0;
    host_region r = {.o = o, .end = o->n, .width = p->width};
    r.range = range_of(n / 4, o->most, p->width);
    atomic_init(&r.take, o->n - n);
    if (rest != NULL) atomic_init(&r.chunk_ns, rest->chunk_ns);
    if (p->process == rmr_process()) /* the threads of the host's job system are not in a child */
        p->run(p->run_user, n < p->width ? n : p->width, host_part, &r);
    host_work(&r, 0); /* the host may run fewer parts than asked: take the chunks that are left */
    const uint32_t at = atomic_load(&r.take);
    RMR_ASSERT(at == o->n || o->halt != NULL);
    if (rest == NULL) return 1;
    *rest = (rmr_rest){rest->span, o->n - at, atomic_load(&r.chunk_ns)};
    for (uint32_t w = 0; w < p->width; w++) rest->span[w] = w == 0 ? span_of(at, o->n) : 0;
    return rest->n == 0;
}

int rmr_pool_run_region(rmr_pool *p, const rmr_region *o)
{
    const uint32_t n = o->rest != NULL && o->rest->n > 0 ? o->rest->n : o->n;
    region *r;
    RMR_ASSERT(o->most > 0 && p->width > 0 && n <= o->n && (o->halt == NULL || o->rest != NULL));
    if (n > 1 && p->width > 1 && p->run != NULL) return run_by_host(p, o, n);
    if (n > 1 && p->n_threads > 0 && (r = take_slot(p)) != NULL) return run_region(p, r, o, n);
    const rmr_fpenv own = enter(o);
    int done = 1;
    if (o->rest != NULL && (o->halt != NULL || n < o->n))
        done = n == 0 || run_alone(p, o);
    else if (n > 0)
        o->fn(o->arg, 0, n, 0);
    leave(o, own);
    return done;
}

void rmr_pool_one_by_one(void *chunks, uint32_t first, uint32_t n, uint32_t worker)
{
    const rmr_chunks *c = chunks;
    for (uint32_t i = first; i < first + n; i++) c->fn(c->arg, i, worker);
}

static void run_in_order(rmr_pool *p, uint32_t n, rmr_chunks c, int hooks)
{
    (void)rmr_pool_run_region(p, &(rmr_region){.n = n,
                                               .most = 1,
                                               .fn = rmr_pool_one_by_one,
                                               .arg = &c,
                                               .in_order = 1,
                                               .hooks = hooks});
}

void rmr_pool_run(rmr_pool *p, uint32_t n, rmr_chunk_fn *fn, void *arg)
{
    run_in_order(p, n, (rmr_chunks){fn, arg}, 0);
}

void rmr_pool_run_hooks(rmr_pool *p, uint32_t n, rmr_chunk_fn *fn, void *arg)
{
    run_in_order(p, n, (rmr_chunks){fn, arg}, 1);
}

static remora_status start_threads(rmr_pool *p, remora_error *err)
{
    const uint32_t n = p->width - 1;
    if (p->run != NULL || n == 0) return REMORA_OK;
    p->helpers = rmr_calloc(p->mem, n, sizeof *p->helpers);
    if (p->helpers == NULL) return rmr_error_nomem(err, "thread pool", n * sizeof *p->helpers);
    p->spans = rmr_calloc(p->mem, SLOTS, span_bytes(p));
    if (p->spans == NULL) return rmr_error_nomem(err, "thread pool", SLOTS * span_bytes(p));
    for (uint32_t i = 0; i < SLOTS; i++)
        p->slot[i].span = p->spans + i * span_bytes(p) / sizeof *p->spans;
    for (uint32_t i = 0; i < n; i++) {
        p->helpers[i] = (helper){.pool = p, .home = i + 1};
        if (!rmr_thread_start(&p->helpers[i].thread, thread_main, &p->helpers[i])) break;
        p->n_threads++;
    }
    if (p->n_threads == n) return REMORA_OK;
    p->width = p->n_threads + 1; /* no thread reads it before there is a region */
    p->why = RMR_POOL_NO_THREADS;
    return REMORA_OK;
}

static void set_width(rmr_pool *p, uint32_t asked)
{
    const rmr_cores cores = asked > 0 ? (rmr_cores){asked, 0} : rmr_usable_cores("");
    p->width = p->planned = cores.n < MAX_THREADS ? cores.n : MAX_THREADS;
    p->why = asked > 0 ? RMR_POOL_ASKED : cores.by_cgroup ? RMR_POOL_CGROUP : RMR_POOL_CORES;
}

remora_status rmr_pool_create(rmr_mem *mem, uint32_t n_threads, rmr_host_run_fn run, void *run_user,
                              rmr_pool **out, remora_error *err)
{
    const rmr_pool_opts o = {.n_threads = n_threads, .run = run, .run_user = run_user};
    return rmr_pool_create_with(mem, &o, out, err);
}

remora_status rmr_pool_create_with(rmr_mem *mem, const rmr_pool_opts *o, rmr_pool **out,
                                   remora_error *err)
{
    *out = NULL;
    if (o->n_threads > MAX_THREADS)
        RMR_FAIL(err, REMORA_E_ARG, "n_threads %u is above %d", o->n_threads, MAX_THREADS);
    rmr_pool *p = rmr_calloc(mem, 1, sizeof *p);
    if (p == NULL) return rmr_error_nomem(err, "thread pool", sizeof *p);
    p->mem = mem;
    p->process = rmr_process();
    p->run = o->run;
    p->run_user = o->run_user;
    p->thread_start = o->thread_start;
    p->thread_start_user = o->thread_start_user;
    set_width(p, o->n_threads);
    rmr_event_init(&p->work);
    for (uint32_t i = 0; i < SLOTS; i++) rmr_event_init(&p->slot[i].done);
    const remora_status st = start_threads(p, err);
    if (st < 0) {
        rmr_pool_free(p);
        return st;
    }
    *out = p;
    return REMORA_OK;
}

static void end_threads(rmr_pool *p)
{
    for (uint32_t i = 0; i < SLOTS; i++) RMR_ASSERT(atomic_load(&p->slot[i].taken) == 0);
    atomic_store(&p->stop, 1);
    rmr_event_signal(&p->work, MAX_THREADS);
    for (uint32_t i = 0; i < p->n_threads; i++) rmr_thread_join(&p->helpers[i].thread);
}

void rmr_pool_free(rmr_pool *p)
{
    if (p == NULL) return;
    if (p->process == rmr_process()) end_threads(p);
    if (p->helpers != NULL) rmr_free(p->mem, p->helpers, (p->planned - 1) * sizeof *p->helpers);
    if (p->spans != NULL) rmr_free(p->mem, p->spans, SLOTS * span_bytes(p));
    for (uint32_t i = 0; i < SLOTS; i++) rmr_event_destroy(&p->slot[i].done);
    rmr_event_destroy(&p->work);
    rmr_free(p->mem, p, sizeof *p);
}

uint32_t rmr_pool_width(const rmr_pool *p)
{
    return p->width;
}

rmr_pool_why rmr_pool_because(const rmr_pool *p)
{
    return p->why;
}

/* The thread pool. A region lives on its caller's stack and is listed in the pool while it has
 * chunks left; idle workers join the oldest one. Workers look for new regions for a short bounded
 * time after the last one, because decoding is hundreds of short regions in a row, and then sleep:
 * idle costs no CPU (P7). */
#define _GNU_SOURCE
#include "pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fpenv.h"

enum { SPIN_US = 40, SPIN_BATCH = 64, MAX_THREADS = 1024 };

typedef struct region {
    struct region *next; /* in the pool's list, under its lock */
    rmr_chunk_fn *fn;
    void *arg;
    uint32_t n;
    uint32_t joined;         /* worker numbers given out, under the lock */
    _Atomic uint32_t take;   /* next chunk */
    _Atomic uint32_t inside; /* threads other than the caller still working */
    rmr_pool *pool;
} region;

struct rmr_pool {
    rmr_mem *mem;
    rmr_host_run_fn run;
    void *run_user;
    uint32_t width;
    uint32_t n_threads; /* threads started by us */
    pthread_t *threads;
    pthread_mutex_t lock;
    pthread_cond_t work; /* a region was listed, or stop */
    pthread_cond_t done; /* a region lost its last helper */
    region *regions;
    uint32_t sleepers;      /* under the lock */
    _Atomic uint32_t epoch; /* counts listed regions: what spinning workers watch */
    _Atomic int stop;
};

static void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Spin until *word differs from `old` or the spin time is over. */
static int spin_while_equal(_Atomic uint32_t *word, uint32_t old)
{
    const uint64_t start = rmr_clock_us();
    do {
        for (int i = 0; i < SPIN_BATCH; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != old) return 1;
            cpu_relax();
        }
    } while (rmr_clock_us() - start < SPIN_US);
    return 0;
}

static void work_on(region *r, uint32_t worker)
{
    uint32_t i;
    while ((i = atomic_fetch_add_explicit(&r->take, 1, memory_order_relaxed)) < r->n)
        r->fn(r->arg, i, worker);
}

static int has_chunks(region *r)
{
    return atomic_load_explicit(&r->take, memory_order_relaxed) < r->n;
}

/* Under the lock: the first region with chunks and worker numbers left. */
static region *find_region(rmr_pool *p)
{
    for (region *r = p->regions; r != NULL; r = r->next)
        if (has_chunks(r) && r->joined < p->width) return r;
    return NULL;
}

/* The helper's last touch of a region: after the count drops to 0 its memory may be gone. */
static void leave_region(rmr_pool *p, region *r)
{
    if (atomic_fetch_sub_explicit(&r->inside, 1, memory_order_acq_rel) == 1) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->done);
        pthread_mutex_unlock(&p->lock);
    }
}

static void *thread_main(void *arg)
{
    rmr_pool *p = arg;
    rmr_fpenv_enter();
    pthread_mutex_lock(&p->lock);
    while (!atomic_load_explicit(&p->stop, memory_order_relaxed)) {
        region *r = find_region(p);
        if (r != NULL) {
            const uint32_t worker = r->joined++;
            atomic_fetch_add_explicit(&r->inside, 1, memory_order_relaxed);
            pthread_mutex_unlock(&p->lock);
            work_on(r, worker);
            leave_region(p, r);
        } else {
            const uint32_t seen = atomic_load_explicit(&p->epoch, memory_order_relaxed);
            pthread_mutex_unlock(&p->lock);
            if (!spin_while_equal(&p->epoch, seen)) {
                pthread_mutex_lock(&p->lock);
                p->sleepers++;
                while (atomic_load_explicit(&p->epoch, memory_order_relaxed) == seen &&
                       !atomic_load_explicit(&p->stop, memory_order_relaxed))
                    pthread_cond_wait(&p->work, &p->lock);
                p->sleepers--;
                pthread_mutex_unlock(&p->lock);
            }
        }
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void list_region(rmr_pool *p, region *r)
{
    region **at = &p->regions;
    pthread_mutex_lock(&p->lock);
    while (*at != NULL) at = &(*at)->next;
    *at = r;
    atomic_fetch_add_explicit(&p->epoch, 1, memory_order_release);
    if (p->sleepers > 0) pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}

static void unlist_region(rmr_pool *p, region *r)
{
    region **at = &p->regions;
    pthread_mutex_lock(&p->lock);
    while (*at != r) at = &(*at)->next;
    *at = r->next;
    pthread_mutex_unlock(&p->lock);
}

/* Wait for helpers still inside: they hold one chunk each, so spin shortly and then sleep. */
static void wait_helpers(rmr_pool *p, region *r)
{
    const uint64_t start = rmr_clock_us();
    do {
        for (int i = 0; i < SPIN_BATCH; i++) {
            if (atomic_load_explicit(&r->inside, memory_order_acquire) == 0) return;
            cpu_relax();
        }
    } while (rmr_clock_us() - start < SPIN_US);
    pthread_mutex_lock(&p->lock);
    while (atomic_load_explicit(&r->inside, memory_order_acquire) != 0)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void REMORA_CALL host_part(void *arg, uint32_t i)
{
    region *r = arg;
    const uint32_t worker = atomic_fetch_add_explicit(&r->inside, 1, memory_order_relaxed);
    (void)i;
    if (worker >= r->pool->width)
        return; /* a host that runs parts twice: no scratch for this one */
    const rmr_fpenv saved = rmr_fpenv_enter();
    work_on(r, worker);
    rmr_fpenv_leave(saved);
}

void rmr_pool_run(rmr_pool *p, uint32_t n, rmr_chunk_fn *fn, void *arg)
{
    region r = {.fn = fn, .arg = arg, .n = n, .joined = 1, .pool = p};
    if (n == 0) return;
    if (n == 1 || p->width == 1) {
        for (uint32_t i = 0; i < n; i++) fn(arg, i, 0);
    } else if (p->run != NULL) {
        p->run(p->run_user, n < p->width ? n : p->width, host_part, &r);
        work_on(&r, 0); /* a host that ran fewer parts than asked leaves nothing undone */
    } else {
        list_region(p, &r);
        work_on(&r, 0);
        unlist_region(p, &r);
        wait_helpers(p, &r);
    }
}

static uint32_t usable_cores(void)
{
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
#endif
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

/* The host's signals are for the host's threads: ours start with all of them blocked. */
static int start_thread(rmr_pool *p, pthread_t *thread)
{
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return EAGAIN;
    const int e = pthread_create(thread, NULL, thread_main, p);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return e;
}

static remora_status start_threads(rmr_pool *p, remora_error *err)
{
    const uint32_t n = p->width - 1;
    if (p->run != NULL || n == 0) return REMORA_OK;
    p->threads = rmr_calloc(p->mem, n, sizeof *p->threads);
    if (p->threads == NULL) return rmr_error_nomem(err, "thread pool", n * sizeof *p->threads);
    for (uint32_t i = 0; i < n; i++) {
        const int e = start_thread(p, &p->threads[i]);
        if (e != 0)
            return rmr_error_set(err, REMORA_E_NOMEM, e, "cannot start worker thread %u of %u",
                                 i + 1, n);
        p->n_threads++;
    }
    return REMORA_OK;
}

remora_status rmr_pool_create(rmr_mem *mem, uint32_t n_threads, rmr_host_run_fn run, void *run_user,
                              rmr_pool **out, remora_error *err)
{
    *out = NULL;
    if (n_threads > MAX_THREADS)
        RMR_FAIL(err, REMORA_E_ARG, "n_threads %u is above %d", n_threads, MAX_THREADS);
    rmr_pool *p = rmr_calloc(mem, 1, sizeof *p);
    if (p == NULL) return rmr_error_nomem(err, "thread pool", sizeof *p);
    p->mem = mem;
    p->run = run;
    p->run_user = run_user;
    p->width = n_threads > 0 ? n_threads : usable_cores();
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->done, NULL);
    const remora_status st = start_threads(p, err);
    if (st < 0) {
        rmr_pool_free(p);
        return st;
    }
    *out = p;
    return REMORA_OK;
}

void rmr_pool_free(rmr_pool *p)
{
    if (p == NULL) return;
    pthread_mutex_lock(&p->lock);
    atomic_store_explicit(&p->stop, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&p->epoch, 1, memory_order_release);
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (uint32_t i = 0; i < p->n_threads; i++) pthread_join(p->threads[i], NULL);
    if (p->threads != NULL) rmr_free(p->mem, p->threads, (p->width - 1) * sizeof *p->threads);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    rmr_free(p->mem, p, sizeof *p);
}

uint32_t rmr_pool_width(const rmr_pool *p)
{
    return p->width;
}

uint64_t rmr_pool_bytes(const rmr_pool *p)
{
    return sizeof *p + (p->threads != NULL ? (p->width - 1) * sizeof *p->threads : 0);
}

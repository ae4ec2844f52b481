/* How fast N threads read memory at once: the roof of decoding, measured in the same run.
 *
 *     bandwidth THREADS [MEGABYTES_EACH] prints GB/s, the best of the passes */
#define _DEFAULT_SOURCE
#include "peak.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "kernels.h"

enum { MAX_THREADS = 256, PASSES = 7, HUGE_PAGE = 2 << 20 };

typedef struct reader {
    pthread_t thread;
    pthread_barrier_t *barrier;
    double (*read)(const float *p, size_t n);
    float *data;
    size_t n;
    double sum;
} reader;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *work(void *arg)
{
    reader *r = arg;
    for (int pass = 0; pass < PASSES; pass++) {
        pthread_barrier_wait(r->barrier);
        r->sum += r->read(r->data, r->n);
        pthread_barrier_wait(r->barrier);
    }
    return NULL;
}

static float *block(size_t bytes)
{
    void *p = NULL;
    if (posix_memalign(&p, HUGE_PAGE, bytes) != 0) return NULL;
    madvise(p, bytes, MADV_HUGEPAGE);
    memset(p, 0, bytes);
    return p;
}

int main(int argc, char **argv)
{
    static reader r[MAX_THREADS];
    const int n = argc > 1 ? atoi(argv[1]) : 1;
    const size_t bytes = (argc > 2 ? (size_t)atoi(argv[2]) : 512) << 20;
    const peak p = peak_of(rmr_kernels_pick(NULL)->name);
    pthread_barrier_t barrier;
    double best = 0;
    if (n < 1 || n > MAX_THREADS || bytes == 0) return 2;
    pthread_barrier_init(&barrier, NULL, (unsigned)n + 1);
    for (int i = 0; i < n; i++) {
        r[i] = (reader){.barrier = &barrier, .read = p.read, .data = block(bytes), .n = bytes / 4};
        if (r[i].data == NULL || pthread_create(&r[i].thread, NULL, work, &r[i]) != 0) return 1;
    }
    for (int pass = 0; pass < PASSES; pass++) {
        pthread_barrier_wait(&barrier);
        const double start = now();
        pthread_barrier_wait(&barrier);
        const double rate = 1e-9 * (double)n * (double)bytes / (now() - start);
        if (rate > best) best = rate;
    }
    for (int i = 0; i < n; i++) pthread_join(r[i].thread, NULL);
    printf("%.2f\n", best);
    return 0;
}

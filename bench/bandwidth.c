/* How fast N threads read memory at once: the roof of decoding, measured in the same run.
 *
 *     bandwidth THREADS [MEGABYTES_EACH [huge|4k [plain|prefetch|streams]]]
 *
 * prints a line for each kind of pages and way of reading, and last the best one's: GB/s of the
 * median pass and of the fastest. On a shared host the fastest of many passes of some 60 ms is what
 * nothing that runs for seconds can reach; the median is what memory gives meanwhile. What is read
 * must be much larger than the last cache, all of whose owners share it: the default, or 0, is 1 GB
 * for each thread, and 2 GB for one. */
#define _DEFAULT_SOURCE
#include "peak.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "kernels.h"

enum { MAX_THREADS = 256, PASSES = 15, HUGE_PAGE = 2 << 20 };

typedef struct reader {
    pthread_t thread;
    pthread_barrier_t *barrier;
    peak_read *read;
    float *data;
    size_t n;
    double sum, start, end; /* of the last pass */
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
        r->start = now();
        r->sum += r->read(r->data, r->n);
        r->end = now();
        pthread_barrier_wait(r->barrier);
    }
    return NULL;
}

static float *block(size_t bytes, int huge)
{
    void *p =
        mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    p = (char *)p + (-(uintptr_t)p & (HUGE_PAGE - 1));
    madvise(p, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    memset(p, 0, bytes);
    return p;
}

/* Seconds from the first that starts to the last that ends, by their own clocks: whoever waits for
 * them may get a core only when one of them is done. */
static double seconds(const reader *r, int n)
{
    double start = r[0].start, end = r[0].end;
    for (int i = 1; i < n; i++) {
        if (r[i].start < start) start = r[i].start;
        if (r[i].end > end) end = r[i].end;
    }
    return end - start;
}

static int by_rate(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct speed {
    double median, fastest;
} speed;

/* GB/s of passes of all threads over their own blocks; below 0: no thread. */
static speed measure(reader *r, int n, peak_read *read)
{
    pthread_barrier_t barrier;
    double rate[PASSES];
    pthread_barrier_init(&barrier, NULL, (unsigned)n + 1);
    for (int i = 0; i < n; i++) {
        r[i].read = read;
        r[i].barrier = &barrier;
        if (pthread_create(&r[i].thread, NULL, work, &r[i]) != 0) return (speed){-1, -1};
    }
    for (int pass = 0; pass < PASSES; pass++) {
        pthread_barrier_wait(&barrier); /* go */
        pthread_barrier_wait(&barrier); /* all are done, and wait for the next pass */
        rate[pass] = 4e-9 * (double)n * (double)r[0].n / seconds(r, n);
    }
    for (int i = 0; i < n; i++) pthread_join(r[i].thread, NULL);
    pthread_barrier_destroy(&barrier);
    qsort(rate, PASSES, sizeof *rate, by_rate);
    return (speed){rate[PASSES / 2], rate[PASSES - 1]};
}

int main(int argc, char **argv)
{
    static reader r[MAX_THREADS];
    static const char *const pages[] = {"4k", "huge"};
    const int n = argc > 1 ? atoi(argv[1]) : 1;
    const size_t mb = argc > 2 && atoi(argv[2]) != 0 ? (size_t)atoi(argv[2])
                      : n == 1                       ? 2048
                                                     : 1024,
                 bytes = mb << 20;
    const peak p = peak_of(rmr_kernels_pick(NULL)->name);
    speed best = {0, 0};
    if (n < 1 || n > MAX_THREADS || bytes == 0) return 2;
    for (int huge = 1; huge >= 0; huge--) {
        if (argc > 3 && strcmp(argv[3], pages[huge]) != 0) continue;
        for (int i = 0; i < n; i++) {
            r[i].data = block(bytes, huge);
            r[i].n = bytes / sizeof(float);
            if (r[i].data == NULL) return 1;
        }
        for (int k = 0; k < PEAK_READS; k++) {
            if (argc > 4 && strcmp(argv[4], peak_read_name[k]) != 0) continue;
            const speed s = measure(r, n, p.read[k]);
            if (s.median < 0) return 1;
            if (s.median > best.median) best = s;
            printf("%s %s %.2f %.2f\n", pages[huge], peak_read_name[k], s.median, s.fastest);
        }
        for (int i = 0; i < n; i++) munmap(r[i].data, bytes);
    }
    printf("best %.2f %.2f\n", best.median, best.fastest);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* How fast N threads read memory at once: the roof of decoding, measured in the same run.
 *
 *     bandwidth THREADS [MEGABYTES_EACH [huge|4k [plain|prefetch|streams]]]
 *     bandwidth THREADS FILE [plain|prefetch|streams]
 *
 * prints a line for each kind of pages and way of reading, and last the best one's: GB/s of the
 * median pass and of the fastest. On a shared host the fastest of many passes of some 60 ms is what
 * nothing that runs for seconds can reach; the median is what memory gives meanwhile. What is read
 * must be much larger than the last cache, all of whose owners share it: the default, or 0, is 1 GB
 * for each thread, and 2 GB for one.
 *
 * With FILE it is the pages of the system's cache that hold this file, mapped as the library maps
 * it: memory is not the same everywhere, least of all under a hypervisor. */
#define _DEFAULT_SOURCE
#include "peak.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels.h"
#include "measure.h"

enum { MAX_THREADS = 256, PASSES = 15, HUGE_PAGE = 2 << 20 };

typedef struct reader {
    pthread_t thread;
    pthread_barrier_t *barrier;
    peak_read *read;
    float *data;
    size_t n;
    double sum, start, end; /* of the last pass */
} reader;

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

/* A file as the library maps it. */
static float *file_pages(const char *path, size_t *bytes)
{
    struct stat st;
    const int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0) return NULL;
    void *const p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED) return NULL;
    madvise(p, (size_t)st.st_size, MADV_HUGEPAGE);
    *bytes = (size_t)st.st_size;
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

/* All ways of reading n blocks, or the one that is named; a line each. Returns whether threads
 * could be started. */
static int all_ways(reader *r, int n, const char *pages, const char *way, speed *best)
{
    const peak p = peak_of(rmr_kernels_pick(NULL)->name);
    for (int k = 0; k < PEAK_READS; k++) {
        if (way != NULL && strcmp(way, peak_read_name[k]) != 0) continue;
        const speed s = measure(r, n, p.read[k]);
        if (s.median < 0) return 0;
        if (s.median > best->median) *best = s;
        printf("%s %s %.2f %.2f\n", pages, peak_read_name[k], s.median, s.fastest);
    }
    return 1;
}

/* What the first pass does to bring the pages in, the median of all passes does not see. */
static int read_file(reader *r, int n, const char *path, const char *way, speed *best)
{
    size_t bytes;
    float *const data = file_pages(path, &bytes);
    if (data == NULL) {
        perror(path);
        return 0;
    }
    const size_t each = bytes / sizeof(float) / (size_t)n / PEAK_BLOCK * PEAK_BLOCK;
    for (int i = 0; i < n; i++) {
        r[i].data = data + (size_t)i * each;
        r[i].n = each;
    }
    return all_ways(r, n, "file", way, best);
}

static int read_own(reader *r, int n, size_t bytes, const char *only, const char *way, speed *best)
{
    static const char *const pages[] = {"4k", "huge"};
    for (int huge = 1; huge >= 0; huge--) {
        if (only != NULL && strcmp(only, pages[huge]) != 0) continue;
        for (int i = 0; i < n; i++) {
            r[i].data = block(bytes, huge);
            r[i].n = bytes / sizeof(float);
            if (r[i].data == NULL) return 0;
        }
        if (!all_ways(r, n, pages[huge], way, best)) return 0;
        for (int i = 0; i < n; i++) munmap(r[i].data, bytes);
    }
    return 1;
}

int main(int argc, char **argv)
{
    static reader r[MAX_THREADS];
    const int n = argc > 1 ? atoi(argv[1]) : 1;
    const char *const what = argc > 2 ? argv[2] : "0", *const third = argc > 3 ? argv[3] : NULL;
    const int is_file = what[strspn(what, "0123456789")] != '\0';
    const size_t mb = atoi(what) != 0 ? (size_t)atoi(what) : n == 1 ? 2048 : 1024;
    speed best = {0, 0};
    if (n < 1 || n > MAX_THREADS) return 2;
    if (!(is_file ? read_file(r, n, what, third, &best)
                  : read_own(r, n, mb << 20, third, argc > 4 ? argv[4] : NULL, &best)))
        return 1;
    printf("best %.2f %.2f\n", best.median, best.fastest);
    return 0;
}

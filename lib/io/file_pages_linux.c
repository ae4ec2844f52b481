/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a piece of a mapping lies in a large page shows after one byte of it was read: with a
 * large page all of the piece is mapped then, with small ones no more than the 64 kB around it.
 *
 *     piece of 2 MB    |*...............|................|
 *                       ^ read           ^ 1 MB on: mapped, too?
 */
#define _DEFAULT_SOURCE /* mincore, madvise */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include "file_pages.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    SMALL_PAGE = 4096,
    PIECE = 2 << 20,
    LEAST = 32 * PIECE,
    MOST_LOOKS = 64,
    FEW = 20, /* one in so many */
};

typedef struct look {
    const unsigned char *map;
    uint64_t pieces; /* whole ones */
    int fd, pagemap; /* descriptors */
} look;

typedef enum found { NOT_CACHED, LARGE, SMALL } found;

/* Bit 63 of a page's word in /proc/self/pagemap. */
static int is_mapped(const look *l, const unsigned char *at)
{
    uint64_t word = 0;
    const uint64_t page = (uintptr_t)at / SMALL_PAGE;
    return pread(l->pagemap, &word, sizeof word, (off_t)(page * sizeof word)) == sizeof word &&
           word >> 63;
}

static void *without_const(const void *p)
{
    void *q;
    memcpy(&q, &p, sizeof q);
    return q;
}

static int is_cached(const unsigned char *at)
{
    unsigned char in = 0;
    return mincore(without_const(at), 1, &in) == 0 && (in & 1);
}

static found touch(const look *l, uint64_t piece)
{
    const unsigned char *at = l->map + piece * PIECE;
    (void)*(const volatile unsigned char *)at;
    return is_mapped(l, at + PIECE / 2) ? LARGE : SMALL;
}

static found look_at(const look *l, uint64_t piece)
{
    const unsigned char *at = l->map + piece * PIECE;
    return is_cached(at) && is_cached(at + PIECE / 2) ? touch(l, piece) : NOT_CACHED;
}

/* Pages that are dirty, or mapped by another process, stay. */
static void drop(const look *l, uint64_t piece, uint64_t n)
{
    const uint64_t at = piece * PIECE, size = n * PIECE;
    (void)madvise(without_const(l->map + at), (size_t)size, MADV_DONTNEED);
    (void)posix_fadvise(l->fd, (off_t)at, (off_t)size, POSIX_FADV_DONTNEED);
}

/* Of pieces all over the file: how many are in small pages, and the last of those. Many: so many
 * that it matters. */
static int many_small(const look *l, uint64_t *last)
{
    const uint64_t looks = l->pieces < MOST_LOOKS ? l->pieces : MOST_LOOKS;
    uint64_t n = 0;
    for (uint64_t i = 0; i < looks; i++) {
        const uint64_t piece = i * l->pieces / looks;
        if (look_at(l, piece) != SMALL) continue;
        *last = piece;
        n++;
    }
    return n * FEW > looks;
}

static rmr_file_pages mend(const look *l)
{
    uint64_t piece = 0, still = 0;
    if (!many_small(l, &piece)) return RMR_FILE_PAGES_LARGE;
    drop(l, piece, 1); /* one first: not every system makes large pages for files */
    if (look_at(l, piece) == SMALL || touch(l, piece) == SMALL) return RMR_FILE_PAGES_SMALL;
    drop(l, 0, l->pieces);
    return many_small(l, &still) ? RMR_FILE_PAGES_SMALL : RMR_FILE_PAGES_DROPPED;
}

rmr_file_pages rmr_file_pages_mend(const void *map, uint64_t size, intptr_t fd)
{
    look l = {map, size / PIECE, (int)fd, -1};
    if (size < LEAST || (uintptr_t)map % PIECE != 0 || sysconf(_SC_PAGESIZE) != SMALL_PAGE)
        return RMR_FILE_PAGES_UNKNOWN;
    l.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (l.pagemap < 0) return RMR_FILE_PAGES_UNKNOWN;
    const rmr_file_pages said = mend(&l);
    close(l.pagemap);
    return said;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of the system's cache in which a mapped file lies.
 *
 * A model is computed from where its file is mapped. What another program has written or copied
 * lies in the cache in pages of 4 kB, and each of them is a translation that a core has to look up:
 * decoding is 10 to 20 % slower than from pages of 2 MB (docs/notebook/memory.md). Linux makes
 * large pages when it reads a file for a mapping that asks for them. So a file in small pages is
 * dropped from the cache, and comes back from disk in large ones where it is used. */
#ifndef RMR_FILE_PAGES_H
#define RMR_FILE_PAGES_H

#include <stdint.h>

typedef enum rmr_file_pages {
    RMR_FILE_PAGES_UNKNOWN, /* too few bytes, or a system that does not tell */
    RMR_FILE_PAGES_LARGE,   /* or not in the cache: it will be read into large pages */
    RMR_FILE_PAGES_DROPPED, /* it was in small ones and is going to be read again */
    RMR_FILE_PAGES_SMALL,   /* and stays there: the system makes no others, or did not let go */
} rmr_file_pages;

/* Looks at a mapping of all `size` bytes of the file with the handle fd, which asked for large
 * pages, and drops the pages of the file where that helps. It reads a byte of at most 64 pieces and
 * one piece of 2 MB; the bytes stay what they are. The file must not have become shorter. */
rmr_file_pages rmr_file_pages_mend(const void *map, uint64_t size, intptr_t fd);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers by numbers: a table that only grows, or is emptied. Internal to lib/constraint. */
#ifndef RMR_MAP_H
#define RMR_MAP_H

#include "mem.h"

typedef struct map_slot {
    uint64_t key, more; /* key 0: free */
    uint32_t value;
} map_slot;

typedef struct rmr_map {
    map_slot *slots;
    size_t n, cap; /* cap: a power of two, or 0 */
} rmr_map;

/* The value of (key, more), key above 0; NULL: it is not there. */
uint32_t *rmr_map_find(const rmr_map *m, uint64_t key, uint64_t more);
/* Enter a key that is not there. 0: no memory, and nothing changed. */
int rmr_map_put(rmr_map *m, rmr_mem *mem, uint64_t key, uint64_t more, uint32_t value);
void rmr_map_free(rmr_map *m, rmr_mem *mem);

#endif

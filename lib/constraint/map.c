/* SPDX-License-Identifier: Apache-2.0 */
#include "map.h"

static size_t slot_of(const rmr_map *m, uint64_t key, uint64_t more)
{
    uint64_t h = (key ^ (more << 32 | more >> 32)) * UINT64_C(0x9E3779B97F4A7C15);
    h = (h ^ h >> 32 ^ more) * UINT64_C(0xD6E8FEB86659FD93);
    return (size_t)(h ^ h >> 32) & (m->cap - 1);
}

uint32_t *rmr_map_find(const rmr_map *m, uint64_t key, uint64_t more)
{
    if (m->cap == 0) return NULL;
    for (size_t at = slot_of(m, key, more); m->slots[at].key != 0; at = (at + 1) & (m->cap - 1))
        if (m->slots[at].key == key && m->slots[at].more == more) return &m->slots[at].value;
    return NULL;
}

static void enter(rmr_map *m, const map_slot *s)
{
    size_t at = slot_of(m, s->key, s->more);
    while (m->slots[at].key != 0) at = (at + 1) & (m->cap - 1);
    m->slots[at] = *s;
}

int rmr_map_put(rmr_map *m, rmr_mem *mem, uint64_t key, uint64_t more, uint32_t value)
{
    RMR_ASSERT(key != 0);
    if (2 * (m->n + 1) > m->cap) {
        rmr_map big = {NULL, m->n, m->cap == 0 ? 64 : 2 * m->cap};
        big.slots = rmr_calloc(mem, big.cap, sizeof *big.slots);
        if (big.slots == NULL) return 0;
        for (size_t i = 0; i < m->cap; i++)
            if (m->slots[i].key != 0) enter(&big, &m->slots[i]);
        rmr_free(mem, m->slots, m->cap * sizeof *m->slots);
        *m = big;
    }
    enter(m, &(map_slot){key, more, value});
    m->n++;
    return 1;
}

void rmr_map_free(rmr_map *m, rmr_mem *mem)
{
    rmr_free(mem, m->slots, m->cap * sizeof *m->slots);
    *m = (rmr_map){NULL, 0, 0};
}

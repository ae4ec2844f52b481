/* SPDX-License-Identifier: Apache-2.0 */
#include "grammar.h"

static void settle32(uint32_t *v, uint32_t dflt)
{
    if (*v == 0) *v = dflt;
}

void rmr_limits_settle(rmr_limits *l)
{
    settle32(&l->rules, 500000);
    settle32(&l->symbols, 1000000);
    settle32(&l->nodes, 2000000);
    settle32(&l->nesting, 1000);
    settle32(&l->row_items, 2000);
    if (l->bytes == 0) l->bytes = (uint64_t)64 << 20;
    if (l->build == 0) l->build = 20000000;
    if (l->step == 0) l->step = 5000000;
}

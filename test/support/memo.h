/* SPDX-License-Identifier: Apache-2.0 */
/* The blocks that constraints may go without when memory is out (tmem.is_cache). */
#ifndef TEST_MEMO_H
#define TEST_MEMO_H

#include "rx_set.h"

/* Is this the size of a memo of derivatives? */
static inline int is_memo(size_t size)
{
    size_t n = sizeof(rx_memo) * RX_FIRST_MEMO;
    while (n < size) n *= RX_MEMO_GROWS;
    return n == size;
}

#endif

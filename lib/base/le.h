/* SPDX-License-Identifier: Apache-2.0 */
/* Little-endian numbers from bytes of any alignment, whatever the machine's own order. */
#ifndef RMR_LE_H
#define RMR_LE_H

#include <stdint.h>

static inline uint64_t rmr_le(const unsigned char *p, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = bytes; i-- > 0;) v = v << 8 | p[i];
    return v;
}

static inline uint32_t rmr_le32(const unsigned char *p)
{
    return (uint32_t)rmr_le(p, 4);
}

static inline uint64_t rmr_le64(const unsigned char *p)
{
    return rmr_le(p, 8);
}

#endif

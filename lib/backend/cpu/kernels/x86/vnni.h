/* SPDX-License-Identifier: Apache-2.0 */
/* The parts around products of bytes that both sets with VNNI share; each defines iv_dot before. */

#define Q_LINES 512

/* One row of x by nibbles as they are stored. The sum of the high nibbles is 16 times too large,
 * which one shift at the end corrects instead of four shifts of codes. Two chains, because one
 * would wait for its own last product. */
#define Q_NIBBLES
FORCE ivec q_nibbles(const rmr_elem type, const uint8_t *p, const int8_t *q, ivec start)
{
    const ivec low = iv_set1(0x0f), high = iv_set1((char)0xf0);
    ivec sixteen = iv_zero();
    UNROLL for (int g = 0; g < 4; g++)
    {
        const ivec a = iv_load(p + (size_t)64 * g), l = iv_and(a, low), h = iv_and(a, high);
        start = iv_dot(type, &l, 1, q + (size_t)4 * g, start);
        sixteen = iv_dot(type, &h, 1, q + (size_t)4 * (g + 4), sixteen);
    }
    return iv_add32(start, iv_sar32(sixteen, 4));
}

/* Codes and weights of the 8-bit cache (kv8_attend_tmpl.h). */
typedef ivec kv8_val, kv8_by;

FORCE kv8_val kv8_value(const uint8_t *p)
{
    return iv_transpose(iv_load(p));
}

FORCE kv8_by kv8_weight(const uint8_t *p)
{
    return iv_four((const int8_t *)p);
}

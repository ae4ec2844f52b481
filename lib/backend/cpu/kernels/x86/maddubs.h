/* SPDX-License-Identifier: Apache-2.0 */
/* iv_dot from products of unsigned by signed bytes, added in pairs to 16 bits (vpmaddubsw), whose
 * saturation must never happen: |q| is at most 127, so as many groups are added in 16 bits as their
 * largest code allows. The including file defines iv_pairs(code, q), iv_signed_pairs(code, q) (of
 * signed codes: |code| times q with its sign), iv_add16, iv_fold(a): pairs of 16 bits to 32. For
 * the 8-bit cache (kv8_attend_tmpl.h): iv_transpose(a), iv_mul16(a, b): products of 16 bits added
 * in pairs to 32, iv_sra16(a, n). */

/* Codes with an offset of 128 would be too large: 255 * 127 * 2. */
#define CODES_SIGNED(type) (rmr_elem_table[type].offset == 128)
#define Q_MANY_ROWS 1

/* Groups whose sums fit: 32767 / (2 * 127 * largest code), a power of two. */
FORCE int pairs_groups(const rmr_elem type)
{
    const rmr_elem_format *const f = &rmr_elem_table[type];
    const int most = f->offset == 0    ? (1 << (f->low.bits + f->high.bits)) - 1
                     : f->offset < 128 ? 2 * f->offset
                                       : f->offset;
    const int n = 32767 / (2 * 127 * most);
    return n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
}

FORCE ivec iv_dot(const rmr_elem type, const ivec *code, const int n, const int8_t *q, ivec start)
{
    const int fit = pairs_groups(type) < n ? pairs_groups(type) : n;
    UNROLL for (int g = 0; g < n; g += fit)
    {
        ivec sum = CODES_SIGNED(type) ? iv_signed_pairs(code[g], iv_four(q + (size_t)4 * g))
                                      : iv_pairs(code[g], iv_four(q + (size_t)4 * g));
        UNROLL for (int i = 1; i < fit; i++) sum =
            iv_add16(sum, iv_pairs(code[g + i], iv_four(q + (size_t)4 * (g + i))));
        start = iv_add32(start, iv_fold(sum));
    }
    return start;
}

/* Of the first and third, and of the second and fourth tokens, widened: weights of up to 255 do not
 * fit the products of bytes. */
typedef struct kv8_pairs {
    ivec even, odd;
} kv8_val, kv8_by;

FORCE kv8_val kv8_value(const uint8_t *p)
{
    const ivec a = iv_transpose(iv_load(p));
    return (kv8_val){iv_sra16(iv_shl(a, 8), 8), iv_sra16(a, 8)};
}

FORCE kv8_by kv8_weight(const uint8_t *p)
{
    const ivec four = iv_four((const int8_t *)p), odd = iv_shr(four, 8);
    return (kv8_by){iv_sub(four, iv_shl(odd, 8)), odd};
}

FORCE ivec kv8_add(ivec sum, kv8_by by, kv8_val val)
{
    return iv_add32(sum, iv_add32(iv_mul16(by.even, val.even), iv_mul16(by.odd, val.odd)));
}

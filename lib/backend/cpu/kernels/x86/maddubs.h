/* iv_dot from products of unsigned by signed bytes, added in pairs to 16 bits (vpmaddubsw), whose
 * saturation must never happen: |q| is at most 127, so as many groups are added in 16 bits as their
 * largest code allows. The including file defines iv_pairs(code, q), iv_signed_pairs(code, q) (of
 * signed codes: |code| times q with its sign), iv_add16, iv_fold(a): pairs of 16 bits to 32. For
 * the 8-bit cache (kv8_attend_tmpl.h): iv_transpose(a), iv_mul16(a, b): products of 16 bits added
 * in pairs to 32, iv_sra16(a, n). */

/* Codes that go through all of -128 to 127 cannot have an offset: 255 * 127 * 2 is too much. */
#define CODES_SIGNED(type)                                                                         \
    ((type) == RMR_ELEM_Q8_0 || (type) == RMR_ELEM_IQ4_NL || (type) == RMR_ELEM_IQ4_XS)
#define Q_MANY_ROWS 1

/* Groups whose sums fit: 32767 / (2 * 127 * largest code). */
FORCE int pairs_groups(const rmr_elem type)
{
    switch (type) {
    case RMR_ELEM_Q8_0: /* 128 */
    case RMR_ELEM_IQ4_NL:
    case RMR_ELEM_IQ4_XS: return 1;
    case RMR_ELEM_Q6_K: return 2; /* 63 */
    case RMR_ELEM_MXFP4:          /* 28 */
    case RMR_ELEM_Q5_0:           /* 31 */
    case RMR_ELEM_Q5_1:
    case RMR_ELEM_Q5_K: return 4;
    default: return 8; /* 15 and less */
    }
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

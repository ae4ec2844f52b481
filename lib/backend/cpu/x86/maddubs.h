/* iv_dot from products of unsigned by signed bytes, added in pairs to 16 bits (vpmaddubsw), whose
 * saturation must never happen: |q| is at most 127, so as many groups are added in 16 bits as their
 * largest code allows. The including file defines iv_pairs(code, q), iv_signed_pairs(code, q) (of
 * signed codes: |code| times q with its sign), iv_add16, iv_add32, iv_fold(a): pairs of 16 bits to
 * 32. */

/* Codes that go through all of -128 to 127 cannot have an offset: 255 * 127 * 2 is too much. */
#define CODES_SIGNED(type)                                                                         \
    ((type) == RMR_ELEM_Q8_0 || (type) == RMR_ELEM_IQ4_NL || (type) == RMR_ELEM_IQ4_XS)

/* Groups whose sums fit: 32767 / (2 * 127 * largest code). */
FORCE int pairs_groups(const rmr_elem type)
{
    switch (type) {
    case RMR_ELEM_Q8_0: /* 128 */
    case RMR_ELEM_IQ4_NL:
    case RMR_ELEM_IQ4_XS: return 1;
    case RMR_ELEM_Q6_K: return 2; /* 63 */
    case RMR_ELEM_MXFP4:          /* 28 */
    case RMR_ELEM_Q5_K: return 4; /* 31 */
    default: return 8;            /* 15 and less */
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

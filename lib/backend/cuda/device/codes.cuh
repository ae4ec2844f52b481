/* SPDX-License-Identifier: Apache-2.0 */
/* Quantised weights as the integer matrix instruction takes them: of a run of 32 columns the codes
 * of four rows of two units (t and t + 4), as signed bytes, and the scales of those rows. The
 * values are those of lib/backend/cpu/kernels/ref/qplain.h; layouts are in tile.h. */
#ifndef RMR_CUDA_CODES_CUH
#define RMR_CUDA_CODES_CUH

#include "prelude.cuh"

typedef struct run_codes {
    word4 low, high; /* units t and t + 4 */
} run_codes;

typedef struct run_scales {
    float s[2][4];   /* of the run's halves, which are the same but for types of 16 columns */
    float min[2][4]; /* to be taken away */
} run_scales;

template <int E> DEV constexpr uint32_t runs_of_block()
{
    return rmr_elem_table[E].values / 32;
}

template <int E> DEV constexpr uint32_t low_bits()
{
    return E == RMR_ELEM_Q8_0 ? 8 : E == RMR_ELEM_Q3_K || E == RMR_ELEM_Q2_K ? 2 : 4;
}

template <int E> DEV constexpr uint32_t high_bits()
{
    return E == RMR_ELEM_Q6_K ? 2
           : E == RMR_ELEM_Q5_K || E == RMR_ELEM_Q5_0 || E == RMR_ELEM_Q5_1 || E == RMR_ELEM_Q3_K
               ? 1
               : 0;
}

template <int E> DEV constexpr bool has_min()
{
    return E == RMR_ELEM_Q4_K || E == RMR_ELEM_Q5_K || E == RMR_ELEM_Q2_K || E == RMR_ELEM_Q4_1 ||
           E == RMR_ELEM_Q5_1;
}

template <int E> DEV constexpr bool has_halves()
{
    return E == RMR_ELEM_Q6_K || E == RMR_ELEM_Q3_K || E == RMR_ELEM_Q2_K;
}

template <int E> DEV constexpr bool has_book()
{
    return E == RMR_ELEM_IQ4_NL || E == RMR_ELEM_IQ4_XS || E == RMR_ELEM_MXFP4;
}

/* ---- codes ---- */

/* Bits [from, from + n) of every byte. */
DEV uint32_t bits_of(uint32_t w, uint32_t from, uint32_t n)
{
    return w >> from & ((1u << n) - 1) * 0x01010101u;
}

/* Less n in every byte; bytes are below 128. */
DEV uint32_t less(uint32_t w, uint32_t n)
{
    return ((w | 0x80808080u) - n * 0x01010101u) ^ 0x80808080u;
}

/* The book's values for the 4 nibbles in the low half of s. */
template <int E> DEV uint32_t from_book(uint32_t s)
{
    const uint32_t book[4] = {E == RMR_ELEM_MXFP4 ? 0x03020100u : 0xbfad9881u,
                              E == RMR_ELEM_MXFP4 ? 0x0c080604u : 0xf6eaddcfu,
                              E == RMR_ELEM_MXFP4 ? 0xfdfeff00u : 0x26190d01u,
                              E == RMR_ELEM_MXFP4 ? 0xf4f8fafcu : 0x71594535u};
    const uint32_t at = s & 0x7777u, below = permute_bytes(book[0], book[1], at),
                   above = permute_bytes(book[2], book[3], at);
    return permute_bytes(below, above, 0x3210u + (s >> 1 & 0x4444u));
}

/* Both units of one row from a word of nibbles. */
template <int E> DEV void book_pair(uint32_t w, uint32_t *low, uint32_t *high)
{
    const uint32_t p = from_book<E>(w & 0xffffu), q = from_book<E>(w >> 16);
    *low = permute_bytes(p, q, 0x6420);
    *high = permute_bytes(p, q, 0x7531);
}

template <int E> DEV uint32_t signed_code(uint32_t w)
{
    switch (E) {
    case RMR_ELEM_Q4_0:
    case RMR_ELEM_I4: return less(w, 8);
    case RMR_ELEM_Q5_0: return less(w, 16);
    case RMR_ELEM_Q6_K: return less(w, 32);
    case RMR_ELEM_Q3_K: return less(w, 4);
    default: return w;
    }
}

/* The words of a run that a lane has loaded and not unpacked yet. */
typedef struct run_words {
    word4 a, b;
} run_words;

template <int E> DEV run_words load_run(const uint8_t *run, uint32_t q, uint32_t t)
{
    run_words v;
    v.b = word4{{0, 0, 0, 0}};
    v.a = load_weights(run + (low_bits<E>() == 2 ? t % 2 : t) * 64 + q * 16);
    if (low_bits<E>() == 8)
        v.b = load_weights(run + (t + 4) * 64 + q * 16);
    else if (high_bits<E>() > 0)
        v.b = load_weights(run + low_bits<E>() * 64 + (high_bits<E>() == 2 ? t % 2 : 0) * 64 +
                           q * 16);
    return v;
}

template <int E> DEV run_codes unpack_run(const run_words &v, uint32_t t)
{
    run_codes c;
    for (int r = 0; r < 4; r++) {
        uint32_t low = v.a.w[r], high = v.b.w[r];
        if (has_book<E>()) {
            book_pair<E>(v.a.w[r], &low, &high);
        } else if (low_bits<E>() < 8) {
            const uint32_t n = low_bits<E>(), up = n == 2 ? t / 2 * 2 : 0;
            low = bits_of(v.a.w[r], up, n);
            high = bits_of(v.a.w[r], up + 4, n);
            if (high_bits<E>() == 1) {
                low |= bits_of(v.b.w[r], t, 1) << n;
                high |= bits_of(v.b.w[r], t + 4, 1) << n;
            } else if (high_bits<E>() == 2) {
                low |= bits_of(v.b.w[r], t / 2 * 2, 2) << n;
                high |= bits_of(v.b.w[r], t / 2 * 2 + 4, 2) << n;
            }
            low = signed_code<E>(low);
            high = signed_code<E>(high);
        }
        c.low.w[r] = low;
        c.high.w[r] = high;
    }
    return c;
}

template <int E> DEV constexpr uint32_t run_bytes()
{
    return 64 * (low_bits<E>() + high_bits<E>());
}

template <int E> DEV constexpr uint32_t block_scale_bytes()
{
    return 16 * rmr_elem_table[E].bytes - runs_of_block<E>() * run_bytes<E>();
}

/* ---- scales ---- */

/* Four halves from 4 q on of an array of 16. */
template <int E> DEV void four_halves(float *to, const uint8_t *array, uint32_t q)
{
    const word2 v = load_pair(array + q * 8);
    for (int r = 0; r < 4; r++) {
        const uint16_t h = (uint16_t)(v.w[r / 2] >> r % 2 * 16);
        to[r] = E == RMR_ELEM_I4 ? rmr_bf16_to_f32(h) : half_float(h);
    }
}

DEV uint32_t four_bytes(const uint8_t *array, uint32_t q)
{
    return *(const uint32_t *)(const void *)(array + q * 4);
}

/* Field j of n in arrays of nibble pairs, with two more bits behind them when SIX; of four rows. */
template <int N, bool SIX> DEV uint32_t four_fields(const uint8_t *a, uint32_t j, uint32_t q)
{
    const uint32_t low = bits_of(four_bytes(a + j % (N / 2) * 16, q), j / (N / 2) * 4, 4);
    if (!SIX) return low;
    a += N / 2 * 16;
    return low | bits_of(four_bytes(a + j % (N / 4) * 16, q), j / (N / 4) * 2, 2) << 4;
}

DEV int32_t byte_of(uint32_t w, int r)
{
    return (int32_t)(w >> 8 * r & 255);
}

/* s and min (qplain.h, q_scale and q_min) of sub-block j of a block whose scales are at a. */
template <int E> DEV void sub_scales(float *s, float *min, const uint8_t *a, uint32_t j, uint32_t q)
{
    float d[4], m[4];
    if (E == RMR_ELEM_MXFP4) {
        const uint32_t w = four_bytes(a, q);
        for (int r = 0; r < 4; r++) {
            const uint32_t e = (uint32_t)byte_of(w, r);
            s[r] = rmr_float_of(e < 2 ? 0x200000u << e : (e - 1u) << 23);
        }
        return;
    }
    four_halves<E>(d, a, q);
    uint32_t f = 0, g = 0;
    if (E == RMR_ELEM_IQ4_XS) f = four_fields<8, true>(a + 32, j, q);
    if (E == RMR_ELEM_Q3_K) f = four_fields<16, true>(a + 32, j, q);
    if (E == RMR_ELEM_Q4_K || E == RMR_ELEM_Q5_K) f = four_fields<8, true>(a + 64, j, q);
    if (E == RMR_ELEM_Q2_K) f = four_fields<16, false>(a + 64, j, q);
    if (E == RMR_ELEM_Q6_K) f = four_bytes(a + 32 + j * 16, q);
    if (E == RMR_ELEM_Q4_K || E == RMR_ELEM_Q5_K) g = four_fields<8, true>(a + 160, j, q);
    if (E == RMR_ELEM_Q2_K) g = four_fields<16, false>(a + 192, j, q);
    if (has_min<E>()) four_halves<E>(m, a + 32, q);
    for (int r = 0; r < 4; r++) {
        if (E == RMR_ELEM_IQ4_XS || E == RMR_ELEM_Q3_K)
            s[r] = d[r] * (float)(byte_of(f, r) - 32);
        else if (E == RMR_ELEM_Q6_K)
            s[r] = d[r] * (float)(int8_t)byte_of(f, r);
        else if (E == RMR_ELEM_Q4_K || E == RMR_ELEM_Q5_K || E == RMR_ELEM_Q2_K)
            s[r] = d[r] * (float)byte_of(f, r);
        else
            s[r] = d[r];
        if (E == RMR_ELEM_Q4_1 || E == RMR_ELEM_Q5_1)
            min[r] = -m[r];
        else if (has_min<E>())
            min[r] = m[r] * (float)byte_of(g, r);
    }
}

/* Of run i of a row; `scales` are those of all blocks of the tile. */
template <int E> DEV void load_scales(run_scales *to, const uint8_t *scales, uint32_t i, uint32_t q)
{
    const uint8_t *const a = scales + (size_t)(i / runs_of_block<E>()) * block_scale_bytes<E>();
    const uint32_t j = i % runs_of_block<E>();
    if (has_halves<E>()) {
        sub_scales<E>(to->s[0], to->min[0], a, 2 * j, q);
        sub_scales<E>(to->s[1], to->min[1], a, 2 * j + 1, q);
    } else {
        sub_scales<E>(to->s[0], to->min[0], a, j, q);
    }
}

#endif

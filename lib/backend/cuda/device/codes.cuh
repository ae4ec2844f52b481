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

/* The scales of a run as a lane loads them, before they are unpacked: factors, minimums, and the
 * fields of up to two sub-blocks in one or two words each. */
typedef struct raw_scales {
    word2 d, m;
    uint32_t f[2][2], g[2][2];
} raw_scales;

DEV uint32_t four_bytes(const uint8_t *array, uint32_t q)
{
    return *(const uint32_t *)(const void *)(array + q * 4);
}

/* Field j of n in arrays of nibble pairs, with two more bits behind them when SIX; of four rows. */
template <int N, bool SIX>
DEV void load_fields(uint32_t *to, const uint8_t *a, uint32_t j, uint32_t q)
{
    to[0] = four_bytes(a + j % (N / 2) * 16, q);
    if (SIX) to[1] = four_bytes(a + N / 2 * 16 + j % (N / 4) * 16, q);
}

template <int N, bool SIX> DEV uint32_t four_fields(const uint32_t *from, uint32_t j)
{
    const uint32_t low = bits_of(from[0], j / (N / 2) * 4, 4);
    return SIX ? low | bits_of(from[1], j / (N / 4) * 2, 2) << 4 : low;
}

/* The fields of sub-block j of a block whose scales are at a. */
template <int E>
DEV void load_sub_scales(uint32_t *f, uint32_t *g, const uint8_t *a, uint32_t j, uint32_t q)
{
    if (E == RMR_ELEM_IQ4_XS) load_fields<8, true>(f, a + 32, j, q);
    if (E == RMR_ELEM_Q3_K) load_fields<16, true>(f, a + 32, j, q);
    if (E == RMR_ELEM_Q4_K || E == RMR_ELEM_Q5_K) load_fields<8, true>(f, a + 64, j, q);
    if (E == RMR_ELEM_Q2_K) load_fields<16, false>(f, a + 64, j, q);
    if (E == RMR_ELEM_Q6_K) f[0] = four_bytes(a + 32 + j * 16, q);
    if (E == RMR_ELEM_Q4_K || E == RMR_ELEM_Q5_K) load_fields<8, true>(g, a + 160, j, q);
    if (E == RMR_ELEM_Q2_K) load_fields<16, false>(g, a + 192, j, q);
}

/* Of run i of a row; `scales` are those of all blocks of the tile. */
template <int E> DEV void load_scales(raw_scales *to, const uint8_t *scales, uint32_t i, uint32_t q)
{
    const uint8_t *const a = scales + (size_t)(i / runs_of_block<E>()) * block_scale_bytes<E>();
    const uint32_t j = i % runs_of_block<E>();
    if (E == RMR_ELEM_MXFP4)
        to->d.w[0] = four_bytes(a, q);
    else
        to->d = load_pair(a + q * 8);
    if (has_min<E>()) to->m = load_pair(a + 32 + q * 8);
    load_sub_scales<E>(to->f[0], to->g[0], a, has_halves<E>() ? 2 * j : j, q);
    if (has_halves<E>()) load_sub_scales<E>(to->f[1], to->g[1], a, 2 * j + 1, q);
}

template <int E> DEV float one_half(word2 v, int r)
{
    const uint16_t h = (uint16_t)(v.w[r / 2] >> r % 2 * 16);
    return E == RMR_ELEM_I4 ? rmr_bf16_to_f32(h) : half_float(h);
}

DEV int32_t byte_of(uint32_t w, int r)
{
    return (int32_t)(w >> 8 * r & 255);
}

DEV float power_of_two(uint32_t e)
{
    return rmr_float_of(e < 2 ? 0x200000u << e : (e - 1u) << 23);
}

/* The fields of sub-block j of four rows. */
template <int E> DEV uint32_t scale_fields(const uint32_t *from, uint32_t j)
{
    if (E == RMR_ELEM_IQ4_XS || E == RMR_ELEM_Q4_K || E == RMR_ELEM_Q5_K)
        return four_fields<8, true>(from, j);
    if (E == RMR_ELEM_Q3_K) return four_fields<16, true>(from, j);
    if (E == RMR_ELEM_Q2_K) return four_fields<16, false>(from, j);
    return E == RMR_ELEM_Q6_K ? from[0] : 0;
}

/* s and min (qplain.h, q_scale and q_min) of sub-block j. */
template <int E>
DEV void sub_scales(float *s, float *min, const raw_scales &raw, int half, uint32_t j)
{
    const uint32_t f = scale_fields<E>(raw.f[half], j),
                   g = has_min<E>() ? scale_fields<E>(raw.g[half], j) : 0;
#pragma unroll
    for (int r = 0; r < 4; r++) {
        const float d = E == RMR_ELEM_MXFP4 ? power_of_two((uint32_t)byte_of(raw.d.w[0], r))
                                            : one_half<E>(raw.d, r);
        if (E == RMR_ELEM_IQ4_XS || E == RMR_ELEM_Q3_K)
            s[r] = d * (float)(byte_of(f, r) - 32);
        else if (E == RMR_ELEM_Q6_K)
            s[r] = d * (float)(int8_t)byte_of(f, r);
        else if (E == RMR_ELEM_Q4_K || E == RMR_ELEM_Q5_K || E == RMR_ELEM_Q2_K)
            s[r] = d * (float)byte_of(f, r);
        else
            s[r] = d;
        if (E == RMR_ELEM_Q4_1 || E == RMR_ELEM_Q5_1)
            min[r] = -one_half<E>(raw.m, r);
        else if (has_min<E>())
            min[r] = one_half<E>(raw.m, r) * (float)byte_of(g, r);
    }
}

/* Of run i of a row. */
template <int E> DEV run_scales make_scales(const raw_scales &raw, uint32_t i)
{
    const uint32_t j = i % runs_of_block<E>();
    run_scales to = {};
    sub_scales<E>(to.s[0], to.min[0], raw, 0, has_halves<E>() ? 2 * j : j);
    if (has_halves<E>()) sub_scales<E>(to.s[1], to.min[1], raw, 1, 2 * j + 1);
    return to;
}

#endif

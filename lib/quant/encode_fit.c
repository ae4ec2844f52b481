/* SPDX-License-Identifier: Apache-2.0 */
/* The search for one scale, and codes into a block (encode.h). */
#include "encode.h"

#include <float.h>

uint16_t rmr_enc_half(const rmr_enc_block *b, float d)
{
    const float most = b->bf16 ? 0x1.fcp124f : 65504; /* times a code of -8 still finite */
    const float r = rmr_enc_clamp(d * b->unit, -most, most);
    return b->bf16 ? rmr_f32_to_bf16(r) : rmr_f32_to_f16(r);
}

float rmr_enc_stored(const rmr_enc_block *b, float d)
{
    const uint16_t h = rmr_enc_half(b, d);
    return (b->bf16 ? rmr_bf16_to_f32(h) : rmr_f16_to_f32(h)) * b->inverse;
}

static void clear(rmr_enc_sums *t)
{
    for (int l = 0; l < LANES; l++) t->err[l] = t->q[l] = t->qq[l] = t->qx[l] = 0;
}

static void try_book(rmr_enc_sums *t, const float *x, const float *w, int n, const float d[LANES],
                     const float inv[LANES], const rmr_enc_codes *c)
{
    rmr_enc_sums s;
    const float lo = c->lo, hi = c->hi, *nearest = c->nearest;
    clear(&s);
    for (int i = 0; i < n; i++) {
        const float xi = x[i], wi = w[i];
        for (int l = 0; l < LANES; l++) {
            const float v = nearest[(int)(2 * rmr_enc_clamp(xi * inv[l], lo, hi) + 256)];
            const float miss = xi - d[l] * v, wq = wi * v;
            s.err[l] += wi * miss * miss;
            s.qx[l] += wq * xi;
            s.qq[l] += wq * v;
        }
    }
    *t = s;
}

void rmr_enc_try(rmr_enc_sums *t, const float *x, const float *w, int n, const float d[LANES],
                 const rmr_enc_codes *c)
{
    rmr_enc_sums s;
    float inv[LANES];
    const float lo = c->lo, hi = c->hi;
    clear(&s);
    for (int l = 0; l < LANES; l++) inv[l] = rmr_enc_inverse(d[l]);
    if (c->nearest != NULL) {
        try_book(t, x, w, n, d, inv, c);
        return;
    }
    for (int i = 0; i < n; i++) {
        const float xi = x[i], wi = w[i];
        for (int l = 0; l < LANES; l++) {
            const float v = rmr_enc_round(rmr_enc_clamp(xi * inv[l], lo, hi));
            const float miss = xi - d[l] * v, wq = wi * v;
            s.err[l] += wi * miss * miss;
            s.qx[l] += wq * xi;
            s.qq[l] += wq * v;
        }
    }
    *t = s;
}

void rmr_enc_try_min(rmr_enc_sums *t, const float *x, const float *w, int n, const float s[LANES],
                     const float m[LANES], float hi)
{
    rmr_enc_sums u;
    float inv[LANES];
    clear(&u);
    for (int l = 0; l < LANES; l++) inv[l] = rmr_enc_inverse(s[l]);
    for (int i = 0; i < n; i++) {
        const float xi = x[i], wi = w[i];
        for (int l = 0; l < LANES; l++) {
            const float v = rmr_enc_value_min(xi, m[l], inv[l], hi);
            const float miss = xi - (s[l] * v - m[l]), wq = wi * v;
            u.err[l] += wi * miss * miss;
            u.q[l] += wq;
            u.qx[l] += wq * xi;
            u.qq[l] += wq * v;
        }
    }
    *t = u;
}

/* Around d, the next numbers of 8 bits: a bf16 is so coarse that the best is often a neighbour. */
static void neighbours(const rmr_enc_block *b, float d[LANES], float best)
{
    const float step = best * 0x1p-8f;
    for (int l = 0; l < LANES; l++) d[l] = rmr_enc_stored(b, best + (float)(l - LANES / 2) * step);
}

float rmr_enc_fit(const rmr_enc_block *b, const float *x, const float *w, int n,
                  const rmr_enc_codes *c, float spread, float *qq)
{
    enum { STEPS = 3 };
    float most = 0, best = 0, err = FLT_MAX, d[LANES];
    for (int i = 0; i < n; i++)
        if (x[i] > most || -x[i] > most) most = x[i] > 0 ? x[i] : -x[i];
    for (int l = 0; l < LANES / 2; l++) { /* the largest becomes the last or the first code */
        const float r = 1 + spread * (float)(l - LANES / 4) / (LANES / 4);
        d[l] = most / (c->hi * r);
        d[l + LANES / 2] = most / (c->lo * r);
    }
    *qq = 0;
    for (int step = 0; step < STEPS + (b != NULL && b->bf16); step++) {
        rmr_enc_sums t;
        if (step == STEPS) neighbours(b, d, best);
        if (b != NULL)
            for (int l = 0; l < LANES; l++) d[l] = rmr_enc_stored(b, d[l]);
        rmr_enc_try(&t, x, w, n, d, c);
        for (int l = 0; l < LANES; l++) {
            if (t.err[l] < err) {
                err = t.err[l];
                best = d[l];
                *qq = t.qq[l];
            }
            d[l] = t.qq[l] > 0 ? t.qx[l] / t.qq[l] : d[l];
        }
    }
    return best;
}

static int index_of(const int8_t book[16], int v)
{
    int i = 0;
    while (book[i] != v) i++;
    return i;
}

void rmr_enc_codes_put(const rmr_elem_format *f, unsigned char *block, const int *v)
{
    uint8_t code[RMR_BLOCK_VALUES];
    const int offset = f->low.bits == 8 ? 0 : f->offset;
    for (uint32_t i = 0; i < f->values; i++)
        code[i] = (uint8_t)(f->book != NULL ? index_of(f->book, v[i]) : v[i] + offset);
    rmr_halves_put(&f->low, &f->high, f->values, block, code);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of 256 whose sub-blocks have a scale and a minimum each, small integers times the block's
 * two (encode.h): Q4_K, Q5_K, Q2_K. A value is s q - m, m never negative. And blocks of 32 with one
 * of each, stored as they are: Q4_1, Q5_1, where m has either sign and the block holds -m. */
#include <float.h>
#include <string.h>

#include "encode.h"

typedef struct layout {
    int subs, most; /* sub-blocks; largest sub-scale and sub-minimum */
    float codes;    /* largest code */
    float shrink;   /* step by which the first candidates move the ends, in parts of the range */
    int either;     /* minima have either sign */
} layout;

static layout layout_of(const rmr_elem_format *f)
{
    const int codes = rmr_enc_most_code(f);
    return (layout){.subs = f->subs,
                    .most = (int)rmr_bit_mask((uint32_t)f->sub.bits + f->sub_high.bits),
                    .codes = (float)codes,
                    .shrink = codes > 15  ? 0.025f
                              : codes > 3 ? 0.045f
                                          : 0.1f,
                    .either = f->subs == 0};
}

/* The scale and minimum that a sub-block alone would have, and the error around them. */
typedef struct want {
    float s, m, q, qq, w; /* sums of w q, w q q, w at these codes */
} want;

/* A way to write the block. */
typedef struct scales {
    float d, dmin, err;
    int sc[RMR_BLOCK_SUBS], mn[RMR_BLOCK_SUBS];
} scales;

/* ---- a sub-block alone ---- */

/* Each lane's scale and minimum, fitted to its codes. w, wx: sums of w, w x. */
static void refit(float s[LANES], float m[LANES], const rmr_enc_sums *t, float w, float wx,
                  int either)
{
    for (int l = 0; l < LANES; l++) {
        const float det = t->qq[l] * w - t->q[l] * t->q[l], den = det > 0 ? det : 1;
        float fs = (t->qx[l] * w - wx * t->q[l]) / den;
        float fm = (t->q[l] * t->qx[l] - t->qq[l] * wx) / den;
        if (either && det <= 0) continue; /* one code for all: nothing to fit */
        if (!either && (det <= 0 || fm <= 0)) {
            fm = 0;
            fs = t->qx[l] / (t->qq[l] > 0 ? t->qq[l] : 1);
        }
        s[l] = fs;
        m[l] = fm;
    }
}

/* b: the block, to round both to scales that can be stored; or NULL. */
static want fit_alone(const rmr_enc_block *b, const float *x, const float *w, int n,
                      const layout *p)
{
    enum { STEPS = 3, SIDE = 4 };
    float lo = p->either ? x[0] : 0, hi = x[0], sum = 0, wx = 0, s[LANES], m[LANES], err = FLT_MAX;
    want r = {0, 0, 0, 0, 0};
    for (int i = 0; i < n; i++) {
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
        sum += w[i];
        wx += w[i] * x[i];
    }
    const float cut = p->shrink * (hi - lo);
    for (int l = 0; l < LANES; l++) { /* each end of the range moved: out, not, in, further in */
        m[l] = -lo - cut * (float)(l % SIDE - 1);
        if (!p->either) m[l] = rmr_enc_clamp(m[l], 0, -2 * lo);
        s[l] = (hi - cut * (float)(l / SIDE - 1) + m[l]) / p->codes;
    }
    for (int step = 0; step < STEPS; step++) {
        rmr_enc_sums t;
        for (int l = 0; b != NULL && l < LANES; l++) {
            s[l] = rmr_enc_stored(b, s[l]);
            m[l] = rmr_enc_stored(b, m[l]);
        }
        rmr_enc_try_min(&t, x, w, n, s, m, p->codes);
        for (int l = 0; l < LANES; l++)
            if (t.err[l] < err) {
                err = t.err[l];
                r = (want){s[l], m[l], t.q[l], t.qq[l], sum};
            }
        refit(s, m, &t, sum, wx, p->either);
    }
    return r;
}

/* ---- the block ---- */

/* Rounded error of all sub-blocks at one d and LANES of dmin, by the second derivatives. */
static void rounded_errors(float err[LANES], const want *f, const layout *p, float d,
                           const float dmin[LANES])
{
    const float most = (float)p->most, dinv = rmr_enc_inverse(d);
    float minv[LANES];
    for (int l = 0; l < LANES; l++) {
        minv[l] = rmr_enc_inverse(dmin[l]);
        err[l] = 0;
    }
    for (int j = 0; j < p->subs; j++) {
        const float ds = d * rmr_enc_round(rmr_enc_clamp(f[j].s * dinv, 0, most)) - f[j].s;
        const float m = f[j].m + (f[j].w > 0 ? f[j].q / f[j].w * ds : 0); /* its best minimum */
        for (int l = 0; l < LANES; l++) {
            const float dm = dmin[l] * rmr_enc_round(rmr_enc_clamp(m * minv[l], 0, most)) - f[j].m;
            err[l] += f[j].qq * ds * ds - 2 * f[j].q * ds * dm + f[j].w * dm * dm;
        }
    }
}

/* The pair whose multiples lie nearest to the scales and minima that the sub-blocks alone would
 * have. */
static void first_scales(scales *r, const rmr_enc_block *b, const want *f, const layout *p)
{
    float s = 0, m = 0, dmin[LANES], err[LANES], least = FLT_MAX;
    for (int j = 0; j < p->subs; j++) {
        s = f[j].s > s ? f[j].s : s;
        m = f[j].m > m ? f[j].m : m;
    }
    for (int l = 0; l < LANES; l++)
        dmin[l] = rmr_enc_stored(b, m / ((float)p->most + 0.5f - 0.5f * (float)l));
    for (int k = 0; k < LANES / 2; k++) {
        const float d = rmr_enc_stored(b, s / ((float)p->most + 0.5f - (float)k));
        rounded_errors(err, f, p, d, dmin);
        for (int l = 0; l < LANES; l++)
            if (err[l] < least) {
                least = err[l];
                r->d = d;
                r->dmin = dmin[l];
            }
    }
}

static int nearest(float v, float inv, int most)
{
    return (int)rmr_enc_round(rmr_enc_clamp(v * inv, 0, (float)most));
}

static int within(int v, int most)
{
    return v < 0 ? 0 : v > most ? most : v;
}

/* Given d and dmin, the best pair of integers for each sub-block among the ones around its own
 * scale and minimum; next[2]: the d and dmin that fit the codes of all. */
static void choose(scales *r, float next[2], const rmr_enc_block *b, const want *f, const layout *p)
{
    const int n = RMR_BLOCK_VALUES / p->subs;
    const float dinv = rmr_enc_inverse(r->d), minv = rmr_enc_inverse(r->dmin);
    double ss = 0, sm = 0, mm = 0, sx = 0, mx = 0;
    r->err = 0;
    for (int j = 0; j < p->subs; j++) {
        float s[LANES], m[LANES], wx = 0;
        int sc[LANES], mn[LANES], best = 0;
        rmr_enc_sums t;
        const int mid = nearest(f[j].s, dinv, p->most);
        for (int l = 0; l < LANES; l++) { /* 3 scales; with each 5 minima around its best */
            sc[l] = within(mid + l % 3 - 1, p->most);
            s[l] = r->d * (float)sc[l];
            const float m0 = f[j].m + (f[j].w > 0 ? f[j].q / f[j].w * (s[l] - f[j].s) : 0);
            mn[l] = within(nearest(m0, minv, p->most) + l / 3 - 2, p->most);
            m[l] = r->dmin * (float)mn[l];
        }
        rmr_enc_try_min(&t, b->x + n * j, b->w + n * j, n, s, m, p->codes);
        for (int l = 1; l < LANES; l++)
            if (t.err[l] < t.err[best]) best = l;
        r->sc[j] = sc[best];
        r->mn[j] = mn[best];
        r->err += t.err[best];
        for (int i = n * j; i < n * j + n; i++) wx += b->w[i] * b->x[i];
        ss += (double)sc[best] * sc[best] * (double)t.qq[best];
        sm += (double)sc[best] * mn[best] * (double)t.q[best];
        mm += (double)mn[best] * mn[best] * (double)f[j].w;
        sx += (double)sc[best] * (double)t.qx[best];
        mx += (double)mn[best] * (double)wx;
    }
    const double det = ss * mm - sm * sm;
    const double dmin = det > 0 ? (sm * sx - ss * mx) / det : 0;
    next[0] = (float)(dmin > 0 ? (sx * mm - mx * sm) / det : ss > 0 ? sx / ss : 0);
    next[1] = (float)(dmin > 0 ? dmin : 0);
}

static void search(scales *best, const rmr_enc_block *b, const layout *p)
{
    enum { ROUNDS = 3 };
    const int n = RMR_BLOCK_VALUES / p->subs;
    want f[RMR_BLOCK_SUBS];
    float next[2];
    scales s = {0, 0, 0, {0}, {0}};
    for (int j = 0; j < p->subs; j++) f[j] = fit_alone(NULL, b->x + n * j, b->w + n * j, n, p);
    first_scales(&s, b, f, p);
    best->err = FLT_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        choose(&s, next, b, f, p);
        if (s.err < best->err) *best = s;
        const float d = rmr_enc_stored(b, next[0]), dmin = rmr_enc_stored(b, next[1]);
        if (d == s.d && dmin == s.dmin) break;
        s.d = d;
        s.dmin = dmin;
    }
}

/* ---- bytes ---- */

static void subs_put(const rmr_fields *low, const rmr_fields *high, int n, unsigned char *out,
                     const int *sub)
{
    uint8_t byte[RMR_BLOCK_SUBS];
    for (int j = 0; j < n; j++) byte[j] = (uint8_t)sub[j];
    rmr_halves_put(low, high, (uint32_t)n, out, byte);
}

static void scales_put(const rmr_elem_format *f, unsigned char *out, const rmr_enc_block *b,
                       float d, float m)
{
    memset(out, 0, f->bytes);
    rmr_half_put(out + f->d, rmr_enc_half(b, d));
    rmr_half_put(out + f->d + 2, rmr_enc_half(b, m));
}

void rmr_enc_min(const rmr_elem_format *f, unsigned char *out, const rmr_enc_block *b)
{
    const layout p = layout_of(f);
    scales s = {0};
    int v[RMR_BLOCK_VALUES];
    search(&s, b, &p);
    for (int i = 0; i < RMR_BLOCK_VALUES; i++) {
        const int j = i * p.subs / RMR_BLOCK_VALUES;
        const float inv = rmr_enc_inverse(s.d * (float)s.sc[j]);
        v[i] = (int)rmr_enc_value_min(b->x[i], s.dmin * (float)s.mn[j], inv, p.codes);
    }
    scales_put(f, out, b, s.d, s.dmin);
    rmr_enc_codes_put(f, out, v);
    subs_put(&f->sub, &f->sub_high, p.subs, out, s.sc);
    subs_put(&f->min, &f->min_high, p.subs, out, s.mn);
}

void rmr_enc_min_single(const rmr_elem_format *f, unsigned char *out, const rmr_enc_block *b)
{
    const layout p = layout_of(f);
    const want w = fit_alone(b, b->x, b->w, (int)f->values, &p);
    const float inv = rmr_enc_inverse(w.s);
    int v[RMR_BLOCK_VALUES];
    for (uint32_t i = 0; i < f->values; i++)
        v[i] = (int)rmr_enc_value_min(b->x[i], w.m, inv, p.codes);
    scales_put(f, out, b, w.s, -w.m);
    rmr_enc_codes_put(f, out, v);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of 256 whose sub-blocks have a signed scale each, a small integer times the block's
 * (encode.h): Q6_K, Q3_K, IQ4_XS. */
#include <float.h>
#include <string.h>

#include "encode.h"

typedef struct layout {
    int subs, lo, hi; /* sub-blocks; range of their integers */
    float spread;
} layout;

static layout layout_of(const rmr_elem_format *f)
{
    const int most = (int)rmr_bit_mask((uint32_t)f->sub.bits + f->sub_high.bits);
    const int lo = f->sub.bits == 8 ? -128 : -f->sub_offset;
    return (layout){f->subs, lo, most + lo, rmr_enc_spread(f)};
}

/* A way to write the block. */
typedef struct scales {
    float d, err;
    int sub[RMR_BLOCK_SUBS];
} scales;

/* The super-scale whose multiples lie nearest to the scales fitted to the sub-blocks alone. */
static float first_scale(const rmr_enc_block *b, const layout *p, const float fit[RMR_BLOCK_SUBS],
                         const float qq[RMR_BLOCK_SUBS])
{
    float most = 0, d[LANES], err[LANES], best = 0, least = FLT_MAX;
    for (int j = 0; j < p->subs; j++)
        if (fit[j] * fit[j] > most * most) most = fit[j];
    for (int l = 0; l < LANES; l++) {
        const int half = l % (LANES / 2);
        const float end = (float)(l < LANES / 2 ? p->lo + half : p->hi - half);
        d[l] = rmr_enc_stored(b, most / end);
        err[l] = 0;
    }
    for (int j = 0; j < p->subs; j++)
        for (int l = 0; l < LANES; l++) {
            const float inv = rmr_enc_inverse(d[l]);
            const float v = rmr_enc_round(rmr_enc_clamp(fit[j] * inv, (float)p->lo, (float)p->hi));
            const float miss = fit[j] - d[l] * v;
            err[l] += qq[j] * miss * miss;
        }
    for (int l = 0; l < LANES; l++)
        if (err[l] < least) {
            least = err[l];
            best = d[l];
        }
    return best;
}

/* Given the super-scale, the best integer for each sub-block among those around the fit (or around
 * what it was); *next is the super-scale that fits the codes of all. */
static void choose(scales *s, float *next, const rmr_enc_block *b, const rmr_enc_codes *c,
                   const layout *p, const float fit[RMR_BLOCK_SUBS])
{
    const int n = RMR_BLOCK_VALUES / p->subs;
    const float inv = rmr_enc_inverse(s->d);
    double num = 0, den = 0;
    s->err = 0;
    for (int j = 0; j < p->subs; j++) {
        float d[LANES];
        int best = 0, at[LANES];
        rmr_enc_sums t;
        const int mid = (int)rmr_enc_round(rmr_enc_clamp(fit[j] * inv, (float)p->lo, (float)p->hi));
        for (int l = 0; l < LANES; l++) {
            at[l] = mid + (l % 2 ? (l + 1) / 2 : -l / 2);
            at[l] = at[l] < p->lo ? p->lo : at[l] > p->hi ? p->hi : at[l];
            d[l] = s->d * (float)at[l];
        }
        rmr_enc_try(&t, b->x + n * j, b->w + n * j, n, d, c);
        for (int l = 1; l < LANES; l++)
            if (t.err[l] < t.err[best]) best = l;
        s->sub[j] = at[best];
        s->err += t.err[best];
        num += (double)at[best] * (double)t.qx[best];
        den += (double)at[best] * at[best] * (double)t.qq[best];
    }
    *next = den > 0 ? (float)(num / den) : 0;
}

static void search(scales *best, const rmr_enc_block *b, const rmr_enc_codes *c, const layout *p)
{
    enum { ROUNDS = 3 };
    const int n = RMR_BLOCK_VALUES / p->subs;
    float fit[RMR_BLOCK_SUBS], qq[RMR_BLOCK_SUBS], next;
    for (int j = 0; j < p->subs; j++)
        fit[j] = rmr_enc_fit(NULL, b->x + n * j, b->w + n * j, n, c, p->spread, &qq[j]);
    next = first_scale(b, p, fit, qq);
    best->err = FLT_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        scales s = {rmr_enc_stored(b, next), 0, {0}};
        if (round > 0 && s.d == best->d) break;
        choose(&s, &next, b, c, p, fit);
        if (s.err < best->err) *best = s;
    }
}

void rmr_enc_super(const rmr_elem_format *f, unsigned char *out, const rmr_enc_block *b,
                   const rmr_enc_codes *c)
{
    const layout p = layout_of(f);
    scales s = {0};
    int v[RMR_BLOCK_VALUES];
    uint8_t sub[RMR_BLOCK_SUBS];
    search(&s, b, c, &p);
    for (int i = 0; i < RMR_BLOCK_VALUES; i++) {
        const float d = s.d * (float)s.sub[i * p.subs / RMR_BLOCK_VALUES];
        v[i] = (int)rmr_enc_value(c, b->x[i], rmr_enc_inverse(d));
    }
    for (int j = 0; j < p.subs; j++) sub[j] = (uint8_t)(s.sub[j] + f->sub_offset);
    memset(out, 0, f->bytes);
    rmr_half_put(out + f->d, rmr_enc_half(b, s.d));
    rmr_enc_codes_put(f, out, v);
    rmr_halves_put(&f->sub, &f->sub_high, f->subs, out, sub);
}

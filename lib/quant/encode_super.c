/* Blocks of 256 whose sub-blocks have a signed scale each, a small integer times the block's
 * (encode.h): Q6_K, Q3_K, IQ4_XS. */
#include <float.h>
#include <string.h>

#include "encode.h"

typedef struct layout {
    int subs, lo, hi; /* sub-blocks; range of their integers */
    float spread;
} layout;

static layout layout_of(rmr_elem e)
{
    switch (e) {
    case RMR_ELEM_Q6_K: return (layout){16, -128, 127, 0.15f};
    case RMR_ELEM_Q3_K: return (layout){16, -32, 31, 0.5f};
    default: return (layout){8, -32, 31, 0.28f};
    }
}

/* A way to write the block. */
typedef struct scales {
    float d, err;
    int sub[SUBS_MAX];
} scales;

/* The super-scale whose multiples lie nearest to the scales fitted to the sub-blocks alone. */
static float first_scale(const rmr_enc_block *b, const layout *p, const float fit[SUBS_MAX],
                         const float qq[SUBS_MAX])
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
                   const layout *p, const float fit[SUBS_MAX])
{
    const int n = RMR_SUPER / p->subs;
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
    const int n = RMR_SUPER / p->subs;
    float fit[SUBS_MAX], qq[SUBS_MAX], next;
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

/* ---- bytes ---- */

static void pack_q6_k(unsigned char *o, const int v[RMR_SUPER], const int sub[SUBS_MAX])
{
    for (int n = 0; n < RMR_SUPER; n++) {
        const int half = n / 128, k = n % 128 / 32, l = n % 32, q = v[n] + 32;
        o[64 * half + l + k % 2 * 32] |= (unsigned char)((q & 15) << k / 2 * 4);
        o[128 + 32 * half + l] |= (unsigned char)(q >> 4 << 2 * k);
    }
    for (int j = 0; j < 16; j++) o[192 + j] = (unsigned char)sub[j];
}

static void pack_q3_k(unsigned char *o, const int v[RMR_SUPER], const int sub[SUBS_MAX])
{
    for (int n = 0; n < RMR_SUPER; n++) {
        const int q = v[n] + 4;
        o[32 + 32 * (n / 128) + n % 32] |= (unsigned char)((q & 3) << 2 * (n % 128 / 32));
        o[n % 32] |= (unsigned char)(q >> 2 << n / 32);
    }
    for (int j = 0; j < 16; j++) {
        const int s = sub[j] + 32;
        o[96 + j % 8] |= (unsigned char)((s & 15) << j / 8 * 4);
        o[104 + j % 4] |= (unsigned char)(s >> 4 << 2 * (j / 4));
    }
}

static void pack_iq4_xs(unsigned char *o, const int v[RMR_SUPER], const int sub[SUBS_MAX])
{
    unsigned high = 0;
    for (int n = 0; n < RMR_SUPER; n++) {
        int q = 0;
        while (rmr_iq4_codes[q] != v[n]) q++;
        o[8 + n / 32 * 16 + n % 16] |= (unsigned char)(q << n % 32 / 16 * 4);
    }
    for (int j = 0; j < 8; j++) {
        const unsigned s = (unsigned)(sub[j] + 32);
        o[4 + j / 2] |= (unsigned char)((s & 15) << j % 2 * 4);
        high |= s >> 4 << 2 * j;
    }
    rmr_half_put(o + 2, (uint16_t)high);
}

void rmr_enc_super(rmr_elem e, unsigned char *out, const rmr_enc_block *b, const rmr_enc_codes *c)
{
    const layout p = layout_of(e);
    scales s;
    int v[RMR_SUPER];
    search(&s, b, c, &p);
    for (int i = 0; i < RMR_SUPER; i++) {
        const float d = s.d * (float)s.sub[i * p.subs / RMR_SUPER];
        v[i] = (int)rmr_enc_value(c, b->x[i], rmr_enc_inverse(d));
    }
    memset(out, 0, rmr_elem_table[e].bytes);
    rmr_half_put(out + rmr_block_scales_at[e].d, rmr_enc_half(b, s.d));
    if (e == RMR_ELEM_Q6_K) pack_q6_k(out, v, s.sub);
    if (e == RMR_ELEM_Q3_K) pack_q3_k(out, v, s.sub);
    if (e == RMR_ELEM_IQ4_XS) pack_iq4_xs(out, v, s.sub);
}

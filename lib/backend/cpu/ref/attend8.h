/* The integer products of the 8-bit cache over vectors. The including file has included blocks.h
 * and what its integer products are made of (qblocks.h says what), and defines KV8_ROWS, tokens,
 * and KV8_COLS, heads, whose sums stay in registers; kv8_val, kv8_value(p): 4 tokens' codes of
 * 64 / NV / 4 columns, and kv8_add(sum, p, value): sum (int32, a lane for each column) + the
 * products with 4 weights of 0..255 at p, exact.
 *
 * Scores: the lanes are heads and 4 codes of a token are spread over all of them, so the cache is
 * read once for all heads. Value sums: the lanes are columns and 4 weights of a head are spread.
 *
 * The pages to come are fetched evenly over the work: most of them with the scores, the latent's
 * columns behind the first block with the value sums. */

#ifndef KV8_DOT
FORCE ivec kv8_dot(ivec sum, ivec code, const int8_t *p)
{
    return iv_dot(RMR_ELEM_Q8_0, &code, 1, p, sum);
}
#endif

FORCE const int32_t *kv8_starts(int32_t *to, const int32_t *sum)
{
    for (int t = 0; t < KV8_ROWS; t++)
        to[t] = (int32_t)(-128u * (uint32_t)sum[t]); /* rows
              that are not there yet hold anything */
    return to;
}

/* Tokens [t0, t0 + KV8_ROWS) of a page, vector v of the heads. `next` is the page to come. */
FORCE void kv8_scores_rows(float *out, const kv8_segment *s, const uint8_t *layer, uint32_t t0,
                           const int v, const uint8_t *next)
{
    const rmr_kv8 *const g = &s->g;
    const int8_t *const query = s->query + (size_t)v * (64 / NV);
    for (uint32_t b = 0; b < g->blocks; b++) {
        const uint32_t is_latent = b < g->latent_blocks;
        const uint32_t c0 = rmr_kv8_start(g, b), n = rmr_kv8_start(g, b + 1) - c0;
        const float *const scale = rmr_kv8_scale(g, layer, b) + t0;
        const vec qs = vec_load(s->query_scale + (is_latent ? b : g->latent_blocks) * KV8_HEADS +
                                v * VEC_LANES);
        const int8_t *q = query + (size_t)(is_latent ? c0 : g->latent_cols) * KV8_HEADS;
        const uint8_t *k = layer + rmr_kv8_at(t0, c0), *ahead = next + rmr_kv8_at(t0, c0);
        ivec sum[KV8_ROWS];
        int32_t start[KV8_ROWS];
        if (!CODES_SIGNED(RMR_ELEM_Q8_0)) kv8_starts(start, rmr_kv8_sum(g, layer, b) + t0);
        UNROLL for (int t = 0; t < KV8_ROWS; t++) sum[t] =
            CODES_SIGNED(RMR_ELEM_Q8_0) ? iv_zero() : iv_start(start + t);
        for (uint32_t c = 0; c < n; c += 16, k += 16 * KV8_PAGE, ahead += 16 * KV8_PAGE) {
            if (v == 0 && (b == 0 || !is_latent))
                UNROLL for (int i = 0; i < KV8_ROWS; i += 4)
                    __builtin_prefetch(ahead + (size_t)i * 16, 0, 2);
            for (const uint8_t *four = k; four < k + 64; four += 16, q += 64) {
                const ivec code = q_finish(RMR_ELEM_Q8_0, iv_load(q));
                UNROLL for (int t = 0; t < KV8_ROWS; t++) sum[t] =
                    kv8_dot(sum[t], code, (const int8_t *)four + (ptrdiff_t)t / 4 * 64 + t % 4 * 4);
            }
        }
        UNROLL for (int t = 0; t < KV8_ROWS; t++)
        {
            float *const o = out + ((size_t)t0 + (size_t)t) * KV8_HEADS + v * VEC_LANES;
            vec_store(o, vec_fma(iv_float(sum[t]), vec_mul(qs, vec_set1(scale[t])),
                                 b == 0 ? vec_zero() : vec_load(o)));
        }
    }
}

static void kv8_scores(float *out, const kv8_segment *s, uint32_t i)
{
    const uint32_t left = s->n - i * KV8_PAGE, n = left < KV8_PAGE ? left : KV8_PAGE;
    const uint8_t *const layer = s->pages[i], *const next = s->next[i];
    for (size_t at = rmr_kv8_codes(&s->g); at < rmr_kv8_bytes(&s->g); at += 64)
        __builtin_prefetch(next + at, 0, 2); /* scales and sums */
    for (uint32_t t = 0; t < n; t += KV8_ROWS)
        UNROLL for (int v = 0; v < NV; v++) kv8_scores_rows(out, s, layer, t, v, next);
}

/* H heads by vector v of 16 columns. */
FORCE void kv8_mix_rows(const int H, float *z, const kv8_segment *s, uint32_t c0, const int v,
                        const uint8_t *p, const float *scale)
{
    for (uint32_t i = 0; i * KV8_PAGE < s->n; i++, scale += KV8_HEADS) {
        const uint32_t left = s->n - i * KV8_PAGE, fours = left < KV8_PAGE ? (left + 3) / 4 : 8;
        const uint8_t *const code = s->pages[i] + rmr_kv8_at(0, c0) + (size_t)v * (64 / NV);
        const uint8_t *const weight = p + (size_t)i * KV8_PAGE * KV8_HEADS;
        const uint8_t *const next =
            c0 < RMR_KV8_BLOCK ? code : s->next[i] + rmr_kv8_at(0, c0); /* of the first: nothing */
        ivec sum[KV8_COLS];
        UNROLL for (int h = 0; h < H; h++) sum[h] = iv_zero();
        for (uint32_t t = 0; t < fours; t++) {
            const kv8_val val = kv8_value(code + (size_t)t * 64);
            if (v == 0) __builtin_prefetch(next + (size_t)t * 64, 0, 2);
            UNROLL for (int h = 0; h < H; h++) sum[h] =
                kv8_add(sum[h], weight + (size_t)t * 4 * KV8_HEADS + (size_t)h * 4, val);
        }
        UNROLL for (int h = 0; h < H; h++)
        {
            float *const to = z + (size_t)h * 16 + v * VEC_LANES;
            vec_store(to, vec_fma(iv_float(sum[h]), vec_set1(scale[h]),
                                  i == 0 ? vec_zero() : vec_load(to)));
        }
    }
}

static void kv8_mix(float *z, const kv8_segment *s, uint32_t heads, uint32_t c0, const uint8_t *p,
                    const float *scale)
{
    for (uint32_t h = 0; h < heads; h += KV8_COLS) UNROLL for (int v = 0; v < NV; v++)
        {
            if (heads - h > KV8_COLS / 2)
                kv8_mix_rows(KV8_COLS, z + (size_t)h * 16, s, c0, v, p + (size_t)h * 4, scale + h);
            else
                kv8_mix_rows(KV8_COLS / 2, z + (size_t)h * 16, s, c0, v, p + (size_t)h * 4,
                             scale + h);
        }
}

/* Rotary frequencies, YaRN (facts section 3) and Llama-3's scaling (section 11.3). YaRN has two
 * independent amplitude effects, one on cos and sin, one on the softmax scale; the second is
 * DeepSeek's alone. */
#include "rope.h"

#include <math.h>
#include <string.h>

#include "json.h"

#define TWO_PI 6.283185307179586476925

typedef struct yarn {
    double factor, orig, beta_fast, beta_slow, mscale, mscale_all_dim, attention_factor,
        attn_factor;
} yarn;

/* YaRN's amplitude m(x) = 0.1 x ln(factor) + 1. */
static double amplitude(double x, double factor)
{
    return factor <= 1.0 ? 1.0 : 0.1 * x * log(factor) + 1.0;
}

static double correction(double rotations, double dim, double theta, double orig)
{
    return dim * log(orig / (rotations * TWO_PI)) / (2.0 * log(theta));
}

static void yarn_frequencies(rmr_shape *s, const yarn *y, double theta)
{
    const double dim = rmr_shape_rope(s);
    double low = floor(correction(y->beta_fast, dim, theta, y->orig));
    double high = ceil(correction(y->beta_slow, dim, theta, y->orig));
    if (low < 0) low = 0;
    if (high > dim - 1) high = dim - 1;
    if (low == high) high += 0.001;
    for (uint32_t k = 0; k < rmr_shape_rope(s) / 2; k++) {
        const double freq = pow(theta, -2.0 * k / dim);
        double ramp = (k - low) / (high - low);
        ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
        s->inv_freq[k] = (float)(freq / y->factor * ramp + freq * (1.0 - ramp));
    }
}

static remora_status read_yarn(const char *file, const json_t *r, double max_context, yarn *y,
                               remora_error *err)
{
    int truncate;
    RMR_TRY(rmr_json_number(file, r, "factor", 0, &y->factor, err));
    RMR_TRY(
        rmr_json_number(file, r, "original_max_position_embeddings", max_context, &y->orig, err));
    RMR_TRY(rmr_json_number(file, r, "beta_fast", 32, &y->beta_fast, err));
    RMR_TRY(rmr_json_number(file, r, "beta_slow", 1, &y->beta_slow, err));
    RMR_TRY(rmr_json_number(file, r, "mscale", 0, &y->mscale, err));
    RMR_TRY(rmr_json_number(file, r, "mscale_all_dim", 0, &y->mscale_all_dim, err));
    RMR_TRY(rmr_json_number(file, r, "attention_factor", 0, &y->attention_factor, err));
    RMR_TRY(rmr_json_number(file, r, "attn_factor", 1, &y->attn_factor, err));
    RMR_TRY(rmr_json_bool(file, r, "truncate", 1, &truncate, err));
    if (!truncate) RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: rope truncate = false", file);
    if (!(y->factor >= 1.0 && y->factor <= 1e6))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: rope factor %g is not in 1..1e6", file, y->factor);
    if (!(y->orig >= 1.0 && y->orig <= 1e9))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: original_max_position_embeddings %g", file, y->orig);
    if (!(y->beta_fast > 0 && y->beta_slow > 0 && y->beta_fast < 1e6 && y->beta_slow < 1e6))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: rope beta_fast or beta_slow is out of range", file);
    /* not negative: an amplitude of 0 would be divided by */
    if (!(y->mscale >= 0 && y->mscale < 1e3 && y->mscale_all_dim >= 0 && y->mscale_all_dim < 1e3 &&
          y->attention_factor >= 0 && y->attention_factor < 1e3 && y->attn_factor > 0 &&
          y->attn_factor < 1e3))
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "%s: rope mscale, attention_factor or attn_factor is out of range", file);
    return REMORA_OK;
}

/* The factor on cos and sin (facts section 3 step 6). attention_factor replaces it; attn_factor,
 * which R1-0528-Qwen3-8B has to bring it back to 1, multiplies it: so the engines that know this
 * field, while transformers passes over it. */
static double rope_amplitude(const yarn *y)
{
    if (y->attention_factor > 0) return y->attention_factor;
    if (y->mscale != 0 && y->mscale_all_dim != 0)
        return y->attn_factor * amplitude(y->mscale, y->factor) /
               amplitude(y->mscale_all_dim, y->factor);
    return y->attn_factor * amplitude(1.0, y->factor);
}

/* Long waves are slowed down by `factor`, short ones stay, those between are blended. */
static remora_status llama3_frequencies(const char *file, const json_t *r, rmr_shape *s,
                                        double theta, remora_error *err)
{
    double factor, low, high, orig;
    RMR_TRY(rmr_json_number(file, r, "factor", 0, &factor, err));
    RMR_TRY(rmr_json_number(file, r, "low_freq_factor", 0, &low, err));
    RMR_TRY(rmr_json_number(file, r, "high_freq_factor", 0, &high, err));
    RMR_TRY(rmr_json_number(file, r, "original_max_position_embeddings", 0, &orig, err));
    if (!(factor >= 1.0 && factor <= 1e6))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: rope factor %g is not in 1..1e6", file, factor);
    if (!(low > 0 && low < high && high <= 1e6))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: rope low_freq_factor %g, high_freq_factor %g", file,
                 low, high);
    if (!(orig >= 1.0 && orig <= 1e9))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: original_max_position_embeddings %g", file, orig);
    for (uint32_t k = 0; k < rmr_shape_rope(s) / 2; k++) {
        const double freq = pow(theta, -2.0 * k / rmr_shape_rope(s));
        const double turns = orig * freq / TWO_PI; /* within the original context */
        double keep = (turns - low) / (high - low);
        keep = keep < 0 ? 0 : keep > 1 ? 1 : keep;
        s->inv_freq[k] = (float)((1.0 - keep) * freq / factor + keep * freq);
    }
    return REMORA_OK;
}

/* The object that describes scaling: rope_parameters (new) or rope_scaling (old); NULL when there
 * is none. */
static remora_status scaling_object(const char *file, const json_t *config, const json_t **out,
                                    remora_error *err)
{
    const json_t *r = json_object_get(config, "rope_parameters");
    if (r == NULL || json_is_null(r)) r = json_object_get(config, "rope_scaling");
    *out = NULL;
    if (r == NULL || json_is_null(r)) return REMORA_OK;
    if (!json_is_object(r))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: rope_scaling is not an object", file);
    *out = r;
    return REMORA_OK;
}

/* What a GGUF file has in place of Llama-3's scaling: a divisor for each frequency. */
static remora_status divided_frequencies(const char *file, const json_t *r, rmr_shape *s,
                                         double theta, remora_error *err)
{
    const json_t *list = json_object_get(r, "factors");
    const uint32_t n = rmr_shape_rope(s) / 2;
    if (!json_is_array(list) || json_array_size(list) != n)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: rope factors are not a list of %u numbers", file, n);
    for (uint32_t k = 0; k < n; k++) {
        const double f = json_number_value(json_array_get(list, k));
        if (!(f > 1e-9 && f < 1e9))
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: rope factor %u is %g", file, k, f);
        s->inv_freq[k] = (float)(pow(theta, -2.0 * k / rmr_shape_rope(s)) / f);
    }
    return REMORA_OK;
}

static remora_status read_pairs(const char *file, const json_t *config, rmr_shape *s,
                                remora_error *err)
{
    const int mla = s->attention == RMR_ATTENTION_MLA;
    int interleave;
    RMR_TRY(rmr_json_bool(file, config, "rope_interleave", mla, &interleave, err));
    if (mla && !interleave)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: rope_interleave = false", file);
    s->rope_pairs = interleave ? RMR_ROPE_INTERLEAVED : RMR_ROPE_HALVES;
    return REMORA_OK;
}

/* Only part of a head rotates: not done for grouped attention (MLA has a rope part of its own). */
static remora_status refuse_partial(const char *file, const json_t *obj, const rmr_shape *s,
                                    remora_error *err)
{
    double part;
    if (obj == NULL || s->attention == RMR_ATTENTION_MLA) return REMORA_OK;
    RMR_TRY(rmr_json_number(file, obj, "partial_rotary_factor", 1, &part, err));
    if (part != 1) RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: partial_rotary_factor %g", file, part);
    return REMORA_OK;
}

/* The softmax scale is multiplied by YaRN's second amplitude, squared. */
static void set_scale(rmr_shape *s, double amp)
{
    if (s->attention == RMR_ATTENTION_GQA)
        s->gqa.scale = (float)(1.0 / sqrt((double)s->gqa.head_dim));
    else
        s->mla.scale = (float)(1.0 / sqrt((double)(s->mla.nope + s->mla.rope)) * (amp * amp));
}

static remora_status read_scaling(const char *file, const json_t *r, const char *type, double theta,
                                  rmr_shape *s, remora_error *err)
{
    s->rope_amp = 1.0f;
    set_scale(s, 1.0);
    if (type == NULL || strcmp(type, "default") == 0) {
        for (uint32_t k = 0; k < rmr_shape_rope(s) / 2; k++)
            s->inv_freq[k] = (float)pow(theta, -2.0 * k / rmr_shape_rope(s));
    } else if (strcmp(type, "yarn") == 0) {
        yarn y;
        RMR_TRY(read_yarn(file, r, s->max_context, &y, err));
        yarn_frequencies(s, &y, theta);
        s->rope_amp = (float)rope_amplitude(&y);
        if (y.mscale_all_dim != 0) set_scale(s, amplitude(y.mscale_all_dim, y.factor));
    } else if (strcmp(type, "llama3") == 0 && s->attention == RMR_ATTENTION_GQA) {
        RMR_TRY(llama3_frequencies(file, r, s, theta, err));
    } else if (strcmp(type, "factors") == 0) {
        RMR_TRY(divided_frequencies(file, r, s, theta, err));
    } else {
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: rope_type \"%.40s\"", file, type);
    }
    return REMORA_OK;
}

remora_status rmr_rope_read(const char *file, const json_t *config, rmr_shape *s, remora_error *err)
{
    const json_t *r;
    const char *type = NULL;
    double theta, theta_inner;
    RMR_TRY(scaling_object(file, config, &r, err));
    RMR_TRY(rmr_json_number(file, config, "rope_theta", 10000.0, &theta, err));
    RMR_TRY(read_pairs(file, config, s, err));
    RMR_TRY(refuse_partial(file, config, s, err));
    RMR_TRY(refuse_partial(file, r, s, err));
    if (r != NULL) {
        RMR_TRY(rmr_json_number(file, r, "rope_theta", theta, &theta_inner, err));
        theta = theta_inner;
        RMR_TRY(rmr_json_string(file, r, "rope_type", &type, err));
        if (type == NULL) RMR_TRY(rmr_json_string(file, r, "type", &type, err));
    }
    if (!(theta > 1.0 && theta <= 1e12))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: rope_theta %g", file, theta);
    return read_scaling(file, r, type, theta, s, err);
}

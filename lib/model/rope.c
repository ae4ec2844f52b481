/* Rotary frequencies and YaRN (facts section 3): two independent amplitude effects, one on cos and
 * sin, one on the softmax scale. */
#include "rope.h"

#include <math.h>
#include <string.h>

#include "json.h"

#define TWO_PI 6.283185307179586476925

typedef struct yarn {
    double factor, orig, beta_fast, beta_slow, mscale, mscale_all_dim, attention_factor;
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
    const double dim = s->mla.rope;
    double low = floor(correction(y->beta_fast, dim, theta, y->orig));
    double high = ceil(correction(y->beta_slow, dim, theta, y->orig));
    if (low < 0) low = 0;
    if (high > dim - 1) high = dim - 1;
    if (low == high) high += 0.001;
    for (uint32_t k = 0; k < s->mla.rope / 2; k++) {
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
          y->attention_factor >= 0 && y->attention_factor < 1e3))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: rope mscale or attention_factor is out of range", file);
    return REMORA_OK;
}

/* The factor on cos and sin (facts section 3 step 6). */
static double rope_amplitude(const yarn *y)
{
    if (y->attention_factor > 0) return y->attention_factor;
    if (y->mscale != 0 && y->mscale_all_dim != 0)
        return amplitude(y->mscale, y->factor) / amplitude(y->mscale_all_dim, y->factor);
    return amplitude(1.0, y->factor);
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

remora_status rmr_rope_read(const char *file, const json_t *config, rmr_shape *s, remora_error *err)
{
    const json_t *r;
    const char *type = NULL;
    double theta, theta_inner, base = 1.0 / sqrt((double)(s->mla.nope + s->mla.rope));
    int interleave;
    RMR_TRY(scaling_object(file, config, &r, err));
    RMR_TRY(rmr_json_number(file, config, "rope_theta", 10000.0, &theta, err));
    RMR_TRY(rmr_json_bool(file, config, "rope_interleave", 1, &interleave, err));
    if (!interleave) RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: rope_interleave = false", file);
    if (r != NULL) {
        RMR_TRY(rmr_json_number(file, r, "rope_theta", theta, &theta_inner, err));
        theta = theta_inner;
        RMR_TRY(rmr_json_string(file, r, "rope_type", &type, err));
        if (type == NULL) RMR_TRY(rmr_json_string(file, r, "type", &type, err));
    }
    if (!(theta > 1.0 && theta <= 1e12))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: rope_theta %g", file, theta);
    s->rope_amp = 1.0f;
    if (type == NULL || strcmp(type, "default") == 0) {
        for (uint32_t k = 0; k < s->mla.rope / 2; k++)
            s->inv_freq[k] = (float)pow(theta, -2.0 * k / s->mla.rope);
    } else if (strcmp(type, "yarn") == 0) {
        yarn y;
        RMR_TRY(read_yarn(file, r, s->max_context, &y, err));
        yarn_frequencies(s, &y, theta);
        s->rope_amp = (float)rope_amplitude(&y);
        if (y.mscale_all_dim != 0) base *= pow(amplitude(y.mscale_all_dim, y.factor), 2);
    } else {
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: rope_type \"%.40s\"", file, type);
    }
    s->mla.scale = (float)base;
    return REMORA_OK;
}

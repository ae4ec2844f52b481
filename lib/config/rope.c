/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary frequencies, YaRN and Llama-3's scaling. YaRN has two independent amplitude effects, one
 * on cos and sin, one on the softmax scale; the second is DeepSeek's alone. */
#include "rope.h"

#include <math.h>
#include <string.h>

#include "json.h"
#include "source.h"

#define TWO_PI 6.283185307179586476925

typedef struct yarn {
    double factor, orig, beta_fast, beta_slow, mscale, mscale_all_dim, attention_factor,
        attn_factor;
    int truncate;
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

static void plain_frequencies(rmr_shape *s, double theta, double divisor)
{
    for (uint32_t k = 0; k < rmr_shape_rope(s) / 2; k++)
        s->inv_freq[k] = (float)(pow(theta, -2.0 * k / rmr_shape_rope(s)) / divisor);
}

static void yarn_frequencies(rmr_shape *s, const yarn *y, double theta)
{
    const double dim = rmr_shape_rope(s);
    double low = correction(y->beta_fast, dim, theta, y->orig);
    double high = correction(y->beta_slow, dim, theta, y->orig);
    if (y->truncate) {
        low = floor(low);
        high = ceil(high);
    }
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

static remora_status read_factor(const char *file, const json_t *r, double *out, remora_error *err)
{
    RMR_TRY(rmr_json_number(file, r, "factor", 0, out, err));
    if (!(*out >= 1.0 && *out <= 1e6))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: the factor of rope_scaling is %g, not in 1..1e6", file,
                 *out);
    return REMORA_OK;
}

/* The context length before scaling. The field at the top level, which Phi-3's files have, counts
 * more than the one beside the factor. */
static remora_status read_original(const char *file, const json_t *config, const json_t *r,
                                   double fallback, double *out, remora_error *err)
{
    static const char key[] = "original_max_position_embeddings";
    RMR_TRY(rmr_json_number(file, r, key, fallback, out, err));
    RMR_TRY(rmr_json_number(file, config, key, *out, out, err));
    if (!(*out >= 1.0 && *out <= 1e9))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s is %g, not in 1..1e9", file, key, *out);
    return REMORA_OK;
}

static remora_status read_yarn(const char *file, const json_t *config, const json_t *r,
                               double max_context, yarn *y, remora_error *err)
{
    double extrapolation;
    RMR_TRY(read_factor(file, r, &y->factor, err));
    RMR_TRY(read_original(file, config, r, max_context, &y->orig, err));
    RMR_TRY(rmr_json_number(file, r, "beta_fast", 32, &y->beta_fast, err));
    RMR_TRY(rmr_json_number(file, r, "beta_slow", 1, &y->beta_slow, err));
    RMR_TRY(rmr_json_number(file, r, "mscale", 0, &y->mscale, err));
    RMR_TRY(rmr_json_number(file, r, "mscale_all_dim", 0, &y->mscale_all_dim, err));
    RMR_TRY(rmr_json_number(file, r, "attention_factor", 0, &y->attention_factor, err));
    RMR_TRY(rmr_json_number(file, r, "attn_factor", 1, &y->attn_factor, err));
    RMR_TRY(rmr_json_number(file, r, "extrapolation_factor", 1, &extrapolation, err));
    RMR_TRY(rmr_json_bool(file, r, "truncate", 1, &y->truncate, err));
    if (extrapolation != 1)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                 "%s: extrapolation_factor of rope_scaling is %g; supported is 1", file,
                 extrapolation);
    if (!(y->beta_fast > 0 && y->beta_slow > 0 && y->beta_fast < 1e6 && y->beta_slow < 1e6))
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "%s: beta_fast of rope_scaling is %g, beta_slow %g, not both in 0..1e6", file,
                 y->beta_fast, y->beta_slow);
    /* not negative: an amplitude of 0 would be divided by */
    if (!(y->mscale >= 0 && y->mscale < 1e3 && y->mscale_all_dim >= 0 && y->mscale_all_dim < 1e3 &&
          y->attention_factor >= 0 && y->attention_factor < 1e3 && y->attn_factor > 0 &&
          y->attn_factor < 1e3))
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "%s: mscale, mscale_all_dim, attention_factor or attn_factor of rope_scaling is "
                 "not in 0..1e3",
                 file);
    return REMORA_OK;
}

/* The factor on cos and sin. attention_factor replaces it; attn_factor multiplies it, as in the
 * engines that know this field (docs/models.md T14). */
static double rope_amplitude(const yarn *y)
{
    if (y->attention_factor > 0) return y->attention_factor;
    if (y->mscale != 0 && y->mscale_all_dim != 0)
        return y->attn_factor * amplitude(y->mscale, y->factor) /
               amplitude(y->mscale_all_dim, y->factor);
    return y->attn_factor * amplitude(1.0, y->factor);
}

/* Long waves are slowed down by `factor`, short ones stay, those between are blended. */
static remora_status llama3_frequencies(const char *file, const json_t *config, const json_t *r,
                                        rmr_shape *s, double theta, remora_error *err)
{
    double factor, low, high, orig;
    RMR_TRY(read_factor(file, r, &factor, err));
    RMR_TRY(rmr_json_number(file, r, "low_freq_factor", 0, &low, err));
    RMR_TRY(rmr_json_number(file, r, "high_freq_factor", 0, &high, err));
    RMR_TRY(read_original(file, config, r, 0, &orig, err));
    if (!(low > 0 && low < high && high <= 1e6))
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "%s: low_freq_factor of rope_scaling is %g, high_freq_factor %g, not 0 < low < "
                 "high <= 1e6",
                 file, low, high);
    for (uint32_t k = 0; k < rmr_shape_rope(s) / 2; k++) {
        const double freq = pow(theta, -2.0 * k / rmr_shape_rope(s));
        const double turns = orig * freq / TWO_PI; /* within the original context */
        double keep = (turns - low) / (high - low);
        keep = keep < 0 ? 0 : keep > 1 ? 1 : keep;
        s->inv_freq[k] = (float)((1.0 - keep) * freq / factor + keep * freq);
    }
    return REMORA_OK;
}

/* GGUF's form of Llama-3's scaling: a divisor for each frequency. */
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
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: rope factor %u is %g, not in 1e-9..1e9", file, k,
                     f);
        s->inv_freq[k] = (float)(pow(theta, -2.0 * k / rmr_shape_rope(s)) / f);
    }
    return REMORA_OK;
}

/* ---- which object describes the scaling ---- */

typedef struct scaling {
    const char *name; /* rope_scaling or rope_parameters */
    const json_t *r;  /* NULL: there is none */
    const char *type;
} scaling;

static remora_status scaling_object(const char *file, const json_t *config, const char *name,
                                    scaling *out, remora_error *err)
{
    const json_t *r = json_object_get(config, name);
    if (r == NULL || json_is_null(r)) return REMORA_OK;
    if (!json_is_object(r)) return rmr_json_wrong(file, name, r, "an object", err);
    if (json_object_size(r) > 0) *out = (scaling){name, r, NULL};
    return REMORA_OK;
}

/* A key that nobody here reads may change what is computed; "finetuned" of the first YaRN files
 * does not. A null is an absent key only where transformers takes it so. */
static remora_status check_keys(const char *file, const scaling *sc, remora_error *err)
{
    static const struct known {
        const char *key;
        int null_is_absent;
    } known[] = {
        {"rope_type", 0},
        {"type", 0},
        {"rope_theta", 0},
        {"partial_rotary_factor", 0},
        {"factor", 0},
        {"original_max_position_embeddings", 0},
        {"beta_fast", 1},
        {"beta_slow", 1},
        {"mscale", 1},
        {"mscale_all_dim", 1},
        {"attention_factor", 1},
        {"attn_factor", 0},
        {"extrapolation_factor", 0},
        {"truncate", 0},
        {"low_freq_factor", 0},
        {"high_freq_factor", 0},
        {"factors", 0},
        {"finetuned", 1},
    };
    enum { N_KNOWN = sizeof known / sizeof *known };
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)sc->r, key, v)
    {
        size_t i = 0;
        while (i < N_KNOWN && strcmp(key, known[i].key) != 0) i++;
        if (i == N_KNOWN)
            RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: %s of %s is not supported", file,
                     rmr_show(key).text, sc->name);
        if (json_is_null(v) && !known[i].null_is_absent)
            RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s of %s is null, which has no meaning there", file,
                     key, sc->name);
    }
    return REMORA_OK;
}

/* Without a type there is no scaling, and then there must be nothing to scale with. */
static remora_status read_type(const char *file, scaling *sc, remora_error *err)
{
    const char *key = json_object_get(sc->r, "rope_type") != NULL ? "rope_type" : "type";
    const json_t *v = json_object_get(sc->r, key);
    if (v != NULL) {
        if (!json_is_string(v) || rmr_json_is_odd(v))
            return rmr_json_wrong(file, key, v, "a string", err);
        sc->type = json_string_value(v);
        return REMORA_OK;
    }
    sc->type = "default";
    json_t *other;
    json_object_foreach((json_t *)(uintptr_t)sc->r, key,
                        other) if (strcmp(key, "rope_theta") != 0 &&
                                   strcmp(key, "partial_rotary_factor") != 0)
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: %s has %s and no rope_type", file, sc->name,
                 rmr_show(key).text);
    return REMORA_OK;
}

/* As in transformers and vLLM: a rope_scaling that is not empty takes the place of rope_parameters,
 * and of the rope_theta in it. */
static remora_status read_theta(const char *file, const json_t *config, const scaling *sc,
                                double *theta, remora_error *err)
{
    const json_t *inner = json_object_get(sc->r, "rope_theta"),
                 *outer = json_object_get(config, "rope_theta"),
                 *lost = json_object_get(json_object_get(config, "rope_parameters"), "rope_theta");
    if (json_is_null(inner) || (inner == NULL && json_is_null(outer)))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: rope_theta is null, not a number", file);
    RMR_TRY(
        rmr_json_number(file, inner != NULL ? sc->r : config, "rope_theta", 10000.0, theta, err));
    if (inner == NULL && outer == NULL && lost != NULL)
        RMR_FAIL(err, REMORA_E_FORMAT,
                 "%s: rope_theta is in rope_parameters only, which rope_scaling replaces: it has "
                 "to be in rope_scaling",
                 file);
    if (!(*theta > 1.0 && *theta <= 1e12))
        RMR_FAIL(err, REMORA_E_FORMAT, "%s: rope_theta is %g, not in 1..1e12", file, *theta);
    return REMORA_OK;
}

static remora_status read_pairs(const char *file, const json_t *config, rmr_shape *s,
                                remora_error *err)
{
    const int mla = s->attention == RMR_ATTENTION_MLA;
    int interleave;
    RMR_TRY(rmr_json_bool(file, config, "rope_interleave", mla, &interleave, err));
    if (mla && !interleave)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: rope_interleave is false; supported in %s is true",
                 file, s->family);
    s->rope_pairs = interleave ? RMR_ROPE_INTERLEAVED : RMR_ROPE_HALVES;
    return REMORA_OK;
}

/* Only part of a head, or of MLA's rope part, rotates. */
static remora_status refuse_partial(const char *file, const json_t *obj, remora_error *err)
{
    double part;
    if (obj == NULL) return REMORA_OK;
    RMR_TRY(rmr_json_number(file, obj, "partial_rotary_factor", 1, &part, err));
    if (part != 1)
        RMR_FAIL(err, REMORA_E_UNSUPPORTED, "%s: partial_rotary_factor is %g; supported is 1", file,
                 part);
    return REMORA_OK;
}

/* The softmax scale is of the un-absorbed head's width, and multiplied by YaRN's second amplitude,
 * squared; grouped attention has none (docs/models.md T1, T13, T14). */
static void set_scale(rmr_shape *s, double amp)
{
    if (s->attention == RMR_ATTENTION_GQA)
        s->gqa.scale = (float)(1.0 / sqrt((double)s->gqa.head_dim));
    else
        s->mla.scale = (float)(1.0 / sqrt((double)(s->mla.nope + s->mla.rope)) * (amp * amp));
}

/* A model card's recipe adds YaRN and leaves max_position_embeddings at the length of before. */
static remora_status use_yarn(const char *file, const json_t *config, const json_t *r, double theta,
                              rmr_shape *s, remora_error *err)
{
    yarn y;
    RMR_TRY(read_yarn(file, config, r, s->max_context, &y, err));
    yarn_frequencies(s, &y, theta);
    s->rope_amp = (float)rope_amplitude(&y);
    if (y.mscale_all_dim != 0) set_scale(s, amplitude(y.mscale_all_dim, y.factor));
    const double reach = floor(y.factor * y.orig);
    s->max_context = reach < RMR_MAX_CONTEXT ? (uint32_t)reach : RMR_MAX_CONTEXT;
    return REMORA_OK;
}

static remora_status read_scaling(const char *file, const json_t *config, const scaling *sc,
                                  double theta, rmr_shape *s, remora_error *err)
{
    const int plain = sc->r == NULL || strcmp(sc->type, "default") == 0;
    double factor = 1;
    s->rope_amp = 1.0f;
    set_scale(s, 1.0);
    if (!plain && strcmp(sc->type, "yarn") == 0)
        return use_yarn(file, config, sc->r, theta, s, err);
    if (!plain && strcmp(sc->type, "llama3") == 0 && s->attention == RMR_ATTENTION_GQA)
        return llama3_frequencies(file, config, sc->r, s, theta, err);
    if (!plain && strcmp(sc->type, "factors") == 0)
        return divided_frequencies(file, sc->r, s, theta, err);
    if (!plain) {
        s->rope_dynamic = strcmp(sc->type, "dynamic") == 0;
        if (!s->rope_dynamic && strcmp(sc->type, "linear") != 0)
            RMR_FAIL(
                err, REMORA_E_UNSUPPORTED,
                "%s: rope_type of %s is \"%s\"; supported are default, linear, dynamic, yarn%s",
                file, sc->name, rmr_show(sc->type).text,
                s->attention == RMR_ATTENTION_GQA ? ", llama3" : "");
        /* transformers would scale the softmax by it, which no released model asks for */
        if (json_number_value(json_object_get(sc->r, "mscale_all_dim")) != 0)
            RMR_FAIL(err, REMORA_E_UNSUPPORTED,
                     "%s: mscale_all_dim of %s is not supported with type %s, only with yarn", file,
                     sc->name, sc->type);
        RMR_TRY(read_factor(file, sc->r, &factor, err));
    }
    plain_frequencies(s, theta, s->rope_dynamic ? 1 : factor);
    return REMORA_OK;
}

remora_status rmr_rope_read(const char *file, const json_t *config, rmr_shape *s, remora_error *err)
{
    scaling sc = {NULL, NULL, NULL};
    double theta;
    RMR_TRY(scaling_object(file, config, "rope_parameters", &sc, err));
    RMR_TRY(scaling_object(file, config, "rope_scaling", &sc, err));
    RMR_TRY(read_pairs(file, config, s, err));
    RMR_TRY(refuse_partial(file, config, err));
    RMR_TRY(read_theta(file, config, &sc, &theta, err));
    if (sc.r != NULL) {
        RMR_TRY(read_type(file, &sc, err));
        RMR_TRY(refuse_partial(file, sc.r, err));
    }
    RMR_TRY(read_scaling(file, config, &sc, theta, s, err));
    return sc.r != NULL ? check_keys(file, &sc, err) : REMORA_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Dense models with grouped attention against a forward pass in double precision, written down from
 * docs/models.md, "Grouped attention", and independent of the library but for the format of its
 * inputs. On models made up on the spot, so that it has what no fixture has: norms over heads
 * (Qwen3), YaRN without an effect on the softmax scale, a bias of the output projection,
 * interleaved rope, and more tokens than a segment of attention.
 *
 * The limit: float32 against double is some 1e-6 here, and what a test must find above 1e-3. Angles
 * are products in float32 on both sides, which is part of the definition. */
#include "rig.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tiny.h"

static const double limit = 1e-5;
enum { N = 300, HD = 12, MAX_WIDTH = 128 };

typedef struct reference {
    const json_t *config;
    const json_t *header;
    const unsigned char *data;
    size_t layers, hidden, heads, kv_heads, inner, vocab;
    double freq[HD / 2], amp;
    int interleave;
    double *keys, *values; /* of one layer [N][kv_heads][HD] */
} reference;

static double number(const json_t *o, const char *key)
{
    return json_number_value(json_object_get(o, key));
}

/* The numbers of a tensor; NULL when there is none. */
static const unsigned char *tensor(const reference *r, size_t layer, const char *part)
{
    char name[160];
    if (layer == SIZE_MAX)
        snprintf(name, sizeof name, "%s", part);
    else
        snprintf(name, sizeof name, "model.layers.%zu.%s", layer, part);
    const json_t *t = json_object_get(r->header, name);
    if (t == NULL) return NULL;
    return r->data + json_integer_value(json_array_get(json_object_get(t, "data_offsets"), 0));
}

static double at(const unsigned char *bf16, size_t i)
{
    float f;
    const uint32_t bits = (uint32_t)(bf16[2 * i] | bf16[2 * i + 1] << 8) << 16;
    memcpy(&f, &bits, 4);
    return (double)f;
}

static int has(const reference *r, const char *name)
{
    return json_object_get(r->header, name) != NULL;
}

static void rms_norm(const reference *r, size_t layer, const char *part, const double *x, size_t n,
                     double *y)
{
    const unsigned char *w = tensor(r, layer, part);
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] / sqrt(sum / (double)n + number(r->config, "rms_norm_eps")) * at(w, i);
}

/* y = W x + b */
static void project(const reference *r, size_t layer, const char *part, const double *x,
                    size_t n_in, double *y, size_t n_out)
{
    char weight[96], bias[96];
    snprintf(weight, sizeof weight, "%s.weight", part);
    snprintf(bias, sizeof bias, "%s.bias", part);
    const unsigned char *w = tensor(r, layer, weight), *b = tensor(r, layer, bias);
    assert_non_null(w);
    for (size_t o = 0; o < n_out; o++) {
        y[o] = b != NULL ? at(b, o) : 0;
        for (size_t i = 0; i < n_in; i++) y[o] += at(w, o * n_in + i) * x[i];
    }
}

static void make_frequencies(reference *r)
{
    const json_t *s = json_object_get(r->config, "rope_scaling");
    const char *type = json_string_value(json_object_get(s, "rope_type"));
    const double theta = number(r->config, "rope_theta"), pi = 3.14159265358979323846;
    const double factor = number(s, "factor"), orig = number(s, "original_max_position_embeddings");
    r->amp = 1;
    for (int k = 0; k < HD / 2; k++) {
        double f = pow(theta, -2.0 * k / HD);
        const double wave = 2 * pi / f;
        if (type != NULL && strcmp(type, "llama3") == 0) {
            const double low = number(s, "low_freq_factor"), high = number(s, "high_freq_factor");
            const double t = (orig / wave - low) / (high - low);
            if (wave > orig / low)
                f /= factor;
            else if (wave >= orig / high)
                f = (1 - t) * f / factor + t * f;
        } else if (type != NULL) { /* yarn with beta 32 and 1 */
            double lo = floor(HD * log(orig / (32 * 2 * pi)) / (2 * log(theta)));
            double hi = ceil(HD * log(orig / (1 * 2 * pi)) / (2 * log(theta)));
            lo = fmax(lo, 0);
            hi = fmin(hi, HD - 1);
            const double ramp = fmin(fmax((k - lo) / (hi - lo), 0), 1);
            f = f / factor * ramp + f * (1 - ramp);
            r->amp = 0.1 * log(factor) + 1;
        }
        r->freq[k] = f;
    }
}

static void rotate(const reference *r, double *x, size_t pos)
{
    for (size_t k = 0; k < HD / 2; k++) {
        const float angle = (float)pos * (float)r->freq[k];
        const double c = cos((double)angle) * r->amp, s = sin((double)angle) * r->amp;
        const size_t i = r->interleave ? 2 * k : k, j = r->interleave ? 2 * k + 1 : k + HD / 2;
        const double u = x[i], v = x[j];
        x[i] = u * c - v * s;
        x[j] = v * c + u * s;
    }
}

static void heads_of(const reference *r, size_t layer, const char *which, size_t heads,
                     const double *x, size_t pos, double *y)
{
    char part[64], norm[64];
    snprintf(part, sizeof part, "self_attn.%s_proj", which);
    snprintf(norm, sizeof norm, "self_attn.%s_norm.weight", which);
    project(r, layer, part, x, r->hidden, y, heads * HD);
    if (which[0] == 'v') return;
    for (size_t h = 0; h < heads; h++) {
        if (has(r, "model.layers.0.self_attn.q_norm.weight"))
            rms_norm(r, layer, norm, y + h * HD, HD, y + h * HD);
        rotate(r, y + h * HD, pos);
    }
}

/* One position after the others: keys and values of this layer up to pos are there. */
static void attend(const reference *r, const double *q, size_t pos, double *out)
{
    static double p[N];
    for (size_t h = 0; h < r->heads; h++) {
        const size_t g = h / (r->heads / r->kv_heads);
        double sum = 0;
        for (size_t j = 0; j <= pos; j++) {
            double dot = 0;
            for (size_t d = 0; d < HD; d++)
                dot += q[h * HD + d] * r->keys[(j * r->kv_heads + g) * HD + d];
            p[j] = exp(dot / sqrt(HD)); /* small numbers: no overflow */
            sum += p[j];
        }
        for (size_t d = 0; d < HD; d++) {
            out[h * HD + d] = 0;
            for (size_t j = 0; j <= pos; j++)
                out[h * HD + d] += p[j] / sum * r->values[(j * r->kv_heads + g) * HD + d];
        }
    }
}

static void layer_forward(const reference *r, size_t l, double *x, size_t n)
{
    double h[MAX_WIDTH], a[MAX_WIDTH], b[MAX_WIDTH], o[MAX_WIDTH];
    const size_t kv = r->kv_heads * HD;
    for (size_t t = 0; t < n; t++) {
        double *row = x + t * r->hidden;
        rms_norm(r, l, "input_layernorm.weight", row, r->hidden, h);
        heads_of(r, l, "q", r->heads, h, t, a);
        heads_of(r, l, "k", r->kv_heads, h, t, r->keys + t * kv);
        heads_of(r, l, "v", r->kv_heads, h, t, r->values + t * kv);
        attend(r, a, t, b);
        project(r, l, "self_attn.o_proj", b, r->heads * HD, o, r->hidden);
        for (size_t i = 0; i < r->hidden; i++) row[i] += o[i];
        rms_norm(r, l, "post_attention_layernorm.weight", row, r->hidden, h);
        project(r, l, "mlp.gate_proj", h, r->hidden, a, r->inner);
        project(r, l, "mlp.up_proj", h, r->hidden, b, r->inner);
        for (size_t i = 0; i < r->inner; i++) a[i] = a[i] / (1 + exp(-a[i])) * b[i];
        project(r, l, "mlp.down_proj", a, r->inner, o, r->hidden);
        for (size_t i = 0; i < r->hidden; i++) row[i] += o[i];
    }
}

/* Logits of every position. */
static double *forward(const tiny *t, const remora_token *ids, size_t n)
{
    const remora_blob *c = tiny_blob(t, "config.json"), *w = tiny_blob(t, "model.safetensors");
    uint64_t header;
    memcpy(&header, w->data, 8);
    json_t *config = json_loadb(c->data, (size_t)c->size, 0, NULL);
    json_t *tensors = json_loadb((const char *)w->data + 8, (size_t)header, 0, NULL);
    reference r = {
        .config = config, .header = tensors, .data = (const unsigned char *)w->data + 8 + header};
    r.layers = (size_t)number(config, "num_hidden_layers");
    r.hidden = (size_t)number(config, "hidden_size");
    r.heads = (size_t)number(config, "num_attention_heads");
    r.kv_heads = (size_t)number(config, "num_key_value_heads");
    r.inner = (size_t)number(config, "intermediate_size");
    r.vocab = (size_t)number(config, "vocab_size");
    r.interleave = json_is_true(json_object_get(config, "rope_interleave"));
    assert_int_equal((int)number(config, "head_dim"), HD);
    assert_true(r.heads * HD <= MAX_WIDTH && r.inner <= MAX_WIDTH && r.hidden <= MAX_WIDTH);
    r.keys = calloc(n * r.kv_heads * HD, sizeof(double));
    r.values = calloc(n * r.kv_heads * HD, sizeof(double));
    double *x = calloc(n * r.hidden, sizeof(double)), h[MAX_WIDTH];
    double *logits = calloc(n * r.vocab, sizeof(double));
    const unsigned char *embed = tensor(&r, SIZE_MAX, "model.embed_tokens.weight");
    make_frequencies(&r);
    for (size_t i = 0; i < n * r.hidden; i++)
        x[i] = at(embed, (size_t)ids[i / r.hidden] * r.hidden + i % r.hidden);
    for (size_t l = 0; l < r.layers; l++) layer_forward(&r, l, x, n);
    const char *head = has(&r, "lm_head.weight") ? "lm_head" : "model.embed_tokens";
    for (size_t i = 0; i < n; i++) {
        rms_norm(&r, SIZE_MAX, "model.norm.weight", x + i * r.hidden, r.hidden, h);
        project(&r, SIZE_MAX, head, h, r.hidden, logits + i * r.vocab, r.vocab);
    }
    free(x);
    free(r.keys);
    free(r.values);
    json_decref(config);
    json_decref(tensors);
    return logits;
}

/* Appends of `piece` tokens (0: all at once); `same` keeps the first rows and the others must be
 * the same to the bit: grouped attention has one form for prompts and single tokens. */
static void compare(const remora_model *m, const remora_token *ids, size_t piece,
                    const double *expect, float **same)
{
    rig r = {.model = (remora_model *)(uintptr_t)m};
    r.info.struct_size = sizeof r.info;
    assert_int_equal(remora_model_get_info(m, &r.info, NULL), REMORA_OK);
    const size_t width = r.info.n_vocab;
    remora_session *s = rig_session(&r, REMORA_KV_F32, 0);
    const int first = *same == NULL;
    rig_feed(s, ids, N, piece, REMORA_WANT_ALL);
    if (first) *same = malloc(N * width * sizeof **same);
    for (uint32_t i = 0; i < N; i++) {
        const float *row = rig_row(s, i, width);
        double diff = 0, norm = 0;
        if (first) memcpy(*same + i * width, row, width * sizeof *row);
        if (memcmp(*same + i * width, row, width * sizeof *row) != 0)
            fail_msg("%s, pieces of %zu, row %u: other bits", r.info.family, piece, i);
        for (size_t k = 0; k < width; k++) {
            const double e = expect[i * width + k];
            diff += ((double)row[k] - e) * ((double)row[k] - e);
            norm += e * e;
        }
        if (!(sqrt(diff / norm) <= limit))
            fail_msg("%s, pieces of %zu, row %u: distance %g", r.info.family, piece, i,
                     sqrt(diff / norm));
    }
    remora_session_free(s);
}

static void against_double_precision(void **state)
{
    static const char *const families[] = {"llama", "qwen2", "qwen3"};
    remora_token ids[N];
    (void)state;
    for (size_t i = 0; i < N; i++) ids[i] = (remora_token)(i * 37 % 263);
    for (size_t i = 0; i < 6; i++) {
        tiny t;
        remora_model *m = NULL;
        remora_error err = {.struct_size = sizeof err};
        tiny_make(&t,
                  &(tiny_opts){.dense = families[i / 2], .interleave = i % 2, .no_tokenizer = 1});
        if (remora_model_open(NULL, &t.source, NULL, &m, &err) < 0)
            fail_msg("%s: %s", families[i / 2], err.message);
        double *expect = forward(&t, ids, N);
        float *same = NULL;
        compare(m, ids, 0, expect, &same);
        compare(m, ids, 7, expect, &same);
        compare(m, ids, 1, expect, &same);
        compare(m, ids, 45, expect, &same);
        free(same);
        free(expect);
        remora_model_free(m);
        tiny_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(against_double_precision)};
    return cmocka_run_group_tests_name("grouped attention", tests, NULL, NULL);
}

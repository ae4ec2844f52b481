/* SPDX-License-Identifier: Apache-2.0 */
/* From GGUF keys to the fields of config.json. Most keys are a field by another
 * name: a table. The rest are the rules for what converters wrote over the years:
 *
 * - Heads: new files of MLA models give the widths of the absorbed form (one key head of rank +
 *   rope) and the real ones under _mla; old files give the real ones.
 * - The gate: files of V2's time do not name its function, softmax; nor do some of GLM-4.7-Flash,
 *   which is a sigmoid and known by its number of layers, and of models whose config.json does not
 *   name it, which are known by the bias of a sigmoid's choice.
 * - Groups: files made before engines could route by groups do not have them, though the models do:
 *   the two released shapes with groups are known by their experts.
 * - YaRN: the amplitude on cosine and sine is 1 for MLA models, whatever ggml's own rope multiplies
 *   and divides again; the one on the softmax scale is in yarn_log_multiplier.
 * - Layers that predict further tokens have nextn tensors, whatever the keys count.
 * - The rows of llama's q and k are permuted so that rope turns neighbours; its scaling is a tensor
 *   of divisors. */
#include "gguf_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fpenv.h"
#include "le.h"
#include "relatives.h"

enum {
    MLA = 1,
    LLAMA = 2,
    QWEN2 = 4,
    QWEN3 = 8,
    GQA = LLAMA | QWEN2 | QWEN3,
    ALL = MLA | GQA,
    MAX_KEY = 96
};

enum { MAX_ROPE_FACTORS = 1024, MAX_PREDICTING = 64, MAX_ARCH = 40 };

static const struct arch {
    const char *name;
    unsigned bit;
} archs[] = {{"deepseek2", MLA}, {"llama", LLAMA}, {"qwen2", QWEN2}, {"qwen3", QWEN3}};

/* Keys (behind "<architecture>.") that are fields by another name. */
typedef enum kind { INTEGER, NUMBER } kind;
static const struct same {
    const char *key, *field;
    kind kind;
    unsigned archs;
    int needed;
} same[] = {
    {"context_length", "max_position_embeddings", INTEGER, ALL, 1},
    {"embedding_length", "hidden_size", INTEGER, ALL, 1},
    {"feed_forward_length", "intermediate_size", INTEGER, ALL, 1},
    {"attention.head_count", "num_attention_heads", INTEGER, ALL, 1},
    {"attention.head_count_kv", "num_key_value_heads", INTEGER, GQA, 0},
    {"attention.key_length", "head_dim", INTEGER, GQA, 0},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", NUMBER, ALL, 1},
    {"attention.q_lora_rank", "q_lora_rank", INTEGER, MLA, 0},
    {"attention.kv_lora_rank", "kv_lora_rank", INTEGER, MLA, 1},
    {"rope.dimension_count", "qk_rope_head_dim", INTEGER, MLA, 1},
    {"rope.freq_base", "rope_theta", NUMBER, ALL, 0},
    {"expert_count", "n_routed_experts", INTEGER, MLA, 0},
    {"expert_used_count", "num_experts_per_tok", INTEGER, MLA, 0},
    {"expert_shared_count", "n_shared_experts", INTEGER, MLA, 0},
    {"expert_feed_forward_length", "moe_intermediate_size", INTEGER, MLA, 0},
    {"leading_dense_block_count", "first_k_dense_replace", INTEGER, MLA, 0},
};

/* Keys that change the computation in ways not done here, unless they have one of these values. */
static const struct refused {
    const char *key;
    double harmless, also;
} refused[] = {
    {"attention.sliding_window", 0, 0},
    {"attention.indexer.top_k", 0, 0},
    {"attention.scale", 0, 0},
    {"attention.output_scale", 0, 0},
    {"attention.temperature_length", 0, 0},
    {"attention.temperature_scale", 0, 0},
    {"attention.clamp_kqv", 0, 0},
    {"attention.max_alibi_bias", 0, 0},
    {"attention.shared_kv_layers", 0, 0},
    {"attention.causal", 1, 1},
    {"attn_logit_softcapping", 0, 0},
    {"router_logit_softcapping", 0, 0},
    {"final_logit_softcapping", 0, 0},
    {"logit_scale", 0, 1},
    {"embedding_scale", 0, 1},
    {"residual_scale", 0, 1},
    {"expert_group_scale", 0, 0},
    {"moe_every_n_layers", 0, 0},
    {"use_parallel_residual", 0, 0},
    {"rope.scaling.alpha", 0, 0},
    {"rope.scaling.yarn_ext_factor", 1, -1},
};

/* Keys that are read one by one below, and those that say nothing about the computation. */
static const struct other {
    const char *key;
    unsigned archs;
} others[] = {
    {"block_count", ALL},
    {"vocab_size", ALL},
    {"nextn_predict_layers", MLA},
    {"attention.head_count_kv", MLA},
    {"attention.key_length", MLA},
    {"attention.value_length", ALL},
    {"attention.key_length_mla", MLA},
    {"attention.value_length_mla", MLA},
    {"rope.dimension_count", GQA},
    {"rope.scale_linear", ALL},
    {"rope.scaling.type", ALL},
    {"rope.scaling.factor", ALL},
    {"rope.scaling.original_context_length", ALL},
    {"rope.scaling.attn_factor", ALL},
    {"rope.scaling.yarn_attn_factor", ALL},
    {"rope.scaling.yarn_beta_fast", ALL},
    {"rope.scaling.yarn_beta_slow", ALL},
    {"rope.scaling.yarn_log_multiplier", ALL},
    {"expert_count", GQA},
    {"expert_gating_func", MLA},
    {"expert_group_count", MLA},
    {"expert_group_used_count", MLA},
    {"expert_weights_norm", MLA},
    {"expert_weights_scale", MLA},
    /* the rest is not read */
    {"attention.layer_norm_epsilon", ALL},
    {"rope.scaling.finetuned", ALL},
    {"tensor_data_layout", ALL},
    {"pooling_type", ALL},
};

typedef struct translator {
    const rmr_gguf *g;
    const rmr_checkpoint *ck;
    const struct arch *arch;
    json_t *config;
    rmr_fpenv own; /* the thread's mode; numbers are translated in the library's */
    remora_error *err;
} translator;

/* "<architecture>.<key>" */
static const char *full(const translator *t, char buf[MAX_KEY], const char *key)
{
    snprintf(buf, MAX_KEY, "%s.%s", t->arch->name, key);
    return buf;
}

static remora_status set(const translator *t, json_t *obj, const char *field, json_t *value)
{
    if (value != NULL && json_object_set_new(obj, field, value) == 0) return REMORA_OK;
    return rmr_error_nomem(t->err, "configuration", 0);
}

static remora_status get_u32(const translator *t, const char *key, uint32_t fallback, uint32_t *out)
{
    char buf[MAX_KEY];
    return rmr_gguf_u32(t->g, full(t, buf, key), 0, UINT32_MAX, fallback, out, t->err);
}

/* Files hold f32. A config.json holds the decimal number that was rounded to it: 0.1, not
 * 0.100000001490116; with that, a file gives the same bits as the folder it was made from. jansson
 * minds the locale. */
static double as_written(double v)
{
    char buf[40];
    const float f = (float)v;
    if (v != (double)f) return v;
    for (size_t digits = 1; digits <= 9; digits++) {
        json_t *given = json_real(v);
        const size_t n =
            json_dumpb(given, buf, sizeof buf, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        json_decref(given);
        if (n == 0 || n >= sizeof buf) return v;
        json_t *back = json_loadb(buf, n, JSON_DECODE_ANY, NULL);
        const double d = json_number_value(back);
        json_decref(back);
        if ((float)d == f) return d;
    }
    return v;
}

static remora_status get_number(const translator *t, const char *key, double fallback, double *out)
{
    char buf[MAX_KEY];
    RMR_TRY(rmr_gguf_number(t->g, full(t, buf, key), fallback, out, t->err));
    if (!isfinite(*out))
        RMR_FAIL(t->err, REMORA_E_FORMAT, "%s: %s is not finite", rmr_gguf_name(t->g), buf);
    *out = as_written(*out);
    return REMORA_OK;
}

static remora_status set_u32(const translator *t, const char *field, uint32_t v)
{
    return set(t, t->config, field, json_integer((json_int_t)v));
}

static remora_status set_text(const translator *t, const char *field, const char *text)
{
    return set(t, t->config, field, json_string(text));
}

static remora_status copy_same(const translator *t, const struct same *s)
{
    char buf[MAX_KEY];
    uint32_t u = 0;
    double d = 0;
    if (!(s->archs & t->arch->bit)) return REMORA_OK;
    if (!rmr_gguf_has(t->g, full(t, buf, s->key))) {
        if (!s->needed) return REMORA_OK;
        RMR_FAIL(t->err, REMORA_E_FORMAT, "%s: %s is missing", rmr_gguf_name(t->g), buf);
    }
    if (s->kind == INTEGER) {
        RMR_TRY(get_u32(t, s->key, 0, &u));
        if (u == 0 && !s->needed) return REMORA_OK; /* 0 experts, no q_lora_rank */
        return set_u32(t, s->field, u);
    }
    RMR_TRY(get_number(t, s->key, 0, &d));
    return set(t, t->config, s->field, json_real(d));
}

static int is_key(const rmr_gguf_text *s, const char *key)
{
    return strlen(key) == s->size && memcmp(key, s->text, s->size) == 0;
}

/* The architectures that have a key which is read, or which changes nothing; 0: unknown. */
static unsigned archs_of(const rmr_gguf_text *key)
{
    unsigned found = 0;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (is_key(key, same[i].key)) found |= same[i].archs;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (is_key(key, others[i].key)) found |= others[i].archs;
    return found;
}

static remora_status check_key(const translator *t, const rmr_gguf_item *it,
                               const rmr_gguf_text *key)
{
    const int is_number = it->type != RMR_GGUF_ARRAY && it->type != RMR_GGUF_STRING;
    char shown[MAX_KEY] = {0};
    memcpy(shown, it->key.text, it->key.size < MAX_KEY ? it->key.size : MAX_KEY - 1);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const struct refused *r = &refused[i];
        if (!is_key(key, r->key)) continue;
        if (is_number && (it->number == r->harmless || it->number == r->also)) return REMORA_OK;
        RMR_FAIL(t->err, REMORA_E_UNSUPPORTED, "%s: %s is %g; supported is %g", rmr_gguf_name(t->g),
                 shown, it->number, r->harmless);
    }
    /* a key of another architecture's is there for nothing while it is 0 */
    const unsigned has = archs_of(key);
    if ((has & t->arch->bit) || (has != 0 && is_number && it->number == 0)) return REMORA_OK;
    RMR_FAIL(t->err, REMORA_E_UNSUPPORTED, "%s: key %s is not supported", rmr_gguf_name(t->g),
             rmr_show(shown).text);
}

/* A key of the architecture that nobody here reads may change what is computed. */
static remora_status check_keys(const translator *t)
{
    const size_t prefix = strlen(t->arch->name);
    for (size_t i = 0; i < rmr_gguf_count(t->g); i++) {
        const rmr_gguf_item it = rmr_gguf_at(t->g, i);
        if (it.key.size <= prefix || memcmp(it.key.text, t->arch->name, prefix) != 0 ||
            it.key.text[prefix] != '.')
            continue;
        const rmr_gguf_text key = {it.key.text + prefix + 1, it.key.size - prefix - 1};
        RMR_TRY(check_key(t, &it, &key));
    }
    return REMORA_OK;
}

/* ---- what every architecture has ---- */

/* Does the name of a tensor begin with "blk.<block>.<part>"? Tensors are sorted by name. */
static int block_has(const translator *t, uint32_t block, const char *part)
{
    char name[48];
    const size_t size = (size_t)snprintf(name, sizeof name, "blk.%u.%s", block, part);
    uint64_t lo = 0, hi = rmr_checkpoint_count(t->ck);
    while (lo < hi) {
        const uint64_t mid = lo + (hi - lo) / 2;
        if (strcmp(rmr_checkpoint_at(t->ck, mid)->name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < rmr_checkpoint_count(t->ck) &&
           strncmp(rmr_checkpoint_at(t->ck, lo)->name, name, size) == 0;
}

/* block_count counts the layers that predict further tokens or does not, and they are in the file
 * or were left out: only those with nextn tensors are such layers, and those that are counted and
 * have no tensors at all. Both counts are the file's word: no more than MAX_PREDICTING are tried.
 */
static remora_status layers(const translator *t)
{
    uint32_t blocks, next, predicting = 0;
    char buf[MAX_KEY];
    RMR_TRY(get_u32(t, "block_count", 0, &blocks));
    RMR_TRY(get_u32(t, "nextn_predict_layers", 0, &next));
    uint32_t main = blocks;
    while (
        main > 0 && blocks - main < MAX_PREDICTING &&
        (block_has(t, main - 1, "nextn.") || (blocks - main < next && !block_has(t, main - 1, ""))))
        main--;
    if (main == 0)
        RMR_FAIL(t->err, REMORA_E_FORMAT,
                 "%s: %s is %u, which leaves no layer (%u predict further "
                 "tokens)",
                 rmr_gguf_name(t->g), full(t, buf, "block_count"), blocks, blocks - main);
    while (predicting < MAX_PREDICTING && block_has(t, main + predicting, "nextn.")) predicting++;
    if (predicting > 0) RMR_TRY(set_u32(t, "num_nextn_predict_layers", predicting));
    return set_u32(t, "num_hidden_layers", main);
}

/* Many files do not say: the rows of the embedding. */
static remora_status vocabulary(const translator *t)
{
    const rmr_tensor *embed = rmr_checkpoint_find(t->ck, "token_embd.weight");
    uint32_t n = 0;
    if (embed == NULL || embed->n_dims != 2 || embed->dims[0] > UINT32_MAX)
        RMR_FAIL(t->err, REMORA_E_FORMAT, "%s: token_embd.weight is missing or not a matrix",
                 rmr_gguf_name(t->g));
    RMR_TRY(get_u32(t, "vocab_size", 0, &n));
    RMR_TRY(set_u32(t, "vocab_size", n > 0 ? n : (uint32_t)embed->dims[0]));
    return set(t, t->config, "tie_word_embeddings",
               json_boolean(rmr_checkpoint_find(t->ck, "output.weight") == NULL));
}

static remora_status name(const translator *t)
{
    rmr_gguf_text s;
    RMR_TRY(rmr_gguf_string(t->g, "general.name", &s, t->err));
    json_t *v =
        s.size > 0 && memchr(s.text, 0, s.size) == NULL ? json_stringn(s.text, s.size) : NULL;
    return v != NULL ? set(t, t->config, "_name_or_path", v) : REMORA_OK; /* not UTF-8: no name */
}

/* ---- rope ---- */

static remora_status copy_number(const translator *t, json_t *obj, const char *key,
                                 const char *field)
{
    char buf[MAX_KEY];
    double v;
    if (!rmr_gguf_has(t->g, full(t, buf, key))) return REMORA_OK;
    RMR_TRY(get_number(t, key, 0, &v));
    return set(t, obj, field, json_real(v));
}

/* The factor on cosine and sine. Converters write one of two fields of config.json as
 * yarn_attn_factor: attn_factor, which multiplies YaRN's own 1 + 0.1 ln factor, or
 * attention_factor, which replaces it. 1 is what the key means when it is absent; a value that
 * brings the product back to 1 (R1-0528-Qwen3-8B) is the first, YaRN's own the second. Others could
 * be either. */
static remora_status attn_factor(const translator *t, double *out)
{
    char buf[MAX_KEY];
    double factor, written;
    RMR_TRY(get_number(t, "rope.scaling.factor", 1, &factor));
    RMR_TRY(get_number(t, "rope.scaling.attn_factor", 1, out));
    RMR_TRY(get_number(t, "rope.scaling.yarn_attn_factor", 1, &written));
    const double usual = factor > 1 ? 1 + 0.1 * log(factor) : 1;
    if (written == 1 || fabs(written - usual) < 1e-6) return REMORA_OK;
    if (fabs(written * usual - 1) >= 1e-6)
        RMR_FAIL(t->err, REMORA_E_UNSUPPORTED,
                 "%s: %s is %g, which is neither 1 nor %g nor 1 / %g: supported is one of these",
                 rmr_gguf_name(t->g), full(t, buf, "rope.scaling.yarn_attn_factor"), written, usual,
                 usual);
    *out *= written;
    return REMORA_OK;
}

static remora_status yarn(const translator *t, json_t *r)
{
    static const char log_key[] = "rope.scaling.yarn_log_multiplier";
    double log_multiplier, factor;
    const int mla = t->arch->bit == MLA;
    char buf[MAX_KEY];
    RMR_TRY(copy_number(t, r, "rope.scaling.factor", "factor"));
    RMR_TRY(copy_number(t, r, "rope.scaling.original_context_length",
                        "original_max_position_embeddings"));
    RMR_TRY(copy_number(t, r, "rope.scaling.yarn_beta_fast", "beta_fast"));
    RMR_TRY(copy_number(t, r, "rope.scaling.yarn_beta_slow", "beta_slow"));
    RMR_TRY(get_number(t, log_key, 0, &log_multiplier));
    RMR_TRY(attn_factor(t, &factor));
    if (mla && factor != 1)
        RMR_FAIL(t->err, REMORA_E_UNSUPPORTED,
                 "%s: rope.scaling.attn_factor or yarn_attn_factor of %s makes %g; supported is 1",
                 rmr_gguf_name(t->g), t->arch->name, factor);
    if (!mla && log_multiplier != 0)
        RMR_FAIL(t->err, REMORA_E_UNSUPPORTED, "%s: %s is %g; supported is 0", rmr_gguf_name(t->g),
                 full(t, buf, log_key), log_multiplier);
    if (!mla) return factor == 1 ? REMORA_OK : set(t, r, "attn_factor", json_real(factor));
    if (!(log_multiplier >= 0 && log_multiplier < 1e3)) /* times 10 it must be a float */
        RMR_FAIL(t->err, REMORA_E_FORMAT, "%s: %s is %g, not in 0..1e3", rmr_gguf_name(t->g),
                 full(t, buf, log_key), log_multiplier);
    RMR_TRY(set(t, r, "attention_factor", json_real(1.0)));
    return set(t, r, "mscale_all_dim", json_real(as_written((float)(10 * log_multiplier))));
}

/* rope_freqs.weight: a divisor for each frequency. */
static remora_status factors(const translator *t, const rmr_tensor *f, json_t *r)
{
    unsigned char bytes[MAX_ROPE_FACTORS * 4];
    json_t *list = json_array();
    if (f->dtype != RMR_DTYPE_F32 || f->n_dims != 1 || f->bytes > sizeof bytes) {
        json_decref(list);
        RMR_FAIL(t->err, REMORA_E_UNSUPPORTED,
                 "%s: tensor %s is %s of %u dims; supported is a vector of up to %d F32",
                 rmr_gguf_name(t->g), f->name, rmr_dtype_name(f->dtype), f->n_dims,
                 MAX_ROPE_FACTORS);
    }
    RMR_TRY(set(t, r, "factors", list));
    rmr_fpenv_leave(t->own); /* the file may be the host's */
    const remora_status read = rmr_file_read(f->file, f->offset, bytes, f->bytes, t->err);
    (void)rmr_fpenv_enter();
    RMR_TRY(read);
    for (uint64_t i = 0; i < f->dims[0]; i++) {
        const uint32_t bits = rmr_le32(bytes + 4 * i);
        float v;
        memcpy(&v, &bits, 4);
        if (!(v > 0 && v < 1e9f))
            RMR_FAIL(t->err, REMORA_E_FORMAT, "%s: tensor %s: factor %llu is %g, not in 0..1e9",
                     rmr_gguf_name(t->g), f->name, (unsigned long long)i, (double)v);
        if (json_array_append_new(list, json_real(v)) != 0)
            return rmr_error_nomem(t->err, "configuration", 0);
    }
    return REMORA_OK;
}

/* The type of scaling: "none", "linear" or "yarn". A file that names none and has a factor, as all
 * before YaRN came, means linear. */
static remora_status scaling_type(const translator *t, const char **out, double *factor)
{
    static const char *const types[] = {"none", "linear", "yarn"};
    rmr_gguf_text s;
    char buf[MAX_KEY], shown[32] = {0};
    RMR_TRY(get_number(t, "rope.scale_linear", 1, factor));
    RMR_TRY(get_number(t, "rope.scaling.factor", *factor, factor));
    RMR_TRY(rmr_gguf_string(t->g, full(t, buf, "rope.scaling.type"), &s, t->err));
    if (*factor == 0) *factor = 1;
    *out = NULL;
    if (s.size == 0) s = (rmr_gguf_text){"linear", 6};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (s.size == strlen(types[i]) && memcmp(s.text, types[i], s.size) == 0) *out = types[i];
    if (*out != NULL && strcmp(*out, "linear") == 0 && *factor == 1) *out = "none";
    if (*out != NULL) return REMORA_OK;
    memcpy(shown, s.text, s.size < sizeof shown ? s.size : sizeof shown - 1);
    RMR_FAIL(t->err, REMORA_E_UNSUPPORTED, "%s: %s is \"%s\"; supported are none, linear and yarn",
             rmr_gguf_name(t->g), buf, rmr_show(shown).text);
}

/* Only YaRN's amplitude can be multiplied. */
static remora_status refuse_attn_factor(const translator *t)
{
    static const char *const keys[] = {"rope.scaling.attn_factor", "rope.scaling.yarn_attn_factor"};
    char buf[MAX_KEY];
    for (size_t i = 0; i < 2; i++) {
        double v;
        RMR_TRY(get_number(t, keys[i], 1, &v));
        if (v != 1)
            RMR_FAIL(t->err, REMORA_E_UNSUPPORTED, "%s: %s is %g; supported is 1 without yarn",
                     rmr_gguf_name(t->g), full(t, buf, keys[i]), v);
    }
    return REMORA_OK;
}

static remora_status rope(const translator *t)
{
    const char *type;
    double factor;
    const rmr_tensor *f = rmr_checkpoint_find(t->ck, "rope_freqs.weight");
    RMR_TRY(scaling_type(t, &type, &factor));
    if (t->arch->bit == LLAMA) RMR_TRY(set(t, t->config, "rope_interleave", json_true()));
    const int scaled = strcmp(type, "none") != 0, is_yarn = strcmp(type, "yarn") == 0;
    if (!is_yarn) RMR_TRY(refuse_attn_factor(t));
    if (!scaled && f == NULL) return REMORA_OK;
    if (scaled && f != NULL)
        RMR_FAIL(t->err, REMORA_E_UNSUPPORTED,
                 "%s: tensor %s has factors beside %s scaling, which is not supported",
                 rmr_gguf_name(t->g), f->name, type);
    json_t *r = json_object();
    RMR_TRY(set(t, t->config, "rope_scaling", r));
    RMR_TRY(set(t, r, "rope_type", json_string(f != NULL ? "factors" : type)));
    if (f != NULL) return factors(t, f, r);
    return is_yarn ? yarn(t, r) : set(t, r, "factor", json_real(factor));
}

/* ---- MLA and experts ---- */

static remora_status head_widths(const translator *t)
{
    uint32_t heads, kv_heads, key, value, rope_width;
    char buf[MAX_KEY];
    RMR_TRY(get_u32(t, "attention.head_count", 0, &heads));
    RMR_TRY(get_u32(t, "attention.head_count_kv", heads, &kv_heads));
    RMR_TRY(get_u32(t, "rope.dimension_count", 0, &rope_width));
    const int absorbed = rmr_gguf_has(t->g, full(t, buf, "attention.key_length_mla")) ||
                         (kv_heads == 1 && heads != 1);
    const char *key_name = absorbed ? "attention.key_length_mla" : "attention.key_length";
    const char *value_name = absorbed ? "attention.value_length_mla" : "attention.value_length";
    RMR_TRY(get_u32(t, key_name, 0, &key));
    RMR_TRY(get_u32(t, value_name, 0, &value));
    if (key <= rope_width || value == 0)
        RMR_FAIL(t->err, REMORA_E_FORMAT,
                 "%s: %s is %u, not above the %u of rope.dimension_count, or %s is 0 (%u)",
                 rmr_gguf_name(t->g), full(t, buf, key_name), key, rope_width, value_name, value);
    if (!absorbed && kv_heads != heads)
        RMR_FAIL(t->err, REMORA_E_UNSUPPORTED,
                 "%s: %s is %u; supported are 1 and the %u of head_count", rmr_gguf_name(t->g),
                 full(t, buf, "attention.head_count_kv"), kv_heads, heads);
    RMR_TRY(set_u32(t, "qk_nope_head_dim", key - rope_width));
    return set_u32(t, "v_head_dim", value);
}

/* 1 softmax, 2 sigmoid. */
static remora_status gate_function(const translator *t, uint32_t *out)
{
    uint32_t blocks, dense;
    char buf[MAX_KEY];
    RMR_TRY(get_u32(t, "block_count", 0, &blocks));
    RMR_TRY(get_u32(t, "leading_dense_block_count", 0, &dense));
    RMR_TRY(get_u32(t, "expert_gating_func", 0, out));
    if (*out == 0)
        *out = blocks == 47 || blocks == 48 || block_has(t, dense, "exp_probs_b.bias") ? 2 : 1;
    if (*out > 2)
        RMR_FAIL(t->err, REMORA_E_UNSUPPORTED,
                 "%s: %s is %u; supported are 1 (softmax) and 2 (sigmoid)", rmr_gguf_name(t->g),
                 full(t, buf, "expert_gating_func"), *out);
    return REMORA_OK;
}

/* Files of known shapes without groups mean those of their models (docs/models.md T23). */
static remora_status groups(const translator *t, int sigmoid, uint32_t *n)
{
    static const struct known { /* V3 and V2 */
        int sigmoid;
        uint32_t experts, used, n_group, topk_group;
    } known[] = {{1, 256, 8, 8, 4}, {0, 160, 6, 8, 3}};
    uint32_t experts, used, top;
    RMR_TRY(get_u32(t, "expert_count", 0, &experts));
    RMR_TRY(get_u32(t, "expert_used_count", 0, &used));
    RMR_TRY(get_u32(t, "expert_group_count", 0, n));
    RMR_TRY(get_u32(t, "expert_group_used_count", 0, &top));
    for (size_t i = 0; *n == 0 && i < sizeof known / sizeof known[0]; i++) {
        if (known[i].sigmoid != sigmoid || known[i].experts != experts || known[i].used != used)
            continue;
        *n = known[i].n_group;
        top = known[i].topk_group;
    }
    if (*n == 0) *n = top = 1;
    RMR_TRY(set_u32(t, "n_group", *n));
    return set_u32(t, "topk_group", top);
}

static remora_status experts(const translator *t)
{
    uint32_t gate, n_group;
    double scale;
    int norm;
    char buf[MAX_KEY];
    RMR_TRY(gate_function(t, &gate));
    const int sigmoid = gate == 2;
    RMR_TRY(set_text(t, "model_type", sigmoid ? "deepseek_v3" : "deepseek_v2"));
    RMR_TRY(groups(t, sigmoid, &n_group));
    RMR_TRY(set_text(t, "scoring_func", sigmoid ? "sigmoid" : "softmax"));
    RMR_TRY(set_text(t, "topk_method",
                     sigmoid       ? "noaux_tc"
                     : n_group > 1 ? "group_limited_greedy"
                                   : "greedy"));
    RMR_TRY(rmr_gguf_bool(t->g, full(t, buf, "expert_weights_norm"), sigmoid, &norm, t->err));
    RMR_TRY(set(t, t->config, "norm_topk_prob", json_boolean(norm)));
    RMR_TRY(get_number(t, "expert_weights_scale", 1, &scale));
    return set(t, t->config, "routed_scaling_factor", json_real(scale != 0 ? scale : 1));
}

/* ---- grouped queries ---- */

static remora_status grouped(const translator *t)
{
    uint32_t heads, hidden, key, value, rope_width, n_experts;
    char buf[MAX_KEY];
    RMR_TRY(get_u32(t, "attention.head_count", 1, &heads));
    RMR_TRY(get_u32(t, "embedding_length", 0, &hidden));
    RMR_TRY(get_u32(t, "attention.key_length", heads > 0 ? hidden / heads : 0, &key));
    RMR_TRY(get_u32(t, "attention.value_length", key, &value));
    RMR_TRY(get_u32(t, "rope.dimension_count", key, &rope_width));
    RMR_TRY(get_u32(t, "expert_count", 0, &n_experts));
    if (value != key || rope_width != key)
        RMR_FAIL(t->err, REMORA_E_UNSUPPORTED,
                 "%s: heads of %u have values of %u and %s is %u; supported is one width for all",
                 rmr_gguf_name(t->g), key, value, full(t, buf, "rope.dimension_count"), rope_width);
    if (n_experts > 0)
        RMR_FAIL(t->err, REMORA_E_UNSUPPORTED, "%s: %s is %u; supported is 0", rmr_gguf_name(t->g),
                 full(t, buf, "expert_count"), n_experts);
    RMR_TRY(set_text(t, "model_type", t->arch->name));
    if (t->arch->bit == QWEN2) return REMORA_OK;
    /* absent, it is 128 in a config.json of qwen3 */
    if (t->arch->bit == QWEN3) RMR_TRY(set_u32(t, "head_dim", key));
    return set(t, t->config, "attention_bias",
               json_boolean(rmr_checkpoint_find(t->ck, "blk.0.attn_q.bias") != NULL));
}

static remora_status refuse_arch(const translator *t, const char *text)
{
    char known[64] = "";
    const char *needs = rmr_relative(text);
    for (size_t i = 0, at = 0; i < sizeof archs / sizeof archs[0] && at < sizeof known; i++)
        at += (size_t)snprintf(known + at, sizeof known - at, "%s%s", i > 0 ? ", " : "",
                               archs[i].name);
    if (needs != NULL)
        RMR_FAIL(t->err, REMORA_E_UNSUPPORTED,
                 "%s: general.architecture \"%s\" is not done yet (%s); known: %s",
                 rmr_gguf_name(t->g), text, needs, known);
    RMR_FAIL(t->err, REMORA_E_UNSUPPORTED,
             "%s: general.architecture \"%s\" is not supported (known: %s)", rmr_gguf_name(t->g),
             rmr_show(text).text, known);
}

static remora_status find_arch(translator *t)
{
    rmr_gguf_text s;
    char text[MAX_ARCH] = {0};
    RMR_TRY(rmr_gguf_string(t->g, "general.architecture", &s, t->err));
    if (s.size == 0)
        RMR_FAIL(t->err, REMORA_E_FORMAT, "%s: general.architecture is missing",
                 rmr_gguf_name(t->g));
    memcpy(text, s.text, s.size < sizeof text ? s.size : sizeof text - 1);
    for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++)
        if (s.size == strlen(archs[i].name) && strcmp(text, archs[i].name) == 0)
            t->arch = &archs[i];
    return t->arch != NULL ? REMORA_OK : refuse_arch(t, text);
}

static remora_status translate(translator *t)
{
    RMR_TRY(find_arch(t));
    RMR_TRY(check_keys(t));
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) RMR_TRY(copy_same(t, &same[i]));
    RMR_TRY(layers(t));
    RMR_TRY(vocabulary(t));
    RMR_TRY(name(t));
    RMR_TRY(rope(t));
    if (t->arch->bit != MLA) return grouped(t);
    RMR_TRY(head_widths(t));
    return experts(t);
}

remora_status rmr_gguf_config(const rmr_gguf *g, const rmr_checkpoint *ck, json_t **out,
                              remora_error *err)
{
    translator t = {.g = g, .ck = ck, .config = json_object(), .err = err};
    *out = NULL;
    if (t.config == NULL) return rmr_error_nomem(err, "configuration", 0);
    t.own = rmr_fpenv_enter();
    const remora_status st = translate(&t);
    rmr_fpenv_leave(t.own);
    if (st < 0)
        json_decref(t.config);
    else
        *out = t.config;
    return st;
}

/* A value that does not fit its field is left out. */
static remora_status known(const translator *t)
{
    char buf[MAX_KEY];
    json_t *type = json_string(t->arch->name); /* NULL: not UTF-8 */
    remora_status st = type != NULL ? set(t, t->config, "model_type", type) : REMORA_OK;
    if (st != REMORA_E_NOMEM) st = name(t);
    for (size_t i = 0; i < sizeof same / sizeof same[0] && st != REMORA_E_NOMEM; i++)
        if (rmr_gguf_has(t->g, full(t, buf, same[i].key))) st = copy_same(t, &same[i]);
    if (st != REMORA_E_NOMEM) st = layers(t);
    if (st != REMORA_E_NOMEM) st = vocabulary(t);
    return st == REMORA_E_NOMEM ? st : REMORA_OK;
}

remora_status rmr_gguf_known(const rmr_gguf *g, const rmr_checkpoint *ck, json_t **out,
                             remora_error *err)
{
    rmr_gguf_text s;
    char text[MAX_ARCH] = {0};
    const struct arch arch = {text, ALL};
    translator t = {.g = g, .ck = ck, .arch = &arch, .config = json_object(), .err = err};
    *out = NULL;
    if (t.config == NULL) return rmr_error_nomem(err, "configuration", 0);
    if (rmr_gguf_string(g, "general.architecture", &s, err) >= 0)
        memcpy(text, s.text, s.size < sizeof text ? s.size : sizeof text - 1);
    t.own = rmr_fpenv_enter();
    const remora_status st = known(&t);
    rmr_fpenv_leave(t.own);
    if (st < 0)
        json_decref(t.config);
    else
        *out = t.config;
    return st;
}

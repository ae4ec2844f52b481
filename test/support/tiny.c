/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "tiny.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "tikw.h"

/* ---- text that grows ---- */

typedef struct text {
    char *s;
    size_t n, cap;
} text;

static void put(text *t, const char *fmt, ...)
{
    va_list ap;
    if (t->cap - t->n < 1024) {
        t->cap = t->cap * 2 + 4096;
        t->s = realloc(t->s, t->cap);
        REQUIRE(t->s != NULL);
    }
    va_start(ap, fmt);
    t->n += (size_t)vsnprintf(t->s + t->n, t->cap - t->n, fmt, ap);
    va_end(ap);
}

/* ---- config.json ---- */

typedef struct sizes {
    uint32_t layers, hidden, heads, rank, nope, rope, v, q_rank, experts, inner, dense_inner, vocab;
    uint32_t kv_heads, head_dim; /* grouped attention; 0: MLA */
    int qkv_bias, out_bias, head_norm, tied;
} sizes;

static sizes sizes_of(const tiny_opts *o)
{
    if (o->dense != NULL)
        return (sizes){.layers = o->layers ? o->layers : 3,
                       .hidden = o->width ? o->width : 40,
                       .heads = 6,
                       .kv_heads = 2,
                       .head_dim = 12,
                       .dense_inner = 48,
                       .vocab = o->vocab ? o->vocab : TINY_TEXT_VOCAB,
                       .qkv_bias = strcmp(o->dense, "qwen3") != 0,
                       .out_bias = strcmp(o->dense, "llama") == 0,
                       .head_norm = strcmp(o->dense, "qwen3") == 0,
                       .tied = strcmp(o->dense, "llama") == 0};
    return (sizes){.layers = o->layers ? o->layers : 3,
                   .hidden = o->width ? o->width : 40,
                   .heads = 2,
                   .rank = o->rank > 0 ? o->rank : 24,
                   .nope = 8,
                   .rope = 8,
                   .v = 12,
                   .q_rank = o->v2 ? 0 : 20,
                   .experts = 6,
                   .inner = 16,
                   .dense_inner = 48,
                   .vocab = o->vocab ? o->vocab : TINY_TEXT_VOCAB};
}

static text dense_config(const tiny_opts *o, const sizes *z)
{
    static const char llama3[] = "{\"rope_type\":\"llama3\",\"factor\":8.0,\"low_freq_factor\":1.0,"
                                 "\"high_freq_factor\":4.0,"
                                 "\"original_max_position_embeddings\":256}";
    static const char yarn[] = "{\"rope_type\":\"yarn\",\"factor\":4.0,"
                               "\"original_max_position_embeddings\":512}";
    text t = {0};
    put(&t,
        "{\"model_type\":\"%s\",\"num_hidden_layers\":%u,\"hidden_size\":%u,\"vocab_size\":%u,"
        "\"num_attention_heads\":%u,\"num_key_value_heads\":%u,\"head_dim\":%u,"
        "\"intermediate_size\":%u,\"max_position_embeddings\":%u,\"rms_norm_eps\":1e-05,"
        "\"rope_theta\":10000,\"hidden_act\":\"silu\",\"bos_token_id\":%d,\"eos_token_id\":%d,",
        o->dense, z->layers, z->hidden, z->vocab, z->heads, z->kv_heads, z->head_dim,
        z->dense_inner, o->context ? o->context : 2048, TINY_BOS, TINY_EOS);
    put(&t,
        "\"attention_bias\":%s,\"tie_word_embeddings\":%s,\"rope_interleave\":%s,"
        "\"use_sliding_window\":false,\"sliding_window\":%s,\"rope_scaling\":%s}",
        z->out_bias ? "true" : "false", z->tied ? "true" : "false",
        o->interleave ? "true" : "false", z->qkv_bias && !z->out_bias ? "64" : "null",
        z->out_bias    ? llama3
        : z->head_norm ? yarn
                       : "null");
    return t;
}

static text config(const tiny_opts *o, const sizes *z)
{
    text t = {0};
    if (o->dense != NULL) return dense_config(o, z);
    put(&t,
        "{\"model_type\":\"%s\",\"num_hidden_layers\":%u,\"hidden_size\":%u,\"vocab_size\":%u,"
        "\"num_attention_heads\":%u,\"num_key_value_heads\":%u,\"kv_lora_rank\":%u,"
        "\"qk_nope_head_dim\":%u,\"qk_rope_head_dim\":%u,\"v_head_dim\":%u,"
        "\"intermediate_size\":%u,\"moe_intermediate_size\":%u,\"n_routed_experts\":%u,"
        "\"num_experts_per_tok\":2,\"n_shared_experts\":1,\"first_k_dense_replace\":1,"
        "\"max_position_embeddings\":%u,\"rms_norm_eps\":1e-06,\"rope_theta\":10000,"
        "\"hidden_act\":\"silu\",\"bos_token_id\":%d,\"eos_token_id\":%d,",
        o->v2 ? "deepseek_v2" : "deepseek_v3", z->layers, z->hidden, z->vocab, z->heads, z->heads,
        z->rank, z->nope, z->rope, z->v, z->dense_inner, z->inner, z->experts,
        o->context ? o->context : 2048, TINY_BOS, TINY_EOS);
    if (o->v2)
        put(&t, "\"q_lora_rank\":null,\"topk_method\":\"greedy\",\"scoring_func\":\"softmax\","
                "\"norm_topk_prob\":false,\"routed_scaling_factor\":1.0,\"rope_scaling\":null}");
    else
        put(&t,
            "\"q_lora_rank\":%u,\"topk_method\":\"noaux_tc\",\"scoring_func\":\"sigmoid\","
            "\"n_group\":3,\"topk_group\":2,\"norm_topk_prob\":true,"
            "\"routed_scaling_factor\":2.5,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,"
            "\"beta_fast\":32,\"beta_slow\":1,\"mscale\":1.0,\"mscale_all_dim\":1.0,"
            "\"original_max_position_embeddings\":512}}",
            z->q_rank);
    return t;
}

/* ---- model.safetensors ---- */

typedef struct writer {
    text header;
    text data;
    const char *dtype;
    uint64_t seed;
    tiny_form form;
} writer;

static void room(text *t, size_t n)
{
    if (t->cap - t->n >= n) return;
    t->cap = t->cap * 2 + n;
    t->s = realloc(t->s, t->cap);
    REQUIRE(t->s != NULL);
}

/* f16 of a value that is 0 or of magnitude 2^-14 .. 65504, cut. */
static uint16_t to_f16(float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    const int32_t e = (int32_t)(u >> 23 & 0xFF) - 127;
    if (e < -14) return (uint16_t)(u >> 16 & 0x8000);
    return (uint16_t)((u >> 16 & 0x8000) | (uint32_t)(e + 15) << 10 | (u >> 13 & 0x3FF));
}

static void put_number(writer *w, float x)
{
    uint32_t u;
    memcpy(&u, &x, 4);
    const uint16_t half = strcmp(w->dtype, "F16") == 0 ? to_f16(x) : (uint16_t)(u >> 16);
    room(&w->data, 4);
    const size_t size = strcmp(w->dtype, "F32") == 0 ? 4 : 2;
    memcpy(w->data.s + w->data.n, size == 4 ? (const void *)&u : (const void *)&half, size);
    w->data.n += size;
}

/* A tensor of rows x cols (rows 0: a vector), uniform around `mean`. */
static void tensor(writer *w, uint32_t rows, uint32_t cols, float mean, float spread,
                   const char *fmt, ...)
{
    static const char model[] = "model.";
    char full[128];
    const char *name = full, *prefix = "";
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(full, sizeof full, fmt, ap);
    va_end(ap);
    if (w->form == TINY_BARE && strncmp(full, model, sizeof model - 1) == 0)
        name += sizeof model - 1;
    if (w->form == TINY_SEES && strncmp(full, "vision", 6) != 0) prefix = "language_model.";
    const size_t from = w->data.n;
    const size_t n = (size_t)(rows > 0 ? rows : 1) * cols;
    for (size_t i = 0; i < n; i++) {
        const float u = (float)(host_random(&w->seed) >> 8) / (float)(1 << 22) - 1.0f;
        put_number(w, mean + spread * u);
    }
    put(&w->header, "%s\"%s%s\":{\"dtype\":\"%s\",\"shape\":[", w->header.n > 1 ? "," : "", prefix,
        name, w->dtype);
    if (rows > 0) put(&w->header, "%u,", rows);
    put(&w->header, "%u],\"data_offsets\":[%zu,%zu]}", cols, from, w->data.n);
}

static void grouped_attention(writer *w, const sizes *z, uint32_t l)
{
    static const char *const names[] = {"q", "k", "v"};
    char path[80];
    snprintf(path, sizeof path, "model.layers.%u.self_attn", l);
    for (int i = 0; i < 3; i++) {
        const uint32_t n = (i == 0 ? z->heads : z->kv_heads) * z->head_dim;
        tensor(w, n, z->hidden, 0, 0.3f, "%s.%s_proj.weight", path, names[i]);
        if (z->qkv_bias) tensor(w, 0, n, 0, 0.5f, "%s.%s_proj.bias", path, names[i]);
        if (z->head_norm && i < 2)
            tensor(w, 0, z->head_dim, 1, 0.3f, "%s.%s_norm.weight", path, names[i]);
    }
    tensor(w, z->hidden, z->heads * z->head_dim, 0, 0.3f, "%s.o_proj.weight", path);
    if (z->out_bias) tensor(w, 0, z->hidden, 0, 0.5f, "%s.o_proj.bias", path);
}

static void latent_attention(writer *w, const sizes *z, uint32_t l)
{
    const uint32_t q = z->heads * (z->nope + z->rope);
    if (z->q_rank > 0) {
        tensor(w, z->q_rank, z->hidden, 0, 0.3f, "model.layers.%u.self_attn.q_a_proj.weight", l);
        tensor(w, 0, z->q_rank, 1, 0.3f, "model.layers.%u.self_attn.q_a_layernorm.weight", l);
        tensor(w, q, z->q_rank, 0, 0.4f, "model.layers.%u.self_attn.q_b_proj.weight", l);
    } else {
        tensor(w, q, z->hidden, 0, 0.3f, "model.layers.%u.self_attn.q_proj.weight", l);
    }
    tensor(w, z->rank + z->rope, z->hidden, 0, 0.3f,
           "model.layers.%u.self_attn.kv_a_proj_with_mqa.weight", l);
    tensor(w, 0, z->rank, 1, 0.3f, "model.layers.%u.self_attn.kv_a_layernorm.weight", l);
    tensor(w, z->heads * (z->nope + z->v), z->rank, 0, 0.4f,
           "model.layers.%u.self_attn.kv_b_proj.weight", l);
    tensor(w, z->hidden, z->heads * z->v, 0, 0.3f, "model.layers.%u.self_attn.o_proj.weight", l);
}

static void attention(writer *w, const sizes *z, uint32_t l)
{
    tensor(w, 0, z->hidden, 1, 0.3f, "model.layers.%u.input_layernorm.weight", l);
    if (z->kv_heads > 0)
        grouped_attention(w, z, l);
    else
        latent_attention(w, z, l);
    tensor(w, 0, z->hidden, 1, 0.3f, "model.layers.%u.post_attention_layernorm.weight", l);
}

static void mlp(writer *w, const sizes *z, uint32_t inner, const char *path)
{
    tensor(w, inner, z->hidden, 0, 0.3f, "%s.gate_proj.weight", path);
    tensor(w, inner, z->hidden, 0, 0.3f, "%s.up_proj.weight", path);
    tensor(w, z->hidden, inner, 0, 0.3f, "%s.down_proj.weight", path);
}

static void feed_forward(writer *w, const sizes *z, uint32_t l)
{
    char path[80];
    snprintf(path, sizeof path, "model.layers.%u.mlp", l);
    if (l == 0 || z->experts == 0) {
        mlp(w, z, z->dense_inner, path);
        return;
    }
    tensor(w, z->experts, z->hidden, 0, 0.3f, "%s.gate.weight", path);
    if (z->q_rank > 0) tensor(w, 0, z->experts, 0, 0.2f, "%s.gate.e_score_correction_bias", path);
    if (w->form == TINY_FUSED) {
        tensor(w, z->experts * 2 * z->inner, z->hidden, 0, 0.3f, "%s.experts.gate_up_proj", path);
        tensor(w, z->experts * z->hidden, z->inner, 0, 0.3f, "%s.experts.down_proj", path);
    }
    for (uint32_t e = 0; e < z->experts && w->form != TINY_FUSED; e++) {
        snprintf(path, sizeof path, "model.layers.%u.mlp.experts.%u", l, e);
        mlp(w, z, z->inner, path);
    }
    snprintf(path, sizeof path, "model.layers.%u.mlp.shared_experts", l);
    mlp(w, z, z->inner, path);
}

static text weights(const tiny_opts *o, const sizes *z)
{
    writer w = {.dtype = o->dtype != NULL ? o->dtype : "BF16", .seed = 7, .form = o->form};
    text file = {0};
    put(&w.header, "{");
    tensor(&w, z->vocab, z->hidden, 0, 1, "model.embed_tokens.weight");
    for (uint32_t l = 0; l < z->layers; l++) {
        attention(&w, z, l);
        feed_forward(&w, z, l);
    }
    tensor(&w, 0, z->hidden, 1, 0.3f, "model.norm.weight");
    if (!z->tied) tensor(&w, z->vocab, z->hidden, 0, 0.5f, "lm_head.weight");
    if (o->form == TINY_SEES) tensor(&w, 3, 5, 0, 1, "vision_tower.patch_embed.weight");
    put(&w.header, "}");
    while (w.header.n % 8 != 0) put(&w.header, " ");
    const uint64_t n = w.header.n;
    room(&file, 8 + w.header.n + w.data.n);
    memcpy(file.s, &n, 8);
    memcpy(file.s + 8, w.header.s, w.header.n);
    memcpy(file.s + 8 + w.header.n, w.data.s, w.data.n);
    file.n = 8 + w.header.n + w.data.n;
    free(w.header.s);
    free(w.data.s);
    return file;
}

/* ---- the tokenizer ---- */

static const char *const pairs[][2] = {{"t", "h"},  {"th", "e"}, {"i", "n"}, {"a", "n"},
                                       {"an", "d"}, {"e", "r"},  {"o", "u"}, {"r", "e"}};
static const char *const control[] = {"<bos>", "<eos>", "<c2>", "<c3>",
                                      "<c4>",  "<c5>",  "<c6>", "<c7>"};

/* The character of byte b in the byte-level alphabet, as UTF-8 inside a JSON string. */
static void put_byte(text *t, unsigned b)
{
    uint32_t cp = b;
    if (!((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174))
        cp = 256 + (b <= 32 ? b : b <= 160 ? b - 127 + 33 : 67);
    if (cp == '"' || cp == '\\')
        put(t, "\\%c", (int)cp);
    else if (cp < 0x80)
        put(t, "%c", (int)cp);
    else
        put(t, "%c%c", (int)(0xC0 | cp >> 6), (int)(0x80 | (cp & 0x3F)));
}

static text tokenizer(void)
{
    text t = {0};
    put(&t, "{\"added_tokens\":[");
    for (int i = 0; i < 8; i++)
        put(&t, "%s{\"id\":%d,\"content\":\"%s\",\"special\":true}", i > 0 ? "," : "", TINY_BOS + i,
            control[i]);
    put(&t,
        "],\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
        "{\"type\":\"Split\",\"pattern\":{\"Regex\":\" ?\\\\p{L}+|\\\\p{N}|[^\\\\p{L}\\\\p{N}]+\"},"
        "\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\","
        "\"add_prefix_space\":false,\"use_regex\":false}]},\"decoder\":{\"type\":\"ByteLevel\"},"
        "\"post_processor\":null,\"model\":{\"type\":\"BPE\",\"merges\":[");
    for (int i = 0; i < 8; i++) put(&t, "%s\"%s %s\"", i > 0 ? "," : "", pairs[i][0], pairs[i][1]);
    put(&t, "],\"vocab\":{");
    for (unsigned b = 0; b < 256; b++) {
        put(&t, b > 0 ? ",\"" : "\"");
        put_byte(&t, b);
        put(&t, "\":%u", b);
    }
    for (int i = 0; i < 8; i++) put(&t, ",\"%s%s\":%d", pairs[i][0], pairs[i][1], 256 + i);
    put(&t, "}}}");
    return t;
}

static text tiktoken(void)
{
    tik f = {0};
    tik_bytes(&f);
    for (int i = 0; i < 8; i++) {
        char word[8];
        snprintf(word, sizeof word, "%s%s", pairs[i][0], pairs[i][1]);
        tik_word(&f, word);
    }
    return (text){f.text, f.n, f.cap};
}

static text tokenizer_config(const tiny_opts *o)
{
    text t = {0};
    put(&t, "{\"bos_token\":\"<bos>\",\"eos_token\":\"<eos>\",\"add_bos_token\":true");
    for (int i = 0; i < 8 && o->tiktoken; i++)
        put(&t, "%s\"%d\":{\"content\":\"%s\",\"special\":true}%s",
            i == 0 ? ",\"added_tokens_decoder\":{" : ",", TINY_BOS + i, control[i],
            i == 7 ? "}" : "");
    if (o->advice)
        put(&t, ",\"chat_template\":[{\"name\":\"default\",\"template\":\"{{ a }}\\n\"},"
                "{\"name\":\"tool_use\",\"template\":\"{{ b }}\"}]");
    put(&t, "}");
    return t;
}

static text generation_config(void)
{
    text t = {0};
    put(&t, "{\"temperature\":0.6,\"do_sample\":true,\"eos_token_id\":[%d]}", TINY_EOS);
    return t;
}

/* ---- all of it ---- */

static void add(tiny *t, const char *name, text x)
{
    t->blobs[t->n++] = (remora_blob){name, x.s, x.n};
}

void tiny_make(tiny *t, const tiny_opts *o)
{
    const tiny_opts none = {0};
    if (o == NULL) o = &none;
    const sizes z = sizes_of(o);
    memset(t, 0, sizeof *t);
    text c = config(o, &z);
    if (o->form == TINY_SEES) {
        text outside = {0};
        put(&outside,
            "{\"model_type\":\"kimi_k25\",\"eos_token_id\":%d,\"text_config\":", TINY_EOS);
        room(&outside, c.n + 1024);
        memcpy(outside.s + outside.n, c.s, c.n);
        outside.n += c.n;
        free(c.s);
        put(&outside, "}");
        c = outside;
    }
    add(t, "config.json", c);
    add(t, "model.safetensors", weights(o, &z));
    if (!o->no_tokenizer) {
        if (o->tiktoken)
            add(t, "tiktoken.model", tiktoken());
        else
            add(t, "tokenizer.json", tokenizer());
        add(t, "tokenizer_config.json", tokenizer_config(o));
    }
    if (o->advice) add(t, "generation_config.json", generation_config());
    t->source = (remora_source){.struct_size = sizeof t->source,
                                .kind = REMORA_SOURCE_MEMORY,
                                .blobs = t->blobs,
                                .n_blobs = t->n};
}

void tiny_free(tiny *t)
{
    for (uint64_t i = 0; i < t->n; i++) free((void *)(uintptr_t)t->blobs[i].data);
    t->n = 0;
}

const remora_blob *tiny_blob(const tiny *t, const char *name)
{
    for (uint64_t i = 0; i < t->n; i++)
        if (strcmp(t->blobs[i].name, name) == 0) return &t->blobs[i];
    return NULL;
}

void tiny_folder_make(const tiny *t, char *path, size_t cap)
{
    char name[1024];
    static const char template[] = "/tmp/remora-tiny-XXXXXX";
    REQUIRE(cap >= sizeof template);
    memcpy(path, template, sizeof template);
    REQUIRE(mkdtemp(path) != NULL);
    for (uint64_t i = 0; i < t->n; i++) {
        snprintf(name, sizeof name, "%s/%s", path, t->blobs[i].name);
        FILE *f = fopen(name, "wb");
        REQUIRE(f != NULL);
        REQUIRE(fwrite(t->blobs[i].data, 1, t->blobs[i].size, f) == t->blobs[i].size);
        REQUIRE(fclose(f) == 0);
    }
}

void tiny_folder_free(const tiny *t, const char *path)
{
    char name[1024];
    for (uint64_t i = 0; i < t->n; i++) {
        snprintf(name, sizeof name, "%s/%s", path, t->blobs[i].name);
        unlink(name);
    }
    rmdir(path);
}

/* remora.h - DeepSeek-family language models inside a host program. */
#ifndef REMORA_H
#define REMORA_H

#include <stddef.h>
#include <stdint.h>

#define REMORA_VERSION_MAJOR 1
#define REMORA_VERSION_MINOR 0
#define REMORA_VERSION_PATCH 0
#define REMORA_VERSION_NUM   ((1u << 24) | (0u << 16) | (0u << 8))

#if defined(_WIN32)
# if defined(REMORA_BUILDING)
#  define REMORA_API __declspec(dllexport)
# elif defined(REMORA_STATIC)
#  define REMORA_API
# else
#  define REMORA_API __declspec(dllimport)
# endif
# define REMORA_CALL __cdecl
#else
# define REMORA_API __attribute__((visibility("default")))
# define REMORA_CALL
#endif
#if defined(__GNUC__)
# define REMORA_MUST_CHECK __attribute__((warn_unused_result))
#else
# define REMORA_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- status ------------------------------------------------------------ */
typedef int32_t remora_status;
enum {
    REMORA_OK            = 0,
    REMORA_MORE          = 1,   /* budget used up; the same call again continues */
    REMORA_END           = 2,   /* generation reached its end */
    REMORA_E_ARG         = -1,  /* caller broke the contract */
    REMORA_E_STRUCT      = -2,  /* struct_size too small, or a field newer than this library is set */
    REMORA_E_NOMEM       = -3,  /* host memory */
    REMORA_E_DEVICE_MEM  = -4,  /* device memory */
    REMORA_E_IO          = -5,
    REMORA_E_FORMAT      = -6,  /* file is damaged or not what it claims */
    REMORA_E_UNSUPPORTED = -7,  /* valid, but not by this build or device */
    REMORA_E_CANCELLED   = -8,
    REMORA_E_BUFFER      = -9,  /* *n holds the size needed */
    REMORA_E_FULL        = -10, /* context capacity reached */
    REMORA_E_BUSY        = -11, /* handle is in use by another call */
    REMORA_E_MISMATCH    = -12, /* sessions or sampler belong to different models */
    REMORA_E_NO_TOKEN    = -13, /* the stages leave no token */
    REMORA_E_DEVICE      = -14, /* device lost or driver failure; the model is dead */
    REMORA_E_CALLBACK    = -15, /* a host callback returned failure */
    REMORA_E_INTERNAL    = -16, /* a bug in remora: please report it */
    REMORA_E_NOT_FOUND   = -17  /* no such file, blob, key or row */
};

typedef struct remora_error {
    uint32_t      struct_size;
    remora_status code;
    int32_t       os_code;
    uint32_t      reserved;
    char          message[240];
} remora_error;

/* ---- handles and small types ------------------------------------------- */
typedef struct remora_runtime remora_runtime;
typedef struct remora_model   remora_model;
typedef struct remora_session remora_session;
typedef struct remora_sampler remora_sampler;
typedef int32_t remora_token;
#define REMORA_TOKEN_NONE ((remora_token)-1)

typedef struct remora_kv {
    const char *key;
    const char *value;
} remora_kv;

/* ---- library ----------------------------------------------------------- */
REMORA_API uint32_t      REMORA_CALL remora_version(void);
REMORA_API const char   *REMORA_CALL remora_version_string(void);
REMORA_API const char   *REMORA_CALL remora_build_info(void);
REMORA_API remora_status REMORA_CALL remora_abi_check(uint32_t header_version);
REMORA_API const char   *REMORA_CALL remora_status_name(remora_status s);

/* ---- runtime: allocator, log, threads, devices -------------------------- */
enum { REMORA_LOG_ERROR = 1, REMORA_LOG_WARN = 2, REMORA_LOG_INFO = 3, REMORA_LOG_DEBUG = 4 };
enum { REMORA_DEVICE_CPU = 1 };

typedef struct remora_runtime_opts {
    uint32_t struct_size;
    uint32_t flags;
    void    *alloc_user;
    void *(REMORA_CALL *alloc)(void *user, size_t size, size_t align);
    void *(REMORA_CALL *resize)(void *user, void *p, size_t old_size, size_t size, size_t align);
    void  (REMORA_CALL *release)(void *user, void *p, size_t size, size_t align);
    void    *log_user;
    void  (REMORA_CALL *log)(void *user, int32_t level, const char *msg, size_t len);
    int32_t  log_level;
    int32_t  n_threads;
    void    *run_user;
    void  (REMORA_CALL *run)(void *user, uint32_t n, void (REMORA_CALL *fn)(void *arg, uint32_t i), void *arg);
    const remora_kv *extra;
    uint64_t n_extra;
} remora_runtime_opts;

typedef struct remora_device {
    uint32_t struct_size;
    int32_t  kind;
    uint64_t mem_total;
    uint64_t mem_free;
    int32_t  usable;
    uint32_t reserved;
    char     id[32];
    char     name[96];
    char     paths[96];
} remora_device;

REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL remora_runtime_create(const remora_runtime_opts *opts, remora_runtime **out, remora_error *err);
REMORA_API void          REMORA_CALL remora_runtime_free(remora_runtime *rt);
REMORA_API uint32_t      REMORA_CALL remora_device_count(const remora_runtime *rt);
REMORA_API remora_status REMORA_CALL remora_device_get(const remora_runtime *rt, uint32_t i, remora_device *out);

/* ---- model -------------------------------------------------------------- */
enum { REMORA_SOURCE_PATH = 1, REMORA_SOURCE_MEMORY = 2, REMORA_SOURCE_IO = 3 };

typedef struct remora_blob {
    const char *name;
    const void *data;
    uint64_t    size;
} remora_blob;

typedef struct remora_source {
    uint32_t struct_size;
    int32_t  kind;
    const char *path;
    const remora_blob *blobs;
    uint64_t n_blobs;
    void    *io_user;
    remora_status (REMORA_CALL *io_size)(void *user, const char *name, uint64_t *size);
    remora_status (REMORA_CALL *io_read)(void *user, const char *name, uint64_t off, void *buf, uint64_t n);
} remora_source;

enum { REMORA_MODEL_NO_WEIGHTS = 1, REMORA_MODEL_NO_MMAP = 2 };

typedef struct remora_model_opts {
    uint32_t struct_size;
    uint32_t flags;
    const char *device;
    uint64_t host_budget;
    const int32_t *cancel;
    void    *progress_user;
    int32_t (REMORA_CALL *progress)(void *user, uint64_t done, uint64_t total);
    const remora_kv *extra;
    uint64_t n_extra;
} remora_model_opts;

typedef struct remora_model_info {
    uint32_t struct_size;
    uint32_t n_layers;
    uint32_t n_vocab;
    uint32_t n_hidden;
    uint32_t n_heads;
    uint32_t kv_lora_rank;
    uint32_t rope_dim;
    uint32_t n_experts;
    uint32_t n_experts_used;
    uint32_t n_shared_experts;
    uint32_t n_dense_layers;
    uint32_t max_context;
    uint32_t has_tokenizer;
    uint32_t reserved;
    uint64_t n_params;
    uint64_t n_params_active;
    uint64_t weight_bytes;
    uint8_t  fingerprint[32];
    char     family[32];
    char     name[96];
} remora_model_info;

typedef struct remora_memory {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t host_weights;
    uint64_t host_kv;
    uint64_t host_scratch;
    uint64_t host_other;
    uint64_t host_mapped;
    uint64_t kv_bytes_per_token;
} remora_memory;

typedef struct remora_session_opts remora_session_opts;

REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL remora_model_open(remora_runtime *rt, const remora_source *src, const remora_model_opts *opts, remora_model **out, remora_error *err);
REMORA_API remora_status REMORA_CALL remora_model_estimate(remora_runtime *rt, const remora_source *src, const remora_model_opts *opts, const remora_session_opts *sopts, uint32_t n_sessions, remora_memory *out, remora_error *err);
REMORA_API void          REMORA_CALL remora_model_free(remora_model *m);
REMORA_API remora_status REMORA_CALL remora_model_get_info(const remora_model *m, remora_model_info *out);
REMORA_API remora_status REMORA_CALL remora_model_get_memory(const remora_model *m, remora_memory *out);
REMORA_API remora_status REMORA_CALL remora_model_meta(const remora_model *m, const char *key, char *buf, size_t cap, size_t *n);
REMORA_API remora_status REMORA_CALL remora_model_meta_key(const remora_model *m, uint32_t i, char *buf, size_t cap, size_t *n);

/* ---- text --------------------------------------------------------------- */
enum { REMORA_TEXT_SPECIAL = 1, REMORA_TEXT_BOS = 2 };
enum {
    REMORA_SPECIAL_BOS = 1, REMORA_SPECIAL_EOS, REMORA_SPECIAL_PAD, REMORA_SPECIAL_USER,
    REMORA_SPECIAL_ASSISTANT, REMORA_SPECIAL_THINK_OPEN, REMORA_SPECIAL_THINK_CLOSE,
    REMORA_SPECIAL_FIM_BEGIN, REMORA_SPECIAL_FIM_HOLE, REMORA_SPECIAL_FIM_END
};
enum { REMORA_TOKEN_CONTROL = 1, REMORA_TOKEN_END_OF_TURN = 2, REMORA_TOKEN_PARTIAL = 4 };

typedef struct remora_detok {
    uint64_t opaque[4];
} remora_detok;

REMORA_API remora_status REMORA_CALL remora_tokenize(const remora_model *m, const char *text, size_t len, uint32_t flags, remora_token *out, size_t cap, size_t *n);
REMORA_API remora_status REMORA_CALL remora_token_bytes(const remora_model *m, remora_token t, char *buf, size_t cap, size_t *n);
REMORA_API uint32_t      REMORA_CALL remora_token_flags(const remora_model *m, remora_token t);
REMORA_API remora_token  REMORA_CALL remora_token_special(const remora_model *m, int32_t which);
REMORA_API remora_status REMORA_CALL remora_detok_push(const remora_model *m, remora_detok *st, const remora_token *t, size_t nt, char *buf, size_t cap, size_t *n);
REMORA_API remora_status REMORA_CALL remora_detok_flush(const remora_model *m, remora_detok *st, char *buf, size_t cap, size_t *n);

/* ---- session: one timeline over the latent KV cache ---------------------- */
struct remora_session_opts {
    uint32_t struct_size;
    uint32_t flags;
    uint32_t capacity;
    uint32_t chunk;
    int32_t  kv_type;
    uint32_t reserved;
    const remora_kv *extra;
    uint64_t n_extra;
};
enum { REMORA_KV_BF16 = 1, REMORA_KV_F32 = 3 };
enum { REMORA_WANT_NONE = 0, REMORA_WANT_LAST = 1, REMORA_WANT_ALL = 2, REMORA_WANT_HIDDEN = 4 };

typedef struct remora_session_info {
    uint32_t struct_size;
    uint32_t capacity;
    uint64_t committed;
    uint64_t pending;
    uint64_t kv_bytes;
    uint64_t kv_bytes_shared;
    uint32_t n_rows;
    int32_t  state;
} remora_session_info;

REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL remora_session_create(remora_model *m, const remora_session_opts *o, remora_session **out, remora_error *err);
REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL remora_session_fork(remora_session *s, remora_session **out, remora_error *err);
REMORA_API void          REMORA_CALL remora_session_free(remora_session *s);
REMORA_API remora_status REMORA_CALL remora_session_get_info(const remora_session *s, remora_session_info *out);
REMORA_API remora_status REMORA_CALL remora_session_tokens(const remora_session *s, uint64_t from, remora_token *out, size_t cap, size_t *n);
REMORA_API remora_status REMORA_CALL remora_session_append(remora_session *s, const remora_token *t, size_t n, uint32_t want);
REMORA_API remora_status REMORA_CALL remora_session_sync(remora_session *s, const remora_token *t, size_t n, uint32_t want, size_t *reused);
REMORA_API remora_status REMORA_CALL remora_session_trim(remora_session *s, uint64_t keep);

/* ---- compute ------------------------------------------------------------ */
typedef struct remora_eval_opts {
    uint32_t struct_size;
    uint32_t flags;
    int64_t  budget_us;
    uint64_t max_tokens;
    const int32_t *cancel;
} remora_eval_opts;

typedef struct remora_token_prob {
    remora_token token;
    float        logit;
    float        logprob;
} remora_token_prob;

REMORA_API remora_status REMORA_CALL remora_eval(remora_session *const *s, size_t n, const remora_eval_opts *o, remora_error *err);
REMORA_API remora_status REMORA_CALL remora_session_logits(remora_session *s, uint32_t row, const float **out, size_t *n);
REMORA_API remora_status REMORA_CALL remora_session_top(remora_session *s, uint32_t row, remora_token_prob *out, size_t cap, size_t *n);
REMORA_API remora_status REMORA_CALL remora_session_logprob(remora_session *s, uint32_t row, remora_token t, float *out);
REMORA_API remora_status REMORA_CALL remora_session_hidden(remora_session *s, uint32_t row, float *out, size_t cap, size_t *n);

/* ---- sampler ------------------------------------------------------------ */
enum {
    REMORA_STAGE_TEMPERATURE = 1, REMORA_STAGE_TOP_K, REMORA_STAGE_TOP_P, REMORA_STAGE_MIN_P,
    REMORA_STAGE_REPEAT, REMORA_STAGE_FREQUENCY, REMORA_STAGE_PRESENCE, REMORA_STAGE_BIAS,
    REMORA_STAGE_CALLBACK = 10
};

typedef struct remora_stage {
    uint32_t struct_size;
    int32_t  kind;
    double   value;
    int64_t  count;
    void    *user;
    remora_status (REMORA_CALL *fn)(void *user, remora_token_prob *cand, size_t *n);
} remora_stage;

REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL remora_sampler_create(remora_model *m, uint64_t seed, remora_sampler **out, remora_error *err);
REMORA_API remora_status REMORA_CALL remora_sampler_add(remora_sampler *p, const remora_stage *stage, remora_error *err);
REMORA_API REMORA_MUST_CHECK remora_status REMORA_CALL remora_sampler_clone(const remora_sampler *p, remora_sampler **out);
REMORA_API void          REMORA_CALL remora_sampler_reset(remora_sampler *p, uint64_t seed);
REMORA_API remora_status REMORA_CALL remora_sampler_accept(remora_sampler *p, remora_token t);
REMORA_API remora_status REMORA_CALL remora_sampler_pick(remora_sampler *p, remora_session *s, uint32_t row, remora_token *out);
REMORA_API remora_status REMORA_CALL remora_sampler_pick_from(remora_sampler *p, const float *logits, size_t n, remora_token *out);
REMORA_API void          REMORA_CALL remora_sampler_free(remora_sampler *p);

/* ---- generate ------------------------------------------------------------ */
typedef struct remora_gen_opts {
    uint32_t struct_size;
    uint32_t flags;
    int64_t  budget_us;
    uint64_t max_tokens;
    const char *const *stop;
    uint64_t n_stop;
    const int32_t *cancel;
} remora_gen_opts;

REMORA_API remora_status REMORA_CALL remora_generate(remora_session *s, remora_sampler *p, const remora_gen_opts *o, remora_token *out, size_t cap, size_t *n, remora_error *err);

/* ---- numbers ------------------------------------------------------------- */
typedef struct remora_stats {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t prefill_tokens;
    uint64_t prefill_us;
    uint64_t decode_tokens;
    uint64_t decode_us;
    uint64_t sample_us;
    uint64_t reused_tokens;
    uint64_t longest_slice_us;
} remora_stats;

REMORA_API remora_status REMORA_CALL remora_session_get_stats(const remora_session *s, remora_stats *out);
REMORA_API remora_status REMORA_CALL remora_routing_enable(remora_model *m, int32_t on);
REMORA_API remora_status REMORA_CALL remora_routing_read(remora_model *m, uint32_t layer, int32_t reset, uint64_t *counts, size_t cap, size_t *n);

#ifdef __cplusplus
}
#endif
#endif /* REMORA_H */

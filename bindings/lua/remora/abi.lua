-- SPDX-License-Identifier: Apache-2.0
-- Generated from remora.abi.json by bindings/lua/generate.py: do not change it.
return {
  version = 16777216,
  release = "1.0",
  cdef = [[
typedef int32_t remora_status;
typedef int32_t remora_token;
typedef struct remora_runtime remora_runtime;
typedef struct remora_model remora_model;
typedef struct remora_session remora_session;
typedef struct remora_sampler remora_sampler;
typedef struct remora_constraint remora_constraint;
typedef struct remora_chat remora_chat;
typedef struct remora_chat_parse remora_chat_parse;
typedef struct remora_error remora_error;
typedef struct remora_text remora_text;
typedef struct remora_option remora_option;
typedef struct remora_runtime_opts remora_runtime_opts;
typedef struct remora_device remora_device;
typedef struct remora_runtime_info remora_runtime_info;
typedef struct remora_blob remora_blob;
typedef struct remora_source remora_source;
typedef struct remora_model_opts remora_model_opts;
typedef struct remora_model_info remora_model_info;
typedef struct remora_memory remora_memory;
typedef struct remora_convert_opts remora_convert_opts;
typedef struct remora_verify_opts remora_verify_opts;
typedef struct remora_verify_report remora_verify_report;
typedef struct remora_detok remora_detok;
typedef struct remora_file remora_file;
typedef struct remora_fim_opts remora_fim_opts;
typedef struct remora_fim_info remora_fim_info;
typedef struct remora_chat_format remora_chat_format;
typedef struct remora_chat_opts remora_chat_opts;
typedef struct remora_call remora_call;
typedef struct remora_turn remora_turn;
typedef struct remora_prompt_opts remora_prompt_opts;
typedef struct remora_prompt_info remora_prompt_info;
typedef struct remora_chat_info remora_chat_info;
typedef struct remora_chat_parse_opts remora_chat_parse_opts;
typedef struct remora_chat_event remora_chat_event;
typedef struct remora_chat_parse_info remora_chat_parse_info;
typedef struct remora_session_opts remora_session_opts;
typedef struct remora_session_info remora_session_info;
typedef struct remora_eval_opts remora_eval_opts;
typedef struct remora_token_prob remora_token_prob;
typedef struct remora_stage remora_stage;
typedef struct remora_constraint_opts remora_constraint_opts;
typedef struct remora_answer_opts remora_answer_opts;
typedef struct remora_gen_opts remora_gen_opts;
typedef struct remora_generation_info remora_generation_info;
typedef struct remora_stats remora_stats;
typedef struct remora_importance remora_importance;
struct remora_error { uint32_t struct_size; remora_status code; int32_t os_code; uint32_t reserved; char message[240]; };
struct remora_text { const char *ptr; uint64_t len; };
struct remora_option { remora_text key; remora_text value; };
struct remora_runtime_opts { uint32_t struct_size; uint32_t flags; void *alloc_user; void *(*alloc)(void *user, size_t size, size_t align); void *(*resize)(void *user, void *p, size_t old_size, size_t size, size_t align); void (*dealloc)(void *user, void *p, size_t size, size_t align); void *log_user; void (*log)(void *user, int32_t level, const char *msg, size_t len); int32_t log_level; int32_t n_threads; void *run_user; void (*run)(void *user, uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg); const remora_option *extra; uint64_t n_extra; void *thread_start_user; void (*thread_start)(void *user, uint32_t index); const char *cuda_module; void *release_user; void (*release)(void *user); };
struct remora_device { uint32_t struct_size; int32_t kind; uint64_t mem_total; uint64_t mem_free; int32_t usable; uint32_t reserved; char id[32]; char name[96]; char paths[96]; char reason[160]; };
struct remora_runtime_info { uint32_t struct_size; uint32_t n_threads; char kernels[32]; char why[120]; };
struct remora_blob { const char *name; const void *data; uint64_t size; };
struct remora_source { uint32_t struct_size; int32_t kind; const char *path; const remora_blob *blobs; uint64_t n_blobs; void *io_user; remora_status (*io_size)(void *user, const char *name, uint64_t *size); remora_status (*io_read)(void *user, const char *name, uint64_t off, void *buf, uint64_t n); uint32_t flags; uint32_t reserved; void *release_user; void (*release)(void *user); };
struct remora_model_opts { uint32_t struct_size; uint32_t flags; const char *device; uint64_t host_budget; const int32_t *cancel; void *progress_user; int32_t (*progress)(void *user, uint64_t done, uint64_t total); const remora_option *extra; uint64_t n_extra; uint64_t device_budget; };
struct remora_model_info { uint32_t struct_size; uint32_t n_layers; uint32_t n_vocab; uint32_t n_hidden; uint32_t n_heads; uint32_t kv_lora_rank; uint32_t rope_dim; uint32_t n_experts; uint32_t n_experts_used; uint32_t n_shared_experts; uint32_t n_dense_layers; uint32_t max_context; uint32_t has_tokenizer; uint32_t n_prediction_layers; uint64_t n_params; uint64_t n_params_active; uint64_t weight_bytes; uint8_t fingerprint[32]; char family[32]; char name[96]; uint32_t n_kv_heads; uint32_t head_dim; char device[32]; };
struct remora_memory { uint32_t struct_size; uint32_t reserved; uint64_t host_weights; uint64_t host_kv; uint64_t host_scratch; uint64_t host_other; uint64_t host_mapped; uint64_t kv_bytes_per_token; uint64_t device_weights; uint64_t device_kv; uint64_t device_scratch; uint64_t device_other; uint64_t device_context; };
struct remora_convert_opts { uint32_t struct_size; uint32_t flags; const char *recipe; const char *importance; const char *base; int32_t zstd_level; uint32_t reserved; const int32_t *cancel; void *progress_user; int32_t (*progress)(void *user, uint64_t done, uint64_t total); };
struct remora_verify_opts { uint32_t struct_size; uint32_t flags; const int32_t *cancel; void *progress_user; int32_t (*progress)(void *user, uint64_t done, uint64_t total); };
struct remora_verify_report { uint32_t struct_size; int32_t checksums; int32_t self_test; int32_t exact; };
struct remora_detok { uint64_t opaque[4]; };
struct remora_file { remora_text path; remora_text text; };
struct remora_fim_opts { uint32_t struct_size; uint32_t flags; uint64_t max_tokens; uint32_t prefix_share; uint32_t suffix_share; remora_text repo; remora_text path; const remora_file *files; uint64_t n_files; };
struct remora_fim_info { uint32_t struct_size; uint32_t is_cut; uint64_t prefix_tokens; uint64_t suffix_tokens; uint64_t n_files; uint32_t n_heal; uint32_t reserved; char heal[256]; };
struct remora_chat_format { uint32_t struct_size; uint32_t flags; remora_text begin; remora_text system_open; remora_text system_close; remora_text user_open; remora_text user_close; remora_text assistant_open; remora_text assistant_close; remora_text generation; remora_text system_text; remora_text think_open; remora_text think_close; const char *tools_of; };
struct remora_chat_opts { uint32_t struct_size; uint32_t flags; const char *format; const remora_chat_format *described; remora_text date; };
struct remora_call { remora_text id; remora_text name; remora_text arguments; };
struct remora_turn { uint32_t struct_size; int32_t role; remora_text text; remora_text name; remora_text reasoning; remora_text call_id; const remora_call *calls; uint64_t n_calls; };
struct remora_prompt_opts { uint32_t struct_size; uint32_t flags; int32_t think; uint32_t effort; int32_t choice; uint32_t reserved; remora_text tool; remora_text schema; };
struct remora_prompt_info { uint32_t struct_size; int32_t begin; uint32_t calls; uint32_t reserved; uint64_t text_bytes; };
struct remora_chat_info { uint32_t struct_size; uint32_t n_turns; uint32_t n_tools; uint32_t thinks; uint32_t has_calls; uint32_t reserved; char format[32]; };
struct remora_chat_parse_opts { uint32_t struct_size; uint32_t flags; const char *format; int32_t begin; uint32_t reserved; const remora_chat *chat; };
struct remora_chat_event { uint32_t struct_size; int32_t kind; uint32_t call; int32_t finish; remora_text text; remora_text id; };
struct remora_chat_parse_info { uint32_t struct_size; int32_t place; uint32_t n_calls; uint32_t broken; uint64_t bytes; uint64_t reasoning; uint64_t content; uint64_t calls; uint64_t rest; uint64_t markup; uint64_t held; };
struct remora_session_opts { uint32_t struct_size; uint32_t flags; uint32_t capacity; uint32_t chunk; int32_t kv_type; uint32_t reserved; const remora_option *extra; uint64_t n_extra; };
struct remora_session_info { uint32_t struct_size; uint32_t capacity; uint64_t committed; uint64_t pending; uint64_t kv_bytes; uint64_t kv_bytes_shared; uint32_t n_rows; int32_t state; uint64_t kv_bytes_kept; };
struct remora_eval_opts { uint32_t struct_size; uint32_t flags; int64_t budget_us; uint64_t max_tokens; const int32_t *cancel; uint32_t max_drafts; uint32_t reserved; };
struct remora_token_prob { remora_token token; float logit; float logprob; };
struct remora_stage { uint32_t struct_size; int32_t kind; double value; int64_t count; void *user; remora_status (*fn)(void *user, remora_token_prob *cand, size_t *n); void (*release)(void *user); };
struct remora_constraint_opts { uint32_t struct_size; int32_t kind; remora_text source; uint32_t flags; uint32_t reserved; const remora_text *choices; uint64_t n_choices; uint64_t memory; uint64_t steps; };
struct remora_answer_opts { uint32_t struct_size; uint32_t flags; uint64_t memory; uint64_t steps; };
struct remora_gen_opts { uint32_t struct_size; uint32_t flags; int64_t budget_us; uint64_t max_tokens; const remora_text *stop; uint64_t n_stop; const int32_t *cancel; remora_token_prob *probs; uint32_t n_best; uint32_t max_drafts; };
struct remora_generation_info { uint32_t struct_size; int32_t reason; uint32_t stop; uint32_t reserved; uint64_t n_tokens; uint64_t text_bytes; };
struct remora_stats { uint32_t struct_size; uint32_t reserved; uint64_t prefill_tokens; uint64_t prefill_us; uint64_t decode_tokens; uint64_t decode_us; uint64_t sample_us; uint64_t reused_tokens; uint64_t longest_slice_us; uint64_t drafts; uint64_t drafts_used; };
struct remora_importance { uint32_t struct_size; uint32_t n_matrices; uint32_t n_cols; uint32_t reserved; char name[96]; };
remora_status remora_abi_check(uint32_t header_version);
const char *remora_build_info(void);
remora_status remora_chat_add(remora_chat *c, const remora_turn *turn, remora_error *err);
remora_status remora_chat_add_json(remora_chat *c, const char *json, size_t len, remora_error *err);
remora_status remora_chat_add_tool(remora_chat *c, const char *json, size_t len, remora_error *err);
remora_status remora_chat_constraint(const remora_chat *c, const remora_prompt_opts *prompt, const remora_answer_opts *o, remora_constraint **out, remora_error *err);
remora_status remora_chat_create(remora_model *m, const remora_chat_opts *o, remora_chat **out, remora_error *err);
remora_status remora_chat_format_name(uint32_t i, const char **name, remora_error *err);
void remora_chat_free(remora_chat *c);
remora_status remora_chat_get_info(const remora_chat *c, remora_chat_info *out, remora_error *err);
remora_status remora_chat_parse_clone(const remora_chat_parse *p, remora_chat_parse **out, remora_error *err);
remora_status remora_chat_parse_copy(remora_chat_parse *to, const remora_chat_parse *from, remora_error *err);
remora_status remora_chat_parse_create(remora_model *m, const remora_chat_parse_opts *o, remora_chat_parse **out, remora_error *err);
remora_status remora_chat_parse_end(remora_chat_parse *p, int32_t cut, remora_chat_event *event, remora_error *err);
void remora_chat_parse_free(remora_chat_parse *p);
remora_status remora_chat_parse_get_info(const remora_chat_parse *p, remora_chat_parse_info *out, remora_error *err);
remora_status remora_chat_parse_next(remora_chat_parse *p, const remora_token *t, size_t n, size_t *used, remora_chat_event *event, remora_error *err);
remora_status remora_chat_parse_text(remora_chat_parse *p, const char *text, size_t len, size_t *used, remora_chat_event *event, remora_error *err);
remora_status remora_chat_prompt(const remora_chat *c, const remora_prompt_opts *o, remora_token *out, size_t cap, size_t *n, remora_prompt_info *info, remora_error *err);
remora_status remora_chat_trim(remora_chat *c, uint64_t keep, remora_error *err);
remora_status remora_constraint_create(remora_model *m, const remora_constraint_opts *opts, remora_constraint **out, remora_error *err);
void remora_constraint_free(remora_constraint *c);
remora_status remora_convert(remora_runtime *rt, const remora_source *src, const char *path, const remora_convert_opts *opts, remora_error *err);
remora_status remora_detok_flush(const remora_model *m, remora_detok *st, char *buf, size_t cap, size_t *n, remora_error *err);
remora_status remora_detok_push(const remora_model *m, remora_detok *st, const remora_token *t, size_t nt, char *buf, size_t cap, size_t *n, remora_error *err);
uint32_t remora_device_count(const remora_runtime *rt);
remora_status remora_device_get(const remora_runtime *rt, uint32_t i, remora_device *out, remora_error *err);
remora_status remora_end_tokens(const remora_model *m, remora_token *out, size_t cap, size_t *n, remora_error *err);
remora_status remora_eval(remora_session *const *s, size_t n, const remora_eval_opts *o, remora_error *err);
remora_status remora_fim(const remora_model *m, const char *prefix, size_t n_prefix, const char *suffix, size_t n_suffix, const remora_fim_opts *o, remora_token *out, size_t cap, size_t *n, remora_fim_info *info, remora_error *err);
remora_status remora_fim_stop(const remora_model *m, uint32_t i, remora_text *out, remora_error *err);
remora_status remora_generate(remora_session *s, remora_sampler *p, const remora_gen_opts *o, remora_token *out, size_t cap, size_t *n, remora_error *err);
remora_status remora_generate_text(remora_session *s, remora_sampler *p, const remora_gen_opts *o, char *text, size_t cap, size_t *n, remora_token *tokens, size_t cap_tokens, size_t *n_tokens, remora_error *err);
remora_status remora_importance_get(const remora_model *m, uint32_t i, remora_importance *out, remora_error *err);
remora_status remora_importance_read(const remora_model *m, uint32_t i, uint32_t matrix, uint64_t *count, double *sums, size_t cap, size_t *n, remora_error *err);
remora_status remora_model_estimate(remora_runtime *rt, const remora_source *src, const remora_model_opts *opts, const remora_session_opts *sopts, uint32_t n_sessions, remora_memory *out, remora_error *err);
void remora_model_free(remora_model *m);
remora_status remora_model_get_info(const remora_model *m, remora_model_info *out, remora_error *err);
remora_status remora_model_get_memory(const remora_model *m, remora_memory *out, remora_error *err);
remora_status remora_model_meta(const remora_model *m, const char *key, char *buf, size_t cap, size_t *n, remora_error *err);
remora_status remora_model_meta_key(const remora_model *m, uint32_t i, char *buf, size_t cap, size_t *n, remora_error *err);
remora_status remora_model_open(remora_runtime *rt, const remora_source *src, const remora_model_opts *opts, remora_model **out, remora_error *err);
remora_runtime *remora_model_runtime(const remora_model *m);
remora_status remora_model_set_budget(remora_model *m, uint64_t host, uint64_t device, remora_error *err);
remora_status remora_recipe_get(uint32_t i, const char **name, const char **yaml, remora_error *err);
remora_status remora_routing_enable(remora_model *m, int32_t on, remora_error *err);
remora_status remora_routing_read(remora_model *m, uint32_t layer, int32_t reset, uint64_t *counts, size_t cap, size_t *n, remora_error *err);
remora_status remora_runtime_create(const remora_runtime_opts *opts, remora_runtime **out, remora_error *err);
void remora_runtime_free(remora_runtime *rt);
remora_status remora_runtime_get_info(const remora_runtime *rt, remora_runtime_info *out, remora_error *err);
remora_status remora_sampler_accept(remora_sampler *p, remora_token t, remora_error *err);
remora_status remora_sampler_add(remora_sampler *p, const remora_stage *stage, remora_error *err);
remora_status remora_sampler_clone(const remora_sampler *p, remora_sampler **out, remora_error *err);
remora_status remora_sampler_constrain(remora_sampler *p, remora_constraint *c, remora_error *err);
remora_status remora_sampler_create(remora_model *m, uint64_t seed, remora_sampler **out, remora_error *err);
void remora_sampler_free(remora_sampler *p);
remora_status remora_sampler_pick(remora_sampler *p, const remora_session *s, uint32_t row, remora_token *out, remora_error *err);
remora_status remora_sampler_pick_from(remora_sampler *p, const float *logits, size_t n, remora_token *out, remora_error *err);
void remora_sampler_reset(remora_sampler *p, uint64_t seed);
remora_status remora_sampler_rollback(remora_sampler *p, uint64_t n, remora_error *err);
remora_status remora_sampler_spell(remora_sampler *p, const char *text, size_t len, remora_error *err);
remora_status remora_session_append(remora_session *s, const remora_token *t, size_t n, uint32_t want, remora_error *err);
remora_status remora_session_create(remora_model *m, const remora_session_opts *o, remora_session **out, remora_error *err);
remora_status remora_session_fork(remora_session *s, remora_session **out, remora_error *err);
void remora_session_free(remora_session *s);
remora_status remora_session_get_generation(const remora_session *s, remora_generation_info *out, remora_error *err);
remora_status remora_session_get_info(const remora_session *s, remora_session_info *out, remora_error *err);
remora_status remora_session_get_options(const remora_session *s, remora_session_opts *out, remora_error *err);
remora_status remora_session_get_stats(const remora_session *s, remora_stats *out, remora_error *err);
remora_status remora_session_hidden(const remora_session *s, uint32_t row, float *out, size_t cap, size_t *n, remora_error *err);
remora_status remora_session_logits(const remora_session *s, uint32_t row, const float **out, size_t *n, remora_error *err);
remora_status remora_session_logprob(const remora_session *s, uint32_t row, remora_token t, float *out, remora_error *err);
remora_model *remora_session_model(const remora_session *s);
remora_status remora_session_sync(remora_session *s, const remora_token *t, size_t n, uint32_t want, size_t *reused, remora_error *err);
remora_status remora_session_tokens(const remora_session *s, uint64_t from, remora_token *out, size_t cap, size_t *n, remora_error *err);
remora_status remora_session_top(const remora_session *s, uint32_t row, remora_token_prob *out, size_t cap, size_t *n, remora_error *err);
remora_status remora_session_trim(remora_session *s, uint64_t keep, remora_error *err);
const char *remora_status_name(remora_status s);
remora_status remora_token_bytes(const remora_model *m, remora_token t, char *buf, size_t cap, size_t *n, remora_error *err);
uint32_t remora_token_flags(const remora_model *m, remora_token t);
remora_token remora_token_special(const remora_model *m, int32_t which);
remora_status remora_tokenize(const remora_model *m, const char *text, size_t len, uint32_t flags, remora_token *out, size_t cap, size_t *n, remora_error *err);
remora_status remora_verify(remora_runtime *rt, const remora_source *src, const remora_verify_opts *opts, remora_verify_report *out, remora_error *err);
uint32_t remora_version(void);
const char *remora_version_string(void);
]],
  types = {
    remora_status = "int32_t",
    remora_token = "int32_t",
  },
  values = {
    REMORA_TOKEN_NONE = -1,
    REMORA_OK = 0,
    REMORA_MORE = 1,
    REMORA_END = 2,
    REMORA_E_ARG = -1,
    REMORA_E_STRUCT = -2,
    REMORA_E_NOMEM = -3,
    REMORA_E_DEVICE_MEM = -4,
    REMORA_E_IO = -5,
    REMORA_E_FORMAT = -6,
    REMORA_E_UNSUPPORTED = -7,
    REMORA_E_CANCELLED = -8,
    REMORA_E_BUFFER = -9,
    REMORA_E_FULL = -10,
    REMORA_E_BUSY = -11,
    REMORA_E_MISMATCH = -12,
    REMORA_E_NO_TOKEN = -13,
    REMORA_E_DEVICE = -14,
    REMORA_E_CALLBACK = -15,
    REMORA_E_INTERNAL = -16,
    REMORA_E_NOT_FOUND = -17,
    REMORA_E_LIMIT = -18,
    REMORA_LOG_ERROR = 1,
    REMORA_LOG_WARN = 2,
    REMORA_LOG_INFO = 3,
    REMORA_LOG_DEBUG = 4,
    REMORA_DEVICE_CPU = 1,
    REMORA_DEVICE_CUDA = 2,
    REMORA_SOURCE_PATH = 1,
    REMORA_SOURCE_MEMORY = 2,
    REMORA_SOURCE_IO = 3,
    REMORA_SOURCE_READ_LATER = 1,
    REMORA_MODEL_NO_WEIGHTS = 1,
    REMORA_MODEL_NO_MMAP = 2,
    REMORA_MODEL_IMPORTANCE = 4,
    REMORA_MODEL_ANYWAY = 8,
    REMORA_MODEL_NO_PREDICTION = 16,
    REMORA_CONVERT_NO_SELF_TEST = 1,
    REMORA_TEXT_SPECIAL = 1,
    REMORA_TEXT_BOS = 2,
    REMORA_SPECIAL_BOS = 1,
    REMORA_SPECIAL_EOS = 2,
    REMORA_SPECIAL_PAD = 3,
    REMORA_SPECIAL_USER = 4,
    REMORA_SPECIAL_ASSISTANT = 5,
    REMORA_SPECIAL_THINK_OPEN = 6,
    REMORA_SPECIAL_THINK_CLOSE = 7,
    REMORA_SPECIAL_FIM_BEGIN = 8,
    REMORA_SPECIAL_FIM_HOLE = 9,
    REMORA_SPECIAL_FIM_END = 10,
    REMORA_TOKEN_CONTROL = 1,
    REMORA_TOKEN_END_OF_TURN = 2,
    REMORA_TOKEN_PARTIAL = 4,
    REMORA_HEAL_MAX = 256,
    REMORA_FIM_HEAL = 1,
    REMORA_ROLE_SYSTEM = 1,
    REMORA_ROLE_USER = 2,
    REMORA_ROLE_ASSISTANT = 3,
    REMORA_ROLE_TOOL = 4,
    REMORA_ROLE_REMINDER = 5,
    REMORA_THINK_ON = 1,
    REMORA_THINK_OFF = 2,
    REMORA_CHOICE_NONE = 1,
    REMORA_CHOICE_REQUIRED = 2,
    REMORA_CHOICE_NAMED = 3,
    REMORA_PROMPT_CONTINUE = 1,
    REMORA_PROMPT_NO_REQUEST = 2,
    REMORA_PROMPT_AS_TEMPLATE = 4,
    REMORA_PART_NONE = 0,
    REMORA_PART_REASONING = 1,
    REMORA_PART_CONTENT = 2,
    REMORA_PART_CALL = 3,
    REMORA_PART_ARGUMENTS = 4,
    REMORA_PART_CALL_END = 5,
    REMORA_PART_REST = 6,
    REMORA_PART_END = 7,
    REMORA_PLACE_START = 1,
    REMORA_PLACE_REASONING = 2,
    REMORA_PLACE_CONTENT = 3,
    REMORA_PLACE_CALLS = 4,
    REMORA_PLACE_ARGUMENTS = 5,
    REMORA_PLACE_AFTER = 6,
    REMORA_PLACE_LOST = 7,
    REMORA_PLACE_ENDED = 8,
    REMORA_FINISH_STOP = 1,
    REMORA_FINISH_CALLS = 2,
    REMORA_FINISH_LENGTH = 3,
    REMORA_CHAT_PARSE_CALLS = 1,
    REMORA_KV_BF16 = 1,
    REMORA_KV_INT8 = 2,
    REMORA_KV_F32 = 3,
    REMORA_WANT_NONE = 0,
    REMORA_WANT_LAST = 1,
    REMORA_WANT_ALL = 2,
    REMORA_WANT_HIDDEN = 4,
    REMORA_SESSION_PAGES_AS_NEEDED = 1,
    REMORA_SESSION_PREDICTION = 2,
    REMORA_EVAL_AHEAD = 1,
    REMORA_DRAFTS_AUTO = 2147483647,
    REMORA_STAGE_TEMPERATURE = 1,
    REMORA_STAGE_TOP_K = 2,
    REMORA_STAGE_TOP_P = 3,
    REMORA_STAGE_MIN_P = 4,
    REMORA_STAGE_REPEAT = 5,
    REMORA_STAGE_FREQUENCY = 6,
    REMORA_STAGE_PRESENCE = 7,
    REMORA_STAGE_BIAS = 8,
    REMORA_STAGE_CALLBACK = 10,
    REMORA_CONSTRAINT_GBNF = 1,
    REMORA_CONSTRAINT_REGEX = 2,
    REMORA_CONSTRAINT_CHOICE = 3,
    REMORA_CONSTRAINT_LARK = 5,
    REMORA_CONSTRAINT_JSON_SCHEMA = 4,
    REMORA_SCHEMA_LAX = 1,
    REMORA_ANSWER_ONE_CALL = 1,
    REMORA_ANSWER_LAX = 2,
    REMORA_GEN_NEW = 1,
    REMORA_GEN_KEEP_STOP = 2,
    REMORA_REASON_NONE = 0,
    REMORA_REASON_END_OF_TURN = 1,
    REMORA_REASON_STOP = 2,
    REMORA_REASON_MAX_TOKENS = 3,
    REMORA_REASON_CAPACITY = 4,
  },
  enums = {
    remora_statuses = {"REMORA_OK", "REMORA_MORE", "REMORA_END", "REMORA_E_ARG", "REMORA_E_STRUCT", "REMORA_E_NOMEM", "REMORA_E_DEVICE_MEM", "REMORA_E_IO", "REMORA_E_FORMAT", "REMORA_E_UNSUPPORTED", "REMORA_E_CANCELLED", "REMORA_E_BUFFER", "REMORA_E_FULL", "REMORA_E_BUSY", "REMORA_E_MISMATCH", "REMORA_E_NO_TOKEN", "REMORA_E_DEVICE", "REMORA_E_CALLBACK", "REMORA_E_INTERNAL", "REMORA_E_NOT_FOUND", "REMORA_E_LIMIT"},
    remora_log_levels = {"REMORA_LOG_ERROR", "REMORA_LOG_WARN", "REMORA_LOG_INFO", "REMORA_LOG_DEBUG"},
    remora_device_kinds = {"REMORA_DEVICE_CPU", "REMORA_DEVICE_CUDA"},
    remora_source_kinds = {"REMORA_SOURCE_PATH", "REMORA_SOURCE_MEMORY", "REMORA_SOURCE_IO"},
    remora_source_flags = {"REMORA_SOURCE_READ_LATER"},
    remora_model_flags = {"REMORA_MODEL_NO_WEIGHTS", "REMORA_MODEL_NO_MMAP", "REMORA_MODEL_IMPORTANCE", "REMORA_MODEL_ANYWAY", "REMORA_MODEL_NO_PREDICTION"},
    remora_convert_flags = {"REMORA_CONVERT_NO_SELF_TEST"},
    remora_text_flags = {"REMORA_TEXT_SPECIAL", "REMORA_TEXT_BOS"},
    remora_special_tokens = {"REMORA_SPECIAL_BOS", "REMORA_SPECIAL_EOS", "REMORA_SPECIAL_PAD", "REMORA_SPECIAL_USER", "REMORA_SPECIAL_ASSISTANT", "REMORA_SPECIAL_THINK_OPEN", "REMORA_SPECIAL_THINK_CLOSE", "REMORA_SPECIAL_FIM_BEGIN", "REMORA_SPECIAL_FIM_HOLE", "REMORA_SPECIAL_FIM_END"},
    remora_token_bits = {"REMORA_TOKEN_CONTROL", "REMORA_TOKEN_END_OF_TURN", "REMORA_TOKEN_PARTIAL"},
    remora_limits = {"REMORA_HEAL_MAX"},
    remora_fim_flags = {"REMORA_FIM_HEAL"},
    remora_chat_roles = {"REMORA_ROLE_SYSTEM", "REMORA_ROLE_USER", "REMORA_ROLE_ASSISTANT", "REMORA_ROLE_TOOL", "REMORA_ROLE_REMINDER"},
    remora_thinking = {"REMORA_THINK_ON", "REMORA_THINK_OFF"},
    remora_tool_choices = {"REMORA_CHOICE_NONE", "REMORA_CHOICE_REQUIRED", "REMORA_CHOICE_NAMED"},
    remora_prompt_flags = {"REMORA_PROMPT_CONTINUE", "REMORA_PROMPT_NO_REQUEST", "REMORA_PROMPT_AS_TEMPLATE"},
    remora_chat_parts = {"REMORA_PART_NONE", "REMORA_PART_REASONING", "REMORA_PART_CONTENT", "REMORA_PART_CALL", "REMORA_PART_ARGUMENTS", "REMORA_PART_CALL_END", "REMORA_PART_REST", "REMORA_PART_END"},
    remora_chat_places = {"REMORA_PLACE_START", "REMORA_PLACE_REASONING", "REMORA_PLACE_CONTENT", "REMORA_PLACE_CALLS", "REMORA_PLACE_ARGUMENTS", "REMORA_PLACE_AFTER", "REMORA_PLACE_LOST", "REMORA_PLACE_ENDED"},
    remora_chat_finishes = {"REMORA_FINISH_STOP", "REMORA_FINISH_CALLS", "REMORA_FINISH_LENGTH"},
    remora_chat_parse_flags = {"REMORA_CHAT_PARSE_CALLS"},
    remora_kv_types = {"REMORA_KV_BF16", "REMORA_KV_INT8", "REMORA_KV_F32"},
    remora_want_bits = {"REMORA_WANT_NONE", "REMORA_WANT_LAST", "REMORA_WANT_ALL", "REMORA_WANT_HIDDEN"},
    remora_session_flags = {"REMORA_SESSION_PAGES_AS_NEEDED", "REMORA_SESSION_PREDICTION"},
    remora_eval_flags = {"REMORA_EVAL_AHEAD"},
    remora_drafts = {"REMORA_DRAFTS_AUTO"},
    remora_stage_kinds = {"REMORA_STAGE_TEMPERATURE", "REMORA_STAGE_TOP_K", "REMORA_STAGE_TOP_P", "REMORA_STAGE_MIN_P", "REMORA_STAGE_REPEAT", "REMORA_STAGE_FREQUENCY", "REMORA_STAGE_PRESENCE", "REMORA_STAGE_BIAS", "REMORA_STAGE_CALLBACK"},
    remora_constraint_kinds = {"REMORA_CONSTRAINT_GBNF", "REMORA_CONSTRAINT_REGEX", "REMORA_CONSTRAINT_CHOICE", "REMORA_CONSTRAINT_LARK", "REMORA_CONSTRAINT_JSON_SCHEMA"},
    remora_schema_flags = {"REMORA_SCHEMA_LAX"},
    remora_answer_flags = {"REMORA_ANSWER_ONE_CALL", "REMORA_ANSWER_LAX"},
    remora_gen_flags = {"REMORA_GEN_NEW", "REMORA_GEN_KEEP_STOP"},
    remora_reasons = {"REMORA_REASON_NONE", "REMORA_REASON_END_OF_TURN", "REMORA_REASON_STOP", "REMORA_REASON_MAX_TOKENS", "REMORA_REASON_CAPACITY"},
  },
  structs = {
    remora_error = {size = 256, align = 4, fields = {
      struct_size = {type = "uint32_t", at = 0},
      code = {type = "remora_status", at = 4},
      os_code = {type = "int32_t", at = 8},
      reserved = {type = "uint32_t", at = 12},
      message = {type = "char", at = 16, length = 240},
    }},
    remora_text = {size = 16, align = 8, fields = {
      ptr = {type = "const char *", at = 0},
      len = {type = "uint64_t", at = 8},
    }},
    remora_option = {size = 32, align = 8, fields = {
      key = {type = "remora_text", at = 0},
      value = {type = "remora_text", at = 16},
    }},
    remora_runtime_opts = {size = 136, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      flags = {type = "uint32_t", at = 4},
      alloc_user = {type = "void *", at = 8},
      alloc = {type = "callback", at = 16, pointer = "void * (*)(void *user, size_t size, size_t align)"},
      resize = {type = "callback", at = 24, pointer = "void * (*)(void *user, void *p, size_t old_size, size_t size, size_t align)"},
      dealloc = {type = "callback", at = 32, pointer = "void (*)(void *user, void *p, size_t size, size_t align)"},
      log_user = {type = "void *", at = 40},
      log = {type = "callback", at = 48, pointer = "void (*)(void *user, int32_t level, const char *msg, size_t len)"},
      log_level = {type = "int32_t", at = 56},
      n_threads = {type = "int32_t", at = 60},
      run_user = {type = "void *", at = 64},
      run = {type = "callback", at = 72, pointer = "void (*)(void *user, uint32_t n, void (*fn)(void *arg, uint32_t i), void *arg)"},
      extra = {type = "const remora_option *", at = 80},
      n_extra = {type = "uint64_t", at = 88},
      thread_start_user = {type = "void *", at = 96},
      thread_start = {type = "callback", at = 104, pointer = "void (*)(void *user, uint32_t index)"},
      cuda_module = {type = "const char *", at = 112},
      release_user = {type = "void *", at = 120},
      release = {type = "callback", at = 128, pointer = "void (*)(void *user)"},
    }},
    remora_device = {size = 416, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      kind = {type = "int32_t", at = 4},
      mem_total = {type = "uint64_t", at = 8},
      mem_free = {type = "uint64_t", at = 16},
      usable = {type = "int32_t", at = 24},
      reserved = {type = "uint32_t", at = 28},
      id = {type = "char", at = 32, length = 32},
      name = {type = "char", at = 64, length = 96},
      paths = {type = "char", at = 160, length = 96},
      reason = {type = "char", at = 256, length = 160},
    }},
    remora_runtime_info = {size = 160, align = 4, fields = {
      struct_size = {type = "uint32_t", at = 0},
      n_threads = {type = "uint32_t", at = 4},
      kernels = {type = "char", at = 8, length = 32},
      why = {type = "char", at = 40, length = 120},
    }},
    remora_blob = {size = 24, align = 8, fields = {
      name = {type = "const char *", at = 0},
      data = {type = "const void *", at = 8},
      size = {type = "uint64_t", at = 16},
    }},
    remora_source = {size = 80, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      kind = {type = "int32_t", at = 4},
      path = {type = "const char *", at = 8},
      blobs = {type = "const remora_blob *", at = 16},
      n_blobs = {type = "uint64_t", at = 24},
      io_user = {type = "void *", at = 32},
      io_size = {type = "callback", at = 40, pointer = "remora_status (*)(void *user, const char *name, uint64_t *size)"},
      io_read = {type = "callback", at = 48, pointer = "remora_status (*)(void *user, const char *name, uint64_t off, void *buf, uint64_t n)"},
      flags = {type = "uint32_t", at = 56},
      reserved = {type = "uint32_t", at = 60},
      release_user = {type = "void *", at = 64},
      release = {type = "callback", at = 72, pointer = "void (*)(void *user)"},
    }},
    remora_model_opts = {size = 72, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      flags = {type = "uint32_t", at = 4},
      device = {type = "const char *", at = 8},
      host_budget = {type = "uint64_t", at = 16},
      cancel = {type = "const int32_t *", at = 24},
      progress_user = {type = "void *", at = 32},
      progress = {type = "callback", at = 40, pointer = "int32_t (*)(void *user, uint64_t done, uint64_t total)"},
      extra = {type = "const remora_option *", at = 48},
      n_extra = {type = "uint64_t", at = 56},
      device_budget = {type = "uint64_t", at = 64},
    }},
    remora_model_info = {size = 280, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      n_layers = {type = "uint32_t", at = 4},
      n_vocab = {type = "uint32_t", at = 8},
      n_hidden = {type = "uint32_t", at = 12},
      n_heads = {type = "uint32_t", at = 16},
      kv_lora_rank = {type = "uint32_t", at = 20},
      rope_dim = {type = "uint32_t", at = 24},
      n_experts = {type = "uint32_t", at = 28},
      n_experts_used = {type = "uint32_t", at = 32},
      n_shared_experts = {type = "uint32_t", at = 36},
      n_dense_layers = {type = "uint32_t", at = 40},
      max_context = {type = "uint32_t", at = 44},
      has_tokenizer = {type = "uint32_t", at = 48},
      n_prediction_layers = {type = "uint32_t", at = 52},
      n_params = {type = "uint64_t", at = 56},
      n_params_active = {type = "uint64_t", at = 64},
      weight_bytes = {type = "uint64_t", at = 72},
      fingerprint = {type = "uint8_t", at = 80, length = 32},
      family = {type = "char", at = 112, length = 32},
      name = {type = "char", at = 144, length = 96},
      n_kv_heads = {type = "uint32_t", at = 240},
      head_dim = {type = "uint32_t", at = 244},
      device = {type = "char", at = 248, length = 32},
    }},
    remora_memory = {size = 96, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      reserved = {type = "uint32_t", at = 4},
      host_weights = {type = "uint64_t", at = 8},
      host_kv = {type = "uint64_t", at = 16},
      host_scratch = {type = "uint64_t", at = 24},
      host_other = {type = "uint64_t", at = 32},
      host_mapped = {type = "uint64_t", at = 40},
      kv_bytes_per_token = {type = "uint64_t", at = 48},
      device_weights = {type = "uint64_t", at = 56},
      device_kv = {type = "uint64_t", at = 64},
      device_scratch = {type = "uint64_t", at = 72},
      device_other = {type = "uint64_t", at = 80},
      device_context = {type = "uint64_t", at = 88},
    }},
    remora_convert_opts = {size = 64, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      flags = {type = "uint32_t", at = 4},
      recipe = {type = "const char *", at = 8},
      importance = {type = "const char *", at = 16},
      base = {type = "const char *", at = 24},
      zstd_level = {type = "int32_t", at = 32},
      reserved = {type = "uint32_t", at = 36},
      cancel = {type = "const int32_t *", at = 40},
      progress_user = {type = "void *", at = 48},
      progress = {type = "callback", at = 56, pointer = "int32_t (*)(void *user, uint64_t done, uint64_t total)"},
    }},
    remora_verify_opts = {size = 32, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      flags = {type = "uint32_t", at = 4},
      cancel = {type = "const int32_t *", at = 8},
      progress_user = {type = "void *", at = 16},
      progress = {type = "callback", at = 24, pointer = "int32_t (*)(void *user, uint64_t done, uint64_t total)"},
    }},
    remora_verify_report = {size = 16, align = 4, fields = {
      struct_size = {type = "uint32_t", at = 0},
      checksums = {type = "int32_t", at = 4},
      self_test = {type = "int32_t", at = 8},
      exact = {type = "int32_t", at = 12},
    }},
    remora_detok = {size = 32, align = 8, fields = {
      opaque = {type = "uint64_t", at = 0, length = 4},
    }},
    remora_file = {size = 32, align = 8, fields = {
      path = {type = "remora_text", at = 0},
      text = {type = "remora_text", at = 16},
    }},
    remora_fim_opts = {size = 72, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      flags = {type = "uint32_t", at = 4},
      max_tokens = {type = "uint64_t", at = 8},
      prefix_share = {type = "uint32_t", at = 16},
      suffix_share = {type = "uint32_t", at = 20},
      repo = {type = "remora_text", at = 24},
      path = {type = "remora_text", at = 40},
      files = {type = "const remora_file *", at = 56},
      n_files = {type = "uint64_t", at = 64},
    }},
    remora_fim_info = {size = 296, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      is_cut = {type = "uint32_t", at = 4},
      prefix_tokens = {type = "uint64_t", at = 8},
      suffix_tokens = {type = "uint64_t", at = 16},
      n_files = {type = "uint64_t", at = 24},
      n_heal = {type = "uint32_t", at = 32},
      reserved = {type = "uint32_t", at = 36},
      heal = {type = "char", at = 40, length = 256},
    }},
    remora_chat_format = {size = 192, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      flags = {type = "uint32_t", at = 4},
      begin = {type = "remora_text", at = 8},
      system_open = {type = "remora_text", at = 24},
      system_close = {type = "remora_text", at = 40},
      user_open = {type = "remora_text", at = 56},
      user_close = {type = "remora_text", at = 72},
      assistant_open = {type = "remora_text", at = 88},
      assistant_close = {type = "remora_text", at = 104},
      generation = {type = "remora_text", at = 120},
      system_text = {type = "remora_text", at = 136},
      think_open = {type = "remora_text", at = 152},
      think_close = {type = "remora_text", at = 168},
      tools_of = {type = "const char *", at = 184},
    }},
    remora_chat_opts = {size = 40, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      flags = {type = "uint32_t", at = 4},
      format = {type = "const char *", at = 8},
      described = {type = "const remora_chat_format *", at = 16},
      date = {type = "remora_text", at = 24},
    }},
    remora_call = {size = 48, align = 8, fields = {
      id = {type = "remora_text", at = 0},
      name = {type = "remora_text", at = 16},
      arguments = {type = "remora_text", at = 32},
    }},
    remora_turn = {size = 88, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      role = {type = "int32_t", at = 4},
      text = {type = "remora_text", at = 8},
      name = {type = "remora_text", at = 24},
      reasoning = {type = "remora_text", at = 40},
      call_id = {type = "remora_text", at = 56},
      calls = {type = "const remora_call *", at = 72},
      n_calls = {type = "uint64_t", at = 80},
    }},
    remora_prompt_opts = {size = 56, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      flags = {type = "uint32_t", at = 4},
      think = {type = "int32_t", at = 8},
      effort = {type = "uint32_t", at = 12},
      choice = {type = "int32_t", at = 16},
      reserved = {type = "uint32_t", at = 20},
      tool = {type = "remora_text", at = 24},
      schema = {type = "remora_text", at = 40},
    }},
    remora_prompt_info = {size = 24, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      begin = {type = "int32_t", at = 4},
      calls = {type = "uint32_t", at = 8},
      reserved = {type = "uint32_t", at = 12},
      text_bytes = {type = "uint64_t", at = 16},
    }},
    remora_chat_info = {size = 56, align = 4, fields = {
      struct_size = {type = "uint32_t", at = 0},
      n_turns = {type = "uint32_t", at = 4},
      n_tools = {type = "uint32_t", at = 8},
      thinks = {type = "uint32_t", at = 12},
      has_calls = {type = "uint32_t", at = 16},
      reserved = {type = "uint32_t", at = 20},
      format = {type = "char", at = 24, length = 32},
    }},
    remora_chat_parse_opts = {size = 32, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      flags = {type = "uint32_t", at = 4},
      format = {type = "const char *", at = 8},
      begin = {type = "int32_t", at = 16},
      reserved = {type = "uint32_t", at = 20},
      chat = {type = "const remora_chat *", at = 24},
    }},
    remora_chat_event = {size = 48, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      kind = {type = "int32_t", at = 4},
      call = {type = "uint32_t", at = 8},
      finish = {type = "int32_t", at = 12},
      text = {type = "remora_text", at = 16},
      id = {type = "remora_text", at = 32},
    }},
    remora_chat_parse_info = {size = 72, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      place = {type = "int32_t", at = 4},
      n_calls = {type = "uint32_t", at = 8},
      broken = {type = "uint32_t", at = 12},
      bytes = {type = "uint64_t", at = 16},
      reasoning = {type = "uint64_t", at = 24},
      content = {type = "uint64_t", at = 32},
      calls = {type = "uint64_t", at = 40},
      rest = {type = "uint64_t", at = 48},
      markup = {type = "uint64_t", at = 56},
      held = {type = "uint64_t", at = 64},
    }},
    remora_session_opts = {size = 40, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      flags = {type = "uint32_t", at = 4},
      capacity = {type = "uint32_t", at = 8},
      chunk = {type = "uint32_t", at = 12},
      kv_type = {type = "int32_t", at = 16},
      reserved = {type = "uint32_t", at = 20},
      extra = {type = "const remora_option *", at = 24},
      n_extra = {type = "uint64_t", at = 32},
    }},
    remora_session_info = {size = 56, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      capacity = {type = "uint32_t", at = 4},
      committed = {type = "uint64_t", at = 8},
      pending = {type = "uint64_t", at = 16},
      kv_bytes = {type = "uint64_t", at = 24},
      kv_bytes_shared = {type = "uint64_t", at = 32},
      n_rows = {type = "uint32_t", at = 40},
      state = {type = "int32_t", at = 44},
      kv_bytes_kept = {type = "uint64_t", at = 48},
    }},
    remora_eval_opts = {size = 40, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      flags = {type = "uint32_t", at = 4},
      budget_us = {type = "int64_t", at = 8},
      max_tokens = {type = "uint64_t", at = 16},
      cancel = {type = "const int32_t *", at = 24},
      max_drafts = {type = "uint32_t", at = 32},
      reserved = {type = "uint32_t", at = 36},
    }},
    remora_token_prob = {size = 12, align = 4, fields = {
      token = {type = "remora_token", at = 0},
      logit = {type = "float", at = 4},
      logprob = {type = "float", at = 8},
    }},
    remora_stage = {size = 48, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      kind = {type = "int32_t", at = 4},
      value = {type = "double", at = 8},
      count = {type = "int64_t", at = 16},
      user = {type = "void *", at = 24},
      fn = {type = "callback", at = 32, pointer = "remora_status (*)(void *user, remora_token_prob *cand, size_t *n)"},
      release = {type = "callback", at = 40, pointer = "void (*)(void *user)"},
    }},
    remora_constraint_opts = {size = 64, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      kind = {type = "int32_t", at = 4},
      source = {type = "remora_text", at = 8},
      flags = {type = "uint32_t", at = 24},
      reserved = {type = "uint32_t", at = 28},
      choices = {type = "const remora_text *", at = 32},
      n_choices = {type = "uint64_t", at = 40},
      memory = {type = "uint64_t", at = 48},
      steps = {type = "uint64_t", at = 56},
    }},
    remora_answer_opts = {size = 24, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      flags = {type = "uint32_t", at = 4},
      memory = {type = "uint64_t", at = 8},
      steps = {type = "uint64_t", at = 16},
    }},
    remora_gen_opts = {size = 64, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      flags = {type = "uint32_t", at = 4},
      budget_us = {type = "int64_t", at = 8},
      max_tokens = {type = "uint64_t", at = 16},
      stop = {type = "const remora_text *", at = 24},
      n_stop = {type = "uint64_t", at = 32},
      cancel = {type = "const int32_t *", at = 40},
      probs = {type = "remora_token_prob *", at = 48},
      n_best = {type = "uint32_t", at = 56},
      max_drafts = {type = "uint32_t", at = 60},
    }},
    remora_generation_info = {size = 32, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      reason = {type = "int32_t", at = 4},
      stop = {type = "uint32_t", at = 8},
      reserved = {type = "uint32_t", at = 12},
      n_tokens = {type = "uint64_t", at = 16},
      text_bytes = {type = "uint64_t", at = 24},
    }},
    remora_stats = {size = 80, align = 8, fields = {
      struct_size = {type = "uint32_t", at = 0},
      reserved = {type = "uint32_t", at = 4},
      prefill_tokens = {type = "uint64_t", at = 8},
      prefill_us = {type = "uint64_t", at = 16},
      decode_tokens = {type = "uint64_t", at = 24},
      decode_us = {type = "uint64_t", at = 32},
      sample_us = {type = "uint64_t", at = 40},
      reused_tokens = {type = "uint64_t", at = 48},
      longest_slice_us = {type = "uint64_t", at = 56},
      drafts = {type = "uint64_t", at = 64},
      drafts_used = {type = "uint64_t", at = 72},
    }},
    remora_importance = {size = 112, align = 4, fields = {
      struct_size = {type = "uint32_t", at = 0},
      n_matrices = {type = "uint32_t", at = 4},
      n_cols = {type = "uint32_t", at = 8},
      reserved = {type = "uint32_t", at = 12},
      name = {type = "char", at = 16, length = 96},
    }},
  },
  functions = {
    "remora_abi_check",
    "remora_build_info",
    "remora_chat_add",
    "remora_chat_add_json",
    "remora_chat_add_tool",
    "remora_chat_constraint",
    "remora_chat_create",
    "remora_chat_format_name",
    "remora_chat_free",
    "remora_chat_get_info",
    "remora_chat_parse_clone",
    "remora_chat_parse_copy",
    "remora_chat_parse_create",
    "remora_chat_parse_end",
    "remora_chat_parse_free",
    "remora_chat_parse_get_info",
    "remora_chat_parse_next",
    "remora_chat_parse_text",
    "remora_chat_prompt",
    "remora_chat_trim",
    "remora_constraint_create",
    "remora_constraint_free",
    "remora_convert",
    "remora_detok_flush",
    "remora_detok_push",
    "remora_device_count",
    "remora_device_get",
    "remora_end_tokens",
    "remora_eval",
    "remora_fim",
    "remora_fim_stop",
    "remora_generate",
    "remora_generate_text",
    "remora_importance_get",
    "remora_importance_read",
    "remora_model_estimate",
    "remora_model_free",
    "remora_model_get_info",
    "remora_model_get_memory",
    "remora_model_meta",
    "remora_model_meta_key",
    "remora_model_open",
    "remora_model_runtime",
    "remora_model_set_budget",
    "remora_recipe_get",
    "remora_routing_enable",
    "remora_routing_read",
    "remora_runtime_create",
    "remora_runtime_free",
    "remora_runtime_get_info",
    "remora_sampler_accept",
    "remora_sampler_add",
    "remora_sampler_clone",
    "remora_sampler_constrain",
    "remora_sampler_create",
    "remora_sampler_free",
    "remora_sampler_pick",
    "remora_sampler_pick_from",
    "remora_sampler_reset",
    "remora_sampler_rollback",
    "remora_sampler_spell",
    "remora_session_append",
    "remora_session_create",
    "remora_session_fork",
    "remora_session_free",
    "remora_session_get_generation",
    "remora_session_get_info",
    "remora_session_get_options",
    "remora_session_get_stats",
    "remora_session_hidden",
    "remora_session_logits",
    "remora_session_logprob",
    "remora_session_model",
    "remora_session_sync",
    "remora_session_tokens",
    "remora_session_top",
    "remora_session_trim",
    "remora_status_name",
    "remora_token_bytes",
    "remora_token_flags",
    "remora_token_special",
    "remora_tokenize",
    "remora_verify",
    "remora_version",
    "remora_version_string",
  },
}

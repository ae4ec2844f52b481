/* SPDX-License-Identifier: Apache-2.0 */
/* Generated from remora.abi.json by bindings/lua/generate.py: do not change it. */
_Static_assert(sizeof(remora_error) == 256, "size");
_Static_assert(offsetof(remora_error, struct_size) == 0, "remora_error.struct_size");
_Static_assert(offsetof(remora_error, code) == 4, "remora_error.code");
_Static_assert(offsetof(remora_error, os_code) == 8, "remora_error.os_code");
_Static_assert(offsetof(remora_error, reserved) == 12, "remora_error.reserved");
_Static_assert(offsetof(remora_error, message) == 16, "remora_error.message");
_Static_assert(sizeof(remora_text) == 16, "size");
_Static_assert(offsetof(remora_text, ptr) == 0, "remora_text.ptr");
_Static_assert(offsetof(remora_text, len) == 8, "remora_text.len");
_Static_assert(sizeof(remora_option) == 32, "size");
_Static_assert(offsetof(remora_option, key) == 0, "remora_option.key");
_Static_assert(offsetof(remora_option, value) == 16, "remora_option.value");
_Static_assert(sizeof(remora_runtime_opts) == 136, "size");
_Static_assert(offsetof(remora_runtime_opts, struct_size) == 0, "remora_runtime_opts.struct_size");
_Static_assert(offsetof(remora_runtime_opts, flags) == 4, "remora_runtime_opts.flags");
_Static_assert(offsetof(remora_runtime_opts, alloc_user) == 8, "remora_runtime_opts.alloc_user");
_Static_assert(offsetof(remora_runtime_opts, alloc) == 16, "remora_runtime_opts.alloc");
_Static_assert(offsetof(remora_runtime_opts, resize) == 24, "remora_runtime_opts.resize");
_Static_assert(offsetof(remora_runtime_opts, dealloc) == 32, "remora_runtime_opts.dealloc");
_Static_assert(offsetof(remora_runtime_opts, log_user) == 40, "remora_runtime_opts.log_user");
_Static_assert(offsetof(remora_runtime_opts, log) == 48, "remora_runtime_opts.log");
_Static_assert(offsetof(remora_runtime_opts, log_level) == 56, "remora_runtime_opts.log_level");
_Static_assert(offsetof(remora_runtime_opts, n_threads) == 60, "remora_runtime_opts.n_threads");
_Static_assert(offsetof(remora_runtime_opts, run_user) == 64, "remora_runtime_opts.run_user");
_Static_assert(offsetof(remora_runtime_opts, run) == 72, "remora_runtime_opts.run");
_Static_assert(offsetof(remora_runtime_opts, extra) == 80, "remora_runtime_opts.extra");
_Static_assert(offsetof(remora_runtime_opts, n_extra) == 88, "remora_runtime_opts.n_extra");
_Static_assert(offsetof(remora_runtime_opts, thread_start_user) == 96, "remora_runtime_opts.thread_start_user");
_Static_assert(offsetof(remora_runtime_opts, thread_start) == 104, "remora_runtime_opts.thread_start");
_Static_assert(offsetof(remora_runtime_opts, cuda_module) == 112, "remora_runtime_opts.cuda_module");
_Static_assert(offsetof(remora_runtime_opts, release_user) == 120, "remora_runtime_opts.release_user");
_Static_assert(offsetof(remora_runtime_opts, release) == 128, "remora_runtime_opts.release");
_Static_assert(sizeof(remora_device) == 416, "size");
_Static_assert(offsetof(remora_device, struct_size) == 0, "remora_device.struct_size");
_Static_assert(offsetof(remora_device, kind) == 4, "remora_device.kind");
_Static_assert(offsetof(remora_device, mem_total) == 8, "remora_device.mem_total");
_Static_assert(offsetof(remora_device, mem_free) == 16, "remora_device.mem_free");
_Static_assert(offsetof(remora_device, usable) == 24, "remora_device.usable");
_Static_assert(offsetof(remora_device, reserved) == 28, "remora_device.reserved");
_Static_assert(offsetof(remora_device, id) == 32, "remora_device.id");
_Static_assert(offsetof(remora_device, name) == 64, "remora_device.name");
_Static_assert(offsetof(remora_device, paths) == 160, "remora_device.paths");
_Static_assert(offsetof(remora_device, reason) == 256, "remora_device.reason");
_Static_assert(sizeof(remora_runtime_info) == 160, "size");
_Static_assert(offsetof(remora_runtime_info, struct_size) == 0, "remora_runtime_info.struct_size");
_Static_assert(offsetof(remora_runtime_info, n_threads) == 4, "remora_runtime_info.n_threads");
_Static_assert(offsetof(remora_runtime_info, kernels) == 8, "remora_runtime_info.kernels");
_Static_assert(offsetof(remora_runtime_info, why) == 40, "remora_runtime_info.why");
_Static_assert(sizeof(remora_blob) == 24, "size");
_Static_assert(offsetof(remora_blob, name) == 0, "remora_blob.name");
_Static_assert(offsetof(remora_blob, data) == 8, "remora_blob.data");
_Static_assert(offsetof(remora_blob, size) == 16, "remora_blob.size");
_Static_assert(sizeof(remora_source) == 80, "size");
_Static_assert(offsetof(remora_source, struct_size) == 0, "remora_source.struct_size");
_Static_assert(offsetof(remora_source, kind) == 4, "remora_source.kind");
_Static_assert(offsetof(remora_source, path) == 8, "remora_source.path");
_Static_assert(offsetof(remora_source, blobs) == 16, "remora_source.blobs");
_Static_assert(offsetof(remora_source, n_blobs) == 24, "remora_source.n_blobs");
_Static_assert(offsetof(remora_source, io_user) == 32, "remora_source.io_user");
_Static_assert(offsetof(remora_source, io_size) == 40, "remora_source.io_size");
_Static_assert(offsetof(remora_source, io_read) == 48, "remora_source.io_read");
_Static_assert(offsetof(remora_source, flags) == 56, "remora_source.flags");
_Static_assert(offsetof(remora_source, reserved) == 60, "remora_source.reserved");
_Static_assert(offsetof(remora_source, release_user) == 64, "remora_source.release_user");
_Static_assert(offsetof(remora_source, release) == 72, "remora_source.release");
_Static_assert(sizeof(remora_model_opts) == 72, "size");
_Static_assert(offsetof(remora_model_opts, struct_size) == 0, "remora_model_opts.struct_size");
_Static_assert(offsetof(remora_model_opts, flags) == 4, "remora_model_opts.flags");
_Static_assert(offsetof(remora_model_opts, device) == 8, "remora_model_opts.device");
_Static_assert(offsetof(remora_model_opts, host_budget) == 16, "remora_model_opts.host_budget");
_Static_assert(offsetof(remora_model_opts, cancel) == 24, "remora_model_opts.cancel");
_Static_assert(offsetof(remora_model_opts, progress_user) == 32, "remora_model_opts.progress_user");
_Static_assert(offsetof(remora_model_opts, progress) == 40, "remora_model_opts.progress");
_Static_assert(offsetof(remora_model_opts, extra) == 48, "remora_model_opts.extra");
_Static_assert(offsetof(remora_model_opts, n_extra) == 56, "remora_model_opts.n_extra");
_Static_assert(offsetof(remora_model_opts, device_budget) == 64, "remora_model_opts.device_budget");
_Static_assert(sizeof(remora_model_info) == 280, "size");
_Static_assert(offsetof(remora_model_info, struct_size) == 0, "remora_model_info.struct_size");
_Static_assert(offsetof(remora_model_info, n_layers) == 4, "remora_model_info.n_layers");
_Static_assert(offsetof(remora_model_info, n_vocab) == 8, "remora_model_info.n_vocab");
_Static_assert(offsetof(remora_model_info, n_hidden) == 12, "remora_model_info.n_hidden");
_Static_assert(offsetof(remora_model_info, n_heads) == 16, "remora_model_info.n_heads");
_Static_assert(offsetof(remora_model_info, kv_lora_rank) == 20, "remora_model_info.kv_lora_rank");
_Static_assert(offsetof(remora_model_info, rope_dim) == 24, "remora_model_info.rope_dim");
_Static_assert(offsetof(remora_model_info, n_experts) == 28, "remora_model_info.n_experts");
_Static_assert(offsetof(remora_model_info, n_experts_used) == 32, "remora_model_info.n_experts_used");
_Static_assert(offsetof(remora_model_info, n_shared_experts) == 36, "remora_model_info.n_shared_experts");
_Static_assert(offsetof(remora_model_info, n_dense_layers) == 40, "remora_model_info.n_dense_layers");
_Static_assert(offsetof(remora_model_info, max_context) == 44, "remora_model_info.max_context");
_Static_assert(offsetof(remora_model_info, has_tokenizer) == 48, "remora_model_info.has_tokenizer");
_Static_assert(offsetof(remora_model_info, n_prediction_layers) == 52, "remora_model_info.n_prediction_layers");
_Static_assert(offsetof(remora_model_info, n_params) == 56, "remora_model_info.n_params");
_Static_assert(offsetof(remora_model_info, n_params_active) == 64, "remora_model_info.n_params_active");
_Static_assert(offsetof(remora_model_info, weight_bytes) == 72, "remora_model_info.weight_bytes");
_Static_assert(offsetof(remora_model_info, fingerprint) == 80, "remora_model_info.fingerprint");
_Static_assert(offsetof(remora_model_info, family) == 112, "remora_model_info.family");
_Static_assert(offsetof(remora_model_info, name) == 144, "remora_model_info.name");
_Static_assert(offsetof(remora_model_info, n_kv_heads) == 240, "remora_model_info.n_kv_heads");
_Static_assert(offsetof(remora_model_info, head_dim) == 244, "remora_model_info.head_dim");
_Static_assert(offsetof(remora_model_info, device) == 248, "remora_model_info.device");
_Static_assert(sizeof(remora_memory) == 96, "size");
_Static_assert(offsetof(remora_memory, struct_size) == 0, "remora_memory.struct_size");
_Static_assert(offsetof(remora_memory, reserved) == 4, "remora_memory.reserved");
_Static_assert(offsetof(remora_memory, host_weights) == 8, "remora_memory.host_weights");
_Static_assert(offsetof(remora_memory, host_kv) == 16, "remora_memory.host_kv");
_Static_assert(offsetof(remora_memory, host_scratch) == 24, "remora_memory.host_scratch");
_Static_assert(offsetof(remora_memory, host_other) == 32, "remora_memory.host_other");
_Static_assert(offsetof(remora_memory, host_mapped) == 40, "remora_memory.host_mapped");
_Static_assert(offsetof(remora_memory, kv_bytes_per_token) == 48, "remora_memory.kv_bytes_per_token");
_Static_assert(offsetof(remora_memory, device_weights) == 56, "remora_memory.device_weights");
_Static_assert(offsetof(remora_memory, device_kv) == 64, "remora_memory.device_kv");
_Static_assert(offsetof(remora_memory, device_scratch) == 72, "remora_memory.device_scratch");
_Static_assert(offsetof(remora_memory, device_other) == 80, "remora_memory.device_other");
_Static_assert(offsetof(remora_memory, device_context) == 88, "remora_memory.device_context");
_Static_assert(sizeof(remora_convert_opts) == 64, "size");
_Static_assert(offsetof(remora_convert_opts, struct_size) == 0, "remora_convert_opts.struct_size");
_Static_assert(offsetof(remora_convert_opts, flags) == 4, "remora_convert_opts.flags");
_Static_assert(offsetof(remora_convert_opts, recipe) == 8, "remora_convert_opts.recipe");
_Static_assert(offsetof(remora_convert_opts, importance) == 16, "remora_convert_opts.importance");
_Static_assert(offsetof(remora_convert_opts, base) == 24, "remora_convert_opts.base");
_Static_assert(offsetof(remora_convert_opts, zstd_level) == 32, "remora_convert_opts.zstd_level");
_Static_assert(offsetof(remora_convert_opts, reserved) == 36, "remora_convert_opts.reserved");
_Static_assert(offsetof(remora_convert_opts, cancel) == 40, "remora_convert_opts.cancel");
_Static_assert(offsetof(remora_convert_opts, progress_user) == 48, "remora_convert_opts.progress_user");
_Static_assert(offsetof(remora_convert_opts, progress) == 56, "remora_convert_opts.progress");
_Static_assert(sizeof(remora_verify_opts) == 32, "size");
_Static_assert(offsetof(remora_verify_opts, struct_size) == 0, "remora_verify_opts.struct_size");
_Static_assert(offsetof(remora_verify_opts, flags) == 4, "remora_verify_opts.flags");
_Static_assert(offsetof(remora_verify_opts, cancel) == 8, "remora_verify_opts.cancel");
_Static_assert(offsetof(remora_verify_opts, progress_user) == 16, "remora_verify_opts.progress_user");
_Static_assert(offsetof(remora_verify_opts, progress) == 24, "remora_verify_opts.progress");
_Static_assert(sizeof(remora_verify_report) == 16, "size");
_Static_assert(offsetof(remora_verify_report, struct_size) == 0, "remora_verify_report.struct_size");
_Static_assert(offsetof(remora_verify_report, checksums) == 4, "remora_verify_report.checksums");
_Static_assert(offsetof(remora_verify_report, self_test) == 8, "remora_verify_report.self_test");
_Static_assert(offsetof(remora_verify_report, exact) == 12, "remora_verify_report.exact");
_Static_assert(sizeof(remora_detok) == 32, "size");
_Static_assert(offsetof(remora_detok, opaque) == 0, "remora_detok.opaque");
_Static_assert(sizeof(remora_file) == 32, "size");
_Static_assert(offsetof(remora_file, path) == 0, "remora_file.path");
_Static_assert(offsetof(remora_file, text) == 16, "remora_file.text");
_Static_assert(sizeof(remora_fim_opts) == 72, "size");
_Static_assert(offsetof(remora_fim_opts, struct_size) == 0, "remora_fim_opts.struct_size");
_Static_assert(offsetof(remora_fim_opts, flags) == 4, "remora_fim_opts.flags");
_Static_assert(offsetof(remora_fim_opts, max_tokens) == 8, "remora_fim_opts.max_tokens");
_Static_assert(offsetof(remora_fim_opts, prefix_share) == 16, "remora_fim_opts.prefix_share");
_Static_assert(offsetof(remora_fim_opts, suffix_share) == 20, "remora_fim_opts.suffix_share");
_Static_assert(offsetof(remora_fim_opts, repo) == 24, "remora_fim_opts.repo");
_Static_assert(offsetof(remora_fim_opts, path) == 40, "remora_fim_opts.path");
_Static_assert(offsetof(remora_fim_opts, files) == 56, "remora_fim_opts.files");
_Static_assert(offsetof(remora_fim_opts, n_files) == 64, "remora_fim_opts.n_files");
_Static_assert(sizeof(remora_fim_info) == 296, "size");
_Static_assert(offsetof(remora_fim_info, struct_size) == 0, "remora_fim_info.struct_size");
_Static_assert(offsetof(remora_fim_info, is_cut) == 4, "remora_fim_info.is_cut");
_Static_assert(offsetof(remora_fim_info, prefix_tokens) == 8, "remora_fim_info.prefix_tokens");
_Static_assert(offsetof(remora_fim_info, suffix_tokens) == 16, "remora_fim_info.suffix_tokens");
_Static_assert(offsetof(remora_fim_info, n_files) == 24, "remora_fim_info.n_files");
_Static_assert(offsetof(remora_fim_info, n_heal) == 32, "remora_fim_info.n_heal");
_Static_assert(offsetof(remora_fim_info, reserved) == 36, "remora_fim_info.reserved");
_Static_assert(offsetof(remora_fim_info, heal) == 40, "remora_fim_info.heal");
_Static_assert(sizeof(remora_chat_format) == 192, "size");
_Static_assert(offsetof(remora_chat_format, struct_size) == 0, "remora_chat_format.struct_size");
_Static_assert(offsetof(remora_chat_format, flags) == 4, "remora_chat_format.flags");
_Static_assert(offsetof(remora_chat_format, begin) == 8, "remora_chat_format.begin");
_Static_assert(offsetof(remora_chat_format, system_open) == 24, "remora_chat_format.system_open");
_Static_assert(offsetof(remora_chat_format, system_close) == 40, "remora_chat_format.system_close");
_Static_assert(offsetof(remora_chat_format, user_open) == 56, "remora_chat_format.user_open");
_Static_assert(offsetof(remora_chat_format, user_close) == 72, "remora_chat_format.user_close");
_Static_assert(offsetof(remora_chat_format, assistant_open) == 88, "remora_chat_format.assistant_open");
_Static_assert(offsetof(remora_chat_format, assistant_close) == 104, "remora_chat_format.assistant_close");
_Static_assert(offsetof(remora_chat_format, generation) == 120, "remora_chat_format.generation");
_Static_assert(offsetof(remora_chat_format, system_text) == 136, "remora_chat_format.system_text");
_Static_assert(offsetof(remora_chat_format, think_open) == 152, "remora_chat_format.think_open");
_Static_assert(offsetof(remora_chat_format, think_close) == 168, "remora_chat_format.think_close");
_Static_assert(offsetof(remora_chat_format, tools_of) == 184, "remora_chat_format.tools_of");
_Static_assert(sizeof(remora_chat_opts) == 40, "size");
_Static_assert(offsetof(remora_chat_opts, struct_size) == 0, "remora_chat_opts.struct_size");
_Static_assert(offsetof(remora_chat_opts, flags) == 4, "remora_chat_opts.flags");
_Static_assert(offsetof(remora_chat_opts, format) == 8, "remora_chat_opts.format");
_Static_assert(offsetof(remora_chat_opts, described) == 16, "remora_chat_opts.described");
_Static_assert(offsetof(remora_chat_opts, date) == 24, "remora_chat_opts.date");
_Static_assert(sizeof(remora_call) == 48, "size");
_Static_assert(offsetof(remora_call, id) == 0, "remora_call.id");
_Static_assert(offsetof(remora_call, name) == 16, "remora_call.name");
_Static_assert(offsetof(remora_call, arguments) == 32, "remora_call.arguments");
_Static_assert(sizeof(remora_turn) == 88, "size");
_Static_assert(offsetof(remora_turn, struct_size) == 0, "remora_turn.struct_size");
_Static_assert(offsetof(remora_turn, role) == 4, "remora_turn.role");
_Static_assert(offsetof(remora_turn, text) == 8, "remora_turn.text");
_Static_assert(offsetof(remora_turn, name) == 24, "remora_turn.name");
_Static_assert(offsetof(remora_turn, reasoning) == 40, "remora_turn.reasoning");
_Static_assert(offsetof(remora_turn, call_id) == 56, "remora_turn.call_id");
_Static_assert(offsetof(remora_turn, calls) == 72, "remora_turn.calls");
_Static_assert(offsetof(remora_turn, n_calls) == 80, "remora_turn.n_calls");
_Static_assert(sizeof(remora_prompt_opts) == 56, "size");
_Static_assert(offsetof(remora_prompt_opts, struct_size) == 0, "remora_prompt_opts.struct_size");
_Static_assert(offsetof(remora_prompt_opts, flags) == 4, "remora_prompt_opts.flags");
_Static_assert(offsetof(remora_prompt_opts, think) == 8, "remora_prompt_opts.think");
_Static_assert(offsetof(remora_prompt_opts, effort) == 12, "remora_prompt_opts.effort");
_Static_assert(offsetof(remora_prompt_opts, choice) == 16, "remora_prompt_opts.choice");
_Static_assert(offsetof(remora_prompt_opts, reserved) == 20, "remora_prompt_opts.reserved");
_Static_assert(offsetof(remora_prompt_opts, tool) == 24, "remora_prompt_opts.tool");
_Static_assert(offsetof(remora_prompt_opts, schema) == 40, "remora_prompt_opts.schema");
_Static_assert(sizeof(remora_prompt_info) == 24, "size");
_Static_assert(offsetof(remora_prompt_info, struct_size) == 0, "remora_prompt_info.struct_size");
_Static_assert(offsetof(remora_prompt_info, begin) == 4, "remora_prompt_info.begin");
_Static_assert(offsetof(remora_prompt_info, calls) == 8, "remora_prompt_info.calls");
_Static_assert(offsetof(remora_prompt_info, reserved) == 12, "remora_prompt_info.reserved");
_Static_assert(offsetof(remora_prompt_info, text_bytes) == 16, "remora_prompt_info.text_bytes");
_Static_assert(sizeof(remora_chat_info) == 56, "size");
_Static_assert(offsetof(remora_chat_info, struct_size) == 0, "remora_chat_info.struct_size");
_Static_assert(offsetof(remora_chat_info, n_turns) == 4, "remora_chat_info.n_turns");
_Static_assert(offsetof(remora_chat_info, n_tools) == 8, "remora_chat_info.n_tools");
_Static_assert(offsetof(remora_chat_info, thinks) == 12, "remora_chat_info.thinks");
_Static_assert(offsetof(remora_chat_info, has_calls) == 16, "remora_chat_info.has_calls");
_Static_assert(offsetof(remora_chat_info, reserved) == 20, "remora_chat_info.reserved");
_Static_assert(offsetof(remora_chat_info, format) == 24, "remora_chat_info.format");
_Static_assert(sizeof(remora_chat_parse_opts) == 32, "size");
_Static_assert(offsetof(remora_chat_parse_opts, struct_size) == 0, "remora_chat_parse_opts.struct_size");
_Static_assert(offsetof(remora_chat_parse_opts, flags) == 4, "remora_chat_parse_opts.flags");
_Static_assert(offsetof(remora_chat_parse_opts, format) == 8, "remora_chat_parse_opts.format");
_Static_assert(offsetof(remora_chat_parse_opts, begin) == 16, "remora_chat_parse_opts.begin");
_Static_assert(offsetof(remora_chat_parse_opts, reserved) == 20, "remora_chat_parse_opts.reserved");
_Static_assert(offsetof(remora_chat_parse_opts, chat) == 24, "remora_chat_parse_opts.chat");
_Static_assert(sizeof(remora_chat_event) == 48, "size");
_Static_assert(offsetof(remora_chat_event, struct_size) == 0, "remora_chat_event.struct_size");
_Static_assert(offsetof(remora_chat_event, kind) == 4, "remora_chat_event.kind");
_Static_assert(offsetof(remora_chat_event, call) == 8, "remora_chat_event.call");
_Static_assert(offsetof(remora_chat_event, finish) == 12, "remora_chat_event.finish");
_Static_assert(offsetof(remora_chat_event, text) == 16, "remora_chat_event.text");
_Static_assert(offsetof(remora_chat_event, id) == 32, "remora_chat_event.id");
_Static_assert(sizeof(remora_chat_parse_info) == 72, "size");
_Static_assert(offsetof(remora_chat_parse_info, struct_size) == 0, "remora_chat_parse_info.struct_size");
_Static_assert(offsetof(remora_chat_parse_info, place) == 4, "remora_chat_parse_info.place");
_Static_assert(offsetof(remora_chat_parse_info, n_calls) == 8, "remora_chat_parse_info.n_calls");
_Static_assert(offsetof(remora_chat_parse_info, broken) == 12, "remora_chat_parse_info.broken");
_Static_assert(offsetof(remora_chat_parse_info, bytes) == 16, "remora_chat_parse_info.bytes");
_Static_assert(offsetof(remora_chat_parse_info, reasoning) == 24, "remora_chat_parse_info.reasoning");
_Static_assert(offsetof(remora_chat_parse_info, content) == 32, "remora_chat_parse_info.content");
_Static_assert(offsetof(remora_chat_parse_info, calls) == 40, "remora_chat_parse_info.calls");
_Static_assert(offsetof(remora_chat_parse_info, rest) == 48, "remora_chat_parse_info.rest");
_Static_assert(offsetof(remora_chat_parse_info, markup) == 56, "remora_chat_parse_info.markup");
_Static_assert(offsetof(remora_chat_parse_info, held) == 64, "remora_chat_parse_info.held");
_Static_assert(sizeof(remora_session_opts) == 40, "size");
_Static_assert(offsetof(remora_session_opts, struct_size) == 0, "remora_session_opts.struct_size");
_Static_assert(offsetof(remora_session_opts, flags) == 4, "remora_session_opts.flags");
_Static_assert(offsetof(remora_session_opts, capacity) == 8, "remora_session_opts.capacity");
_Static_assert(offsetof(remora_session_opts, chunk) == 12, "remora_session_opts.chunk");
_Static_assert(offsetof(remora_session_opts, kv_type) == 16, "remora_session_opts.kv_type");
_Static_assert(offsetof(remora_session_opts, reserved) == 20, "remora_session_opts.reserved");
_Static_assert(offsetof(remora_session_opts, extra) == 24, "remora_session_opts.extra");
_Static_assert(offsetof(remora_session_opts, n_extra) == 32, "remora_session_opts.n_extra");
_Static_assert(sizeof(remora_session_info) == 56, "size");
_Static_assert(offsetof(remora_session_info, struct_size) == 0, "remora_session_info.struct_size");
_Static_assert(offsetof(remora_session_info, capacity) == 4, "remora_session_info.capacity");
_Static_assert(offsetof(remora_session_info, committed) == 8, "remora_session_info.committed");
_Static_assert(offsetof(remora_session_info, pending) == 16, "remora_session_info.pending");
_Static_assert(offsetof(remora_session_info, kv_bytes) == 24, "remora_session_info.kv_bytes");
_Static_assert(offsetof(remora_session_info, kv_bytes_shared) == 32, "remora_session_info.kv_bytes_shared");
_Static_assert(offsetof(remora_session_info, n_rows) == 40, "remora_session_info.n_rows");
_Static_assert(offsetof(remora_session_info, state) == 44, "remora_session_info.state");
_Static_assert(offsetof(remora_session_info, kv_bytes_kept) == 48, "remora_session_info.kv_bytes_kept");
_Static_assert(sizeof(remora_eval_opts) == 40, "size");
_Static_assert(offsetof(remora_eval_opts, struct_size) == 0, "remora_eval_opts.struct_size");
_Static_assert(offsetof(remora_eval_opts, flags) == 4, "remora_eval_opts.flags");
_Static_assert(offsetof(remora_eval_opts, budget_us) == 8, "remora_eval_opts.budget_us");
_Static_assert(offsetof(remora_eval_opts, max_tokens) == 16, "remora_eval_opts.max_tokens");
_Static_assert(offsetof(remora_eval_opts, cancel) == 24, "remora_eval_opts.cancel");
_Static_assert(offsetof(remora_eval_opts, max_drafts) == 32, "remora_eval_opts.max_drafts");
_Static_assert(offsetof(remora_eval_opts, reserved) == 36, "remora_eval_opts.reserved");
_Static_assert(sizeof(remora_token_prob) == 12, "size");
_Static_assert(offsetof(remora_token_prob, token) == 0, "remora_token_prob.token");
_Static_assert(offsetof(remora_token_prob, logit) == 4, "remora_token_prob.logit");
_Static_assert(offsetof(remora_token_prob, logprob) == 8, "remora_token_prob.logprob");
_Static_assert(sizeof(remora_stage) == 48, "size");
_Static_assert(offsetof(remora_stage, struct_size) == 0, "remora_stage.struct_size");
_Static_assert(offsetof(remora_stage, kind) == 4, "remora_stage.kind");
_Static_assert(offsetof(remora_stage, value) == 8, "remora_stage.value");
_Static_assert(offsetof(remora_stage, count) == 16, "remora_stage.count");
_Static_assert(offsetof(remora_stage, user) == 24, "remora_stage.user");
_Static_assert(offsetof(remora_stage, fn) == 32, "remora_stage.fn");
_Static_assert(offsetof(remora_stage, release) == 40, "remora_stage.release");
_Static_assert(sizeof(remora_constraint_opts) == 64, "size");
_Static_assert(offsetof(remora_constraint_opts, struct_size) == 0, "remora_constraint_opts.struct_size");
_Static_assert(offsetof(remora_constraint_opts, kind) == 4, "remora_constraint_opts.kind");
_Static_assert(offsetof(remora_constraint_opts, source) == 8, "remora_constraint_opts.source");
_Static_assert(offsetof(remora_constraint_opts, flags) == 24, "remora_constraint_opts.flags");
_Static_assert(offsetof(remora_constraint_opts, reserved) == 28, "remora_constraint_opts.reserved");
_Static_assert(offsetof(remora_constraint_opts, choices) == 32, "remora_constraint_opts.choices");
_Static_assert(offsetof(remora_constraint_opts, n_choices) == 40, "remora_constraint_opts.n_choices");
_Static_assert(offsetof(remora_constraint_opts, memory) == 48, "remora_constraint_opts.memory");
_Static_assert(offsetof(remora_constraint_opts, steps) == 56, "remora_constraint_opts.steps");
_Static_assert(sizeof(remora_answer_opts) == 24, "size");
_Static_assert(offsetof(remora_answer_opts, struct_size) == 0, "remora_answer_opts.struct_size");
_Static_assert(offsetof(remora_answer_opts, flags) == 4, "remora_answer_opts.flags");
_Static_assert(offsetof(remora_answer_opts, memory) == 8, "remora_answer_opts.memory");
_Static_assert(offsetof(remora_answer_opts, steps) == 16, "remora_answer_opts.steps");
_Static_assert(sizeof(remora_gen_opts) == 64, "size");
_Static_assert(offsetof(remora_gen_opts, struct_size) == 0, "remora_gen_opts.struct_size");
_Static_assert(offsetof(remora_gen_opts, flags) == 4, "remora_gen_opts.flags");
_Static_assert(offsetof(remora_gen_opts, budget_us) == 8, "remora_gen_opts.budget_us");
_Static_assert(offsetof(remora_gen_opts, max_tokens) == 16, "remora_gen_opts.max_tokens");
_Static_assert(offsetof(remora_gen_opts, stop) == 24, "remora_gen_opts.stop");
_Static_assert(offsetof(remora_gen_opts, n_stop) == 32, "remora_gen_opts.n_stop");
_Static_assert(offsetof(remora_gen_opts, cancel) == 40, "remora_gen_opts.cancel");
_Static_assert(offsetof(remora_gen_opts, probs) == 48, "remora_gen_opts.probs");
_Static_assert(offsetof(remora_gen_opts, n_best) == 56, "remora_gen_opts.n_best");
_Static_assert(offsetof(remora_gen_opts, max_drafts) == 60, "remora_gen_opts.max_drafts");
_Static_assert(sizeof(remora_generation_info) == 32, "size");
_Static_assert(offsetof(remora_generation_info, struct_size) == 0, "remora_generation_info.struct_size");
_Static_assert(offsetof(remora_generation_info, reason) == 4, "remora_generation_info.reason");
_Static_assert(offsetof(remora_generation_info, stop) == 8, "remora_generation_info.stop");
_Static_assert(offsetof(remora_generation_info, reserved) == 12, "remora_generation_info.reserved");
_Static_assert(offsetof(remora_generation_info, n_tokens) == 16, "remora_generation_info.n_tokens");
_Static_assert(offsetof(remora_generation_info, text_bytes) == 24, "remora_generation_info.text_bytes");
_Static_assert(sizeof(remora_stats) == 80, "size");
_Static_assert(offsetof(remora_stats, struct_size) == 0, "remora_stats.struct_size");
_Static_assert(offsetof(remora_stats, reserved) == 4, "remora_stats.reserved");
_Static_assert(offsetof(remora_stats, prefill_tokens) == 8, "remora_stats.prefill_tokens");
_Static_assert(offsetof(remora_stats, prefill_us) == 16, "remora_stats.prefill_us");
_Static_assert(offsetof(remora_stats, decode_tokens) == 24, "remora_stats.decode_tokens");
_Static_assert(offsetof(remora_stats, decode_us) == 32, "remora_stats.decode_us");
_Static_assert(offsetof(remora_stats, sample_us) == 40, "remora_stats.sample_us");
_Static_assert(offsetof(remora_stats, reused_tokens) == 48, "remora_stats.reused_tokens");
_Static_assert(offsetof(remora_stats, longest_slice_us) == 56, "remora_stats.longest_slice_us");
_Static_assert(offsetof(remora_stats, drafts) == 64, "remora_stats.drafts");
_Static_assert(offsetof(remora_stats, drafts_used) == 72, "remora_stats.drafts_used");
_Static_assert(sizeof(remora_importance) == 112, "size");
_Static_assert(offsetof(remora_importance, struct_size) == 0, "remora_importance.struct_size");
_Static_assert(offsetof(remora_importance, n_matrices) == 4, "remora_importance.n_matrices");
_Static_assert(offsetof(remora_importance, n_cols) == 8, "remora_importance.n_cols");
_Static_assert(offsetof(remora_importance, reserved) == 12, "remora_importance.reserved");
_Static_assert(offsetof(remora_importance, name) == 16, "remora_importance.name");
static int call_remora_abi_check(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_abi_check((uint32_t)luaL_checkinteger(L, 1));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_build_info(lua_State *L)
{
    lua_State *before = enter_call(L);
    const char *got = remora_build_info();
    leave_call(before);
    lua_pushstring(L, got);
    return 1;
}

static int call_remora_chat_add(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_add(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_chat_add_json(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_add_json(pointer_at(L, 1), pointer_at(L, 2), (size_t)luaL_checkinteger(L, 3), pointer_at(L, 4));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_chat_add_tool(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_add_tool(pointer_at(L, 1), pointer_at(L, 2), (size_t)luaL_checkinteger(L, 3), pointer_at(L, 4));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_chat_constraint(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_constraint(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3), pointer_at(L, 4), pointer_at(L, 5));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_chat_create(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_create(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3), pointer_at(L, 4));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_chat_format_name(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_format_name((uint32_t)luaL_checkinteger(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_chat_free(lua_State *L)
{
    lua_State *before = enter_call(L);
    remora_chat_free(pointer_at(L, 1));
    leave_call(before);
    return 0;
}

static int call_remora_chat_get_info(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_get_info(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_chat_parse_clone(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_parse_clone(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_chat_parse_copy(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_parse_copy(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_chat_parse_create(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_parse_create(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3), pointer_at(L, 4));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_chat_parse_end(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_parse_end(pointer_at(L, 1), (int32_t)luaL_checkinteger(L, 2), pointer_at(L, 3), pointer_at(L, 4));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_chat_parse_free(lua_State *L)
{
    lua_State *before = enter_call(L);
    remora_chat_parse_free(pointer_at(L, 1));
    leave_call(before);
    return 0;
}

static int call_remora_chat_parse_get_info(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_parse_get_info(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_chat_parse_next(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_parse_next(pointer_at(L, 1), pointer_at(L, 2), (size_t)luaL_checkinteger(L, 3), pointer_at(L, 4), pointer_at(L, 5), pointer_at(L, 6));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_chat_parse_text(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_parse_text(pointer_at(L, 1), pointer_at(L, 2), (size_t)luaL_checkinteger(L, 3), pointer_at(L, 4), pointer_at(L, 5), pointer_at(L, 6));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_chat_prompt(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_prompt(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3), (size_t)luaL_checkinteger(L, 4), pointer_at(L, 5), pointer_at(L, 6), pointer_at(L, 7));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_chat_trim(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_chat_trim(pointer_at(L, 1), (uint64_t)luaL_checkinteger(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_constraint_create(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_constraint_create(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3), pointer_at(L, 4));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_constraint_free(lua_State *L)
{
    lua_State *before = enter_call(L);
    remora_constraint_free(pointer_at(L, 1));
    leave_call(before);
    return 0;
}

static int call_remora_convert(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_convert(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3), pointer_at(L, 4), pointer_at(L, 5));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_detok_flush(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_detok_flush(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3), (size_t)luaL_checkinteger(L, 4), pointer_at(L, 5), pointer_at(L, 6));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_detok_push(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_detok_push(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3), (size_t)luaL_checkinteger(L, 4), pointer_at(L, 5), (size_t)luaL_checkinteger(L, 6), pointer_at(L, 7), pointer_at(L, 8));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_device_count(lua_State *L)
{
    lua_State *before = enter_call(L);
    const uint32_t got = remora_device_count(pointer_at(L, 1));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_device_get(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_device_get(pointer_at(L, 1), (uint32_t)luaL_checkinteger(L, 2), pointer_at(L, 3), pointer_at(L, 4));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_end_tokens(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_end_tokens(pointer_at(L, 1), pointer_at(L, 2), (size_t)luaL_checkinteger(L, 3), pointer_at(L, 4), pointer_at(L, 5));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_eval(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_eval(pointer_at(L, 1), (size_t)luaL_checkinteger(L, 2), pointer_at(L, 3), pointer_at(L, 4));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_fim(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_fim(pointer_at(L, 1), pointer_at(L, 2), (size_t)luaL_checkinteger(L, 3), pointer_at(L, 4), (size_t)luaL_checkinteger(L, 5), pointer_at(L, 6), pointer_at(L, 7), (size_t)luaL_checkinteger(L, 8), pointer_at(L, 9), pointer_at(L, 10), pointer_at(L, 11));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_fim_stop(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_fim_stop(pointer_at(L, 1), (uint32_t)luaL_checkinteger(L, 2), pointer_at(L, 3), pointer_at(L, 4));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_generate(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_generate(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3), pointer_at(L, 4), (size_t)luaL_checkinteger(L, 5), pointer_at(L, 6), pointer_at(L, 7));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_generate_text(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_generate_text(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3), pointer_at(L, 4), (size_t)luaL_checkinteger(L, 5), pointer_at(L, 6), pointer_at(L, 7), (size_t)luaL_checkinteger(L, 8), pointer_at(L, 9), pointer_at(L, 10));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_importance_get(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_importance_get(pointer_at(L, 1), (uint32_t)luaL_checkinteger(L, 2), pointer_at(L, 3), pointer_at(L, 4));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_importance_read(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_importance_read(pointer_at(L, 1), (uint32_t)luaL_checkinteger(L, 2), (uint32_t)luaL_checkinteger(L, 3), pointer_at(L, 4), pointer_at(L, 5), (size_t)luaL_checkinteger(L, 6), pointer_at(L, 7), pointer_at(L, 8));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_model_estimate(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_model_estimate(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3), pointer_at(L, 4), (uint32_t)luaL_checkinteger(L, 5), pointer_at(L, 6), pointer_at(L, 7));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_model_free(lua_State *L)
{
    lua_State *before = enter_call(L);
    remora_model_free(pointer_at(L, 1));
    leave_call(before);
    return 0;
}

static int call_remora_model_get_info(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_model_get_info(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_model_get_memory(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_model_get_memory(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_model_meta(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_model_meta(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3), (size_t)luaL_checkinteger(L, 4), pointer_at(L, 5), pointer_at(L, 6));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_model_meta_key(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_model_meta_key(pointer_at(L, 1), (uint32_t)luaL_checkinteger(L, 2), pointer_at(L, 3), (size_t)luaL_checkinteger(L, 4), pointer_at(L, 5), pointer_at(L, 6));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_model_open(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_model_open(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3), pointer_at(L, 4), pointer_at(L, 5));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_model_runtime(lua_State *L)
{
    lua_State *before = enter_call(L);
    remora_runtime *got = remora_model_runtime(pointer_at(L, 1));
    leave_call(before);
    push_pointer(L, got);
    return 1;
}

static int call_remora_model_set_budget(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_model_set_budget(pointer_at(L, 1), (uint64_t)luaL_checkinteger(L, 2), (uint64_t)luaL_checkinteger(L, 3), pointer_at(L, 4));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_recipe_get(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_recipe_get((uint32_t)luaL_checkinteger(L, 1), pointer_at(L, 2), pointer_at(L, 3), pointer_at(L, 4));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_routing_enable(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_routing_enable(pointer_at(L, 1), (int32_t)luaL_checkinteger(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_routing_read(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_routing_read(pointer_at(L, 1), (uint32_t)luaL_checkinteger(L, 2), (int32_t)luaL_checkinteger(L, 3), pointer_at(L, 4), (size_t)luaL_checkinteger(L, 5), pointer_at(L, 6), pointer_at(L, 7));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_runtime_create(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_runtime_create(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_runtime_free(lua_State *L)
{
    lua_State *before = enter_call(L);
    remora_runtime_free(pointer_at(L, 1));
    leave_call(before);
    return 0;
}

static int call_remora_runtime_get_info(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_runtime_get_info(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_sampler_accept(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_sampler_accept(pointer_at(L, 1), (remora_token)luaL_checkinteger(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_sampler_add(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_sampler_add(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_sampler_clone(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_sampler_clone(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_sampler_constrain(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_sampler_constrain(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_sampler_create(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_sampler_create(pointer_at(L, 1), (uint64_t)luaL_checkinteger(L, 2), pointer_at(L, 3), pointer_at(L, 4));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_sampler_free(lua_State *L)
{
    lua_State *before = enter_call(L);
    remora_sampler_free(pointer_at(L, 1));
    leave_call(before);
    return 0;
}

static int call_remora_sampler_pick(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_sampler_pick(pointer_at(L, 1), pointer_at(L, 2), (uint32_t)luaL_checkinteger(L, 3), pointer_at(L, 4), pointer_at(L, 5));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_sampler_pick_from(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_sampler_pick_from(pointer_at(L, 1), pointer_at(L, 2), (size_t)luaL_checkinteger(L, 3), pointer_at(L, 4), pointer_at(L, 5));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_sampler_reset(lua_State *L)
{
    lua_State *before = enter_call(L);
    remora_sampler_reset(pointer_at(L, 1), (uint64_t)luaL_checkinteger(L, 2));
    leave_call(before);
    return 0;
}

static int call_remora_sampler_rollback(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_sampler_rollback(pointer_at(L, 1), (uint64_t)luaL_checkinteger(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_sampler_spell(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_sampler_spell(pointer_at(L, 1), pointer_at(L, 2), (size_t)luaL_checkinteger(L, 3), pointer_at(L, 4));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_session_append(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_session_append(pointer_at(L, 1), pointer_at(L, 2), (size_t)luaL_checkinteger(L, 3), (uint32_t)luaL_checkinteger(L, 4), pointer_at(L, 5));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_session_create(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_session_create(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3), pointer_at(L, 4));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_session_fork(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_session_fork(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_session_free(lua_State *L)
{
    lua_State *before = enter_call(L);
    remora_session_free(pointer_at(L, 1));
    leave_call(before);
    return 0;
}

static int call_remora_session_get_generation(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_session_get_generation(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_session_get_info(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_session_get_info(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_session_get_options(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_session_get_options(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_session_get_stats(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_session_get_stats(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_session_hidden(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_session_hidden(pointer_at(L, 1), (uint32_t)luaL_checkinteger(L, 2), pointer_at(L, 3), (size_t)luaL_checkinteger(L, 4), pointer_at(L, 5), pointer_at(L, 6));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_session_logits(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_session_logits(pointer_at(L, 1), (uint32_t)luaL_checkinteger(L, 2), pointer_at(L, 3), pointer_at(L, 4), pointer_at(L, 5));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_session_logprob(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_session_logprob(pointer_at(L, 1), (uint32_t)luaL_checkinteger(L, 2), (remora_token)luaL_checkinteger(L, 3), pointer_at(L, 4), pointer_at(L, 5));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_session_model(lua_State *L)
{
    lua_State *before = enter_call(L);
    remora_model *got = remora_session_model(pointer_at(L, 1));
    leave_call(before);
    push_pointer(L, got);
    return 1;
}

static int call_remora_session_sync(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_session_sync(pointer_at(L, 1), pointer_at(L, 2), (size_t)luaL_checkinteger(L, 3), (uint32_t)luaL_checkinteger(L, 4), pointer_at(L, 5), pointer_at(L, 6));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_session_tokens(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_session_tokens(pointer_at(L, 1), (uint64_t)luaL_checkinteger(L, 2), pointer_at(L, 3), (size_t)luaL_checkinteger(L, 4), pointer_at(L, 5), pointer_at(L, 6));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_session_top(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_session_top(pointer_at(L, 1), (uint32_t)luaL_checkinteger(L, 2), pointer_at(L, 3), (size_t)luaL_checkinteger(L, 4), pointer_at(L, 5), pointer_at(L, 6));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_session_trim(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_session_trim(pointer_at(L, 1), (uint64_t)luaL_checkinteger(L, 2), pointer_at(L, 3));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_status_name(lua_State *L)
{
    lua_State *before = enter_call(L);
    const char *got = remora_status_name((remora_status)luaL_checkinteger(L, 1));
    leave_call(before);
    lua_pushstring(L, got);
    return 1;
}

static int call_remora_token_bytes(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_token_bytes(pointer_at(L, 1), (remora_token)luaL_checkinteger(L, 2), pointer_at(L, 3), (size_t)luaL_checkinteger(L, 4), pointer_at(L, 5), pointer_at(L, 6));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_token_flags(lua_State *L)
{
    lua_State *before = enter_call(L);
    const uint32_t got = remora_token_flags(pointer_at(L, 1), (remora_token)luaL_checkinteger(L, 2));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_token_special(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_token got = remora_token_special(pointer_at(L, 1), (int32_t)luaL_checkinteger(L, 2));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_tokenize(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_tokenize(pointer_at(L, 1), pointer_at(L, 2), (size_t)luaL_checkinteger(L, 3), (uint32_t)luaL_checkinteger(L, 4), pointer_at(L, 5), (size_t)luaL_checkinteger(L, 6), pointer_at(L, 7), pointer_at(L, 8));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_verify(lua_State *L)
{
    lua_State *before = enter_call(L);
    const remora_status got = remora_verify(pointer_at(L, 1), pointer_at(L, 2), pointer_at(L, 3), pointer_at(L, 4), pointer_at(L, 5));
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_version(lua_State *L)
{
    lua_State *before = enter_call(L);
    const uint32_t got = remora_version();
    leave_call(before);
    lua_pushinteger(L, (lua_Integer)got);
    return 1;
}

static int call_remora_version_string(lua_State *L)
{
    lua_State *before = enter_call(L);
    const char *got = remora_version_string();
    leave_call(before);
    lua_pushstring(L, got);
    return 1;
}

static const luaL_Reg calls[] = {
    {"remora_abi_check", call_remora_abi_check},
    {"remora_build_info", call_remora_build_info},
    {"remora_chat_add", call_remora_chat_add},
    {"remora_chat_add_json", call_remora_chat_add_json},
    {"remora_chat_add_tool", call_remora_chat_add_tool},
    {"remora_chat_constraint", call_remora_chat_constraint},
    {"remora_chat_create", call_remora_chat_create},
    {"remora_chat_format_name", call_remora_chat_format_name},
    {"remora_chat_free", call_remora_chat_free},
    {"remora_chat_get_info", call_remora_chat_get_info},
    {"remora_chat_parse_clone", call_remora_chat_parse_clone},
    {"remora_chat_parse_copy", call_remora_chat_parse_copy},
    {"remora_chat_parse_create", call_remora_chat_parse_create},
    {"remora_chat_parse_end", call_remora_chat_parse_end},
    {"remora_chat_parse_free", call_remora_chat_parse_free},
    {"remora_chat_parse_get_info", call_remora_chat_parse_get_info},
    {"remora_chat_parse_next", call_remora_chat_parse_next},
    {"remora_chat_parse_text", call_remora_chat_parse_text},
    {"remora_chat_prompt", call_remora_chat_prompt},
    {"remora_chat_trim", call_remora_chat_trim},
    {"remora_constraint_create", call_remora_constraint_create},
    {"remora_constraint_free", call_remora_constraint_free},
    {"remora_convert", call_remora_convert},
    {"remora_detok_flush", call_remora_detok_flush},
    {"remora_detok_push", call_remora_detok_push},
    {"remora_device_count", call_remora_device_count},
    {"remora_device_get", call_remora_device_get},
    {"remora_end_tokens", call_remora_end_tokens},
    {"remora_eval", call_remora_eval},
    {"remora_fim", call_remora_fim},
    {"remora_fim_stop", call_remora_fim_stop},
    {"remora_generate", call_remora_generate},
    {"remora_generate_text", call_remora_generate_text},
    {"remora_importance_get", call_remora_importance_get},
    {"remora_importance_read", call_remora_importance_read},
    {"remora_model_estimate", call_remora_model_estimate},
    {"remora_model_free", call_remora_model_free},
    {"remora_model_get_info", call_remora_model_get_info},
    {"remora_model_get_memory", call_remora_model_get_memory},
    {"remora_model_meta", call_remora_model_meta},
    {"remora_model_meta_key", call_remora_model_meta_key},
    {"remora_model_open", call_remora_model_open},
    {"remora_model_runtime", call_remora_model_runtime},
    {"remora_model_set_budget", call_remora_model_set_budget},
    {"remora_recipe_get", call_remora_recipe_get},
    {"remora_routing_enable", call_remora_routing_enable},
    {"remora_routing_read", call_remora_routing_read},
    {"remora_runtime_create", call_remora_runtime_create},
    {"remora_runtime_free", call_remora_runtime_free},
    {"remora_runtime_get_info", call_remora_runtime_get_info},
    {"remora_sampler_accept", call_remora_sampler_accept},
    {"remora_sampler_add", call_remora_sampler_add},
    {"remora_sampler_clone", call_remora_sampler_clone},
    {"remora_sampler_constrain", call_remora_sampler_constrain},
    {"remora_sampler_create", call_remora_sampler_create},
    {"remora_sampler_free", call_remora_sampler_free},
    {"remora_sampler_pick", call_remora_sampler_pick},
    {"remora_sampler_pick_from", call_remora_sampler_pick_from},
    {"remora_sampler_reset", call_remora_sampler_reset},
    {"remora_sampler_rollback", call_remora_sampler_rollback},
    {"remora_sampler_spell", call_remora_sampler_spell},
    {"remora_session_append", call_remora_session_append},
    {"remora_session_create", call_remora_session_create},
    {"remora_session_fork", call_remora_session_fork},
    {"remora_session_free", call_remora_session_free},
    {"remora_session_get_generation", call_remora_session_get_generation},
    {"remora_session_get_info", call_remora_session_get_info},
    {"remora_session_get_options", call_remora_session_get_options},
    {"remora_session_get_stats", call_remora_session_get_stats},
    {"remora_session_hidden", call_remora_session_hidden},
    {"remora_session_logits", call_remora_session_logits},
    {"remora_session_logprob", call_remora_session_logprob},
    {"remora_session_model", call_remora_session_model},
    {"remora_session_sync", call_remora_session_sync},
    {"remora_session_tokens", call_remora_session_tokens},
    {"remora_session_top", call_remora_session_top},
    {"remora_session_trim", call_remora_session_trim},
    {"remora_status_name", call_remora_status_name},
    {"remora_token_bytes", call_remora_token_bytes},
    {"remora_token_flags", call_remora_token_flags},
    {"remora_token_special", call_remora_token_special},
    {"remora_tokenize", call_remora_tokenize},
    {"remora_verify", call_remora_verify},
    {"remora_version", call_remora_version},
    {"remora_version_string", call_remora_version_string},
    {NULL, NULL},
};
static void drop_remora_runtime_free(void *p)
{
    remora_runtime_free(p);
}
static void drop_remora_model_free(void *p)
{
    remora_model_free(p);
}
static void drop_remora_session_free(void *p)
{
    remora_session_free(p);
}
static void drop_remora_sampler_free(void *p)
{
    remora_sampler_free(p);
}
static void drop_remora_constraint_free(void *p)
{
    remora_constraint_free(p);
}
static void drop_remora_chat_free(void *p)
{
    remora_chat_free(p);
}
static void drop_remora_chat_parse_free(void *p)
{
    remora_chat_parse_free(p);
}
static const freeing frees[] = {
    {"remora_runtime_free", drop_remora_runtime_free},
    {"remora_model_free", drop_remora_model_free},
    {"remora_session_free", drop_remora_session_free},
    {"remora_sampler_free", drop_remora_sampler_free},
    {"remora_constraint_free", drop_remora_constraint_free},
    {"remora_chat_free", drop_remora_chat_free},
    {"remora_chat_parse_free", drop_remora_chat_parse_free},
};
static void on_remora_runtime_opts_log(void *user, int32_t level, const char *msg, size_t len)
{
    lua_State *L = enter_callback("remora_runtime_opts.log", user);
    if (!L) return;
    lua_pushinteger(L, (lua_Integer)level);
    push_pointer(L, (void *)msg);
    lua_pushinteger(L, (lua_Integer)len);
    leave_callback(L, 4, 0);
}

static void on_remora_runtime_opts_release(void *user)
{
    lua_State *L = enter_callback("remora_runtime_opts.release", user);
    if (!L) return;
    leave_callback(L, 1, 0);
}

static remora_status on_remora_source_io_size(void *user, const char *name, uint64_t *size)
{
    lua_State *L = enter_callback("remora_source.io_size", user);
    if (!L) return REMORA_E_CALLBACK;
    push_pointer(L, (void *)name);
    push_pointer(L, (void *)size);
    return (remora_status)leave_callback(L, 3, REMORA_E_CALLBACK);
}

static remora_status on_remora_source_io_read(void *user, const char *name, uint64_t off, void *buf, uint64_t n)
{
    lua_State *L = enter_callback("remora_source.io_read", user);
    if (!L) return REMORA_E_CALLBACK;
    push_pointer(L, (void *)name);
    lua_pushinteger(L, (lua_Integer)off);
    push_pointer(L, (void *)buf);
    lua_pushinteger(L, (lua_Integer)n);
    return (remora_status)leave_callback(L, 5, REMORA_E_CALLBACK);
}

static void on_remora_source_release(void *user)
{
    lua_State *L = enter_callback("remora_source.release", user);
    if (!L) return;
    leave_callback(L, 1, 0);
}

static int32_t on_remora_model_opts_progress(void *user, uint64_t done, uint64_t total)
{
    lua_State *L = enter_callback("remora_model_opts.progress", user);
    if (!L) return 1;
    lua_pushinteger(L, (lua_Integer)done);
    lua_pushinteger(L, (lua_Integer)total);
    return (int32_t)leave_callback(L, 3, 1);
}

static int32_t on_remora_convert_opts_progress(void *user, uint64_t done, uint64_t total)
{
    lua_State *L = enter_callback("remora_convert_opts.progress", user);
    if (!L) return 1;
    lua_pushinteger(L, (lua_Integer)done);
    lua_pushinteger(L, (lua_Integer)total);
    return (int32_t)leave_callback(L, 3, 1);
}

static int32_t on_remora_verify_opts_progress(void *user, uint64_t done, uint64_t total)
{
    lua_State *L = enter_callback("remora_verify_opts.progress", user);
    if (!L) return 1;
    lua_pushinteger(L, (lua_Integer)done);
    lua_pushinteger(L, (lua_Integer)total);
    return (int32_t)leave_callback(L, 3, 1);
}

static remora_status on_remora_stage_fn(void *user, remora_token_prob *cand, size_t *n)
{
    lua_State *L = enter_callback("remora_stage.fn", user);
    if (!L) return REMORA_E_CALLBACK;
    push_pointer(L, (void *)cand);
    push_pointer(L, (void *)n);
    return (remora_status)leave_callback(L, 3, REMORA_E_CALLBACK);
}

static void on_remora_stage_release(void *user)
{
    lua_State *L = enter_callback("remora_stage.release", user);
    if (!L) return;
    leave_callback(L, 1, 0);
}

static void push_trampolines(lua_State *L)
{
    set_trampoline(L, "remora_runtime_opts.log", (void (*)(void))on_remora_runtime_opts_log);
    set_trampoline(L, "remora_runtime_opts.release", (void (*)(void))on_remora_runtime_opts_release);
    set_trampoline(L, "remora_source.io_size", (void (*)(void))on_remora_source_io_size);
    set_trampoline(L, "remora_source.io_read", (void (*)(void))on_remora_source_io_read);
    set_trampoline(L, "remora_source.release", (void (*)(void))on_remora_source_release);
    set_trampoline(L, "remora_model_opts.progress", (void (*)(void))on_remora_model_opts_progress);
    set_trampoline(L, "remora_convert_opts.progress", (void (*)(void))on_remora_convert_opts_progress);
    set_trampoline(L, "remora_verify_opts.progress", (void (*)(void))on_remora_verify_opts_progress);
    set_trampoline(L, "remora_stage.fn", (void (*)(void))on_remora_stage_fn);
    set_trampoline(L, "remora_stage.release", (void (*)(void))on_remora_stage_release);
}

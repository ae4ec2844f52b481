/* Hugging Face JSON, read by jansson. Everything that touches jansson's own limits and error text is here.
 *
 * jansson allocates with malloc, not through the host's hook: its API has only a process-wide allocator, which a
 * library must not set (P9). All of it is released before the open call returns. */
#ifndef RMR_JSON_H
#define RMR_JSON_H

#include <jansson.h>

#include "error.h"

/* Parse one JSON document (an object). `file` names it in errors. Duplicate keys, depth and encoding are checked.
 * The result is released with json_decref. */
remora_status rmr_json_parse(const char *file, const void *data, size_t size, json_t **out, remora_error *err);

/* Fields of an object. Absent or null gives `fallback`; another type or a value out of range is E_FORMAT naming
 * file and field. */
remora_status rmr_json_u32(const char *file, const json_t *obj, const char *key, uint32_t min, uint32_t max,
                           uint32_t fallback, uint32_t *out, remora_error *err);
remora_status rmr_json_number(const char *file, const json_t *obj, const char *key, double fallback, double *out,
                              remora_error *err);
remora_status rmr_json_bool(const char *file, const json_t *obj, const char *key, int fallback, int *out,
                            remora_error *err);
/* NULL when absent or null; the string lives as long as obj. */
remora_status rmr_json_string(const char *file, const json_t *obj, const char *key, const char **out,
                              remora_error *err);

#endif

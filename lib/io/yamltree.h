/* SPDX-License-Identifier: Apache-2.0 */
/* (Not yaml.h: that is libyaml's.) YAML that people write and read: pack manifests and quantisation
 * recipes, as jansson trees.
 *
 * Read is the part of YAML 1.1 that is also 1.2 and also JSON's model: mappings with text keys,
 * sequences, scalars typed by YAML 1.2's core schema (null, true, 12, 0x1F, 0o17, 1.5e-3; anything
 * else is text, so `no` and `12:30` are). Refused, because documents that need them are seldom
 * meant well or mean different things to different readers: anchors and aliases (bombs), tags,
 * merge keys, keys named twice, numbers with a leading zero (octal in 1.1, decimal in 1.2),
 * infinities and NaN, a second document.
 *
 * libyaml and jansson allocate with malloc: neither has an allocator per instance. What they hold
 * is bounded: libyaml's by a small multiple of the longest line or scalar, the tree by about 300
 * bytes a node and the text itself. The caller bounds both. */
#ifndef RMR_YAMLTREE_H
#define RMR_YAMLTREE_H

#include <jansson.h>

#include "mem.h"

enum { RMR_YAML_DEPTH = 80 /* nesting; above what JSON documents may have (json.h) */ };

/* Parse one document of at most max_nodes values. `file` names it in errors, which begin with
 * "file:line:column:". Release the result with json_decref. */
remora_status rmr_yaml_parse(const char *file, const void *data, size_t size, size_t max_nodes,
                             json_t **out, remora_error *err);

/* Write the tree as a document, ended by "...": keys in the order they were set, one line for each
 * object in an array and for each array of numbers. rmr_yaml_parse makes an equal tree of it. *text
 * is NUL-terminated after *n bytes; free with rmr_free(mem, *text, *n + 1). */
remora_status rmr_yaml_write(rmr_mem *mem, const json_t *doc, char **text, size_t *n,
                             remora_error *err);

#endif

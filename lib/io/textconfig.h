/* SPDX-License-Identifier: Apache-2.0 */
/* config.json of a model that has more parts than text (images, sound): the text model's
 * configuration is an object inside of it. */
#ifndef RMR_TEXTCONFIG_H
#define RMR_TEXTCONFIG_H

#include "json.h"

/* *config = the text model's object, with the fields that only stand around it (how weights are
 * quantised, the ends of a text, the name), released with json_decref; unchanged where there is
 * none. *key is the object's key, NULL where there is none. */
remora_status rmr_textconfig(const char *file, json_t **config, const char **key,
                             remora_error *err);

#endif

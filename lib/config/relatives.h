/* SPDX-License-Identifier: Apache-2.0 */
/* Models that are known and not done yet: a config.json or a GGUF file that names one is refused
 * with the reason. */
#ifndef RMR_RELATIVES_H
#define RMR_RELATIVES_H

/* The feature that a model_type or a GGUF architecture would need ("DeepSeek-V3.2: sparse
 * attention"), or NULL where the name is not known at all. */
const char *rmr_relative(const char *name);

#endif

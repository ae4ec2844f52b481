/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4), for model fingerprints. */
#ifndef RMR_SHA256_H
#define RMR_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct rmr_sha256 {
    uint32_t h[8];
    uint64_t n_bytes;
    uint8_t block[64];
} rmr_sha256;

void rmr_sha256_init(rmr_sha256 *s);
void rmr_sha256_add(rmr_sha256 *s, const void *data, size_t n);
void rmr_sha256_end(rmr_sha256 *s, uint8_t out[32]);

#endif

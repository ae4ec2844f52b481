/* The NEON set for processors with dot products and products of small matrices of bytes (smmla, of
 * Armv8.6). */
#include "kernels.h"

#define SET(name) name##_neon_i8mm
#define SHARED(name) name##_neon
#include "elementwise.h"

#include "neon.h"
#include "sdot.h"
#include "qmatmul_tmpl.h"

#include "kv8_cache.h"

#include "kv8_attend_tmpl.h"
#include "smmla.h"

#undef Q_ENTRY
#define Q_ENTRY(name, type) [type] = SET(rmr_qmatmul_mm_##name),

const rmr_kernels rmr_kernels_neon_i8mm = KERNEL_TABLE("neon_i8mm");

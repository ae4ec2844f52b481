/* The NEON set for processors with dot products (sdot, of Armv8.2): four products a lane and
 * instruction, the activations taken from a lane of 16 bytes. */
#include "kernels.h"

#define SET(name) name##_neon_dotprod
#define SHARED(name) name##_neon
#include "elementwise.h"

#include "neon.h"
#include "sdot.h"
#include "qmatmul_tmpl.h"

#include "kv8_cache.h"

#include "kv8_attend_tmpl.h"

const rmr_kernels rmr_kernels_neon_dotprod = KERNEL_TABLE("neon_dotprod");

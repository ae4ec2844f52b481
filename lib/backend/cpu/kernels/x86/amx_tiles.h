/* SPDX-License-Identifier: Apache-2.0 */
/* The four uses that amx.h makes of AMX's tile registers: 0 holds sums, 1 x, 2 weights.
 *
 * The instructions are written out: GCC 12's intrinsics do not say that they touch memory. */

typedef struct amx_config {
    _Alignas(64) uint8_t palette;
    uint8_t zero[15];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} amx_config;

FORCE void amx_begin(const rmr_elem type)
{
    const uint8_t sub = (uint8_t)(32 / q_halves(type)); /* columns of a sub-block */
    const amx_config c = {
        .palette = 1, .row_bytes = {64, sub, 64}, .rows = {AMX_ROWS, AMX_ROWS, (uint8_t)(sub / 4)}};
    __asm__ volatile("ldtilecfg %0" ::"m"(c) : "memory");
}

/* The sums of a sub-block of 16 rows of x and of weights. */
FORCE void amx_sum(int32_t sum[AMX_ROWS][RMR_TILE], const int8_t *q, const int8_t *code)
{
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm1\n\t"
                     "tileloadd (%2,%3,1), %%tmm2\n\t"
                     "tilezero %%tmm0\n\t"
                     "tdpbssd %%tmm2, %%tmm1, %%tmm0\n\t"
                     "tilestored %%tmm0, (%4,%3,1)" ::"r"(q),
                     "r"((int64_t)32), "r"(code), "r"((int64_t)64), "r"(sum)
                     : "memory");
}

FORCE void amx_end(void)
{
    __asm__ volatile("tilerelease" ::: "memory");
}

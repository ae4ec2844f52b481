/* SPDX-License-Identifier: Apache-2.0 */
/* The split of work for the threads of the pool: rows into tiles, tiles into chunks. And the hint
 * that the pool gets about the region that comes next (op_linear.c). */
#ifndef RMR_CPU_SPLIT_H
#define RMR_CPU_SPLIT_H

#include "cpu.h"

/* Matrix products are regions of chunks of `unit` tiles each, which workers take in ranges of about
 * RMR_LIN_RANGE at most. In a range blocks of tiles times RMR_LIN_ROWS rows, whose results fit
 * RMR_LIN_TMP, are done at a time. */
enum { RMR_LIN_CHUNK = 64 << 10, RMR_LIN_RANGE = 64, RMR_LIN_ROWS = 32, RMR_LIN_TMP = 8192 };

/* Tiles of a block with that many rows: an even number, so that blocks begin with whole runs of 32.
 */
static inline uint32_t rmr_lin_tiles(uint32_t n_rows)
{
    const uint32_t rows = n_rows < RMR_LIN_ROWS ? n_rows : RMR_LIN_ROWS;
    return RMR_LIN_TMP / (RMR_TILE * (rows > 0 ? rows : 1)) & ~1u;
}

static inline uint32_t rmr_tiles(uint32_t rows)
{
    return (rows + RMR_TILE - 1) / RMR_TILE;
}

static inline uint32_t rmr_min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Tiles of a chunk, for n_tiles of `bytes` and `work` each, all matrices together that a chunk
 * reads: about RMR_LIN_CHUNK bytes, an item at most, and so few that every worker has some chunks;
 * an even number, because products take two at a time and experts pass on whole runs of 32. And
 * the number of chunks. */
uint32_t rmr_cpu_unit(const rmr_cpu *c, uint32_t n_tiles, uint64_t bytes, uint64_t work);

static inline uint32_t rmr_units(uint32_t n, uint32_t unit)
{
    return (n + unit - 1) / unit;
}

/* Work that may be stopped is looked at between items of about RMR_ITEM multiplications of whole
 * numbers, a fraction of a millisecond (region.c). Where a chunk would be more than RMR_ITEM_MOST
 * of them, an operation is several regions one after another. Less than RMR_ITEM_LEAST is not worth
 * a chunk of its own. A multiplication of floats takes about RMR_FLOATS times as long. */
enum { RMR_ITEM = 16 << 20, RMR_ITEM_MOST = 32 << 20, RMR_ITEM_LEAST = 2 << 20, RMR_FLOATS = 2 };
enum { RMR_ITEM_FLOATS = RMR_ITEM / RMR_FLOATS };

/* The work of a tile of w for so many rows. */
static inline uint64_t rmr_cpu_tile_work(const rmr_weight *w, uint64_t n_rows)
{
    const uint64_t n = n_rows * RMR_TILE * w->desc.cols;
    return rmr_elem_table[w->desc.elem].integer ? n : n * RMR_FLOATS;
}

/* The rows of a product where a unit of tiles by all of them would be too long an item, or where
 * there are too few units for all workers: blocks of so many. Chunks are then numbered unit by
 * unit, block by block. */
typedef struct rmr_blocks {
    uint32_t n, rows;
    uint64_t work; /* of a chunk */
} rmr_blocks;

/* `work`: of a unit by all the rows. `wanted`: so many blocks, if they are worth it. */
static inline rmr_blocks rmr_cpu_blocks(uint32_t n_rows, uint64_t work, uint32_t wanted)
{
    const uint64_t most = work / RMR_ITEM_LEAST, least = (work + RMR_ITEM_MOST - 1) / RMR_ITEM_MOST;
    const uint64_t asked = wanted < most ? wanted : most, n = least > asked ? least : asked;
    const uint32_t passes = rmr_units(n_rows, RMR_LIN_ROWS);
    const uint32_t of_block = n < passes ? rmr_units(passes, n > 0 ? (uint32_t)n : 1) : 1;
    if (n < 2 || passes < 2) return (rmr_blocks){1, n_rows, work};
    return (rmr_blocks){rmr_units(passes, of_block), of_block * RMR_LIN_ROWS,
                        work * of_block / passes};
}

/* Units [unit, unit_end) by blocks [block, block_end). */
typedef struct rmr_part_of_range {
    uint32_t unit, unit_end, block, block_end;
} rmr_part_of_range;

/* Take the largest such part from the beginning of the chunks [*first, *first + *n). */
static inline rmr_part_of_range rmr_cpu_take_part(uint32_t *first, uint32_t *n, uint32_t blocks)
{
    const uint32_t unit = *first / blocks, block = *first % blocks;
    const uint32_t whole = block == 0 ? *n / blocks : 0;
    const uint32_t end = whole > 0 ? blocks : rmr_min_u32(blocks, block + *n);
    const uint32_t taken = whole > 0 ? whole * blocks : end - block;
    *first += taken;
    *n -= taken;
    return (rmr_part_of_range){unit, unit + (whole > 0 ? whole : 1), block, end};
}

/* Describe a region to the pool before it begins: products with matrix `index` of w in chunks of
 * `unit` tiles; or the first region of the operations behind op, where that is known. */
rmr_next_region rmr_cpu_next(const rmr_weight *w, uint32_t index, uint32_t unit);
rmr_next_region rmr_cpu_next_op(const rmr_step *s, const rmr_op *op);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The version of docs/numerics.md: raised when the bits of a result change. Packs and snapshots
 * store it with what was computed. */
#ifndef RMR_NUMERICS_H
#define RMR_NUMERICS_H

enum { RMR_NUMERICS = 2 };

#endif

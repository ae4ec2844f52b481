/* SPDX-License-Identifier: Apache-2.0 */
/* The CPU's function of the operation in more_ops.h. */
#include "cpu.h"

remora_status rmr_cpu_norm_copy(rmr_step *s, const rmr_op *op)
{
    return rmr_cpu_norm(s, op);
}

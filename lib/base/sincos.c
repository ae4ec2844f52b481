/* SPDX-License-Identifier: Apache-2.0 */
#include "sincos.h"

#include "sincos_poly.h"

void rmr_sincos(double angle, float *c, float *s)
{
    rmr_sincos_poly(angle, c, s);
}

/* Operations of the CUDA backend against the CPU's (check_ops.c). */
#ifndef CHECK_OPS_H
#define CHECK_OPS_H

#include "backend.h"
#include "half.h"

extern rmr_backend *check_cpu, *check_gpu;
extern int check_exact; /* the CUDA backend's mode */
extern int check_bad, check_done, check_loud;

double check_random(void); /* in [-1, 1) */

void check_products(int large);
void check_embed(void);
void check_rows(void);
void check_latent(int large);
void check_grouped(int large);
void check_experts(int large);

#endif

/* The kernels as host code. */
#include "kernels.cu"

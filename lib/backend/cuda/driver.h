/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's functions as a table, so that nothing is linked against it and tests can put their
 * own there. Names are those of the symbols of libcuda.so.1, whose meaning never changes. */
#ifndef RMR_CUDA_DRIVER_H
#define RMR_CUDA_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "error.h"

typedef int rmr_cu_result;
typedef int rmr_cu_device;
typedef uint64_t rmr_cu_address;
typedef struct CUctx_st *rmr_cu_context;
typedef struct CUmod_st *rmr_cu_module;
typedef struct CUfunc_st *rmr_cu_function;
typedef struct CUstream_st *rmr_cu_stream;
typedef struct CUevent_st *rmr_cu_event;
typedef struct CUgraph_st *rmr_cu_graph;
typedef struct CUgraphExec_st *rmr_cu_graph_exec;
typedef struct CUgraphNode_st *rmr_cu_graph_node;
typedef struct CUgreenCtx_st *rmr_cu_green;
typedef struct CUdevResourceDesc_st *rmr_cu_resource_desc;

enum {
    RMR_CU_SUCCESS = 0,
    RMR_CU_NO_MEMORY = 2,
    RMR_CU_NOT_READY = 600,
    RMR_CU_STREAM_NON_BLOCKING = 1,
    RMR_CU_EVENT_DISABLE_TIMING = 2,
    RMR_CU_CAPTURE_THREAD_LOCAL = 1,
    RMR_CU_LAUNCH_OVERLAP = 6,       /* CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION */
    RMR_CU_RESOURCE_SMS = 1,         /* CU_DEV_RESOURCE_TYPE_SM */
    RMR_CU_GREEN_DEFAULT_STREAM = 1, /* cuGreenCtxCreate demands it */
    RMR_CU_FUNC_MAX_SHARED = 8,      /* CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES */
    RMR_CU_ATTR_CLOCK = 13,          /* kHz */
    RMR_CU_ATTR_SMS = 16,
    RMR_CU_ATTR_MEMORY_CLOCK = 36, /* kHz */
    RMR_CU_ATTR_MEMORY_BITS = 37,
    RMR_CU_ATTR_MAJOR = 75,
    RMR_CU_ATTR_MINOR = 76,
    RMR_CU_ATTR_SHARED = 97 /* MAX_SHARED_MEMORY_PER_BLOCK_OPTIN */
};

/* CUlaunchAttribute and CUlaunchConfig of cuda.h. */
typedef struct rmr_cu_launch_attribute {
    int id;
    int pad;
    union {
        int value;
        uint64_t bytes[8];
    } u;
} rmr_cu_launch_attribute;

typedef struct rmr_cu_launch_config {
    unsigned grid[3], block[3], shared;
    rmr_cu_stream stream;
    rmr_cu_launch_attribute *attributes;
    unsigned n_attributes;
} rmr_cu_launch_config;

/* CUdevResource of cuda.h, of multiprocessors: how many, and in which numbers a GPU can be cut; 0:
 * an older driver does not say. */
typedef struct rmr_cu_resource {
    int type;
    unsigned char pad[92];
    union {
        struct {
            unsigned count, least, step;
        } sm;
        uint64_t bytes[6];
    };
} rmr_cu_resource;

/* X(name, symbol, parameters) */
#define RMR_CU_FUNCTIONS(X)                                                                        \
    X(init, cuInit, (unsigned))                                                                    \
    X(driver_version, cuDriverGetVersion, (int *))                                                 \
    X(error_string, cuGetErrorString, (rmr_cu_result, const char **))                              \
    X(device_count, cuDeviceGetCount, (int *))                                                     \
    X(device_get, cuDeviceGet, (rmr_cu_device *, int))                                             \
    X(device_name, cuDeviceGetName, (char *, int, rmr_cu_device))                                  \
    X(bus_id, cuDeviceGetPCIBusId, (char *, int, rmr_cu_device))                                   \
    X(device_memory, cuDeviceTotalMem_v2, (size_t *, rmr_cu_device))                               \
    X(device_attribute, cuDeviceGetAttribute, (int *, int, rmr_cu_device))                         \
    X(context_retain, cuDevicePrimaryCtxRetain, (rmr_cu_context *, rmr_cu_device))                 \
    X(context_create, cuCtxCreate_v2, (rmr_cu_context *, unsigned, rmr_cu_device))                 \
    X(context_destroy, cuCtxDestroy_v2, (rmr_cu_context))                                          \
    X(context_release, cuDevicePrimaryCtxRelease_v2, (rmr_cu_device))                              \
    X(context_state, cuDevicePrimaryCtxGetState, (rmr_cu_device, unsigned *, int *))               \
    X(context_push, cuCtxPushCurrent_v2, (rmr_cu_context))                                         \
    X(context_pop, cuCtxPopCurrent_v2, (rmr_cu_context *))                                         \
    X(module_load, cuModuleLoadData, (rmr_cu_module *, const void *))                              \
    X(module_unload, cuModuleUnload, (rmr_cu_module))                                              \
    X(module_function, cuModuleGetFunction, (rmr_cu_function *, rmr_cu_module, const char *))      \
    X(function_attribute, cuFuncSetAttribute, (rmr_cu_function, int, int))                         \
    X(memory_info, cuMemGetInfo_v2, (size_t *, size_t *))                                          \
    X(memory_alloc, cuMemAlloc_v2, (rmr_cu_address *, size_t))                                     \
    X(memory_free, cuMemFree_v2, (rmr_cu_address))                                                 \
    X(host_alloc, cuMemHostAlloc, (void **, size_t, unsigned))                                     \
    X(host_free, cuMemFreeHost, (void *))                                                          \
    X(host_register, cuMemHostRegister_v2, (void *, size_t, unsigned))                             \
    X(host_unregister, cuMemHostUnregister, (void *))                                              \
    X(copy_in, cuMemcpyHtoDAsync_v2, (rmr_cu_address, const void *, size_t, rmr_cu_stream))        \
    X(copy_out, cuMemcpyDtoHAsync_v2, (void *, rmr_cu_address, size_t, rmr_cu_stream))             \
    X(copy_within, cuMemcpyDtoDAsync_v2, (rmr_cu_address, rmr_cu_address, size_t, rmr_cu_stream))  \
    X(set_bytes, cuMemsetD8Async, (rmr_cu_address, unsigned char, size_t, rmr_cu_stream))          \
    X(stream_create, cuStreamCreateWithPriority, (rmr_cu_stream *, unsigned, int))                 \
    X(priority_range, cuCtxGetStreamPriorityRange, (int *, int *))                                 \
    X(stream_destroy, cuStreamDestroy_v2, (rmr_cu_stream))                                         \
    X(stream_wait, cuStreamWaitEvent, (rmr_cu_stream, rmr_cu_event, unsigned))                     \
    X(event_create, cuEventCreate, (rmr_cu_event *, unsigned))                                     \
    X(event_destroy, cuEventDestroy_v2, (rmr_cu_event))                                            \
    X(event_record, cuEventRecord, (rmr_cu_event, rmr_cu_stream))                                  \
    X(event_query, cuEventQuery, (rmr_cu_event))                                                   \
    X(launch, cuLaunchKernel,                                                                      \
      (rmr_cu_function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,      \
       rmr_cu_stream, void **, void **))                                                           \
    X(launch_with, cuLaunchKernelEx,                                                               \
      (const rmr_cu_launch_config *, rmr_cu_function, void **, void **))                           \
    X(capture_begin, cuStreamBeginCapture_v2, (rmr_cu_stream, int))                                \
    X(capture_end, cuStreamEndCapture, (rmr_cu_stream, rmr_cu_graph *))                            \
    X(graph_instantiate, cuGraphInstantiateWithFlags,                                              \
      (rmr_cu_graph_exec *, rmr_cu_graph, unsigned long long))                                     \
    X(graph_launch, cuGraphLaunch, (rmr_cu_graph_exec, rmr_cu_stream))                             \
    X(graph_exec_destroy, cuGraphExecDestroy, (rmr_cu_graph_exec))                                 \
    X(graph_destroy, cuGraphDestroy, (rmr_cu_graph))

/* The functions of green contexts, which drivers for CUDA 12.5 and later have. */
#define RMR_CU_GREEN_FUNCTIONS(X)                                                                  \
    X(device_resource, cuDeviceGetDevResource, (rmr_cu_device, rmr_cu_resource *, int))            \
    X(split_sms, cuDevSmResourceSplitByCount,                                                      \
      (rmr_cu_resource *, unsigned *, const rmr_cu_resource *, rmr_cu_resource *, unsigned,        \
       unsigned))                                                                                  \
    X(resource_desc, cuDevResourceGenerateDesc,                                                    \
      (rmr_cu_resource_desc *, rmr_cu_resource *, unsigned))                                       \
    X(green_create, cuGreenCtxCreate,                                                              \
      (rmr_cu_green *, rmr_cu_resource_desc, rmr_cu_device, unsigned))                             \
    X(green_destroy, cuGreenCtxDestroy, (rmr_cu_green))                                            \
    X(green_stream, cuGreenCtxStreamCreate, (rmr_cu_stream *, rmr_cu_green, unsigned, int))

typedef struct rmr_cu_driver {
#define X(name, symbol, parameters) rmr_cu_result(*name) parameters;
    RMR_CU_FUNCTIONS(X)
    RMR_CU_GREEN_FUNCTIONS(X) /* NULL where the driver has none */
#undef X
    void *library; /* of dlopen */
} rmr_cu_driver;

/* Open the machine's driver and start it. E_UNSUPPORTED, with the reason, where there is none. */
remora_status rmr_cu_driver_open(rmr_cu_driver *d, remora_error *err);
void rmr_cu_driver_close(rmr_cu_driver *d);

#endif

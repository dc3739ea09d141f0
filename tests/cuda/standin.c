/* CUDA for a machine without a GPU: memory is the host's, kernels and products do nothing, nothing fails.

   What ONNX Runtime's own code decides on the way to a kernel can so be seen: whether there is one for an operator's
   types, and whether it takes these shapes. No result means anything. build.py adds a function for every other name
   of CUDA that ONNX Runtime knows. */

#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>

static void *room(size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, 4096, bytes + 4096)) return NULL;
  return memset(memory, 0, bytes);
}

/* Of the GPU that is pretended, such as 80. */
static int capability(void) { return atoi(getenv("STANDIN_CAPABILITY")); }

/* The device. */
cudaError_t cudaGetDeviceCount(int *count) { *count = 1; return 0; }
cudaError_t cudaGetDevice(int *device) { *device = 0; return 0; }
cudaError_t cudaDriverGetVersion(int *version) { *version = CUDART_VERSION; return 0; }
cudaError_t cudaRuntimeGetVersion(int *version) { *version = CUDART_VERSION; return 0; }
cudaError_t cudaMemGetInfo(size_t *free, size_t *total) { *free = *total = 1UL << 34; return 0; }

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device) {
  memset(properties, 0, sizeof *properties);
  strcpy(properties->name, "stand-in");
  properties->major = capability() / 10;
  properties->minor = capability() % 10;
  properties->totalGlobalMem = 1UL << 34;
  properties->sharedMemPerBlock = 48 << 10;
  properties->sharedMemPerBlockOptin = properties->sharedMemPerMultiprocessor = 160 << 10;
  properties->regsPerBlock = properties->regsPerMultiprocessor = 1 << 16;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->maxThreadsPerMultiProcessor = 2048;
  properties->maxThreadsDim[0] = properties->maxThreadsDim[1] = 1024;
  properties->maxThreadsDim[2] = 64;
  properties->maxGridSize[0] = (1U << 31) - 1;
  properties->maxGridSize[1] = properties->maxGridSize[2] = 65535;
  properties->multiProcessorCount = 108;
  return 0;
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
  struct cudaDeviceProp properties;
  cudaGetDeviceProperties(&properties, device);
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor: *value = properties.major; break;
    case cudaDevAttrComputeCapabilityMinor: *value = properties.minor; break;
    case cudaDevAttrMultiProcessorCount: *value = properties.multiProcessorCount; break;
    case cudaDevAttrMaxSharedMemoryPerBlock: *value = properties.sharedMemPerBlock; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = properties.sharedMemPerBlockOptin; break;
    default: *value = 1;
  }
  return 0;
}

/* Memory. */
cudaError_t cudaMalloc(void **memory, size_t bytes) { return (*memory = room(bytes)) ? 0 : 2; }
cudaError_t cudaMallocHost(void **memory, size_t bytes) { return (*memory = room(bytes)) ? 0 : 2; }
cudaError_t cudaHostAlloc(void **memory, size_t bytes, unsigned flags) { return cudaMalloc(memory, bytes); }
cudaError_t cudaFree(void *memory) { free(memory); return 0; }
cudaError_t cudaFreeHost(void *memory) { free(memory); return 0; }
cudaError_t cudaMemset(void *to, int value, size_t bytes) { memset(to, value, bytes); return 0; }
cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
  return cudaMemset(to, value, bytes);
}
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind) {
  memcpy(to, from, bytes);
  return 0;
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
       cudaStream_t stream) {
  return cudaMemcpy(to, from, bytes, kind);
}
cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes, const void *memory) {
  memset(attributes, 0, sizeof *attributes);
  attributes->type = cudaMemoryTypeDevice;
  attributes->devicePointer = (void *)memory;
  return 0;
}

/* Kernels. */
static struct { dim3 grid, block; size_t shared; void *stream; } configured;

void ** __cudaRegisterFatBinary(void *binary) { return room(64); }
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, struct CUstream_st *stream) {
  configured.grid = grid, configured.block = block, configured.shared = shared, configured.stream = stream;
  return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream) {
  *grid = configured.grid, *block = configured.block, *shared = configured.shared;
  *(void **)stream = configured.stream;
  return 0;
}
cudaError_t __cudaGetKernel(cudaKernel_t *kernel, const void *function) {
  *kernel = (cudaKernel_t)function;
  return 0;
}
cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attributes, const void *function) {
  memset(attributes, 0, sizeof *attributes);
  attributes->maxThreadsPerBlock = 1024;
  attributes->numRegs = 64;
  return 0;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *function,
       int threads, size_t shared, unsigned flags) {
  *blocks = 1;
  return 0;
}

/* Texts and versions. */
const char *cudaGetErrorName(cudaError_t error) { return "none"; }
const char *cudaGetErrorString(cudaError_t error) { return "none"; }
const char *cudnnGetErrorString(int status) { return "none"; }
size_t cudnnGetVersion(void) { return 91300; }

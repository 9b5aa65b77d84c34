#include "gpu/functions.h"

namespace graft::gpu {

// Reductions combine lanes, then warps, each in a fixed order, so that a sum always has the same bits.
const char *const kFunctions = R"cuda(
struct Sum { static __device__ float of(float a, float b) { return a + b; } };
struct Largest { static __device__ float of(float a, float b) { return a > b ? a : b; } };
struct Smallest { static __device__ float of(float a, float b) { return a < b ? a : b; } };
template <class Combine>
__device__ float over_block(float x) {
  __shared__ float parts[32];
  for (int distance = 16; distance > 0; distance /= 2) x = Combine::of(x, __shfl_xor_sync(0xffffffffu, x, distance));
  const int warps = blockDim.x / 32;
  if (warps == 1) return x;
  __syncthreads();  // what another reduction left has been read
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
  __syncthreads();
  float combined = parts[0];
  for (int i = 1; i < warps; i++) combined = Combine::of(combined, parts[i]);
  return combined;
}
__device__ float from_bfloat16(unsigned short bits) { return __uint_as_float((unsigned)bits << 16); }
// The nearest bf16; of two that are as near, the even one.
__device__ unsigned short to_bfloat16(float x) {
  const unsigned bits = __float_as_uint(x);
  if (x != x) return (unsigned short)(bits >> 16 | 64);
  return (unsigned short)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
__device__ float load(const float *x) { return *x; }
__device__ float load(const unsigned short *x) { return from_bfloat16(*x); }
__device__ void store(float *x, float value) { *x = value; }
__device__ void store(unsigned short *x, float value) { *x = to_bfloat16(value); }
)cuda";

}  // namespace graft::gpu

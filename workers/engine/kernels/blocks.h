#pragma once

#include <cstdint>

namespace graft {

// The number of blocks of a length that cover so many elements.
inline int64_t blocks_of(int64_t elements, int64_t block) { return (elements + block - 1) / block; }

}  // namespace graft

// What delta nets, Mamba layers and short convolutions keep of the texts that are being continued, whatever their length. A session has one such
// store.
#pragma once

#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"

namespace graft {

// Of one text in one layer.
struct RecurrentState {
  std::vector<float> heads;   // the states of all value heads, in blocks of columns
  std::vector<float> inputs;  // the last inputs of the convolution, [K − 1, channels]
};

class RecurrentStates : public tensorflow::ResourceBase {
 public:
  // The caller owns a reference.
  static absl::Status of_session(tensorflow::OpKernelContext *context, RecurrentStates **states) {
    return context->resource_manager()->LookupOrCreate<RecurrentStates>("", "graft-recurrent-states", states, [](RecurrentStates **made) {
      *made = new RecurrentStates();
      return absl::OkStatus();
    });
  }
  std::string DebugString() const override { return "recurrent states"; }

  // @param slot a number for the text. The result stays where it is until the slot is released
  RecurrentState *state(int64_t layer, int32_t slot) {
    std::lock_guard<std::mutex> lock(mutex_);
    return &states_[{slot, layer}];
  }
  void release(int32_t slot) {
    std::lock_guard<std::mutex> lock(mutex_);
    states_.erase(states_.lower_bound({slot, 0}), states_.lower_bound({slot + 1, 0}));
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<int32_t, int64_t>, RecurrentState> states_;
};

}  // namespace graft

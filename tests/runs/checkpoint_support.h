// A small state to store, and the expected state after loading.
#pragma once

#include <cstddef>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "runs/checkpoint.h"
#include "storage/support.h"

namespace qhost::storage {

/// A state of which every part depends on its step.
class SampleState {
 public:
  explicit SampleState(std::int64_t step, std::size_t length = 5) : weights_(length), step_(step) {
    for (std::size_t i = 0; i < length; ++i) {
      weights_[i] = static_cast<float>(step) + 0.5f * static_cast<float>(i);
    }
  }
  Tensors tensors() const {
    return {{"conv.weight",
             {.dtype = "F32",
              .shape = {static_cast<std::int64_t>(weights_.size())},
              .data = reinterpret_cast<const std::byte*>(weights_.data()),
              .bytes = weights_.size() * sizeof(float)}}};
  }
  nlohmann::json json() const {
    return {{"step", step_}, {"rate", 0.1 / static_cast<double>(step_ + 1)}};
  }

  void expect_in(const runs::LoadedCheckpoint& loaded) const {
    EXPECT_EQ(loaded.step, step_);
    EXPECT_EQ(loaded.state, json());
    const TensorView& view = loaded.tensors.at("conv.weight");
    ASSERT_EQ(view.bytes, weights_.size() * sizeof(float));
    EXPECT_EQ(std::memcmp(view.data, weights_.data(), view.bytes), 0);
  }

 private:
  std::vector<float> weights_;
  std::int64_t step_;
};

inline std::filesystem::path write_sample(const std::filesystem::path& directory, std::int64_t step,
                                          int keep = 2) {
  const SampleState state(step);
  return runs::write_checkpoint(directory, step, state.tensors(), state.json(), {.keep = keep});
}

inline std::filesystem::path write_sample_best(const std::filesystem::path& directory,
                                               std::int64_t step) {
  const SampleState state(step);
  return runs::write_best(directory, step, state.tensors(), state.json());
}

}  // namespace qhost::storage

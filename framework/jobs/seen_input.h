/// jobs/seen_input.h: an encoded input as evaluation had it, beside the same value in the engine.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "lowering/pack/input_codes.h"
#include "qhost/quantizer.h"
#include "runtime/plan.h"

namespace qhost::jobs {

/// Codes that differ: a value that stands on the threshold between the two codes, within 2^-18 of
/// the larger of the threshold and the tensor's largest value, explains it, or nothing does.
struct Differences {
  std::int64_t explained = 0, unexplained = 0;
};

/// The codes of one batch, or its values where they are rounded to 16 bits: there the middle of two
/// numbers is the threshold. Copied to the CPU; `x` must not be overwritten while it lives.
class SeenInput {
 public:
  SeenInput(std::string node, std::size_t edge, const at::Tensor& x, const EncodedInput& encoded);

  const std::string& node() const { return node_; }
  std::size_t edge() const { return edge_; }
  /// uint8, or float32 of rounded values; [N, ...], the channels beside each other.
  const at::Tensor& codes() const { return codes_; }

  /// Whether the engine's arena, after a run of a plan without merging, holds those of image `image`.
  bool is_held(const runtime::Plan::StepPlaces& places, std::byte* arena, std::int64_t image) const;
  Differences explain(const runtime::Plan::StepPlaces& places, std::byte* arena, std::int64_t image,
                      const InputCodes& input) const;
  /// Puts them into the arena.
  void put(const runtime::Plan::StepPlaces& places, std::byte* arena, std::int64_t image) const;

  bool is_rounded() const;
  /// Of one image.
  std::int64_t elements() const { return codes_.numel() / codes_.size(0); }

 private:
  std::string node_;
  std::size_t edge_;
  at::Tensor values_, codes_;
};

}  // namespace qhost::jobs

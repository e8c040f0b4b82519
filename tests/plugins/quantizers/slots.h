/// What tests of slot objects need: slots, contexts, tensors compared bit by bit.
#pragma once

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "qhost/quantizer.h"

namespace qhost::test {

inline SlotInfo conv_weight_slot(std::int64_t out, std::int64_t in, std::int64_t kernel = 3) {
  SlotInfo slot;
  slot.node = "stage1.conv";
  slot.op = Op::conv2d;
  slot.shape = {out, in, kernel, kernel};
  slot.kernel = kernel;
  slot.padding = kernel / 2;
  slot.fan_in = in * kernel * kernel;
  slot.fan_out = out * kernel * kernel;
  return slot;
}

inline SlotInfo linear_weight_slot(std::int64_t out, std::int64_t in) {
  SlotInfo slot;
  slot.node = "classify";
  slot.op = Op::linear;
  slot.shape = {out, in};
  slot.fan_in = in;
  slot.fan_out = out;
  return slot;
}

inline SlotInfo input_slot(Op op, std::vector<std::int64_t> shape) {
  SlotInfo slot;
  slot.node = "stage1.conv";
  slot.op = op;
  slot.role = Role::input;
  slot.shape = std::move(shape);
  return slot;
}

inline SlotContext context_of(const SlotInfo& slot, Mode mode, std::int64_t step = 0) {
  SlotContext context;
  context.slot = &slot;
  context.mode = mode;
  context.step = step;
  context.seed = 5;
  return context;
}

/// Values spread over [-bound, bound], the same in each run.
inline at::Tensor spread(const std::vector<std::int64_t>& shape, double bound,
                         std::uint64_t key = 1) {
  return uniform_like(Random(key), at::empty(shape, at::kFloat)).mul_(2).sub_(1).mul_(bound);
}

inline std::unique_ptr<Quantizer> make(const QuantizerMethod& method,
                                       const std::map<std::string, OptionValue>& given = {}) {
  return method.create(Options::from(method.options, given));
}

inline at::Tensor values(std::vector<float> list) {
  return at::tensor(list, at::kFloat);
}

/// Equal shapes and equal bits: -0 differs from +0.
inline testing::AssertionResult same_bits(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) {
    return testing::AssertionFailure() << "shapes " << a.sizes() << " and " << b.sizes();
  }
  const at::Tensor x = a.detach().contiguous().view(at::kInt);
  const at::Tensor y = b.detach().contiguous().view(at::kInt);
  const auto differing = at::ne(x, y).sum().item<std::int64_t>();
  if (differing == 0) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << differing << " of " << a.numel() << " values differ, by at most "
         << (a - b).abs().max().item<double>();
}

/// dC/dlatent for C = sum(forward(latent) * g).
inline at::Tensor latent_gradient(WeightQuantizer& quantizer, const SlotContext& context,
                                  const at::Tensor& latent, const at::Tensor& g) {
  const at::Tensor leaf = latent.clone().set_requires_grad(true);
  (quantizer.forward(context, leaf) * g).sum().backward();
  return leaf.grad();
}

/// dC/dx for C = sum(forward(x).value * g).
inline at::Tensor input_gradient(InputQuantizer& quantizer, const SlotContext& context,
                                 const at::Tensor& x, const at::Tensor& g) {
  const at::Tensor leaf = x.clone().set_requires_grad(true);
  (quantizer.forward(context, leaf).value * g).sum().backward();
  return leaf.grad();
}

/// The learned tensor or state of that name.
template <typename Slot>
at::Tensor parameter(Slot& slot, const std::string& name) {
  for (const SlotParameter& p : slot.parameters()) {
    if (p.name == name) return p.tensor;
  }
  ADD_FAILURE() << "no parameter " << name;
  return at::zeros({});
}

}  // namespace qhost::test

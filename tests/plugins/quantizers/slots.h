/// Helpers for tests of slot objects: slots, contexts, bit-by-bit comparison of tensors.
#pragma once

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "qhost/error.h"
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

/// Encodes `w` and checks, bit by bit, what every weight slot promises: the announced encoding, the
/// values of forward(), an unchanged latent weight.
inline Encoded stored(WeightQuantizer& quantizer, const SlotInfo& slot, const at::Tensor& w) {
  const at::Tensor before = w.clone();
  const SlotContext context = context_of(slot, Mode::evaluate);
  const Encoded encoded = quantizer.encode(context, w);
  EXPECT_EQ(encoded.encoding, quantizer.encoding(slot));
  EXPECT_EQ(why_invalid(encoded.encoding), "");
  EXPECT_TRUE(same_bits(decode(encoded), quantizer.forward(context, w)));
  EXPECT_TRUE(same_bits(w, before));
  return encoded;
}

/// The same for an input.
inline EncodedInput stored(InputQuantizer& quantizer, const SlotInfo& slot, const at::Tensor& x) {
  const at::Tensor before = x.clone();
  const SlotContext context = context_of(slot, Mode::evaluate);
  const EncodedInput encoded = quantizer.encode(context, x);
  EXPECT_EQ(encoded.codes.encoding, quantizer.encoding(slot));
  EXPECT_EQ(why_invalid(encoded.codes.encoding), "");
  EXPECT_TRUE(same_bits(decode(encoded.codes, 1), quantizer.forward(context, x).value));
  EXPECT_TRUE(same_bits(x, before));
  return encoded;
}

/// Exactly the codes 0 .. count - 1 occur.
inline void expect_each_code(const Encoded& encoded, std::int64_t count) {
  for (std::int64_t code = 0; code < count; ++code) {
    EXPECT_GT(encoded.codes.eq(code).sum().item<int>(), 0) << code << " of " << count;
  }
  EXPECT_LT(encoded.codes.max().item<std::int64_t>(), count);
}

/// The text of the Error that `call` throws; its kind is checked.
template <class Call>
std::string complaint(ErrorKind kind, const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

/// "OPTION: TEXT" of the OptionError that `call` throws.
template <class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const OptionError& error) {
    return error.option() + ": " + error.what();
  }
  ADD_FAILURE() << "nothing was refused";
  return "";
}

/// The parameter of that name: learned tensor or state.
template <typename Slot>
at::Tensor parameter(Slot& slot, const std::string& name) {
  for (const SlotParameter& p : slot.parameters()) {
    if (p.name == name) return p.tensor;
  }
  ADD_FAILURE() << "no parameter " << name;
  return at::zeros({});
}

}  // namespace qhost::test

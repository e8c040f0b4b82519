// qhost/ste.h: values and gradients at and beyond the bounds, in each memory order, and the loop
// over float32 against LibTorch's operations, which float64 takes.
#include "qhost/ste.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "qhost/error.h"
#include "qhost/quantizer.h"

namespace qhost {
namespace {

using testing::HasSubstr;

constexpr float infinity = std::numeric_limits<float>::infinity();

at::Tensor spread(const std::vector<std::int64_t>& shape, double bound, std::uint64_t key = 1) {
  return uniform_like(Random(key), at::empty(shape, at::kFloat)).mul_(2).sub_(1).mul_(bound);
}

at::Tensor floats(const std::vector<float>& list) {
  return at::tensor(list, at::kFloat);
}

at::Tensor bools(const std::vector<float>& list) {
  return floats(list).to(at::kBool);
}

/// Every kind of value, in a number that is no multiple of a vector's or a block's length.
at::Tensor values(const std::vector<std::int64_t>& shape) {
  at::Tensor x = spread(shape, 2.5);
  at::Tensor flat = x.view(-1);
  const float above_one = std::nextafter(1.0F, 2.0F);
  std::int64_t at = 0;
  for (const float value :
       {0.0F, -0.0F, 1.0F, -1.0F, above_one, -above_one, 1e-40F, -1e-40F, infinity, -infinity}) {
    flat[at += 3] = value;
  }
  return x;
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() &&
         at::equal(a.contiguous().view(at::kInt), b.contiguous().view(at::kInt));
}

struct Outcome {
  at::Tensor value, gradient;
};

using Estimator = std::function<at::Tensor(const at::Tensor&)>;

Outcome through(const Estimator& function, const at::Tensor& x, const at::Tensor& outer) {
  const at::Tensor leaf = x.detach().requires_grad_(true);
  const at::Tensor y = function(leaf);
  y.backward(outer);
  return {.value = y.detach(), .gradient = leaf.grad()};
}

void expect_equal_paths(const Estimator& function, const at::Tensor& x, const at::Tensor& outer) {
  const Outcome loop = through(function, x, outer);
  const Outcome operations = through(function, x.to(at::kDouble), outer.to(at::kDouble));
  EXPECT_TRUE(same_bits(loop.value, operations.value.to(at::kFloat)));
  EXPECT_TRUE(loop.gradient.equal(operations.gradient.to(at::kFloat)));
}

/// The text of the Error(internal) that `call` throws.
std::string complaint(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal);
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Ste, BothZerosHaveTheStatedSign) {
  const at::Tensor x = floats({-infinity, -2, -1e-40F, -0.0F, 0.0F, 1e-40F, 3, infinity});
  EXPECT_TRUE(same_bits(ste::sign(x), floats({-1, -1, -1, 1, 1, 1, 1, 1})));
  EXPECT_TRUE(same_bits(ste::sign(x, -1), floats({-1, -1, -1, -1, -1, 1, 1, 1})));
  for (const int of_zero : {+1, -1}) {
    const at::Tensor wanted = ste::sign(x, of_zero);
    EXPECT_TRUE(same_bits(ste::sign(x.to(at::kDouble), of_zero).to(at::kFloat), wanted)) << of_zero;
    EXPECT_TRUE(same_bits(ste::sign_identity(x, of_zero), wanted)) << of_zero;
    EXPECT_TRUE(same_bits(ste::sign_clipped(x, 1, of_zero), wanted)) << of_zero;
    const at::Tensor codes = ste::sign_codes(x, of_zero);
    EXPECT_EQ(codes.scalar_type(), at::kByte);
    Encoding encoding = Encoding::binary(ScaleKind::none, of_zero);
    EXPECT_TRUE(same_bits(decode({.encoding = encoding, .codes = codes}), wanted)) << of_zero;
  }
}

TEST(Ste, TheSignIsOfEachKindOfValueInEachMemoryOrder) {
  const std::vector<std::int64_t> shape = {3, 17, 33, 35};
  const at::Tensor x = values(shape), outer = spread(shape, 1, 3);
  const auto channels_last = at::MemoryFormat::ChannelsLast;
  for (const int of_zero : {+1, -1}) {
    const Estimator clipped = [&](const at::Tensor& v) { return ste::sign_clipped(v, 1, of_zero); };
    expect_equal_paths(clipped, values({3, 7, 5}), spread({3, 7, 5}, 1, 2));
    expect_equal_paths(clipped, x, outer);
    expect_equal_paths(clipped, x.contiguous(channels_last), outer.contiguous(channels_last));
    expect_equal_paths(clipped, x.contiguous(channels_last), outer);  // another order of gradients
    expect_equal_paths(clipped, x.slice(3, 1, 20), outer.slice(3, 1, 20));  // with gaps
    expect_equal_paths(clipped, x, outer.slice(3, 0, 1).expand(shape));
  }
  expect_equal_paths([](const at::Tensor& v) { return ste::sign_identity(v); }, x, outer);
  for (const Estimator& each : std::vector<Estimator>{
           [](const at::Tensor& v) { return ste::sign(v); },
           [](const at::Tensor& v) { return ste::sign_codes(v); },
           [](const at::Tensor& v) { return ste::sign_identity(v); },
           [](const at::Tensor& v) { return ste::sign_clipped(v); },
           [](const at::Tensor& v) { return ste::round_identity(v); },
           [](const at::Tensor& v) { return ste::clip(v, -1, 1); },
       }) {
    const at::Tensor nhwc = x.contiguous(channels_last);
    EXPECT_EQ(each(nhwc).strides(), nhwc.strides());
    EXPECT_TRUE(at::equal(each(nhwc), each(x)));
  }
}

TEST(Ste, TheBoundOfAClippedSignIsInside) {
  const at::Tensor x = values({40});
  const Outcome result =
      through([](const at::Tensor& v) { return ste::sign_clipped(v); }, x, at::ones({40}));
  const float expected[] = {1, 1, 1, 1, 0, 0, 1, 1, 0, 0};
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(result.gradient[3 + 3 * i].item<float>(), expected[i]) << x[3 + 3 * i];
  }
  const at::Tensor half = floats({-0.5F, std::nextafter(0.5F, 1.0F), 0.5F, -0.6F});
  const Outcome narrow = through([](const at::Tensor& v) { return ste::sign_clipped(v, 0.5); },
                                 half, floats({1, 2, 3, 4}));
  EXPECT_TRUE(same_bits(narrow.gradient, floats({1, 0, 3, 0})));
}

TEST(Ste, AMaskedGradientIsZeroAlsoWhereItIsInfinite) {
  const at::Tensor outer = at::full({2}, infinity);
  const Outcome result = through([](const at::Tensor& v) { return ste::sign_clipped(v); },
                                 floats({0.5F, 2.0F}), outer);
  EXPECT_EQ(result.gradient[0].item<float>(), infinity);
  EXPECT_EQ(result.gradient[1].item<float>(), 0);
  // The sign of a 0 is that of a product with 0.
  EXPECT_TRUE(same_bits(ste::masked(floats({-3, 3}), bools({0, 0})), floats({-0.0F, 0})));
}

TEST(Ste, RoundsHalfToEvenAndPassesTheGradient) {
  const at::Tensor x = floats({-1.5F, -0.5F, 0.5F, 1.5F, 2.5F, 2.6F});
  const at::Tensor outer = floats({1, 2, 3, 4, 5, 6});
  const Outcome result =
      through([](const at::Tensor& v) { return ste::round_identity(v); }, x, outer);
  EXPECT_TRUE(at::equal(result.value, floats({-2, 0, 0, 2, 2, 3})));
  EXPECT_TRUE(same_bits(result.gradient, outer));
}

TEST(Ste, TheBoundsOfAClipAreInside) {
  const at::Tensor x = floats({-0.25F, 0, 0.4F, 1, std::nextafter(1.0F, 2.0F), infinity});
  const Estimator unit = [](const at::Tensor& v) { return ste::clip(v, 0, 1); };
  const Outcome result = through(unit, x, at::ones({6}));
  EXPECT_TRUE(same_bits(result.value, floats({0, 0, 0.4F, 1, 1, 1})));
  EXPECT_TRUE(same_bits(result.gradient, floats({0, 1, 1, 1, 0, 0})));
  expect_equal_paths(unit, values({3, 7, 5}), spread({3, 7, 5}, 1, 2));
  EXPECT_TRUE(std::isnan(ste::clip(floats({std::nanf("")}), 0, 1)[0].item<float>()));
}

TEST(Ste, AGivenValueTakesTheGradientOfX) {
  const at::Tensor x = floats({1, 2, 3}).requires_grad_(true), y = floats({7, 8, 9});
  const at::Tensor outer = floats({4, 5, 6});
  const at::Tensor identity = ste::straight_through(x, y);
  EXPECT_TRUE(same_bits(identity.detach(), y));
  EXPECT_FALSE(y.requires_grad()) << "the caller's tensor is another one";
  EXPECT_EQ(identity.data_ptr(), y.data_ptr()) << "no copy";
  identity.backward(outer);
  EXPECT_TRUE(same_bits(x.grad(), outer));

  x.mutable_grad() = at::Tensor();
  ste::straight_through(x, y, bools({1, 0, 1})).backward(outer);
  EXPECT_TRUE(same_bits(x.grad(), floats({4, 0, 6})));
}

TEST(Ste, TheMeanOfAFilterIsRoundedOnceInEachMemoryOrder) {
  const at::Tensor w = spread({24, 128, 3, 3}, 0.05);
  const at::Tensor mean = ste::filter_mean(w);
  ASSERT_EQ(mean.sizes(), at::IntArrayRef({24}));
  const float* data = w.const_data_ptr<float>();
  const std::int64_t n = 128 * 9;
  for (std::int64_t f = 0; f < 24; ++f) {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(data[f * n + i]);
    EXPECT_EQ(mean[f].item<float>(), static_cast<float>(sum / static_cast<double>(n)));
  }
  EXPECT_TRUE(same_bits(ste::filter_mean(w.contiguous(at::MemoryFormat::ChannelsLast)), mean));
  EXPECT_TRUE(
      same_bits(ste::filter_mean(floats({1, 3, -5, 8}).reshape({2, 2})), floats({2, 1.5F})));
  EXPECT_TRUE(same_bits(ste::filter_mean(floats({1, 3})), floats({1, 3})));
}

TEST(Ste, ValuesLieAlongTheirDimension) {
  const at::Tensor w = at::zeros({2, 3, 1, 1});
  EXPECT_EQ(ste::along(floats({4, 5}), w).sizes(), at::IntArrayRef({2, 1, 1, 1}));
  EXPECT_EQ(ste::along(floats({4, 5, 6}), w, 1).sizes(), at::IntArrayRef({1, 3, 1, 1}));
  EXPECT_EQ(ste::along(floats({4}), w).dim(), 0);
  EXPECT_THAT(complaint([&] {
                ste::along(floats({4, 5}), w, 1);
              }),
              HasSubstr("ste::along(): 2 values do not lie along dimension 1 of [2, 3, 1, 1]"));
}

TEST(Ste, WhatCannotBeIsRefused) {
  const at::Tensor none, x = floats({1, 2});
  for (const auto& call : std::vector<std::function<void()>>{
           [&] { ste::sign(none); },
           [&] { ste::sign_codes(none); },
           [&] { ste::sign_identity(none); },
           [&] { ste::sign_clipped(none); },
           [&] { ste::round_identity(none); },
           [&] { ste::clip(none, 0, 1); },
           [&] { ste::straight_through(none, x); },
           [&] { ste::straight_through(x, none); },
           [&] { ste::straight_through(x, x, none); },
           [&] { ste::masked(none, x); },
           [&] { ste::filter_mean(none); },
           [&] { ste::along(none, x); },
       }) {
    EXPECT_THAT(complaint(call), HasSubstr("(): the tensor is undefined"));
  }
  EXPECT_THAT(complaint([&] {
                ste::straight_through(x, floats({1, 2, 3}));
              }),
              HasSubstr("ste::straight_through(): y has the shape [3], x has [2]"));
  EXPECT_THAT(complaint([&] { ste::straight_through(x, x, bools({1})); }),
              HasSubstr("the mask has the shape [1], x has [2]"));
  EXPECT_THAT(complaint([&] { ste::straight_through(x, x, x); }),
              HasSubstr("the mask is Float, not Bool"));
  EXPECT_THAT(complaint([&] { ste::sign(x, 0); }),
              HasSubstr("ste::sign(): of_zero is 0, neither +1 nor -1"));
  EXPECT_THAT(complaint([&] { ste::clip(x, 2, 1); }),
              HasSubstr("ste::clip(): low is 2, above high, which is 1"));
}

}  // namespace
}  // namespace qhost

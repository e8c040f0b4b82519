/// plugins/shared/sign.h: compares the loop for contiguous float32 with LibTorch's operations,
/// which float64 uses.
#include "plugins/shared/sign.h"

#include <cmath>
#include <limits>

#include "slots.h"

namespace qhost::sign {
namespace {

/// All kinds of values; their number is no multiple of a vector's or a block's length.
at::Tensor values(const std::vector<std::int64_t>& shape) {
  at::Tensor x = test::spread(shape, 2.5);
  at::Tensor flat = x.view(-1);
  const float above_one = std::nextafter(1.0F, 2.0F);
  const float special[] = {0.0F,
                           -0.0F,
                           1.0F,
                           -1.0F,
                           above_one,
                           -above_one,
                           1e-40F,
                           -1e-40F,
                           std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity()};
  std::int64_t at = 0;
  for (const float value : special) flat[at += 3] = value;
  return x;
}

struct Outcome {
  at::Tensor sign, gradient;
};

template <class Function>
Outcome through(Function function, const at::Tensor& x, const at::Tensor& outer) {
  const at::Tensor leaf = x.detach().requires_grad_(true);
  const at::Tensor y = function(leaf);
  y.backward(outer);
  return {.sign = y.detach(), .gradient = leaf.grad()};
}

void expect_equal_paths(const at::Tensor& x, const at::Tensor& outer) {
  const Outcome loop = through(sign_hardtanh, x, outer);
  const Outcome operations = through(sign_hardtanh, x.to(at::kDouble), outer.to(at::kDouble));
  EXPECT_TRUE(loop.sign.equal(operations.sign.to(at::kFloat)));
  EXPECT_TRUE(loop.gradient.equal(operations.gradient.to(at::kFloat)));
  EXPECT_TRUE(sign_of(x).equal(loop.sign));
  const Outcome identity = through(sign_identity, x, outer);
  EXPECT_TRUE(identity.sign.equal(loop.sign));
  EXPECT_TRUE(identity.gradient.equal(outer));
}

TEST(Sign, OfEachKindOfValue) {
  const at::Tensor x = values({3, 7, 5});
  expect_equal_paths(x, test::spread({3, 7, 5}, 1, 2));
  const at::Tensor kept = sign_of(x).view(-1);
  EXPECT_EQ(kept[3].item<float>(), 1);  // 0
  EXPECT_EQ(kept[6].item<float>(), 1);  // -0
  EXPECT_EQ(kept[12].item<float>(), -1);
}

TEST(Sign, GradientStopsBeyondOne) {
  const at::Tensor x = values({40});
  const Outcome result = through(sign_hardtanh, x, at::ones({40}));
  const float expected[] = {1, 1, 1, 1, 0, 0, 1, 1, 0, 0};
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(result.gradient[3 + 3 * i].item<float>(), expected[i]) << x[3 + 3 * i];
  }
}

TEST(Sign, AnInfiniteGradientStopsBeyondOne) {
  const at::Tensor outer = at::full({2}, std::numeric_limits<float>::infinity());
  const Outcome result = through(sign_hardtanh, at::tensor({0.5F, 2.0F}), outer);
  EXPECT_EQ(result.gradient[0].item<float>(), std::numeric_limits<float>::infinity());
  EXPECT_EQ(result.gradient[1].item<float>(), 0);
}

TEST(Sign, OfManyBlocksInEachOrderOfMemory) {
  const std::vector<std::int64_t> shape = {3, 17, 33, 35};
  const at::Tensor x = values(shape), outer = test::spread(shape, 1, 3);
  const auto channels_last = at::MemoryFormat::ChannelsLast;
  expect_equal_paths(x, outer);
  expect_equal_paths(x.contiguous(channels_last), outer.contiguous(channels_last));
  expect_equal_paths(x.contiguous(channels_last), outer);        // a gradient in another order
  expect_equal_paths(x.slice(3, 1, 20), outer.slice(3, 1, 20));  // with gaps
  expect_equal_paths(x, outer.slice(3, 0, 1).expand(shape));
  EXPECT_EQ(sign_of(x.contiguous(channels_last)).suggest_memory_format(), channels_last);
}

}  // namespace
}  // namespace qhost::sign

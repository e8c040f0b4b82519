/// levels(), decode() and uniform_like(): codes to numbers.
#include "support.h"

namespace qhost::test {
namespace {

at::Tensor codes(const std::vector<std::int64_t>& values, const std::vector<std::int64_t>& shape) {
  return at::tensor(values).reshape(shape).to(at::kByte);
}
at::Tensor floats(const std::vector<double>& values, const std::vector<std::int64_t>& shape) {
  return at::tensor(values).reshape(shape).to(at::kFloat);
}

TEST(Levels, OfBinaryAndTernaryCodes) {
  const Encoded binary{.encoding = Encoding::binary(ScaleKind::channel),
                       .codes = codes({0, 1, 1, 0}, {2, 2}),
                       .scale = floats({0.5, 3}, {2})};
  EXPECT_TRUE(same_bits(levels(binary), floats({-1, 1, 1, -1}, {2, 2})));
  EXPECT_TRUE(same_bits(decode(binary), floats({-0.5, 0.5, 3, -3}, {2, 2})));
  EXPECT_TRUE(same_bits(decode(binary, 1), floats({-0.5, 3, 0.5, -3}, {2, 2})));
  const Encoded ternary{.encoding = Encoding::ternary(ScaleKind::tensor),
                        .codes = codes({0, 1, 2}, {1, 3}),
                        .scale = at::scalar_tensor(0.25F)};
  EXPECT_TRUE(same_bits(levels(ternary), floats({-1, 0, 1}, {1, 3})));
  EXPECT_TRUE(same_bits(decode(ternary), floats({-0.25, 0, 0.25}, {1, 3})));
}

TEST(Levels, OfUniformCodesCountTheZeroPointInHalfSteps) {
  Encoded e{.encoding = Encoding::uniform(4, ScaleKind::tensor, ZeroPointKind::none),
            .codes = codes({0, 7, 15, 1, 8, 14}, {2, 3}),
            .scale = at::scalar_tensor(0.5F)};
  EXPECT_TRUE(same_bits(levels(e), floats({0, 7, 15, 1, 8, 14}, {2, 3})));
  e.encoding.zero_point = ZeroPointKind::tensor;
  e.zero_point = at::scalar_tensor(15, at::kInt);
  EXPECT_TRUE(same_bits(levels(e), floats({-7.5, -0.5, 7.5, -6.5, 0.5, 6.5}, {2, 3})));
  EXPECT_TRUE(same_bits(decode(e), floats({-3.75, -0.25, 3.75, -3.25, 0.25, 3.25}, {2, 3})));
  e.encoding.zero_point = ZeroPointKind::channel;
  e.zero_point = at::tensor({16, 1}, at::kInt);
  EXPECT_TRUE(same_bits(levels(e), floats({-8, -1, 7, 0.5, 7.5, 13.5}, {2, 3})));
  e.zero_point = at::tensor({0, 2, 30}, at::kInt);
  EXPECT_TRUE(same_bits(levels(e, 1), floats({0, 6, 0, 1, 7, -1}, {2, 3})));
}

TEST(Levels, OfCodebooksPerTensorAndPerChannel) {
  Encoded e{.encoding = Encoding::codebook(4, ScaleKind::none, false),
            .codes = codes({3, 0, 1, 2, 2, 0}, {2, 3}),
            .table = floats({-4, -0.125, 0.5, 9}, {4})};
  EXPECT_TRUE(same_bits(levels(e), floats({9, -4, -0.125, 0.5, 0.5, -4}, {2, 3})));
  EXPECT_TRUE(same_bits(decode(e), levels(e)));
  e.encoding = Encoding::codebook(4, ScaleKind::channel, true);
  e.table = floats({-4, -0.125, 0.5, 9, 10, 11, 12, 13}, {2, 4});
  e.scale = floats({1, 2}, {2});
  EXPECT_TRUE(same_bits(levels(e), floats({9, -4, -0.125, 12, 12, 10}, {2, 3})));
  EXPECT_TRUE(same_bits(decode(e), floats({9, -4, -0.125, 24, 24, 20}, {2, 3})));
  // Inputs are [N, C], so row c of the table belongs to column c.
  e.codes = codes({3, 0, 1, 2}, {2, 2});
  EXPECT_TRUE(same_bits(levels(e, 1), floats({9, 10, -0.125, 12}, {2, 2})));
}

TEST(Levels, OfAnEnsembleSkipTheMembersDimension) {
  Encoded e{.encoding = Encoding::uniform(2, ScaleKind::channel, ZeroPointKind::channel),
            .codes = codes({0, 1, 2, 3, 3, 2, 1, 0}, {2, 2, 2}),
            .scale = floats({1, 10}, {2}),
            .zero_point = at::tensor({1, 2}, at::kInt)};
  e.encoding.ensemble_size = 2;
  EXPECT_TRUE(same_bits(levels(e), floats({-0.5, 0.5, 1, 2, 2.5, 1.5, 0, -1}, {2, 2, 2})));
  EXPECT_TRUE(same_bits(decode(e), floats({-0.5, 0.5, 10, 20, 2.5, 1.5, 0, -10}, {2, 2, 2})));
}

TEST(Levels, OfFloatsAreTheStoredValues) {
  const at::Tensor values = normal({3, 2}, 1);
  const Encoded e{.encoding = Encoding::float32(), .codes = values};
  EXPECT_TRUE(same_bits(decode(e), values));
}

TEST(UniformLike, IsRowMajorWhateverTheLayout) {
  const Random random(77);
  const at::Tensor like = at::zeros({3, 4, 5, 6});
  std::vector<float> numbers(3 * 4 * 5 * 6);
  Random(77).fill_uniform(numbers.data(), numbers.size());
  const at::Tensor plain = uniform_like(random, like);
  EXPECT_TRUE(same_bits(plain, at::from_blob(numbers.data(), {3, 4, 5, 6})));
  const at::Tensor last =
      uniform_like(random, like.to(at::kBFloat16).contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(same_bits(last, plain));
  EXPECT_TRUE(last.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_GE(plain.min().item<float>(), 0);
  EXPECT_LT(plain.max().item<float>(), 1);
  EXPECT_NEAR(plain.mean().item<double>(), 0.5, 0.1);
}

TEST(SlotContext, KeysItsDrawsByNodeRoleEdgePurposeAndStep) {
  SlotInfo info{.node = "conv", .role = Role::weight};
  SlotContext context{.slot = &info, .mode = Mode::train, .step = 4, .seed = 1};
  const std::uint64_t key = context.random("sign").key();
  const auto differs = [&](const std::function<void(SlotInfo&, SlotContext&)>& change) {
    SlotInfo other = info;
    SlotContext now = context;
    now.slot = &other;
    change(other, now);
    return now.random("sign").key() != key;
  };
  EXPECT_FALSE(differs([](SlotInfo&, SlotContext& now) { now.epoch = 3; }));
  EXPECT_TRUE(differs([](SlotInfo&, SlotContext& now) { now.step = 5; }));
  EXPECT_TRUE(differs([](SlotInfo&, SlotContext& now) { now.seed = 2; }));
  EXPECT_TRUE(differs([](SlotInfo& other, SlotContext&) { other.node = "conv2"; }));
  EXPECT_TRUE(differs([](SlotInfo& other, SlotContext&) { other.role = Role::input; }));
  EXPECT_TRUE(differs([](SlotInfo& other, SlotContext&) { other.edge = 1; }));
  EXPECT_TRUE(differs([](SlotInfo&, SlotContext& now) { now.mode = Mode::evaluate; }));
  EXPECT_NE(context.random("round").key(), key);
  context.mode = Mode::evaluate;
  const std::uint64_t evaluation = context.random("sign").key();
  context.step = 9;
  EXPECT_EQ(context.random("sign").key(), evaluation);
  context.member = 1;
  EXPECT_NE(context.random("sign").key(), evaluation);
}

}  // namespace
}  // namespace qhost::test

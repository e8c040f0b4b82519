/// Thresholds of input quantizers, found by asking them.
#include "model/input_codes.h"

#include "packed/halves.h"
#include "support.h"

#include <bit>
#include <limits>

namespace qhost::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr float infinity = std::numeric_limits<float>::infinity();

using Encode = std::function<EncodedInput(const at::Tensor&)>;

PlannedSlot slot(const std::vector<std::int64_t>& shape) {
  PlannedSlot planned;
  planned.info = {
      .node = "conv", .role = Role::input, .shape = shape, .kernel = 3, .stride = 2, .padding = 1};
  if (shape.size() == 1) planned.info.op = Op::linear;
  planned.method = "some";
  return planned;
}

InputCodes found(const Encode& encode, const std::vector<std::int64_t>& shape = {2, 4, 4}) {
  return find_input_codes(slot(shape), [&](const at::Tensor& x) {
    EXPECT_EQ(x.sizes().slice(1), at::IntArrayRef(shape));
    return encode(x);
  });
}

at::Tensor channels(const std::vector<float>& values) {
  return at::tensor(values).reshape({1, -1, 1, 1});
}

/// round(x / scale) + zero, in 0..2^bits-1.
Encode uniform(int bits, const at::Tensor& scale, int zero) {
  return [=](const at::Tensor& x) {
    const bool one = scale.numel() == 1;
    const at::Tensor codes = at::clamp(at::add(at::round(x / scale), zero), 0, (1 << bits) - 1);
    return EncodedInput{
        .codes = {.encoding = Encoding::uniform(bits, one ? ScaleKind::tensor : ScaleKind::channel,
                                                ZeroPointKind::tensor),
                  .codes = codes.to(at::kByte),
                  .scale = one ? scale.reshape({}) : scale.reshape({-1}),
                  .zero_point = at::tensor(2 * zero, at::kInt)}};
  };
}

EncodedInput signs(const at::Tensor& x, const at::Tensor& condition) {
  return {.codes = {.encoding = Encoding::binary(ScaleKind::none),
                    .codes = condition.expand_as(x).to(at::kByte).contiguous()}};
}

/// Whether code j begins exactly at each threshold, by the predecessors of the floats.
void expect_exact(const InputCodes& codes, const Encode& encode, std::int64_t channel) {
  const std::size_t n = static_cast<std::size_t>(codes.codes.count()) - 1;
  const std::size_t row = codes.thresholds.size() > n ? static_cast<std::size_t>(channel) * n : 0;
  for (std::size_t j = 0; j < n; ++j) {
    const float t = codes.thresholds[row + j];
    const auto code = [&](float x) {
      return encode(at::full({1, 2, 4, 4}, x)).codes.codes[0][channel][0][0].item<int>();
    };
    EXPECT_GE(code(t), static_cast<int>(j) + 1);
    EXPECT_LE(code(std::nextafter(t, -infinity)), static_cast<int>(j));
  }
}

TEST(InputCodes, AreTheVeryFloatsAtWhichCodesChange) {
  for (const int bits : {1, 2, 4, 8}) {
    const Encode encode = uniform(bits, at::scalar_tensor(0.037F), 1 << bits >> 2);
    const InputCodes codes = found(encode);
    EXPECT_EQ(codes.refusal, "");
    EXPECT_FALSE(codes.position);
    EXPECT_EQ(codes.codes.encoding,
              Encoding::uniform(bits, ScaleKind::tensor, ZeroPointKind::tensor));
    EXPECT_THAT(codes.codes.scale, ElementsAre(0.037F));
    EXPECT_THAT(codes.codes.zero_point, ElementsAre(2 * (1 << bits >> 2)));
    ASSERT_EQ(codes.thresholds.size(), (std::size_t{1} << bits) - 1);
    expect_exact(codes, encode, 1);
  }
}

TEST(InputCodes, HaveARowForEachChannelWhereTheyDiffer) {
  const Encode encode = uniform(2, channels({0.5F, 3.0F}), 1);
  const InputCodes codes = found(encode);
  ASSERT_EQ(codes.thresholds.size(), 6U) << codes.refusal;
  expect_exact(codes, encode, 0);
  expect_exact(codes, encode, 1);
  EXPECT_THAT(codes.codes.scale, ElementsAre(0.5F, 3.0F));
}

TEST(InputCodes, KnowBothZerosAndTheEnds) {
  const auto threshold = [](const std::function<at::Tensor(const at::Tensor&)>& condition) {
    const InputCodes codes =
        found([&](const at::Tensor& x) { return signs(x, condition(x)); }, {5});
    EXPECT_EQ(codes.refusal, "");
    EXPECT_EQ(codes.thresholds.size(), 1U);
    return codes.thresholds.at(0);
  };
  EXPECT_EQ(threshold([](const at::Tensor& x) { return at::ge(x, 0); }), 0.0F);
  EXPECT_EQ(threshold([](const at::Tensor& x) { return at::gt(x, 0); }),
            std::numeric_limits<float>::denorm_min());
  EXPECT_EQ(threshold([](const at::Tensor& x) { return at::ones_like(x); }), -infinity);
  EXPECT_EQ(threshold([](const at::Tensor& x) { return at::zeros_like(x); }), infinity);
}

TEST(InputCodes, RefuseAScaleOfTheBatch) {
  const InputCodes codes = found([](const at::Tensor& x) {
    const at::Tensor scale = at::add(x.abs().max() / 7, 1e-3);
    return EncodedInput{
        .codes = {.encoding = Encoding::uniform(3, ScaleKind::tensor, ZeroPointKind::none),
                  .codes = at::clamp(at::round(x / scale), 0, 7).to(at::kByte),
                  .scale = scale}};
  });
  EXPECT_EQ(codes.refusal,
            "the method `some` computes its scale from each batch, and a packed network needs "
            "thresholds that stand");
  EXPECT_THAT(codes.help, HasSubstr("choose an option of `some`"));
}

TEST(InputCodes, RefuseWhatDoesNotRise) {
  const auto refusal = [](const std::function<at::Tensor(const at::Tensor&)>& condition) {
    return found([&](const at::Tensor& x) { return signs(x, condition(x)); }).refusal;
  };
  EXPECT_THAT(refusal([](const at::Tensor& x) { return at::lt(x, 0.5); }),
              HasSubstr("the method `some` is no rising step function of each input value"));
  EXPECT_THAT(refusal([](const at::Tensor& x) { return at::gt(at::sin(at::mul(x, 5)), 0); }),
              HasSubstr("no rising step function"));
  EXPECT_THAT(refusal([](const at::Tensor& x) { return at::ge(x, x.mean()); }),
              HasSubstr("no rising step function"));
  // -0 and 0 are the same number.
  EXPECT_THAT(refusal([](const at::Tensor& x) { return at::logical_not(at::signbit(x)); }),
              HasSubstr("no rising step function"));
}

TEST(InputCodes, HoldAFactorPerPositionAgainstItsFormula) {
  const auto with_factor = [](double factor, bool announced) {
    return found([=](const at::Tensor& x) {
      EncodedInput encoded = signs(x, at::ge(x, 0));
      if (announced) encoded.codes.encoding = Encoding::binary(ScaleKind::position);
      encoded.output_scale = SignInput::box_mean(x, slot({2, 4, 4}).info) * factor;
      return encoded;
    });
  };
  const InputCodes codes = with_factor(1, true);
  EXPECT_EQ(codes.refusal, "");
  EXPECT_TRUE(codes.position);
  EXPECT_EQ(codes.codes.encoding, Encoding::binary(ScaleKind::none));
  EXPECT_THAT(with_factor(1.001, true).refusal,
              HasSubstr("by another factor per position than the mean |x| under the kernel"));
  EXPECT_THAT(with_factor(1, false).refusal, HasSubstr("its encoding does not announce"));
}

TEST(InputCodes, RefuseFloats) {
  EXPECT_THAT(found([](const at::Tensor& x) {
                return EncodedInput{.codes = {.encoding = Encoding::float32(), .codes = x}};
              }).refusal,
              HasSubstr("keeps inputs as float32, which are no codes"));
}

TEST(InputCodes, KnowWhatRoundsTo16Bits) {
  for (const auto& [encoding, type] : {std::pair(Encoding::float16(), at::kHalf),
                                       std::pair(Encoding::bfloat16(), at::kBFloat16)}) {
    const auto rounded = [&](const at::Tensor& x, bool lowest_is_zero) {
      at::Tensor y = x.to(type).to(at::kFloat);
      if (lowest_is_zero) y = at::where(at::abs(y) < 1e-7, at::zeros_like(y), y);
      return EncodedInput{.codes = {.encoding = encoding, .codes = y}};
    };
    const InputCodes codes = found([&](const at::Tensor& x) { return rounded(x, false); });
    EXPECT_EQ(codes.refusal, "");
    EXPECT_EQ(codes.rounding, encoding.kind);
    EXPECT_TRUE(codes.thresholds.empty());
    EXPECT_THAT(found([&](const at::Tensor& x) { return rounded(x, true); }).refusal,
                HasSubstr("does not round inputs to the nearest " + to_string(encoding) + ": of "));
  }
}

/// Against LibTorch: each upper half with lower halves on, below and above every middle.
TEST(Halves, AreRoundedAsLibTorchRounds) {
  std::vector<float> values;
  for (std::uint32_t upper = 0; upper < 0x10000; ++upper) {
    for (const std::uint32_t lower : {0U, 1U, 0xFFFU, 0x1000U, 0x1001U, 0x2FFFU, 0x3000U, 0x3001U,
                                      0x7FFFU, 0x8000U, 0x8001U, 0xFFFFU}) {
      values.push_back(std::bit_cast<float>(upper << 16 | lower));
    }
  }
  const at::Tensor x = at::tensor(values);
  for (const auto& [kind, type] :
       {std::pair(CodeKind::float16, at::kHalf), std::pair(CodeKind::bfloat16, at::kBFloat16)}) {
    const at::Tensor wanted = x.to(type).to(at::kFloat).contiguous();
    const auto* w = wanted.const_data_ptr<float>();
    int different = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float got = packed::rounded_to(kind, values[i]);
      const bool same = std::isnan(values[i]) ? std::isnan(got)
                                              : std::bit_cast<std::uint32_t>(got) ==
                                                    std::bit_cast<std::uint32_t>(w[i]);
      different += same ? 0 : 1;
    }
    EXPECT_EQ(different, 0) << to_string(kind);
  }
}

TEST(InputCodes, OfAModelStandUnderNodeAndEdge) {
  const Graph graph = network({2, 8, 8}, 3, [](GraphBuilder& g, Value x) {
    x = g.conv2d("conv", x, {.out_channels = 4, .padding = 1});
    return g.global_average_pool("pool", g.conv2d("last", x, {.out_channels = 3}));
  });
  EXPECT_TRUE(make_model(graph, {})->input_codes({}).empty());
  const auto model = make_model(graph, {input_rule("sign", {"last"}, [](const SlotInfo& info) {
                                  return std::make_unique<SignInput>(info, InputRange::any, true);
                                })});
  const InputCodesByEdge all = model->input_codes({});
  ASSERT_EQ(all.size(), 1U);
  const InputCodes& codes = all.at({"last", 0});
  EXPECT_EQ(codes.refusal, "");
  EXPECT_TRUE(codes.position);
  EXPECT_THAT(codes.thresholds, ElementsAre(0.0F));
}

}  // namespace
}  // namespace qhost::test

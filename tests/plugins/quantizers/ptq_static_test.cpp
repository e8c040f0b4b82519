// Compares the slots of ptq_static with PyTorch's observers and quantizers, and tests them alone.
#include "plugins/ptq/static.h"

#include <limits>

#include "ptq_golden.h"

namespace qhost::ptq {
namespace {

using test::context_of;
using test::conv_weight_slot;
using test::input_slot;
using test::make;
using test::same_bits;
using test::spread;
using test::stored;
using test::values;
using testing::HasSubstr;

const SlotInfo edge = input_slot(Op::conv2d, {5, 8, 8});

Given with(Given base, const Given& more) {
  for (const auto& [key, value] : more) base[key] = value;
  return base;
}

const Given calibrated = {{"observe", std::string("calibration")},
                          {"observer", std::string("min_max")}};

std::unique_ptr<InputQuantizer> input_object(const Given& given) {
  return make(static_method(), given)->input(edge);
}

void calibrate(InputQuantizer& input, const std::vector<at::Tensor>& batches) {
  for (std::size_t i = 0; i < batches.size(); ++i) {
    input.observe(context_of(edge, Mode::calibrate, static_cast<std::int64_t>(i)), batches[i]);
  }
}

std::vector<at::Tensor> batches_of(const json& which) {
  std::vector<at::Tensor> batches;
  for (const json& recipe : which["batches"]) batches.push_back(made(recipe));
  return batches;
}

TEST(PtqStatic, InputsEqualPyTorchsObserversToTheBit) {
  const json document = golden("static");
  ASSERT_GT(document["inputs"].size(), 40U);
  for (const json& which : document["inputs"]) {
    SCOPED_TRACE(which["observer"].get<std::string>() + " " +
                 std::to_string(which["bits"].get<int>()) + " key " +
                 which["batches"][0]["key"].dump());
    const bool symmetric = which["symmetric"].get<bool>();
    const auto input = input_object({
        {"observer", which["observer"].get<std::string>()},
        {"input_bits", which["bits"].get<std::int64_t>()},
        {"input_scheme", std::string(symmetric ? "symmetric" : "affine")},
        {"reduce_range", which["reduce_range"].get<bool>()},
        {"percentile", which["percentile"].get<double>()},
        {"observe", std::string("calibration")},
        {"training", std::string("quantized")},
    });
    const std::vector<at::Tensor> batches = batches_of(which);
    calibrate(*input, batches);
    EXPECT_TRUE(same_bits(parameter(*input, "minimum"), floats(which["minimum"]).reshape({})));
    EXPECT_TRUE(same_bits(parameter(*input, "maximum"), floats(which["maximum"]).reshape({})));

    const at::Tensor x = batches[0].mul(4).set_requires_grad(true);
    const Encoded got = input->encode(context_of(edge, Mode::evaluate), x).codes;
    EXPECT_TRUE(same_bits(got.scale, floats(which["scale"]).reshape({})));
    const std::int64_t offset = symmetric ? std::int64_t{1} << (got.encoding.bits - 1) : 0;
    EXPECT_EQ(got.zero_point.item<std::int64_t>(),
              2 * (which["zero_point"].get<std::int64_t>() + offset));
    const at::Tensor codes = got.codes.reshape({-1}).to(at::kLong).sub(offset);
    EXPECT_EQ(codes.sum().item<std::int64_t>(), which["sum_of_codes"].get<std::int64_t>());
    const auto shown = static_cast<std::int64_t>(which["codes"].size());
    EXPECT_TRUE(at::equal(codes.slice(0, 0, shown),
                          at::tensor(which["codes"].get<std::vector<std::int64_t>>())));
    const at::Tensor y = input->forward(context_of(edge, Mode::train), x).value;
    // PyTorch's values may contain a -0, which no code represents.
    EXPECT_TRUE(same_bits(y.reshape({-1}).slice(0, 0, shown), floats(which["values"]).add(0)));
    EXPECT_TRUE(same_bits(decode(got, 1), y));
    y.sum().backward();
    EXPECT_EQ(x.grad().ne(0).sum().item<std::int64_t>(),
              which["gradients_that_pass"].get<std::int64_t>());
  }
}

TEST(PtqStatic, HistogramsEqualPyTorchsBinByBin) {
  const json document = golden("static");
  for (const json& which : document["histograms"]) {
    const auto input = input_object({{"observer", std::string("histogram")}});
    calibrate(*input, batches_of(which));
    const at::Tensor counts = parameter(*input, "histogram").to(at::kDouble);
    const at::Tensor index = at::arange(counts.numel(), at::kDouble);
    EXPECT_EQ(counts.ne(0).sum().item<std::int64_t>(), which["filled_bins"].get<std::int64_t>());
    const auto exact = [&](const char* key) {
      return std::strtod(which[key].get_ref<const std::string&>().c_str(), nullptr);
    };
    EXPECT_EQ(counts.sum().item<double>(), exact("total"));
    EXPECT_DOUBLE_EQ((counts * index).sum().item<double>(), exact("moment"));
    for (const json& bin : which["first"]) {
      EXPECT_EQ(counts[bin[0].get<std::int64_t>()].item<double>(),
                std::strtod(bin[1].get_ref<const std::string&>().c_str(), nullptr));
    }
  }
}

TEST(PtqStatic, WeightsEqualPyTorchsToTheBit) {
  const json document = golden("static");
  for (const json& which : document["weights"]) {
    const auto bits = which["bits"].get<std::int64_t>();
    const bool per_channel = which["per_channel"].get<bool>();
    const at::Tensor w = made(which["weight"]);
    const SlotInfo slot = conv_weight_slot(w.size(0), w.size(1));
    const auto weight =
        make(static_method(),
             {{"weight_bits", bits},
              {"weight_scale", std::string(per_channel ? "channel" : "tensor")},
              {"weight_range",
               std::string(which["restricted"].get<bool>() ? "restricted" : "full")}})
            ->weight(slot);
    const Encoded got = weight->encode(context_of(slot, Mode::evaluate), w);
    EXPECT_TRUE(same_bits(got.scale.reshape({-1}), floats(which["scale"])));
    EXPECT_EQ(got.scale.dim(), per_channel ? 1 : 0);
    EXPECT_EQ(got.zero_point.item<std::int64_t>(), std::int64_t{1} << bits);
    EXPECT_TRUE(at::equal(levels(got).reshape({-1}).to(at::kLong),
                          at::tensor(which["codes"].get<std::vector<std::int64_t>>())));
    const auto shown = static_cast<std::int64_t>(which["values"].size());
    EXPECT_TRUE(
        same_bits(decode(got).reshape({-1}).slice(0, 0, shown), floats(which["values"]).add(0)));
  }
}

/// `count` values from -bound to bound.
at::Tensor even(double bound, const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t d : shape) count *= d;
  return at::linspace(-bound, bound, count, at::kFloat).reshape(shape);
}

/// The number of uses of each code of a tensor.
at::Tensor uses(const Encoded& encoded) {
  return at::bincount(encoded.codes.reshape({-1}).to(at::kLong));
}

TEST(PtqStatic, WeightsForwardWhatEncodeStoresAndReachEveryLevel) {
  for (std::int64_t bits = 2; bits <= 8; ++bits) {
    for (const std::string scale : {"channel", "tensor"}) {
      for (const std::string range : {"full", "restricted"}) {
        const std::int64_t top = (std::int64_t{1} << (bits - 1)) - 1;
        const bool full = range == "full";
        const SlotInfo slot = conv_weight_slot(5, 64);
        // A scale of exactly 1: the lowest code of the full range is half a step beyond the last
        // multiple of the step, and half a step rounds to even.
        const at::Tensor w = even(static_cast<double>(top) + (full ? 0.5 : 0.0), {1, 64, 3, 3})
                                 .repeat({5, 1, 1, 1})
                                 .contiguous(at::MemoryFormat::ChannelsLast);
        const at::Tensor before = w.clone();
        const auto weight = make(static_method(), {{"weight_bits", bits},
                                                   {"weight_scale", scale},
                                                   {"weight_range", range},
                                                   {"training", std::string("quantized")},
                                                   {"observer", std::string("moving_average")}})
                                ->weight(slot);
        const Encoded got = weight->encode(context_of(slot, Mode::evaluate), w);
        EXPECT_EQ(got.encoding, weight->encoding(slot));
        EXPECT_EQ(why_invalid(got.encoding), "");
        for (const Mode mode : {Mode::train, Mode::evaluate}) {
          EXPECT_TRUE(same_bits(decode(got), weight->forward(context_of(slot, mode), w)));
        }
        EXPECT_TRUE(same_bits(w, before));
        const at::Tensor level = levels(got).to(at::kLong);
        EXPECT_EQ(level.max().item<std::int64_t>(), top);
        EXPECT_EQ(level.min().item<std::int64_t>(), full ? -top - 1 : -top);
        EXPECT_EQ(uses(got).ne(0).sum().item<std::int64_t>(), 2 * top + (full ? 2 : 1));
      }
    }
  }
}

TEST(PtqStatic, InputsForwardWhatEncodeStoresAndReachEveryLevel) {
  for (std::int64_t bits = 2; bits <= 8; ++bits) {
    for (const std::string observer : {"min_max", "moving_average", "histogram", "percentile"}) {
      for (const std::string scheme : {"affine", "symmetric"}) {
        const auto input = input_object({{"input_bits", bits},
                                         {"input_scheme", scheme},
                                         {"observer", observer},
                                         {"search_levels", std::string("bits")}});
        const bool affine = scheme == "affine";
        const double bound = affine ? 2 : static_cast<double>((1 << (bits - 1))) - 0.5;
        const at::Tensor x = even(bound, {4, 5, 8, 8}).add(affine ? 0.7 : 0.0);
        calibrate(*input, {x});
        const SlotContext context = context_of(edge, Mode::evaluate);
        const Encoded got = input->encode(context, x).codes;
        EXPECT_EQ(got.encoding, input->encoding(edge));
        EXPECT_EQ(got.encoding, Encoding::uniform(static_cast<int>(bits), ScaleKind::tensor,
                                                  ZeroPointKind::tensor));
        EXPECT_TRUE(same_bits(decode(got, 1), input->forward(context, x).value));
        EXPECT_EQ(input->range(), InputRange::any);
        const at::Tensor used = uses(got);
        EXPECT_EQ(used.numel(), 1 << bits) << observer << scheme;
        // The rounded edges of a histogram decide whether the lowest signed code, half a step
        // outside, is reached.
        const bool exact = affine || observer == "min_max" || observer == "moving_average";
        EXPECT_GT(used.slice(0, exact ? 0 : 1).min().item<std::int64_t>(), 0)
            << observer << scheme << bits;
      }
    }
  }
}

TEST(PtqStatic, ACalibrationStartsAnewAndEvaluationLeavesTheRange) {
  const auto input = input_object(calibrated);
  calibrate(*input, {at::full({1, 5, 1, 1}, 9.0F, at::kFloat)});
  const at::Tensor x = spread({2, 5, 8, 8}, 1);
  calibrate(*input, {x, x});
  EXPECT_EQ(parameter(*input, "batches").item<float>(), 2.0F);
  EXPECT_EQ(parameter(*input, "maximum").item<float>(), x.max().item<float>());
  const at::Tensor far = x.mul(10);
  for (const Mode mode : {Mode::evaluate, Mode::train}) input->forward(context_of(edge, mode), far);
  input->encode(context_of(edge, Mode::evaluate), far);
  EXPECT_EQ(parameter(*input, "maximum").item<float>(), x.max().item<float>());
}

TEST(PtqStatic, TrainingBatchesMoveTheRangeAndEachEpochStartsAnew) {
  const at::Tensor x = spread({2, 5, 8, 8}, 1), far = x.mul(10);
  const float small = x.max().item<float>(), large = far.max().item<float>();
  for (const std::string observer : {"min_max", "moving_average", "histogram", "percentile"}) {
    SCOPED_TRACE(observer);
    const auto input = input_object({{"observer", observer}, {"averaging_constant", 0.5}});
    calibrate(*input, {x});
    SlotContext context = context_of(edge, Mode::train);
    EXPECT_TRUE(same_bits(input->forward(context, far).value, far));  // training is in float
    const bool averages = observer == "moving_average";
    EXPECT_EQ(parameter(*input, "maximum").item<float>(),
              averages ? small + (large - small) * 0.5F : large);
    input->forward(context, x);
    EXPECT_EQ(parameter(*input, "batches").item<float>(), averages ? 3.0F : 2.0F);
    context.epoch = 1;
    input->forward(context, x);
    EXPECT_EQ(parameter(*input, "batches").item<float>(), averages ? 4.0F : 1.0F);
    if (!averages) {
      EXPECT_EQ(parameter(*input, "maximum").item<float>(), small);
    }
  }
}

TEST(PtqStatic, TheStateOfACheckpointGivesTheSameCodes) {
  for (const std::string observer : {"min_max", "moving_average", "histogram", "percentile"}) {
    const auto input = input_object({{"observer", observer}}),
               resumed = input_object({{"observer", observer}});
    const at::Tensor x = spread({2, 5, 8, 8}, 1).pow(3);
    calibrate(*input, {x, x.mul(2)});
    calibrate(*resumed, {x.mul(0.1)});
    const SlotContext context = context_of(edge, Mode::evaluate);
    const Encoded before = resumed->encode(context, x).codes;
    const Encoded expected = input->encode(context, x).codes;
    for (const SlotParameter& p : input->parameters()) {
      EXPECT_FALSE(p.trainable);
      parameter(*resumed, p.name).copy_(p.tensor);
    }
    EXPECT_TRUE(same_bits(decode(resumed->encode(context, x).codes, 1), decode(expected, 1)));
    EXPECT_FALSE(same_bits(decode(before, 1), decode(expected, 1)));
  }
}

TEST(PtqStatic, TheSearchMayPlaceAsManyLevelsAsThereAre) {
  // With 256 levels it pays to keep two outliers, with 4 it does not.
  const at::Tensor x = spread({4, 5, 8, 8}, 1);
  x[0][0][0].slice(0, 0, 2).fill_(6);
  const auto error = [&](const std::string& levels) {
    const auto input = input_object({{"input_bits", std::int64_t{2}}, {"search_levels", levels}});
    calibrate(*input, {x});
    const Encoded got = input->encode(context_of(edge, Mode::evaluate), x).codes;
    return (decode(got, 1) - x).square().sum().item<double>();
  };
  EXPECT_LT(error("bits"), 0.5 * error("256"));
}

TEST(PtqStatic, ComplaintsNameTheEdgeAndBothNumbers) {
  SlotInfo add = input_slot(Op::add, {5, 8, 8});
  add.node = "stage1.add";
  add.edge = 1;
  const auto input = make(static_method(), calibrated)->input(add);
  const at::Tensor x = spread({2, 5, 8, 8}, 1);
  const SlotContext context = context_of(add, Mode::evaluate);
  EXPECT_THAT(complaint(ErrorKind::configuration, [&] { input->encode(context, x); }),
              testing::AllOf(HasSubstr("ptq_static: input 1 of stage1.add has no range: its "
                                       "observer has seen 0 batches, and needs 1"),
                             HasSubstr("help: calibrate the network")));
  at::Tensor bad = x.clone();
  bad[0][0][0][0] = std::numeric_limits<float>::infinity();
  bad[1][2][3][4] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(
      complaint(ErrorKind::diverged,
                [&] { input->observe(context_of(add, Mode::calibrate), bad); }),
      testing::AllOf(HasSubstr("input 1 of stage1.add holds values that are not finite, 2 of 640"),
                     HasSubstr("help: lower the learning rate")));
  input->observe(context_of(add, Mode::calibrate), x);
  EXPECT_THAT(complaint(ErrorKind::diverged, [&] { input->encode(context, bad); }),
              HasSubstr("not finite"));
  bad[1][2][3][4] = 0;  // only the infinity saturates
  EXPECT_EQ(input->encode(context, bad).codes.codes[0][0][0][0].item<int>(), 255);
}

// torch.ao.quantization's observers give eps, 2^-23, for a range from 0 to 0.
TEST(PtqStatic, WhatIsZeroThroughoutIsExactWithTheSmallestScale) {
  const float eps = std::numeric_limits<float>::epsilon();
  const SlotInfo slot = conv_weight_slot(2, 2);
  for (const char* scale : {"tensor", "channel"}) {
    const auto weight = make(static_method(), {{"weight_scale", std::string(scale)}})->weight(slot);
    const Encoded dead = stored(*weight, slot, at::zeros(slot.shape));
    EXPECT_TRUE(at::all(dead.scale.eq(eps)).item<bool>());
    EXPECT_TRUE(at::all(decode(dead).eq(0)).item<bool>());
  }
  for (const char* observer : {"min_max", "moving_average", "histogram", "percentile"}) {
    for (const char* scheme : {"affine", "symmetric"}) {
      SCOPED_TRACE(std::string(observer) + " " + scheme);
      const auto input = input_object(
          {{"observer", std::string(observer)}, {"input_scheme", std::string(scheme)}});
      const at::Tensor zeros = at::zeros({2, 5, 8, 8});
      calibrate(*input, {zeros, zeros});
      const Encoded dead = stored(*input, edge, zeros).codes;
      EXPECT_EQ(dead.scale.item<float>(), eps);
      EXPECT_EQ(dead.zero_point.item<int>(), std::string(scheme) == "affine" ? 0 : 256);
      EXPECT_TRUE(at::all(decode(dead, 1).eq(0)).item<bool>());
      // A dead layer may become active again; the moving average is slow to follow.
      if (std::string(observer) == "moving_average") continue;
      const at::Tensor x = spread({2, 5, 8, 8}, 1);
      calibrate(*input, {zeros, x});
      EXPECT_LT((decode(stored(*input, edge, x).codes, 1) - x).abs().median().item<double>(), 0.05);
    }
  }
}

TEST(PtqStatic, OptionsThatDoNotFitAreRefused) {
  const auto refused = [](const Given& given) {
    return refusal([&] { make(static_method(), given); });
  };
  EXPECT_EQ(refused({{"weight_bits", std::int64_t{1}}}), "weight_bits: 1 is below the minimum 2");
  EXPECT_EQ(refused({{"input_bits", std::int64_t{9}}}), "input_bits: 9 is above the maximum 8");
  EXPECT_THAT(refused({{"input_bits", std::int64_t{2}}, {"reduce_range", true}}),
              testing::StartsWith("reduce_range: reduce_range takes one of input_bits = 2 and "
                                  "leaves 1"));
  EXPECT_THAT(refused({{"training", std::string("quantized")}}),
              testing::AllOf(testing::StartsWith("observer: observer = \"histogram\" with "
                                                 "observe = \"training\""),
                             HasSubstr("help: set observer = \"moving_average\"")));
  EXPECT_NO_THROW(
      make(static_method(), with(calibrated, {{"training", std::string("quantized")}})));
}

TEST(PtqStatic, TraitsAndSlotsFollowTheOptions) {
  const auto plain = make(static_method());
  EXPECT_TRUE(plain->traits().fold_batch_norm);
  EXPECT_TRUE(plain->traits().needs_calibration);
  EXPECT_FALSE(make(static_method(), {{"fold_batch_norm", false}})->traits().fold_batch_norm);
  const SlotInfo add = input_slot(Op::add, {1}), pool = input_slot(Op::max_pool, {1});
  EXPECT_NE(plain->input(add), nullptr);
  EXPECT_NE(plain->input(pool), nullptr);
  const auto narrow = make(static_method(), {{"joins", false}, {"pools", false}});
  EXPECT_EQ(narrow->input(add), nullptr);
  EXPECT_EQ(narrow->input(pool), nullptr);
  EXPECT_NE(narrow->input(edge), nullptr);
}

}  // namespace
}  // namespace qhost::ptq

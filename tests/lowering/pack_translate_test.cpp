#include "lowering/pack/translate.h"

#include <cmath>

#include "lowering/lower.h"
#include "lowering/pack/pack.h"
#include "lowering/pack/passes/drop_dead_steps.h"
#include "lowering/pack/passes/fold_affine.h"
#include "lowering/pack/passes/integer_thresholds.h"
#include "pack_support.h"
#include "support.h"

namespace qhost::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

InputCodes sign_input() {
  return {.codes = binary(), .thresholds = {0.0F}};
}

/// Every tensor of the graph has contents: floats 1, 2, ... or some codes, and scales.
void fill(InferenceGraph& graph) {
  for (auto& [name, tensor] : graph.tensors) {
    if (tensor.encoding.is_float()) {
      std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i + 1);
      tensor = float_tensor(tensor.shape, values);
      continue;
    }
    const Encoding encoding = tensor.encoding;
    tensor = some_weight({.encoding = encoding}, tensor.shape);
    tensor.scale.assign(encoding.scale == ScaleKind::channel
                            ? static_cast<std::size_t>(tensor.channels())
                            : encoding.scale == ScaleKind::tensor,
                        0.1F);
  }
}

InferenceGraph lowered(const Graph& graph, const LayerPlans& plans) {
  InferenceGraph result = lower(start_graph(graph, plans), Purpose::evaluation);
  fill(result);
  return result;
}

LayerPlan coded(const Encoding& weight, std::vector<EdgePlan> edges = {}) {
  return {.weight = weight, .weight_method = "m", .edges = std::move(edges)};
}
EdgePlan edge(const Encoding& encoding, double padding = 0) {
  return {.encoding = encoding, .method = "m", .padding_value = padding};
}

TEST(Translate, MakesABatchNormAnAffineInFloats) {
  const InferenceGraph graph = lowered(conv_bn_relu({.epsilon = 1e-3}), {});
  const Program program = packing::translate(graph, {});
  EXPECT_THAT(lines(program),
              ElementsAre("input:", "conv: input", "bn: conv", "relu: bn", "pool: relu"));
  const Step& bn = at(program, "bn");
  EXPECT_EQ(bn.op, StepOp::affine);
  for (std::size_t c = 0; c < 3; ++c) {
    // Every parameter is c + 1.
    const auto p = static_cast<float>(c + 1);
    const float a = p * static_cast<float>(1 / std::sqrt(static_cast<double>(p + 1e-3F)));
    EXPECT_EQ(bn.scale[c], a);
    EXPECT_EQ(bn.bias[c], std::fma(-p, a, p));
  }
  EXPECT_EQ(packed::why_invalid(program), "");
}

TEST(Translate, TakesTheScalesOutOfTheCodes) {
  InputCodes input{.codes = uniform(2), .thresholds = {1, 2, 3}};
  input.codes.encoding.scale = ScaleKind::tensor;
  input.codes.scale = {0.3F};
  const InferenceGraph graph = lowered(
      conv_bn_relu(),
      {{"conv", coded(Encoding::binary(ScaleKind::channel, -1), {edge(input.codes.encoding)})}});
  const Program program = packing::translate(graph, {{{"conv", 0}, input}});
  EXPECT_THAT(lines(program), ElementsAre("input:", "input/encode: input", "conv: input/encode",
                                          "bn: conv", "relu: bn", "pool: relu"));
  const Step& conv_step = at(program, "conv");
  EXPECT_THAT(conv_step.scale, ElementsAre(0.1F * 0.3F, 0.1F * 0.3F, 0.1F * 0.3F));
  EXPECT_EQ(conv_step.weight->encoding, Encoding::binary(ScaleKind::none));
  EXPECT_TRUE(conv_step.bias.empty());
  EXPECT_EQ(at(program, "input/encode").codes, input.codes);
}

TEST(Translate, SharesEncodesAndKnowsPositionsAndPaddings) {
  const Graph network_graph = network({{2, 4, 4}}, [](GraphBuilder& g, Value x) {
    const Value a = g.conv2d("a", x, {.out_channels = 2, .padding = 1});
    const Value b = g.conv2d("b", x, {.out_channels = 2, .padding = 1});
    return g.global_average_pool("pool", g.add("sum", a, b));
  });
  const Encoding sign = Encoding::binary(ScaleKind::none);
  const Encoding position = Encoding::binary(ScaleKind::position);
  const InferenceGraph graph =
      lowered(network_graph, {{"a", coded(sign, {edge(sign, 1)})},
                              {"b", coded(sign, {edge(position)})},
                              {"sum", {.edges = {edge(sign), edge(sign)}}}});
  InputCodes with_position = sign_input();
  with_position.position = true;
  const Program program = packing::translate(graph, {{{"a", 0}, sign_input()},
                                                     {{"b", 0}, with_position},
                                                     {{"sum", 0}, sign_input()},
                                                     {{"sum", 1}, sign_input()}});
  EXPECT_THAT(lines(program), ElementsAre("input:", "input/encode: input", "a: input/encode",
                                          "b: input/encode input", "a/encode: a",
                                          "a/decode: a/encode", "b/encode: b", "b/decode: b/encode",
                                          "sum: a/decode b/decode", "pool: sum"));
  EXPECT_EQ(at(program, "a").padding_level, 1);
  EXPECT_TRUE(at(program, "b").position);
  EXPECT_EQ(packed::why_invalid(program), "");
}

TEST(Translate, DecodesInputsWithAScalePerChannel) {
  InputCodes input{.codes = binary(), .thresholds = {0, 0}};
  input.codes.encoding.scale = ScaleKind::channel;
  input.codes.scale = {0.5F, 2};
  const InferenceGraph graph = lowered(
      conv_bn_relu(),
      {{"conv", coded(Encoding::ternary(ScaleKind::tensor), {edge(input.codes.encoding)})}});
  const Program program = packing::translate(graph, {{{"conv", 0}, input}});
  EXPECT_THAT(lines(program),
              ElementsAre("input:", "input/encode: input", "input/decode: input/encode",
                          "conv: input/decode", "bn: conv", "relu: bn", "pool: relu"));
  EXPECT_THAT(at(program, "conv").scale, ElementsAre(0.1F));
}

TEST(Pack, NamesEveryNodeWithoutAPackedForm) {
  const Graph two = network({{2, 4, 4}}, [](GraphBuilder& g, Value x) {
    x = g.conv2d("a", x, {.out_channels = 2});
    return g.global_average_pool("pool", g.conv2d("b", x, {.out_channels = 2, .kernel = 1}));
  });
  const Encoding sign = Encoding::binary(ScaleKind::none);
  InferenceGraph graph =
      lowered(two, {{"a", coded(sign, {edge(sign)})}, {"b", coded(sign, {edge(sign)})}});
  const InputCodes refused{.refusal = "the method `m` guesses", .help = "do not guess"};
  graph.networks = 3;
  try {
    pack(graph, {{{"a", 0}, refused}, {{"b", 0}, refused}});
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    EXPECT_STREQ(error.what(),
                 "the network has no packed form:\n"
                 "  the network: evaluation averages the outputs of 3 networks\n"
                 "  a, input 0: the method `m` guesses\n"
                 "  b, input 0: the method `m` guesses\n"
                 "help: choose an option of the method that evaluates one network\n"
                 "help: do not guess");
  }
}

TEST(Pack, RefusesWhatIsNotFinite) {
  InferenceGraph graph = lowered(conv_bn_relu(), {});
  const std::vector<float> values = {1, std::nanf(""), 1};
  graph.tensors.at("bn.bias") = float_tensor({3}, values);
  try {
    pack(graph, {});
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("bn: its bias holds values that are not finite"));
  }
}

TEST(Pack, CarriesOutEveryPass) {
  const Encoding sign = Encoding::binary(ScaleKind::none);
  const Graph two = network({{2, 4, 4}}, [](GraphBuilder& g, Value x) {
    x = g.conv2d("a", x, {.out_channels = 2});
    x = g.relu("relu", g.batch_norm("bn", x));
    x = g.batch_norm("bn2", g.conv2d("b", x, {.out_channels = 2, .kernel = 1}));
    return g.global_average_pool("pool", x);
  });
  const InferenceGraph graph =
      lowered(two, {{"a", coded(sign, {edge(sign)})}, {"b", coded(sign, {edge(sign)})}});
  const Program program = pack(graph, {{{"a", 0}, sign_input()}, {{"b", 0}, sign_input()}});
  EXPECT_THAT(lines(program),
              ElementsAre("input:", "input/encode: input", "a: input/encode", "b: a", "pool: b"));
  EXPECT_EQ(at(program, "a").sum_thresholds.size(), 2U);
  EXPECT_EQ(at(program, "b").scale.size(), 2U);
  expect_same_outputs(program, program);
}

TEST(Pack, TakesThresholdsOfSumsFromWhatEvaluationRounds) {
  const Encoding sign = Encoding::binary(ScaleKind::channel);
  const Encoding bare = Encoding::binary(ScaleKind::none);
  const Graph two = network({{2, 4, 4}}, [](GraphBuilder& g, Value x) {
    x = g.batch_norm("bn", g.conv2d("a", x, {.out_channels = 64, .kernel = 1}));
    return g.global_average_pool("pool", g.conv2d("b", x, {.out_channels = 2, .kernel = 1}));
  });
  InferenceGraph graph =
      lowered(two, {{"a", coded(sign, {edge(bare)})}, {"b", coded(bare, {edge(bare)})}});
  // With a sum of 2 each channel stands at its threshold, but for what was rounded.
  std::vector<float>& scale = graph.tensors.at("a.weight").scale;
  for (std::size_t c = 0; c < scale.size(); ++c) scale[c] = 0.1F + 0.01F * static_cast<float>(c);
  const std::vector<float> zeros(64, 0.0F);
  graph.tensors.at("bn.running_mean") = float_tensor({64}, zeros);
  const InputCodesByEdge inputs = {{{"a", 0}, sign_input()}, {{"b", 0}, sign_input()}};
  const std::vector<float> factor = at(packing::translate(graph, inputs), "bn").scale;
  std::vector<float> shift;
  for (std::size_t c = 0; c < scale.size(); ++c) shift.push_back(-(2 * scale[c] * factor[c]));
  graph.tensors.at("bn.bias") = float_tensor({64}, shift);
  Program wanted = packing::translate(graph, inputs), other = wanted;
  packing::integer_thresholds(wanted);
  packing::fold_affine(other);
  packing::drop_dead_steps(other);
  packing::integer_thresholds(other);
  ASSERT_EQ(at(other, "a").sum_thresholds.size(), 64U);
  ASSERT_NE(at(wanted, "a").sum_thresholds, at(other, "a").sum_thresholds);
  EXPECT_EQ(at(pack(graph, inputs), "a").sum_thresholds, at(wanted, "a").sum_thresholds);
}

}  // namespace
}  // namespace qhost::test

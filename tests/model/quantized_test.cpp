/// Quantized slots: evaluation on codes, folded batch norms, elided ReLUs, output scales, ensembles
/// and phases. Each is compared with its formula.
#include <nlohmann/json.hpp>

#include "graph/inference_graph_json.h"
#include "support.h"

namespace qhost::test {
namespace {

using Strings = std::vector<std::string>;

/// One convolution over the whole image: its outputs are the logits.
Graph one_convolution(bool bias) {
  return network({6, 5, 5}, 7, [&](GraphBuilder& g, Value x) {
    return g.flatten("flat", g.conv2d("conv", x, {.out_channels = 7, .kernel = 5, .bias = bias}));
  });
}

TEST(Evaluation, OfBinaryWeightsEqualsTheConvolutionWithTheDecodedOnes) {
  const Graph graph = network({6, 8, 8}, 5, [](GraphBuilder& g, Value x) {
    Value y = g.conv2d("conv", x, {.out_channels = 8, .padding = 1, .groups = 2, .bias = true});
    y = g.relu("relu", g.batch_norm("bn", y));
    return g.linear("fc", g.global_average_pool("pool", y), {.out_features = 5});
  });
  for (const bool channels_last : {true, false}) {
    const auto model = make_model(graph, {weight_rule<BinaryWeight>("binary", {})},
                                  {.channels_last = channels_last});
    const at::Tensor x = in_layout(normal({4, 6, 8, 8}, 1), channels_last);
    model->train(x, {});
    const at::Tensor got = model->evaluate(x, {});
    auto p = copy_of_state(*model);
    const auto encoded = model->encoded_weights({});
    ASSERT_EQ(encoded.size(), 2U);
    EXPECT_EQ(encoded.at("conv").encoding, Encoding::binary(ScaleKind::channel));
    at::Tensor y =
        at::conv2d(x, decode(encoded.at("conv")), p["conv.bias"], {1, 1}, {1, 1}, {1, 1}, 2);
    y = at::relu(at::batch_norm(y, p["bn.weight"], p["bn.bias"], p["bn.running_mean"],
                                p["bn.running_var"], false, 0.1, 1e-5, true));
    y = at::linear(y.mean({2, 3}), decode(encoded.at("fc")), p["fc.bias"]);
    EXPECT_TRUE(close(got, y, 1e-5));
    // The codes matter: the float network gives another result.
    EXPECT_FALSE(close(got, make_model(graph, {})->evaluate(x, {}), 1e-2));
  }
}

/// +-1 with a border of its own.
class PaddedSign : public SignInput {
 public:
  PaddedSign(const SlotInfo& slot, double border)
      : SignInput(slot, InputRange::any, false), border_(border) {}
  double padding_value() const override { return border_; }

 private:
  double border_;
};

TEST(PaddingValue, StandsAroundTheCodesInTrainingAndEvaluation) {
  const Graph graph = network({3, 6, 5}, 4, [](GraphBuilder& g, Value x) {
    Value y = g.conv2d(
        "conv", x, {.out_channels = 4, .kernel = 3, .stride = 2, .padding = {1, 2}, .bias = true});
    return g.global_average_pool("pool", y);
  });
  const at::Tensor x = in_layout(normal({2, 3, 6, 5}, 3), true);
  for (const double border : {0.0, 1.0, -1.0}) {
    const auto model = make_model(graph, {weight_rule<BinaryWeight>("binary", {}),
                                          input_rule("sign", {"conv"}, [&](const SlotInfo& slot) {
                                            return std::make_unique<PaddedSign>(slot, border);
                                          })});
    auto p = copy_of_state(*model);
    const at::Tensor sign = at::ge(x, 0).to(at::kFloat).mul(2).sub(1);
    const at::Tensor framed = at::full({2, 3, 8, 9}, border);
    framed.slice(2, 1, 7).slice(3, 2, 7).copy_(sign);
    const at::Tensor wanted =
        at::conv2d(framed, decode(model->encoded_weights({}).at("conv")), p["conv.bias"], {2, 2})
            .mean({2, 3});
    EXPECT_TRUE(close(model->evaluate(x, {}), wanted, 1e-5)) << border;
    EXPECT_TRUE(close(model->train(x, {}), wanted, 1e-5)) << border;
    const InferenceGraph stored = model->inference_graph({});
    EXPECT_EQ(stored.node(stored.find("conv")).inputs[0].padding_value, border);
    const InferenceGraph read = read_inference_graph(to_json(stored), tensor_bytes(stored), "file");
    EXPECT_EQ(read.node(read.find("conv")).inputs[0].padding_value, border);
  }
}

/// Its levels are not its values: nothing can be put between them.
class PaddedUniform : public UniformInput {
 public:
  PaddedUniform() : UniformInput(0.5F, 0) {}
  double padding_value() const override { return 1; }
};

TEST(PaddingValue, NeedsAnEncodingWithoutAScale) {
  const auto build = [] {
    make_model(one_convolution(false), {input_rule("uniform", {"conv"}, [](const SlotInfo&) {
                 return std::make_unique<PaddedUniform>();
               })});
  };
  EXPECT_THAT(
      error_of(ErrorKind::plugin, build),
      ::testing::HasSubstr("it gives 1, and its encoding is uniform 8 bit, scale per tensor, "
                           "zero point per tensor: a padding value needs one without a scale"));
}

TEST(Evaluation, MultipliesIntegerAccumulatorsByTheScalesAndAddsTheBias) {
  const float step = 0.037F;
  const int zero_point = 257;  // 128.5 steps
  const auto model =
      make_model(one_convolution(true), {weight_rule<BinaryWeight>("binary", {}),
                                         input_rule("uniform", {"conv"}, [&](const SlotInfo&) {
                                           return std::make_unique<UniformInput>(step, zero_point);
                                         })});
  set(*model, "conv.bias", normal({7}, 8));
  const at::Tensor x = in_layout(normal({3, 6, 5, 5}, 2), true);
  const at::Tensor latent = tensor_of(*model, "conv.weight").detach();
  // In double, every sum of half steps is exact.
  const at::Tensor codes = x.div(step).add(zero_point * 0.5).round().clamp(0, 255);
  EXPECT_GT(codes.max().item<double>() - codes.min().item<double>(), 50);
  const at::Tensor sums = at::conv2d(codes.to(at::kDouble).sub(zero_point * 0.5),
                                     at::ge(latent, 0).to(at::kDouble).mul(2).sub(1));
  EXPECT_TRUE(at::equal(sums.mul(2), sums.mul(2).round()));
  const at::Tensor scale = latent.flatten(1).abs().mean(1).reshape({1, -1, 1, 1}) * step;
  const at::Tensor wanted =
      sums.to(at::kFloat)
          .mul(scale)
          .add(tensor_of(*model, "conv.bias").detach().reshape({1, -1, 1, 1}));
  EXPECT_TRUE(same_bits(model->evaluate(x, {}), wanted.flatten(1)));
}

TEST(Evaluation, OfAnAddReadsTheDecodedValuesOfEachEdge) {
  const Graph graph = network({6}, 6, [](GraphBuilder& g, Value x) {
    return g.add("sum", x, g.activation("tanh", x, {.kind = Activation::tanh}));
  });
  const auto model =
      make_model(graph, {input_rule("uniform", {"sum"}, [](const SlotInfo& slot) {
                   return std::make_unique<UniformInput>(slot.edge == 0 ? 0.5F : 0.125F, 256);
                 })});
  const at::Tensor x = normal({4, 6}, 3);
  const at::Tensor wanted = x.div(0.5).round().mul(0.5) + at::tanh(x).div(0.125).round().mul(0.125);
  EXPECT_TRUE(same_bits(model->evaluate(x, {}), wanted));
  EXPECT_TRUE(same_bits(model->train(x, {}).detach(), wanted));

  model->record_code_use();
  model->evaluate(at::zeros({4, 6}), {});
  ASSERT_EQ(model->code_use().size(), 2U);
  EXPECT_EQ(model->code_use()[0].slot, "sum/input");
  EXPECT_EQ(model->code_use()[1].slot, "sum/input1");
  EXPECT_EQ(model->code_use()[0].most_frequent_share, 1);
  model->record_code_use();
  model->evaluate(at::arange(24).reshape({4, 6}).to(at::kFloat), {});
  EXPECT_EQ(model->code_use()[0].most_frequent_share, 1.0 / 24);
}

TEST(OutputScale, MultipliesEachPositionBeforeTheBias) {
  const auto rule = [](const SlotInfo& slot) {
    return std::make_unique<SignInput>(slot, InputRange::any, true);
  };
  const Graph graph = network({4, 7, 7}, 3 * 16, [](GraphBuilder& g, Value x) {
    return g.flatten(
        "flat", g.conv2d("conv", x, {.out_channels = 3, .stride = 2, .padding = 1, .bias = true}));
  });
  const auto model = make_model(
      graph, {weight_rule<BinaryWeight>("binary", {}), input_rule("sign", {"conv"}, rule)});
  set(*model, "conv.bias", normal({3}, 5));
  const at::Tensor x = in_layout(normal({2, 4, 7, 7}, 4), true);
  const SlotInfo& slot = model->plan().find(1, Role::input)->info;
  const at::Tensor k = SignInput::box_mean(x, slot);
  EXPECT_EQ(k.sizes(), at::IntArrayRef({2, 1, 4, 4}));
  const at::Tensor latent = tensor_of(*model, "conv.weight").detach();
  const at::Tensor bias = tensor_of(*model, "conv.bias").detach().reshape({1, -1, 1, 1});
  const auto signs = [](const at::Tensor& t) { return at::ge(t, 0).to(at::kFloat).mul(2).sub(1); };
  const at::Tensor scale = latent.flatten(1).abs().mean(1).reshape({1, -1, 1, 1});
  const at::Tensor sums = at::conv2d(signs(x), signs(latent), {}, {2, 2}, {1, 1});
  EXPECT_TRUE(same_bits(model->evaluate(x, {}), (sums * scale * k + bias).flatten(1)));

  const at::Tensor trained =
      at::conv2d(signs(x), signs(latent) * scale.reshape({-1, 1, 1, 1}), {}, {2, 2}, {1, 1});
  EXPECT_TRUE(same_bits(model->train(x, {}).detach(), (trained * k + bias).flatten(1)));

  const Graph sum = network({4}, 4, [](GraphBuilder& g, Value y) { return g.add("sum", y, y); });
  const auto adds = make_model(sum, {input_rule("sign", {"sum"}, [](const SlotInfo& at) {
                                 SlotInfo unit = at;
                                 unit.kernel = unit.stride = 1;
                                 unit.padding = 0;
                                 return std::make_unique<SignInput>(unit, InputRange::any, true);
                               })});
  EXPECT_THAT(error_of(ErrorKind::plugin,
                       [&] {
                         adds->train(normal({2, 4, 1, 1}, 1), {});
                       }),
              ::testing::StartsWith("method `sign` broke its word in forward() for input 0 of sum: "
                                    "it gives an output scale for the input of add, which has "
                                    "none\nhelp: "));
}

class Folded : public ::testing::Test {
 protected:
  static Graph graph() {
    return network({5, 6, 6}, 4, [](GraphBuilder& g, Value x) {
      Value y = g.conv2d("conv", x, {.out_channels = 4, .padding = 1, .bias = true});
      y = g.relu("relu", g.batch_norm("bn", y, {.epsilon = 1e-3}));
      return g.global_average_pool("pool", y);
    });
  }
  /// A batch norm that is not the identity.
  static void disturb(Model& model) {
    auto state = copy_of_state(model);
    state["conv.bias"] = normal({4}, 20);
    state["bn.weight"] = normal({4}, 21);
    state["bn.bias"] = normal({4}, 22);
    state["bn.running_mean"] = normal({4}, 23);
    state["bn.running_var"] = normal({4}, 24).square().add(0.5);
    model.load(state);
  }
  const Traits traits{.fold_batch_norm = true};
  const at::Tensor x = in_layout(normal({3, 5, 6, 6}, 1), true);
};

TEST_F(Folded, EvaluatesAsConvolutionAndBatchNorm) {
  const auto plain = make_model(graph(), {});
  const auto folded = make_model(graph(), {weight_rule<IdentityWeight>("identity", traits)});
  disturb(*plain);
  disturb(*folded);
  ASSERT_EQ(folded->plan().slots.at(0).folded_batch_norm, 2);
  EXPECT_TRUE(close(folded->evaluate(x, {}), plain->evaluate(x, {}), 1e-5));
}

TEST_F(Folded, EvaluatesWithTheDecodedFoldedWeight) {
  const auto model = make_model(graph(), {weight_rule<BinaryWeight>("binary", traits)});
  disturb(*model);
  auto p = copy_of_state(*model);
  const at::Tensor factor = p["bn.weight"] * at::rsqrt(p["bn.running_var"] + 1e-3);
  const at::Tensor folded = p["conv.weight"] * factor.reshape({-1, 1, 1, 1});
  const at::Tensor signs = at::ge(folded, 0).to(at::kFloat).mul(2).sub(1);
  const at::Tensor weight = signs * folded.flatten(1).abs().mean(1).reshape({-1, 1, 1, 1});
  EXPECT_TRUE(same_bits(decode(model->encoded_weights({}).at("conv")), weight));
  const at::Tensor bias = p["bn.bias"] + (p["conv.bias"] - p["bn.running_mean"]) * factor;
  const at::Tensor wanted = at::relu(at::conv2d(x, weight, bias, {1, 1}, {1, 1})).mean({2, 3});
  EXPECT_TRUE(close(model->evaluate(x, {}), wanted, 1e-5));
}

TEST_F(Folded, TrainsByTheFormula) {
  const auto model = make_model(graph(), {weight_rule<BinaryWeight>("binary", traits)});
  disturb(*model);
  auto p = copy_of_state(*model);
  for (const char* name : {"conv.weight", "conv.bias", "bn.weight", "bn.bias"}) {
    p.at(name).set_requires_grad(true);
  }
  const at::Tensor factor = p["bn.weight"] * at::rsqrt(p["bn.running_var"] + 1e-3);
  const at::Tensor folded = p["conv.weight"] * factor.reshape({-1, 1, 1, 1});
  const at::Tensor plain = folded.detach();
  const at::Tensor weight =
      straight_through(folded, at::ge(plain, 0).to(at::kFloat).mul(2).sub(1) *
                                   plain.flatten(1).abs().mean(1).reshape({-1, 1, 1, 1}));
  at::Tensor y = at::conv2d(x, weight, {}, {1, 1}, {1, 1}) / factor.reshape({1, -1, 1, 1}) +
                 p["conv.bias"].reshape({1, -1, 1, 1});
  y = at::batch_norm(y, p["bn.weight"], p["bn.bias"], p["bn.running_mean"], p["bn.running_var"],
                     true, 0.1, 1e-3, true);
  const at::Tensor wanted = at::adaptive_avg_pool2d(at::relu(y), {1, 1}).flatten(1);
  const at::Tensor got = model->train(x, {});
  EXPECT_TRUE(same_bits(got, wanted));
  const at::Tensor seed = normal({3, 4}, 6);
  (got * seed).sum().backward();
  (wanted * seed).sum().backward();
  for (const NamedTensor& entry : model->state()) {
    SCOPED_TRACE(entry.name);
    EXPECT_TRUE(same_bits(entry.tensor.detach(), p.at(entry.name).detach()));
    if (!entry.trainable) continue;
    EXPECT_TRUE(close(entry.tensor.grad(), p.at(entry.name).grad(), 1e-6));
  }
}

/// The folded weight is 0; dividing it by the factor 0 would give NaN.
TEST_F(Folded, AChannelWhoseGammaIsZeroTrainsOn) {
  const auto model = make_model(graph(), {weight_rule<BinaryWeight>("binary", traits)});
  disturb(*model);
  at::Tensor gamma = normal({4}, 21);
  gamma[1] = 0;
  set(*model, "bn.weight", gamma);
  const at::Tensor got = model->train(x, {});
  // The output of the channel is the batch norm's beta.
  const double beta = tensor_of(*model, "bn.bias")[1].item<double>();
  EXPECT_TRUE(close(got.detach().select(1, 1), at::full({3}, std::max(beta, 0.0)), 1e-6));
  got.square().sum().backward();
  for (const NamedTensor& entry : model->state()) {
    if (!entry.trainable) continue;
    EXPECT_TRUE(at::isfinite(entry.tensor.grad()).all().item<bool>()) << entry.name;
  }
  EXPECT_TRUE(at::isfinite(model->evaluate(x, {})).all().item<bool>());
}

TEST_F(Folded, EvaluatesWithTheStatisticsOfNow) {
  const auto model = make_model(graph(), {weight_rule<BinaryWeight>("binary", traits)});
  const at::Tensor before = model->evaluate(x, {});
  model->train(x, {});  // updates the running statistics
  const auto fresh = make_model(graph(), {weight_rule<BinaryWeight>("binary", traits)});
  fresh->load(copy_of_state(*model));
  const at::Tensor after = model->evaluate(x, {});
  EXPECT_TRUE(same_bits(after, fresh->evaluate(x, {})));
  EXPECT_FALSE(at::equal(after, before));
}

TEST_F(Folded, RestsUnfoldedInTrainingWhereTheMethodSaysSo) {
  const Traits rests{.fold_batch_norm = true, .fold_in_training = false};
  const auto model = make_model(graph(), {weight_rule<IdentityWeight>("resting", rests)});
  const auto plain = make_model(graph(), {});
  disturb(*model);
  disturb(*plain);
  EXPECT_TRUE(same_bits(model->train(x, {}), plain->train(x, {})));
  EXPECT_TRUE(close(model->evaluate(x, {}), plain->evaluate(x, {}), 1e-5));
  // There is no division by gamma, so it may start at 0.
  const Graph zeros = network({5, 6, 6}, 4, [](GraphBuilder& g, Value y) {
    y = g.batch_norm("bn", g.conv2d("conv", y, {.out_channels = 4}),
                     {.gamma_init = Initialization::zeros});
    return g.global_average_pool("pool", y);
  });
  make_model(zeros, {weight_rule<IdentityWeight>("resting", rests)});
}

TEST_F(Folded, NeedsALearnedGammaThatDoesNotStartAtZero) {
  for (const BatchNormOptions& options :
       {BatchNormOptions{.affine = false}, BatchNormOptions{.gamma_init = Initialization::zeros}}) {
    const Graph bad = network({5, 6, 6}, 4, [&](GraphBuilder& g, Value y) {
      y = g.batch_norm("bn", g.conv2d("conv", y, {.out_channels = 4}), options);
      return g.global_average_pool("pool", y);
    });
    EXPECT_EQ(error_of(ErrorKind::configuration,
                       [&] { make_model(bad, {weight_rule<IdentityWeight>("folding", traits)}); }),
              "conv: `folding` folds the batch norm bn, which needs a learned gamma that does not "
              "start at 0\nhelp: keep conv in float, or build bn with gamma_init = ones");
  }
}

/// A signed input behind ReLU, max pooling and dropout; with `shortcut`, another node reads the
/// ReLU too.
Graph behind_relu(bool shortcut) {
  return network({4, 8, 8}, 5, [&](GraphBuilder& g, Value x) {
    Value y = g.batch_norm("bn", g.conv2d("conv1", x, {.out_channels = 6, .padding = 1}));
    const Value relu = g.relu("relu", y);
    y = g.dropout("drop", g.max_pool("max", relu), {.probability = 0.25});
    y = g.global_average_pool("pool1", g.conv2d("conv2", y, {.out_channels = 5}));
    if (!shortcut) return y;
    return g.add("sum", y,
                 g.linear("fc", g.global_average_pool("pool2", relu), {.out_features = 5}));
  });
}

class ElidedRelu : public ::testing::TestWithParam<bool> {};

TEST_P(ElidedRelu, ReadsWhatTheReluReadsAndDropsCodes) {
  const bool shortcut = GetParam();
  const MethodRule rule = input_rule("sign", {"conv2"}, [](const SlotInfo& slot) {
    return std::make_unique<SignInput>(slot, InputRange::signed_values, false);
  });
  const auto model = make_model(behind_relu(shortcut), {rule});
  ASSERT_EQ(model->plan().slots.size(), 1U);
  ASSERT_TRUE(model->plan().slots[0].elision.has_value());
  const at::Tensor x = in_layout(normal({3, 4, 8, 8}, 1), true);
  const RunPosition position{.step = 4, .seed = 6};

  auto p = copy_of_state(*model);
  for (const NamedTensor& entry : model->state()) {
    p.at(entry.name).set_requires_grad(entry.trainable);
  }
  const auto by_hand = [&](bool training) {
    const at::Tensor norm = at::batch_norm(at::conv2d(x, p["conv1.weight"], {}, {1, 1}, {1, 1}),
                                           p["bn.weight"], p["bn.bias"], p["bn.running_mean"],
                                           p["bn.running_var"], training, 0.1, 1e-5, true);
    at::Tensor codes = sign_straight_through(at::max_pool2d(norm, {2, 2}, {2, 2}));
    if (training) {
      at::Tensor mask = at::empty_like(codes);  // smaller than one block of the keyed numbers
      const Random random = Random::keyed(6, "drop", "dropout", 4);
      Random::keyed(random.key(), "", "block", 0)
          .fill_uniform(mask.mutable_data_ptr<float>(), static_cast<std::size_t>(mask.numel()));
      codes = codes * mask.ge(0.25).to(at::kFloat).mul(1 / 0.75);
    }
    at::Tensor y = at::adaptive_avg_pool2d(at::conv2d(codes, p["conv2.weight"]), {1, 1}).flatten(1);
    if (!shortcut) return y;
    return y + at::linear(at::adaptive_avg_pool2d(at::relu(norm), {1, 1}).flatten(1),
                          p["fc.weight"], p["fc.bias"]);
  };
  const at::Tensor got = model->train(x, position), wanted = by_hand(true);
  EXPECT_TRUE(same_bits(got, wanted));
  const at::Tensor seed = normal({3, 5}, 7);
  (got * seed).sum().backward();
  (wanted * seed).sum().backward();
  for (const NamedTensor& entry : model->state()) {
    if (!entry.trainable) continue;
    EXPECT_TRUE(same_bits(entry.tensor.grad(), p.at(entry.name).grad())) << entry.name;
  }
  EXPECT_GT(tensor_of(*model, "conv1.weight").grad().abs().max().item<double>(), 0);
  EXPECT_TRUE(same_bits(model->evaluate(x, position), by_hand(false).detach()));
}
INSTANTIATE_TEST_SUITE_P(Reader, ElidedRelu, ::testing::Bool(),
                         [](const auto& instance) { return instance.param ? "shared" : "alone"; });

TEST(Phases, RestAsFloatUntilTheirEpoch) {
  const Traits traits{.phases = {{.name = "float", .first_epoch = 0, .weights_quantized = false},
                                 {.name = "quantized", .first_epoch = 2}}};
  const Graph graph = one_convolution(true);
  const auto phased = make_model(graph, {weight_rule<BinaryWeight>("late", traits)});
  const auto plain = make_model(graph, {});
  const auto binary = make_model(graph, {weight_rule<BinaryWeight>("binary", {})});
  const at::Tensor x = in_layout(normal({2, 6, 5, 5}, 1), true);
  for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
    SCOPED_TRACE(epoch);
    Model& wanted = epoch < 2 ? *plain : *binary;
    EXPECT_TRUE(same_bits(phased->train(x, {.epoch = epoch}), wanted.train(x, {})));
    EXPECT_TRUE(same_bits(phased->evaluate(x, {.epoch = epoch}), wanted.evaluate(x, {})));
    EXPECT_EQ(phased->encoded_weights({.epoch = epoch}).size(), epoch < 2 ? 0U : 1U);
  }
  // Without a training step between them.
  EXPECT_TRUE(same_bits(phased->evaluate(x, {.epoch = 1}), plain->evaluate(x, {})));
  EXPECT_TRUE(same_bits(phased->evaluate(x, {.epoch = 2}), binary->evaluate(x, {})));
}

/// Draws each weight's sign with probability (1 + w) / 2, anew for each member.
class DrawnWeight : public WeightQuantizer {
 public:
  Encoding encoding(const SlotInfo&) const override { return Encoding::binary(ScaleKind::none); }
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    return straight_through(latent, decode(encode(context, latent.detach())));
  }
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override {
    const at::Tensor drawn = uniform_like(context.random("sign"), latent);
    return {.encoding = Encoding::binary(ScaleKind::none),
            .codes = at::lt(drawn, latent.add(1).mul(0.5)).to(at::kByte)};
  }
};

/// The same three draws, stored as one ensemble.
class EnsembleWeight : public DrawnWeight {
 public:
  Encoding encoding(const SlotInfo& slot) const override {
    Encoding encoding = DrawnWeight::encoding(slot);
    encoding.ensemble_size = 3;
    return encoding;
  }
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override {
    std::vector<at::Tensor> codes;
    for (int member = 0; member < 3; ++member) {
      SlotContext now = context;
      now.member = member;
      codes.push_back(DrawnWeight::encode(now, latent).codes);
    }
    return {.encoding = encoding(*context.slot), .codes = at::stack(codes)};
  }
};

TEST(Members, AreAveraged) {
  const Graph graph = one_convolution(false);
  const at::Tensor x = in_layout(normal({2, 6, 5, 5}, 1), true);
  const RunPosition position{.step = 9, .seed = 12};
  const auto drawn = make_model(graph, {weight_rule<DrawnWeight>("drawn", {.ensemble_size = 3})});
  const auto stored =
      make_model(graph, {weight_rule<EnsembleWeight>("stored", {.ensemble_size = 3})});
  EXPECT_EQ(drawn->plan().ensemble_size, 3);

  const at::Tensor latent = tensor_of(*drawn, "conv.weight").detach();
  SlotContext context{.slot = &drawn->plan().slots.at(0).info, .mode = Mode::evaluate, .seed = 12};
  at::Tensor sum = at::zeros({2, 7});
  std::vector<at::Tensor> members;
  for (context.member = 0; context.member < 3; ++context.member) {
    members.push_back(decode(DrawnWeight().encode(context, latent)));
    sum = sum + at::conv2d(x, members.back()).flatten(1);
  }
  EXPECT_FALSE(at::equal(members[0], members[1]));
  EXPECT_FALSE(at::equal(members[1], members[2]));
  const at::Tensor got = drawn->evaluate(x, position);
  EXPECT_TRUE(same_bits(got, sum / 3));
  EXPECT_TRUE(same_bits(stored->evaluate(x, position), got));
  EXPECT_TRUE(same_bits(drawn->evaluate(x, {.step = 10, .seed = 12}), got));
  EXPECT_FALSE(at::equal(drawn->evaluate(x, {.step = 9, .seed = 13}), got));
  // Training draws anew in each step.
  const at::Tensor trained = drawn->train(x, position);
  EXPECT_TRUE(same_bits(drawn->train(x, position), trained));
  EXPECT_FALSE(at::equal(drawn->train(x, {.step = 10, .seed = 12}), trained));
}

/// value = gain * latent; the gain starts at the largest magnitude of the latent weight.
class LearnedGain : public WeightQuantizer {
 public:
  Encoding encoding(const SlotInfo&) const override { return Encoding::float32(); }
  std::vector<SlotParameter> parameters() override {
    return {
        {.name = "gain", .tensor = gain_, .learning_rate_multiplier = 0.5, .weight_decay = 0.25}};
  }
  LatentTraits latent_traits(const SlotInfo&) const override {
    return {.learning_rate_multiplier = 3, .weight_decay = 0.0};
  }
  void initialize(const SlotContext&, at::Tensor& latent) override {
    gain_.copy_(latent.abs().max());
  }
  void after_step(const SlotContext&, at::Tensor& latent) override { latent.clamp_(-0.5, 0.5); }
  at::Tensor forward(const SlotContext&, const at::Tensor& latent) override {
    return latent * gain_;
  }
  Encoded encode(const SlotContext&, const at::Tensor& latent) override {
    return {.encoding = Encoding::float32(), .codes = latent.detach() * gain_.detach()};
  }

 private:
  at::Tensor gain_ = at::zeros({});
};

TEST(LearnedParameter, IsStateIsTrainedAndItsTraitsReachTheOptimizer) {
  const auto model = make_model(one_convolution(false), {weight_rule<LearnedGain>("gain", {})});
  const NamedTensor* gain = nullptr;
  const NamedTensor* weight = nullptr;
  for (const NamedTensor& entry : model->state()) {
    (entry.name == "conv/weight.gain" ? gain : weight) = &entry;
  }
  ASSERT_EQ(model->state().size(), 2U);
  ASSERT_NE(gain, nullptr);
  EXPECT_TRUE(gain->trainable);
  EXPECT_EQ(gain->learning_rate_multiplier, 0.5);
  EXPECT_EQ(gain->weight_decay, 0.25);
  EXPECT_EQ(weight->learning_rate_multiplier, 3);
  EXPECT_EQ(weight->weight_decay, 0.0);
  const at::Tensor latent = weight->tensor.detach();
  EXPECT_EQ(gain->tensor.item<float>(), latent.abs().max().item<float>());

  const at::Tensor x = in_layout(normal({2, 6, 5, 5}, 1), true);
  model->train(x, {}).sum().backward();
  EXPECT_TRUE(close(gain->tensor.grad(), at::conv2d(x, latent).sum(), 1e-4));
  set(*model, "conv/weight.gain", at::scalar_tensor(2.0F));
  EXPECT_TRUE(close(model->evaluate(x, {}), at::conv2d(x, latent * 2).flatten(1), 1e-6));

  set(*model, "conv.weight", at::full({7, 6, 5, 5}, 0.75));
  model->after_step({});
  EXPECT_EQ(weight->tensor.max().item<float>(), 0.5F);
  EXPECT_TRUE(
      close(model->evaluate(x, {}), x.sum({1, 2, 3}).reshape({-1, 1}).expand({2, 7}), 1e-5));
}

/// Records the tensors of calibration.
class Observer : public InputQuantizer {
 public:
  explicit Observer(std::vector<at::Tensor>& seen) : seen_(seen) {}
  Encoding encoding(const SlotInfo&) const override { return Encoding::float32(); }
  void observe(const SlotContext& context, const at::Tensor& x) override {
    EXPECT_EQ(context.mode, Mode::calibrate);
    seen_.push_back(x.clone());
  }
  QuantizedInput forward(const SlotContext&, const at::Tensor& x) override {
    return {.value = x * 0};
  }
  EncodedInput encode(const SlotContext&, const at::Tensor& x) override {
    return {.codes = {.encoding = Encoding::float32(), .codes = x * 0}};
  }

 private:
  std::vector<at::Tensor>& seen_;
};

TEST(Calibration, ShowsTheFloatNetworksValuesInEvaluationMode) {
  std::vector<at::Tensor> seen;
  const Graph graph = behind_relu(true);
  const auto model = make_model(
      graph, {weight_rule<BinaryWeight>("binary", {}),
              input_rule("observer", {"conv2", "fc"},
                         [&](const SlotInfo&) { return std::make_unique<Observer>(seen); },
                         {.needs_calibration = true})});
  EXPECT_TRUE(model->plan().needs_calibration);
  const auto before = copy_of_state(*model);
  const at::Tensor x = in_layout(normal({3, 4, 8, 8}, 1), true);
  model->calibrate(x, {});
  auto p = copy_of_state(*model);
  for (const auto& [name, tensor] : before) EXPECT_TRUE(same_bits(p[name], tensor)) << name;
  const at::Tensor relu = at::relu(at::batch_norm(
      at::conv2d(x, p["conv1.weight"], {}, {1, 1}, {1, 1}), p["bn.weight"], p["bn.bias"],
      p["bn.running_mean"], p["bn.running_var"], false, 0.1, 1e-5, true));
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_TRUE(same_bits(seen[0], at::max_pool2d(relu, {2, 2}, {2, 2})));
  EXPECT_TRUE(same_bits(seen[1], at::adaptive_avg_pool2d(relu, {1, 1}).flatten(1)));
}

TEST(Calibration, OfAnUntrainedNetworkTakesTheStatisticsOfTheBatch) {
  std::vector<at::Tensor> seen;
  const auto model =
      make_model(behind_relu(true),
                 {weight_rule<BinaryWeight>("binary", {}),
                  input_rule("observer", {"conv2"},
                             [&](const SlotInfo&) { return std::make_unique<Observer>(seen); },
                             {.needs_calibration = true})});
  const auto before = copy_of_state(*model);
  const at::Tensor x = in_layout(normal({3, 4, 8, 8}, 1), true);
  model->calibrate(x, {}, /*batch_statistics=*/true);
  auto p = copy_of_state(*model);
  for (const auto& [name, tensor] : before) EXPECT_TRUE(same_bits(p[name], tensor)) << name;
  const at::Tensor z = at::conv2d(x, p["conv1.weight"], {}, {1, 1}, {1, 1}).to(at::kDouble);
  const at::Tensor mean = z.mean({0, 2, 3}, true);
  const at::Tensor variance = (z - mean).square().mean({0, 2, 3}, true);
  const auto channels = [&](const char* name) {
    return p[name].to(at::kDouble).view({1, -1, 1, 1});
  };
  const at::Tensor relu =
      at::relu((z - mean) / (variance + 1e-5).sqrt() * channels("bn.weight") + channels("bn.bias"));
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_TRUE(close(seen[0], at::max_pool2d(relu, {2, 2}, {2, 2}).to(at::kFloat), 1e-5));
}

}  // namespace
}  // namespace qhost::test

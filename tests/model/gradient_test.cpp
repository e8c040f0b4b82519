/// Gradient slots: the gradient of a node with a weight passes through its quantizer.
#include "support.h"

namespace qhost::test {
namespace {

/// Multiplies the gradient by a factor, and records the call.
class Multiplied : public GradientQuantizer {
 public:
  Multiplied(std::vector<std::string>* seen, double factor) : seen_(seen), factor_(factor) {}
  at::Tensor backward(const SlotContext& context, const at::Tensor& gradient) override {
    EXPECT_EQ(gradient.scalar_type(), at::kFloat);
    EXPECT_FALSE(gradient.requires_grad());
    seen_->push_back(context.slot->node + " step " + std::to_string(context.step));
    return gradient.mul(factor_);
  }
  std::string summary() const override { return "multiplied"; }

 private:
  std::vector<std::string>* seen_;
  double factor_;
};

class Multiplies : public Quantizer {
 public:
  Multiplies(std::vector<std::string>* seen, double factor, Traits traits)
      : seen_(seen), factor_(factor), traits_(std::move(traits)) {}
  std::unique_ptr<GradientQuantizer> gradient(const SlotInfo&) override {
    return std::make_unique<Multiplied>(seen_, factor_);
  }
  Traits traits() const override { return traits_; }

 private:
  std::vector<std::string>* seen_;
  double factor_;
  Traits traits_;
};

MethodRule multiplies(std::vector<std::string>* seen, std::vector<std::string> layers,
                      double factor, Traits traits = {}) {
  return {.method = "multiplies",
          .quantizer = std::make_shared<Multiplies>(seen, factor, std::move(traits)),
          .offers = {Role::gradient},
          .layers = std::move(layers)};
}

MethodRule doubles(std::vector<std::string>* seen, std::vector<std::string> layers,
                   Traits traits = {}) {
  return multiplies(seen, std::move(layers), 2, std::move(traits));
}

/// The ReLU works in place on the output of the second convolution.
Graph two_layers() {
  return network({3, 6, 6}, 4, [](GraphBuilder& g, Value x) {
    Value y = g.batch_norm("bn", g.conv2d("conv1", x, {.out_channels = 4, .padding = 1}));
    y = g.relu("relu", g.conv2d("conv2", y, {.out_channels = 4, .padding = 1, .bias = true}));
    return g.linear("fc", g.global_average_pool("pool", y), {.out_features = 4});
  });
}

std::map<std::string, at::Tensor> gradients(Model& model, const RunPosition& position) {
  for (const NamedTensor& entry : model.state()) {
    if (entry.trainable) entry.tensor.mutable_grad().reset();
  }
  const at::Tensor x = in_layout(normal({5, 3, 6, 6}, 1), true);
  (model.train(x, position) * normal({5, 4}, 2)).sum().backward();
  std::map<std::string, at::Tensor> result;
  for (const NamedTensor& entry : model.state()) {
    if (entry.trainable) result[entry.name] = entry.tensor.grad().to(at::kFloat).clone();
  }
  return result;
}

TEST(Gradients, ReachTheWeightTheBiasAndEverythingBefore) {
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    std::vector<std::string> seen;
    const auto model =
        make_model(two_layers(), {doubles(&seen, {"conv2"})}, {.precision = precision});
    const auto plain = make_model(two_layers(), {}, {.precision = precision});
    const auto got = gradients(*model, {.step = 7}), wanted = gradients(*plain, {.step = 7});
    EXPECT_THAT(seen, ::testing::ElementsAre("conv2 step 7"));
    for (const char* name :
         {"conv2.weight", "conv2.bias", "bn.weight", "bn.bias", "conv1.weight"}) {
      EXPECT_TRUE(same_bits(got.at(name), wanted.at(name) * 2)) << name;
    }
    EXPECT_TRUE(same_bits(got.at("fc.weight"), wanted.at("fc.weight")));
  }
}

TEST(Gradients, OfALinearLayerAndOfTwoLayersMultiply) {
  std::vector<std::string> seen;
  const auto model = make_model(two_layers(), {doubles(&seen, {"conv1", "fc"})});
  const auto plain = make_model(two_layers(), {});
  const auto got = gradients(*model, {}), wanted = gradients(*plain, {});
  EXPECT_THAT(seen, ::testing::ElementsAre("fc step 0", "conv1 step 0"));
  EXPECT_TRUE(same_bits(got.at("fc.bias"), wanted.at("fc.bias") * 2));
  EXPECT_TRUE(same_bits(got.at("conv2.weight"), wanted.at("conv2.weight") * 2));
  EXPECT_TRUE(same_bits(got.at("conv1.weight"), wanted.at("conv1.weight") * 4));
}

/// The add works in place on the output of `front`, which no other node reads.
Graph joined() {
  return network({3, 6, 6}, 4, [](GraphBuilder& g, Value x) {
    const Value y = g.batch_norm("bn", g.conv2d("conv1", x, {.out_channels = 4, .padding = 1}));
    const Conv2dOptions options{.out_channels = 4, .padding = 1, .bias = true};
    const Value z = g.conv2d("front", y, options), other = g.conv2d("other", y, options);
    const Value sum = g.relu("relu", g.add("add", z, other));
    return g.linear("fc", g.global_average_pool("pool", sum), {.out_features = 4});
  });
}

/// Checks a gradient slot at `front` in addition to `rules`: the parameters of `front` and of the
/// nodes before it get twice the gradient, all other parameters the same.
void expect_doubled_at_front(std::vector<MethodRule> rules, Precision precision) {
  const auto plain = make_model(joined(), rules, {.precision = precision});
  const auto wanted = gradients(*plain, {});
  std::vector<std::string> seen;
  rules.push_back(doubles(&seen, {"front"}));
  const auto model = make_model(joined(), rules, {.precision = precision});
  const auto got = gradients(*model, {});
  EXPECT_THAT(seen, ::testing::ElementsAre("front step 0"));
  for (const char* name : {"front.weight", "front.bias"}) {
    EXPECT_TRUE(same_bits(got.at(name), wanted.at(name) * 2)) << name;
    EXPECT_GT(wanted.at(name).abs().min().item<double>(), 0) << name;
  }
  for (const char* name : {"other.weight", "other.bias", "fc.weight", "fc.bias"}) {
    EXPECT_TRUE(same_bits(got.at(name), wanted.at(name))) << name;
  }
}

TEST(Gradients, PassAnAddThatWorksInPlace) {
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    expect_doubled_at_front({}, precision);
  }
}

// The bias is added behind the scale, so its gradient shows that the slot is behind both.
TEST(Gradients, AreOfTheOutputWithItsScaleAndItsBias) {
  const MethodRule scaled = input_rule("scaled", {"front"}, [](const SlotInfo& slot) {
    return std::make_unique<SignInput>(slot, InputRange::any, /*output_scale=*/true);
  });
  for (const Precision precision : {Precision::fp32, Precision::bf16}) {
    expect_doubled_at_front({scaled}, precision);
  }
}

// y = conv(x, Q(f * W)) / f: the slot is behind the division. Gamma's gradient has two paths
// through f, which both double, and one through the batch norm itself, which does not.
TEST(Gradients, AreOfTheOutputThatTheFoldFactorDivided) {
  const Graph graph = network({3, 6, 6}, 4, [](GraphBuilder& g, Value x) {
    x = g.conv2d("conv1", x, {.out_channels = 4, .padding = 1});
    x = g.conv2d("front", x, {.out_channels = 4, .padding = 1});
    x = g.relu("relu", g.batch_norm("bn", x));
    return g.linear("fc", g.global_average_pool("pool", x), {.out_features = 4});
  });
  MethodRule folds = weight_rule<BinaryWeight>("folds", {.fold_batch_norm = true});
  folds.layers = {"front"};
  const auto plain = make_model(graph, {folds});
  ASSERT_GE(plain->plan().slots.at(0).folded_batch_norm, 0);
  const auto with = [&](double factor) {
    std::vector<std::string> seen;
    const auto model = make_model(graph, {folds, multiplies(&seen, {"front"}, factor)});
    return gradients(*model, {});
  };
  const auto once = gradients(*plain, {}), none = with(0), twice = with(2);
  const at::Tensor through_factor = once.at("bn.weight") - none.at("bn.weight");
  EXPECT_GT(through_factor.abs().max().item<double>(), 0.01);
  EXPECT_TRUE(close(twice.at("bn.weight"), none.at("bn.weight") + 2 * through_factor, 1e-5));
  for (const char* name : {"front.weight", "conv1.weight"}) {
    EXPECT_TRUE(same_bits(twice.at(name), once.at(name) * 2)) << name;
    EXPECT_TRUE(same_bits(none.at(name), at::zeros_like(once.at(name)))) << name;
  }
  EXPECT_TRUE(same_bits(twice.at("bn.bias"), once.at("bn.bias")));
}

TEST(Gradients, RestInAPhaseThatLeavesThemFloat) {
  std::vector<std::string> seen;
  const Traits traits{.phases = {{.name = "float", .gradients_quantized = false},
                                 {.name = "quantized", .first_epoch = 1}}};
  const auto model = make_model(two_layers(), {doubles(&seen, {"*"}, traits)});
  gradients(*model, {.epoch = 0});
  EXPECT_TRUE(seen.empty());
  gradients(*model, {.epoch = 1});
  EXPECT_EQ(seen.size(), 3U);
}

TEST(Gradients, LeaveEvaluationAlone) {
  std::vector<std::string> seen;
  const auto model = make_model(two_layers(), {doubles(&seen, {"*"})});
  const at::Tensor x = in_layout(normal({5, 3, 6, 6}, 1), true);
  EXPECT_TRUE(same_bits(model->evaluate(x, {}), make_model(two_layers(), {})->evaluate(x, {})));
  EXPECT_TRUE(seen.empty());
}

TEST(Evaluation, NamesTheStatisticThatCodesWouldHide) {
  const auto quantized = make_model(two_layers(), {weight_rule<BinaryWeight>("binary", {})});
  const at::Tensor x = in_layout(normal({2, 3, 6, 6}, 1), true);
  at::Tensor broken = at::ones({4});
  const auto error = [&](double value) {
    broken[2] = value;
    set(*quantized, "bn.running_var", broken);
    return error_of(ErrorKind::diverged, [&] { quantized->evaluate(x, {}); });
  };
  const std::string what =
      "bn.running_var holds values that are not finite, which the codes of a quantized network "
      "would hide\nhelp: ";
  EXPECT_EQ(error(std::numeric_limits<double>::infinity()),
            what +
                "go back to an earlier checkpoint; a lower learning rate or train.gradient_clip "
                "keeps training finite");
  // NaN behind a finite mean is 0 / 0: the unbiased variance of one value.
  EXPECT_EQ(error(std::nan("")),
            what +
                "a batch with a single value per channel leaves a batch norm no variance: set "
                "train.drop_last = true or another train.batch_size");
  // A float network is not checked: its output is not finite.
  const auto plain = make_model(two_layers(), {});
  set(*plain, "bn.running_var", broken);
  EXPECT_FALSE(at::isfinite(plain->evaluate(x, {})).all().item<bool>());
}

// Training uses the batch's statistics, evaluation the running ones.
TEST(Evaluation, NamesTheFirstOutputThatIsNotFinite) {
  const auto model = make_model(two_layers(), {});
  const at::Tensor x = in_layout(normal({2, 3, 6, 6}, 1), true);
  EXPECT_EQ(model->first_non_finite(x, {}, Mode::evaluate), "");
  set(*model, "bn.running_mean", at::full({4}, 3e38));
  set(*model, "bn.running_var", at::zeros({4}));
  EXPECT_EQ(model->first_non_finite(x, {}, Mode::evaluate), "bn");
  EXPECT_EQ(model->first_non_finite(x, {}), "") << "in training mode";
}

}  // namespace
}  // namespace qhost::test

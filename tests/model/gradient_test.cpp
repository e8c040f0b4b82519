/// Gradient slots: what flows back into a node with a weight passes through its quantizer.
#include "support.h"

namespace qhost::test {
namespace {

/// Twice the gradient, and a note of what it saw.
class Doubled : public GradientQuantizer {
 public:
  explicit Doubled(std::vector<std::string>* seen) : seen_(seen) {}
  at::Tensor backward(const SlotContext& context, const at::Tensor& gradient) override {
    EXPECT_EQ(gradient.scalar_type(), at::kFloat);
    EXPECT_FALSE(gradient.requires_grad());
    seen_->push_back(context.slot->node + " step " + std::to_string(context.step));
    return gradient.mul(2);
  }
  std::string summary() const override { return "doubled"; }

 private:
  std::vector<std::string>* seen_;
};

class Doubles : public Quantizer {
 public:
  explicit Doubles(std::vector<std::string>* seen, Traits traits = {})
      : seen_(seen), traits_(std::move(traits)) {}
  std::unique_ptr<GradientQuantizer> gradient(const SlotInfo&) override {
    return std::make_unique<Doubled>(seen_);
  }
  Traits traits() const override { return traits_; }

 private:
  std::vector<std::string>* seen_;
  Traits traits_;
};

MethodRule doubles(std::vector<std::string>* seen, std::vector<std::string> layers,
                   Traits traits = {}) {
  return {.method = "doubles",
          .quantizer = std::make_shared<Doubles>(seen, std::move(traits)),
          .offers = {Role::gradient},
          .layers = std::move(layers)};
}

/// The ReLU works in place on what the second convolution gives.
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
  broken[2] = std::nan("");
  set(*quantized, "bn.running_var", broken);
  EXPECT_EQ(error_of(ErrorKind::diverged, [&] { quantized->evaluate(x, {}); }),
            "bn.running_var holds values that are not finite, which the codes of a quantized "
            "network would hide\nhelp: go back to an earlier checkpoint; a lower learning rate or "
            "train.gradient_clip keeps training finite");
  // A float network shows them itself.
  const auto plain = make_model(two_layers(), {});
  set(*plain, "bn.running_var", broken);
  EXPECT_FALSE(at::isfinite(plain->evaluate(x, {})).all().item<bool>());
}

}  // namespace
}  // namespace qhost::test

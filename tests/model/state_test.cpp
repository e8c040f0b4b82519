/// The tensors of a model: initial values, loading, and the search for a bad one.
#include <cmath>
#include <limits>

#include "model/initialize.h"
#include "support.h"

namespace qhost::test {
namespace {

Graph small(std::int64_t width = 6) {
  return network({4, 6, 6}, 3, [&](GraphBuilder& g, Value x) {
    Value y = g.conv2d(
        "conv", x,
        {.out_channels = width, .groups = 2, .bias = true, .init = Initialization::torch_default});
    y = g.relu("relu", g.batch_norm("bn", y));
    return g.linear("fc", g.global_average_pool("pool", y), {.out_features = 3});
  });
}

TEST(State, NamesEveryTensorInGraphOrder) {
  const auto model = make_model(small(), {});
  std::vector<std::string> names, buffers, decayed;
  for (const NamedTensor& entry : model->state()) {
    names.push_back(entry.name);
    if (!entry.trainable) buffers.push_back(entry.name);
    if (entry.decayed) decayed.push_back(entry.name);
    EXPECT_EQ(entry.tensor.requires_grad(), entry.trainable);
    EXPECT_TRUE(entry.tensor.is_leaf());
  }
  EXPECT_THAT(names,
              ::testing::ElementsAre("conv.weight", "conv.bias", "bn.weight", "bn.bias",
                                     "bn.running_mean", "bn.running_var", "fc.weight", "fc.bias"));
  EXPECT_THAT(buffers, ::testing::ElementsAre("bn.running_mean", "bn.running_var"));
  EXPECT_THAT(decayed, ::testing::ElementsAre("conv.weight", "fc.weight"));
}

TEST(Initialize, DependsOnSeedAndNameButNotOnLayoutOrNeighbors) {
  const auto model = make_model(small(), {});
  const auto contiguous = make_model(small(), {}, {.channels_last = false});
  EXPECT_NE(tensor_of(*model, "conv.weight").strides(),
            tensor_of(*contiguous, "conv.weight").strides());
  for (const NamedTensor& entry : model->state()) {
    EXPECT_TRUE(same_bits(entry.tensor.detach(), tensor_of(*contiguous, entry.name).detach()))
        << entry.name;
  }
  const auto wider = make_model(small(8), {});
  EXPECT_TRUE(same_bits(tensor_of(*wider, "fc.bias")
                            .detach()
                            .mul(std::sqrt(8.0F))
                            .sub(tensor_of(*model, "fc.bias").detach().mul(std::sqrt(6.0F)))
                            .abs()
                            .gt(1e-6)
                            .any(),
                        at::scalar_tensor(false, at::kBool)));
  const at::Tensor before = tensor_of(*model, "conv.weight").detach().clone();
  model->initialize({.seed = 3});
  EXPECT_TRUE(same_bits(tensor_of(*model, "conv.weight").detach(), before));
  model->initialize({.seed = 4});
  EXPECT_FALSE(at::equal(tensor_of(*model, "conv.weight").detach(), before));
}

TEST(Initialize, DrawsFromThePrescribedDistributions) {
  using I = Initialization;
  const std::vector<std::int64_t> shape = {64, 32, 3, 3};  // with 2 groups
  const double in = 32 * 9, out = 32 * 9;
  const double per_output = 64.0 / 2 * 9;
  EXPECT_EQ(out, per_output);
  const auto drawn = [&](I init, const std::vector<std::int64_t>& weight, std::int64_t groups) {
    at::Tensor tensor = at::empty(weight);
    draw(tensor, init, weight, groups, Random(5));
    return tensor;
  };
  const auto check = [&](I init, double deviation, double bound) {
    SCOPED_TRACE(to_string(init));
    const at::Tensor values = drawn(init, shape, 2);
    const auto n = static_cast<double>(values.numel());
    EXPECT_NEAR(values.mean().item<double>(), 0, 5 * deviation / std::sqrt(n));
    EXPECT_NEAR(values.std().item<double>() / deviation, 1, 5 / std::sqrt(n));
    if (bound > 0) {
      EXPECT_LE(values.abs().max().item<double>(), bound);
      EXPECT_GT(values.abs().max().item<double>(), 0.99 * bound);
    }
  };
  check(I::kaiming_normal_fan_in, std::sqrt(2 / in), 0);
  check(I::kaiming_normal_fan_out, std::sqrt(2 / out), 0);
  check(I::kaiming_uniform_fan_in, std::sqrt(2 / in), std::sqrt(6 / in));
  check(I::torch_default, std::sqrt(1 / in / 3), std::sqrt(1 / in));
  check(I::glorot_uniform, std::sqrt(2 / (in + out)), std::sqrt(6 / (in + out)));
  // fan_in and fan_out differ.
  EXPECT_NEAR(drawn(I::kaiming_normal_fan_out, {50, 20, 5, 5}, 1).std().item<double>(),
              std::sqrt(2.0 / (50 * 25)), 1e-3);
  EXPECT_NEAR(drawn(I::kaiming_normal_fan_in, {50, 20, 5, 5}, 1).std().item<double>(),
              std::sqrt(2.0 / (20 * 25)), 1e-3);
  EXPECT_EQ(drawn(I::ones, {3}, 1).sum().item<float>(), 3);
  EXPECT_EQ(drawn(I::zeros, {3}, 1).abs().sum().item<float>(), 0);
  // A bias has the fans of its weight.
  const auto model = make_model(small(), {});
  EXPECT_LE(tensor_of(*model, "conv.bias").abs().max().item<double>(), 1 / std::sqrt(2.0 * 9));
  EXPECT_GT(tensor_of(*model, "conv.bias").abs().max().item<double>(), 0);
}

TEST(Load, CopiesWhateverTheLayoutAndKeepsItsOwn) {
  const auto model = make_model(small(), {});
  const auto strides = tensor_of(*model, "conv.weight").strides().vec();
  const void* memory = tensor_of(*model, "conv.weight").const_data_ptr();
  auto tensors = copy_of_state(*model);
  tensors["conv.weight"] = normal({6, 2, 3, 3}, 30);
  model->load(tensors);
  const at::Tensor now = tensor_of(*model, "conv.weight");
  EXPECT_TRUE(same_bits(now.detach(), normal({6, 2, 3, 3}, 30)));
  EXPECT_EQ(now.strides().vec(), strides);
  EXPECT_EQ(now.const_data_ptr(), memory);
  EXPECT_TRUE(now.requires_grad());
}

TEST(Load, NamesAllThatDoesNotFitAndChangesNothing) {
  const auto model = make_model(small(), {});
  const auto before = copy_of_state(*model);
  auto tensors = copy_of_state(*make_model(small(), {}));
  tensors["conv.weight"] = at::ones({8, 2, 3, 3});
  tensors["fc.bias"] = at::ones({});
  tensors.erase("bn.bias");
  tensors.erase("bn.running_var");
  tensors["conv2.weight"] = at::ones({1, 2});
  EXPECT_EQ(error_of(ErrorKind::data, [&] { model->load(tensors); }),
            "the weights are those of another network:\n"
            "  other shape: conv.weight is [8,2,3,3] in the file and [6,2,3,3] in the network\n"
            "  other shape: fc.bias is [] in the file and [3] in the network\n"
            "  unexpected: conv2.weight [1,2]\n"
            "  missing: bn.bias [6]\n"
            "  missing: bn.running_var [6]");
  for (const auto& [name, tensor] : before) {
    EXPECT_TRUE(same_bits(tensor_of(*model, name).detach(), tensor)) << name;
  }
}

/// Records the argument of initialize().
class Noting : public WeightQuantizer {
 public:
  explicit Noting(std::vector<std::pair<bool, at::Tensor>>& seen) : seen_(seen) {}
  Encoding encoding(const SlotInfo&) const override { return Encoding::float32(); }
  void initialize(const SlotContext& context, at::Tensor& latent) override {
    seen_.emplace_back(context.pretrained, latent.detach().clone());
  }
  at::Tensor forward(const SlotContext&, const at::Tensor& latent) override { return latent; }
  Encoded encode(const SlotContext&, const at::Tensor& latent) override {
    Encoded encoded;
    encoded.codes = latent.detach().clone();
    return encoded;
  }

 private:
  std::vector<std::pair<bool, at::Tensor>>& seen_;
};

class NotingMethod : public Quantizer {
 public:
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<Noting>(seen);
  }
  std::vector<std::pair<bool, at::Tensor>> seen;
};

TEST(Initialize, ShowsTheSlotsTheWeightsThatWereGiven) {
  const auto method = std::make_shared<NotingMethod>();
  MethodRule rule;
  rule.method = "noting";
  rule.quantizer = method;
  rule.offers = {Role::weight};
  rule.keep_float = std::vector<std::string>{"fc"};
  const auto source = make_model(small(), {});
  const auto model = make_model(small(), {rule});
  method->seen.clear();
  auto weights = copy_of_state(*source);
  weights["conv.weight"] = normal({6, 2, 3, 3}, 30);
  weights["bn.running_mean"] = normal({6}, 31);
  model->initialize({.seed = 9}, &weights);
  ASSERT_EQ(method->seen.size(), 1U);
  EXPECT_TRUE(method->seen[0].first);
  EXPECT_TRUE(same_bits(method->seen[0].second, normal({6, 2, 3, 3}, 30)));
  EXPECT_TRUE(same_bits(tensor_of(*model, "bn.running_mean"), normal({6}, 31)));
  model->initialize({.seed = 9});
  EXPECT_FALSE(method->seen[1].first);

  weights.erase("fc.bias");
  EXPECT_THAT(error_of(ErrorKind::data, [&] { model->initialize({}, &weights); }),
              ::testing::HasSubstr("missing: fc.bias [3]"));
}

TEST(FirstNonFinite, NamesTheNodeAndChangesNothing) {
  const Graph graph = network({4, 6, 6}, 3, [](GraphBuilder& g, Value x) {
    Value y = g.conv2d("conv1", x, {.out_channels = 4, .kernel = 1, .bias = true});
    y = g.relu("relu", g.batch_norm("bn", y));
    y = g.conv2d("conv2", y, {.out_channels = 4, .kernel = 1});
    return g.linear("fc", g.global_average_pool("pool", y), {.out_features = 3});
  });
  const auto model = make_model(graph, {});
  const at::Tensor x = in_layout(normal({2, 4, 6, 6}, 1), true);
  const auto unchanged = [&](const std::map<std::string, at::Tensor>& before) {
    for (const auto& [name, tensor] : before) {
      EXPECT_TRUE(at::equal(tensor_of(*model, name).detach(), tensor)) << name;
      EXPECT_FALSE(tensor_of(*model, name).grad().defined());
    }
  };
  const auto sound = copy_of_state(*model);
  EXPECT_EQ(model->first_non_finite(x, {}), "");
  unchanged(sound);

  // 1e38 * 4 channels exceeds the float range.
  auto overflowing = sound;
  overflowing["conv2.weight"] = at::full({4, 4, 1, 1}, 3e38F);
  model->load(overflowing);
  EXPECT_EQ(model->first_non_finite(x, {}), "conv2");
  unchanged(overflowing);

  const at::Tensor bad = x.clone();
  bad[1][2][3][4] = std::numeric_limits<float>::quiet_NaN();
  model->load(sound);
  EXPECT_EQ(model->first_non_finite(bad, {}), "input");
  unchanged(sound);

  auto poisoned = sound;
  poisoned["fc.bias"] = at::full({3}, std::numeric_limits<float>::infinity());
  model->load(poisoned);
  EXPECT_EQ(model->first_non_finite(x, {}), "fc.bias");
}

/// Two convolutions with a batch norm each: the inputs of the second depend on the statistics of
/// the first.
Graph two_norms() {
  return network({2, 5, 5}, 3, [](GraphBuilder& g, Value x) {
    Value y = g.conv2d("conv1", x, {.out_channels = 4});
    y = g.relu("relu", g.batch_norm("bn1", y));
    y = g.batch_norm("bn2", g.conv2d("conv2", y, {.out_channels = 3}), {.affine = false});
    return g.global_average_pool("pool", y);
  });
}

struct Moments {
  at::Tensor mean, unbiased, biased;
};
Moments moments(const at::Tensor& x) {
  return {x.mean({0, 2, 3}), x.var({0, 2, 3}, /*unbiased=*/true),
          x.var({0, 2, 3}, /*unbiased=*/false)};
}

at::Tensor normalized(const at::Tensor& x, const Moments& by, double epsilon) {
  const auto wide = [](const at::Tensor& v) { return v.reshape({1, -1, 1, 1}); };
  return (x - wide(by.mean)) / wide((by.biased + epsilon).sqrt());
}

// The mean of the batches' means and unbiased variances; each later layer is normalized by its
// batch.
TEST(Recalibration, AveragesTheStatisticsOfTheBatches) {
  for (const bool quantized : {false, true}) {
    SCOPED_TRACE(quantized);
    std::vector<MethodRule> rules;
    if (quantized) {
      rules.push_back(weight_rule<BinaryWeight>("binary", {}));
      rules[0].layers = {"conv2"};
      rules[0].keep_float = std::vector<std::string>{};
    }
    const auto model = make_model(two_norms(), rules);
    set(*model, "bn1.weight", at::tensor({1.5F, 0.5F, -1.0F, 2.0F}));
    set(*model, "bn1.bias", at::tensor({0.1F, 0.2F, 0.3F, -0.4F}));
    // The old values are not finite: they must have no influence on the result.
    set(*model, "bn1.running_mean", at::full({4}, std::numeric_limits<float>::infinity()));
    const auto before = copy_of_state(*model);
    const at::Tensor w1 = before.at("conv1.weight");
    at::Tensor w2 = before.at("conv2.weight");
    if (quantized) {
      w2 = at::ge(w2, 0).to(at::kFloat).mul(2).sub(1) * w2.abs().mean({1, 2, 3}, true);
    }
    at::Tensor mean1 = at::zeros({4}), var1 = at::zeros({4}), mean2 = at::zeros({3}),
               var2 = at::zeros({3});
    const std::vector<at::Tensor> batches = {normal({6, 2, 5, 5}, 1), normal({6, 2, 5, 5}, 2) * 3,
                                             normal({6, 2, 5, 5}, 3) + 1};
    for (std::size_t i = 0; i < batches.size(); ++i) {
      model->recalibrate_batch_norms(batches[i], {.seed = 3}, static_cast<std::int64_t>(i));
      const at::Tensor y1 = at::conv2d(batches[i], w1);
      const at::Tensor z = at::relu(normalized(y1, moments(y1), 1e-5) *
                                        before.at("bn1.weight").reshape({1, 4, 1, 1}) +
                                    before.at("bn1.bias").reshape({1, 4, 1, 1}));
      const at::Tensor y2 = at::conv2d(z, w2);
      mean1 += moments(y1).mean / 3;
      var1 += moments(y1).unbiased / 3;
      mean2 += moments(y2).mean / 3;
      var2 += moments(y2).unbiased / 3;
    }
    EXPECT_TRUE(close(tensor_of(*model, "bn1.running_mean"), mean1, 1e-5));
    EXPECT_TRUE(close(tensor_of(*model, "bn1.running_var"), var1, 1e-5));
    EXPECT_TRUE(close(tensor_of(*model, "bn2.running_mean"), mean2, 1e-5));
    EXPECT_TRUE(close(tensor_of(*model, "bn2.running_var"), var2, 1e-5));
    for (const NamedTensor& entry : model->state()) {
      if (entry.name.find("running") != std::string::npos) continue;
      EXPECT_TRUE(same_bits(entry.tensor.detach(), before.at(entry.name))) << entry.name;
    }
  }
}

// Afterwards, training and evaluation update and read the statistics as before.
TEST(Recalibration, IsOverWithItsCall) {
  const auto model = make_model(two_norms(), {});
  const at::Tensor x = normal({6, 2, 5, 5}, 1);
  model->recalibrate_batch_norms(x, {}, 0);
  const auto state = copy_of_state(*model);
  const auto fresh = make_model(two_norms(), {});
  fresh->load(state);
  const at::Tensor other = normal({6, 2, 5, 5}, 2);
  EXPECT_TRUE(same_bits(model->evaluate(other, {}), fresh->evaluate(other, {})));
  EXPECT_TRUE(same_bits(tensor_of(*model, "bn1.running_mean"), state.at("bn1.running_mean")));
  model->train(other, {});
  fresh->train(other, {});
  EXPECT_TRUE(
      same_bits(tensor_of(*model, "bn1.running_var"), tensor_of(*fresh, "bn1.running_var")));
}

}  // namespace
}  // namespace qhost::test

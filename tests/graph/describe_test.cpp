#include "sdk/describe.h"

#include "graph/helpers.h"

namespace qhost {
namespace {

using test::Network;

class Squeeze : public CustomOpBase {
 public:
  std::string type() const override { return "squeeze"; }
  Shape infer(const std::vector<Shape>& inputs) const override { return inputs.at(0); }
  std::vector<ParameterSpec> parameters(const std::vector<Shape>&) const override {
    return {{.name = "w", .shape = {2, 3}, .init = Initialization::glorot_uniform},
            {.name = "mean", .shape = {3}, .trainable = false, .decayed = false}};
  }
};

// One node of every operation, with unusual values.
Graph everything() {
  Network n("16x9x9");
  GraphBuilder& g = n.g;
  Value x = g.conv2d("conv", n.x,
                     {.out_channels = 8,
                      .kernel = {3, 1},
                      .stride = {1, 2},
                      .padding = {1, 0},
                      .groups = 4,
                      .bias = true,
                      .init = Initialization::glorot_uniform});
  x = g.batch_norm("bn", x, {.epsilon = 1e-3, .momentum = 0.3, .affine = false});
  x = g.activation("leaky", x, {.kind = Activation::leaky_relu, .slope = 0.125});
  Value y = g.max_pool("max", x, {.kernel = 3, .stride = 1, .padding = 1});
  {
    auto scope = g.scope("side");
    const Value mean = g.average_pool("mean", x, {.kernel = 1, .stride = 1});
    y = g.add("add", y, mean);
  }
  const Value sub = g.subsample("sub", x, {.out_channels = 12, .stride = 1});
  y = g.concat("cat", {y, sub});
  y = g.custom("squeeze", {y}, std::make_shared<Squeeze>());
  y = g.relu("relu", g.dropout("drop", y, {.probability = 0.3}));
  const Value pool = g.global_average_pool("pool", y);
  const Value flat = g.flatten("flat", y);
  y = g.concat("both", {flat, pool});
  y = g.linear("fc", y, {.out_features = 3});
  return g.finish(y, 3);
}

TEST(Text, WritesEveryAttribute) {
  EXPECT_EQ(
      to_text(everything()),
      "input = input() -> [N,16,9,9]\n"
      "conv = conv2d(out_channels 8, kernel 3x1, stride 1x2, padding 1x0, groups 4, bias true, "
      "init "
      "glorot_uniform) input -> [N,8,9,5]\n"
      "bn = batch_norm(epsilon 0.001, momentum 0.3, affine false, gamma_init ones) conv -> "
      "[N,8,9,5]\n"
      "leaky = leaky_relu(slope 0.125) bn -> [N,8,9,5]\n"
      "max = max_pool(kernel 3x3, stride 1x1, padding 1x1) leaky -> [N,8,9,5]\n"
      "side.mean = average_pool(kernel 1x1, stride 1x1, padding 0x0) leaky -> [N,8,9,5]\n"
      "side.add = add() max side.mean -> [N,8,9,5]\n"
      "sub = subsample(out_channels 12, stride 1x1) leaky -> [N,12,9,5]\n"
      "cat = concat() side.add sub -> [N,20,9,5]\n"
      "squeeze = custom:squeeze(w [2,3] glorot_uniform decayed, mean [3] zeros buffer) cat -> "
      "[N,20,9,5]\n"
      "drop = dropout(probability 0.3) squeeze -> [N,20,9,5]\n"
      "relu = relu() drop -> [N,20,9,5]\n"
      "pool = global_average_pool() relu -> [N,20]\n"
      "flat = flatten() relu -> [N,900]\n"
      "both = concat() flat pool -> [N,920]\n"
      "fc = linear(out_features 3, bias true, init torch_default) both -> [N,3]\n"
      "output fc\n");
}

TEST(Text, EqualNetworksHaveEqualTexts) {
  EXPECT_EQ(to_text(everything()), to_text(everything()));
}

TEST(Text, DescribesInFewWords) {
  const Graph graph = everything();
  const auto words = [&](const char* name) { return describe(*graph.find(name)); };
  EXPECT_EQ(words("conv"), "conv2d 3x1 stride 1x2 groups 4");
  EXPECT_EQ(words("max"), "max_pool 3x3 stride 1");
  EXPECT_EQ(words("leaky"), "leaky_relu");
  EXPECT_EQ(words("drop"), "dropout 0.3");
  EXPECT_EQ(words("sub"), "subsample stride 1");
  EXPECT_EQ(words("squeeze"), "squeeze");
  EXPECT_EQ(words("fc"), "linear");
}

TEST(Text, NamesEveryEnumerator) {
  EXPECT_STREQ(to_string(Op::global_average_pool), "global_average_pool");
  EXPECT_STREQ(to_string(Op::custom), "custom");
  EXPECT_STREQ(to_string(Activation::hardtanh), "hardtanh");
  EXPECT_STREQ(to_string(Activation::gelu), "gelu");
  EXPECT_STREQ(to_string(Initialization::kaiming_uniform_fan_in), "kaiming_uniform_fan_in");
  EXPECT_STREQ(to_string(Initialization::torch_default), "torch_default");
}

}  // namespace
}  // namespace qhost

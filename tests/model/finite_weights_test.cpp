/// Codes hide values that are not finite: the host checks the weight before encode(), and then the
/// result of encode().
#include <limits>

#include "support.h"

namespace qhost::test {
namespace {

using ::testing::HasSubstr;

constexpr float infinity = std::numeric_limits<float>::infinity();

/// Binary codes, and a scale, table or float values that a test sets.
class Given : public WeightQuantizer {
 public:
  explicit Given(const Encoded& parts) : parts_(parts) {}
  Encoding encoding(const SlotInfo&) const override { return parts_.encoding; }
  at::Tensor forward(const SlotContext&, const at::Tensor& latent) override { return latent; }
  Encoded encode(const SlotContext&, const at::Tensor& latent) override {
    EXPECT_TRUE(at::isfinite(latent).all().item<bool>()) << "the host asks first";
    Encoded encoded = parts_;
    if (!encoded.codes.defined()) encoded.codes = at::ge(latent, 0).to(at::kByte);
    return encoded;
  }

 private:
  Encoded parts_;
};

std::unique_ptr<Model> model_with(const Encoded& parts) {
  const Graph graph = network({2, 4, 4}, 3, [](GraphBuilder& g, Value x) {
    x = g.conv2d("conv", x, {.out_channels = 3, .kernel = 3, .padding = 1});
    return g.global_average_pool("pool", x);
  });
  MethodRule rule = weight_rule<Given>("given", {}, parts);
  rule.plugin = "giver";
  return make_model(graph, {rule});
}

std::string complaint(Model& model) {
  return error_of(ErrorKind::diverged, [&] { model.evaluate(normal({2, 2, 4, 4}, 1), {}); });
}

const char* const help =
    "\nhelp: go back to an earlier checkpoint; a lower learning rate or train.gradient_clip keeps "
    "training finite";

TEST(FiniteWeights, AWeightIsNamedWithPluginMethodLayerAndCount) {
  const auto model = model_with({.encoding = Encoding::binary(ScaleKind::none)});
  at::Tensor w = tensor_of(*model, "conv.weight").detach().clone();
  w[0][1][2][0] = std::numeric_limits<float>::quiet_NaN();
  set(*model, "conv.weight", w);
  EXPECT_EQ(complaint(*model),
            std::string("plugin `giver`: method `given` cannot encode the weight of conv: 1 of its "
                        "54 values is not finite") +
                help);
  w[2][0][0][0] = -infinity;
  set(*model, "conv.weight", w);
  EXPECT_THAT(complaint(*model), HasSubstr(": 2 of its 54 values are not finite\n"));
  // As summaries and scores call it.
  EXPECT_THAT(error_of(ErrorKind::diverged, [&] { model->encoded_weights({}); }),
              HasSubstr("cannot encode the weight of conv: 2 of its 54 values are not finite\n"));
  w.fill_(1);
  set(*model, "conv.weight", w);
  model->evaluate(normal({2, 2, 4, 4}, 1), {});
}

TEST(FiniteWeights, SoIsAScaleACodebookAndAStoredValue) {
  EXPECT_THAT(complaint(*model_with({.encoding = Encoding::binary(ScaleKind::channel),
                                     .scale = at::tensor({1.0F, infinity, -infinity})})),
              HasSubstr("of conv: 2 of its 3 scales are not finite\n"));
  EXPECT_THAT(complaint(*model_with({.encoding = Encoding::codebook(2, ScaleKind::none, false),
                                     .table = at::tensor({-infinity, 1.0F})})),
              HasSubstr("of conv: 1 of its 2 codebook entries is not finite\n"));
  EXPECT_THAT(complaint(*model_with(
                  {.encoding = Encoding::float32(), .codes = at::full({3, 2, 3, 3}, infinity)})),
              HasSubstr("of conv: 54 of its 54 stored values are not finite\n"));
}

}  // namespace
}  // namespace qhost::test

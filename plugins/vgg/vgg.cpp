#include "vgg.h"

#include <string>

#include "qhost/error.h"

namespace qhost::vgg {
namespace {

constexpr int stages = 3;

struct Plan {
  std::int64_t width = 128;  // channels of the first stage
  Activation activation = Activation::relu;
  double epsilon = 1e-5;  // of the batch norms
  Initialization conv_init = Initialization::kaiming_normal_fan_out;
  LinearOptions linear;  // what the linear layers have in common
  int hidden_layers = 0;
  bool output_norm = false;
};

Plan plan_of(const Options& options) {
  Plan plan = {.width = options.integer("width"),
               .activation = options.string("activation") == "relu" ? Activation::relu
                                                                    : Activation::hardtanh};
  if (options.string("family") == "binaryconnect") {
    plan.epsilon = 1e-4;
    plan.conv_init = Initialization::glorot_uniform;
    plan.linear = {.bias = false, .init = Initialization::glorot_uniform};
    plan.hidden_layers = 2;
    plan.output_norm = true;
  }
  return plan;
}

// Each stage halves the image.
void require_image(const Shape& input) {
  constexpr std::int64_t smallest = std::int64_t{1} << stages;
  if (input.is_image() && input.height() >= smallest && input.width() >= smallest) return;
  const std::string size = std::to_string(smallest) + "x" + std::to_string(smallest);
  throw Error(
      ErrorKind::configuration,
      "vgg needs images of at least " + size + " pixels; the data set gives " + to_string(input),
      "use a data set of larger images");
}

// Batch norm and activation; `number` tells those of one scope apart.
Value activated(GraphBuilder& g, Value x, const Plan& plan, const std::string& number) {
  x = g.batch_norm("bn" + number, x, {.epsilon = plan.epsilon});
  return g.activation(to_string(plan.activation) + number, x, {.kind = plan.activation});
}

Value stage(GraphBuilder& g, Value x, const Plan& plan, std::int64_t width) {
  for (int i = 1; i <= 2; ++i) {
    const std::string number = std::to_string(i);
    x = g.conv2d("conv" + number, x,
                 {.out_channels = width, .kernel = 3, .padding = 1, .init = plan.conv_init});
    if (i == 2) x = g.max_pool("pool", x);
    x = activated(g, x, plan, number);
  }
  return x;
}

Value linear(GraphBuilder& g, Value x, const Plan& plan, std::int64_t units) {
  LinearOptions options = plan.linear;
  options.out_features = units;
  return g.linear("fc", x, options);
}

Value build(GraphBuilder& g, Value x, const ArchitectureContext& context, const Options& options) {
  const Plan plan = plan_of(options);
  require_image(context.input);

  for (int i = 0; i < stages; ++i) {
    auto scope = g.scope("stage" + std::to_string(i + 1));
    x = stage(g, x, plan, plan.width << i);
  }
  x = g.flatten("flatten", x);
  for (int i = 0; i < plan.hidden_layers; ++i) {
    auto scope = g.scope("hidden" + std::to_string(i + 1));
    x = activated(g, linear(g, x, plan, plan.width << stages), plan, "");
  }
  x = linear(g, x, plan, context.classes);
  return plan.output_norm ? g.batch_norm("bn", x, {.epsilon = plan.epsilon}) : x;
}

}  // namespace

Architecture architecture() {
  return {
      .name = "vgg",
      .summary = "the plain networks of BinaryConnect and VGG-small",
      .paper =
          "Courbariaux, Bengio, David: BinaryConnect, arXiv 1511.00363; Zhang, Yang, Ye, Hua: "
          "LQ-Nets, arXiv 1807.10029; both after Simonyan, Zisserman, arXiv 1409.1556",
      .options =
          {Option::string("family", "binaryconnect",
                          "binaryconnect: 6 convolutions, 2 hidden linear layers, a batch norm "
                          "behind the output too; small: 6 convolutions and the output layer")
               .one_of({"binaryconnect", "small"}),
           Option::integer("width", 128,
                           "w: the stages have w, 2w, 4w channels, hidden linear layers 8w; 64 is "
                           "BinaryConnect's network for SVHN")
               .at_least(1)
               .at_most(1024),
           Option::string("activation", "relu",
                          "behind each batch norm; hardtanh, clip(x, -1, 1), is that of BinaryNet "
                          "and IR-Net")
               .one_of({"relu", "hardtanh"})},
      .build = build};
}

}  // namespace qhost::vgg

#include "densenet.h"

#include <string>

#include "plan.h"
#include "qhost/error.h"
#include "state_dict_keys.h"

namespace qhost::densenet {
namespace {

constexpr std::int64_t bottleneck_width = 4;  // times the growth rate

// Each transition halves the image: the last block must have a pixel left of its own.
void require_image(const Shape& input, const Plan& plan) {
  const std::int64_t smallest = std::int64_t{1} << (plan.layers.size() - 1);
  if (input.is_image() && input.height() >= smallest && input.width() >= smallest) return;
  const std::string size = std::to_string(smallest) + "x" + std::to_string(smallest);
  throw Error(ErrorKind::configuration,
              "densenet, family " + plan.family + ", needs images of at least " + size +
                  " pixels; the data set gives " + to_string(input),
              std::string("use a data set of larger images") +
                  (plan.family == "imagenet" ? ", or family = \"cifar\"" : ""));
}

Value dropped(GraphBuilder& g, const std::string& name, Value x, const Plan& plan) {
  return plan.dropout > 0 ? g.dropout(name, x, {.probability = plan.dropout}) : x;
}

Value layer(GraphBuilder& g, Value x, const Plan& plan) {
  Value y = g.relu("relu1", g.batch_norm("bn1", x));
  const Conv2dOptions grow = {.out_channels = plan.growth, .kernel = 3, .padding = 1};
  if (plan.bottleneck) {
    y = g.conv2d("conv1", y, {.out_channels = bottleneck_width * plan.growth, .kernel = 1});
    y = g.relu("relu2", g.batch_norm("bn2", dropped(g, "dropout1", y, plan)));
    y = dropped(g, "dropout2", g.conv2d("conv2", y, grow), plan);
  } else {
    y = dropped(g, "dropout1", g.conv2d("conv1", y, grow), plan);
  }
  return g.concat("concat", {x, y});
}

Value transition(GraphBuilder& g, Value x, const Plan& plan) {
  const std::int64_t kept = compressed(x.shape().channels(), plan.compression);
  Value y = g.relu("relu", g.batch_norm("bn", x));
  y = g.conv2d("conv", y, {.out_channels = kept, .kernel = 1});
  return g.average_pool("pool", dropped(g, "dropout", y, plan));
}

Value build(GraphBuilder& g, Value input, const ArchitectureContext& context,
            const Options& options) {
  const Plan plan = plan_of(options);
  require_image(context.input, plan);

  Value x = g.conv2d("conv1", input, {.out_channels = plan.stem, .kernel = 3, .padding = 1});
  for (std::size_t i = 0; i < plan.layers.size(); ++i) {
    if (i > 0) {
      auto scope = g.scope("transition" + std::to_string(i));
      x = transition(g, x, plan);
    }
    auto block = g.scope("block" + std::to_string(i + 1));
    for (std::int64_t j = 0; j < plan.layers[i]; ++j) {
      auto scope = g.scope("layer" + std::to_string(j));
      x = layer(g, x, plan);
    }
  }
  x = g.global_average_pool("pool", g.relu("relu", g.batch_norm("bn", x)));
  return g.linear("fc", x, {.out_features = context.classes});
}

}  // namespace

Architecture architecture() {
  return {
      .name = "densenet",
      .summary = "densely connected networks, DenseNet and DenseNet-BC",
      .paper =
          "Huang, Liu, van der Maaten, Weinberger: Densely Connected Convolutional Networks, "
          "arXiv 1608.06993",
      .options =
          {Option::string(
               "family", "cifar",
               "cifar: 3 equal blocks; imagenet: the 4 blocks of DenseNet-121 and larger")
               .one_of({"cifar", "imagenet"}),
           Option::integer("depth", 100,
                           "weighted layers: for cifar 6n+4, or 3n+4 without bottlenecks; for "
                           "imagenet 121, 161, 169 or 201")
               .at_least(7)
               .at_most(1000),
           Option::integer("growth_rate", 12, "k: the channels that each layer adds")
               .at_least(1)
               .at_most(256)
               .from_paper("arXiv 1608.06993, section 3"),
           Option::boolean("bottleneck", true,
                           "a 1x1 convolution to 4k channels before each 3x3 convolution (the B of "
                           "DenseNet-BC)")
               .from_paper("arXiv 1608.06993, section 3"),
           Option::real("compression", 0.5,
                        "share of the channels that a transition keeps; below 1 it is the C of "
                        "DenseNet-BC")
               .above(0)
               .at_most(1)
               .from_paper("arXiv 1608.06993, section 3"),
           Option::real("dropout", 0,
                        "probability of zeroing behind every convolution but the first")
               .at_least(0)
               .below(1)
               .from_paper("arXiv 1608.06993, section 4.2")},
      .build = build,
      .published = published()};
}

}  // namespace qhost::densenet

#include "resnet.h"

#include <algorithm>
#include <string>
#include <vector>

#include "blocks.h"
#include "qhost/error.h"
#include "state_dict_keys.h"

namespace qhost::resnet {
namespace {

constexpr std::int64_t deepest = 1202;  // the deepest network of 1512.03385

// What a family fixes; stage i has base_width << i channels.
struct Family {
  std::string name;
  std::vector<std::int64_t> blocks;  ///< of each stage
  std::int64_t base_width = 16;
  Initialization conv_init = Initialization::kaiming_normal_fan_in;
  Initialization linear_init = Initialization::kaiming_normal_fan_in;
  bool final_norm = true;  ///< of a pre-activated network: batch norm and ReLU before the pooling
};

Family cifar(std::int64_t depth) {
  if (depth % 6 != 2) {
    const std::int64_t below = std::max<std::int64_t>(8, (depth - 2) / 6 * 6 + 2);
    throw OptionError(
        "depth",
        "depth " + std::to_string(depth) + " is not 6n+2; nearest: " + std::to_string(below) +
            " and " + std::to_string(below + 6),
        depth == 18 || depth == 34 ? "ResNet-" + std::to_string(depth) + " is family = \"imagenet\""
                                   : "");
  }
  const std::int64_t n = (depth - 2) / 6;
  return {.name = "cifar", .blocks = {n, n, n}};
}

Family imagenet(std::int64_t depth) {
  if (depth != 18 && depth != 34) {
    throw OptionError("depth", "depth " + std::to_string(depth) +
                                   " does not exist in the family imagenet; it has 18 and 34");
  }
  return {.name = "imagenet",
          .blocks = depth == 18 ? std::vector<std::int64_t>{2, 2, 2, 2}
                                : std::vector<std::int64_t>{3, 4, 6, 3},
          .base_width = 64,
          .conv_init = Initialization::kaiming_normal_fan_out,
          .linear_init = Initialization::torch_default,
          .final_norm = false};
}

// Each stage but the first, and the max pool, halve the image: the last one must have a pixel left of its own.
void require_image(const Shape& input, const Family& family, bool stem_pool) {
  const std::int64_t smallest = std::int64_t{1} << (family.blocks.size() - (stem_pool ? 0 : 1));
  if (input.is_image() && input.height() >= smallest && input.width() >= smallest) return;
  const std::string size = std::to_string(smallest) + "x" + std::to_string(smallest);
  throw Error(ErrorKind::configuration,
              "resnet, family " + family.name + ", needs images of at least " + size +
                  " pixels; the data set gives " + to_string(input),
              std::string("use a data set of larger images") +
                  (family.name == "imagenet" ? ", or family = \"cifar\"" : ""));
}

BlockKind block_of(const Options& options, const Family& family) {
  BlockKind kind = {.shortcut = shortcut_of(options),
                    .activation = options.string("activation") == "relu" ? Activation::relu
                                                                         : Activation::hardtanh,
                    .init = family.conv_init};
  if (options.string("block") == "bireal") {
    kind.units = {1, 1};
    kind.order = Order::a_c_b;
    kind.real_shortcut = true;
  }
  if (options.boolean("preactivation")) kind.order = Order::b_a_c;
  return kind;
}

Value build(GraphBuilder& g, Value input, const ArchitectureContext& context,
            const Options& options) {
  const std::int64_t depth = options.integer("depth");
  const Family family = options.string("family") == "cifar" ? cifar(depth) : imagenet(depth);
  require_image(context.input, family, options.boolean("stem_pool"));
  const BlockKind kind = block_of(options, family);

  Value x = conv3x3(g, "conv1", input, family.base_width, 1, family.conv_init);
  if (kind.order != Order::b_a_c) x = g.batch_norm("bn1", x);
  if (kind.order == Order::c_b_a) x = activate(g, x, kind.activation, "1");
  if (options.boolean("stem_pool")) {
    x = g.max_pool("stem_pool", x, {.kernel = 3, .stride = 2, .padding = 1});
  }
  for (std::size_t i = 0; i < family.blocks.size(); ++i) {
    auto stage = g.scope("stage" + std::to_string(i + 1));
    for (std::int64_t j = 0; j < family.blocks[i]; ++j) {
      auto scope = g.scope("block" + std::to_string(j));
      x = block(g, x, kind, family.base_width << i, i > 0 && j == 0 ? 2 : 1);
    }
  }
  if (kind.order == Order::b_a_c && family.final_norm) {
    x = activate(g, g.batch_norm("bn", x), kind.activation, "");
  }
  x = g.global_average_pool("pool", x);
  return g.linear("fc", x, {.out_features = context.classes, .init = family.linear_init});
}

}  // namespace

Architecture architecture() {
  return {
      .name = "resnet",
      .summary = "residual networks for small images",
      .paper =
          "He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, arXiv 1512.03385; "
          "Identity Mappings in Deep Residual Networks, arXiv 1603.05027; block bireal: Liu, Wu, "
          "Luo, Yang, Liu, Cheng: Bi-Real Net, arXiv 1808.00278",
      .options =
          {Option::string("family", "cifar",
                          "cifar: 3 stages of 16, 32, 64 channels; imagenet: 4 stages of 64 to 512")
               .one_of({"cifar", "imagenet"}),
           Option::integer("depth", 20, "weighted layers: 6n+2 for cifar, 18 or 34 for imagenet")
               .at_least(8)
               .at_most(deepest),
           Option::string(
               "shortcut", "auto",
               "where the shape changes: A zero padding, B 1x1 convolution; auto is A for "
               "cifar, B for imagenet")
               .one_of({"auto", "A", "B"})
               .from_paper("arXiv 1512.03385, section 3.3"),
           Option::string("block", "basic",
                          "basic: a shortcut around two convolutions; bireal: a real-valued one "
                          "around each, for binary networks")
               .one_of({"basic", "bireal"})
               .from_paper("arXiv 1808.00278"),
           Option::boolean("stem_pool", false,
                           "3x3 max pool of stride 2 behind the stem, as huyvnphan/PyTorch_CIFAR10 "
                           "has it; for larger images")
               .from_paper("arXiv 1512.03385, table 1"),
           Option::boolean("preactivation", false,
                           "batch norm and activation before each convolution (the order B-A-C of "
                           "XNOR-Net), not behind it")
               .from_paper("arXiv 1603.05027, figure 4e; arXiv 1603.05279, section 3.2"),
           Option::string("activation", "relu",
                          "hardtanh, clip(x, -1, 1), is that of IR-Net, and of Bi-Real Net's float "
                          "pretraining; a quantizer of signed inputs reads in front of a relu")
               .one_of({"relu", "hardtanh"})},
      .build = build,
      .published = published()};
}

}  // namespace qhost::resnet

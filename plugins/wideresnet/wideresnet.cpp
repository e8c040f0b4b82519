#include "wideresnet.h"

#include <algorithm>
#include <string>

#include "../shared/part_names.h"
#include "../shared/pytorchcv_names.h"
#include "qhost/error.h"

namespace qhost::wideresnet {
namespace {

constexpr int stages = 3;
constexpr std::int64_t stem_width = 16;

std::int64_t blocks_per_stage(std::int64_t depth) {
  if (depth % 6 == 4) return (depth - 4) / 6;
  const std::int64_t below = std::max<std::int64_t>(10, (depth - 4) / 6 * 6 + 4);
  throw OptionError("depth", "depth " + std::to_string(depth) + " is not 6n+4; nearest: " +
                                 std::to_string(below) + " and " + std::to_string(below + 6));
}

// Two stages halve the image: the last one must have a pixel left of its own.
void require_image(const Shape& input) {
  constexpr std::int64_t smallest = std::int64_t{1} << (stages - 1);
  if (input.is_image() && input.height() >= smallest && input.width() >= smallest) return;
  const std::string size = std::to_string(smallest) + "x" + std::to_string(smallest);
  throw Error(ErrorKind::configuration,
              "wideresnet needs images of at least " + size + " pixels; the data set gives " +
                  to_string(input),
              "use a data set of larger images");
}

struct BlockKind {
  double dropout = 0;
  bool leaky = false;  // LeakyReLU(0.1)
  bool raw = false;    // where the image is halved, nothing stands in front of conv1 and shortcut
};

Value activate(GraphBuilder& g, const std::string& number, Value x, const BlockKind& kind) {
  if (!kind.leaky) return g.relu("relu" + number, x);
  return g.activation("leaky_relu" + number, x, {.kind = Activation::leaky_relu, .slope = 0.1});
}

Value block(GraphBuilder& g, Value x, std::int64_t width, std::int64_t stride,
            const BlockKind& kind) {
  const bool same_shape = x.shape().channels() == width && stride == 1;
  const bool raw = kind.raw && stride > 1;
  Value y = raw ? x : activate(g, "1", g.batch_norm("bn1", x), kind);
  const Value shortcut =
      same_shape ? x
                 : g.conv2d("shortcut", y, {.out_channels = width, .kernel = 1, .stride = stride});
  y = g.conv2d("conv1", y, {.out_channels = width, .kernel = 3, .stride = stride, .padding = 1});
  y = activate(g, "2", g.batch_norm("bn2", y), kind);
  if (kind.dropout > 0) y = g.dropout("dropout", y, {.probability = kind.dropout});
  y = g.conv2d("conv2", y, {.out_channels = width, .kernel = 3, .padding = 1});
  return g.add("add", y, shortcut);
}

Value build(GraphBuilder& g, Value input, const ArchitectureContext& context,
            const Options& options) {
  const std::int64_t n = blocks_per_stage(options.integer("depth"));
  const std::int64_t width = stem_width * options.integer("widen_factor");
  require_image(context.input);
  const BlockKind kind = {.dropout = options.real("dropout"),
                          .leaky = options.string("activation") == "leaky_relu",
                          .raw = options.string("halving") == "raw"};

  Value x = g.conv2d("conv1", input, {.out_channels = stem_width, .kernel = 3, .padding = 1});
  for (int i = 0; i < stages; ++i) {
    auto stage = g.scope("stage" + std::to_string(i + 1));
    for (std::int64_t j = 0; j < n; ++j) {
      auto scope = g.scope("block" + std::to_string(j));
      x = block(g, x, width << i, i > 0 && j == 0 ? 2 : 1, kind);
    }
  }
  x = g.global_average_pool("pool", activate(g, "", g.batch_norm("bn", x), kind));
  return g.linear("fc", x, {.out_features = context.classes});
}

bool is_papers(const Options& options) {
  return options.string("activation") == "relu" && options.string("halving") == "activated";
}

std::string short_name(const std::string& tensor) {
  return renamed(
      tensor,
      {{"stage#", "block#"}, {"block#", "layer.#"}, {"shortcut", "convShortcut"}, {"bn", "bn1"}});
}

StateDictKeyMap xternalz() {
  return {.source = "xternalz/WideResNet-pytorch",
          .name_of =
              [](const std::string& tensor, const Options& options) {
                return is_papers(options) ? short_name(tensor) : "";
              },
          .mean = {0.4914, 0.4824, 0.4467},
          .deviation = {0.2471, 0.2435, 0.2616},
          .look_alikes =
              "kekmodel/FixMatch-pytorch has the same names for another network: set "
              "model.activation = \"leaky_relu\" and model.halving = \"raw\""};
}

StateDictKeyMap fixmatch() {
  return {.source = "kekmodel/FixMatch-pytorch",
          .name_of =
              [](const std::string& tensor, const Options& options) {
                const bool there = options.string("activation") == "leaky_relu" &&
                                   options.string("halving") == "raw";
                return there ? short_name(tensor) : "";
              },
          .mean = {0.4914, 0.4822, 0.4465},
          .deviation = {0.2471, 0.2435, 0.2616},
          .unused =
              [](const std::string& there, const Options&) {
                return there.starts_with("block2.layer.0.bn1.") ||
                       there.starts_with("block3.layer.0.bn1.");
              }};
}

StateDictKeyMap pytorchcv() {
  return {.source = "pytorchcv",
          .name_of =
              [](const std::string& tensor, const Options& options) {
                return is_papers(options) ? pytorchcv_name(tensor, /*preactivation=*/true) : "";
              },
          .mean = {0.4914, 0.4822, 0.4465},
          .deviation = {0.2023, 0.1994, 0.2010}};
}

}  // namespace

Architecture architecture() {
  return {
      .name = "wideresnet",
      .summary = "wide residual networks WRN-d-k",
      .paper = "Zagoruyko, Komodakis: Wide Residual Networks, arXiv 1605.07146",
      .options = {Option::integer("depth", 16, "weighted layers, 6n+4").at_least(10).at_most(1000),
                  Option::integer("widen_factor", 4, "k: the stages have 16k, 32k, 64k channels")
                      .at_least(1)
                      .at_most(64)
                      .from_paper("arXiv 1605.07146, table 1"),
                  Option::real("dropout", 0,
                               "probability of zeroing between a block's convolutions")
                      .at_least(0)
                      .below(1)
                      .from_paper("arXiv 1605.07146, section 2.4"),
                  Option::string("activation", "relu",
                                 "leaky_relu, of slope 0.1, is that of semi-supervised learning")
                      .one_of({"relu", "leaky_relu"}),
                  Option::string("halving", "activated",
                                 "what the first block of stages 2 and 3 reads; raw: its input "
                                 "without batch norm and activation, as kekmodel/FixMatch-pytorch")
                      .one_of({"activated", "raw"})},
      .build = build,
      .published = {xternalz(), fixmatch(), pytorchcv()}};
}

}  // namespace qhost::wideresnet

// Compares the logits of whole networks with tests/golden/forward, which tools/golden/forward.py
// makes from its own descriptions, or with the classes of published packages. Weights, statistics
// and images are functions of the tensor names, by the formula in that script. The names are the
// network's own or those of a published implementation.
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "densenet/densenet.h"
#include "jobs/published_weights.h"
#include "plugins/architectures/build.h"
#include "resnet/resnet.h"
#include "support.h"
#include "vgg/vgg.h"
#include "wideresnet/wideresnet.h"

namespace qhost::test {
namespace {

using nlohmann::json;

json golden(const std::string& name) {
  const std::string path = QHOST_SOURCE_DIR "/tests/golden/forward/" + name + ".json";
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  return json::parse(file);
}

Architecture architecture_named(const std::string& name) {
  for (const Architecture& one : {densenet::architecture(), resnet::architecture(),
                                  vgg::architecture(), wideresnet::architecture()}) {
    if (one.name == name) return one;
  }
  throw std::runtime_error("no architecture " + name);
}

Given given_of(const json& options) {
  Given given;
  for (const auto& [key, value] : options.items()) {
    if (value.is_boolean()) {
      given[key] = value.get<bool>();
    } else if (value.is_number_integer()) {
      given[key] = value.get<std::int64_t>();
    } else {
      given[key] = value.get<std::string>();
    }
  }
  return given;
}

/// s: odd multiples of 2^-16 between -1 and 1, exact in float.
at::Tensor numbers(const std::string& name, const std::vector<std::int64_t>& shape) {
  std::uint64_t key = 0xCBF29CE484222325;
  for (const char letter : name) {
    key = (key ^ static_cast<unsigned char>(letter)) * 0x100000001B3;
  }
  at::Tensor values = at::empty(shape, at::kFloat);
  auto* data = values.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    std::uint64_t h = key + static_cast<std::uint64_t>(i + 1) * 0x9E3779B97F4A7C15;
    h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9;
    h = (h ^ (h >> 27)) * 0x94D049BB133111EB;
    h ^= h >> 31;
    data[i] = static_cast<float>(2 * static_cast<std::int64_t>(h >> 48) - 65535) / 65536.0F;
  }
  return values;
}

at::Tensor drawn(const std::string& name, const std::vector<std::int64_t>& shape) {
  const at::Tensor s = numbers(name, shape);
  const std::string kind = name.substr(name.rfind('.') + 1);
  if (kind == "weight" && shape.size() > 1) {
    std::int64_t fan_in = 1;
    for (std::size_t i = 1; i < shape.size(); ++i) fan_in *= shape[i];
    double bound = 1;
    for (std::int64_t inputs = 6; inputs < fan_in; inputs *= 4) bound /= 2;
    return s * bound;
  }
  if (kind == "weight") return s / 4 + 1;
  if (kind == "bias") return s / 4;
  if (kind == "running_mean") return s / 2;
  if (kind == "running_var") return s / 2 + 1;
  throw std::runtime_error("no formula for " + name);
}

class GoldenForward : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenForward, LogitsEqualTheIndependentImplementation) {
  const json file = golden(GetParam());
  const auto shape = file["input_shape"].get<std::vector<std::int64_t>>();
  const auto classes = file["classes"].get<std::int64_t>();
  const Architecture architecture = architecture_named(file["architecture"].get<std::string>());
  const Given given = given_of(file["options"]);
  const Graph graph = build(architecture, given, classes, {{shape[1], shape[2], shape[3]}});
  const Options options = Options::from(architecture.options, given);
  std::optional<StateDictKeyMap> published;
  for (const StateDictKeyMap& one : architecture.published) {
    if (one.source == file.value("names", "")) published = one;
  }
  ASSERT_EQ(published.has_value(), file.contains("names"));
  // Tensors of the published implementation that take no part in its logits.
  const json unused = file.value("unused", json::object());
  std::vector<double> logits;
  for (const json& row : file["logits"]) {
    for (const json& value : row) logits.push_back(value.get<double>());
  }
  const at::Tensor wanted = at::tensor(logits, at::kDouble).reshape({shape[0], classes});

  for (const bool channels_last : {false, true}) {
    SCOPED_TRACE(channels_last ? "channels last" : "contiguous");
    const auto model = make_model(graph, {}, {.channels_last = channels_last});
    std::map<std::string, at::Tensor> state;
    std::int64_t elements = 0;
    for (const NamedTensor& entry : model->state()) {
      const std::string name = published ? published->name_of(entry.name, options) : entry.name;
      state[name] = drawn(name, entry.tensor.sizes().vec());
      elements += entry.tensor.numel();
    }
    for (const auto& [name, sizes] : unused.items()) {
      state[name] = drawn(name, sizes.get<std::vector<std::int64_t>>());
      elements += state[name].numel();
    }
    ASSERT_EQ(state.size(), file["tensors"].get<std::size_t>());
    ASSERT_EQ(elements, file["elements"].get<std::int64_t>());
    if (published) {
      const auto own = jobs::from_published(state, graph, architecture, options);
      ASSERT_TRUE(own.has_value());
      ASSERT_EQ(own->normalization.source, published->source);
      state = own->tensors;
    }
    model->load(state);
    const at::Tensor images = in_layout(numbers("input", shape) * 2, channels_last);
    EXPECT_TRUE(close(model->evaluate(images, {}), wanted, 1e-5));
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, GoldenForward,
                         ::testing::Values("resnet20", "resnet20_bireal", "wrn_16_2",
                                           "densenet_bc_100_12", "vgg_small", "akamaster_resnet20",
                                           "chenyaofo_resnet20", "pytorchcv_resnet20",
                                           "pytorchcv_preresnet20", "kuangliu_resnet18",
                                           "huyvnphan_resnet18", "xternalz_wrn_16_2",
                                           "kekmodel_wrn_16_2", "pytorchcv_wrn_16_2",
                                           "kuangliu_densenet_cifar", "bamos_densenet_bc_40"),
                         [](const auto& instance) { return std::string(instance.param); });

}  // namespace
}  // namespace qhost::test

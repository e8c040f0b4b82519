/// The plugins under test, from the files of the build.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/plan.h"
#include "qhost/architecture.h"
#include "qhost/plugin.h"
#include "registry/registry.h"

namespace qhost::test {

/// Two convolutions around a shortcut, a pooling, a third convolution behind dropout: every kind of
/// edge that an input quantizer may get.
inline Value small_network(GraphBuilder& g, Value x, const ArchitectureContext& context,
                           const Options&) {
  const auto conv = [&](const std::string& name, Value from, std::int64_t channels,
                        std::int64_t stride) {
    return g.conv2d("conv" + name, from,
                    {.out_channels = channels, .kernel = 3, .stride = stride, .padding = 1});
  };
  const Value first = g.relu("relu1", g.batch_norm("norm1", conv("1", x, 8, 1)));
  const Value second = g.batch_norm("norm2", conv("2", first, 8, 1));
  Value y = g.relu("relu2", g.add("add", second, first));
  y = g.dropout("drop", g.max_pool("pool", y), {.probability = 0.1});
  y = g.relu("relu3", g.batch_norm("norm3", conv("3", y, 16, 2)));
  return g.linear("classify", g.global_average_pool("mean", y), {.out_features = context.classes});
}

inline std::unique_ptr<Registry> registry() {
  SearchOptions options;
  options.default_paths = false;
  options.plugin_paths = {QHOST_BINARY_DIR "/tests/plugins", QHOST_BINARY_DIR "/lib/qhost/plugins"};
  auto result = std::make_unique<Registry>(options);
  result->add_builtin("small_network", "1.0.0", [](Registrar& registrar) {
    registrar.add_architecture(
        {.name = "small", .summary = "three convolutions", .paper = "-", .build = small_network});
  });
  return result;
}

inline MethodRule rule(Registry& plugins, const std::string& name,
                       const std::map<std::string, OptionValue>& given,
                       std::vector<std::string> layers = {"*"}) {
  const QuantizerMethod& method = plugins.quantizer(name);
  MethodRule result;
  result.method = name;
  result.quantizer = method.create(Options::from(method.options, given));
  result.offers = method.roles;
  result.layers = std::move(layers);
  result.keep_float = std::vector<std::string>{};
  return result;
}

}  // namespace qhost::test

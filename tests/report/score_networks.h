// tests/report/score_networks.h: the networks with published scores, and helpers.
#pragma once

#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>

#include "plugins/architectures/build.h"
#include "report/score.h"
#include "resnet/resnet.h"
#include "wideresnet/wideresnet.h"

namespace qhost::report {

inline Graph resnet18() {
  return test::build(resnet::architecture(), {{"family", "imagenet"}, {"depth", 18}});
}
inline Graph resnet20() {
  return test::build(resnet::architecture(), {{"depth", 20}});
}
inline Graph wrn(std::int64_t depth, std::int64_t widen_factor, std::int64_t classes = 10) {
  return test::build(wideresnet::architecture(), {{"depth", depth}, {"widen_factor", widen_factor}},
                     classes);
}

/// DenseNet-BC for small images with growth 12 and blocks of 6, 12, 24 and 16 layers.
inline Graph densenet_cifar() {
  constexpr std::int64_t growth = 12;
  GraphBuilder g;
  Value x = g.conv2d("conv1", g.input({{3, 32, 32}}),
                     {.out_channels = 2 * growth, .kernel = 3, .padding = 1});
  const auto normed = [&](const std::string& number, Value y) {
    return g.relu("relu" + number, g.batch_norm("bn" + number, y));
  };
  const int layers[] = {6, 12, 24, 16};
  for (int block = 0; block < 4; ++block) {
    auto scope = g.scope("block" + std::to_string(block));
    for (int i = 0; i < layers[block]; ++i) {
      auto inner = g.scope("layer" + std::to_string(i));
      Value y = g.conv2d("conv1", normed("1", x), {.out_channels = 4 * growth, .kernel = 1});
      y = g.conv2d("conv2", normed("2", y), {.out_channels = growth, .kernel = 3, .padding = 1});
      x = g.concat("concat", {y, x});
    }
    if (block == 3) break;
    x = g.conv2d("conv", normed("", x), {.out_channels = x.shape().channels() / 2, .kernel = 1});
    x = g.average_pool("pool", x);
  }
  x = g.global_average_pool("pool", normed("", x));
  return g.finish(g.linear("fc", x, {.out_features = 10}), 10);
}

/// One convolution of `channels` inputs to 16 outputs on 4x4 pixels; behind it, a rule counts only
/// the layer "fc" and the pooling.
inline Graph one_convolution(const Conv2dOptions& options, std::int64_t channels) {
  GraphBuilder g;
  Value x = g.conv2d("conv", g.input({{channels, 4, 4}}), options);
  return g.finish(g.linear("fc", g.global_average_pool("pool", x), {.out_features = 10}), 10);
}

inline const ScoreLayer& layer(const Score& score, const std::string& name) {
  for (const ScoreLayer& candidate : score.layers) {
    if (candidate.name == name) return candidate;
  }
  throw std::out_of_range(name);
}

inline ScoreItem item(const std::vector<ScoreItem>& items, const std::string& what) {
  for (const ScoreItem& candidate : items) {
    if (candidate.what == what) return candidate;
  }
  return {what, 0, 0};
}

/// `value` rounded to the number of decimals of `printed`.
inline std::string as_printed(double value, const std::string& printed) {
  const std::size_t point = printed.find('.');
  const int decimals =
      point == std::string::npos ? 0 : static_cast<int>(printed.size() - point - 1);
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

}  // namespace qhost::report

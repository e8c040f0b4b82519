// tiny.cpp: two layers
#include "qhost/architecture.h"
#include "qhost/plugin.h"

QHOST_PLUGIN(tiny, "Two layers", "Apache-2.0", "https://example.org/tiny") {
  registrar.add_architecture({
      .name = "tiny",
      .summary = "a convolution and a linear layer",
      .paper = "none",
      .options = {qhost::Option::integer("width", 16, "channels").at_least(1)},
      .build =
          [](qhost::GraphBuilder& g, qhost::Value x,
             const qhost::ArchitectureContext& context, const qhost::Options& options) {
            x = g.conv2d(
                "conv", x,
                {.out_channels = options.integer("width"), .kernel = 3, .padding = 1});
            x = g.global_average_pool("pool", g.relu("relu", g.batch_norm("bn", x)));
            return g.linear("fc", x, {.out_features = context.classes});
          },
  });
}

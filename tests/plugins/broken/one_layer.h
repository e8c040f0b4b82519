// The component of the test plugins: a valid architecture with one linear layer.
#pragma once

#include <string>
#include <utility>

#include "qhost/architecture.h"

inline qhost::Architecture one_layer(std::string name, std::string summary = "one linear layer") {
  return {.name = std::move(name),
          .summary = std::move(summary),
          .paper = "none",
          .options = {},
          .build = [](qhost::GraphBuilder& g, qhost::Value input,
                      const qhost::ArchitectureContext& context, const qhost::Options&) {
            return g.linear("head", g.flatten("flatten", input), {.out_features = context.classes});
          }};
}

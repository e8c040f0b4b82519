#include <ATen/ATen.h>

#include <cstdio>
#include <iostream>

#include "groups.h"
#include "hand_step.h"
#include "images.h"
#include "model/caching_allocator.h"
#include "qhost/error.h"
#include "qhost_step.h"

namespace qhost::bench {
namespace {

/// A quantizer plugin with these options, and the highest intended cost of its step in float steps;
/// 0: none. The inputs of a bf16 step are cast to float32 for a slot and back.
struct MethodRow {
  const char* row;
  const char* method;
  std::map<std::string, OptionValue> options;
  double limit_fp32, limit_bf16;
};

const std::vector<MethodRow>& method_rows() {
  static const std::vector<MethodRow> rows = {
      {"bwn", "bwn", {}, 1.05, 1.05},
      {"xnornet", "xnornet", {{"input_scale", "none"}}, 1.10, 0},
      {"xnornet_k", "xnornet", {{"input_scale", "paper"}}, 1.25, 0},
      {"lsq", "lsq", {{"weight_bits", std::int64_t{8}}, {"input_bits", std::int64_t{8}}}, 1.30, 0},
  };
  return rows;
}

struct Kind {
  const char* name;
  Precision precision;
};
constexpr Kind precisions[] = {{"fp32", Precision::fp32}, {"bf16", Precision::bf16}};

constexpr std::int64_t image_count = 5120;

void require_same_network(Model& model, const HandStep& hand) {
  std::int64_t parameters = 0;
  for (const NamedTensor& entry : model.state()) {
    if (entry.trainable) parameters += entry.tensor.numel();
  }
  if (parameters != hand.parameters()) {
    throw Error(ErrorKind::internal, "the networks differ: " + std::to_string(parameters) +
                                         " parameters in the plugin's, " +
                                         std::to_string(hand.parameters()) +
                                         " in the one written by hand");
  }
}

}  // namespace

void steps(const Settings& settings, Registry& registry) {
  const data::Split images = random_images(image_count);
  for (const char* allocator : {"libtorch_allocator", "caching_allocator"}) {
    if (allocator == std::string("caching_allocator")) use_caching_allocator();
    for (const Kind& kind : precisions) {
      const std::string name = std::string("step/") + kind.name + "/" + allocator;
      if (!settings.wants(name)) continue;
      QhostStep ours(resnet20(registry), {}, kind.precision, images, settings.batch_size);
      HandStep hand(kind.precision == Precision::bf16, settings.batch_size);
      require_same_network(ours.model(), hand);
      settings.report(compare(
          name, [&] { ours.step(); }, "a LibTorch loop written by hand", [&] { hand.step(); },
          settings.rounds, 1.03, "step"));
    }
  }
}

void slots(const Settings& settings, Registry& registry) {
  use_caching_allocator();  // as `qhost run` does
  const data::Split images = random_images(image_count);
  const Graph graph = resnet20(registry);
  for (const Kind& kind : precisions) {
    const auto name = [&](const char* what) { return std::string(what) + "/" + kind.name; };
    const auto make = [&](const std::vector<MethodRule>& rules) {
      return std::make_unique<QhostStep>(graph, rules, kind.precision, images, settings.batch_size);
    };
    const auto plain = make({});
    for (const MethodRow& row : method_rows()) {
      if (!settings.wants(name(row.row))) continue;
      const auto quantized = make({method_rule(registry, row.method, row.options)});
      settings.report(compare(
          name(row.row), [&] { quantized->step(); }, "the float step", [&] { plain->step(); },
          settings.rounds, kind.precision == Precision::fp32 ? row.limit_fp32 : row.limit_bf16,
          "step"));
    }
    if (!settings.wants(name("nothing")) && !settings.wants(name("calls"))) continue;
    const auto identity = make({nothing()});
    if (settings.wants(name("nothing"))) {
      settings.report(compare(
          name("nothing"), [&] { identity->step(); }, "the float step", [&] { plain->step(); },
          settings.rounds, 1.01, "step"));
    }
    if (settings.wants(name("calls"))) {
      std::vector<double> shares;
      double calls = 0;
      for (int round = 0; round < settings.rounds; ++round) {
        calls = slot_call_seconds(identity->model());
        const double begin = now();
        plain->step();
        shares.push_back(calls / (now() - begin));
      }
      char detail[96];
      std::snprintf(detail, sizeof detail, "%.1f us for the %zu slots of a step", 1e6 * calls,
                    identity->model().plan().slots.size());
      settings.report(summarize(name("calls"), "the float step", shares, 0.002, detail));
    }
  }
}

int serve(Registry& registry, bool bf16, std::int64_t batch_size) {
  use_caching_allocator();
  const data::Split images = random_images(image_count);
  QhostStep ours(resnet20(registry), {}, bf16 ? Precision::bf16 : Precision::fp32, images,
                 batch_size);
  for (int steps_wanted = 0; std::cin >> steps_wanted;) {
    const double begin = now();
    for (int i = 0; i < steps_wanted; ++i) ours.step();
    std::cout << now() - begin << std::endl;
  }
  return 0;
}

}  // namespace qhost::bench

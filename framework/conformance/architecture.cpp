/// Checks of architectures.
#include <ATen/ATen.h>

#include <map>

#include "conformance/variants.h"
#include "jobs/published_weights.h"
#include "model/model.h"
#include "qhost/error.h"

namespace qhost::conformance {
namespace {

struct Images {
  Shape shape;
  std::int64_t classes;
};

Graph build(const Architecture& architecture, const Options& options, const Images& images) {
  GraphBuilder g;
  const Value x = g.input(images.shape);
  const Value y =
      architecture.build(g, x, {.input = images.shape, .classes = images.classes}, options);
  return g.finish(y, images.classes);
}

std::string check_same_twice(const Graph& a, const Graph& b) {
  if (a.nodes().size() != b.nodes().size()) return "the number of nodes differs";
  for (std::size_t i = 0; i < a.nodes().size(); ++i) {
    const Node &one = a.nodes()[i], &other = b.nodes()[i];
    if (one.name != other.name || one.inputs != other.inputs || one.shape != other.shape ||
        one.parameters.size() != other.parameters.size()) {
      return "node " + std::to_string(i) + " is " + one.name + ", then " + other.name;
    }
  }
  return "";
}

// Checks that the published form of the network has a distinct name for each of its tensors.
std::string check_published(const StateDictKeyMap& names, const Graph& graph,
                            const Options& options) {
  std::map<std::string, std::string> own_by_name;
  std::string without;
  for (const Node& node : graph.nodes()) {
    for (const ParameterSpec& spec : node.parameters) {
      const std::string own = node.name + "." + spec.name, there = names.name_of(own, options);
      if (there.empty()) {
        without = own;
        continue;
      }
      const auto [other, added] = own_by_name.emplace(there, own);
      if (!added) return own + " and " + other->second + " are both " + there;
      if (!names.channels_of) continue;
      const std::vector<std::int64_t> order = names.channels_of(own, options);
      const std::int64_t channels = spec.shape.at(spec.shape.size() > 1 ? 1 : 0);
      if (!order.empty() && !jobs::is_order(order, channels)) {
        return "channels_of(" + own + ") does not name each of the " + std::to_string(channels) +
               " channels once";
      }
    }
  }
  if (!without.empty() && !own_by_name.empty()) return without + " has no name, others have one";
  return "";
}

std::string check_runs(Graph graph, const Images& images) {
  Model model(std::move(graph), {}, {});
  const RunPosition position = {.seed = 5};
  model.initialize(position);
  std::vector<std::int64_t> shape = images.shape.dims;
  shape.insert(shape.begin(), 2);
  const at::Tensor x = uniform_like(Random(6), at::empty(shape, at::kFloat))
                           .mul_(2)
                           .sub_(1)
                           .contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor logits = model.train(x, position);
  if (logits.sizes() != at::IntArrayRef({2, images.classes})) return "the logits' shape is wrong";
  if (!at::isfinite(logits).all().item<bool>()) return "training gives no finite logits";
  logits.square().sum().backward();
  for (const NamedTensor& entry : model.state()) {
    if (!entry.trainable) continue;
    if (!entry.tensor.grad().defined()) return entry.name + " gets no gradient";
    if (!at::isfinite(entry.tensor.grad()).all().item<bool>()) {
      return "the gradient of " + entry.name + " is not finite";
    }
  }
  return at::isfinite(model.evaluate(x, position)).all().item<bool>()
             ? ""
             : "evaluation gives no finite logits";
}

}  // namespace

std::vector<Finding> check_architecture(const Architecture& architecture) {
  std::vector<Finding> findings;
  check_options(architecture.options, findings);
  const std::vector<Images> sizes = {{{{3, 32, 32}}, 10}, {{{1, 28, 28}}, 7}};
  for (const Variant& variant : variants(architecture.options)) {
    for (const Images& images : sizes) {
      const std::string where = variant.name + ", " + to_string(images.shape);
      try {
        const Graph graph = build(architecture, variant.options, images);
        findings.push_back({"builds", where, ""});
        findings.push_back({"same twice", where,
                            check_same_twice(graph, build(architecture, variant.options, images))});
        for (const StateDictKeyMap& names : architecture.published) {
          findings.push_back({"published names", where + ", " + names.source,
                              check_published(names, graph, variant.options)});
        }
        Finding runs{"runs", where, ""};
        const std::string thrown = failure_of([&] { runs.failure = check_runs(graph, images); });
        if (!thrown.empty()) runs.failure = thrown;
        findings.push_back(std::move(runs));
      } catch (const OptionError& error) {
        // A choice may need another option changed with it; only the defaults must always build.
        if (variant.name == "defaults") findings.push_back({"builds", where, error.what()});
      } catch (...) {
        findings.push_back({"builds", where, exception_text()});
      }
    }
  }
  return findings;
}

}  // namespace qhost::conformance

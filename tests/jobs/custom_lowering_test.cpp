// Custom nodes in a packed network: what their author built in their place is compared with their
// forward; what does not fit is refused by name.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>

#include "jobs/verify_program.h"
#include "model/lower_custom.h"
#include "model/support.h"
#include "packed/program_file.h"
#include "qhost/custom.h"

namespace qhost::tests {
namespace {

using test::make_model;
using test::network;
using ::testing::HasSubstr;

enum class Fault { none, wrong_number, no_tensor, other_tensor, shape, throws, nothing };

/// a[c] * x[0] + b[c] * x[1]: a gain for each channel of two inputs.
class Mix : public CustomOp {
 public:
  explicit Mix(Fault fault) : fault_(fault) {}
  std::string type() const override { return "mix"; }
  Shape infer(const std::vector<Shape>& inputs) const override { return inputs.at(0); }
  std::vector<ParameterSpec> parameters(const std::vector<Shape>& inputs) const override {
    const std::int64_t channels = inputs.at(0).channels();
    return {{.name = "a", .shape = {channels}, .init = Initialization::ones},
            {.name = "b", .shape = {channels}, .init = Initialization::ones}};
  }
  at::Tensor forward(const CustomContext&, const std::vector<at::Tensor>& inputs,
                     const std::vector<at::Tensor>& parameters) const override {
    return inputs[0] * parameters[0].reshape({1, -1, 1, 1}) +
           inputs[1] * parameters[1].reshape({1, -1, 1, 1});
  }
  std::optional<CustomLowering> lower(GraphBuilder& g, const std::vector<Value>& inputs,
                                      const std::vector<at::Tensor>& parameters) const override {
    if (fault_ == Fault::nothing) return std::nullopt;
    if (fault_ == Fault::throws) throw std::runtime_error("no room");
    const std::int64_t channels = inputs[0].shape().channels();
    const Conv2dOptions gain = {.out_channels = channels, .kernel = 1, .groups = channels};
    CustomLowering lowering;
    lowering.output =
        g.add("sum", g.conv2d("first", inputs[0], gain), g.conv2d("second", inputs[1], gain));
    const at::Tensor b = fault_ == Fault::wrong_number ? parameters[1] * 1.01 : parameters[1];
    lowering.tensors["first.weight"] = parameters[0].reshape({channels, 1, 1, 1});
    lowering.tensors["second.weight"] = b.reshape({channels, 1, 1, 1});
    if (fault_ == Fault::no_tensor) lowering.tensors.erase("second.weight");
    if (fault_ == Fault::other_tensor) lowering.tensors["third.bias"] = b;
    if (fault_ == Fault::shape) lowering.output = g.global_average_pool("pool", lowering.output);
    return lowering;
  }

 private:
  Fault fault_;
};

std::unique_ptr<Model> mixed(Fault fault) {
  const Graph graph = network({3, 8, 8}, 4, [&](GraphBuilder& g, Value x) {
    const Value a = g.conv2d("conv1", x, {.out_channels = 6, .padding = 1});
    const Value b = g.conv2d("conv2", x, {.out_channels = 6, .padding = 1});
    const Value mix = g.custom("mix", {a, b}, std::make_shared<Mix>(fault));
    return g.linear("fc", g.global_average_pool("pool", g.relu("relu", mix)), {.out_features = 4});
  });
  std::unique_ptr<Model> model = make_model(graph, {});
  const at::NoGradGuard no_grad;
  for (const NamedTensor& each : model->state()) {
    if (each.name == "mix.a" || each.name == "mix.b") {
      each.tensor.copy_(test::normal({each.tensor.numel()}, 5));
    }
  }
  return model;
}

jobs::Verification proof_of(Model& model) {
  data::Split images;
  images.labels.assign(40, 0);
  for (std::uint32_t i = 0; i < 40; ++i) images.source_index.push_back(i);
  for (int i = 0; i < 40 * 3 * 8 * 8; ++i) {
    images.pixels.push_back(static_cast<std::uint8_t>((i * 37 + i / 17 * 101) % 256));
  }
  training::EvaluationSettings settings;
  settings.image = {{3, 8, 8}};
  settings.classes = 4;
  settings.batch_size = 16;
  settings.normalization.mean = {0.5F, 0.5F, 0.5F};
  settings.normalization.std = {0.25F, 0.25F, 0.25F};
  return jobs::verify_program(model, jobs::packed_network(model, {}), images, settings, {});
}

std::string refusal(Fault fault) {
  try {
    jobs::packed_network(*mixed(fault), {});
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(CustomLowering, IsComparedWithForward) {
  const std::unique_ptr<Model> model = mixed(Fault::none);
  EXPECT_THAT(proof_of(*model).failures, ::testing::IsEmpty());
  const packed::Program program = jobs::packed_network(*model, {});
  std::vector<std::string> names;
  for (const packed::Step& step : program.steps) names.push_back(step.name);
  EXPECT_THAT(names, ::testing::IsSupersetOf({"mix/first", "mix/second", "mix"}));
  EXPECT_THAT(proof_of(*mixed(Fault::wrong_number)).failures,
              ::testing::Contains(HasSubstr("the logits of an image with equal codes differ by ")));
}

TEST(CustomLowering, ThatDoesNotFitIsRefused) {
  EXPECT_THAT(refusal(Fault::nothing),
              HasSubstr("mix: a custom node of the type `mix` has no packed form\nhelp: give it a "
                        "lowering (CustomOp::lower in qhost/custom.h)"));
  const std::string start = "custom node `mix`: lower() does not fit: ";
  EXPECT_THAT(refusal(Fault::no_tensor), HasSubstr(start + "it gives no tensor `second.weight`"));
  EXPECT_THAT(refusal(Fault::other_tensor),
              HasSubstr(start + "it gives the tensor `third.bias`, which no node that it built "
                                "has"));
  EXPECT_THAT(refusal(Fault::shape), HasSubstr(start + "its output is [N,6], not [N,6,8,8]"));
  EXPECT_THAT(refusal(Fault::throws), HasSubstr("no room"));
}

}  // namespace
}  // namespace qhost::tests

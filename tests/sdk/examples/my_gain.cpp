// The example of qhost/custom.h, as its header has it.
#include "qhost/custom.h"

namespace {

using namespace qhost;

/// A gain for each channel.
class Gain : public CustomOp {
 public:
  std::string type() const override { return "gain"; }
  Shape infer(const std::vector<Shape>& inputs) const override { return inputs.at(0); }
  std::vector<ParameterSpec> parameters(const std::vector<Shape>& inputs) const override {
    return {
        {.name = "gain", .shape = {inputs.at(0).channels()}, .init = Initialization::ones}};
  }
  at::Tensor forward(const CustomContext&, const std::vector<at::Tensor>& inputs,
                     const std::vector<at::Tensor>& parameters) const override {
    return inputs[0].mul(parameters[0].reshape({-1, 1, 1}));
  }
  std::optional<CustomLowering> lower(
      GraphBuilder& g, const std::vector<Value>& inputs,
      const std::vector<at::Tensor>& parameters) const override {
    const at::Tensor& gain = parameters[0];
    const std::int64_t channels = inputs[0].shape().channels();
    const Value y = g.conv2d("gain", inputs[0],
                             {.out_channels = channels, .kernel = 1, .groups = channels});
    return CustomLowering{y, {{"gain.weight", gain.reshape({channels, 1, 1, 1})}}};
  }
};

[[maybe_unused]] Value with_gain(GraphBuilder& g, Value x) {
  return g.custom("gain", {x}, std::make_shared<const Gain>());
}

}  // namespace

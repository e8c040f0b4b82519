// Values that a trained network cannot have.
#include "model/weight_values.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <limits>

#include "qhost/error.h"

namespace qhost::training {
namespace {

using ::testing::HasSubstr;

class WeightValues : public ::testing::Test {
 protected:
  WeightValues() {
    GraphBuilder g;
    Value x = g.flatten("flat", g.input(Shape{{1, 2, 2}}));
    graph_ = g.finish(g.linear("fc", g.batch_norm("bn", x), {.out_features = 2}), 2);
    for (const Node& node : graph_.nodes()) {
      for (const ParameterSpec& spec : node.parameters) {
        tensors_[node.name + "." + spec.name] = at::ones(spec.shape);
      }
    }
  }
  std::string complaint(const std::map<std::string, std::string>& names = {}) {
    try {
      require_sound_values(graph_, tensors_, names);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return error.what();
    }
    return "";
  }

  Graph graph_;
  std::map<std::string, at::Tensor> tensors_;
};

TEST_F(WeightValues, EveryFloatingTypeMayBeThere) {
  for (const auto type : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16}) {
    for (auto& [name, tensor] : tensors_) tensor = tensor.to(type);
    EXPECT_EQ(complaint(), "") << c10::toString(type);
  }
  tensors_["bn.running_var"].zero_();
  tensors_["bn.running_mean"].fill_(-1);
  EXPECT_EQ(complaint(), "");
}

TEST_F(WeightValues, EachFaultHasItsTensorItsCountAndItsHelp) {
  tensors_["fc.weight"][0][1] = std::numeric_limits<float>::quiet_NaN();
  tensors_["fc.weight"][1][1] = std::numeric_limits<float>::infinity();
  tensors_["bn.running_var"][2] = -4;
  tensors_["fc.bias"] = at::ones({2}, at::kLong);
  tensors_["bn.weight"] = at::full({4}, 1e300, at::kDouble);
  EXPECT_EQ(complaint({{"fc.weight", "linear.weight"}, {"fc.bias", "fc.bias"}}),
            "the weights cannot be right:\n"
            "  beyond float32: bn.weight: 4 of 4 values are larger than 3.40282e+38, up to 1e+300\n"
            "  negative variance: bn.running_var: 1 of 4 values is below 0, down to -4\n"
            "  not finite: fc.weight (there linear.weight): 1 of 8 values is nan\n"
            "  not finite: fc.weight (there linear.weight): 1 of 8 values is infinite\n"
            "  no float: fc.bias: 2 values of type int64\n"
            "help: the network computes in float32: give weights of its range\n"
            "help: a batch norm divides by the root of its running_var: does the file hold another "
            "tensor under that name?\n"
            "help: the training that gave these weights has diverged: take a checkpoint from "
            "before that\n"
            "help: give the weights as floats: of a quantized network the codes times their "
            "scales");
}

}  // namespace
}  // namespace qhost::training

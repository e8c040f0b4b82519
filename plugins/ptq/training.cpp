#include "training.h"

#include <torch/csrc/autograd/custom_function.h>

namespace qhost::ptq {
namespace {

class StraightThrough : public torch::autograd::Function<StraightThrough> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& /*latent*/,
                            const at::Tensor& value) {
    return value.clone();  // an input that is returned as it is counts as a view
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 const torch::autograd::variable_list& gradients) {
    return {gradients[0], at::Tensor()};
  }
};

}  // namespace

Option training_option() {
  return Option::string("training", "float",
                        "float: train in float and quantize for evaluation and storage only; "
                        "quantized: train with the quantized values, gradients straight through")
      .one_of({"float", "quantized"});
}

Training training_from(const Options& options) {
  return options.string("training") == "quantized" ? Training::quantized : Training::as_float;
}

at::Tensor straight_through(const at::Tensor& latent, const at::Tensor& value) {
  return StraightThrough::apply(latent, value.detach());
}

}  // namespace qhost::ptq

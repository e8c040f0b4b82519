#include "training.h"

namespace qhost::ptq {
Option training_option() {
  return Option::string("training", "float",
                        "float: train in float and quantize for evaluation and storage only; "
                        "quantized: train with the quantized values, gradients straight through")
      .one_of({"float", "quantized"});
}

Training training_from(const Options& options) {
  return options.string("training") == "quantized" ? Training::quantized : Training::as_float;
}

}  // namespace qhost::ptq

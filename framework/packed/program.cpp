#include "packed/program.h"

namespace qhost::packed {

const char* to_string(StepOp op) {
  switch (op) {
    case StepOp::input:
      return "input";
    case StepOp::encode:
      return "encode";
    case StepOp::decode:
      return "decode";
    case StepOp::round:
      return "round";
    case StepOp::conv2d:
      return "conv2d";
    case StepOp::linear:
      return "linear";
    case StepOp::affine:
      return "affine";
    case StepOp::activation:
      return "activation";
    case StepOp::add:
      return "add";
    case StepOp::concat:
      return "concat";
    case StepOp::max_pool:
      return "max_pool";
    case StepOp::average_pool:
      return "average_pool";
    case StepOp::global_average_pool:
      return "global_average_pool";
    case StepOp::subsample:
      return "subsample";
    case StepOp::flatten:
      return "flatten";
  }
  return "?";
}

int Codes::count() const {
  return encoding.code_count();
}

std::vector<int> Program::readers(int index) const {
  std::vector<int> all;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    for (const int input : steps[i].inputs) {
      if (input == index) all.push_back(static_cast<int>(i));
    }
  }
  return all;
}

}  // namespace qhost::packed

/// lowering/layer_plan.h: what an experiment's rules decided for one node.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "graph/relu_elision.h"
#include "qhost/encoding.h"

namespace qhost {

/// One input of a node.
struct EdgePlan {
  std::optional<Encoding> encoding;  ///< empty: float
  std::string method;                ///< name of the quantizer, "" for float
  std::optional<ReluElision> elision;
  double padding_value = 0;  ///< what the padding of a convolution holds
};

/// An empty encoding is float32.
struct LayerPlan {
  std::optional<Encoding> weight, input;    ///< `input`: of every edge, or as the summary shows it
  std::string weight_method, input_method;  ///< names of the quantizers, "" for float
  std::string elision_note;                 ///< "reads bn1 instead of relu1", of an elided ReLU
  std::string note;                         ///< what else a user should know
  std::string bypassed_relu;      ///< the ReLU that the input was moved in front of, or ""
  bool bias_correction = false;   ///< the method adds a bias to the node
  bool folds_batch_norm = false;  ///< the method sees the weight folded with its batch norm
  /// One for each input, in order, where they are known one by one; empty: each is as `input` and
  /// `bypassed_relu` say.
  std::vector<EdgePlan> edges;
};

using LayerPlans = std::map<std::string, LayerPlan>;  ///< by the node's name

}  // namespace qhost

/// model/interpreter.h: computes what an inference graph says, with LibTorch, in float32.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "graph/inference_graph.h"
#include "qhost/quantizer.h"

namespace qhost {

/// Sees the values of one run.
class InterpreterWatch {
 public:
  virtual ~InterpreterWatch() = default;
  /// The codes of input `edge` of `node`, whose value is `x`.
  virtual void codes(const InferenceNode& node, std::size_t edge, const at::Tensor& x,
                     const EncodedInput& codes) = 0;
  /// A conv2d or linear node: `x` is what it multiplies, levels of codes or floats; `finish` makes
  /// an output of sums of levels, as evaluation does; `y` is the output, which a reader may
  /// overwrite afterwards.
  using Finish = std::function<at::Tensor(const at::Tensor& sums)>;
  virtual void layer(const InferenceNode& node, const at::Tensor& x, const Finish& finish,
                     const at::Tensor& y) = 0;
};

/// One run through the graph.
struct Interpretation {
  int network = 0;  ///< which of an ensemble
  /// 0, or how many batches the running statistics of every batch norm are the average of with
  /// this one: they take the batch's then, and so does the output.
  std::int64_t averaged_batches = 0;
  int last = -1;                      ///< the node whose output is wanted; -1: the graph's
  std::string* non_finite = nullptr;  ///< gets the name of the first node whose output is not
  InterpreterWatch* watch = nullptr;
};

/// What a graph says by name only: the methods that encode inputs, and the authors' nodes.
class InterpreterHost {
 public:
  virtual ~InterpreterHost() = default;
  /// The codes of the value `x` on input `edge` of `node`.
  virtual EncodedInput encode(const InferenceNode& node, std::size_t edge, const at::Tensor& x,
                              const Interpretation& run) = 0;
  virtual at::Tensor custom(const InferenceNode& node, const std::vector<at::Tensor>& inputs,
                            const Interpretation& run) = 0;
};

/// What a conv2d or linear node multiplies with, in one network.
struct InterpretedWeight {
  at::Tensor levels;
  at::Tensor scale;  ///< [1, C, 1, 1], [C] or []; undefined without
};

/// Levels and scales are made once, by the constructor. Not copied; not thread-safe. Keeps
/// references to the graph and the host.
class Interpreter {
 public:
  /// `bound`, by the names of stored tensors, are float32 tensors that are taken in the place of
  /// contents: a graph of structure only needs all of them. `channels_last` is the layout of the
  /// weights that come from contents.
  Interpreter(const InferenceGraph& graph, const std::map<std::string, at::Tensor>& bound,
              InterpreterHost& host, at::Device device, bool channels_last);
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  /// Logits of one network, [N, classes], or the output of run.last.
  at::Tensor run(const at::Tensor& x, const Interpretation& run = {});

  InterpretedWeight weight(int node, int network = 0) const;
  at::Tensor bias(int node) const;
  /// Computes with these from now on; `bias` may be undefined.
  void replace(int node, const InterpretedWeight& weight, const at::Tensor& bias);

 private:
  struct Step {
    std::vector<InterpretedWeight> weights;  ///< one, or one for each network
    at::Tensor bias;
    std::vector<at::Tensor> parameters;  ///< of a batch norm, as normalize() takes them
    bool overwrites_input = false;
    std::vector<int> last_read;  ///< the values that nobody reads after this node
  };
  struct Values;
  at::Tensor output_of(int index, Values& values, const Interpretation& run);
  at::Tensor affine(int index, Values& values, const Interpretation& run);
  /// What follows the sums of levels.
  at::Tensor finish(int index, const InterpretedWeight& weight, const at::Tensor& input_scale,
                    const at::Tensor& output_scale, at::Tensor y) const;
  at::Tensor read(int index, std::size_t edge, Values& values, const Interpretation& run);
  EncodedInput encode(const InferenceNode& node, std::size_t edge, const at::Tensor& x,
                      const Interpretation& run);
  at::Tensor stored_value(const std::string& name, const std::map<std::string, at::Tensor>& bound,
                          at::Device device) const;
  void prepare_weights(int index, const std::map<std::string, at::Tensor>& bound, at::Device device,
                       bool channels_last);
  void find_last_reads();
  bool may_overwrite(const InferenceNode& node) const;

  const InferenceGraph& graph_;
  InterpreterHost& host_;
  std::vector<Step> steps_;
};

}  // namespace qhost

/// packed/program.h: a trained network as a packed file stores it and the engine runs it. Needs no
/// LibTorch.
///
/// A program is a list of steps; each makes one value from values of earlier steps. A value is
/// float32, or codes (qhost/encoding.h) that stand for scale * level. Shapes are those of one
/// sample: [C, H, W] or [F]. All arithmetic is IEEE float32, rounded after each operation; `fma` is
/// rounded once. docs/packed-format.md describes the file.
///
///     input                the normalized image
///     encode               code = number of j with d[c] * x >= t[c][j]      (`thresholds`)
///     decode               scale * level
///     round                the nearest value of `rounding`, float16 or bfloat16, half to even
///     conv2d, linear       sum  = sum of level(weight) * level(x), or of what is float
///                          padding counts as `padding_level`
///                          y    = sum * K         with `position`: see below
///                          y    = fma(y, scale[c], bias[c]), or the part of it that is there
///       with sum_thresholds: code = number of j with d[c] * u * sum >= t[c][j], u * sum being an
///                          integer: u = unit(weight) * unit(x), 2 for levels in halves, else 1
///     affine               fma(x, scale[c], bias[c])
///     activation           as in qhost/graph.h
///     add, concat          of two or more; concat along the channels
///     max_pool, average_pool, global_average_pool, subsample, flatten     as in qhost/graph.h;
///                          sums of a pool run over rows, then columns, and are divided at the end
///
/// Position: input 1 is the float value x whose codes are input 0. A = mean over the channels of
/// |x|; conv2d: K = sum of A over the kernel's window, zeros around the image, divided by kh * kw;
/// linear: K = A.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "graph/stored_tensor.h"
#include "qhost/encoding.h"
#include "qhost/graph.h"

namespace qhost::packed {

enum class StepOp {
  input,
  encode,
  decode,
  round,
  conv2d,
  linear,
  affine,
  activation,
  add,
  concat,
  max_pool,
  average_pool,
  global_average_pool,
  subsample,
  flatten,
};
/// "encode", ...
const char* to_string(StepOp op);

/// What the codes of a value stand for. Scale, zero point and table have one entry (or table), or
/// one per channel, as `encoding` says.
struct Codes {
  Encoding encoding;  ///< no float; of one network; never ScaleKind::position
  std::vector<float> scale;
  std::vector<std::int32_t> zero_point;  ///< uniform, in half steps
  std::vector<float> table;              ///< codebook, [levels] or [C, levels]

  bool operator==(const Codes&) const = default;
  /// Number of codes (qhost/encoding.h).
  int count() const;
  /// 2 if some level is a half, 1 if all are integers, 0 for a codebook.
  int unit() const;
};

struct Step {
  std::string name;  ///< the network's node, or NODE/encode, ...; unique
  StepOp op = StepOp::input;
  std::vector<int> inputs;  ///< indices of earlier steps
  Shape shape;              ///< of the value

  // conv2d and pools; linear has none of them
  Size2 kernel = 1, stride = 1, padding = 0;
  std::int64_t groups = 1;
  float padding_level = 0;
  bool position = false;

  CodeKind rounding = CodeKind::float32;  ///< round: float16 or bfloat16

  Activation activation = Activation::relu;
  double slope = 0;

  /// conv2d [Cout, Cin/groups, kh, kw], linear [out, in]. Its scale is empty: it is in `scale`.
  std::optional<StoredTensor> weight;
  std::vector<float> scale, bias;  ///< one or [C]; empty: none. affine: both
  /// [n] or [C, n], ascending, n = codes->count() - 1. With `direction` always [C, n].
  std::vector<float> thresholds;             ///< encode
  std::vector<std::int32_t> sum_thresholds;  ///< conv2d, linear: [C, n]
  std::vector<std::int8_t> direction;        ///< [C] of +1 and -1; empty: all +1
  /// What the value is made of; empty: float32.
  std::optional<Codes> codes;

  std::int64_t channels() const { return shape.dims.at(0); }
};

/// What the file says beside the network.
struct Provenance {
  std::string name;                      ///< of the experiment
  std::vector<std::string> class_names;  ///< empty, or one per output
  std::vector<double> mean, deviation;   ///< of the input's normalization, per channel, pixels 0..1
  nlohmann::json more = nlohmann::json::object();  ///< run, quantizer, options, accuracy
};

struct Program {
  std::vector<Step> steps;  ///< the first is the input
  int output = 0;           ///< the step whose value is the logits, float, [F]
  Provenance provenance;

  const Step& step(int index) const { return steps.at(static_cast<std::size_t>(index)); }
  Step& step(int index) { return steps.at(static_cast<std::size_t>(index)); }
  const Step& input() const { return steps.at(0); }
  /// Indices of the steps that read `index`, in order.
  std::vector<int> readers(int index) const;
};

/// "" if the program is sound, else one sentence with the step and both values. It recomputes each
/// shape, size and type; a kernel may trust what passed.
std::string why_invalid(const Program& program);

/// 2 if some level of the weight is a half, 1 if all are integers, 0 if they are other numbers
/// (float kinds, codebooks).
int unit(const StoredTensor& weight);
/// The levels of all elements of a weight, row-major, as float.
std::vector<float> levels(const StoredTensor& weight);
/// No level of the weight is larger in size.
float largest_level(const StoredTensor& weight);
/// The levels of the codes of channel `channel`.
std::vector<float> levels(const Codes& codes, std::int64_t channel = 0);

}  // namespace qhost::packed

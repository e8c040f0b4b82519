/// qhost/graph.h: the functional builder with which an architecture describes its network.
///
///     Value y = g.conv2d("conv1", x, {.out_channels = 16, .kernel = 3, .padding = 1});
///     y = g.relu("relu1", g.batch_norm("bn1", y));
///
/// The builder infers shapes while it builds. What is wrong is thrown (qhost::Error, kind
/// configuration) by the call that is wrong, with the author's file and line, the scoped path of
/// the node, its operation, all input shapes and both numbers. No LibTorch header is needed here;
/// a node with a forward of its own is declared in qhost/custom.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "qhost/export.h"

namespace qhost {

/// The shape of one sample, without the batch dimension: {C, H, W} for images, {F} for features.
struct Shape {
  std::vector<std::int64_t> dims;

  bool operator==(const Shape&) const = default;
  bool is_image() const { return dims.size() == 3; }
  bool is_features() const { return dims.size() == 1; }
  std::int64_t channels() const { return dims.at(0); }
  std::int64_t height() const { return dims.at(1); }
  std::int64_t width() const { return dims.at(2); }
  /// Product of the dimensions (1 for an empty shape).
  QHOST_API std::int64_t elements() const;
};
/// "[N,64,16,16]"
QHOST_API std::string to_string(const Shape& shape);

/// A pair (height, width); one number stands for both.
struct Size2 {
  std::int64_t height = 1, width = 1;
  Size2() = default;
  Size2(std::int64_t both) : height(both), width(both) {}  // NOLINT: implicit on purpose
  Size2(std::int64_t h, std::int64_t w) : height(h), width(w) {}
  bool operator==(const Size2&) const = default;
};

enum class Op {
  input,
  conv2d,
  linear,
  batch_norm,
  activation,
  add,
  concat,
  max_pool,
  average_pool,
  global_average_pool,
  dropout,
  subsample,  ///< the shortcut "option A": every stride-th pixel, channels padded with 0
  flatten,
  custom,
};
/// "conv2d", "batch_norm", ...
QHOST_API const char* to_string(Op op);

enum class Activation {
  relu,        ///< max(x, 0)
  relu6,       ///< min(max(x, 0), 6)
  leaky_relu,  ///< x if x > 0, else slope * x
  hardtanh,    ///< min(max(x, -1), 1)
  tanh,        ///< (e^x - e^-x) / (e^x + e^-x)
  sigmoid,     ///< 1 / (1 + e^-x)
  silu,        ///< x / (1 + e^-x)
  gelu         ///< x/2 * (1 + erf(x / sqrt(2)))
};
/// "relu", ...
QHOST_API const char* to_string(Activation activation);

/// How a parameter is drawn at the start. fan_in = inputs of one output unit (Cin/groups*kh*kw),
/// fan_out = Cout/groups*kh*kw.
enum class Initialization {
  kaiming_normal_fan_out,  ///< N(0, 2/fan_out)          (He et al., 1502.01852)
  kaiming_normal_fan_in,   ///< N(0, 2/fan_in)
  kaiming_uniform_fan_in,  ///< U(+-sqrt(6/fan_in))
  torch_default,           ///< U(+-1/sqrt(fan_in)): what torch.nn.Conv2d and Linear do, biases too
  glorot_uniform,          ///< U(+-sqrt(6/(fan_in+fan_out)))  (Glorot and Bengio 2010)
  zeros,
  ones,
};
QHOST_API const char* to_string(Initialization initialization);

struct Conv2dOptions {
  std::int64_t out_channels = 0;
  Size2 kernel = 3;
  Size2 stride = 1;
  Size2 padding = 0;  ///< zeros on each side
  std::int64_t groups = 1;
  bool bias = false;
  Initialization init = Initialization::kaiming_normal_fan_out;
};
struct LinearOptions {
  std::int64_t out_features = 0;
  bool bias = true;
  Initialization init = Initialization::torch_default;
};
/// y = gamma * (x - mean) / sqrt(variance + epsilon) + beta, per channel. In training mean and the
/// biased variance are those of the batch, and the running statistics move by
/// running <- (1 - momentum) * running + momentum * batch   (unbiased variance), as in PyTorch.
struct BatchNormOptions {
  double epsilon = 1e-5;
  double momentum = 0.1;
  bool affine = true;                                ///< learned gamma and beta
  Initialization gamma_init = Initialization::ones;  ///< zeros: a residual branch that starts as 0
};
/// y = f(x), element by element. The gradient is f'(x), and 0 at the corners of relu (0), relu6
/// (0 and 6) and hardtanh (-1 and 1); that of leaky_relu at 0 is `slope`.
struct ActivationOptions {
  Activation kind = Activation::relu;
  double slope = 0.01;  ///< leaky_relu only
};
/// For each channel, with s the stride, p the padding and k the kernel:
///     max_pool       y[i, j] = max x[i*s + u - p, j*s + v - p],  0 <= u, v < k
///     average_pool   y[i, j] = the mean of the same
/// over the positions inside the image: padding is no value and does not count.
/// {C, H, W} -> {C, (H + 2p - k)/s + 1, (W + 2p - k)/s + 1}, rounded down.
struct PoolOptions {
  Size2 kernel = 2;
  Size2 stride = 2;
  Size2 padding = 0;
};
struct DropoutOptions {
  double probability = 0.5;  ///< of zeroing; the rest is scaled by 1/(1-probability), training only
};
/// y[c, i, j] = x[c - offset, i*stride, j*stride] where that channel exists, else 0;
/// offset = (out_channels - in_channels) / 2, rounded down (He et al. 2015, option A; zeros on both
/// sides, as the published CIFAR implementations do).
struct SubsampleOptions {
  std::int64_t out_channels = 0;
  Size2 stride = 2;
};

/// One tensor that a node owns. `shape` includes everything (there is no batch dimension).
struct ParameterSpec {
  std::string name;  ///< "weight", "bias", "running_mean", ... ; full name = node name + "." + name
  std::vector<std::int64_t> shape;
  Initialization init = Initialization::zeros;
  bool trainable = true;  ///< false: a buffer (batch-norm statistics)
  /// Weight decay applies under `weight_decay_on = "weights"`: weights of conv2d and linear.
  bool decayed = true;
};

/// The part of a custom node that needs no LibTorch: what the graph must know about it. Derive from
/// qhost::CustomOp in qhost/custom.h, which adds the differentiable forward.
class QHOST_API CustomOpBase {
 public:
  virtual ~CustomOpBase();
  /// A short type name for summaries and errors, "squeeze_excite".
  virtual std::string type() const = 0;
  /// The output's shape. Throws std::invalid_argument with one sentence when the inputs do not fit:
  /// the builder adds path, shapes and line, exit code 2. Any other exception is a defect of the
  /// plugin, exit code 3.
  virtual Shape infer(const std::vector<Shape>& inputs) const = 0;
  virtual std::vector<ParameterSpec> parameters(const std::vector<Shape>& inputs) const;
  /// Multiply-accumulates of one sample; 0 unless overridden.
  virtual std::int64_t macs(const std::vector<Shape>& inputs) const;
};

using NodeOptions = std::variant<std::monostate, Conv2dOptions, LinearOptions, BatchNormOptions,
                                 ActivationOptions, PoolOptions, DropoutOptions, SubsampleOptions,
                                 std::shared_ptr<const CustomOpBase>>;

/// One operation of the finished graph. Nodes stand in topological order: a node reads earlier
/// ones.
struct Node {
  int id = 0;
  Op op = Op::input;
  std::string name;         ///< scoped path, "stage2.block0.conv1"
  std::vector<int> inputs;  ///< node ids
  Shape shape;              ///< of the output
  NodeOptions options;
  std::vector<ParameterSpec> parameters;
  std::string file;  ///< where the architecture made it
  int line = 0, column = 0;

  /// The options of this node's type; throws std::bad_variant_access for another type.
  template <class T>
  const T& as() const {
    return std::get<T>(options);
  }
};

/// A complete network: one input, one output of shape {classes}.
class QHOST_API Graph {
 public:
  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(int id) const { return nodes_.at(static_cast<std::size_t>(id)); }
  /// The node of that name, or null.
  const Node* find(std::string_view name) const;
  const Node& input() const { return nodes_.at(0); }
  const Node& output() const { return node(output_); }
  /// Ids of the nodes that read `id`, in order; a node that reads it twice stands there twice.
  std::vector<int> consumers(int id) const;

 private:
  friend class GraphBuilder;
  std::vector<Node> nodes_;
  int output_ = 0;
};

class GraphBuilder;

/// A handle on a node's output while the graph is being built: copied freely, owns nothing.
class QHOST_API Value {
 public:
  Value() = default;
  const Shape& shape() const;
  int id() const { return id_; }

 private:
  friend class GraphBuilder;
  Value(const GraphBuilder* builder, int id) : builder_(builder), id_(id) {}
  const GraphBuilder* builder_ = nullptr;
  int id_ = -1;
};

/// Names given while the object lives are prefixed: g.scope("stage2") makes "stage2.conv1".
class QHOST_API Scope {
 public:
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope();

 private:
  friend class GraphBuilder;
  Scope(GraphBuilder& builder, std::size_t previous) : builder_(builder), previous_(previous) {}
  GraphBuilder& builder_;
  std::size_t previous_;
};

/// Builds a graph node by node. A name is [A-Za-z0-9_]+ (the scope adds the dots; "/" is reserved
/// for nodes that the host inserts); a path used twice is refused with both lines.
class QHOST_API GraphBuilder {
 public:
  using Where = std::source_location;

  GraphBuilder();
  ~GraphBuilder();
  GraphBuilder(const GraphBuilder&) = delete;
  GraphBuilder& operator=(const GraphBuilder&) = delete;

  /// The network's one input. The host calls it before the architecture's function.
  Value input(const Shape& shape, Where where = Where::current());

  [[nodiscard]] Scope scope(std::string_view name, Where where = Where::current());

  /// Gives every later batch norm this epsilon, whatever its options say: weights that were trained
  /// with another one need it (Keras and Larq: 1e-3). For the host: [model] bn_epsilon.
  void override_batch_norm_epsilon(double epsilon);

  /// {C,H,W} -> {out_channels, (H+2p-k)/s+1, (W+2p-k)/s+1}, rounded down.
  Value conv2d(std::string_view name, Value x, const Conv2dOptions& options,
               Where where = Where::current());
  /// {F} -> {out_features}
  Value linear(std::string_view name, Value x, const LinearOptions& options,
               Where where = Where::current());
  Value batch_norm(std::string_view name, Value x, const BatchNormOptions& options = {},
                   Where where = Where::current());
  Value activation(std::string_view name, Value x, const ActivationOptions& options,
                   Where where = Where::current());
  Value relu(std::string_view name, Value x, Where where = Where::current());
  /// Equal shapes.
  Value add(std::string_view name, Value a, Value b, Where where = Where::current());
  /// Along the channels; equal height and width.
  Value concat(std::string_view name, const std::vector<Value>& xs, Where where = Where::current());
  Value max_pool(std::string_view name, Value x, const PoolOptions& options = {},
                 Where where = Where::current());
  Value average_pool(std::string_view name, Value x, const PoolOptions& options = {},
                     Where where = Where::current());
  /// {C,H,W} -> {C}: y[c] = (1/(H*W)) * sum of x[c, i, j]
  Value global_average_pool(std::string_view name, Value x, Where where = Where::current());
  Value dropout(std::string_view name, Value x, const DropoutOptions& options = {},
                Where where = Where::current());
  Value subsample(std::string_view name, Value x, const SubsampleOptions& options,
                  Where where = Where::current());
  /// {C,H,W} -> {C*H*W}
  Value flatten(std::string_view name, Value x, Where where = Where::current());
  Value custom(std::string_view name, const std::vector<Value>& inputs,
               std::shared_ptr<const CustomOpBase> op, Where where = Where::current());

  const Shape& shape(Value value) const;

  /// Ends the building: checks that `output` is {classes} features and that every node reaches it.
  Graph finish(Value output, std::int64_t classes, Where where = Where::current());

 private:
  friend class Scope;
  friend class Value;
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace qhost

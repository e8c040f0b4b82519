/// qhost/quantizer.h: the contract between the host and a quantizer.
///
/// A quantizer never sees the network. The host walks the graph and offers it *slots*: a slot is a
/// (node, role) that the experiment's rules select, where role is `weight` (of a conv2d or linear),
/// `input` (of such a node, or of an add, concat or pooling) or `gradient` (of the loss with
/// respect to the output of a conv2d or linear). For a slot the method returns an object that
/// computes the quantized tensor while training and, except for gradients, encodes it for
/// everything else:
///
///     class Sign : public qhost::WeightQuantizer {
///       Encoding encoding(const SlotInfo&) const override {
///         return Encoding::binary(ScaleKind::none);
///       }
///       at::Tensor forward(const SlotContext&, const at::Tensor& w) override {
///         return ste::sign_identity(w);
///       }
///       Encoded encode(const SlotContext& context, const at::Tensor& w) override {
///         return {.encoding = encoding(*context.slot), .codes = ste::sign_codes(w)};
///       }
///     };
///
/// qhost/ste.h has the straight-through estimators. Where the weights' codes are a function of the
/// weights alone, qhost/stateless_quantizer.h derives forward() from encode().
///
/// Training computes with forward(); evaluation, storage and scores with encode(): the host
/// convolves the levels of the codes and multiplies by the scales afterwards, as an integer engine
/// does. decode(encode(w)) must equal forward(w) in evaluation mode, as floats.
///
/// With Traits::fold_batch_norm, forward(), observe() and encode() see the folded weight (forward()
/// in training only with fold_in_training), initialize() and after_step() the latent one. forward()
/// in training may move the slot's state; encode() must not. A scale and a factor per position
/// together: the scale is multiplied into output_scale, and the encoding says ScaleKind::position.
///
/// Tensors. Inside every call autocast is off; tensors are float32 and lie on the device of the run
/// (train.device). A tensor of four dimensions is contiguous or channels_last, as
/// train.channels_last says. The values of a result must not depend on that order; a result in the
/// order of the argument saves a copy. No call may change its tensors, except where its comment
/// says so. An undefined at::Tensor must not be handed to an autograd Function's apply(): use
/// std::optional.
///
/// Finite values. The weight that encode() gets is finite, and so must be the scale, the table and
/// the float values that it returns: the host checks both and reports Error(diverged), exit code 5.
/// forward(), observe(), after_step() and all calls for inputs and gradients may get values that
/// are not finite, of a training that diverges. They may make any value of a NaN, or throw
/// Error(diverged).
///
/// Exceptions. Every call may throw; the host adds plugin, method, call and layer:
///
///     qhost::Error           the exit code of its kind (qhost/error.h): `configuration` for
///                            options that do not go with a slot, `diverged` for values that
///                            cannot be quantized. Its text is kept; a last line "help: ..."
///                            says what to do
///     OptionError            2, at the option's line; from QuantizerMethod::create only
///     std::bad_alloc,        1, out of memory
///     c10::OutOfMemoryError
///     anything else          3: a defect of the plugin
///
/// What breaks a promise made here, a shape or a code that the encoding does not have, also ends
/// with 3. Evaluation compares what encode() gives with encoding(): kind, bits, shapes, numbers of
/// scales, the largest code.
///
/// Threads. The host makes one call at a time into the objects of a Quantizer. On a GPU, backward()
/// and the backward functions of what forward() recorded run on a thread of LibTorch's, while the
/// caller waits. Objects of different Quantizers may be used concurrently, so that a method keeps
/// no global state that changes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "qhost/encoding.h"
#include "qhost/options.h"
#include "qhost/random.h"
#include "qhost/slot.h"

namespace qhost {

enum class Mode {
  train,     ///< forward and backward through forward()
  evaluate,  ///< encode()
  calibrate  ///< the float network runs; observe() sees what the slot would quantize
};

/// What a call knows besides its tensors.
struct QHOST_API SlotContext {
  const SlotInfo* slot = nullptr;
  Mode mode = Mode::train;
  std::string_view phase;   ///< name of the training phase (Traits::phases), "" without phases
  std::int64_t epoch = 0;   ///< the current one, from 0
  std::int64_t epochs = 0;  ///< of the run
  std::int64_t step = 0;    ///< optimizer steps done since the run began
  std::int64_t steps = 0;   ///< of the run
  int member = 0;           ///< evaluation of an ensemble: which of Traits::ensemble_size networks
  std::uint64_t seed = 0;   ///< of the run
  /// In initialize(): the latent weight comes from a trained network (train.init_from).
  bool pretrained = false;

  /// A generator keyed by (seed, node, role, edge, purpose, step); in evaluation by the member
  /// instead of the step, so that an evaluation repeats to the bit.
  Random random(std::string_view purpose) const;
};

/// A tensor that belongs to a slot besides the latent weight: saved in checkpoints under
/// NODE/ROLE.NAME, restored before the next call.
struct SlotParameter {
  std::string name;
  /// float32. The slot keeps the same tensor object; the host moves it to the device of the run and
  /// updates it in place.
  at::Tensor tensor;
  bool trainable = true;  ///< false: state of the quantizer (an observer's range), not optimized
  double learning_rate_multiplier = 1.0;
  double weight_decay = 0.0;
};

/// How the optimizer treats the latent weight of a slot.
struct LatentTraits {
  double learning_rate_multiplier = 1.0;
  std::optional<double> weight_decay;  ///< empty: the experiment's
};

/// A stored tensor: codes and what turns them into values (see Encoding for the formulas).
struct Encoded {
  Encoding encoding;
  at::Tensor codes;  ///< uint8, the tensor's shape; for float kinds float32 values of that format
  at::Tensor scale;  ///< float32: scalar, or [channels]; undefined for none and position
  at::Tensor zero_point;  ///< int32 in half steps: scalar or [channels]; undefined without
  at::Tensor table;       ///< float32 [levels] or [channels, levels]; codebook only
  /// With encoding.ensemble_size > 1 `codes` has a leading dimension of that length.
};

/// The levels of the codes as float32 (exact), without the scale, in the memory order of the codes.
/// Channels are dimension `channel_dimension` of the codes (0 for weights, 1 for inputs).
QHOST_API at::Tensor levels(const Encoded& encoded, int channel_dimension = 0);
/// scale * levels, each product rounded once: what evaluation computes with.
QHOST_API at::Tensor decode(const Encoded& encoded, int channel_dimension = 0);

/// float32 numbers uniform in [0, 1), of `like`'s shape, layout and device; number i goes to the
/// i-th element in row-major order of the indices, whatever the layout. On the CPU they are
/// Random::fill_uniform's; a GPU draws its own from the same key.
QHOST_API at::Tensor uniform_like(const Random& random, const at::Tensor& like);

/// Computes the weights of one conv2d or linear node. Not copied; one object per slot.
class QHOST_API WeightQuantizer {
 public:
  virtual ~WeightQuantizer();

  /// What encode() will produce: known before any data is seen, printed by `qhost summary`. The
  /// same for the life of the object.
  virtual Encoding encoding(const SlotInfo& slot) const = 0;
  /// Learned tensors (a step size) and state, made by the constructor: called once, before
  /// initialize(). initialize() and observe() write their values in place, as a loaded checkpoint
  /// does.
  virtual std::vector<SlotParameter> parameters();
  virtual LatentTraits latent_traits(const SlotInfo& slot) const;
  /// Once before the optimizer exists, not on resume: may overwrite the latent weight in place
  /// (BinaryConnect draws it anew, unless it is pretrained) and gives learned tensors their first
  /// values. Throws Error(configuration), exit code 2, where the experiment asks for a start that
  /// does not go with a trained network's weights.
  virtual void initialize(const SlotContext& context, at::Tensor& latent);
  /// Calibration: sees the latent weight once per calibration (folded, if the method folds).
  virtual void observe(const SlotContext& context, const at::Tensor& latent);
  /// The quantized weight: float32, of the shape of `latent`, differentiable with respect to
  /// `latent` and the learned tensors. May return `latent` itself.
  virtual at::Tensor forward(const SlotContext& context, const at::Tensor& latent) = 0;
  /// Under NoGrad, after the optimizer's step: clips the latent weight, say.
  virtual void after_step(const SlotContext& context, at::Tensor& latent);
  /// The stored form of a finite weight. Must not change `latent` or the quantizer's state. Throws
  /// Error(configuration), exit code 2, where a calibration or a training step must come first, and
  /// Error(diverged), exit code 5, for values that the encoding cannot hold.
  virtual Encoded encode(const SlotContext& context, const at::Tensor& latent) = 0;
};

/// What an input quantizer gives back while training.
struct QuantizedInput {
  at::Tensor value;
  /// Optional factor of the node's output per position, [N, 1, Hout, Wout] or [N, 1]: XNOR-Net's K.
  at::Tensor output_scale;
};
/// The same in evaluation.
struct EncodedInput {
  Encoded codes;            ///< codes has the input's shape [N, ...]
  at::Tensor output_scale;  ///< as above
};

/// Which inputs a method is made for. `signed_values` behind a ReLU: the host elides the ReLU,
/// moves the edge to the ReLU's own input and says so in the summary, or refuses and names both
/// nodes. `non_negative` on an edge that can be negative: the host warns, since what is negative is
/// lost.
enum class InputRange { any, signed_values, non_negative };

/// Quantizes one edge into a node. Not copied; one object per slot. `x` is [N, C, H, W] or [N, F].
class QHOST_API InputQuantizer {
 public:
  virtual ~InputQuantizer();

  virtual Encoding encoding(const SlotInfo& slot) const = 0;
  virtual InputRange range() const;
  /// For that warning, one sentence of the method about a range of non_negative: why it is so, and
  /// which option changes it. "" by default: the host then names what it knows.
  virtual std::string range_advice() const;
  /// What a convolution's padding holds around the quantized values, in training and in evaluation:
  /// 0 by default, 1 as Larq's pad_values = 1, with which a binary convolution has no third value.
  /// Another number than 0 needs an encoding without a scale of its own (none, or position).
  virtual double padding_value() const;
  virtual std::vector<SlotParameter> parameters();
  virtual void initialize(const SlotContext& context);
  /// Calibration: one batch of the edge's float values.
  virtual void observe(const SlotContext& context, const at::Tensor& x);
  /// Of x's shape, differentiable with respect to x and the learned tensors.
  virtual QuantizedInput forward(const SlotContext& context, const at::Tensor& x) = 0;
  virtual void after_step(const SlotContext& context);
  /// Each batch of an evaluation. Must not change `x` or the quantizer's state. Throws as
  /// WeightQuantizer::encode().
  virtual EncodedInput encode(const SlotContext& context, const at::Tensor& x) = 0;
};

/// Quantizes the gradient that enters a node's backward pass. Not copied; one object per slot. It
/// has no state: of the method's traits the phases alone are about it.
class QHOST_API GradientQuantizer {
 public:
  virtual ~GradientQuantizer();

  /// `gradient` is of the loss with respect to the node's output, [N, ...] float32: what comes back
  /// takes its place, and both the weight's and the input's gradients follow from it.
  virtual at::Tensor backward(const SlotContext& context, const at::Tensor& gradient) = 0;
  /// For the summary: "6 bit, stochastic".
  virtual std::string summary() const = 0;
};

/// A part of the training in which slots may rest as floats ("float", then "quantized").
struct Phase {
  std::string name;
  std::int64_t first_epoch = 0;
  bool weights_quantized = true;
  bool inputs_quantized = true;
  bool gradients_quantized = true;
};

/// What the host must do for a method beyond its slots.
struct Traits {
  /// The weight slot of a convolution whose only reader is a batch norm sees the weight folded with
  /// the running statistics, gamma * W / sqrt(variance + epsilon). In training, with
  /// fold_in_training, the output is divided by that factor again before the batch norm (Jacob et
  /// al., 1712.05877; Krishnamoorthi, 1806.08342); in evaluation the batch norm becomes the bias
  /// beta - gamma * mean / sigma.
  bool fold_batch_norm = false;
  /// false: training leaves weight and batch norm apart, and forward() sees the latent weight, as
  /// suits a method that rests as float there.
  bool fold_in_training = true;
  /// The run calibrates before its first step: `[calibration]` batches of training data, in
  /// evaluation mode, without augmentation. A network that was never trained has running
  /// statistics that say nothing of its activations: there every batch norm takes those of the
  /// calibration batch, and leaves the running ones alone.
  bool needs_calibration = false;
  /// After a calibration the host adds to each weight slot's node, in graph order, what rounding
  /// the weight took from the mean of its output: per output channel
  ///     c = mean over images and positions of conv(x^, W) - conv(x^, W^)
  /// over the calibration's images, x^ being the node's input in the quantized network, whose
  /// earlier nodes are corrected. Kept as NODE/weight.bias_correction, [Cout]; evaluation adds it.
  /// A network that is trained afterwards leaves its correction behind: the host refuses that, and
  /// an ensemble, of whose networks one correction can serve one. Asks for a calibration by itself.
  /// (Nagel et al., arXiv 1906.04721, section 4.2; Finkelstein et al., arXiv 1906.03193)
  bool bias_correction = false;
  /// Evaluation runs this many networks (SlotContext::member) and averages their outputs.
  int ensemble_size = 1;
  std::vector<Phase> phases;
};

/// One configured method: makes the slots' objects, one call for each slot. Null leaves the slot in
/// float: a role that is not offered, or an operation that the method does not take. Throws
/// Error(configuration), exit code 2, for a slot that does not go with the options (a grouped
/// convolution, say). It lives as long as its slots' objects.
class QHOST_API Quantizer {
 public:
  virtual ~Quantizer();
  virtual std::unique_ptr<WeightQuantizer> weight(const SlotInfo& slot);
  virtual std::unique_ptr<InputQuantizer> input(const SlotInfo& slot);
  virtual std::unique_ptr<GradientQuantizer> gradient(const SlotInfo& slot);
  virtual Traits traits() const;
};

/// A named method, as a plugin registers it.
struct QuantizerMethod {
  std::string name;     ///< [a-z0-9_]+, as written in [quantizer] name
  std::string summary;  ///< one line
  std::string paper;
  std::vector<Option> options;
  std::vector<Role> roles = {Role::weight};  ///< what it offers
  /// The rule's `keep_float` when the experiment does not give one: {"first", "last"}, {}, or one
  /// role of a layer, {"first/input"}.
  std::vector<std::string> keep_float;
  /// Never null; throws OptionError, exit code 2, for options that do not fit together.
  std::function<std::unique_ptr<Quantizer>(const Options&)> create;
};

}  // namespace qhost

// From a program to operations: which kernel a convolution takes, in which form a value lies in
// memory, and what is done in the same pass.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>

#include "packed/integer_sums.h"
#include "qhost/error.h"
#include "runtime/arena.h"
#include "runtime/conv_op.h"
#include "runtime/encode_op.h"
#include "runtime/ops.h"
#include "runtime/plan.h"

namespace qhost::runtime {
namespace {

using packed::Program;
using packed::Step;
using packed::StepOp;

bool is_conv(const Step& step) {
  return step.op == StepOp::conv2d || step.op == StepOp::linear;
}
int to_int(std::int64_t value) {
  return static_cast<int>(value);
}

enum class ConvKind { binary, integer, floating };

struct Geometry {
  int height, width, channels;
};
Geometry geometry(const Shape& shape) {
  if (shape.is_features()) return {1, 1, to_int(shape.dims[0])};
  return {to_int(shape.dims[1]), to_int(shape.dims[2]), to_int(shape.dims[0])};
}

/// How the codes of a step are wanted: by the convolutions and decoders that read them.
struct Wanted {
  bool floats = false, bits = false, bytes = false;
  int border_height = 0, border_width = 0;
  std::uint8_t border = 0;  ///< of bytes
  bool has_border = false;
};

class Planner {
 public:
  Planner(const Program& program, bool merge) : program_(program), merge_(merge) {}

  Plan plan() {
    const std::size_t count = program_.steps.size();
    kinds_.resize(count);
    wanted_.resize(count);
    places_.resize(count);
    done_.resize(count);
    readers_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      if (is_conv(program_.steps[i])) kinds_[i] = kind_of(program_.steps[i]);
    }
    for (std::size_t i = 0; i < count; ++i) {
      for (const int input : program_.steps[i].inputs) {
        readers_[static_cast<std::size_t>(input)].push_back(static_cast<int>(i));
      }
    }
    find_wanted();
    for (std::size_t i = 0; i < count; ++i) {
      if (!done_[i]) add_step(static_cast<int>(i));
    }
    const FloatPlace* logits = read(floats(program_.output));
    add(program_.step(program_.output).name, output_op(logits));
    place_all();
    for (const Places& each : places_) {
      plan_.steps.push_back({each.floats, each.bits, each.bytes});
    }
    return std::move(plan_);
  }

 private:
  // ---- which kernel

  const Step& input(const Step& step, std::size_t edge = 0) const {
    return program_.step(step.inputs[edge]);
  }

  ConvKind kind_of(const Step& step) const {
    const Step& source = input(step);
    if (!source.codes) return ConvKind::floating;
    if (packed::has_binary_sums(step, *source.codes)) return ConvKind::binary;
    return packed::has_byte_sums(step, *source.codes) ? ConvKind::integer : ConvKind::floating;
  }

  ConvKind kind(int index) const { return *kinds_[static_cast<std::size_t>(index)]; }

  // ---- in which form

  void find_wanted() {
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      const Step& step = program_.steps[i];
      for (std::size_t e = 0; e < step.inputs.size(); ++e) want(static_cast<int>(i), e);
    }
  }

  void want(int index, std::size_t edge) {
    const Step& step = program_.step(index);
    const Step& source = input(step, edge);
    Wanted& wanted = wanted_[static_cast<std::size_t>(step.inputs[edge])];
    if (!source.codes) {
      wanted.floats = true;
      return;
    }
    if (!is_conv(step) || kind(index) == ConvKind::floating) {
      wanted.bytes = true;  // from which they are decoded
      return;
    }
    (kind(index) == ConvKind::binary ? wanted.bits : wanted.bytes) = true;
    wanted.border_height = std::max(wanted.border_height, to_int(step.padding.height));
    wanted.border_width = std::max(wanted.border_width, to_int(step.padding.width));
    if (kind(index) == ConvKind::integer && step.padding != Size2(0)) want_border(index, wanted);
  }

  /// The border has one code. A second convolution that pads with another level reads floats.
  void want_border(int index, Wanted& wanted) {
    const Step& step = program_.step(index);
    const auto code = static_cast<std::uint8_t>(*packed::padding_code(step, *input(step).codes));
    if (wanted.has_border && wanted.border != code) {
      kinds_[static_cast<std::size_t>(index)] = ConvKind::floating;
      return;
    }
    wanted.has_border = true;
    wanted.border = code;
  }

  // ---- places

  struct Places {
    FloatPlace* floats = nullptr;
    CodePlace* bits = nullptr;
    CodePlace* bytes = nullptr;
  };

  static void require(const std::string& what, double bytes, std::size_t most) {
    if (bytes <= static_cast<double>(most)) return;
    const auto mebibytes = [](double number) {
      return std::to_string(
                 static_cast<std::int64_t>(std::ceil(std::min(number, 1e18) / (1 << 20)))) +
             " MiB";
    };
    throw Error(ErrorKind::storage,
                what + " " + mebibytes(bytes) + ", and the limit is " +
                    mebibytes(static_cast<double>(most)),
                "a smaller network, or smaller images, need less");
  }
  /// Before they are allocated.
  void count_constants(const Step& step, double bytes) {
    constant_bytes_ += bytes;
    require("the weights and tables of the packed network up to `" + step.name + "` need",
            constant_bytes_, most_constant_bytes);
  }
  static void require_room(double bytes) {
    require("a value of the packed network needs", bytes, most_arena_bytes);
  }

  FloatPlace* new_floats(const Geometry& g) {
    require_room(4.0 * g.height * g.width * g.channels);
    plan_.floats.push_back({.height = g.height, .width = g.width, .channels = g.channels});
    use_of_[&plan_.floats.back()] = uses_.size();
    uses_.push_back({&plan_.floats.back(), nullptr, 0, -1});
    return &plan_.floats.back();
  }

  CodePlace* new_codes(int index, bool bits) {
    const Geometry g = geometry(program_.step(index).shape);
    const Wanted& wanted = wanted_[static_cast<std::size_t>(index)];
    require_room((g.height + 2.0 * wanted.border_height) * (g.width + 2.0 * wanted.border_width) *
                 (g.channels + 4.0));
    plan_.codes.push_back(
        {.height = g.height,
         .width = g.width,
         .channels = g.channels,
         .bits = bits,
         .pixel_bytes = bits ? bits_pixel_bytes(g.channels) : (g.channels + 3) / 4 * 4,
         .border_height = wanted.border_height,
         .border_width = wanted.border_width,
         .border = bits ? std::uint8_t{0} : wanted.border});
    use_of_[&plan_.codes.back()] = uses_.size();
    uses_.push_back({nullptr, &plan_.codes.back(), 0, -1});
    return &plan_.codes.back();
  }

  FloatPlace* floats(int index) {
    FloatPlace*& place = places_[static_cast<std::size_t>(index)].floats;
    if (place == nullptr) place = new_floats(geometry(program_.step(index).shape));
    return place;
  }

  struct Use {
    FloatPlace* floats;
    CodePlace* codes;
    int first, last;
  };

  /// Marks a place as used by the operation that is added next.
  template <class Place>
  Place* touch(Place* place) {
    const int now = static_cast<int>(plan_.ops.size());
    Use& use = uses_[use_of_.at(place)];
    if (use.last < 0) use.first = now;
    use.last = now;
    return place;
  }
  template <class Place>
  Place* read(Place* place) {
    return touch(place);
  }
  template <class Place>
  Place* write(Place* place) {
    return touch(place);
  }

  void add(const std::string& name, OpPointer op) {
    op->name = name;
    plan_.ops.push_back(std::move(op));
  }

  void place_all() {
    std::vector<Lifetime> lifetimes;
    const int last = static_cast<int>(plan_.ops.size());
    for (const Use& use : uses_) {
      lifetimes.push_back({use.floats ? use.floats->bytes() : use.codes->bytes(), use.first,
                           merge_ ? std::max(use.last, use.first) : last});
    }
    const ArenaPlan arena = plan_arena(lifetimes);
    for (std::size_t i = 0; i < uses_.size(); ++i) {
      (uses_[i].floats ? uses_[i].floats->offset : uses_[i].codes->offset) = arena.offsets[i];
    }
    plan_.arena_bytes = arena.bytes;
    require("the values of the packed network need", static_cast<double>(arena.bytes),
            most_arena_bytes);
  }

  // ---- operations

  void add_step(int index) {
    const Step& step = program_.step(index);
    done_[static_cast<std::size_t>(index)] = true;
    if (is_conv(step)) return add_conv(index);
    if (step.op == StepOp::encode) return add_encode(index);
    if (step.op == StepOp::decode) {
      return add_decode(step, index, /*scaled=*/true, floats(index));
    }
    if (step.op == StepOp::input) return add(step.name, input_op(write(floats(index))));
    if (step.op == StepOp::affine)
      count_constants(step, 8.0 * static_cast<double>(step.channels()));
    std::vector<const FloatPlace*> in;
    for (const int each : step.inputs) in.push_back(read(floats(each)));
    add(step.name, plain_op(step, in, write(floats(index))));
  }

  static Window window(const Step& step) {
    return {.kernel_height = to_int(step.kernel.height),
            .kernel_width = to_int(step.kernel.width),
            .stride_height = to_int(step.stride.height),
            .stride_width = to_int(step.stride.width),
            .pad_height = to_int(step.padding.height),
            .pad_width = to_int(step.padding.width)};
  }

  static OpPointer plain_op(const Step& step, const std::vector<const FloatPlace*>& in,
                            const FloatPlace* out) {
    switch (step.op) {
      case StepOp::affine:
        return affine_op(step.scale, step.bias, in[0], out);
      case StepOp::round:
        return round_op(step.rounding, in[0], out);
      case StepOp::activation:
        return activation_op(step.activation, static_cast<float>(step.slope), in[0], out);
      case StepOp::add:
        return add_op(in, out);
      case StepOp::concat:
        return concat_op(in, out);
      case StepOp::max_pool:
        return max_pool_op(window(step), in[0], out);
      case StepOp::average_pool:
        return average_pool_op(window(step), in[0], out);
      case StepOp::global_average_pool:
        return global_average_pool_op(in[0], out);
      case StepOp::subsample:
        return subsample_op(to_int(step.stride.height), to_int(step.stride.width), in[0], out);
      default:
        return flatten_op(in[0], out);
    }
  }

  static Encoder encoder(const Step& step) {
    const packed::Codes& codes = *step.codes;
    Encoder encoder{.count = codes.count(), .thresholds = step.thresholds};
    encoder.per_channel = static_cast<std::int64_t>(step.thresholds.size()) > codes.count() - 1;
    for (const std::int8_t direction : step.direction) {
      encoder.direction.push_back(direction);
      encoder.per_channel = true;
    }
    return encoder;
  }

  /// Of EncodeTables: rows are less than twice as long as their thresholds, or there are at most 15
  /// columns.
  static double table_bytes(double thresholds, const Step& step) {
    return 12.0 * thresholds + 100.0 * padded(to_int(step.channels()));
  }

  void add_encode(int index) {
    const Step& step = program_.step(index);
    count_constants(step, table_bytes(static_cast<double>(step.thresholds.size()), step));
    const packed::Codes& codes = *step.codes;
    const Encoder encoder = this->encoder(step);
    const int channels = to_int(step.channels());
    const bool one_scale = codes.encoding.kind == CodeKind::uniform && codes.scale.size() == 1 &&
                           codes.zero_point.size() <= 1;
    add_encoder(index, encoder,
                one_scale ? EncodeTables(encoder, channels, codes.scale[0],
                                         codes.zero_point.empty() ? 0 : codes.zero_point[0])
                          : EncodeTables(encoder, channels),
                floats(step.inputs[0]));
  }

  void add_encoder(int index, const Encoder& encoder, EncodeTables tables,
                   const FloatPlace* source) {
    const Wanted& wanted = wanted_[static_cast<std::size_t>(index)];
    Places& places = places_[static_cast<std::size_t>(index)];
    if (wanted.bits) places.bits = write(new_codes(index, true));
    if (wanted.bytes) places.bytes = write(new_codes(index, false));
    add(program_.step(index).name,
        encode_op(encoder, std::move(tables), read(source), places.bits, places.bytes));
  }

  /// The values of the codes that `step` reads, without their scale unless `scaled`.
  void add_decode(const Step& step, int index, bool scaled, FloatPlace* out) {
    const int source_index = step.inputs[0];
    const Step& source = program_.step(source_index);
    const packed::Codes& codes = *source.codes;
    const bool per_channel = codes.zero_point.size() > 1 || codes.encoding.codebook_per_channel ||
                             (scaled && codes.scale.size() > 1);
    if (per_channel) {
      count_constants(step, 4.0 * static_cast<double>(source.channels()) * codes.count());
    }
    std::vector<float> values;
    for (std::int64_t c = 0; c < (per_channel ? source.channels() : 1); ++c) {
      for (float level : packed::levels(codes, c)) {
        if (scaled && !codes.scale.empty()) {
          level *= codes.scale[codes.scale.size() > 1 ? static_cast<std::size_t>(c) : 0];
        }
        values.push_back(level);
      }
    }
    const CodePlace* in = read(places_[static_cast<std::size_t>(source_index)].bytes);
    add(program_.step(index).name, decode_op(std::move(values), per_channel, in, write(out)));
  }

  // ---- convolutions

  ConvShape conv_shape(const Step& step) const {
    const Geometry in = geometry(input(step).shape), out = geometry(step.shape);
    return {.in_height = in.height,
            .in_width = in.width,
            .in_channels = in.channels,
            .out_height = out.height,
            .out_width = out.width,
            .out_channels = out.channels,
            .kernel_height = to_int(step.kernel.height),
            .kernel_width = to_int(step.kernel.width),
            .stride_height = to_int(step.stride.height),
            .stride_width = to_int(step.stride.width),
            .pad_height = to_int(step.padding.height),
            .pad_width = to_int(step.padding.width),
            .groups = to_int(step.groups)};
  }

  /// In the layouts of runtime/kernels.h, with the arrays of an epilogue.
  static double packed_bytes(const ConvShape& shape, ConvKind kind) {
    const int in = shape.in_channels / shape.groups;
    const double columns = shape.kernel_width, rows = shape.kernel_height;
    const double run = kind == ConvKind::binary    ? columns * bits_pixel_bytes(in) + 4
                       : kind == ConvKind::integer ? columns * (in + 4.0)
                                                   : columns * 4 * in;
    double bytes =
        32.0 * padded(shape.out_channels) + 8.0 * shape.out_height + 8.0 * shape.out_width;
    if (kind == ConvKind::binary) {  // sums of borders
      bytes += 4.0 * padded(shape.out_channels) *
               (1 + std::min<double>(shape.out_height, 2 * rows)) *
               (1 + std::min<double>(shape.out_width, 2 * columns));
    }
    return bytes + rows * run * shape.groups * padded(shape.out_channels / shape.groups);
  }

  PackedConv packed_weights(const Step& step, ConvKind kind) {
    ConvShape shape = conv_shape(step);
    count_constants(step, packed_bytes(shape, kind));
    if (kind == ConvKind::binary) {
      return std::make_unique<PackedBinary>(
          pack_binary(shape, codes_of(*step.weight), static_cast<int>(step.padding_level)));
    }
    const std::vector<float> levels = packed::levels(*step.weight);
    if (kind == ConvKind::floating) {
      if (frames(step)) {  // in the image
        shape.in_height += 2 * shape.pad_height;
        shape.in_width += 2 * shape.pad_width;
        shape.pad_height = shape.pad_width = 0;
      }
      return std::make_unique<PackedFloat>(pack_float(shape, levels));
    }
    const auto unit = static_cast<float>(packed::unit(*step.weight));
    std::vector<std::int8_t> weights;
    for (const float level : levels) weights.push_back(static_cast<std::int8_t>(level * unit));
    // unit(x) * level = factor * code - shift
    const packed::Codes& codes = *input(step).codes;
    std::int32_t factor = codes.unit(), shift = 0;
    if (codes.encoding.kind == CodeKind::binary) {
      factor = 2;
      shift = 1;
    } else if (codes.encoding.kind == CodeKind::ternary) {
      shift = 1;
    } else if (!codes.zero_point.empty()) {
      shift = codes.unit() * codes.zero_point[0] / 2;
    }
    return std::make_unique<PackedInteger>(pack_integer(shape, weights, factor, shift));
  }

  /// By how much the kernel's sum is larger than that of levels.
  float sum_unit(const Step& step, ConvKind kind) const {
    if (kind != ConvKind::integer) return 1;
    return static_cast<float>(packed::unit(*step.weight) * input(step).codes->unit());
  }

  static std::vector<float> per_channel(const std::vector<float>& list, std::int64_t channels) {
    if (list.size() != 1) return list;
    return std::vector<float>(static_cast<std::size_t>(channels), list[0]);
  }

  void add_conv(int index) {
    const Step& step = program_.step(index);
    const ConvKind kind = this->kind(index);
    const FloatPlace* source = nullptr;
    // More than two codes are found among floats, whatever made the sums.
    const bool compares_floats =
        kind == ConvKind::floating || (step.codes && step.codes->count() > 2);
    if (compares_floats) require_exact_sums(step);
    if (kind == ConvKind::floating) source = float_source(step, index);
    ConvTail tail;
    if (step.position) tail.position = add_position(step);
    const float unit = sum_unit(step, kind);
    tail.scale = per_channel(step.scale, step.channels());
    tail.bias = per_channel(step.bias, step.channels());
    if (step.sum_thresholds.empty() && unit != 1) {
      if (tail.scale.empty()) tail.scale.assign(static_cast<std::size_t>(step.channels()), 1.0F);
      for (float& scale : tail.scale) scale /= unit;  // a power of two: exact
    }
    if (step.sum_thresholds.empty()) {
      extend_tail(index, tail);
    } else if (step.codes->count() == 2) {
      add_sum_thresholds(index, kind, tail);
    } else {
      sums_to_codes_ = new_floats(geometry(step.shape));
      tail.out = sums_to_codes_;
    }
    PackedConv weights = packed_weights(step, kind);
    const Places& from = places_[static_cast<std::size_t>(step.inputs[0])];
    const CodePlace* codes = kind == ConvKind::binary    ? from.bits
                             : kind == ConvKind::integer ? from.bytes
                                                         : nullptr;
    if (codes != nullptr) read(codes);
    if (source != nullptr) read(source);
    if (tail.position != nullptr) read(tail.position);
    if (tail.residual != nullptr) read(tail.residual);
    if (tail.out != nullptr) write(tail.out);
    if (tail.bits != nullptr) write(tail.bits);
    add(step.name, conv_op(std::move(weights), codes, source, std::move(tail)));
    if (sums_to_codes_ != nullptr) encode_sums(index, unit);
    finish_bits(step.sum_thresholds.empty() ? fused_encode_ : index);
    fused_encode_ = -1;
  }

  /// The kernel of floats knows no other padding than 0.
  static bool frames(const Step& step) { return step.padding_level != 0; }

  /// No sum of levels is larger.
  double largest_sum(const Step& step) const {
    const packed::Codes& codes = *input(step).codes;
    const double weight = packed::largest_level(*step.weight);
    double value = std::abs(step.padding_level);
    packed::Codes ends = codes;  // of the zero points, those of the largest levels
    if (codes.zero_point.size() > 1) {
      const auto [low, high] =
          std::minmax_element(codes.zero_point.begin(), codes.zero_point.end());
      ends.zero_point = {*low, *high};
    }
    for (std::size_t c = 0; c < std::max<std::size_t>(ends.zero_point.size(), 1); ++c) {
      for (const float level : packed::levels(ends, static_cast<std::int64_t>(c))) {
        value = std::max(value, static_cast<double>(std::abs(level)));
      }
    }
    const double terms =
        static_cast<double>(step.weight->elements()) / static_cast<double>(step.channels());
    return terms * weight * value;
  }

  /// Floats hold whole numbers up to 2^24: beyond, a sum would be compared after it was rounded.
  void require_exact_sums(const Step& step) const {
    if (step.sum_thresholds.empty()) return;
    const int units = packed::unit(*step.weight) * input(step).codes->unit();
    if (largest_sum(step) * units <= packed::largest_exact_float) return;
    throw Error(
        ErrorKind::storage,
        "the step `" + step.name +
            "` compares sums that may pass 2^24, for which the engine "
            "has no kernel: its weights are not within -128 and 127 units, its input has zero "
            "points by channel, or its padding is no level of the input",
        "export the network with weights and inputs of fewer bits");
  }

  /// What a float convolution reads: the value, the levels of its codes, or either with a frame.
  const FloatPlace* float_source(const Step& step, int index) {
    const FloatPlace* source = nullptr;
    if (input(step).codes) {
      FloatPlace* levels = new_floats(geometry(input(step).shape));
      add_decode(step, index, /*scaled=*/false, levels);
      source = levels;
    } else {
      source = floats(step.inputs[0]);
    }
    if (!frames(step)) return source;
    FloatPlace* framed =
        new_floats({source->height + 2 * to_int(step.padding.height),
                    source->width + 2 * to_int(step.padding.width), source->channels});
    add(step.name, pad_op(step.padding_level, read(source), write(framed)));
    return framed;
  }

  const FloatPlace* add_position(const Step& step) {
    const FloatPlace* x = floats(step.inputs[1]);
    FloatPlace* mean = new_floats({x->height, x->width, 1});
    add(step.name, mean_of_channels_op(read(x), write(mean)));
    if (step.op == StepOp::linear) return mean;
    const Geometry out = geometry(step.shape);
    FloatPlace* box = new_floats({out.height, out.width, 1});
    add(step.name, box_op(window(step), read(mean), write(box)));
    return box;
  }

  void add_sum_thresholds(int index, ConvKind kind, ConvTail& tail) {
    const Step& step = program_.step(index);
    if (kind == ConvKind::floating) {
      const auto unit = static_cast<double>(packed::unit(*step.weight) * input(step).codes->unit());
      for (const std::int32_t t : step.sum_thresholds) {
        tail.thresholds.push_back(threshold_of_sum(t, unit));
      }
      for (const std::int8_t d : step.direction) tail.direction.push_back(d);
    } else {
      tail.sum_thresholds = step.sum_thresholds;
      tail.sum_direction.assign(step.direction.begin(), step.direction.end());
    }
    Places& places = places_[static_cast<std::size_t>(index)];
    places.bits = new_codes(index, true);
    tail.bits = places.bits;
  }

  /// Sums are whole numbers below 2^24 wherever they are compared as floats; rounding up keeps the
  /// meaning of a threshold between two of them.
  static float threshold_of_sum(std::int32_t threshold, double unit) {
    const double exact = threshold / unit;
    const auto value = static_cast<float>(exact);
    return value < exact ? std::nextafter(value, std::numeric_limits<float>::infinity()) : value;
  }

  void encode_sums(int index, float unit) {
    const Step& step = program_.step(index);
    Encoder encoder{.count = step.codes->count(), .per_channel = true};
    // The kernel's sums are u times those of levels, or those of levels.
    const double per_sum =
        unit != 1 ? 1.0
                  : static_cast<double>(packed::unit(*step.weight) * input(step).codes->unit());
    for (const std::int32_t t : step.sum_thresholds) {
      encoder.thresholds.push_back(threshold_of_sum(t, per_sum));
    }
    for (const std::int8_t d : step.direction) encoder.direction.push_back(d);
    if (per_sum == 1.0) encoder.largest_sum = static_cast<float>(largest_sum(step) * unit);
    count_constants(step, table_bytes(static_cast<double>(encoder.thresholds.size()), step));
    const FloatPlace* sums = std::exchange(sums_to_codes_, nullptr);
    add_encoder(index, encoder, EncodeTables(encoder, to_int(step.channels())), sums);
  }

  /// Bits that were written, as bytes where they are wanted.
  void finish_bits(int index) {
    if (index < 0) return;
    Places& places = places_[static_cast<std::size_t>(index)];
    if (places.bits == nullptr || places.bytes != nullptr ||
        !wanted_[static_cast<std::size_t>(index)].bytes) {
      return;
    }
    places.bytes = new_codes(index, false);
    add(program_.step(index).name, unpack_op(read(places.bits), write(places.bytes)));
  }

  // ---- what is done in the same pass as a convolution

  bool is_fusible_encode(int index) const {
    const Step& step = program_.step(index);
    return step.op == StepOp::encode && step.codes->count() == 2;
  }

  /// Takes an add, an encode and a relu into the pass.
  void extend_tail(int index, ConvTail& tail) {
    int value = index;
    if (merge_) value = take_residual(index, tail);
    const std::vector<int>& readers = readers_[static_cast<std::size_t>(value)];
    int relu = -1, encode = -1;
    bool others = value == program_.output;
    for (const int reader : readers) {
      const Step& step = program_.step(reader);
      if (merge_ && encode < 0 && is_fusible_encode(reader)) {
        encode = reader;
      } else if (merge_ && relu < 0 && step.op == StepOp::activation &&
                 step.activation == Activation::relu) {
        relu = reader;
      } else {
        others = true;
      }
    }
    if (encode >= 0) take_encode(encode, tail);
    if (relu >= 0 && !others) {
      tail.relu = true;
      done_[static_cast<std::size_t>(relu)] = true;
      value = relu;
    }
    if (relu >= 0 || others) tail.out = floats(value);
  }

  int take_residual(int index, ConvTail& tail) {
    const std::vector<int>& readers = readers_[static_cast<std::size_t>(index)];
    if (readers.size() != 1 || index == program_.output) return index;
    const int sum = readers[0];
    const Step& add = program_.step(sum);
    if (add.op != StepOp::add || add.inputs.size() != 2) return index;
    const int other = add.inputs[0] == index ? add.inputs[1] : add.inputs[0];
    if (other >= index || done_[static_cast<std::size_t>(sum)]) return index;
    tail.residual = floats(other);
    done_[static_cast<std::size_t>(sum)] = true;
    return sum;
  }

  void take_encode(int index, ConvTail& tail) {
    const Step& step = program_.step(index);
    const Encoder encoder = this->encoder(step);
    tail.thresholds =
        encoder.per_channel ? encoder.thresholds : per_channel(encoder.thresholds, step.channels());
    tail.direction = encoder.direction;
    Places& places = places_[static_cast<std::size_t>(index)];
    places.bits = new_codes(index, true);
    tail.bits = places.bits;
    done_[static_cast<std::size_t>(index)] = true;
    fused_encode_ = index;
  }

  const Program& program_;
  const bool merge_;
  Plan plan_;
  std::vector<std::optional<ConvKind>> kinds_;
  std::vector<Wanted> wanted_;
  std::vector<Places> places_;
  std::vector<bool> done_;
  std::vector<std::vector<int>> readers_;  ///< by step
  std::vector<Use> uses_;
  std::unordered_map<const void*, std::size_t> use_of_;  ///< by place
  double constant_bytes_ = 0;
  FloatPlace* sums_to_codes_ = nullptr;
  int fused_encode_ = -1;
};

}  // namespace

Plan make_plan(const Program& program, bool merge) {
  return Planner(program, merge).plan();
}

}  // namespace qhost::runtime

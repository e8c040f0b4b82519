#include "model/check_encoded.h"

#include <ATen/ATen.h>

#include <vector>

#include "common/number_text.h"
#include "qhost/error.h"

namespace qhost {
namespace {

std::string text(at::ScalarType type) {
  switch (type) {
    case at::kByte:
      return "uint8";
    case at::kInt:
      return "int32";
    case at::kLong:
      return "int64";
    case at::kHalf:
      return "float16";
    case at::kBFloat16:
      return "bfloat16";
    case at::kFloat:
      return "float32";
    case at::kDouble:
      return "float64";
    default:
      return at::toString(type);
  }
}

/// Numbers that must be there, or must not: "the scale has 3 numbers, the encoding 1".
std::string count_of(const std::string& what, const at::Tensor& numbers, std::int64_t wanted,
                     at::ScalarType type) {
  if (!numbers.defined()) return wanted == 0 ? "" : "there is no " + what;
  const std::int64_t count = numbers.numel();
  if (count != wanted || wanted == 0) {
    return "the " + what + " has " + std::to_string(count) + (count == 1 ? " number" : " numbers") +
           ", the encoding " + (wanted == 0 ? "none" : std::to_string(wanted));
  }
  if (numbers.scalar_type() != type) {
    return "the " + what + " is " + text(numbers.scalar_type()) + ", not " + text(type);
  }
  return "";
}

std::string wrong_numbers(const Encoded& e, std::int64_t channels) {
  const auto scales = e.encoding.scale == ScaleKind::tensor    ? 1
                      : e.encoding.scale == ScaleKind::channel ? channels
                                                               : 0;
  std::string why = count_of("scale", e.scale, scales, at::kFloat);
  if (!why.empty()) return why;
  const auto zero_points = e.encoding.zero_point == ZeroPointKind::tensor    ? 1
                           : e.encoding.zero_point == ZeroPointKind::channel ? channels
                                                                             : 0;
  why = count_of("zero point", e.zero_point, zero_points, at::kInt);
  if (!why.empty()) return why;
  std::int64_t entries = 0;
  if (e.encoding.kind == CodeKind::codebook) {
    entries = e.encoding.levels * (e.encoding.codebook_per_channel ? channels : 1);
  }
  return count_of("codebook", e.table, entries, at::kFloat);
}

/// Values of a 16-bit format are stored as float32 and must be its own.
std::string wrong_halves(const Encoded& e) {
  const bool fp16 = e.encoding.kind == CodeKind::float16;
  const at::Tensor rounded = e.codes.to(fp16 ? at::kHalf : at::kBFloat16).to(at::kFloat);
  // A value that is not a number is for others to report.
  const auto other = at::ne(rounded, e.codes).logical_and_(at::eq(e.codes, e.codes)).sum();
  const auto count = other.item<std::int64_t>();
  if (count == 0) return "";
  return std::to_string(count) + " of " + std::to_string(e.codes.numel()) +
         " stored values are no values of " + to_string(e.encoding.kind);
}

std::string wrong_codes(const Encoded& e) {
  if (e.codes.numel() == 0 || e.encoding.kind == CodeKind::float32) return "";
  if (e.encoding.is_float()) return wrong_halves(e);
  const int count = e.encoding.code_count();
  if (count > 255) return "";
  const auto largest = e.codes.max().item<std::int64_t>();
  if (largest < count) return "";
  return "the code " + std::to_string(largest) + " occurs, the encoding has " +
         std::to_string(count);
}

/// `those`: "its 36 values".
void require_all_finite(const PluginCall& call, const at::Tensor& numbers, const char* those) {
  if (!numbers.defined() || at::isfinite(numbers).all().item<bool>()) return;
  const auto bad = numbers.numel() - at::isfinite(numbers).sum().item<std::int64_t>();
  std::string text;
  if (!call.plugin.empty()) text = "plugin `" + std::string(call.plugin) + "`: ";
  throw Error(ErrorKind::diverged,
              text + "method `" + std::string(call.component) + "` cannot encode " +
                  slot_text(*call.slot) + ": " + std::to_string(bad) + " of its " +
                  std::to_string(numbers.numel()) + " " + those +
                  (bad == 1 ? " is not finite" : " are not finite"),
              "go back to an earlier checkpoint; a lower learning rate or train.gradient_clip "
              "keeps training finite");
}

}  // namespace

void require_finite(const PluginCall& call, const at::Tensor& weight) {
  require_all_finite(call, weight, "values");
}

void require_finite(const PluginCall& call, const Encoded& encoded) {
  require_all_finite(call, encoded.scale, "scales");
  require_all_finite(call, encoded.table, "codebook entries");
  if (encoded.encoding.is_float()) require_all_finite(call, encoded.codes, "stored values");
}

std::string broken_promise(const Encoding& announced, const Encoded& encoded,
                           at::IntArrayRef tensor, int channel_dimension, EncodedCheck check) {
  const std::string inconsistent = why_invalid(announced);
  if (!inconsistent.empty()) return "encoding() is inconsistent: " + inconsistent;
  if (encoded.encoding != announced) {
    return "encode() gives " + to_string(encoded.encoding) + ", announced is " +
           to_string(announced);
  }
  if (!encoded.codes.defined()) return "encode() gives no codes";
  const at::ScalarType type = announced.is_float() ? at::kFloat : at::kByte;
  if (encoded.codes.scalar_type() != type) {
    return "the codes are " + text(encoded.codes.scalar_type()) + ", not " + text(type);
  }
  std::vector<std::int64_t> shape = tensor.vec();
  if (announced.ensemble_size > 1) shape.insert(shape.begin(), announced.ensemble_size);
  if (encoded.codes.sizes() != at::IntArrayRef(shape)) {
    return "the codes have the shape " + shape_text(encoded.codes.sizes()) + ", not " +
           shape_text(shape);
  }
  const std::int64_t channels = tensor.at(static_cast<std::size_t>(channel_dimension));
  const std::string why = wrong_numbers(encoded, channels);
  if (!why.empty() || check == EncodedCheck::form) return why;
  return wrong_codes(encoded);
}

std::string broken_output_scale(const Encoding& announced, const at::Tensor& output_scale,
                                std::int64_t samples, const Shape& output) {
  if (!output_scale.defined()) {
    return announced.scale == ScaleKind::position
               ? "there is no output scale, announced is " + to_string(announced)
               : "";
  }
  std::vector<std::int64_t> wanted = {samples, 1};
  if (output.is_image()) wanted.insert(wanted.end(), {output.height(), output.width()});
  if (output_scale.sizes() == at::IntArrayRef(wanted)) return "";
  return "the output scale has the shape " + shape_text(output_scale.sizes()) + ", not " +
         shape_text(wanted);
}

}  // namespace qhost

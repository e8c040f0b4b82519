#include "graph/stored_tensor.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "common/defect.h"
#include "common/number_text.h"
#include "graph/pack_codes.h"
#include "qhost/error.h"

namespace qhost {
namespace {

static_assert(std::endian::native == std::endian::little,
              "stored tensors are little-endian, and their bytes are copied as they lie");

// Bytes and bits of every accepted tensor stay far within 64 bits.
constexpr std::int64_t most_elements = std::int64_t{1} << 40;

[[noreturn]] void fail(const std::string& sentence) {
  throw defect(sentence);
}

std::string wrong_count(const char* what, std::size_t count, std::int64_t wanted,
                        const StoredTensor& tensor) {
  if (count == static_cast<std::size_t>(wanted)) return "";
  return std::string("it has ") + std::to_string(count) + " " + what + ", and " +
         to_string(tensor.encoding) + " of shape " + shape_text(tensor.shape) + " needs " +
         std::to_string(wanted);
}

std::span<const std::uint8_t> member_codes(const StoredTensor& tensor, int member) {
  const auto bytes = static_cast<std::size_t>(stored_sizes(tensor).member_bytes);
  return std::span(tensor.codes).subspan(bytes * static_cast<std::size_t>(member), bytes);
}

std::string wrong_codes(const StoredTensor& tensor) {
  const Encoding& encoding = tensor.encoding;
  if (encoding.is_float()) return "";
  for (int member = 0; member < encoding.ensemble_size; ++member) {
    if (!has_clean_end(member_codes(tensor, member), encoding.bits, tensor.elements())) {
      return "bits behind the last code are set";
    }
    const int count = encoding.code_count();
    if (count == 1 << encoding.bits) continue;
    const std::vector<std::uint8_t> codes = codes_of(tensor, member);
    const auto largest = std::max_element(codes.begin(), codes.end());
    if (largest == codes.end() || *largest < count) continue;
    return "the code " + std::to_string(*largest) + " occurs, and " + to_string(encoding.kind) +
           (encoding.kind == CodeKind::ternary
                ? " has 0, 1 and 2"
                : " of " + std::to_string(count) + " levels has 0 to " + std::to_string(count - 1));
  }
  return "";
}

// Sign bits do not count.
template <class Unsigned>
std::int64_t nonzero_values(std::span<const std::uint8_t> bytes) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < bytes.size(); i += sizeof(Unsigned)) {
    Unsigned value;
    std::memcpy(&value, bytes.data() + i, sizeof value);
    count += static_cast<Unsigned>(value << 1) != 0 ? 1 : 0;
  }
  return count;
}

/// By code: whether its level is 0, in the given channel.
std::array<bool, 256> zero_levels(const StoredTensor& tensor, std::int64_t channel) {
  std::array<bool, 256> zero{};
  const Encoding& encoding = tensor.encoding;
  const auto c = static_cast<std::size_t>(channel);
  const auto levels = static_cast<std::size_t>(encoding.code_count());
  for (std::size_t code = 0; code < levels; ++code) {
    switch (encoding.kind) {
      case CodeKind::ternary:
        zero[code] = code == 1;
        break;
      case CodeKind::uniform: {
        std::int64_t half_steps = 0;
        if (!tensor.zero_point.empty()) {
          half_steps = tensor.zero_point[tensor.zero_point.size() > 1 ? c : 0];
        }
        zero[code] = 2 * static_cast<std::int64_t>(code) == half_steps;
        break;
      }
      case CodeKind::codebook: {
        const std::size_t row = encoding.codebook_per_channel ? c * levels : 0;
        zero[code] = tensor.table[row + code] == 0;
        break;
      }
      default:  // +-1
        break;
    }
  }
  return zero;
}

std::int64_t nonzero_codes(const StoredTensor& tensor) {
  const std::int64_t channels = tensor.channels();
  const std::int64_t per_channel = tensor.elements() / channels;
  std::int64_t count = 0;
  for (int member = 0; member < tensor.encoding.ensemble_size; ++member) {
    const std::vector<std::uint8_t> codes = codes_of(tensor, member);
    auto code = codes.begin();
    for (std::int64_t channel = 0; channel < channels; ++channel) {
      const std::array<bool, 256> zero = zero_levels(tensor, channel);
      const auto end = code + per_channel;
      count += std::count_if(code, end, [&](std::uint8_t each) { return !zero[each]; });
      code = end;
    }
  }
  return count;
}

}  // namespace

std::int64_t StoredTensor::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t dim : shape) product *= dim;
  return product;
}

std::int64_t StoredTensor::channels() const {
  return shape.empty() ? 1 : shape[0];
}

StoredSizes stored_sizes(const StoredTensor& tensor) {
  const Encoding& encoding = tensor.encoding;
  StoredSizes sizes;
  sizes.member_bytes = packed_bytes(tensor.elements(), encoding.bits);
  sizes.code_bytes = sizes.member_bytes * encoding.ensemble_size;
  if (encoding.scale == ScaleKind::tensor) sizes.scales = 1;
  if (encoding.scale == ScaleKind::channel) sizes.scales = tensor.channels();
  if (encoding.zero_point == ZeroPointKind::tensor) sizes.zero_points = 1;
  if (encoding.zero_point == ZeroPointKind::channel) sizes.zero_points = tensor.channels();
  if (encoding.kind == CodeKind::codebook) {
    sizes.table = encoding.levels * (encoding.codebook_per_channel ? tensor.channels() : 1);
  }
  return sizes;
}

std::string why_invalid(const StoredTensor& tensor) {
  std::string why = why_invalid(tensor.encoding);
  if (!why.empty()) return "its encoding is inconsistent: " + why;
  std::int64_t elements = 1;
  for (const std::int64_t dim : tensor.shape) {
    if (dim < 1) return "its shape " + shape_text(tensor.shape) + " has a dimension below 1";
    if (dim > most_elements / elements) {
      return "its shape " + shape_text(tensor.shape) + " has more than 2^40 elements";
    }
    elements *= dim;
  }
  if (tensor.encoding.ensemble_size > 1 << 16) {
    return "it has " + std::to_string(tensor.encoding.ensemble_size) +
           " members, above the limit of " + std::to_string(1 << 16);
  }
  const bool empty = !tensor.has_contents() && tensor.scale.empty() && tensor.zero_point.empty() &&
                     tensor.table.empty();
  if (empty) return "";
  const StoredSizes sizes = stored_sizes(tensor);
  why = wrong_count("bytes of codes", tensor.codes.size(), sizes.code_bytes, tensor);
  if (why.empty()) why = wrong_count("scales", tensor.scale.size(), sizes.scales, tensor);
  if (why.empty()) {
    why = wrong_count("zero points", tensor.zero_point.size(), sizes.zero_points, tensor);
  }
  if (why.empty()) why = wrong_count("codebook entries", tensor.table.size(), sizes.table, tensor);
  return why.empty() ? wrong_codes(tensor) : why;
}

StoredTensor float_tensor(std::vector<std::int64_t> shape, std::span<const float> values) {
  StoredTensor tensor{.encoding = Encoding::float32(), .shape = std::move(shape)};
  if (values.size() != static_cast<std::size_t>(tensor.elements())) {
    fail(std::to_string(values.size()) + " values are given for a tensor of shape " +
         shape_text(tensor.shape));
  }
  tensor.codes.resize(values.size_bytes());
  std::memcpy(tensor.codes.data(), values.data(), values.size_bytes());
  return tensor;
}

std::vector<float> float_values(const StoredTensor& tensor) {
  if (tensor.encoding != Encoding::float32() || !tensor.has_contents()) {
    fail(std::string("float32 values are asked of ") +
         (tensor.has_contents() ? to_string(tensor.encoding) : "a tensor without contents"));
  }
  std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
  std::memcpy(values.data(), tensor.codes.data(), tensor.codes.size());
  return values;
}

std::vector<std::uint8_t> codes_of(const StoredTensor& tensor, int member) {
  if (tensor.encoding.is_float() || !tensor.has_contents()) {
    fail(std::string("codes are asked of ") +
         (tensor.has_contents() ? to_string(tensor.encoding) : "a tensor without contents"));
  }
  std::vector<std::uint8_t> codes(static_cast<std::size_t>(tensor.elements()));
  unpack_codes(member_codes(tensor, member), tensor.encoding.bits, codes);
  return codes;
}

std::int64_t count_nonzero(const StoredTensor& tensor) {
  if (!tensor.has_contents()) fail("zeros are counted in a tensor without contents");
  std::int64_t count = 0;
  switch (tensor.encoding.kind) {
    case CodeKind::float32:
      count = nonzero_values<std::uint32_t>(tensor.codes);
      break;
    case CodeKind::float16:
    case CodeKind::bfloat16:
      count = nonzero_values<std::uint16_t>(tensor.codes);
      break;
    default:
      count = nonzero_codes(tensor);
  }
  return (count + tensor.encoding.ensemble_size - 1) / tensor.encoding.ensemble_size;
}

}  // namespace qhost

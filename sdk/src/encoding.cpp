#include "qhost/encoding.h"

#include <bit>

#include "qhost/error.h"
#include "sdk/codebook_levels.h"

namespace qhost {

Encoding Encoding::float32() {
  return {};
}
Encoding Encoding::float16() {
  return {.kind = CodeKind::float16, .bits = 16};
}
Encoding Encoding::bfloat16() {
  return {.kind = CodeKind::bfloat16, .bits = 16};
}
Encoding Encoding::binary(ScaleKind scale, int sign_of_zero) {
  return {.kind = CodeKind::binary, .bits = 1, .scale = scale, .sign_of_zero = sign_of_zero};
}
Encoding Encoding::ternary(ScaleKind scale) {
  return {.kind = CodeKind::ternary, .bits = 2, .scale = scale};
}
Encoding Encoding::uniform(int bits, ScaleKind scale, ZeroPointKind zero_point) {
  return {.kind = CodeKind::uniform, .bits = bits, .scale = scale, .zero_point = zero_point};
}
Encoding Encoding::codebook(int levels, ScaleKind scale, bool per_channel) {
  return {
      .kind = CodeKind::codebook,
      .bits = levels < 2 ? 1 : static_cast<int>(std::bit_width(static_cast<unsigned>(levels - 1))),
      .scale = scale,
      .codebook_per_channel = per_channel,
      .levels = levels};
}

int Encoding::code_count() const {
  if (is_float()) return 0;
  if (kind == CodeKind::ternary) return 3;
  return kind == CodeKind::codebook ? levels : levels_of_bits(bits);
}

bool Encoding::is_float() const {
  return kind == CodeKind::float32 || kind == CodeKind::float16 || kind == CodeKind::bfloat16;
}

const char* to_string(CodeKind kind) {
  switch (kind) {
    case CodeKind::float32:
      return "float32";
    case CodeKind::float16:
      return "float16";
    case CodeKind::bfloat16:
      return "bfloat16";
    case CodeKind::binary:
      return "binary";
    case CodeKind::ternary:
      return "ternary";
    case CodeKind::uniform:
      return "uniform";
    case CodeKind::codebook:
      return "codebook";
  }
  return "?";
}

std::string to_string(const Encoding& encoding) {
  std::string text = to_string(encoding.kind);
  if (encoding.kind == CodeKind::uniform || encoding.kind == CodeKind::codebook) {
    text += " " + std::to_string(encoding.bits) + " bit";
  }
  if (tells_levels(encoding)) {
    text += " of " + std::to_string(encoding.levels) + " levels";
  }
  if (encoding.codebook_per_channel) text += " per channel";
  if (encoding.ensemble_size > 1) text += " x " + std::to_string(encoding.ensemble_size);
  switch (encoding.scale) {
    case ScaleKind::none:
      break;
    case ScaleKind::tensor:
      text += ", scale per tensor";
      break;
    case ScaleKind::channel:
      text += ", scale per channel";
      break;
    case ScaleKind::position:
      text += ", scale per position";
      break;
  }
  if (encoding.zero_point == ZeroPointKind::tensor) text += ", zero point per tensor";
  if (encoding.zero_point == ZeroPointKind::channel) text += ", zero point per channel";
  if (encoding.kind == CodeKind::binary && encoding.sign_of_zero < 0) text += ", sign(0) = -1";
  return text;
}

std::string why_invalid(const Encoding& e) {
  const auto needs = [&](int bits) {
    return std::string(to_string(e.kind)) + " needs " + std::to_string(bits) +
           (bits == 1 ? " bit, not " : " bits, not ") + std::to_string(e.bits);
  };
  switch (e.kind) {
    case CodeKind::float32:
      if (e.bits != 32) return needs(32);
      break;
    case CodeKind::float16:
    case CodeKind::bfloat16:
      if (e.bits != 16) return needs(16);
      break;
    case CodeKind::binary:
      if (e.bits != 1) return needs(1);
      break;
    case CodeKind::ternary:
      if (e.bits != 2) return needs(2);
      break;
    case CodeKind::uniform:
      if (e.bits < 1 || e.bits > 8) {
        return "uniform needs 1 to 8 bits, not " + std::to_string(e.bits);
      }
      break;
    case CodeKind::codebook:
      if (e.levels < 2 || e.levels > 256) {
        return "codebook needs 2 to 256 levels, not " + std::to_string(e.levels);
      }
      if (const int bits = Encoding::codebook(e.levels, e.scale, false).bits; e.bits != bits)
        return needs(bits);
      break;
  }
  if (e.levels != 0 && e.kind != CodeKind::codebook) {
    return std::string("only a codebook has a number of levels, not ") + to_string(e.kind);
  }
  if (e.is_float() && e.scale != ScaleKind::none) {
    return std::string(to_string(e.kind)) + " stores values and takes no scale";
  }
  if (e.zero_point != ZeroPointKind::none && e.kind != CodeKind::uniform) {
    return std::string("only uniform codes have a zero point, ") + to_string(e.kind) +
           " codes have none";
  }
  if (e.codebook_per_channel && e.kind != CodeKind::codebook) {
    return std::string("only a codebook is stored per channel, not ") + to_string(e.kind);
  }
  if (e.sign_of_zero != 1 && e.sign_of_zero != -1) {
    return "the sign of zero is +1 or -1, not " + std::to_string(e.sign_of_zero);
  }
  if (e.ensemble_size < 1) {
    return "the ensemble size of an encoding is 1 or more, not " + std::to_string(e.ensemble_size);
  }
  return "";
}

std::int64_t stored_bytes(const Encoding& e, const std::vector<std::int64_t>& shape) {
  const std::string why = why_invalid(e);
  if (!why.empty()) throw Error(ErrorKind::internal, "inconsistent encoding: " + why);
  std::int64_t elements = 1;
  for (const auto d : shape) elements *= d;
  const std::int64_t channels = shape.empty() ? 1 : shape[0];
  std::int64_t bytes = (elements * e.bits + 7) / 8 * e.ensemble_size;
  if (e.scale == ScaleKind::tensor) bytes += 4;
  if (e.scale == ScaleKind::channel) bytes += 4 * channels;
  if (e.zero_point == ZeroPointKind::tensor) bytes += 4;
  if (e.zero_point == ZeroPointKind::channel) bytes += 4 * channels;
  if (e.kind == CodeKind::codebook) {
    bytes += 4 * std::int64_t{e.levels} * (e.codebook_per_channel ? channels : 1);
  }
  return bytes;
}

}  // namespace qhost

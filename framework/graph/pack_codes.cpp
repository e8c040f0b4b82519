#include "graph/pack_codes.h"

#include <algorithm>
#include <string>

#include "common/defect.h"
#include "qhost/error.h"

namespace qhost {
namespace {

// Eight codes of b bits are b whole bytes, whatever b is.
constexpr std::size_t codes_a_group = 8;

void require_sizes(std::size_t codes, int bits, std::size_t bytes) {
  if (bits < 1 || bits > 8) {
    throw defect("codes have 1 to 8 bits, not " + std::to_string(bits));
  }
  const auto wanted =
      static_cast<std::size_t>(packed_bytes(static_cast<std::int64_t>(codes), bits));
  if (bytes == wanted) return;
  throw defect(std::to_string(codes) + " codes of " + std::to_string(bits) +
               (bits == 1 ? " bit" : " bits") + " take " + std::to_string(wanted) + " bytes, not " +
               std::to_string(bytes));
}

void require_in_range(std::span<const std::uint8_t> codes, int bits) {
  if (bits == 8) return;
  std::uint8_t all = 0;
  for (const std::uint8_t code : codes) all |= code;
  if ((all >> bits) == 0) return;
  const auto first = std::find_if(codes.begin(), codes.end(),
                                  [bits](std::uint8_t code) { return (code >> bits) != 0; });
  throw defect("the code " + std::to_string(*first) + " at " +
               std::to_string(first - codes.begin()) + " does not fit into " +
               std::to_string(bits) + (bits == 1 ? " bit" : " bits"));
}

/// Eight at a time: large networks are read at every start of a program.
void unpack_bits(std::span<const std::uint8_t> packed, std::span<std::uint8_t> codes) {
  constexpr std::uint64_t ones = 0x0101010101010101U, diagonal = 0x8040201008040201U;
  std::size_t i = 0;
  for (; i + 8 <= codes.size(); i += 8) {
    // Byte j keeps bit j, and becomes 1 if it is not 0.
    const std::uint64_t bits = (packed[i / 8] * ones) & diagonal;
    const std::uint64_t eight = ((bits + 0x7F * ones) >> 7) & ones;
    for (std::size_t j = 0; j < 8; ++j) codes[i + j] = static_cast<std::uint8_t>(eight >> (8 * j));
  }
  for (; i < codes.size(); ++i) codes[i] = packed[i / 8] >> (i % 8) & 1;
}

}  // namespace

std::int64_t packed_bytes(std::int64_t count, int bits) {
  return (count * bits + 7) / 8;
}

void pack_codes(std::span<const std::uint8_t> codes, int bits, std::span<std::uint8_t> packed) {
  require_sizes(codes.size(), bits, packed.size());
  require_in_range(codes, bits);
  if (bits == 8) {
    std::copy(codes.begin(), codes.end(), packed.begin());
    return;
  }
  auto out = packed.begin();
  for (std::size_t i = 0; i < codes.size(); i += codes_a_group) {
    const std::size_t count = std::min(codes_a_group, codes.size() - i);
    std::uint64_t group = 0;
    for (std::size_t j = 0; j < count; ++j) {
      group |= std::uint64_t{codes[i + j]} << (j * static_cast<std::size_t>(bits));
    }
    const std::int64_t bytes = packed_bytes(static_cast<std::int64_t>(count), bits);
    for (std::int64_t b = 0; b < bytes; ++b) {
      *out++ = static_cast<std::uint8_t>(group);
      group >>= 8;
    }
  }
}

void unpack_codes(std::span<const std::uint8_t> packed, int bits, std::span<std::uint8_t> codes) {
  require_sizes(codes.size(), bits, packed.size());
  if (bits == 8) {
    std::copy(packed.begin(), packed.end(), codes.begin());
    return;
  }
  if (bits == 1) return unpack_bits(packed, codes);
  const auto mask = static_cast<std::uint8_t>((1 << bits) - 1);
  auto in = packed.begin();
  for (std::size_t i = 0; i < codes.size(); i += codes_a_group) {
    const std::size_t count = std::min(codes_a_group, codes.size() - i);
    const std::int64_t bytes = packed_bytes(static_cast<std::int64_t>(count), bits);
    std::uint64_t group = 0;
    for (std::int64_t b = 0; b < bytes; ++b) group |= std::uint64_t{*in++} << (8 * b);
    for (std::size_t j = 0; j < count; ++j) {
      codes[i + j] = static_cast<std::uint8_t>(group) & mask;
      group >>= bits;
    }
  }
}

bool has_clean_end(std::span<const std::uint8_t> packed, int bits, std::int64_t count) {
  const std::int64_t used = count * bits % 8;
  return used == 0 || packed.empty() || (packed.back() >> used) == 0;
}

}  // namespace qhost

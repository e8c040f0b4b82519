/// graph/pack_codes.h: codes of 1 to 8 bits as bytes, and back.
///
/// Codes stand without gaps, in their order, lowest bit first: code i occupies the bits
/// i * bits .. i * bits + bits - 1 of the result, and bit k of the result is bit k % 8 (the one
/// worth 1 << (k % 8)) of byte k / 8. A code of 3, 5, 6 or 7 bits may cross from one byte into the
/// next. The bits that are left of the last byte are 0.
///
///     bits = 2, codes 1 2 0 3 1   ->   0b11'00'10'01 0b000000'01   =   0xC9 0x01
#pragma once

#include <cstdint>
#include <span>

namespace qhost {

/// ceil(count * bits / 8).
std::int64_t packed_bytes(std::int64_t count, int bits);

/// `packed` has packed_bytes(codes.size(), bits) bytes. Throws Error (internal) for other sizes,
/// for bits outside of 1..8, and for a code of 2^bits or more.
void pack_codes(std::span<const std::uint8_t> codes, int bits, std::span<std::uint8_t> packed);
/// The reverse; throws likewise. The bits that are left of the last byte are not looked at.
void unpack_codes(std::span<const std::uint8_t> packed, int bits, std::span<std::uint8_t> codes);
/// Whether the bits that are left of the last byte are 0, as pack_codes() leaves them.
bool has_clean_end(std::span<const std::uint8_t> packed, int bits, std::int64_t count);

}  // namespace qhost

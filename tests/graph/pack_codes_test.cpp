#include "graph/pack_codes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "qhost/error.h"
#include "qhost/random.h"

namespace qhost {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes packed(const Bytes& codes, int bits) {
  Bytes result(
      static_cast<std::size_t>(packed_bytes(static_cast<std::int64_t>(codes.size()), bits)));
  pack_codes(codes, bits, result);
  return result;
}

Bytes unpacked(const Bytes& bytes, int bits, std::size_t count) {
  Bytes result(count);
  unpack_codes(bytes, bits, result);
  return result;
}

TEST(PackCodes, WritesTheLowestBitFirst) {
  EXPECT_EQ(packed({1, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 1), (Bytes{0x01, 0x02}));
  EXPECT_EQ(packed({1, 2, 0, 3, 1}, 2), (Bytes{0xC9, 0x01}));
  // 3 bits: 101 | 001 | 11.. crosses into the second byte: ..1
  EXPECT_EQ(packed({5, 1, 7}, 3), (Bytes{0b11001101, 0b00000001}));
  EXPECT_EQ(packed({0x12, 0xFE}, 8), (Bytes{0x12, 0xFE}));
  EXPECT_EQ(packed({0xA, 0x3, 0xF}, 4), (Bytes{0x3A, 0x0F}));
  EXPECT_EQ(packed({}, 5), Bytes());
}

/// Bit by bit, by the formula of the header.
TEST(PackCodes, EqualsTheDefinitionForEveryWidthAndLength) {
  Random random(7);
  for (int bits = 1; bits <= 8; ++bits) {
    for (std::size_t count = 0; count < 40; ++count) {
      Bytes codes(count);
      for (std::uint8_t& code : codes) {
        code = static_cast<std::uint8_t>(random.below(std::uint64_t{1} << bits));
      }
      Bytes wanted((count * static_cast<std::size_t>(bits) + 7) / 8, 0);
      for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t b = 0; b < static_cast<std::size_t>(bits); ++b) {
          const std::size_t k = i * static_cast<std::size_t>(bits) + b;
          if (((codes[i] >> b) & 1) != 0) wanted[k / 8] |= static_cast<std::uint8_t>(1 << (k % 8));
        }
      }
      const Bytes got = packed(codes, bits);
      EXPECT_EQ(got, wanted) << bits << " bits, " << count << " codes";
      EXPECT_EQ(unpacked(got, bits, count), codes) << bits << " bits, " << count << " codes";
      EXPECT_TRUE(has_clean_end(got, bits, static_cast<std::int64_t>(count)));
    }
  }
}

TEST(PackCodes, WhatIsLeftOfTheLastByteIsNotPartOfTheCodes) {
  EXPECT_EQ(unpacked({0xFF}, 3, 2), (Bytes{7, 7}));
  EXPECT_FALSE(has_clean_end(Bytes{0xFF}, 3, 2));
  EXPECT_FALSE(has_clean_end(Bytes{0x00, 0x04}, 1, 10));
  EXPECT_TRUE(has_clean_end(Bytes{0xFF, 0x03}, 1, 10));
}

TEST(PackCodes, RefusesWhatDoesNotFit) {
  const auto error_of = [](auto call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::internal);
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_THAT(error_of([] {
                packed({1, 0, 4}, 2);
              }),
              ::testing::StartsWith("the code 4 at 2 does not fit into 2 bits\n"));
  EXPECT_THAT(error_of([] { packed({1}, 9); }),
              ::testing::StartsWith("codes have 1 to 8 bits, not 9\n"));
  EXPECT_THAT(error_of([] {
                unpacked({1, 2}, 1, 8);
              }),
              ::testing::StartsWith("8 codes of 1 bit take 1 bytes, not 2\n"));
}

}  // namespace
}  // namespace qhost

#include "graph/stored_tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graph/pack_codes.h"
#include "qhost/error.h"

namespace qhost {
namespace {

using Bytes = std::vector<std::uint8_t>;

StoredTensor coded(Encoding encoding, std::vector<std::int64_t> shape, const Bytes& codes) {
  StoredTensor tensor{.encoding = encoding, .shape = std::move(shape)};
  const auto elements = static_cast<std::size_t>(tensor.elements());
  for (std::size_t member = 0; member * elements < codes.size(); ++member) {
    const Bytes one(codes.begin() + static_cast<std::ptrdiff_t>(member * elements),
                    codes.begin() + static_cast<std::ptrdiff_t>((member + 1) * elements));
    Bytes packed(static_cast<std::size_t>(packed_bytes(tensor.elements(), encoding.bits)));
    pack_codes(one, encoding.bits, packed);
    tensor.codes.insert(tensor.codes.end(), packed.begin(), packed.end());
  }
  return tensor;
}

TEST(StoredTensor, HasTheBytesThatTheEncodingPromises) {
  Encoding ensemble = Encoding::ternary(ScaleKind::tensor);
  ensemble.ensemble_size = 3;
  for (const Encoding& encoding :
       {Encoding::float32(), Encoding::float16(), Encoding::binary(ScaleKind::channel), ensemble,
        Encoding::uniform(5, ScaleKind::tensor, ZeroPointKind::channel),
        Encoding::codebook(8, ScaleKind::none, true)}) {
    const StoredTensor tensor{.encoding = encoding, .shape = {6, 5, 3, 3}};
    const StoredSizes sizes = stored_sizes(tensor);
    EXPECT_EQ(sizes.code_bytes + 4 * (sizes.scales + sizes.zero_points + sizes.table),
              stored_bytes(encoding, tensor.shape))
        << to_string(encoding);
  }
}

TEST(StoredTensor, EachMemberBeginsAtAByte) {
  Encoding encoding = Encoding::binary(ScaleKind::none);
  encoding.ensemble_size = 2;
  const StoredTensor tensor = coded(encoding, {3}, {1, 0, 1, 0, 1, 1});
  EXPECT_EQ(tensor.codes, (Bytes{0b101, 0b110}));
  EXPECT_EQ(codes_of(tensor, 0), (Bytes{1, 0, 1}));
  EXPECT_EQ(codes_of(tensor, 1), (Bytes{0, 1, 1}));
  EXPECT_EQ(why_invalid(tensor), "");
}

TEST(StoredTensor, ACodebookHasAnyNumberOfLevelsFrom2To256) {
  const std::vector<std::pair<int, int>> bits_of_levels = {{2, 1},  {3, 2},   {4, 2},   {5, 3},
                                                           {17, 5}, {200, 8}, {255, 8}, {256, 8}};
  for (const auto& [levels, bits] : bits_of_levels) {
    const Encoding book = Encoding::codebook(levels, ScaleKind::none, true);
    EXPECT_EQ(why_invalid(book), "");
    EXPECT_EQ(book.bits, bits) << levels;
    EXPECT_EQ(book.code_count(), levels);
    EXPECT_EQ(stored_bytes(book, {3, 5}), (15 * bits + 7) / 8 + 3 * 4 * levels);
  }
  for (const int levels : {-1, 0, 1, 257}) {
    EXPECT_EQ(why_invalid(Encoding::codebook(levels, ScaleKind::none, false)),
              "codebook needs 2 to 256 levels, not " + std::to_string(levels));
  }
  Encoding wrong = Encoding::codebook(5, ScaleKind::none, false);
  wrong.bits = 4;
  EXPECT_EQ(why_invalid(wrong), "codebook needs 3 bits, not 4");
  wrong = Encoding::uniform(3, ScaleKind::none, ZeroPointKind::none);
  wrong.levels = 5;
  EXPECT_EQ(why_invalid(wrong), "only a codebook has a number of levels, not uniform");
  EXPECT_EQ(to_string(Encoding::codebook(5, ScaleKind::none, true)),
            "codebook 3 bit of 5 levels per channel");
  EXPECT_EQ(to_string(Encoding::codebook(8, ScaleKind::none, false)), "codebook 3 bit");

  StoredTensor tensor = coded(Encoding::codebook(3, ScaleKind::none, true), {2, 2}, {0, 1, 2, 2});
  tensor.table = {0, 1, 2, 3, 0, 5};
  EXPECT_EQ(why_invalid(tensor), "");
  EXPECT_EQ(count_nonzero(tensor), 3);  // the second channel's code 1 is the zero
  tensor = coded(tensor.encoding, {2, 2}, {0, 1, 2, 3});
  tensor.table = {0, 1, 2, 3, 0, 5};
  EXPECT_EQ(why_invalid(tensor), "the code 3 occurs, and codebook of 3 levels has 0 to 2");
}

TEST(StoredTensor, FloatsComeBackAsTheyWere) {
  const std::vector<float> values = {0.1F, -0.0F, 3e38F, -1e-42F};
  const StoredTensor tensor = float_tensor({2, 2}, values);
  EXPECT_EQ(float_values(tensor), values);
  EXPECT_TRUE(std::signbit(float_values(tensor)[1]));
}

TEST(StoredTensor, SaysWhatIsWrong) {
  StoredTensor tensor = coded(Encoding::ternary(ScaleKind::channel), {2, 3}, {0, 1, 2, 2, 1, 0});
  EXPECT_EQ(why_invalid(tensor),
            "it has 0 scales, and ternary, scale per channel of shape [2,3] needs 2");
  tensor.scale = {1, 2};
  EXPECT_EQ(why_invalid(tensor), "");
  tensor.zero_point = {1};
  EXPECT_EQ(why_invalid(tensor),
            "it has 1 zero points, and ternary, scale per channel of shape [2,3] needs 0");
  tensor.zero_point.clear();
  tensor.codes.push_back(0);
  EXPECT_EQ(why_invalid(tensor),
            "it has 3 bytes of codes, and ternary, scale per channel of shape [2,3] needs 2");
  tensor.codes.pop_back();
  tensor.codes.back() |= 0x10;
  EXPECT_EQ(why_invalid(tensor), "bits behind the last code are set");
  tensor.codes.back() = 0x0F;
  EXPECT_EQ(why_invalid(tensor), "the code 3 occurs, and ternary has 0, 1 and 2");
  EXPECT_EQ(why_invalid(StoredTensor{.encoding = Encoding::float32(), .shape = {3, 0}}),
            "its shape [3,0] has a dimension below 1");
  EXPECT_EQ(why_invalid(StoredTensor{.encoding = Encoding::float32(), .shape = {1 << 24, 1 << 24}}),
            "its shape [16777216,16777216] has more than 2^40 elements");
  EXPECT_EQ(why_invalid(StoredTensor{.encoding = {.kind = CodeKind::binary, .bits = 2}}),
            "its encoding is inconsistent: binary needs 1 bit, not 2");
}

TEST(StoredTensor, CountsTheElementsWhoseLevelIsNotZero) {
  EXPECT_EQ(count_nonzero(coded(Encoding::ternary(ScaleKind::none), {5}, {0, 1, 1, 2, 1})), 2);
  EXPECT_EQ(count_nonzero(coded(Encoding::binary(ScaleKind::none), {3}, {0, 1, 0})), 3);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(count_nonzero(float_tensor({5}, std::vector<float>{0, -0.0F, 1e-45F, nan, -2})), 3);

  StoredTensor halves{.encoding = Encoding::float16(), .shape = {3}};
  halves.codes = {0x00, 0x80, 0x01, 0x00, 0x00, 0x00};  // -0, the least positive, 0
  EXPECT_EQ(count_nonzero(halves), 1);

  StoredTensor uniform = coded(Encoding::uniform(3, ScaleKind::none, ZeroPointKind::channel),
                               {2, 3}, {0, 2, 3, 0, 2, 3});
  uniform.zero_point = {4, 5};  // code 2 is level 0 of channel 0; no code is that of channel 1
  EXPECT_EQ(count_nonzero(uniform), 5);
  EXPECT_EQ(count_nonzero(
                coded(Encoding::uniform(3, ScaleKind::none, ZeroPointKind::none), {3}, {0, 2, 0})),
            1);

  StoredTensor book = coded(Encoding::codebook(2, ScaleKind::none, true), {2, 2}, {0, 1, 0, 1});
  book.table = {0, 1, 2, 3};  // channel 0 has a level 0, channel 1 has none
  EXPECT_EQ(count_nonzero(book), 3);

  Encoding ensemble = Encoding::ternary(ScaleKind::none);
  ensemble.ensemble_size = 2;
  EXPECT_EQ(count_nonzero(coded(ensemble, {2}, {1, 0, 0, 2})), 2);  // (1 + 2) / 2, rounded up
}

TEST(StoredTensor, RefusesToReadWhatIsNotThere) {
  const StoredTensor structure{.encoding = Encoding::binary(ScaleKind::none), .shape = {3}};
  EXPECT_FALSE(structure.has_contents());
  EXPECT_EQ(why_invalid(structure), "");
  EXPECT_THROW(count_nonzero(structure), Error);
  EXPECT_THROW(codes_of(structure), Error);
  EXPECT_THROW(float_values(structure), Error);
}

}  // namespace
}  // namespace qhost

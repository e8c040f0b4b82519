// An image becomes the input of a network: as Pillow and torchvision do it, and with a note.
#include "images/fit.h"

#include <gmock/gmock.h>

#include "images/golden.h"
#include "images/png_bytes.h"
#include "images/resize.h"

namespace qhost::images {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Fit, ResizesAndCropsAsPillowDoes) {
  const nlohmann::json golden = tests::pillow();
  ASSERT_EQ(golden.at("fits").size(), 13U);
  for (const nlohmann::json& one : golden.at("fits")) {
    Image image{.width = one.at("width"), .height = one.at("height"), .channels = one["channels"]};
    SCOPED_TRACE(size_text(image.width, image.height));
    image.pixels =
        tests::noise(static_cast<std::size_t>(image.width * image.height * image.channels),
                     one.at("seed").get<std::uint64_t>());
    const std::int64_t side = one.at("side");
    const Fitted fitted = fit(image, image.channels, side, side);
    EXPECT_EQ(fitted.image.width, side);
    EXPECT_EQ(fitted.image.height, side);
    EXPECT_EQ(fitted.image.channels, image.channels);
    EXPECT_EQ(fitted.image.pixels,
              tests::from_hex<std::vector<std::uint8_t>>(one.at("pixels").get<std::string>()));
  }
}

TEST(Fit, AWindowIsThePartOfTheWhole) {
  const Image image{
      .width = 23, .height = 17, .channels = 3, .pixels = tests::noise(23 * 17 * 3, 9)};
  const Image whole = resized(image, 12, 31, {0, 0, 12, 31});
  const Image part = resized(image, 12, 31, {.left = 5, .top = 20, .width = 4, .height = 7});
  for (std::int64_t y = 0; y < 7; ++y) {
    for (std::int64_t i = 0; i < 4 * 3; ++i) {
      EXPECT_EQ(part.pixels[static_cast<std::size_t>(y * 12 + i)],
                whole.pixels[static_cast<std::size_t>(((20 + y) * 12 + 5) * 3 + i)]);
    }
  }
}

TEST(Fit, TakesAnImageOfTheRightSizeAndColorAsItIs) {
  const Image image{.width = 4, .height = 3, .channels = 1, .pixels = tests::noise(12, 1)};
  const Fitted fitted = fit(image, 1, 3, 4);
  EXPECT_EQ(fitted.image, image);
  EXPECT_THAT(fitted.notes, IsEmpty());
}

TEST(Fit, SaysWhatItDid) {
  const auto notes = [](std::int64_t width, std::int64_t height, std::int64_t to_height,
                        std::int64_t to_width) {
    const Fitted fitted = fit(tests::plain_image(width, height, {7}), 1, to_height, to_width);
    EXPECT_EQ(fitted.image, tests::plain_image(to_width, to_height, {7}));
    return fitted.notes;
  };
  EXPECT_THAT(notes(640, 480, 32, 32),
              ElementsAre("640x480 was resized to 42x32 and cropped to 32x32"));
  EXPECT_THAT(notes(480, 640, 32, 32),
              ElementsAre("480x640 was resized to 32x42 and cropped to 32x32"));
  EXPECT_THAT(notes(64, 64, 32, 32), ElementsAre("64x64 was resized to 32x32"));
  EXPECT_THAT(notes(40, 32, 32, 32), ElementsAre("40x32 was cropped to 32x32"));
  // A network that is not square.
  EXPECT_THAT(notes(100, 100, 8, 16),
              ElementsAre("100x100 was resized to 16x16 and cropped to 16x8"));
  EXPECT_THAT(notes(100, 80, 8, 16),
              ElementsAre("100x80 was resized to 16x12 and cropped to 16x8"));
  EXPECT_THAT(notes(100, 20, 8, 16), ElementsAre("100x20 was resized to 40x8 and cropped to 16x8"));
  EXPECT_THAT(notes(2, 1, 8, 16), ElementsAre("2x1 was resized to 16x8"));
}

TEST(Fit, AVeryLongImageNeedsLittleMemory) {
  EXPECT_EQ(fit(tests::plain_image(1, 1 << 20, {9}), 1, 32, 32).image,
            tests::plain_image(32, 32, {9}));
  EXPECT_EQ(fit(tests::plain_image(1 << 20, 1, {9, 8, 7}), 3, 2, 2).image,
            tests::plain_image(2, 2, {9, 8, 7}));
}

TEST(Fit, ColorBecomesGrayAsPillowsLuma) {
  const nlohmann::json golden = tests::pillow();
  for (const nlohmann::json& one : golden.at("files")) {
    if (one.at("channels") != 3) continue;
    SCOPED_TRACE(one.at("name"));
    Image image{.width = one.at("width"), .height = one.at("height"), .channels = 3};
    image.pixels = tests::from_hex<std::vector<std::uint8_t>>(one.at("pixels").get<std::string>());
    const Fitted fitted = fit(image, 1, image.height, image.width);
    EXPECT_EQ(fitted.image.channels, 1);
    EXPECT_EQ(fitted.image.pixels,
              tests::from_hex<std::vector<std::uint8_t>>(one.at("gray").get<std::string>()));
    EXPECT_THAT(fitted.notes, ElementsAre("its colors became gray (ITU-R 601-2 luma)"));
  }
}

TEST(Fit, GrayBecomesColorBeforeItIsScaled) {
  const Fitted fitted = fit(tests::plain_image(6, 3, {200}), 3, 3, 3);
  EXPECT_EQ(fitted.image, tests::plain_image(3, 3, {200, 200, 200}));
  EXPECT_THAT(fitted.notes,
              ElementsAre("its gray became red, green and blue", "6x3 was cropped to 3x3"));
}

}  // namespace
}  // namespace qhost::images

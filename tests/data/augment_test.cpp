#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include "data/row_kernels.h"
#include "qhost/random.h"
#include "slow_reference.h"
#include "support.h"

namespace qhost::data::testing {
namespace {

const std::vector<float> means = {0.4914F, 0.4822F, 0.4465F, 0.5F};
const std::vector<float> deviations = {0.2470F, 0.2435F, 0.2616F, 0.25F};

AugmentOptions with(std::int64_t channels, std::int64_t padding = 0,
                    PaddingMode mode = PaddingMode::zero, bool flip = false,
                    std::int64_t cutout = 0) {
  AugmentOptions options;
  options.crop_padding = padding;
  options.padding_mode = mode;
  options.flip = flip;
  options.cutout = cutout;
  options.mean.assign(means.begin(), means.begin() + channels);
  options.std.assign(deviations.begin(), deviations.begin() + channels);
  return options;
}

struct Case {
  Shape shape;
  AugmentOptions options;
};

std::vector<Case> cases() {
  std::vector<Case> out;
  // Widths below and above one step of the fast kernels, and every number of channels.
  for (const Shape& shape :
       {Shape{{3, 32, 32}}, Shape{{1, 8, 8}}, Shape{{3, 5, 7}}, Shape{{1, 28, 28}},
        Shape{{3, 8, 48}}, Shape{{3, 20, 16}}, Shape{{4, 9, 32}}, Shape{{2, 6, 3}}}) {
    for (const PaddingMode mode : {PaddingMode::zero, PaddingMode::reflect}) {
      for (const bool flip : {false, true}) {
        for (const std::int64_t padding : {0, 1, 2}) {
          for (const std::int64_t cutout : {0, 3}) {
            out.push_back({shape, with(shape.channels(), padding, mode, flip, cutout)});
          }
        }
      }
    }
  }
  out.push_back({Shape{{3, 32, 32}}, with(3, 4, PaddingMode::zero, true, 16)});
  out.push_back({Shape{{3, 32, 32}}, with(3, 31, PaddingMode::reflect, true, 32)});
  return out;
}

/// Augments the result of image_of(pixels) in each case, with twelve draws and in both layouts.
template <class MakeImage>
void expect_the_slow_reference(const MakeImage& image_of, double tolerance) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(::testing::PrintToString(c.shape.dims) + " padding " +
                 std::to_string(c.options.crop_padding));
    const Augmenter augmenter(c.shape, c.options);
    const auto size = static_cast<std::size_t>(c.shape.elements());
    const auto image = image_of(size);
    std::vector<float> out(size);
    for (std::int64_t index = 0; index < 12; ++index) {
      const AugmentDraw draw = augmenter.draw(9, 2, index);
      const std::vector<double> slow = slow_augment(image.data(), c.shape, c.options, draw);
      for (const Layout layout : {Layout::nchw, Layout::nhwc}) {
        std::fill(out.begin(), out.end(), std::numeric_limits<float>::quiet_NaN());
        augmenter.write(image.data(), draw, out.data(), layout);
        std::size_t i = 0;
        for (std::int64_t ch = 0; ch < c.shape.channels(); ++ch) {
          for (std::int64_t y = 0; y < c.shape.height(); ++y) {
            for (std::int64_t x = 0; x < c.shape.width(); ++x, ++i) {
              ASSERT_NEAR(out[place(c.shape, layout, ch, y, x)], slow[i], tolerance)
                  << ch << ',' << y << ',' << x << " image " << index;
            }
          }
        }
      }
    }
  }
}

TEST(Augmenter, EqualsTheSlowReferenceInBothLayouts) {
  expect_the_slow_reference([](std::size_t size) { return noise(size, 5); }, 2e-6);
}

TEST(Augmenter, MovesFloatsWithoutChangingThem) {
  expect_the_slow_reference([](std::size_t size) { return float_noise(size, 5); }, 0);
}

TEST(Augmenter, PadsFloatsWithZero) {
  const Shape shape{{3, 4, 4}};
  const Augmenter augmenter(shape, with(3, 2));
  const std::vector<float> image(48, 7.5F);
  std::vector<float> out(48);
  augmenter.write(image.data(), {.dy = -2, .dx = 2}, out.data(), Layout::nchw);
  EXPECT_EQ(std::count(out.begin(), out.end(), 7.5F), 3 * 2 * 2);
  EXPECT_EQ(std::count(out.begin(), out.end(), 0.0F), 48 - 12);
}

TEST(Augmenter, FollowsTheDocumentedFormulaToTheBit) {
  const Shape shape{{3, 32, 32}};
  const Augmenter augmenter(shape, with(3));
  const auto image = noise(3072, 1);
  std::vector<float> out(3072);
  augmenter.write(image.data(), {}, out.data(), Layout::nhwc);
  for (std::int64_t c = 0; c < 3; ++c) {
    const volatile auto offset =
        static_cast<float>(255.0 * double{means[static_cast<std::size_t>(c)]});
    const volatile auto factor =
        static_cast<float>(1.0 / (255.0 * double{deviations[static_cast<std::size_t>(c)]}));
    for (std::int64_t i = 0; i < 1024; ++i) {
      const volatile float difference =
          static_cast<float>(image[static_cast<std::size_t>(c * 1024 + i)]) - offset;
      const volatile float expected = difference * factor;
      ASSERT_EQ(out[static_cast<std::size_t>(i * 3 + c)], expected);
    }
  }
}

TEST(Augmenter, AllKernelsWriteTheSameBits) {
  const RowKernels& fast = row_kernels();
  const RowKernels& plain = portable_row_kernels();
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2")) GTEST_SKIP() << "this processor has no AVX2";
  EXPECT_STREQ(fast.name, "avx2");
#endif
  for (const Shape& shape : {Shape{{3, 4, 32}}, Shape{{3, 4, 48}}, Shape{{3, 4, 33}},
                             Shape{{1, 5, 19}}, Shape{{2, 3, 16}}}) {
    const std::int64_t C = shape.channels(), H = shape.height(), W = shape.width();
    const std::int64_t row = W + 5, plane = (H + 2) * row;
    const auto pixels = noise(static_cast<std::size_t>(C * plane), 3);
    for (const bool flip : {false, true}) {
      const PixelView view{pixels.data() + 2, plane, row, C, H, W, flip};
      std::vector<float> a(static_cast<std::size_t>(shape.elements()), 1), b(a.size(), 2);
      fast.interleaved(view, means.data(), deviations.data(), a.data());
      plain.interleaved(view, means.data(), deviations.data(), b.data());
      EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * sizeof(float)));
      fast.planar(view, means.data(), deviations.data(), a.data());
      plain.planar(view, means.data(), deviations.data(), b.data());
      EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * sizeof(float)));
    }
  }
}

TEST(Augmenter, ZeroPaddingIsBlackBeforeNormalization) {
  const Shape shape{{3, 4, 4}};
  const Augmenter augmenter(shape, with(3, 2));
  const std::vector<std::uint8_t> white(48, 255);
  std::vector<float> out(48);
  augmenter.write(white.data(), {.dy = -2, .dx = 2}, out.data(), Layout::nchw);
  EXPECT_NEAR(out[0], (0 - 0.4914) / 0.2470, 1e-6);          // above the image
  EXPECT_NEAR(out[2 * 4 + 3], (0 - 0.4914) / 0.2470, 1e-6);  // right of it
  EXPECT_NEAR(out[2 * 4 + 1], (1 - 0.4914) / 0.2470, 1e-6);
}

TEST(Augmenter, CutoutWritesTheMeanColorAndMayLeaveTheImage) {
  const Shape shape{{3, 32, 32}};
  const Augmenter augmenter(shape, with(3, 0, PaddingMode::zero, false, 16));
  const std::vector<std::uint8_t> white(3072, 255);
  std::vector<float> out(3072);
  const auto zeros = [&](std::int64_t y, std::int64_t x) {
    AugmentDraw draw;
    draw.cut_y = y;
    draw.cut_x = x;
    augmenter.write(white.data(), draw, out.data(), Layout::nhwc);
    return std::count(out.begin(), out.end(), 0.0F);
  };
  EXPECT_EQ(zeros(16, 16), 3 * 16 * 16);
  EXPECT_EQ(zeros(0, 0), 3 * 8 * 8);
  EXPECT_EQ(zeros(31, 16), 3 * 9 * 16);
  EXPECT_EQ(out[0], (255 - 255 * 0.4914F) * (1 / (255 * 0.2470F)));
}

TEST(Draws, CoverTheirRangesEvenly) {
  const Augmenter augmenter(Shape{{3, 32, 32}}, with(3, 4, PaddingMode::zero, true, 16));
  std::vector<int> dy(9, 0), dx(9, 0), cut_y(32, 0), cut_x(32, 0);
  int flips = 0;
  const int n = 20000;
  for (int i = 0; i < n; ++i) {
    const AugmentDraw draw = augmenter.draw(1, 0, i);
    ++dy.at(static_cast<std::size_t>(draw.dy + 4));
    ++dx.at(static_cast<std::size_t>(draw.dx + 4));
    ++cut_y.at(static_cast<std::size_t>(draw.cut_y));
    ++cut_x.at(static_cast<std::size_t>(draw.cut_x));
    flips += draw.flip ? 1 : 0;
  }
  // Six standard deviations of a binomial count. The draws are fixed, so the test is not flaky.
  const auto even = [&](const std::vector<int>& counts) {
    const double p = 1.0 / static_cast<double>(counts.size());
    for (const int count : counts) EXPECT_NEAR(count, n * p, 6 * std::sqrt(n * p * (1 - p)));
  };
  even(dy);
  even(dx);
  even(cut_y);
  even(cut_x);
  even({flips, n - flips});
}

TEST(Draws, AreAFunctionOfSeedEpochAndImage) {
  const Augmenter augmenter(Shape{{3, 32, 32}}, with(3, 4, PaddingMode::zero, true, 16));
  const auto text = [&](std::uint64_t seed, std::int64_t epoch, std::int64_t index) {
    const AugmentDraw d = augmenter.draw(seed, epoch, index);
    return std::to_string(d.dy) + " " + std::to_string(d.dx) + " " + std::to_string(d.flip) + " " +
           std::to_string(d.cut_y) + " " + std::to_string(d.cut_x);
  };
  EXPECT_EQ(text(1, 2, 3), text(1, 2, 3));
  std::set<std::string> different;
  for (int i = 0; i < 20; ++i) {
    different.insert(text(1, 2, i));
    different.insert(text(1, i + 3, 3));
    different.insert(text(static_cast<std::uint64_t>(i) + 2, 2, 3));
  }
  EXPECT_GE(different.size(), 59U);
}

TEST(Draws, OfOnePurposeDoNotDependOnTheOthers) {
  const Augmenter everything(Shape{{3, 32, 32}}, with(3, 4, PaddingMode::zero, true, 16));
  const Augmenter crop(Shape{{3, 32, 32}}, with(3, 4));
  const Augmenter flip(Shape{{3, 32, 32}}, with(3, 0, PaddingMode::zero, true));
  for (int i = 0; i < 50; ++i) {
    const AugmentDraw whole = everything.draw(4, 1, i);
    EXPECT_EQ(crop.draw(4, 1, i).dy, whole.dy);
    EXPECT_EQ(crop.draw(4, 1, i).dx, whole.dx);
    EXPECT_FALSE(crop.draw(4, 1, i).flip);
    EXPECT_EQ(flip.draw(4, 1, i).flip, whole.flip);
    EXPECT_EQ(flip.draw(4, 1, i).dy, 0);
  }
}

TEST(Augmenter, RefusesWhatDoesNotFit) {
  const Shape shape{{3, 32, 24}};
  const auto make = [&](const AugmentOptions& options) {
    return [=] { Augmenter(shape, options); };
  };
  expect_option_error("crop_padding", {"24 does not fit images of 32x24", "help: 0..23"},
                      make(with(3, 24)));
  expect_option_error("crop_padding", {"-1 does not fit"}, make(with(3, -1)));
  expect_option_error("cutout", {"a square of side 25 does not fit images of 32x24", "help: 0..24"},
                      make(with(3, 0, PaddingMode::zero, false, 25)));
  expect_option_error("mean", {"1 values for 3 channels", "help: "}, make(with(1)));
  AugmentOptions options = with(3);
  options.std.pop_back();
  expect_option_error("std", {"2 values for 3 channels"}, make(options));
  options = with(3);
  options.std[1] = 0;
  expect_option_error("std", {"0.000000 for channel 1 is not above 0"}, make(options));
  options = with(3);
  options.mean[2] = std::numeric_limits<float>::quiet_NaN();
  expect_option_error("mean", {"not finite"}, make(options));
}

TEST(AugmentOptions, AreReadFromTheExperimentsTable) {
  const Dataset set = load("digits");
  Options table;
  AugmentOptions options = augment_options(table, set);
  EXPECT_EQ(options.crop_padding, 0);
  EXPECT_FALSE(options.flip);
  EXPECT_EQ(options.mean, set.mean);
  EXPECT_EQ(options.std, set.std);

  table.set("crop_padding", std::int64_t{2});
  table.set("padding_mode", std::string("reflect"));
  table.set("flip", true);
  table.set("cutout", std::int64_t{3});
  table.set("normalize", true);
  table.set("mean", std::vector<double>{0.25});
  table.set("std", std::vector<double>{});
  options = augment_options(table, set);
  EXPECT_EQ(options.crop_padding, 2);
  EXPECT_EQ(options.padding_mode, PaddingMode::reflect);
  EXPECT_TRUE(options.flip);
  EXPECT_EQ(options.cutout, 3);
  EXPECT_EQ(options.mean, std::vector<float>{0.25F});
  EXPECT_EQ(options.std, set.std);

  options = evaluation_options(table, set);
  EXPECT_EQ(options.crop_padding, 0);
  EXPECT_FALSE(options.flip);
  EXPECT_EQ(options.cutout, 0);
  EXPECT_EQ(options.mean, std::vector<float>{0.25F});

  table.set("normalize", false);
  options = augment_options(table, set);
  EXPECT_EQ(options.mean, std::vector<float>{0.0F});
  EXPECT_EQ(options.std, std::vector<float>{1.0F});
  table.set("normalize", true);
  table.set("mean", std::vector<double>{});
  table.set("whitening", std::string("none"));
  EXPECT_FALSE(whitened(table));
  EXPECT_EQ(augment_options(table, set).mean, set.mean);
  table.set("padding_mode", std::string("edge"));
  expect_option_error("padding_mode", {"\"edge\" is not a padding mode", "\"zero\", \"reflect\""},
                      [&] { augment_options(table, set); });
}

TEST(AugmentOptions, OfWhitenedImagesHaveNoNormalization) {
  const Dataset set = load("digits");
  Options table;
  EXPECT_FALSE(whitened(table));
  table.set("whitening", std::string("gcn_zca"));
  table.set("normalize", true);  // the default, which a resolved experiment contains
  table.set("mean", std::vector<double>{});
  table.set("std", std::vector<double>{});
  table.set("flip", true);
  EXPECT_TRUE(whitened(table));
  EXPECT_TRUE(augment_options(table, set).flip);
  EXPECT_EQ(augment_options(table, set).mean, std::vector<float>{0.0F});
  EXPECT_EQ(evaluation_options(table, set).std, std::vector<float>{1.0F});

  const auto refuses = [&](const char* key, OptionValue value) {
    Options given = table;
    given.set(key, std::move(value));
    expect_option_error(key, {"whitened images are not normalized by channel\nhelp: take it out"},
                        [&] { augment_options(given, set); });
  };
  refuses("normalize", false);
  refuses("mean", std::vector<double>{0.5});
  refuses("std", std::vector<double>{0.5});
  table.set("whitening", std::string("zca"));
  expect_option_error("whitening", {"\"zca\" is not known\nhelp: one of \"none\", \"gcn_zca\""},
                      [&] { evaluation_options(table, set); });
}

}  // namespace
}  // namespace qhost::data::testing

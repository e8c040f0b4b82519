// The complete text of one error.
#include "graph/helpers.h"

namespace qhost {
namespace {

using test::error_of;
using test::shape;

TEST(ErrorForm, ShowsPlacePathSentenceInputsAndHelp) {
  GraphBuilder g;
  auto stage = g.scope("stage2");
  auto block = g.scope("block0");
  // Lines of an architecture's source, so that the text does not depend on this file's path.
  // clang-format off
#line 20 "plugins/wrn/wrn.cpp"
  const Value image = g.input(shape("16x32x32"));
  const Value narrow = g.conv2d("conv0", image, {.out_channels = 32, .kernel = 3, .stride = 2, .padding = 1});
  const Value x = g.relu("input_relu", narrow);
  const Value y = g.conv2d("conv2", x, {.out_channels = 64, .kernel = 3, .padding = 1});
  const auto wrong = [&] { return g.add("add", y, x); };
#line 27 "error_form_test.cpp"
  // clang-format on
  EXPECT_EQ(
      error_of(wrong),
      "plugins/wrn/wrn.cpp:24:40: error: stage2.block0.add: shapes differ in channels: 64 and 32\n"
      "  a = stage2.block0.conv2       conv2d 3x3 stride 1  -> [N,64,16,16]  wrn.cpp:23\n"
      "  b = stage2.block0.input_relu  relu                 -> [N,32,16,16]  wrn.cpp:22\n"
      "help: the shortcut needs a 1x1 convolution to 64 channels");
}

TEST(ErrorForm, AddsTheOperationWhereTheNameDoesNotSayIt) {
  test::Network n;
  EXPECT_THAT(error_of([&] { n.g.linear("head", n.x, {.out_features = 10}); }),
              ::testing::HasSubstr(": error: head (linear): needs features"));
  EXPECT_THAT(error_of([&] { n.g.linear("linear2", n.x, {.out_features = 10}); }),
              ::testing::HasSubstr(": error: linear2: needs features"));
}

TEST(ErrorForm, KeepsControlCharactersFromTheTerminal) {
  test::Network n;
  const std::string text = error_of([&] { n.g.relu("a\x1b[31m\nb", n.x); });
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_THAT(text, ::testing::HasSubstr("`a?[31m?b` is not a name"));
}

}  // namespace
}  // namespace qhost

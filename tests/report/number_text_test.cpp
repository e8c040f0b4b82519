// Decimals are those of printf in the C locale, whatever the locale.
#include "common/number_text.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <limits>
#include <locale>

namespace qhost {
namespace {

/// As a plugin may set it, or a library that it loads.
class CommaLocale : public std::numpunct<char> {
 public:
  static void install() { std::locale::global(std::locale(std::locale(), new CommaLocale)); }

 protected:
  char do_decimal_point() const override { return ','; }
  char do_thousands_sep() const override { return '.'; }
  std::string do_grouping() const override { return "\3"; }
};

std::string printed(const char* format, int digits, double value) {
  char text[512];
  std::snprintf(text, sizeof text, format, digits, value);
  return text;
}

TEST(NumberText, IsWhatPrintfWritesInTheCLocale) {
  constexpr double largest = std::numeric_limits<double>::max();
  for (const double value : {0.0, -0.0, 0.005, 0.015, 0.125, 2.5, 99.995, 1234567.0, -1e-7, 1e15,
                             1e16, 4.9e-324, largest, -largest, 0.1 + 0.2}) {
    for (const int digits : {0, 1, 2, 3, 4, 6, 17}) {
      EXPECT_EQ(fixed(value, digits), printed("%.*f", digits, value));
      EXPECT_EQ(significant(value, digits), printed("%.*g", digits, value));
    }
  }
  EXPECT_EQ(significant(0.5653041), "0.565304");
}

TEST(NumberText, HasEveryBit) {
  for (const double value : {0.0, -0.0, 1.0, 3.0, -0.1, 1e-5, 0.04, 1e300, 123456.789}) {
    char text[64];
    std::snprintf(text, sizeof text, "%a", value);
    EXPECT_EQ(hexadecimal(value), text);
  }
}

TEST(NumberText, NamesWhatIsNotFinite) {
  EXPECT_EQ(fixed(std::numeric_limits<double>::infinity(), 2), "inf");
  EXPECT_EQ(fixed(-std::numeric_limits<double>::infinity(), 2), "-inf");
  EXPECT_EQ(significant(std::numeric_limits<double>::quiet_NaN(), 4), "nan");
}

TEST(NumberText, IsIndependentOfTheLocale) {
  const std::locale before;
  CommaLocale::install();
  EXPECT_EQ(fixed(1234.5, 2), "1234.50");
  EXPECT_EQ(significant(1234.5), "1234.5");
  EXPECT_EQ(with_separators(12345), "12,345");
  std::locale::global(before);
}

TEST(Separators, EveryThreeDigits) {
  EXPECT_EQ(with_separators(0), "0");
  EXPECT_EQ(with_separators(999), "999");
  EXPECT_EQ(with_separators(1000), "1,000");
  EXPECT_EQ(with_separators(40551040), "40,551,040");
  EXPECT_EQ(with_separators(-123), "-123");
  EXPECT_EQ(with_separators(-1234567), "-1,234,567");
  EXPECT_EQ(with_separators(std::numeric_limits<std::int64_t>::min()),
            "-9,223,372,036,854,775,808");
}

}  // namespace
}  // namespace qhost

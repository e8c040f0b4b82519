/// common/number_text.h: numbers as text. No locale changes the result, whatever a plugin sets.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace qhost {

/// printf's "%.*f" in the C locale: `digits` behind the point; "nan", "inf" for what is not finite.
std::string fixed(double value, int digits);
/// printf's "%.*g" in the C locale: `digits` significant digits, with an exponent where that is
/// shorter. An ostream writes 6 digits.
std::string significant(double value, int digits = 6);
/// printf's "%a" in the C locale, "0x1.8p+1" for 3: every bit of a finite value.
std::string hexadecimal(double value);
/// "[0.4914, 0.4822]": each number as significant() writes it.
std::string numbers_text(std::span<const double> numbers, int digits = 6);
/// "[16,3,3,3]"
std::string shape_text(std::span<const std::int64_t> shape);
/// 1234567 -> "1,234,567"
std::string with_separators(std::int64_t number);

}  // namespace qhost

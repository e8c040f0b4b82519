#include "common/number_text.h"

#include <charconv>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <system_error>

namespace qhost {
namespace {

std::string text_of(double value, std::chars_format format, int digits) {
  if (digits < 0) throw std::invalid_argument("a number of digits is not negative");
  // Sign, digits in front of the point, and the point; an exponent is shorter.
  constexpr int rest = std::numeric_limits<double>::max_exponent10 + 3;
  std::string text(static_cast<std::size_t>(digits + rest), '\0');
  const auto [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), value, format, digits);
  if (error != std::errc()) throw std::length_error("a number is longer than its text");
  text.resize(static_cast<std::size_t>(end - text.data()));
  return text;
}

}  // namespace

std::string fixed(double value, int digits) {
  return text_of(value, std::chars_format::fixed, digits);
}

std::string significant(double value, int digits) {
  return text_of(value, std::chars_format::general, digits);
}

std::string hexadecimal(double value) {
  char text[32];
  const auto [end, error] =
      std::to_chars(text, text + sizeof text, std::abs(value), std::chars_format::hex);
  if (error != std::errc()) throw std::length_error("a number is longer than its text");
  return (std::signbit(value) ? "-0x" : "0x") + std::string(text, end);
}

std::string numbers_text(std::span<const double> numbers, int digits) {
  std::string text;
  for (const double number : numbers) {
    text += (text.empty() ? "" : ", ") + significant(number, digits);
  }
  return "[" + text + "]";
}

std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text;
  for (const std::int64_t size : shape) text += (text.empty() ? "" : ",") + std::to_string(size);
  return "[" + text + "]";
}

std::string with_separators(std::int64_t number) {
  std::string text = std::to_string(number);
  const std::size_t digits_from = number < 0 ? 1 : 0;
  for (std::size_t at = text.size(); at > digits_from + 3;) {
    at -= 3;
    text.insert(at, ",");
  }
  return text;
}

}  // namespace qhost

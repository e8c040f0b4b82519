#include "runs/checkpoint_name.h"

#include <charconv>

namespace qhost::runs {

std::string checkpoint_name(std::string_view prefix, std::int64_t step) {
  const std::string digits = std::to_string(step);
  const std::size_t zeros = digits.size() < 8 ? 8 - digits.size() : 0;
  return std::string(prefix) + std::string(zeros, '0') + digits;
}

std::optional<std::int64_t> step_of(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  std::int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto result = std::from_chars(name.data() + prefix.size(), end, step);
  if (result.ec != std::errc() || result.ptr != end || step < 0 ||
      checkpoint_name(prefix, step) != name) {
    return std::nullopt;
  }
  return step;
}

}  // namespace qhost::runs

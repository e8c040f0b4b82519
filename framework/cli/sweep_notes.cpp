#include "cli/sweep_notes.h"

#include <algorithm>

#include "common/lines.h"

namespace qhost::cli {
namespace {

/// "point 2", "points 2 to 4 and 7"
std::string points_text(const std::vector<std::size_t>& numbers) {
  std::vector<std::string> spans;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    spans.push_back(std::to_string(numbers[i]));
    if (last > i) spans.back() += (last > i + 1 ? " to " : " and ") + std::to_string(numbers[last]);
    i = last + 1;
  }
  std::string text = numbers.size() == 1 ? "point " : "points ";
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (i > 0) text += i + 1 == spans.size() ? " and " : ", ";
    text += spans[i];
  }
  return text;
}

}  // namespace

bool SweepNotes::is_new(const std::string& text, std::size_t number) {
  const auto found =
      std::find_if(seen_.begin(), seen_.end(), [&](const Seen& seen) { return seen.text == text; });
  if (found == seen_.end()) {
    seen_.push_back({text, {}});
    return true;
  }
  if (found->again.empty() || found->again.back() != number) found->again.push_back(number);
  return false;
}

std::vector<std::string> SweepNotes::repeated() const {
  std::vector<std::string> lines;
  for (const Seen& seen : seen_) {
    if (seen.again.empty()) continue;
    lines.push_back("also for " + points_text(seen.again) + ": " + first_line(seen.text));
  }
  return lines;
}

}  // namespace qhost::cli

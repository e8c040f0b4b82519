#include "common/lines.h"

#include <algorithm>
#include <utility>

namespace qhost {

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

std::string without_indents(const std::string& text) {
  std::string result;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    const std::size_t word = std::min(text.find_first_not_of(' ', start), end);
    if (word < end) result += (result.empty() ? "" : "\n") + text.substr(word, end - word);
    start = end + 1;
  }
  return result;
}

std::string without_last_breaks(std::string text) {
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

}  // namespace qhost

#include "common/lines.h"

#include <algorithm>
#include <utility>

#include "common/utf8.h"

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

namespace {

/// Calls `visit` with each run of characters that are not blanks.
template <class Visit>
void for_each_word(const std::string& text, const Visit& visit) {
  for (std::size_t start = text.find_first_not_of(' '); start < text.size();) {
    const std::size_t end = std::min(text.find(' ', start), text.size());
    visit(text.substr(start, end - start));
    start = text.find_first_not_of(' ', end);
  }
}

}  // namespace

std::vector<std::string> wrapped(const std::string& text, std::size_t width) {
  if (display_width(text) <= width) return {text};
  std::vector<std::string> lines = {""};
  for_each_word(text, [&](const std::string& word) {
    std::string& line = lines.back();
    if (line.empty()) {
      line = word;
    } else if (display_width(line) + 1 + display_width(word) <= width) {
      line += " " + word;
    } else {
      lines.push_back(word);
    }
  });
  return lines;
}

std::size_t longest_word(const std::string& text) {
  std::size_t width = 0;
  for_each_word(text,
                [&](const std::string& word) { width = std::max(width, display_width(word)); });
  return width;
}

}  // namespace qhost

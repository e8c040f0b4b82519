#include "cli/choose_points.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "common/near_match.h"
#include "qhost/error.h"

namespace qhost::cli {
namespace {

using Points = std::vector<config::SweepPoint>;

/// The points of the file: each group of seeds is one.
std::vector<std::string> groups_of(const Points& points) {
  std::vector<std::string> groups;
  for (const config::SweepPoint& point : points) {
    const std::string& group = point.group.empty() ? point.label : point.group;
    if (groups.empty() || groups.back() != group) groups.push_back(group);
  }
  return groups;
}

bool is_number(const std::string& text) {
  return !text.empty() && text.size() <= 6 && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isdigit(static_cast<unsigned char>(c)) != 0;
  });
}

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(' ');
  return first == std::string::npos ? ""
                                    : text.substr(first, text.find_last_not_of(' ') + 1 - first);
}

[[noreturn]] void refuse(const std::string& item, const std::vector<std::string>& groups) {
  std::string message = "--points: there is no point `" + item + "`; the points are";
  for (std::size_t i = 0; i < groups.size(); ++i) {
    message += "\n  " + std::to_string(i) + "  " + groups[i];
  }
  const auto near = near_matches(item, groups);
  throw Error(ErrorKind::configuration, message,
              near.empty() ? "give numbers or labels, separated by commas"
                           : "did you mean `" + near.front() + "`?");
}

/// Labels can hold commas: the longest run of pieces that is a label counts.
std::set<std::size_t> chosen(const std::string& choice, const std::vector<std::string>& groups) {
  std::vector<std::string> pieces;
  for (std::size_t start = 0; start <= choice.size();) {
    const std::size_t end = std::min(choice.find(',', start), choice.size());
    pieces.push_back(choice.substr(start, end - start));
    start = end + 1;
  }
  std::set<std::size_t> indices;
  for (std::size_t first = 0; first < pieces.size();) {
    std::size_t last = pieces.size();
    std::vector<std::string>::const_iterator group = groups.end();
    for (; last > first && group == groups.end(); --last) {
      std::string joined = pieces[first];
      for (std::size_t i = first + 1; i < last; ++i) joined += "," + pieces[i];
      group = std::find(groups.begin(), groups.end(), trimmed(joined));
      if (group != groups.end()) break;
    }
    if (group != groups.end()) {
      indices.insert(static_cast<std::size_t>(group - groups.begin()));
      first = last;
      continue;
    }
    const std::string item = trimmed(pieces[first]);
    if (!is_number(item) || std::stoul(item) >= groups.size()) refuse(item, groups);
    indices.insert(std::stoul(item));
    ++first;
  }
  return indices;
}

}  // namespace

std::vector<config::SweepPoint> choose_points(const Points& points, const std::string& choice) {
  if (choice.empty()) return points;
  const std::vector<std::string> groups = groups_of(points);
  const std::set<std::size_t> indices = chosen(choice, groups);
  Points result;
  std::size_t index = 0;
  const std::string* before = nullptr;
  for (const config::SweepPoint& point : points) {
    const std::string& group = point.group.empty() ? point.label : point.group;
    if (before != nullptr && *before != group) ++index;
    before = &group;
    if (indices.contains(index)) result.push_back(point);
  }
  return result;
}

}  // namespace qhost::cli

/// cli/sweep_notes.h: what several points of a sweep have to say alike is said once.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace qhost::cli {

class SweepNotes {
 public:
  /// Whether this text of point `number` (from 1) is new.
  bool is_new(const std::string& text, std::size_t number);
  /// A line for each text that held for more than one point: "also for points 2 to 4 and 7: TEXT",
  /// the first line of the text alone.
  std::vector<std::string> repeated() const;

 private:
  struct Seen {
    std::string text;
    std::vector<std::size_t> again;  ///< points, without the first
  };
  std::vector<Seen> seen_;
};

}  // namespace qhost::cli

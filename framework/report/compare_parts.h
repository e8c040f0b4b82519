/// report/compare_parts.h: what the files of report/compare share. Internal to it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "report/compare.h"

namespace qhost::report {

inline const std::string seed_key = "train.seed";
inline const std::string source_key = "train.init_from";
inline const std::string source_prefix = source_key + ": ";  ///< of a source's keys in identity()

inline std::string value_of(const ComparedRun& run, const std::string& key) {
  const auto found = run.keys.find(key);
  return found == run.keys.end() ? "" : found->second;
}

inline std::string number_name(std::size_t configuration) {
  return std::to_string(configuration + 1);
}

inline std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

/// "run float (seed 1)", "runs float (seeds 1, 2, 3)": the runs that those of a configuration
/// started from; "" where it has no source runs.
std::string sources_text(const Comparison& comparison, const Configuration& configuration);

/// Fills `differences`; the configurations are known.
void find_differences(Comparison& comparison);

/// Fills `notes`; all else is known.
void add_notes(Comparison& comparison);

}  // namespace qhost::report

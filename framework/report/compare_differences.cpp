#include <algorithm>
#include <set>

#include "report/compare_parts.h"

namespace qhost::report {
namespace {

using Keys = std::map<std::string, std::string>;

const ComparedRun& first_run(const Comparison& comparison, const Configuration& configuration) {
  return comparison.runs[configuration.runs.front()];
}

void add_once(std::vector<std::string>& words, const std::string& word) {
  if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
}

bool has_source(const Comparison& comparison, const Configuration& configuration) {
  return first_run(comparison, configuration).source.has_value();
}

std::optional<std::string> value_in(const Keys& keys, const std::string& key) {
  const auto found = keys.find(key);
  return found == keys.end() ? std::nullopt : std::optional(found->second);
}

/// `only_with_source`: compares the configurations with a source run alone; a missing source would
/// differ in every key.
bool differ(const Comparison& comparison, const std::vector<Keys>& identities,
            const std::string& key, bool only_with_source) {
  std::set<std::optional<std::string>> values;
  for (std::size_t c = 0; c < identities.size(); ++c) {
    if (only_with_source && !has_source(comparison, comparison.configurations[c])) continue;
    values.insert(value_in(identities[c], key));
  }
  return values.size() > 1;
}

bool sources_differ(const Comparison& comparison) {
  const auto what = [&](const Configuration& configuration) {
    const ComparedRun& run = first_run(comparison, configuration);
    return run.source ? run.source->keys : Keys{{source_key, value_of(run, source_key)}};
  };
  const auto& all = comparison.configurations;
  return std::any_of(all.begin(), all.end(), [&](const Configuration& configuration) {
    return what(configuration) != what(all.front());
  });
}

Difference source_difference(const Comparison& comparison) {
  Difference difference{source_key, {}};
  for (const Configuration& configuration : comparison.configurations) {
    const ComparedRun& run = first_run(comparison, configuration);
    difference.values.push_back(run.source ? sources_text(comparison, configuration)
                                           : value_in(run.keys, source_key));
  }
  return difference;
}

}  // namespace

std::string sources_text(const Comparison& comparison, const Configuration& configuration) {
  std::vector<std::string> names, seeds;
  for (const std::size_t i : configuration.runs) {
    const std::optional<SourceRun>& source = comparison.runs[i].source;
    if (!source) return "";
    add_once(names, source->name);
    add_once(seeds, source->seed);
  }
  const bool several = seeds.size() > 1;
  return (several ? "runs " : "run ") + joined(names) + (several ? " (seeds " : " (seed ") +
         joined(seeds) + ")";
}

void find_differences(Comparison& comparison) {
  std::vector<Keys> identities;
  std::set<std::string> all;
  for (const Configuration& configuration : comparison.configurations) {
    const ComparedRun& run = first_run(comparison, configuration);
    identities.push_back(identity(run.keys, run.source));
    for (const auto& [key, unused] : identities.back()) all.insert(key);
  }
  all.insert(source_key);
  for (const std::string& key : all) {
    if (key == source_key) {
      if (sources_differ(comparison)) {
        comparison.differences.push_back(source_difference(comparison));
      }
      continue;
    }
    if (!differ(comparison, identities, key, key.starts_with(source_prefix))) continue;
    Difference difference{key, {}};
    for (const Keys& keys : identities) difference.values.push_back(value_in(keys, key));
    comparison.differences.push_back(std::move(difference));
  }
}

}  // namespace qhost::report

/// runs/run_identity.h: what says whether two runs are the same one.
///
/// A run is computed from its configuration and from bytes that lie elsewhere: the data set's
/// files, the file that `train.init_from` names, the checkpoint of the run that it continues, and
/// plugin files which are not the installation's own. Where all of these agree, a run that was
/// stopped can go on; where one differs, what it would go on with is another run. The run keeps
/// their SHA-256 in identity.json.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace qhost::runs {

struct RunIdentity {
  std::map<std::string, std::string> configuration;  ///< Experiment::result_keys()
  /// SHA-256 by what has it: "data/FILE", "train.init_from", "parent", "plugin/NAME".
  std::map<std::string, std::string> sha256;
  /// Those of these keys, or "data/" for all files of the data set, that cannot be found out, and
  /// why: they count as equal.
  std::map<std::string, std::string> unknown;
  /// Empty, or why a run of an older version has not kept all of them.
  std::string incomplete;
};

struct IdentityDifference {
  std::string key;          ///< "train.epochs", "SHA-256 of plugin/NAME"
  std::string before, now;  ///< "not there" where one has none
  bool plugin_file = false;
  bool is_hash() const;
};

/// Sorted: first the configuration, then the files. Where both know the SHA-256 of what
/// train.init_from names, its path does not count.
std::vector<IdentityDifference> differences(const RunIdentity& before, const RunIdentity& now);

/// "\n  train.epochs: 30 in the run, 20 now" for each, at most `most` and how many more there are.
std::string to_text(const std::vector<IdentityDifference>& differences, std::size_t most = 12);

/// Sentences for the user, where something counted as equal that could not be compared.
std::vector<std::string> not_compared(const RunIdentity& before, const RunIdentity& now);

/// `now`, and from `before` what cannot be found out now.
RunIdentity completed(RunIdentity now, const RunIdentity& before);

/// identity.json: {format, sha256: {KEY: HEX}, allowed: [...]}.
nlohmann::json to_json(const RunIdentity& identity, const std::vector<std::string>& allowed);
/// Of the run in `directory`, less its configuration. A run from before identity.json has what
/// init_from.json tells, and is incomplete. Throws Error (storage) for a damaged file.
RunIdentity read_identity(const std::filesystem::path& directory);
/// What was overridden so far: a list of sentences.
std::vector<std::string> read_allowed(const std::filesystem::path& directory);

}  // namespace qhost::runs

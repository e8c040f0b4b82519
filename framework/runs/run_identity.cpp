#include "runs/run_identity.h"

#include <algorithm>
#include <set>

#include "qhost/error.h"
#include "storage/atomic_file.h"

namespace qhost::runs {
namespace {

namespace fs = std::filesystem;
using Keys = std::map<std::string, std::string>;

constexpr const char* format_name = "qhost identity 1";
constexpr const char* source_key = "train.init_from";
constexpr const char* parent_key = "parent";  // a run of before --continue has none
constexpr const char* data_prefix = "data/";
constexpr const char* plugin_prefix = "plugin/";
constexpr const char* absent = "not there";
const std::string hash_of = "SHA-256 of ";

bool is_unknown(const RunIdentity& identity, const std::string& key) {
  return identity.unknown.count(key) != 0 ||
         (key.starts_with(data_prefix) && identity.unknown.count(data_prefix) != 0);
}

/// An incomplete one has kept only what it names.
bool can_compare(const RunIdentity& one, const std::string& key) {
  if (is_unknown(one, key)) return false;
  return one.incomplete.empty() || one.sha256.count(key) != 0 || key == parent_key;
}

std::string value(const Keys& keys, const std::string& key) {
  const auto found = keys.find(key);
  return found == keys.end() ? absent : found->second;
}

std::set<std::string> all_keys(const Keys& one, const Keys& other) {
  std::set<std::string> keys;
  for (const Keys* each : {&one, &other}) {
    for (const auto& entry : *each) keys.insert(entry.first);
  }
  return keys;
}

fs::path identity_file(const fs::path& directory) {
  return directory / "identity.json";
}

nlohmann::json read_object(const fs::path& file) {
  auto json = nlohmann::json::parse(storage::read_file(file), nullptr, /*allow_exceptions=*/false);
  if (json.is_object()) return json;
  throw Error(ErrorKind::storage, file.string() + " is damaged: it is no JSON object",
              "restore it from a backup; without the file the run goes on, but what it was "
              "computed from cannot be compared");
}

}  // namespace

bool IdentityDifference::is_hash() const {
  return key.starts_with(hash_of);
}

std::vector<IdentityDifference> differences(const RunIdentity& before, const RunIdentity& now) {
  std::vector<IdentityDifference> found;
  const bool both_sources = before.sha256.count(source_key) != 0 && now.sha256.count(source_key);
  for (const std::string& key : all_keys(before.configuration, now.configuration)) {
    if (key == source_key && both_sources) continue;
    const std::string old_value = value(before.configuration, key);
    const std::string new_value = value(now.configuration, key);
    if (old_value != new_value) found.push_back({key, old_value, new_value, false});
  }
  for (const std::string& key : all_keys(before.sha256, now.sha256)) {
    if (!can_compare(before, key) || !can_compare(now, key)) continue;
    const std::string old_value = value(before.sha256, key);
    const std::string new_value = value(now.sha256, key);
    if (old_value == new_value) continue;
    found.push_back({hash_of + key, old_value, new_value, key.starts_with(plugin_prefix)});
  }
  return found;
}

std::string to_text(const std::vector<IdentityDifference>& differences, std::size_t most) {
  std::string text;
  for (std::size_t i = 0; i < std::min(most, differences.size()); ++i) {
    const IdentityDifference& one = differences[i];
    const auto shown = [&](const std::string& value) {
      constexpr std::size_t digits = 64, enough = 16;
      return one.is_hash() && value.size() == digits ? value.substr(0, enough) + "..." : value;
    };
    text += "\n  " + one.key + ": " + shown(one.before) + " in the run, " + shown(one.now) + " now";
  }
  if (differences.size() > most) {
    text += "\n  and " + std::to_string(differences.size() - most) + " more";
  }
  return text;
}

std::vector<std::string> not_compared(const RunIdentity& before, const RunIdentity& now) {
  std::vector<std::string> sentences;
  if (!before.incomplete.empty()) sentences.push_back(before.incomplete);
  for (const auto& [key, why] : now.unknown) {
    sentences.push_back((key == data_prefix ? "the data files" : key) +
                        " cannot be compared with those that the run began with: " + why);
  }
  return sentences;
}

RunIdentity completed(RunIdentity now, const RunIdentity& before) {
  for (const auto& [key, sha256] : before.sha256) {
    if (is_unknown(now, key)) now.sha256[key] = sha256;
  }
  return now;
}

nlohmann::json to_json(const RunIdentity& identity, const std::vector<std::string>& allowed) {
  return {{"format", format_name}, {"sha256", identity.sha256}, {"allowed", allowed}};
}

RunIdentity read_identity(const fs::path& directory) {
  RunIdentity identity;
  std::error_code error;
  if (fs::exists(identity_file(directory), error)) {
    const nlohmann::json json = read_object(identity_file(directory));
    identity.sha256 = json.value("sha256", Keys());
    return identity;
  }
  identity.incomplete =
      "this run was begun by a version of qhost that kept no hashes: its data files and plugins "
      "count as the same";
  if (fs::exists(directory / "init_from.json", error)) {
    const nlohmann::json source = read_object(directory / "init_from.json");
    if (source.contains("sha256")) source.at("sha256").get_to(identity.sha256[source_key]);
  }
  return identity;
}

std::vector<std::string> read_allowed(const fs::path& directory) {
  std::error_code error;
  if (!fs::exists(identity_file(directory), error)) return {};
  const nlohmann::json identity = read_object(identity_file(directory));
  std::vector<std::string> sentences;
  for (const nlohmann::json& sentence : identity.value("allowed", nlohmann::json::array())) {
    if (sentence.is_string()) sentences.push_back(sentence.get<std::string>());
  }
  return sentences;
}

}  // namespace qhost::runs

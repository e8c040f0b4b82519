#include "jobs/weight_source.h"

#include "qhost/error.h"
#include "report/compared_run.h"
#include "report/source_run.h"
#include "storage/atomic_file.h"

namespace qhost::jobs {
namespace {

using Keys = std::map<std::string, std::string>;

std::string value_of(const Keys& keys, const std::string& key) {
  const auto found = keys.find(key);
  return found == keys.end() ? "" : found->second;
}

/// Removes the quotes of a TOML string.
std::string bare(const std::string& text) {
  return text.size() < 2 || text.front() != '"' ? text : text.substr(1, text.size() - 2);
}

std::string method_of(const Keys& keys) {
  for (int rule = 0;; ++rule) {
    const auto name = keys.find("quantizer." + std::to_string(rule) + ".name");
    if (name == keys.end()) return "";
    if (bare(name->second) != "none") return bare(name->second);
  }
}

}  // namespace

std::optional<WeightSource> source_of_weights(const std::filesystem::path& source) {
  std::error_code error;
  const std::filesystem::path run = report::run_around(std::filesystem::absolute(source, error));
  if (run.empty()) return {};
  try {
    const std::filesystem::path file = run / "resolved.toml";
    Keys keys = report::result_keys(file.string(), storage::read_file(file));
    const std::string method = method_of(keys);
    return WeightSource{.run = run, .method = method, .keys = std::move(keys)};
  } catch (const Error&) {
    return {};
  }
}

std::string normalization_text(const Keys& keys) {
  if (const std::string kind = bare(value_of(keys, "augment.whitening"));
      !kind.empty() && kind != "none") {
    std::string text = "whitening " + kind;
    for (const auto& [key, value] : keys) {
      const std::string name = key.substr(key.find('.') + 1);
      if (!key.starts_with("augment.")) continue;
      if (name.starts_with("gcn_") || name.starts_with("zca_")) text += ", " + name + " " + value;
    }
    return text;
  }
  if (value_of(keys, "augment.normalize") == "false") return "pixels / 255";
  const std::string mean = value_of(keys, "augment.mean"), std = value_of(keys, "augment.std");
  if (mean.empty() || mean == "[]") {
    return "the mean and std of " + bare(value_of(keys, "data.name"));
  }
  return "mean " + mean + ", std " + std;
}

}  // namespace qhost::jobs

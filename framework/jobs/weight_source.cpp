#include "jobs/weight_source.h"

#include "config/read_resolved.h"
#include "qhost/error.h"
#include "report/source_run.h"

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

/// Of the first rule that quantizes; "" without one.
std::string method_of(const config::Experiment& experiment) {
  for (const config::QuantizerRule& rule : experiment.quantizers) {
    if (rule.method.name != "none") return rule.method.name;
  }
  return "";
}

}  // namespace

std::optional<WeightSource> source_of_weights(const std::filesystem::path& source,
                                              config::Catalog& catalog) {
  std::error_code error;
  const std::filesystem::path run = report::run_around(std::filesystem::absolute(source, error));
  if (run.empty()) return {};
  try {
    const config::Experiment experiment = config::read_resolved(run / "resolved.toml", catalog);
    return WeightSource{
        .run = run, .method = method_of(experiment), .keys = experiment.result_keys()};
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

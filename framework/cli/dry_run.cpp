#include "cli/dry_run.h"

#include <algorithm>
#include <iostream>
#include <optional>

#include "common/lines.h"
#include "config/located.h"
#include "jobs/preflight.h"
#include "qhost/error.h"

namespace qhost::cli {
namespace {

/// Texts, each with the labels of the points that it applies to.
class Findings {
 public:
  void add(const std::string& text, const std::string& label) {
    auto found = std::find_if(list_.begin(), list_.end(),
                              [&](const Finding& known) { return known.text == text; });
    if (found == list_.end()) found = list_.insert(found, {text, {}});
    if (found->labels.empty() || found->labels.back() != label) found->labels.push_back(label);
  }
  std::size_t count(const std::string& word = "") const {
    return static_cast<std::size_t>(std::count_if(
        list_.begin(), list_.end(),
        [&](const Finding& finding) { return finding.text.find(word) != std::string::npos; }));
  }
  /// A text that does not apply to all `points` ends in "  note: in the points a, b".
  std::vector<std::string> texts(std::size_t points) const {
    std::vector<std::string> texts;
    for (const Finding& finding : list_) {
      std::string text = finding.text;
      if (finding.labels.size() < points) {
        std::string labels;
        for (const std::string& label : finding.labels) {
          labels += (labels.empty() ? "" : ", ") + label;
        }
        text += finding.labels.size() == 1 ? "\n  note: in the point " : "\n  note: in the points ";
        text += labels;
      }
      texts.push_back(std::move(text));
    }
    return texts;
  }

 private:
  struct Finding {
    std::string text;
    std::vector<std::string> labels;
  };
  std::vector<Finding> list_;
};

/// All faults in one text. "error: " stands in front of each but a first one without a place, for
/// which the caller prints it.
std::string joined(const std::vector<std::string>& texts) {
  const bool any_place = std::any_of(texts.begin(), texts.end(), config::has_place);
  std::string all;
  for (const std::string& text : texts) {
    const bool needs_word = !config::has_place(text) && (any_place || !all.empty());
    all += (all.empty() ? "" : "\n\n") + std::string(needs_word ? "error: " : "") + text;
  }
  return all;
}

std::string runs_text(std::size_t runs) {
  return std::to_string(runs) + (runs == 1 ? " run" : " runs");
}

}  // namespace

void dry_run(const std::string& file, const std::vector<config::SweepPoint>& points,
             const jobs::RunRequest& request, Registry& registry) {
  jobs::LoadedSets sets;
  Findings notes, faults, no_data;
  std::optional<ErrorKind> kind;
  for (const config::SweepPoint& point : points) {
    const jobs::Preflight found = jobs::preflight(point.experiment, request, registry, sets);
    for (const std::string& note : found.notes) notes.add(without_last_breaks(note), point.label);
    for (const Error& fault : found.faults) {
      faults.add(without_last_breaks(fault.what()), point.label);
      if (!kind) kind = fault.kind();
    }
    if (found.no_data) no_data.add(without_last_breaks(found.no_data->what()), point.label);
  }
  for (const std::string& note : notes.texts(points.size())) std::cerr << note << "\n";
  const std::size_t warnings = notes.count("warning: ");
  const std::string verdict =
      file + ": " + runs_text(points.size()) + ", " +
      (warnings == 0 ? std::string("no problems found")
                     : std::to_string(warnings) + (warnings == 1 ? " warning" : " warnings"));
  std::vector<std::string> texts = faults.texts(points.size());
  if (faults.count() == 0) {
    std::cerr << verdict << (no_data.count() == 0 ? "\n" : ", but the data is not there\n");
    if (no_data.count() == 0) return;
  }
  for (std::string& text : no_data.texts(points.size())) texts.push_back(std::move(text));
  throw Error(kind.value_or(ErrorKind::data), joined(texts));
}

}  // namespace qhost::cli

#include "config/experiment.h"

#include <algorithm>
#include <cctype>

#include "common/lines.h"
#include "config/diagnostic_codes.h"

namespace qhost::config {
namespace {

/// A single [quantizer] table is rule 0: "quantizer.bits" means "quantizer.0.bits".
std::string normalized(const std::string& key) {
  const std::string prefix = "quantizer.";
  if (key.starts_with(prefix) && key.size() > prefix.size() &&
      std::isdigit(static_cast<unsigned char>(key[prefix.size()])) == 0) {
    return prefix + "0." + key.substr(prefix.size());
  }
  return key;
}

}  // namespace

std::string Origin::to_string() const {
  return kind == Kind::default_value ? "default" : value.to_string();
}

const Span& QuantizerRule::span_of(const std::string& key) const {
  const auto found = spans.find(key);
  return found == spans.end() ? where : found->second;
}

Origin Experiment::origin(const std::string& key) const {
  const auto found = origins_.find(normalized(key));
  return found == origins_.end() ? Origin() : found->second;
}

Diagnostic Experiment::diagnostic_at(const std::string& key, const std::string& message,
                                     std::vector<std::string> helps,
                                     const std::string& code) const {
  Diagnostic diagnostic;
  diagnostic.code = code;
  diagnostic.message = message;
  diagnostic.helps = std::move(helps);
  diagnostic.primary.span.file = file.string();
  // Look for the key, then for the tables around it, from the innermost outward.
  for (std::string path = normalized(key); !path.empty();) {
    const auto found = origins_.find(path);
    if (found != origins_.end()) {
      const bool own = path == normalized(key);
      diagnostic.primary.span = found->second.value;
      if (own) {
        for (const Span& span : found->second.overridden) {
          diagnostic.secondary.push_back({span, "overrides this"});
        }
      }
      break;
    }
    const std::size_t dot = path.rfind('.');
    path = dot == std::string::npos ? "" : path.substr(0, dot);
  }
  return diagnostic;
}

Diagnostic Experiment::diagnostic_for(const std::string& table, const OptionError& error) const {
  const std::string key = table + '.' + error.option();
  return diagnostic_at(key, quote(key) + ": " + without_indents(error.message()), error.helps());
}

}  // namespace qhost::config

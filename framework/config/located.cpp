#include "config/located.h"

#include <algorithm>
#include <vector>

#include "common/lines.h"

namespace qhost::config {

bool has_place(const std::string& text) {
  return text.find(": error: ") != std::string::npos;
}

DiagnosedError located_error(const config::Experiment& experiment, const std::string& key,
                             const Error& error, const std::string& code) {
  if (has_place(error.message())) {
    const auto* diagnosed = dynamic_cast<const DiagnosedError*>(&error);
    return diagnosed == nullptr ? DiagnosedError(error) : *diagnosed;
  }
  const std::string text = without_indents(error.message());
  const std::size_t end = std::min(text.find('\n'), text.size());
  std::string message = text.substr(0, end);
  const std::string details = text.substr(std::min(end + 1, text.size()));
  while (message.ends_with(':')) message.pop_back();
  if (!message.starts_with(key) && !message.starts_with('`' + key)) {
    message = config::quote(key) + ": " + message;
  }
  config::Diagnostic diagnostic = experiment.diagnostic_at(key, message, error.helps(), code);
  if (!details.empty()) diagnostic.notes.push_back(details);
  return config::to_error({diagnostic}, error.kind());
}

}  // namespace qhost::config

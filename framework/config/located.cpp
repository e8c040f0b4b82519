#include "config/located.h"

#include <algorithm>
#include <vector>

namespace qhost::config {

Error located_error(const config::Experiment& experiment, const std::string& key,
                    const Error& error, const std::string& code) {
  const std::string text = error.what();
  if (text.find(": error: ") != std::string::npos) return error;
  std::string message, details;
  std::vector<std::string> helps;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    std::string line = text.substr(start, end - start);
    start = end + 1;
    if (line.starts_with("help: ")) {
      helps.push_back(line.substr(6));
    } else if (!helps.empty()) {
      helps.back() += '\n' + line;
    } else if (message.empty()) {
      message = line;
    } else {
      line.erase(0, std::min(line.find_first_not_of(' '), line.size()));
      details += (details.empty() ? "" : "\n") + line;
    }
  }
  while (message.ends_with(':')) message.pop_back();
  if (!message.starts_with(key) && !message.starts_with('`' + key)) {
    message = config::quote(key) + ": " + message;
  }
  config::Diagnostic diagnostic = experiment.diagnostic_at(key, message, std::move(helps), code);
  if (!details.empty()) diagnostic.notes.push_back(details);
  return config::to_error({diagnostic}, error.kind());
}

}  // namespace qhost::config

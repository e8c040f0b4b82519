#include "config/diagnostic.h"

#include <algorithm>
#include <tuple>

#include "common/lines.h"
#include "common/utf8.h"

namespace qhost::config {

Source::Source(std::string name, std::string_view text) : name_(std::move(name)) {
  while (true) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines_.emplace_back(line);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
}

Source::Source(std::string name, std::vector<std::string> lines)
    : name_(std::move(name)), lines_(std::move(lines)) {}

std::string_view Source::line(int number) const {
  if (number < 1 || number > line_count()) return {};
  return lines_[static_cast<std::size_t>(number - 1)];
}

std::string Span::to_string() const {
  std::string text = escape_controls(file);
  if (line > 0) text += ':' + std::to_string(line) + ':' + std::to_string(column);
  return text;
}

const char* to_string(Severity severity) {
  switch (severity) {
    case Severity::error:
      return "error";
    case Severity::warning:
      return "warning";
    case Severity::note:
      return "note";
  }
  return "?";
}

void Diagnostics::add(Diagnostic diagnostic) {
  for (const auto& other : list_) {
    if (other.code == diagnostic.code && other.message == diagnostic.message &&
        other.primary.span == diagnostic.primary.span) {
      return;
    }
  }
  list_.push_back(std::move(diagnostic));
}

bool Diagnostics::has_errors() const {
  return std::any_of(list_.begin(), list_.end(),
                     [](const Diagnostic& d) { return d.severity == Severity::error; });
}

std::vector<Diagnostic> Diagnostics::sorted() const {
  std::vector<Diagnostic> list = list_;
  std::stable_sort(list.begin(), list.end(), [](const Diagnostic& a, const Diagnostic& b) {
    const Span &x = a.primary.span, &y = b.primary.span;
    return std::tie(x.file, x.line, x.column) < std::tie(y.file, y.line, y.column);
  });
  return list;
}

DiagnosedError::DiagnosedError(ErrorKind kind, std::vector<Diagnostic> diagnostics)
    : Error(kind, without_last_breaks(render(diagnostics))), diagnostics_(std::move(diagnostics)) {}

DiagnosedError to_error(const std::vector<Diagnostic>& diagnostics, ErrorKind kind) {
  return {kind, diagnostics};
}

nlohmann::json to_json(const Error& error) {
  auto helps = nlohmann::json::array(), list = nlohmann::json::array();
  for (const std::string& help : error.helps()) helps.push_back(escape_controls(help, true));
  if (const auto* diagnosed = dynamic_cast<const DiagnosedError*>(&error)) {
    for (const Diagnostic& one : diagnosed->diagnostics()) list.push_back(to_json(one));
  }
  return {{"exit_code", error.exit_code()},
          {"message", escape_controls(error.message(), true)},
          {"helps", std::move(helps)},
          {"diagnostics", std::move(list)}};
}

std::string quote(std::string_view name) {
  return '`' + escape_controls(name) + '`';
}

std::string quote_list(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i != 0) text += i + 1 == names.size() ? " and " : ", ";
    text += quote(names[i]);
  }
  return text;
}

}  // namespace qhost::config

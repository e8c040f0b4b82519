#include "config/guard.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "common/file_descriptor.h"
#include "common/near_match.h"
#include "common/utf8.h"
#include "config/diagnostic_codes.h"

namespace qhost::config {
namespace {

/// The error for an unusable file: at the line that names it, else with its own name alone.
Diagnostic file_error(const char* code, const std::filesystem::path& path, const Span& wanted_by,
                      const std::string& reason, std::string help) {
  Diagnostic diagnostic;
  diagnostic.code = code;
  if (wanted_by.file.empty()) {
    diagnostic.message = reason;
    diagnostic.primary.span.file = path.string();
  } else {
    diagnostic.message = quote(path.string()) + ' ' + reason;
    diagnostic.primary.span = wanted_by;
  }
  diagnostic.helps.push_back(std::move(help));
  return diagnostic;
}

/// Tracks brackets, strings and keys as far as nesting and statements need it. It agrees with a
/// TOML parser up to the first error of a text, where a parser stops.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::vector<LineKind> lines;
  std::vector<std::size_t> stray;  ///< byte offsets, at most one per line
  /// The position where nesting first exceeded the limit.
  std::size_t too_deep = std::string_view::npos;
  bool closed() const { return frames_.empty() && !open_string_; }

  void run() {
    start_line();
    while (position_ < text_.size() && too_deep == std::string_view::npos) {
      const char c = text_[position_];
      if (c == '\n') {
        ++position_;
        start_line();
      } else if (c == '#') {
        while (position_ < text_.size() && text_[position_] != '\n') ++position_;
      } else if (c == '"' || c == '\'') {
        blank_ = false;
        skip_string(c);
      } else if (static_cast<unsigned char>(c) >= 0x80) {
        if (!stray_seen_) stray.push_back(position_);
        stray_seen_ = true;
        blank_ = false;
        ++position_;
      } else {
        step(c);
        if (c != ' ' && c != '\t' && c != '\r') blank_ = false;
        ++position_;
      }
    }
  }

 private:
  enum class Mode { key, header, after_header, value };
  struct Frame {
    bool array;
    int outer_parts;
  };

  void start_line() {
    LineKind line;
    stray_seen_ = false;
    if (frames_.empty()) {
      mode_ = Mode::key;
      parts_ = 1;
      blank_ = true;
      line.starts_statement = true;
    }
    lines.push_back(line);
  }

  void step(char c) {
    switch (mode_) {
      case Mode::key:
        if (c == '[' && frames_.empty() && blank_) {
          mode_ = Mode::header;
          lines.back().header = true;
          header_ = 1;
        } else if (c == '.') {
          ++parts_;
        } else if (c == '=') {
          mode_ = Mode::value;
        } else if (c == ',') {
          parts_ = 1;
        } else if (c == '}' || c == ']') {
          pop();
        }
        break;
      case Mode::header:
        if (c == '[') ++header_;  // an element of a list is one level deeper
        if (c == '.') ++header_;
        if (c == ']') mode_ = Mode::after_header;
        break;
      case Mode::after_header:
        break;
      case Mode::value:
        if (c == '[' || c == '{') push(c == '[');
        if (c == ']' || c == '}') pop();
        if (c == ',' && !frames_.empty() && !frames_.back().array) {
          mode_ = Mode::key;
          parts_ = 1;
        }
        break;
    }
    const int parts = mode_ == Mode::header ? 0 : parts_;
    if (header_ + base_ + parts > max_nesting) too_deep = position_;
  }

  void push(bool array) {
    frames_.push_back({array, parts_});
    base_ += parts_ + (array ? 1 : 0);
    parts_ = array ? 0 : 1;
    if (!array) mode_ = Mode::key;
  }

  void pop() {
    mode_ = Mode::value;
    if (frames_.empty()) return;
    const Frame frame = frames_.back();
    frames_.pop_back();
    base_ -= frame.outer_parts + (frame.array ? 1 : 0);
    parts_ = frame.outer_parts;
  }

  /// A single-line string ends at the line break at the latest; one in triple quotes does not.
  void skip_string(char quote) {
    const bool triple = text_.substr(position_, 3) == std::string(3, quote);
    const bool escapes = quote == '"';
    position_ += triple ? 3 : 1;
    while (position_ < text_.size()) {
      const char c = text_[position_];
      if (c == '\n') {
        if (!triple) return;
        lines.emplace_back();
      }
      if (escapes && c == '\\' && position_ + 1 < text_.size() && text_[position_ + 1] != '\n') {
        position_ += 2;
        continue;
      }
      if (c == quote && (!triple || text_.substr(position_, 3) == std::string(3, quote))) {
        position_ += triple ? 3 : 1;
        // Up to two quotes may precede the closing three.
        for (int i = 0; triple && i < 2 && text_.substr(position_).starts_with(quote); ++i) {
          ++position_;
        }
        return;
      }
      ++position_;
    }
    open_string_ = triple;
  }

  std::string_view text_;
  std::size_t position_ = 0;
  Mode mode_ = Mode::key;
  std::vector<Frame> frames_;
  int header_ = 0, base_ = 0, parts_ = 1;
  bool blank_ = true, open_string_ = false, stray_seen_ = false;
};

Diagnostic text_error(const char* code, const std::shared_ptr<const Source>& source, int line,
                      int column, int length, std::string message, std::string help) {
  Diagnostic diagnostic;
  diagnostic.code = code;
  diagnostic.message = std::move(message);
  diagnostic.primary.span = {source->name(), line, column, length, source};
  diagnostic.helps.push_back(std::move(help));
  return diagnostic;
}

struct Place {
  int line, column;
};
Place place_of(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t start =
      before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return {static_cast<int>(line), static_cast<int>(count_code_points(before.substr(start))) + 1};
}

std::string hex(char byte) {
  static const char* digits = "0123456789abcdef";
  const auto value = static_cast<unsigned char>(byte);
  return std::string("0x") + digits[value >> 4] + digits[value & 15];
}

/// An experiment in the same folder whose name is nearly the one of `path`; "" if there is none.
std::string near_file(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".toml") names.push_back(entry->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  const std::string wanted = path.filename().string();
  if (std::find(names.begin(), names.end(), wanted + ".toml") != names.end()) {
    return escape_controls((path.parent_path() / (wanted + ".toml")).string());
  }
  const auto near = near_matches(wanted, names);
  return near.empty() ? "" : escape_controls((path.parent_path() / near.front()).string());
}

}  // namespace

std::optional<std::string> read_file(const std::filesystem::path& path, const Span& wanted_by,
                                     Diagnostics& diagnostics) {
  const auto fail = [&](const char* code, const std::string& reason, std::string help) {
    diagnostics.add(file_error(code, path, wanted_by, reason, std::move(help)));
    return std::nullopt;
  };
  const auto cannot_read = [&]() {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      const std::string near = near_file(path);
      return fail(code::file, "does not exist",
                  !near.empty() ? "did you mean `" + near + "`?"
                  : wanted_by.file.empty()
                      ? "check the path; it is relative to the current directory"
                      : "paths in extends are relative to the file that has it");
    }
    return fail(code::file, std::string("cannot be read: ") + std::strerror(error),
                "check the permissions of the file and of its folders");
  };
  // Open without blocking: a pipe without a writer must be refused, not waited for.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status = {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return cannot_read();
  if (!S_ISREG(status.st_mode)) {
    std::error_code ignored;
    if (S_ISDIR(status.st_mode) && std::filesystem::exists(path / "resolved.toml", ignored)) {
      return fail(code::file, "is a run, not an experiment file",
                  "its experiment is " + (path / "resolved.toml").string() +
                      "; qhost run FILE --resume RUN goes on with a run, --continue RUN begins a "
                      "new one from it");
    }
    return fail(code::file, S_ISDIR(status.st_mode) ? "is a directory" : "is not a regular file",
                "name an experiment file, such as experiments/quickstart.toml");
  }
  const auto too_large = [&](const std::string& bytes) {
    return fail(code::file_too_large,
                "has " + bytes + " bytes, an experiment at most " + std::to_string(max_file_bytes),
                "is it an experiment file? Shared parts can move to a file in extends");
  };
  if (status.st_size > static_cast<off_t>(max_file_bytes)) {
    return too_large(std::to_string(status.st_size));
  }
  std::string text(max_file_bytes + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = ::read(file.get(), text.data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return cannot_read();
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  if (size > max_file_bytes) return too_large("more than " + std::to_string(max_file_bytes));
  text.resize(size);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  return text;
}

ScanResult scan(std::string_view text, const std::shared_ptr<const Source>& source,
                Diagnostics& diagnostics, int line_offset) {
  ScanResult result;
  const auto at = [&](std::size_t offset) {
    Place place = place_of(text, offset);
    place.line += line_offset;
    return place;
  };
  bool ok = true;
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    const Place place = at(nul);
    diagnostics.add(text_error(code::not_text, source, place.line, place.column, 1,
                               "a NUL byte: this is not a text file",
                               "save the file as UTF-8 text; an experiment is a TOML file"));
    return result;
  }
  if (const auto invalid = find_invalid_utf8(text)) {
    const Place place = at(*invalid);
    diagnostics.add(text_error(code::not_text, source, place.line, place.column, 1,
                               "byte " + hex(text[*invalid]) + " is not UTF-8",
                               "save the file as UTF-8 text"));
    return result;
  }
  int line = 1 + line_offset;
  for (std::size_t start = 0; start <= text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    if (end - start > max_line_bytes) {
      diagnostics.add(text_error(code::line_too_long, source, line, 1, 1,
                                 "a line of " + std::to_string(end - start) +
                                     " bytes, the limit is " + std::to_string(max_line_bytes),
                                 "break a long list into several lines"));
      ok = false;
    }
    start = end + 1;
  }
  if (!ok) return result;
  Scanner scanner(text);
  scanner.run();
  if (scanner.too_deep != std::string_view::npos) {
    const Place place = at(scanner.too_deep);
    diagnostics.add(text_error(code::nesting, source, place.line, place.column, 1,
                               "nested more than " + std::to_string(max_nesting) + " levels deep",
                               "experiments need about four levels: TABLE.KEY in a sweep's point"));
    return result;
  }
  result.ok = true;
  result.closed = scanner.closed();
  result.lines = std::move(scanner.lines);
  for (const std::size_t offset : scanner.stray) {
    const Place place = at(offset);
    std::size_t end = offset;
    next_code_point(text, end);
    result.stray.push_back(
        {place.line, place.column, std::string(text.substr(offset, end - offset))});
  }
  return result;
}

}  // namespace qhost::config

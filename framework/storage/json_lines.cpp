#include "storage/json_lines.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "qhost/error.h"
#include "storage/atomic_file.h"
#include "storage/failpoint.h"
#include "storage/io_error.h"
#include "storage/regular_file.h"

namespace qhost::storage {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// The offset behind the last whole line of an open file. Reads backwards, since a torn line is
/// short.
std::uint64_t end_of_lines(int fd, std::uint64_t size, const fs::path& path) {
  char buffer[4096];
  while (size > 0) {
    const std::size_t piece = size < sizeof buffer ? static_cast<std::size_t>(size) : sizeof buffer;
    const ssize_t n = ::pread(fd, buffer, piece, static_cast<off_t>(size - piece));
    if (n < 0 && errno == EINTR) continue;
    if (n != static_cast<ssize_t>(piece)) fail_io("read", path, n < 0 ? errno : EIO);
    const std::size_t newline = std::string_view(buffer, piece).rfind('\n');
    if (newline != std::string_view::npos) return size - piece + newline + 1;
    size -= piece;
  }
  return 0;
}

void cut_at(const fs::path& path, std::uint64_t offset) {
  const FileDescriptor fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) fail_io("open", path, errno);
  failpoint("metrics.before-cut");
  if (::ftruncate(fd.get(), static_cast<off_t>(offset)) != 0) fail_io("cut", path, errno);
  failpoint("metrics.after-cut");
  if (::fsync(fd.get()) != 0) fail_io("sync", path, errno);
}

std::string read_lines_file(const fs::path& path) {
  return read_file(path, std::numeric_limits<std::uint64_t>::max());
}

/// The object on a line; `discarded` if the line is no object.
json parse_line(std::string_view line) {
  json value = json::parse(line, nullptr, false);
  return value.is_object() ? value : json(json::value_t::discarded);
}

}  // namespace

JsonLinesWriter::JsonLinesWriter(const fs::path& path)
    : path_(path), fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  if (fd_ < 0) fail_io("open", path, errno);
  try {
    struct stat facts {};
    if (::fstat(fd_, &facts) != 0) fail_io("read", path, errno);
    const auto size = static_cast<std::uint64_t>(facts.st_size);
    offset_ = end_of_lines(fd_, size, path);
    repaired_ = size - offset_;
    if (repaired_ > 0 && ::ftruncate(fd_, static_cast<off_t>(offset_)) != 0) {
      fail_io("cut", path, errno);
    }
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

JsonLinesWriter::~JsonLinesWriter() {
  ::close(fd_);
}

void JsonLinesWriter::append(const json& object) {
  // A text that is not UTF-8 (an unusual file name) must not end a run.
  const std::string line = object.dump(-1, ' ', false, json::error_handler_t::replace) + '\n';
  const auto bytes = std::as_bytes(std::span(line));
  int error = 0;
  if (std::getenv("QHOST_FAILPOINT") != nullptr) {
    error = write_all(fd_, bytes.first(bytes.size() / 2));
    failpoint("metrics.half");
    if (error == 0) error = write_all(fd_, bytes.subspan(bytes.size() / 2));
  } else {
    error = write_all(fd_, bytes);
  }
  if (error != 0) {
    (void)!::ftruncate(fd_, static_cast<off_t>(offset_));
    fail_io("write", path_, error, line.size());
  }
  offset_ += line.size();
  failpoint("metrics.after-line");
}

void JsonLinesWriter::sync() {
  if (::fdatasync(fd_) != 0) fail_io("sync", path_, errno);
}

void cut_json_lines(const fs::path& path, std::uint64_t offset) {
  std::error_code error;
  if (!fs::exists(path, error) && offset == 0) return;
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) fail_io("open", path, errno);
  struct stat facts {};
  if (::fstat(fd.get(), &facts) != 0) fail_io("read", path, errno);
  const auto size = static_cast<std::uint64_t>(facts.st_size);
  if (size < offset) {
    throw Error(ErrorKind::storage,
                path.string() + ": has " + std::to_string(size) +
                    " bytes, but its checkpoint was written when it had " + std::to_string(offset),
                "the file was cut or replaced; restore it, or start a new run");
  }
  if (offset > 0) {
    char before = 0;
    if (::pread(fd.get(), &before, 1, static_cast<off_t>(offset - 1)) != 1) {
      fail_io("read", path, errno);
    }
    if (before != '\n') {
      throw Error(ErrorKind::storage,
                  path.string() + ": byte " + std::to_string(offset) +
                      ", where its checkpoint ends it, lies inside a line",
                  "the file was changed; restore it, or start a new run");
    }
  }
  if (size != offset) cut_at(path, offset);
}

std::uint64_t cut_json_lines(const fs::path& path, const std::function<bool(const json&)>& keep) {
  std::error_code error;
  if (!fs::exists(path, error)) return 0;
  const std::string text = read_lines_file(path);
  std::size_t position = 0;
  while (position < text.size()) {
    const std::size_t newline = text.find('\n', position);
    if (newline == std::string::npos) break;
    const json line = parse_line(std::string_view(text).substr(position, newline - position));
    if (line.is_discarded() || !keep(line)) break;
    position = newline + 1;
  }
  if (position != text.size()) cut_at(path, position);
  return position;
}

std::vector<json> read_json_lines(const fs::path& path) {
  const std::string text = read_lines_file(path);
  std::vector<json> lines;
  std::size_t position = 0;
  for (;;) {
    const std::size_t newline = text.find('\n', position);
    if (newline == std::string::npos) return lines;
    json line = parse_line(std::string_view(text).substr(position, newline - position));
    if (line.is_discarded()) {
      throw Error(ErrorKind::storage,
                  path.string() + ":" + std::to_string(lines.size() + 1) + ": not a JSON object",
                  "the file was changed by another program; remove the line");
    }
    lines.push_back(std::move(line));
    position = newline + 1;
  }
}

}  // namespace qhost::storage

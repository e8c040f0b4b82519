#include "data/gzip_reader.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "qhost/error.h"
#include "storage/sha256.h"

namespace qhost::data {
namespace fs = std::filesystem;
namespace {

constexpr std::uint8_t gzip_first = 0x1f, gzip_second = 0x8b;
constexpr int gzip_window = 15 + 16;  // the largest window, gzip headers only

}  // namespace

struct GzipReader::State {
  std::string set;
  fs::path path;
  std::ifstream in;
  std::vector<std::uint8_t> buffer = std::vector<std::uint8_t>(std::size_t{1} << 18);
  std::size_t at = 0, end = 0;  ///< the unused part of the buffer
  std::int64_t used = 0;        ///< bytes of the file before `at`
  std::int64_t bytes = 0;       ///< bytes read from the disk
  std::int64_t position = 0;    ///< uncompressed bytes returned
  bool packed = false, in_member = false;
  z_stream stream{};
  storage::Sha256 stored, unpacked;

  ~State() {
    if (packed) inflateEnd(&stream);
  }
};

GzipReader::GzipReader(std::string set, fs::path path, std::int64_t most_bytes)
    : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.set = std::move(set);
  s.path = std::move(path);
  errno = 0;
  s.in.open(s.path, std::ios::binary);
  if (!s.in) {
    throw Error(ErrorKind::data,
                s.set + ": " + s.path.string() + " cannot be opened: " + std::strerror(errno),
                "check its permissions");
  }
  std::error_code error;
  const auto size = fs::file_size(s.path, error);
  if (!error && size > static_cast<std::uintmax_t>(most_bytes)) {
    fail("has " + std::to_string(size) + " bytes; at most " + std::to_string(most_bytes) +
         " expected");
  }
  refill();
  s.packed = s.end >= 2 && s.buffer[0] == gzip_first && s.buffer[1] == gzip_second;
  if (!s.packed) return;
  if (inflateInit2(&s.stream, gzip_window) != Z_OK) throw std::bad_alloc();
  s.in_member = true;
}

GzipReader::~GzipReader() = default;

bool GzipReader::refill() {
  State& s = *state_;
  if (s.at < s.end) return true;
  s.at = 0;
  errno = 0;
  s.in.read(reinterpret_cast<char*>(s.buffer.data()),
            static_cast<std::streamsize>(s.buffer.size()));
  s.end = static_cast<std::size_t>(s.in.gcount());
  if (s.in.bad() || (s.end == 0 && errno != 0)) {
    fail("reading stopped at byte " + std::to_string(s.bytes) +
         (errno != 0 ? std::string(": ") + std::strerror(errno) : std::string()));
  }
  s.bytes += static_cast<std::int64_t>(s.end);
  s.stored.update(std::as_bytes(std::span(s.buffer.data(), s.end)));
  return s.end > 0;
}

std::size_t GzipReader::read(std::uint8_t* to, std::size_t count) {
  State& s = *state_;
  std::size_t done = 0;
  while (done < count) {
    const std::size_t got =
        s.packed ? inflate_some(to + done, count - done) : copy_some(to + done, count - done);
    if (got == 0) break;
    done += got;
    s.position += static_cast<std::int64_t>(got);
  }
  if (s.packed) s.unpacked.update(std::as_bytes(std::span(to, done)));
  return done;
}

std::size_t GzipReader::copy_some(std::uint8_t* to, std::size_t count) {
  State& s = *state_;
  if (!refill()) return 0;
  const std::size_t got = std::min(count, s.end - s.at);
  std::copy_n(s.buffer.data() + s.at, got, to);
  s.at += got;
  s.used += static_cast<std::int64_t>(got);
  return got;
}

std::size_t GzipReader::inflate_some(std::uint8_t* to, std::size_t count) {
  State& s = *state_;
  const auto most = std::min<std::size_t>(count, std::size_t{1} << 30);  // zlib counts in 32 bits
  // The loop skips an empty member and one of which only the trailer is left: both give no bytes.
  for (;;) {
    if (!refill()) {
      if (!s.in_member) return 0;
      fail("truncated at byte " + std::to_string(s.used) + ": the gzip data stop after " +
           std::to_string(s.position) + " unpacked bytes");
    }
    if (!s.in_member) {
      // gzip(1) ignores what follows the last member; an appended file would go unnoticed.
      if (s.buffer[s.at] != gzip_first) {
        fail("something follows the gzip data at byte " + std::to_string(s.used) +
             ", which is no further gzip member");
      }
      inflateReset(&s.stream);
      s.in_member = true;
    }
    s.stream.next_in = s.buffer.data() + s.at;
    s.stream.avail_in = static_cast<uInt>(s.end - s.at);
    s.stream.next_out = to;
    s.stream.avail_out = static_cast<uInt>(most);
    const int code = inflate(&s.stream, Z_NO_FLUSH);
    const std::size_t taken = s.end - s.at - s.stream.avail_in, got = most - s.stream.avail_out;
    s.at += taken;
    s.used += static_cast<std::int64_t>(taken);
    if (code == Z_MEM_ERROR) throw std::bad_alloc();
    if (code == Z_STREAM_END) {
      s.in_member = false;
    } else if (code != Z_OK && code != Z_BUF_ERROR) {
      fail("damaged gzip data near byte " + std::to_string(s.used) + ", after " +
           std::to_string(s.position + static_cast<std::int64_t>(got)) + " unpacked bytes (" +
           (s.stream.msg != nullptr ? s.stream.msg : "zlib " + std::to_string(code)) + ")");
    }
    if (got > 0) return got;
  }
}

std::int64_t GzipReader::position() const {
  return state_->position;
}

bool GzipReader::packed() const {
  return state_->packed;
}

std::string GzipReader::sha256() {
  return (state_->packed ? state_->unpacked : state_->stored).hex();
}

std::string GzipReader::provenance(const std::string& unpacked_sha256) {
  State& s = *state_;
  const std::string line =
      s.path.filename().string() + ", " + std::to_string(s.bytes) + " bytes, sha256 ";
  if (!s.packed) return line + unpacked_sha256;
  return line + s.stored.hex() + ", unpacked sha256 " + unpacked_sha256;
}

void GzipReader::fail(const std::string& what) const {
  throw Error(
      ErrorKind::data, state_->set + ": " + state_->path.string() + ": " + what,
      "the file is not the published one; get it again (`qhost data list` says from where)");
}

}  // namespace qhost::data

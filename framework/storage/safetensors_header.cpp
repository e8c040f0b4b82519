#include "storage/safetensors_header.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "common/number_text.h"
#include "qhost/error.h"
#include "storage/io_error.h"

namespace qhost::storage {
namespace {

constexpr std::uint64_t length_bytes = 8;

/// A name from an untrusted file, safe to print on a terminal.
std::string printable(std::string_view text) {
  constexpr std::size_t longest = 80;
  const bool cut = text.size() > longest;
  const nlohmann::json value(std::string(text.substr(0, longest)));
  return value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + (cut ? "..." : "");
}

/// Counts the bytes that the JSON parser has consumed, so that its events have an offset in the
/// file.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, std::uint64_t* count) : at_(at), count_(count) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    ++*count_;
    return *this;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  std::uint64_t* count_;
};

/// Receives the parser's events and builds the entries. nlohmann's tree silently keeps the last of
/// two equal keys, so no tree is built. An event that does not fit the form of a header is refused
/// at once, which also bounds the nesting.
class HeaderHandler {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  struct Raw {
    std::optional<std::string> dtype;
    std::optional<std::vector<std::int64_t>> shape;
    std::optional<std::vector<std::int64_t>> offsets;
    std::uint64_t position = 0;
  };

  HeaderHandler(const std::string& file, const Limits& limits) : file_(file), limits_(limits) {}

  std::uint64_t consumed = 0;
  std::map<std::string, Raw> entries;
  Metadata metadata;

  bool null() { unexpected("null"); }
  bool boolean(bool value) { unexpected(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) { unexpected(std::to_string(value)); }
  bool number_float(number_float_t, const string_t& text) { unexpected(printable(text)); }
  bool binary(binary_t&) { unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) {
    if (place_ != Place::shape && place_ != Place::offsets) unexpected(std::to_string(value));
    if (value > static_cast<number_unsigned_t>(std::numeric_limits<std::int64_t>::max())) {
      fail(where() + " holds a number that is too large", std::to_string(value),
           "at most 9223372036854775807");
    }
    auto& list = place_ == Place::shape ? *entry_->shape : *entry_->offsets;
    const std::size_t most = place_ == Place::shape ? limits_.rank : 2;
    if (list.size() == most) {
      fail(where() + " has too many numbers", std::to_string(most + 1) + " or more",
           place_ == Place::shape ? "at most " + std::to_string(most) : "exactly 2");
    }
    list.push_back(static_cast<std::int64_t>(value));
    return true;
  }

  bool string(string_t& value) {
    if (place_ == Place::metadata) {
      metadata.at(field_) = std::move(value);
    } else if (place_ == Place::entry && field_ == "dtype") {
      entry_->dtype = std::move(value);
    } else {
      unexpected("the string " + printable(value));
    }
    return true;
  }

  bool start_object(std::size_t) {
    if (place_ == Place::start) {
      place_ = Place::top;
    } else if (place_ == Place::top) {
      place_ = name_ == "__metadata__" ? Place::metadata : Place::entry;
      if (place_ == Place::entry) {
        entry_ = &entries[name_];
        entry_->position = position();
        fields_.clear();
      }
    } else {
      unexpected("an object");
    }
    return true;
  }

  bool end_object() {
    if (place_ == Place::entry) {
      for (const char* field : {"dtype", "shape", "data_offsets"}) {
        if (!fields_.contains(field)) {
          fail("tensor " + printable(name_) + " has no " + field,
               std::to_string(fields_.size()) + " of 3 fields", "dtype, shape and data_offsets");
        }
      }
    }
    place_ = place_ == Place::top ? Place::end : Place::top;
    return true;
  }

  bool key(string_t& value) {
    if (value.size() > limits_.name_bytes) {
      fail("the name " + printable(value) + " is too long", std::to_string(value.size()) + " bytes",
           "at most " + std::to_string(limits_.name_bytes));
    }
    if (place_ == Place::top) {
      if (!names_.insert(value).second) {
        fail("the name " + printable(value) + " stands there twice", "a second entry", "one");
      }
      if (names_.size() > limits_.tensors) {
        fail("the header has too many entries", std::to_string(names_.size()),
             "at most " + std::to_string(limits_.tensors));
      }
      name_ = std::move(value);
    } else if (place_ == Place::metadata) {
      if (!metadata.emplace(value, "").second) {
        fail("the key " + printable(value) + " stands twice in __metadata__", "a second one",
             "one");
      }
      field_ = std::move(value);
    } else {
      if (value != "dtype" && value != "shape" && value != "data_offsets") {
        fail("tensor " + printable(name_) + " has an unknown field", printable(value),
             "dtype, shape, data_offsets");
      }
      if (!fields_.insert(value).second) {
        fail("tensor " + printable(name_) + " has its " + value + " twice", "a second one", "one");
      }
      field_ = std::move(value);
    }
    return true;
  }

  bool start_array(std::size_t) {
    if (place_ == Place::entry && field_ == "shape") {
      place_ = Place::shape;
      entry_->shape.emplace();
    } else if (place_ == Place::entry && field_ == "data_offsets") {
      place_ = Place::offsets;
      entry_->offsets.emplace();
    } else {
      unexpected("an array");
    }
    return true;
  }

  bool end_array() {
    if (place_ == Place::offsets && entry_->offsets->size() != 2) {
      fail(where() + " has too few numbers", std::to_string(entry_->offsets->size()), "exactly 2");
    }
    place_ = Place::entry;
    return true;
  }

  bool parse_error(std::size_t at, const std::string& token, const nlohmann::json::exception& e) {
    // Example: "[json.exception.parse_error.101] parse error at line 1, column 7: syntax error ..."
    std::string text = e.what();
    if (const auto colon = text.find(": "); colon != std::string::npos) text.erase(0, colon + 2);
    refuse(file_, "the header is not valid JSON in UTF-8", length_bytes + (at > 0 ? at - 1 : 0),
           printable(token) + " (" + clean(text) + ")", "JSON");
  }

 private:
  enum class Place { start, top, metadata, entry, shape, offsets, end };

  static std::string clean(std::string text) {
    std::replace_if(
        text.begin(), text.end(),
        [](char c) {
          return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f;
        },
        '?');
    return text;
  }
  std::uint64_t position() const { return length_bytes + (consumed > 0 ? consumed - 1 : 0); }
  std::string where() const {
    switch (place_) {
      case Place::start:
      case Place::end:
        return "the header";
      case Place::top:
        return name_ == "__metadata__" ? "__metadata__" : "tensor " + printable(name_);
      case Place::metadata:
        return "__metadata__ key " + printable(field_);
      default:
        return "the " + field_ + " of tensor " + printable(name_);
    }
  }
  [[noreturn]] void fail(const std::string& what, const std::string& found,
                         const std::string& allowed) const {
    refuse(file_, what, position(), found, allowed);
  }
  [[noreturn]] void unexpected(const std::string& found) const {
    const char* allowed = "an object";
    if (place_ == Place::metadata) allowed = "a string";
    if (place_ == Place::shape || place_ == Place::offsets) allowed = "a non-negative integer";
    if (place_ == Place::entry) allowed = field_ == "dtype" ? "a string" : "an array";
    fail(where() + " has the wrong type", found, allowed);
  }

  const std::string& file_;
  const Limits& limits_;
  Place place_ = Place::start;
  std::string name_, field_;
  Raw* entry_ = nullptr;
  std::set<std::string> names_, fields_;
};

constexpr const char* read_dtypes = "BOOL U8 I8 U16 I16 F16 BF16 U32 I32 F32 U64 I64 F64";

/// The types of the format that dtype_size() does not know.
bool is_other_dtype(std::string_view dtype) {
  constexpr std::string_view others[] = {"F8_E4M3",     "F8_E5M2",     "F8_E8M0",
                                         "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F6_E2M3",
                                         "F6_E3M2",     "F4",          "C64"};
  return std::find(std::begin(others), std::end(others), dtype) != std::end(others);
}

/// Checks 5 and 6: the bytes of a tensor, by checked multiplication. A factor of 0 must not hide an
/// overflow before or after it, so the multiplication skips factors of 0.
std::uint64_t checked_bytes(const std::string& file, const std::string& name,
                            const HeaderHandler::Raw& raw) {
  const std::size_t element = dtype_size(*raw.dtype);
  if (element == 0 && is_other_dtype(*raw.dtype)) {
    throw Error(ErrorKind::storage,
                file + ": tensor " + printable(name) + " has the dtype " + *raw.dtype +
                    ", a valid type that qhost does not read; it reads " + read_dtypes,
                "store the tensor as F32, F16 or BF16");
  }
  if (element == 0) {
    refuse(file, "tensor " + printable(name) + " has an unknown dtype", raw.position,
           printable(*raw.dtype), read_dtypes);
  }
  std::uint64_t bytes = element;
  bool empty = false;
  for (const std::int64_t size : *raw.shape) {
    empty = empty || size == 0;
    const auto factor = static_cast<std::uint64_t>(std::max<std::int64_t>(size, 1));
    if (__builtin_mul_overflow(bytes, factor, &bytes)) {
      refuse(file, "tensor " + printable(name) + " has more bytes than a 64-bit number can count",
             raw.position, "shape " + shape_text(*raw.shape), "a product below 2^64");
    }
  }
  return empty ? 0 : bytes;
}

}  // namespace

void refuse(const std::string& file, const std::string& what, std::uint64_t offset,
            const std::string& found, const std::string& allowed) {
  throw Error(ErrorKind::storage,
              file + ": " + what + "\n  at byte " + std::to_string(offset) + ": found " + found +
                  "; allowed: " + allowed,
              "the file is damaged, cut short or not a safetensors file; copy it again "
              "or write it anew");
}

std::uint64_t checked_header_length(std::string_view first, std::uint64_t file_bytes,
                                    const std::string& file, const Limits& limits) {
  if (file_bytes > limits.file_bytes) {
    refuse(file, "the file is too large", 0, format_bytes(file_bytes),
           "at most " + format_bytes(limits.file_bytes));
  }
  if (file_bytes < length_bytes || first.size() < length_bytes) {
    refuse(file, "the file is too short for the length of its header", 0, format_bytes(file_bytes),
           "8 bytes or more");
  }
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < length_bytes; ++i) {
    length |= static_cast<std::uint64_t>(static_cast<unsigned char>(first[i])) << (8 * i);
  }
  if (length > limits.header_bytes) {
    refuse(file, "the header is too long", 0, format_bytes(length),
           "at most " + format_bytes(limits.header_bytes));
  }
  if (length > file_bytes - length_bytes) {
    refuse(file, "the header is longer than the file", 0, format_bytes(length),
           "at most " + format_bytes(file_bytes - length_bytes) + ", the rest of the file");
  }
  return length;
}

Header parse_header(std::string_view json, std::uint64_t file_bytes, const std::string& file,
                    const Limits& limits) {
  if (json.empty() || json.front() != '{') {
    refuse(file, "the header does not begin with {", length_bytes,
           json.empty() ? "an empty header" : printable(json.substr(0, 1)), "{");
  }
  // The JSON parser treats a NUL as the end of its input and would not read the rest.
  if (const auto nul = json.find('\0'); nul != std::string_view::npos) {
    refuse(file, "the header holds a NUL byte", length_bytes + nul, "0x00", "UTF-8 text");
  }
  HeaderHandler handler(file, limits);
  nlohmann::json::sax_parse(CountingIterator(json.data(), &handler.consumed),
                            CountingIterator(json.data() + json.size(), &handler.consumed),
                            &handler);
  const std::size_t last = json.find_last_of('}');
  const std::size_t tail = json.find_first_not_of(' ', last + 1);
  if (tail != std::string_view::npos) {
    refuse(file, "something follows the header's object", length_bytes + tail,
           printable(json.substr(tail, 8)), "spaces");
  }

  // Checks 5 to 8: every range has the size of its tensor, and the ranges together fill the data.
  const std::uint64_t data_bytes = file_bytes - length_bytes - json.size();
  Header header;
  header.metadata = std::move(handler.metadata);
  struct Range {
    std::uint64_t begin, end;
    const std::string* name;
  };
  std::vector<Range> ranges;
  for (auto& [name, raw] : handler.entries) {
    const std::uint64_t bytes = checked_bytes(file, name, raw);
    HeaderEntry entry;
    entry.begin = static_cast<std::uint64_t>((*raw.offsets)[0]);
    entry.end = static_cast<std::uint64_t>((*raw.offsets)[1]);
    const std::string offsets =
        "[" + std::to_string(entry.begin) + "," + std::to_string(entry.end) + "]";
    if (entry.begin > entry.end) {
      refuse(file, "tensor " + printable(name) + " ends before it begins", raw.position,
             "data_offsets " + offsets, "begin <= end");
    }
    if (entry.end - entry.begin != bytes) {
      refuse(file, "tensor " + printable(name) + " has another size than its shape", raw.position,
             std::to_string(entry.end - entry.begin) + " bytes in data_offsets " + offsets,
             std::to_string(bytes) + " bytes for " + *raw.dtype + " " + shape_text(*raw.shape));
    }
    if (bytes > data_bytes || entry.begin > data_bytes - bytes) {
      refuse(file, "tensor " + printable(name) + " lies outside the file", raw.position,
             "data_offsets " + offsets, "at most " + std::to_string(data_bytes) + " bytes of data");
    }
    entry.dtype = std::move(*raw.dtype);
    entry.shape = std::move(*raw.shape);
    const auto placed = header.entries.emplace(name, std::move(entry)).first;
    ranges.push_back({placed->second.begin, placed->second.end, &placed->first});
  }
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t expected = 0;
  for (const Range& range : ranges) {
    const std::uint64_t place = length_bytes + json.size() + expected;
    if (range.begin != expected) {
      refuse(file,
             "tensor " + printable(*range.name) +
                 (range.begin > expected ? " leaves a gap before it" : " overlaps another tensor"),
             place, "data that begin at " + std::to_string(range.begin),
             "a begin at " + std::to_string(expected) + ", where the tensor before ends");
    }
    expected = range.end;
  }
  if (expected != data_bytes) {
    refuse(file, "bytes that belong to no tensor follow the data",
           length_bytes + json.size() + expected, format_bytes(data_bytes - expected), "none");
  }
  return header;
}

}  // namespace qhost::storage

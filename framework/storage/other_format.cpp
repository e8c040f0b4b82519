#include "storage/other_format.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>

namespace qhost::storage {
namespace {

struct Format {
  std::string_view first;  ///< its first bytes
  std::string_view what;
  bool pytorch = false;
};

constexpr std::array formats = {
    Format{std::string_view("PK\x03\x04"), "a zip archive, as torch.save() writes", true},
    // A pickle begins with its protocol: 2 in torch.save()'s older format.
    Format{std::string_view("\x80\x02"), "a pickle, as older versions of torch.save() write", true},
    Format{std::string_view("\x80\x03"), "a pickle", true},
    Format{std::string_view("\x80\x04"), "a pickle", true},
    Format{std::string_view("\x80\x05"), "a pickle", true},
    Format{std::string_view("\x89HDF\r\n\x1a\n"), "an HDF5 file, as Keras writes"},
    Format{std::string_view("\x93NUMPY"), "a NumPy array"},
    Format{std::string_view("GGUF"), "a GGUF file"},
    Format{std::string_view("\x89PNG\r\n\x1a\n"), "a PNG image"},
    Format{std::string_view("\xff\xd8\xff\xe0"), "a JPEG image"},
    Format{std::string_view("\xff\xd8\xff\xe1"), "a JPEG image"},
};

constexpr Format text{"", "a text file"};

const Format* format_of(const std::filesystem::path& file) {
  std::array<char, 8> bytes{};
  std::ifstream in(file, std::ios::binary);
  in.read(bytes.data(), bytes.size());
  const std::string_view first(bytes.data(), static_cast<std::size_t>(in.gcount()));
  for (const Format& format : formats) {
    if (!first.starts_with(format.first)) continue;
    // The length of a safetensors header can have these two bytes; its JSON follows.
    if (format.first.size() == 2 && first.size() == 8 &&
        first.substr(6) == std::string_view("\0\0", 2)) {
      continue;
    }
    return &format;
  }
  // The highest bytes of the length of a safetensors header are 0.
  const auto readable = [](char c) { return (c >= ' ' && c <= '~') || c == '\n' || c == '\t'; };
  if (!first.empty() && std::all_of(first.begin(), first.end(), readable)) return &text;
  return nullptr;
}

}  // namespace

std::string other_format(const std::filesystem::path& file) {
  const Format* format = format_of(file);
  return format == nullptr ? "" : std::string(format->what);
}

bool may_be_from_pytorch(const std::filesystem::path& file) {
  const Format* format = format_of(file);
  return format != nullptr && format->pytorch;
}

}  // namespace qhost::storage

#include "images/image_file.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "common/number_text.h"
#include "common/utf8.h"
#include "images/decode.h"
#include "storage/io_error.h"
#include "storage/regular_file.h"

namespace qhost::images {
namespace {

using namespace std::string_view_literals;

/// What the first bytes say of a file in another format, with its article; "" for an unknown one.
std::string other_image_format(std::string_view bytes) {
  const auto at = [&](std::size_t position, std::string_view wanted) {
    return bytes.size() >= position && bytes.substr(position).starts_with(wanted);
  };
  if (at(0, "GIF8")) return "a GIF image";
  if (at(0, "BM")) return "a BMP image";
  if (at(0, "RIFF") && at(8, "WEBP")) return "a WebP image";
  if (at(0, "II*\0"sv) || at(0, "MM\0*"sv)) return "a TIFF image";
  if (at(4, "ftypavif")) return "an AVIF image";
  if (at(4, "ftyphei") || at(4, "ftypmif1")) return "a HEIF image";
  if (at(0, "\0\0\0\fjP  "sv)) return "a JPEG 2000 image";
  if (at(0, "\xff\x0a") || at(0, "\0\0\0\fJXL "sv)) return "a JPEG XL image";
  if (bytes.size() > 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
      (bytes[2] == '\n' || bytes[2] == ' ')) {
    return "a PNM image";
  }
  if (at(0, "<svg")) return "an SVG image";
  if (at(0, "%PDF")) return "a PDF document";
  return "";
}

/// `"hello"`, or "0x00 0x01 0x02": the first bytes.
std::string beginning(std::string_view bytes) {
  const std::string_view first = bytes.substr(0, 8);
  const bool readable = std::all_of(first.begin(), first.end(), [](char c) {
    return (c >= ' ' && c <= '~') || c == '\n' || c == '\r' || c == '\t';
  });
  if (readable) return '"' + escape_controls(first) + '"';
  static constexpr std::array digits = {'0', '1', '2', '3', '4', '5', '6', '7',
                                        '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};
  std::string text = "0x";
  for (const char c : first) {
    const auto byte = static_cast<unsigned char>(c);
    text += digits[byte >> 4U];
    text += digits[byte & 15U];
  }
  return text;
}

std::string contents(const std::filesystem::path& path) {
  const storage::RegularFile file = storage::open_regular_file(path);
  if (file.bytes > most_file_bytes) {
    throw Error(ErrorKind::data,
                path.string() + " has " + storage::format_bytes(file.bytes) +
                    "; an image may have " + storage::format_bytes(most_file_bytes),
                "scale the image down first");
  }
  std::string bytes(static_cast<std::size_t>(file.bytes), '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::read(file.descriptor.get(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) storage::fail_io("read", path, errno);
    if (n == 0) break;  // it became shorter: its format says whether something is missing
    done += static_cast<std::size_t>(n);
  }
  bytes.resize(done);
  return bytes;
}

}  // namespace

Error error_of(const Complaint& complaint, std::string_view bytes, const std::string& name,
               const char* format) {
  if (complaint.cut_off) {
    return {ErrorKind::data,
            name + ": the " + format + " is cut off: it needs more than its " +
                storage::format_bytes(bytes.size()),
            "copy it again from where it came"};
  }
  return {ErrorKind::data,
          name + ": the " + format + " is damaged, or of a rare kind: " + complaint.text,
          "copy it again from where it came, or save it anew with an image editor"};
}

void check_size(std::int64_t width, std::int64_t height, const std::string& name) {
  if (width * height <= most_pixels) return;
  throw Error(ErrorKind::data,
              name + ": " + size_text(width, height) + " are " + with_separators(width * height) +
                  " pixels; an image may have " + with_separators(most_pixels),
              "scale the image down first");
}

Image image_of(std::string_view bytes, const std::string& name) {
  if (is_png(bytes)) return decode_png(bytes, name);
  if (is_jpeg(bytes)) return decode_jpeg(bytes, name);
  if (bytes.empty()) {
    throw Error(ErrorKind::data, name + " is empty, and no image",
                "copy it again from where it came");
  }
  const std::string other = other_image_format(bytes);
  if (!other.empty()) {
    throw Error(ErrorKind::data, name + " is " + other + ", and PNG and JPEG are read",
                "convert it to PNG with an image editor");
  }
  throw Error(ErrorKind::data, name + " is no PNG or JPEG: it begins with " + beginning(bytes),
              "give a PNG or JPEG file");
}

Image read_image(const std::filesystem::path& file) {
  return image_of(contents(file), file.string());
}

}  // namespace qhost::images

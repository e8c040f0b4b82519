// PNG, by libpng. Its simplified interface corrects gamma and mixes in a background, and Pillow does
// neither: hence the interface below it.
#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>
#include <new>

#include "common/defect.h"
#include "images/decode.h"

namespace qhost::images {
namespace {

/// libpng leaves a failing call by longjmp(): what it leaves has no local objects.
class PngReader {
 public:
  explicit PngReader(std::string_view bytes)
      : png_(png_create_read_struct(PNG_LIBPNG_VER_STRING, this, fail, ignore)), bytes_(bytes) {
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
    png_set_read_fn(png_, this, read);
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  /// Up to the pixels. False: complaint() says why.
  bool read_header() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    // The caller has a limit of its own.
    png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_read_info(png_, info_);
    // No memory for pixels that cannot be there: deflate makes at most 1032 bytes of one.
    constexpr std::size_t most_of_a_byte = 1032;
    const std::size_t most = most_of_a_byte * bytes_.size() / png_get_image_height(png_, info_);
    complaint_.cut_off = png_get_rowbytes(png_, info_) > most;
    return !complaint_.cut_off;
  }
  bool read_pixels(Image& image) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_expand(png_);  // palettes, and fewer than 8 bits
    png_set_strip_16(png_);
    png_set_strip_alpha(png_);
    const int passes = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    image.channels = png_get_channels(png_, info_);
    const std::size_t row = png_get_rowbytes(png_, info_);
    image.pixels.resize(row * static_cast<std::size_t>(image.height));
    for (int pass = 0; pass < passes; ++pass) {
      for (std::int64_t y = 0; y < image.height; ++y) {
        png_read_row(png_, image.pixels.data() + static_cast<std::size_t>(y) * row, nullptr);
      }
    }
    png_read_end(png_, nullptr);
    return true;
  }

  std::int64_t width() const { return png_get_image_width(png_, info_); }
  std::int64_t height() const { return png_get_image_height(png_, info_); }
  const Complaint& complaint() const { return complaint_; }

 private:
  [[noreturn]] static void fail(png_structp png, png_const_charp text) {
    auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
    std::snprintf(reader->complaint_.text, sizeof reader->complaint_.text, "%s", text);
    png_longjmp(png, 1);
  }
  static void ignore(png_structp, png_const_charp) {}
  static void read(png_structp png, png_bytep to, png_size_t count) {
    auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
    if (count > reader->bytes_.size() - reader->position_) {
      reader->complaint_.cut_off = true;
      png_error(png, "cut off");
    }
    std::memcpy(to, reader->bytes_.data() + reader->position_, count);
    reader->position_ += count;
  }

  png_structp png_;
  png_infop info_ = nullptr;
  const std::string_view bytes_;
  std::size_t position_ = 0;
  Complaint complaint_;
};

}  // namespace

bool is_png(std::string_view bytes) {
  return bytes.starts_with("\x89PNG\r\n\x1a\n");
}

Image decode_png(std::string_view bytes, const std::string& name) {
  PngReader reader(bytes);
  const bool sound = reader.read_header();
  Image image{.width = reader.width(), .height = reader.height()};
  check_size(image.width, image.height, name);
  if (!sound || !reader.read_pixels(image)) {
    throw error_of(reader.complaint(), bytes, name, "PNG");
  }
  const std::int64_t values = image.width * image.height * image.channels;
  if ((image.channels != 1 && image.channels != 3) ||
      image.pixels.size() != static_cast<std::size_t>(values)) {
    throw defect("libpng gives " + std::to_string(image.channels) + " channels and " +
                 std::to_string(image.pixels.size()) + " bytes");
  }
  return image;
}

}  // namespace qhost::images

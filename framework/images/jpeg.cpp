// JPEG, by libjpeg(-turbo).
#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdio>

// In this order: jpeglib.h needs FILE and size_t, and jerror.h needs jpeglib.h.
#include <jpeglib.h>

#include <jerror.h>

#include "images/decode.h"

namespace qhost::images {
namespace {

/// Warnings behind which pixels are missing or invented; the others are of markers.
constexpr std::array fatal_warnings = {JWRN_JPEG_EOF,      JWRN_HIT_MARKER,
                                       JWRN_HUFF_BAD_CODE, JWRN_ARITH_BAD_CODE,
                                       JWRN_MUST_RESYNC,   JWRN_BOGUS_PROGRESSION};

/// libjpeg leaves a failing call by longjmp(): what it leaves has no local objects.
class JpegReader {
 public:
  explicit JpegReader(std::string_view bytes) : bytes_(bytes) {
    jpeg_.err = jpeg_std_error(&errors_);
    jpeg_.client_data = this;
    errors_.error_exit = fail;
    errors_.emit_message = warn;
  }
  ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  /// Up to the pixels. False: complaint() says why.
  bool read_header() {
    if (setjmp(jump_) != 0) return false;
    jpeg_create_decompress(&jpeg_);
    jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(bytes_.data()), bytes_.size());
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }
  /// Into image.pixels, which grows row by row: a file that is cut off costs little memory.
  bool read_pixels(Image& image) {
    if (setjmp(jump_) != 0) return false;
    jpeg_.out_color_space = jpeg_.num_components == 1   ? JCS_GRAYSCALE
                            : jpeg_.num_components == 4 ? JCS_CMYK
                                                        : JCS_RGB;
    jpeg_start_decompress(&jpeg_);
    while (jpeg_.output_scanline < jpeg_.output_height) {
      const std::size_t done = image.pixels.size();
      image.pixels.resize(done + static_cast<std::size_t>(image.width * image.channels));
      row_ = image.pixels.data() + done;
      jpeg_read_scanlines(&jpeg_, &row_, 1);
    }
    jpeg_finish_decompress(&jpeg_);
    return true;
  }

  std::int64_t width() const { return jpeg_.image_width; }
  std::int64_t height() const { return jpeg_.image_height; }
  std::int64_t components() const { return jpeg_.num_components; }
  const Complaint& complaint() const { return complaint_; }

 private:
  void take_message() {
    char text[JMSG_LENGTH_MAX];
    errors_.format_message(reinterpret_cast<j_common_ptr>(&jpeg_), text);
    std::snprintf(complaint_.text, sizeof complaint_.text, "%s", text);
  }
  [[noreturn]] static void fail(j_common_ptr jpeg) {
    auto* reader = static_cast<JpegReader*>(jpeg->client_data);
    reader->take_message();
    std::longjmp(reader->jump_, 1);
  }
  static void warn(j_common_ptr jpeg, int level) {
    const int code = jpeg->err->msg_code;
    if (level >= 0 ||
        std::find(fatal_warnings.begin(), fatal_warnings.end(), code) == fatal_warnings.end()) {
      return;
    }
    static_cast<JpegReader*>(jpeg->client_data)->complaint_.cut_off = code == JWRN_JPEG_EOF;
    fail(jpeg);
  }

  jpeg_decompress_struct jpeg_{};
  jpeg_error_mgr errors_{};
  std::jmp_buf jump_{};
  JSAMPROW row_ = nullptr;
  const std::string_view bytes_;
  Complaint complaint_;
};

/// a * b / 255, rounded.
std::uint8_t product(int a, int b) {
  const int x = a * b + 128;
  return static_cast<std::uint8_t>(((x >> 8) + x) >> 8);
}

/// The file holds 255 - C, ...: what remains of the white after an ink. Pillow's rounding.
std::vector<std::uint8_t> rgb_of_cmyk(const std::vector<std::uint8_t>& inks) {
  std::vector<std::uint8_t> rgb;
  rgb.reserve(inks.size() / 4 * 3);
  for (std::size_t i = 0; i < inks.size(); i += 4) {
    const int light = inks[i + 3];
    for (std::size_t c = 0; c < 3; ++c) {
      rgb.push_back(static_cast<std::uint8_t>(light - product(255 - inks[i + c], light)));
    }
  }
  return rgb;
}

}  // namespace

bool is_jpeg(std::string_view bytes) {
  return bytes.starts_with("\xff\xd8\xff");
}

Image decode_jpeg(std::string_view bytes, const std::string& name) {
  JpegReader reader(bytes);
  if (!reader.read_header()) throw error_of(reader.complaint(), bytes, name, "JPEG");
  Image image{.width = reader.width(), .height = reader.height(), .channels = reader.components()};
  check_size(image.width, image.height, name);
  if (image.channels != 1 && image.channels != 3 && image.channels != 4) {
    throw Error(ErrorKind::data,
                name + ": the JPEG has " + std::to_string(image.channels) +
                    " channels; gray, color and CMYK have 1, 3 and 4",
                "save it anew with an image editor");
  }
  image.pixels.reserve(static_cast<std::size_t>(image.width * image.height * image.channels));
  if (!reader.read_pixels(image)) throw error_of(reader.complaint(), bytes, name, "JPEG");
  if (image.channels == 4) {
    image.pixels = rgb_of_cmyk(image.pixels);
    image.channels = 3;
  }
  return image;
}

}  // namespace qhost::images

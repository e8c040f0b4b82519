/// images/decode.h: the two formats, and what is wrong with a file, in one wording.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "images/image.h"
#include "qhost/error.h"

namespace qhost::images {

/// What the libraries say of a file, in a form that survives longjmp().
struct Complaint {
  bool cut_off = false;
  char text[256] = "";
};

/// `format` is "PNG" or "JPEG".
Error error_of(const Complaint& complaint, std::string_view bytes, const std::string& name,
               const char* format);
/// Throws Error (data) for more than most_pixels.
void check_size(std::int64_t width, std::int64_t height, const std::string& name);

bool is_png(std::string_view bytes);
bool is_jpeg(std::string_view bytes);
Image decode_png(std::string_view bytes, const std::string& name);
Image decode_jpeg(std::string_view bytes, const std::string& name);

}  // namespace qhost::images

/// images/image_file.h: reads PNG and JPEG files.
///
/// The pixels are those of Pillow's Image.open(file).convert("RGB"), or of convert("L") where the
/// file is gray:
///
///     palette              its colors
///     alpha                dropped: the colors below it count, not a background
///     16 bits              the high byte (of gray Pillow clips at 255 instead)
///     fewer than 8 bits    scaled to 0..255
///     interlaced           as any other
///     CMYK                 inverted, as Adobe's programs write it, then to RGB without a profile
///     gamma, ICC profile   ignored
///     EXIF orientation     ignored: the image is not turned
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "images/image.h"

namespace qhost::images {

/// Larger images are refused before their pixels are decoded; Pillow refuses the same.
inline constexpr std::int64_t most_pixels = 178956970;
inline constexpr std::uint64_t most_file_bytes = std::uint64_t{1} << 30;

/// The format is recognized by the first bytes, whatever the file's name. Throws Error (storage) for
/// a file that cannot be read, Error (data) with its name for one that is no PNG or JPEG, is cut off
/// (be it by its end marker alone), damaged or too large.
Image read_image(const std::filesystem::path& file);
/// The same for bytes in memory; messages use `name` as the file.
Image image_of(std::string_view bytes, const std::string& name);

}  // namespace qhost::images

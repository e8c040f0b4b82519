/// A Fashion-MNIST of black images.
#pragma once

#include <map>
#include <string>

#include "gzip_bytes.h"
#include "support.h"

namespace qhost::data::testing {

inline std::string word(std::uint32_t value) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
  return out;
}

/// The four files with all values 0: sparse image files, which take no disk space, and compressed
/// labels.
inline void make_black_images(const fs::path& folder) {
  for (const auto& [name, count] :
       std::map<std::string, std::uint32_t>{{"train", 60000}, {"t10k", 10000}}) {
    const fs::path images = folder / (name + "-images-idx3-ubyte");
    write_file(images, word(0x803) + word(count) + word(28) + word(28));
    fs::resize_file(images, 16 + std::uintmax_t{count} * 784);
    write_file(folder / (name + "-labels-idx1-ubyte.gz"),
               gzip_bytes(word(0x801) + word(count) + std::string(count, '\0')));
  }
}

}  // namespace qhost::data::testing

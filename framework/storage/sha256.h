/// storage/sha256.h: SHA-256 (FIPS 180-4) as 64 lower-case hexadecimal digits.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace qhost::storage {

/// Takes the bytes in pieces, in order; hex() ends the computation.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::span<const std::byte> bytes);
  /// Call it once only.
  std::string hex();

 private:
  struct Free {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Free> context_;
};

std::string sha256(std::span<const std::byte> bytes);
std::string sha256(std::string_view text);
/// The hash of a file, which is read in pieces. Throws Error (storage) if the file cannot be read.
std::string sha256_file(const std::filesystem::path& path);

}  // namespace qhost::storage

/// storage/safetensors.h: the container format of all tensors that qhost stores.
///
/// A file is 8 bytes little-endian header length N, N bytes of JSON (an object that maps a name to
/// dtype, shape and data_offsets, and "__metadata__" to strings), then the tensors' bytes, without
/// gaps, in C order, little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qhost::storage {

/// Bytes owned by the caller, with a type and a shape. An empty shape is a scalar.
struct TensorView {
  std::string dtype;  ///< BOOL U8 I8 U16 I16 F16 BF16 U32 I32 F32 U64 I64 F64
  std::vector<std::int64_t> shape;
  const std::byte* data = nullptr;
  std::size_t bytes = 0;
};

using Tensors = std::map<std::string, TensorView>;
using Metadata = std::map<std::string, std::string>;

/// Bytes of one element; 0 for a dtype that is not supported.
std::size_t dtype_size(std::string_view dtype);

/// The limits that the reader checks before it allocates.
struct Limits {
  std::uint64_t file_bytes = std::uint64_t{16} << 30;
  std::uint64_t header_bytes = std::uint64_t{16} << 20;
  std::size_t rank = 8;
  std::size_t tensors = 1u << 20;
  std::size_t name_bytes = 4096;
};

/// A whole file in memory. Views stay valid as long as the File exists (also after a move). In a
/// file that serialize() wrote, every tensor starts at a multiple of its element size. A file from
/// elsewhere may differ: copy with memcpy.
class File {
 public:
  /// Reads the file and checks lengths, UTF-8, JSON, duplicate names, dtypes, sizes, and that the
  /// tensors fill the file without gap or overlap. Throws Error (storage) with the file, the byte
  /// offset, the value found and what is allowed.
  static File read(const std::filesystem::path& path, const Limits& limits = {});
  /// The same for bytes in memory; messages use `name` as the file.
  static File parse(std::string_view bytes, const std::string& name, const Limits& limits = {});

  /// The tensor of that name, or null.
  const TensorView* find(std::string_view name) const;
  /// The tensor of that name. Throws Error (storage) with the file and the nearest names.
  const TensorView& at(std::string_view name) const;
  const Tensors& tensors() const { return tensors_; }
  const Metadata& metadata() const { return metadata_; }
  const std::string& name() const { return name_; }

 private:
  struct Free {
    void operator()(std::byte* data) const;
  };
  /// Checks the header and allocates the data; the caller fills them.
  static File prepare(std::string_view header, std::uint64_t file_bytes, const std::string& name,
                      const Limits& limits);
  std::string name_;
  std::unique_ptr<std::byte[], Free> data_;  ///< aligned to 64 bytes
  std::size_t data_bytes_ = 0;
  Tensors tensors_;
  Metadata metadata_;
};

/// Gives the file's bytes to `sink` in pieces, in order. Equal input gives equal bytes. The header
/// is sorted by name and padded with spaces, so that the data start at a multiple of 8. The data
/// are sorted by element size, largest first, then by name, so that each tensor is aligned to its
/// element. Throws Error (internal) for a tensor whose bytes do not fit its dtype and shape.
void serialize(const Tensors& tensors, const Metadata& metadata,
               const std::function<void(std::span<const std::byte>)>& sink);
std::string serialize(const Tensors& tensors, const Metadata& metadata = {});
/// The number of bytes that serialize() will write.
std::uint64_t serialized_bytes(const Tensors& tensors, const Metadata& metadata = {});

/// Replaces `path` atomically (atomic_file.h) and returns the SHA-256 of the new bytes.
std::string write_safetensors(const std::filesystem::path& path, const Tensors& tensors,
                              const Metadata& metadata = {},
                              std::string_view failpoint_name = "file");

}  // namespace qhost::storage

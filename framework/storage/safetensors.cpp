#include "storage/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "common/near_match.h"
#include "qhost/error.h"
#include "storage/io_error.h"
#include "storage/regular_file.h"
#include "storage/safetensors_header.h"

namespace qhost::storage {

static_assert(std::endian::native == std::endian::little,
              "safetensors are little-endian and are used where they lie");

namespace {

constexpr std::size_t alignment = 64;

/// Fills `out` with the bytes from `position`; throws Error (storage).
void read_exactly(int fd, std::uint64_t position, std::byte* out, std::size_t size,
                  const std::filesystem::path& path) {
  std::size_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd, out + done, size - done, static_cast<off_t>(position + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_io("read", path, errno);
    if (n == 0) {
      refuse(path.string(), "the file became shorter while it was read", position + done, "its end",
             format_bytes(size - done) + " more");
    }
    done += static_cast<std::size_t>(n);
  }
}

}  // namespace

std::size_t dtype_size(std::string_view dtype) {
  static constexpr std::pair<std::string_view, std::size_t> sizes[] = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"U16", 2}, {"I16", 2}, {"F16", 2}, {"BF16", 2},
      {"U32", 4},  {"I32", 4}, {"F32", 4}, {"U64", 8}, {"I64", 8}, {"F64", 8}};
  for (const auto& [name, size] : sizes) {
    if (name == dtype) return size;
  }
  return 0;
}

void File::Free::operator()(std::byte* data) const {
  ::operator delete[](data, std::align_val_t(alignment));
}

File File::prepare(std::string_view header, std::uint64_t file_bytes, const std::string& name,
                   const Limits& limits) {
  Header parsed = parse_header(header, file_bytes, name, limits);
  File file;
  file.name_ = name;
  file.metadata_ = std::move(parsed.metadata);
  file.data_bytes_ = static_cast<std::size_t>(file_bytes - 8 - header.size());
  try {
    // At least one byte, so that an empty tensor has an address too.
    file.data_.reset(static_cast<std::byte*>(
        ::operator new[](std::max<std::size_t>(file.data_bytes_, 1), std::align_val_t(alignment))));
  } catch (const std::bad_alloc&) {
    throw Error(ErrorKind::storage,
                name + ": no memory for its " + format_bytes(file.data_bytes_) + " of tensors",
                "use a machine with more memory");
  }
  for (auto& [tensor, entry] : parsed.entries) {
    file.tensors_.emplace(tensor,
                          TensorView{.dtype = std::move(entry.dtype),
                                     .shape = std::move(entry.shape),
                                     .data = file.data_.get() + entry.begin,
                                     .bytes = static_cast<std::size_t>(entry.end - entry.begin)});
  }
  return file;
}

File File::read(const std::filesystem::path& path, const Limits& limits) {
  const RegularFile opened = open_regular_file(path);
  const FileDescriptor& fd = opened.descriptor;
  const std::uint64_t size = opened.bytes;
  std::string first(static_cast<std::size_t>(std::min<std::uint64_t>(size, 8)), '\0');
  read_exactly(fd.get(), 0, reinterpret_cast<std::byte*>(first.data()), first.size(), path);
  std::string header(
      static_cast<std::size_t>(checked_header_length(first, size, path.string(), limits)), '\0');
  read_exactly(fd.get(), 8, reinterpret_cast<std::byte*>(header.data()), header.size(), path);
  File file = prepare(header, size, path.string(), limits);
  read_exactly(fd.get(), 8 + header.size(), file.data_.get(), file.data_bytes_, path);
  return file;
}

File File::parse(std::string_view bytes, const std::string& name, const Limits& limits) {
  const std::uint64_t length = checked_header_length(bytes, bytes.size(), name, limits);
  const std::string_view header = bytes.substr(8, static_cast<std::size_t>(length));
  File file = prepare(header, bytes.size(), name, limits);
  if (file.data_bytes_ > 0) {
    std::memcpy(file.data_.get(), bytes.data() + 8 + header.size(), file.data_bytes_);
  }
  return file;
}

const TensorView* File::find(std::string_view name) const {
  const auto found = tensors_.find(std::string(name));
  return found == tensors_.end() ? nullptr : &found->second;
}

const TensorView& File::at(std::string_view name) const {
  if (const TensorView* tensor = find(name)) return *tensor;
  std::vector<std::string> names;
  for (const auto& [other, view] : tensors_) names.push_back(other);
  std::string message = name_ + ": there is no tensor \"" + std::string(name) + "\" among its " +
                        std::to_string(names.size());
  const std::vector<std::string> near = near_matches(name, names);
  for (std::size_t i = 0; i < near.size(); ++i) {
    message += (i == 0 ? "; did you mean \"" : "\", \"") + near[i];
  }
  if (!near.empty()) message += "\"?";
  throw Error(ErrorKind::storage, message,
              "the file belongs to another network or another version");
}

}  // namespace qhost::storage

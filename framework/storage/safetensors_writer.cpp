#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "qhost/error.h"
#include "storage/atomic_file.h"
#include "storage/safetensors.h"
#include "storage/sha256.h"

namespace qhost::storage {
namespace {

using Item = std::pair<const std::string, TensorView>;

[[noreturn]] void reject(const std::string& name, const std::string& why) {
  throw Error(ErrorKind::internal, "cannot store tensor \"" + name + "\": " + why,
              "this is a defect of the code that stores it");
}

void check(const std::string& name, const TensorView& tensor) {
  if (name == "__metadata__") reject(name, "the name is reserved for metadata");
  const std::size_t element = dtype_size(tensor.dtype);
  if (element == 0) reject(name, "its dtype \"" + tensor.dtype + "\" is not supported");
  std::uint64_t bytes = element;
  std::string shape;
  for (const std::int64_t size : tensor.shape) {
    shape += (shape.empty() ? "" : ",") + std::to_string(size);
    if (size < 0) reject(name, "a dimension is negative: " + std::to_string(size));
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes)) {
      reject(name, "its shape has more than 2^64 bytes");
    }
  }
  if (bytes != tensor.bytes) {
    reject(name, "it has " + std::to_string(tensor.bytes) + " bytes, but " + tensor.dtype + " [" +
                     shape + "] has " + std::to_string(bytes));
  }
  if (bytes > 0 && tensor.data == nullptr) reject(name, "it has no data");
}

/// Largest elements first: the data start at a multiple of 8, so each tensor is aligned.
std::vector<const Item*> data_order(const Tensors& tensors) {
  std::vector<const Item*> order;
  for (const Item& item : tensors) {
    check(item.first, item.second);
    order.push_back(&item);
  }
  std::stable_sort(order.begin(), order.end(), [](const Item* a, const Item* b) {
    return dtype_size(a->second.dtype) > dtype_size(b->second.dtype);
  });
  return order;
}

/// The 8 length bytes and the padded JSON.
std::string header_of(const std::vector<const Item*>& order, const Metadata& metadata) {
  nlohmann::json header = nlohmann::json::object();  // sorts its keys
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t position = 0;
  for (const Item* item : order) {
    const TensorView& tensor = item->second;
    header[item->first] = {{"dtype", tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {position, position + tensor.bytes}}};
    position += tensor.bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorKind::internal,
                std::string("cannot store tensors: a name or a metadata text is not UTF-8 (") +
                    e.what() + ")",
                "this is a defect of the code that stores it");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  if (length > Limits{}.header_bytes) {
    throw Error(ErrorKind::internal, "cannot store tensors: their header has " +
                                         std::to_string(length) + " bytes, at most " +
                                         std::to_string(Limits{}.header_bytes) +
                                         " can be read back");
  }
  std::string prefix(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) {
    prefix[i] = static_cast<char>(static_cast<unsigned char>(length >> (8 * i)));
  }
  return prefix + text;
}

}  // namespace

void serialize(const Tensors& tensors, const Metadata& metadata,
               const std::function<void(std::span<const std::byte>)>& sink) {
  const std::vector<const Item*> order = data_order(tensors);
  const std::string header = header_of(order, metadata);
  sink(std::as_bytes(std::span(header)));
  for (const Item* item : order) {
    if (item->second.bytes > 0) sink({item->second.data, item->second.bytes});
  }
}

std::uint64_t serialized_bytes(const Tensors& tensors, const Metadata& metadata) {
  std::uint64_t bytes = header_of(data_order(tensors), metadata).size();
  for (const Item& item : tensors) bytes += item.second.bytes;
  return bytes;
}

std::string serialize(const Tensors& tensors, const Metadata& metadata) {
  std::string bytes;
  serialize(tensors, metadata, [&bytes](std::span<const std::byte> piece) {
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  });
  return bytes;
}

std::string write_safetensors(const std::filesystem::path& path, const Tensors& tensors,
                              const Metadata& metadata, std::string_view failpoint_name) {
  AtomicFile file(path, failpoint_name, serialized_bytes(tensors, metadata));
  Sha256 hash;
  serialize(tensors, metadata, [&](std::span<const std::byte> piece) {
    hash.update(piece);
    file.write(piece);
  });
  file.commit();
  return hash.hex();
}

}  // namespace qhost::storage

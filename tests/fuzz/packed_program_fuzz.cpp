// Searches for bytes that break the reader of packed files or the engine: tools/fuzz.
//
// A header has a length before it, and its offsets fit the data behind it: bytes that change alone
// are refused at once. Most mutations therefore change the program or a tensor and write the file
// anew.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "fuzz/run_packed_bytes.h"
#include "packed/program_words.h"
#include "storage/safetensors.h"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace {

using nlohmann::json;
using qhost::storage::File;

class Mutator {
 public:
  explicit Mutator(std::uint32_t seed) : random_(seed) {}

  std::string mutate(std::string_view bytes) {
    const File file = File::parse(bytes, "f");
    qhost::storage::Metadata metadata = file.metadata();
    tensors_ = file.tensors();
    const std::uint64_t what = below(8);
    if (what < 5) {
      program_ = json::parse(metadata["program"], nullptr, false);
      if (program_.is_discarded()) return std::string(bytes);
      for (std::uint64_t i = 0; i <= below(3); ++i) mutate_json(program_);
      metadata["program"] = program_.dump(-1, ' ', false, json::error_handler_t::replace);
    } else if (what < 7 && !tensors_.empty()) {
      mutate_tensor();
    } else {
      const char* keys[] = {"program", "provenance", "version", "format"};
      std::string& text = metadata[keys[below(4)]];
      mutate_bytes(text);
    }
    return qhost::storage::serialize(tensors_, metadata);
  }

 private:
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }

  void mutate_bytes(std::string& text) {
    const std::size_t size = text.size();
    text.resize(size + 16);
    text.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(text.data()), size, text.size()));
    // A header is UTF-8.
    for (char& c : text) c = static_cast<char>(c & 0x7F);
  }

  void collect(json& value, std::vector<json*>& all) {
    all.push_back(&value);
    if (value.is_structured()) {
      for (auto& each : value) collect(each, all);
    }
  }

  json number(const json& old) {
    static const std::int64_t whole[] = {0,
                                         1,
                                         2,
                                         3,
                                         4,
                                         5,
                                         7,
                                         8,
                                         9,
                                         15,
                                         16,
                                         17,
                                         31,
                                         32,
                                         33,
                                         63,
                                         64,
                                         65,
                                         255,
                                         256,
                                         257,
                                         300,
                                         1000,
                                         4096,
                                         1 << 15,
                                         1 << 16,
                                         1 << 24,
                                         1 << 30,
                                         1 << 31,
                                         -1,
                                         -2,
                                         -3,
                                         -8,
                                         -128,
                                         std::numeric_limits<std::int64_t>::max(),
                                         std::int64_t{1} << 40};
    static const double real[] = {0.5, -0.5, 1e-45, 1e38, 3.5e38, -1e300, 1e-300, 0.1, 16777217.0};
    switch (below(6)) {
      case 0:
        return old.is_number_integer() ? json(old.get<std::int64_t>() / 2) : json(1);
      case 1:
        return old.is_number_integer() && std::abs(old.get<double>()) < 1e9
                   ? json(old.get<std::int64_t>() + 1)
                   : json(2);
      case 2:
        return old.is_number_integer() && std::abs(old.get<double>()) < 1e9
                   ? json(old.get<std::int64_t>() * 2)
                   : json(4);
      case 3:
        return real[below(std::size(real))];
      default:
        return whole[below(std::size(whole))];
    }
  }

  void mutate_json(json& root) {
    std::vector<json*> all;
    collect(root, all);
    json& value = *all[below(all.size())];
    if (value.is_number()) {
      value = number(value);
    } else if (value.is_boolean()) {
      value = !value.get<bool>();
    } else if (value.is_string()) {
      mutate_string(value);
    } else if (value.is_array()) {
      mutate_array(value);
    } else if (value.is_object() && !value.empty()) {
      mutate_object(value, *all[below(all.size())]);
    }
  }

  void mutate_string(json& value) {
    using namespace qhost::packed;
    switch (below(4)) {
      case 0:
        value = to_string(every_op[below(std::size(every_op))]);
        break;
      case 1:
        value = qhost::to_string(every_kind[below(std::size(every_kind))]);
        break;
      case 2:
        value = qhost::to_string(every_activation[below(std::size(every_activation))]);
        break;
      default: {
        auto text = value.get<std::string>();
        mutate_bytes(text);
        value = text;
      }
    }
  }

  void mutate_array(json& value) {
    const std::uint64_t at = value.empty() ? 0 : below(value.size());
    switch (below(4)) {
      case 0:
        if (!value.empty()) value.erase(at);
        break;
      case 1:
        if (!value.empty()) value.push_back(value[at]);
        break;
      case 2:
        if (!value.empty()) std::swap(value[at], value[below(value.size())]);
        break;
      default:
        value.push_back(number(1));
    }
  }

  void mutate_object(json& value, const json& other) {
    static const char* keys[] = {
        "in",    "stride",    "pad",       "pad_level", "groups", "kernel",     "scale",
        "bias",  "threshold", "direction", "codes",     "weight", "kind",       "position",
        "slope", "bits",      "table",     "shape",     "output", "zero_point", "channels"};
    switch (below(4)) {
      case 0: {
        auto at = value.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(below(value.size())));
        value.erase(at);
        break;
      }
      case 1:
        value[keys[below(std::size(keys))]] = number(1);
        break;
      case 2:
        value[keys[below(std::size(keys))]] = {number(1), number(1)};
        break;
      default: {
        const json copy = other;
        value[keys[below(std::size(keys))]] = copy;
      }
    }
  }

  void mutate_tensor() {
    auto at = tensors_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(below(tensors_.size())));
    qhost::storage::TensorView& view = at->second;
    const std::size_t element = qhost::storage::dtype_size(view.dtype);
    bytes_.assign(reinterpret_cast<const char*>(view.data), view.bytes);
    if (below(3) == 0) {  // another size
      const std::size_t count = below(4) == 0 ? below(200) : view.bytes / element + below(3) - 1;
      bytes_.resize(std::min<std::size_t>(count, 1 << 16) * element, '\1');
      view.shape = {static_cast<std::int64_t>(bytes_.size() / element)};
    } else if (!bytes_.empty()) {
      const std::size_t size = bytes_.size();
      LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(bytes_.data()), size, size);
      bytes_.resize(size);
    }
    if (below(8) == 0) {
      view.dtype = element == 4 ? (view.dtype == "F32" ? "I32" : "F32")
                                : (element == 1 ? (view.dtype == "U8" ? "I8" : "U8") : "F16");
    }
    view.data = reinterpret_cast<const std::byte*>(bytes_.data());
    view.bytes = bytes_.size();
  }

  std::mt19937 random_;
  json program_;
  qhost::storage::Tensors tensors_;
  std::string bytes_;
};

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t most, unsigned int seed) {
  if (seed % 8 == 0) return LLVMFuzzerMutate(data, size, most);
  try {
    const std::string bytes = Mutator(seed).mutate({reinterpret_cast<const char*>(data), size});
    if (bytes.size() <= most) {
      std::memcpy(data, bytes.data(), bytes.size());
      return bytes.size();
    }
  } catch (const std::exception&) {  // no such file
  }
  return LLVMFuzzerMutate(data, size, most);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  qhost::tests::run_packed_bytes({reinterpret_cast<const char*>(data), size});
  return 0;
}

#include "data/whitening_cache.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <nlohmann/json.hpp>

#include <optional>
#include <span>

#include "common/lines.h"
#include "common/number_text.h"
#include "qhost/error.h"
#include "storage/atomic_file.h"
#include "storage/environment.h"
#include "storage/sha256.h"
#include "storage/tensor_bytes.h"

namespace qhost::data {
namespace {

namespace fs = std::filesystem;

/// Increase this number with every change to whiten.cpp that changes a bit of mean or matrix.
constexpr const char* version = "qhost whitening 1";

void add(storage::Sha256& hash, const std::string& text) {
  hash.update(std::as_bytes(std::span(text)));
}

std::string digest(const storage::Tensors& tensors) {
  storage::Sha256 hash;
  for (const auto& [name, view] : tensors) hash.update({view.data, view.bytes});
  return hash.hex();
}

/// Throws Error (storage) for a file that keep() did not write.
std::optional<Whitener> read(const fs::path& file, const WhiteningOptions& options,
                             std::int64_t size) {
  std::error_code error;
  if (!fs::exists(file, error)) return {};
  const storage::File stored = storage::File::read(file);
  const auto expected = stored.metadata().find("sha256");
  const storage::TensorView& mean = stored.at("mean");
  const storage::TensorView& matrix = stored.at("matrix");
  const std::vector<std::int64_t> row = {size}, square = {size, size};
  if (expected == stored.metadata().end() || expected->second != digest(stored.tensors()) ||
      mean.dtype != "F64" || mean.shape != row || matrix.dtype != "F32" || matrix.shape != square) {
    throw Error(ErrorKind::storage, file.string() + ": its bytes are not those that were written");
  }
  auto tensors = storage::read_tensors(stored, "");
  return Whitener(options, tensors.at("mean"), tensors.at("matrix"));
}

void keep(const fs::path& file, const Whitener& whitener) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (error) {
    throw Error(ErrorKind::storage,
                "cannot make " + file.parent_path().string() + ": " + error.message());
  }
  storage::sweep_temporaries(file.parent_path());
  storage::TensorBytes tensors;
  tensors.add("mean", whitener.mean());
  tensors.add("matrix", whitener.matrix());
  storage::write_safetensors(file, tensors.views(), {{"sha256", digest(tensors.views())}});
}

}  // namespace

std::string whitening_key(const data::Split& train, const WhiteningOptions& options) {
  storage::Sha256 hash;
  add(hash, std::string(version) + "\n");
  for (const double value :
       {options.scale, options.sqrt_bias, options.min_divisor, options.filter_bias,
        options.subtract_mean ? 1.0 : 0.0, options.use_std ? 1.0 : 0.0}) {
    add(hash, hexadecimal(value) + "\n");
  }
  const nlohmann::json processor = storage::cpu_facts();
  add(hash, std::to_string(train.count()) + " images, " + std::to_string(at::get_num_threads()) +
                " threads\n" + at::show_config() + processor.at("model").dump() +
                processor.at("flags").dump() + "\n");
  hash.update(std::as_bytes(std::span(train.pixels)));
  return hash.hex();
}

Whitener kept_whitener(const data::Split& train, const WhiteningOptions& options,
                       const fs::path& folder, std::vector<std::string>& notes) {
  if (folder.empty() || train.empty()) return Whitener(train, options);
  const fs::path file = folder / ("whitening-" + whitening_key(train, options) + ".safetensors");
  const std::int64_t size = static_cast<std::int64_t>(train.pixels.size()) / train.count();
  try {
    if (auto kept = read(file, options, size)) return std::move(*kept);
  } catch (const Error& error) {
    notes.push_back("the whitening kept by an earlier start cannot be used, and is fitted again: " +
                    first_line(error.message()));
  }
  Whitener fitted(train, options);
  try {
    keep(file, fitted);
  } catch (const Error& error) {
    notes.push_back("the whitening cannot be kept for the next start, which will fit it again: " +
                    first_line(error.message()));
  }
  return fitted;
}

}  // namespace qhost::data

#include "jobs/weight_file.h"

#include <algorithm>

#include "jobs/find_checkpoint.h"
#include "qhost/error.h"
#include "storage/other_format.h"
#include "storage/safetensors.h"
#include "storage/tensor_bytes.h"

namespace qhost::jobs {
namespace {

namespace fs = std::filesystem;
using Tensors = std::map<std::string, at::Tensor>;

constexpr const char* model_prefix = "model/";

// DataParallel, torch.compile, Lightning.
constexpr const char* wrappers[] = {"module.", "_orig_mod.", "model."};

// Counters that PyTorch's batch norm and averaged models keep.
bool is_counter(const std::string& name) {
  const std::string last = name.substr(name.rfind('.') + 1);  // all of it without a dot
  return last == "num_batches_tracked" || last == "n_averaged";
}

bool all_begin_with(const Tensors& tensors, const std::string& prefix) {
  return !tensors.empty() && std::all_of(tensors.begin(), tensors.end(), [&](const auto& entry) {
    return entry.first.starts_with(prefix);
  });
}

void remove_wrappers(WeightFile& file) {
  const auto of_all = [&] {
    return std::find_if(std::begin(wrappers), std::end(wrappers),
                        [&](const char* prefix) { return all_begin_with(file.tensors, prefix); });
  };
  for (const auto* prefix = of_all(); prefix != std::end(wrappers); prefix = of_all()) {
    Tensors shorter;
    for (auto& [name, tensor] : file.tensors) {
      shorter[name.substr(std::string(*prefix).size())] = tensor;
    }
    file.tensors = std::move(shorter);
    file.removed_prefixes.emplace_back(*prefix);
  }
}

void require_safetensors(const fs::path& file) {
  const std::string other = storage::other_format(file);
  if (other.empty()) return;
  throw Error(ErrorKind::configuration, file.string() + " is no safetensors file but " + other,
              storage::may_be_from_pytorch(file)
                  ? "tools/import_pytorch.py " + file.string() + " " +
                        fs::path(file).replace_extension(".safetensors").string() +
                        " writes a file that qhost reads"
                  : "name a run directory, or weights stored as safetensors by the layers' names");
}

}  // namespace

fs::path weight_file_of(const fs::path& source) {
  if (!fs::is_directory(source)) {
    std::error_code error;
    const fs::path file = fs::canonical(source, error);
    return error ? source : file;
  }
  std::vector<std::string> passed_over;
  const runs::RunDirectory run = runs::RunDirectory::open(source);
  return find_checkpoint(run, "selected", passed_over).folder / "state.safetensors";
}

WeightFile read_weight_file(const fs::path& path) {
  require_safetensors(path);
  const storage::File stored = storage::File::read(path);
  WeightFile file;
  file.tensors = storage::read_tensors(stored, model_prefix);
  if (file.tensors.empty()) file.tensors = storage::read_tensors(stored, "");
  std::erase_if(file.tensors, [](const auto& entry) {
    return entry.first.find('/') != std::string::npos || is_counter(entry.first);
  });
  remove_wrappers(file);
  return file;
}

}  // namespace qhost::jobs

#include "training/initial_weights.h"

#include "qhost/error.h"
#include "storage/safetensors.h"
#include "storage/sha256.h"
#include "training/find_checkpoint.h"
#include "training/tensor_bytes.h"

namespace qhost::training {
namespace {

namespace fs = std::filesystem;

constexpr const char* model_prefix = "model/";

fs::path file_of(const fs::path& source) {
  if (!fs::is_directory(source)) return source;
  std::vector<std::string> passed_over;
  const storage::RunDirectory run = storage::RunDirectory::open(source);
  return find_checkpoint(run, "selected", passed_over).folder / "state.safetensors";
}

}  // namespace

InitialWeights read_initial_weights(const fs::path& source) {
  InitialWeights weights;
  weights.file = file_of(source);
  const storage::File file = storage::File::read(weights.file);
  weights.sha256 = storage::sha256_file(weights.file);
  weights.tensors = read_tensors(file, model_prefix);
  if (weights.tensors.empty()) weights.tensors = read_tensors(file, "");
  std::erase_if(weights.tensors,
                [](const auto& entry) { return entry.first.find('/') != std::string::npos; });
  return weights;
}

void require_weights(const Model& model, const InitialWeights& weights) {
  try {
    model.require_weights(weights.tensors);
  } catch (const Error& error) {
    throw Error(error.kind(),
                "train.init_from = " + weights.file.string() + ": " + error.what() +
                    "\nhelp: give [model] the architecture and options of the network "
                    "that the weights were trained in");
  }
}

nlohmann::json record(const InitialWeights& weights, const Model& model) {
  nlohmann::json tensors = nlohmann::json::object();
  for (const NamedTensor& entry : model.state()) {
    tensors[entry.name] = weights.tensors.count(entry.name) != 0 ? "loaded" : "initialised";
  }
  return {{"file", weights.file.string()}, {"sha256", weights.sha256}, {"tensors", tensors}};
}

}  // namespace qhost::training

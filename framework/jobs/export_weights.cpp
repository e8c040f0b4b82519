#include "jobs/export_weights.h"

#include <ATen/ATen.h>

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/version.h"
#include "graph/inference_graph_json.h"
#include "jobs/load_run.h"
#include "jobs/run.h"
#include "model/slot_math.h"
#include "model/stored.h"
#include "runs/run_directory.h"
#include "storage/safetensors.h"
#include "storage/tensor_bytes.h"

namespace qhost::jobs {
namespace {

using Named = std::map<std::string, at::Tensor>;

std::string dtype_of(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kFloat ? "F32"
         : tensor.scalar_type() == at::kInt ? "I32"
                                            : "U8";
}

/// Views into the tensors, which must be contiguous and outlive them.
storage::Tensors views_of(const Named& tensors) {
  storage::Tensors views;
  for (const auto& [name, tensor] : tensors) {
    views[name] = storage::TensorView{dtype_of(tensor), tensor.sizes().vec(),
                                      static_cast<const std::byte*>(tensor.const_data_ptr()),
                                      tensor.nbytes()};
  }
  return views;
}

void add(Named& all, const std::string& name, const at::Tensor& tensor) {
  if (!tensor.defined()) return;
  all[name] = tensor.dim() == 0 ? tensor.reshape({1}) : tensor.contiguous();
}

/// The values, and what they are made of.
void add(Named& all, const std::string& name, const StoredTensor& tensor) {
  const Encoded parts = encoded(tensor, at::kCPU);
  const bool scalar = tensor.shape.empty();
  add(all, name, scalar ? parts.codes : decode(parts));
  if (parts.encoding.is_float()) return;
  add(all, name + ".codes", parts.codes.to(at::kByte));
  add(all, name + ".scale", parts.scale);
  add(all, name + ".zero_point", parts.zero_point);
  add(all, name + ".table", parts.table);
}

InferenceGraph graph_of(const WeightsRequest& request, Registry& registry, ExportedWeights& result,
                        std::string& name) {
  const runs::RunDirectory run = runs::RunDirectory::open(request.run);
  const config::Experiment experiment = experiment_of_run(run.path(), registry);
  name = experiment.name;
  LoadedRun loaded =
      load_last_phase(run, experiment, registry, request.checkpoint, result.complaints);
  result.checkpoint = loaded.checkpoint;
  return loaded.model->inference_graph(loaded.position);
}

}  // namespace

ExportedWeights export_weights(const WeightsRequest& request, Registry& registry) {
  ExportedWeights result;
  std::string name;
  const InferenceGraph graph = graph_of(request, registry, result, name);
  Named tensors;
  nlohmann::json encodings = nlohmann::json::object();
  for (const auto& [tensor_name, tensor] : graph.tensors) {
    add(tensors, tensor_name, tensor);
    encodings[tensor_name] = to_json(tensor.encoding);
    result.tensors.push_back({tensor_name, tensor.shape, to_string(tensor.encoding),
                              stored_bytes(tensor.encoding, tensor.shape)});
  }
  const storage::Metadata metadata = {{"format", "qhost.weights"},
                                      {"version", "1"},
                                      {"qhost", version()},
                                      {"name", name},
                                      {"encodings", encodings.dump()}};
  result.sha256 = storage::write_safetensors(request.file, views_of(tensors), metadata);
  return result;
}

}  // namespace qhost::jobs

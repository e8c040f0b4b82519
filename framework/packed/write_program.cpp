// Writing a packed file.
#include <cmath>
#include <cstring>
#include <deque>

#include "common/defect.h"
#include "packed/program_file.h"
#include "packed/program_words.h"
#include "sdk/codebook_levels.h"
#include "storage/safetensors.h"

namespace qhost::packed {
namespace {

using nlohmann::json;

template <class Number>
constexpr const char* dtype_of() {
  if constexpr (std::is_same_v<Number, float>) return "F32";
  if constexpr (std::is_same_v<Number, std::int32_t>) return "I32";
  if constexpr (std::is_same_v<Number, std::int8_t>) return "I8";
  return "U8";
}

json size_json(const Size2& size) {
  if (size.height == size.width) return size.height;
  return {size.height, size.width};
}

class Writer {
 public:
  explicit Writer(const Program& program) : program_(program) {
    const std::string why = why_invalid(program);
    if (!why.empty()) throw defect("a packed network is not sound: " + why);
    for (const Step& step : program.steps) steps_.push_back(step_json(step));
  }

  std::string bytes() const {
    const json program = {{"output", program_.output}, {"steps", steps_}};
    return storage::serialize(tensors_, {{"format", file_format},
                                         {"version", std::to_string(version())},
                                         {"program", program.dump()},
                                         {"provenance", provenance().dump()}});
  }
  std::int64_t data_bytes() const {
    std::int64_t sum = 0;
    for (const auto& [unused, view] : tensors_) sum += static_cast<std::int64_t>(view.bytes);
    return sum;
  }

 private:
  /// The first version that has all of it: an older reader takes what it knows.
  int version() const {
    for (const Step& step : program_.steps) {
      if (step.op == StepOp::round || (step.weight && tells_levels(step.weight->encoding)) ||
          (step.codes && tells_levels(step.codes->encoding))) {
        return 2;
      }
    }
    return 1;
  }

  json provenance() const {
    const Provenance& p = program_.provenance;
    return {{"name", p.name},
            {"classes", p.class_names},
            {"mean", p.mean},
            {"std", p.deviation},
            {"more", p.more}};
  }

  template <class Number>
  void add(const std::string& name, const std::vector<Number>& values,
           std::vector<std::int64_t> shape) {
    tensors_[name] = {dtype_of<Number>(), std::move(shape),
                      reinterpret_cast<const std::byte*>(values.data()),
                      values.size() * sizeof(Number)};
  }

  /// Into the JSON where that is shorter, else a tensor. `per_channel` rows are [C, n].
  template <class Number>
  void put(json& object, const char* key, const std::string& name,
           const std::vector<Number>& values, std::int64_t columns = 1) {
    if (values.empty()) return;
    bool finite = true;
    for (const Number value : values) finite = finite && std::isfinite(static_cast<double>(value));
    if (finite && values.size() <= inline_numbers) {
      object[key] = values;
      return;
    }
    const auto count = static_cast<std::int64_t>(values.size());
    add(name, values,
        columns == 1 || count == columns ? std::vector<std::int64_t>{count}
                                         : std::vector<std::int64_t>{count / columns, columns});
  }

  json step_json(const Step& step) {
    json object = {{"name", step.name}, {"op", to_string(step.op)}};
    if (!step.inputs.empty()) object["in"] = step.inputs;
    put_options(object, step);
    if (step.weight) put_weight(object, step);
    put_numbers(object, step);
    if (step.codes) put_codes(object, step);
    return object;
  }

  static void put_options(json& object, const Step& step) {
    if (step.op == StepOp::input) object["shape"] = step.shape.dims;
    if (step.op == StepOp::subsample) object["channels"] = step.channels();
    const bool pools = step.op == StepOp::max_pool || step.op == StepOp::average_pool;
    if (pools) object["kernel"] = size_json(step.kernel);
    if (step.stride != Size2(1)) object["stride"] = size_json(step.stride);
    if (step.padding != Size2(0)) object["pad"] = size_json(step.padding);
    if (step.groups != 1) object["groups"] = step.groups;
    if (step.padding_level != 0) object["pad_level"] = step.padding_level;
    if (step.position) object["position"] = true;
    if (step.op == StepOp::round) object["to"] = to_string(step.rounding);
    if (step.op == StepOp::activation) {
      object["kind"] = qhost::to_string(step.activation);
      if (step.activation == Activation::leaky_relu) object["slope"] = step.slope;
    }
  }

  static void put_bits(json& about, const Encoding& encoding) {
    if (encoding.kind == CodeKind::uniform || encoding.kind == CodeKind::codebook) {
      about["bits"] = encoding.bits;
    }
    if (tells_levels(encoding)) about["levels"] = encoding.levels;
  }

  void put_weight(json& object, const Step& step) {
    const StoredTensor& weight = *step.weight;
    const Encoding& encoding = weight.encoding;
    json about = {{"kind", to_string(encoding.kind)}, {"shape", weight.shape}};
    put_bits(about, encoding);
    put(about, "zero_point", step.name + weight_zero_point_suffix, weight.zero_point);
    put(about, "table", step.name + weight_table_suffix, weight.table, encoding.levels);
    const std::string name = step.name + weight_suffix;
    const auto count = static_cast<std::int64_t>(weight.codes.size());
    if (encoding.is_float()) {
      const char* dtype = encoding.kind == CodeKind::float32   ? "F32"
                          : encoding.kind == CodeKind::float16 ? "F16"
                                                               : "U16";
      tensors_[name] = {dtype, weight.shape,
                        reinterpret_cast<const std::byte*>(weight.codes.data()),
                        weight.codes.size()};
    } else {
      add(name, weight.codes, {count});
    }
    object["weight"] = std::move(about);
  }

  void put_numbers(json& object, const Step& step) {
    if (has_affine_tensor(step)) {
      std::vector<float>& both = kept_.emplace_back(step.scale);
      both.insert(both.end(), step.bias.begin(), step.bias.end());
      add(step.name + affine_suffix, both, {2, static_cast<std::int64_t>(step.scale.size())});
      return;
    }
    put(object, "scale", step.name + scale_suffix, step.scale);
    put(object, "bias", step.name + bias_suffix, step.bias);
  }

  void put_codes(json& object, const Step& step) {
    const Codes& codes = *step.codes;
    json about = {{"kind", to_string(codes.encoding.kind)}};
    put_bits(about, codes.encoding);
    put(about, "scale", step.name + code_scale_suffix, codes.scale);
    put(about, "zero_point", step.name + code_zero_point_suffix, codes.zero_point);
    put(about, "table", step.name + code_table_suffix, codes.table, codes.encoding.levels);
    object["codes"] = std::move(about);
    const std::int64_t columns = codes.count() - 1;
    put(object, "threshold", step.name + threshold_suffix, step.thresholds, columns);
    put(object, "threshold", step.name + threshold_suffix, step.sum_thresholds, columns);
    put(object, "direction", step.name + direction_suffix, step.direction);
  }

  const Program& program_;
  json steps_ = json::array();
  storage::Tensors tensors_;
  std::deque<std::vector<float>> kept_;
};

}  // namespace

std::string to_bytes(const Program& program) {
  return Writer(program).bytes();
}

std::int64_t data_bytes(const Program& program) {
  return Writer(program).data_bytes();
}

std::int64_t weight_bytes(const Program& program) {
  std::int64_t sum = 0;
  for (const Step& step : program.steps) {
    if (!step.weight) continue;
    sum += static_cast<std::int64_t>(
        step.weight->codes.size() +
        4 * (step.weight->zero_point.size() + step.weight->table.size() + step.scale.size()));
  }
  return sum;
}

}  // namespace qhost::packed

#include "runs/run_result.h"

#include <cmath>
#include <limits>
#include <system_error>

#include "qhost/error.h"
#include "storage/atomic_file.h"

namespace qhost::runs {
namespace {

using nlohmann::json;

/// Calls `visit(key, member)` for each key of result.json.
template <class Result, class Visit>
void for_each_key(Result& result, const Visit& visit) {
  visit("status", result.status);
  visit("error", result.error);
  visit("exit_code", result.exit_code);
  visit("run_dir", result.run_dir);
  visit("name", result.name);
  visit("label", result.label);
  visit("qhost", result.qhost);
  visit("commit", result.commit);
  visit("epochs", result.epochs);
  visit("steps", result.steps);
  visit("seconds", result.seconds);
  visit("quantized_layers", result.quantized_layers);
  visit("quantized_inputs", result.quantized_inputs);
  visit("parameters", result.parameters);
  visit("macs", result.macs);
  visit("weight_bytes", result.weight_bytes);
  visit("float_weight_bytes", result.float_weight_bytes);
  visit("bits_per_weight", result.bits_per_weight);
  visit("bits_per_input", result.bits_per_input);
  visit("verified", result.verified);
  visit("verification", result.verification);
  visit("data", result.data);
  visit("data_remark", result.data_remark);
  visit("dataset_provenance", result.dataset_provenance);
  visit("allowed", result.allowed);
  visit("test_accuracy", result.test_accuracy);
  visit("test_top5_accuracy", result.test_top5_accuracy);
  visit("test_loss", result.test_loss);
  visit("test_loss_without_label_smoothing", result.test_loss_without_label_smoothing);
  visit("test_samples", result.test_samples);
  visit("test_per_class", result.test_per_class);
  visit("test_accuracy_before_bn_recalibration", result.test_accuracy_before_bn_recalibration);
  visit("test_loss_before_bn_recalibration", result.test_loss_before_bn_recalibration);
  visit("bn_recalibration_batches", result.bn_recalibration_batches);
  visit("selected_by", result.selected_by);
  visit("best_epoch", result.best_epoch);
  visit("validation_accuracy", result.validation_accuracy);
  visit("validation_is_test_images", result.validation_is_test_images);
  visit("quantizer", result.quantizer);
  visit("float_test_accuracy", result.float_test_accuracy);
  visit("float_test_loss", result.float_test_loss);
  visit("init_from", result.init_from);
  visit("parent", result.parent);
}

/// The place of a value in a file: "test_per_class[3].correct".
struct Place {
  const std::filesystem::path& file;
  std::string key;
  Place at(const std::string& further) const { return {file, key + further}; }
};

/// The JSON type of a value with its article: "an integer", "null".
std::string type_of(const json& value) {
  if (value.is_null()) return "null";
  if (value.is_number_integer()) return "an integer";
  return (value.is_array() || value.is_object() ? "an " : "a ") + std::string(value.type_name());
}

[[noreturn]] void refuse(const Place& place, const std::string& expected, const json& found) {
  throw Error(
      ErrorKind::storage,
      place.file.string() + ": `" + place.key + "` must be " + expected + " and is " +
          type_of(found),
      "restore the file from a backup, or remove it and go on with the run by --resume, which "
      "writes it again");
}

void read(const Place& place, const json& value, std::string& out) {
  if (!value.is_string()) refuse(place, "a string", value);
  out = value.get<std::string>();
}

void read(const Place& place, const json& value, bool& out) {
  if (!value.is_boolean()) refuse(place, "a boolean", value);
  out = value.get<bool>();
}

void read(const Place& place, const json& value, std::int64_t& out) {
  if (!value.is_number_integer()) refuse(place, "an integer", value);
  out = value.get<std::int64_t>();
}

void read(const Place& place, const json& value, double& out) {
  if (!value.is_number() && !value.is_null()) refuse(place, "a number or null", value);
  out = value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

/// Any JSON value.
void read(const Place&, const json& value, json& out) {
  out = value;
}

void require_object(const Place& place, const json& value) {
  if (!value.is_object()) refuse(place, "an object", value);
}

template <class Member>
void read_member(const Place& place, const json& object, const std::string& key, Member& out) {
  if (const auto found = object.find(key); found != object.end()) {
    read(place.at('.' + key), *found, out);
  }
}

void read(const Place& place, const json& value, RunResult::ClassCount& out) {
  require_object(place, value);
  read_member(place, value, "correct", out.correct);
  read_member(place, value, "samples", out.samples);
}

void read(const Place& place, const json& value, RunResult::Seconds& out) {
  require_object(place, value);
  read_member(place, value, "training", out.training);
  read_member(place, value, "evaluation", out.evaluation);
  read_member(place, value, "test", out.test);
}

void read(const Place& place, const json& value, RunResult::FirstWeights& out) {
  require_object(place, value);
  read_member(place, value, "file", out.file);
  read_member(place, value, "sha256", out.sha256);
}

template <class Element>
void read(const Place& place, const json& value, std::vector<Element>& out) {
  if (!value.is_array()) refuse(place, "an array", value);
  for (std::size_t i = 0; i < value.size(); ++i) {
    read(place.at('[' + std::to_string(i) + ']'), value[i], out.emplace_back());
  }
}

json value_of(const RunResult::ClassCount& count) {
  return {{"correct", count.correct}, {"samples", count.samples}};
}

json value_of(const RunResult::Seconds& seconds) {
  return {
      {"training", seconds.training}, {"evaluation", seconds.evaluation}, {"test", seconds.test}};
}

json value_of(const RunResult::FirstWeights& weights) {
  return {{"file", weights.file}, {"sha256", weights.sha256}};
}

json value_of(const std::vector<RunResult::ClassCount>& counts) {
  json list = json::array();
  for (const RunResult::ClassCount& count : counts) list.push_back(value_of(count));
  return list;
}

template <class Value>
json value_of(const Value& value) {
  return value;
}

}  // namespace

bool RunResult::has_no_finite_loss() const {
  return test_loss && !std::isfinite(*test_loss);
}

json to_json(const RunResult& result) {
  json out = json::object();
  for_each_key(result, [&](const char* key, const auto& member) {
    if (member) out[key] = value_of(*member);
  });
  return out;
}

RunResult run_result_from_json(const json& object, const std::filesystem::path& file) {
  RunResult result;
  for_each_key(result, [&](const char* key, auto& member) {
    const auto found = object.find(key);
    if (found != object.end()) read({file, key}, *found, member.emplace());
  });
  if (result.parent) require_object({file, "parent"}, *result.parent);
  return result;
}

std::optional<RunResult> read_run_result(const std::filesystem::path& file,
                                         const std::string& help) {
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return {};
  const json object = json::parse(storage::read_file(file), nullptr, /*allow_exceptions=*/false);
  if (object.is_object()) return run_result_from_json(object, file);
  throw Error(ErrorKind::storage, file.string() + " is damaged: it is no JSON object", help);
}

}  // namespace qhost::runs

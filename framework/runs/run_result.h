/// runs/run_result.h: the content of result.json, with a type for each key.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace qhost::runs {

/// The outcome of a run. Each member has the name of its key in result.json (docs/formats.md). An
/// empty member is a missing key: an older build did not write it, or it does not apply. Accuracies
/// are fractions of 1. A number that is not finite is NaN here and null in JSON.
struct RunResult {
  struct ClassCount {
    std::int64_t correct = 0, samples = 0;
    bool operator==(const ClassCount&) const = default;
  };
  /// Clock times. The first two are the sums of `seconds` in metrics.jsonl.
  struct Seconds {
    double training = 0;    ///< the training steps
    double evaluation = 0;  ///< the evaluations of epochs
    double test = 0;        ///< the final evaluation
    bool operator==(const Seconds&) const = default;
  };
  /// The file of the first weights.
  struct FirstWeights {
    std::string file, sha256;
    bool operator==(const FirstWeights&) const = default;
  };

  /// "finished", "failed", "diverged", "interrupted".
  std::optional<std::string> status;
  std::optional<std::string> error;  ///< why the run failed or diverged
  std::optional<std::int64_t> exit_code;
  std::optional<std::string> run_dir, name, label;
  std::optional<std::string> qhost, commit;  ///< version and commit of the build
  std::optional<std::int64_t> epochs, steps;
  std::optional<Seconds> seconds;

  std::optional<std::int64_t> quantized_layers, quantized_inputs, parameters, macs;
  std::optional<std::int64_t> weight_bytes, float_weight_bytes;
  std::optional<double> bits_per_weight, bits_per_input;
  /// Whether the packed network computes what was trained: a boolean; null: not verified.
  std::optional<nlohmann::json> verified;
  std::optional<nlohmann::json> verification;  ///< an object: its figures

  std::optional<std::string> data, data_remark, dataset_provenance;
  std::optional<std::vector<std::string>> allowed;

  std::optional<double> test_accuracy, test_top5_accuracy, test_loss;
  std::optional<double> test_loss_without_label_smoothing;
  std::optional<std::int64_t> test_samples;
  std::optional<std::vector<ClassCount>> test_per_class;
  std::optional<double> test_accuracy_before_bn_recalibration, test_loss_before_bn_recalibration;
  std::optional<std::int64_t> bn_recalibration_batches;
  std::optional<std::string> selected_by;
  std::optional<std::int64_t> best_epoch;
  std::optional<double> validation_accuracy;
  std::optional<bool> validation_is_test_images;

  std::optional<std::string> quantizer;  ///< the method, from `qhost quantize`; so are the next two
  std::optional<double> float_test_accuracy, float_test_loss;
  std::optional<FirstWeights> init_from;
  std::optional<nlohmann::json> parent;  ///< an object: parent.json

  /// Whether the test loss is there and not finite. The accuracy is then meaningless. Older builds
  /// called such a run finished.
  bool has_no_finite_loss() const;
};

/// An object with the key of each member that is not empty.
nlohmann::json to_json(const RunResult& result);
/// Ignores unknown keys. Throws Error (storage) for a value of a wrong type; the message names
/// `file`, the key and both types.
RunResult run_result_from_json(const nlohmann::json& object, const std::filesystem::path& file);
/// Reads a result.json; empty if the file does not exist. Also throws Error (storage) for a file
/// that is not a JSON object, with this `help`.
std::optional<RunResult> read_run_result(const std::filesystem::path& file,
                                         const std::string& help);

}  // namespace qhost::runs

#include "jobs/run_record.h"

#include <new>

#include "common/version.h"
#include "jobs/verify_run.h"
#include "model/exception_text.h"
#include "model/layer_plans.h"
#include "qhost/error.h"
#include "report/summary.h"
#include "storage/atomic_file.h"
#include "training/interrupt.h"

namespace qhost::jobs {

namespace fs = std::filesystem;

nlohmann::json read_json(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) return nlohmann::json::object();
  auto json = nlohmann::json::parse(storage::read_file(file), nullptr, /*allow_exceptions=*/false);
  return json.is_object() ? json : nlohmann::json::object();
}

void write_json(const fs::path& file, const nlohmann::json& json) {
  storage::write_file_atomically(file, json.dump(2) + "\n");
}

void record_beginning(const runs::RunDirectory& run, const nlohmann::json& here,
                      const nlohmann::json& identity,
                      const std::optional<Continuation>& continuation,
                      const config::Experiment& experiment) {
  write_json(run.environment(), here);
  write_json(run.identity(), identity);
  if (continuation) write_parent(run.path(), continuation->record);
  storage::write_file_atomically(run.resolved(), experiment.resolved_toml());
}

runs::RunResult begin_result(const config::Experiment& experiment, const Model& model,
                             const data::Dataset& data, const runs::RunDirectory& run,
                             runs::RunResult result) {
  const report::Summary summary =
      report::summarize(model.graph(), layer_plans(model.graph(), model.plan()));
  result.run_dir = run.path().string();
  result.name = experiment.name;
  result.qhost = version();
  result.commit = commit();
  result.quantized_layers = summary.quantized_weights;
  result.quantized_inputs = summary.quantized_inputs;
  result.parameters = summary.parameters;
  result.macs = summary.macs;
  result.weight_bytes = summary.weight_bytes;
  result.float_weight_bytes = summary.float_weight_bytes;
  result.bits_per_weight = summary.bits_per_weight;
  result.bits_per_input = summary.bits_per_input;
  result.verified = nlohmann::json();
  result.data = data.name;
  result.data_remark = data.remark;
  result.dataset_provenance = data.provenance;
  return result;
}

void add_origin(const runs::RunDirectory& run, runs::RunResult& result) {
  if (const nlohmann::json record = read_parent(run.path()); !record.is_null()) {
    result.parent = record;
  }
  if (fs::exists(run.init_from())) {
    const nlohmann::json source = read_json(run.init_from());
    result.init_from = {.file = source.value("file", ""), .sha256 = source.value("sha256", "")};
  }
}

void add_metrics(training::Trainer& trainer, const data::Dataset& data,
                 training::Progress& progress, runs::RunResult& result) {
  const training::EvaluationResult evaluation = trainer.test();
  const training::MetricsResult& test = evaluation.metrics;
  result.test_accuracy = test.top1;
  result.test_top5_accuracy = test.top5;
  result.test_loss = test.loss;
  result.test_loss_without_label_smoothing = test.unsmoothed_loss;
  result.test_samples = test.samples;
  result.test_per_class.emplace();
  for (const training::ClassCount& count : test.per_class) {
    result.test_per_class->push_back({count.correct, count.samples});
  }
  if (evaluation.before_recalibration) {
    result.test_accuracy_before_bn_recalibration = evaluation.before_recalibration->top1;
    result.test_loss_before_bn_recalibration = evaluation.before_recalibration->loss;
    result.bn_recalibration_batches = evaluation.recalibration_batches;
  }
  result.selected_by = trainer.selected_by();
  if (trainer.state().best_epoch < 0) return;
  result.best_epoch = trainer.state().best_epoch + 1;
  result.validation_accuracy = trainer.state().best_accuracy;
  result.validation_is_test_images = data.validation_is_test_images;
  if (data.validation_is_test_images) {
    progress.note("warning: the validation images of " + data.name +
                  " are also test images, so that the choice of the best epoch has seen them");
  }
}

void add_verification(const config::Experiment& experiment, Model& model, const data::Dataset& data,
                      const training::Trainer& trainer, training::Progress& progress,
                      runs::RunResult& result) {
  const std::string how = experiment.train.string("verify");
  result.verified = nlohmann::json();
  if (how == "off") return;
  Verification verification;
  // A finished training stays one, whatever stands in the way of its proof.
  const auto give_up = [&](const std::string& why) {
    progress.note("not verified: " + why);
    result.verification = nlohmann::json::object({{"not_verified", why}});
  };
  try {
    const packed::Program program = packed_network(model, trainer.tested_at());
    verification = verify_program(model, program, verified_images(data.test, how == "sample"),
                                  training::evaluation_settings(experiment, data),
                                  trainer.tested_at(), training::watch(progress, "verification"));
  } catch (const training::Interrupted&) {
    throw;
  } catch (const Error& error) {
    return give_up(error.message());
  } catch (const std::bad_alloc&) {
    return give_up("there is not enough memory");
  } catch (const std::exception&) {
    return give_up(exception_text());
  }
  nlohmann::json json = verification.to_json();
  json.erase("layers");
  json["sample"] = how == "sample";
  result.verification = std::move(json);
  result.verified = verification.passed();
  for (const std::string& note : verification.notes) progress.note("note: " + note);
  for (const std::string& failure : verification.failures) {
    progress.note("warning: the packed network does not compute what was trained: " + failure);
  }
}

void write_result(const runs::RunDirectory& run, const runs::RunResult& result,
                  training::Progress& progress) {
  write_json(run.result(), to_json(result));
  if (const std::string why = run.point_latest(); !why.empty()) progress.note("warning: " + why);
}

runs::RunResult kept_result(const runs::RunDirectory& run) {
  runs::RunResult result = runs::read_run_result(run.result(), "continue the run with --resume")
                               .value_or(runs::RunResult());
  result.run_dir = run.path().string();
  return result;
}

}  // namespace qhost::jobs

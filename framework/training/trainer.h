/// training/trainer.h: the training loop.
///
/// The order of events, which tests assert (Trainer::run):
///
///     start: initialize, calibrate                       or: restore the newest checkpoint, and
///                                                        do the evaluation that it says is pending
///     for each step
///         a signal came?                 -> checkpoint, interrupted
///         batch, forward, loss, backward
///         loss finite?                   -> else diverged; nothing is overwritten
///         optimizer step, after_step
///         at an epoch's end
///             training figures -> metrics.jsonl
///             checkpoint                               every `checkpoint_every` epochs and at the
///                                                      end; it says whether an evaluation is due
///             evaluate         -> metrics.jsonl        every `evaluate_every` epochs and at the
///                                                      end; a signal -> interrupted, still pending
///             best             -> checkpoints/best     on the validation set only
///
/// A checkpoint is only written between two steps. The checkpoint at the end of an epoch comes
/// before the epoch's evaluation, so that an error in the evaluation cannot lose the epoch. An
/// evaluation that fails is reported, leaves a line in metrics.jsonl and selects nothing, and the
/// training continues.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/experiment.h"
#include "data/data_loader.h"
#include "data/dataset.h"
#include "model/model.h"
#include "runs/checkpoint.h"
#include "runs/run_directory.h"
#include "storage/json_lines.h"
#include "training/batch.h"
#include "training/batch_sizes.h"
#include "training/evaluate.h"
#include "training/loss.h"
#include "training/metrics.h"
#include "training/optimizer.h"
#include "training/progress.h"
#include "training/run_clock.h"
#include "training/schedule.h"

namespace qhost::storage {
class TensorBytes;
}

namespace qhost::training {

/// The state of the loop that a checkpoint stores beside tensors. Everything else is a function of
/// the configuration and `step`.
struct LoopState {
  std::int64_t step = 0;  ///< optimizer steps done
  double epoch_loss = 0;  ///< sum over the images of the current epoch
  std::int64_t epoch_correct = 0, epoch_images = 0;
  double best_accuracy = -1;     ///< on the validation set; -1: none yet
  double best_loss = 0;          ///< decides between equal accuracies
  std::int64_t best_epoch = -1;  ///< from 0
  /// The epoch that ends with `step` is not evaluated yet; its sums are kept until then.
  /// Checkpoints of versions that evaluated first do not have it: false.
  bool evaluation_pending = false;

  nlohmann::json to_json() const;
  static LoopState from_json(const nlohmann::json& json);
  bool operator==(const LoopState&) const = default;
};

enum class Outcome { finished, interrupted };

class Trainer {
 public:
  /// All references must outlive the trainer; `run` is locked.
  Trainer(const config::Experiment& experiment, Model& model, const data::Dataset& data,
          const runs::RunDirectory& run, Progress& progress);
  ~Trainer();

  /// For a new run: draws the parameters or takes `weights`, but for the nodes named in `drawn`,
  /// and calibrates if a method needs it.
  void start(const std::map<std::string, at::Tensor>* weights = nullptr,
             const std::set<std::string>& drawn = {});
  /// Continues from the newest intact checkpoint and cuts metrics.jsonl back to it. Returns false
  /// if there is none yet. Damaged checkpoints are reported through Progress::note.
  bool restore();
  /// Begins at a checkpoint of another run, as its child (jobs/parent_run.h); `step` is the child's
  /// number of that step. metrics.jsonl and, with `has_best`, the best weights are already copied.
  /// Writes the first checkpoint.
  void continue_from(const runs::LoadedCheckpoint& parent, std::int64_t step, bool has_best);
  /// Trains to the end or to a signal. Throws Error: diverged, with the first bad layer; storage,
  /// if the first checkpoint cannot be written.
  Outcome run();

  /// After run(): evaluates the selected weights on the test set: the best on the validation set if
  /// there is one (they are loaded), else the last. The result also says how they were selected.
  /// With `train.bn_recalibrate`, the batch norms are recalibrated: this is the last use of the
  /// model, after the last checkpoint. Throws Error (diverged) if the test loss is not finite, or
  /// the last validation loss was not (training/divergence.h).
  EvaluationResult test();
  std::string selected_by() const;
  /// After test(): the position that it evaluated at. The model is as it was evaluated.
  const RunPosition& tested_at() const { return tested_at_; }

  const LoopState& state() const { return state_; }
  std::int64_t steps_per_epoch() const { return batches_.steps_per_epoch(); }
  std::int64_t total_steps() const { return total_steps_; }
  std::int64_t epochs_done() const;
  RunPosition position() const;
  /// Clock times of the whole run, all its sessions included.
  RunSeconds seconds() const;
  /// Set if the last checkpoint could not be written.
  const std::optional<std::string>& storage_failure() const { return storage_failure_; }

 private:
  void take(const runs::LoadedCheckpoint& checkpoint);
  /// Goes on with metrics.jsonl, and with the times in it.
  void open_metrics();
  void work();
  void train_step();
  void end_of_epoch();
  EpochReport epoch_report() const;
  void write_training_line(EpochReport& report);
  /// Runs the pending evaluation; nothing is pending afterwards, even if it failed.
  void evaluate_epoch(EpochReport& report);
  void try_evaluation(EpochReport& report);
  void calibrate(bool pretrained);
  void checkpoint();
  void add_all(storage::TensorBytes& tensors) const;
  void write_checkpoint();
  /// Throws Error (diverged): no run can continue from weights that are not finite.
  void require_finite_state() const;
  void save_best(const MetricsResult& validation);
  bool is_due(std::int64_t every) const;
  void write_metrics(nlohmann::json line);
  void fail_if_diverged(double loss, const Batch& batch);
  void require_finite_validation();
  std::vector<std::pair<std::string, at::Tensor>> latent_weights() const;
  nlohmann::json checkpoint_state() const;
  nlohmann::json checkpoint_notes() const;
  void report_step();
  /// Reports the evaluation of an epoch or, without one, the final evaluation, and times it.
  EvaluationWatch watch(const std::string& split, std::optional<std::int64_t> epoch);
  double seconds_left(double images_being_evaluated) const;

  const config::Experiment& experiment_;
  Model& model_;
  const data::Dataset& data_;
  const runs::RunDirectory& run_;
  Progress& progress_;
  const Options& train_;
  data::DataLoader batches_;
  BatchBuffer buffer_;
  std::unique_ptr<Optimizer> optimizer_;
  Schedule schedule_;
  EvaluationSettings evaluation_;
  SignFlips sign_flips_;
  std::unique_ptr<storage::JsonLinesWriter> metrics_;
  std::int64_t total_steps_ = 0;
  LoopState state_;
  std::int64_t saved_step_ = -1;  ///< step of the newest checkpoint, -1: none
  std::optional<std::string> storage_failure_;
  // Clock times, which are shown but never part of what is computed or hashed.
  RunSeconds seconds_;
  double epoch_seconds_ = 0;       ///< of the training steps of an epoch that is not over
  RunClock clock_;                 ///< this session's
  std::int64_t final_passes_ = 0;  ///< begun
  RunPosition tested_at_;
};

}  // namespace qhost::training

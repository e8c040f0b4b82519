// Whole runs that use every part of the contract, interrupted and not: the same bits at the end.
#include <ATen/ops/equal.h>

#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>

#include "config/load.h"
#include "jobs/catalog.h"
#include "jobs/run.h"
#include "plugins.h"
#include "runs/checkpoint.h"
#include "storage/tensor_bytes.h"
#include "training/ran.h"

namespace qhost {
namespace {

namespace fs = std::filesystem;

struct Combination {
  std::string name;
  std::string precision;
  std::string quantizers;             ///< TOML
  std::vector<std::string> expected;  ///< names of some of the state tensors
};

void PrintTo(const Combination& combination, std::ostream* out) {
  *out << combination.name;
}

const std::vector<Combination> combinations = {
    {"everything_at_once",
     "fp32",
     R"(
[[quantizer]]
name = "contract_weight"
stochastic = true
fold_batch_norm = true
calibrate = true
float_epochs = 1
step_learning_rate = 0.5
[[quantizer]]
name = "contract_input"
position_scale = true
calibrate = true
float_epochs = 1
)",
     {"conv1/weight.step", "conv3/weight.step", "conv3/input.step", "conv3/input.magnitude",
      "classify/input.batches"}},
    {"codebook_and_signed_inputs_of_every_kind",
     "bf16",
     R"(
[[quantizer]]
name = "contract_weight"
levels = "codebook"
bits = 2
keep_float = ["first"]
[[quantizer]]
name = "contract_input"
layers = ["conv2", "add", "conv3"]
keep_float = []
signed_values = true
joins = true
)",
     {"conv2/weight.table", "classify/weight.table", "add/input.step", "add/input1.magnitude"}},
    {"binaryconnect_ensemble_with_unsigned_inputs",
     "fp32",
     R"(
[[quantizer]]
name = "binaryconnect"
mode = "stochastic"
test_weights = "ensemble"
samples = 3
lr_scale = "glorot"
[[quantizer]]
name = "contract_input"
joins = true
)",
     {"classify/input.step", "pool/input.step", "add/input1.step"}},
    {"bwn_with_signed_inputs_scaled_per_position",
     "bf16",
     R"(
[[quantizer]]
name = "bwn"
gradient = "exact"
[[quantizer]]
name = "contract_input"
layers = ["conv2", "conv3"]
keep_float = []
bits = 1
signed_values = true
position_scale = true
)",
     {"conv2/input.magnitude"}},
};

/// Sends SIGTERM to this process once `stop` steps are done.
class StopAt : public training::Progress {
 public:
  explicit StopAt(std::int64_t stop) : stop_(stop) {}
  void step(const training::StepReport& report) override {
    if (report.step == stop_) std::raise(SIGTERM);
  }
  void epoch(const training::EpochReport&) override {}
  void note(const std::string& text) override { notes += text + "\n"; }
  std::string notes;

 private:
  std::int64_t stop_;
};

class ContractRun : public testing::TestWithParam<Combination> {
 protected:
  ContractRun()
      : folder_(fs::path(testing::TempDir()) / ("qhost-contract-" + std::to_string(::getpid())) /
                GetParam().name) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    std::ofstream(folder_ / "contract.toml") << R"(
[data]
name = "digits"
fraction = 0.4
[model]
name = "small"
[train]
epochs = 3
batch_size = 32
threads = 1
seed = 3
precision = ")" << GetParam().precision << R"("
[augment]
crop_padding = 1
[calibration]
batches = 4
[optimizer]
name = "adam"
learning_rate = 0.01
)" << GetParam().quantizers;
    jobs::ComponentCatalog catalog(*registry_);
    experiment_ =
        config::load_experiment_or_throw(folder_ / "contract.toml", {}, catalog).at(0).experiment;
  }
  ~ContractRun() override { fs::remove_all(folder_); }

  tests::Ran run(const std::string& directory, std::int64_t stop = -1) {
    StopAt progress(stop);
    jobs::RunRequest request;
    request.run_dir = (folder_ / directory).string();
    return tests::Ran(jobs::run_experiment(experiment_, request, *registry_, progress));
  }
  std::map<std::string, at::Tensor> last_checkpoint(const std::string& directory) {
    std::vector<std::string> complaints;
    const auto loaded = runs::load_newest(folder_ / directory / "checkpoints", complaints);
    EXPECT_THAT(complaints, testing::IsEmpty());
    if (!loaded) throw std::runtime_error("no checkpoint in " + directory);
    return storage::read_tensors(loaded->tensors, "");
  }
  /// The metrics without clock times.
  std::vector<nlohmann::json> metrics(const std::string& directory) {
    std::vector<nlohmann::json> lines;
    std::ifstream file(folder_ / directory / "metrics.jsonl");
    for (std::string line; std::getline(file, line);) {
      lines.push_back(nlohmann::json::parse(line));
      lines.back().erase("seconds");
    }
    return lines;
  }

  fs::path folder_;
  std::unique_ptr<Registry> registry_ = test::registry();
  config::Experiment experiment_;
};

TEST_P(ContractRun, TrainsEvaluatesSavesAndResumesToTheSameBits) {
  const tests::Ran whole = run("whole");
  ASSERT_EQ(whole.exit_code, 0);
  const std::int64_t steps = whole.json.at("steps");
  const std::int64_t epoch = steps / 3;

  // In the first epoch, at its end, and twice within the second; then to the end.
  for (const std::int64_t stop : {epoch / 2, epoch, epoch + 2, epoch + 5}) {
    const tests::Ran part = run("parts", stop);
    EXPECT_EQ(part.exit_code, 75);
    EXPECT_EQ(part.json.at("steps").get<std::int64_t>(), stop);
  }
  const tests::Ran resumed = run("parts");
  ASSERT_EQ(resumed.exit_code, 0);

  const auto expected = last_checkpoint("whole"), got = last_checkpoint("parts");
  ASSERT_EQ(expected.size(), got.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_EQ(got.count(name), 1U) << name;
    EXPECT_TRUE(at::equal(tensor, got.at(name))) << name;
  }
  EXPECT_EQ(metrics("whole"), metrics("parts"));
  for (const char* key : {"test_accuracy", "test_loss", "quantized_layers", "quantized_inputs"}) {
    EXPECT_EQ(whole.json.at(key), resumed.json.at(key)) << key;
  }

  // The network learned, and the slots' own tensors are part of the checkpoint.
  std::vector<double> losses;
  for (const nlohmann::json& line : metrics("whole")) {
    if (line.at("phase") == "train") losses.push_back(line.at("loss"));
  }
  ASSERT_EQ(losses.size(), 3U);
  EXPECT_LT(losses.back(), losses.front());
  for (const std::string& name : GetParam().expected) {
    EXPECT_EQ(expected.count("model/" + name), 1U) << name;
  }
}

TEST_P(ContractRun, EveryTensorOfASlotMattersAndMoves) {
  // A run without a step has the initial and calibrated values: training must change each one.
  ASSERT_EQ(run("moved").exit_code, 0);
  const auto after = last_checkpoint("moved");
  jobs::ComponentCatalog catalog(*registry_);
  experiment_ =
      config::load_experiment_or_throw(folder_ / "contract.toml", {"train.epochs=0"}, catalog)
          .at(0)
          .experiment;
  ASSERT_EQ(run("start").exit_code, 0);
  const auto before = last_checkpoint("start");
  std::set<std::string> unmoved;
  for (const auto& [name, tensor] : before) {
    if (name.rfind("model/", 0) == 0 && at::equal(tensor, after.at(name))) unmoved.insert(name);
  }
  // The counter of calibration is the only state that training does not change.
  for (const std::string& name : unmoved) EXPECT_THAT(name, testing::EndsWith(".batches"));
}

INSTANTIATE_TEST_SUITE_P(All, ContractRun, testing::ValuesIn(combinations),
                         [](const auto& which) { return which.param.name; });

}  // namespace
}  // namespace qhost

// Run directories of older builds (tests/data/runs): this build reads and resumes them.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <set>

#include "cli/command_line.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

json read_json(const fs::path& file) {
  return json::parse(slurp(file));
}

/// The bytes of each tensor of a safetensors file, with its type and shape.
std::map<std::string, std::string> tensors_of(const fs::path& file) {
  const std::string bytes = slurp(file);
  std::uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), sizeof header_size);
  const std::size_t data = sizeof header_size + header_size;
  std::map<std::string, std::string> tensors;
  const json header = json::parse(bytes.substr(sizeof header_size, header_size));
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const auto begin = entry.at("data_offsets").at(0).get<std::size_t>();
    const auto end = entry.at("data_offsets").at(1).get<std::size_t>();
    tensors[name] = entry.at("dtype").dump() + entry.at("shape").dump() +
                    bytes.substr(data + begin, end - begin);
  }
  return tensors;
}

/// The names of the tensors of `before` that are missing in `now` or have other bytes.
std::set<std::string> changed_tensors(const fs::path& before, const fs::path& now) {
  const auto theirs = tensors_of(now);
  std::set<std::string> changed;
  for (const auto& [name, value] : tensors_of(before)) {
    const auto found = theirs.find(name);
    if (found == theirs.end() || found->second != value) changed.insert(name);
  }
  return changed;
}

/// By the commit that made them. A processor with the same kernels reaches the results of the older
/// build to the bit; on another one, the last bits of a convolution differ.
class OlderRuns : public CommandLine, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    fs::copy(fs::path(QHOST_SOURCE_DIR) / "tests/data/runs" / GetParam(), workshop_.path(),
             fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  }

  fs::path run(const std::string& name) {
    return fs::canonical(workshop_ / "runs" / name / "latest");
  }

  bool has_their_kernels() {
    if (!their_kernels_) {
      ok({"run", "float.toml", "name=here", "train.max_steps=1"});
      const json here = read_json(run("here") / "environment.json"),
                 there = read_json(run("float") / "environment.json");
      const auto kernels = [](const json& environment) {
        return std::pair(environment.at("aten_cpu_capability"), environment.at("libtorch"));
      };
      their_kernels_ = here.at("cpu").at("model") == there.at("cpu").at("model") &&
                       here.at("cpu").at("flags") == there.at("cpu").at("flags") &&
                       kernels(here) == kernels(there);
    }
    return *their_kernels_;
  }

  /// Accuracy and loss on the test set, which has 450 images.
  void expect_figures(const json& now, const json& before) {
    for (const char* key : {"test_accuracy", "test_loss"}) {
      const auto one = now.at(key).get<double>(), other = before.at(key).get<double>();
      if (has_their_kernels()) {
        EXPECT_EQ(one, other) << key;
      } else {
        EXPECT_NEAR(one, other, key == std::string("test_loss") ? 1e-3 * other : 2.5 / 450) << key;
      }
    }
  }

 private:
  std::optional<bool> their_kernels_;
};

TEST_P(OlderRuns, AreEvaluatedToTheirResults) {
  for (const char* name : {"float", "bwn", "float_ptq_static", "whole"}) {
    SCOPED_TRACE(name);
    const json now = json::parse(ok({"eval", run(name), "--json"}).out);
    expect_figures(now, result_of(run(name)));
  }
  const json stopped =
      json::parse(ok({"eval", run("stopped"), "--split", "validation", "--json"}).out);
  EXPECT_EQ(stopped.at("samples"), 60);
}

TEST_P(OlderRuns, AreCompared) {
  Words words = {"compare", "--json"};
  for (const char* name : {"float", "bwn", "float_ptq_static", "whole", "stopped"}) {
    words.push_back(run(name));
  }
  const json comparison = json::parse(ok(words).out);
  const json& runs = comparison.at("runs");
  ASSERT_EQ(runs.size(), 5U);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const json result = result_of(run(fs::path(words[2 + i]).parent_path().filename()));
    EXPECT_EQ(runs[i].at("status"), result.at("status"));
    for (const char* key : {"weight_bytes", "bits_per_weight", "macs"}) {
      EXPECT_EQ(runs[i].at(key), result.at(key)) << key;
    }
    if (result.at("status") == "finished") {
      EXPECT_EQ(runs[i].at("test_accuracy"), result.at("test_accuracy"));
    }
    EXPECT_TRUE(runs[i].at("micronet_score").is_number()) << comparison.at("notes");
  }
  // The stopped run has the configuration of the whole one.
  EXPECT_EQ(runs[3].at("configuration"), runs[4].at("configuration"));
  EXPECT_EQ(comparison.at("configurations").size(), 4U);
  for (const json& difference : comparison.at("differences")) {
    EXPECT_NE(difference.at("key"), "data.name");
    EXPECT_NE(difference.at("key"), "augment.normalize");
  }
}

TEST_P(OlderRuns, AreQuantizedAsTheOlderBuildDid) {
  const json now =
      finished({"quantize", "runs/float/latest", "ptq_static", "--run-dir", "again", "--json"});
  const json before = result_of(run("float_ptq_static"));
  expect_figures(now, before);
  for (const char* key :
       {"bits_per_weight", "weight_bytes", "quantized_layers", "quantized_inputs"}) {
    EXPECT_EQ(now.at(key), before.at(key)) << key;
  }
  if (!has_their_kernels()) return;
  const char* file = "checkpoints/step-00000000/state.safetensors";
  EXPECT_THAT(changed_tensors(run("float_ptq_static") / file, (workshop_ / "again") / file),
              ::testing::IsEmpty());
}

TEST_P(OlderRuns, AreWeightsToStartFrom) {
  const Words from = {"run", "float.toml", "train.epochs=0", "--json"};
  const auto started = [&](const std::string& name) {
    Words words = from;
    words.insert(words.end(), {"train.init_from=runs/" + name + "/latest", "name=from_" + name});
    return finished(words);
  };
  expect_figures(started("float"), result_of(run("float")));
  // The latent weights are another network than the evaluated one; a message says so.
  const json latent = started("bwn");
  EXPECT_NE(latent.at("test_loss"), result_of(run("bwn")).at("test_loss"));
  EXPECT_THAT(latent.at("init_from").at("file").get<std::string>(), HasSubstr("runs/bwn/"));
}

TEST_P(OlderRuns, OneThatWasStoppedGoesOnToTheSameEnd) {
  const std::string note = ok({"run", "stopped.toml", "--resume", "auto"}).err;
  EXPECT_THAT(note, HasSubstr("at step 52 of 210"));
  const fs::path stopped = run("stopped"), whole = run("whole");
  const json now = result_of(stopped), before = result_of(whole);
  EXPECT_EQ(now.at("status"), "finished");
  EXPECT_EQ(now.at("steps"), before.at("steps"));

  const std::vector<json> lines = metrics_of(stopped), theirs = metrics_of(whole);
  ASSERT_EQ(lines.size(), theirs.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    SCOPED_TRACE("line " + std::to_string(i + 1));
    EXPECT_EQ(lines[i].at("phase"), theirs[i].at("phase"));
    EXPECT_EQ(lines[i].at("step"), theirs[i].at("step"));
    EXPECT_NEAR(lines[i].at("loss").get<double>(), theirs[i].at("loss").get<double>(), 0.1);
    EXPECT_EQ(lines[i].value("learning_rate", 0.0), theirs[i].value("learning_rate", 0.0));
    if (!has_their_kernels()) continue;
    EXPECT_EQ(lines[i].at("loss"), theirs[i].at("loss"));
    EXPECT_EQ(lines[i].at("accuracy"), theirs[i].at("accuracy"));
  }
  if (!has_their_kernels()) return;
  for (const char* key : {"test_accuracy", "test_loss", "best_epoch", "validation_accuracy"}) {
    EXPECT_EQ(now.at(key), before.at(key)) << key;
  }
  for (const char* folder : {"checkpoints/step-00000210", "checkpoints/best"}) {
    const fs::path file = fs::path(folder) / "state.safetensors";
    EXPECT_THAT(changed_tensors(whole / file, stopped / file), ::testing::IsEmpty()) << folder;
  }
}

TEST_P(OlderRuns, AFinishedOneIsFoundAndLeftAlone) {
  const auto files = checkpoint_files(run("bwn"));
  const std::string result = slurp(run("bwn") / "result.json");
  const ProcessResult again = ok({"run", "bwn.toml", "--resume", "auto", "--json"});
  EXPECT_THAT(again.err, HasSubstr("nothing to do: this configuration is finished in "));
  EXPECT_EQ(last_json_line(again.out).at("test_loss"), result_of(run("bwn")).at("test_loss"));
  EXPECT_EQ(checkpoint_files(run("bwn")), files);
  EXPECT_EQ(slurp(run("bwn") / "result.json"), result);
}

TEST_P(OlderRuns, HaveChildren) {
  const json child = finished({"run", "float.toml", "--continue", "runs/float/latest", "name=child",
                               "train.epochs=11", "--json"});
  EXPECT_EQ(child.at("epochs"), 11);
  EXPECT_EQ(metrics_of(run("child")).size(), metrics_of(run("float")).size() + 2);
}

INSTANTIATE_TEST_SUITE_P(Made, OlderRuns, ::testing::Values("eb0a1cf"),
                         [](const auto& made_by) { return std::string("Of_") + made_by.param; });

// Options that a later build of a plugin added have their default in older runs: no difference.
TEST(KeptResults, DifferInWhatTheirExperimentsSay) {
  Workshop workshop;
  const fs::path results = fs::path(QHOST_SOURCE_DIR) / "experiments/results";
  const auto compared = [&](const std::vector<std::string>& runs) {
    Workshop::Words words = {"compare", "--json"};
    for (const std::string& run : runs) words.push_back(results / run);
    const ProcessResult result = workshop.run(words);
    EXPECT_EQ(result.code, 0) << ::testing::PrintToString(result);
    return json::parse(result.out);
  };
  const auto different_keys = [](const json& comparison) {
    std::set<std::string> keys;
    for (const json& difference : comparison.at("differences")) keys.insert(difference.at("key"));
    return keys;
  };
  EXPECT_THAT(
      different_keys(compared({"resnet20_bwn", "resnet20_xnor"})),
      ElementsAre("model.block", "model.preactivation", "optimizer.beta1", "optimizer.beta2",
                  "optimizer.epsilon", "optimizer.learning_rate", "optimizer.momentum",
                  "optimizer.name", "optimizer.nesterov", "optimizer.weight_decay",
                  "quantizer.0.input_scale", "quantizer.0.k_gradient", "quantizer.0.name",
                  "quantizer.0.padding_value"));
  EXPECT_THAT(different_keys(compared({"resnet20_bwn", "resnet20_bwn_weight_decay_1e-4"})),
              ElementsAre("optimizer.weight_decay"));

  std::vector<std::string> all;
  for (const auto& entry : fs::directory_iterator(results)) {
    if (fs::exists(entry.path() / "resolved.toml")) all.push_back(entry.path().filename());
  }
  ASSERT_EQ(all.size(), 9U);
  const json comparison = compared(all);
  for (const json& run : comparison.at("runs")) EXPECT_EQ(run.at("status"), "finished");
  EXPECT_EQ(comparison.at("configurations").size(), all.size());
}

}  // namespace
}  // namespace qhost::tests

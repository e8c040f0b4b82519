// Zeros in a run's weights, in `qhost score` and `qhost compare`.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "cli/command_line.h"
#include "runs/checkpoint.h"
#include "storage/safetensors.h"
#include "storage/tensor_bytes.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using Words = Workshop::Words;

class Zeros : public CommandLine {
 protected:
  json facts(const Words& words) { return json::parse(ok(words).out); }
  std::vector<std::string> notes_of(const Words& words) {
    return facts(words).at("notes").get<std::vector<std::string>>();
  }
  /// The checkpoint with the evaluated weights.
  fs::path checkpoint(const std::string& run) {
    return facts({"eval", run, "--json"}).at("checkpoint").get<std::string>();
  }
};

/// arXiv 1605.04711, section 2: a weight of at most 0.7 times the mean |W| becomes 0.
std::map<std::string, std::int64_t> ternary_zeros(const fs::path& checkpoint) {
  const auto file = storage::File::read(checkpoint / "state.safetensors");
  std::map<std::string, std::int64_t> zeros;
  for (const auto& [name, tensor] : storage::read_tensors(file, "model/")) {
    const std::size_t end = name.rfind(".weight");
    if (end == std::string::npos || tensor.dim() < 2) continue;
    const at::Tensor size = tensor.abs();
    const double mean = size.to(at::kDouble).mean().item<double>();
    const at::Tensor threshold = at::scalar_tensor(0.7 * mean, at::kDouble).to(at::kFloat);
    zeros[name.substr(0, end)] = size.le(threshold).sum().item<std::int64_t>();
  }
  return zeros;
}

double count_of(const json& items, const std::string& what) {
  for (const json& item : items) {
    if (item.at("what") == what) return item.at("count");
  }
  return 0;
}

TEST_F(Zeros, LowerATernaryRunsScoreByWhatTheRulesSay) {
  ok({"run", "e.toml", "quantizer.name=ternary", "train.max_steps=4"});
  const auto zeros = ternary_zeros(checkpoint("runs/e/latest"));
  ASSERT_GT(zeros.size(), 5U);
  for (const std::string rule : {"course", "micronet"}) {
    SCOPED_TRACE(rule);
    const json sparse = facts({"score", "runs/e/latest", "--rule", rule, "--json"});
    const json dense = facts({"score", "runs/e/latest", "--rule", rule, "--dense", "--json"});
    std::int64_t all = 0;
    double stored = 0, computed = 0;  // in units of 32 bits
    for (std::size_t i = 0; i < sparse.at("layers").size(); ++i) {
      const json &layer = sparse["layers"][i], &before = dense["layers"][i];
      EXPECT_EQ(before.at("zeros"), nullptr);
      const auto found = zeros.find(layer.at("name"));
      if (found == zeros.end()) {
        EXPECT_EQ(layer.at("zeros"), nullptr);
        continue;
      }
      EXPECT_EQ(layer.at("zeros"), found->second) << found->first;
      all += found->second;
      const auto count = static_cast<double>(found->second);
      if (rule == "course") {
        stored += count * 2 / 32;
        continue;
      }
      // n codes of 2 bits become a mask of n bits and a sign for each nonzero code.
      stored += count / 32;
      // A multiply by a sign counts 1 bit, an add of floats 32; both at every position.
      const double positions =
          count_of(before.at("computed"), "multiply") / count_of(before.at("stored"), "weights");
      computed += positions * count * (1.0 / 32 + 1);
    }
    EXPECT_EQ(sparse.at("zeros"), all);
    const bool course = rule == "course";
    EXPECT_NEAR(dense.at("score").get<double>() - sparse.at("score").get<double>(),
                stored / (course ? 5.6e6 : 36.5e6) + computed / (course ? 2.8e8 : 10.49e9), 1e-12);
    EXPECT_THAT(sparse.at("notes").dump(), HasSubstr(" weights are 0: they are not "));
    EXPECT_THAT(dense.at("notes"),
                Contains("zeros among the weights count like other values: --dense"));
    const json compared = facts({"compare", "runs/e/latest", "--json"});
    EXPECT_EQ(compared.at("runs").at(0).at(rule + "_score"), sparse.at("score"));
  }
}

TEST_F(Zeros, OfFixedPointCodesAndOfFloats) {
  ok({"run", "e.toml", "quantizer.name=none", "name=float"});
  ok({"quantize", "runs/float/latest", "ptq_fixed_point", "bits=4"});
  const std::string run = "runs/float_ptq_fixed_point/latest";
  const json sparse = facts({"score", run, "--rule", "course", "--json"});
  const json dense = facts({"score", run, "--rule", "course", "--dense", "--json"});
  double bits = 0;
  for (const json& layer : sparse.at("layers")) {
    if (layer.at("zeros").is_null()) continue;
    bits += layer.at("zeros").get<double>() * layer.at("weight_bits").get<double>();
  }
  EXPECT_GT(bits, 0);
  EXPECT_NEAR(dense.at("score").get<double>() - sparse.at("score").get<double>(), bits / 32 / 5.6e6,
              1e-12);

  const json floats = facts({"score", "runs/float/latest", "--rule", "micronet", "--json"});
  EXPECT_EQ(floats.at("zeros"), 0);
  EXPECT_EQ(
      floats.at("score"),
      facts({"score", "runs/float/latest", "--rule", "micronet", "--dense", "--json"}).at("score"));
  // Both commands report the freebie in the same words.
  EXPECT_THAT(floats.at("notes").dump(), HasSubstr("(the freebie); without it the score is "));
  const json compared = facts({"compare", "runs/float/latest", run, "--json"});
  const std::string label = compared.at("runs").at(0).at("label");
  for (const std::string note : floats.at("notes")) {
    if (note.find("freebie") == std::string::npos) continue;
    EXPECT_THAT(compared.at("notes"), Contains(label + " under micronet: " + note));
  }
}

TEST_F(Zeros, WhereNobodyKnowsThemTheScoreSaysSo) {
  const std::string count = "zeros among the weights count like other values: ";
  EXPECT_THAT(notes_of({"score", "e.toml", "--rule", "course", "--json"}),
              Contains(count + "before a training nobody knows them"));
  EXPECT_THAT(ok({"score", "e.toml", "--rule", "course"}).out, HasSubstr("note: " + count));

  ok({"run", "e.toml", "quantizer.name=ternary", "train.max_steps=2", "--run-dir", "r/a"});
  EXPECT_THAT(notes_of({"score", "r/a", "--rule", "course", "--uniform", "8,8", "--json"}),
              Contains(count + "the zeros of the run are those of its own bits"));
  const fs::path weights = checkpoint("r/a") / "state.safetensors";
  const fs::path damaged = runs::write_checkpoint(
      workshop_ / "r/a/checkpoints", 1000, storage::File::read(weights).tensors(), json::object());
  EXPECT_THAT(notes_of({"compare", "r/a", "--json"}),
              Contains("r/a: " + count +
                       "they are unknown, [json.exception.out_of_range.403] key 'loop' not found"));
  fs::remove_all(damaged);
  fs::resize_file(weights, fs::file_size(weights) - 1);
  EXPECT_THAT(notes_of({"score", "r/a", "--rule", "course", "--json"}),
              Contains(HasSubstr(count + "they are unknown, ")));
  fs::remove_all(workshop_ / "r/a/checkpoints");
  const json without = facts({"score", "r/a", "--rule", "course", "--json"});
  EXPECT_THAT(without.at("notes"), Contains(count + "the run keeps no weights"));
  EXPECT_EQ(without.at("zeros"), nullptr);
  EXPECT_THAT(notes_of({"compare", "r/a", "--json"}),
              Contains("r/a: " + count + "the run keeps no weights"));
}

}  // namespace
}  // namespace qhost::tests

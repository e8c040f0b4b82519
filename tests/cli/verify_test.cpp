// qhost verify: a packed network that computes what was trained passes; one that differs in a weight,
// a scale, a threshold, the order of bits or the padding does not.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>

#include "cli/command_line.h"
#include "packed/program_file.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using packed::Program;
using packed::Step;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = Workshop::Words;

class Verify : public CommandLine {
 protected:
  /// Trains and exports.
  Program exported(const Words& options) {
    Words words = {"run", "e.toml", "name=r", "train.epochs=1"};
    words.insert(words.end(), options.begin(), options.end());
    ok(words);
    ok({"export", "runs/r/latest", "-o", "r.safetensors"});
    return packed::read_program(workshop_ / "r.safetensors");
  }
  ProcessResult verified(const Program& program) {
    workshop_.write("changed.safetensors", packed::to_bytes(program));
    return workshop_.run({"verify", "runs/r/latest", "--file", "changed.safetensors"});
  }
  static Step& step(Program& program, const std::string& name) {
    const auto found = std::find_if(program.steps.begin(), program.steps.end(),
                                    [&](const Step& each) { return each.name == name; });
    EXPECT_NE(found, program.steps.end()) << name;
    return *found;
  }
};

TEST_F(Verify, EveryMethodComputesWhatWasTrained) {
  for (const Words& words : std::vector<Words>{
           {"quantizer.name=none"},
           {"quantizer.name=bwn"},
           {"quantizer.name=xnornet"},
           {"quantizer.name=xnornet", "quantizer.input_scale=none", "quantizer.padding_value=1"},
           {"quantizer.name=ptq_static"},
           {"quantizer.name=lsq", "quantizer.input_bits=2"},
           {"quantizer.name=ptq_half", "quantizer.format=fp16"},
           {"quantizer.name=ptq_half", "quantizer.format=bf16"},
           {"quantizer.name=ternary", "train.bn_recalibrate=2"}}) {
    SCOPED_TRACE(::testing::PrintToString(words));
    exported(words);
    const json facts =
        json::parse(ok({"verify", "runs/r/latest", "--file", "r.safetensors", "--json"}).out);
    EXPECT_EQ(facts.at("passed"), true);
    EXPECT_EQ(facts.at("images"), 450);
    EXPECT_EQ(facts.at("unexplained_codes"), 0);
    EXPECT_EQ(facts.at("layers").size(), 8U);
    for (const json& layer : facts.at("layers")) {
      EXPECT_EQ(layer.at("different"), 0) << layer;
      EXPECT_GT(layer.at("values"), 0) << layer;
    }
  }
}

TEST_F(Verify, ADifferentNetworkFails) {
  const Program sound = exported({"quantizer.name=xnornet", "quantizer.input_scale=none"});
  EXPECT_EQ(verified(sound).code, 0);
  const std::string layer = "stage2.block0.conv1";
  const auto bits = [&](Program& p) -> std::vector<std::uint8_t>& {
    return step(p, layer).weight->codes;
  };
  using Change = std::function<void(Program&)>;
  for (const auto& [what, change, sentence] :
       std::vector<std::tuple<std::string, Change, std::string>>{
           {"a weight", [&](Program& p) { bits(p)[3] ^= 4; },
            "stage2.block0.conv1: [0-9]+ of [0-9]+ outputs of the layer alone differ, and none "
            "may"},
           {"the order of bits",
            [&](Program& p) {
              for (std::uint8_t& byte : bits(p)) {
                std::uint8_t turned = 0;
                for (int i = 0; i < 8; ++i) turned |= (byte >> i & 1) << (7 - i);
                byte = turned;
              }
            },
            "stage2.block0.conv1: [0-9]+ of [0-9]+ outputs of the layer alone differ, and none "
            "may"},
           {"the padding", [&](Program& p) { step(p, layer).padding_level = 1; },
            "stage2.block0.conv1: [0-9]+ of [0-9]+ outputs of the layer alone differ, and none "
            "may"},
           {"a threshold of sums",
            [&](Program& p) {
              for (std::int32_t& t : step(p, layer).sum_thresholds) t += 2;
            },
            "stage2.block0.conv1: [0-9]+ codes of the layer alone differ, and none may"},
           {"a scale",
            [&](Program& p) {
              for (float& scale : step(p, "stage1.block0.conv2").scale) scale *= 1.01F;
            },
            "[0-9]+ codes differ that no threshold nearby explains"},
           {"a threshold of floats",
            [&](Program& p) { step(p, "stage1.block0.add/encode").thresholds[0] += 0.01F; },
            "[0-9]+ codes differ that no threshold nearby explains"},
           {"a weight of the classifier",
            [&](Program& p) {
              auto& codes = step(p, "fc").weight->codes;
              codes[3] ^= 0x40;
            },
            "fc: [0-9]+ of [0-9]+ outputs of the layer alone differ by more than 1e-5"},
           {"the classifier's bias", [&](Program& p) { step(p, "fc").bias[2] += 1; },
            "the logits of an image with equal codes differ by [0-9.e-]+ of the largest, above "
            "1e-4"}}) {
    Program program = sound;
    change(program);
    const ProcessResult result = verified(program);
    EXPECT_EQ(result.code, 7) << what;
    EXPECT_THAT(result.out, ContainsRegex("\nnot verified: " + sentence)) << what;
    EXPECT_THAT(result.out, Not(HasSubstr("\nverified: "))) << what;
  }
}

TEST_F(Verify, ARunEndsWithTheProof) {
  const json whole = finished({"run", "e.toml", "train.epochs=1", "train.verify=full", "--json"});
  EXPECT_EQ(whole.at("verified"), true);
  EXPECT_EQ(whole.at("verification").at("images"), 450);
  EXPECT_EQ(whole.at("verification").at("sample"), false);
  const json sample =
      finished({"run", "e.toml", "train.epochs=1", "train.verify=sample", "--json"});
  EXPECT_EQ(sample.at("verified"), true);
  EXPECT_EQ(sample.at("verification").at("images"), 256);
  EXPECT_EQ(sample.at("verification").at("sample"), true);
  EXPECT_TRUE(finished({"run", "e.toml", "train.epochs=1", "--json"}).at("verified").is_null());
  // It changes no result: the same run.
  const ProcessResult again =
      ok({"run", "e.toml", "train.epochs=1", "train.verify=full", "--resume", "auto"});
  EXPECT_THAT(again.err, HasSubstr("nothing to do: this configuration is finished in "));
}

TEST_F(Verify, WhatHasNoPackedFormIsSaid) {
  const ProcessResult result =
      ok({"run", "e.toml", "train.epochs=1", "train.verify=full", "quantizer.name=binaryconnect",
          "quantizer.mode=stochastic", "quantizer.test_weights=ensemble", "--json"});
  EXPECT_THAT(result.err, HasSubstr("not verified: the network has no packed form:\n  the network: "
                                    "evaluation averages the outputs of "));
  const json kept = last_json_line(result.out);
  EXPECT_TRUE(kept.at("verified").is_null());
  EXPECT_THAT(kept.at("verification").at("not_verified").get<std::string>(),
              HasSubstr("evaluation averages"));
}

TEST_F(Verify, ARunThatFailsTheProofIsMarked) {
  const json result = finished({"run", "e.toml", "train.epochs=1", "name=a", "--json"});
  const std::string directory = result.at("run_dir");
  json changed = result;
  changed["verified"] = false;
  workshop_.write(directory + "/result.json", changed.dump());
  const ProcessResult compared = ok({"compare", directory});
  EXPECT_THAT(compared.out,
              HasSubstr(": the packed network does not compute what was trained (qhost verify)"));
}

TEST_F(Verify, RefusesAFileOfAnotherNetwork) {
  const Program own = exported({});
  const auto said = [&](const Words& options) {
    Words words = {"run", "e.toml", "name=other", "train.epochs=1"};
    words.insert(words.end(), options.begin(), options.end());
    ok(words);
    ok({"export", "runs/other/latest", "-o", "other.safetensors"});
    return refused({"verify", "runs/r/latest", "--file", "other.safetensors"}, 2);
  };
  const std::string start = "error: other.safetensors is not of this run: ";
  EXPECT_THAT(said({"model.depth=14"}),
              AllOf(HasSubstr(start + "its layer 3 is `stage1.block1.conv1`, and the run's is "
                                      "`stage2.block0.conv1` (it says that it is of the run "),
                    HasSubstr("\nhelp: `qhost export "), HasSubstr(" writes its file")));
  EXPECT_THAT(said({"quantizer.name=ptq_static"}),
              HasSubstr(start + "`conv1` reads uniform codes, 256 of them, and the run's reads "
                                "floats"));
  EXPECT_THAT(said({"quantizer.name=xnornet"}),
              HasSubstr(start + "`stage1.block0.conv1` reads binary codes, 2 of them, and the "
                                "run's reads floats"));
  EXPECT_THAT(said({"data.classes=[1,2,3]"}),
              HasSubstr(start + "its output is [N,3], and the run's is [N,10]"));
  EXPECT_THAT(said({"model.name=wideresnet", "model.depth=10", "model.widen_factor=1"}),
              HasSubstr(start));
  // The same network with other weights is compared, and said to be another run's.
  ok({"run", "e.toml", "name=other", "train.epochs=1", "train.seed=2"});
  ok({"export", "runs/other/latest", "-o", "other.safetensors"});
  const ProcessResult seed =
      workshop_.run({"verify", "runs/r/latest", "--file", "other.safetensors"});
  EXPECT_EQ(seed.code, 7);
  EXPECT_THAT(seed.err, HasSubstr("warning: other.safetensors is another run's or checkpoint's (it "
                                  "says that it is of the run "));
}

TEST_F(Verify, ComparesWhatPredictionsNeedBesides) {
  Program program = exported({});
  program.provenance.mean = {0.5};
  EXPECT_THAT(verified(program).out,
              ContainsRegex("\nnot verified: the mean of the file is .0.5., that of the run .0"));
  program = exported({});
  std::swap(program.provenance.class_names[2], program.provenance.class_names[7]);
  const ProcessResult result = verified(program);
  EXPECT_EQ(result.code, 7);
  EXPECT_THAT(result.out, HasSubstr("\nnot verified: the list of classes of the file is [0, 1, 7"));
}

TEST_F(Verify, ANumberThatIsNoneIsFound) {
  Program program = exported({"quantizer.name=none"});
  auto& codes = step(program, "fc").weight->codes;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(codes.data() + 4 * 64, &nan, sizeof nan);
  const ProcessResult result = verified(program);
  EXPECT_EQ(result.code, 7);
  EXPECT_THAT(result.out, AllOf(ContainsRegex("\nnot verified: fc: [0-9]+ of [0-9]+ outputs of the "
                                              "layer alone differ"),
                                HasSubstr(" logits are not finite")));
}

/// Drawn networks have sums that stand on a threshold: what the last bit decides is no fault.
TEST_F(Verify, ImagesThatChangeTheirClassByALastBitAreNoted) {
  const ProcessResult result =
      ok({"run", "e.toml", "train.epochs=0", "train.verify=full", "quantizer.name=bnn", "--json"});
  const json kept = last_json_line(result.out);
  EXPECT_EQ(kept.at("verified"), true) << result.err;
  EXPECT_EQ(kept.at("verification").at("unexplained_codes"), 0);
  const auto changed = kept.at("verification").at("changed_decisions").get<int>();
  EXPECT_EQ(kept.at("verification").at("notes").empty(), changed == 0);
}

TEST_F(Verify, AMisnamedKernelIsSaidBeforeTheFirstStep) {
  const ProcessResult result = workshop_.run({"run", "e.toml", "train.verify=full"},
                                             {.environment = {{"QHOST_RUNTIME_ISA", "foo"}}});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("QHOST_RUNTIME_ISA = `foo` names no kernels of this CPU"));
  EXPECT_FALSE(fs::exists(workshop_ / "runs"));
}

TEST_F(Verify, RefusesWhatIsNoPackedFile) {
  ok({"run", "e.toml", "name=r", "train.epochs=1"});
  EXPECT_THAT(refused({"verify", "runs/r/latest", "--file",
                       "runs/r/latest/checkpoints/step-00000005/state.safetensors"},
                      6),
              HasSubstr("the metadata have no `format`, so this is no packed network"));
  EXPECT_THAT(refused({"verify", "runs/r/latest", "--file", "e.toml"}, 2),
              HasSubstr("e.toml is an experiment, not a packed network"));
  EXPECT_THAT(refused({"verify", "e.toml"}, 2), HasSubstr("is not a run directory"));
}

}  // namespace
}  // namespace qhost::tests

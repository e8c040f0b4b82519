// Starting from a trained network: `train.init_from` and `qhost quantize`.
#include <gmock/gmock.h>

#include "cli/command_line.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Words = Workshop::Words;

class Pretrained : public CommandLine {
 protected:
  void SetUp() override {
    CommandLine::SetUp();
    source_ = finished({"run", "e.toml", "quantizer.name=none", "name=float", "--json"});
  }

  json source_;
};

TEST_F(Pretrained, ARunWithoutAnEpochHasTheAccuracyOfItsSource) {
  const json copy = finished({"run", "e.toml", "quantizer.name=none", "train.epochs=0",
                              "train.init_from=runs/float/latest", "name=copy", "--json"});
  EXPECT_EQ(copy.at("test_accuracy"), source_.at("test_accuracy"));
  EXPECT_EQ(copy.at("test_loss"), source_.at("test_loss"));
  const json record = json::parse(slurp(workshop_ / "runs/copy/latest/init_from.json"));
  EXPECT_THAT(record.at("file").get<std::string>(), HasSubstr("/checkpoints/step-"));
  EXPECT_EQ(record.at("sha256").get<std::string>().size(), 64U);
  EXPECT_EQ(record.at("sha256"), copy.at("init_from").at("sha256"));
  EXPECT_EQ(record.at("tensors").at("conv1.weight"), "loaded");
  for (const auto& [name, how] : record.at("tensors").items()) EXPECT_EQ(how, "loaded") << name;
}

TEST_F(Pretrained, ACheckpointsFileServesAsWell) {
  const std::string file = json::parse(slurp([&] {
                             finished({"run", "e.toml", "quantizer.name=none", "train.epochs=0",
                                       "train.init_from=runs/float/latest", "name=copy", "--json"});
                             return workshop_ / "runs/copy/latest/init_from.json";
                           }()))
                               .at("file");
  const json copy = finished({"run", "e.toml", "quantizer.name=none", "train.epochs=0",
                              "train.init_from=" + file, "name=again", "--json"});
  EXPECT_EQ(copy.at("test_loss"), source_.at("test_loss"));
}

TEST_F(Pretrained, TrainingGoesOnFromTheWeightsAndResumesWithoutTheSource) {
  const json once = finished({"run", "e.toml", "train.init_from=runs/float/latest",
                              "name=fine_tuned", "train.max_steps=3", "--json"});
  EXPECT_GT(once.at("test_accuracy").get<double>(), 0.15);
  fs::remove_all(workshop_ / "runs/float");
  const ProcessResult again =
      ok({"run", "e.toml", "train.init_from=runs/float/latest", "name=fine_tuned",
          "train.max_steps=3", "--resume", "auto", "--json"});
  EXPECT_THAT(again.err, HasSubstr("nothing to do"));
}

TEST_F(Pretrained, WeightsOfAnotherNetworkAreNamedAndNothingIsWritten) {
  const std::string error = refused(
      {"run", "e.toml", "model.depth=14", "train.init_from=runs/float/latest", "name=deeper"}, 4);
  EXPECT_THAT(error, HasSubstr("train.init_from = "));
  EXPECT_THAT(error, HasSubstr("the weights are those of another network [config.weights]"));
  EXPECT_THAT(error, HasSubstr("\n  note: missing: stage1.block1.conv1.weight [16,16,3,3]"));
  EXPECT_THAT(error, HasSubstr("\n  help: set model.depth = 8: all tensors fit\n"));
  EXPECT_FALSE(fs::exists(workshop_ / "runs/deeper"));
}

TEST_F(Pretrained, ASourceThatIsNotThereIsAnError) {
  const std::string error =
      refused({"run", "e.toml", "train.init_from=runs/flaot/latest", "name=none"}, 6);
  EXPECT_THAT(error, HasSubstr("cannot read "));
  EXPECT_THAT(error, HasSubstr("runs/flaot/latest"));
  EXPECT_FALSE(fs::exists(workshop_ / "runs/none"));
}

TEST_F(Pretrained, QuantizeGivesBothAccuracies) {
  const json result = finished({"quantize", "runs/float/latest", "bwn", "--json"});
  EXPECT_EQ(result.at("name"), "float_bwn");
  EXPECT_EQ(result.at("float_test_accuracy"), source_.at("test_accuracy"));
  EXPECT_EQ(result.at("epochs"), 0);
  EXPECT_GT(result.at("quantized_layers").get<int>(), 0);
  EXPECT_LT(result.at("weight_bytes").get<int>(), result.at("float_weight_bytes").get<int>());
  const ProcessResult table = ok({"quantize", "runs/float/latest", "bwn", "gradient=text"});
  EXPECT_THAT(table.out, HasSubstr("float"));
  EXPECT_THAT(table.out, HasSubstr("bwn"));
  EXPECT_THAT(table.out, HasSubstr("32.00"));
}

// The labels of two rows that differ in one option show that option.
TEST_F(Pretrained, TheTableOfQuantizeNamesTheOptionsAndTheBitsOfInputs) {
  const ProcessResult eight = ok({"quantize", "runs/float/latest", "ptq_static"}),
                      four = ok({"quantize", "runs/float/latest", "ptq_static", "input_bits=4"});
  EXPECT_THAT(eight.out, ::testing::StartsWith("network "));
  EXPECT_THAT(eight.out, HasSubstr("  bits/weight  bits/input  weight bytes  run directory\n"));
  EXPECT_THAT(eight.out, ::testing::ContainsRegex("\nptq_static +[0-9.]+ % +8\\.00 +8\\.00 "));
  EXPECT_THAT(four.out,
              ::testing::ContainsRegex("\nptq_static input_bits=4 +[0-9.]+ % +8\\.00 +4\\.00 "));
  const json kept = result_of(workshop_ / "runs/float_ptq_static/latest");
  EXPECT_EQ(kept.at("quantizer"), "ptq_static input_bits=4");
  EXPECT_EQ(kept.at("bits_per_input"), 4);
}

TEST_F(Pretrained, BinaryConnectBinarizesTheTrainedWeights) {
  const json result =
      finished({"quantize", "runs/float/latest", "binaryconnect", "lr_scale=glorot", "--json"});
  const json other =
      finished({"quantize", "runs/float/latest", "binaryconnect", "lr_scale=none", "--json"});
  // With random instead of loaded weights they would differ.
  EXPECT_EQ(result.at("test_loss"), other.at("test_loss"));
  EXPECT_THAT(refused({"quantize", "runs/float/latest", "binaryconnect", "init=paper"}, 2),
              HasSubstr("init = \"paper\" draws the latent weights of conv1 anew"));
}

TEST_F(Pretrained, QuantizeCorrectsBiasesAndTrainingDoesNot) {
  const auto loss = [&](const std::string& corrects) {
    const json result = finished({"quantize", "runs/float/latest", "ptq_static", "weight_bits=2",
                                  "bias_correction=" + corrects, "--json"});
    const json again =
        json::parse(ok({"eval", result.at("run_dir").get<std::string>(), "--json"}).out);
    EXPECT_EQ(again.at("test_loss"), result.at("test_loss"));
    return result.at("test_loss").get<double>();
  };
  EXPECT_NE(loss("true"), loss("false"));
  EXPECT_THAT(
      refused({"run", "e.toml", "quantizer.name=ptq_static", "quantizer.bias_correction=true",
               "train.epochs=2", "name=trained"},
              2),
      AllOf(
          StartsWith("command line:2:27: error: `ptq_static` corrects biases for the weights that "
                     "it is given, and train.epochs = 2 trains them further [config.component]\n"),
          HasSubstr("\n  help: `qhost quantize RUN ptq_static` takes a trained "
                    "network as it is (so does train.epochs = 0 with train.init_from); or set "
                    "bias_correction = false\n")));
  EXPECT_FALSE(fs::exists(workshop_ / "runs/trained"));
}

TEST_F(Pretrained, QuantizeRefusesWhatItCannotDo) {
  finished({"run", "e.toml", "--json"});
  EXPECT_THAT(refused({"quantize", "runs/e/latest", "bwn"}, 2),
              HasSubstr("runs/e/latest is quantized already, by `bwn`"));
  EXPECT_THAT(refused({"quantize", "e.toml", "bwn"}, 2), HasSubstr("names no trained network"));
  EXPECT_THAT(refused({"quantize", "runs/float/latest", "xnornte"}, 2),
              HasSubstr("did you mean `xnornet`?"));
  EXPECT_THAT(refused({"quantize", "runs/float/latest", "bwn", "gradeint=text"}, 2),
              HasSubstr("did you mean `gradient`?"));
  EXPECT_THAT(refused({"quantize", "runs/float/latest", "none"}, 2),
              HasSubstr("`none` quantizes nothing"));
  EXPECT_FALSE(fs::exists(workshop_ / "runs/float_bwn"));
}

TEST_F(Pretrained, QuantizeRecalibratesBatchNormsAsTheRunSays) {
  const json float_run = finished(
      {"run", "e.toml", "quantizer.name=none", "train.bn_recalibrate=2", "name=again", "--json"});
  const json result = finished({"quantize", "runs/again/latest", "bwn", "--json"});
  EXPECT_EQ(result.at("float_test_accuracy"), float_run.at("test_accuracy"));
  EXPECT_EQ(result.at("float_test_loss"), float_run.at("test_loss"));
  EXPECT_EQ(result.at("bn_recalibration_batches"), 2);
  const json plain = finished({"quantize", "runs/float/latest", "bwn", "--json"});
  EXPECT_EQ(result.at("test_loss_before_bn_recalibration"), plain.at("test_loss"));
  EXPECT_NE(result.at("test_loss"), plain.at("test_loss"));
  const json eval = json::parse(ok({"eval", "runs/again_bwn/latest", "--json"}).out);
  EXPECT_EQ(eval.at("test_loss"), result.at("test_loss"));

  const std::string folded = refused({"quantize", "runs/again/latest", "ptq_static"}, 2);
  EXPECT_THAT(folded, HasSubstr("train.bn_recalibrate = 2: `ptq_static` folds batch norms into the "
                                "weights ("));
  EXPECT_THAT(folded, HasSubstr("\n  help: set train.bn_recalibrate = 0\n"));
  EXPECT_FALSE(fs::exists(workshop_ / "runs/again_ptq_static"));
  finished({"quantize", "runs/again/latest", "ptq_static", "train.bn_recalibrate=0", "--json"});
}

TEST_F(Pretrained, SeedsGiveAMeanAndADeviation) {
  const ProcessResult result = ok({"run", "e.toml", "sweep.seeds=[1, 2, 3]"});
  EXPECT_THAT(result.out, HasSubstr("seed=1"));
  EXPECT_THAT(result.out, HasSubstr("seed=3"));
  EXPECT_THAT(result.out, ::testing::ContainsRegex("mean of 3 .* [0-9.]+ \\+- [0-9.]+ %"));
}

}  // namespace
}  // namespace qhost::tests

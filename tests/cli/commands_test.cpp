// The output of each command, its stream, and its exit code.
#include <gmock/gmock.h>

#include <algorithm>

#include "cli/command_line.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using Words = Workshop::Words;

class Commands : public CommandLine {
 protected:
  /// Runs a command that prints one JSON document and nothing on stderr. Returns its stdout.
  json facts(const Words& words) {
    const ProcessResult result = ok(words);
    EXPECT_EQ(result.err, "");
    return json::parse(result.out);
  }
  static void expect_keys(const json& object, const Words& keys) {
    for (const std::string& key : keys) {
      EXPECT_TRUE(object.contains(key)) << key << " is missing in " << object.dump();
    }
  }
};

TEST_F(Commands, RunEndsWithItsResultAsOneLine) {
  const ProcessResult result = ok({"run", "e.toml", "--json"});
  const json line = last_json_line(result.out);
  expect_keys(line, {"status", "run_dir", "test_accuracy", "test_loss", "epochs",
                     "quantized_layers", "weight_bytes", "verified"});
  EXPECT_EQ(line.at("status"), "finished");
  EXPECT_EQ(line.at("epochs"), 2);
  EXPECT_EQ(line.at("quantized_layers"), 6);
  EXPECT_TRUE(line.at("verified").is_null());
  EXPECT_GT(line.at("test_accuracy").get<double>(), 0.15);  // chance is 0.1
  EXPECT_LE(line.at("test_accuracy").get<double>(), 1.0);
  // stdout contains only that line; the text for people is on stderr.
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 1);
  EXPECT_THAT(result.err, HasSubstr("run directory: runs/e/"));
  EXPECT_THAT(result.err, ContainsRegex("epoch 1/2  train loss [0-9.]+ accuracy [0-9.]+ %  test "
                                        "loss [0-9.]+ accuracy [0-9.]+ %"));
  EXPECT_THAT(result.err, HasSubstr("\nepoch 2/2"));
  EXPECT_THAT(result.err, Not(HasSubstr("\033")));

  const fs::path run = workshop_ / line.at("run_dir").get<std::string>();
  EXPECT_EQ(result_of(run), line);
  EXPECT_EQ(fs::canonical(workshop_ / "runs/e/latest"), fs::canonical(run));
  for (const char* name : {"resolved.toml", "environment.json", "metrics.jsonl", "result.json"}) {
    EXPECT_TRUE(fs::is_regular_file(run / name)) << name;
  }
  // The recorded environment can explain a different last bit.
  const json environment = json::parse(slurp(run / "environment.json"));
  expect_keys(environment, {"qhost", "libtorch", "cpu", "aten_cpu_capability", "threads", "device",
                            "plugins", "command_line"});
  EXPECT_EQ(environment.at("threads"), 1);
  EXPECT_EQ(environment.at("device"), "cpu");
  ASSERT_EQ(environment.at("plugins").size(), 2U);
  for (const json& plugin : environment.at("plugins")) {
    EXPECT_EQ(plugin.at("sha256").get<std::string>().size(), 64U);
  }
  EXPECT_EQ(environment.at("command_line"), json({"qhost", "run", "e.toml", "--json"}));
}

TEST_F(Commands, RunWithoutJsonEndsWithATable) {
  const ProcessResult result = ok({"run", "e.toml", "train.epochs=1", "--runs-dir", "elsewhere"});
  EXPECT_THAT(result.out, StartsWith("run  status"));
  EXPECT_THAT(result.out,
              ContainsRegex("\ne    finished +[0-9.]+ % +1\\.33 +32\\.00 +13,248  elsewhere/e/"));
}

// resolved.toml alone repeats the run.
TEST_F(Commands, TheResolvedFileRepeatsTheRun) {
  ok({"run", "e.toml", "--run-dir", "first"});
  fs::create_directories(workshop_ / "moved");
  fs::copy_file(workshop_ / "first/resolved.toml", workshop_ / "moved/again.toml");
  ok({"run", "moved/again.toml", "--run-dir", "second"});
  EXPECT_TRUE(checkpoint_files(workshop_ / "first") == checkpoint_files(workshop_ / "second"));
  EXPECT_EQ(slurp(workshop_ / "first/resolved.toml"), slurp(workshop_ / "second/resolved.toml"));
}

TEST_F(Commands, ASweepRunsItsPointsAndEndsWithATable) {
  workshop_.write("s.toml", small_experiment() +
                                "[sweep]\npoints = [{label = \"plain\", quantizer.name = "
                                "\"none\"}, {label = \"binary\", quantizer.name = "
                                "\"binaryconnect\"}]\n");
  const ProcessResult shown = ok({"run", "s.toml", "train.epochs=1"});
  EXPECT_THAT(shown.out,
              ContainsRegex("\nplain +finished +[0-9.]+ % +32\\.00 +32\\.00 +298,048  runs/s/"));
  EXPECT_THAT(shown.out,
              ContainsRegex("\nbinary +finished +[0-9.]+ % +1\\.00 +32\\.00 +9,314  runs/s/"));
  EXPECT_LT(shown.out.find("plain"), shown.out.find("binary"));
  EXPECT_THAT(shown.err, HasSubstr("plain"));

  const ProcessResult asked = ok({"run", "s.toml", "train.epochs=1", "--json"});
  const json last = last_json_line(asked.out);
  EXPECT_EQ(last.at("status"), "finished");
  ASSERT_EQ(last.at("points").size(), 2U);
  EXPECT_EQ(last.at("points")[0].at("label"), "plain");
  EXPECT_EQ(last.at("points")[1].at("label"), "binary");
  EXPECT_EQ(last.at("points")[0].at("quantized_layers"), 0);
  EXPECT_EQ(last.at("points")[1].at("quantized_layers"), 8);
}

TEST_F(Commands, ASweepGoesOnAfterAPointThatDiverges) {
  workshop_.write("s.toml", small_experiment() +
                                "[sweep]\npoints = [{label = \"wild\", optimizer.learning_rate = "
                                "1e30}, {label = \"tame\"}]\n");
  const ProcessResult result = workshop_.run({"run", "s.toml", "train.epochs=1"});
  EXPECT_EQ(result.code, 5);
  EXPECT_THAT(result.out, ContainsRegex("\nwild +diverged +-"));
  EXPECT_THAT(result.out, ContainsRegex("\ntame +finished +[0-9.]+ %"));
}

TEST_F(Commands, AMistakeInTheLastPointOfASweepShowsBeforeTheFirstTrains) {
  workshop_.write("s.toml", small_experiment() +
                                "[sweep]\npoints = [{label = \"good\"}, {model.depth = 21}]\n");
  const ProcessResult result = workshop_.run({"run", "s.toml"});
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("depth 21 is not 6n+2"));
  EXPECT_FALSE(fs::exists(workshop_ / "runs"));
}

TEST_F(Commands, DryRunChecksAndStops) {
  const ProcessResult result = ok({"run", "e.toml", "--dry-run"});
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err, "e.toml: 1 run, no problems found\n");
  EXPECT_FALSE(fs::exists(workshop_ / "runs"));
}

TEST_F(Commands, ListNamesEveryComponent) {
  const json list = facts({"list", "--json"});
  ASSERT_TRUE(list.is_array());
  Words found;
  for (const json& entry : list) {
    expect_keys(entry, {"kind", "name", "plugin", "version", "summary"});
    EXPECT_NE(entry.at("summary"), "");
    found.push_back(entry.at("kind").get<std::string>() + " " +
                    entry.at("name").get<std::string>());
  }
  for (const char* wanted :
       {"architecture densenet", "architecture resnet", "architecture vgg",
        "architecture wideresnet", "quantizer binaryconnect", "quantizer bwn", "data digits",
        "data cifar10", "data cifar100", "data fashion_mnist", "data minicifar", "optimizer sgd",
        "optimizer adamw", "schedule cosine", "schedule one_cycle"}) {
    EXPECT_THAT(found, Contains(wanted));
  }
  EXPECT_THAT(ok({"list"}).out, ContainsRegex("\nquantizer +bwn +bwn +1\\.0\\.0 +binary weights"));
}

TEST_F(Commands, ABadPluginDoesNotStopTheList) {
  workshop_.write("plugins/broken.so", "this is no library\n");
  const ProcessResult result = ok({"list", "--json", "--plugin-path", "plugins"});
  EXPECT_GE(json::parse(result.out).size(), 10U);
  EXPECT_THAT(result.err, HasSubstr("refused: " + (workshop_ / "plugins/broken.so").string() +
                                    "\n  it is not a shared library (no ELF header)"));
  // The option may come before the command, and with an equals sign.
  EXPECT_EQ(ok({"--plugin-path", "plugins", "list", "--json"}).err, result.err);
  EXPECT_EQ(ok({"--plugin-path=plugins", "list", "--json"}).err, result.err);
  // A run that needs other plugins ignores it.
  ok({"run", "e.toml", "--dry-run", "--plugin-path", "plugins"});
}

TEST_F(Commands, DescribeShowsOptionsAsDeclared) {
  const json bwn = facts({"describe", "bwn", "--json"});
  ASSERT_EQ(bwn.size(), 1U);
  EXPECT_EQ(bwn[0].at("kind"), "quantizer");
  ASSERT_EQ(bwn[0].at("options").size(), 1U);
  const json& option = bwn[0].at("options")[0];
  expect_keys(option, {"name", "type", "default", "range", "help", "paper"});
  EXPECT_EQ(option.at("name"), "gradient");
  EXPECT_EQ(option.at("default"), "\"algorithm1\"");

  EXPECT_THAT(ok({"describe", "resnet"}).out,
              AllOf(StartsWith("architecture resnet: "), HasSubstr("\n[model]\n"),
                    ContainsRegex("\ndepth +integer +20 ")));
  EXPECT_THAT(ok({"describe", "train"}).out, ContainsRegex("\nbatch_size +integer +128 +"));
  EXPECT_THAT(ok({"describe", "cosine"}).out, StartsWith("schedule cosine: "));
  EXPECT_THAT(ok({"describe", "digits"}).out,
              AllOf(StartsWith("data digits: "), HasSubstr("license: ")));
}

TEST_F(Commands, DescribeOfAnUnknownNameFindsTheNearestOfAnyKind) {
  for (const auto& [typed, meant] : std::map<std::string, std::string>{
           {"resnt", "resnet"}, {"bwm", "bwn"}, {"optimiser", "optimizer"}, {"cosin", "cosine"}}) {
    const ProcessResult result = workshop_.run({"describe", typed});
    EXPECT_EQ(result.code, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, StartsWith("error: no component is called `" + typed + "`\n"));
    EXPECT_THAT(result.err, HasSubstr("\nhelp: did you mean `" + meant + "`"));
  }
  const ProcessResult far = workshop_.run({"describe", "zzzzzz"});
  EXPECT_EQ(far.code, 2);
  EXPECT_THAT(far.err, HasSubstr("  searched:\n"));
  EXPECT_THAT(far.err, HasSubstr("\nhelp: `qhost list` shows all components\n"));
}

TEST_F(Commands, SummaryCountsWithoutAnyData) {
  const json summary = facts({"summary", "e.toml", "--json"});
  expect_keys(summary, {"parameters", "macs", "weight_bytes", "layers"});
  EXPECT_EQ(summary.at("parameters"), 75002);
  EXPECT_EQ(summary.at("macs"), 747136);
  std::int64_t parameters = 0, macs = 0;
  std::map<std::string, json> layers;
  for (const json& layer : summary.at("layers")) {
    expect_keys(layer, {"name", "op", "output_shape", "parameters", "macs", "weight_encoding",
                        "weight_bits", "input_encoding", "bytes"});
    parameters += layer.at("parameters").get<std::int64_t>();
    macs += layer.at("macs").get<std::int64_t>();
    layers[layer.at("name")] = layer;
  }
  EXPECT_EQ(parameters, 75002);
  EXPECT_EQ(macs, 747136);
  EXPECT_EQ(layers.at("conv1").at("weight_bits"), 32);
  EXPECT_EQ(layers.at("stage1.block0.conv1").at("weight_bits"), 1);
  // 16 filters of 144 weights: one bit per weight and one float scale per filter.
  EXPECT_EQ(layers.at("stage1.block0.conv1").at("bytes"), 2304 / 8 + 16 * 4);

  // cifar10 is not on this machine, and is not needed.
  const json published = facts({"summary", "e.toml", "data.name=cifar10", "model.depth=20",
                                "quantizer.name=none", "--json"});
  EXPECT_EQ(published.at("parameters"), 269722);
  EXPECT_THAT(ok({"summary", "e.toml"}).out, HasSubstr("\nquantized     weights of 6 layers, "));
}

TEST_F(Commands, EvalGivesTheRunsOwnFigures) {
  const json line = last_json_line(ok({"run", "e.toml", "--json"}).out);
  const json again = facts({"eval", "runs/e/latest", "--json"});
  expect_keys(again, {"test_accuracy", "test_loss", "samples"});
  EXPECT_EQ(again.at("test_accuracy"), line.at("test_accuracy"));
  EXPECT_EQ(again.at("test_loss"), line.at("test_loss"));
  EXPECT_EQ(again.at("per_class"), line.at("test_per_class"));
  EXPECT_EQ(again.at("samples"), 450);

  // An earlier checkpoint gives the metrics of its own epoch.
  const json first = facts({"eval", "runs/e/latest", "--checkpoint", "5", "--json"});
  EXPECT_EQ(first.at("test_loss"), metrics_of(workshop_ / "runs/e/latest").at(1).at("loss"));
  EXPECT_EQ(facts({"eval", "runs/e/latest", "--split", "train", "--json"}).at("samples"), 135);
  EXPECT_THAT(ok({"eval", "runs/e/latest"}).out,
              ContainsRegex("^test accuracy [0-9.]+ %, top-5 [0-9.]+ %, loss [0-9.]+, 450 images"));

  const auto refused = [&](const Words& more, const std::string& text) {
    Words words = {"eval", "runs/e/latest"};
    words.insert(words.end(), more.begin(), more.end());
    const ProcessResult result = workshop_.run(words);
    EXPECT_EQ(result.code, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, HasSubstr(text));
  };
  refused({"--checkpoint", "7"},
          "has no checkpoint `7`\nhelp: --checkpoint is selected, last, "
          "best or one of the steps 10, 5");
  refused({"--checkpoint", "best"}, "has no best checkpoint\nhelp: ");
  refused({"--split", "validation"}, "digits has no images in split `validation`");
  const ProcessResult nowhere = workshop_.run({"eval", "runs/e/nothing"});
  EXPECT_EQ(nowhere.code, 2);
  EXPECT_THAT(nowhere.err, StartsWith("error: there is no run at runs/e/nothing: "));
}

TEST_F(Commands, EvalNamesTheLossWithAndWithoutLabelSmoothing) {
  ok({"run", "e.toml", "train.epochs=1", "train.label_smoothing=0.1", "--run-dir", "smooth"});
  const json kept = result_of(workshop_ / "smooth"), again = facts({"eval", "smooth", "--json"});
  for (const char* key : {"test_loss", "test_loss_without_label_smoothing"}) {
    EXPECT_EQ(again.at(key), kept.at(key)) << key;
  }
  EXPECT_THAT(ok({"eval", "smooth"}).out,
              ContainsRegex(", loss [0-9.]+ with label smoothing, [0-9.]+ without, 450 images"));
}

TEST_F(Commands, RecalibratedBatchNormsHaveTwoAccuracies) {
  const json plain = last_json_line(ok({"run", "e.toml", "--json"}).out);
  EXPECT_FALSE(plain.contains("test_accuracy_before_bn_recalibration"));
  const Words command = {"run", "e.toml", "train.bn_recalibrate=3", "name=again", "--json"};
  const ProcessResult result = ok(command);
  EXPECT_THAT(result.err,
              ContainsRegex("test: batch norms recalibrated on 3 training batches: accuracy "
                            "[0-9.]+ % before, [0-9.]+ % after"));
  const json line = last_json_line(result.out);
  EXPECT_EQ(line.at("test_accuracy_before_bn_recalibration"), plain.at("test_accuracy"));
  EXPECT_EQ(line.at("test_loss_before_bn_recalibration"), plain.at("test_loss"));
  EXPECT_EQ(line.at("bn_recalibration_batches"), 3);
  EXPECT_NE(line.at("test_loss"), plain.at("test_loss"));
  EXPECT_EQ(result_of(workshop_ / "runs/again/latest"), line);

  const json eval = facts({"eval", "runs/again/latest", "--json"});
  for (const char* key : {"test_accuracy", "test_loss", "test_accuracy_before_bn_recalibration",
                          "test_loss_before_bn_recalibration", "bn_recalibration_batches"}) {
    EXPECT_EQ(eval.at(key), line.at(key)) << key;
  }
  EXPECT_THAT(ok({"eval", "runs/again/latest"}).out,
              ContainsRegex("\nbatch norms recalibrated on 3 training batches: accuracy [0-9.]+ "
                            "% before, [0-9.]+ % after\n$"));
  EXPECT_FALSE(facts({"eval", "runs/e/latest", "--json"}).contains("bn_recalibration_batches"));

  // 135 images give 4 whole batches of 32.
  const ProcessResult all = ok({"run", "e.toml", "train.bn_recalibrate=99", "--json"});
  EXPECT_EQ(last_json_line(all.out).at("bn_recalibration_batches"), 4);
  EXPECT_THAT(all.err,
              HasSubstr("train.bn_recalibrate: the training set has only 4 of 99 batches"));
}

TEST_F(Commands, WithoutBatchNormsThereIsNothingToRecalibrate) {
  fs::create_directories(workshop_ / "plugins");
  fs::copy_file(QHOST_BINARY_DIR "/tests/plugins/broken/good.so", workshop_ / "plugins/good.so");
  workshop_.write("linear.toml", "[data]\nname = \"digits\"\n[model]\nname = \"one_layer\"\n");
  const Words run = {"run", "linear.toml", "--plugin-path", "plugins", "train.max_steps=1"};
  Words recalibrated = run;
  recalibrated.push_back("train.bn_recalibrate=2");
  const ProcessResult refused = workshop_.run(recalibrated);
  EXPECT_EQ(refused.code, 2);
  EXPECT_EQ(refused.err,
            "command line:2:22: error: train.bn_recalibrate = 2: the network has no batch norm "
            "[config.component]\n"
            "    2 | train.bn_recalibrate=2\n"
            "      |                      ^\n"
            "  help: set train.bn_recalibrate = 0\n");
  EXPECT_FALSE(fs::exists(workshop_ / "runs/linear"));
  ok(run);
}

TEST_F(Commands, CompareShowsRunsTheirMeanAndTheirDifferences) {
  for (const char* seed : {"train.seed=1", "train.seed=2"}) {
    ok({"run", "e.toml", seed, "train.epochs=1", "--run-dir", std::string("r/") + seed});
  }
  ok({"run", "e.toml", "quantizer.name=none", "train.epochs=1", "--run-dir", "r/float"});
  const Words runs = {"r/train.seed=1", "r/train.seed=2", "r/float"};
  const json compared = facts({"compare", runs[0], runs[1], runs[2], "--json"});
  expect_keys(compared, {"runs", "configurations", "differences", "notes"});
  ASSERT_EQ(compared.at("runs").size(), 3U);
  double sum = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const json kept = result_of(workshop_ / runs[i]), &run = compared.at("runs").at(i);
    for (const char* key : {"status", "test_accuracy", "bits_per_weight", "weight_bytes", "macs"}) {
      EXPECT_EQ(run.at(key), kept.at(key)) << key;
    }
    EXPECT_EQ(run.at("label"), runs[i]);
    EXPECT_EQ(run.at("configuration"), i < 2 ? 1 : 2);
    if (i < 2) sum += kept.at("test_accuracy").get<double>();
  }
  for (std::size_t i = 0; i < 3; ++i) {
    const json& run = compared.at("runs").at(i);
    for (const std::string rule : {"micronet", "course"}) {
      const json score = facts({"score", runs[i], "--rule", rule, "--json"});
      EXPECT_EQ(run.at(rule + "_score"), score.at("score")) << rule;
      EXPECT_EQ(run.at(rule + "_qualifies"), false) << "digits is in no rule";
      EXPECT_EQ(run.at(rule + "_why_not"), score.at("why_not"));
    }
  }
  const json& binary = compared.at("configurations").at(0);
  EXPECT_EQ(binary.at("seeds"), json({"1", "2"}));
  EXPECT_EQ(binary.at("test_accuracy").at("count"), 2);
  EXPECT_NEAR(binary.at("test_accuracy").at("mean").get<double>(), sum / 2, 1e-12);
  EXPECT_EQ(compared.at("configurations").at(1).at("bits_per_weight"), 32);
  std::vector<std::string> differing;
  for (const json& one : compared.at("differences")) differing.push_back(one.at("key"));
  EXPECT_THAT(differing, Contains("quantizer.0.name"));
  EXPECT_THAT(differing, Not(Contains("train.seed")));
  EXPECT_THAT(differing, Not(Contains("name")));

  EXPECT_THAT(ok({"compare", runs[0], runs[1], runs[2]}).out,
              AllOf(StartsWith("run "), HasSubstr("\nr/float "),
                    ContainsRegex("\nquantizer.0.name +\"bwn\" +\"none\"\n")));
  // A run of a plugin that is missing here can be compared, but not scored.
  fs::copy(workshop_ / runs[2], workshop_ / "r/foreign", fs::copy_options::recursive);
  std::string foreign = slurp(workshop_ / "r/foreign/resolved.toml");
  foreign.replace(foreign.find("\"resnet\""), 8, "\"elsewhere\"");
  workshop_.write("r/foreign/resolved.toml", foreign);
  const json without = facts({"compare", runs[2], "r/foreign", "--json"});
  EXPECT_EQ(without.at("runs").at(1).at("test_accuracy"),
            without.at("runs").at(0).at("test_accuracy"));
  EXPECT_EQ(without.at("runs").at(1).at("course_score"), nullptr);
  EXPECT_THAT(without.at("notes").dump(), HasSubstr("r/foreign has no scores: "));

  const ProcessResult twice = workshop_.run({"compare", runs[0], runs[0]});
  EXPECT_EQ(twice.code, 2);
  EXPECT_EQ(twice.out, "");
  EXPECT_THAT(twice.err, HasSubstr("which is named twice\nhelp: "));
  const ProcessResult nowhere = workshop_.run({"compare", "runs/e/nothing"});
  EXPECT_EQ(nowhere.code, 2);
  EXPECT_THAT(nowhere.err, StartsWith("error: there is no run at runs/e/nothing: "));
}

TEST_F(Commands, ScoreOfAnExperimentNeedsNoData) {
  // Published: ResNet-20 has 269,722 parameters and 40,551,040 multiply-accumulates.
  const Words resnet20 = {"score",  "e.toml", "data.name=cifar10", "model.depth=20", "--rule",
                          "course", "--json"};
  const auto with = [&](const Words& more) {
    Words words = resnet20;
    words.insert(words.end(), more.begin(), more.end());
    return facts(words);
  };
  const json all = with({"--uniform", "32,32"});
  expect_keys(all, {"rule", "score", "storage", "operations", "threshold", "accuracy", "layers"});
  EXPECT_EQ(all.at("rule"), "course");
  EXPECT_DOUBLE_EQ(all.at("storage").get<double>(), 269722 / 5.6e6);
  EXPECT_DOUBLE_EQ(all.at("operations").get<double>(), 40551040 / 2.8e8);
  EXPECT_EQ(all.at("threshold"), 0.9);
  EXPECT_TRUE(all.at("accuracy").is_null());
  EXPECT_TRUE(all.at("qualifies").is_null());
  // The bits of the quantizer: a binary layer stores fewer bytes and reads floats as before.
  const json binary = with({});
  EXPECT_LT(binary.at("storage").get<double>(), all.at("storage").get<double>() / 5);
  EXPECT_EQ(binary.at("operations"), all.at("operations"));
  std::map<std::string, json> layers;
  for (const json& layer : binary.at("layers")) layers[layer.at("name")] = layer;
  EXPECT_EQ(layers.at("stage1.block0.conv1").at("weight_bits"), 1);
  EXPECT_DOUBLE_EQ(layers.at("stage1.block0.conv1").at("storage").get<double>(), 2304 / 32.0);
  EXPECT_EQ(layers.at("conv1").at("weight_bits"), 32);

  EXPECT_THAT(ok({"score", "e.toml", "data.name=cifar10", "--rule", "micronet"}).out,
              AllOf(HasSubstr("\nrule          micronet: "),
                    HasSubstr("\nreference     WRN-28-10 at 32 bits\n"),
                    HasSubstr("\nqualifies     no: the rule is for cifar100, the network for "
                              "cifar10\n")));
}

TEST_F(Commands, ScoreOfARunHoldsItsAccuracyAgainstTheThreshold) {
  const json line = last_json_line(ok({"run", "e.toml", "--json"}).out);
  const json score = facts({"score", "runs/e/latest", "--rule", "course", "--json"});
  EXPECT_EQ(score.at("accuracy"), line.at("test_accuracy"));
  EXPECT_EQ(score.at("qualifies"), false);
  EXPECT_EQ(score.at("why_not"), "the rule is for cifar10, the network for digits");
  EXPECT_EQ(score.at("score"),
            facts({"score", "e.toml", "--rule", "course", "--json"}).at("score"));

  // A CIFAR-10 run below the accuracy threshold is scored, with a message about the threshold.
  workshop_.write("low/resolved.toml",
                  "name = \"low\"\n[data]\nname = \"cifar10\"\n[model]\n"
                  "name = \"resnet\"\n");
  workshop_.write("low/result.json", R"({"status": "finished", "test_accuracy": 0.8999})");
  EXPECT_THAT(ok({"score", "low", "--rule", "course"}).out,
              AllOf(HasSubstr("\nscore         "),
                    HasSubstr("\nqualifies     no: accuracy 89.99 % is below the threshold of "
                              "90 %\n")));
  workshop_.write("low/result.json", R"({"status": "diverged"})");
  EXPECT_EQ(ok({"score", "low", "--rule", "course"}).err,
            "note: low has no test accuracy: its status is diverged\n");
  fs::remove(workshop_ / "low/result.json");
  const ProcessResult unfinished = ok({"score", "low", "--rule", "course"});
  EXPECT_EQ(unfinished.err, "note: low has no test accuracy: there is no result.json yet\n");
  EXPECT_THAT(unfinished.out, HasSubstr("\naccuracy      unknown; the rule asks for 90 %"));
  workshop_.write("low/result.json", "[");
  const ProcessResult damaged = workshop_.run({"score", "low", "--rule", "course"});
  EXPECT_EQ(damaged.code, 6);
  EXPECT_THAT(damaged.err, HasSubstr("low/result.json is damaged: it is no JSON object\nhelp: "));
}

TEST_F(Commands, ScoreRefusesWhatItDoesNotKnow) {
  const auto refused = [&](const Words& words, const std::string& text) {
    const ProcessResult result = workshop_.run(words);
    EXPECT_EQ(result.code, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, HasSubstr(text));
  };
  refused({"score", "e.toml"},
          "error: qhost score: no rule was given\nhelp: --rule is one of micronet, ");
  refused({"score", "e.toml", "--rule", "corse"},
          "error: there is no scoring rule `corse`\nhelp: did you mean `course`? the rules are ");
  refused({"score", "e.toml", "--rule", "course", "--uniform", "8"},
          "from 1 to 32 with a comma between them; found `8`\nhelp: --uniform 8,8");
  workshop_.write("run/resolved.toml", small_experiment());
  refused({"score", "run", "model.depth=14", "--rule", "course"},
          "error: `model.depth=14` would change run, a run that was made with other values");
  fs::create_directories(workshop_ / "empty");
  refused({"score", "empty", "--rule", "course"},
          "empty is no run directory: it has no resolved.toml");
  EXPECT_THAT(ok({"score", "--help"}).out, HasSubstr("\n  course2021-readme\n"));
}

TEST_F(Commands, DataListSaysWhatIsThereAndHowToGetTheRest) {
  const json list = facts({"data", "list", "--json"});
  std::map<std::string, json> sets;
  for (const json& set : list) sets[set.at("name")] = set;
  EXPECT_EQ(sets.at("digits").at("state"), "embedded");
  EXPECT_EQ(sets.at("cifar10").at("state"), "missing");
  EXPECT_EQ(sets.at("cifar10").at("bytes"), 0);
  EXPECT_GE(sets.at("cifar10").at("searched").size(), 2U);
  for (const char* key : {"summary", "source", "licence", "folder", "problem", "how_to_get"}) {
    EXPECT_TRUE(sets.at("cifar10").at(key).is_string()) << key;
  }
  EXPECT_THAT(sets.at("cifar10").at("how_to_get").get<std::string>(),
              AllOf(HasSubstr("cifar-10-binary.tar.gz"), HasSubstr("MD5 "), HasSubstr("tar -xzf")));
  const ProcessResult shown = ok({"data", "list"});
  EXPECT_THAT(shown.out, ContainsRegex("\ndigits +embedded"));
  EXPECT_THAT(shown.out, HasSubstr("\ncifar10: download "));

  // A folder with a file of another size counts as damaged.
  workshop_.write("sets/cifar-10-batches-bin/data_batch_1.bin", "short");
  for (const json& set : facts({"data", "list", "--root", "sets", "--json"})) {
    if (set.at("name") != "cifar10") continue;
    EXPECT_EQ(set.at("state"), "damaged");
    EXPECT_THAT(set.at("problem").get<std::string>(),
                HasSubstr("data_batch_1.bin has 5 bytes, not 30730000"));
  }
}

TEST_F(Commands, DoctorSaysWhatThisInstallationIs) {
  workshop_.write("plugins/broken.so", "this is no library\n");
  const json facts_here = facts({"doctor", "--json"});
  expect_keys(facts_here, {"qhost", "libtorch", "torch_folder", "cpu", "cuda", "threads",
                           "plugin_directories", "plugins", "data", "healthy"});
  EXPECT_TRUE(facts_here.at("healthy").get<bool>());
  EXPECT_EQ(facts_here.at("cuda").at("usable").get<bool>(),
            facts_here.at("cuda").at("why_not") == "");
  const json with_broken = facts({"doctor", "--json", "--plugin-path", "plugins"});
  EXPECT_FALSE(with_broken.at("healthy").get<bool>());
  EXPECT_THAT(ok({"doctor", "--plugin-path", "plugins"}).out,
              AllOf(StartsWith("qhost        "), HasSubstr("\nLibTorch     "), HasSubstr("REFUSED"),
                    HasSubstr("it is not a shared library"), HasSubstr("digits: embedded")));
}

TEST_F(Commands, HelpAndVersion) {
  const ProcessResult usage = ok({"--help"});
  for (const char* command : {"run", "list", "describe", "summary", "eval", "compare", "score",
                              "quantize", "data list", "plugin check", "doctor"}) {
    EXPECT_THAT(usage.out, HasSubstr(std::string("\n  ") + command + " "));
  }
  EXPECT_EQ(ok({"help"}).out, usage.out);
  // POSIX regular expressions; without a git checkout there is no commit.
  EXPECT_THAT(ok({"--version"}).out, ContainsRegex("^qhost [0-9]+\\.[0-9]+\\.[0-9]+"
                                                   "( \\(commit [0-9a-f]+(-dirty)?\\))?\n$"));
  EXPECT_THAT(ok({"run", "--help"}).out,
              AllOf(StartsWith("usage: qhost run [OPTIONS] EXPERIMENT [KEY=VALUE]..."),
                    HasSubstr("--resume VALUE")));
  EXPECT_EQ(ok({"help", "run"}).out.substr(0, 15), "usage: qhost ru");
  EXPECT_THAT(ok({"help", "data", "list"}).out, StartsWith("usage: qhost data list"));
  // Without a command, the same page is the answer to an error.
  const ProcessResult bare = workshop_.run({});
  EXPECT_EQ(bare.code, 2);
  EXPECT_EQ(bare.out, "");
  EXPECT_EQ(bare.err, usage.out);
}

// The reader has closed the pipe: output that cannot be written is an error.
TEST_F(Commands, AFullStandardOutputIsAnError) {
  const ProcessResult result =
      workshop_.run({"list"}, {.before = [] { ::dup2(::open("/dev/full", O_WRONLY), 1); }});
  EXPECT_EQ(result.code, 6);
}

struct Typo {
  Words words;
  std::string message, help;
};

TEST_F(Commands, MistakesOnTheCommandLineNameTheNearest) {
  const std::vector<Typo> typos = {
      {{"rnu", "e.toml"}, "qhost: unknown command `rnu`", "did you mean `run`?"},
      {{"data", "lst"}, "qhost: unknown command `data lst`", "did you mean `data list`?"},
      {{"help", "sumary"}, "qhost: unknown command `sumary`", "did you mean `summary`?"},
      {{"zzzzzz"}, "qhost: unknown command `zzzzzz`", "the commands are run, list, "},
      {{"--jsn", "list"}, "qhost: unknown option `--jsn` before the command", "`qhost --help`"},
      {{"run", "e.toml", "--resum", "auto"},
       "qhost run: unknown option `--resum`",
       "did you mean `--resume`?"},
      {{"run", "e.toml", "--res", "auto"}, "qhost run: unknown option `--res`", ""},
      {{"run", "e.toml", "--resume", "--json"},
       "qhost run: option `--resume` needs a value, found `--json`",
       "write `--resume VALUE`"},
      {{"run", "e.toml", "--resume"},
       "qhost run: option `--resume` needs a value",
       "write `--resume VALUE`"},
      {{"list", "--json=yes"}, "qhost list: ", ""},
      {{"list", "bwn"}, "qhost list: unexpected argument `bwn`", "`qhost list --help`"},
      {{"run"}, "qhost run: no experiment file was given", "`qhost run --help`"},
      {{"compare"}, "qhost compare: no run directory was given", "`qhost compare --help`"},
      {{"describe", "bwn", "resnet"}, "qhost describe: unexpected argument `resnet`", ""},
  };
  for (const Typo& typo : typos) {
    SCOPED_TRACE(::testing::PrintToString(typo.words));
    const ProcessResult result = workshop_.run(typo.words);
    EXPECT_EQ(result.code, 2);
    const bool as_json =
        std::find(typo.words.begin(), typo.words.end(), "--json") != typo.words.end();
    EXPECT_THAT(result.out, StartsWith(as_json ? "{\"error\":{" : ""));
    EXPECT_EQ(result.out.empty(), !as_json);
    EXPECT_THAT(result.err, StartsWith("error: " + typo.message));
    EXPECT_THAT(result.err, HasSubstr("\nhelp: " + typo.help));
  }
  EXPECT_FALSE(fs::exists(workshop_ / "runs"));
}

// A rate this small changes the loss but no decision: the accuracies are equal.
TEST_F(Commands, OfEqualAccuraciesTheSmallerLossIsTheBest) {
  const nlohmann::json result =
      finished({"run", "e.toml", "--run-dir", "equal", "--json", "data.validation=40",
                "train.epochs=3", "optimizer.learning_rate=1e-7"});
  std::vector<nlohmann::json> validation;
  for (const nlohmann::json& line : metrics_of(workshop_ / "equal")) {
    if (line.at("phase") == "validation") validation.push_back(line);
  }
  ASSERT_EQ(validation.size(), 3u);
  const auto loss = [](const nlohmann::json& line) { return line.at("loss").get<double>(); };
  nlohmann::json best = validation[0];
  for (const nlohmann::json& line : validation) {
    EXPECT_EQ(line.at("accuracy"), best.at("accuracy"));
    if (loss(line) < loss(best)) best = line;
  }
  EXPECT_NE(loss(validation[0]), loss(validation[2]));
  EXPECT_EQ(result.at("best_epoch"), best.at("epoch"));
}

}  // namespace
}  // namespace qhost::tests

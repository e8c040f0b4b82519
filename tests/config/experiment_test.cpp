#include "config/experiment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "config/fixtures.h"
#include "config/schema.h"

namespace qhost::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Load : public testing::Test {
 protected:
  LoadResult load(const std::string& text, const std::vector<std::string>& overrides = {}) {
    return load_experiment(folder_.write("x.toml", text), overrides, catalog_);
  }
  Experiment good(const std::string& text, const std::vector<std::string>& overrides = {}) {
    LoadResult result = load(text, overrides);
    EXPECT_TRUE(result.ok) << render(result.diagnostics);
    EXPECT_FALSE(result.sweep);
    if (result.points.size() != 1) throw std::runtime_error("not one point");
    return std::move(result.points[0].experiment);
  }
  std::string errors(const std::string& text, const std::vector<std::string>& overrides = {}) {
    const LoadResult result = load(text, overrides);
    EXPECT_FALSE(result.ok);
    EXPECT_TRUE(result.points.empty());
    return concise(result.diagnostics, folder_.path());
  }
  Folder folder_;
  TestCatalog catalog_;
};

TEST_F(Load, FillsInDefaults) {
  const Experiment experiment = good(minimal);
  EXPECT_EQ(experiment.name, "x");
  EXPECT_EQ(experiment.file, folder_.path() / "x.toml");
  EXPECT_EQ(experiment.data.name, "digits");
  EXPECT_EQ(experiment.data.options.real("fraction"), 1);
  EXPECT_EQ(experiment.model.options.integer("depth"), 20);
  EXPECT_THAT(experiment.model.options.integers("widths"), ElementsAre(16, 32, 64));
  EXPECT_EQ(experiment.optimizer.name, "sgd");
  EXPECT_EQ(experiment.optimizer.options.real("learning_rate"), 0.1);
  EXPECT_EQ(experiment.optimizer.options.string("weight_decay_on"), "weights");
  EXPECT_EQ(experiment.schedule.name, "constant");
  EXPECT_THAT(experiment.quantizers, IsEmpty());
  EXPECT_EQ(experiment.train.integer("epochs"), 10);
  EXPECT_EQ(experiment.train.integer("batch_size"), 128);
  EXPECT_EQ(experiment.train.string("precision"), "fp32");
  EXPECT_EQ(experiment.train.string("device"), "cpu");
  EXPECT_EQ(experiment.train.integer("keep_checkpoints"), 2);
  EXPECT_THAT(experiment.augment.reals("mean"), IsEmpty());
  EXPECT_EQ(experiment.calibration.integer("batches"), 32);
}

TEST_F(Load, RecordsTheNumberOfThreads) {
  EXPECT_EQ(good(minimal).train.integer("threads"),
            static_cast<std::int64_t>(std::max(1U, std::thread::hardware_concurrency())));
  EXPECT_EQ(good(minimal, {"train.threads=3"}).train.integer("threads"), 3);
}

TEST_F(Load, TakesIntegersForNumbers) {
  const Experiment experiment =
      good(minimal, {"optimizer.learning_rate=1", "augment.mean=[0, 0.5]", "augment.std=[1, 1]"});
  EXPECT_EQ(experiment.optimizer.options.real("learning_rate"), 1);
  EXPECT_THAT(experiment.augment.reals("mean"), ElementsAre(0, 0.5));
}

TEST_F(Load, ReadsRules) {
  const Experiment experiment = good(minimal +
                                     "[[quantizer]]\n"
                                     "name = \"bwn\"\n"
                                     "[[quantizer]]\n"
                                     "name = \"uniform\"\n"
                                     "bits = 4\n"
                                     "layers = [\"stage1.*\", \"type:linear\"]\n"
                                     "roles = [\"input\"]\n"
                                     "keep_float = []\n");
  ASSERT_EQ(experiment.quantizers.size(), 2U);
  const QuantizerRule& first = experiment.quantizers[0];
  EXPECT_EQ(first.method.name, "bwn");
  EXPECT_EQ(first.method.options.string("gradient"), "algorithm1");
  EXPECT_FALSE(first.method.options.has("layers"));
  EXPECT_THAT(first.layers, ElementsAre("*"));
  EXPECT_THAT(first.roles, IsEmpty());
  EXPECT_THAT(first.keep_float, ElementsAre("first", "last"));  // the method's default
  const QuantizerRule& second = experiment.quantizers[1];
  EXPECT_EQ(second.method.options.integer("bits"), 4);
  EXPECT_THAT(second.layers, ElementsAre("stage1.*", "type:linear"));
  EXPECT_THAT(second.roles, ElementsAre("input"));
  EXPECT_THAT(second.keep_float, IsEmpty());
  EXPECT_EQ(second.span_of("layers").line, 10);
  EXPECT_EQ(second.span_of("gradient").line, 7);  // the rule's header
  EXPECT_EQ(second.method.where.line, 8);
}

// Another method has other options; the layers and roles of the rule are kept.
TEST_F(Load, AnotherMethodKeepsARulesLayersAndRoles) {
  const std::string file = minimal +
                           "[[quantizer]]\nname = \"bwn\"\n"
                           "[[quantizer]]\nname = \"uniform\"\nbits = 2\nlayers = [\"stage1.*\"]\n"
                           "roles = [\"input\"]\nkeep_float = []\n";
  const Experiment experiment = good(file, {"quantizer.1.name=binaryconnect"});
  ASSERT_EQ(experiment.quantizers.size(), 2U);
  const QuantizerRule& rule = experiment.quantizers[1];
  EXPECT_EQ(rule.method.name, "binaryconnect");
  EXPECT_THAT(rule.layers, ElementsAre("stage1.*"));
  EXPECT_THAT(rule.roles, ElementsAre("input"));
  EXPECT_FALSE(rule.method.options.has("bits"));
  EXPECT_EQ(experiment.quantizers[0].method.name, "bwn");
}

TEST_F(Load, NoneIsFloat) {
  EXPECT_THAT(good(minimal + "[quantizer]\nname = \"none\"\n").quantizers, IsEmpty());
  EXPECT_THAT(good(minimal + "[quantizer]\nname = \"uniform\"\nbits = 3\n", {"quantizer.name=none"})
                  .quantizers,
              IsEmpty());
  EXPECT_THAT(good(minimal + "[[quantizer]]\nname = \"bwn\"\n[[quantizer]]\nname = \"bwn\"\n",
                   {"quantizer.name=none"})
                  .quantizers,
              IsEmpty());
  EXPECT_THAT(errors(minimal + "[quantizer]\nname = \"none\"\nbits = 3\n"),
              HasSubstr("x.toml:7:1: error: unknown key `bits` in [quantizer] (none)"));
}

TEST_F(Load, NoneAmongOthersMasks) {
  const std::string file = minimal +
                           "[[quantizer]]\nname = \"bwn\"\n"
                           "[[quantizer]]\nname = \"none\"\nlayers = [\"stage1.*\"]\n";
  const Experiment experiment = good(file);
  ASSERT_EQ(experiment.quantizers.size(), 2U);
  EXPECT_EQ(experiment.quantizers[1].method.name, "none");
  EXPECT_THAT(experiment.quantizers[1].layers, ElementsAre("stage1.*"));
  EXPECT_EQ(experiment.result_keys().at("quantizer.1.layers"), "[\"stage1.*\"]");
  EXPECT_EQ(good(experiment.resolved_toml()).all_keys(), [&] {
    auto keys = experiment.all_keys();
    keys["name"] = "\"x\"";
    return keys;
  }());
  EXPECT_THAT(errors(file + "bits = 3\n"),
              HasSubstr("x.toml:10:1: error: unknown key `bits` in [quantizer] (none)"));
  EXPECT_THAT(good(file, {"quantizer.0.name=none"}).quantizers, IsEmpty());
}

TEST_F(Load, OverridesKeepTheirOrderOutOfTheResult) {
  const std::string file = minimal + "[optimizer]\nname = \"sgd\"\nmomentum = 0.5\n";
  for (const auto& arguments :
       {std::vector<std::string>{"optimizer.beta1=0.8", "optimizer.name=adam"},
        std::vector<std::string>{"optimizer.name=adam", "optimizer.beta1=0.8"}}) {
    const Experiment experiment = good(file, arguments);
    EXPECT_EQ(experiment.optimizer.name, "adam");
    EXPECT_EQ(experiment.optimizer.options.real("beta1"), 0.8);
    EXPECT_FALSE(experiment.optimizer.options.has("momentum"));
  }
}

TEST_F(Load, OverridesIndexRules) {
  const std::string file =
      minimal + "[[quantizer]]\nname = \"bwn\"\n[[quantizer]]\nname = \"uniform\"\n";
  const Experiment experiment = good(file, {"quantizer.1.bits=4"});
  EXPECT_EQ(experiment.quantizers.at(1).method.options.integer("bits"), 4);
  EXPECT_EQ(experiment.origin("quantizer.1.bits").to_string(), "command line:1:18");
}

TEST_F(Load, KnowsTheOriginOfEachKey) {
  folder_.write("base.toml", "[train]\nepochs = 5\nseed = 2\n");
  const Experiment experiment =
      good("extends = \"base.toml\"\n" + minimal + "[train]\nepochs = 6\n", {"train.epochs=7"});
  EXPECT_EQ(experiment.train.integer("epochs"), 7);
  const Origin epochs = experiment.origin("train.epochs");
  EXPECT_EQ(epochs.kind, Origin::Kind::command_line);
  EXPECT_EQ(epochs.to_string(), "command line:1:14");
  ASSERT_EQ(epochs.overridden.size(), 2U);
  EXPECT_THAT(epochs.overridden[0].to_string(), HasSubstr("x.toml:7:10"));
  EXPECT_THAT(epochs.overridden[1].to_string(), HasSubstr("base.toml:2:10"));
  EXPECT_THAT(experiment.origin("train.seed").to_string(), HasSubstr("base.toml:3:8"));
  EXPECT_EQ(experiment.origin("train.device").to_string(), "default");
  EXPECT_EQ(experiment.origin("no.such").kind, Origin::Kind::default_value);
}

TEST_F(Load, ResolvedTomlLoadsToTheSameExperiment) {
  const std::string text = minimal +
                           "depth = 26\nwidths = []\nfamily = \"imagenet\"\n"
                           "[augment]\ncrop_padding = 4\nmean = [0.1, 1e-7]\nstd = [0.3, 1]\n"
                           "[[quantizer]]\nname = \"bwn\"\n"
                           "[[quantizer]]\nname = \"uniform\"\nroles = [\"input\"]\n"
                           "layers = [\"a\\\"b\\\\\", \"é\"]\nkeep_float = []\n"
                           "[optimizer]\nname = \"adamw\"\nlearning_rate = 0.1\nepsilon = 1e-300\n"
                           "[schedule]\nname = \"multi_step\"\nmilestones = [3, 5]\n"
                           "[data.root]\n";
  std::string file = text;
  file.replace(file.find("[data.root]\n"), 12, "");
  file.replace(file.find("[model]"), 7, "root = \"files/../here\"\n[model]");
  const Experiment first = good("name = \"my.run-1\"\n" + file, {"train.seed=9"});
  const Folder other;
  LoadResult again =
      load_experiment(other.write("resolved.toml", first.resolved_toml()), {}, catalog_);
  ASSERT_TRUE(again.ok) << render(again.diagnostics) << first.resolved_toml();
  const Experiment& second = again.points.at(0).experiment;
  EXPECT_EQ(second.name, "my.run-1");
  EXPECT_EQ(second.all_keys(), first.all_keys());
  EXPECT_EQ(second.result_keys(), first.result_keys());
  EXPECT_EQ(second.resolved_toml(), first.resolved_toml());
  EXPECT_EQ(second.resolved_json(), first.resolved_json());
  EXPECT_EQ(second.quantizers.at(1).layers, first.quantizers.at(1).layers);
  EXPECT_THAT(first.resolved_toml(), HasSubstr("\nkeep_float = [\"first\", \"last\"]\n"));
  EXPECT_EQ(second.data.options.string("root"), (folder_.path() / "here").string());
}

TEST_F(Load, ResolvedTomlNamesEveryKeyWithItsValue) {
  const std::string text = good(minimal, {"train.threads=2"}).resolved_toml();
  for (const auto& table : tables()) {
    if (table.name != "sweep") {
      EXPECT_THAT(text, HasSubstr("\n[" + table.name + "]\n"));
    }
    if (table.component) continue;
    for (const auto& option : table.options) {
      EXPECT_THAT(text, HasSubstr("\n" + option.name() + " = ")) << table.name;
    }
  }
  EXPECT_THAT(text, HasSubstr("\n[quantizer]\nname = \"none\"\n"));
  EXPECT_THAT(text, HasSubstr("\nthreads = 2\n"));
}

TEST_F(Load, ResolvedJsonHoldsTypedValues) {
  const auto json =
      good(minimal + "[quantizer]\nname = \"uniform\"\n", {"train.threads=2"}).resolved_json();
  EXPECT_EQ(json["train"]["threads"], 2);
  EXPECT_EQ(json["train"]["channels_last"], true);
  EXPECT_EQ(json["model"]["name"], "resnet");
  EXPECT_EQ(json["model"]["widths"], nlohmann::json::array({16, 32, 64}));
  EXPECT_EQ(json["quantizer"][0]["name"], "uniform");
  EXPECT_EQ(json["quantizer"][0]["bits"], 8);
  EXPECT_EQ(json["quantizer"][0]["keep_float"], nlohmann::json::array());
}

TEST_F(Load, ResultKeysLeaveOutWhatCannotChangeAResult) {
  const auto keys = good(minimal + "[quantizer]\nname = \"uniform\"\n").result_keys();
  EXPECT_EQ(keys.at("train.epochs"), "10");
  EXPECT_EQ(keys.at("quantizer.0.name"), "\"uniform\"");
  EXPECT_EQ(keys.at("quantizer.0.bits"), "8");
  EXPECT_EQ(keys.count("train.threads"), 1U);
  for (const char* key : {"name", "train.progress_every", "train.checkpoint_every",
                          "train.keep_checkpoints", "data.root"}) {
    EXPECT_EQ(keys.count(key), 0U) << key;
  }
  const auto same = [&](const std::vector<std::string>& overrides) {
    return good(minimal + "[quantizer]\nname = \"uniform\"\n", overrides).result_keys() == keys;
  };
  EXPECT_TRUE(same({"name=other", "train.progress_every=7", "data.root=/x"}));
  EXPECT_TRUE(same({"quantizer.0.bits=8"}));
  EXPECT_FALSE(same({"quantizer.bits=7"}));
  EXPECT_FALSE(same({"train.seed=2"}));
  EXPECT_TRUE(same({"quantizer.keep_float=[]"}));  // the default value
  EXPECT_FALSE(same({"quantizer.keep_float=[\"first\"]"}));
  EXPECT_FALSE(same({"quantizer.name=none"}));
}

TEST_F(Load, PathsInAFileAreRelativeToIt) {
  folder_.write("base/data.toml", "[data]\nname = \"digits\"\nroot = \"../sets\"\n");
  const std::string file = "extends = \"base/data.toml\"\nmodel.name = \"resnet\"\n";
  EXPECT_EQ(good(file).data.options.string("root"), (folder_.path() / "sets").string());
  EXPECT_EQ(good(file, {"data.root=sets"}).data.options.string("root"),
            (std::filesystem::current_path() / "sets").string());
  EXPECT_EQ(good(file, {"data.root=/sets"}).data.options.string("root"), "/sets");
  EXPECT_EQ(good(file, {"data.root=\"\""}).data.options.string("root"), "");
}

TEST_F(Load, PointsAtKeysThatTurnOutWrongLater) {
  const Experiment experiment =
      good(minimal + "depth = 21\n[quantizer]\nname = \"uniform\"\nbits = 4\n", {"model.depth=22"});
  const Diagnostic depth = experiment.diagnostic_for(
      "model", OptionError("depth", "22 is not 6n+2", "the nearest is 20"));
  EXPECT_EQ(depth.code, "config.component");
  EXPECT_EQ(depth.message, "`model.depth`: 22 is not 6n+2");
  EXPECT_THAT(depth.helps, ElementsAre("the nearest is 20"));
  EXPECT_EQ(depth.primary.span.to_string(), "command line:1:13");
  ASSERT_EQ(depth.secondary.size(), 1U);
  EXPECT_THAT(depth.secondary[0].span.to_string(), HasSubstr("x.toml:5:9"));
  // For a default, the place of the table; without a table, the file.
  EXPECT_THAT(experiment.diagnostic_at("model.family", "m").primary.span.to_string(),
              HasSubstr("x.toml:3:2"));
  EXPECT_THAT(experiment.diagnostic_at("train.epochs", "m").primary.span.to_string(),
              testing::EndsWith("x.toml"));
  EXPECT_THAT(experiment.diagnostic_at("quantizer.bits", "m").primary.span.to_string(),
              HasSubstr("x.toml:8:8"));
  EXPECT_THAT(experiment.diagnostic_at("quantizer.0.bits", "m").primary.span.to_string(),
              HasSubstr("x.toml:8:8"));
  EXPECT_THAT(experiment.diagnostic_at("quantizer.0.layers", "m").primary.span.to_string(),
              HasSubstr("x.toml:6:2"));
}

TEST_F(Load, ReportsAllErrorsOfAllFilesInOnePass) {
  folder_.write("base.toml", "[train]\nepoch = 5\n[optimizer]\nmomentum = 2\n");
  EXPECT_EQ(errors("extends = \"base.toml\"\n" + minimal + "depth = 2\n[traim]\n",
                   {"train.seed=x", "nonsense"}),
            "base.toml:2:1: error: unknown key `epoch` in [train] [config.unknown-key]\n"
            "base.toml:4:12: error: `optimizer.momentum`: 2 is not below 1 [config.out-of-range]\n"
            "x.toml:6:9: error: `model.depth`: 2 is below the minimum 8 [config.out-of-range]\n"
            "x.toml:7:2: error: unknown table [traim] [config.unknown-key]\n"
            "command line:1:12: error: `train.seed`: expected an integer, found a string \"x\" "
            "[config.wrong-type]\n"
            "command line:2:1: error: `nonsense` is no override: it has no equals sign "
            "[config.bad-override]\n");
}

TEST_F(Load, ASyntaxErrorDoesNotMakeKeysMissing) {
  const std::string text = errors("[data]\nname = digits\n[model]\nname = \"resnet\"\ndepht = 1\n");
  EXPECT_THAT(text, HasSubstr("x.toml:2:8: error: not valid TOML"));
  EXPECT_THAT(text, HasSubstr("x.toml:5:1: error: unknown key `depht`"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
}

TEST_F(Load, AMissingFileIsOneError) {
  const LoadResult result = load_experiment(folder_.path() / "no.toml", {}, catalog_);
  EXPECT_EQ(concise(result.diagnostics, folder_.path()),
            "no.toml: error: does not exist [config.file]\n");
  EXPECT_EQ(result.error_kind, ErrorKind::configuration);
}

TEST_F(Load, ARefusedPluginHasItsOwnExitCode) {
  const std::string file = "[data]\nname = \"digits\"\n[model]\nname = \"refused\"\n";
  EXPECT_EQ(load(file).error_kind, ErrorKind::plugin);
  EXPECT_EQ(load(file + "depht = 1\n[train]\nepochs = 2\n").error_kind, ErrorKind::plugin);
  EXPECT_EQ(load(file + "[train]\nepoch = 1\n").error_kind, ErrorKind::configuration);
  try {
    load_experiment_or_throw(folder_.path() / "x.toml", {}, catalog_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(), HasSubstr("note: it was built for LibTorch 1.0.0, this is 2.15.0"));
  }
  EXPECT_EQ(load_experiment_or_throw(folder_.write("y.toml", minimal), {}, catalog_).size(), 1U);
}

TEST_F(Load, AWrongValueIsOneErrorNotAConflict) {
  const std::string text =
      errors(minimal + "[train]\nloss = \"squared_hinge\"\nlabel_smoothing = 7\n");
  EXPECT_THAT(text, HasSubstr("`train.label_smoothing`: 7 is not below 1"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
}

/// An option that was a boolean and is now a choice of words.
class ChoiceCatalog : public TestCatalog {
 public:
  const std::vector<Option>* find(const std::string& kind, const std::string& name) override {
    if (kind != "quantizer" || name != "uniform") return TestCatalog::find(kind, name);
    return &options_;
  }

 private:
  std::vector<Option> options_ = {
      Option::string("both_signs", "auto", "levels below 0").one_of({"auto", "true", "false"}),
      Option::string("scheme", "affine", "of the levels").one_of({"affine", "symmetric"})};
};

TEST(Choices, ABooleanStandsForTheWord) {
  const Folder folder;
  ChoiceCatalog catalog;
  const auto load = [&](const std::string& value, const std::vector<std::string>& overrides = {}) {
    return load_experiment(
        folder.write("x.toml", minimal + "[quantizer]\nname = \"uniform\"\n" + value), overrides,
        catalog);
  };
  const auto both_signs = [&](const std::string& value,
                              const std::vector<std::string>& overrides = {}) {
    const LoadResult result = load(value, overrides);
    EXPECT_TRUE(result.ok) << render(result.diagnostics);
    return result.ok ? result.points[0].experiment.quantizers[0].method.options.string("both_signs")
                     : "";
  };
  EXPECT_EQ(both_signs(""), "auto");
  EXPECT_EQ(both_signs("both_signs = false"), "false");
  EXPECT_EQ(both_signs("both_signs = true"), "true");
  EXPECT_EQ(both_signs("both_signs = \"true\""), "true");
  EXPECT_EQ(both_signs("", {"quantizer.both_signs=false"}), "false");
  // The same experiment in either notation.
  const auto keys = [&](const std::string& value) {
    return load(value).points.at(0).experiment.result_keys();
  };
  EXPECT_EQ(keys("both_signs = false"), keys("both_signs = \"false\""));
  EXPECT_THAT(load("both_signs = false").points.at(0).experiment.resolved_toml(),
              HasSubstr("both_signs = \"false\"\n"));

  const auto wrong = [&](const std::string& value) {
    return concise(load(value).diagnostics, folder.path());
  };
  EXPECT_THAT(wrong("scheme = true"),
              HasSubstr("`quantizer.scheme`: expected a string, found a boolean true"));
  EXPECT_THAT(wrong("both_signs = 1"), HasSubstr("expected a string, found an integer 1"));
}

TEST(Choices, OptionsTakeThemAsWell) {
  const std::vector<Option> declared = {
      Option::string("both_signs", "auto", "levels below 0").one_of({"auto", "true", "false"}),
      Option::string("scheme", "affine", "of the levels").one_of({"affine", "symmetric"})};
  EXPECT_EQ(Options::from(declared, {{"both_signs", true}}).string("both_signs"), "true");
  EXPECT_EQ(declared[0].why_invalid(false), "");
  EXPECT_EQ(declared[1].why_invalid(false), "expected a string, found boolean false");
}

TEST(Schema, DefaultsAreValid) {
  const auto check = [](const std::vector<Option>& options) {
    for (const auto& option : options) {
      EXPECT_FALSE(option.help().empty()) << option.name();
      if (option.default_value()) {
        EXPECT_EQ(option.why_invalid(*option.default_value()), "") << option.name();
      }
    }
  };
  for (const auto& table : tables()) check(table.options);
  for (const auto& one : optimizers()) check(one.options);
  for (const auto& one : schedules()) check(one.options);
  EXPECT_NE(find_optimizer("adamw"), nullptr);
  EXPECT_EQ(find_optimizer("cosine"), nullptr);
  EXPECT_NE(find_schedule("one_cycle"), nullptr);
  EXPECT_EQ(find_table("nothing"), nullptr);
}

}  // namespace
}  // namespace qhost::config

// What people type first: words of other tools, a dash too many, a run for a file.
#include <gmock/gmock.h>

#include "cli/command_line.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Typing : public CommandLine {};

TEST_F(Typing, WordsOfOtherToolsAreUnderstood) {
  const auto help = [&](const Words& words, int code = 2) {
    const std::string said = refused(words, code);
    const std::size_t at = said.find("help: ");
    return at == std::string::npos ? said : said.substr(at, said.find('\n', at) - at);
  };
  EXPECT_EQ(help({"run", "e.toml", "lr=0.1"}), "help: it is called `optimizer.learning_rate` here");
  EXPECT_EQ(help({"run", "e.toml", "train.lr=0.1"}),
            "help: it is called `optimizer.learning_rate` here");
  EXPECT_EQ(help({"run", "e.toml", "bs=8"}), "help: it is called `train.batch_size` here");
  EXPECT_EQ(help({"run", "e.toml", "batch=8"}), "help: it is called `train.batch_size` here");
  EXPECT_EQ(help({"run", "e.toml", "epochs=8"}), "help: `epochs` belongs to [train]");
  EXPECT_EQ(help({"run", "e.toml", "--epochs", "3"}),
            "help: a setting is written without dashes: train.epochs=3");
  EXPECT_EQ(help({"run", "e.toml", "--train.epochs=3"}),
            "help: a setting is written without dashes: train.epochs=3");
  EXPECT_EQ(help({"run", "e.toml", "--lr"}),
            "help: a setting is written without dashes: optimizer.learning_rate=VALUE");
  EXPECT_EQ(help({"run", "e.toml", "--dryrun"}), "help: did you mean `--dry-run`?");
  EXPECT_EQ(help({"run", "e.toml", "train.epochs", "=", "3"}),
            "help: write KEY=VALUE without spaces around the equals sign");
  EXPECT_EQ(help({"run", "e.toml", "train.epochs:", "3"}), "help: write train.epochs=3");
  EXPECT_EQ(help({"run", "e.toml", "train.epochs:3"}), "help: write train.epochs=3");
  EXPECT_EQ(help({"run", "e.toml", "data.name=mnist"}), "help: did you mean `fashion_mnist`?");
  EXPECT_EQ(help({"run", "e.toml", "quantizer.name=bnw"}), "help: did you mean `bwn`?");
  EXPECT_EQ(help({"run", "e.toml", "model.name=wrn"}), "help: did you mean `wideresnet`?");
  EXPECT_EQ(help({"run", "e.toml", "model.depth=18"}), "help: ResNet-18 is family = \"imagenet\"");
  EXPECT_EQ(help({"run", "e.toml", "train.batch_size=4000000000000"}),
            "help: choose 1 <= batch_size <= 1048576");
  EXPECT_EQ(help({"describe", "wrn"}), "help: did you mean `wideresnet`?");
  EXPECT_EQ(help({"describe", "lr"}), "help: did you mean `optimizer.learning_rate`?");
  EXPECT_EQ(help({"describe", "train.epoch"}), "help: did you mean `train.epochs`?");
  EXPECT_EQ(help({"describe", "bwn.gradint"}), "help: did you mean `bwn.gradient`?");
  EXPECT_EQ(help({"describe", "bwn.zzz"}), "help: `bwn` has the options gradient");
  EXPECT_EQ(help({"data"}), "help: did you mean `data list`?");
  EXPECT_EQ(help({"run", "e.toml", "train.device=gpu"}), "help: did you mean `cuda`?");
  EXPECT_EQ(help({"run", "e.toml", "train.precision=bfloat16"}), "help: did you mean `bf16`?");
  EXPECT_EQ(help({"run", "e.tml"}), "help: did you mean `e.toml`?");
  EXPECT_EQ(help({"run", "e"}), "help: did you mean `e.toml`?");
  EXPECT_EQ(help({"run", "nothing.toml"}),
            "help: check the path; it is relative to the current directory");
  EXPECT_EQ(help({"plugin", "check", "bnw"}), "help: did you mean `bwn`?");
  EXPECT_THAT(refused({"run", "e.toml", "-e", "3"}, 2), HasSubstr("unknown option `-e`\nhelp: "));
}

TEST_F(Typing, AKeyAndATableAreDescribed) {
  EXPECT_THAT(ok({"describe", "train.epochs"}).out,
              AllOf(HasSubstr("epochs  integer  10"), Not(HasSubstr("batch_size"))));
  EXPECT_THAT(ok({"describe", "optimizer"}).out, HasSubstr("name is one of: sgd, adam, adamw"));
  EXPECT_THAT(ok({"describe", "model"}).out, HasSubstr("name is one of: densenet, resnet, vgg"));
  const json rates = json::parse(ok({"describe", "optimizer.learning_rate", "--json"}).out);
  EXPECT_EQ(rates.size(), 3U) << rates;
  EXPECT_THAT(ok({"run", "-h"}).out, StartsWith("usage: qhost run "));
}

TEST_F(Typing, ARunForAFileAndAFileForARun) {
  ok({"run", "e.toml", "name=r", "train.max_steps=1"});
  EXPECT_THAT(refused({"run", "runs/r/latest"}, 2),
              AllOf(HasSubstr("is a run, not an experiment file"),
                    HasSubstr("help: its experiment is runs/r/latest/resolved.toml; ")));
  for (const Words& words : std::vector<Words>{
           {"eval", "e.toml"}, {"compare", "e.toml"}, {"weights", "e.toml", "-o", "x"}}) {
    EXPECT_THAT(
        refused(words, 2),
        HasSubstr("help: name the folder of a run, as runs/NAME/latest; `qhost run` takes an "
                  "experiment file"))
        << words.front();
  }
}

// A script that asked for JSON gets its errors as JSON, with their codes and places.
TEST_F(Typing, ErrorsAreJsonWhereJsonWasAsked) {
  const ProcessResult bad =
      workshop_.run({"run", "e.toml", "model.depht=3", "train.seed=x", "--json"});
  EXPECT_EQ(bad.code, 2);
  const json error = json::parse(bad.out).at("error");
  EXPECT_EQ(error.at("exit_code"), 2);
  ASSERT_EQ(error.at("diagnostics").size(), 2U);
  EXPECT_EQ(error.at("diagnostics").at(0).at("code"), "config.unknown-key");
  EXPECT_EQ(error.at("diagnostics").at(0).at("line"), 1);
  EXPECT_EQ(error.at("diagnostics").at(1).at("code"), "config.wrong-type");
  EXPECT_THAT(bad.err, HasSubstr("[config.unknown-key]"));

  const json depth =
      json::parse(workshop_.run({"summary", "e.toml", "model.depth=21", "--json"}).out).at("error");
  EXPECT_EQ(depth.at("diagnostics").at(0).at("code"), "config.component");
  const json plain = json::parse(workshop_.run({"eval", "nowhere", "--json"}).out).at("error");
  EXPECT_EQ(plain.at("helps").size(), 1U);
  EXPECT_EQ(plain.at("diagnostics"), json::array());
  EXPECT_EQ(workshop_.run({"eval", "nowhere"}).out, "");
}

// The warning points at the rule that has no effect.
TEST_F(Typing, AnOverriddenRuleHasItsPlace) {
  workshop_.write("rules.toml",
                  small_experiment().substr(0, small_experiment().find("[quantizer]")) +
                      "[[quantizer]]\nname = \"bwn\"\nlayers = [\"fc\"]\nkeep_float = []\n"
                      "[[quantizer]]\nname = \"ternary\"\nkeep_float = []\n");
  const std::string said = ok({"summary", "rules.toml"}).err;
  EXPECT_THAT(said,
              HasSubstr("rules.toml:22:10: warning: rule 1 (bwn) is wholly overridden by rule 2 "
                        "(ternary) [config.rule-overridden]\n    22 | layers = [\"fc\"]\n"));
  EXPECT_THAT(
      ok({"run", "rules.toml", "--dry-run"}).err + ok({"run", "rules.toml", "--dry-run"}).out,
      HasSubstr("[config.rule-overridden]"));
}

TEST_F(Typing, PointsOfASweepAreChosen) {
  workshop_.write("s.toml", small_experiment() +
                                "[sweep]\nseeds = [1, 2]\npoints = [{label = \"a\"}, {label = \"b, "
                                "wide\", model.depth = 14}, {label = \"c\"}]\n");
  const auto labels = [&](const std::string& points) {
    const ProcessResult result = workshop_.run(
        {"run", "s.toml", "train.max_steps=1", "train.epochs=1", "--points", points, "--json"});
    EXPECT_EQ(result.code, 0) << result.err;
    std::vector<std::string> all;
    const json last = last_json_line(result.out);
    for (const json& run : last.at("points")) all.push_back(run.at("label"));
    return all;
  };
  EXPECT_THAT(labels("1"), ::testing::ElementsAre(StartsWith("b, wide"), StartsWith("b, wide")));
  EXPECT_THAT(labels("c,0"), ::testing::ElementsAre(StartsWith("a"), StartsWith("a"),
                                                    StartsWith("c"), StartsWith("c")));
  EXPECT_THAT(labels("b, wide"), ::testing::SizeIs(2));
  EXPECT_THAT(labels("a,b, wide"), ::testing::SizeIs(4));
  EXPECT_THAT(refused({"run", "s.toml", "--points", "3"}, 2),
              HasSubstr("error: --points: there is no point `3`; the points are\n  0  a\n  1  b, "
                        "wide\n  2  c\nhelp: "));
  EXPECT_THAT(refused({"run", "e.toml", "--points", "0"}, 2), HasSubstr("e.toml has no [sweep]"));
  EXPECT_THAT(ok({"summary", "s.toml"}).out, HasSubstr("--layers shows the layers of each"));
  EXPECT_THAT(ok({"summary", "s.toml", "--layers"}).out, HasSubstr("stage1.block0.conv1"));
  EXPECT_THAT(ok({"score", "s.toml", "--rule", "course"}).out, Not(HasSubstr("stage1")));
}

TEST_F(Typing, TheDataMayLieElsewhereForEval) {
  ok({"run", "e.toml", "name=r", "train.max_steps=1"});
  EXPECT_THAT(refused({"eval", "runs/r/latest", "train.seed=2"}, 2),
              AllOf(HasSubstr("`train.seed=2` would change "),
                    HasSubstr(", a run that was made with other values\nhelp: of a run only "
                              "data.root=FOLDER can be given")));
  EXPECT_THAT(refused({"score", "runs/r/latest", "model.depth=2", "--rule", "course"}, 2),
              HasSubstr("`model.depth=2` would change"));
}

}  // namespace
}  // namespace qhost::tests

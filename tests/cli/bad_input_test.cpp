// Wrong experiments, data and plugins: the message for the user, and the exit code.
#include <gmock/gmock.h>

#include "cli/process.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using Words = Workshop::Words;

class BadInput : public ::testing::Test {
 protected:
  void SetUp() override { workshop_.write("e.toml", small_experiment()); }

  /// Runs a command that must fail with that code, print nothing and leave no run directory.
  /// Returns its stderr.
  std::string error(int code, const Words& words) {
    Words all = {"run"};
    all.insert(all.end(), words.begin(), words.end());
    const ProcessResult result = workshop_.run(all);
    EXPECT_EQ(result.code, code) << ::testing::PrintToString(result);
    EXPECT_EQ(result.out, "");
    if (fs::exists(workshop_ / "runs")) {
      EXPECT_TRUE(fs::is_empty(workshop_ / "runs")) << "a run directory was left";
    }
    return result.err;
  }
  /// The small experiment with one piece of its text replaced.
  std::string changed(const std::string& from, const std::string& to) {
    std::string text = small_experiment();
    const auto at = text.find(from);
    if (at == std::string::npos) throw std::runtime_error("no " + from);
    workshop_.write("bad.toml", text.replace(at, from.size(), to));
    return "bad.toml";
  }

  Workshop workshop_;
};

TEST_F(BadInput, UnknownKey) {
  EXPECT_EQ(error(2, {changed("depth = 8", "depht = 8")}),
            "bad.toml:7:1: error: unknown key `depht` in [model] (resnet) [config.unknown-key]\n"
            "    7 | depht = 8\n"
            "      | ^^^^^\n"
            "  note: valid keys: name, family, depth, shortcut, block, stem_pool, preactivation, "
            "activation, bn_epsilon\n"
            "  help: did you mean `depth`?\n");
}

TEST_F(BadInput, WrongType) {
  EXPECT_THAT(error(2, {changed("epochs = 2", "epochs = \"two\"")}),
              AllOf(StartsWith("bad.toml:10:10: error: `train.epochs`: expected an integer, found "
                               "a string \"two\" [config.wrong-type]\n"),
                    HasSubstr("\n    10 | epochs = \"two\"\n       |          ^^^^^\n"),
                    HasSubstr("\n  help: for example epochs = 10\n")));
}

TEST_F(BadInput, OutOfRange) {
  EXPECT_THAT(
      error(2, {changed("batch_size = 32", "batch_size = 0")}),
      AllOf(StartsWith("bad.toml:11:14: error: `train.batch_size`: 0 is below the minimum 1 "
                       "[config.out-of-range]\n"),
            HasSubstr("\n  help: choose 1 <= batch_size <= 1048576\n")));
}

TEST_F(BadInput, AnOverrideShowsWhatItReplaces) {
  EXPECT_THAT(error(2, {"e.toml", "train.seed=4", "train.epochs=-1"}),
              AllOf(StartsWith("command line:2:14: error: `train.epochs`: -1 is below the minimum "
                               "0 [config.out-of-range]\n"),
                    HasSubstr("\n  e.toml:10:10:\n    10 | epochs = 2\n"),
                    HasSubstr("- overrides this\n")));
  EXPECT_THAT(error(2, {"e.toml", "extra"}),
              StartsWith("command line:1:1: error: `extra` is no override: it has no equals sign "
                         "[config.bad-override]\n"));
}

TEST_F(BadInput, AllErrorsInOnePass) {
  const std::string text =
      error(2, {changed("depth = 8", "depht = 8"), "train.epochs=fast", "optimizer.lr=1"});
  EXPECT_THAT(text, AllOf(HasSubstr("bad.toml:7:1: error: unknown key `depht`"),
                          HasSubstr("command line:1:14: error: `train.epochs`: expected"),
                          HasSubstr("command line:2:11: error: unknown key `lr` in [optimizer]")));
}

TEST_F(BadInput, UnknownComponentsWithTheNearestAndWhereTheyWereSought) {
  EXPECT_THAT(
      error(2, {changed("\"resnet\"", "\"resnit\"")}),
      AllOf(StartsWith("bad.toml:6:8: error: unknown architecture `resnit` "
                       "[config.unknown-component]\n"),
            HasSubstr("  note: known: densenet, resnet, vgg, wideresnet\n"),
            HasSubstr("searched:\n"), HasSubstr("/lib/qhost/plugins  (installation)\n"),
            HasSubstr("/home/.local/share/qhost/plugins  (user folder; there is no such folder)"),
            HasSubstr("\n  help: did you mean `resnet`?\n")));
  EXPECT_THAT(error(2, {changed("\"bwn\"", "\"bwm\"")}),
              AllOf(HasSubstr("error: unknown quantizer `bwm` [config.unknown-component]\n"),
                    HasSubstr("help: did you mean `bwn`?")));
  EXPECT_THAT(error(2, {"e.toml", "data.name=cifar11"}),
              AllOf(HasSubstr("`cifar11` [config.unknown-component]\n"),
                    HasSubstr("help: did you mean `cifar10`")));
  EXPECT_THAT(error(2, {"e.toml", "optimizer.name=adma"}),
              AllOf(HasSubstr("`adma` [config.unknown-component]\n"),
                    HasSubstr("help: did you mean `adam`")));
}

TEST_F(BadInput, RulesThatSelectNothing) {
  EXPECT_THAT(
      error(2, {changed("name = \"bwn\"", "name = \"bwn\"\nlayers = [\"stage9.*\"]")}),
      AllOf(StartsWith("bad.toml:22:10: error: `stage9.*` matches no layer of this network "),
            HasSubstr("\n  help: `qhost summary` lists the layers' names\n")));
  EXPECT_THAT(error(2, {"e.toml", "quantizer.keep_float=[\"*\"]"}),
              AllOf(HasSubstr("error: `bwn` quantizes nothing: its layers, less keep_float, leave "
                              "no slot that it takes"),
                    HasSubstr("\n  help: ")));
}

TEST_F(BadInput, AComplaintOfTheArchitecturePointsAtItsLine) {
  const std::string expected =
      "bad.toml:7:9: error: `model.depth`: depth 21 is not 6n+2; nearest: 20 and 26 "
      "[config.component]\n"
      "    7 | depth = 21\n"
      "      |         ^^\n";
  changed("depth = 8", "depth = 21");
  EXPECT_EQ(error(2, {"bad.toml"}), expected);
  EXPECT_EQ(error(2, {"bad.toml", "--dry-run"}), expected);
  const ProcessResult summary = workshop_.run({"summary", "bad.toml"});
  EXPECT_EQ(summary.code, 2);
  EXPECT_EQ(summary.err, expected);
  EXPECT_THAT(error(2, {"e.toml", "model.depth=21"}),
              StartsWith("command line:1:13: error: `model.depth`: depth 21 is not 6n+2"));
}

TEST_F(BadInput, CyclicExtends) {
  workshop_.write("a.toml", "extends = [\"b.toml\"]\n");
  workshop_.write("b.toml", "extends = [\"a.toml\"]\n");
  EXPECT_THAT(error(2, {"a.toml"}),
              AllOf(StartsWith("b.toml:1:12: error: a file extends itself: a.toml -> b.toml -> "
                               "a.toml [config.extends-cycle]\n"),
                    HasSubstr("\n  help: ")));
}

TEST_F(BadInput, MissingFiles) {
  EXPECT_EQ(error(2, {"nothing.toml"}),
            "nothing.toml: error: does not exist [config.file]\n"
            "  help: check the path; it is relative to the current directory\n");
  workshop_.write("a.toml", "name = \"a\"\nextends = [\"gone.toml\"]\n");
  EXPECT_THAT(error(2, {"a.toml"}), AllOf(HasSubstr("a.toml:2:12: error: "), HasSubstr("gone.toml"),
                                          HasSubstr("[config.file]")));
  EXPECT_THAT(error(2, {"."}), HasSubstr("[config.file]"));
}

// The second and third overflow the stack of toml++; a file of 2 GB is never read.
TEST_F(BadInput, DocumentsThatAreMeantToHarm) {
  workshop_.write("long.toml", "");
  fs::resize_file(workshop_ / "long.toml", std::uintmax_t{2} << 30);
  EXPECT_THAT(error(2, {"long.toml"}), HasSubstr("[config.file-too-large]"));
  std::string dots = "a";
  for (int i = 0; i < 60'000; ++i) dots += ".a";
  workshop_.write("dots.toml", dots + " = 1\n");
  EXPECT_THAT(error(2, {"dots.toml"}), HasSubstr("dots.toml:1:"));
  workshop_.write("brackets.toml", "a = " + std::string(60'000, '[') + "\n");
  EXPECT_THAT(error(2, {"brackets.toml"}), HasSubstr("brackets.toml:1:"));
  EXPECT_THAT(error(2, {"e.toml", "train." + std::string(60'000, '[') + "=1"}),
              HasSubstr("command line:1:"));
  workshop_.write("binary.toml", std::string("\0\377\376", 3));
  EXPECT_THAT(error(2, {"binary.toml"}), HasSubstr("[config.not-text]"));
}

TEST_F(BadInput, AMissingDataSet) {
  const std::string text = error(4, {"e.toml", "data.name=cifar10", "data.root=none"});
  EXPECT_THAT(text, StartsWith("error: cifar10: the data set is not on this machine; its folder "
                               "cifar-10-batches-bin was looked for in\n"));
  EXPECT_THAT(text, HasSubstr("none (no folder)\nhelp: download "));
  EXPECT_THAT(text, HasSubstr("\nhelp: or name its place with data.root=FOLDER or QHOST_DATA\n"));
  // An existing directory is kept; one that was created for this run is removed.
  EXPECT_THAT(error(4, {"e.toml", "data.name=cifar10", "--run-dir", "mine"}),
              HasSubstr("not on this machine"));
  EXPECT_FALSE(fs::exists(workshop_ / "mine"));
}

/// CIFAR-10's files in their published sizes, all zeros: sparse files that take no disk space.
class BadCifar : public BadInput {
 protected:
  void SetUp() override {
    BadInput::SetUp();
    for (const char* name : {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                             "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"}) {
      workshop_.write("cifar-10-batches-bin/" + std::string(name), "");
      fs::resize_file(file(name), 30'730'000);
    }
  }
  fs::path file(const std::string& name) { return workshop_ / ("cifar-10-batches-bin/" + name); }
  std::string error_of_data() { return error(4, {"e.toml", "data.name=cifar10", "data.root=."}); }
};

TEST_F(BadCifar, Truncated) {
  fs::resize_file(file("data_batch_3.bin"), 30'000'000);
  EXPECT_THAT(error_of_data(),
              AllOf(HasSubstr("data_batch_3.bin: truncated at byte 30000000, in record 9762; "
                              "30730000 bytes expected (10000 records of 3073 bytes)\n"),
                    HasSubstr("\nhelp: the file is not the published one")));
}

TEST_F(BadCifar, TooLong) {
  fs::resize_file(file("test_batch.bin"), 30'730'001);
  EXPECT_THAT(error_of_data(), HasSubstr("test_batch.bin: has 30730001 bytes; 30730000 bytes "
                                         "expected (10000 records of 3073 bytes)\n"));
}

TEST_F(BadCifar, LabelOutOfRange) {
  std::fstream out(file("data_batch_2.bin"), std::ios::in | std::ios::out | std::ios::binary);
  out.seekp(17 * 3073);
  out.put(10);
  out.close();
  EXPECT_THAT(error_of_data(),
              HasSubstr("data_batch_2.bin: label 10 at byte 52241 (record 17) is outside 0..9\n"));
}

TEST_F(BadCifar, UnreadableFiles) {
  fs::remove(file("data_batch_4.bin"));
  EXPECT_THAT(error_of_data(), HasSubstr("data_batch_4.bin is missing in "));
  fs::create_directory(file("data_batch_4.bin"));
  EXPECT_THAT(error_of_data(), HasSubstr("data_batch_4.bin is not a regular file"));
  if (::geteuid() == 0) return;  // root can read every file
  fs::remove(file("data_batch_4.bin"));
  workshop_.write("cifar-10-batches-bin/data_batch_4.bin", "");
  fs::resize_file(file("data_batch_4.bin"), 30'730'000);
  fs::permissions(file("data_batch_4.bin"), fs::perms::none);
  EXPECT_THAT(error_of_data(), HasSubstr("data_batch_4.bin cannot be opened: Permission denied"));
}

TEST_F(BadInput, OptionsThatDoNotFitTheData) {
  EXPECT_THAT(error(2, {"e.toml", "data.classes=[1, 40]"}),
              AllOf(StartsWith("command line:1:"), HasSubstr("label 40 is outside 0..9")));
  EXPECT_THAT(error(2, {"e.toml", "data.validation=5000"}),
              AllOf(StartsWith("command line:1:17: error: `data.validation`: 5000 validation "
                               "images leave none of the "),
                    HasSubstr("\n  help: choose a number below ")));
}

TEST_F(BadInput, ARefusedPlugin) {
  workshop_.write("plugins/mine.so", "this is no library\n");
  const std::string text = error(3, {changed("\"bwn\"", "\"mine\""), "--plugin-path", "plugins"});
  EXPECT_THAT(text,
              AllOf(StartsWith("bad.toml:21:8: error: quantizer \"mine\" cannot be used "
                               "[config.refused-plugin]\n"),
                    HasSubstr("its plugin was refused:"),
                    HasSubstr((workshop_ / "plugins/mine.so").string()),
                    HasSubstr("it is not a shared library (no ELF header)"), HasSubstr("help: ")));
  const ProcessResult described = workshop_.run({"describe", "mine", "--plugin-path", "plugins"});
  EXPECT_EQ(described.code, 3);
  EXPECT_THAT(described.err, AllOf(HasSubstr("`mine` cannot be used\n"),
                                   HasSubstr("it is not a shared library (no ELF header)")));
}

TEST_F(BadInput, APluginThatOthersCouldHaveWritten) {
  const fs::path file = workshop_.write("plugins/mine.so", "this is no library\n");
  fs::permissions(file, fs::perms::all);
  EXPECT_THAT(error(3, {"e.toml", "quantizer.name=mine", "--plugin-path", "plugins"}),
              HasSubstr("the file " + file.string() + " can be written by every user (chmod o-w "));
}

TEST_F(BadInput, ADivergingRunNamesALayer) {
  const ProcessResult result = workshop_.run({"run", "e.toml", "optimizer.learning_rate=1e30"});
  EXPECT_EQ(result.code, 5);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("\nerror: the loss is "), HasSubstr("values are not finite\n"),
                    HasSubstr("\n  in the order of the network the first that is not finite: "),
                    HasSubstr("\nhelp: lower optimizer.learning_rate, warm up "
                              "(schedule.warmup_epochs) or clip (train.gradient_clip)\n")));
  const json kept = result_of(workshop_ / "runs/e/latest");
  EXPECT_EQ(kept.at("status"), "diverged");
  EXPECT_FALSE(kept.contains("test_accuracy"));
  EXPECT_THAT(checkpoint_files(workshop_ / "runs/e/latest"), IsEmpty());
}

TEST_F(BadInput, NoGpu) {
  const json cuda = json::parse(workshop_.run({"doctor", "--json"}).out).at("cuda");
  if (cuda.at("usable").get<bool>()) GTEST_SKIP() << "this machine has a usable GPU";
  const std::string text = error(2, {"e.toml", "train.device=cuda"});
  EXPECT_THAT(text,
              StartsWith("command line:1:14: error: train.device = \"cuda\", but no GPU can be "
                         "used: " +
                         cuda.at("why_not").get<std::string>() + " [config.component]\n"));
  EXPECT_THAT(text, HasSubstr("\n  help: "));
  EXPECT_EQ(workshop_.run({"run", "e.toml", "train.device=auto", "train.epochs=0"}).code, 0);
}

}  // namespace
}  // namespace qhost::tests

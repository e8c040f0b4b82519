// Plugins that throw or break a promise: the message for the user, and the exit code.
#include <gmock/gmock.h>

#include "cli/command_line.h"

namespace qhost::tests {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class PluginWord : public CommandLine {
 protected:
  static Words with(Words words) {
    words.insert(words.begin(), {"--plugin-path", QHOST_BINARY_DIR "/tests/plugins/liars"});
    return words;
  }
  /// stderr of a run of one step with the quantizer `liar`.
  std::string told(const Words& options, int code = 3) {
    Words words = {"run", "e.toml", "quantizer.name=liar", "train.max_steps=1", "train.epochs=1"};
    for (const std::string& option : options) words.push_back("quantizer." + option);
    return refused(with(words), code);
  }
};

TEST_F(PluginWord, EachCallThatThrowsIsNamed) {
  const std::map<std::string, std::vector<std::string>> calls = {
      {"weight",
       {"weight", "traits", "encoding", "parameters", "latent_traits", "initialize", "observe",
        "forward", "backward", "after_step", "encode"}},
      {"input",
       {"input", "range", "encoding", "parameters", "initialize", "observe", "forward", "backward",
        "after_step", "encode"}},
      {"gradient", {"gradient", "backward"}}};
  const std::map<std::string, std::string> slots = {
      {"weight", "the weight of "}, {"input", "input 0 of "}, {"gradient", "the gradient of "}};
  for (const auto& [role, names] : calls) {
    for (const std::string& name : names) {
      const std::string error =
          told({"roles=[\"" + role + "\"]", "role=" + role, "throws_in=" + name});
      EXPECT_THAT(error, HasSubstr("error: plugin `liar`: method `liar` failed in " + name +
                                   "() for " + slots.at(role)))
          << role;
      EXPECT_THAT(error, HasSubstr(": no room\nhelp: this is a defect of the plugin; `qhost plugin "
                                   "check liar` tries all that it promises"))
          << role << " " << name;
    }
  }
}

TEST_F(PluginWord, WhatIsThrownIsSaidInOneSentence) {
  for (const char* call : {"forward", "backward", "encode", "create"}) {
    SCOPED_TRACE(call);
    const std::string where = std::string("throws_in=") + call;
    EXPECT_THAT(told({where, "type=int"}), HasSubstr(": an exception of type int\nhelp: "));
    EXPECT_THAT(told({where, "type=torch"}),
                AllOf(HasSubstr(": no such tensor\nhelp: "), Not(HasSubstr("Exception raised"))));
    // An error of qhost keeps its exit code.
    EXPECT_THAT(told({where, "type=error"}, 4),
                ContainsRegex("error: no room\n(note: [^\n]*\n)?help: make some\n"));
  }
  const ProcessResult debug =
      workshop_.run(with({"--debug", "run", "e.toml", "quantizer.name=liar",
                          "quantizer.throws_in=forward", "quantizer.type=torch"}));
  EXPECT_EQ(debug.code, 3);
  EXPECT_THAT(debug.err, AllOf(HasSubstr("no such tensor"), HasSubstr("Exception raised from")));
  EXPECT_EQ(workshop_
                .run(with({"run", "e.toml", "quantizer.name=liar", "quantizer.throws_in=forward",
                           "quantizer.type=torch", "--debug"}))
                .code,
            3);
}

TEST_F(PluginWord, NoQuantizerIsNoFloatRun) {
  EXPECT_THAT(told({"lie=null"}),
              StartsWith("error: plugin `liar`: method `liar` broke its word in create(): it gives "
                         "null, no quantizer\n"));
  EXPECT_THAT(refused(with({"summary", "e.toml", "quantizer.name=liar", "quantizer.lie=null"}), 3),
              HasSubstr("it gives null, no quantizer"));
}

TEST_F(PluginWord, WhatIsStoredIsHeldAgainstWhatWasAnnounced) {
  const std::string announced = "uniform 2 bit, scale per tensor, zero point per tensor";
  const std::map<std::string, std::string> lies = {
      {"float_codes", "encode() gives float32, announced is " + announced},
      {"large_code", "the code 7 occurs, the encoding has 4"},
      {"many_scales", "the scale has 3 numbers, the encoding 1"},
      {"flat_codes", "the codes have the shape ["}};
  for (const auto& [lie, text] : lies) {
    for (const auto& [role, slot] :
         {std::pair{"weight", "the weight of conv1"}, std::pair{"input", "input 0 of conv1"}}) {
      EXPECT_THAT(told({"lie=" + lie, std::string("role=") + role}),
                  HasSubstr("error: plugin `liar`: method `liar` broke its word in encode() for " +
                            std::string(slot) + ": " + text));
    }
  }
}

TEST_F(PluginWord, AnArchitectureThatThrowsIsNamed) {
  const auto build = [&](const std::string& type, int code) {
    return refused(with({"run", "e.toml", "model.name=liar", "model.throws_in=build",
                         "model.type=" + type, "quantizer.name=none"}),
                   code);
  };
  const std::string failed = "error: plugin `liar`: architecture `liar` failed in build(): ";
  EXPECT_THAT(build("exception", 3), StartsWith(failed + "no room\nhelp: "));
  EXPECT_THAT(build("int", 3), StartsWith(failed + "an exception of type int\nhelp: "));
  EXPECT_THAT(build("error", 4), StartsWith("error: no room\nhelp: make some\n"));
}

}  // namespace
}  // namespace qhost::tests

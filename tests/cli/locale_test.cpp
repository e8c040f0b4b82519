// Output is the same in every locale: the environment's, and one that a plugin sets.
#include <gmock/gmock.h>

#include <locale.h>
#include <regex>

#include <cstdlib>
#include <optional>

#include "cli/command_line.h"

namespace qhost::tests {
namespace {

using ::testing::HasSubstr;
using Environment = std::map<std::string, std::string>;

constexpr const char* german = "de_DE.UTF-8";

class Locale : public CommandLine {
 protected:
  void SetUp() override {
    CommandLine::SetUp();
    workshop_.write("s.toml", small_experiment() + "[sweep]\nseeds = [1, 2]\n");
  }

  /// Where LOCPATH must point for the German locale to be found: "" for the system's place. Empty
  /// where it is not installed and cannot be compiled.
  std::optional<std::string> german_locale() {
    if (const locale_t found = ::newlocale(LC_ALL_MASK, german, nullptr)) {
      ::freelocale(found);
      return "";
    }
    const fs::path folder = workshop_ / "locales";
    fs::create_directories(folder);
    const std::string command =
        "localedef -i de_DE -f UTF-8 '" + (folder / german).string() + "' >/dev/null 2>&1";
    if (std::system(command.c_str()) != 0) return std::nullopt;
    return folder.string();
  }
  static Environment in_german(const std::string& locpath) {
    Environment environment = {{"LC_ALL", german}, {"QHOST_TEST_C_LOCALE", german}};
    if (!locpath.empty()) environment["LOCPATH"] = locpath;
    return environment;
  }

  std::string output(const Words& words, const Environment& environment) {
    Words all = {"--plugin-path", QHOST_BINARY_DIR "/tests/plugins/locale"};
    all.insert(all.end(), words.begin(), words.end());
    const ProcessResult result = workshop_.run(all, {.environment = environment});
    EXPECT_EQ(result.code, 0) << ::testing::PrintToString(result);
    return result.out;
  }
  /// Clock times do not repeat.
  static std::string without_seconds(const std::string& text) {
    return std::regex_replace(text, std::regex("\"seconds\":\\{[^}]*\\}"), "\"seconds\":{}");
  }
  /// What the commands print of one run, which each environment makes anew in the same place.
  std::map<std::string, std::string> outputs(const std::string& quantizer,
                                             const Environment& environment) {
    const std::string method = "quantizer.name=" + quantizer;
    std::map<std::string, std::string> all;
    const auto add = [&](const Words& words) {
      std::string name;
      for (const std::string& word : words) name += word + " ";
      all[name] = without_seconds(output(words, environment));
    };
    fs::remove_all(workshop_ / "run");
    add({"run", "e.toml", method, "--run-dir", "run", "--json"});
    for (Words words : {Words{"compare", "run"},
                        {"score", "run", "--rule", "micronet"},
                        {"eval", "run"},
                        {"summary", "e.toml", method},
                        {"describe", quantizer}}) {
      add(words);
      words.push_back("--json");
      add(words);
    }
    return all;
  }
  void expect_equal(const std::string& quantizer, const Environment& environment) {
    const auto plain = outputs(quantizer, {{"LC_ALL", "C"}}),
               other = outputs(quantizer, environment);
    for (const auto& [command, text] : plain) EXPECT_EQ(other.at(command), text) << command;
    EXPECT_THAT(plain.at("summary e.toml quantizer.name=" + quantizer + " "), HasSubstr("1.3"));
  }
};

TEST_F(Locale, OfTheEnvironmentChangesNothing) {
  const auto locpath = german_locale();
  if (!locpath) GTEST_SKIP() << "there is no locale " << german << ", and localedef cannot make it";
  expect_equal("bwn", in_german(*locpath));
}

TEST_F(Locale, ThatAPluginSetsForCChangesNothing) {
  const auto locpath = german_locale();
  if (!locpath) GTEST_SKIP() << "there is no locale " << german << ", and localedef cannot make it";
  expect_equal("set_locale", in_german(*locpath));
}

TEST_F(Locale, ThatAPluginSetsForCppChangesNothing) {
  expect_equal("set_locale", {{"QHOST_TEST_CPP_LOCALE", "1"}});
}

TEST_F(Locale, ThatAPluginSetsChangesNoTableOfASweep) {
  const auto table = [&](const Environment& environment) {
    fs::remove_all(workshop_ / "runs");
    std::string text = output({"run", "s.toml", "quantizer.name=set_locale"}, environment);
    // The directory of a run has the time in its name.
    std::string lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
      lines += line.substr(0, line.find("runs/s/")) + "\n";
    }
    return lines;
  };
  const std::string plain = table({});
  EXPECT_THAT(plain, HasSubstr(" +- "));
  EXPECT_EQ(table({{"QHOST_TEST_CPP_LOCALE", "1"}}), plain);
  const auto locpath = german_locale();
  if (!locpath) GTEST_SKIP() << "there is no locale " << german << ", and localedef cannot make it";
  EXPECT_EQ(table(in_german(*locpath)), plain);
}

}  // namespace
}  // namespace qhost::tests

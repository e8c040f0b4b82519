// Compares the message for each errors/NAME.toml with errors/NAME.expected. Comment lines of the
// .toml give further input:
//   #: arg KEY=VALUE        an argument of the command line
//   #: pad BYTES            the file is filled up with comments to that size
//   #: at KEY | TEXT | HELP | CODE    a diagnostic that is found after loading
// QHOST_UPDATE_GOLDEN=1 writes the expected files again.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "config/diagnostic_codes.h"
#include "config/fixtures.h"

namespace qhost::config {
namespace {

namespace fs = std::filesystem;

const fs::path folder_of_cases = fs::path(QHOST_SOURCE_DIR) / "tests/config/errors";

std::string read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Case {
  std::vector<std::string> arguments;
  std::size_t pad = 0;
  std::vector<std::vector<std::string>> at;
};

Case read_case(const std::string& text) {
  Case result;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#: arg ")) result.arguments.push_back(line.substr(7));
    if (line.starts_with("#: pad ")) result.pad = std::stoul(line.substr(7));
    if (!line.starts_with("#: at ")) continue;
    std::vector<std::string> fields = {""};
    for (const char c : line.substr(6)) {
      if (c == '|') {
        while (fields.back().ends_with(' ')) fields.back().pop_back();
        fields.emplace_back();
      } else if (c != ' ' || !fields.back().empty()) {
        fields.back() += c;
      }
    }
    result.at.push_back(fields);
  }
  return result;
}

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_of_cases)) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// The message for errors/NAME.toml, run in the folder of the files.
std::string output(const std::string& name) {
  fs::path file = name + ".toml";
  const Case input = read_case(read(file));
  const Folder folder;
  if (input.pad != 0) {
    std::string text = read(file);
    while (text.size() < input.pad) text += text.size() % 80 == 79 ? '\n' : '#';
    file = folder.write(name + ".toml", text);
  }
  TestCatalog catalog;
  const LoadResult result = load_experiment(file, input.arguments, catalog);
  std::string text;
  if (input.at.empty()) {
    EXPECT_FALSE(result.ok);
    EXPECT_TRUE(result.points.empty());
    text = render(result.diagnostics);
  } else {
    EXPECT_TRUE(result.ok) << render(result.diagnostics);
    for (const auto& fields : input.at) {
      if (!result.ok) break;
      text += render(result.points.at(0).experiment.diagnostic_at(fields.at(0), fields.at(1),
                                                                  {fields.at(2)}, fields.at(3)));
    }
  }
  const auto at = text.find(folder.path().string());
  if (at != std::string::npos) text.replace(at, folder.path().string().size() + 1, "");
  return text;
}

class Golden : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    before_ = fs::current_path();
    fs::current_path(folder_of_cases);
  }
  void TearDown() override { fs::current_path(before_); }

 private:
  fs::path before_;
};

TEST_P(Golden, ShowsWhatIsExpected) {
  const std::string text = output(GetParam());
  const fs::path expected = GetParam() + ".expected";
  if (std::getenv("QHOST_UPDATE_GOLDEN") != nullptr) std::ofstream(expected) << text;
  ASSERT_TRUE(fs::exists(expected)) << "no expected text beside " << GetParam() << ".toml";
  EXPECT_EQ(text, read(expected));
  // Every message has a help.
  EXPECT_NE(text.find("  help: "), std::string::npos) << text;
}

std::string test_name(const testing::TestParamInfo<std::string>& tested) {
  std::string name = tested.param;
  for (char& c : name) {
    if (c == '-' || c == ' ') c = '_';
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(Errors, Golden, testing::ValuesIn(cases()), test_name);

TEST(ErrorCodes, EachIsShownAndDocumented) {
  std::string shown;
  for (const auto& name : cases()) shown += read(folder_of_cases / (name + ".expected"));
  const std::string page = read(fs::path(QHOST_SOURCE_DIR) / "docs/errors.md");
  for (const std::string_view code : code::all) {
    EXPECT_NE(shown.find("[" + std::string(code) + "]"), std::string::npos)
        << code << " has no golden file in tests/config/errors";
    EXPECT_NE(page.find("### " + std::string(code) + "\n"), std::string::npos)
        << code << " has no section in docs/errors.md";
  }
}

TEST(ErrorCodes, NoneIsShownOrDocumentedThatDoesNotExist) {
  const auto known = [](const std::string& code) {
    return std::find(code::all.begin(), code::all.end(), code) != code::all.end();
  };
  std::string text = read(fs::path(QHOST_SOURCE_DIR) / "docs/errors.md");
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("### config.")) {
      EXPECT_TRUE(known(line.substr(4))) << line;
    }
  }
  for (const auto& name : cases()) {
    const std::string shown = read(folder_of_cases / (name + ".expected"));
    for (auto at = shown.find("[config."); at != std::string::npos;
         at = shown.find("[config.", at + 1)) {
      EXPECT_TRUE(known(shown.substr(at + 1, shown.find(']', at) - at - 1))) << name;
    }
  }
}

}  // namespace
}  // namespace qhost::config

// Every experiment file of this tree passes the checks that precede a run.
#include <gmock/gmock.h>

#include <regex>

#include "cli/process.h"

namespace qhost::tests {
namespace {

std::vector<std::string> experiment_files() {
  const fs::path folder = fs::path(QHOST_SOURCE_DIR) / "experiments";
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().lexically_relative(folder).string();
    // The files of base/ have no network; other files extend them.
    if (entry.path().extension() == ".toml" && !name.starts_with("base/")) files.push_back(name);
  }
  std::sort(files.begin(), files.end());
  return files;
}

class ExperimentFile : public testing::TestWithParam<std::string> {};

TEST_P(ExperimentFile, PassesTheCheck) {
  Workshop workshop;
  const std::string file = std::string(QHOST_SOURCE_DIR) + "/experiments/" + GetParam();
  // Not available here: weights of another run, data sets, the number of cores.
  const ProcessResult run = workshop.run(
      {"run", "--dry-run", file, "train.init_from=\"\"", "data.root=nowhere", "train.threads=1"});
  const bool has_data = run.code == 0;
  EXPECT_TRUE(has_data || run.code == 4) << testing::PrintToString(run);
  const bool takes_weights = std::regex_search(slurp(file), std::regex("\ninit_from = \"[^\"]"));
  EXPECT_THAT(run.err, testing::HasSubstr(
                           std::string(takes_weights ? ", 1 warning" : ", no problems found") +
                           (has_data ? "\n" : ", but the data is not there\nerror: ")));
}

INSTANTIATE_TEST_SUITE_P(Tree, ExperimentFile, testing::ValuesIn(experiment_files()),
                         [](const auto& file) {
                           std::string name = file.param;
                           for (char& c : name) {
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace qhost::tests

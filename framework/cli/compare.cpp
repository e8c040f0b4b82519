/// qhost compare: runs side by side.
#include "report/compare.h"

#include <iostream>

#include "cli/command.h"
#include "report/compared_run.h"

namespace qhost::cli {
namespace {

int execute(Context&, const Arguments& arguments) {
  const std::vector<std::filesystem::path> directories(arguments.positional().begin(),
                                                       arguments.positional().end());
  const report::Comparison comparison = report::compare(report::load_runs(directories));
  if (arguments.flag("json")) {
    std::cout
        << report::to_json(comparison).dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
        << "\n";
  } else {
    std::cout << report::to_text(comparison);
  }
  return 0;
}

}  // namespace

Command compare_command() {
  return {.name = "compare",
          .summary = "runs side by side: accuracy, size, and the keys in which they differ",
          .arguments = "RUN...",
          .details =
              "RUN is a run directory, as runs/NAME/latest or runs/NAME/2*. Of runs that differ in "
              "train.seed\nonly, the mean and the sample standard deviation are given. Plugins and "
              "data are not needed.",
          .declare =
              [](ArgumentSpec& spec) {
                spec.flag("json", "as JSON").positional("run directory", 1, 10000);
              },
          .execute = execute};
}

}  // namespace qhost::cli

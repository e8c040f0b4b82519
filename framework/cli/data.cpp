/// qhost data list: which data sets are on this machine.
#include <iostream>

#include "cli/command.h"
#include "data/where.h"
#include "report/table.h"

namespace qhost::cli {
namespace {

int execute(Context&, const Arguments& arguments) {
  const std::vector<data::SetStatus> sets = data::where(arguments.value("root"));
  if (arguments.flag("json")) {
    nlohmann::json list = nlohmann::json::array();
    for (const data::SetStatus& set : sets) list.push_back(data::to_json(set));
    std::cout << list.dump(2) << "\n";
    return 0;
  }
  report::Table table(
      {{"set"}, {"state"}, {"bytes", report::Align::right}, {"where"}, {"summary"}});
  for (const data::SetStatus& set : sets) {
    table.add_row({set.name, to_string(set.state), report::with_separators(set.bytes),
                   set.folder.string(), set.summary});
  }
  std::cout << table.to_string();
  for (const data::SetStatus& set : sets) {
    if (set.how_to_get.empty()) continue;
    std::cout << "\n" << set.name << ": ";
    if (!set.problem.empty()) std::cout << set.problem << "\n";
    std::cout << set.how_to_get << "\n";
  }
  return 0;
}

}  // namespace

Command data_list_command() {
  return {.name = "data list",
          .summary = "which data sets are here, and how to get the others",
          .arguments = "",
          .details = "",
          .declare =
              [](ArgumentSpec& spec) {
                spec.value("root", "look in this folder only").flag("json", "as JSON");
              },
          .execute = execute};
}

}  // namespace qhost::cli

/// qhost data list: which data sets are on this machine.
#include <utility>

#include "cli/command.h"
#include "cli/output.h"
#include "common/number_text.h"
#include "data/where.h"

namespace qhost::cli {
namespace {

report::Table set_table(const std::vector<data::SetStatus>& sets) {
  report::Table table("", {{"name", "set"},
                           {"state", "state"},
                           {"bytes", "bytes", report::Align::right},
                           {"folder", "where"},
                           {"summary", "summary"},
                           {"source", ""},
                           {"licence", ""},
                           {"problem", ""},
                           {"how_to_get", ""},
                           {"searched", ""}});
  for (const data::SetStatus& set : sets) {
    nlohmann::json searched = nlohmann::json::array();
    for (const auto& folder : set.searched) searched.push_back(folder.string());
    table.add_row({set.name,
                   data::to_string(set.state),
                   {set.bytes, with_separators(set.bytes)},
                   set.folder.string(),
                   set.summary,
                   set.source,
                   set.license,
                   set.problem,
                   set.how_to_get,
                   report::json_cell(std::move(searched))});
  }
  return table;
}

report::Document document_of(const std::vector<data::SetStatus>& sets) {
  report::Document document(report::Document::Root::array);
  document.add(set_table(sets));
  for (const data::SetStatus& set : sets) {
    if (set.how_to_get.empty()) continue;
    const std::string problem = set.problem.empty() ? "" : set.problem + "\n";
    document.begin_section().add(report::Paragraph{set.name + ": " + problem + set.how_to_get});
  }
  return document;
}

int execute(Context&, const Arguments& arguments) {
  print(document_of(data::where(arguments.value("root"))), arguments.flag("json"));
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

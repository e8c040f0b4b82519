/// report/compared_run.h: run directories as report/compare.h wants them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "report/compare.h"

namespace qhost::report {

/// The keys of a resolved experiment that can change a result, as TOML text: "model.depth" -> "20";
/// a single [quantizer] is quantizer.0. Left out are `name` and what the host declares as not part
/// of the result. Host keys that an older qhost did not know have their default. No plugin is
/// needed: runs of other machines can be compared. `file` names the text in messages. Throws Error
/// (configuration) for what is no TOML.
std::map<std::string, std::string> result_keys(const std::string& file, std::string_view toml);

/// The runs in these directories, `latest` too. Labels are name/id, or the whole path where two
/// would be equal. Throws Error: configuration for what is no run, has no configuration or is named
/// twice; storage for a result.json that cannot be read.
std::vector<ComparedRun> load_runs(const std::vector<std::filesystem::path>& directories);

}  // namespace qhost::report

/// cli/command.h: the subcommands of qhost: each in a file of its own, all in one list.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "registry/registry.h"

namespace qhost::cli {

/// What every command may use.
struct Context {
  std::vector<std::string> command_line;  ///< argv as given
  Registry& registry;
};

struct Command {
  std::string name;       ///< "run", "data list"
  std::string summary;    ///< one line
  std::string arguments;  ///< "EXPERIMENT [KEY=VALUE]..."
  std::string details;    ///< more paragraphs of --help
  std::function<void(ArgumentSpec&)> declare;
  /// Returns the exit code; throws qhost::Error.
  std::function<int(Context&, const Arguments&)> execute;
};

/// The help of --checkpoint, where it names the weights to read.
inline constexpr const char* checkpoint_help =
    "selected (default: best on validation, else the last), last, best, or a step";

Command run_command();
Command list_command();
Command describe_command();
Command summary_command();
Command eval_command();
Command plugin_check_command();
Command quantize_command();
Command compare_command();
Command score_command();
Command weights_command();
Command export_command();
Command verify_command();
Command bench_command();
Command predict_command();
Command data_list_command();
Command doctor_command();

/// In the order of `qhost help`.
const std::vector<Command>& commands();

}  // namespace qhost::cli

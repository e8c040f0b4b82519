/// The qhost executable: global options, the choice of a command, exit codes.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <iostream>

#include "cli/command.h"
#include "common/lines.h"
#include "common/near_match.h"
#include "common/version.h"
#include "config/located.h"
#include "model/exception_text.h"
#include "qhost/error.h"
#include "training/failure.h"

namespace qhost::cli {
namespace {

std::string usage() {
  std::string text =
      version_line() +
      ": trains and quantizes image networks from an experiment file\n\n"
      "usage: qhost [--plugin-path DIR]... [--allow-insecure-plugins] [--debug] COMMAND "
      "[ARGUMENTS]\n\n";
  for (const Command& command : commands()) {
    std::string name = command.name;
    name.resize(14, ' ');
    text += "  " + name + command.summary + "\n";
  }
  return text +
         "  help        this page, or `qhost help COMMAND`\n\n"
         "exit codes: 0 done, 1 internal error, 2 usage or configuration, 3 plugin refused, 4 "
         "data,\n"
         "5 diverged, 6 storage, 7 verification failed, 75 interrupted and resumable\n";
}

std::string help(const Command& command) {
  ArgumentSpec spec;
  command.declare(spec);
  spec.flag("help", "this text");
  std::string text = "usage: qhost " + command.name + " [OPTIONS] " + command.arguments + "\n\n" +
                     command.summary + "\n\n";
  if (!command.details.empty()) text += command.details + "\n\n";
  return text + spec.help_text();
}

/// The command whose words stand at `first`, and how many words those are.
const Command* find_command(const std::vector<std::string>& words, std::size_t first,
                            std::size_t& used) {
  for (const Command& command : commands()) {
    std::string joined = words[first];
    for (used = 1;; ++used) {
      if (joined == command.name) return &command;
      if (first + used >= words.size() || !command.name.starts_with(joined + " ")) break;
      joined += " " + words[first + used];
    }
  }
  return nullptr;
}

Error unknown_command(const std::vector<std::string>& words, std::size_t first) {
  std::string word = words[first];
  std::vector<std::string> names = {"help"};
  std::string list, longer;  // "data list" of "data"
  for (const Command& command : commands()) {
    names.push_back(command.name);
    // "data lst" was meant as a command of two words.
    if (command.name.starts_with(words[first] + " ") && first + 1 < words.size()) {
      word = words[first] + " " + words[first + 1];
    }
    if (command.name.starts_with(words[first] + " ")) longer = command.name;
    list += (list.empty() ? "" : ", ") + command.name;
  }
  auto near = near_matches(word, names);
  if (near.empty() && !longer.empty()) near.push_back(longer);
  return {ErrorKind::configuration, "qhost: unknown command `" + word + "`",
          near.empty() ? "the commands are " + list : "did you mean `" + near[0] + "`?"};
}

/// What stands in front of the command.
struct GlobalOptions {
  SearchOptions search;
  bool help = false, version = false;
  std::size_t count = 0;  ///< words
};

GlobalOptions read_global_options(const std::vector<std::string>& words) {
  GlobalOptions options;
  std::size_t& i = options.count;
  for (; i < words.size() && words[i].starts_with("-"); ++i) {
    const std::string& word = words[i];
    if (word == "--help" || word == "-h") {
      options.help = true;
      return options;
    }
    if (word == "--version") {
      options.version = true;
      return options;
    }
    if (word == "--allow-insecure-plugins") {
      options.search.allow_insecure = true;
    } else if (word == "--debug") {
      show_stack_frames(true);
    } else if (word.starts_with("--plugin-path=")) {
      options.search.plugin_paths.emplace_back(word.substr(14));
    } else if (word == "--plugin-path" && i + 1 < words.size()) {
      options.search.plugin_paths.emplace_back(words[++i]);
    } else {
      throw Error(ErrorKind::configuration,
                  "qhost: unknown option `" + word + "` before the command",
                  "`qhost --help` lists options and commands; the options of a command stand "
                  "behind it");
    }
  }
  return options;
}

/// `qhost help` and `qhost help COMMAND`; `first` is the word behind "help".
std::string help_about(const std::vector<std::string>& words, std::size_t first) {
  if (first == words.size()) return usage();
  std::size_t used = 0;
  const Command* about = find_command(words, first, used);
  if (about == nullptr) throw unknown_command(words, first);
  return help(*about);
}

bool asks_for_help(const std::vector<std::string>& words) {
  const auto end = std::find(words.begin(), words.end(), "--");
  return std::any_of(words.begin(), end,
                     [](const std::string& word) { return word == "--help" || word == "-h"; });
}

bool wants_json(const std::vector<std::string>& words) {
  const auto end = std::find(words.begin(), words.end(), "--");
  return std::find(words.begin(), end, "--json") != end;
}

int execute(const Command& command, const std::vector<std::string>& words,
            const std::vector<std::string>& rest, SearchOptions search) {
  ArgumentSpec spec;
  command.declare(spec);
  // The global options are also accepted behind the command.
  spec.flag("help", "this text")
      .value("plugin-path", "search this folder for plugins first", /*repeated=*/true)
      .flag("allow-insecure-plugins", "load plugins that others could have written")
      .flag("debug", "show LibTorch's stack frames in errors");
  const Arguments arguments = Arguments::parse(command.name, spec, rest);
  for (const std::string& path : arguments.values("plugin-path")) {
    search.plugin_paths.emplace_back(path);
  }
  search.allow_insecure = search.allow_insecure || arguments.flag("allow-insecure-plugins");
  if (arguments.flag("debug")) show_stack_frames(true);
  Registry registry(search);
  std::vector<std::string> command_line = {"qhost"};
  command_line.insert(command_line.end(), words.begin(), words.end());
  Context context{std::move(command_line), registry};
  return command.execute(context, arguments);
}

int dispatch(const std::vector<std::string>& words) {
  const GlobalOptions options = read_global_options(words);
  const std::size_t first = options.count;
  if (options.help || options.version) {
    std::cout << (options.help ? usage() : version_line() + "\n");
    return 0;
  }
  if (first == words.size()) {
    std::cerr << usage();
    return static_cast<int>(ErrorKind::configuration);
  }
  if (words[first] == "help") {
    std::cout << help_about(words, first + 1);
    return 0;
  }
  std::size_t used = 0;
  const Command* command = find_command(words, first, used);
  if (command == nullptr) throw unknown_command(words, first);
  const std::vector<std::string> rest(words.begin() + static_cast<std::ptrdiff_t>(first + used),
                                      words.end());
  if (asks_for_help(rest)) {
    std::cout << help(*command);
    return 0;
  }
  return execute(*command, words, rest, options.search);
}

}  // namespace

const std::vector<Command>& commands() {
  static const std::vector<Command> list = {
      run_command(),     list_command(),      describe_command(),     summary_command(),
      eval_command(),    compare_command(),   score_command(),        quantize_command(),
      weights_command(), export_command(),    verify_command(),       bench_command(),
      predict_command(), data_list_command(), plugin_check_command(), doctor_command()};
  return list;
}

int run_main(const std::vector<std::string>& words) {
  try {
    return dispatch(words);
  } catch (const Error& error) {
    const std::string text = without_last_breaks(error.what());
    // A diagnostic with its place says "error:" itself.
    const bool located = config::has_place(text) || text.starts_with("internal error: ");
    std::cerr << (located ? "" : "error: ") << text << "\n";
    if (wants_json(words)) {
      const auto* failed = dynamic_cast<const training::RunFailed*>(&error);
      nlohmann::json json = failed == nullptr ? nlohmann::json{{"error", config::to_json(error)}}
                                              : to_json(failed->result());
      std::cout << json.dump() << "\n";
    }
    return error.exit_code();
  } catch (const std::bad_alloc&) {
    std::cerr << "error: out of memory\nhelp: a smaller train.batch_size needs less\n";
  } catch (...) {
    std::cerr << "internal error: " << exception_text() << "\n";
  }
  return static_cast<int>(ErrorKind::internal);
}

}  // namespace qhost::cli

namespace {

/// A closed pipe must not end a run. A standard stream that is closed at the start is opened: no
/// other file may get its number.
void prepare_standard_streams() {
  std::signal(SIGPIPE, SIG_IGN);
  for (const int fd : {0, 1, 2}) {
    // Writing to it fails, as it would on the closed stream.
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)::open("/dev/null", O_RDONLY);
  }
}

/// The exit code of the command, or that of a failed write to stdout or stderr after a success.
int code_with_streams(int code) {
  std::cout.flush();
  std::cerr.flush();
  if (!std::cout.good()) {
    std::cerr << "error: standard output could not be written: the reader is gone, or the disk is "
                 "full\n"
              << std::flush;
  }
  const bool written = std::cout.good() && std::cerr.good();
  return code != 0 || written ? code : static_cast<int>(qhost::ErrorKind::storage);
}

}  // namespace

int main(int argc, char** argv) {
  prepare_standard_streams();
  const int code = code_with_streams(qhost::cli::run_main({argv + 1, argv + argc}));
  // Static objects of plugins and LibTorch refer to one another: their destructors must not run.
  // The host has none that must.
  std::_Exit(code);
}

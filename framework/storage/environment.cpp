#include "storage/environment.h"

#include <gnu/libc-version.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>

#include "common/version.h"
#include "storage/process.h"
#include "storage/utc_time.h"

namespace qhost::storage {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

json text_or_null(const std::string& text) {
  return text.empty() ? json() : json(text);
}

/// The value of PRETTY_NAME="Debian GNU/Linux 12 (bookworm)" in /etc/os-release.
std::string operating_system() {
  std::ifstream file("/etc/os-release");
  std::string line;
  constexpr std::string_view key = "PRETTY_NAME=";
  while (std::getline(file, line)) {
    if (!line.starts_with(key)) continue;
    line.erase(0, key.size());
    line.erase(std::remove(line.begin(), line.end(), '"'), line.end());
    return line;
  }
  return "";
}

/// The CPU flags that may decide the choice of a kernel, and with it the last bits of a result.
bool is_of_interest(const std::string& flag) {
  static const std::set<std::string> others = {
      "fma", "f16c", "popcnt", "sse4_2", "bmi2", "asimd", "asimddp", "bf16", "i8mm", "sve", "sve2"};
  return flag.starts_with("avx") || flag.starts_with("amx") || others.contains(flag);
}

/// The limit of a container: "200000 100000" in cpu.max is two cores, "max 100000" no limit.
json cpu_quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double quota = 0, period = 0;
  if (file >> quota >> period && period > 0) return quota / period;
  return nullptr;
}

std::string compiler() {
#ifdef __clang__
  return __VERSION__;  // begins with the compiler's name
#else
  return std::string("g++ ") + __VERSION__;
#endif
}

json memory_bytes() {
  const long pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGE_SIZE);
  if (pages <= 0 || size <= 0) return nullptr;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(size);
}

}  // namespace

std::string host_name() {
  char name[256] = {};
  if (::gethostname(name, sizeof name - 1) != 0) return "unknown";
  return name;
}

json git_state(const fs::path& folder) {
  const std::string place = folder.empty() ? "." : folder.string();
  // Without optional locks, git changes nothing in the repository. Without a file-system monitor,
  // the repository's configuration cannot start a program.
  const std::vector<std::string> git = {
      "git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", place};
  const auto ask = [&git](std::initializer_list<const char*> arguments) {
    std::vector<std::string> command = git;
    command.insert(command.end(), arguments.begin(), arguments.end());
    return output_of(command, std::chrono::seconds(5));
  };
  const std::optional<std::string> root = ask({"rev-parse", "--show-toplevel"});
  if (!root || root->empty()) return nullptr;
  const std::optional<std::string> status =
      ask({"status", "--porcelain=v2", "--branch", "--untracked-files=no"});
  if (!status) return nullptr;
  json state = {{"root", root->substr(0, root->find('\n'))},
                {"commit", nullptr},
                {"branch", nullptr},
                {"dirty", false}};
  std::istringstream lines(*status);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# branch.oid ") && line != "# branch.oid (initial)") {
      state["commit"] = line.substr(13);
    } else if (line.starts_with("# branch.head ") && line != "# branch.head (detached)") {
      state["branch"] = line.substr(14);
    } else if (!line.starts_with("#")) {
      state["dirty"] = true;
    }
  }
  return state["commit"].is_null() ? json() : state;
}

json cpu_facts() {
  std::string model;
  std::set<std::string> flags;
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string key = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    const std::string value = colon + 2 <= line.size() ? line.substr(colon + 2) : "";
    if (key == "model name" && model.empty()) model = value;
    if ((key == "flags" || key == "Features") && flags.empty()) {
      std::istringstream words(value);
      for (std::string word; words >> word;) {
        if (is_of_interest(word)) flags.insert(word);
      }
    }
  }
  cpu_set_t usable;
  const bool known = ::sched_getaffinity(0, sizeof usable, &usable) == 0;
  const long cores = ::sysconf(_SC_NPROCESSORS_ONLN);
  return {{"model", text_or_null(model)},
          {"cores", cores > 0 ? json(cores) : json()},
          {"usable_cores", known ? json(CPU_COUNT(&usable)) : json()},
          {"quota", cpu_quota()},
          {"flags", flags}};
}

json environment_facts(const EnvironmentInput& input) {
  utsname kernel{};
  const bool named = ::uname(&kernel) == 0;
  std::error_code error;
  const fs::path here = fs::current_path(error);
  return {{"qhost", version()},
          {"commit", text_or_null(commit())},
          {"libtorch", text_or_null(input.torch_version)},
          {"started", utc_time(input.started)},
          {"command_line", input.command_line},
          {"working_directory", text_or_null(here.string())},
          {"host", host_name()},
          {"os", text_or_null(operating_system())},
          {"kernel",
           named ? json(std::string(kernel.sysname) + " " + kernel.release + " " + kernel.machine)
                 : json()},
          {"libc", std::string("glibc ") + ::gnu_get_libc_version()},
          {"compiler", compiler()},
          {"cpu", cpu_facts()},
          {"memory_bytes", memory_bytes()},
          {"git", git_state(input.experiment_folder)}};
}

}  // namespace qhost::storage

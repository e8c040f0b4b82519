/// qhost_bench: the costs of qhost as ratios.
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "groups.h"
#include "qhost/error.h"

namespace {

using namespace qhost;
using namespace qhost::bench;

constexpr const char* usage =
    R"(usage: qhost_bench [--rounds N] [--filter REGEX] [--batch N] [--threads N]
                   [--clock wall|cpu] [--qhost FILE] [--json]
       qhost_bench serve [--precision fp32|bf16] [--batch N] [--threads N] [--clock wall|cpu]

Rows, each the median ratio of interleaved rounds with its 10th and 90th percentile:
  step/PRECISION/ALLOCATOR  a training step of ResNet-20 against a LibTorch loop written by hand
  METHOD/PRECISION          the same step under a quantizer against the float step; METHOD is
                            bwn, xnornet (without K), xnornet_k, lsq (8 bits, 8 bits)
  nothing/PRECISION         under a quantizer that does nothing, against the float step
  calls/PRECISION           the quantizer calls alone, as a share of the step
  augment, augment/time     crop, flip and normalization of an image
  start                     the process of a run of one step (always by the wall clock)

--clock cpu counts the processor time of this process: with --threads 1 it measures on a machine
that is busy with other work.

serve reads numbers from stdin, does as many steps each and prints their seconds; see
tools/peer/compare_steps.py.
)";

struct CommandLine {
  Settings settings;
  bool json = false, serve = false, bf16 = true;
  int threads = 0;
};

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorKind::configuration, message + "\nhelp: qhost_bench --help");
}

int positive(const std::string& name, const std::string& text) {
  std::size_t used = 0;
  int value = 0;
  try {
    value = std::stoi(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  if (used == 0 || used != text.size() || value < 1) {
    refuse(name + " needs a number from 1, not `" + text + "`");
  }
  return value;
}

CommandLine parse(const std::vector<std::string>& words, const std::string& program) {
  CommandLine line;
  line.settings.qhost = (std::filesystem::canonical(program).parent_path() / "qhost").string();
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const auto value = [&]() -> const std::string& {
      if (i + 1 == words.size()) refuse(word + " needs a value");
      return words[++i];
    };
    if (word == "serve" && i == 0) {
      line.serve = true;
    } else if (word == "--json") {
      line.json = true;
    } else if (word == "--rounds") {
      line.settings.rounds = positive(word, value());
    } else if (word == "--batch") {
      line.settings.batch_size = positive(word, value());
    } else if (word == "--threads") {
      line.threads = positive(word, value());
    } else if (word == "--qhost") {
      line.settings.qhost = value();
    } else if (word == "--filter") {
      try {
        line.settings.filter = std::regex(value());
      } catch (const std::regex_error& error) {
        refuse("--filter " + words[i] + ": " + error.what());
      }
    } else if (word == "--clock") {
      const std::string& name = value();
      if (name != "wall" && name != "cpu") refuse("--clock is wall or cpu, not `" + name + "`");
      use_clock(name == "cpu" ? Clock::cpu : Clock::wall);
    } else if (word == "--precision") {
      const std::string& name = value();
      if (name != "fp32" && name != "bf16") {
        refuse("--precision is fp32 or bf16, not `" + name + "`");
      }
      line.bf16 = name == "bf16";
    } else {
      refuse("unknown argument `" + word + "`");
    }
  }
  return line;
}

void print(const Row& row) {
  std::printf("%-28s %8.4g %8.4g %8.4g  %4d  %-6s of %s; %s\n", row.name.c_str(), row.ratio,
              row.p10, row.p90, row.rounds,
              row.target == 0 ? "" : (row.ratio <= row.target ? "ok" : "MISSED"),
              row.baseline.c_str(), row.detail.c_str());
  std::fflush(stdout);
}

nlohmann::json to_json(const Row& row) {
  nlohmann::json json = {{"name", row.name},    {"baseline", row.baseline}, {"ratio", row.ratio},
                         {"p10", row.p10},      {"p90", row.p90},           {"rounds", row.rounds},
                         {"detail", row.detail}};
  if (row.target != 0) json["target"] = row.target;
  return json;
}

int execute(const std::vector<std::string>& words, const std::string& program) {
  if (std::find(words.begin(), words.end(), "--help") != words.end()) {
    std::cout << usage;
    return 0;
  }
  CommandLine line = parse(words, program);
  if (line.threads > 0) at::set_num_threads(line.threads);
  Registry registry({});
  if (line.serve) return serve(registry, line.bf16, line.settings.batch_size);

  nlohmann::json rows = nlohmann::json::array();
  if (!line.json) {
    std::printf("%d threads, batch %d\n%-28s %8s %8s %8s  %4s\n", at::get_num_threads(),
                static_cast<int>(line.settings.batch_size), "", "median", "p10", "p90", "n");
  }
  line.settings.report = [&](const Row& row) {
    rows.push_back(to_json(row));
    if (!line.json) print(row);
  };
  steps(line.settings, registry);
  slots(line.settings, registry);
  augment(line.settings);
  use_clock(Clock::wall);  // waits for a child process
  start(line.settings);
  if (line.json) std::cout << nlohmann::json{{"rows", rows}}.dump(2) << "\n";
  if (rows.empty()) refuse("--filter matches no row");
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    return execute({arguments + 1, arguments + count}, "/proc/self/exe");
  } catch (const qhost::Error& error) {
    std::cerr << "qhost_bench: " << error.what() << "\n";
    return error.exit_code();
  } catch (const std::exception& error) {
    std::cerr << "qhost_bench: " << error.what() << "\n";
    return 1;
  }
}

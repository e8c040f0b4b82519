/// qhost bench: times a packed network.
#include "cli/command.h"
#include "cli/output.h"
#include "cli/packed_file.h"
#include "common/number_text.h"
#include "jobs/bench_program.h"

namespace qhost::cli {
namespace {

using report::Align;

std::string microseconds(double seconds) {
  return fixed(1e6 * seconds, seconds < 1e-4 ? 1 : 0);
}

report::Table op_table(const jobs::BenchedProgram& bench) {
  double total = 0;
  for (const jobs::BenchedOp& op : bench.ops) total += op.seconds;
  report::Table table("ops", {{"name", "step"},
                              {"kernel", "kernel"},
                              {"macs", "MACs", Align::right},
                              {"seconds", "us", Align::right},
                              {"share", "share", Align::right},
                              {"macs_per_cycle", "MAC/cycle", Align::right},
                              {"torch_seconds", "LibTorch us", Align::right},
                              {"ratio", "ratio", Align::right}});
  for (const jobs::BenchedOp& op : bench.ops) {
    const double cycles = op.seconds * bench.cycles_per_second;
    const bool layer = op.macs > 0;
    const double rate = layer ? static_cast<double>(op.macs) / cycles : 0;
    const double ratio = layer && op.seconds > 0 ? op.torch_seconds / op.seconds : 0;
    const auto cell = [&](double value, const std::string& text) {
      return layer ? report::Cell(value, text) : report::Cell(nullptr, "-");
    };
    table.add_row({op.name,
                   op.kernel,
                   {op.macs, layer ? with_separators(op.macs) : "-"},
                   {op.seconds, microseconds(op.seconds)},
                   {total > 0 ? op.seconds / total : 0,
                    fixed(total > 0 ? 100 * op.seconds / total : 0, 1) + " %"},
                   cell(rate, fixed(rate, 1)),
                   cell(op.torch_seconds, microseconds(op.torch_seconds)),
                   cell(ratio, fixed(ratio, 1))});
  }
  return table;
}

std::string ratio_text(const double (&ratio)[3]) {
  return fixed(ratio[1], 1) + " times (" + fixed(ratio[0], 1) + " to " + fixed(ratio[2], 1) + ")";
}

report::Document document_of(const jobs::BenchedProgram& bench, const jobs::BenchRequest& request) {
  const auto row = [](double ours, double theirs, const double(&ratio)[3]) {
    return microseconds(ours) + " us an image; LibTorch float32 " + microseconds(theirs) +
           " us: " + ratio_text(ratio);
  };
  report::Document document;
  document.add(op_table(bench));
  document.begin_section().add(report::Facts{
      {{"kernels", bench.kernels, "kernels", bench.kernels},
       {"threads", request.threads, "threads", std::to_string(request.threads)},
       {"rounds", request.rounds, "rounds",
        std::to_string(request.rounds) + ", in turns; medians, ratios with their 10th and 90th "
                                         "percentile"},
       {"cycles_per_second", bench.cycles_per_second, "clock",
        fixed(bench.cycles_per_second / 1e9, 2) + " GHz"},
       {"batch", request.batch},
       {"batch_seconds", bench.batch_seconds, "batch " + std::to_string(request.batch),
        row(bench.batch_seconds, bench.torch_batch_seconds, bench.batch_ratio)},
       {"torch_batch_seconds", bench.torch_batch_seconds},
       {"batch_ratio", bench.batch_ratio[1]},
       {"single_seconds", bench.single_seconds, "batch 1",
        row(bench.single_seconds, bench.torch_single_seconds, bench.single_ratio)},
       {"torch_single_seconds", bench.torch_single_seconds},
       {"single_ratio", bench.single_ratio[1]}}});
  return document;
}

int execute(Context&, const Arguments& arguments) {
  const packed::Program program = read_packed_file(arguments.positional().at(0));
  jobs::BenchRequest request;
  request.threads = arguments.number("threads", 1, 1024);
  request.batch = arguments.number("batch", 8, 4096);
  request.rounds = arguments.number("rounds", 30, 100000);
  print(document_of(jobs::bench_program(program, request), request), arguments.flag("json"));
  return 0;
}

}  // namespace

Command bench_command() {
  return {.name = "bench",
          .summary = "time a packed network, step by step, against LibTorch",
          .arguments = "FILE",
          .details =
              "FILE is a packed network (`qhost export`). Steps are timed one image and one thread "
              "at a\ntime, the whole network with --threads; LibTorch runs the same shapes in "
              "float32, in turns\nin the same process.",
          .declare =
              [](ArgumentSpec& spec) {
                spec.value("threads", "of the whole network (default 1)")
                    .value("batch", "images at once (default 8)")
                    .value("rounds", "of both sides (default 30)")
                    .flag("json", "as JSON")
                    .positional("packed network", 1, 1);
              },
          .execute = execute};
}

}  // namespace qhost::cli

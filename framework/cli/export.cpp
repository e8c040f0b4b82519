/// qhost export: writes a run as a packed network.
#include <iostream>

#include "cli/command.h"
#include "cli/output.h"
#include "common/number_text.h"
#include "jobs/export_run.h"
#include "packed/program_file.h"
#include "qhost/error.h"

namespace qhost::cli {
namespace {

/// What a convolution or linear step reads: "binary", or "float32".
std::string input_encoding(const packed::Program& program, const packed::Step& step) {
  const packed::Step& input = program.step(step.inputs.at(0));
  return input.codes ? to_string(input.codes->encoding) : to_string(CodeKind::float32);
}

std::int64_t bytes_of(const packed::Step& step) {
  const auto bytes = [](const auto& list) {
    return static_cast<std::int64_t>(list.size() * sizeof(list[0]));
  };
  std::int64_t sum = bytes(step.scale) + bytes(step.bias) + bytes(step.thresholds) +
                     bytes(step.sum_thresholds) + bytes(step.direction);
  if (step.weight) {
    sum += bytes(step.weight->codes) + bytes(step.weight->zero_point) + bytes(step.weight->table);
  }
  if (step.codes) {
    sum += bytes(step.codes->scale) + bytes(step.codes->zero_point) + bytes(step.codes->table);
  }
  return sum;
}

report::Document document_of(const jobs::ExportedRun& run, const std::string& file) {
  const std::int64_t bytes = packed::data_bytes(run.program);
  const std::int64_t weights = packed::weight_bytes(run.program);
  report::Table table("steps", {{"name", "step"},
                                {"op", "operation"},
                                {"shape", "shape"},
                                {"weight", "weight"},
                                {"input", "input"},
                                {"codes", "gives"},
                                {"bytes", "bytes", report::Align::right}});
  for (const packed::Step& step : run.program.steps) {
    const std::string weight = step.weight ? to_string(step.weight->encoding) : "";
    table.add_row(
        {step.name,
         to_string(step.op),
         {step.shape.dims, shape_text(step.shape.dims)},
         {step.weight ? nlohmann::json(weight) : nlohmann::json(nullptr), weight},
         {step.weight ? nlohmann::json(input_encoding(run.program, step)) : nlohmann::json(nullptr),
          step.weight ? input_encoding(run.program, step) : ""},
         step.codes ? to_string(step.codes->encoding) : to_string(CodeKind::float32),
         {bytes_of(step), with_separators(bytes_of(step))}});
  }
  report::Document document;
  document.add(report::Facts{{{"file", file},
                              {"sha256", run.sha256},
                              {"checkpoint", run.checkpoint.string()},
                              {"data_bytes", bytes},
                              {"weight_bytes", weights}}});
  document.add(std::move(table));
  document.add(report::Paragraph{file + ": " + with_separators(bytes) + " bytes of tensors, " +
                                 with_separators(weights) + " of them weights, from " +
                                 run.checkpoint.string()});
  return document;
}

int execute(Context& context, const Arguments& arguments) {
  jobs::ExportRequest request;
  request.run = arguments.positional().at(0);
  request.file = arguments.value("output");
  if (request.file.empty()) {
    throw Error(ErrorKind::configuration, "qhost export: no file was given",
                "-o FILE.safetensors names the file to write");
  }
  if (!arguments.value("checkpoint").empty()) request.checkpoint = arguments.value("checkpoint");
  request.overrides.assign(arguments.positional().begin() + 1, arguments.positional().end());
  const jobs::ExportedRun run = jobs::export_run(request, context.registry);
  for (const std::string& complaint : run.complaints) std::cerr << complaint << "\n";
  print(document_of(run, request.file.string()), arguments.flag("json"));
  return 0;
}

}  // namespace

Command export_command() {
  return {
      .name = "export",
      .summary = "write a run as a packed network that runs without LibTorch",
      .arguments = "RUN -o FILE.safetensors [data.root=FOLDER]",
      .details =
          "RUN is a run directory, as runs/NAME/latest. The file holds what evaluation "
          "computes:\nconvolutions on packed codes, thresholds in the place of quantizers, batch "
          "norms folded.",
      .declare =
          [](ArgumentSpec& spec) {
            spec.value("output,o", "the file to write")
                .value("checkpoint", checkpoint_help)
                .flag("json", "as JSON")
                .positional("run directory", 1, 2);
          },
      .execute = execute};
}

}  // namespace qhost::cli

/// qhost weights: writes the weights of a run for other programs.
#include <iostream>

#include "cli/command.h"
#include "cli/output.h"
#include "common/number_text.h"
#include "jobs/export_weights.h"
#include "qhost/error.h"

namespace qhost::cli {
namespace {

report::Document document_of(const jobs::ExportedWeights& weights, const std::string& file) {
  report::Table table("tensors", {{"name", "tensor"},
                                  {"shape", "shape"},
                                  {"encoding", "encoding"},
                                  {"stored_bytes", "bytes packed", report::Align::right}});
  for (const jobs::ExportedTensor& tensor : weights.tensors) {
    table.add_row({tensor.name,
                   {tensor.shape, shape_text(tensor.shape)},
                   tensor.encoding,
                   {tensor.stored_bytes, with_separators(tensor.stored_bytes)}});
  }
  report::Document document;
  document.add(report::Facts{
      {{"file", file}, {"sha256", weights.sha256}, {"checkpoint", weights.checkpoint.string()}}});
  document.add(std::move(table));
  document.add(report::Paragraph{file + ": values and codes of the weights of " +
                                 weights.checkpoint.string()});
  return document;
}

int execute(Context& context, const Arguments& arguments) {
  jobs::WeightsRequest request;
  request.run = arguments.positional().at(0);
  request.file = arguments.value("output");
  if (request.file.empty()) {
    throw Error(ErrorKind::configuration, "qhost weights: no file was given",
                "-o FILE.safetensors names the file to write");
  }
  if (!arguments.value("checkpoint").empty()) request.checkpoint = arguments.value("checkpoint");
  const jobs::ExportedWeights weights = jobs::export_weights(request, context.registry);
  for (const std::string& complaint : weights.complaints) std::cerr << complaint << "\n";
  print(document_of(weights, request.file.string()), arguments.flag("json"));
  return 0;
}

}  // namespace

Command weights_command() {
  return {.name = "weights",
          .summary = "write the codes, scales and values of a run's weights",
          .arguments = "RUN -o FILE.safetensors",
          .details =
              "RUN is a run directory, as runs/NAME/latest. The file holds each tensor as "
              "evaluation\ncomputes with it: NAME the values, NAME.codes, NAME.scale, "
              "NAME.zero_point and NAME.table\nwhat they are made of.",
          .declare =
              [](ArgumentSpec& spec) {
                spec.value("output,o", "the file to write")
                    .value("checkpoint", checkpoint_help)
                    .flag("json", "as JSON")
                    .positional("run directory", 1, 1);
              },
          .execute = execute};
}

}  // namespace qhost::cli

/// qhost verify: proves that the packed network computes what was trained.
#include "cli/command.h"
#include "cli/output.h"
#include "cli/packed_file.h"
#include "cli/progress_display.h"
#include "common/number_text.h"
#include "jobs/verify_run.h"
#include "model/caching_allocator.h"
#include "qhost/error.h"

namespace qhost::cli {
namespace {

report::Table layer_table(const jobs::Verification& verification) {
  using report::Align;
  report::Table table("", {{"", "layer"},
                           {"", "compared as"},
                           {"", "outputs", Align::right},
                           {"", "different", Align::right},
                           {"", "codes different", Align::right},
                           {"", "largest difference", Align::right}});
  for (const jobs::LayerCheck& layer : verification.layers) {
    table.add_row({layer.name, layer.integer ? "integers" : "floats", with_separators(layer.values),
                   with_separators(layer.different), with_separators(layer.different_codes),
                   significant(layer.largest_difference, 3)});
  }
  return table;
}

report::Document document_of(const jobs::VerifiedRun& run) {
  const jobs::Verification& v = run.verification;
  nlohmann::json json = v.to_json();
  json["checkpoint"] = run.checkpoint.string();
  json["file_bytes"] = run.file_bytes;
  json["kernels"] = run.kernels;
  report::Document document;
  document.add(report::members_of(json)).add(layer_table(v));
  document.begin_section().add(report::Facts{
      {{"", {}, "images", with_separators(v.images)},
       {"",
        {},
        "other codes",
        with_separators(v.images_with_other_codes) + " images; " +
            with_separators(v.explained_codes) + " codes explained, " +
            with_separators(v.unexplained_codes) + " not"},
       {"",
        {},
        "logits",
        "largest difference " + significant(v.largest_logit_difference, 3) + " of the largest"},
       {"", {}, "decisions", with_separators(v.changed_decisions) + " changed"},
       {"", {}, "packed", with_separators(run.file_bytes) + " bytes, kernels " + run.kernels},
       {"", {}, "weights", run.checkpoint.string()}}});
  document.begin_section();
  for (const std::string& note : v.notes) document.add(report::Paragraph{"note: " + note});
  if (v.passed()) {
    return document.add(
        report::Paragraph{"verified: the packed network computes what was trained"});
  }
  for (const std::string& failure : v.failures) {
    document.add(report::Paragraph{"not verified: " + failure});
  }
  return document;
}

int execute(Context& context, const Arguments& arguments) {
  use_caching_allocator();
  jobs::VerifyRequest request;
  request.run = arguments.positional().at(0);
  request.file = arguments.value("file");
  if (!request.file.empty()) request.program = read_packed_file(request.file);
  request.sample = arguments.flag("sample");
  if (!arguments.value("checkpoint").empty()) request.checkpoint = arguments.value("checkpoint");
  request.overrides.assign(arguments.positional().begin() + 1, arguments.positional().end());
  jobs::VerifiedRun result;
  {
    ProgressDisplay progress;
    result = jobs::verify_run(request, context.registry, progress);
  }
  print(document_of(result), arguments.flag("json"));
  return result.verification.passed() ? 0 : static_cast<int>(ErrorKind::verification);
}

}  // namespace

Command verify_command() {
  return {
      .name = "verify",
      .summary = "prove that the packed network of a run computes what was trained",
      .arguments = "RUN [data.root=FOLDER]",
      .details =
          "RUN is a run directory, as runs/NAME/latest. The network is packed, read again, and\n"
          "compared with the evaluation over the test set: every layer alone, all codes, all\n"
          "logits. Exit code 7 if it is not the same.",
      .declare =
          [](ArgumentSpec& spec) {
            spec.value("file", "this packed file of the run, in the place of a new one")
                .value("checkpoint", checkpoint_help)
                .flag("sample", "256 test images, evenly spaced, in the place of all")
                .flag("json", "as JSON")
                .positional("run directory", 1, 2);
          },
      .execute = execute};
}

}  // namespace qhost::cli

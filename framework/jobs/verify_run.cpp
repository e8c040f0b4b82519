#include "jobs/verify_run.h"

#include <utility>

#include "jobs/assemble.h"
#include "jobs/load_run.h"
#include "jobs/run.h"
#include "packed/program_file.h"
#include "qhost/error.h"
#include "runs/run_directory.h"
#include "runtime/isa.h"

namespace qhost::jobs {

data::Split verified_images(const data::Split& split, bool sample) {
  if (!sample || split.count() <= verify_sample) return split;
  std::vector<std::uint32_t> chosen;
  for (std::int64_t i = 0; i < verify_sample; ++i) {
    chosen.push_back(static_cast<std::uint32_t>(i * split.count() / verify_sample));
  }
  return data::take(split, chosen);
}

VerifiedRun verify_run(const VerifyRequest& request, Registry& registry,
                       training::Progress& progress) {
  const runs::RunDirectory run = runs::RunDirectory::open(request.run);
  const config::Experiment experiment = experiment_of_run(run.path(), registry, request.overrides);
  std::vector<std::string> complaints;
  const LoadedRun loaded =
      load_last_phase(run, experiment, registry, request.checkpoint, complaints);
  for (const std::string& complaint : complaints) progress.note(complaint);

  VerifiedRun result{.checkpoint = loaded.checkpoint, .kernels = runtime::chosen_kernels().name};
  packed::Program program;
  if (!request.file.empty()) program = packed::read_program(request.file);
  const data::Dataset data = load_data(experiment);
  for (const std::string& note : data.notes) progress.note("note: " + note);
  if (experiment.train.integer("bn_recalibrate") > 0) {
    training::recalibrate(*loaded.model, experiment, data, loaded.position);
  }
  if (request.file.empty()) program = packed_network(*loaded.model, loaded.position);
  result.file_bytes = static_cast<std::int64_t>(packed::to_bytes(program).size());
  if (data.test.empty()) {
    throw Error(ErrorKind::data, data.name + " has no test images",
                "name the folder of the whole data set with data.root=FOLDER");
  }
  result.verification =
      verify_program(*loaded.model, program, verified_images(data.test, request.sample),
                     training::evaluation_settings(experiment, data), loaded.position,
                     training::watch(progress, "verification"));
  return result;
}

}  // namespace qhost::jobs

#include "jobs/verify_run.h"

#include <utility>

#include "jobs/assemble.h"
#include "jobs/export_run.h"
#include "jobs/load_run.h"
#include "jobs/resume.h"
#include "jobs/run.h"
#include "jobs/same_network.h"
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
  const data::Dataset data = load_data(experiment);
  for (const std::string& note : data.notes) progress.note("note: " + note);
  if (const std::string other = changed_files(run.path(), experiment, registry, data);
      !other.empty()) {
    progress.note("warning: these are not the files that the run was made with:" + other);
  }
  if (experiment.train.integer("bn_recalibrate") > 0) {
    training::recalibrate(*loaded.model, experiment, data, loaded.position);
  }
  packed::Program own = packed_network(*loaded.model, loaded.position);
  own.provenance =
      provenance_of(run, experiment, registry, loaded.checkpoint, request.checkpoint == "selected");
  const packed::Program& program = request.program ? *request.program : own;
  const std::string origin = other_origin(program.provenance, own.provenance);
  if (const std::string other = other_network(program, own); !other.empty()) {
    throw Error(ErrorKind::configuration,
                request.file.string() + " is not of this run: " + other + origin,
                "`qhost export " + run.path().string() + " -o FILE.safetensors` writes its file");
  }
  if (!origin.empty()) {
    progress.note("warning: " + request.file.string() + " is another run's or checkpoint's" +
                  origin);
  }
  result.file_bytes = static_cast<std::int64_t>(packed::to_bytes(program).size());
  if (data.test.empty()) {
    throw Error(ErrorKind::data, data.name + " has no test images",
                "name the folder of the whole data set with data.root=FOLDER");
  }
  result.verification =
      verify_program(*loaded.model, program, verified_images(data.test, request.sample),
                     training::evaluation_settings(experiment, data), loaded.position,
                     training::watch(progress, "verification"));
  for (const std::string& other : other_provenance(program.provenance, own.provenance)) {
    result.verification.failures.push_back(other);
  }
  return result;
}

}  // namespace qhost::jobs

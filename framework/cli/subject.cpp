#include "cli/subject.h"

#include <filesystem>
#include <string>
#include <utility>

#include "jobs/catalog.h"
#include "jobs/run.h"

namespace qhost::cli {

std::vector<config::SweepPoint> points_of(const Arguments& arguments, Registry& registry) {
  const std::filesystem::path subject = arguments.positional().at(0);
  const std::vector<std::string> overrides(arguments.positional().begin() + 1,
                                           arguments.positional().end());
  if (!std::filesystem::is_directory(subject)) {
    jobs::ComponentCatalog catalog(registry);
    return config::load_experiment_or_throw(subject, overrides, catalog);
  }
  std::vector<config::SweepPoint> points;
  config::SweepPoint point;
  point.experiment = jobs::experiment_of_run(subject, registry, overrides);
  points.push_back(std::move(point));
  return points;
}

}  // namespace qhost::cli

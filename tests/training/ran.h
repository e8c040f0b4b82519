/// The outcome of a run with its result as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <utility>

#include "jobs/run.h"

namespace qhost::tests {

struct Ran : jobs::RunOutcome {
  explicit Ran(jobs::RunOutcome outcome)
      : jobs::RunOutcome(std::move(outcome)), json(to_json(result)) {
    json.erase("seconds");  // clock times, which do not repeat
  }
  nlohmann::json json;
};

}  // namespace qhost::tests

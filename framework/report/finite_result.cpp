#include "report/finite_result.h"

#include <cmath>

namespace qhost::report {

bool has_no_finite_loss(const nlohmann::json& result) {
  if (!result.is_object()) return false;
  const auto loss = result.find("test_loss");
  if (loss == result.end()) return false;
  return !loss->is_number() || !std::isfinite(loss->get<double>());
}

}  // namespace qhost::report

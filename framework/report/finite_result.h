/// report/finite_result.h: a result whose accuracy says nothing.
#pragma once

#include <nlohmann/json.hpp>

namespace qhost::report {

/// Whether a result.json has a test loss that is not finite, which JSON writes as null. Older
/// builds called such a run finished.
bool has_no_finite_loss(const nlohmann::json& result);

}  // namespace qhost::report

/// runs/checkpoint_name.h: the folder of a checkpoint, below checkpoints/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qhost::runs {

inline constexpr std::string_view step_prefix = "step-";
inline constexpr std::string_view best_prefix = "best-";

/// "step-00001234" of the prefix and the step 1234: eight digits at least.
std::string checkpoint_name(std::string_view prefix, std::int64_t step);
/// The step of such a name; empty for any other.
std::optional<std::int64_t> step_of(std::string_view name, std::string_view prefix);

}  // namespace qhost::runs

/// config/familiar_names.h: what other tools and papers call the keys and components of an
/// experiment.
#pragma once

#include <string>
#include <string_view>

namespace qhost::config {

/// "optimizer.learning_rate" for "lr" or "learning-rate", "train.batch_size" for "bs"; "" for any
/// other word. Case, hyphens and underscores do not count.
std::string familiar_key(std::string_view word);

/// "wideresnet" for "wrn", "xnornet" for "xnor": the component that a common short name or another
/// spelling means; "" for any other word.
std::string familiar_component(std::string_view word);

/// "cuda" for "gpu", "bf16" for "bfloat16": the value that a common word for it means; "" for any
/// other word.
std::string familiar_choice(std::string_view word);

}  // namespace qhost::config

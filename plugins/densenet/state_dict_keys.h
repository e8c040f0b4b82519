/// The names of densenet.h's tensors in published implementations.
#pragma once

#include <vector>

#include "qhost/architecture.h"

namespace qhost::densenet {

/// Only of networks with the structure that is published there.
std::vector<StateDictKeyMap> published();

}  // namespace qhost::densenet

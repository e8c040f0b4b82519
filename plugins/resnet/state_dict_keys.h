/// The names of resnet.h's tensors in published implementations.
#pragma once

#include <vector>

#include "qhost/architecture.h"

namespace qhost::resnet {

/// Only of networks with the structure that is published there.
std::vector<StateDictKeyMap> published();

}  // namespace qhost::resnet

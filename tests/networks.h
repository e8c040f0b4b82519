// tests/networks.h: the networks that tests combine with every method, as [model] tables.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace qhost::tests {

struct Network {
  std::string name, table;
};
inline void PrintTo(const Network& network, std::ostream* out) {
  *out << network.name;
}

inline const std::vector<Network> networks = {
    {"resnet20", "name = \"resnet\"\ndepth = 20\n"},
    {"wrn_16_2", "name = \"wideresnet\"\ndepth = 16\nwiden_factor = 2\n"},
    {"densenet_bc_40_12",
     "name = \"densenet\"\ndepth = 40\ngrowth_rate = 12\nbottleneck = true\ncompression = 0.5\n"},
};

}  // namespace qhost::tests

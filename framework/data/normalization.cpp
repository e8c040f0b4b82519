#include "data/normalization.h"

namespace qhost::data {

std::optional<Normalization> known_normalization(std::string_view set) {
  if (set == "cifar10") return {{{0.4914F, 0.4822F, 0.4465F}, {0.2470F, 0.2435F, 0.2616F}}};
  if (set == "cifar100") return {{{0.5071F, 0.4865F, 0.4409F}, {0.2673F, 0.2564F, 0.2762F}}};
  // The constants of the course's own program.
  if (set == "minicifar") return {{{0.4914F, 0.4822F, 0.4465F}, {0.2023F, 0.1994F, 0.2010F}}};
  if (set == "fashion_mnist") return {{{0.2860F}, {0.3530F}}};
  return {};
}

void normalize_as_published(Dataset& set, std::string_view name) {
  const Normalization published = known_normalization(name).value();
  set.mean = published.mean;
  set.std = published.std;
}

}  // namespace qhost::data

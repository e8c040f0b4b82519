/// conformance/variants.h: the configurations in which a component is checked.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "conformance/conformance.h"
#include "model/exception_text.h"
#include "qhost/options.h"

namespace qhost::conformance {

struct Variant {
  std::string name;  ///< "defaults", "gradient = \"text\""
  Options options;
};

enum class Integers { as_declared, smallest_too };

/// The defaults, then each choice of each option that has a closed list, both values of each
/// boolean and, if wanted, the smallest count from 1 to 8 that an integer may be: one option
/// changed at a time.
std::vector<Variant> variants(const std::vector<Option>& declared,
                              Integers integers = Integers::as_declared);

/// Checks of the declarations themselves, which architectures and quantizers share.
void check_options(const std::vector<Option>& declared, std::vector<Finding>& findings);

/// The message of what `work` throws, "" when it throws nothing.
template <class Work>
std::string failure_of(Work work) {
  try {
    work();
  } catch (...) {
    return "threw: " + exception_text();
  }
  return "";
}

}  // namespace qhost::conformance

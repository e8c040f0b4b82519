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

/// The defaults, then variants with one option changed: each choice of an option with a closed
/// list, both values of each boolean and, if wanted, the smallest valid value from 1 to 8 of an
/// integer.
std::vector<Variant> variants(const std::vector<Option>& declared,
                              Integers integers = Integers::as_declared);

/// The checks of option declarations, for architectures and quantizers.
void check_options(const std::vector<Option>& declared, std::vector<Finding>& findings);

/// The message of the exception that `work` throws; "" if it throws none.
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

#include "common/version.h"

#include "qhost_commit.h"  // made by commit.cmake

namespace qhost {

std::string version() {
  return QHOST_VERSION;
}

std::string commit() {
  return QHOST_COMMIT;
}

std::string version_line() {
  constexpr std::size_t digits = 40, shown = 12;
  const std::string from = commit();
  if (from.empty()) return "qhost " + version();
  return "qhost " + version() + " (commit " + from.substr(0, shown) +
         (from.size() > digits ? from.substr(digits) : "") + ")";
}

}  // namespace qhost

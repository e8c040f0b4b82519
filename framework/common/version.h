/// common/version.h: which qhost this is.
#pragma once

#include <string>

namespace qhost {

/// "0.1.0"
std::string version();
/// The commit that it was built from, 40 hexadecimal digits, with "-dirty" behind them when tracked
/// files differed from it; "" when it was built outside of its own git checkout.
std::string commit();
/// "qhost 0.1.0 (commit 1f2e3d4c5b6a)"
std::string version_line();

}  // namespace qhost

/// common/version.h: the version of qhost.
#pragma once

#include <string>

namespace qhost {

/// "0.2.0"
std::string version();
/// The commit of the build, 40 hexadecimal digits, followed by "-dirty" if tracked files differed
/// from it; "" for a build outside of qhost's git checkout.
std::string commit();
/// "qhost 0.2.0 (commit 1f2e3d4c5b6a)"
std::string version_line();

}  // namespace qhost

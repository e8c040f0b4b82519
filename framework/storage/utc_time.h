/// storage/utc_time.h: times as written in files and names.
#pragma once

#include <chrono>
#include <string>

namespace qhost::storage {

/// "2026-11-23T14:52:07Z"
std::string utc_time(std::chrono::system_clock::time_point time);
/// "20261123T145207Z", as in the name of a run directory.
std::string utc_stamp(std::chrono::system_clock::time_point time);

}  // namespace qhost::storage

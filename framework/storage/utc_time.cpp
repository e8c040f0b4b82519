#include "storage/utc_time.h"

#include <ctime>

namespace qhost::storage {
namespace {

std::string format(std::chrono::system_clock::time_point time, const char* pattern) {
  // floor, because a cast would round times before 1970 up
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const std::time_t count = std::chrono::system_clock::to_time_t(seconds);
  std::tm parts{};
  ::gmtime_r(&count, &parts);
  char buffer[64];
  const std::size_t length = std::strftime(buffer, sizeof buffer, pattern, &parts);
  return {buffer, length};
}

}  // namespace

std::string utc_time(std::chrono::system_clock::time_point time) {
  return format(time, "%Y-%m-%dT%H:%M:%SZ");
}

std::string utc_stamp(std::chrono::system_clock::time_point time) {
  return format(time, "%Y%m%dT%H%M%SZ");
}

}  // namespace qhost::storage

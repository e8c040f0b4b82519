#include "storage/failpoint.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstdlib>

namespace qhost::storage {

void failpoint(std::string_view name) {
  const char* wish = std::getenv("QHOST_FAILPOINT");
  if (wish == nullptr) return;
  std::string_view point = wish;
  long count = 1;
  if (const std::size_t colon = point.rfind(':'); colon != std::string_view::npos) {
    std::from_chars(point.data() + colon + 1, point.data() + point.size(), count);
    point = point.substr(0, colon);
  }
  if (point != name) return;
  // A process has one failpoint, so one counter is sufficient.
  static std::atomic<long> times{0};
  if (times.fetch_add(1) + 1 == count) {
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();  // the signal is pending: nothing after this point may run
  }
}

}  // namespace qhost::storage

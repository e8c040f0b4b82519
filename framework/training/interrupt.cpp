#include "training/interrupt.h"

#include <csignal>
#include <cstring>

namespace qhost::training {
namespace {

volatile std::sig_atomic_t received = 0;
constexpr int watched[] = {SIGINT, SIGTERM, SIGUSR1};
struct sigaction previous[3];

void on_signal(int number) {
  if (number == SIGINT && received == SIGINT) {
    // The user insists.
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
    return;
  }
  received = number;
}

}  // namespace

InterruptGuard::InterruptGuard() {
  received = 0;
  struct sigaction action;
  std::memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (int i = 0; i < 3; ++i) sigaction(watched[i], &action, &previous[i]);
}

InterruptGuard::~InterruptGuard() {
  for (int i = 0; i < 3; ++i) sigaction(watched[i], &previous[i], nullptr);
}

int InterruptGuard::signal() {
  return received;
}

}  // namespace qhost::training

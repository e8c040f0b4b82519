#include "training/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iterator>

namespace qhost::training {
namespace {

constexpr int watched[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
constexpr std::size_t watched_count = std::size(watched);

// Any thread may run the signal handler, which must not access anything with a lock.
std::atomic<int> received{0};
std::atomic<bool> can_go_on{true};
std::atomic<Activity> activity{Activity::preparing};
std::atomic<std::int64_t> steps_done{0}, steps_saved{-1};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<Activity>::is_always_lock_free &&
              std::atomic<std::int64_t>::is_always_lock_free);

int depth = 0;
bool installed[watched_count];
struct sigaction previous[watched_count];

/// A line that is composed without memory allocation and stdio, which a handler must not use.
class Line {
 public:
  Line& operator<<(const char* text) {
    while (*text != '\0' && length_ < sizeof text_) text_[length_++] = *text++;
    return *this;
  }
  Line& operator<<(std::int64_t number) {
    char digits[20];
    std::size_t count = 0;
    do {
      digits[count++] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number > 0);
    while (count > 0 && length_ < sizeof text_) text_[length_++] = digits[--count];
    return *this;
  }
  void write() const { (void)!::write(STDERR_FILENO, text_, length_); }

 private:
  char text_[512];
  std::size_t length_ = 0;
};

const char* name_of(int number) {
  switch (number) {
    case SIGINT:
      return "SIGINT";
    case SIGTERM:
      return "SIGTERM";
    case SIGHUP:
      return "SIGHUP";
    default:
      return "SIGUSR1";
  }
}

const char* end_of_activity() {
  switch (activity.load()) {
    case Activity::calibrating:
      return "at the end of this calibration batch";
    case Activity::training:
      return "at the end of this training step";
    case Activity::evaluating:
      return "at the end of this evaluation batch";
    case Activity::preparing:
      break;
  }
  return "when the data are loaded";
}

/// "loses the 12 steps since the checkpoint of step 400"
void add_loss(Line& line, const char* loses, const char* nothing) {
  const std::int64_t done = steps_done, saved = steps_saved;
  if (done == 0) {
    line << nothing << ": no step is done yet";
  } else if (saved < 0) {
    line << loses << (done == 1 ? "the " : "all ") << done << (done == 1 ? " step" : " steps")
         << " done: there is no checkpoint yet";
  } else if (saved >= done) {
    line << nothing << ": the checkpoint of step " << saved << " holds all steps done";
  } else {
    line << loses << "the " << done - saved << (done - saved == 1 ? " step" : " steps")
         << " since the checkpoint of step " << saved;
  }
}

void on_signal(int number) {
  const int error = errno;
  // The cursor of a terminal may be within a line: behind "^C", or in the progress line.
  Line line;
  line << "\n" << name_of(number);
  if (number == SIGINT && received != 0) {
    add_loss(line << " again: ended at once; ", "lost: ", "no step is lost");
    (line << "\n").write();
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
    return;
  }
  // A repeated SIGTERM prints nothing new: service managers send several.
  int none = 0;
  if (received.compare_exchange_strong(none, number)) {
    line << ": stopping " << end_of_activity()
         << (can_go_on ? ", to be continued with --resume auto; " : "; ")
         << (number == SIGINT ? "a second one" : "a SIGINT") << " ends it at once and ";
    add_loss(line, "loses ", "loses no step");
    (line << "\n").write();
  }
  errno = error;
}

}  // namespace

Interrupted::Interrupted()
    : Error(ErrorKind::interrupted, "interrupted by a signal",
            "give the same command again, `qhost run` with --resume auto, which goes on from the "
            "newest checkpoint") {}

InterruptGuard::InterruptGuard(bool resumable) {
  if (depth++ > 0) return;
  can_go_on = resumable;
  received = 0;
  set_steps_for_signals(0, -1);
  struct sigaction action;
  std::memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (std::size_t i = 0; i < watched_count; ++i) {
    sigaction(watched[i], nullptr, &previous[i]);
    installed[i] = previous[i].sa_handler != SIG_IGN;
    if (installed[i]) sigaction(watched[i], &action, nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  if (--depth > 0) return;
  for (std::size_t i = 0; i < watched_count; ++i) {
    if (installed[i]) sigaction(watched[i], &previous[i], nullptr);
  }
  received = 0;
}

int InterruptGuard::signal() {
  return received;
}

void InterruptGuard::stop_if_asked() {
  if (received != 0) throw Interrupted();
}

Doing::Doing(Activity now) : before_(activity.exchange(now)) {}

Doing::~Doing() {
  activity = before_;
}

void set_steps_for_signals(std::int64_t done, std::int64_t saved) {
  steps_done = done;
  steps_saved = saved;
}

}  // namespace qhost::training

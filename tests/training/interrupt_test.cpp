// Messages and effects of signals, in child processes: a second signal ends them.
#include "training/interrupt.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <string>

namespace qhost::training {
namespace {

struct Ended {
  int code = -1, signal = 0;
  std::string said;  ///< text on stderr
};

Ended in_child(const std::function<void()>& work) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("pipe");
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    work();
    ::_exit(0);
  }
  ::close(ends[1]);
  Ended ended;
  char buffer[1000];
  for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    ended.said.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status)) ended.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) ended.signal = WTERMSIG(status);
  return ended;
}

TEST(Interrupt, TheFirstSaysWhereItStopsAndWhatASecondOneCosts) {
  const auto said = [](int number, Activity activity, std::int64_t done, std::int64_t saved) {
    const Ended ended = in_child([&] {
      const InterruptGuard guard;
      const Doing doing(activity);
      set_steps_for_signals(done, saved);
      ::raise(number);
      ::_exit(InterruptGuard::signal() == number ? 0 : 1);
    });
    EXPECT_EQ(ended.code, 0);
    return ended.said;
  };
  EXPECT_EQ(said(SIGINT, Activity::training, 1234, 1000),
            "\nSIGINT: stopping at the end of this training step, to be continued with --resume "
            "auto; a second one ends it at once and loses the 234 steps since the checkpoint of "
            "step 1000\n");
  EXPECT_EQ(said(SIGINT, Activity::training, 1001, 1000),
            "\nSIGINT: stopping at the end of this training step, to be continued with --resume "
            "auto; a second one ends it at once and loses the 1 step since the checkpoint of step "
            "1000\n");
  EXPECT_EQ(said(SIGTERM, Activity::evaluating, 40, 40),
            "\nSIGTERM: stopping at the end of this evaluation batch, to be continued with "
            "--resume auto; a SIGINT ends it at once and loses no step: the checkpoint of step 40 "
            "holds all steps done\n");
  EXPECT_EQ(said(SIGHUP, Activity::training, 7, -1),
            "\nSIGHUP: stopping at the end of this training step, to be continued with --resume "
            "auto; a SIGINT ends it at once and loses all 7 steps done: there is no checkpoint "
            "yet\n");
  EXPECT_EQ(said(SIGUSR1, Activity::calibrating, 0, -1),
            "\nSIGUSR1: stopping at the end of this calibration batch, to be continued with "
            "--resume auto; a SIGINT ends it at once and loses no step: no step is done yet\n");
  EXPECT_THAT(said(SIGINT, Activity::preparing, 0, -1),
              ::testing::StartsWith("\nSIGINT: stopping when the data are loaded, "));
}

TEST(Interrupt, WhatCannotBeContinuedPromisesNothing) {
  const Ended ended = in_child([] {
    const InterruptGuard outer(/*resumable=*/false);
    const InterruptGuard inner;
    const Doing doing(Activity::calibrating);
    ::raise(SIGINT);
  });
  EXPECT_EQ(ended.said,
            "\nSIGINT: stopping at the end of this calibration batch; a second one ends it at once "
            "and loses no step: no step is done yet\n");
}

TEST(Interrupt, TheSecondSaysWhatIsLostAndEndsTheProcess) {
  const auto ended = [](int first, std::int64_t done, std::int64_t saved) {
    return in_child([&] {
      const InterruptGuard guard;
      set_steps_for_signals(done, saved);
      ::raise(first);
      ::raise(SIGINT);
      ::_exit(0);
    });
  };
  for (const int first : {SIGINT, SIGTERM}) {
    const Ended one = ended(first, 1234, 1000);
    EXPECT_EQ(one.signal, SIGINT);
    EXPECT_THAT(one.said, ::testing::EndsWith(
                              "\n\nSIGINT again: ended at once; lost: the 234 steps since the "
                              "checkpoint of step 1000\n"));
  }
  EXPECT_THAT(ended(SIGINT, 7, -1).said,
              ::testing::EndsWith("lost: all 7 steps done: there is no checkpoint yet\n"));
  EXPECT_THAT(ended(SIGINT, 7, 7).said,
              ::testing::EndsWith("no step is lost: the checkpoint of step 7 holds all steps "
                                  "done\n"));
}

// Service managers and shells send SIGTERM and SIGHUP together, and more than once.
TEST(Interrupt, RepeatsOfOtherSignalsEndNothingAndSayNothing) {
  const Ended ended = in_child([] {
    const InterruptGuard guard;
    for (const int number : {SIGTERM, SIGTERM, SIGHUP, SIGUSR1}) ::raise(number);
    ::_exit(InterruptGuard::signal() == SIGTERM ? 0 : 1);
  });
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(std::count(ended.said.begin(), ended.said.end(), '\n'), 2);
}

TEST(Interrupt, WhatIsIgnoredAtTheStartStaysIgnored) {
  for (const int number : {SIGHUP, SIGINT}) {
    const Ended ended = in_child([&] {
      ::signal(number, SIG_IGN);
      {
        const InterruptGuard guard;
        ::raise(number);
        ::raise(number);
        if (InterruptGuard::signal() != 0) ::_exit(1);
        ::raise(SIGTERM);  // the other signals are handled
        if (InterruptGuard::signal() != SIGTERM) ::_exit(2);
      }
      ::raise(number);  // this one is still ignored afterwards
    });
    EXPECT_EQ(ended.code, 0) << number;
  }
}

TEST(Interrupt, GuardsNestAndTheOutermostForgets) {
  const Ended ended = in_child([] {
    {
      const InterruptGuard outer;
      {
        const InterruptGuard inner;
        InterruptGuard::stop_if_asked();
        ::raise(SIGTERM);
      }
      if (InterruptGuard::signal() != SIGTERM) ::_exit(1);
      { const InterruptGuard inner; }
      try {
        InterruptGuard::stop_if_asked();
        ::_exit(2);
      } catch (const Interrupted& interrupted) {
        if (interrupted.exit_code() != 75) ::_exit(3);
      }
    }
    if (InterruptGuard::signal() != 0) ::_exit(4);
    InterruptGuard::stop_if_asked();
    ::raise(SIGTERM);  // as without a guard: it ends the process
  });
  EXPECT_EQ(ended.signal, SIGTERM) << "exit code " << ended.code;
}

}  // namespace
}  // namespace qhost::training

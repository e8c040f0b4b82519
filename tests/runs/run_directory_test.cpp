#include "runs/run_directory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "runs/checkpoint_support.h"
#include "storage/atomic_file.h"
#include "storage/environment.h"

namespace qhost::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::chrono::system_clock::time_point time{std::chrono::seconds(1795445527)};

/// A child that holds the lock of a run until it is told to exit.
class Holder {
 public:
  explicit Holder(const fs::path& run) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("pipe");
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      const runs::Lock lock = runs::Lock::acquire(run);
      (void)!::write(ends[1], "x", 1);
      for (;;) ::pause();
    }
    ::close(ends[1]);
    char ready = 0;
    EXPECT_EQ(::read(ends[0], &ready, 1), 1);
    ::close(ends[0]);
  }
  ~Holder() { kill(); }
  void kill() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

class RunDirectoryTest : public ::testing::Test {
 protected:
  TestFolder folder_;
  const fs::path root_ = folder_ / "deep/runs";
};

TEST_F(RunDirectoryTest, HasItsPlaceItsPartsAndItsLock) {
  const runs::RunDirectory run = runs::RunDirectory::create(root_, "wrn_bwn", time);
  EXPECT_EQ(run.id(), "20261123T145207Z-000000");
  EXPECT_EQ(run.path(), root_ / "wrn_bwn/20261123T145207Z-000000");
  EXPECT_EQ(names_in(run.path()), "checkpoints model run.lock");
  EXPECT_EQ(names_in(root_ / "wrn_bwn"), "20261123T145207Z-000000");
  EXPECT_TRUE(run.locked());
  EXPECT_EQ(run.point_latest(), "");
  EXPECT_EQ(fs::read_symlink(root_ / "wrn_bwn/latest"), run.id());
  const auto owner = runs::Lock::owner(run.path());
  ASSERT_TRUE(owner);
  EXPECT_EQ(owner->pid, ::getpid());
  EXPECT_EQ(owner->host, host_name());
  EXPECT_THAT(owner->since, ::testing::MatchesRegex("....-..-..T..:..:..Z"));
}

TEST_F(RunDirectoryTest, NamesSortByTimeAndNeverCollide) {
  using std::chrono::nanoseconds;
  const auto id = [&](nanoseconds offset) {
    const runs::RunDirectory run = runs::RunDirectory::create(root_, "r", time + offset);
    run.point_latest();
    return run.id();
  };
  EXPECT_EQ(id(nanoseconds(500000000)), "20261123T145207Z-800000");
  EXPECT_EQ(id(nanoseconds(500000000)), "20261123T145207Z-800001");
  EXPECT_EQ(id(nanoseconds(999999999)), "20261123T145207Z-ffffff");
  EXPECT_EQ(id(nanoseconds(999999999)), "20261123T145208Z-000000");
  EXPECT_EQ(fs::read_symlink(root_ / "r/latest"), "20261123T145208Z-000000");
}

TEST_F(RunDirectoryTest, TakesNoNameThatIsAPath) {
  for (const char* name : {"", "..", ".hidden", "a/b", "a b", "-x", "\xc3\xa9", "a\n"}) {
    EXPECT_THAT(
        error_of(ErrorKind::configuration, [&] { runs::RunDirectory::create(root_, name); }),
        AllOf(HasSubstr("cannot be the name of a run"), HasSubstr("\nhelp: use 1 to 100 letters")))
        << name;
  }
  EXPECT_THAT(error_of(ErrorKind::configuration,
                       [&] { runs::RunDirectory::create(root_, std::string(101, 'a')); }),
              HasSubstr("cannot be the name of a run"));
  EXPECT_FALSE(fs::exists(root_));
  EXPECT_NO_THROW(runs::RunDirectory::create(root_, std::string(100, 'a')));
}

TEST_F(RunDirectoryTest, IsMadeExactlyWhereItIsWanted) {
  const fs::path path = root_ / "some where/mine";
  {
    const runs::RunDirectory run = runs::RunDirectory::create_at(path / "");
    EXPECT_EQ(run.path(), path);
    EXPECT_TRUE(run.locked());
    EXPECT_EQ(names_in(path), "checkpoints model run.lock");
    EXPECT_EQ(names_in(root_ / "some where"), "mine");
  }
  EXPECT_FALSE(runs::Lock::owner(path));
  EXPECT_EQ(error_of(ErrorKind::configuration, [&] { runs::RunDirectory::create_at(path); }),
            path.string() +
                " exists already\nhelp: name a new directory, or continue the run in it with "
                "--resume");
  EXPECT_EQ(names_in(root_ / "some where"), "mine");
  fs::create_directory(root_ / "empty");
  EXPECT_THAT(
      error_of(ErrorKind::configuration, [&] { runs::RunDirectory::create_at(root_ / "empty"); }),
      HasSubstr("exists already"));
}

TEST_F(RunDirectoryTest, LatestIsTheNewestThatHasSomethingToShow) {
  const runs::RunDirectory first = runs::RunDirectory::create(root_, "r", time);
  EXPECT_EQ(names_in(root_ / "r"), first.id()) << "nothing is there yet to look at";
  const runs::RunDirectory second =
      runs::RunDirectory::create(root_, "r", time + std::chrono::seconds(1));
  second.point_latest();
  first.point_latest();
  EXPECT_EQ(fs::read_symlink(root_ / "r/latest"), second.id()) << "it began later";
  const runs::RunDirectory third =
      runs::RunDirectory::create(root_, "r", time + std::chrono::seconds(2));
  third.point_latest();
  EXPECT_EQ(fs::read_symlink(root_ / "r/latest"), third.id());
  // If the latest run was deleted, `latest` names the newest other run with a result or a
  // checkpoint.
  fs::remove_all(third.path());
  EXPECT_THAT(
      error_of(ErrorKind::configuration, [&] { runs::RunDirectory::open(root_ / "r/latest"); }),
      HasSubstr("there is no run at"));
  spill(first.path() / "result.json", "{}");
  EXPECT_EQ(runs::RunDirectory::open(root_ / "r/latest").id(), first.id());
  EXPECT_EQ(fs::read_symlink(root_ / "r/latest"), first.id());
  fs::create_directories(second.checkpoints() / "step-00000001");
  EXPECT_EQ(runs::RunDirectory::open(root_ / "r/latest").id(), first.id()) << "it does not dangle";
  fs::remove(root_ / "r/latest");
  fs::create_symlink("gone", root_ / "r/latest");
  EXPECT_EQ(runs::RunDirectory::open(root_ / "r/latest/").id(), second.id());
}

TEST_F(RunDirectoryTest, OpensByPathAndByLatest) {
  const runs::RunDirectory made = runs::RunDirectory::create(root_, "r");
  made.point_latest();
  const std::string id = made.id();
  EXPECT_EQ(runs::RunDirectory::open(root_ / "r/latest").id(), id);
  EXPECT_EQ(runs::RunDirectory::open(root_ / "r" / id / "").path().filename(), id);
  EXPECT_EQ(error_of(ErrorKind::configuration, [&] { runs::RunDirectory::open(root_ / "r/no"); }),
            "there is no run at " + (root_ / "r/no").string() +
                ": No such file or directory\nhelp: a run lies in runs/NAME/TIME, "
                "the newest of a name is runs/NAME/latest");
  EXPECT_THAT(error_of(ErrorKind::configuration, [&] { runs::RunDirectory::open(root_ / "r"); }),
              EndsWith("help: it holds the runs of one name, the newest is " +
                       (root_ / "r/latest").string()));
  EXPECT_THAT(error_of(ErrorKind::configuration, [&] { runs::RunDirectory::open(root_); }),
              StartsWith(root_.string() + " is not a run directory: it has no run.lock, "
                                          "resolved.toml or checkpoints/\nhelp: "));
}

TEST_F(RunDirectoryTest, LockingSweepsWhatAKilledWriterLeft) {
  const fs::path path = runs::RunDirectory::create(root_, "r").path();
  write_sample(path / "checkpoints", 1);
  ASSERT_TRUE(dies_at("checkpoint.tensors", [&] { write_sample(path / "checkpoints", 2); }));
  ASSERT_TRUE(dies_at("file.half", [&] { write_file_atomically(path / "result.json", "{}"); }));
  ASSERT_TRUE(dies_at("file.half", [&] { write_file_atomically(path / "model/a", "{}"); }));
  runs::RunDirectory run = runs::RunDirectory::open(path);
  run.lock();
  run.lock();
  EXPECT_EQ(names_in(path), "checkpoints model run.lock");
  EXPECT_EQ(names_in(run.checkpoints()), "step-00000001");
  EXPECT_EQ(names_in(run.model()), "");
}

TEST_F(RunDirectoryTest, ASecondProcessIsToldWhoHasIt) {
  const fs::path path = runs::RunDirectory::create(root_, "r").path();
  Holder holder(path);
  runs::RunDirectory run = runs::RunDirectory::open(path);
  const std::string message = error_of(ErrorKind::configuration, [&] { run.lock(); });
  EXPECT_THAT(message,
              StartsWith("the run " + run.path().string() + " is in use by process " +
                         std::to_string(holder.pid()) + " on host " + host_name() + ", since 20"));
  EXPECT_THAT(message, HasSubstr("\nhelp: wait for it, stop it, or start another run"));
  EXPECT_FALSE(run.locked());
  ASSERT_TRUE(runs::Lock::owner(path));
  EXPECT_EQ(runs::Lock::owner(path)->pid, holder.pid());
  // The kernel releases the lock when its owner is killed.
  holder.kill();
  EXPECT_FALSE(runs::Lock::owner(path));
  run.lock();
  EXPECT_EQ(runs::Lock::owner(path)->pid, ::getpid());
}

TEST_F(RunDirectoryTest, AChildCommandDoesNotInheritTheLock) {
  runs::RunDirectory run = runs::RunDirectory::create(root_, "r");
  std::fflush(nullptr);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execlp("sleep", "sleep", "60", nullptr);
    ::_exit(1);
  }
  ::close(ends[1]);
  char none = 0;
  EXPECT_EQ(::read(ends[0], &none, 1), 0);  // the end of the pipe: exec has happened
  run.unlock();
  EXPECT_FALSE(runs::Lock::owner(run.path()));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ends[0]);
}

TEST_F(RunDirectoryTest, LocksMove) {
  const fs::path path = runs::RunDirectory::create(root_, "r").path();
  runs::Lock first = runs::Lock::acquire(path);
  runs::Lock second = std::move(first);
  EXPECT_FALSE(first.held());  // NOLINT: the moved-from state is tested
  EXPECT_TRUE(second.held());
  EXPECT_THAT(error_of(ErrorKind::configuration, [&] { runs::Lock::acquire(path); }),
              HasSubstr("is in use by process " + std::to_string(::getpid())));
  second = runs::Lock();
  EXPECT_FALSE(runs::Lock::owner(path));
}

// Ten processes compete for one run: exactly one gets it, each time.
TEST_F(RunDirectoryTest, OnlyOneOfManyGetsTheLock) {
  const fs::path path = runs::RunDirectory::create(root_, "r").path();
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::vector<pid_t> children;
  std::fflush(nullptr);
  for (int i = 0; i < 10; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      char answer = 'l';
      try {
        const runs::Lock lock = runs::Lock::acquire(path);
        answer = 'w';
        (void)!::write(ends[1], &answer, 1);
        for (;;) ::pause();
      } catch (const Error&) {
        (void)!::write(ends[1], &answer, 1);
      }
      ::_exit(0);
    }
    children.push_back(child);
  }
  ::close(ends[1]);
  std::string answers(10, '?');
  for (char& answer : answers) ASSERT_EQ(::read(ends[0], &answer, 1), 1);
  EXPECT_EQ(std::count(answers.begin(), answers.end(), 'w'), 1) << answers;
  for (const pid_t child : children) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  ::close(ends[0]);
}

TEST_F(RunDirectoryTest, ListsNewestFirstWithStates) {
  using std::chrono::seconds;
  const fs::path finished = runs::RunDirectory::create(root_, "a", time).path();
  const fs::path stopped = runs::RunDirectory::create(root_, "a", time + seconds(1)).path();
  const fs::path killed = runs::RunDirectory::create(root_, "a", time + seconds(2)).path();
  const fs::path damaged = runs::RunDirectory::create(root_, "a", time + seconds(3)).path();
  const runs::RunDirectory running = runs::RunDirectory::create(root_, "a", time + seconds(4));
  const fs::path failed = runs::RunDirectory::create(root_, "a", time - seconds(1)).path();
  const fs::path other = runs::RunDirectory::create(root_, "b", time).path();
  spill(finished / "result.json", R"({"status":"finished","test_accuracy":0.9})");
  spill(stopped / "result.json", R"({"status":"interrupted"})");
  spill(damaged / "result.json", R"({"status":)");
  spill(failed / "result.json", R"({"status":"failed","error":"the disk is full"})");
  fs::create_directory(root_ / "a/notes");
  spill(root_ / "file", "");

  const std::vector<runs::RunInfo> runs = runs::list_runs(root_, "a");
  ASSERT_EQ(runs.size(), 6u);
  EXPECT_EQ(runs[0].path, running.path());
  EXPECT_EQ(runs[0].state, runs::RunState::running);
  ASSERT_TRUE(runs[0].owner);
  EXPECT_EQ(runs[0].owner->pid, ::getpid());
  EXPECT_EQ(runs[1].path, damaged);
  EXPECT_EQ(runs[1].state, runs::RunState::interrupted);
  EXPECT_EQ(runs[2].path, killed);
  EXPECT_EQ(runs[2].state, runs::RunState::interrupted);
  EXPECT_EQ(runs[3].path, stopped);
  EXPECT_EQ(runs[3].state, runs::RunState::interrupted);
  EXPECT_EQ(runs[3].status, "interrupted");
  EXPECT_EQ(runs[4].path, finished);
  EXPECT_EQ(runs[4].state, runs::RunState::finished);
  EXPECT_EQ(runs[4].status, "finished");
  EXPECT_EQ(runs[4].name, "a");
  EXPECT_EQ(runs[4].id, "20261123T145207Z-000000");
  EXPECT_EQ(runs[5].path, failed);
  EXPECT_EQ(runs[5].state, runs::RunState::failed);
  EXPECT_EQ(runs[5].status, "failed");

  const std::vector<runs::RunInfo> all = runs::list_runs(root_);
  ASSERT_EQ(all.size(), 7u);
  EXPECT_EQ(all[6].path, other);
  EXPECT_TRUE(runs::list_runs(root_ / "none").empty());
  EXPECT_STREQ(to_string(runs::RunState::running), "running");
  EXPECT_STREQ(to_string(runs::RunState::finished), "finished");
  EXPECT_STREQ(to_string(runs::RunState::failed), "failed");
  EXPECT_STREQ(to_string(runs::RunState::interrupted), "interrupted");
}

TEST_F(RunDirectoryTest, ARunOnAFileSystemThatRefusesLinksWarnsOnly) {
  fs::create_directories(root_ / "r/latest/in the way");
  const runs::RunDirectory run = runs::RunDirectory::create(root_, "r");
  EXPECT_TRUE(run.locked());
  EXPECT_THAT(run.point_latest(), StartsWith("cannot replace " + (root_ / "r/latest").string()));
}

TEST_F(RunDirectoryTest, SweepsOldCreationsOnly) {
  runs::RunDirectory::create(root_, "r", time);
  ASSERT_TRUE(dies_at("run.temporary", [&] { runs::RunDirectory::create(root_, "r"); }));
  ASSERT_TRUE(dies_at("latest.before-rename",
                      [&] { runs::RunDirectory::create(root_, "r").point_latest(); }));
  const auto temporaries = [&] {
    int count = 0;
    for (const auto& entry : fs::directory_iterator(root_ / "r")) {
      if (!entry.path().filename().string().starts_with(temporary_prefix)) continue;
      ++count;
      if (fs::is_directory(entry.symlink_status())) {
        fs::last_write_time(entry.path(),
                            fs::file_time_type::clock::now() - std::chrono::minutes(11));
      }
    }
    return count;
  };
  EXPECT_EQ(temporaries(), 2);  // the folder and the link
  runs::RunDirectory::create(root_, "r");
  EXPECT_EQ(temporaries(), 0);
}

TEST(RunsRoot, IsTheOptionOrRuns) {
  EXPECT_EQ(runs::runs_root(), "runs");
  EXPECT_EQ(runs::runs_root("/elsewhere"), "/elsewhere");
}

}  // namespace
}  // namespace qhost::storage

// The process dies at every failpoint of a save. Then the disk has the complete old state or the
// complete new one, and the next save leaves the same as an undisturbed one.

#include <gmock/gmock.h>
#include <sys/wait.h>

#include "runs/checkpoint_support.h"
#include "runs/run_directory.h"
#include "storage/atomic_file.h"
#include "storage/failpoint.h"

namespace qhost::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::IsEmpty;

struct Crash {
  std::string point;
  bool is_new;  ///< true if the new state must be found
};
void PrintTo(const Crash& crash, std::ostream* out) {
  *out << crash.point;
}
std::string test_name(const ::testing::TestParamInfo<Crash>& test) {
  std::string name = test.param.point;
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return name;
}

class CrashInCheckpoint : public ::testing::TestWithParam<Crash> {};

TEST_P(CrashInCheckpoint, LeavesTheOldOrTheNew) {
  const TestFolder folder;
  const fs::path directory = folder.path();
  write_sample(directory, 10);
  write_sample(directory, 20);
  ASSERT_TRUE(dies_at(GetParam().point, [&] { write_sample(directory, 30); }));
  std::vector<std::string> complaints;
  const auto loaded = runs::load_newest(directory, complaints);
  ASSERT_TRUE(loaded);
  SampleState(GetParam().is_new ? 30 : 20).expect_in(*loaded);
  EXPECT_THAT(complaints, IsEmpty());

  runs::sweep_checkpoints(directory);
  write_sample(directory, 30);
  EXPECT_EQ(names_in(directory), "step-00000020 step-00000030");
  SampleState(30).expect_in(*runs::load_newest(directory, complaints));
}

INSTANTIATE_TEST_SUITE_P(
    Every, CrashInCheckpoint,
    ::testing::Values(Crash{"checkpoint.temporary", false}, Crash{"checkpoint.half", false},
                      Crash{"checkpoint.tensors", false}, Crash{"checkpoint.state", false},
                      Crash{"checkpoint.before-rename", false},
                      Crash{"checkpoint.after-rename", true},
                      Crash{"checkpoint.before-removal", true}, Crash{"checkpoint.removal", true}),
    test_name);

class CrashInBest : public ::testing::TestWithParam<Crash> {};

TEST_P(CrashInBest, LeavesTheOldOrTheNew) {
  const TestFolder folder;
  const fs::path directory = folder.path();
  write_sample(directory, 10);
  write_sample_best(directory, 10);
  ASSERT_TRUE(dies_at(GetParam().point, [&] { write_sample_best(directory, 30); }));
  const auto loaded = runs::load_best(directory);
  ASSERT_TRUE(loaded);
  SampleState(GetParam().is_new ? 30 : 10).expect_in(*loaded);

  runs::sweep_checkpoints(directory);
  EXPECT_EQ(names_in(directory), GetParam().is_new ? "best best-00000030 step-00000010"
                                                   : "best best-00000010 step-00000010");
  write_sample_best(directory, 30);
  EXPECT_EQ(names_in(directory), "best best-00000030 step-00000010");
  SampleState(30).expect_in(*runs::load_best(directory));
}

INSTANTIATE_TEST_SUITE_P(
    Every, CrashInBest,
    ::testing::Values(Crash{"best.temporary", false}, Crash{"best.half", false},
                      Crash{"best.tensors", false}, Crash{"best.state", false},
                      Crash{"best.before-rename", false}, Crash{"best.after-rename", false},
                      Crash{"best-link.before-rename", false},
                      Crash{"best-link.after-rename", true}, Crash{"best.after-link", true},
                      Crash{"checkpoint.removal", true}),
    test_name);

class CrashInFile : public ::testing::TestWithParam<Crash> {};

TEST_P(CrashInFile, LeavesTheOldOrTheNew) {
  const TestFolder folder;
  spill(folder / "a", "old");
  const std::string content(100000, 'n');
  ASSERT_TRUE(dies_at(GetParam().point, [&] { write_file_atomically(folder / "a", content); }));
  EXPECT_EQ(slurp(folder / "a"), GetParam().is_new ? content : "old");
  EXPECT_EQ(sweep_temporaries(folder.path()), GetParam().is_new ? 0 : 1);
  EXPECT_EQ(names_in(folder.path()), "a");
}

INSTANTIATE_TEST_SUITE_P(Every, CrashInFile,
                         ::testing::Values(Crash{"file.temporary", false},
                                           Crash{"file.half", false},
                                           Crash{"file.before-rename", false},
                                           Crash{"file.after-rename", true}),
                         test_name);

class CrashInRun : public ::testing::TestWithParam<Crash> {};

TEST_P(CrashInRun, LeavesNoRunOrAnUnlockedOne) {
  const TestFolder folder;
  const auto make = [&] {
    const runs::RunDirectory run = runs::RunDirectory::create(folder.path(), "r");
    run.point_latest();
    return run.id();
  };
  const std::string first = make();
  ASSERT_TRUE(dies_at(GetParam().point, make));
  const std::vector<runs::RunInfo> runs = runs::list_runs(folder.path(), "r");
  ASSERT_EQ(runs.size(), GetParam().is_new ? 2u : 1u);
  for (const runs::RunInfo& run : runs) EXPECT_EQ(run.state, runs::RunState::interrupted);
  const bool linked = GetParam().point == "latest.after-rename";
  EXPECT_EQ(fs::read_symlink(folder / "r/latest"), linked ? runs[0].id : first);
  runs::RunDirectory::open(runs[0].path).lock();

  const std::string next = make();
  EXPECT_EQ(fs::read_symlink(folder / "r/latest"), next);
  EXPECT_EQ(runs::list_runs(folder.path(), "r").size(), runs.size() + 1);
}

INSTANTIATE_TEST_SUITE_P(Every, CrashInRun,
                         ::testing::Values(Crash{"run.temporary", false},
                                           Crash{"run.after-rename", true},
                                           Crash{"latest.before-rename", true},
                                           Crash{"latest.after-rename", true}),
                         test_name);

TEST(CrashPoint, CountsAndLetsOtherNamesPass) {
  const auto run = [](int times) {
    return [times] {
      for (int i = 0; i < times; ++i) {
        failpoint("other");
        failpoint("a.point");
      }
    };
  };
  EXPECT_TRUE(dies_at("a.point", run(1)));
  EXPECT_TRUE(dies_at("a.point:1", run(1)));
  EXPECT_TRUE(dies_at("a.point:3", run(3)));
  EXPECT_FALSE(dies_at("a.point:3", run(2)));
  EXPECT_FALSE(dies_at("a", run(3)));
  EXPECT_EQ(status_of_child(run(3)), 0);
}

// Kills at random moments, not at failpoints. In each round a child writes checkpoints as fast as
// it can, and is killed after the first. The newest checkpoint must be whole and at least as new as
// that one.
TEST(RandomKill, NeverLosesACheckpoint) {
  const TestFolder folder;
  const fs::path directory = folder.path();
  std::int64_t last = 0;
  for (int round = 0; round < 20; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    std::fflush(nullptr);
    const pid_t child = ::fork();
    if (child == 0) {
      for (std::int64_t step = last + 1;; ++step) {
        write_sample_best(directory, step);
        write_sample(directory, step);
        if (::write(ends[1], "x", 1) != 1) ::_exit(1);
      }
    }
    ::close(ends[1]);
    char first = 0;
    EXPECT_EQ(::read(ends[0], &first, 1), 1);
    ::usleep(static_cast<useconds_t>(3700 * round));
    ::kill(child, SIGKILL);
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));

    std::vector<std::string> complaints;
    const auto loaded = runs::load_newest(directory, complaints);
    ASSERT_TRUE(loaded) << "round " << round;
    EXPECT_THAT(complaints, IsEmpty());
    EXPECT_GT(loaded->step, last);
    SampleState(loaded->step).expect_in(*loaded);
    last = loaded->step;
    const auto best = runs::load_best(directory);
    ASSERT_TRUE(best);
    EXPECT_GE(best->step, last);
    SampleState(best->step).expect_in(*best);
    runs::sweep_checkpoints(directory);
  }
}

}  // namespace
}  // namespace qhost::storage

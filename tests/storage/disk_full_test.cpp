// Full disks, file size limits, interrupted and short writes.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/time.h>

#include <cerrno>
#include <cstring>

#include "runs/checkpoint_support.h"
#include "storage/atomic_file.h"
#include "storage/json_lines.h"

namespace qhost::storage {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

void limit_files_to(rlim_t bytes) {
  const rlimit limit{bytes, bytes};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/// Expects exactly steps 10 and 20, whole.
void expect_untouched(const fs::path& directory) {
  EXPECT_EQ(names_in(directory), "step-00000010 step-00000020");
  std::vector<std::string> complaints;
  SampleState(20).expect_in(*runs::load_newest(directory, complaints));
  EXPECT_THAT(complaints, IsEmpty());
  SampleState(10).expect_in(runs::load_checkpoint(directory / "step-00000010"));
}

// In child processes, since a limit cannot be raised again. SIGXFSZ has its default action there:
// it would kill the process, which then would not exit with 0.
TEST(FileSizeLimit, ACheckpointFailsAndTheOnesBeforeStay) {
  const TestFolder folder;
  const fs::path directory = folder.path();
  write_sample(directory, 10);
  write_sample(directory, 20);
  for (const rlim_t limit : {0, 8, 100, 4000}) {
    const int status = status_of_child([&] {
      ::signal(SIGXFSZ, SIG_DFL);
      limit_files_to(limit);
      const SampleState state(30, 1000);
      const std::string message = error_of(ErrorKind::storage, [&] {
        runs::write_checkpoint(directory, 30, state.tensors(), state.json());
      });
      EXPECT_THAT(message, StartsWith("cannot write " + directory.string() +
                                      "/step-00000030/state.safetensors: File too large\n  wanted "
                                      "4080 bytes (4.0 KiB), free on that file system: "));
      EXPECT_THAT(message, HasSubstr("\nhelp: the file size limit of this shell is lower"));
      EXPECT_EQ(names_in(directory), "step-00000010 step-00000020");
    });
    EXPECT_EQ(status, 0) << "limit " << limit;
    expect_untouched(directory);
  }
  // The tensors fit, the state does not.
  const int status = status_of_child([&] {
    limit_files_to(200);
    const SampleState state(30);
    EXPECT_THAT(error_of(ErrorKind::storage,
                         [&] {
                           runs::write_checkpoint(directory, 30, state.tensors(),
                                                  {{"text", std::string(300, 'x')}});
                         }),
                HasSubstr("step-00000030/state.json: File too large"));
  });
  EXPECT_EQ(status, 0);
  expect_untouched(directory);
}

TEST(FileSizeLimit, AFileKeepsItsOldContent) {
  const TestFolder folder;
  spill(folder / "a", "old");
  const int status = status_of_child([&] {
    ::signal(SIGXFSZ, SIG_DFL);
    limit_files_to(1000);
    EXPECT_THAT(error_of(ErrorKind::storage,
                         [&] { write_file_atomically(folder / "a", std::string(5000, 'x')); }),
                StartsWith("cannot write " + (folder / "a").string() +
                           ": File too large\n  wanted 5000 bytes (4.9 KiB), free "));
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(slurp(folder / "a"), "old");
  EXPECT_EQ(names_in(folder.path()), "a");
}

TEST(FileSizeLimit, MetricsKeepWholeLines) {
  const TestFolder folder;
  const fs::path path = folder / "metrics.jsonl";
  const int status = status_of_child([&] {
    ::signal(SIGXFSZ, SIG_DFL);
    limit_files_to(50);
    JsonLinesWriter writer(path);
    writer.append({{"text", std::string(20, 'a')}});
    const std::uint64_t before = writer.offset();
    EXPECT_THAT(
        error_of(ErrorKind::storage,
                 [&] {
                   writer.append({{"text", std::string(20, 'b')}});
                 }),
        StartsWith("cannot write " + path.string() + ": File too large\n  wanted 32 bytes, free "));
    EXPECT_EQ(writer.offset(), before);
    writer.append({{"c", 1}});
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(slurp(path), "{\"text\":\"" + std::string(20, 'a') + "\"}\n{\"c\":1}\n");
}

/// A tmpfs of 256 KiB. Mounting needs root and a container that allows it.
class FullDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=256k") != 0) {
      GTEST_SKIP() << "a small tmpfs cannot be mounted here: " << std::strerror(errno);
    }
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  std::uint64_t free_bytes() {
    struct statvfs facts {};
    EXPECT_EQ(::statvfs(folder_.path().c_str(), &facts), 0);
    return static_cast<std::uint64_t>(facts.f_bfree) * facts.f_frsize;
  }
  TestFolder folder_;
  bool mounted_ = false;
};

TEST_F(FullDisk, ACheckpointThatCannotFitIsRefusedBeforeItIsWritten) {
  write_sample(folder_.path(), 10);
  write_sample(folder_.path(), 20);
  const SampleState state(30, 100000);
  const std::string message = error_of(ErrorKind::storage, [&] {
    runs::write_checkpoint(folder_.path(), 30, state.tensors(), state.json());
  });
  EXPECT_THAT(message, StartsWith("cannot write " + folder_.path().string() +
                                  "/step-00000030: No space left on device\n  wanted 400"));
  EXPECT_THAT(message, HasSubstr(", free on that file system: "));
  EXPECT_THAT(message, HasSubstr("\nhelp: free some space, or choose another file system with "
                                 "--runs-dir"));
  expect_untouched(folder_.path());
}

TEST_F(FullDisk, ACheckpointThatJustFitsFailsOnTheWayAndLeavesNoTrace) {
  write_sample(folder_.path(), 10);
  write_sample(folder_.path(), 20);
  const std::uint64_t before = free_bytes();
  // Its bytes would fit, but each file needs whole pages.
  const SampleState state(30, before / 4 - 100);
  EXPECT_THAT(
      error_of(ErrorKind::storage,
               [&] { runs::write_checkpoint(folder_.path(), 30, state.tensors(), state.json()); }),
      HasSubstr("/step-00000030/state.json: No space left on device"));
  expect_untouched(folder_.path());
  EXPECT_EQ(free_bytes(), before);
  write_sample(folder_.path(), 30);
  std::vector<std::string> complaints;
  SampleState(30).expect_in(*runs::load_newest(folder_.path(), complaints));
}

TEST_F(FullDisk, MetricsKeepWholeLinesAndGoOnWhenThereIsSpace) {
  const fs::path path = folder_ / "metrics.jsonl";
  JsonLinesWriter writer(path);
  writer.append({{"a", 1}});
  {
    std::ofstream filler(folder_ / "filler");
    filler << std::string(free_bytes(), 'x');
  }
  const std::string large(10000, 'x');
  EXPECT_THAT(error_of(ErrorKind::storage,
                       [&] {
                         writer.append({{"text", large}});
                       }),
              HasSubstr("No space left on device\n  wanted 10012 bytes (9.8 KiB), free"));
  EXPECT_EQ(slurp(path), "{\"a\":1}\n");
  fs::remove(folder_ / "filler");
  writer.append({{"text", large}});
  EXPECT_EQ(read_json_lines(path).size(), 2u);
}

void do_nothing(int) {}

// A pipe accepts what fits (short writes), and a timer interrupts the rest (EINTR).
TEST(WriteAll, GoesOnAfterSignalsAndShortWrites) {
  std::string sent(3 << 20, '\0');
  for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 31 >> 7);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::fflush(nullptr);
  const pid_t writer = ::fork();
  if (writer == 0) {
    ::close(ends[0]);
    struct sigaction action {};
    action.sa_handler = do_nothing;  // without SA_RESTART: a waiting write() returns
    ::sigaction(SIGALRM, &action, nullptr);
    const itimerval often{{0, 300}, {0, 300}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    ::_exit(write_all(ends[1], std::as_bytes(std::span(sent))));
  }
  ::close(ends[1]);
  std::string received;
  char buffer[50000];
  ssize_t n = 0;
  while ((n = ::read(ends[0], buffer, sizeof buffer)) > 0) {
    received.append(buffer, static_cast<std::size_t>(n));
    ::usleep(500);  // wait until the pipe is full and the timer finds the writer waiting
  }
  ::close(ends[0]);
  int status = -1;
  ASSERT_EQ(::waitpid(writer, &status, 0), writer);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(received == sent);
}

TEST(WriteAll, ReturnsTheErrno) {
  EXPECT_EQ(write_all(-1, std::as_bytes(std::span("x", 1))), EBADF);
  const int full = ::open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  EXPECT_EQ(write_all(full, std::as_bytes(std::span("x", 1))), ENOSPC);
  ::close(full);
  EXPECT_EQ(write_all(-1, {}), 0);
}

}  // namespace
}  // namespace qhost::storage

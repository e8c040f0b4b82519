#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "common/file_descriptor.h"
#include "qhost/error.h"
#include "runs/run_directory.h"
#include "storage/atomic_file.h"
#include "storage/environment.h"
#include "storage/io_error.h"
#include "storage/utc_time.h"

namespace qhost::runs {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* lock_file = "run.lock";

/// flock through EINTR: 0, or the errno.
int try_lock(int fd, int operation) {
  while (::flock(fd, operation | LOCK_NB) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

/// What the lock file says; a file that is just being written says nothing.
LockOwner read_owner(const fs::path& path) {
  LockOwner owner;
  try {
    const json text = json::parse(storage::read_file(path, 4096));
    text.at("pid").get_to(owner.pid);
    text.at("host").get_to(owner.host);
    text.at("since").get_to(owner.since);
  } catch (const std::exception&) {
    owner = {};
  }
  return owner;
}

}  // namespace

Lock Lock::acquire(const fs::path& run) {
  const fs::path path = run / lock_file;
  Lock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
  if (lock.fd_ < 0) storage::fail_io("lock", path, errno);
  // owner() holds the lock for an instant, and a killed process gives it back a moment late.
  int error = try_lock(lock.fd_, LOCK_EX);
  for (int attempt = 0; error == EWOULDBLOCK && attempt < 25; ++attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    error = try_lock(lock.fd_, LOCK_EX);
  }
  if (error == EWOULDBLOCK) {
    const LockOwner owner = read_owner(path);
    std::string who = "another process";
    if (owner.pid != 0) {
      who = "process " + std::to_string(owner.pid) + " on host " + owner.host + ", since " +
            owner.since;
    }
    throw Error(ErrorKind::configuration, "the run " + run.string() + " is in use by " + who,
                "wait for it, stop it, or start another run with --runs-dir or another name");
  }
  if (error != 0) storage::fail_io("lock", path, error);
  const std::string text = json{{"pid", ::getpid()},
                                {"host", storage::host_name()},
                                {"since", storage::utc_time(std::chrono::system_clock::now())}}
                               .dump() +
                           "\n";
  if (::ftruncate(lock.fd_, 0) != 0) storage::fail_io("write", path, errno);
  if (const int failure = storage::write_all(lock.fd_, std::as_bytes(std::span(text)))) {
    storage::fail_io("write", path, failure, text.size());
  }
  return lock;
}

std::optional<LockOwner> Lock::owner(const fs::path& run) {
  const fs::path path = run / lock_file;
  const FileDescriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() || try_lock(fd.get(), LOCK_SH) != EWOULDBLOCK) return std::nullopt;
  return read_owner(path);
}

Lock::~Lock() {
  release();
}

Lock::Lock(Lock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Lock& Lock::operator=(Lock&& other) noexcept {
  if (this != &other) {
    release();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Lock::release() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace qhost::runs

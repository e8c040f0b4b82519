#include "storage/atomic_file.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <random>
#include <system_error>

#include "qhost/error.h"
#include "storage/failpoint.h"
#include "storage/folder.h"
#include "storage/io_error.h"
#include "storage/regular_file.h"

namespace qhost::storage {
namespace fs = std::filesystem;
namespace {

/// A write beyond RLIMIT_FSIZE raises SIGXFSZ, which kills the process. This class blocks the
/// signal in its thread and consumes one that was raised, so that only EFBIG remains.
class NoFileSizeSignal {
 public:
  NoFileSizeSignal() {
    sigemptyset(&signal_);
    sigaddset(&signal_, SIGXFSZ);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGXFSZ) == 1;
    pthread_sigmask(SIG_BLOCK, &signal_, &before_);
  }
  ~NoFileSizeSignal() {
    const int saved = errno;
    const timespec now{};
    if (!was_pending_) sigtimedwait(&signal_, nullptr, &now);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = saved;
  }
  NoFileSizeSignal(const NoFileSizeSignal&) = delete;
  NoFileSizeSignal& operator=(const NoFileSizeSignal&) = delete;

 private:
  sigset_t signal_{}, before_{};
  bool was_pending_ = false;
};

fs::path parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

/// The final path of the bytes: `path`, or the target of the link at `path`.
fs::path target_of(const fs::path& path) {
  std::error_code error;
  fs::path target = path;
  if (fs::is_symlink(fs::symlink_status(path, error))) {
    target = fs::weakly_canonical(path, error);
    if (error) fail_io("follow the link", path, error.value());
  }
  const fs::file_status status = fs::status(target, error);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    throw Error(ErrorKind::storage,
                "cannot write " + path.string() + ": it exists and is " +
                    (fs::is_directory(status) ? "a folder" : "not a regular file"),
                "name a file; it is replaced as a whole, so a device or a pipe will not do");
  }
  return target;
}

/// Creates and locks a temporary file in `folder`. The lock tells sweep_temporaries() that the
/// writer is alive.
int create_temporary(const fs::path& folder, mode_t mode, fs::path& name) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    name = folder / temporary_name();
    const int fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0 && errno == EEXIST) continue;
    if (fd < 0) fail_io("create a file in", folder, errno);
    struct stat facts {};
    // A sweep can run between open and flock: then the lock is taken or the name is gone. On a file
    // system without locks (ENOLCK, EINVAL) no sweep can succeed either.
    const bool taken = ::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (!taken && ::fstat(fd, &facts) == 0 && facts.st_nlink > 0) return fd;
    ::close(fd);
  }
  fail_io("create a file in", folder, EEXIST);
}

}  // namespace

std::string temporary_name() {
  std::uint64_t value = 0;
  if (::getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value)) {
    std::random_device device;
    value = (static_cast<std::uint64_t>(device()) << 32) | device();
  }
  char digits[17];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(value));
  return std::string(temporary_prefix) + digits;
}

int write_all(int fd, std::span<const std::byte> bytes) noexcept {
  const NoFileSizeSignal guard;
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return EIO;  // a write of at least one byte must not return 0
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return 0;
}

void sync_folder(const fs::path& folder) {
  const FileDescriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) fail_io("open", folder, errno);
  // Some file systems cannot sync a folder and return EINVAL; nothing more can be done there.
  if (::fsync(fd.get()) != 0 && errno != EINVAL) fail_io("sync", folder, errno);
}

AtomicFile::AtomicFile(const fs::path& path, std::string_view failpoint_name,
                       std::optional<std::uint64_t> wanted)
    : path_(target_of(path)), failpoint_name_(failpoint_name), wanted_(wanted) {
  const fs::path folder = parent_of(path_);
  if (wanted_) {
    const auto free = free_space(folder);
    if (free && *free < *wanted_) fail_io("write", path_, ENOSPC, wanted_);
  }
  struct stat old {};
  const bool replaces = ::stat(path_.c_str(), &old) == 0;
  fd_ = create_temporary(folder, 0666, temporary_);
  if (replaces) (void)::fchmod(fd_, old.st_mode & 07777);  // may fail: another user's file
  failpoint(failpoint_name_ + ".temporary");
}

AtomicFile::~AtomicFile() {
  remove_temporary();
}

void AtomicFile::remove_temporary() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  temporary_.clear();
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  if (fd_ < 0) throw Error(ErrorKind::internal, "write after commit of " + path_.string());
  if (written_ == 0 && !bytes.empty()) {
    // Two pieces with a failpoint between them, so that tests see a half-written file.
    const std::size_t half = bytes.size() / 2;
    if (const int error = write_all(fd_, bytes.first(half))) {
      fail_io("write", path_, error, wanted_ ? *wanted_ : bytes.size());
    }
    failpoint(failpoint_name_ + ".half");
    written_ += half;
    bytes = bytes.subspan(half);
  }
  if (const int error = write_all(fd_, bytes)) {
    fail_io("write", path_, error, wanted_ ? *wanted_ : written_ + bytes.size());
  }
  written_ += bytes.size();
}

void AtomicFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text)));
}

void AtomicFile::commit() {
  if (fd_ < 0) throw Error(ErrorKind::internal, "second commit of " + path_.string());
  if (::fsync(fd_) != 0) fail_io("write", path_, errno, written_);
  // The copy keeps the lock: a sweep must not remove the file between close and rename.
  const FileDescriptor lock(::fcntl(fd_, F_DUPFD_CLOEXEC, 0));
  const int fd = fd_;
  fd_ = -1;
  // On Linux, EINTR leaves the descriptor closed, and the bytes are already synced.
  if (::close(fd) != 0 && errno != EINTR) fail_io("write", path_, errno, written_);
  failpoint(failpoint_name_ + ".before-rename");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_io("replace", path_, errno);
  temporary_.clear();
  failpoint(failpoint_name_ + ".after-rename");
  sync_folder(parent_of(path_));
}

void write_file_atomically(const fs::path& path, std::span<const std::byte> bytes,
                           std::string_view failpoint_name) {
  AtomicFile file(path, failpoint_name, bytes.size());
  file.write(bytes);
  file.commit();
}

void write_file_atomically(const fs::path& path, std::string_view bytes,
                           std::string_view failpoint_name) {
  write_file_atomically(path, std::as_bytes(std::span(bytes)), failpoint_name);
}

int sweep_temporaries(const fs::path& folder) {
  int count = 0;
  for (const std::string& name : folder_names(folder)) {
    const fs::path path = folder / name;
    std::error_code ignored;
    if (!name.starts_with(temporary_prefix) ||
        !fs::is_regular_file(fs::symlink_status(path, ignored))) {
      continue;
    }
    const FileDescriptor fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (!fd.valid() || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) continue;
    if (::unlink(path.c_str()) == 0) ++count;
  }
  return count;
}

std::string read_file(const fs::path& path, std::uint64_t limit) {
  const RegularFile file = open_regular_file(path);
  const std::uint64_t size = file.bytes;
  if (size > limit) {
    throw Error(ErrorKind::storage,
                "cannot read " + path.string() + ": it has " + format_bytes(size) + ", at most " +
                    format_bytes(limit) + " are read",
                "this is hardly the file you meant");
  }
  std::string bytes(size, '\0');
  std::size_t position = 0;
  while (position < bytes.size()) {
    const ssize_t n =
        ::read(file.descriptor.get(), bytes.data() + position, bytes.size() - position);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail_io("read", path, errno);
    if (n == 0) break;  // the file became shorter: return what was read
    position += static_cast<std::size_t>(n);
  }
  bytes.resize(position);
  return bytes;
}

}  // namespace qhost::storage

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "data/data_loader.h"
#include "groups.h"
#include "images.h"
#include "qhost/error.h"

extern char** environ;

namespace qhost::bench {
namespace {

namespace fs = std::filesystem;

/// Augments one image with tensor operations, as get() of a LibTorch data set does.
at::Tensor augment_with_tensors(const at::Tensor& pixels, const data::AugmentDraw& draw,
                                const at::Tensor& mean, const at::Tensor& deviation) {
  const at::Tensor padded = at::constant_pad_nd(pixels, {4, 4, 4, 4}, 0);
  at::Tensor x = padded.slice(1, draw.dy + 4, draw.dy + 36).slice(2, draw.dx + 4, draw.dx + 36);
  if (draw.flip) x = x.flip(2);
  return x.to(at::kFloat).div_(255).sub_(mean).div_(deviation);
}

/// A folder that is removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (fs::temp_directory_path() / "qhost-bench-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) {
      throw Error(ErrorKind::storage,
                  "no temporary folder could be made: " + std::string(std::strerror(errno)));
    }
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Runs the command with its output in `log`; if it fails, throws with the text of the log.
void run_process(const std::vector<std::string>& command, const fs::path& log) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t child = 0;
  const int error = posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (error == 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
      WEXITSTATUS(status) == 0) {
    return;
  }
  std::ifstream file(log);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  throw Error(ErrorKind::internal,
              command[0] +
                  (error != 0 ? " could not be started: " + std::string(std::strerror(error))
                              : " failed:\n" + text) +
                  "\nhelp: --qhost FILE names another executable");
}

}  // namespace

void augment(const Settings& settings) {
  if (!settings.wants("augment")) return;
  constexpr std::int64_t count = 128;
  const data::Split images = random_images(5120);
  const data::DataLoader batches(images, image_shape(), augmentation(), 1, count, true, true);
  const at::Tensor out = at::empty({count, 32, 32, 3}), labels = at::empty({count}, at::kLong);
  std::int64_t step = 0;
  const auto ours = [&] {
    batches.fill(step / batches.steps_per_epoch(), step % batches.steps_per_epoch(),
                 out.mutable_data_ptr<float>(), labels.mutable_data_ptr<std::int64_t>(),
                 data::Layout::nhwc);
    ++step;
  };
  const data::AugmentOptions options = augmentation();
  const at::Tensor mean = at::tensor(options.mean).reshape({3, 1, 1});
  const at::Tensor deviation = at::tensor(options.std).reshape({3, 1, 1});
  const at::Tensor pixels = at::from_blob(const_cast<std::uint8_t*>(images.pixels.data()),
                                          {images.count(), 3, 32, 32}, at::kByte);
  const auto tensors = [&] {
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> batch;
    for (std::int64_t i = 0; i < count; ++i) {
      batch.push_back(augment_with_tensors(pixels[i], batches.draw(0, i), mean, deviation));
    }
    at::stack(batch);
  };
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  Row row =
      compare("augment", ours, "tensor operations per image", tensors, settings.rounds, 0, "batch");
  std::vector<double> seconds;
  for (int round = 0; round < settings.rounds; ++round) {
    const double begin = now();
    for (int i = 0; i < 10; ++i) ours();
    seconds.push_back((now() - begin) / 10 / count);
  }
  at::set_num_threads(threads);
  settings.report(row);
  char detail[96];
  std::snprintf(detail, sizeof detail, "%.2f us an image and core", 1e6 * quantile(seconds, 0.5));
  for (double& value : seconds) value /= 3e-6;
  settings.report(summarize("augment/time", "3 us", seconds, 1, detail));
}

void start(const Settings& settings) {
  if (!settings.wants("start")) return;
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "start.toml";
  std::ofstream(file)
      << "[data]\nname = \"digits\"\n[model]\nname = \"resnet\"\nfamily = \"cifar\"\n"
         "depth = 8\n[train]\nepochs = 1\nbatch_size = 32\nmax_steps = 1\n";
  const std::vector<std::string> command = {settings.qhost, "run", file.string(), "--runs-dir",
                                            (folder.path() / "runs").string()};
  std::vector<double> seconds;
  run_process(command, folder.path() / "log");  // loads the libraries into the page cache
  for (int round = 0; round < std::min(settings.rounds, 15); ++round) {
    const double begin = now();
    run_process(command, folder.path() / "log");
    seconds.push_back(now() - begin);
  }
  char detail[96];
  std::snprintf(detail, sizeof detail, "%.2f s, evaluation and checkpoint included",
                quantile(seconds, 0.5));
  settings.report(summarize("start", "1 s", seconds, 1, detail));
}

}  // namespace qhost::bench

#include "cli/packed_file.h"

#include <string>

#include "packed/program_file.h"
#include "qhost/error.h"
#include "storage/other_format.h"

namespace qhost::cli {

packed::Program read_packed_file(const std::filesystem::path& file) {
  const std::string name = file.string();
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) {
    const bool run = std::filesystem::exists(file / "resolved.toml", ignored);
    throw Error(ErrorKind::configuration,
                name + " is " + (run ? "a run" : "a folder") + ", not a packed network",
                "`qhost export " + (run ? name : std::string("RUN")) +
                    " -o FILE.safetensors` writes the packed network of a run");
  }
  if (file.extension() == ".toml" && std::filesystem::exists(file, ignored)) {
    throw Error(ErrorKind::configuration, name + " is an experiment, not a packed network",
                "`qhost run " + name +
                    "` trains it, and `qhost export RUN -o FILE.safetensors` writes the packed "
                    "network of the run");
  }
  const std::string other = storage::other_format(file);
  if (!other.empty()) {
    throw Error(ErrorKind::configuration, name + " is " + other + ", not a packed network",
                "`qhost export RUN -o FILE.safetensors` writes the packed network of a run");
  }
  return packed::read_program(file);
}

}  // namespace qhost::cli

/// qhost/runtime.h: qhost_runtime.h for C++17: what is made is freed, what fails is thrown. Needs no
/// other header of qhost; link with libqhost_runtime.so alone.
///
///     const qhost_runtime::Model model(argv[1]);
///     qhost_runtime::Runner runner(model);
///
///     const std::vector<float> logits = runner.run(model.normalize(pixels));
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "qhost_runtime.h"

namespace qhost_runtime {

/// The text of qhost_error.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// "0.2.0"
inline std::string version() {
  return qhost_runtime_version();
}

/// A packed network. Runs do not change it: any number of runners may share it.
class Model {
 public:
  /// Throws Error: no such file, no packed network, damaged, of a newer version.
  explicit Model(const std::string& path) {
    qhost_error error;
    model_.reset(qhost_model_load(path.c_str(), &error));
    if (!model_) throw Error(error.text);
  }
  /// Of a file's bytes, which are copied.
  Model(const void* bytes, std::size_t size) {
    qhost_error error;
    model_.reset(qhost_model_load_memory(bytes, size, &error));
    if (!model_) throw Error(error.text);
  }

  /// Channels, height, width.
  std::array<std::size_t, 3> input() const {
    std::array<std::size_t, 3> shape{};
    qhost_model_input(model_.get(), shape.data());
    return shape;
  }
  /// Floats of one image.
  std::size_t input_values() const {
    const std::array<std::size_t, 3> shape = input();
    return shape[0] * shape[1] * shape[2];
  }
  std::size_t classes() const { return qhost_model_classes(model_.get()); }
  /// "" if the file has no names.
  std::string class_name(std::size_t index) const {
    const char* name = qhost_model_class_name(model_.get(), index);
    return name != nullptr ? name : "";
  }
  /// What the file says of its origin, as JSON.
  std::string info() const { return qhost_model_info(model_.get()); }
  /// "avx512", "avx2", "portable"
  std::string kernels() const { return qhost_model_kernels(model_.get()); }

  /// One image of bytes, height x width x channels, as floats, channels x height x width. Throws
  /// Error for another number of bytes.
  std::vector<float> normalize(const std::vector<std::uint8_t>& pixels) const {
    if (pixels.size() != input_values()) {
      throw Error("an image has " + std::to_string(pixels.size()) + " bytes, not " +
                  std::to_string(input_values()));
    }
    std::vector<float> image(pixels.size());
    qhost_normalize(model_.get(), pixels.data(), image.data());
    return image;
  }

  const qhost_model* get() const { return model_.get(); }

 private:
  struct Free {
    void operator()(qhost_model* model) const { qhost_model_free(model); }
  };
  std::unique_ptr<qhost_model, Free> model_;
};

/// Memory and threads to run a model with, used by one thread at a time. It may outlive the Model.
class Runner {
 public:
  /// Throws Error: no memory, no threads.
  explicit Runner(const Model& model, int threads = 1)
      : values_(model.input_values()), classes_(model.classes()) {
    qhost_error error;
    runner_.reset(qhost_runner_new(model.get(), threads, &error));
    if (!runner_) throw Error(error.text);
  }

  /// `images`: one or more normalized images. Returns their logits, one image after the other. Throws
  /// Error for a number of floats that is no whole number of images.
  std::vector<float> run(const std::vector<float>& images) {
    if (images.size() % values_ != 0) {
      throw Error(std::to_string(images.size()) + " floats are no images of " +
                  std::to_string(values_));
    }
    std::vector<float> logits(images.size() / values_ * classes_);
    run(images.data(), images.size() / values_, logits.data());
    return logits;
  }
  /// Allocates nothing.
  void run(const float* images, std::size_t count, float* logits) {
    qhost_runner_run(runner_.get(), images, count, logits);
  }

 private:
  struct Free {
    void operator()(qhost_runner* runner) const { qhost_runner_free(runner); }
  };
  std::unique_ptr<qhost_runner, Free> runner_;
  std::size_t values_, classes_;
};

}  // namespace qhost_runtime

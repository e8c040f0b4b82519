// The C interface: sdk/include/qhost_runtime.h.
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

#include "common/version.h"
#include "packed/program_file.h"
#include "qhost_runtime.h"
#include "runtime/engine.h"

using qhost::runtime::Engine;
using qhost::runtime::Runner;

struct qhost_model {
  std::shared_ptr<const Engine> engine;
  std::string info;
};
struct qhost_runner {
  Runner runner;
};

namespace {

void write(qhost_error* error, const char* text) {
  if (error == nullptr) return;
  std::strncpy(error->text, text, sizeof error->text - 1);
  error->text[sizeof error->text - 1] = 0;
}

/// The result, or null with the reason in `error`: no exception leaves the library.
template <class Result, class Make>
Result* guarded(qhost_error* error, const Make& make) {
  write(error, "");
  try {
    return make();
  } catch (const std::exception& failure) {
    write(error, failure.what());
  } catch (...) {
    write(error, "an unknown failure");
  }
  return nullptr;
}

constexpr int most_threads = 1024;

void require(bool condition, const std::string& otherwise) {
  if (!condition) throw std::invalid_argument(otherwise);
}

qhost_model* model_of(qhost::packed::Program program) {
  auto model = std::make_unique<qhost_model>();
  nlohmann::json info = program.provenance.more;
  info["name"] = program.provenance.name;
  model->info = info.dump();
  model->engine = std::make_shared<const Engine>(std::move(program));
  return model.release();
}

}  // namespace

const char* qhost_runtime_version(void) {
  static const std::string text = qhost::version();
  return text.c_str();
}

qhost_model* qhost_model_load(const char* path, qhost_error* error) {
  return guarded<qhost_model>(error, [&] {
    require(path != nullptr, "the path is NULL");
    return model_of(qhost::packed::read_program(path));
  });
}

qhost_model* qhost_model_load_memory(const void* bytes, size_t size, qhost_error* error) {
  return guarded<qhost_model>(error, [&] {
    require(bytes != nullptr, "the bytes are NULL");
    const std::string_view text(static_cast<const char*>(bytes), size);
    return model_of(qhost::packed::from_bytes(text, "the packed network in memory"));
  });
}

void qhost_model_free(qhost_model* model) {
  delete model;
}

void qhost_model_input(const qhost_model* model, size_t shape[3]) {
  const qhost::Shape& input = model->engine->program().input().shape;
  shape[0] = static_cast<size_t>(input.channels());
  shape[1] = input.is_image() ? static_cast<size_t>(input.height()) : 1;
  shape[2] = input.is_image() ? static_cast<size_t>(input.width()) : 1;
}

size_t qhost_model_classes(const qhost_model* model) {
  return model->engine->classes();
}

const char* qhost_model_class_name(const qhost_model* model, size_t index) {
  const auto& names = model->engine->program().provenance.class_names;
  return index < names.size() ? names[index].c_str() : nullptr;
}

const char* qhost_model_info(const qhost_model* model) {
  return model->info.c_str();
}

const char* qhost_model_kernels(const qhost_model* model) {
  return model->engine->kernels().name;
}

void qhost_normalize(const qhost_model* model, const uint8_t* pixels, float* image) {
  const qhost::packed::Provenance& p = model->engine->program().provenance;
  size_t shape[3];
  qhost_model_input(model, shape);
  const size_t plane = shape[1] * shape[2];
  for (size_t c = 0; c < shape[0]; ++c) {
    const auto mean = static_cast<float>(p.mean.empty() ? 0 : p.mean[c]);
    const auto deviation = static_cast<float>(p.deviation.empty() ? 1 : p.deviation[c]);
    for (size_t i = 0; i < plane; ++i) {
      const float value = static_cast<float>(pixels[i * shape[0] + c]) / 255.0F;
      image[c * plane + i] = (value - mean) / deviation;
    }
  }
}

qhost_runner* qhost_runner_new(const qhost_model* model, int threads, qhost_error* error) {
  return guarded<qhost_runner>(error, [&] {
    require(model != nullptr, "the model is NULL");
    require(threads >= 1 && threads <= most_threads,
            std::to_string(threads) + " threads, and 1 to " + std::to_string(most_threads) +
                " are possible");
    return new qhost_runner{Runner(model->engine, threads)};
  });
}

void qhost_runner_free(qhost_runner* runner) {
  delete runner;
}

void qhost_runner_run(qhost_runner* runner, const float* images, size_t count, float* logits) {
  runner->runner.run(images, count, logits);
}

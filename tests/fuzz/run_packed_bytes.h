// tests/fuzz/run_packed_bytes.h: what a stranger's file goes through: it is read, and if it is
// accepted and small, run by every kind of kernels.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "packed/program_file.h"
#include "qhost/error.h"
#include "runtime/engine.h"
#include "runtime/isa.h"

namespace qhost::tests {

/// Values that are written and products that are summed for one image: a bound of the work.
inline double work_of(const packed::Program& program) {
  double work = 0;
  for (const packed::Step& step : program.steps) {
    double each = static_cast<double>(step.shape.elements());
    const bool image = step.shape.is_image();
    for (const int input : step.inputs) {
      const Shape& in = program.step(input).shape;
      const double height = in.is_image() ? static_cast<double>(in.height()) : 1;
      const double width = in.is_image() ? static_cast<double>(in.width()) : 1;
      // Borders and frames.
      work += (height + 2 * static_cast<double>(step.padding.height)) *
              (width + 2 * static_cast<double>(step.padding.width)) *
              (static_cast<double>(in.channels()) + 4);
    }
    if (step.weight) {
      each *= static_cast<double>(step.weight->elements()) /
              static_cast<double>(step.weight->channels());
      work += static_cast<double>(step.weight->elements());
    }
    if (step.op == packed::StepOp::max_pool || step.op == packed::StepOp::average_pool) {
      each *= static_cast<double>(step.kernel.height) * static_cast<double>(step.kernel.width);
    }
    work += each + (image ? static_cast<double>(step.shape.height()) : 0);
    if (step.codes) work += static_cast<double>(step.shape.elements());
  }
  return work;
}

enum class Outcome { refused, large, ran };

/// The same numbers; a NaN equals any other.
inline bool equal(const std::vector<float>& a, const std::vector<float>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && (a[i] == a[i] || b[i] == b[i])) return false;
  }
  return a.size() == b.size();
}

/// Throws anything but the Error of a file that is refused; also if merged operations compute
/// other numbers than separate ones.
inline Outcome run_packed_bytes(std::string_view bytes) {
  packed::Program program;
  try {
    program = packed::from_bytes(bytes, "f");
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::storage) throw;
    return Outcome::refused;
  }
  constexpr double most_work = 1 << 22;
  if (work_of(program) > most_work) return Outcome::large;
  std::vector<float> image(static_cast<std::size_t>(program.input().shape.elements()));
  for (std::size_t i = 0; i < image.size(); ++i) {
    image[i] = static_cast<float>(static_cast<int>(i % 17) - 8) / 4;
  }
  try {
    runtime::make_plan(program);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::storage) throw;
    return Outcome::refused;
  }
  for (const runtime::Kernels* kernels : runtime::usable_kernels()) {
    std::vector<float> merged;
    for (const bool merge : {true, false}) {
      const auto engine = std::make_shared<const runtime::Engine>(program, kernels, merge);
      runtime::Runner runner(engine);
      std::vector<float> logits(engine->classes());
      runner.run(image.data(), 1, logits.data());
      if (merge) {
        merged = logits;
      } else if (!equal(merged, logits)) {
        throw std::runtime_error(std::string("merged operations differ: ") + kernels->name);
      }
    }
  }
  return Outcome::ran;
}

}  // namespace qhost::tests

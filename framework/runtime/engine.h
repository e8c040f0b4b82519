/// runtime/engine.h: a packed program, ready to run.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "packed/program.h"
#include "runtime/plan.h"

namespace qhost::runtime {

/// A program with its operations. Not changed by runs: any number of runners may use it at once.
class Engine {
 public:
  /// Throws Error (configuration) as chosen_kernels() does. `kernels` null: chosen_kernels().
  explicit Engine(packed::Program program, const Kernels* kernels = nullptr, bool merge = true);

  const packed::Program& program() const { return program_; }
  const Plan& plan() const { return plan_; }
  const Kernels& kernels() const { return kernels_; }
  std::size_t input_values() const;  ///< of one image
  std::size_t classes() const;

 private:
  packed::Program program_;
  Plan plan_;
  const Kernels& kernels_;
};

/// Memory and threads to run an engine with. One call at a time.
class Runner {
 public:
  explicit Runner(std::shared_ptr<const Engine> engine, int threads = 1);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// `images` [count, C, H, W], normalized, to `logits` [count, classes]. Allocates nothing. Several
  /// threads share whole images; the last image, or few, are shared by rows. The results do not
  /// depend on the number of threads.
  void run(const float* images, std::size_t count, float* logits);

  /// One image, one thread, operation by operation: `seconds` [operations] is added to.
  void time(const float* image, float* logits, std::vector<double>& seconds);
  /// One image, one thread. `after` is called behind each operation with its index and the arena,
  /// whose values it may change.
  void run_watched(const float* image, float* logits,
                   const std::function<void(std::size_t, std::byte*)>& after);
  /// The arena of the first thread: the values of the last image that it ran.
  const std::byte* arena() const;
  const Engine& engine() const;
  int threads() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace qhost::runtime

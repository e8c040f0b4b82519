#include "runtime/engine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include "common/defect.h"
#include "runtime/isa.h"

namespace qhost::runtime {
namespace {

struct FreeArena {
  void operator()(std::byte* arena) const { std::free(arena); }
};
using Arena = std::unique_ptr<std::byte, FreeArena>;

Arena new_arena(std::size_t bytes) {
  constexpr std::size_t alignment = 64;
  const std::size_t size = (bytes + alignment) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, size);
  if (memory == nullptr) throw std::bad_alloc();
  auto* arena = static_cast<std::byte*>(memory);
  std::fill_n(arena, size, std::byte{0});
  return Arena(arena);
}

const packed::Program& checked(const packed::Program& program) {
  const std::string why = packed::why_invalid(program);
  if (!why.empty()) throw defect("an engine was given a program that is not sound: " + why);
  return program;
}

/// Tells the CPU that this thread waits for a value in memory.
inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// Whether `is_true` became true while the thread waited `spins` times, a CPU's pause each.
template <class Condition>
bool spin_until(const Condition& is_true, int spins) {
  for (int i = 0; i < spins; ++i) {
    if (is_true()) return true;
    pause();
  }
  return false;
}

/// Some 50 microseconds: sleeping and waking take as long.
constexpr int spins_before_sleep = 1500;

/// Threads that meet between two operations of an image that they share.
class Barrier {
 public:
  explicit Barrier(int threads) : threads_(threads) {}
  void wait() {
    const unsigned round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
      return;
    }
    // An operation takes microseconds; a thread that has lost its CPU must get one soon.
    constexpr int spins_before_yield = 100;
    const auto is_over = [&] { return round_.load(std::memory_order_acquire) != round; };
    while (!spin_until(is_over, spins_before_yield)) std::this_thread::yield();
  }

 private:
  const int threads_;
  std::atomic<int> arrived_{0};
  std::atomic<unsigned> round_{0};
};

}  // namespace

Engine::Engine(packed::Program program, const Kernels* kernels, bool merge)
    : program_(std::move(program)),
      plan_(make_plan(checked(program_), merge)),
      kernels_(kernels != nullptr ? *kernels : chosen_kernels()) {}

std::size_t Engine::input_values() const {
  return static_cast<std::size_t>(program_.input().shape.elements());
}

std::size_t Engine::classes() const {
  return static_cast<std::size_t>(program_.step(program_.output).shape.elements());
}

struct Runner::State {
  State(std::shared_ptr<const Engine> owner, int count)
      : engine(std::move(owner)), threads(std::max(count, 1)), barrier(threads) {
    for (int i = 0; i < threads; ++i) arenas.push_back(new_arena(engine->plan().arena_bytes));
    try {
      for (int i = 1; i < threads; ++i) workers.emplace_back([this, i] { serve(i); });
    } catch (...) {  // there are no more threads; those that run must end before they are destroyed
      stop();
      throw;
    }
  }
  ~State() { stop(); }
  void stop() {
    {
      const std::lock_guard lock(mutex);
      stopping.store(true, std::memory_order_relaxed);
    }
    begin.notify_all();
    for (std::thread& worker : workers) worker.join();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void run(const float* from, std::size_t count, float* to) {
    images = from;
    logits = to;
    // Whole images as long as there is one for each thread.
    whole = threads == 1
                ? count
                : count / static_cast<std::size_t>(threads) * static_cast<std::size_t>(threads);
    total = count;
    next.store(0, std::memory_order_relaxed);
    if (threads == 1) return share(0);
    busy.store(threads - 1, std::memory_order_relaxed);
    {
      const std::lock_guard lock(mutex);
      job.fetch_add(1, std::memory_order_release);
    }
    begin.notify_all();
    share(0);
    const auto is_over = [this] { return busy.load(std::memory_order_acquire) == 0; };
    if (spin_until(is_over, spins_before_sleep)) return;
    std::unique_lock lock(mutex);
    end.wait(lock, is_over);
  }

  void serve(int thread) {
    std::uint64_t seen = 0;
    const auto has_work = [&] {
      return stopping.load(std::memory_order_relaxed) ||
             job.load(std::memory_order_acquire) != seen;
    };
    for (;;) {
      // The next images often follow at once.
      if (!spin_until(has_work, spins_before_sleep)) {
        std::unique_lock lock(mutex);
        begin.wait(lock, has_work);
      }
      if (stopping.load(std::memory_order_relaxed)) return;
      ++seen;  // no job begins before all have left the one before
      share(thread);
      if (busy.fetch_sub(1, std::memory_order_acq_rel) != 1) continue;
      const std::lock_guard lock(mutex);
      end.notify_one();
    }
  }

  /// One thread's part of a job.
  void share(int thread) {
    for (;;) {
      const std::size_t image = next.fetch_add(1, std::memory_order_relaxed);
      if (image >= whole) break;
      Work work = work_of(image, arenas[static_cast<std::size_t>(thread)].get());
      for (const auto& op : engine->plan().ops) op->run(work, {0, op->rows()});
    }
    if (whole == total) return;
    barrier.wait();  // the first arena is free
    for (std::size_t image = whole; image < total; ++image) {
      Work work = work_of(image, arenas[0].get());
      for (const auto& op : engine->plan().ops) {
        work.part = thread;
        work.parts = threads;
        const Rows rows = rows_of(work, op->rows());
        if (rows.first < rows.last) op->run(work, rows);
        barrier.wait();
      }
    }
  }

  Work work_of(std::size_t image, std::byte* arena) const {
    return {.arena = arena,
            .input = images + image * engine->input_values(),
            .output = logits + image * engine->classes(),
            .kernels = &engine->kernels()};
  }

  std::shared_ptr<const Engine> engine;
  const int threads;
  std::vector<Arena> arenas;
  Barrier barrier;

  // The job that is being done.
  const float* images = nullptr;
  float* logits = nullptr;
  std::size_t whole = 0, total = 0;
  std::atomic<std::size_t> next{0};

  std::mutex mutex;
  std::condition_variable begin, end;
  std::atomic<std::uint64_t> job{0};
  std::atomic<int> busy{0};
  std::atomic<bool> stopping{false};
  std::vector<std::thread> workers;
};

Runner::Runner(std::shared_ptr<const Engine> engine, int threads)
    : state_(std::make_unique<State>(std::move(engine), threads)) {}

Runner::~Runner() = default;

void Runner::run(const float* images, std::size_t count, float* logits) {
  state_->run(images, count, logits);
}

void Runner::time(const float* image, float* logits, std::vector<double>& seconds) {
  using Clock = std::chrono::steady_clock;
  state_->images = image;
  state_->logits = logits;
  const auto& ops = state_->engine->plan().ops;
  seconds.resize(ops.size());
  const Work work = state_->work_of(0, state_->arenas[0].get());
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const auto start = Clock::now();
    ops[i]->run(work, {0, ops[i]->rows()});
    seconds[i] += std::chrono::duration<double>(Clock::now() - start).count();
  }
}

void Runner::run_watched(const float* image, float* logits,
                         const std::function<void(std::size_t, std::byte*)>& after) {
  state_->images = image;
  state_->logits = logits;
  std::byte* arena = state_->arenas[0].get();
  const auto& ops = state_->engine->plan().ops;
  const Work work = state_->work_of(0, arena);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    ops[i]->run(work, {0, ops[i]->rows()});
    after(i, arena);
  }
}

const std::byte* Runner::arena() const {
  return state_->arenas[0].get();
}
const Engine& Runner::engine() const {
  return *state_->engine;
}
int Runner::threads() const {
  return state_->threads;
}

}  // namespace qhost::runtime

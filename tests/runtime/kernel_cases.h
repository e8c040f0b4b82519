// tests/runtime/kernel_cases.h: cases drawn at random, in memory that ends at a page without access.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <random>
#include <stdexcept>

#include "cli/process.h"

namespace qhost::runtime {

class Draw {
 public:
  explicit Draw(std::uint32_t seed) : engine_(seed) {}
  int between(int low, int high) {
    return low + static_cast<int>(engine_() % static_cast<std::uint32_t>(high - low + 1));
  }
  bool chance(int percent) { return between(0, 99) < percent; }
  int of(std::initializer_list<int> values) {
    return values.begin()[between(0, static_cast<int>(values.size()) - 1)];
  }
  float real() { return static_cast<float>(between(-1000, 1000)) / 512.0F; }

 private:
  std::mt19937 engine_;
};

/// `count` values between a page without access, before or behind them, and bytes of 0xA5, which
/// nobody may change.
template <class Value>
class Fenced {
 public:
  Fenced(Draw& draw, std::size_t count) : count_(count) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = count * sizeof(Value);
    inner_ = (bytes + page) / page * page;
    whole_ = inner_ + 2 * page;
    void* memory = mmap(nullptr, whole_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("mmap");
    memory_ = static_cast<std::uint8_t*>(memory);
    inner_begin_ = memory_ + page;
    if (mprotect(inner_begin_, inner_, PROT_READ | PROT_WRITE) != 0) {
      throw std::runtime_error("mprotect");
    }
    std::memset(inner_begin_, 0xA5, inner_);
    begin_ = draw.chance(70) ? inner_begin_ + inner_ - bytes : inner_begin_;
  }
  ~Fenced() { munmap(memory_, whole_); }
  Fenced(const Fenced&) = delete;
  Fenced& operator=(const Fenced&) = delete;

  Value* data() { return reinterpret_cast<Value*>(begin_); }
  std::size_t size() const { return count_; }
  Value& operator[](std::size_t i) { return data()[i]; }
  void reset() { std::memset(inner_begin_, 0xA5, inner_); }
  bool fence_is_whole() const {
    const auto changed = [](std::uint8_t byte) { return byte != 0xA5; };
    return std::none_of(static_cast<const std::uint8_t*>(inner_begin_),
                        static_cast<const std::uint8_t*>(begin_), changed) &&
           std::none_of(begin_ + count_ * sizeof(Value), inner_begin_ + inner_, changed);
  }

 private:
  std::size_t count_, inner_ = 0, whole_ = 0;
  std::uint8_t *memory_ = nullptr, *inner_begin_ = nullptr, *begin_ = nullptr;
};

inline std::size_t at(std::ptrdiff_t index) {
  return static_cast<std::size_t>(index);
}

/// Multiples of the blocks and of the words, and what is none.
inline int draw_channels(Draw& draw) {
  if (draw.chance(50)) return draw.between(1, 40);
  return draw.of({3, 8, 16, 24, 31, 32, 33, 48, 63, 64, 65, 96, 100});
}

/// The same cases in each run, and as many new ones.
template <class Check>
void check_many(int count, const Check& check) {
  const std::uint32_t drawn = tests::drawn_seed();
  for (int i = 0; i < count && !::testing::Test::HasFailure(); ++i) {
    check(static_cast<std::uint32_t>(i));
    check(drawn + static_cast<std::uint32_t>(i));
  }
}

}  // namespace qhost::runtime

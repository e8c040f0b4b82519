// qhost_kernel_bench [--rounds=N] [TEXT]: the convolutions of the packed engine, one line a shape and
// level of CPU, those whose name contains TEXT.
//
// Each round times every line once, and beside it a chain of dependent additions, which takes one
// cycle of the core each: so a line's cycles are those of the core at that moment, whatever its
// clock and its neighbors do. Printed are the medians over the rounds, and what one round in ten
// exceeds, when the other processes of the machine were quiet.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "runtime/isa.h"
#include "runtime/pack_weights.h"

namespace {

using namespace qhost::runtime;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Seconds of one cycle.
double cycle_time() {
  constexpr int additions = 16 * 4000;
  const double begin = now();
  std::uint64_t x = 1;
  const std::uint64_t step = 3;
  for (int i = 0; i < additions / 16; ++i) {
#if defined(__x86_64__)
    // Of a register: recent cores add constants without a cycle.
    asm volatile(
        "add %1,%0\nadd %1,%0\nadd %1,%0\nadd %1,%0\nadd %1,%0\nadd %1,%0\nadd %1,%0\nadd %1,%0\n"
        "add %1,%0\nadd %1,%0\nadd %1,%0\nadd %1,%0\nadd %1,%0\nadd %1,%0\nadd %1,%0\nadd %1,%0\n"
        : "+r"(x)
        : "r"(step));
#else
    for (int k = 0; k < 16; ++k) {
      x += step;
      asm volatile("" : "+r"(x));
    }
#endif
  }
  return (now() - begin) / additions;
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

struct Line {
  std::string name, level;
  double macs = 0;
  std::function<void()> run;
  int calls = 1;
  std::vector<double> seconds, cycles;
};

/// Memory of the arrays of a line, aligned as in the arena of the engine.
class Arrays {
 public:
  template <class Value>
  Value* make(std::size_t count, const std::function<Value()>& value) {
    constexpr std::size_t alignment = 64;
    const std::size_t bytes = (count * sizeof(Value) + alignment - 1) / alignment * alignment;
    auto* array = static_cast<Value*>(std::aligned_alloc(alignment, bytes));
    if (array == nullptr) std::abort();
    kept_.emplace_back(array, std::free);
    for (std::size_t i = 0; i < count; ++i) array[i] = value();
    return array;
  }
  float* floats(std::size_t count) {
    return make<float>(count, [this] { return static_cast<float>(random_() % 2001) / 1000 - 1; });
  }
  std::uint8_t* bytes(std::size_t count) {
    return make<std::uint8_t>(count, [this] { return static_cast<std::uint8_t>(random_()); });
  }
  template <class Packed>
  const Packed* keep(Packed packed) {
    auto pointer = std::make_shared<Packed>(std::move(packed));
    kept_.push_back(pointer);
    return pointer.get();
  }

 private:
  std::mt19937 random_{1};
  std::vector<std::shared_ptr<void>> kept_;
};

std::size_t size(std::ptrdiff_t value) {
  return static_cast<std::size_t>(value);
}

ConvShape shape_of(int in, int size_in, int out, int kernel, int stride, int groups = 1) {
  ConvShape s;
  s.in_height = s.in_width = size_in;
  s.in_channels = in;
  s.out_channels = out;
  s.kernel_height = s.kernel_width = kernel;
  s.stride_height = s.stride_width = stride;
  s.pad_height = s.pad_width = kernel / 2;
  s.out_height = s.out_width = (size_in + 2 * (kernel / 2) - kernel) / stride + 1;
  s.groups = groups;
  return s;
}

enum class Tail { bits, residual, floats };

Epilogue tail_of(Arrays& arrays, const ConvShape& s, Tail tail) {
  Epilogue e;
  const std::size_t channels = size(padded(s.out_channels));
  const std::size_t values = size(s.out_height * s.out_width * s.out_channels);
  if (tail != Tail::floats) {
    e.bits.pixel_bytes = bits_pixel_bytes(s.out_channels);
    e.bits.row_bytes = (s.out_width + 2) * e.bits.pixel_bytes;
    e.bits.data = arrays.bytes(size(e.bits.row_bytes * (s.out_height + 2) + 8)) + e.bits.row_bytes +
                  e.bits.pixel_bytes;
  }
  if (tail == Tail::bits) {
    e.sum_thresholds = arrays.make<std::int32_t>(channels, [] { return 3; });
    return e;
  }
  e.scale = arrays.floats(channels);
  e.bias = arrays.floats(channels);
  e.out = arrays.floats(values);
  e.relu = tail == Tail::floats;
  if (tail == Tail::residual) {
    e.residual = arrays.floats(values);
    e.thresholds = arrays.make<float>(channels, [] { return 0.0F; });
  }
  return e;
}

std::string name_of(const char* kind, const ConvShape& s, const char* tail) {
  char text[160];
  std::snprintf(text, sizeof text, "%s %dx%d %dx%dx%d->%d/%d%s %s", kind, s.kernel_height,
                s.kernel_width, s.in_height, s.in_width, s.in_channels, s.out_channels,
                s.stride_height, s.groups > 1 ? " grouped" : "", tail);
  return text;
}

constexpr const char* names[] = {"bits", "residual", "floats"};

std::vector<Line> lines(Arrays& arrays) {
  std::vector<Line> all;
  const auto add = [&](const std::string& name, const ConvShape& s, auto run) {
    for (const Kernels* kernels : usable_kernels()) {
      Line line;
      line.name = name;
      line.level = kernels->name;
      line.macs = static_cast<double>(s.out_height) * s.out_width * s.out_channels *
                  s.kernel_height * s.kernel_width * s.in_channels / s.groups;
      line.run = [run, kernels] { run(*kernels); };
      all.push_back(line);
    }
  };
  const auto weights_of = [](const ConvShape& s) {
    return size(s.out_channels) * size(s.in_channels / s.groups) *
           size(s.kernel_height * s.kernel_width);
  };
  const auto binary = [&](const ConvShape& s, Tail tail, int padding) {
    std::uint8_t* random = arrays.bytes(weights_of(s));
    std::vector<std::uint8_t> codes(random, random + weights_of(s));
    for (std::uint8_t& code : codes) code &= 1;
    const auto* packed = arrays.keep(pack_binary(s, codes, padding));
    Bits x;
    x.pixel_bytes = bits_pixel_bytes(s.in_channels);
    x.row_bytes = (s.in_width + 2 * s.pad_width) * x.pixel_bytes;
    x.data = arrays.bytes(size(x.row_bytes * (s.in_height + 2 * s.pad_height) + 8)) +
             s.pad_height * x.row_bytes + s.pad_width * x.pixel_bytes;
    const Epilogue e = tail_of(arrays, s, tail);
    add(name_of("binary", s, names[static_cast<int>(tail)]), s,
        [=](const Kernels& kernels) { kernels.binary(packed->conv, x, 0, s.out_height, e); });
  };
  const auto integer = [&](const ConvShape& s, Tail tail) {
    const std::uint8_t* random = arrays.bytes(weights_of(s));
    std::vector<std::int8_t> weights(random, random + weights_of(s));
    const auto* packed = arrays.keep(pack_integer(s, weights, 1, 3));
    Bytes x;
    x.pixel_bytes = (s.in_channels + 3) / 4 * 4;
    x.row_bytes = (s.in_width + 2 * s.pad_width) * x.pixel_bytes;
    x.data = arrays.bytes(size(x.row_bytes * (s.in_height + 2 * s.pad_height))) +
             s.pad_height * x.row_bytes + s.pad_width * x.pixel_bytes;
    const Epilogue e = tail_of(arrays, s, tail);
    add(name_of("int8", s, names[static_cast<int>(tail)]), s,
        [=](const Kernels& kernels) { kernels.integer(packed->conv, x, 0, s.out_height, e); });
  };
  const auto floating = [&](const ConvShape& s, Tail tail) {
    const float* random = arrays.floats(weights_of(s));
    const auto* packed =
        arrays.keep(pack_float(s, std::vector<float>(random, random + weights_of(s))));
    const float* x = arrays.floats(size(s.in_height * s.in_width * s.in_channels));
    const Epilogue e = tail_of(arrays, s, tail);
    add(name_of("float", s, names[static_cast<int>(tail)]), s,
        [=](const Kernels& kernels) { kernels.floating(packed->conv, x, 0, s.out_height, e); });
  };

  for (const auto& [channels, image] : {std::pair(64, 32), {128, 16}, {256, 8}, {512, 4}}) {
    binary(shape_of(channels, image, channels, 3, 1), Tail::bits, -1);
    binary(shape_of(channels, image, channels, 3, 1), Tail::residual, 0);
  }
  binary(shape_of(64, 32, 128, 3, 2), Tail::bits, -1);
  for (const auto& [channels, image] : {std::pair(16, 32), {32, 16}, {64, 8}}) {
    binary(shape_of(channels, image, channels, 3, 1), Tail::bits, -1);
    binary(shape_of(channels, image, channels, 3, 1), Tail::residual, -1);
  }
  binary(shape_of(512, 1, 100, 1, 1), Tail::floats, -1);
  for (const auto& [channels, image] : {std::pair(64, 32), {128, 16}, {256, 8}, {512, 4}}) {
    integer(shape_of(channels, image, channels, 3, 1), Tail::floats);
  }
  integer(shape_of(64, 32, 128, 1, 2), Tail::floats);
  floating(shape_of(3, 32, 64, 3, 1), Tail::floats);
  floating(shape_of(3, 32, 16, 3, 1), Tail::floats);
  floating(shape_of(64, 32, 128, 1, 2), Tail::floats);
  floating(shape_of(256, 8, 512, 1, 2), Tail::floats);
  floating(shape_of(64, 32, 64, 3, 1), Tail::floats);
  floating(shape_of(256, 8, 256, 3, 1), Tail::floats);
  floating(shape_of(512, 1, 100, 1, 1), Tail::floats);
  floating(shape_of(64, 32, 64, 3, 1, 64), Tail::floats);
  return all;
}

}  // namespace

int main(int count, char** arguments) {
  int rounds = 31;
  std::string wanted;
  for (int i = 1; i < count; ++i) {
    if (std::strncmp(arguments[i], "--rounds=", 9) == 0) {
      rounds = std::max(1, std::atoi(arguments[i] + 9));
    } else {
      wanted = arguments[i];
    }
  }
  Arrays arrays;
  std::vector<Line> all = lines(arrays);
  std::erase_if(all, [&](const Line& line) {
    return (line.name + " " + line.level).find(wanted) == std::string::npos;
  });
  for (Line& line : all) {
    line.run();
    const double begin = now();
    line.run();
    line.calls = std::clamp(static_cast<int>(300e-6 / (now() - begin)), 1, 1000);
  }
  for (int round = 0; round < rounds; ++round) {
    for (Line& line : all) {
      const double cycle = cycle_time();
      const double begin = now();
      for (int i = 0; i < line.calls; ++i) line.run();
      const double seconds = (now() - begin) / line.calls;
      line.seconds.push_back(seconds);
      line.cycles.push_back(seconds / std::min(cycle, cycle_time()));
    }
  }
  std::printf("%-44s %-9s %10s %11s %11s\n", "", "", "us", "MAC/cycle", "p90");
  for (const Line& line : all) {
    std::printf("%-44s %-9s %10.2f %11.1f %11.1f\n", line.name.c_str(), line.level.c_str(),
                1e6 * quantile(line.seconds, 0.5), line.macs / quantile(line.cycles, 0.5),
                line.macs / quantile(line.cycles, 0.1));
  }
  return 0;
}

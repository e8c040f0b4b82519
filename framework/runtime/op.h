/// runtime/op.h: one operation of a plan: it reads and writes places in the arena.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "runtime/kernels.h"

namespace qhost::runtime {

/// One run of the plan over one image, or the share of one thread in it.
struct Work {
  std::byte* arena = nullptr;    ///< aligned to 64 bytes
  const float* input = nullptr;  ///< [C, H, W]
  float* output = nullptr;       ///< [classes]
  const Kernels* kernels = nullptr;
  int part = 0,
      parts = 1;  ///< this thread does rows [rows * part / parts, rows * (part + 1) / parts)
};

/// A range of an operation's rows.
struct Rows {
  int first = 0, last = 0;
};
inline Rows rows_of(const Work& work, int rows) {
  const auto edge = [&](int part) {
    return static_cast<int>(static_cast<std::int64_t>(rows) * part / work.parts);
  };
  return {edge(work.part), edge(work.part + 1)};
}

/// Floats [height, width, channels] at `offset` of the arena.
struct FloatPlace {
  std::size_t offset = 0;
  int height = 1, width = 1, channels = 1;

  float* data(const Work& work) const { return reinterpret_cast<float*>(work.arena + offset); }
  std::size_t values() const {
    return static_cast<std::size_t>(height) * static_cast<std::size_t>(width) *
           static_cast<std::size_t>(channels);
  }
  std::size_t bytes() const { return values() * sizeof(float); }
  std::size_t row() const {
    return static_cast<std::size_t>(width) * static_cast<std::size_t>(channels);
  }
};

/// Codes [height, width] of `pixel_bytes`, with a border around them whose bytes are `border`.
struct CodePlace {
  std::size_t offset = 0;  ///< of the border's first pixel
  int height = 1, width = 1, channels = 1;
  bool bits = false;  ///< one bit a channel, else one byte
  int pixel_bytes = 0;
  int border_height = 0, border_width = 0;
  std::uint8_t border = 0;

  std::size_t row_bytes() const {
    return static_cast<std::size_t>(width + 2 * border_width) *
           static_cast<std::size_t>(pixel_bytes);
  }
  /// 8 bytes behind the last pixel may be read.
  std::size_t bytes() const {
    return row_bytes() * static_cast<std::size_t>(height + 2 * border_height) + 8;
  }
  std::uint8_t* pixel(const Work& work, int y, int x) const {
    return reinterpret_cast<std::uint8_t*>(work.arena) + offset +
           static_cast<std::size_t>(y + border_height) * row_bytes() +
           static_cast<std::size_t>(x + border_width) * static_cast<std::size_t>(pixel_bytes);
  }
};

class Op {
 public:
  virtual ~Op() = default;
  /// Rows that threads may share; 1: one thread does it.
  virtual int rows() const = 0;
  virtual void run(const Work& work, Rows rows) const = 0;

  std::string name;       ///< of the step it belongs to
  std::string kernel;     ///< "binary", "integer", "float", "encode", ...
  std::int64_t macs = 0;  ///< multiply-accumulates of one image
};

}  // namespace qhost::runtime

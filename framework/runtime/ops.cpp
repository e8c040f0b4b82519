#include "runtime/ops.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "packed/halves.h"

namespace qhost::runtime {
namespace {

/// An operation of floats, of `height` rows of `out`.
template <class Function>
class RowsOp : public Op {
 public:
  RowsOp(const FloatPlace* out, const char* kernel_name, Function function)
      : out_(out), function_(std::move(function)) {
    kernel = kernel_name;
  }
  int rows() const override { return out_->height; }
  void run(const Work& work, Rows rows) const override { function_(work, rows); }

 private:
  const FloatPlace* out_;
  Function function_;
};
template <class Function>
OpPointer rows_op(const FloatPlace* out, const char* kernel, Function function) {
  return std::make_unique<RowsOp<Function>>(out, kernel, std::move(function));
}

/// Each element of the rows.
template <class Function>
void for_each(const Work& work, Rows rows, const FloatPlace& in, const FloatPlace& out,
              const Function& function) {
  const std::size_t first = static_cast<std::size_t>(rows.first) * out.row();
  const std::size_t last = static_cast<std::size_t>(rows.last) * out.row();
  const float* from = in.data(work);
  float* to = out.data(work);
  for (std::size_t i = first; i < last; ++i) to[i] = function(from[i]);
}

float activated(Activation kind, float slope, float x) {
  switch (kind) {
    case Activation::relu:
      return x > 0 ? x : (x != x ? x : 0.0F);
    case Activation::relu6:
      return x > 0 ? (x > 6 ? 6.0F : x) : (x != x ? x : 0.0F);
    case Activation::leaky_relu:
      return x > 0 ? x : slope * x;
    case Activation::hardtanh:
      return x < -1 ? -1.0F : (x > 1 ? 1.0F : x);
    case Activation::tanh:
      return std::tanh(x);
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu:
      return x * 0.5F * (1 + std::erf(x * 0.70710678118654752F));
  }
  return x;
}

/// The positions of a window inside the image.
struct Inside {
  int first, last;
};
Inside inside(int position, int stride, int pad, int kernel, int size) {
  const int start = position * stride - pad;
  return {std::max(start, 0), std::min(start + kernel, size)};
}

class UnpackOp : public Op {
 public:
  UnpackOp(const CodePlace* bits, const CodePlace* bytes) : bits_(bits), bytes_(bytes) {
    kernel = "unpack";
  }
  int rows() const override { return bits_->height; }
  void run(const Work& work, Rows rows) const override {
    fill_border(*bytes_, work, rows);
    for (int y = rows.first; y < rows.last; ++y) {
      for (int x = 0; x < bits_->width; ++x) {
        const std::uint8_t* from = bits_->pixel(work, y, x);
        std::uint8_t* to = bytes_->pixel(work, y, x);
        for (int c = 0; c < bits_->channels; ++c) {
          to[c] = static_cast<std::uint8_t>(from[c / 8] >> (c % 8) & 1);
        }
        std::memset(to + bits_->channels, 0,
                    static_cast<std::size_t>(bytes_->pixel_bytes - bits_->channels));
      }
    }
  }

 private:
  const CodePlace* bits_;
  const CodePlace* bytes_;
};

}  // namespace

void fill_border(const CodePlace& place, const Work& work, Rows rows) {
  if (place.border_height == 0 && place.border_width == 0) return;
  const auto fill = [&](std::uint8_t* at, int pixels) {
    const auto pixel = static_cast<std::size_t>(place.pixel_bytes);
    if (place.border == 0 || place.channels == place.pixel_bytes) {
      std::memset(at, place.border, static_cast<std::size_t>(pixels) * pixel);
      return;
    }
    for (int i = 0; i < pixels; ++i, at += pixel) {
      const auto channels = static_cast<std::size_t>(place.channels);
      std::memset(at, place.border, channels);
      std::memset(at + channels, 0, pixel - channels);
    }
  };
  const int left = -place.border_width, whole = place.width + 2 * place.border_width;
  if (rows.first == 0) {
    for (int y = -place.border_height; y < 0; ++y) fill(place.pixel(work, y, left), whole);
  }
  for (int y = rows.first; y < rows.last; ++y) {
    fill(place.pixel(work, y, left), place.border_width);
    fill(place.pixel(work, y, place.width), place.border_width);
  }
  if (rows.last == place.height) {
    for (int y = place.height; y < place.height + place.border_height; ++y) {
      fill(place.pixel(work, y, left), whole);
    }
  }
}

OpPointer input_op(const FloatPlace* out) {
  return rows_op(out, "input", [out](const Work& work, Rows rows) {
    const int channels = out->channels, width = out->width;
    const auto plane = static_cast<std::size_t>(out->height) * static_cast<std::size_t>(width);
    for (int y = rows.first; y < rows.last; ++y) {
      float* to = out->data(work) + static_cast<std::size_t>(y) * out->row();
      const float* from =
          work.input + static_cast<std::size_t>(y) * static_cast<std::size_t>(width);
      for (int x = 0; x < width; ++x) {
        for (int c = 0; c < channels; ++c) *to++ = from[static_cast<std::size_t>(c) * plane];
        ++from;
      }
    }
  });
}

OpPointer output_op(const FloatPlace* in) {
  return rows_op(in, "output", [in](const Work& work, Rows) {
    std::memcpy(work.output, in->data(work), in->bytes());
  });
}

OpPointer unpack_op(const CodePlace* bits, const CodePlace* bytes) {
  return std::make_unique<UnpackOp>(bits, bytes);
}

OpPointer decode_op(std::vector<float> values, bool per_channel, const CodePlace* in,
                    const FloatPlace* out) {
  const std::size_t count =
      per_channel ? values.size() / static_cast<std::size_t>(out->channels) : values.size();
  return rows_op(
      out, "decode",
      [values = std::move(values), per_channel, count, in, out](const Work& work, Rows rows) {
        for (int y = rows.first; y < rows.last; ++y) {
          float* to = out->data(work) + static_cast<std::size_t>(y) * out->row();
          for (int x = 0; x < out->width; ++x) {
            const std::uint8_t* from = in->pixel(work, y, x);
            for (int c = 0; c < out->channels; ++c) {
              const auto row = per_channel ? static_cast<std::size_t>(c) * count : 0;
              *to++ = values[row + from[c]];
            }
          }
        }
      });
}

OpPointer affine_op(std::vector<float> scale, std::vector<float> bias, const FloatPlace* in,
                    const FloatPlace* out) {
  const auto expanded = [&](std::vector<float> list) {
    if (list.size() == 1) list.resize(static_cast<std::size_t>(out->channels), list[0]);
    return list;
  };
  return rows_op(out, "affine",
                 [scale = expanded(std::move(scale)), bias = expanded(std::move(bias)), in, out](
                     const Work& work, Rows rows) {
                   const auto channels = static_cast<std::size_t>(out->channels);
                   const std::size_t first = static_cast<std::size_t>(rows.first) * out->row();
                   const std::size_t last = static_cast<std::size_t>(rows.last) * out->row();
                   const float* from = in->data(work);
                   float* to = out->data(work);
                   for (std::size_t i = first; i < last; i += channels) {
                     for (std::size_t c = 0; c < channels; ++c) {
                       to[i + c] = std::fma(from[i + c], scale[c], bias[c]);
                     }
                   }
                 });
}

OpPointer activation_op(Activation kind, float slope, const FloatPlace* in, const FloatPlace* out) {
  return rows_op(out, "activation", [=](const Work& work, Rows rows) {
    if (kind == Activation::relu) {
      return for_each(work, rows, *in, *out,
                      [](float x) { return activated(Activation::relu, 0, x); });
    }
    for_each(work, rows, *in, *out, [&](float x) { return activated(kind, slope, x); });
  });
}

OpPointer round_op(CodeKind kind, const FloatPlace* in, const FloatPlace* out) {
  return rows_op(out, "round", [=](const Work& work, Rows rows) {
    for_each(work, rows, *in, *out, [&](float x) { return packed::rounded_to(kind, x); });
  });
}

OpPointer add_op(std::vector<const FloatPlace*> in, const FloatPlace* out) {
  return rows_op(out, "add", [in = std::move(in), out](const Work& work, Rows rows) {
    const std::size_t first = static_cast<std::size_t>(rows.first) * out->row();
    const std::size_t last = static_cast<std::size_t>(rows.last) * out->row();
    float* to = out->data(work);
    const float *a = in[0]->data(work), *b = in[1]->data(work);
    for (std::size_t i = first; i < last; ++i) to[i] = a[i] + b[i];
    for (std::size_t e = 2; e < in.size(); ++e) {
      const float* more = in[e]->data(work);
      for (std::size_t i = first; i < last; ++i) to[i] += more[i];
    }
  });
}

OpPointer concat_op(std::vector<const FloatPlace*> in, const FloatPlace* out) {
  return rows_op(out, "concat", [in = std::move(in), out](const Work& work, Rows rows) {
    float* to = out->data(work) + static_cast<std::size_t>(rows.first) * out->row();
    const int first = rows.first * out->width, last = rows.last * out->width;
    for (int pixel = first; pixel < last; ++pixel) {
      for (const FloatPlace* each : in) {
        const auto channels = static_cast<std::size_t>(each->channels);
        std::memcpy(to, each->data(work) + static_cast<std::size_t>(pixel) * channels,
                    channels * sizeof(float));
        to += channels;
      }
    }
  });
}

namespace {

/// Calls `visit(to, positions)` for each output pixel, where `positions(body)` calls body with each
/// input pixel of its window.
template <class Visit>
void over_windows(const Window& w, const FloatPlace& in, const FloatPlace& out, const Work& work,
                  Rows rows, const Visit& visit) {
  for (int y = rows.first; y < rows.last; ++y) {
    const Inside v = inside(y, w.stride_height, w.pad_height, w.kernel_height, in.height);
    for (int x = 0; x < out.width; ++x) {
      const Inside h = inside(x, w.stride_width, w.pad_width, w.kernel_width, in.width);
      float* to = out.data(work) + static_cast<std::size_t>(y) * out.row() +
                  static_cast<std::size_t>(x) * static_cast<std::size_t>(out.channels);
      visit(to, (v.last - v.first) * (h.last - h.first), [&](const auto& body) {
        for (int i = v.first; i < v.last; ++i) {
          for (int j = h.first; j < h.last; ++j) {
            body(in.data(work) + static_cast<std::size_t>(i) * in.row() +
                 static_cast<std::size_t>(j) * static_cast<std::size_t>(in.channels));
          }
        }
      });
    }
  }
}

}  // namespace

OpPointer max_pool_op(const Window& window, const FloatPlace* in, const FloatPlace* out) {
  return rows_op(out, "max_pool", [=](const Work& work, Rows rows) {
    const int channels = out->channels;
    over_windows(window, *in, *out, work, rows, [&](float* to, int, const auto& each) {
      std::fill(to, to + channels, -std::numeric_limits<float>::infinity());
      each([&](const float* from) {
        for (int c = 0; c < channels; ++c) {
          to[c] = from[c] > to[c] || from[c] != from[c] ? from[c] : to[c];
        }
      });
    });
  });
}

OpPointer average_pool_op(const Window& window, const FloatPlace* in, const FloatPlace* out) {
  return rows_op(out, "average_pool", [=](const Work& work, Rows rows) {
    const int channels = out->channels;
    over_windows(window, *in, *out, work, rows, [&](float* to, int count, const auto& each) {
      std::fill(to, to + channels, 0.0F);
      each([&](const float* from) {
        for (int c = 0; c < channels; ++c) to[c] += from[c];
      });
      for (int c = 0; c < channels; ++c) to[c] /= static_cast<float>(count);
    });
  });
}

OpPointer global_average_pool_op(const FloatPlace* in, const FloatPlace* out) {
  const Window all{.kernel_height = in->height, .kernel_width = in->width};
  return average_pool_op(all, in, out);
}

OpPointer subsample_op(int stride_height, int stride_width, const FloatPlace* in,
                       const FloatPlace* out) {
  return rows_op(out, "subsample", [=](const Work& work, Rows rows) {
    const auto before = static_cast<std::size_t>((out->channels - in->channels) / 2);
    const auto channels = static_cast<std::size_t>(in->channels);
    for (int y = rows.first; y < rows.last; ++y) {
      for (int x = 0; x < out->width; ++x) {
        float* to = out->data(work) + static_cast<std::size_t>(y) * out->row() +
                    static_cast<std::size_t>(x) * static_cast<std::size_t>(out->channels);
        std::fill(to, to + out->channels, 0.0F);
        std::memcpy(to + before,
                    in->data(work) + static_cast<std::size_t>(y * stride_height) * in->row() +
                        static_cast<std::size_t>(x * stride_width) * channels,
                    channels * sizeof(float));
      }
    }
  });
}

OpPointer flatten_op(const FloatPlace* in, const FloatPlace* out) {
  return rows_op(out, "flatten", [=](const Work& work, Rows) {
    const auto pixels = static_cast<std::size_t>(in->height) * static_cast<std::size_t>(in->width);
    const auto channels = static_cast<std::size_t>(in->channels);
    const float* from = in->data(work);
    float* to = out->data(work);
    // In tiles: a column of one channel at a time would leave the first cache between two pixels.
    constexpr std::size_t tile_channels = 8, tile_pixels = 16;
    for (std::size_t c0 = 0; c0 < channels; c0 += tile_channels) {
      const std::size_t c1 = std::min(c0 + tile_channels, channels);
      for (std::size_t p0 = 0; p0 < pixels; p0 += tile_pixels) {
        const std::size_t p1 = std::min(p0 + tile_pixels, pixels);
        for (std::size_t c = c0; c < c1; ++c) {
          for (std::size_t p = p0; p < p1; ++p) to[c * pixels + p] = from[p * channels + c];
        }
      }
    }
  });
}

OpPointer pad_op(float level, const FloatPlace* in, const FloatPlace* out) {
  return rows_op(out, "pad", [=](const Work& work, Rows rows) {
    const int above = (out->height - in->height) / 2, left = (out->width - in->width) / 2;
    for (int y = rows.first; y < rows.last; ++y) {
      float* to = out->data(work) + static_cast<std::size_t>(y) * out->row();
      std::fill(to, to + out->row(), level);
      if (y < above || y >= above + in->height) continue;
      std::memcpy(to + static_cast<std::size_t>(left) * static_cast<std::size_t>(in->channels),
                  in->data(work) + static_cast<std::size_t>(y - above) * in->row(),
                  in->row() * sizeof(float));
    }
  });
}

OpPointer mean_of_channels_op(const FloatPlace* in, const FloatPlace* out) {
  return rows_op(out, "mean", [=](const Work& work, Rows rows) {
    const int channels = in->channels;
    const float* from = in->data(work) + static_cast<std::size_t>(rows.first) * in->row();
    float* to = out->data(work) + static_cast<std::size_t>(rows.first) * out->row();
    for (int pixel = rows.first * in->width; pixel < rows.last * in->width; ++pixel) {
      // Eight sums that stand beside each other, as a vector holds them.
      float lanes[8] = {};
      int c = 0;
      for (; c + 8 <= channels; c += 8) {
        for (int lane = 0; lane < 8; ++lane) lanes[lane] += std::abs(from[c + lane]);
      }
      for (; c < channels; ++c) lanes[0] += std::abs(from[c]);
      float sum = 0;
      for (const float lane : lanes) sum += lane;
      *to++ = sum / static_cast<float>(channels);
      from += channels;
    }
  });
}

OpPointer box_op(const Window& window, const FloatPlace* in, const FloatPlace* out) {
  return rows_op(out, "box", [=](const Work& work, Rows rows) {
    const auto area = static_cast<float>(window.kernel_height * window.kernel_width);
    over_windows(window, *in, *out, work, rows, [&](float* to, int, const auto& each) {
      float sum = 0;
      each([&](const float* from) { sum += *from; });
      *to = sum / area;
    });
  });
}

}  // namespace qhost::runtime

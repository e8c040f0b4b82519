#include "runtime/conv_op.h"

#include <limits>
#include <utility>

namespace qhost::runtime {
namespace {

template <class Number>
const Number* extend(std::vector<Number>& list, int channels, Number value) {
  if (list.empty()) return nullptr;
  list.resize(static_cast<std::size_t>(padded(channels)), value);
  return list.data();
}

class ConvOp : public Op {
 public:
  ConvOp(PackedConv conv, const CodePlace* codes, const FloatPlace* floats, ConvTail tail)
      : conv_(std::move(conv)), codes_(codes), floats_(floats), tail_(std::move(tail)) {
    shape_ = std::visit([](const auto& packed) { return packed->conv.shape; }, conv_);
    constexpr const char* names[] = {"binary", "integer", "float"};
    kernel = names[conv_.index()];
    macs = static_cast<std::int64_t>(shape_.out_height) * shape_.out_width * shape_.out_channels *
           shape_.kernel_height * shape_.kernel_width * (shape_.in_channels / shape_.groups);
    const int channels = shape_.out_channels;
    epilogue_.sum_thresholds =
        extend(tail_.sum_thresholds, channels, std::numeric_limits<std::int32_t>::max());
    epilogue_.sum_direction = extend(tail_.sum_direction, channels, 1);
    epilogue_.scale = extend(tail_.scale, channels, 0.0F);
    epilogue_.bias = extend(tail_.bias, channels, 0.0F);
    epilogue_.thresholds =
        extend(tail_.thresholds, channels, std::numeric_limits<float>::infinity());
    epilogue_.direction = extend(tail_.direction, channels, 1.0F);
    epilogue_.relu = tail_.relu;
  }

  int rows() const override { return shape_.out_height; }

  void run(const Work& work, Rows rows) const override {
    Epilogue epilogue = epilogue_;
    if (tail_.position != nullptr) epilogue.position = tail_.position->data(work);
    if (tail_.residual != nullptr) epilogue.residual = tail_.residual->data(work);
    if (tail_.out != nullptr) epilogue.out = tail_.out->data(work);
    if (tail_.bits != nullptr) {
      fill_border(*tail_.bits, work, rows);
      epilogue.bits = {tail_.bits->pixel(work, 0, 0), tail_.bits->pixel_bytes,
                       static_cast<std::ptrdiff_t>(tail_.bits->row_bytes())};
    }
    if (const auto* binary = std::get_if<std::unique_ptr<PackedBinary>>(&conv_)) {
      const Bits x{codes_->pixel(work, 0, 0), codes_->pixel_bytes,
                   static_cast<std::ptrdiff_t>(codes_->row_bytes())};
      work.kernels->binary((*binary)->conv, x, rows.first, rows.last, epilogue);
    } else if (const auto* integer = std::get_if<std::unique_ptr<PackedInteger>>(&conv_)) {
      const Bytes x{codes_->pixel(work, 0, 0), codes_->pixel_bytes,
                    static_cast<std::ptrdiff_t>(codes_->row_bytes())};
      work.kernels->integer((*integer)->conv, x, rows.first, rows.last, epilogue);
    } else {
      work.kernels->floating(std::get<std::unique_ptr<PackedFloat>>(conv_)->conv,
                             floats_->data(work), rows.first, rows.last, epilogue);
    }
  }

 private:
  PackedConv conv_;
  const CodePlace* codes_;
  const FloatPlace* floats_;
  ConvTail tail_;
  ConvShape shape_;
  Epilogue epilogue_;
};

}  // namespace

OpPointer conv_op(PackedConv conv, const CodePlace* codes, const FloatPlace* floats,
                  ConvTail tail) {
  return std::make_unique<ConvOp>(std::move(conv), codes, floats, std::move(tail));
}

}  // namespace qhost::runtime

#include "runtime/encode_op.h"

#include <algorithm>
#include <utility>

namespace qhost::runtime {
namespace {

class EncodeOp : public Op {
 public:
  EncodeOp(const Encoder& encoder, EncodeTables tables, const FloatPlace* in, const CodePlace* bits,
           const CodePlace* bytes)
      : tables_(std::move(tables)), in_(in), bits_(bits), bytes_(bytes) {
    kernel = "encode";
    if (encoder.count == 2) expand(encoder);
  }

  int rows() const override { return in_->height; }

  void run(const Work& work, Rows rows) const override {
    if (bits_ != nullptr) fill_border(*bits_, work, rows);
    if (bytes_ != nullptr) fill_border(*bytes_, work, rows);
    for (int y = rows.first; y < rows.last; ++y) {
      const float* x = in_->data(work) + static_cast<std::size_t>(y) * in_->row();
      if (bits_ != nullptr) {
        work.kernels->encode_bits(x, in_->width, in_->channels, per_channel_.data(),
                                  direction_.empty() ? nullptr : direction_.data(),
                                  bits_->pixel(work, y, 0), bits_->pixel_bytes);
      }
      if (bytes_ != nullptr) {
        work.kernels->encode_bytes(tables_.kernel(), x, in_->width, in_->channels,
                                   bytes_->pixel(work, y, 0), bytes_->pixel_bytes);
      }
    }
  }

 private:
  /// One threshold a channel, as the kernel of bits wants them.
  void expand(const Encoder& encoder) {
    const auto channels = static_cast<std::size_t>(in_->channels);
    per_channel_.assign(static_cast<std::size_t>(padded(in_->channels)),
                        std::numeric_limits<float>::infinity());
    for (std::size_t c = 0; c < channels; ++c) {
      per_channel_[c] = encoder.thresholds[encoder.per_channel ? c : 0];
    }
    if (encoder.direction.empty()) return;
    direction_.assign(per_channel_.size(), 1.0F);
    std::copy(encoder.direction.begin(), encoder.direction.end(), direction_.begin());
  }

  const EncodeTables tables_;
  const FloatPlace* in_;
  const CodePlace* bits_;
  const CodePlace* bytes_;
  std::vector<float> per_channel_, direction_;
};

}  // namespace

OpPointer encode_op(const Encoder& encoder, EncodeTables tables, const FloatPlace* in,
                    const CodePlace* bits, const CodePlace* bytes) {
  return std::make_unique<EncodeOp>(encoder, std::move(tables), in, bits, bytes);
}

}  // namespace qhost::runtime

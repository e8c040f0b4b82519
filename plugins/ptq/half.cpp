#include "half.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/isfinite.h>

#include <sstream>

#include "checks.h"
#include "qhost/error.h"
#include "qhost/ste.h"
#include "slots_taken.h"

namespace qhost::ptq {
namespace {

Encoding encoding_of(HalfFormat format) {
  return format == HalfFormat::fp16 ? Encoding::float16() : Encoding::bfloat16();
}

void require_representable(const HalfSettings& settings, const SlotContext& context,
                           const at::Tensor& given, const at::Tensor& codes) {
  if (at::isfinite(codes).all().item<bool>()) return;
  require_finite("ptq_half", *context.slot, given);
  const auto beyond = codes.numel() - at::isfinite(codes).sum().item<std::int64_t>();
  const bool fp16 = settings.format == HalfFormat::fp16;
  std::ostringstream text;
  text << "ptq_half: " << slot_text(*context.slot) << " holds " << beyond << " of " << codes.numel()
       << " values beyond the largest one of " << (fp16 ? "fp16" : "bf16") << ", "
       << (fp16 ? 65504.0 : 3.3895314e38) << "; the largest is "
       << at::abs(given).max().item<float>();
  throw Error(ErrorKind::diverged, text.str(),
              fp16 ? "set format = \"bf16\", which has the range of float32"
                   : "keep the layer in float (keep_float)");
}

class Half : public Quantizer {
 public:
  explicit Half(const HalfSettings& settings) : settings_(settings) {}
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<HalfWeight>(settings_);
  }
  std::unique_ptr<InputQuantizer> input(const SlotInfo& slot) override {
    if (!takes_input(slot.op, settings_.joins, settings_.pools)) return nullptr;
    return std::make_unique<HalfInput>(settings_);
  }

 private:
  HalfSettings settings_;
};

}  // namespace

HalfSettings HalfSettings::from(const Options& options) {
  HalfSettings s;
  if (options.string("format") == "bf16") s.format = HalfFormat::bf16;
  s.training = training_from(options);
  s.joins = options.boolean("joins");
  s.pools = options.boolean("pools");
  return s;
}

at::Tensor rounded(const at::Tensor& x, HalfFormat format) {
  return x.to(format == HalfFormat::fp16 ? at::kHalf : at::kBFloat16).to(at::kFloat);
}

Encoding HalfWeight::encoding(const SlotInfo&) const {
  return encoding_of(settings_.format);
}

at::Tensor HalfWeight::forward(const SlotContext& context, const at::Tensor& latent) {
  if (rests_as_float(settings_.training, context)) return latent;
  return ste::straight_through(latent, rounded(latent.detach(), settings_.format));
}

Encoded HalfWeight::encode(const SlotContext& context, const at::Tensor& latent) {
  Encoded encoded;
  encoded.encoding = encoding_of(settings_.format);
  encoded.codes = rounded(latent.detach(), settings_.format);
  require_representable(settings_, context, latent.detach(), encoded.codes);
  return encoded;
}

Encoding HalfInput::encoding(const SlotInfo&) const {
  return encoding_of(settings_.format);
}

QuantizedInput HalfInput::forward(const SlotContext& context, const at::Tensor& x) {
  if (rests_as_float(settings_.training, context)) return {.value = x};
  return {.value = ste::straight_through(x, rounded(x.detach(), settings_.format))};
}

EncodedInput HalfInput::encode(const SlotContext& context, const at::Tensor& x) {
  EncodedInput result;
  result.codes.encoding = encoding_of(settings_.format);
  result.codes.codes = rounded(x.detach(), settings_.format);
  require_representable(settings_, context, x.detach(), result.codes.codes);
  return result;
}

QuantizerMethod half_method() {
  return {
      .name = "ptq_half",
      .summary = "weights and inputs rounded to fp16 or bf16, arithmetic in float32",
      .paper = "IEEE 754-2019 binary16; bfloat16: Kalamkar et al., arXiv 1905.12322",
      .options = {Option::string("format", "fp16", "the 16-bit format").one_of({"fp16", "bf16"}),
                  training_option(), joins_option(), pools_option()},
      .roles = {Role::weight, Role::input},
      .keep_float = {},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<Half>(HalfSettings::from(given));
      },
  };
}

}  // namespace qhost::ptq

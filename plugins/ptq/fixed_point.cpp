#include "fixed_point.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "affine.h"
#include "checks.h"
#include "exponent.h"
#include "qhost/error.h"
#include "qhost/ste.h"

namespace qhost::ptq {
namespace {

constexpr const char* fixed_point_name = "ptq_fixed_point";

class FixedPoint : public Quantizer {
 public:
  explicit FixedPoint(const FixedPointSettings& settings) : settings_(settings) {
    if (settings.scope == Scope::network) shared_ = std::make_shared<SharedExponent>(settings.bits);
  }
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<FixedPointWeight>(settings_, shared_);
  }
  Traits traits() const override {
    Traits traits;
    // A network that was trained elsewhere reports its weights in no other way.
    traits.needs_calibration = settings_.scope == Scope::network;
    return traits;
  }

 private:
  FixedPointSettings settings_;
  std::shared_ptr<SharedExponent> shared_;
};

}  // namespace

FixedPointSettings FixedPointSettings::from(const Options& options) {
  FixedPointSettings s;
  s.bits = static_cast<int>(options.integer("bits"));
  const std::string& scope = options.string("scope");
  if (scope == "network") s.scope = Scope::network;
  if (scope == "channel") s.scope = Scope::channel;
  s.training = training_from(options);
  return s;
}

std::size_t SharedExponent::add_slot(const at::Tensor& exponent, const at::Tensor& known) {
  members_.push_back({exponent, known, {}});
  return members_.size() - 1;
}

std::size_t SharedExponent::reported() const {
  return static_cast<std::size_t>(
      std::count_if(members_.begin(), members_.end(),
                    [](const Member& member) { return member.latent.defined(); }));
}

void SharedExponent::report(std::size_t slot, const at::Tensor& latent) {
  const at::NoGradGuard no_grad;
  members_.at(slot).latent = latent.detach();
  if (reported() != slots()) return;
  std::vector<at::Tensor> all;
  for (Member& member : members_) {
    all.push_back(member.latent.reshape({1, -1}));
    member.latent = at::Tensor();
  }
  const int v = best_exponents(at::cat(all, 1), bits_).front();
  for (Member& member : members_) {
    member.exponent.fill_(v);
    member.known.fill_(1);
  }
}

FixedPointWeight::FixedPointWeight(const FixedPointSettings& settings,
                                   std::shared_ptr<SharedExponent> shared)
    : settings_(settings), shared_(std::move(shared)) {
  if (!shared_) return;
  exponent_ = at::zeros({}, at::kFloat);
  known_ = at::zeros({}, at::kFloat);
  slot_ = shared_->add_slot(exponent_, known_);
}

Encoding FixedPointWeight::encoding(const SlotInfo&) const {
  const ScaleKind scale =
      settings_.scope == Scope::channel ? ScaleKind::channel : ScaleKind::tensor;
  if (settings_.bits == 1) return Encoding::binary(scale);
  return Encoding::uniform(settings_.bits, scale, ZeroPointKind::tensor);
}

std::vector<SlotParameter> FixedPointWeight::parameters() {
  if (!shared_) return {};
  return {{.name = "exponent", .tensor = exponent_, .trainable = false},
          {.name = "known", .tensor = known_, .trainable = false}};
}

void FixedPointWeight::initialize(const SlotContext&, at::Tensor& latent) {
  if (shared_) shared_->report(slot_, latent);
}

void FixedPointWeight::observe(const SlotContext&, const at::Tensor& latent) {
  if (shared_) shared_->report(slot_, latent);
}

void FixedPointWeight::after_step(const SlotContext&, at::Tensor& latent) {
  if (shared_) shared_->report(slot_, latent);
}

at::Tensor FixedPointWeight::step(const SlotContext& context, const at::Tensor& latent) const {
  std::vector<float> steps;
  if (shared_) {
    if (known_.item<float>() == 0) {
      throw Error(ErrorKind::internal,
                  std::string(fixed_point_name) + ": " + slot_text(*context.slot) +
                      " has no exponent yet: " + std::to_string(shared_->reported()) + " of " +
                      std::to_string(shared_->slots()) +
                      " layers of scope = \"network\" have shown their weights",
                  "calibrate the network first, or set scope = \"layer\"");
    }
    steps.push_back(std::ldexp(1.0F, static_cast<int>(exponent_.item<float>())));
  } else {
    const bool channels = settings_.scope == Scope::channel;
    const at::Tensor rows = latent.reshape({channels ? latent.size(0) : 1, -1});
    for (const int v : best_exponents(rows, settings_.bits)) steps.push_back(std::ldexp(1.0F, v));
  }
  const at::Tensor result = at::tensor(steps, latent.options());
  return settings_.scope == Scope::channel ? result : result.reshape({});
}

at::Tensor FixedPointWeight::forward(const SlotContext& context, const at::Tensor& latent) {
  if (rests_as_float(settings_.training, context)) return latent;
  if (settings_.bits == 1) {
    return ste::straight_through(latent, decode(encode(context, latent)));
  }
  const CodeRange range = CodeRange::signed_bits(settings_.bits);
  const at::Tensor scale = step(context, latent.detach());
  return fake_quantize(latent, {scale, at::zeros({}, latent.options().dtype(at::kInt))}, range, 0);
}

Encoded FixedPointWeight::encode(const SlotContext& context, const at::Tensor& latent) {
  const at::NoGradGuard no_grad;
  const at::Tensor w = latent.detach();
  if (settings_.bits > 1) {
    const CodeRange range = CodeRange::signed_bits(settings_.bits);
    const AffineParams params{step(context, w), at::zeros({}, w.options().dtype(at::kInt))};
    return encode_affine(w, params, range, encoding(*context.slot), 0);
  }
  Encoded encoded;
  encoded.encoding = encoding(*context.slot);
  encoded.codes = at::ge(w, 0).to(at::kByte);
  encoded.scale = step(context, w);
  return encoded;
}

QuantizerMethod fixed_point_method() {
  return {
      .name = "ptq_fixed_point",
      .summary = "weights as integers times the power of two with the best SQNR",
      .paper = "IMT Atlantique, efficient deep learning, lecture 2 (fixed-point search)",
      .options =
          {
              Option::integer("bits", 8,
                              "of a weight; 1: -s and +s, s the power of two nearest to "
                              "the mean |W|")
                  .at_least(1)
                  .at_most(8),
              Option::string("scope", "layer", "what shares one power of two")
                  .one_of({"network", "layer", "channel"}),
              training_option(),
          },
      .roles = {Role::weight},
      .keep_float = {},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        return std::make_unique<FixedPoint>(FixedPointSettings::from(given));
      },
  };
}

}  // namespace qhost::ptq

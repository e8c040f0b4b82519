#include "conformance/gradients.h"

#include <ATen/ATen.h>

#include <functional>

#include "conformance/variants.h"
#include "qhost/error.h"

namespace qhost::conformance {
namespace {

SlotInfo slot_of(Op op, std::vector<std::int64_t> shape) {
  SlotInfo slot;
  slot.node = "layer";
  slot.op = op;
  slot.role = Role::gradient;
  slot.shape = std::move(shape);
  return slot;
}

SlotContext context_of(const SlotInfo& slot, std::int64_t step) {
  SlotContext context;
  context.slot = &slot;
  context.step = step;
  context.steps = 100;
  context.epochs = 2;
  context.seed = 12;
  return context;
}

/// Of 8 images; those of a loss that is a mean are as small as this.
at::Tensor sample(const SlotInfo& slot) {
  std::vector<std::int64_t> shape = slot.shape;
  shape.insert(shape.begin(), 8);
  return uniform_like(Random(31), at::empty(shape, at::kFloat)).sub_(0.5).mul_(1e-3);
}

std::string check_shape(GradientQuantizer& quantizer, const SlotInfo& slot) {
  const at::Tensor g = sample(slot), before = g.clone();
  const at::Tensor quantized = quantizer.backward(context_of(slot, 0), g);
  if (quantized.sizes() != g.sizes()) return "backward() gives another shape";
  if (quantized.scalar_type() != at::kFloat) return "backward() gives no float32";
  if (!at::isfinite(quantized).all().item<bool>()) return "backward() gives what is not finite";
  if (!at::equal(g, before)) return "backward() changes what it is given";
  return quantizer.summary().empty() ? "summary() says nothing" : "";
}

std::string check_zeros(GradientQuantizer& quantizer, const SlotInfo& slot) {
  const at::Tensor none = quantizer.backward(context_of(slot, 0), sample(slot).zero_());
  return at::isfinite(none).all().item<bool>() ? "" : "gradients of 0 give what is not finite";
}

std::string check_determinism(GradientQuantizer& one, GradientQuantizer& other,
                              const SlotInfo& slot) {
  const at::Tensor a = one.backward(context_of(slot, 3), sample(slot));
  const at::Tensor b = other.backward(context_of(slot, 3), sample(slot));
  return at::equal(a, b) ? "" : "the same seed and step give other values";
}

}  // namespace

bool check_gradients(const QuantizerMethod& method, std::vector<Finding>& findings) {
  const SlotInfo slots[] = {slot_of(Op::conv2d, {6, 8, 8}), slot_of(Op::linear, {5})};
  bool taken = false;
  for (const Variant& variant : variants(method.options, Integers::smallest_too)) {
    for (const SlotInfo& slot : slots) {
      const at::NoGradGuard no_grad;
      std::unique_ptr<GradientQuantizer> one, other;
      try {
        const std::unique_ptr<Quantizer> quantizer = method.create(variant.options);
        one = quantizer->gradient(slot);
        other = quantizer->gradient(slot);
      } catch (const OptionError&) {
        continue;  // options that do not go together
      }
      if (one == nullptr) continue;
      taken = true;
      const auto add = [&](const char* check, const std::function<std::string()>& work) {
        Finding finding{check, variant.name + ", " + to_string(slot.op) + " gradient", ""};
        const std::string thrown = failure_of([&] { finding.failure = work(); });
        if (!thrown.empty()) finding.failure = thrown;
        findings.push_back(std::move(finding));
      };
      add("shape", [&] { return check_shape(*one, slot); });
      add("gradients of 0", [&] { return check_zeros(*one, slot); });
      add("determinism", [&] { return check_determinism(*one, *other, slot); });
    }
  }
  return taken;
}

}  // namespace qhost::conformance

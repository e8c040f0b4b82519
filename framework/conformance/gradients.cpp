#include "conformance/gradients.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <functional>

#include "conformance/slots.h"
#include "conformance/variants.h"
#include "qhost/error.h"

namespace qhost::conformance {
namespace {

/// A gradient of 8 images, as small as that of a mean loss.
at::Tensor sample(const SlotInfo& slot, bool channels_last = false) {
  std::vector<std::int64_t> shape = slot.shape;
  shape.insert(shape.begin(), 8);
  const at::Tensor g = uniform_like(Random(31), at::empty(shape, at::kFloat)).sub_(0.5).mul_(1e-3);
  return channels_last ? g.contiguous(at::MemoryFormat::ChannelsLast) : g;
}

at::Tensor quantized(GradientQuantizer& quantizer, const SlotInfo& slot, std::int64_t step,
                     const at::Tensor& g) {
  return quantizer.backward(context_of(slot, Mode::train, step), g);
}

std::string check_shape(GradientQuantizer& quantizer, const SlotInfo& slot) {
  const at::Tensor g = sample(slot), before = g.clone();
  const at::Tensor result = quantized(quantizer, slot, 0, g);
  if (!at::equal(g, before)) return "backward() changes what it is given";
  if (result.sizes() != g.sizes()) return "backward() gives another shape";
  if (result.scalar_type() != at::kFloat) return "backward() gives no float32";
  if (!at::isfinite(result).all().item<bool>()) return "backward() gives what is not finite";
  return quantizer.summary().empty() ? "summary() says nothing" : "";
}

std::string check_layouts(GradientQuantizer& quantizer, const SlotInfo& slot) {
  if (slot.shape.size() != 3) return "";
  const at::Tensor contiguous = quantized(quantizer, slot, 2, sample(slot));
  const at::Tensor channels_last = quantized(quantizer, slot, 2, sample(slot, true));
  return at::equal(contiguous, channels_last)
             ? ""
             : "backward() gives other values for a channels_last gradient";
}

std::string check_zeros(GradientQuantizer& quantizer, const SlotInfo& slot) {
  const at::Tensor none = quantized(quantizer, slot, 0, sample(slot).zero_());
  return at::isfinite(none).all().item<bool>() ? "" : "gradients of 0 give what is not finite";
}

std::string check_determinism(GradientQuantizer& one, GradientQuantizer& other,
                              const SlotInfo& slot) {
  const at::Tensor a = quantized(one, slot, 3, sample(slot));
  const at::Tensor b = quantized(other, slot, 3, sample(slot));
  return at::equal(a, b) ? "" : "the same seed and step give other values";
}

}  // namespace

bool check_gradients(const QuantizerMethod& method, std::vector<Finding>& findings) {
  const Slot conv = affine_slot(Op::conv2d, Role::gradient, 4, 6);
  const Slot linear = affine_slot(Op::linear, Role::gradient, 40, 5);
  bool taken = false;
  for (const Variant& variant : variants(method.options, Integers::smallest_too)) {
    for (const Slot& slot : {conv, linear, as_first(conv), as_last(linear)}) {
      const at::NoGradGuard no_grad;
      std::unique_ptr<GradientQuantizer> one, other;
      try {
        const std::unique_ptr<Quantizer> quantizer = method.create(variant.options);
        if (quantizer == nullptr) continue;  // check_quantizer reports it
        one = quantizer->gradient(slot.info);
        other = quantizer->gradient(slot.info);
      } catch (const OptionError&) {
        continue;  // options that exclude each other
      } catch (...) {
        findings.push_back(
            {"slots", variant.name + ", " + slot.name, "threw: " + exception_text()});
        continue;
      }
      if (one == nullptr) continue;
      taken = true;
      const auto add = [&](const char* check, const std::function<std::string()>& work) {
        Finding finding{check, variant.name + ", " + slot.name, ""};
        const std::string thrown = failure_of([&] { finding.failure = work(); });
        if (!thrown.empty()) finding.failure = thrown;
        findings.push_back(std::move(finding));
      };
      add("shape", [&] { return check_shape(*one, slot.info); });
      add("layouts", [&] { return check_layouts(*one, slot.info); });
      add("gradients of 0", [&] { return check_zeros(*one, slot.info); });
      add("determinism", [&] { return check_determinism(*one, *other, slot.info); });
    }
  }
  return taken;
}

}  // namespace qhost::conformance

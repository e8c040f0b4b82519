/// Checks of quantizers in single slots.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "conformance/gradients.h"
#include "conformance/slots.h"
#include "conformance/variants.h"
#include "model/check_encoded.h"
#include "qhost/error.h"

namespace qhost::conformance {
namespace {

std::vector<Slot> all_slots() {
  const auto conv = [](Role role) { return affine_slot(Op::conv2d, role, 6, 8); };
  const auto linear = [](Role role) { return affine_slot(Op::linear, role, 40, 5); };
  std::vector<Slot> slots;
  for (const Role role : {Role::weight, Role::input}) {
    for (const Slot& slot :
         {conv(role), linear(role), as_first(conv(role)), as_last(linear(role))}) {
      slots.push_back(slot);
    }
  }
  slots.push_back(non_negative(conv(Role::input)));
  for (const Op op :
       {Op::add, Op::concat, Op::max_pool, Op::average_pool, Op::global_average_pool}) {
    slots.push_back(joining_slot(op));
  }
  return slots;
}

at::Tensor uniform(const std::vector<std::int64_t>& shape, double bound, std::uint64_t key) {
  return uniform_like(Random(key), at::empty(shape, at::kFloat)).mul_(2).sub_(1).mul_(bound);
}

/// A bell-shaped tensor, the sum of four uniform numbers: most are near 0, some far from it.
at::Tensor bell(const std::vector<std::int64_t>& shape, double deviation, std::uint64_t key) {
  at::Tensor sum = uniform(shape, 1, key);
  for (std::uint64_t i = 1; i < 4; ++i) sum = sum + uniform(shape, 1, key + i);
  return sum.mul_(deviation / std::sqrt(4.0 / 3.0));
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() &&
         at::equal(a.detach().contiguous().view(at::kInt), b.detach().contiguous().view(at::kInt));
}

std::string difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return "shapes differ";
  const auto count = at::ne(a, b).sum().item<std::int64_t>();
  return std::to_string(count) + " of " + std::to_string(a.numel()) +
         " values differ, by at most " + std::to_string((a - b).abs().max().item<double>());
}

/// A weight or an input, through one interface.
class Subject {
 public:
  Subject(const QuantizerMethod& method, const Options& options, const Slot& slot) : slot_(slot) {
    quantizer_ = method.create(options);
    if (quantizer_ == nullptr) throw Error(ErrorKind::plugin, "create() gives null");
    if (is_weight()) {
      weight_ = quantizer_->weight(slot.info);
    } else {
      input_ = quantizer_->input(slot.info);
    }
  }
  bool taken() const { return weight_ != nullptr || input_ != nullptr; }
  bool is_weight() const { return slot_.info.role == Role::weight; }
  const SlotInfo& info() const { return slot_.info; }

  /// A tensor such as the slot receives. Inputs have 8 samples.
  at::Tensor sample(double deviation, std::uint64_t key) const {
    if (is_weight()) return bell(slot_.info.shape, deviation, key);
    std::vector<std::int64_t> shape = slot_.info.shape;
    shape.insert(shape.begin(), 8);
    at::Tensor x = bell(shape, deviation, key);
    return slot_.info.non_negative || input_->range() == InputRange::non_negative ? x.abs() : x;
  }

  /// True if the input is never negative, but its codes may cover both sides of 0: then some codes
  /// cannot occur.
  bool is_one_sided() const {
    return !is_weight() && slot_.info.non_negative && input_->range() != InputRange::non_negative;
  }

  std::vector<SlotParameter> parameters() {
    return is_weight() ? weight_->parameters() : input_->parameters();
  }
  Encoding encoding() const {
    return is_weight() ? weight_->encoding(slot_.info) : input_->encoding(slot_.info);
  }
  /// Starts the slot as the host does: initialize, then calibration if the method needs it.
  void start(at::Tensor latent) {
    const at::NoGradGuard no_grad;
    const SlotContext begin = context_of(slot_.info, Mode::train);
    const SlotContext watch = context_of(slot_.info, Mode::calibrate);
    const bool calibrates = quantizer_->traits().needs_calibration;
    if (is_weight()) {
      weight_->initialize(begin, latent);
      if (calibrates) weight_->observe(watch, latent);
      return;
    }
    input_->initialize(begin);
    if (calibrates) input_->observe(watch, latent);
    // Methods that take their first range from the first batch need this call.
    input_->forward(begin, latent);
  }
  /// Starts it as the host does for a weight that train.init_from loaded.
  void start_pretrained(at::Tensor& latent) {
    const at::NoGradGuard no_grad;
    SlotContext begin = context_of(slot_.info, Mode::train);
    begin.pretrained = true;
    weight_->initialize(begin, latent);
  }
  at::Tensor forward(const at::Tensor& x, Mode mode, std::int64_t step = 0) {
    const SlotContext context = context_of(slot_.info, mode, step);
    return is_weight() ? weight_->forward(context, x) : input_->forward(context, x).value;
  }
  Encoded encode(const at::Tensor& x) {
    const at::NoGradGuard no_grad;
    const SlotContext context = context_of(slot_.info, Mode::evaluate);
    return is_weight() ? weight_->encode(context, x) : input_->encode(context, x).codes;
  }
  at::Tensor decoded(const Encoded& encoded) const { return decode(encoded, is_weight() ? 0 : 1); }
  void after_step(at::Tensor& latent) {
    const at::NoGradGuard no_grad;
    const SlotContext context = context_of(slot_.info, Mode::train);
    if (is_weight()) {
      weight_->after_step(context, latent);
    } else {
      input_->after_step(context);
    }
  }

 private:
  const Slot& slot_;
  std::unique_ptr<Quantizer> quantizer_;
  std::unique_ptr<WeightQuantizer> weight_;
  std::unique_ptr<InputQuantizer> input_;
};

std::string check_shape(Subject& subject) {
  const at::Tensor x = subject.sample(0.5, 3);
  const at::Tensor y = subject.forward(x, Mode::train);
  if (y.sizes() != x.sizes()) return "forward() gives another shape";
  if (y.scalar_type() != at::kFloat) return "forward() gives no float32";
  if (!at::isfinite(y).all().item<bool>()) return "forward() gives values that are not finite";
  return "";
}

std::string check_gradient(Subject& subject) {
  const at::Tensor x = subject.sample(0.5, 4).requires_grad_();
  const at::Tensor g = uniform(x.sizes().vec(), 1, 5);
  const at::Tensor y = subject.forward(x, Mode::train);
  if (!y.requires_grad()) return "forward() passes no gradient";
  (y * g).sum().backward();
  if (!x.grad().defined()) return "no gradient reaches the tensor";
  if (!at::isfinite(x.grad()).all().item<bool>()) return "it is not finite";
  if (x.grad().abs().max().item<double>() == 0) return "it is 0 everywhere";
  return "";
}

std::string check_encoding(Subject& subject) {
  const at::Tensor x = subject.sample(0.5, 6);
  const Encoded encoded = subject.encode(x);
  const std::string why = broken_promise(subject.encoding(), encoded, x.sizes(),
                                         subject.is_weight() ? 0 : 1, EncodedCheck::form);
  if (!why.empty()) return why;
  if (encoded.scale.defined() && !at::isfinite(encoded.scale).all().item<bool>()) {
    return "a scale is not finite";
  }
  return "";
}

std::string check_decoding(Subject& subject) {
  if (subject.encoding().ensemble_size > 1) return "";  // forward() of an ensemble draws one member
  const at::Tensor x = subject.sample(0.5, 7);
  const at::NoGradGuard no_grad;
  const at::Tensor forward = subject.forward(x, Mode::evaluate);
  const at::Tensor decoded = subject.decoded(subject.encode(x));
  return at::equal(forward, decoded) ? "" : difference(forward, decoded);
}

/// Compares the possible codes with those that occur on tensors from far too narrow to far too
/// wide.
std::string check_levels(Subject& subject) {
  const Encoding encoding = subject.encoding();
  if (encoding.is_float()) return "";
  const int codes = encoding.code_count();
  std::set<int> seen;
  for (const double width : {0.02, 0.1, 0.3, 0.5, 1.0, 2.0, 8.0, 32.0}) {
    for (const bool ramp : {false, true}) {
      at::Tensor x = subject.sample(width, 8);
      if (ramp) {
        const at::Tensor line = at::linspace(-width, width, x.numel(), at::kFloat);
        // In random order, so that each channel gets the whole range.
        const at::Tensor order = at::argsort(uniform({x.numel()}, 1, 9));
        x = line.index_select(0, order).reshape(x.sizes());
        if (subject.sample(1, 1).min().item<double>() >= 0) x = x.abs();
      }
      const at::Tensor flat = subject.encode(x).codes.reshape(-1).to(at::kLong);
      const at::Tensor counts = at::bincount(flat, {}, 256);
      for (int code = 0; code < 256; ++code) {
        if (counts[code].item<std::int64_t>() > 0) seen.insert(code);
      }
    }
  }
  if (*seen.rbegin() >= codes) {
    return "the code " + std::to_string(*seen.rbegin()) + " occurs, the encoding has " +
           std::to_string(codes);
  }
  // Levels -q .. q around 0 do not use the last code.
  const at::Tensor zero = subject.encode(subject.sample(0.5, 8)).zero_point;
  const bool symmetric = zero.defined() && at::eq(zero, codes - 2).all().item<bool>();
  const int wanted = symmetric ? codes - 1 : codes;
  if (codes <= 16 && static_cast<int>(seen.size()) < wanted && !subject.is_one_sided()) {
    return "only " + std::to_string(seen.size()) + " of " + std::to_string(wanted) + " codes occur";
  }
  return "";
}

std::string check_sign_of_zero(Subject& subject) {
  const Encoding encoding = subject.encoding();
  if (encoding.kind != CodeKind::binary || encoding.ensemble_size > 1) return "";
  at::Tensor x = subject.sample(0.5, 10);
  x.view(-1)[0] = 0.0F;
  x.view(-1)[1] = -0.0F;
  const at::Tensor level = levels(subject.encode(x), subject.is_weight() ? 0 : 1).reshape(-1);
  const at::Tensor forward = subject.forward(x, Mode::evaluate).reshape(-1);
  for (const int i : {0, 1}) {
    if (level[i].item<double>() == encoding.sign_of_zero &&
        std::signbit(forward[i].item<double>()) == (encoding.sign_of_zero < 0)) {
      continue;
    }
    return std::string("sign(") + (i == 0 ? "+0" : "-0") + ") is " +
           std::to_string(level[i].item<int>()) + ", the encoding says " +
           std::to_string(encoding.sign_of_zero);
  }
  return "";
}

std::string check_untouched(Subject& subject) {
  const at::NoGradGuard no_grad;
  const at::Tensor x = subject.sample(1.5, 11), before = x.clone();
  subject.encode(x);
  if (!same_bits(x, before)) return "encode() changes it: " + difference(x, before);
  subject.forward(x, Mode::evaluate);
  if (!same_bits(x, before)) return "forward() changes it: " + difference(x, before);
  return "";
}

/// Tests a tensor of zeros from the start on, as in a dead layer or behind one.
std::string check_zeros(const QuantizerMethod& method, const Variant& variant, const Slot& slot) {
  Subject subject(method, variant.options, slot);
  at::Tensor zeros = subject.sample(0.5, 16).zero_();
  subject.start(zeros);
  const at::Tensor x = zeros.clone().requires_grad_();
  const at::Tensor y = subject.forward(x, Mode::train);
  if (!at::isfinite(y).all().item<bool>()) return "forward() gives values that are not finite";
  if (y.requires_grad()) (y * uniform(y.sizes().vec(), 10, 17)).sum().backward();
  if (x.grad().defined() && !at::isfinite(x.grad()).all().item<bool>()) {
    return "the gradient is not finite";
  }
  for (const SlotParameter& p : subject.parameters()) {
    if (p.tensor.grad().defined() && !at::isfinite(p.tensor.grad()).all().item<bool>()) {
      return "the gradient of " + p.name + " is not finite";
    }
  }
  subject.after_step(zeros);
  const at::Tensor stored = subject.decoded(subject.encode(zeros));
  return at::isfinite(stored).all().item<bool>() ? "" : "encode() gives values that are not finite";
}

std::string check_after_step(Subject& subject) {
  if (!subject.is_weight()) return "";
  // Clipping settles after one call, clipping with centering after some calls.
  at::Tensor x = subject.sample(1.5, 12);
  for (int i = 0; i < 1000; ++i) subject.after_step(x);
  const at::Tensor settled = x.clone();
  subject.after_step(x);
  return at::allclose(x, settled, 1e-4, 1e-4) ? "" : difference(x, settled);
}

std::string check_state(const QuantizerMethod& method, const Variant& variant, const Slot& slot,
                        Subject& subject) {
  Subject other(method, variant.options, slot);
  const at::NoGradGuard no_grad;
  const auto from = subject.parameters(), to = other.parameters();
  if (from.size() != to.size()) return "two objects of one slot have different parameters";
  for (std::size_t i = 0; i < from.size(); ++i) {
    if (from[i].name != to[i].name || from[i].tensor.sizes() != to[i].tensor.sizes()) {
      return "two objects of one slot have different parameters: " + from[i].name + ", " +
             to[i].name;
    }
    to[i].tensor.copy_(from[i].tensor);
  }
  const at::Tensor x = subject.sample(0.7, 13);
  const Encoded a = subject.encode(x), b = other.encode(x);
  if (!at::equal(a.codes, b.codes)) return "its codes differ: " + difference(a.codes, b.codes);
  if (a.scale.defined() && !same_bits(a.scale, b.scale)) return "its scale differs";
  return "";
}

/// For a new object: a method may prepare trained weights (center, clip), but must not replace
/// them.
std::string check_pretrained(const QuantizerMethod& method, const Variant& variant,
                             const Slot& slot) {
  Subject subject(method, variant.options, slot);
  if (!subject.is_weight()) return "";
  const at::Tensor before = subject.sample(0.5, 15);
  at::Tensor latent = before.clone();
  try {
    subject.start_pretrained(latent);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::configuration) return "";  // a method may refuse with this error
    throw;
  }
  const auto kept = at::eq(latent.sign(), before.sign()).to(at::kDouble).mean().item<double>();
  return kept > 0.75 ? ""
                     : "only " + std::to_string(kept * 100).substr(0, 4) +
                           " % of the weights keep their sign: they are drawn anew";
}

std::string check_determinism(const QuantizerMethod& method, const Variant& variant,
                              const Slot& slot) {
  at::Tensor first[2], second[2];
  for (int i = 0; i < 2; ++i) {
    Subject subject(method, variant.options, slot);
    at::Tensor start = subject.sample(0.5, 1);
    subject.start(start);
    const at::NoGradGuard no_grad;
    first[i] = subject.forward(subject.sample(0.5, 14), Mode::train, 3).clone();
    second[i] = subject.encode(subject.sample(0.5, 14)).codes.clone();
  }
  if (!at::equal(first[0], first[1])) return "training: " + difference(first[0], first[1]);
  if (!at::equal(second[0], second[1])) return "evaluation: " + difference(second[0], second[1]);
  return "";
}

}  // namespace

std::vector<Finding> check_quantizer(const QuantizerMethod& method) {
  std::vector<Finding> findings;
  check_options(method.options, findings);
  std::set<Role> taken;
  const std::vector<Slot> slots = all_slots();
  if (check_gradients(method, findings)) taken.insert(Role::gradient);
  for (const Variant& variant : variants(method.options, Integers::smallest_too)) {
    for (const Slot& slot : slots) {
      const std::string where = variant.name + ", " + slot.name;
      if (std::find(method.roles.begin(), method.roles.end(), slot.info.role) ==
          method.roles.end()) {
        continue;
      }
      std::unique_ptr<Subject> subject;
      try {
        subject = std::make_unique<Subject>(method, variant.options, slot);
      } catch (const OptionError&) {
        continue;  // options that exclude each other
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::configuration) continue;  // or that do not fit this slot
        findings.push_back({"slots", where, error.what()});
        continue;
      } catch (...) {
        findings.push_back({"slots", where, "threw: " + exception_text()});
        continue;
      }
      if (!subject->taken()) continue;
      taken.insert(slot.info.role);
      const std::string start = failure_of([&] { subject->start(subject->sample(0.5, 1)); });
      findings.push_back({"starts", where, start});
      if (!start.empty()) continue;
      const auto add = [&](const char* check, auto work) {
        Finding finding{check, where, ""};
        const std::string thrown = failure_of([&] { finding.failure = work(); });
        if (!thrown.empty()) finding.failure = thrown;
        findings.push_back(std::move(finding));
      };
      add("shape", [&] { return check_shape(*subject); });
      add("determinism", [&] { return check_determinism(method, variant, slot); });
      add("pretrained", [&] { return check_pretrained(method, variant, slot); });
      add("gradient", [&] { return check_gradient(*subject); });
      add("encoding", [&] { return check_encoding(*subject); });
      add("decoding", [&] { return check_decoding(*subject); });
      add("levels", [&] { return check_levels(*subject); });
      add("sign of zero", [&] { return check_sign_of_zero(*subject); });
      add("untouched", [&] { return check_untouched(*subject); });
      add("zeros", [&] { return check_zeros(method, variant, slot); });
      add("after_step", [&] { return check_after_step(*subject); });
      add("state", [&] { return check_state(method, variant, slot, *subject); });
    }
  }
  for (const Role role : method.roles) {
    findings.push_back({"slots", std::string("role ") + to_string(role),
                        taken.count(role) != 0 ? "" : "is offered and no slot takes it"});
  }
  return findings;
}

}  // namespace qhost::conformance

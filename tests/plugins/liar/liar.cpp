/// The plugin `liar`: a correct architecture and a correct quantizer, which break a promise or
/// throw where their options say so: in a call of one role.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <stdexcept>

#include "qhost/architecture.h"
#include "qhost/error.h"
#include "qhost/plugin.h"
#include "qhost/quantizer.h"

namespace qhost::liar {
namespace {

struct Fault {
  std::string lie, throws_in, type;
  Role role = Role::weight;

  void at(const std::string& call, Role here) const {
    if (call == throws_in && here == role) raise();
  }
  bool lies(const std::string& about, Role here) const { return about == lie && here == role; }
  void raise() const {
    if (type == "int") throw 42;
    if (type == "torch") TORCH_CHECK(false, "no such tensor");
    if (type == "error") throw Error(ErrorKind::data, "no room", "make some");
    throw std::runtime_error("no room");
  }
};

std::vector<Option> options() {
  return {
      Option::string("lie", "none", "what is done otherwise")
          .one_of({"none", "null", "float_codes", "large_code", "many_scales", "flat_codes"}),
      Option::string("throws_in", "nothing", "the call that throws"),
      Option::string("role", "weight", "of what").one_of({"weight", "input", "gradient"}),
      Option::string("type", "exception", "what is thrown")
          .one_of({"exception", "int", "torch", "error"}),
  };
}

Fault fault_of(const Options& given) {
  Fault fault = {.lie = given.string("lie"),
                 .throws_in = given.string("throws_in"),
                 .type = given.string("type")};
  if (given.string("role") == "input") fault.role = Role::input;
  if (given.string("role") == "gradient") fault.role = Role::gradient;
  return fault;
}

/// x, with a backward pass that may throw.
class Identity : public torch::autograd::Function<Identity> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const Fault& fault, Role role) {
    context->saved_data["throws"] = fault.throws_in == "backward" && fault.role == role;
    context->saved_data["type"] = fault.type;
    return x.clone();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    if (context->saved_data["throws"].toBool()) {
      Fault{.type = context->saved_data["type"].toStringRef()}.raise();
    }
    return {gradients[0], at::Tensor(), at::Tensor()};
  }
};

/// round(x / 0.1) + 2 in 0 .. 3.
Encoded stored(const at::Tensor& x, const Encoding& encoding, const Fault& fault, Role role) {
  Encoded e;
  e.encoding = encoding;
  e.codes = x.detach().div(0.1).round().add(2).clamp(0, 3).to(at::kByte);
  e.scale = at::full({}, 0.1, at::kFloat);
  e.zero_point = at::full({}, 4, at::kInt);
  if (fault.lies("float_codes", role)) {
    e = {.encoding = Encoding::float32(), .codes = x.detach().clone()};
  }
  if (fault.lies("large_code", role)) e.codes.view(-1)[0] = 7;
  if (fault.lies("many_scales", role)) e.scale = at::full({3}, 0.1, at::kFloat);
  if (fault.lies("flat_codes", role)) e.codes = e.codes.flatten();
  return e;
}

const Encoding announced = Encoding::uniform(2, ScaleKind::tensor, ZeroPointKind::tensor);

class Weight : public WeightQuantizer {
 public:
  explicit Weight(Fault fault) : fault_(std::move(fault)) {}
  Encoding encoding(const SlotInfo&) const override {
    fault_.at("encoding", Role::weight);
    return announced;
  }
  std::vector<SlotParameter> parameters() override {
    fault_.at("parameters", Role::weight);
    return {};
  }
  LatentTraits latent_traits(const SlotInfo&) const override {
    fault_.at("latent_traits", Role::weight);
    return {};
  }
  void initialize(const SlotContext&, at::Tensor&) override {
    fault_.at("initialize", Role::weight);
  }
  void observe(const SlotContext&, const at::Tensor&) override {
    fault_.at("observe", Role::weight);
  }
  at::Tensor forward(const SlotContext&, const at::Tensor& latent) override {
    fault_.at("forward", Role::weight);
    return Identity::apply(latent, fault_, Role::weight);
  }
  void after_step(const SlotContext&, at::Tensor&) override {
    fault_.at("after_step", Role::weight);
  }
  Encoded encode(const SlotContext&, const at::Tensor& latent) override {
    fault_.at("encode", Role::weight);
    return stored(latent, announced, fault_, Role::weight);
  }

 private:
  Fault fault_;
};

class Input : public InputQuantizer {
 public:
  explicit Input(Fault fault) : fault_(std::move(fault)) {}
  Encoding encoding(const SlotInfo&) const override {
    fault_.at("encoding", Role::input);
    return announced;
  }
  InputRange range() const override {
    fault_.at("range", Role::input);
    return InputRange::any;
  }
  std::vector<SlotParameter> parameters() override {
    fault_.at("parameters", Role::input);
    return {};
  }
  void initialize(const SlotContext&) override { fault_.at("initialize", Role::input); }
  void observe(const SlotContext&, const at::Tensor&) override {
    fault_.at("observe", Role::input);
  }
  QuantizedInput forward(const SlotContext&, const at::Tensor& x) override {
    fault_.at("forward", Role::input);
    return {.value = Identity::apply(x, fault_, Role::input)};
  }
  void after_step(const SlotContext&) override { fault_.at("after_step", Role::input); }
  EncodedInput encode(const SlotContext&, const at::Tensor& x) override {
    fault_.at("encode", Role::input);
    return {.codes = stored(x, announced, fault_, Role::input)};
  }

 private:
  Fault fault_;
};

class Gradient : public GradientQuantizer {
 public:
  explicit Gradient(Fault fault) : fault_(std::move(fault)) {}
  at::Tensor backward(const SlotContext&, const at::Tensor& gradient) override {
    fault_.at("backward", Role::gradient);
    return fault_.lies("flat_codes", Role::gradient) ? gradient.flatten() : gradient;
  }
  std::string summary() const override {
    fault_.at("summary", Role::gradient);
    return "as it is";
  }

 private:
  Fault fault_;
};

class Liar : public Quantizer {
 public:
  explicit Liar(Fault fault) : fault_(std::move(fault)) {}
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    fault_.at("weight", Role::weight);
    return std::make_unique<Weight>(fault_);
  }
  std::unique_ptr<InputQuantizer> input(const SlotInfo&) override {
    fault_.at("input", Role::input);
    return std::make_unique<Input>(fault_);
  }
  std::unique_ptr<GradientQuantizer> gradient(const SlotInfo&) override {
    fault_.at("gradient", Role::gradient);
    return std::make_unique<Gradient>(fault_);
  }
  Traits traits() const override {
    fault_.at("traits", fault_.role);
    Traits traits;
    traits.needs_calibration = fault_.throws_in == "observe";
    return traits;
  }

 private:
  Fault fault_;
};

}  // namespace
}  // namespace qhost::liar

QHOST_PLUGIN(liar, "Breaks its word on demand", "Apache-2.0", "qhost") {
  using namespace qhost;
  registrar.add_quantizer({
      .name = "liar",
      .summary = "2 bits, or what its options ask",
      .paper = "none",
      .options = liar::options(),
      .roles = {Role::weight, Role::input, Role::gradient},
      .keep_float = {},
      .create = [](const Options& given) -> std::unique_ptr<Quantizer> {
        const liar::Fault fault = liar::fault_of(given);
        fault.at("create", fault.role);
        if (fault.lie == "null") return nullptr;
        return std::make_unique<liar::Liar>(fault);
      },
  });
  registrar.add_architecture({
      .name = "liar",
      .summary = "one linear layer, if it does not throw",
      .paper = "none",
      .options = liar::options(),
      .build =
          [](GraphBuilder& g, Value x, const ArchitectureContext& context, const Options& given) {
            const liar::Fault fault = liar::fault_of(given);
            fault.at("build", fault.role);
            return g.linear("fc", g.flatten("flat", x), {.out_features = context.classes});
          },
  });
}

// Runs the conformance suite on components that break one promise each: it must name that promise.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <regex>
#include <set>
#include <stdexcept>

#include "conformance/conformance.h"

namespace qhost::conformance {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// "CHECK: FAILURE" of each failed check, once each, without numbers that depend on the samples.
std::set<std::string> complaints(const std::vector<Finding>& findings) {
  std::set<std::string> texts;
  for (const Finding& finding : findings) {
    if (finding.holds()) continue;
    std::string text = finding.check + ": " + finding.failure;
    text = std::regex_replace(text, std::regex("[0-9]+ of [0-9]+ values differ, by at most .*"),
                              "values differ");
    texts.insert(std::regex_replace(text, std::regex("[0-9.]+ %"), "some %"));
  }
  return texts;
}

class Made : public Quantizer {
 public:
  std::function<std::unique_ptr<WeightQuantizer>(const SlotInfo&)> make_weight;
  std::function<std::unique_ptr<InputQuantizer>(const SlotInfo&)> make_input;
  std::function<std::unique_ptr<GradientQuantizer>(const SlotInfo&)> make_gradient;

  std::unique_ptr<WeightQuantizer> weight(const SlotInfo& slot) override {
    return make_weight ? make_weight(slot) : nullptr;
  }
  std::unique_ptr<InputQuantizer> input(const SlotInfo& slot) override {
    return make_input ? make_input(slot) : nullptr;
  }
  std::unique_ptr<GradientQuantizer> gradient(const SlotInfo& slot) override {
    return make_gradient ? make_gradient(slot) : nullptr;
  }
};

QuantizerMethod method_of(Role role, const std::function<void(Made&)>& fill) {
  QuantizerMethod method;
  method.name = "sample";
  method.roles = {role};
  method.create = [fill](const Options&) {
    auto made = std::make_unique<Made>();
    fill(*made);
    return made;
  };
  return method;
}

template <class Weight>
QuantizerMethod weight_method() {
  return method_of(Role::weight, [](Made& made) {
    made.make_weight = [](const SlotInfo&) { return std::make_unique<Weight>(); };
  });
}

template <class Input>
QuantizerMethod input_method() {
  return method_of(Role::input, [](Made& made) {
    made.make_input = [](const SlotInfo&) { return std::make_unique<Input>(); };
  });
}

template <class Gradient>
QuantizerMethod gradient_method() {
  return method_of(Role::gradient, [](Made& made) {
    made.make_gradient = [](const SlotInfo&) { return std::make_unique<Gradient>(); };
  });
}

template <class Weight>
std::set<std::string> of_weight() {
  return complaints(check_quantizer(weight_method<Weight>()));
}

template <class Input>
std::set<std::string> of_input() {
  return complaints(check_quantizer(input_method<Input>()));
}

template <class Gradient>
std::set<std::string> of_gradient() {
  return complaints(check_quantizer(gradient_method<Gradient>()));
}

/// `value`, with the gradient of x.
at::Tensor straight_through(const at::Tensor& x, const at::Tensor& value) {
  return value + (x - x.detach());
}

// ---- weights ------------------------------------------------------------------------------------

/// sign(w) times the mean magnitude of the initial weight: keeps every promise.
class Sign : public WeightQuantizer {
 public:
  Encoding encoding(const SlotInfo&) const override { return Encoding::binary(ScaleKind::tensor); }
  std::vector<SlotParameter> parameters() override {
    return {{.name = "scale", .tensor = scale_, .trainable = false}};
  }
  void initialize(const SlotContext&, at::Tensor& latent) override {
    scale_.copy_(latent.abs().mean());
  }
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    return straight_through(latent, decode(Sign::encode(context, latent.detach())));
  }
  Encoded encode(const SlotContext&, const at::Tensor& latent) override {
    return {.encoding = Encoding::binary(ScaleKind::tensor),
            .codes = at::ge(latent, 0).to(at::kByte),
            .scale = scale_.clone()};
  }

 protected:
  at::Tensor scale_ = at::ones({});
};

class HalvedForward : public Sign {
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    return Sign::forward(context, latent) / 2;
  }
};

class FlatForward : public Sign {
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    const at::Tensor value = Sign::forward(context, latent);
    return context.mode == Mode::train && !latent.requires_grad() ? value.flatten() : value;
  }
};

class DoubleForward : public Sign {
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    const at::Tensor value = Sign::forward(context, latent);
    return context.mode == Mode::train ? value.to(at::kDouble) : value;
  }
};

class InfiniteForward : public Sign {
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    const at::Tensor value = Sign::forward(context, latent);
    return context.mode == Mode::train ? value / 0 : value;
  }
};

class DetachedForward : public Sign {
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    return Sign::forward(context, latent).detach();
  }
};

class ZeroGradient : public Sign {
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    return Sign::forward(context, latent.detach()) + latent * 0;
  }
};

/// Each object has a different factor.
class UnkeyedForward : public Sign {
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    const at::Tensor value = Sign::forward(context, latent);
    return context.mode == Mode::train ? value * factor_ : value;
  }
  static inline double objects_ = 1;
  const double factor_ = objects_++;
};

class EncodeHalvesTheWeight : public Sign {
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override {
    latent.mul_(0.5);
    return Sign::encode(context, latent);
  }
};

class ForwardHalvesTheWeight : public Sign {
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    latent.detach().mul_(0.5);
    return Sign::forward(context, latent);
  }
};

/// Gives the code 2 for large weights.
class UndeclaredCode : public Sign {
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override {
    Encoded encoded = Sign::encode(context, latent);
    encoded.codes.masked_fill_(at::gt(latent, 5), 2);
    return encoded;
  }
};

class AlwaysOne : public Sign {
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    return straight_through(latent, decode(encode(context, latent.detach())));
  }
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override {
    Encoded encoded = Sign::encode(context, latent);
    encoded.codes.fill_(1);
    return encoded;
  }
};

class NegativeZero : public Sign {
  Encoding encoding(const SlotInfo&) const override {
    return Encoding::binary(ScaleKind::tensor, -1);
  }
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override {
    Encoded encoded = Sign::encode(context, latent);
    encoded.encoding.sign_of_zero = -1;
    return encoded;
  }
};

class OtherEncoding : public Sign {
  Encoding encoding(const SlotInfo&) const override { return Encoding::binary(ScaleKind::channel); }
};

class OneScaleForAllChannels : public Sign {
  Encoding encoding(const SlotInfo&) const override { return Encoding::binary(ScaleKind::channel); }
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override {
    Encoded encoded = Sign::encode(context, latent);
    encoded.encoding.scale = ScaleKind::channel;
    return encoded;
  }
};

class Drifts : public Sign {
  void after_step(const SlotContext&, at::Tensor& latent) override { latent.add_(0.01); }
};

class KeepsItsScaleToItself : public Sign {
  std::vector<SlotParameter> parameters() override { return {}; }
};

class DrawsAnew : public Sign {
  void initialize(const SlotContext& context, at::Tensor& latent) override {
    latent.copy_(uniform_like(context.random("weight"), latent).sub_(0.5));
    Sign::initialize(context, latent);
  }
};

/// Divides by the mean magnitude, which is 0 in a dead layer.
class DividesByItsMean : public Sign {
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    const at::Tensor mean = latent.detach().abs().mean();
    return Sign::forward(context, latent) / mean * mean;
  }
};

class DoesNotStart : public Sign {
  void initialize(const SlotContext&, at::Tensor&) override {
    throw std::runtime_error("no scale");
  }
};

TEST(Weights, ThatKeepEveryPromisePass) {
  EXPECT_THAT(of_weight<Sign>(), IsEmpty());
}

TEST(Weights, WhoseForwardIsWrong) {
  EXPECT_THAT(of_weight<HalvedForward>(), ElementsAre("decoding: values differ"));
  EXPECT_THAT(of_weight<FlatForward>(), ElementsAre("shape: forward() gives another shape"));
  EXPECT_THAT(of_weight<DoubleForward>(), ElementsAre("shape: forward() gives no float32"));
  EXPECT_THAT(
      of_weight<InfiniteForward>(),
      ElementsAre("gradient: it is not finite", "shape: forward() gives values that are not finite",
                  "zeros: forward() gives values that are not finite"));
  EXPECT_THAT(of_weight<UnkeyedForward>(), ElementsAre("determinism: training: values differ"));
}

TEST(Weights, WithoutAGradient) {
  EXPECT_THAT(of_weight<DetachedForward>(), ElementsAre("gradient: forward() passes no gradient"));
  EXPECT_THAT(of_weight<ZeroGradient>(), ElementsAre("gradient: it is 0 everywhere"));
}

TEST(Weights, ThatAreChanged) {
  EXPECT_THAT(of_weight<EncodeHalvesTheWeight>(),
              ElementsAre("untouched: encode() changes it: values differ"));
  EXPECT_THAT(of_weight<ForwardHalvesTheWeight>(),
              ElementsAre("untouched: forward() changes it: values differ"));
  EXPECT_THAT(of_weight<Drifts>(), ElementsAre("after_step: values differ"));
}

TEST(Weights, WhoseCodesAreNotThoseOfTheEncoding) {
  EXPECT_THAT(of_weight<UndeclaredCode>(),
              ElementsAre("levels: the code 2 occurs, the encoding has 2"));
  EXPECT_THAT(of_weight<AlwaysOne>(), ElementsAre("levels: only 1 of 2 codes occur"));
  EXPECT_THAT(of_weight<NegativeZero>(),
              ElementsAre("sign of zero: sign(+0) is 1, the encoding says -1"));
  EXPECT_THAT(of_weight<OtherEncoding>(),
              ElementsAre("encoding: encode() gives binary, scale per tensor, announced is binary, "
                          "scale per channel"));
  EXPECT_THAT(of_weight<OneScaleForAllChannels>(),
              ElementsAre("encoding: the scale has 1 number, the encoding 5",
                          "encoding: the scale has 1 number, the encoding 8"));
}

TEST(Weights, ThatLoseTheirState) {
  EXPECT_THAT(of_weight<KeepsItsScaleToItself>(), ElementsAre("state: its scale differs"));
}

TEST(Weights, ThatCannotBeZero) {
  EXPECT_THAT(of_weight<DividesByItsMean>(),
              testing::Contains("zeros: forward() gives values that are not finite"));
}

TEST(Methods, ThatGiveNoQuantizerOrThrow) {
  QuantizerMethod method = weight_method<Sign>();
  method.create = [](const Options&) -> std::unique_ptr<Quantizer> { return nullptr; };
  EXPECT_THAT(complaints(check_quantizer(method)),
              ElementsAre("slots: create() gives null", "slots: is offered and no slot takes it"));
  EXPECT_THAT(complaints(check_quantizer_in_network(method)),
              ElementsAre("network: create() gives null"));
  method.create = [](const Options&) -> std::unique_ptr<Quantizer> { throw 42; };
  EXPECT_THAT(complaints(check_quantizer(method)),
              ElementsAre("slots: is offered and no slot takes it",
                          "slots: threw: an exception of type int"));
  EXPECT_THAT(complaints(check_quantizer_in_network(method)),
              ElementsAre("network: an exception of type int"));
}

TEST(Weights, ThatStartWrong) {
  EXPECT_THAT(of_weight<DrawsAnew>(),
              ElementsAre("pretrained: only some % of the weights keep their sign: they are drawn "
                          "anew"));
  EXPECT_THAT(of_weight<DoesNotStart>(), ElementsAre("starts: threw: no scale"));
}

TEST(Weights, WrongInTheFirstOrTheLastLayerAlone) {
  const auto places = [](bool SlotInfo::*end) {
    const QuantizerMethod method = method_of(Role::weight, [end](Made& made) {
      made.make_weight = [end](const SlotInfo& slot) -> std::unique_ptr<WeightQuantizer> {
        if (slot.*end) return std::make_unique<HalvedForward>();
        return std::make_unique<Sign>();
      };
    });
    std::set<std::string> found;
    for (const Finding& finding : check_quantizer(method)) {
      if (!finding.holds()) found.insert(finding.configuration);
    }
    return found;
  };
  EXPECT_THAT(places(&SlotInfo::first), ElementsAre("defaults, first conv2d weight"));
  EXPECT_THAT(places(&SlotInfo::last), ElementsAre("defaults, last linear weight"));
}

// ---- inputs -------------------------------------------------------------------------------------

class SignOfInput : public InputQuantizer {
 public:
  Encoding encoding(const SlotInfo&) const override { return Encoding::binary(ScaleKind::none); }
  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override {
    const EncodedInput encoded = SignOfInput::encode(context, x.detach());
    return {.value = straight_through(x, decode(encoded.codes, 1))};
  }
  EncodedInput encode(const SlotContext&, const at::Tensor& x) override {
    return {.codes = {.encoding = Encoding::binary(ScaleKind::none),
                      .codes = at::ge(x, 0).to(at::kByte)}};
  }
};

class HalvedInput : public SignOfInput {
  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override {
    return {.value = SignOfInput::forward(context, x).value / 2};
  }
};

class EncodeHalvesTheInput : public SignOfInput {
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override {
    x.mul_(0.5);
    return SignOfInput::encode(context, x);
  }
};

class UndeclaredInputCode : public SignOfInput {
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override {
    EncodedInput encoded = SignOfInput::encode(context, x);
    encoded.codes.codes.masked_fill_(at::gt(x, 5), 2);
    return encoded;
  }
};

/// Encodes both zeros as negative, but announces positive.
class NegativeZeroOfInput : public SignOfInput {
  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override {
    return {.value = straight_through(x, decode(encode(context, x.detach()).codes, 1))};
  }
  EncodedInput encode(const SlotContext&, const at::Tensor& x) override {
    return {.codes = {.encoding = Encoding::binary(ScaleKind::none),
                      .codes = at::gt(x, 0).to(at::kByte)}};
  }
};

/// Subtracts the mean of the first batch, which is not in the checkpoint.
class KeepsItsMeanToItself : public SignOfInput {
  QuantizedInput forward(const SlotContext& context, const at::Tensor& x) override {
    if (!mean_.defined()) mean_ = x.detach().mean() + 0.1;
    return {.value = straight_through(x, decode(encode(context, x.detach()).codes, 1))};
  }
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override {
    return SignOfInput::encode(context, mean_.defined() ? x - mean_ : x);
  }
  at::Tensor mean_;
};

TEST(Inputs, ThatBreakAPromise) {
  EXPECT_THAT(of_input<SignOfInput>(), IsEmpty());
  EXPECT_THAT(of_input<HalvedInput>(), ElementsAre("decoding: values differ"));
  EXPECT_THAT(of_input<EncodeHalvesTheInput>(),
              ElementsAre("untouched: encode() changes it: values differ"));
  EXPECT_THAT(of_input<UndeclaredInputCode>(),
              ElementsAre("levels: the code 2 occurs, the encoding has 2"));
  EXPECT_THAT(of_input<NegativeZeroOfInput>(),
              ElementsAre("sign of zero: sign(+0) is -1, the encoding says 1"));
  EXPECT_THAT(of_input<KeepsItsMeanToItself>(),
              testing::Contains("state: its codes differ: values differ"));
}

// ---- gradients ----------------------------------------------------------------------------------

/// Noise from the call's key, and a factor that only the slots of a network get.
class Noisy : public GradientQuantizer {
 public:
  at::Tensor backward(const SlotContext& context, const at::Tensor& gradient) override {
    const at::Tensor noise = uniform_like(context.random("noise"), gradient).mul_(1e-4);
    return gradient / static_cast<double>(context.slot->fan_in) + noise;
  }
  std::string summary() const override { return "noisy"; }
};

class FlatGradient : public Noisy {
  at::Tensor backward(const SlotContext& context, const at::Tensor& gradient) override {
    return Noisy::backward(context, gradient).flatten();
  }
};

class DoubleGradient : public Noisy {
  at::Tensor backward(const SlotContext& context, const at::Tensor& gradient) override {
    return Noisy::backward(context, gradient).to(at::kDouble);
  }
};

class InfiniteGradient : public Noisy {
  at::Tensor backward(const SlotContext&, const at::Tensor& gradient) override {
    return gradient / at::relu(gradient).mul(0);
  }
};

class InPlace : public Noisy {
  at::Tensor backward(const SlotContext&, const at::Tensor& gradient) override {
    return gradient.mul_(2);
  }
};

class Unkeyed : public Noisy {
  at::Tensor backward(const SlotContext&, const at::Tensor& gradient) override {
    return gradient * static_cast<double>(++calls_);
  }
  int calls_ = 0;
};

class DividesByTheLargest : public Noisy {
  at::Tensor backward(const SlotContext&, const at::Tensor& gradient) override {
    return gradient / gradient.abs().max();
  }
};

class Silent : public Noisy {
  std::string summary() const override { return ""; }
};

/// The noise depends on the memory order, not on the indices.
class NoiseInMemoryOrder : public Noisy {
  at::Tensor backward(const SlotContext& context, const at::Tensor& gradient) override {
    at::Tensor result = gradient.clone();
    Random random = context.random("noise");
    auto* data = result.data_ptr<float>();
    for (std::int64_t i = 0; i < result.numel(); ++i) data[i] += random.uniform();
    return result;
  }
};

TEST(Gradients, ThatKeepEveryPromisePassAndMayScaleByTheFan) {
  EXPECT_THAT(of_gradient<Noisy>(), IsEmpty());
}

TEST(Gradients, OfAnotherForm) {
  EXPECT_THAT(of_gradient<FlatGradient>(), ElementsAre("shape: backward() gives another shape"));
  EXPECT_THAT(of_gradient<DoubleGradient>(), ElementsAre("shape: backward() gives no float32"));
  EXPECT_THAT(of_gradient<Silent>(), ElementsAre("shape: summary() says nothing"));
}

TEST(Gradients, ThatChangeWhatTheyAreGiven) {
  EXPECT_THAT(of_gradient<InPlace>(), ElementsAre("shape: backward() changes what it is given"));
}

TEST(Gradients, ThatDependOnMoreThanTheirKey) {
  EXPECT_THAT(of_gradient<Unkeyed>(),
              ElementsAre("determinism: the same seed and step give other values",
                          "layouts: backward() gives other values for a channels_last gradient"));
  EXPECT_THAT(of_gradient<NoiseInMemoryOrder>(),
              ElementsAre("layouts: backward() gives other values for a channels_last gradient"));
}

TEST(Gradients, ThatAreNotFinite) {
  EXPECT_THAT(of_gradient<DividesByTheLargest>(),
              ElementsAre("gradients of 0: gradients of 0 give what is not finite"));
  EXPECT_THAT(of_gradient<InfiniteGradient>(),
              testing::Contains("shape: backward() gives what is not finite"));
}

// ---- declarations -------------------------------------------------------------------------------

TEST(Methods, WhoseDeclarationsAreWrong) {
  QuantizerMethod method = weight_method<Sign>();
  method.roles.push_back(Role::input);
  method.options = {Option::integer("bits", 9, "of a code").at_least(1).at_most(8)};
  EXPECT_THAT(complaints(check_quantizer(method)),
              ElementsAre(testing::StartsWith("options: its default is refused: "),
                          "slots: is offered and no slot takes it"));
  method = weight_method<Sign>();
  method.options = {Option::boolean("fast", false, "")};
  EXPECT_THAT(complaints(check_quantizer(method)), ElementsAre("options: has no line of help"));
}

// ---- in a network -------------------------------------------------------------------------------

/// Its scale shrinks with each step, which is not in the checkpoint.
class CountsSteps : public Sign {
  void after_step(const SlotContext&, at::Tensor&) override { shrink_ *= 0.5; }
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    return Sign::forward(context, latent) * shrink_;
  }
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override {
    Encoded encoded = Sign::encode(context, latent);
    encoded.scale.mul_(shrink_);
    return encoded;
  }
  double shrink_ = 1;
};

/// Counts its evaluations in a tensor of the checkpoint.
class CountsEvaluations : public SignOfInput {
  std::vector<SlotParameter> parameters() override {
    return {{.name = "count", .tensor = count_, .trainable = false}};
  }
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override {
    count_.add_(1);
    return SignOfInput::encode(context, x);
  }
  at::Tensor count_ = at::zeros({});
};

class AnotherEachEvaluation : public SignOfInput {
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override {
    return SignOfInput::encode(context, ++count_ % 2 == 0 ? x : -x);
  }
  int count_ = 0;
};

class NoNumber : public Sign {
  at::Tensor forward(const SlotContext& context, const at::Tensor& latent) override {
    return Sign::forward(context, latent) * std::numeric_limits<double>::quiet_NaN();
  }
};

TEST(Networks, OfMethodsThatBreakAPromise) {
  const auto found = [](const QuantizerMethod& method) {
    return complaints(check_quantizer_in_network(method));
  };
  EXPECT_THAT(found(weight_method<Sign>()), IsEmpty());
  EXPECT_THAT(found(gradient_method<Noisy>()), IsEmpty());
  EXPECT_THAT(found(weight_method<CountsSteps>()),
              testing::Contains(testing::MatchesRegex("resume: .* differs after the third step")));
  EXPECT_THAT(found(weight_method<NoNumber>()),
              testing::Contains("training: the loss is not finite in step 1"));
  EXPECT_THAT(found(input_method<CountsEvaluations>()),
              testing::Contains(testing::MatchesRegex("evaluation: it changes .*/input.count")));
  EXPECT_THAT(found(input_method<AnotherEachEvaluation>()),
              testing::Contains("evaluation: two evaluations differ"));
}

// ---- architectures ------------------------------------------------------------------------------

Architecture small(const StateDictKeyMap& names = {}) {
  Architecture architecture;
  architecture.name = "small";
  architecture.build = [](GraphBuilder& g, Value x, const ArchitectureContext& context,
                          const Options&) {
    x = g.conv2d("conv", x, {.out_channels = 4, .kernel = 3, .padding = 1});
    x = g.global_average_pool("pool", g.relu("relu", x));
    return g.linear("fc", x, {.out_features = context.classes});
  };
  if (names.name_of) architecture.published = {names};
  return architecture;
}

StateDictKeyMap under(const std::function<std::string(const std::string&)>& name_of) {
  StateDictKeyMap names;
  names.source = "someone/somewhere";
  names.name_of = [name_of](const std::string& tensor, const Options&) { return name_of(tensor); };
  return names;
}

std::set<std::string> of_architecture(const Architecture& architecture) {
  return complaints(check_architecture(architecture));
}

TEST(StateDictKeyMapOf, ANetworkThatHasAllOrNonePass) {
  EXPECT_THAT(of_architecture(small()), IsEmpty());
  EXPECT_THAT(of_architecture(small(under([](const std::string&) { return ""; }))), IsEmpty());
  StateDictKeyMap names = under([](const std::string& tensor) { return "net." + tensor; });
  names.channels_of = [](const std::string& tensor, const Options&) {
    return tensor == "fc.weight" ? std::vector<std::int64_t>{3, 0, 1, 2}
                                 : std::vector<std::int64_t>{};
  };
  EXPECT_THAT(of_architecture(small(names)), IsEmpty());
}

TEST(StateDictKeyMapOf, TwoTensorsInOne) {
  const auto names = under([](const std::string& tensor) {
    return tensor == "fc.bias" ? std::string("conv.weight") : tensor;
  });
  EXPECT_THAT(of_architecture(small(names)),
              ElementsAre("published names: fc.bias and conv.weight are both conv.weight"));
}

TEST(StateDictKeyMapOf, HalfANetwork) {
  const auto names = under(
      [](const std::string& tensor) { return tensor == "conv.weight" ? std::string() : tensor; });
  EXPECT_THAT(of_architecture(small(names)),
              ElementsAre("published names: conv.weight has no name, others have one"));
}

TEST(StateDictKeyMapOf, ChannelsInNoOrder) {
  StateDictKeyMap names = under([](const std::string& tensor) { return tensor; });
  for (const std::vector<std::int64_t>& order :
       {std::vector<std::int64_t>{0, 1, 2, 2}, {0, 1, 2}, {1, 2, 3, 4}}) {
    names.channels_of = [order](const std::string& tensor, const Options&) {
      return tensor == "fc.weight" ? order : std::vector<std::int64_t>{};
    };
    EXPECT_THAT(of_architecture(small(names)),
                ElementsAre("published names: channels_of(fc.weight) does not name each of the 4 "
                            "channels once"));
  }
}

TEST(Architectures, ThatBuildAnotherNetworkEachTime) {
  Architecture architecture = small();
  const auto calls = std::make_shared<int>(0);
  architecture.build = [calls](GraphBuilder& g, Value x, const ArchitectureContext& context,
                               const Options&) {
    x = g.global_average_pool("pool" + std::to_string(++*calls % 2), x);
    return g.linear("fc", x, {.out_features = context.classes});
  };
  EXPECT_THAT(of_architecture(architecture),
              ElementsAre("same twice: node 1 is pool1, then pool0"));
}

TEST(Architectures, ThatDoNotBuild) {
  Architecture architecture = small();
  architecture.build = [](GraphBuilder&, Value, const ArchitectureContext&,
                          const Options&) -> Value { throw std::runtime_error("no room"); };
  EXPECT_THAT(of_architecture(architecture), ElementsAre("builds: no room"));
}

}  // namespace
}  // namespace qhost::conformance

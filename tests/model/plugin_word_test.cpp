/// Methods that break a promise or throw: the model names them.
#include <limits>
#include <new>
#include <stdexcept>

#include "model/check_encoded.h"
#include "model/exception_text.h"
#include "model/plugin_call.h"
#include "support.h"

namespace qhost::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// ---- broken_promise -----------------------------------------------------------------------------

const std::vector<std::int64_t> shape = {3, 2};

Encoded encoded(const Encoding& encoding) {
  Encoded e;
  e.encoding = encoding;
  e.codes = at::zeros(shape, encoding.is_float() ? at::kFloat : at::kByte);
  return e;
}

std::string why(const Encoding& announced, const Encoded& e, int channels = 0,
                EncodedCheck check = EncodedCheck::form_and_values) {
  return broken_promise(announced, e, shape, channels, check);
}

TEST(BrokenPromise, NamesWhatIsAnnouncedAndWhatIsGiven) {
  const Encoding binary = Encoding::binary(ScaleKind::none);
  Encoded e = encoded(binary);
  EXPECT_EQ(why(binary, e), "");
  EXPECT_EQ(why(Encoding::binary(ScaleKind::tensor), e),
            "encode() gives binary, announced is binary, scale per tensor");
  EXPECT_EQ(why(binary, encoded(Encoding::float32())),
            "encode() gives float32, announced is binary");
  e.codes = at::zeros(shape, at::kFloat);
  EXPECT_EQ(why(binary, e), "the codes are float32, not uint8");
  e.codes = at::zeros({2, 3}, at::kByte);
  EXPECT_EQ(why(binary, e), "the codes have the shape [2,3], not [3,2]");
  e.codes = at::Tensor();
  EXPECT_EQ(why(binary, e), "encode() gives no codes");
  Encoding wrong = binary;
  wrong.bits = 2;
  EXPECT_EQ(why(wrong, encoded(wrong)), "encoding() is inconsistent: binary needs 1 bit, not 2");
}

TEST(BrokenPromise, CountsScalesZeroPointsAndEntries) {
  const Encoding uniform = Encoding::uniform(2, ScaleKind::channel, ZeroPointKind::tensor);
  Encoded e = encoded(uniform);
  EXPECT_EQ(why(uniform, e), "there is no scale");
  e.scale = at::ones({2});
  EXPECT_EQ(why(uniform, e), "the scale has 2 numbers, the encoding 3");
  EXPECT_EQ(why(uniform, e, 1), "there is no zero point");
  e.scale = at::ones({3}, at::kDouble);
  EXPECT_EQ(why(uniform, e), "the scale is float64, not float32");
  e.scale = at::ones({3});
  e.zero_point = at::ones({}, at::kInt);
  EXPECT_EQ(why(uniform, e), "");
  e.zero_point = at::ones({3}, at::kInt);
  EXPECT_EQ(why(uniform, e), "the zero point has 3 numbers, the encoding 1");
  e.zero_point = at::ones({});
  EXPECT_EQ(why(uniform, e), "the zero point is float32, not int32");
  const Encoding plain = Encoding::binary(ScaleKind::none);
  Encoded with_scale = encoded(plain);
  with_scale.scale = at::ones({});
  EXPECT_EQ(why(plain, with_scale), "the scale has 1 number, the encoding none");

  const Encoding codebook = Encoding::codebook(2, ScaleKind::none, true);
  Encoded book = encoded(codebook);
  EXPECT_EQ(why(codebook, book), "there is no codebook");
  book.table = at::ones({3, 3});
  EXPECT_EQ(why(codebook, book), "the codebook has 9 numbers, the encoding 6");
  book.table = at::ones({3, 2});
  EXPECT_EQ(why(codebook, book), "");
}

TEST(BrokenPromise, ReadsEachCodeWhereAsked) {
  const auto with = [](Encoding encoding, int code) {
    Encoded e = encoded(encoding);
    e.codes[1][1] = code;
    return e;
  };
  const Encoding two = Encoding::uniform(2, ScaleKind::none, ZeroPointKind::none);
  EXPECT_EQ(why(two, with(two, 3)), "");
  EXPECT_EQ(why(two, with(two, 4)), "the code 4 occurs, the encoding has 4");
  EXPECT_EQ(why(two, with(two, 4), 0, EncodedCheck::form), "");
  const Encoding ternary = Encoding::ternary(ScaleKind::none);
  EXPECT_EQ(why(ternary, with(ternary, 3)), "the code 3 occurs, the encoding has 3");
  const Encoding all = Encoding::uniform(8, ScaleKind::none, ZeroPointKind::none);
  EXPECT_EQ(why(all, with(all, 255)), "");
}

TEST(BrokenPromise, SixteenBitsHoldValuesOfTheirFormat) {
  const auto of = [](Encoding encoding, double value) {
    Encoded e = encoded(encoding);
    e.codes[0][1] = value;
    return why(encoding, e);
  };
  EXPECT_EQ(of(Encoding::float16(), 65504), "");
  EXPECT_EQ(of(Encoding::float16(), 1.0001), "1 of 6 stored values are no values of float16");
  EXPECT_EQ(of(Encoding::bfloat16(), 65504), "1 of 6 stored values are no values of bfloat16");
  EXPECT_EQ(of(Encoding::bfloat16(), 65536), "");
  EXPECT_EQ(of(Encoding::float16(), std::numeric_limits<double>::quiet_NaN()), "");
  EXPECT_EQ(of(Encoding::float32(), 1.0001), "");
}

TEST(BrokenPromise, AnOutputScaleHasOneFactorForEachPosition) {
  const Encoding position = Encoding::binary(ScaleKind::position);
  const Shape image{{8, 4, 5}}, features{{8}};
  EXPECT_EQ(broken_output_scale(position, at::ones({2, 1, 4, 5}), 2, image), "");
  EXPECT_EQ(broken_output_scale(position, at::ones({2, 1}), 2, features), "");
  EXPECT_EQ(broken_output_scale(position, at::ones({2, 8, 4, 5}), 2, image),
            "the output scale has the shape [2,8,4,5], not [2,1,4,5]");
  EXPECT_EQ(broken_output_scale(position, {}, 2, image),
            "there is no output scale, announced is binary, scale per position");
  EXPECT_EQ(broken_output_scale(Encoding::binary(ScaleKind::none), {}, 2, image), "");
}

// ---- in a model ---------------------------------------------------------------------------------

Graph one_layer() {
  return network({3, 4, 4}, 2, [](GraphBuilder& g, Value x) {
    x = g.conv2d("conv", x, {.out_channels = 4, .padding = 1});
    return g.linear("fc", g.flatten("flat", g.relu("relu", x)), {.out_features = 2});
  });
}

/// Stores codes that exceed 1 bit, from evaluation number `from` on.
class BeyondInput : public SignInput {
 public:
  BeyondInput(const SlotInfo& slot, int from)
      : SignInput(slot, InputRange::any, false), from_(from) {}
  EncodedInput encode(const SlotContext& context, const at::Tensor& x) override {
    EncodedInput result = SignInput::encode(context, x);
    if (calls_++ >= from_) result.codes.codes.fill_(9);
    return result;
  }

 private:
  int from_, calls_ = 0;
};

/// Announces another encoding than it stores.
class Liar : public BinaryWeight {
 public:
  Encoding encoding(const SlotInfo&) const override { return Encoding::binary(ScaleKind::none); }
};

const at::Tensor images = normal({2, 3, 4, 4}, 1);

TEST(PluginWord, WeightsAreHeldAgainstTheirEncodingAtEachEvaluation) {
  MethodRule rule = weight_rule<Liar>("liar", {});
  rule.plugin = "liars";
  rule.layers = {"conv"};
  const auto model = make_model(one_layer(), {rule});
  model->train(images, {});  // training needs no codes
  const std::string wanted =
      "plugin `liars`: method `liar` broke its word in encode() for the weight of conv: encode() "
      "gives binary, scale per channel, announced is binary\nhelp: this is a defect of the plugin; "
      "`qhost plugin check liar` tries all that it promises";
  EXPECT_EQ(error_of(ErrorKind::plugin, [&] { model->evaluate(images, {}); }), wanted);
  EXPECT_EQ(error_of(ErrorKind::plugin, [&] { model->encoded_weights({}); }), wanted);
}

TEST(PluginWord, InputsAreReadThroughOnceForEachSetOfWeights) {
  const auto model_from = [](int evaluation) {
    return make_model(one_layer(), {input_rule("beyond", {"fc"}, [evaluation](const SlotInfo& at) {
                        return std::make_unique<BeyondInput>(at, evaluation);
                      })});
  };
  EXPECT_THAT(error_of(ErrorKind::plugin, [&] { model_from(0)->evaluate(images, {}); }),
              StartsWith("method `beyond` broke its word in encode() for input 0 of fc: the code 9 "
                         "occurs, the encoding has 2\n"));
  const auto later = model_from(1);
  later->evaluate(images, {});
  EXPECT_NO_THROW(later->evaluate(images, {}));
  later->train(images, {});
  EXPECT_THAT(error_of(ErrorKind::plugin, [&] { later->evaluate(images, {}); }),
              HasSubstr("the code 9 occurs"));
}

// ---- exceptions ---------------------------------------------------------------------------------

const SlotInfo weight_slot = [] {
  SlotInfo slot;
  slot.node = "stage1.conv";
  return slot;
}();
const PluginCall call = {
    .plugin = "p", .kind = "method", .component = "m", .function = "forward", .slot = &weight_slot};
const std::string failed =
    "plugin `p`: method `m` failed in forward() for the weight of stage1.conv: ";

template <class Thrown>
std::string named(ErrorKind kind, const Thrown& thrown) {
  return error_of(kind, [&] { call_plugin(call, [&] { throw thrown; }); });
}

TEST(PluginCall, ReturnsWhatTheCallDoes) {
  int value = 3;
  EXPECT_EQ(call_plugin(call, [&] { return value; }), 3);
  call_plugin(call, [&]() -> int& { return value; }) = 4;
  EXPECT_EQ(value, 4);
}

TEST(PluginCall, NamesThePlaceOfAnExceptionOfAnyType) {
  EXPECT_THAT(named(ErrorKind::plugin, std::runtime_error("no room")),
              StartsWith(failed + "no room\nhelp: this is a defect of the plugin; `qhost plugin "
                                  "check m`"));
  EXPECT_THAT(named(ErrorKind::plugin, 42),
              StartsWith(failed + "an exception of type int\nhelp: "));
  EXPECT_THAT(named(ErrorKind::plugin, std::string("words")),
              StartsWith(failed + "an exception of type std::"));
  EXPECT_THAT(named(ErrorKind::plugin, std::runtime_error("")),
              StartsWith(failed + "an exception of type std::runtime_error\n"));
}

TEST(PluginCall, ShowsLibTorchsStackFramesOnlyWhereAsked) {
  const auto of_torch = [] {
    return error_of(ErrorKind::plugin,
                    [] { call_plugin(call, [] { TORCH_CHECK(false, "no such tensor"); }); });
  };
  EXPECT_THAT(of_torch(), AllOf(StartsWith(failed + "no such tensor\nhelp: "),
                                Not(HasSubstr("Exception raised from"))));
  show_stack_frames(true);
  EXPECT_THAT(of_torch(), HasSubstr("Exception raised from"));
  show_stack_frames(false);
}

TEST(PluginCall, KeepsWhatAnErrorSays) {
  const std::string own = "m: stage1.conv has no room\nhelp: make some";
  EXPECT_EQ(named(ErrorKind::data, Error(ErrorKind::data, own)), own);
  EXPECT_EQ(named(ErrorKind::storage, Error(ErrorKind::storage, "no room")),
            "no room\nnote: plugin `p`: method `m` said so in forward() for the weight of "
            "stage1.conv");
  EXPECT_THROW(call_plugin(call, [] { throw OptionError("bits", "too many"); }), OptionError);
  EXPECT_THROW(call_plugin(call, [] { throw std::bad_alloc(); }), std::bad_alloc);
}

/// Throws in its own backward pass.
template <class Thrown>
class ThrowsBackward : public torch::autograd::Function<ThrowsBackward<Thrown>> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext*, const at::Tensor& x) {
    return x.clone();
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 const torch::autograd::variable_list&) {
    throw Thrown();
  }
};

struct Oops {};
struct Loud : std::runtime_error {
  Loud() : std::runtime_error("too loud") {}
};

template <class Thrown>
class Fragile : public IdentityWeight {
  at::Tensor forward(const SlotContext&, const at::Tensor& latent) override {
    return ThrowsBackward<Thrown>::apply(latent.mul(2)).mul(0.5);
  }
};

TEST(PluginBackward, NamesTheSlotWhosePartOfTheGraphThrew) {
  MethodRule fragile = weight_rule<Fragile<Loud>>("fragile", {});
  fragile.layers = {"conv"};
  MethodRule other = weight_rule<BinaryWeight>("other", {});
  other.layers = {"fc"};
  const auto model = make_model(one_layer(), {other, fragile});
  const at::Tensor loss = model->train(images, {}).sum();
  EXPECT_THAT(
      error_of(ErrorKind::plugin, [&] { model->backward(loss); }),
      StartsWith("method `fragile` failed in backward() for the weight of conv: too loud\n"));
}

TEST(PluginBackward, CatchesWhatIsNoException) {
  MethodRule fragile = weight_rule<Fragile<Oops>>("fragile", {});
  fragile.layers = {"conv"};
  const auto model = make_model(one_layer(), {fragile});
  const at::Tensor loss = model->train(images, {}).sum();
  EXPECT_THAT(error_of(ErrorKind::plugin, [&] { model->backward(loss); }),
              AllOf(StartsWith("method `fragile` failed in backward() for the weight of conv: an "
                               "exception of type "),
                    HasSubstr("Oops")));
  // The next backward pass of this thread works.
  const auto sound = make_model(one_layer(), {});
  sound->backward(sound->train(images, {}).sum());
  EXPECT_TRUE(tensor_of(*sound, "conv.weight").grad().defined());
}

TEST(PluginBackward, ChangesNoGradient) {
  const auto watched = make_model(one_layer(), {weight_rule<BinaryWeight>("binary", {})});
  const auto plain = make_model(one_layer(), {weight_rule<BinaryWeight>("binary", {})});
  watched->backward(watched->train(images, {}).square().sum());
  plain->train(images, {}).square().sum().backward();
  for (const char* name : {"conv.weight", "fc.weight"}) {
    EXPECT_TRUE(same_bits(tensor_of(*watched, name).grad(), tensor_of(*plain, name).grad()));
  }
}

/// An exception of the host's own operations is not attributed to a plugin.
TEST(PluginBackward, LeavesTheHostsOwnErrorsAlone) {
  const auto model = make_model(one_layer(), {weight_rule<BinaryWeight>("binary", {})});
  const at::Tensor logits = model->train(images, {});
  EXPECT_THROW(model->backward(logits), c10::Error);  // not a scalar
}

TEST(PluginForward, AnotherShapeIsNamed) {
  class Flat : public IdentityWeight {
    at::Tensor forward(const SlotContext&, const at::Tensor& latent) override {
      return latent.flatten();
    }
  };
  MethodRule rule = weight_rule<Flat>("flat", {});
  rule.layers = {"fc"};
  const auto model = make_model(one_layer(), {rule});
  EXPECT_THAT(error_of(ErrorKind::plugin, [&] { model->train(images, {}); }),
              StartsWith("method `flat` broke its word in forward() for the weight of fc: it gives "
                         "the shape [128] for [2, 64]\n"));
}

TEST(PluginParameters, AreTensorsWithNames) {
  class Keeps : public IdentityWeight {
   public:
    explicit Keeps(std::vector<SlotParameter> all) : all_(std::move(all)) {}
    std::vector<SlotParameter> parameters() override { return all_; }

   private:
    std::vector<SlotParameter> all_;
  };
  const auto complaint = [](const std::vector<SlotParameter>& all) {
    MethodRule rule = weight_rule<Keeps>("keeps", {}, all);
    rule.layers = {"fc"};
    const std::string text = error_of(ErrorKind::plugin, [&] { make_model(one_layer(), {rule}); });
    return text.substr(0, text.find('\n'));
  };
  const std::string broke = "method `keeps` broke its word in parameters() for the weight of fc: ";
  EXPECT_EQ(complaint({{.name = "step"}}), broke + "\"step\" is no tensor");
  EXPECT_EQ(complaint({{.name = "step", .tensor = at::ones({}, at::kInt)}}),
            broke + "\"step\" is not float32");
  EXPECT_EQ(
      complaint({{.name = "a", .tensor = at::ones({})}, {.name = "a", .tensor = at::ones({})}}),
      broke + "the name \"a\" is given twice");
}

}  // namespace
}  // namespace qhost::test

#include "training/optimizer.h"
#include "training/gradient_norm.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "config/schema.h"
#include "golden.h"
#include "qhost/error.h"

namespace qhost::training {
namespace {

using nlohmann::json;
using testing::HasSubstr;

/// The tolerance for an independent float32 implementation: a few roundings of values below 8.
constexpr double rounding = 2e-6;

std::unique_ptr<Optimizer> make(const std::string& name, const json& options,
                                std::vector<TrainableParameter> parameters) {
  const std::vector<Option>* declared = config::find_optimizer(name);
  if (declared == nullptr) {
    throw std::runtime_error("not declared: " + name);
  }
  return make_optimizer(name, options_from(*declared, options), std::move(parameters));
}

at::Tensor tensor_of(const json& hexadecimal, const std::vector<std::int64_t>& shape) {
  return at::tensor(numbers(hexadecimal), at::kDouble).to(at::kFloat).reshape(shape).clone();
}

at::Tensor in_format(const at::Tensor& tensor, bool channels_last) {
  return channels_last && tensor.dim() == 4 ? tensor.contiguous(at::MemoryFormat::ChannelsLast)
                                            : tensor.contiguous();
}

/// The initial parameters of a golden case.
std::vector<TrainableParameter> parameters_of(const json& data, bool channels_last) {
  std::vector<TrainableParameter> parameters;
  for (const json& entry : data["parameters"]) {
    parameters.push_back({entry["name"],
                          in_format(tensor_of(entry["start"], entry["shape"]), channels_last),
                          entry["learning_rate_multiplier"], entry["weight_decay"]});
    parameters.back().tensor.requires_grad_();
  }
  return parameters;
}

void set_gradients(const json& step, std::vector<TrainableParameter>& parameters,
                   bool channels_last) {
  for (TrainableParameter& parameter : parameters) {
    const json& gradient = step["gradients"][parameter.name];
    if (!gradient.is_null()) {
      parameter.tensor.mutable_grad() =
          in_format(tensor_of(gradient, parameter.tensor.sizes().vec()), channels_last);
    }
  }
}

std::map<std::string, at::Tensor> by_name(Optimizer& optimizer) {
  std::map<std::string, at::Tensor> tensors;
  for (const Optimizer::StateTensor& entry : optimizer.state()) {
    tensors.emplace(entry.name, entry.tensor);
  }
  return tensors;
}

double distance(const at::Tensor& ours, const json& theirs) {
  return (ours.detach() - tensor_of(theirs, ours.sizes().vec())).abs().max().item<double>();
}

struct GoldenCase {
  const char* name;
  bool channels_last, gradient_channels_last;
};

class Golden : public testing::TestWithParam<GoldenCase> {};

TEST_P(Golden, FiveStepsEqualPyTorchs) {
  const json data = golden(GetParam().name);
  std::vector<TrainableParameter> parameters = parameters_of(data, GetParam().channels_last);
  const auto optimizer = make(data["optimizer"], data["options"], parameters);
  int compared = 0;
  for (const json& step : data["steps"]) {
    set_gradients(step, parameters, GetParam().gradient_channels_last);
    optimizer->step(step["learning_rate"]);
    optimizer->zero_gradients();
    for (const TrainableParameter& parameter : parameters) {
      EXPECT_LE(distance(parameter.tensor, step["values"][parameter.name]), rounding)
          << parameter.name << " after step " << compared;
    }
    const std::map<std::string, at::Tensor> state = by_name(*optimizer);
    for (const auto& [name, expected] : step["state"].items()) {
      ASSERT_EQ(state.count(name), 1U) << name;
      EXPECT_LE(distance(state.at(name), expected), rounding) << name;
    }
    ++compared;
  }
  EXPECT_EQ(compared, 5);
  EXPECT_EQ(optimizer->counters(), (json{{"optimizer", data["optimizer"]}, {"steps", 5}}));
}

INSTANTIATE_TEST_SUITE_P(
    Optimizers, Golden,
    testing::Values(GoldenCase{"sgd_plain", false, false}, GoldenCase{"sgd_plain", true, false},
                    GoldenCase{"sgd_momentum", false, false},
                    GoldenCase{"sgd_momentum", true, true}, GoldenCase{"sgd_momentum", true, false},
                    GoldenCase{"sgd_momentum", false, true},
                    GoldenCase{"sgd_nesterov", false, false},
                    GoldenCase{"sgd_nesterov", true, true}, GoldenCase{"adam", false, false},
                    GoldenCase{"adam", true, true}, GoldenCase{"adam", true, false},
                    GoldenCase{"adamw", false, false}, GoldenCase{"adamw", true, true},
                    GoldenCase{"adamw", true, false}),
    [](const auto& instance) {
      const GoldenCase& p = instance.param;
      return std::string(p.name) + (p.channels_last ? "_nhwc" : "_nchw") +
             (p.gradient_channels_last ? "_gradient_nhwc" : "_gradient_nchw");
    });

class Resume : public testing::TestWithParam<const char*> {};

TEST_P(Resume, ContinuesToTheSameBitsFromTensorsOfAnyLayout) {
  const json data = golden(GetParam());
  const auto run = [&](int stop_after) {
    std::vector<TrainableParameter> parameters = parameters_of(data, /*channels_last=*/true);
    auto optimizer = make(data["optimizer"], data["options"], parameters);
    for (int index = 0; index < 5; ++index) {
      if (index == stop_after) {
        // After a file, all tensors are dense and row-major; the copies show that no memory is
        // shared.
        std::map<std::string, at::Tensor> saved;
        for (const auto& [name, tensor] : by_name(*optimizer)) {
          saved.emplace(name, tensor.clone(at::MemoryFormat::Contiguous));
        }
        const json counters = json::parse(optimizer->counters().dump());
        std::vector<TrainableParameter> reloaded;
        for (const TrainableParameter& parameter : parameters) {
          reloaded.push_back(parameter);
          reloaded.back().tensor = parameter.tensor.detach().clone().requires_grad_();
        }
        parameters = reloaded;
        optimizer = make(data["optimizer"], data["options"], parameters);
        optimizer->restore(saved, counters);
        for (const auto& [name, tensor] : by_name(*optimizer)) {
          EXPECT_NE(tensor.const_data_ptr(), saved.at(name).const_data_ptr()) << name;
        }
      }
      set_gradients(data["steps"][static_cast<std::size_t>(index)], parameters, true);
      optimizer->step(data["steps"][static_cast<std::size_t>(index)]["learning_rate"]);
      optimizer->zero_gradients();
    }
    EXPECT_EQ(optimizer->counters()["steps"], 5);
    EXPECT_TRUE(parameters[0].tensor.is_contiguous(at::MemoryFormat::ChannelsLast));
    return parameters;
  };
  const std::vector<TrainableParameter> uninterrupted = run(-1);
  for (int stop = 0; stop < 5; ++stop) {
    const std::vector<TrainableParameter> resumed = run(stop);
    for (std::size_t i = 0; i < resumed.size(); ++i) {
      EXPECT_TRUE(at::equal(resumed[i].tensor, uninterrupted[i].tensor))
          << resumed[i].name << " stopped after " << stop;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Optimizers, Resume,
                         testing::Values("sgd_plain", "sgd_momentum", "sgd_nesterov", "adam",
                                         "adamw"),
                         [](const auto& instance) { return std::string(instance.param); });

TrainableParameter parameter(const std::string& name, at::Tensor tensor, double multiplier = 1,
                             double weight_decay = 0) {
  return {name, std::move(tensor).requires_grad_(), multiplier, weight_decay};
}

/// what() of the error that `action` throws; a test failure if the kind is another.
std::string message(ErrorKind kind, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(Optimizer, EveryDeclaredOptimizerCanBeMadeWithItsDefaults) {
  std::size_t made = 0;
  for (const config::ComponentDeclaration& declaration : config::optimizers()) {
    at::Tensor weight = at::ones({3});
    const auto optimizer = make(declaration.name, json::object(), {parameter("w", weight)});
    weight.mutable_grad() = at::ones({3});
    optimizer->step(0.5);
    EXPECT_LT(weight.max().item<float>(), 1) << declaration.name;
    ++made;
  }
  EXPECT_EQ(made, 3U);
}

TEST(Optimizer, ParametersWithoutAGradientStayAsTheyAre) {
  for (const char* name : {"sgd", "adam", "adamw"}) {
    at::Tensor moved = at::ones({3}), still = at::ones({3});
    const auto optimizer =
        make(name, json::object(), {parameter("moved", moved), parameter("still", still, 1, 0.5)});
    for (int step = 0; step < 2; ++step) {
      moved.mutable_grad() = at::ones({3});
      optimizer->step(0.1);
    }
    EXPECT_LT(moved.max().item<float>(), 1) << name;
    EXPECT_TRUE(at::equal(still, at::ones({3}))) << name;
    for (const auto& [entry, tensor] : by_name(*optimizer)) {
      const bool untouched = tensor.abs().max().item<float>() == 0;
      EXPECT_EQ(untouched, entry.rfind("still/", 0) == 0) << name << " " << entry;
    }
  }
}

TEST(Optimizer, StateNamesFollowTheParameters) {
  at::Tensor weight = at::ones({2, 3, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast);
  const auto names = [&](const char* name, const json& options) {
    std::vector<std::string> all;
    for (const auto& entry : make(name, options, {parameter("a.weight", weight)})->state()) {
      all.push_back(entry.name);
      EXPECT_TRUE(entry.tensor.dim() == 0 || entry.tensor.strides() == weight.strides());
    }
    return all;
  };
  EXPECT_THAT(names("sgd", json::object()), testing::ElementsAre("a.weight/momentum"));
  EXPECT_THAT(names("sgd", {{"momentum", 0.0}}), testing::IsEmpty());
  EXPECT_THAT(
      names("adamw", json::object()),
      testing::ElementsAre("a.weight/first_moment", "a.weight/second_moment", "a.weight/step"));
}

TEST(Optimizer, GradientsOfPointwiseConvolutionsFitWhateverTheirStridesSay) {
  at::Tensor weight = at::arange(12, at::kFloat).reshape({4, 3, 1, 1});
  const auto optimizer = make("sgd", json::object(), {parameter("w", weight)});
  const at::Tensor gradient =
      at::arange(12, at::kFloat).reshape({4, 3}).as_strided({4, 3, 1, 1}, {3, 1, 3, 3});
  weight.mutable_grad() = gradient;
  optimizer->step(1);
  EXPECT_TRUE(at::equal(weight, at::zeros({4, 3, 1, 1})));
  // Other strides for the same elements in memory are not a change of layout.
  weight.set_data(weight.detach().as_strided({4, 3, 1, 1}, {3, 1, 3, 3}));
  ASSERT_EQ(weight.stride(3), 3);
  optimizer->step(1);
  EXPECT_TRUE(at::allclose(weight, gradient * -1.9));
}

TEST(Optimizer, AGradientWithGapsIsMadeToFit) {
  at::Tensor weight = at::zeros({2, 3});
  const auto optimizer = make("sgd", json::object(), {parameter("w", weight)});
  const at::Tensor wide = at::arange(12, at::kFloat).reshape({2, 6});
  weight.mutable_grad() = wide.slice(1, 0, 6, 2);
  optimizer->step(1);
  EXPECT_TRUE(at::equal(weight, -wide.slice(1, 0, 6, 2)));
  at::Tensor expanded = at::zeros({2, 3});
  const auto another = make("sgd", json::object(), {parameter("w", expanded)});
  expanded.mutable_grad() = at::ones({1}).expand({2, 3});
  another->step(1);
  EXPECT_TRUE(at::equal(expanded, -at::ones({2, 3})));
}

TEST(Optimizer, StepRecordsNoGraphAndZeroGradientsDropsThem) {
  at::Tensor weight = at::ones({3}).requires_grad_();
  const auto optimizer = make("sgd", json::object(), {parameter("w", weight)});
  (weight * weight).sum().backward();
  optimizer->step(0.25);
  EXPECT_TRUE(weight.is_leaf());
  EXPECT_FLOAT_EQ(weight[0].item<float>(), 0.5);
  optimizer->zero_gradients();
  EXPECT_FALSE(weight.grad().defined());
}

TEST(Optimizer, NamesTheParameterWhoseMemoryFormatChanged) {
  at::Tensor weight = at::ones({2, 3, 2, 2}).requires_grad_();
  const auto optimizer = make("sgd", json::object(), {parameter("conv.weight", weight)});
  weight.set_data(weight.detach().contiguous(at::MemoryFormat::ChannelsLast));
  weight.mutable_grad() = at::ones({2, 3, 2, 2});
  EXPECT_EQ(message(ErrorKind::internal, [&] { optimizer->step(1); }),
            "the layout of conv.weight changed under its optimizer: strides [12, 1, 6, 3], its "
            "momentum has [12, 4, 2, 1]\nhelp: choose the memory format before making the "
            "optimizer");
}

TEST(Optimizer, NamesTheGradientThatDoesNotFit) {
  at::Tensor weight = at::ones({2, 3});
  const auto optimizer = make("sgd", json::object(), {parameter("fc.weight", weight)});
  weight.mutable_grad() = at::ones({2, 3}, at::kDouble);
  EXPECT_THAT(message(ErrorKind::internal, [&] { optimizer->step(1); }),
              HasSubstr("the gradient of fc.weight does not fit: it is Double[2, 3] on cpu, the "
                        "parameter is Float[2, 3] on cpu\nhelp: "));
  EXPECT_TRUE(at::equal(weight, at::ones({2, 3})));
}

TEST(Optimizer, RefusesParametersThatItCannotTrain) {
  const auto refusal = [](std::vector<TrainableParameter> parameters) {
    return message(ErrorKind::internal, [&] { make("sgd", json::object(), parameters); });
  };
  const at::Tensor leaf = at::ones({2}).requires_grad_();
  const std::string start = "the parameter w cannot be optimized: ";
  EXPECT_THAT(refusal({{"w", leaf}, {"w", at::ones({2}).requires_grad_()}}),
              HasSubstr(start + "its name occurs twice\nhelp: "));
  EXPECT_THAT(refusal({{"w", at::Tensor()}}), HasSubstr(start + "it holds no tensor"));
  EXPECT_THAT(refusal({{"w", at::ones({2}, at::kLong)}}),
              HasSubstr(start + "its type is Long, not a floating-point one"));
  EXPECT_THAT(refusal({{"w", leaf * 2}}),
              HasSubstr(start + "it is the result of a computation, not a leaf"));
  EXPECT_THAT(refusal({{"w", at::ones({2})}}), HasSubstr(start + "it requires no gradient"));
  EXPECT_THAT(refusal({{"w", at::ones({4}).slice(0, 0, 4, 2).requires_grad_()}}),
              HasSubstr(start + "its memory has gaps or overlaps: sizes [2], strides [2]"));
}

TEST(Optimizer, RefusesOptionsThatDoNotFitTogetherAndUnknownNames) {
  try {
    make("sgd", {{"momentum", 0.0}, {"nesterov", true}}, {});
    FAIL();
  } catch (const OptionError& error) {
    EXPECT_EQ(error.option(), "nesterov");
    EXPECT_STREQ(error.what(),
                 "nesterov = true needs a momentum above 0, but momentum = 0\n"
                 "help: set momentum (0.9 is usual) or nesterov = false");
  }
  EXPECT_EQ(message(ErrorKind::configuration, [] { make_optimizer("sdg", Options(), {}); }),
            "unknown optimizer \"sdg\"\nhelp: the optimizers are sgd, adam and adamw");
}

class Restore : public testing::Test {
 protected:
  Restore()
      : weight_(at::ones({2, 3})),
        optimizer_(make("adam", json::object(), {parameter("w", weight_)})) {
    weight_.mutable_grad() = at::ones({2, 3});
    optimizer_->step(0.1);
    for (const auto& [name, tensor] : by_name(*optimizer_)) {
      good_.emplace(name, at::full_like(tensor, 7));
    }
  }
  std::string refusal(const std::map<std::string, at::Tensor>& tensors, const json& counters) {
    const std::map<std::string, at::Tensor> before = cloned();
    const std::string text =
        message(ErrorKind::storage, [&] { optimizer_->restore(tensors, counters); });
    for (const auto& [name, tensor] : cloned()) {
      EXPECT_TRUE(at::equal(tensor, before.at(name))) << name << " changed";
    }
    EXPECT_EQ(optimizer_->counters()["steps"], 1);
    EXPECT_THAT(text, HasSubstr("\nhelp: "));
    return text;
  }
  std::map<std::string, at::Tensor> cloned() {
    std::map<std::string, at::Tensor> copies;
    for (const auto& [name, tensor] : by_name(*optimizer_)) {
      copies.emplace(name, tensor.clone());
    }
    return copies;
  }

  at::Tensor weight_;
  std::unique_ptr<Optimizer> optimizer_;
  std::map<std::string, at::Tensor> good_;
  json counters_ = {{"optimizer", "adam"}, {"steps", 7}};
};

TEST_F(Restore, TakesWhatFits) {
  optimizer_->restore(good_, counters_);
  EXPECT_EQ(optimizer_->counters(), counters_);
  for (const auto& [name, tensor] : by_name(*optimizer_)) {
    EXPECT_TRUE(at::equal(tensor, good_.at(name))) << name;
  }
}

TEST_F(Restore, RefusesAMissingTensor) {
  good_.erase("w/second_moment");
  EXPECT_THAT(refusal(good_, counters_),
              HasSubstr("the checkpoint holds no optimizer state \"w/second_moment\" of [2, 3]\n"));
}

TEST_F(Restore, RefusesAnUnknownTensor) {
  good_.emplace("v/step", at::ones({}));
  EXPECT_THAT(
      refusal(good_, counters_),
      HasSubstr("the checkpoint's optimizer state \"v/step\" belongs to no parameter of this run"));
}

TEST_F(Restore, RefusesAnotherShapeOrType) {
  good_["w/first_moment"] = at::ones({3, 2});
  EXPECT_THAT(refusal(good_, counters_),
              HasSubstr("\"w/first_moment\" is Float[3, 2], this run needs Float[2, 3]"));
  good_["w/first_moment"] = at::ones({2, 3}, at::kHalf);
  EXPECT_THAT(refusal(good_, counters_),
              HasSubstr("\"w/first_moment\" is Half[2, 3], this run needs Float[2, 3]"));
}

TEST_F(Restore, RefusesAnotherOptimizersCounters) {
  EXPECT_THAT(refusal(good_, {{"optimizer", "sgd"}, {"steps", 7}}),
              HasSubstr("written by the optimizer \"sgd\", this run uses \"adam\""));
  for (const json& malformed :
       {json::array(), json{{"steps", 7}}, json{{"optimizer", "adam"}, {"steps", "7"}},
        json{{"optimizer", 3}, {"steps", 7}}, json{{"optimizer", "adam"}}}) {
    EXPECT_THAT(refusal(good_, malformed),
                HasSubstr("counters are malformed: " + malformed.dump() + "; expected"));
  }
}

TEST(ClipGradientNorm, ScalesAllGradientsTogether) {
  std::vector<TrainableParameter> parameters = {parameter("a", at::zeros({2})),
                                                parameter("b", at::zeros({2, 1})),
                                                parameter("without gradient", at::zeros({5}))};
  const auto set = [&] {
    parameters[0].tensor.mutable_grad() = at::tensor({3.0f, 0.0f});
    parameters[1].tensor.mutable_grad() = at::tensor({0.0f, 4.0f}).reshape({2, 1});
  };
  set();
  EXPECT_FLOAT_EQ(clip_gradient_norm(parameters, 10).item<float>(), 5);
  EXPECT_EQ(parameters[0].tensor.grad()[0].item<float>(), 3);
  EXPECT_EQ(parameters[1].tensor.grad()[1][0].item<float>(), 4);
  EXPECT_FLOAT_EQ(clip_gradient_norm(parameters, 1).item<float>(), 5);
  EXPECT_NEAR(parameters[0].tensor.grad()[0].item<float>(), 3 / (5 + 1e-6), 1e-6);
  EXPECT_NEAR(parameters[1].tensor.grad()[1][0].item<float>() * (5 + 1e-6), 4, 1e-5);
  EXPECT_NEAR(parameters[1].tensor.grad()[1][0].item<float>(), 0.8, 1e-6);
  EXPECT_FALSE(parameters[2].tensor.grad().defined());
}

TEST(ClipGradientNorm, IsZeroWithoutGradients) {
  EXPECT_EQ(clip_gradient_norm({}, 1).item<float>(), 0);
  EXPECT_EQ(clip_gradient_norm({parameter("a", at::zeros({2}))}, 1).item<float>(), 0);
}

}  // namespace
}  // namespace qhost::training

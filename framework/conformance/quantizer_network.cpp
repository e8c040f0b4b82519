/// Checks of quantizers in a network that trains.
#include <ATen/ATen.h>

#include "conformance/variants.h"
#include "model/model.h"
#include "qhost/error.h"
#include "training/loss.h"
#include "training/optimizer.h"

namespace qhost::conformance {
namespace {

constexpr std::int64_t batch = 6, classes = 4;

/// The inputs of the second convolution come from a ReLU; those of the linear layer may be
/// negative.
Graph network() {
  GraphBuilder g;
  Value x = g.input({{3, 8, 8}});
  Value y = g.conv2d("conv1", x, {.out_channels = 8, .kernel = 3, .padding = 1});
  y = g.relu("relu1", g.batch_norm("bn1", y));
  Value z = g.conv2d("conv2", y, {.out_channels = 8, .kernel = 3, .padding = 1});
  z = g.add("add", g.batch_norm("bn2", z), y);
  z = g.batch_norm("bn3", g.average_pool("pool1", z));
  z = g.global_average_pool("pool2", z);
  return g.finish(g.linear("fc", z, {.out_features = classes}), classes);
}

MethodRule rule_of(const QuantizerMethod& method, const Options& options) {
  MethodRule rule;
  rule.method = method.name;
  rule.quantizer = std::shared_ptr<Quantizer>(method.create(options));
  if (rule.quantizer == nullptr) throw Error(ErrorKind::plugin, "create() gives null");
  rule.offers = method.roles;
  // The first layer reads the image, which a quantizer of signed values may refuse.
  rule.keep_float = std::vector<std::string>{"conv1"};
  return rule;
}

class Trial {
 public:
  Trial(const QuantizerMethod& method, const Options& options, const ModelOptions& how) {
    Graph graph = network();
    Plan plan = make_plan(graph, {rule_of(method, options)});
    model_ = std::make_unique<Model>(std::move(graph), std::move(plan), how);
    model_->initialize(position());
    if (model_->plan().needs_calibration) model_->calibrate(images(50), position(), true);
    if (model_->plan().bias_correction) {
      model_->correct_biases(
          1, [&](std::int64_t) { return images(50); }, position());
    }
    std::vector<training::TrainableParameter> parameters;
    for (const NamedTensor& entry : model_->state()) {
      if (!entry.trainable) continue;
      parameters.push_back({.name = entry.name,
                            .tensor = entry.tensor,
                            .learning_rate_multiplier = entry.learning_rate_multiplier,
                            .weight_decay = entry.weight_decay.value_or(0)});
    }
    Options sgd;
    sgd.set("momentum", 0.0);
    sgd.set("nesterov", false);
    optimizer_ = training::make_optimizer("sgd", sgd, parameters);
  }

  RunPosition position() const {
    return {.epoch = 0, .epochs = 1, .step = step_, .steps = 3, .seed = 21};
  }
  at::Tensor images(std::uint64_t key) const {
    at::Tensor x = uniform_like(Random(key), at::empty({batch, 3, 8, 8}, at::kFloat));
    x = x.mul_(4).sub_(2);
    return model_->options().channels_last ? x.contiguous(at::MemoryFormat::ChannelsLast) : x;
  }
  /// Makes one training step. Returns "", or what is not finite.
  std::string step() {
    optimizer_->zero_gradients();
    const at::Tensor logits =
        model_->train(images(60 + static_cast<std::uint64_t>(step_)), position());
    const at::Tensor labels = at::arange(batch, at::kLong).remainder(classes);
    const at::Tensor loss = training::make_loss("cross_entropy", 0)(logits, labels);
    loss.backward();
    if (!at::isfinite(loss).item<bool>()) return "the loss is not finite";
    for (const NamedTensor& entry : model_->state()) {
      if (!entry.trainable || !entry.tensor.grad().defined()) continue;
      if (!at::isfinite(entry.tensor.grad()).all().item<bool>()) {
        return "the gradient of " + entry.name + " is not finite";
      }
    }
    optimizer_->step(0.01);
    model_->after_step(position());
    ++step_;
    return "";
  }
  at::Tensor evaluate() { return model_->evaluate(images(70), position()); }
  std::map<std::string, at::Tensor> copy() const {
    std::map<std::string, at::Tensor> tensors;
    for (const NamedTensor& entry : model_->state()) {
      tensors[entry.name] = entry.tensor.detach().clone();
    }
    return tensors;
  }
  void load(const std::map<std::string, at::Tensor>& tensors, std::int64_t step) {
    model_->load(tensors);
    step_ = step;
  }

 private:
  std::unique_ptr<Model> model_;
  std::unique_ptr<training::Optimizer> optimizer_;
  std::int64_t step_ = 0;
};

std::string first_difference(const std::map<std::string, at::Tensor>& a,
                             const std::map<std::string, at::Tensor>& b) {
  for (const auto& [name, tensor] : a) {
    if (!at::equal(tensor, b.at(name))) return name;
  }
  return "";
}

std::string check_training(Trial& trial) {
  for (int i = 0; i < 3; ++i) {
    const std::string bad = trial.step();
    if (!bad.empty()) return bad + " in step " + std::to_string(i + 1);
  }
  return at::isfinite(trial.evaluate()).all().item<bool>() ? ""
                                                           : "evaluation gives no finite logits";
}

std::string check_resume(Trial& straight, Trial& resumed) {
  std::map<std::string, at::Tensor> saved;
  for (int i = 0; i < 3; ++i) {
    if (i == 2) saved = straight.copy();
    straight.step();
  }
  resumed.load(saved, 2);
  resumed.step();
  const std::string name = first_difference(straight.copy(), resumed.copy());
  if (!name.empty()) return name + " differs after the third step";
  return at::equal(straight.evaluate(), resumed.evaluate()) ? "" : "the evaluation differs";
}

std::string check_evaluation(Trial& trial) {
  trial.step();
  const auto before = trial.copy();
  const at::Tensor first = trial.evaluate(), second = trial.evaluate();
  if (!at::equal(first, second)) return "two evaluations differ";
  const std::string name = first_difference(before, trial.copy());
  return name.empty() ? "" : "it changes " + name;
}

std::string check_nothing_to_do(const QuantizerMethod& method, const Options& options) {
  MethodRule rule = rule_of(method, options);
  rule.keep_float = std::vector<std::string>{"*"};
  try {
    make_plan(network(), {rule});
  } catch (const Error&) {
    return "";
  }
  return "a rule whose layers all stay float is taken";
}

}  // namespace

std::vector<Finding> check_quantizer_in_network(const QuantizerMethod& method) {
  std::vector<Finding> findings;
  for (const Variant& variant : variants(method.options, Integers::smallest_too)) {
    try {
      make_plan(network(), {rule_of(method, variant.options)});
    } catch (const OptionError&) {
      continue;  // options that exclude each other
    } catch (...) {
      findings.push_back({"network", variant.name, exception_text()});
      continue;
    }
    const auto add = [&](const std::string& check, const std::string& where, auto work) {
      Finding finding{check, where, ""};
      const std::string thrown = failure_of([&] { finding.failure = work(); });
      if (!thrown.empty()) finding.failure = thrown;
      findings.push_back(std::move(finding));
    };
    for (const Precision precision : {Precision::fp32, Precision::bf16}) {
      for (const bool channels_last : {false, true}) {
        const ModelOptions how = {.precision = precision, .channels_last = channels_last};
        const std::string where = variant.name +
                                  (precision == Precision::bf16 ? ", bf16" : ", fp32") +
                                  (channels_last ? ", channels_last" : ", contiguous");
        add("training", where, [&] {
          Trial trial(method, variant.options, how);
          return check_training(trial);
        });
        add("resume", where, [&] {
          Trial straight(method, variant.options, how), resumed(method, variant.options, how);
          return check_resume(straight, resumed);
        });
      }
    }
    add("evaluation", variant.name, [&] {
      Trial trial(method, variant.options, {});
      return check_evaluation(trial);
    });
    add("nothing to do", variant.name,
        [&] { return check_nothing_to_do(method, variant.options); });
  }
  return findings;
}

}  // namespace qhost::conformance

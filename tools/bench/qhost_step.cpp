#include "qhost_step.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "config/schema.h"
#include "images.h"
#include "rounds.h"

namespace qhost::bench {
namespace {

constexpr std::int64_t epochs = 1000;

class IdentityWeight : public WeightQuantizer {
 public:
  Encoding encoding(const SlotInfo&) const override { return Encoding::float32(); }
  at::Tensor forward(const SlotContext&, const at::Tensor& latent) override { return latent; }
  Encoded encode(const SlotContext&, const at::Tensor& latent) override {
    return {.encoding = Encoding::float32(), .codes = latent};
  }
};

class Identity : public Quantizer {
 public:
  std::unique_ptr<WeightQuantizer> weight(const SlotInfo&) override {
    return std::make_unique<IdentityWeight>();
  }
};

/// Weight decay on weights only, the trainer's default.
std::vector<training::TrainableParameter> trainable(const Model& model, double weight_decay) {
  std::vector<training::TrainableParameter> parameters;
  for (const NamedTensor& entry : model.state()) {
    if (!entry.trainable) continue;
    parameters.push_back(
        {.name = entry.name,
         .tensor = entry.tensor,
         .learning_rate_multiplier = entry.learning_rate_multiplier,
         .weight_decay = entry.weight_decay.value_or(entry.decayed ? weight_decay : 0)});
  }
  return parameters;
}

}  // namespace

Graph resnet20(Registry& registry) {
  const Architecture& resnet = registry.architecture("resnet");
  const Options options = Options::from(resnet.options, {{"depth", std::int64_t{20}}});
  GraphBuilder g;
  const Value x = g.input(image_shape());
  const Value y = resnet.build(g, x, {.input = image_shape(), .classes = classes}, options);
  return g.finish(y, classes);
}

MethodRule method_rule(Registry& registry, const std::string& name,
                       const std::map<std::string, OptionValue>& options) {
  const QuantizerMethod& method = registry.quantizer(name);
  return {.method = name,
          .quantizer = method.create(Options::from(method.options, options)),
          .offers = method.roles,
          .default_keep_float = method.keep_float};
}

MethodRule nothing() {
  return {.method = "nothing", .quantizer = std::make_shared<Identity>(), .offers = {Role::weight}};
}

QhostStep::QhostStep(const Graph& graph, const std::vector<MethodRule>& rules, Precision precision,
                     const data::Split& images, std::int64_t batch_size)
    : model_(graph, make_plan(graph, rules), {.precision = precision}),
      batches_(images, image_shape(), augmentation(), /*seed=*/1, batch_size, /*shuffle=*/true,
               /*drop_last=*/true),
      buffer_(image_shape(), batch_size, model_.options()),
      schedule_(training::make_schedule(
          "cosine", Options::from(*config::find_schedule("cosine"), {}), 0.1, epochs)),
      loss_(training::make_loss("cross_entropy", 0)) {
  model_.initialize({.seed = 1});
  const Options sgd = Options::from(*config::find_optimizer("sgd"), {{"nesterov", true}});
  optimizer_ = training::make_optimizer("sgd", sgd, trainable(model_, 1e-4));
}

void QhostStep::step() {
  // Like training/trainer.cpp, without checkpoint, metrics file and progress line.
  const std::int64_t per_epoch = batches_.steps_per_epoch();
  const RunPosition at = {.epoch = step_ / per_epoch,
                          .epochs = epochs,
                          .step = step_,
                          .steps = epochs * per_epoch,
                          .seed = 1};
  const training::Batch batch = buffer_.fill(batches_, at.epoch, step_ % per_epoch);
  optimizer_->zero_gradients();
  const at::Tensor logits = model_.train(batch.images, at);
  const at::Tensor loss = loss_(logits, batch.labels);
  loss.backward();
  loss_value_ = loss.item<double>();
  optimizer_->step(schedule_.learning_rate(step_, per_epoch));
  model_.after_step(at);
  {
    const at::NoGradGuard no_grad;
    correct_ += logits.argmax(1).eq(batch.labels).sum().item<std::int64_t>();
  }
  ++step_;
}

double slot_call_seconds(Model& model) {
  constexpr int repetitions = 2000;
  std::map<std::string, at::Tensor> latents;
  for (const NamedTensor& entry : model.state()) latents[entry.name] = entry.tensor;
  std::vector<at::Tensor> by_slot;
  for (const PlannedSlot& slot : model.plan().slots) {
    by_slot.push_back(latents.at(slot.info.node + ".weight"));
  }
  const double start = now();
  for (int i = 0; i < repetitions; ++i) {
    for (std::size_t s = 0; s < by_slot.size(); ++s) {
      const PlannedSlot& slot = model.plan().slots[s];
      const SlotContext context = {
          .slot = &slot.info, .epochs = 1, .step = i, .steps = repetitions};
      const at::Tensor weight = slot.weight->forward(context, by_slot[s]);
      slot.weight->after_step(context, by_slot[s]);
    }
  }
  return (now() - start) / repetitions;
}

}  // namespace qhost::bench

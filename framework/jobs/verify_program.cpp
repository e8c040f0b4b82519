#include "jobs/verify_program.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "common/defect.h"
#include "common/number_text.h"
#include "data/data_loader.h"
#include "jobs/seen_input.h"
#include "lowering/pack/pack.h"
#include "model/interpreter.h"
#include "model/lower_custom.h"
#include "packed/program_file.h"
#include "qhost/error.h"
#include "runtime/engine.h"
#include "training/batch.h"
#include "training/interrupt.h"

namespace qhost::jobs {
namespace {

using packed::Program;
using packed::Step;
using packed::StepOp;

constexpr double float_bound = 1e-5, logit_bound = 1e-4, decision_bound = 1e-3;
/// The coded values of a batch are kept until its images are compared.
constexpr std::int64_t largest_batch = 64;

/// One for each thread of LibTorch's.
using Runners = std::vector<std::unique_ptr<runtime::Runner>>;
Runners runners_of(const std::shared_ptr<const runtime::Engine>& engine) {
  Runners runners;
  for (int i = 0; i < at::get_num_threads(); ++i) {
    runners.push_back(std::make_unique<runtime::Runner>(engine));
  }
  return runners;
}

/// `work(share, image)` for each image. LibTorch's own threads share them: after each of its
/// operations they wait for the next one by spinning, and would take the time of others.
template <class Work>
void share_images(std::size_t runners, std::int64_t images, const Work& work) {
  const auto shares = static_cast<std::int64_t>(runners);
  at::parallel_for(0, shares, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t share = first; share < last; ++share) {
      for (std::int64_t i = share; i < images; i += shares) {
        work(static_cast<std::size_t>(share), i);
      }
    }
  });
}

/// A network of one layer, to be given floats or the numbers of codes.
class LayerAlone {
 public:
  /// With `codes_out` the layer's own codes come out, else its sums.
  LayerAlone(const Program& program, int index, bool codes_out) {
    const Step& layer = program.step(index);
    const Step& source = program.step(layer.inputs[0]);
    Program alone;
    Step input{.name = "x", .op = StepOp::input};
    input.shape = source.shape;
    alone.steps.push_back(input);
    if (source.codes) {
      Step encode{.name = "codes", .op = StepOp::encode, .inputs = {0}, .codes = source.codes};
      encode.shape = source.shape;
      for (int j = 0; j + 1 < source.codes->count(); ++j) {
        encode.thresholds.push_back(static_cast<float>(j) + 0.5F);
      }
      alone.steps.push_back(encode);
    }
    Step conv = layer;
    conv.name = "layer";
    conv.inputs = {static_cast<int>(alone.steps.size()) - 1};
    if (!codes_out) {
      conv.scale.clear();
      conv.bias.clear();
      conv.sum_thresholds.clear();
      conv.direction.clear();
      conv.codes.reset();
      conv.position = false;
    }
    alone.steps.push_back(conv);
    if (codes_out) add_decode(alone);
    if (alone.steps.back().shape.is_image()) {
      Step flat{.name = "flat", .op = StepOp::flatten};
      flat.inputs = {static_cast<int>(alone.steps.size()) - 1};
      flat.shape.dims = {layer.shape.elements()};
      alone.steps.push_back(flat);
    }
    alone.output = static_cast<int>(alone.steps.size()) - 1;
    runners_ = runners_of(std::make_shared<const runtime::Engine>(std::move(alone)));
    shape_ = layer.shape;
  }

  /// `x` [N, ...] float.
  at::Tensor run(const at::Tensor& x) {
    const at::Tensor in = x.to(at::kCPU, at::kFloat).contiguous();
    std::vector<std::int64_t> shape = {in.size(0)};
    shape.insert(shape.end(), shape_.dims.begin(), shape_.dims.end());
    at::Tensor out = at::empty(shape, at::kFloat);
    const float* from = in.const_data_ptr<float>();
    float* to = out.mutable_data_ptr<float>();
    const std::int64_t values = in.numel() / in.size(0), results = out.numel() / in.size(0);
    share_images(runners_.size(), in.size(0), [&](std::size_t share, std::int64_t i) {
      runners_[share]->run(from + i * values, 1, to + i * results);
    });
    return out;
  }

 private:
  /// The numbers of the codes as floats.
  static void add_decode(Program& alone) {
    const int codes = static_cast<int>(alone.steps.size()) - 1;
    packed::Codes& made = *alone.steps.back().codes;
    const int count = made.count();
    made = {.encoding = Encoding::codebook(count, ScaleKind::none, false)};
    for (int code = 0; code < count; ++code) made.table.push_back(static_cast<float>(code));
    Step decode{.name = "numbers", .op = StepOp::decode, .inputs = {codes}};
    decode.shape = alone.steps.back().shape;
    alone.steps.push_back(decode);
  }

  Runners runners_;
  Shape shape_;
};

struct Layer {
  LayerCheck check;
  int step = -1;
  std::unique_ptr<LayerAlone> sums, codes;
};

class Verifier : public InterpreterWatch {
 public:
  Verifier(Model& model, const Program& program, const RunPosition& position)
      : model_(model),
        program_(program),
        position_(position),
        inputs_(model.input_codes(position)),
        merged_(std::make_shared<const runtime::Engine>(program)),
        apart_(std::make_shared<const runtime::Engine>(program, nullptr, /*merge=*/false)),
        logits_(runners_of(merged_)),
        steps_(runners_of(apart_)) {
    for (std::size_t i = 0; i < program.steps.size(); ++i) {
      by_name_[program.steps[i].name] = static_cast<int>(i);
    }
    const auto& operations = apart_->plan().ops;
    for (std::size_t i = 0; i < operations.size(); ++i) last_operation_[operations[i]->name] = i;
  }

  void batch(const at::Tensor& images) {
    seen_.clear();
    const at::Tensor expected =
        model_.evaluate(images, position_, this).to(at::kCPU, at::kFloat).contiguous();
    compare_sums_with_codes();
    seen_behind_.assign(apart_->plan().ops.size(), {});
    for (std::size_t i = 0; i < seen_.size(); ++i) {
      const int step = step_of(seen_[i]);
      if (step >= 0) require_same_codes(seen_[i], step);
      if (step >= 0) seen_behind_[last_operation_.at(program_.step(step).name)].push_back(i);
    }
    const at::Tensor x = images.to(at::kCPU, at::kFloat).contiguous();
    std::vector<Seen> shares(steps_.size());
    share_images(steps_.size(), x.size(0), [&](std::size_t share, std::int64_t i) {
      compare_image(share, x, expected, i, shares[share]);
    });
    for (const Seen& share : shares) add(share);
  }

  Verification result() {
    for (const std::string& name : order_) result_.layers.push_back(layers_.at(name).check);
    judge();
    return std::move(result_);
  }

  void codes(const InferenceNode& node, std::size_t edge, const at::Tensor& x,
             const EncodedInput& codes) override {
    seen_.emplace_back(node.name, edge, x, codes);
  }

  void layer(const InferenceNode& node, const at::Tensor& x, const Finish& finish,
             const at::Tensor& y) override {
    if (result_.images >= layer_images) return;
    Layer& layer = layer_of(node.name);
    const Step& step = program_.step(layer.step);
    const bool coded = program_.step(step.inputs[0]).codes.has_value();
    const at::Tensor given = coded ? codes_of(node.name) : x;
    const at::Tensor sums = layer.sums->run(given).to(y.device());
    // The layout of evaluation's own output, so that `finish` computes alike.
    const at::Tensor got = finish(at::empty_like(y).copy_(sums));
    LayerCheck& check = layer.check;
    check.values += y.numel();
    const double largest = std::max(at::abs(y).max().item<double>(), 1e-30);
    const at::Tensor difference = at::abs(got - y);
    check.largest_difference =
        std::max(check.largest_difference, difference.max().item<double>() / largest);
    // Not `>`: NaN is beyond every bound.
    const at::Tensor wrong =
        check.integer ? at::ne(got, y) : at::logical_not(at::le(difference, float_bound * largest));
    check.different += wrong.sum().item<std::int64_t>();
    if (layer.codes) made_codes_[layer.step] = layer.codes->run(given);
  }

 private:
  Layer& layer_of(const std::string& name) {
    if (const auto found = layers_.find(name); found != layers_.end()) return found->second;
    const auto index = by_name_.find(name);
    if (index == by_name_.end()) throw defect("no step of the packed network is the layer " + name);
    Layer layer;
    layer.step = index->second;
    const Step& step = program_.step(layer.step);
    const Step& source = program_.step(step.inputs[0]);
    layer.check.name = name;
    layer.check.integer =
        source.codes && source.codes->unit() != 0 && packed::unit(*step.weight) != 0;
    layer.sums = std::make_unique<LayerAlone>(program_, layer.step, /*codes_out=*/false);
    if (step.codes) {
      layer.codes = std::make_unique<LayerAlone>(program_, layer.step, /*codes_out=*/true);
    }
    order_.push_back(name);
    return layers_.emplace(name, std::move(layer)).first->second;
  }

  /// The step whose codes an input of evaluation is; -1 if the program has none.
  int step_of(const SeenInput& seen) const {
    const auto found = by_name_.find(seen.node());
    if (found == by_name_.end()) return -1;
    const Step& step = program_.step(found->second);
    int index = step.inputs.at(std::min(seen.edge(), step.inputs.size() - 1));
    if (program_.step(index).op == StepOp::decode) index = program_.step(index).inputs[0];
    return program_.step(index).codes || is_rounding(index) ? index : -1;
  }

  /// A file may have the run's layers, and other codes between them.
  void require_same_codes(const SeenInput& seen, int index) const {
    const Step& step = program_.step(index);
    const bool same = step.shape.elements() == seen.elements() &&
                      is_rounding(index) == seen.is_rounded() &&
                      (seen.is_rounded() ||
                       step.codes->count() == inputs_.at({seen.node(), seen.edge()}).codes.count());
    if (same) return;
    throw Error(ErrorKind::configuration,
                "`" + seen.node() + "` reads other codes in the file than in the run",
                "`qhost export RUN -o FILE.safetensors` writes the run's own file");
  }

  bool is_rounding(int step) const { return program_.step(step).op == StepOp::round; }

  void compare_sums_with_codes() {
    for (const SeenInput& seen : seen_) {
      const auto made = made_codes_.find(step_of(seen));
      if (made == made_codes_.end()) continue;
      LayerCheck& check = layers_.at(program_.step(made->first).name).check;
      check.different_codes +=
          (made->second.reshape(seen.codes().sizes()) != seen.codes().to(at::kFloat))
              .sum()
              .item<std::int64_t>();
    }
    made_codes_.clear();
  }

  /// What one image, or several, showed.
  struct Seen {
    std::int64_t images = 0, other_codes = 0, explained = 0, unexplained = 0;
    std::int64_t changed_decisions = 0, merged_differences = 0, not_finite = 0;
    double largest_logit_difference = 0;
  };

  void add(const Seen& seen) {
    result_.images += seen.images;
    result_.images_with_other_codes += seen.other_codes;
    result_.explained_codes += seen.explained;
    result_.unexplained_codes += seen.unexplained;
    result_.changed_decisions += seen.changed_decisions;
    result_.merged_differences += seen.merged_differences;
    not_finite_ += seen.not_finite;
    result_.largest_logit_difference =
        std::max(result_.largest_logit_difference, seen.largest_logit_difference);
  }

  void compare_image(std::size_t share, const at::Tensor& x, const at::Tensor& expected,
                     std::int64_t index, Seen& result) const {
    const auto values = static_cast<std::ptrdiff_t>(apart_->input_values());
    const float* image = x.const_data_ptr<float>() + index * values;
    std::vector<float> logits(apart_->classes()), now(logits.size());
    ++result.images;
    const bool differs = run_with_codes_of_evaluation(*steps_[share], image, index, logits, result);
    const float* wanted =
        expected.const_data_ptr<float>() + index * static_cast<std::ptrdiff_t>(logits.size());
    compare_logits(logits, wanted, result);

    logits_[share]->run(image, 1, now.data());
    if (differs) {
      ++result.other_codes;
      steps_[share]->run(image, 1, logits.data());
    }
    for (std::size_t c = 0; c < logits.size(); ++c) {
      const bool same = logits[c] == now[c] || (std::isnan(logits[c]) && std::isnan(now[c]));
      result.merged_differences += same ? 0 : 1;
    }
    const auto choice = [&](const float* of) { return std::max_element(of, of + now.size()) - of; };
    result.changed_decisions += choice(now.data()) != choice(wanted) ? 1 : 0;
  }

  /// Where a code differs it is judged, and the engine goes on with evaluation's: what follows is
  /// judged on its own. Returns whether one did.
  bool run_with_codes_of_evaluation(runtime::Runner& runner, const float* image, std::int64_t index,
                                    std::vector<float>& logits, Seen& result) const {
    bool differs = false;
    runner.run_watched(image, logits.data(), [&](std::size_t operation, std::byte* arena) {
      for (const std::size_t i : seen_behind_[operation]) {
        const SeenInput& seen = seen_[i];
        const auto& places = apart_->plan().steps[static_cast<std::size_t>(step_of(seen))];
        if (seen.is_held(places, arena, index)) continue;
        const Differences found =
            seen.explain(places, arena, index, inputs_.at({seen.node(), seen.edge()}));
        result.explained += found.explained;
        result.unexplained += found.unexplained;
        seen.put(places, arena, index);
        differs = true;
      }
    });
    return differs;
  }

  static void compare_logits(const std::vector<float>& logits, const float* wanted, Seen& result) {
    double largest = 1e-30, difference = 0;
    for (std::size_t c = 0; c < logits.size(); ++c) {
      if (!std::isfinite(logits[c]) || !std::isfinite(wanted[c])) {
        ++result.not_finite;
        continue;
      }
      largest = std::max(largest, std::abs(double{wanted[c]}));
      difference = std::max(difference, std::abs(double{wanted[c]} - double{logits[c]}));
    }
    result.largest_logit_difference =
        std::max(result.largest_logit_difference, difference / largest);
  }

  /// The codes that the layer read; they were seen last.
  at::Tensor codes_of(const std::string& node) const {
    const auto found = std::find_if(seen_.rbegin(), seen_.rend(), [&](const SeenInput& seen) {
      return seen.node() == node && seen.edge() == 0;
    });
    if (found == seen_.rend()) throw defect(node + " reads codes, and evaluation has none there");
    return found->codes();
  }

  void fail(const std::string& sentence) { result_.failures.push_back(sentence); }

  void judge() {
    for (const LayerCheck& layer : result_.layers) {
      if (layer.different > 0) {
        fail(layer.name + ": " + std::to_string(layer.different) + " of " +
             std::to_string(layer.values) + " outputs of the layer alone differ" +
             (layer.integer ? ", and none may"
                            : " by more than 1e-5 of the largest; the largest difference is " +
                                  significant(layer.largest_difference)));
      }
      if (layer.different_codes > 0) {
        fail(layer.name + ": " + std::to_string(layer.different_codes) +
             " codes of the layer alone differ, and none may");
      }
    }
    if (result_.unexplained_codes > 0) {
      fail(std::to_string(result_.unexplained_codes) +
           " codes differ that no threshold nearby explains");
    }
    if (result_.merged_differences > 0) {
      fail(std::to_string(result_.merged_differences) + " logits change where steps are merged");
    }
    if (result_.largest_logit_difference > logit_bound) {
      fail("the logits of an image with equal codes differ by " +
           significant(result_.largest_logit_difference) + " of the largest, above 1e-4");
    }
    if (not_finite_ > 0) {
      fail(std::to_string(not_finite_) + " logits are not finite");
    }
    if (static_cast<double>(result_.changed_decisions) >
        decision_bound * static_cast<double>(result_.images)) {
      result_.notes.push_back(
          std::to_string(result_.changed_decisions) + " of " + std::to_string(result_.images) +
          " images change their class, more than 0.1 %: values that stand on a threshold fall on "
          "either side with the last bit of a sum");
    }
  }

  Model& model_;
  const Program& program_;
  const RunPosition position_;
  const InputCodesByEdge inputs_;
  std::shared_ptr<const runtime::Engine> merged_, apart_;
  Runners logits_, steps_;
  std::map<std::string, int> by_name_;
  std::map<std::string, Layer> layers_;
  std::vector<std::string> order_;
  std::vector<SeenInput> seen_;
  std::map<std::string, std::size_t> last_operation_;  ///< of a step, by its name
  /// By operation of `apart_`: of seen_, those whose codes are there behind it.
  std::vector<std::vector<std::size_t>> seen_behind_;
  std::map<int, at::Tensor> made_codes_;
  std::int64_t not_finite_ = 0;
  Verification result_;
};

}  // namespace

nlohmann::json Verification::to_json() const {
  nlohmann::json each = nlohmann::json::array();
  for (const LayerCheck& layer : layers) {
    each.push_back({{"name", layer.name},
                    {"integer", layer.integer},
                    {"values", layer.values},
                    {"different", layer.different},
                    {"different_codes", layer.different_codes},
                    {"largest_difference", layer.largest_difference}});
  }
  return {{"passed", passed()},
          {"images", images},
          {"images_with_other_codes", images_with_other_codes},
          {"explained_codes", explained_codes},
          {"unexplained_codes", unexplained_codes},
          {"changed_decisions", changed_decisions},
          {"largest_logit_difference", largest_logit_difference},
          {"failures", failures},
          {"notes", notes},
          {"layers", std::move(each)}};
}

Program packed_network(Model& model, const RunPosition& position) {
  const InferenceGraph graph = lower_custom_nodes(model.inference_graph(position));
  const Program program = pack(graph, model.input_codes(position));
  return packed::from_bytes(packed::to_bytes(program), "the packed network");
}

Verification verify_program(Model& model, const Program& program, const data::Split& split,
                            const training::EvaluationSettings& settings,
                            const RunPosition& position, const training::EvaluationWatch& watch) {
  const at::NoGradGuard no_grad;
  const training::Doing doing(training::Activity::evaluating);
  const data::DataLoader batches(split, settings.image, settings.normalization, position.seed,
                                 std::min({settings.batch_size, split.count(), largest_batch}),
                                 /*shuffle=*/false, /*drop_last=*/false);
  training::BatchBuffer buffer(settings.image, batches.batch_size(), model.options());
  Verifier verifier(model, program, position);
  std::int64_t done = 0;
  for (std::int64_t step = 0; step < batches.steps_per_epoch(); ++step) {
    training::InterruptGuard::stop_if_asked();
    const training::Batch batch = buffer.fill(batches, 0, step);
    verifier.batch(batch.images);
    done += batch.labels.size(0);
    if (watch) watch(done, split.count());
  }
  return verifier.result();
}

}  // namespace qhost::jobs

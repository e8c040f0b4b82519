#include "jobs/bench_program.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <utility>

#include "model/operations.h"
#include "runtime/engine.h"
#include "storage/environment.h"

namespace qhost::jobs {
namespace {

using packed::Program;
using packed::Step;
using packed::StepOp;
using Clock = std::chrono::steady_clock;

double timed(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

std::array<std::int64_t, 2> pair(const Size2& size) {
  return {size.height, size.width};
}

/// The same network of float32 operations of LibTorch: the levels of the weights, no codes.
class TorchNetwork {
 public:
  explicit TorchNetwork(const Program& program) : program_(program) {
    for (const Step& step : program.steps) {
      Weights weights;
      if (step.weight) {
        at::Tensor levels = tensor(packed::levels(*step.weight)).reshape(step.weight->shape);
        weights.weight =
            step.op == StepOp::conv2d ? levels.contiguous(at::MemoryFormat::ChannelsLast) : levels;
      }
      const bool image = step.shape.is_image();
      if (!step.scale.empty()) weights.scale = over_channels(tensor(step.scale), image);
      if (!step.bias.empty()) weights.bias = over_channels(tensor(step.bias), image);
      weights_.push_back(std::move(weights));
    }
  }

  at::Tensor run(const at::Tensor& x) const {
    std::vector<at::Tensor> values(program_.steps.size());
    values[0] = x;
    for (std::size_t i = 1; i < values.size(); ++i) {
      values[i] = compute(program_.steps[i], weights_[i], values);
    }
    return values[static_cast<std::size_t>(program_.output)];
  }

  /// One layer, of random values.
  std::function<void()> layer(const Step& step, std::size_t index, std::int64_t batch) const {
    const Step& source = program_.step(step.inputs[0]);
    std::vector<std::int64_t> shape = {batch};
    shape.insert(shape.end(), source.shape.dims.begin(), source.shape.dims.end());
    at::Tensor x = at::rand(shape);
    if (source.shape.is_image()) x = x.contiguous(at::MemoryFormat::ChannelsLast);
    return [this, &step, index, x] { convolve(step, weights_[index], x); };
  }

 private:
  struct Weights {
    at::Tensor weight, scale, bias;
  };

  static at::Tensor tensor(const std::vector<float>& values) {
    at::Tensor result = at::empty({static_cast<std::int64_t>(values.size())}, at::kFloat);
    std::copy(values.begin(), values.end(), result.mutable_data_ptr<float>());
    return result;
  }
  static at::Tensor over_channels(const at::Tensor& values, bool image) {
    return image ? values.reshape({1, -1, 1, 1}) : values;
  }

  static at::Tensor convolve(const Step& step, const Weights& weights, const at::Tensor& x) {
    if (step.op == StepOp::linear) return at::linear(x, weights.weight);
    return at::conv2d(x, weights.weight, {}, pair(step.stride), pair(step.padding), {1, 1},
                      step.groups);
  }

  static at::Tensor compute(const Step& step, const Weights& weights,
                            const std::vector<at::Tensor>& values) {
    const auto in = [&](std::size_t e) {
      return values[static_cast<std::size_t>(step.inputs.at(e))];
    };
    const auto affine = [&](at::Tensor y) {
      if (weights.scale.defined()) y.mul_(weights.scale);
      if (weights.bias.defined()) y.add_(weights.bias);
      return y;
    };
    switch (step.op) {
      case StepOp::conv2d:
      case StepOp::linear:
        return affine(convolve(step, weights, in(0)));
      case StepOp::affine:
        return affine(in(0).clone());
      case StepOp::round:
        return in(0)
            .to(step.rounding == CodeKind::float16 ? at::kHalf : at::kBFloat16)
            .to(at::kFloat);
      case StepOp::add: {  // of two or more
        at::Tensor sum = in(0) + in(1);
        for (std::size_t e = 2; e < step.inputs.size(); ++e) sum.add_(in(e));
        return sum;
      }
      default:
        break;
    }
    std::vector<at::Tensor> inputs;
    for (std::size_t e = 0; e < step.inputs.size(); ++e) inputs.push_back(in(e));
    const at::Tensor y = plain_output(operation_of(step), options_of(step), inputs, false);
    return y.defined() ? y : in(0);  // codes and levels are the same floats here
  }

  static Op operation_of(const Step& step) {
    switch (step.op) {
      case StepOp::activation:
        return Op::activation;
      case StepOp::concat:
        return Op::concat;
      case StepOp::max_pool:
        return Op::max_pool;
      case StepOp::average_pool:
        return Op::average_pool;
      case StepOp::global_average_pool:
        return Op::global_average_pool;
      case StepOp::subsample:
        return Op::subsample;
      case StepOp::flatten:
        return Op::flatten;
      default:
        return Op::input;  // which plain_output() does not know
    }
  }

  static NodeOptions options_of(const Step& step) {
    switch (step.op) {
      case StepOp::activation:
        return ActivationOptions{.kind = step.activation, .slope = step.slope};
      case StepOp::max_pool:
      case StepOp::average_pool:
        return PoolOptions{.kernel = step.kernel, .stride = step.stride, .padding = step.padding};
      case StepOp::subsample:
        return SubsampleOptions{.out_channels = step.channels(), .stride = step.stride};
      default:
        return {};
    }
  }

  const Program& program_;
  std::vector<Weights> weights_;
};

/// Cycles a second, of additions that wait for one another: one a cycle.
double cycles_per_second() {
  constexpr std::int64_t count = 4'000'000;
  std::uint64_t value = 1;
  const double seconds = timed([&] {
    for (std::int64_t i = 0; i < count; ++i) {
      value += 3;
      asm volatile("" : "+r"(value));
    }
  });
  return static_cast<double>(count) / seconds;
}

struct Rounds {
  std::vector<double> engine, torch, ratio;
  void add(double ours, double theirs, double images) {
    engine.push_back(ours / images);
    torch.push_back(theirs / images);
    ratio.push_back(theirs / ours);
  }
};

}  // namespace

BenchedProgram bench_program(const Program& program, const BenchRequest& request) {
  const at::NoGradGuard no_grad;
  const int threads_before = at::get_num_threads();
  at::set_num_threads(request.threads);
  const auto engine = std::make_shared<const runtime::Engine>(program);
  runtime::Runner runner(engine, request.threads), alone(engine, 1);
  const TorchNetwork torch(program);

  std::vector<std::int64_t> shape = {request.batch};
  const Shape& image = program.input().shape;
  shape.insert(shape.end(), image.dims.begin(), image.dims.end());
  const at::Tensor images = at::randn(shape);
  const at::Tensor laid =
      image.is_image() ? images.contiguous(at::MemoryFormat::ChannelsLast) : images;
  std::vector<float> logits(static_cast<std::size_t>(request.batch) * engine->classes());

  BenchedProgram result;
  result.kernels = engine->kernels().name;
  const auto& ops = engine->plan().ops;
  std::vector<std::vector<double>> op_seconds(ops.size()), torch_seconds(ops.size());
  std::vector<std::function<void()>> layers(ops.size());
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (ops[i]->macs == 0) continue;
    for (std::size_t s = 0; s < program.steps.size(); ++s) {
      if (program.steps[s].name == ops[i]->name) {
        layers[i] = torch.layer(program.steps[s], s, request.batch);
      }
    }
  }
  Rounds batch, single;
  std::vector<double> cycles;
  const auto run = [&](std::size_t count) {
    return timed([&] { runner.run(images.const_data_ptr<float>(), count, logits.data()); });
  };
  for (int round = -2; round < request.rounds; ++round) {  // two to warm up
    std::vector<double> seconds(ops.size());
    alone.time(images.const_data_ptr<float>(), logits.data(), seconds);
    std::vector<double> theirs(ops.size());
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (layers[i]) theirs[i] = timed(layers[i]) / request.batch;
    }
    const double ours_batch = run(static_cast<std::size_t>(request.batch));
    const double torch_batch = timed([&] { torch.run(laid); });
    const double ours_single = run(1);
    const double torch_single = timed([&] { torch.run(laid.narrow(0, 0, 1)); });
    const double rate = cycles_per_second();
    if (round < 0) continue;
    cycles.push_back(rate);
    batch.add(ours_batch, torch_batch, request.batch);
    single.add(ours_single, torch_single, 1);
    for (std::size_t i = 0; i < ops.size(); ++i) {
      op_seconds[i].push_back(seconds[i]);
      torch_seconds[i].push_back(theirs[i]);
    }
  }
  at::set_num_threads(threads_before);

  result.cycles_per_second = percentile(cycles, 0.5);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    result.ops.push_back({ops[i]->name, ops[i]->kernel, ops[i]->macs,
                          percentile(op_seconds[i], 0.5), percentile(torch_seconds[i], 0.5)});
  }
  result.batch_seconds = percentile(batch.engine, 0.5);
  result.single_seconds = percentile(single.engine, 0.5);
  result.torch_batch_seconds = percentile(batch.torch, 0.5);
  result.torch_single_seconds = percentile(single.torch, 0.5);
  for (int i = 0; i < 3; ++i) {
    const double share = i == 0 ? 0.1 : i == 1 ? 0.5 : 0.9;
    result.batch_ratio[i] = percentile(batch.ratio, share);
    result.single_ratio[i] = percentile(single.ratio, share);
  }
  return result;
}

}  // namespace qhost::jobs

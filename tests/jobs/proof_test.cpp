// The proof, network by method: what a packed file computes is what evaluation computes, on real
// photographs. Networks are drawn; their batch norms have scales of both signs and zeros, and the
// statistics of real images.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>

#include <fstream>
#include <tuple>

#include "data/data_loader.h"
#include "data/support.h"
#include "jobs/assemble.h"
#include "jobs/catalog.h"
#include "jobs/verify_program.h"
#include "networks.h"
#include "packed/program_file.h"
#include "qhost/random.h"
#include "training/batch.h"

namespace qhost::tests {
namespace {

struct Method {
  std::string name, table;
};
void PrintTo(const Method& method, std::ostream* out) {
  *out << method.name;
}

const std::vector<Method> methods = {
    {.name = "float", .table = "name = \"none\"\n"},
    {.name = "bwn", .table = "name = \"bwn\"\n"},
    {.name = "binaryconnect", .table = "name = \"binaryconnect\"\n"},
    {.name = "xnornet", .table = "name = \"xnornet\"\n"},
    {.name = "xnornet_without_k", .table = "name = \"xnornet\"\ninput_scale = \"none\"\n"},
    {.name = "ternary", .table = "name = \"ternary\"\n"},
    {.name = "lsq", .table = "name = \"lsq\"\n"},
    {.name = "dorefa", .table = "name = \"dorefa\"\n"},
    {.name = "ptq_static", .table = "name = \"ptq_static\"\n"},
    {.name = "ptq_half", .table = "name = \"ptq_half\"\n"},
    {.name = "three_levels", .table = "name = \"three_levels\"\n"},
    {.name = "shifted", .table = "name = \"shifted\"\n"},
};

bool is_long() {
  return std::getenv("QHOST_TEST_LONG") != nullptr;
}

/// The first images of the published CIFAR-10, pixel by pixel.
data::Split photographs(const std::filesystem::path& file, std::size_t most) {
  constexpr std::size_t pixels = 3 * 32 * 32;
  std::ifstream in(file, std::ios::binary);
  std::vector<char> record(1 + pixels);
  data::Split split;
  while (split.labels.size() < most &&
         in.read(record.data(), static_cast<std::streamsize>(record.size()))) {
    split.labels.push_back(static_cast<std::uint16_t>(record[0]));
    split.source_index.push_back(static_cast<std::uint32_t>(split.source_index.size()));
    for (std::size_t i = 1; i < record.size(); ++i) {
      split.pixels.push_back(static_cast<std::uint8_t>(record[i]));
    }
  }
  return split;
}

training::EvaluationSettings settings() {
  training::EvaluationSettings s;
  s.image = {{3, 32, 32}};
  s.classes = 10;
  s.batch_size = 64;
  s.normalization.mean = {0.4914F, 0.4822F, 0.4465F};
  s.normalization.std = {0.2470F, 0.2435F, 0.2616F};
  return s;
}

class Proof : public ::testing::TestWithParam<std::tuple<Network, Method>> {
 protected:
  static Registry& registry() {
    static Registry all{{.plugin_paths = {QHOST_BINARY_DIR "/lib/qhost/plugins",
                                          QHOST_BINARY_DIR "/tests/plugins/uneven_plugins"},
                         .default_paths = false}};
    return all;
  }

  static std::unique_ptr<Model> drawn(const data::Split& images) {
    const auto& [network, method] = GetParam();
    const data::testing::Folder folder;
    const auto file = folder.path() / "e.toml";
    std::ofstream(file) << "[data]\nname = \"cifar10\"\n[model]\n"
                        << network.table << "[quantizer]\n"
                        << method.table;
    jobs::ComponentCatalog catalog(registry());
    const config::Experiment experiment =
        config::load_experiment_or_throw(file, {}, catalog).at(0).experiment;
    std::unique_ptr<Model> model = jobs::build_model(experiment, registry());
    const RunPosition position = {.seed = 3};
    model->initialize(position);
    // After that: a method may take the start for its own.
    Random random = Random::keyed(3, "proof", "batch norms");
    for (const NamedTensor& each : model->state()) {
      const bool scale = each.name.ends_with(".weight"), shift = each.name.ends_with(".bias");
      if (each.tensor.dim() != 1 || !(scale || shift)) continue;
      auto* values = each.tensor.mutable_data_ptr<float>();
      random.fill_normal(values, static_cast<std::size_t>(each.tensor.numel()));
      for (std::int64_t c = 0; scale && c < each.tensor.numel(); ++c) {
        values[c] =
            c % 13 == 5 ? 0.0F : (c % 5 == 2 ? -1 : 1) * (0.6F + 0.4F * std::abs(values[c]));
      }
      for (std::int64_t c = 0; shift && c < each.tensor.numel(); ++c) values[c] *= 0.2F;
    }
    see(*model, images, position);
    return model;
  }

  /// Gives batch norms and quantizers the statistics of images.
  static void see(Model& model, const data::Split& images, const RunPosition& position) {
    const at::NoGradGuard no_grad;
    const training::EvaluationSettings s = settings();
    const data::DataLoader batches(images, s.image, s.normalization, 3, 64, /*shuffle=*/false,
                                   /*drop_last=*/false);
    training::BatchBuffer buffer(s.image, 64, model.options());
    // One pass moves the running statistics by a tenth towards those of the batch.
    model.train(buffer.fill(batches, 0, 0).images, position);
    for (const NamedTensor& each : model.state()) {
      if (each.name.ends_with(".running_mean")) each.tensor.mul_(10);
      if (each.name.ends_with(".running_var")) each.tensor.sub_(0.9).mul_(10).clamp_(1e-6);
    }
    model.calibrate(buffer.fill(batches, 0, 0).images, position);
  }
};

TEST_P(Proof, ThePackedNetworkComputesWhatEvaluationDoes) {
  QHOST_NEED_DATA(file, "cifar10/data_batch_1.head.bin");
  const data::Split images = photographs(file, is_long() ? 932 : 64);
  ASSERT_EQ(images.count(), is_long() ? 932 : 64);
  const std::unique_ptr<Model> model = drawn(images);
  const RunPosition position = {.seed = 3};
  const jobs::Verification proof = jobs::verify_program(
      *model, jobs::packed_network(*model, position), images, settings(), position);
  EXPECT_THAT(proof.failures, ::testing::IsEmpty());
  EXPECT_EQ(proof.images, images.count());
  EXPECT_EQ(proof.unexplained_codes, 0);
  EXPECT_GT(proof.layers.size(), 10U);
  // Networks whose images all look alike would prove little.
  const at::NoGradGuard no_grad;
  const data::DataLoader batches(images, settings().image, settings().normalization, 3, 64, false,
                                 false);
  training::BatchBuffer buffer(settings().image, 64, model->options());
  const at::Tensor logits = model->evaluate(buffer.fill(batches, 0, 0).images, position);
  EXPECT_GT(logits.std(0).min().item<double>(), 1e-3 * logits.abs().max().item<double>());
}

/// All with QHOST_TEST_LONG; else every method once, and some on the wider networks.
std::vector<std::tuple<Network, Method>> cells() {
  std::vector<std::tuple<Network, Method>> all;
  for (const Network& network : networks) {
    for (const Method& method : methods) {
      const bool some = method.name == "xnornet" || method.name == "shifted";
      if (is_long() || network.name == "resnet20" || some) all.emplace_back(network, method);
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Cells, Proof, ::testing::ValuesIn(cells()),
                         [](const ::testing::TestParamInfo<Proof::ParamType>& cell) {
                           return std::get<0>(cell.param).name + "_" + std::get<1>(cell.param).name;
                         });

}  // namespace
}  // namespace qhost::tests

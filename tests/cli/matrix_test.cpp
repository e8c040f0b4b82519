// Every network with every quantization method, from a TOML file alone: a few steps, evaluation,
// stored bytes and score.
#include <gmock/gmock.h>

#include <algorithm>

#include "cli/process.h"
#include "networks.h"

namespace qhost::tests {
namespace {

using nlohmann::json;

struct Method {
  std::string name, table;
  double weight_bits = 32, input_bits = 32;
  bool keeps_ends = false;  ///< the first and the last layer stay in float
  int channel_bytes = 0;    ///< stored bytes per output channel of a coded weight
  int layer_bytes = 0;      ///< and per such layer
};
void PrintTo(const Method& method, std::ostream* out) {
  *out << method.name;
}

const std::vector<Method> methods = {
    {.name = "float", .table = "name = \"none\"\n"},
    {.name = "binaryconnect", .table = "name = \"binaryconnect\"\n", .weight_bits = 1},
    {.name = "binaryconnect_stochastic",
     .table = "name = \"binaryconnect\"\nmode = \"stochastic\"\ntest_weights = \"binary\"\n",
     .weight_bits = 1},
    {.name = "bwn",
     .table = "name = \"bwn\"\n",
     .weight_bits = 1,
     .keeps_ends = true,
     .channel_bytes = 4},
    {.name = "xnornet",
     .table = "name = \"xnornet\"\n",
     .weight_bits = 1,
     .input_bits = 1,
     .keeps_ends = true,
     .channel_bytes = 4},
    {.name = "ptq_half", .table = "name = \"ptq_half\"\n", .weight_bits = 16, .input_bits = 16},
    // A scale and a zero point.
    {.name = "ptq_fixed_point",
     .table = "name = \"ptq_fixed_point\"\nbits = 4\n",
     .weight_bits = 4,
     .layer_bytes = 8},
    {.name = "ptq_static",
     .table = "name = \"ptq_static\"\n",
     .weight_bits = 8,
     .input_bits = 8,
     .channel_bytes = 4,
     .layer_bytes = 4},
};

/// The expected bytes and score, computed from the sizes of the layers alone.
struct Expected {
  std::int64_t weight_bytes = 0;
  double course = 0;
};

/// The course's rule: values of b bits count b/32 over 5.6e6, multiply-accumulates count as their
/// wider operand over 2.8e8 (--dense: zeros count too).
Expected expected_of(const json& layers, const Method& method) {
  std::vector<const json*> weighted;
  Expected expected;
  double values = 0, operations = 0;
  for (const json& layer : layers) {
    if (layer.at("op") == "conv2d" || layer.at("op") == "linear") {
      weighted.push_back(&layer);
    } else {
      values += layer.at("parameters").get<double>();
    }
  }
  for (const json* layer : weighted) {
    const bool is_end = layer == weighted.front() || layer == weighted.back();
    const bool coded = method.name != "float" && !(method.keeps_ends && is_end);
    const auto channels = layer->at("output_shape").at(0).get<std::int64_t>();
    const std::int64_t biases = layer->at("op") == "linear" ? channels : 0;
    const std::int64_t weights = layer->at("parameters").get<std::int64_t>() - biases;
    const double q_w = coded ? method.weight_bits : 32, q_a = coded ? method.input_bits : 32;
    expected.weight_bytes += (weights * static_cast<std::int64_t>(q_w) + 7) / 8;
    if (coded) expected.weight_bytes += channels * method.channel_bytes + method.layer_bytes;
    values += static_cast<double>(weights) * q_w / 32 + static_cast<double>(biases);
    operations += layer->at("macs").get<double>() * std::max(q_w, q_a) / 32;
  }
  expected.course = values / 5.6e6 + operations / 2.8e8;
  return expected;
}

class Matrix : public testing::TestWithParam<std::tuple<Network, Method>> {};

TEST_P(Matrix, TrainsEvaluatesAndScores) {
  const auto& [network, method] = GetParam();
  Workshop workshop;
  workshop.write("cell.toml", "[data]\nname = \"digits\"\nfraction = 0.1\n[model]\n" +
                                  network.table + "[quantizer]\n" + method.table +
                                  "[train]\nbatch_size = 32\nmax_steps = 3\nthreads = 1\n" +
                                  "[calibration]\nbatches = 2\n");
  const ProcessResult run = workshop.run({"run", "cell.toml", "--json"});
  ASSERT_EQ(run.code, 0) << testing::PrintToString(run);
  const json result = last_json_line(run.out);
  EXPECT_EQ(result.at("status"), "finished");
  const ProcessResult summary = workshop.run({"summary", "cell.toml", "--json"});
  ASSERT_EQ(summary.code, 0) << testing::PrintToString(summary);
  const json layers = json::parse(summary.out).at("layers");
  const auto weighted = std::count_if(layers.begin(), layers.end(), [](const json& layer) {
    return layer.at("op") == "conv2d" || layer.at("op") == "linear";
  });
  EXPECT_EQ(result.at("quantized_layers"),
            method.name == "float" ? 0 : weighted - (method.keeps_ends ? 2 : 0));
  const Expected expected = expected_of(layers, method);
  EXPECT_EQ(result.at("weight_bytes"), expected.weight_bytes);
  const ProcessResult again = workshop.run({"eval", "runs/cell/latest", "--json"});
  ASSERT_EQ(again.code, 0) << testing::PrintToString(again);
  EXPECT_EQ(json::parse(again.out).at("test_loss"), result.at("test_loss"));
  const ProcessResult score =
      workshop.run({"score", "runs/cell/latest", "--rule", "course", "--dense", "--json"});
  ASSERT_EQ(score.code, 0) << testing::PrintToString(score);
  EXPECT_NEAR(json::parse(score.out).at("score").get<double>(), expected.course,
              1e-9 * expected.course);
}

INSTANTIATE_TEST_SUITE_P(Cells, Matrix,
                         testing::Combine(testing::ValuesIn(networks), testing::ValuesIn(methods)),
                         [](const auto& cell) {
                           return std::get<0>(cell.param).name + "_" + std::get<1>(cell.param).name;
                         });

}  // namespace
}  // namespace qhost::tests

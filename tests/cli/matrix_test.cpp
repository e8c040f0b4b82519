// Every network under every method of the mission, from a TOML file alone: a few steps, evaluation
// and score.
#include <gmock/gmock.h>

#include "cli/process.h"

namespace qhost::tests {
namespace {

using nlohmann::json;

struct Network {
  std::string name, table;
};
struct Method {
  std::string name, table;
};
void PrintTo(const Network& network, std::ostream* out) {
  *out << network.name;
}
void PrintTo(const Method& method, std::ostream* out) {
  *out << method.name;
}

const std::vector<Network> networks = {
    {"resnet20", "name = \"resnet\"\ndepth = 20\n"},
    {"wrn_16_2", "name = \"wideresnet\"\ndepth = 16\nwiden_factor = 2\n"},
    {"densenet_bc_40_12",
     "name = \"densenet\"\ndepth = 40\ngrowth_rate = 12\nbottleneck = true\ncompression = 0.5\n"},
};
const std::vector<Method> methods = {
    {"float", "name = \"none\"\n"},
    {"binaryconnect", "name = \"binaryconnect\"\n"},
    {"binaryconnect_stochastic",
     "name = \"binaryconnect\"\nmode = \"stochastic\"\ntest_weights = \"binary\"\n"},
    {"bwn", "name = \"bwn\"\n"},
    {"xnornet", "name = \"xnornet\"\n"},
    {"ptq_half", "name = \"ptq_half\"\n"},
    {"ptq_fixed_point", "name = \"ptq_fixed_point\"\nbits = 4\n"},
    {"ptq_static", "name = \"ptq_static\"\n"},
};

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
  EXPECT_EQ(result.at("quantized_layers").get<int>() > 0, method.name != "float");
  EXPECT_LE(result.at("weight_bytes"), result.at("float_weight_bytes"));
  const ProcessResult again = workshop.run({"eval", "runs/cell/latest", "--json"});
  ASSERT_EQ(again.code, 0) << testing::PrintToString(again);
  EXPECT_EQ(json::parse(again.out).at("test_loss"), result.at("test_loss"));
  const ProcessResult score =
      workshop.run({"score", "runs/cell/latest", "--rule", "micronet", "--json"});
  ASSERT_EQ(score.code, 0) << testing::PrintToString(score);
  EXPECT_GT(json::parse(score.out).at("score").get<double>(), 0);
}

INSTANTIATE_TEST_SUITE_P(Cells, Matrix,
                         testing::Combine(testing::ValuesIn(networks), testing::ValuesIn(methods)),
                         [](const auto& cell) {
                           return std::get<0>(cell.param).name + "_" + std::get<1>(cell.param).name;
                         });

}  // namespace
}  // namespace qhost::tests

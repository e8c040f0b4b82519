#include "report/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "qhost/error.h"
#include "report/render.h"

namespace qhost::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// conv1 [8,3,3,3], bn1, relu1, conv2 [8,8,1,1], add, pool, fc [10,8] + bias
Graph network() {
  GraphBuilder g;
  Value x = g.input({{3, 8, 8}});
  x = g.conv2d("conv1", x, {.out_channels = 8, .kernel = 3, .padding = 1});
  x = g.relu("relu1", g.batch_norm("bn1", x));
  x = g.add("add", g.conv2d("conv2", x, {.out_channels = 8, .kernel = 1}), x);
  return g.finish(g.linear("fc", g.global_average_pool("pool", x), {.out_features = 10}), 10);
}

const SummaryLayer& layer(const Summary& summary, const std::string& name) {
  for (const SummaryLayer& candidate : summary.layers) {
    if (candidate.name == name) return candidate;
  }
  throw std::out_of_range(name);
}

constexpr std::int64_t conv1 = 216, conv2 = 64, fc = 80;  // weights

TEST(Summary, OfAFloatNetwork) {
  const Summary summary = summarize(network());
  EXPECT_EQ(summary.layers.size(), 7u);
  EXPECT_EQ(summary.input, (Shape{{3, 8, 8}}));
  EXPECT_EQ(summary.parameters, conv1 + 16 + conv2 + fc + 10);
  EXPECT_EQ(summary.buffers, 16);
  EXPECT_EQ(summary.macs, conv1 * 64 + conv2 * 64 + fc);
  EXPECT_EQ(summary.weight_bytes, 4 * (conv1 + conv2 + fc));
  EXPECT_EQ(summary.float_weight_bytes, summary.weight_bytes);
  EXPECT_EQ(summary.bytes, 4 * (summary.parameters + summary.buffers));
  EXPECT_EQ(summary.float_bytes, summary.bytes);
  EXPECT_EQ(summary.bits_per_weight, 32);
  EXPECT_EQ(summary.bits_per_input, 32);
  EXPECT_EQ(summary.quantized_weights, 0);
  EXPECT_EQ(summary.quantized_inputs, 0);
  EXPECT_EQ(summary.activation_bytes, 4 * (192 + 5 * 512 + 8 + 10));
  EXPECT_EQ(layer(summary, "conv1").weight, Encoding::float32());
  EXPECT_EQ(layer(summary, "conv1").input, Encoding::float32());
  EXPECT_FALSE(layer(summary, "bn1").weight);
  EXPECT_FALSE(layer(summary, "add").input);
}

std::map<std::string, LayerPlan> plans() {
  return {{"conv2",
           {.weight = Encoding::binary(ScaleKind::channel),
            .input = Encoding::uniform(4, ScaleKind::tensor, ZeroPointKind::tensor),
            .weight_method = "bwn",
            .input_method = "uniform",
            .elision_note = "reads bn1 instead of relu1"}},
          {"fc", {.weight = Encoding::float16(), .weight_method = "half"}},
          {"add", {.input = Encoding::binary(ScaleKind::none), .input_method = "sign"}}};
}

TEST(Summary, CountsTheBytesOfEncodings) {
  const Summary summary = summarize(network(), plans());
  const std::int64_t packed = 64 / 8 + 8 * 4;  // one bit per weight, one scale per channel
  EXPECT_EQ(layer(summary, "conv2").weight_bytes, packed);
  EXPECT_EQ(layer(summary, "conv2").bytes, packed);
  EXPECT_EQ(layer(summary, "conv2").float_bytes, 4 * conv2);
  EXPECT_EQ(layer(summary, "fc").weight_bytes, 2 * fc);
  EXPECT_EQ(layer(summary, "fc").bytes, 2 * fc + 4 * 10);
  EXPECT_EQ(layer(summary, "bn1").bytes, 4 * 32);
  EXPECT_EQ(layer(summary, "bn1").weight_bytes, 0);
  EXPECT_EQ(summary.weight_bytes, 4 * conv1 + packed + 2 * fc);
  EXPECT_EQ(summary.float_weight_bytes, 4 * (conv1 + conv2 + fc));
  EXPECT_EQ(summary.bytes, summary.weight_bytes + 4 * 10 + 4 * 32);
  EXPECT_EQ(summary.quantized_weights, 2);
  EXPECT_EQ(summary.quantized_inputs, 2);
  EXPECT_DOUBLE_EQ(summary.bits_per_weight, (32.0 * conv1 + conv2 + 16.0 * fc) / 360);
  // The inputs: 3 x 8 x 8 and 8 floats, 8 x 8 x 8 values of 4 bits. `add` is no such layer.
  EXPECT_DOUBLE_EQ(summary.bits_per_input, (32.0 * (192 + 8) + 4.0 * 512) / (192 + 8 + 512));
  EXPECT_EQ(render_json(document_of(summary)).at("bits_per_input"), summary.bits_per_input);
}

TEST(StoredBytes, EachMemberOfAnEnsembleBeginsAtAByte) {
  Encoding ensemble = Encoding::binary(ScaleKind::tensor);
  EXPECT_EQ(stored_bytes(ensemble, {3, 3}), 2 + 4);
  ensemble.ensemble_size = 3;
  EXPECT_EQ(stored_bytes(ensemble, {3, 3}), 3 * 2 + 4);  // 27 bits in one piece would take 4 bytes
}

TEST(Summary, CountsEveryMemberOfAnEnsemble) {
  Encoding ensemble = Encoding::binary(ScaleKind::none);
  ensemble.ensemble_size = 5;
  const Summary summary = summarize(network(), {{"conv2", {.weight = ensemble}}});
  EXPECT_EQ(layer(summary, "conv2").weight_bytes, 5 * 8);
  EXPECT_EQ(render_json(document_of(summary))["layers"][3]["weight_bits"], 5);
}

// The bias for a correction is a new one if the layer has no bias and no following batch norm whose
// bias could take the correction.
TEST(Summary, ACorrectedBiasIsStoredWhereThereIsNoOther) {
  const Encoding coded = Encoding::uniform(4, ScaleKind::tensor, ZeroPointKind::none);
  std::map<std::string, LayerPlan> corrected, plain;
  for (const char* name : {"conv1", "conv2", "fc"}) {
    plain[name] = {.weight = coded};
    corrected[name] = {.weight = coded, .bias_correction = true};
  }
  const Summary with = summarize(network(), corrected), without = summarize(network(), plain);
  // Only a batch norm reads conv1, an add reads conv2, and fc has a bias of its own.
  EXPECT_FALSE(layer(with, "conv1").added_bias);
  EXPECT_TRUE(layer(with, "conv2").added_bias);
  EXPECT_FALSE(layer(with, "fc").added_bias);
  EXPECT_EQ(layer(with, "conv1").bytes, layer(without, "conv1").bytes);
  EXPECT_EQ(layer(with, "conv2").bytes, layer(without, "conv2").bytes + 8 * 4);
  EXPECT_EQ(layer(with, "fc").bytes, layer(without, "fc").bytes);
  EXPECT_EQ(with.bytes, without.bytes + 8 * 4);
}

TEST(Summary, JsonHasThePromisedKeys) {
  const nlohmann::json json = render_json(document_of(summarize(network(), plans())));
  EXPECT_EQ(json["parameters"], 386);
  EXPECT_EQ(json["macs"], 18000);
  EXPECT_EQ(json["weight_bytes"], 864 + 40 + 160);
  EXPECT_EQ(json["float_weight_bytes"], 1440);
  EXPECT_EQ(json["input_shape"], nlohmann::json({3, 8, 8}));
  ASSERT_EQ(json["layers"].size(), 7u);
  const nlohmann::json& conv = json["layers"][3];
  EXPECT_EQ(conv["name"], "conv2");
  EXPECT_EQ(conv["op"], "conv2d");
  EXPECT_EQ(conv["output_shape"], nlohmann::json({8, 8, 8}));
  EXPECT_EQ(conv["parameters"], 64);
  EXPECT_EQ(conv["macs"], 4096);
  EXPECT_EQ(conv["weight_encoding"], "binary, scale per channel");
  EXPECT_EQ(conv["weight_bits"], 1);
  EXPECT_EQ(conv["weight_method"], "bwn");
  EXPECT_EQ(conv["input_encoding"], "uniform 4 bit, scale per tensor, zero point per tensor");
  EXPECT_EQ(conv["bytes"], 40);
  EXPECT_EQ(conv["note"], "reads bn1 instead of relu1");
  const nlohmann::json& add = json["layers"][4];
  EXPECT_EQ(add["op"], "add");
  EXPECT_TRUE(add["weight_encoding"].is_null());
  EXPECT_TRUE(add["weight_bits"].is_null());
  EXPECT_EQ(add["input_encoding"], "binary");
  const nlohmann::json& first = json["layers"][0];
  EXPECT_EQ(first["weight_encoding"], "float32");
  EXPECT_EQ(first["weight_bits"], 32);
  EXPECT_TRUE(first["weight_method"].is_null());
}

TEST(Summary, JsonTotalsAreTheSumsOfTheLayers) {
  const nlohmann::json json = render_json(document_of(summarize(network(), plans())));
  for (const char* key :
       {"parameters", "buffers", "macs", "weight_bytes", "bytes", "float_bytes"}) {
    std::int64_t sum = 0;
    for (const auto& one : json["layers"]) sum += one[key].get<std::int64_t>();
    EXPECT_EQ(json[key], sum) << key;
  }
}

TEST(Summary, TextIsATableWithTotalsAndNotes) {
  const std::map<std::string, LayerPlan> by_node = {
      {"conv2",
       {.weight = Encoding::binary(ScaleKind::channel),
        .input = Encoding::binary(ScaleKind::none),
        .weight_method = "bwn",
        .input_method = "sign",
        .elision_note = "reads bn1 instead of relu1"}}};
  // clang-format off
  EXPECT_EQ(
      render_text(document_of(summarize(network(), by_node))),
      "layer  operation            output     parameters    MACs  weights                          inputs         bits  bytes\n"
      "-----  -------------------  ---------  ----------  ------  -------------------------------  -------------  ----  -----\n"
      "conv1  conv2d 3x3 stride 1  [N,8,8,8]         216  13,824  float32                          float32          32    864\n"
      "bn1    batch_norm           [N,8,8,8]          16       -  -                                -                 -    128\n"
      "conv2  conv2d 1x1 stride 1  [N,8,8,8]          64   4,096  binary, scale per channel (bwn)  binary (sign)     1     40\n"
      "fc     linear               [N,10]             90      80  float32                          float32          32    360\n"
      "-----  -------------------  ---------  ----------  ------  -------------------------------  -------------  ----  -----\n"
      "total                                         386  18,000                                                  26.5  1,392\n"
      "\n"
      "input         [N,3,8,8]\n"
      "parameters    386\n"
      "MACs          18,000\n"
      "weights       1,224 bytes, 26.5 bits a weight (float32: 1,440 bytes, 1.2 times)\n"
      "all tensors   1,392 bytes (float32: 1,608)\n"
      "activations   11,080 bytes a sample in float32, at most 6,144 at a time\n"
      "quantized     weights of 1 layers, inputs of 1\n"
      "note: conv2: reads bn1 instead of relu1\n");
  // clang-format on
}

TEST(Summary, NamesTheLayersInFrontOfAReluInOneLine) {
  std::map<std::string, LayerPlan> by_node;
  for (const char* name : {"conv1", "bn1", "conv2", "add", "fc"}) {
    by_node[name] = {.elision_note = std::string("reads x instead of ") + name + "r", .note = "n"};
  }
  const Document document = document_of(summarize(network(), by_node));
  EXPECT_THAT(
      render_text(document),
      HasSubstr("\nnote: 5 layers read in front of a ReLU: conv1 reads x instead of conv1r, "
                "bn1 reads x instead of bn1r, conv2 reads x instead of conv2r, and 2 more "
                "(--json names all)\nnote: conv1: n\n"));
  EXPECT_EQ(render_json(document).at("layers")[0].at("note"), "reads x instead of conv1r; n");
}

TEST(Summary, TextOfEveryNodeOnDemand) {
  const Summary summary = summarize(network());
  EXPECT_THAT(render_text(document_of(summary)), Not(HasSubstr("relu1")));
  EXPECT_THAT(render_text(document_of(summary, {.every_node = true})), HasSubstr("\nrelu1  relu "));
}

std::string error_of(const std::map<std::string, LayerPlan>& by_node, ErrorKind kind) {
  try {
    summarize(network(), by_node);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return "";
}

TEST(SummaryErrors, PlansMustFitTheNetwork) {
  EXPECT_EQ(error_of({{"conv9", {}}}, ErrorKind::internal),
            "a summary plans the node `conv9`, which the network does not have\n"
            "help: this is a defect of qhost; please report it");
  EXPECT_EQ(error_of({{"add", {.weight = Encoding::float16()}}}, ErrorKind::internal),
            "a summary plans a weight of `add` (add), which has none\n"
            "help: this is a defect of qhost; please report it");
}

TEST(SummaryErrors, EncodingsMustBeConsistent) {
  Encoding wrong = Encoding::binary(ScaleKind::none);
  wrong.bits = 2;
  EXPECT_EQ(
      error_of({{"conv1", {.weight = wrong, .weight_method = "mine"}}}, ErrorKind::configuration),
      "the quantizer `mine` gives conv1 an inconsistent weight encoding: " + why_invalid(wrong) +
          "\nhelp: correct what its encoding() returns");
  EXPECT_EQ(
      error_of({{"conv1", {.input = wrong, .input_method = "mine"}}}, ErrorKind::configuration),
      "the quantizer `mine` gives conv1 an inconsistent input encoding: " + why_invalid(wrong) +
          "\nhelp: correct what its encoding() returns");
}

}  // namespace
}  // namespace qhost::report

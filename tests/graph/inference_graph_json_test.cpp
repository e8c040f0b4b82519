#include "graph/inference_graph_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "graph/inference_graphs.h"
#include "qhost/error.h"

namespace qhost {
namespace {

using nlohmann::json;
using test::five_nodes;
using ::testing::HasSubstr;

/// One node of every operation, every kind of encoding, an ensemble of two.
InferenceGraph all_kinds() {
  using test::node;
  InferenceGraph g;
  g.networks = 2;
  const auto add = [&](InferenceNode each) {
    g.nodes.push_back(std::move(each));
    return static_cast<int>(g.nodes.size()) - 1;
  };
  const Shape image{{2, 4, 4}};
  add(node("input", Op::input, {}, image));
  int x =
      add(node("conv", Op::conv2d, {0}, image,
               Conv2dOptions{.out_channels = 2, .kernel = {3, 1}, .padding = {1, 0}, .groups = 2}));
  Encoding ternary = Encoding::ternary(ScaleKind::tensor);
  g.tensors["conv.weight"] = {
      .encoding = ternary, .shape = {2, 1, 3, 1}, .codes = {0x21, 0x06}, .scale = {0.5F}};
  g.tensors["conv.weight/1"] = {
      .encoding = ternary, .shape = {2, 1, 3, 1}, .codes = {0x00, 0x0A}, .scale = {0.75F}};
  g.node(x).tensors["weight"] = {"conv.weight", "conv.weight/1"};
  g.node(x).method = "binaryconnect";
  g.node(x).inputs[0].method = "uniform";
  g.node(x).inputs[0].encoding = Encoding::uniform(4, ScaleKind::tensor, ZeroPointKind::tensor);
  g.node(x).folded_batch_norm = "bn0";
  g.node(x).networks = 2;
  test::add_tensor(g, x, "bias", test::ones({2}));
  x = add(
      node("bn", Op::batch_norm, {x}, image, BatchNormOptions{.epsilon = 1e-3, .affine = false}));
  test::add_tensor(g, x, "running_mean", test::ones({2}));
  test::add_tensor(g, x, "running_var", test::ones({2}));
  x = add(node("leaky", Op::activation, {x}, image,
               ActivationOptions{.kind = Activation::leaky_relu, .slope = 0.2}));
  x = add(node("sum", Op::add, {x, 0}, image));
  x = add(node("drop", Op::dropout, {x}, image, DropoutOptions{.probability = 0.1}));
  const int max = add(node("fc/max", Op::max_pool, {x}, image,
                           PoolOptions{.kernel = 3, .stride = 1, .padding = 1}));
  g.node(max).repeats = "max";
  const int mean = add(node("mean", Op::average_pool, {x}, {{2, 2, 2}}, PoolOptions{}));
  const int sub = add(node("sub", Op::subsample, {max}, {{3, 2, 2}},
                           SubsampleOptions{.out_channels = 3, .stride = 2}));
  x = add(node("cat", Op::concat, {mean, sub}, {{5, 2, 2}}));
  InferenceNode custom =
      node("gate", Op::custom, {x}, {{5, 2, 2}}, std::shared_ptr<const CustomOpBase>());
  custom.custom_type = "squeeze_excite";
  x = add(std::move(custom));
  test::add_tensor(g, x, "squeeze",
                   {.encoding = Encoding::codebook(4, ScaleKind::channel, true),
                    .shape = {2, 3},
                    .codes = {0xE4, 0x01},
                    .scale = {1, 2},
                    .table = {0, 1, 2, 3, 4, 5, 6, 7}});
  x = add(node("flat", Op::flatten, {x}, {{20}}));
  x = add(node("fc", Op::linear, {x}, {{3}}, LinearOptions{.out_features = 3, .bias = false}));
  Encoding members = Encoding::uniform(1, ScaleKind::none, ZeroPointKind::channel);
  members.ensemble_size = 2;
  test::add_tensor(g, x, "weight",
                   {.encoding = members,
                    .shape = {3, 20},
                    .codes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0},
                    .zero_point = {0, 1, -3}});
  g.node(x).inputs[0].encoding = Encoding::binary(ScaleKind::position, -1);
  g.node(x).inputs[0].method = "xnornet";
  g.output = x;
  return g;
}

TEST(InferenceGraphJson, IsWhatTheManualShows) {
  const json got = to_json(five_nodes());
  const json wanted = json::parse(R"({
    "format": "qhost inference graph", "version": 1, "networks": 1, "output": "pool",
    "nodes": [
      {"name": "input", "op": "input", "shape": [2, 4, 4], "inputs": []},
      {"name": "conv", "op": "conv2d", "shape": [3, 4, 4], "inputs": [{"node": "input"}],
       "options": {"out_channels": 3, "kernel": [3, 3], "stride": [1, 1], "padding": [1, 1],
                   "groups": 1},
       "tensors": {"weight": ["conv.weight"]}, "method": "bwn"},
      {"name": "bn", "op": "batch_norm", "shape": [3, 4, 4], "inputs": [{"node": "conv"}],
       "options": {"epsilon": 1e-05, "affine": true},
       "tensors": {"weight": ["bn.weight"], "bias": ["bn.bias"],
                   "running_mean": ["bn.running_mean"], "running_var": ["bn.running_var"]}},
      {"name": "relu", "op": "activation", "shape": [3, 4, 4], "inputs": [{"node": "bn"}],
       "options": {"kind": "relu"}},
      {"name": "pool", "op": "global_average_pool", "shape": [3], "inputs": [{"node": "relu"}]}],
    "tensors": {
      "bn.bias": {"shape": [3], "encoding": {"kind": "float32", "bits": 32, "scale": "none"}},
      "bn.running_mean": {"shape": [3],
                          "encoding": {"kind": "float32", "bits": 32, "scale": "none"}},
      "bn.running_var": {"shape": [3],
                         "encoding": {"kind": "float32", "bits": 32, "scale": "none"}},
      "bn.weight": {"shape": [3], "encoding": {"kind": "float32", "bits": 32, "scale": "none"}},
      "conv.weight": {"shape": [3, 2, 3, 3], "encoding": {"kind": "binary", "bits": 1,
                      "scale": "channel", "sign_of_zero": 1}}}})");
  EXPECT_EQ(got, wanted) << json::diff(got, wanted).dump(2);
  const TensorBytes tensors = tensor_bytes(five_nodes());
  ASSERT_EQ(tensors.size(), 6U);
  EXPECT_EQ(tensors.at("conv.weight").dtype, "U8");
  EXPECT_EQ(tensors.at("conv.weight").shape, std::vector<std::int64_t>{7});
  EXPECT_EQ(tensors.at("conv.weight/scale").dtype, "F32");
  EXPECT_EQ(tensors.at("conv.weight/scale").bytes,
            (std::vector<std::uint8_t>{0, 0, 0, 0x3F, 0, 0, 0x80, 0x3E, 0, 0, 0, 0x3E}));
  EXPECT_EQ(tensors.at("bn.bias").dtype, "F32");
}

TEST(InferenceGraphJson, ReadsBackWhatWasWritten) {
  for (const InferenceGraph& graph : {five_nodes(), all_kinds()}) {
    ASSERT_EQ(why_invalid(graph), "");
    // Through text, as in a file.
    const json written = json::parse(to_json(graph).dump());
    const TensorBytes tensors = tensor_bytes(graph);
    const InferenceGraph read = read_inference_graph(written, tensors, "file");
    EXPECT_EQ(read.tensors, graph.tensors);
    EXPECT_EQ(read.output, graph.output);
    EXPECT_EQ(read.networks, graph.networks);
    ASSERT_EQ(read.nodes.size(), graph.nodes.size());
    for (std::size_t i = 0; i < read.nodes.size(); ++i) {
      const InferenceNode &got = read.nodes[i], &wanted = graph.nodes[i];
      EXPECT_EQ(got.tensors, wanted.tensors) << wanted.name;
      EXPECT_EQ(got.shape, wanted.shape) << wanted.name;
      EXPECT_EQ(got.networks, wanted.networks) << wanted.name;
      ASSERT_EQ(got.inputs.size(), wanted.inputs.size()) << wanted.name;
      for (std::size_t e = 0; e < got.inputs.size(); ++e) {
        EXPECT_EQ(got.inputs[e].node, wanted.inputs[e].node) << wanted.name;
        EXPECT_EQ(got.inputs[e].encoding, wanted.inputs[e].encoding) << wanted.name;
      }
    }
    // The rest of each node is in the JSON.
    EXPECT_EQ(to_json(read), written);
    EXPECT_EQ(tensor_bytes(read), tensors);
  }
}

TEST(InferenceGraphJson, AnEnsembleHasItsMembersInRows) {
  const TensorBytes tensors = tensor_bytes(all_kinds());
  EXPECT_EQ(tensors.at("fc.weight").shape, (std::vector<std::int64_t>{2, 8}));
  EXPECT_EQ(tensors.at("fc.weight/zero_point").dtype, "I32");
  EXPECT_EQ(tensors.at("gate.squeeze/table").shape, (std::vector<std::int64_t>{2, 4}));
}

TEST(InferenceGraphJson, AStructureAloneHasNoTensors) {
  InferenceGraph graph = five_nodes();
  for (auto& [unused, tensor] : graph.tensors) {
    tensor = {.encoding = tensor.encoding, .shape = tensor.shape};
  }
  EXPECT_TRUE(tensor_bytes(graph).empty());
  EXPECT_EQ(to_json(graph), to_json(five_nodes()));
  EXPECT_EQ(read_inference_graph(to_json(graph), {}, "file").tensors, graph.tensors);
}

TEST(InferenceGraphJson, WritesNoGraphThatIsNotSound) {
  InferenceGraph graph = five_nodes();
  graph.node(1).folds_batch_norm = true;
  try {
    to_json(graph);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::internal);
    EXPECT_THAT(error.what(), HasSubstr("the node `conv`: fold_batch_norm was not carried out"));
  }
}

std::string error_of(const json& value, const TensorBytes& tensors) {
  try {
    read_inference_graph(value, tensors, "net.file");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::storage);
    const std::string text = error.what();
    EXPECT_THAT(text, HasSubstr("\nhelp: "));
    return text.substr(0, text.find('\n'));
  }
  return "nothing was thrown";
}

struct Damage {
  const char* pointer;  ///< the value to replace
  json value;           ///< null: remove it
  const char* message;
};

TEST(InferenceGraphJson, NamesWhatIsWrongInTheJson) {
  const json whole = to_json(five_nodes());
  const TensorBytes tensors = tensor_bytes(five_nodes());
  const Damage damages[] = {
      {"/format", "onnx",
       "net.file: the inference graph has the format `onnx`, not `qhost inference graph`"},
      {"/version", 2,
       "net.file: the inference graph has version 2, and this build reads version 1"},
      {"/networks", nullptr, "net.file: the inference graph has no `networks`"},
      {"/nodes", 3, "net.file: the inference graph has 3 under `nodes`, not a list"},
      {"/nodes/1", "conv", "net.file: nodes[1] is string, not an object"},
      {"/nodes/1/op", "conv3d", "net.file: nodes[1] has the unknown word `conv3d` under `op`"},
      {"/nodes/1/shape", json{3, -4, 4},
       "net.file: nodes[1] has [3,-4,4] under `shape`, not a list of sizes"},
      {"/nodes/1/inputs/0/node", "relu",
       "net.file: nodes[1].inputs[0] reads the node `relu`, which does not stand before it"},
      {"/nodes/1/options/kernel", json{3},
       "net.file: nodes[1].options has [3] under `kernel`, not [height, width]"},
      {"/nodes/1/options/groups", nullptr, "net.file: nodes[1].options has no `groups`"},
      {"/nodes/1/options/dilation", 2, "net.file: nodes[1].options has the unknown key `dilation`"},
      {"/nodes/1/tensors/weight", json::array(),
       "net.file: nodes[1].tensors names no tensor for `weight`"},
      {"/nodes/3/name", "bn", "net.file: nodes[3] has the name `bn` of another node"},
      {"/nodes/2/options/affine", 1,
       "net.file: nodes[2].options has 1 under `affine`, not true or false"},
      {"/nodes/4/type", "gate", "net.file: nodes[4] is global_average_pool with the type `gate`"},
      {"/tensors/conv.weight/encoding/bits", 2,
       "net.file: the tensor `conv.weight` is not sound: its encoding is inconsistent: binary "
       "needs 1 bit, not 2"},
      {"/tensors/conv.weight/shape", json{3, 2, 3, 4},
       "net.file: the tensor `conv.weight` needs `conv.weight` as U8 [9], and the file has U8 [7]"},
      {"/tensors/conv.weight/encoding/scale", "none",
       "net.file: the inference graph says nothing of the tensor `conv.weight/scale`"},
      {"/nodes/4/shape", json{5},
       "net.file: the inference graph is not sound: the node `pool`: its shape is [N,5], and what "
       "it reads makes [N,3]"},
      {"/output", "fc",
       "net.file: the inference graph reads the node `fc`, which does not stand before it"},
      {"/author", "me", "net.file: the inference graph has the unknown key `author`"},
  };
  for (const Damage& damage : damages) {
    json broken = whole;
    const json::json_pointer pointer(damage.pointer);
    if (damage.value.is_null()) {
      broken.at(pointer.parent_pointer()).erase(pointer.back());
    } else {
      broken[pointer] = damage.value;
    }
    EXPECT_EQ(error_of(broken, tensors), damage.message) << damage.pointer;
  }
}

TEST(InferenceGraphJson, NamesWhatIsWrongWithTheTensors) {
  const json whole = to_json(five_nodes());
  const auto broken = [&](auto damage) {
    TensorBytes tensors = tensor_bytes(five_nodes());
    damage(tensors);
    return error_of(whole, tensors);
  };
  EXPECT_EQ(broken([](TensorBytes& t) { t.erase("conv.weight/scale"); }),
            "net.file: the tensor `conv.weight` needs `conv.weight/scale`, which is not in the "
            "file");
  EXPECT_EQ(broken([](TensorBytes& t) { t["more"] = {}; }),
            "net.file: the inference graph says nothing of the tensor `more`");
  EXPECT_EQ(broken([](TensorBytes& t) { t["bn.bias"].dtype = "I32"; }),
            "net.file: the tensor `bn.bias` needs `bn.bias` as F32 [3], and the file has I32 [3]");
  EXPECT_EQ(broken([](TensorBytes& t) { t["bn.bias"].bytes.pop_back(); }),
            "net.file: the tensor `bn.bias` needs 12 bytes of `bn.bias`, and the file has 11");
  EXPECT_EQ(broken([](TensorBytes& t) { t["conv.weight"].bytes.back() = 0xFF; }),
            "net.file: the inference graph is not sound: the tensor `conv.weight`: bits behind the "
            "last code are set");
}

}  // namespace
}  // namespace qhost

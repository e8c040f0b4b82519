/// What evaluation computes is what is stored: the graph, written and read back, gives its bits.
#include "graph/inference_graph_json.h"
#include "model/interpreter.h"
#include "model/stored.h"
#include "support.h"

#include <nlohmann/json.hpp>

namespace qhost::test {
namespace {

/// A model's methods for a graph that came from bytes.
class PlanHost : public InterpreterHost {
 public:
  explicit PlanHost(const Model& model) : model_(model) {}
  EncodedInput encode(const InferenceNode& node, std::size_t edge, const at::Tensor& x,
                      const Interpretation& run) override {
    const int id = model_.graph().find(node.name)->id;
    const PlannedSlot* slot = model_.plan().find(id, Role::input, static_cast<int>(edge));
    const SlotContext context{.slot = &slot->info, .mode = Mode::evaluate, .member = run.network};
    return slot->input->encode(context, x);
  }
  at::Tensor custom(const InferenceNode&, const std::vector<at::Tensor>&,
                    const Interpretation&) override {
    ADD_FAILURE() << "no custom node is here";
    return {};
  }

 private:
  const Model& model_;
};

/// Through JSON text and bytes, as a file keeps them.
InferenceGraph written_and_read(const InferenceGraph& graph) {
  return read_inference_graph(nlohmann::json::parse(to_json(graph).dump()), tensor_bytes(graph),
                              "file");
}

at::Tensor evaluated_from_bytes(Model& model, const at::Tensor& x, const RunPosition& position) {
  const at::NoGradGuard no_grad;
  const InferenceGraph graph = written_and_read(model.inference_graph(position));
  PlanHost host(model);
  Interpreter interpreter(graph, {}, host, at::kCPU, model.options().channels_last);
  at::Tensor sum = interpreter.run(x);
  for (int network = 1; network < graph.networks; ++network) {
    sum = sum + interpreter.run(x, {.network = network});
  }
  return graph.networks > 1 ? sum / graph.networks : sum;
}

/// Convolutions with and without bias, batch norms, a shortcut, a grouped one, a linear layer.
Graph residual() {
  return network({6, 8, 8}, 5, [](GraphBuilder& g, Value x) {
    Value y = g.conv2d("conv1", x, {.out_channels = 8, .padding = 1, .bias = true});
    y = g.relu("relu1", g.batch_norm("bn1", y));
    Value z = g.conv2d("conv2", y, {.out_channels = 8, .padding = 1, .groups = 2});
    z = g.relu("relu2", g.add("sum", g.batch_norm("bn2", z), y));
    z = g.dropout("drop", g.max_pool("max", z));
    z = g.relu("relu3", g.conv2d("conv3", z, {.out_channels = 4, .kernel = 1}));
    return g.linear("fc", g.global_average_pool("pool", z), {.out_features = 5});
  });
}

void expect_the_bits(const Graph& graph, const std::vector<MethodRule>& rules) {
  for (const bool channels_last : {true, false}) {
    const auto model = make_model(graph, rules, {.channels_last = channels_last});
    const Shape& image = graph.input().shape;
    const at::Tensor x =
        in_layout(normal({4, image.channels(), image.height(), image.width()}, 1), channels_last);
    model->train(x, {});  // running statistics that are not 0 and 1
    const at::Tensor wanted = model->evaluate(x, {});
    EXPECT_TRUE(same_bits(evaluated_from_bytes(*model, x, {}), wanted)) << channels_last;
    EXPECT_TRUE(same_bits(model->evaluate(x, {}), wanted)) << channels_last;
  }
}

TEST(InferenceGraphOfAModel, GivesTheBitsOfEvaluation) {
  expect_the_bits(residual(), {});
  expect_the_bits(residual(), {weight_rule<BinaryWeight>("binary", {})});
  expect_the_bits(residual(), {weight_rule<BinaryWeight>("binary", {.fold_batch_norm = true})});
  expect_the_bits(residual(), {weight_rule<IdentityWeight>("identity", {.fold_batch_norm = true})});
}

TEST(InferenceGraphOfAModel, GivesThemWithQuantizedInputs) {
  const auto sign = [](InputRange range, bool output_scale) {
    return [=](const SlotInfo& slot) {
      return std::make_unique<SignInput>(slot, range, output_scale);
    };
  };
  const auto uniform = [](const SlotInfo&) { return std::make_unique<UniformInput>(0.05F, 3); };
  const MethodRule binary = weight_rule<BinaryWeight>("binary", {});
  expect_the_bits(residual(),
                  {binary, input_rule("sign", {"conv3"}, sign(InputRange::signed_values, false))});
  expect_the_bits(residual(), {binary, input_rule("xnor", {"conv2"}, sign(InputRange::any, true))});
  expect_the_bits(residual(), {binary, input_rule("uniform", {"conv*", "fc", "sum"}, uniform)});
  expect_the_bits(residual(), {input_rule("uniform", {"conv2", "max"}, uniform)});
}

TEST(InferenceGraphOfAModel, HasWhatIsLeftOfTheNetwork) {
  const auto model = make_model(
      residual(), {weight_rule<BinaryWeight>("binary", {.fold_batch_norm = true}),
                   input_rule("sign", {"conv3"}, [](const SlotInfo& slot) {
                     return std::make_unique<SignInput>(slot, InputRange::signed_values, false);
                   })});
  const InferenceGraph graph = model->inference_graph({});
  EXPECT_EQ(why_invalid(graph), "");
  std::vector<std::string> names;
  for (const InferenceNode& node : graph.nodes) names.push_back(node.name);
  EXPECT_THAT(names, ::testing::ElementsAre("input", "conv1", "relu1", "conv2", "sum", "conv3/max",
                                            "conv3", "relu3", "pool", "fc"));
  EXPECT_EQ(graph.tensors.at("conv1.weight").encoding, Encoding::binary(ScaleKind::channel));
  EXPECT_EQ(graph.tensors.at("conv2.bias").shape, std::vector<std::int64_t>{8});
  for (const auto& [name, tensor] : graph.tensors) EXPECT_TRUE(tensor.has_contents()) << name;
  // The weights are those that are stored, and the model's own are floats.
  EXPECT_TRUE(same_bits(decode(encoded(graph.tensors.at("fc.weight"), at::kCPU)),
                        decode(model->encoded_weights({}).at("fc"))));
}

/// Encodes as told, and counts how often.
class CountedWeight : public BinaryWeight {
 public:
  explicit CountedWeight(std::shared_ptr<int> calls) : calls_(std::move(calls)) {}
  Encoded encode(const SlotContext& context, const at::Tensor& latent) override {
    ++*calls_;
    return BinaryWeight::encode(context, latent);
  }

 private:
  std::shared_ptr<int> calls_;
};

TEST(InferenceGraphOfAModel, EncodesEachWeightOnceForASetOfWeights) {
  const auto calls = std::make_shared<int>(0);
  const auto model = make_model(residual(), {weight_rule<CountedWeight>("counted", {}, calls)});
  const at::Tensor x = in_layout(normal({2, 6, 8, 8}, 1), true);
  model->evaluate(x, {});
  model->evaluate(x, {});
  EXPECT_EQ(*calls, 4);
  model->inference_graph({});  // of the weights as they are now
  EXPECT_EQ(*calls, 8);
  model->evaluate(x, {});
  EXPECT_EQ(*calls, 8);
}

TEST(Stored, BringsBackEveryKindOfCode) {
  const at::Tensor codes = at::arange(24).remainder(3).to(at::kByte).reshape({2, 3, 2, 2});
  const at::Tensor scale = at::arange(1, 3).to(at::kFloat);
  Encoding ensemble = Encoding::ternary(ScaleKind::none);
  ensemble.ensemble_size = 2;
  const std::vector<Encoded> all = {
      {.encoding = Encoding::binary(ScaleKind::none), .codes = codes.clamp(0, 1)},
      {.encoding = Encoding::ternary(ScaleKind::channel), .codes = codes, .scale = scale},
      {.encoding = Encoding::uniform(3, ScaleKind::tensor, ZeroPointKind::channel),
       .codes = codes,
       .scale = at::scalar_tensor(0.5F),
       .zero_point = at::arange(2).to(at::kInt)},
      {.encoding = Encoding::uniform(8, ScaleKind::none, ZeroPointKind::tensor),
       .codes = codes.mul(100),
       .zero_point = at::scalar_tensor(-7, at::kInt)},
      {.encoding = Encoding::codebook(4, ScaleKind::none, true),
       .codes = codes,
       .table = normal({2, 4}, 1)},
      {.encoding = Encoding::codebook(32, ScaleKind::none, false),
       .codes = codes,
       .table = normal({32}, 2)},
      {.encoding = Encoding::float32(), .codes = normal({2, 3, 2, 2}, 3)},
      {.encoding = Encoding::float16(),
       .codes = normal({2, 3, 2, 2}, 4).to(at::kHalf).to(at::kFloat)},
      {.encoding = Encoding::bfloat16(),
       .codes = normal({2, 3, 2, 2}, 5).to(at::kBFloat16).to(at::kFloat)},
      {.encoding = ensemble, .codes = at::stack({codes, codes.flip({1})})},
  };
  for (const Encoded& one : all) {
    SCOPED_TRACE(to_string(one.encoding));
    const StoredTensor tensor = stored(one, {2, 3, 2, 2});
    EXPECT_EQ(why_invalid(tensor), "");
    EXPECT_TRUE(same_bits(decode(encoded(tensor, at::kCPU)), decode(one)));
    // The order of the bytes is that of the indices, whatever the layout.
    if (one.codes.dim() != 4) continue;
    Encoded strided = one;
    strided.codes = one.codes.contiguous(at::MemoryFormat::ChannelsLast);
    EXPECT_EQ(stored(strided, {2, 3, 2, 2}), tensor);
  }
}

}  // namespace
}  // namespace qhost::test

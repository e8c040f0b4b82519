// Errors of add, concat and custom, and the declarations of a custom node.
#include <stdexcept>

#include "graph/helpers.h"

namespace qhost {
namespace {

using test::error_of;
using test::is_graph_error;
using test::Network;
using test::shape;
using ::testing::HasSubstr;

struct AddErrorCase {
  const char* name;
  Conv2dOptions branch;  // makes b from the 16x8x8 input a
  const char* sentence;
  const char* help;
};

class AddErrors : public ::testing::TestWithParam<AddErrorCase> {};

TEST_P(AddErrors, NameTheDimensionsThatDiffer) {
  Network n;
  const Value b = n.g.conv2d("b", n.x, GetParam().branch);
  const std::string text = error_of([&] { n.g.add("sum", n.x, b); });
  EXPECT_THAT(text,
              is_graph_error(std::string("sum (add): ") + GetParam().sentence, GetParam().help));
  EXPECT_THAT(text, HasSubstr("\n  a = input  input"));
  EXPECT_THAT(text, HasSubstr("\n  b = b      conv2d 1x1 stride"));
}

INSTANTIATE_TEST_SUITE_P(
    Cases, AddErrors,
    ::testing::Values(
        AddErrorCase{"Channels",
                     {.out_channels = 8, .kernel = 1},
                     "shapes differ in channels: 16 and 8",
                     "the shortcut needs a 1x1 convolution to 16 channels"},
        AddErrorCase{"Size",
                     {.out_channels = 16, .kernel = 1, .stride = {2, 1}},
                     "shapes differ in height: 8 and 4",
                     "give both branches the same strides and paddings"},
        AddErrorCase{"All",
                     {.out_channels = 8, .kernel = 1, .stride = {2, 4}},
                     "shapes differ in channels: 16 and 8, height: 8 and 4, width: 8 and 2",
                     "the shortcut needs a 1x1 convolution to 16 channels with the strides of the "
                     "other branch"}),
    [](const auto& test) { return test.param.name; });

TEST(AddErrorsOfRank, SayImageAndFeatures) {
  Network n;
  const Value f = n.g.flatten("f", n.x);
  EXPECT_THAT(error_of([&] { n.g.add("sum", n.x, f); }),
              is_graph_error("sum (add): a is an image and b is features: [N,16,8,8] and [N,1024]",
                             "flatten the image, or add it before it is pooled"));
  const Value h = n.g.linear("h", f, {.out_features = 5});
  EXPECT_THAT(error_of([&] { n.g.add("sum", f, h); }),
              is_graph_error("sum (add): shapes differ in features: 1024 and 5",
                             "add features of equal length"));
}

TEST(ConcatErrors, NeedsAnInput) {
  Network n;
  EXPECT_THAT(
      error_of([&] { n.g.concat("cat", {}); }),
      is_graph_error("cat (concat): there is nothing to concatenate", "pass one Value or more"));
}

TEST(ConcatErrors, NeedsEqualSizes) {
  Network n;
  const Value small = n.g.max_pool("small", n.x);
  const std::string text = error_of([&] { n.g.concat("cat", {n.x, n.x, small}); });
  EXPECT_THAT(text, is_graph_error("cat (concat): xs[0] and xs[2] differ in height: 8 and 4, "
                                   "width: 8 and 4",
                                   "concatenation is along the channels: give all branches the "
                                   "same strides and paddings"));
  EXPECT_THAT(text, HasSubstr("\n  xs[1] = input"));
  EXPECT_THAT(text, HasSubstr("\n  xs[2] = small  max_pool 2x2 stride 2  -> [N,16,4,4]"));
}

TEST(ConcatErrors, NeedsOneRank) {
  Network n;
  const Value f = n.g.flatten("f", n.x);
  EXPECT_THAT(
      error_of([&] {
        n.g.concat("cat", {n.x, f});
      }),
      is_graph_error("cat (concat): xs[0] is an image and xs[1] is features: [N,16,8,8] and "
                     "[N,1024]",
                     "concatenate images with images, features with features"));
}

TEST(ConcatErrors, CountsTheWholeOutput) {
  Network n("16384x256x256");
  EXPECT_THAT(error_of([&] {
                n.g.concat("cat", {n.x, n.x});
              }),
              is_graph_error("cat (concat): the output would be [N,32768,256,256], above the limit "
                             "of 2147483647 values",
                             "use fewer or smaller channels"));
}

// Scales each channel by a learned factor. Each of its answers can be replaced by a wrong one.
class ScaleChannels : public CustomOpBase {
 public:
  std::string type() const override { return type_name; }
  Shape infer(const std::vector<Shape>& inputs) const override {
    if (inputs.size() != 1) {
      throw std::invalid_argument("takes 1 input, not " + std::to_string(inputs.size()));
    }
    return output ? *output : inputs[0];
  }
  std::vector<ParameterSpec> parameters(const std::vector<Shape>& inputs) const override {
    if (!specs.empty()) return specs;
    return {{.name = "scale", .shape = {inputs[0].channels()}, .init = Initialization::ones}};
  }
  std::int64_t macs(const std::vector<Shape>& inputs) const override {
    return negative_macs ? -1 : inputs[0].elements();
  }

  std::string type_name = "scale_channels";
  std::optional<Shape> output;
  std::vector<ParameterSpec> specs;
  bool negative_macs = false;
};

TEST(Custom, DeclaresShapeAndParameters) {
  Network n;
  Value y = n.g.custom("scale", {n.x}, std::make_shared<ScaleChannels>());
  EXPECT_EQ(y.shape(), shape("16x8x8"));
  y = n.g.linear("fc", n.g.global_average_pool("p", y), {.out_features = 2});
  const Graph graph = n.g.finish(y, 2);
  ASSERT_EQ(graph.find("scale")->parameters.size(), 1u);
  EXPECT_EQ(graph.find("scale")->parameters[0].name, "scale");
}

std::string custom_error(const ScaleChannels& op, int inputs = 1) {
  Network n;
  return error_of([&] {
    n.g.custom("node", std::vector<Value>(static_cast<std::size_t>(inputs), n.x),
               std::make_shared<ScaleChannels>(op));
  });
}

TEST(CustomErrors, CarryTheAuthorsSentence) {
  const std::string text = custom_error({}, 2);
  EXPECT_THAT(text, is_graph_error("node (scale_channels): takes 1 input, not 2",
                                   "give `scale_channels` the inputs that it is made for"));
  EXPECT_THAT(text, HasSubstr("\n  inputs[1] = input  input  -> [N,16,8,8]"));
}

TEST(CustomErrors, RefuseNothingToRun) {
  Network n;
  EXPECT_THAT(error_of([&] { n.g.custom("node", {n.x}, nullptr); }),
              is_graph_error("node (custom): its operation is a null pointer",
                             "pass std::make_shared<const YourOp>(...)"));
  EXPECT_THAT(custom_error({}, 0),
              is_graph_error("node (scale_channels): it has no inputs", "pass one Value or more"));
}

TEST(CustomErrors, RefuseABadType) {
  ScaleChannels op;
  op.type_name = "scale channels";
  EXPECT_THAT(custom_error(op),
              is_graph_error("node (custom): its type() `scale channels` is not letters, digits "
                             "and underscores",
                             "return a short type name such as squeeze_excite"));
}

TEST(CustomErrors, RefuseABadShape) {
  ScaleChannels op;
  op.output = Shape{{4, 4}};
  EXPECT_THAT(
      custom_error(op),
      is_graph_error("node (scale_channels): its infer() returned [N,4,4], neither an image "
                     "{C,H,W} nor features {F}",
                     "return three dimensions, or one"));
  op.output = Shape{{0}};
  EXPECT_THAT(custom_error(op), is_graph_error("node (scale_channels): its infer() returned [N,0]",
                                               "return dimensions of 1 or more"));
}

TEST(CustomErrors, RefuseNegativeMacs) {
  ScaleChannels op;
  op.negative_macs = true;
  EXPECT_THAT(custom_error(op),
              is_graph_error("node (scale_channels): its macs() returned -1", "return 0 or more"));
}

TEST(CustomErrors, RefuseBadParameters) {
  ScaleChannels op;
  op.specs = {{.name = "a.b", .shape = {2}}};
  EXPECT_THAT(custom_error(op),
              is_graph_error("node (scale_channels): the parameter `a.b` has no name of letters, "
                             "digits and underscores",
                             "rename it"));
  op.specs = {{.name = "w", .shape = {2}}, {.name = "w", .shape = {2}}};
  EXPECT_THAT(custom_error(op),
              is_graph_error("node (scale_channels): the parameter `w` is declared twice",
                             "give each parameter its own name"));
  op.specs = {{.name = "w", .shape = {2, -3}}};
  EXPECT_THAT(custom_error(op),
              is_graph_error("node (scale_channels): the parameter `w` has the dimension -3",
                             "give dimensions of 1 or more"));
  op.specs = {{.name = "w", .shape = {2}, .init = Initialization::kaiming_normal_fan_in}};
  EXPECT_THAT(
      custom_error(op),
      is_graph_error("node (scale_channels): the parameter `w` has 1 dimensions, but "
                     "kaiming_normal_fan_in needs 2 or more",
                     "initialize it with zeros or ones, or give it the shape [out, in, ...]"));
}

}  // namespace
}  // namespace qhost

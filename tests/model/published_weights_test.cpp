// Weights under published names, on a network of one convolution and one linear layer.
#include "jobs/published_weights.h"

#include <gmock/gmock.h>

#include "support.h"

namespace qhost::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using Order = std::vector<std::int64_t>;

Graph two_layers() {
  return network({1, 2, 2}, 2, [](GraphBuilder& g, Value x) {
    x = g.conv2d("conv", x, {.out_channels = 3, .kernel = 1});
    return g.linear("fc", g.global_average_pool("pool", x), {.out_features = 2, .bias = false});
  });
}

/// Published as "there.conv.weight" and so on, with the given order of fc's channels.
Architecture published(const Order& order) {
  Architecture architecture;
  architecture.name = "two";
  architecture.published = {
      {"nowhere", [](const std::string&, const Options&) { return ""; }, nullptr},
      {"there", [](const std::string& tensor, const Options&) { return "there." + tensor; },
       [order](const std::string& tensor, const Options&) {
         return tensor == "fc.weight" ? order : Order();
       }}};
  return architecture;
}

std::map<std::string, at::Tensor> file() {
  return {{"there.conv.weight", at::arange(3, at::kFloat).reshape({3, 1, 1, 1})},
          {"there.fc.weight", at::arange(6, at::kFloat).reshape({2, 3})}};
}

TEST(PublishedWeights, GetTheNetworksNamesAndItsOrderOfChannels) {
  const auto weights = jobs::from_published(file(), two_layers(), published({2, 0, 1}), {});
  ASSERT_TRUE(weights.has_value());
  EXPECT_EQ(weights->normalization.source, "there");
  EXPECT_EQ(weights->tensors.size(), 2U);
  EXPECT_THAT(weights->names, UnorderedElementsAre(Pair("conv.weight", "there.conv.weight"),
                                                   Pair("fc.weight", "there.fc.weight")));
  EXPECT_TRUE(same_bits(weights->tensors.at("conv.weight"), file().at("there.conv.weight")));
  EXPECT_TRUE(same_bits(weights->tensors.at("fc.weight"),
                        at::tensor({2.F, 0.F, 1.F, 5.F, 3.F, 4.F}).reshape({2, 3})));
}

TEST(PublishedWeights, MustBeAllOfTheNamesAndNoOther) {
  auto more = file(), fewer = file();
  more["there.fc.bias"] = at::zeros({2});
  fewer.erase("there.conv.weight");
  for (const auto& tensors : {more, fewer}) {
    EXPECT_FALSE(jobs::from_published(tensors, two_layers(), published({}), {}).has_value());
  }
}

TEST(PublishedWeights, OfAnotherShapeKeepIt) {
  auto wide = file();
  wide["there.fc.weight"] = at::zeros({2, 5});
  const auto weights = jobs::from_published(wide, two_layers(), published({2, 0, 1}), {});
  ASSERT_TRUE(weights.has_value());
  EXPECT_EQ(weights->tensors.at("fc.weight").size(1), 5);
}

TEST(PublishedWeights, AnOrderThatIsNoneIsThePluginsError) {
  for (const Order& order : {Order{2, 0}, Order{0, 0, 1}, Order{1, 2, 3}, Order{0, 1, 2, 3}}) {
    const std::string error = error_of(ErrorKind::plugin, [&] {
      jobs::from_published(file(), two_layers(), published(order), {});
    });
    EXPECT_THAT(error,
                HasSubstr("the order of channels of there for fc.weight is no order of its 3 "
                          "channels\nhelp: StateDictKeyMap::channels_of"));
  }
}

}  // namespace
}  // namespace qhost::test

#include "data/numpy_random.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>

#include "support.h"

namespace qhost::data::testing {
namespace {

nlohmann::json golden() {
  return nlohmann::json::parse(read_text(QHOST_SOURCE_DIR "/tests/data/golden/numpy_choice.json"));
}

TEST(NumpyRandom, ChoiceDrawsWhatNumpyDraws) {
  const nlohmann::json file = golden();
  ASSERT_GE(file.at("choices").size(), 7U);
  for (const auto& item : file.at("choices")) {
    SCOPED_TRACE(item.at("seed").dump() + " " + item.at("n").dump());
    const std::vector<std::uint32_t> drawn =
        numpy_choice(item.at("seed"), item.at("n"), item.at("size"));
    EXPECT_EQ(drawn, item.at("drawn").get<std::vector<std::uint32_t>>());
  }
}

TEST(NumpyRandom, ShuffleOrdersAsNumpyDoes) {
  const nlohmann::json file = golden();
  ASSERT_FALSE(file.at("shuffles").empty());
  for (const auto& item : file.at("shuffles")) {
    const std::vector<std::uint32_t> order = numpy_permutation(item.at("seed"), item.at("n"));
    const auto head = item.at("head").get<std::vector<std::uint32_t>>();
    ASSERT_EQ(order.size(), item.at("n").get<std::size_t>());
    EXPECT_TRUE(std::equal(head.begin(), head.end(), order.begin()));
    std::uint64_t weighted = 0;
    for (std::size_t i = 0; i < order.size(); ++i) weighted += i * order[i];
    EXPECT_EQ(weighted, item.at("weighted").get<std::uint64_t>());
  }
}

TEST(NumpyRandom, EmptyAndTooLarge) {
  EXPECT_TRUE(numpy_permutation(1, 0).empty());
  EXPECT_TRUE(numpy_choice(1, 3, 0).empty());
  EXPECT_THROW(numpy_choice(1, 3, 4), std::invalid_argument);
}

}  // namespace
}  // namespace qhost::data::testing

#include "common/near_match.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qhost {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(EditDistance, CountsEachKindOfEditOnce) {
  EXPECT_EQ(edit_distance("resnet", "resnet"), 0u);
  EXPECT_EQ(edit_distance("resnet", "resnets"), 1u);
  EXPECT_EQ(edit_distance("resnet", "rsnet"), 1u);
  EXPECT_EQ(edit_distance("resnet", "resmet"), 1u);
  EXPECT_EQ(edit_distance("bwn", "bnw"), 1u) << "a swap is one edit";
  EXPECT_EQ(edit_distance("ca", "abc"), 3u) << "no part is edited twice";
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("ResNet", "rESnET"), 0u) << "case does not count";
}

TEST(NearMatches, TheNearestComesFirstAndThreeAtMost) {
  EXPECT_THAT(near_matches("learning_rte", {"learning_rat", "learning_rate", "weight_decay"}),
              ElementsAre("learning_rate", "learning_rat"));
  EXPECT_THAT(near_matches("depth", {"dept", "depthe", "depht", "deptx"}),
              ElementsAre("depht", "dept", "depthe"))
      << "of equal distances the same letters first";
  EXPECT_THAT(near_matches("bnw", {"bnn", "bwn"}), ElementsAre("bwn", "bnn"));
  EXPECT_THAT(near_matches("momentun", {"nesterov", "momentums", "momentum"}),
              ElementsAre("momentum", "momentums"));
}

TEST(NearMatches, TheLimitGrowsWithTheWord) {
  EXPECT_THAT(near_matches("lr", {"la", "xy"}), ElementsAre("la")) << "one edit for short words";
  EXPECT_THAT(near_matches("bwn", {"ptq"}), IsEmpty());
  EXPECT_THAT(near_matches("widexxnet", {"wideresnet"}), ElementsAre("wideresnet"));
  EXPECT_THAT(near_matches("abcdefghijklmnop", {"abcdefghijklxxxx"}), IsEmpty())
      << "never more than three";
  EXPECT_THAT(near_matches("anything", {}), IsEmpty());
}

TEST(NearMatches, AnEnormousWordCostsNothing) {
  EXPECT_THAT(near_matches(std::string(100'000'000, 'a'), {"bwn", "resnet"}), IsEmpty());
}

}  // namespace
}  // namespace qhost

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/fixtures.h"

namespace qhost::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Sweep : public testing::Test {
 protected:
  LoadResult load(const std::string& text, const std::vector<std::string>& overrides = {}) {
    return load_experiment(folder_.write("x.toml", text), overrides, catalog_);
  }
  std::vector<SweepPoint> good(const std::string& text,
                               const std::vector<std::string>& overrides = {}) {
    LoadResult result = load(text, overrides);
    EXPECT_TRUE(result.ok) << render(result.diagnostics);
    EXPECT_TRUE(result.sweep);
    return std::move(result.points);
  }
  static std::vector<std::string> labels(const std::vector<SweepPoint>& points) {
    std::vector<std::string> list;
    for (const auto& point : points) list.push_back(point.label);
    return list;
  }
  Folder folder_;
  TestCatalog catalog_;
  const std::string base_ = minimal +
                            "[quantizer]\nname = \"uniform\"\nbits = 4\n"
                            "[optimizer]\nname = \"sgd\"\nmomentum = 0.5\n";
};

TEST_F(Sweep, LaysEachPointOverTheFile) {
  const auto points = good(base_ +
                           "[sweep]\npoints = [\n"
                           "  {label = \"float\", quantizer.name = \"none\"},\n"
                           "  {label = \"4 bit\", train.epochs = 3},\n"
                           "  {quantizer = {name = \"bwn\"}, optimizer.name = \"adam\"},\n"
                           "]\n");
  EXPECT_THAT(labels(points),
              ElementsAre("float", "4 bit", "quantizer.name=bwn optimizer.name=adam"));
  EXPECT_TRUE(points[0].experiment.quantizers.empty());
  EXPECT_EQ(points[0].experiment.train.integer("epochs"), 10);
  EXPECT_EQ(points[1].experiment.quantizers.at(0).method.options.integer("bits"), 4);
  EXPECT_EQ(points[1].experiment.train.integer("epochs"), 3);
  EXPECT_EQ(points[2].experiment.quantizers.at(0).method.name, "bwn");
  EXPECT_EQ(points[2].experiment.optimizer.name, "adam");
  EXPECT_EQ(points[2].experiment.name, "x");
  EXPECT_THAT(points[1].experiment.origin("train.epochs").to_string(), HasSubstr("x.toml:14:36"));
}

TEST_F(Sweep, ArgumentsWinOverEveryPoint) {
  const auto points = good(base_ + "[sweep]\npoints = [{train.epochs = 3}, {train.seed = 2}]\n",
                           {"train.epochs=1"});
  EXPECT_EQ(points.at(0).experiment.train.integer("epochs"), 1);
  EXPECT_EQ(points.at(1).experiment.train.integer("epochs"), 1);
  EXPECT_EQ(points.at(1).experiment.train.integer("seed"), 2);
}

TEST_F(Sweep, ArgumentsCanChangeAPoint) {
  const std::string file = base_ + "[sweep]\npoints = [{quantizer.bits = 3}, {train.seed = 2}]\n";
  const auto points = good(file, {"sweep.points.0.quantizer.name=bwn", "sweep.points.1.label=two"});
  EXPECT_EQ(points.at(0).experiment.quantizers.at(0).method.name, "bwn");
  EXPECT_EQ(points.at(1).label, "two");
  EXPECT_EQ(good(file, {"sweep.points=[{train.seed = 7}]"}).size(), 1U);
  EXPECT_THAT(concise(load(file, {"sweep.points.5.label=x"}).diagnostics),
              HasSubstr("`points` has 2 elements, there is no `5` [config.bad-index]"));
}

TEST_F(Sweep, PointsMayBeTables) {
  const auto points = good(base_ +
                           "[[sweep.points]]\nlabel = \"a\"\n[sweep.points.train]\nseed = 3\n"
                           "[[sweep.points]]\nlabel = \"b\"\n");
  EXPECT_THAT(labels(points), ElementsAre("a", "b"));
  EXPECT_EQ(points[0].experiment.train.integer("seed"), 3);
}

TEST_F(Sweep, NumbersEqualLabelsThatNobodyWrote) {
  EXPECT_THAT(labels(good(base_ + "[sweep]\npoints = [{}, {train.seed = 1}, {train.seed = 1}]\n")),
              ElementsAre("point 1", "train.seed=1", "train.seed=1 (3)"));
}

TEST_F(Sweep, ReportsAnErrorOfTheFileOnce) {
  const auto result =
      load(base_ + "[train]\nepoch = 3\n[sweep]\npoints = [{train.seed = 1}, {train.seed = -2}]\n");
  EXPECT_EQ(concise(result.diagnostics, folder_.path()),
            "x.toml:12:1: error: unknown key `epoch` in [train] [config.unknown-key]\n"
            "x.toml:14:43: error: `train.seed`: -2 is below the minimum 0 "
            "[config.out-of-range]\n");
}

TEST_F(Sweep, ResolvedTomlOfAPointLoadsAlone) {
  const auto points = good(base_ + "[sweep]\npoints = [{quantizer.name = \"bwn\"}]\n");
  const auto again = load(points.at(0).experiment.resolved_toml());
  ASSERT_TRUE(again.ok) << render(again.diagnostics);
  EXPECT_FALSE(again.sweep);
  EXPECT_EQ(again.points.at(0).experiment.all_keys(), points.at(0).experiment.all_keys());
}

TEST_F(Sweep, RunsEachPointOnceForEachSeed) {
  const auto points =
      good(base_ +
           "[sweep]\nseeds = [1, 2]\npoints = [{label = \"a\", train.epochs = 3}, {label = "
           "\"b\"}]\n");
  EXPECT_THAT(labels(points), ElementsAre("a seed=1", "a seed=2", "b seed=1", "b seed=2"));
  EXPECT_EQ(points[1].group, "a");
  EXPECT_TRUE(points[1].has_seed);
  EXPECT_EQ(points[1].experiment.train.integer("seed"), 2);
  EXPECT_EQ(points[1].experiment.train.integer("epochs"), 3);
  EXPECT_EQ(points[2].experiment.train.integer("seed"), 1);
}

TEST_F(Sweep, SeedsAloneRepeatTheFile) {
  const auto points = good(base_, {"sweep.seeds=[4, 7]"});
  EXPECT_THAT(labels(points), ElementsAre("seed=4", "seed=7"));
  EXPECT_EQ(points[0].group, "");
  EXPECT_EQ(points[1].experiment.train.integer("seed"), 7);
}

TEST_F(Sweep, SeedsThatAreNoneOrTwiceOrInAPointAreErrors) {
  const auto errors = [&](const std::string& sweep) {
    return concise(load(base_ + "[sweep]\n" + sweep).diagnostics, folder_.path());
  };
  EXPECT_THAT(errors("seeds = []\n"), HasSubstr("12:9: error: `sweep.seeds` is empty"));
  EXPECT_THAT(errors("seeds = 3\n"), HasSubstr("`sweep.seeds`: expected a list of integers"));
  EXPECT_THAT(errors("seeds = [1, \"2\"]\n"), HasSubstr("`sweep.seeds`: expected an integer"));
  EXPECT_THAT(errors("seeds = [1, 2, 1]\n"), HasSubstr("the seed 1 stands in `sweep.seeds` twice"));
  EXPECT_THAT(errors("seeds = [1]\npoints = [{train.seed = 2}]\n"),
              HasSubstr("a point's `train.seed` and `sweep.seeds` contradict"));
  EXPECT_THAT(errors("seeds = [-1]\n"), HasSubstr("-1 is below the minimum 0"));
}

}  // namespace
}  // namespace qhost::config

#include "graph/selector.h"

#include "graph/helpers.h"

namespace qhost {
namespace {

using test::error_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// conv1; stage1.{conv1, bn, relu, conv2, add}; stage2.{conv1, cat}; max, avg, pool, hidden, fc
Graph network() {
  test::Network n("16x8x8");
  GraphBuilder& g = n.g;
  Value x = g.conv2d("conv1", n.x, {.out_channels = 8, .kernel = 3, .padding = 1});
  {
    auto scope = g.scope("stage1");
    Value y = g.conv2d("conv1", x, {.out_channels = 8, .kernel = 1});
    y = g.relu("relu", g.batch_norm("bn", y));
    y = g.conv2d("conv2", y, {.out_channels = 8, .kernel = {1, 3}, .padding = {0, 1}});
    x = g.add("add", y, x);
  }
  {
    auto scope = g.scope("stage2");
    const Value y = g.conv2d("conv1", x, {.out_channels = 8, .kernel = 1});
    x = g.concat("cat", {x, y});
  }
  x = g.average_pool("avg", g.max_pool("max", x));
  x = g.linear("hidden", g.global_average_pool("pool", x), {.out_features = 32});
  return g.finish(g.linear("fc", x, {.out_features = 10}), 10);
}

std::vector<std::string> names(const Graph& graph, const std::vector<int>& ids) {
  std::vector<std::string> result;
  for (int id : ids) result.push_back(graph.node(id).name);
  return result;
}

std::vector<std::string> matched(const std::string& selector, Role role = Role::weight) {
  const Graph graph = network();
  return names(graph, match(graph, Selector::parse(selector), role));
}

TEST(Candidates, OfWeightsAreConvolutionsAndLinears) {
  const Graph graph = network();
  EXPECT_THAT(names(graph, slot_candidates(graph, Role::weight)),
              ElementsAre("conv1", "stage1.conv1", "stage1.conv2", "stage2.conv1", "hidden", "fc"));
}

TEST(Candidates, OfInputsAreJoinsAndPoolsToo) {
  const Graph graph = network();
  EXPECT_THAT(names(graph, slot_candidates(graph, Role::input)),
              ElementsAre("conv1", "stage1.conv1", "stage1.conv2", "stage1.add", "stage2.conv1",
                          "stage2.cat", "max", "avg", "pool", "hidden", "fc"));
}

TEST(Globs, MatchWholeNamesAcrossDots) {
  EXPECT_THAT(matched("conv1"), ElementsAre("conv1"));
  EXPECT_THAT(matched("*conv1"), ElementsAre("conv1", "stage1.conv1", "stage2.conv1"));
  EXPECT_THAT(matched("stage?.conv?"), ElementsAre("stage1.conv1", "stage1.conv2", "stage2.conv1"));
  EXPECT_THAT(matched("s*1"), ElementsAre("stage1.conv1", "stage2.conv1"));
  EXPECT_THAT(matched("stage1.*"), ElementsAre("stage1.conv1", "stage1.conv2"));
  EXPECT_THAT(matched("stage1.*", Role::input),
              ElementsAre("stage1.conv1", "stage1.conv2", "stage1.add"));
  EXPECT_THAT(matched("stage"), IsEmpty());
  EXPECT_THAT(matched("conv1?"), IsEmpty());
  EXPECT_EQ(matched("*").size(), 6u);
  EXPECT_EQ(matched("**").size(), 6u);
  EXPECT_THAT(matched("*a*e*.*v*2*"), ElementsAre("stage1.conv2"));
}

TEST(Globs, ManyStarsTakeNoTime) {
  std::string pattern;
  for (int i = 0; i < 200; ++i) pattern += "*a";
  EXPECT_THAT(matched(pattern), IsEmpty());
}

TEST(Regexes, MatchWholeNames) {
  EXPECT_THAT(matched("re:stage[12]\\.conv1"), ElementsAre("stage1.conv1", "stage2.conv1"));
  EXPECT_THAT(matched("re:conv"), IsEmpty());
  EXPECT_THAT(matched("re:.*(conv2|fc)"), ElementsAre("stage1.conv2", "fc"));
  EXPECT_THAT(matched("re:first"), IsEmpty());
}

TEST(Keywords, NameTheEndsOfTheNetwork) {
  EXPECT_THAT(matched("first"), ElementsAre("conv1"));
  EXPECT_THAT(matched("last"), ElementsAre("fc"));
  EXPECT_THAT(matched("first", Role::input), ElementsAre("conv1"));
  EXPECT_THAT(matched("last", Role::input), ElementsAre("fc"));
}

TEST(Keywords, MatchNothingWithoutAWeight) {
  test::Network n("10");
  const Graph graph = n.g.finish(n.g.relu("relu", n.x), 10);
  EXPECT_EQ(first_weighted(graph), nullptr);
  EXPECT_EQ(last_weighted(graph), nullptr);
  EXPECT_THAT(match(graph, Selector::parse("first")), IsEmpty());
}

TEST(Types, MatchOperations) {
  EXPECT_THAT(matched("type:linear"), ElementsAre("hidden", "fc"));
  EXPECT_EQ(matched("type:conv2d").size(), 4u);
  EXPECT_THAT(matched("type:add", Role::input), ElementsAre("stage1.add"));
  EXPECT_THAT(matched("type:add"), IsEmpty());
  EXPECT_THAT(matched("type:batch_norm", Role::input), IsEmpty());
  EXPECT_THAT(matched("type:global_average_pool", Role::input), ElementsAre("pool"));
}

TEST(Kernels, MatchConvolutions) {
  EXPECT_THAT(matched("kernel:1x1"), ElementsAre("stage1.conv1", "stage2.conv1"));
  EXPECT_THAT(matched("kernel:1"), ElementsAre("stage1.conv1", "stage2.conv1"));
  EXPECT_THAT(matched("kernel:1x3"), ElementsAre("stage1.conv2"));
  EXPECT_THAT(matched("kernel:3x1"), IsEmpty());
  EXPECT_THAT(matched("kernel:2x2", Role::input), IsEmpty());  // pools have no weight
}

TEST(Selectors, WithoutRoleMatchCandidatesOfEither) {
  const Graph graph = network();
  EXPECT_THAT(names(graph, match(graph, Selector::parse("stage1.*"))),
              ElementsAre("stage1.conv1", "stage1.conv2", "stage1.add"));
  EXPECT_EQ(Selector::parse("stage1.*").text(), "stage1.*");
}

const std::string forms =
    "a selector is a glob on names (`stage2.*`), `re:` and a regular expression, `first`, `last`, "
    "`type:conv2d` or `kernel:1x1`";

struct SelectorErrorCase {
  std::string text, sentence, help;
};

class SelectorErrors : public ::testing::TestWithParam<SelectorErrorCase> {};

TEST_P(SelectorErrors, SayWhatIsWrong) {
  const auto& [text, sentence, help] = GetParam();
  EXPECT_EQ(Selector::why_invalid(text), sentence);
  EXPECT_EQ(error_of([&] { Selector::parse(text); }), "layers: " + sentence + "\nhelp: " + help);
}

const std::string regex_help = "write an ECMAScript regular expression that matches the whole name";
const std::string type_help =
    "the operations are input, conv2d, linear, batch_norm, activation, add, concat, max_pool, "
    "average_pool, global_average_pool, dropout, subsample, flatten, custom";

INSTANTIATE_TEST_SUITE_P(
    Cases, SelectorErrors,
    ::testing::Values(
        SelectorErrorCase{"", "the selector is empty", forms},
        SelectorErrorCase{"conv 1",
                          "the character ` ` in `conv 1` stands in no node's name, so the glob can "
                          "match none",
                          forms},
        SelectorErrorCase{
            "conv1/weight",
            "the character `/` in `conv1/weight` stands in no node's name, so the glob "
            "can match none",
            forms},
        SelectorErrorCase{"re:(", "bad regular expression in `re:(`: parentheses do not match",
                          regex_help},
        SelectorErrorCase{"re:[a", "bad regular expression in `re:[a`: brackets do not match",
                          regex_help},
        SelectorErrorCase{"re:*a", "bad regular expression in `re:*a`: it is malformed",
                          regex_help},
        SelectorErrorCase{"re:a\\", "bad regular expression in `re:a\\`: an escape is malformed",
                          regex_help},
        SelectorErrorCase{"type:conv3d",
                          "unknown operation `conv3d` in `type:conv3d`; did you mean `conv2d`?",
                          type_help},
        SelectorErrorCase{"type:transformer",
                          "unknown operation `transformer` in `type:transformer`", type_help},
        SelectorErrorCase{"type:", "unknown operation `` in `type:`", type_help},
        SelectorErrorCase{"kernel:1y1", "bad kernel `1y1` in `kernel:1y1`",
                          "write kernel:1x1, height x width"},
        SelectorErrorCase{"kernel:0x1", "bad kernel `0x1` in `kernel:0x1`",
                          "write kernel:1x1, height x width"},
        SelectorErrorCase{"kernel:1x", "bad kernel `1x` in `kernel:1x`",
                          "write kernel:1x1, height x width"},
        SelectorErrorCase{"kernel:99999999999999999999",
                          "bad kernel `99999999999999999999` in `kernel:99999999999999999999`",
                          "write kernel:1x1, height x width"},
        SelectorErrorCase{"typ:conv2d",
                          "unknown kind of selector `typ:` in `typ:conv2d`; did you mean `type`?",
                          forms},
        SelectorErrorCase{"size:3", "unknown kind of selector `size:` in `size:3`", forms},
        SelectorErrorCase{std::string(600, 'a'),
                          "the selector has 600 characters, above the limit of 512", forms}));

TEST(SelectorErrorsAbsent, ValidSelectorsHaveNone) {
  for (const char* text : {"*", "first", "last", "re:.*", "type:add", "kernel:3", "stage1.conv?"}) {
    EXPECT_EQ(Selector::why_invalid(text), "") << text;
  }
}

}  // namespace
}  // namespace qhost

/// make_plan: which rule gets each slot, and the errors of wrong rules.
#include "support.h"

namespace qhost::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Strings = std::vector<std::string>;

/// A stem, two blocks of two convolutions, a shortcut add, and a linear layer.
Graph blocks() {
  return network({3, 8, 8}, 5, [](GraphBuilder& g, Value x) {
    x = g.conv2d("stem", x, {.out_channels = 4, .padding = 1});
    for (const char* name : {"a", "b"}) {
      auto scope = g.scope(name);
      Value y = g.relu("relu", g.batch_norm("bn", x));
      y = g.conv2d("conv1", y, {.out_channels = 4, .padding = 1});
      y = g.conv2d("conv2", y, {.out_channels = 4, .kernel = 1});
      x = g.add("sum", y, x);
    }
    return g.linear("fc", g.global_average_pool("pool", x), {.out_features = 5});
  });
}

/// A method that takes every slot of its roles.
MethodRule rule(const std::string& name, std::vector<Role> offers, Strings layers = {"*"}) {
  auto method = std::make_shared<Method>();
  method->make_weight = [](const SlotInfo&) { return std::make_unique<IdentityWeight>(); };
  method->make_input = [](const SlotInfo&) { return std::make_unique<UniformInput>(1.0F, 0); };
  return {.method = name,
          .quantizer = method,
          .offers = std::move(offers),
          .layers = std::move(layers)};
}
MethodRule none(Strings layers) {
  return {.method = "none", .offers = {Role::weight, Role::input}, .layers = std::move(layers)};
}

/// "a.conv1 weight by bwn" for each slot.
Strings slots(const Plan& plan) {
  Strings texts;
  for (const PlannedSlot& slot : plan.slots) {
    EXPECT_EQ(slot.weight != nullptr, slot.info.role == Role::weight);
    EXPECT_EQ(slot.input != nullptr, slot.info.role == Role::input);
    texts.push_back(slot.info.node + " " + to_string(slot.info.role) +
                    (slot.info.edge > 0 ? std::to_string(slot.info.edge) : "") + " by " +
                    slot.method);
  }
  return texts;
}

struct Complaint {
  int rule = -1;
  std::string key, text;
  bool operator==(const Complaint&) const = default;
};
void PrintTo(const Complaint& complaint, std::ostream* out) {
  *out << "rule " << complaint.rule << ", " << complaint.key << ": " << complaint.text;
}
Complaint complaint(const std::vector<MethodRule>& rules, const Graph& graph = blocks()) {
  try {
    make_plan(graph, rules);
  } catch (const RuleError& error) {
    EXPECT_EQ(error.kind(), ErrorKind::configuration);
    return {error.rule(), error.key(), error.what()};
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

const std::vector<Role> weight = {Role::weight};
const std::vector<Role> input = {Role::input};
const std::vector<Role> both = {Role::weight, Role::input};

std::vector<std::string> texts(const Plan& plan) {
  std::vector<std::string> texts;
  for (const PlanWarning& warning : plan.warnings) texts.push_back(warning.text);
  return texts;
}

TEST(Plan, WithoutRulesIsFloat) {
  EXPECT_TRUE(make_plan(blocks(), {}).is_float());
}

TEST(Plan, ListsSlotsInGraphOrderWeightFirstAndEveryEdge) {
  const Plan plan = make_plan(blocks(), {rule("m", both, {"a.*", "fc"})});
  EXPECT_THAT(slots(plan),
              ElementsAre("a.conv1 weight by m", "a.conv1 input by m", "a.conv2 weight by m",
                          "a.conv2 input by m", "a.sum input by m", "a.sum input1 by m",
                          "fc weight by m", "fc input by m"));
  const Graph graph = blocks();
  const SlotInfo& conv = plan.find(graph.find("a.conv1")->id, Role::weight)->info;
  EXPECT_EQ(conv.shape, (std::vector<std::int64_t>{4, 4, 3, 3}));
  EXPECT_EQ(conv.fan_in, 36);
  EXPECT_EQ(conv.fan_out, 36);
  EXPECT_EQ(conv.kernel, Size2(3));
  EXPECT_EQ(conv.padding, Size2(1));
  const PlannedSlot* edge = plan.find(graph.find("a.sum")->id, Role::input, 1);
  ASSERT_NE(edge, nullptr);
  EXPECT_EQ(edge->info.edge, 1);
  EXPECT_EQ(edge->info.shape, (std::vector<std::int64_t>{4, 8, 8}));
  EXPECT_EQ(plan.find(graph.find("stem")->id, Role::weight), nullptr);
}

TEST(Plan, TheLastMatchWinsInEachRole) {
  MethodRule inputs = rule("both", both, {"a.conv1", "b.conv1"});
  inputs.roles = input;
  const Plan plan = make_plan(
      blocks(), {rule("first", both, {"kernel:3"}), rule("second", weight, {"a.*"}), inputs});
  EXPECT_THAT(slots(plan),
              ElementsAre("stem weight by first", "stem input by first", "a.conv1 weight by second",
                          "a.conv1 input by both", "a.conv2 weight by second",
                          "b.conv1 weight by first", "b.conv1 input by both"));
  EXPECT_EQ(plan.find(blocks().find("a.conv1")->id, Role::weight)->rule, 1);
  EXPECT_THAT(texts(plan), IsEmpty());
}

TEST(Plan, KeepFloatNarrowsItsOwnRuleOnly) {
  MethodRule first = rule("first", weight);
  first.default_keep_float = {"first", "last"};
  EXPECT_THAT(slots(make_plan(blocks(), {first})),
              ElementsAre("a.conv1 weight by first", "a.conv2 weight by first",
                          "b.conv1 weight by first", "b.conv2 weight by first"));
  first.keep_float = Strings{"a.*", "b.*"};
  EXPECT_THAT(slots(make_plan(blocks(), {first})),
              ElementsAre("stem weight by first", "fc weight by first"));
  // An explicit empty list overrides the default.
  first.keep_float = Strings{};
  EXPECT_EQ(make_plan(blocks(), {first}).slots.size(), 6U);

  // Slots that the second rule keeps in float stay with the first rule.
  MethodRule second = rule("second", weight, {"a.*", "b.*"});
  second.keep_float = Strings{"b.*"};
  EXPECT_THAT(
      slots(make_plan(blocks(), {first, second})),
      ElementsAre("stem weight by first", "a.conv1 weight by second", "a.conv2 weight by second",
                  "b.conv1 weight by first", "b.conv2 weight by first", "fc weight by first"));
}

TEST(Plan, KeepFloatTakesOneRoleOfALayer) {
  MethodRule all = rule("m", both, {"stem", "a.conv1", "fc"});
  all.keep_float = Strings{"first/input", "fc/weight", "re:a.*/input"};
  EXPECT_THAT(slots(make_plan(blocks(), {all})),
              ElementsAre("stem weight by m", "a.conv1 weight by m", "fc input by m"));
  all.keep_float = Strings{"stem/output"};
  EXPECT_EQ(complaint({all}),
            (Complaint{0, "keep_float",
                       "the character `/` in `stem/output` stands in no node's name, so the glob "
                       "can match none\nhelp: a role of a layer is kept by `/weight`, `/input` or "
                       "`/gradient` behind its selector"}));
}

TEST(Plan, KeepFloatNamesRolesThatTheMethodOffers) {
  MethodRule weights = rule("m", weight);
  weights.keep_float = Strings{"first/input"};
  EXPECT_EQ(complaint({weights}),
            (Complaint{0, "keep_float",
                       "`m` does not quantize role \"input\"\nhelp: it offers \"weight\""}));
}

TEST(Plan, NamesAMethodThatTakesNothingOfWhatItIsOffered) {
  MethodRule nothing = {.method = "m",
                        .quantizer = std::make_shared<Method>(),
                        .offers = both,
                        .layers = {"a.conv1", "a.conv2"}};
  EXPECT_EQ(complaint({nothing}),
            (Complaint{0, "name",
                       "`m` takes none of the 4 slots that its rule selects: not of these layers "
                       "and roles, or not with these options\nhelp: `qhost describe m`"}));
}

TEST(Plan, SaysWhichLayersAreTheFirstAndTheLast) {
  const Plan plan = make_plan(blocks(), {rule("m", both)});
  Strings first, last;
  for (const PlannedSlot& slot : plan.slots) {
    if (slot.info.first) first.push_back(slot.info.node + " " + to_string(slot.info.role));
    if (slot.info.last) last.push_back(slot.info.node + " " + to_string(slot.info.role));
  }
  EXPECT_THAT(first, ElementsAre("stem weight", "stem input"));
  EXPECT_THAT(last, ElementsAre("fc weight", "fc input"));
}

TEST(Plan, GradientsAreSlotsOfTheirOwn) {
  struct Kept : GradientQuantizer {
    at::Tensor backward(const SlotContext&, const at::Tensor& gradient) override {
      return gradient;
    }
    std::string summary() const override { return "as they are"; }
  };
  struct Gradients : Quantizer {
    std::unique_ptr<GradientQuantizer> gradient(const SlotInfo&) override {
      return std::make_unique<Kept>();
    }
  };
  MethodRule gradients = {.method = "g",
                          .quantizer = std::make_shared<Gradients>(),
                          .offers = {Role::gradient},
                          .layers = {"*"},
                          .keep_float = Strings{"first/gradient", "last"}};
  const Plan plan = make_plan(blocks(), {rule("m", weight), gradients});
  Strings nodes;
  for (const auto& each : plan.gradients) {
    nodes.push_back(each->info.node + " by " + each->method);
  }
  EXPECT_THAT(nodes, ElementsAre("a.conv1 by g", "a.conv2 by g", "b.conv1 by g", "b.conv2 by g"));
  EXPECT_EQ(plan.gradients[0]->info.role, Role::gradient);
  EXPECT_EQ(plan.gradients[0]->info.shape, (std::vector<std::int64_t>{4, 8, 8}));
  EXPECT_EQ(plan.slots.size(), 6U);
  // Alone it leaves a network with a float evaluation, but it counts as a rule with an effect.
  EXPECT_TRUE(make_plan(blocks(), {gradients}).slots.empty());
  EXPECT_FALSE(make_plan(blocks(), {gradients}).is_float());
}

TEST(Plan, NoneMasksTheRulesBefore) {
  EXPECT_THAT(slots(make_plan(blocks(), {rule("m", weight), none({"*conv*", "fc"})})),
              ElementsAre("stem weight by m"));
  MethodRule weights = none({"a.*"});
  weights.roles = weight;
  EXPECT_THAT(slots(make_plan(blocks(), {rule("m", both, {"a.conv1"}), weights})),
              ElementsAre("a.conv1 input by m"));
  // A later rule takes a layer from an earlier one.
  EXPECT_THAT(slots(make_plan(blocks(), {none({"*"}), rule("m", weight, {"fc"})})),
              ElementsAre("fc weight by m"));
  const Plan all = make_plan(blocks(), {none({"*"})});
  EXPECT_TRUE(all.is_float());
  EXPECT_THAT(texts(all), IsEmpty());
}

TEST(Plan, WarnsOfARuleThatIsWhollyOverridden) {
  const Plan plan =
      make_plan(blocks(), {rule("bwn", weight, {"a.*"}), rule("xnornet", weight, {"a.conv1"}),
                           rule("twn", weight, {"a.conv2"})});
  EXPECT_THAT(texts(plan),
              ElementsAre("rule 1 (bwn) is wholly overridden by rule 2 (xnornet), rule 3 (twn)"));
  const Plan masked = make_plan(blocks(), {rule("bwn", weight, {"a.*"}), none({"*"})});
  EXPECT_THAT(texts(masked), ElementsAre("rule 1 (bwn) is wholly overridden by rule 2 (none)"));
  EXPECT_TRUE(masked.is_float());
}

/// A method whose inputs have the given range and advice.
class Ranged : public UniformInput {
 public:
  Ranged(InputRange range, std::string advice)
      : UniformInput(1.0F, 0), range_(range), advice_(std::move(advice)) {}
  InputRange range() const override { return range_; }
  std::string range_advice() const override { return advice_; }

 private:
  InputRange range_;
  std::string advice_;
};

MethodRule ranged(InputRange range, const std::string& advice, Strings layers) {
  return input_rule("m", std::move(layers), [range, advice](const SlotInfo&) {
    return std::make_unique<Ranged>(range, advice);
  });
}

TEST(Plan, SlotsKnowWhichInputsCanBeNegative) {
  const auto non_negative = [](const Plan& plan) {
    Strings names;
    for (const PlannedSlot& slot : plan.slots) {
      if (slot.info.non_negative) names.push_back(slot.info.node);
    }
    return names;
  };
  const MethodRule all = ranged(InputRange::any, "", {"*"});
  EXPECT_THAT(non_negative(make_plan(blocks(), {all})), ElementsAre("a.conv1", "b.conv1"));
  // Slots of weights are not marked.
  EXPECT_THAT(non_negative(make_plan(blocks(), {rule("m", weight)})), IsEmpty());
  EXPECT_THAT(non_negative(make_plan(blocks(), {all}, /*non_negative_image=*/true)),
              ElementsAre("stem", "a.conv1", "b.conv1"));

  // Binary codes make a sum of rectified values signed, for every node that reads it.
  const Graph sum = network({4}, 4, [](GraphBuilder& g, Value x) {
    const Value y = g.relu("relu", x);
    return g.linear("fc", g.add("sum", y, y), {.out_features = 4});
  });
  const MethodRule sign = input_rule("sign", {"sum"}, [](const SlotInfo& at) {
    return std::make_unique<SignInput>(at, InputRange::any, false);
  });
  const auto fc = [&](const std::vector<MethodRule>& rules) {
    return make_plan(sum, rules).find(sum.find("fc")->id, Role::input)->info.non_negative;
  };
  EXPECT_TRUE(fc({all}));
  EXPECT_FALSE(fc({all, sign}));
}

TEST(Plan, WarnsWhereNegativeInputsBecomeZero) {
  const std::string advice = "set both_signs = true";
  const MethodRule all = ranged(InputRange::non_negative, advice, {"*"});
  EXPECT_THAT(
      texts(make_plan(blocks(), {all})),
      ElementsAre("`m` has no levels below 0 for the inputs of stem, a.conv2, a.sum, a.sum (1) and "
                  "5 more, which can be negative: all that is negative becomes 0. set both_signs = "
                  "true; keep_float = [\"stem/input\", \"a.conv2/input\", \"a.sum/input\", "
                  "\"b.conv2/input\", ...] leaves these inputs in float"));
  MethodRule some = ranged(InputRange::non_negative, "", {"*conv*"});
  some.default_keep_float = {"first", "b.*"};
  EXPECT_THAT(texts(make_plan(blocks(), {some})),
              ElementsAre("`m` has no levels below 0 for the inputs of a.conv2, which can be "
                          "negative: all that is negative becomes 0. keep_float = [\"first\", "
                          "\"b.*\", \"a.conv2/input\"] leaves these inputs in float"));
  EXPECT_THAT(texts(make_plan(blocks(), {ranged(InputRange::non_negative, "", {"?.conv1"})})),
              IsEmpty());
  EXPECT_THAT(texts(make_plan(blocks(), {ranged(InputRange::any, advice, {"*"})})), IsEmpty());
  EXPECT_THAT(texts(make_plan(blocks(), {ranged(InputRange::non_negative, "", {"stem"})},
                              /*non_negative_image=*/true)),
              IsEmpty());
}

TEST(Plan, RefusesSelectorsThatMatchNothingOrAreMalformed) {
  EXPECT_EQ(complaint({rule("m", weight), rule("m", weight, {"a.*", "c.*"})}),
            (Complaint{1, "layers",
                       "`c.*` matches no layer of this network\nhelp: `qhost summary` lists the "
                       "layers' names"}));
  MethodRule kept = rule("m", weight);
  kept.keep_float = Strings{"kernel:7x7"};
  EXPECT_EQ(complaint({kept}),
            (Complaint{0, "keep_float",
                       "`kernel:7x7` matches no layer of this network\nhelp: `qhost summary` "
                       "lists the layers' names"}));
  const Complaint malformed = complaint({rule("m", weight, {"type:conv3d"})});
  EXPECT_EQ(malformed.key, "layers");
  EXPECT_THAT(malformed.text, ::testing::HasSubstr("`conv3d`"));
  EXPECT_THAT(malformed.text, ::testing::HasSubstr("`conv2d`"));
  EXPECT_EQ(complaint({none({"nowhere"})}).key, "layers");
}

TEST(Plan, RefusesARoleThatIsNotOffered) {
  MethodRule wrong = rule("bwn", weight);
  wrong.roles = input;
  EXPECT_EQ(complaint({wrong}),
            (Complaint{0, "roles",
                       "`bwn` does not quantize role \"input\"\nhelp: it offers \"weight\""}));
}

TEST(Plan, RefusesARuleThatQuantizesNothing) {
  const std::string text =
      "`m` quantizes nothing: its layers, less keep_float, leave no slot that it takes\nhelp: "
      "`qhost summary` lists the layers; [quantizer] name = \"none\" trains in float";
  MethodRule all_kept = rule("m", weight, {"fc"});
  all_kept.keep_float = Strings{"last"};
  EXPECT_EQ(complaint({all_kept}), (Complaint{0, "layers", text}));
  EXPECT_EQ(complaint({rule("m", weight, {"a.sum"})}), (Complaint{0, "layers", text}));
}

TEST(Plan, ElidesTheReluOfSignedInputsAndNamesWhatStandsInTheWay) {
  const MethodRule sign = input_rule("xnornet", {"conv"}, [](const SlotInfo& slot) {
    return std::make_unique<SignInput>(slot, InputRange::signed_values, false);
  });
  const auto behind = [](const std::function<Value(GraphBuilder&, Value)>& between) {
    return network({4, 8, 8}, 3, [&](GraphBuilder& g, Value x) {
      x = between(g, g.relu("relu", g.batch_norm("bn", x)));
      return g.global_average_pool("pool", g.conv2d("conv", x, {.out_channels = 3}));
    });
  };
  const Graph direct = behind([](GraphBuilder&, Value x) { return x; });
  const Plan plan = make_plan(direct, {sign});
  ASSERT_TRUE(plan.slots.at(0).elision.has_value());
  EXPECT_EQ(direct.node(plan.slots[0].elision->source).name, "bn");

  MethodRule any = sign;
  any.quantizer = input_rule("", {"conv"}, [](const SlotInfo& slot) {
                    return std::make_unique<SignInput>(slot, InputRange::any, false);
                  }).quantizer;
  EXPECT_FALSE(make_plan(direct, {any}).slots.at(0).elision.has_value());

  const Graph pooled = behind([](GraphBuilder& g, Value x) { return g.average_pool("mean", x); });
  const Complaint found = complaint({sign}, pooled);
  EXPECT_EQ(found.rule, 0);
  EXPECT_EQ(found.key, "name");
  EXPECT_THAT(found.text, ::testing::StartsWith("`xnornet` quantizes signed inputs: "));
  for (const char* name : {"conv", "mean", "relu"}) {
    EXPECT_THAT(found.text, ::testing::HasSubstr(name));
  }
}

TEST(Plan, FoldsOnlyABatchNormThatAloneReadsTheConvolution) {
  const Graph graph = network({4, 6, 6}, 4, [](GraphBuilder& g, Value x) {
    const Value alone = g.conv2d("alone", x, {.out_channels = 4, .kernel = 1});
    const Value shared =
        g.conv2d("shared", g.batch_norm("bn1", alone), {.out_channels = 4, .kernel = 1});
    return g.global_average_pool("pool", g.add("sum", g.batch_norm("bn2", shared), shared));
  });
  const Plan plan = make_plan(graph, {weight_rule<IdentityWeight>("m", {.fold_batch_norm = true})});
  EXPECT_EQ(plan.slots.at(0).folded_batch_norm, graph.find("bn1")->id);
  EXPECT_EQ(plan.slots.at(1).folded_batch_norm, -1);
}

TEST(Plan, TakesTheMostMembersAndAnyCalibration) {
  const Plan plan = make_plan(
      blocks(), {weight_rule<IdentityWeight>("one", {.ensemble_size = 2}),
                 input_rule("two", {"fc"},
                            [](const SlotInfo&) { return std::make_unique<UniformInput>(1.0F, 0); },
                            {.needs_calibration = true, .ensemble_size = 5})});
  EXPECT_EQ(plan.ensemble_size, 5);
  EXPECT_TRUE(plan.needs_calibration);
}

}  // namespace
}  // namespace qhost::test

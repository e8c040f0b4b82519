#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/document.h"
#include "config/fixtures.h"

namespace qhost::config {
namespace {

using testing::HasSubstr;

std::string tree(const std::vector<std::string>& arguments) {
  Diagnostics diagnostics;
  const Document document = parse_overrides(arguments, diagnostics);
  EXPECT_EQ(concise(diagnostics.sorted()), "");
  EXPECT_TRUE(document.complete);
  return value_text(Value{document.root, {}, {}});
}

std::string errors(const std::vector<std::string>& arguments) {
  Diagnostics diagnostics;
  EXPECT_FALSE(parse_overrides(arguments, diagnostics).complete);
  return concise(diagnostics.sorted());
}

TEST(Overrides, AreTomlValues) {
  EXPECT_EQ(tree({"a=1", "b=-2.5", "c=true", "d=\"x y\"", "e=[1, 2]", "f={g = 'h'}", "i=1e-3"}),
            "{a = 1, b = -2.5, c = true, d = \"x y\", e = [1, 2], f = {g = \"h\"}, i = 0.001}");
  EXPECT_EQ(tree({"train.epochs = 3", "train.seed=2", "\"odd key\".x=1"}),
            "{train = {epochs = 3, seed = 2}, odd key = {x = 1}}");
}

TEST(Overrides, BareWordsAreStrings) {
  EXPECT_EQ(tree({"a=bwn", "b=base/x.toml", "c=1.2.3", "d=a=b", "e=hello world", "f=True", "g=x#y",
                  "h=1#2", "i=2020-01-01", "j=é"}),
            "{a = \"bwn\", b = \"base/x.toml\", c = \"1.2.3\", d = \"a=b\", e = \"hello world\", "
            "f = \"True\", g = \"x#y\", h = \"1#2\", i = \"2020-01-01\", j = \"é\"}");
}

TEST(Overrides, TheLastOfEqualKeysWins) {
  EXPECT_EQ(tree({"a.b=1", "a.c=2", "a.b=3"}), "{a = {b = 3, c = 2}}");
  EXPECT_EQ(tree({"a={b=1, c=2}", "a.b=3"}), "{a = {b = 3, c = 2}}");
  EXPECT_EQ(tree({"a.b=3", "a={b=1}"}), "{a = {b = 1}}");
}

TEST(Overrides, PointIntoTheArgument) {
  Diagnostics diagnostics;
  const Document document = parse_overrides({"x=1", "train.epochs = ten"}, diagnostics);
  const Entry& epochs = *document.root.find("train")->value.table()->find("epochs");
  EXPECT_EQ(epochs.key_span.to_string(), "command line:2:7");
  EXPECT_EQ(epochs.key_span.length, 6);
  EXPECT_EQ(epochs.value.span.to_string(), "command line:2:15");
  EXPECT_EQ(document.root.find("x")->value.span.to_string(), "command line:1:3");
  const Document quoted = parse_overrides({"\"é\".a=[1, 22]"}, diagnostics);
  EXPECT_EQ(quoted.root.find("é")->value.table()->find("a")->value.array()->at(1).span.to_string(),
            "command line:1:11");
}

TEST(Overrides, AreRefusedWhenTheyAreNone) {
  EXPECT_EQ(errors({"train.epochs"}),
            "command line:1:1: error: `train.epochs` is no override: it has no equals sign "
            "[config.bad-override]\n");
  EXPECT_EQ(errors({"x=1", "=3"}), "command line:2:1: error: `` is no key [config.bad-override]\n");
  EXPECT_EQ(errors({"a b=3"}), "command line:1:1: error: `a b` is no key [config.bad-override]\n");
  EXPECT_EQ(errors({"a="}),
            "command line:1:3: error: no value behind the equals sign [config.bad-override]\n");
  EXPECT_THAT(errors({"a=[1, 2"}), HasSubstr("error: the value is not valid TOML"));
  EXPECT_EQ(errors({"ab=[\"\xC3\xA9\", \xC3\xA9]"}),
            "command line:1:10: error: the value is not valid TOML: `\xC3\xA9` outside of quotes "
            "[config.bad-override]\n");
  EXPECT_THAT(errors({"a=\"x"}), HasSubstr("error: the value is not valid TOML"));
  EXPECT_EQ(errors({"a=1\nb=2"}),
            "command line:1:1: error: an override holds one line [config.bad-override]\n");
  EXPECT_THAT(errors({"a=\xff"}), HasSubstr("byte 0xff is not UTF-8 [config.not-text]"));
  EXPECT_THAT(errors({"a=" + std::string(5000, 'x')}), HasSubstr("[config.line-too-long]"));
  EXPECT_THAT(errors({"a" + std::string(200, '.') + "=1"}), HasSubstr("is no key"));
  std::string deep = "a";
  for (int i = 0; i < 40; ++i) deep += ".a";
  EXPECT_THAT(errors({deep + "=1"}), HasSubstr("is no key"));
  EXPECT_THAT(errors({"a=" + std::string(40, '[')}), HasSubstr("[config.nesting]"));
}

TEST(Overrides, MayNotSetATableAndItsKeys) {
  EXPECT_THAT(errors({"a=1", "a.b=2"}),
              HasSubstr("command line:2:1: error: `a` is overridden twice, as a whole and by its "
                        "keys [config.bad-override]"));
  EXPECT_THAT(errors({"a.b=2", "a=1"}), HasSubstr("command line:2:1: error: `a` is overridden"));
}

}  // namespace
}  // namespace qhost::config

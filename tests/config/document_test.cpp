#include "config/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/fixtures.h"

namespace qhost::config {
namespace {

using testing::HasSubstr;

struct Parsed {
  Document document;
  std::string errors;
};

Parsed parse(const std::string& text) {
  Diagnostics diagnostics;
  Parsed parsed;
  parsed.document = parse_document("x.toml", text, diagnostics);
  parsed.errors = concise(diagnostics.sorted());
  return parsed;
}

std::string place(const Span& span) {
  return std::to_string(span.line) + ':' + std::to_string(span.column) + '+' +
         std::to_string(span.length);
}

TEST(Document, KnowsThePlacesOfKeysAndValues) {
  const auto parsed = parse(
      "name = \"é\" # x\n"
      "[model]\n"
      "  depth=20\n"
      "  a.b = [1, 2.5,\n    true]\n"
      "t = {x = 1, \"y z\" = 'v'}\n"
      "[[rule]]\n"
      "n = 1\n"
      "[[rule]]\n"
      "n = 2020-01-01\n");
  EXPECT_EQ(parsed.errors, "");
  EXPECT_TRUE(parsed.document.complete);
  const Table& root = parsed.document.root;
  const Entry& name = *root.find("name");
  EXPECT_EQ(place(name.key_span), "1:1+4");
  EXPECT_EQ(place(name.value.span), "1:8+3");
  EXPECT_EQ(*name.value.string(), "é");
  const Entry& model = *root.find("model");
  EXPECT_EQ(place(model.key_span), "2:2+5");
  EXPECT_EQ(place(model.value.span), "2:2+5");
  const Table& table = *model.value.table();
  EXPECT_EQ(place(table.find("depth")->key_span), "3:3+5");
  EXPECT_EQ(place(table.find("depth")->value.span), "3:9+2");
  const Entry& list = *table.find("a")->value.table()->find("b");
  EXPECT_EQ(place(list.key_span), "4:5+1");
  EXPECT_EQ(place(list.value.span), "4:9+8");  // to the end of its first line
  EXPECT_EQ(place(list.value.array()->at(2).span), "5:5+4");
  const Table& inline_table = *table.find("t")->value.table();
  EXPECT_EQ(place(table.find("t")->value.span), "6:5+20");
  EXPECT_EQ(place(inline_table.find("y z")->key_span), "6:13+5");
  const Array& rules = *root.find("rule")->value.array();
  ASSERT_EQ(rules.size(), 2U);
  EXPECT_EQ(place(root.find("rule")->value.span), "7:3+4");
  EXPECT_EQ(place(rules[1].span), "9:1+8");  // [[rule]]
  EXPECT_EQ(value_text(rules[1].table()->find("n")->value), "2020-01-01");
  EXPECT_EQ(value_text(root.find("model")->value),
            "{depth = 20, a = {b = [1, 2.5, true]}, t = {x = 1, y z = \"v\"}}");
}

TEST(Document, TakesWindowsLineEnds) {
  const auto parsed = parse("a = 1\r\nb = 2\r\n");
  EXPECT_EQ(parsed.errors, "");
  EXPECT_EQ(place(parsed.document.root.find("b")->value.span), "2:5+1");
}

TEST(Document, TakesAnEmptyFile) {
  EXPECT_EQ(parse("").errors, "");
  EXPECT_EQ(parse("# nothing").errors, "");
  EXPECT_TRUE(parse("").document.complete);
}

TEST(Document, ReportsAllStatementsThatAreNoToml) {
  const auto parsed = parse(
      "a = abc\n"
      "b = 2\n"
      "c = \"open\n"
      "d = 1 2\n"
      "[t\n"
      "inside = 3\n"
      "[u]\n"
      "e\n"
      "f = 6\n");
  EXPECT_THAT(parsed.errors, HasSubstr("x.toml:1:5: error: not valid TOML"));
  EXPECT_THAT(parsed.errors, HasSubstr("x.toml:3:"));
  EXPECT_THAT(parsed.errors, HasSubstr("x.toml:4:7: error: not valid TOML"));
  EXPECT_THAT(parsed.errors, HasSubstr("x.toml:5:"));
  EXPECT_THAT(parsed.errors, HasSubstr("x.toml:8:"));
  EXPECT_EQ(std::count(parsed.errors.begin(), parsed.errors.end(), '\n'), 5);
  EXPECT_FALSE(parsed.document.complete);
  // The valid parts were read; the keys under the broken header belong to no table.
  EXPECT_NE(parsed.document.root.find("b"), nullptr);
  EXPECT_EQ(parsed.document.root.find("inside"), nullptr);
  EXPECT_NE(parsed.document.root.find("u")->value.table()->find("f"), nullptr);
}

TEST(Document, AnOpenBracketIsOneError) {
  const auto parsed = parse("a = [1, 2\n\n[model]\nname = \"x\"\n[train]\nepochs = 3\n");
  EXPECT_EQ(std::count(parsed.errors.begin(), parsed.errors.end(), '\n'), 1) << parsed.errors;
  Diagnostics diagnostics;
  parse_document("x", "a = [1, 2\n[model]\nname = \"x\"\n", diagnostics);
  EXPECT_THAT(render(diagnostics.sorted()),
              HasSubstr("help: what opens in line 1 is never closed"));
}

TEST(Document, ABrokenListOfSeveralLinesIsCutOutWhole) {
  const auto parsed = parse("a = [1,\n  b,\n  3]\nc = 4\nd = x\n");
  EXPECT_THAT(parsed.errors, HasSubstr("x.toml:2:3"));
  EXPECT_THAT(parsed.errors, HasSubstr("x.toml:5:5"));
  EXPECT_NE(parsed.document.root.find("c"), nullptr);
}

TEST(Document, ReportsDuplicatesWithBothPlaces) {
  Diagnostics diagnostics;
  parse_document("x.toml",
                 "[model]\n"
                 "depth = 1\n"
                 "\"depth\" = 2\n"
                 "a.b = 1\n"
                 "a.b = 2\n"
                 "[train]\n"
                 "depth = 3\n"
                 "[ model ]\n"
                 "depth = 4\n"
                 "[model.depth]\n"
                 "x = 1\n",
                 diagnostics);
  std::vector<std::string> found;
  for (const auto& one : diagnostics.sorted()) {
    EXPECT_EQ(one.code, "config.duplicate-key");
    ASSERT_EQ(one.secondary.size(), 1U);
    found.push_back(place(one.primary.span) + " " + one.message + " " +
                    place(one.secondary[0].span));
  }
  EXPECT_THAT(found, testing::ElementsAre("3:1+7 `depth` is defined twice in [model] 2:1+5",
                                          "5:1+3 `b` is defined twice in [model] 4:3+1",
                                          "8:3+5 table `model` is defined twice 1:2+5",
                                          "10:2+11 table `depth` is defined twice 2:1+5"));
}

TEST(Document, SurvivesEveryPrefixAndDeletionOfADocument) {
  const std::string text =
      "a = [1, {b = 2, c.d = '''\nx'''}]\n[t.\"u v\"]\ne = \"\"\"\\\n y\"\"\"\n[[q]]\nf = 1e5\n";
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const auto prefix = parse(text.substr(0, i));
    EXPECT_EQ(prefix.errors.empty(), prefix.document.complete) << i;
    if (i < text.size()) {
      const auto cut = parse(text.substr(0, i) + text.substr(i + 1));
      EXPECT_EQ(cut.errors.empty(), cut.document.complete) << i;
    }
  }
}

TEST(Document, ReportsHeadersThatAreNoKeys) {
  for (const char* bad :
       {"[=]\n", "[.a]\n", "[#]\n", "[[ =\n", "[ \xC3\xA9]\n", "[]\n", "[a.]\n"}) {
    EXPECT_THAT(parse(bad).errors, testing::StartsWith("x.toml:1:")) << bad;
  }
}

TEST(Document, ReportsCharactersThatNeedQuotes) {
  // toml++ must not see these characters: the first three are in the gaps of its character tables.
  const auto parsed = parse(
      "\xC3\xA9 = 1\n"
      "a = \xE2\x80\xA8\n"
      "[\xEF\xBF\xBE]\n"
      "in = 1\n"
      "[t] # \xC3\xA9\n"
      "b = '\xC3\xA9'\n"
      "\"\xC3\xA9\" = [1, # \xC3\xA9\n"
      "  \xC3\xA9,\n"
      "  \xC3\xA9]\n"
      "c = 2\n");
  EXPECT_THAT(parsed.errors,
              HasSubstr("x.toml:1:1: error: not valid TOML: `\xC3\xA9` outside of quotes"));
  EXPECT_THAT(parsed.errors, HasSubstr("x.toml:2:5: error: not valid TOML: `\\u{2028}` outside"));
  EXPECT_THAT(parsed.errors, HasSubstr("x.toml:3:2: error"));
  EXPECT_THAT(parsed.errors, HasSubstr("x.toml:8:3: error"));
  EXPECT_EQ(std::count(parsed.errors.begin(), parsed.errors.end(), '\n'), 4) << parsed.errors;
  const Entry* table = parsed.document.root.find("t");
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(value_text(table->value), "{b = \"\xC3\xA9\", c = 2}");
  EXPECT_EQ(parsed.document.root.find("in"), nullptr);
}

TEST(Document, SurvivesEveryCharacterEverywhere) {
  // Every position in a statement, every range of characters that a parser may treat specially.
  for (const char* frame :
       {"@ = 1",      "a@ = 1",  "a.@ = 1",        "a @= 1",   "a = @",   "a = 1@",
        "a = 1 @",    "a = tr@", "a = [@]",        "a = [1@]", "a = {@}", "a = {b@=1}",
        "a = {b=1@}", "[@]",     "[a@]",           "[[a]@]",   "[a] @",   "a = \"x@\"",
        "a = '@'",    "# @",     "a = 2020-01-01@"}) {
    const std::string text = frame;
    const auto at = text.find('@');
    for (const char* character :
         {"\xC2\x85", "\xC2\xA0", "\xC3\xA9", "\xE1\x9A\x80", "\xE2\x80\x83", "\xE2\x80\xA8",
          "\xE3\x80\x80", "\xEF\xBB\xBF", "\xEF\xBF\xBF", "\xF0\x9F\x98\x80", "\x0B", "\x0C", "\r",
          "\x1F", "\x7F"}) {
      const auto parsed = parse(text.substr(0, at) + character + text.substr(at + 1) + "\nz = 1\n");
      EXPECT_EQ(parsed.errors.empty(), parsed.document.complete) << text;
    }
  }
}

TEST(Key, SplitsDottedKeys) {
  const auto parts = parse_key(" a.\"b c\" . 1 ");
  ASSERT_TRUE(parts);
  ASSERT_EQ(parts->size(), 3U);
  EXPECT_EQ(parts->at(1).name, "b c");
  EXPECT_EQ(parts->at(1).column, 4);
  EXPECT_EQ(parts->at(1).length, 5);
  EXPECT_EQ(parts->at(2).name, "1");
  for (const char* bad : {"", "\xC3\xA9", ".", "a.", "a b", "a = {b", "[a]", "a\nb", "#", "a=1#"}) {
    EXPECT_FALSE(parse_key(bad)) << bad;
  }
}

}  // namespace
}  // namespace qhost::config

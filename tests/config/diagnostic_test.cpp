#include "config/diagnostic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/utf8.h"

namespace qhost::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Diagnostic at(const std::string& text, int line, int column, int length) {
  Diagnostic diagnostic;
  diagnostic.code = "config.unknown-key";
  diagnostic.message = "something";
  diagnostic.primary.span = {"x.toml", line, column, length,
                             std::make_shared<Source>("x.toml", text)};
  return diagnostic;
}

/// The source line and the line of marks, without the margin.
std::pair<std::string, std::string> excerpt(const Diagnostic& diagnostic, int width = 100) {
  const std::string text = render(diagnostic, {.width = width});
  const auto first = text.find(" | "), second = text.find(" | ", first + 3);
  return {text.substr(first + 3, text.find('\n', first) - first - 3),
          text.substr(second + 3, text.find('\n', second) - second - 3)};
}

TEST(Render, ShowsPlaceLineCaretLabelsNotesAndHelps) {
  Diagnostic diagnostic = at("[train]\nepochs = 0\n", 2, 10, 1);
  diagnostic.primary.text = "here";
  diagnostic.secondary.push_back(
      {{"base.toml", 1, 1, 6, std::make_shared<Source>("base.toml", "epochs = 5")},
       "overrides this"});
  diagnostic.secondary.push_back({{"command line", 0, 0, 0, nullptr}, "no line to show"});
  diagnostic.notes = {"one\ntwo"};
  diagnostic.helps = {"choose 1 <= epochs"};
  EXPECT_EQ(render(diagnostic),
            "x.toml:2:10: error: something [config.unknown-key]\n"
            "    2 | epochs = 0\n"
            "      |          ^ here\n"
            "  base.toml:1:1:\n"
            "    1 | epochs = 5\n"
            "      | ------ overrides this\n"
            "  command line: no line to show\n"
            "  note: one\n"
            "    two\n"
            "  help: choose 1 <= epochs\n");
  EXPECT_EQ(render_concise(diagnostic), "x.toml:2:10: error: something [config.unknown-key]");
}

TEST(Render, ExpandsTabs) {
  const auto [line, marks] = excerpt(at("\ta\tb", 1, 4, 1));
  EXPECT_EQ(line, "    a   b");
  EXPECT_EQ(marks, "        ^");
}

TEST(Render, MeasuresWideAndCombiningCharacters) {
  const auto [line, marks] = excerpt(at("日本 e\xCC\x81 x", 1, 7, 1));
  EXPECT_EQ(line, "日本 e\xCC\x81 x");
  EXPECT_EQ(marks, "       ^");  // 2 + 2 + 1 + 1 + 0 + 1 columns before
  EXPECT_EQ(excerpt(at("日本", 1, 1, 2)).second, "^^^^");
}

TEST(Render, EscapesWhatCouldSteerATerminal) {
  const auto [line, marks] = excerpt(at("a\x1b[31m\xE2\x80\xAE z", 1, 8, 1));
  EXPECT_EQ(line, "a\\u{1b}[31m\\u{202e} z");
  EXPECT_EQ(marks, std::string(19, ' ') + "^");
  Diagnostic diagnostic = at("", 1, 1, 1);
  diagnostic.message = "\x1b]0;title\x07";
  diagnostic.primary.span.file = "a\x1b.toml";
  diagnostic.helps = {"\x1b[2J"};
  EXPECT_EQ(render(diagnostic).find('\x1b'), std::string::npos);
  EXPECT_THAT(render(diagnostic), HasSubstr("a\\u{1b}.toml:1:1"));
}

TEST(Render, CutsLongLinesAroundTheSpan) {
  const std::string text = std::string(500, 'a') + "BAD" + std::string(500, 'z');
  for (const int width : {40, 60, 100}) {
    const auto [line, marks] = excerpt(at(text, 1, 501, 3), width);
    EXPECT_LE(line.size(), static_cast<std::size_t>(width));
    EXPECT_TRUE(line.starts_with("...a"));
    EXPECT_TRUE(line.ends_with("z..."));
    EXPECT_EQ(line.substr(marks.find('^'), 3), "BAD");
    EXPECT_EQ(marks.substr(marks.find('^')), "^^^");
  }
  // At the end of a line, and a span that is longer than the available width.
  EXPECT_EQ(excerpt(at(text, 1, 1004, 1), 60).second.back(), '^');
  EXPECT_LE(excerpt(at(text, 1, 1, 1003), 60).second.size(), 60U);
}

TEST(Render, PutsACaretBehindALine) {
  EXPECT_EQ(excerpt(at("a =", 1, 4, 1)).second, "   ^");
  EXPECT_EQ(excerpt(at("a =", 1, 99, 5)).second, "   ^");
}

TEST(Render, ShowsNoLineThatIsNotThere) {
  EXPECT_EQ(render(at("a", 7, 1, 1)), "x.toml:7:1: error: something [config.unknown-key]\n");
  EXPECT_EQ(render(at("a", 0, 0, 0)), "x.toml: error: something [config.unknown-key]\n");
}

TEST(Render, LimitsTheirNumber) {
  std::vector<Diagnostic> many;
  for (int i = 1; i <= 27; ++i) many.push_back(at("", i, 1, 1));
  const std::string text = render(many);
  EXPECT_THAT(text, HasSubstr("x.toml:20:1"));
  EXPECT_EQ(text.find("x.toml:21:1"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\nand 7 more\n"));
}

TEST(Render, ColorsOnlyWhenAsked) {
  const Diagnostic diagnostic = at("abc", 1, 1, 3);
  EXPECT_EQ(render(diagnostic).find('\x1b'), std::string::npos);
  EXPECT_THAT(render(diagnostic, {.color = true}), HasSubstr("\x1b[1;31m^^^\x1b[0m"));
}

TEST(Render, GivesJson) {
  Diagnostic diagnostic = at("abc", 1, 2, 2);
  diagnostic.helps = {"do it"};
  diagnostic.secondary.push_back({diagnostic.primary.span, "other"});
  diagnostic.message = "byte \xff";
  const auto json = to_json(diagnostic);
  EXPECT_EQ(json["code"], "config.unknown-key");
  EXPECT_EQ(json["severity"], "error");
  EXPECT_EQ(json["file"], "x.toml");
  EXPECT_EQ(json["line"], 1);
  EXPECT_EQ(json["column"], 2);
  EXPECT_EQ(json["length"], 2);
  EXPECT_EQ(json["helps"], nlohmann::json::array({"do it"}));
  EXPECT_EQ(json["secondary"][0]["label"], "other");
  EXPECT_EQ(json["message"], "byte \xEF\xBF\xBD");
  EXPECT_NO_THROW(json.dump());
}

TEST(Diagnostics, SortsByPlaceAndKeepsEachOnce) {
  Diagnostics sink;
  const auto add = [&](const std::string& file, int line, int column) {
    Diagnostic diagnostic = at("", line, column, 1);
    diagnostic.primary.span.file = file;
    sink.add(diagnostic);
  };
  add("b", 1, 1);
  add("a", 2, 1);
  add("a", 1, 9);
  add("a", 1, 2);
  add("b", 1, 1);
  std::vector<std::string> places;
  for (const auto& diagnostic : sink.sorted()) {
    places.push_back(diagnostic.primary.span.to_string());
  }
  EXPECT_THAT(places, ElementsAre("a:1:2", "a:1:9", "a:2:1", "b:1:1"));
  EXPECT_TRUE(sink.has_errors());
}

TEST(Diagnostics, WarningsAreNoErrors) {
  Diagnostics sink;
  Diagnostic warning = at("", 1, 1, 1);
  warning.severity = Severity::warning;
  sink.add(warning);
  EXPECT_FALSE(sink.has_errors());
  EXPECT_THAT(render(sink.sorted()), HasSubstr("x.toml:1:1: warning: something"));
}

TEST(Diagnostics, BecomeAnException) {
  const Error error = to_error({at("abc", 1, 1, 3)});
  EXPECT_EQ(error.exit_code(), 2);
  EXPECT_STREQ(error.what(),
               "x.toml:1:1: error: something [config.unknown-key]\n    1 | abc\n      | ^^^");
  EXPECT_EQ(to_error({}, ErrorKind::plugin).exit_code(), 3);
}

TEST(Text, FindsWhatIsNotUtf8) {
  for (const char* good :
       {"", "abc", "é", "日本", "\xF0\x9F\x98\x80", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_FALSE(find_invalid_utf8(good)) << good;
  }
  // A lone continuation byte, overlong forms, a surrogate, a value above U+10FFFF, a truncated
  // sequence.
  for (const char* bad : {"a\x80", "a\xC0\x80", "a\xE0\x80\x80", "a\xED\xA0\x80",
                          "a\xF4\x90\x80\x80", "a\xF5\x80\x80\x80", "a\xE6\x97", "a\xFF"}) {
    EXPECT_EQ(find_invalid_utf8(bad), 1U);
    EXPECT_EQ(escape_controls(bad).substr(0, 4), "a\xEF\xBF\xBD");
  }
  EXPECT_EQ(count_code_points("日e\xCC\x81"), 3U);
  EXPECT_EQ(code_point_offset("日本x", 2), 6U);
  EXPECT_EQ(code_point_offset("日", 5), 3U);
}

TEST(Text, QuotesNames) {
  EXPECT_EQ(quote("a\nb"), "`a\\nb`");
  EXPECT_EQ(quote_list({"a", "b", "c"}), "`a`, `b` and `c`");
  EXPECT_EQ(quote_list({"a"}), "`a`");
}

}  // namespace
}  // namespace qhost::config

// One document, two forms: what each block is in either, and what belongs to one alone.
#include "report/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "report/render.h"

namespace qhost::report {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

Table layers(const std::string& key = "layers") {
  Table table(key, {{"name", "layer"}, {"op", ""}, {"macs", "MACs", Align::right}, {"", "share"}});
  table.add_row({"conv1", "conv2d", {1728, "1,728"}, "100 %"});
  table.add_row({"relu1", "activation", {0, "-"}, "0 %"}, Form::json);
  table.add_rule();
  table.add_row({"total", "", "1,728", "100 %"}, Form::text);
  return table;
}

std::string error_of(const Document& document) {
  try {
    render_json(document);
  } catch (const std::logic_error& error) {
    return error.what();
  }
  return "";
}

TEST(Document, HasRowsAndColumnsOfOneFormAlone) {
  const Document document = Document().add(layers());
  EXPECT_EQ(render_text(document),
            "layer   MACs  share\n"
            "-----  -----  -----\n"
            "conv1  1,728  100 %\n"
            "-----  -----  -----\n"
            "total  1,728  100 %\n");
  EXPECT_EQ(render_json(document),
            (json{{"layers",
                   {{{"name", "conv1"}, {"op", "conv2d"}, {"macs", 1728}},
                    {{"name", "relu1"}, {"op", "activation"}, {"macs", 0}}}}}));
}

TEST(Document, HasTablesOfOneFormAlone) {
  Table text("", {{"name", "layer"}}), values("layers", {{"name", "layer"}});
  text.add_row({"conv1"});
  values.add_row({"conv1"});
  values.restrict_to(Form::json);
  const Document document = Document().add(text).add(values);
  EXPECT_EQ(render_text(document), "layer\n-----\nconv1\n");
  EXPECT_EQ(render_json(document), (json{{"layers", {{{"name", "conv1"}}}}}));
}

TEST(Document, NamesFactsByKeyAndLabel) {
  const Document document = Document().add(Facts{{{"macs", 1728, "MACs", "1,728"},
                                                  {"buffers", 3},
                                                  {"", {}, "a longer name: ", "x"},
                                                  {"paper", "P", "", "by P"},
                                                  {"note", ""}},
                                                 8});
  EXPECT_EQ(render_text(document), "MACs    1,728\na longer name: x\nby P\n");
  EXPECT_EQ(render_json(document),
            (json{{"macs", 1728}, {"buffers", 3}, {"paper", "P"}, {"note", ""}}));
}

TEST(Document, ListsItemsWithTheirDetails) {
  const Document document = Document()
                                .add(Heading{"plugins"})
                                .add(List{"plugins",
                                          {{json{{"name", "a"}}, "usable a"},
                                           {json{{"name", "b"}}, "", {"no entry"}},
                                           {nullptr, "of the text alone"}}});
  EXPECT_EQ(render_text(document), "plugins\n  usable a\n    no entry\n  of the text alone\n");
  EXPECT_EQ(render_json(document), (json{{"plugins", {{{"name", "a"}}, {{"name", "b"}}}}}));
}

TEST(Document, SaysHowSevereANoteIs) {
  const Document document = Document()
                                .add(Notes{"notes", {{"a"}, {"b\nc", Note::Severity::warning}}})
                                .add(Notes{"", {{"of the text alone"}}});
  EXPECT_EQ(render_text(document), "note: a\nwarning: b\\nc\nnote: of the text alone\n");
  EXPECT_EQ(render_json(document), (json{{"notes", {"a", "b\nc"}}}));
}

TEST(Document, SeparatesSectionsThatSaySomething) {
  Document document;
  document.begin_section().add(Facts{{{"only", "JSON"}}});
  document.begin_section().add(Heading{"one"}).add(Paragraph{"two\nlines"});
  document.begin_section().add(Notes{"notes", {}});
  document.begin_section().add(Paragraph{"end"});
  document.put_first(Heading{"above"});
  EXPECT_EQ(render_text(document), "above\n\none\ntwo\nlines\n\nend\n");
  EXPECT_EQ(render_json(document), (json{{"only", "JSON"}, {"notes", json::array()}}));
}

TEST(Document, IsAnArrayOfRowsItemsAndParts) {
  Document document(Document::Root::array);
  document.add(layers("")).add(List{"", {{7, "seven"}}});
  document.begin_section().add(Parts{
      "", {Document().add(Facts{{{"name", "a", "", "a"}}}), Document().add(Heading{"no JSON"})}});
  EXPECT_THAT(render_text(document), HasSubstr("\n  seven\n\na\n\nno JSON\n"));
  const json array = render_json(document);
  ASSERT_EQ(array.size(), 5U);
  EXPECT_EQ(array[1].at("name"), "relu1");
  EXPECT_EQ(array[2], 7);
  EXPECT_EQ(array[3], (json{{"name", "a"}}));
  EXPECT_EQ(array[4], json::object());
}

TEST(Document, HoldsPartsAsAMember) {
  const Document document =
      Document().add(Parts{"parts", {Document().add(Facts{{{"name", "a"}}})}});
  EXPECT_EQ(render_json(document), (json{{"parts", {{{"name", "a"}}}}}));
}

TEST(Document, WithoutBlocksIsEmpty) {
  EXPECT_EQ(render_text(Document()), "");
  EXPECT_EQ(render_json(Document()), json::object());
  EXPECT_EQ(render_json(Document(Document::Root::array)), json::array());
}

TEST(Document, TakesTheMembersOfAnObject) {
  const json object = {{"b", 1}, {"a", {{"c", nullptr}}}};
  const Document document = Document().add(members_of(object));
  EXPECT_EQ(render_json(document), object);
  EXPECT_EQ(render_text(document), "");
}

TEST(Document, RefusesWhatNoJsonHolds) {
  EXPECT_EQ(error_of(Document().add(Facts{{{"a", 1}}}).add(Facts{{{"a", 2}}})),
            "the key `a` stands twice in one object of a document");
  EXPECT_EQ(error_of(Document(Document::Root::array).add(Facts{{{"a", 1}}})),
            "the key `a` stands in a document that is an array");
  Table table("rows", {{"a", "x"}, {"a", "y"}});
  table.add_row({"1", "2"});
  EXPECT_EQ(error_of(Document().add(table)),
            "the key `a` stands twice in one object of a document");
}

TEST(Document, RefusesRowsOfAnotherLength) {
  Table table("", {{"a", "a"}, {"b", "b"}});
  try {
    table.add_row({"1"});
    FAIL() << "nothing was thrown";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "a table of 2 columns got a row of 1");
  }
}

TEST(Document, CannotSteerTheTerminal) {
  Table table("", {{"a", "a"}});
  table.add_row({"x\x1b[2J"});
  Document document;
  document.add(Heading{"h\x1b"}).add(Paragraph{"p\x07\nq"}).add(Facts{{{"", {}, "f\x1b", "\x1b"}}});
  document.add(table).add(List{"", {{nullptr, "i\x1b", {"d\x1b"}}}}).add(Notes{"", {{"n\x1b"}}});
  EXPECT_EQ(render_text(document),
            "h\\u{1b}\np\\u{7}\nq\nf\\u{1b}       \\u{1b}\na\n-----\nx?[2J\n  i\\u{1b}\n    "
            "d\\u{1b}\nnote: n\\u{1b}\n");
}

}  // namespace
}  // namespace qhost::report

#include "report/text_table.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "common/utf8.h"

namespace qhost::report {
namespace {

TEST(TextTable, AlignsColumns) {
  TextTable table({{"layer"}, {"bytes", Align::right}, {"note"}});
  table.add_row({"conv1", "1,728", ""});
  table.add_row({"stage1.block0.conv1", "9", "kept"});
  table.add_rule();
  table.add_row({"total", "1,737", ""});
  EXPECT_EQ(table.to_string(),
            "layer                bytes  note\n"
            "-------------------  -----  ----\n"
            "conv1                1,728\n"
            "stage1.block0.conv1      9  kept\n"
            "-------------------  -----  ----\n"
            "total                1,737\n");
}

TEST(TextTable, AlignsCharactersNotBytes) {
  TextTable table({{"name"}, {"n", Align::right}});
  table.add_row({"caf\u00e9", "1"});
  table.add_row({"\u6f22\u5b57", "22"});
  table.add_row({"cafe\u0301", "3"});
  EXPECT_EQ(table.to_string(),
            "name   n\n"
            "----  --\n"
            "caf\u00e9   1\n"
            "\u6f22\u5b57  22\n"
            "cafe\u0301   3\n");
}

TextTable options_table() {
  TextTable table({{"option"}, {"bytes", Align::right}, {"meaning"}});
  table.add_row({"gradient", "1,728", "what reaches the latent weights of a layer"});
  table.add_rule();
  table.add_row({"a_long_name", "9", ""});
  return table;
}

TEST(TextTable, NarrowsALeftColumnToTheTerminal) {
  EXPECT_EQ(options_table().to_string(46),
            "option       bytes  meaning\n"
            "-----------  -----  --------------------------\n"
            "gradient     1,728  what reaches the latent\n"
            "                    weights of a layer\n"
            "-----------  -----  --------------------------\n"
            "a_long_name      9\n");
  EXPECT_EQ(options_table().to_string(62), options_table().to_string());
  EXPECT_NE(options_table().to_string(61), options_table().to_string());
}

TEST(TextTable, PutsTheLastColumnBelowWhereItWouldBeTooNarrow) {
  EXPECT_EQ(options_table().to_string(43),
            "option       bytes\n"
            "  meaning\n"
            "-----------  -----\n"
            "gradient     1,728\n"
            "  what reaches the latent weights of a\n"
            "  layer\n"
            "-----------  -----\n"
            "a_long_name      9\n");
}

TEST(TextTable, NeverBreaksAWordOrANumber) {
  TextTable path({{"run"}, {"run directory"}});
  path.add_row({"bwn", "runs/quickstart/20261123T145207Z-800000"});
  EXPECT_EQ(path.to_string(20),
            "run\n  run directory\n---\nbwn\n  runs/quickstart/20261123T145207Z-800000\n");
  TextTable numbers({{"name"}, {"parameters", Align::right}, {"MACs", Align::right}});
  numbers.add_row({"a layer of it", "123,456", "7"});
  EXPECT_EQ(numbers.to_string(20), numbers.to_string());
}

TEST(TextTable, NarrowsTheWidestColumnFirst) {
  TextTable table({{"weights"}, {"bits", Align::right}});
  table.add_row({"binary, scale per channel (xnornet)", "1"});
  EXPECT_EQ(table.to_string(31),
            "weights                    bits\n"
            "-------------------------  ----\n"
            "binary, scale per channel     1\n"
            "(xnornet)\n");
}

TEST(TextTable, WithoutRowsIsItsHead) {
  const TextTable table({{"a"}, {"bb"}});
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(table.to_string(), "a  bb\n-  --\n");
}

TEST(TextTable, RefusesRowsOfAnotherLength) {
  TextTable table({{"a"}, {"b"}});
  try {
    table.add_row({"1"});
    FAIL() << "nothing was thrown";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "a table of 2 columns got a row of 1");
  }
}

TEST(TextTable, ControlCharactersCannotSteerTheTerminal) {
  TextTable table({{"a"}});
  table.add_row({"x\x1b[2J\ny\x7f\u009b"});
  EXPECT_EQ(table.to_string(), "a\n---------\nx?[2J?y??\n");
}

TEST(DisplayWidth, CountsColumns) {
  EXPECT_EQ(display_width(""), 0u);
  EXPECT_EQ(display_width("abc"), 3u);
  EXPECT_EQ(display_width("\u00e9"), 1u);
  EXPECT_EQ(display_width("e\u0301"), 1u);
  EXPECT_EQ(display_width("\u6f22"), 2u);
  EXPECT_EQ(display_width("\U0001f600"), 2u);
  EXPECT_EQ(display_width("\u00b1"), 1u);
}

TEST(DisplayWidth, MalformedBytesCountOne) {
  EXPECT_EQ(display_width("\xff"), 1u);
  EXPECT_EQ(display_width("a\xe6\xbc"), 3u);  // truncated within a character
  EXPECT_EQ(display_width("\xc3("
                          "x"),
            3u);                             // no continuation byte
  EXPECT_EQ(display_width("\x80\x80"), 2u);  // no lead byte
  EXPECT_EQ(display_width("\xc0\xaf"), 2u);  // overlong
}

}  // namespace
}  // namespace qhost::report

#include "storage/json_lines.h"

#include <gmock/gmock.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "storage/support.h"

namespace qhost::storage {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

class JsonLines : public ::testing::Test {
 protected:
  /// Writes three lines of steps 0, 1, 2; returns the offsets behind each.
  std::vector<std::uint64_t> write_three() {
    std::vector<std::uint64_t> offsets;
    JsonLinesWriter writer(path_);
    for (int step = 0; step < 3; ++step) {
      writer.append({{"step", step}, {"loss", 0.1 * step}});
      offsets.push_back(writer.offset());
    }
    writer.sync();
    return offsets;
  }
  std::string message(std::uint64_t offset) {
    return error_of(ErrorKind::storage, [&] { cut_json_lines(path_, offset); });
  }
  TestFolder folder_;
  const fs::path path_ = folder_ / "metrics.jsonl";
};

TEST_F(JsonLines, AppendsAndContinues) {
  const auto offsets = write_three();
  EXPECT_EQ(offsets.back(), fs::file_size(path_));
  {
    JsonLinesWriter writer(path_);
    EXPECT_EQ(writer.offset(), offsets.back());
    EXPECT_EQ(writer.repaired_bytes(), 0u);
    writer.append({{"step", 3}});
  }
  EXPECT_EQ(slurp(path_),
            "{\"loss\":0.0,\"step\":0}\n{\"loss\":0.1,\"step\":1}\n{\"loss\":0.2,\"step\":2}\n"
            "{\"step\":3}\n");
  const std::vector<json> lines = read_json_lines(path_);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[2].at("loss"), 0.2);
}

TEST_F(JsonLines, WritesWhatIsNotFiniteAsNullAndBadTextReplaced) {
  JsonLinesWriter(path_).append(
      {{"loss", std::numeric_limits<double>::quiet_NaN()}, {"text", "\xff"}});
  EXPECT_EQ(slurp(path_), "{\"loss\":null,\"text\":\"\xEF\xBF\xBD\"}\n");
}

TEST_F(JsonLines, CutsBackToAnOffset) {
  const auto offsets = write_three();
  cut_json_lines(path_, offsets[2]);
  EXPECT_EQ(read_json_lines(path_).size(), 3u);
  cut_json_lines(path_, offsets[0]);
  EXPECT_EQ(slurp(path_), "{\"loss\":0.0,\"step\":0}\n");
  cut_json_lines(path_, std::uint64_t{0});
  EXPECT_EQ(fs::file_size(path_), 0u);
  cut_json_lines(folder_ / "none", std::uint64_t{0});
  EXPECT_FALSE(fs::exists(folder_ / "none"));
}

TEST_F(JsonLines, CutsATornLineBehindTheOffset) {
  const auto offsets = write_three();
  std::ofstream(path_, std::ios::app) << "{\"step\":3,\"lo";
  cut_json_lines(path_, offsets[2]);
  EXPECT_EQ(fs::file_size(path_), offsets[2]);
}

TEST_F(JsonLines, RefusesAnOffsetThatIsNoEndOfALine) {
  const auto offsets = write_three();
  EXPECT_EQ(message(offsets[1] - 1),
            path_.string() + ": byte " + std::to_string(offsets[1] - 1) +
                ", where its checkpoint ends it, lies inside a line\nhelp: the file was changed; "
                "restore it, or start a new run");
  EXPECT_EQ(message(offsets[2] + 1),
            path_.string() + ": has " + std::to_string(offsets[2]) +
                " bytes, but its checkpoint was written when it had " +
                std::to_string(offsets[2] + 1) +
                "\nhelp: the file was cut or replaced; restore it, or start a new run");
  EXPECT_EQ(fs::file_size(path_), offsets[2]);
  fs::remove(path_);
  EXPECT_THAT(message(5), HasSubstr("No such file or directory"));
}

TEST_F(JsonLines, CutsByWhatLinesSay) {
  const auto offsets = write_three();
  const auto up_to = [](int step) {
    return [step](const json& line) { return line.at("step").get<int>() <= step; };
  };
  EXPECT_EQ(cut_json_lines(path_, up_to(1)), offsets[1]);
  EXPECT_EQ(fs::file_size(path_), offsets[1]);
  std::ofstream(path_, std::ios::app) << "{\"step\":0";
  EXPECT_EQ(cut_json_lines(path_, up_to(9)), offsets[1]);
  EXPECT_EQ(fs::file_size(path_), offsets[1]);
  std::ofstream(path_, std::ios::app) << "[1]\n{\"step\":0}\n";
  EXPECT_EQ(cut_json_lines(path_, up_to(9)), offsets[1]);
  EXPECT_EQ(cut_json_lines(path_, up_to(-1)), 0u);
  EXPECT_EQ(cut_json_lines(folder_ / "none", up_to(1)), 0u);
}

TEST_F(JsonLines, TheWriterCutsATornLine) {
  const auto offsets = write_three();
  // Longer than the block in which the writer searches for the last newline.
  std::ofstream(path_, std::ios::app) << "{\"step\":" << std::string(10000, '1');
  EXPECT_EQ(read_json_lines(path_).size(), 3u);
  JsonLinesWriter writer(path_);
  EXPECT_EQ(writer.repaired_bytes(), 10008u);
  EXPECT_EQ(writer.offset(), offsets[2]);
  writer.append({{"step", 3}});
  EXPECT_EQ(read_json_lines(path_).size(), 4u);
  spill(path_, "{\"torn");
  EXPECT_EQ(JsonLinesWriter(path_).repaired_bytes(), 6u);
  EXPECT_EQ(fs::file_size(path_), 0u);
}

// The whole lines before the torn one fill more than the block that the writer reads, so that the
// offset in the file differs from that in the block.
TEST_F(JsonLines, TheWriterCutsATornLineBehindManyWholeOnes) {
  std::string whole;
  for (int step = 0; step < 400; ++step) whole += "{\"step\":" + std::to_string(step) + "}\n";
  ASSERT_GT(whole.size(), 4096U);
  for (const std::string& torn : {std::string("{\"step\":4"), std::string(5000, '1')}) {
    spill(path_, whole + torn);
    JsonLinesWriter writer(path_);
    EXPECT_EQ(writer.repaired_bytes(), torn.size());
    EXPECT_EQ(writer.offset(), whole.size());
    EXPECT_EQ(slurp(path_), whole);
    writer.append({{"step", 400}});
    EXPECT_EQ(slurp(path_), whole + "{\"step\":400}\n");
  }
}

TEST_F(JsonLines, NamesAMalformedLine) {
  spill(path_, "{\"a\":1}\n{\"a\":\n");
  EXPECT_EQ(error_of(ErrorKind::storage, [&] { read_json_lines(path_); }),
            path_.string() +
                ":2: not a JSON object\nhelp: the file was changed by another program; remove the "
                "line");
}

TEST_F(JsonLines, AKilledWriterLeavesWholeLinesOrOneTorn) {
  for (const char* point : {"metrics.half:3", "metrics.after-line:2"}) {
    fs::remove(path_);
    ASSERT_TRUE(dies_at(point, [&] { write_three(); })) << point;
    EXPECT_EQ(read_json_lines(path_).size(), 2u) << point;
    JsonLinesWriter writer(path_);
    writer.append({{"step", 2}});
    const auto lines = read_json_lines(path_);
    ASSERT_EQ(lines.size(), 3u) << point;
    EXPECT_EQ(lines[2], json({{"step", 2}})) << point;
  }
}

}  // namespace
}  // namespace qhost::storage

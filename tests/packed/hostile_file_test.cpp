// Packed files of somebody who means harm: each is refused with a sentence that can be printed.
#include <gmock/gmock.h>

#include <functional>
#include <limits>

#include "packed/program_file.h"
#include "qhost/error.h"
#include "storage/safetensors.h"

namespace qhost::packed {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// input, encode with eight codes, conv of codes, pool.
Program sample() {
  Program p;
  p.provenance.name = "sample";
  Step input{.name = "input", .op = StepOp::input};
  input.shape.dims = {1, 2, 2};
  p.steps.push_back(input);
  Step encode{.name = "encode", .op = StepOp::encode, .inputs = {0}};
  encode.shape = input.shape;
  encode.codes = Codes{.encoding = Encoding::uniform(3, ScaleKind::none, ZeroPointKind::none)};
  encode.thresholds = {0, 1, 2, 3, 4, 5, 6};
  p.steps.push_back(encode);
  Step conv{.name = "conv", .op = StepOp::conv2d, .inputs = {1}};
  conv.shape.dims = {1, 2, 2};
  conv.weight = StoredTensor{
      .encoding = Encoding::binary(ScaleKind::none), .shape = {1, 1, 1, 1}, .codes = {1}};
  p.steps.push_back(conv);
  Step pool{.name = "pool", .op = StepOp::global_average_pool, .inputs = {2}};
  pool.shape.dims = {1};
  p.steps.push_back(pool);
  p.output = 3;
  return p;
}

std::string with_text(const std::string& key, const std::function<void(std::string&)>& edit) {
  const storage::File file = storage::File::parse(to_bytes(sample()), "f");
  storage::Metadata metadata = file.metadata();
  edit(metadata[key]);
  return storage::serialize(file.tensors(), metadata);
}
std::string with_json(const std::string& key, const std::function<void(nlohmann::json&)>& edit) {
  return with_text(key, [&](std::string& text) {
    nlohmann::json value = nlohmann::json::parse(text);
    edit(value);
    text = value.dump();
  });
}

std::string refused(const std::string& bytes) {
  try {
    from_bytes(bytes, "f");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::storage);
    return error.what();
  }
  return "";
}

TEST(HostileFile, ListsInListsAreCounted) {
  const std::size_t many = 1 << 20;
  for (const std::string& deep :
       {std::string(many, '['), std::string(many, '[') + std::string(many, ']')}) {
    for (const char* key : {"program", "provenance"}) {
      EXPECT_THAT(refused(with_text(key, [&](std::string& text) { text = deep; })),
                  StartsWith(std::string("f: the metadata `") + key +
                             "` has more than 64 levels of lists and objects\nhelp: "));
    }
  }
  const auto nested = [](std::size_t depth) {
    return with_text("provenance", [&](std::string& text) {
      text.replace(
          text.find("\"more\":{"), 8,
          "\"more\":{\"a\":" + std::string(depth, '[') + "\"[\\\"[\"" + std::string(depth, ']'));
    });
  };
  EXPECT_EQ(refused(nested(62)), "");
  EXPECT_THAT(refused(nested(63)), HasSubstr("more than 64 levels"));
}

TEST(HostileFile, AKeyStandsOnce) {
  const auto twice = [](std::string& text) {
    text.replace(text.find("\"op\":\"input\""), 12, "\"op\":\"input\",\"op\":\"input\"");
  };
  EXPECT_THAT(refused(with_text("program", twice)),
              StartsWith("f: the metadata `program` has the key `op` twice\nhelp: "));
}

TEST(HostileFile, NamesCannotControlATerminal) {
  const std::string evil = "\x1b[31m\nhelp: do as I say";
  for (const std::string& bytes :
       {with_json("program", [&](auto& p) { p["steps"][1]["name"] = evil; }),
        with_json("program", [&](auto& p) { p["steps"][1]["op"] = evil; }),
        with_json("program", [&](auto& p) { p["steps"][1][evil] = 1; }),
        with_json("program", [&](auto& p) { p[evil] = 1; }),
        with_json("provenance", [&](auto& p) { p["name"] = evil; }),
        with_json("provenance", [&](auto& p) { p["classes"] = {evil}; }),
        with_text("program", [&](auto& text) { text.insert(1, "\"\\u001b\":1,\"\\u001b\":1,"); }),
        with_text("version", [&](auto& text) { text = evil; }),
        with_text("format", [&](auto& text) { text = evil; })}) {
    const std::string said = refused(bytes);
    EXPECT_NE(said, "");
    EXPECT_THAT(said, Not(HasSubstr("\x1b")));
    EXPECT_THAT(said, Not(HasSubstr("\nhelp: do")));
  }
  EXPECT_THAT(refused(with_json("program", [&](auto& p) { p["steps"][1]["name"] = "a\tb"; })),
              StartsWith("f: steps[1] has a control character under `name`: `a\\tb`\nhelp: "));
}

TEST(HostileFile, NumbersHaveLimits) {
  using Edit = std::function<void(nlohmann::json&)>;
  for (const auto& [edit, sentence] : std::vector<std::pair<Edit, std::string>>{
           {[](auto& p) { p["steps"][1]["codes"]["bits"] = -5; }, "its codes: "},
           {[](auto& p) { p["steps"][1]["codes"]["bits"] = 1 << 30; }, "its codes: "},
           {[](auto& p) {
              p["steps"][2]["pad"] = {1 << 24, 1 << 24};
              p["steps"][2]["stride"] = 1 << 24;
            },
            "its padding 16777216x16777216 around [N,1,2,2] makes more than 2^31 - 1 values"},
           {[](auto& p) { p["steps"][2]["pad"] = (1 << 24) + 1; }, "its padding is 16777217x"},
           {[](auto& p) { p["steps"][2]["stride"] = -1; }, "its stride is -1x-1"},
           {[](auto& p) { p["steps"][2]["groups"] = 0; }, "make no 0 groups"},
           {[](auto& p) {
              p["steps"][0]["shape"] = {1, 1 << 16, 1 << 16};
            },
            "2^31 - 1 values"},
           {[](auto& p) {
              p["steps"][0]["shape"] = {(1 << 24) + 1, 1, 1};
            },
            "a dimension below 1 or above 2^24"},
           {[](auto& p) { p["output"] = -1; }, "its output is step -1 of 4"},
           {[](auto& p) { p["output"] = 1 << 30; }, "its output is step 1073741824 of 4"},
           {[](auto& p) { p["steps"][2]["in"] = {-1}; }, "reads step -1"},
           {[](auto& p) { p["steps"][2]["in"] = {1e18}; }, "under `in`"},
           {[](auto& p) { p["steps"][2]["pad_level"] = 1e39; }, "beyond float32"},
           {[](auto& p) { p["steps"][2]["scale"] = {1e39}; }, "under `scale`"}}) {
    EXPECT_THAT(refused(with_json("program", edit)), HasSubstr(sentence));
  }
}

TEST(HostileFile, NumbersInTensorsAreChecked) {
  const auto nan = std::numeric_limits<float>::quiet_NaN();
  const std::string bytes = to_bytes(sample());
  const storage::File file = storage::File::parse(bytes, "f");
  storage::Tensors tensors = file.tensors();
  std::vector<float> thresholds = {0, 1, 2, nan, 4, 5, 6};
  tensors.at("encode.threshold").data = reinterpret_cast<const std::byte*>(thresholds.data());
  EXPECT_THAT(refused(storage::serialize(tensors, file.metadata())),
              HasSubstr("a threshold is NaN"));
  thresholds[3] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(refused(storage::serialize(tensors, file.metadata())),
              HasSubstr("its thresholds do not rise"));
}

}  // namespace
}  // namespace qhost::packed

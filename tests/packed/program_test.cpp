// Packed files: what is written is read again; what is not sound is refused with its place.
#include "packed/program.h"

#include <gmock/gmock.h>

#include <functional>

#include "packed/program_file.h"
#include "packed/random_program.h"
#include "packed/reference_interpreter.h"
#include "qhost/error.h"
#include "storage/safetensors.h"

namespace qhost::packed {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A float stem, a binary convolution with a residual, a classifier.
Program sample() {
  tests::RandomProgram random(1);
  Program p;
  p.provenance = {.name = "sample", .class_names = {"a", "b"}, .mean = {0.5}, .deviation = {0.25}};
  Step input{.name = "input", .op = StepOp::input};
  input.shape.dims = {1, 4, 4};
  p.steps.push_back(input);
  const auto conv = [&](const char* name, int from, std::int64_t in) {
    Step step{.name = name, .op = StepOp::conv2d, .inputs = {from}};
    step.kernel = 3;
    step.padding = 1;
    step.shape.dims = {6, 4, 4};
    step.scale.assign(6, 0.5F);
    step.bias.assign(6, 0.25F);
    step.weight = StoredTensor{
        .encoding = Encoding::binary(ScaleKind::none),
        .shape = {6, in, 3, 3},
        .codes = std::vector<std::uint8_t>(static_cast<std::size_t>((6 * in * 9 + 7) / 8), 0x5A)};
    if (6 * in * 9 % 8 != 0) step.weight->codes.back() = 0x02;
    return step;
  };
  p.steps.push_back(conv("stem", 0, 1));
  Step sign{.name = "conv/encode", .op = StepOp::encode, .inputs = {1}, .thresholds = {0}};
  sign.shape.dims = {6, 4, 4};
  sign.codes = Codes{.encoding = Encoding::binary(ScaleKind::none)};
  p.steps.push_back(sign);
  p.steps.push_back(conv("conv", 2, 6));
  Step add{.name = "add", .op = StepOp::add, .inputs = {1, 3}};
  add.shape.dims = {6, 4, 4};
  p.steps.push_back(add);
  Step pool{.name = "pool", .op = StepOp::global_average_pool, .inputs = {4}};
  pool.shape.dims = {6};
  p.steps.push_back(pool);
  Step fc{.name = "fc", .op = StepOp::linear, .inputs = {5}};
  fc.shape.dims = {2};
  fc.weight = float_tensor({2, 6}, std::vector<float>(12, 0.5F));
  p.steps.push_back(fc);
  p.output = 6;
  return p;
}

std::string refused(const std::string& bytes) {
  try {
    from_bytes(bytes, "f.safetensors");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::storage);
    return error.what();
  }
  return "";
}

TEST(Program, IsReadAsItWasWritten) {
  const Program program = sample();
  ASSERT_EQ(why_invalid(program), "");
  const std::string bytes = to_bytes(program);
  EXPECT_EQ(bytes, to_bytes(program));
  const Program read = from_bytes(bytes, "f");
  EXPECT_EQ(to_bytes(read), bytes);
  ASSERT_EQ(read.steps.size(), program.steps.size());
  EXPECT_EQ(read.provenance.class_names, program.provenance.class_names);
  const std::vector<float> image(16, 0.75F);
  EXPECT_EQ(tests::ReferenceInterpreter(read).logits(image),
            tests::ReferenceInterpreter(program).logits(image));
  // Codes, scales and biases of two convolutions, the classifier: no byte more.
  EXPECT_EQ(data_bytes(program), 7 + 41 + 2 * 2 * 6 * 4 + 12 * 4);
}

TEST(Program, EveryRandomOneIsReadAsItWasWritten) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    tests::RandomProgram random(seed);
    const Program program = random.make();
    ASSERT_EQ(why_invalid(program), "") << seed;
    const std::string bytes = to_bytes(program);
    const Program read = from_bytes(bytes, "f");
    EXPECT_EQ(to_bytes(read), bytes) << seed;
    const std::vector<float> image = random.image();
    EXPECT_EQ(tests::ReferenceInterpreter(read).logits(image),
              tests::ReferenceInterpreter(program).logits(image))
        << seed;
  }
}

TEST(Program, NamesWhatIsNotSound) {
  using Change = std::function<void(Program&)>;
  const auto infinity = std::numeric_limits<float>::infinity();
  for (const auto& [change, sentence] : std::vector<std::pair<Change, std::string>>{
           {[](Program& p) { p.steps.clear(); }, "it has no steps"},
           {[](Program& p) { p.step(3).inputs = {3}; },
            "the step `conv`: it reads step 3, and a step reads earlier ones only (it is step 3)"},
           {[](Program& p) { p.step(3).name = "stem"; },
            "the step `stem`: another step has its "
            "name"},
           {[](Program& p) {
              p.step(4).shape.dims = {6, 4, 5};
            },
            "the step `add`: its shape is [N,6,4,5], and what it reads makes [N,6,4,4]"},
           {[](Program& p) {
              p.step(4).inputs = {1, 2};
            },
            "the step `add`: it reads the codes of `conv/encode`, and needs floats"},
           {[](Program& p) { p.step(3).kernel = 1; },
            "the step `conv`: its kernel is not that of its weight"},
           {[](Program& p) { p.step(3).groups = 4; },
            "the step `conv`: its 6 output channels make no 4 groups"},
           {[](Program& p) { p.step(3).weight->codes.pop_back(); },
            "the step `conv`: its weight: it has 40 bytes of codes, and binary of shape "
            "[6,6,3,3] needs 41"},
           {[](Program& p) {
              p.step(4).weight = float_tensor({2, 2}, std::vector<float>(4, 1));
            },
            "the step `add`: it has a weight, which none such has"},
           {[](Program& p) { p.step(3).scale.pop_back(); },
            "the step `conv`: it has 5 numbers of its scale, not 1 or 6"},
           {[&](Program& p) { p.step(3).bias[2] = infinity; },
            "the step `conv`: its bias is not finite"},
           {[](Program& p) {
              p.step(2).thresholds = {0, 1};
            },
            "the step `conv/encode`: it has 2 thresholds, not 1 or 6"},
           {[](Program& p) { p.step(2).direction.assign(6, 0); },
            "the step `conv/encode`: a direction is 0, not 1 or -1"},
           {[](Program& p) { p.step(3).sum_thresholds.assign(6, 0); },
            "the step `conv`: codes come from an encode step, or from sums with thresholds"},
           {[](Program& p) { p.step(1).padding_level = 1; },
            "the step `stem`: its padding holds a level, and it pads no codes"},
           {[](Program& p) { p.output = 4; },
            "its output `add` is no list of floats, one for each class"},
           {[](Program& p) { p.provenance.class_names = {"a"}; },
            "it names 1 classes, and has 2 outputs"},
           {[](Program& p) { p.provenance.deviation = {0}; },
            "its normalization divides by no number"}}) {
    Program program = sample();
    change(program);
    EXPECT_EQ(why_invalid(program), sentence);
  }
}

/// The file with another program, provenance or version.
std::string with_metadata(const std::string& key,
                          const std::function<std::string(std::string)>& f) {
  const storage::File file = storage::File::parse(to_bytes(sample()), "f");
  storage::Metadata metadata = file.metadata();
  metadata[key] = f(metadata[key]);
  return storage::serialize(file.tensors(), metadata);
}

TEST(ProgramFile, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(refused(with_metadata("version", [](const std::string&) { return "3"; })),
              StartsWith("f.safetensors has version `3` of the packed format, and this build reads "
                         "up to 2\nhelp: "));
  EXPECT_THAT(refused(with_metadata("format", [](const std::string&) { return "pt"; })),
              StartsWith("f.safetensors has the format `pt`, not `qhost packed network`"));
  EXPECT_THAT(refused(storage::serialize({}, {})),
              StartsWith("f.safetensors: the metadata have no `format`, so this is no packed "
                         "network\nhelp: `qhost export RUN -o FILE.safetensors` writes one"));
  EXPECT_THAT(refused(with_metadata("program", [](const std::string&) { return "{"; })),
              StartsWith("f.safetensors: the metadata `program` is no JSON"));
}

/// A reader of version 1 takes all that it can.
TEST(ProgramFile, HasTheFirstVersionThatHasAllOfIt) {
  const auto version = [](const Program& program) {
    return storage::File::parse(to_bytes(program), "f").metadata().at("version");
  };
  Program p = sample();
  EXPECT_EQ(version(p), "1");
  Step round{.name = "round", .op = StepOp::round, .inputs = {0}};
  round.shape = p.input().shape;
  round.rounding = CodeKind::bfloat16;
  Program rounds = p;
  rounds.steps.insert(rounds.steps.begin() + 1, round);
  for (std::size_t i = 2; i < rounds.steps.size(); ++i) {
    for (int& input : rounds.steps[i].inputs) ++input;
  }
  ++rounds.output;
  EXPECT_EQ(version(rounds), "2");
  for (Step& step : p.steps) {
    if (!step.weight || step.weight->encoding.kind != CodeKind::binary) continue;
    step.weight->encoding = Encoding::codebook(2, ScaleKind::none, false);
    step.weight->table = {-1, 1};
    step.sum_thresholds.clear();
    EXPECT_EQ(why_invalid(p), "");
    EXPECT_EQ(version(p), "1");
    step.weight->encoding = Encoding::codebook(3, ScaleKind::none, false);
    step.weight->table = {-1, 0, 1};
    const auto count = static_cast<std::size_t>(step.weight->elements());
    step.weight->codes.assign((2 * count + 7) / 8, 0);
    EXPECT_EQ(why_invalid(p), "");
    EXPECT_EQ(version(p), "2");
    return;
  }
  FAIL() << "the sample has no binary weight";
}

TEST(ProgramFile, NamesThePlaceOfAWrongKey) {
  using Edit = std::function<void(nlohmann::json&)>;
  for (const auto& [edit, sentence] : std::vector<std::pair<Edit, std::string>>{
           {[](auto& p) { p["steps"][3]["in"] = {9}; },
            "steps[3] reads step 9, which does not stand before it"},
           {[](auto& p) { p["steps"][3]["op"] = "conv3d"; },
            "steps[3] has the unknown word `conv3d` under `op`"},
           {[](auto& p) { p["steps"][3]["dilation"] = 2; },
            "steps[3] has the unknown key `dilation`"},
           {[](auto& p) { p["steps"][3]["stride"] = 0; }, "steps[3] `conv`: its stride is 0x0"},
           {[](auto& p) { p["steps"][3]["pad"] = "same"; },
            "steps[3] has \"same\" under `pad`, not a list of sizes"},
           {[](auto& p) {
              p["steps"][3]["weight"]["shape"] = {6, 6, 3, 1 << 30};
            },
            "steps[3].weight is not sound: "},
           {[](auto& p) { p["steps"][3]["weight"]["kind"] = "ternary"; },
            "steps[3].weight is not sound: it has 41 bytes of codes"},
           {[](auto& p) { p["steps"][2]["threshold"] = {"0"}; },
            "steps[2] has a number of another kind or size under `threshold`"},
           {[](auto& p) {
              p["steps"].erase(6);
              p["output"] = 5;
            },
            "the program says nothing of the tensor `fc.weight`"},
           {[](auto& p) { p["output"] = 4; }, "the program is not sound: its output `add`"},
       }) {
    const std::string bytes = with_metadata("program", [&](const std::string& text) {
      nlohmann::json program = nlohmann::json::parse(text);
      edit(program);
      return program.dump();
    });
    EXPECT_THAT(refused(bytes), StartsWith("f.safetensors: " + sentence));
  }
}

TEST(ProgramFile, EveryCutAndEveryChangedByteOfTheHeaderIsReadOrRefused) {
  const std::string bytes = to_bytes(sample());
  for (std::size_t size = 0; size < bytes.size(); size += 7) {
    EXPECT_NE(refused(bytes.substr(0, size)), "") << size;
  }
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  std::size_t read = 0;
  for (std::size_t at = 0; at < header + 8; ++at) {
    for (const int flip : {1, 0x10}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      read += refused(changed).empty() ? 1 : 0;
    }
  }
  EXPECT_GT(read, 0U) << "a letter of a name changes nothing else";
}

}  // namespace
}  // namespace qhost::packed

// qhost weights: the file for other programs.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "cli/command_line.h"
#include "storage/safetensors.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using storage::File;
using storage::TensorView;
using ::testing::HasSubstr;

class Weights : public CommandLine {
 protected:
  File exported(const Words& options, const std::string& name) {
    Words words = {"run", "e.toml", "name=" + name, "train.max_steps=2", "--json"};
    words.insert(words.end(), options.begin(), options.end());
    finished(words);
    ok({"weights", "runs/" + name + "/latest", "-o", name + ".safetensors"});
    return File::read(workshop_ / (name + ".safetensors"));
  }
  template <class T>
  static std::vector<T> numbers(const File& file, const std::string& name) {
    const TensorView& view = file.at(name);
    std::vector<T> values(view.bytes / sizeof(T));
    std::memcpy(values.data(), view.data, view.bytes);
    return values;
  }
  static json encodings(const File& file) { return json::parse(file.metadata().at("encodings")); }
};

TEST_F(Weights, HaveValuesCodesAndScales) {
  const File file = exported({"quantizer.name=bwn"}, "bwn");
  const std::string name = "stage2.block0.conv1.weight";
  const TensorView& values = file.at(name);
  EXPECT_EQ(values.dtype, "F32");
  EXPECT_EQ(values.shape, (std::vector<std::int64_t>{32, 16, 3, 3}));
  EXPECT_EQ(file.at(name + ".codes").dtype, "U8");
  EXPECT_EQ(file.at(name + ".codes").shape, values.shape);
  EXPECT_EQ(file.at(name + ".scale").shape, (std::vector<std::int64_t>{32}));
  EXPECT_EQ(file.find(name + ".zero_point"), nullptr);
  const auto value = numbers<float>(file, name), scale = numbers<float>(file, name + ".scale");
  const auto code = numbers<std::uint8_t>(file, name + ".codes");
  const std::size_t filter = 16 * 3 * 3;
  for (std::size_t i = 0; i < value.size(); ++i) {
    ASSERT_EQ(value[i], scale[i / filter] * (code[i] == 1 ? 1.0F : -1.0F)) << i;
  }
  EXPECT_EQ(encodings(file).at(name).at("kind"), "binary");
  EXPECT_EQ(encodings(file).at("conv1.weight").at("kind"), "float32") << "kept in float";
  EXPECT_EQ(file.find("conv1.weight.codes"), nullptr);
  EXPECT_EQ(file.metadata().at("format"), "qhost.weights");
}

TEST_F(Weights, OfIntegerMethodsHaveZeroPointsOrTables) {
  const File uniform = exported({"quantizer.name=uniform", "quantizer.bits=3"}, "uniform");
  const std::string name = "stage1.block0.conv1.weight";
  const auto value = numbers<float>(uniform, name),
             scale = numbers<float>(uniform, name + ".scale");
  const auto code = numbers<std::uint8_t>(uniform, name + ".codes");
  const auto zero = uniform.find(name + ".zero_point") == nullptr
                        ? std::vector<std::int32_t>{0}
                        : numbers<std::int32_t>(uniform, name + ".zero_point");
  const std::size_t filter = value.size() / 16;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::size_t channel = i / filter;
    const float level =
        static_cast<float>(code[i]) - static_cast<float>(zero[zero.size() == 1 ? 0 : channel]) / 2;
    ASSERT_NEAR(value[i], scale[scale.size() == 1 ? 0 : channel] * level, 1e-6F) << i;
    ASSERT_LT(code[i], 8);
  }
}

TEST_F(Weights, AreTheSameBytesEachTimeAndAreReadAsWeights) {
  exported({"quantizer.name=none"}, "float");
  const std::string first = slurp(workshop_ / "float.safetensors");
  const json said =
      json::parse(ok({"weights", "runs/float/latest", "-o", "again.safetensors", "--json"}).out);
  EXPECT_EQ(slurp(workshop_ / "again.safetensors"), first);
  EXPECT_EQ(said.at("tensors").at(0).at("encoding"), "float32");
  EXPECT_EQ(said.at("file"), "again.safetensors");
  const json before = json::parse(slurp(workshop_ / "runs/float/latest/result.json"));
  const json loaded = finished({"run", "e.toml", "quantizer.name=none", "train.epochs=0",
                                "name=back", "train.init_from=again.safetensors", "--json"});
  EXPECT_EQ(loaded.at("test_loss"), before.at("test_loss"));
}

TEST_F(Weights, SaysWhatIsMissing) {
  EXPECT_THAT(refused({"weights", "runs/x/latest"}, 2),
              HasSubstr("no file was given\nhelp: -o FILE"));
  EXPECT_THAT(refused({"weights", "e.toml", "-o", "x"}, 2),
              HasSubstr("e.toml is not a run directory"));
}

}  // namespace
}  // namespace qhost::tests

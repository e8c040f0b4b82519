// Trained weights that some methods cannot represent: dead layers, activations beyond fp16.
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <memory>

#include "cli/process.h"
#include "storage/safetensors.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = Workshop::Words;

struct Values {
  std::vector<std::int64_t> shape;
  std::vector<float> numbers;
};
using Network = std::map<std::string, Values>;

/// One trained network; each case changes it.
class TrainedWeights : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    workshop_ = std::make_unique<Workshop>();
    workshop_->write("e.toml", small_experiment());
    const ProcessResult float_run = workshop_->run(
        {"run", "e.toml", "quantizer.name=none", "name=float", "train.epochs=6", "--json"});
    ASSERT_EQ(float_run.code, 0) << ::testing::PrintToString(float_run);
    fs::path state;
    for (const auto& entry :
         fs::recursive_directory_iterator(*workshop_ / "runs/float/latest/checkpoints")) {
      if (entry.path().filename() == "state.safetensors") state = std::max(state, entry.path());
    }
    const storage::File file = storage::File::read(state);
    for (const auto& [name, view] : file.tensors()) {
      const std::string prefix = "model/";
      if (!name.starts_with(prefix) || view.dtype != "F32") continue;
      Values& own = network_[name.substr(prefix.size())];
      own.shape = view.shape;
      own.numbers.resize(view.bytes / sizeof(float));
      std::memcpy(own.numbers.data(), view.data, view.bytes);
    }
  }
  static void TearDownTestSuite() {
    network_.clear();
    workshop_.reset();
  }

  /// A file of that name with the network after `change`.
  static std::string changed(const std::string& name, const std::function<void(Network&)>& change) {
    Network network = network_;
    change(network);
    storage::Tensors views;
    for (const auto& [key, values] : network) {
      views[key] = {"F32", values.shape, reinterpret_cast<const std::byte*>(values.numbers.data()),
                    values.numbers.size() * sizeof(float)};
    }
    storage::write_safetensors(*workshop_ / (name + ".safetensors"), views);
    return "train.init_from=" + name + ".safetensors";
  }
  static void fill(Network& network, const std::string& name, float value) {
    std::vector<float>& numbers = network.at(name).numbers;
    std::fill(numbers.begin(), numbers.end(), value);
  }
  /// A residual branch with gammas of 0, a layer that reads only 0, a layer of weights 0.
  static void kill_layers(Network& network) {
    fill(network, "stage1.block0.bn2.weight", 0);
    fill(network, "stage2.block0.bn1.bias", -100);
    fill(network, "stage3.block0.conv1.weight", 0);
  }
  static json finished(const ProcessResult& result) {
    EXPECT_EQ(result.code, 0) << ::testing::PrintToString(result);
    if (result.code != 0) return json::object();
    const json last = last_json_line(result.out);
    EXPECT_TRUE(last.at("test_loss").is_number()) << last;
    return last;
  }

  inline static std::unique_ptr<Workshop> workshop_;
  inline static Network network_;
};

TEST_F(TrainedWeights, DeadLayersAreQuantizedByEveryMethod) {
  const std::string source = changed("dead", kill_layers);
  for (const char* method :
       {"binaryconnect", "bnn", "bwn", "dorefa", "lsq", "ptq_codebook", "ptq_fixed_point",
        "ptq_half", "ptq_static", "ternary", "uniform", "xnornet"}) {
    SCOPED_TRACE(method);
    const json result = finished(workshop_->run({"run", "e.toml", source, "train.max_steps=2",
                                                 std::string("quantizer.name=") + method,
                                                 std::string("name=") + method, "--json"}));
    if (!result.contains("test_loss")) continue;
    EXPECT_TRUE(std::isfinite(result.at("test_loss").get<double>()));
  }
}

TEST_F(TrainedWeights, DeadLayersAreExactUnderPtqStatic) {
  const std::string source = changed("dead", kill_layers);
  const ProcessResult run = workshop_->run({"quantize", "e.toml", "ptq_static", source, "--json"});
  const json result = finished(run);
  EXPECT_NEAR(result.at("test_loss").get<double>(), result.at("float_test_loss").get<double>(),
              0.05);
  for (const char* slot :
       {"stage1.block0.conv2/weight", "stage2.block0.conv2/input", "stage3.block0.conv1/weight"}) {
    EXPECT_THAT(run.err, HasSubstr(std::string(slot) + ": 100.0 % of the codes are equal"));
  }
  // Also with folding in training, no division by a gamma of 0 occurs.
  const json trained = finished(workshop_->run(
      {"run", "e.toml", source, "name=folded", "train.max_steps=3", "quantizer.name=ptq_static",
       "quantizer.training=quantized", "quantizer.observer=moving_average", "--json"}));
  EXPECT_TRUE(std::isfinite(trained.at("test_loss").get<double>()));
}

/// The same function, but the inputs of later layers exceed 65504.
void enlarge_activations(Network& network) {
  const auto scale = [&](const std::string& name, double factor) {
    for (float& x : network.at(name).numbers) x = static_cast<float>(x * factor);
  };
  const double k = 1 << 20;
  for (const auto& [name, values] : network) {
    const bool affine = name.ends_with(".weight") || name.ends_with(".bias");
    if (affine && (name.starts_with("bn1.") || name.find(".bn2.") != std::string::npos)) {
      scale(name, k);
    }
    if (name.starts_with("stage") && name.ends_with("conv1.weight")) scale(name, 1 / k);
  }
  scale("fc.weight", 1 / k);
}

TEST_F(TrainedWeights, InputsBeyondFp16AreNamed) {
  const std::string source = changed("large", enlarge_activations);
  const ProcessResult refused = workshop_->run({"quantize", "e.toml", "ptq_half", source});
  EXPECT_EQ(refused.code, 5) << ::testing::PrintToString(refused);
  EXPECT_THAT(refused.err,
              AllOf(HasSubstr("ptq_half: input 0 of "),
                    HasSubstr(" values beyond the largest one "
                              "of fp16, 65504; the largest is "),
                    HasSubstr("\nhelp: set format = \"bf16\", which has the range of float32")));
  const json wide =
      finished(workshop_->run({"quantize", "e.toml", "ptq_half", "format=bf16", source, "--json"}));
  EXPECT_NEAR(wide.at("test_loss").get<double>(), wide.at("float_test_loss").get<double>(), 0.05);
}

/// A network whose convolutions read the output of a hardtanh.
class SignedInputs : public TrainedWeights {
 protected:
  static ProcessResult trained(const Words& options) {
    Words words = {
        "run",   "e.toml", "model.activation=hardtanh", "train.epochs=1", "train.max_steps=3",
        "--json"};
    words.insert(words.end(), options.begin(), options.end());
    return workshop_->run(words);
  }
  static double loss(const Words& options) {
    return finished(trained(options)).at("test_loss").get<double>();
  }
};

TEST_F(SignedInputs, LsqGivesThemLevelsOnBothSides) {
  const double automatic = loss({"name=auto", "quantizer.name=lsq"});
  EXPECT_EQ(loss({"name=yes", "quantizer.name=lsq", "quantizer.signed_inputs=true"}), automatic);
  const ProcessResult clipped =
      trained({"name=no", "quantizer.name=lsq", "quantizer.signed_inputs=false"});
  EXPECT_NE(finished(clipped).at("test_loss").get<double>(), automatic);
  EXPECT_THAT(clipped.err, HasSubstr("warning: `lsq` has no levels below 0 for the inputs of "
                                     "stage1.block0.conv1, "));
  EXPECT_THAT(clipped.err, HasSubstr("signed_inputs = \"auto\" gives them levels on both sides of "
                                     "0; keep_float = [\"stage1.block0.conv1/input\", "));
  // Behind ReLUs, "auto" means false.
  const auto rectified = [](const std::string& value, const std::string& name) {
    return workshop_->run({"run", "e.toml", "train.max_steps=3", "train.epochs=1", "name=" + name,
                           "quantizer.name=lsq", "quantizer.signed_inputs=" + value, "--json"});
  };
  const ProcessResult one = rectified("auto", "rectified"),
                      other = rectified("false", "rectified2");
  EXPECT_EQ(finished(one).at("test_loss"), finished(other).at("test_loss"));
  EXPECT_THAT(one.err + other.err, Not(HasSubstr("no levels below 0")));
}

TEST_F(SignedInputs, AFileFromBeforeAutoKeepsItsMeaning) {
  finished(trained({"name=old", "quantizer.name=lsq", "quantizer.signed_inputs=false"}));
  std::string old = slurp(*workshop_ / "runs/old/latest/resolved.toml");
  const std::string now = "signed_inputs = \"false\"", before = "signed_inputs = false";
  const auto at = old.find(now);
  ASSERT_NE(at, std::string::npos);
  workshop_->write("old.toml", old.replace(at, now.size(), before));
  EXPECT_EQ(finished(workshop_->run({"run", "old.toml", "name=again", "--json"})).at("test_loss"),
            result_of(*workshop_ / "runs/old/latest").at("test_loss"));
}

TEST_F(SignedInputs, DorefaSaysWhoseSignItLoses) {
  const ProcessResult run =
      trained({"name=dorefa", "quantizer.name=dorefa", "quantizer.weight_bits=4"});
  finished(run);
  EXPECT_THAT(run.err, AllOf(HasSubstr("warning: `dorefa` has no levels below 0 for the inputs of "
                                       "stage1.block0.conv1, "),
                             HasSubstr("DoReFa-Net clips inputs to [0, 1]"),
                             HasSubstr("keep_float = [\"first\", \"last\", ")));
  const ProcessResult rectified = workshop_->run(
      {"run", "e.toml", "train.max_steps=3", "train.epochs=1", "name=rectified_dorefa",
       "quantizer.name=dorefa", "quantizer.weight_bits=4", "--json"});
  finished(rectified);
  EXPECT_THAT(rectified.err, Not(HasSubstr("no levels below 0")));
}

}  // namespace
}  // namespace qhost::tests

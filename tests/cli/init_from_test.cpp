// `train.init_from` and the names in a file of weights.
#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <regex>

#include "cli/process.h"
#include "storage/safetensors.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using storage::Tensors;
using storage::TensorView;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Words = Workshop::Words;

constexpr const char* akamaster = "akamaster/pytorch_resnet_cifar10";

/// The published name, computed independently.
std::string akamasters(const std::string& own) {
  std::string name = std::regex_replace(own, std::regex("^stage(.)\\.block(.)"), "layer$1.$2");
  return std::regex_replace(name, std::regex("^fc"), "linear");
}

/// One trained network, whose runs and files all cases share.
class InitFrom : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    workshop_ = std::make_unique<Workshop>();
    workshop_->write("e.toml", small_experiment());
    source_ = finished(
        {"run", "e.toml", "quantizer.name=none", "name=float", "train.max_steps=4", "--json"});
    const json copy = finished(untrained("runs/float/latest", "copy"));
    EXPECT_EQ(copy.at("test_loss"), source_.at("test_loss"));
    const json record = record_of("copy");
    EXPECT_EQ(record.at("names"), "qhost");
    file_ = storage::File::read(record.at("file").get<std::string>());
    for (const auto& [name, view] : file_->tensors()) {
      const std::string prefix = "model/";
      if (name.starts_with(prefix)) own_[name.substr(prefix.size())] = view;
    }
  }
  static void TearDownTestSuite() {
    own_.clear();
    file_.reset();
    workshop_.reset();
  }
  static Words untrained(const std::string& source, const std::string& name) {
    return {"run",    "e.toml",       "quantizer.name=none",      "train.epochs=0",
            "--json", "name=" + name, "train.init_from=" + source};
  }
  static json finished(const Words& words) {
    const ProcessResult result = workshop_->run(words);
    EXPECT_EQ(result.code, 0) << ::testing::PrintToString(result);
    return json::parse(result.out);
  }
  static std::string refused(const Words& words) {
    const ProcessResult result = workshop_->run(words);
    EXPECT_EQ(result.code, 4) << ::testing::PrintToString(result);
    return result.err;
  }
  static json record_of(const std::string& run) {
    return json::parse(slurp(*workshop_ / ("runs/" + run + "/latest/init_from.json")));
  }
  static void write(const std::string& file, const Tensors& tensors) {
    storage::write_safetensors(*workshop_ / file, tensors);
  }
  /// Of a file of these tensors with an empty note, without the 8 bytes of its own length.
  static std::size_t header_bytes(const Tensors& tensors) {
    std::size_t data = 0;
    for (const auto& [name, view] : tensors) data += view.bytes;
    return storage::serialized_bytes(tensors, {{"note", ""}}) - data - 8;
  }
  static Tensors published() {
    Tensors tensors;
    for (const auto& [name, view] : own_) tensors[akamasters(name)] = view;
    return tensors;
  }

  inline static std::unique_ptr<Workshop> workshop_;
  inline static json source_;
  inline static std::optional<storage::File> file_;
  inline static Tensors own_;
};

TEST_F(InitFrom, APublishedFileIsTheSameNetwork) {
  write("published.safetensors", published());
  const json result = finished(untrained("published.safetensors", "published"));
  EXPECT_EQ(result.at("test_loss"), source_.at("test_loss"));
  const json record = record_of("published");
  EXPECT_EQ(record.at("names"), akamaster);
  EXPECT_EQ(record.at("tensors").at("stage1.block0.conv1.weight"), "loaded");

  const json quantized =
      finished({"quantize", "e.toml", "bwn", "train.init_from=published.safetensors", "--json"});
  EXPECT_EQ(quantized.at("float_test_loss"), source_.at("test_loss"));
}

TEST_F(InitFrom, AFileBehindALinkIsRecordedByItsOwnPath) {
  const fs::path run = fs::canonical(*workshop_ / "runs/float/latest");
  const fs::path file = record_of("copy").at("file").get<std::string>();
  const fs::path linked = "runs/float/latest" / file.lexically_relative(run);
  finished(untrained(linked.string(), "linked"));
  EXPECT_EQ(record_of("linked").at("file"), file.string()) << "latest may move";

  write("real.safetensors", own_);
  fs::create_symlink("real.safetensors", *workshop_ / "link.safetensors");
  finished(untrained("link.safetensors", "link"));
  EXPECT_EQ(record_of("link").at("file"), (*workshop_ / "real.safetensors").string());
}

TEST_F(InitFrom, WhatPyTorchAddsIsLeftOut) {
  for (const bool own_names : {true, false}) {
    SCOPED_TRACE(own_names);
    Tensors tensors;
    for (const auto& [name, view] : own_names ? own_ : published()) {
      tensors["module." + name] = view;
    }
    const std::int64_t steps = 7;
    tensors["module.bn1.num_batches_tracked"] =
        TensorView{"I64", {}, reinterpret_cast<const std::byte*>(&steps), sizeof steps};
    write("parallel.safetensors", tensors);
    const json result = finished(
        untrained("parallel.safetensors", own_names ? "parallel_own" : "parallel_published"));
    EXPECT_EQ(result.at("test_loss"), source_.at("test_loss"));
  }
}

TEST_F(InitFrom, AWrapperAndAnAveragedModelAreTakenOff) {
  Tensors tensors;
  for (const auto& [name, view] : own_) tensors["module._orig_mod." + name] = view;
  const std::int64_t count = 7;
  tensors["n_averaged"] =
      TensorView{"I64", {}, reinterpret_cast<const std::byte*>(&count), sizeof count};
  write("wrapped.safetensors", tensors);
  const json result = finished(untrained("wrapped.safetensors", "wrapped"));
  EXPECT_EQ(result.at("test_loss"), source_.at("test_loss"));
  EXPECT_EQ(record_of("wrapped").at("removed_prefixes"), json({"module.", "_orig_mod."}));
  EXPECT_FALSE(record_of("copy").contains("removed_prefixes"));
}

TEST_F(InitFrom, AFileOfAnotherFormatIsNamedWithItsImporter) {
  for (const auto& [file, bytes, what] : std::vector<std::array<std::string, 3>>{
           {"zip.pth", std::string("PK\x03\x04\x14\0\0\0archive", 15),
            "a zip archive, as torch.save() "},
           {"old.pth", std::string("\x80\x02\x8a\nl\xfc\x9c\x46\xf9 ", 10), "a pickle, as older "},
           {"keras.h5", std::string("\x89HDF\r\n\x1a\n....", 12), "an HDF5 file, as Keras writes"},
           {"notes.txt", "name = 1\n", "a text file"}}) {
    workshop_->write(file, bytes);
    const ProcessResult refused = workshop_->run(untrained(file, "other"));
    EXPECT_EQ(refused.code, 2);
    EXPECT_THAT(refused.err, HasSubstr(file + " is no safetensors file but " + what));
    EXPECT_THAT(refused.err, HasSubstr(!fs::path(file).extension().string().starts_with(".p")
                                           ? "help: name a run directory, or weights stored as "
                                           : "help: tools/import_pytorch.py "));
  }
  // A safetensors file whose header has a length that begins with "PK" is one.
  Tensors tensors;
  for (const auto& [name, view] : own_) tensors[name] = view;
  storage::write_safetensors(*workshop_ / "long.safetensors", tensors,
                             {{"note", std::string(0x4b50 - header_bytes(tensors), ' ')}});
  EXPECT_EQ(slurp(*workshop_ / "long.safetensors").substr(0, 2), "PK");
  finished(untrained("long.safetensors", "long"));
}

TEST_F(InitFrom, TheNearestVariantIsNamed) {
  finished({"run", "e.toml", "quantizer.name=none", "name=deep", "train.max_steps=1",
            "model.depth=26", "model.shortcut=B", "--json"});
  const std::string error = refused(untrained("runs/deep/latest", "shallow"));
  EXPECT_THAT(error,
              HasSubstr("\n  help: set model.depth = 26, model.shortcut = \"B\": all tensors "
                        "fit\n"));
  EXPECT_LE(std::count(error.begin(), error.end(), '\n'), 12) << error;
  EXPECT_THAT(error, HasSubstr("unexpected: "));
  EXPECT_THAT(error, HasSubstr(" more\n"));

  // As published elsewhere, and with another number of classes.
  write("published.safetensors", published());
  Words words = untrained("published.safetensors", "two");
  words.insert(words.end(), {"model.depth=14", "data.classes=[0, 1]"});
  EXPECT_THAT(refused(words),
              HasSubstr("\n  help: set model.depth = 8, train.init_except = [\"fc\"], "
                        "which draws the classifier anew: all other tensors fit\n"));
}

TEST_F(InitFrom, AnotherClassifierIsDrawnAndTheRestIsLoaded) {
  for (const bool own_names : {true, false}) {
    SCOPED_TRACE(own_names);
    const std::string name = own_names ? "two_own" : "two_published";
    write(name + ".safetensors", own_names ? own_ : published());
    Words words = untrained(name + ".safetensors", name);
    words.insert(words.end(), {"data.classes=[0, 1]", "train.init_except=[\"last\"]",
                               "train.epochs=1", "train.max_steps=1"});
    finished(words);
    const json record = record_of(name);
    EXPECT_EQ(record.at("drawn"), json({"fc"}));
    EXPECT_EQ(record.at("tensors").at("fc.weight"), "initialized");
    EXPECT_EQ(record.at("tensors").at("conv1.weight"), "loaded");
  }
  // The drawn layer has what a run without init_from draws, and the others the file's bits.
  const auto weights = [&](const std::string& run) {
    finished({"weights", "runs/" + run + "/latest", "-o", run + ".out", "--json"});
    return storage::File::read(*workshop_ / (run + ".out"));
  };
  Words words = untrained("runs/float/latest", "mixed");
  words.push_back("train.init_except=[\"fc\", \"stage3.*\"]");
  finished(words);
  finished({"run", "e.toml", "quantizer.name=none", "name=drawn", "train.epochs=0", "--json"});
  const storage::File mixed = weights("mixed"), drawn = weights("drawn");
  const auto bytes = [](const storage::File& file, const std::string& name) {
    const TensorView& view = file.at(name);
    return std::string(reinterpret_cast<const char*>(view.data), view.bytes);
  };
  for (const auto& [name, view] : own_) {
    const std::string loaded(reinterpret_cast<const char*>(view.data), view.bytes);
    const bool anew = name.starts_with("fc.") || name.starts_with("stage3.");
    EXPECT_EQ(bytes(mixed, name), anew ? bytes(drawn, name) : loaded) << name;
  }
  EXPECT_NE(bytes(drawn, "conv1.weight"), bytes(mixed, "conv1.weight"));

  // What the run has trained is kept when it is quantized.
  const json quantized = finished({"quantize", "runs/mixed/latest", "bwn", "--json"});
  EXPECT_EQ(quantized.at("float_test_loss"),
            json::parse(slurp(*workshop_ / "runs/mixed/latest/result.json")).at("test_loss"));
}

TEST_F(InitFrom, AnExceptionThatMeansNothingIsRefused) {
  const ProcessResult without = workshop_->run({"run", "e.toml", "train.init_except=[\"fc\"]"});
  EXPECT_EQ(without.code, 2);
  EXPECT_THAT(without.err, HasSubstr("command line:1:19: error: `train.init_except` without "
                                     "train.init_from: every layer is drawn anyway"));
  Words words = untrained("runs/float/latest", "none");
  words.push_back("train.init_except=[\"classifier\"]");
  const ProcessResult unmatched = workshop_->run(words);
  EXPECT_EQ(unmatched.code, 2);
  EXPECT_THAT(unmatched.err,
              HasSubstr("`train.init_except`: `classifier` selects no layer with weights"));
  EXPECT_THAT(unmatched.err, HasSubstr("help: `qhost summary` lists the layers"));
}

TEST_F(InitFrom, AnotherEpsilonChangesTheNetwork) {
  Words words = untrained("runs/float/latest", "epsilon");
  words.push_back("model.bn_epsilon=1e-5");
  EXPECT_EQ(finished(words).at("test_loss"), source_.at("test_loss")) << "the architecture's own";
  words.back() = "model.bn_epsilon=1e-3";
  EXPECT_NE(finished(words).at("test_loss"), source_.at("test_loss"));
  words.back() = "model.bn_epsilon=-1";
  EXPECT_EQ(workshop_->run(words).code, 2);
}

TEST_F(InitFrom, NamesThatFitNothingAreComparedWithTheNetworksOwn) {
  Tensors tensors = published();
  auto node = tensors.extract("conv1.weight");
  node.key() = "stem.weight";
  tensors.insert(std::move(node));
  write("other.safetensors", tensors);
  const std::string error = refused(untrained("other.safetensors", "other"));
  EXPECT_THAT(error, StartsWith("command line:4:17: error: train.init_from = " +
                                (*workshop_ / "other.safetensors").string() +
                                ", named nearly as in " + akamaster +
                                ": the weights are those of another network [config.weights]\n"));
  EXPECT_THAT(error, HasSubstr("\n  note: unexpected: there stem.weight [16,1,3,3]\n"
                               "    missing: conv1.weight [16,1,3,3]\n  help: "));
  EXPECT_THAT(
      error,
      HasSubstr(
          "\n  help: give [model] the architecture and options of the network that the weights "
          "were trained in\n  help: resnet also reads the names of "
          "akamaster/pytorch_resnet_cifar10; with other options those of "
          "chenyaofo/pytorch-cifar-models, pytorchcv, kuangliu/pytorch-cifar, torchvision (conv1 "
          "3x3 of "
          "stride 1, no maxpool)\n"));
  EXPECT_FALSE(fs::exists(*workshop_ / "runs/other"));
}

// chenyaofo's names, whose networks have 1x1 convolutions where this one pads with zeros.
TEST_F(InitFrom, NamesOfASourceWithoutThisNetworkAreNotTakenForItsOwn) {
  Tensors tensors = published();
  for (const std::string name : {"weight", "bias"}) {
    auto node = tensors.extract("linear." + name);
    node.key() = "fc." + name;
    tensors.insert(std::move(node));
  }
  write("foreign.safetensors", tensors);
  const std::string error = refused(untrained("foreign.safetensors", "foreign"));
  EXPECT_THAT(
      error,
      HasSubstr(
          "\n  note: unexpected: there fc.bias [10]\n    unexpected: there fc.weight [10,64]\n"
          "    missing: fc.weight (there linear.weight) [10,64]\n"
          "    missing: fc.bias (there linear.bias) [10]\n"));
  EXPECT_THAT(error, Not(HasSubstr("named as in")));
  EXPECT_THAT(error, HasSubstr(", named nearly as in " + std::string(akamaster)));
}

TEST_F(InitFrom, AFileOfStateDictKeyMapButOtherShapesIsSaidToBeOne) {
  write("published.safetensors", published());
  Words words = untrained("published.safetensors", "two");
  words.push_back("data.classes=[0, 1]");
  const std::string error = refused(words);
  EXPECT_THAT(error, HasSubstr("published.safetensors, named as in " + std::string(akamaster) +
                               ": the weights are those of another network [config.weights]\n"));
  EXPECT_THAT(error, HasSubstr("\n  note: other shape: fc.weight (there linear.weight) is [10,64] "
                               "in the file and [2,64] "
                               "in the network\n    other shape: fc.bias (there linear.bias) is "));
  EXPECT_THAT(error, Not(HasSubstr("(there conv1.weight)")));
  EXPECT_THAT(error, Not(HasSubstr("missing: ")));
}

TEST_F(InitFrom, ANetworkThatIsNotPublishedThereDoesNotTakeItsNames) {
  write("published.safetensors", published());
  Words words = untrained("published.safetensors", "bireal");
  words.push_back("model.block=bireal");
  EXPECT_THAT(refused(words),
              HasSubstr("\n  help: set model.block = \"basic\": all tensors fit\n"));
}

/// The network's tensors, with the first values of one of them replaced.
class WrongValues : public InitFrom {
 protected:
  Tensors changed(const std::string& name, const std::vector<float>& values,
                  const std::string& there = "") {
    Tensors tensors = there.empty() ? own_ : published();
    const std::string key = there.empty() ? name : there;
    const TensorView& view = tensors.at(key);
    bytes_.assign(view.data, view.data + view.bytes);
    std::memcpy(bytes_.data(), values.data(), values.size() * sizeof(float));
    tensors[key].data = bytes_.data();
    return tensors;
  }
  /// stderr of a run from these tensors, which must leave no files.
  std::string refused_values(const Tensors& tensors) {
    write("wrong.safetensors", tensors);
    const std::string error = refused(untrained("wrong.safetensors", "wrong"));
    EXPECT_FALSE(fs::exists(*workshop_ / "runs/wrong"));
    EXPECT_THAT(error, StartsWith("command line:4:17: error: train.init_from = " +
                                  (*workshop_ / "wrong.safetensors").string()));
    EXPECT_THAT(error, HasSubstr(": the weights cannot be right [config.weights]\n"));
    EXPECT_THAT(error, HasSubstr("\n  help: "));
    return error;
  }

  std::vector<std::byte> bytes_;
  static constexpr float nan_ = std::numeric_limits<float>::quiet_NaN();
  static constexpr float inf_ = std::numeric_limits<float>::infinity();
};

TEST_F(WrongValues, NotFinite) {
  EXPECT_THAT(refused_values(changed("fc.weight", {nan_, 0, nan_})),
              HasSubstr("\n  note: not finite: fc.weight: 2 of 640 values are nan\n"));
  EXPECT_THAT(refused_values(changed("bn1.running_mean", {-inf_})),
              HasSubstr("\n  note: not finite: bn1.running_mean: 1 of 16 values is infinite\n"));
  EXPECT_THAT(
      refused_values(changed("fc.bias", {nan_}, "linear.bias")),
      HasSubstr("\n  note: not finite: fc.bias (there linear.bias): 1 of 10 values is nan"));
}

TEST_F(WrongValues, ANegativeVariance) {
  EXPECT_THAT(refused_values(changed("bn1.running_var", {1, -1, -0.25F})),
              HasSubstr("\n  note: negative variance: bn1.running_var: 2 of 16 values are below 0, "
                        "down to -1\n"));
  // A mean may be negative, and a channel that is always 0 has the variance 0.
  write("sound.safetensors", changed("bn1.running_mean", {-3}));
  finished(untrained("sound.safetensors", "sound"));
  write("sound.safetensors", changed("bn1.running_var", {0}));
  finished(untrained("sound.safetensors", "sound"));
}

TEST_F(WrongValues, IntegersAndBools) {
  for (const auto& [dtype, type] :
       std::map<std::string, std::string>{{"I8", "int8"}, {"BOOL", "bool"}, {"U8", "uint8"}}) {
    Tensors tensors = own_;
    bytes_.assign(16 * 9, std::byte{1});
    tensors["conv1.weight"] = TensorView{dtype, {16, 1, 3, 3}, bytes_.data(), bytes_.size()};
    EXPECT_THAT(refused_values(tensors),
                HasSubstr("\n  note: no float: conv1.weight: 144 values of type " + type + "\n"));
  }
  Tensors tensors = own_;
  bytes_.assign(16 * 9 * 2, std::byte{1});
  tensors["conv1.weight"] = TensorView{"U16", {16, 1, 3, 3}, bytes_.data(), bytes_.size()};
  EXPECT_THAT(refused_values(tensors), HasSubstr("conv1.weight: 144 values of type uint16\n"));
}

TEST_F(WrongValues, DoublesBeyondFloat) {
  Tensors tensors = own_;
  std::vector<double> values(640, 0.5);
  const auto as_double = [&] {
    tensors["fc.weight"] = TensorView{
        "F64", {10, 64}, reinterpret_cast<const std::byte*>(values.data()), 640 * sizeof(double)};
    return tensors;
  };
  write("double.safetensors", as_double());
  finished(untrained("double.safetensors", "double"));
  values[3] = -1e300;
  values[5] = 1e39;
  EXPECT_THAT(refused_values(as_double()),
              HasSubstr("\n  note: beyond float32: fc.weight: 2 of 640 values are larger than "
                        "3.40282e+38, up to 1e+300\n"));
}

TEST_F(WrongValues, AllAreNamedAtOnceAndADryRunFindsThem) {
  Tensors tensors = changed("fc.weight", {nan_});
  const std::vector<float> variances(16, -2);
  tensors["bn1.running_var"].data = reinterpret_cast<const std::byte*>(variances.data());
  const std::string error = refused_values(tensors);
  EXPECT_THAT(error, HasSubstr("\n  note: negative variance: bn1.running_var: 16 of 16 values are "
                               "below 0, down to -2\n    not finite: fc.weight: 1 of 640 "));
  Words words = untrained("wrong.safetensors", "wrong");
  words.push_back("--dry-run");
  EXPECT_EQ(refused(words), error);
}

// A BWN checkpoint contains the latent weights, not those that were evaluated.
TEST_F(InitFrom, AQuantizedSourceIsSaidRecordedAndNotQuantized) {
  finished({"run", "e.toml", "name=bwn", "train.max_steps=2", "--json"});
  const std::string latent =
      "warning: `train.init_from`: latent weights of a bwn run; not the network that was scored "
      "[config.doubtful]\n";
  const ProcessResult run = workshop_->run(untrained("runs/bwn/latest", "from_bwn"));
  EXPECT_EQ(run.code, 0);
  EXPECT_THAT(run.err, HasSubstr("command line:4:17: " + latent));
  const json record = record_of("from_bwn");
  EXPECT_EQ(record.at("latent_weights_of"), "bwn");
  EXPECT_FALSE(record_of("copy").contains("latent_weights_of"));
  Words dry = untrained("runs/bwn/latest", "from_bwn");
  dry.push_back("--dry-run");
  EXPECT_THAT(workshop_->run(dry).err, HasSubstr(latent));

  const std::string file = record.at("file").get<std::string>();
  for (const Words& words :
       std::vector<Words>{{"quantize", "runs/bwn/latest", "bwn"},
                          {"quantize", file, "bwn"},
                          {"quantize", "e.toml", "bwn", "train.init_from=runs/bwn/latest"},
                          {"quantize", "e.toml", "bwn", "train.init_from=" + file}}) {
    const ProcessResult result = workshop_->run(words);
    EXPECT_EQ(result.code, 2) << ::testing::PrintToString(result);
    EXPECT_THAT(result.err, HasSubstr(" is quantized already, by `bwn`"));
    EXPECT_THAT(result.err, HasSubstr("\nhelp: name a float run; "));
  }
  // A checkpoint file of a float run is no experiment either; the run directory is valid.
  const ProcessResult loose =
      workshop_->run({"quantize", record_of("copy").at("file").get<std::string>(), "bwn"});
  EXPECT_EQ(loose.code, 2);
  EXPECT_THAT(loose.err, HasSubstr("holds weights and no experiment\nhelp: name the run "));
}

TEST_F(InitFrom, DescribeNamesThePublishedImplementations) {
  const ProcessResult text = workshop_->run({"describe", "wideresnet"});
  EXPECT_THAT(text.out, HasSubstr("\nreads the weights of: xternalz/WideResNet-pytorch, "
                                  "kekmodel/FixMatch-pytorch, pytorchcv\n"));
  EXPECT_THAT(text.out, HasSubstr("\nxternalz/WideResNet-pytorch: augment.mean = [0.4914, 0.4824, "
                                  "0.4467], augment.std = [0.2471, 0.2435, 0.2616]\n"));
  EXPECT_THAT(text.out, HasSubstr(": kekmodel/FixMatch-pytorch has the same names for another "
                                  "network: set model.activation = \"leaky_relu\""));
  const json facts = finished({"describe", "densenet", "--json"});
  EXPECT_EQ(facts.at(0).at("notes").at(0),
            "reads the weights of: kuangliu/pytorch-cifar, bamos/densenet.pytorch");
  EXPECT_EQ(finished({"describe", "vgg", "--json"}).at(0).at("notes"), json::array());
}

}  // namespace
}  // namespace qhost::tests

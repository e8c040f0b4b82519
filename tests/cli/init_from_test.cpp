// `train.init_from` and the names that a file of weights may have.
#include <gmock/gmock.h>

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
using Words = Workshop::Words;

constexpr const char* akamaster = "akamaster/pytorch_resnet_cifar10";

/// The published name, written out here once more.
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

TEST_F(InitFrom, NamesThatFitNothingAreComparedWithTheNetworksOwn) {
  Tensors tensors = published();
  auto node = tensors.extract("conv1.weight");
  node.key() = "stem.weight";
  tensors.insert(std::move(node));
  write("other.safetensors", tensors);
  const std::string error = refused(untrained("other.safetensors", "other"));
  EXPECT_THAT(error, HasSubstr("train.init_from = " + (*workshop_ / "other.safetensors").string() +
                               ": the weights are those of another network:\n  missing: "
                               "conv1.weight [16,1,3,3]"));
  EXPECT_THAT(error, HasSubstr("\n  unexpected: stem.weight [16,1,3,3]"));
  EXPECT_THAT(
      error,
      HasSubstr("\nhelp: give [model] the architecture and options of the network that the weights "
                "were trained in\nhelp: resnet also reads the names of "
                "akamaster/pytorch_resnet_cifar10; with other options those of "
                "chenyaofo/pytorch-cifar-models, kuangliu/pytorch-cifar, torchvision (conv1 3x3 of "
                "stride 1, no maxpool)\n"));
  EXPECT_FALSE(fs::exists(*workshop_ / "runs/other"));
}

// chenyaofo's names, but its networks have 1x1 convolutions where this one pads with zeros.
TEST_F(InitFrom, NamesOfASourceWithoutThisNetworkAreNotTakenForItsOwn) {
  Tensors tensors = published();
  for (const std::string name : {"weight", "bias"}) {
    auto node = tensors.extract("linear." + name);
    node.key() = "fc." + name;
    tensors.insert(std::move(node));
  }
  write("foreign.safetensors", tensors);
  const std::string error = refused(untrained("foreign.safetensors", "foreign"));
  EXPECT_THAT(error, HasSubstr("\n  missing: stage1.block0.conv1.weight [16,16,3,3]"));
  EXPECT_THAT(error, HasSubstr("\n  unexpected: layer1.0.conv1.weight [16,16,3,3]"));
  EXPECT_THAT(error, Not(HasSubstr("named as in")));
}

TEST_F(InitFrom, AFileOfPublishedNamesButOtherShapesIsSaidToBeOne) {
  write("published.safetensors", published());
  Words words = untrained("published.safetensors", "two");
  words.push_back("data.classes=[0, 1]");
  const std::string error = refused(words);
  EXPECT_THAT(error, HasSubstr("published.safetensors, named as in " + std::string(akamaster) +
                               ": the weights are those of another network:\n  other shape: "
                               "fc.weight (there linear.weight) is [10,64] in the file and [2,64] "
                               "in the network\n  other shape: fc.bias (there linear.bias) is "));
  EXPECT_THAT(error, Not(HasSubstr("(there conv1.weight)")));
  EXPECT_THAT(error, Not(HasSubstr("missing: ")));
}

TEST_F(InitFrom, ANetworkThatIsNotPublishedThereDoesNotTakeItsNames) {
  write("published.safetensors", published());
  Words words = untrained("published.safetensors", "bireal");
  words.push_back("model.block=bireal");
  EXPECT_THAT(refused(words), HasSubstr("\nhelp: resnet with other options also reads the names "
                                        "of akamaster/pytorch_resnet_cifar10, "));
}

TEST_F(InitFrom, DescribeNamesThePublishedImplementations) {
  const ProcessResult text = workshop_->run({"describe", "wideresnet"});
  EXPECT_THAT(text.out, HasSubstr("\nreads the weights of: xternalz/WideResNet-pytorch\n"));
  const json facts = finished({"describe", "densenet", "--json"});
  EXPECT_EQ(facts.at(0).at("notes").at(0),
            "reads the weights of: kuangliu/pytorch-cifar, bamos/densenet.pytorch");
  EXPECT_EQ(finished({"describe", "vgg", "--json"}).at(0).at("notes"), json::array());
}

}  // namespace
}  // namespace qhost::tests

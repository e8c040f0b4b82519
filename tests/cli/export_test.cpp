// qhost export: the packed network, interpreted word for word, computes what evaluation does.
#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "cli/command_line.h"
#include "data/augment.h"
#include "jobs/assemble.h"
#include "jobs/load_run.h"
#include "jobs/run.h"
#include "packed/program_file.h"
#include "packed/reference_interpreter.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Words = Workshop::Words;

/// How far the packed network's logits are from evaluation's.
struct Agreement {
  int images = 0, decisions = 0;  ///< of how many the largest logit is the same
  int close = 0;                  ///< within 1e-4 of the image's largest logit
};

class Export : public CommandLine {
 protected:
  packed::Program exported(const Words& options) {
    Words words = {"run", "e.toml", "name=run", "--json"};
    words.insert(words.end(), options.begin(), options.end());
    finished(words);
    ok({"export", "runs/run/latest", "-o", "run.safetensors"});
    return packed::read_program(workshop_ / "run.safetensors");
  }

  Agreement agreement(const packed::Program& program, int images) {
    Registry registry{
        {.plugin_paths = {QHOST_BINARY_DIR "/lib/qhost/plugins"}, .default_paths = false}};
    const auto run = runs::RunDirectory::open(workshop_ / "runs/run/latest");
    const config::Experiment experiment = jobs::experiment_of_run(run.path(), registry);
    std::vector<std::string> complaints;
    const jobs::LoadedRun loaded =
        jobs::load_last_phase(run, experiment, registry, "selected", complaints);
    const data::Dataset data = jobs::load_data(experiment);
    const data::Augmenter augmenter(data.image, data::evaluation_options(experiment.augment, data));
    Agreement result;
    ReferenceInterpreter interpreter(program);
    for (std::size_t i = 0; result.images < images; ++i, ++result.images) {
      std::vector<float> image(static_cast<std::size_t>(data.image.elements()));
      augmenter.write(data.test.pixels.data() + i * image.size(), {}, image.data(),
                      data::Layout::nchw);
      at::Tensor x = at::empty({1, data.image.channels(), data.image.height(), data.image.width()},
                               at::kFloat);
      std::copy(image.begin(), image.end(), x.mutable_data_ptr<float>());
      x = x.contiguous(at::MemoryFormat::ChannelsLast);
      const at::Tensor logits = loaded.model->evaluate(x, loaded.position).contiguous();
      const float* wanted = logits.const_data_ptr<float>();
      const std::vector<float> got = interpreter.logits(image);
      float largest = 0, difference = 0;
      for (std::size_t k = 0; k < got.size(); ++k) {
        largest = std::max(largest, std::abs(wanted[k]));
        difference = std::max(difference, std::abs(wanted[k] - got[k]));
      }
      result.close += difference <= 1e-4F * largest ? 1 : 0;
      result.decisions += std::max_element(got.begin(), got.end()) - got.begin() ==
                                  std::max_element(wanted, wanted + got.size()) - wanted
                              ? 1
                              : 0;
    }
    return result;
  }

  packed::Program expect_agreement(const Words& options, int images = 64) {
    packed::Program program = exported(options);
    const Agreement found = agreement(program, images);
    // Sums are added in another order: a value at a threshold may get the other code.
    EXPECT_GE(found.close, found.images - 2);
    EXPECT_GE(found.decisions, found.images - 1);
    return program;
  }

  static int count(const packed::Program& program, packed::StepOp op) {
    return static_cast<int>(
        std::count_if(program.steps.begin(), program.steps.end(),
                      [op](const packed::Step& step) { return step.op == op; }));
  }
  static int integer_steps(const packed::Program& program) {
    return static_cast<int>(
        std::count_if(program.steps.begin(), program.steps.end(),
                      [](const packed::Step& step) { return !step.sum_thresholds.empty(); }));
  }
};

TEST_F(Export, OfFloatAndBinaryWeightsComputesTheSame) {
  for (const char* method : {"none", "bwn", "binaryconnect", "ternary", "ptq_fixed_point"}) {
    SCOPED_TRACE(method);
    const auto program = expect_agreement({std::string("quantizer.name=") + method});
    EXPECT_EQ(count(program, packed::StepOp::affine), 0) << "all folded";
  }
}

TEST_F(Export, OfAnXnorNetComputesTheSame) {
  for (const char* scale : {"none", "paper"}) {
    SCOPED_TRACE(scale);
    const Words words = {"quantizer.name=xnornet", std::string("quantizer.input_scale=") + scale};
    const auto program = expect_agreement(words);
    // conv1 of each block is read by conv2 alone; with K that reads the float, too.
    EXPECT_EQ(integer_steps(program), scale == std::string("none") ? 3 : 0);
    Words bireal = words;
    bireal.insert(bireal.end(), {"model.block=bireal", "model.preactivation=true"});
    expect_agreement(bireal);
  }
}

TEST_F(Export, OfIntegerInputsComputesTheSame) {
  const std::vector<Words> methods = {{"quantizer.name=bnn"},
                                      {"quantizer.name=bnn", "quantizer.padding_value=1"},
                                      {"quantizer.name=dorefa"},
                                      {"quantizer.name=lsq"},
                                      {"quantizer.name=lsq", "quantizer.input_bits=2"},
                                      {"quantizer.name=uniform", "quantizer.bits=4"},
                                      {"quantizer.name=ptq_static"}};
  for (const Words& words : methods) {
    SCOPED_TRACE(::testing::PrintToString(words));
    expect_agreement(words);
  }
}

TEST_F(Export, OfOtherNetworksComputesTheSame) {
  for (const char* network : {"densenet", "wideresnet", "vgg"}) {
    SCOPED_TRACE(network);
    Words words = {std::string("model.name=") + network, "train.epochs=1"};
    if (network == std::string("densenet")) {
      words.insert(words.end(), {"model.depth=10", "model.growth_rate=4"});
    } else if (network == std::string("wideresnet")) {
      words.insert(words.end(), {"model.depth=10", "model.widen_factor=1"});
    }
    for (const char* method : {"bwn", "bnn"}) {
      Words all = words;
      all.push_back(std::string("quantizer.name=") + method);
      SCOPED_TRACE(method);
      expect_agreement(all, 8);
    }
  }
}

TEST_F(Export, SaysWhereTheNetworkComesFromInTheSameBytesEachTime) {
  const packed::Program program = exported({"quantizer.name=dorefa", "quantizer.input_bits=3"});
  const packed::Provenance& about = program.provenance;
  EXPECT_EQ(about.name, "run");
  EXPECT_THAT(about.class_names, ElementsAre("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"));
  ASSERT_EQ(about.mean.size(), 1U);
  EXPECT_NEAR(about.mean[0], 0.305, 0.01);
  EXPECT_NEAR(about.deviation[0], 0.376, 0.01);
  EXPECT_EQ(about.more.at("quantizers"),
            json::parse(R"([{"name": "dorefa", "options": {"input_bits": 3}}])"));
  EXPECT_TRUE(about.more.at("test_accuracy").is_number());
  const std::string first = slurp(workshop_ / "run.safetensors");
  ok({"export", "runs/run/latest", "-o", "run.safetensors"});
  EXPECT_EQ(slurp(workshop_ / "run.safetensors"), first);
}

TEST_F(Export, KeepsTheChosenClassesAndTheNormalizationOfTheExperiment) {
  const packed::Program program =
      exported({"data.classes=[7,3]", "augment.mean=[0.25]", "augment.std=[0.5]"});
  EXPECT_THAT(program.provenance.class_names, ElementsAre("7", "3"));
  EXPECT_THAT(program.provenance.mean, ElementsAre(0.25));
  EXPECT_THAT(program.provenance.deviation, ElementsAre(0.5));
}

TEST_F(Export, ShowsTheSteps) {
  exported({"quantizer.name=xnornet", "quantizer.input_scale=none"});
  const ProcessResult shown = ok({"export", "runs/run/latest", "-o", "run.safetensors", "--json"});
  const json document = json::parse(shown.out);
  EXPECT_EQ(document.at("file"), "run.safetensors");
  EXPECT_EQ(document.at("sha256").get<std::string>().size(), 64U);
  EXPECT_GT(document.at("data_bytes").get<int>(), document.at("weight_bytes").get<int>());
  const json& steps = document.at("steps");
  EXPECT_EQ(steps.at(0).at("op"), "input");
  const auto found = std::find_if(steps.begin(), steps.end(), [](const json& step) {
    return step.at("name") == "stage1.block0.conv1";
  });
  ASSERT_NE(found, steps.end());
  EXPECT_EQ(found->at("weight"), "binary");
  EXPECT_EQ(found->at("input"), "binary");
  EXPECT_EQ(found->at("codes"), "binary");
}

TEST_F(Export, DestroysNothing) {
  exported({"train.epochs=1"});
  const std::string checkpoint = "runs/run/latest/checkpoints/step-00000005/state.safetensors";
  ASSERT_TRUE(fs::exists(workshop_ / checkpoint));
  const std::uintmax_t size = fs::file_size(workshop_ / checkpoint);
  EXPECT_THAT(refused({"export", "runs/run/latest", "-o", checkpoint}, 2),
              AllOf(HasSubstr("error: " + checkpoint + " lies in the run "),
                    HasSubstr("\nhelp: name a place outside of it")));
  EXPECT_THAT(refused({"export", "runs/run/latest", "-o", "runs/run/latest/new.safetensors"}, 2),
              HasSubstr(" lies in the run "));
  EXPECT_THAT(refused({"export", "runs/run/latest", "-o", "e.toml"}, 2),
              HasSubstr("error: e.toml exists, and is no packed network of this version\nhelp: "
                        "choose another name, or remove it"));
  EXPECT_EQ(fs::file_size(workshop_ / checkpoint), size);
  EXPECT_FALSE(fs::exists(workshop_ / "runs/run/latest/new.safetensors"));
  ok({"export", "runs/run/latest", "-o", "run.safetensors"});  // a packed network is replaced
}

TEST_F(Export, TellsOnlyTheAccuracyOfTheTestedWeights) {
  finished({"run", "e.toml", "name=run", "train.epochs=2", "train.keep_checkpoints=9", "--json"});
  const auto provenance = [&](const Words& more) {
    Words words = {"export", "runs/run/latest", "-o", "run.safetensors"};
    words.insert(words.end(), more.begin(), more.end());
    ok(words);
    return packed::read_program(workshop_ / "run.safetensors").provenance.more;
  };
  EXPECT_TRUE(provenance({}).contains("test_accuracy"));
  EXPECT_FALSE(provenance({"--checkpoint", "5"}).contains("test_accuracy"));
}

TEST_F(Export, SaysWhatTheRunIsNot) {
  exported({"train.epochs=1"});
  const auto said = [&](const char* key, const json& value) {
    json result = json::parse(slurp(workshop_ / "runs/run/latest/result.json"));
    result[key] = value;
    workshop_.write("runs/run/latest/result.json", result.dump());
    return ok({"export", "runs/run/latest", "-o", "run.safetensors"}).err;
  };
  EXPECT_THAT(said("verified", false),
              HasSubstr(" failed its proof: its packed network does not compute what was trained"));
  EXPECT_THAT(said("status", "interrupted"),
              HasSubstr(" is not finished: its status is interrupted"));
}

TEST_F(Export, SummaryTellsTheBytesOfTheFile) {
  exported({"quantizer.name=xnornet", "train.epochs=1"});
  const json exported_again =
      json::parse(ok({"export", "runs/run/latest", "-o", "again.safetensors", "--json"}).out);
  const json summary = json::parse(ok({"summary", "runs/run/latest", "--json"}).out);
  EXPECT_EQ(summary.at("file_bytes"), exported_again.at("data_bytes"));
  // The data section: all behind the 8 bytes of the header's length and the header.
  std::ifstream file(workshop_ / "again.safetensors", std::ios::binary);
  std::uint64_t header = 0;
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  EXPECT_EQ(summary.at("file_bytes").get<std::uint64_t>(),
            fs::file_size(workshop_ / "again.safetensors") - 8 - header);
  EXPECT_FALSE(json::parse(ok({"summary", "e.toml", "--json"}).out).contains("file_bytes"));
  EXPECT_THAT(ok({"summary", "runs/run/latest"}).out, HasSubstr("\npacked file   "));
}

TEST_F(Export, RefusesWhatHasNoPackedForm) {
  finished({"run", "e.toml", "name=many", "quantizer.name=binaryconnect",
            "quantizer.mode=stochastic", "quantizer.test_weights=ensemble", "--json"});
  EXPECT_THAT(refused({"export", "runs/many/latest", "-o", "x.safetensors"}, 2),
              HasSubstr("the network has no packed form:\n"
                        "  the network: evaluation averages the outputs of "));
  EXPECT_THAT(refused({"export", "runs/many/latest"}, 2),
              HasSubstr("error: qhost export: no file was given\nhelp: -o FILE.safetensors"));
  EXPECT_FALSE(fs::exists(workshop_ / "x.safetensors"));
}

}  // namespace
}  // namespace qhost::tests

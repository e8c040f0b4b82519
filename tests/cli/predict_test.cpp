// qhost predict: classes and probabilities of image files, notes on what was done to them, and
// errors that stop neither the other images nor hide in the exit code.
#include <gmock/gmock.h>

#include <cmath>

#include "cli/command_line.h"
#include "images/png_bytes.h"
#include "packed/mean_program.h"
#include "packed/program_file.h"

namespace qhost::tests {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class Predict : public CommandLine {
 protected:
  void SetUp() override {
    CommandLine::SetUp();
    // Of a mean of 1, 0 and -1: dark, gray and light.
    write_program("gray.safetensors", gray());
    write_program("color.safetensors",
                  mean_program(4, 4, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, {"red", "green", "blue"}));
    write_image("light.png", plain_image(4, 4, {255}));
    write_image("dark.png", plain_image(4, 4, {0}));
  }
  static packed::Program gray() {
    return mean_program(4, 4, {{-1}, {0}, {1}}, {"dark", "medium", "light"});
  }
  void write_program(const std::string& name, const packed::Program& program) {
    workshop_.write(name, packed::to_bytes(program));
  }
  void write_image(const std::string& name, const images::Image& image) {
    workshop_.write(name, png_bytes(image));
  }
  json predictions(Words words) {
    words.insert(words.begin(), "predict");
    words.emplace_back("--json");
    return json::parse(ok(words).out);
  }
};

TEST_F(Predict, PrintsTheClassesFromTheMostProbableOn) {
  // A white pixel is (1 - 0.5) / 0.25 = 2, a black one -2: e^2 : 1 : e^-2.
  EXPECT_EQ(ok({"predict", "gray.safetensors", "light.png", "dark.png", "--top", "2"}).out,
            "light.png\n"
            "  light    86.68 %\n"
            "  medium   11.73 %\n"
            "\n"
            "dark.png\n"
            "  dark     86.68 %\n"
            "  medium   11.73 %\n");
}

TEST_F(Predict, AsJsonHasEveryDigit) {
  const json all = predictions({"gray.safetensors", "light.png", "dark.png"});
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].at("image"), "light.png");
  EXPECT_EQ(all[0].at("notes"), json::array());
  const json& classes = all[0].at("classes");
  ASSERT_EQ(classes.size(), 3U) << "five, or all if there are fewer";
  const double sum = std::exp(2.0) + 1 + std::exp(-2.0);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(classes[i].at("index"), 2 - i);
    EXPECT_EQ(classes[i].at("logit"), 2 - 2 * i);
    EXPECT_NEAR(classes[i].at("probability").get<double>(), std::exp(2.0 - 2 * i) / sum, 1e-12);
  }
  EXPECT_EQ(classes[0].at("name"), "light");
  EXPECT_EQ(all[1].at("classes")[0].at("name"), "dark");
}

TEST_F(Predict, LargeLogitsOverflowNoProbability) {
  write_program("large.safetensors", mean_program(4, 4, {{1e20F}, {0}, {1e20F}}, {}));
  const json classes = predictions({"large.safetensors", "light.png"})[0].at("classes");
  EXPECT_EQ(classes[0].at("probability"), 0.5);
  EXPECT_EQ(classes[0].at("index"), 0) << "of equal ones the first";
  EXPECT_EQ(classes[1].at("index"), 2);
  EXPECT_EQ(classes[2].at("probability"), 0);
}

TEST_F(Predict, ALogitThatIsNotFiniteIsAnError) {
  write_program("large.safetensors", mean_program(4, 4, {{1}, {3e38F}}, {}));
  EXPECT_EQ(
      refused({"predict", "large.safetensors", "light.png"}, 5),
      "error: light.png: the network's output 1 is inf\nhelp: `qhost verify RUN` says whether "
      "the packed network is at fault\n");
}

TEST_F(Predict, WithoutNamesAClassIsItsIndex) {
  packed::Program program = gray();
  program.provenance.class_names.clear();
  write_program("plain.safetensors", program);
  EXPECT_THAT(ok({"predict", "plain.safetensors", "light.png", "--top", "1"}).out,
              HasSubstr("\n  2   86.68 %\n"));
  EXPECT_EQ(predictions({"plain.safetensors", "light.png"})[0].at("classes")[0].at("name"),
            nullptr);
}

TEST_F(Predict, ChannelsHaveTheirPlaces) {
  write_image("orange.png", plain_image(4, 4, {250, 130, 10}));
  const json classes = predictions({"color.safetensors", "orange.png"})[0].at("classes");
  EXPECT_EQ(classes[0].at("name"), "red");
  EXPECT_EQ(classes[1].at("name"), "green");
  EXPECT_EQ(classes[2].at("name"), "blue");
  EXPECT_NEAR(classes[0].at("logit").get<double>(), (250 / 255.0 - 0.5) / 0.25, 1e-6);
  EXPECT_NEAR(classes[2].at("logit").get<double>(), (10 / 255.0 - 0.5) / 0.25, 1e-6);
}

TEST_F(Predict, SaysWhatWasDoneToAnImage) {
  write_image("cat.png", plain_image(64, 48, {255, 255, 255}));
  EXPECT_EQ(ok({"predict", "gray.safetensors", "cat.png", "--top", "1"}).out,
            "cat.png\n"
            "  light   86.68 %\n"
            "note: cat.png: its colors became gray (ITU-R 601-2 luma)\n"
            "note: cat.png: 64x48 was resized to 5x4 and cropped to 4x4\n");
  EXPECT_THAT(predictions({"color.safetensors", "light.png"})[0].at("notes"),
              ElementsAre("light.png: its gray became red, green and blue"));
}

TEST_F(Predict, ABadImageIsReportedAndTheOthersAreClassified) {
  workshop_.write("notes.txt", "hello world");
  for (const char* threads : {"1", "3"}) {
    const ProcessResult result =
        workshop_.run({"predict", "gray.safetensors", "light.png", "notes.txt", "gone.png",
                       "dark.png", "--top", "1", "--threads", threads});
    EXPECT_EQ(result.code, 4) << "of the first failure";
    EXPECT_THAT(result.out, AllOf(StartsWith("light.png\n"), HasSubstr("\n\ndark.png\n")));
    EXPECT_EQ(result.err,
              "error: notes.txt is no PNG or JPEG: it begins with \"hello wo\"\n"
              "help: give a PNG or JPEG file\n"
              "error: cannot read gone.png: No such file or directory\n"
              "help: check the path; a folder on the way may be missing\n");
  }
  const ProcessResult result =
      workshop_.run({"predict", "gray.safetensors", "gone.png", "dark.png", "notes.txt", "--json"});
  EXPECT_EQ(result.code, 6);
  const json all = json::parse(result.out);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].at("image"), "gone.png");
  EXPECT_EQ(all[0].at("error").at("exit_code"), 6);
  EXPECT_EQ(all[0].at("error").at("message"), "cannot read gone.png: No such file or directory");
  EXPECT_EQ(all[1].at("classes")[0].at("name"), "dark");
  EXPECT_EQ(all[2].at("error").at("exit_code"), 4);
}

TEST_F(Predict, ThreadsChangeNoBit) {
  Words words = {"predict", "color.safetensors", "--json"};
  for (std::uint8_t i = 0; i < 7; ++i) {
    words.push_back(std::to_string(i) + ".png");
    write_image(words.back(), plain_image(5, 9, {i, 99, 7}));
  }
  const std::string one = ok(words).out;
  words.insert(words.end(), {"--threads", "3"});
  EXPECT_EQ(ok(words).out, one);
}

TEST_F(Predict, WhatIsNoPackedNetworkIsAnsweredWithTheCommandThatMakesOne) {
  const std::string run_command =
      "`qhost export RUN -o FILE.safetensors` writes the packed network of a run\n";
  const auto predict = [&](const std::string& file, int code) {
    return refused({"predict", file, "light.png"}, code);
  };
  workshop_.write("runs/r/1/resolved.toml", "");
  EXPECT_EQ(predict("runs/r/1", 2),
            "error: runs/r/1 is a run, not a packed network\nhelp: `qhost export runs/r/1 -o "
            "FILE.safetensors` writes the packed network of a run\n");
  EXPECT_EQ(predict("runs", 2),
            "error: runs is a folder, not a packed network\nhelp: " + run_command);
  EXPECT_EQ(
      predict("e.toml", 2),
      "error: e.toml is an experiment, not a packed network\nhelp: `qhost run e.toml` trains "
      "it, and `qhost export RUN -o FILE.safetensors` writes the packed network of the run\n");
  EXPECT_THAT(refused({"bench", "e.toml"}, 2),
              StartsWith("error: e.toml is an experiment, not a packed network\n"));
  workshop_.write("net.pt", "PK\x03\x04 and more");
  EXPECT_EQ(predict("net.pt", 2),
            "error: net.pt is a zip archive, as torch.save() writes, not a packed network\nhelp: " +
                run_command);
  EXPECT_THAT(predict("gone.safetensors", 6),
              StartsWith("error: cannot read gone.safetensors: No such file or directory\n"));
  ok({"run", "e.toml", "name=r", "train.epochs=0"});
  ok({"weights", "runs/r/latest", "-o", "weights.safetensors"});
  EXPECT_EQ(predict("weights.safetensors", 6),
            "error: weights.safetensors has the format `qhost.weights`, not `qhost packed "
            "network`\nhelp: "
            "`qhost export RUN -o FILE.safetensors` writes a packed network\n");
  EXPECT_EQ(predict("light.png", 2),
            "error: light.png is a PNG image, not a packed network\nhelp: " + run_command);
}

TEST_F(Predict, ANetworkThatReadsNoImageFilesIsRefused) {
  write_program("two.safetensors", mean_program(4, 4, {{1, 1}, {2, 2}}, {}));
  EXPECT_EQ(refused({"predict", "two.safetensors", "light.png"}, 2),
            "error: the packed network reads inputs of shape [2,4,4], and image files give 1 or 3 "
            "channels\nhelp: run it through sdk/include/qhost_runtime.h\n");
  packed::Program whitened = gray();
  whitened.provenance.mean.clear();
  whitened.provenance.deviation.clear();
  write_program("raw.safetensors", whitened);
  const ProcessResult raw = ok({"predict", "raw.safetensors", "light.png"});
  EXPECT_EQ(raw.err,
            "note: the packed network has no mean and deviation: its inputs are pixel / 255\n");
  EXPECT_THAT(raw.out, HasSubstr("\n  light    66.52 %\n"));  // e : 1 : 1/e
  whitened.provenance.more["whitening"] = "gcn_zca";
  write_program("whitened.safetensors", whitened);
  EXPECT_EQ(refused({"predict", "whitened.safetensors", "light.png"}, 2),
            "error: the packed network was trained on whitened images (\"gcn_zca\"), and its file "
            "has no statistics to whiten others with\nhelp: `qhost eval` evaluates its run; train "
            "without augment.whitening for a network that reads image files\n");
}

TEST_F(Predict, ChecksItsArguments) {
  EXPECT_EQ(refused({"predict"}, 2),
            "error: qhost predict: no packed network was given\nhelp: `qhost predict --help` lists "
            "the options\n");
  EXPECT_EQ(refused({"predict", "gray.safetensors"}, 2),
            "error: qhost predict: no image was given\nhelp: `qhost predict FILE IMAGE...` "
            "classifies the images with the packed network FILE\n");
  for (const char* number : {"0", "-1", "two", "1025", "99999999999"}) {
    EXPECT_EQ(
        refused({"predict", "gray.safetensors", "light.png", std::string("--threads=") + number},
                2),
        "error: --threads " + std::string(number) +
            " is not a number from 1 to 1024\nhelp: leave --threads out for 1\n");
  }
  EXPECT_THAT(refused({"predict", "gray.safetensors", "light.png", "--top", "0"}, 2),
              StartsWith("error: --top 0 is not a number from 1 to 1000000\n"));
}

// The whole way: a run's packed network reads a digit that it was trained on.
TEST_F(Predict, ATrainedNetworkReadsAnImage) {
  ok({"run", "e.toml", "name=r", "data.fraction=1", "train.epochs=3"});
  ok({"export", "runs/r/latest", "-o", "r.safetensors"});
  // The first of the digits: its pixels 0..16 (g) become 0..255.
  images::Image image{.width = 8, .height = 8, .channels = 1};
  for (const char c :
       std::string("005d910000dfaf5003f20b8004c008800580098004b01c7002e5ac00006da000")) {
    const int value = c <= '9' ? c - '0' : c - 'a' + 10;
    image.pixels.push_back(static_cast<std::uint8_t>((255 * value + 8) / 16));
  }
  write_image("zero.png", image);
  const json one = predictions({"r.safetensors", "zero.png"})[0];
  EXPECT_EQ(one.at("notes"), json::array());
  ASSERT_EQ(one.at("classes").size(), 5U);
  EXPECT_EQ(one.at("classes")[0].at("name"), "0");
}

}  // namespace
}  // namespace qhost::tests

#include "runs/run_result.h"

#include <gmock/gmock.h>

#include <cmath>
#include <fstream>

#include "qhost/error.h"
#include "storage/support.h"

namespace qhost::runs {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Each key, with a value of its type.
json whole() {
  return json::parse(R"({
    "status": "finished", "error": "none", "exit_code": 0, "run_dir": "runs/a/1", "name": "a",
    "label": "x", "qhost": "0.1.0", "commit": "abc", "epochs": 3, "steps": 30,
    "quantized_layers": 5, "quantized_inputs": 4, "parameters": 100, "macs": 4294967297,
    "weight_bytes": 77, "float_weight_bytes": 400, "bits_per_weight": 1.25, "bits_per_input": 32.0,
    "verified": null, "data": "digits", "data_remark": "", "dataset_provenance": "embedded",
    "allowed": ["plugin/x: a before, b since"], "test_accuracy": 0.75, "test_top5_accuracy": 1.0,
    "test_loss": 0.5, "test_loss_without_label_smoothing": 0.25, "test_samples": 4,
    "test_per_class": [{"correct": 1, "samples": 2}, {"correct": 2, "samples": 2}],
    "test_accuracy_before_bn_recalibration": 0.5, "test_loss_before_bn_recalibration": 0.625,
    "bn_recalibration_batches": 8, "selected_by": "validation accuracy", "best_epoch": 2,
    "validation_accuracy": 0.875, "validation_is_test_images": false, "quantizer": "ptq_static",
    "float_test_accuracy": 0.8125, "float_test_loss": 0.375,
    "init_from": {"file": "/w/state.safetensors", "sha256": "00ff"},
    "parent": {"run": "/r", "exact": true, "changed": {}}})");
}

RunResult parsed(const json& object) {
  return run_result_from_json(object, "runs/a/1/result.json");
}

TEST(RunResult, EveryKeyComesBack) {
  const RunResult result = parsed(whole());
  EXPECT_EQ(result.status, "finished");
  EXPECT_EQ(result.macs, 4294967297);
  EXPECT_EQ(result.bits_per_weight, 1.25);
  ASSERT_EQ(result.test_per_class->size(), 2U);
  EXPECT_EQ(result.test_per_class->at(1), (RunResult::ClassCount{2, 2}));
  EXPECT_EQ(result.init_from->sha256, "00ff");
  EXPECT_EQ(to_json(result), whole());
  // The same text: an integer stays one, keys are sorted.
  EXPECT_EQ(to_json(result).dump(2), whole().dump(2));
}

TEST(RunResult, WhatIsEmptyHasNoKey) {
  EXPECT_EQ(to_json(RunResult()), json::object());
  RunResult result;
  result.status = "interrupted";
  result.steps = 7;
  EXPECT_EQ(to_json(result), json({{"status", "interrupted"}, {"steps", 7}}));
}

// Older builds wrote fewer keys, a later one may write more.
TEST(RunResult, MissingAndUnknownKeys) {
  const RunResult result = parsed({{"status", "finished"}, {"cpu", {{"model", "x"}}}});
  EXPECT_EQ(result.status, "finished");
  EXPECT_FALSE(result.bits_per_input);
  EXPECT_FALSE(result.verified);
  EXPECT_EQ(to_json(result), json({{"status", "finished"}}));
}

TEST(RunResult, ANumberThatIsNotFiniteIsNull) {
  RunResult result = parsed({{"test_loss", nullptr}, {"test_accuracy", 1}});
  ASSERT_TRUE(result.test_loss);
  EXPECT_TRUE(std::isnan(*result.test_loss));
  EXPECT_EQ(result.test_accuracy, 1.0);
  EXPECT_TRUE(result.has_no_finite_loss());
  EXPECT_EQ(to_json(result).dump(), R"({"test_accuracy":1.0,"test_loss":null})");
  result.test_loss = HUGE_VAL;
  EXPECT_TRUE(result.has_no_finite_loss());
  result.test_loss = 0.5;
  EXPECT_FALSE(result.has_no_finite_loss());
  EXPECT_FALSE(RunResult().has_no_finite_loss()) << "nothing is known of it";
}

TEST(RunResult, AnotherTypeIsRefused) {
  const std::vector<std::pair<json, std::string>> cases = {
      {{{"status", 3}}, "`status` must be a string and is an integer"},
      {{{"test_accuracy", "0.5"}}, "`test_accuracy` must be a number or null and is a string"},
      {{{"macs", 2.5}}, "`macs` must be an integer and is a number"},
      {{{"steps", nullptr}}, "`steps` must be an integer and is null"},
      {{{"validation_is_test_images", 1}},
       "`validation_is_test_images` must be a boolean and is an integer"},
      {{{"allowed", "all"}}, "`allowed` must be an array and is a string"},
      {{{"allowed", {"one", true}}}, "`allowed[1]` must be a string and is a boolean"},
      {{{"test_per_class", json::array({json::object(), {{"correct", "1"}}})}},
       "`test_per_class[1].correct` must be an integer and is a string"},
      {{{"init_from", "a file"}}, "`init_from` must be an object and is a string"},
      {{{"parent", json::array()}}, "`parent` must be an object and is an array"},
  };
  for (const auto& [object, sentence] : cases) {
    try {
      parsed(object);
      ADD_FAILURE() << "nothing was thrown for " << object;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::storage);
      EXPECT_THAT(error.what(), StartsWith("runs/a/1/result.json: " + sentence + "\nhelp: "));
    }
  }
}

TEST(RunResult, OfAFile) {
  const storage::TestFolder folder;
  const fs::path file = folder / "result.json";
  EXPECT_FALSE(read_run_result(file, "do this")) << "there is none";
  std::ofstream(file) << whole().dump();
  EXPECT_EQ(to_json(*read_run_result(file, "do this")), whole());
  for (const char* text : {"{\"status\": \"fini", "[]", ""}) {
    std::ofstream(file) << text;
    try {
      read_run_result(file, "do this");
      ADD_FAILURE() << "nothing was thrown for " << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::storage);
      EXPECT_EQ(error.what(), file.string() + " is damaged: it is no JSON object\nhelp: do this");
    }
  }
}

}  // namespace
}  // namespace qhost::runs

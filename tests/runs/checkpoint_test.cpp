#include "runs/checkpoint.h"

#include <gmock/gmock.h>

#include <limits>

#include "runs/checkpoint_support.h"
#include "storage/sha256.h"

namespace qhost::storage {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class Checkpoint : public ::testing::Test {
 protected:
  runs::LoadedCheckpoint newest() {
    complaints_.clear();
    auto loaded = runs::load_newest(directory_, complaints_);
    if (!loaded) throw Error(ErrorKind::internal, "no checkpoint");
    return std::move(*loaded);
  }
  std::string reason(const fs::path& folder) {
    return error_of(ErrorKind::storage, [&] { runs::load_checkpoint(folder); });
  }
  TestFolder folder_;
  const fs::path directory_ = folder_.path();
  std::vector<std::string> complaints_;
};

TEST_F(Checkpoint, ComesBackAsItWas) {
  const SampleState state(1234);
  const fs::path folder = runs::write_checkpoint(directory_, 1234, state.tensors(), state.json(),
                                                 {.notes = {{"written", "2026-11-23T14:52:07Z"}}});
  EXPECT_EQ(folder, directory_ / "step-00001234");
  EXPECT_EQ(names_in(folder), "manifest.json state.json state.safetensors");
  EXPECT_EQ(names_in(directory_), "step-00001234");
  const runs::LoadedCheckpoint loaded = newest();
  state.expect_in(loaded);
  EXPECT_EQ(loaded.folder, folder);
  EXPECT_EQ(loaded.notes.at("written"), "2026-11-23T14:52:07Z");
  EXPECT_THAT(complaints_, IsEmpty());
  const json manifest = json::parse(slurp(folder / "manifest.json"));
  EXPECT_EQ(manifest.at("format"), "qhost checkpoint 1");
  for (const char* file : {"state.json", "state.safetensors"}) {
    EXPECT_EQ(manifest.at("files").at(file).at("sha256"), sha256_file(folder / file));
    EXPECT_EQ(manifest.at("files").at(file).at("bytes"), fs::file_size(folder / file));
  }
}

TEST_F(Checkpoint, EqualStateGivesEqualFilesWhateverTheNotes) {
  const TestFolder other;
  const SampleState state(7);
  const auto first = runs::write_checkpoint(directory_, 7, state.tensors(), state.json(),
                                            {.notes = {{"seconds", 1.5}}});
  const auto second = runs::write_checkpoint(other.path(), 7, state.tensors(), state.json(),
                                             {.notes = {{"seconds", 2.5}}});
  EXPECT_EQ(slurp(first / "state.safetensors"), slurp(second / "state.safetensors"));
  EXPECT_EQ(slurp(first / "state.json"), slurp(second / "state.json"));
  EXPECT_NE(slurp(first / "manifest.json"), slurp(second / "manifest.json"));
}

TEST_F(Checkpoint, FloatingPointStateKeepsItsBits) {
  const SampleState state(0);
  const json numbers = {{"a", 0.1},
                        {"b", 1.0 / 3},
                        {"c", 5e-324},
                        {"d", -0.0},
                        {"e", std::numeric_limits<std::int64_t>::min()},
                        {"f", std::numeric_limits<std::uint64_t>::max()}};
  runs::write_checkpoint(directory_, 0, state.tensors(), numbers);
  const json back = newest().state;
  EXPECT_EQ(back, numbers);
  EXPECT_TRUE(std::signbit(back.at("d").get<double>()));
}

TEST_F(Checkpoint, WhatJsonCannotHoldIsRefused) {
  const SampleState state(1);
  const auto message = [&](const json& value, int keep = 2) {
    return error_of(ErrorKind::internal, [&] {
      runs::write_checkpoint(directory_, 1, state.tensors(), value, {.keep = keep});
    });
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(message({{"best", {{"losses", {1.0, nan}}}}}),
              StartsWith("cannot checkpoint: state/best/losses/1 is not finite"));
  EXPECT_THAT(message({{"name", "\xff"}}), HasSubstr("the state is not UTF-8"));
  EXPECT_THAT(message(json::array()), HasSubstr("the state is not a JSON object"));
  EXPECT_THAT(message(json::object(), 1), HasSubstr("keep is 1, at least 2 are needed"));
  EXPECT_THAT(error_of(ErrorKind::internal, [&] { write_sample(directory_, -1); }),
              HasSubstr("cannot checkpoint step -1"));
  EXPECT_EQ(names_in(directory_), "");
}

TEST_F(Checkpoint, KeepsTheNewest) {
  for (const int step : {10, 20, 30}) write_sample(directory_, step);
  EXPECT_EQ(names_in(directory_), "step-00000020 step-00000030");
  write_sample(directory_, 40, 3);
  EXPECT_EQ(names_in(directory_), "step-00000020 step-00000030 step-00000040");
  write_sample(directory_, 123456789);
  EXPECT_THAT(runs::checkpoint_steps(directory_), ElementsAre(123456789, 40));
}

TEST_F(Checkpoint, RemovesAFutureThatWasLeft) {
  for (const int step : {10, 20, 30}) write_sample(directory_, step, 5);
  write_sample(directory_, 15, 5);
  EXPECT_THAT(runs::checkpoint_steps(directory_), ElementsAre(15, 10));
}

TEST_F(Checkpoint, ReplacesTheSameStep) {
  write_sample(directory_, 10);
  spill(directory_ / "step-00000010/state.json", "damaged");
  write_sample(directory_, 10);
  SampleState(10).expect_in(newest());
  EXPECT_EQ(names_in(directory_), "step-00000010");
}

TEST_F(Checkpoint, NoneIsNoneAndStrangersAreLeftAlone) {
  EXPECT_FALSE(runs::load_newest(directory_ / "missing", complaints_));
  fs::create_directory(directory_ / "step-12");
  fs::create_directory(directory_ / "step-0000001x");
  fs::create_directory(directory_ / "step--0000001");
  EXPECT_FALSE(runs::load_newest(directory_, complaints_));
  EXPECT_FALSE(runs::load_best(directory_));
  write_sample(directory_, 1);
  write_sample(directory_, 2);
  write_sample(directory_, 3);
  EXPECT_EQ(runs::sweep_checkpoints(directory_), 0);
  EXPECT_EQ(names_in(directory_),
            "step--0000001 step-00000002 step-00000003 step-0000001x step-12");
}

/// One kind of damage to a checkpoint, and its message.
struct Damage {
  const char* name;
  std::function<void(const fs::path& folder)> apply;
  std::string reason;  ///< FOLDER stands for the folder
};
void PrintTo(const Damage& damage, std::ostream* out) {
  *out << damage.name;
}

void flip_last_bit(const fs::path& path) {
  std::string bytes = slurp(path);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  spill(path, bytes);
}

void edit(const fs::path& path, const std::string& from, const std::string& to) {
  std::string text = slurp(path);
  const std::size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos);
  spill(path, text.replace(at, from.size(), to));
}

std::vector<Damage> damages() {
  return {
      {"flipped_bit", [](const fs::path& f) { flip_last_bit(f / "state.safetensors"); },
       "FOLDER/state.safetensors: has SHA-256 "},
      {"cut_tensors", [](const fs::path& f) { fs::resize_file(f / "state.safetensors", 50); },
       "FOLDER/state.safetensors: has 50 bytes, its manifest says 100"},
      {"empty_tensors", [](const fs::path& f) { spill(f / "state.safetensors", ""); },
       "FOLDER/state.safetensors: has 0 bytes, its manifest says 100"},
      {"missing_tensors", [](const fs::path& f) { fs::remove(f / "state.safetensors"); },
       "FOLDER/state.safetensors: cannot be read: No such file or directory"},
      {"changed_state", [](const fs::path& f) { flip_last_bit(f / "state.json"); },
       "FOLDER/state.json: has SHA-256 "},
      {"missing_state", [](const fs::path& f) { fs::remove(f / "state.json"); },
       "FOLDER/state.json: cannot be read: No such file or directory"},
      {"missing_manifest", [](const fs::path& f) { fs::remove(f / "manifest.json"); },
       "cannot read FOLDER/manifest.json: No such file or directory"},
      {"cut_manifest", [](const fs::path& f) { fs::resize_file(f / "manifest.json", 20); },
       "FOLDER/manifest.json: not valid JSON"},
      {"manifest_without_files",
       [](const fs::path& f) { edit(f / "manifest.json", "\"files\"", "\"f\""); },
       "FOLDER/manifest.json: not a manifest: "},
      {"manifest_is_a_list", [](const fs::path& f) { spill(f / "manifest.json", "[]"); },
       "FOLDER/manifest.json: not a manifest: "},
      {"another_format",
       [](const fs::path& f) { edit(f / "manifest.json", "checkpoint 1", "checkpoint 2"); },
       "FOLDER/manifest.json: format is \"qhost checkpoint 2\", this version reads \"qhost "
       "checkpoint 1\""},
      {"another_step", [](const fs::path& f) { edit(f / "manifest.json", ": 20", ": 21"); },
       "FOLDER/manifest.json: is of step 21, the folder's name says 20"},
  };
}

class DamagedCheckpoint : public Checkpoint, public ::testing::WithParamInterface<Damage> {};

TEST_P(DamagedCheckpoint, IsNamedAndTheOneBeforeIsUsed) {
  write_sample(directory_, 10);
  const fs::path folder = write_sample(directory_, 20);
  GetParam().apply(folder);
  std::string expected = GetParam().reason;
  expected.replace(expected.find("FOLDER"), 6, folder.string());
  EXPECT_THAT(reason(folder), StartsWith(expected));

  SampleState(10).expect_in(newest());
  ASSERT_EQ(complaints_.size(), 1u);
  EXPECT_THAT(complaints_[0], StartsWith("checkpoint step-00000020 is damaged: " + expected));
  EXPECT_THAT(complaints_[0], ::testing::EndsWith("; step-00000010 is used instead"));

  // The only remaining checkpoint is damaged too: a silent new start must not happen.
  fs::remove(directory_ / "step-00000010/state.json");
  const std::string message = error_of(ErrorKind::storage, [&] { newest(); });
  EXPECT_THAT(message, StartsWith("no checkpoint in " + directory_.string() + " can be used\n"));
  EXPECT_THAT(message, HasSubstr("\n  step-00000020 is damaged: " + expected));
  EXPECT_THAT(message, HasSubstr("\n  step-00000010 is damaged: " + directory_.string() +
                                 "/step-00000010/state.json: cannot be read: "));
  EXPECT_THAT(message, HasSubstr("\nhelp: restore one from a backup, or start a new run"));
  EXPECT_THAT(complaints_, IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Every, DamagedCheckpoint, ::testing::ValuesIn(damages()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_F(Checkpoint, BestIsReplacedAndVerified) {
  EXPECT_FALSE(runs::load_best(directory_));
  write_sample(directory_, 10);
  write_sample_best(directory_, 10);
  EXPECT_EQ(names_in(directory_), "best best-00000010 step-00000010");
  SampleState(10).expect_in(*runs::load_best(directory_));
  write_sample_best(directory_, 30);
  EXPECT_EQ(names_in(directory_), "best best-00000030 step-00000010");
  SampleState(30).expect_in(*runs::load_best(directory_));
  write_sample_best(directory_, 30);
  SampleState(30).expect_in(*runs::load_best(directory_));
  EXPECT_EQ(slurp(directory_ / "best/state.json"), slurp(directory_ / "best-00000030/state.json"));
  write_sample(directory_, 20);
  SampleState(20).expect_in(newest());
  flip_last_bit(directory_ / "best-00000030/state.safetensors");
  EXPECT_THAT(error_of(ErrorKind::storage, [&] { runs::load_best(directory_); }),
              HasSubstr("has SHA-256"));
}

TEST_F(Checkpoint, BestSurvivesACopyThatResolvedItsLink) {
  write_sample_best(directory_, 10);
  fs::remove(directory_ / "best");
  fs::rename(directory_ / "best-00000010", directory_ / "best");
  SampleState(10).expect_in(*runs::load_best(directory_));
  write_sample_best(directory_, 20);
  SampleState(20).expect_in(*runs::load_best(directory_));
  EXPECT_EQ(names_in(directory_), "best best-00000020");
}

}  // namespace
}  // namespace qhost::storage

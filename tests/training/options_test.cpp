// Every option in `qhost describe` has an effect: another value changes the checkpoint or an
// evaluation of a run of three steps, or the option is in the list of those that must not.
#include <gmock/gmock.h>

#include <set>

#include "cli/process.h"
#include "config/load.h"
#include "config/schema.h"
#include "jobs/catalog.h"
#include "jobs/run.h"
#include "runs/checkpoint.h"

namespace qhost::training {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

/// "quantizer lsq weight_bits", or "train epochs" for an option of a table.
using Key = std::string;

// ---- what the generator cannot know -------------------------------------------------------------

/// Settings that an option needs to have an effect, also for the run with its default. With several
/// lines, each value must have an effect with one of them. Absent: none needed.
const std::map<Key, std::vector<Words>>& contexts() {
  static const Words whitened = {"augment.whitening=gcn_zca"};
  // With ptq_static's default, observers run in training too and start anew in each epoch.
  static const Words observed = {"quantizer.name=ptq_static", "quantizer.observe=calibration"};
  static const Words both = {"augment.mean=[0.4]", "augment.std=[0.4]"};
  static const std::vector<Words> paper_start = {{}, {"quantizer.lr_scale=glorot"}};
  static const std::map<Key, std::vector<Words>> all = {
      {"data digits split_seed", {{"data.validation=30"}}},
      {"augment mean", {both}},
      {"augment std", {both}},
      {"augment padding_mode", {{"augment.crop_padding=2"}}},
      {"augment gcn_scale", {whitened}},
      {"augment gcn_subtract_mean", {whitened}},
      {"augment gcn_use_std", {whitened}},
      {"augment gcn_sqrt_bias", {whitened}},
      {"augment gcn_min_divisor", {whitened}},
      {"augment zca_filter_bias", {whitened}},
      {"train drop_last", {{"train.batch_size=40"}}},
      {"train bn_recalibrate", {{"train.batch_size=32"}}},
      {"calibration batches", {observed}},
      {"calibration batch_size", {observed}},
      {"quantizer layers", {{"quantizer.name=bwn"}}},
      {"quantizer roles", {{"quantizer.name=lsq"}}},
      {"quantizer keep_float", {{"quantizer.name=bwn"}}},
      {"optimizer sgd weight_decay_on", {{"optimizer.weight_decay=0.1"}}},
      {"optimizer adam weight_decay_on", {{"optimizer.weight_decay=0.1"}}},
      {"optimizer adamw weight_decay_on", {{"optimizer.weight_decay=0.1"}}},
      {"schedule constant warmup_start", {{"schedule.warmup_epochs=1"}}},
      {"schedule step warmup_start", {{"schedule.warmup_epochs=1"}}},
      {"schedule multi_step warmup_start", {{"schedule.warmup_epochs=1"}}},
      {"schedule cosine warmup_start", {{"schedule.warmup_epochs=1"}}},
      {"schedule exponential warmup_start", {{"schedule.warmup_epochs=1"}}},
      {"schedule step factor", {{"schedule.every=1"}}},
      {"schedule cosine per", {{"train.batch_size=34"}}},
      {"schedule exponential per", {{"train.batch_size=34"}}},
      // Networks of millions of weights: a single step shows the effect.
      {"model resnet family", {{"train.max_steps=1"}}},
      {"model densenet family", {{"train.max_steps=1"}}},
      {"model resnet shortcut",
       {{}, {"model.family=imagenet", "model.depth=18", "train.max_steps=1"}}},
      {"quantizer binaryconnect test_weights", {{}, {"quantizer.mode=stochastic"}}},
      {"quantizer binaryconnect samples", {{"quantizer.test_weights=ensemble"}}},
      {"quantizer binaryconnect init", paper_start},
      {"train init_except", {{"train.init_from=source"}}},
      {"quantizer bnn init", paper_start},
      {"quantizer lsq signed_inputs", {{}, {"model.activation=hardtanh"}}},
      {"quantizer dorefa gradient", {{"quantizer.weight_bits=2"}}},
      {"quantizer ptq_static averaging_constant", {{"quantizer.observer=moving_average"}}},
      {"quantizer ptq_static training", {{"quantizer.observe=calibration"}}},
      {"quantizer ptq_static bias_correction", {{"train.epochs=0", "train.init_from=source"}}},
      {"quantizer ptq_static percentile", {{"quantizer.observer=percentile"}}},
      {"quantizer ptq_static search_levels", {{"quantizer.input_bits=3"}}},
      {"quantizer ptq_static weight_range", {{"quantizer.weight_bits=2"}}},
  };
  return all;
}

/// Values to use instead of generated ones, with the settings that they need.
const std::map<Key, std::vector<Words>>& values() {
  static const std::map<Key, std::vector<Words>> all = {
      {"data digits classes", {{"data.classes=[3, 1, 7]"}}},
      {"data digits fraction", {{"data.fraction=0.1"}}},
      {"data digits validation", {{"data.validation=30"}}},
      {"augment mean", {{"augment.mean=[0.25]"}}},
      {"augment std", {{"augment.std=[0.5]"}}},
      {"augment gcn_sqrt_bias", {{"augment.gcn_sqrt_bias=10.0"}}},
      {"augment gcn_min_divisor", {{"augment.gcn_min_divisor=1e6"}}},
      {"train epochs", {{"train.epochs=2"}}},
      {"train max_steps", {{"train.max_steps=2"}}},
      {"train gradient_clip", {{"train.gradient_clip=0.01"}}},
      {"train init_from", {{"train.init_from=source"}}},
      {"train init_except", {{"train.init_except=[\"fc\"]"}}},
      {"train batch_size", {{"train.batch_size=32"}}},
      {"train evaluate_every", {{"train.evaluate_every=3"}}},
      {"calibration batches", {{"calibration.batches=1"}}},
      {"calibration batch_size", {{"calibration.batch_size=8"}}},
      {"quantizer layers", {{"quantizer.layers=[\"stage2.*\"]"}}},
      {"quantizer roles", {{"quantizer.roles=[\"weight\"]"}, {"quantizer.roles=[\"input\"]"}}},
      {"quantizer keep_float", {{"quantizer.keep_float=[]"}}},
      {"optimizer adam epsilon", {{"optimizer.epsilon=1e-3"}}},
      {"optimizer adamw epsilon", {{"optimizer.epsilon=1e-3"}}},
      {"schedule step every", {{"schedule.every=1"}}},
      {"schedule multi_step milestones", {{"schedule.milestones=[2]"}}},
      {"schedule one_cycle final_divisor", {{"schedule.final_divisor=2.0"}}},
      {"model resnet family", {{"model.family=imagenet", "model.depth=18"}}},
      {"model resnet depth", {{"model.depth=14"}}},
      {"model vgg width", {{"model.width=8"}}},
      {"model wideresnet depth", {{"model.depth=16"}}},
      {"model wideresnet widen_factor", {{"model.widen_factor=2"}}},
      {"model densenet family", {{"model.family=imagenet", "model.depth=121"}}},
      {"model densenet depth", {{"model.depth=16"}}},
      {"quantizer dorefa gradient_bits", {{"quantizer.gradient_bits=4"}}},
      {"quantizer ptq_codebook iterations", {{"quantizer.iterations=0"}}},
      {"quantizer ptq_static percentile", {{"quantizer.percentile=60.0"}}},
      {"quantizer ptq_static averaging_constant", {{"quantizer.averaging_constant=0.9"}}},
      {"quantizer uniform percentile", {{"quantizer.percentile=80.0"}}},
  };
  return all;
}

/// Options that must not change a bit, and why. Options declared not_part_of_result() count too.
const std::map<Key, std::string>& without_effect() {
  static const std::map<Key, std::string> all = {};
  return all;
}

/// Options that are not tested, and why.
const std::map<Key, std::string>& not_tried() {
  static const std::map<Key, std::string> all = {
      {"train device", "another device may not be there"},
      {"train threads", "they change the order of sums, and so the last bits, or nothing"},
      {"train evaluation_batch_size", "it changes the order of sums, or nothing"},
      {"data digits root", "the set is embedded"},
  };
  return all;
}

/// Settings that make a component small or valid.
Words setting_of(const std::string& kind, const std::string& name) {
  Words words;
  if (name.empty()) return words;
  words.push_back(kind + ".name=" + name);
  if (name == "resnet") words.push_back("model.depth=8");
  if (name == "wideresnet") {
    words.insert(words.end(), {"model.depth=10", "model.widen_factor=1"});
  }
  if (name == "densenet") words.insert(words.end(), {"model.depth=10", "model.growth_rate=4"});
  if (name == "vgg") words.push_back("model.width=4");
  if (name == "multi_step") words.push_back("schedule.milestones=[1]");
  if (name == "exponential") words.push_back("schedule.final=0.001");
  return words;
}

// ---- the generator ------------------------------------------------------------------------------

struct Subject {
  std::string kind, name;  ///< "quantizer", "lsq"; a table has no name
  std::string key() const { return kind + (name.empty() ? "" : " " + name); }
};
void PrintTo(const Subject& subject, std::ostream* out) {
  *out << subject.key();
}

Registry& registry() {
  static Registry one(
      {.plugin_paths = {QHOST_BINARY_DIR "/lib/qhost/plugins"}, .default_paths = false});
  return one;
}

/// All components and tables with options. tests/data/dataset_test.cpp loads the data sets that
/// consist of files.
std::vector<Subject> subjects() {
  jobs::ComponentCatalog catalog(registry());
  std::vector<Subject> all = {{"data", "digits"}};
  for (const char* kind : {"model", "quantizer"}) {
    for (const std::string& name : catalog.names(kind)) all.push_back({kind, name});
  }
  for (const auto& declared : config::optimizers()) all.push_back({"optimizer", declared.name});
  for (const auto& declared : config::schedules()) all.push_back({"schedule", declared.name});
  for (const auto& table : config::tables()) {
    if (!table.options.empty()) all.push_back({table.name, ""});
  }
  return all;
}

std::vector<Option> options_of(const Subject& subject) {
  if (subject.name.empty()) return config::find_table(subject.kind)->options;
  if (subject.kind == "optimizer") return *config::find_optimizer(subject.name);
  if (subject.kind == "schedule") return *config::find_schedule(subject.name);
  jobs::ComponentCatalog catalog(registry());
  return *catalog.find(subject.kind, subject.name);
}

/// One valid value besides the default, or every other choice. Empty if none can be generated.
std::vector<OptionValue> other_values(const Option& option) {
  if (!option.choices().empty() && option.type() == OptionType::string) {
    std::vector<OptionValue> others;
    for (const std::string& choice : option.choices()) {
      if (!option.default_value() || OptionValue(choice) != *option.default_value()) {
        others.emplace_back(choice);
      }
    }
    return others;
  }
  std::vector<OptionValue> candidates;
  if (option.type() == OptionType::boolean) {
    candidates = {OptionValue(true), OptionValue(false)};
  } else if (option.type() == OptionType::integer) {
    const auto given =
        option.default_value() ? std::get<std::int64_t>(*option.default_value()) : std::int64_t{1};
    for (const std::int64_t value : {given + 1, given - 1, given * 2}) {
      candidates.emplace_back(value);
    }
  } else if (option.type() == OptionType::real) {
    const double given = option.default_value() ? std::get<double>(*option.default_value()) : 0.5;
    for (const double value : {given / 2, given + 0.25, 0.5}) candidates.emplace_back(value);
  }
  for (const OptionValue& value : candidates) {
    if (option.default_value() && value == *option.default_value()) continue;
    if (option.why_invalid(value).empty()) return {value};
  }
  return {};
}

/// Everything in a run that a result depends on, as text to compare.
class Runs {
 public:
  Runs() {
    // 67 images and the other 1347 - 67: one step per epoch, three in all.
    folder_.write("e.toml", R"([data]
name = "digits"
fraction = 0.05

[model]
name = "resnet"
depth = 8

[train]
epochs = 3
batch_size = 100
threads = 1
verify = "off"

)");
    run({"model.depth=8", "train.seed=9", "train.epochs=1"}, folder_ / "source");
  }

  const std::string& after(const Words& overrides) {
    std::string key;
    for (const std::string& word : overrides) key += word + "\n";
    const auto found = known_.find(key);
    if (found != known_.end()) return found->second;
    const fs::path directory = folder_ / "run";
    run(overrides, directory);
    const auto steps = runs::checkpoint_steps(directory / "checkpoints");
    char name[40];
    std::snprintf(name, sizeof name, "step-%08lld", static_cast<long long>(steps.at(0)));
    std::string text = tests::slurp(directory / "checkpoints" / name / "state.safetensors");
    for (nlohmann::json line : tests::metrics_of(directory)) {
      if (line.at("phase") == "train") continue;  // a display, not a result
      text += line.dump();
    }
    const nlohmann::json result = tests::result_of(directory);
    text += result.at("test_loss").dump() + result.at("test_accuracy").dump();
    fs::remove_all(directory);
    return known_[key] = text;
  }

 private:
  struct Silent : Progress {
    void step(const StepReport&) override {}
    void epoch(const EpochReport&) override {}
    void note(const std::string&) override {}
  };
  void run(Words overrides, const fs::path& directory) {
    for (std::string& word : overrides) {
      if (word == "train.init_from=source") {
        word = "train.init_from=" + (folder_ / "source").string();
      }
    }
    jobs::ComponentCatalog catalog(registry());
    const config::Experiment experiment =
        config::load_experiment_or_throw(folder_ / "e.toml", overrides, catalog).at(0).experiment;
    jobs::RunRequest request;
    request.run_dir = directory.string();
    Silent silent;
    jobs::run_experiment(experiment, request, registry(), silent);
  }
  tests::Workshop folder_;
  std::map<std::string, std::string> known_;
};

class EachOption : public ::testing::TestWithParam<Subject> {
 protected:
  static void SetUpTestSuite() {
    // Whitened images are stored in the user's cache.
    cache_ = std::make_unique<tests::Workshop>();
    ::setenv("XDG_CACHE_HOME", cache_->path().c_str(), 1);
    runs_ = std::make_unique<Runs>();
  }
  static void TearDownTestSuite() {
    runs_.reset();
    cache_.reset();
  }
  static inline std::unique_ptr<Runs> runs_;
  static inline std::unique_ptr<tests::Workshop> cache_;
};

Words joined(const std::vector<Words>& parts) {
  Words all;
  for (const Words& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

TEST_P(EachOption, HasAnEffectOrMustNot) {
  const Subject& subject = GetParam();
  const Words setting = setting_of(subject.kind, subject.name);
  for (const Option& option : options_of(subject)) {
    const Key key = subject.key() + " " + option.name();
    SCOPED_TRACE(key);
    if (not_tried().count(key) != 0) continue;
    std::vector<Words> tried;
    if (const auto given = values().find(key); given != values().end()) {
      tried = given->second;
    } else {
      for (const OptionValue& value : other_values(option)) {
        tried.push_back({subject.kind + "." + option.name() + "=" + to_string(value)});
      }
    }
    EXPECT_FALSE(tried.empty()) << "no value to try: name one in values()";
    const auto found = contexts().find(key);
    const std::vector<Words> places =
        found == contexts().end() ? std::vector<Words>{{}} : found->second;
    const bool silent = !option.part_of_result() || without_effect().count(key) != 0;
    for (const Words& value : tried) {
      bool changed = false;
      for (const Words& place : places) {
        try {
          changed = changed || runs_->after(joined({setting, place})) !=
                                   runs_->after(joined({setting, place, value}));
        } catch (const Error& error) {
          ADD_FAILURE() << error.what();
        }
      }
      EXPECT_EQ(changed, !silent) << ::testing::PrintToString(value)
                                  << (silent ? " changes a result"
                                             : " changes nothing: is the option read at all?");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Of, EachOption, ::testing::ValuesIn(subjects()),
                         [](const ::testing::TestParamInfo<Subject>& one) {
                           return one.param.kind + (one.param.name.empty() ? "" : "_") +
                                  one.param.name;
                         });

TEST(OptionLists, NameOptionsThatThereAre) {
  std::set<Key> all;
  for (const Subject& subject : subjects()) {
    for (const Option& option : options_of(subject)) {
      all.insert(subject.key() + " " + option.name());
    }
  }
  const auto expect_known = [&](const auto& list) {
    for (const auto& [key, unused] : list) EXPECT_EQ(all.count(key), 1U) << key;
  };
  expect_known(contexts());
  expect_known(values());
  expect_known(without_effect());
  expect_known(not_tried());
}

}  // namespace
}  // namespace qhost::training

#include "jobs/assemble.h"

#include "common/lines.h"
#include "config/diagnostic_codes.h"
#include "config/located.h"
#include "data/whiten.h"
#include "model/device.h"
#include "model/plugin_call.h"
#include "qhost/error.h"
#include "storage/cache_folder.h"

namespace qhost::jobs {
namespace {

/// Runs `work`; an OptionError of the component in `table` is shown at the line of the option.
template <class Work>
auto located(const config::Experiment& experiment, const std::string& table, Work work) {
  try {
    return work();
  } catch (const OptionError& error) {
    throw config::to_error({experiment.diagnostic_for(table, error)});
  }
}

constexpr Role every_role[] = {Role::weight, Role::input, Role::gradient};

const data::DatasetInfo& dataset_info(const config::Experiment& experiment) {
  const data::DatasetInfo* info = data::find_dataset(experiment.data.name);
  if (info == nullptr) {
    throw Error(ErrorKind::internal, "no data set `" + experiment.data.name + "`");
  }
  return *info;
}

/// The method with its options. null is an error: it would keep the layers in float.
std::shared_ptr<Quantizer> created(const MethodRule& rule, const QuantizerMethod& method,
                                   const Options& options) {
  const PluginCall call = {.plugin = rule.plugin,
                           .kind = "method",
                           .component = rule.method,
                           .function = "create",
                           .slot = nullptr};
  std::shared_ptr<Quantizer> quantizer = call_plugin(call, [&] { return method.create(options); });
  if (!quantizer) broke_word(call, "it gives null, no quantizer");
  return quantizer;
}

/// Pixels are in 0..1, unless [augment] shifts them.
bool image_is_non_negative(const Options& augment) {
  return !augment.boolean("normalize") && augment.string("whitening") == "none";
}

}  // namespace

Graph build_graph(const Architecture& architecture, const std::string& plugin,
                  const Options& options, const Shape& image, std::int64_t classes) {
  const PluginCall call = {.plugin = plugin,
                           .kind = "architecture",
                           .component = architecture.name,
                           .function = "build",
                           .slot = nullptr};
  GraphBuilder builder;
  const double epsilon = options.real("bn_epsilon");
  if (epsilon > 0) builder.override_batch_norm_epsilon(epsilon);
  const Value input = builder.input(image);
  const Value output = call_plugin(call, [&] {
    return architecture.build(builder, input, {.input = image, .classes = classes}, options);
  });
  return builder.finish(output, classes);
}

Graph build_graph(const config::Experiment& experiment, Registry& registry) {
  const data::DatasetInfo& info = dataset_info(experiment);
  const data::DataContext about =
      located(experiment, "data", [&] { return data::context(info, experiment.data.options); });
  const Architecture& architecture = registry.architecture(experiment.model.name);
  const std::string plugin = registry.plugin_of("architecture", architecture.name);
  return located(experiment, "model", [&] {
    return build_graph(architecture, plugin, experiment.model.options, about.image, about.classes);
  });
}

Plan build_plan(const config::Experiment& experiment, Registry& registry, const Graph& graph) {
  std::vector<MethodRule> rules;
  for (std::size_t i = 0; i < experiment.quantizers.size(); ++i) {
    const config::QuantizerRule& given = experiment.quantizers[i];
    MethodRule rule;
    rule.method = given.method.name;
    rule.layers = given.layers;
    rule.keep_float = given.keep_float;
    for (const std::string& role : given.roles) {
      for (const Role known : every_role) {
        if (role == to_string(known)) rule.roles.push_back(known);
      }
    }
    if (rule.method == "none") {
      rule.offers.assign(std::begin(every_role), std::end(every_role));
    } else {
      const QuantizerMethod& method = registry.quantizer(rule.method);
      rule.offers = method.roles;
      rule.plugin = registry.plugin_of("quantizer", rule.method);
      rule.quantizer = located(experiment, "quantizer." + std::to_string(i),
                               [&] { return created(rule, method, given.method.options); });
    }
    rules.push_back(std::move(rule));
  }
  try {
    return make_plan(graph, rules, image_is_non_negative(experiment.augment));
  } catch (const RuleError& error) {
    throw config::to_error(
        {experiment.diagnostic_at("quantizer." + std::to_string(error.rule()) + "." + error.key(),
                                  error.message(), error.helps(), "config.rule")});
  }
}

std::vector<std::string> plan_warnings(const config::Experiment& experiment, const Plan& plan) {
  std::vector<std::string> texts;
  for (const PlanWarning& warning : plan.warnings) {
    if (warning.rule < 0) {
      texts.push_back("warning: " + warning.text);
      continue;
    }
    const std::string rule = "quantizer." + std::to_string(warning.rule);
    config::Diagnostic diagnostic = experiment.diagnostic_at(
        rule + ".layers", warning.text,
        {"take the rule out, or put it behind the others: the last rule for a layer counts"},
        config::code::rule_overridden);
    diagnostic.severity = config::Severity::warning;
    texts.push_back(without_last_breaks(config::render(diagnostic)));
  }
  return texts;
}

std::unique_ptr<Model> build_model(const config::Experiment& experiment, Registry& registry) {
  const Options& train = experiment.train;
  ModelOptions options;
  options.precision = train.string("precision") == "bf16" ? Precision::bf16 : Precision::fp32;
  options.channels_last = train.boolean("channels_last");
  try {
    options.device = choose_device(train.string("device"));
  } catch (const Error& error) {
    throw config::located_error(experiment, "train.device", error);
  }
  Graph graph = build_graph(experiment, registry);
  Plan plan = build_plan(experiment, registry, graph);
  return std::make_unique<Model>(std::move(graph), std::move(plan), options);
}

data::Dataset load_data(const config::Experiment& experiment) {
  const auto whitening =
      located(experiment, "augment", [&] { return data::whitening_options(experiment.augment); });
  data::Dataset data = located(
      experiment, "data", [&] { return dataset_info(experiment).load(experiment.data.options); });
  if (whitening) {
    located(experiment, "augment",
            [&] { data::whiten(data, *whitening, storage::cache_folder()); });
  }
  return data;
}

}  // namespace qhost::jobs

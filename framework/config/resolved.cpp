// Writes an experiment as TOML, as JSON and as flat keys.
#include "config/experiment.h"
#include "config/renamed.h"

namespace qhost::config {
namespace {

nlohmann::json to_json(const OptionValue& value) {
  return std::visit([](const auto& v) { return nlohmann::json(v); }, value);
}

nlohmann::json to_json(const Options& options) {
  auto json = nlohmann::json::object();
  for (const auto& [key, value] : options.values()) json[key] = to_json(value);
  return json;
}

nlohmann::json to_json(const Component& component) {
  nlohmann::json json = to_json(component.options);
  json["name"] = component.name;
  return json;
}

std::string line(const std::string& key, const OptionValue& value) {
  return key + " = " + qhost::to_string(value) + '\n';
}

std::string lines(const Options& options) {
  std::string text;
  for (const auto& [key, value] : options.values()) text += line(key, value);
  return text;
}

std::string table(const std::string& name, const Component& component) {
  return "\n[" + name + "]\n" + line("name", component.name) + lines(component.options);
}

std::string table(const std::string& name, const Options& options) {
  return "\n[" + name + "]\n" + lines(options);
}

std::string table(const std::string& header, const QuantizerRule& rule) {
  std::string text = "\n" + header + "\n" + line("name", rule.method.name);
  text += line("layers", rule.layers);
  // No roles means all roles, which no value can express.
  text += rule.roles.empty() ? "# roles: all that the method offers\n" : line("roles", rule.roles);
  text += line("keep_float", rule.keep_float);
  return text + lines(rule.method.options);
}

using Keys = std::map<std::string, std::string>;

void add(Keys& keys, const std::string& path, const Options& options) {
  for (const auto& [key, value] : options.values()) {
    keys[path + '.' + key] = qhost::to_string(value);
  }
}

void add(Keys& keys, const std::string& path, const Component& component) {
  keys[path + ".name"] = qhost::to_string(OptionValue(component.name));
  add(keys, path, component.options);
}

}  // namespace

std::string Experiment::resolved_toml() const {
  std::string text = std::string(resolved_heading) + '\n';
  text += line("name", name);
  text += table("data", data);
  text += table("augment", augment);
  text += table("model", model);
  if (quantizers.empty()) text += "\n[quantizer]\nname = \"none\"\n";
  for (const QuantizerRule& rule : quantizers) {
    text += table(quantizers.size() == 1 ? "[quantizer]" : "[[quantizer]]", rule);
  }
  text += table("train", train);
  text += table("optimizer", optimizer);
  text += table("schedule", schedule);
  text += table("calibration", calibration);
  return text;
}

nlohmann::json Experiment::resolved_json() const {
  nlohmann::json json = {{"name", name},
                         {"data", to_json(data)},
                         {"augment", to_json(augment)},
                         {"model", to_json(model)},
                         {"quantizer", nlohmann::json::array()},
                         {"train", to_json(train)},
                         {"optimizer", to_json(optimizer)},
                         {"schedule", to_json(schedule)},
                         {"calibration", to_json(calibration)}};
  for (const QuantizerRule& rule : quantizers) {
    nlohmann::json one = to_json(rule.method);
    one["layers"] = rule.layers;
    one["roles"] = rule.roles;
    one["keep_float"] = rule.keep_float;
    json["quantizer"].push_back(std::move(one));
  }
  return json;
}

std::map<std::string, std::string> Experiment::all_keys() const {
  Keys keys;
  keys["name"] = qhost::to_string(OptionValue(name));
  add(keys, "data", data);
  add(keys, "augment", augment);
  add(keys, "model", model);
  add(keys, "train", train);
  add(keys, "optimizer", optimizer);
  add(keys, "schedule", schedule);
  add(keys, "calibration", calibration);
  for (std::size_t i = 0; i < quantizers.size(); ++i) {
    const QuantizerRule& rule = quantizers[i];
    const std::string path = "quantizer." + std::to_string(i);
    add(keys, path, rule.method);
    keys[path + ".layers"] = qhost::to_string(OptionValue(rule.layers));
    if (!rule.roles.empty()) keys[path + ".roles"] = qhost::to_string(OptionValue(rule.roles));
    keys[path + ".keep_float"] = qhost::to_string(OptionValue(rule.keep_float));
  }
  return keys;
}

std::map<std::string, std::string> Experiment::result_keys() const {
  Keys keys = all_keys();
  keys.erase("name");  // decides where the runs are stored, not what they compute
  std::erase_if(keys, [&](const auto& item) {
    const auto found = part_of_result_.find(item.first);
    return found != part_of_result_.end() && !found->second;
  });
  return keys;
}

}  // namespace qhost::config

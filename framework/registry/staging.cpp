#include "registry/staging.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <stdexcept>
#include <utility>

#include "qhost/error.h"

namespace qhost {
namespace {

bool is_component_name(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string joined(const std::vector<std::string>& keys) {
  std::string text;
  for (const std::string& key : keys) text += (text.empty() ? "" : ", ") + component_text(key);
  return text;
}

}  // namespace

std::string component_key(std::string_view kind, std::string_view name) {
  std::string key(kind);
  key += ':';
  key += name;
  return key;
}

std::string component_text(std::string_view key) {
  const std::size_t colon = key.find(':');
  std::string text(key.substr(0, colon));
  text += " \"";
  text += key.substr(colon + 1);
  text += '"';
  return text;
}

/// The host's own option of every architecture, which jobs/build_graph() carries out.
Option batch_norm_epsilon() {
  return Option::real("bn_epsilon", 0,
                      "epsilon of every batch norm, 1e-3 for weights from Keras or Larq; 0: the "
                      "architecture's own")
      .at_least(0)
      .below(1);
}

StagingRegistrar::StagingRegistrar(OwnerOf owner_of) : owner_of_(std::move(owner_of)) {}
StagingRegistrar::~StagingRegistrar() = default;

void StagingRegistrar::fail(const std::string& text) {
  if (failure_.empty()) failure_ = text;
  throw Error(ErrorKind::plugin, text);
}

void StagingRegistrar::check(const std::string& kind, const std::string& name, bool callable,
                             const char* function, const std::vector<Option>& options,
                             const std::vector<std::string>& reserved) {
  const std::string text = component_text(component_key(kind, name));
  if (!is_component_name(name)) {
    fail("the name of " + text + " may hold only a-z, 0-9 and _");
  }
  if (!callable) fail(text + " has no " + function + " function");
  if ((kind == "architecture" ? architectures.count(name) : quantizers.count(name)) > 0) {
    fail(text + " is registered twice by this plugin");
  }
  if (const std::string owner = owner_of_(component_key(kind, name)); !owner.empty()) {
    fail(text + " is registered already by " + owner);
  }
  std::set<std::string> seen;
  for (const Option& option : options) {
    if (!seen.insert(option.name()).second) {
      fail(text + " declares the option \"" + option.name() + "\" twice");
    }
    if (std::find(reserved.begin(), reserved.end(), option.name()) != reserved.end()) {
      fail(text + " declares the option \"" + option.name() +
           "\", a name that the host keeps for itself");
    }
    if (!option.default_value()) continue;
    if (const std::string why = option.why_invalid(*option.default_value()); !why.empty()) {
      fail(text + ": the default of the option \"" + option.name() + "\" is not valid: " + why);
    }
  }
}

void StagingRegistrar::add_architecture(Architecture architecture) {
  check("architecture", architecture.name, static_cast<bool>(architecture.build), "build",
        architecture.options, {"name", "bn_epsilon"});
  std::string name = architecture.name;
  architecture.options.push_back(batch_norm_epsilon());
  architectures.emplace(std::move(name), std::move(architecture));
}

void StagingRegistrar::add_quantizer(QuantizerMethod method) {
  check("quantizer", method.name, static_cast<bool>(method.create), "create", method.options,
        {"name", "layers", "roles", "keep_float"});
  if (method.roles.empty()) {
    fail(component_text(component_key("quantizer", method.name)) + " offers no role");
  }
  std::string name = method.name;
  quantizers.emplace(std::move(name), std::move(method));
}

std::vector<std::string> StagingRegistrar::keys() const {
  std::vector<std::string> keys;
  for (const auto& entry : architectures) {
    keys.push_back(component_key("architecture", entry.first));
  }
  for (const auto& entry : quantizers) keys.push_back(component_key("quantizer", entry.first));
  std::sort(keys.begin(), keys.end());
  return keys;
}

void stage(StagingRegistrar& staging, const std::function<void(Registrar&)>& register_components,
           const std::vector<std::string>& provides) {
  std::string thrown;
  try {
    register_components(staging);
  } catch (const std::exception& error) {
    thrown = staging.failure().empty() ? "its register function threw: " + std::string(error.what())
                                       : staging.failure();
  } catch (...) {
    thrown = "its register function threw something that is no std::exception";
  }
  if (thrown.empty()) thrown = staging.failure();
  if (!thrown.empty()) throw std::runtime_error(thrown);
  if (provides.empty()) return;

  std::vector<std::string> stamped = provides;
  std::sort(stamped.begin(), stamped.end());
  const std::vector<std::string> registered = staging.keys();
  std::vector<std::string> more, less;
  std::set_difference(registered.begin(), registered.end(), stamped.begin(), stamped.end(),
                      std::back_inserter(more));
  std::set_difference(stamped.begin(), stamped.end(), registered.begin(), registered.end(),
                      std::back_inserter(less));
  std::string clause;
  if (!more.empty()) clause = "it registers " + joined(more) + ", which its stamp does not name";
  if (!less.empty()) {
    clause += (clause.empty() ? "" : "; ") + std::string("its stamp names ") + joined(less) +
              ", which it does not register";
  }
  if (!clause.empty()) throw std::runtime_error(clause);
}

}  // namespace qhost

/// config/schema.h: the content of an experiment file: the host's own tables and components,
/// declared once for validation, `qhost describe` and the JSON schema.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "qhost/options.h"

namespace qhost::config {

/// A table of the top level. A component table holds `name` and the options of that component;
/// every other table holds `options`.
struct TableDeclaration {
  std::string name;  ///< "train"
  std::string help;
  bool component = false;
  /// The default component; "" if the file must name one.
  std::string default_component;
  /// The keys of a plain table; for a component table, the keys beside those of the component.
  std::vector<Option> options;
};
/// data, augment, model, quantizer, train, optimizer, schedule, calibration, sweep.
const std::vector<TableDeclaration>& tables();
/// The table of that name, or null.
const TableDeclaration* find_table(std::string_view name);
/// The keys outside of all tables: `name`. (`extends` is resolved before validation.)
const std::vector<Option>& top_level_options();

/// A component that is part of the host.
struct ComponentDeclaration {
  std::string name;
  std::string help;
  std::vector<Option> options;
};
/// sgd, adam, adamw: formulas in training/optimizer.h.
const std::vector<ComponentDeclaration>& optimizers();
/// constant, step, multi_step, cosine, exponential, one_cycle: formulas in training/schedule.h.
const std::vector<ComponentDeclaration>& schedules();
/// The options of an optimizer or schedule; null for an unknown name.
const std::vector<Option>* find_optimizer(std::string_view name);
const std::vector<Option>* find_schedule(std::string_view name);

}  // namespace qhost::config

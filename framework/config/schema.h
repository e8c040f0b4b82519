/// config/schema.h: what an experiment file may hold: the host's own tables and components,
/// declared once for validation, `qhost describe` and the JSON schema.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "qhost/options.h"

namespace qhost::config {

/// A table of the top level. A component table holds `name` and the options of the component of
/// that name; the others hold `options`.
struct TableDeclaration {
  std::string name;  ///< "train"
  std::string help;
  bool component = false;
  /// The component's name where the file gives none; "" where the file must name one.
  std::string default_component;
  /// Keys of a plain table; of a component table those that stand beside any component's own.
  std::vector<Option> options;
};
/// data, augment, model, quantizer, train, optimizer, schedule, calibration, sweep.
const std::vector<TableDeclaration>& tables();
/// Null for a name that is no table.
const TableDeclaration* find_table(std::string_view name);
/// The keys outside of all tables: name. (`extends` is resolved before validation.)
const std::vector<Option>& top_level_options();

/// A component that the host itself brings.
struct ComponentDeclaration {
  std::string name;
  std::string help;
  std::vector<Option> options;
};
/// sgd, adam, adamw: formulas in training/optimizer.h.
const std::vector<ComponentDeclaration>& optimizers();
/// constant, step, multi_step, cosine, exponential, one_cycle: formulas in training/schedule.h.
const std::vector<ComponentDeclaration>& schedules();
/// The options of an optimizer or schedule, null for an unknown name.
const std::vector<Option>* find_optimizer(std::string_view name);
const std::vector<Option>* find_schedule(std::string_view name);

}  // namespace qhost::config

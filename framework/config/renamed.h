/// config/renamed.h: keys of an experiment that had another name.
///
/// A person's file gives the present name: the former one is an error that says so. A file that
/// qhost wrote, resolved.toml, is read under its former names for good.
#pragma once

#include <string>
#include <string_view>

#include "config/value.h"

namespace qhost::config {

/// The first line of every resolved.toml, without the line's end.
inline constexpr std::string_view resolved_heading =
    "# Every key of the experiment with its value; loads again.";

/// The present name of a key of the table `title` ("[augment]"), or "".
std::string present_name(std::string_view title, std::string_view key);
/// Gives each key of `root` its present name.
void use_present_names(Table& root);

}  // namespace qhost::config

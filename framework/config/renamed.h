/// config/renamed.h: keys of an experiment that had another name in an older version.
///
/// In a file written by a person, a former name is an error that gives the present name. In a file
/// that qhost wrote (resolved.toml), former names are read for good.
#pragma once

#include <string>
#include <string_view>

#include "config/value.h"

namespace qhost::config {

/// The first line of every resolved.toml, without the line break.
inline constexpr std::string_view resolved_heading =
    "# Every key of the experiment with its value; loads again.";

/// The present name of the former key `key` in the table `title` ("[augment]"), or "".
std::string present_name(std::string_view title, std::string_view key);
/// Renames the former keys of `root`.
void use_present_names(Table& root);

}  // namespace qhost::config

/// config/located.h: gives an error the place of the key that it is about.
#pragma once

#include <string>

#include "config/experiment.h"
#include "qhost/error.h"

namespace qhost::config {

/// True for the text of an error that begins with its place: "a.toml:3:1: error: ...".
bool has_place(const std::string& text);

/// Turns an error into a diagnostic: the first line of its message is the message, the following
/// lines are a note. An error that already has a place is unchanged.
DiagnosedError located_error(const config::Experiment& experiment, const std::string& key,
                             const Error& error, const std::string& code = "config.component");

}  // namespace qhost::config

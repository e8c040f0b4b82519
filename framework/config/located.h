/// config/located.h: gives an error the place of the key that it is about.
#pragma once

#include <string>

#include "config/experiment.h"
#include "qhost/error.h"

namespace qhost::config {

/// Turns an error into a diagnostic: its first line is the message, the following lines are a note,
/// and text behind "help: " is a help. An error that already has a place is unchanged.
Error located_error(const config::Experiment& experiment, const std::string& key,
                    const Error& error, const std::string& code = "config.component");

}  // namespace qhost::config

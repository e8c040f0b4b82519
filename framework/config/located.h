/// config/located.h: an error that a part found, at the place of the key that it is about.
#pragma once

#include <string>

#include "config/experiment.h"
#include "qhost/error.h"

namespace qhost::config {

/// The error's first line becomes the diagnostic's message, what follows a note, and what stands
/// behind "help: " its helps. One that has a place already stays as it is.
Error located_error(const config::Experiment& experiment, const std::string& key,
                    const Error& error, const std::string& code = "config.component");

}  // namespace qhost::config

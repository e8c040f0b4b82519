/// report/render.h: a document in the forms that a command prints.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "report/document.h"

namespace qhost::report {

/// Lines for a terminal or a log, each with its '\n'; no color. Control characters are escaped: a
/// name that comes from a file must not steer the terminal. `columns`: of the terminal, in which
/// tables fit their last column; 0: they are as wide as they are.
std::string render_text(const Document& document, std::size_t columns = 0);

/// Throws std::logic_error for what no JSON value can hold: a key twice in one object, a fact in a
/// document that is an array.
nlohmann::json render_json(const Document& document);

}  // namespace qhost::report

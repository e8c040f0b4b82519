/// cli/terminal.h: what a terminal can show.
#pragma once

#include <cstddef>
#include <string>

namespace qhost::cli {

/// Whether stderr is a terminal on which a line may be rewritten (TERM is set and not "dumb").
bool stderr_is_live();
/// Columns of stderr's terminal, 80 where unknown.
int stderr_columns();
/// Columns of stdout's terminal; 0 where it is none, as a file or a pipe.
std::size_t stdout_columns();
/// "1:02:03", "4:05", "0:09"
std::string duration(double seconds);
/// "86.9 %"; "-" for a value that is not a number.
std::string percent(double fraction);

}  // namespace qhost::cli

/// jobs/same_network.h: whether a packed file can be that of a run.
#pragma once

#include <string>
#include <vector>

#include "packed/program.h"

namespace qhost::jobs {

/// The first thing in which the layers of `program`, read from a file, are not those of `own`, which
/// was packed from the run: input and output, names and shapes of the layers, how their inputs are
/// coded. One sentence with both values; "" if a proof can compare them.
std::string other_network(const packed::Program& program, const packed::Program& own);

/// What the provenance says otherwise: normalization and class names, by which predictions differ.
/// A sentence for each.
std::vector<std::string> other_provenance(const packed::Provenance& file,
                                          const packed::Provenance& own);

/// " (it says that it is of the run R, checkpoint C)" where that is another one; else "".
std::string other_origin(const packed::Provenance& file, const packed::Provenance& own);

}  // namespace qhost::jobs

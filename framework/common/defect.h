/// common/defect.h: the error for what only a mistake in qhost's own code can cause.
#pragma once

#include <string>

#include "qhost/error.h"

namespace qhost {

/// An error of kind internal that asks for a report. `sentence` says what was found.
inline Error defect(const std::string& sentence) {
  return {ErrorKind::internal, sentence, "this is a defect of qhost; please report it"};
}

}  // namespace qhost

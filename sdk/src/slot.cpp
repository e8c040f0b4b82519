#include "qhost/slot.h"

namespace qhost {

const char* to_string(Role role) {
  switch (role) {
    case Role::weight:
      return "weight";
    case Role::input:
      return "input";
    case Role::gradient:
      break;
  }
  return "gradient";
}

}  // namespace qhost

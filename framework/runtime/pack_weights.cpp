#include "runtime/pack_weights.h"

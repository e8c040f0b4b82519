#include "packed/program.h"

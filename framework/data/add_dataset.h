/// data/add_dataset.h: a set besides those of data/dataset.h, for a program that links the host.
#pragma once

#include "data/dataset.h"

namespace qhost::data {

/// From now on experiments can name the set. `info` needs all members but `files`. Call it before
/// anything holds a DatasetInfo, which moves; not for use by several threads at once. Throws Error
/// (internal) for a name that is taken.
void add_dataset(DatasetInfo info);

}  // namespace qhost::data

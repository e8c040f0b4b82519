/// data/add_dataset.h: adds a data set to those of data/dataset.h, for a program that links the
/// host.
#pragma once

#include "data/dataset.h"

namespace qhost::data {

/// Registers a set, which experiments can then name. `info` needs all members but `files`. Call it
/// before any reference to a DatasetInfo is taken: adding moves them. Not thread-safe. Throws Error
/// (internal) for a name that is taken.
void add_dataset(DatasetInfo info);

}  // namespace qhost::data

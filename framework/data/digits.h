/// data/digits.h: the UCI handwritten digits, embedded in the program: a first run needs no
/// download.
#pragma once

#include "data/dataset.h"

namespace qhost::data {

/// 1,797 images [1][8][8] in the published order: the first 1,347 train, the last 450 test. A pixel
/// x of 0..16 is stored as (255 x + 8) / 16, rounded down. Source and license:
/// framework/data/digits/.
DatasetInfo digits();

}  // namespace qhost::data

/// cli/choose_points.h: a part of a sweep.
#pragma once

#include <string>
#include <vector>

#include "config/load.h"

namespace qhost::cli {

/// The points that `choice` names, in the order of the file: numbers from 0 as in `sweep.points.0`,
/// or labels, separated by commas. A point with several seeds is meant with all of them. "" means
/// all points. Throws Error (configuration), which lists the points, for a name or number that
/// there is not.
std::vector<config::SweepPoint> choose_points(const std::vector<config::SweepPoint>& points,
                                              const std::string& choice);

}  // namespace qhost::cli

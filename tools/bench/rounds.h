/// bench/rounds.h: ratios of times, taken in one process in interleaved rounds.
///
/// A machine that others use too is slow for seconds at a time: only what ran side by side
/// compares. Each round times both sides once, in alternating order; its ratio is one sample.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace qhost::bench {

/// One line of the result.
struct Row {
  std::string name;
  std::string baseline;  ///< what `ratio` is a multiple of
  double ratio = 0, p10 = 0, p90 = 0;
  int rounds = 0;
  double target = 0;   ///< the ratio that is aimed at; 0: none
  std::string detail;  ///< the absolute figures, for a person
};

/// Which clock now() reads. The processor time of this process leaves out what neighbors take; it
/// is meaningful with one thread, since a waiting thread of a pool spins.
enum class Clock { wall, cpu };
void use_clock(Clock clock);
/// Seconds.
double now();

/// The q-quantile (0..1) with linear interpolation; `values` is not empty.
double quantile(std::vector<double> values, double q);

/// Sides of a comparison: each call does a fixed amount of work.
using Work = std::function<void()>;

/// time(subject) / time(baseline): the median, the 10th and the 90th percentile of `rounds` rounds
/// after two that warm up. `unit` says what one call of the work is, for `detail` ("step").
Row compare(const std::string& name, const Work& subject, const std::string& baseline_name,
            const Work& baseline, int rounds, double target, const std::string& unit);

/// A row whose samples were taken elsewhere.
Row summarize(const std::string& name, const std::string& baseline,
              const std::vector<double>& ratios, double target, const std::string& detail);

}  // namespace qhost::bench

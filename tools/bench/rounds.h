/// bench/rounds.h: ratios of times, measured in one process in interleaved rounds.
///
/// A machine with other users is slow for seconds at a time: only times measured side by side are
/// comparable. Each round times both sides once, in alternating order; its ratio is one sample.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace qhost::bench {

/// One line of the result.
struct Row {
  std::string name;
  std::string baseline;  ///< the denominator of `ratio`
  double ratio = 0, p10 = 0, p90 = 0;
  int rounds = 0;
  double target = 0;   ///< the intended ratio; 0: none
  std::string detail;  ///< the absolute times, for a reader
};

/// The clock of now(). The processor time of this process excludes other processes. It is
/// meaningful with one thread, since a waiting thread of a pool spins.
enum class Clock { wall, cpu };
void use_clock(Clock clock);
/// Seconds.
double now();

/// The q-quantile (0..1) with linear interpolation; `values` must not be empty.
double quantile(std::vector<double> values, double q);

/// The sides of a comparison: each call does a fixed amount of work.
using Work = std::function<void()>;

/// time(subject) / time(baseline): the median and the 10th and 90th percentile of `rounds` rounds
/// after two warm-up rounds. `unit` names the work of one call, for `detail` ("step").
///
/// With QHOST_BENCH_SLICES in the environment another process leads the rounds: compare() prints
/// "slices NAME" and reads numbers from stdin. For each number it calls the subject that many times
/// and prints the seconds. 0, or the end of stdin, ends the row; its ratio is then 1.
/// tools/peer/compare_builds.py copies this file and rounds.cpp into older trees: their names stay,
/// and they include nothing of qhost.
Row compare(const std::string& name, const Work& subject, const std::string& baseline_name,
            const Work& baseline, int rounds, double target, const std::string& unit);

/// A row with samples that were measured elsewhere.
Row summarize(const std::string& name, const std::string& baseline,
              const std::vector<double>& ratios, double target, const std::string& detail);

}  // namespace qhost::bench

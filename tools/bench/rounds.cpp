#include "rounds.h"

#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iomanip>
#include <iostream>

namespace qhost::bench {

namespace {

clockid_t the_clock = CLOCK_MONOTONIC;

double timed(const Work& work, int calls) {
  const double start = now();
  for (int i = 0; i < calls; ++i) work();
  return now() - start;
}

/// tools/peer/compare_builds.py says when, and how much.
Row serve_slices(const std::string& name, const Work& subject) {
  std::cout << "slices " << name << std::endl;
  for (int calls = 0; std::cin >> calls && calls > 0;) {
    std::cout << std::setprecision(9) << timed(subject, calls) << std::endl;
  }
  return {.name = name, .baseline = "itself", .ratio = 1, .p10 = 1, .p90 = 1};
}

}  // namespace

void use_clock(Clock clock) {
  the_clock = clock == Clock::cpu ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
}

double now() {
  timespec time{};
  clock_gettime(the_clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double place = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(std::floor(place));
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (place - static_cast<double>(below));
}

Row summarize(const std::string& name, const std::string& baseline,
              const std::vector<double>& ratios, double target, const std::string& detail) {
  return {.name = name,
          .baseline = baseline,
          .ratio = quantile(ratios, 0.5),
          .p10 = quantile(ratios, 0.1),
          .p90 = quantile(ratios, 0.9),
          .rounds = static_cast<int>(ratios.size()),
          .target = target,
          .detail = detail};
}

Row compare(const std::string& name, const Work& subject, const std::string& baseline_name,
            const Work& baseline, int rounds, double target, const std::string& unit) {
  if (std::getenv("QHOST_BENCH_SLICES") != nullptr) return serve_slices(name, subject);
  for (int i = 0; i < 2; ++i) {
    subject();
    baseline();
  }
  std::vector<double> ratios, subject_seconds, baseline_seconds;
  for (int round = 0; round < rounds; ++round) {
    double a = 0, b = 0;
    if (round % 2 == 0) {
      a = timed(subject, 1);
      b = timed(baseline, 1);
    } else {
      b = timed(baseline, 1);
      a = timed(subject, 1);
    }
    ratios.push_back(a / b);
    subject_seconds.push_back(a);
    baseline_seconds.push_back(b);
  }
  char detail[96];
  std::snprintf(detail, sizeof detail, "%.2f against %.2f ms a %s",
                1e3 * quantile(subject_seconds, 0.5), 1e3 * quantile(baseline_seconds, 0.5),
                unit.c_str());
  return summarize(name, baseline_name, ratios, target, detail);
}

}  // namespace qhost::bench

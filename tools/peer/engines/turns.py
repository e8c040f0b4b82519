"""Times several sides in turns: each round gives every side one slice, the first side rotating."""
import statistics
import time

CALM = 0.97  # share of a slice in which the process had a core
PROFILED = 20  # calls at least: what a profile needs besides takes longer than the calls
PATIENCE = 3  # at most so many times the rounds that are asked for


class Clock:
    """Wall time, or the processor time of this process: of one thread, without other processes."""
    now = staticmethod(time.perf_counter)

    @classmethod
    def choose(cls, name):
        cls.now = staticmethod(time.process_time if name == "cpu" else time.perf_counter)


class Calls:
    """A function; one call is timed."""

    def __init__(self, name, function):
        self.name, self.function = name, function

    def seconds(self, calls):
        self.function()
        begin = Clock.now()
        for _ in range(calls):
            self.function()
        return (Clock.now() - begin) / calls


class Reported:
    """A function of the number of calls that returns the seconds of one: a profile's, wall time."""

    def __init__(self, name, function):
        self.name, self.function = name, function

    def seconds(self, calls):
        return self.function(max(calls, PROFILED))


class Difference:
    """A function that does the work `count` times more than another one."""

    def __init__(self, name, more, less, count):
        self.name, self.count = name, count
        self.more, self.less = Calls(name, more), Calls(name, less)

    def seconds(self, calls):
        return (self.more.seconds(calls) - self.less.seconds(calls)) / self.count


class Times:
    """The seconds of every side, a number for each round."""

    def __init__(self, sides):
        self.seconds = {side.name: [] for side in sides}
        self.dropped, self.busy, self.notes = 0, False, []

    def median(self, name):
        return statistics.median(self.seconds[name])

    def best(self, names):
        """The side with the smallest median."""
        return min(names, key=self.median)

    def ratio(self, numerator, denominator):
        """Median, 10th and 90th percentile of the ratios of the rounds."""
        pairs = zip(self.seconds[numerator], self.seconds[denominator])
        return spread([a / b for a, b in pairs])


def spread(values):
    # Inclusive: a percentile of few values is none that lies beyond them.
    many = len(values) > 1
    deciles = statistics.quantiles(values, n=10, method="inclusive") if many else values * 9
    return statistics.median(values), deciles[0], deciles[8]


def one_round(sides, calls, first):
    """Seconds by side, and the smallest and largest number of cores that a slice had."""
    seconds, cores = {}, {}
    for side in sides[first:] + sides[:first]:
        wall, cpu = time.perf_counter(), time.process_time()
        seconds[side.name] = side.seconds(calls[side.name])
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        cores[side.name] = cpu / wall
    return seconds, cores


def take_turns(sides, rounds, slice_seconds, whole_core=True):
    """Rounds in which a slice had less than a whole core are dropped, unless there are too many.

    With `whole_core` false, none is dropped.
    """
    calls = {}
    for side in sides:
        side.seconds(1)
        begin = Clock.now()
        side.seconds(1)
        calls[side.name] = max(1, round(2 * slice_seconds / max(Clock.now() - begin, 1e-6)))
    times, disturbed, crowded = Times(sides), [], {}
    kept = 0
    for number in range(PATIENCE * rounds):
        seconds, cores = one_round(sides, calls, number % len(sides))
        for name, share in cores.items():
            crowded.setdefault(name, []).append(share)
        if min(seconds.values()) <= 0:  # of a difference
            times.dropped += 1
            continue
        if whole_core and min(cores.values()) < CALM:
            times.dropped += 1
            disturbed.append(seconds)
            continue
        for name, value in seconds.items():
            times.seconds[name].append(value)
        kept += 1
        if kept == rounds:
            break
    if kept < max(2, rounds // 2):
        times.busy = True
        for seconds in disturbed:
            for name, value in seconds.items():
                times.seconds[name].append(value)
    for name, shares in crowded.items():
        if whole_core and statistics.median(shares) > 1.1:
            times.notes.append(f"{name} keeps {statistics.median(shares):.1f} cores busy")
    return times

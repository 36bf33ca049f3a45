#pragma once

namespace sluice::bench {

/// CPU seconds (user and system) that the calling thread has used so far.
[[nodiscard]] double thread_cpu_seconds();

/// Binds the calling thread to one of the CPUs that the process may use: the `index`-th, counted
/// modulo their number. With a single CPU there is nothing to choose and nothing happens.
void pin_this_thread(unsigned index);

/// Number of CPUs that the process may use, at least 1. With one, sender and receiver share it and
/// only CPU times mean something.
[[nodiscard]] unsigned usable_cpus();

} // namespace sluice::bench

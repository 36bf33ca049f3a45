#include "simd/kernels.hpp"

#include "simd/kernel_list.hpp"
#if defined(__x86_64__)
#include "simd/cpu_features.hpp"
#endif

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>

namespace sluice::simd {

static_assert(std::endian::native == std::endian::little, "keys and words are read as they lie");

namespace {

/// What this CPU can run. Made once; the tables are constants.
class inventory {
public:
  inventory() noexcept {
    add(scalar::kernels);
#if defined(__x86_64__)
    const cpu_features features = features_of(read_cpu());
    if (features.ssse3)
      add(ssse3::kernels);
    if (features.avx2)
      add(avx2::kernels);
    if (features.avx512)
      add(avx512::kernels);
#elif defined(__aarch64__)
    add(neon::kernels); // part of every AArch64 CPU that runs Linux
#endif
    best_ = tables_[count_ - 1];
    const char* forced = std::getenv("SLUICE_FORCE_KERNEL"); // NOLINT(concurrency-mt-unsafe): once
    if (forced != nullptr && *forced != '\0') {
      best_ = find(forced);
      forced_ok_ = best_ != nullptr;
      if (!forced_ok_)
        best_ = tables_[0];
    }
  }

  std::span<const kernel_table* const> tables() const noexcept {
    return {tables_.data(), count_};
  }
  std::span<const char* const> names() const noexcept {
    return {names_.data(), count_};
  }
  const kernel_table& best() const noexcept {
    return *best_;
  }
  bool forced_ok() const noexcept {
    return forced_ok_;
  }

  const kernel_table* find(std::string_view name) const noexcept {
    for (const kernel_table* table : tables())
      if (name == table->name)
        return table;
    return nullptr;
  }

private:
  void add(const kernel_table& table) noexcept {
    tables_[count_] = &table;
    names_[count_] = table.name;
    ++count_;
  }

  std::array<const kernel_table*, 4> tables_{};
  std::array<const char*, 4> names_{};
  std::size_t count_ = 0;
  const kernel_table* best_ = nullptr;
  bool forced_ok_ = true;
};

const inventory& all() noexcept {
  static const inventory once;
  return once;
}

} // namespace

constinit std::atomic<const kernel_table*> detail::active = nullptr;

const kernel_table& detail::choose_active() noexcept {
  // Another thread may have chosen, or forced, in the meantime: the first one stands.
  const kernel_table* none = nullptr;
  const kernel_table* best = &all().best();
  return active.compare_exchange_strong(none, best, std::memory_order_relaxed) ? *best : *none;
}

std::span<const kernel_table* const> supported_kernels() noexcept {
  return all().tables();
}

const kernel_table* find_kernels(std::string_view name) noexcept {
  return all().find(name);
}

bool forced_kernel_ok() noexcept {
  return all().forced_ok();
}

void unmask(std::span<std::byte> bytes, std::uint32_t key) noexcept {
  active_kernels().unmask(bytes.data(), bytes.size(), key);
}

void unmask_copy(std::span<std::byte> to, std::span<const std::byte> from,
                 std::uint32_t key) noexcept {
  active_kernels().unmask_copy(to.data(), from.data(), std::min(to.size(), from.size()), key);
}

utf8_result validate(std::span<const std::byte> text, utf8_state& state) noexcept {
  return active_kernels().validate(text.data(), text.size(), state);
}

utf8_result validate_copy(std::span<std::byte> to, std::span<const std::byte> from,
                          utf8_state& state) noexcept {
  return active_kernels().validate_copy(to.data(), from.data(), std::min(to.size(), from.size()),
                                        state);
}

utf8_result unmask_validate(std::span<std::byte> bytes, std::uint32_t key,
                            utf8_state& state) noexcept {
  return active_kernels().unmask_validate(bytes.data(), bytes.size(), key, state);
}

utf8_result unmask_validate_copy(std::span<std::byte> to, std::span<const std::byte> from,
                                 std::uint32_t key, utf8_state& state) noexcept {
  return active_kernels().unmask_validate_copy(to.data(), from.data(),
                                               std::min(to.size(), from.size()), key, state);
}

} // namespace sluice::simd

namespace sluice {

std::span<const char* const> kernel_set::names() const noexcept {
  return simd::all().names();
}

const char* kernel_set::active() const noexcept {
  return simd::active_kernels().name;
}

bool kernel_set::force(std::string_view name) const noexcept {
  const simd::kernel_table* table = simd::find_kernels(name);
  if (table != nullptr)
    simd::detail::active.store(table, std::memory_order_relaxed);
  return table != nullptr;
}

} // namespace sluice

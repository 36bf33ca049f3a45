#include "winhttp/object.hpp"

#include "core/memory.hpp"

namespace sluice::winhttp {

DWORD object::set_option(DWORD, const void*, DWORD) noexcept {
  return ERROR_WINHTTP_INVALID_OPTION;
}

DWORD object::query_option(DWORD, void*, DWORD*) noexcept {
  return ERROR_WINHTTP_INVALID_OPTION;
}

void object::drop_ref() noexcept {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    this->~object();
    memory::release(static_cast<void*>(this));
  }
}

} // namespace sluice::winhttp

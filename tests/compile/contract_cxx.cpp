// The contract as C++20, and what only C++ can get wrong.
#include "contract.h"

#include <type_traits>

// TYP-08, MSS: NULL where a DWORD_PTR is wanted only warns, 0 where a pointer is wanted is a
// pointer.
static_assert(std::is_same_v<decltype(WinHttpWebSocketCompleteUpgrade(nullptr, 0)), HINTERNET>);
static_assert(std::is_convertible_v<HINTERNET, HANDLE>);
static_assert(std::is_trivial_v<URL_COMPONENTS> && std::is_standard_layout_v<URL_COMPONENTS>);

// Wide literals, wide strings and overloads on wchar_t take part.
constexpr LPCWSTR literal = L"wide";
static_assert(literal[0] == L'w');

const void* contract_of_cxx() {
  return &api;
}

#pragma once

// The list of errors is public; the WinHTTP layer maps it to Win32 codes in one table
// (winhttp/error_map.cpp).
#include "sluice/error.hpp"

#pragma once
#include <sluice/winhttp.h>

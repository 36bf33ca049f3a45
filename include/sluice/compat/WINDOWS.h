#pragma once
#include <sluice/windows.h>

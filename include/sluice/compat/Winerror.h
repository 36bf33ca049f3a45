#pragma once
#include <sluice/winerror.h>

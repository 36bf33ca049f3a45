#include "io/backend.hpp"

#pragma once

#include "sluice/tls.hpp"

// What is behind the C name of a TLS configuration, for the files of the C API.

struct sluice_tls {
  sluice::tls_config config;
};

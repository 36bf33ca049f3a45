#pragma once

/// The native API of Sluice in one include: loop, listener, connection, views. See
/// docs/native-api.md.
#include "sluice/close_status.hpp"
#include "sluice/connection.hpp"
#include "sluice/error.hpp"
#include "sluice/handler.hpp"
#include "sluice/listener.hpp"
#include "sluice/loop.hpp"
#include "sluice/settings.hpp"
#include "sluice/stats.hpp"
#include "sluice/tls.hpp"
#include "sluice/view.hpp"

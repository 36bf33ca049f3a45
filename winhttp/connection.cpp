#include "winhttp/connection.hpp"

#include <utility>

namespace sluice::winhttp {

connection::connection(session& parent, memory::growable<char>&& host, std::uint16_t port) noexcept
    : object(of_kind), parent_(parent), host_(std::move(host)), port_(port) {
  inherit_notification(parent);
}

connection::~connection() {
  notify_closing();
} // HND-12: after the last child

} // namespace sluice::winhttp

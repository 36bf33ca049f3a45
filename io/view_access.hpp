#pragma once

#include "core/http_head.hpp"
#include "core/message_rx.hpp"
#include "sluice/handler.hpp"
#include "sluice/view.hpp"

namespace sluice::detail {

/// Makes what only the library may make.
class view_access {
public:
  [[nodiscard]] static view make(const rx_view& piece, connection& from) noexcept {
    return {piece.bytes, piece.size_bytes, piece.frame_left_bytes, &from,
            static_cast<std::uint8_t>((piece.text ? view::text_flag : 0) |
                                      (piece.message_end ? view::message_end_flag : 0))};
  }
  [[nodiscard]] static connection& origin(const view& of) noexcept { return *of.from_; }
  [[nodiscard]] static held_view hold(const view& what, const std::byte* bytes,
                                      void* keeper) noexcept {
    held_view made;
    made.data_ = bytes;
    made.size_ = what.size_;
    made.keeper_ = keeper;
    made.frame_left_bytes_ = what.frame_left_bytes_;
    made.flags_ = what.flags_;
    return made;
  }
  [[nodiscard]] static upgrade_request request(const http_request_head& head) noexcept {
    return upgrade_request(&head);
  }
  [[nodiscard]] static const http_request_head& head(const upgrade_request& of) noexcept {
    return *static_cast<const http_request_head*>(of.head_);
  }
};

} // namespace sluice::detail

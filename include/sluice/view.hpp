#pragma once

#include "sluice/export.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace sluice {

class connection;
class held_view;

enum class message_type : std::uint8_t { text = 1, binary = 2 };

namespace detail {
class view_access;
}

/// A piece of a message, lent for the length of the callback that gets it.
///
/// The bytes lie in the receive buffer that the kernel wrote them to, already unmasked and, for
/// text, validated in place; nothing was copied. A view never spans two frames, and a frame comes
/// in as many views as the buffers it arrived in. Text may be cut inside a character: each view
/// continues valid UTF-8, the whole message is valid UTF-8 (RFC 6455 section 8.1).
///
/// To keep the bytes beyond the callback, hold() the view or copy them.
class view {
public:
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  [[nodiscard]] std::string_view text() const noexcept {
    return {static_cast<const char*>(static_cast<const void*>(data_)), size_};
  }
  [[nodiscard]] const std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// From the opcode of the message's first frame, for every view of the message.
  [[nodiscard]] message_type type() const noexcept {
    return (flags_ & text_flag) != 0 ? message_type::text : message_type::binary;
  }
  [[nodiscard]] bool is_text() const noexcept { return (flags_ & text_flag) != 0; }
  [[nodiscard]] bool message_end() const noexcept { return (flags_ & message_end_flag) != 0; }
  [[nodiscard]] bool frame_end() const noexcept { return frame_left_bytes_ == 0; }
  /// Payload bytes of the same frame that are still to come.
  [[nodiscard]] std::uint64_t frame_left_bytes() const noexcept { return frame_left_bytes_; }

  /// Makes the bytes stay where they are until the returned token is released or destroyed: past
  /// the callback, the loop's tick, the connection and the loop. A view may be held more than once.
  ///
  /// While the receive buffers that a connection's held views keep alive are more than
  /// connection_settings::max_lent_bytes, nothing is read from that connection; what has been read
  /// already is still delivered. When the loop runs short of buffers the bytes are copied to memory
  /// of their own instead, so that holding never takes buffers from others.
  /// @return an empty token (false in a condition) when there is no memory for one.
  /// Threads: the loop's, inside the callback. Cost: two counters.
  [[nodiscard]] SLUICE_EXPORT held_view hold() const noexcept;

private:
  friend class detail::view_access;
  static constexpr std::uint8_t text_flag = 1;
  static constexpr std::uint8_t message_end_flag = 2;

  view(const std::byte* data, std::size_t size, std::uint64_t frame_left_bytes, connection* from,
       std::uint8_t flags) noexcept
      : data_(data), size_(size), frame_left_bytes_(frame_left_bytes), from_(from), flags_(flags) {}

  const std::byte* data_;
  std::size_t size_;
  std::uint64_t frame_left_bytes_;
  connection* from_;
  std::uint8_t flags_;
};

/// A view that is kept: the right to read its bytes, and the duty to give them back.
///
/// Move-only; destruction releases. May be moved to, read on and released on any thread, in any
/// order, after the connection and the loop are gone. Not thread-safe in itself.
class held_view {
public:
  held_view() noexcept = default;
  held_view(held_view&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)),
        keeper_(std::exchange(other.keeper_, nullptr)), frame_left_bytes_(other.frame_left_bytes_),
        flags_(other.flags_) {}
  held_view& operator=(held_view&& other) noexcept {
    if (this != &other) {
      release();
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
      keeper_ = std::exchange(other.keeper_, nullptr);
      frame_left_bytes_ = other.frame_left_bytes_;
      flags_ = other.flags_;
    }
    return *this;
  }
  held_view(const held_view&) = delete;
  held_view& operator=(const held_view&) = delete;
  ~held_view() { release(); }

  [[nodiscard]] explicit operator bool() const noexcept { return keeper_ != nullptr; }

  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  [[nodiscard]] std::string_view text() const noexcept {
    return {static_cast<const char*>(static_cast<const void*>(data_)), size_};
  }
  [[nodiscard]] const std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] message_type type() const noexcept {
    return (flags_ & 1u) != 0 ? message_type::text : message_type::binary;
  }
  [[nodiscard]] bool is_text() const noexcept { return (flags_ & 1u) != 0; }
  [[nodiscard]] bool message_end() const noexcept { return (flags_ & 2u) != 0; }
  [[nodiscard]] std::uint64_t frame_left_bytes() const noexcept { return frame_left_bytes_; }

  /// Gives the bytes back; the token is empty afterwards. Does nothing on an empty token.
  /// Any thread; does not block.
  void release() noexcept {
    if (keeper_ != nullptr) {
      give_back(keeper_);
      keeper_ = nullptr;
      data_ = nullptr;
      size_ = 0;
    }
  }

private:
  friend class view;
  friend class detail::view_access;
  SLUICE_EXPORT static void give_back(void* keeper) noexcept;

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  void* keeper_ = nullptr; // what keeps the bytes alive; the library's business
  std::uint64_t frame_left_bytes_ = 0;
  std::uint8_t flags_ = 0;
};

} // namespace sluice

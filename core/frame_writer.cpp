#include "core/frame_writer.hpp"

#include "core/copy_bytes.hpp"

#include <algorithm>
#include <cstring>

namespace sluice {
namespace {

// Through a volatile pointer, so that the compiler keeps a store that nothing reads.
void wipe(std::uint32_t& key) noexcept {
  *static_cast<volatile std::uint32_t*>(&key) = 0;
}

} // namespace

masking_keys::~masking_keys() {
  for (std::uint32_t& key : batch_) {
    wipe(key);
  }
}

bool masking_keys::next(std::uint32_t& key) noexcept {
  if (left_ == 0) {
    if (!random_(std::as_writable_bytes(std::span(batch_)))) {
      return false;
    }
    left_ = batch_keys;
  }
  --left_;
  key = batch_[left_];
  wipe(batch_[left_]);
  return true;
}

void frame_writer::start(opcode op, bool fin, std::span<const std::byte> payload) noexcept {
  put_header(op, fin, payload.size(), 0);
  payload_ = payload.data();
  payload_left_ = payload.size();
  masked_ = false;
}

void frame_writer::start_masked(opcode op, bool fin, std::span<const std::byte> payload,
                                std::uint32_t masking_key) noexcept {
  put_header(op, fin, payload.size(), 0x80);
  std::memcpy(header_.data() + header_size_, &masking_key, sizeof masking_key);
  header_size_ = static_cast<std::uint8_t>(header_size_ + sizeof masking_key);
  header_left_ = header_size_;
  payload_ = payload.data();
  payload_left_ = payload.size();
  key_ = masking_key;
  masked_ = true;
}

std::size_t frame_writer::fill(std::span<std::byte> room) noexcept {
  const std::size_t header_count = std::min<std::size_t>(header_left_, room.size());
  if (header_count != 0) {
    std::memcpy(room.data(), header_.data() + (header_size_ - header_left_), header_count);
    header_left_ = static_cast<std::uint8_t>(header_left_ - header_count);
  }
  const std::size_t count = std::min(payload_left_, room.size() - header_count);
  if (count != 0) {
    std::byte* const to = room.data() + header_count;
    if (masked_) {
      kernels_->unmask_copy(to, payload_, count, key_); // masking is its own inverse
      key_ = simd::rotate_key(key_, count);
    } else {
      copy_bytes(*kernels_, to, payload_, count);
    }
    payload_ += count;
    payload_left_ -= count;
  }
  return header_count + count;
}

// RFC 6455 section 5.2: the length in its shortest form, big endian.
void frame_writer::put_header(opcode op, bool fin, std::size_t payload_bytes,
                              unsigned mask_bit) noexcept {
  header_[0] = static_cast<std::byte>((fin ? 0x80u : 0u) | static_cast<unsigned>(op));
  std::size_t length_bytes = 0;
  unsigned form = static_cast<unsigned>(payload_bytes);
  if (payload_bytes > 0xFFFF) {
    length_bytes = 8;
    form = 127;
  } else if (payload_bytes > 125) {
    length_bytes = 2;
    form = 126;
  }
  header_[1] = static_cast<std::byte>(mask_bit | form);
  for (std::size_t i = 0; i < length_bytes; ++i) {
    const std::size_t shift = 8 * (length_bytes - 1 - i);
    header_[2 + i] = static_cast<std::byte>(std::uint64_t{payload_bytes} >> shift & 0xFFu);
  }
  header_size_ = static_cast<std::uint8_t>(2 + length_bytes);
  header_left_ = header_size_;
}

} // namespace sluice

#include "wire.hpp"

#include "common.hpp"

#include <array>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <strings.h>

namespace sluice_bench {
namespace {

constexpr std::size_t max_kept_text_bytes = 64;

std::string base64(std::span<const unsigned char> bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int written = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(),
                                      static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(written));
  return text;
}

} // namespace

std::size_t frame_bytes(std::size_t payload_bytes, bool masked) noexcept {
  const std::size_t length = payload_bytes < 126 ? 0 : payload_bytes < 65536 ? 2 : 8;
  return 2 + length + (masked ? 4 : 0) + payload_bytes;
}

void append_frame(std::vector<std::byte>& wire, opcode op, bool fin, bool masked, std::uint32_t key,
                  std::span<const std::byte> payload) {
  const std::uint64_t n = payload.size();
  const std::size_t length_bytes = n < 126 ? 0 : n < 65536 ? 2 : 8;
  const std::uint64_t code = length_bytes == 0 ? n : length_bytes == 2 ? 126 : 127;
  const std::size_t begin = wire.size();
  wire.resize(begin + frame_bytes(payload.size(), masked));
  std::byte* to = wire.data() + begin;
  *to++ = static_cast<std::byte>((fin ? 0x80u : 0u) | static_cast<unsigned>(op));
  *to++ = static_cast<std::byte>((masked ? 0x80u : 0u) | code);
  for (std::size_t i = length_bytes; i-- > 0;) {
    *to++ = static_cast<std::byte>((n >> (8 * i)) & 0xffu);
  }
  std::array<std::byte, 4> mask{};
  if (masked) {
    std::memcpy(mask.data(), &key, mask.size());
    std::memcpy(to, mask.data(), mask.size());
    to += mask.size();
  }
  for (std::size_t i = 0; i < payload.size(); ++i) {
    to[i] = payload[i] ^ mask[i & 3u];
  }
}

std::vector<std::byte> text_frame(std::string_view text, bool masked, std::uint32_t key) {
  std::vector<std::byte> wire;
  append_frame(wire, opcode::text, true, masked, key, std::as_bytes(std::span(text)));
  return wire;
}

std::vector<std::byte> close_frame(bool masked) {
  const std::array<std::byte, 2> status{std::byte{0x03}, std::byte{0xe8}}; // 1000
  std::vector<std::byte> wire;
  append_frame(wire, opcode::close, true, masked, 0x9b1d5a37u, status);
  return wire;
}

std::string accept_for(std::string_view key) {
  const std::string joined = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, 20> digest{};
  unsigned int digest_bytes = 0;
  if (EVP_Digest(joined.data(), joined.size(), digest.data(), &digest_bytes, EVP_sha1(), nullptr) !=
      1) {
    throw failure("OpenSSL has no SHA-1 here, and the handshake cannot do without");
  }
  return base64(digest);
}

std::string fresh_key() {
  std::array<unsigned char, 16> nonce{};
  if (RAND_bytes(nonce.data(), static_cast<int>(nonce.size())) != 1) {
    throw failure("OpenSSL has no random bytes to give");
  }
  return base64(nonce);
}

std::string_view header_value(std::string_view head, std::string_view name) noexcept {
  std::size_t line = head.find("\r\n");
  while (line != std::string_view::npos) {
    line += 2;
    const std::size_t end = head.find("\r\n", line);
    const std::string_view text =
        head.substr(line, end == std::string_view::npos ? end : end - line);
    const std::size_t colon = text.find(':');
    if (colon == name.size() && strncasecmp(text.data(), name.data(), colon) == 0) {
      std::string_view value = text.substr(colon + 1);
      while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) {
        value.remove_prefix(1);
      }
      while (!value.empty() && (value.back() == ' ' || value.back() == '\t')) {
        value.remove_suffix(1);
      }
      return value;
    }
    line = end;
  }
  return {};
}

std::string upgrade_answer(std::string_view head) {
  const std::string_view key = header_value(head, "Sec-WebSocket-Key");
  if (head.substr(0, 4) != "GET " || key.empty()) {
    return {};
  }
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Accept: " +
         accept_for(key) + "\r\n\r\n";
}

std::string reply_reader::take_text() {
  has_text_ = false;
  return std::exchange(last_text_, {});
}

void reply_reader::begin_frame() {
  const auto byte_at = [this](std::size_t i) { return std::to_integer<std::uint64_t>(header_[i]); };
  const unsigned first = std::to_integer<unsigned>(header_[0]);
  fin_ = (first & 0x80u) != 0;
  op_ = static_cast<opcode>(first & 0x0fu);
  const std::uint64_t code = byte_at(1) & 0x7fu;
  std::size_t at = 2;
  payload_left_ = code;
  if (code >= 126) {
    const std::size_t count = code == 126 ? 2 : 8;
    payload_left_ = 0;
    for (std::size_t i = 0; i < count; ++i) {
      payload_left_ = payload_left_ << 8 | byte_at(at++);
    }
  }
  if (masked_) {
    std::memcpy(key_, header_ + at, sizeof key_);
  }
  payload_offset_ = 0;
  control_.clear();
  const unsigned op = static_cast<unsigned>(op_);
  const bool known = op <= 2 || (op >= 8 && op <= 10);
  if ((first & 0x70u) != 0 || !known || (op >= 8 && payload_left_ > 125)) {
    bad_ = true;
  }
  if (op_ == opcode::text || op_ == opcode::binary) {
    in_text_ = op_ == opcode::text;
    text_too_long_ = false;
    text_.clear();
  }
  in_payload_ = true;
}

void reply_reader::end_frame() {
  in_payload_ = false;
  header_fill_ = 0;
  header_bytes_ = 2;
  if (op_ == opcode::ping) {
    pings_.push_back(control_);
  } else if (op_ == opcode::close) {
    closed_ = true;
    if (control_.size() >= 2) {
      close_status_ = std::to_integer<int>(control_[0]) << 8 | std::to_integer<int>(control_[1]);
    }
  } else if (op_ != opcode::pong && fin_) {
    ++messages_;
    if (in_text_ && !text_too_long_) {
      has_text_ = true;
      last_text_ = text_;
    }
  }
}

bool reply_reader::feed(std::span<const std::byte> bytes) {
  while (!bytes.empty() && !bad_) {
    if (!in_payload_) {
      header_[header_fill_++] = bytes.front();
      bytes = bytes.subspan(1);
      if (header_fill_ == 2) {
        const unsigned second = std::to_integer<unsigned>(header_[1]);
        masked_ = (second & 0x80u) != 0;
        const unsigned code = second & 0x7fu;
        header_bytes_ = 2u + (code == 126 ? 2u : code == 127 ? 8u : 0u) + (masked_ ? 4u : 0u);
      }
      if (header_fill_ < 2 || header_fill_ < header_bytes_) {
        continue;
      }
      begin_frame();
    }
    const std::size_t take =
        payload_left_ < bytes.size() ? static_cast<std::size_t>(payload_left_) : bytes.size();
    const bool control = static_cast<unsigned>(op_) >= 8;
    const bool keep_text = in_text_ && !control && !text_too_long_;
    if (keep_text && take > max_kept_text_bytes - text_.size()) {
      text_too_long_ = true;
    } else if (control || keep_text) {
      for (std::size_t i = 0; i < take; ++i) {
        const std::byte b = masked_ ? bytes[i] ^ key_[(payload_offset_ + i) & 3u] : bytes[i];
        if (control) {
          control_.push_back(b);
        } else {
          text_.push_back(static_cast<char>(b));
        }
      }
    }
    if (!control) {
      payload_bytes_ += take;
    }
    payload_offset_ += take;
    payload_left_ -= take;
    bytes = bytes.subspan(take);
    if (payload_left_ == 0) {
      end_frame();
    }
  }
  return !bad_;
}

} // namespace sluice_bench

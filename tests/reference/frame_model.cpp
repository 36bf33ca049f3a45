#include "reference/frame_model.hpp"

#include <algorithm>
#include <array>
#include <iomanip>
#include <sstream>

namespace sluice::reference {
namespace {

enum class opcode_kind { first, next, control, unknown };

// RFC 6455 section 11.8.
constexpr std::array<opcode_kind, 16> opcode_kinds = {
    opcode_kind::next,    opcode_kind::first,   opcode_kind::first,   opcode_kind::unknown,
    opcode_kind::unknown, opcode_kind::unknown, opcode_kind::unknown, opcode_kind::unknown,
    opcode_kind::control, opcode_kind::control, opcode_kind::control, opcode_kind::unknown,
    opcode_kind::unknown, opcode_kind::unknown, opcode_kind::unknown, opcode_kind::unknown,
};

// What a data frame meets, by kind and by whether a message is open. RFC 6455 section 5.4.
constexpr error order_rule[2][2] = {
    // no message open         message open
    {error::none, error::expected_continuation},   // first
    {error::unexpected_continuation, error::none}, // next
};

// RFC 6455 section 7.4: ranges of close statuses that may be on the wire.
struct range {
  unsigned first, last;
};
constexpr range sendable[] = {{1000, 1003}, {1007, 1014}, {1016, 2999}, {3000, 3999}, {4000, 4999}};

// Well-formed sequences: Unicode standard, table 3-7.
struct utf8_row {
  unsigned first_low, first_high, continuations, second_low, second_high;
};
constexpr utf8_row utf8_rows[] = {
    {0x00, 0x7F, 0, 0, 0},       {0xC2, 0xDF, 1, 0x80, 0xBF}, {0xE0, 0xE0, 2, 0xA0, 0xBF},
    {0xE1, 0xEC, 2, 0x80, 0xBF}, {0xED, 0xED, 2, 0x80, 0x9F}, {0xEE, 0xEF, 2, 0x80, 0xBF},
    {0xF0, 0xF0, 3, 0x90, 0xBF}, {0xF1, 0xF3, 3, 0x80, 0xBF}, {0xF4, 0xF4, 3, 0x80, 0x8F},
};

unsigned value(std::byte b) {
  return std::to_integer<unsigned>(b);
}

} // namespace

std::optional<std::size_t> first_bad_utf8(const std::vector<std::byte>& text, bool& cut_short) {
  cut_short = false;
  std::size_t at = 0;
  while (at < text.size()) {
    const utf8_row* row = nullptr;
    for (const utf8_row& candidate : utf8_rows) {
      if (value(text[at]) >= candidate.first_low && value(text[at]) <= candidate.first_high) {
        row = &candidate;
      }
    }
    if (row == nullptr) {
      return at;
    }
    for (std::size_t i = 1; i <= row->continuations; ++i) {
      if (at + i == text.size()) {
        cut_short = true;
        return std::nullopt;
      }
      const unsigned low = i == 1 ? row->second_low : 0x80;
      const unsigned high = i == 1 ? row->second_high : 0xBF;
      if (value(text[at + i]) < low || value(text[at + i]) > high) {
        return at + i;
      }
    }
    at += 1 + row->continuations;
  }
  return std::nullopt;
}

header read_header(role self, bool message_open, const std::byte* from, std::size_t available) {
  header read;
  const auto refuse = [&](error reason, std::size_t size) {
    read.reason = reason;
    read.size = size;
    return read;
  };
  if (available < 1) {
    return read;
  }
  const unsigned first = value(from[0]);
  read.fin = first >= 128;
  read.op = first % 16;
  if (first / 16 % 8 != 0) {
    return refuse(error::reserved_bits, 1);
  }
  const opcode_kind kind = opcode_kinds[read.op];
  if (kind == opcode_kind::unknown) {
    return refuse(error::unknown_opcode, 1);
  }
  if (kind == opcode_kind::control && !read.fin) {
    return refuse(error::control_fragmented, 1);
  }
  if (kind != opcode_kind::control) {
    const error order = order_rule[kind == opcode_kind::next ? 1 : 0][message_open ? 1 : 0];
    if (order != error::none) {
      return refuse(order, 1);
    }
  }
  if (available < 2) {
    return read;
  }
  const bool masked = value(from[1]) >= 128;
  const unsigned form = value(from[1]) % 128;
  if (masked && self == role::client) {
    return refuse(error::masked_frame, 2);
  }
  if (!masked && self == role::server) {
    return refuse(error::unmasked_frame, 2);
  }
  if (kind == opcode_kind::control && form > 125) {
    return refuse(error::control_too_long, 2);
  }
  if (read.op == 8 && form == 1) {
    return refuse(error::close_payload_length, 2);
  }
  const std::size_t length_bytes = form == 126 ? 2 : (form == 127 ? 8 : 0);
  if (length_bytes == 8 && available >= 3 && value(from[2]) >= 128) {
    return refuse(error::length_too_big, 3);
  }
  // The 64-bit form is not the shortest if the upper six bytes are zero: seen at the sixth.
  if (length_bytes == 8 && available >= 8 &&
      std::all_of(from + 2, from + 8, [](std::byte b) { return b == std::byte{0}; })) {
    return refuse(error::non_minimal_length, 8);
  }
  if (available < 2 + length_bytes) {
    return read;
  }
  read.payload_bytes = length_bytes == 0 ? form : 0;
  for (std::size_t i = 0; i < length_bytes; ++i) {
    read.payload_bytes = read.payload_bytes * 256 + value(from[2 + i]);
  }
  if (length_bytes == 2 && read.payload_bytes < 126) {
    return refuse(error::non_minimal_length, 4);
  }
  const std::size_t key_bytes = masked ? 4 : 0;
  if (available < 2 + length_bytes + key_bytes) {
    return read;
  }
  read.key.assign(from + 2 + length_bytes, from + 2 + length_bytes + key_bytes);
  read.size = 2 + length_bytes + key_bytes;
  read.complete = true;
  return read;
}

answer frame_model::receive(std::size_t room) {
  for (;;) {
    if (last_.has_value()) {
      return *last_;
    }
    const header head =
        read_header(self_, message_open_, stream_.data() + frame_at_, stream_.size() - frame_at_);
    if (head.reason != error::none) {
      return fail(head.reason);
    }
    if (!head.complete) {
      return {};
    }
    const std::size_t payload_at = frame_at_ + head.size;
    const std::size_t arrived = stream_.size() - payload_at;

    if (opcode_kinds[head.op] == opcode_kind::control) {
      if (arrived < head.payload_bytes) {
        return {};
      }
      const answer seen = control(head, payload_at);
      frame_at_ = payload_at + static_cast<std::size_t>(head.payload_bytes);
      if (seen.what == answer::kind::need_input) {
        continue; // a pong
      }
      return seen;
    }

    if (!frame_counted_) {
      if (opcode_kinds[head.op] == opcode_kind::first) {
        text_ = head.op == 1;
        announced_ = 0;
        fragments_ = 0;
        message_.clear();
      }
      ++fragments_;
      if (fragments_ > std::max<std::uint64_t>(bounds_.max_fragments, 1)) {
        return fail(error::too_many_fragments);
      }
      if (head.payload_bytes > bounds_.max_message_bytes - announced_) {
        return fail(error::message_too_big);
      }
      announced_ += head.payload_bytes;
      frame_counted_ = true;
    }

    const std::uint64_t rest = head.payload_bytes - frame_given_;
    if (rest != 0 && arrived == frame_given_) {
      return {};
    }
    const std::size_t count =
        static_cast<std::size_t>(std::min<std::uint64_t>({rest, room, arrived - frame_given_}));
    answer piece;
    piece.what = answer::kind::piece;
    piece.text = text_;
    piece.bytes = payload(head, payload_at, frame_given_, frame_given_ + count);
    frame_given_ += count;
    const bool frame_end = frame_given_ == head.payload_bytes;
    piece.message_end = frame_end && head.fin;
    if (text_) {
      message_.insert(message_.end(), piece.bytes.begin(), piece.bytes.end());
      bool cut_short = false;
      if (first_bad_utf8(message_, cut_short).has_value() || (piece.message_end && cut_short)) {
        return fail(error::text_utf8);
      }
    }
    if (frame_end) {
      message_open_ = !head.fin;
      frame_at_ = payload_at + frame_given_;
      frame_given_ = 0;
      frame_counted_ = false;
    }
    return piece;
  }
}

answer frame_model::fail(error reason) {
  answer failed;
  failed.what = answer::kind::failed;
  failed.reason = reason;
  last_ = failed;
  return failed;
}

answer frame_model::control(const header& head, std::size_t payload_at) {
  answer seen;
  std::vector<std::byte> body =
      payload(head, payload_at, 0, static_cast<std::size_t>(head.payload_bytes));
  if (head.op == 0x9) {
    seen.what = answer::kind::ping;
    seen.bytes = std::move(body);
    return seen;
  }
  if (head.op == 0xA) {
    return seen;
  }
  seen.what = answer::kind::close;
  seen.close_status = 1005;
  if (!body.empty()) {
    const unsigned status = value(body[0]) * 256 + value(body[1]);
    if (std::none_of(std::begin(sendable), std::end(sendable),
                     [&](range r) { return status >= r.first && status <= r.last; })) {
      return fail(error::close_status_code);
    }
    seen.close_status = static_cast<std::uint16_t>(status);
    seen.bytes.assign(body.begin() + 2, body.end());
    bool cut_short = false;
    if (first_bad_utf8(seen.bytes, cut_short).has_value() || cut_short) {
      return fail(error::close_reason_utf8);
    }
  }
  last_ = seen;
  return seen;
}

std::vector<std::byte> frame_model::payload(const header& head, std::size_t payload_at,
                                            std::size_t begin, std::size_t end) const {
  std::vector<std::byte> plain;
  for (std::size_t i = begin; i < end; ++i) {
    const std::byte mask = head.key.empty() ? std::byte{0} : head.key[i % 4];
    plain.push_back(stream_[payload_at + i] ^ mask);
  }
  return plain;
}

std::string describe(const answer& a) {
  static const char* const names[] = {"piece", "need_input", "ping", "close", "failed"};
  std::ostringstream said;
  said << names[static_cast<int>(a.what)];
  if (a.what == answer::kind::piece) {
    said << (a.text ? " text" : " binary") << (a.message_end ? " end" : " more");
  } else if (a.what == answer::kind::failed) {
    said << ": " << to_string(a.reason);
  } else if (a.what == answer::kind::close) {
    said << ' ' << a.close_status;
  }
  said << " [" << a.bytes.size() << ']' << std::hex << std::setfill('0');
  for (std::size_t i = 0; i < std::min<std::size_t>(a.bytes.size(), 24); ++i) {
    said << ' ' << std::setw(2) << value(a.bytes[i]);
  }
  return said.str();
}

} // namespace sluice::reference

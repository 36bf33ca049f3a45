#include "support/peer_bytes.hpp"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <strings.h>

#include <array>

namespace sluice::test {
namespace {

void append_big_endian(std::string& to, std::uint64_t value, unsigned bytes) {
  for (unsigned i = bytes; i-- > 0;) {
    to.push_back(static_cast<char>((value >> (8 * i)) & 0xFF));
  }
}

std::string base64(const unsigned char* bytes, std::size_t count) {
  std::string out(4 * ((count + 2) / 3) + 1, '\0');
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes, static_cast<int>(count));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

// Calls `visit(name, value)` for every field line of a head.
template <typename Visitor> void for_each_header(std::string_view head, Visitor visit) {
  std::size_t at = head.find("\r\n");
  while (at != std::string_view::npos && at + 2 < head.size()) {
    const std::size_t start = at + 2;
    at = head.find("\r\n", start);
    const std::string_view line = head.substr(start, at - start);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      continue;
    }
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && value.front() == ' ') {
      value.remove_prefix(1);
    }
    visit(line.substr(0, colon), value);
  }
}

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace

std::string make_frame(const frame_spec& spec) {
  const std::uint64_t size = spec.payload.size();
  unsigned form = spec.length_bytes;
  if (form == 0) {
    form = size < 126 ? 1 : size < 65536 ? 2 : 8;
  }
  std::string out;
  out.reserve(size + 14);
  out.push_back(static_cast<char>((spec.fin ? 0x80u : 0u) | ((spec.reserved & 7u) << 4) |
                                  (spec.opcode & 0xFu)));
  const unsigned mask_bit = spec.key.has_value() ? 0x80u : 0u;
  if (form == 1) {
    out.push_back(static_cast<char>(mask_bit | (size & 0x7Fu)));
  } else {
    out.push_back(static_cast<char>(mask_bit | (form == 2 ? 126u : 127u)));
    append_big_endian(out, size, form);
  }
  const std::size_t header = out.size();
  if (spec.key.has_value()) {
    for (unsigned i = 0; i < 4; ++i) {
      out.push_back(static_cast<char>((*spec.key >> (8 * i)) & 0xFF));
    }
  }
  const std::size_t start = out.size();
  out.append(spec.payload);
  if (spec.key.has_value()) {
    for (std::size_t i = start; i < out.size(); ++i) {
      out[i] = static_cast<char>(out[i] ^ out[header + (i - start) % 4]);
    }
  }
  return out;
}

std::string make_frame(unsigned opcode, std::string_view payload, bool fin) {
  frame_spec spec;
  spec.opcode = opcode;
  spec.payload = payload;
  spec.fin = fin;
  return make_frame(spec);
}

std::string make_close(unsigned status, std::string_view reason) {
  std::string payload;
  if (status != 0) {
    append_big_endian(payload, status, 2);
  }
  payload.append(reason);
  return make_frame(0x8, payload);
}

std::string accept_for(std::string_view key) {
  std::string text(key);
  text += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
  return base64(digest.data(), digest.size());
}

std::optional<std::string> header_of(std::string_view head, std::string_view name) {
  std::optional<std::string> found;
  for_each_header(head, [&](std::string_view field, std::string_view value) {
    if (!found.has_value() && same_name(field, name)) {
      found.emplace(value);
    }
  });
  return found;
}

std::size_t header_count(std::string_view head, std::string_view name) {
  std::size_t count = 0;
  for_each_header(head, [&](std::string_view field, std::string_view) {
    if (same_name(field, name)) {
      ++count;
    }
  });
  return count;
}

} // namespace sluice::test

// Any bytes as frames inside valid TLS: a connection of the native API over sockets, OpenSSL alone
// as its peer. The same frames go over a plain connection, and both must deliver the same, answer
// the same and end the same way. Records may be of any size, the ciphertext cut anywhere, key
// updates and tickets may stand between records. The stream ends with close_notify, without it, or
// with a record that was changed on the way: then all that came before is still delivered, and
// nothing of what follows. Memory stays within bounds and is given back.
// Input: mode; delivery and extras; size of records; cuts; record that is damaged; limits; frames.

#include "fuzz_input.hpp"
#include "fuzz_link.hpp"

#include <algorithm>
#include <string>

namespace {

using namespace sluice;
using fuzz::link_end;
using fuzz::outcome;

constexpr std::size_t max_wire_bytes = 768;
constexpr std::size_t most_pieces = 300; // of the stream, a turn of the loop each
// TLS of a connection, the library's part: engine, queues of ciphertext, buffers to decrypt into,
// for which the pool may grow once. A buffer for each piece would be three times of that.
constexpr std::size_t tls_bytes = std::size_t{400} << 10;

struct plan {
  fuzz::link_settings link;
  unsigned record_setting = 0;
  unsigned cut_setting = 0;
  std::size_t damaged = SIZE_MAX; // of the records
  bool key_updates = false;
  bool late_tickets = false;
  bool close_notify = true;
};

std::vector<std::string> cut(std::string_view whole, const std::vector<std::size_t>& cuts) {
  std::vector<std::string> pieces;
  std::size_t begin = 0;
  for (const std::size_t end : cuts) {
    pieces.emplace_back(whole.substr(begin, end - begin));
    begin = end;
  }
  pieces.emplace_back(whole.substr(begin));
  return pieces;
}

// Cuts, but not so many that one input takes long.
std::vector<std::size_t> bounded_cuts(unsigned setting, std::size_t size) {
  std::vector<std::size_t> cuts = fuzz::cuts_from(setting, size);
  if (cuts.size() > most_pieces) {
    cuts.resize(most_pieces);
  }
  return cuts;
}

// The frames over TLS; `intact` is set to the plain bytes that arrive undamaged.
outcome over_tls(const plan& how, std::string_view wire, std::string& intact) {
  link_end end(how.link, true);
  std::string stream;
  std::size_t index = 0;
  bool damaged = false;
  const auto add = [&](std::string record) {
    if (index++ == how.damaged && !record.empty()) {
      record.back() = static_cast<char>(record.back() ^ 1); // its MAC
      damaged = true;
      end.allow_alert();
    }
    stream += record;
  };
  for (const std::string& piece : cut(wire, bounded_cuts(how.record_setting, wire.size()))) {
    if (how.key_updates) {
      add(end.peer().key_update(index % 2 == 0));
    }
    if (how.late_tickets && index % 5 == 0) {
      add(end.peer().late_ticket());
    }
    if (!piece.empty()) {
      add(end.peer().seal(piece));
    }
    if (!damaged) {
      intact += piece;
    }
  }
  if (how.close_notify && !damaged) {
    stream += end.peer().close_notify();
  }
  for (const std::string& piece : cut(stream, bounded_cuts(how.cut_setting, stream.size()))) {
    end.send_raw(piece);
  }
  return end.finish();
}

outcome over_tcp(const plan& how, std::string_view wire) {
  link_end end(how.link, false);
  for (const std::string& piece : cut(wire, bounded_cuts(how.record_setting, wire.size()))) {
    end.send_raw(piece);
  }
  return end.finish();
}

void compare(const outcome& secure, const outcome& plain, const plan& how, bool damaged) {
  fuzz::check(secure.opened && plain.opened, "a handshake failed");
  fuzz::check(secure.messages == plain.messages, "TLS changes the messages");
  fuzz::check(secure.status == plain.status && secure.reason == plain.reason &&
                  secure.clean == plain.clean,
              "TLS changes the close status");
  if (plain.cause == error::end_of_stream) {
    // What the peer did not say goodbye to: by accident, or by somebody in the middle.
    const error expected = damaged            ? error::tls_record
                           : how.close_notify ? error::end_of_stream
                                              : error::connection_lost;
    fuzz::check(secure.cause == expected, "another end of the stream than the peer's");
  } else {
    fuzz::check(secure.cause == plain.cause, "TLS changes the cause");
  }
  // Bytes of text that ends badly may or may not come before the error, with TLS or without.
  const std::size_t common = std::min(secure.partial.size(), plain.partial.size());
  fuzz::check(
      secure.partial.substr(0, common) == plain.partial.substr(0, common) &&
          (plain.cause == error::text_utf8 || secure.partial.size() == plain.partial.size()),
      "TLS loses bytes of a message that does not end");
  // Who ends the stream without a close frame does not wait for answers, nor does a broken one:
  // what is queued at that moment is dropped, and with TLS that moment may come in the same segment
  // as the last frames.
  const bool abrupt = damaged || plain.cause == error::end_of_stream;
  fuzz::check(
      abrupt ? secure.answers.size() <= plain.answers.size() &&
                   std::equal(secure.answers.begin(), secure.answers.end(), plain.answers.begin())
             : secure.answers == plain.answers,
      "TLS changes the answers");
  fuzz::check(secure.peak_bytes <= plain.peak_bytes + tls_bytes, "memory grows with the records");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::settings_reader settings(data, size);
  const unsigned mode = settings.next();
  const unsigned extras = settings.next();
  plan how;
  how.link.self = (mode & 1u) != 0 ? role::server : role::client;
  how.link.older = (mode & 2u) != 0;
  how.link.echo = (mode & 4u) != 0;
  how.link.uring = (mode & 8u) != 0;
  how.close_notify = (mode & 0x10u) == 0;
  how.link.take = static_cast<delivery>(extras % 3);
  how.link.room_bytes = 1 + (extras >> 2) % 16 * 9;
  how.key_updates = (extras & 0x40u) != 0 && !how.link.older;
  how.late_tickets = (extras & 0x80u) != 0 && !how.link.older && how.link.self == role::client;
  how.record_setting = settings.next();
  how.cut_setting = settings.next();
  if (const unsigned damage = settings.next(); damage != 0) {
    how.damaged = damage - 1;
  }
  if (const unsigned limit = settings.next(); limit != 0) {
    how.link.max_message_bytes = limit * 2;
    how.link.max_fragments = 1 + limit % 7;
  }
  const std::span<const std::byte> rest = settings.rest(max_wire_bytes);
  const std::string_view wire(reinterpret_cast<const char*>(rest.data()), rest.size());

  std::string intact;
  const outcome secure = over_tls(how, wire, intact);
  compare(secure, over_tcp(how, intact), how, intact.size() != wire.size());
  return 0;
}

// Sections 10.3 to 10.5 of the contract: what the frames of a peer become, however the network
// cuts them: all in one segment, one byte per read, and glued to the head of the 101 response.

#include "websocket_fixture.hpp"

#include <ostream>

namespace sluice::test {
namespace {

enum class delivery { segment, bytewise, glued };

struct row {
  std::string name; // starts with the rule's id
  std::string wire;
  bool fin = false;               // the peer ends the stream afterwards
  std::vector<received> messages; // joined; the last one may be an error, which then is repeated
};

void PrintTo(const row& value, std::ostream* out) {
  *out << value.name;
}

std::string joined(std::initializer_list<std::string> parts) {
  std::string made;
  for (const std::string& part : parts) {
    made += part;
  }
  return made;
}

std::string spec_frame(unsigned opcode, std::string_view payload, bool fin, unsigned reserved,
                       unsigned length_bytes = 0) {
  frame_spec spec;
  spec.opcode = opcode;
  spec.payload = payload;
  spec.fin = fin;
  spec.reserved = reserved;
  spec.length_bytes = length_bytes;
  return make_frame(spec);
}

std::string masked_frame(unsigned opcode, std::string_view payload) {
  frame_spec spec;
  spec.opcode = opcode;
  spec.payload = payload;
  spec.key = 0x01020304u;
  return make_frame(spec);
}

const received violation{ERROR_WINHTTP_INVALID_SERVER_RESPONSE, {}, {}};
const received lost{ERROR_WINHTTP_CONNECTION_ERROR, {}, {}};
const received closed{ERROR_SUCCESS, close_type, {}};
const received refused{ERROR_INVALID_OPERATION, {}, {}};

received text(std::string bytes) {
  return {ERROR_SUCCESS, utf8_message, std::move(bytes)};
}
received binary(std::string bytes) {
  return {ERROR_SUCCESS, binary_message, std::move(bytes)};
}

// Valid by itself, then what breaks the rules: the message before it is delivered.
row invalid(std::string name, std::string wire) {
  return {std::move(name),
          make_frame(text_opcode, "before") + wire,
          false,
          {text("before"), violation}};
}

// A header that announces more than 4 GiB, and the first bytes of its payload.
std::string header_of_5_gib(unsigned opcode) {
  return std::string{static_cast<char>(0x80 | opcode), 127, 0, 0, 0, 1, 0x40, 0, 0, 0};
}

std::vector<row> rows() {
  const std::string euro = "\xE2\x82\xAC";
  const std::string clef = "\xF0\x9D\x84\x9E";
  std::vector<row> all;

  // 10.3
  all.push_back(
      {"RCV_40_type_comes_from_the_first_frame",
       joined({make_frame(text_opcode, "a", false), make_frame(continuation_opcode, "b", false),
               make_frame(continuation_opcode, "c"), make_frame(binary_opcode, "d", false),
               make_frame(continuation_opcode, "e")}),
       false,
       {text("abc"), binary("de")}});
  all.push_back({"RCV_41_whole_messages",
                 make_frame(binary_opcode, "one") + make_frame(text_opcode, "two"),
                 false,
                 {binary("one"), text("two")}});
  all.push_back(
      {"RCV_41_lengths_of_every_form",
       joined({make_frame(binary_opcode, pattern_text(125)),
               make_frame(binary_opcode, pattern_text(126)),
               make_frame(text_opcode, std::string(200, 'x'))}),
       false,
       {binary(pattern_text(125)), binary(pattern_text(126)), text(std::string(200, 'x'))}});
  all.push_back({"RCV_46_message_ended_by_an_empty_frame",
                 make_frame(binary_opcode, "data", false) + make_frame(continuation_opcode, ""),
                 false,
                 {binary("data")}});
  all.push_back({"RCV_47_empty_messages",
                 joined({make_frame(text_opcode, ""), make_frame(binary_opcode, ""),
                         make_frame(text_opcode, "x")}),
                 false,
                 {text(""), binary(""), text("x")}});
  all.push_back(
      {"RCV_48_empty_fragments",
       joined({make_frame(text_opcode, "", false), make_frame(continuation_opcode, "", false),
               make_frame(continuation_opcode, "x", false), make_frame(continuation_opcode, "")}),
       false,
       {text("x")}});
  all.push_back({"RCV_49_control_frames_between_fragments",
                 joined({make_frame(text_opcode, "a", false), make_frame(ping_opcode, "p"),
                         make_frame(continuation_opcode, "b", false), make_frame(pong_opcode, "q"),
                         make_frame(pong_opcode, ""), make_frame(continuation_opcode, "c")}),
                 false,
                 {text("abc")}});
  all.push_back({"RCV_52_code_point_split_between_frames",
                 joined({make_frame(text_opcode, clef.substr(0, 1), false),
                         make_frame(ping_opcode, std::string(125, 'p')),
                         make_frame(continuation_opcode, clef.substr(1, 2), false),
                         make_frame(continuation_opcode, clef.substr(3) + euro)}),
                 false,
                 {text(clef + euro)}});
  all.push_back({"RCV_53_text_with_nul_bytes",
                 make_frame(text_opcode, std::string("a\0b", 3)),
                 false,
                 {text(std::string("a\0b", 3))}});
  all.push_back({"CTL_02_pongs_alone_are_ignored",
                 make_frame(pong_opcode, "unsolicited") + make_frame(binary_opcode, "x"),
                 false,
                 {binary("x")}});

  // 10.4
  all.push_back({"RCV_60_close_after_data",
                 make_frame(text_opcode, "last") + make_close(1000, "bye"),
                 false,
                 {text("last"), closed, refused}});
  all.push_back({"RCV_60_close_without_status", make_close(0), false, {closed, refused}});
  all.push_back({"RCV_60_close_inside_a_message",
                 make_frame(text_opcode, "cut", false) + make_close(1001),
                 false,
                 // The fragment arrives in one piece or in three; receive_message joins them with
                 // what ends them.
                 {{ERROR_SUCCESS, close_type, "cut"}, refused}});
  all.push_back({"RCV_64_data_after_close_is_discarded",
                 make_close(1000) + make_frame(text_opcode, "late") + "garbage",
                 false,
                 {closed, refused}});
  all.push_back({"RCV_65_fin_after_close_is_normal", make_close(1000), true, {closed, refused}});

  // 10.2, the end of the stream
  all.push_back({"RCV_20_fin_at_once", "", true, {lost}});
  all.push_back({"RCV_21_data_before_the_fin",
                 make_frame(text_opcode, "first"),
                 true,
                 {text("first"), lost}});
  all.push_back({"RCV_20_fin_inside_a_header",
                 make_frame(text_opcode, "x") + "\x82",
                 true,
                 {text("x"), lost}});
  all.push_back({"RCV_20_fin_inside_a_payload",
                 make_frame(text_opcode, "x") + make_frame(binary_opcode, "lost").substr(0, 3),
                 true,
                 {text("x"), lost}});
  all.push_back(
      {"RCV_20_fin_between_fragments", make_frame(text_opcode, "x", false), true, {lost}});
  all.push_back(
      {"RCV_20_fin_inside_a_close_frame", make_close(1000, "bye").substr(0, 4), true, {lost}});
  all.push_back({"RCV_50_fin_inside_a_frame_over_4_gib",
                 header_of_5_gib(binary_opcode) + pattern_text(300),
                 true,
                 {lost}});

  // 10.5
  for (const unsigned bit : {4u, 2u, 1u}) {
    all.push_back(invalid("RCV_70_reserved_bit_" + std::to_string(bit),
                          spec_frame(text_opcode, "x", true, bit)));
  }
  all.push_back(invalid("RCV_70_reserved_bit_in_a_ping", spec_frame(ping_opcode, "", true, 4)));
  all.push_back(invalid("RCV_71_masked_frame", masked_frame(text_opcode, "x")));
  all.push_back(invalid("RCV_71_masked_ping", masked_frame(ping_opcode, "")));
  for (const unsigned opcode : {3u, 4u, 5u, 6u, 7u, 0xBu, 0xCu, 0xDu, 0xEu, 0xFu}) {
    all.push_back(invalid("RCV_72_opcode_" + std::to_string(opcode), make_frame(opcode, "")));
  }
  all.push_back(
      invalid("RCV_73_continuation_without_message", make_frame(continuation_opcode, "x", false)));
  all.push_back(
      invalid("RCV_73_final_continuation_without_message", make_frame(continuation_opcode, "x")));
  for (const unsigned opcode : {text_opcode, binary_opcode}) {
    all.push_back({"RCV_74_new_frame_with_opcode_" + std::to_string(opcode) + "_in_a_message",
                   make_frame(text_opcode, "open", false) + make_frame(opcode, "x"),
                   false,
                   {violation}});
  }
  for (const unsigned opcode : {close_opcode, ping_opcode, pong_opcode}) {
    const std::string with = "_opcode_" + std::to_string(opcode);
    all.push_back(
        invalid("RCV_75_control_of_126_bytes" + with, make_frame(opcode, std::string(126, 'c'))));
    all.push_back(
        invalid("RCV_75_control_without_fin" + with, make_frame(opcode, "\x03\xE8", false)));
  }
  all.push_back(invalid("RCV_76_close_payload_of_1_byte", make_frame(close_opcode, "x")));
  for (const unsigned status : {0u, 1u, 999u, 1004u, 1005u, 1006u, 1015u, 5000u, 40000u, 65535u}) {
    all.push_back(invalid("RCV_77_close_status_" + std::to_string(status),
                          make_frame(close_opcode, close_payload_text(status))));
  }
  all.push_back(invalid("RCV_78_close_reason_not_utf8", make_close(1000, "bad \xFF")));
  all.push_back(invalid("RCV_78_close_reason_cut_off", make_close(1000, euro.substr(0, 2))));
  all.push_back(invalid("RCV_79_text_with_a_bad_byte", make_frame(text_opcode, "ab\xFF")));
  all.push_back(invalid("RCV_79_text_with_a_surrogate", make_frame(text_opcode, "\xED\xA0\x80")));
  all.push_back(invalid("RCV_79_text_overlong", make_frame(text_opcode, "\xC0\xAF")));
  all.push_back(invalid("RCV_79_text_above_the_last_code_point",
                        make_frame(text_opcode, "\xF4\x90\x80\x80")));
  all.push_back(invalid("RCV_79_text_cut_off_at_the_end", make_frame(text_opcode, "x\xE2\x82")));
  all.push_back(
      invalid("RCV_79_cut_off_at_an_empty_final_frame",
              make_frame(text_opcode, "\xE2\x82", false) + make_frame(continuation_opcode, "")));
  all.push_back(invalid("RCV_79_bad_across_frames", make_frame(text_opcode, "\xE2", false) +
                                                        make_frame(continuation_opcode, "x")));
  all.push_back(
      invalid("RCV_80_5_bytes_in_the_16_bit_form", spec_frame(binary_opcode, "12345", true, 0, 2)));
  all.push_back(invalid("RCV_80_200_bytes_in_the_64_bit_form",
                        spec_frame(binary_opcode, std::string(200, 'x'), true, 0, 8)));
  all.push_back(invalid("RCV_80_64_bit_length_with_the_top_bit",
                        std::string("\x82\x7F\x80\0\0\0\0\0\0\x01", 10)));
  return all;
}

class websocket_delivery : public websocket_test,
                           public ::testing::WithParamInterface<std::tuple<delivery, row>> {};

void expect_messages(HINTERNET socket, const std::vector<received>& messages) {
  for (std::size_t i = 0; i < messages.size(); ++i) {
    EXPECT_EQ(receive_message(socket), messages[i]) << "message " << i;
  }
  // RCV-18, RCV-21: what ended the stream is said again.
  if (messages.back().code != ERROR_SUCCESS) {
    EXPECT_EQ(receive_message(socket), messages.back());
  }
}

TEST_P(websocket_delivery, delivers) {
  const auto& [how, expected] = GetParam();
  switch (how) {
  case delivery::segment: {
    socket_pair pair;
    pair.peer().send(expected.wire);
    if (expected.fin) {
      pair.peer().close_fin();
    }
    expect_messages(pair.handle(), expected.messages);
    break;
  }
  case delivery::bytewise: {
    socket_pair pair;
    std::atomic<bool> reading{true};
    background feeder([&] {
      pair.send_paced(expected.wire, [&] { return reading.load(); });
      if (expected.fin) {
        pair.peer().close_fin();
      }
    });
    expect_messages(pair.handle(), expected.messages);
    reading = false;
    feeder.join();
    break;
  }
  case delivery::glued: {
    scripted_peer server([&](scripted_peer& self) {
      peer_connection client = self.accept();
      client.handshake({}, expected.wire);
      if (expected.fin) {
        client.close_fin();
      }
      while (!client.read_some().empty()) {
      }
    });
    api_socket client(server.port());
    expect_messages(client.handle(), expected.messages);
    break;
  }
  }
}

std::string name_of(const ::testing::TestParamInfo<std::tuple<delivery, row>>& info) {
  static constexpr const char* names[] = {"_in_one_segment", "_byte_by_byte",
                                          "_HSK_30_behind_the_101_head"};
  return std::get<1>(info.param).name + names[static_cast<int>(std::get<0>(info.param))];
}

INSTANTIATE_TEST_SUITE_P(contract, websocket_delivery,
                         ::testing::Combine(::testing::Values(delivery::segment, delivery::bytewise,
                                                              delivery::glued),
                                            ::testing::ValuesIn(rows())),
                         name_of);

} // namespace
} // namespace sluice::test

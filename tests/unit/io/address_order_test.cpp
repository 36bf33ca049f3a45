#include "io/address_order.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>
#include <vector>

namespace sluice::test {
namespace {

/// A list of addresses of these families: 4, 6, or x for one that no sockaddr_storage holds.
class list {
public:
  explicit list(const std::string& families) : nodes_(families.size()) {
    for (std::size_t i = 0; i < families.size(); ++i) {
      nodes_[i].ai_family = families[i] == '6' ? AF_INET6 : AF_INET;
      nodes_[i].ai_addrlen =
          families[i] == 'x' ? sizeof(sockaddr_storage) + 1 : sizeof(sockaddr_storage);
      nodes_[i].ai_next = i + 1 < families.size() ? &nodes_[i + 1] : nullptr;
    }
  }

  /// Where in the list each one stands that comes, in the order in which they come.
  [[nodiscard]] std::vector<std::size_t> order() const {
    std::vector<std::size_t> found;
    io::address_order ordered(nodes_.data());
    while (const addrinfo* const next = ordered.next()) {
      found.push_back(static_cast<std::size_t>(next - nodes_.data()));
    }
    EXPECT_EQ(ordered.next(), nullptr);
    return found;
  }

private:
  std::vector<addrinfo> nodes_;
};

using places = std::vector<std::size_t>;

TEST(address_order, none_of_none) {
  io::address_order ordered(nullptr);
  EXPECT_EQ(ordered.next(), nullptr);
}

TEST(address_order, section_4_families_alternate_and_keep_their_order) {
  EXPECT_EQ(list("666444").order(), (places{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(list("466644").order(), (places{0, 1, 4, 2, 5, 3}));
}

TEST(address_order, the_rest_of_a_family_follows_when_the_other_is_used_up) {
  EXPECT_EQ(list("64444").order(), (places{0, 1, 2, 3, 4}));
  EXPECT_EQ(list("444").order(), (places{0, 1, 2}));
}

TEST(address_order, what_no_sockaddr_storage_holds_is_left_out) {
  EXPECT_EQ(list("4x6x").order(), (places{0, 2}));
  EXPECT_EQ(list("xx").order(), places{});
}

TEST(address_order, ends_after_so_many) {
  const std::size_t most = io::max_connect_addresses;
  EXPECT_EQ(list(std::string(most + 1, '4')).order().size(), most);
  EXPECT_EQ(list(std::string(most, '4')).order().size(), most);
}

} // namespace
} // namespace sluice::test

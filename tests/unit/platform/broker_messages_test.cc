#include "proxy/platform/broker_messages.hh"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include "proxy/platform/request.hh"

using namespace i3;

namespace {

BrokerRequest full_placement() {
  BrokerRequest request;
  request.kind = RequestKind::place_dns;
  request.id = 0x01020304;
  request.mode = PlacementMode::redirect;
  request.sees_every_query = true;
  request.nameservers = {*IpAddress::parse("192.0.2.1"), *IpAddress::parse("2001:db8::1")};
  request.domains = {"i3", "corp.example", "64.100.in-addr.arpa"};
  return request;
}

BrokerRequest path_request(std::string path) {
  BrokerRequest request;
  request.kind = RequestKind::replace_file;
  request.id = 7;
  request.path = std::move(path);
  return request;
}

BrokerRequest route_request(const char* address, unsigned length) {
  BrokerRequest request;
  request.kind = RequestKind::add_route;
  request.prefix = {*IpAddress::parse(address), length};
  return request;
}

}  // namespace

TEST_CASE("a request to the parent arrives as it was written") {
  auto message = full_placement().write();
  auto read = BrokerRequest::parse(message);
  REQUIRE(read);
  CHECK(read->kind == RequestKind::place_dns);
  CHECK(read->id == 0x01020304);
  CHECK(read->mode == PlacementMode::redirect);
  CHECK(read->sees_every_query);
  CHECK(read->nameservers == full_placement().nameservers);
  CHECK(read->domains == full_placement().domains);

  CHECK(BrokerRequest::parse(path_request("/etc/i3/book.xml").write())->path == "/etc/i3/book.xml");
  auto route = BrokerRequest::parse(route_request("fd00::1", 128).write());
  REQUIRE(route);
  CHECK(route->prefix.text() == "fd00::1/128");
}

TEST_CASE("every shortened or lengthened request is refused") {
  for (const BrokerRequest& request :
       {full_placement(), path_request("/x"), route_request("10.0.0.1", 32)}) {
    auto message = request.write();
    REQUIRE(BrokerRequest::parse(message));
    for (std::size_t size = 0; size < message.size(); ++size)
      CHECK_FALSE(BrokerRequest::parse(Bytes(message).first(size)));
    message.push_back(0);
    CHECK_FALSE(BrokerRequest::parse(message));
  }
}

TEST_CASE("values that no request may have are refused by the reader") {
  auto message = full_placement().write();
  message[5] = 5;  // mode
  CHECK_FALSE(BrokerRequest::parse(message));
  message = full_placement().write();
  message[6] = 2;  // sees_every_query
  CHECK_FALSE(BrokerRequest::parse(message));
  message = route_request("10.0.0.1", 32).write();
  message.back() = 33;
  CHECK_FALSE(BrokerRequest::parse(message));
  message = route_request("fd00::1", 128).write();
  message.back() = 129;
  CHECK_FALSE(BrokerRequest::parse(message));
  message = path_request("/ab").write();
  message.back() = 0;
  CHECK_FALSE(BrokerRequest::parse(message));
  message = full_placement().write();
  message.back() = '\n';  // of a domain
  CHECK_FALSE(BrokerRequest::parse(message));
  message[0] = 99;  // kind
  CHECK_FALSE(BrokerRequest::parse(message));
}

TEST_CASE("a request that is too large is not written") {
  CHECK(path_request(std::string(kMaximumPath + 1, 'a')).write().empty());
  BrokerRequest request = full_placement();
  request.domains.assign(kMaximumDomains + 1, "i3");
  CHECK(request.write().empty());
  request.domains.assign(kMaximumDomains, std::string(253, 'a'));
  CHECK(BrokerRequest::parse(request.write()));
  request.domains = {"i3\nnameserver 192.0.2.66"};
  CHECK(request.write().empty());
}

TEST_CASE("a reply carries its text, cut at a kilobyte") {
  BrokerNotice reply{NoticeKind::reply, 9, 2, std::string(5000, 'x')};
  auto read = BrokerNotice::parse(reply.write());
  REQUIRE(read);
  CHECK(read->id == 9);
  CHECK(read->status == 2);
  CHECK(read->text.size() == kMaximumReplyText);
  BrokerNotice event;
  event.kind = NoticeKind::shutdown;
  auto message = event.write();
  CHECK(message.size() == 1);
  message.push_back(1);
  CHECK_FALSE(BrokerNotice::parse(message));
}

TEST_CASE("a packet with several descriptors is broken, and none stays open") {
  int ends[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
  UniqueFd ours(ends[0]), theirs(ends[1]);
  char byte = 1;
  iovec part{&byte, 1};
  // Two fit into the padding of a buffer for one; further ones are cut off.
  int count = 0;
  SUBCASE("two") {
    count = 2;
  }
  SUBCASE("three") {
    count = 3;
  }
  int fds[3] = {0, 1, 2};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof fds)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(sizeof(int) * static_cast<std::size_t>(count));
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int) * static_cast<std::size_t>(count));
  std::memcpy(CMSG_DATA(header), fds, sizeof fds);
  REQUIRE(::sendmsg(theirs.get(), &message, 0) == 1);
  int free_before = ::dup(0);
  ::close(free_before);
  { CHECK(receive_packet(ours.get()).state == Packet::State::broken); }
  int free_after = ::dup(0);
  ::close(free_after);
  CHECK(free_before == free_after);
}

TEST_CASE("the network of a TUN address has the host's bits cleared") {
  CHECK(TunAddress{*IpAddress::parse("100.127.5.6"), 10}.network().text() == "100.64.0.0/10");
  CHECK(TunAddress{*IpAddress::parse("10.1.2.3"), 32}.network().text() == "10.1.2.3/32");
  CHECK(TunAddress{*IpAddress::parse("fd12:3456:789a:1::7"), 48}.network().text() ==
        "fd12:3456:789a::/48");
  CHECK(TunAddress{*IpAddress::parse("fdff::7"), 9}.network().text() == "fd80::/9");
}

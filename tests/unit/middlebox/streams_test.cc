#include "gateways/middlebox/plugins/streams.hh"

#include <doctest/doctest.h>

#include "tests/unit/middlebox/talk.hh"

using namespace i3;
using namespace i3::inspect;
using i3::test::kWall;
using i3::test::Talk;

namespace {

struct Watch {
  std::string client, server;
  int opened = 0, finished = 0;
  Streams streams{[this](const Ends&, WallTime) -> std::unique_ptr<StreamReader> {
    ++opened;
    return std::make_unique<Reader>(*this);
  }};

  struct Reader final : StreamReader {
    explicit Reader(Watch& to) : watch(to) {}
    bool data(bool from_client, Bytes bytes, WallTime) override {
      (from_client ? watch.client : watch.server) += as_text(bytes);
      return watch.client.find("bad") == std::string::npos;
    }
    void finished(WallTime) override { ++watch.finished; }
    Watch& watch;
  };
  bool take(const std::vector<std::uint8_t>& packet) {
    return streams.packet(*IpView::parse(packet), kWall);
  }
};

}  // namespace

TEST_CASE("both directions are read in order, and the end is seen") {
  Watch watch;
  Talk talk;
  CHECK(watch.take(talk.syn()));
  CHECK(watch.take(talk.syn_ack()));
  CHECK(watch.take(talk.say(true, "hello ")));
  CHECK(watch.take(talk.say(false, "welcome")));
  CHECK(watch.take(talk.say(true, "there")));
  CHECK(watch.take(talk.fin(true)));
  CHECK(watch.take(talk.fin(false)));
  CHECK(watch.client == "hello there");
  CHECK(watch.server == "welcome");
  CHECK(watch.opened == 1);
  CHECK(watch.finished == 1);
  CHECK(watch.streams.size() == 0);
}

TEST_CASE("segments ahead of a gap wait for it, and sequence numbers go round") {
  Watch watch;
  Talk talk;
  watch.take(talk.syn());
  watch.take(talk.syn_ack());
  const std::string text(600, 'x');  // over the end of the numbers
  const auto first = talk.say(true, text);
  const auto second = talk.say(true, "second");
  const auto third = talk.say(true, "third");
  CHECK(watch.take(third));
  CHECK(watch.take(second));
  CHECK(watch.client.empty());
  CHECK(watch.take(first));
  CHECK(watch.client == text + "secondthird");
}

TEST_CASE("a repeat passes as it was, and not with other bytes") {
  Watch watch;
  Talk talk;
  watch.take(talk.syn());
  watch.take(talk.syn_ack());
  CHECK(watch.take(talk.say(true, "STOR letter")));
  CHECK(watch.take(talk.at(true, -6, "letter")));
  CHECK_FALSE(watch.take(talk.at(true, -6, "poison")));
  CHECK_FALSE(watch.take(talk.at(true, -6, "poison and more")));
  CHECK(watch.take(talk.at(true, -6, "letter and more")));
  CHECK(watch.client == "STOR letter and more");
}

TEST_CASE("what waits ahead of a gap cannot be replaced either") {
  Watch watch;
  Talk talk;
  watch.take(talk.syn());
  watch.take(talk.syn_ack());
  CHECK(watch.take(talk.at(true, 4, "letter")));
  CHECK_FALSE(watch.take(talk.at(true, 4, "poison")));
  CHECK_FALSE(watch.take(talk.at(true, 0, "GET poison")));
  CHECK(watch.take(talk.at(true, 0, "GET ")));
  CHECK(watch.client == "GET letter");
}

TEST_CASE("what can be compared with nothing any more passes only if the receiver has it") {
  Watch watch;
  Talk talk(8080);
  watch.take(talk.syn());
  watch.take(talk.syn_ack());
  const auto early = talk.at(true, 0, "early");
  CHECK(watch.take(early));
  talk.skip(true, 5);
  for (std::size_t sent = 0; sent <= Streams::kMaxHistory; sent += 1000)
    CHECK(watch.take(talk.say(true, std::string(1000, 'x'))));
  CHECK_FALSE(watch.take(early));
  CHECK(watch.take(talk.say(false, "has it all")));
  CHECK(watch.take(early));
}

TEST_CASE("a stream that is condemned ends there") {
  Watch watch;
  Talk talk;
  watch.take(talk.syn());
  watch.take(talk.syn_ack());
  CHECK(watch.take(talk.say(true, "so b")));
  const auto last = talk.say(true, "ad");
  CHECK_FALSE(watch.take(last));
  CHECK_FALSE(watch.take(last));
  CHECK_FALSE(watch.take(talk.say(false, "what?")));
  // The same ports again, from the beginning.
  Talk again;
  watch.client.clear();
  CHECK_FALSE(watch.take(again.syn()));
}

TEST_CASE("a reset that does not stand where the receiver reads is no end") {
  Watch watch;
  Talk talk;
  watch.take(talk.syn());
  watch.take(talk.syn_ack());
  watch.take(talk.say(true, "ha"));
  auto reset = Tins::IP(talk.at(true, 3, "").data(), 40);
  reset.rfind_pdu<Tins::TCP>().flags(Tins::TCP::RST);
  CHECK(watch.take(reset.serialize()));
  CHECK(watch.streams.size() == 1);
  reset.rfind_pdu<Tins::TCP>().seq(reset.rfind_pdu<Tins::TCP>().seq() - 3);
  CHECK(watch.take(reset.serialize()));
  CHECK(watch.streams.size() == 0);
}

TEST_CASE("no more is kept than there is room for") {
  Watch watch;
  for (std::size_t i = 0; i < Streams::kMaxStreams + 50; ++i) {
    Talk talk(21, static_cast<std::uint16_t>(1024 + i));
    CHECK(watch.take(talk.syn()));
  }
  CHECK(watch.streams.size() == Streams::kMaxStreams);
  Talk talk(80);
  watch.take(talk.syn());
  std::size_t kept = 0;
  for (std::size_t i = 0; i < 200; ++i)
    kept +=
        watch.take(talk.at(true, static_cast<std::int64_t>(10 + i * 1000), std::string(900, 'x')));
  CHECK(kept == Streams::kMaxEarly / 900);
}

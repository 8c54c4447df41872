#include "gateways/middlebox/judges.hh"

#include <doctest/doctest.h>

using namespace i3;
using namespace std::chrono_literals;

namespace {

struct Box {
  std::vector<std::string> passed;
  std::vector<std::pair<Judges::Plugin, std::uint64_t>> asked;
  std::vector<Judges::Plugin> away;
  Judges judges;

  explicit Box(std::set<std::string> demanded = {})
      : judges({[this](MutBytes packet) { passed.emplace_back(as_text(packet)); },
                [this](Judges::Plugin plugin, const PluginPacket& packet) {
                  asked.emplace_back(plugin, packet.number);
                },
                [this](Judges::Plugin plugin) { away.push_back(plugin); }},
               std::move(demanded)) {}
  void packet(std::string text, TimePoint now = TimePoint(1h)) {
    std::vector<std::uint8_t> bytes(text.begin(), text.end());
    judges.packet("a", "b", bytes, now, 7);
  }
};

}  // namespace

TEST_CASE("without plug-ins packets pass at once") {
  Box box;
  box.packet("one");
  CHECK(box.passed == std::vector<std::string>{"one"});
  CHECK(box.judges.waiting() == 0);
}

TEST_CASE("one that only looks gets copies and holds nothing up") {
  Box box;
  box.judges.joined(1, {false, "log"});
  box.packet("one");
  CHECK(box.passed.size() == 1);
  CHECK(box.asked.size() == 1);
}

TEST_CASE("all who judge have to let a packet pass, and packets keep their order") {
  Box box;
  box.judges.joined(1, {true, "x"});
  box.judges.joined(2, {true, "y"});
  box.packet("one");
  box.packet("two");
  box.packet("three");
  CHECK(box.passed.empty());
  box.judges.verdict(2, {2, false});
  box.judges.verdict(1, {2, false});
  box.judges.verdict(1, {3, false});
  box.judges.verdict(2, {3, true});
  CHECK(box.passed.empty());
  box.judges.verdict(1, {1, false});
  CHECK(box.passed.empty());
  box.judges.verdict(2, {1, false});
  CHECK(box.passed == std::vector<std::string>{"one", "two"});
  CHECK(box.judges.counters().dropped == 1);
}

TEST_CASE("a verdict for nothing that waits, or said twice, changes nothing") {
  Box box;
  box.judges.joined(1, {true, "x"});
  box.judges.joined(2, {true, "y"});
  box.packet("one");
  box.judges.verdict(1, {9, false});
  box.judges.verdict(7, {1, false});
  box.judges.verdict(1, {1, false});
  box.judges.verdict(1, {1, false});
  CHECK(box.passed.empty());
  CHECK(box.judges.counters().not_asked == 3);
}

TEST_CASE("nothing passes while a plug-in that the settings demand is not there") {
  Box box({"filter"});
  box.packet("one");
  box.judges.joined(1, {false, "filter"});  // one that does not judge will not do
  box.packet("two");
  CHECK(box.passed.empty());
  CHECK(box.judges.missing() == std::vector<std::string>{"filter"});
  CHECK(box.judges.counters().no_judge == 2);
  box.judges.joined(2, {true, "filter"});
  box.packet("three");
  box.judges.verdict(2, {1, false});
  CHECK(box.passed == std::vector<std::string>{"three"});
}

TEST_CASE("what waits for one that leaves passes, or is dropped where the settings demand it") {
  for (const bool demanded : {false, true}) {
    Box box(demanded ? std::set<std::string>{"x"} : std::set<std::string>{});
    box.judges.joined(1, {true, "x"});
    box.packet("one");
    box.judges.left(1);
    CHECK(box.passed.size() == (demanded ? 0 : 1));
    CHECK(box.judges.waiting() == 0);
  }
}

TEST_CASE("one that does not answer in time is sent away") {
  Box box;
  box.judges.joined(1, {true, "x"});
  box.packet("one", TimePoint(1h));
  box.packet("two", TimePoint(1h) + 1s);
  CHECK(box.judges.next_deadline() == TimePoint(1h) + Judges::kPatience);
  box.judges.on_timer(TimePoint(1h) + 1999ms);
  CHECK(box.away.empty());
  box.judges.on_timer(TimePoint(1h) + 2s);
  CHECK(box.away == std::vector<Judges::Plugin>{1});
  CHECK(box.passed == std::vector<std::string>{"one", "two"});
  CHECK(box.judges.next_deadline() == kNever);
}

TEST_CASE("no more packets wait than there is room for") {
  Box box;
  box.judges.joined(1, {true, "x"});
  for (std::size_t i = 0; i < Judges::kMaxWaiting + 10; ++i) box.packet("p");
  CHECK(box.judges.waiting() == Judges::kMaxWaiting);
  CHECK(box.judges.counters().no_room == 10);
}

// A million forged insertions, removals and challenge answers against a node's admission: replays,
// other addresses, other nodes, other IDs, other keys, changed bits. Prints how many were accepted,
// which must be none, and how many cost the node a signature check.
#include <cstdlib>
#include <map>

#include "overlay/triggers/admission.hh"
#include "tests/bench/path/figures.hh"

namespace {

using namespace i3;
using namespace i3::bench;

constexpr std::uint32_t kForgeries = 1'000'000;
constexpr WallTime kWall = 1'750'000'000'000'000'000;
constexpr WallTime kLater = kWall + 86'400'000'000'000;
using Message = std::vector<std::uint8_t>;

class Battle {
 public:
  Battle() {
    for (std::uint32_t i = 0; i < 64; ++i) {
      wire::Insert good = insertion(*alice_, i % 2, 1000 + i);
      good.remove = i % 4 == 3;
      if (i % 8 == 1)
        good.stack = {wire::Consent::issue(*bob_, public_id(bob_->key()), 0, good.id, kLater)};
      genuine_.push_back(proof(good, *alice_, kHome, kHome, kNode));
      // The owner goes on: whatever it proved before is out of date from here on.
      if (!accepted(genuine_.back(), kHome, kNode)) fail("a genuine message was refused");
      elsewhere_.push_back(proof(good, *alice_, kHome, kHome, kOtherNode));
      good.sequence = 1'000'000;
      unseen_.push_back(proof(good, *alice_, kHome, kHome, kOtherNode));
      stolen_.push_back(proof(good, *mallory_, kThief, kThief, kNode));
      moved_.push_back(proof(good, *alice_, kThief, kHome, kNode));
      wire::Insert other = insertion(*mallory_, 0, 1'000'000 + i);
      other.id = public_id(alice_->key());
      taken_.push_back(proof(other, *mallory_, kThief, kThief, kNode));
      other = insertion(*alice_, 0, 1'000'000 + i);
      other.delegation = wire::Delegation::issue(*mallory_, mallory_->key(), kLater);
      delegated_.push_back(proof(other, *mallory_, kThief, kThief, kNode));
      other = insertion(*mallory_, 0, 1'000'000 + i);
      other.stack = {
          wire::Consent::issue(*mallory_, public_id(alice_->key()), 0, other.id, kLater)};
      unconsented_.push_back(proof(other, *mallory_, kThief, kThief, kNode));
    }
    checked_ = 0;
  }

  void fight(Report& report) {
    const double start = cpu_nanoseconds();
    std::uint64_t taken = 0;
    for (std::uint32_t i = 0; i < kForgeries; ++i) taken += one(i);
    const double spent = cpu_nanoseconds() - start;
    Samples accepted, checked, each;
    accepted.add(static_cast<double>(taken));
    checked.add(static_cast<double>(checked_));
    each.add(spent / kForgeries);
    report.figure("security.forged_accepted", accepted, "", {0, 0});
    report.figure("security.forged_reaching_signatures", checked, "", {0, 0});
    report.figure("security.forged_ns_each", each, "ns", {0, 0});
    for (const auto& [name, count] : tried_)
      std::printf("  %8u %s\n", static_cast<unsigned>(count), name.c_str());
    if (taken != 0) fail("forgeries were accepted");
  }

 private:
  [[noreturn]] static void fail(const char* why) {
    std::fprintf(stderr, "forged_bench: %s\n", why);
    std::exit(1);
  }
  static wire::Insert insertion(const Identity& owner, std::uint32_t salt, std::uint64_t sequence) {
    wire::Insert insert;
    insert.nonce = sequence;
    insert.owner = owner.key();
    insert.salt = salt;
    insert.id = owner_prefix(owner.key(), salt);
    insert.sequence = sequence;
    return insert;
  }
  // Signed for the address `named`, with the cookie of `from`.
  Message proof(wire::Insert insert, const Identity& signer, const Endpoint& from,
                const Endpoint& named, RingId node) {
    std::array<std::uint8_t, wire::kMaxMessage> buffer;
    Writer writer(buffer);
    insert.write_proof(writer, signer, admission_.cookie(from, insert.id, now_), named, node);
    return {writer.written().begin(), writer.written().end()};
  }
  bool accepted(const Message& message, const Endpoint& from, RingId node) {
    const auto insert = wire::Insert::parse(message);
    if (!insert) return false;
    const auto answer = admission_.insert(*insert, message, from, node, true, now_, kWall, [&] {
      ++checked_;
      return true;
    });
    return std::holds_alternative<Admission::Inserted>(answer);
  }
  const Message& any(const std::vector<Message>& messages) {
    return messages[random_.below(messages.size())];
  }

  bool one(std::uint32_t number) {
    const Endpoint somewhere{IpAddress::v4(random_.u32()), 4000};
    // The last ones are still in force, and may be repeated: that changes nothing.
    const Message& old = genuine_[random_.below(genuine_.size() - 8)];
    switch (number % 16) {
      case 0:
        return attempt("one bit changed", changed(any(genuine_), 1), kHome);
      case 1:
        return attempt("bytes changed", changed(any(genuine_), 8), kHome);
      case 2:
      case 3:
        return attempt("replayed after the owner went on", old, kHome);
      case 4:
        return attempt("signed for another node", any(elsewhere_), kHome);
      case 5:
        return attempt("signed for another node, never seen here", any(unseen_), kHome);
      case 6:
        return attempt("another's ID and key, own signature", any(stolen_), kThief);
      case 7:
        return attempt("own cookie, the owner's signature for its address", any(moved_), kThief);
      case 8:
        return attempt("another's ID under the own key", any(taken_), kThief);
      case 9:
        return attempt("delegation signed by oneself", any(delegated_), kThief);
      case 10:
        return attempt("target that never consented", any(unconsented_), kThief);
      case 11: {
        Message cut = any(genuine_);
        const std::size_t size = random_.below(cut.size() + 64);
        cut.resize(size == cut.size() ? size + 1 : size);
        return attempt("cut or lengthened", cut, kHome);
      }
      default:
        return attempt("replayed from another address", any(genuine_), somewhere);
    }
  }
  bool attempt(const char* what, const Message& message, const Endpoint& from) {
    ++tried_[what];
    return accepted(message, from, kNode);
  }
  Message changed(Message message, int times) {
    const Message before = message;
    // Changes may undo each other.
    while (message == before)
      for (int i = 0; i < times; ++i)
        message[random_.below(message.size())] ^= static_cast<std::uint8_t>(1u << random_.below(8));
    return message;
  }

  const Endpoint kHome{IpAddress::v4(0xc0000201), 4000}, kThief{IpAddress::v4(0xc6336401), 4000};
  const RingId kNode{1, 2}, kOtherNode{3, 4};
  const TimePoint now_{std::chrono::hours(1)};
  SeededRandom random_{1};
  TriggerTable table_{TriggerLimits{}, random_};
  Admission admission_{table_, random_};
  std::unique_ptr<Identity> alice_ = Identity::generate(random_);
  std::unique_ptr<Identity> bob_ = Identity::generate(random_);
  std::unique_ptr<Identity> mallory_ = Identity::generate(random_);
  std::vector<Message> genuine_, elsewhere_, unseen_, stolen_, moved_, taken_, delegated_,
      unconsented_;
  std::map<std::string, std::uint32_t> tried_;
  std::uint64_t checked_ = 0;
};

}  // namespace

// forged_bench FIGURES-FILE; exit 1 if anything forged was accepted.
int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: forged_bench FIGURES-FILE\n");
    return 2;
  }
  Report report(argv[1]);
  Battle().fight(report);
  return 0;
}

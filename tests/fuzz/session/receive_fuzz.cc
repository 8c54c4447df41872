// Two live hosts and a network that does what the input says: three-byte steps initiate, seal,
// deliver to either host, change, repeat, forget, restart, let time pass, or deliver raw bytes.
// Whatever happens, memory stays bounded and both can shake hands and talk afterwards.
#include <cstdlib>
#include <memory>

#include "overlay/session/sessions.hh"

using namespace i3;

namespace {
using Message = std::vector<std::uint8_t>;
constexpr std::size_t kMostMessages = 64;

void require(bool holds) {
  if (!holds) std::abort();
}

struct Host {
  explicit Host(std::uint64_t seed) : random(seed), identity(Identity::generate(random)) {
    restart();
  }
  void restart() {
    SessionOptions options;
    options.handshakes_per_second = 4;
    sessions = std::make_unique<Sessions>(*identity, random, options);
  }
  SeededRandom random;
  std::unique_ptr<Identity> identity;
  std::unique_ptr<Sessions> sessions;
};

struct Sent {
  SessionKind kind;
  Message message;
};

struct Network {
  Host hosts[2] = {Host(1), Host(2)};
  TimePoint now{std::chrono::hours(1)};
  std::uint64_t stamp = 100;
  std::vector<Sent> sent;

  const PublicKey& other_key(unsigned host) const { return hosts[1 - host].identity->key(); }

  void keep(SessionKind kind, Message message, std::size_t size) {
    if (size == 0 || sent.size() >= kMostMessages) return;
    message.resize(size);
    sent.push_back({kind, std::move(message)});
  }
  void initiate(unsigned host, std::uint64_t with_stamp) {
    Message out(512);
    const std::size_t size = hosts[host].sessions->initiate(0, other_key(host), kNoPsk, with_stamp,
                                                            as_bytes("early"), out, now);
    keep(SessionKind::first, std::move(out), size);
  }
  void seal(unsigned host) {
    Message out(kTransportOverhead + 2, 'x');
    if (hosts[host].sessions->seal(0, out, now)) keep(SessionKind::transport, out, out.size());
  }
  void repeat(unsigned host, SessionKind kind) {
    Message out(512);
    const std::size_t size = hosts[host].sessions->repeat(0, kind, out, now);
    keep(kind, std::move(out), size);
  }
  bool deliver(unsigned host, SessionKind kind, Message message, bool early) {
    Sessions& to = *hosts[host].sessions;
    Received received = to.receive(kind, message, as_bytes("there"), now);
    require(to.stored() <= 5 && to.peers() <= 1);
    if (auto* first = std::get_if<FirstMessage>(&received)) {
      require(first->key == other_key(host));
      Message out(512);
      const std::size_t size = to.respond(*first, 0, early, as_bytes("answer"), out, now);
      keep(SessionKind::second, std::move(out), size);
    } else if (auto* data = std::get_if<Data>(&received)) {
      require(as_text(data->plaintext) == "xx");
    } else if (auto* established = std::get_if<Established>(&received)) {
      require(as_text(established->payload) == "answer");
    } else if (auto* back = std::get_if<SendBack>(&received)) {
      keep(SessionKind::cookie, Message(back->bytes.begin(), back->bytes.end()),
           back->bytes.size());
    } else if (auto* stored = std::get_if<CookieStored>(&received)) {
      repeat(host, stored->kind);
    }
    return !std::holds_alternative<Drop>(received);
  }
  void change(const Sent& original, std::uint8_t at, unsigned to_host) {
    Sent changed = original;
    changed.message[at % changed.message.size()] ^= static_cast<std::uint8_t>(1 + at / 32);
    if (at % 2 == 0 && changed.message.size() >= HandshakeGuard::kMacs &&
        (changed.kind == SessionKind::first || changed.kind == SessionKind::second))
      OutgoingMacs(hosts[to_host].identity->key()).write(changed.message, now);
    if (sent.size() < kMostMessages) sent.push_back(std::move(changed));
  }

  void step(std::uint8_t what, std::uint8_t x, std::uint8_t y, Reader& input) {
    const unsigned host = what >> 7;
    const bool some = !sent.empty();
    switch (what & 15) {
      case 0:
        return initiate(host, ++stamp);
      case 1:
        return initiate(host, x);
      case 2:
        return seal(host);
      case 3:
        if (some) {
          const Sent chosen = sent[x % sent.size()];
          deliver(host, chosen.kind, chosen.message, (y & 1) != 0);
        }
        return;
      case 4:
        if (some) change(sent[x % sent.size()], y, host);
        return;
      case 5:
        return repeat(host, static_cast<SessionKind>(x % 4));
      case 6:
        return hosts[host].sessions->forget(0);
      case 7:
        return hosts[host].restart();
      case 8:
        now += std::chrono::milliseconds(x * 1000 + y);
        return;
      case 9:
        return hosts[host].sessions->expire(now);
      default: {
        const Bytes raw = input.bytes(std::min<std::size_t>(y, input.left()));
        deliver(host, static_cast<SessionKind>(x % 5), Message(raw.begin(), raw.end()), false);
      }
    }
  }

  // With the load gone, a handshake must work, and both directions after it.
  void end() {
    now += std::chrono::seconds(10);
    sent.clear();
    initiate(0, ++stamp);
    require(deliver(1, sent.at(0).kind, sent.at(0).message, false));
    require(deliver(0, sent.at(1).kind, sent.at(1).message, false));
    seal(0);
    require(deliver(1, sent.at(2).kind, sent.at(2).message, false));
    seal(1);
    require(deliver(0, sent.at(3).kind, sent.at(3).message, false));
    now += std::chrono::seconds(180);
    for (Host& host : hosts) {
      host.sessions->expire(now);
      require(host.sessions->stored() == 0 && host.sessions->peers() == 0);
    }
  }
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Network network;
  Reader input(Bytes(data, size));
  for (int steps = 0; steps < 64 && input.left() >= 3; ++steps) {
    const std::uint8_t what = input.u8(), x = input.u8(), y = input.u8();
    network.step(what, x, y, input);
  }
  network.end();
  return 0;
}

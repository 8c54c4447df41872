// Runs the kernel's relay program over packets made here and compares what comes out, byte for
// byte, with what a node in user space would send. Needs a namespace with an Ethernet interface
// `eth0` that has 10.9.0.1/24 and fd09::1/64; kernel_relay.sh makes one.
#include <bpf/bpf.h>
#include <cstdio>
#include <cstdlib>
#include <net/if.h>
#include <tins/ethernetII.h>
#include <tins/ip.h>
#include <tins/ipv6.h>
#include <tins/rawpdu.h>
#include <tins/udp.h>

#include "overlay/base/random.hh"
#include "overlay/node/kernel/kernel_relay.hh"

using namespace i3;

namespace {

using Packet = std::vector<std::uint8_t>;
constexpr int kRedirect = 7, kOn = -1;  // TC_ACT_REDIRECT, TC_ACT_UNSPEC

int checks = 0;
void check(bool good, const char* sentence) {
  if (!good) {
    std::printf("FAILED: %s\n", sentence);
    std::exit(1);
  }
  ++checks;
}

struct Datagram {
  Endpoint from, to;
  std::uint8_t ttl = 64;
  Packet payload;
  bool checksum = true;
};

Packet labelled(Random& random, wire::Label label, std::size_t size) {
  Packet payload(wire::kLabelledSize + size);
  random.fill(payload);
  Writer writer(payload);
  wire::Labelled::write_front(writer, static_cast<std::uint8_t>(random.below(4)), label);
  return payload;
}

Packet frame(const Datagram& datagram) {
  Tins::UDP udp(datagram.to.port, datagram.from.port);
  udp.inner_pdu(
      Tins::RawPDU(datagram.payload.data(), static_cast<std::uint32_t>(datagram.payload.size())));
  // Test runs stand on the loopback interface, whose address is all zeros.
  Tins::EthernetII ethernet("00:00:00:00:00:00", "02:00:00:00:00:02");
  if (datagram.to.address.is_v4()) {
    Tins::IP ip(datagram.to.address.text(), datagram.from.address.text());
    ip.ttl(datagram.ttl);
    ip.id(0x1234);
    ip.flags(Tins::IP::DONT_FRAGMENT);
    ethernet /= ip / udp;
  } else {
    Tins::IPv6 ip(datagram.to.address.text(), datagram.from.address.text());
    ip.hop_limit(datagram.ttl);
    ip.flow_label(0x4711);
    ethernet /= ip / udp;
  }
  Packet bytes = ethernet.serialize();
  if (!datagram.checksum && datagram.to.address.is_v4()) bytes[40] = bytes[41] = 0;
  return bytes;
}

struct Outcome {
  int verdict = 0;
  Packet bytes;
};

Outcome run(const KernelRelay& relay, const Packet& in, std::uint16_t gso_size = 0) {
  Outcome outcome;
  outcome.bytes.resize(in.size() + 256);
  __sk_buff context{};
  context.gso_size = gso_size;
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = in.data();
  options.data_size_in = static_cast<__u32>(in.size());
  options.data_out = outcome.bytes.data();
  options.data_size_out = static_cast<__u32>(outcome.bytes.size());
  options.ctx_in = &context;
  options.ctx_size_in = sizeof context;
  options.repeat = 1;
  if (bpf_prog_test_run_opts(relay.program(), &options) != 0) {
    std::perror("bpf_prog_test_run_opts");
    std::exit(1);
  }
  outcome.verdict = static_cast<int>(options.retval);
  outcome.bytes.resize(options.data_size_out);
  return outcome;
}

// What the node in user space sends: the same payload, from where it came to, to the target.
Packet expected(const Datagram& in, const Endpoint& target) {
  Datagram out = in;
  out.from = in.to;
  out.to = target;
  --out.ttl;
  return frame(out);
}

bool same_above_ethernet(const Packet& a, const Packet& b) {
  return a.size() == b.size() && std::equal(a.begin() + 14, a.end(), b.begin() + 14);
}

Endpoint at(const char* address, std::uint16_t port) {
  return {IpAddress::parse(address).value(), port};
}

void forwards_alike(KernelRelay& relay, Random& random, TimePoint now, bool v4) {
  const Endpoint local = v4 ? at("10.9.0.1", 5100) : at("fd09::1", 5100);
  for (int i = 0; i < 1000; ++i) {
    const wire::Label label{random.u32(), random.u32()};
    const Endpoint target =
        v4 ? at("10.9.0.77", static_cast<std::uint16_t>(1 + random.below(65535)))
           : at("fd09::77", static_cast<std::uint16_t>(1 + random.below(65535)));
    if (i % 100 == 0) relay.review(now, [](wire::Label) { return std::nullopt; });
    relay.offer(label, local, target, now);
    Datagram in{v4 ? at("192.0.2.9", 4000) : at("2001:db8::9", 4000), local,
                static_cast<std::uint8_t>(2 + random.below(250)),
                labelled(random, label, random.below(1400))};
    in.from.port = static_cast<std::uint16_t>(1 + random.below(65535));
    in.checksum = random.below(8) != 0 || !v4;
    const Outcome out = run(relay, frame(in));
    check(out.verdict == kRedirect, "a leased label goes on");
    check(same_above_ethernet(out.bytes, expected(in, target)),
          "it goes on as user space would send it, byte for byte");
  }
}

void leaves_alone(KernelRelay& relay, Random& random, TimePoint now, bool v4) {
  const wire::Label label{random.u32(), random.u32()};
  const Endpoint local = v4 ? at("10.9.0.1", 5100) : at("fd09::1", 5100);
  const Endpoint target = v4 ? at("10.9.0.77", 777) : at("fd09::77", 777);
  const Datagram good{v4 ? at("192.0.2.9", 4000) : at("2001:db8::9", 4000), local, 64,
                      labelled(random, label, 100)};
  relay.offer(label, local, target, now);
  check(run(relay, frame(good)).verdict == kRedirect, "the packet that the others differ from");
  const auto stays = [&](const char* sentence, const Packet& packet, std::uint16_t gso_size = 0) {
    const Outcome out = run(relay, packet, gso_size);
    check(out.verdict == kOn && out.bytes == packet, sentence);
  };
  const auto changed = [&](auto change) {
    Datagram other = good;
    change(other);
    return frame(other);
  };
  stays("an unknown label stays", changed([](Datagram& d) { d.payload[11] ^= 1; }));
  stays("another version stays", changed([](Datagram& d) { d.payload[0] = 0xc2; }));
  stays("another type stays", changed([](Datagram& d) { d.payload[1] = 3; }));
  stays("an unknown flag stays", changed([](Datagram& d) { d.payload[3] = 1; }));
  stays("a short packet stays", changed([](Datagram& d) { d.payload.resize(11); }));
  stays("another port stays", changed([](Datagram& d) { d.to.port = 5101; }));
  stays("another of our addresses stays",
        changed([&](Datagram& d) { d.to = v4 ? at("10.9.0.2", 5100) : at("fd09::2", 5100); }));
  stays("a packet at the end of its life stays", changed([](Datagram& d) { d.ttl = 1; }));
  if (v4) {
    Packet fragment = frame(good);
    fragment[20] |= 0x20;
    stays("a fragment stays", fragment);
  }
  // Super-packets: three segments of 112 bytes each.
  Datagram super = good;
  for (int i = 0; i < 2; ++i)
    super.payload.insert(super.payload.end(), good.payload.begin(), good.payload.end());
  check(run(relay, frame(super), 112).verdict == kRedirect, "a super-packet of one label goes on");
  super.payload[112 * 2 + 11] ^= 1;
  stays("a super-packet of two labels stays", frame(super), 112);
  super.payload[112 * 2 + 11] ^= 1;
  super.payload.resize(112 * 2 + 5);
  stays("a super-packet whose last segment is cut off stays", frame(super), 112);
  relay.review(now, [](wire::Label) { return std::nullopt; });
  stays("a label whose trigger is gone stays", frame(good));
  relay.offer(label, local, target, now - 2 * KernelRelay::kLease);
  stays("a lease that ran out is none", frame(good));
}

// More labels than there is room for, all of which lead where no route does.
void crowded(KernelRelay& relay, Random& random, TimePoint now) {
  relay.review(now, [](wire::Label) { return std::nullopt; });
  const Endpoint local = at("10.9.0.1", 5100), nowhere = at("10.200.0.1", 4000);
  for (std::size_t i = 0; i < KernelRelay::kMostLeases + KernelRelay::kMostImpossible; ++i)
    relay.offer({random.u32(), random.u32()}, local, nowhere, now);
  check(relay.counters().at("kernel_leases") == 0, "labels without a way get no lease");
  const wire::Label label{random.u32(), random.u32()};
  relay.offer(label, local, at("10.9.0.77", 4000), now + KernelRelay::kAskApart);
  check(relay.counters().at("kernel_leases") == 1, "nor do they crowd out one that has a way");
}

}  // namespace

// `attached INTERFACE`: how many programs sit at its TC ingress.
int main(int count, char** arguments) try {
  if (count == 3 && std::string_view(arguments[1]) == "attached") {
    __u32 programs[8], found = 8;
    const auto ingress = static_cast<bpf_attach_type>(46);  // BPF_TCX_INGRESS
    const auto index = static_cast<int>(if_nametoindex(arguments[2]));
    if (bpf_prog_query(index, ingress, 0, nullptr, programs, &found) != 0) return 1;
    std::printf("%u\n", found);
    return 0;
  }
  KernelRelay relay;
  SeededRandom random(1);
  SystemClock clock;
  for (const bool v4 : {true, false}) {
    forwards_alike(relay, random, clock.now(), v4);
    leaves_alone(relay, random, clock.now(), v4);
  }
  crowded(relay, random, clock.now());
  std::printf("%d checks passed\n", checks);
} catch (const KernelRelayError& error) {
  std::printf("skipped: %s\n", error.what());
  return 77;
}

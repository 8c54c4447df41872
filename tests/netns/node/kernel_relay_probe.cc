// Runs the kernel's relay programs over packets made here and compares what comes out, byte for
// byte, with what a node in user space would send. Needs a namespace with an Ethernet interface
// `eth0` that has 10.9.0.1/24 and fd09::1/64, takes XDP and knows its neighbours 10.9.0.77 and
// fd09::77 by kNeighbour; kernel_relay.sh makes one.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <net/if.h>
#include <tins/ethernetII.h>
#include <tins/ip.h>
#include <tins/ipv6.h>
#include <tins/rawpdu.h>
#include <tins/udp.h>
#include <unistd.h>

#include "overlay/base/random.hh"
#include "overlay/node/kernel/kernel_relay.hh"

using namespace i3;

namespace {

using Packet = std::vector<std::uint8_t>;
constexpr int kRedirect = 7, kOn = -1;  // TC_ACT_REDIRECT, TC_ACT_UNSPEC
constexpr Mac kNeighbour{2, 0, 0, 0, 0, 0x77}, kSender{2, 0, 0, 0, 0, 2};

// Leases are offered for a time to come, so that none runs out while a busy machine gets round to
// it.
constexpr Duration kAhead = std::chrono::minutes(1);

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

Outcome run(int program, const Packet& in, void* context, std::size_t context_size) {
  Outcome outcome;
  outcome.bytes.resize(in.size() + 256);
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = in.data();
  options.data_size_in = static_cast<__u32>(in.size());
  options.data_out = outcome.bytes.data();
  options.data_size_out = static_cast<__u32>(outcome.bytes.size());
  options.ctx_in = context;
  options.ctx_size_in = static_cast<__u32>(context_size);
  options.repeat = 1;
  if (bpf_prog_test_run_opts(program, &options) != 0) {
    std::perror("bpf_prog_test_run_opts");
    std::exit(1);
  }
  outcome.verdict = static_cast<int>(options.retval);
  outcome.bytes.resize(options.data_size_out);
  return outcome;
}

Outcome run(const KernelRelay& relay, const Packet& in, std::uint16_t gso_size = 0) {
  __sk_buff context{};
  context.gso_size = gso_size;
  return run(relay.program(), in, &context, sizeof context);
}

Mac read_own_address() {
  unsigned byte[6] = {};
  std::string line;
  std::getline(std::ifstream("/sys/class/net/eth0/address"), line);
  check(std::sscanf(line.c_str(), "%x:%x:%x:%x:%x:%x", &byte[0], &byte[1], &byte[2], &byte[3],
                    &byte[4], &byte[5]) == 6,
        "eth0 has an address");
  Mac mac;
  for (std::size_t i = 0; i < mac.size(); ++i) mac[i] = static_cast<std::uint8_t>(byte[i]);
  return mac;
}

const Mac& own_address() {
  static const Mac own = read_own_address();
  return own;
}

Packet between(Packet bytes, const Mac& to, const Mac& from) {
  std::copy(to.begin(), to.end(), bytes.begin());
  std::copy(from.begin(), from.end(), bytes.begin() + 6);
  return bytes;
}

// A frame as it came to eth0, or elsewhere.
Outcome run_at_xdp(const KernelRelay& relay, const Packet& in, const char* interface = "eth0") {
  xdp_md context{};
  context.data_end = static_cast<__u32>(in.size());
  context.ingress_ifindex = if_nametoindex(interface);
  return run(relay.xdp_program(), in, &context, sizeof context);
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
    const Outcome back = run_at_xdp(relay, between(frame(in), own_address(), kSender));
    check(back.verdict == XDP_TX, "at XDP it goes back by the interface on which it came");
    check(back.bytes == between(out.bytes, kNeighbour, own_address()),
          "to the neighbour, and else with the bytes of the program at TC");
  }
}

void passes(const KernelRelay& relay, const Packet& packet, const char* interface,
            const char* sentence) {
  const Outcome out = run_at_xdp(relay, packet, interface);
  check(out.verdict == XDP_PASS && out.bytes == packet, sentence);
}

// What the program at TC sends on, but the one at XDP does not.
void leaves_to_tc(KernelRelay& relay, Random& random, TimePoint now, bool v4) {
  const wire::Label label{random.u32(), random.u32()}, other{random.u32(), random.u32()};
  const Endpoint local = v4 ? at("10.9.0.1", 5100) : at("fd09::1", 5100);
  Datagram in{v4 ? at("192.0.2.9", 4000) : at("2001:db8::9", 4000), local, 64,
              labelled(random, label, 100)};
  relay.offer(label, local, v4 ? at("10.9.0.77", 777) : at("fd09::77", 777), now);
  relay.offer(other, local, v4 ? at("10.9.0.78", 777) : at("fd09::78", 777), now);
  const Packet good = between(frame(in), own_address(), kSender);
  const auto before = relay.counters();
  check(run_at_xdp(relay, good).verdict == XDP_TX, "the frame that the others differ from");
  const auto after = relay.counters();
  for (const char* counter : {"kernel_relayed_packets", "kernel_relayed_at_xdp"})
    check(after.at(counter) == before.at(counter) + 1, "it is counted, and as one at XDP");
  check(after.at("kernel_relayed_bytes") == before.at("kernel_relayed_bytes") + in.payload.size(),
        "with the bytes of its payload");
  passes(relay, good, "lo", "what came by another interface passes");
  passes(relay, between(frame(in), kNeighbour, kSender), "eth0", "another station's frame passes");
  Packet tagged = good;
  const std::uint8_t tag[] = {0x81, 0, 0, 5};
  tagged.insert(tagged.begin() + 12, tag, tag + 4);
  passes(relay, tagged, "eth0", "a VLAN's frame passes");
  in.payload = labelled(random, other, 100);
  check(run(relay, frame(in)).verdict == kRedirect, "a neighbour to be looked for is one for TC");
  passes(relay, between(frame(in), own_address(), kSender), "eth0", "and XDP passes it");
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
    if (gso_size == 0) passes(relay, between(packet, own_address(), kSender), "eth0", sentence);
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
  Packet cut_short = frame(good);
  cut_short.resize(cut_short.size() - 1);
  stays("a datagram that is not all there stays", cut_short);
  if (v4) {
    Packet fragment = frame(good);
    fragment[20] |= 0x20;
    stays("a fragment stays", fragment);
    Packet options = frame(good);
    options[14] = 0x46;
    stays("a packet with IP options stays", options);
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
  relay.offer(label, local, target, now - kAhead - 2 * KernelRelay::kLease);
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

// The far end of a virtual cable takes what is sent back at XDP only while it has such a program
// too.
int let_pass(const char* interface) {
  const bpf_insn pass[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, XDP_PASS},
                           {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  const OwnedFd program(bpf_prog_load(BPF_PROG_TYPE_XDP, "pass", "GPL", pass, 2, nullptr));
  const OwnedFd link(bpf_link_create(program.get(), static_cast<int>(if_nametoindex(interface)),
                                     BPF_XDP, nullptr));
  if (!link) return 1;
  std::puts("passing");
  std::fflush(stdout);
  return pause();
}

int show_hop(const char* interface, const char* address) {
  const auto hop = hop_towards({if_nametoindex(interface), at(address, 0).address});
  if (!hop) return 1;
  for (const std::uint8_t byte : hop->neighbour) std::printf("%02x", byte);
  std::puts("");
  return 0;
}

}  // namespace

// `hop INTERFACE ADDRESS`: the hardware address of that neighbour.
// `pass INTERFACE`: all at its XDP, until it is killed.
// `attached INTERFACE`: how many programs sit at its TC ingress, and how many at XDP.
int main(int count, char** arguments) try {
  if (count == 3 && std::string_view(arguments[1]) == "attached") {
    __u32 programs[8], found = 8;
    const auto ingress = static_cast<bpf_attach_type>(46);  // BPF_TCX_INGRESS
    const auto index = static_cast<int>(if_nametoindex(arguments[2]));
    if (bpf_prog_query(index, ingress, 0, nullptr, programs, &found) != 0) return 1;
    __u32 at_xdp = 0;
    if (bpf_xdp_query_id(index, 0, &at_xdp) != 0) return 1;
    std::printf("%u %d\n", found, at_xdp != 0 ? 1 : 0);
    return 0;
  }
  if (count == 4 && std::string_view(arguments[1]) == "hop")
    return show_hop(arguments[2], arguments[3]);
  if (count == 3 && std::string_view(arguments[1]) == "pass") return let_pass(arguments[2]);
  KernelRelay relay(XdpOn::every);
  for (const std::string& refusal : relay.xdp_refusals())
    std::printf("no XDP on %s\n", refusal.c_str());
  check(relay.xdp_interfaces() == std::vector<std::string>{"eth0"}, "XDP sits on eth0");
  SeededRandom random(1);
  SystemClock clock;
  for (const bool v4 : {true, false}) {
    forwards_alike(relay, random, clock.now() + kAhead, v4);
    leaves_alone(relay, random, clock.now() + kAhead, v4);
    leaves_to_tc(relay, random, clock.now() + kAhead, v4);
  }
  crowded(relay, random, clock.now() + kAhead);
  std::printf("%d checks passed\n", checks);
} catch (const KernelRelayError& error) {
  std::printf("skipped: %s\n", error.what());
  return 77;
}

// The proxy's counters as text.
#include "overlay/base/control/metrics_text.hh"
#include "proxy/daemon/commands.hh"
#include "proxy/daemon/worker.hh"

namespace i3 {
namespace {

using Named = std::initializer_list<std::pair<std::string_view, std::uint64_t>>;

void events(MetricsText& text, std::string_view name, std::string_view help, Named values) {
  text.counter(name, help);
  for (const auto& [event, value] : values) text.sample("event", event, value);
}

void traffic(MetricsText& text, Worker& worker) {
  Host& host = worker.host();
  text.counter("packets_total", "Packets and messages, by what became of them");
  for (std::size_t i = 0; i < kVerdictNames.size(); ++i)
    text.sample("verdict", kVerdictNames[i], host.verdicts().of(static_cast<Verdict>(i)));
  text.counter("session_dropped_total", "Session messages that were dropped");
  for (std::size_t i = 0; i < static_cast<std::size_t>(SessionVerdict::kCount); ++i) {
    const auto verdict = static_cast<SessionVerdict>(i);
    text.sample("reason", name_of(verdict), host.sessions().dropped(verdict));
  }
  Traffic all;
  host.peers().each([&](Peer& peer) {
    all.rx_bytes += peer.traffic.rx_bytes;
    all.tx_bytes += peer.traffic.tx_bytes;
  });
  // A peer that is forgotten takes its bytes with it, so this is no counter.
  text.gauge("bytes", "Bytes of the peers that are known now");
  text.sample("direction", "in", all.rx_bytes).sample("direction", "out", all.tx_bytes);
  text.gauge("threads", "Threads of the data path");
  text.sample(worker.threads().count());
  text.counter("thread_changes_total", "How often there was one more or one less");
  text.sample(worker.threads().changes());
  text.counter("kernel_dropped_total", "Datagrams and packets that the kernel did not take");
  text.sample(worker.dropped_by_kernel());
}

void overlay(MetricsText& text, Worker& worker) {
  const ClientCounters& client = worker.host().client().counters();
  events(text, "overlay_total", "What this host asked of nodes, and what it heard",
         {{"lookups", client.lookups},
          {"inserts", client.inserts},
          {"refreshes", client.refreshes},
          {"probes", client.probes},
          {"refused", client.refused},
          {"lost_nodes", client.lost_nodes},
          {"unsolicited", client.unsolicited},
          {"malformed", client.malformed}});
  const VisitCounters& visits = worker.visits().counters();
  events(text, "visits_total", "Anonymous visits",
         {{"begun", visits.begun},
          {"ended", visits.ended},
          {"relays_changed", visits.relays_changed},
          {"foreign", visits.foreign},
          {"not_to_relay", visits.not_to_relay},
          {"no_room", visits.no_room},
          {"park_full", visits.park_full},
          {"no_relay", visits.no_relay},
          {"malformed", visits.malformed}});
  const VisitTunnels::Counters& tunnels = worker.visit_sockets().tunnels().counters();
  events(text, "visit_tunnels_total", "TLS connections of anonymous visits, while UDP is blocked",
         {{"opened", tunnels.opened},
          {"lost", tunnels.lost},
          {"no_room", tunnels.no_room},
          {"dropped", tunnels.dropped}});
}

void of_groups(MetricsText& text, Worker& worker) {
  const AnycastCounters& anycast = worker.groups().anycast().counters();
  const AnycastNameCounters& names = worker.groups().names().counters();
  const AnycastBehindCounters& behind = worker.groups().names().behind().counters();
  const GroupCounters& groups = worker.groups().counters();
  events(text, "anycast_total", "Anycast groups, as their user and as their member",
         {{"asked", anycast.asked},
          {"answers", anycast.answers},
          {"forged", anycast.forged},
          {"unexpected", anycast.unexpected},
          {"member_changes", anycast.changes},
          {"conversations_moved", names.moved},
          {"conversations_broken", names.broken},
          {"no_member", names.no_member},
          {"names_asked", behind.asked},
          {"names_asked_again", behind.asked_again},
          {"names_failed", behind.failed},
          {"park_full", names.park_full + behind.park_full},
          {"park_lost", names.park_lost + behind.park_lost},
          {"no_room", names.no_room + behind.no_room},
          {"no_flow", names.no_flow},
          {"fragments_held", names.held},
          {"fragments_held_full", names.held_full},
          {"withheld", names.withheld},
          {"malformed", names.malformed + groups.malformed},
          {"answered", groups.asked},
          {"over_rate", groups.over_rate},
          {"not_a_member", groups.no_member}});
  const MulticastCounters& multicast = worker.groups().multicast().counters();
  events(text, "multicast_total", "Packets of multicast groups",
         {{"sent", multicast.sent},
          {"copies", multicast.copies},
          {"received", multicast.received},
          {"own", multicast.own},
          {"replayed", multicast.replayed},
          {"older_start", multicast.older_start},
          {"not_authentic", multicast.not_authentic},
          {"malformed", multicast.malformed},
          {"not_joined", multicast.not_joined},
          {"no_members", multicast.no_members},
          {"not_carried", multicast.not_carried},
          {"too_big", multicast.too_big},
          {"no_sender", multicast.no_sender}});
}

}  // namespace

std::string metrics_text(Worker& worker) {
  Host& host = worker.host();
  MetricsText text("i3_" + worker.settings().daemon + '_');
  text.gauge("ready", "1 where this host can be reached").sample(host.client().ready() ? 1 : 0);
  text.gauge("peers", "Peers that are known now").sample(host.peers().size());
  text.gauge("sessions", "Sessions that stand").sample(host.sessions().stored());
  text.gauge("workers", "Workers so far; more than one: some died")
      .sample(worker.inherited().incarnation + 1);
  traffic(text, worker);
  overlay(text, worker);
  of_groups(text, worker);
  if (worker.dns_server() != nullptr) {
    const InterceptorCounters& dns = worker.dns_server()->counters();
    events(text, "dns_total", "Questions that programs asked",
           {{"questions", dns.questions},
            {"answered", dns.answered},
            {"forwarded", dns.forwarded},
            {"timed_out", dns.timed_out},
            {"malformed", dns.malformed}});
  }
  if (WorkerExtension* extension = worker.extension()) extension->add_metrics(text);
  return text.text();
}

}  // namespace i3

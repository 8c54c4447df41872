// Owns the commands about the overlay: ping, trace, triggers, ring, renew, drop.
#include <iostream>

#include "proxy/ctl/asking.hh"
#include "proxy/ctl/table.hh"

namespace i3 {
namespace {

void print_reply(const Json& reply) {
  std::cout << shown(reply, "seq") << ": ";
  if (reply.contains("rtt_ms") && !reply["rtt_ms"].is_null()) {
    std::cout << shown_ms(reply, "rtt_ms") << ", " << shown(reply, "path") << " via "
              << shown(reply, "via") << std::endl;
  } else {
    std::cout << "no answer" << std::endl;
  }
}

void print_ping(std::ostream& out, const Json& answer) {
  out << shown(answer, "name") << ": " << shown(answer, "received") << " of "
      << shown(answer, "sent") << " came back, least " << shown_ms(answer, "rtt_min_ms")
      << ", average " << shown_ms(answer, "rtt_avg_ms") << ", most "
      << shown_ms(answer, "rtt_max_ms") << '\n';
  Table table({"PATH", "VIA", "STATE", "RTT", "REASON"});
  for (const Json& path : list_of(answer, "paths"))
    table.add({shown(path, "path"), shown(path, "via"), shown(path, "state"),
               shown_ms(path, "rtt_ms"), shown(path, "reason")});
  if (!table.empty()) table.print(out);
}

void add_ping(CLI::App& app, Asking& asking) {
  auto* ping = app.add_subcommand("ping", "Measure the way to a name through the overlay");
  auto name = std::make_shared<std::string>();
  auto count = std::make_shared<unsigned>(4);
  ping->add_option("NAME", *name, "Name or key")->required();
  ping->add_option("-c,--count", *count, "How many (4)")->check(CLI::Range(1, 1000));
  ping->callback([&asking, name, count] {
    Json replies = Json::array();
    Json answer = asking.ask("ping", {{"name", *name}, {"count", *count}}, [&](const Json& reply) {
      if (asking.json)
        replies.push_back(reply);
      else
        print_reply(reply);
    });
    answer["replies"] = std::move(replies);
    asking.show(answer, [&](std::ostream& out) { print_ping(out, answer); });
    if (answer.value("received", Json()) == 0)
      throw ControlError("nothing came back from " + shown(answer, "name"));
  });
}

void print_trace(std::ostream& out, const Json& answer) {
  Table table({"HOP", "ROLE", "NODE", "RTT", "TRIGGERS", "KEY"});
  std::size_t number = 0;
  for (const Json& hop : list_of(answer, "hops"))
    table.add({std::to_string(++number), shown(hop, "role"), shown(hop, "address"),
               shown_ms(hop, "rtt_ms"), shown(hop, "triggers"), shown(hop, "key")});
  out << shown(answer, "name") << ", ID " << shown(answer, "id") << '\n';
  if (table.empty())
    out << "no node on the way is known\n";
  else
    table.print(out);
  if (answer.value("present", Json()) == false)
    out << "its trigger is not there: it is off, or new\n";
}

void print_triggers(std::ostream& out, const Json& answer) {
  Table table({"ID", "KIND", "PEER", "TARGET", "NODE", "EXPIRES", "PACKETS"});
  for (const Json& trigger : list_of(answer, "triggers"))
    table.add({shown(trigger, "id"), shown(trigger, "kind"), shown(trigger, "peer"),
               shown(trigger, "target"), shown(trigger, "node"),
               shown_seconds(trigger, "expires_s"), shown(trigger, "packets")});
  if (table.empty())
    out << "no triggers: nothing is inserted yet\n";
  else
    table.print(out);
}

void add_member(Table& table, const std::string& role, const Json& member) {
  table.add({role, shown(member, "id"), shown(member, "address"), shown(member, "key")});
}

void print_ring(std::ostream& out, const Json& answer) {
  out << "own ID " << shown(answer, "id") << '\n';
  Table table({"ROLE", "ID", "ADDRESS", "KEY"});
  if (const Json& predecessor = object_of(answer, "predecessor"); !predecessor.empty())
    add_member(table, "predecessor", predecessor);
  std::size_t number = 0;
  for (const Json& member : list_of(answer, "successors"))
    add_member(table, "successor " + std::to_string(++number), member);
  for (const Json& member : list_of(answer, "fingers"))
    add_member(table, "finger " + shown(member, "bit"), member);
  if (table.empty())
    out << "no other member: this node is a ring by itself\n";
  else
    table.print(out);
}

}  // namespace

void add_overlay_commands(CLI::App& app, Asking& asking) {
  add_ping(app, asking);

  auto name = std::make_shared<std::string>();
  auto* trace = app.add_subcommand("trace", "The nodes on the way to a name");
  trace->add_option("NAME", *name, "Name or key")->required();
  trace->callback([&asking, name] {
    const Json answer = asking.ask("trace", {{"name", *name}});
    asking.show(answer, [&](std::ostream& out) { print_trace(out, answer); });
  });

  app.add_subcommand("triggers", "Triggers in the overlay")->callback([&asking] {
    const Json answer = asking.ask("triggers");
    asking.show(answer, [&](std::ostream& out) { print_triggers(out, answer); });
  });

  app.add_subcommand("ring", "Predecessor, successors and fingers of a node")->callback([&asking] {
    const Json answer = asking.ask("ring");
    asking.show(answer, [&](std::ostream& out) { print_ring(out, answer); });
  });

  auto renewed = std::make_shared<std::string>();
  auto* renew = app.add_subcommand("renew", "End an anonymous visit: the next is a stranger's");
  renew->add_option("NAME", *renewed, "Name of an anonymous entry")->required();
  renew->callback([&asking, renewed] {
    const Json answer = asking.ask("renew", {{"name", *renewed}});
    asking.show(answer, [&](std::ostream& out) {
      const bool ended = answer.value("renewed", false);
      out << shown(answer, "name")
          << (ended ? ": the visit is over, the next one begins with the next use\n"
                    : ": there was no visit\n");
    });
  });

  auto dropped = std::make_shared<std::string>();
  auto* drop = app.add_subcommand("drop", "End a conversation inside the network");
  drop->add_option("NAME", *dropped, "Name or key of the peer")->required();
  drop->callback([&asking, dropped] {
    const Json answer = asking.ask("drop", {{"name", *dropped}});
    asking.show(answer, [&](std::ostream& out) {
      out << "dropped " << shown(answer, "dropped") << " conversation(s) with "
          << shown(answer, "name") << '\n';
    });
  });
}

}  // namespace i3

// Owns the commands about lost keys: move and revoke, which need no daemon, publish, records.
#include <iostream>
#include <thread>

#include "overlay/base/key_file.hh"
#include "overlay/base/key_record.hh"
#include "overlay/base/xml/values.hh"
#include "proxy/ctl/asking.hh"
#include "proxy/ctl/table.hh"

namespace i3 {
namespace {

// Nodes answer within a second; a host that just started has to find them first.
constexpr auto kPublishPatience = std::chrono::seconds(5);

void show_record(const Asking& asking, const KeyRecord& record) {
  const bool moved = record.kind == KeyRecord::Kind::moved;
  asking.show({{"kind", moved ? "moved" : "revoked"},
               {"key", record.key.text()},
               {"to", moved ? Json(record.successor.text()) : Json()},
               {"record", record.encode()}},
              [&](std::ostream& out) { out << record.encode() << '\n'; });
}

void add_makers(CLI::App& app, Asking& asking) {
  auto file = std::make_shared<std::string>();
  auto to = std::make_shared<std::string>();
  auto* move = app.add_subcommand("move", "Print the line by which a key says that it is another");
  move->add_option("OLD-KEYFILE", *file, "Key file of the old key")->required();
  move->add_option("NEW-KEY", *to, "52 characters: the new public key")->required();
  move->callback([&asking, file, to] {
    const auto old = load_key(*file);
    std::string why;
    const auto successor = parse_key(*to, why);
    if (!successor) throw ControlError("the new key " + i3::quoted(*to) + ' ' + why);
    if (*successor == old->key()) throw ControlError("the new key is the old one");
    show_record(asking, KeyRecord::move(*old, *successor, SystemClock().wall()));
  });
  auto* revoke =
      app.add_subcommand("revoke", "Print the line by which a key says that it counts no more");
  revoke->add_option("KEYFILE", *file, "Key file")->required();
  revoke->callback([&asking, file] {
    show_record(asking, KeyRecord::revoke(*load_key(*file), SystemClock().wall()));
  });
}

// How many nodes keep it, by when somebody would have gone on.
Json nodes_with(Asking& asking, const std::string& key) {
  const auto end = std::chrono::steady_clock::now() + kPublishPatience;
  for (;;) {
    const Json answer = asking.ask("records");
    for (const Json& record : list_of(answer, "records"))
      if (record.value("key", "") == key && record.value("nodes", 0) > 0) return record["nodes"];
    if (std::chrono::steady_clock::now() >= end) return 0;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

void print_said(std::ostream& out, const Json& record) {
  out << shown(record, "key") << ' ';
  if (shown(record, "kind") == "moved")
    out << "moved to " << shown(record, "to");
  else
    out << (shown(record, "kind") == "revoked" ? "was revoked" : "names two successors");
}

void add_publish(CLI::App& app, Asking& asking) {
  auto words = std::make_shared<std::vector<std::string>>();
  auto* publish = app.add_subcommand("publish", "Tell the overlay what move or revoke printed");
  publish->add_option("RECORD", *words, "The printed line, a file, or - for standard input")
      ->required();
  publish->callback([&asking, words] {
    std::string text;
    for (const std::string& word : *words) text += word;
    if (!lower_case(text).starts_with(KeyRecord::kPrefix)) text = text_of(text);
    Json answer = asking.ask("publish", {{"text", text}});
    answer["nodes"] = nodes_with(asking, answer.value("key", ""));
    asking.show(answer, [&](std::ostream& out) {
      print_said(out, answer);
      if (answer["nodes"] == 0)
        out << ": no node has taken it yet; this host goes on trying\n";
      else
        out << ": kept at " << shown(answer, "nodes") << " nodes, and renewed by this host\n";
    });
  });
  app.add_subcommand("records", "What keys said of themselves")->callback([&asking] {
    const Json answer = asking.ask("records");
    asking.show(answer, [&](std::ostream& out) {
      for (const Json& record : list_of(answer, "records")) {
        if (!list_of(record, "names").empty()) out << shown(record, "names") << ": ";
        print_said(out, record);
        out << " (said " << shown(record, "made")
            << (record.value("published", false) ? ", published here" : "") << ")\n";
      }
      if (list_of(answer, "records").empty()) out << "no key said anything of itself\n";
    });
  });
}

}  // namespace

void add_record_commands(CLI::App& app, Asking& asking) {
  add_makers(app, asking);
  add_publish(app, asking);
}

}  // namespace i3

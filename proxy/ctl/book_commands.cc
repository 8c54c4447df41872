// Owns the commands about names, permission and keys: book, invite, join, allow, keygen.
#include <iostream>

#include "overlay/base/key_file.hh"
#include "proxy/ctl/asking.hh"
#include "proxy/ctl/table.hh"
#include "proxy/settings/invitation.hh"

namespace i3 {
namespace {

void print_entries(std::ostream& out, const Json& answer) {
  Table table({"NAME", "KIND", "KEY", "BOOK"});
  for (const Json& entry : list_of(answer, "entries"))
    table.add(
        {shown(entry, "name"), shown(entry, "kind"), shown(entry, "key"), shown(entry, "book")});
  if (!table.empty())
    table.print(out);
  else if (list_of(answer, "books").empty())
    out << "no address book: the configuration has no <address-book file=\"...\"/>\n";
  else
    out << "no entries in " << shown(answer, "books")
        << "; add one with i3-ctl book add NAME KEY\n";
}

void print_change(std::ostream& out, const Json& answer, const char* done, const char* same) {
  const bool changed = answer.value("changed", Json()) != false;
  out << shown(answer, "name") << ' ' << (changed ? done : same) << ' ' << shown(answer, "book")
      << '\n';
}

// An invitation itself, or the file ("-": standard input) that holds one or an address book.
std::string pasted_or_read(const std::string& argument) {
  return argument.starts_with(Invitation::kPrefix) ? argument : text_of(argument);
}

void add_book(CLI::App& app, Asking& asking) {
  auto* book = app.add_subcommand("book", "The address books");
  book->require_subcommand(1);
  auto name = std::make_shared<std::string>();
  auto key = std::make_shared<std::string>();
  auto file = std::make_shared<std::string>();

  book->add_subcommand("list", "All entries")->callback([&asking] {
    const Json answer = asking.ask("book", {{"action", "list"}});
    asking.show(answer, [&](std::ostream& out) { print_entries(out, answer); });
  });
  auto* add = book->add_subcommand("add", "Give a key a name");
  add->add_option("NAME", *name, "Name, without the suffix")->required();
  add->add_option("KEY", *key, "52 characters")->required();
  add->callback([&asking, name, key] {
    const Json answer = asking.ask("book", {{"action", "add"}, {"name", *name}, {"key", *key}});
    asking.show(answer, [&](std::ostream& out) {
      print_change(out, answer, "added to", "was there already, in");
    });
  });
  auto* remove = book->add_subcommand("remove", "Forget a name");
  remove->add_option("NAME", *name, "Name, without the suffix")->required();
  remove->callback([&asking, name] {
    const Json answer = asking.ask("book", {{"action", "remove"}, {"name", *name}});
    asking.show(answer,
                [&](std::ostream& out) { print_change(out, answer, "removed from", "not in"); });
  });
  auto* adopt = book->add_subcommand("adopt", "Write the key that a name's key moved to");
  adopt->add_option("NAME", *name, "Name, without the suffix")->required();
  adopt->callback([&asking, name] {
    const Json answer = asking.ask("book", {{"action", "adopt"}, {"name", *name}});
    asking.show(answer, [&](std::ostream& out) {
      print_change(out, answer, "has its new key in", "has its key already in");
    });
  });
  auto* import = book->add_subcommand("import", "Take an address book or an invitation");
  import->add_option("FILE", *file, "File, - for standard input, or an invitation")->required();
  import->callback([&asking, file] {
    const Json answer = asking.ask("book", {{"action", "import"}, {"text", pasted_or_read(*file)}});
  asking.show(answer, [&](std::ostream& out) {
    out << "added to " << shown(answer, "book") << ": " << shown(answer, "added") << '\n';
    if (!list_of(answer, "skipped").empty())
      out << "there already: " << shown(answer, "skipped") << '\n';
  });
});
}  // namespace

void add_meeting(CLI::App& app, Asking& asking) {
  auto name = std::make_shared<std::string>();
  auto* invite = app.add_subcommand("invite", "Print what to send to somebody");
  invite->add_option("--name", *name, "What they shall call this host (its host name)");
  invite->callback([&asking, name] {
    const Json answer =
        asking.ask("invite", name->empty() ? Json::object() : Json{{"name", *name}});
    asking.show(answer, [&](std::ostream& out) { out << answer.value("invitation", "") << '\n'; });
  });

  auto words = std::make_shared<std::vector<std::string>>();
  auto* join = app.add_subcommand("join", "Take an invitation");
  join->add_option("INVITATION", *words, "The pasted line, a file, or - for standard input")
      ->required();
  join->callback([&asking, words] {
    // A terminal or a mail may have broken the line into several words.
    std::string text;
    for (const std::string& word : *words) text += word;
    const Json answer = asking.ask("join", {{"text", pasted_or_read(text)}});
    asking.show(answer, [&](std::ostream& out) {
      out << "joined: " << shown(answer, "name") << " is " << shown(answer, "key") << ", in "
          << shown(answer, "book") << '\n';
      if (!list_of(answer, "nodes").empty()) out << "nodes: " << shown(answer, "nodes") << '\n';
    });
  });
}

void add_allow(CLI::App& app, Asking& asking) {
  auto from = std::make_shared<std::string>();
  auto ports = std::make_shared<std::string>();
  auto protocol = std::make_shared<std::string>();
  auto* allow = app.add_subcommand("allow", "Let somebody in");
  allow->add_option("WHO", *from, "Name, key, or * for anybody")->required();
  allow->add_option("--ports", *ports, "For example 22,80,8000-8100 (all)");
  allow->add_option("--protocol", *protocol, "tcp, udp, icmp, or several with commas (all)");
  allow->callback([&asking, from, ports, protocol] {
    Json arguments{{"from", *from}};
    if (!ports->empty()) arguments["ports"] = *ports;
    if (!protocol->empty()) arguments["protocol"] = *protocol;
    const Json answer = asking.ask("allow", arguments);
    asking.show(answer, [&](std::ostream& out) {
      const auto or_all = [&](const char* field) {
        return shown(answer, field) == "-" ? std::string("all") : shown(answer, field);
      };
      out << "allowed: " << shown(answer, "from") << ", protocol " << or_all("protocol")
          << ", ports " << or_all("ports") << '\n';
    });
  });
}

void add_keygen(CLI::App& app, Asking& asking) {
  auto file = std::make_shared<std::string>();
  auto* keygen = app.add_subcommand("keygen", "Make a key file, print its public key");
  keygen->add_option("FILE", *file, "File to make; never overwritten")->required();
  keygen->callback([&asking, file] {
    SystemRandom random;
    const auto identity = create_key(*file, random);
    asking.show({{"key", identity->key().text()}, {"file", *file}},
                [&](std::ostream& out) { out << identity->key().text() << '\n'; });
  });
}

}  // namespace i3

void add_book_commands(CLI::App& app, Asking& asking) {
  add_book(app, asking);
  add_meeting(app, asking);
  add_allow(app, asking);
  add_keygen(app, asking);
}

}  // namespace i3

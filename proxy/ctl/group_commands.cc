// Owns the commands about groups: group delegate, group show. They need no daemon.
#include <chrono>
#include <iostream>

#include "overlay/base/key_file.hh"
#include "overlay/base/xml/values.hh"
#include "proxy/ctl/asking.hh"
#include "proxy/ctl/table.hh"
#include "proxy/settings/member_token.hh"

namespace i3 {
namespace {

constexpr std::uint64_t kDay = 86'400;

std::uint64_t wall_seconds() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

Json token_json(const MemberToken& token) {
  const std::uint64_t expires = token.delegation.expiry / 1'000'000'000ull;
  return {{"delegation", token.encode()},
          {"group", token.group.text()},
          {"member", token.delegation.member.text()},
          {"suffix", suffix_text(token.delegation.suffix, token.delegation.suffix_bits)},
          {"expires", expires},
          {"expired", expires <= wall_seconds()}};
}

MemberToken delegate(const std::string& key_file, const std::string& member,
                     const std::string& suffix, std::uint64_t days) {
  std::string why;
  const auto key = parse_key(member, why);
  if (!key) throw ControlError("the member's key " + why);
  const auto place = parse_suffix(suffix, why);
  if (!place) throw ControlError("the suffix " + why);
  const auto group = load_key(key_file);
  if (group->key() == *key) throw ControlError("a group is not its own member: give a host's key");
  const std::uint64_t until = (wall_seconds() + days * kDay) * 1'000'000'000ull;
  return {group->key(), wire::Delegation::issue(*group, *key, until, place->bits, place->suffix)};
}

}  // namespace

void add_group_commands(CLI::App& app, Asking& asking) {
  auto* group = app.add_subcommand("group", "Who is a member of a group");
  group->require_subcommand(1);
  auto file = std::make_shared<std::string>();
  auto member = std::make_shared<std::string>();
  auto suffix = std::make_shared<std::string>();
  auto days = std::make_shared<std::uint64_t>(365);
  auto* make = group->add_subcommand("delegate", "Let a host be a member");
  make->add_option("KEYFILE", *file, "The group's key, from i3-ctl keygen")->required();
  make->add_option("MEMBER-KEY", *member, "The host's key, 52 characters")->required();
  make->add_option("--suffix", *suffix, "Where it sits: hexadecimal digits, for prefer=\"..\"");
  make->add_option("--days", *days, "How long it may (365)")->check(CLI::Range(1, 36500));
  make->callback([&asking, file, member, suffix, days] {
    const MemberToken token = delegate(*file, *member, *suffix, *days);
    asking.show(token_json(token), [&](std::ostream& out) { out << token.encode() << '\n'; });
  });

  auto text = std::make_shared<std::string>();
  auto* show = group->add_subcommand("show", "What a member token says");
  show->add_option("TOKEN", *text, "The line that group delegate printed")->required();
  show->callback([&asking, text] {
    std::string why;
    const auto token = MemberToken::decode(*text, why);
    if (!token) throw ControlError("this " + why);
    const Json answer = token_json(*token);
    asking.show(answer, [&](std::ostream& out) {
      Facts facts;
      for (const char* field : {"group", "member", "suffix"})
        facts.add(field, shown(answer, field));
      const std::int64_t left =
          answer["expires"].get<std::int64_t>() - static_cast<std::int64_t>(wall_seconds());
      facts.add("expires", left > 0 ? "in " + std::to_string(left / 86400) + " days" : "ran out");
      facts.print(out);
    });
  });
}

}  // namespace i3

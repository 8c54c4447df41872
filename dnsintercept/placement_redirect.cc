// Owns the nftables redirect: questions to the host's own servers go to the stub on loopback. The
// table belongs to a netlink socket, so the kernel removes it when the process is gone.
#include <algorithm>
#include <stdexcept>

#include "dnsintercept/nft_context.hh"
#include "dnsintercept/placement_modes.hh"

namespace i3 {
namespace {

// Before other programs' destination NAT (-100), which may hold port 53 of loopback as well.
constexpr std::string_view kPriority = "-105";

struct Sets {
  std::string four, six;  // elements, comma-separated
};

Sets sets_of(const std::vector<IpAddress>& nameservers) {
  Sets sets;
  for (const IpAddress& server : nameservers) {
    if (server.unspecified() || server.multicast()) continue;
    std::string& set = server.is_v4() ? sets.four : sets.six;
    if (!set.empty()) set += ", ";
    set += server.text();
  }
  return sets;
}

class Redirect final : public Placement {
 public:
  Redirect(const PlacementRequest& request, Log& log)
      : log_(log), table_("inet " + nft_table_name("i3_", request.link_name)) {
    run(ruleset(request), "the DNS redirect (nftables table " + table_ + ") was refused");
    servers_ = request.nameservers;
    tell();
  }
  // Freeing the context closes the socket, and the kernel drops the table with it; asking for it
  // first makes the removal complete when the destructor returns.
  ~Redirect() override {
    const std::string command = "delete table " + table_;
    if (!context_.run(command))
      log_.warning("dns.redirect_left", {{"table", table_}, {"reason", context_.reason()}});
  }

  PlacementMode mode() const override { return PlacementMode::redirect; }

  std::string description() const override {
    if (servers_.empty())
      return "DNS redirect is in place (nftables table " + table_ +
             ") but idle: the host has no nameserver configured";
    std::string text = "questions to ";
    for (std::size_t i = 0; i < servers_.size(); ++i)
      text += (i == 0 ? "" : ", ") + servers_[i].text();
    return text + " are redirected to i3 (nftables table " + table_ + ")";
  }

  void update(const std::vector<IpAddress>& nameservers) override {
    if (nameservers == servers_) return;
    run(elements(nameservers, true), "the DNS redirect could not be changed");
    servers_ = nameservers;
    tell();
  }

 private:
  std::string elements(const std::vector<IpAddress>& nameservers, bool flush) const {
    const Sets sets = sets_of(nameservers);
    std::string text;
    for (const auto& [set, list] :
         {std::pair{" nameservers4", &sets.four}, std::pair{" nameservers6", &sets.six}}) {
      if (flush) text += "flush set " + table_ + set + "\n";
      if (!list->empty()) text += "add element " + table_ + set + " { " + *list + " }\n";
    }
    return text;
  }

  std::string ruleset(const PlacementRequest& request) const {
    // "create" fails where "add" would join a table that another process owns.
    std::string text = "create table " + table_ + " { flags owner; }\n";
    text += "add set " + table_ + " nameservers4 { type ipv4_addr; }\n";
    text += "add set " + table_ + " nameservers6 { type ipv6_addr; }\n";
    text += "add chain " + table_ + " output { type nat hook output priority " +
            std::string(kPriority) + "; policy accept; }\n";
    const std::string rule = "add rule " + table_ + " output ";
    text += rule + "meta mark " + std::to_string(request.bypass_mark) + " accept\n";
    const auto redirect = [&](std::string_view match, std::uint16_t port) {
      if (port == 0) return;
      for (const char* protocol : {"udp", "tcp"})
        text += rule + std::string(match) + " " + protocol +
                " dport 53 redirect to :" + std::to_string(port) + "\n";
    };
    redirect("ip daddr @nameservers4", request.redirect_port4);
    redirect("ip6 daddr @nameservers6", request.redirect_port6);
    return text + elements(request.nameservers, false);
  }

  void run(const std::string& commands, const std::string& sentence) {
    if (!context_.run(commands)) throw std::runtime_error(sentence + ": " + context_.reason());
  }

  void tell() {
    if (servers_.empty())
      log_.warning("dns.no_nameserver", {{"table", table_}});
    else
      log_.info("dns.redirect", {{"table", table_}, {"servers", servers_.size()}});
  }

  Log& log_;
  std::string table_;
  NftContext context_;
  std::vector<IpAddress> servers_;
};

}  // namespace

std::unique_ptr<Placement> place_redirect(const PlacementRequest& request, Log& log) {
  if (request.link_name.empty()) throw std::runtime_error("the DNS redirect needs a name");
  if (request.redirect_port4 == 0 && request.redirect_port6 == 0)
    throw std::runtime_error("the DNS redirect needs a listener of the stub on loopback");
  if (request.bypass_mark == 0)
    throw std::runtime_error("the DNS redirect needs a mark for questions of our own");
  return std::make_unique<Redirect>(request, log);
}

}  // namespace i3

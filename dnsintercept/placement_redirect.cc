// Owns the nftables redirect: questions to the host's own servers go to the stub on loopback. The
// table belongs to a netlink socket, so the kernel removes it when the process is gone.
#include <algorithm>
#include <fcntl.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <stdexcept>
#include <sys/socket.h>

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

std::string table_name(const std::string& link) {
  std::string name = "i3_";
  for (char c : link) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    name += plain ? c : '_';
  }
  return name;
}

// libnftables opens its netlink socket without close-on-exec. A worker that inherited it would
// keep the table alive after its parent's death.
void close_on_exec(int first, int end) {
  for (int descriptor = first; descriptor < end; ++descriptor) {
    int domain = 0, protocol = -1;
    socklen_t size = sizeof domain;
    if (::getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) continue;
    size = sizeof protocol;
    ::getsockopt(descriptor, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
    if (domain == AF_NETLINK && protocol == NETLINK_NETFILTER)
      ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  }
}

constexpr int kHighestDescriptor = 1024;

class Redirect final : public Placement {
 public:
  Redirect(const PlacementRequest& request, Log& log)
      : log_(log), table_("inet " + table_name(request.link_name)) {
    context_.reset(nft_ctx_new(NFT_CTX_DEFAULT));
    if (!context_) throw std::runtime_error("nftables cannot be used: no netlink socket");
    close_on_exec(3, kHighestDescriptor);
    nft_ctx_buffer_output(context_.get());
    nft_ctx_buffer_error(context_.get());
    run(ruleset(request), "the DNS redirect (nftables table " + table_ + ") was refused");
    servers_ = request.nameservers;
    tell();
  }
  // Freeing the context closes the socket, and the kernel drops the table with it; asking for it
  // first makes the removal complete when the destructor returns.
  ~Redirect() override {
    const std::string command = "delete table " + table_;
    if (nft_run_cmd_from_buffer(context_.get(), command.c_str()) != 0)
      log_.warning("dns.redirect_left", {{"table", table_}, {"reason", reason()}});
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
  struct Free {
    void operator()(nft_ctx* context) const { nft_ctx_free(context); }
  };

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
    if (nft_run_cmd_from_buffer(context_.get(), commands.c_str()) == 0) return;
    throw std::runtime_error(sentence + ": " + reason());
  }

  // The first line of what libnftables said; it quotes our commands on the following ones.
  std::string reason() {
    const char* error = nft_ctx_get_error_buffer(context_.get());
    std::string text = error ? error : "";
    text = text.substr(0, text.find('\n'));
    const std::size_t colon = text.rfind("Error: ");
    return colon == text.npos ? text : text.substr(colon + 7);
  }

  void tell() {
    if (servers_.empty())
      log_.warning("dns.no_nameserver", {{"table", table_}});
    else
      log_.info("dns.redirect", {{"table", table_}, {"servers", servers_.size()}});
  }

  Log& log_;
  std::string table_;
  std::unique_ptr<nft_ctx, Free> context_;
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

// Owns the settings of our link in systemd-resolved, over D-Bus. They belong to the link and go
// with it when the TUN device does.
#include <chrono>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <systemd/sd-bus.h>
#include <thread>

#include "dnsintercept/placement_modes.hh"
#include "dnsintercept/resolver_config.hh"

namespace i3 {
namespace {

constexpr const char* kService = "org.freedesktop.resolve1";
constexpr const char* kPath = "/org/freedesktop/resolve1";
constexpr const char* kManager = "org.freedesktop.resolve1.Manager";
constexpr const char* kLink = "org.freedesktop.resolve1.Link";
constexpr std::uint64_t kCallTimeoutUs = 5'000'000;
// resolved uses a link once it has heard from the kernel that it has a carrier and an address,
// which can take a second after both are there.
constexpr int kScopeTries = 100;
constexpr std::chrono::milliseconds kScopePause{30};
constexpr std::uint64_t kScopeDns = 1;  // SD_RESOLVED_DNS

struct CloseBus {
  void operator()(sd_bus* bus) const { sd_bus_flush_close_unref(bus); }
};
using Bus = std::unique_ptr<sd_bus, CloseBus>;

Bus open_system_bus() {
  sd_bus* bus = nullptr;
  if (sd_bus_open_system(&bus) < 0) return nullptr;
  sd_bus_set_method_call_timeout(bus, kCallTimeoutUs);
  return Bus(bus);
}

bool has_owner(sd_bus* bus, const char* name) {
  sd_bus_message* reply = nullptr;
  int owned = 0;
  if (sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                         "org.freedesktop.DBus", "NameHasOwner", nullptr, &reply, "s", name) >= 0)
    sd_bus_message_read(reply, "b", &owned);
  sd_bus_message_unref(reply);
  return owned != 0;
}

class Call {
 public:
  Call(sd_bus* bus, const char* method, int link) : bus_(bus), method_(method) {
    check(sd_bus_message_new_method_call(bus, &message_, kService, kPath, kManager, method));
    check(sd_bus_message_append(message_, "i", link));
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call() { sd_bus_message_unref(message_); }

  sd_bus_message* message() { return message_; }
  void check(int result) const {
    if (result < 0)
      throw std::runtime_error(std::string("systemd-resolved refused ") + method_ + ": " +
                               std::strerror(-result));
  }
  void send() {
    sd_bus_error error{};
    const int result = sd_bus_call(bus_, message_, 0, &error, nullptr);
    const std::string reason = error.message ? error.message : std::strerror(-result);
    sd_bus_error_free(&error);
    if (result < 0)
      throw std::runtime_error(std::string("systemd-resolved refused ") + method_ + ": " + reason);
  }

 private:
  sd_bus* bus_;
  const char* method_;
  sd_bus_message* message_ = nullptr;
};

class Resolved final : public Placement {
 public:
  Resolved(Bus bus, const PlacementRequest& request, Log& log)
      : log_(log), bus_(std::move(bus)), request_(request) {
    try {
      apply();
      in_use_ = wait_until_used();
    } catch (...) {
      revert();
      throw;
    }
    log_.info("dns.resolved",
              {{"link", request_.link_name}, {"domains", request_.routing_domains.size()}});
  }
  ~Resolved() override { revert(); }

  PlacementMode mode() const override { return PlacementMode::resolved; }

  std::string description() const override {
    std::string text = "systemd-resolved sends questions below";
    for (const std::string& domain : request_.routing_domains) text += " " + domain;
    text += " to i3 through link " + request_.link_name;
    return in_use_ ? text : text + ", once it takes the link for usable";
  }

  // resolved keeps the host's other servers itself.
  void update(const std::vector<IpAddress>&) override {}

 private:
  void apply() {
    set_dns();
    set_domains();
    set_text("SetLinkDNSSEC", "no");
    set_text("SetLinkDNSOverTLS", "no");
    set_text("SetLinkLLMNR", "no");
    set_text("SetLinkMulticastDNS", "no");
    Call call(bus_.get(), "SetLinkDefaultRoute", request_.link_index);
    call.check(sd_bus_message_append(call.message(), "b", 0));
    call.send();
  }

  void set_dns() {
    Call call(bus_.get(), "SetLinkDNS", request_.link_index);
    call.check(sd_bus_message_open_container(call.message(), 'a', "(iay)"));
    for (const auto& stub : {request_.stub4, request_.stub6}) {
      if (!stub) continue;
      const Bytes all(stub->bytes);
      const Bytes octets = stub->is_v4() ? all.subspan(12) : all;
      call.check(sd_bus_message_open_container(call.message(), 'r', "iay"));
      call.check(sd_bus_message_append(call.message(), "i", stub->is_v4() ? 2 : 10));  // AF_*
      call.check(sd_bus_message_append_array(call.message(), 'y', octets.data(), octets.size()));
      call.check(sd_bus_message_close_container(call.message()));
    }
    call.check(sd_bus_message_close_container(call.message()));
    call.send();
  }

  void set_domains() {
    Call call(bus_.get(), "SetLinkDomains", request_.link_index);
    call.check(sd_bus_message_open_container(call.message(), 'a', "(sb)"));
    for (const std::string& domain : request_.routing_domains)  // true: for routing only
      call.check(sd_bus_message_append(call.message(), "(sb)", domain.c_str(), 1));
    call.check(sd_bus_message_close_container(call.message()));
    call.send();
  }

  void set_text(const char* method, const char* value) {
    Call call(bus_.get(), method, request_.link_index);
    call.check(sd_bus_message_append(call.message(), "s", value));
    call.send();
  }

  bool wait_until_used() {
    sd_bus_message* reply = nullptr;
    const char* link = nullptr;
    std::string object;
    if (sd_bus_call_method(bus_.get(), kService, kPath, kManager, "GetLink", nullptr, &reply, "i",
                           request_.link_index) >= 0 &&
        sd_bus_message_read(reply, "o", &link) >= 0)
      object = link;
    sd_bus_message_unref(reply);
    for (int i = 0; i < kScopeTries && !object.empty(); ++i) {
      std::uint64_t scopes = 0;
      if (sd_bus_get_property_trivial(bus_.get(), kService, object.c_str(), kLink, "ScopesMask",
                                      nullptr, 't', &scopes) < 0)
        return false;
      if (scopes & kScopeDns) return true;
      std::this_thread::sleep_for(kScopePause);
    }
    return false;
  }

  // A link that is gone took its settings with it.
  void revert() noexcept {
    const int result = sd_bus_call_method(bus_.get(), kService, kPath, kManager, "RevertLink",
                                          nullptr, nullptr, "i", request_.link_index);
    if (result < 0)
      log_.debug("dns.resolved_revert", {{"link", request_.link_name}, {"errno", -result}});
  }

  Log& log_;
  Bus bus_;
  PlacementRequest request_;
  bool in_use_ = false;
};

}  // namespace

bool resolved_answers_here(const std::string& resolv_conf) {
  std::error_code ignored;
  const auto target = std::filesystem::weakly_canonical(resolv_conf, ignored);
  bool leads_there = target.string().starts_with("/run/systemd/resolve/");
  for (const IpAddress& server : read_resolver_config(resolv_conf).nameservers)
    leads_there = leads_there || server == IpAddress::v4(0x7f000035);  // 127.0.0.53
  if (!leads_there) return false;
  const Bus bus = open_system_bus();
  return bus && has_owner(bus.get(), kService);
}

std::unique_ptr<Placement> place_resolved(const PlacementRequest& request, Log& log) {
  if (request.link_index <= 0 || (!request.stub4 && !request.stub6))
    throw std::runtime_error("systemd-resolved needs a link and the stub's address on it");
  Bus bus = open_system_bus();
  if (!bus) throw std::runtime_error("systemd-resolved cannot be asked: no system bus");
  if (!has_owner(bus.get(), kService)) throw std::runtime_error("systemd-resolved is not running");
  return std::make_unique<Resolved>(std::move(bus), request, log);
}

}  // namespace i3

#include "dnsintercept/placement.hh"

#include "dnsintercept/placement_modes.hh"

namespace i3 {
namespace {

constexpr std::pair<PlacementMode, std::string_view> kNames[] = {
    {PlacementMode::automatic, "auto"},    {PlacementMode::resolved, "resolved"},
    {PlacementMode::redirect, "redirect"}, {PlacementMode::resolv_conf, "resolv.conf"},
    {PlacementMode::none, "none"},
};

class NoPlacement final : public Placement {
 public:
  PlacementMode mode() const override { return PlacementMode::none; }
  std::string description() const override {
    return "DNS is not intercepted: names resolve only for programs that ask the stub itself";
  }
  void update(const std::vector<IpAddress>&) override {}
};

// Programs that ask systemd-resolved over its own socket (nss-resolve) send nothing to port 53.
// For them the link's domains are set as well; a policy on other names does not see them.
class RedirectAndResolved final : public Placement {
 public:
  RedirectAndResolved(const PlacementRequest& request, Log& log)
      : redirect_(place_redirect(request, log)), resolved_(place_resolved(request, log)) {}
  PlacementMode mode() const override { return PlacementMode::redirect; }
  std::string description() const override {
    return redirect_->description() + "; " + resolved_->description();
  }
  void update(const std::vector<IpAddress>& nameservers) override {
    redirect_->update(nameservers);
  }

 private:
  std::unique_ptr<Placement> redirect_, resolved_;
};

bool can_use_resolved(const PlacementRequest& request) {
  return request.link_index > 0 && (request.stub4 || request.stub6) &&
         resolved_answers_here(request.resolv_conf);
}

}  // namespace

std::optional<PlacementMode> placement_mode_from(std::string_view text) {
  for (const auto& [mode, name] : kNames)
    if (name == text) return mode;
  return std::nullopt;
}

std::string_view name_of(PlacementMode mode) {
  for (const auto& [known, name] : kNames)
    if (known == mode) return name;
  return "";
}

PlacementMode automatic_mode(const PlacementRequest& request) {
  return !request.sees_every_query && can_use_resolved(request) ? PlacementMode::resolved
                                                                : PlacementMode::redirect;
}

std::unique_ptr<Placement> place(const PlacementRequest& request, Log& log) {
  const PlacementMode mode =
      request.mode == PlacementMode::automatic ? automatic_mode(request) : request.mode;
  switch (mode) {
    case PlacementMode::resolved:
      return place_resolved(request, log);
    case PlacementMode::redirect:
      if (request.mode == PlacementMode::automatic && can_use_resolved(request))
        return std::make_unique<RedirectAndResolved>(request, log);
      return place_redirect(request, log);
    case PlacementMode::resolv_conf:
      return place_resolv_conf(request, log);
    case PlacementMode::none:
    case PlacementMode::automatic:
      break;
  }
  return std::make_unique<NoPlacement>();
}

}  // namespace i3

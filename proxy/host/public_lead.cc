#include "proxy/host/public_lead.hh"

#include "overlay/wire/middlebox.hh"

namespace i3 {

void PublicLead::settle(Client& client, const std::optional<PublicKey>& box, TimePoint now) {
  client_ = &client;
  if (box == box_ || box == parts_.identity.key()) return;
  if (box_) client.let_go(end_, parts_.identity.key(), now);
  box_ = box;
  hour_ = 0;
  next_ = kNever;
  asked_ = {};
  stops_.set_end({});
  client.lead_public(box ? std::optional(PublicStacks{}) : std::nullopt, now);
  if (!box) return;
  end_ = owner_prefix(parts_.identity.key(), kLeadSalt);
  parts_.random.fill(MutBytes(end_.bytes).subspan(16));
  stops_.set_end(end_);
  HeldTrigger end;
  end.id = end_;
  end.owner = parts_.identity.key();
  end.salt = kLeadSalt;
  client.hold(end, now);
  next_ = now;
}

void PublicLead::on_timer(TimePoint now) {
  if (now < next_ || !box_) return;
  const auto pass = stops_.out_pass(*box_);
  if (!pass) {
    next_ = kNever;  // a key that is no point: nobody is there
    return;
  }
  if (pass->hour != hour_) {
    hour_ = pass->hour;
    pass_ = pass->id;
    pause_ = kFirstAskPause;
    for (Asked& one : asked_) one = {parts_.random.u64() | 1, {}};
  }
  ask(now);
}

void PublicLead::ask(TimePoint now) {
  bool waiting = false;
  for (std::size_t which = 0; which < asked_.size(); ++which) {
    if (asked_[which].nonce == 0) continue;
    waiting = true;
    std::array<std::uint8_t, wire::ConsentAsk::kSize> payload;
    Writer writer(payload);
    wire::ConsentAsk{asked_[which].nonce, kPublicSalts[which]}.write(writer);
    client_->send_stack({&pass_, 1}, wire::kConsentAsk, writer.written(), now);
  }
  next_ = now + (waiting ? pause_ : kLookAtPass);
  pause_ = std::min(2 * pause_, kLastAskPause);
}

void PublicLead::on_answer(const wire::ConsentAnswer& answer, TimePoint now) {
  const PublicKey& own = parts_.identity.key();
  for (std::size_t which = 0; which < asked_.size(); ++which) {
    Asked& asked = asked_[which];
    const Id source = public_id(own, which);
    const wire::Consent& consent = answer.consent;
    if (asked.nonce == 0 || asked.nonce != answer.nonce || !box_ || consent.owner != *box_ ||
        consent.id != pass_ || !consent.valid(source, parts_.clock.wall()))
      continue;
    asked.nonce = 0;
    asked.stack = {consent,
                   wire::Consent::issue(parts_.identity, end_, kLeadSalt, source, consent.expiry)};
    return lead(now);
  }
  parts_.verdicts.count(Verdict::unexpected);
}

void PublicLead::lead(TimePoint now) {
  PublicStacks stacks;
  for (std::size_t which = 0; which < asked_.size(); ++which) {
    if (asked_[which].nonce != 0) return;
    stacks[which] = asked_[which].stack;
  }
  client_->lead_public(stacks, now);
  parts_.log.info("public_ids_lead_to_a_box", {{"box", box_->text()}});
}

}  // namespace i3

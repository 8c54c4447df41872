// Which nodes keep the triggers of a prefix: the owner that the ring names and its replicas, and
// what becomes of a node that is no longer one of them, refuses or falls silent.
#include "overlay/client/placer.hh"

namespace i3::client {

bool Placer::on_lookup_reply(const Endpoint& from, const wire::LookupReply& reply, TimePoint now) {
  for (std::size_t i = 0; i < homes_.size(); ++i) {
    Home& home = homes_[i];
    if (home.finder.on_reply(from, reply, now) == Finder::Outcome::unsolicited) continue;
    if (home.finder.target()) {
      home.replicas = home.finder.others();
      arrange(i, now);
      confirm_owner(i, now);
    }
    run(now);
    return true;
  }
  return false;
}

// Gives each node its role. Who gets one has to take all triggers (a row says whether its node is
// the owner); who loses it goes on delivering until what it holds has run out.
void Placer::arrange(std::size_t index, TimePoint now) {
  Home& home = homes_[index];
  if (!home.finder.target() || stopping_) return;
  std::vector<Target> wanted{*home.finder.target()};
  for (const wire::NodeContact& contact : home.replicas) {
    const auto address = core_.reachable(contact);
    const bool twice = std::any_of(wanted.begin(), wanted.end(), [&](const Target& target) {
      return target.contact.key == contact.key || (address && target.address == *address);
    });
    if (address && !twice && wanted.size() <= core_.options.replicas)
      wanted.push_back({contact, *address});
  }
  for (Post& post : home.posts) {
    const bool stays = std::any_of(wanted.begin(), wanted.end(), [&](const Target& target) {
      return target.address == post.at.address;
    });
    if (!stays && post.active()) retire(index, post, now);
  }
  for (std::size_t place = 0; place < wanted.size(); ++place) {
    const auto role = place == 0 ? Post::Role::owner : Post::Role::replica;
    auto post = std::find_if(home.posts.begin(), home.posts.end(),
                             [&](const Post& p) { return p.at.address == wanted[place].address; });
    const bool fresh = post == home.posts.end();
    if (fresh) post = home.posts.insert(post, Post{});
    const bool same =
        !fresh && post->role == role && post->at.contact.key == wanted[place].contact.key;
    post->at = wanted[place];
    const auto to = home.posts.begin() + static_cast<std::ptrdiff_t>(place);
    std::rotate(to, post, post + 1);
    if (same) continue;
    to->role = role;
    to->until = kNever;
    to->owns_by_its_word = false;
    to->confirmations = 0;
    want_all(index, *to);
  }
  while (home.posts.size() > kMaxPosts) drop_post(index, home.posts.size() - 1);
}

void Placer::retire(std::size_t home, Post& post, TimePoint now) {
  restart(home, post, false);
  post.role = Post::Role::former;
  post.until = now + kHeldRecently;
  path_changed(home);
}

// The ring names an owner that took our triggers as a replica does: they are told to it again, for
// a node that does not know that it is the owner does not notice either when it no longer is.
void Placer::confirm_owner(std::size_t index, TimePoint now) {
  Home& home = homes_[index];
  if (home.posts.empty() || home.replicas.empty() || core_.options.replicas == 0) return;
  Post& owner = home.posts.front();
  const Id* standing = nullptr;
  for (const auto& [id, trigger] : triggers_) {
    const Placement* placement = trigger.at(owner.at.address);
    if (trigger.home == index && placement && placement->stands) standing = &id;
  }
  if (!standing || owner.owns_by_its_word) return;
  if (owner.confirmations++ >= kMaxConfirmations) return;
  home.finder.recheck_soon(now);
  want_all(index, owner);
}

void Placer::drop_post(std::size_t index, std::size_t at) {
  Home& home = homes_[index];
  const Endpoint address = home.posts[at].at.address;
  std::erase_if(operations_, [&](const auto& entry) {
    return entry.second.home == index && entry.second.at.address == address;
  });
  home.posts.erase(home.posts.begin() + static_cast<std::ptrdiff_t>(at));
  forget_proof(home, address);
  std::vector<Id> holding;
  for (const auto& [id, trigger] : triggers_)
    if (trigger.home == index && trigger.at(address)) holding.push_back(id);
  for (const Id& id : holding) forget_placement(id, address);
}

void Placer::drop_former(TimePoint now) {
  for (std::size_t i = 0; i < homes_.size(); ++i)
    for (std::size_t p = homes_[i].posts.size(); p-- > 0;)
      if (homes_[i].posts[p].until <= now) drop_post(i, p);
}

// Puts the trigger in the queue for whatever it needs there; what leaves goes first.
void Placer::want(const Id& id, Trigger& trigger, Post& post) {
  Placement* placement = trigger.at(post.at.address);
  if (!placement) {
    if (trigger.leaving() || !post.active()) return;
    placement = &trigger.placements.emplace_back();
    placement->at = post.at;
  }
  if (placement->busy) {
    placement->again = true;
  } else if (!placement->queued) {
    placement->queued = true;
    if (trigger.leaving())
      post.queue.push_front(id);
    else
      post.queue.push_back(id);
  }
}

// To be taken away, it goes first wherever it may be; where it never was, it is forgotten.
void Placer::want_everywhere(const Id& id, Trigger& trigger) {
  for (Post& post : homes_[trigger.home].posts) {
    Placement* placement = trigger.at(post.at.address);
    if (trigger.leaving() && placement && placement->queued) {
      std::erase(post.queue, id);
      placement->queued = false;
    }
    if (trigger.leaving() && placement && !placement->maybe_stored && !placement->busy)
      std::erase_if(trigger.placements,
                    [&](const Placement& p) { return p.at.address == post.at.address; });
    else
      want(id, trigger, post);
  }
}

void Placer::want_all(std::size_t home, Post& post) {
  if (!post.active()) return;
  for (auto& [id, trigger] : triggers_)
    if (trigger.home == home) want(id, trigger, post);
}

// The owner's failures are the finder's affair; a replica is left alone for a while.
void Placer::fail(std::size_t index, Post& post, TimePoint now, std::string why, Duration first,
                  Duration most) {
  if (post.role == Post::Role::owner) {
    homes_[index].finder.fail(now, std::move(why), first, most);
  } else {
    post.failures = std::min(post.failures + 1, 32u);
    post.resume = now + backoff(core_.random, post.failures, std::max(first, kFirstReplicaPause),
                                kLastQuotaPause);
  }
  restart(index, post);
}

void Placer::not_owner(std::size_t index, Post& post, const std::optional<wire::NodeContact>& owner,
                       TimePoint now) {
  Finder& finder = homes_[index].finder;
  if (post.role != Post::Role::owner) {
    // Its view of the ring is another one than the owner's; one of them is about to change.
    fail(index, post, now, {});
    return finder.ask_again(now);
  }
  finder.redirect(owner, now);
  restart(index, post);
  arrange(index, now);
}

void Placer::node_lost(const Endpoint& address, TimePoint now) {
  ++core_.counters.lost_nodes;
  core_.log.warning("node_of_triggers_silent", {{"address", address.text()}});
  keeper_.drop(address);
  entries_.suspect(address, now);
  for (std::size_t i = 0; i < homes_.size(); ++i) {
    Home& home = homes_[i];
    Post* post = home.post(address);
    if (!post) continue;
    forget_proof(home, address);
    restart(i, *post, false);
    std::vector<Id> leaving;
    for (auto& [id, trigger] : triggers_) {
      Placement* placement = trigger.home == i ? trigger.at(address) : nullptr;
      if (!placement) continue;
      if (std::exchange(placement->stands, false)) changed(id, trigger);
      if (trigger.leaving() && !placement->busy) leaving.push_back(id);
    }
    for (const Id& id : leaving) {
      std::erase(post->queue, id);
      forget_placement(id, address);
    }
    if (stopping_) continue;
    want_all(i, *post);
    const auto& target = home.finder.target();
    if (target && target->address == address) {
      home.finder.silent(now);
    } else if (post->role == Post::Role::replica) {
      fail(i, *post, now, {}, kFirstQuotaPause);
      home.finder.ask_again(now);
    }
  }
}

// What a refresh brought to light at one node.
void Placer::meet(const Keeper::Need& need, TimePoint now) {
  using What = Keeper::Need::What;
  if (need.what == What::lost) return node_lost(need.address, now);
  // It may be a NAT that forgot us, and then towards all of them.
  if (need.what == What::insert_again) keeper_.hurry(now);
  for (std::size_t i = 0; i < homes_.size(); ++i) {
    Post* post = homes_[i].post(need.address);
    if (!post || !post->active()) continue;
    if (need.what == What::insert_again) forget_proof(homes_[i], need.address);
    if (need.what != What::insert_singly) homes_[i].finder.ask_again(now);
    want_all(i, *post);
  }
}

Keeper::Count Placer::count_at(const Endpoint& address) const {
  Keeper::Count count;
  for (const auto& [id, trigger] : triggers_) {
    const Placement* placement = trigger.at(address);
    if (!placement) continue;
    const auto& posts = homes_[trigger.home].posts;
    const auto post = std::find_if(posts.begin(), posts.end(),
                                   [&](const Post& p) { return p.at.address == address; });
    const bool counts = placement->stands && !trigger.leaving() && post->active();
    if (counts) ++count.least;
    if (placement->maybe_stored) ++count.most;
    count.wanted = count.wanted || counts || (placement->busy && post->active());
  }
  if (core_.also_held) count.most += core_.also_held(address);
  return count;
}

}  // namespace i3::client

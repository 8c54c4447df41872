#include "proxy/daemon/commands.hh"

#include "proxy/daemon/worker.hh"

namespace i3 {

Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

double to_ms(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

PublicKey key_named(Worker& worker, const std::string& name) {
  if (worker.names().visit_name(name))
    throw ControlError(name + " is visited anonymously: this would tell who asks");
  auto key = worker.names().key_of(name);
  if (!key) {
    for (const BookEntry* one : worker.settings().books.entries())
      if (one->name == worker.names().short_name(name))
        throw ControlError(name + " is in " + one->place.file +
                           " with a key that is not believed any more: i3-ctl status says why");
    throw ControlError("no name " + i3::quoted(name) + " in any address book");
  }
  return *key;
}

void register_commands(ControlServer& server, Worker& worker) {
  register_status_commands(server, worker);
  register_name_commands(server, worker);
  register_peer_commands(server, worker);
  register_path_commands(server, worker);
  register_record_commands(server, worker);
}

}  // namespace i3

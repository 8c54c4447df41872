// publish, records, book adopt: what keys said of themselves.
#include <ctime>

#include "proxy/daemon/commands.hh"
#include "proxy/daemon/worker.hh"

namespace i3 {
namespace {

std::string date_of(WallTime wall) {
  const auto seconds = static_cast<std::time_t>(wall / 1'000'000'000);
  std::tm date{};
  char text[32] = "";
  if (gmtime_r(&seconds, &date) != nullptr)
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &date);
  return text;
}

const char* kind_of(const Believed::Entry& entry) {
  return entry.revoked() ? "revoked" : entry.contested() ? "contested" : "moved";
}

Json record_json(Worker& worker, const PublicKey& key, const Believed::Entry& entry) {
  Json names = Json::array(), texts = Json::array();
  for (const BookEntry* one : worker.settings().books.entries())
    if (one->key == key) names.push_back(one->name);
  for (const KeyRecord& record : entry.records) texts.push_back(record.encode());
  const bool moved = !entry.revoked() && !entry.contested();
  return {{"kind", kind_of(entry)},
          {"key", key.text()},
          {"to", moved ? Json(entry.records[0].successor.text()) : Json()},
          {"made", date_of(entry.records[0].made)},
          {"names", names},
          {"contradicted", entry.contradicted},
          {"published", entry.publish},
          {"nodes", worker.host().client().nodes_with_record(key)},
          {"records", texts}};
}

Json records(Worker& worker) {
  Json rows = Json::array();
  for (const auto& [key, entry] : worker.host().believed().all())
    rows.push_back(record_json(worker, key, entry));
  return {{"records", rows}};
}

Json publish(Worker& worker, const Json& arguments) {
  std::string why;
  const auto record = KeyRecord::decode(text_argument(arguments, "text"), why);
  if (!record) throw ControlError(why);
  const auto change = worker.host().publish(*record);
  const Believed::Entry* entry = worker.host().believed().find(record->key);
  if (entry == nullptr) throw ControlError("no room for one more record");
  if (!entry->records[0].says_as(*record))
    throw ControlError(
        entry->revoked()
            ? "this host knows that the key was revoked: nothing that it says counts any more"
            : "this host believed another word of this key before, and the first one counts; "
              "i3-ctl records shows it");
  worker.after_command();
  Json answer = record_json(worker, record->key, *entry);
  answer["changed"] = change != Believed::Change::none;
  return answer;
}

std::string problem_of(const std::string& who, const Believed::Entry& entry) {
  if (entry.revoked())
    return who + ": its key was revoked, so it is not believed any more; ask for its new key";
  if (entry.contested())
    return who +
           ": its key says of itself that it is two others, so somebody stole it; it is not "
           "believed any more, ask for its new key";
  if (entry.contradicted)
    return who +
           ": its old key names another successor than the one believed here, so somebody "
           "stole the old one; i3-ctl book adopt keeps the one believed here";
  return {};
}

}  // namespace

void add_record_problems(Worker& worker, Json& problems) {
  const Believed& believed = worker.host().believed();
  for (const BookEntry* one : worker.settings().books.entries())
    if (const Believed::Entry* entry = believed.find(one->key))
      if (std::string text = problem_of(one->name, *entry); !text.empty()) problems.push_back(text);
  const Believed::Entry* own = believed.find(worker.host().key());
  if (own == nullptr) return;
  problems.push_back(own->revoked() ? "this host's own key was revoked: nobody believes it any more"
                                    : "this host's own key says that it is another one now: others "
                                      "look for this host there");
}

void register_record_commands(ControlServer& server, Worker& worker) {
  server.handle("records",
                [&worker](const Json&, ControlReply reply) { reply.ok(records(worker)); });
  server.handle("publish", [&worker](const Json& arguments, ControlReply reply) {
    reply.ok(publish(worker, arguments));
  });
}

}  // namespace i3

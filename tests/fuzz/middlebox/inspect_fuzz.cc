// Packets as the plug-ins read them: | length 2 | packet |, any number.
#include "gateways/middlebox/plugins/protocol_log.hh"
#include "gateways/middlebox/plugins/signatures.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace i3;
  inspect::ProtocolLog log([](const std::string&) {});
  std::string why;
  inspect::SignatureFilter filter(*inspect::parse_signatures("x drop tcp * \"abc\"", why),
                                  [](const inspect::Signature&, const inspect::Ends&) {});
  Reader reader(Bytes(data, size));
  while (reader.ok()) {
    const Bytes packet = reader.bytes(reader.u16());
    if (!reader.ok()) break;
    filter.packet(packet, 1);
    if (const auto view = IpView::parse(packet); view && view->is_tcp() && !view->is_fragment())
      log.packet(*view, 1);
  }
  (void)inspect::parse_signatures(as_text(Bytes(data, size)), why);
  return 0;
}
